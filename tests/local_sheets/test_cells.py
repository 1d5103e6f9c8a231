"""Cells: masks, copying, sorting, merges, locks, filters, rules, charts."""

from __future__ import annotations

import time
from typing import Any

from owox_tiktok.local.sheets import Server

from .conftest import Book, box

RED = {"red": 1.0}


def text(value: str) -> dict[str, Any]:
    return {"userEnteredValue": {"stringValue": value}}


def number(value: float) -> dict[str, Any]:
    return {"userEnteredValue": {"numberValue": value}}


def style(range_: dict[str, int], fields: str, **form: Any) -> dict[str, Any]:
    return {"repeatCell": {"range": range_, "cell": {"userEnteredFormat": form}, "fields": fields}}


def test_a_value_mask_leaves_everything_else(book: Book) -> None:
    book.batch(
        style(box(0, 2, 0, 1), "userEnteredFormat", backgroundColor=RED, textFormat={"bold": True}),
        {"updateCells": {"start": {}, "rows": [{"values": [{"note": "mind"}]}], "fields": "note"}},
        {
            "updateCells": {
                "range": box(0, 2, 0, 2),
                "rows": [{"values": [text("=1"), number(2)]}],
                "fields": "userEnteredValue",
            }
        },
    )
    cells = book.show("A1:B2", "userEnteredValue,userEnteredFormat.textFormat,note")
    assert cells[0][0] == {
        "userEnteredValue": {"stringValue": "=1"},
        "userEnteredFormat": {"textFormat": {"bold": True}},
        "note": "mind",
    }
    assert cells[1] == [{"userEnteredFormat": {"textFormat": {"bold": True}}}]
    book.batch({"updateCells": {"range": box(0, 1, 0, 2), "fields": "userEnteredValue"}})
    assert book.values("A1:B2") is None
    assert book.show("A1", "note") == [[{"note": "mind"}]]


def test_masks_reset_what_is_missing(book: Book) -> None:
    everything = box(0, 1, 0, 1)
    book.batch(
        style(everything, "userEnteredFormat", backgroundColor=RED, textFormat={"bold": True, "italic": True}),
        style(everything, "userEnteredFormat(backgroundColor,textFormat/bold)", textFormat={}),
    )
    assert book.show("A1", "userEnteredFormat") == [[{"userEnteredFormat": {"textFormat": {"italic": True}}}]]


def test_start_form_leaves_unnamed_cells(book: Book) -> None:
    book.put("A1", [[1, 2, 3], [4, 5, 6]])
    rows = [{"values": [{}, number(20)]}, {"values": [number(40)]}]
    book.batch({"updateCells": {"start": {"sheetId": 0}, "rows": rows, "fields": "userEnteredValue"}})
    assert book.values("A1:C2", "UNFORMATTED_VALUE") == [["", 20, 3], [40, 5, 6]]


def test_append_cells_below_any_content_and_beyond_the_grid(server: Server) -> None:
    book = Book(server, server.create("b", [{"title": "T", "rows": 3, "columns": 3, "values": [[1], [], ["", "", 9]]}]))
    book.batch({"appendCells": {"sheetId": 0, "rows": [{"values": [text("new")]}], "fields": "userEnteredValue"}})
    assert book.values("A1:C4") == [["1"], [], ["", "", "9"], ["new"]]
    assert book.sheet.grid.row_count == 4


def test_repeated_and_pasted_formulas_move_along(book: Book) -> None:
    book.put("A1", [[1, 10], [2, 20], [3, 30], [4, 40]])
    formula = {"userEnteredValue": {"formulaValue": "=A1*$B$1+SUM(a1:B1)"}}
    book.batch({"repeatCell": {"range": box(0, 2, 2, 3), "cell": formula, "fields": "userEnteredValue"}})
    assert book.values("C1:C2", "FORMULA") == [["=A1*$B$1+SUM(A1:B1)"], ["=A2*$B$1+SUM(A2:B2)"]]
    book.batch(
        {
            "copyPaste": {
                "source": box(1, 2, 2, 3),
                "destination": box(2, 4, 2, 3),
                "pasteType": "PASTE_FORMULA",
            }
        }
    )
    assert book.values("C3:C4", "FORMULA") == [["=A3*$B$1+SUM(A3:B3)"], ["=A4*$B$1+SUM(A4:B4)"]]
    assert book.values("C4", "UNFORMATTED_VALUE") == [[84]]
    source = {"source": box(0, 1, 2, 3), "dimension": "ROWS", "fillLength": 1}
    book.batch({"autoFill": {"sourceAndDestination": source}})
    assert book.values("C2", "FORMULA") == [["=A2*$B$1+SUM(A2:B2)"]]


def test_paste_values_and_cut(book: Book) -> None:
    book.put("A1", [["=1+1", "x"]], "USER_ENTERED")
    book.batch(
        {"copyPaste": {"source": box(0, 1, 0, 2), "destination": box(1, 3, 0, 2), "pasteType": "PASTE_VALUES"}},
        {"cutPaste": {"source": box(0, 1, 1, 2), "destination": {"sheetId": 0, "rowIndex": 4, "columnIndex": 0}}},
    )
    assert book.values("A1:B5", "FORMULA") == [["=1+1"], [2, "x"], [2, "x"], [], ["x"]]


def test_sort_puts_blanks_last_and_leaves_hidden_rows(book: Book) -> None:
    book.put("A1", [["b"], [2], [""], [10], ["a"], [7]])
    hide = {"range": {"dimension": "ROWS", "startIndex": 3, "endIndex": 4}, "properties": {"hiddenByUser": True}}
    book.batch({"updateDimensionProperties": {**hide, "fields": "hiddenByUser"}})

    def ordered(order: str) -> Any:
        specs = [{"dimensionIndex": 0, "sortOrder": order}]
        book.batch({"sortRange": {"range": box(0, 6, 0, 1), "sortSpecs": specs}})
        return book.values("A1:A6", "UNFORMATTED_VALUE")

    assert ordered("ASCENDING") == [[2], [7], ["a"], [10], ["b"]]
    assert ordered("DESCENDING") == [["b"], ["a"], [7], [10], [2]]


def test_sort_refuses_vertical_merges(book: Book) -> None:
    book.batch({"mergeCells": {"range": box(2, 4, 10, 11), "mergeType": "MERGE_ALL"}})
    specs = [{"dimensionIndex": 10, "sortOrder": "ASCENDING"}]
    message = book.refused({"sortRange": {"range": box(0, 6, 0, 12), "sortSpecs": specs}})
    assert message.endswith("There is a vertical merge at K3:K4")


def test_merges_keep_one_value(book: Book) -> None:
    book.put("A1", [["a", "b"], ["c", "d"]])
    book.batch({"mergeCells": {"range": box(0, 2, 0, 2), "mergeType": "MERGE_ROWS"}})
    assert book.values("A1:B2") == [["a"], ["c"]]
    assert len(book.get()["sheets"][0]["merges"]) == 2
    assert "merges" not in book.get(ranges="D1:E5", includeGridData="false")["sheets"][0]
    book.batch({"unmergeCells": {"range": box(0, 1, 0, 2)}})
    assert len(book.get()["sheets"][0]["merges"]) == 1


def test_protected_ranges_lock_others_out(server: Server, book: Book) -> None:
    server.share(book.id, "robot@one.iam.gserviceaccount.com")
    robot = Book(server, book.id, server.token("robot@one.iam.gserviceaccount.com"))
    reply = book.batch({"addProtectedRange": {"protectedRange": {"range": box(0, 2, 0, 2), "editors": {"users": []}}}})
    made = reply[0]["addProtectedRange"]["protectedRange"]
    assert (made["requestingUserCanEdit"], made["editors"]) == (True, {})
    message = robot.error("PUT", "/values/A1", json={"values": [[1]]}, valueInputOption="RAW")
    assert message.startswith("You are trying to edit a protected cell or object.")
    write = {"updateCells": {"range": box(1, 2, 1, 2), "rows": [{"values": [number(1)]}], "fields": "userEnteredValue"}}
    assert robot.refused(write).startswith("Invalid requests[0].updateCells: You are trying to edit a protected cell")
    robot.put("C3", [[1]])
    book.put("A1", [["mine"]])
    seen = robot.get()["sheets"][0]["protectedRanges"][0]
    assert "requestingUserCanEdit" not in seen
    assert robot.refused({"deleteProtectedRange": {"protectedRangeId": made["protectedRangeId"]}})
    warn = {"protectedRangeId": made["protectedRangeId"], "warningOnly": True}
    book.batch({"updateProtectedRange": {"protectedRange": warn, "fields": "warningOnly"}})
    robot.put("A1", [[2]])
    assert [touch.email for touch in book.model.journal if touch.box.top == 0][-2:] == [
        "owner@example.com",
        "robot@one.iam.gserviceaccount.com",
    ]


def test_left_out_editors_lock_nobody_out(server: Server, book: Book) -> None:
    server.share(book.id, "friend@example.com")
    book.batch({"addProtectedRange": {"protectedRange": {"range": {"sheetId": 0}}}})
    Book(server, book.id, server.token("friend@example.com")).put("A1", [[1]])
    server.share(book.id, "late@example.com")
    late = Book(server, book.id, server.token("late@example.com"))
    assert late.error("PUT", "/values/A1", json={"values": [[1]]}, valueInputOption="RAW")


def test_a_basic_filter_hides_rows_until_cleared(book: Book) -> None:
    book.put("A1", [["kind"], ["x"], ["y"], ["x"]])
    specs = [{"columnIndex": 0, "filterCriteria": {"hiddenValues": ["x"]}}]
    book.batch({"setBasicFilter": {"filter": {"range": box(0, 4, 0, 1), "filterSpecs": specs}}})

    def hidden() -> list[bool]:
        data = book.get(ranges="A1:A4", fields="sheets.data.rowMetadata.hiddenByFilter")
        return [bool(one) for one in data["sheets"][0]["data"][0]["rowMetadata"]]

    assert hidden() == [False, True, False, True]
    rule = {"condition": {"type": "BOOLEAN"}}
    book.batch({"setDataValidation": {"range": box(0, 4, 1, 2), "rule": rule}})
    assert [bool(one[1:]) for one in book.show("A1:B4", "dataValidation")] == [True, False, True]
    book.batch({"clearBasicFilter": {"sheetId": 0}})
    assert hidden() == [False] * 4


def test_tick_boxes_and_lists(book: Book) -> None:
    tick = {"condition": {"type": "BOOLEAN"}, "strict": True, "showCustomUi": False}
    book.batch({"setDataValidation": {"range": box(0, 1, 0, 1), "rule": tick}})
    book.put("A1", [["TRUE"]], "USER_ENTERED")
    cell = book.show("A1", "dataValidation,effectiveValue")[0][0]
    assert cell == {
        "dataValidation": {"condition": {"type": "BOOLEAN"}, "strict": True},
        "effectiveValue": {"boolValue": True},
    }
    book.put("A1", [["TRUE"]])
    assert book.show("A1", "effectiveValue") == [[{"effectiveValue": {"stringValue": "TRUE"}}]]
    book.batch({"setDataValidation": {"range": box(0, 1, 0, 1)}})
    assert book.show("A1", "dataValidation") == []


def test_conditional_formats_and_banding_show_in_the_effective_format(book: Book) -> None:
    book.put("A1", [["state"], ["failed"], ["done"], ["failed"]])
    grey, white = {"red": 0.8, "green": 0.8, "blue": 0.8}, {"red": 1, "green": 1, "blue": 1}
    condition = {"type": "CUSTOM_FORMULA", "values": [{"userEnteredValue": '=$A2="failed"'}]}
    rule = {
        "ranges": [box(1, 4, 0, 1)],
        "booleanRule": {"condition": condition, "format": {"backgroundColorStyle": {"rgbColor": RED}}},
    }
    bands = {"headerColor": grey, "firstBandColor": white, "secondBandColor": grey}
    banding = {"bandedRange": {"range": box(0, 4, 0, 1), "rowProperties": bands}}
    reply = book.batch({"addConditionalFormatRule": {"rule": rule, "index": 0}}, {"addBanding": banding})
    assert reply[0] == {}
    shades = [line[0]["effectiveFormat"]["backgroundColor"] for line in book.show("A1:A4", "effectiveFormat")]
    assert shades == [
        {"red": 0.8, "green": 0.8, "blue": 0.8},
        {"red": 1},
        {"red": 0.8, "green": 0.8, "blue": 0.8},
        {"red": 1},
    ]
    assert "already has alternating" in book.refused({"addBanding": banding})
    gone = book.batch({"deleteConditionalFormatRule": {"sheetId": 0, "index": 0}})
    assert gone[0]["deleteConditionalFormatRule"]["rule"]["booleanRule"]["condition"]["type"] == "CUSTOM_FORMULA"


def test_charts_follow_their_ranges(book: Book) -> None:
    def source(column: int) -> dict[str, Any]:
        return {"sourceRange": {"sources": [box(0, 10, column, column + 1)]}}

    spec = {
        "title": "Spend",
        "basicChart": {
            "chartType": "LINE",
            "headerCount": 1,
            "domains": [{"domain": source(0)}],
            "series": [{"series": source(1), "targetAxis": "LEFT_AXIS"}],
        },
    }
    place = {"overlayPosition": {"anchorCell": {"sheetId": 0, "rowIndex": 1, "columnIndex": 3}}}
    reply = book.batch({"addChart": {"chart": {"spec": spec, "position": place}}})[0]["addChart"]["chart"]
    assert reply["chartId"] > 0
    book.batch({"insertDimension": {"range": {"dimension": "COLUMNS", "startIndex": 1, "endIndex": 2}}})
    chart = book.get(fields="sheets.charts")["sheets"][0]["charts"][0]
    moved = chart["spec"]["basicChart"]["series"][0]["series"]["sourceRange"]["sources"][0]
    assert (moved["startColumnIndex"], moved["endColumnIndex"]) == (2, 3)
    assert chart["position"]["overlayPosition"]["anchorCell"]["columnIndex"] == 4
    book.batch({"updateChartSpec": {"chartId": reply["chartId"], "spec": {**spec, "title": "New"}}})
    assert book.get()["sheets"][0]["charts"][0]["spec"]["title"] == "New"
    book.batch({"deleteEmbeddedObject": {"objectId": reply["chartId"]}})
    assert "charts" not in book.get()["sheets"][0]


def test_borders(book: Book) -> None:
    line = {"style": "SOLID", "color": {}}
    book.batch({"updateBorders": {"range": box(0, 2, 0, 2), "top": line, "innerVertical": line}})
    cells = book.show("A1:B2", "userEnteredFormat.borders")
    sides = [[sorted(cell["userEnteredFormat"]["borders"]) for cell in row] for row in cells]
    assert sides == [[["right", "top"], ["left", "top"]], [["right"], ["left"]]]


def test_find_replace_and_duplicates(book: Book) -> None:
    book.put("A1", [["one fish"], ["two fish"], ["one fish"]])
    found = book.batch({"findReplace": {"find": "FISH", "replacement": "cat", "allSheets": True}})[0]["findReplace"]
    assert (found["valuesChanged"], found["sheetsChanged"]) == (3, 1)
    removed = book.batch({"deleteDuplicates": {"range": box(0, 3, 0, 1)}})[0]["deleteDuplicates"]
    assert removed == {"duplicatesRemovedCount": 1}
    assert book.values("A:A") == [["one cat"], ["two cat"]]


def test_colours_come_back_in_256_steps(book: Book) -> None:
    colour = {"rgbColor": {"red": 1, "green": 0, "blue": 0.5}}
    update = {"properties": {"sheetId": 0, "tabColorStyle": colour}, "fields": "tabColorStyle"}
    book.batch({"updateSheetProperties": update})
    properties = book.get()["sheets"][0]["properties"]
    assert properties["tabColorStyle"] == {"rgbColor": {"red": 1, "blue": 0.49803922}}
    assert properties["tabColor"] == {"red": 1, "blue": 0.49803922}


def test_tags_on_ranges_open_at_the_end_grow_with_the_grid(book: Book) -> None:
    condition = {"type": "NUMBER_GREATER", "values": [{"userEnteredValue": "5"}]}
    rule = {
        "ranges": [{"sheetId": 0, "startRowIndex": 1, "startColumnIndex": 0, "endColumnIndex": 1}],
        "booleanRule": {"condition": condition, "format": {"textFormat": {"bold": True}}},
    }
    book.batch(
        {"addConditionalFormatRule": {"rule": rule, "index": 0}},
        {"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": 5}},
    )
    book.put("A1004", [[4], [6]])
    cells = book.show("A1004:A1005", "effectiveFormat.textFormat.bold")
    assert [row[0]["effectiveFormat"]["textFormat"]["bold"] for row in cells] == [False, True]


def test_a_big_batch_is_quick(server: Server) -> None:
    book = Book(server, server.create("b", [{"title": "T", "rows": 2_500, "columns": 20}]))
    rows = [{"values": [number(row * 20 + column) for column in range(20)]} for row in range(2_500)]
    request = {"updateCells": {"start": {"sheetId": 0}, "rows": rows, "fields": "userEnteredValue"}}
    begin = time.perf_counter()
    book.batch(request)
    # Some ten times what it takes, so that a busy machine does not fail it but a slip to quadratic work does.
    assert time.perf_counter() - begin < 3
    assert book.values("T!T2500") == [["49999"]]
