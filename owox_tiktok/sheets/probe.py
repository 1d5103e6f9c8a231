"""Whether Google Sheets does what this program rests on, tried in the person's own spreadsheet.

Everything happens in a hidden scratch tab that is removed at the end, whatever comes; no other cell is touched, and
nothing of the spreadsheet's content is in the report. What differs is worth a bug report, whose text is ``report``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from owox_tiktok.errors import Problem, StoreFailed
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import Cell, Json, cell, same
from owox_tiktok.sheets.client import FREE_MARKERS, MOST_FILTERS, Spreadsheet
from owox_tiktok.sheets.errors import SheetRefused
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.tabs import PLEASE_WAIT, Tab

TITLE = "_owox_tiktok_check"
KEY = "owox.check"
ROWS, COLUMNS = 12, 4
PACKED_LETTERS = 20_000
WRITTEN: tuple[Cell, ...] = (
    "1234567890123456789",
    "0123",
    "=1+1",
    "2026-01-31",
    "TRUE",
    "two\nlines 🌞",
    123_456_789_012_345,
    0.1,
    46_053,
    True,
)
"""Ids and look-alikes as texts, a number of 15 digits, a day as its serial number, a tick."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing this program rests on, whether it holds, and what was seen instead."""

    what: str
    ok: bool
    seen: str = ""


def probe(book: Spreadsheet) -> list[Finding]:
    """Try everything in a scratch tab; raises Problem when not even that can be made."""
    structure = book.structure(())
    tab = Tab(structure.free_id(), structure.free_title(TITLE), ROWS, COLUMNS)
    grid = {"rowCount": ROWS, "columnCount": COLUMNS}
    properties = {"sheetId": tab.id, "title": tab.title, "hidden": True, "gridProperties": grid}
    number = FREE_MARKERS + secrets.randbelow(2**29)
    book.apply([{"addSheet": {"properties": properties}}])
    try:
        return list(_Probe(book, tab, number).findings())
    finally:
        with suppress(Problem):
            book.apply([{"deleteSheet": {"sheetId": tab.id}}])
        with suppress(Problem):
            book.apply([requests.delete_metadata(number)])


def report(findings: list[Finding]) -> str:
    """Return the text of a bug report: what differs, with what was seen."""
    lines = [f"- {'as expected' if f.ok else 'DIFFERS'}: {f.what}{f' ({f.seen})' if f.seen else ''}" for f in findings]
    return "\n".join(["Google Sheets, tried by owox-tiktok check:", *lines])


class _Probe:
    """What is tried, one after the other."""

    def __init__(self, book: Spreadsheet, tab: Tab, number: int) -> None:
        self._book, self._tab, self._number = book, tab, number

    def findings(self) -> Iterator[Finding]:
        tried: tuple[tuple[str, Callable[[], str]], ...] = (
            ("values come back as they were written", self._values),
            ("ranges that are asked for by data filter are named in the answer", self._echo),
            (f"{MOST_FILTERS} data filters in one call are taken", self._filters),
            ("an id of developer metadata cannot be taken twice", self._unique),
            ("developer metadata of the spreadsheet is shown with it", self._shown),
            ("a batch is applied altogether or not at all", self._atomic),
            ("rows can be inserted before the first", self._first_row),
            ("the answer to a batch can hold what is there afterwards", self._read_back),
            ("large requests may be compressed", self._packed),
            ("columns can be protected with a warning for those who edit them", self._warned),
        )
        for what, attempt in tried:
            try:
                seen = attempt()
            except StoreFailed as error:
                seen = error.message
            yield Finding(what, not seen, seen)

    def _write(self, row: int, *values: Cell) -> Json:
        return requests.write(self._tab.id, row, 0, [{"values": [cell(v)]} for v in values])

    def _read(self, row: int, count: int = 1) -> list[Cell]:
        block = Block(self._tab.id, row, row + count, 0, 1)
        return [line[0] for line in self._book.values([block])[0]]

    def _values(self) -> str:
        self._book.apply([self._write(0, *WRITTEN)])
        read = self._read(0, len(WRITTEN))
        wrong = [f"{w!r} became {r!r}" for w, r in zip(WRITTEN, read, strict=True) if not same(w, r)]
        return "; ".join(wrong)

    def _echo(self) -> str:
        asked = [Block(self._tab.id, row, row + 1, 0, 1) for row in (3, 0, 1)]
        return "" if self._book.echoes(asked) else "they are not, so ranges are asked for by name"

    def _filters(self) -> str:
        block = Block(self._tab.id, 0, 1, 0, 1)
        for count in (MOST_FILTERS, 200, 100, 50, 10):
            try:
                self._book.ask("/values:batchGetByDataFilter", [block._replace(bottom=1 + n % 3) for n in range(count)])
            except SheetRefused:
                continue
            self._book.most_filters = min(self._book.most_filters, count)
            return "" if count == MOST_FILTERS else f"{count} are"
        return "not even 10 are"

    def _unique(self) -> str:
        self._book.apply([requests.create_metadata(KEY, "first", self._number)])
        with suppress(SheetRefused):
            self._book.apply([requests.create_metadata(KEY, "second", self._number)])
            return "it was"
        return ""

    def _shown(self) -> str:
        alone = any(t.id == self._number for t in self._book.structure((KEY,)).tags)
        cells = any(t.id == self._number for t in self._book.snapshot_and_tags([Block(self._tab.id, 0, 1, 0, 1)])[1])
        missing = [name for name, there in (("the spreadsheet alone", alone), ("chosen cells", cells)) if not there]
        return f"not with {' nor with '.join(missing)}" if missing else ""

    def _atomic(self) -> str:
        self._book.apply([self._write(ROWS - 1, "before")])
        with suppress(SheetRefused):
            self._book.apply([self._write(ROWS - 1, "after"), {"deleteSheet": {"sheetId": 2**31 - 2}}])
            return "a request that cannot be carried out was not refused"
        return "" if self._read(ROWS - 1) == ["before"] else "a part of one that was refused was applied"

    def _first_row(self) -> str:
        above = requests.insert(self._tab.id, "ROWS", 0, 1, like_before=False)
        self._book.apply([self._write(0, "first"), above])
        moved = self._read(0, 2)
        return "" if moved == [None, "first"] else f"the first rows are then {moved!r}"

    def _packed(self) -> str:
        self._book.apply([self._write(0, "x" * PACKED_LETTERS)])
        return "" if self._book.compresses else "they are not taken, and sent as they are"

    def _warned(self) -> str:
        columns = {"sheetId": self._tab.id, "startColumnIndex": 0, "endColumnIndex": 2}
        made = {"range": columns, "description": PLEASE_WAIT, "warningOnly": True}
        self._book.apply([{"addProtectedRange": {"protectedRange": made}}])
        there, told = self._book.structure(()).warnings, self._book.warnings
        self._book.apply([{"deleteProtectedRange": {"protectedRangeId": number}} for number in there])
        self._book.warnings = set()
        if told is None or not told or not told <= set(there):
            return f"its id is told as {told}, and found as {there}"
        return ""

    def _read_back(self) -> str:
        name = f"'{self._tab.title}'!A1:A1"
        answer = self._book.try_batch([self._write(0, "there")], read_back=[name])
        sheets = answer.get("updatedSpreadsheet", {}).get("sheets", [])
        found = [
            one.get("userEnteredValue", {}).get("stringValue")
            for sheet in sheets
            for data in sheet.get("data", [])
            for line in data.get("rowData", [])
            for one in line.get("values", [])
        ]
        return "" if found == ["there"] else f"it holds {found!r}"
