"""What the simulated TikTok says of a single video or ad: the seconds of a video, and whether an ad is fatigued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from owox_tiktok.local.tiktok.assets import Row, entity_rows
from owox_tiktok.local.tiktok.reports import report_table
from owox_tiktok.local.tiktok.rules import Refusal, day_of, list_of, object_of, wrong
from owox_tiktok.local.tiktok.switches import Rules
from owox_tiktok.local.tiktok.texts import number
from owox_tiktok.local.tiktok.world import Ad, Advertiser, World, hash64

PATHS: Mapping[str, str] = {"report/video_performance/get": "list", "creative_fatigue/get": "list"}
"""The addresses, each with the place of its rows; both have pages."""
_SECONDS = ("clicks", "conversions", "drop_off", "retain", "ctr", "cvr")
_KNOWN_DAYS = 60


def rows_asked(world: World, advertiser: Advertiser, path: str, params: Mapping[str, str], rules: Rules) -> list[Row]:
    """The rows that answer a question, as they are on the wire; raises Refusal."""
    filters = object_of(params, "filtering")
    if path == "creative_fatigue/get":
        return _fatigue_asked(world, advertiser, params, filters, rules)
    if params.get("report_type") != "VIDEO":
        raise wrong("report_type: Must be one of: VIDEO.")
    asked = filters.get("video_ids")
    if not isinstance(asked, list) or len(asked) != 1:
        raise wrong("filtering: video_ids: Length must be 1.")
    if unknown := [m for m in list_of(params, "metrics_fields") or [] if m not in _SECONDS]:
        raise wrong(f"metrics_fields: {unknown[0]}: Invalid value.")
    return [row for row in video_rows(world, advertiser) if row["info"]["video_id"] == asked[0]]


def video_rows(world: World, advertiser: Advertiser) -> list[Row]:
    """What each second of each video brought; a video that was never in an ad has no row."""
    rows = []
    for video in entity_rows(world, advertiser.id, "videos"):
        seed = hash64(advertiser.seed, "insights", video["video_id"])
        if seed % 7 == 6:
            continue
        seconds = int(video["duration"])
        counts = [hash64(seed, second) % 90 for second in range(seconds)]
        metrics: dict[str, Any] = {
            "clicks": counts,
            "conversions": [count // 9 for count in counts],
            "drop_off": [count // 2 for count in counts],
            "retain": [1000 - 10 * second for second in range(seconds)],
            "ctr": [count / 100 for count in counts],
            "cvr": [0.11 if count else 0 for count in counts],
        }
        rows.append({"info": {"video_id": video["video_id"], "duration": video["duration"]}, "metrics": metrics})
    return rows


def _fatigue_asked(
    world: World, advertiser: Advertiser, params: Mapping[str, str], filters: Mapping[str, Any], rules: Rules
) -> list[Row]:
    if not rules.fatigue_allowed:
        raise Refusal(40118, "This feature is only available to allowlisted apps.")
    ads = [ad for ad in advertiser.ads if ad.id == params.get("ad_id")]
    if not ads:
        raise wrong("ad_id: Missing data for required field.")
    first, end = day_of(filters, "start_date"), day_of(filters, "end_date")
    today = world.today(advertiser)[0]
    if not today - timedelta(days=_KNOWN_DAYS) < first < end:
        raise wrong("filtering: start_date: Must be in the last 60 days, and before end_date.")
    return fatigue_rows(world, ads[0], first, end - timedelta(days=1))


def fatigue_rows(world: World, ad: Ad, first: date, last: date) -> list[Row]:
    """What TikTok says of an ad on each day on which it spent, both days included."""
    advertiser = ad.campaign.advertiser
    metrics = ["spend", "cost_per_conversion"]
    table = report_table(world, advertiser, [ad], "ad", ["ad_id", "stat_time_day"], metrics, first, last)
    rows = []
    for at, day in enumerate(table.days):
        spend, cost = (number(table.numbers[m][at] or 0, table.decimals[m]) for m in metrics)
        tired = hash64(ad.seed, "tired", day) % 100
        found = {
            "has_fatigue": tired > 70,
            "fatigue_index": tired / 100,
            "dnu": (table.numbers["spend"][at] or 0) // 7,
            "dnu_ratio": (100 - tired) / 100,
            "spend": float(spend),
            "cost_per_conversion": float(cost),
            "skan_cost_per_conversion": 0.0,
        }
        rows.append({"adgroup_id": ad.group.id, "ad_id": ad.id, "date": f"{date.fromordinal(day)}", "metrics": found})
    return rows
