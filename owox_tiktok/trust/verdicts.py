"""What a day of an object and account was found to be, in words, and what that means for whoever asked.

One table of verdicts for the terminal, views, Sheets and exit codes. Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from owox_tiktok.model import Seal

PAGE = "docs/why_numbers_differ.md"
"""Where each verdict and each named difference is explained."""


class Verdict(enum.StrEnum):
    """What comparing a day with TikTok came to."""

    EQUAL = "equal"
    EXPLAINED = "explained"  # equal, and the account has more or less elsewhere, which has a name
    MOVING = "moving"  # TikTok still changes it
    NOT_READ = "not read yet"
    EARLY = "read too early"  # before TikTok's numbers were final, and no import would read it again by habit
    NOT_CHECKABLE = "not checkable"  # TikTok gives no total to compare with
    NOT_ANSWERED = "not answered"  # TikTok was asked, and gave no answer that could be compared
    DAMAGED = "damaged here"  # the rows are not those that were stored
    WRONG = "wrong"  # TikTok says something else of a day that is over
    MISSING = "missing"  # the account has results that are not here
    NOT_EXPLAINED = "not explained"  # equal, and the account has more or less elsewhere, which has no name


class Severity(enum.IntEnum):
    """How much a verdict matters; the value of the worst one is an exit code's meaning."""

    FINE = 0
    OPEN = 1  # known, and nothing is wrong with the rows
    BAD = 2


SEVERITY: Mapping[Verdict, Severity] = {
    Verdict.EQUAL: Severity.FINE,
    Verdict.MOVING: Severity.FINE,
    Verdict.NOT_CHECKABLE: Severity.FINE,
    Verdict.EXPLAINED: Severity.OPEN,
    Verdict.NOT_READ: Severity.OPEN,
    Verdict.EARLY: Severity.OPEN,
    Verdict.NOT_ANSWERED: Severity.OPEN,
    Verdict.DAMAGED: Severity.BAD,
    Verdict.WRONG: Severity.BAD,
    Verdict.MISSING: Severity.BAD,
    Verdict.NOT_EXPLAINED: Severity.BAD,
}
NOT_RIGHT = frozenset({Verdict.WRONG, Verdict.DAMAGED})
"""Where one of these comes again after such a day was read again, a person should know."""
NOT_COMPARED = frozenset({Verdict.NOT_READ, Verdict.NOT_ANSWERED})
"""Nothing is known of such a day that was not known before, and nothing is kept."""
TO_READ_AGAIN = frozenset({*NOT_RIGHT, Verdict.EARLY})
"""The next import reads such a day again."""
VERIFIED = frozenset({Verdict.EQUAL, Verdict.EXPLAINED, Verdict.NOT_EXPLAINED})
"""The rows of such a day are what TikTok says they are."""


@dataclass(frozen=True, slots=True)
class DayChecked:
    """What comparing a day of an object and account came to, and why.

    ``ours`` are the rows as they stand there, ``theirs`` TikTok's sums by name, as far as they were asked for this day
    alone. ``requests`` are TikTok's names for what it was asked. ``again``: it was read again for the same before.
    ``account`` is what the account itself spent on the day, where that was asked.
    """

    object: str
    advertiser_id: str
    day: date
    verdict: Verdict
    reason: str = ""
    ours: Seal = field(default_factory=Seal)
    theirs: Mapping[str, Decimal] = field(default_factory=dict)
    requests: tuple[str, ...] = ()
    again: bool = False
    account: Decimal | None = None

    @property
    def off(self) -> Decimal:
        """How much spend is concerned; 0 where that is not known."""
        if self.verdict in (Verdict.MISSING, Verdict.DAMAGED, Verdict.WRONG) and "spend" in self.theirs:
            return abs(self.theirs["spend"] - (self.ours.spend or 0))
        return Decimal()


def exit_code(verdicts: Collection[Verdict]) -> int:
    """Return the exit code of a check: 0 every closed day is equal, 3 explained or none could be compared, 1 wrong.

    Days that still move are only reported, unless there is nothing else.
    """
    worst = max((SEVERITY[v] for v in verdicts), default=Severity.FINE)
    if worst is Severity.FINE and verdicts and not VERIFIED.intersection(verdicts):
        worst = Severity.OPEN
    return {Severity.FINE: 0, Severity.OPEN: 3, Severity.BAD: 1}[worst]


def verified_through(days: Iterable[DayChecked]) -> date | None:
    """Return the day through which the checked days of an object and account are TikTok's; None where none is.

    It is the last confirmed day before the first one that is over and is not confirmed.
    """
    found = list(days)
    open_ = (Verdict.MOVING, Verdict.NOT_CHECKABLE, *NOT_COMPARED)
    broken = min((d.day for d in found if d.verdict not in VERIFIED and d.verdict not in open_), default=date.max)
    return max((d.day for d in found if d.verdict in VERIFIED and d.day < broken), default=None)


LEAST_SHARE, LEAST_MONEY = Decimal("0.001"), Decimal(1)
"""A wrong day is reported at once when more than this share and this much money is concerned."""


def is_alarming(days: Iterable[DayChecked]) -> bool:
    """Whether a person should know at once: what heals automatically and is small is left to the next import."""
    found = list(days)
    loud = (Verdict.MISSING, Verdict.NOT_EXPLAINED)
    if any(one.verdict in loud or (one.again and one.verdict in NOT_RIGHT) for one in found):
        return True
    off = sum((one.off for one in found), Decimal())
    spend = sum((one.ours.spend or Decimal() for one in found), Decimal())
    return off > LEAST_MONEY and off > LEAST_SHARE * spend


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days in a row of one object and account with the same verdict for the same reason."""

    object: str
    advertiser_id: str
    first: date
    last: date
    verdict: Verdict
    reason: str
    days: tuple[DayChecked, ...]


def stretches(found: Iterable[DayChecked]) -> list[Stretch]:
    """Return days as stretches, by object, account and day."""
    made: list[list[DayChecked]] = []
    for one in sorted(found, key=lambda d: (d.object, d.advertiser_id, d.day)):
        if made:
            last = made[-1][-1]
            same = (last.object, last.advertiser_id, last.verdict, last.reason) == (
                one.object,
                one.advertiser_id,
                one.verdict,
                one.reason,
            )
            if same and (one.day - last.day).days == 1:
                made[-1].append(one)
                continue
        made.append([one])
    return [
        Stretch(of[0].object, of[0].advertiser_id, of[0].day, of[-1].day, of[0].verdict, of[0].reason, tuple(of))
        for of in made
    ]
