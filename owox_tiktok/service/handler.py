"""One request: who asks, what, whether they may, and the answer. JSON, or a page, and never a traceback."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from flask import Request, Response
from werkzeug.exceptions import ClientDisconnected

from owox_tiktok import __version__
from owox_tiktok.errors import BadInput, Problem
from owox_tiktok.service import logs, messages
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.deployment import read as read_deployment
from owox_tiktok.service.messages import Answer, Refusal
from owox_tiktok.service.stopping import Stopping

if TYPE_CHECKING:
    from owox_tiktok.service.connect import Connecting
    from owox_tiktok.service.desk import Desk
    from owox_tiktok.service.identity import Identity

_OF_PAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
TASK_HEADER = "X-CloudTasks-TaskName"


class Service:
    """The function. One per process; safe for threads. ``now`` is the clock that decides which days there are.

    ``body_s``: so long a body may take to arrive.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        body_s: float = messages.BODY_S,
    ) -> None:
        logs.set_up()
        self._deployed: _Deployed | BadInput
        try:
            self._deployed = _Deployed(read_deployment(environment), environment, now, body_s)
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
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **answer.headers}
        if isinstance(answer.body, str):
            headers = {**_OF_PAGE, **headers}
            return Response(answer.body, answer.status, headers, content_type="text/html; charset=utf-8")
        body = msgspec.json.encode(answer.body)
        return Response(body, answer.status, headers, content_type="application/json; charset=utf-8")

    def _answer(self, request: Request, log: logs.Log) -> Answer:
        if isinstance(self._deployed, BadInput):
            log.critical("%s", self._deployed.sentence)
            raise messages.not_set_up()
        if request.path == "/health":
            if request.method not in ("GET", "HEAD"):
                raise _not_allowed("GET")
            return Answer(200, {"ok": True, "version": __version__})
        if self._deployed.deployment.role == "connect":
            return self._deployed.connect(request, log)
        if request.path == "/fleet":
            if request.method != "GET":
                raise _not_allowed("GET")
            return self._deployed.fleet(request, log)
        if request.path != "/":
            raise Refusal(404, "there is nothing at this address", what_to_do="Send requests to /.")
        if request.method != "POST":
            raise _not_allowed("POST")
        return self._deployed.answer(request, log)


class _Deployed:
    """A service whose environment could be read. What a request needs is loaded with the first that needs it."""

    def __init__(
        self, deployment: Deployment, environment: Mapping[str, str], now: Callable[[], datetime], body_s: float
    ) -> None:
        self.deployment, self._body_s = deployment, body_s
        self._environment, self._now = environment, now
        self._stopping = Stopping()
        self._lock = threading.Lock()
        self._identity: Identity | None = None
        self._desk: Desk | None = None
        self._pages: Connecting | None = None

    def answer(self, request: Request, log: logs.Log) -> Answer:
        """Answer a POST to the function."""
        if (request.content_length or 0) > messages.MOST_BYTES:
            raise _too_large()
        caller = self._known_by().caller(request.headers)
        body = _body(request, self._body_s)
        headers = request.headers
        return self._served_at().answer(
            body, caller, log, headers.get(TASK_HEADER, ""), headers.get("X-Owox-Signature", "")
        )

    def connect(self, request: Request, log: logs.Log) -> Answer:
        """Answer the browser of somebody who connects TikTok: with pages alone, and nothing else."""
        from owox_tiktok.service.connect import problem_page

        if request.method != "GET" or request.path not in ("/connect", "/connected"):
            raise Refusal(404, "there is nothing at this address", what_to_do="Begin in the Sheet.")
        pages = self._connecting()
        try:
            if request.path == "/connect":
                return pages.begin(request.args)
            return pages.end(request.args, request.cookies, log)
        except Problem as problem:
            answer = messages.of_problem(problem, "")
            log.warning("%s", problem.sentence, facts={"status": answer.status})
            return Answer(answer.status, problem_page(problem))

    def _connecting(self) -> Connecting:
        from owox_tiktok.central.store import open_store
        from owox_tiktok.service.connect import Connecting
        from owox_tiktok.service.registry import Registry

        with self._lock:
            if self._pages is None:
                registry = Registry(self.deployment, self._environment)
                store = open_store(self.deployment.store, self._environment)
                self._pages = Connecting(self.deployment, self._environment, registry, store)
            return self._pages

    def fleet(self, request: Request, log: logs.Log) -> Answer:
        """Show all Sheets to an operator, as a page or, where that is asked for, as JSON."""
        from owox_tiktok.service.identity import GCLOUD

        caller = self._known_by().caller(request.headers, also=GCLOUD)
        as_json = "application/json" in request.headers.get("Accept", "")
        return self._served_at().fleet(caller, log, as_json=as_json)

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


def _body(request: Request, within_s: float) -> bytes:
    """Return the body of a request; a Refusal where it is too large, or does not come in time.

    A server reads it from the connection while we wait for it, and whoever sends a byte now and then would keep one of
    few threads for minutes. So the connection is closed for reading when the time is over.
    """
    environ = request.environ
    connection: socket.socket | None = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            assert connection is not None
            connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(within_s, end)
    timer.daemon = True
    if connection is not None:
        timer.start()
    try:
        body = request.stream.read(messages.MOST_BYTES + 1)
    except (ClientDisconnected, OSError):
        late.set()
        body = b""
    finally:
        timer.cancel()
    if late.is_set():
        what = f"the body did not come within {within_s:g} seconds"
        raise Refusal(408, what, what_to_do="Send it again, at once.")
    if len(body) > messages.MOST_BYTES:
        raise _too_large()
    return body


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _not_allowed(method: str) -> Refusal:
    what_to_do = f"Send a {method} request."
    return Refusal(405, f"only {method} is answered here", what_to_do=what_to_do, headers={"Allow": method})


def _too_large() -> Refusal:
    what_to_do = "Send less; of ad accounts 2,500 at most, or write all into Advertiser IDs."
    return Refusal(413, f"the body is larger than {messages.MOST_BYTES:,} bytes", what_to_do=what_to_do)
