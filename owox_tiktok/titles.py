"""What people call a field, and where they look for it: "Cost per conversion", under Conversions.

A title follows from the field's name by rules, and from a short table where TikTok's name is not what people say.
No two fields of one object have the same title.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal

Category = Literal["Names", "Delivery", "Video", "Clicks", "Conversions", "App", "Shop", "LIVE", "Properties"]
CATEGORIES: tuple[Category, ...] = (
    "Delivery", "Video", "Clicks", "Conversions", "App", "Shop", "LIVE", "Names", "Properties",
)  # fmt: skip
"""In the order of the picker. *Names* are what identifies and describes a row of a report, *Properties* a list's."""

_SAID: Mapping[str, str] = {
    "stat_time_day": "Day",
    "stat_time_hour": "Hour",
    "first_day": "First day of the period",
    "last_day": "Last day counted",
    "search_terms": "Search term",
    "skan_postback_sequence": "SKAN postback",
    "behavior_id": "Behaviour ID",
    "ad_type": "Type of ad",
    "advertiser_id": "Account ID",
    "advertiser_name": "Account name",
    "adgroup_id": "Ad group ID",
    "adgroup_name": "Ad group name",
    "ac": "Connection",
    "country_code": "Country",
    "dma_id": "US market area ID",
    "interest_category": "Interest ID",
    "interest_category_tier2": "Interest ID, tier 2",
    "interest_category_tier3": "Interest ID, tier 3",
    "interest_category_tier4": "Interest ID, tier 4",
    "gross_impressions": "Impressions, gross",
    "cost_per_1000_reached": "Cost per 1,000 people reached",
    "conversion": "Conversions",
    "conversion_rate": "Conversion rate (clicks)",
    "conversion_rate_v2": "Conversion rate (impressions)",
    "real_time_conversion": "Conversions by time of conversion",
    "real_time_cost_per_conversion": "Cost per conversion by time of conversion",
    "real_time_conversion_rate": "Conversion rate (clicks) by time of conversion",
    "real_time_conversion_rate_v2": "Conversion rate (impressions) by time of conversion",
    "result": "Results",
    "real_time_result": "Results by time of conversion",
    "real_time_cost_per_result": "Cost per result by time of conversion",
    "real_time_result_rate": "Result rate by time of conversion",
    "real_time_app_install": "App installs by time of install",
    "real_time_app_install_cost": "Cost per app install by time of install",
    "skan_conversion_rate": "SKAN conversion rate (clicks)",
    "skan_conversion_rate_v2": "SKAN conversion rate (impressions)",
    "video_play_actions": "Video views",
    "video_watched_2s": "2-second video views",
    "video_watched_6s": "6-second video views",
    "video_views_p25": "Video views at 25%",
    "video_views_p50": "Video views at 50%",
    "video_views_p75": "Video views at 75%",
    "video_views_p100": "Video views at 100%",
    "average_video_play": "Average play time per view",
    "average_video_play_per_user": "Average play time per person",
    "engaged_view_15s": "Engaged views (15 seconds)",
    "paid_engaged_view_15s": "Paid engaged views (15 seconds)",
    "paid_engagement_engaged_view_15s": "Paid engagement engaged views (15 seconds)",
    "app_install": "App installs",
    "complete_payment": "Purchases on the website",
    "cost_per_complete_payment": "Cost per purchase on the website",
    "complete_payment_rate": "Website purchase rate (clicks)",
    "total_complete_payment_rate": "Value of purchases on the website",
    "value_per_complete_payment": "Value per purchase on the website",
    "complete_payment_roas": "ROAS of purchases on the website",
    "web_event_add_to_cart": "Added to cart on the website",
    "onsite_shopping": "Shop purchases",
    "cost_per_onsite_shopping": "Cost per Shop purchase",
    "onsite_shopping_rate": "Shop purchase rate",
    "value_per_onsite_shopping": "Value per Shop purchase",
    "total_onsite_shopping_value": "Value of Shop purchases",
    "onsite_shopping_roas": "Shop ROAS",
    "purchase": "Purchases in the app",
    "total_purchase": "Purchases in the app, total",
    "purchase_rate": "App purchase rate",
    "cost_per_purchase": "Cost per purchase in the app",
    "total_active_pay_roas": "ROAS of purchases in the app",
    "total_purchase_value": "Value of purchases in the app",
    "ctr": "CTR",
    "cpc": "CPC",
    "cpm": "CPM",
    "opt_status": "Optimisation status",
}
_WORDS: Mapping[str, str] = {
    "id": "ID", "ids": "IDs", "url": "URL", "urls": "URLs", "ctr": "CTR", "cpc": "CPC", "cpm": "CPM", "cpv": "CPV",
    "roas": "ROAS", "skan": "SKAN", "vta": "view-through", "cta": "click-through", "evta": "engaged-view-through",
    "tiktok": "TikTok", "tt": "TikTok", "crm": "CRM", "ios": "iOS", "ios14": "iOS 14", "rf": "Reach & Frequency",
    "rta": "RTA", "dpa": "DPA", "aeo": "AEO", "adgroup": "ad group", "ix": "instant page",
    "live": "LIVE", "us": "US", "dma": "DMA", "hfss": "HFSS", "bc": "Business Center", "po": "PO", "cbo": "CBO",
    "android": "Android", "gmv": "GMV", "avg": "average", "pageview": "page view", "gamerole": "game character",
    "viewrate": "view rate", "smart": "Smart", "vbo": "VBO", "qr": "QR", "shop": "Shop", "md5": "MD5", "cpa": "CPA",
    "timezone": "time zone", "license": "licence", "cellphone": "mobile phone",
}  # fmt: skip

_WHERE: Mapping[str, str] = {
    "_native_growth_": " (Native Growth)", "_onsite_on_web_": ", Shop on the web", "_onsite_": ", on TikTok",
    "_offline_": ", offline", "_website_": ", on the website", "_on_web_": ", on the web",
}  # fmt: skip
"""Where something happened: it stands behind what happened, wherever TikTok's name says it."""


@cache
def title(name: str) -> str:
    """Return what people call the field ``name``: the heading of its column, and how the picker lists it."""
    if name in _SAID:
        return _SAID[name]
    where = next((words for mark, words in _WHERE.items() if mark in f"_{name}_"), "")
    bare = f"_{name}_"
    for mark in _WHERE:
        bare = bare.replace(mark, "_", 1) if bare != mark else bare
    text = " ".join(_word(one) for one in bare.split("_") if one) or name
    return (text if text.startswith("iOS") else text[0].upper() + text[1:]) + where


def _word(one: str) -> str:
    if one in _WORDS:
        return _WORDS[one]
    if found := re.fullmatch(r"(?:day|d)(\d+)", one):
        return f"day {found[1]}"
    if found := re.fullmatch(r"p(\d+)", one):
        return f"at {found[1]}%"
    if found := re.fullmatch(r"(\d+)s", one):
        return f"{found[1]} seconds"
    return one


_BY_GROUP: Mapping[str, Category] = {
    "attribute": "Names", "core": "Delivery", "video": "Video", "click": "Clicks", "social": "Clicks",
    "image": "Clicks", "interactive_add_on": "Clicks", "instant_experience": "Clicks", "messaging": "Conversions",
    "website": "Conversions", "offline": "Conversions", "tiktok_onsite": "Conversions", "attribution": "Conversions",
    "app": "App", "skan": "App", "native_growth": "App", "shop": "Shop", "live": "LIVE",
}  # fmt: skip
_CONVERSION = re.compile(r"conversion|result")
_CLICK = re.compile(r"^(?:clicks|ctr|cpc)$|_clicks?$")


def category(name: str, group: str, *, of_report: bool) -> Category:
    """Return under which heading of the picker a field stands, from its name and the catalogue's ``group``."""
    if not of_report:
        return "Properties"
    found = _BY_GROUP.get(group, "Names")
    if found == "Delivery" and _CONVERSION.search(name):
        return "Conversions"
    return "Clicks" if found == "Delivery" and _CLICK.search(name) else found
