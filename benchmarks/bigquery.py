"""BigQuery: 1,000,000 rows x 25 columns into the emulator, the daily refresh on top, and other formats for comparison.

Each figure is of a process of its own, which does nothing but bring row files in: ``python -m benchmarks bigquery``.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from owox_tiktok.destinations import open_destination
from owox_tiktok.model import Chunk, Cursor, Field, Kind, Window
from owox_tiktok.rows import typed
from owox_tiktok.spool import Writer, read_text
from owox_tiktok.streams import STREAMS

DAILY = STREAMS["ad_report_daily"]
CHOSEN = (
    "campaign_id", "campaign_name", "adgroup_id", "adgroup_name", "ad_name", "spend", "impressions", "clicks", "ctr",
    "cpc", "cpm", "reach", "frequency", "conversion", "cost_per_conversion", "conversion_rate_v2", "result",
    "cost_per_result", "result_rate", "video_play_actions", "video_watched_2s",
)  # fmt: skip
COLUMNS = DAILY.columns(CHOSEN)
DAYS, ADS, DAYS_PER_CHUNK = 400, 2500, 10
ADVERTISER = "7000000000000000001"
FIRST = date(2025, 10, 1)
ROWS_PER_STEP = 400_000
"""As many as the writer of an import takes at once."""


def column_of(field: Field, day: date) -> list[str | None]:
    """Return invented canonical texts for one day."""
    if field.name == "stat_time_day":
        return [f"{day}"] * ADS
    if field.name == "advertiser_id":
        return [ADVERTISER] * ADS
    match field.kind:
        case Kind.ID:
            return [f"17{n:017d}" for n in range(ADS)]
        case Kind.COUNT:
            return [str(n * 37 % 9973) for n in range(ADS)]
        case Kind.MONEY | Kind.RATE:
            return [f"{n * 53 % 99991 / 100:.2f}" for n in range(ADS)]
        case _:
            return [None if n % 50 == 0 else f'{field.name} "{n % 300}" of {day:%B}' for n in range(ADS)]


def chunks(folder: Path, first: date, days: int) -> list[Chunk]:
    """Return the days as chunks; their row files are in the folder, or will be."""
    made = []
    for at in range(0, days, DAYS_PER_CHUNK):
        window = Window(first + timedelta(days=at), first + timedelta(days=at + DAYS_PER_CHUNK - 1))
        cursor = Cursor(frozenset(CHOSEN), datetime.now(UTC), window.last, FIRST, window.last)
        path = folder / f"{window.first}.csv"
        seals = pickle.loads(_seals_of(path).read_bytes()) if _seals_of(path).exists() else {}  # noqa: S301 -- our own
        rows = ADS * DAYS_PER_CHUNK
        made.append(Chunk(DAILY, ADVERTISER, window, COLUMNS, path, rows, cursor, seals, cursor.read_at))
    return made


def write(given: Sequence[Chunk]) -> int:
    """Write the row files."""
    for chunk in given:
        assert chunk.window is not None
        writer = Writer(chunk.path, COLUMNS, DAILY.time)
        for n in range(chunk.window.days):
            writer.append([column_of(f, chunk.window.first + timedelta(days=n)) for f in COLUMNS])
        writer.close()
        _seals_of(chunk.path).write_bytes(pickle.dumps(writer.seals))
    return 0


def _seals_of(path: Path) -> Path:
    """Return where the seals of a row file are kept for the process that stores it."""
    return path.with_suffix(".seals")


# --- what one process does --------------------------------------------------------------------------------------------


def steps(given: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Yield the chunks in steps as an import makes them."""
    step: list[Chunk] = []
    for chunk in given:
        if sum(c.rows for c in step) + chunk.rows > ROWS_PER_STEP:
            yield step
            step = []
        step.append(chunk)
    yield step


def store(given: Sequence[Chunk]) -> int:
    """Store as an import does, in the destination that the environment names."""
    with open_destination(os.environ.get("BENCH_DESTINATION", "bigquery://test-project/benchmark")) as destination:
        destination.prepare(DAILY, COLUMNS)
        for step in steps(given):
            destination.replace(step)
    return 0


def as_csv(given: Sequence[Chunk], level: int = 1) -> int:
    """Only make the files: gzip around the row files as they are."""
    return _written(given, lambda chunk: [chunk.path.read_bytes()], level)


def as_ndjson(given: Sequence[Chunk]) -> int:
    """Only make the files: a JSON object per row, numbers as texts, so that they stay exact."""
    names = [f.name for f in COLUMNS]

    def lines(chunk: Chunk) -> Iterator[bytes]:
        for values in read_text(chunk.path):
            yield json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False).encode() + b"\n"

    return _written(given, lines, 1)


def _written(given: Sequence[Chunk], parts: Callable[[Chunk], Iterator[bytes] | list[bytes]], level: int) -> int:
    size = 0
    for step in steps(given):
        with tempfile.TemporaryFile() as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=level, mtime=0) as zipped:
                for chunk in step:
                    for part in parts(chunk):
                        zipped.write(part)
            size += file.tell()
    return size


def as_parquet(given: Sequence[Chunk]) -> int:
    """Only make the files; needs pyarrow, which is no requirement of this program."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {Kind.COUNT: pa.int64(), Kind.MONEY: pa.decimal128(38, 9), Kind.RATE: pa.decimal128(38, 9)}
    types |= {Kind.DAY: pa.date32()}
    schema = pa.schema([(f.name, types.get(f.kind, pa.string())) for f in COLUMNS])
    size = 0
    for step in steps(given):
        with tempfile.TemporaryFile() as file:
            with pq.ParquetWriter(file, schema, compression="snappy") as writer:
                for chunk in step:
                    rows = list(read_text(chunk.path))
                    arrays = [
                        pa.array([typed(f, row[n]) for row in rows], schema.field(n).type)
                        for n, f in enumerate(COLUMNS)
                    ]
                    writer.write_table(pa.table(arrays, schema=schema))
            size += file.tell()
    return size


WAYS: dict[str, Callable[[Sequence[Chunk]], int]] = {
    "write": write,
    "store": store,
    "csv": as_csv,
    "csv, level 6": lambda given: as_csv(given, 6),
    "ndjson": as_ndjson,
    "parquet": as_parquet,
}


@dataclass
class Took:
    """Seconds of wall and CPU, megabytes at the peak, and the size of what was made."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    size_mb: float


def measured(way: str, folder: Path, first: date, days: int, url: str, destination: str = "") -> Took | None:
    """Run one way in a process of its own; None when it lacks a package."""
    began = time.perf_counter()
    words = [way, str(folder), f"{first}", str(days)]
    environment = {**os.environ, "BIGQUERY_API_URL": url}
    if destination:
        environment["BENCH_DESTINATION"] = destination
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bigquery", *words], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)  # its peak of memory counts ours, so the process tells its own
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == 3:
        return None
    if process.returncode:
        raise SystemExit(process.returncode)
    wall = time.perf_counter() - began
    size, peak_kb = map(int, said.split())
    return Took(wall, used.ru_utime + used.ru_stime, peak_kb / 1024, size / 2**20)


def run(say: Callable[[str, str, str], None]) -> None:
    """Measure everything and print it with ``say``."""
    from tests import bigquery as emulator

    if emulator.missing:
        print(f"bigquery: not measured, {emulator.missing}")
        return
    print(f"bigquery: {DAYS * ADS:,} rows x {len(COLUMNS)} columns into the emulator")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured("write", folder, FIRST, DAYS, "")
        url = emulator.begin()
        for what, way, first, days in (
            ("making CSV, gzip level 1", "csv", FIRST, DAYS),
            ("making CSV, gzip level 6", "csv, level 6", FIRST, DAYS),
            ("making NDJSON, gzip level 1", "ndjson", FIRST, DAYS),
            ("making Parquet", "parquet", FIRST, DAYS),
            ("storing a tenth", "store", FIRST, DAYS // 10),
            ("storing all", "store", FIRST, DAYS),
            ("storing the last 10 days again", "store", FIRST + timedelta(days=DAYS - 10), 10),
        ):
            took = measured(way, folder, first, days, url)
            if took is None:
                say(what, "not measured", "needs pyarrow")
                continue
            size = f", {took.size_mb:.0f} MB" if took.size_mb else ""
            say(what, f"{took.wall_s:.1f} s, CPU {took.cpu_s:.1f} s, {took.peak_mb:.0f} MB at the peak{size}", "")


if __name__ == "__main__":
    given = chunks(Path(sys.argv[2]), date.fromisoformat(sys.argv[3]), int(sys.argv[4]))
    try:
        size = WAYS[sys.argv[1]](given)
        peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        assert peak is not None
        print(size, peak[1])
    except ModuleNotFoundError:
        sys.exit(3)
