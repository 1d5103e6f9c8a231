"""Seals in a Sheet: of what its cells hold, kept in the hidden tab with one row per object, account and month.

A cell keeps less than TikTok sent: numbers have 15 digits, long texts are cut, and an empty text is a blank. So the
seals of a Sheet are made from cells, when they are stored as well as when they are recounted. A cell of another type
than its column (an id that became a number, an amount typed as text) gets a text that no value has.

The days of a month stand in one cell, since a row for each would be too many:

    ad_id advertiser_id clicks …                  the columns of the days below
    30 120 9f3a41c2d0e8b756 1772366400 12.5 - …   day, rows, fingerprint, when it was read, and the sums (- for none)
    31 …

Day 0 is the one seal of an object without days. A row's first cell is the object with its month, so that rows of the
hidden tab are known by their first two cells, cursors and seals alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from owox_tiktok.model import Field, Kind, Seal, Sealed, Stream
from owox_tiktok.rows import Text, plain_amount
from owox_tiktok.sheets.cells import EPOCH, MOST_CHARACTERS, Cell, moment
from owox_tiktok.trust.seals import CONTROLS, Tally, hexadecimal

DAMAGED = Seal(rows=-1)
"""The seal of a day that is known not to be what was stored: nothing equals it."""
Pair = tuple[str, str]
Days = Mapping[date | None, Sealed | None]
"""Seals to be kept by day; None where the day has none any more."""


# --- made from cells --------------------------------------------------------------------------------------------------


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


# --- kept by month ----------------------------------------------------------------------------------------------------


def key_of(stream: Stream, advertiser_id: str, day: date | None) -> Pair:
    """Return the first two cells of the row that holds the seal of a day."""
    return f"{stream.name} {'all' if day is None else format(day, '%Y-%m')}", advertiser_id


def is_key_of(stream: Stream, advertiser_id: str, key: Pair) -> bool:
    """Whether a row holds seals of the pair."""
    return key[1] == advertiser_id and key[0].startswith(f"{stream.name} ")


def changed(stream: Stream, kept: Mapping[Pair, str], changes: Mapping[str, Days]) -> dict[Pair, str]:
    """Return the months that change, as texts, once seals of days (by advertiser) are set or gone; "" is none."""
    months: dict[Pair, dict[date | None, Sealed]] = {}
    for advertiser_id, days in changes.items():
        for day, sealed in days.items():
            key = key_of(stream, advertiser_id, day)
            if key not in months:
                months[key] = days_in(key, kept.get(key, ""))
            if sealed is None:
                months[key].pop(day, None)
            else:
                months[key][day] = sealed
    texts = {key: _packed(days) for key, days in months.items()}
    return {key: text for key, text in texts.items() if text or key in kept}


def _packed(days: Mapping[date | None, Sealed]) -> str:
    """Return a month's seals as the text of one cell; where that would be too long, of its last days only."""
    lines: list[str] = []
    fields: tuple[str, ...] | None = None
    size = 0
    # From the last day up, so that the first ones are missing where there is no room for all: no seal says nothing.
    for day, one in sorted(days.items(), key=lambda item: item[0] or date.min, reverse=True):
        heading = [] if one.fields == fields else [" ".join(one.fields)]
        line = _line(day, one)
        size += len(line) + 1 + sum(len(h) + 1 for h in heading)
        if size > MOST_CHARACTERS:
            break
        lines += [*heading, line]
        fields = one.fields
    return "\n".join(lines)


def _line(day: date | None, one: Sealed) -> str:
    seal = one.seal
    sums = [getattr(seal, name) for name in CONTROLS]
    parts = [day.day if day else 0, seal.rows, hexadecimal(seal.fingerprint), int(one.read_at.timestamp())]
    return " ".join(
        map(str, [*parts, *("-" if s is None else format(s, "f" if isinstance(s, Decimal) else "d") for s in sums)])
    )


def days_in(key: Pair, text: str) -> dict[date | None, Sealed]:
    """Return the seals of a month; none of a text that a person has changed so that it says nothing any more."""
    found: dict[date | None, Sealed] = {}
    month = key[0].rpartition(" ")[2]
    fields: tuple[str, ...] = ()
    try:
        for line in text.splitlines():
            if not line[:1].isdigit():
                fields = tuple(line.split())
                continue
            day, rows, fingerprint, read_at, spend, *counts = line.split()
            seal = Seal(
                int(rows),
                int(fingerprint, 16),
                None if spend == "-" else Decimal(spend),
                **{name: None if c == "-" else int(c) for name, c in zip(CONTROLS[1:], counts, strict=True)},
            )
            when = None if month == "all" else date.fromisoformat(f"{month}-{int(day):02}")
            found[when] = Sealed(seal, fields, datetime.fromtimestamp(int(read_at), UTC))
    except (ValueError, ArithmeticError, TypeError, OverflowError):
        return {}
    return found
