"""What a cell holds: kinds of content, text as a person types it, the API's ``ExtendedValue``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from owox_tiktok.local.sheets.errors import invalid, violation
from owox_tiktok.local.sheets.formats import Locale, to_serial

MAX_CHARACTERS = 50_000
"""Longest content of one cell."""

TOO_LONG = f"Your input contains more than the maximum of {MAX_CHARACTERS} characters in a single cell."

_SYMBOLS = {
    "DIVIDE_BY_ZERO": "#DIV/0!",
    "VALUE": "#VALUE!",
    "REF": "#REF!",
    "NAME": "#NAME?",
    "NUM": "#NUM!",
    "N_A": "#N/A",
    "ERROR": "#ERROR!",
    "LOADING": "Loading...",
    "NULL_VALUE": "#NULL!",
}
SYMBOL_KINDS = {symbol: kind for kind, symbol in _SYMBOLS.items()}


@dataclass(frozen=True)
class ErrorValue:
    """The result of a formula that failed."""

    kind: str
    message: str = ""

    @property
    def symbol(self) -> str:
        """What the cell shows, such as ``#DIV/0!``."""
        return _SYMBOLS[self.kind]


class Formula:
    """The text of a formula with its equals sign; never changed once made."""

    __slots__ = ("text", "tree")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree: Any = None  # taken apart when first worked out


Content = bool | float | str | Formula | None
Result = bool | float | str | ErrorValue | None


def plain_number(number: float) -> float | int:
    """A number as it goes into JSON: no ``.0`` behind a whole one."""
    if number == number and abs(number) < 2**53 and number == int(number):
        return int(number)
    return number


VALUE_KINDS = frozenset(("numberValue", "stringValue", "boolValue", "formulaValue", "errorValue"))
"""Fields of an ``ExtendedValue``."""


def _wrong_kind(name: str, kind: str, value: Any) -> Exception:
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    at = f"user_entered_value.{name}_value"
    return violation(at, f"Invalid value at '{at}' (TYPE_{kind}), {shown}")


def _number_of(value: Any) -> float:
    # JSON of protocol buffers lets numbers come as text.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong_kind("number", "DOUBLE", value)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise _wrong_kind("number", "DOUBLE", value) from None
    if not math.isfinite(number):
        raise _wrong_kind("number", "DOUBLE", value)
    return number


def _text_of(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong_kind(name, "STRING", value)
    if len(value) > MAX_CHARACTERS:
        raise invalid(TOO_LONG)
    return value


def from_extended(value: dict[str, Any], canonical: Any) -> Content:
    """Content of an ``ExtendedValue``; ``canonical`` rewrites formula text. Nothing in it empties the cell."""
    if value.get("stringValue") is not None:
        return _text_of(value["stringValue"], "string") or None
    if value.get("numberValue") is not None:
        return _number_of(value["numberValue"])
    if value.get("boolValue") is not None:
        if not isinstance(value["boolValue"], bool):
            raise _wrong_kind("bool", "BOOL", value["boolValue"])
        return value["boolValue"]
    if value.get("formulaValue") is not None:
        text = _text_of(value["formulaValue"], "formula")
        if not text.startswith("="):
            raise invalid(f"Invalid formula: {text}. Formulas must start with '='.")
        made: Content = canonical(text)
        return made
    return None


def to_extended(content: Content | ErrorValue) -> dict[str, Any] | None:
    """The ``ExtendedValue`` of content or of a result; None for nothing."""
    if content is None:
        return None
    if isinstance(content, bool):
        return {"boolValue": content}
    if isinstance(content, float):
        return {"numberValue": plain_number(content)}
    if isinstance(content, str):
        return {"stringValue": content}
    if isinstance(content, Formula):
        return {"formulaValue": content.text}
    error: dict[str, Any] = {"type": content.kind}
    if content.message:
        error["message"] = content.message
    return {"errorValue": error}


_PLAIN = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)$")
_GROUPED = re.compile(r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$")
_POWER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+$")
_ISO = re.compile(r"^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})$")
_SHORT = re.compile(r"^(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})$")
_WORDY = re.compile(r"^([A-Za-z]{3,9})\.?( )(\d{1,2})(,?)( )(\d{4})$")
_WORDY_DAY = re.compile(r"^(\d{1,2})([ -])([A-Za-z]{3,9})([ -])(\d{4})$")
_TIME = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,3})?)?(?: ?([AaPp][Mm]))?$")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905
_FULL = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)


def parse_number(text: str, locale: Locale) -> tuple[float, dict[str, str] | None] | None:
    """A number as typed, with the format that way of typing gives the cell."""
    if locale.decimal != ".":
        text = text.replace(locale.group, "\0").replace(locale.decimal, ".").replace("\0", ",")
    if _PLAIN.match(text):
        return float(text), None
    if _GROUPED.match(text):
        return float(text.replace(",", "")), _format("NUMBER", "#,##0" + (".00" if "." in text else ""))
    if _POWER.match(text):
        return float(text), _format("SCIENTIFIC", "0.00E+00")
    if text.endswith("%"):
        inner = parse_number(text[:-1].rstrip(), Locale())
        if inner is not None and (inner[1] is None or inner[1]["type"] == "NUMBER"):
            return inner[0] / 100, _format("PERCENT", "0.00%" if "." in text else "0%")
        return None
    bare = text.lstrip("+-")
    for sign in "$€£¥₴":
        if bare.startswith(sign) or bare.endswith(sign):
            inner = parse_number(text.replace(sign, "", 1).strip(), Locale())
            if inner is None or (inner[1] or {}).get("type") not in (None, "NUMBER"):
                return None
            digits = "#,##0.00" if "." in text else "#,##0"
            pattern = f'"{sign}"{digits}' if bare.startswith(sign) else f'{digits} "{sign}"'
            return inner[0], _format("CURRENCY", pattern)
    if text.startswith("(") and text.endswith(")"):
        inner = parse_number(text[1:-1], Locale())
        if inner is not None and inner[0] > 0:
            return -inner[0], inner[1]
    return None


def _format(kind: str, pattern: str) -> dict[str, str]:
    return {"type": kind, "pattern": pattern}


def _day(year: int, month: int, day: int) -> float | None:
    try:
        return to_serial(datetime(year, month, day))
    except ValueError:
        return None


def _parse_day(text: str, locale: Locale) -> tuple[float, str] | None:
    serial: float | None = None
    pattern = ""
    if match := _ISO.match(text):
        serial = _day(int(match[1]), int(match[3]), int(match[4]))
        mark = match[2]
        pattern = f"yyyy{mark}{'m' * len(match[3])}{mark}{'d' * len(match[4])}"
    elif match := _SHORT.match(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if len(match[4]) == 2:
            year += 2000 if year < 30 else 1900
        month_first = locale.date.startswith("m")
        serial = _day(year, first, second) if month_first else _day(year, second, first)
        names = "md" if month_first else "dm"
        years = "y" * len(match[4])
        pattern = match[2].join((names[0] * len(match[1]), names[1] * len(match[3]), years))
    elif match := _WORDY.match(text):
        month = _month(match[1])
        if month:
            serial = _day(int(match[6]), month, int(match[3]))
            pattern = f"{'mmm' if len(match[1]) == 3 else 'mmmm'} d{match[4]} yyyy"
    elif match := _WORDY_DAY.match(text):
        month = _month(match[3])
        if month and match[2] == match[4]:
            serial = _day(int(match[5]), month, int(match[1]))
            pattern = match[2].join(("d", "mmm" if len(match[3]) == 3 else "mmmm", "yyyy"))
    return None if serial is None else (serial, pattern)


def _month(name: str) -> int:
    low = name.lower()
    if low in _FULL:
        return _FULL.index(low) + 1
    return _MONTHS.index(low) + 1 if low in _MONTHS else 0


def _parse_time(text: str) -> tuple[float, str] | None:
    match = _TIME.match(text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if minute > 59 or second > 59:
        return None
    if match[5]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[5].lower() == "pm" else 0)
    total = hour * 3600 + minute * 60 + second + float(match[4] or 0)
    pattern = ("hh" if len(match[1]) == 2 else "h") + ":mm" + (":ss" if match[3] else "")
    if match[4]:
        pattern += ".000"
    return total / 86400, pattern + (" am/pm" if match[5] else "")


def parse_date(text: str, locale: Locale) -> tuple[float, dict[str, str]] | None:
    """A date, a time of day or both as typed, with the format that way of typing gives the cell."""
    day = _parse_day(text, locale)
    if day is not None:
        return day[0], _format("DATE", day[1])
    time = _parse_time(text)
    if time is not None:
        return time[0], _format("TIME", time[1])
    for cut in range(len(text) - 1, 0, -1):
        if text[cut] != " ":
            continue
        day, time = _parse_day(text[:cut], locale), _parse_time(text[cut + 1 :])
        if day is not None and time is not None and time[0] < 1:
            return day[0] + time[0], _format("DATE_TIME", f"{day[1]} {time[1]}")
    return None


def enter(text: str, locale: Locale, canonical: Any) -> tuple[Content, dict[str, str] | None]:
    """Content of a text as if typed into a cell, and the number format it brings along, if any."""
    if len(text) > MAX_CHARACTERS:
        raise invalid(TOO_LONG)
    if not text:
        return None, None
    if text[0] == "'":
        return text[1:] or None, None
    if text[0] == "=" and len(text) > 1:
        made: Content = canonical(text)
        return made, None
    bare = text.strip()
    upper = bare.upper()
    if upper in ("TRUE", "FALSE"):
        return upper == "TRUE", None
    if not bare or not any(char.isdigit() for char in bare):
        return text, None
    number = parse_number(bare, locale) or parse_date(bare, locale)
    if number is not None:
        return number
    return text, None
