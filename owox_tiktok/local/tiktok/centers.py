"""Business Centers, their money, reviews, and reports on creatives: rows, and what the API refuses.

There is one Business Center with all accounts of the world. Who reads its money needs a finance role
(``Rules.finance_role``). Reports on materials are reports of ads, those with the same video or image taken together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from owox_tiktok.local.tiktok.assets import Row, entity_row, material_of
from owox_tiktok.local.tiktok.catalogue import metric_infos, stream_fields
from owox_tiktok.local.tiktok.reports import report_table, select_ads
from owox_tiktok.local.tiktok.rules import Refusal, day_of, list_of, object_of, truth_of, wrong
from owox_tiktok.local.tiktok.switches import Rules
from owox_tiktok.local.tiktok.texts import report_texts
from owox_tiktok.local.tiktok.world import Ad, Advertiser, World, hash64

BC_ID = "7088888888888888801"
OF_CENTERS: Mapping[str, str] = {
    "bc/get": "list",
    "bc/asset/get": "list",
    "advertiser/balance/get": "advertiser_account_list",
    "bc/account/transaction/get": "transaction_list",
    "bc/account/budget/changelog/get": "changelog_list",
    "bc/invoice/get": "list",
}
"""Addresses that name no ad account, or a Business Center beside one; each with the place of its rows."""
_MONEY = frozenset(OF_CENTERS) - {"bc/get", "bc/asset/get"}
OF_CREATIVES: Mapping[str, str] = {
    "smart_plus/material_report/overview": "list",
    "smart_plus/material_report/breakdown": "list",
    "creative/report/get": "list",
}
REVIEWS: Mapping[str, tuple[str, str]] = {
    "ad/review_info": ("ad_ids", "ad_review_map"),
    "adgroup/review_info": ("adgroup_ids", "ad_group_review_map"),
}
"""Each with the parameter for ids, and where the answer, an object by id, stands."""
MOST_REVIEWS = 20


# --- Business Centers -------------------------------------------------------------------------------------------------


def center_rows(world: World, stream: str) -> list[Row]:
    """The rows of a list that belongs to the whole authorisation, with what a loader adds."""
    if stream == "bc_balances":
        row = entity_row("bc_balances", 1, currency="USD", account_balance=1234.5, valid_account_balance=1200.0)
        return [{**row, "bc_id": BC_ID, "advertiser_id": BC_ID}]
    if stream == "bc_invoices":
        return [
            {**row, "bc_id": BC_ID, "advertiser_id": BC_ID, "currency": row["currency_code"]} for row in _invoices()
        ]
    rows = _accounts(world) if stream == "bc_ad_accounts" else _balances(world)
    if stream == "bc_ad_accounts":
        return [{**row, "advertiser_id": row["asset_id"], "bc_id": BC_ID, "bc_name": "Center, one"} for row in rows]
    return [{**row, "bc_id": BC_ID} for row in rows]


def account_rows(world: World, advertiser: Advertiser, stream: str) -> list[Row]:
    """The rows of a list of a Business Center about one account."""
    make = _transactions if stream == "ad_account_transactions" else _changes
    return [{**row, "bc_id": BC_ID} for row in make(advertiser)]


def _accounts(world: World) -> list[Row]:
    return [
        {
            "asset_type": "ADVERTISER",
            "asset_id": one.id,
            "asset_name": one.name,
            "relation_type": "OWNER",
            "relation_status": "BOUND",
            "advertiser_status": "STATUS_ENABLE",
            "advertiser_account_type": "AUCTION",
            "advertiser_role": ("ADMIN", "OPERATOR", "ANALYST")[one.index % 3],
            "owner_bc_name": "Center, one",
            "ad_creation_eligible": "ELIGIBLE",
        }
        for one in world.advertisers
    ]


def _balances(world: World) -> list[Row]:
    rows = []
    for one in world.advertisers:
        row = entity_row(
            "ad_account_balances", one.seed, advertiser_id=one.id, advertiser_name=one.name,
            advertiser_status="STATUS_ENABLE", timezone=one.timezone, currency=one.currency,
            account_balance=one.seed % 10**6 / 100, valid_account_balance=one.seed % 10**5 / 100,
        )  # fmt: skip
        row.pop("bc_id")
        rows.append(row)
    return rows


def _transactions(one: Advertiser) -> list[Row]:
    rows = []
    for number in range(60):
        row = entity_row(
            "ad_account_transactions", hash64(one.seed, number),
            transaction_id=str(hash64(one.seed, "t", number) % 10**18),
            account_name=one.name, amount=(100 + number) / 4, currency=one.currency, timezone=one.timezone,
            create_time=f"2026-02-{1 + number % 20:02} 0{number % 10}:00:00",
        )  # fmt: skip
        row.pop("bc_id")
        rows.append({**row, "account_id": one.id})
    return rows


def _changes(one: Advertiser) -> list[Row]:
    rows = []
    for number in range(3):
        row = entity_row(
            "ad_account_budget_changes", one.seed + number, operation_time=f"2026-02-{10 + number} 08:30:00",
            activity_type="BUDGET_UPDATE", operator_id=str(6_900_000_000_000_000_000 + number), currency=one.currency,
        )  # fmt: skip
        row.pop("bc_id")
        rows.append(row)
    return rows


def balance_asked(params: Mapping[str, str], rules: Rules) -> Row:
    """What is on the Business Center; raises Refusal."""
    _check_center(params, rules, money=True)
    row = entity_row("bc_balances", 1, currency="USD", account_balance=1234.5, valid_account_balance=1200.0)
    row.pop("advertiser_id")
    return {**row, "bc_id": BC_ID}


def report_asked(world: World, params: Mapping[str, str]) -> list[Row]:
    """The days of a Business Center's report, of the ad accounts that the filter names."""
    if params.get("bc_id") != BC_ID:
        raise wrong("bc_id: Missing data for required field.")
    dimensions = [str(one) for one in list_of(params, "dimensions", required=True) or []]
    if dimensions not in (["advertiser_id"], ["advertiser_id", "country_code"], ["stat_time_day"]):
        raise wrong("dimensions: This grouping is not supported.")
    first, last = day_of(params, "start_date"), day_of(params, "end_date")
    if not timedelta() <= last - first < timedelta(days=365):
        raise wrong("max time span is 365 days")
    accounts = {one.id: one for one in world.advertisers}
    for one in list_of(params, "filtering") or []:
        if one.get("field_name") == "advertiser_id":
            accounts = {n: a for n, a in accounts.items() if n in json.loads(one["filter_value"])}
    if len(accounts) != 1 or dimensions != ["stat_time_day"]:
        raise wrong("filtering: this simulated TikTok adds up one account at a time.")
    metrics = [str(one) for one in list_of(params, "metrics") or []]
    rows = report_rows(world, next(iter(accounts.values())), first, last)
    return [
        {
            "dimensions": {"stat_time_day": f"{row['stat_time_day']} 00:00:00"},
            "metrics": {name: str(row[name]) for name in metrics},
        }
        for row in rows
    ]


def report_rows(world: World, advertiser: Advertiser, first: date, last: date) -> list[Row]:
    """What an account spent on each day, by how it was paid."""
    names = ["spend", "impressions", "reach"]
    table = report_table(
        world, advertiser, advertiser.ads, "advertiser", ["advertiser_id", "stat_time_day"], names, first, last
    )
    rows = []
    for at, day in enumerate(table.days):
        spend = table.numbers["spend"][at] or 0
        parts = {"cash_spend": spend - spend // 5, "voucher_spend": spend // 5, "cashback_coupon_spend": 0}
        money = {"spend": spend, **parts, "tax_spend": spend // 10}
        rows.append(
            {"stat_time_day": date.fromordinal(day), "bc_id": BC_ID}
            | {name: f"{amount // 100}.{amount % 100:02}" for name, amount in money.items()}
            | {name: table.numbers[name][at] for name in ("impressions", "reach")}
        )
    return rows


def _invoices() -> list[Row]:
    rows = []
    for number in range(3):
        row = entity_row("bc_invoices", number, invoice_id=str(7_000_000 + number), currency="USD", amount=100.25)
        del row["bc_id"], row["advertiser_id"]
        rows.append({**row, "currency_code": row.pop("currency")})
    return rows


def _check_center(params: Mapping[str, str], rules: Rules, *, money: bool) -> None:
    if not params.get("bc_id"):
        raise wrong("bc_id: Missing data for required field.")
    if params["bc_id"] != BC_ID:
        raise Refusal(40001, "No permission to operate this Business Center.")
    if money and not rules.finance_role:
        raise Refusal(40001, "Permission error: the user lacks the finance role in this Business Center.")


def center_asked(world: World, path: str, params: Mapping[str, str], rules: Rules) -> list[Row]:
    """The rows that answer a question to a Business Center; raises Refusal."""
    if path == "bc/get":
        info = {"bc_id": BC_ID, "name": "Center, one", "currency": "USD", "timezone": "UTC", "status": "ENABLE"}
        return [{"bc_info": info, "user_role": "ADMIN", "ext_user_role": {"finance_role": "MANAGER"}}]
    _check_center(params, rules, money=path in _MONEY)
    if path == "bc/invoice/get":
        if not list_of(params, "invoice_types"):
            raise wrong("invoice_types: Missing data for required field.")
        return _invoices()
    filters = object_of(params, "filtering")
    for pair in (("start_time", "end_time"), ("start_date", "end_date")):
        if (pair[0] in filters) != (pair[1] in filters):
            raise wrong(f"filtering: {pair[0]} and {pair[1]} go together.")
        if pair[0] in filters and day_of(filters, pair[1]) - day_of(filters, pair[0]) >= timedelta(days=365):
            raise wrong("filtering: Must be at most 365 days.")
    if path == "bc/asset/get":
        if params.get("asset_type") != "ADVERTISER":
            raise wrong("asset_type: Missing data for required field.")
        return _accounts(world)
    if path == "advertiser/balance/get":
        return _balances(world)
    if path == "bc/account/transaction/get":
        wanted = filters.get("account_ids")
        rows = [row for one in world.advertisers for row in _transactions(one)]
        return [row for row in rows if wanted is None or row["account_id"] in wanted]
    if not world.knows(params.get("advertiser_id", "")):
        raise wrong("advertiser_id: Missing data for required field.")
    return _changes(world.advertiser(params["advertiser_id"]))


# --- reviews ----------------------------------------------------------------------------------------------------------


def review_rows(advertiser: Advertiser, stream: str) -> list[Row]:
    """What the review says of each ad or ad group."""
    pool: Sequence[Any] = advertiser.ads if stream == "ad_reviews" else advertiser.ad_groups
    key = "ad_id" if stream == "ad_reviews" else "adgroup_id"
    return [
        entity_row(
            stream, one.seed, **{key: one.id}, is_approved=one.index % 5 != 4,
            review_status=("ALL_AVAILABLE", "PART_AVAILABLE", "UNAVAILABLE")[one.index % 3],
            reject_info=[{"reasons": ["Text, “too loud”"], "suggestion": "Say less"}] if one.index % 5 == 4 else [],
        )
        for one in pool
        if one.campaign.kind == "ordinary"
    ]  # fmt: skip


def reviews_asked(advertiser: Advertiser, path: str, params: Mapping[str, str]) -> str:
    """The JSON of an answer about reviews: an object by id."""
    name, key = REVIEWS[path]
    asked = [str(one) for one in list_of(params, name, required=True) or []]
    if not 1 <= len(asked) <= MOST_REVIEWS:
        raise wrong(f"{name}: Length must be between 1 and {MOST_REVIEWS}.")
    stream, field = ("ad_reviews", "ad_id") if name == "ad_ids" else ("ad_group_reviews", "adgroup_id")
    known = {row.pop(field): row for row in review_rows(advertiser, stream)}
    if unknown := [one for one in asked if one not in known]:
        raise wrong(f"{name}: {unknown[0]} does not exist.")
    return json.dumps({key: {one: known[one] for one in asked}}, ensure_ascii=False)


# --- reports on creatives ---------------------------------------------------------------------------------------------


_MATERIAL_IDS = {"main_material_id", "ad_text_entity_id", "call_to_action_entity_id", "interactive_add_on_entity_id"}
_OWNERS = {"advertiser_id", "campaign_id", "adgroup_id", "smart_plus_ad_id"}
_TIMES = {"stat_time_day", "stat_time_hour", "stat_time_week", "stat_time_month"}


def creative_asked(world: World, advertiser: Advertiser, path: str, params: Mapping[str, str]) -> list[Row]:
    """The rows of a report on creatives, as they are on the wire; raises Refusal."""
    first = last = None
    if not truth_of(params, "lifetime" if path.startswith("creative") else "query_lifetime"):
        first, last = day_of(params, "start_date"), day_of(params, "end_date")
        if not timedelta() <= last - first < timedelta(days=365):
            raise wrong("max time span is 365 days")
    if path.startswith("creative"):
        kind = params.get("material_type")
        if kind not in ("VIDEO", "IMAGE", "INSTANT_PAGE"):
            raise wrong("material_type: Must be one of: VIDEO, IMAGE, INSTANT_PAGE.")
        return creative_rows(world, advertiser, kind, _metrics(params, "metrics_fields"), first, last)
    dimensions = [str(d) for d in list_of(params, "dimensions", required=True) or []]
    overview = path.endswith("overview")
    for name in dimensions:
        if name not in _MATERIAL_IDS | (_OWNERS if overview else _TIMES):
            raise wrong(f"Invalid dim: {name} is not exist")
    if overview and (len(dimensions) != 2 or len(_OWNERS & set(dimensions)) != 1):
        raise wrong("dimensions: Length must be 2.")
    if len(_TIMES & set(dimensions)) > 1 or not _MATERIAL_IDS & set(dimensions):
        raise wrong("dimensions: Invalid dimensions.")
    return material_rows(world, advertiser, dimensions, _metrics(params, "metrics"), first, last)


def _metrics(params: Mapping[str, str], name: str) -> list[str]:
    asked = [str(one) for one in list_of(params, name) or ["spend", "impressions"]]
    for one in asked:
        if one not in metric_infos() or one in ("reach", "frequency", "result", "cash_spend"):
            raise wrong(f"Invalid metric: {one} not support")
    return asked


def _report(
    world: World, advertiser: Advertiser, ads: Sequence[Ad], metrics: Sequence[str],
    days: tuple[date | None, date | None], *, by_day: bool, by_material: bool,
) -> list[tuple[Ad, Row, Row]]:  # fmt: skip
    """Rows of ads, or of materials: each under the first ad that has it."""
    dimensions = ["ad_id", "stat_time_day"] if by_day else ["ad_id"]
    first: dict[str, Ad] = {}
    as_one = {ad.id: first.setdefault(material_of(ad).id, ad) for ad in ads} if by_material else None
    table = report_table(world, advertiser, ads, "ad", dimensions, metrics, *days, as_one=as_one)
    of = {ad.id: ad for ad in ads}
    texts = map(json.loads, report_texts(table, dimensions, metrics, 0, table.size))
    return [(of[row["dimensions"]["ad_id"]], row["dimensions"], row["metrics"]) for row in texts]


def material_rows(
    world: World,
    advertiser: Advertiser,
    dimensions: Sequence[str],
    metrics: Sequence[str],
    first: date | None,
    last: date | None,
) -> list[Row]:
    """The rows of a report on materials of Upgraded Smart+ ads; every ad of the account is one here."""
    ads = select_ads(advertiser, "ad", deleted="include", kinds=("ordinary",))
    found = _report(
        world, advertiser, ads, metrics, (first, last),
        by_day="stat_time_day" in dimensions, by_material="smart_plus_ad_id" not in dimensions,
    )  # fmt: skip
    rows = []
    for ad, keys, numbers in found:
        material = material_of(ad)
        kind = "SINGLE_IMAGE_NON_SPARK_ADS" if material.kind == "IMAGE" else "VIDEO_NON_SPARK_ADS"
        about = {"main_material_type": kind, "main_material_name": material.name}
        named = {"smart_plus_ad_id": ad.id, "main_material_id": material.id, **keys, **about}
        rows.append({"dimensions": {n: named[n] for n in (*dimensions, *about)}, "metrics": numbers})
    return rows


def creative_rows(
    world: World, advertiser: Advertiser, kind: str, metrics: Sequence[str], first: date | None, last: date | None
) -> list[Row]:
    """The rows of the creative report for one type of material; deleted ones are always in it."""
    if kind == "INSTANT_PAGE":
        return []
    ads = [
        ad
        for ad in select_ads(advertiser, "ad", deleted="include", kinds=("ordinary",))
        if material_of(ad).kind == kind
    ]
    of: dict[str, list[str]] = {}
    for ad in ads:
        of.setdefault(material_of(ad).id, []).append(ad.id)
    rows = []
    for ad, _, numbers in _report(world, advertiser, ads, metrics, (first, last), by_day=False, by_material=True):
        material = material_of(ad)
        info: Row = {name: None for name in stream_fields()["creative_report_lifetime"] if name not in metric_infos()}
        info |= {"material_id": material.id, "num_ads": len(of[material.id]), "related_ad_ids": of[material.id]}
        info |= {"video_id": material.video_id, "image_id": material.image_id}
        info.pop("material_type")
        rows.append({"info": info, "metrics": numbers})
    return rows
