"""``spreadsheets.batchUpdate``: requests in order, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from owox_tiktok.local.sheets import masks, reading
from owox_tiktok.local.sheets.a1 import Box
from owox_tiktok.local.sheets.errors import ApiError, Json, invalid, unknown_name
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
        return {
            "sheetId": box.sheet_id,
            "startRowIndex": box.top,
            "endRowIndex": box.bottom,
            "startColumnIndex": box.left,
            "endColumnIndex": box.right,
        }

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

_UNSUPPORTED = frozenset(
    (
        "addDataSource",
        "updateDataSource",
        "deleteDataSource",
        "refreshDataSource",
        "cancelDataSourceRefresh",
        "insertComment",
    )
)


def _table() -> dict[str, tuple[Request, frozenset[str]]]:
    from . import batch_cells, batch_dimensions, batch_objects, batch_sheets

    table: dict[str, tuple[Request, frozenset[str]]] = {}
    for module in (batch_sheets, batch_cells, batch_dimensions, batch_objects):
        for name, (function, fields) in module.REQUESTS.items():
            table[name] = (function, frozenset(fields.split()))
    return table


_known: dict[str, tuple[Request, frozenset[str]]] = {}


def known_requests() -> dict[str, tuple[Request, frozenset[str]]]:
    """Every request by name, with the fields it knows."""
    if not _known:
        _known.update(_table())
    return _known


def snake(name: str) -> str:
    """``addSheet`` as error texts spell it: ``add_sheet``."""
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


def check_shape(requests: Any) -> list[tuple[str, Json]]:
    """Names and bodies of the requests; refuses what the schema does not know before anything happens."""
    if not isinstance(requests, list) or not requests:
        raise invalid("Must specify at least one request.")
    table = known_requests()
    out: list[tuple[str, Json]] = []
    for index, request in enumerate(requests):
        names = [name for name, one in request.items() if one is not None] if isinstance(request, dict) else []
        for name in names:
            if name in _UNSUPPORTED:
                raise invalid(f"Invalid requests[{index}].{name}: not supported by this emulator.")
            if name not in table:
                raise unknown_name(name, f"requests[{index}]")
        if len(names) != 1:
            raise invalid(f"Invalid requests[{index}]: exactly one kind of request must be set.")
        body = request[names[0]]
        if not isinstance(body, dict):
            raise invalid(f"Invalid value at 'requests[{index}].{snake(names[0])}'")
        for field in body:
            if field not in table[names[0]][1]:
                raise unknown_name(field, f"requests[{index}].{snake(names[0])}")
        out.append((names[0], body))
    return out


def batch_update(
    spreadsheet: Spreadsheet, caller: Caller, body: Json, strict_filters: bool = False
) -> tuple[Json, int]:
    """Carry out a batch; the answer and the number of requests."""
    for name in body:
        if name not in ("requests", "includeSpreadsheetInResponse", "responseRanges", "responseIncludeGridData"):
            raise unknown_name(name, "")
    requests = check_shape(body.get("requests"))
    table = known_requests()
    batch = Batch(spreadsheet, caller, strict_filters)
    replies: list[Json] = []
    with spreadsheet.transaction():
        for index, (name, request) in enumerate(requests):
            batch.name, batch.index = name, index
            try:
                reply = table[name][0](batch, request)
            except ApiError as error:
                if error.code == 400 and not error.details:
                    raise invalid(f"Invalid requests[{index}].{name}: {error.message}") from None
                raise
            except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
                # A field of the wrong kind, or one that is needed and missing.
                raise invalid(f"Invalid requests[{index}].{name}: {type(error).__name__} {error}") from error
            spreadsheet.changed()
            replies.append({} if reply is None else {name: reading.shown(reply)})
    answer: Json = {"spreadsheetId": spreadsheet.spreadsheet_id, "replies": replies}
    if body.get("includeSpreadsheetInResponse"):
        answer["updatedSpreadsheet"] = reading.spreadsheet_json(
            spreadsheet,
            caller,
            ranges=body.get("responseRanges"),
            grid_data=bool(body.get("responseIncludeGridData")),
        )
    return answer, len(requests)
