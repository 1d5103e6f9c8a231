"""Break imports by chance and compare what is stored with what TikTok has: ``python -m benchmarks break --seed 1``.

Each story has a world, a configuration and a few imports, all from a seed. Before an import something may happen to its
tables, file or configuration, or days go by; TikTok may fail or answer wrongly while it runs; and it may be killed,
interrupted, or run out of disk. Two things must hold, whatever happened:

*   An import that says Done (exit code 0) leaves exactly what TikTok has, but for fields of which it warns that TikTok
    does not give them now: those may be null.
*   After undisturbed imports at the end, every table is exactly what TikTok has.

What TikTok has is taken from the world's own numbers, not from its answers. ``--story N`` repeats a single one.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from owox_tiktok.local.tiktok import Rules, Server, World, serve
from owox_tiktok.local.tiktok.faults import Fault
from owox_tiktok.model import Stream
from owox_tiktok.streams import metrics as catalogue
from tests.helpers import SERVED, Project, Row, differences, expected, process_environment

MOMENTS = (
    datetime(2026, 3, 8, 20, tzinfo=UTC),  # clocks go forward in Los Angeles
    datetime(2026, 3, 29, 12, tzinfo=UTC),  # … in Berlin and Kyiv
    datetime(2026, 4, 5, 3, tzinfo=UTC),  # … back in Sydney
    datetime(2026, 10, 25, 12, tzinfo=UTC),  # … back in Berlin and Kyiv
    datetime(2026, 11, 2, 10, tzinfo=UTC),  # … were set back in Los Angeles the day before
    datetime(2026, 5, 31, 23, 45, tzinfo=UTC),
    datetime(2026, 6, 15, 9, 30, tzinfo=UTC),
)
EDGES = (("Pacific/Kiritimati", "Etc/GMT-14"), ("Pacific/Niue", "Etc/GMT+11"), ("Asia/Kathmandu", "Asia/Kathmandu"))
"""The earliest and the latest day there is, and a zone of 45 minutes: the account's zone by its two names."""
PASSING = ("http_500", "http_502_html", "http_503", "code_50000", "code_51021", "code_40100", "code_40016",
           "code_40067", "reset", "truncated", "cut_json", "not_json", "shifted_page")  # fmt: skip
WRONG = ("row_gone", "shifted_page", "outside_window", "missing_metric", "null_key", "dash_key", "half_emoji",
         "control_characters", "not_utf8", "deep_nesting", "list_of_nulls", "null_data", "code_20001",
         "advertiser_twice")  # fmt: skip
CHANGES_TEXTS = frozenset({"half_emoji", "control_characters", "not_utf8", "deep_nesting", "null_key", "dash_key"})
"""What is stored of such an answer is not what the world has, and nothing tells it."""
LEAVES_OUT = frozenset({"missing_metric", "code_20001"})
"""Such an answer is stored with a warning; what it lacks is asked for again."""
ENDS = ("alone", "alone", "alone", "kill", "kill", "SIGINT", "SIGTERM", "hang", "disk")
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Lets no file grow over so many bytes, as a full disk would."""
LONGEST_S = 240
EXIT_CODES = frozenset({0, 1, 3, 130, 143, -signal.SIGKILL})
"""Where no file may grow, DuckDB 1.2 aborts the process over a temporary file; a full disk does not make it do that."""


@dataclass
class Figures:
    """What happened in all stories, and what was wrong."""

    stories: int = 0
    imports: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    """Tables that were compared with what TikTok has."""
    rows: int = 0
    cells: int = 0
    wrong: list[str] = field(default_factory=list)


class Story:
    """One world and what happens to it."""

    def __init__(self, seed: int, number: int, figures: Figures, folder: Path) -> None:
        self.name = f"story {number} of seed {seed}"
        self.figures, self.folder = figures, folder
        self.chance = chance = random.Random(f"{seed}/{number}")
        self.moment = chance.choice(MOMENTS)
        self.world = World(
            seed=chance.randrange(10_000),
            advertisers=chance.choice((1, 1, 2, 3, 6)),
            campaigns=chance.choice((1, 3, 4)),
            ad_groups=chance.choice((2, 4)),
            ads=chance.choice((3, 8, 14)),
            start=(self.moment - timedelta(days=60)).date(),
            as_of=self.moment,
            hidden_kinds=chance.random() < 0.6,
        )
        if chance.random() < 0.4:
            zone, name = chance.choice(EDGES)
            account = chance.choice(self.world.advertisers)
            account.zone, account.timezone = ZoneInfo(zone), name
        self.rules = Rules(
            top_view_at_advertiser=chance.random() < 0.5,
            async_enabled=chance.random() < 0.7,
            interest_key_v2=chance.random() < 0.5,
            country_metrics="connector",
            cut_levels=chance.choice((("ad",), ("ad", "ad_group", "campaign", "advertiser"))),
        )
        self.start = self.moment.date() - timedelta(days=chance.choice((4, 20, 34)))
        self.streams = self._streams()
        self.fields = {s.name: self._fields(s) for s in self.streams}
        self.include_deleted = chance.random() < 0.7
        self.toggled = False
        """Whether deleted entities were imported before and are not wanted any more: their rows stay in lists."""
        self.reads_less: set[str] = set()
        """Objects with fields that TikTok may not have given the last time."""
        self.odd_texts: set[str] = set()
        self.told: list[str] = []

    def _streams(self) -> list[Stream]:
        """Some objects; hours only of a short time."""
        short = (self.moment.date() - self.start).days <= 5
        basic = [s for s in SERVED if s.report_type == "BASIC"]
        found = self.chance.sample(SERVED, 3) + self.chance.sample(basic, 2)
        found += self.chance.sample([s for s in basic if s.time == "stat_time_hour" or not short], 2)
        if not short:
            found = [s for s in found if s.time != "stat_time_hour"]
        return list({s.name: s for s in found}.values())

    def _fields(self, stream: Stream) -> list[str]:
        """Some fields: of a report now and then more than a request may ask for."""
        names = [f.name for f in stream.fields.values() if f.origin == ("metric" if stream.is_report else "item")]
        if "country_code" in stream.dimensions:
            names = [n for n in names if catalogue()[n].by_country != "connector"]
        most = self.chance.choice((3, 8, 20, 130)) if stream.is_report else len(names)
        chosen = self.chance.sample(names, min(most, len(names)))
        return [n for n in names if n in chosen]

    # --- telling it ---------------------------------------------------------------------------------------------------

    def say(self, what: str) -> None:
        """Remember what happened, for whoever wants to understand what was wrong."""
        self.told.append(what)
        self.figures.kinds[what.split(":", maxsplit=1)[0]] += 1

    def wrong(self, what: str) -> None:
        """Report what must not be."""
        self.figures.wrong.append(f"{self.name}: {what}\n    {'; '.join(self.told)}")
        print(f"WRONG {self.figures.wrong[-1]}", flush=True)

    # --- what happens -------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Let all of it happen."""
        with serve(self.world, rules=self.rules) as server:
            project = Project(self.folder, server, say=self._config())
            self.say(f"world: {len(self.world.advertisers)} accounts, {[s.name for s in self.streams]}")
            for turn in range(self.chance.choice((2, 3, 4))):
                if turn:
                    self._disturb(project)
                self._cause_trouble(server)
                code = self._import(project, self.chance.choice(ENDS))
                self._quiet(server)
                if code == 0:
                    self._compare(project, final=False)
            # What was refused for a while is asked for once more, and then read for the older days.
            for turn in range(4):
                code = self._import(project, "alone")
                if code == 0 and (turn >= 2 or not self.reads_less):
                    break
            if code:
                self.wrong(f"undisturbed imports end with {code}: {self.said[-600:]}")
            self.reads_less, self.odd_texts = set(), set()
            self._compare(project, final=True)
            if left := list((self.folder / "tmp").glob("owox-tiktok-*")):
                self.wrong(f"row files of dead runs are left: {left}")

    def _config(self) -> dict[str, Any]:
        return {
            "objects": [s.name for s in self.streams],
            "fields": self.fields,
            "start_date": f"{self.start}",
            "include_deleted": self.include_deleted,
            # What an odd answer left is read again at the end.
            "reimport_lookback_window": 60,
        }

    def _disturb(self, project: Project) -> None:
        acts: Sequence[tuple[str, Callable[[Project], None]]] = (
            ("nothing", lambda project: None),
            ("days go by", self._days_go_by),
            ("tables", self._harm_tables),
            ("tables", self._harm_tables),
            ("file", self._harm_file),
            ("fields", self._change_fields),
            ("deleted", self._change_deleted),
        )
        for name, act in self.chance.sample(acts, self.chance.choice((1, 2))):
            if name not in ("tables", "file") or project.database.exists():
                act(project)

    def _days_go_by(self, project: Project) -> None:
        days = self.chance.choice((0.25, 1, 2, 9))
        self.world.as_of = self.world.now() + timedelta(days=days)
        self.say(f"days go by: {days}")

    def _harm_tables(self, project: Project) -> None:
        stream = self.chance.choice(self.streams)
        with duckdb.connect(str(project.database)) as connection:
            tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
            table = stream.table
            if table not in tables:
                return
            column = self.chance.choice(self.fields[stream.name])
            key = column in stream.keys
            how = self.chance.choice(("drop", "rename", "column", "cursors", "swap", "backwards", "forget"))
            if how == "drop":
                connection.execute(f"DROP TABLE {table}")
            elif how == "rename":
                connection.execute(f"ALTER TABLE {table} RENAME TO kept_{self.chance.randrange(10**9)}")
            elif how == "column" and not key:
                with suppress(duckdb.Error):  # it may not be there yet
                    connection.execute(f'ALTER TABLE {table} DROP COLUMN "{column}"')
            elif how == "cursors":
                connection.execute("DROP TABLE _owox_tiktok_cursors")
            elif how == "swap":  # a copy is not the table
                connection.execute(f"ALTER TABLE {table} RENAME TO swapped_{self.chance.randrange(10**9)}")
                connection.execute("CREATE TABLE somebody (id INTEGER)")
                connection.execute("DROP TABLE somebody")
            elif how == "backwards" and stream.time:
                connection.execute(f"DELETE FROM {table}")
                connection.execute("DELETE FROM _owox_tiktok_cursors WHERE object = $1", [stream.name])
            elif how == "forget":
                connection.execute("DELETE FROM _owox_tiktok_cursors WHERE random() < 0.5")
            self.say(f"tables: {how} {stream.name}")

    def _harm_file(self, project: Project) -> None:
        how = self.chance.choice(("delete", "copy", "empty", "earlier"))
        kept = self.folder / "kept.duckdb"
        journal = Path(f"{project.database}.wal")
        if how == "delete":
            project.database.unlink()
            journal.unlink(missing_ok=True)
        elif how == "copy":
            duckdb.connect(str(project.database)).close()  # takes the journal in
            shutil.copy(project.database, kept)
            project.database.unlink()
            shutil.copy(kept, project.database)
        elif how == "empty":
            project.database.write_bytes(b"")
            journal.unlink(missing_ok=True)
        elif kept.exists():
            journal.unlink(missing_ok=True)
            shutil.copy(kept, project.database)
        self.say(f"file: {how}")

    def _change_fields(self, project: Project) -> None:
        stream = self.chance.choice(self.streams)
        self.fields[stream.name] = self._fields(stream)
        project.say |= self._config()
        self.say(f"fields: of {stream.name} are {len(self.fields[stream.name])} others")

    def _change_deleted(self, project: Project) -> None:
        self.include_deleted = not self.include_deleted
        self.toggled = self.toggled or not self.include_deleted
        project.say |= self._config()
        self.say(f"deleted: {self.include_deleted}")

    def _cause_trouble(self, server: Server) -> None:
        faults = server.faults
        for trouble in self.chance.sample(("rate", "wrong", "cut", "refused", "tasks", "slow", "none"), 2):
            if trouble == "rate":
                kinds = self.chance.sample(PASSING, 3)
                faults.kinds, faults.rate, faults.in_a_row = tuple(kinds), self.chance.choice((0.02, 0.1)), 2
                self.say(f"rate: {kinds}")
            elif trouble == "wrong":
                faults.at = tuple(self._wrong_answer() for _ in range(self.chance.choice((1, 1, 2, 3))))
            elif trouble == "cut":
                faults.max_ads_per_report = self.chance.choice((2, 3, 5))
                self.reads_less |= {s.name for s in self.streams}  # a task or a sum does not give every field
                self.say(f"cut: at {faults.max_ads_per_report} ads")
            elif trouble == "refused":
                stream = self.chance.choice([s for s in self.streams if s.is_report])
                names = self.chance.sample(self.fields[stream.name], 1)
                account = self.chance.choice(self.world.advertiser_ids)
                faults.refused_metrics = {account: [n for n in names if n not in ("spend", "impressions")]}
                faults.refused_metrics_unnamed = self.chance.random() < 0.5
                self.reads_less |= {s.name for s in self.streams}
                self.say(f"refused: {names}")
            elif trouble == "tasks":
                faults.failing_tasks = 2
                self.say("tasks: fail")
            elif trouble == "slow":
                faults.latency_s, faults.jitter_s = 0.01, 0.08
                self.say("slow")

    def _wrong_answer(self) -> Fault:
        kind = self.chance.choice(WRONG)
        path = self.chance.choice(("report/integrated/get", "report/integrated/get", "campaign/get", "ad/get", ""))
        page = self.chance.choice((None, 1, 2, 3))
        times = self.chance.choice((1, 1, 2, None))
        # Of these the first answer is stored, so any of them may leave its mark.
        if kind in CHANGES_TEXTS:
            self.odd_texts |= {s.name for s in self.streams}
        if kind in LEAVES_OUT:
            self.reads_less |= {s.name for s in self.streams}
        self.say(f"wrong {kind}: {path or 'anywhere'}, page {page}, {times or 'all'} times")
        return Fault(kind, path, page, times=times)

    def _quiet(self, server: Server) -> None:
        server.faults.update(
            {"rate": 0.0, "at": [], "max_ads_per_report": 20_000, "refused_metrics": {}, "failing_tasks": 0,
             "latency_s": 0.0, "jitter_s": 0.0, "hang_after": None}
        )  # fmt: skip
        server.clear_cache()

    # --- an import ----------------------------------------------------------------------------------------------------

    def _import(self, project: Project, end: str) -> int:
        """Import in a process of its own, which may end before its time; return its exit code."""
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        command = project.command("import", str(project.write()), "--log", "json")
        if end == "disk":
            command = [sys.executable, "-c", LIMITED, str(self.chance.choice((40_000, 300_000, 1_500_000))), *command]
        said = self.folder / "said.txt"
        began, at = project.server.counts["requests"], self.chance.randrange(1, 60)
        if end == "hang":
            project.server.faults.hang_after = began + at
        with said.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=process_environment(project.environment | {"TMPDIR": str(temporary)}),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + LONGEST_S
        while process.poll() is None and end not in ("alone", "disk"):
            if project.server.counts["requests"] - began >= at:
                time.sleep(self.chance.random() * 0.3)  # so that it dies while it stores as well as while it reads
                signals = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
                process.send_signal(signals.get(end, signal.SIGKILL))
                break
            time.sleep(0.002)
        try:
            code = process.wait(timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
            self.wrong(f"an import ({end}) did not end within {LONGEST_S} seconds")
        self.said = said.read_text(encoding="utf-8", errors="replace")
        self.figures.imports += 1
        self.say(f"import {end}: {code}")
        if "Traceback" in self.said or "a bug" in self.said or "unexpected" in self.said:
            self.wrong(f"an import ({end}) says {self.said[-800:]}")
        if code not in EXIT_CODES and not (end == "disk" and code == -signal.SIGABRT and "truncate file" in self.said):
            self.wrong(f"an import ({end}) ends with {code}: {self.said[-400:]}")
        if code == 0 and '"finished"' not in self.said:
            self.wrong(f"an import ended with 0 and does not say so: {self.said[-300:]}")
        return code

    # --- what is there ------------------------------------------------------------------------------------------------

    def _compare(self, project: Project, *, final: bool) -> None:
        """Compare every table with what TikTok has, cell by cell."""
        for stream in self.streams:
            if not final and stream.name in self.odd_texts:
                continue
            try:
                stored = project.table(stream)
            except duckdb.Error as error:
                self.wrong(f"{stream.name} cannot be read: {error}")
                continue
            self._compare_table(project, stream, stored, nulls=self._not_given(stream))

    def _compare_table(self, project: Project, stream: Stream, stored: Sequence[Row], *, nulls: frozenset[str]) -> None:
        """Compare a table; in the columns ``nulls`` a null may stand for anything."""
        columns = [f.name for f in stream.columns(self.fields[stream.name])]
        wanted = self._wanted(project, stream, columns)
        shown = [{name: row.get(name, "no such column") for name in columns} for row in stored]
        if stream.verb == "upsert":  # what is not listed any more stays
            keys = {tuple(row[k] for k in stream.keys) for row in wanted}
            if self.toggled:
                shown = [row for row in shown if tuple(row[k] for k in stream.keys) in keys]
        if nulls:
            have = {tuple(row[k] for k in stream.keys): row for row in shown}
            wanted = [_nulled(row, have.get(tuple(row[k] for k in stream.keys), {}), nulls) for row in wanted]
        found = differences(shown, wanted, stream.keys)
        self.figures.compared += 1
        self.figures.rows += len(wanted)
        self.figures.cells += len(wanted) * len(columns)
        if found:
            self.wrong(f"{stream.name}: {found}")

    def _not_given(self, stream: Stream) -> frozenset[str]:
        """Return the fields of which the last import warned that TikTok does not give them."""
        events = [json.loads(line) for line in self.said.splitlines() if line.startswith("{")]
        told = [e["message"] for e in events if e.get("event") == "warned" and e["object"] == stream.name]
        return frozenset(re.findall(r"\w+", " ".join(told)))

    def _wanted(self, project: Project, stream: Stream, columns: Sequence[str]) -> list[Row]:
        found: list[Row] = []
        for account in project.server.advertiser_ids:
            found += expected(
                self.world,
                stream,
                account,
                columns,
                start=self.start,
                include_deleted=self.include_deleted,
                top_view_at_advertiser=self.rules.top_view_at_advertiser,
            )
        return found


def _nulled(wanted: Row, stored: Row, nulls: frozenset[str]) -> Row:
    return {n: None if n in nulls and stored.get(n, value) is None else value for n, value in wanted.items()}


def main(words: Sequence[str]) -> int:
    """Tell stories; return 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks break", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20, help="how many stories")
    parser.add_argument("--story", type=int, help="tell only this one, and keep its folder")
    chosen = parser.parse_args(words)
    figures, began = Figures(), time.monotonic()
    numbers = range(chosen.runs) if chosen.story is None else [chosen.story]
    for number in numbers:
        folder = Path(tempfile.mkdtemp(prefix="owox-break-"))
        Story(chosen.seed, number, figures, folder).tell()
        figures.stories += 1
        if chosen.story is None:
            shutil.rmtree(folder)
        else:
            print(f"kept in {folder}")
    print(f"{figures.stories} stories, {figures.imports} imports in {time.monotonic() - began:.0f} s, DuckDB", end=" ")
    print(f"{duckdb.__version__}, {figures.compared} tables compared: {figures.rows:,} rows, {figures.cells:,} cells")
    for kind, times in sorted(figures.kinds.items()):
        print(f"  {times:5}  {kind}")
    print(f"{len(figures.wrong)} wrong")
    return 1 if figures.wrong else 0
