"""One report on several accounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from owox_tiktok.local.tiktok import Faults, World, serve

from .conftest import Client


def test_rows_name_their_account_and_money_has_no_decimals(client: Client, world: World) -> None:
    two = world.advertiser_ids[:2]
    rows = client.rows(advertiser_id=None, advertiser_ids=two, metrics=["spend", "impressions"])
    alone = [row for one in two for row in client.rows(advertiser_id=one, metrics=["spend", "impressions"])]
    assert len(rows) == len(alone)
    for row, other in zip(rows, alone, strict=True):
        assert row["dimensions"] == other["dimensions"]
        assert row["metrics"]["impressions"] == other["metrics"]["impressions"]
        assert row["metrics"]["spend"] == str(int(Decimal(other["metrics"]["spend"])))
    assert {
        (row["metrics"]["advertiser_id"], row["metrics"]["currency"], row["metrics"]["timezone"]) for row in rows
    } == {(one.id, one.currency, one.timezone) for one in world.advertisers[:2]}


def test_without_an_id_the_accounts_are_added_up_and_money_means_nothing(client: Client, world: World) -> None:
    asked: dict[str, Any] = {
        "data_level": "AUCTION_ADVERTISER",
        "dimensions": ["stat_time_day"],
        "metrics": ["spend", "impressions"],
    }
    two = world.advertiser_ids[:2]
    data = client.report(advertiser_id=None, advertiser_ids=two, enable_total_metrics=True, **asked)["data"]
    alone = [client.rows(advertiser_id=one, **asked) for one in two]
    assert [row["metrics"] for row in data["list"]] == [
        {
            "spend": "-",
            "impressions": str(int(one["metrics"]["impressions"]) + int(other["metrics"]["impressions"])),
            "advertiser_id": "0",
            "currency": "0",
            "timezone": "0",
        }
        for one, other in zip(*alone, strict=True)
    ]
    totals = data["total_metrics"]
    assert {totals[name] for name in ("advertiser_id", "currency", "timezone")} == {"-"}
    assert int(totals["impressions"]) == sum(int(row["metrics"]["impressions"]) for row in data["list"])


@pytest.mark.parametrize(("number", "code"), [(5, 0), (6, 40002)])
def test_five_accounts_at_most(make_client: type[Client], number: int, code: int) -> None:
    world = World(advertisers=6, ads=2)
    with serve(world) as server:
        asked: dict[str, Any] = {"advertiser_id": None, "advertiser_ids": world.advertiser_ids[:number]}
        assert make_client(server).report(**asked)["code"] == code


def test_an_account_of_somebody_else_is_refused(client: Client, world: World) -> None:
    assert client.report(advertiser_id=None, advertiser_ids=[world.advertiser_ids[0], "1"])["code"] == 40001


def test_the_ads_of_all_accounts_are_counted_together(world: World, make_client: type[Client]) -> None:
    limit = len(world.advertisers[0].ads) + 1
    with serve(world, faults=Faults(max_ads_per_report=limit)) as server:
        client = make_client(server)
        two = world.advertiser_ids[:2]
        asked: dict[str, Any] = {
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id"],
            "start_date": "2026-06-01",
            "end_date": "2026-06-03",
        }
        alone = client.raw("report/integrated/get", advertiser_id=two[0], **asked)
        together = client.raw("report/integrated/get", advertiser_ids=two, **asked)
        assert "X-Tt-Ads-Throttle" not in alone.headers
        assert "X-Tt-Ads-Throttle" in together.headers
