"""``spreadsheets.get``: a spreadsheet as JSON, no more of it than was asked for."""

from __future__ import annotations

from typing import Any

from owox_tiktok.local.sheets import masks, metadata, values_api
from owox_tiktok.local.sheets.a1 import Box
from owox_tiktok.local.sheets.changes import COLUMNS, RANGE_KEYS, ROWS
from owox_tiktok.local.sheets.conditions import Painter
from owox_tiktok.local.sheets.errors import Json, bad_mask
from owox_tiktok.local.sheets.model import LIST_PARTS, Caller, Sheet, Spreadsheet
from owox_tiktok.local.sheets.values import Formula, to_extended

WHITE: Json = {"red": 1, "green": 1, "blue": 1}

DEFAULT_FORMAT: Json = {
    "backgroundColor": WHITE,
    "padding": {"top": 2, "right": 3, "bottom": 2, "left": 3},
    "verticalAlignment": "BOTTOM",
    "wrapStrategy": "OVERFLOW_CELL",
    "textFormat": {
        "foregroundColor": {},
        "fontFamily": "arial,sans,sans-serif",
        "fontSize": 10,
        "bold": False,
        "italic": False,
        "strikethrough": False,
        "underline": False,
        "foregroundColorStyle": {"rgbColor": {}},
    },
    "backgroundColorStyle": {"rgbColor": WHITE},
}

_THEME = {
    "TEXT": {},
    "BACKGROUND": WHITE,
    "ACCENT1": {"red": 0.25882354, "green": 0.52156866, "blue": 0.95686275},
    "ACCENT2": {"red": 0.91764706, "green": 0.2627451, "blue": 0.20784314},
    "ACCENT3": {"red": 0.9843137, "green": 0.7372549, "blue": 0.015686275},
    "ACCENT4": {"red": 0.20392157, "green": 0.65882355, "blue": 0.3254902},
    "ACCENT5": {"red": 1, "green": 0.42745098, "blue": 0.003921569},
    "ACCENT6": {"red": 0.27450982, "green": 0.7411765, "blue": 0.7764706},
    "LINK": {"red": 0.06666667, "green": 0.33333334, "blue": 0.8},
}

_CELL = frozenset(
    (
        "userEnteredValue",
        "effectiveValue",
        "formattedValue",
        "userEnteredFormat",
        "effectiveFormat",
        "hyperlink",
        "note",
        "textFormatRuns",
        "dataValidation",
        "pivotTable",
        "dataSourceTable",
        "dataSourceFormula",
        "chipRuns",
    )
)
_SCHEMA: dict[str, Any] = {
    "spreadsheetId": None,
    "properties": None,
    "namedRanges": None,
    "spreadsheetUrl": None,
    "developerMetadata": None,
    "dataSources": None,
    "dataSourceSchedules": None,
    "sheets": {
        "properties": None,
        "data": {
            "startRow": None,
            "startColumn": None,
            "rowData": {"values": dict.fromkeys(_CELL)},
            "rowMetadata": None,
            "columnMetadata": None,
        },
        "basicFilter": None,
        "developerMetadata": None,
        **dict.fromkeys(LIST_PARTS),
    },
}
_PLACE_KEYS = RANGE_KEYS | {"dimension", "startIndex", "endIndex", "rowIndex", "columnIndex"}
_SIZES = {ROWS: 21, COLUMNS: 100}
_UNPAINTED: tuple[Json, Json] = ({}, {})


def check_mask(mask: masks.Mask, schema: dict[str, Any] | None = None, path: str = "") -> None:
    """Refuse a mask that names what a spreadsheet does not have."""
    known = _SCHEMA if schema is None else schema
    for name, below in mask.items():
        if name not in known:
            raise bad_mask(path + name)
        if known[name] is not None:
            check_mask(below, known[name], f"{path}{name}.")


def shown(value: Any) -> Any:
    """Stored JSON as it is printed: the tab id 0 is left out of ranges."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("sheetId") == 0 and len(value) > 1 and not value.keys() - _PLACE_KEYS:
        return {key: one for key, one in value.items() if key != "sheetId"}
    return {key: shown(one) for key, one in value.items()}


def sheet_properties(spreadsheet: Spreadsheet, sheet: Sheet) -> Json:
    """``SheetProperties`` of a tab."""
    grid = {"rowCount": sheet.grid.row_count, "columnCount": sheet.grid.column_count, **sheet.grid_extra}
    return {
        "sheetId": sheet.sheet_id,
        "title": sheet.title,
        "index": spreadsheet.sheets.index(sheet),
        "sheetType": "GRID",
        "gridProperties": grid,
        **sheet.extra,
    }


def protected_range(spreadsheet: Spreadsheet, one: Json, caller: Caller) -> Json:
    """A protected range as this caller sees it."""
    may = spreadsheet.may_edit(one, caller)
    answer = {key: value for key, value in one.items() if key != "editors"}
    if may:
        answer["requestingUserCanEdit"] = True
        if not one.get("warningOnly"):
            answer["editors"] = one.get("editors", {})
    return dict(shown(answer))


def spreadsheet_json(
    spreadsheet: Spreadsheet,
    caller: Caller,
    *,
    ranges: list[str] | None = None,
    boxes: list[tuple[Sheet, Box]] | None = None,
    grid_data: bool = False,
    mask: masks.Mask | None = None,
) -> Json:
    """A spreadsheet as an answer. Ranges, or boxes, limit the tabs and the cells."""
    if mask:
        check_mask(mask)
    wanted: dict[int, list[Box]] | None = None
    if ranges or boxes is not None:
        wanted = {}
        places = list(boxes or [])
        for text in ranges or []:
            sheet, box, _ = spreadsheet.resolve(text)
            places.append((sheet, spreadsheet.readable(sheet, box)))
        for sheet, box in places:
            wanted.setdefault(sheet.sheet_id, []).append(box)
    answer: Json = {
        "spreadsheetId": spreadsheet.spreadsheet_id,
        "properties": {
            "title": spreadsheet.title,
            **spreadsheet.properties,
            "defaultFormat": DEFAULT_FORMAT,
            "spreadsheetTheme": {
                "primaryFontFamily": "Arial",
                "themeColors": [{"colorType": key, "color": {"rgbColor": one}} for key, one in _THEME.items()],
            },
        },
    }
    sheets = []
    if masks.wants(mask, "sheets"):
        for sheet in spreadsheet.sheets:
            if wanted is None or sheet.sheet_id in wanted:
                places_here = None if wanted is None else wanted[sheet.sheet_id]
                sheets.append(_sheet(spreadsheet, sheet, caller, places_here, grid_data, masks.below(mask, "sheets")))
    answer["sheets"] = sheets
    if spreadsheet.named_ranges:
        answer["namedRanges"] = shown(spreadsheet.named_ranges)
    answer["spreadsheetUrl"] = f"https://docs.google.com/spreadsheets/d/{spreadsheet.spreadsheet_id}/edit"
    entries = [
        metadata.to_json(one) for one in metadata.visible(spreadsheet, caller) if one.location_type == "SPREADSHEET"
    ]
    if entries:
        answer["developerMetadata"] = entries
    return dict(masks.project(answer, mask))


def _sheet(
    spreadsheet: Spreadsheet,
    sheet: Sheet,
    caller: Caller,
    boxes: list[Box] | None,
    grid_data: bool,
    mask: masks.Mask | None,
) -> Json:
    answer: Json = {"properties": sheet_properties(spreadsheet, sheet)}
    # With a mask the mask alone decides about cells.
    if (mask and "data" in mask) or (not mask and grid_data):
        below = masks.below(mask, "data")
        answer["data"] = [
            _data(spreadsheet, sheet, caller, box, below) for box in (boxes if boxes is not None else [sheet.box])
        ]
    for name in LIST_PARTS:
        items = sheet.parts[name]
        if name == "merges" and boxes is not None:
            items = [one for one in items if any(spreadsheet.box_of(one).meets(box) for box in boxes)]
        if items and name == "protectedRanges":
            answer[name] = [protected_range(spreadsheet, one, caller) for one in items]
        elif items:
            answer[name] = shown(items)
    if sheet.basic_filter is not None:
        answer["basicFilter"] = shown(sheet.basic_filter)
    entries = [
        metadata.to_json(one)
        for one in metadata.visible(spreadsheet, caller)
        if one.location_type == "SHEET" and one.sheet_id == sheet.sheet_id
    ]
    if entries:
        answer["developerMetadata"] = entries
    return answer


def _data(spreadsheet: Spreadsheet, sheet: Sheet, caller: Caller, box: Box, mask: masks.Mask | None) -> Json:
    answer: Json = {}
    if box.top:
        answer["startRow"] = box.top
    if box.left:
        answer["startColumn"] = box.left
    if masks.wants(mask, "rowData"):
        rows = _row_data(spreadsheet, sheet, box, masks.below(mask, "rowData", "values"))
        if rows:
            answer["rowData"] = rows
    for name, dimension, start, end in (
        ("rowMetadata", ROWS, box.top, box.bottom),
        ("columnMetadata", COLUMNS, box.left, box.right),
    ):
        if masks.wants(mask, name):
            answer[name] = _dimension(spreadsheet, sheet, caller, dimension, start, end)
    return answer


def _dimension(
    spreadsheet: Spreadsheet, sheet: Sheet, caller: Caller, dimension: str, start: int, end: int
) -> list[Json]:
    props = sheet.props(dimension)
    entries: dict[int, list[Json]] = {}
    for one in metadata.visible(spreadsheet, caller):
        place = one.location.get("dimensionRange")
        if place and place["dimension"] == dimension and place["sheetId"] == sheet.sheet_id:
            entries.setdefault(place["startIndex"], []).append(metadata.to_json(one))
    out = []
    for index in range(start, end):
        item: Json = {"pixelSize": _SIZES[dimension], **props.get(index, {})}
        if index in entries:
            item["developerMetadata"] = entries[index]
        out.append(item)
    return out


def _row_data(spreadsheet: Spreadsheet, sheet: Sheet, box: Box, mask: masks.Mask | None) -> list[Json]:
    if mask is None:
        return []
    grid = sheet.grid
    painter = Painter(spreadsheet, sheet)
    # What formulas and rules fill or paint may lie anywhere.
    painted = not painter.idle and masks.wants(mask, "effectiveFormat")
    anywhere = painted or bool(spreadsheet.evaluator().spills(sheet))
    out: list[Json] = []
    for row in range(box.top, box.bottom if anywhere else min(box.bottom, len(grid.rows))):
        present = grid.rows[row] if row < len(grid.rows) else None
        width = 0 if present is None else min(box.right, max(len(present.cells), len(present.looks)))
        cells: list[Json] = []
        for column in range(box.left, box.right if anywhere else width):
            extra = painter.paint(row, column) if painted else _UNPAINTED
            cell = _cell(spreadsheet, sheet, row, column, extra, mask)
            cells.append(masks.project(cell, mask))
        while cells and not cells[-1]:
            cells.pop()
        out.append({"values": cells} if cells else {})
    while out and not out[-1]:
        out.pop()
    return out


def _cell(
    spreadsheet: Spreadsheet, sheet: Sheet, row: int, column: int, painted: tuple[Json, Json], mask: masks.Mask
) -> Json:
    content = sheet.grid.content(row, column)
    look = sheet.grid.look(row, column)
    parts = look.parts if look else {}
    answer: Json = {}
    spilled = content is None and spreadsheet.evaluator().result(sheet, row, column) is not None
    if content is not None or spilled:
        if content is not None and (not mask or "userEnteredValue" in mask):
            answer["userEnteredValue"] = to_extended(content)
        if not mask or mask.keys() & {"effectiveValue", "formattedValue", "effectiveFormat", "hyperlink"}:
            result = spreadsheet.evaluator().result(sheet, row, column)
            effective = to_extended(result)
            if effective is not None:
                answer["effectiveValue"] = effective
                answer["formattedValue"] = values_api.displayed(spreadsheet, sheet, row, column, result)
            link = _link(content, parts)
            if link:
                answer["hyperlink"] = link
    if "userEnteredFormat" in parts:
        answer["userEnteredFormat"] = parts["userEnteredFormat"]
    if (not mask or "effectiveFormat" in mask) and (content is not None or parts or any(painted)):
        answer["effectiveFormat"] = _effective(spreadsheet, sheet, row, column, parts, painted)
    for name in ("note", "textFormatRuns", "dataValidation", "pivotTable", "chipRuns"):
        if name in parts:
            answer[name] = shown(parts[name])
    return answer


def _link(content: Any, parts: Json) -> str | None:
    uri = parts.get("userEnteredFormat", {}).get("textFormat", {}).get("link", {}).get("uri")
    if uri:
        return str(uri)
    if isinstance(content, Formula) and content.text.upper().startswith('=HYPERLINK("'):
        return content.text[12:].split('"')[0]
    if isinstance(content, str) and content.startswith(("http://", "https://")) and " " not in content:
        return content
    return None


def _effective(
    spreadsheet: Spreadsheet, sheet: Sheet, row: int, column: int, parts: Json, painted: tuple[Json, Json]
) -> Json:
    own = parts.get("userEnteredFormat", {})
    band, rule = painted
    answer: Json = {**DEFAULT_FORMAT, **band, **own, **rule}
    answer["textFormat"] = {
        **DEFAULT_FORMAT["textFormat"],
        **own.get("textFormat", {}),
        **rule.get("textFormat", {}),
    }
    form = values_api.effective_number_format(spreadsheet, sheet, row, column)
    if form:
        answer["numberFormat"] = form
    answer["hyperlinkDisplayType"] = "LINKED" if _link(sheet.grid.content(row, column), parts) else "PLAIN_TEXT"
    return answer
