"""Seals in a Sheet: of what its cells hold. How they are kept: ``months``.

A cell keeps less than TikTok sent: numbers have 15 digits, long texts are cut, and an empty text is a blank. So the
seals of a Sheet are made from cells, when they are stored as well as when they are recounted. A cell of another type
than its column (an id that became a number, an amount typed as text) gets a text that no value has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, timedelta
from decimal import Decimal

from owox_tiktok.model import Field, Kind, Seal
from owox_tiktok.rows import Text, plain_amount
from owox_tiktok.sheets.cells import EPOCH, Cell, moment
from owox_tiktok.trust.seals import Tally

DAMAGED = Seal(rows=-1)
"""The seal of a day that is known not to be what was stored: nothing equals it."""


def seals_of(columns: Sequence[Field], rows: Iterable[Sequence[Cell]], time: str | None) -> dict[date | None, Seal]:
    """Return the seals of rows of cells; ``columns`` are in the order of a line (``trust.seals.in_order``)."""
    tally = CellTally(columns, time)
    for row in rows:
        tally.add(row)
    return tally.seals()


class CellTally:
    """Makes the seals of rows of cells that come one by one; ``columns`` are in the order of a line."""

    def __init__(self, columns: Sequence[Field], time: str | None) -> None:
        self._columns, self._tally = columns, Tally(columns, time)
        self._page: list[Sequence[Cell]] = []

    def add(self, row: Sequence[Cell]) -> None:
        """Take a row."""
        self._page.append(row)
        if len(self._page) == 1_000:
            self._turn()

    def seals(self) -> dict[date | None, Seal]:
        """Return the seals of the rows so far."""
        self._turn()
        return self._tally.seals()

    def _turn(self) -> None:
        if not self._page:
            return
        columns = zip(self._columns, zip(*self._page, strict=True), strict=True)
        found = [[_text(f.kind, v) for v in values] for f, values in columns]
        texts = [[text for text, _ in column] for column in found]
        # What does not fit its column is part of the fingerprint, and cannot be added up.
        fitting = [[text if fits else None for text, fits in column] for column in found]
        self._tally.add(fitting, self._tally.lines(texts))
        self._page = []


def _text(kind: Kind, value: Cell) -> tuple[Text, bool]:
    """Return a cell's canonical text, and whether it is of its column's kind."""
    if value is None or value == "":
        return None, True
    if isinstance(value, bool):
        return ("true" if value else "false", True) if kind is Kind.BOOLEAN else (f"#{value}", False)
    if isinstance(value, str):
        return (value, True) if kind in (Kind.ID, Kind.TEXT, Kind.JSON) else (f"#{value!r}", False)
    with suppress(ValueError, OverflowError):
        number = f"{Decimal(format(value, '.15g')):f}"
        match kind:
            case Kind.MONEY | Kind.RATE:
                return plain_amount(number), True
            case Kind.COUNT if "." not in number:
                return number, True
            case Kind.DAY if "." not in number:
                return (EPOCH + timedelta(days=int(number))).isoformat(), True
            case Kind.HOUR:
                return f"{moment(value, UTC):%Y-%m-%d %H:%M:%S}", True
            case Kind.INSTANT:
                return f"{moment(value, UTC):%Y-%m-%d %H:%M:%S}+00", True
    return f"#{value!r}", False
