"""Formulas: taken apart, and worked out when somebody reads them.

Results are kept for one version of the spreadsheet. What a function is not known here gives
``#NAME?``. A formula whose outermost function is one of ``SPILLING`` fills the cells below and beside its own, as in
Sheets, and is ``#REF!`` where something stands in its way; any other gives its first cell only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from owox_tiktok.local.sheets.a1 import Box, column_letters
from owox_tiktok.local.sheets.formats import Locale, general
from owox_tiktok.local.sheets.references import Reference, read_reference
from owox_tiktok.local.sheets.values import SYMBOL_KINDS, ErrorValue, Formula, Result, parse_date, parse_number

if TYPE_CHECKING:
    from .model import Sheet, Spreadsheet

Array = list[list[Result]]


@dataclass(frozen=True)
class Area:
    """A range met while working out a formula."""

    sheet: Sheet
    box: Box


Value = Result | Array | Area


class Failure(Exception):
    """A formula cannot be worked out further; carries the error value."""

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message)
        self.error = ErrorValue(kind, message)


# --- taking apart -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A piece of a formula: ``kind`` is value, ref, name, call, binary, unary, percent or array."""

    kind: str
    value: Any = None
    parts: tuple[Any, ...] = ()


_TITLE = r"'(?:[^']|'')*'|[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_.\u0080-\U0010ffff]*"
_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"]|"")*")'
    r"|(?P<error>#(?:DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A|ERROR!|NULL!))"
    rf"|(?:(?P<title>{_TITLE})!)?(?P<cells>\$?[A-Za-z]{{1,3}}\$?[0-9]+(?::(?:\$?[A-Za-z]{{1,3}}(?:\$?[0-9]+)?|\$?[0-9]+))?"
    r"|\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}(?:\$?[0-9]+)?|\$?[0-9]+:\$?[0-9]+)(?![A-Za-z0-9_.(!])"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_.\u0080-\U0010ffff]*)"
    r"|(?P<op><=|>=|<>|[-+*/^&=<>(){},;%\\]))"
)
_BINARY = {"=": 1, "<>": 1, "<": 1, ">": 1, "<=": 1, ">=": 1, "&": 2, "+": 3, "-": 3, "*": 4, "/": 4, "^": 6}


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, Any]] = []
        index = 0
        text = text.rstrip()
        while index < len(text):
            match = _TOKEN.match(text, index)
            if match is None:
                raise Failure("ERROR", "Formula parse error.")
            index = match.end()
            kind = str(match.lastgroup)
            value: Any = match["cells"] if match["cells"] else match[kind]
            if match["cells"]:
                kind, value = "ref", read_reference(match["title"], match["cells"])
            self.tokens.append((kind, value))
        self.index = 0

    def peek(self) -> tuple[str, Any]:
        return self.tokens[self.index] if self.index < len(self.tokens) else ("end", None)

    def take(self, op: str | None = None) -> tuple[str, Any]:
        token = self.peek()
        if op is not None and token != ("op", op):
            raise Failure("ERROR", "Formula parse error.")
        self.index += 1
        return token

    def whole(self) -> Node:
        node = self.binary(0)
        if self.peek()[0] != "end":
            raise Failure("ERROR", "Formula parse error.")
        return node

    def binary(self, least: int) -> Node:
        left = self.unary()
        while True:
            kind, op = self.peek()
            rank = _BINARY.get(op, 0) if kind == "op" else 0
            if not rank or rank <= least:
                return left
            self.take()
            left = Node("binary", op, (left, self.binary(rank)))

    def unary(self) -> Node:
        kind, op = self.peek()
        if kind == "op" and op in "+-":
            self.take()
            return Node("unary", op, (self.binary(5),))
        node = self.atom()
        while self.peek() == ("op", "%"):
            self.take()
            node = Node("percent", None, (node,))
        return node

    def atom(self) -> Node:
        kind, value = self.take()
        if kind == "number":
            return Node("value", float(value))
        if kind == "string":
            return Node("value", value[1:-1].replace('""', '"'))
        if kind == "error":
            return Node("value", ErrorValue(SYMBOL_KINDS[value]))
        if kind == "ref":
            return Node("ref", value)
        if kind == "op" and value == "(":
            node = self.binary(0)
            self.take(")")
            return node
        if kind == "op" and value == "{":
            return self.array()
        if kind == "name":
            if self.peek() == ("op", "("):
                return self.call(value)
            if value.upper() in ("TRUE", "FALSE"):
                return Node("value", value.upper() == "TRUE")
            return Node("name", value)
        raise Failure("ERROR", "Formula parse error.")

    def call(self, name: str) -> Node:
        self.take("(")
        parts: list[Node | None] = []
        if self.peek() != ("op", ")"):
            while True:
                empty = self.peek() in (("op", ","), ("op", ";"), ("op", ")"))
                parts.append(None if empty else self.binary(0))
                if self.peek() in (("op", ","), ("op", ";")):
                    self.take()
                    continue
                break
        self.take(")")
        return Node("call", name.upper(), tuple(parts))

    def array(self) -> Node:
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while self.peek() != ("op", "}"):
            row.append(self.binary(0))
            kind, op = self.peek()
            if (kind, op) == ("op", ";"):
                rows.append(tuple(row))
                row = []
            if kind == "op" and op in (",", ";", "\\"):
                self.take()
            elif (kind, op) != ("op", "}"):
                raise Failure("ERROR", "Formula parse error.")
        self.take("}")
        rows.append(tuple(row))
        return Node("array", None, tuple(rows))


def _spills(formula: Formula) -> bool:
    if formula.text[1:].partition("(")[0].strip().upper() not in SPILLING:
        return False  # without taking apart the formulas of a long column
    node = parse(formula)
    return node.kind == "call" and node.value in SPILLING


def parse(formula: Formula) -> Node:
    """The pieces of a formula; a text that is no formula becomes an error value."""
    if formula.tree is None:
        try:
            formula.tree = _Parser(formula.text[1:]).whole()
        except Failure as failure:
            formula.tree = Node("value", failure.error)
    assert isinstance(formula.tree, Node)
    return formula.tree


# --- working out ------------------------------------------------------------------------------------------------------

SPILLING = frozenset(("ARRAYFORMULA", "ARRAY_CONSTRAIN", "QUERY", "FILTER", "HSTACK"))
"""Functions whose results fill other cells."""
_COMPARE_ORDER = {float: 0, str: 1, bool: 2}
_NAMES = {"+": "ADD", "-": "MINUS", "*": "MULTIPLY", "/": "DIVIDE", "^": "POW"}


def compare(left: Result, right: Result) -> int:
    """Order of two results: numbers before texts before booleans, texts without regard to case."""
    if left is None:
        left = _blank_like(right)
    if right is None:
        right = _blank_like(left)
    if type(left) is not type(right):
        return _COMPARE_ORDER.get(type(left), 3) - _COMPARE_ORDER.get(type(right), 3)
    if isinstance(left, str) and isinstance(right, str):
        left, right = left.lower(), right.lower()
    if left == right:
        return 0
    return -1 if left < right else 1  # type: ignore[operator]


def _blank_like(other: Result) -> Result:
    return "" if isinstance(other, str) else (False if isinstance(other, bool) else 0.0)


CallFunction = Callable[["Evaluator", Node, "Sheet", int, int], Value]
"""Calls a function by name; see ``functions.call``."""


class Evaluator:
    """Works out formulas of one version of a spreadsheet."""

    def __init__(self, spreadsheet: Spreadsheet, locale: Locale, call: CallFunction) -> None:
        self._call = call
        self.spreadsheet = spreadsheet
        self.locale = locale
        self.results: dict[tuple[int, int, int], Result] = {}
        self.flat: dict[Box, list[Result]] = {}
        self.matches: dict[tuple[Box, str], list[bool]] = {}
        self._busy: set[tuple[int, int, int]] = set()
        self._spilling: dict[int, dict[tuple[int, int], Formula]] = {}
        self._spilled: dict[int, dict[tuple[int, int], Result]] = {}

    def result(self, sheet: Sheet, row: int, column: int) -> Result:
        """What a cell shows: its content, or what its formula gives, or what a formula elsewhere puts into it."""
        content = sheet.grid.content(row, column)
        if content is None:
            return self.spilled_into(sheet, row, column) if self.spills(sheet) else None
        if type(content) is not Formula:
            return content  # type: ignore[return-value]
        return self.formula_result(sheet, row, column, content)

    # --- results that fill other cells --------------------------------------------------------------------------------

    def spills(self, sheet: Sheet) -> dict[tuple[int, int], Formula]:
        """The formulas of a tab whose results may fill other cells, by their places."""
        known = self._spilling.get(sheet.sheet_id)
        if known is None:
            known = {
                (at, column): cell
                for at, row in enumerate(sheet.grid.rows)
                if row is not None and row.formulas
                for column, cell in enumerate(row.cells)
                if type(cell) is Formula and _spills(cell)
            }
            self._spilling[sheet.sheet_id] = known
            self._spilled[sheet.sheet_id] = {}
        return known

    def spilled_into(self, sheet: Sheet, row: int, column: int) -> Result:
        """What a formula above or to the left puts into a blank cell."""
        for (top, left), formula in self.spills(sheet).items():
            key = (sheet.sheet_id, top, left)
            if top <= row and left <= column and key not in self.results and key not in self._busy:
                self.formula_result(sheet, top, left, formula)
        return self._spilled[sheet.sheet_id].get((row, column))

    def spilled_over(self, sheet: Sheet) -> dict[tuple[int, int], Result]:
        """All cells of a tab that results of formulas elsewhere fill."""
        for (top, left), formula in self.spills(sheet).items():
            self.formula_result(sheet, top, left, formula)
        return self._spilled[sheet.sheet_id]

    def _spill(self, sheet: Sheet, row: int, column: int, cells: Array) -> Result:
        """Put a result into the cells below and beside its formula; return what the formula's own cell shows."""
        places = {(row + y, column + x): cell for y, line in enumerate(cells) for x, cell in enumerate(line) if y or x}
        for at in places:
            if sheet.grid.content(*at) is not None:
                taken = f"{column_letters(at[1])}{at[0] + 1}"
                raise Failure("REF", f"Array result was not expanded because it would overwrite data in {taken}.")
        self._spilled[sheet.sheet_id].update(places)
        return cells[0][0] if cells and cells[0] else None

    def formula_result(self, sheet: Sheet, row: int, column: int, formula: Formula) -> Result:
        """What a formula gives in its place."""
        key = (sheet.sheet_id, row, column)
        if key in self.results:
            return self.results[key]
        if key in self._busy:
            return ErrorValue(
                "REF", "Circular dependency detected. To resolve with iterative calculation, see Settings."
            )
        self._busy.add(key)
        depth, self._array_depth = self._array_depth, 0  # a cell that an array formula asks for is not part of it
        try:
            value = self.evaluate(parse(formula), sheet, row, column)
            if isinstance(value, list) and (row, column) in self.spills(sheet):
                result = self._spill(sheet, row, column, value)
            else:
                result = self.single(value, row, column)
        except Failure as failure:
            result = failure.error
        except RecursionError:
            result = ErrorValue("ERROR", "Formula chain too long.")
        except (OverflowError, ValueError, ZeroDivisionError):
            result = ErrorValue("NUM", "Result is not a number that can be shown.")
        finally:
            self._busy.discard(key)
            self._array_depth = depth
        self.results[key] = result
        return result

    def single(self, value: Value, row: int, column: int) -> Result:
        """One result of a value; of a range the cell in the same row or column, as Sheets does."""
        if isinstance(value, Area):
            box = value.box
            if box.width == 1 and box.height > 1 and box.top <= row < box.bottom:
                return self.result(value.sheet, row, box.left)
            if box.height == 1 and box.width > 1 and box.left <= column < box.right:
                return self.result(value.sheet, box.top, column)
            return None if box.empty else self.result(value.sheet, box.top, box.left)
        if isinstance(value, list):
            return value[0][0] if value and value[0] else None
        return value

    def evaluate(self, node: Node, sheet: Sheet, row: int, column: int) -> Value:
        """The value of a piece of a formula that stands in a cell."""
        kind = node.kind
        if kind == "value":
            value: Value = node.value
            return value
        if kind == "ref":
            return self.area(node.value, sheet)
        if kind == "name":
            return self._name(node.value)
        if kind == "call":
            return self._call(self, node, sheet, row, column)
        if kind == "array":
            return self._array(node, sheet, row, column)
        operands = [self.evaluate(one, sheet, row, column) for one in node.parts]
        if kind == "binary" and node.value in "+-*/^&=<><=>=" and any(isinstance(one, list | Area) for one in operands):
            return self._spread(node.value, operands, row, column)
        scalars = [self.single(one, row, column) for one in operands]
        if kind == "unary":
            number = self.number(scalars[0])
            return -number if node.value == "-" else number
        if kind == "percent":
            return self.number(scalars[0]) / 100
        return self.operate(node.value, scalars[0], scalars[1])

    def _spread(self, op: str, operands: list[Value], row: int, column: int) -> Value:
        """An operator over ranges: cell by cell inside ARRAYFORMULA and SUMPRODUCT, else the cell in line."""
        arrays = [
            self.rows(one) if isinstance(one, list) or (isinstance(one, Area) and self._array_depth) else None
            for one in operands
        ]
        if not any(one is not None for one in arrays):
            left, right = (self.single(one, row, column) for one in operands)
            return self.operate(op, left, right)
        height = max(len(one) for one in arrays if one is not None)
        width = max((len(line) for one in arrays if one for line in one), default=0)

        def at(index: int, y: int, x: int) -> Result:
            array = arrays[index]
            if array is None:
                return self.single(operands[index], row, column)
            line = array[0 if len(array) == 1 else y] if (len(array) == 1 or y < len(array)) else []
            return line[0 if len(line) == 1 else x] if (len(line) == 1 or x < len(line)) else None

        out: Array = []
        for y in range(height):
            line: list[Result] = []
            for x in range(width):
                try:
                    line.append(self.operate(op, at(0, y, x), at(1, y, x)))
                except Failure as failure:
                    line.append(failure.error)
            out.append(line)
        return out

    _array_depth = 0

    @property
    def by_cells(self) -> bool:
        """Whether operators and functions work cell by cell here, as inside ARRAYFORMULA."""
        return self._array_depth > 0

    def as_arrays(self, node: Node, sheet: Sheet, row: int, column: int) -> Value:
        """Evaluate with operators working cell by cell."""
        self._array_depth += 1
        try:
            return self.evaluate(node, sheet, row, column)
        finally:
            self._array_depth -= 1

    def operate(self, op: str, left: Result, right: Result) -> Result:
        """Carry out an operator."""
        for one in (left, right):
            if isinstance(one, ErrorValue):
                raise Failure(one.kind, one.message)
        if op == "&":
            return self.text(left) + self.text(right)
        if op in ("=", "<>", "<", ">", "<=", ">="):
            order = compare(left, right)
            return {
                "=": order == 0,
                "<>": order != 0,
                "<": order < 0,
                ">": order > 0,
                "<=": order <= 0,
                ">=": order >= 0,
            }[op]
        first = self.number(left, _NAMES[op], 1)
        second = self.number(right, _NAMES[op], 2)
        if op == "+":
            return first + second
        if op == "-":
            return first - second
        if op == "*":
            return first * second
        if op == "/":
            if second == 0:
                raise Failure("DIVIDE_BY_ZERO", "Function DIVIDE parameter 2 cannot be zero.")
            return first / second
        result = first**second
        if isinstance(result, complex) or math.isinf(result):
            raise Failure("NUM", "Function POW has no real result.")
        return float(result)

    def area(self, reference: Reference, sheet: Sheet) -> Area:
        """The range a reference means, cut to the grid."""
        target: Sheet | None = sheet
        if reference.title is not None:
            target = self.spreadsheet.sheet_by_title(reference.title)
        if target is None:
            raise Failure("REF", f"Unresolved sheet name '{reference.title}'.")
        first = reference.first
        last = reference.last or first
        single = reference.last is None
        top = first.row or 0
        left = first.column or 0
        bottom = target.grid.row_count if last.row is None else last.row + 1
        right = target.grid.column_count if last.column is None else last.column + 1
        if single and (top >= target.grid.row_count or left >= target.grid.column_count):
            raise Failure("REF", "Reference does not exist.")
        box = Box(target.sheet_id, top, min(bottom, target.grid.row_count), left, min(right, target.grid.column_count))
        return Area(target, box)

    def _name(self, name: str) -> Value:
        box = self.spreadsheet.named_box(name)
        if box is None:
            raise Failure("NAME", f"Unknown range name: '{name.upper()}'.")
        sheet = self.spreadsheet.sheet_by_id(box.sheet_id)
        assert sheet is not None
        return Area(sheet, box)

    def _array(self, node: Node, sheet: Sheet, row: int, column: int) -> Array:
        out: Array = []
        for line in node.parts:
            blocks = [self.rows(self.evaluate(one, sheet, row, column)) for one in line]
            for y in range(max((len(block) for block in blocks), default=0)):
                out.append([cell for block in blocks for cell in (block[y] if y < len(block) else [])])
        return out

    # --- values as functions want them --------------------------------------------------------------------------------

    def rows(self, value: Value) -> Array:
        """A value as rows of results. Rows below the last one with content are left out of a range."""
        if isinstance(value, Area):
            box = value.box
            if box.width == 1:
                return [[one] for one in self.column(value)]
            bottom = self._bottom(value)
            return [
                [self.result(value.sheet, row, column) for column in range(box.left, box.right)]
                for row in range(box.top, bottom)
            ]
        return value if isinstance(value, list) else [[value]]

    def column(self, area: Area) -> list[Result]:
        """A range as one list, kept for this version: totals by many conditions ask for the same ones."""
        known = self.flat.get(area.box)
        if known is not None:
            return known
        grid, box = area.sheet.grid, area.box
        spilling = bool(self.spills(area.sheet))
        out: list[Result] = []
        for row in range(box.top, self._bottom(area)):
            cells = grid.cells_of(row, box.left, box.right)
            for offset in range(box.width):
                cell = cells[offset] if offset < len(cells) else None
                if type(cell) is Formula:
                    out.append(self.formula_result(area.sheet, row, box.left + offset, cell))
                elif cell is None and spilling:
                    out.append(self.spilled_into(area.sheet, row, box.left + offset))
                else:
                    out.append(cell)  # type: ignore[arg-type]
        self.flat[area.box] = out
        return out

    def _bottom(self, area: Area) -> int:
        """The row behind the last with content; of a tab that formulas fill, the end of the range."""
        if self.spills(area.sheet):
            return area.box.bottom
        return min(area.box.bottom, max(len(area.sheet.grid.rows), area.box.top + 1))

    def flatten(self, value: Value) -> Sequence[Result]:
        """All results of a value, row by row."""
        if isinstance(value, Area):
            return self.column(value)
        if isinstance(value, list):
            return [cell for line in value for cell in line]
        return [value]

    def number(self, value: Result, function: str = "ADD", place: int = 1) -> float:
        """A result as a number, the way operators take it."""
        if value is None:
            return 0.0
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, float):
            return value
        if isinstance(value, ErrorValue):
            raise Failure(value.kind, value.message)
        parsed = parse_number(value.strip(), self.locale) or parse_date(value.strip(), self.locale)
        if parsed is None:
            if value == "":
                return 0.0
            raise Failure(
                "VALUE",
                f"Function {function} parameter {place} expects number values. "
                f"But '{value}' is a text and cannot be coerced to a number.",
            )
        return parsed[0]

    def text(self, value: Result) -> str:
        """A result as text."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, ErrorValue):
            raise Failure(value.kind, value.message)
        if isinstance(value, float):
            return general(value, self.locale)
        return value

    def truth(self, value: Result) -> bool:
        """A result as a condition."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str):
            if value.upper() in ("TRUE", "FALSE"):
                return value.upper() == "TRUE"
            if value == "":
                return False
        return self.number(value) != 0
