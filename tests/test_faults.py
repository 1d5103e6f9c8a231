"""TikTok failing in every way it does: the tables end up equal all the same, nothing missing, twice or wrong."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from owox_tiktok.events import Waiting
from owox_tiktok.local.tiktok import KINDS, Faults, Limits, World, serve
from tests.helpers import NOW, Project

OBJECTS = ["advertisers", "campaigns", "ads", "images", "pixels", "ad_report_daily", "advertiser_report_hourly",
           "ad_audience_report_daily_by_country", "campaign_report_lifetime"]  # fmt: skip
START = NOW.date() - timedelta(days=32)
# A refused rate makes everybody wait for seconds; those kinds have tests of their own below.
QUICK = tuple(
    k for k in KINDS if k not in ("timeout", "http_429", "code_51021", "code_40100", "code_40133", "code_40016")
)


@pytest.mark.parametrize("seed", [1, 2])
def test_one_request_in_twenty_failing_changes_nothing_in_the_tables(seed: int, tmp_path: Path) -> None:
    world = World(seed=seed, advertisers=2, campaigns=3, ad_groups=6, ads=12, as_of=NOW)
    with serve(world, faults=Faults(rate=0.05, kinds=QUICK, seed=seed)) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=OBJECTS, start_date=f"{START}")
        assert (ran.exit_code, ran.failures) == (0, [])
        assert server.counts["failed"] > 0
        for name in OBJECTS:
            assert project.wrong(name, start=START) == [], name


def test_every_second_request_failing_only_takes_longer(tmp_path: Path) -> None:
    world = World(seed=3, advertisers=1, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    kinds = tuple(k for k in QUICK if k != "code_51001")
    with serve(world, faults=Faults(rate=0.5, kinds=kinds, in_a_row=2)) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=["ads", "ad_report_daily", "campaign_report_daily"])
        assert (ran.exit_code, ran.failures) == (0, [])
        assert server.counts["failed"] > 2
        for name in ("ads", "ad_report_daily", "campaign_report_daily"):
            assert project.wrong(name) == [], name


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "timeout"])
def test_each_kind_of_failure_is_survived_when_every_request_fails_once(kind: str, tmp_path: Path) -> None:
    world = World(seed=4, advertisers=1, campaigns=2, ad_groups=2, ads=45, as_of=NOW)
    with serve(world, faults=Faults(fail_first=1, kinds=(kind,))) as server:
        project = Project(tmp_path, server)
        ran = project.import_(start_date="2026-01-30")  # one window of two pages
        assert (ran.exit_code, ran.failures) == (0, [])
        assert server.counts["failed"] >= 1
        assert project.wrong("ad_report_daily", start=NOW.date() - timedelta(days=30)) == []


@pytest.mark.parametrize("kind", ["deep_nesting", "list_of_nulls", "null_data"])
def test_an_answer_without_sense_is_read_again_and_nothing_of_it_is_stored(kind: str, tmp_path: Path) -> None:
    world = World(seed=4, advertisers=1, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    with serve(world, faults=Faults(fail_first=1, kinds=(kind,))) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=["ads", "ad_report_daily"], start_date="2026-02-20")
        assert (ran.exit_code, ran.failures) == (0, [])
        assert server.counts["failed"] >= 3
        for name in ("ads", "ad_report_daily"):
            assert project.wrong(name, start=date(2026, 2, 20)) == [], name


@pytest.mark.parametrize("kind", ["half_emoji", "not_utf8", "control_characters"])
def test_odd_characters_cost_no_row(kind: str, tmp_path: Path) -> None:
    world = World(seed=4, advertisers=1, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    with serve(world, faults=Faults(fail_first=1, kinds=(kind,))) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=["ads", "ad_report_daily"], start_date="2026-02-20")
        assert (ran.exit_code, ran.failures) == (0, [])
        odd = [text for row in project.table("ads") for text in row.values() if "\ufffd" in str(text)]
        assert odd
        assert not [text for text in odd if {*str(text)} & {chr(n) for n in (0, 7, 8, 0x1B, 0x9B)}]
        assert all("\ufffd" in one for one in project.wrong("ad_report_daily", start=date(2026, 2, 20)))
        project.import_(objects=["ads"])  # in good order again
        assert project.wrong("ads") == []


def test_an_answer_in_part_is_said_to_be_one(tmp_path: Path) -> None:
    world = World(seed=4, advertisers=1, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    with serve(world, faults=Faults(fail_first=1, kinds=("code_20001",))) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=["ads"])
        assert (ran.exit_code, ran.failures) == (0, [])
        assert [w for w in ran.warnings if "ad/get" in w and "in part" in w]
        assert project.wrong("ads") == []


def test_tiktoks_block_for_too_many_requests_in_a_minute_is_waited_out(tmp_path: Path) -> None:
    world = World(seed=5, advertisers=2, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    with serve(world, limits=Limits(per_minute=15, block_s=3)) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=["campaign_report_hourly"], start_date="2026-02-22")  # 16 windows and more
        assert (ran.exit_code, ran.failures) == (0, [])
        assert server.counts["refused"] > 0
        assert ran.finished.refused == server.counts["refused"]
        assert project.wrong("campaign_report_hourly", start=NOW.date() - timedelta(days=7)) == []


def test_the_permitted_rate_of_one_advertiser_is_respected_without_losing_rows(tmp_path: Path) -> None:
    world = World(seed=6, advertisers=2, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    with serve(world, limits=Limits(per_advertiser_qps=6)) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=["campaign_report_hourly"], start_date="2026-02-22")
        assert (ran.exit_code, ran.failures) == (0, [])
        assert server.counts["refused"] > 0
        assert project.wrong("campaign_report_hourly", start=NOW.date() - timedelta(days=7)) == []


def test_a_run_at_the_permitted_rate_is_hardly_ever_refused(tmp_path: Path) -> None:
    world = World(seed=7, advertisers=1, campaigns=2, ad_groups=2, ads=4, as_of=NOW)
    with serve(world, limits=Limits(qps=10)) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=["campaign_report_hourly"], start_date="2026-02-01", requests_per_second=10)
        assert ran.exit_code == 0
        assert ran.finished.requests > 25
        # Without a pace it would be most of them; a busy machine adds jitter of its own.
        assert server.counts["refused"] <= max(1, ran.finished.requests // 8)
        assert not [e for e in ran.events if isinstance(e, Waiting)]


def test_what_keeps_failing_is_named_and_the_next_run_completes_it(tmp_path: Path) -> None:
    world = World(seed=8, advertisers=2, campaigns=3, ad_groups=3, ads=6, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server)
        server.faults.forbidden.add("report/integrated/get")
        ran = project.import_(objects=["campaigns", "ad_report_daily"])
        assert ran.exit_code == 3
        assert {f.object for f in ran.failures} == {"ad_report_daily"}
        server.faults.forbidden.clear()
        assert project.import_(objects=["campaigns", "ad_report_daily"]).exit_code == 0
        assert project.wrong("campaigns") == []
        assert project.wrong("ad_report_daily") == []
