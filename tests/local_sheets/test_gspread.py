"""The client most people use, against the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from owox_tiktok.local.sheets import Server
from owox_tiktok.local.sheets.clients import gspread_client

gspread = pytest.importorskip("gspread")


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    client = gspread_client(server)
    yield client
    client.http_client.session.close()


@pytest.fixture
def sheet(client: Any) -> Any:
    return client.create("Book").sheet1


def test_open_and_list(client: Any) -> None:
    made = client.create("Mine")
    assert client.open("Mine").id == made.id
    assert client.open_by_key(made.id).title == "Mine"
    assert [one.title for one in client.open("Mine").worksheets()] == ["Sheet1"]
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open("Not there")


def test_values(sheet: Any) -> None:
    sheet.update([["name", "cost"], ["a", 1], ["b", 2.5]], "A1")
    assert sheet.get_all_records() == [{"name": "a", "cost": 1}, {"name": "b", "cost": 2.5}]
    sheet.append_row(["c", 3])
    sheet.append_rows([["d", 4]], insert_data_option="INSERT_ROWS")
    assert sheet.col_values(1) == ["name", "a", "b", "c", "d"]
    assert (sheet.find("c").row, sheet.acell("B4").numeric_value) == (4, 3)
    sheet.update_acell("C1", "=SUM(B2:B5)")
    assert sheet.acell("C1").value == "10.5"
    assert sheet.acell("C1", value_render_option="FORMULA").value == "=SUM(B2:B5)"
    assert sheet.batch_get(["A1:A2", "B2"]) == [[["name"], ["a"]], [["1"]]]
    sheet.batch_clear(["A2:B2"])
    assert sheet.row_values(2) == []


def test_shape_of_tabs(sheet: Any) -> None:
    book = sheet.spreadsheet
    other = book.add_worksheet("Other", rows=10, cols=4)
    other.resize(rows=20, cols=8)
    other.freeze(rows=1, cols=1)
    other.update_tab_color("#ff0000")
    other.insert_rows([["x"], ["y"]], row=1)
    other.insert_cols([["p", "q"]], col=1)
    other.delete_rows(1)
    assert other.get_all_values() == [["q", "y"]]
    twin = other.duplicate(new_sheet_name="Twin")
    other.update_title("Renamed")
    other.hide()
    book.reorder_worksheets([sheet, twin, other])
    again = book.worksheets()
    assert [(one.title, one.isSheetHidden) for one in again] == [("Sheet1", False), ("Twin", False), ("Renamed", True)]
    # The deleted row was the frozen one.
    assert (again[2].frozen_row_count, again[2].frozen_col_count, again[2].row_count) == (0, 1, 21)
    book.del_worksheet(twin)
    assert [one.title for one in book.worksheets()] == ["Sheet1", "Renamed"]


def test_looks(sheet: Any) -> None:
    sheet.format("A1:B1", {"textFormat": {"bold": True}})
    sheet.insert_note("A1", "mind")
    assert sheet.get_note("A1") == "mind"
    sheet.merge_cells("A1:B2")
    sheet.update([["both"]], "A1")
    sheet.update([["z"]], "C3")
    combined = sheet.get_values("A1:C3", combine_merged_cells=True)
    assert combined == [["both", "both", ""], ["both", "both", ""], ["", "", "z"]]
    sheet.unmerge_cells("A1:B2")
    sheet.set_basic_filter("A1:E10")
    sheet.sort((1, "asc"))
    sheet.clear_basic_filter()
    sheet.add_validation("C2:C", gspread.utils.ValidationConditionType.boolean, [])
    sheet.add_protected_range("D1:D2", description="d")
    sheet.define_named_range("A1:B2", "area")
    assert [one["name"] for one in sheet.spreadsheet.list_named_ranges()] == ["area"]
    assert [one["description"] for one in sheet.spreadsheet.list_protected_ranges(0)] == ["d"]
    sheet.columns_auto_resize(0, 3)


def test_sharing_copying_and_import(client: Any, sheet: Any) -> None:
    book = sheet.spreadsheet
    book.share("friend@example.com", perm_type="user", role="writer", notify=False)
    assert "friend@example.com" in [one.get("emailAddress") for one in book.list_permissions()]
    book.remove_permissions("friend@example.com")
    assert len(book.list_permissions()) == 1
    sheet.update([["x"]], "A1")
    assert client.copy(book.id, title="Twin").sheet1.acell("A1").value == "x"
    client.import_csv(book.id, b"a,1\nb,2")
    assert client.open_by_key(book.id).sheet1.get_all_values() == [["a", "1"], ["b", "2"]]


def test_errors(server: Server, client: Any, sheet: Any) -> None:
    with pytest.raises(gspread.exceptions.APIError) as caught:
        sheet.get("Nope!A1")
    assert (caught.value.code, "Unable to parse range" in str(caught.value)) == (400, True)
    server.faults.script[:] = ["http_429"]
    with pytest.raises(gspread.exceptions.APIError) as caught:
        sheet.get("A1")
    assert caught.value.code == 429
