"""What the sidebar's picker asks: what there is to choose from, how much it is, and the writing of the choice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from owox_tiktok import app
from owox_tiktok.events import duration, rows_of
from owox_tiktok.model import Stream
from owox_tiktok.service.asked import in_a_cell
from owox_tiktok.service.messages import Answer
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.sheets import setup, template
from owox_tiktok.sheets.cells import text_cell
from owox_tiktok.sheets.lease import Lease
from owox_tiktok.streams import MAX_METRICS, STREAMS, expand
from owox_tiktok.titles import CATEGORIES, category, title

HOURS_WITH_RESULTS = 14
"""Of a day, for an estimate of hourly reports: ads rarely run at night."""
PARTS: Mapping[str, int] = {
    "": 1, "country": 2, "age_gender": 14, "platform": 3, "province": 20, "dma": 60, "language": 6, "connection": 4,
    "placement": 2, "contextual_tag": 20, "interest": 25, "interest_tier2": 100, "interest_tier3": 150,
    "interest_tier4": 150, "device_brand": 15, "search_term": 30, "search_keyword": 20, "additional_interest": 30,
    "behavior": 50, "hashtag": 20, "audience_tag": 10, "purchase_intention": 15, "ad_type": 2, "custom_event": 3,
    "event_source": 2, "page": 2, "component": 4, "post": 2, "skan_postback": 3, "image": 2, "bucket": 3,
}  # fmt: skip
"""Into so many rows a split makes of one, for an estimate; assumed, since TikTok counts them only by reading."""
CELLS_PER_SECOND = 8_000
"""So many a Sheet takes, for an estimate."""


def choices(sheet: Sheet) -> Answer:
    """Return everything that can be chosen, and what is ticked in Fields."""
    with sheet.open() as control:
        chosen = setup.ticked(control.book)
    ticked: dict[str, list[str]] = {}
    for name, words in chosen.items():
        ticked[name] = [n for n in _expanded(STREAMS[name], words) if n not in STREAMS[name].keys]
    return Answer(200, {**_catalogue(), "ticked": ticked})


def _expanded(stream: Stream, words: Iterable[str]) -> list[str]:
    """Return the fields that are meant by fields and presets, each once."""
    return list(dict.fromkeys(f for word in words for f in expand(stream, word) or ()))


def _about(count: int) -> int:
    """Return a count as exact as an estimate is: 93,871 is about 94,000."""
    return round(count, -max(0, len(str(count)) - 2)) if count > 1000 else count


def _large(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 950_000 else f"{count:,}"


def choose(sheet: Sheet) -> Answer:
    """Tick in Fields what was chosen."""
    choice = sheet.asked.choice
    with sheet.open() as control, Lease(control.book, environment=sheet.environment):
        done = setup.choose(control.book, choice)
    return Answer(200, {"changed": bool(done), "message": setup.sentence(done) if done else "Nothing has changed."})


def measure(sheet: Sheet, now: datetime) -> Answer:
    """Return how many rows and requests each object would be from Start Date on: counted by TikTok, or assumed."""
    with sheet.open() as control:
        settings = control.read(now, app.MEASURED).settings
        chosen = setup.ticked(control.book)
    found = app.measure(settings, now=now, environment=sheet.environment)
    rows = {name: _rows(stream, found) for name, stream in STREAMS.items()}
    columns = {n: len(s.columns(_expanded(s, chosen[n]))) for n in chosen if (s := STREAMS[n])}
    cells = sum((rows[n][0] or 0) * width for n, width in columns.items())
    calls = sum(_requests(STREAMS[n], rows[n][0] or 0, found) * math.ceil(w / MAX_METRICS) for n, w in columns.items())
    seconds = calls / settings.requests_per_second + cells / CELLS_PER_SECOND
    if chosen:
        total = sum(rows[n][0] or 0 for n in chosen)
        with sheet.open() as control:
            setup.say_what_is_ahead(
                control.book,
                f"about {rows_of(_about(total))}, {_large(_about(cells))} cells, {duration(max(seconds, 10))}",
            )
    kept = min(found.days, settings.clean_up_to_keep_window or found.days)
    source = f"from {settings.start_date:%-d %b %Y} on; {found.accounts} ad account{'s' if found.accounts != 1 else ''}"
    if found.sampled < found.accounts:
        source += f", {found.sampled} of them measured"
    return Answer(
        200,
        {
            "objects": {
                name: {"rows": count, "requests": _requests(STREAMS[name], count or 0, found), "assumed": assumed}
                for name, (count, assumed) in rows.items()
            },
            "accounts": found.accounts,
            "days": kept,
            "requests_per_second": settings.requests_per_second,
            "cells_per_second": CELLS_PER_SECOND,
            "source": f"Counted by TikTok {source}.",
        },
    )


def accounts(sheet: Sheet, now: datetime) -> Answer:
    """Return the ad accounts that the authorisation covers, with their names, and which of them Config has."""
    with sheet.open() as control:
        settings, ids = control.read_for_accounts(now)
    found = app.accounts(settings, environment=sheet.environment)
    every = ids == ("all",)
    return Answer(
        200,
        {
            "accounts": [
                {
                    "id": a.id,
                    "name": a.name,
                    "currency": a.currency,
                    "zone": str(a.zone),
                    "chosen": every or a.id in ids,
                }
                for a in found
            ],
            "all": every,
            "complete": not settings.advertiser_ids,
        },
    )


def fill(sheet: Sheet, now: datetime) -> Answer:
    """Fill in Config what was picked in the menu: ad accounts, with their names in a note, and the schedule."""
    ids, schedule = sheet.asked.advertiser_ids, sheet.asked.schedule
    with sheet.open() as control:
        if ids:
            settings, _ = control.read_for_accounts(now)
            known = {
                a.id: a
                for a in app.accounts(replace(settings, advertiser_ids=tuple(ids)), environment=sheet.environment)
            }
            note = "\n".join(f"{known[one].name} ({known[one].currency}), {one}" for one in ids if one in known)
            setup.fill_in(control.book, "advertiser_ids", in_a_cell(ids), str(text_cell(note) or ""))
        if schedule:
            setup.fill_in(control.book, template.row_name(template.SCHEDULE), schedule)
    return Answer(200, {"message": "Config is filled in."})


def _rows(stream: Stream, found: app.Measured) -> tuple[int | None, bool]:
    """Return about how many rows an object has, and whether more than a count of TikTok's went into it."""
    if stream.name in found.rows:
        return found.rows[stream.name], False
    if not stream.is_report:
        return (found.accounts, False) if stream.name in ("advertisers", "advertiser_ids") else (None, True)
    assert stream.level is not None
    daily = found.rows.get(f"{stream.level}_report_daily")
    living = found.accounts if stream.level == "advertiser" else found.rows.get(f"{stream.level}s")
    base = daily if stream.time else living if daily is None or living is None else min(daily, living)
    if base is None:
        return None, True
    hours = HOURS_WITH_RESULTS if stream.time == "stat_time_hour" else 1
    return base * hours * PARTS.get(_breakdown(stream), 1), True


def _requests(stream: Stream, rows: int, found: app.Measured) -> int:
    """Return how many requests read an object, for each hundred metrics."""
    windows = math.ceil(found.days / stream.max_days) if stream.max_days else 1
    return max(found.accounts * windows, math.ceil(rows / (stream.page_size or 1_000)))


def _breakdown(stream: Stream) -> str:
    return stream.report.split if stream.report else ""


_LEVELS = {"advertiser": "Account", "campaign": "Campaign", "ad_group": "Ad group", "ad": "Ad"}
_TIMES = {"stat_time_day": "by day", "stat_time_hour": "by hour", "week": "by week", "month": "by month"}


def _called(stream: Stream) -> dict[str, str]:
    """Return the group an object stands in, and how it is called there."""
    if not stream.is_report or stream.level is None:
        return {"group": "Lists", "title": stream.title, "level": "", "split": "", "time": ""}
    level, time = _LEVELS[stream.level], _TIMES.get(stream.period or str(stream.time), "lifetime")
    words = stream.report.split_words if stream.report else ""
    group = "Audiences" if stream.report_type == "AUDIENCE" else "Reports"
    named = f"{level} {time}" + (f", {words}" if words else "")
    return {"group": group, "title": named, "level": level, "split": words[:1].upper() + words[1:], "time": time}


@cache
def _catalogue() -> dict[str, Any]:
    """Return all objects and fields. A field is said once; objects name theirs by number."""
    numbers: dict[tuple[str, ...], int] = {}
    fields: list[list[str]] = []
    objects = []
    for stream in STREAMS.values():
        theirs = []
        for one in stream.fields.values():
            if one.name in stream.keys:
                continue
            about = f"{one.description}{f' ({one.unit})' if one.unit else ''}"
            key = one.name, about, category(one.name, one.group, of_report=stream.is_report)
            if key not in numbers:
                numbers[key] = len(fields)
                fields.append([one.name, title(one.name), about, key[2]])
            theirs.append(numbers[key])
        known = {fields[n][0]: n for n in theirs}
        objects.append(
            {
                "name": stream.name,
                **_called(stream),
                "about": stream.description,
                "keys": [title(k) for k in stream.keys],
                "money": "currency" in stream.fields,
                "fields": theirs,
                "usual": [known[n] for n in template.usual(stream) if n in known],
                "presets": {
                    p: [known[n] for n in expand(stream, p) or () if n in known] for p in template.presets(stream)
                },
            }
        )
    return {
        "objects": objects,
        "fields": fields,
        "categories": CATEGORIES,
        "metrics_per_request": MAX_METRICS,
        "most_cells": 10_000_000,
    }
