"""Keep the history of lists over many days, with kills, and compare it: ``python -m benchmarks history --seed 1``.

A story is a database with some lists of a small world and their history, all from a seed. Hours or days go by; people
rename, switch off, delete and restore what is listed, or change nothing; a field is chosen later, deleted ones are left
out for a while, a clock is set back. Imports are killed at any statement (DuckDB, PostgreSQL) or request (BigQuery),
before or after it has arrived, and in BigQuery two of them start at once. What a killed one has committed counts.

After each import the history must be what the readings say, row by row and moment by moment:

*   no key has two open versions, no two versions of a key overlap, and none repeats the one before it;
*   the open versions are the list as it was read last;
*   for every day, the view of that day has the list as it was read last until the end of that day.

``--story N`` repeats a single one, ``--into duckdb`` or so tries one database alone.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.bigquery_breaking import Killed, killed
from owox_tiktok import app
from owox_tiktok.config_file import read_file
from owox_tiktok.destinations import open_destination
from owox_tiktok.destinations.bigquery import BigQuery
from owox_tiktok.destinations.duckdb import DuckDB
from owox_tiktok.destinations.postgresql import PostgreSQL
from owox_tiktok.dialects import DUCKDB, POSTGRESQL
from owox_tiktok.errors import Problem
from owox_tiktok.events import Event, Finished
from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.model import Destination, Kind, Stream
from owox_tiktok.streams import STREAMS
from tests import bigquery as emulator
from tests import postgresql
from tests.helpers import Project, expected

FIELDS = {
    "campaigns": ["campaign_name", "budget", "operation_status", "special_industries"],
    "ad_groups": ["adgroup_name", "bid_price", "skip_learning_phase", "location_ids"],
    "ads": ["ad_name", "secondary_status", "create_time"],
}
"""Lists with fields of every kind, and few of them."""
LATER = {"campaigns": "objective_type", "ad_groups": "budget", "ads": "modify_time"}
"""A field that is chosen later."""
START = datetime(2026, 2, 16, 10, tzinfo=UTC)
ENDS = ("valid_from", "valid_to", "valid_from_day", "valid_to_day")

Key = tuple[str, str]
Row = tuple[Any, ...]
"""The values of the fields, in their order; a field that was not chosen yet is None."""
Version = tuple[Key, Row, datetime, datetime | None, date, date | None]


@dataclass
class Figures:
    """What happened in all stories."""

    stories: int = 0
    imports: int = 0
    killed: int = 0
    readings: int = 0
    versions: int = 0
    days: int = 0
    """Days of lists that were compared with the view."""
    happened: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Read:
    """A list of an account as it was read: when, on which day of the account, and what it had."""

    at: datetime
    day: date
    rows: Mapping[Key, Row]


class Place:
    """A database that keeps histories, and how one looks at it."""

    views = True

    def __init__(self, folder: Path, name: str) -> None:
        self.address, self.environment = f"duckdb:///{folder / name}.duckdb", dict[str, str]()
        self._file = folder / f"{name}.duckdb"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as a person may ask it."""
        with duckdb.connect(str(self._file), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def table(self, name: str) -> str:
        """Return a table's name as a query has it."""
        return DUCKDB.table(name)

    def view(self, name: str) -> str:
        """Return what stands behind FROM for a view."""
        return self.table(name)

    def moment(self, column: str) -> str:
        """Return what to select for a moment, so that Python gets UTC."""
        return f"CAST({column} AT TIME ZONE 'UTC' AS TIMESTAMP)"

    def kill(self, destination: Any, at: int, *, sent: bool) -> None:
        """Let a destination die at a statement: the connection is gone, and what was not committed with it."""
        assert isinstance(destination, DuckDB | PostgreSQL)
        destination.connection = _Mortal(destination.connection, at, sent=sent)  # type: ignore[assignment]

    def close(self) -> None:
        """Nothing goes with it."""


class _PostgreSQL(Place):
    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self._kit = postgresql.PostgreSQLKit(folder, f"h_{name}")
        self.address = self._kit.address

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self._kit.run(sql)

    def table(self, name: str) -> str:
        return POSTGRESQL.table(name)

    def close(self) -> None:
        self._kit.run(f"DROP SCHEMA {self._kit.schema} CASCADE")


class _BigQuery(Place):
    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.environment = {"BIGQUERY_API_URL": emulator.begin()}
        self._dataset = f"d_history_{name}"
        self.address = f"bigquery://{emulator.PROJECT}/{self._dataset}"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return emulator.query(sql)

    def table(self, name: str) -> str:
        return f"`{emulator.PROJECT}.{self._dataset}.{name}`"

    def view(self, name: str) -> str:
        # The emulator keeps the new query of a view that is there, and answers by the old one.
        return f"({emulator.client().get_table(self.table(name).strip('`')).view_query})"

    def moment(self, column: str) -> str:
        return column

    def kill(self, destination: Any, at: int, *, sent: bool) -> None:
        assert isinstance(destination, BigQuery)
        killed(destination, at, sent=sent)


PLACES: Mapping[str, tuple[type[Place], str, tuple[int, int]]] = {
    "duckdb": (Place, "", (8, 200)),
    "postgresql": (_PostgreSQL, postgresql.missing, (8, 160)),
    "bigquery": (_BigQuery, emulator.missing, (1, 45)),
}
"""Each with why it cannot be tried, and between which statements or requests an import is killed."""


class _Mortal:
    """A connection that ends with its program, at a statement, before or after that has arrived."""

    def __init__(self, real: Any, left: int, *, sent: bool) -> None:
        self._real, self._left, self._sent = real, left, sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _tick(self) -> bool:
        """Whether this is the last statement that arrives."""
        self._left -= 1
        if self._left > 0:
            return False
        if self._left < 0 or not self._sent:
            self._die()
        return True

    def _die(self) -> None:
        self._real.close()
        raise Killed

    def execute(self, *arguments: Any) -> Any:
        last = self._tick()
        done = self._real.execute(*arguments)
        return self._die() if last else done

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        last = self._tick()
        with self._real.cursor() as cursor:
            yield cursor
        if last:
            self._die()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._real.transaction():
            yield
            last = self._tick()
        if last:
            self._die()


class Story:
    """One database, and what happens to it."""

    def __init__(self, into: str, seed: int, number: int, figures: Figures, folder: Path, days: int) -> None:
        self.chance = chance = random.Random(f"{seed}/{number}/{into}")
        self.name = f"story {number} of seed {seed} into {into}"
        self.figures, self.folder, self.days = figures, folder, days
        kind, _, self.kills = PLACES[into]
        self.place = kind(folder, f"{seed}_{number}")
        self.twice = into == "bigquery"
        self.world = World(
            seed=chance.randrange(1000), advertisers=chance.choice((1, 2)), campaigns=3, ad_groups=4, ads=5,
            start=START.date(), as_of=START,
        )  # fmt: skip
        self.streams = [STREAMS[name] for name in chance.sample(list(FIELDS), chance.choice((1, 2)))]
        self.fields = {s.name: list(FIELDS[s.name]) for s in self.streams}
        self.include_deleted = True
        self.began_with_history = chance.random() < 0.7
        self.set_back = False
        """Whether a clock was set back: then the days are not those of the readings."""
        self.readings: dict[tuple[str, str], list[Read]] = {}
        self.said: list[str] = []

    def tell(self) -> None:
        """Let days go by."""
        with serve(self.world) as self.tiktok:
            self.project = Project(self.folder, self.tiktok)
            if not self.began_with_history:
                self._import(history=False)
            until = START + timedelta(days=self.days)
            while self.world.now() < until and not self.figures.wrong:
                self._live()
                self.tiktok.clear_cache()
                killed = self.chance.random() < 0.45
                self._import(kill=killed, twice=self.twice and self.chance.random() < 0.15)
                if not killed or self.chance.random() < 0.5:
                    self._compare()
                hours = self.chance.choice((0.25, 1, 7, 24, 24, 60))
                if self.chance.random() < 0.02:
                    hours, self.set_back = -3, True
                    self._say("clock set back")
                self.world.as_of = self.world.now() + timedelta(hours=hours)
            self._import()
            self._compare(views=self.place.views)
        self.place.close()
        self.figures.stories += 1

    def _say(self, what: str) -> None:
        self.figures.happened[what] += 1
        self.said.append(what)

    # --- what people do -----------------------------------------------------------------------------------------------

    def _live(self) -> None:
        """Let people change things in TikTok, and in the configuration."""
        chance = self.chance
        for _ in range(chance.choice((0, 0, 1, 2, 4))):
            one = chance.choice(self._entities(self.world.advertiser(chance.choice(self.world.advertiser_ids))))
            what = chance.choice(("name", "switch", "delete", "seed"))
            if what == "name":
                one.name = chance.choice((f"renamed {chance.randrange(3)}", one.name, "", 'it\'s "new"\n'))
            elif what == "switch":
                one.enabled = not one.enabled
            elif what == "delete":
                one.deleted = not one.deleted
            else:  # of a few, so that what was once comes back
                one.seed = one.seed // 10 * 10 + chance.randrange(3)
            self._say(what)
        self.world.version += 1
        for stream in self.streams:
            if chance.random() < 0.05 and LATER[stream.name] not in self.fields[stream.name]:
                self.fields[stream.name].append(LATER[stream.name])
                self._say("a field more")
        if chance.random() < 0.07:
            self.include_deleted = not self.include_deleted
            self._say("deleted ones left out" if not self.include_deleted else "deleted ones read")

    @staticmethod
    def _entities(account: Any) -> list[Any]:
        return [*account.campaigns, *account.ad_groups, *account.ads]

    # --- imports ------------------------------------------------------------------------------------------------------

    def _import(self, *, kill: bool = False, twice: bool = False, history: bool = True) -> None:
        """Import, and take down what was read and committed."""
        codes: list[int | None] = []

        def one(die: int) -> None:
            codes.append(self._once(die, history=history))

        at = self.chance.randrange(*self.kills) if kill else 0
        if twice:
            self._say("two at once")
            other = threading.Thread(target=one, args=(0,))
            other.start()
            one(at)
            other.join()
        else:
            one(at)
        self._say(f"import {'killed' if None in codes else codes}")
        self.figures.killed += codes.count(None)
        if history:
            self._take_down(complete=0 in codes)
        if not kill and not twice and codes != [0]:
            self._report(f"an undisturbed import ends with {codes}")

    def _once(self, kill_at: int, *, history: bool) -> int | None:
        now = self.world.now()
        environment = {**self.project.environment, **self.place.environment}
        path = self.folder / f"{threading.get_ident()}.yaml"
        self.project.name = path.stem
        self.project.write(
            destination=self.place.address, objects=[s.name for s in self.streams], fields=self.fields,
            start_date=f"{START:%Y-%m-%d}", history=history or None, include_deleted=self.include_deleted,
            views=self.place.views,
        )  # fmt: skip
        events: list[Event] = []

        def open_(address: str) -> Destination:
            opened = open_destination(address, environment=environment)
            if kill_at:
                self.place.kill(opened, kill_at, sent=self.chance.random() < 0.5)
            return opened

        settings = read_file(path, now=now, environment=environment)
        self.figures.imports += 1
        try:
            app.import_(settings, now=now, listen=events.append, environment=environment, open_=open_)
        except Killed:
            return None
        except Problem as problem:
            self.said.append(problem.sentence[:1000])
            return 1
        finished = [e for e in events if isinstance(e, Finished)][-1]
        self.said += [str(e)[:1000] for e in events if finished.exit_code and type(e).__name__ == "Failed"][:2]
        return finished.exit_code

    def _take_down(self, *, complete: bool) -> None:
        """Note the lists whose cursor was moved by what was just done: their rows and history came with it."""
        now = self.world.now()
        with open_destination(self.place.address, read_only=True, environment=self.place.environment) as opened:
            cursors = opened.cursors()
        for stream in self.streams:
            for account in self.world.advertisers:
                known = cursors.get((stream.name, account.id))
                before = self.readings.setdefault((stream.name, account.id), [])
                if known and known.cursor and known.cursor.read_at == now and (not before or before[-1].at != now):
                    before.append(Read(now, self.world.today(account)[0], self._listed(stream, account.id)))
                    self.figures.readings += 1
                elif complete and not (before and before[-1].at == now):
                    self._report(f"{stream.name} of {account.id} was not read by an import that says Done")

    def _listed(self, stream: Stream, account: str) -> dict[Key, Row]:
        names = [*stream.keys, *self.fields[stream.name]]
        listed = expected(self.world, stream, account, names, include_deleted=self.include_deleted)
        return {
            (account, row[stream.keys[1]]): self._as_one(stream, [row.get(n) for n in self._columns(stream)])
            for row in listed
        }

    # --- what is there ------------------------------------------------------------------------------------------------

    @staticmethod
    def _columns(stream: Stream) -> list[str]:
        return [*FIELDS[stream.name], LATER[stream.name]]

    def _as_one(self, stream: Stream, values: list[Any]) -> Row:
        """The values so that those of the list and those of the database can be compared."""
        found: list[Any] = []
        for name, value in zip(self._columns(stream), values, strict=True):
            if stream.fields[name].kind is Kind.JSON:
                text = json.dumps(json.loads(value) if isinstance(value, str) else value)
                found.append(None if text == "null" else text)
            else:
                found.append(_aware(value) if isinstance(value, datetime) else value)
        return tuple(found)

    def _picked(self, stream: Stream, there: set[str]) -> str:
        """Return what to select for the columns of a list; of those that were never chosen null."""
        picked = []
        for name in self._columns(stream):
            kind = stream.fields[name].kind
            quoted = f"TO_JSON_STRING({name})" if kind is Kind.JSON and self.twice else name
            quoted = f"CAST({name} AS VARCHAR)" if kind is Kind.JSON and not self.twice else quoted
            quoted = self.place.moment(name) if kind is Kind.INSTANT else quoted
            picked.append(quoted if name in there else "NULL")
        return ", ".join(picked)

    def _there(self, stream: Stream) -> set[str]:
        """Return the columns that were ever chosen."""
        return {*FIELDS[stream.name], *self.fields[stream.name]}

    def _versions(self, stream: Stream) -> list[Version]:
        ends = [self.place.moment(e) if e in ENDS[:2] else e for e in ENDS]
        key = stream.keys[1]
        found = self.place.query(
            f"SELECT advertiser_id, {key}, {', '.join(ends)}, {self._picked(stream, self._there(stream))} "
            f"FROM {self.place.table(f'{stream.table}_history')}"
        )
        return [
            ((a, k), self._as_one(stream, list(values)), _aware(at), to and _aware(to), first, last)
            for a, k, at, to, first, last, *values in found
        ]

    def _compare(self, *, views: bool = False) -> None:
        for stream in self.streams:
            if not any(self.readings.get((stream.name, a.id)) for a in self.world.advertisers):
                continue
            versions = self._versions(stream)
            self.figures.versions += len(versions)
            self._look_for_what_cannot_be(stream, versions)
            if not self.set_back:
                self._compare_versions(stream, versions)
            if views and not self.set_back:
                self._compare_days(stream)

    def _look_for_what_cannot_be(self, stream: Stream, versions: list[Version]) -> None:
        by_key: dict[Key, list[Version]] = {}
        for version in sorted(versions, key=lambda v: (v[2], v[3] or datetime.max.replace(tzinfo=UTC))):
            by_key.setdefault(version[0], []).append(version)
        for key, of in by_key.items():
            if sum(1 for v in of if v[3] is None) > 1:
                self._report(f"{stream.name} {key} has two open versions: {of}")
            for before, after in pairwise(of):
                if before[3] is None or before[3] > after[2] or before[5] is None or before[5] > after[4]:
                    self._report(f"{stream.name}: versions of {key} overlap: {before}, {after}")
                if before[1] == after[1] and before[3] == after[2]:
                    self._report(f"{stream.name}: a version of {key} repeats the one before it: {before}, {after}")
        for account in self.world.advertiser_ids:
            if not (readings := self.readings.get((stream.name, account))):
                continue
            last = readings[-1].rows
            open_ = {v[0]: v[1] for v in versions if v[3] is None and v[0][0] == account}
            if open_ != last:
                self._report(f"{stream.name} of {account}: open versions are not the list: {_unlike(open_, last)}")

    def _compare_versions(self, stream: Stream, versions: list[Version]) -> None:
        """Compare with the versions that the readings say there were."""
        for account in self.world.advertiser_ids:
            wanted: set[Version] = set()
            held: dict[Key, tuple[Row, datetime, date]] = {}
            for read in self.readings.get((stream.name, account), []):
                for key in [k for k, (row, _, _) in held.items() if read.rows.get(k) != row]:
                    row, at, day = held.pop(key)
                    wanted.add((key, row, at, read.at, day, read.day))
                for key, row in read.rows.items():
                    held.setdefault(key, (row, read.at, read.day))
            wanted |= {(key, row, at, None, day, None) for key, (row, at, day) in held.items()}
            mine = [v for v in versions if v[0][0] == account]
            if set(mine) != wanted or len(mine) != len(wanted):
                few, many = sorted(map(str, wanted - set(mine))), sorted(map(str, set(mine) - wanted))
                self._report(f"{stream.name} of {account}: versions missing {few[:3]}, too many {many[:3]}")

    def _compare_days(self, stream: Stream) -> None:
        found: dict[tuple[str, date], dict[Key, Row]] = {}
        view, key = self.place.view(f"v_{stream.name}_by_day"), stream.keys[1]
        picked = self._picked(stream, self._there(stream))
        for a, k, day, *values in self.place.query(f"SELECT advertiser_id, {key}, day, {picked} FROM {view} AS v"):
            rows = found.setdefault((a, day), {})
            if (a, k) in rows:
                self._report(f"{stream.name}: {k} is there twice on {day}")
            rows[a, k] = self._as_one(stream, list(values))
        for account in self.world.advertiser_ids:
            readings = self.readings[stream.name, account]
            day, last = readings[0].day, readings[-1].day
            while day <= last:
                was = [r for r in readings if r.day <= day][-1].rows
                if (there := found.pop((account, day), {})) != was:
                    self._report(f"{stream.name} of {account} on {day}: {_unlike(there, was)}")
                day += timedelta(days=1)
                self.figures.days += 1
        if found:
            self._report(f"{stream.name}: days that were not read: {sorted(found)[:3]}")

    def _report(self, what: str) -> None:
        self.figures.wrong.append(f"{self.name}: {what}\n    {'; '.join(self.said[-30:])}")
        print(f"WRONG {self.figures.wrong[-1]}", flush=True)


def _aware(at: datetime) -> datetime:
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _unlike(there: Mapping[Key, Row], wanted: Mapping[Key, Row]) -> str:
    keys = sorted(k for k in {*there, *wanted} if there.get(k) != wanted.get(k))
    return ", ".join(f"{k} is {there.get(k)}, not {wanted.get(k)}" for k in keys[:3])


def run(into: str, seed: int, stories: range, *, days: int = 40) -> Figures:
    """Let stories happen in one kind of database and return what came of them."""
    figures = Figures()
    for number in stories:
        with tempfile.TemporaryDirectory() as folder:
            Story(into, seed, number, figures, Path(folder), days).tell()
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run it and print figures; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks history", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=10, help="how many stories in each database")
    parser.add_argument("--story", type=int, help="only this one")
    parser.add_argument("--days", type=int, default=40, help="how many days each story has")
    parser.add_argument("--into", choices=list(PLACES), help="only this database")
    asked = parser.parse_args(arguments)
    stories = range(asked.runs) if asked.story is None else range(asked.story, asked.story + 1)
    wrong = 0
    for into, (_, missing, _) in PLACES.items():
        if asked.into not in (None, into):
            continue
        if missing:
            print(f"{into}: not run, {missing}")
            continue
        began = time.monotonic()
        figures = run(into, asked.seed, stories, days=asked.days)
        wrong += len(figures.wrong)
        happened = ", ".join(f"{n} {what}" for what, n in figures.happened.most_common())
        print(
            f"{into}: {figures.stories} stories of {asked.days} days, {figures.imports} imports ({figures.killed} "
            f"killed), {figures.readings} readings of lists, {figures.versions:,} versions and {figures.days:,} days "
            f"compared, {len(figures.wrong)} wrong, {time.monotonic() - began:.0f} s\n    {happened}"
        )
    return 1 if wrong else 0
