"""report/integrated/get over HTTP: shapes, agreement with the oracle, and every refusal."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import Rules, Server, World, metric_sets, oracle, serve
from owox_tiktok.local.tiktok.catalogue import LEVELS, metric_infos

from .conftest import AS_OF, Client

IDS = {"advertiser": "advertiser_id", "campaign": "campaign_id", "ad_group": "adgroup_id", "ad": "ad_id"}
DATA_LEVEL = {"advertiser": "AUCTION_ADVERTISER", "campaign": "AUCTION_CAMPAIGN"} | {
    "ad_group": "AUCTION_ADGROUP",
    "ad": "AUCTION_AD",
}
STATUS = {"campaign": "campaign_status", "ad_group": "adgroup_status", "ad": "ad_status"}
NO_RELATION = "Conflict occurs. The input params including metrics and dimensions have no relation."


def filters(**values: list[str]) -> list[dict[str, str]]:
    return [{"field_name": n, "filter_type": "IN", "filter_value": json.dumps(v)} for n, v in values.items()]


def typed(row: dict[str, Any]) -> dict[str, Any]:
    """A wire row read the way any careful reader would."""
    found: dict[str, Any] = {}
    for name, text in row["dimensions"].items():
        if name == "stat_time_day":
            assert text.endswith(" 00:00:00")
            found[name] = date.fromisoformat(text[:10])
        elif name == "stat_time_hour":
            found[name] = datetime.fromisoformat(text)
        else:
            found[name] = text
    for name, text in row["metrics"].items():
        kind = metric_infos()[name].kind
        if text == 0 and name == "tt_app_id":
            text = "0"
        assert isinstance(text, str)
        if text == "-":
            found[name] = None
        elif kind in ("money", "rate"):
            found[name] = Decimal(text)
        elif kind == "count":
            found[name] = int(text)
        elif kind == "boolean":
            found[name] = {"true": True, "false": False}[text]
        else:
            found[name] = text
    return found


def keyed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [(name, str(value)) for name, value in row.items()])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        ("BASIC", ["stat_time_day"]),
        ("BASIC", ["stat_time_hour"]),
        ("BASIC", []),
        ("BASIC", ["stat_time_day", "country_code"]),
        ("BASIC", ["stat_time_hour", "country_code"]),
        ("AUDIENCE", ["stat_time_day", "gender", "age"]),
        ("AUDIENCE", ["stat_time_day", "country_code"]),
        ("AUDIENCE", ["platform"]),
        ("AUDIENCE", ["interest_category"]),
    ],
)
def test_the_wire_says_what_the_oracle_says(
    client: Client, world: World, level: str, kind: str, rest: list[str]
) -> None:
    one = world.advertiser_ids[(LEVELS.index(level) + len("".join(rest))) % 3]
    dimensions = [IDS[level], *rest]
    report = "basic" if kind == "BASIC" else "audience"
    country = kind == "BASIC" and "country_code" in rest
    metrics = [
        name
        for name, info in metric_infos().items()
        if level in info.levels
        and report in info.reports
        and (info.by_country or not country or info.group == "attribute")
        and not name.startswith("paid_eng")
        and "consideration" not in name
        and name not in ("cash_spend", "voucher_spend")
        and not (info.group == "native_growth" and "stat_time_hour" in rest)
    ]
    metrics = metrics[:: 1 + len(metrics) // 25]
    first = date(2026, 6, 15) if "stat_time_hour" in rest else date(2026, 6, 13)
    last = date(2026, 6, 15)
    for include in (True, False):
        rows = client.rows(
            advertiser_id=one,
            report_type=kind,
            data_level=DATA_LEVEL[level],
            dimensions=dimensions,
            metrics=metrics,
            start_date=first.isoformat(),
            end_date=last.isoformat(),
            filtering=filters(**{STATUS[level]: ["STATUS_ALL"]}) if include and level in STATUS else None,
        )
        assert rows
        assert all(set(row) == {"dimensions", "metrics"} for row in rows)
        assert all(list(row["dimensions"]) == dimensions and list(row["metrics"]) == metrics for row in rows)
        expected = oracle.report_rows(
            world, one, level, dimensions, metrics, first, last, report_type=kind, include_deleted=include
        )
        if level != "advertiser":
            for row in expected:
                del row["advertiser_id"]
        names = [*dimensions, *metrics]
        assert keyed([{name: typed(row)[name] for name in names} for row in rows]) == keyed(
            [{name: row[name] for name in names} for row in expected]
        )


def test_every_metric_can_be_asked_somewhere(client: Client) -> None:
    for level in LEVELS:
        names = [
            name
            for name, info in metric_infos().items()
            if level in info.levels and not info.daily_only and name not in metric_sets.ONLY_WITH
        ]
        for begin in range(0, len(names), 100):
            envelope = client.report(
                data_level=DATA_LEVEL[level],
                dimensions=[IDS[level], "stat_time_day"],
                metrics=names[begin : begin + 100],
            )
            assert envelope["code"] == 0, envelope["message"]


def test_default_metrics_and_ten_rows_a_page(client: Client) -> None:
    data = client.report(metrics=None, page_size=None)["data"]
    assert len(data["list"]) == 10
    assert set(data["list"][0]["metrics"]) == {"spend", "impressions"}
    assert data["page_info"]["page"] == 1
    assert data["page_info"]["page_size"] == 10
    assert data["page_info"]["total_page"] == -(-data["page_info"]["total_number"] // 10)


def test_pages_hold_every_row_once(client: Client) -> None:
    whole = client.rows()
    small = client.rows(page_size=7)
    assert small == whole
    assert client.report(page=1000)["data"]["list"] == []


def test_lifetime_needs_no_dates(client: Client, world: World) -> None:
    asked: dict[str, Any] = {"dimensions": ["ad_id"], "start_date": None, "end_date": None, "metrics": ["impressions"]}
    rows = client.rows(**asked, query_lifetime=True)
    expected = oracle.report_rows(
        world,
        world.advertiser_ids[0],
        "ad",
        ["ad_id"],
        ["impressions"],
        None,
        None,
        include_deleted=False,
        lifetime=True,
    )
    assert sum(int(row["metrics"]["impressions"]) for row in rows) == sum(row["impressions"] for row in expected)
    assert client.report(**asked)["code"] == 40002
    assert client.report(**asked, lifetime=True)["code"] == 40002, "the old name is ignored"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"start_date": "2026-05-01", "end_date": "2026-05-31"},
            "max time span is 30 days when use stat_time_day",
        ),
        (
            {"dimensions": ["ad_id", "stat_time_hour"], "start_date": "2026-05-01", "end_date": "2026-05-02"},
            "max time span is 1 day when use stat_time_hour",
        ),
        ({"dimensions": ["ad_id"], "start_date": "2025-06-01", "end_date": "2026-06-01"}, "365 days"),
        ({"start_date": "2026-06-04"}, "end_date must not be earlier"),
        ({"start_date": None}, "start_date: Missing data"),
        ({"end_date": "20260603"}, "end_date: Not a valid date"),
        ({"dimensions": ["campaign_id", "stat_time_day"]}, NO_RELATION),
        ({"dimensions": ["ad_id", "adgroup_id"]}, NO_RELATION),
        ({"dimensions": ["ad_id", "stat_time_day", "stat_time_hour"]}, NO_RELATION),
        ({"dimensions": ["ad_id", "stat_time_day", "gender"]}, NO_RELATION),
        ({"dimensions": ["ad_id", "date_start"]}, "Invalid dimensions: ['date_start']"),
        ({"dimensions": ["ad_id", "ad_id"]}, "Duplicate"),
        ({"dimensions": "ad_id"}, "dimensions: Field must be set to array"),
        ({"dimensions": None}, "dimensions: Missing data"),
        ({"metrics": "spend"}, "metrics: Field must be set to array"),
        ({"metrics": []}, "metrics: Missing data"),
        (
            {"metrics": ["spend", "cpr", "viewable_rate"]},
            "Please correct the information in invalid metric fields and try again. "
            "Invalid metric fields: ['cpr', 'viewable_rate']",
        ),
        ({"metrics": ["spend", "cash_spend"]}, "Invalid metric fields: ['cash_spend']"),
        ({"metrics": ["single_image_ctr"]}, "Invalid metric fields: ['single_image_ctr']"),
        (
            {"dimensions": ["ad_id", "stat_time_day", "country_code"], "metrics": ["spend", "paid_engaged_view"]},
            "Invalid metric fields: ['paid_engaged_view']",
        ),
        (
            {
                "dimensions": ["ad_id", "stat_time_day", "country_code"],
                "metrics": ["spend", "ad_name", "vta_conversion"],
            },
            "Invalid metric fields: ['vta_conversion']",
        ),
        ({"metrics": sorted(metric_infos())[:101]}, "metrics: Longer than maximum length 100"),
        (
            {"data_level": "AUCTION_CAMPAIGN", "dimensions": ["campaign_id"], "metrics": ["spend", "ad_name"]},
            "Invalid metric fields: ['ad_name']",
        ),
        (
            {"report_type": "AUDIENCE", "dimensions": ["ad_id", "stat_time_hour", "gender", "age"]},
            NO_RELATION,
        ),
        ({"report_type": "AUDIENCE", "dimensions": ["ad_id", "stat_time_day", "gender", "platform"]}, NO_RELATION),
        ({"report_type": "AUDIENCE", "dimensions": ["ad_id", "stat_time_day"]}, NO_RELATION),
        ({"report_type": "AUDIENCE", "dimensions": ["ad_id", "stat_time_day", "interest_category"]}, NO_RELATION),
        ({"report_type": "AUDIENCE", "dimensions": ["ad_id", "stat_time_day", "device_brand_id"]}, NO_RELATION),
        (
            {"report_type": "AUDIENCE", "dimensions": ["ad_id", "platform"], "metrics": ["spend", "total_purchase"]},
            "Invalid metric fields: ['total_purchase']",
        ),
        (
            {"report_type": "AUDIENCE", "dimensions": ["ad_id", "platform"], "query_lifetime": True},
            "query_lifetime is only supported",
        ),
        ({"query_lifetime": True}, NO_RELATION),
        ({"report_type": "WHATEVER"}, "report_type"),
        ({"report_type": "NONE"}, "report_type"),
        (
            {"report_type": "TT_SHOP", "data_level": "AUCTION_CAMPAIGN", "dimensions": ["campaign_id"]},
            NO_RELATION,
        ),
        (
            {
                "report_type": "TT_SHOP",
                "data_level": "AUCTION_ADVERTISER",
                "dimensions": ["advertiser_id", "stat_time_day"],
            },
            NO_RELATION,
        ),
        ({"report_type": "TT_SHOP", "dimensions": ["ad_id", "country_code"]}, NO_RELATION),
        (
            {
                "report_type": "TT_SHOP",
                "data_level": "AUCTION_CAMPAIGN",
                "dimensions": ["campaign_id", "country_code"],
                "metrics": ["spend", "billed_cost"],
                "filtering": filters(campaign_ids=["1"]),
            },
            "filtering",
        ),
        (
            {
                "report_type": "TT_SHOP",
                "data_level": "AUCTION_CAMPAIGN",
                "dimensions": ["campaign_id", "country_code"],
            },
            "Invalid metric fields: ['impressions']",
        ),
        ({"report_type": "CATALOG", "dimensions": ["ad_id", "country_code"]}, NO_RELATION),
        ({"report_type": "CATALOG", "dimensions": ["ad_id"], "query_lifetime": True}, "query_lifetime"),
        ({"report_type": None}, "report_type"),
        ({"data_level": None}, "data_level"),
        ({"data_level": "RESERVATION_AD"}, "data_level"),
        ({"service_type": "OTHER"}, "service_type"),
        ({"order_field": "ad_name", "metrics": ["spend", "ad_name"]}, "order_field"),
        (
            {"filtering": [{"field_name": "ad_state", "filter_type": "IN", "filter_value": "[]"}]},
            "Invalid field_name: ad_state",
        ),
        ({"filtering": filters(ad_status=["ALL"])}, "ad_status: Invalid value ALL"),
        ({"filtering": filters(ad_ids_v2=["1"])}, NO_RELATION),
        ({"filtering": filters(ad_ids=["1"]), "dimensions": ["ad_id_v2"]}, NO_RELATION),
        ({"dimensions": ["stat_time_day"]}, NO_RELATION),
        ({"dimensions": ["ad_id", "search_terms"]}, NO_RELATION),
        ({"report_type": "AUDIENCE", "dimensions": ["ad_id", "search_terms"]}, NO_RELATION),
        ({"report_type": "AUDIENCE", "dimensions": ["ad_id", "country_code", "province_id"]}, NO_RELATION),
        (
            {
                "report_type": "AUDIENCE",
                "data_level": "AUCTION_ADVERTISER",
                "dimensions": ["interest_category"],
            },
            NO_RELATION,
        ),
        (
            {"report_type": "AUDIENCE", "dimensions": ["ad_id", "hashtag"], "metrics": ["spend", "reach"]},
            "Invalid metric fields: ['reach']",
        ),
        ({"dimensions": ["ad_id", "ad_type"], "metrics": ["reach"]}, "Invalid metric fields: ['reach']"),
        (
            {
                "dimensions": ["ad_id", "stat_time_hour"],
                "metrics": ["native_growth_purchase_roas"],
                "end_date": "2026-06-01",
            },
            "Invalid metric fields: ['native_growth_purchase_roas']",
        ),
        ({"dimensions": ["ad_id", "country_code"], "query_lifetime": True}, NO_RELATION),
        ({"page_size": 1001}, "page_size: Must be between 1 and 1000"),
        ({"page": 0}, "page: Must be greater"),
        ({"page": "one"}, "page: Not a valid integer"),
        ({"order_field": "clicks"}, "order_field"),
        ({"enable_total_metrics": True, "dimensions": ["ad_id", "country_code"]}, "enable_total_metrics"),
        ({"filtering": {"campaign_ids": ["1"]}}, "filtering: Field must be set to array"),
        (
            {"filtering": [{"field_name": "ad_status", "filter_type": "IN", "filter_value": ["STATUS_ALL"]}]},
            "filter_value",
        ),
        (
            {"filtering": [{"field_name": "ad_status", "filter_type": "IN", "filter_value": "STATUS_ALL"}]},
            "must be a JSON array",
        ),
        ({"filtering": filters(campaign_ids=[str(one) for one in range(101)])}, "maximum length 100"),
        ({"advertiser_id": None}, "advertiser_id: Missing data"),
    ],
)
def test_refusals(client: Client, change: dict[str, Any], text: str) -> None:
    envelope = client.report(**change)
    assert envelope["code"] == 40002
    assert text in envelope["message"]
    assert envelope["data"] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"start_date": "2026-05-01", "end_date": "2026-05-30"},
        {"dimensions": ["ad_id"], "start_date": "2025-06-02", "end_date": "2026-06-01"},
        {"metrics": [name for name, one in metric_infos().items() if one.group == "app"][:100]},
        {"report_type": "AUDIENCE", "data_level": "AUCTION_ADVERTISER", "dimensions": ["platform"]},
        {"dimensions": ["ad_id", "country_code", "stat_time_day"], "metrics": ["spend", "ad_name", "campaign_id"]},
        {"filters": "nonsense", "lifetime": "true"},
        {
            "data_level": "AUCTION_ADVERTISER",
            "dimensions": ["advertiser_id", "stat_time_day"],
            "metrics": ["cash_spend", "voucher_spend"],
        },
        {"dimensions": ["ad_id_v2", "stat_time_day"]},
        {"report_type": "CATALOG", "dimensions": ["ad_id_v2", "stat_time_day"]},
        {
            "report_type": "TT_SHOP",
            "data_level": "AUCTION_CAMPAIGN",
            "dimensions": ["campaign_id", "country_code", "stat_time_day"],
            "metrics": ["spend", "billed_cost"],
        },
    ],
)
def test_the_edge_of_a_rule_is_allowed(client: Client, change: dict[str, Any]) -> None:
    envelope = client.report(**change)
    assert envelope["code"] == 0, envelope["message"]
    assert envelope["data"]["list"]


@pytest.mark.parametrize("dimension", ["stat_time_hour", ""])
def test_cash_spend_is_daily_only(client: Client, dimension: str) -> None:
    envelope = client.report(
        data_level="AUCTION_ADVERTISER",
        dimensions=["advertiser_id"] + ([dimension] if dimension else []),
        metrics=["spend", "cash_spend"],
        end_date="2026-06-01",
    )
    assert envelope["code"] == 40002
    assert "['cash_spend']" in envelope["message"]


def test_filters_by_id_and_status(client: Client, world: World) -> None:
    living = oracle.entity_rows(world, world.advertiser_ids[0], "ads", include_deleted=False)
    campaign = living[0]["campaign_id"]

    def found(**values: list[str]) -> set[str]:
        return {row["dimensions"]["ad_id"] for row in client.rows(filtering=filters(**values) if values else None)}

    days = date(2026, 6, 1), date(2026, 6, 3)
    delivering = oracle.report_rows(world, world.advertiser_ids[0], "ad", ["ad_id"], ["spend"], *days)
    everything = {row["ad_id"] for row in delivering}
    alive = everything & {row["ad_id"] for row in living}
    assert found() == alive < everything
    assert found(ad_status=["STATUS_ALL"]) == everything
    assert found(ad_status=["STATUS_DELETE"]) == everything - alive
    assert found(campaign_status=["STATUS_ALL"]) == alive, "only the level of the request counts"
    assert found(campaign_ids=[campaign]) == alive & {row["ad_id"] for row in living if row["campaign_id"] == campaign}
    two = sorted(alive)[:2]
    assert found(ad_ids=two) == set(two)
    assert found(ad_ids=two, campaign_ids=["1"]) == set()


def test_order_and_totals(client: Client) -> None:
    data = client.report(order_field="spend", order_type="ASC", enable_total_metrics=True, metrics=["spend", "cpc"])[
        "data"
    ]
    spends = [Decimal(row["metrics"]["spend"]) for row in data["list"]]
    assert spends == sorted(spends)
    assert Decimal(data["total_metrics"]["spend"]) == sum(spends)
    assert data["total_metrics"]["cpc"] == "-"
    down = client.report(order_field="cpc", metrics=["spend", "cpc"])["data"]["list"]
    costs = [Decimal(row["metrics"]["cpc"]) for row in down if row["metrics"]["cpc"] != "-"]
    assert costs == sorted(costs, reverse=True)


def test_the_past_changes_between_two_reads(client: Client, world: World) -> None:
    world.as_of = datetime(2026, 6, 4, 12, tzinfo=UTC)
    asked: dict[str, Any] = {"metrics": ["impressions", "conversion"]}
    before = client.rows(**asked)
    world.as_of = AS_OF
    after = client.rows(**asked)
    assert sum(int(row["metrics"]["conversion"]) for row in before) < sum(
        int(row["metrics"]["conversion"]) for row in after
    )
    assert [row["metrics"]["impressions"] for row in before] == [row["metrics"]["impressions"] for row in after]


def test_deleting_takes_rows_out_of_a_report(client: Client, world: World) -> None:
    before = {row["dimensions"]["ad_id"] for row in client.rows()}
    gone = max(before)
    world.delete(world.advertiser_ids[0], "ad", gone)
    assert {row["dimensions"]["ad_id"] for row in client.rows()} == before - {gone}


def test_country_by_hour_can_be_refused(world: World, make_client: type[Client]) -> None:
    asked: dict[str, Any] = {"dimensions": ["ad_id", "stat_time_hour", "country_code"], "end_date": "2026-06-01"}
    rules = Rules()
    with serve(world, rules=rules) as server:
        client = make_client(server)
        assert client.report(**asked)["code"] == 0
        rules.country_hourly = False
        assert client.report(**asked)["message"] == NO_RELATION


def test_cached_and_fresh_answers_are_the_same(world: World, make_client: type[Client]) -> None:
    with serve(world) as kept, serve(world, cache=False) as fresh:
        first, again, other = make_client(kept), make_client(kept), make_client(fresh)
        for path, params in (
            ("report/integrated/get", {"report_type": "BASIC", "data_level": "AUCTION_AD", "dimensions": ["ad_id"]}),
            ("ad/get", {}),
        ):
            asked: dict[str, Any] = params | {"advertiser_id": world.advertiser_ids[0]}
            asked |= {"start_date": "2026-06-01", "end_date": "2026-06-02"} if "report" in path else {}
            one, two = first.ask(path, **asked), again.ask(path, **asked)
            assert one == two
            three = other.ask(path, **asked)
            assert three["data"] == one["data"]
            assert three["request_id"] != other.ask(path, **asked)["request_id"]


def test_sandbox(world: World, make_client: type[Client]) -> None:
    with serve(world, sandbox=True) as server, serve(world) as real:
        client = make_client(server)
        assert server.advertiser_ids == world.advertiser_ids[:1]
        assert server.token != real.token
        assert client.ask("ad/get", advertiser_id=world.advertiser_ids[1])["code"] == 40001
        params = {"app_id": server.app_id, "secret": server.app_secret}
        assert client.ask("oauth2/advertiser/get", **params)["code"] == 40014
        one = world.advertiser_ids[0]
        assert client.ask("report/task/check", advertiser_id=one, task_id="1")["code"] == 40014
        refused = client.report(data_level="AUCTION_ADVERTISER", dimensions=["advertiser_id"])
        assert refused["code"] == 40009
        assert refused["message"] == "Unsupported data_level in sandbox environment: AUCTION_ADVERTISER. "
        assert client.ask("file/image/ad/search", advertiser_id=one)["code"] == 0
        server.rules.sandbox_list = "official"
        assert client.ask("file/image/ad/search", advertiser_id=one)["code"] == 40014
        assert client.ask("ad/get", advertiser_id=one)["code"] == 0
        server.rules.sandbox_list = "connector"
        for path in ("campaign/get", "adgroup/get", "ad/get"):
            rows = client.data(path, advertiser_id=world.advertiser_ids[0])["list"]
            assert rows
            assert all("secondary_status" not in row for row in rows)
        assert client.report(order_field="spend")["data"] == client.report()["data"], "order is ignored"
        assert "total_metrics" not in client.report(enable_total_metrics=True)["data"]
        other = {"Access-Token": real.token}
        assert requests.get(f"{server.url}user/info/", headers=other, timeout=5).json()["code"] == 40105


def test_safe_log(client: Client, server: Server) -> None:
    client.report()
    client.ask("oauth2/advertiser/get", app_id=server.app_id, secret=server.app_secret)
    report, accounts = server.log
    assert report["path"] == "report/integrated/get"
    assert report["code"] == "0"
    assert report["page"] == 1
    assert report["bytes"] > 1000
    assert report["params"]["data_level"] == "AUCTION_AD"
    assert accounts["params"] == {"app_id": server.app_id}
    assert server.app_secret not in str(server.log)
    assert server.token not in str(server.log)
