"""What every destination must survive. A new destination is one more line in DESTINATIONS."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, StoreBusy, StoreFailed
from owox_tiktok.model import Chunk, Cursor, Destination, Failure, Kind, Known, Stored, Stream, Window
from owox_tiktok.rows import column
from owox_tiktok.spool import Writer
from owox_tiktok.streams import STREAMS
from tests import bigquery
from tests.helpers import Row, in_order, table
from tests.sheets import in_a_cell, sheet_rows, stand_in, tab_of

DAILY, HOURLY, ADS = STREAMS["ad_report_daily"], STREAMS["ad_report_hourly"], STREAMS["ads"]
LIFETIME = STREAMS["ad_report_lifetime"]
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = {
    DAILY.name: ("ad_name", "spend", "impressions", "ctr"),
    HOURLY.name: ("spend", "impressions"),
    ADS.name: ("ad_name", "create_time", "is_aco"),
    LIFETIME.name: ("spend",),
}


@dataclass(frozen=True)
class Harm:
    """Ways to harm what is stored; ``age`` makes it look as the first version wrote it."""

    drop: Callable[[Stream], object]
    drop_column: Callable[[Stream, str], object]
    age: Callable[[Stream], object]


class Kit:
    """One destination with the words the tests need."""

    def __init__(
        self,
        folder: Path,
        address: str,
        read: Callable[[Stream], list[Row]],
        keeps: Callable[[Any], Any] = lambda value: value,
        harm: Harm | None = None,
    ) -> None:
        self.folder, self.address, self.read, self.keeps = folder, address, read, keeps
        """``keeps`` says what the destination can keep of a value: a Sheet's numbers have 15 digits."""
        self._harm = harm
        self._files = 0

    @property
    def harm(self) -> Harm:
        """What a person may do to the tables behind the program's back."""
        assert self._harm is not None
        return self._harm

    def open(self, *, read_only: bool = False) -> Destination:
        return open_destination(self.address, read_only=read_only)

    def chunk(
        self,
        stream: Stream,
        rows: Sequence[Row],
        window: tuple[date, date] | None = None,
        *,
        advertiser_id: str = "1",
        fields: Sequence[str] | None = None,
        cursor: Cursor | bool | None = True,
    ) -> Chunk:
        """Rows given by wire values; columns not given are null."""
        fields = FIELDS[stream.name] if fields is None else fields
        columns = stream.columns(fields)
        self._files += 1
        writer = Writer(self.folder / f"{self._files}.csv", columns, stream.time)
        whole = [{"advertiser_id": advertiser_id, "currency": "EUR", **row} for row in rows]
        writer.append([column(f, [row.get(f.name) for row in whole]) for f in columns])
        writer.close()
        if cursor is True:
            since, through = window or (None, None)
            cursor = Cursor(frozenset(fields), AT, AT.date(), since, through)
        return Chunk(
            stream,
            advertiser_id,
            Window(*window) if window else None,
            columns,
            writer.path,
            writer.rows,
            cursor or None,
            writer.seals,
            AT,
        )

    def store(self, *chunks: Chunk) -> list[Stored]:
        with self.open() as destination:
            destination.prepare(chunks[0].stream, chunks[0].columns)
            return self.put(destination, *chunks)

    def put(self, destination: Destination, *chunks: Chunk) -> list[Stored]:
        return (destination.replace if chunks[0].stream.verb == "replace" else destination.upsert)(chunks)

    def known(self) -> dict[tuple[str, str], Known]:
        with self.open(read_only=True) as destination:
            return destination.cursors()

    def cursors(self) -> dict[tuple[str, str], Cursor]:
        return {pair: known.cursor for pair, known in self.known().items() if known.cursor}


def _duckdb(folder: Path) -> Kit:
    file = folder / "tiktok.duckdb"

    def age(stream: Stream) -> None:
        change(file, f"COMMENT ON TABLE {stream.table} IS 'Written by owox_tiktok: {stream.description}'")
        for name in ("table_id", "failed_at"):
            change(file, f"ALTER TABLE _owox_tiktok_cursors DROP COLUMN IF EXISTS {name}")

    harm = Harm(
        lambda stream: change(file, f"DROP TABLE {stream.table}"),
        lambda stream, name: change(file, f"ALTER TABLE {stream.table} DROP COLUMN {name}"),
        age,
    )
    return Kit(folder, f"duckdb:///{file}", lambda stream: table(file, stream), harm=harm)


def change(file: Path, *statements: str) -> None:
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)


def _sheets(folder: Path) -> Kit:
    server = stand_in()
    book = server.create(folder.name)

    def drop(stream: Stream) -> None:
        tab = tab_of(server, book, stream)
        assert tab is not None
        server.batch(book, [{"deleteSheet": {"sheetId": tab.sheet_id}}])

    def drop_column(stream: Stream, name: str) -> None:
        tab = tab_of(server, book, stream)
        assert tab is not None
        at = tab.values()[0].index(name)
        place = {"sheetId": tab.sheet_id, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
        server.batch(book, [{"deleteDimension": {"range": place}}])

    def age(stream: Stream) -> None:
        hidden = next(s for s in server.spreadsheet(book).sheets if s.hidden)
        at = hidden.values()[0].index("failed_at")
        place = {"sheetId": hidden.sheet_id, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 2}
        server.batch(book, [{"deleteDimension": {"range": place}}])

    harm = Harm(drop, drop_column, age)
    return Kit(folder, f"sheets://{book}", lambda stream: sheet_rows(server, book, stream), in_a_cell, harm)


def _bigquery(folder: Path) -> Kit:
    dataset = f"d_{uuid.uuid4().hex}"

    def alter(table: str, *names: str) -> None:
        dropped = ", ".join(f"DROP COLUMN IF EXISTS {name}" for name in names)
        bigquery.query(f"ALTER TABLE `{bigquery.PROJECT}.{dataset}.{table}` {dropped}")

    harm = Harm(
        lambda stream: bigquery.client().delete_table(f"{bigquery.PROJECT}.{dataset}.{stream.table}"),
        lambda stream, name: alter(stream.table, name),
        lambda stream: alter("_owox_tiktok_cursors", "table_id", "failed_at"),
    )
    return Kit(
        folder, f"bigquery://{bigquery.PROJECT}/{dataset}", lambda stream: bigquery.rows_of(dataset, stream), harm=harm
    )


def _name_of(make: Callable[..., Kit]) -> str:
    return make.__name__.strip("_")


DESTINATIONS = [_duckdb, _sheets, pytest.param(_bigquery, marks=bigquery.needs_emulator)]


@pytest.fixture(params=DESTINATIONS, ids=_name_of)
def kit(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    if request.param is _sheets:
        monkeypatch.setenv("SHEETS_API_URL", stand_in().url)
    if request.param is _bigquery:
        monkeypatch.setenv("BIGQUERY_API_URL", bigquery.begin())
    made: Kit = request.param(tmp_path)
    return made


def day(n: int) -> date:
    return date(2026, 1, 1) + timedelta(days=n - 1)


def ad(number: int, of_day: int, **more: object) -> Row:
    return {
        "ad_id": f"17{number}",
        "stat_time_day": f"{day(of_day)} 00:00:00",
        "spend": "1.50",
        "impressions": "10",
        **more,
    }


def days_stored(kit: Kit, advertiser_id: str = "1") -> list[date]:
    return sorted(r["stat_time_day"] for r in kit.read(DAILY) if r["advertiser_id"] == advertiser_id)


# --- the two verbs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "rows", "window"),
    [
        (DAILY, [ad(1, 1), ad(2, 1), ad(1, 2)], (day(1), day(3))),
        (ADS, [{"ad_id": "171", "ad_name": "a"}, {"ad_id": "172", "ad_name": "b"}], None),
        (LIFETIME, [{"ad_id": "171", "spend": "3"}], None),
    ],
)
def test_storing_twice_is_storing_once(kit: Kit, stream: Stream, rows: list[Row], window: Any) -> None:
    assert kit.store(kit.chunk(stream, rows, window)) == [Stored(len(rows), 0)]
    once, cursors = in_order(kit.read(stream)), kit.cursors()
    assert kit.store(kit.chunk(stream, rows, window)) == [Stored(len(rows), len(rows))]
    assert in_order(kit.read(stream)) == once
    assert len(once) == len(rows)
    assert kit.cursors() == cursors


def test_a_window_becomes_exactly_what_was_read_for_it(kit: Kit) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1), ad(2, 1), ad(3, 2)], (day(1), day(2))))
    kit.store(kit.chunk(DAILY, [ad(1, 1, spend="9.99"), ad(4, 2)], (day(1), day(2))))
    assert {(r["ad_id"], r["stat_time_day"], r["spend"]) for r in kit.read(DAILY)} == {
        ("171", day(1), Decimal("9.99")),
        ("174", day(2), Decimal("1.50")),
    }


def test_a_window_without_rows_empties_its_days(kit: Kit) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1), ad(1, 2), ad(1, 3)], (day(1), day(3))))
    assert kit.store(kit.chunk(DAILY, [], (day(2), day(2)))) == [Stored(0, 1)]
    assert days_stored(kit) == [day(1), day(3)]


def test_replacing_a_window_touches_no_other_day_and_no_other_advertiser(kit: Kit) -> None:
    rows = [ad(1, n) for n in range(1, 8)]
    kit.store(kit.chunk(DAILY, rows, (day(1), day(7))))
    kit.store(kit.chunk(DAILY, rows, (day(1), day(7)), advertiser_id="2"))
    other = kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}])
    kit.store(other)
    kit.store(kit.chunk(DAILY, [], (day(3), day(5))))
    assert days_stored(kit) == [day(n) for n in (1, 2, 6, 7)]
    assert days_stored(kit, "2") == [day(n) for n in range(1, 8)]
    assert len(kit.read(LIFETIME)) == 1


def test_replacing_a_day_of_hours_takes_all_24_of_it_and_none_of_its_neighbours(kit: Kit) -> None:
    hours = [(n, h) for n in (1, 2, 3) for h in range(24)]
    for n in (1, 2, 3):
        rows = [{"ad_id": "171", "stat_time_hour": f"{day(n)} {h:02}:00:00", "spend": "1"} for m, h in hours if m == n]
        kit.store(kit.chunk(HOURLY, rows, (day(n), day(n))))
    assert kit.store(kit.chunk(HOURLY, [], (day(2), day(2)))) == [Stored(0, 24)]
    left = sorted((r["stat_time_hour"].date(), r["stat_time_hour"].hour) for r in kit.read(HOURLY))
    assert left == [(day(n), h) for n, h in hours if n != 2]


def test_what_has_no_days_is_replaced_per_advertiser(kit: Kit) -> None:
    kit.store(kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}, {"ad_id": "172", "spend": "4"}]))
    kit.store(kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}], advertiser_id="2"))
    kit.store(kit.chunk(LIFETIME, [{"ad_id": "173", "spend": "5"}]))
    assert {(r["advertiser_id"], r["ad_id"]) for r in kit.read(LIFETIME)} == {("1", "173"), ("2", "171")}


def test_an_upsert_changes_what_it_names_and_keeps_the_rest(kit: Kit) -> None:
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "old"}, {"ad_id": "172", "ad_name": "stays"}]))
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "of another"}], advertiser_id="2"))
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "new"}, {"ad_id": "173", "ad_name": "more"}]))
    kit.store(kit.chunk(ADS, []))
    assert {(r["advertiser_id"], r["ad_id"]): r["ad_name"] for r in kit.read(ADS)} == {
        ("1", "171"): "new", ("1", "172"): "stays", ("1", "173"): "more", ("2", "171"): "of another",
    }  # fmt: skip


def test_a_list_of_the_whole_app_holds_every_advertiser_once(kit: Kit) -> None:
    listed = STREAMS["advertiser_ids"]
    rows: list[Row] = [{"advertiser_id": n, "advertiser_name": "a"} for n in ("1", "2")]
    kit.store(kit.chunk(listed, rows, advertiser_id="", fields=["advertiser_name"]))
    rows[1]["advertiser_name"] = "b"
    kit.store(kit.chunk(listed, rows, advertiser_id="", fields=["advertiser_name"]))
    assert sorted((r["advertiser_id"], r["advertiser_name"]) for r in kit.read(listed)) == [("1", "a"), ("2", "b")]


def test_several_windows_can_be_stored_in_one_step(kit: Kit) -> None:
    chunks = [kit.chunk(DAILY, [ad(1, n)] * (n != 2), (day(n), day(n))) for n in (1, 2, 3)]
    chunks += [kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), advertiser_id="2")]
    assert [s.rows for s in kit.store(*chunks)] == [1, 0, 1, 1]
    assert days_stored(kit) == [day(1), day(3)]
    assert kit.cursors()[DAILY.name, "1"].through == day(3)
    assert kit.cursors()[DAILY.name, "2"].through == day(1)


# --- values -----------------------------------------------------------------------------------------------------------

TEXTS = ["", " ", "=SUM(A1)", "+1", "-1", "@x", "Весна 🌞", "日本語", 'say "x"', "two\nlines",
         "carriage\rreturn", "\r\n", "a,b",
         "back\\slash", "NULL", "null", "'; DROP TABLE x; --", "tab\there", "x" * 20_000, "\\N", "nan"]  # fmt: skip


def _a_line_feed(text: str) -> str:
    """What ``rows`` makes of each line break before a destination sees it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


# BigQuery reads a file as it is configured to; what DuckDB and a Sheet make of a text may hang on the texts beside it.
@pytest.mark.parametrize("kit", DESTINATIONS[:2], ids=_name_of, indirect=True)
@pytest.mark.parametrize("text", TEXTS, ids=lambda t: repr(t)[:20])
def test_texts_come_back_as_they_are(kit: Kit, text: str) -> None:
    kit.store(kit.chunk(ADS, [{"ad_id": "7012345678901234567", "ad_name": text}, {"ad_id": "0", "ad_name": None}]))
    kept = kit.keeps(_a_line_feed(text))
    assert {r["ad_id"]: r["ad_name"] for r in kit.read(ADS)} == {"7012345678901234567": kept, "0": None}


def test_all_texts_together_come_back_as_they_are(kit: Kit) -> None:
    kit.store(kit.chunk(ADS, [{"ad_id": f"{n}", "ad_name": text} for n, text in enumerate(TEXTS)]))
    assert [r["ad_name"] for r in sorted(kit.read(ADS), key=lambda r: int(r["ad_id"]))] == [
        kit.keeps(_a_line_feed(text)) for text in TEXTS
    ]


def test_money_comes_back_exactly_to_the_ninth_decimal(kit: Kit) -> None:
    amounts = ["0", "0.01", "-5.10", "0.123456789", "99999999999999999999.99", "1234567.8901", "0.1234567891", "-"]
    kit.store(kit.chunk(DAILY, [ad(n, 1, spend=amount) for n, amount in enumerate(amounts)], (day(1), day(1))))
    assert [r["spend"] for r in sorted(kit.read(DAILY), key=lambda r: r["ad_id"])] == [
        *(kit.keeps(Decimal(amount)) for amount in amounts[:-2]), Decimal("0.123456789"), None,
    ]  # fmt: skip


def test_moments_and_hours_come_back_as_they_are(kit: Kit) -> None:
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "create_time": "2026-03-29 01:30:00", "is_aco": True}]))
    assert [(r["create_time"], r["is_aco"]) for r in kit.read(ADS)] == [
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), True)
    ]
    kit.store(kit.chunk(HOURLY, [{"ad_id": "171", "stat_time_hour": "2026-03-29 02:00:00"}], (date(2026, 3, 29),) * 2))
    assert [r["stat_time_hour"] for r in kit.read(HOURLY)] == [datetime(2026, 3, 29, 2)]


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_new_field_becomes_a_new_column_and_old_rows_stay(kit: Kit) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend"]))
    kit.store(kit.chunk(DAILY, [ad(1, 2, likes="7")], (day(2), day(2)), fields=["likes", "spend"]))
    kit.store(kit.chunk(DAILY, [ad(1, 3)], (day(3), day(3)), fields=["impressions"]))
    rows = sorted(kit.read(DAILY), key=lambda r: r["stat_time_day"])
    assert [(r["spend"], r["likes"], r["impressions"]) for r in rows] == [
        (Decimal("1.50"), None, None), (Decimal("1.50"), 7, None), (None, None, 10),
    ]  # fmt: skip


def test_a_table_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    kit = _duckdb(tmp_path)
    with duckdb.connect(str(tmp_path / "tiktok.duckdb")) as connection:
        connection.execute(f"CREATE TABLE {DAILY.table} AS SELECT 42 AS mine")
    with pytest.raises(StoreFailed) as caught:
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    assert DAILY.table in caught.value.sentence
    assert caught.value.what_to_do
    with duckdb.connect(str(tmp_path / "tiktok.duckdb")) as connection:
        assert connection.execute(f"SELECT * FROM {DAILY.table}").fetchall() == [(42,)]


def test_a_column_whose_type_was_changed_is_refused_by_name(tmp_path: Path) -> None:
    kit = _duckdb(tmp_path)
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
    with duckdb.connect(str(tmp_path / "tiktok.duckdb")) as connection:
        connection.execute(f"ALTER TABLE {DAILY.table} ALTER spend TYPE DOUBLE")
    with pytest.raises(StoreFailed, match="spend"):
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))


def test_columns_that_a_user_added_survive(tmp_path: Path) -> None:
    kit = _duckdb(tmp_path)
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "a"}]))
    with duckdb.connect(str(tmp_path / "tiktok.duckdb")) as connection:
        connection.execute(f"ALTER TABLE {ADS.table} ADD COLUMN my_note VARCHAR")
    kit.store(kit.chunk(ADS, [{"ad_id": "172", "ad_name": "b"}]))
    with duckdb.connect(str(tmp_path / "tiktok.duckdb")) as connection:
        assert connection.execute(f"SELECT count(*), count(my_note) FROM {ADS.table}").fetchall() == [(2, 0)]


def test_every_column_is_described(tmp_path: Path) -> None:
    kit = _duckdb(tmp_path)
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend"]))
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend", "likes"]))
    with duckdb.connect(str(tmp_path / "tiktok.duckdb")) as connection:
        found = dict(
            connection.execute(
                "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = $1", [DAILY.table]
            ).fetchall()
        )
    assert found == {f.name: f.description for f in DAILY.columns(["spend", "likes"])}


# --- all or nothing ---------------------------------------------------------------------------------------------------


def test_when_one_row_does_not_fit_neither_rows_nor_cursor_change(kit: Kit) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, 1), ad(2, 1)], (day(1), day(1))))
    before, cursors = in_order(kit.read(DAILY)), kit.cursors()
    good = kit.chunk(DAILY, [ad(1, 1, spend="7")], (day(1), day(1)))
    wrong = {"spend": "twelve", "impressions": "99999999999999999999", "stat_time_day": "2026-02-31", "ad_id": ""}
    with kit.open() as destination:
        destination.prepare(DAILY, good.columns)
        for name, value in wrong.items():
            broken = kit.chunk(DAILY, [ad(1, 2), ad(3, 2)], (day(2), day(2)))
            lines = broken.path.read_text().splitlines()
            cells = lines[1].split(",")
            cells[[f.name for f in broken.columns].index(name)] = value
            broken.path.write_text("\n".join([lines[0], ",".join(cells)]) + "\n")
            with pytest.raises(StoreFailed) as caught:
                destination.replace([good, broken])
            assert DAILY.table in caught.value.sentence
        # The connection is good for more.
        destination.replace([kit.chunk(DAILY, [ad(9, 5)], (day(5), day(5)), cursor=None)])
    rows = [r for r in kit.read(DAILY) if r["stat_time_day"] != day(5)]
    assert in_order(rows) == before
    assert kit.cursors() == cursors


# --- cursors ----------------------------------------------------------------------------------------------------------


def test_cursors_come_back_as_they_were_stored(kit: Kit) -> None:
    assert kit.cursors() == {}
    whole = Cursor(frozenset({"spend", "likes"}), AT, day(60), day(1), day(59), frozenset({"reach"}))
    without_days = Cursor(frozenset({"ad_name"}), AT, day(60))
    kit.store(kit.chunk(DAILY, [], (day(1), day(59)), fields=["spend", "likes"], cursor=whole))
    kit.store(kit.chunk(ADS, [], cursor=without_days))
    kit.store(kit.chunk(DAILY, [], (day(1), day(59)), advertiser_id="2", cursor=None))
    assert kit.cursors() == {(DAILY.name, "1"): whole, (ADS.name, "1"): without_days}


def test_a_failure_is_remembered_beside_the_cursor_until_the_next_success(kit: Kit) -> None:
    cursor = Cursor(frozenset({"spend"}), AT, day(60), day(1), day(59))
    kit.store(kit.chunk(DAILY, [], (day(1), day(59)), cursor=cursor))
    with kit.open() as destination:
        destination.failed(DAILY, "1", 'TikTok refused: it\'s "no"', AT + timedelta(days=1))
        destination.failed(DAILY, "2", "never read", AT)
    assert kit.known() == {
        (DAILY.name, "1"): Known(cursor, Failure('TikTok refused: it\'s "no"', AT + timedelta(days=1))),
        (DAILY.name, "2"): Known(None, Failure("never read", AT)),
    }
    kit.store(kit.chunk(DAILY, [], (day(1), day(59)), cursor=cursor))
    assert kit.known()[DAILY.name, "1"] == Known(cursor)


# --- what a person does behind the program's back ---------------------------------------------------------------------

HARMED = DESTINATIONS
"""Destinations whose tables a test can harm."""


def whole(kit: Kit, advertiser_id: str = "1") -> Chunk:
    return kit.chunk(DAILY, [ad(1, n) for n in range(1, 6)], (day(1), day(5)), advertiser_id=advertiser_id)


@pytest.mark.parametrize("kit", HARMED, ids=_name_of, indirect=True)
def test_a_table_that_was_dropped_has_no_days_and_says_so(kit: Kit) -> None:
    kit.store(whole(kit))
    kit.store(whole(kit, "2"))
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    kit.harm.drop(DAILY)
    for advertiser_id in ("1", "2"):
        found = kit.known()[DAILY.name, advertiser_id]
        assert found.cursor is None
        assert DAILY.name in found.lost
    assert kit.known()[ADS.name, "1"].lost == ""
    # A run that is killed once the new table is there, or has filled it for one account, leaves nothing to believe in.
    with kit.open() as destination:
        destination.prepare(DAILY, whole(kit).columns)
    assert {pair for pair in kit.cursors() if pair[0] == DAILY.name} == set()
    kit.store(whole(kit, "2"))
    assert {pair for pair in kit.cursors() if pair[0] == DAILY.name} == {(DAILY.name, "2")}
    assert len(kit.read(DAILY)) == 5


@pytest.mark.parametrize("kit", HARMED, ids=_name_of, indirect=True)
def test_a_column_that_was_dropped_is_no_longer_complete_and_says_so(kit: Kit) -> None:
    chunk = whole(kit)
    kit.store(chunk)
    kit.store(whole(kit, "2"))
    kit.harm.drop_column(DAILY, "impressions")
    found = kit.known()[DAILY.name, "1"]
    assert "impressions" in found.lost
    assert found.cursor is not None
    assert found.cursor.fields == {"ad_name", "spend", "ctr"}
    assert (found.cursor.since, found.cursor.through) == (day(1), day(5))
    # The column is there again after this, and empty; only who is read again has it.
    kit.store(whole(kit, "2"))
    assert kit.cursors()[DAILY.name, "1"].fields == {"ad_name", "spend", "ctr"}
    assert kit.cursors()[DAILY.name, "2"].fields == {"ad_name", "spend", "ctr", "impressions"}
    assert {r["advertiser_id"]: r["impressions"] for r in kit.read(DAILY)} == {"1": None, "2": 10}


@pytest.mark.parametrize("kit", HARMED, ids=_name_of, indirect=True)
def test_a_key_that_was_dropped_is_refused_in_words(kit: Kit) -> None:
    kit.store(whole(kit))
    kit.harm.drop_column(DAILY, "ad_id")
    with pytest.raises(StoreFailed, match="ad_id"):
        kit.store(whole(kit))


@pytest.mark.parametrize("kit", HARMED, ids=_name_of, indirect=True)
def test_pruning_and_failures_are_no_harm(kit: Kit) -> None:
    kit.store(whole(kit))
    with kit.open() as destination:
        destination.prune(DAILY, {"1": day(3)}, dry_run=False)
        destination.failed(DAILY, "1", "no answer", AT)
    found = kit.known()[DAILY.name, "1"]
    assert found.lost == ""
    assert found.cursor is not None
    assert (found.cursor.since, found.cursor.through) == (day(3), day(5))


@pytest.mark.parametrize("kit", HARMED, ids=_name_of, indirect=True)
def test_what_the_first_version_stored_counts_and_adopts_its_table_once(kit: Kit) -> None:
    chunk = whole(kit)
    kit.store(chunk)
    kit.harm.age(DAILY)
    assert kit.known() == {(DAILY.name, "1"): Known(chunk.cursor)}
    kit.store(whole(kit, "2"))
    assert kit.known()[DAILY.name, "1"] == Known(chunk.cursor)
    kit.harm.drop(DAILY)
    kit.store(whole(kit, "2"))
    assert set(kit.cursors()) == {(DAILY.name, "2")}


@pytest.mark.parametrize("kit", HARMED, ids=_name_of, indirect=True)
def test_a_table_of_the_first_version_that_is_not_there_any_more_is_adopted_by_nobody(kit: Kit) -> None:
    kit.store(whole(kit))
    kit.store(whole(kit, "2"))
    kit.harm.age(DAILY)
    kit.harm.drop(DAILY)
    kit.store(whole(kit, "2"))
    assert set(kit.cursors()) == {(DAILY.name, "2")}


def test_forgotten_pairs_are_as_if_never_read_and_their_rows_stay(kit: Kit) -> None:
    for advertiser_id in ("1", "2"):
        kit.store(whole(kit, advertiser_id))
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    with kit.open() as destination:
        destination.cursors()
        destination.failed(DAILY, "1", "no answer", AT)
        destination.forget(DAILY, ["1", "3"])
        destination.forget(LIFETIME, [])
    assert set(kit.known()) == {(DAILY.name, "2"), (ADS.name, "1")}
    assert len(kit.read(DAILY)) == 10
    kit.store(whole(kit))
    assert set(kit.cursors()) == {(DAILY.name, "1"), (DAILY.name, "2"), (ADS.name, "1")}
    assert len(kit.read(DAILY)) == 10


def test_a_table_put_in_the_place_of_another_does_not_count(tmp_path: Path) -> None:
    kit, file = _duckdb(tmp_path), tmp_path / "tiktok.duckdb"
    kit.store(whole(kit))
    change(file, f"ALTER TABLE {DAILY.table} RENAME TO before")
    kit.store(whole(kit), whole(kit, "2"))
    change(file, f"DROP TABLE {DAILY.table}", f"ALTER TABLE before RENAME TO {DAILY.table}")
    assert kit.cursors() == {}
    assert {known.lost for known in kit.known().values()} == {f"the table {DAILY.table} is another one than before"}


def test_a_report_that_lost_its_currency_is_read_again_whole(tmp_path: Path) -> None:
    kit = _duckdb(tmp_path)
    kit.store(whole(kit))
    kit.harm.drop_column(DAILY, "currency")
    assert "currency" in kit.known()[DAILY.name, "1"].lost
    kit.store(whole(kit, "2"))
    assert set(kit.cursors()) == {(DAILY.name, "2")}


# --- one step ---------------------------------------------------------------------------------------------------------


def test_two_chunks_of_the_same_rows_are_refused_and_nothing_is_stored(kit: Kit) -> None:
    ads = [kit.chunk(ADS, [{"ad_id": "171"}]) for _ in range(2)]
    days = [kit.chunk(DAILY, [ad(1, 2)], (day(n), day(n + 1))) for n in (1, 2)]
    for chunks in (ads, days):
        with pytest.raises(StoreFailed, match="twice"):
            kit.store(*chunks)
        assert kit.read(chunks[0].stream) == []
    assert kit.cursors() == {}


def test_a_row_file_that_lost_rows_moves_no_cursor(kit: Kit) -> None:
    kit.store(whole(kit))
    before, cursors = in_order(kit.read(DAILY)), kit.cursors()
    for stream, short in (
        (DAILY, kit.chunk(DAILY, [ad(1, n, spend="7") for n in (6, 7)], (day(6), day(7)))),
        (ADS, kit.chunk(ADS, [{"ad_id": "171"}, {"ad_id": "172"}])),
    ):
        short.path.write_text(short.path.read_text().splitlines(keepends=True)[0])
        with pytest.raises(StoreFailed, match=r"2 rows .* 1 "):
            kit.store(short)
        assert (stream.name, "1") not in kit.cursors() or kit.cursors() == cursors
    assert in_order(kit.read(DAILY)) == before
    assert kit.read(ADS) == []


@pytest.mark.parametrize("kit", HARMED, ids=_name_of, indirect=True)
def test_rows_outside_their_window_are_not_stored_quietly(kit: Kit) -> None:
    with pytest.raises(StoreFailed, match="2 rows"):
        kit.store(kit.chunk(DAILY, [ad(1, 1), ad(1, 9)], (day(1), day(2))))
    assert kit.read(DAILY) == []


def test_very_wide_rows_are_given_the_memory_they_need(tmp_path: Path) -> None:
    kit = _duckdb(tmp_path)
    fields = [n for n, f in HOURLY.fields.items() if f.kind in (Kind.MONEY, Kind.COUNT)][:100]
    few = [ad(n, 1, stat_time_hour=f"{day(1)} 00:00:00", **dict.fromkeys(fields, n)) for n in range(1_500)]
    for of_day, copies in ((1, 1), (2, 30)):
        rows = kit.chunk(HOURLY, few, (day(of_day), day(of_day)), fields=fields)
        text = rows.path.read_text().replace(str(day(1)), str(day(of_day)))
        # The same rows under other ids, at the speed of a text.
        rows.path.write_text("".join(text.replace(",17", f",{17 + n}") for n in range(copies)))
        (stored,) = kit.store(replace(rows, rows=1_500 * copies))
        assert stored.rows == 1_500 * copies


# --- pruning ----------------------------------------------------------------------------------------------------------


def test_the_cutoff_day_stays_and_each_advertiser_has_its_own(kit: Kit) -> None:
    for advertiser_id in ("1", "2", "3"):
        rows = [ad(1, n) for n in range(1, 6)]
        kit.store(kit.chunk(DAILY, rows, (day(1), day(5)), advertiser_id=advertiser_id))
    keep_from = {"1": day(3), "2": day(5)}
    with kit.open() as destination:
        assert destination.prune(DAILY, keep_from, dry_run=True) == 2 + 4
        assert destination.prune(DAILY, keep_from, dry_run=True) == 2 + 4
        assert destination.prune(DAILY, keep_from, dry_run=False) == 2 + 4
        assert destination.prune(DAILY, keep_from, dry_run=False) == 0
    assert days_stored(kit, "1") == [day(3), day(4), day(5)]
    since = {advertiser_id: cursor.since for (_, advertiser_id), cursor in kit.cursors().items()}
    assert since == {"1": day(3), "2": day(5), "3": day(1)}, "a cursor claims no day that was deleted"
    assert days_stored(kit, "2") == [day(5)]
    assert days_stored(kit, "3") == [day(n) for n in range(1, 6)]


def test_the_first_hour_of_the_cutoff_day_stays_and_the_last_before_it_goes(kit: Kit) -> None:
    rows = [
        {"ad_id": "171", "stat_time_hour": f"{d} {h}:00:00"} for d, h in ((day(1), 23), (day(2), "00"), (day(2), 23))
    ]
    kit.store(kit.chunk(HOURLY, rows, (day(1), day(2))))
    with kit.open() as destination:
        assert destination.prune(HOURLY, {"1": day(2)}, dry_run=False) == 1
    assert sorted(r["stat_time_hour"].hour for r in kit.read(HOURLY)) == [0, 23]
    assert {r["stat_time_hour"].date() for r in kit.read(HOURLY)} == {day(2)}


def test_lists_and_tables_that_are_not_there_are_not_pruned(kit: Kit) -> None:
    kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
    with kit.open() as destination:
        assert destination.prune(ADS, {"1": day(300)}, dry_run=False) == 0
        assert destination.prune(DAILY, {"1": day(300)}, dry_run=False) == 0
        assert destination.prune(DAILY, {}, dry_run=False) == 0
    assert len(kit.read(ADS)) == 1


# --- opening ----------------------------------------------------------------------------------------------------------


def test_reading_only_creates_nothing(tmp_path: Path) -> None:
    with open_destination(f"duckdb:///{tmp_path}/new.duckdb", read_only=True) as destination:
        assert destination.cursors() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("duckd:///x.duckdb", "duckdb://"), ("mysql:///x", "duckdb://"), ("duckdb:///", "no file given"),
        ("duckdb:////nowhere/at/all/x.duckdb", "no folder"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_opened_is_a_mistake_with_advice(address: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_destination(address)
    assert words in caught.value.sentence


def test_a_file_that_is_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.duckdb"
    file.write_text("my notes, long enough to be read as a header " * 400)
    before = file.read_bytes()
    with pytest.raises(BadInput, match="not a DuckDB file"):
        open_destination(f"duckdb:///{file}")
    assert file.read_bytes() == before


def test_a_file_in_use_by_another_process_is_busy(tmp_path: Path) -> None:

    file = tmp_path / "busy.duckdb"
    code = f"import duckdb, sys; c = duckdb.connect({str(file)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreBusy) as caught:
            open_destination(f"duckdb:///{file}")
        assert str(other.pid) in caught.value.sentence
        other.communicate()
    with open_destination(f"duckdb:///{file}") as destination:
        assert destination.cursors() == {}
