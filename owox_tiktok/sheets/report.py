"""What a run writes into its control Sheet: the status, the log, and a record for those who ask from outside.

A ``Report`` listens to a run's events and writes rarely, so that the quota is left to the rows: along with a batch of
rows (``client.Rider``), or where none has gone for a while, with a look at where things are and a batch. The record
(how far the run is, and what came of the last ones) is in a place of its own, see ``record``; a request to cancel is
developer metadata of the spreadsheet.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from http import HTTPStatus
from zoneinfo import ZoneInfo

from owox_tiktok.errors import BadInput, Problem, StoreBusy, StoreFailed
from owox_tiktok.events import (
    Event,
    Failed,
    Finished,
    Pruned,
    Started,
    Stored,
    Waiting,
    Warned,
    account,
    counted,
    rows_of,
)
from owox_tiktok.sheets import lease, requests
from owox_tiktok.sheets import record as record_of_runs
from owox_tiktok.sheets.cells import EPOCH, Cell, Json, cell, moment, serial, settled
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.errors import OverQuota, SheetRefused, TooManyCells
from owox_tiktok.sheets.record import (
    MOST_LINES,
    MOST_OF_LINE,
    RECORD,
    HiddenTab,
    Keeper,
    ObjectProgress,
    Record,
    Run,
)
from owox_tiktok.sheets.requests import Block, show_as
from owox_tiktok.sheets.standing import up_to_date
from owox_tiktok.sheets.tabs import (
    COLUMNS_WITHIN,
    HEADINGS_WITHIN,
    TAB,
    Snapshot,
    Structure,
    Tab,
    Tag,
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
"""Of a line of the log."""
PAST_RUNS = 10
QUIET_S = 60.0
"""A run that has written so lately is taken for alive."""

CANCEL_ID, CANCEL = 1_907_405_123, "owox.cancel"

DATE_TIME = ("DATE_TIME", "yyyy-mm-dd hh:mm:ss")
DATE = ("DATE", "yyyy-mm-dd")


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often a report writes, and how long a write may be tried; all in seconds.

    The next write comes ``first_s`` after the first, then they become rarer until there are ``every_s`` between two:
    four a minute, of the sixty that Google grants. Batches of rows take one along, ``along_s`` after another at the
    earliest. A write may take ``write_s`` (the rows are more important), the last
    one ``last_write_s``: after it nobody else says what came of the run, and Google's quota may be short.
    """

    first_s: float = 8.0
    along_s: float = 2.0
    every_s: float = 15.0
    write_s: float = 20.0
    last_write_s: float = 600.0


INTERVALS = Intervals()

Mirror = Callable[[Record], bool]
"""Keeps the record somewhere else as well, before the Sheet gets it; says whether somebody has cancelled the run there.

Raises nothing: what goes wrong with it is its own matter."""


class Report:
    """Writes one run into its Sheet; to be called with its events. The caller holds the lease."""

    def __init__(
        self,
        book: Spreadsheet,
        run: str,
        *,
        intervals: Intervals = INTERVALS,
        keeper: Keeper | None = None,
        everything: bool = True,
        mirror: Mirror | None = None,
    ) -> None:
        """``keeper`` keeps the record; the Sheet's own hidden tab unless it is given. ``mirror`` gets it as well.

        ``everything``: nothing was left out, so that the Sheet is up to date when the run is done.
        """
        self._book, self._intervals, self._everything = book, intervals, everything
        self._keeper: Keeper = keeper or HiddenTab(book)
        self._mirror = mirror
        self.run = Run(run, book.now())
        self.earlier: Finished | None = None
        self._past: list[Run] = []
        # One fewer than the log takes: a tab cannot lose all its rows before it gets new ones.
        self._lines: deque[_Line] = deque(maxlen=MOST_LOG_ROWS - 1)
        self._newest: deque[_Line] = deque(maxlen=MOST_LINES)
        """The newest lines, newest first, for the record."""
        self._count = self._written = 0
        self._saying = threading.Lock()
        self._names: Mapping[str, str] = {}
        self._status = "Importing · making the plan"
        self._last_day: date | None = None
        self._healed: tuple[str, ...] = ()
        self._through: date | None = None
        """The day through which TikTok's totals confirm all that is stored."""
        self._cancelled = False
        self._seen: tuple[dict[int, Snapshot], tuple[Tag, ...]] | None = None
        """What the first write rests on, seen just before."""
        self._began = book.limits.clock()
        self._due = self._due_along = 0.0
        self._told = False
        """Whether the Sheet says how the run has ended."""
        self._rides = False
        """Whether a batch of rows takes a write along just now."""
        self._config: Tab | None = None
        self._logs: Tab | None = None
        self._zone = ZoneInfo("UTC")

    def begin(self) -> None:
        """Find the tabs and say that the run has begun. Into a Sheet without these tabs nothing is written."""
        self._look(recent=True)
        self._seen = self._see()
        if before := self._keeper.found(*self._seen):
            self._go_on(before)
        self._flush(self._intervals.write_s)
        self._book.rider = self

    def _go_on(self, before: Record) -> None:
        """Take over from the record what it says of the runs before, and of an earlier part of this one."""
        # A run that another one came before may be among them, too.
        past = [one for one in (before.run, *before.past) if one.run != self.run.run]
        self._past = [_brief(one) for one in past[:PAST_RUNS]]
        self._newest.extend(before.lines[: MOST_LINES - len(self._newest)])
        if before.run.run == self.run.run:  # this goes on with a run that stopped
            self.run, self.earlier = before.run, before.run.so_far
            self._count = self._written = before.run.lines
            self.run.state, self.run.ended, self.run.so_far = State.RUNNING, None, None

    def _look(self, *, recent: bool = False) -> None:
        structure = self._book.structure((TAB,), recent=recent)
        self._config, self._logs = tab_called(structure, CONFIG), tab_called(structure, LOGS)
        self._keeper.look(structure)
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
                self._status = f"Importing {self.run.percent} % · {counted(event.windows, 'window')} to read"
                work = f"{counted(event.windows, 'window')} of {counted(len(event.work), 'object')}"
                self.say("INFO", f"Import started: {work} to read")
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
        line = (self._book.now(), level, title, settled(who), settled(message)[:MOST_CHARACTERS])
        with self._saying:  # who reads from TikTok says that it waits
            self._count += 1
            self._lines.append(line)
            self._newest.appendleft((*line[:4], line[4][:MOST_OF_LINE]))

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
        elif not self._told:  # that it has ended was just being written
            self._flush(lease.TERMS.give_back_s)

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
        self._healed = event.healed
        if event.confirmed:
            self.say("INFO", event.confirmed)
        self.run.proof, self._through = event.confirmed, event.proof.through
        self.say(ABOUT[event.state].severity, event.summary)
        self._end(event.state, event.summary)

    def _end(self, state: State, status: str, within_s: float | None = None) -> None:
        self._status = status = settled(status)
        self.run.state, self.run.ended, self.run.message = state, self._book.now(), status[:1_000]
        self._flush(self._intervals.last_write_s if within_s is None else within_s)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _flush(self, within_s: float) -> None:
        """Write status, log and record in one batch. A write that fails is tried again with the next."""
        if self._mirror and self._mirror(self._record()):
            self._cancelled = True
        try:
            with self._book.within(within_s):
                self._write_what_can_be()
        except StoreBusy:
            raise
        except OverQuota as error:  # the rows are more important, and the next write says it all
            log.log(logging.WARNING if self.run.ended else logging.INFO, "no status was written: %s", error.sentence)
        except StoreFailed as error:
            log.warning("the status was not written: %s", error.sentence)
        finally:
            self._wait()

    def _wait(self) -> None:
        now, often = self._book.limits.clock(), self._intervals
        self._due = now + min(often.every_s, often.first_s + (now - self._began) / 8)
        self._due_along = min(self._due, now + often.along_s)

    def _write_what_can_be(self) -> None:
        """Write all; without the log where that has no room, and the status, at least, where the rest is refused."""
        for parts in _PARTS:
            try:
                return self._write(parts)
            except TooManyCells as error:
                refused: StoreFailed = error
            except SheetRefused as error:
                if error.code != HTTPStatus.BAD_REQUEST:
                    raise
                refused = error
                # Somebody has changed the tabs, or a write that was given up has arrived.
                self._look()
        raise refused

    def blocks(self) -> list[Block]:
        """Return what has to be seen for a write that goes along with a batch of rows; nothing while none is due."""
        self._rides = self._book.limits.clock() >= self._due_along and not self.run.ended
        return self._blocks() if self._rides else []

    def requests(self, seen: Mapping[int, Snapshot], tags: Sequence[Tag]) -> list[Json]:
        """Return the write that goes along."""
        return self._batch(seen, tags, _PARTS[0]) if self._rides else []

    def written(self, refused: SheetRefused | TooManyCells | None = None) -> None:
        """Take note of a write that went along; after a refusal there is none any more."""
        if refused:
            log.info("the status does not go along with rows: %s", refused.sentence)
            self._book.rider = None
        elif self._rides:
            self._forget(self.run.lines)
            self._wait()
        self._rides = False

    def _write(self, parts: frozenset[str]) -> None:
        seen, tags = self._seen or self._see()
        self._seen = None
        self._book.apply(self._batch(seen, tags, parts))
        self._told = self.run.ended is not None
        self._forget(self.run.lines)

    def _batch(self, seen: Mapping[int, Snapshot], tags: Sequence[Tag], parts: frozenset[str]) -> list[Json]:
        before = self._keeper.found(seen, tags)
        if before and before.run.run == self.run.run:
            self._forget(before.run.lines)
        cancel = next((t.value for t in tags if t.id == CANCEL_ID), None)
        self._cancelled = self._cancelled or cancel == self.run.run
        batch: list[Json] = []
        if self._config and self._config.id in seen and "status" in parts:
            self._config = _sized(self._config, seen)
            batch += self._outputs(self._config, seen[self._config.id])
        with self._saying:
            lines, count = list(self._lines), self._count
        self.run.lines = self._written
        if self._logs and self._logs.id in seen:
            self._logs = _sized(self._logs, seen)
            if lines and "log" in parts and (rows := self._log_rows(self._logs, seen[self._logs.id], lines)):
                batch += rows
                self.run.lines = count
        if "record" in parts:
            batch += self._keeper.requests(self._record())
        if cancel == self.run.run and self.run.ended:  # another's may be one that waits
            batch.append(requests.delete_metadata(CANCEL_ID, cancel))
        return batch

    def _record(self) -> Record:
        """Return how far the run is."""
        self.run.message = self.run.message if self.run.ended else self._status
        with self._saying:
            newest = list(self._newest)
        return Record(self.run, self._past, self._book.id, newest, self._book.now())

    def _see(self) -> tuple[dict[int, Snapshot], tuple[Tag, ...]]:
        """Return what a write rests on: the tabs, and the tags on the spreadsheet; one call."""
        blocks = self._blocks()
        return self._book.snapshot_and_tags(blocks) if blocks else ({}, self._book.tags((CANCEL, RECORD)))

    def _blocks(self) -> list[Block]:
        tabs = [t for t in (self._config, self._logs) if t]
        blocks = [_top(t, t.rows if t is self._config else HEADINGS_WITHIN) for t in tabs]
        return blocks + self._keeper.blocks()

    def _forget(self, written: int) -> None:
        """Drop the lines that the Sheet has."""
        with self._saying:
            self._written = written
            while self._lines and self._count - len(self._lines) < written:
                self._lines.popleft()

    def _outputs(self, tab: Tab, seen: Snapshot) -> list[Json]:
        """Return the writes of the status, and at the end of the dates, wherever their rows are now."""
        rows = seen.lines()
        place = find_headings(tab, rows, CONFIG_HEADINGS[:2])
        if place is None:
            return []
        label_at, value_at = (place.columns[normal(h)] for h in CONFIG_HEADINGS[:2])
        labelled = {normal(label): row[value_at] for row in rows if isinstance(label := row[label_at], str)}
        status = self._status
        if self.run.ended and self.run.state is State.DONE and self._everything:
            here, schedule = self._book.now().astimezone(self._zone), labelled.get(normal(SCHEDULE))
            did = (rows_of(self.run.rows), *self._healed)
            status = up_to_date(self._last_day, did, str(schedule or ""), here, self._through)
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
        place = find_headings(tab, seen.lines(), LOGS_HEADINGS)
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


_PARTS = tuple(
    frozenset(parts.split())
    for parts in ("status log record", "status log record", "status record", "status", "record")
)
"""What a report tries to write, one after the other: all, all again after another look, and then less."""

_Line = tuple[datetime, str, str, str, str]
"""Time, level, object, advertiser and message."""


def _top(tab: Tab, rows: int) -> Block:
    return Block(tab.id, 0, min(rows, tab.rows), 0, min(tab.columns, COLUMNS_WITHIN))


def _sized(tab: Tab, seen: Mapping[int, Snapshot]) -> Tab:
    """Return a tab with the size it has now."""
    return replace(tab, rows=seen[tab.id].rows, columns=seen[tab.id].columns)


def _brief(run: Run) -> Run:
    """Return a run as it is kept among the past ones."""
    return Run(run.run, run.started, run.state, run.ended, run.message[:100], run.rows)


# --- from outside -----------------------------------------------------------------------------------------------------


def show(book: Spreadsheet, status: str, wanted: Callable[[], bool] = lambda: True) -> None:
    """Write a status that no run writes: that one waits, or has died. Into a Sheet without *Config* nothing is written.

    Two reads and a write, if it is still ``wanted`` after the reads.
    """
    tab = tab_called(book.structure((TAB,), recent=True), CONFIG)
    if tab is None:
        return
    rows = book.values([_top(tab, tab.rows)])[0]
    place = find_headings(tab, rows, CONFIG_HEADINGS[:2])
    if place is None:
        return
    label_at, value_at = (place.columns[normal(h)] for h in CONFIG_HEADINGS[:2])
    at = next((n for n, r in enumerate(rows) if isinstance(r[label_at], str) and _is_status(r[label_at])), None)
    if at is not None and wanted():
        book.apply([requests.write(tab.id, at, value_at, [{"values": [cell(settled(status))]}])])


def _is_status(label: Cell) -> bool:
    return normal(str(label)) == normal(CURRENT_STATUS)


def record(book: Spreadsheet) -> Record | None:
    """Return the record of the spreadsheet's runs, None when there was none; two calls.

    A run that is said to be on although nobody holds the lease has died: it is called stopped.
    """
    found = record_of_runs.read(book)
    return _true(found, lease.holder(book)) if found and found.run.state is State.RUNNING else found


def _true(found: Record, holds: lease.Holder | None) -> Record:
    if found.run.state is State.RUNNING and (holds is None or holds.run != found.run.run):
        found.run.state = State.STOPPED
        found.run.message = "The run ended without reporting it; the next one continues where it was."
    return found


def overview(book: Spreadsheet, most: int = 20) -> tuple[Record | None, list[dict[str, str]]]:
    """Return what ``record`` does and the newest lines of the log; people watch it, and Google counts the calls.

    So it is one call, and whether a run is alive is asked only where it has not written for ``QUIET_S``.
    """
    found = record_of_runs.read(book)
    if found is None:
        return None, recent_lines(book, most)
    if found.at is None or (book.now() - found.at).total_seconds() > QUIET_S:
        found = _true(found, lease.holder(book)) if found.run.state is State.RUNNING else found
    if not found.lines:
        return found, recent_lines(book, most)
    names = [h.lower() for h in LOGS_HEADINGS]
    return found, [
        dict(zip(names, (at.astimezone(UTC).isoformat(timespec="seconds"), *texts), strict=True))
        for at, *texts in found.lines[:most]
    ]


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
