"""How each metric follows from what an ad delivered, and with how many decimals TikTok writes it.

Four kinds of definition cover the whole catalogue:

* :class:`Total` – a number per ad and day that adds up over ads, days and parts of a split;
* :class:`Unique` – people or unique events: a share of a total that shrinks with the level, so it
  does *not* add up;
* :class:`Ratio` – one number over another, missing when the lower one is zero;
* :class:`Remainder` – a total minus another total.

Attributes (names, settings) are texts of the entity and live in :mod:`.attributes`. The well-known
metrics are defined by hand; the rest find their partner (``cost_per_x`` and ``x``) by the words in
their names, which is good enough to be plausible.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from owox_tiktok.local.tiktok.catalogue import MetricInfo, metric_infos
from owox_tiktok.local.tiktok.world import hash64

EARLY_GROUPS = frozenset({"core", "video", "click", "social", "live", "image", "interactive_add_on"})
"""Groups that are known at once; the others are conversions and keep growing for seven days."""

UNIQUE_SHARE = {"ad": 830, "ad_group": 800, "campaign": 770, "advertiser": 740, "": 700}
"""Unique per thousand of the full count, by level ("" = no id in the grouping)."""


@dataclass(frozen=True, slots=True)
class Total:
    """``driver * (share + 0…63) / 1024`` per ad and day; ``per_unit`` means ``driver * (share + 0…1023)``.

    The driver is impressions, clicks, spend or another total. Money is in hundredths.
    """

    name: str
    driver: str
    share: int
    shift: int
    late: bool
    money: bool
    decimals: int
    per_unit: bool = False
    missing_when_zero: bool = False


@dataclass(frozen=True, slots=True)
class Unique:
    """A share of a total that depends on the level of the row."""

    name: str
    total: str
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Ratio:
    """``upper * factor / lower``, rounded half up; missing when ``lower`` is zero."""

    name: str
    upper: str
    lower: str
    factor: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Remainder:
    """``whole - part``, both money totals in hundredths."""

    name: str
    whole: str
    part: str
    decimals: int = 2


Definition = Total | Unique | Ratio | Remainder

# name: driver, share of 1024 (a family shares its shift, so that 75 % views never exceed 50 % views)
_TOTALS: dict[str, tuple[str, int, int]] = {
    "gross_impressions": ("impressions", 1030, 5),
    "voucher_spend": ("spend", 60, 9),
    "conversion": ("clicks", 90, 11),
    "real_time_conversion": ("clicks", 80, 11),
    "result": ("clicks", 90, 11),
    "real_time_result": ("clicks", 80, 11),
    "secondary_goal_result": ("clicks", 4, 13),
    "video_play_actions": ("impressions", 900, 17),
    "video_watched_2s": ("impressions", 600, 17),
    "video_watched_6s": ("impressions", 300, 17),
    "video_views_p25": ("impressions", 420, 17),
    "video_views_p50": ("impressions", 280, 17),
    "video_views_p75": ("impressions", 160, 17),
    "video_views_p100": ("impressions", 80, 17),
    "engaged_view": ("impressions", 290, 17),
    "engaged_view_15s": ("impressions", 120, 17),
    "engagements": ("clicks", 1100, 19),
    "likes": ("clicks", 500, 21),
    "comments": ("clicks", 40, 23),
    "shares": ("clicks", 30, 25),
    "follows": ("clicks", 50, 27),
    "profile_visits": ("clicks", 200, 29),
    "complete_payment": ("clicks", 30, 31),
    "total_landing_page_view": ("clicks", 700, 33),
    "total_registration": ("clicks", 60, 35),
    "total_purchase": ("clicks", 25, 37),
    "app_install": ("clicks", 110, 39),
    "real_time_app_install": ("clicks", 100, 39),
}

_RATIOS: dict[str, tuple[str, str, int, int]] = {
    "cpc": ("spend", "clicks", 1, 2),
    "cpm": ("spend", "impressions", 1000, 2),
    "ctr": ("clicks", "impressions", 100, 2),
    "cost_per_1000_reached": ("spend", "reach", 1000, 3),
    "frequency": ("impressions", "reach", 1, 2),
    "cost_per_conversion": ("spend", "conversion", 1, 3),
    "conversion_rate": ("conversion", "clicks", 100, 2),
    "conversion_rate_v2": ("conversion", "impressions", 100, 2),
    "real_time_cost_per_conversion": ("spend", "real_time_conversion", 1, 3),
    "real_time_conversion_rate": ("real_time_conversion", "clicks", 100, 2),
    "real_time_conversion_rate_v2": ("real_time_conversion", "impressions", 100, 2),
    "cost_per_result": ("spend", "result", 1, 4),
    "result_rate": ("result", "impressions", 100, 2),
    "real_time_cost_per_result": ("spend", "real_time_result", 1, 4),
    "real_time_result_rate": ("real_time_result", "impressions", 100, 2),
    "cost_per_secondary_goal_result": ("spend", "secondary_goal_result", 1, 4),
    "secondary_goal_result_rate": ("secondary_goal_result", "impressions", 100, 2),
    "average_video_play": ("video_views_p25", "video_play_actions", 7, 2),
    "average_video_play_per_user": ("video_views_p25", "reach", 8, 2),
    "engagement_rate": ("engagements", "impressions", 100, 2),
    "anchor_click_rate": ("anchor_clicks", "impressions", 100, 2),
    "profile_visits_rate": ("profile_visits", "impressions", 100, 2),
    "complete_payment_roas": ("total_complete_payment_rate", "spend", 1, 2),
    "value_per_complete_payment": ("total_complete_payment_rate", "complete_payment", 1, 3),
    "ix_page_duration_avg": ("ix_video_views", "ix_video_views_p25", 9, 2),
    "ix_average_video_play": ("ix_video_views_p25", "ix_video_views", 11, 2),
}

_FILLER = frozenset({"cost", "per", "value", "rate", "roas", "total", "count", "avg", "revenue"})


def _words(name: str) -> frozenset[str]:
    return frozenset(word.rstrip("s") for word in name.split("_") if word not in _FILLER)


def _partner(info: MetricInfo, kind: str, *, additive: bool = False) -> str | None:
    """The count (or value) of the same group whose name shares the most words with this one."""
    words = _words(info.name)
    best, best_score = None, 0
    for other in metric_infos().values():
        if other.group != info.group or other.kind != kind or other.name == info.name:
            continue
        if (additive or kind == "money") and not other.additive:
            continue
        theirs = _words(other.name)
        score = 3 * len(words & theirs) - len(words ^ theirs)
        score = 2 * score + (("total" in info.name) == ("total" in other.name))
        if words & theirs and score > best_score:
            best, best_score = other.name, score
    return best


def _decimals(info: MetricInfo) -> int:
    """Money comes with two, three or four decimals depending on the metric; everything else with two."""
    if info.kind == "count":
        return 0
    if info.kind == "money" and info.group != "core":
        return 2 + hash64("decimals", info.name) % 3
    return 2


def _total(info: MetricInfo) -> Definition:
    name, bits = info.name, hash64("metric", info.name)
    late = info.group not in EARLY_GROUPS or name in ("conversion", "result", "secondary_goal_result")
    shift = 3 + bits % 48
    money = info.kind == "money"
    decimals = _decimals(info)
    if name in ("impressions", "clicks", "spend"):
        return Total(name, name, 1024, {"impressions": 5, "clicks": 7, "spend": 9}[name], False, money, decimals)
    if name in ("billed_cost", "cost"):
        return Total(name, "spend", 1024, 9, False, True, decimals)
    if name == "cash_spend":
        return Remainder(name, "spend", "voucher_spend")
    if name in _TOTALS:
        driver, share, shift = _TOTALS[name]
        return Total(name, driver, share, shift, late, money, decimals, missing_when_zero=name.startswith("secondary"))
    if money:
        # A value is its event's count times a price, so there is never a value without an event.
        partner = "complete_payment" if name == "total_complete_payment_rate" else _partner(info, "count")
        if partner is not None and not isinstance(definition(partner), Total):
            partner = None
        return Total(name, partner or "conversion", 900 + bits % 5000, shift, False, True, decimals, per_unit=True)
    driver, share = ("impressions", 20 + bits % 200) if info.group == "video" else ("clicks", 8 + bits % 120)
    return Total(name, driver, share, shift, late, money, decimals)


def _ratio(info: MetricInfo) -> Ratio:
    name, decimals = info.name, _decimals(info)
    if name in _RATIOS:
        return Ratio(name, *_RATIOS[name])
    count = _partner(info, "count")
    value = _partner(info, "money")
    if "roas" in name:
        return Ratio(name, value or "spend", "spend", 1, decimals)
    if "value_per" in name and value is not None and count is not None:
        return Ratio(name, value, count, 1, decimals)
    if info.kind == "money":
        return Ratio(name, "spend", count or "clicks", 1, decimals)
    return Ratio(name, count or "clicks", "impressions" if info.group in EARLY_GROUPS else "clicks", 100, decimals)


@cache
def definition(name: str) -> Definition:
    """How a metric (not an attribute) is computed."""
    info = metric_infos()[name]
    if info.group == "attribute":
        raise KeyError(name)
    if info.additive:
        return _total(info)
    if info.kind == "count":
        if name == "reach":
            return Unique(name, "impressions")
        return Unique(name, _partner(info, "count", additive=True) or "conversion")
    return _ratio(info)
