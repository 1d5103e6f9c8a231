"""The view of creatives: what each video or image brought, and how long people watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import STREAMS
from owox_tiktok.views.performance import Ratio, ratio_of
from owox_tiktok.views.select import Select, There, View

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
