"""What the tests of the Google Sheets destination share: an emulator, and a tab's rows read from its memory.

Reading goes by the tags in the emulator's own model and converts by hand, so that nothing of the code under test is
asked what is right.
"""

from __future__ import annotations

import atexit
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from owox_tiktok.local.sheets import Server, Sheet, serve
from owox_tiktok.model import Kind, Stream
from tests.helpers import Row


@cache
def stand_in() -> Server:
    """One emulator for all tests that do not change it; each makes a spreadsheet of its own."""
    server = serve().start()
    atexit.register(server.close)
    return server


def tab_of(server: Server, book: str, stream: Stream) -> Sheet | None:
    """The stream's tab, found by its tag."""
    model = server.spreadsheet(book)
    for entry in model.metadata:
        if entry.key == "owox.tab" and json.loads(entry.value or "{}").get("stream") == stream.name:
            return next(s for s in model.sheets if s.sheet_id == entry.sheet_id)
    return None


def columns_of_tab(server: Server, book: str, stream: Stream) -> dict[str, int]:
    """Where our columns are, by field name."""
    tab = tab_of(server, book, stream)
    found = {}
    for entry in server.spreadsheet(book).metadata:
        place = entry.location.get("dimensionRange")
        if tab is not None and entry.key in ("ox", "owox.col") and place and place["sheetId"] == tab.sheet_id:
            found[str(entry.value)] = int(place["startIndex"])
    return found


def sheet_rows(server: Server, book: str, stream: Stream) -> list[Row]:
    """Our cells of every row that has a key, as Python values."""
    return [row for _, row in numbered_rows(server, book, stream)]


def numbered_rows(server: Server, book: str, stream: Stream) -> list[tuple[int, Row]]:
    """The same with the number of each row, from 0."""
    tab, columns = tab_of(server, book, stream), columns_of_tab(server, book, stream)
    if tab is None:
        return []
    found = []
    heading = header_of(server, book, tab)
    for number, line in enumerate(tab.values()):
        cells = {name: line[at] if at < len(line) and line[at] != "" else None for name, at in columns.items()}
        key = [cells[k] for k in stream.keys]
        dated = stream.time is None or isinstance(cells[stream.time], int | float)
        if number != heading and dated and any(v is not None for v in key):
            found.append((number, {name: typed_cell(stream.fields[name].kind, v) for name, v in cells.items()}))
    return found


def header_of(server: Server, book: str, tab: Sheet) -> int:
    """Where the headings are, from 0."""
    for entry in server.spreadsheet(book).metadata:
        place = entry.location.get("dimensionRange")
        if entry.key == "owox.head" and place and place["sheetId"] == tab.sheet_id:
            return int(place["startIndex"])
    return -1


def left_behind(server: Server, book: str, stream: Stream) -> list[int]:
    """Rows without a key that have cells in our columns."""
    tab, columns = tab_of(server, book, stream), columns_of_tab(server, book, stream)
    assert tab is not None
    ours = {number for number, _ in numbered_rows(server, book, stream)} | {header_of(server, book, tab)}
    return [
        number
        for number, line in enumerate(tab.values())
        if number not in ours and any(at < len(line) and line[at] is not None for at in columns.values())
    ]


def typed_cell(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    match kind:
        case Kind.MONEY | Kind.RATE:
            assert isinstance(value, int | float)
            return Decimal(repr(float(value))).normalize() + 0
        case Kind.COUNT:
            assert isinstance(value, int | float)
            return int(value)
        case Kind.BOOLEAN:
            assert isinstance(value, bool)
            return value
        case Kind.DAY:
            return (datetime(1899, 12, 30) + timedelta(days=value)).date()
        case Kind.HOUR:
            return datetime(1899, 12, 30) + timedelta(seconds=round(value * 86400))
        case Kind.INSTANT:
            return datetime(1899, 12, 30, tzinfo=UTC) + timedelta(seconds=round(value * 86400))
        case Kind.JSON:
            return json.loads(value, parse_float=Decimal)
        case _:
            assert isinstance(value, str), f"{value!r} is not text"
            return value


def in_a_cell(value: Any) -> Any:
    """What a cell can keep of a value: 64-bit numbers; an empty text is a blank."""
    if isinstance(value, Decimal):
        return Decimal(repr(float(value)))
    return None if value == "" else value
