"""How positions change when rows or columns are inserted, deleted or moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ROWS = "ROWS"
COLUMNS = "COLUMNS"

_BOUNDS = {ROWS: ("startRowIndex", "endRowIndex"), COLUMNS: ("startColumnIndex", "endColumnIndex")}
_COORDINATE = {ROWS: "rowIndex", COLUMNS: "columnIndex"}
RANGE_KEYS = frozenset(("sheetId", "startRowIndex", "endRowIndex", "startColumnIndex", "endColumnIndex"))
_INDEX_KEYS = RANGE_KEYS - {"sheetId"}


@dataclass(frozen=True)
class Change:
    """One change of a tab's rows or columns.

    ``kind`` is insert, delete or move; ``to`` is where a move goes, counted before the removal.
    """

    sheet_id: int
    dimension: str
    kind: str
    start: int
    count: int
    to: int = 0

    def place(self, index: int) -> int | None:
        """Where a single row or column is afterwards; None when it is gone."""
        end = self.start + self.count
        if self.kind == "insert":
            return index + self.count if index >= self.start else index
        if self.kind == "delete":
            if index < self.start:
                return index
            return None if index < end else index - self.count
        if self.start <= index < end:
            return index - self.start + (self.to if self.to <= self.start else self.to - self.count)
        if end <= index < self.to:
            return index - self.count
        if self.to <= index < self.start:
            return index + self.count
        return index

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where a run of rows or columns is afterwards; None when all of it is gone.

        An insertion at its start pushes it, one inside lets it grow.
        """
        if self.kind == "insert":
            if self.start <= start:
                return start + self.count, end + self.count
            return (start, end + self.count) if self.start < end else (start, end)
        if self.kind == "delete":
            last = self.start + self.count
            new_start = start if start < self.start else max(self.start, start - self.count)
            new_end = end if end <= self.start else max(self.start, end - self.count)
            if start >= self.start and end <= last:
                return None
            return new_start, new_end
        first, final = self.place(start), self.place(end - 1)
        assert first is not None
        assert final is not None
        return min(first, final), max(first, final) + 1

    def shift_range(self, grid_range: dict[str, Any]) -> dict[str, Any] | None:
        """A stored ``GridRange`` afterwards; open bounds stay open."""
        if grid_range.get("sheetId", 0) != self.sheet_id:
            return grid_range
        low, high = _BOUNDS[self.dimension]
        start, end = grid_range.get(low), grid_range.get(high)
        if start is None and end is None:
            return grid_range
        if end is None:
            assert start is not None
            placed = self.span(start, 1 << 30)
            return grid_range if placed is None else {**grid_range, low: placed[0]}
        placed = self.span(start or 0, end)
        if placed is None:
            return None
        new = {**grid_range, high: placed[1]}
        if start is not None:
            new[low] = placed[0]
        return new

    def shift_dimension(self, dimension_range: dict[str, Any]) -> dict[str, Any] | None:
        """A stored ``DimensionRange`` afterwards."""
        if dimension_range.get("sheetId", 0) != self.sheet_id or dimension_range["dimension"] != self.dimension:
            return dimension_range
        placed = self.span(dimension_range.get("startIndex", 0), dimension_range["endIndex"])
        if placed is None:
            return None
        return {**dimension_range, "startIndex": placed[0], "endIndex": placed[1]}

    def shift_all(self, value: Any) -> Any:
        """A stored object with every range and coordinate inside it afterwards; a range that is gone is None."""
        if isinstance(value, list):
            if value and all(is_range(one) for one in value):
                return [new for one in value if (new := self.shift_range(one)) is not None]
            return [self.shift_all(one) for one in value]
        if not isinstance(value, dict):
            return value
        if is_range(value):
            return self.shift_range(value)
        if "dimension" in value and "endIndex" in value:
            return self.shift_dimension(value)
        if "sheetId" in value and ("rowIndex" in value or "columnIndex" in value):
            return self._shift_coordinate(value)
        return {key: self.shift_all(one) for key, one in value.items()}

    def _shift_coordinate(self, value: dict[str, Any]) -> dict[str, Any]:
        key = _COORDINATE[self.dimension]
        if value.get("sheetId", 0) != self.sheet_id or key not in value:
            return value
        placed = self.place(value[key])
        return {**value, key: self.start if placed is None else placed}


def is_range(value: Any) -> bool:
    """Whether this JSON is a ``GridRange`` with at least one bound."""
    return isinstance(value, dict) and not value.keys() - RANGE_KEYS and bool(value.keys() & _INDEX_KEYS)
