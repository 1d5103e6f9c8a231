"""Every object with all its fields, twice, and every table compared with what TikTok has: ``python -m benchmarks all``.

Two accounts with TopView and Promote ads; the second import comes two days later, when TikTok has restated numbers.
Each table is compared row by row and value by value with the world's own numbers. A field of which an import warned
that TikTok does not give it must be null in every row. Set ``BENCH_PYTHON`` to the Python of another environment to
import with the DuckDB there; what is stored is read with the DuckDB here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from owox_tiktok.local.tiktok import World, oracle, serve
from owox_tiktok.local.tiktok.assets import pixel_statistics
from owox_tiktok.model import Stream
from owox_tiktok.streams import STREAMS
from tests.helpers import Project, Row, columns_of, differences, expected, process_environment

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = date(2026, 11, 14)
DAYS_BETWEEN = 2


def run(say: Callable[..., None], python: str) -> None:
    """Import twice, and print per turn what it took and what is wrong."""
    asked = subprocess.run(
        [python, "-c", "import duckdb; print(duckdb.__version__)"], check=True, capture_output=True, text=True
    )
    print(f"all: {len(STREAMS)} objects with all fields, 2 advertisers, twice; DuckDB {asked.stdout.strip()}")
    world = World(seed=3, advertisers=2, campaigns=3, ad_groups=4, ads=6, start=START, as_of=NOW, hidden_kinds=True)
    with tempfile.TemporaryDirectory() as name, serve(world) as server:
        fields = {n: ["all"] for n, s in STREAMS.items() if s.can_choose_fields}
        what = {"objects": list(STREAMS), "fields": fields, "start_date": f"{START}"}
        project = Project(Path(name), server, say=what)
        for turn in ("first import", f"{DAYS_BETWEEN} days later"):
            _turn(say, turn, project, python)
            world.as_of = world.now() + timedelta(days=DAYS_BETWEEN)


def _turn(say: Callable[..., None], turn: str, project: Project, python: str) -> None:
    said = project.folder / "said.txt"
    began = time.perf_counter()
    with said.open("w", encoding="utf-8") as output:
        command = [python, *project.command("import", str(project.write()), "--log", "json")[1:]]
        process = subprocess.Popen(
            command, env=process_environment(project.environment), stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    events = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    finished = next((e for e in events if e["event"] == "finished"), None)
    if finished is None:
        raise SystemExit(said.read_text(encoding="utf-8")[-2000:])
    failed = [e for e in events if e["event"] == "failed"]
    warned = [e for e in events if e["event"] == "warned"]
    wrong, rows, cells = _compare(project, warned)
    say(f"{turn}: pairs, rows read", f"{finished['pairs']} pairs, {sum(finished['rows'].values()):,} rows", "")
    say(f"{turn}: wall, CPU", f"{wall:.1f} s, {used.ru_utime + used.ru_stime:.1f} s", "")
    say(f"{turn}: peak memory", f"{used.ru_maxrss / 1024:.0f} MB", "")
    say(f"{turn}: failures", f"{len(failed)} failures, exit code {process.returncode}", "0", not failed)
    say(f"{turn}: differences", f"{len(wrong)} in {rows:,} rows, {cells:,} cells", "0", not wrong)
    for one in [f"{e['object']} of {e['advertiser_id']}: {e['message']}" for e in failed[:10]] + wrong[:10]:
        print(f"    {one[:300]}")


def _compare(project: Project, warned: Iterable[dict[str, str]]) -> tuple[list[str], int, int]:
    """Return what differs, in words, and how many rows and cells were compared."""
    told: dict[str, set[str]] = {}
    for one in warned:
        told.setdefault(one["object"], set()).update(re.findall(r"\w+", one["message"]))
    wrong: list[str] = []
    rows = cells = 0
    for stream in STREAMS.values():
        stored = project.table(stream)
        columns = columns_of(project.database, stream)
        refused = told.get(stream.name, set()).intersection(columns) - set(stream.keys)
        names = [name for name in columns if name not in refused]
        wanted = _wanted(project, stream, names)
        shown = [{name: row[name] for name in names} for row in stored]
        wrong += [f"{stream.name}: {one}" for one in differences(shown, wanted, stream.keys)]
        for name in sorted(refused):
            if any(row[name] is not None for row in stored):
                wrong.append(f"{stream.name}: TikTok does not give {name}, and yet it is not null")
        rows, cells = rows + len(wanted), cells + len(wanted) * len(columns)
    return wrong, rows, cells


def _wanted(project: Project, stream: Stream, names: Sequence[str]) -> list[Row]:
    """Return what TikTok has of both accounts, as the table should have it."""
    world = project.server.world
    found: list[Row] = []
    for account in project.server.advertiser_ids:
        if stream.name == "pixel_event_statistics":  # read pixel by pixel, for each day in UTC
            days = [START + timedelta(days=n) for n in range((world.now().date() - START).days + 1)]
            for pixel in oracle.entity_rows(world, account, "pixels"):
                for day in days:
                    row = pixel_statistics(world.advertiser(account), pixel["pixel_id"], day, day)
                    found.append({"advertiser_id": account, "stat_time_day": day, **row})
        else:
            found += expected(world, stream, account, names, start=START)
    return found
