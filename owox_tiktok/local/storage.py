"""Cloud Storage on this machine: small objects over the JSON API (v1), with generations and their preconditions.

As strict as Cloud Storage where the product could go wrong: a bucket must exist; every write has a generation that no
other write ever had, also after a deletion; a write whose ``ifGenerationMatch`` is not the object's generation (0:
there is none) is refused with 412 and changes nothing; unknown parameters are refused; the same object takes one write
in ``apart_s`` seconds, else 429. Faults come on demand: an answer that is lost after the write, a status for some
calls.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from owox_tiktok.local.http import Answer, Call, Emulator, in_json, no_answer

_BUCKET = r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"
_MEDIA, _INSERT, _LIST, _DELETE = (
    {"alt", "generation", "ifGenerationMatch", "ifGenerationNotMatch", "fields"},
    {"uploadType", "name", "ifGenerationMatch", "ifGenerationNotMatch", "fields", "alt"},
    {"prefix", "fields", "pageToken", "maxResults", "alt"},
    {"generation", "ifGenerationMatch", "ifGenerationNotMatch"},
)
_PAGE = 1000


class _Refused(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True, slots=True)
class Stored:
    """One object: what it holds, its generation, and when it was written, in seconds since 1970."""

    body: bytes
    generation: int
    updated: float


class Server(Emulator):
    """A serving emulator; ``counts`` are the calls by method and status.

    ``lose`` answers to so many writes are lost although the write is done; ``fail`` are statuses for the next calls.
    ``ahead_s`` puts the server's clock ahead.
    """

    def __init__(self, port: int = 0, *, apart_s: float = 1.0) -> None:
        super().__init__(port)
        self.apart_s = apart_s
        self.ahead_s = 0.0
        self.lose = 0
        self.fail: list[int] = []
        self.counts: Counter[str] = Counter()
        self.buckets: dict[str, dict[str, Stored]] = {}
        self._last = int(time.time() * 1e6)
        self._lock = threading.Lock()

    def add(self, bucket: str = "imports") -> str:
        """Make a bucket and return its address."""
        self.buckets.setdefault(bucket, {})
        return f"gs://{bucket}"

    def answer(self, call: Call) -> Answer:
        """Answer one call of the JSON API."""
        with self._lock:
            try:
                if self.fail:
                    raise _Refused(self.fail.pop(0), "backendError", "We encountered an internal error.")
                said = self._api(call)
            except _Refused as no:
                error = {"message": no.message, "domain": "global", "reason": no.reason}
                said = in_json({"error": {"code": no.status, "message": no.message, "errors": [error]}}, no.status)
            self.counts[f"{call.method} {said.status}"] += 1
            if call.method != "GET" and said.status < 300 and self.lose:
                self.lose -= 1
                return no_answer("reset")
            return said

    def _api(self, call: Call) -> Answer:
        found = re.fullmatch(rf"(/upload)?/storage/v1/b/({_BUCKET})/o(?:/([^/]+))?", call.raw_path)
        if found is None:
            raise _Refused(404, "notFound", "Not Found")
        upload, bucket, quoted = found.groups()
        objects = self.buckets.get(bucket)
        if objects is None:
            raise _Refused(404, "notFound", "The specified bucket does not exist.")
        match call.method, bool(upload), quoted:
            case "POST", True, None:
                return self._insert(objects, call)
            case "GET", False, None:
                return self._list(objects, call)
            case "GET", False, str():
                return self._media(objects, unquote(quoted), call)
            case "DELETE", False, str():
                query = _known(call, _DELETE)
                self._take(objects, unquote(quoted), query)
                if objects.pop(unquote(quoted), None) is None:
                    raise _Refused(404, "notFound", f"No such object: {bucket}/{unquote(quoted)}")
                return Answer(204)
        raise _Refused(405, "methodNotAllowed", f"The emulator does not know {call.method} {call.path}.")

    def _media(self, objects: dict[str, Stored], name: str, call: Call) -> Answer:
        query = _known(call, _MEDIA)
        if query.get("alt") != "media":
            raise _Refused(501, "notImplemented", "The emulator gives an object's content only.")
        there = objects.get(name)
        if there is None:
            raise _Refused(404, "notFound", f"No such object: {name}")
        if query.get("ifGenerationNotMatch") == str(there.generation):
            return Answer(304)
        if query.get("ifGenerationMatch", str(there.generation)) != str(there.generation):
            raise _condition()
        return Answer(200, there.body, "application/json", {"x-goog-generation": str(there.generation)})

    def _insert(self, objects: dict[str, Stored], call: Call) -> Answer:
        query = _known(call, _INSERT)
        name = query.get("name", "")
        if query.get("uploadType") != "media" or not 1 <= len(name.encode()) <= 1024:
            raise _Refused(400, "invalid", "uploadType=media and a name are required here.")
        self._take(objects, name, query)
        now = time.time() + self.ahead_s
        self._last += random.randrange(1, 10**6)
        objects[name] = Stored(call.body, self._last, now)
        updated = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return in_json({"kind": "storage#object", "name": name, "generation": str(self._last), "updated": updated})

    def _take(self, objects: dict[str, Stored], name: str, query: dict[str, str]) -> None:
        """Refuse a write whose preconditions do not hold, or that comes too soon after the last one."""
        there = objects.get(name)
        generation = there.generation if there else 0
        for parameter, must in (("ifGenerationMatch", True), ("ifGenerationNotMatch", False)):
            said = query.get(parameter)
            if said is None:
                continue
            if not re.fullmatch(r"\d{1,19}", said):
                raise _Refused(400, "invalid", f"Invalid long value: '{said}'.")
            if (int(said) == generation) is not must:
                raise _condition()
        if there and time.time() + self.ahead_s - there.updated < self.apart_s:
            what = f"The object {name} exceeded the rate limit for object mutation operations (create, update, delete)."
            raise _Refused(429, "rateLimitExceeded", f"{what} Please reduce your request rate.")

    def _list(self, objects: dict[str, Stored], call: Call) -> Answer:
        query = _known(call, _LIST)
        prefix, after = query.get("prefix", ""), query.get("pageToken", "")
        most = min(_PAGE, int(query.get("maxResults", _PAGE)))
        names = sorted(name for name in objects if name.startswith(prefix) and name > after)
        page: dict[str, Any] = {"kind": "storage#objects"}
        if names:
            page["items"] = [{"name": n, "generation": str(objects[n].generation)} for n in names[:most]]
        if len(names) > most:
            page["nextPageToken"] = names[most - 1]
        return Answer(200, json.dumps(page).encode())


def _known(call: Call, known: set[str]) -> dict[str, str]:
    query = call.query
    if unknown := query.keys() - known:
        raise _Refused(400, "invalidParameter", f"Invalid parameter: {min(unknown)}")
    return query


def _condition() -> _Refused:
    return _Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
