"""BigQuery itself: tables, places, rights and costs; and what a lost answer, a kill or a second import must not do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import google.cloud.bigquery as bq
import pytest
import sqlglot
from sqlglot import exp

from owox_tiktok import app
from owox_tiktok.destinations import open_destination
from owox_tiktok.destinations.bigquery import open_at
from owox_tiktok.destinations.bigquery.destination import LOCK
from owox_tiktok.errors import BadInput, StoreFailed, StoreSilent
from owox_tiktok.model import Checkable, Chunk, Cursor, Metered, Remarking, Stored, Stream, Window
from owox_tiktok.retry import Limits
from owox_tiktok.streams import STREAMS
from owox_tiktok.testing import Kit
from owox_tiktok.testing.kit import ADS, AT, DAILY, FIELDS, HOURLY, LIFETIME, ad, day, in_order
from owox_tiktok.trust.kept import TABLES
from owox_tiktok.views import HoldsViews, View
from tests.bigquery import (
    CUT,
    CUT_WHOLE,
    DROP,
    DROP_BEFORE,
    HANG,
    PROJECT,
    TWICE,
    Answer,
    BigQueryKit,
    Fault,
    Proxy,
    Request,
    client,
    needs_emulator,
    query,
    rows_of,
)  # fmt: skip
from tests.helpers import NOW, Project, Row, differences, expected, process_environment


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with Proxy() as started:
        monkeypatch.setenv("BIGQUERY_API_URL", started.url)
        yield started


@pytest.fixture
def dataset() -> str:
    """A name of its own for each test."""
    return f"d_{uuid.uuid4().hex}"


@pytest.fixture
def kit(proxy: Proxy, dataset: str, tmp_path: Path) -> Kit:
    """The words of the shared tests, with a proxy in between."""
    return BigQueryKit(tmp_path, dataset, proxy.url)


def named(dataset: str, table: str | Stream) -> str:
    return f"{PROJECT}.{dataset}.{table if isinstance(table, str) else table.table}"


def once(which: Callable[[Request], Any], what: Answer | str, times: int = 1) -> Fault:
    """Let ``what`` happen to the first requests of a kind."""
    left = [times]

    def fault(request: Request) -> Answer | str | None:
        if left[0] and which(request):
            left[0] -= 1
            return what
        return None

    return fault


def always(which: Callable[[Request], Any], what: Answer | str) -> Fault:
    return lambda request: what if which(request) else None


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("my-project.tiktok", "Write bigquery://my-project/tiktok."),
        ("my-project", "has no dataset"),
        ("", "has no project"),
        ("my-project/my-project.tiktok", "Write bigquery://my-project/tiktok."),
        ("my-project/tik-tok", "Use letters, digits and underscores"),
        ("My Project/tiktok", "Use the project's id"),
        ("123456/tiktok", "Use the project's id"),
        ("my-project/tiktok?location=", "Write location=EU"),
        ("my-project/tiktok?locaton=EU", "Did you mean location?"),
        ("my-project/tiktok?max_bytes=lots", "Write max_bytes=50GB"),
        ("my-project/tiktok?price=cheap", "Write what a TiB costs, such as price=6.25"),
        ("my-project/tiktok?max_bytes=9MB", "less than 10MB would stop everything"),
        ("my-project/tiktok?priority=urgent", "Write priority=batch"),
        ("my-project/tiktok?reservation=mine", "Write reservation=projects/PROJECT/locations/EU/reservations/NAME"),
        ("my-project/tiktok?jobs_project=12", "Use the project's id"),
        ("my-project/tiktok?label.Team=ads", "Use small letters"),
        ("my-project/tiktok?label.run=1", "the label run is this program's own"),
    ],
)
def test_an_address_that_cannot_be_is_a_mistake_with_advice(address: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_destination(f"bigquery://{address}")
    assert words in caught.value.sentence


def test_all_mistakes_of_an_address_are_reported_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        open_destination("bigquery://My Project/tik-tok?max_bytes=1&x=2")
    assert len(caught.value.mistakes) == 4


def test_a_machine_without_google_credentials_gets_a_sentence_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BIGQUERY_API_URL", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StoreFailed, match="gcloud auth application-default login"):
        open_destination("bigquery://my-project/tiktok")


# --- tables -----------------------------------------------------------------------------------------------------------


@needs_emulator
def test_tables_are_typed_partitioned_clustered_and_described(kit: Kit, dataset: str) -> None:
    fields = ["ad_name", "spend", "impressions", "ctr"]
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=fields))
    table = client().get_table(named(dataset, DAILY))
    assert {f.name: (f.field_type, f.mode) for f in table.schema} == {
        "advertiser_id": ("STRING", "REQUIRED"), "ad_id": ("STRING", "REQUIRED"), "stat_time_day": ("DATE", "REQUIRED"),
        "currency": ("STRING", "NULLABLE"), "ad_name": ("STRING", "NULLABLE"), "spend": ("NUMERIC", "NULLABLE"),
        "impressions": ("INTEGER", "NULLABLE"), "ctr": ("NUMERIC", "NULLABLE"),
        "_synced_at": ("TIMESTAMP", "NULLABLE"), "_run_id": ("STRING", "NULLABLE"),
    }  # fmt: skip
    assert (table.time_partitioning.type_, table.time_partitioning.field) == ("DAY", "stat_time_day")
    assert table.clustering_fields == ["advertiser_id", "ad_id"]
    described = {f.name: f.description for f in table.schema if not f.name.startswith("_")}
    assert described == {f.name: f.description for f in DAILY.columns(fields)}
    assert DAILY.description in table.description
    assert table.labels["app"] == "owox_tiktok"
    assert not table.require_partition_filter


@needs_emulator
def test_hours_are_partitioned_by_their_day_and_lists_are_not_partitioned(kit: Kit, dataset: str) -> None:
    kit.store(kit.chunk(HOURLY, [{"ad_id": "171", "stat_time_hour": "2026-01-01 23:00:00"}], (day(1), day(1))))
    hours = client().get_table(named(dataset, HOURLY))
    assert (hours.time_partitioning.type_, hours.time_partitioning.field) == ("DAY", "stat_time_hour")
    assert {f.name: f.field_type for f in hours.schema}["stat_time_hour"] == "DATETIME"
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "create_time": "2026-01-01 10:00:00", "is_aco": True}]))
    ads = client().get_table(named(dataset, ADS))
    types = {f.name: f.field_type for f in ads.schema}
    assert (types["create_time"], types["is_aco"]) == ("TIMESTAMP", "BOOLEAN")
    assert ads.time_partitioning is None
    assert ads.clustering_fields == ["advertiser_id", "ad_id"]


@needs_emulator
def test_lists_become_json_that_can_be_asked(kit: Kit, dataset: str) -> None:
    field = next(f for f in STREAMS["ad_groups"].fields.values() if f.kind == "json")
    rows: list[Row] = [{"adgroup_id": "1", field.name: ["a", {"b": Decimal("1.50")}]}, {"adgroup_id": "2"}]
    kit.store(kit.chunk(STREAMS["ad_groups"], rows, fields=[field.name]))
    table = client().get_table(named(dataset, STREAMS["ad_groups"]))
    assert {f.name: f.field_type for f in table.schema}[field.name] == "JSON"
    value = f"JSON_VALUE({field.name}, '$[1].b')"
    found = query(f"SELECT adgroup_id, {value} FROM `{named(dataset, STREAMS['ad_groups'])}` ORDER BY 1")
    assert [(a, b if b is None else Decimal(b)) for a, b in found] == [("1", Decimal("1.5")), ("2", None)]


@needs_emulator
@pytest.mark.parametrize("make", ["CREATE TABLE `{}` AS SELECT 42 AS mine", "CREATE VIEW `{}` AS SELECT 42 AS mine"])
def test_what_somebody_else_made_under_our_name_is_refused_and_left_alone(kit: Kit, dataset: str, make: str) -> None:
    client().create_dataset(named(dataset, "x").removesuffix(".x"))
    query(make.format(named(dataset, DAILY)))
    with pytest.raises(StoreFailed) as caught:
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    assert DAILY.table in caught.value.sentence
    assert caught.value.what_to_do
    assert query(f"SELECT * FROM `{named(dataset, DAILY)}`") == [(42,)]


@needs_emulator
def test_a_column_whose_type_was_changed_is_refused_by_name(kit: Kit, dataset: str) -> None:
    client().create_dataset(named(dataset, "x").removesuffix(".x"))
    table = bq.Table(named(dataset, DAILY), schema=[bq.SchemaField("spend", "FLOAT")])
    table.labels = {"app": "owox_tiktok"}
    client().create_table(table)
    with pytest.raises(StoreFailed, match=r"column spend .* is FLOAT but should be NUMERIC"):
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))


@needs_emulator
def test_columns_that_a_user_added_keep_their_values_when_a_row_is_read_again(kit: Kit, dataset: str) -> None:
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "a"}]))
    query(f"ALTER TABLE `{named(dataset, ADS)}` ADD COLUMN my_note STRING")
    query(f"UPDATE `{named(dataset, ADS)}` SET my_note = 'mine' WHERE TRUE")
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "b"}, {"ad_id": "172", "ad_name": "c"}]))
    found = query(f"SELECT ad_id, ad_name, my_note FROM `{named(dataset, ADS)}` ORDER BY 1")
    assert found == [("171", "b", "mine"), ("172", "c", None)]


@needs_emulator
def test_columns_that_a_user_added_to_a_report_keep_their_values(kit: Kit, proxy: Proxy, dataset: str) -> None:
    kit.store(kit.chunk(DAILY, [ad(n, n) for n in range(1, 5)], (day(1), day(4))))
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(4)), advertiser_id="2"))
    kit.add_column(DAILY, "my_note")
    query(f"UPDATE `{named(dataset, DAILY)}` SET my_note = ad_id WHERE TRUE")
    kit.copy_row(DAILY, ("ad_id", "174"))
    proxy.seen.clear()
    rows = [ad(2, 2), ad(3, 3, spend="7"), ad(4, 4), ad(9, 3)]
    later = replace(kit.chunk(DAILY, [ad(1, 1), *rows], (day(1), day(4))), read_at=AT + timedelta(days=1))
    assert [s.rows for s in again(kit, later)] == [5]
    found = query(f"SELECT ad_id, spend, my_note FROM `{named(dataset, DAILY)}` WHERE advertiser_id = '1' ORDER BY 1")
    kept = [(f"17{n}", Decimal(7) if n == 3 else Decimal("1.5"), f"17{n}") for n in (1, 2, 3)]
    assert found == [*kept, ("174", Decimal("1.5"), None), ("179", Decimal("1.5"), None)], "one of two cannot be known"
    assert again(kit, kit.chunk(DAILY, [ad(1, 1), *rows[:2]], (day(1), day(4)))) == [Stored(3, 3, kept=2, rows_kept=2)]
    found = query(f"SELECT ad_id, my_note FROM `{named(dataset, DAILY)}` ORDER BY advertiser_id, ad_id")
    assert found == [("171", "171"), ("172", "172"), ("173", "173"), ("171", "171")]
    assert kit.damaged(DAILY) == kit.damaged(DAILY, "2") == []
    for sql in (s for s in proxy.statements if "MERGE" in s):
        assert re.search(r"ON t\.`stat_time_day` >= DATE '2026-01-\d\d' AND t\.`stat_time_day` < DATE", sql)


@needs_emulator
def test_added_columns_are_nullable_and_described(kit: Kit, dataset: str) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend"]))
    kit.store(kit.chunk(DAILY, [ad(1, 1, likes="1")], (day(1), day(1)), fields=["spend", "likes"]))
    added = {f.name: f for f in client().get_table(named(dataset, DAILY)).schema}["likes"]
    assert (added.mode, added.description) == ("NULLABLE", DAILY.fields["likes"].description)


@needs_emulator
def test_a_schema_that_changes_meanwhile_is_read_again(kit: Kit, proxy: Proxy, dataset: str) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend"]))
    stale = Answer(412, "conditionNotMet", "Precondition check failed.")
    proxy.fault = once(lambda r: r.method == "PATCH", stale)
    kit.store(kit.chunk(DAILY, [ad(1, 1, likes="3")], (day(1), day(1)), fields=["spend", "likes"]))
    assert [r["likes"] for r in kit.read(DAILY)] == [3]


@needs_emulator
@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE {0}_copy COPY {0}", "DROP TABLE {0}", "CREATE TABLE {0} CLONE {0}_copy"],
        ["CREATE OR REPLACE TABLE {0} AS SELECT * FROM {0}"],
        ["ALTER TABLE {0} RENAME TO before", "CREATE TABLE {0} AS SELECT * FROM `{1}.before`"],
    ],
    ids=["copied and put back", "replaced", "another in its place"],
)
def test_a_table_of_the_same_name_that_was_made_again_does_not_count(
    statements: list[str], kit: Kit, dataset: str
) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    for statement in statements:
        query(statement.format(named(dataset, DAILY), f"{PROJECT}.{dataset}"))
    (found,) = kit.known().values()
    assert found.cursor is None
    assert DAILY.table in found.lost


@needs_emulator
def test_each_table_is_looked_at_once_per_run(kit: Kit, proxy: Proxy) -> None:
    for chunk in (kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))), kit.chunk(ADS, [{"ad_id": "171"}])):
        kit.store(chunk)
    proxy.seen.clear()
    with kit.open() as destination:
        destination.cursors()
        for n in (2, 3):
            destination.prepare(DAILY, DAILY.columns(FIELDS[DAILY.name]))
            destination.replace([kit.chunk(DAILY, [ad(1, n)], (day(n), day(n)))])
    looked = [r.path.rpartition("/")[2] for r in proxy.seen if r.method == "GET" and "/tables/" in r.path]
    assert sorted(looked) == sorted(
        [
            "_owox_tiktok_cursors",
            "_owox_tiktok_days",
            *TABLES,
            ADS.table,
            DAILY.table,
            *(f"{LOCK}_{s.name}" for s in (DAILY, ADS)),
        ]
    )


@needs_emulator
def test_a_column_dropped_between_two_imports_is_not_whole_again_because_one_was_killed(kit: Kit, dataset: str) -> None:
    fields = FIELDS[DAILY.name]
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    for column in ("impressions", "currency"):
        query(f"ALTER TABLE `{named(dataset, DAILY)}` DROP COLUMN {column}")
        with kit.open() as destination:
            destination.prepare(DAILY, DAILY.columns(fields))  # and then it is killed
        kept = {pair: cursor.fields for pair, cursor in kit.cursors().items()}
        assert kept == ({(DAILY.name, "1"): set(fields) - {"impressions"}} if column == "impressions" else {})


# --- places and expiry ------------------------------------------------------------------------------------------------


@needs_emulator
def test_a_dataset_is_created_where_it_is_wanted_and_every_job_runs_there(kit: Kit, proxy: Proxy, dataset: str) -> None:
    kit.address += "?location=europe-west3"
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    assert client().get_dataset(f"{PROJECT}.{dataset}").location == "europe-west3"
    assert {r.body["jobReference"]["location"] for r in proxy.jobs} == {"europe-west3"}


@needs_emulator
def test_a_dataset_that_is_there_keeps_its_place_and_another_one_is_explained(
    kit: Kit, proxy: Proxy, dataset: str
) -> None:
    there = bq.Dataset(f"{PROJECT}.{dataset}")
    there.location = "EU"
    client().create_dataset(there)
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    assert {r.body["jobReference"]["location"] for r in proxy.jobs} == {"EU"}
    with open_destination(f"{kit.address}?location=eu") as destination:
        assert destination.cursors()
    with pytest.raises(BadInput, match=r"is in EU, not in US.* write location=EU"):
        open_destination(f"{kit.address}?location=US")


@needs_emulator
def test_tables_do_not_take_on_the_expiry_of_their_dataset(kit: Kit, dataset: str) -> None:
    there = bq.Dataset(f"{PROJECT}.{dataset}")
    there.default_table_expiration_ms = there.default_partition_expiration_ms = 60 * 86_400_000
    client().create_dataset(there)
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    for table in (DAILY.table, ADS.table, "_owox_tiktok_cursors", f"{LOCK}_{ADS.name}"):
        made = client().get_table(named(dataset, table))
        assert made.expires is None
        assert made.time_partitioning is None or not made.time_partitioning.expiration_ms


@needs_emulator
def test_a_table_whose_days_expire_is_refused_with_the_command_that_fixes_it(kit: Kit, dataset: str) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    table = client().get_table(named(dataset, DAILY))
    partitioning = table.time_partitioning
    partitioning.expiration_ms = 60 * 86_400_000
    table.time_partitioning = partitioning
    client().update_table(table, ["time_partitioning"])
    with pytest.raises(StoreFailed, match=r"deleted by BigQuery after 60 days.*partition_expiration_days = NULL"):
        kit.store(kit.chunk(DAILY, [ad(1, 2)], (day(2), day(2))))
    with kit.open(read_only=True) as destination:
        assert isinstance(destination, Checkable)
        assert ["after 60 days" in sentence for sentence in destination.check()] == [True]
    table = client().get_table(named(dataset, DAILY))
    table.expires = datetime.now(UTC) + timedelta(days=60)
    client().update_table(table, ["expires"])
    both = r"SET OPTIONS \(expiration_timestamp = NULL, partition_expiration_days = NULL\)"
    with kit.open() as destination, pytest.raises(StoreFailed, match=both):
        destination.prepare(DAILY, DAILY.columns(["spend"]))


# --- what is sent -----------------------------------------------------------------------------------------------------


@needs_emulator
def test_a_load_says_exactly_which_columns_come_and_forgives_nothing(kit: Kit, proxy: Proxy, dataset: str) -> None:
    chunk = kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)))
    kit.store(chunk)
    (load,) = [r.job["load"] for r in proxy.jobs if "load" in r.job]
    assert [f["name"] for f in load["schema"]["fields"]] == [f.name for f in chunk.columns]
    assert load["writeDisposition"] == "WRITE_TRUNCATE", "a load may be repeated"
    assert not {"autodetect", "ignoreUnknownValues", "maxBadRecords", "nullMarker", "schemaUpdateOptions"} & set(load)
    assert load["destinationTable"]["datasetId"] == "_owox_tiktok_staging_us", "the console hides it"
    assert load["destinationTable"]["tableId"].startswith(f"_owox_tiktok_staging-{dataset}-ad_report_daily-")
    staging = [r.body for r in proxy.seen if r.method == "POST" and r.path.endswith("/tables")]
    expires = [float(b["expirationTime"]) / 1000 for b in staging if "_staging-" in b["tableReference"]["tableId"]]
    assert all(0 < at - time.time() < 86_400 for at in expires)
    assert len(expires) == 1
    left = [t.table_id for t in client().list_tables(f"{PROJECT}.{dataset}")]
    ours = ["_owox_tiktok_cursors", "_owox_tiktok_days", *TABLES, f"{LOCK}_{DAILY.name}"]
    assert sorted(left) == sorted([*ours, DAILY.table])


@needs_emulator
def test_rows_travel_compressed_and_large_files_in_parts(kit: Kit, proxy: Proxy) -> None:
    rows = [{"ad_id": f"{n}", "ad_name": os.urandom(600).hex()} for n in range(10_000)]
    kit.store(kit.chunk(ADS, rows))
    sent = sum(r.size for r in proxy.seen if r.loads)
    assert sent < 0.6 * sum(len(str(r["ad_name"])) for r in rows)
    assert any(r.method == "PUT" for r in proxy.seen if r.loads)
    assert len(kit.read(ADS)) == 10_000


@needs_emulator
def test_jobs_carry_labels_and_a_name_of_their_own(kit: Kit, proxy: Proxy) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    names = [r.body["jobReference"]["jobId"] for r in proxy.jobs]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"owox_tiktok_[0-9a-f]{12}_\d+_\w+_1", name) for name in names)
    assert all(r.job["labels"]["app"] == "owox_tiktok" for r in proxy.jobs)
    assert {r.job["labels"].get("object") for r in proxy.jobs} == {"ad_report_daily", None}


@needs_emulator
def test_jobs_run_and_are_labelled_as_the_address_says(kit: Kit, proxy: Proxy, dataset: str) -> None:
    slots = "projects/billing-project/locations/EU/reservations/night"
    kit.address += f"?jobs_project=billing-project&priority=batch&reservation={slots}&label.team=ads&label.client=a_1"
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    assert {r.path.split("/projects/")[1].split("/")[0] for r in proxy.jobs} == {"billing-project"}
    assert {r.job["query"]["priority"] for r in proxy.jobs if r.sql} == {"BATCH"}
    assert {r.job["reservation"] for r in proxy.jobs} == {slots}
    assert {(r.job["labels"]["team"], r.job["labels"]["client"]) for r in proxy.jobs} == {("ads", "a_1")}
    made = client().get_table(named(dataset, DAILY))
    assert made.labels == {"team": "ads", "client": "a_1", "app": "owox_tiktok"}
    assert [r["ad_id"] for r in kit.read(DAILY)] == ["171"]


@needs_emulator
def test_the_ceiling_is_sent_with_every_statement_and_named_when_it_stops_one(kit: Kit, proxy: Proxy) -> None:
    kit.address += "?max_bytes=2GB"
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    assert {r.job["query"]["maximumBytesBilled"] for r in proxy.jobs if r.sql} == {str(2 * 2**30)}
    text = "Query exceeded limit for bytes billed: 2147483648. 4294967296 or higher required."
    over = Answer(400, "bytesBilledLimitExceeded", text)
    proxy.fault = always(lambda r: "DELETE" in r.sql, over)
    with pytest.raises(StoreFailed, match="Raise max_bytes"):
        kit.store(kit.chunk(DAILY, [ad(2, 1)], (day(1), day(1))))
    proxy.fault = lambda _: None
    with kit.open(read_only=True) as destination:
        assert isinstance(destination, Metered)
        destination.estimate(DAILY, {"1": Window(day(1), day(1))})
    assert "maximumBytesBilled" not in proxy.jobs[-1].job["query"], "a plan tells what is above the ceiling, too"
    assert [r["ad_id"] for r in kit.read(DAILY)] == ["171"]


@needs_emulator
def test_every_statement_on_a_partitioned_table_is_bounded_by_constant_days(kit: Kit, proxy: Proxy) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, n) for n in (1, 2)], (day(1), day(2))))
    kit.store(
        kit.chunk(DAILY, [ad(1, 3)], (day(3), day(4))),
        kit.chunk(DAILY, [], (day(5), day(9))),
        kit.chunk(DAILY, [ad(1, 8)], (day(8), day(9)), advertiser_id="2"),
        kit.chunk(DAILY, [ad(1, 20)], (day(20), day(20)), advertiser_id="2"),
    )
    kit.store(kit.chunk(HOURLY, [{"ad_id": "1", "stat_time_hour": f"{day(1)} 05:00:00"}], (day(1), day(1))))
    kit.store(kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}]))
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    with kit.open() as destination:
        destination.prune(DAILY, {"1": day(2), "2": day(9)}, dry_run=False)
        destination.prune(HOURLY, {"1": day(2)}, dry_run=True)
        assert isinstance(destination, Metered)
        destination.estimate(DAILY, {"1": Window(day(1), day(5)), "2": Window(day(3), day(4))})
    looked_at = [
        bounds
        for sql in proxy.statements
        for statement in sqlglot.parse(sql, dialect="bigquery")
        for bounds in _bounds(statement)
    ]
    kinds = [kind for kind, _ in looked_at]
    assert kinds.count(exp.Delete) >= 5
    assert kinds.count(exp.Select) >= 2
    for kind, (lower, upper) in looked_at:
        assert upper, f"a {kind.__name__} has no last day"
        assert lower or upper
    whole = [(lower, upper) for kind, (lower, upper) in looked_at if kind is exp.Delete]
    assert all(lower <= upper for lower, upper in whole if lower)
    assert ("2026-01-03", "2026-01-21") in whole, "windows of two advertisers share one statement and outer bounds"


def _bounds(statement: Any) -> Iterator[tuple[Any, tuple[str, str]]]:
    """What each part of a statement that reads a table of days is bounded by: first and last constant, or empty."""
    times = {DAILY.table: "stat_time_day", HOURLY.table: "stat_time_hour"}
    for table in statement.find_all(exp.Table):
        if table.name not in times:
            continue
        scope = table.find_ancestor(exp.Delete, exp.Update, exp.Merge, exp.Select, exp.Insert)
        assert scope is not None
        if isinstance(scope, exp.Insert):
            continue  # it is written, not read
        assert isinstance(scope, exp.Delete | exp.Select), f"{type(scope).__name__} of a table of days"
        where = scope.args.get("where")
        assert where is not None, f"a whole table is read: {scope.sql('bigquery')}"
        found = {"first": "", "last": ""}
        for condition in where.this.flatten() if isinstance(where.this, exp.And) else [where.this]:
            side = "first" if isinstance(condition, exp.GTE) else "last" if isinstance(condition, exp.LT) else ""
            if side and condition.this.name == times[table.name] and not condition.expression.find(exp.Column):
                assert isinstance(condition.this, exp.Column), "the partition column stands alone"
                found[side] = condition.expression.find(exp.Literal).name[:10]
        yield type(scope), (found["first"], found["last"])


@needs_emulator
def test_one_delete_and_one_insert_serve_all_advertisers_of_a_step(kit: Kit, proxy: Proxy) -> None:
    chunks = [kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), advertiser_id=f"{n}") for n in range(30)]
    kit.store(*chunks)
    (script,) = [s for s in proxy.statements if "TRANSACTION" in s]
    assert script.count("DELETE FROM") == 1
    assert script.count(f"{DAILY.table}` (") == 1
    assert len([r for r in proxy.jobs if "load" in r.job]) == 1
    assert len(kit.read(DAILY)) == 30
    assert len(kit.cursors()) == 30


# --- only what changed ------------------------------------------------------------------------------------------------


def again(kit: Kit, *chunks: Chunk) -> list[Stored]:
    """Store chunks as a run does: by what it knows of the cursors."""
    with kit.open() as destination:
        destination.cursors()
        destination.prepare(chunks[0].stream, chunks[0].columns)
        return kit.put(destination, *chunks)


@needs_emulator
def test_days_that_are_stored_as_they_were_read_are_neither_loaded_nor_deleted(kit: Kit, proxy: Proxy) -> None:
    rows = [ad(1, n) for n in range(1, 9)]
    kit.store(*[kit.chunk(DAILY, rows, (day(1), day(8)), advertiser_id=a) for a in "12"])
    before = kit.seals(DAILY)
    proxy.seen.clear()
    later = AT + timedelta(hours=1)
    changed = [*rows[:2], ad(1, 3, spend="9", ad_name='a\n"b", ' + str(day(4))), *rows[3:], ad(2, 9)]
    stored = again(
        kit,
        replace(kit.chunk(DAILY, changed, (day(1), day(9))), read_at=later),
        kit.chunk(DAILY, rows, (day(1), day(8)), advertiser_id="2"),
    )
    assert [(s.rows, s.kept, s.rows_kept) for s in stored] == [(9, 7, 7), (8, 8, 8)]
    assert stored[0].replaced == 1
    (script,) = [s for s in proxy.statements if "TRANSACTION" in s]
    assert re.findall(r"DATE '(2026-[0-9-]+)'", script.partition("DELETE FROM")[2].partition(";")[0]) == [
        "2026-01-03", "2026-01-10", "2026-01-03", "2026-01-04", "2026-01-09", "2026-01-10"
    ]  # fmt: skip
    assert len([r for r in proxy.jobs if "load" in r.job]) == 1
    assert sorted((r["stat_time_day"], r["spend"]) for r in kit.read(DAILY) if r["advertiser_id"] == "1") == [
        (day(n), Decimal(9) if n == 3 else Decimal("1.5")) for n in range(1, 10)
    ]
    assert kit.cursors()[DAILY.name, "1"].through == day(9)
    after = kit.seals(DAILY)
    assert {d for d in before if before[d] == after[d]} == {day(n) for n in (1, 2, 4, 5, 6, 7, 8)}
    assert kit.damaged(DAILY) == kit.damaged(DAILY, "2") == []


@needs_emulator
def test_where_nothing_has_changed_only_the_cursors_are_written(kit: Kit, proxy: Proxy) -> None:
    whole = [kit.chunk(DAILY, [ad(1, n) for n in range(1, 6)], (day(1), day(5)), advertiser_id=a) for a in "12"]
    kit.store(*whole)
    listed = kit.chunk(ADS, [{"ad_id": "171", "ad_name": "a"}, {"ad_id": "172"}])
    kit.store(listed)
    proxy.seen.clear()
    moved = [replace(c, cursor=replace(c.cursor, read_at=AT + timedelta(hours=1))) for c in whole if c.cursor]
    assert [s.kept for s in again(kit, *moved)] == [5, 5]
    assert {c.read_at for (name, _), c in kit.cursors().items() if name == DAILY.name} == {AT + timedelta(hours=1)}
    assert [s.kept for s in again(kit, listed)] == [1]
    scripts = [s for s in proxy.statements if "TRANSACTION" in s]
    assert len(scripts) == 2
    assert not [r for r in proxy.jobs if "load" in r.job]
    assert not any(word in script for script in scripts for word in ("DELETE", "MERGE", DAILY.table, ADS.table))


@needs_emulator
def test_of_a_list_only_the_rows_that_differ_are_written_in_two_jobs(kit: Kit, proxy: Proxy) -> None:
    groups = STREAMS["ad_groups"]
    rows: list[Row] = [{"adgroup_id": f"{n}", "location_ids": ["1", {"b": n}], "budget": "5"} for n in range(5)]
    kit.store(kit.chunk(groups, rows, fields=["location_ids", "budget"]))
    rows[1]["budget"], rows[2]["location_ids"], rows[3]["budget"] = "6", ["1", {"b": 7}], None
    del rows[0]  # TikTok does not list it any more; it stays, and in the seal
    proxy.seen.clear()
    (stored,) = again(kit, kit.chunk(groups, [*rows, {"adgroup_id": "9"}], fields=["location_ids", "budget"]))
    assert (stored.rows, stored.replaced) == (5, 3)
    assert len([r for r in proxy.jobs if r.job.get("labels", {}).get("object") == groups.name]) == 2
    assert {r["adgroup_id"]: r["budget"] for r in kit.read(groups)} == {
        "0": 5, "1": 6, "2": 5, "3": None, "4": 5, "9": None
    }  # fmt: skip
    assert kit.damaged(groups) == []


@needs_emulator
def test_a_seal_older_than_a_day_is_checked_before_it_is_believed(kit: Kit, proxy: Proxy) -> None:
    for stream, key in ((DAILY, "ad_id"), (ADS, "ad_id")):
        window = (day(1), day(2)) if stream is DAILY else None
        rows: list[Row] = [ad(1, 1), ad(2, 2)] if stream is DAILY else [{"ad_id": "171"}, {"ad_id": "172"}]
        kit.store(kit.chunk(stream, rows, window))
        before = kit.read(stream)
        kit.delete_row(stream, (key, "171"))
        proxy.seen.clear()
        (stored,) = again(kit, replace(kit.chunk(stream, rows, window), read_at=AT + timedelta(days=1)))
        assert stored.kept == 0
        assert in_order(kit.read(stream)) == in_order(before)
        assert {s.read_at for s in kit.seals(stream).values()} == {AT + timedelta(days=1)}
        assert any("load" in r.job for r in proxy.jobs)


@needs_emulator
def test_old_seals_of_all_windows_of_an_account_are_checked(kit: BigQueryKit) -> None:
    cursor = Cursor(frozenset(FIELDS[DAILY.name]), AT, AT.date(), day(1), day(4))
    halves = [kit.chunk(DAILY, [ad(1, n), ad(2, n + 1)], (day(n), day(n + 1)), cursor=cursor) for n in (1, 3)]
    kit.store(*halves)
    before = kit.read(DAILY)
    query(f"UPDATE `{kit.name(DAILY)}` SET spend = 9 WHERE stat_time_day = '{day(3)}'")
    later = [replace(c, read_at=AT + timedelta(days=1)) for c in halves]
    assert [s.kept for s in again(kit, *later)] == [0, 0]
    assert in_order(kit.read(DAILY)) == in_order(before)
    assert [s.kept for s in again(kit, *[replace(c, read_at=AT + timedelta(days=2)) for c in halves])] == [2, 2]
    assert {s.read_at for s in kit.seals(DAILY).values()} == {AT + timedelta(days=2)}


@needs_emulator
def test_what_another_run_has_stored_since_is_not_left_alone(kit: Kit) -> None:
    """The seal is that of the rows as they were: a late step of a killed run has put others in their place."""
    chunk = kit.chunk(DAILY, [ad(1, 1), ad(2, 2)], (day(1), day(2)))
    kit.store(chunk)
    with kit.open() as first, kit.open() as second:
        for destination in (first, second):
            destination.cursors()
            destination.prepare(DAILY, chunk.columns)
        second.replace([kit.chunk(DAILY, [ad(1, 1, spend="7"), ad(2, 2)], (day(1), day(2)))])
        (stored,) = first.replace([chunk])
    assert (stored.rows, stored.kept) == (2, 0)
    assert {r["spend"] for r in kit.read(DAILY)} == {Decimal("1.5")}


@needs_emulator
def test_a_column_that_was_dropped_and_came_back_empty_is_filled_again(kit: Kit) -> None:
    chunk = kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)))
    kit.store(chunk)
    kit.drop_column(DAILY, "impressions")
    with kit.open() as destination:
        destination.prepare(DAILY, chunk.columns)  # and then it is killed
    assert [s.kept for s in again(kit, chunk)] == [0]
    assert [r["impressions"] for r in kit.read(DAILY)] == [10]


# --- answers that are lost --------------------------------------------------------------------------------------------


WHICH: dict[str, Callable[[Request], Any]] = {
    "the upload": lambda r: "load" in r.job,
    "the transaction": lambda r: "TRANSACTION" in r.sql,
    "the cursors": lambda r: CURSORS_READ in r.sql,
    "the lock": lambda r: "CREATE TABLE" in r.sql,
    "a table made": lambda r: r.method == "POST" and r.path.endswith("/tables"),
    "a table looked at": lambda r: r.method == "GET" and "/tables/" in r.path,
    "a dataset": lambda r: "/datasets" in r.path and "/tables" not in r.path,
    "the end of a job": lambda r: r.method == "GET" and ("/queries/" in r.path or "/jobs/" in r.path),
    "a table deleted": lambda r: r.method == "DELETE",
}
CURSORS_READ = "QUALIFY ROW_NUMBER() OVER (PARTITION BY object"
UNAVAILABLE = Answer(503, "backendError", "The service is currently unavailable.")


@needs_emulator
@pytest.mark.parametrize("which", ["the upload", "the transaction"])
def test_a_job_that_is_disturbed_is_done_once(which: str, kit: Kit, proxy: Proxy) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1), ad(2, 1)], (day(1), day(2))))
    replaced = 2
    faults: list[Answer | str] = [UNAVAILABLE, DROP, DROP_BEFORE, CUT_WHOLE, TWICE]
    for n, what in enumerate(faults, start=3):
        proxy.seen.clear()
        proxy.fault = once(WHICH[which], what)
        assert kit.store(kit.chunk(DAILY, [ad(n, 1)], (day(1), day(2)))) == [Stored(1, replaced)], what
        replaced = 1
        names = [r.body["jobReference"]["jobId"] for r in proxy.jobs if WHICH[which](r)]
        assert len(set(names)) == 1
        # Half an answer to an upload is no reason to send it again: the job is looked for.
        assert len(names) == (1 if what == TWICE or (what == CUT_WHOLE and which == "the upload") else 2)
    assert [r["ad_id"] for r in kit.read(DAILY)] == [f"17{n}"]
    assert kit.cursors()[DAILY.name, "1"].through == day(2)


@needs_emulator
def test_a_job_that_was_begun_before_is_looked_for_where_it_runs(kit: Kit, proxy: Proxy) -> None:
    kit.address += "?location=europe-west3"
    proxy.fault = once(WHICH["the transaction"], DROP)
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    name = next(r.body["jobReference"]["jobId"] for r in proxy.jobs if WHICH["the transaction"](r))
    asked = next(r for r in proxy.seen if r.method == "GET" and r.path.endswith(name) and "/jobs/" in r.path)
    assert asked.query["location"] == ["europe-west3"]


@needs_emulator
def test_every_kind_of_request_may_fail_once(kit: Kit, proxy: Proxy) -> None:
    others = [which for name, which in WHICH.items() if name not in ("the upload", "the transaction")]
    for n, which in enumerate(others, start=1):
        proxy.fault = once(which, (UNAVAILABLE, DROP, CUT, CUT_WHOLE)[n % 4])
        kit.store(kit.chunk(DAILY, [ad(1, n)], (day(n), day(n))))
    assert sorted(r["stat_time_day"] for r in kit.read(DAILY)) == [day(n + 1) for n in range(len(others))]


@needs_emulator
@pytest.mark.parametrize(
    "text",
    [
        "Transaction is aborted due to concurrent update against table test-project:d.t. Transaction ID: 1",
        "Could not serialize access to table test-project:d.t due to concurrent update",
    ],
)
def test_a_transaction_that_another_one_aborts_is_tried_again(text: str, kit: Kit, proxy: Proxy) -> None:
    proxy.fault = once(WHICH["the transaction"], Answer(400, "invalidQuery", text), times=2)
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    assert len([r for r in proxy.jobs if WHICH["the transaction"](r)]) == 3
    assert len(kit.read(DAILY)) == 1


@needs_emulator
def test_a_job_that_failed_at_bigquery_is_followed_by_one_of_another_name(kit: Kit, proxy: Proxy) -> None:
    """It keeps its name for good, so the same name would only find the failure again."""
    failed = {"state": "DONE", "errorResult": {"reason": "jobBackendError", "message": "try again"}}
    left = [failed]
    proxy.status = lambda r: left.pop() if left and WHICH["the transaction"](r) else None
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    names = [r.body["jobReference"]["jobId"] for r in proxy.jobs if WHICH["the transaction"](r)]
    assert [n.rpartition("_")[2] for n in names] == ["1", "2"]
    assert len(kit.read(DAILY)) == 1


@needs_emulator
def test_a_bigquery_that_does_not_answer_is_asked_within_its_limits(proxy: Proxy, dataset: str) -> None:
    asked_until: list[float] = []
    limits = Limits(attempts=3, deadline_s=0.2, first_s=0.01, longest_s=0.02)
    where = {"BIGQUERY_API_URL": proxy.url}
    proxy.fault = always(lambda r: r.method == "GET", UNAVAILABLE)
    with pytest.raises(StoreSilent, match="does not answer"):
        open_at(f"{PROJECT}/{dataset}", environment=where, limits=limits)
    proxy.fault = lambda _: None
    longer = replace(limits, deadline_s=60.0, sleep=asked_until.append)
    with open_at(f"{PROJECT}/{dataset}", environment=where, limits=longer) as destination:
        proxy.seen.clear()
        proxy.fault = always(lambda r: "INSERT" in r.sql, Answer(400, "jobBackendError", "try again"))
        with pytest.raises(StoreFailed, match="try again"):
            destination.failed(DAILY, "1", "no access", AT)
    assert len([r for r in proxy.jobs if "INSERT" in r.sql]) == 3
    assert len(asked_until) == 2


# --- waiting for Google -----------------------------------------------------------------------------------------------


FAST = Limits(attempts=5, deadline_s=1.0, first_s=0.01, longest_s=0.05)


@needs_emulator
def test_an_error_while_a_job_is_waited_for_is_no_failed_job(kit: Kit, proxy: Proxy) -> None:
    slow_down = Answer(429, "rateLimitExceeded", "Slow down.")
    faults: list[Answer | str] = [UNAVAILABLE, DROP, DROP_BEFORE, CUT, CUT_WHOLE, slow_down]
    for n, what in enumerate(faults, start=1):
        proxy.seen.clear()
        proxy.fault = once(WHICH["the end of a job"], what, times=3)
        assert kit.store(kit.chunk(DAILY, [ad(n, n)], (day(n), day(n)))) == [Stored(1, 0)]
        names = [r.body["jobReference"]["jobId"] for r in proxy.jobs]
        assert all(name.endswith("_1") for name in names), "no job was begun a second time"
    assert len(kit.read(DAILY)) == len(faults)


@needs_emulator
def test_a_job_that_nothing_is_heard_of_is_cancelled_and_ends_the_wait_at_its_deadline(
    kit: Kit, proxy: Proxy, dataset: str
) -> None:
    chunk = kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)))
    kit.store(chunk)
    with open_at(f"{PROJECT}/{dataset}", environment={"BIGQUERY_API_URL": proxy.url}, limits=FAST) as destination:
        destination.cursors()
        destination.prepare(DAILY, chunk.columns)
        proxy.seen.clear()
        proxy.status = lambda r: {"state": "RUNNING"} if WHICH["the transaction"](r) else None
        proxy.fault = always(lambda r: r.method == "GET" and "/jobs/" in r.path and "_store_" in r.path, UNAVAILABLE)
        began = time.monotonic()
        with pytest.raises(StoreSilent):
            destination.replace([chunk])
        assert time.monotonic() - began < 20
    assert any(r.path.endswith("/cancel") for r in proxy.seen)
    assert all(int(r.job["jobTimeoutMs"]) > 0 for r in proxy.jobs)


@needs_emulator
def test_who_is_aborted_waits_for_the_very_job_that_blocks(kit: Kit, proxy: Proxy) -> None:
    chunk = kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)))
    kit.store(chunk)
    other = client().query("SELECT 1", job_id=f"other_{uuid.uuid4().hex}", job_retry=None)
    other.result()
    text = f"Transaction is aborted due to concurrent update against table {PROJECT}:d.t. Blocking job: {PROJECT}:US."
    proxy.seen.clear()
    proxy.fault = once(WHICH["the transaction"], Answer(400, "invalidQuery", text + other.job_id))
    kit.store(chunk)
    asked = [n for n, r in enumerate(proxy.seen) if r.method == "GET" and r.path.endswith(f"/jobs/{other.job_id}")]
    tries = [n for n, r in enumerate(proxy.seen) if WHICH["the transaction"](r)]
    assert len(asked) == 1
    assert tries[0] < asked[0] < tries[1]


@needs_emulator
def test_a_step_that_a_right_or_a_quota_stops_is_not_split(project: Project, proxy: Proxy, dataset: str) -> None:
    project.say |= {"start_date": f"{BEGIN}", "destination": f"bigquery://{PROJECT}/{dataset}"}
    proxy.fault = always(WHICH["the transaction"], NO_QUOTA)
    ran = project.import_(objects=["ad_report_daily"])
    assert len(ran.failures) == len(project.server.advertiser_ids) > 1
    assert len([r for r in proxy.jobs if WHICH["the transaction"](r)]) == 1
    assert len([r for r in proxy.jobs if "load" in r.job]) == 1


@needs_emulator
def test_objects_are_stored_side_by_side_and_do_not_abort_each_other(
    project: Project, proxy: Proxy, dataset: str
) -> None:
    names = ["campaigns", "ad_groups", "ads", "ad_report_daily", "campaign_report_daily"]
    project.say |= {"objects": names, "start_date": f"{BEGIN}", "destination": f"bigquery://{PROJECT}/{dataset}"}
    at_once: list[int] = []
    together = threading.Barrier(2)

    def meet(request: Request) -> None:
        if WHICH["the transaction"](request) and not at_once:
            with suppress(threading.BrokenBarrierError):
                together.wait(20)  # goes on as soon as two are here
                at_once.append(1)

    proxy.fault = meet
    ran = project.import_()
    assert (ran.exit_code, ran.failures) == (0, [])
    assert at_once
    assert wrong(project, dataset, names) == []
    by_object = Counter(r.job["labels"]["object"] for r in proxy.jobs if WHICH["the transaction"](r))
    assert by_object == dict.fromkeys(names, 1), "each object is one step"


def staged() -> list[str]:
    """The staging tables that are there, wherever they lie."""
    found = [t for d in client().list_datasets(include_all=True) for t in client().list_tables(d.reference)]
    return [f"{t.dataset_id}.{t.table_id}" for t in found if "_staging-" in t.table_id]


@needs_emulator
def test_what_killed_runs_have_left_goes_with_the_next_step_of_the_same_object(
    kit: Kit, proxy: Proxy, dataset: str
) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    hidden = f"{PROJECT}._owox_tiktok_staging_us"
    names = {
        name: f"{hidden}._owox_tiktok_staging-{name}"
        for name in (f"{dataset}-ad_report_daily-0123_4", f"{dataset}-ads-0123_5", "d_other-ad_report_daily-0123_6")
    }
    for name in names.values():
        table = bq.Table(name, schema=[bq.SchemaField("x", "INTEGER")])
        table.labels = {"app": "owox_tiktok"}
        client().create_table(table)
    kit.store(kit.chunk(DAILY, [ad(1, 2)], (day(2), day(2))))
    assert len(staged()) == 2, "that of the same object into the same dataset is gone"
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    assert staged() == ["_owox_tiktok_staging_us._owox_tiktok_staging-d_other-ad_report_daily-0123_6"]
    client().delete_table(names["d_other-ad_report_daily-0123_6"])


@needs_emulator
@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("the upload", None),
        ("the transaction", Answer(400, "invalid", "Cannot open file _owox_tiktok_staging-1.parquet")),
    ],
)
def test_a_run_whose_staging_table_another_one_sweeps_brings_its_rows_again(
    which: str, said: Answer | None, kit: Kit, proxy: Proxy
) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    left = [2]

    def sweep(request: Request) -> Answer | None:
        if not left[0] or not WHICH[which](request):
            return None
        left[0] -= 1
        for name in staged():
            client().delete_table(f"{PROJECT}.{name}")
        return said

    proxy.fault = sweep
    assert kit.store(kit.chunk(DAILY, [ad(2, 1), ad(3, 1)], (day(1), day(1)))) == [Stored(2, 1)]
    assert sorted(r["ad_id"] for r in kit.read(DAILY)) == ["172", "173"]
    assert left == [0]
    assert staged() == []


@needs_emulator
def test_where_no_dataset_may_be_made_rows_lie_in_the_target_on_their_way_and_check_says_so(
    kit: Kit, proxy: Proxy, dataset: str
) -> None:
    client().create_dataset(f"{PROJECT}.{dataset}")
    where = proxy.seen
    proxy.fault = always(lambda r: r.path.endswith("/_owox_tiktok_staging_us"), NO_DATASETS)
    no = once(lambda r: r.path.endswith("/datasets"), NO_DATASETS, times=9)
    hidden = proxy.fault
    proxy.fault = lambda r: hidden(r) or no(r)
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    (load,) = [r.job["load"]["destinationTable"] for r in where if "load" in r.job]
    assert load["datasetId"] == dataset
    assert len(kit.read(DAILY)) == 1
    with kit.open(read_only=True) as destination:
        assert isinstance(destination, Checkable)
        assert isinstance(destination, Remarking)
        assert destination.check() == []
        (remark,) = destination.remarks()
    assert f"bq --location=US mk -d {PROJECT}:_owox_tiktok_staging_us" in remark
    proxy.fault = lambda _: None
    with kit.open(read_only=True) as destination:
        assert isinstance(destination, Remarking)
        assert destination.remarks() == []


@needs_emulator
def test_rows_lie_in_the_target_where_the_hidden_dataset_is_another_accounts_or_rows_need_a_key(
    kit: Kit, proxy: Proxy, dataset: str
) -> None:
    """As in a deployment, whose account may change its own dataset only; and with a key of the owner's."""
    hidden = "/_owox_tiktok_staging_us"
    proxy.fault = always(lambda r: f"{hidden}/tables" in r.path, Answer(403, "accessDenied", "Access Denied: Dataset"))
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    with kit.open() as destination:
        assert isinstance(destination, Checkable)
        assert isinstance(destination, Remarking)
        assert destination.check() == []
        (remark,) = destination.remarks()
    assert "grant the account BigQuery Data Editor on it" in remark
    proxy.fault = lambda _: None
    there = client().get_dataset(f"{PROJECT}.{dataset}")
    there.default_encryption_configuration = bq.EncryptionConfiguration(
        "projects/p/locations/us/keyRings/r/cryptoKeys/k"
    )
    client().update_dataset(there, ["default_encryption_configuration"])
    kit.store(kit.chunk(DAILY, [ad(2, 2)], (day(2), day(2))))
    with kit.open() as destination:
        assert isinstance(destination, Remarking)
        assert destination.remarks() == [], "that is as it should be"
    loads = [r.job["load"]["destinationTable"]["datasetId"] for r in proxy.seen if "load" in r.job]
    assert loads == [dataset, dataset]
    assert len(kit.read(DAILY)) == 2
    assert [name for name in staged() if dataset in name] == []


# --- two at once ------------------------------------------------------------------------------------------------------


@needs_emulator
def test_who_stores_second_gets_a_sentence_and_changes_nothing(kit: Kit) -> None:
    """Else it would say that its fields are there for days that the other one has filled without them."""
    chunk = kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend", "likes"])
    with kit.open() as first, kit.open() as second:
        for destination in (first, second):
            destination.cursors()
            destination.prepare(DAILY, chunk.columns)
        second.replace([kit.chunk(DAILY, [ad(2, 1), ad(3, 1)], (day(1), day(1)), fields=["spend"])])
        with pytest.raises(StoreFailed, match="another import has stored the same object"):
            first.replace([chunk])
        # What the other one has not touched goes on.
        first.replace([kit.chunk(DAILY, [ad(5, 1)], (day(1), day(1)), advertiser_id="2", fields=["spend"])])
        second.replace([kit.chunk(DAILY, [ad(4, 2)], (day(2), day(2)), fields=["spend"])])
    assert sorted(r["ad_id"] for r in kit.read(DAILY)) == ["172", "173", "174", "175"]


@needs_emulator
def test_a_late_step_of_a_run_like_this_one_does_no_harm(kit: Kit) -> None:
    chunks = [kit.chunk(DAILY, [ad(n, 1), ad(4, 1)], (day(1), day(1))) for n in (1, 2)]
    with kit.open() as first, kit.open() as second:
        for destination, chunk in zip((first, second), chunks, strict=True):
            destination.cursors()
            destination.prepare(DAILY, chunk.columns)
        assert first.replace([chunks[0]]) == [Stored(2, 0)]
        assert second.replace([chunks[1]]) == [Stored(2, 2)]
    assert sorted(r["ad_id"] for r in kit.read(DAILY)) == ["172", "174"]


@needs_emulator
def test_many_that_fill_an_empty_table_at_once_store_no_row_twice(kit: Kit) -> None:
    kit.store(kit.chunk(DAILY, [], (day(9), day(9)), advertiser_id="9"))
    chunks = [kit.chunk(DAILY, [ad(n, 1) for n in range(20)], (day(1), day(1))) for _ in range(4)]
    ready = threading.Barrier(len(chunks))
    said: list[Stored] = []

    def store(n: int) -> None:
        with kit.open() as destination:
            destination.cursors()
            destination.prepare(DAILY, chunks[n].columns)
            ready.wait()
            said.extend(destination.replace([chunks[n]]))

    threads = [threading.Thread(target=store, args=(n,)) for n in range(len(chunks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kit.read(DAILY)) == 20
    assert sorted(s.replaced for s in said) == [0, 20, 20, 20]


@needs_emulator
def test_a_first_import_takes_two_jobs_for_an_object_like_any_other(kit: Kit, proxy: Proxy) -> None:
    for n in (1, 2):
        proxy.seen.clear()
        kit.store(kit.chunk(DAILY, [ad(n, n)], (day(n), day(n))))
        of_the_object = [r for r in proxy.jobs if r.job.get("labels", {}).get("object") == DAILY.name]
        assert [r.loads for r in of_the_object] == [True, False]


@needs_emulator
def test_two_first_imports_at_once_share_a_lock_and_store_no_row_twice(kit: Kit, proxy: Proxy, dataset: str) -> None:
    chunks = [kit.chunk(DAILY, [ad(1, 1), ad(2, 1)], (day(1), day(1))) for _ in range(2)]
    meetings = {which: threading.Barrier(2) for which in ("the lock", "the upload", "the transaction")}

    def meet(request: Request) -> None:
        for which, barrier in meetings.items():
            if WHICH[which](request):
                with suppress(threading.BrokenBarrierError):  # one found the lock made, or comes a second time
                    barrier.wait(5)

    proxy.fault = meet
    said: list[Stored] = []
    threads = [threading.Thread(target=lambda c=c: said.extend(again(kit, c))) for c in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(s.replaced for s in said) == [0, 2]
    assert sorted(r["ad_id"] for r in kit.read(DAILY)) == ["171", "172"]
    # BigQuery makes a table with its row at once; the emulator, in a script, may do either's row. Two lock as well.
    assert query(f"SELECT COUNT(*) > 0 FROM `{named(dataset, f'{LOCK}_{DAILY.name}')}`") == [(True,)]


@needs_emulator
def test_outdated_cursors_are_deleted_when_there_are_many(kit: Kit, dataset: str) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    with kit.open() as destination:
        destination.failed(DAILY, "2", "no access", AT)
    before = kit.cursors()
    table = named(dataset, "_owox_tiktok_cursors")
    query(
        f"INSERT INTO `{table}` SELECT c.* REPLACE (TIMESTAMP_SUB(written_at, INTERVAL n SECOND) AS written_at) "
        f"FROM `{table}` AS c, UNNEST(GENERATE_ARRAY(1, 2501)) AS n"
    )
    assert kit.cursors() == before
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    assert query(f"SELECT COUNT(*) FROM `{table}`") == [(3,)]
    assert {k: v for k, v in kit.cursors().items() if k in before} == before


# --- rights and quotas ------------------------------------------------------------------------------------------------


NO_JOBS = Answer(403, "accessDenied", f"Access Denied: Project {PROJECT}: User does not have bigquery.jobs.create "
                 f"permission in project {PROJECT}.")  # fmt: skip
NO_TABLES = Answer(403, "accessDenied", f"Access Denied: Dataset {PROJECT}:d: Permission bigquery.tables.create denied "
                   f"on dataset {PROJECT}:d (or it may not exist).")  # fmt: skip
NO_BILLING = Answer(403, "billingNotEnabled", "Billing has not been enabled for this project. DML queries are not "
                    "allowed in the free tier.")  # fmt: skip
NO_DATASETS = Answer(403, "accessDenied", f"Access Denied: Project {PROJECT}: User does not have "
                     "bigquery.datasets.create permission.")  # fmt: skip
NO_QUOTA = Answer(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for free query bytes scanned.")


@needs_emulator
def test_what_is_not_allowed_is_one_sentence_with_what_to_do_and_nothing_changes(kit: Kit, proxy: Proxy) -> None:
    cases: list[tuple[Callable[[Request], Any], Answer, str]] = [
        (lambda r: r.job, NO_JOBS, "--role=roles/bigquery.jobUser"),
        (lambda r: r.method == "POST" and r.path.endswith("/tables"), NO_TABLES, "GRANT `roles/bigquery.dataEditor`"),
        (lambda r: "DELETE FROM" in r.sql, NO_BILLING, "Link a billing account"),
        (lambda r: "TRANSACTION" in r.sql, NO_QUOTA, "Wait until it resets"),
        (lambda r: "load" in r.job, NO_QUOTA, "Wait until it resets"),
    ]
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    before, cursors = kit.read(DAILY), kit.cursors()
    for which, answer, words in cases:
        proxy.fault = always(which, answer)
        with pytest.raises(StoreFailed) as caught:
            kit.store(kit.chunk(DAILY, [ad(2, 1)], (day(1), day(1))))
        assert words in caught.value.sentence
        assert "http" not in caught.value.sentence
    proxy.fault = lambda _: None
    assert (kit.read(DAILY), kit.cursors()) == (before, cursors)


@needs_emulator
def test_without_the_right_to_make_a_dataset_the_command_for_an_owner_is_shown(kit: Kit, proxy: Proxy) -> None:
    text = f"Access Denied: Project {PROJECT}: User does not have bigquery.datasets.create permission."
    proxy.fault = always(lambda r: r.path.endswith("/datasets"), Answer(403, "accessDenied", text))
    with pytest.raises(StoreFailed, match=rf"bq --location=EU mk -d {PROJECT}:d_"):
        open_destination(f"{kit.address}?location=EU")


@needs_emulator
def test_reading_only_makes_no_dataset(kit: Kit, proxy: Proxy, dataset: str) -> None:
    with kit.open(read_only=True) as destination:
        assert destination.cursors() == {}
        assert destination.prune(DAILY, {"1": day(3)}, dry_run=True) == 0
    assert {r.method for r in proxy.seen} == {"GET"}


@needs_emulator
def test_check_finds_nothing_to_complain_of_and_leaves_nothing_behind(kit: Kit, dataset: str) -> None:
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    with kit.open() as destination:
        assert isinstance(destination, HoldsViews)
        destination.create_views([View("v_test", "A view", f"SELECT ad_id FROM `{named(dataset, ADS)}`")])
    before = sorted(t.table_id for t in client().list_tables(f"{PROJECT}.{dataset}"))
    with kit.open(read_only=True) as destination:
        assert isinstance(destination, Checkable)
        assert destination.check() == []
    assert sorted(t.table_id for t in client().list_tables(f"{PROJECT}.{dataset}")) == before


@needs_emulator
def test_check_names_what_is_missing(kit: Kit, proxy: Proxy) -> None:
    cases: list[tuple[Answer, Callable[[Request], Any], str]] = [
        (NO_JOBS, lambda r: r.job, "roles/bigquery.jobUser"),
        (NO_TABLES, lambda r: r.method == "POST" and r.path.endswith("/tables"), "roles/bigquery.dataEditor"),
        (NO_BILLING, lambda r: "DELETE" in r.sql, "Link a billing account"),
    ]
    with kit.open():
        pass
    for answer, which, words in cases:
        proxy.fault = always(which, answer)
        with kit.open(read_only=True) as destination:
            assert isinstance(destination, Checkable)
            (sentence,) = destination.check()
        assert words in sentence


# --- imports ----------------------------------------------------------------------------------------------------------


OBJECTS = ["advertisers", "ad_groups", "ads", "ad_report_daily", "campaign_report_hourly", "campaign_report_lifetime"]
BEGIN = NOW.date() - timedelta(days=8)


def wrong(project: Project, dataset: str, names: list[str], start: date = BEGIN) -> list[str]:
    """Every difference between BigQuery's tables and what TikTok has now."""
    found = []
    for name in names:
        stream = STREAMS[name]
        columns = [f.name for f in client().get_table(named(dataset, stream)).schema if f.name in stream.fields]
        wanted = [
            row
            for advertiser_id in project.server.advertiser_ids
            for row in expected(project.server.world, stream, advertiser_id, columns, start=start)
        ]
        found += [f"{name}: {d}" for d in differences(rows_of(dataset, stream), wanted, stream.keys)]
    return found


@needs_emulator
def test_an_import_equals_what_tiktok_has_today_and_two_days_later(
    project: Project, proxy: Proxy, dataset: str
) -> None:
    proxy.bytes_processed = 3 * 2**20
    project.say |= {
        "objects": OBJECTS, "start_date": f"{BEGIN}", "destination": f"bigquery://{PROJECT}/{dataset}?location=EU"
    }  # fmt: skip
    ran = project.import_()
    assert (ran.exit_code, ran.failures) == (0, [])
    assert ran.finished.bytes_billed > 3 * 2**20
    assert " MB billed in the destination" in ran.finished.summary
    assert wrong(project, dataset, OBJECTS) == []
    project.server.world.as_of = NOW + timedelta(days=2)
    again = ["ads", "ad_report_daily", "campaign_report_hourly"]
    ran = project.import_(objects=again, fields={"ad_report_daily": ["performance", "video"]})
    assert ran.exit_code == 0
    assert wrong(project, dataset, again) == []


@needs_emulator
def test_plan_and_check_say_what_bigquery_says_and_write_nothing(project: Project, proxy: Proxy, dataset: str) -> None:
    project.say |= {"destination": f"bigquery://{PROJECT}/{dataset}?price=6.25", "start_date": f"{BEGIN}"}
    proxy.bytes_processed = 2**40
    ran = project.import_()
    assert ran.exit_code == 0
    assert ran.finished.cost == 6.25 * ran.finished.bytes_billed / 2**40 > 0
    assert f"({ran.finished.cost:,.4f}) billed in the destination" in ran.finished.summary
    proxy.bytes_processed = 5 * 2**20
    proxy.seen.clear()
    answered = project.cli("plan", "tiktok.yaml")
    assert answered.returncode == 0
    assert "would bill about 50.0 MB (0.0003) for 1 step." in answered.stdout
    assert [r.job["dryRun"] for r in proxy.jobs if "DELETE" in r.sql] == [True]
    assert all(r.job.get("dryRun") or CURSORS_READ in r.sql for r in proxy.jobs)
    proxy.fault = always(lambda r: r.job.get("dryRun"), NO_JOBS)
    answered = project.cli("check", "tiktok.yaml")
    assert answered.returncode != 0
    assert "roles/bigquery.jobUser" in answered.stdout
    assert "Traceback" not in answered.stdout + answered.stderr


@needs_emulator
def test_views_are_made_after_an_import_and_answer(project: Project, proxy: Proxy, dataset: str) -> None:
    project.say |= {
        "objects": ["advertisers", "campaigns", "ad_groups", "ads", "ad_report_daily", "campaign_report_daily",
                    "videos", "images", "creative_report_daily", "creative_fatigue"],
        "start_date": f"{BEGIN}", "destination": f"bigquery://{PROJECT}/{dataset}", "views": True,
    }  # fmt: skip
    client().create_dataset(f"{PROJECT}.{dataset}")
    query(f"CREATE VIEW `{named(dataset, 'v_latest_entities')}` AS SELECT 42 AS mine")
    ran = project.import_()
    assert ran.exit_code == 0, ran.failures
    assert any("v_latest_entities" in text for text in ran.warnings), ran.warnings
    assert query(f"SELECT * FROM `{named(dataset, 'v_latest_entities')}`") == [(42,)]
    view = client().get_table(named(dataset, "v_ad_performance_daily"))
    assert view.table_type == "VIEW"
    assert {f.name: f.description for f in view.schema}["spend"]
    stored = sum(r["spend"] for r in rows_of(dataset, "ad_report_daily"))
    assert query(f"SELECT SUM(spend) FROM `{named(dataset, 'v_ad_performance_daily')}`") == [(stored,)]
    of_creatives = sum(r["spend"] for r in rows_of(dataset, "creative_report_daily"))
    picked = "SUM(spend), COUNT(thumbnail_expires_at) > 0, COUNT(video_link) > 0, COUNT(is_fatigued) > 0"
    found = query(f"SELECT {picked} FROM `{named(dataset, 'v_creatives')}`")
    assert found == [(of_creatives, True, True, True)]
    proxy.seen.clear()
    refreshed = app.views(project.settings(NOW), dry_run=False)
    assert {r.method for r in proxy.seen} == {"GET"}, "a view that is as it should be is not written again"
    assert [v.view.name for v in refreshed if v.left_alone] == ["v_latest_entities"]
    for made in (v.view.name for v in refreshed if v.statement and not v.left_alone):
        query(f"SELECT * FROM `{named(dataset, made)}`")


def killed_at(project: Project, proxy: Proxy, which: Callable[[Request], Any], after: int, how: str) -> bool:
    """Start an import, and kill it when the ``after``-th request of a kind has come; False when none came."""
    seen = [0]
    reached = threading.Event()

    def fault(request: Request) -> str | None:
        if which(request):
            seen[0] += 1
            if seen[0] == after:
                reached.set()
                return how
        return HANG if reached.is_set() else None

    proxy.fault = fault
    process = subprocess.Popen(
        project.command("import", str(project.write())),
        cwd=project.folder,
        env=process_environment(project.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not reached.is_set() and process.poll() is None:
        time.sleep(0.01)
    running = process.poll() is None
    if running:
        # The request, should it arrive, is carried out although nobody waits for the answer.
        time.sleep(0.5 if how == DROP else 0)
        os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    proxy.fault = lambda _: None
    return running


KILLS = [("the upload", 2, DROP), ("the transaction", 1, HANG), ("the transaction", 2, DROP)]


@needs_emulator
@pytest.mark.parametrize(("which", "after", "how"), KILLS, ids=[f"{w} {n} {h}" for w, n, h in KILLS])
def test_killed_anywhere_and_run_again_the_tables_are_those_of_one_clean_run(
    which: str, after: int, how: str, project: Project, proxy: Proxy, dataset: str
) -> None:
    names = ["campaigns", "ad_report_daily"]
    project.say |= {"objects": names, "start_date": f"{BEGIN}", "destination": f"bigquery://{PROJECT}/{dataset}"}
    assert killed_at(project, proxy, WHICH[which], after, how)
    ran = project.import_()
    assert (ran.exit_code, ran.failures) == (0, [])
    assert wrong(project, dataset, names) == []
    assert staged() == []


@needs_emulator
def test_two_imports_at_once_end_with_every_row_once(project: Project, proxy: Proxy, dataset: str) -> None:
    names = ["campaigns", "ad_report_daily"]
    project.say |= {"objects": names, "start_date": f"{BEGIN}", "destination": f"bigquery://{PROJECT}/{dataset}"}
    path = project.write()
    processes = [
        subprocess.Popen(
            project.command("import", str(path)),
            cwd=project.folder,
            env=process_environment(project.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [p.communicate(timeout=120)[1] for p in processes]
    assert [p.returncode for p in processes] == [0, 0], said
    assert wrong(project, dataset, names) == []


@needs_emulator
def test_old_days_are_pruned_by_an_import_and_only_counted_by_a_dry_run(
    project: Project, proxy: Proxy, dataset: str
) -> None:
    project.say |= {"start_date": f"{BEGIN}", "destination": f"bigquery://{PROJECT}/{dataset}"}
    project.import_()
    stored = len(rows_of(dataset, "ad_report_daily"))
    project.say["clean_up_to_keep_window"] = 5
    counted = project.cli("prune", "--dry-run", str(project.write(start_date=f"{NOW.date() - timedelta(days=5)}")))
    assert counted.returncode == 0, counted.stderr
    assert "would delete" in counted.stderr
    assert len(rows_of(dataset, "ad_report_daily")) == stored
    ran = project.import_(start_date=f"{NOW.date() - timedelta(days=5)}")
    assert ran.finished.pruned["ad_report_daily"] > 0
    oldest = min(r["stat_time_day"] for r in rows_of(dataset, "ad_report_daily"))
    assert oldest >= NOW.date() - timedelta(days=6)
