"""Answers that arrive whole and are wrong: none of them is stored quietly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from owox_tiktok.local.tiktok import Fault, World, serve
from owox_tiktok.streams import STREAMS
from owox_tiktok.tiktok.parts import CAMPAIGNS_PER_REPORT, IDS_PER_FILTER
from tests.helpers import NOW, Project, differences, expected

REPORT = "report/integrated/get"
BY_PLACEMENT = "campaign_audience_report_daily_by_placement"
START = NOW.date() - timedelta(days=5)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """One account with two campaigns of each kind and few ads."""
    world = World(seed=4, advertisers=1, campaigns=2, ad_groups=2, ads=4, as_of=NOW, hidden_kinds=True)
    with serve(world) as server:
        yield Project(tmp_path, server, say={"start_date": f"{START}"})


# --- rows that were not asked for -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ad_report_daily", "ad_report_hourly"])
def test_rows_of_other_days_are_asked_for_again(name: str, project: Project) -> None:
    start = NOW.date() - timedelta(days=1)
    project.server.faults.at = (Fault("outside_window", REPORT),)
    ran = project.import_(objects=[name], start_date=f"{start}")
    assert (ran.exit_code, ran.failures) == (0, [])
    assert project.wrong(name, start=start) == []


def test_rows_of_other_days_that_keep_coming_fail_their_window_in_words(project: Project) -> None:
    project.server.faults.at = (Fault("outside_window", REPORT, where={"data_level": "AUCTION_AD"}, times=None),)
    ran = project.import_(objects=["ad_report_daily", "campaign_report_daily"])
    assert ran.exit_code == 3
    assert [f.object for f in ran.failures] == ["ad_report_daily"]
    day = START - timedelta(days=1)
    assert f"rows of {day}" in ran.failures[0].message
    assert f"{START}..{NOW.date()}" in ran.failures[0].message
    assert project.table("ad_report_daily") == []
    assert project.wrong("campaign_report_daily", start=START) == []


def test_an_account_that_is_named_twice_is_read_once(project: Project) -> None:
    project.server.faults.at = (Fault("advertiser_twice", times=None),)
    one = project.server.advertiser_ids[0]
    ran = project.import_(advertiser_ids="all", objects=["advertisers", "advertiser_ids", "campaign_report_daily"])
    assert (ran.exit_code, ran.finished.pairs) == (0, 3)
    for name in ("advertisers", "campaign_report_daily"):
        assert project.wrong(name, start=START) == [], name
    assert [row["advertiser_id"] for row in project.table("advertiser_ids")] == [one]


def test_an_account_that_was_not_asked_for_is_not_read(project: Project) -> None:
    project.server.faults.at = (Fault("advertiser_unasked", times=None),)
    ran = project.import_(objects=["campaign_report_daily"])
    assert (ran.exit_code, ran.finished.pairs) == (0, 1)
    assert project.wrong("campaign_report_daily", start=START) == []


def test_a_list_with_a_row_of_another_account_fails_in_words(project: Project) -> None:
    project.server.faults.at = (Fault("advertiser_unasked", times=None),)
    ran = project.import_(objects=["advertisers", "campaigns"])
    assert [f.object for f in ran.failures] == ["advertisers"]
    assert "account" in ran.failures[0].message
    assert "not asked for" in ran.failures[0].message
    assert project.wrong("campaigns") == []


def test_an_account_that_is_refused_later_holds_up_no_other(tmp_path: Path) -> None:
    world = World(seed=4, advertisers=3, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    objects = ["campaign_report_daily", "ad_group_report_daily", "ad_report_daily"]
    with serve(world) as server:
        one, *others = server.advertiser_ids
        server.faults.at = (Fault("code_40301", REPORT, where={"advertiser_id": one}, times=None),)
        project = Project(tmp_path, server)
        ran = project.import_(objects=objects, start_date=f"{START}")
        assert {(f.advertiser_id, f.object) for f in ran.failures} == {(one, name) for name in objects}
        for name in objects:
            stream = STREAMS[name]
            rows = project.table(name)
            wanted = [r for a in others for r in expected(world, stream, a, rows[0], start=START)]
            assert differences(rows, wanted, stream.keys) == [], name


# --- what is missing in a row -----------------------------------------------------------------------------------------


def test_a_metric_that_no_row_has_is_named_once_and_read_again_once_it_comes(project: Project) -> None:
    fields = {"ad_report_daily": ["spend", "likes", "ad_name"]}
    project.server.faults.missing = "likes"
    project.server.faults.at = (Fault("missing_metric", REPORT, times=None),)
    ran = project.import_(fields=fields, start_date="2026-01-28")
    assert ran.exit_code == 0
    assert len(ran.warnings) == 1
    assert "likes" in ran.warnings[0]
    rows = project.table("ad_report_daily")
    assert {row["likes"] for row in rows} == {None}
    kept = [name for name in rows[0] if name != "likes"]
    wanted = expected(project.server.world, STREAMS["ad_report_daily"], project.server.advertiser_ids[0], kept)
    mine = [{name: row[name] for name in kept} for row in rows]
    assert differences(mine, wanted, STREAMS["ad_report_daily"].keys) == []

    project.server.faults.at = ()
    for days in (1, 2):
        project.server.world.as_of = NOW + timedelta(days=days)
        assert project.import_(fields=fields, start_date="2026-01-28").warnings == []
    assert project.wrong("ad_report_daily") == []


@pytest.mark.parametrize("kind", ["null_key", "dash_key"])
def test_a_value_that_tiktok_does_not_know_in_a_breakdown_is_none(kind: str, project: Project) -> None:
    project.server.faults.at = (Fault(kind, REPORT, times=None),)
    ran = project.import_(objects=[BY_PLACEMENT], start_date=f"{NOW.date()}", advertiser_ids="all")
    assert (ran.exit_code, ran.failures) == (0, [])
    placements = [row["placement"] for row in project.table(BY_PLACEMENT)]
    assert "NONE" in placements
    assert not {None, "-", ""} & set(placements)


def test_rows_that_share_a_key_since_their_value_is_unknown_fail_in_words(project: Project) -> None:
    project.server.faults.shared_key = True
    project.server.faults.at = (Fault("null_key", REPORT, times=None),)
    ran = project.import_(objects=[BY_PLACEMENT, "campaign_report_daily"])
    assert [f.object for f in ran.failures] == [BY_PLACEMENT]
    assert "NONE" in ran.failures[0].message
    assert project.table(BY_PLACEMENT) == []


# --- time zones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "says"), [("no_zone", "names no time zone"), ("unknown_zone", "Mars/Olympus_Mons")])
def test_a_time_zone_that_is_missing_or_unknown_is_a_warning(kind: str, says: str, project: Project) -> None:
    project.server.faults.at = (Fault(kind, times=None),)
    ran = project.import_(objects=["campaigns"])
    assert ran.exit_code == 0
    assert len(ran.warnings) == 1
    assert says in ran.warnings[0]
    assert "UTC" in ran.warnings[0]
    checked = project.cli("check", str(project.write(objects=["campaigns"])))
    assert says in checked.stdout


# --- rows that move while pages are read ------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
def test_a_row_that_is_gone_before_the_next_page_costs_no_other_row(times: int, tmp_path: Path) -> None:
    world = World(seed=5, advertisers=1, ads=40, as_of=NOW)  # two pages of rows in a window
    with serve(world) as server:
        project = Project(tmp_path, server)
        server.faults.at = (Fault("row_gone", REPORT, times=times),)
        ran = project.import_(fields={"ad_report_daily": ["spend"]})
        assert (ran.exit_code, ran.failures) == (0, [])
        assert server.counts["failed"] > 0
        assert project.wrong("ad_report_daily") == []


def test_pages_that_never_agree_fail_their_window_in_words(tmp_path: Path) -> None:
    world = World(seed=5, advertisers=1, ads=40, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server)
        server.faults.at = (Fault("row_gone", REPORT, times=None),)
        ran = project.import_(fields={"ad_report_daily": ["spend"]})
        assert ran.exit_code == 1
        assert "changed while they were read" in ran.failures[0].message
        assert project.table("ad_report_daily") == []


def test_filters_hold_no_more_ids_than_tiktok_takes() -> None:
    assert CAMPAIGNS_PER_REPORT <= IDS_PER_FILTER <= 100


def test_an_account_with_many_campaigns_is_divided_into_filters_that_tiktok_takes(tmp_path: Path) -> None:
    world = World(seed=5, advertisers=1, campaigns=230, ad_groups=230, ads=230, as_of=NOW)
    with serve(world) as server:
        server.faults.max_ads_per_report = 200
        project = Project(tmp_path, server)
        start = NOW.date() - timedelta(days=1)
        ran = project.import_(start_date=f"{start}", fields={"ad_report_daily": ["spend"]})
        assert (ran.exit_code, ran.failures) == (0, [])
        assert project.wrong("ad_report_daily", start=start) == []
