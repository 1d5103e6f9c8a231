"""How fresh what is stored is, as the destination knows it. TikTok is not asked."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from owox_tiktok.destinations import open_destination
from owox_tiktok.events import duration
from owox_tiktok.model import CountsRows, Known, NamesAccounts, Stream
from owox_tiktok.plan import WHOLE_APP
from owox_tiktok.settings import Settings

DAY_OF_GRACE = timedelta(days=1)


class Freshness(enum.StrEnum):
    """How a pair stands; all but FRESH and COMPLETE need attention."""

    FRESH = "fresh"
    COMPLETE = "complete"  # the configuration ends before today, and all of it is read
    BEHIND = "behind"  # too long ago, or days are missing
    FAILED = "failed"  # the last import could not read it
    NEVER = "never read"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one object of an ad account is: what its cursor says, its age in seconds, its rows and its last failure.

    ``account`` is the account's name, "" where the destination does not know it.
    ``rows`` is None where the destination cannot count them for nothing. ``problem`` is a sentence, "" when all is
    well.
    """

    object: str
    advertiser_id: str
    state: Freshness
    since: date | None = None
    through: date | None = None
    read_at: datetime | None = None
    age_s: float | None = None
    rows: int | None = None
    problem: str = ""
    failed_at: datetime | None = None
    account: str = ""

    @property
    def ok(self) -> bool:
        """Whether nobody need look after it."""
        return self.state in (Freshness.FRESH, Freshness.COMPLETE)


def status(
    settings: Settings, *, now: datetime, max_age: timedelta, environment: Mapping[str, str] | None = None
) -> list[Standing]:
    """Return how far each configured pair is, as the destination knows it; TikTok is not asked.

    Where all ad accounts of an authorisation are imported, those are meant that were read before. A pair is behind when
    it was read longer ago than ``max_age``, or its last day is more than a day before the day on which it was read.
    """
    with open_destination(settings.destination, read_only=True, environment=environment) as destination:
        known = destination.cursors()
        counts = {
            stream.name: destination.row_counts(stream) if isinstance(destination, CountsRows) else None
            for stream in settings.objects
        }
        names = destination.account_names() if isinstance(destination, NamesAccounts) else {}
    ids = settings.advertiser_ids or tuple(sorted({advertiser_id for _, advertiser_id in known if advertiser_id}))
    found = [
        _standing(settings, stream, one, known.get((stream.name, one), Known()), counts[stream.name], now, max_age)
        for stream in settings.objects
        for one in ((WHOLE_APP.id,) if stream.per_app else ids)
    ]
    return [replace(one, account=names.get(one.advertiser_id, "")) for one in found]


def _standing(
    settings: Settings,
    stream: Stream,
    advertiser_id: str,
    known: Known,
    counts: Mapping[str, int] | None,
    now: datetime,
    max_age: timedelta,
) -> Standing:
    cursor, failure = known.cursor, known.failure
    rows = None if counts is None else sum(counts.values()) if stream.per_app else counts.get(advertiser_id, 0)
    age_s = max(0.0, (now - cursor.read_at).total_seconds()) if cursor else 0.0
    problem, state = "", Freshness.FRESH
    last = min(cursor.read_on, settings.end_date or cursor.read_on) if cursor else None
    if failure and (cursor is None or failure.at >= cursor.read_at):
        problem, state = failure.reason, Freshness.FAILED
    elif known.lost:
        problem, state = f"{known.lost}: the next import reads it again", Freshness.BEHIND
    elif cursor is None:
        problem, state = "the next import reads it", Freshness.NEVER
    elif stream.time and (cursor.through is None or (last and cursor.through < last - DAY_OF_GRACE)):
        problem, state = f"days up to {last} are missing", Freshness.BEHIND
    elif settings.end_date and cursor.read_on > settings.end_date + timedelta(days=settings.reimport_lookback_window):
        state = Freshness.COMPLETE
    elif age_s > max_age.total_seconds():
        problem, state = f"it was read {duration(age_s)} ago", Freshness.BEHIND
    return Standing(
        stream.name,
        advertiser_id,
        state,
        cursor.since if cursor else None,
        cursor.through if cursor else None,
        cursor.read_at if cursor else None,
        age_s if cursor else None,
        rows,
        problem,
        failure.at if failure else None,
    )
