"""What several processes share: small objects in one place, and each change rests on the object as it was seen.

    store          the protocol: read an object with its generation, write it if that is still its generation
    sqlite         a store in a file, for processes on one machine
    cloud_storage  a store in a bucket of Cloud Storage, for the instances of a service
    turns          TikTok's pace, shared by all processes that use the same app

Here is no engine: a store keeps objects, and all that is built on it is a change of one object at a time.
"""
