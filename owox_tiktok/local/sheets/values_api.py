"""``spreadsheets.values``: reading and writing plain values by ranges."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from owox_tiktok.local.sheets.a1 import Box, column_letters, range_name
from owox_tiktok.local.sheets.changes import COLUMNS, ROWS, Change
from owox_tiktok.local.sheets.errors import Json, invalid, violation
from owox_tiktok.local.sheets.formats import display_number, display_text, general
from owox_tiktok.local.sheets.grid import look_of
from owox_tiktok.local.sheets.hints import suggested_format
from owox_tiktok.local.sheets.model import Caller, Sheet, Spreadsheet
from owox_tiktok.local.sheets.values import (
    MAX_CHARACTERS,
    TOO_LONG,
    Content,
    ErrorValue,
    Formula,
    Result,
    enter,
    plain_number,
)

DATES = frozenset(("DATE", "TIME", "DATE_TIME"))
RENDER = ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA")


def number_format(sheet: Sheet, row: int, column: int) -> Json | None:
    """The number format given to a cell."""
    look = sheet.grid.look(row, column)
    if look is None:
        return None
    found: Json | None = look.parts.get("userEnteredFormat", {}).get("numberFormat")
    return found


def effective_number_format(spreadsheet: Spreadsheet, sheet: Sheet, row: int, column: int) -> Json | None:
    """The number format a cell shows: its own, or for a formula the one its sources suggest."""
    own = number_format(sheet, row, column)
    if own is not None:
        return own
    content = sheet.grid.content(row, column)
    if isinstance(content, Formula):
        return suggested_format(spreadsheet, sheet, content)
    return None


def displayed(spreadsheet: Spreadsheet, sheet: Sheet, row: int, column: int, result: Result) -> str:
    """A result as the cell shows it."""
    if result is None:
        return ""
    if isinstance(result, bool):
        return "TRUE" if result else "FALSE"
    if isinstance(result, ErrorValue):
        return result.symbol
    form = effective_number_format(spreadsheet, sheet, row, column)
    if isinstance(result, float):
        return display_number(result, form, spreadsheet.locale)
    return display_text(result, form) if form else result


def rendered(spreadsheet: Spreadsheet, sheet: Sheet, box: Box, render: str, dates: str) -> list[list[Any]]:
    """Values of a box, row by row, cut at the last one that is not empty."""
    grid, locale = sheet.grid, spreadsheet.locale
    evaluator = spreadsheet.evaluator()
    spilled = evaluator.spilled_over(sheet)
    ends = {row: max(column for at, column in spilled if at == row) + 1 for row in {at for at, _ in spilled}}
    rows: list[list[Any]] = []
    for row in range(box.top, min(box.bottom, max([len(grid.rows), *(one + 1 for one in ends)]))):
        present = grid.rows[row] if row < len(grid.rows) else None
        if present is None and row not in ends:
            rows.append([])
            continue
        line: list[Any] = []
        looks = present.looks if present else ()
        contents = list(present.cells[box.left : box.right]) if present else []
        contents += [None] * (min(ends.get(row, 0), box.right) - box.left - len(contents))
        for offset, content in enumerate(contents):
            column = box.left + offset
            if content is None and (row, column) in spilled and render != "FORMULA":
                result = spilled[row, column]
                shown = displayed(spreadsheet, sheet, row, column, result)
                unformatted = _unformatted(spreadsheet, sheet, row, column, result, dates, render)
                line.append(shown if render == "FORMATTED_VALUE" else unformatted)
                continue
            if content is None:
                line.append("")
                continue
            if type(content) is str and (column >= len(looks) or looks[column] is None):
                line.append(content)
                continue
            if type(content) is Formula:
                if render == "FORMULA":
                    line.append(content.text)
                    continue
                result = evaluator.formula_result(sheet, row, column, content)
            else:
                result = content  # type: ignore[assignment]
            if render == "FORMATTED_VALUE":
                if type(result) is float and type(content) is float and (column >= len(looks) or looks[column] is None):
                    line.append(general(result, locale))
                else:
                    line.append(displayed(spreadsheet, sheet, row, column, result))
            else:
                line.append(_unformatted(spreadsheet, sheet, row, column, result, dates, render))
        while line and line[-1] == "":
            line.pop()
        rows.append(line)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _unformatted(
    spreadsheet: Spreadsheet, sheet: Sheet, row: int, column: int, result: Result, dates: str, render: str
) -> Any:
    if isinstance(result, float):
        if dates == "FORMATTED_STRING" and render != "FORMULA":
            form = effective_number_format(spreadsheet, sheet, row, column)
            if form and form.get("type") in DATES:
                return display_number(result, form, spreadsheet.locale)
        return plain_number(result)
    if isinstance(result, ErrorValue):
        return f"{result.symbol} ({result.message})" if result.message else result.symbol
    return "" if result is None else result


def value_range(spreadsheet: Spreadsheet, sheet: Sheet, box: Box, options: Json) -> Json:
    """A ``ValueRange`` of a box that lies on the grid."""
    render = _option(options, "valueRenderOption", RENDER)
    dates = _option(options, "dateTimeRenderOption", ("SERIAL_NUMBER", "FORMATTED_STRING"))
    major = _option(options, "majorDimension", (ROWS, COLUMNS), ("DIMENSION_UNSPECIFIED",))
    values = rendered(spreadsheet, sheet, box, render, dates)
    if major == COLUMNS:
        values = _turned(values)
    answer: Json = {"range": range_name(sheet.title, box), "majorDimension": major}
    if values:
        answer["values"] = values
    return answer


def _turned(values: list[list[Any]]) -> list[list[Any]]:
    width = max((len(line) for line in values), default=0)
    columns = [[line[index] if index < len(line) else "" for line in values] for index in range(width)]
    for column in columns:
        while column and column[-1] == "":
            column.pop()
    return columns


def _option(options: Json, name: str, known: tuple[str, ...], as_default: tuple[str, ...] = ()) -> str:
    value = options.get(name)
    if value is None or value in as_default:
        return known[0]
    if value not in known:
        kind = name[0].upper() + name[1:]
        at = re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)
        raise violation(
            name, f"Invalid value at '{at}' (type.googleapis.com/google.apps.sheets.v4.{kind}), \"{value}\""
        )
    return str(value)


def get(spreadsheet: Spreadsheet, text: str, options: Json) -> Json:
    """``values.get``."""
    sheet, box, _ = spreadsheet.resolve(text)
    return value_range(spreadsheet, sheet, spreadsheet.readable(sheet, box), options)


def batch_get(spreadsheet: Spreadsheet, ranges: list[str], options: Json) -> Json:
    """``values.batchGet``."""
    return {
        "spreadsheetId": spreadsheet.spreadsheet_id,
        "valueRanges": [get(spreadsheet, one, options) for one in ranges],
    }


# --- writing ----------------------------------------------------------------------------------------------------------


def _lines(body: Json) -> list[list[Any]]:
    values = body.get("values")
    if values is None:
        return []
    kind = "type.googleapis.com/google.protobuf.ListValue"
    if not isinstance(values, list):
        shown = f'"{values}"' if isinstance(values, str) else _shown(values)
        raise violation("data.values", f"Invalid value at 'data.values' ({kind}), {shown}")
    for index, line in enumerate(values):
        if not isinstance(line, list):
            shown = f'"{line}"' if isinstance(line, str) else _shown(line)
            raise violation(f"data.values[{index}]", f"Invalid value at 'data.values[{index}]' ({kind}), {shown}")
        for place, cell in enumerate(line):
            if isinstance(cell, list | dict):
                what = "list_value" if isinstance(cell, list) else "struct_value"
                raise invalid(f"Invalid values[{index}][{place}]: {what} {_proto(cell)}")
    return values


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _proto(value: Any) -> str:
    inner = " ".join(f'values {{ string_value: "{one}" }}' for one in value) if isinstance(value, list) else ""
    return "{ " + inner + " }"


def _writer(spreadsheet: Spreadsheet, sheet: Sheet, option: str) -> Callable[[int, int, Any], None]:
    grid, locale = sheet.grid, spreadsheet.locale
    if option not in ("RAW", "USER_ENTERED"):
        raise invalid("'valueInputOption' is required but not specified")

    def write(row: int, column: int, cell: Any) -> None:
        content: Content
        if isinstance(cell, str):
            if option == "RAW" or (number_format(sheet, row, column) or {}).get("type") == "TEXT":
                if len(cell) > MAX_CHARACTERS:
                    raise invalid(TOO_LONG)
                content = cell or None
            else:
                content, form = enter(cell, locale, spreadsheet.canonical)
                if form is not None:
                    set_number_format(sheet, row, column, form)
        elif isinstance(cell, bool):
            content = cell
        else:
            content = float(cell)
        grid.write(row, column, content)
        look = grid.look(row, column)
        if look is not None:
            drop_rich_text(sheet, row, column)

    return write


def drop_rich_text(sheet: Sheet, row: int, column: int) -> None:
    """Writing a value ends the rich text of a cell."""
    look = sheet.grid.look(row, column)
    if look is not None and ("textFormatRuns" in look.parts or "chipRuns" in look.parts):
        parts = {key: one for key, one in look.parts.items() if key not in ("textFormatRuns", "chipRuns")}
        sheet.grid.set_look(row, column, look_of(parts))


def set_number_format(sheet: Sheet, row: int, column: int, form: Json) -> None:
    """Give a cell the number format its typed value brought along."""
    look = sheet.grid.look(row, column)
    parts = dict(look.parts) if look else {}
    parts["userEnteredFormat"] = {**parts.get("userEnteredFormat", {}), "numberFormat": form}
    sheet.grid.set_look(row, column, look_of(parts))


def _write_block(
    spreadsheet: Spreadsheet,
    caller: Caller,
    request: str,
    place: tuple[Sheet, Box, bool],
    lines: list[list[Any]],
    options: Json,
) -> Json:
    """Write rows at a place as ``resolve`` returns it; ``request`` is what the call is named in errors."""
    sheet, box, single = place
    height, width = len(lines), max((len(line) for line in lines), default=0)
    target = Box(sheet.sheet_id, box.top, box.top + max(height, 1), box.left, box.left + max(width, 1))
    if not single:
        within = f"Requested writing within range [{range_name(sheet.title, box)}], but tried writing to"
        if target.right > box.right:
            raise invalid(f"{within} column [{column_letters(box.right)}]")
        if target.bottom > box.bottom:
            raise invalid(f"{within} row [{box.bottom + 1}]")
    if target.bottom > sheet.grid.row_count or target.right > sheet.grid.column_count:
        raise spreadsheet.outside(sheet, box if box.top >= sheet.grid.row_count or not single else target)
    spreadsheet.check_writable(caller, target)
    write = _writer(spreadsheet, sheet, str(options.get("valueInputOption")))
    rows: set[int] = set()
    columns: set[int] = set()
    cells = 0
    for row, line in enumerate(lines, box.top):
        for column, cell in enumerate(line, box.left):
            if cell is None:
                continue
            write(row, column, cell)
            cells += 1
            rows.add(row)
            columns.add(column)
    spreadsheet.touch(caller, request, target, "userEnteredValue")
    answer: Json = {"spreadsheetId": spreadsheet.spreadsheet_id, "updatedRange": range_name(sheet.title, target)}
    if cells:
        answer |= {"updatedRows": len(rows), "updatedColumns": len(columns), "updatedCells": cells}
    if options.get("includeValuesInResponse"):
        spreadsheet.changed()
        answer["updatedData"] = value_range(spreadsheet, sheet, target, _response_options(options))
    answer["_"] = (sheet.sheet_id, rows, columns)
    return answer


def _response_options(options: Json) -> Json:
    return {
        "valueRenderOption": options.get("responseValueRenderOption"),
        "dateTimeRenderOption": options.get("responseDateTimeRenderOption"),
        "majorDimension": options.get("majorDimension"),
    }


def _body_lines(body: Json) -> list[list[Any]]:
    lines = _lines(body)
    if body.get("majorDimension") == COLUMNS:
        height = max((len(line) for line in lines), default=0)
        lines = [[line[index] if index < len(line) else None for line in lines] for index in range(height)]
    return lines


def _major(body: Json) -> Json:
    return {"majorDimension": body["majorDimension"]} if body.get("majorDimension") else {}


def update(spreadsheet: Spreadsheet, caller: Caller, text: str, body: Json, options: Json) -> Json:
    """``values.update``."""
    lines = _body_lines(body)
    sheet, box, single = spreadsheet.resolve(text)
    if body.get("range"):
        other, its_box, _ = spreadsheet.resolve(str(body["range"]))
        if its_box != box:
            raise invalid(
                f"Request range[{range_name(sheet.title, box)}] does not match value's "
                f"range[{range_name(other.title, its_box)}]"
            )
    with spreadsheet.transaction():
        place = sheet, box, single
        answer = _write_block(spreadsheet, caller, "values.update", place, lines, {**options, **_major(body)})
    del answer["_"]
    return answer


def _totals(spreadsheet: Spreadsheet, answers: list[Json]) -> Json:
    rows: set[tuple[int, int]] = set()
    columns: set[tuple[int, int]] = set()
    cells = 0
    sheets: set[int] = set()
    for answer in answers:
        sheet_id, its_rows, its_columns = answer.pop("_")
        sheets.add(sheet_id)
        rows |= {(sheet_id, row) for row in its_rows}
        columns |= {(sheet_id, column) for column in its_columns}
        cells += answer.get("updatedCells", 0)
    totals: Json = {"spreadsheetId": spreadsheet.spreadsheet_id}
    if cells:
        totals |= {"totalUpdatedRows": len(rows), "totalUpdatedColumns": len(columns), "totalUpdatedCells": cells}
        totals["totalUpdatedSheets"] = len(sheets)
    return {**totals, "responses": answers}


def batch_update(spreadsheet: Spreadsheet, caller: Caller, body: Json) -> Json:
    """``values.batchUpdate``."""
    answers = []
    with spreadsheet.transaction():
        for data in body.get("data") or []:
            lines = _body_lines(data)
            place = spreadsheet.resolve(str(data.get("range", "")))
            options = {**body, **_major(data)}
            answers.append(_write_block(spreadsheet, caller, "values.batchUpdate", place, lines, options))
    return _totals(spreadsheet, answers)


def write_boxes(
    spreadsheet: Spreadsheet, caller: Caller, targets: list[tuple[Sheet, Box, Json]], body: Json
) -> list[Json]:
    """Write the data of filters to the boxes they matched; the caller holds the transaction."""
    request = "values.batchUpdateByDataFilter"
    return [
        _write_block(spreadsheet, caller, request, (sheet, box, False), _body_lines(data), {**body, **_major(data)})
        for sheet, box, data in targets
    ]


def totals(spreadsheet: Spreadsheet, answers: list[Json]) -> Json:
    """Sums over the answers of several writes."""
    return _totals(spreadsheet, answers)


def clear_box(spreadsheet: Spreadsheet, caller: Caller, sheet: Sheet, box: Box) -> str:
    """Empty the cells of a box and keep everything else about them; the concrete range comes back."""
    spreadsheet.check_writable(caller, box)
    for row in range(box.top, min(box.bottom, len(sheet.grid.rows))):
        if sheet.grid.filled(row, box.left, box.right):
            cells = sheet.grid.own_row(row).cells
            for column in range(box.left, min(box.right, len(cells))):
                cells[column] = None
    spreadsheet.touch(caller, "values.clear", box, "userEnteredValue")
    return range_name(sheet.title, box)


def clear(spreadsheet: Spreadsheet, caller: Caller, text: str) -> Json:
    """``values.clear``."""
    sheet, box, _ = spreadsheet.resolve(text)
    box = spreadsheet.readable(sheet, box)
    with spreadsheet.transaction():
        name = clear_box(spreadsheet, caller, sheet, box)
    return {"spreadsheetId": spreadsheet.spreadsheet_id, "clearedRange": name}


def batch_clear(spreadsheet: Spreadsheet, caller: Caller, ranges: list[str]) -> Json:
    """``values.batchClear``."""
    names = []
    with spreadsheet.transaction():
        for text in ranges:
            sheet, box, _ = spreadsheet.resolve(text)
            names.append(clear_box(spreadsheet, caller, sheet, spreadsheet.readable(sheet, box)))
    return {"spreadsheetId": spreadsheet.spreadsheet_id, "clearedRanges": names}


# --- appending --------------------------------------------------------------------------------------------------------


def _region(sheet: Sheet, row: int, column: int) -> Box:
    """The block of adjacent filled cells around a filled cell."""
    grid = sheet.grid
    top, bottom, left, right = row, row + 1, column, column + 1
    grown = True
    while grown:
        grown = False
        low, high = max(left - 1, 0), min(right + 1, grid.column_count)
        while top > 0 and grid.filled(top - 1, low, high):
            top -= 1
            grown = True
        while bottom < grid.row_count and grid.filled(bottom, low, high):
            bottom += 1
            grown = True
        first, last = max(top - 1, 0), min(bottom + 1, grid.row_count)
        while left > 0 and any(grid.content(one, left - 1) is not None for one in range(first, last)):
            left -= 1
            grown = True
        while right < grid.column_count and any(grid.content(one, right) is not None for one in range(first, last)):
            right += 1
            grown = True
    return Box(sheet.sheet_id, top, bottom, left, right)


def find_table(sheet: Sheet, box: Box) -> Box | None:
    """The last block of adjacent filled cells that shares a cell with a range."""
    last = sheet.grid.last_filled(box)
    if last is not None:
        return _region(sheet, *last)
    # An empty range may still lie in a hole of a block whose cells are around it.
    if box.height * box.width > 1000:
        return None
    around = box._replace(
        top=max(box.top - 1, 0), left=max(box.left - 1, 0), bottom=box.bottom + 1, right=box.right + 1
    )
    for row in range(around.bottom - 1, around.top - 1, -1):
        for column in range(around.right - 1, around.left - 1, -1):
            if sheet.grid.content(row, column) is not None:
                region = _region(sheet, row, column)
                if region.meets(box):
                    return region
    return None


def append(spreadsheet: Spreadsheet, caller: Caller, text: str, body: Json, options: Json) -> Json:
    """``values.append``."""
    lines = _body_lines(body)
    sheet, box, _ = spreadsheet.resolve(text)
    box = spreadsheet.readable(sheet, box)
    table = find_table(sheet, box)
    top, left = (table.bottom, table.left) if table else (box.top, box.left)
    height, width = len(lines), max((len(line) for line in lines), default=0)
    answer: Json = {"spreadsheetId": spreadsheet.spreadsheet_id}
    if table is not None:
        answer["tableRange"] = range_name(sheet.title, table)
    with spreadsheet.transaction():
        if options.get("insertDataOption") == "INSERT_ROWS" and height and top < sheet.grid.row_count:
            spreadsheet.check_size(sheet, sheet.grid.row_count + height, sheet.grid.column_count)
            spreadsheet.apply_change(sheet, Change(sheet.sheet_id, ROWS, "insert", top, height))
        spreadsheet.grow(sheet, top + height, left + width)
        start = Box(sheet.sheet_id, top, top + 1, left, left + 1)
        place = sheet, start, True
        updates = _write_block(spreadsheet, caller, "values.append", place, lines, {**options, **_major(body)})
    del updates["_"]
    return {**answer, "updates": updates}
