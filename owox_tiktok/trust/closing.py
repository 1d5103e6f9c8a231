"""When a day is over for TikTok, too: from then on its numbers may be compared, and before that they only move.

TikTok corrects yesterday's results at 12:00 UTC. A day of an account west of UTC may end after that, so it has to wait
for the correction of the day after. Money that is settled later, and people counted, come later still. Conversions move
for as long as TikTok credits them, so they count only where the day had settled (``reimport_lookback_window``).

Pure: moments are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from owox_tiktok.model import Window

A_DAY = timedelta(days=1)
CORRECTED = time(12)
"""The moment (UTC) at which TikTok aligns the day before."""
CLOCKS = timedelta(minutes=30)
"""Clocks differ, and a correction takes its time: a day counts as over so much later."""
LATER: Mapping[str, timedelta] = {
    **dict.fromkeys(("cash_spend", "voucher_spend", "cashback_coupon_spend"), timedelta(hours=16)),
    **dict.fromkeys(
        ("reach", "frequency", "cost_per_1000_reached", "average_video_play_per_user"), timedelta(hours=16)
    ),
    "tax_spend": timedelta(hours=48),
    "billed_cost": timedelta(hours=11),
}
"""Metrics that come after the others: how long after the end of the account's day."""


def closes_at(day: date, zone: ZoneInfo, metric: str = "spend") -> datetime:
    """Return the moment (UTC) from which TikTok does not change a metric of an account's day any more."""
    end = datetime.combine(day + A_DAY, time.min, zone)
    is_west = (end.utcoffset() or timedelta()) < timedelta()
    corrected = datetime.combine(day + (2 if is_west else 1) * A_DAY, CORRECTED, UTC)
    return max(corrected, end.astimezone(UTC) + LATER.get(metric, timedelta())) + CLOCKS


def is_closed(day: date, zone: ZoneInfo, at: datetime, metric: str = "spend") -> bool:
    """Whether a metric of an account's day is final at a moment."""
    return closes_at(day, zone, metric) <= at


def last_closed(zone: ZoneInfo, at: datetime) -> date:
    """Return the last day of an account that is final at a moment."""
    day = at.astimezone(UTC).date() + A_DAY
    while not is_closed(day, zone, at):
        day -= A_DAY
    return day


def closed_part(window: Window, zone: ZoneInfo, at: datetime) -> Window | None:
    """Return the days of a window that are final at a moment; None where there are none."""
    last = min(window.last, last_closed(zone, at))
    return Window(window.first, last) if window.first <= last else None
