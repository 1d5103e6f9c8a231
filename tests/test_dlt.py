"""The source for dlt: what it loads is what TikTok has, after a refusal, a later run and a day that became empty."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from owox_tiktok import Incomplete, TikTokAds
from owox_tiktok.dialects import POSTGRESQL
from owox_tiktok.local.tiktok import Server
from owox_tiktok.model import Kind, Stream
from owox_tiktok.streams import STREAMS
from tests import postgresql
from tests.helpers import NOW, Project, Row, differences, expected, process_environment
from tests.postgresql import PostgreSQLKit

dlt = pytest.importorskip("dlt", reason="dlt is not installed (pip install 'owox-tiktok[dlt]')")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SINCE = date(2026, 2, 25)
OBJECTS = ["campaigns", "ad_report_daily", "campaign_report_hourly"]


class Loaded:
    """A pipeline into a DuckDB file, and what is in it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.file, self.server = folder / "dlt.duckdb", server
        self.ads = TikTokAds(
            server.token, server.advertiser_ids, requests_per_second=1000, environment={"TIKTOK_API_URL": server.url}
        )
        self.pipeline = dlt.pipeline(
            "tiktok", pipelines_dir=str(folder / "work"), dataset_name="ads",
            destination=dlt.destinations.duckdb(str(self.file)),
        )  # fmt: skip

    def load(self, **more: Any) -> list[Any]:
        from owox_tiktok.dlt import load

        self.ads._now = self.server.world.now()
        loads: list[Any] = load(
            self.pipeline, ads=self.ads, **{"objects": OBJECTS, "start_date": SINCE, **more}, access_token="-",
            advertiser_ids="-",
        )  # fmt: skip
        return loads

    def run(self, statement: str) -> list[Any]:
        with duckdb.connect(str(self.file)) as connection:
            return connection.execute(statement).fetchall()

    def rows(self, stream: Stream) -> list[Row]:
        names = [
            name
            for (name,) in self.run(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'ads' "
                f"AND table_name = '{stream.name}' ORDER BY ordinal_position"
            )
            if name in stream.fields
        ]
        picked = [
            f"CAST({n} AT TIME ZONE 'UTC' AS TIMESTAMP)" if stream.fields[n].kind is Kind.INSTANT else f'"{n}"'
            for n in names
        ]
        found = self.run(f"SELECT {', '.join(picked)} FROM ads.{stream.name}")
        return [{n: _value(stream.fields[n].kind, v) for n, v in zip(names, row, strict=True)} for row in found]

    def wrong(self) -> list[str]:
        found = []
        for stream in (STREAMS[name] for name in OBJECTS):
            rows = self.rows(stream)
            for one in self.server.advertiser_ids:
                wanted = expected(self.server.world, stream, one, rows[0] if rows else (), start=SINCE)
                found += differences([r for r in rows if r["advertiser_id"] == one], wanted, stream.keys)
        return found


def _value(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.INSTANT:
        return value.replace(tzinfo=UTC)
    return json.loads(value, parse_float=Decimal) if kind is Kind.JSON else value


@pytest.fixture
def loaded(tmp_path: Path, tiktok: Server, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    return Loaded(tmp_path, tiktok)


def test_several_loads_a_refused_account_and_a_later_run_end_as_tiktok_has_it(loaded: Loaded, tiktok: Server) -> None:
    tiktok.faults.forbidden = {tiktok.advertiser_ids[1]}
    with pytest.raises(Incomplete, match=tiktok.advertiser_ids[1]):
        loaded.load(rows_per_load=150)
    assert {row["advertiser_id"] for row in loaded.rows(STREAMS["ad_report_daily"])} == {tiktok.advertiser_ids[0]}
    tiktok.faults.forbidden = set()
    loaded.load()
    assert loaded.wrong() == []
    tiktok.world.as_of = NOW + timedelta(days=2)
    loaded.load()
    assert loaded.wrong() == []
    # Rows that TikTok does not have go with their day, also where the day has no others.
    day = "DATE '2026-02-27'"
    loaded.run(f"UPDATE ads.ad_report_daily SET ad_id = 'x' || ad_id WHERE stat_time_day = {day}")
    loaded.run("UPDATE ads.campaign_report_hourly SET campaign_id = 'x' WHERE stat_time_hour = '2026-02-27 03:00:00'")
    loaded.load(backfill=("2026-02-27", "2026-02-27"), objects=["ad_report_daily", "campaign_report_hourly"])
    assert loaded.wrong() == []


def test_a_day_that_became_empty_takes_its_rows_along(loaded: Loaded, tiktok: Server) -> None:
    before = date(2025, 12, 1)  # the world begins later
    assert not expected(tiktok.world, STREAMS["ad_report_daily"], tiktok.advertiser_ids[0], ["ad_id"], start=before,
                        last=before)  # fmt: skip
    loaded.load(objects=["ad_report_daily"], fields={"ad_report_daily": ["spend"]})
    count = len(loaded.rows(STREAMS["ad_report_daily"]))
    loaded.run(
        "INSERT INTO ads.ad_report_daily (advertiser_id, ad_id, stat_time_day, _dlt_load_id, _dlt_id) "
        f"VALUES ('{tiktok.advertiser_ids[0]}', '1', DATE '{before}', 'x', 'y')"
    )
    loaded.load(
        objects=["ad_report_daily"], fields={"ad_report_daily": ["spend"]}, start_date=before, backfill=(before, before)
    )
    assert len(loaded.rows(STREAMS["ad_report_daily"])) == count


def test_types_keys_and_descriptions_are_ours(loaded: Loaded) -> None:
    from owox_tiktok.dlt import tiktok_ads_source

    source = tiktok_ads_source("-", "-", ads=loaded.ads, objects=OBJECTS, start_date=SINCE)
    daily = source.resources["ad_report_daily"].compute_table_schema()
    assert daily["columns"]["spend"].items() >= {"data_type": "decimal", "precision": 38, "scale": 9}.items()
    assert daily["columns"]["spend"]["description"] == "Amount spent, vouchers included"
    keys = [name for name, column in daily["columns"].items() if column.get("primary_key")]
    assert keys == list(STREAMS["ad_report_daily"].keys)
    assert [n for n, c in daily["columns"].items() if c.get("merge_key")] == ["advertiser_id", "stat_time_day"]


# --- PostgreSQL through dlt -------------------------------------------------------------------------------------------

KILLED = """\
import os, sys, dlt
from datetime import datetime
from owox_tiktok import TikTokAds
from owox_tiktok.dlt import load
TikTokAds._now = datetime.fromisoformat(sys.argv[1])
pipeline = dlt.pipeline("tiktok", pipelines_dir=sys.argv[2], dataset_name=sys.argv[3],
                        destination=dlt.destinations.postgres(sys.argv[4]))
load(pipeline, access_token=os.environ["TIKTOK_ACCESS_TOKEN"], advertiser_ids=sys.argv[6].split(","),
     objects=sys.argv[5].split(","), start_date=sys.argv[7], requests_per_second=1000, rows_per_load=100)
"""


@postgresql.needs_server
def test_postgresql_through_dlt_equals_our_own_tables_after_a_kill_two_refreshes_and_a_new_field(
    tmp_path: Path, tiktok: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "psycopg2", reason="dlt's own driver of PostgreSQL is not installed (pip install 'dlt[postgres]')"
    )
    from owox_tiktok.dlt import load

    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    theirs = f"d_{uuid.uuid4().hex[:12]}"
    kit = PostgreSQLKit(tmp_path, f"s_{uuid.uuid4().hex[:12]}")
    ours = Project(tmp_path, tiktok, say={"objects": OBJECTS, "start_date": str(SINCE), "destination": kit.address})
    url = f"postgresql://{postgresql.USER}:any@127.0.0.1:{kit.server.port}/postgres"
    folder = tmp_path / "work"

    def differing() -> list[Any]:
        """What is in one of the two alone, in our columns and types."""
        found = []
        for stream in (STREAMS[name] for name in OBJECTS):
            columns = {n: POSTGRESQL.types[stream.fields[n].kind] for n in kit.columns(stream) if n in stream.fields}
            mine = ", ".join(f'"{name}"' for name in columns)
            cast = ", ".join(f'CAST("{name}" AS {kind})' for name, kind in columns.items())
            a, b = f"SELECT {mine} FROM {kit.table(stream)}", f"SELECT {cast} FROM {theirs}.{stream.name}"
            found += kit.run(f"(({a}) EXCEPT ALL ({b})) UNION ALL (({b}) EXCEPT ALL ({a}))")
            found += [] if kit.run(a) else [f"{stream.name} is empty"]
        return found

    # It is killed once one load is in, and before the last is.
    words = [NOW.isoformat(), str(folder), theirs, url, ",".join(OBJECTS), ",".join(tiktok.advertiser_ids), str(SINCE)]
    environment = process_environment(ours.environment | {"RUNTIME__DLTHUB_TELEMETRY": "false"})
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", KILLED, *words], env=environment, stderr=subprocess.DEVNULL
    )
    stored = f"SELECT to_regclass('{theirs}._dlt_loads')"
    while kit.run(stored) == [(None,)] or not kit.run(f"SELECT 1 FROM {theirs}._dlt_loads"):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    ads = TikTokAds(
        tiktok.token, tiktok.advertiser_ids, requests_per_second=1000, environment={"TIKTOK_API_URL": tiktok.url}
    )
    given: dict[str, Any] = {"ads": ads, "access_token": "-", "advertiser_ids": "-", "objects": OBJECTS}
    for later, fields in ((0, None), (2, None), (3, {"ad_report_daily": ["performance", "video"]})):
        tiktok.world.as_of = NOW + timedelta(days=later)
        ads._now = tiktok.world.now()
        pipeline = dlt.pipeline(
            "tiktok", pipelines_dir=str(folder), dataset_name=theirs, destination=dlt.destinations.postgres(url)
        )
        load(pipeline, **given, start_date=SINCE, fields=fields)
        assert ours.import_(fields=fields).exit_code == 0
        assert differing() == []
    assert "video_play_actions" in kit.columns(STREAMS["ad_report_daily"])
