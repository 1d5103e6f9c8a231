"""A stream's tab: where its columns are, which key a row has, and how the tab, its headings and formats are made.

Columns are found by their tags and rows by their keys, never by where they were before.

A heading is the field's title, "Cost per conversion", and its note tells what it is: the first line is the field's name
and nothing else (``cost_per_conversion``), the second its description with the unit. Tabs of earlier versions have the
name as the heading, and keep it: a person's formulas may look for it. So a column of ours is one whose heading is the
title or the name of a field; no two fields of an object share one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from owox_tiktok.model import Field, Kind, Stream
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import Cell, Json, cell, serial
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.tabs import (
    COLUMN,
    COLUMNS,
    HEADER,
    HEADINGS_WITHIN,
    LONG_COLUMN,
    TAB,
    Snapshot,
    Structure,
    Tab,
    Tag,
    letters,
    new_tab,
    normal,
    tagged_tab,
)
from owox_tiktok.titles import title
from owox_tiktok.trust.totals import WITHOUT_DECIMALS

KEYS = (TAB, *COLUMNS, HEADER)
Key = tuple[str | int | float | None, ...]
_THREE_DECIMALS = re.compile("BHD|IQD|JOD|KWD|LYD|OMR|TND")
_FORMATS: Mapping[Kind, tuple[str, str]] = {
    # Text stays text also when a person opens the cell and presses Enter.
    Kind.ID: ("TEXT", "@"),
    Kind.TEXT: ("TEXT", "@"),
    Kind.JSON: ("TEXT", "@"),
    Kind.RATE: ("NUMBER", "#,##0.00##"),
    Kind.COUNT: ("NUMBER", "#,##0"),
    Kind.DAY: ("DATE", "yyyy-mm-dd"),
    Kind.HOUR: ("DATE_TIME", "yyyy-mm-dd hh:mm"),
    Kind.INSTANT: ("DATE_TIME", "yyyy-mm-dd hh:mm:ss"),
}
_WIDTHS: Mapping[Kind, int] = {Kind.ID: 155, Kind.TEXT: 160, Kind.JSON: 160, Kind.HOUR: 125, Kind.INSTANT: 145}
"""Pixels that show a value whole, or enough of a text; other kinds need less than their headings do."""
_LEAST_WIDTH = 80
_PIXELS_PER_LETTER = 8


class Strip(NamedTuple):
    """Adjacent columns of ours: from ``left`` on, these names."""

    left: int
    names: tuple[str, ...]

    @property
    def right(self) -> int:
        """The column after the last."""
        return self.left + len(self.names)


@dataclass(frozen=True, slots=True)
class Table:
    """A stream's tab as it is at one moment: where our columns are, in the order of the tab."""

    tab: Tab
    tag: Tag
    columns: Mapping[str, int]
    header: int | None
    old_tags: bool = False
    """Whether its columns have tags of an earlier version."""
    locked: frozenset[str] = frozenset()
    """Columns that somebody protects from us: they stay as they are."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of our columns, in the order of the tab."""
        return tuple(self.columns)

    @property
    def free(self) -> list[str]:
        """Names of our columns that nobody protects from us."""
        return [name for name in self.columns if name not in self.locked]

    def strips(self, names: Iterable[str] | None = None) -> list[Strip]:
        """Return the columns (all, or ``names``) as strips of adjacent ones."""
        wanted = self.columns if names is None else {n: self.columns[n] for n in self.columns if n in set(names)}
        strips: list[Strip] = []
        for name, at in wanted.items():
            if strips and strips[-1].right == at:
                strips[-1] = Strip(strips[-1].left, (*strips[-1].names, name))
            else:
                strips.append(Strip(at, (name,)))
        return strips

    def pieces(self, strips: Iterable[Strip], most: int) -> Iterator[tuple[int, int]]:
        """Yield all rows in spans whose cells in ``strips`` are ``most`` at most."""
        step = max(1, most // max(1, sum(len(s.names) for s in strips)))
        for top in range(0, self.tab.rows, step):
            yield top, min(top + step, self.tab.rows)

    def blocks(self, spans: Iterable[tuple[int, int]], strips: Iterable[Strip]) -> list[Block]:
        """Return the cells of these rows and columns, row span by row span."""
        return [Block(self.tab.id, top, bottom, r.left, r.right) for top, bottom in spans for r in strips]


def table_of(structure: Structure, name: str) -> Table | None:
    """Return the stream's tab as it is now, None when it has none."""
    found = tagged_tab(structure, name)
    if found is None:
        return None
    tab, tag = found
    columns: dict[str, int] = {}
    header = None
    for one in structure.tags:
        if one.tab == tab.id and one.key in COLUMNS and one.dimension == "COLUMNS":
            columns.setdefault(one.value, one.index)
        elif one.tab == tab.id and one.key == HEADER and one.dimension == "ROWS":
            header = one.index
    old = any(t.key == LONG_COLUMN and t.tab == tab.id for t in structure.tags)
    ranges = [one for one in structure.locked if one.tab == tab.id]
    locked = frozenset(name for name, at in columns.items() if any(r.left <= at < r.right for r in ranges))
    return Table(tab, tag, dict(sorted(columns.items(), key=lambda c: c[1])), header, old, locked)


def row_keys(stream: Stream, strips: Sequence[Strip], blocks: Sequence[list[list[Cell]]]) -> list[Key | None]:
    """Return each row's key from the values of ``strips``, which hold at least the key columns."""
    place = {n: (b, i) for b, strip in enumerate(strips) for i, n in enumerate(strip.names)}
    where = [place[k] for k in stream.keys]
    count = len(blocks[0]) if blocks else 0
    once: dict[Cell, Cell] = {}  # ids repeat from row to row: each is kept once
    keys = []
    for row in range(count):
        values = [blocks[b][row][i] for b, i in where]
        keys.append(row_key(stream, [once.setdefault(v, v) if isinstance(v, str) else v for v in values]))
    return keys


def row_key(stream: Stream, values: Sequence[Cell]) -> Key | None:
    """Return the key these cells are, None when they are none of ours: a person's total, a heading, a blank.

    What another tool or a hand has done to a key is undone where it can be: a day typed as text, an id that became a
    number. An id that lost digits that way stays a number, and a missing part is None; see ``is_broken``.
    """
    parts: list[str | int | float | None] = []
    for name, value in zip(stream.keys, values, strict=True):
        if isinstance(value, bool):
            return None
        if name == stream.time:
            at = _seconds(value)
            if at is None and value is not None:
                return None
            parts.append(at)
        elif isinstance(value, int | float):
            if stream.fields[name].kind is not Kind.ID or value < 1 or value != int(value):
                return None
            parts.append(str(int(value)) if value < _EXACT else float(value))
        else:
            parts.append(value)
    key = tuple(parts)
    if stream.time and key[stream.keys.index(stream.time)] is None:
        return key if is_broken(stream, key) else None
    return None if all(p is None for p in key) else key


_EXACT = 2**53


@lru_cache(maxsize=10_000)  # so many rows are of the same day, and its number is kept once
def _seconds(value: Cell) -> int | None:
    """Return a day or hour in seconds, because a serial number's last digits may differ."""
    at = _serial(value)
    return None if at is None else round(at * 86400)


def _serial(value: Cell) -> float | None:
    """Return a day or hour as a serial number, also one that was typed as text."""
    if isinstance(value, str):
        with suppress(ValueError):
            return serial(datetime.fromisoformat(value.strip()))
        return None
    return value if isinstance(value, int | float) and abs(value) < 1e7 else None


def is_whole(stream: Stream, key: Key) -> bool:
    """Whether a key is one that a row of TikTok's can have, and not a total that somebody typed into our columns."""
    for name, part in zip(stream.keys, key, strict=True):
        if isinstance(part, float):
            return False
        if name == "advertiser_id":
            mine = isinstance(part, str) and part.isdecimal()
            if not mine and not (stream.per_app and part is None):
                return False
        elif part is None and (name == stream.time or stream.fields[name].kind is Kind.ID):
            return False
    return True


def is_broken(stream: Stream, key: Key) -> bool:
    """Whether a key is what is left of one of ours: parts are missing or have lost digits, and none is foreign."""
    ids = [part for name, part in zip(stream.keys, key, strict=True) if stream.fields[name].kind is Kind.ID]
    if any(isinstance(part, str) and not part.isdecimal() for part in ids) or is_whole(stream, key):
        return False
    # An account alone may be somebody's subtotal; an ad alone is not.
    others = [part for name, part in zip(stream.keys, key, strict=True) if name != "advertiser_id"]
    return any(part is not None for part in others) and any(part is not None for part in ids)


def names_row(stream: Stream, key: Key | None) -> bool:
    """Whether a key says whose row it is, even if it is broken."""
    return key is not None and (is_whole(stream, key) or is_broken(stream, key))


def is_like(broken: Key, key: Key) -> bool:
    """Whether what is left of a broken key fits a key."""
    return all(
        was is None or was == is_ or (isinstance(was, float) and isinstance(is_, str) and _as_number(is_) == was)
        for was, is_ in zip(broken, key, strict=True)
    )


def _as_number(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


def unmoved(table: Table, seen: Snapshot | None) -> bool:
    """Whether a tab still has its size, and our columns their places."""
    if seen is None or (seen.rows, seen.columns) != (table.tab.rows, table.tab.columns):
        return False
    tagged: dict[str, list[int]] = {}
    for at, tags in seen.tagged.items():
        for key, value in tags:
            if key in COLUMNS:
                tagged.setdefault(value, []).append(at)
    return tagged.keys() == table.columns.keys() and all(at in tagged[n] for n, at in table.columns.items())


def has_technical_names(table: Table, headings: Mapping[int, Cell]) -> bool:
    """Whether the headings of a tab are names of fields, so that a new column had better be called so too."""
    named = sum(headings.get(at) == name for name, at in table.columns.items())
    return named > sum(headings.get(at) == title(name) for name, at in table.columns.items())


def top_of(table: Table) -> Block:
    """Return where the headings are: their row, or the first rows where their tag is gone."""
    tab, header = table.tab, table.header
    if header is not None:
        return Block(tab.id, header, header + 1, 0, tab.columns)
    return Block(tab.id, 0, min(tab.rows, HEADINGS_WITHIN), 0, tab.columns)


def tags_put_back(stream: Stream, table: Table, top: Sequence[Sequence[Cell]]) -> list[Json]:
    """Return what puts tags back to where the headings are; ``top`` is what stands in ``top_of``.

    Cutting and pasting a column moves its cells and leaves its tag behind, so the heading is a column's second
    witness. A tag is moved only if nothing heads its column any more, and one other column has its heading.
    """
    tab, batch = table.tab, []
    if table.header is None:
        # A row that has most of our headings is the headings' row.
        fitting = [sum(_heads(name, line[at]) for name, at in table.columns.items()) for line in top]
        if not fitting or 2 * max(fitting) < len(table.columns):
            return []
        row = fitting.index(max(fitting))
        headings = top[row]
        batch.append(requests.tagged(HEADER, "", tab.id, "ROWS", row))
    else:
        headings = top[0] if top else ()
    tagged = set(table.columns.values())
    for name in dict.fromkeys([*stream.keys, *table.columns]):
        at = table.columns.get(name)
        others = [c for c, text in enumerate(headings) if c not in tagged and _heads(name, text)]
        if len(others) == 1 and (at is None or headings[at] is None):
            if at is not None:
                batch.append(requests.untagged(COLUMN, name, tab.id))
            batch.append(requests.tagged(COLUMN, name, tab.id, "COLUMNS", others[0]))
    if batch and table.old_tags:
        batch.insert(0, requests.rename_metadata(LONG_COLUMN, COLUMN))
    return batch


def _heads(name: str, text: Cell) -> bool:
    """Whether a text is the heading that a field's column was given: its title, or its name."""
    return isinstance(text, str) and normal(text) in (normal(title(name)), normal(name))


def new_columns(
    structure: Structure,
    stream: Stream,
    lacking: Sequence[Field],
    table: Table | None,
    *,
    technical: bool = False,
) -> list[Json]:
    """Return the making of a tab with these columns, or of the columns at the right end of the tab that is there.

    Their headings are titles, or with ``technical`` the names of the fields.
    """
    batch: list[Json] = []
    if any(t.key == LONG_COLUMN for t in structure.tags):
        batch.append(requests.rename_metadata(LONG_COLUMN, COLUMN))
    if table is None:
        tab = Tab(structure.free_id(), structure.free_title(stream.title), 2, len(lacking), 1)
        batch += new_tab(tab, stream.name)
        header, first = 0, 0
        batch.append(requests.tagged(HEADER, "", tab.id, "ROWS", 0))
        batch.append(_sized(requests.dimension(tab.id, "ROWS", 0, 1), _HEADING_HEIGHT))
    else:
        tab, first = table.tab, table.tab.columns
        header = table.header if table.header is not None else 0
        if lacking:
            batch.append(requests.append(tab.id, "COLUMNS", len(lacking)))
        if table.header is None:
            # The person deleted the headings.
            batch.append(requests.insert(tab.id, "ROWS", 0, 1, like_before=False))
            batch.append(requests.tagged(HEADER, "", tab.id, "ROWS", 0))
            for name, at in table.columns.items():
                if name in stream.fields:
                    batch.append(_headings(tab.id, 0, at, [stream.fields[name]], "", technical))
            tab = replace(tab, rows=tab.rows + 1)
    note = "" if table else f"\n\n{stream.title}: refreshed by owox-tiktok. {stream.description}. {_PROMISE}"
    if lacking:
        batch.append(_headings(tab.id, header, first, lacking, note, technical))
        batch += [_width(tab.id, first + n, f, technical) for n, f in enumerate(lacking)]
    batch += [requests.tagged(COLUMN, f.name, tab.id, "COLUMNS", first + n) for n, f in enumerate(lacking)]
    if table is None and stream.is_report and stream.time in (names := [f.name for f in lacking]):
        batch.append(_provisional(tab, names.index(stream.time)))
    if table is not None and header + 1 < tab.rows:
        added = Table(tab, table.tag, {f.name: first + n for n, f in enumerate(lacking)}, header)
        batch += number_formats(added, stream.fields, header + 1, tab.rows, skip_money=False)
    return batch


def _provisional(tab: Tab, day: int) -> Json:
    """Return the rule that shows rows of today and yesterday, which TikTok still changes, as not final.

    It goes by the date alone, so that nothing has to be written when a day becomes final. The formula has no separator
    of arguments, which differs from locale to locale; a text such as "Total" is not less than any number.
    """
    at = f"${letters(day)}1"
    condition = {
        "type": "CUSTOM_FORMULA",
        "values": [{"userEnteredValue": f"=({at}>TODAY()-2)*({at}<TODAY()+2)"}],
    }
    look = {"textFormat": {"italic": True, "foregroundColorStyle": _NOT_FINAL}}
    where = {"sheetId": tab.id, "startColumnIndex": 0, "endColumnIndex": tab.columns}
    rule = {"ranges": [where], "booleanRule": {"condition": condition, "format": look}}
    return {"addConditionalFormatRule": {"index": 0, "rule": rule}}


_NOT_FINAL: Json = {"rgbColor": {"red": 0.502, "green": 0.525, "blue": 0.545}}
_PROMISE = (
    "Rename, move, sort and filter as you like; columns, formulas and notes of your own stay beside their rows. "
    "What you type over values in these columns is replaced at the next import."
)


_HEADING: Json = {
    "userEnteredFormat": {
        "backgroundColorStyle": {"rgbColor": {"red": 0.91, "green": 0.918, "blue": 0.929}},
        "textFormat": {"bold": True},
        "verticalAlignment": "MIDDLE",
        "wrapStrategy": "WRAP",
    }
}
"""How a heading looks."""
_HEADING_HEIGHT = 40
"""Pixels that show two lines."""


def _headings(tab: int, row: int, column: int, fields: Sequence[Field], note: str, technical: bool) -> Json:
    """Return the writing of headings with their notes; ``note`` stands below that of the first."""
    cells = []
    for number, one in enumerate(fields):
        unit = f" ({one.unit})" if one.unit else ""
        zone = " Time in UTC." if one.kind is Kind.INSTANT else ""
        text = f"{one.name}\n{one.description}{unit}{zone}{'' if number else note}"
        called = one.name if technical else title(one.name)
        cells.append({**cell(called), "note": text, **_HEADING})
    return {
        "updateCells": {
            "start": {"sheetId": tab, "rowIndex": row, "columnIndex": column},
            "rows": [{"values": cells}],
            "fields": (
                "userEnteredValue,note,userEnteredFormat(backgroundColorStyle,verticalAlignment,wrapStrategy,"
                "textFormat.bold)"
            ),
        }
    }


def _width(tab: int, column: int, of: Field, technical: bool) -> Json:
    """Return the widening of a new column, so that ids and headings can be read; afterwards it is the person's.

    A title may take two lines, a name has no space to be cut at.
    """
    length = len(of.name) if technical else max(len(title(of.name)) * 0.6, *map(len, title(of.name).split()))
    wide = max(_WIDTHS.get(of.kind, _LEAST_WIDTH), round(_PIXELS_PER_LETTER * length) + 16)
    return _sized(requests.dimension(tab, "COLUMNS", column, column + 1), wide)


def _sized(where: Json, pixels: int) -> Json:
    return {"updateDimensionProperties": {"range": where, "properties": {"pixelSize": pixels}, "fields": "pixelSize"}}


def number_formats(table: Table, fields: Mapping[str, Field], top: int, bottom: int, *, skip_money: bool) -> list[Json]:
    """Return the number formats of rows ``top`` to ``bottom`` of our columns, adjacent equal ones as one."""
    by_format: dict[tuple[str, str], list[str]] = {}
    for name in table.free:
        kind = fields[name].kind if name in fields else Kind.TEXT
        if kind is Kind.MONEY and not skip_money:
            by_format.setdefault(money_format(None), []).append(name)
        elif kind in _FORMATS:
            by_format.setdefault(_FORMATS[kind], []).append(name)
    return [
        number_format(table.tab.id, top, bottom, strip, wanted)
        for wanted, names in by_format.items()
        for strip in table.strips(names)
    ]


def money_format(currency: Cell) -> tuple[str, str]:
    """Return the number format of money: with as many decimals as its currency has."""
    name = str(currency)
    if name in WITHOUT_DECIMALS:
        return "NUMBER", "#,##0"
    return "NUMBER", "#,##0.000" if _THREE_DECIMALS.fullmatch(name) else "#,##0.00"


def number_format(tab: int, top: int, bottom: int, strip: Strip, wanted: tuple[str, str]) -> Json:
    """Return the number format of rows ``top`` to ``bottom`` of adjacent columns."""
    return requests.show_as(Block(tab, top, bottom, strip.left, strip.right), *wanted)
