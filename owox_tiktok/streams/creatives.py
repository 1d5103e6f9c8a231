"""Reports on creatives that have addresses of their own: on materials, and what is said of a single video or ad."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import NamedTuple

from owox_tiktok.model import Batch, Field, Kind, Listing, Stream
from owox_tiktok.streams.common import ADVERTISER_ID, CURRENCY, listed_fields


class _Report(NamedTuple):
    name: str
    title: str
    description: str
    path: str
    keys: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    info: tuple[str, ...] = ()
    page_size: int = 100
    max_days: int | None = 1
    each: str = ""


_MATERIAL = ("main_material_type", "main_material_name")
_INFO = ("material_id", "video_id", "image_id", "num_ads", "total_active_days", "related_ad_ids", "adgroup_number",
         "related_adgroup_ids")  # fmt: skip

_REPORTS = (
    _Report("smart_plus_material_report_daily", "Smart+ material report daily",
            "Results of each material in each Upgraded Smart+ ad, a row per day; each day is a request",
            "smart_plus/material_report/overview/", ("stat_time_day", "smart_plus_ad_id", "main_material_id"),
            ("smart_plus_ad_id", "main_material_id"), _MATERIAL),
    _Report("smart_plus_material_breakdown_daily", "Smart+ material breakdown daily",
            "Results of each material over all Upgraded Smart+ ads, a row per day",
            "smart_plus/material_report/breakdown/", ("stat_time_day", "main_material_id"),
            ("main_material_id", "stat_time_day"), _MATERIAL, max_days=30),
    _Report("creative_report_daily", "Creative report daily",
            "Results of each video and image, deleted ones too, a row per day; each day is two requests",
            "creative/report/get/", ("stat_time_day", "material_type", "material_id"), (), _INFO, 1000,
            each="material type"),
    _Report("creative_report_lifetime", "Creative report lifetime",
            "Results of each video and image over its whole life, deleted ones too", "creative/report/get/",
            ("material_type", "material_id"), (), _INFO, 1000, None, "material type"),
)  # fmt: skip


def _fields(report: _Report) -> Mapping[str, Field]:
    fields = {n: _ours(f, report) for n, f in listed_fields()[report.name].items()}
    return {**fields, "advertiser_id": ADVERTISER_ID, "currency": CURRENCY}


def _ours(field: Field, report: _Report) -> Field:
    """Return the field; a day that TikTok's rows do not name is that of the question."""
    if field.name != "stat_time_day" or "stat_time_day" in report.dimensions:
        return field
    return Field(field.name, Kind.DAY, field.description, origin="ours")


def _stream(report: _Report) -> Stream:
    return Stream(
        name=report.name,
        family="creatives",
        title=report.title,
        description=report.description,
        path=report.path,
        verb="replace",
        keys=("advertiser_id", *report.keys),
        build_fields=cache(partial(_fields, report)),
        default=("*",),
        kind=Listing(dimensions=report.dimensions, info=report.info, each=report.each),
        page_size=report.page_size,
        time="stat_time_day" if report.max_days else None,
        max_days=report.max_days,
        in_sandbox=False,
    )


def creative_reports() -> Iterable[Stream]:
    """Return the reports on creatives."""
    return map(_stream, _REPORTS)


# --- one request per video or ad --------------------------------------------------------------------------------------

_SECONDS = ("clicks", "conversions", "drop_off", "retain", "ctr", "cvr")
_FATIGUE = ("has_fatigue", "fatigue_index", "dnu", "dnu_ratio", "spend", "cost_per_conversion",
            "skan_cost_per_conversion")  # fmt: skip
FATIGUE_DAYS = 60


def _own_fields(name: str) -> Mapping[str, Field]:
    return {**listed_fields()[name], "advertiser_id": ADVERTISER_ID}


def creative_insights() -> Iterable[Stream]:
    """Return what TikTok is asked for one by one: the seconds of each video, the fatigue of each ad."""
    yield Stream(
        name="video_insights",
        family="creatives",
        title="Video insights",
        description="Clicks, conversions and viewers in each second of a video over its life, in UTC; a request per "
        "video, so not among what is usually imported",
        path="report/video_performance/get/",
        verb="upsert",
        keys=("advertiser_id", "video_id"),
        build_fields=cache(partial(_own_fields, "video_insights")),
        default=("*",),
        kind=Listing(
            lifted={"video_id": "info.video_id", "duration": "info.duration"} | {n: f"metrics.{n}" for n in _SECONDS},
            batch=Batch("videos", "video_id", "filtering.video_ids", 1),
            asks={"report_type": "VIDEO", "metrics_fields": json.dumps(_SECONDS)},
        ),
        page_size=500,
        in_sandbox=False,
    )
    yield Stream(
        name="creative_fatigue",
        family="creatives",
        title="Creative fatigue",
        description=f"Whether people are tired of an ad, by day, of the last {FATIGUE_DAYS} days; for apps that TikTok "
        "has enabled for it. A request per ad, so not among what is usually imported",
        path="creative_fatigue/get/",
        verb="replace",
        keys=("advertiser_id", "stat_time_day", "ad_id"),
        build_fields=cache(partial(_with_currency, "creative_fatigue")),
        default=("*",),
        kind=Listing(
            lifted={"stat_time_day": "date"} | {n: f"metrics.{n}" for n in _FATIGUE},
            batch=Batch("ads", "ad_id", "ad_id", 1, alone=True, living=True),
            days_in=("filtering.start_date", "filtering.end_date"),
            end_excluded=True,
            recent_days=FATIGUE_DAYS,
        ),
        page_size=500,
        time="stat_time_day",
        max_days=FATIGUE_DAYS,
        in_sandbox=False,
    )


def _with_currency(name: str) -> Mapping[str, Field]:
    return {**_own_fields(name), "currency": CURRENCY}
