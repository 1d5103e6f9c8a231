"""The plan: every day read once, unsettled days read again, nothing forgotten however runs are spaced or killed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from owox_tiktok.events import Failed, Started, Stored
from owox_tiktok.model import Advertiser, Cursor, Failure, Known, Stream, Window
from owox_tiktok.plan import (
    EVERY_ADVERTISER,
    NO_DAYS,
    NOT_DONE,
    NOTHING_DONE,
    Done,
    Pair,
    begin_of,
    keep_from,
    losses,
    plan,
)
from owox_tiktok.run import work_of
from owox_tiktok.secret import Secret
from owox_tiktok.service.runs import Progress
from owox_tiktok.settings import Settings
from owox_tiktok.streams import STREAMS

A_DAY = timedelta(days=1)
ZONES = ["Etc/GMT+8", "America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago",
         "Australia/Lord_Howe", "UTC"]  # fmt: skip
DATED = [STREAMS["ad_report_daily"], STREAMS["campaign_report_hourly"], STREAMS["ad_audience_report_daily_by_country"]]

zones = st.sampled_from(ZONES)
dated = st.sampled_from(DATED)
moments = st.datetimes(datetime(2026, 1, 10), datetime(2026, 12, 30), timezones=st.just(UTC))
starts = st.dates(date(2025, 9, 1), date(2026, 12, 31))


def configured(stream: Stream, start: date, lookback: int = 7, **more: object) -> Settings:
    known = Settings(
        Secret("x"), ("1",), start, (stream,), {stream.name: ("spend", "clicks")}, reimport_lookback_window=lookback
    )
    return replace(known, **more)  # type: ignore[arg-type]


def account(zone: str = "UTC") -> Advertiser:
    return Advertiser("1", "one", "USD", ZoneInfo(zone))


def the_pair(
    known: Settings,
    advertiser: Advertiser,
    cursor: Cursor | None,
    now: datetime,
    backfill: tuple[date, date] | None = None,
    done: Done = NOTHING_DONE,
) -> Pair | None:
    stream = known.objects[0]
    pairs = plan(known, [advertiser], {(stream.name, advertiser.id): Known(cursor)}, now, backfill, done)
    assert len(pairs) <= 1
    return pairs[0] if pairs else None


def days_of(window: Window | None) -> list[date]:
    assert window is not None
    return [window.first + n * A_DAY for n in range((window.last - window.first).days + 1)]


def days(pair: Pair | None) -> list[date]:
    """Every day the pair reads, as often as it is read, in the order of reading."""
    return [day for window in pair.windows for day in days_of(window)] if pair else []


def between(first: date, last: date) -> list[date]:
    return [first + n * A_DAY for n in range((last - first).days + 1)]


# --- tiles ------------------------------------------------------------------------------------------------------------


@given(stream=dated, start=starts, now=moments, zone=zones)
def test_a_first_run_reads_every_day_from_the_start_to_the_accounts_today_once(
    stream: Stream, start: date, now: datetime, zone: str
) -> None:
    pair = the_pair(configured(stream, start), account(zone), None, now)
    today = now.astimezone(ZoneInfo(zone)).date()
    assert days(pair) == between(start, today)
    for window in pair.windows if pair else ():
        assert stream.max_days is not None
        assert len(days_of(window)) <= stream.max_days


@pytest.mark.parametrize(
    ("zone", "now", "today"),
    [
        ("Etc/GMT+8", datetime(2026, 3, 2, 7, 59, tzinfo=UTC), date(2026, 3, 1)),  # POSIX sign: UTC-8
        ("Etc/GMT+8", datetime(2026, 3, 2, 8, 0, tzinfo=UTC), date(2026, 3, 2)),
        ("Pacific/Kiritimati", datetime(2026, 3, 1, 10, 0, tzinfo=UTC), date(2026, 3, 2)),  # UTC+14
        ("Pacific/Kiritimati", datetime(2026, 3, 1, 9, 59, tzinfo=UTC), date(2026, 3, 1)),
        ("Pacific/Pago_Pago", datetime(2026, 3, 1, 10, 59, tzinfo=UTC), date(2026, 2, 28)),  # UTC-11
        ("Europe/Berlin", datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29)),  # winter time still: UTC+1
        ("Europe/Berlin", datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30)),  # summer time: UTC+2
        ("America/Los_Angeles", datetime(2026, 3, 8, 7, 59, tzinfo=UTC), date(2026, 3, 7)),
        ("America/Los_Angeles", datetime(2026, 3, 9, 7, 0, tzinfo=UTC), date(2026, 3, 9)),  # summer time: UTC-7
        ("Asia/Kolkata", datetime(2026, 3, 1, 18, 30, tzinfo=UTC), date(2026, 3, 2)),
    ],
)
def test_the_last_day_is_today_where_the_account_is(zone: str, now: datetime, today: date) -> None:
    assert days(the_pair(configured(DATED[0], date(2026, 2, 1)), account(zone), None, now))[-1] == today


def test_an_account_that_is_not_yet_at_the_start_date_has_nothing_to_read() -> None:
    now = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
    assert the_pair(configured(DATED[0], date(2026, 3, 1)), account("America/Los_Angeles"), None, now) is None
    assert days(the_pair(configured(DATED[0], date(2026, 3, 1)), account("Asia/Tokyo"), None, now)) == [
        date(2026, 3, 1)
    ]


@pytest.mark.parametrize("name", ["campaigns", "ads", "campaign_report_lifetime"])
def test_what_has_no_days_is_read_whole_every_time(name: str) -> None:
    stream = STREAMS[name]
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    first = the_pair(configured(stream, date(2026, 1, 1)), account(), None, now)
    assert first is not None
    assert first.windows == (None,)
    cursor = first.after(None, now=now, refused=frozenset())
    again = the_pair(configured(stream, date(2026, 1, 1)), account(), cursor, now + A_DAY)
    assert again is not None
    assert again.windows == (None,)


@given(start=starts, now=moments)
def test_an_audience_report_without_days_covers_the_last_365_days_at_most(start: date, now: datetime) -> None:
    pair = the_pair(configured(STREAMS["ad_audience_report_lifetime_by_interest"], start), account(), None, now)
    assert days(pair) == between(start, now.date())[-365:]


# --- killed and started again -----------------------------------------------------------------------------------------


@given(stream=dated, start=starts, now=moments, zone=zones, data=st.data())
def test_a_run_killed_after_any_window_goes_on_exactly_there_and_looks_back(
    stream: Stream, start: date, now: datetime, zone: str, data: st.DataObject
) -> None:
    known = configured(stream, start)
    pair = the_pair(known, account(zone), None, now)
    if pair is None:
        return
    stored = data.draw(st.integers(1, len(pair.windows)), "stored windows")
    cursor = pair.after(pair.windows[stored - 1], now=now, refused=frozenset())
    assert cursor is not None
    have = [d for w in pair.windows[:stored] for d in days_of(w)]
    assert (cursor.since, cursor.through) == (have[0], have[-1])
    today = now.astimezone(ZoneInfo(zone)).date()
    unsettled = [d for d in have if (today - d).days <= 7]
    rest = [d for d in between(start, today) if d not in set(have)]
    assert sorted(days(the_pair(known, account(zone), cursor, now))) == sorted({*rest, *unsettled})


runs = st.lists(
    st.tuples(
        st.integers(0, 40 * 24),  # hours since the run before
        st.one_of(st.none(), st.integers(0, 20)),  # killed after so many windows; None: not killed
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300)
@given(stream=dated, zone=zones, lookback=st.integers(0, 30), runs=runs)
def test_no_day_that_may_still_change_is_ever_forgotten(
    stream: Stream, zone: str, lookback: int, runs: list[tuple[int, int | None]]
) -> None:
    start = date(2026, 1, 1)
    known, advertiser = configured(stream, start, lookback), account(zone)
    now = datetime(2026, 1, 20, 6, tzinfo=UTC)
    cursor: Cursor | None = None
    read_on: dict[date, date] = {}  # the account's day on which each day was read last
    for hours, killed_after in runs:
        now += timedelta(hours=hours)
        today = now.astimezone(ZoneInfo(zone)).date()
        pair = the_pair(known, advertiser, cursor, now)
        planned = days(pair)
        needed = [d for d in between(start, today) if d not in read_on or (read_on[d] - d).days <= lookback]
        assert set(needed) <= set(planned)
        assert planned == between(min(planned, default=today + A_DAY), today), "one stretch without gap or overlap"
        for window in (pair.windows if pair else ())[:killed_after]:
            assert pair is not None
            cursor = pair.after(window, now=now, refused=frozenset())
            read_on.update((d, today) for d in days_of(window))
        if cursor is not None:
            assert cursor.since is not None
            assert cursor.through is not None
            assert set(between(cursor.since, cursor.through)) <= set(read_on), "the cursor claims a day nobody read"
        if killed_after is None:
            # After a whole run each day is settled, or was read just now.
            late = [d for d in between(start, today) if (read_on[d] - d).days <= lookback and read_on[d] != today]
            assert late == []


@given(lookback=st.integers(0, 30), gaps=st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_runs_that_are_not_killed_read_nothing_that_is_settled(lookback: int, gaps: list[int]) -> None:
    start, now = date(2026, 1, 1), datetime(2026, 2, 1, 12, tzinfo=UTC)
    known = configured(DATED[0], start, lookback)
    cursor: Cursor | None = None
    read_on: dict[date, date] = {}
    for gap in gaps:
        now += gap * A_DAY
        pair = the_pair(known, account(), cursor, now)
        assert pair is not None
        today = now.date()
        needed = [d for d in between(start, today) if d not in read_on or (read_on[d] - d).days <= lookback]
        assert days(pair) == between(min(needed), today)
        cursor = pair.after(pair.windows[-1], now=now, refused=frozenset())
        read_on.update((d, today) for d in days(pair))


# --- what makes it start from the beginning ---------------------------------------------------------------------------

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=3)
START = date(2026, 1, 1)


def whole(known: Settings, now: datetime = NOW, cursor: Cursor | None = None, **how: frozenset[str]) -> Cursor:
    """The cursor after a run that was not disturbed."""
    pair = the_pair(known, account(), cursor, now)
    assert pair is not None
    after = pair.after(pair.windows[-1], now=now, refused=how.get("refused", frozenset()))
    assert after is not None
    return after


def with_fields(*names: str) -> Settings:
    return replace(configured(DATED[0], START), fields={DATED[0].name: names})


def test_a_new_field_is_read_from_the_start_and_a_dropped_one_is_not() -> None:
    cursor = whole(with_fields("spend", "clicks"))
    assert days(the_pair(with_fields("spend", "likes"), account(), cursor, LATER))[0] == START
    assert days(the_pair(with_fields("spend"), account(), cursor, LATER))[0] == NOW.date() - 7 * A_DAY


def test_a_field_that_was_dropped_and_comes_back_is_read_from_the_start() -> None:
    cursor = whole(with_fields("spend", "clicks"))
    cursor = whole(with_fields("spend"), LATER, cursor)
    assert days(the_pair(with_fields("spend", "clicks"), account(), cursor, LATER))[0] == START


def test_a_field_that_tiktok_refuses_is_not_a_reason_to_read_all_days_every_time() -> None:
    cursor = whole(with_fields("spend", "likes"), refused=frozenset({"likes"}))
    assert days(the_pair(with_fields("spend", "likes"), account(), cursor, LATER))[0] == NOW.date() - 7 * A_DAY


def test_a_field_that_tiktok_refused_and_now_gives_is_soon_read_from_the_start() -> None:
    fields = with_fields("spend", "likes")
    cursor = whole(fields, refused=frozenset({"likes"}))
    cursor = whole(fields, LATER, cursor)  # this run notices
    assert days(the_pair(fields, account(), cursor, LATER))[0] == START
    cursor = whole(fields, LATER, cursor)  # this one fills the days
    assert days(the_pair(fields, account(), cursor, LATER))[0] > START


def test_an_earlier_start_date_is_read_from_there() -> None:
    cursor = whole(configured(DATED[0], START))
    earlier = date(2025, 12, 1)
    assert days(the_pair(configured(DATED[0], earlier), account(), cursor, LATER)) == between(earlier, LATER.date())


def test_a_later_start_date_is_no_reason_to_read_again() -> None:
    cursor = whole(configured(DATED[0], START))
    assert days(the_pair(configured(DATED[0], date(2026, 2, 1)), account(), cursor, LATER))[0] == NOW.date() - 7 * A_DAY


def test_days_skipped_by_a_later_start_date_are_not_taken_for_settled_when_it_moves_back() -> None:
    cursor = whole(configured(DATED[0], START))  # 22 February to 1 March may still change
    cursor = whole(
        configured(DATED[0], date(2026, 2, 28)), NOW + timedelta(days=20), cursor
    )  # … and were not read again here
    again = days(the_pair(configured(DATED[0], START), account(), cursor, NOW + timedelta(days=21)))
    assert set(between(date(2026, 2, 22), date(2026, 2, 27))) <= set(again)


def test_a_pair_that_only_remembers_a_failure_begins_at_the_start() -> None:
    known = configured(DATED[0], START)
    failed = Known(None, Failure("TikTok refused", NOW))
    (pair,) = plan(known, [account()], {(DATED[0].name, "1"): failed}, LATER)
    assert days(pair)[0] == START
    assert losses([pair]) == []


def test_what_went_away_at_the_destination_is_told_once_and_only_where_it_matters() -> None:
    known = with_fields("spend", "clicks")
    advertisers = [account(), replace(account(), id="2")]
    gone = Known(None, None, "the table x no longer exists")
    pairs = plan(known, advertisers, {(DATED[0].name, a): gone for a in ("1", "2")}, LATER)
    assert [days(p)[0] for p in pairs] == [START, START]
    assert losses(pairs) == [(DATED[0].name, "the table x no longer exists: everything of it is read again")]
    backfill = plan(known, advertisers, {(DATED[0].name, "1"): gone}, LATER, (START, START))
    assert "without --from" in losses(backfill)[0][1]

    without = Known(replace(whole(known), fields=frozenset({"spend"})), None, "the column clicks no longer exists")
    (pair,) = plan(known, [account()], {(DATED[0].name, "1"): without}, LATER)
    assert days(pair)[0] == START
    assert len(losses([pair])) == 1
    (pair,) = plan(with_fields("spend"), [account()], {(DATED[0].name, "1"): without}, LATER)
    assert days(pair)[0] > START
    assert losses([pair]) == [], "nobody asks for that column any more"


def test_an_account_or_an_object_named_twice_is_read_once() -> None:
    known = replace(configured(DATED[0], START), objects=(DATED[0], DATED[0]))
    pairs = plan(known, [account(), replace(account(), name="again")], {}, NOW)
    assert [p.key for p in pairs] == [(DATED[0].name, "1")]


# --- backfill ---------------------------------------------------------------------------------------------------------


@given(now=moments, first=starts, length=st.integers(1, 90), zone=zones)
def test_a_backfill_reads_exactly_its_days_that_have_begun(now: datetime, first: date, length: int, zone: str) -> None:
    last = first + (length - 1) * A_DAY
    pair = the_pair(configured(DATED[0], START), account(zone), None, now, (first, last))
    assert days(pair) == between(first, min(last, now.astimezone(ZoneInfo(zone)).date()))


@given(first=st.dates(date(2025, 6, 1), date(2026, 3, 1)), length=st.integers(1, 200))
def test_a_backfill_never_moves_the_cursor_and_makes_none(first: date, length: int) -> None:
    known = configured(DATED[0], START)
    cursor = whole(known)
    range_ = (first, first + length * A_DAY)
    for had in (cursor, None):
        pair = the_pair(known, account(), had, LATER, range_)
        assert pair is not None
        for window in pair.windows:
            after = pair.after(window, now=LATER, refused=frozenset())
            assert (after and (after.since, after.through, after.read_on)) == (
                had and (had.since, had.through, had.read_on)
            )
            assert after is None or after.fields == cursor.fields


def test_a_backfill_without_some_fields_makes_the_next_run_read_them_again() -> None:
    cursor = whole(with_fields("spend", "clicks"))
    pair = the_pair(with_fields("spend"), account(), cursor, LATER, (START, START + 5 * A_DAY))
    assert pair is not None
    after = pair.after(pair.windows[0], now=LATER, refused=frozenset())
    assert days(the_pair(with_fields("spend", "clicks"), account(), after, LATER))[0] == START


# --- keeping ----------------------------------------------------------------------------------------------------------


@given(keep=st.integers(1, 400), now=moments, start=starts, zone=zones)
def test_days_that_pruning_would_delete_are_not_read(keep: int, now: datetime, start: date, zone: str) -> None:
    known = configured(DATED[0], start, clean_up_to_keep_window=keep)
    today = now.astimezone(ZoneInfo(zone)).date()
    kept = between(today - (keep - 1) * A_DAY, today)
    assert len(kept) == keep
    assert days(the_pair(known, account(zone), None, now)) == [d for d in kept if d >= start]
    assert keep_from(known, [account(zone)], now) == {"1": kept[0]}


def test_without_a_keep_window_nothing_is_deleted() -> None:
    assert keep_from(configured(DATED[0], START), [account()], NOW) == {}


def test_the_plan_goes_object_by_object_and_account_by_account() -> None:
    objects = (STREAMS["campaigns"], STREAMS["campaign_report_daily"])
    known = replace(configured(DATED[0], START), objects=objects, fields={s.name: ("campaign_name",) for s in objects})
    pairs = plan(known, [account(), replace(account("Asia/Tokyo"), id="2")], {}, NOW)
    assert [p.key for p in pairs] == [(s.name, a) for s in objects for a in ("1", "2")]


# --- a run in several parts -------------------------------------------------------------------------------------------


@given(stream=dated, start=starts, now=moments, zone=zones, data=st.data())
def test_a_backfill_in_parts_reads_every_day_once(
    stream: Stream, start: date, now: datetime, zone: str, data: st.DataObject
) -> None:
    known, backfill = configured(stream, start), (start, date(2027, 1, 1))
    read: list[date] = []
    done: Done = {}
    for _ in range(data.draw(st.integers(1, 4))):
        pair = the_pair(known, account(zone), None, now, backfill, done)
        if pair is None:
            break
        stored = pair.windows[: data.draw(st.integers(1, len(pair.windows)))]
        read += [day for window in stored for day in days_of(window)]
        last = stored[-1]
        assert last is not None
        done = {stream.name: {data.draw(st.sampled_from(["1", EVERY_ADVERTISER])): last.last}}
    read += days(the_pair(known, account(zone), None, now, backfill, done))
    assert read == days(the_pair(known, account(zone), None, now, backfill))


@given(stream=dated, start=starts, now=moments, zone=zones)
def test_a_pair_that_an_earlier_part_has_read_is_left_out_and_another_left_to_its_cursor(
    stream: Stream, start: date, now: datetime, zone: str
) -> None:
    known = configured(stream, start)
    whole = the_pair(known, account(zone), None, now)
    if whole is None:
        return
    last = whole.windows[-1]
    assert last is not None
    assert the_pair(known, account(zone), None, now, done={stream.name: {"1": last.last}}) is None
    assert the_pair(known, account(zone), None, now, done={stream.name: {"1": last.last - A_DAY}}) == whole
    assert the_pair(known, account(zone), None, now, done={stream.name: {"2": last.last}}) == whole


def test_a_list_that_an_earlier_part_has_read_is_left_out() -> None:
    now, ads = datetime(2026, 3, 1, tzinfo=UTC), STREAMS["ads"]
    known = replace(configured(ads, date(2026, 1, 1)), fields={"ads": ()})
    assert the_pair(known, account(), None, now) is not None
    assert the_pair(known, account(), None, now, done={"ads": {EVERY_ADVERTISER: NO_DAYS}}) is None
    assert the_pair(known, account(), None, now, done={"ads": {"1": NOT_DONE, EVERY_ADVERTISER: NO_DAYS}}) is not None


def test_a_run_of_a_large_agency_ends_although_an_account_fails_everywhere() -> None:
    objects = tuple(STREAMS[name] for name in ("ads", "ad_report_daily", "campaign_report_daily", "ad_report_hourly"))
    today = configured(DATED[0], NOW.date() - 5 * A_DAY)
    known = replace(today, objects=objects, fields={s.name: () for s in objects})
    agency = [replace(account(), id=str(7 * 10**18 + n)) for n in range(4_000)]
    read: Counter[tuple[str, str]] = Counter()
    done: Done = {}
    for _ in range(20):
        pairs = plan(known, agency, {}, NOW, done=done)
        progress = Progress(done)
        work = Counter({s.name: sum(work_of(p, w) for p in pairs for w in p.windows if p.stream is s) for s in objects})
        progress(Started(len(pairs), 0, work))
        for pair in pairs[:5_000]:
            read[pair.key] += 1
            name, whole = pair.stream.name, sum(work_of(pair, w) for w in pair.windows)
            if pair.advertiser is agency[0]:
                progress(Failed(name, pair.advertiser.id, "suspended", work=whole))
                continue
            for window in pair.windows:
                first, last = (window.first, window.last) if window else (None, None)
                progress(Stored(name, pair.advertiser.id, first, last, 1, 0, work_of(pair, window)))
        done = progress.done()
        assert len(msgspec.json.encode(done)) < 1_000_000, "an object of the store"
        if len(pairs) <= 5_000:
            break
    assert len(pairs) <= 5_000, "there is no end"
    assert len(read) == 4 * 4_000
    assert all(read[name, agency[0].id] > 1 for name in ("ads", "ad_report_daily")), "a later part tries it again"
    assert sum(read.values()) < 1.01 * len(read), "nothing else is read twice"


# --- calendar weeks and months ----------------------------------------------------------------------------------------


SUNDAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("campaign_report_weekly", ["2026-02-09..2026-02-15", "2026-02-16..2026-02-22", "2026-02-23..2026-03-01"]),
        ("campaign_report_monthly", ["2026-02-01..2026-02-28", "2026-03-01"]),
    ],
)
def test_weeks_and_months_are_read_whole_and_the_last_one_as_far_as_it_has_come(name: str, wanted: list[str]) -> None:
    known = configured(STREAMS[name], date(2026, 2, 11))
    (pair,) = plan(known, [account()], {}, SUNDAY)
    assert list(map(str, pair.windows)) == wanted
    cursor = pair.after(pair.windows[-1], now=SUNDAY, refused=frozenset())
    assert cursor is not None
    later = SUNDAY + timedelta(days=2)
    (again,) = plan(known, [account()], {(name, "1"): Known(cursor)}, later)
    today = later.date()
    assert again.windows[-1] == Window(begin_of(today, pair.stream.period or "week"), today)
    # What was not settled is read again, as whole periods.
    assert again.windows[0] is not None
    assert again.windows[0].first == begin_of(SUNDAY.date() - timedelta(days=7), pair.stream.period or "week")


def test_a_week_that_is_pruned_in_part_is_not_read_again() -> None:
    known = configured(STREAMS["campaign_report_weekly"], date(2026, 1, 1), clean_up_to_keep_window=10)
    (pair,) = plan(known, [account()], {}, SUNDAY)  # days before Friday, 20 February, are pruned
    assert list(map(str, pair.windows)) == ["2026-02-23..2026-03-01"]


def test_a_backfill_reads_the_whole_weeks_of_its_days() -> None:
    known = configured(STREAMS["campaign_report_weekly"], date(2026, 2, 20))
    (pair,) = plan(known, [account()], {}, SUNDAY, (date(2026, 1, 7), date(2026, 1, 13)))
    assert list(map(str, pair.windows)) == ["2026-01-05..2026-01-11", "2026-01-12..2026-01-18"]
