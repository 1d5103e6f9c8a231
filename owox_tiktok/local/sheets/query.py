"""``QUERY``: columns, sums, largest values and conditions, which is what a small dashboard asks.

Understood are ``select``, ``where`` with comparisons joined by ``and``, ``group by``, ``order by`` and ``limit``.
Columns are ``Col1`` …, values are numbers, texts in quotes and ``date '2026-01-31'``. Of anything else the result is
None: the cell stays blank rather than wrong.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from datetime import date
from functools import cmp_to_key
from typing import NamedTuple

from owox_tiktok.local.sheets.formulas import Array, compare
from owox_tiktok.local.sheets.values import Result

_ITEM = r"(?:col\d+|(?:sum|max)\(\s*col\d+\s*\))"
_QUERY = re.compile(
    rf"\s*select\s+(?P<select>{_ITEM}(?:\s*,\s*{_ITEM})*)"
    r"(?:\s+where\s+(?P<where>.+?))?"
    r"(?:\s+group\s+by\s+(?P<group>col\d+(?:\s*,\s*col\d+)*))?"
    rf"(?:\s+order\s+by\s+(?P<order>{_ITEM})(?:\s+(?P<way>asc|desc))?)?"
    r"(?:\s+limit\s+(?P<limit>\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(
    r"\s*col(?P<column>\d+)\s*(?P<op><=|>=|<>|!=|=|<|>)\s*"
    r"(?:date\s+'(?P<date>\d{4}-\d\d-\d\d)'|'(?P<text>[^']*)'|(?P<number>-?\d+(?:\.\d+)?))\s*",
    re.IGNORECASE,
)
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq, "<>": operator.ne, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_DAY_0 = date(1899, 12, 30)


class _Item(NamedTuple):
    column: int
    total: str
    """Of a group: "sum", "max", or nothing for the column itself."""


def query(rows: Array, text: str, headings: int) -> Array | None:
    """Rows of the answer under their headings; None where the question is not understood."""
    match = _QUERY.fullmatch(text)
    if match is None:
        return None
    chosen = [_item(one) for one in match["select"].split(",")]
    conditions = _conditions(match["where"] or "")
    order = _item(match["order"]) if match["order"] else None
    groups = [_item(one).column for one in (match["group"] or "").split(",") if one]
    width = max((len(line) for line in rows), default=0)
    used = [*chosen, *([order] if order else [])]
    if conditions is None or any(item.column >= width for item in used):
        return None
    grouped = bool(groups) or any(item.total for item in used)
    if grouped and any(not item.total and item.column not in groups for item in used):
        return None
    names = [" ".join(str(line[c]) for line in rows[:headings] if line[c] is not None) for c in range(width)]
    found = [line for line in rows[headings:] if all(meets(line) for meets in conditions)]
    sets: list[Array] = [[line] for line in found]
    if grouped:
        by_key: dict[tuple[Result, ...], Array] = {}
        for line in found:
            by_key.setdefault(tuple(line[c] for c in groups), []).append(line)
        sets = [by_key[key] for key in sorted(by_key, key=lambda key: [str(one) for one in key])]
    if order:
        rank = cmp_to_key(compare)
        sets.sort(key=lambda lines: rank(_of(order, lines)), reverse=(match["way"] or "").lower() == "desc")
    if match["limit"]:
        sets = sets[: int(match["limit"])]
    out: Array = [[_of(item, lines) for item in chosen] for lines in sets]
    if headings or grouped:
        out.insert(0, [f"{item.total} {names[item.column]}".strip() for item in chosen])
    return out


def _item(text: str) -> _Item:
    function, _, _ = text.strip().lower().rpartition("(")
    return _Item(int(re.sub(r"\D", "", text)) - 1, function)


def _of(item: _Item, lines: Array) -> Result:
    if item.total == "sum":
        return math.fsum(one for line in lines if type(one := line[item.column]) is float)
    if item.total == "max":
        there = [one for line in lines if (one := line[item.column]) is not None]
        return max(there, key=cmp_to_key(compare), default=None)
    return lines[0][item.column]


def _conditions(text: str) -> list[Callable[[list[Result]], bool]] | None:
    found: list[Callable[[list[Result]], bool]] = []
    for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE) if text else ():
        match = _CONDITION.fullmatch(part)
        if match is None:
            return None
        wanted: float | str = match["text"] or ""
        if match["date"]:
            wanted = float((date.fromisoformat(match["date"]) - _DAY_0).days)
        elif match["number"]:
            wanted = float(match["number"])
        found.append(_condition(int(match["column"]) - 1, _COMPARE[match["op"]], wanted))
    return found


def _condition(column: int, holds: Callable[[int, int], bool], wanted: float | str) -> Callable[[list[Result]], bool]:
    def meets(line: list[Result]) -> bool:
        cell = line[column]
        return type(cell) is type(wanted) and holds(compare(cell, wanted), 0)

    return meets
