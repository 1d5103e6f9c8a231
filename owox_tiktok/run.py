"""The loop: a few readers, one writer; rows land with their cursor, oldest day first.

Readers take windows in plan order and read them side by side. The writer stores a pair's windows strictly in date
order, however they arrive, so that a cursor never covers a day that is not there. A failure is reported and closes its
pair; the others continue. Knows no edge: reading, storing and reporting are passed in.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from owox_tiktok.errors import AccountRefused, Problem, StoreBusy, StoreFailed, StoreGone, TokenRefused
from owox_tiktok.events import Failed, Listener, Pruned, Started, Stored, Warned
from owox_tiktok.model import Chunk, Destination, Halve, Reading, Step, Stream, Window
from owox_tiktok.model import Stored as StoredRows
from owox_tiktok.plan import Pair
from owox_tiktok.spool import Spool
from owox_tiktok.states import Reason
from owox_tiktok.trust.seals import in_order

ENOUGH = 0.6
"""The writer waits until so much of a step has arrived, but no longer than the destination's ``linger_s``."""
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


@dataclass(slots=True)
class _Arrived:
    task: _Task
    path: Path
    reading: Reading
    size_bytes: int

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
    work: int = 0
    kept: int = 0
    rows_kept: int = 0
    warnings: int = 0
    pruned: dict[str, int] = field(default_factory=dict)
    stopped: Reason | None = None
    left: int = 0


class _Board:
    """What is to be read, what has arrived and what may be stored next. The only state that threads share."""

    def __init__(self, pairs: Sequence[Pair], most_under_way: int, step: Step) -> None:
        self._step = step
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
        self._arrived: dict[tuple[int, date], _Arrived] = {}
        self._closed: set[int] = set()
        self._troubles: list[tuple[_Task, BaseException]] = []
        self._under_way = 0
        self._most = most_under_way
        self._stopped = False
        self._since: float | None = None

    # --- for readers --------------------------------------------------------------------------------------------------

    def take(self) -> _Task | None:
        """Return the next window to read, or None when there is none left; waits while too many are under way."""
        with self._lock:
            while True:
                while self._todo and self._todo[0].order in self._closed:
                    heapq.heappop(self._todo)
                if self._stopped or (not self._todo and not self._under_way):
                    self._lock.notify_all()
                    return None
                if self._todo and self._under_way < self._most:
                    self._under_way += 1
                    return heapq.heappop(self._todo)
                self._lock.wait()

    def halve(self, task: _Task) -> None:
        """Put a window back as two."""
        assert task.window is not None
        with self._lock:
            self._under_way -= 1
            for half in task.window.halves():
                heapq.heappush(self._todo, _Task(task.order, half.first, half.last, task.pair, half))
            self._lock.notify_all()

    def arrived(self, task: _Task, path: Path, reading: Reading) -> None:
        """Hand a window that was read to the writer."""
        arrived = _Arrived(task, path, reading, path.stat().st_size if path.exists() else 0)
        with self._lock:
            self._arrived[task.order, task.first] = arrived
            self._lock.notify_all()

    def trouble(self, task: _Task, error: BaseException) -> None:
        """Hand the writer the reason why a window cannot be read; later windows of the pair are not read any more."""
        with self._lock:
            self._troubles.append((task, error))
            self._under_way -= 1
            self._todo = [t for t in self._todo if t.order != task.order or t.first < task.first]
            heapq.heapify(self._todo)
            self._lock.notify_all()

    # --- for the writer -----------------------------------------------------------------------------------------------

    def wait(self) -> tuple[list[_Arrived], list[tuple[_Task, BaseException]]] | None:
        """Return what may be stored now (of one stream, a pair's days in order) and then what failed; None at the end.

        Both are empty when nothing has come for a second.
        A failure waits for the earlier days of its pair, which are good and will be stored.
        """
        with self._lock:
            asked = time.monotonic()
            while True:
                if (wait_s := self._worth_waiting()) > 0:
                    left_s = ASK_S - (time.monotonic() - asked)
                    if left_s <= 0:
                        return [], []
                    self._lock.wait(min(wait_s, left_s))
                    continue
                self._since = None
                ready = self._storable()
                due = [t for t in self._troubles if self._is_due(*t)]
                self._troubles = [t for t in self._troubles if t not in due]
                if ready or due:
                    return ready, due
                if not self._todo and not self._under_way:
                    return None
                # A time-out lets Ctrl-C through on every platform, and the run see whether it is to stop.
                if not self._lock.wait(ASK_S):
                    return [], []

    def arrived_so_far(self) -> list[_Arrived]:
        """Return what may be stored now, in one last step: who ends early has not read it for nothing."""
        with self._lock:
            return self._storable()

    def _worth_waiting(self) -> float:
        """Return for how many seconds more rows may soon make a better step: while windows are read, and few are here.

        Whoever hands over rows or a reason why there are none wakes the writer.
        """
        if not self._arrived or self._troubles:
            return 0
        here = sum(a.share_of(self._step) for a in self._arrived.values())
        if len(self._arrived) == self._under_way or here >= ENOUGH:
            return 0
        self._since = self._since or time.monotonic()
        return self._since + self._step.linger_s - time.monotonic()

    def _storable(self) -> list[_Arrived]:
        ready: list[_Arrived] = []
        share = 0.0
        for order, first in sorted(self._arrived):
            found = self._arrived[order, first]
            if order in self._closed:
                del self._arrived[order, first]
                self._under_way -= 1
                found.path.unlink(missing_ok=True)
                self._lock.notify_all()
            elif first == self._next[order]:
                if ready and (
                    found.task.pair.stream is not ready[0].task.pair.stream
                    or found.task.pair.fields != ready[0].task.pair.fields
                    or share + found.share_of(self._step) > 1
                ):
                    break
                ready.append(found)
                share += found.share_of(self._step)
                # The next window of this pair may be here as well.
                self._next[order] = found.task.last + timedelta(days=1) if found.task.window else date.max
                del self._arrived[order, first]
        return ready

    def _is_due(self, task: _Task, error: BaseException) -> bool:
        if isinstance(error, TokenRefused | AccountRefused | StoreGone) or task.order in self._closed:
            return True
        return self._next[task.order] >= task.first

    def stored(self, arrived: _Arrived) -> None:
        """A window is in the destination."""
        with self._lock:
            self._under_way -= 1
            self._left[arrived.task.order] -= work_of(arrived.task.pair, arrived.task.window)
            self._lock.notify_all()

    def close(self, order: int) -> int:
        """Read and store no more of a pair; return the work it leaves."""
        with self._lock:
            self._closed.add(order)
            self._todo = [t for t in self._todo if t.order not in self._closed]
            heapq.heapify(self._todo)
            self._lock.notify_all()
            return self._left[order]

    def is_closed(self, order: int) -> bool:
        """Whether a pair has ended early."""
        return order in self._closed

    def left(self) -> int:
        """Return how many windows are not stored, of pairs that are not closed."""
        with self._lock:
            return len(self._todo) + self._under_way

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

    board = _Board(pairs, most_under_way=2 * readers, step=destination.step)
    with Spool() as spool:
        writer = _Writer(pairs, board, destination, listen, outcome, now)
        writer.prepare()
        threads = [
            threading.Thread(target=_reader, args=(board, read, spool), name=f"reader-{n}", daemon=True)
            for n in range(min(readers, sum(len(p.windows) for p in pairs)))
        ]
        for thread in threads:
            thread.start()
        try:
            while (turn := board.wait()) is not None:
                ready, troubles = turn
                writer.store(ready)
                for task, error in troubles:
                    writer.trouble(task, error)
                outcome.stopped = halted()
                if outcome.stopped:
                    if not ready:
                        writer.store(board.arrived_so_far())
                    outcome.left = board.left()
                    break
        finally:
            board.stop()
        for thread in threads:
            # One that waits for TikTok ends with the process; what it reads is read again by the next run.
            thread.join(timeout=0 if outcome.stopped else 5)
    return outcome


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
    """Stores, remembers failures and tells: everything that touches the destination, on one thread."""

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
        """Store windows of one stream in one step; when that fails, one by one, to find whose fault it is."""
        ready = [a for a in ready if not self._dropped(a)]
        if not ready:
            return
        try:
            done = self._put(ready)
        except StoreBusy:
            raise
        except StoreFailed as error:
            if isinstance(error, StoreGone):
                for order in range(len(self._pairs)):
                    self._fail(order, error)
            elif len(ready) > 1:
                for one in ready:
                    self.store([one])
                return
            else:
                self._fail(ready[0].task.order, error)
            for one in ready:
                self._dropped(one)
            return
        for arrived, stored in zip(ready, done, strict=True):
            if stored.rows != arrived.reading.rows:
                self._miscounted(arrived, stored)
                self._dropped(arrived)
                continue
            self._tell(arrived, stored)
            arrived.path.unlink(missing_ok=True)
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
        arrived.path.unlink(missing_ok=True)
        self._board.stored(arrived)
        return True

    def _put(self, ready: Sequence[_Arrived]) -> Sequence[StoredRows]:
        if gone := next((a for a in ready if a.reading.rows and not a.path.exists()), None):
            what = f"the temporary file {gone.path} with rows that were read no longer exists"
            advice = "Let nothing clean up that folder while an import runs; the next run reads these rows again."
            raise StoreFailed(what, what_to_do=advice)
        for a in ready:  # a field that one window was refused is not complete, whatever the next one had
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
            )
            for a in ready
        ]
        verb = self._destination.replace if chunks[0].stream.verb == "replace" else self._destination.upsert
        return verb(chunks)

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
        if self._board.is_closed(order):
            return
        left = self._board.close(order)
        if not left:
            return  # it was complete before the advertiser or the token was refused
        message = error.sentence if isinstance(error, Problem) else str(error)
        self._outcome.failed[pair.key] = message
        self._listen(Failed(pair.stream.name, pair.advertiser.id, message, getattr(error, "request_id", ""), work=left))
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
