"""Lists that nothing else in this world rests on: labels, rules, keywords, apps, event sets, forms, comments.

Their rows are fillers with the ids that are needed; what a request must say is checked as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from owox_tiktok.local.tiktok.assets import Row, entity_row, entity_rows
from owox_tiktok.local.tiktok.rules import day_of, list_of, wrong
from owox_tiktok.local.tiktok.world import Advertiser, World, hash64

PATHS: Mapping[str, str] = {
    "campaign_label/get": "list",
    "optimizer/rule/list": "rules",
    "search_ad/negative_keyword/get": "keywords",
    "app/list": "apps",
    "dmp/saved_audience/list": "saved_audiences",
    "dmp/custom_audience/get": "list",
    "offline/get": "event_set_list",
    "crm/list": "crm_event_sets",
    "custom_conversion/list": "list",
    "page/get": "list",
    "comment/list": "comments",
}
"""The addresses, each with the place of its rows."""
WITHOUT_A_COUNT = frozenset({"optimizer/rule/list"})
"""Addresses with pages, whose answers do not say how many."""
_PLAIN: Mapping[str, tuple[str, str, int]] = {
    "campaign_label/get": ("campaign_labels", "campaign_label_id", 7),
    "optimizer/rule/list": ("automated_rules", "rule_id", 61),
    "app/list": ("apps", "app_id", 3),
    "dmp/saved_audience/list": ("saved_audiences", "saved_audience_id", 5),
    "offline/get": ("offline_event_sets", "event_set_id", 2),
    "crm/list": ("crm_event_sets", "event_set_id", 2),
    "page/get": ("lead_forms", "page_id", 4),
}
"""Lists that need nothing but the account: stream, id and how many there are."""
_SINCE = datetime(2026, 2, 1, tzinfo=UTC)


def rows_of(world: World, advertiser: Advertiser, stream: str) -> list[Row]:
    """All rows of a list of one account, with what a loader adds from the question."""
    for path, (name, _, _) in _PLAIN.items():
        if name == stream:
            return _plain(advertiser, path)
    living = {
        "negative_keywords": ("ad_groups", "adgroup_id"),
        "campaign_negative_keywords": ("campaigns", "campaign_id"),
    }
    if stream in living:
        parents, key = living[stream]
        found = entity_rows(world, advertiser.id, parents, include_deleted=False)
        return [{**row, key: one[key]} for one in found for row in _keywords(one[key])]
    if stream == "custom_conversions":
        return [r for p in entity_rows(world, advertiser.id, "pixels") for r in _conversions(str(p["pixel_id"]))]
    if stream == "audience_details":
        ids = [str(row["audience_id"]) for row in entity_rows(world, advertiser.id, "audiences")]
        return [{**row["audience_details"], "audience_history": row["audience_history"]} for row in _details(ids)]
    groups = entity_rows(world, advertiser.id, "ad_groups", include_deleted=False)
    return [row for group in groups for row in _comments(group["adgroup_id"])]


def rows_asked(world: World, advertiser: Advertiser, path: str, params: Mapping[str, str]) -> list[Row]:
    """The rows that answer a question, as they are on the wire; raises Refusal."""
    if path in _PLAIN:
        if path == "page/get" and params.get("business_type", "LEAD_GEN") != "LEAD_GEN":
            return []
        return _plain(advertiser, path)
    if path == "search_ad/negative_keyword/get":
        parents = {"ADGROUP": ("ad_groups", "adgroup_id"), "CAMPAIGN": ("campaigns", "campaign_id")}
        if params.get("object_type") not in parents:
            raise wrong("object_type: Must be one of: CAMPAIGN, ADGROUP.")
        stream, key = parents[params["object_type"]]
        return _keywords(_known(world, advertiser, stream, key, params, "object_id"))
    if path == "custom_conversion/list":
        if params.get("event_source_type") not in ("PIXEL", "APP"):
            raise wrong("event_source_type: Must be one of: PIXEL, APP.")
        return _conversions(_known(world, advertiser, "pixels", "pixel_id", params, "event_source_id"))
    if path == "dmp/custom_audience/get":
        asked = [str(one) for one in list_of(params, "custom_audience_ids", required=True) or []]
        if not 1 <= len(asked) <= 100:
            raise wrong("custom_audience_ids: Length must be between 1 and 100.")
        return _details(asked)
    if params.get("search_field") != "ADGROUP_ID":
        raise wrong("search_field: Must be one of: ADGROUP_ID.")
    first, last = day_of(params, "start_time"), day_of(params, "end_time")
    group = _known(world, advertiser, "ad_groups", "adgroup_id", params, "search_value")
    return [row for row in _comments(group) if first <= _day(row) <= last]


def _known(world: World, advertiser: Advertiser, stream: str, key: str, params: Mapping[str, str], name: str) -> str:
    found = str(params.get(name, ""))
    if found not in {str(row[key]) for row in entity_rows(world, advertiser.id, stream)}:
        raise wrong(f"{name}: Missing data for required field.")
    return found


def _plain(advertiser: Advertiser, path: str) -> list[Row]:
    stream, key, count = _PLAIN[path]
    seeds = [hash64(advertiser.seed, stream, number) for number in range(count)]
    return [entity_row(stream, seed, **{key: str(10**18 + seed % 10**17)}) for seed in seeds]


def _keywords(parent: str) -> list[Row]:
    names = ("PRECISE_WORD", "PHRASE_WORD", "BROAD_WORD")
    count = hash64("keywords", parent) % 3
    return [
        {"keyword_id": str(10**17 + hash64(parent, n) % 10**16), "name": f"free, №{n}", "match_type": names[n]}
        for n in range(count)
    ]


def _conversions(pixel: str) -> list[Row]:
    if hash64("conversions", pixel) % 4:
        return []
    seed = hash64(pixel)
    known = {"custom_conversion_id": str(10**17 + seed % 10**16), "event_source_id": pixel}
    return [entity_row("custom_conversions", seed, event_source_type="PIXEL", **known)]


def _details(audiences: list[str]) -> list[Row]:
    rows = []
    for one in audiences:
        row: dict[str, Any] = entity_row("audience_details", hash64(one), audience_id=one, audience_history=[])
        history = row.pop("audience_history")
        rows.append({"audience_details": row, "audience_history": history})
    return rows


def _comments(group: str) -> list[Row]:
    rows = []
    for number in range(3):
        seed = hash64(group, number)
        at = int((_SINCE + timedelta(days=15 * number, hours=seed % 24)).timestamp())
        known = {"comment_id": str(10**18 + seed % 10**17), "adgroup_id": group, "create_time": at}
        rows.append(entity_row("comments", seed, content=f"Nice, “№{number}” 🙂", user_name="Someone", **known))
    return rows


def _day(row: Row) -> date:
    return datetime.fromtimestamp(row["create_time"], UTC).date()
