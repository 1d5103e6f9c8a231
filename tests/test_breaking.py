"""What a hostile environment does to a run from outside: the run must notice, and never say Done when it was not."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

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
        assert "is not there any more" in said
        assert "a bug" not in said
        assert project.import_().exit_code == 0
        assert project.wrong("ad_report_daily", start=START) == []
