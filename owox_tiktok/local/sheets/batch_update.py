"""``spreadsheets.batchUpdate``: requests in order, all of them or none."""

from __future__ import annotations

from typing import Any

from owox_tiktok.local.sheets import batch_cells, batch_dimensions, batch_objects, batch_sheets, reading
from owox_tiktok.local.sheets.batch import Batch, Request, snake
from owox_tiktok.local.sheets.errors import ApiError, Json, invalid, unknown_name
from owox_tiktok.local.sheets.model import Caller, Spreadsheet

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
    table: dict[str, tuple[Request, frozenset[str]]] = {}
    for module in (batch_sheets, batch_cells, batch_dimensions, batch_objects):
        for name, (function, fields) in module.REQUESTS.items():
            table[name] = (function, frozenset(fields.split()))
    return table


REQUESTS = _table()
"""Every request by name, with the fields it knows."""


def check_shape(requests: Any) -> list[tuple[str, Json]]:
    """Names and bodies of the requests; refuses what the schema does not know before anything happens."""
    if not isinstance(requests, list) or not requests:
        raise invalid("Must specify at least one request.")
    out: list[tuple[str, Json]] = []
    for index, request in enumerate(requests):
        names = [name for name, one in request.items() if one is not None] if isinstance(request, dict) else []
        for name in names:
            if name in _UNSUPPORTED:
                raise invalid(f"Invalid requests[{index}].{name}: not supported by this emulator.")
            if name not in REQUESTS:
                raise unknown_name(name, f"requests[{index}]")
        if len(names) != 1:
            raise invalid(f"Invalid requests[{index}]: exactly one kind of request must be set.")
        body = request[names[0]]
        if not isinstance(body, dict):
            raise invalid(f"Invalid value at 'requests[{index}].{snake(names[0])}'")
        for field in body:
            if field not in REQUESTS[names[0]][1]:
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
    batch = Batch(spreadsheet, caller, strict_filters)
    replies: list[Json] = []
    with spreadsheet.transaction():
        for index, (name, request) in enumerate(requests):
            batch.name, batch.index = name, index
            try:
                reply = REQUESTS[name][0](batch, request)
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
