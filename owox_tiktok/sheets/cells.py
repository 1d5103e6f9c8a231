"""A cell's value: how the API takes it, and how each kind of column is kept in one.

Days and times are serial numbers. A text is always sent as a text, so that it never becomes a formula, a date or a
number. Knows no tab and no request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import msgspec

from owox_tiktok.model import Kind
from owox_tiktok.rows import without_controls

Json = dict[str, Any]
Cell = str | int | float | bool | None
"""A cell's value: text, number, tick, or nothing. Days and times are serial numbers."""
EPOCH = date(1899, 12, 30)
"""Day 0 of a Sheet's serial numbers."""
MOST_CHARACTERS = 50_000
CUT = " … (cut)"
"""Ends a text that was longer than a cell takes."""
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character that UTF-16 writes as two: no text that can be sent, as a name cut by its bytes may end."""
_LARGEST_COUNT = 2**63 - 1
ENCODER = msgspec.json.Encoder()


def cell(value: Cell) -> Json:
    """Return a cell as the API takes it: typed, so that no text ever becomes a formula, a date or a number."""
    if value is None:
        return {}
    kind = "stringValue" if isinstance(value, str) else "boolValue" if isinstance(value, bool) else "numberValue"
    return {"userEnteredValue": {kind: value}}


def size_of(value: object) -> int:
    """Return how many bytes ``value`` takes in a request."""
    return len(ENCODER.encode(value))


def bytes_of(value: Cell) -> int:
    """How much a cell takes in a request."""
    return 3 if value is None else 38 + (size_of(value) if isinstance(value, str) else len(repr(value)))


def same(new: Cell, old: Cell) -> bool:
    """Whether two cells hold the same; a tick is not the number 1."""
    return isinstance(new, bool) == isinstance(old, bool) and new == old


def serial(moment: datetime) -> float:
    """Return a moment as a serial number: days since EPOCH. It has no zone; the wall clock's time is taken."""
    return (moment.replace(tzinfo=None) - datetime(EPOCH.year, EPOCH.month, EPOCH.day)).total_seconds() / 86400


def moment(number: float, zone: tzinfo) -> datetime:
    """Return the moment, to the second, that a serial number is in a zone."""
    day = datetime(EPOCH.year, EPOCH.month, EPOCH.day, tzinfo=zone)
    return day + timedelta(seconds=round(number * 86400))


def seconds_of(day: date) -> int:
    """Return where a day begins, in seconds since EPOCH: as keys have it."""
    return (day - EPOCH).days * 86400


def text_cell(text: str) -> Cell:
    """Return a text as a cell takes it: an empty one is a blank, one that is too long is cut."""
    # An empty text and no text look the same in a Sheet, and the API gives both back as nothing.
    if len(text) * 2 > MOST_CHARACTERS:  # an emoji counts as two
        wide = text.encode("utf-16-le", "surrogatepass")
        if len(wide) > MOST_CHARACTERS * 2:
            return wide[: (MOST_CHARACTERS - len(CUT)) * 2].decode("utf-16-le", "ignore") + CUT
    return text or None


def settled(text: str) -> str:
    """Return a text as Google keeps it, so that what is written is what is read: no control characters, no half emoji.

    For texts of any origin, such as messages; values of TikTok's come so already (see ``rows``).
    """
    return _HALF.sub("\ufffd", without_controls(text))


def _decimal_cell(text: str) -> Cell:
    number = float(Decimal(text))
    if not math.isfinite(number):
        raise ValueError(f"{text[:30]} is not a number")
    return number


def _count_cell(text: str) -> Cell:
    number = int(text)
    if abs(number) > _LARGEST_COUNT:
        raise ValueError(f"{text[:30]} is too large")
    return number


def _boolean_cell(text: str) -> Cell:
    return text == "true"


def _day_cell(text: str) -> Cell:
    return (date.fromisoformat(text) - EPOCH).days


def _time_cell(text: str) -> Cell:
    # Hours are the advertiser's own, instants are UTC, and the heading's note says so.
    return serial(datetime.fromisoformat(text))


CELLS: Mapping[Kind, Callable[[str], Cell]] = {
    Kind.ID: text_cell,
    Kind.TEXT: text_cell,
    Kind.JSON: text_cell,
    Kind.MONEY: _decimal_cell,
    Kind.RATE: _decimal_cell,
    Kind.COUNT: _count_cell,
    Kind.BOOLEAN: _boolean_cell,
    Kind.DAY: _day_cell,
    Kind.HOUR: _time_cell,
    Kind.INSTANT: _time_cell,
}
