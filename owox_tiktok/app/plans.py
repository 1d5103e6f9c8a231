"""What an import would do: days, requests and rows to expect. Writes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from owox_tiktok.app.common import Days, accounts_of, check_kept, connect, question, sampled, side_by_side, unless
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import Problem
from owox_tiktok.events import cost_of
from owox_tiktok.model import Advertiser, Destination, Metered, Window
from owox_tiktok.plan import Pair
from owox_tiktok.plan import plan as make_plan
from owox_tiktok.settings import Settings
from owox_tiktok.states import Reason
from owox_tiktok.streams import LEVELS, STREAMS
from owox_tiktok.tiktok.reader import Source


@dataclass(frozen=True, slots=True)
class Planned:
    """What one pair would read: days and windows, and the requests and rows to expect (None: not known beforehand).

    ``bytes_billed`` is what the destination would bill for so many ``steps``, ``cost`` its price where that is known;
    all once per object.
    """

    object: str
    advertiser: Advertiser
    first: date | None
    last: date | None
    windows: int
    requests: int
    rows: int | None
    problem: str = ""
    bytes_billed: int = 0
    cost: float | None = None
    steps: int = 0
    sampled: bool = False
    """Whether it was not asked about, and is taken to be like the others of its object."""


def plan(
    settings: Settings,
    *,
    now: datetime,
    backfill: Days | None = None,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
    until: float = math.inf,
) -> list[Planned]:
    """Return what an import would do now. TikTok is asked one small question per pair; nothing is written.

    Pairs that could not be asked about ``until`` a moment of ``time.monotonic`` are taken to be like those that were.

    Raises Halted as soon as ``halted`` gives a reason.
    """
    check_kept(settings, backfill, now)
    api = connect(settings, lambda _: None, environment)
    source = Source(api, sandbox=settings.sandbox_mode)
    with open_destination(settings.destination, read_only=True, environment=environment) as destination:
        cursors = destination.cursors()
        accounts = unless(halted, lambda: accounts_of(source, settings))
        pairs = make_plan(settings, accounts.found, cursors, now, backfill)
        known = sampled(api, lambda pair: _expect(source, pair), pairs, settings, halted, until)
        planned = [known.get(n) or _like(pair, known.values()) for n, pair in enumerate(pairs)]
        for number, count in _look_ups(source, pairs).items():
            planned[number] = replace(planned[number], requests=planned[number].requests + count)
        for number, count, bytes_billed in _estimated(destination, pairs, planned, settings.requests_per_second):
            price = destination.price_per_tib if isinstance(destination, Metered) else None
            cost = None if price is None else cost_of(bytes_billed, price)
            planned[number] = replace(planned[number], bytes_billed=bytes_billed, cost=cost, steps=count)
    for advertiser_id, error in accounts.refused.items():
        planned.append(Planned("", Advertiser(advertiser_id), None, None, 0, 0, None, error.sentence))
    return planned


SAMPLED_ACCOUNTS = 5
"""So many ad accounts are measured; with more, the others are taken to be like them."""
MEASURED = ("campaigns", "ad_groups", "ads", *(f"{level}_report_daily" for level in LEVELS))


@dataclass(frozen=True, slots=True)
class Measured:
    """How much there is from Start Date on: ``rows`` by object of ``MEASURED`` that TikTok counts, in all accounts.

    ``sampled`` of the ``accounts`` were asked; ``days`` is how many there are.
    """

    accounts: int
    sampled: int
    days: int
    rows: Mapping[str, int]


def accounts(settings: Settings, *, environment: Mapping[str, str] | None = None) -> Sequence[Advertiser]:
    """Return the ad accounts of the settings, as TikTok describes them, those it refuses too."""
    source = Source(connect(settings, lambda _: None, environment), sandbox=settings.sandbox_mode)
    known = accounts_of(source, settings)
    return [*known.found, *(Advertiser(one) for one in known.refused)]


def measure(settings: Settings, *, now: datetime, environment: Mapping[str, str] | None = None) -> Measured:
    """Return how much data the ad accounts have. TikTok is asked one small question per object and account."""
    objects = tuple(STREAMS[name] for name in MEASURED if not settings.sandbox_mode or STREAMS[name].in_sandbox)
    fields = {s.name: ("spend",) if s.is_report else () for s in objects}
    source = Source(connect(settings, lambda _: None, environment), sandbox=settings.sandbox_mode)
    accounts = accounts_of(source, settings).found
    sample = accounts[:SAMPLED_ACCOUNTS]
    pairs = make_plan(replace(settings, objects=objects, fields=fields), sample, {}, now)
    planned = side_by_side(source.api, lambda pair: _expect(source, pair), pairs, settings, lambda: None)
    rows: dict[str, int] = {}
    for one in planned:
        if one.rows is not None:
            rows[one.object] = rows.get(one.object, 0) + one.rows
    more = len(accounts) / max(1, len(sample))
    last = min(settings.end_date or now.date(), now.date())
    days = max(1, (last - settings.start_date).days + 1)
    return Measured(len(accounts), len(sample), days, {name: round(count * more) for name, count in rows.items()})


def _look_ups(source: Source, pairs: Sequence[Pair]) -> dict[int, int]:
    """Return how many requests ask once per account for kinds of ads, by the first pair of it that wants to know."""
    asked: set[tuple[str, str]] = set()
    found: dict[int, int] = {}
    for number, pair in enumerate(pairs):
        wanted = {(pair.advertiser.id, kind.name) for kind in source.looks_for(pair.stream)} - asked
        if wanted:
            found[number] = len(wanted)
            asked |= wanted
    return found


def _estimated(
    destination: Destination, pairs: Sequence[Pair], planned: Sequence[Planned], rate: float
) -> Iterator[tuple[int, int, int]]:
    """Yield for each object the place of its first pair, its steps and the bytes the destination would bill for them.

    Nothing where that costs nothing.
    """
    if not isinstance(destination, Metered):
        return
    for stream in {p.stream.name: p.stream for p in pairs}.values():
        of = [n for n, p in enumerate(pairs) if p.stream.name == stream.name]
        spans = {
            p.advertiser.id: Window(p.windows[0].first, p.windows[-1].last) if p.windows[0] and p.windows[-1] else None
            for p in (pairs[n] for n in of)
            if p.windows
        }
        columns = len(stream.columns(pairs[of[0]].fields))
        values = columns * sum(planned[n].rows or 0 for n in of)
        steps = destination.step.count(values, sum(planned[n].requests for n in of) / rate)
        if billed := destination.estimate(stream, spans, steps=steps):
            yield of[0], steps, billed


def _like(pair: Pair, known: Iterable[Planned]) -> Planned:
    """Return what a pair that was not asked about would read, were it like those of its object that were."""
    windows = [w for w in pair.windows if w is not None]
    first, last = (windows[0].first, windows[-1].last) if windows else (None, None)
    alike = [p for p in known if p.object == pair.stream.name and not p.problem and p.windows]
    count, of = len(pair.windows), sum(p.windows for p in alike)
    rows = [p.rows for p in alike if p.rows is not None]
    return Planned(
        pair.stream.name,
        pair.advertiser,
        first,
        last,
        count,
        round(count * sum(p.requests for p in alike) / of) if of else count,
        round(count * sum(rows) / of) if rows else None,
        sampled=True,
    )


def _expect(source: Source, pair: Pair) -> Planned:
    windows = [w for w in pair.windows if w is not None]
    first, last = (windows[0].first, windows[-1].last) if windows else (None, None)
    # A full window near the end says most about what is to come; the last one may hold a day that has just begun.
    full = [w for w in windows[:-1] or windows if w.days == max(x.days for x in windows)] or windows
    sample = full[len(full) * 2 // 3] if full else None
    try:
        expected = source.probe(question(pair, sample), every_kind=True)
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
