"""The reports: one builder, from *level x time x split*, for TikTok's plain (BASIC) and audience reports.

What a report can be split by is a row of ``BASIC_BREAKDOWNS`` or ``AUDIENCE_BREAKDOWNS``. Every fact about who gives
what for which split is there or in ``metrics``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Literal, NamedTuple

from owox_tiktok.model import Family, Field, Kind, Level, Period, Report, Stream
from owox_tiktok.streams.common import AD_ID_V2, ADVERTISER_ID, CURRENCY, ID_OF, LEVELS, WORD_OF
from owox_tiktok.streams.metrics import PRESETS, Metric, metrics

ReportType = Literal["BASIC", "AUDIENCE"]
Granularity = Literal["daily", "hourly", "weekly", "monthly", "lifetime"]

_DIMENSIONS: Mapping[str, Field] = {
    f.name: f
    for f in (
        Field("campaign_id", Kind.ID, "Campaign identifier", origin="dimension"),
        Field("adgroup_id", Kind.ID, "Ad group identifier", origin="dimension"),
        Field("ad_id", Kind.ID, "Ad identifier (a creative, for Upgraded Smart+ ads)", origin="dimension"),
        Field(AD_ID_V2, Kind.ID, "Ad identifier, of an Upgraded Smart+ ad as a whole", origin="dimension"),
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
        Field("search_terms", Kind.TEXT, "What people searched for", origin="dimension"),
        Field("search_keyword", Kind.TEXT, "Keyword that matched the search", origin="dimension"),
        Field("match_type", Kind.TEXT, "How the keyword matched: EXACT, PHRASE or BROAD", origin="dimension"),
        Field("ad_type", Kind.TEXT, "Search for search ads, another value for all others", origin="dimension"),
        Field("custom_event_type", Kind.TEXT, "Event of one's own that was counted", origin="dimension"),
        Field("event_source_id", Kind.ID, "Pixel, app or offline event set that events came from", origin="dimension"),
        Field("page_id", Kind.ID, "Instant page identifier", origin="dimension"),
        Field("component_name", Kind.TEXT, "Component of an instant page", origin="dimension"),
        Field("room_id", Kind.ID, "LIVE room identifier", origin="dimension"),
        Field("post_id", Kind.ID, "TikTok post identifier", origin="dimension"),
        Field("minis_id", Kind.ID, "TikTok Minis identifier", origin="dimension"),
        Field("skan_postback_sequence", Kind.TEXT, "Which of the three SKAN postbacks", origin="dimension"),
        Field("image_id", Kind.ID, "Image identifier; join images by it", origin="dimension"),
        Field("video_material_id", Kind.ID, "Video material identifier; join videos by it", origin="dimension"),
        Field("additional_interests", Kind.TEXT, "Additional interest", origin="dimension"),
        Field("behavior_id", Kind.ID, "Behaviour identifier; action_categories names it", origin="dimension"),
        Field("hashtag", Kind.TEXT, "Hashtag of videos that people watched", origin="dimension"),
        Field("audience_tags", Kind.TEXT, "Tag of the audience", origin="dimension"),
        Field("purchase_intention", Kind.TEXT, "What people are likely to buy", origin="dimension"),
        Field("bucket_id", Kind.ID, "Time bucket identifier", origin="dimension"),
    )
}
"""Every dimension that a report may be asked by."""


class Breakdown(NamedTuple):
    """How a report is split, at which levels, and by which times TikTok lets it be split as well.

    ``offers`` is the word that the catalogue's metrics have for this split; without one, all of the report's metrics
    are offered. ``lists_metrics`` is False where TikTok publishes no list of metrics: what an account does not get is
    left out when it is read. ``may_lack_days``: TikTok does not say whether days may be asked for as well. ``note`` is
    what people should know, as the end of a sentence.
    """

    dimensions: tuple[str, ...]
    words: str
    daily: bool = True
    lifetime: bool = True
    hourly: bool = False
    levels: tuple[Level, ...] = LEVELS
    offers: str = ""
    lists_metrics: bool = True
    may_lack_days: bool = False
    note: str = ""

    def has(self, granularity: Granularity) -> bool:
        """Whether reports split so exist by this time."""
        known = {"daily": self.daily, "hourly": self.hourly, "lifetime": self.lifetime}
        return known.get(granularity, False)


_OF_ADS: tuple[Level, ...] = ("campaign", "ad_group", "ad")
_FEW: tuple[Level, ...] = ("campaign", "ad")
"""Where TikTok names no levels, two are offered; a custom report may ask for the others."""
_SEARCHED: tuple[Level, ...] = ("advertiser", "campaign", "ad_group")

BASIC_BREAKDOWNS: Mapping[str, Breakdown] = {
    "country": Breakdown(("country_code",), "country", lifetime=False, hourly=True),
    "search_term": Breakdown(
        ("search_terms",), "search term", lifetime=False, levels=_SEARCHED, offers="search_term",
        note="; impressions are empty where there were fewer than 5, which TikTok does not tell"
    ),
    "search_keyword": Breakdown(
        ("search_keyword", "match_type"), "search keyword", lifetime=False, levels=_SEARCHED, offers="search_keyword"
    ),
    "ad_type": Breakdown(("ad_type",), "type of ad", lifetime=False, levels=_OF_ADS, offers="ad_type"),
    "custom_event": Breakdown(
        ("custom_event_type",), "custom event", lifetime=False, levels=_OF_ADS, offers="ad_type",
        lists_metrics=False, may_lack_days=True,
    ),
    "event_source": Breakdown(
        ("event_source_id",), "event source", lifetime=False, levels=_OF_ADS, offers="ad_type",
        lists_metrics=False, may_lack_days=True,
    ),
    "page": Breakdown(("page_id",), "instant page", lifetime=False, levels=_FEW, offers="page", may_lack_days=True),
    "component": Breakdown(
        ("component_name",), "page component", lifetime=False, levels=_FEW, offers="component", may_lack_days=True
    ),
    "live_room": Breakdown(
        ("room_id",), "LIVE room", lifetime=False, levels=_FEW, offers="live_room", may_lack_days=True
    ),
    "post": Breakdown(("post_id",), "post", lifetime=False, levels=_FEW, offers="post", may_lack_days=True),
    "minis": Breakdown(
        ("minis_id",), "Minis", lifetime=False, levels=_FEW, offers="minis", lists_metrics=False, may_lack_days=True
    ),
    "skan_postback": Breakdown(
        ("skan_postback_sequence",), "SKAN postback", lifetime=False, levels=_FEW, offers="skan_postback",
        lists_metrics=False, may_lack_days=True,
    ),
    "image": Breakdown(
        ("image_id",), "image", lifetime=False, levels=("ad",), offers="image", lists_metrics=False, may_lack_days=True
    ),
    "video": Breakdown(
        ("video_material_id",), "video", lifetime=False, levels=("ad",), offers="ad_type", lists_metrics=False,
        may_lack_days=True,
    ),
}  # fmt: skip
"""What plain reports are split by, by the word in the report's name."""

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
    "additional_interest": Breakdown(("additional_interests",), "additional interest", lifetime=False),
    "behavior": Breakdown(("behavior_id",), "behaviour", lifetime=False),
    "hashtag": Breakdown(("hashtag",), "hashtag", lifetime=False, offers="traits"),
    "audience_tag": Breakdown(("audience_tags",), "audience tag", lifetime=False, offers="traits"),
    "purchase_intention": Breakdown(("purchase_intention",), "purchase intention", lifetime=False, offers="traits"),
    "bucket": Breakdown(
        ("bucket_id",), "time bucket", daily=False, lifetime=False, hourly=True, levels=("campaign",), offers="bucket"
    ),
}
"""What audience reports are split by, by the word in the report's name."""

NAMES_BY_LEVEL: Mapping[Level, tuple[str, ...]] = {
    "advertiser": (),
    "campaign": ("campaign_name",),
    "ad_group": ("campaign_id", "campaign_name", "adgroup_name"),
    "ad": ("campaign_id", "campaign_name", "adgroup_id", "adgroup_name", "ad_name"),
}


FIRST_DAY = Field(
    "first_day", Kind.DAY, "First day of the week (a Monday) or month, in the ad account's own time zone", origin="ours"
)
LAST_DAY = Field(
    "last_day", Kind.DAY, "Last day that is counted; the period is over where it is its last", origin="ours"
)


def breakdown(report_type: ReportType, split: str) -> Breakdown | None:
    """Return how reports of a type are split by a word; None for reports that are not split, or an unknown word."""
    return (AUDIENCE_BREAKDOWNS if report_type == "AUDIENCE" else BASIC_BREAKDOWNS).get(split)


def offers(metric: Metric, level: Level, report_type: ReportType, granularity: Granularity, split: str) -> bool:
    """Whether a report may be asked for the metric."""
    if level not in metric.levels:
        return False
    found, attribute = breakdown(report_type, split), metric.field.group == "attribute"
    if found and found.offers:
        if attribute and report_type in metric.reports:
            return True  # TikTok lists none, and gives them in practice
        return found.offers in metric.splits or (not found.lists_metrics and "ad_type" in metric.splits)
    if report_type not in metric.reports:
        return False
    # Native Growth and consideration go with an id, and that with a day, and with nothing else.
    whole = "lifetime" if granularity in ("weekly", "monthly") else granularity
    if metric.granularities and (whole not in metric.granularities or split):
        return False
    if granularity in ("weekly", "monthly"):
        # What adds up is in the daily report; people counted once are not, and only TikTok can count them.
        return attribute or metric.field.group == "core" or metric.field.unit == "people"
    # By country TikTok documents a short list; names and other attributes come along in practice, and so do the
    # metrics that a connector asks for. What an account is refused is left out when it is read.
    return split != "country" or bool(metric.by_country) or attribute


def is_documented(metric: Metric, report_type: ReportType, split: str) -> bool:
    """Whether TikTok itself says that a report which offers the metric has it: only those are in a preset."""
    if metric.field.group == "attribute" or split != "country":
        return True
    return metric.by_country == "yes" or (metric.by_country == "plain" and report_type == "BASIC")


@cache
def _fields(
    level: Level, report_type: ReportType, granularity: Granularity, split: str, dimensions: tuple[str, ...]
) -> Mapping[str, Field]:
    fields = {"advertiser_id": ADVERTISER_ID, "currency": CURRENCY}
    if granularity in ("weekly", "monthly"):
        fields |= {"first_day": FIRST_DAY, "last_day": LAST_DAY}
    fields.update((d, _DIMENSIONS[d]) for d in dimensions if d != "advertiser_id")
    for name, metric in metrics().items():
        if name not in fields and offers(metric, level, report_type, granularity, split):
            fields[name] = metric.field
    return fields


LIFETIME_AUDIENCE_DAYS = 365
"""TikTok has no lifetime for audience reports; the longest range it answers without days takes its place."""


class _Time(NamedTuple):
    column: Literal["stat_time_day", "stat_time_hour", "first_day"] | None
    max_days: int | None
    period: Period | None
    words: str


_TIMES: Mapping[Granularity, _Time] = {
    "daily": _Time("stat_time_day", 30, None, "a row per day"),
    "hourly": _Time("stat_time_hour", 1, None, "a row per hour"),
    "weekly": _Time("first_day", 7, "week", "a row per week, with people counted once in each"),
    "monthly": _Time("first_day", 31, "month", "a row per month, with people counted once in each"),
    "lifetime": _Time(None, None, None, "one row for its whole life"),
}
# Airbyte's connector offers these in the sandbox; TikTok has no list of its own.
_SANDBOX_AUDIENCE = ("age_gender", "country", "platform")


def report(level: Level, granularity: Granularity, split: str = "", report_type: ReportType = "BASIC") -> Stream:
    """Return the report about each ``level`` by a time and what it is split by, if it is."""
    time, found, audience = _TIMES[granularity], breakdown(report_type, split), report_type == "AUDIENCE"
    by_time = (time.column,) if time.column and not time.period else ()
    dimensions = (ID_OF[level], *by_time, *(found.dimensions if found else ()))
    words = found.words if found else ""
    by = f" by {words}" if words else ""
    per = time.words
    if audience and granularity == "lifetime":
        per = f"one row for the days from start_date on, the last {LIFETIME_AUDIENCE_DAYS} at most"
    if audience:
        sandbox = (level != "advertiser" and split in _SANDBOX_AUDIENCE) or (level, split) == ("ad", "province")
        sandbox = sandbox and granularity == "daily"
    else:
        sandbox = level != "advertiser" and not split and not time.period
    family: Family = "audience_reports" if audience else "split_reports" if split and split != "country" else "reports"
    own_key = (time.column,) if time.period and time.column else ()
    metrics_of = PRESETS["performance"] if split != "bucket" else ("cost",)
    return Stream(
        name=f"{level}_{'audience_' if audience else ''}report_{granularity}{f'_by_{split}' if split else ''}",
        family=family,
        title=f"{WORD_OF[level]} {'audience ' if audience else ''}report {granularity}{by}",
        description=f"Results of each {WORD_OF[level].lower()}{by}, {per}{found.note if found else ''}",
        path="report/integrated/get/",
        verb="replace",
        keys=tuple(dict.fromkeys(("advertiser_id", *dimensions, *own_key))),
        build_fields=partial(_fields, level, report_type, granularity, split, dimensions),
        default=(*(("last_day",) if time.period else ()), *NAMES_BY_LEVEL[level], *metrics_of),
        kind=Report(
            report_type,
            dimensions,
            LIFETIME_AUDIENCE_DAYS if audience and time.column is None else None,
            period=time.period,
            split=split,
            split_words=words,
            may_lack_days=bool(found and found.may_lack_days),
        ),
        page_size=1000,
        time=time.column,
        max_days=time.max_days,
        level=level,
        in_sandbox=sandbox,
        hides_deleted=level != "advertiser",
    )


def reports() -> Iterable[Stream]:
    """Return every report there is without anybody's wish: plain ones, split ones, audience ones."""
    for level in LEVELS:
        for granularity in _TIMES:
            yield report(level, granularity)
        yield from _split("BASIC", "country", level)
    yield from _whole_ads()
    for split in BASIC_BREAKDOWNS:
        for level in LEVELS if split != "country" else ():
            yield from _split("BASIC", split, level)
    for level in LEVELS:
        for split in AUDIENCE_BREAKDOWNS:
            yield from _split("AUDIENCE", split, level)


def _split(report_type: ReportType, split: str, level: Level) -> Iterator[Stream]:
    found = breakdown(report_type, split)
    assert found is not None
    for granularity in _TIMES:
        if level in found.levels and found.has(granularity):
            yield report(level, granularity, split, report_type)


LISTS_OF_WHOLE_ADS = frozenset(
    ("ad_text", "call_to_action", "ad_profile_image", "ad_url", "image_mode", "profile_image")
)
"""What a whole Smart+ ad has several of: a list there, also for ads with one."""


def _whole_ads() -> Iterator[Stream]:
    """Return the reports about ads in which an Upgraded Smart+ ad is one row, not one per creative."""
    for granularity in ("daily", "lifetime"):
        of_ads = report("ad", granularity)
        assert of_ads.report is not None
        dimensions = (AD_ID_V2, *of_ads.dimensions[1:])
        per = _TIMES[granularity].words
        yield replace(
            of_ads,
            name=f"ad_v2_report_{granularity}",
            title=f"Ad report {granularity}, Smart+ ads as a whole",
            description=f"Results of each ad, {per}; an Upgraded Smart+ ad is one row with its true totals, and what "
            "it has several of is a list",
            keys=("advertiser_id", *dimensions),
            build_fields=cache(partial(_fields_of_whole_ads, granularity, dimensions)),
            kind=replace(of_ads.report, dimensions=dimensions),
            in_sandbox=False,
        )


def _fields_of_whole_ads(granularity: Granularity, dimensions: tuple[str, ...]) -> Mapping[str, Field]:
    fields = dict(_fields("ad", "BASIC", granularity, "", dimensions))
    del fields["ad_id"]
    lists = {n: replace(fields[n], kind=Kind.JSON) for n in LISTS_OF_WHOLE_ADS if n in fields}
    return fields | lists
