"""GMV Max: the campaigns of each account's shops, what each post and LIVE of them brought, and what the API refuses.

As everywhere in this world the smallest things are stored (a post of a product of a campaign on a day, a LIVE on a
day) and everything else is a sum of them. In a world whose accounts have ads that only the account's own report shows,
those ads are what GMV Max cost, and nothing was sold. Elsewhere costs of the last days fall from day to day, as TikTok
takes invalid traffic out of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from owox_tiktok.local.tiktok.assets import Row, entity_row, entity_rows
from owox_tiktok.local.tiktok.catalogue import stream_fields
from owox_tiktok.local.tiktok.reports import report_table
from owox_tiktok.local.tiktok.rules import Refusal, day_of, ids_of, list_of, object_of, wrong
from owox_tiktok.local.tiktok.switches import Rules
from owox_tiktok.local.tiktok.world import Ad, Advertiser, World, hash64, mix

REPORT = "gmv_max/report/get"
PATHS: Mapping[str, str] = {
    "gmv_max/campaign/get": "list",
    "campaign/gmv_max/info": "",
    "campaign/gmv_max/session/list": "session_list",
    "gmv_max/identity/get": "identity_list",
    "gmv_max/video/get": "item_list",
    REPORT: "list",
}
"""The addresses, each with the place of its rows in ``data``."""
PAGED = frozenset({"gmv_max/campaign/get", "gmv_max/video/get", REPORT})

TYPES = {"PRODUCT_GMV_MAX": "PRODUCT", "LIVE_GMV_MAX": "LIVE"}
_STATUSES = ("STATUS_DELIVERY_OK", "STATUS_NOT_DELIVERY", "STATUS_DISABLE", "STATUS_DELETE")
_ACCOUNT = "cost net_cost orders cost_per_order gross_revenue roi"
_CAMPAIGN = (
    "campaign_name operation_status schedule_type schedule_start_time schedule_end_time target_roi_budget bid_type"
    " max_delivery_budget roas_bid"
)
_LIVE = (
    "live_views cost_per_live_view 10_second_live_views cost_per_10_second_live_view live_follows all_shops_orders"
    " all_shops_cost_per_order all_shops_gross_revenue all_shops_roi"
)
_CREATIVE = (
    "creative_delivery_status cost orders cost_per_order gross_revenue roi product_impressions product_clicks"
    " product_click_rate ad_click_rate ad_conversion_rate ad_video_view_rate_2s ad_video_view_rate_6s"
    " ad_video_view_rate_p25 ad_video_view_rate_p50 ad_video_view_rate_p75 ad_video_view_rate_p100"
)
_OWNER = "tt_account_name tt_account_profile_image_url identity_id"


@dataclass(frozen=True, slots=True)
class Level:
    """What a grouping may be asked for: delivery metrics, attributes, and the filters it needs."""

    metrics: frozenset[str]
    attributes: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()


def _set(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


LEVELS: Mapping[frozenset[str], Level] = {
    frozenset({"advertiser_id"}): Level(_set(_ACCOUNT)),
    frozenset({"campaign_id"}): Level(_set(_ACCOUNT, _CAMPAIGN, _LIVE, _OWNER), needs=("gmv_max_promotion_types",)),
    frozenset({"item_group_id"}): Level(
        _set("product_status cost orders cost_per_order gross_revenue roi"),
        _set("product_name product_image_url bid_type"),
        ("campaign_ids",),
    ),
    frozenset({"campaign_id", "item_group_id"}): Level(
        _set("product_status cost orders cost_per_order gross_revenue roi"),
        _set("product_name product_image_url bid_type"),
        ("campaign_ids",),
    ),
    frozenset({"campaign_id", "item_group_id", "item_id"}): Level(
        _set(_CREATIVE), _set("title tt_account_name shop_content_type"), ("campaign_ids", "item_group_ids")
    ),
    frozenset({"campaign_id", "item_group_id", "duration"}): Level(
        _set("cost orders cost_per_order gross_revenue roi"), _set("bid_type"), ("campaign_ids", "item_group_ids")
    ),
    frozenset({"campaign_id", "room_id"}): Level(
        _set(_ACCOUNT, _LIVE), _set("live_name live_status live_launched_time live_duration"), ("campaign_ids",)
    ),
}
"""By its dimensions without time. Those of campaigns are attributes that are always allowed."""


@dataclass(frozen=True, slots=True)
class GmvCampaign:
    """A GMV Max campaign of a shop."""

    id: str
    store: str
    type: str
    name: str
    seed: int
    deleted: bool


def stores(world: World, advertiser: Advertiser) -> list[Row]:
    """The account's shops that it may advertise: what another account holds exclusively is not counted here."""
    rows = entity_rows(world, advertiser.id, "gmv_max_stores")

    def mine(row: Row) -> bool:
        exclusive = row["exclusive_authorized_advertiser_info"]
        return row["is_gmv_max_available"] and (not exclusive or exclusive["advertiser_id"] == advertiser.id)

    return [row for row in rows if mine(row)]


def campaigns(world: World, advertiser: Advertiser) -> list[GmvCampaign]:
    """Every GMV Max campaign of the account: product ones of each shop, one of them deleted, and a LIVE one."""
    found = []
    for place, store in enumerate(stores(world, advertiser)):
        for number, kind in enumerate(("PRODUCT", "PRODUCT", "LIVE") if place == 0 else ("PRODUCT",)):
            seed = hash64(advertiser.seed, "gmv", place, number)
            name = f"{kind.title()} of shop {place + 1}, №{number + 1}"
            identity = str(195 * 10**16 + advertiser.index * 10**8 + place * 100 + number)
            found.append(GmvCampaign(identity, store["store_id"], kind, name, seed, number == 1))
    return found


def _products(one: GmvCampaign) -> list[str]:
    return [str(196 * 10**16 + one.seed % 10**10 + number) for number in range(2)]


def _items(product: str) -> list[str]:
    return ["-1", *(str(197 * 10**16 + int(product) % 10**12 + number) for number in range(2))]


def _rooms(one: GmvCampaign) -> list[str]:
    return [str(198 * 10**16 + one.seed % 10**10 + number) for number in range(2)]


_PARTS = ("cost", "orders", "gross_revenue", "shown", "clicked", "views", "long_views", "follows")
Leaf = tuple[GmvCampaign, str, str, int, int, dict[str, int]]
"""A campaign, its product or room, its post, the day (ordinal), the hour, and whole numbers (money in hundredths)."""


def _leaves(world: World, advertiser: Advertiser, first: date, last: date, *, by_hour: bool) -> Iterator[Leaf]:
    if of_ads := _ads(advertiser):
        yield from _leaves_of_ads(world, advertiser, of_ads, first, last, by_hour=by_hour)
        return
    today, hours_done = world.today(advertiser)
    for one in campaigns(world, advertiser):
        places = (
            [(room, "") for room in _rooms(one)]
            if one.type == "LIVE"
            else [(product, item) for product in _products(one) for item in _items(product)]
        )
        for day in range(max(first, world.start).toordinal(), min(last, today).toordinal() + 1):
            for place, item in places:
                numbers = _numbers(one, place, item, day, today.toordinal() - day)
                if numbers is None:
                    continue
                known = hours_done if day == today.toordinal() else 24
                hours = range(known) if by_hour else [-1]
                for hour in hours:
                    share = (hour, hour + 1) if by_hour else (0, known)
                    part = {n: v * share[1] // 24 - v * share[0] // 24 for n, v in numbers.items()}
                    if any(part.values()):
                        yield one, place, item, day, hour, part


def _ads(advertiser: Advertiser) -> list[Ad]:
    """The ads that no report has but the account's own: those of GMV Max, in a world that has such."""
    return [ad for ad in advertiser.ads if ad.campaign.only_account]


def _leaves_of_ads(
    world: World, advertiser: Advertiser, ads: Sequence[Ad], first: date, last: date, *, by_hour: bool
) -> Iterator[Leaf]:
    """What these ads cost, all of it at one product of the first shop."""
    one = campaigns(world, advertiser)[0]
    dimensions = ["advertiser_id", "stat_time_hour" if by_hour else "stat_time_day"]
    table = report_table(world, advertiser, ads, "advertiser", dimensions, ["spend"], first, last)
    for at, day in enumerate(table.days):
        numbers = dict.fromkeys(_PARTS, 0) | {"cost": table.numbers["spend"][at] or 0}
        yield one, _products(one)[0], "-1", day, table.hours[at] if by_hour else -1, numbers


def _account_of_ads(
    world: World, advertiser: Advertiser, ads: Sequence[Ad], dimensions: Sequence[str], metrics: Sequence[str],
    first: date, last: date,
) -> list[tuple[dict[str, Any], dict[str, Any]]]:  # fmt: skip
    """The account's own rows about these ads: added up before they are rounded."""
    one = campaigns(world, advertiser)[0]
    table = report_table(world, advertiser, ads, "advertiser", dimensions, ["spend"], first, last)
    rows = []
    for at, amount in enumerate(table.numbers["spend"]):
        hour = f"{table.hours[at]:02}" if table.hours else "00"
        named = {"advertiser_id": advertiser.id}
        if table.days:
            named["stat_time_hour" if table.hours else "stat_time_day"] = (
                f"{date.fromordinal(table.days[at])} {hour}:00:00"
            )
        part = dict.fromkeys(_PARTS, 0) | {"cost": amount or 0}
        rows.append(({d: named[d] for d in dimensions}, {m: _metric(m, part, one) for m in metrics}))
    return rows


def _numbers(one: GmvCampaign, place: str, item: str, day: int, age: int) -> dict[str, int] | None:
    bits = mix(one.seed ^ hash64(place, item) + day * 0x9E3779B97F4A7C15)
    if bits % 5 == 0:
        return None
    cost = 0 if bits % 7 == 0 else 500 + bits % 20_000
    cost += cost * max(0, 6 - age) // 50
    orders = (bits >> 20) % 40
    shown = 100 + (bits >> 30) % 5_000
    values = (
        cost,
        orders,
        orders * (900 + (bits >> 40) % 5_000),
        shown,
        shown // 9,
        shown // 2,
        shown // 4,
        shown // 90,
    )
    return dict(zip(_PARTS, values, strict=True))


def report_rows(
    world: World,
    advertiser: Advertiser,
    store: str,
    dimensions: Sequence[str],
    metrics: Sequence[str],
    first: date,
    last: date,
    filters: Mapping[str, Sequence[str]],
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The rows of a report as (dimensions, metrics); money and rates are Decimal, counts int."""
    if "advertiser_id" in dimensions and (of_ads := _ads(advertiser)):
        is_first = store == stores(world, advertiser)[0]["store_id"]
        return _account_of_ads(world, advertiser, of_ads, dimensions, metrics, first, last) if is_first else []
    by_hour = "stat_time_hour" in dimensions
    types = [TYPES.get(t, t) for t in filters.get("gmv_max_promotion_types", TYPES.values())]
    statuses = filters.get("campaign_statuses", ())
    with_deleted = "STATUS_ALL" in statuses or "STATUS_DELETE" in statuses or "advertiser_id" in dimensions
    wanted, products = filters.get("campaign_ids"), filters.get("item_group_ids")
    sums: dict[tuple[Any, ...], dict[str, int]] = {}
    of: dict[tuple[Any, ...], GmvCampaign] = {}
    for one, place, item, day, hour, numbers in _leaves(world, advertiser, first, last, by_hour=by_hour):
        if one.store != store or one.type not in types or (one.deleted and not with_deleted):
            continue
        if wanted is not None and one.id not in wanted:
            continue
        live = one.type == "LIVE"
        if ("room_id" in dimensions) != live and {"room_id", "item_group_id"} & set(dimensions):
            continue
        if products is not None and place not in products:
            continue
        thirds = {"CUSTOM": (0, 2), "NO_BID": (2, 3)} if "duration" in dimensions else {"": (0, 3)}
        for duration, (low, high) in thirds.items():
            values = {
                "advertiser_id": advertiser.id,
                "campaign_id": one.id,
                "item_group_id": place,
                "room_id": place,
                "item_id": item,
                "duration": duration,
                "stat_time_day": f"{date.fromordinal(day)} 00:00:00",
                "stat_time_hour": f"{date.fromordinal(day)} {hour:02}:00:00",
            }
            key = tuple(values[d] for d in dimensions)
            of.setdefault(key, one)
            into = sums.setdefault(key, dict.fromkeys(_PARTS, 0))
            for name, value in numbers.items():
                into[name] += value * high // 3 - value * low // 3
    only_cost = "item_id" in dimensions and "stat_time_day" in dimensions
    return [
        (keys := dict(zip(dimensions, key, strict=True)), {m: _metric(m, part, of[key], keys) for m in metrics})
        for key, part in sorted(sums.items())
        if part["cost"] or not only_cost
    ]


def _money(hundredths: int) -> Decimal:
    return Decimal(hundredths).scaleb(-2)


def _over(upper: int, lower: int, factor: int = 1) -> Decimal:
    return _money((2 * upper * factor * 100 + lower) // (2 * lower)) if lower else Decimal("0.00")


def _metric(name: str, part: Mapping[str, int], one: GmvCampaign, keys: Mapping[str, str] = {}) -> Any:
    product = keys.get("item_group_id", "")
    cost, orders, revenue = part["cost"], part["orders"], part["gross_revenue"]
    shown, clicked = part["shown"], part["clicked"]
    known: dict[str, Callable[[], Any]] = {
        "cost": lambda: _money(cost),
        "net_cost": lambda: _money(cost * 9 // 10),
        "orders": lambda: orders,
        "cost_per_order": lambda: _over(cost, orders * 100),
        "gross_revenue": lambda: _money(revenue),
        "roi": lambda: _over(revenue, cost),
        "all_shops_orders": lambda: orders + 1,
        "all_shops_cost_per_order": lambda: _over(cost, (orders + 1) * 100),
        "all_shops_gross_revenue": lambda: _money(revenue + 1050),
        "all_shops_roi": lambda: _over(revenue + 1050, cost),
        "live_views": lambda: part["views"],
        "cost_per_live_view": lambda: _over(cost, part["views"] * 100),
        "10_second_live_views": lambda: part["long_views"],
        "cost_per_10_second_live_view": lambda: _over(cost, part["long_views"] * 100),
        "live_follows": lambda: part["follows"],
        "product_status": lambda: ("available", "unavailable")[one.seed % 2],
        "creative_delivery_status": lambda: ("DELIVERING", "NOT_DELIVERYING", "LEARNING")[one.seed % 3],
        "product_impressions": lambda: shown,
        "product_clicks": lambda: clicked,
        "product_click_rate": lambda: _over(clicked, shown, 100),
        "product_name": lambda: f"Product, “{product[-3:]}”",
        "product_image_url": lambda: f"https://img.example.com/{product}.jpeg",
        "campaign_name": lambda: one.name,
        "operation_status": lambda: "DISABLE" if one.deleted else "ENABLE",
        "schedule_type": lambda: "Continuously",
        "schedule_start_time": lambda: "2026-01-05 08:00:00",
        "schedule_end_time": lambda: "2036-01-05 08:00:00",
        "target_roi_budget": lambda: Decimal("120.00"),
        "bid_type": lambda: "CUSTOM",
        "max_delivery_budget": lambda: Decimal("0.00"),
        "roas_bid": lambda: Decimal("2.50"),
        "tt_account_name": lambda: "0" if one.seed % 2 else "Brand, live",
        "tt_account_profile_image_url": lambda: "0" if one.seed % 2 else "https://img.example.com/live.jpeg",
        "identity_id": lambda: "-1" if one.seed % 2 else f"{one.seed:016x}",
    }
    return known[name]() if name in known else _over(shown // (2 + hash64(name) % 7), shown, 100)


def entities(world: World, advertiser: Advertiser, stream: str) -> list[Row]:
    """The rows of a list of GMV Max, all questions together, with what a loader adds from the question."""
    of_all = campaigns(world, advertiser)
    if stream == "gmv_max_campaigns":
        return [{**_campaign(one, stream), "gmv_max_promotion_type": f"{one.type}_GMV_MAX"} for one in of_all]
    if stream == "gmv_max_campaign_details":
        return [_campaign(one, stream) for one in of_all]
    if stream == "gmv_max_sessions":
        return [row for one in of_all for row in _sessions(one)]
    make = _identities if stream == "gmv_max_identities" else _videos
    return [{**row, "store_id": s["store_id"]} for s in stores(world, advertiser) for row in make(s["store_id"])]


def _campaign(one: GmvCampaign, stream: str) -> Row:
    known = {
        "campaign_id": one.id,
        "campaign_name": one.name,
        "operation_status": "DISABLE" if one.deleted else "ENABLE",
        "secondary_status": "CAMPAIGN_STATUS_DELETE" if one.deleted else "CAMPAIGN_STATUS_ENABLE",
        "objective_type": "PRODUCT_SALES",
        "store_id": one.store,
        "shopping_ads_type": one.type,
        "item_group_ids": _products(one) if one.type == "PRODUCT" else [],
        "create_time": "2026-01-05 08:00:00",
        "modify_time": "2026-02-05 08:00:00",
        "gmv_max_promotion_type": None,
    }
    fields = stream_fields()[stream]
    row = entity_row(stream, one.seed, **{name: value for name, value in known.items() if name in fields})
    row.pop("gmv_max_promotion_type", None)
    return row


def _sessions(one: GmvCampaign) -> list[Row]:
    if one.type != "PRODUCT" or one.deleted:
        return []
    names = (("NO_BID", None), ("CREATIVE_NO_BID", _items(_products(one)[0])[1]))
    return [
        entity_row(
            "gmv_max_sessions",
            one.seed + number,
            session_id=str(one.seed % 10**15 + number),
            campaign_id=one.id,
            bid_type=bid,
            item_id=item,
            product_list=[{"spu_id": _products(one)[0]}],
        )
        for number, (bid, item) in enumerate(names)
    ]


def _identities(store: str) -> list[Row]:
    return [
        entity_row(
            "gmv_max_identities", number, store_id=store, identity_id=f"{hash64(store, number):016x}",
            identity_type=("TTS_TT", "BC_AUTH_TT")[number],
        )
        for number in range(2)
    ]  # fmt: skip


def _videos(store: str) -> list[Row]:
    rows = []
    for number in range(60):
        row = entity_row(
            "gmv_max_videos", number, item_id=str(hash64(store, "video", number) % 10**18), text=f"№{number}"
        )
        row.pop("store_id")
        rows.append(row)
    return rows


# --- what is asked ----------------------------------------------------------------------------------------------------


def rows_asked(world: World, advertiser: Advertiser, path: str, params: Mapping[str, str], rules: Rules) -> list[Row]:
    """The rows that answer a question, as they are on the wire; raises Refusal."""
    if path == REPORT:
        return _report(world, advertiser, params, rules)
    if path == "gmv_max/campaign/get":
        return _campaigns_asked(world, advertiser, params)
    if path in ("campaign/gmv_max/info", "campaign/gmv_max/session/list"):
        identity = params.get("campaign_id", "")
        found = [one for one in campaigns(world, advertiser) if one.id == identity]
        if not found:
            raise wrong("campaign_id: Missing data for required field." if not identity else "campaign_id: Not found.")
        return _sessions(found[0]) if path.endswith("list") else [_campaign(found[0], "gmv_max_campaign_details")]
    for name in ("store_id", "store_authorized_bc_id"):
        if not params.get(name):
            raise wrong(f"{name}: Missing data for required field.")
    if params["store_id"] not in {row["store_id"] for row in stores(world, advertiser)}:
        raise Refusal(40001, "No permission to operate this store.")
    return (_identities if path == "gmv_max/identity/get" else _videos)(params["store_id"])


def _campaigns_asked(world: World, advertiser: Advertiser, params: Mapping[str, str]) -> list[Row]:
    wanted = object_of(params, "filtering")
    types = wanted.get("gmv_max_promotion_types")
    if not isinstance(types, list) or len(types) != 1 or types[0] not in TYPES:
        raise wrong("filtering: gmv_max_promotion_types: Must be one of: PRODUCT_GMV_MAX, LIVE_GMV_MAX.")
    shops = ids_of(wanted.get("store_ids"), "store_ids", 10)
    status = wanted.get("primary_status")
    if status not in (None, "STATUS_DELIVERY_OK", "STATUS_DISABLE", "STATUS_DELETE"):
        raise wrong(f"filtering: primary_status: Invalid value {status}.")
    return [
        _campaign(one, "gmv_max_campaigns")
        for one in campaigns(world, advertiser)
        if one.type == TYPES[types[0]] and one.deleted == (status == "STATUS_DELETE")
        if shops is None or one.store in shops
    ]


def _report(world: World, advertiser: Advertiser, params: Mapping[str, str], rules: Rules) -> list[Row]:
    shops = list_of(params, "store_ids", required=True) or []
    if len(shops) != 1:
        raise wrong("store_ids: Length must be 1.")
    if shops[0] not in {row["store_id"] for row in stores(world, advertiser)}:
        raise Refusal(40001, "No permission to operate this store.")
    dimensions = [str(d) for d in list_of(params, "dimensions", required=True) or []]
    metrics = [str(m) for m in list_of(params, "metrics", required=True) or []]
    times = [d for d in dimensions if d in ("stat_time_day", "stat_time_hour")]
    level = LEVELS.get(frozenset(dimensions) - set(times))
    if len(dimensions) > 4 or len(times) > 1 or level is None or len(set(dimensions)) != len(dimensions):
        raise wrong("dimensions: This grouping is not supported.")
    if "duration" in dimensions and times:
        raise wrong("dimensions: This grouping is not supported.")
    if not metrics or len(metrics) > 100:
        raise wrong("metrics: Length must be between 1 and 100.")
    filters = object_of(params, "filtering")
    for name in level.needs:
        if not filters.get(name):
            raise wrong(f"filtering: {name}: Missing data for required field.")
    for name in ("campaign_ids", "item_group_ids", "item_ids", "room_ids"):
        ids_of(filters.get(name), name)
    if set(filters.get("gmv_max_promotion_types", ())) - {"PRODUCT", "LIVE"}:
        raise wrong("filtering: gmv_max_promotion_types: Must be one of: PRODUCT, LIVE.")
    allowed = ("STATUS_ALL",) if rules.gmv_max_status_all else _STATUSES
    if odd := set(filters.get("campaign_statuses", ())) - set(allowed):
        raise wrong(
            "filtering: campaign_statuses: value is not one of the allowed values, value is "
            f"{min(odd)}, correct is {', '.join(allowed)}"
        )
    several = len([d for d in dimensions if d.endswith("_id")]) > 1 or any(
        len(filters.get(n, ())) > 1 for n in ("campaign_ids", "item_group_ids", "room_ids")
    )
    permitted = level.metrics if several else level.metrics | level.attributes
    if "LIVE" not in filters.get("gmv_max_promotion_types", ()) and "room_id" not in dimensions:
        permitted -= _set(_LIVE, _OWNER)
    for name in metrics:
        if name not in permitted or name in rules.gmv_max_refused:
            raise wrong(f"Invalid metric: {name} not support")
    first, last = day_of(params, "start_date"), day_of(params, "end_date")
    most = {"stat_time_day": 30, "stat_time_hour": 1}.get((times or [""])[0], 365)
    if not timedelta() <= last - first < timedelta(days=most):
        raise wrong(f"max time span is {most} days")
    rows = report_rows(world, advertiser, str(shops[0]), dimensions, metrics, first, last, filters)
    return [{"dimensions": keys, "metrics": {**_wire(found), "currency": advertiser.currency}} for keys, found in rows]


def _wire(found: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as texts, but for those of all shops, which are numbers."""
    return {
        name: (value if isinstance(value, int) else float(value)) if name.startswith("all_shops_") else str(value)
        for name, value in found.items()
    }


def data_text(key: str, rows: Sequence[Row]) -> str:
    """The JSON of an answer that has no pages."""
    if not key:
        return json.dumps(rows[0], ensure_ascii=False)
    return json.dumps({key: rows}, ensure_ascii=False)
