"""TopView and Promote ads, which TikTok leaves out of reports unless asked for them alone, arrive with the others."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from owox_tiktok import app
from owox_tiktok.local.tiktok import Fault, Server, World, oracle, serve
from owox_tiktok.local.tiktok.world import ORDINARY, PROMOTE, TOP_VIEW
from owox_tiktok.streams import STREAMS
from tests.helpers import NOW, Project, differences, expected

REPORT = "report/integrated/get"
START = NOW.date() - timedelta(days=5)


def world(**more: object) -> World:
    how = {"advertisers": 1, "campaigns": 3, "ad_groups": 3, "ads": 6, "hidden_kinds": True} | more
    return World(seed=4, as_of=NOW, **how)  # type: ignore[arg-type]


def reports(server: Server) -> list[str]:
    """The filters of every request for a report."""
    return [e["params"].get("filtering", "") for e in server.log if e["path"] == REPORT]


def ids(server: Server, kind: str) -> set[str]:
    return {ad.id for ad in server.world.advertisers[0].ads if ad.campaign.kind == kind}


@pytest.mark.parametrize("name", ["campaign_report_daily", "ad_group_report_daily", "ad_report_daily"])
def test_each_kind_of_ads_is_in_the_reports_of_its_level(name: str, tmp_path: Path) -> None:
    with serve(world()) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=[name], start_date=f"{START}")
        assert (ran.exit_code, ran.warnings) == (0, [])
        assert project.wrong(name, start=START) == []
        spent = sum(row["spend"] for row in project.table(name))
        of_kinds = oracle.total_by_kind(server.world, server.advertiser_ids[0], "spend", START, NOW.date())
    assert all(of_kinds.values())
    assert spent == sum(of_kinds.values())


def test_a_report_of_the_account_is_asked_for_once_and_adds_nothing_up(tmp_path: Path) -> None:
    with serve(world()) as server:
        project = Project(tmp_path, server)
        assert project.import_(objects=["advertiser_report_daily"], start_date=f"{START}").exit_code == 0
        assert project.wrong("advertiser_report_daily", start=START) == []
        assert len(reports(server)) == 1
        assert not [e for e in server.log if e["path"] == "campaign/get"]


def test_what_tiktok_does_not_list_for_promote_ads_is_empty_there_and_not_zero(tmp_path: Path) -> None:
    fields = ["spend", "clicks", "video_views_p25", "complete_payment"]
    with serve(world()) as server:
        project = Project(tmp_path, server)
        project.import_(fields={"ad_report_daily": fields}, start_date=f"{START}")
        assert project.wrong("ad_report_daily", start=START) == []
        rows = project.table("ad_report_daily")
        promote, others = (
            [row for row in rows if (row["ad_id"] in ids(server, PROMOTE)) == wanted] for wanted in (True, False)
        )
    assert {(row["video_views_p25"], row["complete_payment"]) for row in promote} == {(None, None)}
    assert all(row["spend"] is not None and row["clicks"] is not None for row in promote)
    assert all(row["video_views_p25"] is not None for row in others)


@pytest.mark.parametrize(
    ("name", "with_promote"),
    [
        ("campaign_report_hourly", False),
        ("campaign_report_daily_by_country", False),
        ("campaign_report_lifetime", True),
        ("campaign_audience_report_daily_by_country", True),
        ("campaign_audience_report_daily_by_language", False),
    ],
)
def test_promote_ads_are_asked_for_only_where_tiktok_has_them(name: str, with_promote: bool, tmp_path: Path) -> None:
    with serve(world()) as server:
        project = Project(tmp_path, server)
        start = NOW.date() - timedelta(days=1)
        ran = project.import_(objects=[name], start_date=f"{start}")
        assert (ran.exit_code, ran.warnings) == (0, [])
        assert project.wrong(name, start=start) == []
        assert any("PROMOTE" in text for text in reports(server)) == with_promote
        assert any("RESERVATION_TOP_VIEW" in text for text in reports(server))


def test_an_account_without_such_campaigns_is_asked_once_for_a_single_row_of_each_kind(tmp_path: Path) -> None:
    with serve(world(hidden_kinds=False)) as server:
        project = Project(tmp_path, server)
        objects = ["campaign_report_daily", "ad_report_daily", "ad_report_hourly"]
        assert project.import_(objects=objects, start_date=f"{START}").exit_code == 0
        asked = [e["params"] for e in server.log if e["path"] == "campaign/get"]
        assert sorted(p["page_size"] for p in asked) == ["1", "1"]
        assert not [text for text in reports(server) if "PROMOTE" in text or "TOP_VIEW" in text]


def test_a_report_that_refuses_a_kind_of_ads_is_stored_without_it_and_says_so(tmp_path: Path) -> None:
    with serve(world()) as server:
        server.faults.at = (Fault("code_40002", REPORT, where={"filtering": "RESERVATION_TOP_VIEW"}, times=None),)
        project = Project(tmp_path, server)
        ran = project.import_(start_date=f"{START}")
        assert ran.exit_code == 0
        assert len(ran.warnings) == 1
        assert "TopView" in ran.warnings[0]
        stored = {row["ad_id"] for row in project.table("ad_report_daily")}
        assert not stored & ids(server, TOP_VIEW)
        assert stored >= ids(server, PROMOTE)
        asked = [text for text in reports(server) if "TOP_VIEW" in text]
    assert len(asked) <= 2, "the refusal is remembered"


def test_a_kind_of_ads_is_divided_by_its_own_campaigns_when_its_report_is_cut(tmp_path: Path) -> None:
    with serve(world(ads=12)) as server:
        server.faults.max_ads_per_report = 3
        project = Project(tmp_path, server)
        ran = project.import_(start_date=f"{START}")
        assert (ran.exit_code, ran.failures) == (0, [])
        assert project.wrong("ad_report_daily", start=START) == []
        asked = reports(server)
    assert any("PROMOTE" in text and "campaign_ids" in text for text in asked)


def test_the_plan_counts_the_requests_for_hidden_kinds(tmp_path: Path) -> None:
    with serve(world()) as server:
        project = Project(tmp_path, server)
        settings = project.settings(NOW, start_date=f"{START}")
        planned = app.plan(settings, now=NOW, environment=project.environment)
        before = len(reports(server))
        ran = project.import_(start_date=f"{START}")
        assert planned[0].requests == len(reports(server)) - before + 2 == 3 + 2
        assert planned[0].rows is not None
        assert abs(planned[0].rows - ran.finished.rows["ad_report_daily"]) <= 3


def test_the_ordinary_list_of_campaigns_stays_without_them(tmp_path: Path) -> None:
    with serve(world()) as server:
        project = Project(tmp_path, server)
        project.import_(objects=["campaigns", "campaign_report_daily"], start_date=f"{START}")
        kinds = {c.id: c.kind for c in server.world.advertisers[0].campaigns}
        assert {kinds[row["campaign_id"]] for row in project.table("campaigns")} == {ORDINARY}
        wanted = expected(server.world, STREAMS["campaigns"], server.advertiser_ids[0], project.table("campaigns")[0])
        assert differences(project.table("campaigns"), wanted, STREAMS["campaigns"].keys) == []
        assert Decimal(0) < sum(row["spend"] for row in project.table("campaign_report_daily"))
