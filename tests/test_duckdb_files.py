"""What stands at the destination's address and is no DuckDB file: one sentence each, and nothing is harmed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest

from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, Problem, StoreFailed
from tests.helpers import Project


def text(file: Path) -> None:
    file.write_text("a file of somebody's\n" * 1000)


def sqlite(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE of_somebody (a)")
    connection.close()


def damaged(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range AS n FROM range(100000)")
    content = bytearray(file.read_bytes())
    content[4096:12288] = bytes(8192)
    file.write_bytes(content)


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    ("make", "kind", "word"),
    [(text, BadInput, "is not a DuckDB file"), (sqlite, BadInput, "is not a DuckDB file"),
     (Path.mkdir, BadInput, "is a folder"), (damaged, StoreFailed, "may be damaged")],
)  # fmt: skip
def test_what_is_no_duckdb_file_is_refused_in_one_sentence_and_left_alone(
    make: object, kind: type[Problem], word: str, read_only: bool, tmp_path: Path
) -> None:
    file = tmp_path / "x.duckdb"
    assert callable(make)
    make(file)
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(kind, match=word) as caught:
        open_destination(f"duckdb:///{file}", read_only=read_only)
    assert "\n" not in caught.value.sentence
    assert (file.read_bytes() if file.is_file() else None) == before


def test_an_empty_file_is_as_good_as_none(project: Project) -> None:
    project.database.touch()
    path = str(project.write())
    assert project.cli("check", path).returncode == 0
    assert project.database.stat().st_size == 0, "a check writes nothing"
    assert project.cli("import", path).returncode == 0
    assert project.wrong("ad_report_daily") == []


def test_the_demo_in_a_folder_that_cannot_be_written_names_another(project: Project) -> None:
    (project.folder / "notes.txt").write_text("a file")
    ran = project.cli("demo", "--folder", "notes.txt/demo", now=False)
    assert ran.returncode == 2
    assert "cannot be written" in ran.stderr
    assert "--folder" in ran.stderr
    assert "Traceback" not in ran.stderr
