"""Views with the names and columns that Fivetran's dbt package ``tiktok_ads`` reads.

It reads tables of Fivetran's own connector (versions 1.2 to 1.4 and, before it was merged into that, tiktok_ads_source
0.9). A column it does not find it takes for null, so every one is given, with a type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import CURRENCY, STREAMS
from owox_tiktok.views.select import Select, There, View, first_of

_SYNCED = Field("_fivetran_synced", Kind.INSTANT, "When the object was read last")


class _DbtList(NamedTuple):
    name: str
    stream: str
    columns: tuple[str, ...]
    renamed: Mapping[str, str] = {}
    """Our name for one of theirs."""
    never: tuple[str, ...] = ()
    """Texts that TikTok no longer gives."""
    versions: bool = True


_DBT_LISTS = (
    _DbtList(
        "advertiser", "advertisers",
        ("id", "name", "address", "balance", "cellphone_number", "company", "contacter", "country", "currency",
         "description", "email", "industry", "language", "telephone_number", "timezone"),
        renamed={"id": "advertiser_id"},
        never=("phone_number", "telephone"),
        versions=False,
    ),
    _DbtList(
        "campaign_history", "campaigns",
        ("campaign_id", "advertiser_id", "campaign_name", "campaign_type", "split_test_variable", "objective_type",
         "status", "budget", "budget_mode", "create_time", "is_new_structure"),
        renamed={"status": "secondary_status"},
    ),
    _DbtList(
        "adgroup_history", "ad_groups",
        ("adgroup_id", "advertiser_id", "campaign_id", "adgroup_name", "action_days", "action_categories",
         "audience_type", "budget", "category", "frequency", "frequency_schedule", "gender", "interest_category_v_2",
         "age_groups", "languages"),
        renamed={"action_categories": "action_category_ids", "category": "category_id",
                 "interest_category_v_2": "interest_category_ids"},
        never=("display_name", "landing_page_url"),
    ),
    _DbtList(
        "ad_history", "ads",
        ("ad_id", "advertiser_id", "campaign_id", "adgroup_id", "ad_name", "call_to_action", "click_tracking_url",
         "impression_tracking_url", "landing_page_url"),
    ),
)  # fmt: skip


class _DbtReport(NamedTuple):
    name: str
    streams: tuple[str, ...]
    """The first that is stored is taken; the last is the one to recommend."""
    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]


_RATES = ("cpc", "cpm", "ctr", "cost_per_conversion", "conversion_rate")
_HOURLY = (
    *_RATES, "impressions", "clicks", "spend", "reach", "conversion", "real_time_conversion", "likes", "comments",
    "shares", "profile_visits", "follows", "video_play_actions", "video_watched_2s", "video_watched_6s",
    "video_views_p25", "video_views_p50", "video_views_p75", "average_video_play", "average_video_play_per_user",
    "total_purchase_value", "total_sales_lead_value",
)  # fmt: skip
_DBT_REPORTS = (
    _DbtReport("ad_report_hourly", ("ad_report_hourly", "ad_report_daily"), ("ad_id",), _HOURLY),
    _DbtReport("adgroup_report_hourly", ("ad_group_report_hourly", "ad_group_report_daily"), ("adgroup_id",), _HOURLY),
    _DbtReport(
        "campaign_report_hourly", ("campaign_report_hourly", "campaign_report_daily"), ("campaign_id",), _HOURLY
    ),
    _DbtReport(
        "campaign_country_report",
        ("campaign_report_daily_by_country",),
        ("campaign_id", "country_code"),
        (*_RATES, "impressions", "clicks", "spend", "conversion", "real_time_conversion"),
    ),
)


def _fivetran_name(name: str) -> str:
    """Return TikTok's name as Fivetran writes it, with letters and digits apart: ``video_views_p25`` is ``…_p_25``."""
    return re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", "_", name)


def _dbt_list(there: There, wanted: _DbtList) -> View:
    stream = STREAMS[wanted.stream]
    about = f"{stream.title} for the dbt package tiktok_ads"
    if not there.has(wanted.stream):
        return View(wanted.name, about, missing={wanted.stream: ()})
    select = Select(there, f"{there.table(wanted.stream)} AS entity")
    for theirs in wanted.columns:
        ours = stream.fields[wanted.renamed.get(theirs, theirs)]
        value = select.of("entity", wanted.stream, ours.name)
        if not value and not ours.personal:
            select.lacks(wanted.stream, ours.name)
        if ours.kind is Kind.JSON:
            value = [there.dialect.json_as_text.format(v) for v in value]
            ours = replace(ours, kind=Kind.TEXT)
        select.add(replace(ours, name=theirs), value)
    for theirs in wanted.never:
        select.add(Field(theirs, Kind.TEXT, "TikTok no longer gives it"), [])
    synced = select.last_read("entity", wanted.stream, "read_at")
    if wanted.versions:
        about += ", one version each: the current one"
        moments = [c for n in ("modify_time", "create_time") for c in select.of("entity", wanted.stream, n)]
        select.add(Field("updated_at", Kind.INSTANT, "When it was changed last"), [*moments, *synced])
    select.add(_SYNCED, synced)
    return select.view(wanted.name, about)


def _dbt_report(there: There, wanted: _DbtReport) -> View:
    source = next((s for s in wanted.streams if there.has(s)), None)
    about = f"{STREAMS[wanted.streams[0]].title} for the dbt package tiktok_ads"
    if source is None:
        return View(wanted.name, about, missing={wanted.streams[-1]: ()})
    stream = STREAMS[source]
    select = Select(there, f"{there.table(source)} AS report")

    def of(name: str) -> list[str]:
        return select.of("report", source, name)

    for name in ("advertiser_id", *wanted.dimensions):
        select.add(stream.fields[name], of(name))
    if source != wanted.streams[0]:
        about = f"{about}, with each day at 00:00: made from {source}, since the hours are not imported"
        day = f"CAST({first_of(of('stat_time_day'))} AS {there.dialect.types[Kind.HOUR]})"
        select.add(STREAMS[wanted.streams[0]].fields["stat_time_hour"], [day])
    elif stream.time is not None:
        select.add(stream.fields[stream.time], of(stream.time))
    select.add(CURRENCY, of("currency"))
    # Beyond what the package reads by itself, it can be configured to take further metrics along.
    others = [f.name for f in there.fields(source) if f.origin == "metric" and f.group != "attribute"]
    for name in dict.fromkeys([*wanted.metrics, *others]):
        metric = stream.fields[name]
        if not of(name):
            select.lacks(source, name)
        select.add(replace(metric, name=_fivetran_name(name)), of(name))
    select.add(_SYNCED, select.last_read("report", source, "read_at"))
    return select.view(wanted.name, about)


_LOCATION = (
    "region_id", "advertiser_id", "country_code", "parent_id", "region_name", "region_level", "area_type",
    "support_below_18",
)  # fmt: skip


def _locations(there: There) -> View:
    """Return the table of places that the package joins since version 1.3; empty where places are not imported.

    It joins countries, of which TikTok lists one for each code: a second one would count a campaign's results twice.
    """
    about = "Places for the dbt package tiktok_ads"
    if there.has("regions"):
        select = Select(there, f"{there.table('regions')} AS entity")
    else:
        select = Select(there, "(SELECT 1 AS nothing) AS nothing\nWHERE FALSE")
        select.lacks("regions")
        about += ": none are imported, so countries have no names there"
    for name in _LOCATION:
        select.add(STREAMS["regions"].fields[name], select.of("entity", "regions", name))
    select.add(_SYNCED, select.last_read("entity", "regions", "read_at") if there.has("regions") else [])
    return select.view("location", about)


def dbt_views(there: There) -> list[View]:
    """Return the views that the package reads."""
    return [
        *(_dbt_list(there, each) for each in _DBT_LISTS),
        *(_dbt_report(there, each) for each in _DBT_REPORTS),
        *([_locations(there)] if there.has("campaign_report_daily_by_country") else []),
    ]
