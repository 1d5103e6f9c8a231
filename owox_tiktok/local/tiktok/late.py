"""What TikTok knows how long after: numbers that come late, are corrected the next day, or grow for weeks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from owox_tiktok.local.tiktok.world import GROWTH, AdGroup, Advertiser, Cell

RELEASED = "@released"
"""Added to the name of a total: the same of those days only whose offline numbers are out."""

_WINDOW_DAYS = {
    "OFF": 1,
    "ONE_DAY": 1,
    "SEVEN_DAYS": 7,
    "FOURTEEN_DAYS": 14,
    "TWENTY_EIGHT_DAYS": 28,
    "THIRTY_DAYS": 30,
    "ONE_HUNDRED_EIGHTY_DAYS": 180,
}
_FINAL_UTC_H = 12
_OFFLINE_H = 16
_SLOWEST_H = 24
_EARLY_SPLITS = frozenset({"country_code", "placement"})
_SLOWEST_SPLITS = frozenset({"behavior_id", "purchase_intention"})


def last_final_day(now: datetime) -> int:
    """The last day (ordinal) whose delivery is not corrected any more: it is at 12:00 UTC of the day after."""
    return (now.astimezone(UTC) - timedelta(hours=_FINAL_UTC_H)).date().toordinal() - 1


def last_released_day(advertiser: Advertiser, now: datetime, hours: int = _OFFLINE_H) -> int:
    """The last day (ordinal, of the account) that ended ``hours`` ago or earlier."""
    return (now - timedelta(hours=hours)).astimezone(advertiser.zone).date().toordinal() - 1


def last_day_of_split(advertiser: Advertiser, now: datetime, split: Collection[str]) -> int | None:
    """The last day that an audience split has rows for; None where it is not late."""
    if not split or _EARLY_SPLITS & set(split):
        return None
    return last_released_day(advertiser, now, _SLOWEST_H if _SLOWEST_SPLITS & set(split) else _OFFLINE_H)


def provisional(cell: Cell) -> Cell:
    """What is known of a day before its correction: a little less."""
    day, impressions, clicks, spend, bits = cell
    return (day, impressions - impressions // 40, clicks - clicks // 40, spend - spend // 50, bits)


def window_days(group: AdGroup) -> int:
    """How many days after a click the ad group's conversions are still credited."""
    return _WINDOW_DAYS.get(group.click_window, 7)


def known_percent(age_days: int, window_days: int) -> int:
    """Percent of a day's conversions that are known so many days after it, within an attribution window."""
    return 100 if age_days >= window_days else GROWTH[age_days * 7 // window_days]
