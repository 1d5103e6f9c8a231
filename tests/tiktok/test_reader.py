"""Answers that the emulator never gives, served over real HTTP as they stand: what reading makes of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from owox_tiktok.errors import Unavailable
from owox_tiktok.model import Advertiser, Window
from owox_tiktok.retry import Pace
from owox_tiktok.secret import Secret
from owox_tiktok.spool import read
from owox_tiktok.streams import STREAMS
from owox_tiktok.tiktok.client import TikTok
from owox_tiktok.tiktok.questions import Question
from owox_tiktok.tiktok.reader import Source

CALIFORNIA = Advertiser("1", "One", "USD", ZoneInfo("America/Los_Angeles"))
HOURLY = STREAMS["campaign_report_hourly"]
FIELDS = ("spend", "impressions", "ctr")


def answer(rows: list[dict[str, Any]], **page_info: int) -> dict[str, Any]:
    counts = {"page": 1, "page_size": 1000, "total_number": len(rows), "total_page": 1, **page_info}
    return {"code": 0, "message": "OK", "request_id": "r", "data": {"list": rows, "page_info": counts}}


def hour(number: int, spend: str = "1.50", day: int = 1) -> dict[str, Any]:
    dimensions = {"campaign_id": "9", "stat_time_hour": f"2026-11-{day:02} {number:02}:00:00"}
    return {"dimensions": dimensions, "metrics": {"spend": spend, "impressions": "10", "ctr": "1.2"}}


@contextmanager
def source(*bodies: object) -> Iterator[Source]:
    """A source whose TikTok gives these bodies one after the other, the last one again and again."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = left.pop(0) if len(left) > 1 else left[0]
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Source(TikTok(f"http://127.0.0.1:{server.server_port}/", Secret("t"), Pace(1000)), sandbox=True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_hour_that_the_clock_gives_twice_is_added_up(tmp_path: Path) -> None:
    the_day = Window(date(2026, 11, 1), date(2026, 11, 1))
    with source(answer([hour(0), hour(1, "1.25"), hour(1, "2.00"), hour(2)])) as it:
        question = Question(HOURLY, CALIFORNIA, the_day, FIELDS)
        reading = it.read(question, tmp_path / "rows")
    assert reading.rows == 3
    assert "set back" in reading.notes[0]
    rows = {r["stat_time_hour"]: r for r in read(tmp_path / "rows", question.columns)}
    twice = rows[datetime(2026, 11, 1, 1)]
    assert (twice["spend"], twice["impressions"], twice["ctr"]) == (Decimal("3.25"), 20, None)
    assert rows[datetime(2026, 11, 1, 2)]["ctr"] == Decimal("1.2")


def test_an_hour_twice_on_any_other_day_is_not_believed(tmp_path: Path) -> None:
    another = Window(date(2026, 11, 2), date(2026, 11, 2))
    with (
        source(answer([hour(0, day=2), hour(1, day=2), hour(1, day=2)])) as it,
        pytest.raises(Unavailable, match="2 different rows"),
    ):
        it.read(Question(HOURLY, CALIFORNIA, another, FIELDS), tmp_path / "rows")


def test_a_paged_answer_without_its_counts_is_not_taken_for_no_rows(tmp_path: Path) -> None:
    a_day = Window(date(2026, 11, 2), date(2026, 11, 2))
    nothing = {"code": 0, "message": "OK", "data": {}}
    with source(nothing) as it, pytest.raises(Unavailable, match="without a count"):
        it.read(Question(HOURLY, CALIFORNIA, a_day, FIELDS), tmp_path / "rows")
    with source(nothing, answer([hour(0, day=2)])) as it:
        assert it.read(Question(HOURLY, CALIFORNIA, a_day, FIELDS), tmp_path / "rows").rows == 1


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "data": None},
        {"code": 0, "data": {"list": None, "page_info": None}},
        {"code": 0, "data": {"list": [{"dimensions": 7}]}},
        b'{"code": 0, "data": {"list": [{"dimensions": {"campaign_id": "\xff"}, "metrics": {}}]}}',
    ],
)
def test_an_answer_that_makes_no_sense_is_asked_for_again(body: object, tmp_path: Path) -> None:
    a_day = Window(date(2026, 11, 2), date(2026, 11, 2))
    with source(body, answer([hour(0, day=2), hour(1, day=2)])) as it:
        assert it.read(Question(HOURLY, CALIFORNIA, a_day, FIELDS), tmp_path / "rows").rows == 2


def test_a_list_that_names_an_entity_twice_is_stored_once(tmp_path: Path) -> None:
    images = STREAMS["images"]
    rows = [{"image_id": "a", "file_name": "x"}, {"image_id": "b"}, {"image_id": "a", "file_name": "x"}]
    with source(answer(rows)) as it:
        question = Question(images, CALIFORNIA, None, ("file_name",))
        reading = it.read(question, tmp_path / "rows")
    stored = [r["image_id"] for r in read(tmp_path / "rows", question.columns)]
    assert sorted(stored) == ["a", "b"]
    assert "counts 3" in reading.notes[0]
