"""The words of the contract's answers: what an answer says, and which status an error has (see ``asked``).

Everything is JSON. An error is ``{"error": {"message", "where", "what_to_do", "request_id", "mistakes"}}`` with every
mistake of the request; of a bug only its request id is given away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from owox_tiktok.errors import BadInput, Problem, StoreBusy, StoreFailed, TokenRefused, Unavailable
from owox_tiktok.sheets.errors import SheetRefused, TooManyCells

MOST_BYTES = 64 * 1024
BODY_S = 10.0
"""So long a body may take to arrive: it is a few kilobytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, JSON body (or the text of a page), further headers."""

    status: int
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)

    def and_(self, **facts: object) -> Answer:
        """Return the same answer with more facts in its JSON body; a page takes none."""
        return self if isinstance(self.body, str) else replace(self, body={**self.body, **facts})


class Refusal(Problem):
    """A request is not served: ``status`` says why; ``more`` goes into the error's body, ``headers`` above it."""

    def __init__(
        self, status: int, message: str, *, what_to_do: str, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        self.status, self.headers, self.more = status, headers or {}, more
        super().__init__(message, what_to_do=what_to_do)


def come_again(message: str, seconds: int) -> Refusal:
    """Return that a request may succeed in some ``seconds``."""
    return Refusal(503, message, what_to_do="Try again in a while.", headers={"Retry-After": str(seconds)})


def busy(run_id: str, started: str | None) -> Refusal:
    """Return that an import is under way."""
    what_to_do = "Wait for it, or cancel it."
    return Refusal(409, "an import is running already", what_to_do=what_to_do, run_id=run_id, started=started)


def no_run(run_id: str) -> Refusal:
    """Return that there is no such run."""
    what_to_do = "Omit run_id to get the latest."
    return Refusal(404, f"there is no run {run_id} in progress or on record", what_to_do=what_to_do)


def nothing_runs() -> Refusal:
    """Return that there is no run to cancel."""
    return Refusal(404, "no import is running", what_to_do="There is nothing to cancel.")


# --- what is answered -------------------------------------------------------------------------------------------------


def of_problem(problem: Problem, request_id: str) -> Answer:
    """Return the answer to a request that ends with ``problem``."""
    mistakes = problem.mistakes if isinstance(problem, BadInput) else ()
    headers: dict[str, str] = {}
    more: Mapping[str, object] = {}
    match problem:
        case Refusal():
            status, headers, more = problem.status, {**problem.headers}, problem.more
        case StoreBusy():
            status = 409
        case Unavailable() | StoreFailed() if not _is_final(problem):
            status, headers["Retry-After"] = 503, "60"
        case _:
            status = 400
    message = " ".join(str(m) for m in mistakes) or problem.message
    if problem.request_id:
        message = f"{message.rstrip('.')}. (TikTok request {problem.request_id})"
    if isinstance(problem, TokenRefused):
        more = {**more, "remedy": "connect"}
    error = {
        "message": message,
        "where": mistakes[0].where if len(mistakes) == 1 else problem.where,
        "what_to_do": mistakes[0].what_to_do if len(mistakes) == 1 else problem.what_to_do,
        "request_id": request_id,
        "mistakes": [{"where": m.where, "what": m.what, "what_to_do": m.what_to_do} for m in mistakes],
    }
    return Answer(status, {"error": {**error, **more}}, headers)


def _is_final(problem: Problem) -> bool:
    """Whether trying again would not help: Google said no, or a person has to make room."""
    return isinstance(problem, SheetRefused | TooManyCells)


def of_bug(request_id: str) -> Answer:
    """Return the answer to a request that met a bug: a sentence, and by what to find it in the log."""
    problem = Refusal(
        500,
        "something in the service went wrong",
        what_to_do=f"Try again; if it happens again, tell whoever deployed it the request id {request_id}.",
    )
    return of_problem(problem, request_id)


def not_set_up() -> Refusal:
    """Return that the deployment is at fault, which a caller cannot help."""
    return Refusal(
        500, "the service is not set up correctly", what_to_do="Whoever deployed it will find what to fix in its log."
    )
