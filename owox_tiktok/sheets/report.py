"""What a run writes into its control Sheet: the status, the log, and a record for those who ask from outside.

A ``Report`` listens to a run's events and writes rarely: a look at where things are, and one batch, soon every
few seconds only, so that the quota is left to the rows. The record is developer metadata of the spreadsheet
(how far the run is, and what came of the last ones); a request to cancel is another piece of it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec

from owox_tiktok.errors import BadInput, Problem, StoreBusy, StoreFailed
from owox_tiktok.events import Event, Failed, Finished, Pruned, Started, Stored, Waiting, Warned, account, rows_of
from owox_tiktok.sheets import lease, requests
from owox_tiktok.sheets.cells import EPOCH, Cell, Json, cell, moment, serial
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.errors import SheetRefused, TooManyCells
from owox_tiktok.sheets.requests import Block, show_as
from owox_tiktok.sheets.standing import up_to_date
from owox_tiktok.sheets.tabs import (
    COLUMNS_WITHIN,
    HEADINGS_WITHIN,
    TAB,
    Snapshot,
    Structure,
    Tab,
    find_headings,
    normal,
    tab_called,
)
from owox_tiktok.sheets.template import (
    CONFIG,
    CONFIG_HEADINGS,
    CURRENT_STATUS,
    LAST_IMPORT_DATE,
    LAST_REQUESTED_DATE,
    LOGS,
    LOGS_HEADINGS,
    MOST_LOG_ROWS,
    SCHEDULE,
)
from owox_tiktok.states import ABOUT, Reason, State
from owox_tiktok.streams import STREAMS

log = logging.getLogger(__name__)

MOST_CHARACTERS = 2_000
"""Of a line of the log. (The record has less room: 30,000 characters, for all objects and the past runs.)"""
PAST_RUNS = 10

RECORD_ID, RECORD = 1_907_405_122, "owox.run"
CANCEL_ID, CANCEL = 1_907_405_123, "owox.cancel"

DATE_TIME = ("DATE_TIME", "yyyy-mm-dd hh:mm:ss")
DATE = ("DATE", "yyyy-mm-dd")


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often a report writes, and how long a write may be tried; all in seconds.

    The next write comes ``first_s`` after the first, then they become rarer until there are ``every_s`` between two:
    four a minute, of the sixty that Google grants. A write may take ``write_s`` (the rows are more important), the last
    one ``last_write_s``.
    """

    first_s: float = 3.0
    every_s: float = 15.0
    write_s: float = 20.0
    last_write_s: float = 90.0


INTERVALS = Intervals()


class ObjectProgress(msgspec.Struct):
    """How far one object is: days (or lists) to read and read, rows stored."""

    work: int = 0
    done: int = 0
    rows: int = 0


class Run(msgspec.Struct):
    """One run, as it stands in the record."""

    run: str
    started: datetime
    state: State = State.RUNNING
    ended: datetime | None = None
    message: str = ""
    rows: int = 0
    windows: int = 0
    windows_done: int = 0
    objects: dict[str, ObjectProgress] = msgspec.field(default_factory=dict)
    so_far: Finished | None = None
    """What came of a run that stopped, for the part that goes on with it."""
    lines: int = 0
    """Lines of the log that the Sheet has been given: so a write without an answer is known again."""

    @property
    def percent(self) -> int:
        """How much of the work is done."""
        work = sum(o.work for o in self.objects.values())
        return 100 * sum(o.done for o in self.objects.values()) // work if work else 0


class Record(msgspec.Struct):
    """The run that is on, or the last one, and those before it, newest first, without their objects.

    ``book`` is the spreadsheet it was made for: a copy of the file has a copy of it, which says nothing.
    """

    run: Run
    past: list[Run] = msgspec.field(default_factory=list)
    book: str = ""


class Report:
    """Writes one run into its Sheet; to be called with its events. The caller holds the lease."""

    def __init__(
        self, book: Spreadsheet, run: str, *, intervals: Intervals = INTERVALS, everything: bool = True
    ) -> None:
        """``everything``: nothing was left out, so that the Sheet is up to date when the run is done."""
        self._book, self._intervals, self._everything = book, intervals, everything
        self.run = Run(run, book.now())
        self.earlier: Finished | None = None
        self._past: list[Run] = []
        # One fewer than the log takes: a tab cannot lose all its rows before it gets new ones.
        self._lines: deque[_Line] = deque(maxlen=MOST_LOG_ROWS - 1)
        self._count = self._written = 0
        self._saying = threading.Lock()
        self._names: Mapping[str, str] = {}
        self._status = "Importing · making the plan"
        self._last_day: date | None = None
        self._cancelled = False
        self._began = book.limits.clock()
        self._due = 0.0
        self._config: Tab | None = None
        self._logs: Tab | None = None
        self._zone = ZoneInfo("UTC")

    def begin(self) -> None:
        """Find the tabs and say that the run has begun. Into a Sheet without these tabs nothing is written."""
        self._look()
        before = _decoded(self._book.metadata(RECORD_ID), self._book)
        if before:
            # A run that another one came before may be among them, too.
            past = [one for one in (before.run, *before.past) if one.run != self.run.run]
            self._past = [_brief(one) for one in past[:PAST_RUNS]]
            if before.run.run == self.run.run:  # this goes on with a run that stopped
                self.run, self.earlier = before.run, before.run.so_far
                self._count = before.run.lines
                self.run.state, self.run.ended, self.run.so_far = State.RUNNING, None, None
        self._flush(self._intervals.write_s)

    def _look(self) -> None:
        structure = self._book.structure((TAB,))
        self._config, self._logs = tab_called(structure, CONFIG), tab_called(structure, LOGS)
        with suppress(Exception):  # a zone that this machine does not know
            self._zone = ZoneInfo(structure.zone)

    def __call__(self, event: Event) -> None:
        """Take note of an event; written with the next batch."""
        match event:
            case Started():
                self._names = event.accounts
                self.run.windows = self.run.windows_done + event.windows
                for name in {**self.run.objects, **event.work}:
                    one = self.run.objects.setdefault(name, ObjectProgress())
                    one.work = one.done + event.work.get(name, 0)
                self._status = f"Importing {self.run.percent} % · {event.windows} windows to read"
                self.say("INFO", f"Import started: {event.windows} windows of {len(event.work)} objects to read")
            case Stored():
                self._stored(event)
            case Waiting() if event.seconds >= self._intervals.every_s:
                self.say("INFO", f"Waiting {event.seconds:.0f} s: {event.reason}")
            case Warned():
                self.say("WARNING", event.message, event.object, event.advertiser_id)
            case Failed():
                self._advance(event.object, event.work, 0)
                self.say("ERROR", event.message, event.object, event.advertiser_id)
            case Pruned():
                verb = "would be deleted" if event.dry_run else "deleted"
                self.say("INFO", f"{rows_of(event.rows)} older than the keep window {verb}", event.object)
            case Finished():
                self._finished(event)

    def say(self, level: str, message: str, object_: str = "", advertiser_id: str = "") -> None:
        """Add a line to the log."""
        title = STREAMS[object_].title if object_ in STREAMS else object_
        who = account(advertiser_id, self._names.get(advertiser_id, ""))
        line = (self._book.now(), level, title, who, message[:MOST_CHARACTERS])
        with self._saying:  # who reads from TikTok says that it waits
            self._count += 1
            self._lines.append(line)

    def halted(self) -> Reason | None:
        """Return a reason when somebody asked for the end; writes what is due, so it is to be called often."""
        if self._book.limits.clock() >= self._due:
            self._flush(self._intervals.write_s)
        return Reason.CANCELLED if self._cancelled else None

    def problem(self, problem: Problem) -> None:
        """Say why the run could not go on, and write it."""
        if isinstance(problem, BadInput):
            for mistake in problem.mistakes:
                self.say("ERROR", str(mistake))
            count = len(problem.mistakes)
            rest = f" (and {count - 1} more, see {LOGS})" if count > 1 else ""
            message = f"{problem.mistakes[0]}{rest}"
        else:
            message = problem.sentence
            self.say("ERROR", message)
        self._end(State.ERROR, f"{ABOUT[State.ERROR].headline}: {message}")

    def interrupted(self, why: str) -> None:
        """Say that the run was broken off, unless it had ended, and write it; who pressed Ctrl-C does not wait long."""
        if self.run.state is State.RUNNING:
            self.say("WARNING", why)
            self._end(State.STOPPED, f"{ABOUT[State.STOPPED].headline}: {why}", lease.TERMS.give_back_s)

    # --- what the events say ------------------------------------------------------------------------------------------

    def _stored(self, event: Stored) -> None:
        self.run.windows_done += 1
        self.run.rows += event.rows
        self._advance(event.object, event.work, event.rows)
        if event.last and (self._last_day is None or event.last > self._last_day):
            self._last_day = event.last
        done, all_ = self.run.windows_done, max(self.run.windows, self.run.windows_done)
        title = STREAMS[event.object].title
        self._status = f"Importing {self.run.percent} % · {title} · {done} of {all_} windows"

    def _advance(self, name: str, work: int, rows: int) -> None:
        if name in self.run.objects:
            self.run.objects[name].done += work
            self.run.objects[name].rows += rows

    def _finished(self, event: Finished) -> None:
        for name, rows in event.rows.items():
            self.say("INFO", f"{rows_of(rows)} stored", name)
        if event.stopped:
            self.run.so_far = event
        self.say(ABOUT[event.state].severity, event.summary)
        self._end(event.state, event.summary)

    def _end(self, state: State, status: str, within_s: float | None = None) -> None:
        self._status = status
        self.run.state, self.run.ended, self.run.message = state, self._book.now(), status[:1_000]
        self._flush(self._intervals.last_write_s if within_s is None else within_s)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _flush(self, within_s: float) -> None:
        """Write status, log and record in one batch. A write that fails is tried again with the next."""
        try:
            with self._book.within(within_s):
                try:
                    self._write()
                except TooManyCells:
                    self._write(with_log=False)  # the status needs no room
                except SheetRefused:
                    # Somebody has changed the tabs, or a write that was given up has arrived.
                    self._look()
                    self._write()
        except StoreBusy:
            raise
        except StoreFailed as error:
            log.warning("the status was not written: %s", error.sentence)
        finally:
            now, often = self._book.limits.clock(), self._intervals
            self._due = now + min(often.every_s, often.first_s + (now - self._began) / 8)

    def _write(self, *, with_log: bool = True) -> None:
        known = {t.id: t.value for t in self._book.tags((RECORD, CANCEL))}
        before = _decoded(known.get(RECORD_ID), self._book)
        if before and before.run.run == self.run.run:
            self._forget(before.run.lines)
        cancel = known.get(CANCEL_ID)
        self._cancelled = self._cancelled or cancel == self.run.run
        tabs = [t for t in (self._config, self._logs) if t]
        blocks = [_top(t, t.rows if t is self._config else HEADINGS_WITHIN) for t in tabs]
        seen = self._book.snapshot(blocks) if blocks else {}
        batch: list[Json] = []
        if self._config and self._config.id in seen:
            self._config = _sized(self._config, seen)
            batch += self._outputs(self._config, seen[self._config.id])
        with self._saying:
            lines, count = list(self._lines), self._count
        self.run.lines = self._written
        if self._logs and self._logs.id in seen:
            self._logs = _sized(self._logs, seen)
            if lines and with_log and (rows := self._log_rows(self._logs, seen[self._logs.id], lines)):
                batch += rows
                self.run.lines = count
        self.run.message = self.run.message if self.run.ended else self._status
        text = msgspec.json.encode(Record(self.run, self._past, self._book.id)).decode()
        if RECORD_ID in known:
            batch.append(requests.update_metadata(RECORD_ID, known[RECORD_ID], text))
        else:
            batch.append(requests.create_metadata(RECORD, text, RECORD_ID))
        if cancel == self.run.run and self.run.ended:  # another's may be one that waits
            batch.append(requests.delete_metadata(CANCEL_ID, cancel))
        self._book.apply(batch)
        self._forget(self.run.lines)

    def _forget(self, written: int) -> None:
        """Drop the lines that the Sheet has."""
        with self._saying:
            self._written = written
            while self._lines and self._count - len(self._lines) < written:
                self._lines.popleft()

    def _outputs(self, tab: Tab, seen: Snapshot) -> list[Json]:
        """Return the writes of the status, and at the end of the dates, wherever their rows are now."""
        rows = _rows(seen)
        place = find_headings(tab, rows, CONFIG_HEADINGS[:2])
        if place is None:
            return []
        label_at, value_at = (place.columns[normal(h)] for h in CONFIG_HEADINGS[:2])
        labelled = {normal(label): row[value_at] for row in rows if isinstance(label := row[label_at], str)}
        status = self._status
        if self.run.ended and self.run.state is State.DONE and self._everything:
            here, schedule = self._book.now().astimezone(self._zone), labelled.get(normal(SCHEDULE))
            status = up_to_date(self._last_day, rows_of(self.run.rows), str(schedule or ""), here)
        wanted: dict[str, tuple[Cell, tuple[str, str] | None]] = {normal(CURRENT_STATUS): (status, None)}
        if self.run.ended and self.run.state in (State.DONE, State.PARTLY_DONE):
            ended = self.run.ended.astimezone(self._zone)
            wanted[normal(LAST_IMPORT_DATE)] = (serial(ended), DATE_TIME)
            if self._last_day:
                wanted[normal(LAST_REQUESTED_DATE)] = ((self._last_day - EPOCH).days, DATE)
        batch = []
        for number, row in enumerate(rows):
            label = row[label_at]
            if isinstance(label, str) and normal(label) in wanted:
                value, shown = wanted.pop(normal(label))
                batch.append(requests.write(tab.id, number, value_at, [{"values": [cell(value)]}]))
                if shown:
                    batch.append(show_as(Block(tab.id, number, number + 1, value_at, value_at + 1), *shown))
        return batch

    def _log_rows(self, tab: Tab, seen: Snapshot, lines: Iterable[_Line]) -> list[Json]:
        """Return the writes of log lines below the headings, newest on top, and the end of what is too old."""
        place = find_headings(tab, _rows(seen), LOGS_HEADINGS)
        if place is None:
            return []
        newest: list[Mapping[str, Cell]] = []
        for at, *texts in lines:
            newest.insert(0, dict(zip(LOGS_HEADINGS, (serial(at.astimezone(self._zone)), *texts), strict=True)))
        first, count = place.row + 1, len(newest)
        batch: list[Json] = []
        left = min(seen.rows, first + MOST_LOG_ROWS - count)
        if left < seen.rows:  # first, so that it works in a spreadsheet that is full
            batch.append(requests.delete(tab.id, "ROWS", left, seen.rows))
        if first < left:
            batch.append(requests.insert(tab.id, "ROWS", first, first + count, like_before=False))
        else:
            batch.append(requests.append(tab.id, "ROWS", count))
        for heading in LOGS_HEADINGS:
            column = place.columns[normal(heading)]
            values: list[Json] = [{"values": [cell(line[heading] or None)]} for line in newest]
            batch.append(requests.write(tab.id, first, column, values))
        time_at = place.columns[normal(LOGS_HEADINGS[0])]
        batch.append(show_as(Block(tab.id, first, first + count, time_at, time_at + 1), *DATE_TIME))
        return batch


_Line = tuple[datetime, str, str, str, str]
"""Time, level, object, advertiser and message."""


def _top(tab: Tab, rows: int) -> Block:
    return Block(tab.id, 0, min(rows, tab.rows), 0, min(tab.columns, COLUMNS_WITHIN))


def _sized(tab: Tab, seen: Mapping[int, Snapshot]) -> Tab:
    """Return a tab with the size it has now."""
    return replace(tab, rows=seen[tab.id].rows, columns=seen[tab.id].columns)


def _rows(seen: Snapshot) -> list[list[Cell]]:
    width = max((c for row in seen.values.values() for c in row), default=0) + 1
    return [[seen.values.get(r, {}).get(c) for c in range(width)] for r in range(max(seen.values, default=-1) + 1)]


def _decoded(text: str | None, book: Spreadsheet) -> Record | None:
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=Record)
    except msgspec.DecodeError:
        return None
    return found if found.book in (book.id, "") else None


def _brief(run: Run) -> Run:
    """Return a run as it is kept among the past ones."""
    return Run(run.run, run.started, run.state, run.ended, run.message[:100], run.rows)


# --- from outside -----------------------------------------------------------------------------------------------------


def record(book: Spreadsheet) -> Record | None:
    """Return the record of the spreadsheet's runs, None when there was none; two calls.

    A run that is said to be on although nobody holds the lease has died: it is called stopped.
    """
    found = _decoded(book.metadata(RECORD_ID), book)
    return _true(found, lease.holder(book)) if found and found.run.state is State.RUNNING else found


def _true(found: Record, holds: lease.Holder | None) -> Record:
    if found.run.state is State.RUNNING and (holds is None or holds.run != found.run.run):
        found.run.state = State.STOPPED
        found.run.message = "The run ended without reporting it; the next one continues where it was."
    return found


def overview(book: Spreadsheet, most: int = 20) -> tuple[Record | None, list[dict[str, str]]]:
    """Return what ``record`` and ``recent_lines`` do, in three calls: people watch it, and Google counts the calls."""
    structure = book.structure((TAB, RECORD, lease.LEASE))
    said = {t.id: t.value for t in structure.tags}
    found = _decoded(said.get(RECORD_ID), book)
    known = _true(found, lease.holder_in(said.get(lease.LEASE_ID), book)) if found else None
    return known, _recent_lines(book, structure, most)


def cancel(book: Spreadsheet, run: str = "") -> str | None:
    """Ask the run that is on to end between two windows; return its name, None when none is on.

    One that waits, to begin or to go on, is asked by its name ``run``, and ends when it does.
    """
    if not run:
        holds = lease.holder(book)
        if holds is None:
            return None
        run = holds.run
    try:
        book.apply([requests.create_metadata(CANCEL, run, CANCEL_ID)])
    except SheetRefused:
        there = book.metadata(CANCEL_ID)
        if there is None:
            raise
        if there != run:  # left by a run that is over
            book.apply([requests.delete_metadata(CANCEL_ID, there)])
            book.apply([requests.create_metadata(CANCEL, run, CANCEL_ID)])
    return run


def recent_lines(book: Spreadsheet, most: int = 20) -> list[dict[str, str]]:
    """Return the newest lines of the log, as texts by lower-case heading; times in UTC as ISO 8601."""
    return _recent_lines(book, book.structure((TAB,)), most)


def _recent_lines(book: Spreadsheet, structure: Structure, most: int) -> list[dict[str, str]]:
    tab = tab_called(structure, LOGS)
    if tab is None:
        return []
    rows = book.values([_top(tab, HEADINGS_WITHIN + most)])[0]
    place = find_headings(tab, rows, LOGS_HEADINGS)
    if place is None:
        return []
    zone = ZoneInfo("UTC")
    with suppress(Exception):
        zone = ZoneInfo(structure.zone)
    found = []
    for row in rows[place.row + 1 : place.row + 1 + most]:
        line: Mapping[str, Cell] = {h: row[place.columns[normal(h)]] for h in LOGS_HEADINGS}
        at = line[LOGS_HEADINGS[0]]
        if isinstance(at, int | float) and not isinstance(at, bool):
            texts = {h.lower(): str(line[h] or "") for h in LOGS_HEADINGS}
            found.append({**texts, "time": moment(at, zone).astimezone(UTC).isoformat(timespec="seconds")})
    return found
