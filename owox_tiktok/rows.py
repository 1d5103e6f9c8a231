"""TikTok's items become typed columns. Pure: no clock, no file, no network.

Rows travel as columns of *canonical text*, one text per value and None for "no value":

    id, text    as TikTok wrote it             day       2026-01-31
    money, rate 12.50 (exact, never a float)   hour      2026-01-31 13:00:00     (wall clock of the account)
    count       5830                           instant   2026-01-31 12:00:00+00  (UTC)
    boolean     true / false                   json      compact JSON text

An amount has at least two decimals and no other zero at the end, so that each has one text (0.1234, 3.00).

So each destination lets its own engine cast a whole column at once, and ``typed`` gives the Python value where one is
wanted. A column is checked as a whole, at C speed; only a column with something unusual is looked at value by value.

Texts keep their tabs and line breaks (of any system, written as a line feed). Every other control character becomes
U+FFFD, so that no name steers the terminal, the CSV file or the page that it is shown in one day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from owox_tiktok.errors import Problem
from owox_tiktok.model import Field, Kind

Text = str | None
Column = list[Text]

NOTHING = ("-", "")
"""What TikTok writes where a value is missing. (A literal "0" is a zero.)"""


class UnexpectedValue(Problem):
    """TikTok sent something that does not fit the field's kind; storing it would be guessing."""

    def __init__(self, field: Field, value: object) -> None:
        super().__init__(
            f"TikTok sent {_shown(value)} for {field.name}, which should be a {field.kind}",
            what_to_do="Remove the field from `fields` and report it as a bug.",
        )


def _shown(value: object) -> str:
    try:
        return repr(str(value)[:60])
    except (ValueError, RecursionError):  # a number of thousands of digits, or bottomless nesting
        return "something endless"


def hashed(texts: Column) -> Column:
    """Return the SHA-256 of each text without the spaces around it and in small letters, as 64 hexadecimal digits.

    Equal texts stay equal, so that they can be counted and joined. An empty text has no hash.
    """
    return [sha256(t.strip().lower().encode()).hexdigest() if t and t.strip() else None for t in texts]


DECIMALS = 9
"""Digits kept behind the point, as the warehouses' decimal types do. TikTok's own amounts have two to four."""
DIGITS = 29
"""Digits there may be before the point; the warehouses' decimal types hold no more."""
LARGEST_COUNT = 2**63 - 1

_CONTROLS = bytes({*range(0x20), 0x7F} - {*b"\t\n"})
_CONTROL = re.compile(r"\r\n?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """Return the text with only those control characters that a cell may hold: tab and line feed.

    A carriage return is written as a line feed; any other (C0, DEL, C1: an escape sequence begins with one) becomes
    U+FFFD rather than nothing, so that two texts do not become one unnoticed and the rest of the sequence is seen.
    """
    return _CONTROL.sub(lambda found: "\n" if found[0][0] == "\r" else "\ufffd", text)


def _has_controls(text: str) -> bool:
    """Whether ``without_controls`` would change the text: at C speed, by its UTF-8 bytes."""
    data = text.encode()
    # No byte of a longer character is below 0x80, and all of C1 (U+0080 to U+009F) begin with C2.
    if len(data.translate(None, _CONTROLS)) != len(data):
        return True
    return b"\xc2" in data and _CONTROL.search(text) is not None


_LAST_DECIMAL = Decimal(1).scaleb(-DECIMALS)
_WIDE = Context(prec=400)


def _plain(number: Decimal) -> str:
    """Return the decimal without an exponent."""
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS:
        number = _WIDE.quantize(number, _LAST_DECIMAL)
    return f"{number:f}"


def _amount(field: Field, value: object) -> Text:
    text = _decimal(field, value)
    return None if text is None else plain_amount(text)


@lru_cache(maxsize=4096)
def plain_amount(text: str) -> str:
    """Return the canonical text of an amount that is written without an exponent."""
    whole, _, part = text.partition(".")
    text = f"{whole}.{part.rstrip('0'):0<2}"
    return text if text.strip("-0.") else "0.00"


def _decimal(field: Field, value: object) -> Text:
    if value is None or value in NOTHING:
        return None
    if isinstance(value, bool):
        raise UnexpectedValue(field, value)
    try:
        # str() of a float is its shortest exact spelling, which is what TikTok's JSON said.
        number = Decimal(str(value).strip().replace(",", ""))
    except (InvalidOperation, ValueError):
        raise UnexpectedValue(field, value) from None
    if not number.is_finite() or number.adjusted() >= DIGITS:
        raise UnexpectedValue(field, value)
    return _plain(number)


def _count(field: Field, value: object) -> Text:
    if isinstance(value, str) and value.startswith("<"):
        return None  # search-term reports hide small counts as "<5"; no number is better than an invented one
    text = _decimal(field, value)
    if text is None:
        return None
    number = Decimal(text)
    if number != number.to_integral_value() or abs(number) > LARGEST_COUNT:
        raise UnexpectedValue(field, value)
    return str(int(number))


def _text(field: Field, value: object) -> Text:
    if value is None:
        return None
    if isinstance(value, str):
        return without_controls(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return _decimal(field, value)
    return _json(field, value)


def _id(field: Field, value: object) -> Text:
    text = _text(field, value)
    return None if text in NOTHING else text


def _boolean(field: Field, value: object) -> Text:
    if value is None or value in NOTHING:
        return None
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return "true"
    if text in ("false", "0", "no", "off"):
        return "false"
    raise UnexpectedValue(field, value)


def _json(field: Field, value: object) -> Text:
    if value is None or value == "-":
        return None
    try:
        text = _ENCODER.encode(value).decode()
    except (ValueError, OverflowError):  # a number of thousands of digits
        raise UnexpectedValue(field, value) from None
    return _JSON_CONTROL.sub(_replaced, text)


# A pair of characters that begins with a backslash is read as one, so that the text "\\u0000" stays what it is.
_JSON_CONTROL = re.compile(r"(\\(?:[^u]|u(?!00[01])....))|\\u00[01].|[\x7f-\x9f]")


def _replaced(found: re.Match[str]) -> str:
    kept = found[1]
    if kept is None or kept in ("\\b", "\\f"):
        return "\ufffd"
    return "\\n" if kept == "\\r" else kept


_ENCODER = msgspec.json.Encoder(decimal_format="number")


# TikTok writes a day as a midnight, "2026-01-31 00:00:00". The same few come again and again.
@lru_cache(maxsize=4096)
def _day_of(text: str) -> str | None:
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _hour_of(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=None).isoformat(" ", "seconds") if len(text) > len("2026-01-31") else None


def _day(field: Field, value: object) -> Text:
    if value is None or value in NOTHING:
        return None
    return _day_of(str(value)) or _raise(field, value)


def _hour(field: Field, value: object) -> Text:
    if value is None or value in NOTHING:
        return None
    return _hour_of(str(value)) or _raise(field, value)


def _raise(field: Field, value: object) -> Text:
    raise UnexpectedValue(field, value)


def _instant(field: Field, value: object) -> Text:
    """Accept epoch seconds, ``YYYY-MM-DD HH:MM:SS`` (UTC, as TikTok means it) and ISO 8601 with a zone."""
    if value is None or value in NOTHING or value == 0:
        return None
    try:
        if isinstance(value, int | float | Decimal) or (isinstance(value, str) and value.isdigit()):
            moment = datetime.fromtimestamp(int(_decimal(field, value) or 0), UTC)
        else:
            moment = datetime.fromisoformat(str(value))
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise UnexpectedValue(field, value) from None
    return moment.replace(microsecond=0, tzinfo=None).isoformat(" ") + "+00"


_CANONICAL: Mapping[Kind, Callable[[Field, object], Text]] = {
    Kind.ID: _id,
    Kind.TEXT: _text,
    Kind.MONEY: _amount,
    Kind.RATE: _amount,
    Kind.COUNT: _count,
    Kind.BOOLEAN: _boolean,
    Kind.DAY: _day,
    Kind.HOUR: _hour,
    Kind.INSTANT: _instant,
    Kind.JSON: _json,
}


def column(field: Field, values: Sequence[object], *, metric: bool = False) -> Column:
    """Return the canonical texts of one field's ``values``; raises UnexpectedValue.

    A ``metric`` writes "-" where it has no value, also where it is text (a name in an entity may well be "-").
    """
    try:
        joined = "\n".join(values)  # type: ignore[arg-type]
        if not (metric and "-" in joined and "-" in values):
            return _of_texts(field, joined, values)  # type: ignore[arg-type]
    except TypeError:
        pass  # there are nulls, numbers or lists among them
    if metric and "-" in values:
        values = [None if v == "-" else v for v in values]
    if None in values:
        # Often only some are missing, and the others are texts.
        there = [v for v in values if v is not None]
        try:
            texts = iter(_of_texts(field, "\n".join(there), there) if there else ())  # type: ignore[arg-type]
            return [None if v is None else next(texts) for v in values]
        except TypeError:
            pass
    convert = _CANONICAL[field.kind]
    return [None if v is None else convert(field, v) for v in values]


def _of_texts(field: Field, joined: str, values: Sequence[str]) -> Column:
    """Return the canonical texts of values that are all texts, also given ``joined`` by line breaks."""
    if field.kind in (Kind.MONEY, Kind.RATE):
        of_two = _of_two_decimals(joined, values)
        if of_two is not None:
            if of_two == len(values):
                return list(values)
            return [t if t[-1] != "0" or t[-3] == "." else plain_amount(t) for t in values]
    elif _canonical_already(field.kind, joined, values):
        return list(values)
    # Days, among others, repeat from row to row: each is converted once.
    convert = _CANONICAL[field.kind]
    once = {text: convert(field, text) for text in set(values)}
    return list(map(once.__getitem__, values))


def _canonical_already(kind: Kind, joined: str, values: Sequence[str]) -> bool:
    """Whether the values, also given ``joined`` by line breaks, are all canonical: judged together, at C speed."""
    if kind is Kind.TEXT:
        return not _has_controls(joined)
    if kind is Kind.ID:
        lines = f"\n{joined}\n"
        return not ("\n\n" in lines or "\n-\n" in lines or _has_controls(joined))
    return kind is Kind.COUNT and _plain_counts(joined, values)


def _plain_counts(joined: str, values: Sequence[str]) -> bool:
    """Whether all values are digits without a zero too many in front, and few enough."""
    lines = f"\n{joined}\n".encode()
    shape = lines.translate(AS_ZERO)
    return (
        shape.translate(None, b"0") == b"\n" * (len(values) + 1)
        and b"\n\n" not in shape
        and _TOO_LONG not in shape
        and not _LEADING_ZERO(lines)
    )


def _of_two_decimals(joined: str, values: Sequence[str]) -> int | None:
    """Return how many values have two decimals, if all others have more (but not too many); else None.

    All of them are digits without a zero too many in front, a point and digits, and nothing else.
    """
    lines = f"\n{joined}\n".encode()
    shape = lines.translate(AS_ZERO)
    if shape.translate(None, b"0") != b"\n" + b".\n" * len(values) or _TOO_LONG in shape:
        return None
    if lines.count(b"\n0") != lines.count(b"\n0."):
        return None
    of_two = shape.count(b"0.00\n")
    if of_two < len(values) and (shape.count(b"0.00") < len(values) or _TOO_MANY in shape):
        return None
    return of_two


AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
"""Makes every digit a zero, so that the shape of many numbers can be judged at once."""
_LEADING_ZERO = re.compile(rb"\n0[0-9]").search
_TOO_MANY = b"." + b"0" * (DECIMALS + 1)
_TOO_LONG = b"0" * 17
"""A number without so many digits in a row is surely small enough."""


QUOTED = frozenset({Kind.ID, Kind.TEXT, Kind.JSON})
"""Kinds whose texts stand in quotes in a line, unless they are digits throughout."""


def lines_of(columns: Sequence[Field], data: Sequence[Column]) -> list[str]:
    """Return a line of each row: its canonical texts, separated by commas. Null is nothing, the empty text is "".

    A text that is not all digits stands in quotes, as in a CSV file, and may hold line breaks.
    """
    written = [_quoted(texts) if f.kind in QUOTED else _bare(texts) for f, texts in zip(columns, data, strict=True)]
    return list(map(",".join, zip(*written, strict=True)))


def _bare(texts: Column) -> Sequence[str]:
    return ["" if t is None else t for t in texts] if None in texts else texts  # type: ignore[return-value]


def _quoted(texts: Column) -> Sequence[str]:
    # Names and ids repeat from row to row: each is looked at once.
    different = set(texts)
    if None not in different and "" not in different:
        joined = "".join(different)  # type: ignore[arg-type]
        if joined.isascii() and joined.isdigit():
            return texts  # type: ignore[return-value]
    once = {t: _in_quotes(t) for t in different}
    return list(map(once.__getitem__, texts))


def _in_quotes(text: Text) -> str:
    if text is None:
        return ""
    return text if text.isascii() and text.isdigit() else '"' + text.replace('"', '""') + '"'


def typed(field: Field, text: Text) -> Any:
    """Return the Python value of a canonical text: str, Decimal, int, bool, date, datetime, or JSON's own."""
    if text is None:
        return None
    match field.kind:
        case Kind.MONEY | Kind.RATE:
            return Decimal(text)
        case Kind.COUNT:
            return int(text)
        case Kind.BOOLEAN:
            return text == "true"
        case Kind.DAY:
            return date.fromisoformat(text)
        case Kind.HOUR | Kind.INSTANT:
            return datetime.fromisoformat(text)
        case Kind.JSON:
            return msgspec.json.decode(text)
        case _:
            return text
