"""What the simulated TikTok's answers must amount to, taken from the world's numbers and not from the wire.

Tests compare what a loader stored with these rows. Numbers are Decimal or int, days are dates,
hours are naive datetimes in the account's zone, a missing metric is None.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from owox_tiktok.local.tiktok import centers, insights, more_lists, shop
from owox_tiktok.local.tiktok.assets import entity_rows as _entity_rows
from owox_tiktok.local.tiktok.catalogue import ID_DIMENSIONS, metric_infos
from owox_tiktok.local.tiktok.hidden import kinds_in_all
from owox_tiktok.local.tiktok.reports import report_table, select_ads
from owox_tiktok.local.tiktok.world import KINDS_OF_ADS, ORDINARY, World

__all__ = [
    "center_report_rows",
    "center_rows",
    "creative_rows",
    "entity_rows",
    "insight_rows",
    "more_rows",
    "report_rows",
    "shop_rows",
    "total_by_kind",
]


def report_rows(
    world: World,
    advertiser_id: str,
    level: str,
    dimensions: Sequence[str],
    metrics: Sequence[str],
    first: date | None,
    last: date | None,
    *,
    report_type: str = "BASIC",
    include_deleted: bool = True,
    lifetime: bool = False,
    kinds: Collection[str] | None = None,
    top_view_at_advertiser: bool = True,
    zero_rows: bool = False,
) -> list[dict[str, Any]]:
    """The rows of a report on one account, one dict per row with ``advertiser_id`` on each.

    ``level`` is 'advertiser', 'campaign', 'ad_group' or 'ad'; ``dimensions`` and ``metrics`` are
    TikTok's names; the days ``first`` … ``last`` are inclusive days of the account's calendar.
    ``lifetime`` ignores them. ``kinds`` are the kinds of ads to cover (None: all that TikTok gives with
    these dimensions, also those it hides unless asked); a metric that Promote ads do not have is None on
    their rows. ``top_view_at_advertiser`` and ``zero_rows`` must be those of the server's rules. A dimension and an
    equally named metric share one key.
    """
    if report_type not in ("BASIC", "AUDIENCE"):
        raise ValueError(f"unknown report type {report_type!r}")
    advertiser = world.advertiser(advertiser_id)
    if kinds is None:
        kinds = kinds_in_all(report_type, level, dimensions, top_view_at_advertiser=top_view_at_advertiser)
    ads = select_ads(advertiser, level, deleted="include" if include_deleted else "exclude", kinds=kinds)
    bounds = (None, None) if lifetime else (first, last)
    table = report_table(world, advertiser, ads, level, dimensions, metrics, *bounds, report_type, zero_rows=zero_rows)

    columns: dict[str, list[Any]] = {"advertiser_id": [advertiser_id] * table.size}
    for name in dimensions:
        if name in ID_DIMENSIONS:
            columns[name] = [entity.id for entity in table.entities]
        elif name == "stat_time_day":
            columns[name] = [date.fromordinal(day) for day in table.days]
        elif name == "stat_time_hour":
            columns[name] = [
                datetime.combine(date.fromordinal(day), datetime.min.time().replace(hour=hour))
                for day, hour in zip(table.days, table.hours, strict=True)
            ]
        else:
            columns[name] = list(table.parts[name])
    for name in metrics:
        if name in table.attributes:
            columns[name] = list(table.attributes[name])
        elif metric_infos()[name].kind == "count":
            columns[name] = list(table.numbers[name])
        else:
            exponent = -table.decimals[name]
            columns[name] = [None if n is None else Decimal(n).scaleb(exponent) for n in table.numbers[name]]
    if "search_terms" in dimensions and "impressions" in columns:  # TikTok does not tell how many, below five
        columns["impressions"] = [n if n >= 5 else None for n in columns["impressions"]]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def creative_rows(
    world: World, advertiser_id: str, stream: str, metrics: Sequence[str], first: date, last: date
) -> list[dict[str, Any]]:
    """The rows of a report on creatives of one account, with the day and the type of material of the question."""
    advertiser = world.advertiser(advertiser_id)
    if stream == "smart_plus_material_breakdown_daily":
        dimensions = ["main_material_id", "stat_time_day"]
        found = centers.material_rows(world, advertiser, dimensions, metrics, first, last)
        return [{**row["metrics"], **row["dimensions"]} for row in found]
    rows: list[dict[str, Any]] = []
    if stream == "creative_report_lifetime":
        for kind in ("VIDEO", "IMAGE"):
            found = centers.creative_rows(world, advertiser, kind, metrics, None, None)
            rows += [{**row["metrics"], **row["info"], "material_type": kind} for row in found]
        return rows
    for day in (date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)):
        if stream == "creative_report_daily":
            for kind in ("VIDEO", "IMAGE"):
                found = centers.creative_rows(world, advertiser, kind, metrics, day, day)
                rows += [{**r["metrics"], **r["info"], "material_type": kind, "stat_time_day": day} for r in found]
        else:
            dimensions = ["smart_plus_ad_id", "main_material_id"]
            found = centers.material_rows(world, advertiser, dimensions, metrics, day, day)
            rows += [{**r["metrics"], **r["dimensions"], "stat_time_day": day} for r in found]
    return rows


def insight_rows(world: World, advertiser_id: str, stream: str, first: date, last: date) -> list[dict[str, Any]]:
    """What is known of each video, or of each living ad on each day, of one account."""
    advertiser = world.advertiser(advertiser_id)
    if stream == "video_insights":
        return [{**row["info"], **row["metrics"]} for row in insights.video_rows(world, advertiser)]
    ads = {row["ad_id"] for row in _entity_rows(world, advertiser_id, "ads", include_deleted=False)}
    return [
        {**row, **row["metrics"], "stat_time_day": row["date"]}
        for ad in advertiser.ads
        if ad.id in ads
        for row in insights.fatigue_rows(world, ad, first, last)
    ]


def more_rows(world: World, advertiser_id: str, stream: str) -> list[dict[str, Any]]:
    """The rows of a list of :mod:`.more_lists` of one account, with what a loader adds."""
    return more_lists.rows_of(world, world.advertiser(advertiser_id), stream)


def center_report_rows(world: World, advertiser_id: str, first: date, last: date) -> list[dict[str, Any]]:
    """The days of one account in the report of its Business Center."""
    return centers.report_rows(world, world.advertiser(advertiser_id), first, last)


def center_rows(world: World, advertiser_id: str, stream: str) -> list[dict[str, Any]]:
    """The rows of a Business Center's list, or of reviews, of one account; of all accounts where none is named."""
    if not advertiser_id:
        return centers.center_rows(world, stream)
    if stream.endswith("reviews"):
        return centers.review_rows(world.advertiser(advertiser_id), stream)
    return centers.account_rows(world, world.advertiser(advertiser_id), stream)


def shop_rows(
    world: World,
    advertiser_id: str,
    stream: str,
    dimensions: Sequence[str],
    metrics: Sequence[str],
    first: date | None,
    last: date | None,
    filters: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """The rows of a list or report of GMV Max of one account, with ``store_id`` on those of a report.

    Without ``dimensions`` it is a list; deleted campaigns are in both.
    """
    advertiser = world.advertiser(advertiser_id)
    if not dimensions:
        return shop.entities(world, advertiser, stream)
    assert first is not None
    assert last is not None
    wanted = {**(filters or {}), "campaign_statuses": ("STATUS_ALL",)}
    return [
        {**keys, **found, "store_id": store["store_id"]}
        for store in shop.stores(world, advertiser)
        for keys, found in shop.report_rows(
            world, advertiser, store["store_id"], dimensions, metrics, first, last, wanted
        )
    ]


def total_by_kind(
    world: World, advertiser_id: str, metric: str, first: date | None, last: date | None
) -> dict[str, Decimal]:
    """What each kind of ads has of an additive metric on one account, deleted ads included."""
    totals = {}
    for kind in KINDS_OF_ADS:
        rows = report_rows(world, advertiser_id, "ad", ["ad_id"], [metric], first, last, kinds=(kind,))
        totals[kind] = sum((Decimal(row[metric] or 0) for row in rows), Decimal(0))
    return totals


def entity_rows(
    world: World,
    advertiser_id: str,
    stream: str,
    include_deleted: bool = True,
    kinds: Collection[str] = (ORDINARY,),
) -> list[dict[str, Any]]:
    """The rows of an entity stream of one account, with values as typed on the wire.

    TikTok's lists of campaigns, ad groups and ads name the ordinary kind only unless asked for ``kinds``.
    """
    return _entity_rows(world, advertiser_id, stream, include_deleted=include_deleted, kinds=kinds)
