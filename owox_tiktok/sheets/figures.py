"""What the tab *Numbers* says: what stands in the Sheet against what TikTok says, by account and day. Pure.

An account's figures are those of one of its reports, the finest that is imported, so that nothing counts twice; a day's
colour is the worst that any of its reports has. Only reports that TikTok gives totals of count, and others where
something is wrong with them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from owox_tiktok.model import Advertiser
from owox_tiktok.sheets.months import Kept
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.closing import is_closed
from owox_tiktok.trust.totals import WITHOUT_DECIMALS
from owox_tiktok.trust.verdicts import SEVERITY, VERIFIED, Severity, Verdict
from owox_tiktok.views.trust import COMPARED

SHOWN_DAYS = 30
MOST_SAID = 3
_LEVELS = ("ad", "ad_group", "campaign", "advertiser")
A_DAY = timedelta(days=1)
_BAD = frozenset(verdict for verdict, severity in SEVERITY.items() if severity is Severity.BAD)


class Look(enum.Enum):
    """What a day looks like: the sign in its cell, and in words. The worst comes first."""

    WRONG = "!", "wrong or missing"
    OPEN = "?", "not compared yet"
    MOVING = "~", "TikTok still changes it"
    EXPLAINED = "i", "explained"
    EQUAL = "=", "equal"
    NONE = "", "nothing imported"

    @property
    def sign(self) -> str:
        """The text of the cell."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class DayFigures:
    """A day of an account: what it looks like, and its figures in words, a line per report."""

    day: date
    look: Look
    lines: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """The figures, under the day."""
        return "\n".join([f"{self.day:%a} {self.day.day} {self.day:%b %Y}", *self.lines]) if self.lines else ""


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """A line of the tab.

    ``here`` and ``theirs`` are the spend of those of the days shown that are over and on which the account itself was
    asked, in the Sheet and at TikTok; ``theirs`` is None where there is no such day, and ``here`` that of all.
    """

    advertiser: Advertiser
    here: Decimal
    theirs: Decimal | None
    why: str
    through: date | None
    moving: date | None
    spend: Decimal
    """Of all days that are stored and over for TikTok, too."""
    verified: Decimal
    """How much of it TikTok's totals confirm."""
    since: date | None
    """The first of these days, where it is before those that are shown."""
    wrong: tuple[date, ...]
    """All days on which something is wrong with a report, also those that are not shown."""
    days: tuple[DayFigures, ...]

    @property
    def share(self) -> float | None:
        """How much of what the account spent is here."""
        if self.theirs is None:
            return None
        return float(self.here / self.theirs) if self.theirs else 1.0


Days = Mapping[date, Kept]


def account_figures(
    advertisers: Sequence[Advertiser], kept: Mapping[tuple[str, str], Days], now: datetime
) -> list[AccountFigures]:
    """Return the lines of the accounts that something is stored of, in their order."""
    last = max(
        (day for (name, _), days in kept.items() if name in COMPARED for day, one in days.items() if one.sealed),
        default=None,
    )
    if last is None:
        return []
    shown = [last - n * A_DAY for n in range(SHOWN_DAYS - 1, -1, -1)]
    found = []
    for advertiser in advertisers:
        reports = {name: days for (name, who), days in kept.items() if who == advertiser.id and name in STREAMS}
        if any(name in COMPARED for name in reports):
            found.append(_account(advertiser, reports, shown, now))
    return found


def _account(
    advertiser: Advertiser, reports: Mapping[str, Days], shown: Sequence[date], now: datetime
) -> AccountFigures:
    compared = {name: days for name, days in reports.items() if name in COMPARED}
    main = min(compared, key=_rank)
    days = [_day(advertiser, reports, main, day, now) for day in shown]
    of_main = {day: one for day, one in compared[main].items() if one.sealed}
    over = {
        day: one
        for day, one in of_main.items()
        if one.mark.verdict is not Verdict.MOVING and is_closed(day, advertiser.zone, now)
    }
    asked = [day for day in shown if day in of_main and _is_known(of_main[day], day, advertiser, now)]
    theirs = sum((of_main[day].mark.account or Decimal() for day in asked), Decimal()) if asked else None
    return AccountFigures(
        advertiser,
        sum((_spend(of_main[day]) for day in (asked or [d for d in shown if d in of_main])), Decimal()),
        theirs,
        _why(reports, main, shown),
        _through(compared.values()),
        min((one.day for one in days if one.look is Look.MOVING), default=None),
        sum((_spend(one) for one in over.values()), Decimal()),
        sum((_spend(one) for one in over.values() if one.mark.verdict in VERIFIED), Decimal()),
        min((day for day in over if day < shown[0]), default=None),
        tuple(sorted(day for day in set().union(*reports.values()) if _is_wrong(reports.values(), day))),
        tuple(days),
    )


def _is_wrong(reports: Iterable[Days], day: date) -> bool:
    return any(day in days and days[day].mark.verdict in _BAD for days in reports)


def _rank(name: str) -> tuple[int, str]:
    level = STREAMS[name].level
    return (_LEVELS.index(level) if level in _LEVELS else len(_LEVELS), name)


def _spend(one: Kept) -> Decimal:
    return (one.sealed.seal.spend if one.sealed else None) or Decimal()


def _is_known(one: Kept, day: date, advertiser: Advertiser, now: datetime) -> bool:
    """Whether it is known what the account spent on a day that is over."""
    return one.mark.account is not None and is_closed(day, advertiser.zone, now)


def _day(advertiser: Advertiser, reports: Mapping[str, Days], main: str, day: date, now: datetime) -> DayFigures:
    looks: list[Look] = []
    lines: list[str] = []
    account: Decimal | None = None
    for name in sorted(reports, key=lambda name: (name != main, _rank(name))):
        one = reports[name].get(day)
        if one is None:
            continue
        verdict = one.mark.verdict
        bad = verdict in _BAD
        if name not in COMPARED and not bad:
            continue
        look = _look(one, is_closed(day, advertiser.zone, now))
        looks.append(look)
        said = one.mark.verdict.value if one.mark.verdict and look is not Look.MOVING else look.value[1]
        figures = ""
        if one.sealed:
            rows = one.sealed.seal.rows
            spend = _money(_spend(one), advertiser.currency)
            figures = f", {spend} in {rows:,} row{'' if rows == 1 else 's'}"
        at = one.mark.verified_at
        when = f" (confirmed {at.astimezone(UTC):%d %b %H:%M} UTC)" if at and verdict in VERIFIED else ""
        why = f": {one.mark.reason}" if one.mark.reason and look is not Look.MOVING else ""
        lines.append(f"{STREAMS[name].title}: {said}{figures}{when}{why}")
        account = one.mark.account if account is None else account
    if account is not None:
        lines.append(f"The account itself: {_money(account, advertiser.currency)}")
    look = next((look for look in Look if look in looks), Look.NONE)
    return DayFigures(day, look, tuple(lines))


def _look(one: Kept, closed: bool) -> Look:
    verdict = one.mark.verdict
    if verdict in VERIFIED and verdict is not Verdict.NOT_EXPLAINED:
        return Look.EXPLAINED if verdict is Verdict.EXPLAINED else Look.EQUAL
    if verdict in _BAD:
        return Look.WRONG
    if not closed or verdict is Verdict.MOVING:
        return Look.MOVING
    return Look.OPEN


def _why(reports: Mapping[str, Days], main: str, shown: Sequence[date]) -> str:
    """Return why the account's figures differ, in a few words.

    That is what is wrong with any report; else the reasons with a name of the one whose figures are shown.
    """
    of_bad = [one.mark for days in reports.values() for _, one in sorted(days.items()) if one.mark.verdict in _BAD]
    of_main = [reports[main][day].mark for day in shown if day in reports[main]]
    named = [mark for mark in of_main if mark.verdict is Verdict.EXPLAINED]
    for marks in (of_bad, named):
        reasons: dict[str, None] = {}
        for mark in marks:
            said = mark.reason.partition("; see ")[0]
            reasons[said if mark.verdict is Verdict.EXPLAINED else f"{mark.verdict}: {said}"] = None
        if reasons:
            more = f" … {len(reasons) - 2} more, see the notes" if len(reasons) > 2 else ""
            return "; ".join(list(reasons)[:2]) + more
    return ""


def _through(reports: Iterable[Days]) -> date | None:
    """Return the last day up to which every day of every report is confirmed; None where there is none."""
    found: list[date] = []
    for days in reports:
        there = sorted(days)
        last = None
        for day in there:
            if days[day].mark.verdict not in VERIFIED:
                break
            last = day
        if last is None:
            return None
        found.append(last)
    return min(found, default=None)


# --- in a sentence ----------------------------------------------------------------------------------------------------


def sentence(accounts: Sequence[AccountFigures]) -> str:
    """Return what the tab says in a sentence or three."""
    if not accounts:
        return "Nothing of a report by day is imported yet."
    wrong = [account for account in accounts if account.wrong]
    through = [account.through for account in accounts]
    whole = min((day for day in through if day), default=None) if None not in through else None
    parts = []
    if wrong:
        parts.append(_wrong(wrong, of_several=len(accounts) > 1))
    checked = _checked(accounts)
    if whole:
        parts.append(f"Your numbers equal TikTok's through {_short(whole)}{checked and ': '}{checked}.")
    elif checked:
        parts.append(f"{checked[0].upper()}{checked[1:]}.")
    moving = sorted({one.day for account in accounts for one in account.days if one.look is Look.MOVING})
    if moving:
        parts.append(f"{_span(moving)} {'is' if len(moving) == 1 else 'are'} still moving.")
    return " ".join(parts)


def _wrong(accounts: Sequence[AccountFigures], *, of_several: bool) -> str:
    days = sorted({day for account in accounts for day in account.wrong})
    some = ", ".join(_short(day) for day in days[:MOST_SAID]) + (", …" if len(days) > MOST_SAID else "")
    names = [account.advertiser.name or account.advertiser.id for account in accounts]
    whose = f" of {', '.join(names[:MOST_SAID])}{', …' if len(names) > MOST_SAID else ''}" if of_several else ""
    one = len(days) == 1
    return f"{len(days)} day{'' if one else 's'}{whose} {'is' if one else 'are'} not what TikTok has: {some}."


def _checked(accounts: Sequence[AccountFigures]) -> str:
    """Return how much of the spend is confirmed: "100 % of 84,213.40 EUR since 1 Oct checked"."""
    spend: dict[str, tuple[Decimal, Decimal]] = {}
    for account in accounts:
        all_, fine = spend.get(account.advertiser.currency, (Decimal(), Decimal()))
        spend[account.advertiser.currency] = all_ + account.spend, fine + account.verified
    whole = sum((all_ for all_, _ in spend.values()), Decimal())
    if not whole:
        return ""
    parts = [f"{_percent(fine, all_)} of {_money(all_, currency)}" for currency, (all_, fine) in spend.items()]
    since = min((account.since for account in accounts if account.since), default=None)
    more_than_shown = f" since {since.day} {since:%b}" if since else ""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[:-1] else parts) + f"{more_than_shown} checked"


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,.{0 if currency in WITHOUT_DECIMALS else 2}f} {currency}".strip()


def _percent(part: Decimal, whole: Decimal) -> str:
    """Return a share, rounded down: what is not whole is never called 100 %."""
    return f"{int(1000 * part / whole) / 10:g} %" if whole else "100 %"


def _short(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _span(days: Sequence[date]) -> str:
    first, last = days[0], days[-1]
    if first == last:
        return f"{first.day} {first:%b}"
    month = "" if (first.year, first.month) == (last.year, last.month) else f" {first:%b}"
    return f"{first.day}{month}–{last.day} {last:%b}"
