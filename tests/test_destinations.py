"""Every destination keeps its promises (``owox_tiktok.testing``); what is DuckDB's own; and how one is found."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import UTC, date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, StoreBusy
from owox_tiktok.model import Kind, Stream
from owox_tiktok.spool import Writer, read_text
from owox_tiktok.testing import DestinationPromises, Kit
from owox_tiktok.testing.kit import ADS, DAILY, HOURLY, ad, day
from tests import bigquery
from tests.helpers import Row, columns_of, table
from tests.sheets import columns_of_tab, in_a_cell, numbered_rows, sheet_rows, stand_in, tab_of


class DuckDBKit(Kit):
    def __init__(self, folder: Path) -> None:
        self.file = folder / "tiktok.duckdb"
        super().__init__(folder, f"duckdb:///{self.file}")

    def run(self, *statements: str) -> list[Any]:
        """Run statements as a person may; the rows of the last."""
        with duckdb.connect(str(self.file)) as connection:
            for statement in statements[:-1]:
                connection.execute(statement)
            return connection.execute(statements[-1]).fetchall()

    def read(self, stream: Stream) -> list[Row]:
        return table(self.file, stream)

    def columns(self, stream: Stream) -> list[str]:
        return columns_of(self.file, stream)

    def everything(self) -> object:
        return sorted(self.folder.iterdir())

    def drop_table(self, stream: Stream) -> None:
        self.run(f"DROP TABLE {stream.table}")

    def drop_column(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {stream.table} DROP COLUMN {name}")

    def add_column(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {stream.table} ADD COLUMN {name} VARCHAR")

    def replace_table(self, stream: Stream) -> None:
        """A table that this program made, too: the one that was there before."""
        self.run(f"ALTER TABLE {stream.table} RENAME TO before")
        self.store(self.whole(), self.whole("2"))
        self.run(f"DROP TABLE {stream.table}", f"ALTER TABLE before RENAME TO {stream.table}")

    def make_foreign_table(self, stream: Stream) -> None:
        self.run(f"CREATE TABLE {stream.table} AS SELECT 42 AS mine")

    def foreign_rows(self, stream: Stream) -> list[Any]:
        return self.run(f"SELECT * FROM {stream.table}")

    def change_cell(self, stream: Stream, key: tuple[str, str], name: str, value: object) -> None:
        self.run(f"UPDATE {stream.table} SET {name} = '{value}' WHERE {key[0]} = '{key[1]}'")

    def delete_row(self, stream: Stream, key: tuple[str, str]) -> None:
        self.run(f"DELETE FROM {stream.table} WHERE {key[0]} = '{key[1]}'")

    def copy_row(self, stream: Stream, key: tuple[str, str]) -> None:
        self.run(f"INSERT INTO {stream.table} SELECT * FROM {stream.table} WHERE {key[0]} = '{key[1]}'")

    def change_type(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {stream.table} ALTER {name} TYPE DOUBLE")

    def descriptions(self, stream: Stream) -> dict[str, str]:
        return dict(self.run(f"SELECT column_name, comment FROM duckdb_columns() WHERE table_name = '{stream.table}'"))

    def stamps(self, stream: Stream, key: str) -> dict[Any, tuple[Any, Any]]:
        rows = self.run(f"SELECT {key}, CAST(_synced_at AT TIME ZONE 'UTC' AS TIMESTAMP), _run_id FROM {stream.table}")
        return {of: (at and at.replace(tzinfo=UTC), run) for of, at, run in rows}

    def versions(self, stream: Stream, key: str, name: str) -> list[tuple[str, str, str, date, date | None]]:
        return self.run(
            f"SELECT advertiser_id, {key}, {name}, valid_from_day, valid_to_day FROM {stream.table}_history"
        )

    def make_older(self, stream: Stream) -> None:
        self.run(
            f"COMMENT ON TABLE {stream.table} IS 'Written by owox_tiktok: {stream.description}'",
            *(f"ALTER TABLE _owox_tiktok_cursors DROP COLUMN IF EXISTS {name}" for name in ("table_id", "failed_at")),
        )


class SheetsKit(Kit):
    keeps_changes = False

    def __init__(self, folder: Path) -> None:
        self.server = stand_in()
        self.book = self.server.create(folder.name)
        super().__init__(folder, f"sheets://{self.book}", {"SHEETS_API_URL": self.server.url})

    def change(self, *requests: dict[str, Any]) -> None:
        self.server.batch(self.book, list(requests))

    def tab(self, stream: Stream) -> Any:
        found = tab_of(self.server, self.book, stream)
        assert found is not None
        return found

    def read(self, stream: Stream) -> list[Row]:
        return sheet_rows(self.server, self.book, stream)

    def columns(self, stream: Stream) -> list[str]:
        return [str(cell) for cell in self.tab(stream).values()[0]]

    def everything(self) -> object:
        return [sheet.title for sheet in self.server.spreadsheet(self.book).sheets]

    def drop_table(self, stream: Stream) -> None:
        self.change({"deleteSheet": {"sheetId": self.tab(stream).sheet_id}})

    def drop_column(self, stream: Stream, name: str) -> None:
        at = columns_of_tab(self.server, self.book, stream)[name]
        self.change({"deleteDimension": {"range": self._columns(self.tab(stream).sheet_id, at, 1)}})

    def _columns(self, sheet_id: int, first: int, count: int) -> dict[str, Any]:
        return {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": first, "endIndex": first + count}

    def add_column(self, stream: Stream, name: str) -> None:
        sheet_id = self.tab(stream).sheet_id
        cell = {"userEnteredValue": {"stringValue": name}}
        start = {"sheetId": sheet_id, "rowIndex": 0, "columnIndex": 1}
        self.change(
            {"insertDimension": {"range": self._columns(sheet_id, 1, 1)}},
            {"updateCells": {"start": start, "rows": [{"values": [cell]}], "fields": "userEnteredValue"}},
        )

    def replace_table(self, stream: Stream) -> None:
        old = self.tab(stream)
        self.change(
            {"duplicateSheet": {"sourceSheetId": old.sheet_id, "newSheetName": "copy"}},
            {"deleteSheet": {"sheetId": old.sheet_id}},
        )

    def make_foreign_table(self, stream: Stream) -> None:
        cell = {"userEnteredValue": {"numberValue": 42}}
        start = {"sheetId": 4242, "rowIndex": 0, "columnIndex": 0}
        self.change(
            {"addSheet": {"properties": {"sheetId": 4242, "title": stream.title}}},
            {"updateCells": {"start": start, "rows": [{"values": [cell]}], "fields": "userEnteredValue"}},
        )

    def foreign_rows(self, stream: Stream) -> list[Any]:
        sheets = self.server.spreadsheet(self.book).sheets
        return next(list(sheet.values()) for sheet in sheets if sheet.sheet_id == 4242)

    def change_cell(self, stream: Stream, key: tuple[str, str], name: str, value: object) -> None:
        sheet_id, at = self.tab(stream).sheet_id, columns_of_tab(self.server, self.book, stream)[name]
        entered = {"stringValue" if isinstance(value, str) else "numberValue": value}
        for row in self.numbers(stream, key):
            start = {"sheetId": sheet_id, "rowIndex": row, "columnIndex": at}
            cells = [{"values": [{"userEnteredValue": entered}]}]
            self.change({"updateCells": {"start": start, "rows": cells, "fields": "userEnteredValue"}})

    def delete_row(self, stream: Stream, key: tuple[str, str]) -> None:
        sheet_id = self.tab(stream).sheet_id
        for row in reversed(self.numbers(stream, key)):
            place = {"sheetId": sheet_id, "dimension": "ROWS", "startIndex": row, "endIndex": row + 1}
            self.change({"deleteDimension": {"range": place}})

    def copy_row(self, stream: Stream, key: tuple[str, str]) -> None:
        sheet_id = self.tab(stream).sheet_id
        for row in self.numbers(stream, key):
            self.change({"appendDimension": {"sheetId": sheet_id, "dimension": "ROWS", "length": 1}})
            last = self.tab(stream).grid.row_count - 1
            source, target = ({"sheetId": sheet_id, "startRowIndex": at, "endRowIndex": at + 1} for at in (row, last))
            self.change({"copyPaste": {"source": source, "destination": target, "pasteType": "PASTE_NORMAL"}})

    def numbers(self, stream: Stream, key: tuple[str, str]) -> list[int]:
        """Where the rows are whose column is this text."""
        return [n for n, row in numbered_rows(self.server, self.book, stream) if row[key[0]] == key[1]]

    def keeps(self, value: Any) -> Any:
        return in_a_cell(value)

    def make_older(self, stream: Stream) -> None:
        hidden = next(s for s in self.server.spreadsheet(self.book).sheets if s.hidden)
        at = hidden.values()[0].index("failed_at")
        self.change({"deleteDimension": {"range": self._columns(hidden.sheet_id, at, 2)}})


class TestDuckDB(DestinationPromises):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> Kit:
        return DuckDBKit(tmp_path)


class TestSheets(DestinationPromises):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> Kit:
        return SheetsKit(tmp_path)


@bigquery.needs_emulator
class TestBigQuery(DestinationPromises):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> Kit:
        return bigquery.BigQueryKit(tmp_path, f"d_{uuid.uuid4().hex}", bigquery.begin())


# --- DuckDB's own -----------------------------------------------------------------------------------------------------


def test_columns_of_a_persons_own_keep_their_values_in_duckdb(tmp_path: Path) -> None:
    kit = DuckDBKit(tmp_path)
    kit.store(kit.chunk(DAILY, [ad(n, d) for n in (1, 2, 4) for d in (1, 2)], (day(1), day(2))))
    kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(2)), advertiser_id="2"))
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "a"}, {"ad_id": "172"}, {"ad_id": "174"}]))
    for stream in (DAILY, ADS):
        kit.run(
            f'ALTER TABLE {stream.table} ADD COLUMN "my note" STRUCT(a VARCHAR)',
            f"UPDATE {stream.table} SET \"my note\" = {{'a': ad_id}}",
        )
        kit.copy_row(stream, ("ad_id", "174"))
    with kit.open() as destination:
        destination.cursors()
        later = kit.chunk(DAILY, [ad(1, 1, spend="9"), ad(4, 1), ad(5, 1), ad(1, 2)], (day(1), day(2)))
        destination.prepare(DAILY, later.columns)
        destination.replace([later])
        listed = kit.chunk(ADS, [{"ad_id": "171", "ad_name": "b"}, {"ad_id": "173"}, {"ad_id": "174"}])
        destination.prepare(ADS, listed.columns)
        destination.upsert([listed])
    notes = kit.run(f'SELECT advertiser_id, ad_id, day(stat_time_day), "my note".a FROM {DAILY.table} ORDER BY ALL')
    assert notes == [
        ("1", "171", 1, "171"), ("1", "171", 2, "171"), ("1", "174", 1, None), ("1", "175", 1, None),
        ("2", "171", 1, "171"),
    ]  # fmt: skip
    notes = kit.run(f'SELECT ad_id, ad_name, "my note".a FROM {ADS.table} ORDER BY ALL')
    assert notes == [("171", "b", "171"), ("172", None, "172"), ("173", None, None), ("174", None, None)]
    assert kit.damaged(DAILY) == kit.damaged(DAILY, "2") == kit.damaged(ADS) == []


def test_very_wide_rows_are_given_the_memory_they_need(tmp_path: Path) -> None:
    kit = DuckDBKit(tmp_path)
    fields = [n for n, f in HOURLY.fields.items() if f.kind in (Kind.MONEY, Kind.COUNT)][:100]
    few = [ad(n, 1, stat_time_hour=f"{day(1)} 00:00:00", **dict.fromkeys(fields, n)) for n in range(1_500)]
    for of_day, copies in ((1, 1), (2, 30)):
        rows = kit.chunk(HOURLY, few, (day(of_day), day(of_day)), fields=fields)
        text = rows.path.read_text().replace(str(day(1)), str(day(of_day)))
        # The same rows under other ids, at the speed of a text.
        rows.path.write_text("".join(text.replace(",17", f",{17 + n}") for n in range(copies)))
        whole = Writer(tmp_path / "sealed.csv", rows.columns, HOURLY.time)
        for texts in read_text(rows.path):
            whole.append([[text] for text in texts])
        whole.close()
        (stored,) = kit.store(replace(rows, rows=1_500 * copies, seals=whole.seals))
        assert stored.rows == 1_500 * copies
        # DuckDB 1.5.1 and older damage texts that are stored after a commit that failed for want of memory.
        lengths = "max(length(advertiser_id)), max(length(ad_id))"
        assert kit.run(f"SELECT {lengths} FROM {HOURLY.table}") == [(1, 6)]


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
