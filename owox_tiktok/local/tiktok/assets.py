"""Rows of the entity endpoints, with the JSON types TikTok sends.

Every catalogued field of a stream is present. Fields with a meaning here (ids, names, statuses,
times, parents) are set by hand; the many settings nobody computes with get a value of the right
kind from the seed, or null.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from owox_tiktok.local.tiktok.attributes import ad_text, bid_of, budget_of, objective
from owox_tiktok.local.tiktok.catalogue import stream_fields
from owox_tiktok.local.tiktok.world import ORDINARY, PROMOTE, Ad, AdGroup, Advertiser, Campaign, World, hash64

Row = dict[str, Any]

EXTRA_FIELDS = {"advertisers": frozenset({"company_name_editable"})}
"""Fields that come only when named in ``fields``."""

_SKIPPED = {"spark_ads": frozenset({"spark_ads_post_id"})}
"""Catalogue columns that loaders lift out of a nested object; they are not on the wire."""


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _filler(kind: str, name: str, seed: int) -> Any:
    bits = hash64(seed, name)
    if bits % 3 == 0:
        return None
    if kind == "id":
        return str(10**15 + bits % 10**14)
    if kind == "boolean":
        return bits % 2 == 0
    if kind == "count":
        return bits % 1000
    if kind in ("money", "rate"):
        return bits % 100_000 / 100
    if kind == "json":
        return [str(bits % 1000), f"{name.upper()}_{bits % 5}"] if bits % 4 else []
    if kind == "instant":
        return _text(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=bits % 8_000_000))
    return f"{name.upper()}_{bits % 5}" if bits % 4 else ""


def _row(stream: str, seed: int, **known: Any) -> Row:
    """All fields of the stream: the known values, and fillers for the rest, in catalogue order."""
    row = dict(_fillers(stream, seed))
    unknown = known.keys() - row.keys()
    assert not unknown, f"{stream} has no fields {sorted(unknown)}"
    row.update(known)
    return row


def entity_row(stream: str, seed: int, **known: Any) -> Row:
    """A row of a list with these values, and fillers for all its other fields."""
    return _row(stream, seed, **known)


@lru_cache(maxsize=50_000)
def _fillers(stream: str, seed: int) -> Row:
    """The fillers of one entity. They never change, and making them is most of the work of a row."""
    skipped = _SKIPPED.get(stream, frozenset())
    return {name: _filler(kind, name, seed) for name, kind in stream_fields()[stream].items() if name not in skipped}


def _modified(one: Campaign | AdGroup | Ad, now: datetime) -> datetime:
    # A change that lies after the world's clock has not happened yet.
    return one.modified if one.modified <= now else one.created


def _statuses(prefix: str, one: Campaign | AdGroup | Ad) -> tuple[str, str]:
    """The pair secondary_status, operation_status."""
    if one.deleted:
        return f"{prefix}_STATUS_DELETE", "DISABLE"
    if not one.enabled:
        return f"{prefix}_STATUS_DISABLE", "DISABLE"
    if prefix == "AD" and isinstance(one, Ad) and not one.campaign.enabled:
        return "AD_STATUS_CAMPAIGN_DISABLE", "ENABLE"
    return f"{prefix}_STATUS_{'ENABLE' if prefix == 'CAMPAIGN' else 'DELIVERY_OK'}", "ENABLE"


def _campaign(one: Campaign, now: datetime, stream: str = "campaigns") -> Row:
    secondary, operation = _statuses("CAMPAIGN", one)
    budget = float(budget_of(one))
    known = {
        "campaign_id": one.id,
        "advertiser_id": one.advertiser.id,
        "campaign_name": one.name,
        "campaign_type": "REGULAR_CAMPAIGN",
        "budget": budget,
        "budget_mode": "BUDGET_MODE_DAY" if budget else "BUDGET_MODE_INFINITE",
        "secondary_status": secondary,
        "operation_status": operation,
        "objective": "APP" if objective(one) == "APP_PROMOTION" else "LANDING_PAGE",
        "objective_type": objective(one),
        "create_time": _text(one.created),
        "modify_time": _text(_modified(one, now)),
        "roas_bid": 0,
        "app_promotion_type": "APP_INSTALL" if objective(one) == "APP_PROMOTION" else "UNSET",
        "rf_campaign_type": "STANDARD",
        "is_new_structure": True,
        "is_smart_performance_campaign": False,
        "campaign_automation_type": "UPGRADED_SMART_PLUS" if one.smart_plus else "MANUAL",
        "special_industries": ["HOUSING"] if one.index % 3 == 1 else [],
    }
    fields = stream_fields()[stream]
    return _row(stream, one.seed, **{name: value for name, value in known.items() if name in fields})


def _ad_group(one: AdGroup, now: datetime, stream: str = "ad_groups") -> Row:
    secondary, operation = _statuses("ADGROUP", one)
    if one.index == 0 and not one.deleted:
        secondary = "ADVERTISER_ACCOUNT_PUNISH"
    bid = bid_of(one)
    known = {
        "adgroup_id": one.id,
        "advertiser_id": one.campaign.advertiser.id,
        "campaign_id": one.campaign.id,
        "campaign_name": one.campaign.name,
        "adgroup_name": one.name,
        "placement_type": "PLACEMENT_TYPE_NORMAL" if one.index % 2 else "PLACEMENT_TYPE_AUTOMATIC",
        "placements": ["PLACEMENT_TIKTOK", "PLACEMENT_PANGLE"][: 1 + one.index % 2],
        "location_ids": ["6252001"] if one.index % 2 else ["6252001", "2921044"],
        "age_groups": None if one.index % 2 else ["AGE_18_24", "AGE_25_34"],
        "gender": "GENDER_UNLIMITED",
        "spending_power": "ALL",
        "budget": float(budget_of(one)),
        "budget_mode": "BUDGET_MODE_DAY" if budget_of(one) else "BUDGET_MODE_INFINITE",
        "bid_price": 0 if bid is None else float(bid),
        "schedule_type": "SCHEDULE_FROM_NOW",
        "schedule_start_time": _text(one.created),
        "schedule_end_time": _text(one.created + timedelta(days=3650)),
        "dayparting": "1" * 336 if one.index % 2 else "0" * 24 + "1" * 312,
        "skip_learning_phase": one.index % 2,
        "click_attribution_window": one.click_window,
        "view_attribution_window": "ONE_DAY",
        "engaged_view_attribution_window": "OFF",
        "category_id": 0,
        "ios14_quota_type": "UNOCCUPIED",
        "secondary_status": secondary,
        "operation_status": operation,
        "create_time": _text(one.created),
        "modify_time": _text(_modified(one, now)),
        "audience_ids": [] if one.index % 2 else [_asset_id(181, one.campaign.advertiser, 0)],
        "targeting_expansion": {"expansion_enabled": False, "expansion_types": []},
        "targeting_spec": {"gender": "GENDER_UNLIMITED", "location_ids": ["6252001"]},
        "split_test_group_id": None,
        "split_test_status": None,
        "is_new_structure": True,
    }
    fields = stream_fields()[stream]
    return _row(stream, one.seed, **{name: value for name, value in known.items() if name in fields})


def _ad(one: Ad, now: datetime) -> Row:
    secondary, operation = _statuses("AD", one)
    advertiser = one.campaign.advertiser
    image = one.index % 3 == 0
    return _row(
        "ads",
        one.seed,
        ad_id=one.id,
        advertiser_id=advertiser.id,
        campaign_id=one.campaign.id,
        campaign_name=one.campaign.name,
        adgroup_id=one.group.id,
        adgroup_name=one.group.name,
        ad_name=one.name,
        ad_text=ad_text(one),
        ad_texts=None,
        ad_format="SINGLE_IMAGE" if image else "SINGLE_VIDEO",
        image_ids=[_image_id(_in_library(one, "images"))] if image else [f"v0201/{one.seed:016x}"],
        video_id=None if image else _video_id(advertiser, _in_library(one, "videos")),
        landing_page_url=f"https://shop.example.com/?utm_content={one.index}",
        landing_page_urls=None,
        tiktok_item_id=_asset_id(188, advertiser, one.index % 11) if one.index % 5 == 1 and not image else None,
        identity_type="CUSTOMIZED_USER" if one.index % 2 else "UNSET",
        tracking_pixel_id=0 if one.index % 2 else int(_asset_id(186, advertiser, 0)),
        page_id=0 if one.index % 2 else 7_200_000_000_000_000_000 + one.index,
        is_aco=False,
        is_new_structure=True,
        secondary_status=secondary,
        operation_status="FROZEN" if one.index % 13 == 12 and not one.deleted else operation,
        create_time=_text(one.created),
        modify_time=_text(_modified(one, now)),
    )


def _smart_ad(one: Ad, now: datetime) -> Row:
    secondary, operation = _statuses("AD", one)
    return _row(
        "smart_plus_ads",
        one.seed,
        smart_plus_ad_id=one.id,
        advertiser_id=one.campaign.advertiser.id,
        campaign_id=one.campaign.id,
        campaign_name=one.campaign.name,
        adgroup_id=one.group.id,
        adgroup_name=one.group.name,
        ad_name=one.name,
        operation_status=operation,
        secondary_status=secondary,
        create_time=_text(one.created),
        modify_time=None if one.index % 4 == 0 else _text(_modified(one, now)),
        ad_text_list=[{"ad_text": ad_text(one)}],
        creative_list=[{"creative_info": {"ad_format": "SINGLE_VIDEO", "material_name": one.name}}],
        disclaimer=None,
        ad_configuration={"identity_type": "CUSTOMIZED_USER"},
    )


def _advertiser(one: Advertiser) -> Row:
    return _row(
        "advertisers",
        one.seed,
        advertiser_id=one.id,
        name=one.name,
        company=f"Example & Sons, {one.index + 1}",
        currency=one.currency,
        country=one.country,
        timezone=one.timezone,
        display_timezone=one.zone.key,
        create_time=int(one.created.timestamp()),
        balance=[10, 0, 1234.56][one.index % 3],
        status="STATUS_LIMIT" if one.index % 4 == 3 else "STATUS_ENABLE",
        role="ROLE_ADVERTISER",
        advertiser_account_type="AUCTION",
        cellphone_number="+13477****53",
        email="a***e@example.com",
        contacter="A***e",
        rejection_reason="",
        language="en",
        industry="291408",
        promotion_area="0",
        brand=None,
        license_province=None,
        license_city=None,
        promotion_center_city=None,
        promotion_center_province=None,
    )


def _asset_id(prefix: int, advertiser: Advertiser, number: int) -> str:
    return str(prefix * 10**16 + (advertiser.index + 1) * 10**10 + (number + 1) * 104_729)


def _asset_time(seed: int, advertiser: Advertiser) -> datetime:
    return advertiser.created + timedelta(seconds=seed % 900_000)


def _audience(one: Advertiser, number: int, seed: int) -> Row:
    made = _asset_time(seed, one)
    return _row(
        "audiences",
        seed,
        audience_id=_asset_id(181, one, number),
        name=f"Audience, “{number + 1}”",
        audience_type=("Website Audience", "Lead Generation", "Customer File")[number % 3],
        calculate_type="MULTIPLE_TYPES" if number % 3 == 2 else None,
        cover_num=seed % 1_000_000,
        create_time=_text(made),
        expired_time=_text(made + timedelta(days=365)),
        is_valid=number % 4 != 3,
        is_expiring=False,
        is_creator=True,
        shared=False,
    )


def _in_library(ad: Ad, stream: str) -> int:
    """The seed of the asset that an ad uses: several ads use the same."""
    advertiser = ad.campaign.advertiser
    return hash64(advertiser.seed, stream, ad.index % _MAKERS[stream][0])


@dataclass(frozen=True, slots=True)
class Material:
    """A video or image of the library, as reports on creatives name it. Several ads use the same."""

    id: str
    kind: str
    name: str
    video_id: str | None = None
    image_id: str | None = None


def material_of(ad: Ad) -> Material:
    """The video or image that an ad shows."""
    advertiser, stream = ad.campaign.advertiser, "images" if ad.index % 3 == 0 else "videos"
    number, seed = ad.index % _MAKERS[stream][0], _in_library(ad, stream)
    if stream == "images":
        row = _image(advertiser, number, seed)
        return Material(row["material_id"], "IMAGE", row["file_name"], image_id=row["image_id"])
    row = _video(advertiser, number, seed)
    return Material(row["material_id"], "VIDEO", row["file_name"], video_id=row["video_id"])


def _image_id(seed: int) -> str:
    return f"ad-site-i18n-sg/{seed:016x}"


def _video_id(advertiser: Advertiser, seed: int) -> str:
    return f"v10033g5{advertiser.index}{seed % 10**12:012d}"


def _image(one: Advertiser, number: int, seed: int) -> Row:
    made = _asset_time(seed, one)
    return _row(
        "images",
        seed,
        image_id=_image_id(seed),
        material_id=_asset_id(182, one, number),
        format="jpeg",
        image_url=f"https://img.example.com/{seed:x}.jpeg?x-expires={1_772_000_000 + seed % 10**6}&x-signature=a%2Bb",
        height=720 + number,
        width=1280,
        signature=f"{seed:016x}" * 2,
        size=seed % 3_000_000,
        is_carousel_usable=number % 2 == 0,
        displayable=True,
        file_name=f"image {number}.jpeg",
        create_time=_iso(made),
        modify_time=_iso(made + timedelta(hours=number)),
    )


def _video(one: Advertiser, number: int, seed: int) -> Row:
    made = _asset_time(seed, one)
    return _row(
        "videos",
        seed,
        video_id=_video_id(one, seed),
        material_id=_asset_id(183, one, number),
        format="mp4",
        duration=[30.013, 15.0, 7.5][number % 3],
        bit_rate=seed % 6_000_000,
        height=1280,
        width=720,
        size=seed % 30_000_000,
        signature=f"{seed:016x}" * 2,
        allowed_placements=["PLACEMENT_TIKTOK", "PLACEMENT_PANGLE"],
        allow_download=True,
        displayable=number % 5 != 4,
        file_name=f"відео, {number}.mp4",
        preview_url=f"https://vid.example.com/{seed:x}?a=1&b=2",
        preview_url_expire_time=_text(made + timedelta(hours=6)),
        video_cover_url=f"https://img.example.com/{seed:x}.jpeg"
        + ("" if number % 4 == 3 else f"?x-expires={1_772_000_000 + seed % 10**6}"),
        create_time=_iso(made),
        modify_time=_iso(made + timedelta(hours=number)),
    )


def _music(one: Advertiser, number: int, seed: int) -> Row:
    made = _asset_time(seed, one)
    own = number % 2 == 0
    return _row(
        "music",
        seed,
        music_id=_asset_id(184, one, number),
        material_id=_asset_id(185, one, number),
        sources=["USER"] if own else ["SYSTEM"],
        name=f"Track “{number}”",
        author="Someone",
        liked=False,
        duration=30.5,
        create_time=_iso(made) if own else None,
        modify_time=_iso(made) if own else None,
    )


def _portfolio(one: Advertiser, number: int, seed: int) -> Row:
    return _row(
        "portfolios",
        seed,
        creative_portfolio_id=_asset_id(187, one, number),
        creative_portfolio_type=("CTA", "CARD", "PREMIUM_BADGE")[number % 3],
        creative_portfolio_preview_url=None if number % 2 else f"https://img.example.com/p/{seed:x}",
    )


def _spark_ad(one: Advertiser, number: int, seed: int) -> Row:
    made = _asset_time(seed, one)
    return _row(
        "spark_ads",
        seed,
        item_info={
            "item_id": _asset_id(188, one, number),
            "text": f"Post {number}\n#tag",
            "auth_code": "",
            "item_type": "VIDEO",
            "status": "AVAILABLE",
            "anchor_list": [],
        },
        user_info={
            "tiktok_name": f"user_{number}",
            "identity_id": f"{seed:016x}",
            "identity_type": "AUTH_CODE",
        },
        auth_info={
            "ad_auth_status": "AUTHORIZED",
            "auth_start_time": _text(made),
            "auth_end_time": _text(made + timedelta(days=365)),
            "invite_start_time": _text(made),
        },
        video_info={"duration": 15.2, "height": 1280, "width": 720, "size": seed % 10**7, "format": "mp4"},
    )


def _pixel(one: Advertiser, number: int, seed: int) -> Row:
    made = _asset_time(seed, one)
    return _row(
        "pixels",
        seed,
        pixel_id=_asset_id(186, one, number),
        pixel_code=f"C{seed:018X}",
        pixel_name=f"Pixel {number}",
        pixel_category="ONLINE_STORE",
        pixel_script='<script>\n!function (w, d) {"use strict"}(window, document);\n</script>',
        # Sources disagree about the format, so both come.
        create_time=int(made.timestamp()) if number % 2 else _text(made),
        advanced_matching_fields={"email": True, "phone_number": False},
        asset_ownership={"asset_relation": "OWNER", "owner_bc_id": str(seed % 10**12)},
        events=[{"event_id": str(seed % 10**9), "event_type": "ON_WEB_ORDER", "currency": one.currency}],
    )


def _identity(one: Advertiser, number: int, seed: int) -> Row:
    return _row(
        "identities",
        seed,
        identity_id=f"{seed:016x}" * 2,
        identity_type=("CUSTOMIZED_USER", "TT_USER", "AUTH_CODE", "BC_AUTH_TT")[number % 4],
        display_name=f"Brand {number}",
        can_push_video=number % 2 == 0,
    )


def _store(one: Advertiser, number: int, seed: int) -> Row:
    return _row(
        "gmv_max_stores",
        seed,
        store_id=_asset_id(189, one, number),
        store_name=f"Shop {number}, “best”",
        store_status=("ACTIVE", "INACTIVE")[number % 2],
        is_gmv_max_available=number != 3,
        store_authorized_bc_id=str(seed % 10**12),
        is_owner_bc=True,
        targeting_region_codes=["US", "GB"],
        store_authorized_bc_info={"bc_id": str(seed % 10**12), "bc_name": "Example BC", "user_role": "ADMIN"},
        exclusive_authorized_advertiser_info=(
            None if number == 1 else {"advertiser_id": one.id if number == 0 else "7999999999999999999"}
        ),
    )


_LANGUAGES = (("en", "English"), ("uk", "Українська"), ("de", "Deutsch"), ("ja", "日本語"))


def _language(one: Advertiser, number: int, seed: int) -> Row:
    code, name = _LANGUAGES[number]
    return _row("languages", seed, code=code, name=name)


def _interest(one: Advertiser, number: int, seed: int) -> Row:
    return _row(
        "interest_categories",
        number,
        interest_category_id=str(15_000 + number),
        interest_category_name=f"Interest {number} & more",
        level=1 + number % 4,
        sub_category_ids=[] if number % 4 == 3 else [str(15_001 + number)],
    )


def _action(one: Advertiser, number: int, seed: int) -> Row:
    return _row(
        "action_categories",
        number,
        action_category_id=str(16_000 + number),
        name=f"Action {number}",
        action_scene=("VIDEO_RELATED", "CREATOR_RELATED")[number % 2],
        level=1 + number % 3,
        description="What people did",
        sub_category_ids=[],
    )


_PLACES = (
    ("6252001", "United States", "COUNTRY", "US", "0"),
    ("2921044", "Germany", "COUNTRY", "DE", "0"),
    ("690791", "Україна", "COUNTRY", "UA", "0"),
    ("5332921", "California", "PROVINCE", "US", "6252001"),
    ("5391959", "San Francisco, “the City”", "CITY", "US", "5332921"),
    ("501", "New York, DMA", "PROVINCE", "US", "6252001"),
)


def _region(one: Advertiser, number: int, seed: int) -> Row:
    identity, name, level, country, parent = _PLACES[number]
    return _row(
        "regions",
        number,
        region_id=identity,
        region_name=name,
        region_level=level,
        country_code=country,
        parent_id=parent,
        area_type="METROPOLITAN_OR_DMA" if name.endswith("DMA") else "ADMIN",
        support_below_18=number % 2 == 0,
    )


def _instant_page_event(one: Advertiser, number: int, seed: int) -> Row:
    return {
        "business_type": ("SHOPPING", "FORM", "GAME")[number],
        "instant_page_events": {
            "objectives": [{"objective_type": "WEB_CONVERSIONS", "events": [f"EVENT_{seed % 90}"]}]
        },
    }


_MAKERS: dict[str, tuple[int, Callable[[Advertiser, int, int], Row]]] = {
    "audiences": (13, _audience),
    "images": (25, _image),
    "videos": (23, _video),
    "music": (12, _music),
    "portfolios": (7, _portfolio),
    "spark_ads": (11, _spark_ad),
    "pixels": (22, _pixel),
    "pixel_instant_page_events": (3, _instant_page_event),
    "identities": (9, _identity),
    "gmv_max_stores": (4, _store),
    "languages": (len(_LANGUAGES), _language),
    "interest_categories": (12, _interest),
    "action_categories": (8, _action),
    "regions": (len(_PLACES), _region),
}


def visible(world: World, advertiser: Advertiser, stream: str) -> list[Campaign] | list[AdGroup] | list[Ad]:
    """The campaigns, ad groups or ads that exist at the world's clock, newest id first."""
    now = world.now()
    pools: dict[str, list[Campaign] | list[AdGroup] | list[Ad]] = {
        "campaigns": advertiser.campaigns,
        "ad_groups": advertiser.ad_groups,
        "ads": advertiser.ads,
    }
    stream = {"smart_plus_campaigns": "campaigns", "smart_plus_ad_groups": "ad_groups"}.get(stream, stream)
    pool = pools["ads" if stream == "smart_plus_ads" else stream]
    chosen = [one for one in pool if one.created <= now and not _is_hidden(one)]
    return sorted(chosen, key=lambda one: one.id, reverse=True)  # type: ignore[return-value]


def _is_hidden(one: Campaign | AdGroup | Ad) -> bool:
    """Whether no list has it: GMV Max, and what is below a campaign that is reported as a whole."""
    campaign = campaign_of(one)
    return campaign.only_account or (campaign.only_whole and campaign is not one)


def campaign_of(one: Campaign | AdGroup | Ad) -> Campaign:
    """The campaign, or the one above an ad group or ad."""
    return one if isinstance(one, Campaign) else one.campaign


def kind_of(one: Campaign | AdGroup | Ad) -> str:
    """The kind of a campaign, or of the one above an ad group or ad."""
    return campaign_of(one).kind


_PROMOTE_FIELDS = ("id", "_id", "_name", "_status", "_time", "campaign_system_origin", "objective", "budget")


def managed_row(stream: str, one: Campaign | AdGroup | Ad, now: datetime) -> Row:
    """The row of one campaign, ad group or ad; a Promote one has fewer fields."""
    if isinstance(one, Campaign):
        row = _campaign(one, now, stream)
    elif isinstance(one, AdGroup):
        row = _ad_group(one, now, stream)
    else:
        row = _smart_ad(one, now) if stream == "smart_plus_ads" else _ad(one, now)
    if "campaign_system_origin" in row:
        promote = kind_of(one) == PROMOTE
        row["campaign_system_origin"] = "PROMOTE" if promote else None
        if promote:
            row = {name: value for name, value in row.items() if name.endswith(_PROMOTE_FIELDS)}
    return row


MANAGED = frozenset({"campaigns", "ad_groups", "ads", "smart_plus_campaigns", "smart_plus_ad_groups", "smart_plus_ads"})
"""Streams whose rows can be deleted and are filtered by status."""


def entity_rows(
    world: World,
    advertiser_id: str,
    stream: str,
    include_deleted: bool = True,
    fields: frozenset[str] | None = None,
    kinds: Collection[str] = (ORDINARY,),
) -> list[Row]:
    """All rows of a stream of one account, with wire types, in the order of the endpoint.

    ``fields`` adds those of :data:`EXTRA_FIELDS` that it names; None means every field. ``kinds`` are those of
    :data:`.world.KINDS_OF_ADS` that are wanted of campaigns, ad groups and ads; the lists hide the others.
    """
    advertiser = world.advertiser(advertiser_id)
    if stream == "advertiser_ids":
        return [{"advertiser_id": advertiser.id, "advertiser_name": advertiser.name}]
    if stream == "advertisers":
        hidden = EXTRA_FIELDS["advertisers"] - (fields or frozenset())
        row = _advertiser(advertiser)
        return [{name: value for name, value in row.items() if name not in hidden}]
    if stream in MANAGED:
        now = world.now()
        pool = [one for one in visible(world, advertiser, stream) if kind_of(one) in kinds]
        return [managed_row(stream, one, now) for one in pool if include_deleted or not one.deleted]
    count, maker = _MAKERS[stream]
    return [maker(advertiser, number, hash64(advertiser.seed, stream, number)) for number in range(count)]


def pixel_statistics(advertiser: Advertiser, pixel_id: str, first: date, last: date) -> Row:
    """The events that a pixel counted from ``first`` to ``last`` (days in UTC), added up per event."""
    days = range(first.toordinal(), last.toordinal() + 1)
    events = ("COMPLETE_PAYMENT", "ADD_TO_CART", "VIEW_CONTENT")
    counts = {name: sum(hash64(advertiser.seed, pixel_id, name, day) % 500 for day in days) for name in events}
    return {
        "pixel_id": pixel_id,
        "statistics": [{"event_type": name, "total_count": count} for name, count in counts.items()],
    }
