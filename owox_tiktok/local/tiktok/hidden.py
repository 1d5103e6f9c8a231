"""Ads that TikTok hides unless a request asks for them by name: Promote and TopView.

Promote campaigns are made in the TikTok app, TopView ones are bookings. Which dimensions and metrics Promote has is
TikTok's own list; a metric outside it comes as a meaningless "0".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from owox_tiktok.local.tiktok import metric_sets
from owox_tiktok.local.tiktok.catalogue import ID_DIMENSIONS, metric_infos
from owox_tiktok.local.tiktok.world import KINDS_OF_ADS, ORDINARY, PROMOTE, TOP_VIEW

PLATFORM_ORIGIN, PROMOTE_ORIGIN = "TT_ADS_PLATFORM", "PROMOTE"
ORIGINS = frozenset({PLATFORM_ORIGIN, PROMOTE_ORIGIN})
TOP_VIEW_BUYING = "RESERVATION_TOP_VIEW"
BUYING_TYPES = frozenset({"AUCTION", "RESERVATION_RF", TOP_VIEW_BUYING})

MIXED_BUYING_TYPES = f"The value '{TOP_VIEW_BUYING}' cannot be combined with other enum values."

_PROMOTE_SPLITS = frozenset(
    {
        "gender",
        "age",
        "country_code",
        "province_id",
        "dma_id",
        "ac",
        "platform",
        "interest_category",
        "placement",
        "ad_type",
        "device_brand_id",
    }
)
"""Audience dimensions that Promote ads have."""

_PROMOTE_GROUPS_BASIC = frozenset({"live", "app"})
"""Groups of metrics that Promote ads have in BASIC, besides the named ones."""


def promote_has_metric(name: str, report_type: str) -> bool:
    """Whether a number of Promote ads means something in this report; attributes always do."""
    info = metric_infos()[name]
    if info.group == "attribute" or name in metric_sets.PROMOTE:
        return True
    return report_type == "BASIC" and (name in metric_sets.PROMOTE_BASIC_ONLY or info.group in _PROMOTE_GROUPS_BASIC)


def promote_has_dimensions(report_type: str, level: str, dimensions: Collection[str]) -> bool:
    """Whether Promote ads can be reported with these dimensions: never by account, hour or (BASIC) country."""
    if level == "advertiser":
        return False
    rest = {name for name in dimensions if name not in ID_DIMENSIONS} - {"stat_time_day"}
    return rest <= (_PROMOTE_SPLITS if report_type == "AUDIENCE" else frozenset())


def kinds_asked(
    level: str, origins: Collection[str] | None, buying: Collection[str] | None, *, top_view_at_advertiser: bool
) -> frozenset[str]:
    """The kinds of ads a synchronous report covers with these filters (None = not filtered)."""
    kinds = set(KINDS_OF_ADS)
    if PROMOTE_ORIGIN not in (origins or ()):
        kinds.discard(PROMOTE)
    if origins is not None and PLATFORM_ORIGIN not in origins:
        kinds -= {ORDINARY, TOP_VIEW}
    if buying is not None:
        if TOP_VIEW_BUYING not in buying:
            kinds.discard(TOP_VIEW)
        if "AUCTION" not in buying:
            kinds -= {ORDINARY, PROMOTE}
    elif not (level == "advertiser" and top_view_at_advertiser):
        kinds.discard(TOP_VIEW)
    return frozenset(kinds)


def kinds_in_all(
    report_type: str, level: str, dimensions: Sequence[str], *, top_view_at_advertiser: bool
) -> frozenset[str]:
    """The kinds of ads that all answers of a report hold together, those with filters included."""
    if level == "advertiser":
        # One account has one row, so answers with different filters cannot stand beside each other.
        return kinds_asked(level, None, None, top_view_at_advertiser=top_view_at_advertiser)
    kinds = {ORDINARY, TOP_VIEW}
    if promote_has_dimensions(report_type, level, dimensions):
        kinds.add(PROMOTE)
    return frozenset(kinds)
