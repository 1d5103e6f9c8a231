"""Promote and TopView ads, which TikTok shows only to those who ask for them by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from owox_tiktok.local.tiktok import Rules, Server, World, oracle, serve
from owox_tiktok.local.tiktok.world import KINDS_OF_ADS, ORDINARY, PROMOTE, TOP_VIEW

from .conftest import AS_OF, Client

NO_RELATION = "Conflict occurs. The input params including metrics and dimensions have no relation."
DAYS = date(2026, 6, 1), date(2026, 6, 3)
FILTERS: dict[str, dict[str, list[str]]] = {
    ORDINARY: {},
    PROMOTE: {"campaign_system_origins": ["PROMOTE"]},
    TOP_VIEW: {"buying_type": ["RESERVATION_TOP_VIEW"]},
}
LEVELS = [
    ("AUCTION_CAMPAIGN", "campaign", "campaign_id"),
    ("AUCTION_ADGROUP", "ad_group", "adgroup_id"),
    ("AUCTION_AD", "ad", "ad_id"),
]


@pytest.fixture
def world() -> World:
    return World(seed=1, advertisers=2, as_of=AS_OF, hidden_kinds=True)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with serve(world) as server:
        yield server


def filters(**values: list[str]) -> list[dict[str, str]] | None:
    found = [
        {"field_name": name, "filter_type": "IN", "filter_value": json.dumps(value)} for name, value in values.items()
    ]
    return found or None


def spend(rows: list[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["metrics"]["spend"]) for row in rows), Decimal(0))


def test_a_world_without_hidden_kinds_stays_as_it_was(world: World) -> None:
    plain = World(seed=1, advertisers=2, as_of=AS_OF)
    for one, other in zip(plain.advertisers, world.advertisers, strict=True):
        assert [ad.id for ad in one.ads] == [ad.id for ad in other.ads if ad.campaign.kind == ORDINARY]
        assert {campaign.kind for campaign in other.campaigns} == set(KINDS_OF_ADS)
        for kind in (PROMOTE, TOP_VIEW):
            assert {ad.deleted for ad in other.ads if ad.campaign.kind == kind} == {True, False}


@pytest.mark.parametrize(("data_level", "level", "dimension"), LEVELS)
def test_each_filter_shows_its_own_kind_and_together_they_are_everything(
    client: Client, world: World, data_level: str, level: str, dimension: str
) -> None:
    status = {"campaign": "campaign_status", "ad_group": "adgroup_status", "ad": "ad_status"}[level]
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, asked in FILTERS.items():
        found[kind] = client.rows(
            data_level=data_level,
            dimensions=[dimension, "stat_time_day"],
            filtering=filters(**asked, **{status: ["STATUS_ALL"]}),
        )
        one = world.advertiser_ids[0]
        expected = oracle.report_rows(world, one, level, [dimension, "stat_time_day"], ["spend"], *DAYS, kinds=(kind,))
        assert len(found[kind]) == len(expected) > 0
        assert spend(found[kind]) == sum(row["spend"] for row in expected)
        assert spend(found[kind]) == oracle.total_by_kind(world, one, "spend", *DAYS)[kind]
    everything = oracle.report_rows(world, one, level, [dimension, "stat_time_day"], ["spend"], *DAYS)
    assert len(everything) == sum(map(len, found.values()))
    assert sum(row["spend"] for row in everything) == sum(map(spend, found.values()))


def test_an_account_holds_top_view_unless_the_rules_say_otherwise(world: World, make_client: type[Client]) -> None:
    asked: dict[str, Any] = {"data_level": "AUCTION_ADVERTISER", "dimensions": ["advertiser_id", "stat_time_day"]}
    rules = Rules()
    one = world.advertiser_ids[0]
    total = oracle.total_by_kind(world, one, "spend", *DAYS)
    with serve(world, rules=rules) as server:
        client = make_client(server)
        assert spend(client.rows(**asked)) == total[ORDINARY] + total[TOP_VIEW]
        rules.top_view_at_advertiser = False
        assert spend(client.rows(**asked)) == total[ORDINARY]
        assert spend(client.rows(**asked, filtering=filters(**FILTERS[TOP_VIEW]))) == total[TOP_VIEW]
    for included in (True, False):
        rows = oracle.report_rows(
            world, one, "advertiser", ["advertiser_id"], ["spend"], *DAYS, top_view_at_advertiser=included
        )
        assert rows[0]["spend"] == total[ORDINARY] + (total[TOP_VIEW] if included else 0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"filtering": filters(buying_type=["RESERVATION_TOP_VIEW", "AUCTION"])},
            "The value 'RESERVATION_TOP_VIEW' cannot be combined with other enum values",
        ),
        ({"filtering": filters(buying_type=["TOP_VIEW"])}, "buying_type: Must be one of"),
        ({"filtering": filters(campaign_system_origins=[])}, "campaign_system_origins: Must be one of"),
        ({"filtering": filters(campaign_system_origins=["PROMOTE", "TT_ADS_PLATFORM"])}, NO_RELATION),
        (
            {
                "filtering": filters(campaign_system_origins=["PROMOTE"]),
                "dimensions": ["ad_id", "stat_time_hour"],
                "end_date": "2026-06-01",
            },
            NO_RELATION,
        ),
        (
            {"filtering": filters(campaign_system_origins=["PROMOTE"]), "dimensions": ["ad_id", "country_code"]},
            NO_RELATION,
        ),
        (
            {
                "filtering": filters(campaign_system_origins=["PROMOTE"]),
                "report_type": "AUDIENCE",
                "dimensions": ["ad_id", "language"],
            },
            NO_RELATION,
        ),
        (
            {
                "filtering": filters(campaign_system_origins=["PROMOTE"]),
                "data_level": "AUCTION_ADVERTISER",
                "dimensions": ["advertiser_id"],
            },
            NO_RELATION,
        ),
    ],
)
def test_what_promote_and_top_view_do_not_go_with_is_refused(client: Client, change: dict[str, Any], text: str) -> None:
    envelope = client.report(**change)
    assert envelope["code"] == 40002
    assert text in envelope["message"]


def test_promote_can_be_split_by_audience_but_not_by_everything(client: Client, world: World) -> None:
    rows = client.rows(
        report_type="AUDIENCE",
        dimensions=["ad_id", "gender", "age"],
        filtering=filters(**FILTERS[PROMOTE], ad_status=["STATUS_ALL"]),
    )
    assert {row["dimensions"]["ad_id"] for row in rows} <= {
        ad.id for ad in world.advertisers[0].ads if ad.campaign.kind == PROMOTE
    }
    one = world.advertiser_ids[0]
    assert spend(rows) == oracle.total_by_kind(world, one, "spend", *DAYS)[PROMOTE]
    by_language = oracle.report_rows(world, one, "ad", ["ad_id", "language"], ["spend"], *DAYS, report_type="AUDIENCE")
    promoted = {ad.id for ad in world.advertisers[0].ads if ad.campaign.kind == PROMOTE}
    assert by_language
    assert not promoted & {row["ad_id"] for row in by_language}, "no answer of TikTok's has them"


def test_metrics_that_promote_does_not_have_come_as_zero_and_mean_nothing(client: Client, world: World) -> None:
    metrics = ["spend", "complete_payment", "frequency", "promotion_type"]
    rows = client.rows(metrics=metrics, filtering=filters(**FILTERS[PROMOTE]))
    assert rows
    for row in rows:
        assert row["metrics"] | {"spend": ""} == {
            "spend": "",
            "complete_payment": "0",
            "frequency": "0",
            "promotion_type": "Other",
        }
    expected = oracle.report_rows(
        world, world.advertiser_ids[0], "ad", ["ad_id"], metrics, *DAYS, kinds=(PROMOTE,), include_deleted=False
    )
    assert expected
    assert all(row["complete_payment"] is None and row["frequency"] is None for row in expected)
    ordinary = client.rows(metrics=metrics)
    assert any(row["metrics"]["complete_payment"] not in ("0", "-") for row in ordinary)


@pytest.mark.parametrize("path", ["campaign/get", "adgroup/get", "ad/get"])
def test_lists_name_the_hidden_kinds_only_when_asked(client: Client, world: World, path: str) -> None:
    one = world.advertiser_ids[0]
    stream = {"campaign/get": "campaigns", "adgroup/get": "ad_groups", "ad/get": "ads"}[path]
    key = {"campaign/get": "campaign_id", "adgroup/get": "adgroup_id", "ad/get": "ad_id"}[path]

    def found(**wanted: Any) -> list[dict[str, Any]]:
        wanted |= {"primary_status": "STATUS_ALL"}
        return list(client.data(path, advertiser_id=one, filtering=wanted, page_size=100)["list"])

    filtering: dict[str, dict[str, Any]] = {
        ORDINARY: {},
        PROMOTE: {"campaign_system_origins": ["PROMOTE"]},
        TOP_VIEW: {"buying_types": ["RESERVATION_TOP_VIEW"]},
    }
    ids: dict[str, set[str]] = {}
    for kind, wanted in filtering.items():
        rows = found(**wanted)
        expected = oracle.entity_rows(world, one, stream, kinds=(kind,))
        assert [row[key] for row in rows] == [row[key] for row in expected]
        ids[kind] = {row[key] for row in rows}
        assert {row.get("campaign_system_origin") for row in rows} == {"PROMOTE" if kind == PROMOTE else None}
    assert all(ids.values())
    assert sum(map(len, ids.values())) == len(set.union(*ids.values()))
    assert len(found(**filtering[PROMOTE])[0]) < len(found()[0]), "Promote has fewer fields"
    mixed = {"buying_types": ["RESERVATION_TOP_VIEW", "AUCTION"]}
    assert client.ask(path, advertiser_id=one, filtering=mixed)["code"] == 40002
