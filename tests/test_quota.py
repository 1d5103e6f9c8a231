"""Google's quota of calls: shared by all spreadsheets of an account, waited for, and used sparingly."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks import quota
from owox_tiktok.errors import StoreFailed
from owox_tiktok.local.sheets import Server, serve
from owox_tiktok.local.sheets.api import quota_kind
from owox_tiktok.local.sheets.faults import Quota
from owox_tiktok.local.tiktok import Server as TikTok
from owox_tiktok.retry import Limits
from owox_tiktok.sheets.client import LIMITS, WRITER_VARIABLE, Spreadsheet
from owox_tiktok.sheets.errors import OverQuota, SheetRefused
from owox_tiktok.sheets.pace import PER_MINUTE_VARIABLE, WINDOW_S, Pace
from owox_tiktok.sheets.shared_pace import GOOD_S, STORE_VARIABLE, Leases, lease, spent
from owox_tiktok.streams import STREAMS
from tests.control_sheet import control_sheet, run
from tests.helpers import Project


class Time:
    """A clock that stands still until somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def google(time: Time) -> Iterator[Server]:
    """A Google whose minutes are those of ``time``."""
    with serve() as server:
        server.quota = Quota(None, time)
        yield server


def limits(time: Time) -> Limits:
    return replace(LIMITS, sleep=time.sleep, clock=time)


def calls(google: Server, kind: str) -> int:
    return sum(quota_kind(c.method, c.path) == kind for c in google.log)


# --- the pace ---------------------------------------------------------------------------------------------------------


def test_no_minute_sees_more_calls_than_granted_and_none_is_wasted() -> None:
    pace = Pace(60)
    moments = [pace.take("read", 0.0) for _ in range(200)]
    given = [m for m in moments if m is not None]
    assert len(given) == 200
    for first in given:
        assert sum(first <= m < first + WINDOW_S for m in given) <= 60
    assert given[:50] == [0.0] * 50, "what is there may be used at once"
    assert given[-1] < 4 * WINDOW_S


def test_reads_do_not_wait_for_writes() -> None:
    pace = Pace(4)
    for _ in range(10):
        pace.take("write", 0.0)
    assert pace.take("read", 0.0) == 0.0


def test_a_sign_of_life_does_not_queue_behind_the_others() -> None:
    pace = Pace(60)
    waiting = [pace.take("write", 0.0) for _ in range(120)]
    assert (waiting[-1] or 0) > WINDOW_S
    assert [pace.take("write", 1.0, urgent=True) for _ in range(3)] == [1.0] * 3


def test_a_moment_after_the_deadline_is_not_taken() -> None:
    pace = Pace(8)
    for _ in range(6):
        pace.take("read", 0.0)
    assert pace.take("read", 0.0, until=30.0) is None
    assert pace.take("read", 0.0, until=100.0) == WINDOW_S


def test_after_a_refusal_all_wait_longer_and_longer_and_then_go_slowly() -> None:
    pace = Pace(None, jitter=lambda: 0.5)
    for hold_s, now in ((1.0, 10.0), (2.0, 20.0), (4.0, 30.0)):
        sent = pace.take("read", now)
        assert sent is not None
        pace.refused("read", sent, now)
        pace.refused("read", sent, now)  # one that was under way at the same time does not count twice
        assert hold_s <= (pace.take("read", now) or 0) - now < hold_s + 1.1
    first, second = pace.take("read", 34.0), pace.take("read", 34.0)
    assert first is not None
    assert second is not None
    assert second - first >= 1.0
    pace.answered("read", 35.0)
    pace.refused("read", 40.0, 40.0)
    assert 1.0 <= (pace.take("read", 40.0) or 0) - 40.0 < 2.2, "an answer makes the next hold a short one"


# --- spreadsheets of one account --------------------------------------------------------------------------------------


def test_runs_of_one_account_share_its_quota_and_none_is_refused(
    google: Server, project: Project, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.quota.per_minute = 20
    monkeypatch.setenv("SHEETS_API_URL", google.url)
    for _ in range(4):
        sheet = control_sheet(google, project)
        finished = run(sheet, project, limits=limits(time), environment_more={PER_MINUTE_VARIABLE: "20"})
        assert finished.exit_code == 0
        assert sheet.status.startswith("Up to date")
    assert "429" not in google.counts["by_status"]
    assert calls(google, "Read") > 20
    assert time.now - 1000 < WINDOW_S * (1 + calls(google, "Read") / 15), "none waits longer than the quota asks"


def test_five_small_objects_are_stored_together_in_few_calls(google: Server, tiktok: TikTok) -> None:
    book = quota.made(google, tiktok.advertiser_ids)
    environment = {
        "TIKTOK_API_URL": tiktok.url,
        "TIKTOK_ACCESS_TOKEN": tiktok.token,
        "SHEETS_API_URL": google.url,
    }
    for now, reads, writes in (
        (quota.NOW, *quota.MOST_AT_FIRST),
        (quota.NOW + timedelta(hours=6), quota.MOST_READS, quota.MOST_WRITES),
    ):
        google.log.clear()
        assert quota.import_all([book], now, environment, LIMITS) == []
        assert calls(google, "Read") <= reads
        assert calls(google, "Write") <= writes
    titles = {sheet.title for sheet in google.spreadsheet(book).sheets}
    assert {STREAMS[name].title for name in quota.OBJECTS} <= titles


def test_a_quota_used_up_by_others_is_waited_for(google: Server, project: Project, time: Time) -> None:
    sheet = control_sheet(google, project)
    google.quota.per_minute = 0  # another process has it all

    def refill_later(seconds: float) -> None:
        time.sleep(seconds)
        if time.now > 1000 + 1500:
            google.quota.per_minute = 60

    patient = replace(LIMITS, sleep=refill_later, clock=time)
    assert run(sheet, project, limits=patient).exit_code == 0
    assert google.counts["by_status"]["429"] > 5
    assert google.counts["by_status"]["429"] < 100, "who is refused asks more rarely"


def test_the_runs_deadline_ends_the_waiting(google: Server, time: Time) -> None:
    google.quota.per_minute = 0
    book = Spreadsheet(google.create("A"), limits=limits(time), environment={"SHEETS_API_URL": google.url})
    book.until = time.now + 400
    with pytest.raises(OverQuota, match="quota of reads per minute is used up"):
        book.structure(())
    assert 300 < time.now - 1000 <= 400
    assert isinstance(OverQuota("x", where="y"), StoreFailed)


def test_max_run_timeout_is_a_deadline_too(google: Server, project: Project, time: Time) -> None:
    sheet = control_sheet(google, project)
    sheet.set("Max Run Timeout", 10)

    def use_up(_: str, path: str) -> None:
        if path.endswith("developerMetadata:search"):  # the destination's first look
            google.quota.per_minute = 0

    google.on_call = use_up
    assert run(sheet, project, limits=limits(time)).exit_code != 0
    # Afterwards the status has some minutes to be written.
    assert 600 < time.now - 1000 < 1800


def test_who_waits_for_the_quota_is_heard_of(google: Server, project: Project, time: Time) -> None:
    google.quota.per_minute = 3
    sheet = control_sheet(google, project)
    assert run(sheet, project, limits=limits(time)).exit_code == 0
    assert any("quota" in message for message in sheet.messages("INFO"))


# --- across processes -------------------------------------------------------------------------------------------------


def test_processes_that_lease_calls_keep_the_quota_together_and_all_get_on() -> None:
    """Twenty processes without an end of work, each call half a second, in virtual time."""
    leases, sent = Leases(), {f"p{n}": list[float]() for n in range(20)}
    ready = [(0.0, who) for who in sorted(sent)]
    count, used = dict.fromkeys(sent, 2), dict.fromkeys(sent, 0)
    while ready[0][0] < 1200:
        now, who = heapq.heappop(ready)
        at = lease(leases, who, most=55, wanted=count[who], used=used[who], now=now)
        sent[who] += [at + 0.5 * n for n in range(count[who])]
        used[who] = count[who]
        count[who] = min(10, 2 * count[who])
        heapq.heappush(ready, (at + 0.5 * used[who], who))
    every = sorted(moment for moments in sent.values() for moment in moments)
    assert all(later - moment > 60 for moment, later in zip(every, every[55:], strict=False))
    assert len(every) / 20 > 0.8 * 55, "calls of a minute"
    shares = [len(moments) for moments in sent.values()]
    assert max(shares) <= 1.5 * min(shares)


def test_who_dies_takes_few_calls_along_and_what_was_not_sent_comes_back() -> None:
    leases = Leases()
    assert lease(leases, "dies", most=55, wanted=10, used=0, now=0.0) == 0
    assert lease(leases, "a", most=55, wanted=10, used=0, now=0.0) == 0
    assert lease(leases, "a", most=55, wanted=10, used=1, now=10.0) == 10
    assert spent(leases, 10.0) == 21
    assert lease(leases, "b", most=55, wanted=34, used=0, now=10.0) == 10
    assert lease(leases, "c", most=55, wanted=1, used=0, now=10.0) == pytest.approx(WINDOW_S + GOOD_S)


def test_each_writer_has_a_quota_of_its_own_and_only_what_is_shared_with_it(tmp_path: Path) -> None:
    writers = [f"writer-{n}@project.iam.gserviceaccount.com" for n in (1, 2)]
    with serve() as server:
        server.quota = Quota(60)
        book = server.create("Clients", ["A"], owner="anna@example.com")
        server.share(book, writers[0])
        said = {
            "SHEETS_API_URL": server.url,
            STORE_VARIABLE: f"sqlite://{tmp_path}/store.db",
            PER_MINUTE_VARIABLE: "60",
        }

        def opened(writer: str) -> Spreadsheet:
            return Spreadsheet(book, environment={**said, WRITER_VARIABLE: writer})

        with pytest.raises(SheetRefused, match=f"may not act for {writers[0]}.*Service Account Token Creator"):
            opened(writers[0]).structure(())
        server.tokens.lent |= set(writers)
        first = opened(writers[0])
        for _ in range(3):
            first.structure(())
        assert first.account == writers[0]
        assert first.quota() == (60, 6, 0), "two, and four more because those were spent quickly"
        assert opened(writers[0]).quota() is None
        other = opened(writers[1])
        with pytest.raises(SheetRefused, match=f"press Share and add {writers[1]}"):
            other.structure(())
        assert other.quota() == (60, 2, 0)
