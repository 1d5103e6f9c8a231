"""One real run: open the edges, plan, run, report. The command line and any other surface call only this.

Everything a surface may pass in comes as arguments: settings, ``now``, a listener for events. No surface is known here.
"""

from __future__ import annotations

import enum
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from owox_tiktok.attribution import LongestWindow
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, Halted, Mistake, Problem, StoreBusy, StoreFailed
from owox_tiktok.events import Event, Failed, Finished, Listener, Waiting, Warned, duration
from owox_tiktok.model import Advertiser, Checkable, CountsRows, Destination, Known, Metered, Reading, Stream, Window
from owox_tiktok.names import instead
from owox_tiktok.notify import mistakes as notify_mistakes
from owox_tiktok.notify import notify
from owox_tiktok.plan import NOTHING_DONE, WHOLE_APP, Done, Pair, keep_from, losses, oldest_kept
from owox_tiktok.plan import plan as make_plan
from owox_tiktok.retry import Pace
from owox_tiktok.run import Outcome, prune, run
from owox_tiktok.settings import BY_NAME, EARLIEST, Settings, before_tiktok
from owox_tiktok.sheets.client import Spreadsheet, spreadsheet_id
from owox_tiktok.sheets.control import Control
from owox_tiktok.sheets.destination import Sheets
from owox_tiktok.sheets.lease import Lease
from owox_tiktok.sheets.report import INTERVALS, Intervals, Report
from owox_tiktok.states import Reason
from owox_tiktok.streams import find
from owox_tiktok.tiktok.accounts import Accounts
from owox_tiktok.tiktok.client import LIMITS, Limits, TikTok, base_url
from owox_tiktok.tiktok.questions import Question
from owox_tiktok.tiktok.reader import Source
from owox_tiktok.views import HoldsViews, View, definitions

T = TypeVar("T")

SECONDS_IN_FLIGHT = 2.0
"""A report may take TikTok this long; so many seconds' worth of requests are under way to keep the permitted rate."""
MOST_READERS = 24


def readers_for(rate: float) -> int:
    """Return how many readers keep ``rate`` requests per second going."""
    return max(2, min(MOST_READERS, math.ceil(rate * SECONDS_IN_FLIGHT)))


def connect(
    settings: Settings, listen: Listener, environment: Mapping[str, str] | None = None, limits: Limits = LIMITS
) -> TikTok:
    """Return TikTok's API as the settings say; ``TIKTOK_API_URL`` in the environment replaces its address."""
    stopped = threading.Event()
    return TikTok(
        base_url(settings.sandbox_mode, environment),
        settings.access_token,
        Pace(settings.requests_per_second, sleep=stopped.wait),
        stopped=stopped,
        app_id=settings.app_id,
        app_secret=settings.app_secret,
        on_wait=lambda seconds, reason: listen(Waiting(seconds, reason)),
        on_warning=lambda advertiser_id, message: listen(Warned("", advertiser_id, message)),
        limits=limits,
    )


def only(settings: Settings, names: Sequence[str], advertisers: Sequence[str] = ()) -> Settings:
    """Return the settings with just the objects ``names`` and the accounts ``advertisers``, all where none is named.

    Raises BadInput for one that is not configured.
    """
    chosen, mistakes = [], []
    for one in advertisers:
        if settings.advertiser_ids and one not in settings.advertiser_ids:
            advice = f"Add it to advertiser_ids in {settings.source}."
            mistakes.append(Mistake(f"--advertiser {one}", f"is not among those of {settings.source}", advice))
    for name in names:
        stream = find(name)
        if stream is None or stream not in settings.objects:
            advice = instead("object", name, [s.name for s in settings.objects])
            advice = advice or f"Add it to objects in {settings.source}."
            mistakes.append(Mistake(f"--object {name}", f"is not among the objects of {settings.source}", advice))
        else:
            chosen.append(stream)
    if mistakes:
        raise BadInput(mistakes)
    return replace(
        settings,
        objects=tuple(s for s in settings.objects if s in chosen or not names),
        advertiser_ids=tuple(dict.fromkeys(advertisers)) or settings.advertiser_ids,
    )


def backfill_range(first: date | None, last: date | None, now: datetime) -> tuple[date, date] | None:
    """Return the days of ``--from`` and ``--to``; raises BadInput when they cannot be."""
    if first is None and last is None:
        return None
    if first is None:
        raise BadInput([Mistake("--to", "needs a first day as well", "Add --from, such as --from 2026-01-01.")])
    tomorrow = now.date() + timedelta(days=1)
    if first < EARLIEST:
        raise BadInput([before_tiktok("--from", first)])
    if first > tomorrow:
        raise BadInput([Mistake("--from", f"{first} is in the future", "Name a day that has begun.")])
    last = last or tomorrow
    if first > last:
        raise BadInput([Mistake("--from", f"{first} is after --to {last}", "Swap the two dates.")])
    return first, last


def _check_kept(settings: Settings, backfill: tuple[date, date] | None, now: datetime) -> None:
    keep = settings.clean_up_to_keep_window
    if keep and backfill and backfill[0] < (oldest := oldest_kept(now.date(), keep)):
        name = settings.wording.say(BY_NAME["clean_up_to_keep_window"])
        what = f"{backfill[0]} is before {oldest}, the oldest day that {name} keeps"
        raise BadInput([Mistake("--from", what, "Begin later, or keep more days.")])


def _accounts(source: Source, settings: Settings) -> Accounts:
    ids = settings.advertiser_ids or source.advertiser_ids()
    if not ids:
        raise Problem(
            "the authorisation covers no ad account",
            what_to_do="Authorise the app again with a user who has access to the accounts, and tick them.",
        )
    return source.advertisers(ids)


def import_(
    settings: Settings,
    *,
    now: datetime,
    listen: Listener,
    backfill: tuple[date, date] | None = None,
    environment: Mapping[str, str] | None = None,
    until: float | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
    open_: Callable[[str], Destination] | None = None,
    done: Done = NOTHING_DONE,
    earlier: Finished | None = None,
    limits: Limits = LIMITS,
) -> Finished:
    """Import what the settings name and return what came of it; reported event by event to ``listen``.

    At ``until`` (a moment of ``time.monotonic``), when ``max_run_timeout`` is over, or when ``halted`` gives a reason,
    it ends after what it has stored, and the next one goes on there; who says ``until`` is expected to start that. A
    run in several parts says what is ``done`` and what came of ``earlier`` parts, and returns what came of all. Raises
    BadInput, StoreBusy, or a Problem that left nothing to do (such as a refused token before the plan was made).
    """
    began = time.monotonic()
    so_far = earlier.seconds if earlier else 0.0
    end = began - so_far + 60 * settings.max_run_timeout if settings.max_run_timeout else math.inf

    def stop() -> Reason | None:
        if time.monotonic() >= end:
            return Reason.OUT_OF_TIME
        return Reason.TO_BE_CONTINUED if until is not None and time.monotonic() >= until else halted()

    warnings = 0
    _check_kept(settings, backfill, now)

    def count(event: Event) -> None:
        nonlocal warnings
        warnings += isinstance(event, Warned)
        listen(event)

    api = connect(settings, count, environment, limits)
    source = Source(api, hidden_kinds=not settings.sandbox_mode)
    try:
        opened = (
            open_(settings.destination) if open_ else open_destination(settings.destination, environment=environment)
        )
        with opened as destination:
            if settings.views:
                _holding_views(destination, settings)
            accounts = _unless(stop, lambda: _accounts(source, settings))
            advertisers, refused = accounts.found, accounts.refused
            for advertiser_id, error in refused.items():
                listen(Failed("", advertiser_id, error.sentence, error.request_id))
            for advertiser_id, note in accounts.notes.items():
                count(Warned("", advertiser_id, note))
            pairs = make_plan(settings, advertisers, destination.cursors(), now, backfill, done)
            for name, sentence in losses(pairs):
                count(Warned(name, "", sentence))

            credited = LongestWindow()

            def read(pair: Pair, window: Window | None, path: Path) -> Reading:
                reading = source.read(_question(pair, window), path)
                credited.note(pair.stream, pair.fields, path, pair.advertiser.id)
                return reading

            readers = readers_for(settings.requests_per_second)
            left = sum(len(p.windows) for p in pairs)
            if left and (reason := halted()):  # cancelled while it waited, say: then nothing is read
                outcome = Outcome(stopped=reason, left=left)
            else:
                outcome = run(pairs, read, destination, count, now=now, readers=readers, halted=stop)
            per_account = [s for s in settings.objects if not s.per_app]
            lost = len(refused) * len(per_account)
            broken = {name for name, _ in outcome.failed}
            healthy = (s for s in settings.objects if s.name not in broken and not outcome.left and not halted())
            pruned = prune(healthy, keep_from(settings, advertisers, now), destination, listen, dry_run=False)
            if settings.views:
                _refresh_views(destination, settings, count)
            if hint := credited.hint(settings):
                count(Warned("ad_groups", "", hint))
            read_there = destination.bytes_processed if isinstance(destination, Metered) else 0
    except Halted as asked:  # before there was a plan
        outcome, pairs, lost, pruned, read_there = Outcome(stopped=Reason(asked.message)), [], 0, {}, 0
    except StoreBusy:
        raise
    except Problem as problem:
        _tell(settings, problem, listen, environment)
        raise
    finally:
        api.stop()
    outcome.pruned = pruned
    finished = _finished(outcome, api, len(pairs) + lost, len(outcome.failed) + lost, warnings, began, read_there)
    if earlier:
        finished = finished.after(earlier)
    if finished.stopped is not Reason.TO_BE_CONTINUED:  # there is one message, at the end of the last part
        _tell(settings, finished, listen, environment)
    listen(finished)
    return finished


def _tell(
    settings: Settings, ended: Finished | Problem, listen: Listener, environment: Mapping[str, str] | None
) -> None:
    """Send the messages about a run that are asked for; what keeps them from being sent is only reported."""
    for warning in notify(settings, ended, os.environ if environment is None else environment):
        listen(Warned("", "", warning))


def _finished(
    outcome: Outcome, api: TikTok, pairs: int, failed: int, warnings: int, began: float, read_there: int
) -> Finished:
    return Finished(
        rows=outcome.rows,
        replaced=outcome.replaced,
        pairs=pairs,
        failed=failed,
        requests=api.counts.requests,
        refused=api.counts.refused,
        seconds=time.monotonic() - began,
        warnings=warnings,
        pruned={name: n for name, n in outcome.pruned.items() if n},
        stopped=outcome.stopped if outcome.left or not pairs else None,
        left=outcome.left,
        bytes_processed=read_there,
    )


# --- steered by a Sheet -----------------------------------------------------------------------------------------------


def open_sheet(
    spreadsheet: str, *, environment: Mapping[str, str] | None = None, datasets: Collection[str] | None = None
) -> Control:
    """Return the control Sheet with this id or address; the token comes from the environment, never from the Sheet.

    ``datasets`` are those of BigQuery it may name; None: any.
    """
    env = os.environ if environment is None else environment
    return Control(Spreadsheet(spreadsheet_id(spreadsheet), environment=env), environment=env, datasets=datasets)


def import_sheet(
    control: Control,
    *,
    now: datetime,
    listen: Listener,
    backfill: tuple[date, date] | None = None,
    names: Sequence[str] = (),
    advertisers: Sequence[str] = (),
    until: float | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
    run: str = "",
    done: Done = NOTHING_DONE,
    intervals: Intervals = INTERVALS,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Import what a Sheet says, and tell it how far it is and what came of it: status, log and record.

    ``run`` names the run in the Sheet's record; the same name goes on with a run that stopped, and ``done`` says what
    that has read. ``until`` and ``halted`` end it early, as in ``import_``; so does whoever cancels it. Raises what
    ``import_`` raises, once it is in the Sheet; StoreBusy when another run holds the Sheet, and nothing is written.
    """
    book = control.book
    with Lease(book, run, environment=os.environ if environment is None else environment) as lease:
        book.until = until
        report = Report(book, lease.run, intervals=intervals)

        def told(event: Event) -> None:
            listen(event)
            report(event)

        def open_(address: str) -> Destination:
            if address == f"sheets://{book.id}":
                return Sheets(book, lease=lease)
            return open_destination(address, environment=environment)

        try:
            report.begin()
            reading = control.read(now)
            for warning in reading.warnings:
                told(Warned("", "", warning))
            return import_(
                only(reading.settings, names, advertisers),
                now=now,
                listen=told,
                backfill=backfill,
                environment=environment,
                until=until,
                halted=lambda: report.halted() or halted(),
                open_=open_,
                done=done,
                earlier=report.earlier,
            )
        except Exception as error:
            what = f"an unexpected {type(error).__name__}"
            problem = error if isinstance(error, Problem) else Problem(what, what_to_do="Report it with the log.")
            with suppress(Problem):  # the lease may be another's, and then nothing more is written to the Sheet
                report.problem(problem)
            raise
        except BaseException:
            with suppress(Problem):
                report.interrupted("the run was interrupted; the next one continues where it ended")
            raise


# --- before anything runs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Planned:
    """What one pair would read: days and windows, and the requests and rows to expect (None: not known beforehand).

    ``bytes_processed`` is what the destination would read to make room, reported once per object.
    """

    object: str
    advertiser: Advertiser
    first: date | None
    last: date | None
    windows: int
    requests: int
    rows: int | None
    problem: str = ""
    bytes_processed: int = 0


def plan(
    settings: Settings,
    *,
    now: datetime,
    backfill: tuple[date, date] | None = None,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
) -> list[Planned]:
    """Return what an import would do now. TikTok is asked one small question per pair; nothing is written.

    Raises Halted as soon as ``halted`` gives a reason.
    """
    _check_kept(settings, backfill, now)
    api = connect(settings, lambda _: None, environment)
    source = Source(api, hidden_kinds=not settings.sandbox_mode)
    with open_destination(settings.destination, read_only=True, environment=environment) as destination:
        cursors = destination.cursors()
        accounts = _unless(halted, lambda: _accounts(source, settings))
        pairs = make_plan(settings, accounts.found, cursors, now, backfill)
        read_there = _estimated(destination, pairs)
    planned = _side_by_side(api, lambda pair: _expect(source, pair), pairs, settings, halted)
    for name, count in read_there.items():
        first = next(n for n, p in enumerate(planned) if p.object == name)
        planned[first] = replace(planned[first], bytes_processed=count)
    for advertiser_id, error in accounts.refused.items():
        planned.append(Planned("", Advertiser(advertiser_id), None, None, 0, 0, None, error.sentence))
    return planned


def _estimated(destination: Destination, pairs: Sequence[Pair]) -> dict[str, int]:
    """Return how many bytes the destination would read for each object; nothing where that costs nothing."""
    if not isinstance(destination, Metered):
        return {}
    read: dict[str, int] = {}
    for stream in {p.stream.name: p.stream for p in pairs}.values():
        spans = {
            p.advertiser.id: Window(p.windows[0].first, p.windows[-1].last) if p.windows[0] and p.windows[-1] else None
            for p in pairs
            if p.stream.name == stream.name and p.windows
        }
        read[stream.name] = destination.estimate(stream, spans)
    return {name: count for name, count in read.items() if count}


def _expect(source: Source, pair: Pair) -> Planned:
    windows = [w for w in pair.windows if w is not None]
    first, last = (windows[0].first, windows[-1].last) if windows else (None, None)
    # A full window near the end says most about what is to come; the last one may hold a day that has just begun.
    full = [w for w in windows[:-1] or windows if w.days == max(x.days for x in windows)] or windows
    sample = full[len(full) * 2 // 3] if full else None
    try:
        expected = source.probe(_question(pair, sample), every_kind=True)
    except Problem as error:
        return Planned(pair.stream.name, pair.advertiser, first, last, len(pair.windows), 0, None, error.sentence)
    size = pair.stream.page_size or 1
    # The ordinary ads and each kind that TikTok hides, all in as many requests as the fields need.
    counts = (expected.rows or 0, *expected.hidden.values())
    rows = None if expected.rows is None else sum(counts)
    if rows is None or sample is None:
        requests = expected.groups * sum(max(1, math.ceil(n / size)) for n in counts) * len(pair.windows)
        return Planned(pair.stream.name, pair.advertiser, first, last, len(pair.windows), requests, rows)
    pages = sum(max(1, math.ceil(n / sample.days * w.days / size)) for w in windows for n in counts)
    total = round(rows / sample.days * sum(w.days for w in windows))
    return Planned(pair.stream.name, pair.advertiser, first, last, len(windows), expected.groups * pages, total)


def _question(pair: Pair, window: Window | None) -> Question:
    return Question(pair.stream, pair.advertiser, window, pair.fields, pair.with_deleted, pair.read_on)


# --- trying everything ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was tried: what, whether it works, and what to do if not.

    ``advertiser`` is the ad account it was tried with, and ``object`` the object, "" for the account itself; a thing
    that concerns all has neither. ``reduced``: it works with fewer fields than asked for.
    """

    what: str
    ok: bool
    detail: str = ""
    object: str = ""
    advertiser: Advertiser | None = None
    reduced: bool = False
    request_id: str = ""


def check(
    settings: Settings,
    *,
    now: datetime,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
) -> list[Checked]:
    """Try the destination, the token, each advertiser and each object of each advertiser; return all results.

    Raises Halted as soon as ``halted`` gives a reason.
    """
    found: list[Checked] = []
    try:
        with open_destination(settings.destination, read_only=True, environment=environment) as destination:
            destination.cursors()
            missing = destination.check() if isinstance(destination, Checkable) else []
        for sentence in missing:
            found.append(Checked(f"destination {settings.destination}", False, sentence))
        if not missing:
            found.append(Checked(f"destination {settings.destination}", True))
    except Problem as error:
        found.append(Checked(f"destination {settings.destination}", False, _without_where(error)))
    if settings.notify_when != "never":
        wrong = notify_mistakes(settings, os.environ if environment is None else environment)
        found.append(Checked("messages about runs", not wrong, " ".join(str(m) for m in wrong)))
    api = connect(settings, lambda _: None, environment)
    source = Source(api, hidden_kinds=not settings.sandbox_mode)
    try:
        accounts = _unless(halted, lambda: _accounts(source, settings))
    except Halted:
        raise
    except Problem as error:
        return [*found, Checked("access token", False, error.sentence)]
    advertisers = accounts.found
    found.append(Checked("access token", True, f"accepted by {api.url}" if os.environ.get("TIKTOK_API_URL") else ""))
    for advertiser_id, why in accounts.refused.items():
        account = Advertiser(advertiser_id)
        what, why_not = f"advertiser {advertiser_id}", _without_request(why)
        found.append(Checked(what, False, why_not, advertiser=account, request_id=why.request_id))
    for a in advertisers:
        note = f"; {accounts.notes[a.id]}" if a.id in accounts.notes else ""
        zone = f"{a.currency}, {a.zone.key}, {a.today(now)} there{note}"
        found.append(Checked(f"advertiser {a.id}", True, zone, advertiser=a))
    tries = [
        Pair(s, a, settings.fields[s.name], (), None, a.today(now))
        for s in settings.objects
        for a in ((WHOLE_APP,) if s.per_app else advertisers)
    ]
    return found + _side_by_side(api, lambda pair: _try(source, pair), tries, settings, halted)


def _until(halted: Callable[[], Reason | None], items: Iterable[T]) -> Iterator[T]:
    """Yield the items; raises Halted before the next one once ``halted`` gives a reason."""
    for item in items:
        if reason := halted():
            raise Halted(reason)
        yield item


def _unless(halted: Callable[[], Reason | None], work: Callable[[], T]) -> T:
    """Return what ``work`` returns; raises Halted as soon as ``halted`` gives a reason, and leaves it to end by itself.

    Only for work that changes nothing: it may still be waiting for TikTok when the program is over.
    """
    said: list[T] = []
    faults: list[Exception] = []

    def do() -> None:
        try:
            said.append(work())
        except Exception as error:
            faults.append(error)

    _join([threading.Thread(target=do, daemon=True)], halted)
    if faults:
        raise faults[0]
    return said[0]


def _join(threads: Sequence[threading.Thread], halted: Callable[[], Reason | None]) -> None:
    """Start threads and wait for all, in small steps, so that ``halted`` is asked and Ctrl-C is noticed."""
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.1)
            if reason := halted():
                raise Halted(reason)


def _side_by_side(
    api: TikTok,
    ask: Callable[[Pair], T],
    pairs: Sequence[Pair],
    settings: Settings,
    halted: Callable[[], Reason | None],
) -> list[T]:
    """Return what ``ask`` says of each pair, asked at the permitted rate; raises Halted."""
    left = iter(enumerate(pairs))
    lock = threading.Lock()
    said: dict[int, T] = {}
    faults: list[Exception] = []

    def reader() -> None:
        while not faults:
            with lock:
                number, pair = next(left, (0, None))
            if pair is None:
                return
            try:
                said[number] = ask(pair)
            except Exception as error:
                faults.append(error)

    # Daemons: one that waits for an answer must not keep the program from ending.
    count = min(len(pairs), readers_for(settings.requests_per_second))
    threads = [threading.Thread(target=reader, daemon=True) for _ in range(count)]
    try:
        _join(threads, halted)
    finally:
        api.stop()
    if faults:
        raise faults[0]
    return [said[n] for n in range(len(pairs))]


def _without_where(error: Problem) -> str:
    """Return the sentence for a line that begins with the place already."""
    if isinstance(error, BadInput):
        return " ".join(f"{m.what.rstrip('.')}. {m.what_to_do}" for m in error.mistakes)
    return error.sentence


def _without_request(error: Problem) -> str:
    """Return the sentence without TikTok's name for the request, so that equal failures are equal."""
    return Problem(error.message, where=error.where, what_to_do=error.what_to_do).sentence


def _try(source: Source, pair: Pair) -> Checked:
    name, account = pair.stream.name, pair.advertiser if pair.advertiser.id else None
    what = f"{name} of {account.id}" if account else name
    yesterday = pair.read_on - timedelta(days=1)
    dated = pair.stream.time or pair.stream.report_type == "AUDIENCE"
    try:
        refused = source.probe(_question(pair, Window(yesterday, yesterday) if dated else None)).refused
    except Problem as error:
        return Checked(what, False, _without_request(error), name, account, request_id=error.request_id)
    detail = f"without {', '.join(sorted(refused))}, which TikTok does not give this account" if refused else ""
    return Checked(what, True, detail, name, account, bool(refused))


def prune_(
    settings: Settings,
    *,
    now: datetime,
    dry_run: bool,
    listen: Listener,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
) -> dict[str, int]:
    """Delete (or count) the report rows older than the keep window; return how many per object.

    Raises Halted when ``halted`` gives a reason, after the object that is being pruned.
    """
    if settings.clean_up_to_keep_window is None:
        keep = BY_NAME["clean_up_to_keep_window"]
        what = "is not set, so everything is kept"
        raise BadInput([Mistake(settings.wording.where(keep), what, settings.wording.add(keep))])
    api = connect(settings, listen, environment)
    source = Source(api)
    with open_destination(settings.destination, read_only=dry_run, environment=environment) as destination:
        accounts = _unless(halted, lambda: _accounts(source, settings))
        for advertiser_id, error in accounts.refused.items():
            listen(Failed("", advertiser_id, error.sentence, error.request_id))
        days = keep_from(settings, accounts.found, now)
        return prune(_until(halted, settings.objects), days, destination, listen, dry_run=dry_run)


# --- how fresh what is stored is --------------------------------------------------------------------------------------

DAY_OF_GRACE = timedelta(days=1)


class State(enum.StrEnum):
    """How a pair stands; all but FRESH and COMPLETE are something need attention."""

    FRESH = "fresh"
    COMPLETE = "complete"  # the configuration ends before today, and all of it is read
    BEHIND = "behind"  # too long ago, or days are missing
    FAILED = "failed"  # the last import could not read it
    NEVER = "never read"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one object of an ad account is: what its cursor says, its age in seconds, its rows and its last failure.

    ``rows`` is None where the destination cannot count them for nothing. ``problem`` is a sentence, "" when all is
    well.
    """

    object: str
    advertiser_id: str
    state: State
    since: date | None = None
    through: date | None = None
    read_at: datetime | None = None
    age_s: float | None = None
    rows: int | None = None
    problem: str = ""
    failed_at: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether nobody need look after it."""
        return self.state in (State.FRESH, State.COMPLETE)


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
    ids = settings.advertiser_ids or tuple(sorted({advertiser_id for _, advertiser_id in known if advertiser_id}))
    return [
        _standing(settings, stream, one, known.get((stream.name, one), Known()), counts[stream.name], now, max_age)
        for stream in settings.objects
        for one in ((WHOLE_APP.id,) if stream.per_app else ids)
    ]


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
    problem, state = "", State.FRESH
    last = min(cursor.read_on, settings.end_date or cursor.read_on) if cursor else None
    if failure and (cursor is None or failure.at >= cursor.read_at):
        problem, state = failure.reason, State.FAILED
    elif known.lost:
        problem, state = f"{known.lost}: the next import reads it again", State.BEHIND
    elif cursor is None:
        problem, state = "it was never read", State.NEVER
    elif stream.time and (cursor.through is None or (last and cursor.through < last - DAY_OF_GRACE)):
        problem, state = f"days up to {last} are missing", State.BEHIND
    elif settings.end_date and cursor.read_on > settings.end_date + timedelta(days=settings.reimport_lookback_window):
        state = State.COMPLETE
    elif age_s > max_age.total_seconds():
        problem, state = f"it was read {duration(age_s)} ago", State.BEHIND
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


# --- reading again on purpose -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One pair whose cursor is (or would be) forgotten: the days it had, if it has days."""

    object: str
    advertiser_id: str
    since: date | None
    through: date | None


def reset(
    settings: Settings,
    name: str,
    advertiser_ids: Collection[str] = (),
    *,
    dry_run: bool,
    environment: Mapping[str, str] | None = None,
) -> list[Forgotten]:
    """Forget how far an object is read, of these advertisers or of all, so that the next import reads all of it again.

    Stored rows stay until then. Returns what was forgotten; dry: what would be. Raises BadInput for an object that is
    not configured or an advertiser it was never read for.
    """
    (stream,) = only(settings, [name]).objects
    with open_destination(settings.destination, read_only=dry_run, environment=environment) as destination:
        known = {a: k for (n, a), k in destination.cursors().items() if n == stream.name and (k.cursor or k.failure)}
        unknown = [a for a in advertiser_ids if a not in known]
        if unknown:
            there = ", ".join(sorted(known)[:20]) or "none"
            what, advice = f"{stream.name} was never read for it", f"Choose from: {there}."
            raise BadInput([Mistake(f"--advertiser {a}", what, advice) for a in unknown])
        chosen = sorted(advertiser_ids or known)
        if not dry_run and chosen:
            destination.forget(stream, chosen)
    days = [(a, known[a].cursor) for a in chosen]
    return [Forgotten(stream.name, a, c.since if c else None, c.through if c else None) for a, c in days]


# --- views ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Viewed:
    """What came of one view: the ``statement`` that makes it, unless it must be left out, and if it was left alone."""

    view: View
    statement: str
    left_alone: bool = False


def views(settings: Settings, *, dry_run: bool, environment: Mapping[str, str] | None = None) -> list[Viewed]:
    """Create or refresh every view that what is stored allows; dry: only say how.

    Raises BadInput when the destination cannot have views, StoreFailed when nothing is stored or it says no.
    """
    # Read first: where nothing is stored, nothing is created either.
    with open_destination(settings.destination, read_only=True, environment=environment) as destination:
        holder = _holding_views(destination, settings)
        dialect = holder.dialect
        found = definitions(holder.columns(), dialect)
    possible = [view for view in found if view.sql]
    if not possible:
        raise StoreFailed(
            "there is no table yet, so no view can be created",
            where=settings.destination,
            what_to_do="Import first, then create the views.",
        )
    alone: list[str] = []
    if not dry_run:
        with open_destination(settings.destination, environment=environment) as destination:
            alone = _holding_views(destination, settings).create_views(possible)
    return [
        Viewed(view, dialect.create_view(view.name, view.sql) if view.sql else "", view.name in alone) for view in found
    ]


def _holding_views(destination: Destination, settings: Settings) -> HoldsViews:
    if isinstance(destination, HoldsViews):
        return destination
    what = f"{settings.destination.partition('://')[0]}:// has no views"
    raise BadInput([Mistake(f"{settings.source} views", what, "Leave them out, or use duckdb:// or bigquery://.")])


def _refresh_views(destination: Destination, settings: Settings, listen: Listener) -> None:
    """Refresh the views after an import; its rows are stored, so what goes wrong here is only reported."""
    holder = _holding_views(destination, settings)
    try:
        found = definitions(holder.columns(), holder.dialect)
        for name in holder.create_views([view for view in found if view.sql]):
            listen(Warned("views", "", f"{name} was not created: somebody else's view already has that name"))
    except StoreFailed as error:
        listen(Warned("views", "", error.sentence))
