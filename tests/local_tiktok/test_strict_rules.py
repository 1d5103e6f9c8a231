"""TikTok's smaller rules, and the switches for what its sources disagree about."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import Limits, Rules, World, oracle, serve

from .conftest import AS_OF, Client
from .test_large_accounts import filters
from .test_tasks import Clock

DAYS = date(2026, 6, 1), date(2026, 6, 3)


def test_a_path_without_its_final_slash_is_not_found(client: Client) -> None:
    response = client.session.get(f"{client.server.url}user/info", timeout=5)
    assert (response.status_code, response.text) == (404, "404 page not found")
    assert "Retry-After" not in client.raw("user/info").headers


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("STATUS_ALL", lambda ad: True),
        ("STATUS_NOT_DELETE", lambda ad: not ad.deleted),
        ("STATUS_DELETE", lambda ad: ad.deleted),
        ("STATUS_DISABLE", lambda ad: not ad.deleted and not ad.enabled),
        ("STATUS_DELIVERY_OK", lambda ad: not ad.deleted and ad.enabled),
    ],
)
def test_every_status_shows_its_own_ads(client: Client, world: World, status: str, wanted: Any) -> None:
    found = {row["dimensions"]["ad_id"] for row in client.rows(filtering=filters(ad_status=[status]))}
    everything = {row["dimensions"]["ad_id"] for row in client.rows(filtering=filters(ad_status=["STATUS_ALL"]))}
    assert found == everything & {ad.id for ad in world.advertisers[0].ads if wanted(ad)}
    assert found


def test_a_campaign_counts_its_deleted_ads_and_a_deleted_campaign_is_hidden(client: Client, world: World) -> None:
    rows = client.rows(data_level="AUCTION_CAMPAIGN", dimensions=["campaign_id"], metrics=["impressions"])
    campaigns = world.advertisers[0].campaigns
    assert {row["dimensions"]["campaign_id"] for row in rows} == {one.id for one in campaigns if not one.deleted}
    ads = client.rows(metrics=["impressions"], filtering=filters(ad_status=["STATUS_ALL"]))
    living = {ad.id for ad in world.advertisers[0].ads if not ad.campaign.deleted}
    assert sum(int(row["metrics"]["impressions"]) for row in rows) == sum(
        int(row["metrics"]["impressions"]) for row in ads if row["dimensions"]["ad_id"] in living
    )


def test_reservation_finds_nothing_and_is_no_error(client: Client) -> None:
    data = client.report(service_type="RESERVATION")["data"]
    assert data["list"] == []
    assert data["page_info"]["total_number"] == 0


def test_rows_of_zeros_where_there_is_no_day(make_client: type[Client]) -> None:
    world = World(seed=1, advertisers=1, as_of=AS_OF, start=date(2026, 5, 20))
    one = world.advertiser_ids[0]
    asked: dict[str, Any] = {"start_date": "2026-05-20", "end_date": "2026-05-22"}
    with serve(world, rules=Rules(zero_rows=True)) as server, serve(world) as plain:
        client, other = make_client(server), make_client(plain)
        rows = client.rows(dimensions=["ad_id"], **asked)
        without = other.rows(dimensions=["ad_id"], **asked)
        zeros = [row for row in rows if row not in without]
        assert zeros
        assert all(row["metrics"] == {"spend": "0.00", "impressions": "0"} for row in zeros)
        younger = {ad.id for ad in world.advertisers[0].ads if ad.created.date() > date(2026, 5, 22)}
        living = {ad.id for ad in world.advertisers[0].ads if not ad.deleted}
        assert younger & living <= {row["dimensions"]["ad_id"] for row in zeros}
        assert client.rows(**asked) == other.rows(**asked), "by day there are none"
        days = date(2026, 5, 20), date(2026, 5, 22)
        for included in (True, False):
            expected = oracle.report_rows(
                world, one, "ad", ["ad_id"], ["spend"], *days, include_deleted=False, zero_rows=included
            )
            assert len(expected) == len(rows if included else without)


def test_interest_category_comes_back_under_another_name(world: World, make_client: type[Client]) -> None:
    asked: dict[str, Any] = {"report_type": "AUDIENCE", "dimensions": ["ad_id", "interest_category"]}
    rules = Rules()
    with serve(world, rules=rules) as server:
        client = make_client(server)
        assert set(client.rows(**asked)[0]["dimensions"]) == {"ad_id", "interest_category"}
        rules.interest_key_v2 = True
        assert set(client.rows(**asked)[0]["dimensions"]) == {"ad_id", "interest_category_v2"}


def test_few_impressions_of_a_search_term_are_not_told(client: Client) -> None:
    rows = client.rows(
        data_level="AUCTION_ADGROUP",
        dimensions=["adgroup_id", "search_terms", "stat_time_day"],
        metrics=["impressions", "spend"],
    )
    given = {row["metrics"]["impressions"] for row in rows}
    assert "<5" in given
    assert min(int(one) for one in given - {"<5"}) >= 5


def test_attributes_of_smart_plus_ads_come_as_lists_with_ad_id_v2(make_client: type[Client]) -> None:
    world = World(seed=1, advertisers=1, as_of=AS_OF, smart_plus=True)
    smart = {ad.id for ad in world.advertisers[0].ads if ad.campaign.smart_plus}
    with serve(world) as server:
        client = make_client(server)
        asked: dict[str, Any] = {"metrics": ["ad_name", "ad_text", "campaign_automation_type"]}
        rows = client.rows(dimensions=["ad_id_v2"], **asked)
        for row in rows:
            ours = row["dimensions"]["ad_id_v2"] in smart
            assert isinstance(row["metrics"]["ad_text_list" if ours else "ad_text"], list if ours else str)
            assert row["metrics"]["campaign_automation_type"] == ("UPGRADED_SMART_PLUS" if ours else "MANUAL")
        assert {row["dimensions"]["ad_id_v2"] in smart for row in rows} == {True, False}
        creatives = client.rows(dimensions=["ad_id"], **asked)
        assert all(isinstance(row["metrics"]["ad_text"], str) for row in creatives)
        assert {row["metrics"]["campaign_automation_type"] for row in creatives} == {
            "MANUAL",
            "UPGRADED_SMART_PLUS_CREATIVE",
        }


def test_a_split_that_covers_too_many_ids_is_refused(world: World, make_client: type[Client]) -> None:
    asked: dict[str, Any] = {"report_type": "AUDIENCE", "dimensions": ["ad_id", "interest_category_tier3"]}
    few = [ad.id for ad in world.advertisers[0].ads][:5]
    with serve(world, rules=Rules(ids_by_split=(("interest_category_tier3", 5),))) as server:
        client = make_client(server)
        assert client.report(**asked)["code"] == 40011
        assert client.report(**asked, filtering=filters(ad_ids=few))["code"] == 0
        assert client.report(**asked | {"dimensions": ["ad_id", "gender"]})["code"] == 0


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("country_metrics", {"dimensions": ["ad_id", "country_code"], "metrics": ["vta_conversion"]}),
        (
            "audience_metrics",
            {"report_type": "AUDIENCE", "dimensions": ["ad_id", "country_code"], "metrics": ["engaged_view"]},
        ),
    ],
)
def test_metrics_that_only_connectors_ask_for(
    world: World, make_client: type[Client], field: str, asked: dict[str, Any]
) -> None:
    for value, code in (("docs", 40002), ("connector", 0)):
        rules = Rules()
        setattr(rules, field, value)
        with serve(world, rules=rules) as server:
            assert make_client(server).report(**asked)["code"] == code


def test_the_sandbox_takes_one_call_a_second_of_each_endpoint(world: World, make_client: type[Client]) -> None:
    clock = Clock()
    with serve(world, sandbox=True, limits=Limits(per_path_qps=1), clock=clock) as server:
        client = make_client(server)
        one = world.advertiser_ids[0]
        assert [client.ask("user/info")["code"] for _ in range(2)] == [0, 40016]
        assert client.ask("ad/get", advertiser_id=one)["code"] == 0
        clock.now += 1
        assert client.ask("user/info")["code"] == 0


def test_every_api_error_has_http_status_200(client: Client) -> None:
    response = requests.get(f"{client.server.url}user/info/", timeout=5)
    assert response.status_code == 200
    assert response.json()["code"] == 40104
    assert response.json()["message"] == (
        "Access token is null, you should set it in http header with key Access-Token."
    )
