"""Conditions of conditional formats and filters, and the formats they lead to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from owox_tiktok.local.sheets import references
from owox_tiktok.local.sheets.a1 import Box
from owox_tiktok.local.sheets.errors import Json
from owox_tiktok.local.sheets.formats import EPOCH, to_serial
from owox_tiktok.local.sheets.formulas import Failure, parse
from owox_tiktok.local.sheets.functions import _now
from owox_tiktok.local.sheets.masks import single
from owox_tiktok.local.sheets.model import Sheet, Spreadsheet
from owox_tiktok.local.sheets.values import ErrorValue, Formula, Result, parse_date, parse_number
from owox_tiktok.local.sheets.values_api import displayed


def _operand(spreadsheet: Spreadsheet, sheet: Sheet, value: Json, rows: int, columns: int) -> Result:
    """The value a condition compares with: a constant, a formula, or a day named relative to today."""
    if value.get("relativeDate"):
        shift = {"PAST_YEAR": -365, "PAST_MONTH": -30, "PAST_WEEK": -7, "YESTERDAY": -1, "TODAY": 0, "TOMORROW": 1}
        moment = _now(spreadsheet.evaluator()) + timedelta(days=shift.get(value["relativeDate"], 0))
        return float(int(to_serial(max(moment, EPOCH))))
    text = str(value.get("userEnteredValue", ""))
    if text.startswith("="):
        return _formula(spreadsheet, sheet, text, rows, columns)
    parsed = parse_number(text, spreadsheet.locale) or parse_date(text, spreadsheet.locale)
    return parsed[0] if parsed else text


def _formula(spreadsheet: Spreadsheet, sheet: Sheet, text: str, rows: int, columns: int) -> Result:
    evaluator = spreadsheet.evaluator()
    try:
        formula = Formula(references.moved(text, rows, columns))
        return evaluator.single(evaluator.evaluate(parse(formula), sheet, rows, columns), rows, columns)
    except (Failure, ArithmeticError, ValueError, RecursionError):
        return ErrorValue("ERROR")


_NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "NUMBER_GREATER": lambda number, limit: number > limit,
    "NUMBER_GREATER_THAN_EQ": lambda number, limit: number >= limit,
    "NUMBER_LESS": lambda number, limit: number < limit,
    "NUMBER_LESS_THAN_EQ": lambda number, limit: number <= limit,
    "NUMBER_EQ": lambda number, limit: number == limit,
    "NUMBER_NOT_EQ": lambda number, limit: number != limit,
    "DATE_EQ": lambda number, limit: int(number) == int(limit),
    "DATE_BEFORE": lambda number, limit: number < limit,
    "DATE_AFTER": lambda number, limit: number >= int(limit) + 1,
    "DATE_ON_OR_BEFORE": lambda number, limit: number < int(limit) + 1,
    "DATE_ON_OR_AFTER": lambda number, limit: number >= limit,
}
_TEXTUAL: dict[str, Callable[[str, str], bool]] = {
    "TEXT_CONTAINS": lambda text, wanted: wanted in text,
    "TEXT_NOT_CONTAINS": lambda text, wanted: wanted not in text,
    "TEXT_STARTS_WITH": lambda text, wanted: text.startswith(wanted),
    "TEXT_ENDS_WITH": lambda text, wanted: text.endswith(wanted),
    "TEXT_EQ": lambda text, wanted: text == wanted,
    "TEXT_NOT_EQ": lambda text, wanted: text != wanted,
}


def meets(
    spreadsheet: Spreadsheet, sheet: Sheet, condition: Json, row: int, column: int, origin: tuple[int, int]
) -> bool:
    """Whether a cell meets a condition that was written for the cell at ``origin``."""
    kind = condition.get("type", "")
    rows, columns = row - origin[0], column - origin[1]
    given = condition.get("values") or []
    if kind == "CUSTOM_FORMULA":
        result = (
            _formula(spreadsheet, sheet, str(given[0].get("userEnteredValue", "")), rows, columns) if given else None
        )
        return bool(result is True or (isinstance(result, float) and result != 0))
    evaluator = spreadsheet.evaluator()
    cell = evaluator.result(sheet, row, column)
    if kind == "BLANK":
        return cell in (None, "")
    if kind == "NOT_BLANK":
        return cell not in (None, "")
    operands = [_operand(spreadsheet, sheet, one, rows, columns) for one in given]
    if kind in ("NUMBER_BETWEEN", "NUMBER_NOT_BETWEEN"):
        if type(cell) is not float or len(operands) < 2:
            return False
        low, high = sorted((evaluator.number(operands[0]), evaluator.number(operands[1])))
        return bool(low <= cell <= high) is (kind == "NUMBER_BETWEEN")
    if kind in _NUMERIC:
        limit = operands[0] if operands else None
        return type(cell) is float and isinstance(limit, float) and _NUMERIC[kind](cell, limit)
    if kind in _TEXTUAL:
        if isinstance(cell, ErrorValue):
            return False
        wanted = str(given[0].get("userEnteredValue", "")) if given else ""
        return _TEXTUAL[kind](evaluator.text(cell).lower(), wanted.lower())
    return False


def filter_hides(spreadsheet: Spreadsheet, sheet: Sheet, basic_filter: Json) -> set[int]:
    """Rows a basic filter hides as the cells are now."""
    box = spreadsheet.box_of(basic_filter["range"])
    criteria: list[tuple[int, Json]] = []
    for one in basic_filter.get("filterSpecs", []):
        if one.get("filterCriteria"):
            criteria.append((one.get("columnIndex", 0), one["filterCriteria"]))
    for key, one in basic_filter.get("criteria", {}).items():
        criteria.append((int(key), one))
    hidden: set[int] = set()
    if not criteria:
        return hidden

    evaluator = spreadsheet.evaluator()
    for row in range(box.top + 1, box.bottom):
        for column, rule in criteria:
            shown = displayed(spreadsheet, sheet, row, column, evaluator.result(sheet, row, column))
            if shown in rule.get("hiddenValues", []):
                hidden.add(row)
            condition = rule.get("condition")
            if condition and not meets(spreadsheet, sheet, condition, row, column, (row, column)):
                hidden.add(row)
    return hidden


class Painter:
    """Formats that come from banding and from conditional formats, for one tab as it is now."""

    def __init__(self, spreadsheet: Spreadsheet, sheet: Sheet) -> None:
        self.spreadsheet = spreadsheet
        self.sheet = sheet
        self.bands = [
            (spreadsheet.box_of(one["range"]), one) for one in sheet.parts["bandedRanges"] if one.get("range")
        ]
        self.rules = [
            (rule, [spreadsheet.box_of(one) for one in rule.get("ranges", [])])
            for rule in sheet.parts["conditionalFormats"]
        ]
        self._scales: dict[int, list[tuple[float, Json]]] = {}

    @property
    def idle(self) -> bool:
        """Whether no cell gets anything."""
        return not self.bands and not self.rules

    def paint(self, row: int, column: int) -> tuple[Json, Json]:
        """Formats a cell gets below its own one (banding) and above it (conditional formats)."""
        return self._band(row, column), self._rule(row, column)

    def _band(self, row: int, column: int) -> Json:
        out: Json = {}
        for box, band in self.bands:
            if box.holds(row, column):
                colour = _band_colour(box, band, row, column)
                if colour:
                    out |= _background(colour)
        return out

    def _rule(self, row: int, column: int) -> Json:
        for index, (rule, boxes) in enumerate(self.rules):
            if not any(box.holds(row, column) for box in boxes):
                continue
            origin = (min(box.top for box in boxes), min(box.left for box in boxes))
            if "gradientRule" in rule:
                colour = self._gradient(index, rule["gradientRule"], boxes, row, column)
                if colour is not None:
                    return _background(colour)
                continue
            boolean = rule.get("booleanRule", {})
            condition = boolean.get("condition", {})
            if meets(self.spreadsheet, self.sheet, condition, row, column, origin):
                return dict(boolean.get("format", {}))
        return {}

    def _gradient(self, index: int, rule: Json, boxes: list[Box], row: int, column: int) -> Json | None:
        evaluator = self.spreadsheet.evaluator()
        cell = evaluator.result(self.sheet, row, column)
        if type(cell) is not float:
            return None
        if index not in self._scales:
            numbers = sorted(
                one
                for box in boxes
                for line in range(box.top, min(box.bottom, len(self.sheet.grid.rows)))
                for place in range(box.left, box.right)
                if type(one := evaluator.result(self.sheet, line, place)) is float
            )
            points = [(name, rule[name]) for name in ("minpoint", "midpoint", "maxpoint") if name in rule]
            self._scales[index] = [(self._point(one, numbers), one.get("color", {})) for _, one in points]
        scale = self._scales[index]
        if cell <= scale[0][0]:
            return scale[0][1]
        for (low, first), (high, last) in pairwise(scale):
            if cell <= high:
                share = (cell - low) / (high - low) if high > low else 1.0
                return {
                    name: single(first.get(name, 0) + (last.get(name, 0) - first.get(name, 0)) * share)
                    for name in ("red", "green", "blue")
                }
        return scale[-1][1]

    def _point(self, point: Json, numbers: list[float]) -> float:
        kind = point.get("type")
        low, high = (numbers[0], numbers[-1]) if numbers else (0.0, 0.0)
        if kind == "MIN":
            return low
        if kind == "MAX":
            return high
        given = self.spreadsheet.evaluator().number(str(point.get("value", "0")))
        if kind == "PERCENT":
            return low + (high - low) * given / 100
        if kind == "PERCENTILE" and numbers:
            return numbers[round((len(numbers) - 1) * given / 100)]
        return given


def _background(colour: Json) -> Json:
    return {"backgroundColor": colour, "backgroundColorStyle": {"rgbColor": colour}}


def _band_colour(box: Box, band: Json, row: int, column: int) -> Any:
    for name, offset, size in (
        ("rowProperties", row - box.top, box.height),
        ("columnProperties", column - box.left, box.width),
    ):
        colours = band.get(name)
        if not colours:
            continue
        header = "headerColor" in colours
        if header and offset == 0:
            return colours["headerColor"]
        if "footerColor" in colours and offset == size - 1:
            return colours["footerColor"]
        return colours.get("firstBandColor" if (offset - header) % 2 == 0 else "secondBandColor")
    return None
