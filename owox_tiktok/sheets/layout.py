"""Which cells of a person's tab change when rows are stored: the hardest algorithm of this program, without a network.

A stream's tab stands in somebody's own spreadsheet. She sorts it, moves its columns, writes remarks beside the rows,
fills formulas down, puts a total below. We come every day with rows that were read from TikTok, and must leave a tab
that is right and still hers. This module says how, as one list of requests that Google applies together or not at all.

What it promises

1. **Ours are right.** Each row of the portion stands in exactly one row of the tab, cell by cell as it was read. Rows
   of a completed window that TikTok no longer reports are gone. All other rows keep what they have.
2. **Hers are hers.** No cell outside our columns is written, with one exception: her own formula is filled down into
   rows that are new. Notes, formats and validation of rows that were there are never touched.
3. **Hers stay beside ours.** A row that is known keeps its place, so whatever she wrote beside it stays beside it. A
   row that holds anything of hers is never deleted; if its data has vanished, our cells in it are emptied.
4. **Twice is once.** Only cells that differ are written (of a row that is known by its hash alone, all but its key).
   Laying the same portion out again yields no request.
5. **Never on positions that have moved.** What is laid out is compared with one last look at the tab, just before the
   write. If a column, a key or the size has changed, the answer is "lay out again", not a guess. And the answer to the
   write says whether it met the rows it was made for: keys of known rows are not written, so they bear witness.

What becomes of a row

A row of the tab is known by its key: the cells in our key columns. A heading, a total, a blank line have none.

    the row's key …                             the row is …
    is in the portion                           **known**: the cells that differ are written
    stands in a row above, too                  **vanished**: a copy that somebody pasted
    is broken, and fits one row of the portion  **known**: it is repaired (an id became a number, its day was cleared)
    is of a completed window, but was not read  **vanished**
    is any other, or there is none              left alone
    and a key of the portion without a row      is **new**

A **vanished** row is deleted if nothing is lost with it: if it holds nothing of hers, or only formulas that were filled
down, which is to say that a neighbour has the same one. The last row with a formula keeps it even then, since the next
rows are filled from there. All other vanished rows are emptied and reported.

**New** rows are inserted before our last row where there are several: so her filters, banding, conditional formats,
named and protected ranges, tables, charts and sums that end with our rows grow by themselves, and no cell is written
that somebody may just have filled. (Google moves what begins where rows are inserted, so a single row makes nothing
grow.) Otherwise they go behind our last row, where there may be

    rows with nothing but her formulas, filled down ahead of the data   they are used first
    anything else of hers, such as a total                              rows are inserted before it, so it moves down
    nothing                                                             the grid grows; under mere headings it is used

Into rows that had no formulas yet, those of the row they were inserted at are filled, except one that spills over
several cells (it would collide with itself).

Two batches: changed cells and new rows go first. What could not be undone if it went astray, which is filling formulas,
emptying and deleting rows, is a batch of its own after a fresh look (``rest``). Deletions come last and from the bottom
up, so that none moves the next. All cells of ours are typed values, so that no text of TikTok's ever becomes a formula.

A column that is not in the portion, because nobody ticks its field any more, keeps what it has.

How it is used

    layout = Layout(table, portion, look)     look: what is known of the rows, above all the key of each
    layout.compared, .compare(values)         rows to be read and compared; False: the tab has changed meanwhile
    layout.around, .looked_at                 what else must be read: cells, and the last look
    layout.fits(cells, seen)                  False: the tab has changed meanwhile
    layout.grown, .requests(), .keys_after()  how much room it takes, the batch, and the rows' keys once it is applied
    layout.read_back, .landed(seen)           what the answer is to tell, and whether it met the right rows
    layout.rest                               what is left for another layout, on the tab as it is then
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from owox_tiktok.model import Cursor, Kind, Sealed, Stream
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import Cell, Json, cell, same
from owox_tiktok.sheets.look import CELLS_AT_ONCE, UNKNOWN, Look, hash_of, is_as_written, spread
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.table import (
    Key,
    Table,
    is_broken,
    is_like,
    is_whole,
    money_format,
    number_format,
    number_formats,
    row_key,
    unmoved,
)
from owox_tiktok.sheets.tabs import Snapshot, Written

MOST_SPANS = 100
"""Rows to look at are read as so many ranges at most; more are read as one."""
MOST_BROKEN = 1_000
"""So many rows with broken keys are looked for among the rows of a portion."""
MOST_TAGS = 2_000
"""Columns of whole rows, ranges times columns, that the last look reads at most: it gives each one's tags."""
PRUNED, COPY, STRAY, BROKEN = -1, -2, -3, -4
"""In place of a window's number: the row is older than the keep window; a copy of a row above; of no imported day;
nobody knows which row of TikTok's it was."""

_SPILLING = re.compile(
    r"=\s*(ARRAYFORMULA|QUERY|FILTER|UNIQUE|SORT|SORTN|SEQUENCE|SPLIT|TRANSPOSE|FLATTEN|IMPORT\w+|MAP|BYROW|BYCOL|"
    r"MAKEARRAY|SCAN|HSTACK|VSTACK|TOCOL|TOROW|WRAPROWS|WRAPCOLS|CHOOSECOLS|CHOOSEROWS|\{)",
    re.IGNORECASE,
)
"""Formulas that fill more than their own cell: copied down they would collide with themselves."""
_QUOTED = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')""")
_ROW_OF_REFERENCE = re.compile(r"(?<![A-Za-z0-9_.$])(\$?[A-Za-z]{1,3})(\d+)(?![A-Za-z0-9_(.])")


@dataclass(frozen=True, slots=True)
class Portion:
    """What one batch stores: rows by key, with values in the order of ``names``, and the cursors that land with them.

    Windows are numbered. ``ends`` says which completed window (or PRUNED) a stored row vanishes with, None when it
    stays; ``replaces``, to which window that begins here (or which list) it is counted as replaced; ``completes``, to
    which window that is complete with this portion a row of the tab counts. Each of those was ``promised`` so many
    rows. ``seals`` are the seals that land with them, by advertiser and day; None for a day whose rows are on their
    way. ``confirmed`` are the days of those that TikTok's own totals confirm. ``pending`` are the keys of all windows
    of the step, on its first portion, so that room can be checked for the whole. ``keyless`` are rows that lost their
    keys and are to be cleared, with our cells as they are. ``size_bytes`` is how much of a request its rows take.
    """

    stream: Stream
    names: tuple[str, ...] = ()
    rows: Mapping[Key, tuple[Cell, ...]] = field(default_factory=dict)
    ends: Callable[[Key], int | None] = lambda _: None
    replaces: Callable[[Key], int | None] = lambda _: None
    completes: Callable[[Key], int | None] = lambda _: None
    promised: Mapping[int, int] = field(default_factory=dict)
    cursors: Mapping[tuple[str, str], Cursor] = field(default_factory=dict)
    seals: Mapping[str, Mapping[date | None, Sealed | None]] = field(default_factory=dict)
    confirmed: Mapping[str, Collection[date]] = field(default_factory=dict)
    pending: Sequence[frozenset[Key]] = ()
    keyless: Mapping[int, Sequence[Cell]] = field(default_factory=dict)
    size_bytes: int = 0


@dataclass(slots=True)
class Done:
    """What a portion does: rows there and replaced by window, rows that vanish, those kept for the person's sake.

    ``kept`` are the window (or PRUNED, COPY) and the number of the row as people count it.
    """

    rows: dict[int, int] = field(default_factory=dict)
    replaced: dict[int, int] = field(default_factory=dict)
    gone: int = 0
    kept: list[tuple[int, int]] = field(default_factory=list)

    def add(self, other: Done) -> None:
        """Take what another portion of the same step did."""
        self.rows |= other.rows
        for number, count in other.replaced.items():
            self.replaced[number] = self.replaced.get(number, 0) + count
        self.gone += other.gone
        self.kept += other.kept


class Fill(NamedTuple):
    """A person's formulas that are filled into new rows: from which row, into which ones, and the columns."""

    source: int
    top: int
    bottom: int
    columns: tuple[int, ...]


class Layout:
    """Where a portion goes on a tab as it is now. Rows are counted from 0 as they are before the batch.

    ``fill`` is what the batch before left over for this one: see ``rest``.
    """

    def __init__(self, table: Table, portion: Portion, look: Look, fill: Fill | None = None) -> None:
        self.done = Done()
        self._fill = fill
        self.table, self._portion, self._look = table, portion, look
        self._keys = keys = look.keys
        self._ours = frozenset(table.columns.values())
        names = {*portion.stream.keys, *portion.names}
        self._strips = table.strips(names)
        """What is written. A column that was not read, because nobody ticks it any more, keeps what it has."""
        self._plain = table.strips(names - set(portion.stream.keys))
        """The same without the keys, which rows that are known by their hash alone keep as they are."""
        self._whole = names >= table.columns.keys() and look.columns == table.columns
        """Whether all columns of ours are written, so that hashes of rows can be compared."""
        at = {name: n for n, name in enumerate(portion.names)}
        self._order = [at.get(n) for strip in self._strips for n in strip.names]
        """Where the values of a row are written stand in the portion, in the order of the tab."""
        self._known: dict[Key, int] = {}
        self._seen: set[Key] = set()
        self._vanished: dict[int, int] = {}
        """Rows that vanish, with what they vanish with."""
        self._last = -1
        """Our last row."""
        self._broken: list[int] = []
        """Rows with what is left of a key of ours."""
        for row, key in enumerate(keys):
            if key is not None:
                self._sort_in(row, key)
        self._vanished |= dict.fromkeys(portion.keyless, BROKEN)
        self._adopted = self._adopt()
        """Broken rows that are known all the same, with their keys."""
        self._end = max(self._last, -1 if table.header is None else table.header) + 1
        """The first row behind our data (and header)."""
        self._new = [k for k in portion.rows if k not in self._known]
        self._written: dict[int, Mapping[int, Written]] = {}
        self._touched: dict[int, list[Cell] | None] = {}
        """Known rows with cells that are changed, and what they hold; None where only their hash is known."""
        self._unknown = self._differing()
        """Known rows that must be read to see whether they change."""
        self._keys_before = [self._adopted.get(row, key) for row, key in enumerate(keys)] if self._adopted else [*keys]
        """The keys that the rows of before have after the batch."""

    def _adopt(self) -> dict[int, Key]:
        """Find the rows of which enough of the key is left to know them; the others stay until the import is over."""
        adopted: dict[int, Key] = {}
        if not self._broken or not self._portion.rows:
            return adopted
        free = [key for key in self._portion.rows if key not in self._known]
        fits: dict[Key, list[int]] = {}
        for row in self._broken[:MOST_BROKEN]:
            fitting = [key for key in free if is_like(self._keys[row] or (), key)]
            for key in fitting:
                fits.setdefault(key, []).append(row if len(fitting) == 1 else -1)
        for key, rows in fits.items():
            if rows != [-1] and len(rows) == 1:
                self._known[key] = rows[0]
                adopted[rows[0]] = key
        return adopted

    def _differing(self) -> list[int]:
        """Note the known rows that are known to change; return those of which it is not known."""
        hashes = self._look.hashes
        unknown = []
        for key, row in self._known.items():
            there = hashes[row] if self._whole and row not in self._adopted else UNKNOWN
            if there == UNKNOWN:
                unknown.append(row)
            elif there != hash_of(self._cells_of(key)):
                self._touched[row] = None
        return sorted(unknown)

    def _sort_in(self, row: int, key: Key) -> None:
        """Say what becomes of a row that has a key."""
        portion = self._portion
        ends = portion.ends(key)
        if row != self.table.header:
            self._last = row
        elif key not in portion.rows and ends is None:
            return  # A heading can look like a key. (Who sorts her headings away has a row of ours there.)
        if is_broken(portion.stream, key):
            self._broken.append(row)
        window = portion.replaces(key)
        if window is not None:
            self.done.replaced[window] = self.done.replaced.get(window, 0) + 1
        copy = key in self._known or (key in self._seen and is_whole(portion.stream, key))
        if not self._look.single and key not in portion.rows:
            self._seen.add(key)
        if copy:
            self._vanished[row] = COPY
        elif key in portion.rows:
            self._known[key] = row
        elif ends is not None:
            self._vanished[row] = ends

    @property
    def own_keys(self) -> frozenset[Key]:
        """The keys of the portion's rows."""
        return frozenset(self._portion.rows)

    # --- what must be read --------------------------------------------------------------------------------------------

    @property
    def is_bare(self) -> bool:
        """Whether the tab has no row of ours, so that no key can tell whether the headings have moved."""
        return self._last < 0

    def is_headed(self, seen: Snapshot) -> bool:
        """Whether most of our columns have a heading where it was, seen in the last look at a bare tab."""
        line = seen.values.get(-1 if self.table.header is None else self.table.header, {})
        return 2 * len(self._ours & line.keys()) > len(self._ours)

    @property
    def compared(self) -> list[tuple[Block, ...]]:
        """Our cells of known rows that are not held: they are compared with what is to be stored.

        In pieces of one span of rows each, and none with more than ``CELLS_AT_ONCE`` cells.
        """
        width = sum(len(strip.names) for strip in self._strips)
        most = max(1, CELLS_AT_ONCE // width)
        pieces = []
        for top, bottom in spans_of(self._unknown):
            for first in range(top, bottom, most):
                pieces.append(tuple(self.table.blocks([(first, min(first + most, bottom))], self._strips)))
        return pieces

    def compare(self, piece: Sequence[Block], values: Sequence[list[list[Cell]]]) -> bool:
        """Take what was read of a piece of ``compared``; False when its rows are others by now."""
        stream, top = self._portion.stream, piece[0].top
        places = {n: at for at, n in enumerate(n for strip in self._strips for n in strip.names)}
        wanted = {row: key for key, row in self._known.items() if top <= row < piece[0].bottom}
        for row, line in enumerate(zip(*values, strict=True), top):
            cells = [v for part in line for v in part]
            key = row_key(stream, [cells[places[k]] for k in stream.keys])
            if row < len(self._keys) and key != self._keys[row]:
                return False
            if self._whole and key is not None and is_as_written(stream, key, places, cells):
                self._look.hashes[row] = hash_of(cells)
            if row in wanted:
                new = self._cells_of(wanted[row])
                if not all(same(a, b) for a, b in zip(new, cells, strict=True)):
                    self._touched[row] = cells
        return True

    @property
    def around(self) -> list[Block]:
        """Whole rows to read beforehand; none unless there are too many for the last look."""
        whole = self._whole_rows()
        return whole if len(whole) * self.table.tab.columns > MOST_TAGS else []

    @property
    def looked_at(self) -> list[Block]:
        """What the last look sees: all from our last row on, whole rows that vanish, the keys of rows that are ours."""
        tab = self.table.tab
        bottom = tab.rows if self._new or self._vanished else self._above + 1
        blocks = [Block(tab.id, self._above, bottom, 0, tab.columns)]
        blocks += [] if self.around else self._whole_rows()
        if self._fill:
            blocks.append(Block(tab.id, self._fill.source, self._fill.source + 1, 0, tab.columns))
            columns = spans_of(self._fill.columns, gap=0)
            blocks += [Block(tab.id, self._fill.top, self._fill.bottom, left, right) for left, right in columns]
        return blocks + self.table.blocks(spans_of(self._recognised()), self.table.strips(self._portion.stream.keys))

    @property
    def _above(self) -> int:
        """The last row before the end: formulas are filled down from there."""
        return max(self._end - 1, 0)

    def _whole_rows(self) -> list[Block]:
        """The rows that vanish now with their neighbours, to see what the person has there."""
        tab = self.table.tab
        vanished = [] if self._portion.rows else sorted(self._vanished)
        spans = spans_of(vanished, margin=1, most=tab.rows)
        return [
            Block(tab.id, top, min(bottom, self._above), 0, tab.columns) for top, bottom in spans if top < self._above
        ]

    def _recognised(self) -> list[int]:
        """The rows that must still have the keys they had."""
        filled = [] if self._fill is None else [self._fill.source, *range(self._fill.top, self._fill.bottom)]
        vanished = [] if self._portion.rows else self._vanished
        changed = spread(sorted(self._touched), MOST_SPANS if self._are_scattered else len(self._touched))
        return sorted({*changed, *vanished, *filled, *([] if self.is_bare else [self._last])})

    @property
    def _are_scattered(self) -> bool:
        """Whether rows that change are in so many places that their keys would be those of most of the tab.

        Then some of them bear witness for all, and the next audit would find what they have missed.
        """
        return len(spans_of(sorted(self._touched), joined=False)) > MOST_SPANS

    def fits(
        self,
        cells: Mapping[int, Mapping[int, Written]],
        seen: Snapshot | None,
    ) -> bool:
        """Take what was read of ``around`` and ``looked_at``; False when rows or columns have moved."""
        table = self.table
        if len(self._keys) > table.tab.rows or seen is None or not unmoved(table, seen):
            return False
        recognised = self._recognised()
        if recognised and recognised[-1] >= len(self._keys):  # the keys were read again, and rows are gone
            return False
        if any(self._key_at(seen, row) != self._keys[row] for row in recognised):
            return False
        for row, ours in self._portion.keyless.items():
            line = seen.values.get(row, {})
            if not all(same(line.get(c), v) for c, v in zip(table.columns.values(), ours, strict=True)):
                return False
        if any(row >= self._end and self._key_at(seen, row) is not None for row in seen.values):
            return False  # somebody has added rows of ours behind ours
        self._written = {row: {**cells.get(row, {}), **seen.written.get(row, {})} for row in {*cells, *seen.written}}
        self._find_room()
        if not self._portion.rows:
            self._judge()
        return True

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _theirs(self, row: int) -> dict[int, Written]:
        """What a person has in a row: anything in columns that are not ours, and notes anywhere."""
        return {c: w for c, w in self._written.get(row, {}).items() if c not in self._ours or w.note}

    def _formulas(self, row: int) -> dict[int, str]:
        """A person's formulas in a row, by column, in a form that is equal where one was filled from another."""
        line = self._written.get(row, {}).items()
        return {c: _relative(w.formula, row) for c, w in line if w.formula and c not in self._ours}

    def _find_room(self) -> None:
        """Find where new rows go, and which formulas are filled down into them."""
        self._ahead = self._rows_ahead()
        """How many rows behind our data hold nothing but formulas that were filled down ahead of them."""
        self._free = self._ahead
        """How many rows behind our data are used as they are."""
        self._at = self._end + self._free
        """Where rows are inserted."""
        if self.is_bare:
            blank = next((row for row in sorted(self._written) if row >= self._at), self.table.tab.rows)
            self._free = min(len(self._new), blank - self._end)
            self._at = self._end + self._free
        elif not self._free and self._spans_grow:
            self._at = self._last
        self._inserted = len(self._new) - self._free
        """How many rows are inserted there."""
        self._source = self._end + self._ahead - 1
        """The row from which formulas are filled down."""
        if self._fill:
            self._source = self._fill.source
        wanted = bool(self._fill) or len(self._new) > self._ahead
        formulas = self._formulas(self._source) if wanted and self._source not in (-1, self.table.header) else {}
        self._filled = {c: f for c, f in formulas.items() if not _SPILLING.match(f)}

    @property
    def _spans_grow(self) -> bool:
        """Whether what spans our rows grows when rows are inserted before the last one: it is one of several.

        A formula that spills from our last row would lose them.
        """
        if self.table.locked:
            return False  # rows go through a column that we must not write
        several = self._last == self._end - 1 and self._last > 0 and self._keys[self._last - 1] is not None
        formulas = self._formulas(self._last).values() if several and self._last - 1 != self.table.header else ["={"]
        return not any(_SPILLING.match(f) for f in formulas)

    def _rows_ahead(self) -> int:
        """Count the rows behind our data that hold nothing but formulas a person filled down ahead of them."""
        free = 0
        while free < len(self._new):
            row = self._end + free
            line = self._written.get(row)
            if not line or any(c in self._ours or w.note or not w.formula for c, w in line.items()):
                break
            here, above = self._formulas(row), self._formulas(row - 1)
            if not self.is_bare and any(above.get(c) != text for c, text in here.items()):
                break
            free += 1
        return free

    def _judge(self) -> None:
        """Decide which of the vanished rows are deleted and which are only emptied."""
        living: dict[int, set[str]] = {c: {f} for c, f in self._filled.items()}
        """By column, the formulas that will still be there."""
        for row in self._written:
            if row not in self._vanished and row < self._end + self._free:
                for column, text in self._formulas(row).items():
                    living.setdefault(column, set()).add(text)
        self._emptied: list[int] = []
        self._deleted: list[int] = []
        for row in sorted(self._vanished, reverse=True):
            theirs, formulas = self._theirs(row), self._formulas(row)
            filled = range(self._fill.top - 1, self._fill.bottom + 1) if self._fill else ()
            beside = row == self._source or row in filled
            near = [self._formulas(row - 1), self._formulas(row + 1), self._filled if beside else {}]
            only_filled = all(
                w.formula and not w.note and c in formulas and any(n.get(c) == formulas[c] for n in near)
                for c, w in theirs.items()
            )
            locked = any(at in self._written.get(row, {}) for at in map(self.table.columns.get, self.table.locked))
            if not locked and only_filled and all(text in living.get(c, ()) for c, text in formulas.items()):
                self._deleted.append(row)
                continue
            self._emptied.append(row)
            for column, text in formulas.items():
                living.setdefault(column, set()).add(text)
            if theirs and not only_filled:
                self.done.kept.append((self._vanished[row], row + 1))
        self.done.gone = len(self._vanished)
        self._deleted.reverse()

    # --- what comes of it ---------------------------------------------------------------------------------------------

    @property
    def grown(self) -> int:
        """How many cells the grid grows by, with the step's other windows."""
        pending = self._portion.pending
        new = len(set().union(*pending).difference(self._keys)) if pending else len(self._new)
        return max(0, new - self._free) * self.table.tab.columns

    def requests(self) -> list[Json]:
        """Return the batch: changed cells, new rows with their formats; of a ``rest`` formulas, what goes away."""
        if self._portion.rows:
            return self._changed() + (self._added() if self._new else [])
        return self._formulas_filled() + self._taken_away()

    @property
    def behind(self) -> int | None:
        """The row behind our last one, where new rows are put there; None where none are."""
        return self._end if self._new and self._at != self._last else None

    @property
    def rest(self) -> tuple[Portion, Fill | None] | None:
        """What is left for a batch of its own, after a fresh look: what cannot be undone must not go astray.

        None when there is nothing. It is laid out on the tab as it is after this batch.
        """
        if not self._portion.rows:
            return None
        fill = None
        if self._filled:
            top = self._at if self._at == self._last else self._end + self._ahead
            bottom = top + len(self._new) - self._ahead
            fill = Fill(self._moved(self._source), top, bottom, tuple(sorted(self._filled)))
        if not fill and not self._vanished:
            return None
        return replace(self._portion, rows={}, pending=()), fill

    def _formulas_filled(self) -> list[Json]:
        """Return the filling of formulas into rows that were added, where nothing stands yet."""
        if not self._fill:
            return []
        tab, batch = self.table.tab, []
        for column in sorted(self._filled):
            blank = [
                row for row in range(self._fill.top, self._fill.bottom) if column not in self._written.get(row, {})
            ]
            source = Block(tab.id, self._source, self._source + 1, column, column + 1)
            for top, bottom in spans_of(blank, gap=0):
                batch.append(requests.fill(source, Block(tab.id, top, bottom, column, column + 1)))
        return batch

    def _taken_away(self) -> list[Json]:
        """Return the emptying and the deletion of rows that vanish."""
        table, tab = self.table, self.table.tab
        batch: list[Json] = []
        for top, bottom in spans_of(sorted(self._emptied), gap=0):
            batch += [requests.clear(b) for b in table.blocks([(top, bottom)], table.strips(table.free))]
        if self._keeps_one:
            # The API refuses to delete all rows that are not frozen.
            batch.append(requests.append(tab.id, "ROWS", 1))
        spans = spans_of(self._deleted, gap=0)
        batch += [requests.delete(tab.id, "ROWS", top, bottom) for top, bottom in reversed(spans)]
        return batch

    def keys_after(self) -> list[Key | None]:
        """Return the keys of the tab's rows once the batch is applied. The look that was given becomes that of then."""
        look = self._look
        if self._portion.rows:
            for row, key in self._adopted.items():
                look.write(row, key, self._hash_of(key))
            for key, row in self._known.items():
                if row in self._touched:
                    look.write(row, key, self._hash_of(key))
            hashes = [self._hash_of(key) for key in self._new]
            look.fill(self._end, self._new[: self._free], hashes[: self._free])
            look.insert(self._at, self._new[self._free :], hashes[self._free :])
            return look.keys
        for row in self._emptied:
            look.empty(row)
        look.delete(self._deleted)
        return look.keys

    def _hash_of(self, key: Key) -> int:
        return hash_of(self._cells_of(key)) if self._whole else UNKNOWN

    def count(self, keys: Sequence[Key | None]) -> None:
        """Count in ``done`` the rows of each window, in a tab with these keys."""
        for key in keys:
            if key is not None and (window := self._portion.completes(key)) is not None:
                self.done.rows[window] = self.done.rows.get(window, 0) + 1

    # --- was it right? ------------------------------------------------------------------------------------------------

    def _moved(self, row: int) -> int:
        """Return where a row is after the batch."""
        if self._portion.rows:
            return row + self._inserted if self._inserted and row >= self._at else row
        return row - bisect_left(self._deleted, row)

    @property
    def _rows_after(self) -> int:
        rows = self.table.tab.rows
        if self._portion.rows:
            return rows + self._inserted
        return rows - len(self._deleted) + self._keeps_one

    @property
    def _keeps_one(self) -> bool:
        """Whether all rows that are not frozen would go, which the API refuses."""
        tab = self.table.tab
        return bool(self._deleted) and tab.rows - len(self._deleted) <= max(tab.frozen_rows, 1)

    @property
    def witnesses(self) -> list[int]:
        """The rows whose keys are read back with the batch: those that were changed, and neighbours of all it did.

        Keys of known rows are not written, so that they can tell whether the right rows were met.
        """
        if self._portion.rows:
            near = [self._at - 1, self._at] if self._new else []
        else:
            near = [n for row in (*self._emptied, *self._deleted) for n in (row - 1, row + 1)]
        changed = spread(sorted(self._touched), MOST_SPANS if self._are_scattered else len(self._touched))
        rows = {*changed, *near, self._last}
        # Not those that go, nor those behind our data that were taken for new rows.
        gone = {*self._vanished} if not self._portion.rows else set(range(self._end, self._end + self._free))
        return sorted(row for row in rows if 0 <= row < len(self._keys_before) and row not in gone)

    @property
    def read_back(self) -> list[Block]:
        """What the answer to the batch is to tell: the tags of all columns, and the keys of the witnesses."""
        table = self.table
        heading = self._moved(table.header or 0)
        rows = sorted({self._moved(row) for row in self.witnesses})
        tags = Block(table.tab.id, heading, heading + 1, 0, table.tab.columns)
        return [tags, *table.blocks(spans_of(rows), table.strips(self._portion.stream.keys))]

    def landed(self, seen: Snapshot) -> bool:
        """Whether the batch met the rows and columns it was made for."""
        after = replace(self.table, tab=replace(self.table.tab, rows=self._rows_after))
        if not unmoved(after, seen):
            return False
        return all(self._key_at(seen, self._moved(row)) == self._keys_before[row] for row in self.witnesses)

    def hit(self, seen: Snapshot | None, keys: Sequence[Key | None]) -> dict[int, Key | None]:
        """Return the rows (as they are now) that were changed although they are others, with the keys they have.

        ``seen`` is what was read back, ``keys`` those of all rows a moment later: they count for rows beyond that.
        """
        if seen is None:
            return {}
        witnesses = set(self.witnesses)
        rows: dict[int, Key | None] = {}
        for row in sorted(self._touched):
            at = self._moved(row)
            if row in witnesses:
                rows[row] = self._key_at(seen, at)
            else:
                rows[row] = keys[at] if at < len(keys) else None
        return {self._moved(row): key for row, key in rows.items() if key != self._keys_before[row]}

    def wrote(self) -> dict[int, dict[int, Cell]]:
        """Return what the batch wrote: cells by row, as they are now, and column."""
        written: dict[int, dict[int, Cell]] = {}
        places = [strip.left + n for strip in self._strips for n in range(len(strip.names))]
        plain = {strip.left + n for strip in self._plain for n in range(len(strip.names))}
        for row, key in sorted((r, k) for k, r in self._known.items() if r in self._touched):
            cells, old = dict(zip(places, self._cells_of(key), strict=True)), self._touched[row]
            was = None if old is None else dict(zip(places, old, strict=True))
            written[self._moved(row)] = {
                c: v for c, v in cells.items() if (c in plain if was is None else not same(v, was[c]))
            }
        for row, key in (*self._added_at(self._end, 0, self._free), *self._added_at(self._at, self._free, None)):
            written[row] = dict(zip(places, self._cells_of(key), strict=True))
        return written

    def added(self) -> range:
        """Return the rows that the batch has inserted."""
        return range(self._at, self._at + self._inserted) if self._portion.rows else range(0)

    def _added_at(self, top: int, first: int, last: int | None) -> Iterator[tuple[int, Key]]:
        return enumerate(self._new[first:last], top)

    def _key_at(self, seen: Snapshot, row: int) -> Key | None:
        line = seen.values.get(row, {})
        stream = self._portion.stream
        return row_key(stream, [line.get(self.table.columns[k]) for k in stream.keys])

    # --- requests -----------------------------------------------------------------------------------------------------

    def _cells_of(self, key: Key) -> list[Cell]:
        """Return the cells of a row that are written, in the tab's order."""
        values = self._portion.rows[key]
        return [None if at is None else values[at] for at in self._order]

    def _changed(self) -> list[Json]:
        """Return writes of the cells that differ, from the first to the last of each strip of our columns."""
        batch: list[Json] = []
        open_: dict[int, tuple[int, int, list[Json]]] = {}  # by first column: next row, last column, rows
        for row, key in sorted((r, k) for k, r in self._known.items() if r in self._touched):
            for left, cells in self._differing_parts(self._cells_of(key), self._touched[row]):
                values = {"values": [cell(v) for v in cells]}
                known = open_.get(left)
                if known and known[:2] == (row, left + len(cells)):
                    rows = known[2]
                    rows.append(values)
                else:
                    rows = [values]
                    batch.append(requests.write(self.table.tab.id, row, left, rows))
                open_[left] = (row + 1, left + len(cells), rows)
        return batch

    def _differing_parts(self, wanted: Sequence[Cell], old: Sequence[Cell] | None) -> Iterator[tuple[int, list[Cell]]]:
        """Yield what is written of a row: from which column on, and the cells."""
        at = 0
        for strip in self._strips:
            new = wanted[at : at + len(strip.names)]
            if old is None:
                for part in self._plain:
                    if strip.left <= part.left < strip.right:
                        yield part.left, list(new[part.left - strip.left : part.right - strip.left])
            else:
                was = old[at : at + len(strip.names)]
                differ = [n for n, (a, b) in enumerate(zip(new, was, strict=True)) if not same(a, b)]
                if differ:
                    yield strip.left + differ[0], list(new[differ[0] : differ[-1] + 1])
            at += len(strip.names)

    def _added(self) -> list[Json]:
        """Return new rows: room for them, their cells and number formats."""
        tab, batch = self.table.tab, []
        if self._inserted and self._at >= tab.rows:
            batch.append(requests.append(tab.id, "ROWS", self._inserted))
        elif self._inserted:
            # Before our last row, and looking like it: so whatever spans our rows spans the new ones, too.
            behind = self._at != self._last and not self.is_bare
            batch.append(requests.insert(tab.id, "ROWS", self._at, self._at + self._inserted, like_before=behind))
        new = self._new
        for top, keys in ((self._end, new[: self._free]), (self._at, new[self._free :])):
            lines = [self._cells_of(k) for k in keys]
            at = 0
            for strip in self._strips if lines else ():
                rows = [{"values": [cell(v) for v in line[at : at + len(strip.names)]]} for line in lines]
                at += len(strip.names)
                batch.append(requests.write(tab.id, top, strip.left, rows))
            batch += self._number_formats(top, top + len(keys), lines) if lines else []
        return batch

    def _number_formats(self, top: int, bottom: int, lines: Sequence[Sequence[Cell]]) -> list[Json]:
        """Return number formats for new rows; money as its currency has decimals."""
        table, fields = self.table, self._portion.stream.fields
        names = [n for strip in self._strips for n in strip.names]
        batch = number_formats(table, fields, top, bottom, skip_money=True)
        money = [n for n in names if n in fields and fields[n].kind is Kind.MONEY]
        if not money:
            return batch
        at = names.index("currency") if "currency" in names else None
        formats = [money_format(None if at is None else line[at]) for line in lines]
        start = top
        for row in range(top, bottom):
            here = formats[row - top]
            if row + 1 == bottom or here != formats[row + 1 - top]:
                batch += [number_format(table.tab.id, start, row + 1, strip, here) for strip in table.strips(money)]
                start = row + 1
        return batch


def _relative(formula: str, row: int) -> str:
    """Return a formula with its own row taken out of its references: equal for formulas filled from one another."""

    def shifted(part: str) -> str:
        return _ROW_OF_REFERENCE.sub(lambda m: f"{m[1]}[{int(m[2]) - row}]", part)

    return "".join(p if n % 2 else shifted(p) for n, p in enumerate(_QUOTED.split(formula)))


def spans_of(
    rows: Sequence[int], *, gap: int = 20, margin: int = 0, most: int | None = None, joined: bool = True
) -> list[tuple[int, int]]:
    """Return ascending ``rows`` as half-open spans, joined over gaps; if ``joined``, as one where they would be many.

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
    if gap and joined and len(spans) > MOST_SPANS:
        return [(spans[0][0], spans[-1][1])]
    return spans
