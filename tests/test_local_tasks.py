"""The emulators of Google's sign-in and of Cloud Tasks, over real HTTP and with google-auth as their judge."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from owox_tiktok.local.http import Answer, Call, Emulator, in_json
from owox_tiktok.local.identity import Issuer, without_signature
from owox_tiktok.local.tasks import Queue, Server
from tests.helpers import process_environment

ACCOUNT = "tasks@project.iam.gserviceaccount.com"


class Worker(Emulator):
    """What the tasks are posted to: remembers calls, and answers what the test sets, 200 in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.at_once = self.most_at_once = 0
        self.takes_s = 0.0
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(call)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            status = self.statuses.pop(0) if self.statuses else 200
        time.sleep(self.takes_s)
        with self._lock:
            self.at_once -= 1
        return Answer(status, headers=self.headers)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as started:
        yield started


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Server]:
    with Server(issuer) as started:
        yield started


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as started:
        yield started


def create(server: Server, queue: Queue, url: str, name: str = "", **task: Any) -> requests.Response:
    request = {
        "url": url,
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "body": base64.b64encode(b'{"n": 1}').decode(),
        "oidcToken": {"serviceAccountEmail": ACCOUNT, "audience": url},
    }
    said = {"httpRequest": request, **({"name": f"{queue.name}/tasks/{name}"} if name else {}), **task}
    return requests.post(f"{server.url}/v2/{queue.name}/tasks", json={"task": said}, timeout=5)


def claims(issuer: Issuer, token: str, audience: str) -> dict[str, Any]:
    found = id_token.verify_token(token, Request(), audience=audience, certs_url=issuer.certs_url)
    return dict(found)


def test_a_token_is_what_google_auth_accepts_and_says_what_was_asked(issuer: Issuer) -> None:
    said = claims(issuer, issuer.token("anna@example.com", "here"), "here")
    assert (said["email"], said["email_verified"], said["hd"], said["iss"]) == (
        "anna@example.com",
        True,
        "example.com",
        "https://accounts.google.com",
    )
    assert "hd" not in claims(issuer, issuer.token("anna@gmail.com", "here"), "here")


@pytest.mark.parametrize("broken", ["tampered", "stripped", "expired", "elsewhere"])
def test_google_auth_refuses_a_token_that_is(issuer: Issuer, broken: str) -> None:
    good = issuer.token("anna@example.com", "here")
    head, _, signature = good.rpartition(".")
    payload = base64.urlsafe_b64encode(json.dumps({"email": "eve@example.com"}).encode()).decode().rstrip("=")
    token = {
        "tampered": f"{head.partition('.')[0]}.{payload}.{signature}",
        "stripped": without_signature(good),
        "expired": issuer.token("anna@example.com", "here", seconds=-60),
        "elsewhere": issuer.token("anna@example.com", "there"),
    }[broken]
    with pytest.raises(ValueError, match=r"(?s)."):
        claims(issuer, token, "here")


def test_tokens_of_an_old_key_stay_good_after_a_rotation(issuer: Issuer) -> None:
    old = issuer.token("anna@example.com", "here")
    issuer.rotate()
    assert (
        claims(issuer, old, "here")["email"]
        == claims(issuer, issuer.token("anna@example.com", "here"), "here")["email"]
    )


def test_another_process_gets_its_token_over_http(issuer: Issuer) -> None:
    answer = requests.post(f"{issuer.url}/token", json={"email": "anna@example.com", "audience": "here"}, timeout=5)
    assert claims(issuer, answer.json()["id_token"], "here")["email"] == "anna@example.com"
    assert requests.post(f"{issuer.url}/token", json=["anna"], timeout=5).status_code == 400


def test_a_task_arrives_with_its_body_its_headers_and_a_signed_token(
    server: Server, worker: Worker, issuer: Issuer
) -> None:
    queue = server.add()
    assert create(server, queue, worker.url, "first").status_code == 200
    assert server.wait_idle(queue, 10)
    (call,) = worker.calls
    assert json.loads(call.body) == {"n": 1}
    assert call.headers["x-cloudtasks-taskname"] == "first"
    assert call.headers["x-cloudtasks-taskretrycount"] == "0"
    assert call.headers["content-type"] == "application/json"
    assert claims(issuer, call.headers["authorization"].removeprefix("Bearer "), worker.url)["email"] == ACCOUNT


def test_a_name_is_good_for_one_task_also_after_it_is_done(server: Server, worker: Worker) -> None:
    queue = server.add()
    assert create(server, queue, worker.url, "once").status_code == 200
    assert server.wait_idle(queue, 10)
    again = create(server, queue, worker.url, "once")
    assert (again.status_code, again.json()["error"]["status"]) == (409, "ALREADY_EXISTS")
    assert len(worker.calls) == 1


def test_what_fails_is_tried_again_with_a_growing_wait_and_given_up_in_the_end(server: Server, worker: Worker) -> None:
    queue = server.add(min_backoff_s=0.05, max_backoff_s=1, max_attempts=4)
    worker.statuses = [500, 503, 429, 500]
    create(server, queue, worker.url, "failing")
    assert server.wait_idle(queue, 10)
    (task,) = queue.tasks.values()
    assert (task.gone, [a.status for a in task.attempts]) == ("given up", [500, 503, 429, 500])
    waits = [later.began - earlier.ended for earlier, later in pairwise(task.attempts)]
    assert waits[0] >= 0.05
    assert waits[1] >= 0.1
    assert waits[2] >= 0.2


def test_waits_grow_as_cloud_tasks_documents_them() -> None:
    queue = Queue("q", min_backoff_s=10, max_backoff_s=300, max_doublings=3)
    assert [queue.backoff_s(n) for n in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


def test_retry_after_is_heeded(server: Server, worker: Worker) -> None:
    queue = server.add(min_backoff_s=0.01, max_backoff_s=5)
    worker.statuses, worker.headers = [503], {"Retry-After": "1"}
    create(server, queue, worker.url)
    assert server.wait_idle(queue, 10)
    (task,) = queue.tasks.values()
    assert task.attempts[1].began - task.attempts[0].ended >= 1


def test_no_more_calls_at_once_and_per_second_than_permitted(server: Server, worker: Worker) -> None:
    queue = server.add(max_concurrent_dispatches=2, max_dispatches_per_second=20)
    worker.takes_s = 0.15
    began = time.monotonic()
    for number in range(6):
        create(server, queue, worker.url, f"n{number}")
    assert server.wait_idle(queue, 10)
    assert worker.most_at_once == 2
    assert time.monotonic() - began >= 3 * 0.15
    starts = sorted(t.attempts[0].began for t in queue.tasks.values())
    # A loaded machine may make one late and so bring two together, but never one before its time.
    assert all(start - began >= n * 0.045 for n, start in enumerate(starts))


def test_a_paused_queue_waits_and_can_be_listed(server: Server, worker: Worker) -> None:
    queue = server.add()
    address = f"{server.url}/v2/{queue.name}"
    assert requests.post(f"{address}:pause", timeout=5).json()["state"] == "PAUSED"
    create(server, queue, worker.url, "later")
    listed = requests.get(f"{address}/tasks", timeout=5).json()["tasks"]
    assert [t["name"].rpartition("/")[2] for t in listed] == ["later"]
    assert "authorization" not in json.dumps(listed).lower()
    assert not worker.calls
    requests.post(f"{address}:resume", timeout=5)
    assert server.wait_idle(queue, 10)
    assert len(worker.calls) == 1
    assert requests.get(f"{address}/tasks", timeout=5).json()["tasks"] == []


def test_a_scheduled_task_waits_for_its_time_and_a_deleted_one_for_ever(server: Server, worker: Worker) -> None:
    queue = server.add()
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    began = time.monotonic()
    create(server, queue, worker.url, "soon", scheduleTime=soon)
    create(server, queue, worker.url, "never", scheduleTime=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert requests.delete(f"{server.url}/v2/{queue.name}/tasks/never", timeout=5).status_code == 200
    assert server.wait_idle(queue, 10)
    assert time.monotonic() - began >= 0.45
    assert [c.headers["x-cloudtasks-taskname"] for c in worker.calls] == ["soon"]


def test_a_call_without_an_answer_counts_as_failed(server: Server, worker: Worker) -> None:
    queue = server.add(min_backoff_s=0.01, max_attempts=2)
    worker.close()
    create(server, queue, worker.url)
    assert server.wait_idle(queue, 10)
    (task,) = queue.tasks.values()
    assert [a.status for a in task.attempts] == [0, 0]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"dispatchDeadline": "3600s"}, 400),
        ({"dispatchDeadline": "soon"}, 400),
        ({"name": "projects/other/locations/x/queues/y/tasks/z"}, 400),
        ({"name": "projects/local/locations/local/queues/imports/tasks/a b"}, 400),
        ({"httpRequest": {"url": "ftp://example.com"}}, 400),
        ({"httpRequest": {"url": "https://example.com", "body": "not base64!"}}, 400),
        ({"httpRequest": {"url": "https://example.com", "verb": "POST"}}, 400),
        ({"priority": 1}, 400),
        ({"scheduleTime": "tomorrow"}, 400),
    ],
)
def test_what_cloud_tasks_would_not_take_is_refused(server: Server, change: dict[str, Any], status: int) -> None:
    queue = server.add()
    assert create(server, queue, "https://example.com", **change).status_code == status
    assert not queue.tasks


def test_a_queue_that_is_not_there_is_not_made_up(server: Server) -> None:
    missing = Queue("projects/local/locations/local/queues/other")
    assert create(server, missing, "https://example.com").status_code == 404


def test_a_platform_that_strips_signatures_can_be_had(issuer: Issuer, worker: Worker) -> None:
    with Server(issuer, strip=True) as server:
        queue = server.add()
        create(server, queue, worker.url)
        assert server.wait_idle(queue, 10)
    assert worker.calls[0].headers["authorization"].endswith(".SIGNATURE_REMOVED_BY_GOOGLE")


def test_an_emulator_answers_json_with_headers() -> None:
    class Echo(Emulator):
        def answer(self, call: Call) -> Answer:
            return in_json({"path": call.path, "query": dict(call.query)}, cache_control="no-store")

    with Echo() as echo:
        answer = requests.get(f"{echo.url}/a%20b?c=d", timeout=5)
    assert answer.json() == {"path": "/a b", "query": {"c": "d"}}
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_command_line_serves_both(worker: Worker) -> None:
    words = [sys.executable, "-m", "owox_tiktok", "local", "tasks", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=process_environment({})) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(3))
        printed = dict(re.findall(r"(\w+)=(\S+)", said))
        request = {"url": worker.url, "oidcToken": {"serviceAccountEmail": ACCOUNT, "audience": "here"}}
        address = f"{printed['CLOUD_TASKS_API_URL']}/v2/{printed['OWOX_TASKS_QUEUE']}/tasks"
        assert requests.post(address, json={"task": {"httpRequest": request}}, timeout=5).status_code == 200
        until = time.monotonic() + 10
        while not worker.calls and time.monotonic() < until:
            time.sleep(0.02)
        token = worker.calls[0].headers["authorization"].removeprefix("Bearer ")
        found = id_token.verify_token(token, Request(), audience="here", certs_url=printed["OWOX_CERTS_URL"])
        assert found["email"] == ACCOUNT
        process.terminate()
        assert process.wait(10) == 0
