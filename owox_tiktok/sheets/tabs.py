"""The tabs of a spreadsheet as they were seen, and how one is found again: by its tag, its title, its headings.

A tab is addressed by id and a column by index, because a person may rename and move both at any time.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from owox_tiktok.sheets.cells import Cell, Json
from owox_tiktok.sheets.requests import Block, tagged

TAB = "owox.tab"
"""Key of the tag on each tab that is ours; it says what the tab holds, and its id."""
# Keys of the tags on our columns and heading rows. Short, because a tab's tags may take 30,000 characters and a report
# can have more than 800 columns; the long one is what earlier versions wrote.
COLUMN, LONG_COLUMN, HEADER = "ox", "owox.col", "owox.head"
COLUMNS = (COLUMN, LONG_COLUMN)
ON_LINES = frozenset({*COLUMNS, HEADER})
"""Keys of tags on rows and columns: Google shows them only to who searches for them."""
PLEASE_WAIT = "owox-tiktok is importing into these columns. Please wait a minute; this warning goes away by itself."
"""The description by which a protected range is known as ours."""
HEADINGS_WITHIN = 30
"""Headings are looked for in so many rows from the top."""
COLUMNS_WITHIN = 200
"""A control tab is read up to so many columns from the left."""


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab: its id, title and the size of its grid. A tab that is a chart has no rows and columns."""

    id: int
    title: str
    rows: int
    columns: int
    frozen_rows: int = 0


@dataclass(frozen=True, slots=True)
class Tag:
    """Developer metadata: key and value on a tab, or on one of its rows or columns (``index``, from 0)."""

    id: int
    key: str
    value: str
    tab: int | None
    dimension: Literal["", "ROWS", "COLUMNS"] = ""
    index: int = 0

    def is_on_row_of(self, tab: Tab) -> bool:
        """Whether it is the tag of a row of ``tab``, and moves with it."""
        return self.tab == tab.id and self.dimension == "ROWS"


class Locked(NamedTuple):
    """Columns ``left`` to ``right`` (not included) of a tab that are protected from us, or some of their rows."""

    tab: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Structure:
    """What a spreadsheet is made of at one moment: its tabs by id, and the tags that were asked for."""

    tabs: Mapping[int, Tab]
    tags: tuple[Tag, ...]
    title: str = ""
    zone: str = "UTC"
    """The spreadsheet's own time zone, in which it shows what NOW() is."""
    warnings: tuple[int, ...] = ()
    """Ids of protected ranges that an import has made to warn people."""
    locked: tuple[Locked, ...] = ()
    """Columns in which somebody keeps us from writing."""

    @property
    def cells(self) -> int:
        """Cells of all grids, empty ones included, as Google counts them."""
        return sum(t.rows * t.columns for t in self.tabs.values())

    def after(self, batch: Sequence[Json]) -> Structure | None:
        """Return what the structure is once a batch is applied; None when it must be read."""
        tabs, tags = dict(self.tabs), list(self.tags)
        for request in batch:
            ((name, body),) = request.items()
            if name == "addSheet":
                tab = _new_tab(body["properties"])
                tabs[tab.id] = tab
            elif name == "createDeveloperMetadata":
                tags.append(_new_tag(body["developerMetadata"]))
            elif name == "updateDeveloperMetadata":
                tags = _updated(tags, body)
            elif name == "deleteDeveloperMetadata":
                found = body["dataFilter"]["developerMetadataLookup"]
                if "metadataId" not in found:
                    return None
                tags = [
                    t for t in tags if t.id != found["metadataId"] or t.value != found.get("metadataValue", t.value)
                ]
            elif name in ("appendDimension", "insertDimension", "deleteDimension"):
                place = body.get("range", body)
                tab = tabs[place["sheetId"]]
                if place["dimension"] == "COLUMNS":
                    if name != "appendDimension":
                        return None
                    tabs[tab.id] = replace(tab, columns=tab.columns + place["length"])
                    continue
                start = place.get("startIndex", tab.rows)
                grown = place["length"] if "length" in place else place["endIndex"] - start
                if name == "deleteDimension":
                    tags = [t for t in tags if not (t.is_on_row_of(tab) and start <= t.index < start + grown)]
                    grown = -grown
                tags = [
                    replace(t, index=t.index + grown) if t.is_on_row_of(tab) and t.index >= start else t for t in tags
                ]
                tabs[tab.id] = replace(tab, rows=tab.rows + grown)
            elif name in ("deleteSheet", "updateSheetProperties", "moveDimension"):
                return None
        return replace(self, tabs=tabs, tags=tuple(tags))

    def free_title(self, wanted: str) -> str:
        """Return ``wanted``, or the same with a number where a tab has that title already."""
        taken = {t.title.casefold() for t in self.tabs.values()}
        title, number = wanted[:100], 2
        while title.casefold() in taken:
            title, number = f"{wanted[:90]} ({number})", number + 1
        return title

    def free_id(self) -> int:
        """Return an id no tab has."""
        while (number := secrets.randbelow(2**31 - 1) + 1) in self.tabs:
            pass
        return number


_UNTOLD = 2**31 - 1
"""The id of a tag that was made a moment ago; Google chooses it."""


def _new_tab(properties: Json) -> Tab:
    grid = properties.get("gridProperties", {})
    return Tab(
        properties["sheetId"],
        properties["title"],
        grid.get("rowCount", 0),
        grid.get("columnCount", 0),
        grid.get("frozenRowCount", 0),
    )


def _new_tag(made: Json) -> Tag:
    place = made["location"]
    span = place.get("dimensionRange")
    number, key, value = made.get("metadataId", _UNTOLD), made["metadataKey"], made.get("metadataValue", "")
    if span:
        return Tag(number, key, value, span["sheetId"], span["dimension"], span["startIndex"])
    return Tag(number, key, value, place.get("sheetId"))


def _updated(tags: Sequence[Tag], body: Json) -> list[Tag]:
    """Return tags after an update of their keys or values, found by id and value, or by key."""
    changed = body["developerMetadata"]
    wanted = [f["developerMetadataLookup"] for f in body["dataFilters"]]

    def met(tag: Tag) -> bool:
        return any(
            f.get("metadataId", tag.id) == tag.id
            and f.get("metadataKey", tag.key) == tag.key
            and f.get("metadataValue", tag.value) == tag.value
            for f in wanted
        )

    return [
        replace(t, key=changed.get("metadataKey", t.key), value=changed.get("metadataValue", t.value)) if met(t) else t
        for t in tags
    ]


class Written(NamedTuple):
    """What a person or a program has put into a cell: a value or a formula, and a note."""

    value: Cell
    formula: str
    note: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one call saw of a tab at one moment: its size, some cells by row and column, the tags of its columns."""

    rows: int
    columns: int
    values: Mapping[int, Mapping[int, Cell]]
    written: Mapping[int, Mapping[int, Written]]
    tagged: Mapping[int, frozenset[tuple[str, str]]]
    """Key and value of the tags on each column that was looked at."""

    def lines(self) -> list[list[Cell]]:
        """Return the cells row by row, from the first to the last with a value, all rows of the same width."""
        width = max((c for row in self.values.values() for c in row), default=0) + 1
        return [[self.values.get(r, {}).get(c) for c in range(width)] for r in range(max(self.values, default=-1) + 1)]


def _named(tag: Tag) -> tuple[str, bool]:
    """Return the stream a tab's tag names, and whether the tag was made for this very tab (not copied with it)."""
    try:
        said = json.loads(tag.value)
        return str(said["stream"]), said.get("tab") == tag.tab
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", False


def tagged_tab(structure: Structure, name: str) -> tuple[Tab, Tag] | None:
    """Return the tab that is tagged as ``name``, with the tag; of a tab and its copy the one that was tagged."""
    found = [
        (not own, t.id, t)
        for t in structure.tags
        if t.key == TAB and t.tab in structure.tabs
        for named, own in [_named(t)]
        if named == name
    ]
    if not found:
        return None
    tag = min(found, key=lambda f: f[:2])[2]
    return structure.tabs[tag.tab or 0], tag


def new_tab(tab: Tab, name: str, *, hidden: bool = False) -> list[Json]:
    """Return the making of a tab, tagged as ``name``."""
    grid = {"rowCount": tab.rows, "columnCount": tab.columns, "frozenRowCount": tab.frozen_rows}
    properties = {"sheetId": tab.id, "title": tab.title, "hidden": hidden, "gridProperties": grid}
    said = json.dumps({"stream": name, "tab": tab.id}, separators=(",", ":"))
    return [{"addSheet": {"properties": properties}}, tagged(TAB, said, tab.id)]


def normal(label: str) -> str:
    """Return a label as it is compared: ``Start Date*``, `` start  date`` and ``StartDate`` are the same."""
    return re.sub(r"[\s*_:-]+", "", label).casefold()


def letters(column: int) -> str:
    """Return a column's letters; ``column`` counts from 0."""
    text = ""
    while column >= 0:
        column, rest = divmod(column, 26)
        text, column = chr(65 + rest) + text, column - 1
    return text


def address(tab: Tab, row: int, column: int) -> str:
    """Return the address of a cell (row and column from 0), as people write it."""
    return f"{quoted(tab.title)}!{letters(column)}{row + 1}"


def area(block: Block) -> str:
    """Return a block's address without its tab."""
    return f"{letters(block.left)}{block.top + 1}:{letters(block.right - 1)}{block.bottom}"


def quoted(title: str) -> str:
    """Return a tab's title as an address has it."""
    return title if re.fullmatch(r"[A-Za-z]\w*", title) else "'" + title.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Place:
    """A tab of the control Sheet: where its headings are, and the columns under them by ``normal`` heading."""

    tab: Tab
    row: int
    columns: Mapping[str, int]

    def at(self, row: int, heading: str) -> str:
        """Return the address of a cell, as people write it."""
        return address(self.tab, row, self.columns[normal(heading)])


def tab_called(structure: Structure, title: str) -> Tab | None:
    """Return a tab of the control Sheet: by its tag, or by its title where nothing is tagged so."""
    found = tagged_tab(structure, tag_of(title))
    if found:
        return found[0]
    return next((t for t in structure.tabs.values() if normal(t.title) == normal(title)), None)


def tag_of(title: str) -> str:
    """Return what the tag of a control tab says; no stream is called that."""
    return f"({title.partition(' ')[0].lower()})"


def find_headings(tab: Tab, rows: Sequence[Sequence[Cell]], headings: Sequence[str]) -> Place | None:
    """Return where a tab's headings are: the first row that has all of them, in any order."""
    wanted = {normal(h) for h in headings}
    for number, row in enumerate(rows[:HEADINGS_WITHIN]):
        columns: dict[str, int] = {}
        for column, value in enumerate(row):
            if isinstance(value, str):
                columns.setdefault(normal(value), column)
        if wanted <= columns.keys():
            return Place(tab, number, columns)
    return None
