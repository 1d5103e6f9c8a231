"""The whole account: how much of its spend is in a table, and what the rest is called.

The account's own report says what it spent each day. A table of campaigns, ad groups or ads may hold less (ads that are
deleted and not imported, results that TikTok reports of campaigns only) or more (Promote ads, which the account's own
report does not have). Each reason has an amount that one small total asks for, in this order

    omitted by your settings     deleted campaigns, ad groups or ads, where include_deleted is off
    TopView                      bookings; whether the account's own report has them, TikTok does not say
    Promote                      made in the TikTok app
    campaign-only delivery       reported of the campaign, not of its ad groups and ads
    GMV Max                      reported of the account, not of any campaign
    cut                          of accounts with 20,000 ads and more: proven by groups of campaigns

and as soon as the amounts make up the difference nothing more is asked. What is left has no name and is an alarm.
Pure, but for the amounts that are asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import product

from owox_tiktok.model import Seal
from owox_tiktok.trust.like_for_like import allowed
from owox_tiktok.trust.seals import NOTHING
from owox_tiktok.trust.verdicts import PAGE, DayChecked, Verdict


class Reason(enum.StrEnum):
    """Why a table has another spend than the account."""

    SETTINGS = "omitted by your settings (deleted ones)"
    TOP_VIEW = "TopView"
    PROMOTE = "Promote"
    CAMPAIGN_ONLY = "campaign-only delivery"
    GMV_MAX = "GMV Max"
    CUT = "cut at the newest 20,000 ads"


SIGNS: Mapping[Reason, tuple[int, ...]] = {
    Reason.SETTINGS: (1,),
    Reason.TOP_VIEW: (1, -1),
    Reason.PROMOTE: (-1, 1),
    Reason.CAMPAIGN_ONLY: (1,),
    Reason.GMV_MAX: (1,),
    Reason.CUT: (1,),
}
"""Whether the account's own report may have it and the table not (1), or the other way round (-1)."""

AskAmount = Callable[[], tuple[Decimal, tuple[str, ...]] | None]
"""Asks how much spend a reason has; None where it does not apply. With TikTok's names for the requests."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a difference is made of: an amount by reason (positive: the account has more), and what has no name."""

    amounts: Mapping[Reason, Decimal]
    rest: Decimal
    requests: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        """Return the reasons with their amounts."""
        parts = [*self.amounts.items(), *([("no reason found", self.rest)] if self.rest else [])]
        where = {True: "only in the account", False: "only here"}
        return "; ".join(f"{abs(amount):,.2f} {where[amount > 0]}: {why}" for why, amount in parts)


def named(difference: Decimal, slack: Decimal, reasons: Iterable[tuple[Reason, AskAmount]]) -> Named:
    """Return what a difference (the account's spend less ours) is made of; asks for amounts until they make it up."""
    known: dict[Reason, Decimal] = {}
    requests: list[str] = []
    best: dict[Reason, Decimal] = {}
    for reason, ask in reasons:
        found = ask()
        if found is None or abs(found[0]) <= slack:
            continue
        known[reason] = found[0]
        requests += found[1]
        best = _closest(difference, known)
        if abs(difference - sum(best.values())) <= slack * (1 + len(best)):
            return Named(best, Decimal(), tuple(requests))
    rest = difference - sum(best.values(), Decimal())
    return Named(best, rest if abs(rest) > slack * (1 + len(best)) else Decimal(), tuple(requests))


def _closest(difference: Decimal, known: Mapping[Reason, Decimal]) -> dict[Reason, Decimal]:
    """Return which of the amounts, with which sign, come nearest to a difference; of equal ones the fewest."""
    choices = [(0, *SIGNS[reason]) for reason in known]
    amounts = list(known.items())

    def of(signs: Sequence[int]) -> dict[Reason, Decimal]:
        return {reason: sign * amount for (reason, amount), sign in zip(amounts, signs, strict=True) if sign}

    ways = (of(signs) for signs in product(*choices))
    return min(ways, key=lambda way: (abs(difference - sum(way.values())), len(way)))


def differing_days(checked: Sequence[DayChecked], account: Mapping[date, Seal], currency: str) -> list[DayChecked]:
    """Return the days whose rows are TikTok's, and whose spend is not the account's."""
    return [
        one
        for one in checked
        if one.verdict is Verdict.EQUAL
        and abs(_spend(account.get(one.day, NOTHING)) - _spend(one.ours)) > allowed(one.ours.rows + 1, currency)
    ]


def difference(days: Iterable[DayChecked], account: Mapping[date, Seal]) -> Decimal:
    """Return the account's spend of days less ours."""
    return sum((_spend(account.get(one.day, NOTHING)) - _spend(one.ours) for one in days), Decimal())


def judged(one: DayChecked, named: Named) -> DayChecked:
    """Return a day with what its difference is called."""
    if Reason.CUT in named.amounts:
        verdict, why = Verdict.MISSING, f"{named.in_words}; see {PAGE}"
    elif named.rest:
        verdict, why = Verdict.NOT_EXPLAINED, f"{named.in_words}; see {PAGE}"
    else:
        verdict, why = Verdict.EXPLAINED, named.in_words
    requests = tuple(dict.fromkeys((*one.requests, *named.requests)))
    return DayChecked(one.object, one.advertiser_id, one.day, verdict, why, one.ours, one.theirs, requests, one.again)


def missing(one: DayChecked, account: Mapping[date, Seal]) -> DayChecked:
    """Return a day that was never read: missing where the account has results on it."""
    results = account.get(one.day, NOTHING)
    if not _spend(results) and not results.impressions:
        return one
    why = f"the account spent {_spend(results):,.2f} on it, and no import has read it"
    return DayChecked(
        one.object,
        one.advertiser_id,
        one.day,
        Verdict.MISSING,
        why,
        one.ours,
        {"spend": _spend(results)},
        one.requests,
    )


def _spend(seal: Seal) -> Decimal:
    return seal.spend or Decimal()
