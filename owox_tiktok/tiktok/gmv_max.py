"""What an account spent on GMV Max campaigns, which reports about campaigns and ads do not have."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec

from owox_tiktok.model import Advertiser, Window
from owox_tiktok.tiktok.client import TikTok
from owox_tiktok.trust.totals import Total


class _Store(msgspec.Struct):
    store_id: str | int
    is_gmv_max_available: bool | None = None


class _Stores(msgspec.Struct):
    stores: list[_Store] | None = msgspec.field(default=None, name="store_list")


class _Row(msgspec.Struct):
    metrics: dict[str, str | float | int | None] = {}


class _Report(msgspec.Struct):
    rows: list[_Row] | None = msgspec.field(default=None, name="list")


def spend(api: TikTok, advertiser: Advertiser, window: Window) -> Total:
    """Return the cost of GMV Max over days as ``spend``, of all stores of an account that may have it.

    Raises RequestRefused where TikTok does not say, as for apps without the permission.
    """
    stores = api.data("gmv_max/store/list/", {"advertiser_id": advertiser.id}, _Stores, advertiser_id=advertiser.id)
    added, asked = Decimal(), 0
    for store in stores.stores or ():
        if not store.is_gmv_max_available:
            continue
        asked += 1
        params = {
            "advertiser_id": advertiser.id,
            "store_ids": [str(store.store_id)],
            "start_date": f"{window.first}",
            "end_date": f"{window.last}",
            "metrics": ["cost"],
            "dimensions": ["advertiser_id"],
            "page_size": 1000,
        }
        found = api.data("gmv_max/report/get/", params, _Report, advertiser_id=advertiser.id)
        for row in found.rows or ():
            try:
                added += Decimal(str(row.metrics.get("cost") or 0))
            except InvalidOperation:  # "-" where there was none
                continue
    return Total({"spend": added}, max(1, asked))
