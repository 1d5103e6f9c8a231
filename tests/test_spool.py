"""Row files: nothing is lost quietly when they cannot be written, and nothing of a dead run stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from owox_tiktok.errors import StoreGone
from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.spool import PREFIX, Spool, Writer
from owox_tiktok.streams import STREAMS
from tests.helpers import NOW, Project, process_environment

HOLDS_A_SPOOL = """
import sys
from owox_tiktok.spool import Spool, Writer
from owox_tiktok.streams import STREAMS
with Spool() as spool:
    writer = Writer(spool.file(), STREAMS["ads"].columns(["ad_name"]))
    writer.append([["1"], ["2"], ["x"]])
    print(writer.path.parent, flush=True)
    sys.stdin.read()
"""


HARDLY_ANY_ROOM = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Lets no file grow over so many bytes: a write that would takes only a part, as on a full disk."""


def alive(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_SPOOL],
        env=process_environment({"TMPDIR": str(folder)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_full_disk_is_told_by_the_writer() -> None:
    writer = Writer(Path("/dev/full"), STREAMS["ads"].columns(["ad_name"]))
    with pytest.raises(StoreGone, match="/dev/full") as caught:
        writer.append([["1"], ["2"], ["x"]])
    assert "TMPDIR" in caught.value.what_to_do
    writer.close()


def test_a_row_file_that_takes_only_a_part_ends_the_run_and_loses_no_row(tmp_path: Path) -> None:
    world = World(seed=7, advertisers=2, campaigns=4, ad_groups=8, ads=60, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server)
        assert project.import_(objects=["campaigns"]).exit_code == 0  # the database itself is large enough
        project.write()

        before = server.counts["requests"]
        ran = subprocess.run(
            [sys.executable, "-c", HARDLY_ANY_ROOM, *project.command("import", "tiktok.yaml")],
            cwd=tmp_path,
            env=process_environment(project.environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode in (1, 3), ran.stderr
        assert "cannot be written" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert server.counts["requests"] - before < 30
        assert project.import_().exit_code == 0
        assert project.wrong("ad_report_daily") == []


def test_row_files_of_a_run_that_was_killed_are_swept_at_the_next_start(temporary: Path) -> None:
    with alive(temporary) as dead, alive(temporary) as living:
        assert dead.stdout is not None
        assert living.stdout is not None
        left, used = Path(dead.stdout.readline().strip()), Path(living.stdout.readline().strip())
        dead.send_signal(signal.SIGKILL)
        dead.wait(timeout=30)
        assert left.is_dir()
        with Spool() as spool:
            assert not left.exists()
            assert used.is_dir(), "that run is alive"
            assert spool.file().parent.is_dir()
        living.communicate()
    assert list(temporary.iterdir()) == []


def test_what_a_late_reader_leaves_behind_is_swept_at_the_next_start(temporary: Path) -> None:
    with Spool() as spool:
        folder = spool.file().parent
        (folder / "late").mkdir()  # what cannot be removed when the run ends
    assert sorted(path.name for path in folder.iterdir()) == ["late", "lock"]
    with Spool():
        assert not folder.exists()


def test_folders_that_are_not_a_dead_runs_are_left_alone(temporary: Path) -> None:
    hers = temporary / "hers"
    hers.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(hers)
    (temporary / f"{PREFIX}file").write_text("mine")
    just_made, old = temporary / f"{PREFIX}new", temporary / f"{PREFIX}old"
    just_made.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 3 * 86_400,) * 2)
    with Spool():
        pass
    assert sorted(p.name for p in temporary.iterdir()) == [
        "hers", f"{PREFIX}file", f"{PREFIX}link", f"{PREFIX}new",
    ]  # fmt: skip


def in_a_file_of_at_most(most_bytes: int, code: str, *arguments: str) -> str:
    """What a process prints that may write no file larger than so many bytes."""
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({most_bytes}, resource.RLIM_INFINITY))\n"
    command = [sys.executable, "-c", limit + code, *arguments]
    ran = subprocess.run(command, env=process_environment({}), capture_output=True, text=True, timeout=60, check=True)
    return ran.stdout.strip()


def test_a_write_that_takes_only_a_part_is_noticed(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from owox_tiktok.errors import StoreGone
from owox_tiktok.spool import Writer
from owox_tiktok.streams import STREAMS
writer = Writer(Path(sys.argv[1]), STREAMS["ads"].columns(["ad_name"]))
try:
    writer.append([["1"] * 1000, ["2"] * 1000, ["a name"] * 1000])
except StoreGone:
    print("reported")
"""
    assert in_a_file_of_at_most(5_000, code, str(tmp_path / "rows.csv")) == "reported"


def test_a_database_that_cannot_grow_is_gone_and_what_it_had_is_there(tmp_path: Path) -> None:
    code = """
import random, sys
from datetime import UTC, datetime
from pathlib import Path
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import StoreGone
from owox_tiktok.model import Chunk, Cursor
from owox_tiktok.spool import Writer
from owox_tiktok.streams import STREAMS

ads, at = STREAMS["ads"], datetime(2026, 3, 1, tzinfo=UTC)
columns = ads.columns(["ad_name"])
def chunk(advertiser_id, rows):
    writer = Writer(Path(sys.argv[1]) / f"{advertiser_id}.csv", columns)
    for ad_id in range(rows):
        writer.append([[advertiser_id], [str(ad_id)], [random.randbytes(200).hex()]])
    writer.close()
    cursor = Cursor(frozenset({"ad_name"}), at, at.date())
    return Chunk(ads, advertiser_id, None, columns, writer.path, rows, cursor, writer.seals, at)
with open_destination(f"duckdb:///{sys.argv[1]}/x.duckdb") as destination:
    destination.prepare(ads, columns)
    destination.upsert([chunk("1", 10)])
    try:
        destination.upsert([chunk(str(n), 2_000) for n in range(2, 8)])
    except StoreGone as error:
        print(error.what_to_do)
with open_destination(f"duckdb:///{sys.argv[1]}/x.duckdb") as destination:
    print(sorted(destination.cursors()))
"""
    said = in_a_file_of_at_most(1_500_000, code, str(tmp_path)).splitlines()
    assert said == ["Free some space on that disk; the next run continues.", "[('ads', '1')]"]
