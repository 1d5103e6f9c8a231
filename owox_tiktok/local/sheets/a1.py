"""A1 notation: letters of columns, quoting of titles, ranges read and written."""

from __future__ import annotations

import re
from typing import NamedTuple

_CELL = re.compile(r"^\$?([A-Za-z]{1,3})?\$?([0-9]+)?$")
_BARE_TITLE = re.compile(r"^[A-Za-z_.][A-Za-z0-9_.]*$")
_LIKE_A_CELL = re.compile(r"^([A-Za-z]{1,3}[0-9]+|[Rr][0-9]+[Cc][0-9]+)$")


class Box(NamedTuple):
    """A rectangle of one tab, zero-based and half open."""

    sheet_id: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def empty(self) -> bool:
        """Whether it holds no cell."""
        return self.bottom <= self.top or self.right <= self.left

    @property
    def grid_range(self) -> dict[str, int]:
        """The API's ``GridRange`` for it, with every bound."""
        return {
            "sheetId": self.sheet_id,
            "startRowIndex": self.top,
            "endRowIndex": self.bottom,
            "startColumnIndex": self.left,
            "endColumnIndex": self.right,
        }

    def meets(self, other: Box) -> bool:
        """Whether both share a cell."""
        return (
            self.sheet_id == other.sheet_id
            and self.top < other.bottom
            and other.top < self.bottom
            and self.left < other.right
            and other.left < self.right
        )

    def holds(self, row: int, column: int) -> bool:
        """Whether the cell is inside."""
        return self.top <= row < self.bottom and self.left <= column < self.right


class Span(NamedTuple):
    """A range as written; a bound that was left open is None. ``single`` is a lone cell."""

    top: int | None
    bottom: int | None
    left: int | None
    right: int | None
    single: bool


def column_letters(index: int) -> str:
    """``0`` is A, ``25`` is Z, ``26`` is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_index(letters: str) -> int:
    """The reverse of :func:`column_letters`."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - 64
    return index - 1


def quote(title: str) -> str:
    """A tab's title as it stands before the exclamation mark."""
    if _BARE_TITLE.match(title) and title.isascii() and not _LIKE_A_CELL.match(title):
        return title
    return "'" + title.replace("'", "''") + "'"


def _corner(text: str) -> tuple[int | None, int | None] | None:
    match = _CELL.match(text)
    if match is None or not (match[1] or match[2]):
        return None
    row = int(match[2]) - 1 if match[2] else None
    if row is not None and row < 0:
        return None
    return row, column_index(match[1]) if match[1] else None


def parse_span(text: str) -> Span | None:
    """Read ``A1``, ``A1:B2``, ``A:C``, ``A2:2``, ``D4:A1`` and their like; None when it is no range."""
    first, colon, second = text.partition(":")
    begin = _corner(first)
    if begin is None:
        return None
    if not colon:
        row, column = begin
        return None if row is None or column is None else Span(row, row + 1, column, column + 1, True)
    end = _corner(second)
    if end is None:
        return None
    top, bottom = _ordered(begin[0], end[0])
    left, right = _ordered(begin[1], end[1])
    return Span(top, bottom, left, right, False)


def _ordered(first: int | None, last: int | None) -> tuple[int | None, int | None]:
    if first is not None and last is not None:
        return min(first, last), max(first, last) + 1
    if last is not None:
        # ``1:A5`` is odd but legal: the open side is the near one.
        return 0, last + 1
    return first, None


def split_title(text: str) -> tuple[str | None, str, bool]:
    """Take ``'My tab'!A1`` apart into title, rest and whether the title was quoted.

    Without an exclamation mark an unquoted text stays whole in the rest.
    """
    if text.startswith("'"):
        index = 1
        while index < len(text):
            if text[index] == "'":
                if text[index + 1 : index + 2] == "'":
                    index += 2
                    continue
                break
            index += 1
        title = text[1:index].replace("''", "'")
        rest = text[index + 1 :]
        if rest.startswith("!"):
            return title, rest[1:], True
        return (title, "", True) if not rest and index < len(text) else (None, text, False)
    title, mark, rest = text.rpartition("!")
    return (title, rest, False) if mark else (None, text, False)


def cell_name(row: int, column: int) -> str:
    """``0, 0`` is A1."""
    return f"{column_letters(column)}{row + 1}"


def range_name(title: str, box: Box) -> str:
    """A concrete range in the API's own spelling."""
    name = f"{quote(title)}!{cell_name(box.top, box.left)}"
    if box.height == 1 and box.width == 1:
        return name
    return f"{name}:{cell_name(box.bottom - 1, box.right - 1)}"
