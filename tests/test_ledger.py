"""The record of runs: everybody is told the truth, once, and it costs the Sheet nothing. All over real HTTP."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import trustme

from owox_tiktok.central.store import open_store
from owox_tiktok.errors import Problem
from owox_tiktok.notify import Whom
from owox_tiktok.service import ledger as ledgers
from owox_tiktok.service.due import Due, minute_of, next_after
from owox_tiktok.service.ledger import GONE_AFTER, Entry, Ledger, Ledgers, Phase
from owox_tiktok.service.queued import MOST_DEATHS, MOST_FAILURES
from owox_tiktok.service.seats import BACKFILL_SEATS, KEPT_FOR_PEOPLE, SEATS, Kind, Seat, Seats, choose
from owox_tiktok.sheets.lease import Lease
from owox_tiktok.states import State
from tests.control_sheet import config_rows
from tests.function import ACCOUNT, ANNA, AUDIENCE, Function, error_of
from tests.helpers import Project
from tests.mail import Post, mail_server, served, texts
from tests.test_service_runs import Place, issuer, place, small_world, until

__all__ = ["issuer", "place", "small_world"]

BEN = "ben@example.com"
Deploy = Callable[..., Function]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    """A mail server that the function trusts, see ``deploy``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with mail_server(Post(), tls_context=served(authority), require_starttls=True, auth_required=True) as found:
        yield found


@pytest.fixture
def deploy(place: Place, post: Post, tmp_path: Path) -> Deploy:
    """Deploys the function with a queue; its Sheet wants e-mails about errors."""
    ask_for_messages(place)

    def deployed(**more: str) -> Function:
        trusting = {"SSL_CERT_FILE": str(tmp_path / "authority.pem"), **post.environment}
        return place.deploy(queued=True, more={**trusting, **more})

    return deployed


def ask_for_messages(place: Place, when: str = "on error") -> None:
    rows = config_rows(place.project)
    for number, row in enumerate((["Notify When", when], ["Notify By E-mail", ANNA])):
        for column, value in enumerate(row):
            place.sheet.write("Config", len(rows) + number, column, value)


def kept(place: Place) -> Ledgers:
    return Ledgers(open_store(f"sqlite://{place.secrets.parent}/store.db", {}))


def ledger(place: Place) -> Ledger:
    return kept(place).read(place.sheet.book)


def sweep(place: Place, function: Function) -> dict[str, Any]:
    answer = function.ask(place.issuer.token(ACCOUNT, AUDIENCE), {"action": "sweep"})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def later(place: Place, run: str, by: timedelta) -> None:
    """Let the last sign of life of a run be so long ago."""

    def note(known: Ledger) -> None:
        entry = known.find(run)
        assert entry is not None
        entry.alive -= by

    kept(place).change(place.sheet.book, note)


def release(place: Place) -> None:
    """Let the newest task be due, whatever it was to wait for."""
    with place.cloud_tasks._changed:
        place.tasks()[-1].due = 0.0
        place.cloud_tasks._changed.notify_all()


# --- who looks, sees the truth ----------------------------------------------------------------------------------------


def test_a_run_is_seen_from_its_start_to_its_end_and_looking_costs_the_sheet_nothing(place: Place) -> None:
    function = place.deploy(queued=True)
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "import").json()["run_id"]
    assert place.sheet.status.startswith("Waiting in the queue since ")
    calls = place.google.counts["calls"]
    for look in ({}, {"run_id": run_id}):
        status = place.status(function, **look)
        assert (status["state"], status["label"], status["run_id"]) == ("running", "Waiting", run_id)
        assert status["message"].startswith("Waiting in the queue since ")
    assert place.google.counts["calls"] == calls
    seen = threading.Event()
    place.project.server.on_request = lambda path: path.startswith("report/") and seen.wait(60)
    place.cloud_tasks.pause(place.queue, False)
    until(lambda: any(one["rows"] for one in place.status(function)["objects"]))
    running = place.status(function)
    assert (running["state"], running["label"]) == ("running", "Running")
    assert 0 < running["percent"] < 100
    seen.set()
    assert place.cloud_tasks.wait_idle(place.queue)
    calls = place.google.counts["calls"]
    done = place.status(function)
    assert (done["state"], done["percent"], [r["run_id"] for r in done["runs"]]) == ("done", 100, [run_id])
    assert done["message"] == done["messages"][0]["message"]
    assert place.google.counts["calls"] == calls


def test_who_asks_for_what_waits_already_joins_it(place: Place) -> None:
    function = place.deploy(queued=True)
    place.cloud_tasks.pause(place.queue)
    first = place.ask(function, "import").json()
    scheduled = function.ask(
        place.issuer.token(ACCOUNT, AUDIENCE), {"action": "import", "spreadsheet_id": place.sheet.book}
    ).json()
    other = place.ask(function, "backfill", start_date="2026-02-01").json()
    assert (scheduled["state"], scheduled["run_id"]) == ("joined", first["run_id"])
    assert "asked for already" in scheduled["message"]
    assert other["state"] == "started"
    assert len(place.tasks()) == 2
    entry = ledger(place).find(first["run_id"])
    assert entry is not None
    assert (entry.asked.by, entry.asked.script, [one.by for one in entry.joined]) == (ANNA, AUDIENCE, [ACCOUNT])


def test_an_import_that_waits_is_cancelled_at_once_and_never_runs(place: Place) -> None:
    function = place.deploy(queued=True)
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "import").json()["run_id"]
    assert place.ask(function, "cancel").status_code == 200
    assert place.status(function, run_id=run_id)["state"] == "cancelled"
    assert place.sheet.status == "Cancelled before it began"
    assert error_of(place.ask(function, "cancel"))["message"] == "no import is running"
    requests = place.project.server.counts["requests"]
    place.cloud_tasks.pause(place.queue, False)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.project.server.counts["requests"] == requests


@pytest.mark.parametrize("fault", ["refused", "silent"])
def test_a_start_answers_within_two_seconds_while_sheets_is_down(place: Place, fault: str) -> None:
    function = place.deploy(queued=True)
    place.status(function)  # the program is loaded
    place.cloud_tasks.pause(place.queue)
    if fault == "refused":
        place.google.faults.rate, place.google.faults.in_a_row = 1.0, 1_000
    else:
        place.google.faults.latency_s = 10.0
    began = time.monotonic()
    answer = place.ask(function, "import")
    assert time.monotonic() - began < 2
    assert answer.status_code == 202
    assert place.status(function)["label"] == "Waiting"


def test_a_start_that_cannot_be_put_into_the_queue_leaves_no_run_behind(place: Place) -> None:
    function = place.deploy(queued=True, CLOUD_TASKS_API_URL="http://127.0.0.1:9")
    assert place.ask(function, "import").status_code == 503
    assert place.status(function)["state"] == "idle"
    assert place.sheet.status.startswith("Error: the import was not started.")


def test_without_the_store_a_start_says_so_and_starts_nothing(place: Place) -> None:
    function = place.deploy(queued=True, OWOX_STORE="gs://imports", CLOUD_STORAGE_API_URL="http://127.0.0.1:9")
    answer = place.ask(function, "import")
    assert (answer.status_code, error_of(answer)["where"]) == (503, "gs://imports")
    assert place.tasks() == []


# --- one message per run ----------------------------------------------------------------------------------------------


def test_a_run_whose_attempts_fail_is_given_up_with_one_message_and_a_recovery_is_told_once(
    place: Place, post: Post, deploy: Deploy
) -> None:
    slow = deploy(OWOX_TIMEOUT_SECONDS="0.1")
    place.project.server.faults.latency_s = 1.8
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(slow, "import").json()["run_id"]

    def failed_often(known: Ledger) -> None:
        entry = known.find(run_id)
        assert entry is not None
        entry.failures = MOST_FAILURES - 2

    kept(place).change(place.sheet.book, failed_often)
    place.cloud_tasks.pause(place.queue, False)
    until(lambda: place.tasks()[0].attempts)
    assert "tried again" in place.status(slow)["message"]
    assert place.cloud_tasks.wait_idle(place.queue)
    (task,) = place.tasks()
    assert [a.status for a in task.attempts] == [503, 200]
    assert place.status(slow)["state"] == "error"
    assert "given up after 8 attempts" in place.sheet.status
    ((subject, text),) = texts(post)
    assert subject == "TikTok Ads import: needs you"
    assert "given up after 8 attempts" in text
    (line,) = (line for line in slow.logged("given up") if line.get("owox_event"))
    assert (line["severity"], line["owox_event"]) == ("ERROR", "run_given_up")

    place.project.server.faults.latency_s = 0.0
    well = deploy()
    for run in range(2):
        place.ask(well, "import")
        assert place.cloud_tasks.wait_idle(place.queue), run
    assert [subject for subject, _ in texts(post)] == ["TikTok Ads import: needs you", "TikTok Ads import: works again"]
    assert place.wrong() == []


def test_mistakes_in_config_reach_somebody(place: Place, post: Post, deploy: Deploy) -> None:
    function = deploy()
    place.sheet.set("Start Date*", "soon")
    place.ask(function, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    ((_, text),) = texts(post)
    assert "Config!B" in text
    (line,) = (line for line in function.logged("Config!B") if line.get("owox_event"))
    assert line["owox_event"] == "run_failed"


def test_a_sheet_that_was_taken_away_is_told_to_whom_it_named_before(place: Place, post: Post, deploy: Deploy) -> None:
    function = deploy()
    place.ask(function, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    assert texts(post) == []
    place.google.faults.forbidden = {place.sheet.book}
    place.ask(function, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    ((_, text),) = texts(post)
    assert "share" in text.lower()
    assert place.status(function)["state"] == "error"


# --- deaths -----------------------------------------------------------------------------------------------------------


def test_a_delivery_that_meets_a_dead_runs_lease_uses_up_no_attempt(place: Place) -> None:
    place.queue.max_attempts = 2
    platform = {"K_SERVICE": "worker"}  # where only time tells that a run is dead
    worker = place.deploy(queued=True, more=platform)
    place.project.server.faults.latency_s = 0.4
    run_id = place.ask(worker, "import").json()["run_id"]
    for death in (1, 2):
        before = place.project.server.counts["requests"]
        if death == 2:
            release(place)
        until(lambda before=before: place.project.server.counts["requests"] > before + 4)  # type: ignore[misc]
        with place.cloud_tasks._changed:
            worker.stop(signal.SIGKILL)
            worker = place.deploy(queued=True, more=platform, port=worker.port)
        until(lambda death=death: len(place.tasks()) > death)  # type: ignore[misc]
        assert 200 < place.tasks()[-1].due - time.monotonic() < 320, "until the lease has run out"
        assert place.status(worker)["state"] == "running"
        place.google.faults.clock_ahead_s += 400
    place.project.server.faults.latency_s = 0.0
    release(place)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(worker, run_id=run_id)["state"] == "done"
    assert {t.gone for t in place.tasks()} == {"done"}
    entry = ledger(place).find(run_id)
    assert entry is not None
    assert entry.deaths == 2
    assert place.wrong() == []


def test_a_run_that_died_again_and_again_is_given_up(place: Place, post: Post, deploy: Deploy) -> None:
    function = deploy()
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "import").json()["run_id"]

    def die(known: Ledger) -> None:
        entry = known.find(run_id)
        assert entry is not None
        known.whom = Whom("on error", (ANNA,))
        for _ in range(MOST_DEATHS + 1):
            ledgers.begin(known, entry, datetime.now(UTC))

    kept(place).change(place.sheet.book, die)
    place.cloud_tasks.pause(place.queue, False)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(function)["state"] == "error"
    assert "ended 5 times without a word" in place.sheet.status
    assert len(texts(post)) == 1


def test_the_watchdog_tells_once_what_nobody_else_told(place: Place, post: Post, deploy: Deploy) -> None:
    function = deploy()
    assert sweep(place, function)["message"] == "All is well."
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "import").json()["run_id"]

    def begun(known: Ledger) -> None:
        entry = known.find(run_id)
        assert entry is not None
        known.whom = Whom("on error", (ANNA,))
        ledgers.begin(known, entry, datetime.now(UTC))

    kept(place).change(place.sheet.book, begun)
    assert sweep(place, function)["died"] == 0
    later(place, run_id, GONE_AFTER)
    assert place.status(function)["label"] == "No sign of life"
    assert [sweep(place, function)["died"] for _ in range(2)] == [1, 0]
    assert place.status(function)["state"] == "stopped"
    assert "ended without a word" in place.sheet.status
    ((_, text),) = texts(post)
    assert "ended without a word" in text
    (line,) = (line for line in function.logged("without a word") if line.get("owox_event"))
    assert (line["severity"], line["owox_event"], line["run_id"]) == ("ERROR", "run_died", run_id)


def test_the_watchdog_puts_back_what_the_queue_has_lost(place: Place) -> None:
    function = place.deploy(queued=True)
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "import").json()["run_id"]
    later(place, run_id, timedelta(minutes=31))
    assert sweep(place, function)["put_back"] == 0, "it is there"
    place.queue.tasks.clear()
    assert sweep(place, function)["put_back"] == 1
    place.cloud_tasks.pause(place.queue, False)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(function, run_id=run_id)["state"] == "done"


def test_a_sheet_without_a_success_for_long_is_told_once(place: Place, post: Post, deploy: Deploy) -> None:
    function = deploy()
    function.ask(place.issuer.token(ACCOUNT, AUDIENCE), {"action": "import", "spreadsheet_id": place.sheet.book})
    assert place.cloud_tasks.wait_idle(place.queue)

    def age(known: Ledger) -> None:
        assert known.succeeded is not None
        known.succeeded -= timedelta(hours=30)

    kept(place).change(place.sheet.book, age)
    assert [sweep(place, function)["stale"] for _ in range(2)] == [1, 0]
    ((_, text),) = texts(post)
    assert "No import has succeeded for 30.0 hours" in text


def test_only_the_schedules_account_has_the_sheets_looked_after(place: Place) -> None:
    function = place.deploy(queued=True)
    assert function.ask(place.issuer.token(ANNA, AUDIENCE), {"action": "sweep"}).status_code == 403
    for_sheets = place.deploy(queued=True, OWOX_ROLE="sheets")
    assert for_sheets.ask(place.issuer.token(ACCOUNT, AUDIENCE), {"action": "sweep"}).status_code == 403


# --- the audit log ----------------------------------------------------------------------------------------------------


def test_the_audit_log_has_each_run_with_what_each_account_got(place: Place, project: Project) -> None:
    place.sheet.set("Max Run Timeout", 10)
    function = place.deploy(queued=True, OWOX_TIMEOUT_SECONDS="3", rate=11)
    run_id = place.ask(function, "import").json()["run_id"]
    assert place.cloud_tasks.wait_idle(place.queue)
    store = open_store(f"sqlite://{place.secrets.parent}/store.db", {})
    (name,) = store.names("audit/")
    held = store.get(name)
    assert held is not None
    assert name == f"audit/{datetime.now(UTC):%Y-%m-%d}/{place.sheet.book}.{run_id}.json"
    assert held.body.count(b"\n") == 1
    line = json.loads(held.body)
    assert (line["state"], line["asked"]["by"], json.loads(line["asks"])["action"]) == ("done", ANNA, "import")
    by_account = {one["advertiser_id"]: one for one in line["accounts"]}
    assert by_account.keys() == {"", *project.server.advertiser_ids}
    assert sum(one["rows"] for one in by_account.values()) == line["rows"] > 0
    assert sum(one["requests"] for one in by_account.values()) == line["requests"]


# --- the ledger by itself ---------------------------------------------------------------------------------------------


def test_few_runs_are_kept_and_none_that_has_not_ended_is_dropped() -> None:
    now = datetime.now(UTC)
    known = Ledger("b")
    waits = ledgers.ask(known, "run-waits", {}, ledgers.Asker(ANNA, now))
    for number in range(2 * ledgers.MOST_RUNS):
        one = ledgers.ask(known, f"run-{number}", {}, ledgers.Asker(BEN, now))
        ledgers.begin(known, one, now)
        assert ledgers.end(known, one, State.DONE, "", now)
        assert not ledgers.end(known, one, State.ERROR, "", now), "an end is noted once"
    assert len(known.runs) == ledgers.MOST_RUNS + 1
    assert known.current is waits
    assert known.busy(now) is None


def test_a_run_that_gives_no_sign_of_life_keeps_nobody_from_starting() -> None:
    now = datetime.now(UTC)
    known = Ledger("b", [Entry("run-1", ledgers.Asker(ANNA, now), {}, now, Phase.RUNNING)])
    assert known.busy(now) is known.runs[0]
    assert known.busy(now + ledgers.DEAD_AFTER + timedelta(seconds=1)) is None


def test_the_service_lets_another_programs_run_finish_first(place: Place) -> None:
    function = place.deploy(queued=True)
    with Lease(place.book, "run-by-hand", environment={}):
        place.ask(function, "import")
        until(lambda: len(place.tasks()) == 2)
        assert "Another import of this Sheet is running" in place.status(function)["message"]
    release(place)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(function)["state"] == "done"


# --- who comes first --------------------------------------------------------------------------------------------------


def test_a_schedule_that_a_person_joins_comes_before_other_schedules_and_runs_once(place: Place) -> None:
    background = place.cloud_tasks.add("projects/local/locations/local/queues/background", min_backoff_s=0.2)
    place.cloud_tasks.pause(background)
    function = place.deploy(queued=True, OWOX_BACKGROUND_QUEUE=background.name)
    body = {"action": "import", "spreadsheet_id": place.sheet.book}
    scheduled = [function.ask(place.issuer.token(ACCOUNT, AUDIENCE), body).json() for _ in range(3)]
    assert [s["state"] for s in scheduled] == ["started", "joined", "joined"], "thirteen hours behind are one import"
    assert (len(background.tasks), len(place.tasks())) == (1, 0)
    assert place.ask(function, "import").json() == {**scheduled[1], "message": ANY}
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(function)["state"] == "done"
    requests_sent = place.project.server.counts["requests"]
    place.cloud_tasks.pause(background, False)
    assert place.cloud_tasks.wait_idle(background)
    assert place.project.server.counts["requests"] == requests_sent
    assert place.wrong() == []


def test_a_run_without_a_seat_comes_again_by_itself(place: Place) -> None:
    function = place.deploy(queued=True)
    seats = Seats(open_store(f"sqlite://{place.secrets.parent}/store.db", {}))
    for number in range(BACKFILL_SEATS):
        assert seats.take("acme", f"another-{number}", Kind.BACKFILL, 60)
    place.cloud_tasks.on_dispatch = lambda task: place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "backfill", start_date="2026-02-27").json()["run_id"]
    until(lambda: len(place.tasks()) == 2)
    assert place.status(function)["message"].endswith("Other imports with the same TikTok token come first.")
    assert place.tasks()[1].due - time.monotonic() > 30
    wanted = [kind for kind in Kind if seats.wanted("acme", kind)]
    assert wanted == [Kind.BACKFILL], "only backfills make room for a backfill"
    seats.leave("acme", "another-0")
    place.cloud_tasks.on_dispatch = None
    place.cloud_tasks.pause(place.queue, False)
    release(place)
    assert place.cloud_tasks.wait_idle(place.queue, 60)
    assert place.status(function, run_id=run_id)["state"] == "done"
    assert seats.take("acme", "another", Kind.BACKFILL, 60), "its seat is free again"


def test_people_find_a_seat_when_schedules_and_backfills_have_all_of_theirs(tmp_path: Path) -> None:
    store = open_store(f"sqlite://{tmp_path}/store.db", {})
    seats = Seats(store)

    def taken(kind: Kind, count: int) -> int:
        with ThreadPoolExecutor(count) as pool:  # all at the same moment
            return sum(pool.map(lambda n: seats.take("acme", f"{kind}-{n}", kind, 100), range(count)))

    assert taken(Kind.BACKFILL, 7) == BACKFILL_SEATS
    assert taken(Kind.SCHEDULE, 30) == SEATS - KEPT_FOR_PEOPLE - BACKFILL_SEATS
    assert taken(Kind.PERSON, 9) == KEPT_FOR_PEOPLE
    assert taken(Kind.PERSON, 9) == KEPT_FOR_PEOPLE, "the next delivery of a part sits where the first sat"
    assert taken(Kind.BACKFILL, 7) == BACKFILL_SEATS
    every = [seat for number in range(SEATS) if (seat := Seat(f"{number}", 100.0))]
    assert choose(every, "p", Kind.PERSON, now=99) == []
    assert sorted(choose(every, "s", Kind.SCHEDULE, now=101)) == list(range(SEATS - KEPT_FOR_PEOPLE)), (
        "who died has left"
    )
    assert seats.take("another-token", "b", Kind.BACKFILL, 100)


# --- the schedule -----------------------------------------------------------------------------------------------------


def test_one_tick_starts_what_is_due_once_however_long_it_was_behind(place: Place) -> None:
    function = place.deploy(queued=True)
    assert place.ask(function, "schedule").json()["schedule"] == "Off"
    said = place.ask(function, "schedule", schedule="Hourly").json()
    assert (said["schedule"], said["by"]) == ("Hourly", ANNA)
    assert datetime.fromisoformat(said["next"]).minute == said["minute"] == minute_of(place.sheet.book)
    due = Due(open_store(f"sqlite://{place.secrets.parent}/store.db", {}))
    long_ago, other = datetime.now(UTC) - timedelta(hours=13), "1" + "x" * 43
    for book in (place.sheet.book, other):  # the second one was registered once
        due.set(book, "Hourly", "UTC", ANNA, long_ago)
    assert sweep(place, function)["started"] == 1
    assert place.cloud_tasks.wait_idle(place.queue)
    assert [r["state"] for r in place.status(function)["runs"]] == ["done"]
    assert sweep(place, function)["started"] == 0
    assert datetime.fromisoformat(place.ask(function, "schedule").json()["next"]) > datetime.now(UTC)
    assert due.get(other) is None
    assert ledger(place).runs[0].asked.by == ACCOUNT


def test_a_tick_that_is_repeated_or_cannot_reach_the_queue_loses_and_doubles_nothing(tmp_path: Path) -> None:
    due, now = Due(open_store(f"sqlite://{tmp_path}/store.db", {})), datetime(2026, 3, 1, 12, tzinfo=UTC)
    books = {f"{number:044}": "Hourly" for number in range(600)}
    begun: Counter[tuple[str, datetime]] = Counter()

    def refuse(book: str, moment: datetime) -> None:
        raise Problem("no queue")

    assert due.tick(now, books, refuse)["not_started"] > 50
    for minutes in range(0, 180, 10):  # at 12:00 again, and so on
        due.tick(now + timedelta(minutes=minutes), books, lambda *what: begun.update([what]))
    assert len(begun) == 3 * len(books)
    assert set(begun.values()) == {1}
    of_a_minute = Counter(moment.minute for _, moment in begun)
    assert len(of_a_minute) == 60
    assert max(of_a_minute.values()) < 3 * 25, "ten are to be expected"


@pytest.mark.parametrize(
    ("words", "zone", "after", "then"),
    [
        ("Daily at 06:00", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T04:{}Z"),  # clocks went forward that night
        ("Daily at 02:00", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-29T01:{}Z"),  # an hour that there is not
        ("Weekdays at 07:00", "America/New_York", "2026-03-06T13:00Z", "2026-03-09T11:{}Z"),  # Friday, then Monday
        ("Off", "UTC", "2026-03-06T13:00Z", None),
    ],
)
def test_a_schedule_follows_the_sheets_own_clock(words: str, zone: str, after: str, then: str | None) -> None:
    book = "1" + "a" * 43
    found = next_after(datetime.fromisoformat(after), words, zone, book)
    assert found == (then and datetime.fromisoformat(then.format(f"{minute_of(book):02}")))
