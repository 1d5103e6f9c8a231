"""GMV Max: campaigns of shops, whose spend no report about campaigns or ads has; and the report that has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from owox_tiktok.local.tiktok.reports import report_table
from owox_tiktok.local.tiktok.rules import day_of, list_of, wrong
from owox_tiktok.local.tiktok.world import Advertiser, World

PATH = "gmv_max/report/get"
_METRICS = frozenset({"cost", "net_cost", "orders", "cost_per_order", "gross_revenue", "roi"})
_DIMENSIONS = ({"advertiser_id"}, {"advertiser_id", "stat_time_day"})


def report(world: World, advertiser: Advertiser, stores: list[str], params: Mapping[str, str]) -> dict[str, Any]:
    """Return the data of a report on an account: of its cost alone, which is that of the first of its ``stores``."""
    asked = list(map(str, list_of(params, "store_ids", required=True) or []))
    if len(asked) != 1 or asked[0] not in stores:
        raise wrong("store_ids: Must be exactly one store of the account.")
    metrics = list(map(str, list_of(params, "metrics", required=True) or []))
    dimensions = list(map(str, list_of(params, "dimensions", required=True) or []))
    if not _METRICS.issuperset(metrics) or set(dimensions) not in _DIMENSIONS:
        raise wrong("metrics, dimensions: Conflict occurs.")
    first, last = day_of(params, "start_date"), day_of(params, "end_date")
    if not 0 <= (last - first).days < (30 if "stat_time_day" in dimensions else 365):
        raise wrong("start_date, end_date: The time span is too long.")
    ads = [ad for ad in advertiser.ads if ad.campaign.only_account] if asked[0] == stores[0] else []
    table = report_table(world, advertiser, ads, "advertiser", dimensions, ["spend"], first, last)
    rows = []
    for n, amount in enumerate(table.numbers["spend"]):
        named: dict[str, str] = {"advertiser_id": advertiser.id}
        if table.days:
            named["stat_time_day"] = f"{type(first).fromordinal(table.days[n])} 00:00:00"
        values = {name: f"{(amount or 0) / 100:.2f}" if name.endswith("cost") else "0" for name in metrics}
        rows.append({"dimensions": named, "metrics": values | {"currency": advertiser.currency}})
    pages = {"page": 1, "page_size": 1000, "total_number": len(rows), "total_page": 1}
    return {"list": rows, "page_info": pages}


def answer(world: World, advertiser: Advertiser, stores: list[str], params: Mapping[str, str]) -> str:
    """Return the same as JSON."""
    return json.dumps(report(world, advertiser, stores, params))
