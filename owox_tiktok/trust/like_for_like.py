"""Like for like: whether TikTok's total of the very same question still equals what stands in the table.

One small request for 30 days of an object and account; where it differs, the days are halved until the ones at fault
are found, and each of those is asked for once more before it is called wrong. What is compared, and when

    impressions, clicks    must be equal
    spend                  within half of the smallest unit per row, and one more per total: each is rounded once
    conversions            only of days that had settled when they were read; what TikTok credited since is explained
    anything else          never, nor TikTok's number of rows: rows of zeros come and go

A day counts from the moment on from which TikTok does not change it any more (``closing``); before, it is moving. One
that was read before that is never called wrong: it is moving where the next import reads it again anyway, and else was
read too early, and is read again for that.

Pure, but for the question that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median
from zoneinfo import ZoneInfo

from owox_tiktok.model import Seal, Sealed, Window
from owox_tiktok.trust.closing import is_closed
from owox_tiktok.trust.seals import CONTROLS, NOTHING, together
from owox_tiktok.trust.totals import MONEY, NoTotals, Total, half_a_unit
from owox_tiktok.trust.verdicts import DayChecked, Verdict

LONGEST_DAYS = 30
"""TikTok's longest report by day."""
MOST_WRONG = 8
"""After so many wrong days of a range the rest of it is read again as a whole, and not looked at one by one."""
MOST_SUSPECTS = 8
"""So many days are asked for alone, where the days of a range might make up for each other."""

Ask = Callable[[Window], Total]
"""Asks for the total of these days; raises NoTotals, or a Problem where TikTok does not answer."""
AskDay = Callable[[date], Seal | None]
"""Asks for the account's own row of a day; None where there is none to ask for."""


@dataclass(frozen=True, slots=True)
class OurDay:
    """A day of a pair as it is here: the seal that was stored with its rows, and what the rows are now.

    ``read`` is False for a day that no cursor covers.
    """

    day: date
    stored: Sealed | None = None
    found: Seal = NOTHING
    read: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """What is known of an object and account: ``names`` are those of its fields that are compared.

    The next import reads the days from ``rereads`` on again anyway; ``lookback`` days after a day it had settled.
    ``account`` are the account's own rows, where they were asked for.
    """

    object: str
    advertiser_id: str
    currency: str
    zone: ZoneInfo
    now: datetime
    lookback: int
    names: tuple[str, ...] = CONTROLS
    rereads: date | None = None
    account: Mapping[date, Seal] = field(default_factory=dict)
    """By day; days without results are not among them."""
    comparable_account: bool = False


def differing(
    ours: Seal, theirs: Total, currency: str, *, conversions: bool = False
) -> dict[str, tuple[Decimal, Decimal]]:
    """Return the sums that are not the same, ours and TikTok's, by name."""
    found = {}
    for name, total in theirs.sums.items():
        if name == "conversion" and not conversions:
            continue
        mine = Decimal(getattr(ours, name) or 0)
        if abs(mine - total) > (allowed(ours.rows, currency, theirs.totals) if name == MONEY else 0):
            found[name] = (mine, total)
    return found


def allowed(rows: int, currency: str, totals: int = 1) -> Decimal:
    """Return by how much sums of money may differ that were rounded once per row, and once per total."""
    return (rows + totals) * half_a_unit(currency)


class LikeForLike:
    """Compares the days of one object and account; ``ask`` and ``ask_day`` go to TikTok."""

    def __init__(self, pair: Pair, ask: Ask, ask_day: AskDay = lambda _: None) -> None:
        self._pair, self._ask, self._ask_day = pair, ask, ask_day
        self._wrong = 0
        self._done: dict[date, DayChecked] = {}

    def check(self, days: Sequence[OurDay]) -> list[DayChecked]:
        """Return a verdict on each day, in order."""
        for one in days:
            if said := self._beforehand(one):
                self._say(one, *said)
        for run in self._runs([one for one in days if one.day not in self._done]):
            self._wrong = 0
            try:
                self._compare(run)
                self._look_for_shifts(run)
            except NoTotals as why:
                for one in run:
                    if one.day not in self._done:
                        self._say(one, Verdict.NOT_CHECKABLE, str(why))
        return [self._done[day] for day in sorted(self._done)]

    # --- what needs no question ---------------------------------------------------------------------------------------

    def _beforehand(self, one: OurDay) -> tuple[Verdict, str] | None:
        pair = self._pair
        if not one.read:
            return Verdict.NOT_READ, "no import has read it"
        if one.stored and one.stored.seal != one.found:
            return Verdict.DAMAGED, damage(one.stored.seal, one.found)
        if not is_closed(one.day, pair.zone, pair.now):
            return Verdict.MOVING, "TikTok still changes it"
        if not pair.names:
            return Verdict.NOT_CHECKABLE, "neither spend nor impressions nor clicks are imported"
        return None

    def _runs(self, days: Sequence[OurDay]) -> Iterator[list[OurDay]]:
        """Yield days in a row that can be asked for together."""
        run: list[OurDay] = []
        for one in days:
            follows = run and one.day - run[-1].day == timedelta(days=1)
            if run and (not follows or len(run) >= LONGEST_DAYS or self._settled(one) != self._settled(run[0])):
                yield run
                run = []
            run.append(one)
        if run:
            yield run

    def _settled(self, one: OurDay) -> bool:
        """Whether conversions of the day were not expected to grow any more when it was read."""
        if one.stored is None:
            return False
        read_on = one.stored.read_at.astimezone(self._pair.zone).date()
        return (read_on - one.day).days >= self._pair.lookback

    def _read_when_closed(self, one: OurDay) -> bool:
        return one.stored is not None and is_closed(one.day, self._pair.zone, one.stored.read_at)

    # --- asking -------------------------------------------------------------------------------------------------------

    def _compare(self, run: Sequence[OurDay]) -> None:
        total = self._ask(Window(run[0].day, run[-1].day))
        found = self._differing(run, total)
        if not found:
            for one in run:
                self._say(one, Verdict.EQUAL, "", total, alone=len(run) == 1)
        elif _only_late(found):
            for one in run:
                self._say(one, Verdict.EXPLAINED, _late_in_words(found), total, alone=len(run) == 1)
        elif len(run) == 1:
            self._single(run[0], total)
        elif self._wrong < MOST_WRONG and self._by_account(run, total):
            return
        elif self._wrong >= MOST_WRONG:
            for one in run:
                self._say(one, Verdict.WRONG, f"TikTok has other sums of {run[0].day} to {run[-1].day}", total)
        else:
            half = len(run) // 2
            self._compare(run[:half])
            self._compare(run[half:])

    def _by_account(self, run: Sequence[OurDay], total: Total) -> bool:
        """Ask for the days alone that the account's own rows point at; whether the others are equal without asking.

        That is so where what is left of the range's total is what they add up to.
        """
        suspects = self._suspects(run)
        if not 0 < len(suspects) < len(run) or len(suspects) > MOST_SUSPECTS:
            return False
        alone = [(one, self._ask(Window(one.day, one.day))) for one in suspects]
        left = dict(total.sums)
        for _, part in alone:
            left = {name: amount - part.sums[name] for name, amount in left.items() if name in part.sums}
        rest = [one for one in run if one not in suspects]
        others = Total(left, total.totals + sum(part.totals for _, part in alone), total.requests)
        if self._differing(rest, others):
            return False
        for one in rest:
            self._say(one, Verdict.EQUAL, "", others, alone=False)
        for one, part in alone:
            if self._differing([one], part):
                self._single(one, part)
            else:
                self._say(one, Verdict.EQUAL, "", part)
        return True

    def _differing(self, run: Sequence[OurDay], total: Total) -> dict[str, tuple[Decimal, Decimal]]:
        ours = together(one.found for one in run)
        return differing(ours, total, self._pair.currency, conversions=all(map(self._settled, run)))

    def _single(self, one: OurDay, total: Total) -> None:
        """Say what a day is whose sums differ, after asking once more."""
        pair, before = self._pair, self._pair.account.get(one.day)
        found = self._differing([one], total)
        if _only_late(found):
            self._say(one, Verdict.EXPLAINED, _late_in_words(found), total)
            return
        again = self._ask(Window(one.day, one.day))
        now = self._ask_day(one.day) if pair.comparable_account else None
        moved = pair.comparable_account and now is not None and _sums(now) != _sums(before or NOTHING)
        if again.sums != total.sums or moved:
            self._say(one, Verdict.MOVING, "TikTok is changing it at this moment", again)
        elif self._read_when_closed(one):
            self._wrong += 1
            self._say(one, Verdict.WRONG, in_words(found), again)
        else:
            anyway = pair.rereads is not None and one.day >= pair.rereads
            reason = "it was read before TikTok's numbers were final, and will be read again"
            self._say(one, Verdict.MOVING if anyway else Verdict.EARLY, reason, again)

    def _look_for_shifts(self, run: Sequence[OurDay]) -> None:
        """Ask for single days of a range that is equal as a whole, where the account's own rows say otherwise.

        Rows that are under another day make up for each other in a total of several days.
        """
        if self._pair.object.startswith("advertiser"):
            return
        fine = 0
        equal = [one for one in run if self._done[one.day].verdict is Verdict.EQUAL and not self._done[one.day].theirs]
        for one in self._suspects(equal)[:MOST_SUSPECTS]:
            total = self._ask(Window(one.day, one.day))
            if self._differing([one], total):
                self._single(one, total)
            else:
                self._say(one, Verdict.EQUAL, "", total)
                fine += 1
            if fine >= 2:
                return

    def _suspects(self, days: Sequence[OurDay]) -> list[OurDay]:
        """Return the days that are further from the account's own rows than is usual, the furthest first."""
        pair = self._pair
        if not pair.comparable_account or len(days) < 2:
            return []
        rest = {one.day: _distance(pair.account.get(one.day, NOTHING), one.found) for one in days}
        usual = [median(amounts) for amounts in zip(*rest.values(), strict=True)]
        slack = (float(allowed(max(one.found.rows for one in days), pair.currency)), 0.0, 0.0)
        odd = {
            day: max(abs(a - u) - s for a, u, s in zip(amounts, usual, slack, strict=True))
            for day, amounts in rest.items()
        }
        return sorted((one for one in days if odd[one.day] > 0), key=lambda one: -odd[one.day])

    def _say(
        self, one: OurDay, verdict: Verdict, reason: str, total: Total | None = None, *, alone: bool = True
    ) -> None:
        pair = self._pair
        theirs = total.sums if total and alone and verdict is not Verdict.NOT_CHECKABLE else {}
        requests = total.requests if total else ()
        self._done[one.day] = DayChecked(
            pair.object, pair.advertiser_id, one.day, verdict, reason, one.found, theirs, requests
        )


def _only_late(found: Mapping[str, tuple[Decimal, Decimal]]) -> bool:
    """Whether nothing differs but conversions, and TikTok has more: it credits some after a day has settled."""
    return set(found) == {"conversion"} and found["conversion"][1] > found["conversion"][0]


def _late_in_words(found: Mapping[str, tuple[Decimal, Decimal]]) -> str:
    ours, theirs = found["conversion"]
    return f"TikTok has credited {theirs - ours:,.0f} conversions since these days were read"


def _sums(seal: Seal) -> tuple[Decimal, int, int]:
    return seal.spend or Decimal(), seal.impressions or 0, seal.clicks or 0


def _distance(account: Seal, ours: Seal) -> tuple[float, float, float]:
    (a, b, c), (x, y, z) = _sums(account), _sums(ours)
    return float(a - x), float(b - y), float(c - z)


def in_words(found: Mapping[str, tuple[Decimal, Decimal]]) -> str:
    """Return what differs: "spend 12.50 here, 13.00 at TikTok"."""
    return "; ".join(
        f"{name} {_amount(ours)} here, {_amount(theirs)} at TikTok" for name, (ours, theirs) in found.items()
    )


def _amount(number: Decimal) -> str:
    return f"{number:,.0f}" if number == number.to_integral_value() and abs(number) < 10**15 else f"{number:,.2f}"


def damage(stored: Seal, found: Seal) -> str:
    """Return how rows differ from those that were stored."""
    if stored.rows < 0:
        return "somebody changed the rows at the very moment they were written"
    if found.rows != stored.rows:
        return f"{stored.rows:,} rows were stored and {found.rows:,} are there"
    for name in CONTROLS:
        was, now = getattr(stored, name), getattr(found, name)
        if was != now:
            return f"{name} was {_amount(Decimal(was or 0))} when it was stored and is {_amount(Decimal(now or 0))}"
    return "values are not those that were stored"
