"""Google's quota, shared by all processes of a deployment that call as the same account: calls are leased.

An object in the central store says how many calls of a kind have been given away lately, and when. A process leases a
few at once, and spends them by its own ``Pace``; it asks for more of them the faster it spent the last. Each lease
comes after the one before, so whoever waits is next in turn, and nobody gets everything. Calls that are leased and not
sent within some seconds are lost, and given back with the next lease.

Calls that cannot wait (signs of life) are not leased: a few of each minute are kept for those. Without the store a
process goes by its own pace; Google's refusals are what is left then.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from owox_tiktok.central.store import Store, change, open_store
from owox_tiktok.errors import Problem
from owox_tiktok.sheets.pace import URGENT, WINDOW_S, Kind, Pace, pace_of

log = logging.getLogger(__name__)

STORE_VARIABLE = "SHEETS_PACE_STORE"
"""Environment variable: where the pace of an account is shared, such as gs://bucket/folder."""
GOOD_S = 8.0
"""So long the calls of a lease may be sent."""
ATTEMPTS = 80
"""So often calls are asked for while others are quicker, for a minute: the store may take one write a second."""
CROWDED = 3
FEWEST, MOST = 2, 10
"""Calls of a lease."""


class Lease(msgspec.Struct):
    """Some calls of one process, to be sent from ``at`` on; moments are the store's, in seconds since 1970."""

    who: str
    at: float
    count: int

    @property
    def over(self) -> float:
        """When Google's minute behind its last call is over."""
        return self.at + GOOD_S + WINDOW_S


class Leases(msgspec.Struct):
    """The calls of one kind and account that were given away."""

    given: list[Lease] = []


def lease(leases: Leases, who: str, *, most: int, wanted: int, used: int, now: float) -> float:
    """Give ``wanted`` calls, and return from when on; ``used`` is how many of the last lease were sent."""
    leases.given = [one for one in leases.given if one.over > now]
    last = next((one for one in reversed(leases.given) if one.who == who), None)
    if last is not None and last.at <= now:
        last.count = min(last.count, used)
    at = max(now, leases.given[-1].at if leases.given else now)
    for one in sorted(leases.given, key=lambda one: one.over):
        if sum(other.count for other in leases.given if other.over > at) + wanted <= most:
            break
        at = max(at, one.over)
    leases.given.append(Lease(who, at, wanted))
    return at


def spent(leases: Leases, now: float) -> int:
    """Return how many calls were given away for the minute before ``now``."""
    return sum(one.count for one in leases.given if one.at <= now < one.at + WINDOW_S)


@dataclass(slots=True)
class _Calls:
    """What a process has leased of one kind; moments are those of its callers' clock."""

    lock: threading.Lock
    begin: float = 0.0
    count: int = 0
    used: int = 0


class SharedPace(Pace):
    """A ``Pace`` whose calls are leased from an object that other processes lease from as well."""

    def __init__(self, per_minute: int, *, store: Store, account: str) -> None:
        super().__init__(per_minute)
        self._store, self._account = store, account
        self._who = secrets.token_hex(6)
        self._leased: dict[Kind, _Calls] = {"read": _Calls(threading.Lock()), "write": _Calls(threading.Lock())}

    def take(self, kind: Kind, now: float, *, until: float | None = None, urgent: bool = False) -> float | None:
        """Return the moment at which a call may be sent, see ``Pace``."""
        if urgent:
            return super().take(kind, now, until=until, urgent=True)
        calls = self._leased[kind]
        with calls.lock:
            if calls.used >= calls.count or now > calls.begin + GOOD_S:
                calls.begin = now + self._lease(kind, calls, now)
            if until is not None and calls.begin > max(until, now):
                return None
            calls.used += 1
            begin = calls.begin
        at = super().take(kind, now, until=until)
        return at if at is None else max(at, begin)

    def spent(self, kind: Kind, now: float) -> int:
        """Return how many calls all processes together were given in the minute before now."""
        held = self._store.get(self._name(kind))
        return spent(_decoded(held.body if held else None), self._store.now())

    def _lease(self, kind: Kind, calls: _Calls, now: float) -> float:
        """Lease some calls; return in how many seconds they may be sent."""
        quick = calls.used >= calls.count and now <= calls.begin + GOOD_S
        per_minute = self._most or 1
        most = max(1, per_minute - min(URGENT, per_minute // 4))
        wanted = min(MOST, most, max(FEWEST, 2 * calls.used if quick else calls.used))
        wait_s: list[float] = []
        tries = 0

        def to(before: bytes | None) -> bytes:
            nonlocal wanted, tries
            if tries > CROWDED:  # so many ask at once that each should have to ask seldom
                wanted = min(MOST, most)
            tries += 1
            leases, moment = _decoded(before), self._store.now()
            at = lease(leases, self._who, most=most, wanted=wanted, used=calls.used, now=moment)
            wait_s[:] = [at - moment]
            return msgspec.json.encode(leases)

        try:
            change(self._store, self._name(kind), to, attempts=ATTEMPTS)
        except Problem as problem:
            log.warning("Google's quota is not shared for now: %s", problem.sentence)
            wait_s[:] = [0.0]
        calls.count, calls.used = wanted, 0
        return wait_s[0]

    def _name(self, kind: Kind) -> str:
        return f"quota/{self._account}-{kind}.json"


_shared: dict[tuple[str, str, str, int], SharedPace] = {}
_lock = threading.Lock()


def pace_for(base: str, account: str, per_minute: int | None, environment: Mapping[str, str]) -> Pace:
    """Return the pace of an account: shared with other processes where the environment names a store, else ours."""
    address = environment.get(STORE_VARIABLE, "").strip()
    if not address or per_minute is None:
        return pace_of(base, account, per_minute)
    with _lock:
        key = address, base, account, per_minute
        if key not in _shared:
            name = hashlib.sha256(f"{base} {account}".encode()).hexdigest()[:24]
            _shared[key] = SharedPace(per_minute, store=open_store(address, environment), account=name)
        return _shared[key]


def _decoded(body: bytes | None) -> Leases:
    if body is None:
        return Leases()
    try:
        return msgspec.json.decode(body, type=Leases)
    except msgspec.DecodeError:
        return Leases()
