"""The functions formulas may call; those a small dashboard needs."""

from __future__ import annotations

import calendar
import math
import re
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from owox_tiktok.local.sheets.a1 import column_letters
from owox_tiktok.local.sheets.formats import display_number, to_datetime, to_serial
from owox_tiktok.local.sheets.formulas import Area, Array, Evaluator, Failure, Node, Value, compare, parse
from owox_tiktok.local.sheets.query import query
from owox_tiktok.local.sheets.values import ErrorValue, Formula, Result, parse_date, parse_number

if TYPE_CHECKING:
    from .model import Sheet

Lazy = Callable[["Call"], Value]
Eager = Callable[[Evaluator, list[Value]], Value]


class Call:
    """One call of a function, whose arguments are worked out when asked for."""

    def __init__(self, evaluator: Evaluator, node: Node, sheet: Sheet, row: int, column: int) -> None:
        self.evaluator = evaluator
        self.node = node
        self.sheet = sheet
        self.row = row
        self.column = column
        self.count = len(node.parts)

    def value(self, index: int) -> Value:
        """An argument; a missing one is nothing."""
        part = self.node.parts[index] if index < self.count else None
        return None if part is None else self.evaluator.evaluate(part, self.sheet, self.row, self.column)

    def one(self, index: int) -> Result:
        """An argument as a single result."""
        return self.evaluator.single(self.value(index), self.row, self.column)


def call(evaluator: Evaluator, node: Node, sheet: Sheet, row: int, column: int) -> Value:
    """Call a function by name."""
    name = str(node.value)
    this = Call(evaluator, node, sheet, row, column)
    lazy = _LAZY.get(name)
    if lazy is not None:
        return lazy(this)
    eager = _EAGER.get(name)
    if eager is None:
        if name in _BLANK:
            return None
        raise Failure("NAME", f"Unknown function: '{name}'.")
    values = [this.value(index) for index in range(this.count)]
    if evaluator.by_cells and (name in _SCALAR or name == "VLOOKUP"):
        spread = values if name in _SCALAR else values[:1]
        if any(_many(one) for one in spread):
            return _cell_by_cell(evaluator, eager, spread, values[len(spread) :])
    if name in _SCALAR:
        values = [evaluator.single(one, row, column) for one in values]
        for one in values:
            if isinstance(one, ErrorValue) and name not in _TAKES_ERRORS:
                raise Failure(one.kind, one.message)
    try:
        return eager(evaluator, values)
    except IndexError:
        raise Failure("N_A", f"Wrong number of arguments to {name}.") from None


def _many(value: Value) -> bool:
    return isinstance(value, list) or (isinstance(value, Area) and value.box.width * value.box.height > 1)


def _cell_by_cell(evaluator: Evaluator, rule: Eager, spread: list[Value], rest: list[Value]) -> Array:
    """A function called for each cell of its arguments, as ARRAYFORMULA does; a failure is that cell's own."""
    arrays = [evaluator.rows(one) for one in spread]
    out: Array = []
    for y in range(max(map(len, arrays))):
        line: list[Result] = []
        for x in range(max(len(one) for array in arrays for one in array)):
            cells: list[Value] = [_at(array, y, x) for array in arrays]
            try:
                for one in cells:
                    if isinstance(one, ErrorValue):
                        raise Failure(one.kind, one.message)
                line.append(evaluator.single(rule(evaluator, [*cells, *rest]), 0, 0))
            except Failure as failure:
                line.append(failure.error)
        out.append(line)
    return out


def _at(array: Array, y: int, x: int) -> Result:
    """A cell of an array; a single row or column stands for all."""
    row = array[0] if len(array) == 1 else array[y] if y < len(array) else []
    return row[0] if len(row) == 1 else row[x] if x < len(row) else None


# --- functions that choose what to work out ---------------------------------------------------------------------------


def _if(this: Call) -> Value:
    if this.evaluator.by_cells and _many(chosen := this.value(0)):
        return _if_by_cells(this, this.evaluator.rows(chosen))
    condition = this.one(0)
    if isinstance(condition, ErrorValue):
        raise Failure(condition.kind, condition.message)
    if this.evaluator.truth(condition):
        return this.value(1)
    return this.value(2) if this.count > 2 else False


def _if_by_cells(this: Call, conditions: Array) -> Array:
    evaluator = this.evaluator
    yes = evaluator.rows(this.value(1))
    no: Array = evaluator.rows(this.value(2)) if this.count > 2 else [[False]]
    return [
        [
            one if isinstance(one, ErrorValue) else _at(yes if evaluator.truth(one) else no, y, x)
            for x, one in enumerate(line)
        ]
        for y, line in enumerate(conditions)
    ]


def _ifs(this: Call) -> Value:
    for index in range(0, this.count - 1, 2):
        if this.evaluator.truth(this.one(index)):
            return this.value(index + 1)
    raise Failure("N_A", "No match.")


def _iferror(this: Call) -> Value:
    try:
        whole = this.value(0)
        if this.evaluator.by_cells and _many(whole):
            other = this.evaluator.rows(this.value(1))
            return [
                [_at(other, y, x) if isinstance(one, ErrorValue) else one for x, one in enumerate(line)]
                for y, line in enumerate(this.evaluator.rows(whole))
            ]
        value = this.evaluator.single(whole, this.row, this.column)
    except Failure as failure:
        value = failure.error
    return this.value(1) if isinstance(value, ErrorValue) else value


def _ifna(this: Call) -> Value:
    try:
        value = this.one(0)
    except Failure as failure:
        value = failure.error
    return this.value(1) if isinstance(value, ErrorValue) and value.kind == "N_A" else value


def _switch(this: Call) -> Value:
    wanted = this.one(0)
    index = 1
    while index + 1 < this.count:
        if compare(wanted, this.one(index)) == 0:
            return this.value(index + 1)
        index += 2
    if index < this.count:
        return this.value(index)
    raise Failure("N_A", "No match.")


def _iserror(kinds: Callable[[str], bool]) -> Lazy:
    def rule(this: Call) -> Value:
        try:
            value = this.one(0)
        except Failure as failure:
            value = failure.error
        return isinstance(value, ErrorValue) and kinds(value.kind)

    return rule


def _row(this: Call) -> Value:
    value = this.value(0) if this.count else None
    return float(value.box.top + 1 if isinstance(value, Area) else this.row + 1)


def _column(this: Call) -> Value:
    value = this.value(0) if this.count else None
    return float(value.box.left + 1 if isinstance(value, Area) else this.column + 1)


def _arrayformula(this: Call) -> Value:
    part = this.node.parts[0]
    return this.evaluator.as_arrays(part, this.sheet, this.row, this.column)


def _sumproduct(this: Call) -> Value:
    evaluator = this.evaluator
    arrays = [
        evaluator.flatten(evaluator.as_arrays(part, this.sheet, this.row, this.column)) for part in this.node.parts
    ]
    total = 0.0
    for line in zip(*arrays, strict=False):
        product = 1.0
        for cell in line:
            if isinstance(cell, ErrorValue):
                raise Failure(cell.kind, cell.message)
            product *= float(cell) if isinstance(cell, float | bool) else 0.0
        total += product
    return total


def _array_constrain(this: Call) -> Value:
    rows, columns = (int(this.evaluator.number(this.one(at), "ARRAY_CONSTRAIN", at + 1)) for at in (1, 2))
    return [line[:columns] for line in this.evaluator.rows(this.value(0))[:rows]]


def _offset(this: Call) -> Value:
    area = this.value(0)
    if not isinstance(area, Area):
        raise Failure("N_A", "Argument must be a range.")
    rows, columns = (int(this.evaluator.number(this.one(at), "OFFSET", at + 1)) for at in (1, 2))
    box, grid = area.box, area.sheet.grid
    height, width = (
        int(this.evaluator.number(this.one(at))) if this.count > at else size
        for at, size in ((3, box.height), (4, box.width))
    )
    top, left = box.top + rows, box.left + columns
    if min(top, left) < 0 or top + height > grid.row_count or left + width > grid.column_count:
        raise Failure("REF", "Function OFFSET evaluates to an out of bounds range.")
    return Area(area.sheet, box._replace(top=top, bottom=top + height, left=left, right=left + width))


def _indirect(this: Call) -> Value:
    text = this.one(0)
    if isinstance(text, str):
        node = parse(Formula(f"={text}"))
        if node.kind in ("ref", "name"):
            return this.evaluator.evaluate(node, this.sheet, this.row, this.column)
    raise Failure("REF", "Function INDIRECT parameter 1 is not a valid cell/range reference.")


def _filter(this: Call) -> Value:
    evaluator = this.evaluator
    rows = evaluator.rows(this.value(0))
    for part in this.node.parts[1:]:
        flags = evaluator.flatten(evaluator.as_arrays(part, this.sheet, this.row, this.column))
        rows = [
            line if line and not isinstance(flag, ErrorValue) and evaluator.truth(flag) else []
            for line, flag in zip(rows, flags, strict=False)
        ]
    rows = [line for line in rows if line]
    if not rows:
        raise Failure("N_A", "No matches are found in FILTER evaluation.")
    return rows


_LAZY: dict[str, Lazy] = {
    "FILTER": _filter,
    "INDIRECT": _indirect,
    "OFFSET": _offset,
    "ARRAY_CONSTRAIN": _array_constrain,
    "IF": _if,
    "IFS": _ifs,
    "IFERROR": _iferror,
    "IFNA": _ifna,
    "SWITCH": _switch,
    "ISERROR": _iserror(lambda kind: True),
    "ISERR": _iserror(lambda kind: kind != "N_A"),
    "ISNA": _iserror(lambda kind: kind == "N_A"),
    "ROW": _row,
    "COLUMN": _column,
    "ARRAYFORMULA": _arrayformula,
    "SUMPRODUCT": _sumproduct,
}


# --- totals -----------------------------------------------------------------------------------------------------------


def _numbers(evaluator: Evaluator, values: Sequence[Value]) -> list[float]:
    """Numbers of all arguments: texts in ranges are passed over, texts as arguments must be numbers."""
    out: list[float] = []
    for value in values:
        direct = not isinstance(value, Area | list)
        for cell in evaluator.flatten(value):
            if type(cell) is float:
                out.append(cell)
            elif isinstance(cell, ErrorValue):
                raise Failure(cell.kind, cell.message)
            elif direct and cell is not None:
                out.append(evaluator.number(cell, "SUM"))
    return out


def _average(evaluator: Evaluator, values: list[Value]) -> Value:
    numbers = _numbers(evaluator, values)
    if not numbers:
        raise Failure("DIVIDE_BY_ZERO", "Evaluation of function AVERAGE caused a divide by zero error.")
    return math.fsum(numbers) / len(numbers)


def _count(evaluator: Evaluator, values: list[Value]) -> Value:
    return float(sum(type(cell) is float for value in values for cell in evaluator.flatten(value)))


def _counta(evaluator: Evaluator, values: list[Value]) -> Value:
    return float(sum(cell is not None for value in values for cell in evaluator.flatten(value)))


def _countblank(evaluator: Evaluator, values: list[Value]) -> Value:
    size = sum(value.box.height * value.box.width if isinstance(value, Area) else 1 for value in values)
    used = sum(cell not in (None, "") for value in values for cell in evaluator.flatten(value))
    return float(size - used)


def _countunique(evaluator: Evaluator, values: list[Value]) -> Value:
    return float(len({cell for value in values for cell in evaluator.flatten(value) if cell is not None}))


def _median(evaluator: Evaluator, values: list[Value]) -> Value:
    numbers = _numbers(evaluator, values)
    if not numbers:
        raise Failure("NUM", "MEDIAN has no valid input data.")
    return float(statistics.median(numbers))


def _extreme(choose: Callable[[list[float]], float]) -> Eager:
    def rule(evaluator: Evaluator, values: list[Value]) -> Value:
        numbers = _numbers(evaluator, values)
        return choose(numbers) if numbers else 0.0

    return rule


# --- totals by condition ----------------------------------------------------------------------------------------------

_CRITERION = re.compile(r"^(<=|>=|<>|=|<|>)(.*)$", re.DOTALL)


def criterion(evaluator: Evaluator, wanted: Result) -> Callable[[Result], bool]:
    """The test a condition such as ``">=5"``, ``"a*"`` or ``7`` stands for."""
    if not isinstance(wanted, str):
        if wanted is None:
            return lambda cell: cell is None
        return lambda cell: type(cell) is type(wanted) and cell == wanted
    match = _CRITERION.match(wanted)
    op, operand = (match[1], match[2]) if match else ("=", wanted)
    parsed = parse_number(operand.strip(), evaluator.locale) or parse_date(operand.strip(), evaluator.locale)
    if parsed is not None:
        limit = parsed[0]
        tests: dict[str, Callable[[float], bool]] = {
            "=": lambda number: number == limit,
            "<>": lambda number: number != limit,
            "<": lambda number: number < limit,
            ">": lambda number: number > limit,
            "<=": lambda number: number <= limit,
            ">=": lambda number: number >= limit,
        }
        test = tests[op]
        return lambda cell: test(cell) if type(cell) is float else (op == "<>" or (op == "=" and cell == operand))
    if operand.upper() in ("TRUE", "FALSE") and op in ("=", "<>"):
        flag = operand.upper() == "TRUE"
        return lambda cell: (cell is flag) == (op == "=")
    if op in ("=", "<>"):
        if not operand:
            return lambda cell: (cell in (None, "")) == (op == "=")
        pattern = _wildcard(operand)
        return lambda cell: (isinstance(cell, str) and pattern.fullmatch(cell) is not None) == (op == "=")
    low = operand.lower()
    orders: dict[str, Callable[[str], bool]] = {
        "<": lambda text: text < low,
        ">": lambda text: text > low,
        "<=": lambda text: text <= low,
        ">=": lambda text: text >= low,
    }
    order = orders[op]
    return lambda cell: isinstance(cell, str) and order(cell.lower())


def _wildcard(text: str) -> re.Pattern[str]:
    out = []
    index = 0
    while index < len(text):
        char = text[index]
        if char == "~" and text[index + 1 : index + 2] in ("*", "?", "~"):
            index += 1
            out.append(re.escape(text[index]))
        else:
            out.append({"*": ".*", "?": "."}.get(char) or re.escape(char))
        index += 1
    return re.compile("".join(out), re.IGNORECASE | re.DOTALL)


def _matching(evaluator: Evaluator, pairs: Sequence[Value]) -> list[bool]:
    """Which cells meet every (range, condition) pair."""
    out: list[bool] | None = None
    for index in range(0, len(pairs) - 1, 2):
        area, wanted = pairs[index], evaluator.single(pairs[index + 1], 0, 0)
        key = (area.box, repr(wanted)) if isinstance(area, Area) else None
        found = evaluator.matches.get(key) if key is not None else None
        if found is None:
            test = criterion(evaluator, wanted)
            found = [test(cell) for cell in evaluator.flatten(area)]
            if key is not None:
                evaluator.matches[key] = found
        if out is None:
            out = found
        else:
            longest = max(len(out), len(found))
            out = [a and b for a, b in zip(_padded(out, longest), _padded(found, longest), strict=True)]
    return out or []


def _padded(flags: list[bool], length: int) -> list[bool]:
    return flags if len(flags) == length else flags + [False] * (length - len(flags))


def _chosen(evaluator: Evaluator, values: Value, flags: list[bool]) -> list[float]:
    out = []
    for cell, flag in zip(evaluator.flatten(values), flags, strict=False):
        if flag:
            if type(cell) is float:
                out.append(cell)
            elif isinstance(cell, ErrorValue):
                raise Failure(cell.kind, cell.message)
    return out


def _sumif(evaluator: Evaluator, values: list[Value]) -> Value:
    return math.fsum(_chosen(evaluator, values[2] if len(values) > 2 else values[0], _matching(evaluator, values[:2])))


def _averageif(evaluator: Evaluator, values: list[Value]) -> Value:
    return _average(
        evaluator,
        [[list(_chosen(evaluator, values[2] if len(values) > 2 else values[0], _matching(evaluator, values[:2])))]],
    )


def _ifs_total(total: Eager) -> Eager:
    def rule(evaluator: Evaluator, values: list[Value]) -> Value:
        chosen: Array = [list(_chosen(evaluator, values[0], _matching(evaluator, values[1:])))]
        return total(evaluator, [chosen])

    return rule


def _countifs(evaluator: Evaluator, values: list[Value]) -> Value:
    return float(sum(_matching(evaluator, values)))


# --- looking up -------------------------------------------------------------------------------------------------------


def _lookup_index(cells: Sequence[Result], wanted: Result, nearest: bool) -> int | None:
    if nearest:
        found = None
        for index, cell in enumerate(cells):
            if cell is not None and type(cell) is type(wanted):
                if compare(cell, wanted) > 0:
                    break
                found = index
        return found
    pattern = _wildcard(wanted) if isinstance(wanted, str) else None
    for index, cell in enumerate(cells):
        if pattern is not None:
            if isinstance(cell, str) and pattern.fullmatch(cell):
                return index
        elif type(cell) is type(wanted) and cell == wanted:
            return index
    return None


def _vlookup(evaluator: Evaluator, values: list[Value]) -> Value:
    rows = evaluator.rows(values[1])
    return _table_lookup(evaluator, values, rows, "VLOOKUP")


def _hlookup(evaluator: Evaluator, values: list[Value]) -> Value:
    rows = [list(line) for line in zip(*evaluator.rows(values[1]), strict=True)]
    return _table_lookup(evaluator, values, rows, "HLOOKUP")


def _table_lookup(evaluator: Evaluator, values: list[Value], rows: Array, name: str) -> Value:
    wanted = evaluator.single(values[0], 0, 0)
    place = int(evaluator.number(evaluator.single(values[2], 0, 0))) - 1
    nearest = len(values) < 4 or evaluator.truth(evaluator.single(values[3], 0, 0))
    index = _lookup_index([line[0] if line else None for line in rows], wanted, nearest)
    if index is None:
        raise Failure("N_A", f"Did not find value '{evaluator.text(wanted)}' in {name} evaluation.")
    if not 0 <= place < len(rows[index]):
        raise Failure("REF", f"{name} evaluates to an out of bounds range.")
    return rows[index][place]


def _xlookup(evaluator: Evaluator, values: list[Value]) -> Value:
    wanted = evaluator.single(values[0], 0, 0)
    index = _lookup_index(evaluator.flatten(values[1]), wanted, False)
    if index is None:
        if len(values) > 3:
            return values[3]
        raise Failure("N_A", f"Did not find value '{evaluator.text(wanted)}' in XLOOKUP evaluation.")
    found = evaluator.flatten(values[2])
    return found[index] if index < len(found) else None


def _match(evaluator: Evaluator, values: list[Value]) -> Value:
    wanted = evaluator.single(values[0], 0, 0)
    nearest = len(values) < 3 or evaluator.number(evaluator.single(values[2], 0, 0)) != 0
    index = _lookup_index(evaluator.flatten(values[1]), wanted, nearest)
    if index is None:
        raise Failure("N_A", f"Did not find value '{evaluator.text(wanted)}' in MATCH evaluation.")
    return float(index + 1)


def _index(evaluator: Evaluator, values: list[Value]) -> Value:
    place = [int(evaluator.number(evaluator.single(one, 0, 0))) for one in values[1:3]]
    row = place[0] if place else 0
    column = place[1] if len(place) > 1 else 0
    area = values[0]
    if isinstance(area, Area):
        box = area.box
        if len(place) == 1 and box.height == 1 and box.width > 1:
            row, column = 0, row
        if row > box.height or column > box.width or row < 0 or column < 0:
            raise Failure("NUM", "INDEX evaluates to an out of bounds range.")
        return Area(
            area.sheet,
            box._replace(
                top=box.top + row - 1 if row else box.top,
                bottom=box.top + row if row else box.bottom,
                left=box.left + column - 1 if column else box.left,
                right=box.left + column if column else box.right,
            ),
        )
    rows = evaluator.rows(area)
    try:
        if not row and column and len(place) > 1:
            return [[line[column - 1]] for line in rows]
        return rows[max(row, 1) - 1][max(column, 1) - 1]
    except IndexError:
        raise Failure("NUM", "INDEX evaluates to an out of bounds range.") from None


def _address(evaluator: Evaluator, values: list[Value]) -> Value:
    row, column, kind = (int(_number(evaluator, values, at, 1.0)) for at in range(3))
    if row < 1 or column < 1 or not 1 <= kind <= 4:
        raise Failure("VALUE", "Function ADDRESS parameter is out of range.")
    fixed_row, fixed_column = kind in (1, 2), kind in (1, 3)
    return f"{'$' * fixed_column}{column_letters(column - 1)}{'$' * fixed_row}{row}"


def _hstack(evaluator: Evaluator, values: list[Value]) -> Value:
    blocks = [evaluator.rows(one) for one in values]
    missing: Result = ErrorValue("N_A")
    out: Array = []
    for row in range(max(len(block) for block in blocks)):
        out.append([one for block in blocks for one in (block[row] if row < len(block) else [missing] * len(block[0]))])
    return out


def _query(evaluator: Evaluator, values: list[Value]) -> Value:
    return query(
        evaluator.rows(values[0]), _text(evaluator, values, 1), max(0, int(_number(evaluator, values, 2, 1.0)))
    )


def _choose(evaluator: Evaluator, values: list[Value]) -> Value:
    place = int(evaluator.number(evaluator.single(values[0], 0, 0)))
    if not 1 <= place < len(values):
        raise Failure("NUM", "Function CHOOSE parameter 1 is out of range.")
    return values[place]


def _size(height: bool) -> Eager:
    def rule(evaluator: Evaluator, values: list[Value]) -> Value:
        one = values[0]
        if isinstance(one, Area):
            return float(one.box.height if height else one.box.width)
        rows = evaluator.rows(one)
        return float(len(rows) if height else max((len(line) for line in rows), default=0))

    return rule


# --- single values ----------------------------------------------------------------------------------------------------


def _round(mode: str) -> Eager:
    def rule(evaluator: Evaluator, values: list[Value]) -> Value:
        number = _number(evaluator, values, 0)
        places = int(_number(evaluator, values, 1)) if len(values) > 1 else 0
        rounded = Decimal(repr(number)).quantize(Decimal(1).scaleb(-places), rounding=mode)
        return float(rounded)

    return rule


def _number(evaluator: Evaluator, values: Sequence[Value], index: int, default: float | None = None) -> float:
    if index >= len(values) and default is not None:
        return default
    return evaluator.number(evaluator.single(values[index], 0, 0))


def _text(evaluator: Evaluator, values: Sequence[Value], index: int, default: str | None = None) -> str:
    if index >= len(values) and default is not None:
        return default
    return evaluator.text(evaluator.single(values[index], 0, 0))


def _math(rule: Callable[[float], float]) -> Eager:
    return lambda evaluator, values: float(rule(_number(evaluator, values, 0)))


def _mod(evaluator: Evaluator, values: list[Value]) -> Value:
    divisor = _number(evaluator, values, 1)
    if divisor == 0:
        raise Failure("DIVIDE_BY_ZERO", "Function MOD parameter 2 cannot be zero.")
    return _number(evaluator, values, 0) % divisor


def _step(rule: Callable[[float], float]) -> Eager:
    def made(evaluator: Evaluator, values: list[Value]) -> Value:
        factor = _number(evaluator, values, 1, 1.0)
        return 0.0 if factor == 0 else float(rule(_number(evaluator, values, 0) / factor) * factor)

    return made


def _operator(op: str) -> Eager:
    return lambda evaluator, values: evaluator.operate(
        op, evaluator.single(values[0], 0, 0), evaluator.single(values[1], 0, 0)
    )


def _logic(rule: Callable[[list[bool]], bool]) -> Eager:
    def made(evaluator: Evaluator, values: list[Value]) -> Value:
        cells = [cell for value in values for cell in evaluator.flatten(value) if cell is not None]
        return rule([evaluator.truth(cell) for cell in cells])

    return made


def _sqrt(evaluator: Evaluator, values: list[Value]) -> Value:
    number = _number(evaluator, values, 0)
    if number < 0:
        raise Failure("NUM", "Function SQRT parameter 1 value is negative. It should be greater than or equal to zero.")
    return math.sqrt(number)


def _date(evaluator: Evaluator, values: list[Value]) -> Value:
    year, month, day = (int(_number(evaluator, values, index)) for index in range(3))
    year += 1900 if 0 <= year < 1900 else 0
    months = year * 12 + month - 1
    return to_serial(datetime(months // 12, months % 12 + 1, 1)) + day - 1


def _month_shift(last: bool) -> Eager:
    def rule(evaluator: Evaluator, values: list[Value]) -> Value:
        begin = to_datetime(math.floor(_number(evaluator, values, 0)))
        months = begin.year * 12 + begin.month - 1 + int(_number(evaluator, values, 1))
        year, month = months // 12, months % 12 + 1
        most = calendar.monthrange(year, month)[1]
        return to_serial(datetime(year, month, most if last else min(begin.day, most)))

    return rule


def _part(rule: Callable[[datetime], int]) -> Eager:
    return lambda evaluator, values: float(rule(to_datetime(_number(evaluator, values, 0))))


def _weekday(evaluator: Evaluator, values: list[Value]) -> Value:
    day = to_datetime(_number(evaluator, values, 0)).weekday()
    kind = int(_number(evaluator, values, 1, 1.0))
    return float({1: (day + 1) % 7 + 1, 2: day + 1, 3: day}.get(kind, day + 1))


def _now(evaluator: Evaluator) -> datetime:
    zone = str(evaluator.spreadsheet.properties.get("timeZone", "Etc/GMT"))
    try:
        return datetime.now(ZoneInfo(zone)).replace(tzinfo=None)
    except (ZoneInfoNotFoundError, ValueError):
        return datetime.now(UTC).replace(tzinfo=None)


def _today(evaluator: Evaluator, values: list[Value]) -> Value:
    return float(math.floor(to_serial(_now(evaluator))))


def _datevalue(evaluator: Evaluator, values: list[Value]) -> Value:
    cell = evaluator.single(values[0], 0, 0)
    if isinstance(cell, float):
        return float(math.floor(cell))
    text = evaluator.text(cell)
    parsed = parse_date(text.strip(), evaluator.locale)
    if parsed is None:
        raise Failure("VALUE", f"DATEVALUE parameter '{text}' cannot be parsed to date/time.")
    return float(math.floor(parsed[0]))


def _to_text(evaluator: Evaluator, values: list[Value]) -> Value:
    cell = evaluator.single(values[0], 0, 0)
    if isinstance(cell, str):
        return cell
    return display_number(evaluator.number(cell), {"pattern": _text(evaluator, values, 1)}, evaluator.locale)


def _find(fold: bool) -> Eager:
    def rule(evaluator: Evaluator, values: list[Value]) -> Value:
        wanted, text = _text(evaluator, values, 0), _text(evaluator, values, 1)
        if fold:
            wanted, text = wanted.lower(), text.lower()
        index = text.find(wanted, int(_number(evaluator, values, 2, 1.0)) - 1)
        if index < 0:
            raise Failure("VALUE", f"In {'SEARCH' if fold else 'FIND'} evaluation, cannot find '{wanted}'.")
        return float(index + 1)

    return rule


def _mid(evaluator: Evaluator, values: list[Value]) -> Value:
    begin = int(_number(evaluator, values, 1)) - 1
    return _text(evaluator, values, 0)[begin : begin + int(_number(evaluator, values, 2))]


def _right(evaluator: Evaluator, values: list[Value]) -> Value:
    count = int(_number(evaluator, values, 1, 1.0))
    return _text(evaluator, values, 0)[-count:] if count else ""


def _join(evaluator: Evaluator, values: list[Value]) -> Value:
    return _text(evaluator, values, 0).join(
        evaluator.text(cell) for value in values[1:] for cell in evaluator.flatten(value)
    )


def _textjoin(evaluator: Evaluator, values: list[Value]) -> Value:
    skip = evaluator.truth(evaluator.single(values[1], 0, 0))
    cells = [evaluator.text(cell) for value in values[2:] for cell in evaluator.flatten(value)]
    return _text(evaluator, values, 0).join(cell for cell in cells if cell or not skip)


def _regex(rule: Callable[[re.Pattern[str], str, list[str]], Result]) -> Eager:
    def made(evaluator: Evaluator, values: list[Value]) -> Value:
        texts = [_text(evaluator, values, index) for index in range(len(values))]
        try:
            return rule(re.compile(texts[1]), texts[0], texts[2:])
        except re.error:
            raise Failure(
                "REF", f"Function parameter 2 value '{texts[1]}' is not a valid regular expression."
            ) from None

    return made


def _regex_extract(pattern: re.Pattern[str], text: str, rest: list[str]) -> Result:
    match = pattern.search(text)
    if match is None:
        raise Failure("N_A", f"Function REGEXEXTRACT parameter 2 value '{pattern.pattern}' does not match text.")
    return match[1] if pattern.groups else match[0]


def _is(test: Callable[[Result], bool]) -> Eager:
    return lambda evaluator, values: test(evaluator.single(values[0], 0, 0))


def _na(evaluator: Evaluator, values: list[Value]) -> Value:
    raise Failure("N_A", "Error")


def _value(evaluator: Evaluator, values: list[Value]) -> Value:
    return evaluator.number(evaluator.single(values[0], 0, 0), "VALUE")


_EAGER: dict[str, Eager] = {
    "SUM": lambda evaluator, values: math.fsum(_numbers(evaluator, values)),
    "AVERAGE": _average,
    "COUNT": _count,
    "COUNTA": _counta,
    "COUNTBLANK": _countblank,
    "COUNTUNIQUE": _countunique,
    "MEDIAN": _median,
    "MIN": _extreme(min),
    "MAX": _extreme(max),
    "PRODUCT": lambda evaluator, values: math.prod(_numbers(evaluator, values)),
    "SUMIF": _sumif,
    "AVERAGEIF": _averageif,
    "COUNTIF": _countifs,
    "SUMIFS": _ifs_total(lambda evaluator, values: math.fsum(_numbers(evaluator, values))),
    "AVERAGEIFS": _ifs_total(_average),
    "MAXIFS": _ifs_total(_extreme(max)),
    "MINIFS": _ifs_total(_extreme(min)),
    "COUNTIFS": _countifs,
    "VLOOKUP": _vlookup,
    "HLOOKUP": _hlookup,
    "XLOOKUP": _xlookup,
    "MATCH": _match,
    "INDEX": _index,
    "CHOOSE": _choose,
    "ADDRESS": _address,
    "HSTACK": _hstack,
    "QUERY": _query,
    "ROWS": _size(True),
    "COLUMNS": _size(False),
    "AND": _logic(all),
    "OR": _logic(any),
    "XOR": _logic(lambda flags: sum(flags) % 2 == 1),
    "NOT": lambda evaluator, values: not evaluator.truth(evaluator.single(values[0], 0, 0)),
    "TRUE": lambda evaluator, values: True,
    "FALSE": lambda evaluator, values: False,
    "ADD": _operator("+"),
    "MINUS": _operator("-"),
    "MULTIPLY": _operator("*"),
    "DIVIDE": _operator("/"),
    "POW": _operator("^"),
    "POWER": _operator("^"),
    "CONCAT": _operator("&"),
    "EQ": _operator("="),
    "NE": _operator("<>"),
    "ROUND": _round(ROUND_HALF_UP),
    "ROUNDUP": _round(ROUND_UP),
    "ROUNDDOWN": _round(ROUND_DOWN),
    "TRUNC": _round(ROUND_DOWN),
    "INT": _math(math.floor),
    "ABS": _math(abs),
    "SIGN": _math(lambda number: (number > 0) - (number < 0)),
    "EXP": _math(math.exp),
    "LN": _math(math.log),
    "LOG10": _math(math.log10),
    "PI": lambda evaluator, values: math.pi,
    "SQRT": _sqrt,
    "MOD": _mod,
    "CEILING": _step(math.ceil),
    "FLOOR": _step(math.floor),
    "DATE": _date,
    "EDATE": _month_shift(False),
    "EOMONTH": _month_shift(True),
    "YEAR": _part(lambda moment: moment.year),
    "MONTH": _part(lambda moment: moment.month),
    "DAY": _part(lambda moment: moment.day),
    "HOUR": _part(lambda moment: moment.hour),
    "MINUTE": _part(lambda moment: moment.minute),
    "SECOND": _part(lambda moment: moment.second),
    "WEEKDAY": _weekday,
    "WEEKNUM": _part(
        lambda moment: int(moment.strftime("%U")) + (0 if moment.replace(month=1, day=1).weekday() == 6 else 1)
    ),
    "ISOWEEKNUM": _part(lambda moment: moment.isocalendar().week),
    "DAYS": lambda evaluator, values: _number(evaluator, values, 0) - _number(evaluator, values, 1),
    "DATEVALUE": _datevalue,
    "TODAY": _today,
    "NOW": lambda evaluator, values: to_serial(_now(evaluator)),
    "TEXT": _to_text,
    "VALUE": _value,
    "N": lambda evaluator, values: (
        cell if isinstance(cell := evaluator.single(values[0], 0, 0), float) else float(cell is True)
    ),
    "T": lambda evaluator, values: cell if isinstance(cell := evaluator.single(values[0], 0, 0), str) else "",
    "LEN": lambda evaluator, values: float(len(_text(evaluator, values, 0))),
    "LEFT": lambda evaluator, values: _text(evaluator, values, 0)[: int(_number(evaluator, values, 1, 1.0))],
    "RIGHT": _right,
    "MID": _mid,
    "UPPER": lambda evaluator, values: _text(evaluator, values, 0).upper(),
    "LOWER": lambda evaluator, values: _text(evaluator, values, 0).lower(),
    "PROPER": lambda evaluator, values: _text(evaluator, values, 0).title(),
    "TRIM": lambda evaluator, values: " ".join(_text(evaluator, values, 0).split()),
    "REPT": lambda evaluator, values: _text(evaluator, values, 0) * int(_number(evaluator, values, 1)),
    "EXACT": lambda evaluator, values: _text(evaluator, values, 0) == _text(evaluator, values, 1),
    "CHAR": lambda evaluator, values: chr(int(_number(evaluator, values, 0))),
    "SUBSTITUTE": lambda evaluator, values: _text(evaluator, values, 0).replace(
        _text(evaluator, values, 1), _text(evaluator, values, 2)
    ),
    "FIND": _find(False),
    "SEARCH": _find(True),
    "CONCATENATE": lambda evaluator, values: "".join(
        evaluator.text(cell) for value in values for cell in evaluator.flatten(value)
    ),
    "JOIN": _join,
    "TEXTJOIN": _textjoin,
    "REGEXMATCH": _regex(lambda pattern, text, rest: pattern.search(text) is not None),
    "REGEXREPLACE": _regex(lambda pattern, text, rest: pattern.sub(re.sub(r"\$(\d)", r"\\\1", rest[0]), text)),
    "REGEXEXTRACT": _regex(_regex_extract),
    "HYPERLINK": lambda evaluator, values: values[1] if len(values) > 1 else values[0],
    "ISBLANK": _is(lambda cell: cell is None),
    "ISNUMBER": _is(lambda cell: type(cell) is float),
    "ISTEXT": _is(lambda cell: isinstance(cell, str)),
    "ISLOGICAL": _is(lambda cell: isinstance(cell, bool)),
    "NA": _na,
}

_RANGES = frozenset(
    [
        "SUM",
        "AVERAGE",
        "COUNT",
        "COUNTA",
        "COUNTBLANK",
        "COUNTUNIQUE",
        "MEDIAN",
        "MIN",
        "MAX",
        "PRODUCT",
        "SUMIF",
        "AVERAGEIF",
        "COUNTIF",
        "SUMIFS",
        "AVERAGEIFS",
        "MAXIFS",
        "MINIFS",
        "COUNTIFS",
        "VLOOKUP",
        "HLOOKUP",
        "XLOOKUP",
        "MATCH",
        "INDEX",
        "CHOOSE",
        "HSTACK",
        "QUERY",
        "ROWS",
        "COLUMNS",
        "AND",
        "OR",
        "XOR",
        "CONCATENATE",
        "JOIN",
        "TEXTJOIN",
    ]
)
_SCALAR = frozenset(_EAGER) - _RANGES
_TAKES_ERRORS = frozenset(("ISBLANK", "ISNUMBER", "ISTEXT", "ISLOGICAL"))

_BLANK = frozenset(
    [
        "SORT",
        "SORTN",
        "UNIQUE",
        "SEQUENCE",
        "TRANSPOSE",
        "FLATTEN",
        "SPLIT",
        "SPARKLINE",
        "IMAGE",
        "IMPORTRANGE",
        "IMPORTDATA",
        "IMPORTXML",
        "IMPORTHTML",
        "IMPORTFEED",
        "GOOGLEFINANCE",
        "GOOGLETRANSLATE",
        "LAMBDA",
        "MAP",
        "REDUCE",
        "BYROW",
        "BYCOL",
        "SCAN",
        "MAKEARRAY",
        "LET",
        "GETPIVOTDATA",
    ]
)
"""Functions Sheets has and this emulator does not work out: their cells are blank, not wrong."""
