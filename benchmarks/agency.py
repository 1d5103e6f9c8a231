"""An agency: 50 accounts x 20 objects into the BigQuery emulator, behind a proxy that is as slow as Google.

A load takes 3 s, a transaction 8 s, another query 1 s and a call for a table 0.3 s: ``python -m benchmarks agency``.
Two imports: of the last eight days, and the refresh an hour later. What the emulator itself takes comes on top.

``python -m benchmarks steps`` asks of the loop alone how well it spends that time: the real loop with BigQuery's step,
but reading and storing only sleep, and time runs ten times as fast. So it needs no quiet machine.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from owox_tiktok.app.common import readers_for
from owox_tiktok.destinations.bigquery import BigQuery
from owox_tiktok.local.tiktok import Limits, World, serve
from owox_tiktok.model import Advertiser, Chunk, Destination, Field, Reading, Step, Stored, Stream, Window
from owox_tiktok.plan import Pair
from owox_tiktok.retry import Pace
from owox_tiktok.run import run as run_loop
from owox_tiktok.streams import STREAMS

if TYPE_CHECKING:
    from tests.bigquery import Request

ACCOUNTS, OBJECTS, DAYS, RATE = (int(n) for n in os.environ.get("BENCH_AGENCY", "50 20 8 10").split())
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
LOAD_S, TRANSACTION_S, QUERY_S, TABLE_S = 3.0, 8.0, 1.0, 0.3
STEP_S, SIDE_BY_SIDE, MARGIN_S = 12.0, 4, 30.0
"""The bound: the longer of TikTok's time and so many seconds for each object, four at a time; and a margin."""
MOST_JOBS = 2
OF_A_YEAR = 1.3
"""The first year of an hourly object takes so many times as long as TikTok alone."""
TIMES = 10.0
"""So fast does time run where nothing but the loop is measured."""
BEGINS_S = 6.0
"""Before it reads, an import asks for cursors (1 s), looks at tables (eight at a time) and makes ready for staging."""


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


# --- the loop alone ---------------------------------------------------------------------------------------------------


class Google:
    """A destination that only takes as long as BigQuery; with ``takes`` 0 it takes no time at all."""

    def __init__(self, takes: float = 1.0) -> None:
        self.step = BigQuery.step if takes else Step()
        self.step = replace(self.step, linger_s=self.step.linger_s / TIMES)
        self.steps: Counter[str] = Counter()
        self._takes = takes
        self._lock = threading.Lock()

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Tables are ready: ``BEGINS_S``."""

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Take as long as a table made, a load, a transaction and a table deleted."""
        with self._lock:
            self.steps[chunks[0].stream.name] += 1
        time.sleep(self._takes * (TABLE_S + LOAD_S + TRANSACTION_S + TABLE_S) / TIMES)
        return [Stored(chunk.rows, 0) for chunk in chunks]

    upsert = replace


def steps(say: Callable[..., None]) -> None:
    """Measure the loop alone and print it with ``say``.

    TikTok's time is that of the same loop with a destination that takes none, so that other work on the machine delays
    both.
    """
    print(
        f"steps: the loop alone at {RATE} requests per second, {TIMES:g} times as fast; reading and storing only sleep"
    )
    last = NOW.date()
    week = (Window(last - timedelta(days=DAYS - 1), last),)
    year = tuple(Window(last - timedelta(days=n), last - timedelta(days=n)) for n in reversed(range(365)))
    refreshed = [
        (STREAMS[name], Advertiser(f"{n}"), week if STREAMS[name].time else (None,))
        for name in objects()
        for n in range(ACCOUNTS)
    ]
    hourly = [(STREAMS["campaign_report_hourly"], Advertiser(f"{n}"), year) for n in range(6)]
    for what, asked, bound in (
        (f"refresh of {ACCOUNTS} accounts x {OBJECTS} objects", refreshed, None),
        ("first year of an hourly object, 6 accounts", hourly, OF_A_YEAR),
    ):
        pairs = [Pair(stream, who, tuple(stream.fields)[-3:], windows, None, last) for stream, who, windows in asked]
        tiktok_s = _seconds(pairs, Google(0))
        google = Google()
        took_s = BEGINS_S + _seconds(pairs, google)
        limit = bound * tiktok_s if bound else max(tiktok_s, OBJECTS * STEP_S / SIDE_BY_SIDE) + MARGIN_S
        why = f"{bound:g} x TikTok's {tiktok_s:.0f} s" if bound else f"TikTok's {tiktok_s:.0f} s + 30 s"
        say(what, f"{took_s:.0f} s", f"{why} = {limit:.0f} s", took_s <= limit)
        most = max(google.steps.values())
        say("  jobs per object", f"at most {MOST_JOBS * most}", "" if bound else f"{MOST_JOBS}", bound or most == 1)


def _seconds(pairs: Sequence[Pair], google: Google) -> float:
    """Return how many seconds the loop takes, by the clock that runs ``TIMES`` as fast."""
    pace = Pace(RATE * TIMES)

    def read(pair: Pair, _: Window | None, __: Path) -> Reading:
        turn = pace.turn(pair.advertiser.id)
        time.sleep(0.5 / TIMES)
        pace.answered(turn)
        return Reading(0, {}, frozenset())

    began = time.monotonic()
    into = cast("Destination", google)
    run_loop(pairs, read, into, lambda _: None, now=NOW, readers=readers_for(RATE * TIMES))
    return (time.monotonic() - began) * TIMES
