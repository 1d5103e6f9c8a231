"""The cells of one tab, kept small: 100,000 rows of 20 columns are ordinary.

A row is a list of contents and a tuple of looks. Rows with the same looks share one tuple, so
formatting a whole column costs one tuple, not one object per cell. Rows are copied before they are
changed (``era`` tells whether a row is already this batch's own), so undoing a batch is cheap.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from owox_tiktok.local.sheets.a1 import Box
from owox_tiktok.local.sheets.changes import ROWS, Change
from owox_tiktok.local.sheets.values import Content, Formula

_eras = itertools.count(1)


class Look:
    """Everything of a cell but its content: format, validation, note, rich text. Never changed once made."""

    __slots__ = ("__weakref__", "parts")

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts = parts


_looks: WeakValueDictionary[str, Look] = WeakValueDictionary()


def look_of(parts: dict[str, Any]) -> Look | None:
    """The one look with these parts; None when there are none."""
    if not parts:
        return None
    key = json.dumps(parts, sort_keys=True)
    known = _looks.get(key)
    if known is None:
        known = _looks[key] = Look(parts)
    return known


Looks = tuple[Look | None, ...]


class Row:
    """One row; both parts may be shorter than the grid is wide."""

    __slots__ = ("cells", "era", "formulas", "looks")

    def __init__(self, era: int, cells: list[Content], looks: Looks, formulas: bool) -> None:
        self.era = era
        self.cells = cells
        self.looks = looks
        self.formulas = formulas


@dataclass(frozen=True)
class GridState:
    """A grid as it was, for undoing."""

    rows: list[Row | None]
    row_count: int
    column_count: int


class Grid:
    """Rows and columns of one tab. Nothing here checks bounds; the callers do."""

    def __init__(self, row_count: int, column_count: int) -> None:
        self.rows: list[Row | None] = []
        self.row_count = row_count
        self.column_count = column_count
        self.era = next(_eras)

    # --- undoing ------------------------------------------------------------------------------------------------------

    def state(self) -> GridState:
        """Remember everything; later changes copy the rows they touch."""
        self.era = next(_eras)
        return GridState(list(self.rows), self.row_count, self.column_count)

    def restore(self, state: GridState) -> None:
        """Go back to a remembered state."""
        self.rows = list(state.rows)
        self.row_count = state.row_count
        self.column_count = state.column_count
        self.era = next(_eras)

    def copy(self) -> Grid:
        """A second grid with the same cells; both copy what they change."""
        other = Grid(self.row_count, self.column_count)
        other.restore(self.state())
        return other

    # --- cells --------------------------------------------------------------------------------------------------------

    def content(self, row: int, column: int) -> Content:
        """What was entered into a cell."""
        if row >= len(self.rows):
            return None
        one = self.rows[row]
        if one is None or column >= len(one.cells):
            return None
        return one.cells[column]

    def look(self, row: int, column: int) -> Look | None:
        """The look of a cell."""
        if row >= len(self.rows):
            return None
        one = self.rows[row]
        if one is None or column >= len(one.looks):
            return None
        return one.looks[column]

    def own_row(self, row: int) -> Row:
        """A row that may be changed."""
        rows = self.rows
        if row >= len(rows):
            rows.extend([None] * (row + 1 - len(rows)))
        one = rows[row]
        if one is None:
            one = rows[row] = Row(self.era, [], (), False)
        elif one.era != self.era:
            one = rows[row] = Row(self.era, list(one.cells), one.looks, one.formulas)
        return one

    def write(self, row: int, column: int, content: Content) -> None:
        """Put content into a cell, or empty it with None."""
        if content is None and self.content(row, column) is None:
            return
        one = self.own_row(row)
        cells = one.cells
        if column >= len(cells):
            cells.extend([None] * (column + 1 - len(cells)))
        cells[column] = content
        if type(content) is Formula:
            one.formulas = True

    def write_run(self, row: int, column: int, contents: list[Content]) -> None:
        """Put contents side by side."""
        one = self.own_row(row)
        cells = one.cells
        if column > len(cells):
            cells.extend([None] * (column - len(cells)))
        cells[column : column + len(contents)] = contents
        if not one.formulas and any(type(content) is Formula for content in contents):
            one.formulas = True

    def set_look(self, row: int, column: int, look: Look | None) -> None:
        """Give one cell a look."""
        if self.look(row, column) is look:
            return
        one = self.own_row(row)
        looks = list(one.looks) + [None] * (column + 1 - len(one.looks))
        looks[column] = look
        one.looks = tuple(looks)

    def change_looks(self, box: Box, change: Callable[[Look | None], Look | None]) -> None:
        """Change the look of every cell of a box; rows that shared their looks still do so afterwards."""
        made: dict[Look | None, Look | None] = {}
        tuples: dict[Looks, Looks] = {}

        def one(look: Look | None) -> Look | None:
            if look not in made:
                made[look] = change(look)
            return made[look]

        for row in range(box.top, box.bottom):
            old: Looks = ()
            if row < len(self.rows):
                present = self.rows[row]
                if present is not None:
                    old = present.looks
            new = tuples.get(old)
            if new is None:
                wide = list(old) + [None] * (box.right - len(old))
                wide[box.left : box.right] = [one(look) for look in wide[box.left : box.right]]
                while wide and wide[-1] is None:
                    wide.pop()
                new = tuples[old] = tuple(wide)
            if new != old:
                self.own_row(row).looks = new

    # --- shape --------------------------------------------------------------------------------------------------------

    def resize(self, row_count: int, column_count: int) -> None:
        """Grow, or cut what is too much."""
        if row_count < len(self.rows):
            del self.rows[row_count:]
        if column_count < self.column_count:
            for index, one in enumerate(self.rows):
                if one is not None and max(len(one.cells), len(one.looks)) > column_count:
                    own = self.own_row(index)
                    del own.cells[column_count:]
                    own.looks = own.looks[:column_count]
        self.row_count = row_count
        self.column_count = column_count

    def apply(self, change: Change) -> None:
        """Insert, delete or move rows or columns; the cells go along."""
        if change.dimension == ROWS:
            _reorder(self.rows, change)
            if change.kind == "insert":
                self.row_count += change.count
            elif change.kind == "delete":
                self.row_count -= change.count
            return
        tuples: dict[Looks, Looks] = {}
        first = min(change.start, change.to) if change.kind == "move" else change.start
        for index, one in enumerate(self.rows):
            if one is None or max(len(one.cells), len(one.looks)) <= first:
                continue
            own = self.own_row(index)
            _reorder(own.cells, change)
            new = tuples.get(own.looks)
            if new is None:
                wide = list(own.looks)
                _reorder(wide, change)
                while wide and wide[-1] is None:
                    wide.pop()
                new = tuples[own.looks] = tuple(wide)
            own.looks = new
        if change.kind == "insert":
            self.column_count += change.count
        elif change.kind == "delete":
            self.column_count -= change.count

    # --- reading ------------------------------------------------------------------------------------------------------

    def cells_of(self, row: int, left: int, right: int) -> list[Content]:
        """Contents of part of a row, without the empty end."""
        if row >= len(self.rows):
            return []
        one = self.rows[row]
        return [] if one is None else one.cells[left:right]

    def filled(self, row: int, left: int, right: int) -> bool:
        """Whether part of a row holds anything."""
        return any(cell is not None for cell in self.cells_of(row, left, right))

    def last_filled(self, box: Box) -> tuple[int, int] | None:
        """The last cell with content in reading order inside a box."""
        for row in range(min(box.bottom, len(self.rows)) - 1, box.top - 1, -1):
            one = self.rows[row]
            if one is None:
                continue
            for column in range(min(box.right, len(one.cells)) - 1, box.left - 1, -1):
                if one.cells[column] is not None:
                    return row, column
        return None

    def formulas(self) -> Iterator[tuple[int, int, Formula]]:
        """Every formula with its place."""
        for index, one in enumerate(self.rows):
            if one is not None and one.formulas:
                for column, cell in enumerate(one.cells):
                    if type(cell) is Formula:
                        yield index, column, cell

    def rewrite_formulas(self, rule: Callable[[str], str]) -> None:
        """Replace formula texts."""
        for row, column, formula in list(self.formulas()):
            text = rule(formula.text)
            if text != formula.text:
                self.write(row, column, Formula(text))


def _reorder(items: list[Any], change: Change) -> None:
    """Carry out a change on a list that may end before the grid does."""
    end = change.start + change.count
    if change.kind == "insert":
        if change.start < len(items):
            items[change.start : change.start] = [None] * change.count
    elif change.kind == "delete":
        del items[change.start : end]
    else:
        most = max(end, change.to)
        if min(change.start, change.to) >= len(items):
            return
        items.extend([None] * (most - len(items)))
        block = items[change.start : end]
        if change.to <= change.start:
            del items[change.start : end]
            items[change.to : change.to] = block
        else:
            items[change.to : change.to] = block
            del items[change.start : end]
