"""An import steered by a Sheet: what its people write, what they read, and one import at a time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest
import requests
from google.oauth2.credentials import Credentials

from owox_tiktok import app
from owox_tiktok.errors import BadInput, StoreBusy, StoreFailed
from owox_tiktok.events import Event, Failed, Finished, Started, Stored, Warned
from owox_tiktok.local.sheets import Server, serve
from owox_tiktok.local.sheets.auth import OWNER
from owox_tiktok.model import Step
from owox_tiktok.sheets import lease, record, report
from owox_tiktok.sheets.client import LIMITS, Spreadsheet
from owox_tiktok.sheets.errors import ArrivedLate
from owox_tiktok.sheets.requests import create_metadata
from owox_tiktok.states import Reason
from owox_tiktok.streams import STREAMS
from tests.control_sheet import OBJECTS, ControlSheet, config_rows, control_sheet, run
from tests.helpers import Project, differences, expected, process_environment
from tests.sheets import columns_of_tab, in_a_cell, sheet_rows

AT_ONCE = replace(LIMITS, sleep=lambda _: None)
"""As often as ever, but without waiting."""
ONCE = replace(LIMITS, attempts=1)
ALWAYS = report.Intervals(first_s=0.0, every_s=0.0)
"""A report that writes whenever it is asked."""


@pytest.fixture
def google() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def sheet(google: Server, project: Project, monkeypatch: pytest.MonkeyPatch) -> ControlSheet:
    monkeypatch.setenv("SHEETS_API_URL", google.url)
    return control_sheet(google, project)


def wrong(sheet: ControlSheet, project: Project) -> list[str]:
    """Every difference between the data tabs and TikTok."""
    found = []
    for name in OBJECTS:
        stream = STREAMS[name]
        names = list(columns_of_tab(sheet.server, sheet.book, stream))
        wanted = [
            {k: in_a_cell(v) for k, v in row.items()}
            for advertiser_id in project.server.advertiser_ids
            for row in expected(project.server.world, stream, advertiser_id, names)
        ]
        assert wanted
        found += differences(sheet_rows(sheet.server, sheet.book, stream), wanted, stream.keys)
    return found


def mistakes(sheet: ControlSheet, project: Project) -> dict[str, str]:
    """The mistakes of an import by their address."""
    with pytest.raises(BadInput) as caught:
        run(sheet, project)
    return {m.where: f"{m.what} {m.what_to_do}" for m in caught.value.mistakes}


# --- settings ---------------------------------------------------------------------------------------------------------


def test_what_is_ticked_and_filled_in_is_imported_and_reported(sheet: ControlSheet, project: Project) -> None:
    finished = run(sheet, project)
    assert finished.exit_code == 0
    assert wrong(sheet, project) == []
    assert columns_of_tab(sheet.server, sheet.book, STREAMS["ads"]).keys() == {"advertiser_id", "ad_id", "ad_name"}
    assert sheet.status.startswith("Up to date through Sun 1 Mar · ")
    assert f"{sum(finished.rows.values()):,} rows" in sheet.status
    ended = datetime(1899, 12, 30).timestamp() + float(sheet.get("Last Import Date")) * 86400
    assert abs(ended - datetime.now().astimezone(None).timestamp()) < 48 * 3600  # the Sheet's own zone
    assert date.fromordinal(int(sheet.get("Last Requested Date")) + date(1899, 12, 30).toordinal()) == date(2026, 3, 1)
    assert {line[2] for line in sheet.log} >= {"Ads", "Ad report daily"}
    assert sheet.messages()[0].startswith("Done in "), "the newest line is on top"


def test_labels_places_and_spaces_do_not_matter(google: Server, sheet: ControlSheet, project: Project) -> None:
    rows = config_rows(project)
    renamed = {
        "Advertiser IDs*": "AdvertiserIDs",
        "Start Date*": "  start   date * ",
        "Include Deleted": "IncludeDeleted",
        "Reimport Lookback Window": "Lookback window",
    }
    rows = [[None, renamed.get(str(r[0]), r[0]), *r[1:]] if r else [] for r in rows]  # a column of hers before ours
    rows = [["My TikTok report"], [], *rows[:1], *reversed(rows[1:])]
    other = control_sheet(google, project)
    google.batch(other.book, [{"deleteSheet": {"sheetId": other.tab("Config").sheet_id}}])
    google.batch(other.book, [{"addSheet": {"properties": {"title": " config"}}}])
    number = other.tab(" config").sheet_id
    for n, row in enumerate(rows):
        for at, value in enumerate(row):
            if value is not None:
                other.write(" config", n, at, value)
    assert number
    assert run(other, project).exit_code == 0
    assert wrong(other, project) == []
    status = next(r for r in other.values(" config") if len(r) > 1 and r[1] == "Current Status")
    assert str(status[2]).startswith("Up to date")


def test_all_mistakes_come_at_once_each_with_its_cell(sheet: ControlSheet, project: Project) -> None:
    sheet.set("Advertiser IDs*", 7012345678901234567.0)
    sheet.set("Start Date*", "31.01.2026")
    sheet.set("Reimport Lookback Window", 7.5)
    sheet.set("Include Deleted", "perhaps")
    sheet.set("Max Run Timeout", -3)
    sheet.write("Fields", 4, 1, "adz")
    sheet.write("Fields", 4, 2, None)
    sheet.write("Fields", 4, 0, True)
    found = mistakes(sheet, project)
    labels = ("Advertiser IDs*", "Start Date*", "Reimport Lookback Window", "Include Deleted", "Max Run Timeout")
    at = {label: f"Config!B{sheet.row_of(label) + 1}" for label in labels}
    assert found.keys() == {*at.values(), "Fields!A5"}
    assert "Plain text" in found[at["Advertiser IDs*"]]
    assert "year-month-day" in found[at["Start Date*"]]
    assert "Did you mean ads?" in found["Fields!A5"]
    for where, words in found.items():
        assert any(line.startswith(f"{where}: {words[:20]}") for line in sheet.messages("ERROR")), where
    assert sheet.status.startswith("Error: Config!B")
    assert "5 more, see Logs" in sheet.status


@pytest.mark.parametrize("label", ["Advertiser IDs*", "Start Date*"])
def test_what_must_be_there_is_named_by_its_cell(sheet: ControlSheet, project: Project, label: str) -> None:
    sheet.set(label, None)
    words = mistakes(sheet, project)[f"Config!B{sheet.row_of(label) + 1}"]
    assert words.startswith("is missing")
    assert f"Fill in {label.rstrip('*')}" in words


def test_nothing_ticked_and_nothing_there(google: Server, sheet: ControlSheet, project: Project) -> None:
    for row in range(1, 12):
        sheet.write("Fields", row, 0, False)
    assert mistakes(sheet, project)["Fields"].startswith("no object is ticked")
    empty = ControlSheet(google, google.create("Empty"))
    found = mistakes(empty, project)
    assert found.keys() == {"Config", "Fields"}
    assert f"owox-tiktok sheet init {empty.book}" in found["Config"]


def test_an_unknown_parameter_is_a_warning_with_the_nearest_name(sheet: ControlSheet, project: Project) -> None:
    sheet.write("Config", 20, 0, "Reimport Lookbak Windw")
    sheet.write("Config", 20, 1, 9)
    sheet.write("Config", 21, 0, "My own remarks")
    run(sheet, project)
    assert any("Config!B21" in w and "Did you mean Reimport Lookback Window?" in w for w in sheet.messages("WARNING"))
    assert not any("remarks" in w for w in sheet.messages())


def test_an_object_without_ticked_fields_brings_the_useful_ones(
    google: Server, project: Project, sheet: ControlSheet
) -> None:
    other = control_sheet(google, project, {"ad_report_daily": ()})
    run(other, project)
    assert {"spend", "impressions"} <= columns_of_tab(google, other.book, STREAMS["ad_report_daily"]).keys()
    assert any("no field of ad_report_daily is ticked" in w for w in other.messages("WARNING"))


@pytest.mark.parametrize(
    "cell",
    [
        "0123456789abcdef0123456789abcdef01234567",
        "Bearer ya29" + ".a0AfB_byC1234567890abcdefghij",
        "-----BEGIN " + "PRIVATE KEY-----",
        "https://hooks.slack.com/services/T000/B000/XXXX",
        "token_0123456789ABCDEF0123456789abcdef01234567",
        "GOCSPX-abcdefghijklmnopqrstuvwxyz12",
    ],
)
def test_a_token_in_a_cell_stops_the_run_and_is_not_repeated(sheet: ControlSheet, project: Project, cell: str) -> None:
    sheet.write("Config", 25, 3, f" {cell}")
    found = mistakes(sheet, project)
    assert found.keys() == {"Config!D26"}
    assert "revoke" in found["Config!D26"]
    assert not any(cell in str(line) for line in sheet.log)
    assert project.server.counts["requests"] == 0, "TikTok was not asked"


def test_a_token_in_fields_is_not_repeated_either(sheet: ControlSheet, project: Project) -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    sheet.write("Fields", 4, 1, token)
    sheet.write("Fields", 4, 2, None)
    sheet.write("Fields", 4, 0, 1)
    assert mistakes(sheet, project).keys() == {"Fields!A5"}
    assert token[:20] not in f"{sheet.log} {sheet.status}"


@pytest.mark.parametrize(
    "cell",
    ["da39a3ee5e6b4b0d3255bfef95601890afd80709" + "0" * 24, "7012345678901234567, 7012345678901234568", "g" * 40],
)
def test_long_ids_are_no_tokens(sheet: ControlSheet, project: Project, cell: str) -> None:
    sheet.write("Config", 25, 3, cell)
    assert run(sheet, project).exit_code == 0


def test_config_may_stand_far_to_the_right_and_mistakes_come_from_top_to_bottom(
    sheet: ControlSheet, project: Project
) -> None:
    number = sheet.tab("Config").sheet_id
    span = {"sheetId": number, "dimension": "COLUMNS", "startIndex": 0, "endIndex": 30}
    sheet.server.batch(sheet.book, [{"insertDimension": {"range": span, "inheritFromBefore": False}}])
    rows = sheet.values("Config")
    for label, wrong_value in (("Start Date*", "soon"), ("Max Run Timeout", -1)):
        sheet.write("Config", next(n for n, r in enumerate(rows) if len(r) > 30 and r[30] == label), 31, wrong_value)
    with pytest.raises(BadInput) as caught:
        run(sheet, project)
    assert [m.where for m in caught.value.mistakes] == ["Config!AF7", "Config!AF13"]
    status = next(r for r in sheet.values("Config") if len(r) > 30 and r[30] == "Current Status")
    assert status[31].startswith("Error: Config!AF7")


def test_a_row_for_a_token_is_refused_whatever_it_holds(sheet: ControlSheet, project: Project) -> None:
    sheet.write("Config", 25, 0, "Access Token*")
    assert run(sheet, project).exit_code == 0, "an empty one does no harm"
    sheet.write("Config", 25, 1, "short")
    assert mistakes(sheet, project).keys() == {"Config!B26"}
    sheet.write("Config", 25, 0, "TikTok App Secret")
    assert mistakes(sheet, project).keys() == {"Config!B26"}


def test_a_missing_token_is_a_sentence_about_the_environment(sheet: ControlSheet) -> None:
    with app.open_sheet(sheet.book, environment=sheet.environment) as control, pytest.raises(BadInput) as caught:
        control.read(datetime.now().astimezone())
    assert "TIKTOK_ACCESS_TOKEN" in str(caught.value)


def copied(sheet: ControlSheet) -> str:
    """The id of a copy of the file, as Drive makes it: with its developer metadata."""
    address = f"{sheet.server.url}/drive/v3/files/{sheet.book}/copy"
    return str(requests.post(address, json={"name": "Copy of TikTok Ads"}, timeout=10).json()["id"])


# --- what people read ---------------------------------------------------------------------------------------------


def test_progress_is_shown_while_it_runs_and_seldom(sheet: ControlSheet, project: Project) -> None:
    seen: list[str] = []
    sheet.server.on_call = lambda *_: seen.append(sheet.status)
    run(sheet, project, intervals=ALWAYS)
    shown = [s for s in dict.fromkeys(seen) if re.fullmatch(r"Importing \d+ % · [A-Z][a-z ]+ · \d+ of \d+ windows", s)]
    assert shown, seen
    before = len(sheet.server.log)
    run(sheet, project)
    assert len(sheet.server.log) - before < 45, "calls do not depend on windows or rows"


def test_the_log_is_bounded_and_newest_first(sheet: ControlSheet, project: Project) -> None:
    book = Spreadsheet(sheet.book)
    with lease.Lease(book):
        for turn in range(4):
            status = report.Report(book, f"run-{turn}")
            status.begin()
            for n in range(400):
                status.say("INFO", f"{turn}/{n}")
            status(Finished({}, {}, 1, 0, 0, 0, 0.1))
    messages = sheet.messages()
    assert len(messages) == 1000
    assert messages[1:400] == [f"3/{n}" for n in range(399, 0, -1)]
    assert sheet.tab("Logs").grid.row_count == 1001


NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1",
    '=HYPERLINK("http://x.example","y")',
    '=IMPORTXML("http://x.example","//a")',
]


def test_no_text_becomes_a_formula(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    with lease.Lease(book):
        status = report.Report(book, "=1+1")
        status.begin()
        for text in NASTY:
            status.say(text, text, text, text)
        status.problem(StoreBusy(NASTY[-1]))
    assert [f for s in sheet.server.spreadsheet(sheet.book).sheets for f in s.grid.formulas()] == []
    lines = [[str(v) for v in line[1:]] for line in sheet.log]
    assert all([text] * 4 in lines for text in NASTY), "and it is all there as text"
    assert sheet.status == f"Error: {NASTY[-1]}"


def test_a_run_leaves_a_record_of_itself_and_those_before(sheet: ControlSheet, project: Project) -> None:
    run(sheet, project, part=app.Part("first"))
    sheet.set("Start Date*", "nonsense")
    with pytest.raises(BadInput):
        run(sheet, project, part=app.Part("second"))
    found = report.record(Spreadsheet(sheet.book))
    assert found is not None
    assert (found.run.run, found.run.state) == ("second", "error")
    assert [(r.run, r.state) for r in found.past] == [("first", "done")]
    assert found.past[0].rows > 0
    lines = report.recent_lines(Spreadsheet(sheet.book))
    assert lines[0]["level"] == "ERROR"
    assert datetime.fromisoformat(lines[0]["time"]).tzinfo


@pytest.mark.parametrize("kind", ["late_500", "http_500"])
def test_a_status_without_an_answer_is_written_once_and_the_record_goes_on(sheet: ControlSheet, kind: str) -> None:
    book = Spreadsheet(sheet.book, limits=ONCE)
    with lease.Lease(book, "mine"):
        status = report.Report(book, "mine", intervals=ALWAYS)
        status.begin()
        sheet.server.faults.only, sheet.server.faults.script = ":batchUpdate", [kind]
        status.say("INFO", "one")
        status.halted()
        status.say("INFO", "two")
        status.halted()
        status(Finished({}, {}, 1, 0, 0, 0, 0.1))
    assert [m for m in sheet.messages() if m in ("one", "two")] == ["two", "one"]
    assert sheet.status.startswith("Up to date")
    found = report.record(Spreadsheet(sheet.book))
    assert found is not None
    assert found.run.state == "done"


def test_who_replaces_the_tabs_during_a_run_is_reported_all_the_same(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    with lease.Lease(book):
        status = report.Report(book, "mine")
        status.begin()
        request = {"duplicateSheet": {"sourceSheetId": sheet.tab("Config").sheet_id, "newSheetName": "new"}}
        sheet.server.batch(sheet.book, [request])
        old = [{"deleteSheet": {"sheetId": sheet.tab(title).sheet_id}} for title in ("Config", "Logs")]
        properties = {"sheetId": sheet.tab("new").sheet_id, "title": "Config"}
        rename = {"updateSheetProperties": {"properties": properties, "fields": "title"}}
        sheet.server.batch(sheet.book, [*old, rename])
        status(Finished({}, {}, 1, 0, 0, 0, 0.1))
    assert sheet.status.startswith("Up to date")


def test_a_full_spreadsheet_still_shows_the_status(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    with lease.Lease(book):
        status = report.Report(book, "mine")
        status.begin()
        used = sum(s.grid.row_count * s.grid.column_count for s in sheet.server.spreadsheet(sheet.book).sheets)
        grid = {"rowCount": 10_000_000 - used, "columnCount": 1}
        sheet.server.batch(sheet.book, [{"addSheet": {"properties": {"title": "Full", "gridProperties": grid}}}])
        status.problem(StoreFailed("there is no room"))
        assert sheet.status == "Error: there is no room"
        request = {"updateSheetProperties": {"properties": {"sheetId": sheet.tab("Full").sheet_id,
                   "gridProperties": {"rowCount": 9_000_000}}, "fields": "gridProperties.rowCount"}}  # fmt: skip
        sheet.server.batch(sheet.book, [request])
        status.problem(StoreFailed("there was no room"))
    assert sheet.messages("ERROR") == ["there was no room", "there is no room"], "written as soon as there is room"


@pytest.mark.parametrize("fault", [RuntimeError("boom"), StoreBusy("somebody else loads the dataset")])
def test_a_run_that_breaks_down_does_not_stay_importing(
    sheet: ControlSheet, project: Project, fault: Exception
) -> None:
    def break_down() -> None:
        raise fault

    with pytest.raises(type(fault)):
        run(sheet, project, listen=Stopper(1, break_down))
    wanted = "an unexpected RuntimeError" if isinstance(fault, RuntimeError) else "somebody else"
    assert sheet.status.startswith(f"Error: {wanted}")
    assert "boom" not in str(sheet.log)


@pytest.mark.parametrize("batch", range(1, 7))
def test_an_interruption_at_any_batch_is_reported(sheet: ControlSheet, project: Project, batch: int) -> None:
    left = iter(range(batch - 1, -1, -1))
    interrupts(sheet, lambda path: path.endswith(":batchUpdate") and next(left) == 0)
    with pytest.raises(KeyboardInterrupt):
        run(sheet, project, part=app.Part("mine"))
    assert not sheet.status.startswith("Importing")
    assert sheet.status.startswith("Up to date" if batch == 6 else "Partly done") or batch == 1
    assert lease.holder(Spreadsheet(sheet.book)) is None
    assert len(set(sheet.messages("WARNING"))) == len(sheet.messages("WARNING"))
    assert run(sheet, project, part=app.Part("mine")).exit_code == 0
    assert wrong(sheet, project) == []


def test_the_record_of_all_objects_fits(sheet: ControlSheet) -> None:
    text = "\u0001" * 5_000
    rows = dict.fromkeys(STREAMS, 10**9)
    for turn in range(12):
        book = Spreadsheet(sheet.book)
        with lease.Lease(book):
            status = report.Report(book, f"run-{turn}")
            status.begin()
            status(Started(10**6, 10**6, dict.fromkeys(STREAMS, 10**6)))
            for name in STREAMS:
                status.run.objects[name] = record.ObjectProgress(10**6, 10**6, 10**9)
            status(Warned("", "", text))
            status(Finished(rows, rows, 1, 0, 0, 0, 0.1, pruned=rows, stopped=Reason.TO_BE_CONTINUED))
    found = report.record(Spreadsheet(sheet.book))
    assert found is not None
    assert (found.run.run, len(found.run.objects), len(found.past)) == ("run-11", len(STREAMS), 10)
    assert found.run.so_far is not None
    assert found.run.so_far.rows == rows
    assert not sheet.status.startswith("Importing")
    used = sum(len(m.key) + len(m.value or "") for m in sheet.server.spreadsheet(sheet.book).metadata if not m.sheet_id)
    assert used < 2_000, "metadata takes 30,000 characters, and the lease needs some"


def test_a_record_of_an_earlier_version_is_taken_over(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    old = record.Record(record.Run("old", book.now(), message="it was fine"), [], sheet.book)
    text = msgspec.json.encode(old).decode()
    book.apply([create_metadata(record.RECORD, text, record.RECORD_ID)])
    assert (found := report.record(Spreadsheet(sheet.book))) is not None
    assert found.run.run == "old"
    with lease.Lease(book):
        report.Report(book, "new").begin()
    assert (found := report.record(Spreadsheet(sheet.book))) is not None
    assert (found.run.run, [one.run for one in found.past]) == ("new", ["old"])
    assert book.metadata(record.RECORD_ID) is None


@pytest.mark.parametrize("title", ["_owox_tiktok_runs", "Logs"])
def test_a_tab_that_cannot_be_written_does_not_block_the_status(sheet: ControlSheet, title: str) -> None:
    robot = "robot@project.example"
    sheet.server.share(sheet.book, robot)
    book = Spreadsheet(sheet.book, credentials=Credentials(sheet.server.token(robot)))  # type: ignore[no-untyped-call]
    with lease.Lease(book):
        status = report.Report(book, "mine")
        status.begin()
        protected = {"range": {"sheetId": sheet.tab(title).sheet_id}, "editors": {"users": [OWNER]}}
        sheet.server.batch(sheet.book, [{"addProtectedRange": {"protectedRange": protected}}])
        status(Finished({}, {}, 1, 0, 0, 0, 0.1))
    assert sheet.server.counts["by_status"].get("400", 0) > 0, "it is refused"
    assert sheet.status.startswith("Up to date")


def test_a_message_with_half_an_emoji_and_control_characters_is_written(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    with lease.Lease(book):
        status = report.Report(book, "mine")
        status.begin()
        status(Warned("", "", "cut \ud83c, null \x00, two\r\nlines\rand three"))
        status.problem(StoreFailed("half \udf1e"))
    assert sheet.messages("WARNING") == ["cut \ufffd, null \ufffd, two\nlines\nand three"]
    assert "half \ufffd" in sheet.status


def test_people_who_watch_a_run_cost_one_call_each_time(sheet: ControlSheet, project: Project) -> None:
    run(sheet, project)
    before = len(sheet.server.log)
    found, lines = report.overview(Spreadsheet(sheet.book))
    assert found is not None
    assert (found.run.state, lines[0]["message"]) == ("done", found.run.message)
    assert len(sheet.server.log) - before == 1


def test_a_copy_of_the_file_has_no_runs(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    with lease.Lease(book):
        report.Report(book, "mine").begin()
        copy = ControlSheet(sheet.server, copied(sheet))
    assert copy.status.startswith("Importing")
    assert report.record(Spreadsheet(copy.book)) is None
    with lease.Lease(Spreadsheet(copy.book)) as held:
        status = report.Report(held._book, "other")
        status.begin()
        status(Finished({}, {}, 1, 0, 0, 0, 0.1))
    found = report.record(Spreadsheet(copy.book))
    assert found is not None
    assert (found.run.run, found.past) == ("other", [])


# --- one at a time ----------------------------------------------------------------------------------------------------


def slowly(project: Project) -> None:
    project.server.faults.latency_s = 0.4


def test_two_started_together_one_runs_and_the_other_says_so(sheet: ControlSheet, project: Project) -> None:
    slowly(project)
    said: list[Any] = []

    def start() -> None:
        try:
            said.append(run(sheet, project).exit_code)
        except StoreBusy as busy:
            said.append(busy.sentence)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 0 in said
    (other,) = (s for s in said if s != 0)
    assert "another import has been running here since" in other
    assert wrong(sheet, project) == []


def test_a_file_that_names_the_sheet_waits_for_it_too(sheet: ControlSheet, project: Project) -> None:
    with lease.Lease(Spreadsheet(sheet.book)), pytest.raises(StoreBusy):
        project.import_(destination=f"sheets://{sheet.book}")
    assert project.import_(destination=f"sheets://{sheet.book}").exit_code == 0


def test_a_run_that_was_killed_on_this_machine_is_taken_over_at_once(sheet: ControlSheet, project: Project) -> None:
    slowly(project)
    environment = process_environment(project.environment | sheet.environment)
    command = [sys.executable, "-m", "owox_tiktok", "import", "--sheet", sheet.book, "--now", "2026-03-01T12:00Z"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        while not sheet.status.startswith("Importing"):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.02)
        process.kill()
        # It has ended, and is still listed: nobody has asked for it yet, as where a service's first process never does.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        found = report.record(Spreadsheet(sheet.book))
        assert found is not None
        assert found.run.state == "stopped"
        project.server.faults.latency_s = 0
        assert run(sheet, project).exit_code == 0
        assert wrong(sheet, project) == []


def test_a_run_that_gave_no_sign_of_life_is_taken_over_and_cannot_write_any_more(sheet: ControlSheet) -> None:
    first, second = Spreadsheet(sheet.book), Spreadsheet(sheet.book)
    dead = lease.Lease(first)
    dead.acquire()
    first.apply([])
    with pytest.raises(StoreBusy):
        lease.Lease(second).acquire()
    sheet.server.faults.clock_ahead_s = lease.TERMS.ttl_s + 1
    with lease.Lease(second, "the second"):
        write = {"updateSpreadsheetProperties": {"properties": {"title": "late"}, "fields": "title"}}
        with pytest.raises(StoreBusy, match="taken this spreadsheet over"):
            first.apply([write])
        assert sheet.server.spreadsheet(sheet.book).title == "TikTok Ads"
        dead.release()
        assert (found := lease.holder(second)) is not None
        assert found.run == "the second"
        second.apply([])
    assert lease.holder(second) is None


@pytest.mark.parametrize("kind", ["lost", "late_500", "reset", "http_503", "http_429"])
def test_a_lease_survives_lost_answers(sheet: ControlSheet, kind: str) -> None:
    sheet.server.faults.only, sheet.server.faults.script = ":batchUpdate", [kind, "", kind, "", kind]
    book = Spreadsheet(sheet.book, limits=AT_ONCE)
    with lease.Lease(book, "mine"):
        assert (found := lease.holder(book)) is not None
        assert found.run == "mine"
        book.apply([])
    assert lease.holder(book) is None


def titled(title: str) -> dict[str, Any]:
    return {"updateSpreadsheetProperties": {"properties": {"title": title}, "fields": "title"}}


@pytest.mark.parametrize("kind", ["late_500", "http_500"])
def test_a_batch_that_was_given_up_is_not_taken_for_another_import(sheet: ControlSheet, kind: str) -> None:
    book = Spreadsheet(sheet.book, limits=ONCE)
    with lease.Lease(book):
        sheet.server.faults.only, sheet.server.faults.script = ":batchUpdate", [kind]
        with pytest.raises(StoreFailed, match="500"):
            book.apply([titled("given up")])
        assert sheet.server.spreadsheet(sheet.book).title == ("given up" if kind == "late_500" else "TikTok Ads")
        if kind == "late_500":  # what it was laid out on is no longer so
            with pytest.raises(ArrivedLate):
                book.apply([titled("laid out before")])
            assert sheet.server.spreadsheet(sheet.book).title == "given up"
        book.apply([titled("laid out again")])
        assert sheet.server.spreadsheet(sheet.book).title == "laid out again"
    assert lease.holder(book) is None


def interrupts(sheet: ControlSheet, when: Callable[[str], bool]) -> None:
    """Have Ctrl-C pressed when Google gets a certain request, once."""

    def press(_: str, path: str) -> None:
        if when(path):
            sheet.server.on_call = None
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    sheet.server.on_call = press


@pytest.mark.parametrize("batches", [1, 2])
def test_an_interruption_while_a_batch_is_sent_gives_the_lease_back(sheet: ControlSheet, batches: int) -> None:
    book = Spreadsheet(sheet.book)
    left = iter(range(batches - 1, -1, -1))
    interrupts(sheet, lambda path: path.endswith(":batchUpdate") and next(left) == 0)
    with pytest.raises(KeyboardInterrupt), lease.Lease(book):
        book.apply([titled("sent")])
    for _ in range(5):
        assert lease.holder(Spreadsheet(sheet.book)) is None
        time.sleep(0.02)


def test_who_takes_over_leaves_what_the_other_may_still_look_for(sheet: ControlSheet) -> None:
    faults = sheet.server.faults
    book, second = Spreadsheet(sheet.book, limits=AT_ONCE), Spreadsheet(sheet.book)
    dead = lease.Lease(book)
    dead.acquire()
    applied = len(sheet.server.log)

    def take_over(*_: Any) -> None:
        """As soon as the batch is applied and its answer lost, another run takes over and writes."""
        if sheet.server.spreadsheet(sheet.book).title == "once" and faults.clock_ahead_s == 0:
            faults.clock_ahead_s = lease.TERMS.ttl_s + 1
            other = lease.Lease(second)
            other.acquire()
            second.structure([])
            second.apply([titled("the second's")])

    faults.only, faults.script = ":batchUpdate", ["late_500"]
    sheet.server.on_call = take_over
    book.apply([titled("once")])
    sheet.server.on_call = None
    assert len(sheet.server.log) > applied
    assert sheet.server.spreadsheet(sheet.book).title == "the second's", "it was not sent again"
    with pytest.raises(StoreBusy):
        book.apply([titled("late")])
    dead.release()
    assert lease.holder(second) is not None


def test_a_sign_of_life_without_an_answer_does_not_end_the_lease(sheet: ControlSheet) -> None:
    beats: SimpleQueue[bool] = SimpleQueue()
    waits: SimpleQueue[float] = SimpleQueue()

    def wait(seconds: float) -> bool:
        waits.put(seconds)
        return beats.get(timeout=30)

    faults, ttl_s = sheet.server.faults, lease.TERMS.ttl_s
    with lease.Lease(Spreadsheet(sheet.book, limits=ONCE), wait=wait):
        assert waits.get(timeout=30) == ttl_s / 3
        ends, pauses = [held_until(sheet)], []
        for kind in ("late_500", "", "", "http_500", ""):
            faults.only, faults.script = ":batchUpdate", [kind] if kind else []
            faults.clock_ahead_s += ttl_s / 4
            beats.put(False)
            pauses.append(waits.get(timeout=30))
            assert faults.script == []
            ends.append(held_until(sheet))
        beats.put(True)
    # After one without an answer the next comes soon; the first of those meets what has arrived late.
    assert pauses == [ttl_s / 10, ttl_s / 10, ttl_s / 3, ttl_s / 10, ttl_s / 3]
    assert [later > end for end, later in pairwise(ends)] == [True, False, True, False, True]


def held_until(sheet: ControlSheet) -> datetime:
    """Until when the lease is held, as it stands in the spreadsheet."""
    found = lease.holder(Spreadsheet(sheet.book))
    assert found is not None
    return found.until


def test_a_lease_that_cannot_be_taken_from_a_dead_run_says_why(sheet: ControlSheet) -> None:
    lease.Lease(Spreadsheet(sheet.book)).acquire()
    sheet.server.faults.clock_ahead_s = lease.TERMS.ttl_s + 1

    def withdraw(_: str, path: str) -> None:
        sheet.server.faults.forbidden = {sheet.book} if path.endswith(":batchUpdate") else set()

    sheet.server.on_call = withdraw
    with pytest.raises(StoreFailed, match="not shared"):
        lease.Lease(Spreadsheet(sheet.book)).acquire()


def test_the_first_lease_of_all_goes_by_googles_clock(sheet: ControlSheet) -> None:
    sheet.server.faults.clock_ahead_s = 86_400
    with lease.Lease(Spreadsheet(sheet.book)):
        assert lease.holder(Spreadsheet(sheet.book)) is not None


def test_a_copied_spreadsheet_is_not_held_by_the_run_of_the_original(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    with lease.Lease(book):
        text = book.metadata(lease.LEASE_ID)
        copy = copied(sheet)
        assert Spreadsheet(copy).metadata(lease.LEASE_ID) == text
        with lease.Lease(Spreadsheet(copy)):
            assert lease.holder(book) is not None


# --- stopping ---------------------------------------------------------------------------------------------------------


class Stopper(list[Event]):
    """A listener that does something when so many windows (of an object) are stored."""

    def __init__(self, after: int, act: Any, name: str = "") -> None:
        super().__init__()
        self._left, self._act, self._name = after, act, name

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, Stored) and self._name in ("", event.object):
            self._left -= 1
            if self._left == 0:
                self._act()


def test_cancelled_between_windows_and_the_next_run_goes_on(
    sheet: ControlSheet, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("owox_tiktok.sheets.destination.Sheets.step", Step(linger_s=0))
    project.server.faults.latency_s = 0.05
    finished = run(sheet, project, listen=Stopper(1, lambda: report.cancel(Spreadsheet(sheet.book))), intervals=ALWAYS)
    assert finished.stopped is Reason.CANCELLED
    assert finished.left > 0
    assert finished.exit_code == 3
    assert sheet.status.startswith("Partly done")
    assert "cancelled with" in sheet.status
    assert (found := report.record(Spreadsheet(sheet.book))) is not None
    assert found.run.state == "cancelled"
    assert run(sheet, project).stopped is None, "a request to cancel counts for one run"
    assert wrong(sheet, project) == []


def test_a_run_that_is_cancelled_as_soon_as_it_is_there_ends(sheet: ControlSheet) -> None:
    book = Spreadsheet(sheet.book)
    for turn in range(2):
        with lease.Lease(book, "mine"):
            assert turn or report.cancel(Spreadsheet(sheet.book)) == "mine"
            status = report.Report(book, "mine")
            status.begin()
            assert status.halted() is (None if turn else Reason.CANCELLED)
            status(Finished({}, {}, 1, 0, 0, 0, 0.1, stopped=None if turn else Reason.CANCELLED, left=1 - turn))


def test_a_google_that_falls_silent_ends_the_run_and_not_window_by_window(
    sheet: ControlSheet, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("owox_tiktok.sheets.destination.Sheets.step", Step(linger_s=0))
    faults = sheet.server.faults
    asked: list[int] = []

    def silence() -> None:
        faults.kinds, faults.rate, faults.in_a_row = ("http_503",), 1.0, 10**6
        asked.append(len(sheet.server.log))

    project.server.faults.latency_s = 0.05
    heard: list[Event] = Stopper(1, silence, "ads")  # which have one window each, so that one pair is done
    finished = run(sheet, project, listen=heard, limits=replace(AT_ONCE, attempts=3))
    assert finished.exit_code == 3
    assert finished.failed >= 2
    assert all("503" in e.message for e in heard if isinstance(e, Failed))
    assert len(sheet.server.log) - asked[0] < 40, "every window was tried"
    faults.rate, faults.clock_ahead_s = 0.0, lease.TERMS.ttl_s + 1
    assert run(sheet, project).exit_code == 0
    assert wrong(sheet, project) == []


def test_nothing_to_cancel(sheet: ControlSheet) -> None:
    assert report.cancel(Spreadsheet(sheet.book)) is None


def test_a_run_in_parts_ends_each_cleanly_and_goes_on(
    sheet: ControlSheet, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("owox_tiktok.sheets.destination.Sheets.step", Step(linger_s=0))
    project.server.faults.latency_s = 0.1
    environment = project.environment | sheet.environment
    turns = 0
    while True:
        turns += 1
        stored: list[Event] = []

        def listen(event: Event, stored: list[Event] = stored) -> None:
            stored += [event] * isinstance(event, Stored)

        def halted(stored: list[Event] = stored, most: int = turns) -> Reason | None:
            return Reason.TO_BE_CONTINUED if len(stored) >= most else None

        with app.open_sheet(sheet.book, environment=environment) as control:
            finished = app.import_sheet(
                control,
                now=project.server.world.now(),
                listen=listen,
                environment=environment,
                part=app.Part("one run", halted=halted),
            )
        if not finished.left:
            break
        assert finished.stopped is Reason.TO_BE_CONTINUED
        assert turns < 12
    assert turns > 1
    assert wrong(sheet, project) == []
    assert (found := report.record(Spreadsheet(sheet.book))) is not None
    assert (found.run.run, found.run.state, found.past) == ("one run", "done", [])


# --- the command line -------------------------------------------------------------------------------------------------


def command(sheet: ControlSheet, project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "owox_tiktok", *words, "--now", "2026-03-01T12:00Z"],
        env=process_environment(project.environment | sheet.environment),
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_takes_a_sheet(sheet: ControlSheet, project: Project) -> None:
    address = f"https://docs.google.com/spreadsheets/d/{sheet.book}/edit#gid=0"
    planned = command(sheet, project, "plan", "--sheet", address)
    assert planned.returncode == 0, planned.stderr
    assert "ad_report_daily" in planned.stdout
    assert sheet.status == "", "a plan writes nothing"
    ran = command(sheet, project, "import", "--sheet", sheet.book)
    assert ran.returncode == 0, ran.stderr
    assert wrong(sheet, project) == []
    checked = command(sheet, project, "check", "--sheet", sheet.book)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    sheet.set("Clean Up To Keep Window", 10)
    dry = command(sheet, project, "prune", "--sheet", sheet.book, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "would delete" in dry.stderr
    sheet.set("Start Date*", "soon")
    bad = command(sheet, project, "import", "--sheet", sheet.book)
    assert bad.returncode == 2
    assert f"Config!B{sheet.row_of('Start Date*') + 1}" in bad.stderr
    assert "Traceback" not in bad.stderr


def test_an_unshared_sheet_says_with_whom_to_share_it(sheet: ControlSheet, project: Project) -> None:
    sheet.server.faults.forbidden = {sheet.book}
    ran = command(sheet, project, "import", "--sheet", sheet.book)
    assert ran.returncode == 1
    assert "not shared with this program" in ran.stderr
    assert os.environ.get("HOME", "?") not in ran.stderr


def test_a_file_or_a_sheet_but_not_both(sheet: ControlSheet, project: Project) -> None:
    ran = command(sheet, project, "plan", "x.yaml", "--sheet", sheet.book)
    assert ran.returncode == 2
    assert "Name either a file" in ran.stderr
