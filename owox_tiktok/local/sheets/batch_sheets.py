"""Requests about the spreadsheet and its tabs, and developer metadata."""

from __future__ import annotations

from typing import Any

from owox_tiktok.local.sheets import masks, metadata, reading
from owox_tiktok.local.sheets.batch import Batch, Request
from owox_tiktok.local.sheets.changes import COLUMNS, ROWS, Change
from owox_tiktok.local.sheets.errors import Json, invalid
from owox_tiktok.local.sheets.model import Sheet

_GRID_KEYS = (
    "frozenRowCount",
    "frozenColumnCount",
    "hideGridlines",
    "rowGroupControlAfter",
    "columnGroupControlAfter",
)
_EXTRA_KEYS = ("hidden", "tabColor", "tabColorStyle", "rightToLeft")


def update_spreadsheet_properties(batch: Batch, body: Json) -> None:
    """Title, locale, time zone."""
    mask = batch.mask(body)
    given = body.get("properties") or {}
    spreadsheet = batch.spreadsheet
    for name in mask or given:
        value = given.get(name)
        if name == "title":
            if not value:
                raise invalid("The spreadsheet title cannot be empty.")
            spreadsheet.title = str(value)
        elif value is not None:
            spreadsheet.properties = {**spreadsheet.properties, name: masks.clean(value, True)}


def check_title(batch: Batch, title: str, but: Sheet | None = None) -> None:
    """Refuse an empty, long or taken title."""
    if not title:
        raise invalid("The sheet name cannot be empty.")
    if len(title) > 100:
        raise invalid("The sheet name cannot be greater than 100 characters.")
    other = batch.spreadsheet.sheet_by_title(title)
    if other is not None and other is not but:
        raise invalid(f'A sheet with the name "{title}" already exists. Please enter another name.')


def _check_id(batch: Batch, number: int) -> None:
    if number < 0:
        raise invalid("Sheet id must be non-negative.")
    if number in batch.spreadsheet.used_ids("sheet"):
        raise invalid(f"Sheet with id {number} already exists.")


def _freeze(sheet: Sheet) -> None:
    for name, size, what in (
        ("frozenRowCount", sheet.grid.row_count, "rows"),
        ("frozenColumnCount", sheet.grid.column_count, "columns"),
    ):
        if sheet.grid_extra.get(name, 0) >= size:
            raise invalid(f"You can't freeze all visible {what} on the sheet.")


def _set_grid(batch: Batch, sheet: Sheet, given: Json, mask: masks.Mask) -> None:
    spreadsheet, grid = batch.spreadsheet, sheet.grid
    names = list(mask or {*given, *_GRID_KEYS})
    # One dimension after the other, as the cell limit is checked: rows first, against the old columns.
    for name in ("rowCount", "columnCount"):
        if name not in names:
            continue
        size = given.get(name)
        if not isinstance(size, int) or size < 1:
            raise invalid(f"gridProperties.{name} must be at least 1.")
        rows, columns = (size, grid.column_count) if name == "rowCount" else (grid.row_count, size)
        spreadsheet.check_size(sheet, rows, columns)
        if rows < grid.row_count or columns < grid.column_count:
            _drop_beyond(batch, sheet, rows, columns)
        else:
            grid.resize(rows, columns)
    extra = dict(sheet.grid_extra)
    for name in _GRID_KEYS:
        if name in names:
            extra.pop(name, None)
            if given.get(name):
                extra[name] = given[name]
    sheet.grid_extra = extra
    _freeze(sheet)


def _drop_beyond(batch: Batch, sheet: Sheet, rows: int, columns: int) -> None:

    for dimension, size, old in ((ROWS, rows, sheet.grid.row_count), (COLUMNS, columns, sheet.grid.column_count)):
        if size < old:
            batch.spreadsheet.apply_change(sheet, Change(sheet.sheet_id, dimension, "delete", size, old - size))


def update_sheet_properties(batch: Batch, body: Json) -> None:
    """Title, place, size, frozen rows, colour and visibility of a tab."""
    given = body.get("properties") or {}
    sheet = batch.sheet(given.get("sheetId"))
    mask = batch.mask(body)
    names = list(mask or given)
    for name in names:
        if name not in ("sheetId", "title", "index", "sheetType", "gridProperties", *_EXTRA_KEYS):
            raise invalid(f"Invalid field: {name}")
    if "title" in names:
        title = str(given.get("title") or "")
        check_title(batch, title, sheet)
        batch.spreadsheet.rename_sheet(sheet, title)
    if "gridProperties" in names:
        _set_grid(batch, sheet, given.get("gridProperties") or {}, mask.get("gridProperties", {}))
    _set_extra(sheet, given, names)
    if not any(not one.hidden for one in batch.spreadsheet.sheets):
        raise invalid("You can't hide all the sheets in a document.")
    if "index" in names:
        _place(batch, sheet, given.get("index") or 0)
    batch.spreadsheet.touch(batch.caller, batch.name, sheet.box._replace(bottom=0), ",".join(names))


def _set_extra(sheet: Sheet, given: Json, names: list[str]) -> None:
    cleaned = masks.clean(given)
    extra = dict(sheet.extra)
    for name in _EXTRA_KEYS:
        if name in names:
            extra.pop(name, None)
            if name in cleaned:
                extra[name] = cleaned[name]
    sheet.extra = extra


def _place(batch: Batch, sheet: Sheet, index: int) -> None:
    sheets = batch.spreadsheet.sheets
    if not 0 <= index <= len(sheets):
        raise invalid(f"Sheet index {index} is out of bounds.")
    old = sheets.index(sheet)
    rest = [one for one in sheets if one is not sheet]
    # The place is counted before the tab is taken out of its old one.
    place = index - 1 if index > old else index
    batch.spreadsheet.sheets = [*rest[:place], sheet, *rest[place:]]


def add_sheet(batch: Batch, body: Json) -> Json:
    """A new tab; without a size it has 1000 rows and 26 columns."""
    given = body.get("properties") or {}
    spreadsheet = batch.spreadsheet
    number = given.get("sheetId")
    if number is None:
        number = spreadsheet.new_id("sheet")
    _check_id(batch, number)
    title = given.get("title")
    if title is None:
        count = len(spreadsheet.sheets) + 1
        while spreadsheet.sheet_by_title(f"Sheet{count}") is not None:
            count += 1
        title = f"Sheet{count}"
    check_title(batch, title)
    if given.get("sheetType") not in (None, "GRID"):
        raise invalid(f"Sheets of type {given['sheetType']} cannot be added.")
    grid = {key: one for key, one in (given.get("gridProperties") or {}).items() if one is not None}
    rows, columns = grid.get("rowCount", 1000), grid.get("columnCount", 26)
    sheet = Sheet(number, title, rows, columns)
    spreadsheet.check_size(sheet, rows, columns)
    sheet.grid_extra = {name: grid[name] for name in _GRID_KEYS if grid.get(name)}
    _freeze(sheet)
    _set_extra(sheet, given, list(_EXTRA_KEYS))
    index = given.get("index")
    place = len(spreadsheet.sheets) if index is None else index
    if not 0 <= place <= len(spreadsheet.sheets):
        raise invalid(f"Sheet index {place} is out of bounds.")
    spreadsheet.sheets = [*spreadsheet.sheets[:place], sheet, *spreadsheet.sheets[place:]]
    return {"properties": reading.sheet_properties(spreadsheet, sheet)}


def delete_sheet(batch: Batch, body: Json) -> None:
    """Take a tab out; one visible tab must stay."""
    sheet = batch.sheet(body.get("sheetId"))
    if not any(not one.hidden for one in batch.spreadsheet.sheets if one is not sheet):
        raise invalid("You can't remove all the visible sheets in a document.")
    batch.writable(sheet.box, "*")
    batch.spreadsheet.remove_sheet(sheet)


def duplicate_sheet(batch: Batch, body: Json) -> Json:
    """A copy of a tab, with new ids for its objects and without its metadata."""
    source = batch.sheet(body.get("sourceSheetId"))
    spreadsheet = batch.spreadsheet
    number = body.get("newSheetId")
    if number is None:
        number = spreadsheet.new_id("sheet")
    _check_id(batch, number)
    title = body.get("newSheetName")
    if title is None:
        title = spreadsheet.free_title(f"Copy of {source.title}")
    check_title(batch, title)
    sheet = copy_sheet(batch, source, number, title)
    index = body.get("insertSheetIndex")
    place = 0 if index is None else index
    if not 0 <= place <= len(spreadsheet.sheets):
        raise invalid(f"Sheet index {place} is out of bounds.")
    spreadsheet.sheets = [*spreadsheet.sheets[:place], sheet, *spreadsheet.sheets[place:]]
    return {"properties": reading.sheet_properties(spreadsheet, sheet)}


OBJECT_IDS = {
    "filterViews": "filterViewId",
    "protectedRanges": "protectedRangeId",
    "charts": "chartId",
    "bandedRanges": "bandedRangeId",
    "tables": "tableId",
    "slicers": "slicerId",
}


def copy_sheet(batch: Batch, source: Sheet, number: int, title: str) -> Sheet:
    """A copy whose objects have ids of their own; formulas that name the source keep naming it."""
    spreadsheet = batch.spreadsheet
    sheet = source.copy(number, title)
    spreadsheet.check_size(sheet, sheet.grid.row_count, sheet.grid.column_count)
    for part, name in OBJECT_IDS.items():
        fresh: list[Json] = []
        for one in sheet.parts[part]:
            made: Any = spreadsheet.new_id(f"{part}.{name}")
            fresh.append({**one, name: str(made) if name == "tableId" else made})
        sheet.parts[part] = fresh
    return sheet


def create_developer_metadata(batch: Batch, body: Json) -> Json:
    """Metadata with a given or a random id."""
    entry = metadata.create(batch.spreadsheet, batch.caller, body.get("developerMetadata") or {})
    return {"developerMetadata": metadata.to_json(entry)}


def update_developer_metadata(batch: Batch, body: Json) -> Json:
    """Change whatever the filters select."""
    entries = metadata.update(
        batch.spreadsheet,
        batch.caller,
        body.get("dataFilters") or [],
        body.get("developerMetadata") or {},
        batch.mask(body),
        batch.strict_filters,
    )
    return {"developerMetadata": [metadata.to_json(one) for one in entries]} if entries else {}


def delete_developer_metadata(batch: Batch, body: Json) -> Json:
    """Take away whatever the filter selects."""
    gone = metadata.delete(batch.spreadsheet, batch.caller, body.get("dataFilter") or {}, batch.strict_filters)
    return {"deletedDeveloperMetadata": [metadata.to_json(one) for one in gone]} if gone else {}


REQUESTS: dict[str, tuple[Request, str]] = {
    "updateSpreadsheetProperties": (update_spreadsheet_properties, "properties fields"),
    "updateSheetProperties": (update_sheet_properties, "properties fields"),
    "addSheet": (add_sheet, "properties"),
    "deleteSheet": (delete_sheet, "sheetId"),
    "duplicateSheet": (duplicate_sheet, "sourceSheetId insertSheetIndex newSheetId newSheetName"),
    "createDeveloperMetadata": (create_developer_metadata, "developerMetadata"),
    "updateDeveloperMetadata": (update_developer_metadata, "dataFilters developerMetadata fields"),
    "deleteDeveloperMetadata": (delete_developer_metadata, "dataFilter"),
}
