"""The metrics of the reports, and the presets of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from owox_tiktok.model import Field, Kind
from owox_tiktok.streams.common import rows

MAX_METRICS = 100
"""Most metrics TikTok gives in one report request; more are asked for in several."""

PRESETS: Mapping[str, tuple[str, ...]] = {
    "performance": (
        "spend", "impressions", "clicks", "ctr", "cpc", "cpm", "reach", "frequency", "conversion",
        "cost_per_conversion", "conversion_rate_v2", "result", "cost_per_result", "result_rate",
    ),
    "video": (
        "spend", "impressions", "video_play_actions", "video_watched_2s", "video_watched_6s", "video_views_p25",
        "video_views_p50", "video_views_p75", "video_views_p100", "average_video_play", "engaged_view",
        "likes", "comments", "shares", "follows", "profile_visits",
    ),
    "ecommerce": (
        "spend", "impressions", "clicks", "complete_payment", "cost_per_complete_payment", "complete_payment_rate",
        "value_per_complete_payment", "total_complete_payment_rate", "complete_payment_roas",
        "web_event_add_to_cart", "total_landing_page_view", "onsite_shopping", "cost_per_onsite_shopping",
        "total_onsite_shopping_value", "onsite_shopping_roas",
    ),
    "app": (
        "spend", "impressions", "clicks", "app_install", "cost_per_app_install", "real_time_app_install",
        "registration", "cost_per_registration", "purchase", "cost_per_purchase", "total_purchase",
        "total_purchase_value", "total_active_pay_roas", "skan_app_install",
    ),
}  # fmt: skip
"""Named sets of metrics; a preset on a report means those of its metrics that the report has."""


class Metric(NamedTuple):
    """A report field with the places where TikTok gives it.

    ``by_country``: "yes" where TikTok documents it with countries, "plain" where it does so in plain reports and not in
    audience reports, "connector" where only a connector that people use asks for it. ``promote`` are the reports that
    give it for Promote ads. ``splits`` are the other splits of which TikTok lists it, in the words of ``Breakdown``.
    """

    field: Field
    levels: frozenset[str]
    reports: frozenset[str]
    by_country: str
    promote: frozenset[str]
    granularities: frozenset[str]
    splits: frozenset[str]


@cache
def metrics() -> Mapping[str, Metric]:
    """Return every metric and attribute a report may be asked for, by name, in catalogue order."""
    return {
        row["name"]: Metric(
            Field(
                row["name"],
                Kind(row["kind"]),
                row["description"],
                unit=row["unit"],
                additive=row["additive"] == "yes",
                group=row["group"],
                origin="metric",
                deprecated=row["deprecated"] == "yes",
            ),
            frozenset(row["levels"].split()),
            frozenset(row["reports"].upper().split()),
            row["by_country"],
            frozenset(row["promote"].upper().split()),
            frozenset(row["granularities"].split()),
            frozenset(row["splits"].split()),
        )
        for row in rows("metrics.csv")
    }
