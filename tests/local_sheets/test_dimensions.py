"""Rows and columns: what moves along when they are inserted, deleted and moved."""

from __future__ import annotations

from typing import Any

import pytest

from owox_tiktok.local.sheets import Server

from .conftest import Book, box


def place(dimension: str, start: int, end: int) -> dict[str, Any]:
    return {"sheetId": 0, "dimension": dimension, "startIndex": start, "endIndex": end}


@pytest.mark.parametrize(
    ("source", "to", "result"),
    [((1, 2), 3, "acbd"), ((0, 1), 4, "bcda"), ((3, 4), 0, "dabc"), ((1, 3), 0, "bcad"), ((1, 2), 2, "abcd")],
)
@pytest.mark.parametrize("dimension", ["ROWS", "COLUMNS"])
def test_move(server: Server, dimension: str, source: tuple[int, int], to: int, result: str) -> None:
    letters = [["a", "b", "c", "d"]] if dimension == "COLUMNS" else [["a"], ["b"], ["c"], ["d"]]
    book = Book(server, server.create("b", [{"title": "T", "rows": 4, "columns": 4, "values": letters}]))
    book.batch({"moveDimension": {"source": place(dimension, *source), "destinationIndex": to}})
    assert "".join(cell for row in book.values("T") for cell in row) == result


def test_formulas_follow(server: Server) -> None:
    values = [[1, 2, 3, "=SUM(A1:C1)", "=Other!A1+B1", "=$B$1"]]
    tabs: list[Any] = [
        {"title": "Sheet1", "values": values},
        {"title": "Other", "values": [["=Sheet1!B1", "=SUM(Sheet1!A:C)"]]},
    ]
    book = Book(server, server.create("b", tabs))

    def formulas() -> list[Any]:
        return [one for one in book.sheet.values()[0] if isinstance(one, str)]

    book.batch({"insertDimension": {"range": place("COLUMNS", 1, 2)}})
    assert formulas() == ["=SUM(A1:D1)", "=Other!A1+C1", "=$C$1"]
    assert book.model.sheet("Other").values() == [["=Sheet1!C1", "=SUM(Sheet1!A:D)"]]
    book.batch({"insertDimension": {"range": place("ROWS", 0, 3)}})
    assert book.model.sheet("Other").values()[0][0] == "=Sheet1!C4"
    rename = {"properties": {"sheetId": 0, "title": "My tab"}, "fields": "title"}
    book.batch({"updateSheetProperties": rename}, {"deleteDimension": {"range": place("COLUMNS", 2, 3)}})
    assert book.model.sheet("Other").values()[0] == ["=#REF!", "=SUM('My tab'!A:C)"]
    assert book.values("Other!A1") == [["#REF!"]]
    assert "Unable to parse range" in book.error("GET", "/values/Sheet1!A1")


def test_objects_follow(book: Book) -> None:
    reply = book.batch(
        {"addNamedRange": {"namedRange": {"name": "Area", "range": box(2, 4, 2, 4)}}},
        {"mergeCells": {"range": box(2, 4, 2, 4), "mergeType": "MERGE_ALL"}},
        {"addProtectedRange": {"protectedRange": {"range": box(2, 4, 2, 4)}}},
        {"setBasicFilter": {"filter": {"range": box(5, 9, 2, 6), "filterSpecs": [{"columnIndex": 3}]}}},
        {
            "updateDimensionProperties": {
                "range": place("ROWS", 3, 4),
                "properties": {"pixelSize": 50},
                "fields": "pixelSize",
            }
        },
        {"insertDimension": {"range": place("ROWS", 3, 5)}},
        {"insertDimension": {"range": place("COLUMNS", 2, 3)}},
    )
    assert len(reply) == 7
    expected = {"startRowIndex": 2, "endRowIndex": 6, "startColumnIndex": 3, "endColumnIndex": 5}
    whole = book.get()
    sheet = whole["sheets"][0]
    assert whole["namedRanges"][0]["range"] == expected
    assert sheet["merges"] == [expected]
    assert sheet["protectedRanges"][0]["range"] == expected
    assert sheet["basicFilter"]["range"]["startRowIndex"] == 7
    assert sheet["basicFilter"]["filterSpecs"] == [{"columnIndex": 4}]
    assert book.sheet.row_props == {5: {"pixelSize": 50}}
    book.batch({"deleteDimension": {"range": place("ROWS", 1, 7)}})
    whole = book.get()
    assert "namedRanges" not in whole
    assert "merges" not in whole["sheets"][0]


def test_inserted_rows_take_the_look_of_a_neighbour(book: Book) -> None:
    look = {"userEnteredFormat": {"textFormat": {"bold": True}}}
    book.batch(
        {"repeatCell": {"range": box(1, 2, 0, 1), "cell": look, "fields": "userEnteredFormat"}},
        {"insertDimension": {"range": place("ROWS", 2, 3), "inheritFromBefore": True}},
        {"insertDimension": {"range": place("ROWS", 5, 6), "inheritFromBefore": True}},
    )
    assert [bool(row) for row in book.show("A1:A6", "userEnteredFormat")] == [False, True, True]


def test_append_and_limits(book: Book) -> None:
    book.batch({"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": 5}})
    assert book.sheet.grid.row_count == 1005
    assert "18278 columns" in book.refused(
        {"appendDimension": {"sheetId": 0, "dimension": "COLUMNS", "length": 18_278}}
    )
    freeze = {"properties": {"gridProperties": {"frozenRowCount": 2}}, "fields": "gridProperties.frozenRowCount"}
    book.batch({"updateSheetProperties": freeze})
    assert "non-frozen rows" in book.refused({"deleteDimension": {"range": place("ROWS", 2, 1005)}})
    assert "doesn't exist" in book.refused({"deleteDimension": {"range": place("ROWS", 1005, 1006)}})


def test_a_row_cannot_be_moved_through_a_merge(book: Book) -> None:
    book.batch({"mergeCells": {"range": box(2, 4, 0, 1), "mergeType": "MERGE_ALL"}})
    message = book.refused({"moveDimension": {"source": place("ROWS", 0, 1), "destinationIndex": 3}})
    assert message.endswith("crosses a merged cell. Please unmerge and try again.")


def test_groups(book: Book) -> None:
    book.batch({"addDimensionGroup": {"range": place("ROWS", 0, 6)}})
    reply = book.batch({"addDimensionGroup": {"range": place("ROWS", 2, 4)}})
    groups = reply[0]["addDimensionGroup"]["dimensionGroups"]
    assert [(one["range"]["startIndex"], one["range"]["endIndex"], one["depth"]) for one in groups] == [
        (0, 6, 1),
        (2, 4, 2),
    ]
    assert groups[0]["range"] == {"dimension": "ROWS", "startIndex": 0, "endIndex": 6}


def test_shrinking_cuts_cells_off_and_an_error_brings_them_back(book: Book) -> None:
    book.put("A1", [["keep", "gone"]])
    cut = {
        "updateSheetProperties": {
            "properties": {"gridProperties": {"columnCount": 1}},
            "fields": "gridProperties/columnCount",
        }
    }
    book.refused(cut, {"deleteSheet": {"sheetId": 77}})
    assert book.values("Sheet1") == [["keep", "gone"]]
    book.batch(cut)
    assert book.values("Sheet1") == [["keep"]]
