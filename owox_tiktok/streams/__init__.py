"""What TikTok offers: STREAMS, as data and one builder for reports.

A list is one row of a table (``lists``); a report follows from *level x time x split* (``reports``). Fields come from
the two tables in ``catalogue/``. Documentation, schemas, the example config, the Sheet template and the tests all read
STREAMS. Nothing here knows how a request is sent or where rows go.
"""

from __future__ import annotations

from collections.abc import Mapping

from owox_tiktok.model import Stream
from owox_tiktok.names import bare, resolve, squeezed, synonym, synonyms
from owox_tiktok.streams.common import AD_ID_V2, ADVERTISER_ID, CURRENCY, ID_OF, LEVELS
from owox_tiktok.streams.creatives import creative_insights, creative_reports
from owox_tiktok.streams.lists import lists
from owox_tiktok.streams.metrics import MAX_METRICS, PRESETS, Metric, metrics
from owox_tiktok.streams.money import money_reports
from owox_tiktok.streams.permissions import permission_for
from owox_tiktok.streams.reports import (
    AUDIENCE_BREAKDOWNS,
    BASIC_BREAKDOWNS,
    LIFETIME_AUDIENCE_DAYS,
    NAMES_BY_LEVEL,
    Breakdown,
    is_documented,
    reports,
)
from owox_tiktok.streams.shop import shop_reports

__all__ = [
    "ADVERTISER_ID", "AD_ID_V2", "ALIASES", "AUDIENCE_BREAKDOWNS", "BASIC_BREAKDOWNS", "CURRENCY", "ID_OF", "LEVELS",
    "LIFETIME_AUDIENCE_DAYS", "MAX_METRICS", "PRESETS", "STREAMS", "Breakdown", "Metric", "default_fields", "expand",
    "find", "metrics", "permission_for",
]  # fmt: skip

STREAMS: Mapping[str, Stream] = {
    s.name: s
    for s in (*lists(), *reports(), *shop_reports(), *money_reports(), *creative_reports(), *creative_insights())
}
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
    """Return the fields imported when the user chose none: a list's but for personal ones, a preset of a report's."""
    if stream.default == ("*",):
        return tuple(name for name, field in stream.fields.items() if not field.personal)
    return tuple(n for n in stream.default if _documented(stream, n))


def _documented(stream: Stream, name: str) -> bool:
    """Whether TikTok itself says that this report has the field: only those are in a preset."""
    if name not in stream.fields:
        return False
    metric = metrics().get(name)
    return metric is None or stream.report is None or is_documented(metric, stream.report.type, stream.report.split)


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
        chosen = tuple(n for n in (*NAMES_BY_LEVEL[stream.level], *PRESETS[word]) if _documented(stream, n))
        of_metrics = [n for n in chosen if metrics()[n].field.group != "attribute"]
        return chosen if of_metrics else default_fields(stream)
    field = resolve("field", word, stream.fields)
    return (field,) if field else None
