"""First contact with a Google: what the program rests on is tried in a scratch tab, and what differs is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from owox_tiktok.local.sheets import Server, serve
from owox_tiktok.local.sheets.unlike import UNLIKE
from owox_tiktok.sheets.client import LIMITS, Spreadsheet
from owox_tiktok.sheets.probe import probe, report
from owox_tiktok.sheets.requests import Block
from tests.control_sheet import control_sheet, run
from tests.helpers import Project

SAID = {
    "echo": "named in the answer",
    "unique_ids": "cannot be taken twice",
    "atomic": "altogether or not at all",
    "filters": "data filters in one call",
    "first_row": "inserted before the first",
    "values": "as they were written",
    "read_back": "what is there afterwards",
    "tags": "shown with it",
    "warning": "protected with a warning",
    "packed": "compressed",
}
"""Words of the finding that each switched-off assumption brings up."""


@pytest.fixture
def google() -> Iterator[Server]:
    with serve() as server:
        yield server


def book(google: Server) -> Spreadsheet:
    made = google.create("Hers", [{"title": "It's hers", "values": [[1, 2], [3, 4]], "rows": 5, "columns": 3}])
    limits = replace(LIMITS, sleep=lambda _: None)
    return Spreadsheet(made, limits=limits, environment={"SHEETS_API_URL": google.url})


def test_the_emulator_is_as_google_is_thought_to_be_and_nothing_is_left_behind(google: Server) -> None:
    hers = book(google)
    model = google.spreadsheet(hers.id)
    before = model.sheets[0].values()
    findings = probe(hers)
    assert len(findings) == len(UNLIKE)
    assert all(f.ok for f in findings), report(findings)
    assert [s.title for s in model.sheets] == ["It's hers"]
    assert model.sheets[0].values() == before
    assert {m.key for m in model.metadata} <= {"owox.batch"}


@pytest.mark.parametrize("kind", UNLIKE)
def test_an_assumption_that_does_not_hold_is_found(google: Server, kind: str) -> None:
    hers = book(google)
    google.faults.unlike = {kind}
    findings = probe(hers)
    differ = [f.what for f in findings if not f.ok]
    assert len(differ) == 1, report(findings)
    assert SAID[kind] in differ[0]
    assert "DIFFERS" in report(findings)
    assert "It's hers" not in report(findings)
    assert [s.title for s in google.spreadsheet(hers.id).sheets] == ["It's hers"], "the scratch tab is gone"


def test_where_ranges_are_not_echoed_they_are_asked_for_by_name(google: Server, project: Project) -> None:
    google.faults.unlike = {"echo"}
    hers = book(google)
    whole, corner = Block(0, 0, 2, 0, 2), Block(0, 1, 2, 1, 2)
    assert hers.values([corner, whole, corner]) == [[[4]], [[1, 2], [3, 4]], [[4]]]
    sheet = control_sheet(google, project)
    first = run(sheet, project)
    assert first.exit_code == 0
    again = run(sheet, project)
    assert (again.exit_code, again.replaced) == (0, again.rows)


def test_many_ranges_are_read_in_several_calls(google: Server) -> None:
    hers = book(google)
    hers.most_filters = 2
    blocks = [Block(0, row, row + 1, column, column + 1) for row in (0, 1) for column in (0, 1)]
    before = len(google.log)
    assert hers.values(blocks) == [[[1]], [[2]], [[3]], [[4]]]
    assert len(google.log) - before == 2


@pytest.mark.parametrize("kind", ["tags", "filters"])
def test_an_import_works_all_the_same(google: Server, project: Project, kind: str) -> None:
    google.faults.unlike = {kind}
    sheet = control_sheet(google, project)
    assert run(sheet, project).exit_code == 0
    assert run(sheet, project).exit_code == 0
    assert sheet.status.startswith("Up to date")


def test_check_with_a_sheet_says_what_differs(
    google: Server, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHEETS_API_URL", google.url)
    sheet = control_sheet(google, project)
    fine = project.cli("check", "--sheet", sheet.book)
    assert fine.returncode == 0, fine.stdout + fine.stderr
    google.faults.unlike = {"read_back"}
    differs = project.cli("check", "--sheet", sheet.book)
    assert differs.returncode == 3
    assert "the answer to a batch can hold what is there afterwards" in " ".join(differs.stdout.split())
    assert "Open an issue with this report" in differs.stdout
    assert [s.title for s in google.spreadsheet(sheet.book).sheets] == ["Config", "Fields", "Logs"]
