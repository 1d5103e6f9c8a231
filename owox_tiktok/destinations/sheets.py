"""Google Sheets: one tab per stream inside a person's own spreadsheet, refreshed in place.

Address: ``sheets://SPREADSHEET_ID``. What is ours is recognised, never assumed to be where we left it: tabs and columns
by developer metadata, rows by key. So a person may rename, move, insert, sort and filter as she likes, and everything
she adds stays hers: her columns travel with their rows, her formulas are filled down into new rows, and a row that
holds anything else of hers is never deleted.

Every write is laid out on positions read just before it: the structure, the rows it touches, what the person has in
the rows it adds or deletes; and a last look, one call, says whether all columns and keys are still there. When they
are not, it reads and lays out anew.
Cursors live in a hidden tab and travel in the same atomic batch as the rows they stand for; a window that is larger
than one batch brings its cursor in the last.
"""

from __future__ import annotations

import logging
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from types import TracebackType
from typing import NamedTuple

from owox_tiktok import spreadsheet as door
from owox_tiktok.cursors import RECORD, Record, check_rows, one_scope_each
from owox_tiktok.errors import Problem, StoreFailed
from owox_tiktok.lease import Lease
from owox_tiktok.model import Chunk, Cursor, Failure, Field, Kind, Known, Step, Stored, Stream, utc
from owox_tiktok.spool import read_text
from owox_tiktok.spreadsheet import (
    WAYS_OUT,
    Block,
    Cell,
    Json,
    SheetRefused,
    Snapshot,
    Spreadsheet,
    Structure,
    Tab,
    Tag,
    TooManyCells,
    Written,
    cell,
    size_of,
)

log = logging.getLogger(__name__)

# Keys of our tags. Short, because a tab's tags may take 30,000 characters and a report can have 800 columns.
COLUMN, HEADER = "owox.col", "owox.head"
KEYS = (door.TAB, COLUMN, HEADER)

STATE = "(state)"
"""The hidden tab's name in its tag; no stream is called that."""
STATE_TITLE = "_owox_tiktok_state"
STATE_COLUMNS = tuple(part.name for part in RECORD)
COLUMNS_MADE = "(columns)"
"""In place of an advertiser: the columns a tab has been given, so that one a person deleted is noticed."""

MOST_CHARACTERS = 50_000
CUT = " … (cut)"
"""Ends a text that was longer than a cell takes."""

LAYOUTS = 8
"""How often a step is laid out before it gives up because somebody keeps changing the tab."""
MOST_SPANS = 100
"""Rows to look at are read as so many ranges at most; more are read as one."""
MOST_TAGS = 2_000
"""Columns of whole rows, ranges times columns, that the last look reads at most."""
VALUES_IN_MEMORY = 1_500_000
"""Up to so many values of a step are kept in memory; of more, one window at a time."""

_NO_DECIMALS = re.compile("BIF|CLP|DJF|GNF|ISK|JPY|KMF|KRW|PYG|RWF|UGX|VND|VUV|XAF|XOF|XPF")
_THREE_DECIMALS = re.compile("BHD|IQD|JOD|KWD|LYD|OMR|TND")
_FORMATS: Mapping[Kind, tuple[str, str]] = {
    # Text stays text also when a person opens the cell and presses Enter.
    Kind.ID: ("TEXT", "@"),
    Kind.TEXT: ("TEXT", "@"),
    Kind.JSON: ("TEXT", "@"),
    Kind.RATE: ("NUMBER", "#,##0.00##"),
    Kind.COUNT: ("NUMBER", "#,##0"),
    Kind.DAY: ("DATE", "yyyy-mm-dd"),
    Kind.HOUR: ("DATE_TIME", "yyyy-mm-dd hh:mm"),
    Kind.INSTANT: ("DATE_TIME", "yyyy-mm-dd hh:mm:ss"),
}
_WIDTHS: Mapping[Kind, int] = {Kind.ID: 155, Kind.TEXT: 160, Kind.JSON: 160, Kind.HOUR: 125, Kind.INSTANT: 145}
"""Pixels that show a value whole, or enough of a text; other kinds need less than their headings do."""
_LEAST_WIDTH = 80
_PIXELS_PER_LETTER = 8
_LARGEST_COUNT = 2**63 - 1
_DATED = frozenset({Kind.DAY, Kind.HOUR})

_SPILLING = re.compile(
    r"=\s*(ARRAYFORMULA|QUERY|FILTER|UNIQUE|SORT|SORTN|SEQUENCE|SPLIT|TRANSPOSE|FLATTEN|IMPORT\w+|MAP|BYROW|BYCOL|"
    r"MAKEARRAY|SCAN|HSTACK|VSTACK|TOCOL|TOROW|WRAPROWS|WRAPCOLS|CHOOSECOLS|CHOOSEROWS|\{)",
    re.IGNORECASE,
)
"""Formulas that fill more than their own cell: copied down they would collide with themselves."""
_QUOTED = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')""")
_ROW_OF_REFERENCE = re.compile(r"(?<![A-Za-z0-9_.$])(\$?[A-Za-z]{1,3})(\d+)(?![A-Za-z0-9_(.])")

Key = tuple[str | int | None, ...]
Pair = tuple[str, str]


def open_at(rest: str, *, read_only: bool = False) -> Sheets:
    """Open the spreadsheet whose id follows ``sheets://``; nothing is read or made before it is asked for."""
    name = door.spreadsheet_id(rest, "destination")
    # Asked for here, so that a missing package is told before anything is read from TikTok.
    import google.auth  # noqa: F401
    import gspread  # noqa: F401

    return Sheets(Spreadsheet(name), read_only=read_only)


@dataclass(slots=True)
class _Portion:
    """What one batch stores: some rows, the windows that begin with it, and those it completes."""

    stream: Stream
    names: tuple[str, ...] = ()
    rows: dict[Key, tuple[Cell, ...]] = field(default_factory=dict)
    begins: set[int] = field(default_factory=set)
    completes: set[int] = field(default_factory=set)
    keeps: dict[int, frozenset[Key]] = field(default_factory=dict)
    owners: dict[Key, int] = field(default_factory=dict)
    ends: Callable[[Key], int | None] = lambda _: None
    """Which completed window (or pruning, -1) a stored row goes with; None when it stays."""
    counts: Callable[[Key], int | None] = lambda _: None
    """Which window that begins here (or which list) a stored row is replaced by."""
    cursors: dict[Pair, Cursor] = field(default_factory=dict)
    pending: Sequence[frozenset[Key]] = ()
    """The keys of all windows of the step, on its first portion: for the budget of the whole."""


@dataclass(slots=True)
class _Done:
    """What a portion did: rows replaced by window, and rows kept for the person's sake."""

    replaced: dict[int, int] = field(default_factory=dict)
    gone: int = 0
    kept: list[tuple[int, int]] = field(default_factory=list)


class _Run(NamedTuple):
    """Adjacent columns of ours: from ``left`` on, these names."""

    left: int
    names: tuple[str, ...]

    @property
    def right(self) -> int:
        return self.left + len(self.names)


@dataclass(frozen=True, slots=True)
class _Table:
    """A stream's tab as it is at one moment: where our columns are, in the order of the tab."""

    tab: Tab
    tag: Tag
    columns: Mapping[str, int]
    header: int | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def runs(self, names: Iterable[str] | None = None) -> list[_Run]:
        """Return the columns (all, or ``names``) as runs of adjacent ones."""
        wanted = self.columns if names is None else {n: self.columns[n] for n in self.columns if n in set(names)}
        runs: list[_Run] = []
        for name, at in wanted.items():
            if runs and runs[-1].right == at:
                runs[-1] = _Run(runs[-1].left, (*runs[-1].names, name))
            else:
                runs.append(_Run(at, (name,)))
        return runs

    def blocks(self, spans: Iterable[tuple[int, int]], runs: Iterable[_Run]) -> list[Block]:
        return [Block(self.tab.id, top, bottom, r.left, r.right) for top, bottom in spans for r in runs]


class Sheets:
    """A Google spreadsheet as a Destination."""

    step = Step()

    def __init__(self, book: Spreadsheet, *, read_only: bool = False, lease: Lease | None = None) -> None:
        """Without a ``lease`` that its caller holds it takes one of its own, as long as it is open."""
        self.book = book
        self._read_only = read_only
        self._lease = None if read_only or lease else Lease(book)
        self._structure: Structure | None = None
        self._state: dict[Pair, Record] = {}
        self._made: dict[str, frozenset[str]] = {}
        self._state_known = False
        self._failures: dict[Pair, Record] = {}
        self._index: dict[str, list[Key | None]] = {}

    def __enter__(self) -> Sheets:
        if self._lease:
            self._lease.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # A failure that cannot be written down was told all the same; who presses Ctrl-C does not want to wait.
            if error is None or isinstance(error, Exception):
                with suppress(Problem):
                    self._flush()
        finally:
            if self._lease:
                self._lease.release()
                self.book.close()

    # --- cursors ------------------------------------------------------------------------------------------------------

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair.

        A tab the person deleted holds no days any more, and a column she deleted no values: their cursors let go of
        them, so that the next import reads them again.
        """
        structure = self._look()
        self._read_state(structure)
        found: dict[Pair, Known] = {}
        for (name, advertiser_id), stored in {**self._state, **self._failures}.items():
            cursor, lost = stored.cursor, ""
            table = _table(structure, name)
            if table is None and cursor:
                cursor, lost = None, f"the tab of {name} is not there any more"
            elif table is not None and cursor and (gone := self._made.get(name, frozenset()) - table.columns.keys()):
                if gone & cursor.fields:
                    lost = f"the column {min(gone & cursor.fields)} of the tab of {name} is not there any more"
                cursor = replace(cursor, fields=cursor.fields - gone)
            found[name, advertiser_id] = Known(cursor, stored.failure, lost)
        return found

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read; written with the next batch, or at the end."""
        if not self._state_known:
            self._read_state(self._look())
        pair = (stream.name, advertiser_id)
        known = self._failures.get(pair) or self._state.get(pair) or Record(*pair)
        self._failures[pair] = replace(known, failure=Failure(error, utc(at)))

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        """Forget cursors and failures of these pairs, so that the next import reads all of them again; rows stay."""
        self._read_state(self._look())
        for pair in ((stream.name, a) for a in advertiser_ids):
            if pair in self._state:
                self._failures[pair] = Record(*pair)
        self._flush()

    def _flush(self) -> None:
        """Write the failures that no batch took along."""
        if not self._failures or self._read_only:
            return
        structure = self._look()
        state = _state_tab(structure)
        rows = self.book.values([_state_keys(state)]) if state else [[]]
        cursors = dict(self._failures)
        self.book.apply(_state_requests(structure, state, rows[0], cursors, {}))
        self._remember(cursors)

    def _read_state(self, structure: Structure) -> None:
        self._state, self._made, self._state_known = {}, {}, True
        state = _state_tab(structure)
        if state is None:
            return
        width = min(state.columns, len(STATE_COLUMNS))
        for row in self.book.values([Block(state.id, 0, state.rows, 0, width)])[0]:
            texts = [v if isinstance(v, str) else "" for v in row] + [""] * (len(STATE_COLUMNS) - width)
            if texts[1] == COLUMNS_MADE:
                self._made[texts[0]] = frozenset(texts[4].split())
                continue
            # A row a person has changed so that it says nothing any more is no cursor: its days are read again.
            with suppress(ValueError):
                record = Record.of_texts(texts)
                if record.cursor or record.failure:
                    self._state[record.pair] = record

    def _remember(self, records: Mapping[Pair, Record]) -> None:
        self._state.update(records)
        for pair in records:
            self._failures.pop(pair, None)

    def _look(self) -> Structure:
        self._structure = self.book.structure(KEYS)
        return self._structure

    # --- tabs ---------------------------------------------------------------------------------------------------------

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Create the stream's tab, or add the columns it lacks. A foreign tab of that title is left alone."""
        structure = self._structure or self._look()
        if self._complete(structure, stream, columns):
            return
        for _ in range(LAYOUTS):
            # What was remembered is enough to see that nothing is to be done, but not to write.
            structure = self._look()
            if self._complete(structure, stream, columns) or self._add(structure, stream, columns):
                return
        raise _restless(stream)

    def _add(self, structure: Structure, stream: Stream, columns: Sequence[Field]) -> bool:
        """Make the tab or the columns it lacks; False when the tab has changed meanwhile."""
        table = _table(structure, stream.name)
        lacking = [f for f in columns if table is None or f.name not in table.columns]
        gone = [f.name for f in lacking if f.name in stream.keys] if table else []
        if table and gone:
            raise StoreFailed(
                f"the column {gone[0]} of the tab {table.tab.title!r} was deleted, and rows are known by it",
                where=stream.table,
                what_to_do="Undo that (File → Version history), or delete the whole tab; the next import makes a "
                "new one.",
            )
        _check_budget(structure, len(lacking) * (table.tab.rows if table else 2), stream)
        if not self._state_known:
            self._read_state(structure)
        made = self._made.get(stream.name, frozenset()) if table else frozenset()
        made |= {f.name for f in columns} | (table.columns.keys() if table else frozenset())
        state = _state_tab(structure)
        rows = self.book.values([_state_keys(state)]) if state else [[]]
        batch = _new_columns(structure, stream, lacking, table)
        # A new tab holds no days and a new column no values, whatever the cursors say.
        new = {f.name for f in lacking}
        stale = {
            pair: replace(r, cursor=replace(r.cursor, fields=r.cursor.fields - new) if table else None)
            for pair, r in self._state.items()
            if pair[0] == stream.name and r.cursor and (table is None or r.cursor.fields & new)
        }
        batch += _state_requests(structure, state, rows[0], stale, {stream.name: made})
        if table:
            heading = table.header or 0
            seen = self.book.snapshot([Block(table.tab.id, heading, heading + 1, 0, table.tab.columns)])
            if not _unmoved(table, seen.get(table.tab.id)):
                return False
        self._structure = None
        self._index.pop(stream.name, None)
        self.book.apply(batch)
        self._made[stream.name] = made
        self._state.update(stale)
        self._look()
        return True

    @staticmethod
    def _complete(structure: Structure, stream: Stream, columns: Sequence[Field]) -> bool:
        table = _table(structure, stream.name)
        return table is not None and table.header is not None and all(f.name in table.columns for f in columns)

    # --- the two verbs ------------------------------------------------------------------------------------------------

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window exactly its rows, cell by cell, and store the cursors."""
        return self._store(chunks, _scopes(chunks))

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows by key, and store the cursors."""
        return self._store(chunks, None)

    def _store(self, chunks: Sequence[Chunk], scope: Callable[[Key], int | None] | None) -> list[Stored]:
        one_scope_each(chunks)
        stream = chunks[0].stream
        replaced: dict[int, int] = {}
        notes: dict[int, list[int]] = {}
        for portion in _portions(chunks, scope):
            done = self._step(portion)
            for number, count in done.replaced.items():
                replaced[number] = replaced.get(number, 0) + count
            for number, row in done.kept:
                notes.setdefault(max(number, 0), []).append(row)
        return [
            Stored(c.rows, replaced.get(n, 0), (_kept(stream, notes[n]),) if n in notes else ())
            for n, c in enumerate(chunks)
        ]

    # --- pruning ------------------------------------------------------------------------------------------------------

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count.

        Rows that hold something of the person's are emptied of ours instead, and the log says so.
        """
        if stream.time is None or not keep_from:
            return 0
        structure = self._look()
        table = _table(structure, stream.name)
        if table is None or not self._usable(table, stream):
            return 0
        who, when = stream.keys.index("advertiser_id"), stream.keys.index(stream.time)
        before = {a or None: _seconds(day) for a, day in keep_from.items()}

        def old(key: Key) -> int | None:
            limit, at = before.get(key[who]), key[when]  # type: ignore[arg-type]
            return -1 if limit is not None and isinstance(at, int) and at < limit else None

        if dry_run:
            self._index.pop(stream.name, None)
            return sum(k is not None and old(k) is not None for k in self._rows(table, stream))
        self._read_state(structure)
        cursors = {
            pair: r.cursor.without_days_before(keep_from[pair[1]])
            for pair, r in self._state.items()
            if r.cursor and pair[0] == stream.name and pair[1] in keep_from
        }
        done = self._step(_Portion(stream, ends=old, cursors=cursors))
        if done.kept:
            log.warning("%s", _kept(stream, [row for _, row in done.kept]))
        return done.gone

    # --- one step -----------------------------------------------------------------------------------------------------

    def _step(self, portion: _Portion) -> _Done:
        """Lay a portion out on the tab as it is now, and write it in one batch."""
        stream = portion.stream
        refused: SheetRefused | None = None
        for _ in range(LAYOUTS):
            # What is remembered is good for laying out: the last look before the write tells whether it still holds.
            fresh = self._structure is None
            structure = self._structure or self._look()
            table = _table(structure, stream.name)
            if table is None or not table.columns.keys() >= {*stream.keys, *portion.names}:
                if not fresh:
                    self._structure = None
                    continue
                raise StoreFailed(
                    "its tab, or a column of it, was deleted during the import",
                    where=stream.table,
                    what_to_do="Import again; it is made anew.",
                )
            try:
                layout = _Layout(self.book, structure, table, portion, self._rows(table, stream))
                # Where there is no row of ours, there is no key to tell whether the headings have moved.
                holds = (fresh or not layout.bare) and layout.read()
                if holds:
                    _check_budget(structure, layout.grown(), stream)
                    cursors = {**self._failures, **{p: Record(*p, c) for p, c in portion.cursors.items()}}
                    batch = layout.requests()
                    if cursors:
                        batch += _state_requests(structure, layout.state, layout.state_rows, cursors, {})
                    if batch:
                        # Not known, should the batch fail.
                        self._structure = None
                        del self._index[stream.name]
                        self.book.apply(batch)
                        self._structure = _after(structure, batch)
                        self._index[stream.name] = layout.after()
                    self._remember(cursors)
                    return layout.done
            except TooManyCells:
                # Budget or Google: the step was not written.
                if not self._trim(self._look()):
                    raise
            except SheetRefused as error:
                # A range that is not there any more, perhaps; if not, the second refusal counts.
                if error.code != HTTPStatus.BAD_REQUEST or refused is not None:
                    raise
                refused = error
            # Somebody sorted, inserted or deleted since the tab was read.
            self._structure = None
            self._index.pop(stream.name, None)
        raise _restless(stream)

    def _rows(self, table: _Table, stream: Stream) -> list[Key | None]:
        """Return the key of each row of the tab, None where there is none; read once per tab and run."""
        known = self._index.get(stream.name)
        if known is None:
            runs = table.runs(stream.keys)
            blocks = self.book.values(table.blocks([(0, table.tab.rows)], runs))
            known = _keys(stream, runs, blocks)
            self._index[stream.name] = known
        return known

    @staticmethod
    def _usable(table: _Table, stream: Stream) -> bool:
        return table.columns.keys() >= set(stream.keys)

    def _trim(self, structure: Structure) -> bool:
        """Give the empty grid at the ends of our own tabs back; return whether there was any."""
        batch: list[Json] = []
        for tag in structure.tags:
            tab = structure.tabs.get(tag.tab or 0) if tag.key == door.TAB else None
            if tab is None or tab.rows < 2:
                continue
            tagged = [t.index for t in structure.tags if t.tab == tab.id and t.dimension == "COLUMNS"] or [0]
            width = max(tagged) + 1
            # Only what may be empty is looked at: behind our last row, and right of our last column.
            ours = self.book.values([Block(tab.id, 0, tab.rows, min(tagged), min(tagged) + 1)])[0]
            last = max((n for n, (v,) in enumerate(ours) if v is not None), default=0)
            blocks = [Block(tab.id, last, tab.rows, 0, tab.columns)]
            if width < tab.columns:
                blocks.append(Block(tab.id, 0, tab.rows, width, tab.columns))
            written = self.book.cells(blocks)
            rows = max([*written, last, tab.frozen_rows, 1]) + 1
            columns = max([width - 1, *(c for line in written.values() for c in line)]) + 1
            if rows < tab.rows:
                batch.append(door.delete(tab.id, "ROWS", rows, tab.rows))
            if columns < tab.columns:
                batch.append(door.delete(tab.id, "COLUMNS", columns, tab.columns))
        if batch:
            self.book.apply(batch)
            self._index.clear()
        return bool(batch)


# --- laying out -------------------------------------------------------------------------------------------------------


class _Layout:
    """Where a portion goes on a tab as it is now. Rows are counted from 0 as they are before the batch."""

    def __init__(
        self, book: Spreadsheet, structure: Structure, table: _Table, portion: _Portion, index: list[Key | None]
    ) -> None:
        self._book, self._table, self._portion, self._index = book, table, portion, index
        self.state = _state_tab(structure)
        self.state_rows: list[list[Cell]] = []
        self.done = _Done()
        self._there: dict[Key, int] = {}
        self._doomed: dict[int, int] = {}
        last = -1
        for row, key in enumerate(index):
            if key is None:
                continue
            if row == table.header:
                # A heading can look like a key. (A person who sorts her headings away has a row of ours there.)
                if key not in portion.rows and portion.ends(key) is None:
                    continue
            else:
                last = row
            window = portion.counts(key)
            if window is not None:
                self.done.replaced[window] = self.done.replaced.get(window, 0) + 1
            if key in portion.rows:
                if key in self._there:  # a copy a person made of our cells
                    self._doomed[row] = -2
                else:
                    self._there[key] = row
            elif (ends := portion.ends(key)) is not None:
                self._doomed[row] = ends
        self._last = last
        self._end = max(last, -1 if table.header is None else table.header) + 1
        """The first row behind our data (and header)."""
        self._new = [k for k in portion.rows if k not in self._there]
        self.bare = last < 0
        """Whether the tab has no row of ours."""

    def read(self) -> bool:
        """Read what the layout rests on; False when the rows or columns are not where they were."""
        table, stream = self._table, self._portion.stream
        tab = table.tab
        if len(self._index) > tab.rows:
            return False
        key_runs, runs = table.runs(stream.keys), table.runs()
        touched = sorted(self._there.values())
        spans = _spans(touched)
        self._old = _lines(spans, runs, self._book.values(table.blocks(spans, runs)))
        # Whole rows, to see what the person has there: those that are to go with their neighbours, the last one of
        # ours, from which formulas are filled down, and all behind it.
        above = max(self._end - 1, 0)
        around = _spans(sorted(self._doomed), margin=1, most=tab.rows)
        whole = [Block(tab.id, t, min(b, above), 0, tab.columns) for t, b in around if t < above]
        self._written: dict[int, Mapping[int, Written]] = {}
        if len(whole) * tab.columns > MOST_TAGS:
            # The last look gives each block's columns with their tags: too much for very many blocks.
            self._written.update(self._book.cells(whole))
            whole = []
        # The last look, in one call: are the columns and the rows still those that were read?
        known = sorted({*touched, *self._doomed, *([self._last] if self._last >= 0 else [])})
        blocks = [Block(tab.id, above, tab.rows if self._new or self._doomed else above + 1, 0, tab.columns), *whole]
        blocks += table.blocks(_spans(known), key_runs)
        if self.state:
            blocks.append(_state_keys(self.state))
        seen = self._book.snapshot(blocks)
        here = seen.get(tab.id)
        if here is None or not _unmoved(table, here):
            return False
        places = [table.columns[k] for k in stream.keys]

        def key_at(row: int) -> Key | None:
            cells = here.values.get(row, {})
            return _key(stream, [cells.get(c) for c in places])

        if any(key_at(row) != self._index[row] for row in known):
            return False
        if any(row >= self._end and key_at(row) is not None for row in here.values):
            return False  # somebody has added rows of ours behind ours
        for row, line in here.written.items():
            self._written[row] = {**self._written.get(row, {}), **line}
        if self.state:
            if self.state.id not in seen or seen[self.state.id].rows != self.state.rows:
                return False
            pairs = seen[self.state.id].values
            self.state_rows = [[pairs.get(r, {}).get(c) for c in (0, 1)] for r in range(self.state.rows)]
        self._judge()
        return True

    def _theirs(self, row: int) -> dict[int, Written]:
        """What a person has in a row: anything in columns that are not ours, and notes anywhere."""
        ours = set(self._table.columns.values())
        return {c: w for c, w in self._written.get(row, {}).items() if c not in ours or w.note}

    def _formulas(self, row: int) -> dict[int, str]:
        """A person's formulas in a row, by column, in a form that is equal where one was filled from another."""
        ours = set(self._table.columns.values())
        return {
            c: _relative(w.formula, row) for c, w in self._written.get(row, {}).items() if w.formula and c not in ours
        }

    def _judge(self) -> None:
        """Decide which doomed rows are deleted and which are only emptied, and where new rows go."""
        self._free = self._free_rows()
        self._source = self._end + self._free - 1
        above = self._source != self._table.header and self._source >= 0
        filled = self._formulas(self._source) if above and len(self._new) > self._free else {}
        filled = {c: f for c, f in filled.items() if not _SPILLING.match(f)}
        self._fill = sorted(filled)
        survivors: dict[int, set[str]] = {c: {f} for c, f in filled.items()}
        for row in self._written:
            if row not in self._doomed and row < self._end + self._free:
                for column, text in self._formulas(row).items():
                    survivors.setdefault(column, set()).add(text)
        self._emptied: list[int] = []
        self._deleted: list[int] = []
        for row in sorted(self._doomed, reverse=True):
            theirs, formulas = self._theirs(row), self._formulas(row)
            near = [self._formulas(row - 1), self._formulas(row + 1), filled if row == self._source else {}]
            only_filled = all(
                w.formula and not w.note and c in formulas and any(n.get(c) == formulas[c] for n in near)
                for c, w in theirs.items()
            )
            # The last row that has a formula keeps it: the next rows are filled from there.
            lives_on = all(text in survivors.get(c, ()) for c, text in formulas.items())
            if only_filled and lives_on:
                self._deleted.append(row)
            else:
                self._emptied.append(row)
                for column, text in formulas.items():
                    survivors.setdefault(column, set()).add(text)
                if theirs and not only_filled:
                    self.done.kept.append((self._doomed[row], row + 1))
        self.done.gone = len(self._doomed)

    def _free_rows(self) -> int:
        """How many rows behind our data hold nothing but formulas a person filled down ahead of them."""
        ours = set(self._table.columns.values())
        free = 0
        while free < len(self._new):
            row = self._end + free
            line = self._written.get(row)
            if not line or any(c in ours or w.note or not w.formula for c, w in line.items()):
                break
            here, above = self._formulas(row), self._formulas(row - 1)
            if self._last >= 0 and any(above.get(c) != text for c, text in here.items()):
                break
            free += 1
        return free

    @property
    def _inserts(self) -> bool:
        """Whether something of the person's stands behind our data, so that new rows must be inserted before it."""
        return any(row >= self._end + self._free for row in self._written)

    def grown(self) -> int:
        """How many cells the grid grows by, with the step's other windows."""
        there = set(self._index)
        new = len(set().union(*self._portion.pending) - there) if self._portion.pending else len(self._new)
        tab = self._table.tab
        room = self._free if self._inserts else tab.rows - self._end
        return max(0, new - room) * tab.columns

    # --- requests -----------------------------------------------------------------------------------------------------

    def requests(self) -> list[Json]:
        """Return the batch: changed cells, emptied rows, new rows with formats and formulas, deleted rows."""
        batch = self._changed()
        table, tab = self._table, self._table.tab
        for top, bottom in _spans(sorted(self._emptied), gap=0):
            batch += [door.clear(b) for b in table.blocks([(top, bottom)], table.runs())]
        if self._new:
            batch += self._added()
        left = tab.rows + max(0, self._grid_growth()) - len(self._deleted)
        if left <= max(tab.frozen_rows, 1):
            # The API refuses to delete all rows that are not frozen.
            batch.append(door.append(tab.id, "ROWS", 1))
        spans = _spans(sorted(self._deleted), gap=0)
        batch += [door.delete(tab.id, "ROWS", top, bottom) for top, bottom in reversed(spans)]
        return batch

    def _target(self, key: Key) -> list[Cell]:
        """Return a row's cells in the tab's order; columns that were not read are blank."""
        values = dict(zip(self._portion.names, self._portion.rows[key], strict=True))
        return [values.get(n) for n in self._table.names]

    def _changed(self) -> list[Json]:
        """Return writes of the cells that differ, from the first to the last of each run of our columns."""
        table = self._table
        runs = table.runs()
        batch: list[Json] = []
        open_: dict[int, tuple[int, int, int, list[Json]]] = {}  # by run: next row, first and last column, rows
        for row, key in sorted((r, k) for k, r in self._there.items()):
            target, old = self._target(key), self._old[row]
            at = 0
            for number, run in enumerate(runs):
                new_part, old_part = target[at : at + len(run.names)], old[at : at + len(run.names)]
                at += len(run.names)
                differ = [n for n, (a, b) in enumerate(zip(new_part, old_part, strict=True)) if not _same(a, b)]
                if not differ:
                    continue
                first, last = differ[0], differ[-1] + 1
                values = {"values": [cell(v) for v in new_part[first:last]]}
                known = open_.get(number)
                if known and known[:3] == (row, first, last):
                    known[3].append(values)
                    open_[number] = (row + 1, first, last, known[3])
                else:
                    rows = [values]
                    batch.append(door.write(table.tab.id, row, run.left + first, rows))
                    open_[number] = (row + 1, first, last, rows)
        return batch

    def _grid_growth(self) -> int:
        if not self._new:
            return 0
        if self._inserts:
            return len(self._new) - self._free
        return self._end + len(self._new) - self._table.tab.rows

    def _added(self) -> list[Json]:
        table, tab = self._table, self._table.tab
        count, batch = len(self._new), []
        growth = self._grid_growth()
        first = self._end + self._free
        if growth > 0 and self._inserts:
            # Whatever stands behind our data, a total perhaps, moves down.
            batch.append(
                {
                    "insertDimension": {
                        "range": door.dimension(tab.id, "ROWS", first, first + growth),
                        "inheritFromBefore": True,
                    }
                }
            )
        elif growth > 0:
            batch.append(door.append(tab.id, "ROWS", growth))
        top, bottom = self._end, self._end + count
        targets = [self._target(k) for k in self._new]
        at = 0
        for run in table.runs():
            rows = [{"values": [cell(v) for v in line[at : at + len(run.names)]]} for line in targets]
            at += len(run.names)
            batch.append(door.write(tab.id, top, run.left, rows))
        batch += self._formats(top, bottom, targets)
        if first < bottom:
            for left, right in _spans(self._fill, gap=0):
                batch.append(
                    {
                        "copyPaste": {
                            "source": Block(tab.id, self._source, self._source + 1, left, right).as_range(),
                            "destination": Block(tab.id, first, bottom, left, right).as_range(),
                            "pasteType": "PASTE_FORMULA",
                        }
                    }
                )
        return batch

    def _formats(self, top: int, bottom: int, targets: Sequence[Sequence[Cell]]) -> list[Json]:
        """Return number formats for new rows; money as its currency has decimals."""
        table, fields = self._table, self._portion.stream.fields
        names = table.names
        currency = names.index("currency") if "currency" in names else None
        batch = _formats(table, fields, top, bottom, skip_money=True)
        money = [n for n in names if n in fields and fields[n].kind is Kind.MONEY]
        if not money:
            return batch
        start = top
        for row in range(top, bottom):
            here, after = (
                _money_format(targets[r - top][currency] if currency is not None and r < bottom else None)
                for r in (row, row + 1)
            )
            if row + 1 == bottom or here != after:
                batch += [_format(table.tab.id, start, row + 1, run, here) for run in table.runs(money)]
                start = row + 1
        return batch

    def after(self) -> list[Key | None]:
        """Return the keys of the tab's rows once the batch is applied."""
        index = self._index
        index += [None] * (self._end + self._free - len(index))
        for row in self._emptied:
            index[row] = None
        if self._inserts:
            first = self._end + self._free
            index[first:first] = [None] * (len(self._new) - self._free)
        index[self._end : self._end + len(self._new)] = self._new
        gone = set(self._deleted)
        return [k for row, k in enumerate(index) if row not in gone] if gone else index


def _unmoved(table: _Table, seen: Snapshot | None) -> bool:
    """Whether a tab still has its size, and our columns their places."""
    if seen is None or (seen.rows, seen.columns) != (table.tab.rows, table.tab.columns):
        return False
    tagged: dict[str, list[int]] = {}
    for at, tags in seen.tagged.items():
        for key, value in tags:
            if key == COLUMN:
                tagged.setdefault(value, []).append(at)
    return tagged.keys() == table.columns.keys() and all(at in tagged[n] for n, at in table.columns.items())


def _restless(stream: Stream) -> StoreFailed:
    return StoreFailed(
        "somebody keeps changing the tab while it is being written",
        where=stream.table,
        what_to_do="Import again when nobody is sorting or inserting rows.",
    )


def _relative(formula: str, row: int) -> str:
    """Return a formula with its own row taken out of its references: equal for formulas filled from one another."""

    def shifted(part: str) -> str:
        return _ROW_OF_REFERENCE.sub(lambda m: f"{m[1]}[{int(m[2]) - row}]", part)

    return "".join(p if n % 2 else shifted(p) for n, p in enumerate(_QUOTED.split(formula)))


def _same(new: Cell, old: Cell) -> bool:
    return isinstance(new, bool) == isinstance(old, bool) and new == old


def _spans(rows: Sequence[int], *, gap: int = 20, margin: int = 0, most: int | None = None) -> list[tuple[int, int]]:
    """Return ascending ``rows`` as half-open spans, joined over gaps; as one where there would be very many.

    With ``gap`` 0 exactly the given rows are covered.
    """
    spans: list[tuple[int, int]] = []
    for row in rows:
        top, bottom = max(0, row - margin), row + 1 + margin
        if most is not None:
            bottom = min(bottom, most)
        if spans and top <= spans[-1][1] + gap:
            spans[-1] = (spans[-1][0], bottom)
        else:
            spans.append((top, bottom))
    if gap and len(spans) > MOST_SPANS:
        return [(spans[0][0], spans[-1][1])]
    return spans


def _lines(
    spans: Sequence[tuple[int, int]], runs: Sequence[_Run], found: Sequence[list[list[Cell]]]
) -> dict[int, list[Cell]]:
    """Return the rows of the spans, their runs of columns put together."""
    lines: dict[int, list[Cell]] = {}
    parts = iter(found)
    for top, bottom in spans:
        blocks = [next(parts) for _ in runs]
        for row in range(top, bottom):
            lines[row] = [v for block in blocks for v in block[row - top]]
    return lines


def _keys(stream: Stream, runs: Sequence[_Run], blocks: Sequence[list[list[Cell]]]) -> list[Key | None]:
    """Return each row's key from the values of ``runs``, which hold at least the key columns."""
    place = {n: (b, i) for b, run in enumerate(runs) for i, n in enumerate(run.names)}
    where = [place[k] for k in stream.keys]
    count = len(blocks[0]) if blocks else 0
    once: dict[Cell, Cell] = {}  # ids repeat from row to row: each is kept once
    keys = []
    for row in range(count):
        values = [blocks[b][row][i] for b, i in where]
        keys.append(_key(stream, [once.setdefault(v, v) if isinstance(v, str) else v for v in values]))
    return keys


def _key(stream: Stream, values: Sequence[Cell]) -> Key | None:
    """Return the key these cells are, None when they are none of ours: a person's total, a heading, a blank."""
    parts: list[str | int | None] = []
    for name, value in zip(stream.keys, values, strict=True):
        if name == stream.time:
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e7:
                return None
            parts.append(round(value * 86400))  # seconds: a serial number's last digits may differ
        elif isinstance(value, str) or value is None:
            parts.append(value)
        else:
            return None
    return None if all(p is None for p in parts) else tuple(parts)


# --- chunks become portions -------------------------------------------------------------------------------------------


def _scopes(chunks: Sequence[Chunk]) -> Callable[[Key], int | None]:
    """Return which chunk's window a key lies in."""
    stream = chunks[0].stream
    who = stream.keys.index("advertiser_id")
    if stream.time is None:
        numbers = {c.advertiser_id or None: n for n, c in enumerate(chunks)}
        return lambda key: numbers.get(key[who])  # type: ignore[arg-type]
    when = stream.keys.index(stream.time)
    windows: dict[str | int | None, list[tuple[int, int, int]]] = {}
    for number, chunk in enumerate(chunks):
        if chunk.window is None:
            first, end = -(2**62), 2**62
        else:
            first, end = _seconds(chunk.window.first), _seconds(chunk.window.last + timedelta(days=1))
        windows.setdefault(chunk.advertiser_id or None, []).append((first, end, number))
    for one in windows.values():
        one.sort()

    def scope(key: Key) -> int | None:
        of = windows.get(key[who])
        at = key[when]
        if not of or not isinstance(at, int):
            return None
        found = bisect_right(of, (at, 2**62, 2**62)) - 1
        return of[found][2] if found >= 0 and at < of[found][1] else None

    return scope


def _portions(chunks: Sequence[Chunk], scope: Callable[[Key], int | None] | None) -> Iterator[_Portion]:
    """Yield batches' worth of rows. A chunk that fits shares a batch with others; a large one takes several.

    Every row of every chunk is converted before the first portion is, so that one bad value stops them all.
    """
    stream = chunks[0].stream
    small = sum(c.rows * len(c.columns) for c in chunks) <= VALUES_IN_MEMORY
    loaded: list[dict[Key, tuple[Cell, ...]]] = []
    pending: list[frozenset[Key]] = []
    for chunk in chunks:
        rows = _load(chunk)
        pending.append(frozenset(rows))
        if small:
            loaded.append(rows)
    names = tuple(f.name for f in chunks[0].columns)
    portion, size = _Portion(stream, names, pending=pending), 0
    for number, chunk in enumerate(chunks):
        rows = loaded[number] if small else _load(chunk)
        portion.begins.add(number)
        for key, values in rows.items():
            # What a row takes as requests: its cells, and the frame of a write of its own.
            bytes_ = sum(map(_bytes, values)) + 100
            if size and size + bytes_ > door.BATCH_BYTES:
                yield _ready(portion, scope)
                portion, size = _Portion(stream, names), 0
            portion.rows[key] = values
            if scope is None:
                portion.owners[key] = number
            size += bytes_
        portion.completes.add(number)
        portion.keeps[number] = pending[number]
        if chunk.cursor is not None:
            portion.cursors[stream.name, chunk.advertiser_id] = chunk.cursor
    yield _ready(portion, scope)


def _ready(portion: _Portion, scope: Callable[[Key], int | None] | None) -> _Portion:
    """Put a portion's rows in date order, and say which stored rows it counts and ends."""
    stream = portion.stream
    if stream.time is not None:
        when = stream.keys.index(stream.time)
        portion.rows = dict(sorted(portion.rows.items(), key=lambda item: item[0][when] or 0))
    if scope is None:
        portion.counts = portion.owners.get
        return portion
    begins, completes, keeps = portion.begins, portion.completes, portion.keeps

    def counts(key: Key) -> int | None:
        number = scope(key)
        return number if number in begins else None

    def ends(key: Key) -> int | None:
        number = scope(key)
        return number if number is not None and number in completes and key not in keeps[number] else None

    portion.counts, portion.ends = counts, ends
    return portion


def _load(chunk: Chunk) -> dict[Key, tuple[Cell, ...]]:
    """Return a chunk's rows as cells by key, in date order; StoreFailed for a value that does not fit its column."""
    stream, columns = chunk.stream, chunk.columns
    at = [next(n for n, f in enumerate(columns) if f.name == k) for k in stream.keys]
    convert = [_CELLS[f.kind] for f in columns]
    rows: dict[Key, tuple[Cell, ...]] = {}
    name, read = "", 0
    try:
        for texts in read_text(chunk.path):
            read += 1
            values = []
            for column, to_cell, text in zip(columns, convert, texts, strict=True):
                name = column.name
                values.append(None if text is None else to_cell(text))
            for place in at:
                if texts[place] is None:
                    name = columns[place].name
                    raise ValueError("it is part of the key and missing")
            key = _key(stream, [values[n] for n in at])
            if key is None:
                raise ValueError("the row has no key")
            rows[key] = tuple(values)
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise StoreFailed(
            f"a value of {name} does not fit its column ({error})",
            where=stream.table,
            what_to_do="Leave the field out of `fields` and report it as a bug.",
        ) from None
    check_rows([chunk], read)
    if stream.time is None:
        return rows
    when = stream.keys.index(stream.time)
    return dict(sorted(rows.items(), key=lambda item: item[0][when] or 0))


def _text_cell(text: str) -> Cell:
    # An empty text and no text look the same in a Sheet, and the API gives both back as nothing.
    if len(text) * 2 > MOST_CHARACTERS:  # an emoji counts as two
        wide = text.encode("utf-16-le", "surrogatepass")
        if len(wide) > MOST_CHARACTERS * 2:
            return wide[: (MOST_CHARACTERS - len(CUT)) * 2].decode("utf-16-le", "ignore") + CUT
    return text or None


def _decimal_cell(text: str) -> Cell:
    number = float(Decimal(text))
    if not math.isfinite(number):
        raise ValueError(f"{text[:30]} is not a number")
    return number


def _count_cell(text: str) -> Cell:
    number = int(text)
    if abs(number) > _LARGEST_COUNT:
        raise ValueError(f"{text[:30]} is too large")
    return number


def _boolean_cell(text: str) -> Cell:
    return text == "true"


def _day_cell(text: str) -> Cell:
    return (date.fromisoformat(text) - door.EPOCH).days


def _time_cell(text: str) -> Cell:
    # Hours are the advertiser's own, instants are UTC, and the heading's note says so.
    return door.serial(datetime.fromisoformat(text))


_CELLS: Mapping[Kind, Callable[[str], Cell]] = {
    Kind.ID: _text_cell,
    Kind.TEXT: _text_cell,
    Kind.JSON: _text_cell,
    Kind.MONEY: _decimal_cell,
    Kind.RATE: _decimal_cell,
    Kind.COUNT: _count_cell,
    Kind.BOOLEAN: _boolean_cell,
    Kind.DAY: _day_cell,
    Kind.HOUR: _time_cell,
    Kind.INSTANT: _time_cell,
}


def _bytes(value: Cell) -> int:
    """How much a cell takes in a request."""
    return 3 if value is None else 38 + (size_of(value) if isinstance(value, str) else len(repr(value)))


def _seconds(day: date) -> int:
    return (day - door.EPOCH).days * 86400


# --- tabs and requests ------------------------------------------------------------------------------------------------


def _table(structure: Structure, name: str) -> _Table | None:
    """Return the stream's tab as it is now, None when it has none."""
    found = door.tagged_tab(structure, name)
    if found is None:
        return None
    tab, tag = found
    columns: dict[str, int] = {}
    header = None
    for one in structure.tags:
        if one.tab == tab.id and one.key == COLUMN and one.dimension == "COLUMNS":
            columns.setdefault(one.value, one.index)
        elif one.tab == tab.id and one.key == HEADER and one.dimension == "ROWS":
            header = one.index
    return _Table(tab, tag, dict(sorted(columns.items(), key=lambda c: c[1])), header)


def _after(structure: Structure, batch: Sequence[Json]) -> Structure | None:
    """Return what the structure is once a step's batch is applied; None when it must be read."""
    tabs = dict(structure.tabs)
    for request in batch:
        for name, sign in (("appendDimension", 1), ("insertDimension", 1), ("deleteDimension", -1)):
            if name not in request:
                continue
            place = request[name].get("range", request[name])
            length = place["length"] if "length" in place else place["endIndex"] - place["startIndex"]
            tab = tabs[place["sheetId"]]
            if place["dimension"] != "ROWS":
                return None
            tabs[tab.id] = replace(tab, rows=tab.rows + sign * length)
        if "addSheet" in request:
            return None
    return Structure(tabs, structure.tags)


def _state_tab(structure: Structure) -> Tab | None:
    found = door.tagged_tab(structure, STATE)
    return found[0] if found else None


def _state_keys(state: Tab) -> Block:
    return Block(state.id, 0, state.rows, 0, 2)


def _state_requests(
    structure: Structure,
    state: Tab | None,
    rows: Sequence[Sequence[Cell]],
    cursors: Mapping[Pair, Record],
    made: Mapping[str, frozenset[str]],
) -> list[Json]:
    """Return writes of cursors, and of the columns made, into the hidden tab; makes it when it is not there."""
    batch: list[Json] = []
    if state is None:
        state = Tab(structure.free_id(), structure.free_title(STATE_TITLE), 2, len(STATE_COLUMNS), 1)
        batch += door.new_tab(state, STATE, hidden=True)
        batch.append(door.write(state.id, 0, 0, [{"values": [cell(n) for n in STATE_COLUMNS]}]))
        rows = [list(STATE_COLUMNS[:2])]
    wanted: dict[Pair, list[Cell]] = {pair: [_text_cell(t) for t in r.texts()] for pair, r in cursors.items()}
    for name, columns in made.items():
        wanted[name, COLUMNS_MADE] = [name, COLUMNS_MADE, None, None, " ".join(sorted(columns))]
    at = {(str(r[0] or ""), str(r[1] or "")): n for n, r in enumerate(rows) if any(v is not None for v in r)}
    end = max([*at.values(), 0]) + 1
    writes = []
    for pair, values in wanted.items():
        if pair not in at:
            at[pair], end = end, end + 1
        writes.append(door.write(state.id, at[pair], 0, [{"values": [cell(v) for v in values]}]))
    if end > state.rows:
        batch.append(door.append(state.id, "ROWS", end - state.rows))
    if state.columns < len(STATE_COLUMNS):
        batch.append(door.append(state.id, "COLUMNS", len(STATE_COLUMNS) - state.columns))
    return batch + writes


def _new_columns(structure: Structure, stream: Stream, lacking: Sequence[Field], table: _Table | None) -> list[Json]:
    """Return the making of a tab with these columns, or of the columns at the right end of the tab that is there."""
    batch: list[Json] = []
    if table is None:
        tab = Tab(structure.free_id(), structure.free_title(stream.title), 2, len(lacking), 1)
        batch += door.new_tab(tab, stream.name)
        header, first = 0, 0
        batch.append(door.tagged(HEADER, "", tab.id, "ROWS", 0))
    else:
        tab, first = table.tab, table.tab.columns
        header = table.header if table.header is not None else 0
        if lacking:
            batch.append(door.append(tab.id, "COLUMNS", len(lacking)))
        if table.header is None:
            # The person deleted the headings.
            batch.append(
                {"insertDimension": {"range": door.dimension(tab.id, "ROWS", 0, 1), "inheritFromBefore": False}}
            )
            batch.append(door.tagged(HEADER, "", tab.id, "ROWS", 0))
            for name, at in table.columns.items():
                if name in stream.fields:
                    batch.append(_headings(tab.id, 0, at, [stream.fields[name]], ""))
            tab = replace(tab, rows=tab.rows + 1)
    note = "" if table else f"{stream.title}: refreshed by owox-tiktok. {stream.description} {_PROMISE}\n\n"
    if lacking:
        batch.append(_headings(tab.id, header, first, lacking, note))
        batch += [_width(tab.id, first + n, f) for n, f in enumerate(lacking)]
    batch += [door.tagged(COLUMN, f.name, tab.id, "COLUMNS", first + n) for n, f in enumerate(lacking)]
    if table is not None and header + 1 < tab.rows:
        added = _Table(tab, table.tag, {f.name: first + n for n, f in enumerate(lacking)}, header)
        batch += _formats(added, stream.fields, header + 1, tab.rows, skip_money=False)
    return batch


_PROMISE = (
    "Rename, move, sort and filter as you like; columns, formulas and notes of your own stay beside their rows. "
    "What you type over values in these columns is replaced at the next import."
)


def _headings(tab: int, row: int, column: int, fields: Sequence[Field], note: str) -> Json:
    cells = []
    for number, one in enumerate(fields):
        unit = f" ({one.unit})" if one.unit else ""
        zone = " Time in UTC." if one.kind is Kind.INSTANT else ""
        text = f"{'' if number else note}{one.description}{unit}{zone}"
        bold = {"userEnteredFormat": {"textFormat": {"bold": True}}}
        cells.append({**cell(one.name), "note": text, **bold})
    return {
        "updateCells": {
            "start": {"sheetId": tab, "rowIndex": row, "columnIndex": column},
            "rows": [{"values": cells}],
            "fields": "userEnteredValue,note,userEnteredFormat.textFormat.bold",
        }
    }


def _width(tab: int, column: int, of: Field) -> Json:
    """Return the widening of a new column, so that ids and headings can be read; afterwards it is the person's."""
    wide = max(_WIDTHS.get(of.kind, _LEAST_WIDTH), _PIXELS_PER_LETTER * len(of.name) + 16)
    return {
        "updateDimensionProperties": {
            "range": door.dimension(tab, "COLUMNS", column, column + 1),
            "properties": {"pixelSize": wide},
            "fields": "pixelSize",
        }
    }


def _money_format(currency: Cell) -> tuple[str, str]:
    name = str(currency)
    if _NO_DECIMALS.fullmatch(name):
        return "NUMBER", "#,##0"
    return "NUMBER", "#,##0.000" if _THREE_DECIMALS.fullmatch(name) else "#,##0.00"


def _format(tab: int, top: int, bottom: int, run: _Run, wanted: tuple[str, str]) -> Json:
    return {
        "repeatCell": {
            "range": Block(tab, top, bottom, run.left, run.right).as_range(),
            "cell": {"userEnteredFormat": {"numberFormat": {"type": wanted[0], "pattern": wanted[1]}}},
            "fields": "userEnteredFormat.numberFormat",
        }
    }


def _formats(table: _Table, fields: Mapping[str, Field], top: int, bottom: int, *, skip_money: bool) -> list[Json]:
    """Return the number formats of rows ``top`` to ``bottom`` of our columns, adjacent equal ones as one."""
    by_format: dict[tuple[str, str], list[str]] = {}
    for name in table.columns:
        kind = fields[name].kind if name in fields else Kind.TEXT
        if kind is Kind.MONEY and not skip_money:
            by_format.setdefault(_money_format(None), []).append(name)
        elif kind in _FORMATS:
            by_format.setdefault(_FORMATS[kind], []).append(name)
    return [
        _format(table.tab.id, top, bottom, run, wanted)
        for wanted, names in by_format.items()
        for run in table.runs(names)
    ]


def _check_budget(structure: Structure, grown: int, stream: Stream) -> None:
    if grown > 0 and structure.cells + grown > door.CELL_LIMIT:
        raise TooManyCells(
            f"the spreadsheet has {structure.cells:,} cells, this needs {grown:,} more, and a spreadsheet takes "
            f"{door.CELL_LIMIT:,} (blank ones count)",
            where=stream.table,
            what_to_do=WAYS_OUT,
        )


def _kept(stream: Stream, rows: Sequence[int]) -> str:
    shown = ", ".join(str(r) for r in sorted(rows)[:10]) + (", …" if len(rows) > 10 else "")
    many = len(rows) != 1
    return (
        f"{stream.title}: {len(rows)} row{'s' if many else ''} went away but hold{'' if many else 's'} something of "
        f"yours, so our cells there were emptied and yours kept (row{'s' if many else ''} {shown})"
    )
