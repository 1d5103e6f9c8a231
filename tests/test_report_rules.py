"""Every report against a table of TikTok's rules, ``report_rules.json``: groupings, days, metrics; exceptions by name.

The table is written from TikTok's documentation and kept apart from the program's catalogue, so that a mistake in one
of them shows. What the program asks beyond the table is listed here with its reason; nothing else may be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok.model import Stream
from owox_tiktok.streams import AD_ID_V2, STREAMS, metrics

RULES: dict[str, Any] = json.loads(Path(__file__).with_name("report_rules.json").read_text(encoding="utf-8"))
REPORTS = pytest.mark.parametrize("stream", [s for s in STREAMS.values() if s.is_report], ids=lambda s: s.name)
BASIC, AUDIENCE = RULES["basic"], RULES["audience"]


def named(lines: list[str]) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


ATTRIBUTES = frozenset(name for name, known in metrics().items() if known.field.group == "attribute")
"""Names and settings of campaigns, ad groups and ads: by country no page lists them, and yet TikTok gives them."""

BY_COUNTRY_ALTHOUGH_UNLISTED = frozenset((
    "average_video_play_per_user", "cost_per_1000_reached", "cost_per_sales_lead", "cost_per_secondary_goal_result",
    "cost_per_total_app_event_add_to_cart", "cost_per_total_sales_lead", "cta_conversion", "cta_purchase",
    "onsite_shopping", "sales_lead", "sales_lead_rate", "secondary_goal_result", "secondary_goal_result_rate",
    "total_app_event_add_to_cart", "total_complete_payment_rate", "total_onsite_shopping_value", "total_pageview",
    "total_purchase_value", "value_per_complete_payment", "vta_conversion", "vta_purchase",
))  # fmt: skip
"""Metrics that another shipped connector asks by country although TikTok's page does not list them; in no preset."""

NOT_LISTED = frozenset(
    ("custom_event_type", "event_source_id", "minis_id", "skan_postback_sequence", "image_id", "video_material_id")
)
"""Splits whose metrics TikTok lists nowhere: those by type of ad are asked for, and what is refused is left out."""

REFUSED_AND_LEFT_OUT = {
    "audience_by_country": frozenset(("reach", "frequency", "engaged_view", "engaged_view_15s")),
}
"""Offered, and refused by TikTok where the table is right: the import reads the rest and says so."""


def times(stream: Stream) -> list[str]:
    return [d for d in stream.dimensions if d.startswith("stat_time")]


IDS = frozenset({*RULES["id_of_level"].values(), AD_ID_V2})
"""An ad has two: of itself as a whole, and of a creative of it where it is an Upgraded Smart+ one."""


def splits(stream: Stream) -> list[str]:
    return [d for d in stream.dimensions if not d.startswith("stat_time") and d not in IDS]


@REPORTS
def test_a_report_is_grouped_as_the_table_allows(stream: Stream) -> None:
    assert stream.level is not None
    ids = [d for d in stream.dimensions if d in IDS]
    assert ids in ([RULES["id_of_level"][stream.level]], [AD_ID_V2] if stream.level == "ad" else [])
    assert len(times(stream)) <= 1
    if stream.report_type == "BASIC":
        assert splits(stream) in BASIC["splits"]
        assert stream.level in BASIC["levels_of"].get((splits(stream) or [""])[0], RULES["id_of_level"])
        assert (times(stream) or ["none"])[0] in BASIC["times"]
        if not times(stream):
            assert not set(stream.dimensions) & set(BASIC["lifetime_excludes"])
    elif "stat_time_hour" in times(stream):
        assert splits(stream) == AUDIENCE["by_hour"]
    else:
        permitted = AUDIENCE["daily"] + ([] if times(stream) else AUDIENCE["without_a_day_only"])
        assert set(splits(stream)) <= set(permitted)
        assert len(splits(stream)) == 1 or sorted(splits(stream)) in AUDIENCE["together"]
        assert "stat_time_hour" not in times(stream)


@REPORTS
def test_a_report_asks_for_no_more_days_or_rows_at_once_than_the_table_allows(stream: Stream) -> None:
    most = RULES["window_days"][(times(stream) or ["none"])[0]]
    assert (stream.max_days or 0) <= most
    assert bool(stream.max_days) == bool(times(stream) or stream.period), (
        "what has no day is asked for its whole life, or 365 days"
    )
    assert stream.page_size is not None
    assert stream.page_size <= RULES["most_rows_per_page"]


@REPORTS
def test_a_report_offers_the_metrics_that_the_table_allows_and_named_exceptions(stream: Stream) -> None:
    table, by_country = RULES["metrics"], "country_code" in stream.dimensions
    asked = {name for name, field in stream.fields.items() if field.origin == "metric"}
    of = (splits(stream) or [""])[0]
    if of in NOT_LISTED:
        allowed = named(table["basic_by"]["ad_type"]) | ATTRIBUTES | named(table["with_an_image_only"])
    elif of in table["basic_by"]:
        allowed = named(table["basic_by"][of]) | ATTRIBUTES
    elif of in table["audience_by"]:
        allowed = named(table["audience_by"][of]) | named(table["audience"]) & ATTRIBUTES
    elif stream.report_type == "AUDIENCE":
        allowed = named(table["audience_by_country" if by_country else "audience"])
        if by_country:
            allowed |= ATTRIBUTES | BY_COUNTRY_ALTHOUGH_UNLISTED | REFUSED_AND_LEFT_OUT["audience_by_country"]
    elif by_country:
        allowed = named(table["basic_by_country"]) | ATTRIBUTES | BY_COUNTRY_ALTHOUGH_UNLISTED
    else:
        allowed = named(table["basic_of_every_level"]) | named(table["basic_of"][str(stream.level)])
        if times(stream) != ["stat_time_hour"]:
            allowed |= named(table["basic_without_hours"])
        if stream.level == "advertiser" and times(stream) == ["stat_time_day"]:
            allowed |= named(table["advertiser_by_day_only"])
    assert sorted(asked - allowed) == []
    assert "spend" in asked or of == "bucket_id"


def test_the_table_and_the_catalogue_know_the_same_metrics() -> None:
    table = RULES["metrics"]
    of_some = {"basic_of", "basic_by", "audience_by"}
    known = set().union(
        *(named(table[k]) for k in table if k not in of_some), *(named(x) for k in of_some for x in table[k].values())
    )
    assert sorted(set(metrics()) - known) == []
    # Of a grouping that is not offered; names that TikTok's pages disagree about, or that are asked as dimensions.
    absent = {
        "ad_display_name",
        "ad_id_v2",
        "identity_type",
        "image_info",
        "video_watched_continuous_2s",
        "currency",
    }
    assert sorted(known - set(metrics()) - {"advertiser_id"}) == sorted(absent & known)
