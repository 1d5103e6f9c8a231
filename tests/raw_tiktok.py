"""A TikTok that answers with any bytes at all, over real HTTP: what no honest emulator would send."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from owox_tiktok import app, config_file
from owox_tiktok.events import Event
from owox_tiktok.retry import Pace
from owox_tiktok.secret import Secret
from owox_tiktok.states import Reason
from owox_tiktok.tiktok.client import Bounds, TikTok
from tests.helpers import Ran

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
A_DAY = date(2026, 2, 27)
ACCOUNT = {"advertiser_id": "1", "name": "One", "currency": "USD", "timezone": "UTC", "display_timezone": "UTC"}
QUICK = Bounds(
    attempts=3, senseless=2, first_wait_s=0.001, longest_wait_s=0.001, rate_s=0, maintenance_s=0, time_out_window_s=0
)
"""No real waits, but every road is gone."""

Say = Callable[[BaseHTTPRequestHandler], None]


def envelope(data: object, code: int = 0, **more: object) -> bytes:
    return json.dumps({"code": code, "message": "OK", "request_id": "r7", "data": data, **more}).encode()


def page(*items: object, total: int | None = None) -> bytes:
    count = len(items) if total is None else total
    info = {"page": 1, "page_size": 1000, "total_number": count, "total_page": 1}
    return envelope({"list": list(items), "page_info": info})


def row(ad_id: str = "9", **metrics: object) -> dict[str, Any]:
    dimensions = {"ad_id": ad_id, "stat_time_day": f"{A_DAY} 00:00:00"}
    return {"dimensions": dimensions, "metrics": {"ad_name": "An ad", "spend": "1.50", **metrics}}


def with_body(body: bytes, status: int = 200, **headers: str) -> Say:
    def say(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return say


@dataclass
class Raw:
    """What the server answers: by the end of the path, else ``rest``; one answer after the other, the last for ever."""

    url: str
    answers: dict[str, list[Say]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, *what: bytes | Say) -> None:
        self.answers[path] = [with_body(one) if isinstance(one, bytes) else one for one in what]

    def count(self, path: str) -> int:
        return sum(path in one for one in self.asked)

    def next(self, path: str) -> Say:
        self.asked.append(path)
        name = path.partition("?")[0].strip("/")
        if name == "campaign/get" and any(kind in path for kind in ("RESERVATION_TOP_VIEW", "PROMOTE")):
            return with_body(page())  # the account has none of the ads that TikTok hides
        left = self.answers[name if name in self.answers else "rest"]
        return left.pop(0) if len(left) > 1 else left[0]

    def api(self, bounds: Bounds = QUICK, **how: Any) -> TikTok:
        return TikTok(self.url, Secret("token"), Pace(10_000), bounds=bounds, **how)

    def import_(
        self,
        folder: Path,
        *,
        bounds: Bounds = QUICK,
        halted: Callable[[], Reason | None] = lambda: None,
        listen: Callable[[Event], None] = lambda _: None,
        **more: object,
    ) -> Ran:
        """Import with a DuckDB file in ``folder``; ``more`` replaces lines of the configuration."""
        says = {
            "access_token": "${TIKTOK_ACCESS_TOKEN}",
            "advertiser_ids": ["1"],
            "start_date": f"{A_DAY}",
            "objects": ["ad_report_daily"],
            "fields": {"ad_report_daily": ["ad_name", "spend"]},
            "requests_per_second": 1000,
            "destination": f"duckdb:///{folder / 'raw.duckdb'}",
            **more,
        }
        path = folder / "raw.yaml"
        path.write_text(json.dumps({k: v for k, v in says.items() if v is not None}), encoding="utf-8")
        environment = {"TIKTOK_API_URL": self.url, "TIKTOK_ACCESS_TOKEN": "token"}
        chosen = config_file.read_file(path, now=NOW, environment=environment)
        events: list[Event] = []

        def heard(event: Event) -> None:
            events.append(event)
            listen(event)

        finished = app.import_(
            chosen,
            now=NOW,
            listen=heard,
            environment=environment,
            bounds=bounds,
            part=app.Part(halted=halted),
        )
        return Ran(finished, events)


@contextmanager
def raw_tiktok() -> Iterator[Raw]:
    """A server with one account "1", which answers what a test sets."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client went away
                raw.next(self.path)(self)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    raw = Raw(f"http://127.0.0.1:{server.server_port}/")
    raw.answer("advertiser/info", envelope({"list": [ACCOUNT]}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield raw
    finally:
        raw.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
