"""One request: who asks, what, whether they may, and the answer. Never anything but JSON, never a traceback."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from flask import Request, Response

from owox_tiktok import __version__
from owox_tiktok.errors import BadInput, Problem
from owox_tiktok.service import logs, messages
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.deployment import read as read_deployment
from owox_tiktok.service.messages import Answer, Refusal
from owox_tiktok.service.stopping import Stopping

if TYPE_CHECKING:
    from owox_tiktok.service.desk import Desk
    from owox_tiktok.service.identity import Identity

TASK_HEADER = "X-CloudTasks-TaskName"


class Service:
    """The function. One per process; safe for threads. ``now`` is the clock that decides which days there are."""

    def __init__(self, environment: Mapping[str, str], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        logs.set_up()
        self._deployed: _Deployed | BadInput
        try:
            self._deployed = _Deployed(read_deployment(environment), environment, now)
        except BadInput as problem:
            self._deployed = problem

    def answer(self, request: Request) -> Response:
        """Answer one HTTP request."""
        began = time.monotonic()
        request_id = logs.trace_of(request.headers) or secrets.token_hex(16)
        project = "" if isinstance(self._deployed, BadInput) else self._deployed.deployment.project
        log = logs.of_request(request.headers, project, request_id)
        try:
            answer = self._answer(request, log)
        except Problem as problem:
            answer = messages.of_problem(problem, request_id)
            log.warning("%s", problem.sentence, facts={"status": answer.status})
        except Exception:
            log.exception("a bug ended the request")
            answer = messages.of_bug(request_id)
        log.info("%s %s", request.method, request.path[:100], facts={"status": answer.status, "seconds": _since(began)})
        return Response(
            msgspec.json.encode(answer.body),
            answer.status,
            {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **answer.headers},
            content_type="application/json; charset=utf-8",
        )

    def _answer(self, request: Request, log: logs.Log) -> Answer:
        if isinstance(self._deployed, BadInput):
            log.critical("%s", self._deployed.sentence)
            raise messages.not_set_up()
        if request.path == "/health":
            if request.method not in ("GET", "HEAD"):
                raise _not_allowed("GET")
            return Answer(200, {"ok": True, "version": __version__})
        if request.path != "/":
            raise Refusal(404, "there is nothing at this address", what_to_do="Send requests to /.")
        if request.method != "POST":
            raise _not_allowed("POST")
        return self._deployed.answer(request, log)


class _Deployed:
    """A service whose environment could be read. What a request needs is loaded with the first that needs it."""

    def __init__(self, deployment: Deployment, environment: Mapping[str, str], now: Callable[[], datetime]) -> None:
        self.deployment = deployment
        self._environment, self._now = environment, now
        self._stopping = Stopping()
        self._lock = threading.Lock()
        self._identity: Identity | None = None
        self._desk: Desk | None = None

    def answer(self, request: Request, log: logs.Log) -> Answer:
        """Answer a POST to the function."""
        if (request.content_length or 0) > messages.MOST_BYTES:
            raise _too_large()
        caller = self._known_by().caller(request.headers)
        body = request.stream.read(messages.MOST_BYTES + 1)
        if len(body) > messages.MOST_BYTES:
            raise _too_large()
        return self._served_at().answer(body, caller, log, request.headers.get(TASK_HEADER, ""))

    def _known_by(self) -> Identity:
        """Return what checks tokens; Google's libraries come with it."""
        from owox_tiktok.service.identity import Identity

        with self._lock:
            self._identity = self._identity or Identity(self.deployment)
            return self._identity

    def _served_at(self) -> Desk:
        """Return what does the work; the rest of the program comes with it, so strangers cannot have it loaded."""
        from owox_tiktok.service.desk import Desk

        with self._lock:
            self._desk = self._desk or Desk(self.deployment, self._environment, self._stopping, self._now)
            return self._desk


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _not_allowed(method: str) -> Refusal:
    what_to_do = f"Send a {method} request."
    return Refusal(405, f"only {method} is answered here", what_to_do=what_to_do, headers={"Allow": method})


def _too_large() -> Refusal:
    return Refusal(413, f"the body is larger than {messages.MOST_BYTES} bytes", what_to_do="Send less.")
