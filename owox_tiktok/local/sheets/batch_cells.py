"""Requests about cells: contents, looks, copying, sorting."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from owox_tiktok.local.sheets import masks, references
from owox_tiktok.local.sheets.a1 import Box, cell_name
from owox_tiktok.local.sheets.batch import Batch, Request
from owox_tiktok.local.sheets.changes import ROWS
from owox_tiktok.local.sheets.errors import Json, invalid, unknown_name
from owox_tiktok.local.sheets.formulas import compare
from owox_tiktok.local.sheets.grid import Look, Looks, look_of
from owox_tiktok.local.sheets.model import Sheet
from owox_tiktok.local.sheets.values import VALUE_KINDS, Content, ErrorValue, Formula, Result, enter, from_extended
from owox_tiktok.local.sheets.values_api import displayed, drop_rich_text, set_number_format

_LOOK_PARTS = frozenset(("userEnteredFormat", "dataValidation", "note", "textFormatRuns", "pivotTable", "chipRuns"))
_READ_ONLY = frozenset(("effectiveValue", "formattedValue", "effectiveFormat", "hyperlink"))
_CELL_FIELDS = _LOOK_PARTS | _READ_ONLY | {"userEnteredValue", "dataSourceTable", "dataSourceFormula"}


def _cell_mask(batch: Batch, body: Json) -> masks.Mask:
    mask = batch.mask(body)
    for name in mask:
        if name not in _CELL_FIELDS:
            raise invalid(f"Invalid field: {name}")
    return mask


def _check_cell(batch: Batch, cell: Any, path: str) -> Json:
    """Refuse a cell with fields the schema does not know: a slip would else silently empty cells."""
    if not isinstance(cell, dict):
        raise invalid(f"Invalid value at '{batch.path(path)}'")
    if not cell.keys() <= _CELL_FIELDS:
        raise unknown_name(min(cell.keys() - _CELL_FIELDS), batch.path(path))
    value = cell.get("userEnteredValue")
    if value and not value.keys() <= VALUE_KINDS:
        raise unknown_name(min(value.keys() - VALUE_KINDS), batch.path(f"{path}.user_entered_value"))
    return cell


def _stored(name: str, value: Any) -> Any:
    return masks.clean(value, name in ("userEnteredFormat", "textFormatRuns"))


def _look_change(cell: Json, mask: masks.Mask) -> Callable[[Look | None], Look | None] | None:
    """How a cell's look changes under a mask; None when the mask leaves looks alone."""
    names = _LOOK_PARTS if not mask else mask.keys() & _LOOK_PARTS
    if not names:
        return None
    given = {name: _stored(name, cell[name]) for name in names if cell.get(name) is not None}

    def change(look: Look | None) -> Look | None:
        parts = dict(look.parts) if look else {}
        for name in names:
            below = mask.get(name, {}) if mask else {}
            old = parts.pop(name, None)
            new = given.get(name)
            if below and isinstance(old, dict | None):
                new = masks.apply(old or {}, new or {}, below)
            if new:
                parts[name] = new
        return look_of(parts)

    return change


def _writes_value(mask: masks.Mask) -> bool:
    return not mask or "userEnteredValue" in mask


def _unwritable(row: int | None, column: int | None, last: int) -> Exception:
    if column is not None:
        return invalid(f"Attempting to write column: {column}, beyond the last requested column of: {last}")
    return invalid(f"Attempting to write row: {row}, beyond the last requested row of: {last}")


def _write_rows(batch: Batch, sheet: Sheet, box: Box, rows: list[Any], mask: masks.Mask, fill: bool) -> None:
    """Write cell data from a box's corner; with ``fill`` the cells not given are cleared as well."""
    canonical = batch.spreadsheet.canonical
    grid = sheet.grid
    values = _writes_value(mask)
    looks = not mask or bool(mask.keys() & _LOOK_PARTS)
    shared: dict[Looks, Looks] = {}
    for offset in range(box.height if fill else len(rows)):
        row = box.top + offset
        cells = (rows[offset] or {}).get("values") or [] if offset < len(rows) else []
        if len(cells) > box.width:
            raise _unwritable(None, box.right, box.right - 1)
        if row >= box.bottom:
            raise _unwritable(row, None, box.bottom - 1)
        width = box.width if fill else len(cells)
        for index, cell in enumerate(cells):
            if cell:
                _check_cell(batch, cell, f"rows[{offset}].values[{index}]")
        if values:
            contents: list[Content] = [
                from_extended(cell.get("userEnteredValue") or {}, canonical) if cell else None for cell in cells
            ]
            contents += [None] * (width - len(contents))
            _drop_runs(sheet, row, box.left, width)
            if any(one is not None for one in contents) or grid.filled(row, box.left, box.left + width):
                grid.write_run(row, box.left, contents)
        if looks:
            _write_looks(sheet, row, box.left, [cell or {} for cell in cells], width, mask, shared)


def _drop_runs(sheet: Sheet, row: int, left: int, width: int) -> None:
    present = sheet.grid.rows[row] if row < len(sheet.grid.rows) else None
    if present is not None and any(present.looks[left : left + width]):
        for column in range(left, left + width):
            drop_rich_text(sheet, row, column)


def _write_looks(
    sheet: Sheet, row: int, left: int, cells: list[Json], width: int, mask: masks.Mask, shared: dict[Looks, Looks]
) -> None:
    grid = sheet.grid
    present = grid.rows[row] if row < len(grid.rows) else None
    old: Looks = present.looks if present is not None else ()
    new = list(old) + [None] * (left + width - len(old))
    for offset in range(width):
        change = _look_change(cells[offset] if offset < len(cells) else {}, mask)
        if change is not None:
            new[left + offset] = change(new[left + offset])
    while new and new[-1] is None:
        new.pop()
    packed = tuple(new)
    if packed != old:
        grid.own_row(row).looks = shared.setdefault(packed, packed)


def update_cells(batch: Batch, body: Json) -> None:
    """Write cells: a whole range, whose other cells are cleared, or from a coordinate on."""
    mask = _cell_mask(batch, body)
    rows = body.get("rows") or []
    if body.get("start") is not None:
        start = body["start"]
        sheet = batch.grid(start.get("sheetId"))
        top, left = start.get("rowIndex") or 0, start.get("columnIndex") or 0
        for name, index, size in (("row", top, sheet.grid.row_count), ("column", left, sheet.grid.column_count)):
            if index >= size:
                raise invalid(f"GridCoordinate.{name}Index[{index}] is after last {name} in grid[{size}]")
        box = sheet.box._replace(top=top, left=left)
        width = max((len((one or {}).get("values") or []) for one in rows), default=0)
        touched = box._replace(bottom=min(top + len(rows), box.bottom), right=min(left + width, box.right))
        batch.writable(touched, str(body["fields"]))
        _write_rows(batch, sheet, box, rows, mask, False)
        return
    if body.get("range") is None:
        raise invalid("Must specify either a start or a range.")
    sheet, box = batch.box(body["range"])
    batch.writable(box, str(body["fields"]))
    if not rows and set(mask) == {"userEnteredValue"}:
        _clear_values(sheet, box)
        return
    if len(rows) > box.height:
        raise _unwritable(box.bottom, None, box.bottom - 1)
    _write_rows(batch, sheet, box, rows, mask, True)


def _clear_values(sheet: Sheet, box: Box) -> None:
    for row in range(box.top, min(box.bottom, len(sheet.grid.rows))):
        if sheet.grid.filled(row, box.left, box.right):
            cells = sheet.grid.own_row(row).cells
            for column in range(box.left, min(box.right, len(cells))):
                cells[column] = None
        _drop_runs(sheet, row, box.left, box.width)


def append_cells(batch: Batch, body: Json) -> None:
    """Write below the last row with content in the tab, from column A on; the grid grows."""
    sheet = batch.grid(body.get("sheetId"))
    mask = _cell_mask(batch, body)
    rows = body.get("rows") or []
    last = sheet.grid.last_filled(sheet.box)
    top = 0 if last is None else last[0] + 1
    width = max((len((one or {}).get("values") or []) for one in rows), default=0)
    if width > sheet.grid.column_count:
        raise _unwritable(None, sheet.grid.column_count, sheet.grid.column_count - 1)
    batch.spreadsheet.grow(sheet, top + len(rows), sheet.grid.column_count)
    box = sheet.box._replace(top=top)
    if rows:
        batch.writable(box._replace(bottom=top + len(rows), right=max(width, 1)), str(body["fields"]))
    _write_rows(batch, sheet, box, rows, mask, False)


def repeat_cell(batch: Batch, body: Json) -> None:
    """One cell over a range; formulas move along."""
    mask = _cell_mask(batch, body)
    cell = _check_cell(batch, body.get("cell") or {}, "cell")
    sheet, box = batch.box(body["range"])
    batch.writable(box, str(body["fields"]))
    change = _look_change(cell, mask)
    if change is not None:
        sheet.grid.change_looks(box, change)
    if not _writes_value(mask):
        return
    content = from_extended(cell.get("userEnteredValue") or {}, batch.spreadsheet.canonical)
    if content is None:
        _clear_values(sheet, box)
        return
    for row in range(box.top, box.bottom):
        line: list[Content] = [content] * box.width
        if isinstance(content, Formula):
            line = [
                Formula(references.moved(content.text, row - box.top, column - box.left))
                for column in range(box.left, box.right)
            ]
        _drop_runs(sheet, row, box.left, box.width)
        sheet.grid.write_run(row, box.left, line)


def set_data_validation(batch: Batch, body: Json) -> None:
    """A rule for a range; without one the rules there go away."""
    sheet, box = batch.box(body["range"])
    rule = body.get("rule")
    if rule is not None and not (rule.get("condition") or {}).get("type"):
        raise invalid("rule.condition.type is required.")
    batch.writable(box, "dataValidation")
    change = _look_change({"dataValidation": rule}, {"dataValidation": {}})
    assert change is not None
    skipped = {row for row, one in sheet.row_props.items() if one.get("hiddenByFilter")}
    if not skipped or body.get("filteredRowsIncluded"):
        sheet.grid.change_looks(box, change)
        return
    for row in range(box.top, box.bottom):
        if row not in skipped:
            sheet.grid.change_looks(box._replace(top=row, bottom=row + 1), change)


def update_borders(batch: Batch, body: Json) -> None:
    """Lines around and between the cells of a range."""
    sheet, box = batch.box(body["range"])
    batch.writable(box, "userEnteredFormat.borders")
    given = {name: masks.clean(body[name]) for name in body if name != "range" and body[name] is not None}
    sides = {
        "top": (given.get("top"), given.get("innerHorizontal")),
        "bottom": (given.get("bottom"), given.get("innerHorizontal")),
        "left": (given.get("left"), given.get("innerVertical")),
        "right": (given.get("right"), given.get("innerVertical")),
    }

    def edge(row: int, column: int) -> dict[str, Json]:
        outer = {
            "top": row == box.top,
            "bottom": row == box.bottom - 1,
            "left": column == box.left,
            "right": column == box.right - 1,
        }
        chosen = {name: sides[name][0 if outer[name] else 1] for name in sides}
        return {name: one for name, one in chosen.items() if one is not None}

    for row in range(box.top, box.bottom):
        for column in range(box.left, box.right):
            borders = edge(row, column)
            if not borders:
                continue
            look = sheet.grid.look(row, column)
            parts = dict(look.parts) if look else {}
            form = parts.get("userEnteredFormat", {})
            merged = {**form.get("borders", {}), **borders}
            merged = {name: one for name, one in merged.items() if one.get("style") != "NONE"}
            form = {key: one for key, one in form.items() if key != "borders"}
            if merged:
                form["borders"] = merged
            parts.pop("userEnteredFormat", None)
            if form:
                parts["userEnteredFormat"] = form
            sheet.grid.set_look(row, column, look_of(parts))


# --- merging ----------------------------------------------------------------------------------------------------------


def merge_cells(batch: Batch, body: Json) -> None:
    """Merge a range as a whole, or its rows or columns each; only the first value stays."""
    sheet, box = batch.box(body["range"])
    kind = body.get("mergeType") or "MERGE_ALL"
    batch.writable(box, "merges")
    if kind == "MERGE_ALL":
        boxes = [box]
    elif kind == "MERGE_ROWS":
        boxes = [box._replace(top=row, bottom=row + 1) for row in range(box.top, box.bottom)]
    elif kind == "MERGE_COLUMNS":
        boxes = [box._replace(left=column, right=column + 1) for column in range(box.left, box.right)]
    else:
        raise invalid(f"Unknown mergeType: {kind}")
    spreadsheet = batch.spreadsheet
    kept = []
    for one in sheet.parts["merges"]:
        other = spreadsheet.box_of(one)
        if other.meets(box):
            inside = other.top >= box.top and other.bottom <= box.bottom and other.left >= box.left
            if not (inside and other.right <= box.right):
                raise invalid("You must select all cells in a merged range to merge or unmerge them.")
        else:
            kept.append(one)
    for part in boxes:
        if part.height * part.width < 2:
            continue
        kept.append(part.grid_range)
        keep = next(
            (
                (row, column)
                for row in range(part.top, part.bottom)
                for column in range(part.left, part.right)
                if sheet.grid.content(row, column) is not None
            ),
            None,
        )
        content = sheet.grid.content(*keep) if keep else None
        _clear_values(sheet, part)
        sheet.grid.write(part.top, part.left, content)
    sheet.parts["merges"] = kept


def unmerge_cells(batch: Batch, body: Json) -> None:
    """Take merges apart."""
    sheet, box = batch.box(body["range"])
    kept = []
    for one in sheet.parts["merges"]:
        other = batch.spreadsheet.box_of(one)
        if not other.meets(box):
            kept.append(one)
        elif other.top < box.top or other.bottom > box.bottom or other.left < box.left or other.right > box.right:
            raise invalid("You must select all cells in a merged range to merge or unmerge them.")
    sheet.parts["merges"] = kept


# --- copying ----------------------------------------------------------------------------------------------------------

_PASTE = frozenset(
    (
        "PASTE_NORMAL",
        "PASTE_VALUES",
        "PASTE_FORMAT",
        "PASTE_NO_BORDERS",
        "PASTE_FORMULA",
        "PASTE_DATA_VALIDATION",
        "PASTE_CONDITIONAL_FORMATTING",
    )
)
Cell = tuple[Content, "Look | None"]


def _pasted_look(kind: str, source: Look | None, target: Look | None) -> Look | None:
    old = dict(target.parts) if target else {}
    new = dict(source.parts) if source else {}
    if kind == "PASTE_NORMAL":
        return look_of(new)
    if kind == "PASTE_NO_BORDERS":
        form = {key: one for key, one in new.get("userEnteredFormat", {}).items() if key != "borders"}
        borders = old.get("userEnteredFormat", {}).get("borders")
        if borders:
            form["borders"] = borders
        new.pop("userEnteredFormat", None)
        return look_of({**new, "userEnteredFormat": form} if form else new)
    if kind == "PASTE_FORMAT":
        names: tuple[str, ...] = ("userEnteredFormat",)
    elif kind == "PASTE_DATA_VALIDATION":
        names = ("dataValidation",)
    else:
        names = ()
    for name in names:
        old.pop(name, None)
        if name in new:
            old[name] = new[name]
    if kind in ("PASTE_VALUES", "PASTE_FORMULA"):
        old.pop("textFormatRuns", None)
        old.pop("chipRuns", None)
    return look_of(old)


def _paste(batch: Batch, source: tuple[Sheet, Box], sheet: Sheet, box: Box, kind: str, transpose: bool) -> None:
    """Copy cells over a box, again and again if it is larger."""
    from_sheet, from_box = source
    grid = from_sheet.grid
    evaluator = batch.spreadsheet.evaluator()
    block: list[list[tuple[int, int, Content, Look | None]]] = []
    for row in range(from_box.top, from_box.bottom):
        line = []
        for column in range(from_box.left, from_box.right):
            content = grid.content(row, column)
            if kind == "PASTE_VALUES" and isinstance(content, Formula):
                result = evaluator.result(from_sheet, row, column)
                content = result.symbol if isinstance(result, ErrorValue) else result
            line.append((row, column, content, grid.look(row, column)))
        block.append(line)
    if transpose:
        block = [list(line) for line in zip(*block, strict=True)]
    values = kind in ("PASTE_NORMAL", "PASTE_VALUES", "PASTE_NO_BORDERS", "PASTE_FORMULA")
    height, width = len(block), len(block[0])
    for row in range(box.top, box.bottom):
        line = block[(row - box.top) % height]
        for column in range(box.left, box.right):
            old_row, old_column, content, look = line[(column - box.left) % width]
            if values:
                if isinstance(content, Formula):
                    content = Formula(references.moved(content.text, row - old_row, column - old_column))
                sheet.grid.write(row, column, content)
            sheet.grid.set_look(row, column, _pasted_look(kind, look, sheet.grid.look(row, column)))


def copy_paste(batch: Batch, body: Json) -> None:
    """Copy a range to another; the source is repeated where the target is a multiple of it."""
    kind = body.get("pasteType") or "PASTE_NORMAL"
    if kind not in _PASTE:
        raise invalid(f"Unknown pasteType: {kind}")
    source = batch.box(body["source"])
    sheet, box = batch.box(body["destination"])
    transpose = body.get("pasteOrientation") == "TRANSPOSE"
    height, width = source[1].height, source[1].width
    if transpose:
        height, width = width, height
    tall = box.height if box.height % height == 0 else height
    wide = box.width if box.width % width == 0 else width
    target = box._replace(bottom=box.top + tall, right=box.left + wide)
    batch.spreadsheet.grow(sheet, target.bottom, target.right)
    batch.writable(target, kind)
    if kind == "PASTE_CONDITIONAL_FORMATTING":
        _paste_rules(batch, source, sheet, target)
        return
    _paste(batch, source, sheet, target, kind, transpose)
    if kind == "PASTE_NORMAL" and not transpose:
        _paste_merges(batch, source, sheet, target)
        _paste_rules(batch, source, sheet, target)


def _paste_rules(batch: Batch, source: tuple[Sheet, Box], sheet: Sheet, target: Box) -> None:
    from_sheet, from_box = source
    fresh = []
    for rule in sheet.parts["conditionalFormats"]:
        covered = from_sheet is sheet and any(
            batch.spreadsheet.box_of(one).meets(from_box) for one in rule.get("ranges", [])
        )
        fresh.append({**rule, "ranges": [*rule["ranges"], target.grid_range]} if covered else rule)
    sheet.parts["conditionalFormats"] = fresh


def _paste_merges(batch: Batch, source: tuple[Sheet, Box], sheet: Sheet, target: Box) -> None:
    from_sheet, from_box = source
    for one in list(from_sheet.parts["merges"]):
        box = batch.spreadsheet.box_of(one)
        if not box.meets(from_box):
            continue
        rows, columns = target.top - from_box.top, target.left - from_box.left
        moved = Box(sheet.sheet_id, box.top + rows, box.bottom + rows, box.left + columns, box.right + columns)
        if not any(batch.spreadsheet.box_of(other).meets(moved) for other in sheet.parts["merges"]):
            sheet.parts["merges"] = [*sheet.parts["merges"], moved.grid_range]


def cut_paste(batch: Batch, body: Json) -> None:
    """Move a range; formulas in it stay as they are."""
    from_sheet, from_box = batch.box(body["source"])
    target = body.get("destination") or {}
    sheet = batch.grid(target.get("sheetId"))
    top, left = target.get("rowIndex") or 0, target.get("columnIndex") or 0
    box = Box(sheet.sheet_id, top, top + from_box.height, left, left + from_box.width)
    batch.spreadsheet.grow(sheet, box.bottom, box.right)
    batch.writable(from_box, "*")
    batch.writable(box, "*")
    kind = body.get("pasteType") or "PASTE_NORMAL"
    cells = [
        (
            row - from_box.top,
            column - from_box.left,
            from_sheet.grid.content(row, column),
            from_sheet.grid.look(row, column),
        )
        for row in range(from_box.top, from_box.bottom)
        for column in range(from_box.left, from_box.right)
    ]
    values = kind in ("PASTE_NORMAL", "PASTE_VALUES", "PASTE_NO_BORDERS", "PASTE_FORMULA")
    for row, column, _, _ in cells:
        if values:
            from_sheet.grid.write(from_box.top + row, from_box.left + column, None)
        if kind == "PASTE_NORMAL":
            from_sheet.grid.set_look(from_box.top + row, from_box.left + column, None)
    for row, column, content, look in cells:
        if values:
            sheet.grid.write(top + row, left + column, content)
        old = sheet.grid.look(top + row, left + column)
        sheet.grid.set_look(top + row, left + column, _pasted_look(kind, look, old))


def auto_fill(batch: Batch, body: Json) -> None:
    """Continue cells: formulas move along, numbers go on by their step, all else repeats."""
    given = body.get("sourceAndDestination")
    if given is None:
        sheet, box = batch.box(body["range"])
        last = sheet.grid.last_filled(box)
        if last is None:
            return
        source = box._replace(bottom=last[0] + 1)
        dimension, length = ROWS, box.bottom - source.bottom
    else:
        sheet, source = batch.box(given["source"])
        dimension, length = given.get("dimension", ROWS), given.get("fillLength") or 0
    if not length:
        return
    downwards = dimension == ROWS
    size = source.height if downwards else source.width
    if downwards:
        target = source._replace(
            top=source.bottom if length > 0 else source.top + length,
            bottom=source.bottom + length if length > 0 else source.top,
        )
    else:
        target = source._replace(
            left=source.right if length > 0 else source.left + length,
            right=source.right + length if length > 0 else source.left,
        )
    batch.spreadsheet.grow(sheet, target.bottom, target.right)
    batch.writable(target, "userEnteredValue")
    lines = range(source.left, source.right) if downwards else range(source.top, source.bottom)
    first = source.top if downwards else source.left
    places = range(target.top, target.bottom) if downwards else range(target.left, target.right)
    for line in lines:
        run = [sheet.grid.content(*((first + one, line) if downwards else (line, first + one))) for one in range(size)]
        numbers = [one for one in run if type(one) is float]
        step = (numbers[-1] - numbers[0]) / (len(numbers) - 1) if len(numbers) > 1 else 1.0
        for place in places:
            origin = first + (place - first) % size
            content = run[(place - first) % size]
            if isinstance(content, Formula):
                shift = place - origin
                content = Formula(references.moved(content.text, *((shift, 0) if downwards else (0, shift))))
            elif len(numbers) == len(run) and numbers:
                content = numbers[0] + step * (place - first)
            spot, old = ((place, line), (origin, line)) if downwards else ((line, place), (line, origin))
            sheet.grid.write(*spot, content)
            sheet.grid.set_look(*spot, sheet.grid.look(*old))


def paste_data(batch: Batch, body: Json) -> None:
    """Text with a delimiter, entered as if pasted."""
    start = body.get("coordinate") or {}
    sheet = batch.grid(start.get("sheetId"))
    top, left = start.get("rowIndex") or 0, start.get("columnIndex") or 0
    if body.get("html"):
        raise invalid("Pasting HTML is not supported by this emulator.")
    delimiter = body.get("delimiter") or "\t"
    lines = [line.split(delimiter) for line in str(body.get("data", "")).splitlines()]
    width = max((len(line) for line in lines), default=0)
    batch.spreadsheet.grow(sheet, top + len(lines), left + width)
    batch.writable(Box(sheet.sheet_id, top, top + max(len(lines), 1), left, left + max(width, 1)), "userEnteredValue")
    for row, line in enumerate(lines, top):
        for column, text in enumerate(line, left):
            _enter(batch, sheet, row, column, text)


def _enter(batch: Batch, sheet: Sheet, row: int, column: int, text: str) -> None:
    content, form = enter(text, batch.spreadsheet.locale, batch.spreadsheet.canonical)
    sheet.grid.write(row, column, content)
    if form is not None:
        set_number_format(sheet, row, column, form)


def text_to_columns(batch: Batch, body: Json) -> None:
    """Split one column of texts into several."""
    sheet, box = batch.box(body["source"])
    if box.width != 1:
        raise invalid("source must span exactly one column.")
    marks = {"COMMA": ",", "SEMICOLON": ";", "PERIOD": ".", "SPACE": " ", "CUSTOM": body.get("delimiter") or ","}
    mark = marks.get(body.get("delimiterType") or "COMMA", ",")
    for row in range(box.top, min(box.bottom, len(sheet.grid.rows))):
        content = sheet.grid.content(row, box.left)
        if isinstance(content, str) and mark in content:
            pieces = content.split(mark)
            batch.spreadsheet.grow(sheet, 0, box.left + len(pieces))
            batch.writable(Box(sheet.sheet_id, row, row + 1, box.left, box.left + len(pieces)), "userEnteredValue")
            for offset, piece in enumerate(pieces):
                _enter(batch, sheet, row, box.left + offset, piece.strip())


# --- rearranging ------------------------------------------------------------------------------------------------------


def _order(spec: Json) -> int:
    return -1 if spec.get("sortOrder") == "DESCENDING" else 1


def sort_box(batch: Batch, sheet: Sheet, box: Box, specs: list[Json]) -> None:
    """Sort rows of a box; hidden rows stay where they are, blanks go last both ways."""
    for one in sheet.parts["merges"]:
        merge = batch.spreadsheet.box_of(one)
        if merge.meets(box) and merge.height > 1:
            first, last = cell_name(merge.top, merge.left), cell_name(merge.bottom - 1, merge.right - 1)
            raise invalid(
                f"You can't sort a range containing vertical merges. There is a vertical merge at {first}:{last}"
            )
    evaluator = batch.spreadsheet.evaluator()
    rows = [
        row
        for row in range(box.top, min(box.bottom, len(sheet.grid.rows)))
        if not (sheet.row_props.get(row, {}).keys() & {"hiddenByUser", "hiddenByFilter"})
    ]
    keys = {row: [evaluator.result(sheet, row, one.get("dimensionIndex") or 0) for one in specs] for row in rows}

    def before(left: int, right: int) -> int:
        for a, b, spec in zip(keys[left], keys[right], specs, strict=True):
            empty = (a in (None, "")) - (b in (None, ""))
            if empty:
                return empty
            order = _compare(a, b) * _order(spec)
            if order:
                return order
        return 0

    sorted_rows = sorted(rows, key=cmp_to_key(before))
    grid = sheet.grid
    cells = {
        row: [(grid.content(row, column), grid.look(row, column)) for column in range(box.left, box.right)]
        for row, source in zip(rows, sorted_rows, strict=True)
        if row != source
    }
    for row, source in zip(rows, sorted_rows, strict=True):
        if row == source:
            continue
        for column, (content, look) in enumerate(cells[source], box.left):
            if isinstance(content, Formula):
                grid.write(row, column, Formula(references.moved(content.text, row - source, 0)))
            else:
                grid.write(row, column, content)
            grid.set_look(row, column, look)


def _compare(left: Result, right: Result) -> int:
    for one, sign in ((left, 1), (right, -1)):
        if isinstance(one, ErrorValue):
            return sign
    return compare(left, right)


def sort_range(batch: Batch, body: Json) -> None:
    """Sort the rows of a range by columns, named by their place in the tab."""
    sheet, box = batch.box(body["range"])
    specs = body.get("sortSpecs") or []
    for spec in specs:
        column = spec.get("dimensionIndex") or 0
        if not box.left <= column < box.right:
            raise invalid(f"sortSpecs.dimensionIndex[{column}] is outside of the range.")
    batch.writable(box, "*")
    sort_box(batch, sheet, box, specs)


def randomize_range(batch: Batch, body: Json) -> None:
    """Shuffle the rows of a range."""
    sheet, box = batch.box(body["range"])
    batch.writable(box, "*")
    rows = list(range(box.top, box.bottom))
    cells = [
        [(sheet.grid.content(row, column), sheet.grid.look(row, column)) for column in range(box.left, box.right)]
        for row in rows
    ]
    random.shuffle(cells)
    for row, line in zip(rows, cells, strict=True):
        for column, (content, look) in enumerate(line, box.left):
            sheet.grid.write(row, column, content)
            sheet.grid.set_look(row, column, look)


def trim_whitespace(batch: Batch, body: Json) -> Json:
    """Take spaces at the ends of texts, and double ones inside, away."""
    sheet, box = batch.box(body["range"])
    batch.writable(box, "userEnteredValue")
    count = 0
    for row in range(box.top, min(box.bottom, len(sheet.grid.rows))):
        for column in range(box.left, box.right):
            content = sheet.grid.content(row, column)
            if isinstance(content, str):
                trimmed = " ".join(content.split())
                if trimmed != content:
                    sheet.grid.write(row, column, trimmed or None)
                    count += 1
    return {"cellsChangedCount": count} if count else {}


def delete_duplicates(batch: Batch, body: Json) -> Json:
    """Keep the first of equal rows; those below move up inside the range."""
    sheet, box = batch.box(body["range"])
    batch.writable(box, "*")
    columns = [
        column
        for one in body.get("comparisonColumns") or []
        for column in range(one.get("startIndex") or 0, one.get("endIndex") or box.right)
    ] or list(range(box.left, box.right))
    seen: set[tuple[Any, ...]] = set()
    kept: list[list[Cell]] = []
    count = 0
    for row in range(box.top, min(box.bottom, len(sheet.grid.rows))):
        results = (batch.spreadsheet.evaluator().result(sheet, row, column) for column in columns)
        key = tuple(one.lower() if isinstance(one, str) else one for one in results)
        if key in seen:
            count += 1
            continue
        seen.add(key)
        kept.append([(sheet.grid.content(row, one), sheet.grid.look(row, one)) for one in range(box.left, box.right)])
    blank: list[Cell] = [(None, None)] * box.width
    kept += [blank] * count
    for row, line in enumerate(kept, box.top):
        for column, (content, look) in enumerate(line, box.left):
            sheet.grid.write(row, column, content)
            sheet.grid.set_look(row, column, look)
    return {"duplicatesRemovedCount": count} if count else {}


def find_replace(batch: Batch, body: Json) -> Json:
    """Replace text in values, and in formulas if asked to."""
    find = str(body.get("find") or "")
    if not find:
        raise invalid("find must not be empty.")
    pattern = find if body.get("searchByRegex") else re.escape(find)
    if body.get("matchEntireCell"):
        pattern = rf"\A(?:{pattern})\Z"
    finder = re.compile(pattern, 0 if body.get("matchCase") else re.IGNORECASE)
    replacement = str(body.get("replacement") or "")
    if not body.get("searchByRegex"):
        replacement = replacement.replace("\\", "\\\\")
    if body.get("range") is not None:
        places = [batch.box(body["range"])]
    elif body.get("sheetId") is not None:
        sheet = batch.grid(body["sheetId"])
        places = [(sheet, sheet.box)]
    else:
        places = [(sheet, sheet.box) for sheet in batch.spreadsheet.sheets]
    totals = {"valuesChanged": 0, "formulasChanged": 0, "rowsChanged": 0, "sheetsChanged": 0, "occurrencesChanged": 0}
    for sheet, box in places:
        rows: set[int] = set()
        for row in range(box.top, min(box.bottom, len(sheet.grid.rows))):
            for column in range(box.left, box.right):
                content = sheet.grid.content(row, column)
                if content is None or (isinstance(content, Formula) and not body.get("includeFormulas")):
                    continue
                if isinstance(content, Formula):
                    text = content.text
                else:
                    text = displayed(batch.spreadsheet, sheet, row, column, content)
                new, count = finder.subn(replacement, text)
                if count:
                    batch.writable(Box(sheet.sheet_id, row, row + 1, column, column + 1), "userEnteredValue")
                    _enter(batch, sheet, row, column, new)
                    rows.add(row)
                    totals["formulasChanged" if isinstance(content, Formula) else "valuesChanged"] += 1
                    totals["occurrencesChanged"] += count
        totals["rowsChanged"] += len(rows)
        totals["sheetsChanged"] += bool(rows)
    return {name: one for name, one in totals.items() if one}


REQUESTS: dict[str, tuple[Request, str]] = {
    "updateCells": (update_cells, "rows fields start range dataSourceSheetRange tableRange"),
    "appendCells": (append_cells, "sheetId rows fields tableId"),
    "repeatCell": (repeat_cell, "range cell fields"),
    "setDataValidation": (set_data_validation, "range rule filteredRowsIncluded"),
    "updateBorders": (update_borders, "range top bottom left right innerHorizontal innerVertical"),
    "mergeCells": (merge_cells, "range mergeType"),
    "unmergeCells": (unmerge_cells, "range"),
    "copyPaste": (copy_paste, "source destination pasteType pasteOrientation"),
    "cutPaste": (cut_paste, "source destination pasteType"),
    "autoFill": (auto_fill, "useAlternateSeries range sourceAndDestination"),
    "pasteData": (paste_data, "coordinate data type html delimiter"),
    "textToColumns": (text_to_columns, "source delimiter delimiterType"),
    "sortRange": (sort_range, "range sortSpecs"),
    "randomizeRange": (randomize_range, "range"),
    "trimWhitespace": (trim_whitespace, "range"),
    "deleteDuplicates": (delete_duplicates, "range comparisonColumns"),
    "findReplace": (
        find_replace,
        "find replacement matchCase matchEntireCell searchByRegex includeFormulas range sheetId allSheets",
    ),
}
