"""A Google that is not as it is thought to be: each kind switches one assumption off, so that a probe can be tested.

echo         ranges asked for by data filter come back without the filter
unique_ids   an id of developer metadata that exists is given once more, as another
atomic       of a batch that is refused, what comes before the refused request stays
filters      a call takes 100 data filters
first_row    nothing can be inserted before the first row
values       a text of digits becomes a number
read_back    a batch's answer has no spreadsheet in it
tags         developer metadata of the spreadsheet is found by searching alone
warning      no range can be protected with a warning
packed       a compressed request is refused
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from owox_tiktok.local.sheets.errors import Json, invalid

UNLIKE = ("echo", "unique_ids", "atomic", "filters", "first_row", "values", "read_back", "tags", "warning", "packed")
_MOST_FILTERS = 100


def check_filters(unlike: Collection[str], body: Json) -> None:
    """Refuse a call with many data filters."""
    if "filters" in unlike and len(body.get("dataFilters") or []) > _MOST_FILTERS:
        raise invalid(f"Must specify at most {_MOST_FILTERS} data filters.")


def answered(unlike: Collection[str], verb: str | None, value: Json) -> Json:
    """Return the answer of a call that reads."""
    if "echo" in unlike and verb == "batchGetByDataFilter":
        return {**value, "valueRanges": [{"valueRange": one["valueRange"]} for one in value.get("valueRanges", [])]}
    if "tags" in unlike and verb in (None, "getByDataFilter"):
        return {key: one for key, one in value.items() if key != "developerMetadata"}
    return value


def changed(unlike: Collection[str], body: Json, taken: Collection[int]) -> Json:
    """Return a batch as it is carried out."""
    body = {**body, "requests": [_request(unlike, one, taken) for one in body.get("requests") or []]}
    if "read_back" in unlike:
        body.pop("includeSpreadsheetInResponse", None)
    return body


def carried_out(unlike: Collection[str], body: Json, do: Callable[[Json], Any]) -> Any:
    """Carry out a batch: altogether, or request by request up to the one that is refused."""
    if "atomic" in unlike:
        for request in body["requests"]:
            done = do({**body, "requests": [request]})
        return done
    return do(body)


def _request(unlike: Collection[str], request: Json, taken: Collection[int]) -> Json:
    if "unique_ids" in unlike and "createDeveloperMetadata" in request:
        entry = request["createDeveloperMetadata"]["developerMetadata"]
        if entry.get("metadataId") in taken:
            entry = {key: one for key, one in entry.items() if key != "metadataId"}
            return {"createDeveloperMetadata": {"developerMetadata": entry}}
    if "first_row" in unlike and request.get("insertDimension", {}).get("range", {}).get("startIndex") == 0:
        raise invalid("Invalid requests[0].insertDimension: nothing can be inserted before the first row.")
    if "warning" in unlike and "addProtectedRange" in request:
        raise invalid("Invalid requests[0].addProtectedRange: nothing can be protected.")
    return _numbers(request) if "values" in unlike and "updateCells" in request else request


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, dict):
        text = value.get("stringValue")
        if isinstance(text, str) and text.isdecimal():
            return {"numberValue": float(text)}
        return {key: _numbers(one) for key, one in value.items()}
    return value
