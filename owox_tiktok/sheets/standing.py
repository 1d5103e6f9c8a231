"""What Current Status says after an import, for people: through which day, how much, and when the next one comes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

_SCHEDULE = re.compile(r"(?P<when>Hourly|Daily|Weekdays)(?: at (?P<hour>\d\d):(?P<minute>[0-5]\d))?")
"""What *Schedule…* in the menu writes into Config, before the name of who set it."""


def up_to_date(last: date | None, did: Sequence[str], schedule: str, now: datetime, equal: date | None = None) -> str:
    """Return the status of an import that is done.

    ``last`` is its last day, ``did`` what it did in words, ``now`` the Sheet's own time, and ``equal`` the day through
    which TikTok's totals confirm what is stored.
    """
    through = f" through {last:%a} {last.day} {last:%b}" if last else ""
    equals = f"equals TikTok through {equal.day} {equal:%b}" if equal else ""
    return " · ".join(part for part in (f"Up to date{through}", *did, next_import(schedule, now), equals) if part)


def next_import(schedule: str, now: datetime) -> str:
    """Return when a schedule, as Config shows it, imports next; empty where there is none."""
    found = _SCHEDULE.match(schedule.strip())
    if found is None:
        return ""
    if found["when"] == "Hourly":
        return "next import within an hour"
    if found["hour"] is None or int(found["hour"]) > 23:
        return ""
    then = now.replace(hour=int(found["hour"]), minute=int(found["minute"]), second=0, microsecond=0)
    while then <= now or (found["when"] == "Weekdays" and then.weekday() > 4):
        then += timedelta(days=1)
    days = (then.date() - now.date()).days
    day = {0: "today", 1: "tomorrow"}.get(days, f"{then:%A}")
    return f"next import {day} {then:%H:%M}"
