"""The loop: a few readers, one writer or several; rows land with their cursor, oldest day first.

Readers take windows in plan order and read them side by side. A step is all that is ready of one stream, or of all
streams where the destination mixes them; where it can, steps are stored side by side. A pair's windows are stored
strictly in date order, however they arrive, and a pair is in one step at a time, so that a cursor never covers a day
that is not there. A failure is reported and closes its pair; the others continue. Knows no edge: reading, storing and
reporting are passed in.
"""

from __future__ import annotations

import heapq
import logging
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from owox_tiktok.errors import (
    AccountRefused,
    Halted,
    Problem,
    StoreBusy,
    StoreDenied,
    StoreFailed,
    StoreGone,
    StoreTaken,
    TokenRefused,
)
from owox_tiktok.events import Failed, Listener, Proof, Pruned, Started, Stored, Warned
from owox_tiktok.model import Chunk, Destination, Halve, Mixes, Reading, Step, Stream, Window
from owox_tiktok.model import Stored as StoredRows
from owox_tiktok.plan import Pair
from owox_tiktok.spool import Spool
from owox_tiktok.states import Reason
from owox_tiktok.trust.closing import closed_part
from owox_tiktok.trust.seals import in_order

ENOUGH = 0.6
"""A stream is stored when so much of a step has arrived, or all of it, or after the destination's ``linger_s``."""
WAITING_BYTES = 256 * 2**20
"""Where steps are stored side by side, readers wait while row files of so many bytes are not stored yet."""
STEPS_OF_ONE = 2
"""So many steps of one stream may be under way: one is brought there while the other is committed."""
ASK_S = 1.0
"""At least this often the run asks whether it is to stop, also while it lingers."""

ReadWindow = Callable[[Pair, Window | None, Path], Reading]

log = logging.getLogger(__name__)


def work_of(pair: Pair, window: Window | None) -> int:
    """Return how much a window counts in the progress: its days, or 1 for a list."""
    return window.days if window is not None and pair.stream.time else 1


@dataclass(order=True, slots=True)
class _Task:
    order: int
    first: date
    last: date
    pair: Pair = field(compare=False)
    window: Window | None = field(compare=False)

    @property
    def stream(self) -> _Stream:
        """What is stored together: a stream with the same fields."""
        return self.pair.stream.name, self.pair.fields


_Stream = tuple[str, tuple[str, ...]]
_ANY: _Stream = ("", ())
"""In place of a stream where all are stored together."""


@dataclass(slots=True)
class _Arrived:
    task: _Task
    path: Path
    reading: Reading
    size_bytes: int
    at: float

    @property
    def values(self) -> int:
        return self.reading.rows * (len(self.task.pair.fields) + len(self.task.pair.stream.keys))

    def share_of(self, step: Step) -> float:
        """Return how much of a step it is: 1 fills it."""
        return max(self.values / step.values, self.size_bytes / step.size_bytes)


@dataclass
class Outcome:
    """What a run did, per object and in all."""

    rows: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """Why pairs failed, where that is known: one for each of them."""
    work: int = 0
    kept: int = 0
    rows_kept: int = 0
    rows_confirmed: int = 0
    confirmed_spend: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    """Spend that TikTok's totals confirm, by object and currency."""
    closed_days: int = 0
    """Days that were over for TikTok when they were read, of reports that it gives totals of."""
    confirmed_days: int = 0
    warnings: int = 0
    pruned: dict[str, int] = field(default_factory=dict)
    stopped: Reason | None = None
    left: int = 0

    def forget_rows(self) -> None:
        """Nothing that was stored so far is there any more."""
        self.rows, self.replaced = {}, {}
        self.work = self.kept = self.rows_kept = self.rows_confirmed = self.closed_days = self.confirmed_days = 0
        self.confirmed_spend = {}

    @property
    def proof(self) -> Proof:
        """What TikTok's totals confirm."""
        most = max(
            {name for name, _ in self.confirmed_spend},
            key=lambda name: (sum(a for (n, _), a in self.confirmed_spend.items() if n == name), name),
            default="",
        )
        spend = {currency: amount for (name, currency), amount in self.confirmed_spend.items() if name == most}
        return Proof(spend, self.closed_days, self.confirmed_days)


def _day_after(task: _Task) -> date:
    """Return the day its pair must store next: the day after, or the first of the next window."""
    if task.window is None:
        return date.max
    after = task.last + timedelta(days=1)
    return next((w.first for w in task.pair.windows if w and w.first >= after), after) if _ends(task) else after


def _ends(task: _Task) -> bool:
    """Whether a window of the plan ends with it (one that was too large comes in halves)."""
    return any(w is not None and w.last == task.last for w in task.pair.windows)


class _Board:
    """What is to be read, what has arrived and what may be stored next. The only state that threads share."""

    def __init__(self, pairs: Sequence[Pair], readers: int, step: Step, side_by_side: int, *, mixed: bool) -> None:
        self._step, self._mixed = step, mixed
        self._lock = threading.Condition()
        self._todo = [
            _Task(n, w.first if w else date.min, w.last if w else date.min, pair, w)
            for n, pair in enumerate(pairs)
            for w in pair.windows
        ]
        heapq.heapify(self._todo)
        # The day each pair must store next; a date of its own for lists.
        self._next = [p.windows[0].first if p.windows[0] else date.min for p in pairs]
        self._left = [sum(work_of(p, w) for w in p.windows) for p in pairs]
        self._unread = Counter(self._together(t) for t in self._todo)
        """Windows of each stream that are not read, or just being read."""
        self._reading = 0
        self._arrived: dict[tuple[int, date], _Arrived] = {}
        self._storing: dict[int, _Task] = {}
        """The last window that is being stored of each pair."""
        self._steps: Counter[_Stream] = Counter()
        """Steps of each stream that are being stored."""
        self._waiting = self._waiting_bytes = 0
        """Windows that were read and are not stored, and the size of their files."""
        self._side_by_side = side_by_side
        # One writer that is slower than the readers would find much to be read again when a run is stopped.
        self._most_waiting = 2 * readers if side_by_side == 1 else math.inf
        self._closed: set[int] = set()
        self._troubles: list[tuple[_Task, BaseException]] = []
        self._stopped = False

    def _together(self, task: _Task) -> _Stream:
        """Return with what a window is stored together."""
        return _ANY if self._mixed else task.stream

    # --- for readers --------------------------------------------------------------------------------------------------

    def take(self) -> _Task | None:
        """Return the next window to read, or None when there is none left; waits while too much is under way."""
        with self._lock:
            while True:
                if self._stopped or (not self._todo and not self._reading):
                    self._lock.notify_all()
                    return None
                if self._todo and self._has_room():
                    self._reading += 1
                    return heapq.heappop(self._todo)
                self._lock.wait()

    def _has_room(self) -> bool:
        if self._waiting + self._reading < self._most_waiting and self._waiting_bytes < WAITING_BYTES:
            return True
        # Halves of a window may come after later ones: what those wait for is read in any case.
        return not self._reading and self._todo[0].first == self._next[self._todo[0].order]

    def halve(self, task: _Task) -> None:
        """Put a window back as two."""
        assert task.window is not None
        with self._lock:
            self._reading -= 1
            self._unread[self._together(task)] += 1
            for half in task.window.halves():
                heapq.heappush(self._todo, _Task(task.order, half.first, half.last, task.pair, half))
            self._lock.notify_all()

    def arrived(self, task: _Task, path: Path, reading: Reading) -> None:
        """Hand a window that was read to the writer."""
        arrived = _Arrived(task, path, reading, path.stat().st_size if path.exists() else 0, time.monotonic())
        with self._lock:
            self._reading -= 1
            self._unread[self._together(task)] -= 1
            self._arrived[task.order, task.first] = arrived
            self._waiting += 1
            self._waiting_bytes += arrived.size_bytes
            self._lock.notify_all()

    def trouble(self, task: _Task, error: BaseException) -> None:
        """Hand the writer the reason why a window cannot be read; later windows of the pair are not read any more."""
        with self._lock:
            self._reading -= 1
            self._unread[self._together(task)] -= 1
            self._troubles.append((task, error))
            self._drop(lambda t: t.order == task.order and t.first >= task.first)

    def _drop(self, which: Callable[[_Task], bool]) -> None:
        """Leave windows unread."""
        for task in filter(which, self._todo):
            self._unread[self._together(task)] -= 1
        self._todo = [t for t in self._todo if not which(t)]
        heapq.heapify(self._todo)
        self._lock.notify_all()

    # --- for the writer -----------------------------------------------------------------------------------------------

    def wait(self) -> tuple[list[_Arrived], list[tuple[_Task, BaseException]]] | None:
        """Return a step to be stored now (a pair's days in order) and what failed; None at the end.

        Both are empty when nothing has come for a second. A failure waits for the earlier days of its pair, which are
        good and will be stored, and one that ends other pairs too for all that is being stored.
        """
        with self._lock:
            until = time.monotonic() + ASK_S
            while True:
                ready, linger_s = self._storable()
                due = [t for t in self._troubles if self._is_due(*t)]
                self._troubles = [t for t in self._troubles if t not in due]
                if ready or due:
                    return ready, due
                if not self._todo and not self._reading and not self._waiting and not self._troubles:
                    return None
                # A time-out lets Ctrl-C through on every platform, and the run see whether it is to stop.
                left_s = until - time.monotonic()
                if left_s <= 0:
                    return [], []
                self._lock.wait(min(left_s, linger_s))

    def failed_so_far(self) -> list[tuple[_Task, BaseException]]:
        """Return the failures that still waited for their turn: who ends early tells them, in no order."""
        with self._lock:
            failed, self._troubles = self._troubles, []
            return [(task, error) for task, error in failed if not isinstance(error, Halted)]

    def arrived_so_far(self) -> list[_Arrived]:
        """Return a step of what has arrived, however little it is: who ends early has not read it for nothing."""
        with self._lock:
            return self._storable(now=True)[0]

    def _storable(self, *, now: bool = False) -> tuple[list[_Arrived], float]:
        """Return the first step that is worth storing, and else for how many seconds more rows may make a better one.

        Steps are of streams in reading order. Where a step is complete, or nothing more can come, nobody lingers.
        """
        for order, first in [key for key in self._arrived if key[0] in self._closed]:
            self._left_out(self._arrived.pop((order, first)))
        linger_s = ASK_S
        if sum(self._steps.values()) >= self._side_by_side:
            return [], linger_s
        ready: dict[_Stream, list[_Arrived]] = {}
        shares: defaultdict[_Stream, float] = defaultdict(float)
        full: set[_Stream] = set()
        following: dict[int, date] = {}
        for order, first in sorted(self._arrived):
            found = self._arrived[order, first]
            stream = self._together(found.task)
            if order in self._storing or stream in full or first != following.get(order, self._next[order]):
                continue
            share = found.share_of(self._step)
            if shares[stream] and shares[stream] + share > 1:
                full.add(stream)
                continue
            ready.setdefault(stream, []).append(found)
            shares[stream] += share
            # The next window of this pair may be here as well.
            following[order] = _day_after(found.task)
        for stream, step in ready.items():
            if self._steps[stream] >= min(STEPS_OF_ONE, self._side_by_side):
                continue
            lingers_s = min(a.at for a in step) + self._step.linger_s - time.monotonic()
            stuck = not self._reading and (not self._todo or not self._has_room())
            if now or stream in full or shares[stream] >= ENOUGH or not self._unread[stream] or lingers_s <= 0 or stuck:
                self._begin(stream, step)
                return step, 0
            linger_s = min(linger_s, lingers_s)
        return [], linger_s

    def _begin(self, stream: _Stream, step: Sequence[_Arrived]) -> None:
        self._steps[stream] += 1
        for one in step:
            task = one.task
            del self._arrived[task.order, task.first]
            self._storing[task.order] = task
            self._next[task.order] = _day_after(task)

    def _is_due(self, task: _Task, error: BaseException) -> bool:
        if isinstance(error, TokenRefused | AccountRefused | StoreGone):
            return not self._storing
        if task.order in self._storing:
            return False
        return task.order in self._closed or self._next[task.order] >= task.first

    def _left_out(self, arrived: _Arrived) -> None:
        arrived.path.unlink(missing_ok=True)
        self._waiting -= 1
        self._waiting_bytes -= arrived.size_bytes
        self._lock.notify_all()

    def stored(self, arrived: _Arrived) -> None:
        """A window is in the destination, or will not be: its row file is no longer needed."""
        with self._lock:
            self._left_out(arrived)
            self._left[arrived.task.order] -= work_of(arrived.task.pair, arrived.task.window)

    def done(self, step: Sequence[_Arrived]) -> None:
        """A step has ended, well or not; its pairs may be in another one."""
        with self._lock:
            self._steps[self._together(step[0].task)] -= 1
            for one in step:
                self._storing.pop(one.task.order, None)
            self._lock.notify_all()

    def close(self, order: int) -> int:
        """Read and store no more of a pair; return the work it leaves."""
        with self._lock:
            self._closed.add(order)
            self._drop(lambda t: t.order == order)
            return self._left[order]

    def is_closed(self, order: int) -> bool:
        """Whether a pair has ended early."""
        return order in self._closed

    def left(self) -> int:
        """Return how many windows are not stored, of pairs that are not closed."""
        with self._lock:
            return len(self._todo) + self._reading + self._waiting

    def stop(self) -> None:
        """Let the readers end."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()


def run(
    pairs: Sequence[Pair],
    read: ReadWindow,
    destination: Destination,
    listen: Listener,
    *,
    now: datetime,
    readers: int,
    halted: Callable[[], Reason | None] = lambda: None,
) -> Outcome:
    """Read and store every window of ``pairs``; raises only when nothing can go on (StoreBusy, an interruption).

    ``halted`` is asked between stores, at least once a second: a reason ends the run cleanly, and becomes the
    outcome's ``stopped``; the windows not stored are its ``left``.
    """
    outcome = Outcome()
    work: dict[str, int] = {}
    for pair in pairs:
        work[pair.stream.name] = work.get(pair.stream.name, 0) + sum(work_of(pair, w) for w in pair.windows)
    accounts = {p.advertiser.id: p.advertiser.name for p in pairs if p.advertiser.id}
    listen(Started(len(pairs), sum(len(p.windows) for p in pairs), work, accounts))
    if not pairs:
        return outcome

    side_by_side = destination.step.side_by_side
    board = _Board(pairs, readers, destination.step, side_by_side, mixed=isinstance(destination, Mixes))
    with Spool() as spool:
        writer = _Writer(pairs, board, destination, listen, outcome, now)
        writer.prepare()
        threads = [
            threading.Thread(target=_reader, args=(board, read, spool), name=f"reader-{n}", daemon=True)
            for n in range(min(readers, sum(len(p.windows) for p in pairs)))
        ]
        for thread in threads:
            thread.start()
        steps = _Steps(writer, board, side_by_side)
        try:
            while (turn := board.wait()) is not None:
                ready, troubles = turn
                steps.store(ready)
                for task, error in troubles:
                    writer.trouble(task, error)
                outcome.stopped = halted()
                if outcome.stopped:
                    if not ready:
                        steps.store_last()
                    steps.wait()
                    for task, error in board.failed_so_far():
                        writer.trouble(task, error)
                    outcome.left = board.left()
                    break
            steps.wait()
        finally:
            board.stop()
        for thread in threads:
            # One that waits for TikTok ends with the process; what it reads is read again by the next run.
            thread.join(timeout=0 if outcome.stopped else 5)
    return outcome


class _Steps:
    """Stores steps: one after the other on this thread, or side by side on threads of their own."""

    def __init__(self, writer: _Writer, board: _Board, side_by_side: int) -> None:
        self._writer, self._board, self._side_by_side = writer, board, side_by_side
        self._threads: list[threading.Thread] = []
        self._faults: list[BaseException] = []

    def store(self, step: Sequence[_Arrived]) -> None:
        """Store a step, or begin to; raises what has ended another one (StoreBusy)."""
        self._raise()
        if not step:
            return
        if self._side_by_side == 1:
            self._store(step)
            self._raise()
            return
        self._threads = [t for t in self._threads if t.is_alive()]
        # A daemon: when the run is interrupted, nobody waits for it. All or nothing of it will be there.
        thread = threading.Thread(target=self._store, args=(step,), name="writer", daemon=True)
        self._threads.append(thread)
        thread.start()

    def store_last(self) -> None:
        """Store of what has arrived as much as can be stored at once."""
        for _ in range(self._side_by_side):
            self.store(self._board.arrived_so_far())

    def wait(self) -> None:
        """Wait for the steps that were begun; raises what has ended one."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(ASK_S)  # lets Ctrl-C through
        self._raise()

    def _store(self, step: Sequence[_Arrived]) -> None:
        try:
            self._writer.store(step)
        except BaseException as fault:  # raised where somebody can end the run
            self._faults.append(fault)
        finally:
            self._board.done(step)

    def _raise(self) -> None:
        if self._faults:
            raise self._faults[0]


def _reader(board: _Board, read: ReadWindow, spool: Spool) -> None:
    while (task := board.take()) is not None:
        path = spool.file()
        try:
            board.arrived(task, path, read(task.pair, task.window, path))
        except Halve:
            board.halve(task)
        except Problem as problem:
            board.trouble(task, problem)
        except Exception as error:  # a bug must not hang the writer, nor take the other pairs down
            log.exception("reading %s failed", task.pair.stream.name)
            board.trouble(task, Problem(f"an unexpected {type(error).__name__}", what_to_do="Report it with the log."))


class _Writer:
    """Stores, remembers failures and tells: everything that touches the destination.

    Steps may be stored side by side, but one thread at a time tells what came of it.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        board: _Board,
        destination: Destination,
        listen: Listener,
        outcome: Outcome,
        now: datetime,
    ) -> None:
        self._pairs, self._board, self._destination = pairs, board, destination
        self._listen, self._outcome, self._now = listen, outcome, now
        self._warned: set[tuple[str, str, str]] = set()
        self._refused: dict[tuple[str, str], frozenset[str]] = {}
        self._lock = threading.RLock()

    def prepare(self) -> None:
        """Make the tables ready; a table that cannot be used ends its stream's pairs only."""
        for stream, fields in dict.fromkeys((p.stream.name, p.fields) for p in self._pairs):
            pair = next(p for p in self._pairs if p.stream.name == stream)
            try:
                self._destination.prepare(pair.stream, pair.stream.columns(fields))
            except StoreBusy:
                raise
            except StoreFailed as error:
                for order, other in enumerate(self._pairs):
                    if other.stream.name == stream or isinstance(error, StoreGone):
                        self._fail(order, error)
                if isinstance(error, StoreGone):
                    return

    def store(self, ready: Sequence[_Arrived]) -> None:
        """Store windows in one step; when its rows are refused, one by one, to find which of them."""
        ready = [a for a in ready if not self._dropped(a)]
        if not ready:
            return
        try:
            done = self._put(ready)
        except StoreBusy:
            raise
        except StoreFailed as error:
            if isinstance(error, StoreGone):
                if isinstance(error, StoreTaken):
                    self._outcome.forget_rows()
                for order in range(len(self._pairs)):
                    self._fail(order, error)
            elif len(ready) > 1 and not isinstance(error, StoreDenied):
                for one in ready:
                    self.store([one])
                return
            else:
                for one in ready:
                    self._fail(one.task.order, error)
            for one in ready:
                self._dropped(one)
            return
        for arrived, stored in zip(ready, done, strict=True):
            if stored.rows != arrived.reading.rows:
                self._miscounted(arrived, stored)
                self._dropped(arrived)
                continue
            with self._lock:
                self._tell(arrived, stored)
            self._board.stored(arrived)

    def _miscounted(self, arrived: _Arrived, stored: StoredRows) -> None:
        """End a pair whose rows are not all there although its cursor has moved, and take the cursor back."""
        pair = arrived.task.pair
        what = f"{arrived.reading.rows:,} rows were read, but the destination holds {stored.rows:,} of them"
        with suppress(StoreFailed):
            self._destination.forget(pair.stream, [pair.advertiser.id])
        self._fail(arrived.task.order, StoreFailed(what, what_to_do="The next run reads all of it again."))

    def _dropped(self, arrived: _Arrived) -> bool:
        if not self._board.is_closed(arrived.task.order):
            return False
        self._board.stored(arrived)
        return True

    def _put(self, ready: Sequence[_Arrived]) -> Sequence[StoredRows]:
        if gone := next((a for a in ready if a.reading.rows and not a.path.exists()), None):
            what = f"the temporary file {gone.path} with rows that were read no longer exists"
            advice = "Let nothing clean up that folder while an import runs; the next run reads these rows again."
            raise StoreFailed(what, what_to_do=advice)
        for a in ready:  # a field that one window was refused is not complete, whatever the next one had
            # A pair is in one step at a time, so nobody else writes its key.
            self._refused[a.task.pair.key] = self._refused.get(a.task.pair.key, frozenset()) | a.reading.refused
        chunks = [
            Chunk(
                a.task.pair.stream,
                a.task.pair.advertiser.id,
                a.task.window,
                in_order(a.task.pair.stream.columns(a.task.pair.fields)),
                a.path,
                a.reading.rows,
                a.task.pair.after(a.task.window, now=self._now, refused=self._refused[a.task.pair.key]),
                a.reading.seals,
                self._now,
                confirmed=self._confirmed(a),
                currency=a.task.pair.advertiser.currency,
                read_on=a.task.pair.read_on,
                lookback=a.task.pair.lookback,
            )
            for a in ready
        ]
        if isinstance(self._destination, Mixes):
            return self._destination.store(chunks)
        verb = self._destination.replace if chunks[0].stream.verb == "replace" else self._destination.upsert
        return verb(chunks)

    def _confirmed(self, arrived: _Arrived) -> Window | None:
        """Return the days of a window that were over for TikTok, and whose sums its own totals confirm."""
        task = arrived.task
        if not arrived.reading.adds_up or task.window is None or task.pair.stream.time is None:
            return None
        return closed_part(task.window, task.pair.advertiser.zone, self._now)

    def _tell(self, arrived: _Arrived, stored: StoredRows) -> None:
        pair, window, reading = arrived.task.pair, arrived.task.window, arrived.reading
        name = pair.stream.name
        self._outcome.rows[name] = self._outcome.rows.get(name, 0) + reading.rows
        self._outcome.replaced[name] = self._outcome.replaced.get(name, 0) + stored.replaced
        first, last = (window.first, window.last) if window else (None, None)
        work = work_of(pair, window)
        self._outcome.work += work
        self._outcome.kept += stored.kept
        self._outcome.rows_kept += stored.rows_kept
        self._outcome.rows_confirmed += reading.rows if reading.adds_up else 0
        self._prove(pair, window, reading)
        self._listen(
            Stored(
                name,
                pair.advertiser.id,
                first,
                last,
                reading.rows,
                stored.replaced,
                work,
                stored.kept,
                stored.rows_kept,
            )
        )
        if reading.refused:
            fields = ", ".join(sorted(reading.refused))
            self._warn(pair, f"TikTok does not give {fields} for this account; the other fields are stored")
        for note in (*reading.notes, *stored.notes):
            self._warn(pair, note)

    def _prove(self, pair: Pair, window: Window | None, reading: Reading) -> None:
        """Add up what TikTok's totals confirm, of the days that it does not change any more."""
        outcome = self._outcome
        if window is None or pair.stream.time is None:
            return
        if reading.adds_up:
            spend = sum((seal.spend for seal in reading.seals.values() if seal.spend), Decimal())
            key = (pair.stream.name, pair.advertiser.currency)
            if spend:
                outcome.confirmed_spend[key] = outcome.confirmed_spend.get(key, Decimal()) + spend
        if reading.has_totals and (closed := closed_part(window, pair.advertiser.zone, self._now)):
            outcome.closed_days += closed.days
            outcome.confirmed_days += closed.days if reading.adds_up else 0

    def _warn(self, pair: Pair, message: str) -> None:
        key = (*pair.key, message)
        if key not in self._warned:
            self._warned.add(key)
            self._outcome.warnings += 1
            self._listen(Warned(pair.stream.name, pair.advertiser.id, message))

    def trouble(self, task: _Task, error: BaseException) -> None:
        """End what cannot go on: a pair, those of a refused advertiser, or all when token or temporary files fail."""
        for order, pair in enumerate(self._pairs):
            if (
                order == task.order
                or isinstance(error, TokenRefused | StoreGone)
                or (isinstance(error, AccountRefused) and pair.advertiser.id == task.pair.advertiser.id)
            ):
                self._fail(order, error)

    def _fail(self, order: int, error: BaseException) -> None:
        pair = self._pairs[order]
        message = error.sentence if isinstance(error, Problem) else str(error)
        with self._lock:
            if self._board.is_closed(order):
                return
            left = self._board.close(order)
            if not left and not isinstance(error, StoreTaken):
                return  # it was complete before the advertiser or the token was refused
            self._outcome.failed[pair.key] = message
            request_id = getattr(error, "request_id", "")
            problem = error if isinstance(error, Problem) else None
            if problem:
                self._outcome.problems.append(problem)
            self._listen(Failed(pair.stream.name, pair.advertiser.id, message, request_id, left, problem))
        if isinstance(error, StoreGone):
            return
        with suppress(StoreFailed):  # the reason is a convenience; the failure itself was reported
            self._destination.failed(pair.stream, pair.advertiser.id, message, self._now)


def prune(
    streams: Iterable[Stream],
    keep_from: Mapping[str, date],
    destination: Destination,
    listen: Listener,
    *,
    dry_run: bool,
) -> dict[str, int]:
    """Delete report rows before the oldest day each advertiser keeps; return how many per object."""
    gone: dict[str, int] = {}
    for stream in streams:
        if stream.time is None or not keep_from:
            continue
        gone[stream.name] = destination.prune(stream, keep_from, dry_run=dry_run)
        if gone[stream.name] or dry_run:
            listen(Pruned(stream.name, gone[stream.name], dry_run))
    return gone
