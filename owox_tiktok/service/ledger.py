"""The record of each Sheet's runs, in the central store: who asked for what, what came of it, and what is under way.

It is written before anything else happens: a start is in it before its task is in the queue. Sidebar, messages, the
watchdog and the operators read it, and none of that costs a Sheet a call. How one phase follows another is said here
by pure functions on a ``Ledger``; ``Ledgers`` keeps them, one object per Sheet, and an object per run that has ended.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from owox_tiktok.central.store import Changed, Store, change
from owox_tiktok.notify import Whom
from owox_tiktok.sheets.record import Record
from owox_tiktok.states import State

MOST_RUNS = 20
"""So many runs of a Sheet are kept in its ledger; all of them are in the audit log."""
DEAD_AFTER = timedelta(minutes=15)
"""A run under way that has given no sign of life for so long keeps nobody from starting: it gives one every 15 s …"""
GONE_AFTER = timedelta(minutes=45)
"""… and after so long it has died for good: Cloud Tasks delivers its task again within 30 minutes, if it ever does."""
ASK_AGAIN_AFTER = timedelta(minutes=30)
"""A run that waits to begin for so long is put into the queue again, in case it is not there."""
LOST_AFTER = timedelta(hours=12)
"""A run that waits for its next part for so long has been dropped by the queue."""
SHEETS, AUDIT, PARTS = "sheets", "audit", "parts"

T = TypeVar("T")


class Phase(enum.StrEnum):
    """Where a run is."""

    QUEUED = "queued"  # it waits for its turn: to begin, or to be tried again
    RUNNING = "running"
    CONTINUED = "continued"  # it waits for the turn of its next part
    ENDED = "ended"


class Asker(msgspec.Struct):
    """Who asked, when, and by which script: the audience of the identity token that was shown."""

    by: str
    at: datetime
    script: str = ""


class Read(msgspec.Struct):
    """What the first ``part`` parts of a run have read: per object and ad account the last day (see ``plan``)."""

    part: int = 0
    done: dict[str, dict[str, date]] = {}


class OfAccount(msgspec.Struct):
    """What a run stored and asked of one ad account."""

    rows: int = 0
    requests: int = 0


class Entry(msgspec.Struct):
    """One run. ``asks`` is what its first task says: action, days, objects."""

    run: str
    asked: Asker
    asks: dict[str, Any]
    alive: datetime
    """The last time it changed or gave a sign of life."""
    phase: Phase = Phase.QUEUED
    joined: list[Asker] = []
    """Who asked for the same while it waited."""
    part: int = 0
    """How many parts are complete."""
    waits: int = 0
    """How often it was put back into the queue because another run, or a dead part of it, held the Sheet."""
    failures: int = 0
    """How many attempts failed since something was last stored …"""
    deaths: int = 0
    """… and how many ended without a word."""
    note: str = ""
    """Why it waits."""
    cancelled: bool = False
    """Whether somebody wants it to end."""
    started: datetime | None = None
    ended: datetime | None = None
    state: State | None = None
    message: str = ""
    remedy: str = ""
    """What the menu offers to put it right: connect, where TikTok refused the token."""
    rows: int = 0
    requests: int = 0
    accounts: dict[str, OfAccount] = {}

    @property
    def action(self) -> str:
        """What was asked for: import or backfill."""
        return str(self.asks.get("action", ""))

    @property
    def goes_on(self) -> str:
        """How to come by what is left of it, as a sentence."""
        if self.action == "backfill":
            return "A backfill starts from its first day again: ask for the days that are left."
        return "The next import continues where it ended."

    def same(self, asks: Mapping[str, Any]) -> bool:
        """Whether this run reads what ``asks`` ask for."""
        return self.asks == dict(asks)


class Ledger(msgspec.Struct):
    """The runs of one Sheet, newest first, and how far the newest that began is."""

    book: str
    runs: list[Entry] = []
    record: Record | None = None
    zone: str = "UTC"
    """The Sheet's time zone, as far as it is known."""
    whom: Whom | None = None
    """Whom the Sheet wanted to be told the last time that it could be read."""
    succeeded: datetime | None = None
    """When an import was last done."""
    told: bool = False
    """Whether the last message was a bad one, so that a recovery is news."""
    scheduled: bool = False
    """Whether a schedule of the service starts imports here."""
    stale: bool = False
    """Whether it was told that no import has succeeded for long."""

    def find(self, run: str) -> Entry | None:
        """Return a run by its name."""
        return next((e for e in self.runs if e.run == run), None)

    @property
    def current(self) -> Entry | None:
        """The run that is under way, else the one that is next."""
        for phase in (Phase.RUNNING, Phase.CONTINUED):
            if found := next((e for e in self.runs if e.phase is phase), None):
                return found
        return next((e for e in reversed(self.runs) if e.phase is Phase.QUEUED), None)

    def busy(self, now: datetime) -> Entry | None:
        """Return the run that is under way, unless it has died."""
        found = self.current
        if found is None or found.phase is Phase.QUEUED:
            return None
        return None if found.phase is Phase.RUNNING and now - found.alive > DEAD_AFTER else found

    def waiting(self, asks: Mapping[str, Any]) -> Entry | None:
        """Return a run that waits to begin and reads the same."""
        return next((e for e in self.runs if e.phase is Phase.QUEUED and not e.part and e.same(asks)), None)


# --- how one phase follows another ------------------------------------------------------------------------------------


def ask(ledger: Ledger, run: str, asks: Mapping[str, Any], asker: Asker) -> Entry:
    """Note that somebody asked for a run; return it, or the one with that name that is there already."""
    found = ledger.find(run)
    if found is None:
        found = Entry(run, asker, dict(asks), asker.at)
        ledger.runs.insert(0, found)
        _shorten(ledger)
    return found


def begin(ledger: Ledger, entry: Entry, now: datetime) -> None:
    """Note that a part of a run begins. One that was running is dead: its end was never noted."""
    if entry.phase is Phase.RUNNING:
        entry.deaths += 1
    entry.phase, entry.note, entry.alive = Phase.RUNNING, "", now
    entry.started = entry.started or now


def wait(entry: Entry, note: str, now: datetime) -> None:
    """Note that a run waits again, and why; a part that holds the Sheet may still be at it."""
    if entry.phase is not Phase.RUNNING:
        entry.phase = Phase.CONTINUED if entry.part else Phase.QUEUED
        entry.alive = now
    entry.waits += 1
    entry.note = note


def fail(entry: Entry, note: str, now: datetime) -> None:
    """Note that an attempt failed for a reason that may pass."""
    entry.failures += 1
    entry.phase, entry.note, entry.alive = Phase.CONTINUED if entry.part else Phase.QUEUED, note, now


def carry_on(entry: Entry, part: int, now: datetime) -> None:
    """Note that so many parts are complete and the next one waits."""
    entry.part = part
    entry.failures = entry.deaths = 0
    entry.phase, entry.note, entry.alive = Phase.CONTINUED, "", now


def end(ledger: Ledger, entry: Entry, state: State, message: str, now: datetime) -> bool:
    """Note how a run ended; False when that was known already."""
    if entry.phase is Phase.ENDED:
        return False
    entry.phase, entry.state, entry.message, entry.note = Phase.ENDED, state, message[:2_000], ""
    entry.ended = entry.alive = now
    if state is State.DONE:
        ledger.succeeded, ledger.stale = now, False
    return True


def _shorten(ledger: Ledger) -> None:
    """Keep few runs, and of older ones no single accounts; those that have not ended stay."""
    kept = [e for n, e in enumerate(ledger.runs) if n < MOST_RUNS or e.phase is not Phase.ENDED]
    for one in kept[1:]:
        if one.phase is Phase.ENDED:
            one.accounts = {}
    ledger.runs = kept


# --- where they are kept ----------------------------------------------------------------------------------------------


class Ledgers:
    """The ledgers of a deployment. Raises Unavailable where the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, book: str) -> Ledger:
        """Return the ledger of a Sheet, an empty one where there is none."""
        held = self._store.get(_name(book))
        return _decoded(held.body if held else None, book)

    def change(self, book: str, by: Callable[[Ledger], T]) -> T:
        """Change the ledger of a Sheet and return what ``by`` returns.

        ``by`` is called again where somebody else was quicker: it changes the ledger it is given and nothing else.
        """
        said: list[T] = []

        def to(before: bytes | None) -> bytes:
            ledger = _decoded(before, book)
            said[:] = [by(ledger)]
            return msgspec.json.encode(ledger)

        change(self._store, _name(book), to)
        return said[0]

    def books(self) -> list[str]:
        """Return the spreadsheets that have a ledger."""
        return [name.removeprefix(f"{SHEETS}/").removesuffix(".json") for name in self._store.names(f"{SHEETS}/")]

    def read_so_far(self, book: str, run: str) -> Read:
        """Return what the parts of a run have read; of a run with one part, or that has ended: nothing."""
        held = self._store.get(_parts(book, run))
        with suppress(msgspec.DecodeError):
            return msgspec.json.decode(held.body, type=Read) if held else Read()
        return Read()

    def keep_read(self, book: str, run: str, read: Read) -> None:
        """Keep what the parts of a run have read for the next one; what more of them have read stays."""

        def to(before: bytes | None) -> bytes | None:
            known = Read()
            with suppress(msgspec.DecodeError):
                known = msgspec.json.decode(before, type=Read) if before else known
            return None if known.part > read.part else msgspec.json.encode(read)

        change(self._store, _parts(book, run), to)

    def file(self, book: str, entry: Entry) -> None:
        """Put a run that has ended into the audit log, once: an object of one line of JSON, by the day it ended.

        What its parts have read is forgotten.
        """
        line = {"spreadsheet_id": book, **msgspec.to_builtins(entry)}
        line["accounts"] = [{"advertiser_id": one, **sums} for one, sums in line["accounts"].items()]
        line["asks"] = msgspec.json.encode(line["asks"]).decode()
        day = (entry.ended or datetime.now(UTC)).astimezone(UTC)
        with suppress(Changed):  # another delivery was quicker
            self._store.put(f"{AUDIT}/{day:%Y-%m-%d}/{book}.{entry.run}.json", msgspec.json.encode(line) + b"\n", 0)
        if entry.part and (held := self._store.get(_parts(book, entry.run))):
            with suppress(Changed):
                self._store.delete(_parts(book, entry.run), held.generation)


def _name(book: str) -> str:
    return f"{SHEETS}/{book}.json"


def _parts(book: str, run: str) -> str:
    return f"{PARTS}/{book}/{run}.json"


def _decoded(body: bytes | None, book: str) -> Ledger:
    """Return a ledger; an empty one where there is none, or one of another version that cannot be read."""
    if body is None:
        return Ledger(book)
    try:
        return msgspec.json.decode(body, type=Ledger)
    except msgspec.DecodeError:
        return Ledger(book)
