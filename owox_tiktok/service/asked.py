"""The words of the contract's requests: what the body of one may say, and every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal, get_args

import msgspec

from owox_tiktok.errors import Mistake
from owox_tiktok.names import instead, nearest
from owox_tiktok.sheets.cells import MOST_CHARACTERS
from owox_tiktok.streams import STREAMS, expand, find

Action = Literal[
    "import", "backfill", "prune", "check", "plan", "fields", "choices", "measure", "choose", "accounts", "fill",
    "schedule", "verify", "explain", "status", "cancel", "connect", "sweep",
]  # fmt: skip
ACTIONS: tuple[str, ...] = get_args(Action)
SWEEP = "sweep"
"""The one action that is about no spreadsheet in particular."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    ``done`` and ``part`` are said by our own tasks only: what earlier parts of the run have read (see ``plan``), and
    how many there were.
    """

    action: Action
    spreadsheet_id: str = ""
    start_date: date | None = None
    end_date: date | None = None
    objects: list[str] = []
    dry_run: bool = False
    run_id: str = ""
    choice: dict[str, list[str]] = {}
    advertiser_ids: list[str] | None = None
    schedule: str = ""
    metric: str = "spend"
    value: str = ""
    done: dict[str, dict[str, date]] = {}
    part: int = 0

    @property
    def days(self) -> tuple[date | None, date | None]:
        """First and last day."""
        return self.start_date, self.end_date


_SHAPES: Mapping[str, tuple[type[Any], str, str]] = {
    "action": (str, "a text", f"Use one of: {', '.join(name for name in ACTIONS if name != SWEEP)}."),
    "spreadsheet_id": (str, "a text", "Copy the id from the spreadsheet's address, between /d/ and /edit."),
    "start_date": (str, "a day", "Write one such as 2026-01-31."),
    "end_date": (str, "a day", "Write one such as 2026-01-31."),
    "objects": (list, "a list of names", 'Write one such as ["ad_report_daily"].'),
    "dry_run": (bool, "true or false", "Write true or false."),
    "run_id": (str, "a run's id", "Copy it from the answer that started the run."),
    "advertiser_ids": (list, "a list of ids", 'Write one such as ["7012345678901234567"].'),
    "schedule": (str, "a schedule", "Write Off, Hourly, Daily at 06:00 or Weekdays at 06:00, and by whom."),
    "metric": (str, "a metric that adds up", "Write one such as spend, impressions, clicks or conversion."),
    "value": (str, "a number as a text", 'Write one such as "1234.56".'),
    "choice": (dict, "fields by object", 'Write one such as {"ad_report_daily": ["spend", "clicks"]}.'),
}
_SCHEDULE = r"Off|(Hourly|(Daily|Weekdays) at ([01]\d|2[0-3]):00)( · by [^\s·]{1,100})?"
_ONLY: Mapping[str, tuple[str, ...]] = {
    "start_date": ("backfill", "plan", "explain"),
    "end_date": ("backfill", "plan"),
    "objects": ("import", "backfill", "plan", "check", "prune"),
    "dry_run": ("prune",),
    "run_id": ("import", "backfill", "status", "cancel"),
    "choice": ("choose",),
    "advertiser_ids": ("fill", "explain"),
    "schedule": ("fill", "schedule"),
    "metric": ("explain",),
    "value": ("explain",),
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
            mistakes.append(Mistake("done", str(error), "Omit it."))
    if "part" in given:
        part = given.pop("part")
        if isinstance(part, int) and 0 <= part < 1_000_000 and not isinstance(part, bool):
            values["part"] = part
        else:
            mistakes.append(Mistake("part", "is not a number of parts", "Omit it."))
    for name, value in given.items():
        shape = _SHAPES.get(name)
        if shape is None:
            near = nearest(name, _SHAPES)
            advice = f"Did you mean {near}?" if near else f"Choose from: {', '.join(_SHAPES)}."
            mistakes.append(Mistake(name[:40], "is not known here", advice))
        elif value is not None:
            wrong = _wrong(name, value)
            if wrong:
                mistakes.append(Mistake(name, wrong, shape[2]))
            else:
                values[name] = date.fromisoformat(value) if name in ("start_date", "end_date") else value
    about_all = given.get("action") == SWEEP
    for name in ("action",) if about_all else ("action", "spreadsheet_id"):
        if given.get(name) is None:
            mistakes.append(Mistake(name, "is missing", _SHAPES[name][2]))
    mistakes += [
        *_between(values),
        *_unknown_objects(values.get("objects", [])),
        *_unknown_choice(values.get("choice", {})),
    ]
    spreadsheet_id = str(values.get("spreadsheet_id", ""))
    if mistakes:
        order = list(_SHAPES)
        return None, spreadsheet_id, sorted(mistakes, key=lambda m: order.index(m.where) if m.where in order else 99)
    return Asked(**values), spreadsheet_id, []


def in_a_cell(ids: Sequence[str]) -> str:
    """Return ad accounts as a cell of Config holds them, without spaces where it would be too small for these."""
    text = ", ".join(ids)
    return text if len(text) <= MOST_CHARACTERS else ",".join(ids)


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
        case "choice" if not all(
            isinstance(fields, list) and all(isinstance(one, str) for one in fields) for fields in value.values()
        ):
            return f"should be {what}"
        case "advertiser_ids" if not value or not all(
            isinstance(one, str) and re.fullmatch(r"\d{5,25}", one) for one in value
        ):
            return f"should be {what}"
        case "schedule" if not re.fullmatch(_SCHEDULE, value):
            return f"should be {what}"
        case "metric" | "value" if len(value) > 100:
            return f"should be {what}"
        case "run_id" if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", value):
            return f"{value[:40]!r} is not a run's id"
    return ""


def _between(values: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes that only show when fields are seen together."""
    action, first, last = values.get("action"), values.get("start_date"), values.get("end_date")
    mistakes = [
        Mistake(name, f"means nothing for {action}", "Omit it.")
        for name in values
        if action and name in _ONLY and action not in _ONLY[name]
    ]
    if first and last and last < first:
        mistakes.append(Mistake("end_date", f"{last} is before start_date {first}", "Swap the two dates."))
    if last and not first:
        mistakes.append(Mistake("end_date", "needs a first day as well", "Add start_date."))
    if action == "backfill" and not first:
        mistakes.append(Mistake("start_date", "is missing, and a backfill needs it", "Give its first day."))
    if action == "explain":
        needs = (("advertiser_ids", "the account"), ("start_date", "the day"), ("value", "the number to explain"))
        mistakes += [
            Mistake(name, f"is missing, and explain needs {what}", _SHAPES[name][2])
            for name, what in needs
            if not values.get(name)
        ]
    if action == "fill" and len(in_a_cell(ids := values.get("advertiser_ids") or [])) > MOST_CHARACTERS:
        what = f"{len(ids):,} ad accounts do not fit into a cell of Config, which takes {MOST_CHARACTERS:,} characters"
        mistakes.append(Mistake("advertiser_ids", what, "Choose 2,500 at most, or write all into Advertiser IDs."))
    if action == "choose" and not values.get("choice"):
        mistakes.append(Mistake("choice", "is empty", _SHAPES["choice"][2]))
    return mistakes


def _unknown_objects(names: Sequence[str]) -> list[Mistake]:

    mistakes = []
    for name in names:
        if find(name) is None:
            advice = instead("object", name, STREAMS) or "The tab Fields lists the objects."
            mistakes.append(Mistake("objects", f"there is no object called {name[:40]!r}", advice))
    return mistakes


def _unknown_choice(choice: Mapping[str, Sequence[str]]) -> list[Mistake]:
    """Return the objects and fields that there are not; a field may be a preset."""
    mistakes = []
    for name, fields in choice.items():
        stream = STREAMS.get(name)
        if stream is None:
            advice = instead("object", name, STREAMS) or "The action choices lists the objects."
            mistakes.append(Mistake("choice", f"there is no object called {name[:40]!r}", advice))
            continue
        for one in fields:
            if expand(stream, one) is None:
                advice = instead("field", one, stream.fields) or "The action choices lists the fields."
                mistakes.append(Mistake("choice", f"{name} has no field called {one[:40]!r}", advice))
    return mistakes
