"""GMV Max: all of it is what TikTok has, also two days later; a shop counts once; TikTok's rules are kept."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from owox_tiktok.streams import STREAMS
from tests.helpers import Project, differences, expected
from tests.local_tiktok.conftest import Client
from tests.test_views import rows

FIRST = date(2026, 2, 24)
ALL = [s for s in STREAMS.values() if s.family == "shop" and s.time != "stat_time_hour"]
HOURLY = [s for s in STREAMS.values() if s.family == "shop" and s.time == "stat_time_hour"]


def test_all_of_gmv_max_is_what_tiktok_has_also_after_costs_have_fallen(project: Project) -> None:
    names = [s.name for s in ALL]
    before: dict[tuple[str, date], Any] = {}
    for status_all in (False, True):
        project.server.rules.gmv_max_status_all = status_all
        ran = project.import_(objects=names, start_date=f"{FIRST}")
        assert (ran.exit_code, ran.failures, ran.warnings) == (0, [], [])
        for stream in ALL:
            assert project.wrong(stream, start=FIRST) == [], stream.name
            assert project.table(stream), stream.name
        costs = {(r["store_id"], r["stat_time_day"]): r["cost"] for r in project.table("gmv_max_account_report_daily")}
        assert not before or any(costs[key] < cost for key, cost in before.items())
        before = costs
        project.server.world.as_of = project.server.world.now() + timedelta(days=2)
    # What another account holds exclusively is not counted here, nor what GMV Max is not available for.
    counted = {r["store_id"] for r in project.table("gmv_max_account_report_daily")}
    assert len(counted) == 4 < len(project.table("gmv_max_stores")) == 8


def test_the_view_of_spend_keeps_gmv_max_apart_and_adds_both_up(project: Project) -> None:
    objects = ["ad_report_daily", "gmv_max_account_report_daily"]
    products = ["gmv_max_products", "gmv_max_product_report_daily"]
    ran = project.import_(
        objects=[*objects, *products], fields={"ad_report_daily": ["spend"]}, start_date="2026-02-27", views=True
    )
    assert (ran.exit_code, ran.warnings) == (0, [])
    sums: dict[tuple[str, date], list[Any]] = {}
    for place, (stream, column) in enumerate(zip(objects, ("spend", "cost"), strict=True)):
        for row in project.table(stream):
            into = sums.setdefault((row["advertiser_id"], row["stat_time_day"]), [0, 0])
            into[place] += row[column]
    found = rows(project.database, "SELECT * FROM v_spend_with_gmv_max_daily")
    assert {(r["advertiser_id"], r["stat_time_day"]): r["total_spend"] for r in found} == {
        key: ads + shops for key, (ads, shops) in sums.items()
    }
    for row in found:
        ads, shops = sums[row["advertiser_id"], row["stat_time_day"]]
        assert (row["ads_spend"] or 0, row["gmv_max_cost"] or 0) == (ads, shops)
    assert len(found) == len(sums) > 4
    names = {row["item_group_id"]: row["product_name"] for row in project.table("gmv_max_products")}
    found = rows(project.database, "SELECT * FROM v_gmv_max_products_daily")
    assert len(found) == len(project.table("gmv_max_product_report_daily")) > 4
    assert all(row["product_name"] == names[row["item_group_id"]] for row in found)


def test_hours_are_what_tiktok_has(project: Project) -> None:
    assert project.import_(objects=[s.name for s in HOURLY], start_date="2026-02-28").exit_code == 0
    for stream in HOURLY:
        assert project.wrong(stream, start=date(2026, 2, 28)) == []


def test_a_metric_that_tiktok_refuses_is_left_out_and_a_missing_permission_ends_only_its_object(
    project: Project,
) -> None:
    project.server.faults.forbidden.add("gmv_max/video/get")
    project.server.rules.gmv_max_refused = ("net_cost",)
    names = ["gmv_max_videos", "gmv_max_account_report_daily", "gmv_max_campaigns"]
    ran = project.import_(objects=names, start_date=f"{FIRST}")
    assert {f.object for f in ran.failures} == {"gmv_max_videos"}
    assert len([w for w in ran.warnings if "net_cost" in w]) == len(project.server.advertiser_ids)
    rows = project.table("gmv_max_account_report_daily")
    assert {r["net_cost"] for r in rows} == {None}
    stream = STREAMS["gmv_max_account_report_daily"]
    kept = [n for n in rows[0] if n != "net_cost"]
    wanted = [
        row
        for a in project.server.advertiser_ids
        for row in expected(project.server.world, stream, a, kept, start=FIRST)
    ]
    assert differences([{n: r[n] for n in kept} for r in rows], wanted, stream.keys) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"store_ids": []}, "store_ids"),
        ({"store_ids": None}, "store_ids"),
        ({"dimensions": ["item_group_id", "stat_time_day"], "metrics": ["cost"]}, "campaign_ids"),
        ({"dimensions": ["campaign_id", "stat_time_day"]}, "gmv_max_promotion_types"),
        ({"dimensions": ["campaign_id", "ad_id"]}, "grouping"),
        ({"metrics": ["cost", "live_views"]}, "Invalid metric: live_views not support"),
        ({"end_date": "2026-07-30"}, "max time span is 30 days"),
        ({"filtering": {"campaign_statuses": ["STATUS_ALL"]}}, "value is not one of the allowed values"),
        ({"filtering": {"campaign_ids": [str(n) for n in range(101)]}}, "campaign_ids"),
        (
            {
                "dimensions": ["campaign_id", "item_group_id"],
                "metrics": ["product_name"],
                "filtering": {"campaign_ids": ["1"]},
            },
            "Invalid metric: product_name not support",
        ),
        ({"page_size": 1001}, "page_size"),
    ],
)
def test_the_simulated_tiktok_refuses_what_tiktok_refuses(changed: dict[str, Any], said: str, project: Project) -> None:
    client = Client(project.server)
    account = project.server.advertiser_ids[0]
    stores = client.data("gmv_max/store/list", advertiser_id=account)["store_list"]
    asked = {
        "advertiser_id": account,
        "store_ids": [stores[0]["store_id"]],
        "dimensions": ["advertiser_id", "stat_time_day"],
        "metrics": ["cost", "orders"],
        "start_date": "2026-02-20",
        "end_date": "2026-02-26",
        **changed,
    }
    envelope = client.ask("gmv_max/report/get", **{k: v for k, v in asked.items() if v is not None})
    assert envelope["code"] == 40002
    assert said in envelope["message"]
    if not changed.keys() - {"metrics"}:
        good = client.data("gmv_max/report/get", **{**asked, "metrics": ["cost"]})
        assert "store_id" not in json.dumps(good["list"])
