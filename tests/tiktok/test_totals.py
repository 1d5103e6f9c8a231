"""TikTok's own totals: what was read is all that it says it sent, or it is read again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from owox_tiktok.local.tiktok import Fault, World, serve
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.totals import Totals
from tests.helpers import NOW, Project, columns_of, differences, expected

REPORT = "report/integrated/get"
START, END = NOW.date() - timedelta(days=9), NOW.date() - timedelta(days=4)
WITH_TOTALS = ("advertiser_report_daily", "campaign_report_lifetime", "ad_report_daily")
WITHOUT = ("ad_report_hourly", "campaign_audience_report_daily_by_country", "ad_report_daily_by_country")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """One account, days that are over."""
    world = World(seed=4, advertisers=1, campaigns=2, ad_groups=2, ads=4, as_of=NOW, hidden_kinds=True)
    with serve(world) as server:
        yield Project(tmp_path, server, say={"start_date": f"{START}", "end_date": f"{END}"})


def asked(project: Project) -> list[dict[str, str]]:
    """Return the parameters of the reports that were asked for, in order."""
    return [entry["params"] for entry in project.server.log if entry["path"] == REPORT]


def wrong(project: Project) -> list[str]:
    """Return how the stored rows differ from what TikTok has of those days."""
    stream = STREAMS["ad_report_daily"]
    names, world = columns_of(project.database, stream), project.server.world
    has = expected(world, stream, world.advertiser_ids[0], names, start=START)
    return differences(project.table(stream), [row for row in has if row["stat_time_day"] <= END], stream.keys)


def test_a_number_that_was_read_wrongly_once_is_read_again(project: Project) -> None:
    project.server.faults.at = (Fault("wrong_number", REPORT),)
    ran = project.import_()
    assert (ran.exit_code, ran.warnings) == (0, [])
    assert wrong(project) == []


def test_what_tiktok_says_twice_is_stored_and_said(project: Project) -> None:
    project.server.faults.at = (Fault("wrong_number", REPORT, times=None),)
    ran = project.import_()
    assert ran.exit_code == 0
    assert len(ran.warnings) == 1
    assert "totals" in ran.warnings[0]
    assert ran.finished.rows_confirmed == 0
    assert len(wrong(project)) > 0


def test_numbers_that_never_settle_fail_days_that_are_over(project: Project) -> None:
    faults = project.server.faults
    faults.at = (Fault("wrong_number", REPORT, times=None),)
    faults.wrong_more = 1
    ran = project.import_()
    assert ran.exit_code == 1
    assert "do not add up" in ran.failures[0].message
    assert project.table("ad_report_daily") == []


@pytest.mark.parametrize("name", WITH_TOTALS)
def test_totals_are_asked_for_once_per_report_with_its_first_page(name: str, project: Project) -> None:
    ran = project.import_(objects=[name])
    assert ran.exit_code == 0
    assert 0 < ran.finished.rows_confirmed == sum(ran.finished.rows.values())
    reports = asked(project)
    assert reports
    for one in reports:
        assert ("enable_total_metrics" in one) == (one["page"] == "1" and "impressions" in one["metrics"])


@pytest.mark.parametrize("name", WITHOUT)
def test_reports_of_which_there_are_no_totals_are_read_without(name: str, project: Project) -> None:
    ran = project.import_(objects=[name])
    assert (ran.exit_code, ran.finished.rows_confirmed) == (0, 0)
    assert not any("enable_total_metrics" in one for one in asked(project))


def test_where_totals_are_refused_reports_are_read_without_and_that_is_remembered(project: Project) -> None:
    project.server.faults.at = (Fault("code_40002", REPORT, where={"enable_total_metrics": "true"}, times=None),)
    ran = project.import_()
    assert (ran.exit_code, ran.warnings, ran.failures) == (0, [], [])
    assert wrong(project) == []
    assert sum("enable_total_metrics" in one for one in asked(project)) <= 4


@pytest.mark.parametrize(
    ("currency", "off", "differs"),
    [("USD", "0.01", False), ("USD", "0.02", True), ("JPY", "1", False), ("JPY", "2", True), ("USD", "-0.02", True)],
)
def test_money_may_differ_by_what_rounding_each_row_explains(currency: str, off: str, differs: bool) -> None:
    totals = Totals(("spend", "clicks", "ctr"), currency)
    total = {"spend": f"{Decimal('12.34') + Decimal(off)}", "clicks": "5", "ctr": "-"}
    totals.add({"spend": ["12.34"], "clicks": ["5"], "ctr": ["0.4"]}, 1, total)
    assert totals.known
    assert list(totals.differing()) == ["spend"] * differs


def test_counts_must_be_equal_and_what_has_no_total_says_nothing() -> None:
    totals = Totals(("impressions", "clicks"), "USD")
    totals.add({"impressions": ["5", "-", None], "clicks": [1, 2, "3"]}, 3, json.loads('{"impressions": "6"}'))
    totals.add({"impressions": ["2"], "clicks": ["9"]}, 1, None)
    assert totals.differing() == {"impressions": (Decimal(7), Decimal(6))}
    spent = Totals(("spend",), "USD")
    for amounts in (["0.10", "12.34"], ["1.5", "2.00"], ["1e1", "-"], ["-0.50", "-1.25"], ["7", "8"], [3, 1.25]):
        spent.add({"spend": amounts}, 2, None)
    spent.add({"spend": []}, 0, {"spend": "0"})
    assert spent.differing() == {"spend": (Decimal("43.44"), Decimal(0))}
    silent = Totals(("impressions",), "USD")
    silent.add({"impressions": ["5"]}, 1, {"impressions": "-"})
    assert not silent.known
