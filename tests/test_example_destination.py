"""The example of CONTRIBUTING is a whole destination: it keeps every promise, and is found by its entry point."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok.destinations import GROUP, open_destination
from owox_tiktok.errors import BadInput
from owox_tiktok.model import Stream
from owox_tiktok.rows import typed
from owox_tiktok.testing import DestinationPromises, Kit
from tests.example_destination import SQLite
from tests.helpers import Project, Row


@pytest.fixture(autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``pip install`` of a package with the entry point leaves behind."""
    site = tmp_path_factory.mktemp("site-packages")
    info = site / "owox_tiktok_sqlite-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: owox-tiktok-sqlite\nVersion: 1.0\n")
    lines = ["sqlite = tests.example_destination:open_at", "lacking = nobody_has_this_package.at_all:open_at"]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(str(site))


class SQLiteKit(Kit):
    def __init__(self, folder: Path) -> None:
        self.file = folder / "tiktok.sqlite"
        super().__init__(folder, f"sqlite:///{self.file}")

    def run(self, *statements: str) -> list[Any]:
        connection = sqlite3.connect(self.file, isolation_level=None)
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    def read(self, stream: Stream) -> list[Row]:
        names = [name for name in self.columns(stream) if name in stream.fields]
        picked = ", ".join(f'"{name}"' for name in names)
        rows = self.run(f'SELECT {picked} FROM "{stream.table}"') if names else []
        return [{n: typed(stream.fields[n], text) for n, text in zip(names, row, strict=True)} for row in rows]

    def columns(self, stream: Stream) -> list[str]:
        return [name for (name,) in self.run(f"SELECT name FROM pragma_table_info('{stream.table}')")]

    def everything(self) -> object:
        return sorted(self.folder.iterdir())

    def drop_table(self, stream: Stream) -> None:
        self.run(f"DROP TABLE {stream.table}")

    def drop_column(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {stream.table} DROP COLUMN {name}")

    def add_column(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {stream.table} ADD COLUMN {name} TEXT")

    def replace_table(self, stream: Stream) -> None:
        copy = f"CREATE TABLE copy AS SELECT * FROM {stream.table}"
        self.run(copy, f"DROP TABLE {stream.table}", f"ALTER TABLE copy RENAME TO {stream.table}")

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


class TestSQLite(DestinationPromises):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> Kit:
        return SQLiteKit(tmp_path)


def test_another_packages_destination_is_found_by_its_scheme(tmp_path: Path) -> None:
    with open_destination(f"sqlite:///{tmp_path}/x.sqlite") as destination:
        assert isinstance(destination, SQLite)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sqlight:///x", "Did you mean sqlite://?"),
        ("postgres:///x", "Did you mean postgresql://?"),
        (
            "oracle:///x",
            "Use one of bigquery://, duckdb://, lacking://, parquet://, postgresql://, sheets://, sqlite://.",
        ),
        ("lacking:///x", "pip install 'nobody_has_this_package'"),
    ],
)
def test_what_cannot_be_found_is_a_sentence_with_advice(address: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_destination(address)
    assert words in caught.value.sentence


def test_an_import_fills_it(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "ads.sqlite"
    ran = project.import_(destination=f"sqlite:///{file}")
    assert (ran.exit_code, ran.failures) == (0, [])
    connection = sqlite3.connect(file)
    (stored,) = connection.execute("SELECT count(*) FROM tiktok_ads_ad_report_daily").fetchone()
    connection.close()
    assert stored == sum(ran.finished.rows.values()) > 0
