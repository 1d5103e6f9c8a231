"""What people do to a tab of ours, as requests of Google's: the kinds of edits that the tests and the race inject."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from owox_tiktok.local.sheets import Server, Sheet
from owox_tiktok.model import Stream
from tests.sheets import columns_of_tab, header_of, tab_of

Json = dict[str, Any]


class Tab:
    """A stream's tab, and somebody who edits it; where things are is looked up at each edit."""

    def __init__(self, server: Server, book: str, stream: Stream, chance: random.Random) -> None:
        self.server, self.book, self.stream, self.chance = server, book, stream, chance

    @property
    def sheet(self) -> Sheet:
        """The tab as it is now."""
        found = tab_of(self.server, self.book, self.stream)
        assert found is not None
        return found

    @property
    def rows(self) -> list[int]:
        """Rows with something in a key column of an ad, an ad group …, from 0."""
        at, heading = self.columns[self.stream.keys[1]], header_of(self.server, self.book, self.sheet)
        lines = enumerate(self.sheet.values())
        return [row for row, line in lines if row != heading and len(line) > at and line[at] is not None]

    @property
    def columns(self) -> dict[str, int]:
        """Our columns."""
        return columns_of_tab(self.server, self.book, self.stream)

    def does(self, *requests: Json) -> None:
        """Carry requests out."""
        self.server.batch(self.book, list(requests))

    def row(self) -> int:
        """Any row of ours."""
        return self.chance.choice(self.rows)

    def place(self, dimension: str, start: int, end: int) -> Json:
        """Rows or columns."""
        return {"sheetId": self.sheet.sheet_id, "dimension": dimension, "startIndex": start, "endIndex": end}

    def box(self, top: int, bottom: int, left: int, right: int) -> Json:
        """A rectangle."""
        rows = {"startRowIndex": top, "endRowIndex": bottom, "startColumnIndex": left, "endColumnIndex": right}
        return {"sheetId": self.sheet.sheet_id, **rows}

    def writes(self, row: int, column: int, value: Any) -> None:
        """Type a value, a formula, or nothing (None)."""
        kind = "numberValue" if isinstance(value, int | float) else "stringValue"
        kind = "formulaValue" if str(value).startswith("=") else kind
        cell = {} if value is None else {"userEnteredValue": {kind: value}}
        start = {"sheetId": self.sheet.sheet_id, "rowIndex": row, "columnIndex": column}
        self.does({"updateCells": {"start": start, "rows": [{"values": [cell]}], "fields": "userEnteredValue"}})

    # --- kinds of edits -----------------------------------------------------------------------------------------------

    def sort(self, *, down: bool = False) -> None:
        """By any column."""
        grid, rows = self.sheet.grid, self.rows
        by = self.chance.randrange(grid.column_count)
        box = self.box(rows[0], rows[-1] + 1, 0, grid.column_count)
        spec = {"dimensionIndex": by, "sortOrder": "DESCENDING" if down else "ASCENDING"}
        self.does({"sortRange": {"range": box, "sortSpecs": [spec]}})

    def insert_row(self, row: int | None = None) -> None:
        """A blank one above any row."""
        at = self.row() if row is None else row
        self.does({"insertDimension": {"range": self.place("ROWS", at, at + 1), "inheritFromBefore": at > 0}})

    def delete_rows(self, count: int = 1) -> None:
        """Some rows, one below the other."""
        rows = self.rows
        at = self.chance.randrange(len(rows))
        end = min(at + count, len(rows))
        self.does({"deleteDimension": {"range": self.place("ROWS", rows[at], rows[end - 1] + 1)}})

    def move_row(self) -> None:
        """Drag a row elsewhere."""
        at, to = self.row(), self.row()
        self.does({"moveDimension": {"source": self.place("ROWS", at, at + 1), "destinationIndex": to}})

    def insert_column(self, at: int | None = None) -> None:
        """A blank one anywhere."""
        at = self.chance.randrange(self.sheet.grid.column_count) if at is None else at
        self.does({"insertDimension": {"range": self.place("COLUMNS", at, at + 1), "inheritFromBefore": at > 0}})

    def move_column(self) -> None:
        """Drag one of ours elsewhere."""
        at = self.chance.choice(list(self.columns.values()))
        to = self.chance.randrange(self.sheet.grid.column_count)
        self.does({"moveDimension": {"source": self.place("COLUMNS", at, at + 1), "destinationIndex": to}})

    def delete_column(self) -> None:
        """One of ours that is no key."""
        names = [n for n in self.columns if n not in self.stream.keys and n != "currency"]
        at = self.columns[self.chance.choice(names)]
        self.does({"deleteDimension": {"range": self.place("COLUMNS", at, at + 1)}})

    def clear(self) -> None:
        """Everything below the headings."""
        grid = self.sheet.grid
        box = self.box(self.rows[0], grid.row_count, 0, grid.column_count)
        self.does({"updateCells": {"range": box, "fields": "userEnteredValue"}})

    def clear_rows(self) -> None:
        """Our cells of a row."""
        row = self.row()
        for column in self.columns.values():
            self.writes(row, column, None)

    def paste_twice(self) -> None:
        """Some rows again at the end."""
        grid, rows = self.sheet.grid, self.rows
        first = self.chance.randrange(max(1, len(rows) - 3))
        top, bottom, end = rows[first], rows[min(first + 3, len(rows) - 1)], grid.row_count
        if bottom <= top:
            return
        self.does({"appendDimension": {"sheetId": self.sheet.sheet_id, "dimension": "ROWS", "length": bottom - top}})
        source = self.box(top, bottom, 0, grid.column_count)
        target = self.box(end, end + bottom - top, 0, grid.column_count)
        self.does({"copyPaste": {"source": source, "destination": target, "pasteType": "PASTE_NORMAL"}})

    def type_over(self, value: Any = 999) -> None:
        """A value of ours that is no key."""
        names = [n for n in self.columns if n not in self.stream.keys]
        self.writes(self.row(), self.columns[self.chance.choice(names)], value)

    def type_text(self) -> None:
        """An amount as text."""
        self.writes(self.row(), self.columns["spend"], "12,50")

    def type_formula(self) -> None:
        """A formula over one of our values."""
        self.writes(self.row(), self.columns["impressions"], "=1+1")

    def change_id(self) -> None:
        """Another id in a row."""
        self.writes(self.row(), self.columns[self.stream.keys[1]], "1999999999999999999")

    def clear_id(self) -> None:
        """No id in a row."""
        self.writes(self.row(), self.columns[self.stream.keys[1]], None)

    def number_id(self) -> None:
        """An id as a number, as other tools leave it."""
        row, column = self.row(), self.columns[self.stream.keys[1]]
        content = self.sheet.grid.content(row, column)
        if isinstance(content, str) and content.isdecimal():
            self.writes(row, column, float(content))

    def number_account(self) -> None:
        """The account as a number."""
        row, column = self.row(), self.columns["advertiser_id"]
        content = self.sheet.grid.content(row, column)
        if isinstance(content, str) and content.isdecimal():
            self.writes(row, column, float(content))

    def _at_time(self) -> int | None:
        return self.columns[self.stream.time] if self.stream.time else None

    def clear_date(self) -> None:
        """No day in a row."""
        if (column := self._at_time()) is not None:
            self.writes(self.row(), column, None)

    def date_as_text(self) -> None:
        """A day as text."""
        if (column := self._at_time()) is not None:
            row = self.row()
            content = self.sheet.grid.content(row, column)
            if isinstance(content, int | float):
                self.writes(row, column, f"{date(1899, 12, 30) + timedelta(days=int(content))}")

    def other_date(self) -> None:
        """Another day in a row."""
        if (column := self._at_time()) is not None:
            self.writes(self.row(), column, self.chance.choice((40_000, 60_000, 46_010)))

    def rename_heading(self) -> None:
        """A heading of ours."""
        heading = self.rows[0] - 1
        if heading >= 0:
            self.writes(heading, self.chance.choice(list(self.columns.values())), "My name for it")

    def rename_tab(self) -> None:
        """The tab's title."""
        properties = {"sheetId": self.sheet.sheet_id, "title": f"Mine {self.chance.randrange(10**6)}"}
        self.does({"updateSheetProperties": {"properties": properties, "fields": "title"}})

    def filter(self) -> None:
        """A filter over all."""
        self.does({"setBasicFilter": {"filter": {"range": {"sheetId": self.sheet.sheet_id}}}})

    def add_total(self) -> None:
        """A row of hers below."""
        end = self.sheet.grid.row_count
        self.does({"appendDimension": {"sheetId": self.sheet.sheet_id, "dimension": "ROWS", "length": 1}})
        self.writes(end, self.columns["advertiser_id"], "TOTAL")

    def nothing(self) -> None:
        """Just look."""


EDITS: dict[str, Callable[[Tab], None]] = {
    "sort": Tab.sort,
    "sort down": lambda tab: tab.sort(down=True),
    "insert a row": Tab.insert_row,
    "insert a row on top": lambda tab: tab.insert_row(0),
    "delete a row": Tab.delete_rows,
    "delete rows": lambda tab: tab.delete_rows(5),
    "move a row": Tab.move_row,
    "insert a column": Tab.insert_column,
    "insert a column on the left": lambda tab: tab.insert_column(0),
    "move a column": Tab.move_column,
    "delete a column": Tab.delete_column,
    "clear the tab": Tab.clear,
    "clear a row": Tab.clear_rows,
    "paste rows twice": Tab.paste_twice,
    "type over a value": Tab.type_over,
    "clear a value": lambda tab: tab.type_over(None),
    "an amount as text": Tab.type_text,
    "a formula over a value": Tab.type_formula,
    "change an id": Tab.change_id,
    "clear an id": Tab.clear_id,
    "an id as a number": Tab.number_id,
    "an account as a number": Tab.number_account,
    "clear a date": Tab.clear_date,
    "a date as text": Tab.date_as_text,
    "another date": Tab.other_date,
    "rename a heading": Tab.rename_heading,
    "rename the tab": Tab.rename_tab,
    "a filter": Tab.filter,
    "a total": Tab.add_total,
}
