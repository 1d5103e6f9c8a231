"""What a hostile environment does to a run from outside: the run must notice, and never say Done when it was not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from owox_tiktok.cli.group import cli
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput
from owox_tiktok.local.tiktok import Faults, World, serve
from tests.helpers import NOW, Project, process_environment

OBJECTS = ["campaigns", "ad_report_daily"]
START = date(2026, 2, 20)
SAY: dict[str, Any] = {"objects": OBJECTS, "start_date": f"{START}"}


def a_world() -> World:
    return World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)


def disturbed(project: Project, act: Callable[[], None], *, after: int = 8) -> tuple[int, str]:
    """Import in a process of its own, let something happen while it reads; return its exit code and what it said."""
    temporary = project.folder / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        project.command("import", str(project.write())),
        cwd=project.folder,
        env=process_environment(project.environment | {"TMPDIR": str(temporary)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while project.server.counts["requests"] < after:
        assert process.poll() is None
        time.sleep(0.005)
    act()
    project.server.faults.hang_after = None
    project.server.faults.latency_s = 0
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


# --- the DuckDB file --------------------------------------------------------------------------------------------------


def _delete(file: Path) -> None:
    file.unlink()


def _move(file: Path) -> None:
    file.rename(file.with_name("moved.duckdb"))


def _replace(file: Path) -> None:
    _move(file)
    duckdb.connect(str(file)).close()


def _empty(file: Path) -> None:
    os.truncate(file, 0)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let an open file be taken away")
@pytest.mark.parametrize("take_away", [_delete, _move, _replace, _empty])
def test_a_file_that_is_taken_away_during_a_run_is_not_called_done(
    take_away: Callable[[Path], None], tmp_path: Path
) -> None:
    with serve(a_world(), faults=Faults(latency_s=0.1)) as server:
        project = Project(tmp_path, server, say=SAY)
        code, said = disturbed(project, lambda: take_away(project.database))
        assert code == 1
        assert str(project.database) in said
        assert "while it was written" in said
        assert "Traceback" not in said
        project.database.unlink(missing_ok=True)
        assert project.import_().exit_code == 0
        for name in OBJECTS:
            assert project.wrong(name, start=START) == []


# --- temporary files --------------------------------------------------------------------------------------------------


def test_row_files_that_somebody_cleans_up_are_read_again_by_the_next_run(tmp_path: Path) -> None:
    with serve(a_world(), faults=Faults(latency_s=0.3)) as server:
        project = Project(tmp_path, server, say=SAY | {"objects": ["ad_report_daily"], "requests_per_second": 3})

        def clean_up() -> None:
            deadline = time.monotonic() + 30
            while not (files := [*(tmp_path / "tmp").glob("*/*.csv")]):
                assert time.monotonic() < deadline
                time.sleep(0.005)
            for file in files:
                file.unlink()

        code, said = disturbed(project, clean_up, after=2)
        assert code in (1, 3)
        assert "no longer exists" in said
        assert "a bug" not in said
        assert project.import_().exit_code == 0
        assert project.wrong("ad_report_daily", start=START) == []


LITTLE_ROOM = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Lets no file grow over so many bytes, as a full disk would."""


@pytest.mark.parametrize("room", [0, 5_000, 12_000])
def test_a_file_that_was_only_begun_when_the_disk_was_full_is_made_by_the_next_run(room: int, tmp_path: Path) -> None:
    with serve(a_world()) as server:
        project = Project(tmp_path, server, say=SAY)
        ran = subprocess.run(
            [sys.executable, "-c", LITTLE_ROOM, str(room), *project.command("import", str(project.write()))],
            env=process_environment(project.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 1
        assert "the room on that disk" in ran.stderr
        assert project.cli("status", str(project.write())).returncode == 3
        assert project.import_().exit_code == 0
        assert project.wrong("campaigns") == []


def test_a_file_that_ends_too_early_is_not_called_a_matter_of_rights_nor_of_a_lock(tmp_path: Path) -> None:
    folder = tmp_path / "blocks"  # which has a "lock" in it
    folder.mkdir()
    with serve(a_world()) as server:
        project = Project(folder, server, say=SAY)
        project.import_()
        os.truncate(project.database, 12_288)
        ran = project.cli("status", str(project.write()))
    assert ran.returncode == 1
    assert "may be damaged" in ran.stderr
    assert "another import" not in ran.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_is_no_file_is_neither_waited_for_nor_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.duckdb"
    os.mkfifo(pipe)
    for read_only in (False, True):
        with pytest.raises(BadInput, match="is not a file"):
            open_destination(f"duckdb:///{pipe}", read_only=read_only)
    assert pipe.is_fifo()
    null = tmp_path / "null.duckdb"
    null.symlink_to(os.devnull)  # it reads like an empty file
    with pytest.raises(BadInput, match="is not a file"):
        open_destination(f"duckdb:///{null}")
    assert null.is_symlink()


def test_a_null_byte_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be a path"):
        open_destination(f"duckdb:///{tmp_path}/a\0b")


@pytest.mark.parametrize("now", ["9999-12-31T23:59Z", "0001-01-01T00:00+14:00"])
def test_a_moment_at_an_end_of_the_calendar_is_no_moment(now: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli, ["plan", str(tmp_path / "none.yaml"), "--now", now])
    assert ran.exit_code == 2
    assert "is not a moment" in ran.output


def test_a_table_of_cursors_that_somebody_changed_is_not_called_a_damaged_file(tmp_path: Path) -> None:
    with serve(a_world()) as server:
        project = Project(tmp_path, server, say=SAY | {"objects": ["campaigns"]})
        project.import_()
        with duckdb.connect(str(project.database)) as connection:
            connection.execute("ALTER TABLE _owox_tiktok_cursors ALTER through TYPE VARCHAR")
        ran = project.cli("import", str(project.write()))
        assert ran.returncode == 1
        assert "column through of _owox_tiktok_cursors is VARCHAR but should be DATE" in ran.stderr
        assert "Rename the table" in ran.stderr
        assert "damaged" not in ran.stderr
        with duckdb.connect(str(project.database)) as connection:
            connection.execute("ALTER TABLE _owox_tiktok_cursors RENAME TO changed")
        assert project.import_().exit_code == 0
        assert project.wrong("campaigns") == []
