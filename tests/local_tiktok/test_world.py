"""The world's numbers: they follow from the seed, add up, and grow as they should."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from owox_tiktok.local.tiktok import World, oracle
from owox_tiktok.local.tiktok.catalogue import LEVELS, metric_infos
from owox_tiktok.local.tiktok.metrics import definition

AS_OF = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
IDS = {"advertiser": "advertiser_id", "campaign": "campaign_id", "ad_group": "adgroup_id", "ad": "ad_id"}
SUMMABLE = [
    "impressions",
    "clicks",
    "spend",
    "conversion",
    "video_views_p25",
    "complete_payment",
    "total_purchase_value",
]


def sums(rows: list[dict[str, Any]], names: list[str], by: tuple[str, ...] = ()) -> dict[tuple[Any, ...], list[Any]]:
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0] * len(names))
    for row in rows:
        kept = found[tuple(row[name] for name in by)]
        for place, name in enumerate(names):
            kept[place] += row[name] or 0
    return dict(found)


def test_the_seed_decides_everything() -> None:
    def look(seed: int) -> Any:
        world = World(seed=seed, as_of=AS_OF)
        one = world.advertiser_ids[0]
        day = date(2026, 6, 1)
        return oracle.report_rows(world, one, "ad", ["ad_id"], ["spend", "conversion"], day, day)

    assert look(1) == look(1)
    assert look(1) != look(2)


def test_pleasant_names_change_names_and_nothing_else() -> None:
    odd, pleasant = World(as_of=AS_OF, ads=40), World(as_of=AS_OF, ads=40, pleasant_names=True)
    for before, after in zip(odd.advertisers, pleasant.advertisers, strict=True):
        names = [ad.name for ad in after.ads]
        assert len(set(names)) == len(names) == 40
        assert [ad.id for ad in before.ads] == [ad.id for ad in after.ads]
        assert not set(names) & {ad.name for ad in before.ads}
        assert odd.cells(before.ads[0], 1, 10**6) == pleasant.cells(after.ads[0], 1, 10**6)


def test_ids_are_19_digits_and_some_are_equal_under_two_accounts() -> None:
    world = World(as_of=AS_OF)
    assert len(set(world.advertiser_ids)) == 3
    for stream, name in (("campaigns", "campaign_id"), ("ad_groups", "adgroup_id"), ("ads", "ad_id")):
        first, second = (
            {row[name] for row in oracle.entity_rows(world, one, stream)} for one in world.advertiser_ids[:2]
        )
        assert all(len(one) == 19 and one.isdigit() for one in first | second)
        assert first & second
        assert first - second


def test_accounts_differ_in_zone_and_currency() -> None:
    world = World(as_of=AS_OF)
    rows = [oracle.entity_rows(world, one, "advertisers")[0] for one in world.advertiser_ids]
    assert {row["currency"] for row in rows} == {"USD", "EUR", "JPY"}
    assert len({row["display_timezone"] for row in rows}) == 3
    assert rows[0]["timezone"] == "Etc/GMT+8"
    assert rows[0]["display_timezone"] == "America/Los_Angeles"
    assert isinstance(rows[0]["create_time"], int)


@pytest.mark.parametrize("level", LEVELS[:3])
def test_wider_levels_are_sums_of_ads(level: str) -> None:
    world = World(as_of=AS_OF)
    for one in world.advertiser_ids:
        days = date(2026, 5, 20), date(2026, 6, 15)
        ads = oracle.report_rows(world, one, "ad", ["ad_id", "stat_time_day"], SUMMABLE, *days)
        wide = oracle.report_rows(world, one, level, [IDS[level], "stat_time_day"], SUMMABLE, *days)
        assert len(wide) < len(ads)
        assert sums(ads, SUMMABLE, ("stat_time_day",)) == sums(wide, SUMMABLE, ("stat_time_day",))


@pytest.mark.parametrize(
    "split",
    [["gender", "age"], ["country_code"], ["platform"], ["placement"], ["language"], ["ac"], ["gender"], ["ad_type"]],
)
def test_splits_sum_to_the_whole(split: list[str]) -> None:
    world = World(as_of=AS_OF)
    one = world.advertiser_ids[1]
    days = date(2026, 6, 12), date(2026, 6, 15)
    key = ("ad_id", "stat_time_day")
    whole = sums(oracle.report_rows(world, one, "ad", list(key), SUMMABLE, *days), SUMMABLE, key)
    rows = oracle.report_rows(world, one, "ad", [*key, *split], SUMMABLE, *days, report_type="AUDIENCE")
    assert {row["stat_time_day"] for row in rows} == {date(2026, 6, day) for day in range(12, 16)}
    parts = sums(rows, SUMMABLE, key)
    assert parts == {name: values for name, values in whole.items() if values[0]}
    assert all(row["clicks"] <= row["impressions"] for row in rows)


def test_province_falls_short() -> None:
    world = World(as_of=AS_OF)
    one = world.advertiser_ids[0]
    day = date(2026, 6, 1)
    whole = sums(oracle.report_rows(world, one, "ad", ["ad_id"], ["spend"], day, day), ["spend"])[()][0]
    rows = oracle.report_rows(world, one, "ad", ["ad_id", "province_id"], ["spend"], day, day, report_type="AUDIENCE")
    assert 0 < sums(rows, ["spend"])[()][0] < whole


def test_hours_sum_to_the_day_and_today_stops_at_the_clock() -> None:
    world = World(as_of=AS_OF)
    for one in world.advertiser_ids:
        account = world.advertiser(one)
        today, hours = world.today(account)
        for day in (today - timedelta(days=1), today):
            rows = oracle.report_rows(world, one, "ad", ["ad_id", "stat_time_hour"], SUMMABLE, day, day)
            whole = oracle.report_rows(world, one, "ad", ["ad_id"], SUMMABLE, day, day)
            assert sums(rows, SUMMABLE) == sums(whole, SUMMABLE)
            assert max(row["stat_time_hour"].hour for row in rows) == (hours - 1 if day == today else 23)
    assert oracle.report_rows(world, one, "ad", ["ad_id"], ["spend"], today + timedelta(days=1), date(2027, 1, 1)) == []


def test_hours_by_country_sum_to_the_hours() -> None:
    world = World(as_of=AS_OF)
    one, day = world.advertiser_ids[0], date(2026, 6, 15)
    key = ("ad_id", "stat_time_hour")
    rows = oracle.report_rows(world, one, "ad", [*key, "country_code"], SUMMABLE, day, day)
    whole = oracle.report_rows(world, one, "ad", list(key), SUMMABLE, day, day)
    assert sums(rows, SUMMABLE, key) == sums(whole, SUMMABLE, key)


def test_days_are_cut_in_the_zone_of_the_account() -> None:
    # 20:30 UTC on the 15th is the 15th in Los Angeles and already the 16th in Tokyo.
    world = World(as_of=datetime(2026, 6, 15, 20, 30, tzinfo=UTC))
    assert world.today(world.advertisers[0]) == (date(2026, 6, 15), 13)
    assert world.today(world.advertisers[2]) == (date(2026, 6, 16), 5)


def test_a_skipped_hour_has_no_row() -> None:
    world = World(as_of=AS_OF)
    one, day = world.advertiser_ids[0], date(2026, 3, 8)  # the clock jumps from 2 to 3 in Los Angeles
    rows = oracle.report_rows(world, one, "advertiser", ["advertiser_id", "stat_time_hour"], ["spend"], day, day)
    assert {row["stat_time_hour"].hour for row in rows} == set(range(24)) - {2}


def test_conversions_grow_for_seven_days_and_impressions_do_not() -> None:
    world = World(as_of=AS_OF)
    one, day = world.advertiser_ids[1], date(2026, 6, 1)
    seen = []
    for after in range(1, 11):
        world.as_of = datetime(2026, 6, 1 + after, 12, tzinfo=UTC)
        (row,) = oracle.report_rows(
            world, one, "advertiser", ["advertiser_id"], ["impressions", "conversion", "complete_payment"], day, day
        )
        seen.append((row["impressions"], row["conversion"], row["complete_payment"]))
    assert len({one[0] for one in seen}) == 1
    conversions = [one[1] for one in seen]
    assert conversions == sorted(conversions)
    assert conversions[0] < conversions[6]
    assert conversions[6] == conversions[9]
    assert seen[0][2] < seen[6][2]


def test_cash_and_vouchers_make_the_spend() -> None:
    world = World(as_of=AS_OF)
    rows = oracle.report_rows(
        world,
        world.advertiser_ids[2],
        "advertiser",
        ["advertiser_id", "stat_time_day"],
        ["spend", "cash_spend", "voucher_spend"],
        date(2026, 5, 1),
        date(2026, 6, 15),
    )
    assert len(rows) > 30
    assert all(row["cash_spend"] + row["voucher_spend"] == row["spend"] for row in rows)
    assert any(row["voucher_spend"] for row in rows)


def test_every_metric_has_plausible_values() -> None:
    world = World(as_of=AS_OF)
    one = world.advertiser_ids[0]
    infos = metric_infos()
    assert len(infos) > 800
    for level in LEVELS:
        names = [name for name, info in infos.items() if level in info.levels]
        rows = oracle.report_rows(
            world, one, level, [IDS[level], "stat_time_day"], names, date(2026, 6, 1), date(2026, 6, 2)
        )
        assert rows
        types = {"count": int, "money": Decimal, "rate": Decimal, "text": str, "id": str, "boolean": bool}
        for name in names:
            present = [row[name] for row in rows if row[name] is not None]
            assert all(type(value) is types[infos[name].kind] for value in present), name
            assert all(value >= 0 for value in present if isinstance(value, (int, Decimal))), name
            assert not infos[name].additive or present or name == "secondary_goal_result", name
    assert {
        definition(name).decimals for name, info in infos.items() if info.kind == "money" and info.group != "attribute"
    } == {
        2,
        3,
        4,
    }


def test_people_do_not_add_up_and_missing_is_not_zero() -> None:
    world = World(as_of=AS_OF)
    one, day = world.advertiser_ids[0], date(2026, 6, 1)
    metrics = ["reach", "impressions", "conversion", "cost_per_conversion", "cpc", "clicks"]
    ads = oracle.report_rows(world, one, "ad", ["ad_id"], metrics, day, day)
    (account,) = oracle.report_rows(world, one, "advertiser", ["advertiser_id"], metrics, day, day)
    assert account["reach"] < sum(row["reach"] for row in ads)
    everything = oracle.report_rows(
        world, one, "ad", ["ad_id", "stat_time_day"], metrics, date(2026, 3, 1), date(2026, 3, 30)
    )
    assert any(row["cost_per_conversion"] is None and row["conversion"] == 0 for row in everything)
    assert any(row["impressions"] == 0 for row in everything), "a row with nothing in it"


def test_some_days_are_absent() -> None:
    world = World(as_of=AS_OF)
    one = world.advertiser_ids[0]
    rows = oracle.report_rows(
        world, one, "ad", ["ad_id", "stat_time_day"], ["spend"], date(2026, 5, 1), date(2026, 5, 30)
    )
    assert 0 < len(rows) < 24 * 30
    assert not oracle.report_rows(world, one, "ad", ["ad_id"], ["spend"], date(2025, 1, 1), date(2025, 12, 31))


def test_lifetime_is_the_sum_of_all_days() -> None:
    world = World(as_of=AS_OF)
    one = world.advertiser_ids[0]
    life = oracle.report_rows(world, one, "ad", ["ad_id"], SUMMABLE, None, None, lifetime=True)
    days = oracle.report_rows(
        world, one, "ad", ["ad_id", "stat_time_day"], SUMMABLE, date(2025, 1, 1), date(2026, 6, 15)
    )
    assert sums(life, SUMMABLE, ("ad_id",)) == sums(days, SUMMABLE, ("ad_id",))


def test_deleted_counts_at_the_level_of_the_row() -> None:
    world = World(as_of=AS_OF)
    one, day = world.advertiser_ids[0], date(2026, 6, 1)

    def spend(level: str, include_deleted: bool = True) -> Decimal:
        rows = oracle.report_rows(world, one, level, [IDS[level]], ["spend"], day, day, include_deleted=include_deleted)
        return sum((row["spend"] for row in rows), Decimal(0))

    everything = spend("ad")
    assert spend("advertiser", include_deleted=False) == everything
    assert spend("ad", include_deleted=False) < spend("ad_group", include_deleted=False)
    assert spend("ad_group", include_deleted=False) < spend("campaign", include_deleted=False) < everything


def test_deleting_hides_a_campaign_and_what_is_below() -> None:
    world = World(as_of=AS_OF)
    one = world.advertiser_ids[0]
    living = oracle.entity_rows(world, one, "campaigns", include_deleted=False)
    ads = oracle.entity_rows(world, one, "ads", include_deleted=False)
    gone = living[0]["campaign_id"]
    world.delete(one, "campaign", gone)
    assert gone not in {row["campaign_id"] for row in oracle.entity_rows(world, one, "campaigns", False)}
    left = oracle.entity_rows(world, one, "ads", False)
    assert [row["ad_id"] for row in left] == [row["ad_id"] for row in ads if row["campaign_id"] != gone]
    with pytest.raises(KeyError):
        world.delete(one, "ad", "1")


def test_entities_of_later_days_do_not_exist_yet() -> None:
    world = World(as_of=AS_OF)
    one = world.advertiser_ids[0]
    count = len(oracle.entity_rows(world, one, "ads"))
    world.as_of = datetime(2025, 12, 25, tzinfo=UTC)
    assert 0 < len(oracle.entity_rows(world, one, "ads")) < count
    with pytest.raises(ValueError, match="aware"):
        world.as_of = datetime(2026, 1, 1)


def test_names_are_hard_to_store() -> None:
    world = World(advertisers=2, ads=60, as_of=AS_OF)
    text = [row["ad_name"] for one in world.advertiser_ids for row in oracle.entity_rows(world, one, "ads")]
    for part in ("\n", '"', ",", "🌞", "\\", "\t"):
        assert any(part in name for name in text), part
    for first in "=+-@":
        assert any(name.startswith(first) for name in text), first
