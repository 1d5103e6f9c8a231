"""A run may die anywhere: killed at any request and run again, tables and cursors are those of one clean run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from owox_tiktok.destinations import open_destination
from owox_tiktok.local.tiktok import Faults, World, serve
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.seals import differing
from tests.helpers import NOW, Project, in_order, process_environment

OBJECTS = ["campaigns", "ads", "ad_report_daily", "campaign_report_hourly", "campaign_report_lifetime"]
SAY: dict[str, Any] = {"objects": OBJECTS, "start_date": "2026-02-10", "requests_per_second": 1000}


def start(project: Project) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        project.command("import", str(project.write())),
        cwd=project.folder,
        env=process_environment(project.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed_after(project: Project, requests: int, how: signal.Signals = signal.SIGKILL) -> bool:
    """Start an import and kill it once the server has seen so many requests; False when it ended before."""
    began = project.server.counts["requests"]
    process = start(project)
    deadline = time.monotonic() + 60
    while process.poll() is None and project.server.counts["requests"] - began < requests:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    running = process.poll() is None
    if running:
        os.kill(process.pid, how)
    process.wait(timeout=30)
    return running


def damaged(project: Project) -> list[object]:
    """What is not as its seal says: object, account and day."""
    with open_destination(f"duckdb:///{project.database}", read_only=True) as destination:
        return [
            (name, advertiser_id, day)
            for name in OBJECTS
            for advertiser_id in project.server.advertiser_ids
            for day in differing(
                destination.seals(STREAMS[name], advertiser_id), destination.recount(STREAMS[name], advertiser_id)
            )
        ]


def state(project: Project) -> dict[str, Any]:
    return {"cursors": project.cursors()} | {name: in_order(project.table(name)) for name in OBJECTS}


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_run_and_another_one_equal_one_clean_run(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world) as server:
        clean = Project(tmp_path, server, "clean", SAY)
        assert clean.import_().exit_code == 0
        total = server.counts["requests"]
        project = Project(tmp_path, server, "killed", SAY)
        for turn in range(1 + seed % 3 // 2):  # every third one is killed twice
            at = chance.randrange(5, total - 5)
            if (seed + turn) % 2:
                # The server answers nothing more after this request, so the run is certainly killed in the middle.
                server.faults.hang_after = server.counts["requests"] + at
                assert killed_after(project, at + 1)
                server.faults.hang_after = None
            else:
                server.faults.latency_s, server.faults.jitter_s = chance.choice([(0, 0), (0.005, 0.02), (0.02, 0.08)])
                killed_after(project, at)
                server.faults.latency_s = server.faults.jitter_s = 0
            assert not project.database.exists() or damaged(project) == []
        assert project.import_().exit_code == 0
        assert state(project) == state(clean)
        assert damaged(project) == damaged(clean) == []
        for name in OBJECTS:
            assert project.wrong(name, start=NOW.date() - timedelta(days=19)) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_dropped_table_is_filled_again_however_often_the_run_is_killed(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server, say=SAY)
        assert project.import_().warnings == []
        whole = state(project)
        with duckdb.connect(str(project.database)) as connection:
            connection.execute("DROP TABLE tiktok_ads_ad_report_daily")
            connection.execute("ALTER TABLE tiktok_ads_campaign_report_hourly DROP COLUMN spend")
        server.faults.latency_s = 0.01
        killed_after(project, chance.randrange(5, 40))
        server.faults.latency_s = 0
        assert project.import_().exit_code == 0
        assert state(project) == whole
        for name in OBJECTS:
            assert project.wrong(name, start=NOW.date() - timedelta(days=19)) == []


def test_a_run_says_what_was_dropped_and_that_everything_of_it_is_read_again(tmp_path: Path) -> None:
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server, say=SAY)
        project.import_()
        with duckdb.connect(str(project.database)) as connection:
            connection.execute("ALTER TABLE tiktok_ads_ad_report_daily RENAME TO mine")
        ran = project.import_()
        assert ran.warnings == ["the table tiktok_ads_ad_report_daily no longer exists: everything of it is read again"]
        assert project.wrong("ad_report_daily", start=NOW.date() - timedelta(days=19)) == []
        assert project.import_().warnings == []


def test_a_run_killed_while_tiktok_hangs_is_really_in_the_middle(tmp_path: Path) -> None:
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world, faults=Faults(hang_after=30)) as server:
        project = Project(tmp_path, server, say=SAY)
        assert killed_after(project, 40)
        before = project.cursors() if project.database.exists() else {}
        server.faults.hang_after = None
        assert project.import_().exit_code == 0
        assert len(before) < len(project.cursors())
        for name in OBJECTS:
            assert project.wrong(name, start=NOW.date() - timedelta(days=19)) == []


def test_a_look_back_run_that_is_killed_leaves_old_or_new_days_and_never_half_of_one(tmp_path: Path) -> None:
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server, say=SAY)
        project.import_()
        days = {(r["advertiser_id"], r["stat_time_day"]) for r in project.table("ad_report_daily")}
        world.as_of = NOW + timedelta(days=3)
        server.faults.jitter_s = 0.05
        killed_after(project, 12)
        assert days <= {(r["advertiser_id"], r["stat_time_day"]) for r in project.table("ad_report_daily")}
        server.faults.jitter_s = 0
        assert project.import_().exit_code == 0
        for name in OBJECTS:
            assert project.wrong(name, start=NOW.date() - timedelta(days=19)) == []


def test_a_second_run_on_the_same_file_says_so_and_does_not_harm_the_first(tmp_path: Path) -> None:
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world, faults=Faults(latency_s=0.3)) as server:
        project = Project(tmp_path, server, say=SAY | {"requests_per_second": 20})
        first = start(project)
        while server.counts["requests"] < 3:
            assert first.poll() is None
            time.sleep(0.01)
        second = project.cli("import", str(project.folder / "tiktok.yaml"))
        assert first.poll() is None, "the first should still be running"
        assert second.returncode == 1
        assert "another" in second.stderr
        assert "Traceback" not in second.stderr
        assert str(first.pid) in second.stderr
        server.faults.latency_s = 0
        assert first.wait(timeout=60) == 0
        for name in OBJECTS:
            assert project.wrong(name, start=NOW.date() - timedelta(days=19)) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_ends_soon_and_the_next_goes_on(how: signal.Signals, tmp_path: Path) -> None:
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world, faults=Faults(latency_s=0.2)) as server:
        project = Project(tmp_path, server, say=SAY | {"requests_per_second": 20})
        assert killed_after(project, 10, how)
        server.faults.latency_s = 0
        assert project.import_().exit_code == 0
        for name in OBJECTS:
            assert project.wrong(name, start=NOW.date() - timedelta(days=19)) == []


@pytest.mark.parametrize("at", [0, 4])
@pytest.mark.parametrize("command", ["check", "plan", "import", "prune"])
def test_no_command_keeps_waiting_for_an_answer_when_it_is_interrupted(command: str, at: int, tmp_path: Path) -> None:
    if command == "prune" and at:
        return  # it asks TikTok for nothing but the accounts
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world, faults=Faults(hang_after=at, timeout_s=300)) as server:
        project = Project(tmp_path, server, say=SAY)
        process = subprocess.Popen(
            project.command(command, str(project.write(clean_up_to_keep_window=90))),
            cwd=project.folder,
            env=process_environment(project.environment),
            stderr=subprocess.PIPE,
            text=True,
        )
        while server.counts["requests"] < (6 if at else 1):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)  # it takes a second or two; TikTok would let it wait for minutes
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
