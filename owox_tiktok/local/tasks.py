"""Cloud Tasks on this machine: tasks are created over the REST API (v2) and dispatched by real HTTP calls.

As strict as Cloud Tasks where the product could go wrong: a queue must exist, a name is good for one task only (also
after it is done), unknown fields are refused, an answer other than 2xx is tried again with a growing wait, a call that
takes longer than its deadline counts as failed although its worker may still be at it, no more calls run at a time, or
start in a second, than the queue permits. Each call carries a signed identity token, made by ``identity.Issuer``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from owox_tiktok.local.http import Answer, Call, Emulator, in_json
from owox_tiktok.local.identity import Issuer, without_signature

Json = dict[str, Any]

_QUEUE = r"projects/[^/]+/locations/[^/]+/queues/[A-Za-z0-9-]{1,100}"
_STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "UNIMPLEMENTED": 501}
_TASK = {"name", "scheduleTime", "dispatchDeadline", "httpRequest"}
_REQUEST = {"url", "httpMethod", "headers", "body", "oidcToken"}
_MOST_BYTES = 100_000


class _Refused(Exception):
    def __init__(self, status: str, message: str) -> None:
        self.status, self.message = status, message


@dataclass(frozen=True)
class Attempt:
    """One dispatch: when it began and ended (seconds of ``time.monotonic``), and the answer's status, 0 for none."""

    began: float
    ended: float
    status: int


@dataclass
class Task:
    """One task. ``due`` is a moment of ``time.monotonic``; ``gone`` says why it is not tried any more."""

    name: str
    url: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    email: str
    audience: str
    deadline_s: float
    due: float
    attempts: list[Attempt] = field(default_factory=list)
    running: bool = False
    gone: str = ""

    @property
    def id(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    def as_json(self) -> Json:
        """The task as the API shows it."""
        request: Json = {"url": self.url, "httpMethod": self.method, "headers": dict(self.headers)}
        if self.email:
            request["oidcToken"] = {"serviceAccountEmail": self.email, "audience": self.audience}
        return {
            "name": self.name,
            "dispatchDeadline": f"{self.deadline_s:g}s",
            "dispatchCount": len(self.attempts),
            "httpRequest": request,
        }


@dataclass
class Queue:
    """One queue: how many calls at a time and per second, how often and after which waits a task is tried again."""

    name: str
    max_concurrent_dispatches: int = 1
    max_dispatches_per_second: float = 500.0
    max_attempts: int = 10
    min_backoff_s: float = 10.0
    max_backoff_s: float = 300.0
    max_doublings: int = 3
    paused: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)
    next_start: float = 0.0

    def backoff_s(self, failures: int) -> float:
        """Return the wait after so many failed attempts: doubled so many times, then growing evenly."""
        doublings = min(failures - 1, self.max_doublings)
        wait = self.min_backoff_s * 2.0**doublings * max(1, failures - self.max_doublings)
        return min(self.max_backoff_s, wait)

    @property
    def waiting(self) -> list[Task]:
        """Tasks that are neither done nor given up."""
        return [t for t in self.tasks.values() if not t.gone]


class Server(Emulator):
    """A serving emulator. ``queues`` are there from the beginning; more come by :meth:`add`.

    ``strip`` takes the signature off every token, as the platform in front of a function may. ``on_dispatch`` is called
    with the task before each call, in its thread: the place for what goes wrong at such a moment.
    """

    def __init__(self, issuer: Issuer, *, port: int = 0, strip: bool = False) -> None:
        super().__init__(port)
        self.issuer = issuer
        self.strip = strip
        self.queues: dict[str, Queue] = {}
        self.on_dispatch: Callable[[Task], None] | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._dispatcher = threading.Thread(target=self._dispatch, daemon=True)

    # --- from inside --------------------------------------------------------------------------------------------------

    def add(self, name: str = "projects/local/locations/local/queues/imports", **settings: Any) -> Queue:
        """Make a queue."""
        with self._changed:
            self.queues[name] = Queue(name, **settings)
            return self.queues[name]

    def pause(self, queue: Queue, paused: bool = True) -> None:
        """Dispatch nothing from this queue, or go on."""
        with self._changed:
            queue.paused = paused
            self._changed.notify_all()

    def deliver_again(self, task: Task) -> None:
        """Deliver a task once more although it is done: delivery is promised at least once, not exactly once."""
        with self._changed:
            task.gone, task.due = "", time.monotonic()
            self._changed.notify_all()

    def wait_idle(self, queue: Queue, timeout_s: float = 60.0) -> bool:
        """Wait until no task of the queue is waiting or running; return whether that came about."""
        with self._changed:
            return self._changed.wait_for(lambda: not queue.waiting, timeout_s)

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> Server:
        """Begin to serve and to dispatch."""
        super().start()
        self._dispatcher.start()
        return self

    def close(self) -> None:
        """Stop dispatching and serving; calls under way are left alone."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._dispatcher.ident is not None:
            self._dispatcher.join()
        super().close()

    def _dispatch(self) -> None:
        with self._changed:
            while not self._closing:
                now, wait = time.monotonic(), 60.0
                for queue in self.queues.values():
                    running = sum(t.running for t in queue.tasks.values())
                    for task in sorted(queue.waiting, key=lambda t: t.due):
                        if task.running or queue.paused or running >= queue.max_concurrent_dispatches:
                            continue
                        due = max(task.due, queue.next_start)
                        if due > now:
                            wait = min(wait, due - now)
                            continue
                        queue.next_start = now + 1 / queue.max_dispatches_per_second
                        task.running, running = True, running + 1
                        threading.Thread(target=self._call, args=(queue, task), daemon=True).start()
                self._changed.wait(wait)

    def _call(self, queue: Queue, task: Task) -> None:
        if self.on_dispatch is not None:
            self.on_dispatch(task)
        headers = {
            **task.headers,
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": queue.name.rpartition("/")[2],
            "X-CloudTasks-TaskName": task.id,
            "X-CloudTasks-TaskRetryCount": str(len(task.attempts)),
            "X-CloudTasks-TaskExecutionCount": str(sum(a.status != 0 for a in task.attempts)),
            "X-CloudTasks-TaskETA": str(time.time()),
        }
        if task.email:
            token = self.issuer.token(task.email, task.audience)
            headers["Authorization"] = f"Bearer {without_signature(token) if self.strip else token}"
        began, status, retry_after = time.monotonic(), 0, 0.0
        try:
            answer = requests.request(
                task.method, task.url, headers=headers, data=task.body, timeout=(10.0, task.deadline_s)
            )
            status = answer.status_code
            after = answer.headers.get("Retry-After", "")
            # An emulator for tests cannot wait for minutes: what was asked for is held within the queue's own bounds.
            retry_after = min(float(after), queue.max_backoff_s) if after.isdigit() else 0.0
        except requests.RequestException:
            pass
        with self._changed:
            ended = time.monotonic()
            task.attempts.append(Attempt(began, ended, status))
            task.running = False
            if 200 <= status < 300:
                task.gone = "done"
            elif len(task.attempts) >= queue.max_attempts > 0:
                task.gone = "given up"
            else:
                task.due = ended + max(queue.backoff_s(len(task.attempts)), retry_after)
            self._changed.notify_all()

    # --- the API ------------------------------------------------------------------------------------------------------

    def answer(self, call: Call) -> Answer:
        """Answer one call of the REST API."""
        try:
            return in_json(self._api(call))
        except _Refused as no:
            code = _STATUS[no.status]
            return in_json({"error": {"code": code, "message": no.message, "status": no.status}}, code)

    def _api(self, call: Call) -> Json:
        found = re.fullmatch(rf"/v2/({_QUEUE})(?:(/tasks)(?:/([^/:]+))?)?(?::(pause|resume))?", call.path)
        if found is None:
            raise _Refused("UNIMPLEMENTED", f"The emulator does not know {call.method} {call.path}.")
        name, tasks, task_id, verb = found.groups()
        queue = self.queues.get(name)
        if queue is None:
            raise _Refused("NOT_FOUND", "Requested entity was not found. Queue does not exist.")
        match call.method, bool(tasks), task_id, verb:
            case "GET", False, None, None:
                return {"name": queue.name, "state": "PAUSED" if queue.paused else "RUNNING"}
            case "POST", False, None, ("pause" | "resume"):
                self.pause(queue, verb == "pause")
                return {"name": queue.name, "state": "PAUSED" if queue.paused else "RUNNING"}
            case "GET", True, None, None:
                with self._changed:
                    return {"tasks": [t.as_json() for t in queue.waiting]}
            case "POST", True, None, None:
                return self._create(queue, call.body)
            case (("GET" | "DELETE"), True, str(), None):
                with self._changed:
                    task = queue.tasks.get(f"{queue.name}/tasks/{task_id}")
                    if task is None or task.gone:
                        raise _Refused("NOT_FOUND", "Requested entity was not found. Task does not exist.")
                    if call.method == "DELETE":
                        task.gone = "deleted"
                        self._changed.notify_all()
                        return {}
                    return task.as_json()
        raise _Refused("UNIMPLEMENTED", f"The emulator does not know {call.method} {call.path}.")

    def _create(self, queue: Queue, body: bytes) -> Json:
        task = _read(queue, body)
        with self._changed:
            if task.name in queue.tasks:
                raise _Refused(
                    "ALREADY_EXISTS",
                    "The task cannot be created because a task with this name existed too recently. For more "
                    "information about task de-duplication see "
                    "https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks/create",
                )
            queue.tasks[task.name] = task
            self._changed.notify_all()
        return task.as_json()


def _read(queue: Queue, body: bytes) -> Task:
    if len(body) > _MOST_BYTES:
        raise _Refused("INVALID_ARGUMENT", "Task size too large")
    try:
        given = json.loads(body)
        task = given["task"]
        request = task["httpRequest"]
        url = str(request["url"])
    except (ValueError, KeyError, TypeError):
        raise _Refused("INVALID_ARGUMENT", "Request contains an invalid argument.") from None
    for what, known in ((given, {"task", "responseView"}), (task, _TASK), (request, _REQUEST)):
        if unknown := what.keys() - known:
            raise _Refused("INVALID_ARGUMENT", f'Invalid JSON payload received. Unknown name "{min(unknown)}".')
    name = task.get("name") or f"{queue.name}/tasks/{secrets.randbelow(10**18):018d}"
    if not re.fullmatch(rf"{re.escape(queue.name)}/tasks/[A-Za-z0-9_-]{{1,500}}", name):
        raise _Refused("INVALID_ARGUMENT", "Task.name must be of the queue and have a valid id.")
    if not re.match(r"https?://", url) or len(url) > 2083:
        raise _Refused("INVALID_ARGUMENT", "HttpRequest.url must start with 'http://' or 'https://'.")
    deadline = re.fullmatch(r"(\d+(?:\.\d+)?)s", task.get("dispatchDeadline", "600s"))
    if deadline is None or not 15 <= float(deadline[1]) <= 1800:
        raise _Refused("INVALID_ARGUMENT", "Task.dispatchDeadline must be between [15s, 30m].")
    due = time.monotonic()
    if "scheduleTime" in task:
        try:
            due += (datetime.fromisoformat(task["scheduleTime"]) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            raise _Refused("INVALID_ARGUMENT", "Task.scheduleTime is not a timestamp.") from None
    try:
        content = base64.b64decode(request.get("body", ""), validate=True)
    except binascii.Error:
        raise _Refused("INVALID_ARGUMENT", "HttpRequest.body is not base64.") from None
    oidc = request.get("oidcToken", {})
    if oidc and not re.fullmatch(r"[^@\s]+@[^@\s]+", str(oidc.get("serviceAccountEmail"))):
        raise _Refused("INVALID_ARGUMENT", "HttpRequest.oidcToken.serviceAccountEmail is required.")
    return Task(
        name=name,
        url=url,
        method=request.get("httpMethod", "POST"),
        headers=request.get("headers", {}),
        body=content,
        email=oidc.get("serviceAccountEmail", ""),
        audience=oidc.get("audience") or url,
        deadline_s=float(deadline[1]),
        due=due,
    )
