"""Reports of one's own: a person's name, level, time, split and filters, made by the builder of all reports.

What TikTok is known to refuse is refused here, in words, before anything is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import get_args

from owox_tiktok.model import Level, Report, Stream
from owox_tiktok.streams.common import LEVELS, WORD_OF
from owox_tiktok.streams.reports import (
    AUDIENCE_BREAKDOWNS,
    BASIC_BREAKDOWNS,
    LIFETIME_AUDIENCE_DAYS,
    Granularity,
    ReportType,
    breakdown,
    report,
)

TIMES = (*get_args(Granularity), "range")
FILTERS: Mapping[str, str] = {
    "campaign_ids": "campaign_ids",
    "adgroup_ids": "adgroup_ids",
    "ad_ids": "ad_ids",
    "objective_type": "objective_type",
    "optimization_goal": "optimization_goal",
    "promotion_type": "promotion_type",
    "billing_event": "billing_event",
    "bid_strategy": "bid_strategy",
    "campaign_automation_type": "campaign_automation_type",
}
"""What a report can be filtered by as TikTok does it, beside ``status`` and ``campaign_name_contains``."""
MOST_IDS = 100
"""So many ids a filter takes."""
STATUSES = ("STATUS_ALL", "STATUS_NOT_DELETE", "STATUS_DELETE", "STATUS_DISABLE", "STATUS_DELIVERY_OK",
            "STATUS_NOT_DELIVERY")  # fmt: skip


class CannotBe(Exception):
    """A report that TikTok does not give: which part of it is wrong, what about it, and what to do."""

    def __init__(self, part: str, what: str, what_to_do: str) -> None:
        self.part, self.what, self.what_to_do = part, what, what_to_do
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; ``audience`` chooses between the two reports by country."""

    name: str
    level: str
    time: str = "daily"
    split: str = ""
    audience: bool = False
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def custom_report(wish: Wish) -> Stream:
    """Return the report that is asked for; raises CannotBe where TikTok has no such report."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,50}", wish.name):
        raise CannotBe(
            "name", "is not a name for a table", "Use small letters, digits and _, a letter first: search_by_week."
        )
    level = _level(wish)
    if wish.time not in TIMES:
        raise CannotBe("time", f"{wish.time!r} is not one of the choices", f"Use one of: {', '.join(TIMES)}.")
    kind = _kind(wish)
    found = breakdown(kind, wish.split)
    _check(wish, level, kind)
    # A range is read like a lifetime, of which TikTok is told the days.
    granularity: Granularity = "lifetime" if wish.time == "range" else wish.time  # type: ignore[assignment]
    made = report(level, granularity, wish.split, kind)
    assert made.report is not None
    spans = wish.time == "range" or (granularity == "lifetime" and (found is not None or kind == "AUDIENCE"))
    filters = tuple((name, tuple(values)) for name, values in sorted(wish.filters.items()) if values)
    own = replace(made.report, filters=filters, span_days=LIFETIME_AUDIENCE_DAYS if spans else None)
    about = f"; only {_in_words(filters)}" if filters else ""
    return replace(
        made,
        name=wish.name,
        title=wish.name.replace("_", " ").capitalize(),
        description=f"A report of your own. {made.description}{about}",
        kind=own,
        mark=_mark(own, level, wish.time),
        in_sandbox=made.in_sandbox and not filters,
    )


def _level(wish: Wish) -> Level:
    for level in LEVELS:
        if wish.level.strip().lower().replace(" ", "_").replace("adgroup", "ad_group") == level:
            return level
    raise CannotBe("level", f"{wish.level!r} is not one of the choices", f"Use one of: {', '.join(LEVELS)}.")


def _kind(wish: Wish) -> ReportType:
    if wish.split and wish.split not in BASIC_BREAKDOWNS and wish.split not in AUDIENCE_BREAKDOWNS:
        known = ", ".join(sorted({*BASIC_BREAKDOWNS, *AUDIENCE_BREAKDOWNS}))
        raise CannotBe("split", f"{wish.split!r} is not one of the choices", f"Use one of: {known}.")
    if wish.audience and wish.split not in AUDIENCE_BREAKDOWNS:
        raise CannotBe("audience", "needs a split that audiences have", "Add one, such as split: country.")
    return "AUDIENCE" if wish.audience or (wish.split and wish.split not in BASIC_BREAKDOWNS) else "BASIC"


def _check(wish: Wish, level: Level, kind: ReportType) -> None:
    """Refuse what TikTok is known to refuse."""
    found = breakdown(kind, wish.split)
    if found is not None:
        if level not in found.levels and found.levels != ("campaign", "ad"):
            words = ", ".join(WORD_OF[one].lower() for one in found.levels)
            raise CannotBe("level", f"TikTok has no report of that level by {found.words}", f"Use one of: {words}.")
        if wish.time == "hourly" and not found.hourly:
            raise CannotBe("time", f"TikTok has no hourly report by {found.words}", "Use daily.")
        if wish.time == "daily" and not found.daily:
            raise CannotBe("time", f"TikTok gives no days by {found.words}", "Use range, weekly or monthly.")
        if wish.time != "hourly" and wish.split == "bucket":
            raise CannotBe("time", "TikTok gives time buckets by hour only", "Use hourly.")
        if wish.time == "lifetime" and kind == "BASIC":
            raise CannotBe("time", f"TikTok has no lifetime by {found.words}", "Use range: the last 365 days at most.")
    for name, values in wish.filters.items():
        if name not in (*FILTERS, "status", "campaign_name_contains"):
            advice = f"Use one of: {', '.join((*FILTERS, 'status', 'campaign_name_contains'))}."
            if name in ("country", "country_code"):
                advice = "Use split: country, and filter when you query: TikTok has no filter by country."
            raise CannotBe("filters", f"there is no filter {name!r}", advice)
        if name == "status" and (level == "advertiser" or not set(values) <= set(STATUSES)):
            raise CannotBe("filters", "status is not one of the choices at this level", f"Use {', '.join(STATUSES)}.")
        if len(values) > MOST_IDS:
            raise CannotBe("filters", f"{name} has {len(values)} values", f"TikTok takes {MOST_IDS} at most.")


def _in_words(filters: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return "; ".join(f"{name} {', '.join(values[:5])}{' …' if len(values) > 5 else ''}" for name, values in filters)


def _mark(own: Report, level: Level, time: str) -> str:
    """Return what tells this definition from another of the same name."""
    said = f"{own.type} {own.dimensions} {own.filters} {level} {time}"
    return f"definition:{blake2b(said.encode(), digest_size=6).hexdigest()}"
