"""Limits and failures over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import KINDS, Faults, Limits, Rules, World, run, serve
from owox_tiktok.local.tiktok.faults import FaultState
from owox_tiktok.local.tiktok.limits import Gate
from owox_tiktok.local.tiktok.rules import Refusal

from .conftest import Client


def look(client: Client, **params: Any) -> str:
    """How one request ends: TikTok's code, the HTTP status, or the kind of break."""
    try:
        response = client.raw("report/integrated/get", timeout=1.5, **(asked(client) | params))
    except requests.Timeout:
        return "timeout"
    except requests.exceptions.ChunkedEncodingError as error:
        return "reset" if "reset" in str(error).lower() else "truncated"
    except requests.ConnectionError as error:
        return "reset" if "reset" in str(error).lower() else "dropped"
    if response.status_code != 200:
        return f"{response.status_code} {'html' if '<html>' in response.text else ''}".strip()
    try:
        envelope = response.json()
    except ValueError:
        return "html" if response.text.startswith("<html>") else "cut"
    return str(envelope["code"])


def asked(client: Client) -> dict[str, Any]:
    return {
        "advertiser_id": client.server.advertiser_ids[0],
        "report_type": "BASIC",
        "data_level": "AUCTION_AD",
        "dimensions": ["ad_id", "stat_time_day"],
        "metrics": ["spend", "impressions"],
        "start_date": "2026-06-01",
        "end_date": "2026-06-08",
        "page_size": 50,
    }


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("http_500", "500"),
        ("http_502_html", "502 html"),
        ("http_503", "503"),
        ("http_429", "429"),
        ("code_50000", "50000"),
        ("code_50002", "50002"),
        ("code_51001", "51001"),
        ("code_51021", "51021"),
        ("code_40100", "40100"),
        ("code_40133", "40133"),
        ("code_40016", "40016"),
        ("code_40067", "40067"),
        ("reset", "reset"),
        ("truncated", "truncated"),
        ("cut_json", "cut"),
        ("not_json", "html"),
        ("timeout", "timeout"),
    ],
)
def test_each_kind_of_failure_then_success(world: World, make_client: type[Client], kind: str, seen: str) -> None:
    with serve(world, faults=Faults(kinds=(kind,), fail_first=1)) as server:
        client = make_client(server)
        assert look(client) == seen
        assert look(client) == "0"
        assert server.counts["failed"] == 1


def test_every_kind_is_tested_above() -> None:
    marks = test_each_kind_of_failure_then_success.pytestmark  # type: ignore[attr-defined]
    assert {one[0] for one in marks[0].args[1]} | {"shifted_page"} == set(KINDS)
    assert "timeout" not in Faults().kinds


def test_a_shifted_page_repeats_one_row_and_loses_one(world: World, make_client: type[Client]) -> None:
    faults = Faults(kinds=("shifted_page",))
    with serve(world, faults=faults) as server:
        client = make_client(server)

        def pages() -> list[dict[str, Any]]:
            return [client.data("report/integrated/get", page=page, **asked(client)) for page in (1, 2)]

        true = pages()
        faults.fail_first = 1
        first, second = pages()
        assert first["page_info"]["total_number"] == true[0]["page_info"]["total_number"] + 1
        assert second["list"][0] == true[0]["list"][-1]
        assert len(second["list"]) == len(true[1]["list"])
        assert second["list"][1:] == true[1]["list"][:-1]
        assert pages() == true


def test_chance_failures_end_after_three_and_hit_the_asked_share(world: World, make_client: type[Client]) -> None:
    with serve(world, faults=Faults(rate=1.0, kinds=("http_500",))) as server:
        client = make_client(server)
        assert [look(client) for _ in range(8)] == ["500", "500", "500", "0"] * 2
    state = FaultState(Faults(rate=0.2, seed=5))
    hits = [state.next_kind(f"/{number}", lambda kind: True) for number in range(5000)]
    failed = Counter(kind for kind in hits if kind)
    assert 800 < sum(failed.values()) < 1200
    assert set(failed) == set(Faults().kinds)
    again = FaultState(Faults(rate=0.2, seed=5))
    assert hits == [again.next_kind(f"/{number}", lambda kind: True) for number in range(5000)]


def test_a_retrying_client_gets_every_row_in_the_end(world: World, make_client: type[Client]) -> None:
    kinds = tuple(kind for kind in Faults().kinds if kind != "shifted_page")
    with serve(world) as calm, serve(world, faults=Faults(rate=0.5, kinds=kinds)) as stormy:
        wanted, client = make_client(calm), make_client(stormy)
        for page in range(1, 5):
            for _ in range(4):
                if look(client, page=page) == "0":
                    break
            else:
                pytest.fail("more than three failures in a row")
        assert stormy.counts["failed"] > 0
        stormy.faults.rate = 0
        one = client.data("report/integrated/get", **asked(client))
        assert one == wanted.data("report/integrated/get", **asked(wanted))


def test_fail_first_counts_per_url(world: World, make_client: type[Client]) -> None:
    with serve(world, faults=Faults(fail_first=2, kinds=("http_503",))) as server:
        client = make_client(server)
        assert [look(client) for _ in range(3)] == ["503", "503", "0"]
        assert [look(client, page=2) for _ in range(3)] == ["503", "503", "0"]


def test_qps(world: World, make_client: type[Client]) -> None:
    with serve(world, limits=Limits(qps=3)) as server:
        client = make_client(server)
        answers = [client.ask("user/info") for _ in range(5)]
        assert [one["code"] for one in answers] == [0, 0, 0, 40100, 40100]
        assert answers[3]["message"] == f"App {server.app_id} reaches the QPS limit 3, current QPS is 4."
        assert server.counts["refused"] == 2
        time.sleep(1.05)
        assert client.ask("user/info")["code"] == 0


def test_the_window_slides() -> None:
    now = [0.0]
    gate = Gate(Limits(qps=2), "1", clock=lambda: now[0])

    def allowed(moment: float) -> bool:
        now[0] = moment
        try:
            gate.check_app()
        except Refusal as refusal:
            return refusal.code != 40100
        return True

    # Two in the last second of any window, not two per whole second of the clock.
    assert [allowed(one) for one in (0.9, 0.95, 1.1, 1.89, 1.91, 1.96, 1.97)] == [
        True,
        True,
        False,
        False,
        True,
        True,
        False,
    ]


def test_the_minute_limit_blocks() -> None:
    now = [0.0]
    gate = Gate(Limits(per_minute=3, block_s=300), "77", clock=lambda: now[0])

    def look(moment: float) -> str:
        now[0] = moment
        try:
            gate.check_app()
        except Refusal as refusal:
            return refusal.message
        return ""

    assert [look(one) for one in (0, 10, 20)] == ["", "", ""]
    blocked = "Due to too many requests, requests from App 77 are temporarily restricted."
    assert [look(one) for one in (30, 31, 100, 329)] == [blocked] * 4
    assert [look(one) for one in (331, 332, 333, 334)] == ["", "", "", blocked]


def test_per_advertiser_qps(world: World, make_client: type[Client]) -> None:
    first, second = world.advertiser_ids[:2]
    with serve(world, limits=Limits(per_advertiser_qps=2)) as server:
        client = make_client(server)
        for _ in range(2):  # also when the answer is a kept one
            assert client.ask("ad/get", advertiser_id=first)["code"] == 0
        envelope = client.ask("ad/get", advertiser_id=first)
        assert envelope["code"] == 40133
        assert envelope["message"].startswith(f"Advertiser ({first})'s QPS (3) reaches QPS limit 2 for current path")
        assert client.ask("ad/get", advertiser_id=second)["code"] == 0
        assert client.ask("adgroup/get", advertiser_id=first)["code"] == 0
        assert server.counts["refused"] == 1


def test_latency(world: World, make_client: type[Client]) -> None:
    with serve(world, faults=Faults(latency_s=0.15)) as server:
        client = make_client(server)
        began = time.perf_counter()
        client.ask("user/info")
        assert 0.15 <= time.perf_counter() - began < 1


@pytest.mark.parametrize("code", [40067, 51039])
def test_too_large_windows_stay_too_large(world: World, make_client: type[Client], code: int) -> None:
    faults = Faults(too_large_over_days=4, too_large_code=code)
    with serve(world, faults=faults, rules=Rules(timeout_penalties=False)) as server:
        client = make_client(server)
        assert [look(client) for _ in range(5)] == [str(code)] * 5
        assert look(client, end_date="2026-06-05") == str(code)
        assert look(client, end_date="2026-06-04") == "0"


def test_refused_metrics(world: World, make_client: type[Client]) -> None:
    first, second = world.advertiser_ids[:2]
    faults = Faults(refused_metrics={first: ["clicks", "conversion"]})
    with serve(world, faults=faults) as server:
        client = make_client(server)
        metrics = ["spend", "conversion", "clicks"]
        envelope = client.report(metrics=metrics)
        assert envelope["code"] == 40002
        assert envelope["message"].endswith("Invalid metric fields: ['conversion', 'clicks']")
        assert client.report(metrics=metrics, advertiser_id=second)["code"] == 0
        assert client.report(metrics=["spend"])["code"] == 0
        faults.refused_metrics_unnamed = True
        envelope = client.report(metrics=metrics)
        assert envelope["code"] == 40002
        assert "clicks" not in envelope["message"]


def test_forbidden_accounts_and_paths(world: World, make_client: type[Client]) -> None:
    first, second = world.advertiser_ids[:2]
    faults = Faults()
    with serve(world, faults=faults) as server:
        client = make_client(server)
        assert client.ask("ad/get", advertiser_id=first)["code"] == 0
        faults.forbidden = {first, "file/video/ad/search"}
        assert client.ask("ad/get", advertiser_id=first)["code"] == 40001
        assert client.ask("advertiser/info", advertiser_ids=[second, first])["code"] == 40001
        assert client.ask("ad/get", advertiser_id=second)["code"] == 0
        envelope = client.ask("file/video/ad/search", advertiser_id=second)
        assert envelope["code"] == 40001
        assert envelope["message"] == "advertiser does not grant you /file/video/ad/search/:GET permission"


def test_revoked_and_hanging_after_some_requests(world: World, make_client: type[Client]) -> None:
    with serve(world, faults=Faults(revoked_after=2)) as server:
        client = make_client(server)
        assert [client.ask("user/info")["code"] for _ in range(4)] == [0, 0, 40105, 40105]
    server = serve(world, faults=Faults(hang_after=1)).start()
    client = make_client(server)
    assert client.ask("user/info")["code"] == 0
    with pytest.raises(requests.Timeout):
        client.raw("user/info", timeout=0.3)
    began = time.perf_counter()
    server.close()
    assert time.perf_counter() - began < 2, "closing does not wait for what hangs"


def test_control_from_outside(world: World, make_client: type[Client]) -> None:
    with serve(world) as server:
        base = f"http://127.0.0.1:{server.port}"
        client = make_client(server)

        def control(**values: Any) -> requests.Response:
            return requests.post(f"{base}/_control", json=values, timeout=5)

        assert control(as_of="2026-02-01T00:00:00+00:00").status_code == 200
        assert world.now() == datetime(2026, 2, 1, tzinfo=UTC)
        assert client.report()["data"]["list"] == []
        control(as_of="2026-06-15T12:00:00+00:00")
        assert client.report()["data"]["list"]
        control(faults={"kinds": ["http_503"], "fail_first": 1, "forbidden": [world.advertiser_ids[1]]})
        assert look(client) == "503"
        assert client.server.faults.forbidden == {world.advertiser_ids[1]}
        control(faults={"fail_first": 0}, limits={"qps": 1}, clear_cache=True)
        assert [client.ask("user/info")["code"] for _ in range(2)] == [0, 40100]
        control(limits={"qps": None})
        ad = client.report()["data"]["list"][0]["dimensions"]["ad_id"]
        control(delete={"advertiser_id": world.advertiser_ids[0], "level": "ad", "id": ad})
        assert ad not in {row["dimensions"]["ad_id"] for row in client.report()["data"]["list"]}
        control(revoke=True)
        assert client.ask("user/info")["code"] == 40105
        for bad in ({"faults": {"nonsense": 1}}, {"faults": {"kinds": ["fire"]}}, {"as_of": "2026-01-01"}, {"what": 1}):
            assert control(**bad).status_code == 400
        counts = requests.get(f"{base}/_counts", timeout=5).json()
        assert counts == server.counts
        assert counts["refused"] == 1
        assert counts["failed"] == 1
        assert counts["by_code"]["40105"] == 1
        assert counts["requests"] == len([one for one in server.log if one["code"] != "http_404"])
        assert requests.get(f"{base}/_other", timeout=5).status_code == 404


def test_many_threads(world: World, make_client: type[Client]) -> None:
    with serve(world) as server:
        expected = make_client(server).report()["data"]
        failures: list[object] = []

        def work() -> None:
            client = make_client(server)
            for _ in range(20):
                data = client.report()["data"]
                if data != expected:
                    failures.append(data)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert server.counts == {"requests": 121, "refused": 0, "failed": 0, "by_code": {"0": 121}}


def test_a_kept_answer_is_fast(world: World, make_client: type[Client]) -> None:
    with serve(world) as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"GET /open_api/v1.3/user/info/ HTTP/1.1\r\nHost: x\r\nAccess-Token: {server.token}\r\n\r\n".encode()
        spent = []
        for _ in range(200):
            began = time.perf_counter()
            connection.sendall(head)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
            spent.append(time.perf_counter() - began)
        assert sorted(spent)[100] < 0.005


def test_run_serves_until_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    stop = threading.Event()
    monkeypatch.setattr("owox_tiktok.local.tiktok.server.threading.Event", lambda: stop)

    def ready(url: str) -> None:
        seen.append(requests.get(f"{url}user/info/", timeout=5).json()["code"])
        stop.set()

    run(0, World(seed=3, advertisers=1, ads=2), ready=ready)
    assert seen == [40104]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="fire"):
        Faults(kinds=("fire",))
    with pytest.raises(ValueError, match="at least one"):
        World(ads=0)
