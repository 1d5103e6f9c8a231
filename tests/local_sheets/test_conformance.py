"""Requests with the answers the real API gave, or documents."""

from __future__ import annotations

from typing import Any

import pytest

from owox_tiktok.local.sheets import Server

from .conftest import Book, box

MIXED = [["=4/2", "2020-01-01", "string", 53], ["=3/2", 0.12, "1999-01-02", ""]]


def test_unknown_spreadsheet(server: Server) -> None:
    answer = Book(server, "unknown").call("GET", "", 404)
    assert answer == {
        "error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"},
    }


def test_spreadsheet_that_is_not_shared(server: Server, book: Book) -> None:
    stranger = Book(server, book.id, server.token("stranger@example.com"))
    error = stranger.call("GET", "", 403)["error"]
    assert (error["message"], error["status"]) == ("The caller does not have permission", "PERMISSION_DENIED")
    server.share(book.id, "stranger@example.com", "reader")
    assert stranger.get()["properties"]["title"] == "Report"
    assert stranger.error("PUT", "/values/A1", 403, {"values": [[1]]}, valueInputOption="RAW")
    server.unshare(book.id, "stranger@example.com")
    assert stranger.call("GET", "", 403)


@pytest.mark.parametrize(
    ("asked", "returned"),
    [
        ("'Sheet1'!D4", "Sheet1!D4"),
        ("'Sheet1'!A1:C", "Sheet1!A1:C1000"),
        ("'Sheet1'!D4:A1", "Sheet1!A1:D4"),
        ("'Sheet1'", "Sheet1!A1:Z1000"),
        ("sheet1!$b$3", "Sheet1!B3"),
        ("A2:2", "Sheet1!A2:Z2"),
        ("B:C", "Sheet1!B1:C1000"),
        ("A990:B2000", "Sheet1!A990:B1000"),
    ],
)
def test_range_made_concrete(book: Book, asked: str, returned: str) -> None:
    assert book.call("GET", f"/values/{asked}") == {"range": returned, "majorDimension": "ROWS"}


@pytest.mark.parametrize(
    ("title", "returned"),
    [
        ("Sheet_1", "Sheet_1!A1"),
        ("x.y", "x.y!A1"),
        ("TRUE", "TRUE!A1"),
        ("Sales2", "Sales2!A1"),
        ("Probe Tab", "'Probe Tab'!A1"),
        ("ABC1234", "'ABC1234'!A1"),
        ("R1C1", "'R1C1'!A1"),
        ("2026", "'2026'!A1"),
        ("Ünï", "'Ünï'!A1"),
        ("a-b", "'a-b'!A1"),
        ("It's", "'It''s'!A1"),
    ],
)
def test_titles_in_answers(server: Server, title: str, returned: str) -> None:
    book = Book(server, server.create("b", [title]))
    quoted = title.replace("'", "''")
    assert book.call("GET", f"/values/'{quoted}'!A1")["range"] == returned


def test_write_as_typed_and_read_in_every_mode(book: Book) -> None:
    answer = book.put("'Sheet1'!A1:D2", MIXED, "USER_ENTERED")
    del answer["spreadsheetId"]
    assert answer == {"updatedRange": "Sheet1!A1:D2", "updatedRows": 2, "updatedColumns": 4, "updatedCells": 8}
    assert book.values("Sheet1", "UNFORMATTED_VALUE") == [[2, 43831, "string", 53], [1.5, 0.12, 36162]]
    formatted = [[2, "2020-01-01", "string", 53], [1.5, 0.12, "1999-01-02"]]
    assert book.values("Sheet1", "UNFORMATTED_VALUE", "FORMATTED_STRING") == formatted
    assert book.values("Sheet1") == [["2", "2020-01-01", "string", "53"], ["1.5", "0.12", "1999-01-02"]]
    assert book.values("Sheet1", "FORMULA") == [["=4/2", 43831, "string", 53], ["=3/2", 0.12, 36162]]


def test_counts_of_ragged_and_skipped_cells(book: Book) -> None:
    ragged = book.put("'Sheet1'!A1:D2", [["A1", "B1"], [1, 2, 3, 4]])
    assert (ragged["updatedRows"], ragged["updatedColumns"], ragged["updatedCells"]) == (2, 4, 6)
    assert book.put("Sheet1!A1", [[1, 2, 3], [4, 5, 6]])["updatedRange"] == "Sheet1!A1:C2"
    skipping = book.put("Sheet1!A1:C2", [["x", None, None], [None, None, "y"]])
    assert (skipping["updatedRange"], skipping["updatedCells"]) == ("Sheet1!A1:C2", 2)
    assert book.values("Sheet1") == [["x", "2", "3"], ["4", "5", "y", "4"]]


def test_body_that_does_not_fit_the_schema(book: Book) -> None:
    error = book.call("PUT", "/values/A1", 400, {"values": "X"}, valueInputOption="RAW")["error"]
    assert error["details"][0]["fieldViolations"][0]["field"] == "data.values"
    message = "Invalid value at 'data.values' (type.googleapis.com/google.protobuf.ListValue), \"X\""
    assert error["message"] == message
    assert "Invalid values[0][0]: list_value" in book.error(
        "PUT", "/values/A1", json={"values": [[["a"]]]}, valueInputOption="RAW"
    )


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("Sheet1!A1:B1", [[1, 2, 3]], "Requested writing within range [Sheet1!A1:B1], but tried writing to column [C]"),
        ("Sheet1!A1:B1", [[1], [2]], "Requested writing within range [Sheet1!A1:B1], but tried writing to row [2]"),
        ("'Nope'!A1", [[1]], "Unable to parse range: 'Nope'!A1"),
        (
            "Sheet1!A100000",
            [[1]],
            "Range (Sheet1!A100000) exceeds grid limits. Max rows: 1000, max columns: 26",
        ),
    ],
)
def test_refused_writes(book: Book, path: str, values: Any, message: str) -> None:
    given = book.error("PUT", f"/values/{path}", json={"values": values}, valueInputOption="RAW")
    assert given == message
    assert book.sheet.values() == []


def test_clear(book: Book) -> None:
    book.put("A1", [["x"]])
    assert book.call("POST", "/values/'Sheet1':clear") == {
        "spreadsheetId": book.id,
        "clearedRange": "Sheet1!A1:Z1000",
    }
    assert book.values("Sheet1") is None


def test_append_goes_below_the_last_block(book: Book) -> None:
    first = book.append("'Sheet1'", [["a", "", "c"]])
    assert first["updates"]["updatedRange"] == "Sheet1!A1:C1"
    assert "tableRange" not in first
    second = book.append("'Sheet1'", [["a", "", "c"]])
    assert (second["tableRange"], second["updates"]["updatedRange"]) == ("Sheet1!C1", "Sheet1!C2:E2")


def test_append_to_a_named_cell_finds_its_block(book: Book) -> None:
    book.append("'Sheet1'", [["a", "", "c"]])
    second = book.append("'Sheet1'!A1", [["a", "", "c"]])
    assert (second["tableRange"], second["updates"]["updatedRange"]) == ("Sheet1!A1", "Sheet1!A2:C2")


def test_append_into_a_hole_and_below_a_title(book: Book) -> None:
    book.put("A1", [["x", "y"], ["", ""], ["p", "q"], ["r", "s"]])
    into_hole = book.append("'Sheet1'!A2", [["here"]])
    assert into_hole["updates"]["updatedRange"] == "Sheet1!A2"
    book.call("POST", "/values/Sheet1:clear")
    book.put("A1", [["Title"], [""], ["h", "i", "j"], [1, 2, 3], [4, 5, 6]])
    below = book.append("Sheet1", [[7, 8, 9]], insertDataOption="INSERT_ROWS")
    assert (below["tableRange"], below["updates"]["updatedRange"]) == ("Sheet1!A3:C5", "Sheet1!A6:C6")
    assert book.sheet.grid.row_count == 1001


def test_values_batch_update(book: Book) -> None:
    data = [
        {"range": "A1:D1", "values": [["a", "b", "", "d"]]},
        {"range": "A4:D4", "values": [["e", "f", "", "h"]]},
    ]
    answer = book.call("POST", "/values:batchUpdate", json={"valueInputOption": "RAW", "data": data})
    totals = [answer[f"totalUpdated{name}"] for name in ("Rows", "Columns", "Cells", "Sheets")]
    assert totals == [2, 4, 8, 1]
    assert [one["updatedRange"] for one in answer["responses"]] == ["Sheet1!A1:D1", "Sheet1!A4:D4"]
    refused = [*data, {"range": "'Nope'!A1", "values": [[1]]}]
    book.error("POST", "/values:batchUpdate", json={"valueInputOption": "RAW", "data": [*refused]})
    assert book.values("A1:D4") == [["a", "b", "", "d"], [], [], ["e", "f", "", "h"]]


def test_add_sheet(book: Book) -> None:
    grid = {"rowCount": 1, "columnCount": 1}
    made = book.batch({"addSheet": {"properties": {"title": "t", "sheetType": "GRID", "gridProperties": grid}}})
    properties = made[0]["addSheet"]["properties"]
    assert properties.pop("sheetId") > 0
    assert properties == {"title": "t", "index": 1, "sheetType": "GRID", "gridProperties": grid}


def test_a_batch_is_all_or_nothing(book: Book) -> None:
    book.put("A1", [["before"]])
    journal = len(book.model.journal)
    message = book.refused(
        {"addSheet": {"properties": {"title": "new", "sheetId": 5}}},
        {
            "updateCells": {
                "start": {"sheetId": 0},
                "rows": [{"values": [{"userEnteredValue": {"stringValue": "after"}}]}],
                "fields": "userEnteredValue",
            }
        },
        {"addSheet": {"properties": {"title": "Sheet1"}}},
    )
    assert message == (
        'Invalid requests[2].addSheet: A sheet with the name "Sheet1" already exists. Please enter another name.'
    )
    assert [one.title for one in book.model.sheets] == ["Sheet1"]
    assert book.values("A1") == [["before"]]
    assert len(book.model.journal) == journal


def test_the_last_visible_tab_stays(book: Book) -> None:
    hide = {"updateSheetProperties": {"properties": {"sheetId": 0, "hidden": True}, "fields": "hidden"}}
    assert book.refused(hide) == (
        "Invalid requests[0].updateSheetProperties: You can't hide all the sheets in a document."
    )
    assert "hidden" not in book.get()["sheets"][0]["properties"]
    message = book.refused({"deleteSheet": {"sheetId": 0}})
    assert message.endswith("You can't remove all the visible sheets in a document.")


def test_named_range(book: Book) -> None:
    reply = book.batch({"addNamedRange": {"namedRange": {"name": "Area", "range": box(0, 2, 0, 2)}}})
    made = reply[0]["addNamedRange"]["namedRange"]
    assert made["namedRangeId"]
    assert made["range"] == {"startRowIndex": 0, "endRowIndex": 2, "startColumnIndex": 0, "endColumnIndex": 2}
    assert book.call("GET", "/values/Sheet1!Area")["range"] == "Sheet1!A1:B2"
    again = book.refused({"addNamedRange": {"namedRange": {"name": "area", "range": box(0, 1, 0, 1)}}})
    assert again.endswith("a named range with that name already exists.")


def test_filter_of_a_whole_tab_is_made_concrete(server: Server) -> None:
    book = Book(server, server.create("b", [{"title": "Sheet1", "rows": 20, "columns": 20}]))
    book.batch({"setBasicFilter": {"filter": {"range": {"sheetId": 0}}}})
    place = book.get()["sheets"][0]["basicFilter"]["range"]
    assert place == {"startRowIndex": 0, "endRowIndex": 20, "startColumnIndex": 0, "endColumnIndex": 20}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"frobnicate": {}},
            "Invalid JSON payload received. Unknown name \"frobnicate\" at 'requests[0]': Cannot find field.",
        ),
        (
            {"repeatCell": {"range": {"sheetId": 0}, "cell": {}}},
            "Invalid requests[0].repeatCell: At least one field must be listed in 'fields'. "
            "(Use '*' to indicate all fields.)",
        ),
        (
            {"repeatCell": {"range": {"sheetId": 9}, "cell": {}, "fields": "note"}},
            "Invalid requests[0].repeatCell: No grid with id: 9",
        ),
        ({"deleteSheet": {"sheetId": 9}}, "Invalid requests[0].deleteSheet: No sheet with id: 9"),
        (
            {"addSheet": {"properties": {"title": "x", "sheetId": 0}}},
            "Invalid requests[0].addSheet: Sheet with id 0 already exists.",
        ),
        (
            {"addSheet": {"properties": {"title": "x" * 101}}},
            "Invalid requests[0].addSheet: The sheet name cannot be greater than 100 characters.",
        ),
        (
            {"insertDimension": {"range": {"dimension": "COLUMNS", "startIndex": 26, "endIndex": 27}}},
            "Invalid requests[0].insertDimension: range.startIndex must be less than the grid size (26) "
            "if inheritFromBefore is false.",
        ),
        (
            {"deleteDimension": {"range": {"dimension": "ROWS", "startIndex": 0, "endIndex": 1000}}},
            "Invalid requests[0].deleteDimension: You can't delete all the rows on the sheet.",
        ),
        (
            {
                "updateCells": {
                    "range": box(0, 1, 0, 26),
                    "rows": [{"values": [{"note": "n"}] * 27}],
                    "fields": "note",
                }
            },
            "Invalid requests[0].updateCells: Attempting to write column: 26, beyond the last requested column of: 25",
        ),
        (
            {"updateCells": {"start": {"rowIndex": 1001}, "rows": [{}], "fields": "note"}},
            "Invalid requests[0].updateCells: GridCoordinate.rowIndex[1001] is after last row in grid[1000]",
        ),
        (
            {
                "updateSheetProperties": {
                    "properties": {"gridProperties": {"rowCount": 400_000}},
                    "fields": "gridProperties.rowCount",
                }
            },
            "Invalid requests[0].updateSheetProperties: This action would increase the number of cells in the "
            "workbook above the limit of 10000000 cells.",
        ),
    ],
)
def test_refused_batches(book: Book, request_: dict[str, Any], message: str) -> None:
    assert book.refused(request_) == message


def test_no_requests_and_too_long_cells(book: Book) -> None:
    assert book.refused() == "Must specify at least one request."
    message = book.error("PUT", "/values/A1", json={"values": [["x" * 50_001]]}, valueInputOption="RAW")
    assert message == "Your input contains more than the maximum of 50000 characters in a single cell."


def test_body_over_ten_megabytes(book: Book) -> None:
    message = book.error("PUT", "/values/A1", json={"values": [["x" * 10_485_760]]}, valueInputOption="RAW")
    assert message == "Request payload size exceeds the limit: 10485760 bytes."


def test_unknown_field_in_a_mask(book: Book) -> None:
    error = book.call("GET", "", 400, fields="sheets.content")["error"]
    assert error["message"] == "Request contains an invalid argument."
    assert "path 'sheets.content'" in error["details"][0]["fieldViolations"][0]["description"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            {"usrEnteredValue": {}},
            'Invalid JSON payload received. Unknown name "usrEnteredValue" at '
            "'requests[0].update_cells.rows[0].values[1]': Cannot find field.",
        ),
        (
            {"userEnteredValue": {"number": 1}},
            'Invalid JSON payload received. Unknown name "number" at '
            "'requests[0].update_cells.rows[0].values[1].user_entered_value': Cannot find field.",
        ),
        (
            {"userEnteredValue": {"numberValue": "NaN"}},
            "Invalid value at 'user_entered_value.number_value' (TYPE_DOUBLE), \"NaN\"",
        ),
        (
            {"userEnteredValue": {"stringValue": 5}},
            "Invalid value at 'user_entered_value.string_value' (TYPE_STRING), 5",
        ),
        ({"userEnteredValue": {"boolValue": 1}}, "Invalid value at 'user_entered_value.bool_value' (TYPE_BOOL), 1"),
    ],
)
def test_cells_that_do_not_fit_the_schema(book: Book, cell: dict[str, Any], message: str) -> None:
    rows = [{"values": [{"userEnteredValue": {"numberValue": 1}}, cell]}]
    assert book.refused({"updateCells": {"start": {}, "rows": rows, "fields": "userEnteredValue"}}) == message
    assert book.sheet.values() == []


def test_not_a_number_is_no_json(book: Book) -> None:
    body = '{"values": [[NaN]]}'
    answer = book.session.put(f"{book.url}/values/A1?valueInputOption=RAW", data=body, timeout=10)
    assert (answer.status_code, "Invalid JSON payload" in answer.text) == (400, True)
