"""What TikTok offers: STREAMS, as data and one builder for reports.

An entity is one row of ``_ENTITIES``; a report follows from *level x time x breakdown*. Fields come from the two tables
in ``catalogue/``. Documentation, schemas, the example config, the Sheet template and the tests all read STREAMS.
Nothing here knows how a request is sent or where rows go.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from typing import Literal, NamedTuple

from owox_tiktok.model import Batch, Family, Field, Kind, Level, Listing, Report, Stream
from owox_tiktok.names import bare, resolve, squeezed, synonym, synonyms

LEVELS: tuple[Level, ...] = ("advertiser", "campaign", "ad_group", "ad")
ID_OF: Mapping[Level, str] = {
    "advertiser": "advertiser_id",
    "campaign": "campaign_id",
    "ad_group": "adgroup_id",
    "ad": "ad_id",
}
"""TikTok's id dimension of each report level."""

MAX_METRICS = 100
"""Most metrics TikTok gives in one report request; more are asked for in several."""

CURRENCY = Field("currency", Kind.TEXT, "ISO 4217 currency of the money on this row, the ad account's", origin="ours")
ADVERTISER_ID = Field("advertiser_id", Kind.ID, "Ad account identifier", origin="ours")

_DIMENSIONS: Mapping[str, Field] = {
    f.name: f
    for f in (
        Field("campaign_id", Kind.ID, "Campaign identifier", origin="dimension"),
        Field("adgroup_id", Kind.ID, "Ad group identifier", origin="dimension"),
        Field("ad_id", Kind.ID, "Ad identifier (a creative, for Upgraded Smart+ ads)", origin="dimension"),
        Field("stat_time_day", Kind.DAY, "Day in the ad account's own time zone", origin="dimension"),
        Field("stat_time_hour", Kind.HOUR, "Hour in the ad account's own time zone", origin="dimension"),
        Field("country_code", Kind.TEXT, "Two-letter country of the audience, NONE when unknown", origin="dimension"),
        Field("gender", Kind.TEXT, "FEMALE, MALE or NONE when unknown", origin="dimension"),
        Field("age", Kind.TEXT, "Age bracket such as AGE_25_34, NONE when unknown", origin="dimension"),
        Field("platform", Kind.TEXT, "Operating system: ANDROID, IPHONE, IPAD …", origin="dimension"),
        Field("province_id", Kind.ID, "Region identifier; TikTok leaves some people out", origin="dimension"),
        Field("dma_id", Kind.ID, "US market area identifier", origin="dimension"),
        Field("language", Kind.TEXT, "Language of the person", origin="dimension"),
        Field("ac", Kind.TEXT, "Connection: WIFI, 4G …", origin="dimension"),
        Field("placement", Kind.TEXT, "App on which the ad was shown", origin="dimension"),
        Field("contextual_tag", Kind.TEXT, "Contextual tag of the content beside the ad", origin="dimension"),
        Field("interest_category", Kind.ID, "Interest identifier, first tier", origin="dimension"),
        Field("interest_category_tier2", Kind.ID, "Interest identifier, second tier", origin="dimension"),
        Field("interest_category_tier3", Kind.ID, "Interest identifier, third tier", origin="dimension"),
        Field("interest_category_tier4", Kind.ID, "Interest identifier, fourth tier", origin="dimension"),
        Field("device_brand_id", Kind.ID, "Device brand identifier", origin="dimension"),
    )
}


class Breakdown(NamedTuple):
    """How an audience report is split, and whether TikTok lets it be split by day as well."""

    dimensions: tuple[str, ...]
    words: str
    daily: bool = True


AUDIENCE_BREAKDOWNS: Mapping[str, Breakdown] = {
    "age_gender": Breakdown(("gender", "age"), "age and gender"),
    "country": Breakdown(("country_code",), "country"),
    "platform": Breakdown(("platform",), "operating system"),
    "province": Breakdown(("province_id",), "province"),
    "dma": Breakdown(("dma_id",), "US market area"),
    "language": Breakdown(("language",), "language"),
    "connection": Breakdown(("ac",), "connection"),
    "placement": Breakdown(("placement",), "placement"),
    "contextual_tag": Breakdown(("contextual_tag",), "contextual tag"),
    "interest": Breakdown(("interest_category",), "interest", daily=False),
    "interest_tier2": Breakdown(("interest_category_tier2",), "interest, second tier", daily=False),
    "interest_tier3": Breakdown(("interest_category_tier3",), "interest, third tier", daily=False),
    "interest_tier4": Breakdown(("interest_category_tier4",), "interest, fourth tier", daily=False),
    "device_brand": Breakdown(("device_brand_id",), "device brand", daily=False),
}

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

_NAMES_BY_LEVEL: Mapping[Level, tuple[str, ...]] = {
    "advertiser": (),
    "campaign": ("campaign_name",),
    "ad_group": ("campaign_id", "campaign_name", "adgroup_name"),
    "ad": ("campaign_id", "campaign_name", "adgroup_id", "adgroup_name", "ad_name"),
}


class _Entity(NamedTuple):
    name: str
    title: str
    description: str
    path: str
    key: tuple[str, ...]
    page_size: int | None = None
    rows_at: str = "list"
    sandbox: bool = True
    deletable: bool = False
    choose: bool = False
    per_app: bool = False
    by_accounts: bool = False
    level: Level | None = None
    daily: bool = False
    lifted: Mapping[str, str] = {}
    batch: Batch | None = None


# Page sizes are TikTok's maxima; ``choose``: the endpoint takes a list of fields. Without a key of their own, rows are
# the ad accounts themselves.
_ENTITIES = (
    _Entity("advertiser_ids", "Advertiser ids", "Every ad account the authorisation covers", "oauth2/advertiser/get/",
            (), sandbox=False, per_app=True),
    _Entity("advertisers", "Advertisers", "The ad accounts with currency, time zone, status and balance",
            "advertiser/info/", (), choose=True, by_accounts=True),
    _Entity("campaigns", "Campaigns", "Campaigns with objective, budget and status", "campaign/get/",
            ("campaign_id",), 1000, deletable=True, choose=True, level="campaign"),
    _Entity("ad_groups", "Ad groups", "Ad groups with targeting, bids, budget and schedule", "adgroup/get/",
            ("adgroup_id",), 1000, deletable=True, choose=True, level="ad_group"),
    _Entity("ads", "Ads", "Ads with creative, text, landing page and status", "ad/get/",
            ("ad_id",), 1000, deletable=True, choose=True, level="ad"),
    _Entity("audiences", "Audiences", "Custom audiences with their size", "dmp/custom_audience/list/",
            ("audience_id",), 100),
    _Entity("images", "Images", "The 10,000 images changed last in the creative library", "file/image/ad/search/",
            ("image_id",), 100),
    _Entity("videos", "Videos", "The 10,000 videos changed last in the creative library", "file/video/ad/search/",
            ("video_id",), 100),
    _Entity("music", "Music", "Music tracks that ads may use", "file/music/get/", ("music_id",), 1000, "musics"),
    _Entity("portfolios", "Portfolios", "Creative portfolios such as calls to action and cards",
            "creative/portfolio/list/", ("creative_portfolio_id",), 100, "creative_portfolios"),
    _Entity("spark_ads", "Spark Ads posts", "TikTok posts authorised for Spark Ads", "tt_video/list/",
            ("spark_ads_post_id",), 50, sandbox=False, lifted={"spark_ads_post_id": "item_info.item_id"}),
    _Entity("pixels", "Pixels", "Pixels with their events", "pixel/list/", ("pixel_id",), 20, "pixels", sandbox=False),
    _Entity("identities", "Identities", "Accounts that ads are shown as", "identity/get/",
            ("identity_id", "identity_type"), 100, "identity_list", sandbox=False),
    _Entity("pixel_instant_page_events", "Instant page events", "Events and goals that instant pages can optimise for",
            "pixel/instant_page/event/", ("business_type",), sandbox=False),
    _Entity("pixel_event_statistics", "Pixel event statistics", "Daily counts of each pixel's events, by UTC day",
            "pixel/event/stats/", ("stat_time_day", "pixel_id"), sandbox=False, daily=True,
            batch=Batch("pixels", "pixel_id", "pixel_ids", 10)),
    _Entity("smart_plus_campaigns", "Smart+ campaigns", "Upgraded Smart+ campaigns", "smart_plus/campaign/get/",
            ("campaign_id",), 1000, sandbox=False, deletable=True, choose=True),
    _Entity("smart_plus_ad_groups", "Smart+ ad groups", "Upgraded Smart+ ad groups", "smart_plus/adgroup/get/",
            ("adgroup_id",), 1000, sandbox=False, deletable=True, choose=True),
    _Entity("smart_plus_ads", "Smart+ ads", "Upgraded Smart+ ads; each holds many creatives", "smart_plus/ad/get/",
            ("smart_plus_ad_id",), 1000, sandbox=False, deletable=True, choose=True),
    _Entity("gmv_max_stores", "GMV Max stores", "TikTok Shops and whether GMV Max may run for them",
            "gmv_max/store/list/", ("store_id",), rows_at="store_list", sandbox=False),
    _Entity("languages", "Languages", "Names of the languages used in targeting and audience reports",
            "tool/language/", ("code",), rows_at="languages", sandbox=False),
    _Entity("interest_categories", "Interest categories", "Names of the interests used in audience reports",
            "tool/interest_category/", ("interest_category_id",), rows_at="interest_categories", sandbox=False),
    _Entity("action_categories", "Action categories", "Names of the behaviours used in targeting",
            "tool/action_category/", ("action_category_id",), rows_at="action_categories", sandbox=False),
)  # fmt: skip


_FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(("advertiser_ids", "advertisers", "campaigns", "ad_groups", "ads"), "accounts"),
    **dict.fromkeys(("smart_plus_campaigns", "smart_plus_ad_groups", "smart_plus_ads"), "accounts"),
    **dict.fromkeys(("images", "videos", "music", "portfolios", "spark_ads", "identities"), "creatives"),
    **dict.fromkeys(("audiences", "pixels", "pixel_instant_page_events", "pixel_event_statistics"), "audiences"),
    **dict.fromkeys(("gmv_max_stores",), "shop"),
    **dict.fromkeys(("languages", "interest_categories", "action_categories"), "names"),
}
"""What each entity is about: the page of the documents on which it stands."""


class Metric(NamedTuple):
    """A report field with the places where TikTok gives it.

    ``by_country``: "yes" where TikTok documents it with countries, "plain" where it does so in plain reports and not in
    audience reports, "connector" where only a connector that people use asks for it. ``promote`` are the reports that
    give it for Promote ads.
    """

    field: Field
    levels: frozenset[str]
    reports: frozenset[str]
    by_country: str
    promote: frozenset[str]
    granularities: frozenset[str]


def _rows(name: str) -> list[dict[str, str]]:
    text = files("owox_tiktok").joinpath("catalogue", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


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
        )
        for row in _rows("metrics.csv")
    }


@cache
def _entity_fields() -> Mapping[str, Mapping[str, Field]]:
    tables: dict[str, dict[str, Field]] = {}
    for row in _rows("fields.csv"):
        table = tables.setdefault(row["stream"], {})
        table[row["name"]] = Field(row["name"], Kind(row["kind"]), row["description"])
    return tables


def _fields_of_entity(entity: _Entity) -> Mapping[str, Field]:
    fields = dict(_entity_fields()[entity.name])
    if entity.key:
        fields["advertiser_id"] = ADVERTISER_ID
    if entity.daily:
        fields["stat_time_day"] = replace(fields["stat_time_day"], origin="ours")
    # Money of an entity is in the account's currency, which the item itself does not name.
    if "currency" not in fields and any(f.kind is Kind.MONEY for f in fields.values()):
        fields["currency"] = CURRENCY
    return fields


@cache
def _fields_of_report(
    level: Level, report_type: Literal["BASIC", "AUDIENCE"], granularity: str, dimensions: tuple[str, ...]
) -> Mapping[str, Field]:
    fields = {"advertiser_id": ADVERTISER_ID, "currency": CURRENCY}
    fields.update((d, _DIMENSIONS[d]) for d in dimensions if d != "advertiser_id")
    by_country = "country_code" in dimensions
    for name, metric in metrics().items():
        if name in fields or level not in metric.levels or report_type not in metric.reports:
            continue
        if metric.granularities and (granularity not in metric.granularities or by_country):
            continue
        # By country TikTok documents a short list; names and other attributes come along in practice, and so do the
        # metrics that a connector asks for. What an account is refused is left out when it is read.
        if by_country and not metric.by_country and metric.field.group != "attribute":
            continue
        fields[name] = metric.field
    return fields


def _entity(entity: _Entity) -> Stream:
    build = cache(partial(_fields_of_entity, entity))
    return Stream(
        name=entity.name,
        family=_FAMILIES[entity.name],
        title=entity.title,
        description=entity.description,
        path=entity.path,
        verb="replace" if entity.batch else "upsert",
        keys=("advertiser_id", *entity.key),
        build_fields=build,
        default=("*",),
        kind=Listing(entity.rows_at, entity.choose, entity.by_accounts, entity.lifted, entity.batch),
        page_size=entity.page_size,
        in_sandbox=entity.sandbox,
        per_app=entity.per_app,
        hides_deleted=entity.deletable,
        level=entity.level,
        time="stat_time_day" if entity.daily else None,
        max_days=1 if entity.daily else None,
        utc_days=entity.daily,
    )


LIFETIME_AUDIENCE_DAYS = 365
"""TikTok has no lifetime for audience reports; the longest range it answers without days takes its place."""
_TIME: Mapping[str, tuple[Literal["stat_time_day", "stat_time_hour"] | None, int | None]] = {
    "daily": ("stat_time_day", 30),
    "hourly": ("stat_time_hour", 1),
    "lifetime": (None, None),
}
_WORDS: Mapping[Level, str] = {"advertiser": "Advertiser", "campaign": "Campaign", "ad_group": "Ad group", "ad": "Ad"}
# Airbyte's connector offers these in the sandbox; TikTok has no list of its own.
_SANDBOX_AUDIENCE = ("age_gender", "country", "platform")


def _report(level: Level, granularity: str, breakdown: str = "", audience: bool = False) -> Stream:
    time, max_days = _TIME[granularity]
    split = (AUDIENCE_BREAKDOWNS[breakdown].dimensions if audience else ("country_code",)) if breakdown else ()
    words = AUDIENCE_BREAKDOWNS[breakdown].words if audience else breakdown
    report_type: Literal["BASIC", "AUDIENCE"] = "AUDIENCE" if audience else "BASIC"
    dimensions = (ID_OF[level], *((time,) if time else ()), *split)
    name = f"{level}_{'audience_' if audience else ''}report_{granularity}{f'_by_{breakdown}' if breakdown else ''}"
    per = {"daily": "a row per day", "hourly": "a row per hour", "lifetime": "one row for its whole life"}[granularity]
    if audience and granularity == "lifetime":
        per = f"one row for the days from start_date on, the last {LIFETIME_AUDIENCE_DAYS} at most"
    if audience:
        sandbox = (level != "advertiser" and breakdown in _SANDBOX_AUDIENCE) or (level, breakdown) == ("ad", "province")
        sandbox = sandbox and granularity == "daily"
    else:
        sandbox = level != "advertiser" and not breakdown
    return Stream(
        name=name,
        family="audience_reports" if audience else "reports",
        title=f"{_WORDS[level]} {'audience ' if audience else ''}report {granularity}{f' by {words}' if words else ''}",
        description=f"Results of each {_WORDS[level].lower()}{f' by {words}' if words else ''}, {per}",
        path="report/integrated/get/",
        verb="replace",
        keys=tuple(dict.fromkeys(("advertiser_id", *dimensions))),
        build_fields=partial(_fields_of_report, level, report_type, granularity, dimensions),
        default=(*_NAMES_BY_LEVEL[level], *PRESETS["performance"]),
        kind=Report(report_type, dimensions, LIFETIME_AUDIENCE_DAYS if audience and time is None else None),
        page_size=1000,
        time=time,
        max_days=max_days,
        level=level,
        in_sandbox=sandbox,
        hides_deleted=level != "advertiser",
    )


def _reports() -> Iterable[Stream]:
    for level in LEVELS:
        for granularity in _TIME:
            yield _report(level, granularity)
        for granularity in ("daily", "hourly"):
            yield _report(level, granularity, "country")
    for level in LEVELS:
        for name, breakdown in AUDIENCE_BREAKDOWNS.items():
            if breakdown.daily:
                yield _report(level, "daily", name, audience=True)
            yield _report(level, "lifetime", name, audience=True)


STREAMS: Mapping[str, Stream] = {s.name: s for s in (*map(_entity, _ENTITIES), *_reports())}
"""Everything that can be imported, by name: entities first, in the order in which they are read."""


ALIASES: Mapping[str, str] = {s.name: s.means[0] for s in synonyms("object").values() if s.means}
"""Names of objects from other TikTok loaders, as they print them, each with ours."""

_BY_SPELLING: Mapping[str, Stream] = {squeezed(s.name): s for s in STREAMS.values()}


def find(name: str) -> Stream | None:
    """Return the stream called ``name`` (in any spelling, by its table or by another loader's name), else None."""
    if stream := _BY_SPELLING.get(squeezed(name)) or _BY_SPELLING.get(bare(name)):
        return stream
    found = synonym("object", name)
    return STREAMS[found.means[0]] if found and found.means else None


def default_fields(stream: Stream) -> tuple[str, ...]:
    """Return the fields imported when the user chose none: all of an entity's, a preset of a report's."""
    if stream.default == ("*",):
        return tuple(stream.fields)
    return tuple(n for n in stream.default if _documented(stream, n))


def _documented(stream: Stream, name: str) -> bool:
    """Whether TikTok itself says that this report has the metric: only those are in a preset."""
    if name not in stream.fields:
        return False
    metric = metrics().get(name)
    if metric is None or metric.field.group == "attribute" or "country_code" not in stream.dimensions:
        return True
    return metric.by_country == "yes" or (metric.by_country == "plain" and stream.report_type == "BASIC")


def expand(stream: Stream, word: str) -> tuple[str, ...] | None:
    """Return the fields that ``word`` (a field, a preset, ``default`` or ``all``) means on ``stream``; None if nothing.

    A field may be named as other loaders name it. A preset brings the names of the level's entities along, so that its
    rows can be read by people.
    """
    if word in stream.fields:
        return (word,)
    if word == "default":
        return default_fields(stream)
    if word == "all":
        return tuple(n for n, f in stream.fields.items() if not f.deprecated)
    if word in PRESETS and stream.is_report and stream.level:
        return tuple(n for n in (*_NAMES_BY_LEVEL[stream.level], *PRESETS[word]) if _documented(stream, n))
    field = resolve("field", word, stream.fields)
    return (field,) if field else None
