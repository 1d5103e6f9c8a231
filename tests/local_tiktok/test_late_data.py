"""Numbers that come late, are corrected the next day, or grow for weeks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from owox_tiktok.local.tiktok import Server, World, oracle, serve

from .conftest import Client
from .test_large_accounts import filters

DAY = date(2026, 6, 10)
ENDED = datetime(2026, 6, 11, 7, 0, tzinfo=UTC)
"""The end of that day in the first account's zone, Los Angeles."""


@pytest.fixture
def world() -> World:
    return World(seed=1, advertisers=1, campaigns=3, as_of=ENDED, late_data=True)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with serve(world) as server:
        yield server


def total(client: Client, name: str, *, hours: float, **params: Any) -> Decimal:
    """The sum of a metric on the day, so many hours after it ended."""
    client.server.world.as_of = ENDED + timedelta(hours=hours)
    asked: dict[str, Any] = {"start_date": f"{DAY}", "end_date": f"{DAY}", "metrics": [name]} | params
    texts = [row["metrics"][name] for row in client.rows(**asked)]
    return sum((Decimal(text) for text in texts if text != "-"), Decimal(0))


def test_people_are_counted_sixteen_hours_after_the_day(client: Client) -> None:
    for name in ("reach", "frequency", "cost_per_1000_reached"):
        assert total(client, name, hours=15.75) == 0
        assert total(client, name, hours=16) > 0
    assert total(client, "impressions", hours=1) > 0


def test_people_of_a_longer_time_are_those_of_the_days_that_are_out(client: Client) -> None:
    asked: dict[str, Any] = {"dimensions": ["ad_id"], "start_date": "2026-06-08"}
    before = total(client, "reach", hours=15, **asked)
    assert 0 < before < total(client, "reach", hours=16, **asked)


@pytest.mark.parametrize("name", ["cash_spend", "voucher_spend"])
def test_cash_and_vouchers_are_known_sixteen_hours_after_the_day(client: Client, name: str) -> None:
    asked: dict[str, Any] = {
        "data_level": "AUCTION_ADVERTISER",
        "dimensions": ["advertiser_id", "stat_time_day"],
    }
    assert total(client, name, hours=15.75, **asked) == 0
    assert total(client, name, hours=16, **asked) > 0


@pytest.mark.parametrize(
    ("split", "hours"), [("gender", 16), ("platform", 16), ("purchase_intention", 24), ("behavior_id", 24)]
)
def test_most_audience_splits_have_no_rows_before_their_time(client: Client, split: str, hours: int) -> None:
    asked: dict[str, Any] = {"report_type": "AUDIENCE", "dimensions": ["ad_id", split, "stat_time_day"]}
    assert total(client, "impressions", hours=hours - 0.25, **asked) == 0
    assert total(client, "impressions", hours=hours, **asked) > 0


def test_countries_and_placements_are_early(client: Client) -> None:
    for split in ("country_code", "placement"):
        asked: dict[str, Any] = {"report_type": "AUDIENCE", "dimensions": ["ad_id", split, "stat_time_day"]}
        assert total(client, "impressions", hours=1, **asked) > 0


def test_yesterday_is_corrected_at_noon_in_utc_and_not_changed_afterwards(client: Client) -> None:
    noon = 5.0  # hours after the day ended
    for name in ("spend", "impressions"):
        early, before, after, later = (total(client, name, hours=h) for h in (1, noon - 0.25, noon, noon + 200))
        assert early == before < after == later


def test_conversions_grow_within_the_window_of_their_ad_group(client: Client, world: World) -> None:
    groups = {group.id: group for group in world.advertisers[0].ad_groups if not group.deleted}
    rows = client.data("adgroup/get", advertiser_id=world.advertiser_ids[0], page_size=100)["list"]
    days = {"ONE_DAY": 1, "SEVEN_DAYS": 7, "FOURTEEN_DAYS": 14, "TWENTY_EIGHT_DAYS": 28}
    windows = {row["adgroup_id"]: days[row["click_attribution_window"]] for row in rows}
    assert set(windows) == set(groups)
    assert set(windows.values()) == {1, 7, 14, 28}
    for group, window in windows.items():
        asked: dict[str, Any] = {
            "data_level": "AUCTION_ADGROUP",
            "dimensions": ["adgroup_id", "stat_time_day"],
            "filtering": filters(adgroup_ids=[group]),
        }
        # A quarter of an hour after the day's end it is one day old already.
        last, final, long_after = (
            total(client, "conversion", hours=24 * age + 20, **asked) for age in (window - 2, window - 1, 40)
        )
        assert last < final == long_after


def test_the_oracle_sees_what_the_pages_show(client: Client, world: World) -> None:
    for hours in (1, 6, 17):
        world.as_of = ENDED + timedelta(hours=hours)
        metrics = ["spend", "reach", "frequency", "conversion"]
        asked = filters(ad_status=["STATUS_ALL"])
        rows = client.rows(metrics=metrics, start_date="2026-06-08", end_date="2026-06-11", filtering=asked)
        expected = oracle.report_rows(
            world,
            world.advertiser_ids[0],
            "ad",
            ["ad_id", "stat_time_day"],
            metrics,
            date(2026, 6, 8),
            date(2026, 6, 11),
        )
        assert [[None if text == "-" else Decimal(text) for text in row["metrics"].values()] for row in rows] == [
            [row[name] for name in metrics] for row in expected
        ]
