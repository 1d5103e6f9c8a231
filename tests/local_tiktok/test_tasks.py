"""Asynchronous reports: create, check, download, cancel."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import Faults, Limits, Rules, Server, World, oracle, serve
from owox_tiktok.local.tiktok.world import KINDS_OF_ADS

from .conftest import AS_OF, Client
from .test_large_accounts import filters

DAYS = date(2026, 6, 1), date(2026, 6, 3)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def world() -> World:
    return World(seed=1, advertisers=2, as_of=AS_OF, hidden_kinds=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(world: World, clock: Clock) -> Iterator[Server]:
    rules = Rules(queue_s=10, process_s=20)
    with serve(world, rules=rules, clock=clock) as server:
        yield server


def post(client: Client, path: str, **body: Any) -> dict[str, Any]:
    body = {"advertiser_id": client.server.advertiser_ids[0]} | body
    response = client.session.post(f"{client.server.url}{path}/", json=body, timeout=10)
    assert response.status_code == 200
    return dict(response.json())


def create(client: Client, **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "report_type": "BASIC",
        "data_level": "AUCTION_AD",
        "dimensions": ["ad_id", "stat_time_day"],
        "metrics": ["spend", "ad_name"],
        "start_date": "2026-06-01",
        "end_date": "2026-06-03",
        "enable_report_title_translation": False,
    }
    return post(client, "report/task/create", **asked | more)


def made(client: Client, **more: Any) -> str:
    envelope = create(client, **more)
    assert envelope["code"] == 0, envelope["message"]
    return str(envelope["data"]["task_id"])


def ask(client: Client, verb: str, task: str) -> requests.Response:
    return client.raw(f"report/task/{verb}", advertiser_id=client.server.advertiser_ids[0], task_id=task)


def status(client: Client, task: str) -> str:
    return str(ask(client, "check", task).json()["data"]["status"])


def rows(client: Client, task: str) -> list[dict[str, str]]:
    response = ask(client, "download", task)
    assert response.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def finished(client: Client, clock: Clock, **more: Any) -> list[dict[str, str]]:
    task = made(client, **more)
    clock.now += 30
    return rows(client, task)


def test_a_task_waits_works_and_has_a_file(client: Client, clock: Clock, world: World) -> None:
    task = made(client)
    seen = []
    for wait in (0, 10, 20):
        clock.now += wait
        seen.append(status(client, task))
        if wait < 20:
            assert ask(client, "download", task).json()["code"] == 40201
    assert seen == ["QUEUING", "PROCESSING", "SUCCESS"]
    found = rows(client, task)
    expected = oracle.report_rows(
        world, world.advertiser_ids[0], "ad", ["ad_id", "stat_time_day"], ["spend", "ad_name"], *DAYS,
        kinds=("ordinary", "promote"),
    )  # fmt: skip
    assert [(r["ad_id"], r["stat_time_day"][:10], Decimal(r["spend"]), r["ad_name"]) for r in found] == [
        (r["ad_id"], f"{r['stat_time_day']}", r["spend"], r["ad_name"]) for r in expected
    ], "deleted ads and Promote are in it without being asked for"


def test_promote_can_be_left_out_of_a_task(client: Client, clock: Clock, world: World) -> None:
    kinds = {ad.id: ad.campaign.kind for ad in world.advertisers[0].ads}

    def found(*origins: str) -> set[str]:
        asked = filters(campaign_system_origins=list(origins)) if origins else []
        return {kinds[row["ad_id"]] for row in finished(client, clock, filtering=asked)}

    assert found() == {"ordinary", "promote"}
    assert found("TT_ADS_PLATFORM") == {"ordinary"}
    assert found("PROMOTE") == {"promote"}
    assert set(KINDS_OF_ADS) - found() == {"top_view"}


def test_a_task_has_no_longest_window_no_cut_and_twenty_thousand_ids(
    client: Client, clock: Clock, world: World
) -> None:
    client.server.faults.max_ads_per_report = 3
    many = [ad.id for ad in world.advertisers[0].ads] + [str(one) for one in range(19_000)]
    found = finished(client, clock, start_date="2026-01-01", end_date="2026-06-14", filtering=filters(ad_ids=many))
    assert len({row["ad_id"] for row in found}) > 20
    assert len({row["stat_time_day"] for row in found}) > 150
    assert create(client, filtering=filters(ad_ids=[str(one) for one in range(20_001)]))["code"] == 40002
    assert create(client, filtering=filters(ad_status=["STATUS_ALL"]))["code"] == 40002


def test_countries_have_full_names_and_headers_are_translated(client: Client, clock: Clock) -> None:
    asked: dict[str, Any] = {"dimensions": ["ad_id", "country_code"], "metrics": ["spend"]}
    found = finished(client, clock, **asked)
    assert set(found[0]) == {"ad_id", "country_name", "spend"}
    assert {"United States", "Germany"} <= {row["country_name"] for row in found}
    translated = finished(client, clock, **asked, enable_report_title_translation=True)
    assert set(translated[0]) == {"Ad ID", "Country Name", "Spend"}


def test_translated_files_show_ages_as_people_read_them(client: Client, clock: Clock) -> None:
    asked: dict[str, Any] = {"report_type": "AUDIENCE", "dimensions": ["ad_id", "age", "gender"], "metrics": ["spend"]}
    plain = finished(client, clock, **asked)
    assert "AGE_18_24" in {row["age"] for row in plain}
    shown = finished(client, clock, **asked, enable_report_title_translation=True)
    assert {"18-24", "55+"} <= {row["Age"] for row in shown}
    assert "female" in {row["Gender"] for row in shown}
    client.server.rules.async_display_values = True
    assert "18-24" in {row["age"] for row in finished(client, clock, **asked)}


@pytest.mark.parametrize(
    "change",
    [
        {"report_type": "AUDIENCE", "dimensions": ["ad_id", "gender"], "metrics": ["reach"]},
        {"report_type": "AUDIENCE", "dimensions": ["ad_id", "country_code"], "metrics": ["result"]},
        {"dimensions": ["ad_id", "country_code"], "metrics": ["complete_payment"]},
        {"metrics": ["billed_cost"]},
        {"metrics": ["native_growth_purchase_roas"]},
        {"report_type": "PLAYABLE_MATERIAL"},
        {"report_type": "TT_SHOP", "data_level": "AUCTION_ADVERTISER", "dimensions": ["advertiser_id"]},
        {"enable_total_metrics": True},
        {"output_format": "PDF"},
        {"file_name": "a/b"},
    ],
)
def test_what_a_task_refuses(client: Client, change: dict[str, Any]) -> None:
    assert create(client, **change)["code"] == 40002


def test_a_download_address_is_good_for_an_hour_and_can_be_asked_for_again(client: Client, clock: Clock) -> None:
    task = made(client, output_format="CSV_DOWNLOAD", file_name="my report")
    clock.now += 30
    data = ask(client, "download", task).json()["data"]
    assert (data["file_name"], data["output_format"]) == ("my report.csv", "CSV_DOWNLOAD")
    assert requests.get(data["download_url"], timeout=5).text.startswith("ad_id,stat_time_day,spend,ad_name")
    clock.now += 3600
    assert requests.get(data["download_url"], timeout=5).status_code == 404
    fresh = ask(client, "download", task).json()["data"]["download_url"]
    assert requests.get(fresh, timeout=5).status_code == 200


def test_a_task_that_fails(world: World, clock: Clock, make_client: type[Client]) -> None:
    with serve(world, clock=clock, faults=Faults(failing_tasks=1)) as server:
        client = make_client(server)
        first, second = made(client), made(client)
        checked = ask(client, "check", first).json()["data"]
        assert checked["status"] == "FAILED"
        assert checked["message"]
        assert ask(client, "download", first).json()["code"] == 40200
        assert ask(client, "check", second).json()["data"] == {"status": "SUCCESS", "message": ""}


def test_only_an_unfinished_task_can_be_canceled(client: Client, clock: Clock) -> None:
    first, second = made(client), made(client)
    assert post(client, "report/task/cancel", task_id=first)["data"]["status"] == "CANCELED"
    assert status(client, first) == "CANCELED"
    assert ask(client, "download", first).json()["code"] == 40200
    clock.now += 30
    assert post(client, "report/task/cancel", task_id=second)["code"] == 40002
    assert status(client, second) == "SUCCESS"


def test_another_token_sees_nothing_of_a_task(client: Client) -> None:
    task = made(client)
    client.server.credentials.others.add("another-token")
    client.session.headers["Access-Token"] = "another-token"
    assert client.ask("user/info")["code"] == 0
    assert ask(client, "check", task).json()["code"] == 40001
    assert post(client, "report/task/cancel", task_id=task)["code"] == 40001


def test_a_task_is_gone_after_thirty_days(client: Client, clock: Clock) -> None:
    task = made(client)
    clock.now += 30 * 86_400 - 1
    assert status(client, task) == "SUCCESS"
    clock.now += 1
    assert ask(client, "check", task).json()["code"] == 40002


def test_tasks_may_not_be_enabled(client: Client) -> None:
    client.server.rules.async_enabled = False
    assert create(client)["code"] == 40118


def test_tasks_are_rate_limited(world: World, clock: Clock, make_client: type[Client]) -> None:
    with serve(world, clock=clock, limits=Limits(tasks_per_second=1)) as server:
        client = make_client(server)
        assert [create(client)["code"] for _ in range(2)] == [0, 40016]
        clock.now += 1
        assert create(client)["code"] == 0


def test_today_is_known_later_than_on_pages(client: Client, clock: Clock, world: World) -> None:
    today = world.today(world.advertisers[0])[0].isoformat()
    asked: dict[str, Any] = {"start_date": today, "end_date": today, "metrics": ["impressions"]}
    hidden = filters(campaign_system_origins=["TT_ADS_PLATFORM"])
    task = finished(client, clock, filtering=hidden, **asked)
    pages = client.rows(filtering=filters(ad_status=["STATUS_ALL"]), **asked)
    assert sum(int(row["impressions"]) for row in task) < sum(int(row["metrics"]["impressions"]) for row in pages)
