"""Measure and print each figure with its bound: ``python -m benchmarks [NAME …]``.

    paced      10 advertisers x 300 ads x 365 days at 10 requests per second, and 50 ms latency without and with jitter
    pace       900 requests at 10 per second against a strict limit, over a network with jitter
    turns      8 processes that share the rate of one app by a lease; a small run beside three backfills; a kill
    scale      300 Sheets and 2,000 ad accounts in one deployment, and 100,000 Sheets, in virtual time
    fleet      100 Sheets x 3 rounds on 4 workers, beside 3 backfills, with the whole service; BENCH_FLEET="20 2"
               for fewer; not among those that run when none is named, like the two above
    unlimited  the same without limit and latency: wall, CPU and memory; and a tenth of it, to see memory stay flat
    wide       1 advertiser x 300 ads x 365 days with 98 metrics
    refresh    the daily refresh (7 days of lookback) on top of it
    sheets     1 advertiser x 300 ads x 365 days into a Google Sheet with 15 columns, and the daily refresh on top of it
    quota      20 Sheets of one account import at once, 60 calls a minute; calls and bytes of a run
    bigquery   1,000,000 rows x 25 columns into the BigQuery emulator, the refresh on top, and other formats
    memory     unlimited's 10 advertisers, and one of them, whole imports into the BigQuery emulator, to see memory stay
               flat; not among those that run when none is named
    postgresql  1,000,000 rows x 25 columns into PostgreSQL, Parquet and DuckDB, a tenth, and the refresh on top
    agency     50 accounts x 20 objects into the BigQuery emulator behind a proxy that is as slow as Google, twice; not
               among those that run when none is named. BENCH_AGENCY="50 20 8 10": accounts, objects, days, requests
               per second
    steps      the same of the loop alone, in a tenth of the time; reading and storing only sleep
    start      --help, and what importing the package loads
    all        all objects with all their fields, twice, every table compared with what TikTok has; not among those
               that run when none is named. BENCH_PYTHON names the Python of an environment with another DuckDB

``python -m benchmarks break``, ``race``, ``bigquery_break``, ``history``, ``trust``, ``proofs`` and ``fuzz`` measure no
speed: see ``benchmarks/breaking.py``, ``race.py``, ``bigquery_breaking.py``, ``histories.py``, ``trust.py``,
``proofs.py`` and ``fuzz.py``.

The emulators of TikTok and Google Sheets run in processes of their own, and TikTok's answers are ready before the
clock starts, so that the figures are the loader's. One run each; the machine should have nothing else to do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import requests

from benchmarks import (
    agency,
    bigquery,
    bigquery_breaking,
    breaking,
    everything,
    fleet,
    fuzz,
    histories,
    pace,
    postgresql,
    proofs,
    quota,
    race,
    scale,
    trust,
    turns,
)
from owox_tiktok.model import Kind
from owox_tiktok.streams import STREAMS
from tests import bigquery as emulator

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST_DAY = date(2025, 11, 21)
METRICS = (
    "campaign_id, campaign_name, adgroup_id, adgroup_name, ad_name, spend, impressions, clicks, ctr, cpc, cpm, reach, "
    "frequency, conversion, cost_per_conversion, conversion_rate_v2, result, cost_per_result, result_rate, "
    "video_play_actions, video_watched_2s, video_watched_6s"
)
WIDE = 98
FIELDS_OF_15 = (
    "ad_name, campaign_name, spend, impressions, clicks, ctr, cpc, reach, conversion, cost_per_conversion, result"
)
"""With advertiser, ad, day and currency they make 15 columns."""
PROGRAM = [sys.executable, "-m", "owox_tiktok"]

SERVER = """
import sys
from datetime import date, datetime, UTC
from owox_tiktok.local.tiktok import Faults, Limits, World, serve
world = World(seed=1, advertisers=10, campaigns=10, ad_groups=30, ads=300, start=date(2025, 10, 1),
              as_of=datetime(2026, 11, 20, 12, tzinfo=UTC))
with serve(world, limits=Limits(), faults=Faults()) as server:
    print(server.url, *world.advertiser_ids, flush=True)
    sys.stdin.read()
"""


@dataclass
class Server:
    """The emulator in its own process."""

    url: str
    advertiser_ids: list[str]

    def set(self, *, latency_s: float = 0.0, jitter_s: float = 0.0, qps: int | None = None) -> None:
        """Change latency and limits while it serves."""
        limits = {"qps": qps, "per_minute": qps * 60 if qps else None}
        body = {"faults": {"latency_s": latency_s, "jitter_s": jitter_s}, "limits": limits}
        requests.post(self.url.split("/open_api")[0] + "/_control", json=body, timeout=10).raise_for_status()

    def counts(self) -> dict[str, int]:
        """Return how many requests came, and how many were refused."""
        counts: dict[str, int] = requests.get(self.url.split("/open_api")[0] + "/_counts", timeout=10).json()
        return counts


@contextmanager
def server() -> Iterator[Server]:
    """Start the emulator; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url, *ids = process.stdout.readline().split()
        try:
            yield Server(url, ids)
        finally:
            process.stdin.close()


@dataclass
class Run:
    """What one run of the program took: seconds of wall and CPU, megabytes at the peak, and what it said."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    rows: int
    requests: int


def run(
    folder: Path,
    source: Server,
    *,
    advertisers: int = 10,
    rate: float = 1000,
    now: datetime = NOW,
    fields: str = METRICS,
    destination: str = "",
    sheets_url: str = "",
    bigquery_url: str = "",
) -> Run:
    """Import into ``folder``/ads.duckdb with the program as a user would, and measure the whole process."""
    ids = ", ".join(f'"{one}"' for one in source.advertiser_ids[:advertisers])
    config = folder / "tiktok.yaml"
    config.write_text(
        f"access_token: ${{TIKTOK_ACCESS_TOKEN}}\nadvertiser_ids: [{ids}]\nstart_date: {FIRST_DAY}\n"
        f"objects: [ad_report_daily]\nfields: {{ad_report_daily: [{fields}]}}\nrequests_per_second: {rate:g}\n"
        f"destination: {destination or f'duckdb:///{folder}/ads.duckdb'}\n"
    )
    environment = {**os.environ, "TIKTOK_API_URL": source.url, "TIKTOK_ACCESS_TOKEN": "local-token-not-a-secret"}
    if sheets_url:
        environment["SHEETS_API_URL"] = sheets_url
    if bigquery_url:
        environment["BIGQUERY_API_URL"] = bigquery_url
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PROGRAM, "import", str(config), "--now", now.isoformat()],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(said)
    rows, sent = (
        int(re.sub(r"\D", "", re.findall(p, said)[-1])) for p in (r"([\d,]+) rows stored", r"([\d,]+) requests")
    )
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, rows, sent)


def say(what: str, figure: str, bound: str, good: bool | None = None) -> None:
    """Print one line of the result."""
    verdict = "" if good is None else "within" if good else "NOT WITHIN"
    print(f"  {what:<44} {figure:<34} {bound:<40} {verdict}", flush=True)


def unlimited(source: Server) -> None:
    """Measure the loader itself: no limit, no latency, every answer ready."""
    print("unlimited: 10 advertisers x 300 ads x 365 days, 22 metrics")
    source.set()
    with tempfile.TemporaryDirectory() as warm:
        run(Path(warm), source)
    with tempfile.TemporaryDirectory() as name:
        tenth = run(Path(name), source, advertisers=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = run(folder, source)
        say("rows, requests", f"{whole.rows:,} rows, {whole.requests:,} requests", "")
        say("wall", f"{whole.wall_s:.1f} s", "fastest other loader: 22 s", whole.wall_s < 22)
        say("CPU", f"{whole.cpu_s:.1f} s", "fastest other loader: 37 s", whole.cpu_s < 37)
        say("peak memory", f"{whole.peak_mb:.0f} MB", "300 MB (fastest other loader: 1,000 MB)", whole.peak_mb < 300)
        say(f"peak memory of a tenth ({tenth.rows:,} rows)", f"{tenth.peak_mb:.0f} MB", "flat: not a tenth")
        print("refresh: the next day's run on top of it")
        tomorrow = run(folder, source, now=NOW.replace(hour=18))
        say("rows read again", f"{tomorrow.rows:,} rows, {tomorrow.requests} requests", "")
        say("wall, CPU", f"{tomorrow.wall_s:.1f} s, {tomorrow.cpu_s:.1f} s", "")
        say("peak memory", f"{tomorrow.peak_mb:.0f} MB", "300 MB", tomorrow.peak_mb < 300)


def memory(source: Server) -> None:
    """Measure a whole import into BigQuery: what it needs must not follow the rows. The emulator sets the pace."""
    if emulator.missing:
        print(f"memory: not measured, {emulator.missing}")
        return
    print("memory: 1 and 10 advertisers x 300 ads x 365 days, 22 metrics, into the BigQuery emulator")
    source.set()
    url = emulator.begin()
    peaks = []
    for advertisers in (1, 10):
        with tempfile.TemporaryDirectory() as name:
            place = f"bigquery://{emulator.PROJECT}/d_memory_{advertisers}"
            ran = run(Path(name), source, advertisers=advertisers, destination=place, bigquery_url=url)
        peaks.append(ran.peak_mb)
        bound, good = ("300 MB", ran.peak_mb < 300) if advertisers == 1 else ("1.2 x", ran.peak_mb < 1.2 * peaks[0])
        say(f"{ran.rows:,} rows: peak memory", f"{ran.peak_mb:.0f} MB", bound, good)
        say("wall, CPU", f"{ran.wall_s:.0f} s, {ran.cpu_s:.1f} s", "")


def wide(source: Server) -> None:
    """Measure very wide rows, which need the most of DuckDB's memory: a step of them once failed at its commit."""
    fields = [n for n, f in STREAMS["ad_report_daily"].fields.items() if f.kind in (Kind.MONEY, Kind.COUNT, Kind.RATE)]
    print(f"wide: 1 advertiser x 300 ads x 365 days, {WIDE} metrics")
    source.set()
    with tempfile.TemporaryDirectory() as name:
        ran = run(Path(name), source, advertisers=1, fields=", ".join(fields[:WIDE]))
    say("rows, requests", f"{ran.rows:,} rows, {ran.requests:,} requests", "")
    say("wall, CPU", f"{ran.wall_s:.1f} s, {ran.cpu_s:.1f} s", "")
    say("peak memory", f"{ran.peak_mb:.0f} MB", "500 MB", ran.peak_mb < 500)


def paced(source: Server) -> None:
    """Measure how close to TikTok's rate limit the loader reads, and what pacing costs."""
    print("paced: the same at 10 requests per second")
    source.set()
    free = []
    for _ in range(4):
        with tempfile.TemporaryDirectory() as name:
            free.append(run(Path(name), source).cpu_s)
    cpu = sorted(free[1:])[1]  # the first one makes the answers
    for jitter_s, times in ((0.0, 1.05), (0.02, 1.06)):
        source.set(latency_s=0.05 - jitter_s, jitter_s=2 * jitter_s, qps=10)
        before = source.counts()
        with tempfile.TemporaryDirectory() as name:
            done = run(Path(name), source, rate=10)
        after = source.counts()
        sent, refused = after["requests"] - before["requests"], after["refused"] - before["refused"]
        least = (sent - refused) / 10
        what = f"50 ± {jitter_s * 1000:.0f} ms"
        say(f"{what}: rows, requests", f"{done.rows:,} rows, {sent - refused:,} + {refused} refused", "")
        say(
            f"{what}: wall",
            f"{done.wall_s:.1f} s = {done.wall_s / least:.3f} x",
            f"{times:.2f} x {least:.1f} s",
            done.wall_s <= times * least,
        )
        say(
            f"{what}: CPU",
            f"{done.cpu_s:.1f} s",
            f"1.1 x {cpu:.1f} s without limit (median of 3)",
            done.cpu_s <= 1.1 * cpu,
        )
    source.set()


def sheets(source: Server) -> None:
    """Measure a Google Sheet: calls against the megabytes that must go, seconds and memory."""
    print("sheets: 1 advertiser x 300 ads x 365 days, 15 columns, into a Google Sheet; and the next day's run")
    source.set()
    with subprocess.Popen([*PROGRAM, "local", "sheets", "--port", "0"], stdout=subprocess.PIPE, text=True) as google:
        assert google.stdout is not None
        url = re.findall(r"http://\S+", google.stdout.readline())[0]
        try:
            made = requests.post(f"{url}/_control", json={"create": {"title": "Benchmark"}}, timeout=10).json()
            bytes_of = {}
            turns = (
                ("first import", NOW),
                ("refresh", NOW.replace(hour=18)),
                ("sorted: refresh", NOW.replace(hour=20)),
            )
            for what, now in turns:
                if what.startswith("sorted"):
                    _sort(url, made["spreadsheetId"])
                before = requests.get(f"{url}/_counts", timeout=10).json()
                with tempfile.TemporaryDirectory() as name:
                    done = run(
                        Path(name),
                        source,
                        advertisers=1,
                        now=now,
                        fields=FIELDS_OF_15,
                        destination=f"sheets://{made['spreadsheetId']}",
                        sheets_url=url,
                    )
                after = requests.get(f"{url}/_counts", timeout=10).json()
                calls = after["calls"] - before["calls"]
                sent, came = ((after[n] - before[n]) / 1e6 for n in ("request_bytes", "response_bytes"))
                bytes_of[what] = sent + came
                say(f"{what}: rows, megabytes sent, received", f"{done.rows:,} rows, {sent:.1f}, {came:.1f} MB", "")
                # Each step, of 2 MB before they are compressed, looks at what is there before it writes; and the lease
                # and the tabs take a dozen calls.
                bound = 12 + 3 * (1 if what.endswith("refresh") else done.rows * 15 * 48 / 2e6 + 1)
                say(f"{what}: calls", f"{calls}", f"12 + 3 for each 2 MB = {bound:.0f}", calls <= bound)
                say(f"{what}: wall, CPU", f"{done.wall_s:.1f} s, {done.cpu_s:.1f} s", "")
                say(f"{what}: peak memory", f"{done.peak_mb:.0f} MB", "300 MB", done.peak_mb < 300)
            times = bytes_of["sorted: refresh"] / bytes_of["refresh"]
            say(
                "a refresh of the sorted tab: bytes", f"{times:.2f} times those of the other", "1.3 times", times <= 1.3
            )
        finally:
            google.terminate()


def _sort(url: str, spreadsheet_id: str) -> None:
    """Sort the one tab of rows by spend, as a person does."""
    sheets = requests.get(
        f"{url}/v4/spreadsheets/{spreadsheet_id}",
        params={"fields": "sheets(properties(sheetId,title,gridProperties))"},
        timeout=60,
    ).json()["sheets"]
    (tab,) = [s["properties"] for s in sheets if s["properties"]["gridProperties"]["columnCount"] == 15]
    place = {"sheetId": tab["sheetId"], "startRowIndex": 1, "startColumnIndex": 0}
    order = [{"dimensionIndex": 6, "sortOrder": "DESCENDING"}]
    requests.post(
        f"{url}/_control",
        json={
            "batch": {
                "spreadsheetId": spreadsheet_id,
                "requests": [{"sortRange": {"range": place, "sortSpecs": order}}],
            }
        },
        timeout=120,
    ).raise_for_status()


def start() -> None:
    """Measure what starting costs."""
    print("start")
    times = []
    for _ in range(7):
        began = time.perf_counter()
        subprocess.run([*PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    say("--help, median of 7", f"{sorted(times)[3]:.3f} s", "0.3 s", sorted(times)[3] < 0.3)
    code = "import sys, owox_tiktok.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    names = ("duckdb", "gspread", "google.auth", "google.cloud.bigquery", "pyarrow", "pandas", "numpy", "rich", "click")
    heavy = [m for m in names if m in loaded]
    say("heavy modules loaded by owox_tiktok.app", ", ".join(heavy) or "none", "none", not heavy)


HARNESSES: Mapping[str, Callable[[list[str]], int]] = {
    "break": breaking.main,
    "fuzz": fuzz.main,
    "race": race.main,
    "bigquery_break": bigquery_breaking.main,
    "history": histories.main,
    "trust": trust.main,
    "proofs": proofs.main,
}
"""What breaks things instead of measuring them, with arguments of its own."""


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    if sys.argv[1:] and (harness := HARNESSES.get(sys.argv[1])):
        sys.exit(harness(sys.argv[2:]))
    names = sys.argv[1:] or ["start", "unlimited", "wide", "sheets", "quota", "bigquery", "postgresql", "pace", "paced"]
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    if "start" in names:
        start()
    if "quota" in names:
        quota.run(say)
    if "turns" in names:
        turns.run(say)
    if "scale" in names:
        scale.run(say)
    if "fleet" in names:
        fleet.run(say)
    if "bigquery" in names:
        bigquery.run(say)
    if "steps" in names:
        agency.steps(say)
    if "postgresql" in names:
        postgresql.run(say)
    if "agency" in names:
        agency.run(say)
    if "all" in names:
        everything.run(say, os.environ.get("BENCH_PYTHON", sys.executable))
    if {"unlimited", "refresh", "memory", "wide", "sheets", "pace", "paced"} & set(names):
        with server() as source:
            if {"unlimited", "refresh"} & set(names):
                unlimited(source)
            if "memory" in names:
                memory(source)
            if "wide" in names:
                wide(source)
            if "sheets" in names:
                sheets(source)
            if "pace" in names:
                pace.run(say, source)
            if "paced" in names:
                paced(source)


if __name__ == "__main__":
    main()
