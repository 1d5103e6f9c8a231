"""See over weeks that what is kept of days is true, and what checks cost: ``python -m benchmarks proofs --seed 1``.

Two parts, over real HTTP to the emulator of TikTok, into a destination that ``--into`` names.

    kills    an import is killed at any moment, again and again, while TikTok's numbers move on: after each kill the
             kept sums of each day are those of its table, and the kept changes lead back to every earlier sum
    budget   imports once a day and every hour: what checks take stays within their share of all requests, and
             something of every account is confirmed within two days, or two hours

Everything follows from the seed, but for where a kill strikes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from owox_tiktok.dialects import DUCKDB, POSTGRESQL, Dialect
from owox_tiktok.dialects import bigquery as bigquery_dialect
from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.kept import RESTATEMENTS, days_of
from tests.helpers import Project, process_environment

OBJECTS = ("ad_report_daily", "campaign_report_daily")
BEGAN = datetime(2026, 2, 10, 13, tzinfo=UTC)
SUMS = ("rows", "spend", "impressions", "clicks", "conversion")
SLACK = 16
"""So many requests the last check of a run may take more than its share: where a day is wrong, it asks which."""

Key = tuple[str, str, date]
"""An object, an account and a day."""
Sums = dict[Key, tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """A destination: its address, its dialect, and how to ask it from outside."""

    address: str
    dialect: Dialect
    ask: Callable[[str], list[tuple[Any, ...]]]
    newest: str = ""

    def table(self) -> Sums:
        """Return the sums of the rows as they stand there."""
        found: Sums = {}
        for name in OBJECTS:
            sums = "COUNT(*), SUM(spend), SUM(impressions), SUM(clicks), SUM(conversion)"
            table = self.dialect.table(STREAMS[name].table)
            for account, day, *rest in self.ask(
                f"SELECT advertiser_id, stat_time_day, {sums} FROM {table} GROUP BY advertiser_id, stat_time_day"
            ):
                found[name, account, day] = tuple(rest)
        return found

    def kept(self) -> Sums:
        """Return the sums that are kept of days which have rows."""
        names = ", ".join(map(self.dialect.name, SUMS))
        rows = self.ask(f"SELECT object, advertiser_id, day, {names} FROM {days_of(self.dialect, self.newest)} AS days")
        return {(name, account, day): tuple(rest) for name, account, day, *rest in rows if rest[0]}

    def changes(self) -> list[tuple[datetime, Key, tuple[Any, ...]]]:
        """Return when the sums of a day changed, and what they were before; the last change first."""
        names = ", ".join(self.dialect.name(f"{n}_before") for n in SUMS)
        rows = self.ask(f"SELECT seen_at, object, advertiser_id, day, {names} FROM {self.dialect.table(RESTATEMENTS)}")
        found = [(at.astimezone(UTC), (name, account, day), tuple(rest)) for at, name, account, day, *rest in rows]
        return sorted(found, key=lambda one: one[0], reverse=True)


@contextmanager
def place(into: str, folder: Path) -> Iterator[Place]:
    """Open a new place of a kind: duckdb, postgresql or bigquery (the emulator)."""
    if into == "postgresql":
        from tests import postgresql

        kit = postgresql.PostgreSQLKit(folder, f"proofs_{uuid.uuid4().hex[:8]}")
        yield Place(kit.address, POSTGRESQL, kit.run)
    elif into == "bigquery":
        from tests import bigquery

        os.environ["BIGQUERY_API_URL"] = bigquery.begin()
        dataset = f"d_{uuid.uuid4().hex}"
        dialect = bigquery_dialect(bigquery.PROJECT, dataset)
        yield Place(f"bigquery://{bigquery.PROJECT}/{dataset}", dialect, bigquery.query, "written_at")
    else:
        file = folder / "proofs.duckdb"

        def ask(sql: str) -> list[tuple[Any, ...]]:
            with duckdb.connect(str(file)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                return connection.execute(sql).fetchall()

        yield Place(f"duckdb:///{file}", DUCKDB, ask)


@dataclass
class Figures:
    """What was done and what was wrong."""

    killed: int = 0
    compared: int = 0
    changes: int = 0
    requests: dict[str, tuple[int, int]] = field(default_factory=dict)
    latest: dict[str, timedelta] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


# --- kills ------------------------------------------------------------------------------------------------------------


def kills(seed: int, wanted: int, into: str, figures: Figures) -> None:
    """Kill imports, and compare what is kept with what is there after each."""
    chance = random.Random(f"{seed}/kills/{into}")
    world = World(seed=seed, advertisers=3, campaigns=3, ad_groups=4, ads=6, as_of=BEGAN, late_data=True)
    folder = Path(tempfile.mkdtemp(prefix="owox-proofs-"))
    with serve(world) as server, place(into, folder) as there:
        project = Project(folder, server)
        start = BEGAN.date() - timedelta(days=20)
        project.say = {"objects": list(OBJECTS), "destination": there.address, "start_date": f"{start}"}
        began = time.monotonic()
        project.cli("import", str(project.write()))
        longest_s = time.monotonic() - began
        earlier: list[tuple[datetime, Sums]] = []
        while figures.killed < wanted:
            world.as_of = world.now() + timedelta(hours=chance.choice((1, 5, 11, 26)))
            if chance.random() < 0.5:  # a day of old that is not read any more is not among them
                days_ago = chance.randrange(1, 6)
                account = chance.choice(world.advertiser_ids)
                world.restate(account, world.now().date() - timedelta(days=days_ago), chance.randrange(80, 130))
            figures.killed += _kill(project, chance.uniform(0.4, 1.3) * longest_s)
            table, kept = there.table(), there.kept()
            figures.compared += len(table)
            if differ := [key for key in {**table, **kept} if kept.get(key) != table.get(key)]:
                figures.wrong.append(f"{into}: after kill {figures.killed} what is kept of {differ[0]} is another sum")
            earlier.append((world.now(), table))
        changes, now = there.changes(), there.table()
        figures.changes += len(changes)
        for moment, sums in earlier:
            state = dict(now)
            for at, key, before in changes:
                if at > moment:
                    state[key] = before
            if differ := [key for key in sums if state.get(key) != sums[key]]:
                figures.wrong.append(f"{into}: changes lead {differ[0]} back to another sum than at {moment}")
    shutil.rmtree(folder)


def _kill(project: Project, after_s: float) -> bool:
    """Start an import and kill it after so long; False where it was done before."""
    process = subprocess.Popen(
        project.command("import", str(project.write())),
        cwd=project.folder,
        env=process_environment(project.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


# --- budget -----------------------------------------------------------------------------------------------------------


def budget(seed: int, days: int, into: str, figures: Figures) -> None:
    """Import for so many days, once a day and then every hour, and see what checks cost and what is confirmed."""
    for what, step, limit in (("daily", timedelta(days=1), timedelta(days=2)),
                              ("hourly", timedelta(hours=1), timedelta(hours=2))):  # fmt: skip
        world = World(seed=seed, advertisers=5, campaigns=2, ad_groups=2, ads=3, as_of=BEGAN)
        folder = Path(tempfile.mkdtemp(prefix="owox-proofs-"))
        with serve(world) as server, place(into, folder) as there:
            project = Project(folder, server)
            start = BEGAN.date() - timedelta(days=90)
            project.say = {"objects": list(OBJECTS), "destination": there.address, "start_date": f"{start}"}
            reading = checking = 0
            kept = days_of(there.dialect, there.newest)
            while world.now() < BEGAN + timedelta(days=days):
                finished = project.import_().finished
                reading, checking = reading + finished.requests, checking + finished.proof.requests
                if checking > 0.05 * reading + SLACK:
                    figures.wrong.append(f"{into}, {what}: {checking} requests to check for {reading} to read")
                for account, at in there.ask(
                    f"SELECT advertiser_id, MAX(verified_at) FROM {kept} AS days GROUP BY advertiser_id"
                ):
                    waited = world.now() - at.astimezone(UTC)
                    figures.latest[what] = max(waited, figures.latest.get(what, waited))
                    if waited > limit:
                        figures.wrong.append(f"{into}, {what}: nothing of {account} is confirmed since {at}")
                world.as_of = world.now() + step
            had = figures.requests.get(what, (0, 0))
            figures.requests[what] = (had[0] + reading, had[1] + checking)
            ((never,),) = there.ask(
                f"SELECT COUNT(*) FROM {kept} AS days WHERE verified_at IS NULL "
                f"AND day < DATE '{BEGAN.date() + timedelta(days=days - 4)}'"
            )
            if never:
                figures.wrong.append(f"{into}, {what}: {never} days were never confirmed")
        shutil.rmtree(folder)


def main(words: Sequence[str]) -> int:
    """Kill imports and let weeks go by; return 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks proofs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", choices=("duckdb", "postgresql", "bigquery"), default="duckdb")
    parser.add_argument("--kills", type=int, default=100, help="how many")
    parser.add_argument("--days", type=int, default=60, help="how many days go by")
    chosen = parser.parse_args(words)
    figures, began = Figures(), time.monotonic()
    if chosen.kills:
        kills(chosen.seed, chosen.kills, chosen.into, figures)
        print(
            f"{chosen.into}: {figures.killed} kills, {figures.compared:,} kept sums of days compared with their rows,"
        )
        print(f"{figures.changes:,} changes lead back to each earlier sum ({time.monotonic() - began:.0f} s)")
    if chosen.days:
        budget(chosen.seed, chosen.days, chosen.into, figures)
        for what, (reading, checking) in figures.requests.items():
            share, waited = 100 * checking / reading, figures.latest[what]
            print(f"{chosen.into}, {what}, {chosen.days} days: {reading:,} requests to read, {checking:,} to check")
            print(f"(+{share:.1f} %), something of every account confirmed within {waited}")
    for one in figures.wrong[:20]:
        print(f"  wrong: {one}")
    print(f"{len(figures.wrong)} wrong in {time.monotonic() - began:.0f} s")
    return 1 if figures.wrong else 0
