"""How many runs may use one TikTok token at once: each has a seat while a part of it runs, in the central store.

One at a time, a small run would wait behind every backfill; all at once, each would get too few turns of TikTok's rate
to get anywhere. So about twenty share it. Backfills have few of the seats, and some are kept for people, who wait for
what they ask for. Whoever finds none comes again, and says so here: then runs that hold a seat end their part early.

A seat is left at the end of a part; one whose holder died is free when the part would have been over.
"""

from __future__ import annotations

import enum
import random
from collections import Counter

import msgspec

from owox_tiktok.central.store import Store, change

SEATS = 20
"""Runs of one token at once …"""
BACKFILL_SEATS = 5
"""… how many of them may be backfills …"""
KEPT_FOR_PEOPLE = 4
"""… and how many are never taken by schedules and backfills."""
WAITS_S = 150.0
"""Somebody who found no seat is thought to be waiting for so long: longer than until they come again."""
NOTED_EVERY_S = 30.0
_CHANCE = random.Random()  # noqa: S311 - it spreads attempts, and guards nothing


class Kind(enum.StrEnum):
    """Who a run is for; whoever stands first comes first."""

    PERSON = "person"
    SCHEDULE = "schedule"
    BACKFILL = "backfill"


class Seat(msgspec.Struct):
    """A seat that is taken; ``until`` is a moment of the store's clock, in seconds since 1970."""

    kind: Kind
    until: float


class Table(msgspec.Struct):
    """The seats of one token by run, and when somebody of a kind last found none."""

    taken: dict[str, Seat] = {}
    refused: dict[str, float] = {}


def take(table: Table, run: str, kind: Kind, *, now: float, until: float) -> bool:
    """Give a run a seat, or note that it waits for one; a run that has one keeps it, with a new end."""
    others = {name: seat for name, seat in table.taken.items() if seat.until > now and name != run}
    count = Counter(seat.kind for seat in others.values())
    free = SEATS - len(others)
    if kind is not Kind.PERSON:
        free = min(free, SEATS - KEPT_FOR_PEOPLE - (len(others) - count[Kind.PERSON]))
    if kind is Kind.BACKFILL:
        free = min(free, BACKFILL_SEATS - count[Kind.BACKFILL])
    table.taken = others
    if free > 0:
        table.taken[run] = Seat(kind, until)
        return True
    if now - table.refused.get(kind, 0.0) > NOTED_EVERY_S:
        table.refused[kind] = now
    return False


def come_again_s(kind: Kind) -> float:
    """Return in how many seconds a run that found no seat tries again."""
    least = {Kind.PERSON: 5.0, Kind.SCHEDULE: 20.0, Kind.BACKFILL: 40.0}[kind]
    return least * _CHANCE.uniform(1.0, 2.0)


class Seats:
    """The seats of all tokens of a deployment. Raises Unavailable where the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, alias: str, run: str, kind: Kind, length_s: float) -> bool:
        """Take a seat for a part that takes ``length_s`` at most; False when there is none."""
        said: list[bool] = []

        def to(before: bytes | None) -> bytes:
            table, now = _decoded(before), self._store.now()
            said[:] = [take(table, run, kind, now=now, until=now + length_s)]
            return msgspec.json.encode(table)

        change(self._store, _name(alias), to)
        return said[0]

    def leave(self, alias: str, run: str) -> None:
        """Leave the seat of a run, if it has one."""

        def to(before: bytes | None) -> bytes | None:
            table = _decoded(before)
            return msgspec.json.encode(table) if table.taken.pop(run, None) else None

        change(self._store, _name(alias), to)

    def wanted(self, alias: str, kind: Kind) -> bool:
        """Whether somebody who does not come after this kind is likely to be waiting for a seat."""
        held = self._store.get(_name(alias))
        table, now = _decoded(held.body if held else None), self._store.now()
        order = list(Kind)
        before = order[: order.index(kind) + 1]
        return any(now - table.refused.get(one, -WAITS_S) < WAITS_S for one in before)


def _name(alias: str) -> str:
    return f"seats/{alias}.json"


def _decoded(body: bytes | None) -> Table:
    if body is None:
        return Table()
    try:
        return msgspec.json.decode(body, type=Table)
    except msgspec.DecodeError:
        return Table()
