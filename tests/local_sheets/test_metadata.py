"""Developer metadata: ids as locks, places that move along, who sees what, reads and writes by filter."""

from __future__ import annotations

from typing import Any

from owox_tiktok.local.sheets import Faults, Server, serve

from .conftest import Book

SPREADSHEET = {"spreadsheet": True}


def tag(number: int | None, location: dict[str, Any], key: str = "k", value: str = "v", **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"metadataKey": key, "metadataValue": value, "location": location, "visibility": "DOCUMENT"}
    if number is not None:
        body["metadataId"] = number
    return {"createDeveloperMetadata": {"developerMetadata": body | more}}


def column(index: int, sheet_id: int = 0, dimension: str = "COLUMNS") -> dict[str, Any]:
    place = {"sheetId": sheet_id, "dimension": dimension, "startIndex": index, "endIndex": index + 1}
    return {"dimensionRange": place}


def lookup(**fields: Any) -> dict[str, Any]:
    return {"developerMetadataLookup": fields}


def search(book: Book, *filters: dict[str, Any]) -> list[Any]:
    answer = book.call("POST", "/developerMetadata:search", json={"dataFilters": list(filters)})
    return [one["developerMetadata"] for one in answer.get("matchedDeveloperMetadata", [])]


def test_an_id_in_use_refuses_the_whole_batch(book: Book) -> None:
    def write(text: str) -> dict[str, Any]:
        cell = {"userEnteredValue": {"stringValue": text}}
        return {"updateCells": {"start": {}, "rows": [{"values": [cell]}], "fields": "userEnteredValue"}}

    book.batch(tag(5, SPREADSHEET), write("first"))
    message = book.refused(tag(5, {"sheetId": 0}), write("second"))
    assert message == (
        "Invalid requests[0].createDeveloperMetadata: Cannot add developer metadata with ID [5] "
        "because developer metadata with that ID already exists."
    )
    assert book.values("A1") == [["first"]]


def test_compare_and_swap(book: Book) -> None:
    def swap(old: str, new: str) -> tuple[dict[str, Any], dict[str, Any]]:
        chosen = lookup(metadataId=7, metadataValue=old)
        return {"deleteDeveloperMetadata": {"dataFilter": chosen}}, tag(7, SPREADSHEET, value=new)

    book.batch(tag(7, SPREADSHEET, value="one"))
    replies = book.batch(*swap("one", "two"))
    assert replies[0]["deleteDeveloperMetadata"]["deletedDeveloperMetadata"][0]["metadataValue"] == "one"
    book.refused(*swap("one", "three"))
    assert book.call("GET", "/developerMetadata/7")["metadataValue"] == "two"


def test_filters_that_select_nothing() -> None:
    gone = {"deleteDeveloperMetadata": {"dataFilter": lookup(metadataId=9)}}
    with serve(faults=Faults()) as server:
        book = Book(server, server.create("b"))
        assert book.batch(gone) == [{"deleteDeveloperMetadata": {}}]
        server.faults.refuse_empty_filters = True
        assert "No developer metadata matched" in book.refused(gone)
        book.session.close()


def test_a_column_tag_rides_along_and_dies_with_its_column(book: Book) -> None:
    made = book.batch(tag(11, column(1)))[0]["createDeveloperMetadata"]["developerMetadata"]
    assert made["location"] == {
        "locationType": "COLUMN",
        "dimensionRange": {"dimension": "COLUMNS", "startIndex": 1, "endIndex": 2},
    }
    book.batch({"insertDimension": {"range": {"dimension": "COLUMNS", "startIndex": 0, "endIndex": 1}}})
    assert search(book, lookup(metadataId=11))[0]["location"]["dimensionRange"]["startIndex"] == 2
    source = {"dimension": "COLUMNS", "startIndex": 2, "endIndex": 3}
    book.batch({"moveDimension": {"source": source, "destinationIndex": 6}})
    assert search(book, lookup(metadataId=11))[0]["location"]["dimensionRange"]["startIndex"] == 5
    book.batch({"deleteDimension": {"range": {"dimension": "COLUMNS", "startIndex": 5, "endIndex": 6}}})
    assert "11" in book.error("GET", "/developerMetadata/11", 404)


def test_where_metadata_shows(book: Book) -> None:
    book.batch(tag(1, SPREADSHEET), tag(2, {"sheetId": 0}), tag(3, column(2)), tag(4, column(3, dimension="ROWS")))
    whole = book.get(includeGridData="true", ranges="A1:D5")
    assert [one["metadataId"] for one in whole["developerMetadata"]] == [1]
    assert [one["metadataId"] for one in whole["sheets"][0]["developerMetadata"]] == [2]
    data = whole["sheets"][0]["data"][0]
    assert [len(one.get("developerMetadata", [])) for one in data["columnMetadata"]] == [0, 0, 1, 0]
    assert [len(one.get("developerMetadata", [])) for one in data["rowMetadata"]] == [0, 0, 0, 1, 0]


def test_search_by_every_field(book: Book) -> None:
    book.batch(
        tag(1, SPREADSHEET, "a", "x"),
        tag(2, {"sheetId": 0}, "a", "y"),
        tag(3, column(2), "b", "x", visibility="PROJECT"),
    )

    def found(*filters: dict[str, Any]) -> list[int]:
        return sorted(one["metadataId"] for one in search(book, *filters))

    assert found(lookup(metadataKey="a")) == [1, 2]
    assert found(lookup(metadataKey="a", metadataValue="x")) == [1]
    assert found(lookup(metadataId=3), lookup(metadataValue="y")) == [2, 3]
    assert found(lookup(locationType="COLUMN")) == [3]
    assert found(lookup(visibility="PROJECT")) == [3]
    exact = lookup(metadataLocation={"sheetId": 0}, locationMatchingStrategy="EXACT_LOCATION")
    assert found(exact) == [2]
    assert found({"a1Range": "Sheet1!C1:C5"}) == [2, 3]
    assert found({"gridRange": {"sheetId": 0, "startColumnIndex": 3}}) == [2]
    assert found(lookup(metadataKey="none")) == []


def test_update_changes_only_what_the_mask_names(book: Book) -> None:
    book.batch(tag(1, column(2), "a", "x"))
    change = {
        "dataFilters": [lookup(metadataId=1)],
        "developerMetadata": {"metadataValue": "new", "location": column(4)},
        "fields": "metadataValue,location",
    }
    reply = book.batch({"updateDeveloperMetadata": change})[0]["updateDeveloperMetadata"]["developerMetadata"]
    assert (reply[0]["metadataKey"], reply[0]["metadataValue"]) == ("a", "new")
    assert reply[0]["location"]["dimensionRange"]["startIndex"] == 4


def test_only_one_row_or_column_and_positive_ids(book: Book) -> None:
    wide = {"dimensionRange": {"dimension": "COLUMNS", "startIndex": 0, "endIndex": 2}}
    assert "exactly one row or column" in book.refused(tag(1, wide))
    assert "positive" in book.refused(tag(-1, SPREADSHEET))
    assert "visibility" in book.refused(tag(1, SPREADSHEET, visibility=None))
    assert book.model.metadata == []


def test_room_is_counted_per_tab(book: Book) -> None:
    book.batch(tag(1, SPREADSHEET, value="x" * 29_000), tag(2, {"sheetId": 0}, value="x" * 29_000))
    assert "30000 characters" in book.refused(tag(3, column(0), value="x" * 1_000))
    assert len(book.model.metadata) == 2


def test_project_visibility(server: Server, book: Book) -> None:
    tokens = []
    for email in ("robot@one.iam.gserviceaccount.com", "robot@two.iam.gserviceaccount.com"):
        server.share(book.id, email)
        tokens.append(server.token(email))
    one, two = (Book(server, book.id, token) for token in tokens)
    one.batch(tag(1, SPREADSHEET, visibility="PROJECT"), tag(2, SPREADSHEET))
    assert [entry["metadataId"] for entry in search(one, lookup(metadataKey="k"))] == [1, 2]
    assert [entry["metadataId"] for entry in search(two, lookup(metadataKey="k"))] == [2]
    two.call("GET", "/developerMetadata/1", 404)


def test_values_by_filter_follow_the_column(book: Book) -> None:
    book.put("A1", [["day", "spend"], [1, 10], [2, 20]])
    book.batch(tag(8, column(1)))
    book.batch({"insertDimension": {"range": {"dimension": "COLUMNS", "startIndex": 1, "endIndex": 2}}})
    asked = {"dataFilters": [lookup(metadataId=8)], "majorDimension": "COLUMNS"}
    answer = book.call("POST", "/values:batchGetByDataFilter", json=asked)["valueRanges"][0]
    assert answer["valueRange"]["range"] == "Sheet1!C1:C1000"
    assert answer["valueRange"]["values"] == [["spend", "10", "20"]]
    data = {"dataFilter": lookup(metadataId=8), "majorDimension": "COLUMNS", "values": [["cost", 1]]}
    body = {"valueInputOption": "RAW", "data": [data]}
    book.call("POST", "/values:batchUpdateByDataFilter", json=body)
    assert book.values("A1:C3") == [["day", "", "cost"], ["1", "", "1"], ["2", "", "20"]]
    book.call("POST", "/values:batchClearByDataFilter", json={"dataFilters": [lookup(metadataId=8)]})
    assert book.values("A1:C3") == [["day"], ["1"], ["2"]]


def test_a_copy_of_the_file_keeps_ids_and_a_copy_of_a_tab_has_none(server: Server, book: Book) -> None:
    book.batch(tag(8, column(1)), {"duplicateSheet": {"sourceSheetId": 0, "newSheetName": "two"}})
    assert [one.metadata_id for one in book.model.metadata] == [8]
    answer = book.session.post(f"{server.url}/drive/v3/files/{book.id}/copy", json={"name": None}, timeout=10).json()
    assert answer["name"] == "Copy of Report"
    copied = server.spreadsheet(answer["id"])
    assert [(one.metadata_id, one.location_type) for one in copied.metadata] == [(8, "COLUMN")]


def test_metadata_goes_with_its_tab(book: Book) -> None:
    book.batch({"addSheet": {"properties": {"title": "two", "sheetId": 2}}}, tag(1, column(0, 2)), tag(2, SPREADSHEET))
    book.batch({"deleteSheet": {"sheetId": 2}})
    assert [one.metadata_id for one in book.model.metadata] == [2]
