"""Attribute metrics: texts, ids and settings of the entity a report row belongs to."""

from __future__ import annotations

from decimal import Decimal

from owox_tiktok.local.tiktok.world import PROMOTE, Ad, AdGroup, Advertiser, Campaign, Entity

AttributeValue = str | bool | Decimal | None

_PLACEMENTS = ("Automatic Placement", "TikTok,News Feed App Series,Helo,Pangle", "TikTok")
_OBJECTIVES = ("TRAFFIC", "WEB_CONVERSIONS", "APP_PROMOTION", "REACH")


def objective(campaign: Campaign) -> str:
    """The campaign's advertising objective."""
    return _OBJECTIVES[campaign.seed % len(_OBJECTIVES)]


def budget_of(entity: Campaign | AdGroup) -> Decimal:
    """The entity's budget in account currency; 0 means unlimited."""
    return Decimal(0) if entity.index % 2 else Decimal(50 + entity.seed % 2_000)


def bid_of(group: AdGroup) -> Decimal | None:
    """The ad group's bid; None when TikTok bids by itself."""
    return Decimal(10 + group.seed % 300) / 100 if group.index % 3 == 0 else None


def ad_text(ad: Ad) -> str:
    """The ad's main text; some hold line ends and quotes."""
    return (
        f"Text of ad {ad.index + 1}",
        f'Two lines,\n"quoted" {ad.index + 1}',
        f"=A1 – ціна від 1 ₴ {ad.index + 1}",
    )[ad.index % 3]


def _money(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(Decimal("0.01"))


def _of_advertiser(name: str, advertiser: Advertiser) -> AttributeValue:
    return {"advertiser_name": advertiser.name, "currency": advertiser.currency}[name]


def _of_campaign(name: str, campaign: Campaign) -> AttributeValue:
    app = objective(campaign) == "APP_PROMOTION"
    known: dict[str, AttributeValue] = {
        "campaign_automation_type": "UPGRADED_SMART_PLUS" if campaign.smart_plus else "MANUAL",
        "campaign_name": campaign.name,
        "campaign_id": campaign.id,
        "objective_type": objective(campaign),
        "split_test": "0",
        "campaign_budget": _money(budget_of(campaign)),
        "campaign_dedicate_type": "regular campaign",
        "app_promotion_type": "APP_INSTALL" if app else "UNSET",
        "minis_name": f"Minis, number {campaign.index + 1}",
        "optimization_event": None if campaign.index % 2 else "PURCHASE",
    }
    return known[name]


def _of_group(name: str, group: AdGroup) -> AttributeValue:
    app = objective(group.campaign) == "APP_PROMOTION"
    known: dict[str, AttributeValue] = {
        "adgroup_name": group.name,
        "adgroup_id": group.id,
        "placement_type": _PLACEMENTS[group.index % len(_PLACEMENTS)],
        "promotion_type": "Other" if group.campaign.kind == PROMOTE else "App" if app else "Website",
        "opt_status": "Active" if group.enabled else "Paused",
        "adgroup_download_url": "https://play.example.com/store/app" if app else "",
        "profile_image": f"https://img.example.com/profile/{group.index}.jpeg",
        "dpa_target_audience_type": None,
        "budget": _money(budget_of(group)),
        "smart_target": "Conversions" if group.index % 2 else "-" if group.index % 4 else "Clicks",
        "pricing_category": "9" if group.index % 2 else "1",
        "billing_event": "OCPM" if group.index % 2 else "CPC",
        "bid_strategy": "Bid Cap" if bid_of(group) is not None else "No Bid",
        "bid": _money(bid_of(group)),
        "bid_secondary_goal": None,
        "aeo_type": "0",
        "tt_app_id": str(7_100_000_000_000_000_000 + group.seed % 10**9) if app else "0",
        "tt_app_name": "Example, the app" if app else "0",
        "mobile_app_id": str(10**9 + group.seed % 10**9) if app else "0",
        "is_aco": group.index % 7 == 3,
    }
    value = known[name]
    return None if value == "-" else value


def _of_ad(name: str, ad: Ad) -> AttributeValue:
    known: dict[str, AttributeValue] = {
        "ad_name": ad.name,
        "ad_id": ad.id,
        "ad_text": ad_text(ad),
        "call_to_action": ("Learn more", "Shop now", "Download")[ad.index % 3],
        "ad_profile_image": f"https://img.example.com/ad/{ad.index}.jpeg",
        "ad_url": f"https://shop.example.com/?utm_source=tiktok&utm_content=a%20{ad.index}",
        "image_mode": "Single Video" if ad.index % 3 else "Single Image",
        "is_smart_creative": ad.index % 10 == 9,
    }
    return known[name]


def attribute(name: str, entity: Entity) -> AttributeValue:
    """The value of an attribute metric on a row of this entity; None where TikTok sends "-".

    An entity answers with its own attributes and those of everything above it.
    """
    if isinstance(entity, Ad):
        try:
            return _of_ad(name, entity)
        except KeyError:
            return attribute(name, entity.group)
    if isinstance(entity, AdGroup):
        try:
            return _of_group(name, entity)
        except KeyError:
            return attribute(name, entity.campaign)
    if isinstance(entity, Campaign):
        try:
            return _of_campaign(name, entity)
        except KeyError:
            return attribute(name, entity.advertiser)
    return _of_advertiser(name, entity)
