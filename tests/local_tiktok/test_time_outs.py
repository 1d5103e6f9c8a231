"""What TikTok does to reports that time out, and to apps that call too often in a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import Fault, Faults, Limits, Rules, Server, World, serve
from owox_tiktok.local.tiktok.limits import Gate
from owox_tiktok.local.tiktok.rules import Refusal

from .conftest import AS_OF, Client
from .test_tasks import Clock

ALWAYS = Fault("code_51001", "report/integrated/get", where={"end_date": "06-0"}, times=None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(world: World, clock: Clock) -> Iterator[Server]:
    with serve(world, faults=Faults(at=(ALWAYS,)), clock=clock) as server:
        yield server


def codes(client: Client, times: int, **params: Any) -> list[int]:
    return [client.report(**params)["code"] for _ in range(times)]


def test_the_same_request_is_blocked_for_ten_minutes_after_three_time_outs(client: Client, clock: Clock) -> None:
    assert codes(client, 5) == [51001, 51001, 51001, 40016, 40016]
    client.server.faults.at = ()
    assert codes(client, 1) == [40016], "it stays blocked although it would be answered now"
    assert codes(client, 1, end_date="2026-06-02") == [0], "a smaller request passes"
    clock.now += 599
    assert codes(client, 1) == [40016]
    clock.now += 1
    assert codes(client, 2) == [0, 0]


def test_three_time_outs_within_more_than_ten_minutes_block_nothing(client: Client, clock: Clock) -> None:
    seen = []
    for _ in range(6):
        seen += codes(client, 1)
        clock.now += 301
    assert seen == [51001] * 6


def test_hanging_reports_count_as_time_outs(world: World, make_client: type[Client], clock: Clock) -> None:
    faults = Faults(at=(Fault("timeout", "report/integrated/get", times=None),), timeout_s=0.0)
    with serve(world, faults=faults, clock=clock) as server:
        client = make_client(server)
        for _ in range(3):
            with pytest.raises(requests.ConnectionError):
                client.report()
        assert codes(client, 1) == [40016]


@pytest.mark.parametrize(("time_outs", "left"), [(9, 12), (10, 5), (20, 1)])
def test_many_time_outs_slow_the_whole_app_down_for_five_minutes(
    client: Client, clock: Clock, time_outs: int, left: int
) -> None:
    for number in range(time_outs):
        clock.now += 0.2
        client.report(page_size=10 + number)
    clock.now += 1
    seen = [client.ask("user/info")["code"] for _ in range(12)]
    assert seen == [0] * left + [40100] * (12 - left)
    clock.now += 300
    assert [client.ask("user/info")["code"] for _ in range(12)] == [0] * 12


def test_thirty_time_outs_leave_no_calls_at_all() -> None:
    clock = Clock()
    gate = Gate(Limits(), "1", clock)
    for number in range(30):  # those under way when the rate fell time out all the same
        gate.note_timeout(f"/{number}")
    for wait in (0, 299):
        clock.now += wait
        with pytest.raises(Refusal, match="QPS limit 0"):
            gate.check_app()
    clock.now += 1
    gate.check_app()


def test_time_outs_spread_over_a_minute_slow_nothing_down(client: Client, clock: Clock) -> None:
    for number in range(20):
        clock.now += 3
        client.report(page_size=10 + number)
    assert [client.ask("user/info")["code"] for _ in range(12)] == [0] * 12


def test_penalties_can_be_switched_off(world: World, make_client: type[Client], clock: Clock) -> None:
    rules = Rules(timeout_penalties=False)
    with serve(world, faults=Faults(at=(ALWAYS,)), rules=rules, clock=clock) as server:
        assert codes(make_client(server), 5) == [51001] * 5


def test_the_limit_of_a_day_blocks_until_midnight_in_utc(world: World, make_client: type[Client]) -> None:
    with serve(world, limits=Limits(per_day=3)) as server:
        client = make_client(server)
        assert [client.ask("user/info")["code"] for _ in range(5)] == [0, 0, 0, 40100, 40100]
        world.as_of = AS_OF + timedelta(hours=11, minutes=59)
        assert client.ask("user/info")["code"] == 40100
        world.as_of = AS_OF + timedelta(hours=12)
        assert world.now().date() == date(2026, 6, 16)
        assert client.ask("user/info")["code"] == 0
