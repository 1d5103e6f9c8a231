"""A stand-in for TikTok's Marketing API v1.3 that runs on this machine.

It answers over real HTTP with data that follow from a seed, refuses what TikTok refuses in the
same words, limits the rate of calls, and fails on demand::

    with serve(World(seed=1, advertisers=3, ads=60), limits=Limits(qps=10)) as server:
        requests.get(server.url + "user/info/", headers={"Access-Token": server.token})

:mod:`.oracle` tells what a loader must end up with.
"""

from . import oracle
from .faults import KINDS, ON_REQUEST, Fault, Faults
from .limits import Limits
from .server import Server, run, serve
from .switches import Rules
from .world import World

__all__ = ["KINDS", "ON_REQUEST", "Fault", "Faults", "Limits", "Rules", "Server", "World", "oracle", "run", "serve"]
