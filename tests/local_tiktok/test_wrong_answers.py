"""Answers that arrive whole and hold what they must not, and failures of chosen requests."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import KINDS, ON_REQUEST, Fault, Faults, World, serve

from .conftest import Client

REPORT = "report/integrated/get"


def failing(world: World, make_client: type[Client], kind: str, **more: Any) -> tuple[Any, Client]:
    server = serve(world, faults=Faults(at=(Fault(kind, **more),)))
    return server, make_client(server)


def test_none_of_these_comes_by_chance() -> None:
    assert not set(ON_REQUEST) & set(KINDS)
    assert not set(ON_REQUEST) & set(Faults().kinds)
    with pytest.raises(ValueError, match="fire"):
        Faults(at=(Fault("fire"),))


def test_only_the_chosen_requests_fail_and_only_so_often(world: World, make_client: type[Client]) -> None:
    faults = Faults(at=(Fault("http_503", REPORT, page=2, where={"data_level": "AUCTION_AD"}, times=2),))
    with serve(world, faults=faults) as server:
        client = make_client(server)

        def status(**params: Any) -> int:
            asked: dict[str, Any] = {
                "advertiser_id": world.advertiser_ids[0],
                "report_type": "BASIC",
                "data_level": "AUCTION_AD",
                "dimensions": ["ad_id", "stat_time_day"],
                "start_date": "2026-06-01",
                "end_date": "2026-06-03",
                "page_size": 10,
            } | params
            return client.raw(REPORT, **asked).status_code

        assert status(page=1) == 200
        assert status(page=2, data_level="AUCTION_CAMPAIGN", dimensions=["campaign_id"]) == 200
        assert client.raw("ad/get", advertiser_id=world.advertiser_ids[0], page=2).status_code == 200
        assert [status(page=2) for _ in range(4)] == [503, 503, 200, 200]
        assert server.counts["failed"] == 2


def test_a_failure_without_end_is_steered_from_outside(world: World, make_client: type[Client]) -> None:
    with serve(world) as server:
        at = [{"kind": "http_500", "path": "user/info", "times": None}]
        url = f"http://127.0.0.1:{server.port}/_control"
        assert requests.post(url, json={"faults": {"at": at}}, timeout=5).status_code == 200
        client = make_client(server)
        assert [client.raw("user/info").status_code for _ in range(5)] == [500] * 5
        assert requests.post(url, json={"faults": {"at": [{"kind": "fire"}]}}, timeout=5).status_code == 400


def test_a_row_that_goes_between_two_pages_is_missed_by_the_next_page(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "row_gone", page=2)
    with server:
        first = client.report(page_size=20)["data"]
        second = client.report(page_size=20, page=2)["data"]
        again = client.report(page_size=20, page=2)["data"]
        assert second["page_info"]["total_number"] == first["page_info"]["total_number"] - 1
        assert again["page_info"]["total_number"] == first["page_info"]["total_number"]
        assert again["list"][0] not in first["list"] + second["list"], "it slipped to the page before"
        assert second["list"][:-1] == again["list"][1:]


@pytest.mark.parametrize("dimension", ["stat_time_day", "stat_time_hour"])
def test_a_row_of_a_day_that_was_not_asked_for(world: World, make_client: type[Client], dimension: str) -> None:
    server, client = failing(world, make_client, "outside_window")
    with server:
        spoiled, good = (
            client.report(dimensions=["ad_id", dimension], end_date="2026-06-01")["data"] for _ in range(2)
        )
        days = [row["dimensions"][dimension][:10] for row in spoiled["list"]]
        assert days[0] == "2026-05-31"
        assert set(days[1:]) == {"2026-06-01"}
        assert spoiled["page_info"] == good["page_info"]
        assert client.report(dimensions=["ad_id"])["data"]["list"], "without a day there is nothing to spoil"


def test_a_metric_that_was_asked_for_does_not_come(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "missing_metric")
    with server:
        rows = client.report(metrics=["spend", "clicks"])["data"]["list"]
        assert rows
        assert all(set(row["metrics"]) == {"spend"} for row in rows)
        server.faults.missing = "spend"
        rows = client.report(metrics=["spend", "clicks"], page_size=999)["data"]["list"]
        assert all(set(row["metrics"]) == {"clicks"} for row in rows)


@pytest.mark.parametrize(("kind", "value"), [("null_key", None), ("dash_key", "-")])
def test_a_breakdown_without_a_value(world: World, make_client: type[Client], kind: str, value: str | None) -> None:
    asked: dict[str, Any] = {"report_type": "AUDIENCE", "dimensions": ["ad_id", "gender"]}
    server, client = failing(world, make_client, kind, where={"dimensions": "gender"}, times=2)
    with server:
        rows = client.report(**asked)["data"]["list"]
        assert [row["dimensions"]["gender"] for row in rows].count(value) == 1
        server.faults.shared_key = True
        first, second = client.report(**asked)["data"]["list"][:2]
        assert first["dimensions"] == second["dimensions"]
        assert first["dimensions"]["gender"] == value
        assert first["metrics"] != second["metrics"]
        assert client.report()["data"]["list"], "a report without a breakdown is left alone"


def test_an_account_is_named_twice_or_without_being_asked_for(world: World, make_client: type[Client]) -> None:
    one = world.advertiser_ids[0]
    server, client = failing(world, make_client, "advertiser_twice")
    with server:
        rows = client.data("oauth2/advertiser/get", app_id=server.app_id, secret=server.app_secret)["list"]
        assert [row["advertiser_id"] for row in rows].count(one) == 2
        assert [row["advertiser_id"] for row in client.data("advertiser/info", advertiser_ids=[one])["list"]] == [
            one,
            one,
        ]
    server, client = failing(world, make_client, "advertiser_unasked")
    with server:
        rows = client.data("advertiser/info", advertiser_ids=[one])["list"]
        assert len(rows) == 2
        assert rows[0]["advertiser_id"] == one != rows[1]["advertiser_id"]


@pytest.mark.parametrize(("kind", "value"), [("no_zone", ""), ("unknown_zone", "Mars/Olympus_Mons")])
def test_a_time_zone_that_nobody_knows(world: World, make_client: type[Client], kind: str, value: str) -> None:
    server, client = failing(world, make_client, kind)
    with server:
        row = client.data("advertiser/info", advertiser_ids=world.advertiser_ids[:1])["list"][0]
        assert (row["timezone"], row["display_timezone"]) == (value, value)


def body(client: Client, **params: Any) -> bytes:
    return client.raw("ad/get", advertiser_id=client.server.advertiser_ids[0], **params).content


def test_half_an_emoji_in_a_name(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "half_emoji")
    with server:
        data = client.report(metrics=["spend", "ad_name"])["data"]
        assert data["list"][0]["metrics"]["ad_name"].startswith("Sun \ud83c")
        assert b"\\ud83c" in body(client)


def test_bytes_that_are_not_utf8(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "not_utf8")
    with server:
        for one in (body(client), client.raw("user/info").content):
            with pytest.raises(UnicodeDecodeError):
                one.decode()


def test_control_characters_and_escape_sequences_in_a_name(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "control_characters")
    with server:
        name = json.loads(body(client))["data"]["list"][0]["campaign_name"]
        assert all(one in name for one in ("\x1b[31m", "\x1b]0;", "\x07", "\x00", "\x08", "\u202e"))


def test_lists_nested_without_end(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "deep_nesting")
    with server:
        assert b"[" * 10_000 in body(client)
        server.faults.nesting = 5
        assert json.loads(body(client, page_size=5))["code"] == 0


def test_a_list_of_nulls_and_no_data_at_all(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "list_of_nulls")
    with server:
        rows = client.report()["data"]["list"]
        assert rows
        assert set(rows) == {None}
    server, client = failing(world, make_client, "null_data")
    with server:
        assert client.report()["data"] is None


def test_partly_successful_and_maintenance(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "code_20001")
    with server:
        envelope = client.report()
        assert envelope["code"] == 20001
        assert envelope["data"] == client.report()["data"]
        assert server.counts["by_code"] == {"20001": 1, "0": 1}
    server, client = failing(world, make_client, "code_60001")
    with server:
        assert [client.report()["code"] for _ in range(2)] == [60001, 0]


def test_an_answer_that_drips(world: World, make_client: type[Client]) -> None:
    server, client = failing(world, make_client, "drip", path="ad/get", times=None)
    with server:
        server.faults.drip_s, server.faults.drip_bytes = 0.05, 4000
        began = time.perf_counter()
        data = json.loads(body(client, page_size=5))
        assert data["code"] == 0
        assert time.perf_counter() - began >= 0.05
        server.faults.drip_s = 60
        with pytest.raises(requests.exceptions.RequestException):
            client.raw("ad/get", timeout=0.3, advertiser_id=world.advertiser_ids[0])
        began = time.perf_counter()
    assert time.perf_counter() - began < 5, "closing does not wait for what drips"
