"""What the service does for a Sheet: a simulated TikTok, Google Sheets, Cloud Tasks and sign-in, all over real HTTP."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
import requests

from owox_tiktok import app
from owox_tiktok.central.store import open_store
from owox_tiktok.events import Finished
from owox_tiktok.local import tasks
from owox_tiktok.local.identity import Issuer, without_signature
from owox_tiktok.local.sheets import Server as Google
from owox_tiktok.local.sheets import serve as serve_sheets
from owox_tiktok.local.tasks import Queue
from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.secret import Secret
from owox_tiktok.service.tasks import SIGNATURE_HEADER, signature
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.lease import Lease
from owox_tiktok.sheets.record import RECORD, RECORD_ID, Record, Run
from owox_tiktok.sheets.requests import create_metadata
from owox_tiktok.states import State
from owox_tiktok.streams import STREAMS
from tests.control_sheet import OBJECTS, ControlSheet, config_rows, control_sheet
from tests.function import ACCOUNT, ANNA, AUDIENCE, CLOCKED, EVE, Function, error_of, free_port, heard
from tests.helpers import NOW, START, Project, differences, expected
from tests.sheets import columns_of_tab, in_a_cell, sheet_rows

GONE = "1" + "g" * 43
"""A spreadsheet that is registered and is not there."""
TOKEN, APP_SECRET = "5ec4e7" * 6 + "7e57", "a99" * 13 + "0"
"""Planted: TikTok's are 40 hexadecimal digits as well."""


@pytest.fixture
def small_world() -> World:
    """As everywhere, but with ordinary ads alone: these tests count in seconds how far a part of a run comes."""
    return World(seed=1, advertisers=2, campaigns=3, ad_groups=6, ads=12, as_of=NOW)


@dataclass
class Place:
    """Everything that a deployment consists of, and a Sheet with an import to make."""

    project: Project
    google: Google
    issuer: Issuer
    cloud_tasks: tasks.Server
    queue: Queue
    sheet: ControlSheet
    secrets: Path
    functions: list[Function] = field(default_factory=list)

    def deploy(
        self,
        *,
        queued: bool = False,
        port: int = 0,
        worker: Function | None = None,
        rate: float = 1000,
        more: Mapping[str, str] = MappingProxyType({}),
        **variables: str,
    ) -> Function:
        """Start the function; ``queued``: with a queue whose tasks go to ``worker``, or to itself."""
        entry = {"secret": "acme", "callers": [ANNA], "requests_per_second": rate}
        environment = {
            "OWOX_AUDIENCES": AUDIENCE,
            "OWOX_REGISTRY": json.dumps(dict.fromkeys((self.sheet.book, GONE), entry)),
            "OWOX_SECRETS": str(self.secrets),
            "OWOX_CERTS_URL": self.issuer.certs_url,
            "SHEETS_API_URL": self.google.url,
            "TIKTOK_API_URL": self.project.server.url,
            "TEST_NOW": NOW.isoformat(),
        }
        port = port or free_port()
        if queued:
            target = worker.port if worker else port
            environment |= {
                "OWOX_TASKS_QUEUE": self.queue.name,
                "OWOX_TASKS_ACCOUNT": ACCOUNT,
                "OWOX_WORKER_URL": f"http://127.0.0.1:{target}",
                "OWOX_AUDIENCES": f"{AUDIENCE} http://127.0.0.1:{target}",
                "CLOUD_TASKS_API_URL": self.cloud_tasks.url,
                "OWOX_STORE": f"sqlite://{self.secrets.parent}/store.db",
            }
        function = Function({**environment, **more, **variables}, CLOCKED, port)
        function.start()
        self.functions.append(function)
        return function

    def ask(self, function: Function, action: str, email: str = ANNA, **more: Any) -> requests.Response:
        body = {"action": action, "spreadsheet_id": self.sheet.book, **more}
        return function.ask(self.issuer.token(email, AUDIENCE), body)

    def status(self, function: Function, **more: Any) -> dict[str, Any]:
        answer = self.ask(function, "status", **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wrong(self, *objects: str) -> list[str]:
        """Every difference between the data tabs and TikTok."""
        found = []
        for name in objects or OBJECTS:
            stream = STREAMS[name]
            names = list(columns_of_tab(self.google, self.sheet.book, stream))
            wanted = [
                {k: in_a_cell(v) for k, v in row.items()}
                for advertiser_id in self.project.server.advertiser_ids
                for row in expected(self.project.server.world, stream, advertiser_id, names)
            ]
            assert wanted
            found += differences(sheet_rows(self.google, self.sheet.book, stream), wanted, stream.keys)
        return found

    @property
    def book(self) -> Spreadsheet:
        return Spreadsheet(self.sheet.book, environment=self.sheet.environment)

    def tasks(self) -> list[tasks.Task]:
        return list(self.queue.tasks.values())


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something comes about."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def record_run(place: Place, run_id: str, state: str, began: datetime) -> None:
    """Write into the Sheet that there was such a run."""
    seconds = (datetime.now(UTC) - began).total_seconds()
    so_far = Finished({"ads": 7}, {}, pairs=1, failed=0, requests=7, refused=0, seconds=seconds)
    run = Run(run_id, began, State(state), began + timedelta(minutes=1), so_far=so_far)
    place.book.apply([create_metadata(RECORD, msgspec.json.encode(Record(run)).decode(), RECORD_ID)])


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as started:
        yield started


@pytest.fixture
def place(project: Project, issuer: Issuer, tmp_path: Path) -> Iterator[Place]:
    credentials = project.server.credentials
    credentials.token, credentials.app_secret = TOKEN, APP_SECRET
    secrets = tmp_path / "secrets"
    (secrets / "acme").mkdir(parents=True)
    said = f"TIKTOK_ACCESS_TOKEN={TOKEN}\nTIKTOK_APP_ID={credentials.app_id}\nTIKTOK_APP_SECRET={APP_SECRET}\n"
    (secrets / "acme" / "token").write_text(said, encoding="utf-8")
    with serve_sheets() as google, tasks.Server(issuer) as cloud_tasks:
        queue = cloud_tasks.add(min_backoff_s=0.2, max_backoff_s=1)
        sheet = control_sheet(google, project)
        made = Place(project, google, issuer, cloud_tasks, queue, sheet, secrets)
        try:
            yield made
        finally:
            for function in made.functions:
                if function.process.poll() is None:
                    function.stop(signal.SIGKILL)
            nothing_leaked(made)


def nothing_leaked(place: Place) -> None:
    """No secret is in anything that functions answered or printed, in any cell or metadata, or in a task."""
    model = place.google.spreadsheet(place.sheet.book)
    cells = repr([sheet.values() for sheet in model.sheets]) + repr(model.metadata)
    bodies = "".join(f"{t.body!r}{t.headers}" for t in place.tasks())
    everything = "".join(heard) + cells + bodies
    heard.clear()
    assert TOKEN not in everything
    assert APP_SECRET not in everything
    assert "eyJhbGci" not in everything, "an identity token"


# --- without a queue --------------------------------------------------------------------------------------------------


def test_an_import_within_its_request_equals_tiktok_and_is_told(place: Place) -> None:
    function = place.deploy()
    assert place.status(function)["state"] == "idle"
    answer = place.ask(function, "import")
    said = answer.json()
    assert (answer.status_code, said["state"], said["failed"]) == (200, "done", 0)
    assert place.wrong() == []
    assert said["message"] in place.sheet.messages("INFO")
    assert place.sheet.status.startswith("Up to date through Sun 1 Mar · ")
    calls = place.google.counts["calls"]
    status = place.status(function)
    assert place.google.counts["calls"] - calls <= 3, "a sidebar asks often, and Google counts"
    assert (status["state"], status["run_id"], status["percent"]) == ("done", said["run_id"], 100)
    assert {o["object"]: (o["title"], o["percent"], o["rows"]) for o in status["objects"]} == {
        name: (STREAMS[name].title, 100, rows) for name, rows in said["rows"].items()
    }
    assert status["messages"][0]["message"] == said["message"]
    assert len(status["messages"]) <= 20
    assert [r["run_id"] for r in status["runs"]] == [said["run_id"]]
    assert status["started"] <= status["ended"]
    assert {line["run_id"] for line in function.logged("Done in")} == {said["run_id"]}


def test_a_plan_a_check_and_a_prune_answer_at_once(place: Place) -> None:
    function = place.deploy()
    plan = place.ask(function, "plan").json()
    assert {o["object"] for o in plan["objects"]} == set(OBJECTS)
    (daily,) = (o for o in plan["objects"] if o["object"] == "ad_report_daily")
    assert (daily["advertisers"], daily["first"]) == (2, START.isoformat())
    assert plan["requests"] == sum(o["requests"] for o in plan["objects"]) > 0
    assert plan["rows"] > 0
    assert plan["problems"] == []
    backfill = place.ask(function, "plan", start_date="2026-02-01", end_date="2026-02-02").json()
    assert [(o["object"], o["first"], o["last"]) for o in backfill["objects"]] == [
        ("ad_report_daily", "2026-02-01", "2026-02-02")
    ]
    check = place.ask(function, "check").json()
    assert check["ok"] is True
    assert {c["what"] for c in check["checks"]} >= {
        "access token",
        f"advertiser {place.project.server.advertiser_ids[0]}",
    }

    no_window = place.ask(function, "prune", dry_run=True)
    assert (no_window.status_code, error_of(no_window)["mistakes"][0]["where"][:7]) == (400, "Config!")
    place.ask(function, "import")
    before = len(sheet_rows(place.google, place.sheet.book, STREAMS["ad_report_daily"]))
    place.sheet.set("Clean Up To Keep Window", 10)
    dry = place.ask(function, "prune", dry_run=True).json()
    assert dry["dry_run"] is True
    assert dry["rows"]["ad_report_daily"] > 0
    assert dry["titles"]["ad_report_daily"] == "Ad report daily"
    assert len(sheet_rows(place.google, place.sheet.book, STREAMS["ad_report_daily"])) == before
    real = place.ask(function, "prune").json()
    assert real["rows"] == dry["rows"]
    left = len(sheet_rows(place.google, place.sheet.book, STREAMS["ad_report_daily"]))
    assert before - left == real["rows"]["ad_report_daily"]


def test_mistakes_in_the_sheet_are_told_with_their_cells(place: Place) -> None:
    function = place.deploy()
    place.sheet.set("Start Date*", "soon")
    place.sheet.set("Reimport Lookback Window", "many")
    for action in ("import", "plan", "check"):
        answer = place.ask(function, action)
        assert answer.status_code == 400
        cells = {f"Config!B{place.sheet.row_of(label) + 1}" for label in ("Start Date*", "Reimport Lookback Window")}
        assert {m["where"] for m in error_of(answer)["mistakes"]} == cells
    assert place.sheet.status.startswith("Error: Config!B")
    assert place.status(function)["state"] == "error"


def test_objects_and_days_that_cannot_be_are_told_in_the_words_of_the_body(place: Place) -> None:
    function = place.deploy()
    other = error_of(place.ask(function, "plan", objects=["ad_report_hourly"]))
    assert other["where"] == "objects"
    future = error_of(place.ask(function, "backfill", start_date="2030-01-01"))
    assert future["where"] == "start_date"
    place.sheet.set("Clean Up To Keep Window", 10)
    kept = error_of(place.ask(function, "plan", start_date="2026-01-28"))
    assert kept["where"] == "start_date"
    assert "--" not in json.dumps([other, future, kept])


def test_one_bad_account_is_207_and_a_refused_token_400(place: Place) -> None:
    function = place.deploy()
    ids = [*place.project.server.advertiser_ids, "7999999999999999999"]
    place.sheet.set("Advertiser IDs*", ", ".join(ids))
    answer = place.ask(function, "import")
    assert (answer.status_code, answer.json()["state"]) == (207, "partly done")
    assert answer.json()["failed"] > 0
    assert place.wrong() == []
    place.project.server.credentials.revoked.add(TOKEN)
    refused = place.ask(function, "import")
    assert refused.status_code == 400
    assert "TikTok" in error_of(refused)["message"]


def test_a_bug_is_told_with_nothing_but_its_request_id(place: Place) -> None:
    function = place.deploy(TEST_BUG=f"{TOKEN} {APP_SECRET}")
    answer = place.ask(function, "plan")
    error = error_of(answer)
    assert answer.status_code == 500
    assert "RuntimeError" not in answer.text
    until(lambda: function.logged("Traceback"))  # the line is written after the answer
    (line,) = function.logged("Traceback")
    assert (line["severity"], line["request_id"]) == ("ERROR", error["request_id"])
    assert "RuntimeError: a bug that says **** ****" in line["message"]


def test_a_rotated_token_counts_with_the_next_request(place: Place) -> None:
    function = place.deploy()
    assert place.ask(function, "check").json()["ok"] is True
    place.project.server.credentials.token = "f" * 40
    assert place.ask(function, "check").json()["ok"] is False
    (place.secrets / "acme" / "token").write_text("f" * 40 + "\n", encoding="utf-8")
    assert place.ask(function, "check").json()["ok"] is True
    assert "f" * 40 not in "".join(heard)


def test_a_sheet_fills_no_dataset_outside_its_entry(place: Place) -> None:
    rows = config_rows(place.project, **{"Destination Dataset ID": "other-project.tiktok"})
    place.sheet.write("Config", len(rows), 0, "Destination Dataset ID")
    place.sheet.write("Config", len(rows), 1, "other-project.tiktok")
    answer = place.ask(place.deploy(), "import")
    assert answer.status_code == 400
    assert error_of(answer)["where"] == f"Config!B{len(rows) + 1}"
    assert "registry" in error_of(answer)["what_to_do"]


def test_a_spreadsheet_that_is_not_there_is_400_and_google_out_of_reach_503(place: Place) -> None:
    function = place.deploy()
    gone = place.ask(function, "import", spreadsheet_id=GONE)
    assert gone.status_code == 400
    assert GONE in error_of(gone)["where"]
    place.google.faults.rate, place.google.faults.in_a_row = 1.0, 1_000
    out_of_reach = place.ask(function, "status")
    assert (out_of_reach.status_code, out_of_reach.headers["Retry-After"]) == (503, "60")


def test_the_tab_fields_is_brought_up_to_date(place: Place) -> None:
    function = place.deploy()
    first, second = (place.ask(function, "fields").json() for _ in range(2))
    listed = {(row[1], row[2]) for row in place.sheet.values("Fields")[1:] if len(row) > 2}
    assert {("ad_report_daily", "spend"), ("videos", "duration")} <= listed
    assert first["added"] > 1000
    assert second == {"added": 0, "message": "Everything is there already."}


def test_while_one_import_runs_another_is_409_and_status_and_cancel_answer(place: Place) -> None:
    function = place.deploy()
    with Lease(place.book, "run-of-another", environment={}):
        for action in ("import", "prune"):
            place.sheet.set("Clean Up To Keep Window", 10)
            busy = place.ask(function, action)
            assert (busy.status_code, error_of(busy)["run_id"]) == (409, "run-of-another")
            assert error_of(busy)["started"][:2] == "20"
        assert place.status(function)["state"] == "idle"
        assert place.ask(function, "cancel", run_id="run-unknown").status_code == 404
        assert place.ask(function, "cancel").status_code == 200
    assert place.ask(function, "cancel").status_code == 404


def test_a_run_that_never_was_is_404_and_one_just_started_waits(place: Place) -> None:
    function = place.deploy()
    assert place.ask(function, "status", run_id="run-unknown").status_code == 404
    just = time.strftime("run-%Y%m%dT%H%M%SZ-0123abcd", time.gmtime())
    waiting = place.status(function, run_id=just)
    assert (waiting["state"], waiting["run_id"]) == ("running", just)
    assert "waiting" in waiting["message"]


def test_what_does_not_fit_into_a_request_is_continued_by_the_next(place: Place) -> None:
    function = place.deploy(OWOX_TIMEOUT_SECONDS="2")
    place.project.server.faults.latency_s = 0.8
    first = place.ask(function, "import")
    assert (first.status_code, first.json()["state"]) == (207, "stopped")
    assert "to be continued" in first.json()["message"]
    assert place.status(function)["state"] == "stopped", "without a queue nobody goes on by himself"
    place.project.server.faults.latency_s = 0.0
    assert place.ask(function, "import").json()["state"] == "done"
    assert place.wrong() == []


# --- with a queue -----------------------------------------------------------------------------------------------------


def test_a_start_answers_at_once_and_a_task_imports(place: Place) -> None:
    function = place.deploy(queued=True)
    place.project.server.faults.latency_s = 0.3
    assert place.status(function)["state"] == "idle"
    began = time.monotonic()
    answer = place.ask(function, "import")
    assert time.monotonic() - began < 2
    assert (answer.status_code, answer.json()["state"]) == (202, "started")
    run_id = answer.json()["run_id"]
    until(lambda: place.status(function, run_id=run_id)["percent"] or place.tasks()[0].gone)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(function, run_id=run_id)["state"] == "done"
    assert place.wrong() == []
    assert [t.gone for t in place.tasks()] == ["done"]


@pytest.mark.parametrize("day", ["2030-01-01", "0001-01-01"])
def test_days_that_cannot_be_are_told_before_anything_waits(place: Place, day: str) -> None:
    function = place.deploy(queued=True)
    for action in ("backfill", "plan"):
        answer = place.ask(function, action, start_date=day)
        assert (answer.status_code, error_of(answer)["where"]) == (400, "start_date")
    assert place.tasks() == []


def test_a_double_click_is_one_run_and_one_task(place: Place) -> None:
    function = place.deploy(queued=True)
    place.cloud_tasks.pause(place.queue)
    until(lambda: time.time() % 10 < 4)  # both within the same ten seconds
    answers = [place.ask(function, "import") for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].json()["run_id"] == answers[1].json()["run_id"]
    assert len(place.tasks()) == 1
    other = place.ask(function, "backfill", start_date="2026-02-01").json()["run_id"]
    assert other != answers[0].json()["run_id"]
    assert len(place.tasks()) == 2


def test_who_starts_again_after_the_end_means_another_run(place: Place) -> None:
    function = place.deploy(queued=True)
    until(lambda: time.time() % 10 < 4)
    first = place.ask(function, "import").json()["run_id"]
    until(lambda: place.status(function)["state"] == "done")
    answers: list[requests.Response] = []

    def starts() -> bool:
        """Whether it starts: for a moment after its end the first run still holds the Sheet."""
        answers.append(place.ask(function, "import"))
        return answers[-1].status_code != 409

    until(starts)
    assert answers[-1].status_code == 202
    second = answers[-1].json()["run_id"]
    assert second != first
    until(lambda: place.status(function, run_id=second)["state"] == "done")
    assert [run["run_id"] for run in place.status(function)["runs"]][:2] == [second, first]
    assert place.wrong() == []


def test_a_task_that_is_delivered_again_changes_nothing(place: Place) -> None:
    function = place.deploy(queued=True)
    place.ask(function, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    calls = place.project.server.counts["requests"]
    lines = place.sheet.messages()
    (task,) = place.tasks()
    place.cloud_tasks.deliver_again(task)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert [a.status for a in task.attempts] == [200, 200]
    assert place.project.server.counts["requests"] == calls
    assert place.sheet.messages() == lines
    assert place.wrong() == []


@pytest.mark.parametrize(("state", "runs"), [("done", False), ("cancelled", False), ("error", True), ("stopped", True)])
def test_a_task_runs_unless_its_run_has_ended_for_good(place: Place, state: str, runs: bool) -> None:
    function = place.deploy(queued=True)
    record_run(place, "run-1", state, datetime.now(UTC))
    task = {"action": "import", "spreadsheet_id": place.sheet.book, "run_id": "run-1"}
    answer = function.ask(place.issuer.token(ACCOUNT, AUDIENCE), task)
    assert (answer.status_code, answer.json()["state"]) == (200, "done" if runs else state)
    assert bool(place.project.server.counts["requests"]) is runs


@pytest.mark.parametrize("action", ["import", "backfill"])
def test_the_deadline_strikes_again_and_again_and_the_run_goes_on_to_its_end(place: Place, action: str) -> None:
    # Hours are read day by day, and once per kind of ads, eleven requests a second: too many for one part.
    objects = {"ads": ["ad_name"], "ad_report_hourly": ["spend"]}
    place.sheet = control_sheet(place.google, place.project, objects)
    function = place.deploy(queued=True, OWOX_TIMEOUT_SECONDS="5", rate=11)
    days = {"start_date": START.isoformat()} if action == "backfill" else {}
    run_id = place.ask(function, action, **days).json()["run_id"]
    states = set()
    while place.queue.waiting:
        states.add(place.status(function, run_id=run_id)["state"])
        time.sleep(0.2)
    assert "running" in states
    assert "stopped" not in states, "between two parts it is running as well"
    parts = place.tasks()
    assert len(parts) >= 2
    assert all(t.gone == "done" for t in parts)
    assert {json.loads(t.body)["run_id"] for t in parts} == {run_id}
    assert all("done" not in json.loads(t.body) for t in parts), "what was read is in the store, and in no request"
    assert list(open_store(f"sqlite://{place.secrets.parent}/store.db", {}).names("parts/")) == []
    status = place.status(function, run_id=run_id)
    assert (status["state"], [r["run_id"] for r in status["runs"]]) == ("done", [run_id])
    # What is reported at the end is about all parts.
    stored = {name: len(sheet_rows(place.google, place.sheet.book, STREAMS[name])) for name in objects}
    if action == "backfill":
        assert {o["object"]: o["rows"] for o in status["objects"]} == {"ad_report_hourly": stored["ad_report_hourly"]}
        assert f"{stored['ad_report_hourly']:,} rows stored" in status["message"]
    assert all(o["percent"] == 100 for o in status["objects"])
    assert status["runs"][0]["rows"] >= sum(stored.values())
    objects.pop("ads" if action == "backfill" else "", None)
    assert place.wrong(*objects) == []
    # Nothing was read twice but what was under way when the time was over.
    windows = 2 * 33 + (2 if action == "import" else 0)
    planned = [int(line["message"].split()[3]) for line in function.logged("the plan has")]
    assert len(planned) == len(parts)
    assert planned[0] == windows > planned[-1]
    under_way = 2 * 22  # two for each of the readers that eleven requests a second take
    kinds = 2  # of ads, each asked for by itself
    assert place.project.server.counts["requests"] < kinds * (windows + under_way * (len(parts) - 1)) + 2 * len(parts)


def test_a_part_that_is_delivered_again_has_one_successor(place: Place) -> None:
    place.sheet = control_sheet(place.google, place.project, {"ad_report_hourly": ["spend"]})
    function = place.deploy(queued=True, OWOX_TIMEOUT_SECONDS="5", rate=11)
    again: list[tasks.Task] = []

    def deliver_twice(task: tasks.Task) -> None:
        if len(place.queue.tasks) == 2 and not again:  # the second part is about to begin: the first comes once more
            again.append(place.tasks()[0])
            place.cloud_tasks.deliver_again(again[0])

    place.cloud_tasks.on_dispatch = deliver_twice
    place.ask(function, "import")
    assert place.cloud_tasks.wait_idle(place.queue, 120)
    assert len(again[0].attempts) >= 2
    assert all(t.gone == "done" for t in place.tasks())
    assert place.status(function)["state"] == "done"
    assert place.wrong("ad_report_hourly") == []


def test_a_part_that_gets_nowhere_is_tried_again_and_not_for_ever(place: Place) -> None:
    place.queue.max_attempts = 2
    function = place.deploy(queued=True, OWOX_TIMEOUT_SECONDS="0.1")
    place.project.server.faults.latency_s = 1.8
    place.ask(function, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    (task,) = place.tasks()
    assert (task.gone, {a.status for a in task.attempts}) == ("given up", {503})


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_instance_that_is_ended_mid_run_is_continued_by_another(place: Place, how: signal.Signals) -> None:
    for_sheets = place.deploy(queued=True, OWOX_ROLE="sheets", port=free_port(), worker=(worker := Function({})))
    first = place.deploy(queued=True, OWOX_ROLE="worker", port=worker.port)
    place.project.server.faults.latency_s = 0.4
    place.ask(for_sheets, "import")
    until(lambda: place.project.server.counts["requests"] > 4)
    first.stop(how)
    if how is signal.SIGTERM:
        assert first.logged("continues in another task"), first.output
        assert len(place.tasks()) == 2
    place.project.server.faults.latency_s = 0.0
    second = place.deploy(queued=True, OWOX_ROLE="worker", port=worker.port)
    assert place.cloud_tasks.wait_idle(place.queue, 60)
    assert place.status(for_sheets)["state"] == "done"
    assert place.wrong() == []
    assert second.logged("Done in")


def test_a_run_waits_for_another_and_is_left_out_only_where_that_reads_the_same(place: Place) -> None:
    function = place.deploy(queued=True)
    place.google.faults.clock_ahead_s = -5.0  # the order of runs does not follow from two clocks
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "import").json()["run_id"]
    place.ask(function, "backfill", start_date="2026-02-27")
    same = f"run-20260301T120000Z-{run_id[-8:]}"
    for other, ended in (("run-of-another", ["waiting", "waiting"]), (same, ["busy", "waiting"])):
        bodies = [json.loads(t.body) for t in place.tasks()[:2]]
        with Lease(place.book, other, environment={}):
            answers = [function.ask(place.issuer.token(ACCOUNT, AUDIENCE), body) for body in bodies]
        assert [(a.status_code, a.json()["state"]) for a in answers] == [(200, state) for state in ended]
    # Those that wait have used up no attempt, and come again by themselves.
    assert all(t.due - time.monotonic() > 30 for t in place.tasks()[2:])
    for task in place.tasks()[2:]:
        task.due = 0.0
    place.cloud_tasks.pause(place.queue, False)
    assert place.cloud_tasks.wait_idle(place.queue)
    left_out = place.status(function, run_id=run_id)
    assert (left_out["state"], "reads the same" in left_out["message"]) == ("cancelled", True)
    assert place.status(function)["state"] == "done", "the backfill came after it"


def test_a_run_that_another_one_came_before_is_listed_once(place: Place) -> None:
    function = place.deploy(queued=True)
    record_run(place, "run-1", "stopped", datetime.now(UTC))
    ours = place.issuer.token(ACCOUNT, AUDIENCE)
    for run_id in ("run-2", "run-1"):
        body = {"action": "import", "spreadsheet_id": place.sheet.book, "run_id": run_id}
        assert function.ask(ours, body).json()["state"] == "done"
    assert [r["run_id"] for r in place.status(function)["runs"]] == ["run-1", "run-2"]


def test_a_schedule_starts_while_another_run_is_on_and_waits_for_its_turn(place: Place) -> None:
    worker = place.deploy(queued=True, OWOX_ROLE="worker")
    place.cloud_tasks.pause(place.queue)
    body = {"action": "import", "spreadsheet_id": place.sheet.book}
    with Lease(place.book, "run-of-another", environment={}):
        assert worker.ask(place.issuer.token(ACCOUNT, AUDIENCE), body).status_code == 202
    assert len(place.tasks()) == 1


def test_a_run_that_is_cancelled_in_the_queue_ends_between_windows(place: Place) -> None:
    function = place.deploy(queued=True)
    place.project.server.faults.latency_s = 1.0
    run_id = place.ask(function, "import").json()["run_id"]
    until(lambda: place.status(function)["state"] == "running" and place.status(function)["percent"] >= 0)
    until(lambda: place.ask(function, "cancel", run_id=run_id).status_code == 200)
    place.project.server.faults.latency_s = 0.0
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(function)["state"] in ("cancelled", "done")
    assert len(place.tasks()) == 1


@pytest.mark.parametrize("named", [True, False])
def test_a_run_can_be_cancelled_between_two_parts(place: Place, named: bool) -> None:
    place.sheet = control_sheet(place.google, place.project, {"ad_report_hourly": ["spend"]})
    function = place.deploy(queued=True, OWOX_TIMEOUT_SECONDS="5", rate=11)

    def pause_after_the_first(task: tasks.Task) -> None:
        place.cloud_tasks.pause(place.queue)

    place.cloud_tasks.on_dispatch = pause_after_the_first
    run_id = place.ask(function, "import").json()["run_id"]
    until(lambda: len(place.tasks()) == 2 and place.tasks()[0].gone)
    assert place.status(function)["state"] == "running"
    assert place.ask(function, "cancel", run_id="run-unknown").status_code == 404
    assert place.ask(function, "cancel", **({"run_id": run_id} if named else {})).status_code == 200
    place.cloud_tasks.on_dispatch = None
    place.cloud_tasks.pause(place.queue, False)
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(function)["state"] == "cancelled"
    assert len(place.tasks()) == 2
    assert place.ask(function, "cancel", run_id=run_id).status_code == 404


def test_a_run_can_be_cancelled_before_it_begins(place: Place) -> None:
    function = place.deploy(queued=True)
    place.cloud_tasks.pause(place.queue)
    run_id = place.ask(function, "backfill", start_date=START.isoformat()).json()["run_id"]
    assert place.ask(function, "cancel", run_id=run_id).status_code == 200
    # Another run comes before it, and is not the one that is meant.
    ours = place.issuer.token(ACCOUNT, AUDIENCE)
    body = {"action": "import", "spreadsheet_id": place.sheet.book, "run_id": "run-of-another"}
    assert function.ask(ours, body).json()["state"] == "done"
    place.cloud_tasks.pause(place.queue, False)
    assert place.cloud_tasks.wait_idle(place.queue)
    status = place.status(function, run_id=run_id)
    assert (status["state"], status["run_id"]) == ("cancelled", run_id)


def test_mistakes_that_a_person_must_mend_do_not_come_again_and_stand_in_the_sheet(place: Place) -> None:
    function = place.deploy(queued=True)
    place.sheet.set("Start Date*", "soon")
    assert place.ask(function, "import").status_code == 202
    assert place.cloud_tasks.wait_idle(place.queue)
    (task,) = place.tasks()
    assert [a.status for a in task.attempts] == [200]
    assert place.sheet.status.startswith("Error: Config!B")


def test_max_run_timeout_counts_all_parts_of_a_run(place: Place) -> None:
    function = place.deploy(queued=True)
    place.sheet.set("Max Run Timeout", 2)
    place.project.server.faults.latency_s = 1.2
    record_run(place, "run-1", "stopped", datetime.now(UTC) - timedelta(minutes=3))
    task = {"action": "import", "spreadsheet_id": place.sheet.book, "run_id": "run-1"}
    answer = function.ask(place.issuer.token(ACCOUNT, AUDIENCE), task)
    assert (answer.status_code, answer.json()["state"]) == (200, "stopped")
    assert "out of time" in answer.json()["message"]
    assert place.status(function)["state"] == "stopped"
    assert place.tasks() == [], "the run has ended, and the next one goes on there"


# --- the two deployments ----------------------------------------------------------------------------------------------


def test_the_door_runs_nothing_and_the_worker_answers_nobody_but_imports(place: Place) -> None:
    worker_port = free_port()
    worker = place.deploy(queued=True, OWOX_ROLE="worker", port=worker_port)
    for_sheets = place.deploy(queued=True, OWOX_ROLE="sheets", worker=worker)
    task = {"action": "import", "spreadsheet_id": place.sheet.book, "run_id": "run-1"}
    ours = place.issuer.token(ACCOUNT, AUDIENCE)
    assert for_sheets.ask(ours, task).status_code == 400
    for body in (task, {**task, "run_id": ""}, {"action": "sweep"}):
        assert worker.ask(place.issuer.token(ANNA, AUDIENCE), body).status_code == 403
    assert worker.ask(place.issuer.token(EVE, AUDIENCE), task).status_code == 403
    assert worker.ask(ours, {**task, "spreadsheet_id": "1" + "z" * 43}).status_code == 403
    for action in ("status", "plan", "cancel"):
        assert place.ask(worker, action).status_code == place.ask(worker, action, ACCOUNT).status_code == 403
    # A schedule calls the worker without a run: that makes a task.
    scheduled = worker.ask(ours, {"action": "import", "spreadsheet_id": place.sheet.book})
    assert scheduled.status_code == 202
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.wrong() == []


def test_a_task_counts_only_with_the_signature_of_the_service(place: Place) -> None:
    key = "planted-key-" + "5" * 32
    function = place.deploy(queued=True, OWOX_TASK_KEY=key)
    task = {"action": "import", "spreadsheet_id": place.sheet.book, "run_id": "run-1"}
    ours = place.issuer.token(ACCOUNT, AUDIENCE)
    asked = place.project.server.counts["requests"]
    for shown in (
        "",
        "0" * 64,
        signature(Secret(key), b"another body"),
        signature(Secret("x" * 32), json.dumps(task).encode()),
    ):
        assert function.ask(ours, task, **{SIGNATURE_HEADER: shown}).status_code == 403
    assert place.project.server.counts["requests"] == asked
    assert place.ask(function, "import").status_code == 202
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.wrong() == []
    assert {line["severity"] for line in function.logged("without our signature")} == {"CRITICAL"}
    assert key not in function.output


def test_a_platform_that_strips_signatures_is_believed_only_where_it_admits_nobody_else(place: Place) -> None:
    place.cloud_tasks.strip = True
    platform = {"OWOX_ROLE": "worker", "K_SERVICE": "worker"}
    worker = place.deploy(queued=True, OWOX_PLATFORM_ADMITS="yes", more=platform)
    for_sheets = place.deploy(queued=True, OWOX_ROLE="sheets", worker=worker)
    assert place.ask(for_sheets, "import").status_code == 202
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.wrong() == []

    forged = without_signature(place.issuer.token(ACCOUNT, AUDIENCE))
    body = {"action": "import", "spreadsheet_id": place.sheet.book}
    theirs = {"Authorization": f"Bearer {forged}"}
    assert worker.ask(None, body, **theirs, **{"X-Serverless-Authorization": "Bearer x"}).status_code == 401
    assert for_sheets.ask(None, body, **theirs).status_code == 401
    # With a signature it must be a good one, and what it says counts.
    assert worker.ask(place.issuer.token(EVE, AUDIENCE), body).status_code == 403
    plain = place.deploy(queued=True, more=platform)
    assert plain.ask(None, body, **theirs).status_code == 401


def test_cloud_tasks_that_does_not_answer_is_503(place: Place) -> None:
    function = place.deploy(queued=True, CLOUD_TASKS_API_URL="http://127.0.0.1:9")
    answer = place.ask(function, "import")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    wrong = place.deploy(queued=True, OWOX_TASKS_QUEUE="projects/p/locations/r/queues/other")
    assert place.ask(wrong, "import").status_code == 500


# --- very many accounts -----------------------------------------------------------------------------------------------


def test_with_very_many_accounts_a_plan_and_a_check_ask_some_and_answer_in_time(tmp_path: Path) -> None:
    world = World(seed=1, advertisers=300, campaigns=1, ad_groups=1, ads=1, as_of=NOW, start=NOW.date() - timedelta(5))
    with serve(world) as source, serve_sheets() as google:
        source.faults.latency_s = 0.05
        sheet = control_sheet(google, Project(tmp_path, source), {"ads": ["ad_name"], "ad_report_daily": ["spend"]})
        said = {"SHEETS_API_URL": google.url, "TIKTOK_API_URL": source.url, "TIKTOK_ACCESS_TOKEN": source.token}
        said["TIKTOK_REQUESTS_PER_SECOND"] = "40"
        with app.open_sheet(sheet.book, environment=said) as control:
            settings = control.read(NOW).settings
        whole = [(p.object, p.advertiser.id) for p in app.plan(settings, now=NOW, environment=said, until=0.0)]
        assert len(whole) == len(set(whole)) == 2 * 300
        began = time.monotonic()
        planned = app.plan(settings, now=NOW, environment=said, until=began + 2)
        asked = [p for p in planned if not p.sampled]
        assert 2 < len(asked) < 400
        assert {p.object for p in asked} == {"ads", "ad_report_daily"}
        ads = {p.rows for p in planned if p.object == "ads"}
        assert ads == {1}, "every account has one ad, those that were not asked too"
        checked = app.check(settings, now=NOW, environment=said, until=time.monotonic() + 2)
        assert time.monotonic() - began < 15
        lines = {c.what: c.detail for c in app.folded(checked)}
        assert "300 ad accounts" in lines
        assert re.fullmatch(r"tried with \d+ of 300 accounts, for want of time", lines["ads"])
        assert len(lines) < 10
