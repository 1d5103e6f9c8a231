"""Reports on creatives that have addresses of their own: materials of Upgraded Smart+ ads, and the creative report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import NamedTuple

from owox_tiktok.model import Field, Kind, Listing, Stream
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
