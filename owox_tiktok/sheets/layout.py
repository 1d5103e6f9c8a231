"""Where a portion of rows goes on a tab as it is now, and which cells change."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from owox_tiktok.model import Cursor, Kind, Stream
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import Cell, Json, cell, same
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.state import Pair, state_keys, state_tab
from owox_tiktok.sheets.table import Key, Run, Table, money_format, number_format, number_formats, row_key, unmoved
from owox_tiktok.sheets.tabs import Structure, Written

MOST_SPANS = 100
"""Rows to look at are read as so many ranges at most; more are read as one."""


MOST_TAGS = 2_000
"""Columns of whole rows, ranges times columns, that the last look reads at most."""


_SPILLING = re.compile(
    r"=\s*(ARRAYFORMULA|QUERY|FILTER|UNIQUE|SORT|SORTN|SEQUENCE|SPLIT|TRANSPOSE|FLATTEN|IMPORT\w+|MAP|BYROW|BYCOL|"
    r"MAKEARRAY|SCAN|HSTACK|VSTACK|TOCOL|TOROW|WRAPROWS|WRAPCOLS|CHOOSECOLS|CHOOSEROWS|\{)",
    re.IGNORECASE,
)
"""Formulas that fill more than their own cell: copied down they would collide with themselves."""


_QUOTED = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')""")


_ROW_OF_REFERENCE = re.compile(r"(?<![A-Za-z0-9_.$])(\$?[A-Za-z]{1,3})(\d+)(?![A-Za-z0-9_(.])")


@dataclass(slots=True)
class Portion:
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
class Done:
    """What a portion did: rows replaced by window, and rows kept for the person's sake."""

    replaced: dict[int, int] = field(default_factory=dict)
    gone: int = 0
    kept: list[tuple[int, int]] = field(default_factory=list)


class Layout:
    """Where a portion goes on a tab as it is now. Rows are counted from 0 as they are before the batch."""

    def __init__(
        self, book: Spreadsheet, structure: Structure, table: Table, portion: Portion, index: list[Key | None]
    ) -> None:
        self._book, self._table, self._portion, self._index = book, table, portion, index
        self.state = state_tab(structure)
        self.state_rows: list[list[Cell]] = []
        self.done = Done()
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
        spans = spans_of(touched)
        self._old = _lines(spans, runs, self._book.values(table.blocks(spans, runs)))
        # Whole rows, to see what the person has there: those that are to go with their neighbours, the last one of
        # ours, from which formulas are filled down, and all behind it.
        above = max(self._end - 1, 0)
        around = spans_of(sorted(self._doomed), margin=1, most=tab.rows)
        whole = [Block(tab.id, t, min(b, above), 0, tab.columns) for t, b in around if t < above]
        self._written: dict[int, Mapping[int, Written]] = {}
        if len(whole) * tab.columns > MOST_TAGS:
            # The last look gives each block's columns with their tags: too much for very many blocks.
            self._written.update(self._book.cells(whole))
            whole = []
        # The last look, in one call: are the columns and the rows still those that were read?
        known = sorted({*touched, *self._doomed, *([self._last] if self._last >= 0 else [])})
        blocks = [Block(tab.id, above, tab.rows if self._new or self._doomed else above + 1, 0, tab.columns), *whole]
        blocks += table.blocks(spans_of(known), key_runs)
        if self.state:
            blocks.append(state_keys(self.state))
        seen = self._book.snapshot(blocks)
        here = seen.get(tab.id)
        if here is None or not unmoved(table, here):
            return False
        places = [table.columns[k] for k in stream.keys]

        def key_at(row: int) -> Key | None:
            cells = here.values.get(row, {})
            return row_key(stream, [cells.get(c) for c in places])

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
        for top, bottom in spans_of(sorted(self._emptied), gap=0):
            batch += [requests.clear(b) for b in table.blocks([(top, bottom)], table.runs())]
        if self._new:
            batch += self._added()
        left = tab.rows + max(0, self._grid_growth()) - len(self._deleted)
        if left <= max(tab.frozen_rows, 1):
            # The API refuses to delete all rows that are not frozen.
            batch.append(requests.append(tab.id, "ROWS", 1))
        spans = spans_of(sorted(self._deleted), gap=0)
        batch += [requests.delete(tab.id, "ROWS", top, bottom) for top, bottom in reversed(spans)]
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
                differ = [n for n, (a, b) in enumerate(zip(new_part, old_part, strict=True)) if not same(a, b)]
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
                    batch.append(requests.write(table.tab.id, row, run.left + first, rows))
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
                        "range": requests.dimension(tab.id, "ROWS", first, first + growth),
                        "inheritFromBefore": True,
                    }
                }
            )
        elif growth > 0:
            batch.append(requests.append(tab.id, "ROWS", growth))
        top, bottom = self._end, self._end + count
        targets = [self._target(k) for k in self._new]
        at = 0
        for run in table.runs():
            rows = [{"values": [cell(v) for v in line[at : at + len(run.names)]]} for line in targets]
            at += len(run.names)
            batch.append(requests.write(tab.id, top, run.left, rows))
        batch += self._number_formats(top, bottom, targets)
        if first < bottom:
            for left, right in spans_of(self._fill, gap=0):
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

    def _number_formats(self, top: int, bottom: int, targets: Sequence[Sequence[Cell]]) -> list[Json]:
        """Return number formats for new rows; money as its currency has decimals."""
        table, fields = self._table, self._portion.stream.fields
        names = table.names
        currency = names.index("currency") if "currency" in names else None
        batch = number_formats(table, fields, top, bottom, skip_money=True)
        money = [n for n in names if n in fields and fields[n].kind is Kind.MONEY]
        if not money:
            return batch
        start = top
        for row in range(top, bottom):
            here, after = (
                money_format(targets[r - top][currency] if currency is not None and r < bottom else None)
                for r in (row, row + 1)
            )
            if row + 1 == bottom or here != after:
                batch += [number_format(table.tab.id, start, row + 1, run, here) for run in table.runs(money)]
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


def _relative(formula: str, row: int) -> str:
    """Return a formula with its own row taken out of its references: equal for formulas filled from one another."""

    def shifted(part: str) -> str:
        return _ROW_OF_REFERENCE.sub(lambda m: f"{m[1]}[{int(m[2]) - row}]", part)

    return "".join(p if n % 2 else shifted(p) for n, p in enumerate(_QUOTED.split(formula)))


def spans_of(rows: Sequence[int], *, gap: int = 20, margin: int = 0, most: int | None = None) -> list[tuple[int, int]]:
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
    spans: Sequence[tuple[int, int]], runs: Sequence[Run], found: Sequence[list[list[Cell]]]
) -> dict[int, list[Cell]]:
    """Return the rows of the spans, their runs of columns put together."""
    lines: dict[int, list[Cell]] = {}
    parts = iter(found)
    for top, bottom in spans:
        blocks = [next(parts) for _ in runs]
        for row in range(top, bottom):
            lines[row] = [v for block in blocks for v in block[row - top]]
    return lines
