"""What GMV Max must be asked for one by one: shops, and the campaigns and products of each.

A shop that several ad accounts see is counted once: for the account that TikTok names as the one that may advertise it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from owox_tiktok.errors import RequestRefused
from owox_tiktok.tiktok.client import TikTok
from owox_tiktok.tiktok.gmv_max import stores
from owox_tiktok.tiktok.once import Once
from owox_tiktok.tiktok.questions import EVERY_STATUS, Part, Question

IDS_PER_FILTER = 100
TYPES = {"PRODUCT": "PRODUCT_GMV_MAX", "LIVE": "LIVE_GMV_MAX"}
"""A kind of campaign as reports call it, and as lists do."""

Found = tuple[tuple[str, ...], ...]


class _Campaign(msgspec.Struct):
    campaign_id: str | int


class _PageInfo(msgspec.Struct):
    total_page: int = 0


class _Campaigns(msgspec.Struct):
    campaigns: list[_Campaign] | None = msgspec.field(default=None, name="list")
    page_info: _PageInfo = msgspec.field(default_factory=_PageInfo)


def parts(api: TikTok, question: Question, each: str, known: Once[Found]) -> tuple[Part, ...]:
    """Return what a list is asked for one by one, by the word of its stream; ``known`` keeps what was asked.

    ``type``: once for product campaigns and once for LIVE ones, living and deleted. ``store``: for each shop.
    ``PRODUCT campaign`` and ``LIVE campaign``: for each shop, its campaigns of a kind, 100 at most at a time.
    ``product``: those with their products, 100 at most at a time. ``one product``: each by itself.
    ``one campaign`` and ``one product campaign``: for each campaign.
    """
    look = _Look(api, question, known)
    return tuple(_PARTS[each](look))


class _Look:
    """Asks what there is, and remembers it."""

    def __init__(self, api: TikTok, question: Question, known: Once[Found]) -> None:
        self.api, self.question, self._known = api, question, known
        self.advertiser = question.advertiser

    def stores(self) -> Found:
        """Return the shops that this account advertises: id and Business Center."""
        return self._known.get(("stores", self.advertiser.id), lambda: stores(self.api, self.advertiser.id))

    def campaigns(self, store: str, kind: str) -> tuple[str, ...]:
        """Return the campaigns of a shop (all shops: "") of a kind, deleted ones included."""
        key = ("campaigns", self.advertiser.id, store, kind)
        return self._known.get(key, lambda: (tuple(self._ask_campaigns(store, kind)),))[0]

    def _ask_campaigns(self, store: str, kind: str) -> list[str]:
        mine, found = self.advertiser.id, dict[str, None]()
        for status in ("", "STATUS_DELETE"):
            filtering: dict[str, Any] = {"gmv_max_promotion_types": [TYPES[kind]]}
            filtering |= {"store_ids": [store]} if store else {}
            filtering |= {"primary_status": status} if status else {}
            page, pages = 1, 1
            while page <= pages:
                params = {"advertiser_id": mine, "filtering": filtering, "page": page, "page_size": IDS_PER_FILTER}
                listed = self.api.data("gmv_max/campaign/get/", params, _Campaigns, advertiser_id=mine)
                found |= dict.fromkeys(str(c.campaign_id) for c in listed.campaigns or ())
                page, pages = page + 1, listed.page_info.total_page if listed.campaigns else 0
        return list(found)

    def products(self, store: str, campaigns: tuple[str, ...]) -> tuple[str, ...]:
        """Return the products that campaigns of a shop had results with on the days of the question."""
        key = ("products", self.advertiser.id, store, str(self.question.window), *campaigns)
        return self._known.get(key, lambda: (tuple(self._ask_products(store, campaigns)),))[0]

    def _ask_products(self, store: str, campaigns: tuple[str, ...]) -> list[str]:
        window, mine = self.question.window, self.advertiser.id
        assert window is not None
        found, page, pages = dict[str, None](), 1, 1
        while page <= pages:
            params = {
                "advertiser_id": mine,
                "store_ids": [store],
                "dimensions": ["item_group_id"],
                "metrics": ["orders"],
                "start_date": f"{window.first}",
                "end_date": f"{window.last}",
                "filtering": {"campaign_ids": list(campaigns), "campaign_statuses": list(EVERY_STATUS)},
                "page": page,
                "page_size": 1000,
            }
            try:
                listed = self.api.data("gmv_max/report/get/", params, _Products, advertiser_id=mine)
            except RequestRefused as error:
                if "campaign_statuses" not in error.message:
                    raise
                params["filtering"] = {"campaign_ids": list(campaigns), "campaign_statuses": ["STATUS_ALL"]}
                listed = self.api.data("gmv_max/report/get/", params, _Products, advertiser_id=mine)
            found |= dict.fromkeys(str(row.dimensions.item_group_id) for row in listed.rows or ())
            page, pages = page + 1, listed.page_info.total_page if listed.rows else 0
        return list(found)


class _Dimensions(msgspec.Struct):
    item_group_id: str | int


class _Row(msgspec.Struct):
    dimensions: _Dimensions


class _Products(msgspec.Struct):
    rows: list[_Row] | None = msgspec.field(default=None, name="list")
    page_info: _PageInfo = msgspec.field(default_factory=_PageInfo)


def _json(*ids: str) -> str:
    return msgspec.json.encode(list(ids)).decode()


def _some(ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for at in range(0, len(ids), IDS_PER_FILTER):
        yield ids[at : at + IDS_PER_FILTER]


def _of_types(look: _Look) -> Iterator[Part]:
    for name in TYPES.values():
        for status in ((), (("primary_status", ("STATUS_DELETE",)),)):
            filters = (("gmv_max_promotion_types", (name,)), *status)
            yield Part(filters=filters, gives=(("gmv_max_promotion_type", name),))


def _of_stores(look: _Look) -> Iterator[Part]:
    for store, _ in look.stores():
        yield Part(asks=(("store_ids", _json(store)),), gives=(("store_id", store),))


def _with_center(look: _Look) -> Iterator[Part]:
    for store, center in look.stores():
        yield Part(asks=(("store_id", store), ("store_authorized_bc_id", center)), gives=(("store_id", store),))


def _of_campaigns(kind: str) -> Callable[[_Look], Iterable[Part]]:
    def each(look: _Look) -> Iterator[Part]:
        for store, _ in look.stores():
            for some in _some(look.campaigns(store, kind)):
                asks = (("store_ids", _json(store)),)
                yield Part(asks=asks, filters=(("campaign_ids", some),), gives=(("store_id", store),))

    return each


def _of_products(look: _Look) -> Iterator[Part]:
    for part in _of_campaigns("PRODUCT")(look):
        (_, campaigns), (_, store) = part.filters[0], part.gives[0]
        for some in _some(look.products(store, campaigns)):
            yield Part(asks=part.asks, filters=(*part.filters, ("item_group_ids", some)), gives=part.gives)


def _of_one_product(look: _Look) -> Iterator[Part]:
    """Each product by itself, with one campaign of it: only so does TikTok give what is not a number."""
    for store, _ in look.stores():
        seen: set[str] = set()
        for campaign in look.campaigns(store, "PRODUCT"):
            for product in look.products(store, (campaign,)):
                if product not in seen:
                    seen.add(product)
                    filters = (("campaign_ids", (campaign,)), ("item_group_ids", (product,)))
                    yield Part(asks=(("store_ids", _json(store)),), filters=filters, gives=(("store_id", store),))


def _of_one(*kinds: str) -> Callable[[_Look], Iterable[Part]]:
    def each(look: _Look) -> Iterator[Part]:
        for kind in kinds:
            for one in look.campaigns("", kind):
                yield Part(asks=(("campaign_id", one),))

    return each


_PARTS: dict[str, Callable[[_Look], Iterable[Part]]] = {
    "type": _of_types,
    "store": _of_stores,
    "store with center": _with_center,
    "PRODUCT campaign": _of_campaigns("PRODUCT"),
    "LIVE campaign": _of_campaigns("LIVE"),
    "product": _of_products,
    "one product": _of_one_product,
    "one campaign": _of_one("PRODUCT", "LIVE"),
    "one product campaign": _of_one("PRODUCT"),
}
