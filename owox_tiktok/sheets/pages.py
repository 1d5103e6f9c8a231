"""What a tab of the template consists of: cells, looks, colours by rule, charts. Frozen values, and no Sheet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SheetKind = Literal["sheets", "bigquery"]


@dataclass(frozen=True, slots=True)
class Style:
    """How cells look. Colours are ``#rrggbb``; ``form`` is a number format, ``form_type`` what the API calls it."""

    fill: str = ""
    colour: str = ""
    bold: bool = False
    size: int = 10
    wrap: bool = False
    align: Literal["", "left", "center", "right"] = ""
    form: str = ""
    form_type: Literal["", "TEXT", "NUMBER", "PERCENT", "DATE", "DATE_TIME"] = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One cell: a value, or a formula, and how it looks and what it takes.

    ``takes`` is empty where anything may be typed; "tick" is a tick box, "range" a list that stands in cells of the
    same tab, which ``choices`` names. ``fills`` is how many rows and columns the formula's result takes at most.
    """

    value: str | int | float | bool | None = None
    style: str = "text"
    formula: str = ""
    takes: Literal["", "tick", "day", "number", "choice", "range"] = ""
    choices: tuple[str | int, ...] = ()
    link: str = ""
    fills: tuple[int, int] = (1, 1)


Line = tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A colour that depends on what a cell says: rows ``top`` to ``bottom`` (not included) of the column ``column``.

    ``when`` is how ``text`` is looked for; "formula" is true of the cell or not, written for the first of them.
    """

    column: int
    top: int
    bottom: int
    when: Literal["starts", "contains", "formula"]
    text: str
    fill: str = ""
    colour: str = ""
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One line or row of columns of a chart, from the column ``column`` of its table."""

    name: str
    column: int
    kind: Literal["column", "line", "bar"]
    colour: str
    right: bool = False
    form: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over a small range: headings in row ``top``, labels in the column ``labels``, down to ``bottom``."""

    title: str
    top: int
    bottom: int
    labels: int
    series: tuple[Series, ...]
    row: int
    column: int
    width: int
    height: int = 280


@dataclass(frozen=True, slots=True)
class Page:
    """A tab of the template. Rows and columns are counted from 0.

    ``tag`` is its name in the tab's tag; ``witness`` are texts that stand in it, by which a tab of that title without
    a tag is known to be ours. ``groups`` are rows to fold away, the ends not included; ``hidden`` are the first of the
    columns that are hidden, and the one behind the last.
    """

    title: str
    tag: str
    widths: tuple[int, ...]
    lines: tuple[Line, ...]
    witness: tuple[str, ...]
    colour: str
    frozen: int = 0
    rows: int = 0
    gridlines: bool = True
    heights: Mapping[int, int] = field(default_factory=dict)
    column_styles: Mapping[int, str] = field(default_factory=dict)
    groups: tuple[tuple[int, int], ...] = ()
    rules: tuple[Rule, ...] = ()
    charts: tuple[Chart, ...] = ()
    hidden: tuple[int, int] = (0, 0)


INK, GREY, PALE, LINE, BLUE = "#202124", "#5f6368", "#f1f3f4", "#e8eaed", "#174ea6"
BLUE_FILL, GREEN_FILL, AMBER_FILL, RED_FILL = "#d2e3fc", "#ceead6", "#feefc3", "#fad2cf"
GREEN, AMBER, RED = "#0d652d", "#7a4f01", "#a50e0e"

STYLES: Mapping[str, Style] = {
    "text": Style(colour=INK),
    "title": Style(colour=INK, bold=True, size=18),
    "subtitle": Style(colour=GREY),
    "paragraph": Style(colour=INK, wrap=True),
    "number": Style(colour="#ffffff", fill="#1a73e8", bold=True, size=12, align="center"),
    "step": Style(colour=INK, bold=True, size=11, wrap=True),
    "heading": Style(fill="#3c4043", colour="#ffffff", bold=True),
    "label": Style(colour=INK, bold=True),
    "value": Style(colour=INK, fill="#fffdf5", wrap=True, align="left", form="@", form_type="TEXT"),
    "value day": Style(colour=INK, fill="#fffdf5", align="left", form="yyyy-mm-dd", form_type="DATE"),
    "value number": Style(colour=INK, fill="#fffdf5", align="left", form="0", form_type="NUMBER"),
    "value switch": Style(colour=INK, fill="#fffdf5", align="left"),
    "output label": Style(fill=PALE, colour=INK, bold=True),
    "output": Style(fill=PALE, colour=INK, wrap=True, align="left"),
    "output moment": Style(fill=PALE, colour=INK, align="left", form="yyyy-mm-dd hh:mm", form_type="DATE_TIME"),
    "output date": Style(fill=PALE, colour=INK, align="left", form="yyyy-mm-dd", form_type="DATE"),
    "output help": Style(fill=PALE, colour=GREY, wrap=True),
    "help": Style(colour=GREY, wrap=True),
    "object": Style(fill="#e8f0fe", colour=BLUE, bold=True),
    "object tick": Style(fill="#e8f0fe", colour=BLUE, bold=True, align="center"),
    "object text": Style(fill="#e8f0fe", colour=INK),
    "tick": Style(colour=INK, align="center"),
    "faint": Style(colour="#9aa0a6"),
    "faint id": Style(colour=GREY, align="right"),
    "key": Style(colour=INK, bold=True),
    "note": Style(colour=GREY),
    "moment": Style(colour=GREY, align="left", form="yyyy-mm-dd hh:mm:ss", form_type="DATE_TIME"),
    "message": Style(colour=INK, wrap=True),
    "plain": Style(colour=INK, form="@", form_type="TEXT"),
    "tile label": Style(fill=PALE, colour=GREY, align="right"),
    "tile text": Style(fill=PALE, colour=INK, bold=True, size=13, align="right"),
    "tile money": Style(fill=PALE, colour=INK, bold=True, size=13, align="right", form="#,##0.00", form_type="NUMBER"),
    "tile count": Style(fill=PALE, colour=INK, bold=True, size=13, align="right", form="#,##0", form_type="NUMBER"),
    "tile rate": Style(fill=PALE, colour=INK, bold=True, size=13, align="right", form="0.00%", form_type="PERCENT"),
    "tile change": Style(fill=PALE, colour=GREY, align="right", form="+0.0%;-0.0%;0.0%", form_type="PERCENT"),
    "tile ratio": Style(fill=PALE, colour=INK, bold=True, size=13, align="right", form="0.00", form_type="NUMBER"),
    "picture": Style(align="center"),
    "tab": Style(colour="#9aa0a6"),
    "control": Style(fill="#fffdf5", colour=INK, bold=True, align="left"),
    "control day": Style(colour=INK, fill="#fffdf5", bold=True, align="left", form="yyyy-mm-dd", form_type="DATE"),
    "section": Style(colour=INK, bold=True, size=12),
    "column": Style(fill=LINE, colour=INK, bold=True, align="right"),
    "column left": Style(fill=LINE, colour=INK, bold=True, align="left"),
    "day": Style(colour=INK, align="left", form="yyyy-mm-dd", form_type="DATE"),
    "money": Style(colour=INK, align="right", form="#,##0.00", form_type="NUMBER"),
    "count": Style(colour=INK, align="right", form="#,##0", form_type="NUMBER"),
    "rate": Style(colour=INK, align="right", form="0.00%", form_type="PERCENT"),
    "ratio": Style(colour=INK, align="right", form="0.00", form_type="NUMBER"),
    "said": Style(colour=INK, bold=True, size=11),
    "strip heading": Style(fill="#3c4043", colour="#ffffff", size=7, wrap=True, align="center"),
    "strip": Style(colour=GREY, align="center"),
}
"""Calm colours: what a person fills in is on pale yellow, what an import writes on grey."""


def colour(text: str) -> dict[str, dict[str, float]]:
    """Return a colour (``#rrggbb``) as the API takes it."""
    red, green, blue = (int(text[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return {"rgbColor": {"red": red, "green": green, "blue": blue}}
