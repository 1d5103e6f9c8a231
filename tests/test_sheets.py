"""The Google Sheets destination beside a person who works in the same spreadsheet, and beside a Google that fails."""

from __future__ import annotations

import json
import os
import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError, TransportError
from google.oauth2.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, StoreFailed
from owox_tiktok.local.sheets import Server, Sheet, serve
from owox_tiktok.local.sheets.auth import OWNER
from owox_tiktok.model import Chunk, Cursor, Stored, Stream, Window
from owox_tiktok.rows import column
from owox_tiktok.sheets import lease
from owox_tiktok.sheets.client import API_VARIABLE, LIMITS, Sizes, Spreadsheet
from owox_tiktok.sheets.destination import Sheets
from owox_tiktok.sheets.errors import TooManyCells
from owox_tiktok.sheets.requests import Block
from owox_tiktok.spool import Writer
from owox_tiktok.streams import STREAMS
from owox_tiktok.titles import title
from tests import sheet_edits
from tests.helpers import NOW, Project, Row, differences, expected, in_order
from tests.sheets import columns_of_tab, in_a_cell, left_behind, numbered_rows, sheet_rows, tab_of, typed_cell

DAILY, HOURLY, ADS = STREAMS["ad_report_daily"], STREAMS["ad_report_hourly"], STREAMS["ads"]
LIFETIME = STREAMS["ad_report_lifetime"]
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = ("ad_name", "spend", "impressions")
AT_ONCE = replace(LIMITS, sleep=lambda _: None)
"""As often as ever, but without waiting."""
Json = dict[str, Any]


def day(n: int) -> date:
    return date(2026, 1, 1) + timedelta(days=n - 1)


def ad(number: int, of_day: int, **more: object) -> Row:
    return {"ad_id": f"17{number}", "stat_time_day": f"{day(of_day)} 00:00:00", "spend": "1.5", **more}


class Person:
    """A spreadsheet with somebody in it: what she does, and what she then sees."""

    def __init__(self, server: Server, folder: Path, stream: Stream = DAILY, sheets: tuple[Any, ...] = ()) -> None:
        self.server, self.folder, self.stream = server, folder, stream
        self.book = server.create("Her report", list(sheets))
        self.limits, self.sizes = AT_ONCE, Sizes()
        self._files = 0

    # --- the import ---

    def chunk(
        self,
        rows: list[Row],
        window: tuple[int, int] | None = (1, 9),
        *,
        stream: Stream | None = None,
        advertiser_id: str = "1",
        fields: tuple[str, ...] = FIELDS,
        currency: str = "EUR",
    ) -> Chunk:
        stream = stream or self.stream
        columns = stream.columns(fields)
        self._files += 1
        writer = Writer(self.folder / f"{self.book}{self._files}.csv", columns, stream.time)
        whole = [{"advertiser_id": advertiser_id, "currency": currency, **row} for row in rows]
        writer.append([column(f, [row.get(f.name) for row in whole]) for f in columns])
        writer.close()
        days = Window(day(window[0]), day(window[1])) if window and stream.time else None
        cursor = Cursor(frozenset(fields), AT, AT.date(), days.first if days else None, days.last if days else None)
        return Chunk(stream, advertiser_id, days, columns, writer.path, writer.rows, cursor, writer.seals, AT)

    def opened(self, *, read_only: bool = False) -> Sheets:
        return Sheets(Spreadsheet(self.book, limits=self.limits, sizes=self.sizes), read_only=read_only)

    def store(self, *chunks: Chunk) -> list[Stored]:
        with self.opened() as destination:
            destination.cursors()
            destination.prepare(chunks[0].stream, chunks[0].columns)
            return (destination.replace if chunks[0].stream.verb == "replace" else destination.upsert)(chunks)

    def cursors(self) -> dict[tuple[str, str], Cursor]:
        with self.opened(read_only=True) as destination:
            return {pair: known.cursor for pair, known in destination.cursors().items() if known.cursor}

    # --- the person ---

    @property
    def tab(self) -> Sheet:
        tab = tab_of(self.server, self.book, self.stream)
        assert tab is not None
        return tab

    def does(self, *requests: Json) -> None:
        self.server.batch(self.book, list(requests))

    def writes(self, row: int, at: int, value: Any) -> None:
        kind = "numberValue" if isinstance(value, int | float) else "stringValue"
        if isinstance(value, str) and value.startswith("="):
            kind = "formulaValue"
        self.does(
            {
                "updateCells": {
                    "start": {"sheetId": self.tab.sheet_id, "rowIndex": row, "columnIndex": at},
                    "rows": [{"values": [{"userEnteredValue": {kind: value}}]}],
                    "fields": "userEnteredValue",
                }
            }
        )

    def notes(self, row: int, at: int, text: str) -> None:
        start = {"sheetId": self.tab.sheet_id, "rowIndex": row, "columnIndex": at}
        self.does({"updateCells": {"start": start, "rows": [{"values": [{"note": text}]}], "fields": "note"}})

    def adds_column(self, heading: str, at: int | None = None) -> int:
        """Insert a column of her own before ``at`` (at the right end by default)."""
        width = self.tab.grid.column_count
        at = width if at is None else at
        place = {"sheetId": self.tab.sheet_id, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
        self.does({"insertDimension": {"range": place, "inheritFromBefore": at == width}})
        self.writes(0, at, heading)
        return at

    def removes(self, dimension: str, first: int, last: int | None = None) -> None:
        end = (first if last is None else last) + 1
        place = {"sheetId": self.tab.sheet_id, "dimension": dimension, "startIndex": first, "endIndex": end}
        self.does({"deleteDimension": {"range": place}})

    def sorts(self, by: int, *, down: bool = False) -> None:
        order = "DESCENDING" if down else "ASCENDING"
        spec = [{"dimensionIndex": by, "sortOrder": order}]
        self.does({"sortRange": {"range": {"sheetId": self.tab.sheet_id, "startRowIndex": 1}, "sortSpecs": spec}})

    # --- what is seen ---

    @property
    def rows(self) -> list[Row]:
        return sheet_rows(self.server, self.book, self.stream)

    def at(self, name: str) -> int:
        return columns_of_tab(self.server, self.book, self.stream)[name]

    def row_of(self, ad_id: str, of_day: int | None = None) -> int:
        return next(
            n
            for n, r in numbered_rows(self.server, self.book, self.stream)
            if r["ad_id"] == ad_id and (of_day is None or r["stat_time_day"] == day(of_day))
        )

    def sees(self, row: int, at: int) -> Any:
        content = self.tab.grid.content(row, at)
        return getattr(content, "text", content)

    def formulas(self) -> list[str]:
        model = self.server.spreadsheet(self.book)
        return [formula.text for sheet in model.sheets for _, _, formula in sheet.grid.formulas()]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve() as server:
        monkeypatch.setenv("SHEETS_API_URL", server.url)
        yield server


@pytest.fixture
def person(server: Server, tmp_path: Path) -> Person:
    return Person(server, tmp_path)


def keys(person: Person) -> set[tuple[str, int]]:
    return {(r["ad_id"], (r["stat_time_day"] - day(1)).days + 1) for r in person.rows}


# --- the tab ----------------------------------------------------------------------------------------------------------


def test_a_new_tab_has_a_frozen_bold_header_with_notes_formats_and_no_empty_grid(person: Person) -> None:
    person.store(person.chunk([ad(1, 2, impressions="5"), ad(2, 1)]))
    tab = person.tab
    assert tab.title == DAILY.title
    assert tab.grid_extra["frozenRowCount"] == 1
    assert (tab.grid.row_count, tab.grid.column_count) == (3, 7)
    assert tab.values()[0] == ["Account ID", "Ad ID", "Day", "Currency", "Ad name", "Spend", "Impressions"]
    looks = [tab.grid.look(0, c) for c in range(7)]
    assert all(look and look.parts["userEnteredFormat"]["textFormat"]["bold"] for look in looks)
    assert all(
        f.description in str(look and look.parts["note"]) for f, look in zip(DAILY.columns(FIELDS), looks, strict=True)
    )
    notes = [str(look and look.parts["note"]) for look in looks]
    assert "refreshed" in notes[0]
    # The first line of a note is the field's name and nothing else: by it a column can be known again.
    assert [note.splitlines()[0] for note in notes] == [f.name for f in DAILY.columns(FIELDS)]
    assert [r["stat_time_day"] for r in person.rows] == [day(1), day(2)], "in date order"
    (rule,) = tab.parts["conditionalFormats"]
    (said,) = rule["booleanRule"]["condition"]["values"]
    assert said["userEnteredValue"] == "=($C1>TODAY()-2)*($C1<TODAY()+2)", "what TikTok still changes looks like it"

    def pattern(name: str, row: int = 1) -> str:
        look = tab.grid.look(row, person.at(name))
        return str(look and look.parts["userEnteredFormat"]["numberFormat"]["pattern"])

    assert pattern("stat_time_day") == "yyyy-mm-dd"
    assert pattern("spend") == "#,##0.00"
    assert pattern("ad_id") == "@"
    person.store(person.chunk([ad(1, 1)], advertiser_id="2", currency="JPY"))
    assert pattern("spend", 2) == "#,##0", "of the row that was added before the last"


def test_headings_may_be_technical_and_a_tab_keeps_the_kind_it_has(server: Server, tmp_path: Path) -> None:
    person = Person(server, tmp_path)
    columns = DAILY.columns(FIELDS)
    address = f"sheets://{person.book}?technical_names=true"
    with open_destination(address, environment={API_VARIABLE: server.url}) as store:
        store.prepare(DAILY, columns)
    names = [f.name for f in columns]
    assert person.tab.values()[0] == names
    # As a tab of an earlier version: a new column is called as the others are, though nothing says so.
    person.store(person.chunk([ad(1, 1)], fields=(*FIELDS, "cost_per_conversion")))
    assert person.tab.values()[0] == [*names, "cost_per_conversion"]
    person.writes(0, person.at("spend"), "Cost")
    person.store(person.chunk([ad(1, 1)], fields=(*FIELDS, "clicks")))
    assert person.tab.values()[0][-1] == "clicks"
    assert "Cost" in person.tab.values()[0]


def test_a_state_tab_is_hidden_and_holds_the_cursors(person: Person) -> None:
    chunk = person.chunk([ad(1, 1)])
    person.store(chunk)
    hidden = [s for s in person.server.spreadsheet(person.book).sheets if s.hidden]
    assert len(hidden) == 1
    assert person.cursors() == {(DAILY.name, "1"): chunk.cursor}


def test_a_foreign_tab_of_the_wanted_title_is_left_alone(server: Server, tmp_path: Path) -> None:
    hers = {"title": DAILY.title.upper(), "values": [["mine", 1], ["=B1*2"]]}
    person = Person(server, tmp_path, sheets=(hers, {"title": "_owox_tiktok_state", "values": [["also mine"]]}))
    person.store(person.chunk([ad(1, 1)]))
    person.store(person.chunk([ad(2, 1)]))
    assert person.tab.title == f"{DAILY.title} (2)"
    sheets = server.spreadsheet(person.book).sheets
    assert sheets[0].values() == [["mine", 1.0], ["=B1*2"]]
    assert sheets[1].values() == [["also mine"]]
    assert len(sheets) == 4


def test_a_tab_the_person_deleted_is_filled_again_from_its_first_day(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    person.does({"deleteSheet": {"sheetId": person.tab.sheet_id}})
    assert person.cursors() == {}, "no cursor claims days that are gone"
    person.store(person.chunk([ad(1, 1)]))
    assert keys(person) == {("171", 1)}
    assert len(person.cursors()) == 1


def test_a_copy_that_takes_the_place_of_our_tab_is_read_again(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    old = person.tab.sheet_id
    person.does({"duplicateSheet": {"sourceSheetId": old, "newSheetName": "As it was"}})
    copy = next(s for s in person.server.spreadsheet(person.book).sheets if s.title == "As it was").sheet_id
    copied = [m for m in person.server.spreadsheet(person.book).metadata if m.sheet_id == old]
    for one in copied:  # it is not known whether Google copies tags along
        place = json.loads(json.dumps(one.location).replace(str(old), str(copy)))
        entry = {"metadataKey": one.key, "metadataValue": one.value, "visibility": "DOCUMENT", "location": place}
        person.does({"createDeveloperMetadata": {"developerMetadata": entry}})
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    person.does({"deleteSheet": {"sheetId": old}})
    with person.opened(read_only=True) as destination:
        assert "another one" in destination.cursors()[DAILY.name, "1"].lost
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    assert person.tab.title == "As it was"
    assert keys(person) == {("171", 1), ("172", 1)}
    assert len(person.cursors()) == 1


def test_a_window_that_would_hold_fewer_rows_than_were_read_moves_no_cursor(server: Server, tmp_path: Path) -> None:
    for stream, window in ((DAILY, (1, 9)), (ADS, None)):
        person = Person(server, tmp_path, stream)
        rows = [ad(1, 1), ad(1, 1)] if window else [{"ad_id": "1"}, {"ad_id": "1"}]
        with pytest.raises(StoreFailed, match=r"2 rows .*(the tab would hold 1|seals are of 1)"):
            person.store(person.chunk(rows, window, fields=("ad_name",)))
        assert person.rows == []
        assert person.cursors() == {}


def test_a_deleted_column_is_read_again_and_a_deleted_key_is_reported(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    person.removes("COLUMNS", person.at("spend"))
    assert person.cursors()[DAILY.name, "1"].fields == {"ad_name", "impressions"}
    person.store(person.chunk([ad(1, 1)]))
    assert person.rows[0]["spend"] == Decimal("1.5")
    assert person.cursors()[DAILY.name, "1"].fields == set(FIELDS)
    person.removes("COLUMNS", person.at("ad_id"))
    with pytest.raises(StoreFailed, match="ad_id"):
        person.store(person.chunk([ad(1, 1)]))


def test_headings_she_deleted_come_back_above_the_rows(person: Person) -> None:
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    person.removes("ROWS", 0)
    person.store(person.chunk([ad(1, 1), ad(2, 1), ad(3, 1)], fields=(*FIELDS, "clicks")))
    assert person.tab.values()[0] == [title(f.name) for f in DAILY.columns((*FIELDS, "clicks"))]
    person.removes("ROWS", 0)
    person.store(person.chunk([ad(1, 1), ad(4, 1)]))
    assert person.sees(0, person.at("spend")) == "Spend"
    assert keys(person) == {("171", 1), ("174", 1)}


def test_of_a_tab_and_its_duplicate_only_the_first_is_refreshed(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    tab = person.tab
    person.does({"duplicateSheet": {"sourceSheetId": tab.sheet_id, "newSheetName": "Kept as it was"}})
    person.store(person.chunk([ad(2, 1)]))
    assert person.tab is tab
    assert keys(person) == {("172", 1)}
    copy = person.server.spreadsheet(person.book).sheet_by_title("Kept as it was")
    assert copy is not None
    assert copy.values()[1][1] == "171"


# --- a person between two imports -------------------------------------------------------------------------------------


def test_renamed_tabs_and_headings_stay_renamed(person: Person) -> None:
    person.store(person.chunk([ad(1, 1), ad(2, 2)]))
    properties = {"sheetId": person.tab.sheet_id, "title": "My ads"}
    person.does({"updateSheetProperties": {"properties": properties, "fields": "title"}})
    person.writes(0, person.at("spend"), "Cost")
    assert person.store(person.chunk([ad(1, 1, spend="7"), ad(3, 2)]))[0] == Stored(2, 2)
    assert person.tab.title == "My ads"
    assert person.sees(0, person.at("spend")) == "Cost"
    assert {(r["ad_id"], r["spend"]) for r in person.rows} == {("171", 7), ("173", Decimal("1.5"))}


def test_columns_inserted_moved_and_rows_above_the_header_do_no_harm(person: Person) -> None:
    person.store(person.chunk([ad(n, 1) for n in range(1, 5)]))
    mine = person.adds_column("My remark", 2)
    person.writes(person.row_of("172"), mine, "watch this one")
    at = person.at("spend")
    source = {"sheetId": person.tab.sheet_id, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
    person.does({"moveDimension": {"source": source, "destinationIndex": 0}})
    place = {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "startIndex": 0, "endIndex": 2}
    person.does({"insertDimension": {"range": place, "inheritFromBefore": False}})
    person.store(person.chunk([ad(n, 1, spend=f"{n}") for n in range(1, 7)]))
    assert {r["ad_id"]: r["spend"] for r in person.rows} == {f"17{n}": n for n in range(1, 7)}
    remarks = [line.index("My remark") for line in person.tab.values() if "My remark" in line]
    assert person.sees(person.row_of("172"), remarks[0]) == "watch this one"


def test_after_a_sort_each_remark_is_still_beside_its_row(person: Person) -> None:
    rows = [ad(n, n, spend=f"{(n * 7) % 5}") for n in range(1, 8)]
    person.store(person.chunk(rows))
    mine = person.adds_column("My remark")
    for n in (2, 5):
        person.writes(person.row_of(f"17{n}"), mine, f"about {n}")
    person.sorts(person.at("spend"), down=True)
    person.store(person.chunk([{**r, "impressions": "9"} for r in rows] + [ad(8, 8)]))
    assert {r["ad_id"]: r["impressions"] for r in person.rows} == {f"17{n}": 9 for n in range(1, 8)} | {"178": None}
    assert [person.sees(person.row_of(f"17{n}"), mine) for n in (2, 5)] == ["about 2", "about 5"]


def test_only_cells_that_changed_are_written(person: Person) -> None:
    rows = [ad(n, 1) for n in range(1, 30)]
    person.store(person.chunk(rows))
    model = person.server.spreadsheet(person.book)
    journal = len(model.journal)
    person.store(person.chunk([{**r, "spend": "3"} if r["ad_id"] == "177" else r for r in rows]))
    touched = [t for t in model.journal[journal:] if t.box.sheet_id == person.tab.sheet_id]
    assert [(t.box.top, t.box.left, t.box.height, t.box.width) for t in touched] == [
        (person.row_of("177"), person.at("spend"), 1, 1)
    ]


def test_her_formula_is_filled_down_into_new_rows(person: Person) -> None:
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    mine = person.adds_column("Double")
    other = person.adds_column("By hand")
    for row in (1, 2):
        person.writes(row, mine, f"=F{row + 1}*2")
    person.writes(2, other, 5)
    person.store(person.chunk([ad(1, 1), ad(2, 1), ad(3, 2), ad(4, 2)]))
    assert [person.sees(row, mine) for row in range(1, 5)] == ["=F2*2", "=F3*2", "=F4*2", "=F5*2"]
    assert [person.sees(row, other) for row in range(1, 5)] == [None, None, None, 5], "new rows come before the last"
    assert person.row_of("172") == 4


def test_formulas_filled_ahead_of_the_data_are_used_and_a_total_below_moves_down(person: Person) -> None:
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    mine = person.adds_column("Double")
    place = {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "length": 3}
    person.does({"appendDimension": place})
    for row in range(1, 4):
        person.writes(row, mine, f"=F{row + 1}*2")
    person.writes(4, person.at("spend"), "=SUM(F2:F3)")
    person.writes(4, mine, "Total")
    person.store(person.chunk([ad(n, 1) for n in range(1, 6)]))
    assert [person.sees(row, mine) for row in range(1, 7)] == [*(f"=F{r}*2" for r in range(2, 7)), "Total"]
    assert [r["ad_id"] for r in person.rows if r["ad_id"]] == [f"17{n}" for n in range(1, 6)]
    assert person.sees(6, person.at("spend")) == "=SUM(F2:F3)"


def test_a_formula_that_spills_is_not_copied(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    mine = person.adds_column("Double")
    person.writes(1, mine, "=ARRAYFORMULA(F2:F*2)")
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    assert person.formulas() == ["=ARRAYFORMULA(F2:F*2)"]


def test_a_vanished_row_with_something_of_hers_is_emptied_and_reported(person: Person) -> None:
    person.store(person.chunk([ad(n, 1) for n in range(1, 6)]))
    mine, formula = person.adds_column("My remark"), person.adds_column("Double")
    for row in range(1, 6):
        person.writes(row, formula, f"=F{row + 1}*2")
    person.writes(person.row_of("172"), mine, "keep me")
    person.notes(person.row_of("173"), person.at("spend"), "why so much?")
    person.writes(person.row_of("174"), formula, "=F5*3")
    (stored,) = person.store(person.chunk([ad(5, 1)]))
    assert (stored.rows, stored.replaced) == (1, 5)
    assert "3 rows" in stored.notes[0]
    assert [r["ad_id"] for r in person.rows] == ["175"]
    lines = person.tab.values()
    assert [line[mine] for line in lines[1:] if len(line) > mine and line[mine]] == ["keep me"]
    assert "=F4*3" in person.formulas(), "the one she wrote herself"
    noted = [
        row for row in range(1, 6) if (look := person.tab.grid.look(row, person.at("spend"))) and "note" in look.parts
    ]
    assert len(noted) == 1
    assert len(lines) == 5, "the row with nothing but a filled-down formula went"


def test_her_formula_survives_when_every_row_goes(person: Person) -> None:
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    mine = person.adds_column("Double")
    for row in (1, 2):
        person.writes(row, mine, f"=F{row + 1}*2")
    person.store(person.chunk([]))
    assert person.rows == []
    assert len(person.formulas()) == 1
    person.store(person.chunk([ad(3, 2), ad(4, 2)]))
    assert [person.sees(row, mine) for row in range(1, 3)] == ["=F2*2", "=F3*2"]
    person.store(person.chunk([ad(8, 3), ad(9, 3)]))
    assert [person.sees(row, mine) for row in range(1, 3)] == ["=F2*2", "=F3*2"]
    assert [r["ad_id"] for r in person.rows] == ["178", "179"]
    assert len(person.tab.values()) == 3


def test_rows_she_deleted_come_back_and_rows_of_her_own_stay(person: Person) -> None:
    rows = [ad(n, 1) for n in range(1, 6)]
    person.store(person.chunk(rows))
    person.removes("ROWS", 2, 3)
    place = {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "startIndex": 2, "endIndex": 3}
    person.does({"insertDimension": {"range": place, "inheritFromBefore": True}})
    person.writes(2, person.at("advertiser_id"), "Subtotal")
    person.writes(2, person.at("spend"), 42)
    person.store(person.chunk(rows))
    assert {r["ad_id"] for r in person.rows if r["ad_id"]} == {f"17{n}" for n in range(1, 6)}
    assert [person.sees(2, person.at(n)) for n in ("advertiser_id", "spend")] == ["Subtotal", 42]


def test_a_copy_of_one_of_our_rows_does_not_make_it_twice(person: Person) -> None:
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    person.does({"appendDimension": {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "length": 1}})
    source = Block(person.tab.sheet_id, 1, 2, 0, 7).as_range()
    target = Block(person.tab.sheet_id, 3, 4, 0, 7).as_range()
    person.does({"copyPaste": {"source": source, "destination": target, "pasteType": "PASTE_NORMAL"}})
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    assert sorted(r["ad_id"] for r in person.rows) == ["171", "172"]


def test_a_filter_stays_and_hides_nothing_from_us(person: Person) -> None:
    person.store(person.chunk([ad(n, 1, impressions=f"{n}") for n in range(1, 6)]))
    at = person.at("impressions")
    specs = [{"columnIndex": at, "filterCriteria": {"hiddenValues": ["2", "3"]}}]
    person.does({"setBasicFilter": {"filter": {"range": {"sheetId": person.tab.sheet_id}, "filterSpecs": specs}}})
    person.store(person.chunk([ad(n, 1, spend="8") for n in range(2, 7)]))
    assert {r["ad_id"]: r["spend"] for r in person.rows} == {f"17{n}": 8 for n in range(2, 7)}
    assert person.tab.basic_filter is not None


@pytest.mark.parametrize("rows", [0, 1])
def test_what_covered_only_headings_or_a_single_row_grows_with_the_rows(person: Person, rows: int) -> None:
    with person.opened() as destination:
        destination.prepare(DAILY, person.chunk([ad(1, 1)]).columns)
    if rows:
        person.store(person.chunk([ad(1, 1)]))
    tab, mine = person.tab, person.adds_column("My remark")
    whole = {"sheetId": tab.sheet_id, "startRowIndex": 0, "endRowIndex": 1 + rows, "startColumnIndex": 0}
    hers = {**whole, "endRowIndex": 1, "startColumnIndex": mine, "endColumnIndex": mine + 1}
    specs = [{"columnIndex": person.at("spend"), "filterCriteria": {"hiddenValues": ["9"]}}]
    person.does(
        {"setBasicFilter": {"filter": {"range": {**whole, "endColumnIndex": mine}, "filterSpecs": specs}}},
        {"addBanding": {"bandedRange": {"range": {**whole, "endColumnIndex": 2}, "rowProperties": BANDS}}},
        {"addBanding": {"bandedRange": {"range": hers, "rowProperties": BANDS}}},
    )
    person.store(person.chunk([ad(n, 1) for n in range(1, 6)]))
    person.store(person.chunk([ad(n, 1) for n in range(1, 8)]))
    found = person.tab.basic_filter
    assert found is not None
    assert (found["range"]["endRowIndex"], found["filterSpecs"]) == (8, specs)
    ends = {b["range"]["startColumnIndex"]: b["range"]["endRowIndex"] for b in person.tab.parts["bandedRanges"]}
    assert ends == {0: 8, mine: 1}


def test_a_native_table_of_the_empty_tab_grows_with_the_rows(person: Person) -> None:
    with person.opened() as destination:
        destination.prepare(DAILY, person.chunk([ad(1, 1)]).columns)
    columns = person.tab.grid.column_count
    place = {"sheetId": person.tab.sheet_id, "startRowIndex": 0, "endRowIndex": 2, "startColumnIndex": 0}
    person.does({"addTable": {"table": {"name": "Ads", "range": {**place, "endColumnIndex": columns}}}})
    person.store(person.chunk([ad(n, 1) for n in range(1, 6)]))
    assert person.tab.parts["tables"][0]["range"]["endRowIndex"] == 6
    assert len(person.rows) == 5


BANDS = {"firstBandColor": {"red": 1}, "secondBandColor": {"green": 1}}


def test_pruning_follows_the_same_rule(person: Person, caplog: pytest.LogCaptureFixture) -> None:
    person.store(person.chunk([ad(1, n) for n in range(1, 8)]))
    mine = person.adds_column("My remark")
    person.writes(person.row_of("171", 2), mine, "a good day")
    with person.opened() as destination:
        assert destination.prune(DAILY, {"1": day(4)}, dry_run=True) == 3
        assert destination.prune(DAILY, {"1": day(4)}, dry_run=False) == 3
    assert keys(person) == {("171", n) for n in range(4, 8)}
    assert person.cursors()[DAILY.name, "1"].since == day(4)
    assert [line[mine] for line in person.tab.values()[1:] if len(line) > mine] == ["a good day"]
    assert "1 row went away" in caplog.text


# --- a person during an import ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["sort", "insert column", "insert row", "delete row", "rename"])
def test_who_changes_the_tab_while_it_is_being_imported_does_no_harm(person: Person, what: str) -> None:
    person.store(person.chunk([ad(n, 1, spend=f"{9 - n}") for n in range(1, 9)]))
    mine = person.adds_column("My remark")
    for n in range(1, 9):
        person.writes(person.row_of(f"17{n}"), mine, f"about 17{n}")
    moves: dict[str, Any] = {
        "sort": lambda: person.sorts(person.at("spend")),
        "insert column": lambda: person.adds_column("another", 1),
        "insert row": lambda: person.does(
            {
                "insertDimension": {
                    "range": {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "startIndex": 1, "endIndex": 2},
                    "inheritFromBefore": False,
                }
            }
        ),
        "delete row": lambda: person.removes("ROWS", person.row_of("173")),
        "rename": lambda: person.does(
            {
                "updateSheetProperties": {
                    "properties": {"sheetId": person.tab.sheet_id, "title": "x"},
                    "fields": "title",
                }
            }
        ),
    }
    with person.opened() as destination:
        first = person.chunk([ad(n, 1, spend=f"{9 - n}") for n in range(1, 9)])
        destination.prepare(DAILY, first.columns)
        destination.replace([first])
        moves[what]()
        destination.replace([person.chunk([ad(n, 1, spend=f"{n}0") for n in range(1, 10)])])
    assert {r["ad_id"]: r["spend"] for r in person.rows} == {f"17{n}": n * 10 for n in range(1, 10)}
    remark = next(line.index("My remark") for line in person.tab.values() if "My remark" in line)
    gone = {"173"} if what == "delete row" else set()
    for n in range(1, 9):
        if f"17{n}" not in gone:
            assert person.sees(person.row_of(f"17{n}"), remark) == f"about 17{n}"


MOVES = ("sort", "move column", "insert row", "insert column", "delete row")


@pytest.mark.parametrize("what", MOVES)
@pytest.mark.parametrize("turn", range(4, 9))
def test_a_change_between_any_two_reads_is_noticed(person: Person, what: str, turn: int) -> None:
    person.store(person.chunk([ad(n, 1, spend=f"{9 - n}") for n in range(1, 6)]))
    mine = person.adds_column("My remark")
    for n in range(1, 6):
        person.writes(person.row_of(f"17{n}"), mine, f"about 17{n}")
    calls = 0

    def between(method: str, path: str) -> None:
        nonlocal calls
        calls += 1
        # Between the last look and the write nobody can look any more.
        if calls == turn and not path.endswith(":batchUpdate"):
            person.server.on_call = None
            if what == "sort":
                person.sorts(person.at("spend"))
            elif what == "move column":
                at = person.at("spend")
                place = {"sheetId": person.tab.sheet_id, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
                person.does({"moveDimension": {"source": place, "destinationIndex": 1}})
            elif what == "insert row":
                place = {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "startIndex": 1, "endIndex": 2}
                person.does({"insertDimension": {"range": place, "inheritFromBefore": False}})
            elif what == "insert column":
                person.adds_column("Another", 1)
            else:
                person.removes("ROWS", person.row_of("173"))

    person.server.on_call = between
    person.store(person.chunk([ad(n, 1, spend=f"{n}0", impressions="4") for n in range(2, 8)]))
    person.server.on_call = None
    assert {r["ad_id"]: (r["spend"], r["impressions"]) for r in person.rows} == {
        f"17{n}": (n * 10, 4) for n in range(2, 8)
    }
    assert left_behind(person.server, person.book, DAILY) == []
    remark = next(line.index("My remark") for line in person.tab.values() if "My remark" in line)
    for n in (2, 4, 5):
        assert person.sees(person.row_of(f"17{n}"), remark) == f"about 17{n}"


@pytest.mark.parametrize("what", [*MOVES, "insert row on top", "move row"])
@pytest.mark.parametrize("seed", range(3))
def test_a_change_between_the_last_look_and_the_batch_is_seen_in_the_answer(
    person: Person, what: str, seed: int
) -> None:
    person.store(person.chunk([ad(n, n, spend=f"{9 - n}") for n in range(1, 9)], (1, 8)))
    mine = person.adds_column("My remark")
    for n in range(1, 9):
        person.writes(person.row_of(f"17{n}"), mine, f"about 17{n}")
    person.does({"appendDimension": {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "length": 1}})
    person.writes(9, mine, "TOTAL")
    tab = sheet_edits.Tab(person.server, person.book, DAILY, random.Random(f"{what} {seed}"))
    named = re.sub(r"^(insert|delete|move) (row|column)", r"\1 a \2", what)
    before = {r["ad_id"]: r["spend"] for r in person.rows}
    batches = 0
    edited: list[str] = []

    def between(_: str, path: str) -> None:
        nonlocal batches
        batches += path.endswith(":batchUpdate")
        if batches == 2 and path.endswith(":batchUpdate"):  # the first one takes the lease
            person.server.on_call = None
            sheet_edits.EDITS[named](tab)
            edited.append(named)

    person.server.on_call = between
    rows = [ad(n, n, spend=f"{n}0", impressions="4") for n in range(5, 11) if n != 6]
    (stored,) = person.store(person.chunk(rows, (5, 10)))
    person.server.on_call = None
    assert edited
    now = {r["ad_id"]: (r["spend"], r["impressions"]) for r in person.rows}
    assert {a: v for a, v in now.items() if int(a[2:]) >= 5} == {f"17{n}": (n * 10, 4) for n in (5, 7, 8, 9, 10)}
    assert left_behind(person.server, person.book, DAILY) == []
    remark = next(line.index("My remark") for line in person.tab.values() if "My remark" in line)
    for row, cells in numbered_rows(person.server, person.book, DAILY):
        assert person.sees(row, remark) in (None, f"about {cells['ad_id']}")
    hit = {a for a, spend in before.items() if int(a[2:]) < 5 and now.get(a, ("", ""))[0] != spend}
    with person.opened() as destination:
        destination.cursors()
        marked = destination.audit([DAILY]).differing.get((DAILY.name, "1"), {})
    assert {day(int(a[2:])) for a in hit} <= marked.keys(), "what it has hit is read again"
    if hit and what not in ("delete row",):
        assert "at the very moment" in str(stored.notes)


# --- values -----------------------------------------------------------------------------------------------------------

INJECTIONS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "'=1", "=HYPERLINK(\"http://x\",\"y\")", "=IMPORTXML(\"http://x\",\"//a\")",
    "=IMPORTDATA(A1)", "1E5", "1/2", "007", "TRUE", "2026-01-01", "10%", "$5", " =1", "=cmd|' /C calc'!A0", "{=1}",
]  # fmt: skip


def test_no_text_ever_becomes_a_formula_a_date_or_a_number(server: Server, tmp_path: Path) -> None:
    person = Person(server, tmp_path, ADS)
    rows: list[Row] = [{"ad_id": text, "ad_name": text} for text in INJECTIONS]
    person.store(person.chunk(rows, None, fields=("ad_name",)))
    with person.opened() as destination:
        destination.failed(ADS, "=1+1", '=IMPORTXML("http://x","//a")', AT)
    person.store(person.chunk(list(reversed(rows)), None, fields=("ad_name",)))
    assert {(r["ad_id"], r["ad_name"]) for r in person.rows} == {(t, t) for t in INJECTIONS}
    assert person.formulas() == []
    for _, row in numbered_rows(server, person.book, ADS):
        assert all(isinstance(v, str) for v in row.values())


def test_a_text_longer_than_a_cell_is_cut_and_marked(server: Server, tmp_path: Path) -> None:
    person = Person(server, tmp_path, ADS)
    long: list[Row] = [{"ad_id": "1", "ad_name": "x" * 60_000}, {"ad_id": "2", "ad_name": "🌞" * 30_000}]
    person.store(person.chunk(long, None, fields=("ad_name",)))
    person.store(person.chunk(long, None, fields=("ad_name",)))
    for row in person.rows:
        assert row["ad_name"].endswith("(cut)")
        assert len(row["ad_name"].encode("utf-16-le")) // 2 <= 50_000


def test_nothing_is_blank_and_zero_is_zero(person: Person) -> None:
    person.store(person.chunk([ad(1, 1, spend="0", impressions="-"), ad(2, 1, spend="-", impressions="0")]))
    cells = {r["ad_id"]: (r["spend"], r["impressions"]) for r in person.rows}
    assert cells == {"171": (0, None), "172": (None, 0)}


# --- a Google that fails ----------------------------------------------------------------------------------------------


def test_passing_faults_end_as_if_there_had_been_none(person: Person) -> None:
    faults = person.server.faults
    faults.rate, faults.in_a_row = 0.5, 3
    for turn in range(4):
        person.store(person.chunk([ad(n, 1 + n % 3, spend=f"{turn}{n}") for n in range(turn, turn + 20)]))
    faults.rate = 0
    assert {r["ad_id"]: r["spend"] for r in person.rows} == {f"17{n}": Decimal(f"3{n}") for n in range(3, 23)}
    statuses = person.server.counts["by_status"]
    assert {"http_429", "http_503", "lost", "late_500"} <= statuses.keys()


@pytest.mark.parametrize("kind", ["lost", "late_500", "late_503", "reset", "http_503", "http_409", "html_502"])
def test_a_batch_whose_answer_is_lost_is_applied_once(person: Person, kind: str) -> None:
    person.store(person.chunk([ad(1, 1)]))
    mine = person.adds_column("My remark")
    person.writes(1, mine, "first")
    faults = person.server.faults
    faults.only, faults.script = ":batchUpdate", [kind, "", kind, ""]
    version = len(person.server.log)
    person.store(person.chunk([ad(n, 1) for n in range(1, 5)]))
    calls = [c for c in person.server.log[version:] if c.path.endswith(":batchUpdate")]
    # Two of the three batches (lease, rows, giving back) fail.
    assert len(calls) == (3 if kind in ("lost", "late_500", "late_503") else 5)
    assert sorted(r["ad_id"] for r in person.rows) == ["171", "172", "173", "174"]
    assert person.tab.grid.row_count == 5
    assert person.sees(1, mine) == "first"
    faults.clock_ahead_s = 3660
    person.store(person.chunk([ad(1, 1)]))
    markers = [m for m in person.server.spreadsheet(person.book).metadata if m.key == "owox.batch"]
    assert len(markers) == 1, "old markers are cleared away"
    faults.clock_ahead_s = 0


def test_deleting_metadata_that_is_not_there_is_never_asked_for(person: Person) -> None:
    person.server.faults.refuse_empty_filters = True
    for turn in range(3):
        person.store(person.chunk([ad(turn, 1)]))
    assert keys(person) == {("172", 1)}


def test_when_google_never_answers_nothing_is_half_written(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    before, cursors = in_order(person.rows), person.cursors()
    person.limits = replace(AT_ONCE, attempts=3)
    person.server.faults.only, person.server.faults.script = ":batchUpdate", ["http_503"] * 9
    with pytest.raises(StoreFailed, match="503"):
        person.store(person.chunk([ad(2, 1)]))
    person.server.faults.script = []
    assert in_order(person.rows) == before
    assert person.cursors() == cursors


def test_an_unshared_spreadsheet_is_one_sentence_with_the_address(server: Server, person: Person) -> None:

    class Robot(AnonymousCredentials):
        service_account_email = "robot@project.iam.gserviceaccount.com"

    server.faults.forbidden.add(person.book)
    with pytest.raises(StoreFailed) as caught:
        Spreadsheet(person.book, credentials=Robot()).structure([])  # type: ignore[no-untyped-call]
    assert "robot@project.iam.gserviceaccount.com" in caught.value.sentence
    assert "Share" in caught.value.sentence
    server.faults.forbidden.clear()
    server.faults.office.add(person.book)
    with pytest.raises(StoreFailed, match="Excel"):
        Spreadsheet(person.book).structure([])
    with pytest.raises(StoreFailed, match="no such spreadsheet"):
        Spreadsheet("not-there-at-all").structure([])


def test_a_sign_in_that_fails_for_a_moment_is_tried_again(person: Person) -> None:

    class Slow(AnonymousCredentials):
        left = 2

        def before_request(self, *_: Any) -> None:
            self.left -= 1
            if self.left >= 0:
                raise RefreshError("metadata.google.internal") from TransportError("timed out")  # type: ignore[no-untyped-call]

    book = Spreadsheet(person.book, credentials=Slow(), limits=AT_ONCE)  # type: ignore[no-untyped-call]
    assert book.structure([]).tabs


@pytest.mark.parametrize("address", ["sheets://", "sheets://a b", "sheets://?"])
def test_an_address_without_an_id_is_a_mistake_with_advice(address: str) -> None:
    with pytest.raises(BadInput, match="/d/"):
        open_destination(address)


def test_a_protected_range_is_reported(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    person.server.share(person.book, "robot@x.iam.gserviceaccount.com")
    protected = {"range": {"sheetId": person.tab.sheet_id}, "editors": {"users": [OWNER]}}
    person.does({"addProtectedRange": {"protectedRange": protected}})

    robot = Credentials(person.server.token("robot@x.iam.gserviceaccount.com"))  # type: ignore[no-untyped-call]
    book = Spreadsheet(person.book, credentials=robot)
    write = {"updateCells": {"range": {"sheetId": person.tab.sheet_id}, "fields": "userEnteredValue"}}
    with pytest.raises(StoreFailed, match="protected"):
        book.apply([write])
    book.close()


# --- room -------------------------------------------------------------------------------------------------------------


def test_how_many_cells_a_spreadsheet_takes_is_learnt_from_google(person: Person) -> None:
    book = Spreadsheet(person.book, limits=AT_ONCE)
    assert book.sizes.cells == 20_000_000, "as announced"
    grid = {"rowCount": 10_000_001, "columnCount": 1}
    with pytest.raises(TooManyCells) as caught:
        book.apply([{"addSheet": {"properties": {"title": "Large", "gridProperties": grid}}}])
    assert caught.value.limit == 10_000_000
    assert book.sizes.cells == 10_000_000


def test_what_does_not_fit_stops_beforehand_with_figures(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    used = sum(s.grid.row_count * s.grid.column_count for s in person.server.spreadsheet(person.book).sheets)
    person.sizes = Sizes(cells=used + 70)
    person.does({"appendDimension": {"sheetId": person.tab.sheet_id, "dimension": "ROWS", "length": 50}})
    person.store(person.chunk([ad(n, 1) for n in range(1, 8)]))
    assert len(person.rows) == 7
    before = in_order(person.rows)
    with pytest.raises(TooManyCells) as caught:
        person.store(person.chunk([ad(n, 1) for n in range(1, 200)]))
    assert f"{used + 70:,}" in caught.value.sentence
    assert "BigQuery" in caught.value.sentence
    assert in_order(person.rows) == before


def test_the_empty_grid_of_our_tabs_is_given_back_when_room_is_short(person: Person) -> None:
    other = Person(person.server, person.folder, ADS)
    other.book = person.book
    other.store(other.chunk([{"ad_id": "1"}], None, fields=("ad_name",)))
    other.does({"appendDimension": {"sheetId": other.tab.sheet_id, "dimension": "ROWS", "length": 500}})
    person.store(person.chunk([ad(1, 1)]))
    used = sum(s.grid.row_count * s.grid.column_count for s in person.server.spreadsheet(person.book).sheets)
    person.sizes = Sizes(cells=used + 10)
    person.store(person.chunk([ad(n, 1) for n in range(1, 21)]))
    assert len(person.rows) == 20
    assert other.tab.grid.row_count == 2


def test_a_window_larger_than_a_batch_brings_its_cursor_last(person: Person) -> None:
    person.limits, person.sizes = replace(AT_ONCE, attempts=1), Sizes(batch_bytes=20_000)
    person.store(person.chunk([ad(500, 5)], (5, 9)))
    rows = [ad(n, 9 - n % 4) for n in range(200)]
    chunk = person.chunk(rows, (5, 9))
    old = person.cursors()
    person.server.faults.only, person.server.faults.script = ":batchUpdate", ["", "", "http_503"]
    with pytest.raises(StoreFailed):
        person.store(chunk)
    person.server.faults.script = []
    assert person.cursors() == old
    assert ("17500", 5) in keys(person), "vanished rows go with the last batch"
    calls = len(person.server.log)
    assert person.store(chunk)[0].rows == 200
    batches = [c for c in person.server.log[calls:] if c.path.endswith(":batchUpdate")]
    assert 2 <= len(batches) <= 10
    assert all(c.request_bytes < 25_000 for c in batches)
    assert keys(person) == {(r["ad_id"], 9 - n % 4) for n, r in enumerate(rows)}


def test_the_number_of_calls_does_not_depend_on_cells(person: Person) -> None:
    def calls(rows: int) -> int:
        before = len(person.server.log)
        person.store(person.chunk([ad(n, 1 + n % 7, spend=f"{rows}") for n in range(rows)]))
        return len(person.server.log) - before

    calls(10)
    few, many, again = calls(100), calls(2000), calls(2000)
    assert few == many == again
    assert many <= 12, "five of them are for the lease"


# --- with the rest of the program -------------------------------------------------------------------------------------


def test_an_import_equals_tiktok_and_so_does_the_next_one_days_later(server: Server, project: Project) -> None:
    book = server.create("Her report")
    server.faults.rate, server.faults.in_a_row = 0.2, 2
    world = project.server.world
    for _ in range(2):
        ran = project.import_(destination=f"sheets://{book}", objects=["ads", "ad_report_daily"])
        assert ran.exit_code == 0
        for stream in (ADS, DAILY):
            names = list(columns_of_tab(server, book, stream))
            wanted = [
                {k: in_a_cell(v) for k, v in row.items()}
                for advertiser_id in project.server.advertiser_ids
                for row in expected(world, stream, advertiser_id, names)
            ]
            assert wanted
            assert differences(sheet_rows(server, book, stream), wanted, stream.keys) == []
        world.as_of = NOW + timedelta(days=3)


# --- the whole of it, at random ---------------------------------------------------------------------------------------

EDITS = st.sampled_from(
    ["sort", "insert column", "move column", "rename", "rename tab", "filter", "delete rows", "row"]
)
EXAMPLES = int(os.environ.get("SHEETS_EXAMPLES", "40"))
TURN = st.tuples(
    st.lists(st.tuples(EDITS, st.integers(0, 50)), max_size=4),
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(0, 99)), max_size=14),
    st.lists(st.sampled_from(["", "lost", "late_500", "http_503", "http_429", "reset"]), max_size=6),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 3)),
)


class Killed(BaseException):
    """The end of the process, as far as a test can have it."""


def _store_killed_after(person: Person, chunk: Chunk, batches: int) -> None:
    """Store, but be killed after so many batches."""
    apply, left = Spreadsheet.apply, [batches]

    def applied(book: Spreadsheet, batch: Any, *more: Any) -> Any:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return apply(book, batch, *more)

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(Spreadsheet, "apply", applied)
        person.store(chunk)


@settings(max_examples=EXAMPLES)
@given(turns=st.lists(TURN, min_size=1, max_size=5))
def test_whatever_she_does_our_columns_are_right_and_hers_follow_their_rows(turns: list[Any]) -> None:
    patch = pytest.MonkeyPatch()
    with tempfile.TemporaryDirectory() as folder, serve() as server, patch.context() as fixed:
        fixed.setenv("SHEETS_API_URL", server.url)
        person = Person(server, Path(folder))
        person.sizes = Sizes(batch_bytes=1_500)  # three rows or so
        _live_with(person, turns)


def _live_with(person: Person, turns: list[Any]) -> None:
    server = person.server
    person.store(person.chunk([ad(n, 1) for n in range(1, 4)]))
    remark = person.adds_column("R E M A R K")
    double = person.adds_column("D O U B L E")
    said: dict[tuple[str, int], str] = {}
    wanted: dict[tuple[str, int], Decimal] = {}

    def where(heading: str) -> int:
        return next(line.index(heading) for line in person.tab.values() if heading in line)

    def has_double() -> None:
        spend = chr(65 + person.at("spend"))
        for row, _ in numbered_rows(server, person.book, DAILY):
            person.writes(row, where("D O U B L E"), f"={spend}{row + 1}*2")

    assert remark < double
    has_double()
    for edits, rows, script, whole, killed in turns:
        for what, n in edits:
            _edit(person, what, n)
        there = numbered_rows(server, person.book, DAILY)
        if there and whole:
            row, cells = there[len(said) % len(there)]
            key = (cells["ad_id"], (cells["stat_time_day"] - day(1)).days + 1)
            said[key] = said.get(key) or f"about {key}"
            person.writes(row, where("R E M A R K"), said[key])
        # Her remarks as they stand now: rows she deleted took theirs along, and emptied rows have no key any more.
        said = {
            (c["ad_id"], (c["stat_time_day"] - day(1)).days + 1): text
            for row, c in numbered_rows(server, person.book, DAILY)
            if (text := person.sees(row, where("R E M A R K")))
        }
        orphans = _orphans(person, where("R E M A R K"))
        wanted = {(f"17{n}", d): Decimal(v) / 4 for n, d, v in rows}
        server.faults.only, server.faults.script = "/v4/", list(script)
        chunk = person.chunk([ad(int(a[2:]), d, spend=str(v)) for (a, d), v in wanted.items()], (1, 9))
        if killed is not None:
            _store_killed_after(person, chunk, killed)
            server.faults.clock_ahead_s += lease.TERMS.ttl_s + 1  # the lease of a dead run runs out
        person.store(chunk)
        server.faults.script = []

        stored = {(r["ad_id"], (r["stat_time_day"] - day(1)).days + 1): r["spend"] for r in person.rows}
        assert stored == wanted
        assert len(person.rows) == len(wanted), "no row twice"
        assert left_behind(server, person.book, DAILY) == []
        for row, c in numbered_rows(server, person.book, DAILY):
            key = (c["ad_id"], (c["stat_time_day"] - day(1)).days + 1)
            assert person.sees(row, where("R E M A R K")) == said.get(key)
        kept = sorted([*orphans, *(text for key, text in said.items() if key not in wanted)])
        assert _orphans(person, where("R E M A R K")) == kept
        spend = chr(65 + person.at("spend"))
        for row, _ in numbered_rows(server, person.book, DAILY):
            text = person.sees(row, where("D O U B L E"))
            assert text in (None, f"={spend}{row + 1}*2")
        assert all(f.endswith("*2") for f in person.formulas())


def _orphans(person: Person, remark: int) -> list[str]:
    """Remarks in rows that have no key of ours."""
    ours = {row for row, _ in numbered_rows(person.server, person.book, DAILY)}
    return sorted(
        line[remark]
        for row, line in enumerate(person.tab.values())
        if row not in ours and len(line) > remark and line[remark] and line[remark] != "R E M A R K"
    )


def _edit(person: Person, what: str, n: int) -> None:
    tab = person.tab
    grid = tab.grid
    ident = {"sheetId": tab.sheet_id}
    if what == "sort":
        person.sorts(n % grid.column_count, down=n % 2 == 0)
    elif what == "insert column":
        if grid.column_count < 20:
            at = n % grid.column_count
            place = {**ident, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
            person.does({"insertDimension": {"range": place, "inheritFromBefore": False}})
    elif what == "move column":
        at = n % grid.column_count
        place = {**ident, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
        target = (n * 7) % (grid.column_count + 1)
        if target not in (at, at + 1):
            person.does({"moveDimension": {"source": place, "destinationIndex": target}})
    elif what == "rename":
        names = list(columns_of_tab(person.server, person.book, DAILY))
        person.writes(0, person.at(names[n % len(names)]), f"My name {n}")
    elif what == "rename tab":
        person.does({"updateSheetProperties": {"properties": {**ident, "title": f"T {n}"}, "fields": "title"}})
    elif what == "filter":
        person.does({"setBasicFilter": {"filter": {"range": ident}}})
    elif what == "delete rows":
        if grid.row_count > 3:
            at = 1 + n % (grid.row_count - 2)
            person.removes("ROWS", at)
    else:
        at = 1 + n % (grid.row_count - 1)
        place = {**ident, "dimension": "ROWS", "startIndex": at, "endIndex": at + 1}
        person.does({"insertDimension": {"range": place, "inheritFromBefore": True}})


def test_in_a_cell_is_what_is_read_back() -> None:
    for amount in ("0.1", "123456789.12", "1e20"):
        value = Decimal(amount)
        assert typed_cell(DAILY.fields["spend"].kind, float(value)) == in_a_cell(value)


# --- tags -------------------------------------------------------------------------------------------------------------


def test_the_tags_of_all_fields_leave_room(server: Server, tmp_path: Path) -> None:
    widest = max(STREAMS.values(), key=lambda s: len(s.fields))
    person = Person(server, tmp_path, widest)
    with person.opened() as destination:
        destination.prepare(widest, widest.columns(tuple(widest.fields)))
    tags = [m for m in server.spreadsheet(person.book).metadata if m.sheet_id == person.tab.sheet_id]
    assert len(tags) >= len(widest.fields) > 800
    assert sum(len(t.key) + len(t.value or "") for t in tags) < 24_000, "Google takes 30,000 characters per tab"


def test_tags_of_an_earlier_version_are_read_and_shortened(person: Person) -> None:
    person.store(person.chunk([ad(1, 1)]))
    model = person.server.spreadsheet(person.book)
    model.metadata = [replace(m, key="owox.col") if m.key == "ox" else m for m in model.metadata]
    person.store(person.chunk([ad(1, 1), ad(2, 1)]))
    assert {r["ad_id"] for r in person.rows} == {"171", "172"}
    assert {m.key for m in model.metadata if m.location_type == "COLUMN"} == {"owox.col"}, (
        "nothing is done for its own sake"
    )
    person.store(person.chunk([ad(1, 1)], fields=(*FIELDS, "clicks")))
    assert {m.key for m in model.metadata if m.location_type == "COLUMN"} == {"ox"}
    assert [r["ad_id"] for r in person.rows] == ["171"]
    columns = [m.value for m in model.metadata if m.location_type == "COLUMN"]
    assert len(columns) == len(set(columns))
