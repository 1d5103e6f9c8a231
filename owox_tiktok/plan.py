"""Which windows to read and which days to keep. Pure: streams, advertisers, cursors and one ``now`` in, windows out.

A day counts as settled once it was read ``reimport_lookback_window`` days after it was over; every run reads the
unsettled days again. So a run after a long pause looks back from the day it last read, not from today, and a day that
was still changing then is not forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from owox_tiktok.model import Advertiser, Cursor, Cursors, Known, Period, Stream, Window, utc
from owox_tiktok.settings import Settings

A_DAY = timedelta(days=1)

Done = Mapping[str, Mapping[str, date]]
"""What a run in several parts has read already: per stream and advertiser the last day; NO_DAYS where it has none."""
NOTHING_DONE: Done = {}
EVERY_ADVERTISER = "*"
"""Stands for all advertisers of a stream in ``Done`` that are not named."""
NO_DAYS, NOT_DONE = date.max, date.min

Damaged = Mapping[tuple[str, str], Collection[date | None]]
"""By (stream name, advertiser id), the days that are not any more what was stored."""
NOTHING_DAMAGED: Damaged = {}

NOTHING_KNOWN = Known()

WHOLE_APP = Advertiser("", "all accounts")
"""Stands for the advertiser of a stream that belongs to the developer app."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What to read of one stream for one advertiser: ``windows`` oldest first, or one None where there are no days.

    ``cursor`` is the one the pair has, and ``unsettled`` the first day that may have changed since; days before
    ``oldest_kept`` are pruned. ``lost`` says what went away from under the cursor, if that is why days are read again.
    ``after`` tells the cursor once the windows up to a day are stored.
    """

    stream: Stream
    advertiser: Advertiser
    fields: tuple[str, ...]
    windows: tuple[Window | None, ...]
    cursor: Cursor | None
    read_on: date
    unsettled: date | None = None
    oldest_kept: date | None = None
    with_deleted: bool = True
    backfill: bool = False
    lost: str = ""
    lookback: int | None = None
    """How many days after it was over a day has settled; None where nobody needs to know."""

    @property
    def key(self) -> tuple[str, str]:
        """The pair's name in the destination's cursors."""
        return self.stream.name, self.advertiser.id

    def after(self, window: Window | None, *, now: datetime, refused: frozenset[str]) -> Cursor | None:
        """Return the cursor that is true once ``window`` (and those before it) are stored, read at ``now``.

        A backfill leaves the days alone: it neither moves the cursor nor makes one, but a column it did not read is no
        longer complete.
        """
        asked = self._asked
        if self.backfill:
            had = self.cursor
            return had and replace(had, fields=had.fields & (asked - refused), refused=had.refused & asked)
        given = asked - refused
        if window is None or self.windows[0] is None:
            return Cursor(given, utc(now), self.read_on, refused=refused, with_deleted=self.with_deleted)
        since, through, read_on = self.windows[0].first, window.last, self.read_on
        old = self.cursor
        if old and old.since and old.through and self.continues:
            # What TikTok once refused and now gives is still missing in the older days.
            given -= old.refused
            joined = since <= old.through + A_DAY and old.since <= through + A_DAY
            # Unsettled days that this run leaves out (start_date moved on) would be taken for settled afterwards.
            if joined and (self.unsettled is None or since <= self.unsettled):
                if through < old.through:
                    read_on = old.read_on  # the days between were last read then, and may not have settled
                since, through = min(since, old.since), max(through, old.through)
        if self.oldest_kept:
            since = max(since, self.oldest_kept)
        return Cursor(given, utc(now), read_on, since, through, refused, self.with_deleted)

    @property
    def continues(self) -> bool:
        """Whether the days of the old cursor still count: no new field, and deleted entities in or out as before."""
        had = self.cursor
        if had is None or (self.stream.hides_deleted and had.with_deleted != self.with_deleted):
            return False
        return self._asked <= had.fields | had.refused

    @property
    def _asked(self) -> frozenset[str]:
        return frozenset((*self.fields, self.stream.mark) if self.stream.mark else self.fields)


def plan(
    settings: Settings,
    advertisers: Sequence[Advertiser],
    cursors: Cursors,
    now: datetime,
    backfill: tuple[date, date] | None = None,
    done: Done = NOTHING_DONE,
    damaged: Damaged = NOTHING_DAMAGED,
) -> list[Pair]:
    """Return every pair with the windows it must read now, streams in reading order.

    With ``backfill`` exactly those days are read (cut to the days that have begun), and no lists. Days that are
    ``damaged`` are read again, before the others, unless they lie before the first day that is imported. What is
    ``done`` by an earlier part of the same run is not read again. A pair with nothing to read is left out.
    """
    pairs = []
    # Named twice, by a list of TikTok's or by a person, a pair would be read and stored twice.
    once = {advertiser.id: advertiser for advertiser in advertisers}.values()
    for stream in {stream.name: stream for stream in settings.objects}.values():
        if backfill is not None and stream.time is None:
            continue
        for advertiser in (WHOLE_APP,) if stream.per_app else once:
            known = cursors.get((stream.name, advertiser.id), NOTHING_KNOWN)
            cursor = known.cursor
            if cursor is not None and cursor.through is None and stream.time is not None:
                cursor = None  # all of its days were pruned
            today = now.astimezone(UTC).date() if stream.utc_days else advertiser.today(now)
            lost = known.lost
            if cursor is not None and cursor.through is not None and cursor.read_on > today + A_DAY:
                # A clock was wrong, and when it was really read is not known. One day is what time zones may differ.
                lost, cursor = f"it was read on {cursor.read_on}, by a clock that was ahead", None
            keep = settings.clean_up_to_keep_window
            pair = Pair(
                stream,
                advertiser,
                settings.fields[stream.name],
                windows=(),
                cursor=cursor,
                read_on=today,
                unsettled=unsettled_from(cursor, settings.reimport_lookback_window),
                lookback=settings.reimport_lookback_window,
                oldest_kept=oldest_kept(today, keep) if keep and stream.time else None,
                with_deleted=settings.include_deleted,
                backfill=backfill is not None,
            )
            again = () if backfill else damaged.get(pair.key, ())
            if windows := tuple(_windows(settings, pair, _left(backfill, pair, done), again)):
                if backfill is None and _is_done(pair, windows, done):
                    continue
                pairs.append(replace(pair, windows=windows, lost="" if cursor and pair.continues else lost))
    return pairs


def losses(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Return (stream, sentence) for what went away at the destination and is read again for that, each once."""
    found: dict[tuple[str, str], bool] = {}
    for pair in pairs:
        if pair.lost:
            found[pair.stream.name, pair.lost] = pair.backfill
    then = {
        False: "everything of it is read again",
        True: "the next import without --from reads everything of it again",
    }
    return [(name, f"{lost}: {then[backfill]}") for (name, lost), backfill in found.items()]


def no_longer_asked(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Return (stream, sentence) for fields that are not chosen any more; the next cursor has none of them."""
    gone: dict[str, set[str]] = {}
    for pair in pairs:
        if pair.cursor and not pair.backfill:
            gone.setdefault(pair.stream.name, set()).update(
                name for name in pair.cursor.fields - set(pair.fields) if ":" not in name
            )
    found = []
    for name, fields in gone.items():
        if fields:
            many = len(fields) > 1
            columns = f"the column{'s' if many else ''} {', '.join(sorted(fields))}"
            what = "are not chosen any more and keep" if many else "is not chosen any more and keeps"
            then = f"{'they are' if many else 'it is'} not updated, and blank in new rows"
            found.append((name, f"{columns} {what} what is there; {then}"))
    return found


def _left(backfill: tuple[date, date] | None, pair: Pair, done: Done) -> tuple[date, date] | None:
    """Return the days of a backfill that are left; it has no cursor to say so."""
    through = _done_through(pair, done)
    return (max(backfill[0], through + A_DAY), backfill[1]) if backfill and through else backfill


def _is_done(pair: Pair, windows: Sequence[Window | None], done: Done) -> bool:
    """Whether an earlier part of the run has read the whole pair; one read in part is left to its cursor."""
    through, last = _done_through(pair, done), windows[-1]
    return through is not None and (last is None or pair.stream.time is None or last.last <= through)


def _done_through(pair: Pair, done: Done) -> date | None:
    of_stream = done.get(pair.stream.name, {})
    through = of_stream.get(pair.advertiser.id, of_stream.get(EVERY_ADVERTISER, NOT_DONE))
    return None if through == NOT_DONE else through


def _windows(
    settings: Settings, pair: Pair, backfill: tuple[date, date] | None, again: Collection[date | None]
) -> Iterator[Window | None]:
    stream, today = pair.stream, pair.read_on
    if stream.time is None:
        if stream.span_days is None:
            yield None
            return
        # It is one range, and replaces what the last run stored.
        first, last = settings.start_date, min(settings.end_date or today, today)
        if first <= last:
            yield Window(max(first, last - timedelta(days=stream.span_days - 1)), last)
        return
    if stream.period:
        yield from _periods(settings, pair, stream.period, backfill, again)
        return
    start = settings.start_date
    if pair.oldest_kept:
        start = max(start, pair.oldest_kept)  # reading what pruning deletes would be for nothing
    if stream.recent_days:
        start = max(start, oldest_kept(today, stream.recent_days))
    if backfill is not None:
        first, last = max(backfill[0], pair.oldest_kept or backfill[0]), min(backfill[1], today)
        first = max(first, start) if stream.recent_days else first
    else:
        first, last = _first(pair, start), min(settings.end_date or today, today)
    most = stream.max_days or 365
    if pair.cursor and pair.cursor.through:
        # A cursor speaks of days in a row: what it does not cover is read in the same way as ever.
        within = (day for day in again if day and start <= day < first and day <= pair.cursor.through)
        yield from clusters(within, most)
    if first <= last:
        yield from tiles(first, last, most)


def _periods(
    settings: Settings, pair: Pair, period: Period, backfill: tuple[date, date] | None, again: Collection[date | None]
) -> Iterator[Window]:
    """Yield the calendar periods to read, oldest first: each whole, but for the one that is not over yet."""
    today, kept = pair.read_on, pair.oldest_kept or date.min
    oldest = kept if kept == date.min or begin_of(kept, period) == kept else end_of(kept, period) + A_DAY
    if backfill is not None:
        first, last = max(oldest, begin_of(backfill[0], period)), min(end_of(backfill[1], period), today)
    else:
        start = max(oldest, begin_of(settings.start_date, period))
        first = max(start, begin_of(_first(pair, start), period))
        last = min(settings.end_date or today, today)
        for begin in sorted({begin_of(day, period) for day in again if day and start <= day < first}):
            yield Window(begin, end_of(begin, period))
    while first <= last:
        end = end_of(first, period)
        yield Window(first, min(end, last))
        first = end + A_DAY


def clusters(days: Iterable[date], most: int) -> Iterator[Window]:
    """Yield as few windows of at most ``most`` days as cover these days, oldest first."""
    window: Window | None = None
    for day in sorted(days):
        if window and (day - window.first).days < most:
            window = Window(window.first, day)
            continue
        if window:
            yield window
        window = Window(day, day)
    if window:
        yield window


def _first(pair: Pair, start: date) -> date:
    """Return the first day that must be read: the first unsettled, or ``start`` where something is missing."""
    cursor = pair.cursor
    if cursor is None or cursor.since is None or pair.unsettled is None or not pair.continues or start < cursor.since:
        return start
    return max(start, pair.unsettled)


def unsettled_from(cursor: Cursor | None, lookback: int) -> date | None:
    """Return the first day that was not read ``lookback`` days after it was over."""
    if cursor is None or cursor.through is None:
        return None
    return min(cursor.through + A_DAY, cursor.read_on - timedelta(days=lookback))


def oldest_kept(today: date, keep: int) -> date:
    """Return the oldest of the ``keep`` days that end with ``today``."""
    return today - timedelta(days=keep - 1)


def tiles(first: date, last: date, most: int) -> Iterator[Window]:
    """Yield windows of at most ``most`` days that cover ``first..last`` once, oldest first."""
    while first <= last:
        end = min(last, first + timedelta(days=most - 1))
        yield Window(first, end)
        first = end + timedelta(days=1)


def begin_of(day: date, period: Period) -> date:
    """Return the first day of the calendar week (a Monday) or month that a day is in."""
    return day.replace(day=1) if period == "month" else day - timedelta(days=day.weekday())


def end_of(day: date, period: Period) -> date:
    """Return the last day of the calendar week (a Sunday) or month that a day is in."""
    begin = begin_of(day, period)
    next_one = (begin + timedelta(days=31)).replace(day=1) if period == "month" else begin + timedelta(days=7)
    return next_one - A_DAY


def keep_from(settings: Settings, advertisers: Sequence[Advertiser], now: datetime) -> dict[str, date]:
    """Return per advertiser id the oldest day to keep; empty when everything is kept.

    A window of N days keeps today and the N-1 days before it.
    """
    keep = settings.clean_up_to_keep_window
    return {a.id: oldest_kept(a.today(now), keep) for a in advertisers} if keep else {}
