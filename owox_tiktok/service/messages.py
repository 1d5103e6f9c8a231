"""The words of the contract: what a request may say, what an answer says, and which status an error has.

Everything is JSON. An error is ``{"error": {"message", "where", "what_to_do", "request_id", "mistakes"}}`` with every
mistake of the request; nothing of a bug but its request id is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import msgspec

from owox_tiktok.errors import BadInput, Mistake, Problem, StoreBusy, StoreFailed, Unavailable

MOST_BYTES = 64 * 1024

Action = Literal["import", "backfill", "prune", "check", "plan", "fields", "status", "cancel"]
ACTIONS: tuple[str, ...] = ("import", "backfill", "prune", "check", "plan", "fields", "status", "cancel")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request. ``done`` is said by our own tasks only: what earlier parts of the run have read (see ``plan``)."""

    action: Action
    spreadsheet_id: str
    start_date: date | None = None
    end_date: date | None = None
    objects: list[str] = []
    dry_run: bool = False
    run_id: str = ""
    done: dict[str, dict[str, date]] = {}

    @property
    def days(self) -> tuple[date | None, date | None]:
        """First and last day."""
        return self.start_date, self.end_date


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, JSON body, further headers."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


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


# --- what is asked ----------------------------------------------------------------------------------------------------

_SHAPES: Mapping[str, tuple[type[Any], str, str]] = {
    "action": (str, "a text", f"Write one of: {', '.join(ACTIONS)}."),
    "spreadsheet_id": (str, "a text", "Copy the id from the spreadsheet's address, between /d/ and /edit."),
    "start_date": (str, "a day", "Write one such as 2026-01-31."),
    "end_date": (str, "a day", "Write one such as 2026-01-31."),
    "objects": (list, "a list of names", 'Write one such as ["ad_report_daily"].'),
    "dry_run": (bool, "true or false", "Write true or false."),
    "run_id": (str, "a run's id", "Copy it from the answer that started the run."),
}
_ONLY: Mapping[str, tuple[str, ...]] = {
    "start_date": ("backfill", "plan"),
    "end_date": ("backfill", "plan"),
    "objects": ("import", "backfill", "plan", "check", "prune"),
    "dry_run": ("prune",),
    "run_id": ("import", "backfill", "status", "cancel"),
}
"""The actions that know what to do with a field; anywhere else it would be ignored, so it is a mistake."""


def read(body: bytes) -> tuple[Asked | None, str, list[Mistake]]:
    """Return what a body asks (None with mistakes), its spreadsheet id where it has one, and every mistake in it."""
    try:
        given = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, "", [Mistake("body", "is not a JSON object", 'Send one such as {"action": "status", …}.')]
    mistakes: list[Mistake] = []
    values: dict[str, Any] = {}
    if "done" in given:
        try:
            values["done"] = msgspec.convert(given.pop("done"), dict[str, dict[str, date]])
        except msgspec.ValidationError as error:
            mistakes.append(Mistake("done", str(error), "Leave it out."))
    for name, value in given.items():
        shape = _SHAPES.get(name)
        if shape is None:
            from owox_tiktok.names import nearest

            near = nearest(name, _SHAPES)
            advice = f"Did you mean {near}?" if near else f"Known are: {', '.join(_SHAPES)}."
            mistakes.append(Mistake(name[:40], "is not known here", advice))
        elif value is not None:
            wrong = _wrong(name, value)
            if wrong:
                mistakes.append(Mistake(name, wrong, shape[2]))
            else:
                values[name] = date.fromisoformat(value) if name in ("start_date", "end_date") else value
    for name in ("action", "spreadsheet_id"):
        if given.get(name) is None:
            mistakes.append(Mistake(name, "is missing", _SHAPES[name][2]))
    mistakes += [*_between(values), *_unknown_objects(values.get("objects", []))]
    spreadsheet_id = str(values.get("spreadsheet_id", ""))
    if mistakes:
        order = list(_SHAPES)
        return None, spreadsheet_id, sorted(mistakes, key=lambda m: order.index(m.where) if m.where in order else 99)
    return Asked(**values), spreadsheet_id, []


def _wrong(name: str, value: Any) -> str:
    kind, what, _ = _SHAPES[name]
    if not isinstance(value, kind):
        return f"should be {what}"
    match name:
        case "action" if value not in ACTIONS:
            return f"cannot be {value[:40]!r}"
        case "spreadsheet_id" if not re.fullmatch(r"[A-Za-z0-9_-]{20,100}", value):
            return f"{value[:40]!r} is not the id of a spreadsheet"
        case "start_date" | "end_date":
            try:
                if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
                    raise ValueError
                date.fromisoformat(value)
            except ValueError:
                return f"{value[:40]!r} is not a day"
        case "objects" if not all(isinstance(item, str) and len(item) <= 100 for item in value) or len(value) > 500:
            return f"should be {what}"
        case "run_id" if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", value):
            return f"{value[:40]!r} is not a run's id"
    return ""


def _between(values: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes that only show when fields are seen together."""
    action, first, last = values.get("action"), values.get("start_date"), values.get("end_date")
    mistakes = [
        Mistake(name, f"means nothing for {action}", "Leave it out.")
        for name in values
        if action and name in _ONLY and action not in _ONLY[name]
    ]
    if first and last and last < first:
        mistakes.append(Mistake("end_date", f"{last} is before start_date {first}", "Exchange the two days."))
    if last and not first:
        mistakes.append(Mistake("end_date", "needs a first day as well", "Add start_date."))
    if action == "backfill" and not first:
        mistakes.append(Mistake("start_date", "is missing, and a backfill needs it", "Name its first day."))
    return mistakes


def _unknown_objects(names: Sequence[str]) -> list[Mistake]:
    from owox_tiktok.names import instead
    from owox_tiktok.streams import STREAMS, find

    mistakes = []
    for name in names:
        if find(name) is None:
            advice = instead("object", name, STREAMS) or "The tab Fields lists what there is."
            mistakes.append(Mistake("objects", f"there is no object called {name[:40]!r}", advice))
    return mistakes


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
    from owox_tiktok.sheets.errors import SheetRefused, TooManyCells

    return isinstance(problem, SheetRefused | TooManyCells)


def of_bug(request_id: str) -> Answer:
    """Return the answer to a request that met a bug: a sentence, and by what to find it in the log."""
    problem = Refusal(
        500,
        "something in the service went wrong",
        what_to_do=f"Try again; if it happens again, tell whoever deployed it the request id {request_id}.",
    )
    return of_problem(problem, request_id)
