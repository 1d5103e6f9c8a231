"""Reports of accounts with so many ads that TikTok cuts them, and the smaller requests that help."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from owox_tiktok.local.tiktok import Faults, Rules, World, serve

from .conftest import Client

CUT_TEXT = (
    "Number of ad ids is equal or more than 20k, only return the top 20k id's results, "
    "sorting by create time desc order."
)
HEADER = "X-Tt-Ads-Throttle"


def filters(**values: list[str]) -> list[dict[str, str]]:
    return [{"field_name": n, "filter_type": "IN", "filter_value": json.dumps(v)} for n, v in values.items()]


def ask(client: Client, **params: Any) -> tuple[str | None, dict[str, Any]]:
    asked: dict[str, Any] = {
        "advertiser_id": client.server.advertiser_ids[0],
        "report_type": "BASIC",
        "data_level": "AUCTION_AD",
        "dimensions": ["ad_id"],
        "metrics": ["spend"],
        "start_date": "2026-06-01",
        "end_date": "2026-06-08",
        "filtering": filters(ad_status=["STATUS_ALL"]),
        "page_size": 1000,
    } | params
    response = client.raw("report/integrated/get", **{n: v for n, v in asked.items() if v is not None})
    envelope = response.json()
    assert envelope["code"] == 0, envelope["message"]
    return response.headers.get(HEADER), envelope["data"]


def ids(data: dict[str, Any]) -> set[str]:
    return {row["dimensions"]["ad_id"] for row in data["list"]}


def test_only_the_newest_ads_are_left_and_a_header_says_so(world: World, make_client: type[Client]) -> None:
    one = world.advertisers[0]
    newest = {ad.id for ad in sorted(one.ads, key=lambda ad: ad.created)[-7:]}
    with serve(world, faults=Faults(max_ads_per_report=7)) as server:
        client = make_client(server)
        for _ in range(2):  # a kept answer is no different
            header, data = ask(client, enable_total_metrics=True)
            assert header == CUT_TEXT
            assert set() < ids(data) <= newest
            spends = [Decimal(row["metrics"]["spend"]) for row in data["list"]]
            assert Decimal(data["total_metrics"]["spend"]) == sum(spends), "totals are those of the ads that are left"
        header, living = ask(client, filtering=None)
        assert header == CUT_TEXT
        assert ids(living) == {ad.id for ad in one.ads if not ad.deleted} & ids(data)


@pytest.mark.parametrize(("limit", "cut"), [(24, True), (25, False), (None, False)])
def test_an_account_with_exactly_as_many_ads_is_cut_too(
    world: World, make_client: type[Client], limit: int | None, cut: bool
) -> None:
    with serve(world, faults=Faults(max_ads_per_report=limit)) as server:
        header, data = ask(make_client(server))
        assert (header is not None) is cut
        assert len(ids(data)) > 20


@pytest.mark.parametrize("level", ["campaign", "adgroup", "ad"])
def test_filters_by_id_make_the_request_small_enough(world: World, make_client: type[Client], level: str) -> None:
    one = world.advertisers[0]
    wanted = {"campaign": one.campaigns[0].id, "adgroup": one.ad_groups[0].id, "ad": one.ads[0].id}[level]
    with serve(world, faults=Faults(max_ads_per_report=7)) as server:
        client = make_client(server)
        header, data = ask(client, filtering=filters(ad_status=["STATUS_ALL"], **{f"{level}_ids": [wanted]}))
        assert header is None
        assert ids(data) == {ad.id for ad in one.ads if wanted in (ad.id, ad.group.id, ad.campaign.id)}


@pytest.mark.parametrize("name", ["campaign_ids", "adgroup_ids", "ad_ids"])
def test_a_hundred_ids_are_taken_and_one_more_is_refused(client: Client, name: str) -> None:
    many = [str(one) for one in range(101)]
    assert client.report(filtering=filters(**{name: many[:100]}))["code"] == 0
    envelope = client.report(filtering=filters(**{name: many}))
    assert envelope["code"] == 40002
    assert name in envelope["message"]


def test_ids_may_come_without_quotes(client: Client, world: World) -> None:
    ad = world.advertisers[0].ads[0].id
    found = client.rows(filtering=[{"field_name": "ad_ids", "filter_type": "IN", "filter_value": f"[{ad}]"}])
    assert {row["dimensions"]["ad_id"] for row in found} == {ad}


def test_other_levels_are_cut_only_if_the_rules_say_so(world: World, make_client: type[Client]) -> None:
    asked: dict[str, Any] = {
        "data_level": "AUCTION_ADVERTISER",
        "dimensions": ["advertiser_id"],
        "filtering": None,
    }
    rules = Rules()
    with serve(world, faults=Faults(max_ads_per_report=7), rules=rules) as server:
        client = make_client(server)
        header, whole = ask(client, **asked)
        assert header is None
        rules.cut_levels = ("ad", "advertiser")
        header, cut = ask(client, **asked)
        assert header == CUT_TEXT
        assert Decimal(cut["list"][0]["metrics"]["spend"]) < Decimal(whole["list"][0]["metrics"]["spend"])
