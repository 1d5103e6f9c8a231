"""What every request of ``spreadsheets.batchUpdate`` needs; see ``batch_update``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from owox_tiktok.local.sheets import masks
from owox_tiktok.local.sheets.a1 import Box
from owox_tiktok.local.sheets.errors import Json, invalid
from owox_tiktok.local.sheets.model import Caller, Sheet, Spreadsheet


class Batch:
    """What a request needs to know: the spreadsheet, who asks, and its own name."""

    def __init__(self, spreadsheet: Spreadsheet, caller: Caller, strict_filters: bool = False) -> None:
        self.spreadsheet = spreadsheet
        self.caller = caller
        self.strict_filters = strict_filters
        self.name = ""
        self.index = 0

    def sheet(self, sheet_id: Any) -> Sheet:
        """The tab of a request about a tab."""
        found = self.spreadsheet.sheet_by_id(sheet_id or 0)
        if found is None:
            raise invalid(f"No sheet with id: {sheet_id or 0}")
        return found

    def grid(self, sheet_id: Any) -> Sheet:
        """The tab of a request about cells."""
        found = self.spreadsheet.sheet_by_id(sheet_id or 0)
        if found is None:
            raise invalid(f"No grid with id: {sheet_id or 0}")
        return found

    def box(self, grid_range: Any) -> tuple[Sheet, Box]:
        """The cells of a ``GridRange``, cut to the grid."""
        if not isinstance(grid_range, dict):
            raise invalid("range is required.")
        sheet = self.grid(grid_range.get("sheetId"))
        for low, high in (("startRowIndex", "endRowIndex"), ("startColumnIndex", "endColumnIndex")):
            start, end = grid_range.get(low), grid_range.get(high)
            if start is not None and start < 0:
                raise invalid(f"range.{low} must not be negative.")
            if end is not None and end <= (start or 0):
                raise invalid(f"range.{high} must be after range.{low}.")
        box = self.spreadsheet.box_of(grid_range)
        if box.empty:
            kind = "Row" if box.bottom <= box.top else "Column"
            index, size = (box.top, sheet.grid.row_count) if kind == "Row" else (box.left, sheet.grid.column_count)
            raise invalid(f"range.start{kind}Index[{index}] is after last {kind.lower()} in grid[{size}]")
        return sheet, box

    def stored_range(self, grid_range: Any) -> Json:
        """A ``GridRange`` as it is stored: with its tab's id, bounds as given."""
        self.box(grid_range)
        bounds = {key: one for key, one in grid_range.items() if one is not None}
        return {"sheetId": 0, **bounds}

    def full_range(self, grid_range: Any) -> Json:
        """A ``GridRange`` with every bound made concrete."""
        _, box = self.box(grid_range)
        return box.grid_range

    def mask(self, body: Json) -> masks.Mask:
        """The ``fields`` of a request, which must name something."""
        text = body.get("fields")
        if not text:
            raise invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
        return masks.widen(masks.parse(str(text)))

    def path(self, below: str) -> str:
        """Where something is in the body, as error texts spell it."""
        return f"requests[{self.index}].{snake(self.name)}.{below}"

    def writable(self, box: Box, fields: str) -> None:
        """Refuse protected cells, else write down that these are touched."""
        self.spreadsheet.check_writable(self.caller, box)
        self.spreadsheet.touch(self.caller, self.name, box, fields)


Request = Callable[[Batch, Json], "Json | None"]


def snake(name: str) -> str:
    """``addSheet`` as error texts spell it: ``add_sheet``."""
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)
