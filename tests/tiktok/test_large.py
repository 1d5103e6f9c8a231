"""What is too much for one request: more than 100 metrics, reports that time out, accounts with 20,000 ads and more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from owox_tiktok import app
from owox_tiktok.local.tiktok import Fault, Rules, Server, World, serve
from owox_tiktok.model import Stream
from owox_tiktok.streams import STREAMS
from owox_tiktok.tiktok.client import Bounds
from tests.helpers import NOW, Project, differences, expected
from tests.raw_tiktok import A_DAY, ACCOUNT, Raw, Say, envelope, page, raw_tiktok, row, with_body

REPORT = "report/integrated/get"
TODAY = NOW.date()
EVERY_LEVEL = ("ad", "ad_group", "campaign", "advertiser")


def world(**more: int) -> World:
    how = {"advertisers": 1, "campaigns": 2, "ad_groups": 4, "ads": 8} | more
    return World(seed=4, as_of=NOW, hidden_kinds=True, **how)  # type: ignore[arg-type]


def asked(server: Server, path: str = REPORT) -> list[dict[str, str]]:
    return [e["params"] for e in server.log if e["path"] == path]


def some_metrics(stream: Stream, count: int) -> list[str]:
    """Metrics that TikTok gives by the hour and by the day alike."""
    hourly = STREAMS["ad_report_hourly"].fields
    return [n for n, f in stream.fields.items() if f.origin == "metric" and n in hourly][:count]


# --- more than 100 metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ad_report_daily", "campaign_report_hourly"])
def test_more_metrics_than_one_request_takes_arrive_joined(name: str, tmp_path: Path) -> None:
    stream = STREAMS[name]
    metrics = some_metrics(stream, 250)
    start = TODAY - timedelta(days=1)
    with serve(world()) as server:
        project = Project(
            tmp_path, server, say={"start_date": f"{start}", "objects": [name], "fields": {name: metrics}}
        )
        planned = app.plan(project.settings(NOW), now=NOW, environment=project.environment)
        server.log.clear()
        ran = project.import_()
        assert (ran.exit_code, ran.warnings) == (0, [])
        assert project.wrong(name, start=start) == []
        assert max(len(p["metrics"].split(",")) for p in asked(server)) <= 100
        assert planned[0].requests >= len(asked(server)), "the plan knows of every request"


def test_groups_of_metrics_whose_rows_differ_are_read_again(tmp_path: Path) -> None:
    metrics = some_metrics(STREAMS["ad_report_daily"], 150)
    how = {"start_date": f"{TODAY - timedelta(days=25)}", "fields": {"ad_report_daily": metrics}}
    with serve(world(ads=45)) as server:
        server.faults.at = (Fault("row_gone", REPORT, where={"metrics": metrics[-1]}),)
        project = Project(tmp_path, server, say=how)
        ran = project.import_()
        assert (ran.exit_code, ran.warnings) == (0, [])
        assert server.counts["failed"] > 0
        assert project.wrong("ad_report_daily", start=TODAY - timedelta(days=25)) == []


def test_metrics_by_country_that_a_connector_asks_for_arrive_or_fall_away(tmp_path: Path) -> None:
    name, start = "ad_report_daily_by_country", TODAY - timedelta(days=1)
    fields = {name: ["spend", "total_purchase_value", "onsite_shopping", "impressions"]}
    for country_metrics, missing in (("connector", set()), ("docs", {"total_purchase_value", "onsite_shopping"})):
        with serve(world(), rules=Rules(country_metrics=country_metrics)) as server:
            project = Project(tmp_path, server, country_metrics)
            ran = project.import_(objects=[name], fields=fields, start_date=f"{start}")
            assert ran.exit_code == 0
            assert len(ran.warnings) == bool(missing)
            rows = project.table(name)
            empty = {n for n in rows[0] if all(row[n] is None for row in rows)}
            assert empty == missing
            if not missing:
                assert project.wrong(name, start=start) == []


AUDIENCE_BY_COUNTRY = "ad_audience_report_daily_by_country"


def test_presets_ask_for_no_metric_by_country_that_tiktok_does_not_list_in_audience_reports(tmp_path: Path) -> None:
    start = TODAY - timedelta(days=1)
    fields = {AUDIENCE_BY_COUNTRY: ["default", "performance", "video"]}
    with serve(world(), rules=Rules(audience_metrics="docs")) as server:
        project = Project(tmp_path, server, say={"start_date": f"{start}", "objects": [AUDIENCE_BY_COUNTRY]})
        ran = project.import_(fields=fields)
        assert (ran.exit_code, ran.warnings) == (0, [])
        assert project.wrong(AUDIENCE_BY_COUNTRY, start=start) == []
        assert {e["code"] for e in server.log if e["path"] == REPORT} == {"0"}


def test_what_tiktok_does_not_list_there_can_be_chosen_and_falls_away_where_it_is_refused(tmp_path: Path) -> None:
    start, fields = TODAY - timedelta(days=1), {AUDIENCE_BY_COUNTRY: ["spend", "reach", "engaged_view"]}
    for audience_metrics, missing in (("connector", set()), ("docs", {"reach", "engaged_view"})):
        with serve(world(), rules=Rules(audience_metrics=audience_metrics)) as server:
            project = Project(tmp_path, server, audience_metrics)
            ran = project.import_(objects=[AUDIENCE_BY_COUNTRY], fields=fields, start_date=f"{start}")
            assert ran.exit_code == 0
            assert len(ran.warnings) == bool(missing)
            rows = project.table(AUDIENCE_BY_COUNTRY)
            assert {n for n in rows[0] if all(row[n] is None for row in rows)} == missing
            if not missing:
                assert project.wrong(AUDIENCE_BY_COUNTRY, start=start) == []


@pytest.mark.parametrize("renamed", [True, False])
def test_an_interest_arrives_under_either_of_its_names(renamed: bool, tmp_path: Path) -> None:
    name, start = "campaign_audience_report_lifetime_by_interest", TODAY - timedelta(days=2)
    with serve(world(), rules=Rules(interest_key_v2=renamed)) as server:
        project = Project(tmp_path, server)
        ran = project.import_(objects=[name], start_date=f"{start}")
        assert (ran.exit_code, ran.warnings) == (0, [])
        assert project.table(name)
        assert project.wrong(name, start=start) == []


# --- too much for TikTok ----------------------------------------------------------------------------------------------


PATIENT = Bounds(first_wait_s=0.001, longest_wait_s=0.001)


CAMPAIGNS = {"1": ["11", "12"], "2": ["21", "22"]}
AD_GROUPS = {group: [f"{group}1", f"{group}2"] for groups in CAMPAIGNS.values() for group in groups}
ADS = [ad for ads in AD_GROUPS.values() for ad in ads]


def filtered(request: BaseHTTPRequestHandler) -> tuple[dict[str, list[str]], list[str]]:
    """A request's parameters, and the ids of ads that its filters leave."""
    asked = parse_qs(urlsplit(request.path).query)
    ads = ADS
    for one in json.loads(asked["filtering"][0]):
        if one["field_name"].endswith("_ids"):
            ids = tuple(json.loads(one["filter_value"]))
            assert len(ids) <= 100
            ads = [ad for ad in ads if ad.startswith(ids)]
    return asked, ads


def listing(name: str, of: list[str] | dict[str, list[str]]) -> Say:
    """A list, or the part of it that belongs to the parents that are asked for."""

    def say(request: BaseHTTPRequestHandler) -> None:
        wanted = json.loads(parse_qs(urlsplit(request.path).query)["filtering"][0])
        parents: list[str] = next((v for k, v in wanted.items() if k.endswith("_ids")), [])
        ids = of if isinstance(of, list) else [one for parent in parents for one in of[parent]]
        with_body(page(*({name: one} for one in ids)))(request)

    return say


@contextmanager
def tree(report: Say) -> Iterator[Raw]:
    """A TikTok with two campaigns of two ad groups of two ads, that answers reports as the test sets it."""
    with raw_tiktok() as raw:
        raw.answer("report/integrated/get", report)
        raw.answer("campaign/get", listing("campaign_id", list(CAMPAIGNS)))
        raw.answer("adgroup/get", listing("adgroup_id", CAMPAIGNS))
        raw.answer("ad/get", listing("ad_id", AD_GROUPS))
        yield raw


@pytest.mark.parametrize(("most", "metrics"), [(4, 2), (2, 2), (1, 2), (1, 1)])
def test_a_report_of_one_day_that_times_out_is_asked_for_in_smaller_parts_and_never_a_third_time(
    most: int, metrics: int, tmp_path: Path
) -> None:
    def report(request: BaseHTTPRequestHandler) -> None:
        asked, ads = filtered(request)
        names = json.loads(asked["metrics"][0])
        if len(ads) > most or len(names) > metrics:
            return with_body(envelope({}, 51001))(request)
        rows = [row(ad) for ad in ads]
        return with_body(page(*({**r, "metrics": {m: r["metrics"][m] for m in names}} for r in rows)))(request)

    with tree(report) as raw:
        ran = raw.import_(tmp_path, bounds=PATIENT, end_date=f"{A_DAY}")
        queries = [one for one in raw.asked if "/report/" in one]
    assert (ran.exit_code, ran.failures) == (0, [])
    assert ran.finished.rows == {"ad_report_daily": len(ADS)}
    assert max(queries.count(one) for one in queries) <= 2


@pytest.mark.parametrize(
    "name", ["ad_audience_report_lifetime_by_interest_tier3", "ad_audience_report_daily_by_platform"]
)
@pytest.mark.parametrize("most", [40, 5, 1])
def test_a_split_that_covers_too_many_ids_is_read_by_fewer_of_them(name: str, most: int, tmp_path: Path) -> None:
    start = TODAY - timedelta(days=2)
    split = STREAMS[name].dimensions[-1]
    with serve(world(ads=14), rules=Rules(ids_by_split=((split, most),))) as server:
        project = Project(tmp_path, server)
        how: dict[str, Any] = {"objects": [name], "fields": {name: ["spend", "impressions"]}, "start_date": f"{start}"}
        (planned,) = app.plan(project.settings(NOW, **how), now=NOW, environment=project.environment)
        assert planned.problem == ""
        server.log.clear()
        ran = project.import_(**how)
        assert (ran.exit_code, ran.failures) == (0, [])
        assert project.wrong(name, start=start) == []
        texts = [str(params) for params in asked(server)]
        assert len(texts) == len(set(texts)), "what was too many once is not asked for again"


# --- 20,000 ads and more ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("ad_report_daily", 2), ("ad_group_report_daily", 4)])
def test_below_one_campaign_a_cut_report_goes_on_by_ad_groups_and_ads(name: str, most: int, tmp_path: Path) -> None:
    start = TODAY - timedelta(days=1)
    with serve(world(), rules=Rules(cut_levels=EVERY_LEVEL)) as server:
        server.faults.max_ads_per_report = most
        project = Project(tmp_path, server)
        ran = project.import_(objects=[name], start_date=f"{start}")
        assert (ran.exit_code, ran.failures) == (0, [])
        assert project.wrong(name, start=start) == []
        filters = " ".join(p.get("filtering", "") for p in asked(server))
    assert "adgroup_ids" in filters
    assert ("ad_ids" in filters) == (name == "ad_report_daily")


def test_a_campaign_that_stays_cut_is_read_by_an_asynchronous_report_but_for_today(tmp_path: Path) -> None:
    start = TODAY - timedelta(days=6)
    how = {"start_date": f"{start}", "objects": ["campaign_report_daily"]}
    fields = {"campaign_report_daily": ["campaign_name", "spend", "reach", "ctr"]}
    with serve(
        World(seed=4, advertisers=1, campaigns=2, ads=8, as_of=NOW), rules=Rules(cut_levels=EVERY_LEVEL)
    ) as server:
        server.faults.max_ads_per_report = 4
        project = Project(tmp_path, server, say=how | {"fields": fields})
        ran = project.import_()
        assert ran.exit_code == 1
        assert "days that are over" in ran.failures[0].message
        rows = project.table("campaign_report_daily")
        wanted = expected(
            server.world,
            STREAMS["campaign_report_daily"],
            server.advertiser_ids[0],
            list(rows[0]),
            start=start,
            last=TODAY - timedelta(days=1),
        )
        assert differences(rows, wanted, STREAMS["campaign_report_daily"].keys) == []
        assert [e for e in server.log if e["path"] == "report/task/create"]


def test_where_tasks_are_not_enabled_the_failure_says_so(tmp_path: Path) -> None:
    rules = Rules(cut_levels=EVERY_LEVEL, async_enabled=False)
    with serve(World(seed=4, advertisers=1, campaigns=2, ads=8, as_of=NOW), rules=rules) as server:
        server.faults.max_ads_per_report = 4
        project = Project(tmp_path, server)
        ran = project.import_(objects=["campaign_report_daily"], start_date=f"{TODAY - timedelta(days=2)}")
        assert "40118" in ran.failures[0].message
        assert "not enabled asynchronous reports" in ran.failures[0].message
        assert len([e for e in server.log if e["path"] == "report/task/create"]) == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_an_accounts_own_report_never_fails_for_its_size(enabled: bool, tmp_path: Path) -> None:
    start, name = TODAY - timedelta(days=3), "advertiser_report_daily"
    fields = ["spend", "impressions", "reach", "ctr"]
    rules = Rules(cut_levels=EVERY_LEVEL, async_enabled=enabled)
    with serve(World(seed=4, advertisers=1, campaigns=4, ads=8, as_of=NOW, hidden_kinds=True), rules=rules) as server:
        server.faults.max_ads_per_report = 6
        project = Project(tmp_path, server)
        ran = project.import_(objects=[name], fields={name: fields}, start_date=f"{start}")
        assert (ran.exit_code, ran.failures) == (0, [])
        assert any("sum of its campaigns" in text and "reach" in text for text in ran.warnings)
        rows = project.table(name)
        kept = [n for n in rows[0] if n not in ("reach", "ctr")]
        wanted = expected(server.world, STREAMS[name], server.advertiser_ids[0], kept, start=start)
        assert differences([{n: r[n] for n in kept} for r in rows], wanted, STREAMS[name].keys) == []
        assert len(rows) == 4
        given = {row["stat_time_day"] for row in rows if row["reach"] is not None}
        assert given == (
            {row["stat_time_day"] for row in rows} - {max(r["stat_time_day"] for r in rows)} if enabled else set()
        )
        assert sum(row["spend"] for row in rows) > Decimal(0)


@pytest.mark.parametrize("held", [True, False])
def test_the_sum_of_campaigns_holds_top_view_exactly_if_the_accounts_own_report_does(
    held: bool, tmp_path: Path
) -> None:
    names, start = (
        ["advertiser_report_daily", "advertiser_audience_report_daily_by_platform"],
        TODAY - timedelta(days=3),
    )
    fields = {name: ["spend", "impressions"] for name in names}
    rules = Rules(cut_levels=EVERY_LEVEL, async_enabled=False, top_view_at_advertiser=held)
    with serve(World(seed=4, advertisers=2, campaigns=4, ads=8, as_of=NOW, hidden_kinds=True), rules=rules) as server:
        server.faults.max_ads_per_report = 6
        ran = Project(tmp_path, server).import_(objects=names, fields=fields, start_date=f"{start}")
        assert (ran.exit_code, ran.failures) == (0, [])
        for name in names:
            wanted = [
                row
                for account in server.advertiser_ids
                for row in expected(
                    server.world,
                    STREAMS[name],
                    account,
                    ["advertiser_id", *STREAMS[name].dimensions[1:], *fields[name]],
                    start=start,
                    top_view_at_advertiser=held,
                )
            ]
            stored = [{n: row[n] for n in wanted[0]} for row in Project(tmp_path, server).table(name)]
            assert differences(stored, wanted, STREAMS[name].keys) == []
        compared = [p for p in asked(server) if p.get("query_lifetime") == "true"]
        assert sorted(p["advertiser_id"] for p in compared) == sorted(server.advertiser_ids), "once per account"


def test_where_tiktok_refuses_the_comparison_the_warning_says_that_top_view_is_in_the_sum(tmp_path: Path) -> None:
    rules = Rules(cut_levels=EVERY_LEVEL, async_enabled=False)
    with serve(World(seed=4, advertisers=1, campaigns=4, ads=8, as_of=NOW, hidden_kinds=True), rules=rules) as server:
        server.faults.max_ads_per_report = 6
        server.faults.at = (Fault("code_40002", REPORT, where={"query_lifetime": "true"}, times=None),)
        project = Project(tmp_path, server)
        name, start = "advertiser_report_daily", TODAY - timedelta(days=3)
        ran = project.import_(objects=[name], fields={name: ["spend", "impressions"]}, start_date=f"{start}")
        assert (ran.exit_code, ran.failures) == (0, [])
        assert any("TopView ads are in it" in text for text in ran.warnings)
        assert project.wrong(name, start=start) == []


def test_an_account_without_top_view_is_not_compared(tmp_path: Path) -> None:
    rules = Rules(cut_levels=EVERY_LEVEL, async_enabled=False)
    with serve(World(seed=4, advertisers=1, campaigns=4, ads=8, as_of=NOW), rules=rules) as server:
        server.faults.max_ads_per_report = 6
        name, start = "advertiser_report_daily", TODAY - timedelta(days=3)
        ran = Project(tmp_path, server).import_(objects=[name], fields={name: ["spend"]}, start_date=f"{start}")
        assert any("sum of its campaigns" in text for text in ran.warnings)
        assert not [p for p in asked(server) if p.get("query_lifetime") == "true"]


def test_parts_that_lack_a_row_of_the_cut_report_fail_in_words(tmp_path: Path) -> None:
    def report(request: BaseHTTPRequestHandler) -> None:
        _, ads = filtered(request)
        if ads == ADS:  # the ad "9" belongs to a campaign that the list does not name
            with_body(page(row("9"), row(ADS[-1])), X_Tt_Ads_Throttle="20k")(request)
        else:
            with_body(page(*map(row, ads)))(request)

    with tree(report) as raw:
        ran = raw.import_(tmp_path, end_date=f"{A_DAY}")
    assert ran.exit_code == 1
    assert "1 of the cut report's rows are not in its parts" in ran.failures[0].message


BACK = "2025-11-02"
"""A day on which clocks are set back in Los Angeles: the hour from 1 to 2 comes twice."""


@pytest.mark.parametrize("lost", [False, True])
def test_an_hour_that_comes_twice_must_come_twice_in_the_parts_of_a_cut_report(lost: bool, tmp_path: Path) -> None:
    def hour(ad: str, number: int) -> dict[str, object]:
        dimensions = {"ad_id": ad, "stat_time_hour": f"{BACK} {number:02}:00:00"}
        return {"dimensions": dimensions, "metrics": {"ad_name": "An ad", "spend": "1.50"}}

    def report(request: BaseHTTPRequestHandler) -> None:
        _, ads = filtered(request)
        cut = len(ads) > 2
        hours = (0, 1, 2) if lost and not cut else (0, 1, 1, 2)
        rows = [hour(ad, number) for ad in ads[-2:] for number in hours]
        header: dict[str, Any] = {"X_Tt_Ads_Throttle": "20k"} if cut else {}
        with_body(page(*rows), **header)(request)

    with tree(report) as raw:
        raw.answer("advertiser/info", envelope({"list": [ACCOUNT | {"display_timezone": "America/Los_Angeles"}]}))
        name = "ad_report_hourly"
        fields = {name: ["ad_name", "spend"]}
        ran = raw.import_(tmp_path, objects=[name], fields=fields, start_date=BACK, end_date=BACK)
    if lost:
        assert "4 of the cut report's rows are not in its parts" in ran.failures[0].message
    else:
        assert (ran.exit_code, ran.failures) == (0, [])
        assert ran.finished.rows == {name: 3 * len(ADS)}
