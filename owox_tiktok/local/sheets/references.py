"""References in formula text: found, spelt as the API spells them, moved, renamed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from owox_tiktok.local.sheets.a1 import column_index, column_letters, quote
from owox_tiktok.local.sheets.changes import ROWS, Change

_TITLE = r"'(?:[^']|'')*'|[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_.\u0080-\U0010ffff]*"
_CELL = r"\$?[A-Za-z]{1,3}\$?[0-9]+"
_RANGE = (
    rf"{_CELL}(?::(?:\$?[A-Za-z]{{1,3}}(?:\$?[0-9]+)?|\$?[0-9]+))?"
    r"|\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}(?:\$?[0-9]+)?"
    r"|\$?[0-9]+:\$?[0-9]+"
)
_SCAN = re.compile(
    rf'(?P<string>"(?:[^"]|"")*")|(?:(?P<title>{_TITLE})!)?(?P<cells>{_RANGE})(?![A-Za-z0-9_.(!])'
    rf"|(?P<named>(?:{_TITLE})(?:!|\()?)|(?P<number>[0-9]+(?:\.[0-9]*)?)"
)
_CORNER = re.compile(r"^(\$?)([A-Za-z]{1,3})?(\$?)([0-9]+)?$")
MAX_ROW = 10_000_000
MAX_COLUMN = 18_278


@dataclass(frozen=True)
class Corner:
    """One end of a reference; an open side is None, ``fixed`` tells of the dollar signs."""

    row: int | None
    column: int | None
    fixed_row: bool
    fixed_column: bool

    def text(self) -> str:
        """As it stands in a formula."""
        letters = "" if self.column is None else ("$" if self.fixed_column else "") + column_letters(self.column)
        digits = "" if self.row is None else ("$" if self.fixed_row else "") + str(self.row + 1)
        return letters + digits


@dataclass(frozen=True)
class Reference:
    """A cell or a range in a formula; ``title`` is None on the formula's own tab."""

    title: str | None
    first: Corner
    last: Corner | None

    def text(self) -> str:
        """As it stands in a formula."""
        before = "" if self.title is None else quote(self.title) + "!"
        cells = self.first.text()
        if self.last is not None and (self.last != self.first or self.first.row is None or self.first.column is None):
            cells += ":" + self.last.text()
        return before + cells


def _corner(text: str) -> Corner:
    match = _CORNER.match(text)
    assert match is not None
    letters, digits = match[2], match[4]
    # In "$5" the only dollar sign belongs to the row, though it stands in the column's place.
    fixed_row = bool(match[3]) or (bool(match[1]) and not letters)
    return Corner(
        int(digits) - 1 if digits else None,
        column_index(letters) if letters else None,
        fixed_row,
        bool(match[1]) and bool(letters),
    )


def _ordered(first: Corner, last: Corner) -> tuple[Corner, Corner]:
    if first.row is not None and last.row is not None and first.row > last.row:
        first, last = (
            replace(first, row=last.row, fixed_row=last.fixed_row),
            replace(last, row=first.row, fixed_row=first.fixed_row),
        )
    if first.column is not None and last.column is not None and first.column > last.column:
        first, last = (
            replace(first, column=last.column, fixed_column=last.fixed_column),
            replace(last, column=first.column, fixed_column=first.fixed_column),
        )
    return first, last


def read_reference(title: str | None, cells: str) -> Reference:
    """A reference from its title, still quoted, and its cells."""
    if title is not None and title.startswith("'"):
        title = title[1:-1].replace("''", "'")
    begin, colon, end = cells.partition(":")
    first = _corner(begin)
    if not colon:
        return Reference(title, first, None)
    first, last = _ordered(first, _corner(end))
    return Reference(title, first, last)


@lru_cache(maxsize=20_000)
def pieces(text: str) -> tuple[str | Reference, ...]:
    """A formula cut into plain text and references."""
    found: list[str | Reference] = []
    begin = 0
    for match in _SCAN.finditer(text):
        if match["cells"] is None:
            continue
        if match.start() > begin:
            found.append(text[begin : match.start()])
        found.append(read_reference(match["title"], match["cells"]))
        begin = match.end()
    if begin < len(text):
        found.append(text[begin:])
    return tuple(found)


def _rewrite(text: str, rule: Callable[[Reference], Reference | None]) -> str:
    parts = []
    for piece in pieces(text):
        if isinstance(piece, str):
            parts.append(piece)
        else:
            new = rule(piece)
            parts.append("#REF!" if new is None else new.text())
    return "".join(parts)


def canonical(text: str, true_title: Callable[[str], str | None]) -> str:
    """Formula text as it is stored: titles in their true case, addresses in capitals and in order."""

    def rule(one: Reference) -> Reference:
        if one.title is None:
            return one
        return replace(one, title=true_title(one.title) or one.title)

    return _rewrite(text, rule)


def moved(text: str, rows: int, columns: int) -> str:
    """A formula copied so many rows down and columns to the right: what is not fixed moves along."""
    if not rows and not columns:
        return text

    def corner(one: Corner) -> Corner | None:
        row = one.row if one.row is None or one.fixed_row else one.row + rows
        column = one.column if one.column is None or one.fixed_column else one.column + columns
        if (row is not None and not 0 <= row < MAX_ROW) or (column is not None and not 0 <= column < MAX_COLUMN):
            return None
        return replace(one, row=row, column=column)

    def rule(one: Reference) -> Reference | None:
        first = corner(one.first)
        last = corner(one.last) if one.last is not None else None
        if first is None or (one.last is not None and last is None):
            return None
        if last is not None:
            first, last = _ordered(first, last)
        return replace(one, first=first, last=last)

    return _rewrite(text, rule)


def _shift(one: Reference, change: Change) -> Reference | None:
    on_rows = change.dimension == ROWS
    begin = one.first.row if on_rows else one.first.column
    last = one.first if one.last is None else one.last
    end = last.row if on_rows else last.column
    if begin is None and end is None:
        return one
    placed = change.span(begin or 0, (1 << 30) if end is None else end + 1)
    if placed is None:
        return None

    def put(corner: Corner, index: int) -> Corner:
        return replace(corner, row=index) if on_rows else replace(corner, column=index)

    first = one.first if begin is None else put(one.first, placed[0])
    if one.last is None:
        return replace(one, first=first)
    return replace(one, first=first, last=one.last if end is None else put(one.last, placed[1] - 1))


def shifted(text: str, own: bool, title: str, change: Change) -> str:
    """A formula after a change of the tab ``title``; ``own`` when the formula stands on that tab."""

    def rule(one: Reference) -> Reference | None:
        meant = own if one.title is None else one.title.lower() == title.lower()
        return _shift(one, change) if meant else one

    return _rewrite(text, rule)


def renamed(text: str, old: str, new: str | None) -> str:
    """A formula after a tab got another title, or, with None, after it was deleted."""

    def rule(one: Reference) -> Reference | None:
        if one.title is None or one.title.lower() != old.lower():
            return one
        return None if new is None else replace(one, title=new)

    return _rewrite(text, rule)
