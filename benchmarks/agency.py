"""An agency: 50 accounts x 20 objects into the BigQuery emulator, behind a proxy that is as slow as Google.

A load takes 3 s, a transaction 8 s, another query 1 s and a call for a table 0.3 s: ``python -m benchmarks agency``.
Two imports: of the last eight days, and the refresh an hour later. What the emulator itself takes comes on top.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from owox_tiktok.local.tiktok import Limits, World, serve
from owox_tiktok.streams import STREAMS

if TYPE_CHECKING:
    from tests.bigquery import Request

ACCOUNTS, OBJECTS, DAYS, RATE = (int(n) for n in os.environ.get("BENCH_AGENCY", "50 20 8 10").split())
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
LOAD_S, TRANSACTION_S, QUERY_S, TABLE_S = 3.0, 8.0, 1.0, 0.3
STEP_S, SIDE_BY_SIDE, MARGIN_S = 12.0, 4, 30.0
"""The bound: the longer of TikTok's time and so many seconds for each object, four at a time; and a margin."""
MOST_JOBS = 2


@dataclass
class Slow:
    """What Google's slowness does to a request; counts the jobs of each object."""

    jobs: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: Request) -> None:
        """Let a request wait. A job waits at its beginning, which is the same to who waits for its end."""
        if request.job:
            if name := request.job.get("labels", {}).get("object"):
                self.jobs[name] += 1
            time.sleep(LOAD_S if request.loads else TRANSACTION_S if "TRANSACTION" in request.sql else QUERY_S)
        elif "/tables" in request.path:
            time.sleep(TABLE_S)


def objects() -> list[str]:
    """Return the names of the objects: the lists, and reports by day; those by hour take eight times the requests."""
    lists = ["campaigns", "ad_groups", "ads"]
    return [*lists, *(s.name for s in STREAMS.values() if s.time == "stat_time_day")][:OBJECTS]


def run(say: Callable[..., None]) -> None:
    """Measure both imports and print them with ``say``."""
    from tests import bigquery as emulator
    from tests.helpers import Project

    if emulator.missing:
        print(f"agency: not measured, {emulator.missing}")
        return
    print(
        f"agency: {ACCOUNTS} accounts x {OBJECTS} objects x {DAYS} days at {RATE} requests per second; Google is slow"
    )
    world = World(
        seed=1, advertisers=ACCOUNTS, campaigns=2, ad_groups=2, ads=4, start=NOW.date() - timedelta(days=60), as_of=NOW
    )
    with serve(world, limits=Limits()) as server, tempfile.TemporaryDirectory() as name, emulator.Proxy() as proxy:
        os.environ["BIGQUERY_API_URL"] = proxy.url
        project = Project(Path(name), server)
        project.say |= {
            "objects": objects(),
            "start_date": f"{NOW.date() - timedelta(days=DAYS - 1)}",
            "requests_per_second": RATE,
            "destination": f"bigquery://{emulator.PROJECT}/d_agency",
        }
        for what in ("first import", "refresh an hour later"):
            slow = proxy.fault = Slow()
            ran = project.import_()
            done = ran.finished
            bound = max(done.requests / RATE, OBJECTS * STEP_S / SIDE_BY_SIDE) + MARGIN_S
            say(f"{what}: rows, requests", f"{sum(done.rows.values()):,} rows, {done.requests:,} requests", "")
            say(f"{what}: unchanged", f"{done.kept:,} of {done.work:,} days and lists, {done.failed} failed", "")
            limit = f"max(TikTok's {done.requests / RATE:.0f} s, {OBJECTS * STEP_S / SIDE_BY_SIDE:.0f} s) + 30 s"
            refresh = what != "first import"
            good = done.seconds <= bound if refresh else None
            say(f"{what}: wall", f"{done.seconds:.0f} s", f"{limit} = {bound:.0f} s", good)
            most = max(slow.jobs.values(), default=0)
            counted = Counter(slow.jobs.values())
            say(
                f"{what}: jobs per object",
                ", ".join(f"{n} x {jobs}" for jobs, n in sorted(counted.items())),
                f"at most {MOST_JOBS}",
                most <= MOST_JOBS if refresh else None,
            )
            world.as_of = NOW + timedelta(hours=1)
