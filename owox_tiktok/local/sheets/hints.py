"""The number format of a formula's result where the cell has none of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from owox_tiktok.local.sheets.formulas import Node, parse
from owox_tiktok.local.sheets.references import Reference
from owox_tiktok.local.sheets.values import Formula

if TYPE_CHECKING:
    from .errors import Json
    from .model import Sheet, Spreadsheet

_DATES = frozenset(("TODAY", "DATE", "EDATE", "EOMONTH"))
_PASSING = frozenset(
    [
        "SUM",
        "AVERAGE",
        "MIN",
        "MAX",
        "MEDIAN",
        "ROUND",
        "ROUNDUP",
        "ROUNDDOWN",
        "IFERROR",
        "IFNA",
        "INDEX",
        "ABS",
        "SUMIF",
        "SUMIFS",
        "AVERAGEIFS",
        "MAXIFS",
        "MINIFS",
    ]
)
_DEPTH = 8


def suggested_format(spreadsheet: Spreadsheet, sheet: Sheet, formula: Formula) -> Json | None:
    """A date function gives a date; sums, extremes and plain references take the format of their source."""
    return _of(spreadsheet, sheet, parse(formula), 0)


def _of(spreadsheet: Spreadsheet, sheet: Sheet, node: Node, depth: int) -> Json | None:
    if depth > _DEPTH:
        return None
    if node.kind == "ref":
        return _source(spreadsheet, sheet, node.value, depth)
    if node.kind == "percent":
        return {"type": "PERCENT", "pattern": "0%"}
    if node.kind == "binary" and node.value in "+-":
        left, right = (_of(spreadsheet, sheet, one, depth + 1) for one in node.parts)
        if node.value == "-" and left is not None and right is not None and left.get("type") == "DATE":
            return None  # days between two dates
        return left or right
    if node.kind == "call":
        if node.value in _DATES:
            return {"type": "DATE", "pattern": spreadsheet.locale.date}
        if node.value == "NOW":
            return {"type": "DATE_TIME", "pattern": f"{spreadsheet.locale.date} h:mm:ss"}
        if node.value in _PASSING and node.parts and node.parts[0] is not None:
            index = 2 if node.value == "SUMIF" and len(node.parts) > 2 else 0
            return _of(spreadsheet, sheet, node.parts[index], depth + 1)
    return None


def _source(spreadsheet: Spreadsheet, sheet: Sheet, reference: Reference, depth: int) -> Json | None:
    target = sheet if reference.title is None else spreadsheet.sheet_by_title(reference.title)
    if target is None:
        return None
    row, column = reference.first.row or 0, reference.first.column or 0
    bottom = row + 1 if reference.last is None else min(row + 3, target.grid.row_count)
    # A header may stand first, so the cells below it are asked as well.
    for one in range(row, bottom):
        look = target.grid.look(one, column)
        form: Json | None = look.parts.get("userEnteredFormat", {}).get("numberFormat") if look else None
        if form is not None:
            return form
        content = target.grid.content(one, column)
        if isinstance(content, Formula):
            found = _of(spreadsheet, target, parse(content), depth + 1)
            if found is not None:
                return found
    return None
