"""Paths of the API and what each of them does."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from owox_tiktok.local import http
from owox_tiktok.local.sheets import masks, metadata, reading, unlike, values_api
from owox_tiktok.local.sheets.auth import check_scopes
from owox_tiktok.local.sheets.batch import Batch
from owox_tiktok.local.sheets.batch_sheets import add_sheet, copy_sheet
from owox_tiktok.local.sheets.batch_update import batch_update
from owox_tiktok.local.sheets.drive import Drive
from owox_tiktok.local.sheets.errors import ApiError, Json, invalid, not_found, office_file, violation
from owox_tiktok.local.sheets.faults import Faults
from owox_tiktok.local.sheets.model import Caller, Spreadsheet

MAX_BODY = 10_485_760
"""Largest request body in bytes."""


@dataclass
class Call:
    """One request, taken apart."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    content_type: str
    caller: Caller

    def one(self, name: str) -> str | None:
        """A query parameter."""
        return self.query[name][0] if name in self.query else None

    def options(self) -> Json:
        """Query parameters, the last of each, with booleans as such."""
        return {
            name: {"true": True, "false": False}.get(values[-1].lower(), values[-1])
            for name, values in self.query.items()
        }

    def json(self) -> Json:
        """The body, which may be left out."""
        if not self.body.strip():
            return {}
        try:
            value = json.loads(self.body, parse_constant=_no_constant)
        except ValueError:
            raise violation("", "Invalid JSON payload received. Unexpected token.") from None
        if not isinstance(value, dict):
            raise violation("", "Invalid JSON payload received. The body must be an object.")
        return value


def _no_constant(name: str) -> float:
    """Python reads NaN and Infinity, which are no JSON."""
    raise ValueError(name)


@dataclass(slots=True)
class Answer(http.Answer):
    """An answer of the API; ``requests`` is how many requests a batch held."""

    requests: int = 0


_VALUE_VERBS = ("append", "clear")
_READING = frozenset(("getByDataFilter", "batchGetByDataFilter", "search", "batchGet"))


def split_path(raw: str) -> tuple[str | None, str | None, str | None, str | None]:
    """Spreadsheet id, collection, item and verb of a Sheets path that is still encoded.

    A verb comes after the last raw colon; a colon inside a range does not make one.
    """
    rest = raw.removeprefix("/v4/spreadsheets")
    if rest in ("", "/"):
        return None, None, None, None
    file_id, slash, rest = rest[1:].partition("/")
    if not slash:
        file_id, _, verb = file_id.partition(":")
        return unquote(file_id), None, None, verb or None
    collection, slash, item = rest.partition("/")
    if not slash:
        collection, _, verb = collection.partition(":")
        return unquote(file_id), collection, None, verb or None
    text, colon, verb = item.rpartition(":")
    known = _VALUE_VERBS if collection == "values" else ("copyTo",)
    if colon and verb in known:
        return unquote(file_id), collection, unquote(text), verb
    return unquote(file_id), collection, unquote(item), None


def quota_kind(method: str, raw_path: str) -> str | None:
    """Whether a call counts as a Read or a Write; Drive has a quota of its own."""
    if not raw_path.startswith("/v4/"):
        return None
    verb = split_path(raw_path)[3]
    return "Read" if method == "GET" or verb in _READING else "Write"


class Api:
    """Answers calls. Not safe from several threads at once; the server lets in one at a time."""

    def __init__(self, drive: Drive, faults: Faults) -> None:
        self.drive = drive
        self.faults = faults

    def handle(self, call: Call) -> Answer:
        """Answer one call; refusals become answers too."""
        try:
            if len(call.body) > MAX_BODY:
                raise invalid(f"Request payload size exceeds the limit: {MAX_BODY} bytes.")
            if call.path.startswith("/v4/spreadsheets"):
                return self._sheets(call)
            return self._drive(call)
        except ApiError as error:
            return Answer(error.code, to_bytes(error.body()))
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            # Fields of the wrong kind. Not a 5xx: clients that back off would wait for minutes.
            return Answer(400, to_bytes(invalid(f"Invalid request: {type(error).__name__} {error}").body()))

    # --- Sheets -------------------------------------------------------------------------------------------------------

    def _sheets(self, call: Call) -> Answer:
        file_id, collection, item, verb = split_path(call.path)
        if file_id is None:
            if call.method != "POST":
                raise not_found()
            return _ok(self._create(call))
        spreadsheet = self.drive.files.get(file_id)
        if spreadsheet is None:
            raise not_found()
        if file_id in self.faults.forbidden:
            raise ApiError(403, "PERMISSION_DENIED", "The caller does not have permission")
        if file_id in self.faults.office:
            raise office_file()
        readable = call.method == "GET" and collection != "developerMetadata"
        check_scopes(call.caller, readable)
        writes = call.method != "GET" and verb not in _READING and verb != "copyTo"
        spreadsheet.require(call.caller, writes)
        if verb == "batchUpdate" and collection is None and call.method == "POST":
            strict, kinds = self.faults.refuse_empty_filters, self.faults.unlike
            body = unlike.changed(kinds, call.json(), spreadsheet.used_ids("metadata")) if kinds else call.json()
            answer, count = unlike.carried_out(
                kinds, body, lambda one: batch_update(spreadsheet, call.caller, one, strict)
            )
            return Answer(200, to_bytes(_projected(answer, call)), requests=count)
        if call.method == "POST":
            unlike.check_filters(self.faults.unlike, call.json())
        key = (call.method, collection, verb, item is not None)
        handler = _HANDLERS.get(key)
        if handler is None:
            raise not_found()
        found = _projected(handler(self, spreadsheet, call, item or ""), call, key)
        return _ok(unlike.answered(self.faults.unlike, verb, found) if collection in (None, "values") else found)

    def _create(self, call: Call) -> Json:
        check_scopes(call.caller, False)
        body = call.json()
        given = body.get("properties") or {}
        title = str(given.get("title") or "Untitled spreadsheet")
        spreadsheet = self.drive.make(title, call.caller.email)
        try:
            properties = {key: one for key, one in given.items() if key != "title" and one is not None}
            spreadsheet.properties = {**spreadsheet.properties, **properties}
            requests: list[Json] = []
            if body.get("sheets"):
                spreadsheet.sheets = []
                maker = Batch(spreadsheet, call.caller)
                for index, one in enumerate(body["sheets"]):
                    wanted = {"title": f"Sheet{index + 1}", **(one.get("properties") or {})}
                    if index == 0:
                        wanted.setdefault("sheetId", 0)
                    made = add_sheet(maker, {"properties": wanted})["properties"]
                    requests += _data_requests(made["sheetId"], one.get("data") or [])
            requests += [{"addNamedRange": {"namedRange": one}} for one in body.get("namedRanges") or []]
            requests += [
                {"createDeveloperMetadata": {"developerMetadata": one}} for one in body.get("developerMetadata") or []
            ]
            if requests:
                batch_update(spreadsheet, call.caller, {"requests": requests})
        except ApiError:
            del self.drive.files[spreadsheet.spreadsheet_id]
            raise
        fields = call.one("fields")
        return reading.spreadsheet_json(spreadsheet, call.caller, mask=masks.parse(fields) if fields else None)

    def copy_to(self, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
        """``sheets.copyTo``."""
        target = self.drive.files.get(str(call.json().get("destinationSpreadsheetId")))
        if target is None:
            raise not_found()
        target.require(call.caller, True)
        source = spreadsheet.sheet_by_id(int(item)) if item.isdigit() else None
        if source is None:
            raise invalid(f"No sheet with id: {item}")
        with target.transaction():
            title = target.free_title(f"Copy of {source.title}")
            sheet = copy_sheet(Batch(target, call.caller), source, target.new_id("sheet"), title)
            target.sheets = [*target.sheets, sheet]
        return reading.sheet_properties(target, sheet)

    # --- Drive --------------------------------------------------------------------------------------------------------

    def _drive(self, call: Call) -> Answer:
        drive, caller, fields = self.drive, call.caller, call.one("fields")
        parts = [unquote(one) for one in call.path.strip("/").split("/")]
        if parts[:4] == ["upload", "drive", "v2", "files"] and call.method == "PUT" and len(parts) == 5:
            return _ok(drive.upload_v2(parts[4], caller, call.body))
        if parts == ["upload", "drive", "v3", "files"] and call.method == "POST":
            return _ok(drive.upload_v3(caller, call.content_type, call.body))
        if parts[:3] != ["drive", "v3", "files"]:
            raise not_found()
        rest = parts[3:]
        match (call.method, *rest):
            case ("GET",):
                return _ok(drive.list(caller, call.one("q") or "", fields))
            case ("POST",):
                return _ok(drive.create(caller, call.json()))
            case ("GET", file_id):
                return _ok(drive.get(file_id, caller, fields))
            case ("PATCH", file_id):
                return _ok(drive.update(file_id, caller, call.json(), fields))
            case ("DELETE", file_id):
                drive.delete(file_id, caller)
                return Answer(204, b"")
            case ("POST", file_id, "copy"):
                return _ok(drive.copy(file_id, caller, call.json()))
            case ("GET", file_id, "export"):
                kind = call.one("mimeType") or ""
                return Answer(200, drive.export(file_id, caller, kind), kind)
            case ("GET", file_id, "comments"):
                drive.file(file_id, caller)
                return _ok({"comments": []})
            case ("GET", file_id, "permissions"):
                return _ok(drive.permissions(file_id, caller, fields))
            case ("POST", file_id, "permissions"):
                return _ok(drive.share(file_id, caller, call.json()))
            case ("PATCH", file_id, "permissions", number):
                return _ok(drive.change_permission(file_id, caller, number, call.json()) or {})
            case ("DELETE", file_id, "permissions", number):
                drive.change_permission(file_id, caller, number, None)
                return Answer(204, b"")
        raise not_found()


def _data_requests(sheet_id: int, data: list[Json]) -> list[Json]:
    out: list[Json] = []
    for one in data:
        start = {"sheetId": sheet_id, "rowIndex": one.get("startRow", 0), "columnIndex": one.get("startColumn", 0)}
        if one.get("rowData"):
            out.append({"updateCells": {"start": start, "rows": one["rowData"], "fields": "*"}})
    return out


def to_bytes(value: Any) -> bytes:
    """JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _ok(value: Json) -> Answer:
    return Answer(200, to_bytes(value))


_OWN_FIELDS = frozenset((("GET", None, None, False), ("POST", None, "getByDataFilter", False)))


def _projected(value: Json, call: Call, key: Any = None) -> Json:
    fields = call.one("fields")
    if not fields or key in _OWN_FIELDS:
        return value
    return dict(masks.project(value, masks.parse(fields)))


# --- one function per method ------------------------------------------------------------------------------------------

Handler = Callable[[Api, Spreadsheet, Call, str], Json]


def _get(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    fields = call.one("fields")
    return reading.spreadsheet_json(
        spreadsheet,
        call.caller,
        ranges=call.query.get("ranges"),
        grid_data=(call.one("includeGridData") or "").lower() == "true",
        mask=masks.parse(fields) if fields else None,
    )


def _get_by_filter(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    body, fields = call.json(), call.one("fields")
    boxes = None
    if body.get("dataFilters"):
        boxes = [one for each in body["dataFilters"] for one in metadata.boxes(spreadsheet, call.caller, each)]
    return reading.spreadsheet_json(
        spreadsheet,
        call.caller,
        boxes=boxes,
        grid_data=bool(body.get("includeGridData")),
        mask=masks.parse(fields) if fields else None,
    )


def _values_get(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return values_api.get(spreadsheet, item, call.options())


def _values_update(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return values_api.update(spreadsheet, call.caller, item, call.json(), call.options())


def _values_append(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return values_api.append(spreadsheet, call.caller, item, call.json(), call.options())


def _values_clear(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return values_api.clear(spreadsheet, call.caller, item)


def _values_batch_get(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return values_api.batch_get(spreadsheet, call.query.get("ranges", []), call.options())


def _values_batch_update(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return values_api.batch_update(spreadsheet, call.caller, call.json())


def _values_batch_clear(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return values_api.batch_clear(spreadsheet, call.caller, call.json().get("ranges") or [])


def _filter_get(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return metadata.values_get(spreadsheet, call.caller, call.json())


def _filter_update(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return metadata.values_update(spreadsheet, call.caller, call.json())


def _filter_clear(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return metadata.values_clear(spreadsheet, call.caller, call.json())


def _metadata_get(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    if not item.isdigit():
        raise not_found()
    return metadata.get(spreadsheet, call.caller, int(item))


def _metadata_search(api: Api, spreadsheet: Spreadsheet, call: Call, item: str) -> Json:
    return metadata.search(spreadsheet, call.caller, call.json().get("dataFilters") or [])


_HANDLERS: dict[tuple[str, str | None, str | None, bool], Handler] = {
    ("GET", None, None, False): _get,
    ("POST", None, "getByDataFilter", False): _get_by_filter,
    ("GET", "values", None, True): _values_get,
    ("PUT", "values", None, True): _values_update,
    ("POST", "values", "append", True): _values_append,
    ("POST", "values", "clear", True): _values_clear,
    ("GET", "values", "batchGet", False): _values_batch_get,
    ("POST", "values", "batchUpdate", False): _values_batch_update,
    ("POST", "values", "batchClear", False): _values_batch_clear,
    ("POST", "values", "batchGetByDataFilter", False): _filter_get,
    ("POST", "values", "batchUpdateByDataFilter", False): _filter_update,
    ("POST", "values", "batchClearByDataFilter", False): _filter_clear,
    ("GET", "developerMetadata", None, True): _metadata_get,
    ("POST", "developerMetadata", "search", False): _metadata_search,
    ("POST", "sheets", "copyTo", True): Api.copy_to,
}


def parse_query(query: str) -> dict[str, list[str]]:
    """Query parameters with all their values."""
    return parse_qs(query, keep_blank_values=True)


def unpacked(body: bytes, encoding: str) -> bytes:
    """A body as it was before it was compressed."""
    return gzip.decompress(body) if encoding == "gzip" else body
