"""What the tests share: a project (folder, server, YAML file, DuckDB file), typed rows, and the oracle's rows.

The conversion from the oracle's wire values is written here a second time, on purpose: the tests must not ask the
code under test what is right.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from owox_tiktok import app, config_file, settings
from owox_tiktok.events import Event, Failed, Finished, Warned
from owox_tiktok.local.tiktok import Server, World, centers, insights, more_lists, oracle, shop
from owox_tiktok.local.tiktok.api import LISTS
from owox_tiktok.local.tiktok.assets import entity_rows
from owox_tiktok.model import Destination, Field, Kind, Stream
from owox_tiktok.streams import STREAMS
from owox_tiktok.streams import metrics as catalogue

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
START = date(2026, 1, 28)
"""With NOW this makes 33 days: two windows of a daily report."""

Row = dict[str, Any]

_PATHS = {
    f"{path}/"
    for paths in (
        LISTS,
        shop.PATHS,
        centers.OF_CENTERS,
        centers.OF_CREATIVES,
        centers.REVIEWS,
        insights.PATHS,
        more_lists.PATHS,
    )
    for path in paths
} | {
    "bc/balance/get/",
    "advertiser/info/",
    "oauth2/advertiser/get/",
    "report/integrated/get/",
}
SERVED = [stream for stream in STREAMS.values() if stream.path in _PATHS]
"""The streams whose endpoint the emulator has."""


@dataclass
class Ran:
    """What an import said while it ran."""

    finished: Finished
    events: list[Event]

    @property
    def exit_code(self) -> int:
        return self.finished.exit_code

    @property
    def failures(self) -> list[Failed]:
        return [e for e in self.events if isinstance(e, Failed)]

    @property
    def warnings(self) -> list[str]:
        return [e.message for e in self.events if isinstance(e, Warned)]


@dataclass
class Project:
    """A folder with a configuration and a DuckDB file, and the server it reads from. ``say`` holds the YAML's lines."""

    folder: Path
    server: Server
    name: str = "tiktok"
    say: dict[str, Any] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.folder / f"{self.name}.duckdb"

    @property
    def environment(self) -> dict[str, str]:
        emulators = {name: os.environ[name] for name in ("BIGQUERY_API_URL", "SHEETS_API_URL") if name in os.environ}
        return emulators | {
            "TIKTOK_API_URL": self.server.url,
            "TIKTOK_ACCESS_TOKEN": self.server.token,
            "TIKTOK_APP_ID": self.server.app_id,
            "TIKTOK_APP_SECRET": self.server.app_secret,
        }

    def write(self, **more: Any) -> Path:
        """Write the YAML file (JSON is YAML); what is None is left out."""
        says: dict[str, Any] = {
            "access_token": "${TIKTOK_ACCESS_TOKEN}",
            "advertiser_ids": self.server.advertiser_ids,
            "start_date": START.isoformat(),
            "objects": ["ad_report_daily"],
            "requests_per_second": 1000,
            "destination": f"duckdb:///{self.database}",
            "app_id": "${TIKTOK_APP_ID}",
            "app_secret": "${TIKTOK_APP_SECRET}",
            **self.say,
            **more,
        }
        path = self.folder / f"{self.name}.yaml"
        path.write_text(json.dumps({k: v for k, v in says.items() if v is not None}, indent=1), encoding="utf-8")
        return path

    def settings(self, now: datetime, **more: Any) -> settings.Settings:
        return config_file.read_file(self.write(**more), now=now, environment=self.environment)

    def import_(
        self,
        *,
        now: datetime | None = None,
        backfill: tuple[date, date] | None = None,
        only: str = "",
        open_: Callable[[str], Destination] | None = None,
        **more: Any,
    ) -> Ran:
        """Run an import in this process, at the world's clock unless given another."""
        moment = now or self.server.world.now()
        events: list[Event] = []
        chosen = app.only(self.settings(moment, **more), [only] if only else [])
        finished = app.import_(
            chosen, now=moment, listen=events.append, backfill=backfill, environment=self.environment, open_=open_
        )
        return Ran(finished, events)

    def command(self, *words: str, now: bool = True) -> list[str]:
        """The command line of this project; ``now`` fixes its clock to the world's."""
        clock = ["--now", self.server.world.now().isoformat()] if now else []
        return [sys.executable, "-m", "owox_tiktok", *words, *clock]

    def cli(self, *words: str, now: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a process of its own, in the project's folder."""
        return subprocess.run(
            self.command(*words, now=now),
            cwd=self.folder,
            env=process_environment(self.environment | environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def table(self, stream: str | Stream) -> list[Row]:
        return table(self.database, stream)

    def cursors(self) -> dict[tuple[str, str], tuple[date | None, date | None]]:
        """``since`` and ``through`` of every pair."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute("SELECT object, advertiser_id, since, through FROM _owox_tiktok_cursors")
            return {(name, advertiser): (since, through) for name, advertiser, since, through in found.fetchall()}

    def wrong(self, stream: str | Stream, *, start: date = START, include_deleted: bool = True) -> list[str]:
        """Every difference between the stored table and what TikTok has now, all advertisers together."""
        stream = STREAMS[stream] if isinstance(stream, str) else stream
        stored = self.table(stream)
        names = [name for name in columns_of(self.database, stream) if name in stream.fields]
        wanted = [
            row
            for advertiser_id in self.server.advertiser_ids
            for row in expected(
                self.server.world, stream, advertiser_id, names, start=start, include_deleted=include_deleted
            )
        ]
        return differences(stored, wanted, stream.keys)


def process_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anything of TikTok's, and ``more``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TIKTOK", "OWOX"))}
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(more)


# --- what is stored ---------------------------------------------------------------------------------------------------


def columns_of(database: Path, stream: Stream) -> list[str]:
    """The columns of a table, but for those that say when a row was written."""
    with duckdb.connect(str(database), read_only=True) as connection:
        found = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = $1 ORDER BY column_index", [stream.table]
        )
        return [name for (name,) in found.fetchall() if not name.startswith("_")]


def table(database: Path, stream: str | Stream) -> list[Row]:
    """The rows of a stream's table as Python values: Decimal, int, bool, date, aware datetimes, JSON's own.

    A person's own columns are left out.
    """
    stream = STREAMS[stream] if isinstance(stream, str) else stream
    names = [name for name in columns_of(database, stream) if name in stream.fields]
    kinds = {name: stream.fields[name].kind for name in names}
    picked = [
        f"""CAST("{n}" AT TIME ZONE 'UTC' AS TIMESTAMP)""" if kinds[n] is Kind.INSTANT else f'"{n}"' for n in names
    ]
    with duckdb.connect(str(database), read_only=True) as connection:
        rows = connection.execute(f"SELECT {', '.join(picked)} FROM {stream.table}").fetchall()
    return [{n: _stored(kinds[n], v) for n, v in zip(names, row, strict=True)} for row in rows]


def _stored(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.INSTANT:
        return value.replace(tzinfo=UTC)
    return json.loads(value, parse_float=Decimal) if kind is Kind.JSON else value


# --- what should be stored --------------------------------------------------------------------------------------------


def expected(
    world: World,
    stream: Stream,
    advertiser_id: str,
    names: Iterable[str],
    *,
    start: date = START,
    last: date | None = None,
    include_deleted: bool = True,
    top_view_at_advertiser: bool = True,
) -> list[Row]:
    """The rows of ``stream`` of one advertiser with the columns ``names``, from the oracle, typed."""
    advertiser = world.advertiser(advertiser_id)
    fields = [stream.fields[name] for name in names]
    if stream.is_report:
        assert stream.level is not None
        assert stream.report_type is not None
        today = world.today(advertiser)[0]
        rows = [
            {**row, "first_day": first, "last_day": until}
            for first, until in periods(stream, start, min(last or today, today))
            for row in oracle.report_rows(
                world,
                advertiser_id,
                stream.level,
                stream.dimensions,
                [f.name for f in fields if f.origin == "metric"],
                first,
                until,
                report_type=stream.report_type,
                include_deleted=include_deleted,
                lifetime=stream.time is None and stream.report_type == "BASIC",
                top_view_at_advertiser=top_view_at_advertiser,
            )
        ]
    elif stream.listing and stream.listing.info:
        today = world.today(advertiser)[0]
        metrics = [f.name for f in fields if f.name in catalogue()]
        rows = oracle.creative_rows(world, advertiser_id, stream.name, metrics, start, min(last or today, today))
    elif stream.name in ("video_insights", "creative_fatigue"):
        today = world.today(advertiser)[0]
        rows = oracle.insight_rows(world, advertiser_id, stream.name, start, min(last or today, today))
    elif f"{stream.path}".rstrip("/") in more_lists.PATHS:
        today = world.today(advertiser)[0]
        rows = oracle.more_rows(world, advertiser_id, stream.name)
        if stream.span_days:
            oldest = max(start, today - timedelta(days=stream.span_days - 1))
            moments = [datetime.fromtimestamp(row["create_time"], UTC).date() for row in rows]
            rows = [row for row, day in zip(rows, moments, strict=True) if oldest <= day <= today]
    elif stream.name == "bc_report_daily":
        rows = oracle.center_report_rows(world, advertiser_id, start, last or world.today(advertiser)[0])
    elif stream.family == "money" or (stream.listing and stream.listing.by_id):
        rows = oracle.center_rows(world, "" if stream.per_app else advertiser_id, stream.name)
        if stream.per_app:
            mine = (advertiser_id, centers.BC_ID if advertiser_id == world.advertiser_ids[0] else "")
            rows = [row for row in rows if row["advertiser_id"] in mine]
    elif stream.listing and stream.listing.each:
        today = world.today(advertiser)[0]
        asked = [f.name for f in fields if f.name not in stream.keys and f.origin != "ours"]
        until, fixed = min(last or today, today), dict(stream.listing.filters)
        rows = oracle.shop_rows(
            world, advertiser_id, stream.name, stream.listing.dimensions, asked, start, until, fixed
        )
    else:
        rows = oracle.entity_rows(world, advertiser_id, stream.name, include_deleted)
        if stream.name == "advertisers":  # one of its fields comes only when it is named, and we name every field
            rows = entity_rows(world, advertiser_id, stream.name, fields=frozenset(f.name for f in fields))
        for name, path in (stream.listing.lifted if stream.listing else {}).items():
            first, second = path.split(".")
            rows = [{**row, name: row[first][second]} for row in rows]
    ours = {"advertiser_id": "" if stream.per_app else advertiser_id, "currency": advertiser.currency}
    return [
        {
            f.name: ours.get(f.name, row.get(f.name)) if f.origin == "ours" else typed_wire(f, row.get(f.name))
            for f in fields
        }
        for row in rows
    ]


def periods(stream: Stream, start: date, last: date) -> list[tuple[date, date]]:
    """The ranges of days that a stream has rows about: its weeks (from Monday) or months, or all days at once."""
    if stream.period is None:
        return [(start, last)]
    days = [start + timedelta(days=n) for n in range(-31, (last - start).days + 1)]
    of: dict[tuple[int, int], list[date]] = {}
    for day in days:
        of.setdefault(day.isocalendar()[:2] if stream.period == "week" else (day.year, day.month), []).append(day)
    return [(found[0], found[-1]) for found in of.values() if found[-1] >= start]


def typed_wire(field: Field, value: Any) -> Any:
    """A wire value (or the oracle's) as the value a person expects in the table."""
    if value is None or (value == "-" and field.origin == "metric"):
        return None
    match field.kind:
        case Kind.MONEY | Kind.RATE:
            return None if value in ("", "-") else Decimal(str(value))
        case Kind.COUNT:
            return None if value in ("", "-") else int(value)
        case Kind.BOOLEAN:
            return value if isinstance(value, bool) else None if value == "" else str(value).lower() in ("true", "1")
        case Kind.INSTANT:
            if isinstance(value, int):
                return datetime.fromtimestamp(value, UTC) if value else None
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        case Kind.JSON:
            return json.loads(json.dumps(value), parse_float=Decimal)
        case Kind.DAY | Kind.HOUR if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.date() if field.kind is Kind.DAY else moment
        case Kind.ID:
            return str(value) if value != "" else None
        case Kind.TEXT:
            return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
        case _:
            return value


def differences(stored: Sequence[Row], wanted: Sequence[Row], keys: Sequence[str], most: int = 8) -> list[str]:
    """In words, and at most so many: rows missing, twice or too many, and cells that differ. Empty when equal."""
    found: list[str] = []

    def by_key(rows: Sequence[Row], what: str) -> dict[tuple[Any, ...], Row]:
        known: dict[tuple[Any, ...], Row] = {}
        for row in rows:
            key = tuple(row[k] for k in keys)
            if key in known:
                found.append(f"{what} twice: {key}")
            known[key] = row
        return known

    have, want = by_key(stored, "stored"), by_key(wanted, "expected")
    found += [f"missing: {key}" for key in want.keys() - have.keys()]
    found += [f"too many: {key}" for key in have.keys() - want.keys()]
    for key in want.keys() & have.keys():
        found += [
            f"{key} {name}: stored {have[key].get(name)!r}, TikTok has {value!r}"
            for name, value in want[key].items()
            if have[key].get(name) != value
        ]
    return found[:most] + ([f"… {len(found)} differences"] if len(found) > most else [])


def in_order(rows: Iterable[Row]) -> list[str]:
    """Rows as comparable texts in one order, to compare two tables without regard to theirs."""
    return sorted(repr(sorted(row.items())) for row in rows)
