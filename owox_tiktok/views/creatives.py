"""The views of creatives: what each video or image brought, and how long people watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import ADVERTISER_ID, CURRENCY, STREAMS
from owox_tiktok.views.performance import RATIOS, Ratio, ratio_of
from owox_tiktok.views.select import Select, There, View, first_of

WATCHED: Mapping[str, tuple[Ratio, str]] = {
    "hook_rate": (Ratio("video_watched_2s", "impressions", 100), "Impressions that were watched for 2 seconds"),
    "hold_rate": (
        Ratio("video_watched_6s", "video_watched_2s", 100),
        "Of those who watched for 2 seconds, those who watched for 6",
    ),
    "completion_rate": (Ratio("video_views_p100", "video_play_actions", 100), "Plays that were watched to the end"),
}
"""How well a video holds people, in percent: rates that buyers of ads use, and that TikTok itself does not name."""
_ABOUT = (
    Field("creative_type", Kind.TEXT, "video or image"),
    Field("creative_id", Kind.ID, "The video, or the first image"),
    Field("creative_name", Kind.TEXT, "Its file name in the library"),
    Field("duration", Kind.RATE, "Length of the video", unit="seconds"),
)


def creative_performance(there: There, daily: View) -> View:
    """Return the view of one row per ad and day with its video or image; ``daily`` is the view of ads by day."""
    name = "v_creative_performance_daily"
    about = "One row per ad and day with its video or image, and how well it holds people"
    missing: dict[str, tuple[str, ...]] = dict(daily.missing)
    if not daily.sql or not there.has("ads", "ad_id"):
        return View(
            name, about, missing={**({} if daily.sql else missing), **({} if there.has("ads") else {"ads": ()})}
        )
    dialect = there.dialect
    select = Select(there, "(\n  " + daily.sql.replace("\n", "\n  ") + "\n) AS report")
    select.join(there.table("ads"), "ad", {n: f"report.{n}" for n in ("advertiser_id", "ad_id")})
    video = select.of("ad", "ads", "video_id")
    image = [dialect.first_in_list.format(value) for value in select.of("ad", "ads", "image_ids")]
    for wanted, values in (("video_id", video), ("image_ids", image)):
        if not values:
            select.lacks("ads", wanted)
    names, duration = [], []
    for stream, key, values in (("videos", "video_id", video), ("images", "image_id", image)):
        if not there.has(stream, key):
            select.lacks(stream)
        elif values:
            select.join(there.table(stream), stream, {"advertiser_id": "report.advertiser_id", key: values[0]})
            names += select.of(stream, stream, "file_name")
            duration += select.of(stream, stream, "duration") if stream == "videos" else []
    kinds = [f"WHEN {v} IS NOT NULL THEN '{k}'" for k, values in (("video", video), ("image", image)) for v in values]
    about_it = {
        "creative_type": [f"CASE {' '.join(kinds)} END"] if kinds else [],
        "creative_id": [*video, *image],
        "creative_name": names,
        "duration": duration,
    }
    lacking = {name for names in daily.missing.values() for name in names}
    stored = {f.name for f in daily.fields if f.additive} - lacking
    measures = [f for f in daily.fields if f.additive]
    for f in daily.fields:
        if f is measures[0]:
            for made in _ABOUT:
                select.add(made, about_it[made.name])
        select.add(f, [f"report.{dialect.name(f.name)}"])
    for rate, (parts, description) in WATCHED.items():
        there_are = [part for part in parts[:2] if part in stored]
        select.add(
            Field(rate, Kind.RATE, description, unit="percent"),
            [ratio_of(dialect, parts)] if len(there_are) == 2 else [],
        )
    wanted_fields = tuple(dict.fromkeys(p for parts, _ in WATCHED.values() for p in parts[:2] if p not in stored))
    view = select.view(name, about)
    for stream, fields in view.missing.items():
        missing[stream] = (*missing.get(stream, ()), *fields)
    if wanted_fields:
        missing["ad_report_daily"] = tuple(dict.fromkeys((*missing.get("ad_report_daily", ()), *wanted_fields)))
    return replace(view, missing={s: f for s, f in missing.items() if s in STREAMS})


# --- one row per material ---------------------------------------------------------------------------------------------

_MEASURES = ("spend", "impressions", "clicks", "conversion", "video_play_actions", "video_watched_2s",
             "video_watched_6s", "video_views_p100")  # fmt: skip
_VALUES = ("total_complete_payment_rate", "total_onsite_shopping_value")
"""What was sold, on the website and in TikTok Shop."""
_RATES: Mapping[str, tuple[Ratio, str]] = {
    "ctr": (RATIOS["ctr"], "Destination clicks as a percentage of impressions"),
    **WATCHED,
    "cost_per_conversion": (RATIOS["cost_per_conversion"], "Spend per conversion (CPA)"),
    "roas": (Ratio("value", "spend"), "Value of sales divided by spend"),
}


class _Source(NamedTuple):
    """A report by material: its columns for what a material is."""

    stream: str
    kind: str
    id: str
    ids_of: tuple[str, ...] = ()
    name: str = ""


_SOURCES = (
    _Source("creative_report_daily", "material_type", "material_id", ("video_id", "image_id")),
    _Source("creative_report_lifetime", "material_type", "material_id", ("video_id", "image_id")),
    _Source("smart_plus_material_breakdown_daily", "main_material_type", "main_material_id", (), "main_material_name"),
)
"""Where materials are counted; the first that is stored is taken, since each has all of a material's results."""
_SPARK = "VIDEO_SPARK_ADS"
_POST = "https://www.tiktok.com/player/v1/"
"""TikTok's address for showing a post that is known by its number alone."""


def creatives(there: There) -> View:
    """Return the view of one row per video or image: what it is, what it brought, how long it runs, how tired it is."""
    name, about = "v_creatives", "One row per video or image: links, results, how well it holds people, days running"
    source = next((s for s in _SOURCES if there.has(s.stream, "advertiser_id", s.kind, s.id)), None)
    if source is None:
        return View(name, about, missing={_SOURCES[0].stream: ()})
    dialect, fields = there.dialect, STREAMS[source.stream].fields
    select = Select(there, f"(\n{_by_material(there, source)}\n) AS report")
    account = {"advertiser_id": "report.advertiser_id"}
    video, image, post = _joined(select, source, account)

    def picture(alias: str, stream: str, column: str, *, joined: bool) -> list[str]:
        return select.of(alias, stream, column) if joined else []

    thumbnail = picture("video", "videos", "video_cover_url", joined=video)
    thumbnail += picture("image", "images", "image_url", joined=image)
    names = picture("video", "videos", "file_name", joined=video) + picture(
        "image", "images", "file_name", joined=image
    )
    ids = ["report.material_id"]
    select.add(ADVERTISER_ID, ["report.advertiser_id"])
    select.add(Field("material_type", Kind.TEXT, "What it is, in TikTok's words"), ["report.material_type"])
    select.add(Field("material_id", Kind.ID, "The video or image, as TikTok's reports on creatives call it"), ids)
    select.add(Field("material_name", Kind.TEXT, "Its name"), [*names, *(["report.name"] if source.name else [])])
    for column, one, stream in (("video_id", "video", "videos"), ("image_id", "image", "images")):
        found = [f"report.{column}"] if there.has(source.stream, column) else []
        found += picture(one, stream, column, joined={"video": video, "image": image}[one])
        select.add(Field(column, Kind.ID, f"Its id in {stream}"), found)
    select.add(Field("item_id", Kind.ID, "The TikTok post, of Spark Ads"), post)
    link = [f"CASE WHEN {one} IS NOT NULL THEN {dialect.joined([dialect.text(_POST), one])} END" for one in post]
    select.add(Field("video_link", Kind.TEXT, "Where the post can be watched; stays"), link)
    select.add(Field("thumbnail_link", Kind.TEXT, "A picture of it; the link works for some hours"), thumbnail)
    expiry = [dialect.expiry_of_link.format(first_of(thumbnail))] if thumbnail else []
    select.add(Field("thumbnail_expires_at", Kind.INSTANT, "When that link stops working, if it says so"), expiry)
    duration = picture("video", "videos", "duration", joined=video)
    select.add(Field("duration", Kind.RATE, "Length of the video", unit="seconds"), duration)
    select.add(CURRENCY, ["report.currency"] if there.has(source.stream, "currency") else [])
    dated = STREAMS[source.stream].time is not None
    for made in (
        Field("first_day", Kind.DAY, "First day with spend"),
        Field("last_day", Kind.DAY, "Last day with spend"),
        Field("days_running", Kind.COUNT, "Days with spend"),
    ):
        select.add(made, [f"report.{made.name}"] if dated else [])
    stored = {m for m in (*_MEASURES, *_VALUES) if there.has(source.stream, m)}
    for measure in _MEASURES:
        if measure in stored:
            select.add(fields[measure], [f"report.{dialect.name(measure)}"])
        else:
            select.add(fields[measure], [])
            select.lacks(source.stream, measure)
    values = [v for v in _VALUES if v in stored]
    if not values:
        select.lacks(source.stream, *(v for v in _VALUES if v in fields))
    value = Field("value", Kind.MONEY, "Value of sales on the website and in TikTok Shop", unit="account currency")
    select.add(value, ["report.value"] if values else [])
    for rate, (parts, description) in _RATES.items():
        there_are = stored | ({"value"} if values else set())
        known = {parts.numerator, parts.denominator} <= there_are
        kind = fields["cost_per_conversion"].kind if rate == "cost_per_conversion" else Kind.RATE
        value_of = ratio_of(dialect, parts) if known else ""
        select.add(Field(rate, kind, description), [value_of] if value_of else [])
    _add_fatigue(select, source, account)
    return select.view(name, f"{about}. Made from {source.stream}")


def _by_material(there: There, source: _Source) -> str:
    """Return a SELECT of one row per material: what tells it apart, and its sums."""
    dialect, name = there.dialect, there.dialect.name
    dated = STREAMS[source.stream].time is not None
    grouped = ["advertiser_id", source.kind, source.id]
    grouped += ["currency"] if there.has(source.stream, "currency") else []
    columns = [f"advertiser_id, {name(source.kind)} AS material_type, {name(source.id)} AS material_id"]
    columns += [name(n) for n in grouped[3:]]
    columns += [f"MAX({name(n)}) AS {name(n)}" for n in source.ids_of if there.has(source.stream, n)]
    if source.name:
        named = there.has(source.stream, source.name)
        columns.append(f"{f'MAX({name(source.name)})' if named else dialect.null(Kind.TEXT)} AS name")
    if dated:
        day = "CASE WHEN spend > 0 THEN stat_time_day END" if there.has(source.stream, "spend") else "stat_time_day"
        columns += [f"MIN({day}) AS first_day, MAX({day}) AS last_day", f"COUNT(DISTINCT {day}) AS days_running"]
    fields = STREAMS[source.stream].fields
    stored = [m for m in (*_MEASURES, *_VALUES) if there.has(source.stream, m)]
    for measure in stored:
        if measure in _MEASURES:
            columns.append(f"CAST(SUM({name(measure)}) AS {dialect.types[fields[measure].kind]}) AS {name(measure)}")
    if values := [f"COALESCE({name(v)}, 0)" for v in _VALUES if v in stored]:
        columns.append(f"CAST(SUM({' + '.join(values)}) AS {dialect.types[Kind.MONEY]}) AS value")
    lines = ["  SELECT", "    " + ",\n    ".join(columns), f"  FROM {there.table(source.stream)}"]
    return "\n".join([*lines, f"  GROUP BY {', '.join(map(name, grouped))}"])


def _joined(select: Select, source: _Source, account: Mapping[str, str]) -> tuple[bool, bool, list[str]]:
    """Join the library and the ads; return whether videos and images are there, and SQL for the id of the post.

    A report that does not name the video or image names its material, which the library has as well.
    """
    there, name = select.there, select.dialect.name
    found = []
    for alias, stream, key in (("video", "videos", "video_id"), ("image", "images", "image_id")):
        direct = there.has(source.stream, key)
        ok = there.has(stream, "advertiser_id", key, *(() if direct else ("material_id",)))
        found.append(ok)
        if not ok:
            select.lacks(stream)
        elif direct:
            select.join(there.table(stream), alias, {**account, key: f"report.{key}"})
        else:
            wanted = [n for n in (key, "file_name", "video_cover_url", "image_url", "duration") if there.has(stream, n)]
            taken = ", ".join(f"MAX({name(n)}) AS {name(n)}" for n in wanted)
            one = (
                f"(SELECT advertiser_id, material_id, {taken} FROM {there.table(stream)} "
                "GROUP BY advertiser_id, material_id)"
            )
            select.join(one, alias, {**account, "material_id": "report.material_id"})
    post = [f"CASE WHEN report.material_type = '{_SPARK}' THEN report.material_id END"]
    video_id = ["report.video_id"] if there.has(source.stream, "video_id") else ["video.video_id"] if found[0] else []
    if not there.has("ads", "video_id", "tiktok_item_id"):
        select.lacks("ads", *(("video_id", "tiktok_item_id") if there.has("ads") else ()))
    elif video_id:
        posts = (
            f"(SELECT advertiser_id, video_id, MAX(tiktok_item_id) AS tiktok_item_id FROM {there.table('ads')} "
            "GROUP BY advertiser_id, video_id)"
        )
        select.join(posts, "post", {**account, "video_id": video_id[0]})
        post.append("post.tiktok_item_id")
    return found[0], found[1], post


def _add_fatigue(select: Select, source: _Source, account: Mapping[str, str]) -> None:
    """Add what TikTok says of its ads' fatigue on the last day that it speaks of, where an account may know."""
    there, dialect = select.there, select.dialect
    tired, index = (
        Field("is_fatigued", Kind.BOOLEAN, "Whether TikTok found fatigue in one of its ads, on their last day"),
        Field("fatigue_index", Kind.RATE, "The highest index of them; higher is more tired"),
    )
    stored = there.has("creative_fatigue", "ad_id", "stat_time_day", "has_fatigue", "fatigue_index")
    if not stored or not there.has("ads", "video_id") or not there.has(source.stream, "video_id"):
        if not stored:
            select.lacks("creative_fatigue")
        select.add(tired, [])
        select.add(index, [])
        return
    table = there.table("creative_fatigue")
    latest = (
        "(SELECT ad.advertiser_id, ad.video_id, MAX(CASE WHEN day.has_fatigue THEN 1 ELSE 0 END) AS tired, "
        f"MAX(day.fatigue_index) AS fatigue_index FROM {table} AS day "
        f"JOIN (SELECT advertiser_id, ad_id, MAX(stat_time_day) AS stat_time_day FROM {table} "
        "GROUP BY advertiser_id, ad_id) AS latest ON latest.advertiser_id = day.advertiser_id "
        "AND latest.ad_id = day.ad_id AND latest.stat_time_day = day.stat_time_day "
        f"JOIN {there.table('ads')} AS ad ON ad.advertiser_id = day.advertiser_id AND ad.ad_id = day.ad_id "
        "GROUP BY ad.advertiser_id, ad.video_id)"
    )
    select.join(latest, "fatigue", {**account, "video_id": "report.video_id"})
    select.add(tired, ["fatigue.tired = 1"])
    select.add(index, [f"CAST(fatigue.fatigue_index AS {dialect.types[Kind.RATE]})"])
