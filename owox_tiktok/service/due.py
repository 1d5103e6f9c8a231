"""When Sheets import without anybody: one table for all of them, in the central store.

*Schedule…* in a Sheet's menu writes here, and an entry of the registry may say ``schedule``. One job, which comes every
ten minutes for the watchdog anyway, has tasks made of what is due until it comes again: Cloud Tasks holds each until
its minute. A task's name follows from the Sheet and the moment, so a tick that is repeated starts nothing twice; after
one that was missed a Sheet is imported once, not once for each hour.

All Sheets of an agency at the full hour would meet Google's and TikTok's limits in the same minutes. So each has a
minute of its own, which follows from its id, and starts in that minute of every hour.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from owox_tiktok.central.store import Store, change
from owox_tiktok.errors import Problem

EVERY = timedelta(minutes=10)
"""How often the job comes."""
WORDS = r"(?:Hourly|(?:Daily|Weekdays) at (?:[01]\d|2[0-3]):00)"
"""What a schedule may be; ``Off`` besides."""
OFF = "Off"
REGISTRY = "the registry"
SHARDS = "0123456789abcdef"
"""The table is cut into so many objects: each of 100,000 Sheets takes about 120 bytes."""
AT_ONCE = 16


class Plan(msgspec.Struct):
    """The schedule of one Sheet: in words, in whose time zone, who set it, and the next time (none: Off)."""

    words: str
    zone: str
    by: str
    next: datetime | None = None


def minute_of(book: str) -> int:
    """Return the minute of the hour in which imports of a Sheet start."""
    return int(hashlib.sha256(book.encode()).hexdigest()[1:9], 16) % 60


def next_after(moment: datetime, words: str, zone: str, book: str) -> datetime | None:
    """Return when a schedule imports next after a moment; None for Off."""
    minute = minute_of(book)
    if words == "Hourly":
        then = moment.astimezone(UTC).replace(minute=minute, second=0, microsecond=0)
        return then if then > moment else then + timedelta(hours=1)
    found = re.fullmatch(r"(Daily|Weekdays) at (\d\d):00", words)
    if found is None:
        return None
    here = ZoneInfo(zone)
    day = moment.astimezone(here).date()
    while True:
        then = datetime.combine(day, time(int(found[2]), minute), here).astimezone(UTC)
        if then > moment and (found[1] == "Daily" or day.weekday() < 5):
            return then
        day += timedelta(days=1)


class Due:
    """The schedules of a deployment. Raises Unavailable where the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, book: str) -> Plan | None:
        """Return the schedule of a Sheet; None where nobody has set one."""
        held = self._store.get(_name(book))
        return _decoded(held.body if held else None).get(book)

    def set(self, book: str, words: str, zone: str, by: str, now: datetime) -> Plan:
        """Set the schedule of a Sheet, in place of the one before."""
        plan = Plan(words, _known(zone), by)
        plan.next = next_after(now, words, plan.zone, book)
        change(self._store, _name(book), lambda before: _encoded({**_decoded(before), book: plan}))
        return plan

    def tick(
        self, now: datetime, registered: Mapping[str, str], start: Callable[[str, datetime], object]
    ) -> Counter[str]:
        """Have ``start`` called for each Sheet that is due until the next tick, with the moment; return how many.

        ``registered`` are the Sheets of the deployment, with what the registry says of their schedules. What cannot be
        started is tried again by the next tick. Others than these Sheets are forgotten.
        """
        shards: dict[str, dict[str, str]] = {shard: {} for shard in SHARDS}
        for book, said in registered.items():
            shards[_shard(book)][book] = said
        found: Counter[str] = Counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for count in pool.map(lambda one: self._tick(one[0], now, one[1], start), shards.items()):
                found.update(count)
        return found

    def _tick(
        self, shard: str, now: datetime, registered: Mapping[str, str], start: Callable[[str, datetime], object]
    ) -> Counter[str]:
        held = self._store.get(f"due/{shard}.json")
        if held is None and not any(registered.values()):
            return Counter()
        found: Counter[str] = Counter()
        until = now + EVERY
        started: dict[str, datetime] = {}
        for book, plan in _with(_decoded(held.body if held else None), registered, now).items():
            if plan.next is not None and plan.next <= until:
                try:
                    start(book, plan.next)
                    started[book] = plan.next
                except Problem:
                    found["not_started"] += 1
        found["started"] = len(started)

        def to(before: bytes | None) -> bytes:
            plans = _with(_decoded(before), registered, now)
            for book, moment in started.items():
                plan = plans.get(book)
                if plan and plan.next == moment:  # else somebody has set another one meanwhile
                    plan.next = next_after(until, plan.words, plan.zone, book)
            return _encoded(plans)

        change(self._store, f"due/{shard}.json", to)
        return found


def _with(plans: dict[str, Plan], registered: Mapping[str, str], now: datetime) -> dict[str, Plan]:
    """Return the schedules of the Sheets that are registered; a person's goes before the registry's."""
    result: dict[str, Plan] = {}
    for book, said in registered.items():
        plan = plans.get(book)
        if plan is None or plan.by == REGISTRY:
            words, _, zone = said.partition(" in ")
            if plan is None or (plan.words, plan.zone) != (words, _known(zone)):
                plan = Plan(words, _known(zone), REGISTRY, next_after(now, words, _known(zone), book)) if said else None
        if plan:
            result[book] = plan
    return result


def _known(zone: str) -> str:
    """Return a time zone, UTC where this machine does not know it."""
    try:
        return ZoneInfo(zone).key if zone else "UTC"
    except Exception:
        return "UTC"


def _shard(book: str) -> str:
    return hashlib.sha256(book.encode()).hexdigest()[0]


def _name(book: str) -> str:
    return f"due/{_shard(book)}.json"


def _encoded(plans: Mapping[str, Plan]) -> bytes:
    return msgspec.json.encode(plans)


def _decoded(body: bytes | None) -> dict[str, Plan]:
    if body is None:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Plan])
    except msgspec.DecodeError:
        return {}
