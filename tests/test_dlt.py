"""The source for dlt: what it loads is what TikTok has, after a refusal, a later run and a day that became empty."""

from __future__ import annotations

import json
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from owox_tiktok import Incomplete, TikTokAds
from owox_tiktok.local.tiktok import Server
from owox_tiktok.model import Kind, Stream
from owox_tiktok.streams import STREAMS
from tests.helpers import NOW, Row, differences, expected

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
