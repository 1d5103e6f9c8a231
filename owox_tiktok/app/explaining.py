"""What a number in TikTok Ads Manager is, and what TikTok said of a day when.

A person types what she sees; every way to read the same results is tried until one gives that number: the account, or
its campaigns, ad groups or ads, with or without deleted ones, with or without TopView and Promote, of the day before or
after (another time zone), and what TikTok said earlier. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

from owox_tiktok.app.common import accounts_of, connect, only, unless
from owox_tiktok.app.proofs import standing
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, Mistake, Problem, RequestRefused
from owox_tiktok.events import Listener
from owox_tiktok.model import Advertiser, Kind, Seal, Window
from owox_tiktok.settings import Settings
from owox_tiktok.states import Reason
from owox_tiktok.streams import STREAMS
from owox_tiktok.tiktok.kinds import HIDDEN, ORDINARY, AdKind
from owox_tiktok.tiktok.questions import Question
from owox_tiktok.tiktok.reader import Source
from owox_tiktok.trust.kept import KeepsChecks
from owox_tiktok.trust.seals import CONTROLS
from owox_tiktok.trust.totals import NoTotals, Total, half_a_unit

PLURAL = {"campaign": "all campaigns", "ad_group": "all ad groups", "ad": "all ads"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a day's results, in words, and what comes of it."""

    words: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Explained:
    """What a number can be: the readings that give it, the nearest one where none does, and how many were tried."""

    advertiser: Advertiser
    day: date
    metric: str
    value: Decimal
    found: Sequence[Reading]
    nearest: Reading | None
    tried: int
    requests: int

    def in_digits(self, amount: Decimal) -> str:
        """Return an amount of the metric as people write it: 3,194.59 of money, 310 of anything else."""
        exact = f"{amount:f}".rstrip("0").rstrip(".") if "." in f"{amount:f}" else f"{amount:f}"
        decimals = len(exact.partition(".")[2])
        least = 2 if STREAMS["ad_report_daily"].fields[self.metric].kind is Kind.MONEY else 0
        return f"{amount:,.{max(least, decimals)}f}"


def explain(
    settings: Settings,
    advertiser_id: str,
    day: date,
    metric: str,
    value: Decimal,
    *,
    now: datetime,
    listen: Listener,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
) -> Explained:
    """Return which reading of an account's day gives ``value`` of a metric.

    Raises BadInput for an account that is not imported or a metric that cannot be added up, Halted, and Problem.
    """
    field = STREAMS["ad_report_daily"].fields.get(metric)
    if field is None or not field.additive or field.kind not in (Kind.MONEY, Kind.COUNT):
        advice = "Use one that adds up, such as spend, impressions, clicks or conversion."
        raise BadInput([Mistake(f"--metric {metric}", "cannot be added up", advice)])
    settings = only(settings, [], [advertiser_id])
    api = connect(settings, listen, environment)
    source = Source(api, sandbox=settings.sandbox_mode)
    accounts = unless(halted, lambda: accounts_of(source, settings))
    if not accounts.found:
        raise next(iter(accounts.refused.values()), Problem("TikTok does not describe the account"))
    advertiser = accounts.found[0]
    if day > advertiser.today(now):
        raise BadInput([Mistake(f"--day {day}", "is in the future for this account", "Give a day that has begun.")])
    slack = 2 * half_a_unit(advertiser.currency) if field.kind is Kind.MONEY else Decimal()
    tries = _Tries(source, advertiser, day, metric, advertiser.today(now), value, slack)
    known: list[Reading] = []
    found: list[Reading] = []
    said = unless(halted, lambda: list(_said_here(settings, advertiser, day, metric, environment)))
    for stage in (iter(said), *tries.stages()):
        readings = unless(halted, lambda stage=stage: list(stage))  # type: ignore[misc]
        known += readings
        found = [one for one in readings if abs(one.value - value) <= slack]
        if found:
            break
    nearest = min(known, key=lambda one: abs(one.value - value), default=None)
    once = list({one.words: one for one in found}.values())
    return Explained(advertiser, day, metric, value, once, nearest, len(said) + tries.tried, api.counts.requests)


@dataclass(frozen=True, slots=True)
class _Amount:
    """What TikTok can be asked: the total of a level on a day, with deleted ones or without, of one kind of ads."""

    level: str
    day: date
    deleted: bool
    kind: AdKind = ORDINARY

    def holds(self, other: _Amount) -> bool:
        """Whether all that the other has is among what this one has."""
        same = (self.day, self.kind) == (other.day, other.kind)
        return same and _RANKS[self.level] >= _RANKS[other.level] and self.deleted >= other.deleted


_RANKS = {"ad": 0, "ad_group": 1, "campaign": 2, "advertiser": 3}
_Sum = Sequence[tuple[int, _Amount]]
"""Amounts with their signs."""


class _Tries:
    """Puts totals together in every way that Ads Manager may show, and asks only for those that can give the number.

    Each total is asked for once. What holds another has as much at least; so a total that lies between two known ones
    is asked for only if the number can lie there, too, and is known already where the two are the same. A number that
    is nothing takes a handful of requests and not dozens.
    """

    def __init__(
        self,
        source: Source,
        advertiser: Advertiser,
        day: date,
        metric: str,
        today: date,
        value: Decimal,
        slack: Decimal,
    ) -> None:
        self._source, self._advertiser, self._day, self._today = source, advertiser, day, today
        self._value, self._slack = value, slack
        self._names = tuple(dict.fromkeys((metric, "spend")))
        self._metric = metric
        self._known: dict[_Amount, Decimal | None] = {}
        self.tried = 0
        """How many readings were looked at."""

    def stages(self) -> Iterator[Iterator[Reading]]:
        """Yield readings in groups, the likely ones first; whoever has found the number asks for no more."""
        around = [d for d in (self._day - timedelta(days=1), self._day + timedelta(days=1)) if d <= self._today]
        yield self._possible(self._plain(self._day))
        yield self._possible(self._with_hidden(self._day))
        yield self._possible(one for day in around for one in self._plain(day))
        yield self._possible(one for day in around for one in self._with_hidden(day))

    def _possible(self, candidates: Iterable[tuple[str, _Sum]]) -> Iterator[Reading]:
        """Yield the readings that may be the number, each with what comes of it."""
        for words, sum_ in candidates:
            self.tried += 1
            ends = [sorted(sign * end for end in self._ends(amount)) for sign, amount in sum_]
            least, most = (sum((end[n] for end in ends), Decimal()) for n in (0, 1))
            off = self._slack + (_OFF * abs(most) if most.is_finite() else Decimal())
            if not least - off <= self._value <= most + off:
                continue
            amounts = [(sign, self._amount(amount)) for sign, amount in sum_]
            if all(amount is not None for _, amount in amounts):
                yield Reading(words, sum((sign * amount for sign, amount in amounts if amount), Decimal()))

    def _plain(self, day: date) -> Iterator[tuple[str, _Sum]]:
        for level, deleted in _WAYS:
            yield self._words(level, deleted, day), [(1, _Amount(level, day, deleted))]

    def _with_hidden(self, day: date) -> Iterator[tuple[str, _Sum]]:
        question = self._question(_Amount("campaign", day, deleted=True))
        there = [kind for kind in HIDDEN if self._source.has(question, kind)]
        for kind in there:
            for level, deleted in _ALONE:
                yield (
                    f"{self._words(level, deleted, day)}, {kind.name} ones alone",
                    [(1, _Amount(level, day, deleted, kind))],
                )
        for some in (one for size in range(1, len(there) + 1) for one in combinations(there, size)):
            named = " and ".join(kind.name for kind in some)
            for level, deleted in _WAYS:
                below = "campaign" if level == "advertiser" else level
                base, more = _Amount(level, day, deleted), [_Amount(below, day, deleted, kind) for kind in some]
                yield f"{self._words(level, deleted, day)}, with {named}", [(1, base), *((1, one) for one in more)]
                if level == "advertiser":
                    yield (
                        f"{self._words(level, deleted, day)}, without {named}",
                        [
                            (1, base),
                            *((-1, one) for one in more),
                        ],
                    )

    def _words(self, level: str, deleted: bool, day: date) -> str:
        what = "the account itself" if level == "advertiser" else PLURAL[level]
        which = "" if level == "advertiser" else " with deleted ones" if deleted else " without deleted ones"
        other = "" if day == self._day else f" of {day}, as in another time zone"
        return f"{what}{which}{other}"

    def _question(self, amount: _Amount) -> Question:
        stream, window = STREAMS[f"{amount.level}_report_daily"], Window(amount.day, amount.day)
        return Question(stream, self._advertiser, window, self._names, amount.deleted, self._today)

    def _ends(self, wanted: _Amount) -> tuple[Decimal, Decimal]:
        """Return the least and the most that an amount can be, by what is known."""
        known = {one: amount for one, amount in self._known.items() if amount is not None}
        if wanted in known:
            return known[wanted], known[wanted]
        least = max((amount for one, amount in known.items() if wanted.holds(one)), default=Decimal())
        most = min((amount for one, amount in known.items() if one.holds(wanted)), default=Decimal("Infinity"))
        return min(least, most), max(least, most)

    def _amount(self, wanted: _Amount) -> Decimal | None:
        """Return an amount: as it is known, where nothing is left between its ends, or as TikTok says."""
        if wanted not in self._known:
            least, most = self._ends(wanted)
            if most - least <= self._slack:
                return most
            try:
                total: Total = self._source.total(self._question(wanted), [wanted.kind])
                self._known[wanted] = total.sums.get(self._metric)
            except (NoTotals, RequestRefused):
                self._known[wanted] = None
        return self._known[wanted]


_WAYS = (
    ("advertiser", True),
    ("ad", False),
    ("campaign", False),
    ("ad_group", False),
    ("ad", True),
    ("campaign", True),
    ("ad_group", True),
)
"""Levels, with deleted ones or without; those with most and least come before those between.

Ads Manager shows those that are not deleted unless it is asked for all.
"""
_ALONE = (("campaign", True), *(way for way in _WAYS[1:] if way != ("campaign", True)))
"""The same of one kind of ads, which the account's own report does not tell apart."""
_OFF = Decimal("0.01")
"""By so much of the most a reading may be outside of its ends: rows of each level are rounded by themselves."""


def _said_here(
    settings: Settings, advertiser: Advertiser, day: date, metric: str, environment: Mapping[str, str] | None
) -> Iterator[Reading]:
    """Yield what is stored of the day now, and what was stored earlier."""
    if metric not in CONTROLS:
        return
    for one in history(settings, day, environment=environment):
        if one.advertiser_id != advertiser.id:
            continue
        amount = getattr(one.seal, metric)
        if amount is not None:
            when = (
                "what is stored here"
                if one.until is None
                else f"what TikTok said before {one.until:%d %b %Y %H:%M} UTC"
            )
            yield Reading(f"{when}, in {one.object}", Decimal(amount))


@dataclass(frozen=True, slots=True)
class Said:
    """What TikTok said of a day of an object and account, until when; None: it is what is stored now."""

    object: str
    advertiser_id: str
    seal: Seal
    since: datetime | None
    until: datetime | None
    age_days: int | None = None
    account: str = ""


def history(settings: Settings, day: date, *, environment: Mapping[str, str] | None = None) -> list[Said]:
    """Return what TikTok said of a day and when, by object and account, oldest first; asks nobody."""
    found: list[Said] = []
    with open_destination(settings.destination, read_only=True, environment=environment) as destination:
        changes: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for row in destination.restated(day) if isinstance(destination, KeepsChecks) else ():
            changes.setdefault((row["object"], row["advertiser_id"]), []).append(row)
        read = {pair for pair, known in destination.cursors().items() if known.cursor}
        for stream in sorted((s for s in settings.objects if s.time is not None), key=lambda s: s.name):
            ids = sorted(
                advertiser_id
                for name, advertiser_id in read
                if name == stream.name and (not settings.advertiser_ids or advertiser_id in settings.advertiser_ids)
            )
            there = standing(destination, stream, [(one, Window(day, day)) for one in ids])
            for advertiser_id in ids:
                pair, since = (stream.name, advertiser_id), None
                for row in changes.get(pair, ()):
                    found.append(Said(*pair, _seal(row, "before"), since, row["seen_at"], row["age_days"]))
                    since = row["seen_at"]
                stored, _ = there.get(advertiser_id, ({}, {}))
                if now := stored.get(day):
                    found.append(Said(*pair, now.seal, since or now.read_at, None))
    return found


def _seal(row: Mapping[str, Any], when: str) -> Seal:
    return Seal(int(row[f"rows_{when}"] or 0), 0, *(row[f"{name}_{when}"] for name in CONTROLS))
