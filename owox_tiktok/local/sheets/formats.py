"""Numbers, dates and texts as a cell displays them: number-format patterns and locales."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any

EPOCH = datetime(1899, 12, 30)

MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905


@dataclass(frozen=True)
class Locale:
    """What a spreadsheet's locale decides here: marks in numbers, order in dates, the currency."""

    decimal: str = "."
    group: str = ","
    date: str = "m/d/yyyy"
    currency: str = '"$"#,##0.00'


_LOCALES = {
    "en_US": Locale(),
    "en_GB": Locale(date="dd/mm/yyyy", currency='"£"#,##0.00'),
    "de_DE": Locale(",", ".", "dd.mm.yyyy", '#,##0.00 "€"'),
    "fr_FR": Locale(",", "\u202f", "dd/mm/yyyy", '#,##0.00 "€"'),
    "es_ES": Locale(",", ".", "dd/mm/yyyy", '#,##0.00 "€"'),
    "it_IT": Locale(",", ".", "dd/mm/yyyy", '#,##0.00 "€"'),
    "pl_PL": Locale(",", "\u00a0", "d.mm.yyyy", '#,##0.00 "zł"'),
    "pt_BR": Locale(",", ".", "dd/mm/yyyy", '"R$ "#,##0.00'),
    "uk_UA": Locale(",", "\u00a0", "dd.mm.yyyy", '#,##0.00"₴"'),
    "ru_RU": Locale(",", "\u00a0", "dd.mm.yyyy", '#,##0.00 "₽"'),
    "nl_NL": Locale(",", ".", "d-m-yyyy", '"€ "#,##0.00'),
    "ja_JP": Locale(date="yyyy/mm/dd", currency='"¥"#,##0'),
}


def locale_of(name: str) -> Locale:
    """The rules of a locale by its name; those of the United States for one not known here."""
    return _LOCALES.get(name) or _LOCALES["en_US"]


def default_pattern(kind: str, locale: Locale) -> str:
    """The pattern of a number format that names only its type."""
    return {
        "NUMBER": "#,##0.00",
        "PERCENT": "0.00%",
        "CURRENCY": locale.currency,
        "DATE": locale.date,
        "TIME": "h:mm:ss am/pm",
        "DATE_TIME": f"{locale.date} h:mm:ss",
        "SCIENTIFIC": "0.00E+00",
        "TEXT": "@",
    }.get(kind, "")


def general(number: float, locale: Locale) -> str:
    """A number without any format: at most ten digits after a mark, powers only at the far ends."""
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    size = abs(number)
    if size >= 1e15 or size < 1e-9:
        digits, _, power = f"{number:.5E}".partition("E")
        text = f"{digits.rstrip('0').rstrip('.')}E{power[0]}{power[1:].lstrip('0').rjust(2, '0')}"
    else:
        text = format(Decimal(f"{number:.10g}"), "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    return text.replace(".", locale.decimal)


def to_datetime(serial: float) -> datetime:
    """Wall time of a serial, rounded to the millisecond so that no .9999 shows."""
    return EPOCH + timedelta(milliseconds=round(serial * 86_400_000))


def to_serial(moment: datetime) -> float:
    """Days since 1899-12-30."""
    return (moment - EPOCH) / timedelta(days=1)


# One token of a pattern: a kind and its text.
Token = tuple[str, str]
_DATE_WORD = re.compile(r"am/pm|a/p|\[h+\]|\[m+\]|\[s+\]|y+|m+|M+|d+|h+|s+|\.0+", re.IGNORECASE)
_COLOURS = re.compile(r"^\[(black|blue|cyan|green|magenta|red|white|yellow|color\s*\d+)\]", re.IGNORECASE)
_CONDITION = re.compile(r"^\[(<=|>=|<>|<|>|=)(-?[0-9.]+)\]")


def _tokens(pattern: str) -> list[Token]:
    found: list[Token] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        rest = pattern[index:]
        if char == '"':
            end = pattern.find('"', index + 1)
            end = len(pattern) if end < 0 else end
            found.append(("text", pattern[index + 1 : end]))
            index = end + 1
        elif char == "\\":
            found.append(("text", pattern[index + 1 : index + 2]))
            index += 2
        elif char in "_*":
            # Room for a character, or a filler: neither can be seen in a plain string.
            found.append(("text", " " if char == "_" else ""))
            index += 2
        elif colour := _COLOURS.match(rest):
            index += colour.end()
        elif condition := _CONDITION.match(rest):
            found.append(("if", condition[0]))
            index += condition.end()
        elif rest.startswith("[$"):
            end = pattern.find("]", index)
            found.append(("text", pattern[index + 2 : end].split("-", maxsplit=1)[0]))
            index = end + 1
        elif rest.lower().startswith("general"):
            found.append(("general", ""))
            index += 7
        elif rest[:2] in ("E+", "E-", "e+", "e-"):
            zeros = re.match(r"[0#?]*", rest[2:])
            digits = zeros[0] if zeros else ""
            found.append(("power", rest[:2] + digits))
            index += 2 + len(digits)
        elif word := _DATE_WORD.match(rest):
            if word[0].startswith(".") and not any(kind == "date" for kind, _ in found):
                found.append(("digit", "."))
                index += 1
            else:
                found.append(("date", word[0]))
                index += word.end()
        elif char in "0#?.,%@/":
            found.append(({"%": "percent", "@": "at"}.get(char, "digit"), char))
            index += 1
        elif char == ";":
            found.append(("next", ""))
            index += 1
        else:
            found.append(("text", char))
            index += 1
    return found


@lru_cache(maxsize=512)
def _sections(pattern: str) -> tuple[tuple[Token, ...], ...]:
    parts: list[list[Token]] = [[]]
    for token in _tokens(pattern):
        if token[0] == "next":
            parts.append([])
        else:
            parts[-1].append(token)
    return tuple(tuple(part) for part in parts)


def _meets(condition: str, number: float) -> bool:
    match = _CONDITION.match(condition)
    assert match is not None
    limit = float(match[2])
    return {
        "<": number < limit,
        ">": number > limit,
        "=": number == limit,
        "<=": number <= limit,
        ">=": number >= limit,
        "<>": number != limit,
    }[match[1]]


def _choose(parts: tuple[tuple[Token, ...], ...], number: float) -> tuple[tuple[Token, ...], float]:
    for part in parts:
        if part and part[0][0] == "if" and _meets(part[0][1], number):
            return part[1:], number
    plain = [part for part in parts if not (part and part[0][0] == "if")] or list(parts)
    if number < 0 and len(plain) > 1:
        return plain[1], -number
    if number == 0 and len(plain) > 2:
        return plain[2], number
    return plain[0], number


def render(number: float, pattern: str, locale: Locale) -> str:
    """A number in a pattern such as ``#,##0.00``, ``0%``, ``yyyy-mm-dd`` or ``[$€]0;(0)``."""
    part, number = _choose(_sections(pattern), number)
    kinds = {kind for kind, _ in part}
    if "date" in kinds:
        return _render_date(number, part)
    if "general" in kinds or (not kinds & {"digit", "percent", "power"} and "at" in kinds):
        return "".join(general(number, locale) if kind in ("general", "at") else text for kind, text in part)
    return _render_number(number, part, locale)


def _render_number(number: float, part: tuple[Token, ...], locale: Locale) -> str:
    digits = "".join(text for kind, text in part if kind == "digit")
    if not digits:
        sign = "-" if number < 0 else ""
        return sign + "".join(text if kind != "percent" else "%" for kind, text in part)
    whole, _, behind = digits.partition(".")
    scale = len(whole) - len(whole.rstrip(","))
    value = Decimal(repr(float(number)))
    value *= 100 ** sum(kind == "percent" for kind, _ in part)
    value /= Decimal(1000) ** scale
    places = sum(char in "0#?" for char in behind)
    needed = behind.rstrip("#").count("0") + behind.rstrip("#").count("?")
    power = next((text for kind, text in part if kind == "power"), None)
    exponent = 0
    if power is not None and value:
        exponent = value.adjusted()
        value = value.scaleb(-exponent)
    value = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    text = format(abs(value), "f")
    front, _, after = text.partition(".")
    while len(after) > needed and after.endswith("0"):
        after = after[:-1]
    least = sum(char in "0?" for char in whole)
    front = front.lstrip("0").rjust(least, "0")
    if "," in whole.rstrip(","):
        front = f"{int(front):,}".rjust(len(front), "0").replace(",", locale.group) if front else front
    body = front + (locale.decimal + after if after else "")
    if power is not None:
        sign = "-" if exponent < 0 else ("+" if power[1] == "+" else "")
        body += f"E{sign}{str(abs(exponent)).rjust(len(power) - 2, '0')}"
    out = ["-" if value < 0 else ""]
    placed = False
    for kind, piece in part:
        if kind == "digit":
            if not placed:
                out.append(body)
                placed = True
        elif kind == "percent":
            out.append("%")
        elif kind in ("text", "at"):
            out.append(piece if kind == "text" else "")
    return "".join(out)


def _render_date(number: float, part: tuple[Token, ...]) -> str:
    moment = to_datetime(number)
    words = [text.lower() if kind == "date" else "" for kind, text in part]
    half_day = any(word in ("am/pm", "a/p") for word in words)
    out: list[str] = []
    for index, (kind, text) in enumerate(part):
        if kind != "date":
            out.append(text if kind in ("text", "digit") else "")
            continue
        word = words[index]
        before = next((one for one in reversed(words[:index]) if one), "")
        after = next((one for one in words[index + 1 :] if one), "")
        # m is a minute after an hour or before a second; M is always a month.
        minute = word[0] == "m" and not text.startswith("M") and (before[:1] == "h" or before[:2] == "[h")
        minute = minute or (word[0] == "m" and not text.startswith("M") and after[:1] == "s")
        out.append(_date_word(word, moment, number, minute, half_day))
    return "".join(out)


def _date_word(word: str, moment: datetime, number: float, minute: bool, half_day: bool) -> str:
    size = len(word)
    head = word[0]
    if head == "[":
        total = round(number * 86400)
        unit = {"h": 3600, "m": 60, "s": 1}[word[1]]
        return str(total // unit).rjust(size - 2, "0")
    if word in ("am/pm", "a/p"):
        half = "AM" if moment.hour < 12 else "PM"
        return half if word == "am/pm" else half[0]
    if head == ".":
        return "." + f"{moment.microsecond:06d}"[: size - 1]
    if head == "y":
        return f"{moment.year:04d}" if size > 2 else f"{moment.year % 100:02d}"
    if head == "d":
        name = DAYS[moment.weekday()]
        return {1: str(moment.day), 2: f"{moment.day:02d}", 3: name[:3]}.get(size, name)
    if head == "h":
        hour = (moment.hour % 12 or 12) if half_day else moment.hour
        return str(hour).rjust(2, "0") if size > 1 else str(hour)
    if head == "s":
        return str(moment.second).rjust(min(size, 2), "0")
    if minute:
        return str(moment.minute).rjust(min(size, 2), "0")
    name = MONTHS[moment.month - 1]
    return {1: str(moment.month), 2: f"{moment.month:02d}", 3: name[:3], 5: name[0]}.get(size, name)


def display_number(number: float, number_format: dict[str, Any] | None, locale: Locale) -> str:
    """A number under a ``numberFormat`` object, which may be absent."""
    if not number_format:
        return general(number, locale)
    kind = number_format.get("type", "")
    pattern = number_format.get("pattern") or default_pattern(kind, locale)
    if not pattern:
        return general(number, locale)
    try:
        return render(number, pattern, locale)
    except (OverflowError, ArithmeticError):
        # A date far outside the calendar: the plain number is what is left to show.
        return general(number, locale)


def display_text(text: str, number_format: dict[str, Any] | None) -> str:
    """A text under a format; only a pattern with a text section changes it."""
    pattern = (number_format or {}).get("pattern", "")
    if "@" not in pattern or pattern == "@":
        return text
    for part in reversed(_sections(pattern)):
        if any(kind == "at" for kind, _ in part):
            return "".join(text if kind == "at" else (one if kind == "text" else "") for kind, one in part)
    return text
