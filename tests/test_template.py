"""The template: its files, and the tabs that `sheet init` builds and `sheet fields` brings up to date."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import closing
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import requests
from openpyxl.utils.cell import range_boundaries
from openpyxl.worksheet.formula import ArrayFormula

from owox_tiktok import titles
from owox_tiktok.errors import BadInput, StoreFailed
from owox_tiktok.local.sheets import Server, Sheet, serve
from owox_tiktok.settings import SETTINGS
from owox_tiktok.sheets import dashboard, setup, template
from owox_tiktok.sheets.client import API_VARIABLE, Sizes, Spreadsheet
from owox_tiktok.sheets.dashboard import ALL, DASHBOARD
from owox_tiktok.sheets.numbers import NUMBERS
from owox_tiktok.sheets.pages import Item, SheetKind
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.tabs import letters
from owox_tiktok.sheets.template import CONFIG, FIELDS, LOGS, START
from owox_tiktok.streams import STREAMS
from tests.helpers import Project, Row, expected, process_environment
from tests.sheets import columns_of_tab, stand_in

ROOT = Path(__file__).parent.parent
FILES: dict[SheetKind, str] = {
    "sheets": "TikTok Ads to Google Sheets.xlsx",
    "bigquery": "TikTok Ads to Google BigQuery.xlsx",
}
TABS = [START, CONFIG, FIELDS, LOGS, DASHBOARD, NUMBERS]
DATA = "Ad report daily"


# --- a spreadsheet, as its people see it ------------------------------------------------------------------------------


class Book:
    """A spreadsheet on the emulator: what the commands do to it, and what people do."""

    def __init__(self, server: Server, sheets: list[Any] | None = None, file_id: str = "") -> None:
        self.server = server
        self.id = file_id or server.create("Her spreadsheet", sheets or [])

    def open(self, sizes: Sizes = Sizes()) -> closing[Spreadsheet]:  # noqa: B008 - it is frozen
        return closing(Spreadsheet(self.id, environment={API_VARIABLE: self.server.url}, sizes=sizes))

    def init(self, kind: SheetKind | None = None, *, dry_run: bool = False, sizes: Sizes = Sizes()) -> str:  # noqa: B008
        with self.open(sizes) as book:
            return "; ".join(setup.init(book, kind, dry_run=dry_run))

    def fields(self, *, dry_run: bool = False) -> str:
        with self.open() as book:
            return "; ".join(setup.fields(book, dry_run=dry_run))

    @property
    def titles(self) -> list[str]:
        return [s.title for s in self.server.spreadsheet(self.id).sheets if not s.hidden]

    def tab(self, title: str) -> Sheet:
        return self.server.spreadsheet(self.id).sheet(title)

    def cells(self, title: str) -> list[list[Any]]:
        """Contents as entered."""
        return self.tab(title).values()

    def shown(self, title: str) -> list[list[Any]]:
        """What the cells show: formulas worked out, over HTTP."""
        tab = self.tab(title)
        with self.open() as book:
            whole = Block(tab.sheet_id, 0, tab.grid.row_count, 0, tab.grid.column_count)
            return book.values([whole])[0]

    def row(self, title: str, *wanted: Any) -> int:
        """The row (from 0) in which these texts stand."""
        return next(n for n, line in enumerate(self.cells(title)) if set(wanted) <= set(line))

    def look(self, title: str, row: int, column: int) -> dict[str, Any]:
        found = self.tab(title).grid.look(row, column)
        return found.parts if found else {}

    def person(self, *requests: dict[str, Any]) -> None:
        """Somebody changes the spreadsheet."""
        self.server.batch(self.id, list(requests))

    def backgrounds(self, title: str, row: int, column: int) -> dict[str, float]:
        """The colour behind a cell as it is seen, over HTTP."""
        cell = f"'{title}'!{letters(column)}{row + 1}"
        fields = "sheets.data.rowData.values.effectiveFormat.backgroundColor"
        url = f"{self.server.url}/v4/spreadsheets/{self.id}"
        found = requests.get(url, params={"ranges": cell, "fields": fields}, timeout=30).json()
        colour: dict[str, float] = found["sheets"][0]["data"][0]["rowData"][0]["values"][0]["effectiveFormat"][
            "backgroundColor"
        ]
        return {"red": 0.0, "green": 0.0, "blue": 0.0} | colour

    def put(self, title: str, row: int, column: int, value: Any, **look: Any) -> None:
        kind = "boolValue" if isinstance(value, bool) else "stringValue" if isinstance(value, str) else "numberValue"
        cell = {"userEnteredValue": {kind: value}, **({"userEnteredFormat": look} if look else {})}
        start = {"sheetId": self.tab(title).sheet_id, "rowIndex": row, "columnIndex": column}
        mask = "userEnteredValue,userEnteredFormat" if look else "userEnteredValue"
        self.person({"updateCells": {"start": start, "rows": [{"values": [cell]}], "fields": mask}})

    def dimension(self, verb: str, title: str, along: str, start: int, count: int = 1, **more: Any) -> None:
        place = {
            "sheetId": self.tab(title).sheet_id,
            "dimension": along,
            "startIndex": start,
            "endIndex": start + count,
        }
        self.person({verb: {("source" if verb == "moveDimension" else "range"): place, **more}})

    def picture(self) -> dict[int, Any]:
        """Everything there is, tab by tab: contents, looks, rules, charts, groups, sizes, tags."""
        model = self.server.spreadsheet(self.id)
        return {
            s.sheet_id: (
                s.title,
                s.values(),
                [row.looks if row else () for row in s.grid.rows],
                {name: list(part) for name, part in s.parts.items()},
                (s.grid.row_count, s.grid.column_count, dict(s.grid_extra), dict(s.extra)),
                (dict(s.row_props), dict(s.column_props)),
                sorted((m.key, m.value, str(m.location)) for m in model.metadata if m.sheet_id == s.sheet_id),
            )
            for s in model.sheets
        }


@pytest.fixture
def book() -> Book:
    """A blank spreadsheet."""
    return Book(stand_in())


@cache
def original() -> Book:
    book = Book(stand_in())
    book.init()
    return book


@pytest.fixture
def built() -> Book:
    """A spreadsheet in which `sheet init` was run: a copy, as Drive makes one."""
    answer = requests.post(f"{stand_in().url}/drive/v3/files/{original().id}/copy", json={}, timeout=30)
    return Book(stand_in(), file_id=answer.json()["id"])


@cache
def uploaded_tabs(kind: SheetKind) -> list[dict[str, Any]]:
    """The tabs of a file as an upload brings them: contents only, no tags, no tick boxes."""
    workbook = openpyxl.load_workbook(ROOT / "templates" / FILES[kind])
    return [
        {
            "title": sheet.title,
            "rows": sheet.max_row + 20,
            "columns": sheet.max_column,
            "values": [[_entered(cell.value) for cell in line] for line in _cells(sheet)],
        }
        for sheet in workbook.worksheets
    ]


def _cells(sheet: Any) -> list[list[Any]]:
    """The cells of a tab of a file. Those that an array formula fills have a 0 in the file, which is no content."""
    filled: set[tuple[int, int]] = set()
    for line in sheet.iter_rows():
        for cell in line:
            if isinstance(cell.value, ArrayFormula):
                left, top, right, bottom = (one or 0 for one in range_boundaries(cell.value.ref))
                filled |= {(r, c) for r in range(top, bottom + 1) for c in range(left, right + 1)} - {
                    (cell.row, cell.column)
                }
    for row, column in filled:
        sheet.cell(row, column).value = None
    return [list(line) for line in sheet.iter_rows()]


def _entered(value: Any) -> Any:
    """What an upload makes of a cell: functions that are new in Excel lose their prefix, results their spill."""
    if not isinstance(value, ArrayFormula):
        return value
    text = re.sub(r"_xlfn\.(_xlws\.)?", "", value.text or "")
    left, top, right, bottom = (one or 0 for one in range_boundaries(value.ref))
    return f"=ARRAY_CONSTRAIN(ARRAYFORMULA({text[1:]}),{bottom - top + 1},{right - left + 1})"


def _uploaded(item: Item) -> Any:
    """What stands in a cell of a file after its upload."""
    text = template.in_file(item.formula)
    if item.fills == (1, 1):
        return text or item.value
    return f"=ARRAY_CONSTRAIN(ARRAYFORMULA({text[1:]}),{item.fills[0]},{item.fills[1]})"


# --- the definition and its files -------------------------------------------------------------------------------------


def test_every_object_is_in_fields_with_its_usual_fields_and_presets_its_keys_always_ticked() -> None:
    listed: dict[str, dict[str, bool]] = {}
    for tick, name, field, *_ in template.page(FIELDS, "sheets").lines[1:]:
        if field.value is None:
            listed[str(name.value)] = {}
        else:
            listed[str(name.value)][str(field.value)] = bool(tick.value)
    assert list(listed) == list(STREAMS)
    for stream in STREAMS.values():
        names = {*stream.keys, *template.usual(stream)}
        assert {name for name, tick in listed[stream.name].items() if tick} == names
        assert set(listed[stream.name]) - names == set(template.presets(stream))
        assert names <= set(stream.fields)
        assert len(names) <= 35
    assert sum(map(len, listed.values())) < 6_000  # 20,000 would be all


def test_titles_are_what_people_say_and_no_object_has_one_twice() -> None:
    said = {"spend": "Spend", "cost_per_conversion": "Cost per conversion", "stat_time_day": "Day", "ctr": "CTR"}
    assert {name: titles.title(name) for name in said} == said
    for stream in STREAMS.values():
        called = [titles.title(name).casefold() for name in stream.fields]
        assert len(set(called)) == len(called), stream.name
        assert not [one for one in called if "_" in one]


def test_every_parameter_is_in_the_template_that_asks_for_it() -> None:
    for kind in FILES:
        labels = [label.rstrip("*") for label in template.config_lines(kind)]
        elsewhere = {s.name for s in SETTINGS if (s.only_bigquery if kind == "sheets" else s.only_sheets)}
        wanted = [s.label for s in SETTINGS if s.label and s.name not in elsewhere]
        assert labels == [*template.OUTPUTS, *wanted]


def test_every_object_is_in_the_documents() -> None:
    for stream in STREAMS.values():
        text = (ROOT / "docs" / "objects" / f"{stream.family}.md").read_text(encoding="utf-8")
        assert f"\n## {stream.name}\n" in text or f'<a id="{stream.name}"></a>' in text


def test_no_cell_names_a_file_that_whoever_has_only_the_sheet_cannot_open() -> None:
    for kind in FILES:
        for page in template.pages(kind):
            texts = [str(item.value) for line in page.lines for item in line]
            assert [text for text in texts if re.search(r"\w\.md\b|docs/", text)] == [], page.title


@pytest.mark.parametrize("kind", list(FILES))
def test_a_file_holds_what_the_definition_says(kind: SheetKind) -> None:
    workbook = openpyxl.load_workbook(ROOT / "templates" / FILES[kind])
    pages = template.pages(kind, in_a_file=True)
    assert workbook.sheetnames == [page.title for page in pages]
    for page, sheet in zip(pages, workbook.worksheets, strict=True):
        found = [[_entered(cell.value) for cell in line if cell.value is not None] for line in _cells(sheet)]
        wanted = [[_uploaded(i) for i in line if i.formula or i.value is not None] for line in page.lines]
        assert found[: len(wanted)] == wanted
        assert not any(found[len(wanted) :])
        assert sheet.freeze_panes == (f"A{page.frozen + 1}" if page.frozen else None)
        assert len(sheet._charts) == len(page.charts)  # type: ignore[attr-defined]
        folded = {n - 1 for n, row in sheet.row_dimensions.items() if row.outlineLevel and row.hidden}
        assert folded == {row for first, end in page.groups for row in range(first, end)}
        takers = {(r, c) for r, line in enumerate(page.lines) for c, item in enumerate(line) if item.takes}
        rules = [one.sqref for one in sheet.data_validations.dataValidation]
        ruled = {
            (row - 1, column - 1)
            for ranges in rules
            for one in ranges.ranges
            for row in range(one.min_row, one.max_row + 1)
            for column in range(one.min_col, one.max_col + 1)
        }
        assert ruled == takers


def test_the_files_are_in_step_with_the_definition() -> None:
    check = [sys.executable, "tools/make_templates.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False, env=process_environment({}))
    assert (done.returncode, done.stdout) == (0, "")


# --- init -------------------------------------------------------------------------------------------------------------


def test_init_builds_the_whole_template_in_a_blank_spreadsheet(book: Book) -> None:
    assert book.init() == f"created the tabs {', '.join([*TABS, DATA])}"
    assert book.titles == [*TABS, DATA]
    tags = {m.sheet_id: m.value for m in book.server.spreadsheet(book.id).metadata if m.key == "owox.tab"}
    for title in TABS:
        tab = book.tab(title)
        assert json.loads(tags[tab.sheet_id] or "") == {
            "stream": f"({title.partition(' ')[0].lower()})",
            "tab": tab.sheet_id,
        }
    source = dashboard.Source({name: f"'{DATA}'!{name}" for name in dashboard.NEEDED}, "1:1", {})
    for page in template.pages("sheets", source):
        found = book.cells(page.title)
        for row, line in enumerate(page.lines):
            for column, item in enumerate(line):
                cell = found[row][column] if row < len(found) and column < len(found[row]) else None
                wanted = str(cell).startswith("=") if item.formula else cell == item.value
                assert wanted, (page.title, row, column, cell)
                takes = book.look(page.title, row, column).get("dataValidation", {}).get("condition", {}).get("type")
                assert (takes == "BOOLEAN") == (item.takes == "tick"), (page.title, row, column)
    groups = [(g["range"]["startIndex"], g["range"]["endIndex"]) for g in book.tab(FIELDS).parts["rowGroups"]]
    assert groups == list(template.page(FIELDS, "sheets").groups)
    assert all(g["collapsed"] for g in book.tab(FIELDS).parts["rowGroups"])
    assert len(book.tab(DASHBOARD).parts["charts"]) == 3
    assert not any(
        str(v).startswith("=") for title in (START, CONFIG, LOGS) for line in book.cells(title) for v in line
    )


def test_the_template_for_bigquery_asks_for_a_dataset_and_has_no_empty_charts(book: Book) -> None:
    book.init("bigquery")
    assert book.titles == TABS[:-1]
    labels = [line[0] for line in book.cells(CONFIG) if line]
    assert {"Destination Dataset ID*", "Destination Location"} <= set(labels)
    assert not book.tab(DASHBOARD).parts["charts"]
    assert book.init() == ""  # it knows which one it is


@pytest.mark.parametrize("kind", list(FILES))
def test_a_second_init_changes_nothing(book: Book, kind: SheetKind) -> None:
    book.init(kind)
    before = book.picture()
    written = sum(":batchUpdate" in call.path for call in book.server.log)
    assert book.init(kind) == ""
    assert book.fields() == ""
    assert book.picture() == before
    assert sum(":batchUpdate" in call.path for call in book.server.log) == written


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(book: Book) -> None:
    before = book.picture()
    assert book.init(dry_run=True) == f"created the tabs {', '.join([*TABS, DATA])}"
    assert book.picture() == before


def test_an_uploaded_file_gets_tags_tick_boxes_groups_and_charts_and_keeps_its_values(book: Book) -> None:
    book = Book(book.server, uploaded_tabs("sheets"))
    before = {title: book.cells(title) for title in (START, CONFIG, FIELDS, LOGS)}
    said = book.init()
    assert book.titles == [*TABS, DATA]
    assert {title: book.cells(title) for title in before} == before
    assert book.look(FIELDS, 1, 0)["dataValidation"]["condition"]["type"] == "BOOLEAN"
    switch = book.row(CONFIG, "Include Deleted")
    assert book.look(CONFIG, switch, 1)["dataValidation"]["condition"]["type"] == "BOOLEAN"
    assert len(book.tab(FIELDS).parts["rowGroups"]) == len(STREAMS)
    assert len(book.tab(DASHBOARD).parts["charts"]) == 3
    assert "formulas now follow the tab of the data" in said
    columns = columns_of_tab(book.server, book.id, dashboard.DATA)
    formulas = [
        v for line in book.cells(DASHBOARD) for v in line if isinstance(v, str) and v.startswith("=ARRAYFORMULA")
    ]
    followed = f"'{DATA}'!${letters(columns['spend'])}:${letters(columns['spend'])}"
    assert sum(followed in one for one in formulas) == 4
    before_again = book.picture()
    assert book.init() == ""
    assert book.picture() == before_again


def test_init_leaves_what_people_filled_in_moved_and_coloured_and_adds_what_is_missing(built: Book) -> None:
    built.put(CONFIG, built.row(CONFIG, "Advertiser IDs*"), 1, "7012345678901234567", backgroundColor={"red": 1})
    built.put(CONFIG, built.row(CONFIG, "Sandbox Mode"), 1, True)
    built.dimension("deleteDimension", CONFIG, "ROWS", built.row(CONFIG, "Max Run Timeout"))
    built.dimension("insertDimension", CONFIG, "COLUMNS", 0)
    built.dimension("moveDimension", CONFIG, "COLUMNS", 3, destinationIndex=1)  # the description before the value
    built.put(CONFIG, 8, 0, "ask Maria")
    built.put(FIELDS, built.row(FIELDS, "campaigns", None), 0, False)
    built.put(FIELDS, built.row(FIELDS, "campaigns", "budget"), 0, False)
    built.dimension("insertDimension", FIELDS, "COLUMNS", 1)
    built.put(FIELDS, 3, 1, "mine")
    built.put(DASHBOARD, 3, 1, "EUR")
    built.put(LOGS, 1, 4, "a line of the log")
    tab = built.tab(DASHBOARD)
    built.person(
        {"updateSheetProperties": {"properties": {"sheetId": tab.sheet_id, "title": "Figures"}, "fields": "title"}}
    )
    before = built.picture()

    assert built.init() == "Config: added Max Run Timeout"

    after = built.picture()
    config = built.tab(CONFIG)
    last = len(before[config.sheet_id][1])
    assert after[config.sheet_id][1][:last] == before[config.sheet_id][1]
    added = [v for v in after[config.sheet_id][1][last] if v is not None]
    assert added[0] == template.config_lines("sheets")["Max Run Timeout"][2].value or "Max Run Timeout" in added
    assert built.look(CONFIG, last, 3)["dataValidation"]["condition"]["type"] == "NUMBER_GREATER_THAN_EQ"
    del after[config.sheet_id], before[config.sheet_id]
    assert after == before


def test_a_tab_of_somebody_elses_with_such_a_title_is_left_alone(book: Book) -> None:
    book = Book(book.server, [{"title": "Dashboard", "values": [["My own charts"]]}, {"title": "Config"}])
    hers = book.tab("Dashboard").sheet_id
    before = book.picture()[hers]
    book.init()
    assert book.picture()[hers] == before
    assert book.titles == ["Dashboard", "Config", START, FIELDS, LOGS, "Dashboard (2)", NUMBERS, DATA]
    assert book.cells("Config")[0] == list(template.CONFIG_HEADINGS)  # it was blank
    assert book.init() == ""


def test_headings_that_are_gone_are_told(built: Book) -> None:
    built.dimension("deleteDimension", CONFIG, "ROWS", 0)
    with pytest.raises(BadInput, match=r"Config: has no row with the headings Parameter, Value\. Put them back"):
        built.init()


def test_an_init_that_was_cut_off_is_completed_by_the_next(book: Book) -> None:
    whole = Book(book.server)
    whole.init()
    writes = 0

    def forbid(method: str, path: str) -> None:
        nonlocal writes
        writes += path.endswith(":batchUpdate")
        if writes == 3:
            server.spreadsheet(mine.id).permissions = []

    with serve() as server:
        mine = Book(server)
        permissions = server.spreadsheet(mine.id).permissions
        server.on_call = forbid
        with pytest.raises(StoreFailed, match="it is not shared with this program"):
            mine.init(sizes=Sizes(batch_bytes=100_000))
        server.on_call = None
        server.spreadsheet(mine.id).permissions = permissions
        assert 10 < sum(map(any, mine.cells(FIELDS))) < len(whole.cells(FIELDS))
        mine.init()
        for title in TABS:
            assert mine.cells(title) == whole.cells(title)


# --- fields -----------------------------------------------------------------------------------------------------------


def test_fields_brings_an_older_tab_up_to_date_and_keeps_ticks_and_own_columns(built: Book) -> None:
    # An older template: no pixels, no budget of campaigns, not the last field of ads, another description …
    pixels = len(template.in_order(STREAMS["pixels"])) + 1
    built.dimension("deleteDimension", FIELDS, "ROWS", built.row(FIELDS, "pixels", None), pixels)
    built.dimension("deleteDimension", FIELDS, "ROWS", built.row(FIELDS, "audiences", None) - 1)
    built.dimension("deleteDimension", FIELDS, "ROWS", built.row(FIELDS, "campaigns", "budget"))
    built.put(FIELDS, built.row(FIELDS, "campaigns", "campaign_name"), 5, "What it is called")
    # … a field and an object that are not offered any more …
    built.put(FIELDS, built.row(FIELDS, "campaigns", "create_time"), 2, "bid_kind")
    built.put(FIELDS, built.row(FIELDS, "music", None), 1, "tunes")
    # … and what she did: unticked two, and put a column of her own between ours.
    unticked = ["budget_mode", "objective_type"]
    for name in unticked:
        built.put(FIELDS, built.row(FIELDS, "campaigns", name), 0, False)
    built.dimension("insertDimension", FIELDS, "COLUMNS", 2)
    built.put(FIELDS, built.row(FIELDS, "campaigns", "objective_type"), 2, "hers")
    before = built.cells(FIELDS)

    said = built.fields()

    assert f"added 2 objects and {pixels - 1 + 3} fields" in said
    assert "2 rows marked as no longer offered" in said
    assert "1 description refreshed" in said
    after = built.cells(FIELDS)
    lines = {(line[1], line[3]): line for line in after[1:]}
    assert len(lines) == len(after) - 1
    for stream in STREAMS.values():
        offered = {field for name, field in lines if name == stream.name} - {"bid_kind"}
        assert offered == {None, *template.in_order(stream)}
    for line in before[1:]:
        assert lines[line[1], line[3]][:3] == line[:3]
    assert not any(lines["campaigns", name][0] for name in unticked)
    assert lines["campaigns", "objective_type"][2] == "hers"
    assert lines["campaigns", "budget"][0] is False  # new, so it is hers to tick
    assert str(lines["campaigns", "bid_kind"][6]).startswith(template.NO_LONGER_OFFERED)
    assert str(lines["tunes", None][6]).startswith(template.NO_LONGER_OFFERED)
    assert lines["campaigns", "campaign_name"][6] == STREAMS["campaigns"].fields["campaign_name"].description
    # New fields stand in the group of their object, and are counted.
    shown = built.shown(FIELDS)
    for name in ("campaigns", "ads", "pixels"):
        first = built.row(FIELDS, name, None, lines[name, None][6])
        theirs = [n for n, line in enumerate(after) if line[1] == name and line[3]]
        count = sum(after[n][0] is True for n in theirs)
        assert shown[first][5] == f"{count} ticked"
        group = next(g["range"] for g in built.tab(FIELDS).parts["rowGroups"] if g["range"]["startIndex"] == first + 1)
        assert group["endIndex"] == theirs[-1] + 1
        assert built.look(FIELDS, theirs[-1], 0)["dataValidation"]["condition"]["type"] == "BOOLEAN"
    picture = built.picture()
    assert built.fields() == ""
    assert built.picture() == picture


def long_tab() -> dict[str, Any]:
    """Fields as earlier versions built it: without the column Name, and with a row for every field there is."""
    lines: list[list[Any]] = [["Import", "Object", "Field", "Type", "Description"]]
    for stream in STREAMS.values():
        lines.append([stream.name in ("ads", "ad_report_daily"), stream.name, None, None, stream.description])
        names = dict.fromkeys((*stream.keys, *stream.fields))
        lines += [[n in stream.keys or n == "spend", stream.name, n, "", ""] for n in names]
    return {"title": FIELDS, "rows": len(lines) + 5, "columns": 6, "values": lines}


def test_a_choice_is_ticked_in_a_tab_of_an_earlier_version_as_well(book: Book) -> None:
    book = Book(book.server, [long_tab()])
    before = book.cells(FIELDS)
    choice = {"ads": ["ad_name"], "campaign_report_daily": ["video", "live_views"]}
    with book.open() as opened:
        setup.choose(opened, choice)
        assert setup.ticked(opened) == {
            name: sorted({*fields, *STREAMS[name].keys}, key=[*template.in_order(STREAMS[name]), *fields].index)
            for name, fields in {"ads": ["ad_name"], "campaign_report_daily": ["video", "live_views"]}.items()
        }
    after = book.cells(FIELDS)
    # Rows came for the presets, and nothing else moved or changed but ticks.
    new = [line[1:3] for line in after if line[2] in ("performance", "video", "ecommerce", "app")]
    assert len(new) == 4 * sum(bool(template.presets(s)) for s in STREAMS.values())
    assert [line[1:] for line in after if line[1:3] not in new] == [line[1:] for line in before]
    assert [line[0] for line in after if line[1:3] == ["ad_report_daily", "spend"]] == [True]  # for the next time


def test_fields_needs_the_tab(book: Book) -> None:
    with pytest.raises(BadInput, match=r"Fields: there is no such tab\. Build it with: owox-tiktok sheet init"):
        book.fields()


# --- the Dashboard ----------------------------------------------------------------------------------------------------


@pytest.fixture
def imported(project: Project, built: Book, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose rows go into the built spreadsheet."""
    monkeypatch.setenv(API_VARIABLE, built.server.url)
    project.say["destination"] = f"sheets://{built.id}"
    return project


def rows_of(project: Project, currency: str, *more: str) -> list[Row]:
    names = [*(f.name for f in dashboard.DATA.columns(dashboard.DATA_FIELDS)), *more]
    return [
        row
        for advertiser in project.server.advertiser_ids
        for row in expected(project.server.world, dashboard.DATA, advertiser, names)
        if row["currency"] == currency
    ]


EPOCH = date(1899, 12, 30).toordinal()
ROWS = slice(29, 39)
ADS = slice(43, 53)
POINTS = slice(57, 88)


def days_shown(shown: list[list[Any]]) -> tuple[date, date]:
    return date.fromordinal(int(shown[5][1]) + EPOCH), date.fromordinal(int(shown[6][1]) + EPOCH)


def check_dashboard(book: Book, project: Project, title: str = DASHBOARD) -> None:
    """Compare every figure with the oracle's."""
    shown = book.shown(title)
    currency = str(shown[4][1])
    rows = rows_of(project, currency)
    assert rows
    days = sorted({row["stat_time_day"] for row in rows})
    first, last = days_shown(shown)
    assert (first, last) == (max(days[0], date.fromordinal(days[-1].toordinal() - 29)), days[-1])
    assert shown[3][2] == f"Imported: {days[0]} to {days[-1]}"
    assert shown[8][1] == f"Total, {currency}"
    rows_shown = [row for row in rows if row["stat_time_day"] >= first]
    compare(rows_shown, shown[9][2:11])
    length = last.toordinal() - first.toordinal() + 1
    before = [row for row in rows if 0 < first.toordinal() - row["stat_time_day"].toordinal() <= length]
    if len({row["stat_time_day"] for row in before}) == length:
        for at, name in enumerate(("spend", "impressions", "clicks", "conversion"), 2):
            change = float(shown[9][at]) / float(sum((row[name] or 0) for row in before)) - 1
            assert float(shown[10][at]) == pytest.approx(change)
    else:
        assert not any(shown[10][2:11])
    table = [line for line in shown[POINTS] if line[1] is not None]
    assert [date.fromordinal(int(line[1]) + EPOCH) for line in table] == [
        date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)
    ]
    for line, n in zip(table, range(length), strict=True):
        day = date.fromordinal(first.toordinal() + n)
        compare([row for row in rows_shown if row["stat_time_day"] == day], line[2:11])
    for part, key, name in ((ROWS, "campaign_id", "campaign_name"), (ADS, "ad_id", "ad_name")):
        spent: dict[str, Decimal] = {}
        for row in rows_shown:
            spent[row[key]] = spent.get(row[key], Decimal(0)) + (row["spend"] or 0)
        lines = [line for line in shown[part] if line[11]]
        assert [line[11] for line in lines] == sorted(spent, key=lambda one: -spent[one])[:10]
        for line in lines:
            theirs = [row for row in rows_shown if row[key] == line[11]]
            assert line[1] in {row[name] for row in theirs}
            compare(theirs, line[2:11])


def compare(rows: list[Row], cells: list[Any], value: str = "") -> None:
    """Compare sums, and rates of sums, with those over the rows; without a column of values there is no ROAS."""
    spend, impressions, clicks, conversions = (
        float(sum((row[name] or 0) for row in rows)) for name in ("spend", "impressions", "clicks", "conversion")
    )
    assert [float(c) for c in cells[:4]] == pytest.approx([spend, impressions, clicks, conversions])
    rates = ((clicks, impressions), (1000 * spend, impressions), (spend, clicks), (spend, conversions))
    for cell, (above, below) in zip(cells[4:8], rates, strict=True):
        assert cell == (pytest.approx(above / below) if below else None)
    if value:
        earned = float(sum((row[value] or 0) for row in rows))
        assert cells[8] == (pytest.approx(earned / spend) if spend else None)
    else:
        assert cells[8] in (None, "–")


def test_the_dashboard_gives_the_oracles_sums_and_follows_every_renaming(imported: Project, built: Book) -> None:
    assert "No data yet" in str(built.shown(DASHBOARD)[3][2])
    assert imported.import_().exit_code == 0
    check_dashboard(built, imported)
    shown = built.shown(DASHBOARD)
    assert "Amounts in different currencies are never added up" in str(shown[4][2])  # the accounts have two
    assert "ROAS needs the value of purchases" in str(shown[5][2])

    tab = built.tab(DATA)
    built.person(
        {"updateSheetProperties": {"properties": {"sheetId": tab.sheet_id, "title": "Raw"}, "fields": "title"}}
    )
    built.dimension("moveDimension", "Raw", "COLUMNS", 8, destinationIndex=0)
    built.dimension("insertDimension", "Raw", "COLUMNS", 2)
    check_dashboard(built, imported)
    other = next(r["currency"] for r in all_rows(imported) if r["currency"] != shown[4][1])
    built.put(DASHBOARD, 4, 1, other)
    check_dashboard(built, imported)
    assert built.init() == ""


def test_the_dashboard_is_compared_with_the_days_before_and_may_show_one_account(
    imported: Project, built: Book
) -> None:
    imported.import_()
    last = days_shown(built.shown(DASHBOARD))[1].toordinal()
    built.put(DASHBOARD, 5, 1, last - 9 - EPOCH)
    for row in {row["advertiser_id"]: row for row in all_rows(imported)}.values():
        account, currency = row["advertiser_id"], row["currency"]
        picked = next(line[15] for line in built.shown(DASHBOARD) if str(line[15]).endswith(account))
        for chosen in (picked, account):
            built.put(DASHBOARD, 3, 1, chosen)
            shown = built.shown(DASHBOARD)
            assert shown[4][1] == currency
            theirs = [row for row in rows_of(imported, currency) if row["advertiser_id"] == account]
            spans = [
                [row for row in theirs if 10 * n <= last - row["stat_time_day"].toordinal() < 10 * (n + 1)]
                for n in (0, 1)
            ]
            compare(spans[0], shown[9][2:11])
            now, before = (float(sum(row["spend"] or 0 for row in span)) for span in spans)
            assert float(shown[10][2]) == pytest.approx(now / before - 1)
            assert shown[10][1] == "against as many days before"
            assert {line[11] for line in shown[ROWS] if line[11]} <= {row["campaign_id"] for row in spans[0]}
    built.put(DASHBOARD, 3, 1, "nobody")
    assert "No account is called so" in str(built.shown(DASHBOARD)[4][2])
    built.put(DASHBOARD, 3, 1, ALL)
    built.put(DASHBOARD, 4, 1, "XYZ")
    assert str(built.shown(DASHBOARD)[4][2]).startswith("No account is billed in XYZ. Choose in B5: ")


def test_the_dashboard_has_roas_names_of_accounts_and_pictures_of_ads_where_their_objects_are_imported(
    imported: Project, built: Book
) -> None:
    value = "total_complete_payment_rate"
    imported.say["objects"] = ["advertisers", "ads", "videos", "images", "ad_report_daily"]
    imported.say["fields"] = {"ad_report_daily": ["performance", value]}
    assert imported.import_().exit_code == 0
    shown = built.shown(DASHBOARD)
    names = {
        row["advertiser_id"]: a.name for a in imported.server.world.advertisers for row in [{"advertiser_id": a.id}]
    }
    assert {line[15] for line in shown[2:4]} == {f"{name} · {one}" for one, name in names.items()}
    assert shown[5][2] is None
    first, _ = days_shown(shown)
    rows = [row for row in rows_of(imported, str(shown[4][1]), value) if row["stat_time_day"] >= first]
    compare(rows, shown[9][2:11], value)
    covers = {
        row["video_id"]: row["video_cover_url"]
        for a in imported.server.advertiser_ids
        for row in expected(imported.server.world, STREAMS["videos"], a, ["video_id", "video_cover_url"])
    }
    videos = {
        row["ad_id"]: row["video_id"]
        for a in imported.server.advertiser_ids
        for row in expected(imported.server.world, STREAMS["ads"], a, ["ad_id", "video_id"])
    }
    formulas = [line[0] for line in built.cells(DASHBOARD)[ADS]]
    for n, line in enumerate(shown[ADS]):
        if not line[11]:
            continue
        compare([row for row in rows if row["ad_id"] == line[11]], line[2:11], value)
        assert formulas[n] == f'=IF($AP{n + 2}="";"";IMAGE($AP{n + 2}))'
        picture = shown[n + 1][41]
        if line[11] not in videos:  # TikTok reports on it, and does not list it
            assert picture is None
        elif videos[line[11]]:
            assert picture == covers[videos[line[11]]]
        else:
            assert str(picture).startswith("https://")
    assert shown[41][5] is None


def all_rows(project: Project) -> list[Row]:
    return [
        row
        for advertiser in project.server.advertiser_ids
        for row in expected(project.server.world, dashboard.DATA, advertiser, ["advertiser_id", "currency"])
    ]


def test_the_dashboard_of_an_uploaded_file_works_without_init(imported: Project) -> None:
    book = Book(stand_in(), [tab for tab in uploaded_tabs("sheets") if tab["title"] in (START, DASHBOARD)])
    imported.say["destination"] = f"sheets://{book.id}"
    assert "No data yet" in str(book.shown(DASHBOARD)[3][2])
    imported.import_()
    check_dashboard(book, imported)


def test_a_dashboard_that_lost_its_data_shows_blanks_and_is_repaired(imported: Project, built: Book) -> None:
    imported.import_()
    built.person({"deleteSheet": {"sheetId": built.tab(DATA).sheet_id}})
    assert not any(str(v).startswith("#") for line in built.shown(DASHBOARD) for v in line if v is not None)
    said = built.init()
    assert said.startswith("created the tab Ad report daily")
    assert "formulas now follow the tab of the data" in said
    imported.import_()
    check_dashboard(built, imported)


def test_more_days_than_points_become_weeks_counted_from_the_last_day(imported: Project, built: Book) -> None:
    imported.import_()
    _, last = days_shown(built.shown(DASHBOARD))
    first = date.fromordinal(last.toordinal() - 38)
    built.put(DASHBOARD, 5, 1, first.toordinal() - EPOCH)
    shown = built.shown(DASHBOARD)
    rows = [row for row in rows_of(imported, str(shown[4][1])) if row["stat_time_day"] >= first]
    compare(rows, shown[9][2:11])
    table = [line for line in shown[POINTS] if line[1] is not None]
    starts = [date.fromordinal(int(line[1]) + EPOCH) for line in table]
    assert starts == [first, *(date.fromordinal(last.toordinal() - 7 * n + 1) for n in range(5, 0, -1))]
    for line, start, end in zip(table, starts, [*starts[1:], date.max], strict=True):
        compare([row for row in rows if start <= row["stat_time_day"] < end], line[2:11])


# --- the colours ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word", "hue"),
    [
        ("Importing 42 %", "INFO", "blue"),
        ("Up to date · 3 rows", "INFO", "green"),
        ("Error: no token", "ERROR", "red"),
    ],
)
def test_the_status_and_new_lines_of_the_log_are_coloured(built: Book, status: str, word: str, hue: str) -> None:
    row = built.row(CONFIG, template.CURRENT_STATUS)
    built.put(CONFIG, row, 1, status)
    built.dimension("insertDimension", LOGS, "ROWS", 1, inheritFromBefore=False)  # as the newest line comes in
    built.put(LOGS, 1, 1, word)
    shown = built.backgrounds(CONFIG, row, 1)
    assert max(("red", "green", "blue"), key=lambda one: shown[one]) == hue
    assert (built.backgrounds(LOGS, 1, 1) == {"red": 1, "green": 1, "blue": 1}) == (word == "INFO")


# --- the commands -----------------------------------------------------------------------------------------------------


def command(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "owox_tiktok", "sheet", *words],
        capture_output=True, text=True, timeout=60, check=False, env=process_environment({API_VARIABLE: server.url}),
    )  # fmt: skip


def test_the_commands_take_an_address_and_say_in_a_sentence_what_was_done(book: Book) -> None:
    address = f"https://docs.google.com/spreadsheets/d/{book.id}/edit#gid=0"
    would = command(book.server, "init", address, "--dry-run")
    assert (would.returncode, would.stderr.splitlines()) == (
        0,
        [f"Would be done: created the tabs {', '.join([*TABS, DATA])}."],
    )
    done = command(book.server, "init", address)
    assert (done.returncode, done.stderr) == (0, f"Created the tabs {', '.join([*TABS, DATA])}.\n")
    again = command(book.server, "fields", book.id)
    assert (again.returncode, again.stderr) == (0, "Everything is there already.\n")


def test_the_commands_say_in_a_sentence_what_is_wrong(book: Book) -> None:
    for name, code, words in (
        ("my sheet", 2, "is not the address of a spreadsheet"),
        ("1" * 44, 1, "there is no such spreadsheet"),
    ):
        done = command(book.server, "init", name)
        assert done.returncode == code
        assert words in done.stderr
        assert "Traceback" not in done.stderr
