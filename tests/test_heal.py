"""A Sheet that people damage is whole again after one import: rows deleted, doubled, typed over, keys broken."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from owox_tiktok.errors import StoreFailed
from owox_tiktok.local.sheets import Server, Sheet, serve
from owox_tiktok.local.sheets.auth import OWNER
from owox_tiktok.local.tiktok import Server as TikTok
from owox_tiktok.local.tiktok import World
from owox_tiktok.local.tiktok import serve as serve_tiktok
from owox_tiktok.model import Stream
from owox_tiktok.plan import clusters
from owox_tiktok.sheets import audit
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.destination import Sheets
from owox_tiktok.sheets.lease import holder
from owox_tiktok.sheets.table import KEYS
from owox_tiktok.sheets.warning import tables_of, warnings
from owox_tiktok.streams import STREAMS
from tests.helpers import NOW, Project, Ran, differences, expected
from tests.sheet_edits import EDITS, Tab
from tests.sheets import columns_of_tab, in_a_cell, left_behind, numbered_rows, sheet_rows, tab_of

DAILY, ADS, LIFETIME = STREAMS["ad_report_daily"], STREAMS["ads"], STREAMS["ad_report_lifetime"]
STREAMS_HERE = (ADS, DAILY, LIFETIME)
FIELDS = ("ad_name", "spend", "impressions", "video_play_actions")
Json = dict[str, Any]


@pytest.fixture
def world() -> World:
    return World(seed=3, advertisers=2, campaigns=2, ad_groups=2, ads=3, as_of=NOW)


@pytest.fixture
def tiktok(world: World) -> Iterator[TikTok]:
    with serve_tiktok(world) as server:
        yield server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve() as server:
        monkeypatch.setenv("SHEETS_API_URL", server.url)
        yield server


class Her:
    """A spreadsheet that is imported into, and the person who edits it."""

    def __init__(self, server: Server, project: Project) -> None:
        self.server, self.project = server, project
        self.book = server.create("Her report")
        self.fields: dict[str, list[str]] = {DAILY.name: list(FIELDS), LIFETIME.name: ["spend", "impressions"]}
        self.more: Json = {}

    def imports(self, **more: Any) -> Ran:
        streams = [s.name for s in STREAMS_HERE]
        fields = {"ads": ["ad_name", "campaign_id", "operation_status"], **self.fields}
        return self.project.import_(
            destination=f"sheets://{self.book}", objects=streams, fields=fields, **{**self.more, **more}
        )

    def tab(self, stream: Stream = DAILY) -> Sheet:
        tab = tab_of(self.server, self.book, stream)
        assert tab is not None
        return tab

    def at(self, name: str, stream: Stream = DAILY) -> int:
        return columns_of_tab(self.server, self.book, stream)[name]

    def does(self, *requests: Json) -> None:
        self.server.batch(self.book, list(requests))

    def writes(self, row: int, at: int, value: Any, stream: Stream = DAILY) -> None:
        kind = "boolValue" if isinstance(value, bool) else "numberValue" if isinstance(value, int | float) else ""
        kind = kind or ("formulaValue" if str(value).startswith("=") else "stringValue")
        cell = {} if value is None else {"userEnteredValue": {kind: value}}
        start = {"sheetId": self.tab(stream).sheet_id, "rowIndex": row, "columnIndex": at}
        self.does({"updateCells": {"start": start, "rows": [{"values": [cell]}], "fields": "userEnteredValue"}})

    def place(self, dimension: str, start: int, end: int, stream: Stream = DAILY) -> Json:
        return {"sheetId": self.tab(stream).sheet_id, "dimension": dimension, "startIndex": start, "endIndex": end}

    def box(self, top: int, bottom: int, left: int, right: int, stream: Stream = DAILY) -> Json:
        rows = {"startRowIndex": top, "endRowIndex": bottom, "startColumnIndex": left, "endColumnIndex": right}
        return {"sheetId": self.tab(stream).sheet_id, **rows}

    def rows_of(self, days: Callable[[date], bool], stream: Stream = DAILY) -> list[int]:
        return [n for n, r in numbered_rows(self.server, self.book, stream) if days(r["stat_time_day"])]

    def numbered(self) -> list[tuple[int, Json]]:
        return numbered_rows(self.server, self.book, DAILY)

    def wrong(self) -> list[str]:
        """Every difference between the tabs and what TikTok has."""
        found = []
        for stream in STREAMS_HERE:
            names = list(columns_of_tab(self.server, self.book, stream))
            wanted = [
                {k: in_a_cell(v) for k, v in row.items()}
                for advertiser_id in self.project.server.advertiser_ids
                for row in expected(self.project.server.world, stream, advertiser_id, names)
            ]
            assert wanted
            found += differences(sheet_rows(self.server, self.book, stream), wanted, stream.keys)
            found += [f"{stream.name}: row {n} is left behind" for n in left_behind(self.server, self.book, stream)]
        return found


@pytest.fixture
def her(server: Server, tmp_path: Path, tiktok: TikTok) -> Her:
    her = Her(server, Project(tmp_path, tiktok))
    assert her.imports().exit_code == 0
    assert her.wrong() == []
    return her


def february(day: date) -> bool:
    return (day.year, day.month) == (2026, 2)


# --- what she does to old days ----------------------------------------------------------------------------------------


def clears_the_tab(her: Her) -> None:
    her.does({"updateCells": {"range": her.box(1, her.tab().grid.row_count, 0, 20), "fields": "userEnteredValue"}})


def deletes_a_month(her: Her) -> None:
    for row in reversed(her.rows_of(february)):
        her.does({"deleteDimension": {"range": her.place("ROWS", row, row + 1)}})


def pastes_rows_twice(her: Her) -> None:
    end = her.tab().grid.row_count
    her.does({"appendDimension": {"sheetId": her.tab().sheet_id, "dimension": "ROWS", "length": 5}})
    source, target = her.box(3, 8, 0, 9), her.box(end, end + 5, 0, 9)
    her.does({"copyPaste": {"source": source, "destination": target, "pasteType": "PASTE_NORMAL"}})


def types_over_values(her: Her) -> None:
    rows = her.rows_of(february)
    her.writes(rows[0], her.at("spend"), 999)
    her.writes(rows[9], her.at("ad_name"), "my name for it")
    her.writes(rows[9], her.at("video_play_actions"), None)


def changes_an_id(her: Her) -> None:
    her.writes(her.rows_of(february)[2], her.at("ad_id"), "1234567890123456789")


def changes_a_day(her: Her) -> None:
    row = her.rows_of(february)[2]
    content = her.tab().grid.content(row, her.at("stat_time_day"))
    assert isinstance(content, float | int)
    her.writes(row, her.at("stat_time_day"), content - 10_000)


DAMAGE: dict[str, tuple[Callable[[Her], None], str]] = {
    "the tab cleared": (clears_the_tab, r"rows of .* were missing"),
    "old rows deleted": (deletes_a_month, r"rows of February 2026 were missing"),
    "rows pasted twice": (pastes_rows_twice, r"5 copies of rows were removed"),
    "values typed over": (types_over_values, r"2 days \(2026-02-.*\) differ from what was stored"),
    "an id changed": (changes_an_id, r"1 day \(2026-02-\d\d\) differs from what was stored"),
    "a day changed": (changes_a_day, r"1 row of February 2026 was missing"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_of_old_days_is_gone_after_one_import_and_it_says_so(her: Her, what: str) -> None:
    damage, sentence = DAMAGE[what]
    damage(her)
    assert her.wrong() != []
    ran = her.imports()
    assert ran.exit_code == 0
    assert her.wrong() == []
    assert any(re.search(sentence, w) for w in ran.warnings), ran.warnings
    assert her.imports().warnings == [], "once is enough"


def test_what_is_hers_and_what_is_not_imported_any_more_is_no_damage(her: Her) -> None:
    column = her.tab().grid.column_count
    her.does({"appendDimension": {"sheetId": her.tab().sheet_id, "dimension": "COLUMNS", "length": 1}})
    her.writes(3, column, "=F4*2")
    her.writes(4, column, "look at this")
    end = her.tab().grid.row_count
    her.does({"appendDimension": {"sheetId": her.tab().sheet_id, "dimension": "ROWS", "length": 2}})
    her.writes(end + 1, her.at("advertiser_id"), "TOTAL")
    her.writes(end + 1, her.at("spend"), f"=SUM(F2:F{end})")
    sort = [{"dimensionIndex": her.at("spend"), "sortOrder": "DESCENDING"}]
    her.does({"sortRange": {"range": her.box(1, end, 0, column + 1), "sortSpecs": sort}})
    assert her.imports().warnings == []
    assert her.imports(clean_up_to_keep_window=20).warnings == [], "nor is what was pruned"
    rows = numbered_rows(her.server, her.book, DAILY)
    first = min(r["stat_time_day"] for _, r in rows)
    for row in reversed(her.rows_of(lambda day: day < first + timedelta(days=2))):
        her.does({"deleteDimension": {"range": her.place("ROWS", row, row + 1)}})
    assert her.imports(start_date=f"{first + timedelta(days=3)}").warnings == [], "nor days before the start date"


def test_a_refresh_without_damage_reads_each_tab_once_and_all_of_them_in_one_call(her: Her) -> None:
    before = len(her.server.log)
    assert her.imports().warnings == []
    reads = [c.path for c in her.server.log[before:] if c.path.endswith("values:batchGetByDataFilter")]
    # State, then all tabs for the audit; and for each step the rows that it compares (of lists also those it keeps).
    assert len(reads) <= 2 + 3 + 1


def test_damage_is_read_again_with_few_requests(her: Her) -> None:
    before = len(her.project.server.log)
    her.imports()
    clean = len(her.project.server.log) - before
    row = her.rows_of(lambda day: day < date(2026, 2, 1))[0]
    her.does({"deleteDimension": {"range": her.place("ROWS", row, row + 1)}})
    before = len(her.project.server.log)
    ran = her.imports()
    assert len(her.project.server.log) - before - clean <= 3, "one day, not all since then"
    assert her.wrong() == []
    assert "1 row of January 2026 was missing; they are back." in ran.finished.summary


def test_days_are_read_again_in_as_few_windows_as_can_be() -> None:
    days = [date(2026, 1, 1), date(2026, 1, 30), date(2026, 1, 31), date(2026, 3, 2)]
    assert [f"{w}" for w in clusters(days, 30)] == ["2026-01-01..2026-01-30", "2026-01-31", "2026-03-02"]
    assert [f"{w}" for w in clusters(days, 31)] == ["2026-01-01..2026-01-31", "2026-03-02"]


def test_what_cannot_be_read_again_is_found_by_the_next_import(her: Her) -> None:
    deletes_a_month(her)
    her.project.server.faults.at = ()
    ran = her.imports(advertiser_ids=["1"], app_id=None, app_secret=None)
    assert ran.finished.healed == ()
    ran = her.imports()
    assert her.wrong() == []
    assert "they are back" in ran.finished.summary


def test_a_large_tab_is_compared_by_its_control_columns_and_month_by_month(
    her: Her, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "AT_ONCE", 300)
    deletes_a_month(her)
    her.imports()
    assert her.wrong() == []
    her.writes(her.rows_of(february)[3], her.at("impressions"), 1)
    her.imports()
    assert her.wrong() == []
    row = her.rows_of(lambda day: (day.year, day.month) == (2026, 1))[3]
    her.writes(row, her.at("video_play_actions"), 123456)
    for n in range(4):
        her.project.server.world.as_of = NOW + timedelta(days=n)
        her.imports(now=NOW + timedelta(days=n))
    assert her.wrong() == []


# --- broken keys ------------------------------------------------------------------------------------------------------

BROKEN = ("an id as a number", "an account as a number", "clear an id", "clear a date", "a date as text")


@pytest.mark.parametrize("what", BROKEN)
def test_a_row_with_a_broken_key_is_repaired_where_it_is_and_keeps_what_is_beside_it(her: Her, what: str) -> None:
    column = her.tab().grid.column_count
    her.does({"appendDimension": {"sheetId": her.tab().sheet_id, "dimension": "COLUMNS", "length": 1}})
    before = {row: (r["advertiser_id"], r["ad_id"], r["stat_time_day"]) for row, r in her.numbered()}
    for row, key in before.items():
        her.writes(row, column, repr(key))
    tab = Tab(her.server, her.book, DAILY, random.Random(what))
    for _ in range(3):
        EDITS[what](tab)
    ran = her.imports()
    assert ran.exit_code == 0
    assert her.wrong() == []
    assert ran.warnings
    for row, r in her.numbered():
        key = (r["advertiser_id"], r["ad_id"], r["stat_time_day"])
        beside = her.tab().grid.content(row, column)
        # Which day it was is known only where one alone is missing.
        assert beside == repr(key) or (beside is None and what == "clear a date"), "each remark is beside its row"
    assert her.imports().warnings == []


def test_when_most_rows_are_broken_it_stops_with_a_sentence(her: Her) -> None:
    tab, at = her.tab(), her.at("ad_id")
    for row in her.rows_of(lambda day: True)[:-5]:
        her.writes(row, at, None)
    before = tab.values()
    with pytest.raises(StoreFailed, match="rows have ids or days that were changed"):
        her.imports()
    assert tab.values() == before


def test_a_broken_row_that_fits_nothing_any_more_is_cleared_at_the_end(her: Her) -> None:
    her.writes(1, her.at("ad_id", ADS), 1.7300000123e18, ADS)
    ran = her.imports()
    assert her.wrong() == []
    assert any("whose ids or day were changed" in w for w in ran.warnings)
    assert her.imports().warnings == []


@pytest.mark.parametrize("name", ["spend", "ad_id", "stat_time_day"])
def test_a_column_that_was_cut_and_pasted_is_found_by_its_heading(her: Her, name: str) -> None:
    grid = her.tab().grid
    at, width = her.at(name), grid.column_count
    her.does({"appendDimension": {"sheetId": her.tab().sheet_id, "dimension": "COLUMNS", "length": 2}})
    target = {"sheetId": her.tab().sheet_id, "rowIndex": 0, "columnIndex": width + 1}
    source = her.box(0, grid.row_count, at, at + 1)
    her.does({"cutPaste": {"source": source, "destination": target, "pasteType": "PASTE_NORMAL"}})
    ran = her.imports()
    assert ran.exit_code == 0
    assert her.at(name) == width + 1
    assert her.wrong() == []
    assert any("found by its heading" in w for w in ran.warnings)
    assert all(row[at] is None for row in her.tab().values() if len(row) > at), "nothing was written where it was"
    assert her.imports().warnings == []


def test_a_column_with_a_tag_of_an_earlier_version_is_found_by_its_heading(her: Her) -> None:
    model = her.server.spreadsheet(her.book)
    for entry in model.metadata:
        if entry.key == "ox":
            entry.key = "owox.col"
    test_a_column_that_was_cut_and_pasted_is_found_by_its_heading(her, "spend")
    names = [(m.sheet_id, m.value) for m in model.metadata if m.location_type == "COLUMN"]
    assert len(names) == len(set(names)), "no column is tagged twice"


def test_the_headings_are_known_without_their_tag(her: Her) -> None:
    model = her.server.spreadsheet(her.book)
    lost = [m for m in model.metadata if m.key == "owox.head" and m.sheet_id == her.tab().sheet_id]
    lookups = [{"developerMetadataLookup": {"metadataId": m.metadata_id}} for m in lost]
    her.does(*({"deleteDeveloperMetadata": {"dataFilter": lookup}} for lookup in lookups))
    rows = her.tab().grid.row_count
    her.fields[DAILY.name] = [*FIELDS, "clicks"]
    assert her.imports().exit_code == 0
    assert her.tab().grid.row_count == rows
    assert her.wrong() == []


# --- fields -----------------------------------------------------------------------------------------------------------


def test_a_field_that_is_not_ticked_any_more_leaves_its_column_whole_and_comes_back(her: Her) -> None:
    at = her.at("video_play_actions")
    before = {(r["ad_id"], r["stat_time_day"]): r["video_play_actions"] for _, r in her.numbered()}
    her.fields[DAILY.name] = ["ad_name", "spend", "impressions"]
    her.project.server.world.as_of = NOW + timedelta(days=1)
    ran = her.imports(now=NOW + timedelta(days=1))
    assert any("video_play_actions" in w and "not updated" in w for w in ran.warnings)
    after = {(r["ad_id"], r["stat_time_day"]): r["video_play_actions"] for _, r in her.numbered()}
    assert {k: v for k, v in after.items() if k in before} == before
    assert {v for k, v in after.items() if k not in before} == {None}, "new rows have none"
    assert her.imports(now=NOW + timedelta(days=1)).warnings == [], "it says so once"
    her.fields[DAILY.name] = list(FIELDS)
    her.imports(now=NOW + timedelta(days=1))
    assert her.at("video_play_actions") == at
    assert her.wrong() == []


def test_rows_are_said_to_be_back_only_if_they_are_what_they_were(her: Her) -> None:
    for stream, rows in ((DAILY, her.rows_of(february)), (LIFETIME, [2, 1])):
        for row in sorted(rows, reverse=True):
            her.does({"deleteDimension": {"range": her.place("ROWS", row, row + 1, stream)}})
    her.project.server.world.as_of = NOW + timedelta(days=1)
    ran = her.imports(now=NOW + timedelta(days=1))
    assert her.wrong() == []
    days, whole = ran.finished.healed
    assert re.search(r"^Ad report daily: .* rows of February 2026 were missing; they are back$", days)
    assert (
        whole
        == f"{LIFETIME.title}: 2 rows were missing; they were read again, and TikTok has other rows or values by now"
    )


# --- while it is written ----------------------------------------------------------------------------------------------


def warnings_on(her: Her) -> dict[str, int]:
    """How many warnings there are, by tab."""
    return {s.title: len(s.parts["protectedRanges"]) for s in her.server.spreadsheet(her.book).sheets}


def test_who_edits_while_it_is_written_is_asked_to_wait(her: Her) -> None:
    seen: list[dict[str, int]] = []
    titles = [s.title for s in STREAMS_HERE]

    def look(_: str, path: str) -> None:
        if path.endswith(":batchUpdate"):
            seen.append({t: n for t, n in warnings_on(her).items() if t in titles})

    her.server.on_call = look
    her.imports()
    assert seen[0] == dict.fromkeys(titles, 0)
    assert len(seen) > 2
    assert seen[1:] == [dict.fromkeys(titles, 1)] * len(seen[1:])
    assert set(warnings_on(her).values()) == {0}, "the last batch takes them away"

    left = warnings(tables_of(Spreadsheet(her.book).structure(KEYS)))
    her.does(*left)  # by a run that was killed
    her.does({"addProtectedRange": {"protectedRange": {"range": her.box(1, 3, 0, 2), "warningOnly": True}}})  # her own

    def remove_one(_: str, path: str) -> None:
        if path.endswith(":batchUpdate") and set(warnings_on(her).values()) == {0, 1, 2}:
            number = her.tab(ADS).parts["protectedRanges"][0]["protectedRangeId"]
            her.server.on_call = None
            her.does({"deleteProtectedRange": {"protectedRangeId": number}})

    her.server.on_call = remove_one
    assert her.imports().exit_code == 0
    assert her.server.on_call is None
    assert sorted(n for n in warnings_on(her).values() if n) == [1], "hers stays"
    assert holder(Spreadsheet(her.book)) is None


def test_a_column_that_somebody_protects_is_left_out_and_filled_in_when_the_protection_is_gone(her: Her) -> None:
    robot = "robot@x.iam.gserviceaccount.com"
    her.server.share(her.book, robot)

    def imports(days: int) -> Ran:
        her.project.server.world.as_of = NOW + timedelta(days=days)
        credentials = Credentials(her.server.token(robot))  # type: ignore[no-untyped-call]
        book = Spreadsheet(her.book, credentials=credentials)
        return her.imports(now=NOW + timedelta(days=days), open_=lambda _: Sheets(book))

    column = her.box(0, her.tab().grid.row_count + 500, her.at("spend"), her.at("spend") + 1)
    column.pop("endRowIndex")
    her.does({"addProtectedRange": {"protectedRange": {"range": column, "editors": {"users": [OWNER]}}}})
    before = {(r["ad_id"], r["stat_time_day"]): r["spend"] for _, r in her.numbered()}
    ran = imports(1)
    assert ran.exit_code == 0
    (said,) = (w for w in ran.warnings if "protected" in w)
    assert said.startswith(f"{DAILY.title}: the column Spend is protected and left out")
    assert "remove the protection" in said
    after = {(r["ad_id"], r["stat_time_day"]): r["spend"] for _, r in her.numbered()}
    assert {k: v for k, v in after.items() if k in before} == before
    assert {v for k, v in after.items() if k not in before} == {None}, "new rows have none"
    assert [w for w in her.wrong() if "spend" not in w and "…" not in w] == []
    requests = len(her.project.server.log)
    assert [w for w in imports(1).warnings if "protected" not in w] == []
    assert len(her.project.server.log) - requests < 30, "it is not read again as long as it cannot be written"

    (one,) = her.tab().parts["protectedRanges"]
    her.does({"deleteProtectedRange": {"protectedRangeId": one["protectedRangeId"]}})
    assert imports(1).exit_code == 0
    assert her.wrong() == []


# --- references of hers -----------------------------------------------------------------------------------------------


def test_what_spans_our_rows_grows_with_them(her: Her) -> None:
    tab = her.tab()
    end, spend = tab.grid.row_count, her.at("spend")
    ident = tab.sheet_id
    whole = her.box(0, end, 0, tab.grid.column_count)
    data = her.box(1, end, 0, tab.grid.column_count)
    color = {"firstBandColorStyle": {"rgbColor": {"red": 1}}, "secondBandColorStyle": {"rgbColor": {"red": 0.9}}}
    rule = {"condition": {"type": "NUMBER_GREATER", "values": [{"userEnteredValue": "1"}]}, "format": {}}
    her.does(
        {"setBasicFilter": {"filter": {"range": whole}}},
        {"addBanding": {"bandedRange": {"range": data, "rowProperties": color}}},
        {"addConditionalFormatRule": {"index": 0, "rule": {"ranges": [data], "booleanRule": rule}}},
        {"addNamedRange": {"namedRange": {"name": "spends", "range": her.box(1, end, spend, spend + 1)}}},
        {"addProtectedRange": {"protectedRange": {"range": data, "warningOnly": True}}},
        {"addTable": {"table": {"name": "T", "range": whole}}},
        {"addSheet": {"properties": {"sheetId": 77, "title": "Sums"}}},
    )
    letter = chr(65 + spend)
    formula = {"formulaValue": f"=SUM('{tab.title}'!{letter}2:{letter}{end})"}
    start = {"sheetId": 77, "rowIndex": 0, "columnIndex": 0}
    rows = [{"values": [{"userEnteredValue": formula}]}]
    her.does({"updateCells": {"start": start, "rows": rows, "fields": "userEnteredValue"}})
    her.project.server.world.as_of = NOW + timedelta(days=2)
    assert her.imports(now=NOW + timedelta(days=2)).exit_code == 0
    now = her.tab().grid.row_count
    assert now > end
    assert her.wrong() == []
    model = her.server.spreadsheet(her.book)
    filter_ = her.tab().basic_filter
    assert filter_ is not None
    assert filter_["range"]["endRowIndex"] == now
    parts = her.tab().parts
    found = [
        parts["bandedRanges"][0]["range"],
        parts["conditionalFormats"][0]["ranges"][0],
        parts["tables"][0]["range"],
    ]
    found += [parts["protectedRanges"][0]["range"], model.named_ranges[0]["range"]]
    assert [one["endRowIndex"] for one in found] == [now] * 5
    assert model.sheet("Sums").values() == [[f"=SUM('{tab.title}'!{letter}2:{letter}{now})"]]
    assert ident == her.tab().sheet_id
