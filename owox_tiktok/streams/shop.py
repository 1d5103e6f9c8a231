"""GMV Max: what a shop's automatic campaigns bring. Its reports have an address and rules of their own.

They are asked for one shop at a time; how shops, campaigns and products are found is ``tiktok.shop``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import Literal, NamedTuple

from owox_tiktok.model import Field, Kind, Listing, Stream
from owox_tiktok.streams.common import ADVERTISER_ID, CURRENCY, listed_fields


class _Report(NamedTuple):
    name: str
    title: str
    description: str
    dimensions: tuple[str, ...]
    each: str
    filters: Mapping[str, tuple[str, ...]] = {}


_OF_PRODUCTS: Mapping[str, tuple[str, ...]] = {"gmv_max_promotion_types": ("PRODUCT",)}
_OF_LIVES: Mapping[str, tuple[str, ...]] = {"gmv_max_promotion_types": ("LIVE",)}
_DAY, _HOUR = "stat_time_day", "stat_time_hour"

_REPORTS = (
    _Report("gmv_max_account_report_daily", "GMV Max account report daily",
            "What GMV Max cost and sold for each shop, a row per day", ("advertiser_id", _DAY), "store"),
    _Report("gmv_max_account_report_hourly", "GMV Max account report hourly",
            "What GMV Max cost and sold for each shop, a row per hour", ("advertiser_id", _HOUR), "store"),
    _Report("gmv_max_product_campaign_report_daily", "GMV Max product campaign report daily",
            "Results of each product campaign, a row per day", ("campaign_id", _DAY), "store", _OF_PRODUCTS),
    _Report("gmv_max_live_campaign_report_daily", "GMV Max LIVE campaign report daily",
            "Results of each LIVE campaign, a row per day", ("campaign_id", _DAY), "store", _OF_LIVES),
    _Report("gmv_max_product_report_daily", "GMV Max product report daily",
            "Results of each product in each campaign, a row per day", ("campaign_id", "item_group_id", _DAY),
            "PRODUCT campaign"),
    _Report("gmv_max_creative_report_daily", "GMV Max creative report daily",
            "Results of each post and product card, a row per day with cost",
            ("campaign_id", "item_group_id", "item_id", _DAY), "product"),
    _Report("gmv_max_creative_report", "GMV Max creative report",
            "Results of each post and product card from start_date on, the last 365 days at most, also without cost",
            ("campaign_id", "item_group_id", "item_id"), "product"),
    _Report("gmv_max_product_duration_report", "GMV Max duration report",
            "Results of each product by way of bidding, from start_date on, the last 365 days at most",
            ("campaign_id", "item_group_id", "duration"), "product"),
    _Report("gmv_max_products", "GMV Max products",
            "Name and picture of each product that GMV Max had results with from start_date on, the last 365 days at "
            "most; a request per product, so not among what is usually imported", ("item_group_id",), "one product"),
    _Report("gmv_max_live_room_report_daily", "GMV Max LIVE room report daily",
            "Results of each LIVE, a row per day", ("campaign_id", "room_id", _DAY), "LIVE campaign"),
    _Report("gmv_max_live_room_report_hourly", "GMV Max LIVE room report hourly",
            "Results of each LIVE, a row per hour", ("campaign_id", "room_id", _HOUR), "LIVE campaign"),
)  # fmt: skip

LONGEST_DAYS = 365


def _fields(report: _Report) -> Mapping[str, Field]:
    fields = dict(listed_fields()[report.name])
    fields["advertiser_id"] = ADVERTISER_ID
    if any(f.kind is Kind.MONEY for f in fields.values()):
        fields["currency"] = CURRENCY
    return fields


def _stream(report: _Report) -> Stream:
    time: Literal["stat_time_day", "stat_time_hour"] | None = None
    if _DAY in report.dimensions:
        time = "stat_time_day"
    elif _HOUR in report.dimensions:
        time = "stat_time_hour"
    return Stream(
        name=report.name,
        family="shop",
        title=report.title,
        description=report.description,
        path="gmv_max/report/get/",
        verb="replace",
        keys=("advertiser_id", "store_id", *(d for d in report.dimensions if d != "advertiser_id")),
        build_fields=cache(partial(_fields, report)),
        default=("*",),
        kind=Listing(
            dimensions=report.dimensions,
            each=report.each,
            filters=report.filters,
            span_days=None if time else LONGEST_DAYS,
        ),
        page_size=1000,
        time=time,
        max_days={"stat_time_day": 30, "stat_time_hour": 1}.get(time or ""),
        in_sandbox=False,
        hides_deleted=report.dimensions[0] in ("campaign_id", "item_group_id"),
    )


def shop_reports() -> Iterable[Stream]:
    """Return the reports of GMV Max."""
    return map(_stream, _REPORTS)
