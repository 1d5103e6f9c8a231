"""Creatives, reviews and Business Centers: what TikTok has, also two days later; its rules and refusals."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok.local.tiktok import World, oracle, serve
from owox_tiktok.streams import STREAMS
from tests.helpers import NOW, Project
from tests.local_tiktok.conftest import Client
from tests.test_import import of_its_own

FIRST = date(2026, 2, 26)
ALL = [s for s in STREAMS.values() if of_its_own(s) and s.family in ("creatives", "money")]
MONEY = ("ad_account_balances", "ad_account_transactions", "ad_account_budget_changes")


def test_creatives_and_money_are_what_tiktok_has_also_two_days_later(project: Project) -> None:
    for _ in range(2):
        ran = project.import_(objects=[s.name for s in ALL], start_date=f"{FIRST}", app_id=None, app_secret=None)
        assert (ran.exit_code, ran.failures, ran.warnings) == (0, [], [])
        for stream in ALL:
            assert project.wrong(stream, start=FIRST) == [], stream.name
            assert project.table(stream), stream.name
        project.server.world.as_of = project.server.world.now() + timedelta(days=2)


def test_a_whole_smart_plus_ad_has_lists_and_so_has_an_ad_with_one(tmp_path: Path) -> None:
    world = World(seed=1, advertisers=1, campaigns=3, ad_groups=3, ads=8, as_of=NOW, smart_plus=True)
    with serve(world) as server:
        project = Project(tmp_path, server)
        names = ["ad_name", "ad_text", "campaign_automation_type", "spend"]
        ran = project.import_(objects=["ad_v2_report_lifetime"], fields={"ad_v2_report_lifetime": names})
        assert (ran.exit_code, ran.warnings) == (0, [])
        rows = {row["ad_id_v2"]: row for row in project.table("ad_v2_report_lifetime")}
        listed = oracle.report_rows(world, world.advertiser_ids[0], "ad", ["ad_id"], names, None, None, lifetime=True)
        assert {key: row["spend"] for key, row in rows.items()} == {row["ad_id"]: row["spend"] for row in listed}
        assert {key: row["ad_text"] for key, row in rows.items()} == {row["ad_id"]: [row["ad_text"]] for row in listed}
        assert {row["campaign_automation_type"] for row in rows.values()} == {"MANUAL", "UPGRADED_SMART_PLUS"}


def test_who_is_not_enabled_for_fatigue_gets_everything_else(project: Project) -> None:
    project.server.rules.fatigue_allowed = False
    ran = project.import_(objects=["creative_fatigue", "video_insights"], start_date="2025-06-01")
    assert {f.object for f in ran.failures} == {"creative_fatigue"}
    assert all("enabled by TikTok" in f.message for f in ran.failures)
    project.server.rules.fatigue_allowed = True
    ran = project.import_(objects=["creative_fatigue"], start_date="2025-06-01")
    assert (ran.exit_code, ran.warnings) == (0, []), "of years ago TikTok knows nothing, and is not asked"
    assert project.wrong("creative_fatigue", start=NOW.date() - timedelta(days=59)) == []


def test_who_has_no_finance_role_gets_everything_but_money(project: Project) -> None:
    project.server.rules.finance_role = False
    ran = project.import_(objects=["bc_ad_accounts", *MONEY], start_date=f"{FIRST}")
    assert {f.object for f in ran.failures} == set(MONEY)
    assert all("finance role" in f.message and "40001" in f.message for f in ran.failures)
    assert project.wrong("bc_ad_accounts") == []


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("smart_plus/material_report/overview", {"dimensions": ["smart_plus_ad_id"]}, "Length must be 2"),
        (
            "smart_plus/material_report/overview",
            {"dimensions": ["main_material_id", "stat_time_day"]},
            "Invalid dim: stat_time_day is not exist",
        ),
        (
            "smart_plus/material_report/breakdown",
            {"dimensions": ["main_material_id", "campaign_id"]},
            "Invalid dim: campaign_id is not exist",
        ),
        (
            "smart_plus/material_report/breakdown",
            {"dimensions": ["main_material_id"], "metrics": ["spend", "reach"]},
            "Invalid metric: reach not support",
        ),
        ("creative/report/get", {"material_type": "MUSIC"}, "material_type"),
        ("ad/review_info", {"ad_ids": [str(n) for n in range(21)]}, "between 1 and 20"),
        ("bc/asset/get", {"bc_id": "7088888888888888801"}, "asset_type"),
        ("bc/account/transaction/get", {}, "bc_id"),
    ],
)
def test_the_simulated_tiktok_refuses_what_tiktok_refuses(
    path: str, asked: dict[str, Any], said: str, project: Project
) -> None:
    days = {"start_date": "2026-02-20", "end_date": "2026-02-21"}
    envelope = Client(project.server).ask(path, advertiser_id=project.server.advertiser_ids[0], **days, **asked)
    assert envelope["code"] == 40002
    assert said in envelope["message"]
