"""A store in a bucket of Cloud Storage, over its JSON API: objects are small, and each call is one request.

Cloud Storage gives every write of an object a generation of its own, and writes only if it has the one that
``ifGenerationMatch`` names. It is strongly consistent, and takes about one write a second of the same object.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import google.auth
import msgspec
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from owox_tiktok.central.store import Changed, Held, checked
from owox_tiktok.errors import BadInput, Mistake, Problem, Unavailable
from owox_tiktok.retry import Limits, retrying

API = "https://storage.googleapis.com"
API_VARIABLE = "CLOUD_STORAGE_API_URL"
"""Environment variable with the address of an emulator; accepted only for an address of this machine."""
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
TIMEOUT_S = 5.0
LIMITS = Limits(attempts=6, deadline_s=15.0, first_s=0.3, longest_s=4.0)


class CloudStorage:
    """The objects of a bucket below a prefix; safe for threads. Credentials are those of the machine's account."""

    apart_s = 1.0

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        url: str = API,
        limits: Limits = LIMITS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bucket, self._prefix, self._url = bucket, prefix, url
        self._limits, self._clock = limits, clock
        self._local = threading.local()
        self._lock = threading.Lock()
        self._credentials: Any = None
        self._ahead = (-math.inf, math.inf)
        """By how many seconds Google's clock is ahead of ours: between these two."""

    def now(self) -> float:
        """Return the moment by Google's clock, as far as its answers have shown it: ours, unless that was disproved."""
        least, most = self._ahead
        return self._clock() + min(max(0.0, least), most)

    def get(self, name: str) -> Held | None:
        """Return an object, None where there is none."""
        answer = self._ask("GET", self._object(name), {"alt": "media"}, (200, 404))
        if answer.status_code == 404:
            self._expect_bucket(answer)
            return None
        return Held(answer.content, int(answer.headers["x-goog-generation"]))

    def put(self, name: str, body: bytes, generation: int) -> int:
        """Write an object whose generation is ``generation`` (0: there is none); return its new one. Raises Changed."""
        query = {
            "uploadType": "media",
            "name": f"{self._prefix}{checked(name)}",
            "ifGenerationMatch": str(generation),
            "fields": "generation,updated",
        }
        unsure: list[bool] = []
        sent = self._clock()
        path = f"/upload/storage/v1/b/{quote(self._bucket, safe='')}/o"
        # An object that is there was written within the last second when there is a 429, most likely by somebody else:
        # whoever saw it should look again. One that is not there has no such limit; the whole bucket is busy.
        wanted = (200, 412, 429) if generation else (200, 412)
        answer = self._ask("POST", path, query, wanted, body, unsure=unsure)
        if answer.status_code == 429:
            raise Changed
        if answer.status_code == 412:
            # An earlier attempt whose answer was lost may have been ours.
            there = self.get(name) if unsure else None
            if there is None or there.body != body or there.generation == generation:
                raise Changed
            return there.generation
        said = msgspec.json.decode(answer.content, type=dict[str, str])
        if not unsure:
            self._learn(datetime.fromisoformat(said["updated"]).timestamp(), sent, self._clock())
        return int(said["generation"])

    def delete(self, name: str, generation: int) -> None:
        """Delete an object whose generation is ``generation``. Raises Changed."""
        unsure: list[bool] = []
        query = {"ifGenerationMatch": str(generation)}
        answer = self._ask("DELETE", self._object(name), query, (200, 204, 404, 412), unsure=unsure)
        if answer.status_code in (404, 412) and not (unsure and self.get(name) is None):
            raise Changed

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names that begin with ``prefix``, in order."""
        found: list[str] = []
        query = {"prefix": self._prefix + prefix, "fields": "items(name),nextPageToken"}
        while True:
            answer = self._ask("GET", f"/storage/v1/b/{quote(self._bucket, safe='')}/o", query, (200,))
            page = msgspec.json.decode(answer.content)
            found += [item["name"].removeprefix(self._prefix) for item in page.get("items", ())]
            if not (following := page.get("nextPageToken")):
                return found
            query["pageToken"] = following

    # --- one call -----------------------------------------------------------------------------------------------------

    def _object(self, name: str) -> str:
        whole = quote(f"{self._prefix}{checked(name)}", safe="")
        return f"/storage/v1/b/{quote(self._bucket, safe='')}/o/{whole}"

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        wanted: Sequence[int],
        body: bytes | None = None,
        unsure: list[bool] | None = None,
    ) -> requests.Response:
        """Return an answer with one of the statuses that are ``wanted``; ``unsure`` gets an entry for a lost one."""
        for attempt in retrying(Unavailable, self._limits):
            with attempt:
                try:
                    answer = self._session().request(
                        method,
                        f"{self._url}{path}",
                        params=query,
                        data=body,
                        headers={"Content-Type": "application/json"} if body is not None else {},
                        timeout=TIMEOUT_S,
                        allow_redirects=False,
                    )
                except (requests.RequestException, GoogleAuthError) as error:
                    if unsure is not None:
                        unsure.append(True)
                    raise _unavailable(f"does not answer ({type(error).__name__})", self._bucket) from None
                if answer.status_code >= 500 and unsure is not None:
                    unsure.append(True)
                busy = answer.status_code in (408, 429) or answer.status_code >= 500
                # After a lost answer, "busy" does not say whether the write was done: it is asked until that is known.
                if busy and (answer.status_code not in wanted or unsure):
                    raise _unavailable(f"answers {answer.status_code}", self._bucket)
        if answer.status_code not in wanted:
            raise _refused(answer.status_code, self._bucket)
        return answer

    def _expect_bucket(self, answer: requests.Response) -> None:
        if b"bucket does not exist" in answer.content:
            raise _refused(404, self._bucket)

    def _session(self) -> requests.Session:
        """Return this thread's connection."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            if self._url != API:
                session = requests.Session()
            else:
                with self._lock:
                    if self._credentials is None:
                        self._credentials, _ = google.auth.default(scopes=[SCOPE])
                session = AuthorizedSession(self._credentials)  # type: ignore[no-untyped-call]
            self._local.session = session
        return session

    def _learn(self, theirs: float, sent: float, received: float) -> None:
        """Take note of what Google's clock said at some moment between two of ours."""
        with self._lock:
            least, most = max(self._ahead[0], theirs - received), min(self._ahead[1], theirs - sent)
            # One of the clocks was set meanwhile: what was known before does not count any more.
            self._ahead = (least, most) if least <= most else (theirs - received, theirs - sent)


def _unavailable(what: str, bucket: str) -> Unavailable:
    return Unavailable(f"Cloud Storage {what}", where=f"gs://{bucket}", what_to_do="Try again in a minute.")


def _refused(status: int, bucket: str) -> Problem:
    return Problem(
        f"Cloud Storage refuses with {status}",
        where=f"gs://{bucket}",
        what_to_do="Whoever deployed the service should look at the bucket's name, and at the role "
        "storage.objectUser on it.",
    )


def open_(rest: str, environment: Mapping[str, str]) -> CloudStorage:
    """Return the store in a bucket; ``rest`` is ``bucket`` or ``bucket/prefix``."""
    bucket, _, prefix = rest.partition("/")
    url = environment.get(API_VARIABLE, "").rstrip("/")
    mistakes = []
    if not 3 <= len(bucket) <= 63 or not bucket.replace("-", "").replace(".", "").replace("_", "").isalnum():
        mistakes.append(Mistake("store", "names no bucket", "Write one such as gs://my-bucket/imports."))
    if url and urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):
        advice = "Remove it: it is for emulators only."
        mistakes.append(Mistake(API_VARIABLE, "is not an address of this machine", advice))
    if mistakes:
        raise BadInput(mistakes)
    return CloudStorage(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "", url=url or API)
