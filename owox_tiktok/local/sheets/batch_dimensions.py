"""Requests about rows and columns."""

from __future__ import annotations

from owox_tiktok.local.sheets import masks
from owox_tiktok.local.sheets.a1 import Box
from owox_tiktok.local.sheets.batch import Batch, Request
from owox_tiktok.local.sheets.changes import COLUMNS, ROWS, Change
from owox_tiktok.local.sheets.errors import Json, invalid
from owox_tiktok.local.sheets.grid import Look, look_of
from owox_tiktok.local.sheets.model import Sheet

_WORD = {ROWS: "row", COLUMNS: "column"}


def _span(batch: Batch, given: Json, *, beyond: bool = False) -> tuple[Sheet, str, int, int]:
    if not isinstance(given, dict):
        raise invalid("range is required.")
    sheet = batch.grid(given.get("sheetId"))
    dimension = given.get("dimension")
    if dimension not in (ROWS, COLUMNS):
        raise invalid("range.dimension must be ROWS or COLUMNS.")
    start = given.get("startIndex") or 0
    end = given.get("endIndex")
    end = sheet.size(dimension) if end is None else end
    if start < 0 or end <= start:
        raise invalid(f"range.endIndex[{end}] must be greater than range.startIndex[{start}].")
    if end > sheet.size(dimension) and not beyond:
        raise invalid(f"range.endIndex[{end}] is after last {_WORD[dimension]} in grid[{sheet.size(dimension)}]")
    return sheet, dimension, start, end


def _strip(sheet: Sheet, dimension: str, start: int, end: int) -> Box:
    if dimension == ROWS:
        return sheet.box._replace(top=start, bottom=end)
    return sheet.box._replace(left=start, right=end)


def insert_dimension(batch: Batch, body: Json) -> None:
    """New rows or columns, which take their look from a neighbour."""
    sheet, dimension, start, end = _span(batch, body["range"], beyond=True)
    before = bool(body.get("inheritFromBefore"))
    size = sheet.size(dimension)
    if start > size:
        raise invalid(f"range.startIndex is larger than current grid size ({size})")
    if start == size and not before:
        raise invalid(f"range.startIndex must be less than the grid size ({size}) if inheritFromBefore is false.")
    if before and start == 0:
        raise invalid("range.startIndex must be greater than 0 if inheritFromBefore is true.")
    _insert(batch, sheet, dimension, start, end - start)
    _inherit(sheet, dimension, start, end, start - 1 if before else end)


def _insert(batch: Batch, sheet: Sheet, dimension: str, start: int, count: int) -> None:
    rows = sheet.grid.row_count + (count if dimension == ROWS else 0)
    columns = sheet.grid.column_count + (count if dimension == COLUMNS else 0)
    batch.spreadsheet.check_size(sheet, rows, columns)
    batch.spreadsheet.apply_change(sheet, Change(sheet.sheet_id, dimension, "insert", start, count))
    batch.spreadsheet.touch(batch.caller, batch.name, _strip(sheet, dimension, start, start + count), "dimension")


def _plain(look: Look | None) -> Look | None:
    """A look without what belongs to one cell alone."""
    if look is None:
        return None
    return look_of({key: one for key, one in look.parts.items() if key in ("userEnteredFormat", "dataValidation")})


def _inherit(sheet: Sheet, dimension: str, start: int, end: int, source: int) -> None:
    grid = sheet.grid
    if dimension == ROWS:
        present = grid.rows[source] if source < len(grid.rows) else None
        looks = tuple(_plain(one) for one in present.looks) if present is not None else ()
        if any(looks):
            for row in range(start, end):
                grid.own_row(row).looks = looks
        return
    for row in range(len(grid.rows)):
        look = _plain(grid.look(row, source))
        if look is not None:
            for column in range(start, end):
                grid.set_look(row, column, look)


def append_dimension(batch: Batch, body: Json) -> None:
    """Rows or columns at the end."""
    sheet = batch.grid(body.get("sheetId"))
    dimension, length = body.get("dimension"), body.get("length")
    if dimension not in (ROWS, COLUMNS):
        raise invalid("dimension must be ROWS or COLUMNS.")
    if not isinstance(length, int) or length < 1:
        raise invalid("length must be greater than 0.")
    rows = sheet.grid.row_count + (length if dimension == ROWS else 0)
    columns = sheet.grid.column_count + (length if dimension == COLUMNS else 0)
    batch.spreadsheet.check_size(sheet, rows, columns)
    sheet.grid.resize(rows, columns)


def delete_dimension(batch: Batch, body: Json) -> None:
    """Take rows or columns out, with everything on them."""
    sheet, dimension, start, end = _span(batch, body["range"], beyond=True)
    size, word = sheet.size(dimension), _WORD[dimension]
    if start >= size:
        raise invalid(
            f"Cannot delete a {word} that doesn't exist. Tried to delete {word} index {start} "
            f"but there are only {size} {word}s."
        )
    end = min(end, size)
    if end - start >= size:
        raise invalid(f"You can't delete all the {word}s on the sheet.")
    frozen = sheet.grid_extra.get("frozenRowCount" if dimension == ROWS else "frozenColumnCount", 0)
    if frozen and start <= frozen and end >= size:
        raise invalid(f"Sorry, it is not possible to delete all non-frozen {word}s.")
    batch.writable(_strip(sheet, dimension, start, end), "*")
    batch.spreadsheet.apply_change(sheet, Change(sheet.sheet_id, dimension, "delete", start, end - start))
    if frozen > start:
        left = frozen - (min(end, frozen) - start)
        name = "frozenRowCount" if dimension == ROWS else "frozenColumnCount"
        extra = {key: one for key, one in sheet.grid_extra.items() if key != name}
        sheet.grid_extra = {**extra, name: left} if left else extra


def move_dimension(batch: Batch, body: Json) -> None:
    """Put rows or columns elsewhere; the place is counted before they are taken out."""
    sheet, dimension, start, end = _span(batch, body["source"])
    to = body.get("destinationIndex") or 0
    if not 0 <= to <= sheet.size(dimension):
        raise invalid(f"destinationIndex[{to}] is out of bounds.")
    if start <= to <= end:
        return
    word = _WORD[dimension]
    for merge in sheet.parts["merges"]:
        low = merge["startRowIndex" if dimension == ROWS else "startColumnIndex"]
        high = merge["endRowIndex" if dimension == ROWS else "endColumnIndex"]
        torn = (low < to < high) or (low < start < high) or (low < end < high)
        if torn:
            raise invalid(
                f"Sorry, it is not possible to move a {word} to a position that crosses a merged cell. "
                "Please unmerge and try again."
            )
    batch.writable(_strip(sheet, dimension, start, end), "dimension")
    batch.spreadsheet.apply_change(sheet, Change(sheet.sheet_id, dimension, "move", start, end - start, to))


def update_dimension_properties(batch: Batch, body: Json) -> None:
    """Sizes and hidden rows or columns."""
    sheet, dimension, start, end = _span(batch, body["range"])
    mask = batch.mask(body)
    given = masks.clean(body.get("properties") or {})
    props = sheet.props(dimension)
    for index in range(start, end):
        one = masks.apply(props.get(index, {}), given, mask)
        if one:
            props[index] = one
        else:
            props.pop(index, None)


def auto_resize_dimensions(batch: Batch, body: Json) -> None:
    """Fit sizes to contents; widths are guessed from the longest text."""
    sheet, dimension, start, end = _span(batch, body["dimensions"])
    if dimension == ROWS:
        for index in range(start, end):
            sheet.row_props.pop(index, None)
        return
    for column in range(start, end):
        longest = 0
        for row in range(min(len(sheet.grid.rows), 1000)):
            content = sheet.grid.content(row, column)
            longest = max(longest, len(str(content)) if content is not None else 0)
        width = {"pixelSize": max(21, 8 + 7 * longest)}
        sheet.column_props[column] = {**sheet.column_props.get(column, {}), **width}


def _shift_cells(batch: Batch, sheet: Sheet, box: Box, dimension: str, insert: bool) -> None:
    """Push the cells behind a box away, or draw them up; only in the box's own rows or columns."""
    grid = sheet.grid
    count = box.height if dimension == ROWS else box.width
    if dimension == ROWS:
        end = grid.row_count
        lines = [(column, box.top, end, True) for column in range(box.left, box.right)]
    else:
        end = grid.column_count
        lines = [(row, box.left, end, False) for row in range(box.top, box.bottom)]
    for fixed, first, last, downwards in lines:
        places = [(one, fixed) if downwards else (fixed, one) for one in range(first, last)]
        cells = [(grid.content(*place), grid.look(*place)) for place in places]
        cells = [(None, None)] * count + cells[:-count] if insert else cells[count:] + [(None, None)] * count
        for place, (content, look) in zip(places, cells, strict=True):
            grid.write(*place, content)
            grid.set_look(*place, look)


def insert_range(batch: Batch, body: Json) -> None:
    """Room for cells; those behind move down or to the right."""
    sheet, box = batch.box(body["range"])
    batch.writable(box, "*")
    _shift_cells(batch, sheet, box, body.get("shiftDimension", ROWS), True)


def delete_range(batch: Batch, body: Json) -> None:
    """Take cells out; those behind move up or to the left."""
    sheet, box = batch.box(body["range"])
    batch.writable(box, "*")
    _shift_cells(batch, sheet, box, body.get("shiftDimension", ROWS), False)


def _groups(batch: Batch, body: Json) -> tuple[Sheet, str, list[Json], int, int, str]:
    sheet, dimension, start, end = _span(batch, body["range"])
    name = "rowGroups" if dimension == ROWS else "columnGroups"
    return sheet, name, sheet.parts[name], start, end, dimension


def _depths(sheet: Sheet, groups: list[Json], dimension: str, change: tuple[int, int, int]) -> list[Json]:
    """Groups after one more, or one less, level over a stretch."""
    size = sheet.size(dimension)
    depth = [0] * (size + 1)
    for one in groups:
        for index in range(one["range"]["startIndex"], one["range"]["endIndex"]):
            depth[index] = max(depth[index], one["depth"])
    start, end, step = change
    for index in range(start, end):
        depth[index] = max(0, depth[index] + step)
    collapsed = {(one["range"]["startIndex"], one["range"]["endIndex"]) for one in groups if one.get("collapsed")}
    out: list[Json] = []
    for level in range(1, max(depth) + 1):
        index = 0
        while index < size:
            if depth[index] < level:
                index += 1
                continue
            begin = index
            while index < size and depth[index] >= level:
                index += 1
            place = {"sheetId": sheet.sheet_id, "dimension": dimension, "startIndex": begin, "endIndex": index}
            group: Json = {"range": place, "depth": level}
            if (begin, index) in collapsed:
                group["collapsed"] = True
            out.append(group)
    return out


def add_dimension_group(batch: Batch, body: Json) -> Json:
    """Group rows or columns one level deeper."""
    sheet, name, groups, start, end, dimension = _groups(batch, body)
    sheet.parts[name] = _depths(sheet, groups, dimension, (start, end, 1))
    control = "rowGroupControlAfter" if dimension == ROWS else "columnGroupControlAfter"
    sheet.grid_extra = {**sheet.grid_extra, control: True}
    return {"dimensionGroups": sheet.parts[name]}


def delete_dimension_group(batch: Batch, body: Json) -> Json:
    """Take one level of grouping away."""
    sheet, name, groups, start, end, dimension = _groups(batch, body)
    if not any(one["range"]["startIndex"] < end and start < one["range"]["endIndex"] for one in groups):
        raise invalid("No dimension group matches the range.")
    sheet.parts[name] = _depths(sheet, groups, dimension, (start, end, -1))
    return {"dimensionGroups": sheet.parts[name]} if sheet.parts[name] else {}


def update_dimension_group(batch: Batch, body: Json) -> None:
    """Collapse or open a group."""
    mask = batch.mask(body)
    given = body.get("dimensionGroup") or {}
    sheet, name, groups, start, end, _ = _groups(batch, given)
    found = False
    fresh: list[Json] = []
    for one in groups:
        if (one["range"]["startIndex"], one["range"]["endIndex"], one["depth"]) == (start, end, given.get("depth", 1)):
            found = True
            if not mask or "collapsed" in mask:
                other = {key: value for key, value in one.items() if key != "collapsed"}
                fresh.append({**other, "collapsed": True} if given.get("collapsed") else other)
                continue
        fresh.append(one)
    if not found:
        raise invalid("No dimension group matches the range and depth.")
    sheet.parts[name] = fresh


REQUESTS: dict[str, tuple[Request, str]] = {
    "insertDimension": (insert_dimension, "range inheritFromBefore"),
    "appendDimension": (append_dimension, "sheetId dimension length tableId"),
    "deleteDimension": (delete_dimension, "range"),
    "moveDimension": (move_dimension, "source destinationIndex"),
    "updateDimensionProperties": (
        update_dimension_properties,
        "range properties fields dataSourceSheetRange",
    ),
    "autoResizeDimensions": (auto_resize_dimensions, "dimensions dataSourceSheetDimensions"),
    "insertRange": (insert_range, "range shiftDimension"),
    "deleteRange": (delete_range, "range shiftDimension"),
    "addDimensionGroup": (add_dimension_group, "range"),
    "deleteDimensionGroup": (delete_dimension_group, "range"),
    "updateDimensionGroup": (update_dimension_group, "dimensionGroup fields"),
}
