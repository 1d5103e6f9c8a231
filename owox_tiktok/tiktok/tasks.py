"""Asynchronous reports: a task is created, TikTok works on it, and its file is read. TikTok does not cut these.

They are for what no other request gives whole, since they answer differently: only the days that are over are right,
countries and ages come as words for people, some metrics are missing, and Promote ads are in them unless the request
says otherwise. TikTok enables them for each app (code 40118 where it has not).
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from owox_tiktok.errors import RequestRefused, Senseless, Unavailable
from owox_tiktok.tiktok.client import Answer, TikTok, of
from owox_tiktok.tiktok.kinds import TOP_VIEW
from owox_tiktok.tiktok.pages import Page
from owox_tiktok.tiktok.questions import Series

CREATE, CHECK, DOWNLOAD = "report/task/create/", "report/task/check/", "report/task/download/"
FIRST_LOOK_S, LONGEST_LOOK_S, DONE_WITHIN_S = 2.0, 30.0, 1200.0
"""How long to wait before a task is looked at again, at first and at most, and for how long in all."""
NOT_ENABLED = 40118


class _Created(msgspec.Struct):
    task_id: str | int


class _State(msgspec.Struct):
    status: str
    message: str | None = None


class Answered(NamedTuple):
    """A task's rows, and the names that such tasks do not give."""

    page: Page
    without: frozenset[str]


def cannot(series: Series) -> str:
    """Return why no task can answer a series, as the end of a sentence; empty when one can."""
    question, stream = series.question, series.question.stream
    if stream.report_type != "BASIC" or set(stream.dimensions[1:]) - {"stat_time_day", "stat_time_hour"}:
        return "asynchronous reports name countries and groups of people in words instead of codes"
    if question.window is None or question.today is None or question.window.last >= question.today:
        return "asynchronous reports are right only for days that are over"
    if series.kind is TOP_VIEW:
        return "asynchronous reports cannot be asked for TopView ads"
    if stream.hides_deleted and not question.with_deleted:
        return "asynchronous reports cannot leave out what was deleted"
    return ""


def run(api: TikTok, series: Series) -> Answered:
    """Return what a task answers; raises RequestRefused when TikTok refuses it, Unavailable when it fails."""
    advertiser_id = series.question.advertiser.id
    names = tuple(n for n in series.names if n != "billed_cost" and not n.startswith("native_growth_"))
    created = api.post(CREATE, _wish(series, names), take=of(_Created), advertiser_id=advertiser_id)
    params = {"advertiser_id": advertiser_id, "task_id": str(created.task_id)}
    _wait(api, params)
    page = api.get(DOWNLOAD, params, take=lambda answer: _page(answer, series), advertiser_id=advertiser_id, text=True)
    return Answered(page, frozenset(series.names) - set(names))


def _wish(series: Series, names: tuple[str, ...]) -> Mapping[str, Any]:
    """Return what the task is asked for: the series without its pages, with the titles of columns as they are."""
    asked = series.parameters()
    # A task takes no filter by status: it leaves nothing out. Promote ads are left out only when that is said.
    by_ids = [f for f in asked.pop("filtering", ()) if f["field_name"] == series.part.parameter]
    origins = msgspec.json.encode(["PROMOTE" if series.kind.hidden else "TT_ADS_PLATFORM"]).decode()
    by_origin = {"field_name": "campaign_system_origins", "filter_type": "IN", "filter_value": origins}
    for name in ("page", "page_size"):
        asked.pop(name, None)
    return {
        **asked,
        "metrics": list(names) or ["spend"],
        "filtering": [*by_ids, by_origin],
        "output_format": "CSV_STRING",
        "enable_report_title_translation": False,
    }


def _wait(api: TikTok, params: Mapping[str, str]) -> None:
    """Return when the task is done."""
    wait, until = FIRST_LOOK_S, time.monotonic() + DONE_WITHIN_S
    while True:
        state = api.data(CHECK, params, _State, advertiser_id=params["advertiser_id"])
        if state.status == "SUCCESS":
            return
        if state.status not in ("QUEUING", "PROCESSING"):
            raise Unavailable(
                f"TikTok's asynchronous report ended with {state.status[:40]}", what_to_do="The next run asks again."
            )
        if time.monotonic() > until:
            raise Unavailable(
                f"TikTok's asynchronous report was not done after {DONE_WITHIN_S / 60:.0f} minutes",
                what_to_do="The next run asks again.",
            )
        api.pause(wait)
        wait = min(1.5 * wait, LONGEST_LOOK_S)


def _page(answer: Answer, series: Series) -> Page:
    """Return a task's file as one page."""
    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
    if not rows:
        raise Senseless("a file without titles")
    titles, lines = rows[0], [line for line in rows[1:] if line]
    if any(len(line) != len(titles) for line in lines):
        raise Senseless("a file whose lines are not all as long as its titles")
    at = {title: n for n, title in enumerate(titles)}
    dimensions = series.question.stream.dimensions
    if missing := [d for d in dimensions if d not in at]:
        raise Senseless(f"a file without {missing[0]}")
    given = [n for n in (*dimensions, *series.names) if n in at]
    values = {name: [line[at[name]] for line in lines] for name in given}
    absent = frozenset(n for n in series.names if n not in at) if lines else frozenset()
    return Page(values, len(lines), None, absent)


def is_not_enabled(error: RequestRefused) -> bool:
    """Whether TikTok has not enabled asynchronous reports for the app."""
    return error.code == NOT_ENABLED
