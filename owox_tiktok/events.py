"""What a run says while it lasts. Frozen facts; each surface puts them in its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from owox_tiktok.errors import Cause, Problem
from owox_tiktok.states import ABOUT, Reason, State, outcome


@dataclass(frozen=True, slots=True)
class Started:
    """The plan is made: how many windows of how many pairs, per object how many days (or lists) there are to read.

    ``accounts`` are the names of the ad accounts by their ids, for people; every other event has the id alone.
    """

    pairs: int
    windows: int
    work: Mapping[str, int]
    accounts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows of a window are in the destination, with their cursor. ``work`` is its share of ``Started.work``.

    ``kept`` of it, with ``rows_kept`` of the rows, was stored already as it was read, and not written again.
    """

    object: str
    advertiser_id: str
    first: date | None
    last: date | None
    rows: int
    replaced: int
    work: int
    kept: int = 0
    rows_kept: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something makes the run wait for ``seconds``."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should know although the run continues."""

    object: str
    advertiser_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A pair could not be read to its end; ``work`` is what is left of it, and ``error`` why, where that is known."""

    object: str
    advertiser_id: str
    message: str
    request_id: str = ""
    work: int = 0
    error: Problem | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows older than the keep window: deleted, or only counted when ``dry_run``."""

    object: str
    rows: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What TikTok's own totals confirm of a run.

    ``spend`` is by currency, of the object with most of it, so that nothing counts twice. ``days`` are those of objects
    and accounts that are over for TikTok and were compared, ``equal`` how many of them are the same, and ``requests``
    what was asked for that on top of the reading. ``share`` is how many requests to check all runs so far took, this
    one among them, for each request to read; None where nobody counts them. ``through`` is the day up to which what is
    stored is confirmed; None where there is no such day, or the destination does not keep it.
    """

    spend: Mapping[str, Decimal] = field(default_factory=dict)
    days: int = 0
    equal: int = 0
    requests: int = 0
    share: float | None = None
    through: date | None = None

    def __add__(self, other: Proof) -> Proof:
        """Return what both confirm; ``other`` came later."""
        spend = {c: self.spend.get(c, Decimal()) + other.spend.get(c, Decimal()) for c in {**self.spend, **other.spend}}
        share = self.share if other.share is None else other.share
        days, equal, through = self.days + other.days, self.equal + other.equal, other.through or self.through
        return Proof(spend, days, equal, self.requests + other.requests, share, through)

    @property
    def parts(self) -> list[str]:
        """It in words: "spend 84,213.40 EUR = TikTok's total", "267 of 267 closed days equal", "9 check requests …"."""
        *some, last = [f"{amount:,.2f} {currency}".strip() for currency, amount in sorted(self.spend.items())] or [""]
        spend = f"{', '.join(some)} and {last}" if some else last
        found = [f"spend {spend} = TikTok's total"] if spend else []
        if self.days:
            found.append(f"{self.equal:,} of {counted(self.days, 'closed day')} equal")
        if self.requests:
            share = "" if self.share is None else f" (+{100 * self.share:.0f} % over all runs)"
            found.append(f"{counted(self.requests, 'check request')}{share}")
        return found


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over. ``rows`` and ``replaced`` per object; ``failed`` counts pairs.

    ``stopped`` says why it ended before its end, with ``left`` windows not read. When it ended before it had a plan
    there are neither ``pairs`` nor ``left``.
    """

    rows: Mapping[str, int]
    replaced: Mapping[str, int]
    pairs: int
    failed: int
    requests: int
    refused: int
    seconds: float
    warnings: int = 0
    pruned: Mapping[str, int] = field(default_factory=dict)
    stopped: Reason | None = None
    left: int = 0
    work: int = 0
    """How many days (and lists) were read and are stored."""
    kept: int = 0
    """How many of them were stored already as they were read, and not written again."""
    rows_kept: int = 0
    """How many of the rows are theirs."""
    rows_confirmed: int = 0
    """How many of the rows TikTok's own totals confirm: those of reports that it gives totals of."""
    bytes_billed: int = 0
    """What a destination that is paid for by the bytes was billed for."""
    cost: float | None = None
    """What those cost, where their price is known; in the currency of the price."""
    requests_of: Mapping[str, int] = field(default_factory=dict)
    """How many of the requests were for each ad account; "" for those that are for none in particular."""
    healed: tuple[str, ...] = ()
    """What people had changed in the destination and is right again, in sentences without a full stop."""
    proof: Proof = field(default_factory=Proof)
    """What TikTok's own totals confirm of it."""
    cause: Cause | None = None
    """Why most of what failed did, where that is known."""

    def after(self, earlier: Finished) -> Finished:
        """Return what came of a whole run of which this is the last part, and ``earlier`` all before it."""
        return replace(
            self,
            rows=_added(earlier.rows, self.rows),
            replaced=_added(earlier.replaced, self.replaced),
            pairs=max(earlier.pairs, self.pairs),
            requests=earlier.requests + self.requests,
            refused=earlier.refused + self.refused,
            requests_of=_added(earlier.requests_of, self.requests_of),
            seconds=earlier.seconds + self.seconds,
            warnings=earlier.warnings + self.warnings,
            pruned=_added(earlier.pruned, self.pruned),
            work=earlier.work + self.work,
            kept=earlier.kept + self.kept,
            rows_kept=earlier.rows_kept + self.rows_kept,
            rows_confirmed=earlier.rows_confirmed + self.rows_confirmed,
            bytes_billed=earlier.bytes_billed + self.bytes_billed,
            cost=None if self.cost is None else self.cost + (earlier.cost or 0),
            healed=(*earlier.healed, *self.healed),
            proof=earlier.proof + self.proof,
        )

    @property
    def state(self) -> State:
        """What the run is now."""
        return outcome(pairs=self.pairs, failed=self.failed, reason=self.stopped)

    @property
    def exit_code(self) -> int:
        """0 done, 1 error, 3 partly done."""
        return ABOUT[self.state].exit_code

    @property
    def confirmed(self) -> str:
        """What TikTok's own totals confirm of it, as one line for people; "" where it gave none.

        It is the same in every log, in a Sheet and in the record of runs: "Confirmed by TikTok: 14,720 rows · spend
        84,213.40 EUR = TikTok's total · 267 of 267 closed days equal · 9 check requests (+3 % over all runs)".
        """
        if not self.rows_confirmed:
            return ""
        every = sum(self.rows.values())
        of = "" if self.rows_confirmed == every else f"{self.rows_confirmed:,} of "
        others = " (it gives no totals of the others)" if of else ""
        return "Confirmed by TikTok: " + " · ".join([f"{of}{rows_of(every)}{others}", *self.proof.parts])

    @property
    def summary(self) -> str:
        """What came of it, as one sentence for people; begins with the state's headline."""
        total, replaced = sum(self.rows.values()), sum(self.replaced.values())
        parts = [f"{ABOUT[self.state].headline} in {duration(self.seconds)}: {rows_of(total)} stored"]
        if replaced:
            parts.append(f"{replaced:,} of them in place of existing rows")
        if self.kept:
            parts.append(f"{self.kept:,} of {self.work:,} days and lists unchanged ({rows_of(self.rows_kept)})")
        parts.append(counted(self.requests, "request"))
        if self.refused:
            parts.append(f"{self.refused:,} rate-limited")
        if self.bytes_billed:
            parts.append(f"{size(self.bytes_billed)}{money(self.cost)} billed in the destination")
        if self.warnings:
            parts.append(counted(self.warnings, "warning"))
        if self.left:
            parts.append(f"{self.stopped} with {counted(self.left, 'window')} left (the next run continues there)")
        elif self.stopped:
            parts.append(f"{self.stopped} before it was known what to read (the next run starts there)")
        if self.failed:
            parts.append(f"{self.failed} of {self.pairs} not complete{self._why}")
        return " ".join([", ".join(parts).rstrip(".") + ".", *(f"{sentence}." for sentence in self.healed)])

    @property
    def _why(self) -> str:
        """What the summary says of the pairs that failed: why most of them did, and whether the next run can go on."""
        goes_on = "" if self.cause and self.cause.lasts else " (the next run continues there)"
        if self.cause is None:
            return goes_on
        of_them = f", {self.cause.count} of them" if self.cause.count < self.failed else ""
        return f"{goes_on}{of_them}: {self.cause.sentence}"


def size(count: int) -> str:
    """Return bytes in words: "1.2 GB"."""
    amount, units = float(count), ["bytes", "KB", "MB", "GB", "TB", "PB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{amount:,.0f} {units[0]}" if units[0] == "bytes" or amount >= 100 else f"{amount:.1f} {units[0]}"


def cost_of(count: int, price_per_tib: float) -> float:
    """Return what so many bytes cost."""
    return count / 2**40 * price_per_tib


def money(cost: float | None) -> str:
    """Return what something costs in brackets, behind what it is; nothing where that is not known."""
    return "" if cost is None else f" ({cost:,.4f})"


def _added(some: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: some.get(name, 0) + more.get(name, 0) for name in {**some, **more}}


def rows_of(count: int) -> str:
    """Return a number of rows in words: "1 row", "1,200 rows"."""
    return counted(count, "row")


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: "1 request", "1,200 requests"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def account(advertiser_id: str, name: str) -> str:
    """Return an ad account as people know it: "7012… (Berlin Shop)", or only its id where it has no name."""
    return f"{advertiser_id} ({' '.join(name.split())})" if name.strip() else advertiser_id


def duration(seconds: float) -> str:
    """Return seconds in words: "0.8 s", "40 seconds", "12 minutes", "3.5 hours"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{round(seconds)} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


Event = Started | Stored | Waiting | Warned | Failed | Pruned | Finished
Listener = Callable[[Event], None]
