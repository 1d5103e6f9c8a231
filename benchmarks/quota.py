"""Sheets that share one service account and its quota: 20 of them import and refresh at once, 60 calls a minute.

A minute is three seconds here, for the emulator's quota and for the program's waiting alike: ``python -m benchmarks
quota``. None may fail, and a refresh of five small objects has a bound of reads and writes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from owox_tiktok import app
from owox_tiktok.local import sheets as google
from owox_tiktok.local import tiktok
from owox_tiktok.local.sheets.api import quota_kind
from owox_tiktok.local.sheets.faults import Quota
from owox_tiktok.retry import Limits
from owox_tiktok.sheets import report
from owox_tiktok.sheets.client import LIMITS, Spreadsheet
from owox_tiktok.sheets.control import Control
from owox_tiktok.sheets.pace import PER_MINUTE_VARIABLE

SHEETS, PER_MINUTE, FASTER = 20, 60, 20
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = date(2026, 1, 15)
OBJECTS = {
    "campaigns": ("campaign_name",),
    "ad_groups": ("adgroup_name",),
    "ads": ("ad_name",),
    "campaign_report_daily": ("spend", "impressions"),
    "ad_report_daily": ("spend", "impressions", "clicks"),
}
MOST_READS, MOST_WRITES = 9, 6
"""Of a refresh of these five objects, signs of life and status included: all are stored in one step.

One of each is for what the checks with TikTok came to."""
MOST_AT_FIRST = 9, 7
"""Of their first import."""
MOST_POLL = 1


def clock() -> float:
    """Seconds, of which a real one has twenty."""
    return time.monotonic() * FASTER


FAST = replace(LIMITS, clock=clock, sleep=lambda seconds: time.sleep(seconds / FASTER))


def made(server: google.Server, advertiser_ids: list[str], objects: Mapping[str, Sequence[str]] = OBJECTS) -> str:
    """Make a control Sheet and return its id."""
    config: list[list[object]] = [["Parameter", "Value"], ["Current Status"]]
    config += [["Advertiser IDs", ", ".join(advertiser_ids)], ["Start Date", (START - date(1899, 12, 30)).days]]
    fields: list[list[object]] = [["Import", "Object", "Field"]]
    for name, chosen in objects.items():
        fields += [[True, name], *([True, name, field] for field in chosen)]
    tabs = [
        {"title": "Config", "values": config, "rows": 20, "columns": 3},
        {"title": "Fields", "values": fields, "rows": 40, "columns": 3},
        {"title": "Logs", "values": [["Time", "Level", "Object", "Advertiser", "Message"]], "rows": 2, "columns": 5},
    ]
    return server.create("Shared", tabs)


def import_all(books: list[str], now: datetime, environment: dict[str, str], limits: Limits = FAST) -> list[str]:
    """Import into all Sheets at once; return what went wrong."""
    wrong: list[str] = []

    def one(book_id: str) -> None:
        book = Spreadsheet(book_id, limits=limits, environment=environment)
        try:
            with Control(book, environment=environment) as control:
                done = app.import_sheet(control, now=now, listen=lambda _: None, environment=environment)
            if done.exit_code:
                wrong.append(done.summary)
        except Exception as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=one, args=(book,)) for book in books]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def run(say: Callable[..., None]) -> None:
    """Import and refresh alone, then with all the others."""
    print(
        f"quota: {SHEETS} Sheets of one account, {PER_MINUTE} reads and writes a minute, {len(OBJECTS)} small objects"
    )
    world = tiktok.World(seed=1, advertisers=1, campaigns=3, ad_groups=6, ads=12, as_of=NOW)
    with tiktok.serve(world) as source, google.serve() as server:
        environment = {
            "TIKTOK_API_URL": source.url,
            "TIKTOK_ACCESS_TOKEN": source.token,
            "TIKTOK_REQUESTS_PER_SECOND": "1000",
            "SHEETS_API_URL": server.url,
        }
        alone = made(server, source.advertiser_ids)
        for what, now in (("first import", NOW), ("refresh", NOW + timedelta(hours=6))):
            before = len(server.log)
            wrong = import_all([alone], now, environment, LIMITS)
            calls = server.log[before:]
            reads, writes = (sum(quota_kind(c.method, c.path) == kind for c in calls) for kind in ("Read", "Write"))
            sent, came = sum(c.request_bytes for c in calls), sum(c.response_bytes for c in calls)
            most = (MOST_READS, MOST_WRITES) if what == "refresh" else MOST_AT_FIRST
            say(
                f"{what}: reads, writes",
                f"{reads}, {writes}",
                f"{most[0]}, {most[1]}",
                not wrong and reads <= most[0] and writes <= most[1],
            )
            say(f"{what}: bytes sent, received", f"{sent:,}, {came:,}", "")
        before = len(server.log)
        report.overview(Spreadsheet(alone, environment=environment))
        polls = len(server.log) - before
        say("one look at a run by the sidebar: reads", f"{polls}", f"{MOST_POLL}", polls <= MOST_POLL)

        server.quota = Quota(PER_MINUTE, clock)
        environment[PER_MINUTE_VARIABLE] = str(PER_MINUTE)
        books = [made(server, source.advertiser_ids) for _ in range(SHEETS)]
        for what, now in (("first import", NOW), ("refresh", NOW + timedelta(hours=6))):
            refused, began = server.counts["by_status"].get("429", 0), clock()
            wrong = import_all(books, now, environment)
            minutes = (clock() - began) / 60
            refused = server.counts["by_status"].get("429", 0) - refused
            say(f"{what} of {SHEETS} at once: failed", f"{len(wrong)}", "0", not wrong)
            say(f"{what} of {SHEETS} at once: minutes, calls refused", f"{minutes:.1f}, {refused}", "")
