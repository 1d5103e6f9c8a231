"""The shops of an account, and what it spent on their GMV Max campaigns, which other reports do not have."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import msgspec

from owox_tiktok.model import Advertiser, Window
from owox_tiktok.tiktok.client import TikTok
from owox_tiktok.trust.totals import Total


class _Exclusive(msgspec.Struct):
    advertiser_id: str | int | None = None


class _Store(msgspec.Struct):
    store_id: str | int
    is_gmv_max_available: bool | None = None
    store_authorized_bc_id: str | int | None = None
    exclusive_authorized_advertiser_info: _Exclusive | None = None


class _Stores(msgspec.Struct):
    stores: list[_Store] | None = msgspec.field(default=None, name="store_list")


class _Row(msgspec.Struct):
    metrics: dict[str, str | float | int | None] = {}


class _Report(msgspec.Struct):
    rows: list[_Row] | None = msgspec.field(default=None, name="list")


def stores(api: TikTok, advertiser_id: str) -> tuple[tuple[str, str], ...]:
    """Return the shops that an account advertises: id and Business Center (empty where TikTok names none).

    A shop that several ad accounts see belongs to the one that TikTok names as the one that may advertise it.
    """
    listed = api.data("gmv_max/store/list/", {"advertiser_id": advertiser_id}, _Stores, advertiser_id=advertiser_id)
    found = []
    for store in listed.stores or ():
        exclusive = store.exclusive_authorized_advertiser_info
        owner = str(exclusive.advertiser_id) if exclusive and exclusive.advertiser_id else advertiser_id
        if store.is_gmv_max_available is not False and owner == advertiser_id:
            found.append((str(store.store_id), str(store.store_authorized_bc_id or "")))
    return tuple(dict.fromkeys(found))


def spend(api: TikTok, advertiser: Advertiser, window: Window) -> Total:
    """Return the cost of GMV Max over days as ``spend``, of all stores of an account that may have it.

    Raises RequestRefused where TikTok does not say, as for apps without the permission.
    """
    added, shops = Decimal(), stores(api, advertiser.id)
    for store_id, _ in shops:
        params = {
            "advertiser_id": advertiser.id,
            "store_ids": [store_id],
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
    return Total({"spend": added}, max(1, len(shops)))
