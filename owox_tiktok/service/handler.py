"""One request: who asks, what, whether they may, and the answer. Never anything but JSON, never a traceback."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from owox_tiktok import __version__
from owox_tiktok.errors import BadInput, Mistake, Problem
from owox_tiktok.service import logs, messages
from owox_tiktok.service.actions import Actions
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.deployment import read as read_deployment
from owox_tiktok.service.identity import Caller, Identity
from owox_tiktok.service.messages import Answer, Asked, Refusal
from owox_tiktok.service.registry import Entry, Registry, forbidden

if TYPE_CHECKING:
    from flask import Request, Response

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
        from flask import Response

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
            raise _not_set_up()
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
    """A service whose environment could be read."""

    def __init__(self, deployment: Deployment, environment: Mapping[str, str], now: Callable[[], datetime]) -> None:
        self.deployment = deployment
        self._identity = Identity(deployment)
        self._registry = Registry(deployment, environment)
        self._actions = Actions(deployment, environment, self._registry, now)

    def answer(self, request: Request, log: logs.Log) -> Answer:
        """Answer a POST to the function."""
        if (request.content_length or 0) > messages.MOST_BYTES:
            raise _too_large()
        caller = self._identity.caller(request.headers)
        body = request.stream.read(messages.MOST_BYTES + 1)
        if len(body) > messages.MOST_BYTES:
            raise _too_large()
        asked, spreadsheet_id, mistakes = messages.read(body)
        # Whoever may not see this spreadsheet learns nothing about the rest of the request either.
        entry = self._entry(spreadsheet_id, caller, log) if spreadsheet_id else None
        if asked is None or entry is None:
            raise BadInput(mistakes)
        self._check_role(asked, entry, caller)
        log = log.about(caller=caller.email, action=asked.action, spreadsheet_id=asked.spreadsheet_id)
        return self._actions.answer(asked, entry, log, request.headers.get(TASK_HEADER, ""))

    def _entry(self, spreadsheet_id: str, caller: Caller, log: logs.Log) -> Entry:
        try:
            return self._registry.entry(spreadsheet_id, caller)
        except BadInput as problem:
            log.critical("%s", problem.sentence)
            raise _not_set_up() from None

    def _check_role(self, asked: Asked, entry: Entry, caller: Caller) -> None:
        """Refuse what this deployment is not for. Only our own tasks run an import that has a run id already."""
        starts = asked.action in ("import", "backfill")
        if not starts and not entry.admits(caller):
            raise forbidden(caller)  # the account of tasks and schedules imports, and nothing else
        if self.deployment.role == "worker" and not starts:
            raise BadInput(
                [Mistake("action", f"{asked.action} is not for the worker", "Send it to the service that Sheets call.")]
            )
        ours = self.deployment.role != "sheets" and caller.email == self.deployment.account
        said = [name for name in ("run_id", "done") if getattr(asked, name)]
        if (starts or asked.done) and said and not ours:
            raise BadInput([Mistake(name, "is given by the service itself", "Omit it.") for name in said])


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _not_allowed(method: str) -> Refusal:
    what_to_do = f"Send a {method} request."
    return Refusal(405, f"only {method} is answered here", what_to_do=what_to_do, headers={"Allow": method})


def _too_large() -> Refusal:
    return Refusal(413, f"the body is larger than {messages.MOST_BYTES} bytes", what_to_do="Send less.")


def _not_set_up() -> Refusal:
    return Refusal(
        500, "the service is not set up rightly", what_to_do="Whoever deployed it will find what to fix in its log."
    )
