"""Checking stored numbers against TikTok's: like for like, and the whole account.

Writes what came of it beside the rows, where the destination keeps such things, and nothing else. Days that are wrong
are read again by the next import.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Protocol, runtime_checkable

from owox_tiktok.app.common import Days, accounts_of, connect, side_by_side, unless
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import Problem, RequestRefused
from owox_tiktok.events import Listener
from owox_tiktok.model import Advertiser, Cursor, Destination, Known, Seal, Sealed, Seals, ShowsAccounts, Stream, Window
from owox_tiktok.plan import Pair, oldest_kept, unsettled_from
from owox_tiktok.settings import Settings
from owox_tiktok.spool import Spool
from owox_tiktok.states import Reason as Stop
from owox_tiktok.streams import STREAMS
from owox_tiktok.tiktok import gmv_max
from owox_tiktok.tiktok.accounts import Accounts
from owox_tiktok.tiktok.kinds import ORDINARY, PROMOTE, TOP_VIEW
from owox_tiktok.tiktok.once import Once
from owox_tiktok.tiktok.questions import Question, Series
from owox_tiktok.tiktok.reader import Source
from owox_tiktok.trust import like_for_like as alike
from owox_tiktok.trust.closing import is_closed
from owox_tiktok.trust.kept import LIKE_FOR_LIKE, KeepsChecks
from owox_tiktok.trust.like_for_like import LONGEST_DAYS, LikeForLike, OurDay
from owox_tiktok.trust.seals import CONTROLS, NOTHING
from owox_tiktok.trust.totals import COMPARED, NoTotals, Total
from owox_tiktok.trust.verdicts import (
    NOT_COMPARED,
    NOT_RIGHT,
    TO_READ_AGAIN,
    VERIFIED,
    DayChecked,
    Verdict,
    exit_code,
)
from owox_tiktok.trust.whole_account import (
    AskAmount,
    Reason,
    difference,
    differing_days,
    judged,
    missing,
    named,
)
from owox_tiktok.views.trust import COMPARED as COMPARED_OBJECTS

ACCOUNT = STREAMS["advertiser_report_daily"]
CAMPAIGNS = STREAMS["campaign_report_daily"]
USUAL_DAYS = 30
"""So many days are checked where none are named."""
REMEMBERED = timedelta(days=30)
"""A day that was wrong so long ago, and is again, is wrong again."""
COMPARABLE = VERIFIED | TO_READ_AGAIN
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@runtime_checkable
class CountsMany(Protocol):
    """A destination that looks at days of many accounts in as few steps as at those of one."""

    def standing(
        self, stream: Stream, spans: Sequence[tuple[str, Window]]
    ) -> Mapping[str, tuple[Mapping[date | None, Sealed], Seals]]:
        """Return the stored seals, and those of the rows as they are now, of days of accounts, by account."""
        ...


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check came to: a verdict on each day, the accounts it speaks of, those that were refused, its requests.

    ``left`` is how many accounts were not compared, for want of time.
    """

    days: Sequence[DayChecked]
    accounts: Sequence[Advertiser]
    refused: Mapping[str, str]
    requests: int
    left: int = 0

    @property
    def exit_code(self) -> int:
        """0 every closed day is equal, 3 explained or none could be compared, 1 wrong, missing or not explained."""
        code = exit_code([one.verdict for one in self.days])
        return code or (3 if self.refused else 0)


@dataclass(frozen=True, slots=True)
class Task:
    """Days of an object and account to check, and what stands here of them."""

    pair: Pair
    cursor: Cursor | None
    days: Sequence[OurDay]


def verify(
    settings: Settings,
    *,
    now: datetime,
    listen: Listener,
    asked: Days | None = None,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Stop | None] = lambda: None,
    open_: Callable[[str], Destination] | None = None,
    enough: Callable[[], bool] | None = None,
) -> Verified:
    """Compare the stored days (``asked``, or the last 30) with TikTok's totals; return a verdict on each.

    With ``enough`` the accounts come first that were confirmed longest ago, and nothing more is begun once it is true.
    Raises Halted when ``halted`` gives a reason, BadInput and Problem as an import does.
    """
    api = connect(settings, listen, environment)
    source = Source(api, sandbox=settings.sandbox_mode)
    opened = open_(settings.destination) if open_ else open_destination(settings.destination, environment=environment)
    with opened as destination:
        accounts = unless(halted, lambda: accounts_of(source, settings))
        if isinstance(destination, ShowsAccounts):
            destination.advertisers = accounts.found
        checks = Checks(source, settings, now)
        tasks = list(checks.tasks(destination, accounts, asked))
        if enough is not None:
            tasks = _longest_ago_first(tasks, destination)
        with Spool() as spool:
            found = checks.run(tasks, spool, halted, enough or (lambda: False))
        compared = {(one.object, one.advertiser_id) for one in found}
        left = {task.pair.advertiser.id for task in tasks if task.pair.key not in compared}
        found = kept(destination, found, now)
    refused = {advertiser_id: error.sentence for advertiser_id, error in accounts.refused.items()}
    return Verified(found, accounts.found, refused, api.counts.requests, len(left))


def _longest_ago_first(tasks: Sequence[Task], destination: Destination) -> list[Task]:
    """Return the tasks account by account, those first whose days were confirmed longest ago."""
    verified = destination.verified() if isinstance(destination, KeepsChecks) else {}
    confirmed: dict[str, datetime] = {}
    for task in tasks:
        last = max((at for at in verified.get(task.pair.key, {}).values() if at), default=NEVER)
        confirmed[task.pair.advertiser.id] = min(last, confirmed.get(task.pair.advertiser.id, last))
    return sorted(tasks, key=lambda task: (confirmed[task.pair.advertiser.id], task.pair.advertiser.id))


def kept(destination: Destination, found: Sequence[DayChecked], now: datetime) -> list[DayChecked]:
    """Keep verdicts in the destination, if it does; return them, with whether a day was wrong before."""
    if not isinstance(destination, KeepsChecks):
        return list(found)
    bad = any(one.verdict in NOT_RIGHT for one in found)
    before = destination.wrong_before(now - REMEMBERED) if bad else {}
    marked = [replace(one, again=one.day in before.get((one.object, one.advertiser_id), ())) for one in found]
    if compared := [one for one in marked if one.verdict not in NOT_COMPARED]:
        destination.keep_checks(compared, now, LIKE_FOR_LIKE)
    return marked


def standing(
    destination: Destination, stream: Stream, spans: Sequence[tuple[str, Window]]
) -> Mapping[str, tuple[Mapping[date | None, Sealed], Seals]]:
    """Return what stands in a destination of days of accounts: the stored seals, and those of the rows, by account."""
    if isinstance(destination, CountsMany):
        return destination.standing(stream, spans)
    found: dict[str, dict[date | None, Seal]] = {}
    for advertiser_id, window in spans:
        found.setdefault(advertiser_id, {}).update(destination.recount(stream, advertiser_id, window))
    return {advertiser_id: (destination.seals(stream, advertiser_id), days) for advertiser_id, days in found.items()}


def verified_through(settings: Settings, destination: KeepsChecks, accounts: Accounts) -> date | None:
    """Return the day through which what is stored is TikTok's, as ``verify`` says it; None where there is none.

    It is the last confirmed day before the first one that is to be read again, of the object and account that has the
    earliest.
    """
    verified, owed = destination.verified(), destination.owed()
    last: list[date] = []
    for stream in settings.objects:
        for advertiser in accounts.found if stream.name in COMPARED_OBJECTS else ():
            pair = (stream.name, advertiser.id)
            if days := verified.get(pair):
                broken = min(owed.get(pair, ()), default=date.max)
                through = max((day for day, at in days.items() if at and day < broken), default=None)
                if through is None:
                    return None
                last.append(through)
    return min(last, default=None)


def to_read_again(destination: Destination) -> Mapping[tuple[str, str], Collection[date]]:
    """Return the days that a check found wrong and that the next import reads again."""
    return destination.owed() if isinstance(destination, KeepsChecks) else {}


def again_in_words(days: Mapping[tuple[str, str], Collection[date | None]]) -> list[str]:
    """Return what is read again because a check found it wrong, in sentences with no full stop, by object."""
    by_object: dict[str, list[date]] = {}
    for (name, _), some in days.items():
        by_object.setdefault(name, []).extend(day for day in some if day)
    found = []
    for name, some in by_object.items():
        if some:
            said = ", ".join(str(day) for day in sorted(set(some))[:3]) + (", …" if len(set(some)) > 3 else "")
            many = len(some) != 1
            title = STREAMS[name].title if name in STREAMS else name
            found.append(
                f"{title}: {len(some):,} day{'s' if many else ''} ({said}) that {'were' if many else 'was'} not what "
                f"TikTok has {'were' if many else 'was'} read again"
            )
    return found


class Checks:
    """Compares objects of accounts with TikTok. What stands here is looked up before anything is asked."""

    def __init__(self, source: Source, settings: Settings, now: datetime, *, whole_account: bool = True) -> None:
        self._source, self._settings, self._now = source, settings, now
        self._whole_account = whole_account
        self._rows: Once[Mapping[date, Seal] | None] = Once()
        self._windows: dict[str, Window] = {}
        self._cuts: Once[tuple[Total, Total] | None] = Once()

    # --- what stands here ---------------------------------------------------------------------------------------------

    def tasks(self, destination: Destination, accounts: Accounts, asked: Days | None) -> Iterator[Task]:
        """Yield what is to be compared: the reports by day and hour, of every account."""
        wanted = [
            (stream, advertiser, window)
            for stream in self._settings.objects
            if stream.time is not None and stream.is_report
            for advertiser in accounts.found
            if (window := self._window(advertiser, asked))
        ]
        yield from self.tasks_of(destination, wanted)

    def tasks_of(self, destination: Destination, wanted: Sequence[tuple[Stream, Advertiser, Window]]) -> Iterator[Task]:
        """Yield what stands here of days of objects and accounts; each object is looked up once, for all accounts."""
        known = destination.cursors()
        read = {pair for pair, one in known.items() if one.cursor}
        by_object: dict[str, list[tuple[str, Window]]] = {}
        for stream, advertiser, window in wanted:
            if (stream.name, advertiser.id) in read:
                by_object.setdefault(stream.name, []).append((advertiser.id, window))
        streams = {stream.name: stream for stream, _, _ in wanted}
        there = {name: standing(destination, streams[name], spans) for name, spans in by_object.items()}
        for stream, advertiser, window in wanted:
            cursor = known.get((stream.name, advertiser.id), Known()).cursor
            stored, found = there.get(stream.name, {}).get(advertiser.id, ({}, {})) if cursor else ({}, {})
            yield self._task(stream, advertiser, cursor, window, stored, found)

    def _task(
        self,
        stream: Stream,
        advertiser: Advertiser,
        cursor: Cursor | None,
        window: Window,
        stored: Mapping[date | None, Sealed],
        found: Seals,
    ) -> Task:
        def is_read(day: date) -> bool:
            return bool(cursor and cursor.since and cursor.through and cursor.since <= day <= cursor.through)

        days = [OurDay(day, stored.get(day), found.get(day, NOTHING), is_read(day)) for day in window]
        fields = self._settings.fields[stream.name]
        pair = Pair(
            stream,
            advertiser,
            tuple(n for n in CONTROLS if n in (cursor.fields if cursor else fields)),
            (window,),
            cursor,
            advertiser.today(self._now),
            with_deleted=cursor.with_deleted if cursor else self._settings.include_deleted,
        )
        self._note(advertiser, window)
        return Task(pair, cursor, days)

    def _note(self, advertiser: Advertiser, window: Window) -> None:
        """Remember which days of an account are compared: its own rows are asked for once for all objects."""
        had = self._windows.get(advertiser.id, window)
        self._windows[advertiser.id] = Window(min(had.first, window.first), max(had.last, window.last))

    def _window(self, advertiser: Advertiser, asked: Days | None) -> Window | None:
        settings, today = self._settings, advertiser.today(self._now)
        first, last = asked or (today - timedelta(days=USUAL_DAYS - 1), today)
        keep = settings.clean_up_to_keep_window
        first = max(first, settings.start_date, oldest_kept(today, keep) if keep else first)
        last = min(last, settings.end_date or today, today)
        return Window(first, last) if first <= last else None

    # --- asking -------------------------------------------------------------------------------------------------------

    def run(
        self,
        tasks: Sequence[Task],
        spool: Spool,
        halted: Callable[[], Stop | None],
        enough: Callable[[], bool] = lambda: False,
    ) -> list[DayChecked]:
        """Return a verdict on each day of the tasks; they are asked side by side, none once it is ``enough``.

        Raises Halted.
        """
        by_pair = {task.pair.key: task for task in tasks}
        said = side_by_side(
            self._source.api,
            lambda pair: [] if enough() else self.check(by_pair[pair.key], spool),
            [task.pair for task in tasks],
            self._settings,
            halted,
        )
        return [one for days in said for one in days]

    def check(self, task: Task, spool: Spool) -> list[DayChecked]:
        """Return a verdict on each day of one object and account."""
        pair, cursor = task.pair, task.cursor
        advertiser, stream = pair.advertiser, pair.stream
        if task.days:
            self._note(advertiser, Window(task.days[0].day, task.days[-1].day))
        lookback = self._settings.reimport_lookback_window
        unsettled = unsettled_from(cursor, lookback)
        ask = self._asking(pair)
        try:
            account = self._account(advertiser, spool)
            known = alike.Pair(
                stream.name,
                advertiser.id,
                advertiser.currency,
                advertiser.zone,
                self._now,
                lookback,
                pair.fields if COMPARED.intersection(pair.fields) else (),
                None if unsettled is None else max(unsettled, self._settings.start_date),
                account or {},
                comparable_account=account is not None and ask is not None and stream.time == "stat_time_day",
            )
            if ask is None:
                found = _of_seals_alone(known, task.days)
            else:
                found = LikeForLike(known, ask, lambda day: self._account_now(advertiser, day, spool)).check(task.days)
            if account is not None:
                found = self._with_gaps(task, found, account)
                if known.comparable_account and "spend" in pair.fields:
                    found = self._named(task, found, account)
                found = [replace(one, account=account.get(one.day, NOTHING).spend or Decimal()) for one in found]
            if stream.time == "stat_time_hour":
                found = [_of_hours(one) for one in found]
            return found
        except Problem as problem:
            return [
                DayChecked(stream.name, advertiser.id, one.day, Verdict.NOT_ANSWERED, problem.sentence, one.found)
                for one in task.days
            ]

    def _question(self, pair: Pair, window: Window) -> Question:
        return Question(pair.stream, pair.advertiser, window, pair.fields, pair.with_deleted, pair.read_on)

    def _asking(self, pair: Pair) -> alike.Ask | None:
        """Return how to ask for the total of days of a pair; None where TikTok gives none."""
        if pair.stream.time == "stat_time_hour":  # its hours are compared with their day
            by_day = STREAMS.get(pair.stream.name.replace("_hourly", "_daily"))
            if by_day is None or "country_code" in by_day.dimensions:
                return None
            pair = replace(pair, stream=by_day)
        window = Window(pair.read_on, pair.read_on)
        if not Series(self._question(pair, window), names=pair.fields).has_totals:
            return None
        return lambda window: self._source.total(self._question(pair, window))

    # --- the whole account --------------------------------------------------------------------------------------------

    def _account(self, advertiser: Advertiser, spool: Spool) -> Mapping[date, Seal] | None:
        """Return the account's own rows by day; None where TikTok does not give them. Asked once per account."""
        if self._settings.sandbox_mode or not self._whole_account:
            return None
        return self._rows.get(
            advertiser.id, lambda: self._read_account(advertiser, self._windows[advertiser.id], spool)
        )

    def _read_account(self, advertiser: Advertiser, window: Window, spool: Spool) -> Mapping[date, Seal] | None:
        question = Question(ACCOUNT, advertiser, window, ("spend", "impressions", "clicks"), True, None)
        found: dict[date, Seal] = {}
        for first in range(0, window.days, LONGEST_DAYS):
            begin = window.first + timedelta(days=first)
            part = Window(begin, min(window.last, begin + timedelta(days=LONGEST_DAYS - 1)))
            path = spool.file()
            try:
                seals = self._source.read(replace(question, window=part), path).seals
            except RequestRefused:
                return None
            finally:
                path.unlink(missing_ok=True)
            found |= {day: seal for day, seal in seals.items() if day is not None}
        return found

    def _account_now(self, advertiser: Advertiser, day: date, spool: Spool) -> Seal | None:
        found = self._read_account(advertiser, Window(day, day), spool)
        return None if found is None else found.get(day, NOTHING)

    def _with_gaps(self, task: Task, found: Sequence[DayChecked], account: Mapping[date, Seal]) -> list[DayChecked]:
        """Return the days with those missing that were never read although the account has results."""
        cursor, zone = task.cursor, task.pair.advertiser.zone
        since = cursor.since if cursor and cursor.since else date.max

        def is_gap(one: DayChecked) -> bool:
            return one.verdict is Verdict.NOT_READ and one.day < since and is_closed(one.day, zone, self._now)

        return [missing(one, account) if is_gap(one) else one for one in found]

    def _named(self, task: Task, found: Sequence[DayChecked], account: Mapping[date, Seal]) -> list[DayChecked]:
        """Return the days with a name for what the account has elsewhere, where its spend is not theirs."""
        pair = task.pair
        if pair.stream.level == "advertiser":
            return list(found)
        differing = {one.day for one in differing_days(found, account, pair.advertiser.currency)}
        judged_days: dict[date, DayChecked] = {}
        for run in _equal_runs(found):
            of = [one for one in run if one.day in differing]
            if not of:
                continue
            window = Window(run[0].day, run[-1].day)
            rows = sum(one.ours.rows for one in run)
            slack = alike.allowed(rows + len(run), pair.advertiser.currency)
            what = named(difference(run, account), slack, self._reasons(pair, window))
            judged_days |= {one.day: judged(one, what) for one in of}
        return [judged_days.get(one.day, one) for one in found]

    def _reasons(self, pair: Pair, window: Window) -> Iterator[tuple[Reason, AskAmount]]:
        """Yield what a difference may be called, in order, each with what asks how much spend it has."""
        source, stream = self._source, pair.stream
        here = replace(self._question(pair, window), fields=("spend",))
        all_of_it = replace(here, with_deleted=True)
        campaigns = replace(all_of_it, stream=CAMPAIGNS)

        def spend(total: Total) -> Decimal:
            return total.sums.get("spend", Decimal())

        def asked(*totals: Callable[[], Total], less: Callable[[], Total] | None = None) -> AskAmount:
            def ask() -> tuple[Decimal, tuple[str, ...]] | None:
                try:
                    found = [one() for one in totals]
                    minus = less() if less else Total({})
                except (NoTotals, RequestRefused):
                    return None
                amount = sum(map(spend, found), Decimal()) - spend(minus)
                return amount, tuple(r for one in (*found, minus) for r in one.requests)

            return ask

        if stream.hides_deleted and not pair.with_deleted:
            yield Reason.SETTINGS, asked(lambda: source.total(all_of_it), less=lambda: source.total(here))
        for reason, kind in ((Reason.TOP_VIEW, TOP_VIEW), (Reason.PROMOTE, PROMOTE)):
            if source.has(campaigns, kind):
                yield reason, asked(lambda kind=kind: source.total(campaigns, [kind]))  # type: ignore[misc]
        if stream.level in ("ad", "ad_group"):
            yield Reason.CAMPAIGN_ONLY, lambda: self._campaign_only(all_of_it, campaigns)
        yield Reason.GMV_MAX, asked(lambda: gmv_max.spend(source.api, pair.advertiser, window))
        if stream.level in ("ad", "ad_group"):
            yield Reason.CUT, lambda: self._cut(all_of_it)

    def _groups(self, all_of_it: Question) -> tuple[Total, Total] | None:
        """Return the total of a report about ads, and the same asked for groups of campaigns; None where it cannot be.

        Of ordinary ads alone: the others are never so many.
        """

        def ask() -> tuple[Total, Total] | None:
            try:
                return self._source.total(all_of_it, [ORDINARY]), self._source.total_by_campaigns(all_of_it)
            except (NoTotals, RequestRefused):
                return None

        return self._cuts.get((all_of_it.pair, all_of_it.window), ask)

    def _cut(self, all_of_it: Question) -> tuple[Decimal, tuple[str, ...]] | None:
        found = self._groups(all_of_it)
        if found is None:
            return None
        whole, groups = (one.sums.get("spend", Decimal()) for one in found)
        return max(Decimal(), groups - whole), (*found[0].requests, *found[1].requests)

    def _campaign_only(self, all_of_it: Question, campaigns: Question) -> tuple[Decimal, tuple[str, ...]] | None:
        try:
            above = self._source.total(campaigns, [ORDINARY])
        except (NoTotals, RequestRefused):
            return None
        found = self._groups(all_of_it)
        if found is None:
            return None
        most = max(one.sums.get("spend", Decimal()) for one in found)
        return max(Decimal(), above.sums.get("spend", Decimal()) - most), above.requests


def _equal_runs(found: Sequence[DayChecked]) -> Iterator[list[DayChecked]]:
    """Yield days in a row whose rows are TikTok's, 30 at most."""
    run: list[DayChecked] = []
    for one in found:
        follows = run and one.day - run[-1].day == timedelta(days=1) and len(run) < LONGEST_DAYS
        if one.verdict is Verdict.EQUAL and (not run or follows):
            run.append(one)
            continue
        if run:
            yield run
        run = [one] if one.verdict is Verdict.EQUAL else []
    if run:
        yield run


def _of_hours(one: DayChecked) -> DayChecked:
    """Return a day whose hours were compared with the day itself, which is another question than theirs."""
    if one.verdict is not Verdict.WRONG:
        return one
    return replace(one, verdict=Verdict.NOT_EXPLAINED, reason=f"its hours are not its day: {one.reason}")


def _of_seals_alone(known: alike.Pair, days: Sequence[OurDay]) -> list[DayChecked]:
    """Return verdicts on days of which TikTok gives no totals."""

    def refused(_: Window) -> Total:
        raise NoTotals("TikTok gives no totals of this report; its rows are those that were stored")

    return LikeForLike(known, refused).check(days)
