"""TikTok's own total of a report against the sum of the rows it sent: whether what was read is all of it.

With page 1 of a report TikTok says, when asked, what all its pages add up to. That costs no request, and it notices
what counting rows does not: a page that was torn, a row that came for another one, a number that was read wrongly.

What is compared, and how closely

    impressions, clicks    must be equal
    spend                  TikTok rounds each row once: half of the currency's smallest unit per row, and one more
    anything else          never: rates and people reached do not add up, conversions are still attributed meanwhile

A metric that was not asked for, or of which TikTok gives no total ("-"), says nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from owox_tiktok.rows import AS_ZERO, NOTHING

COUNTED = ("impressions", "clicks")
MONEY = "spend"
COMPARED = frozenset({MONEY, *COUNTED})
WITHOUT_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"]
)  # fmt: skip
"""Currencies (ISO 4217) whose smallest unit is the unit itself."""


class NoTotals(Exception):
    """TikTok gives no total of a question; why, in words."""


def half_a_unit(currency: str) -> Decimal:
    """Return half of a currency's smallest unit: by so much a rounded amount may be off."""
    return Decimal("0.5") if currency in WITHOUT_DECIMALS else Decimal("0.005")


@dataclass(frozen=True, slots=True)
class Total:
    """What TikTok says a question's rows add up to: ``sums`` by name, put together from ``totals`` of its totals.

    ``requests`` are TikTok's names for the requests that brought them.
    """

    sums: Mapping[str, Decimal]
    totals: int = 1
    requests: tuple[str, ...] = ()

    def __add__(self, other: Total) -> Total:
        """Return the total of both questions, of what both have."""
        sums = {name: amount + other.sums[name] for name, amount in self.sums.items() if name in other.sums}
        return Total(sums, self.totals + other.totals, (*self.requests, *other.requests))


def total_of(said: Mapping[str, Any], names: Sequence[str], request: str = "") -> Total:
    """Return TikTok's total of these names, as far as it says one."""
    found = {name: number for name in names if (number := _number(said.get(name))) is not None}
    return Total(found, requests=(request,) if request else ())


class Totals:
    """Adds up the pages of one report, and says where TikTok's own total is another."""

    def __init__(self, names: Sequence[str], currency: str) -> None:
        self._sums: dict[str, Decimal] = {n: Decimal() for n in (MONEY, *COUNTED) if n in names}
        self._rows = 0
        self._said: dict[str, Decimal] | None = None
        self._half_unit = half_a_unit(currency)

    def add(self, values: Mapping[str, Sequence[Any]], rows: int, said: Mapping[str, Any] | None) -> None:
        """Take a page: its values by name, and what TikTok says of all pages, if this one says it."""
        self._rows += rows
        for name in self._sums:
            self._sums[name] += _sum(values.get(name, ()))
        if said is not None:
            found = {name: _number(said.get(name)) for name in self._sums}
            self._said = {name: total for name, total in found.items() if total is not None}

    @property
    def known(self) -> bool:
        """Whether TikTok gave a total of anything that can be compared."""
        return bool(self._said)

    def differing(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return the sum of the rows and TikTok's own total by name, where the two are not the same."""
        allowed = (self._rows + 1) * self._half_unit
        return {
            name: (self._sums[name], total)
            for name, total in (self._said or {}).items()
            if abs(self._sums[name] - total) > (allowed if name == MONEY else 0)
        }


def _sum(values: Sequence[Any]) -> Decimal:
    try:
        joined = "\n".join(values) + "\n"
        if joined.encode().translate(AS_ZERO).count(b".00\n") == len(values):  # amounts, all with two decimals
            return Decimal(sum(map(int, joined.replace(".", "").split()))).scaleb(-2)
        return Decimal(sum(map(int, values)))
    except (TypeError, ValueError):  # something is missing, or written otherwise
        return sum((n for n in map(_number, values) if n is not None), Decimal())


def _number(value: Any) -> Decimal | None:
    if value is None or value in NOTHING:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
