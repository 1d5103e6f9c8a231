"""What is checked after an import: what its share of requests allows, and what of it a person should know at once.

Every account has its turn before any has a second one, the days first that were confirmed longest ago. What a run reads
is confirmed by TikTok's totals while it is read, at no request: the turns are for days that no import reads any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from owox_tiktok.app.proofs import COMPARABLE, NEVER, Checks, kept
from owox_tiktok.model import Advertiser, Destination, Stream, Window
from owox_tiktok.settings import Settings
from owox_tiktok.spool import Spool
from owox_tiktok.states import Reason as Stop
from owox_tiktok.tiktok.accounts import Accounts
from owox_tiktok.tiktok.reader import Source
from owox_tiktok.trust.closing import last_closed
from owox_tiktok.trust.kept import KeepsChecks
from owox_tiktok.trust.like_for_like import LONGEST_DAYS
from owox_tiktok.trust.verdicts import (
    PAGE,
    SEVERITY,
    VERIFIED,
    DayChecked,
    Severity,
    is_alarming,
    stretches,
)
from owox_tiktok.views.trust import COMPARED

SHARE = Decimal("0.05")
"""So many requests to check imports may take, compared with those to read."""
RECENTLY = timedelta(hours=20)
"""Days that were confirmed so short a time ago need no other check."""
SILENT_AFTER = timedelta(hours=48)
"""Where nothing was confirmed for so long, though it was before, a person should know."""

Moments = Mapping[tuple[str, str], Mapping[date, datetime | None]]
"""When TikTok's total last confirmed each day, by object and account; see ``KeepsChecks.verified``."""


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What the checks after an import came to: verdicts, and how many requests they took.

    ``share`` is how many requests to check all imports so far took for each one to read; see ``events.Proof``.
    ``verified`` is what the destination answered before the checks, None where it was not asked.
    """

    days: Sequence[DayChecked] = ()
    requests: int = 0
    share: float | None = None
    verified: Moments | None = None

    @property
    def compared(self) -> int:
        """How many days could be compared."""
        return sum(one.verdict in COMPARABLE for one in self.days)

    @property
    def equal(self) -> int:
        """How many of them are the same."""
        return sum(one.verdict in VERIFIED for one in self.days)


def check_afterwards(
    source: Source,
    settings: Settings,
    destination: Destination,
    accounts: Accounts,
    *,
    now: datetime,
    halted: Callable[[], Stop | None],
) -> Afterwards:
    """Check after an import what its 5 % of requests allow, the days first that were confirmed longest ago.

    With ``check_every_run`` all of the last 30 days. Nothing where the destination does not keep what came of it.
    """
    if not isinstance(destination, KeepsChecks):
        return Afterwards()
    counts = source.api.counts
    before = counts.requests
    reading, checking = destination.asked_so_far()
    found: list[DayChecked] = []
    verified: Moments | None = None
    with Spool() as spool:
        if settings.check_every_run:
            checks = Checks(source, settings, now)
            for task in checks.tasks(destination, accounts, None):
                if halted():
                    break
                found += checks.check(task, spool)
        elif (credit := int(SHARE * (reading + before)) - checking) > 0:
            # Each takes a request at least, so no more need be looked up.
            verified = destination.verified()
            turns = _turns(settings, verified, accounts, now)[:credit]
            for task in Checks(source, settings, now).tasks_of(destination, turns):
                spent = counts.requests - before
                if halted() or spent >= credit:
                    break
                # On its own: days of other months are other questions about the account.
                found += Checks(source, settings, now, whole_account=credit - spent > 1).check(task, spool)
    asked = counts.requests - before
    share = (checking + asked) / max(1, reading + before)
    return Afterwards(kept(destination, found, now), asked, share, verified)


def _turns(
    settings: Settings, verified: Moments, accounts: Accounts, now: datetime
) -> list[tuple[Stream, Advertiser, Window]]:
    """Return what to check, 30 days of an object and account at a time.

    Every account has a turn before any has a second one; in each round those first that wait longest.
    """
    waiting: dict[str, list[tuple[datetime, str, Stream, Advertiser, Window]]] = {}
    for stream in settings.objects:
        if not (stream.is_report and stream.time == "stat_time_day" and stream.report_type == "BASIC"):
            continue
        if "country_code" in stream.dimensions:
            continue
        for advertiser in accounts.found:
            days = verified.get((stream.name, advertiser.id), {})
            last = last_closed(advertiser.zone, now)
            closed = sorted(day for day in days if day <= last)
            while closed:
                part = [day for day in closed if (closed[-1] - day).days < LONGEST_DAYS]
                closed = closed[: -len(part)]
                longest_ago = min(days[day] or NEVER for day in part)
                if now - longest_ago >= RECENTLY:
                    of = waiting.setdefault(advertiser.id, [])
                    of.append((longest_ago, stream.name, stream, advertiser, Window(part[0], part[-1])))
    turns = [
        (number, longest_ago, advertiser_id, name, (stream, advertiser, window))
        for advertiser_id, of in waiting.items()
        for number, (longest_ago, name, stream, advertiser, window) in enumerate(sorted(of, key=lambda one: one[:2]))
    ]
    return [turn[-1] for turn in sorted(turns, key=lambda turn: turn[:4])]


def silence(destination: Destination, checked: Afterwards, rows: Mapping[str, int], now: datetime) -> str:
    """Return a sentence with no full stop where nothing was confirmed for two days, though it was before; else "".

    To be asked after an import that has confirmed nothing of the ``rows`` it read, by object, nor by what it
    ``checked``: so what was confirmed before the checks is all there is, and the destination is not asked twice. Where
    it read none that can be confirmed, because the configuration ends in the past, say, nothing is the matter.
    """
    if not isinstance(destination, KeepsChecks) or not any(rows.get(name) for name in COMPARED):
        return ""
    verified = destination.verified() if checked.verified is None else checked.verified
    moments = [at for days in verified.values() for at in days.values() if at]
    last = max(moments, default=None)
    if last is None or now - last < SILENT_AFTER:
        return ""
    return (
        f"nothing that is stored was confirmed by TikTok's totals since {last:%Y-%m-%d %H:%M} UTC: "
        f"run owox-tiktok verify to see why, and see {PAGE}"
    )


def alarm(found: Sequence[DayChecked]) -> list[tuple[str, str, str]]:
    """Return (object, account, sentence) for what a person should know at once."""
    said = []
    for stretch in stretches(one for one in found if SEVERITY[one.verdict] is Severity.BAD):
        if is_alarming(stretch.days):
            days = f"{stretch.first}" if stretch.first == stretch.last else f"{stretch.first} to {stretch.last}"
            ids = sorted({r for one in stretch.days for r in one.requests})[:3]
            asked = f" (TikTok requests {', '.join(ids)})" if ids else ""
            again = "again " if any(one.again for one in stretch.days) else ""
            why = f"{again}{stretch.verdict}: {stretch.reason}{asked}"
            said.append(
                (stretch.object, stretch.advertiser_id, f"{days} {'is' if days.find(' ') < 0 else 'are'} {why}")
            )
    return said
