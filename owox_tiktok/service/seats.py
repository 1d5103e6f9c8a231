"""How many runs may use one TikTok token at once: each has a seat while a part of it runs, in the central store.

One at a time, a small run would wait behind every backfill; all at once, each would get too few turns of TikTok's rate
to get anywhere. So about twenty share it. Backfills have few of the seats, and some are kept for people, who wait for
what they ask for. Whoever finds none comes again, and says so here: then runs that hold a seat end their part early.

Each seat is an object of its own: Cloud Storage takes one write a second of an object, and twenty runs may begin at the
same moment. A seat is left at the end of a part; one whose holder died is free when the part would have been over.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from owox_tiktok.central.store import Changed, Held, Store, change

SEATS = 20
"""Runs of one token at once …"""
BACKFILL_SEATS = 5
"""… how many of them may be backfills …"""
KEPT_FOR_PEOPLE = 4
"""… and how many are never taken by schedules and backfills."""
WAITS_S = 150.0
"""Somebody who found no seat is thought to be waiting for so long: longer than until they come again."""
NOTED_EVERY_S = 30.0
LOOKS = 10
"""So many seats are looked at side by side."""
_CHANCE = random.Random()  # noqa: S311 - it spreads attempts, and guards nothing


class Kind(enum.StrEnum):
    """Who a run is for; whoever stands first comes first."""

    PERSON = "person"
    SCHEDULE = "schedule"
    BACKFILL = "backfill"


class Seat(msgspec.Struct):
    """A seat that is taken; ``until`` is a moment of the store's clock, in seconds since 1970."""

    run: str
    until: float


def choose(seats: Sequence[Seat | None], run: str, kind: Kind, *, now: float) -> list[int]:
    """Return the seats that a run may take, the best first; its own alone, if it has one.

    Backfills sit on the first seats only, schedules there when there is no other, and people on the last ones first.
    """
    for number, seat in enumerate(seats):
        if seat and seat.run == run and seat.until > now:
            return [number]
    free = [number for number, seat in enumerate(seats) if seat is None or seat.until <= now]
    _CHANCE.shuffle(free)  # who looks at the same moment should not meet us
    common = range(BACKFILL_SEATS, SEATS - KEPT_FOR_PEOPLE)
    match kind:
        case Kind.BACKFILL:
            return [number for number in free if number < BACKFILL_SEATS]
        case Kind.SCHEDULE:
            free = [number for number in free if number < common.stop]
            return sorted(free, key=lambda number: number not in common)
    return sorted(free, key=lambda number: (number < common.stop, number not in common))


def come_again_s(kind: Kind) -> float:
    """Return in how many seconds a run that found no seat tries again."""
    least = {Kind.PERSON: 5.0, Kind.SCHEDULE: 20.0, Kind.BACKFILL: 40.0}[kind]
    return least * _CHANCE.uniform(1.0, 2.0)


class Seats:
    """The seats of all tokens of a deployment; safe for threads. Raises Unavailable where the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(LOOKS, thread_name_prefix="seats")

    def take(self, alias: str, run: str, kind: Kind, length_s: float) -> bool:
        """Take a seat for a part that takes ``length_s`` at most; False when there is none."""
        held = self._look(alias)
        now = self._store.now()
        for number in choose([_seat(one) for one in held], run, kind, now=now):
            there, seat = held[number], msgspec.json.encode(Seat(run, now + length_s))
            with suppress(Changed):  # somebody else sits there by now
                self._store.put(_name(alias, number), seat, there.generation if there else 0)
                return True
        self._note(alias, kind)
        return False

    def leave(self, alias: str, run: str) -> None:
        """Leave the seat of a run, if it has one."""
        for number, there in enumerate(self._look(alias)):
            if there and (seat := _seat(there)) and seat.run == run:
                with suppress(Changed):
                    self._store.delete(_name(alias, number), there.generation)

    def wanted(self, alias: str, kind: Kind) -> bool:
        """Whether somebody who does not come after this kind is likely to be waiting for a seat."""
        held = self._store.get(_waiting(alias))
        refused, now = _refused(held.body if held else None), self._store.now()
        order = list(Kind)
        before = order[: order.index(kind) + 1]
        return any(now - refused.get(one, -WAITS_S) < WAITS_S for one in before)

    def _look(self, alias: str) -> list[Held | None]:
        return list(self._pool.map(lambda number: self._store.get(_name(alias, number)), range(SEATS)))

    def _note(self, alias: str, kind: Kind) -> None:
        """Note that somebody waits, if that was not noted lately."""
        now = self._store.now()

        def to(before: bytes | None) -> bytes | None:
            refused = _refused(before)
            if now - refused.get(kind, -NOTED_EVERY_S) < NOTED_EVERY_S:
                return None
            return msgspec.json.encode({**refused, kind: now})

        change(self._store, _waiting(alias), to)


def _name(alias: str, number: int) -> str:
    return f"seats/{alias}/{number:02}.json"


def _waiting(alias: str) -> str:
    return f"seats/{alias}/waiting.json"


def _seat(held: Held | None) -> Seat | None:
    if held is None:
        return None
    try:
        return msgspec.json.decode(held.body, type=Seat)
    except msgspec.DecodeError:
        return None


def _refused(body: bytes | None) -> dict[str, float]:
    if body is None:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, float])
    except msgspec.DecodeError:
        return {}
