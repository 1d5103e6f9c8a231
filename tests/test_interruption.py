"""Ctrl-C and SIGTERM at any moment: no traceback, true words, and an exit code that says so; never a broken table."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok.local.tiktok import Faults, Server, World, serve
from tests.helpers import NOW, Project, process_environment

OBJECTS = ["campaigns", "ads", "ad_report_daily", "campaign_report_hourly"]
SAY: dict[str, Any] = {"objects": OBJECTS, "start_date": "2026-02-10", "requests_per_second": 1000}
MOMENTS = 7
LONGEST_S = 120
"""Nothing here takes more than a few seconds; a machine that does other things as well may take longer."""


@pytest.fixture(scope="module")
def slow() -> Iterator[Server]:
    """A TikTok that answers after a moment, so that an import takes about a second."""
    world = World(seed=7, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world, faults=Faults(latency_s=0.03)) as server:
        yield server


def started(project: Project, *words: str, now: bool = True, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        project.command(*words, now=now),
        cwd=project.folder,
        env=process_environment(project.environment | environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def listens(process: subprocess.Popen[str]) -> bool:
    """Wait until the program handles signals; what comes before is Python's own start, and cannot be handled."""
    wanted = 1 << (signal.SIGTERM - 1)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) & wanted:
            return True
        time.sleep(0.0005)
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_import_interrupted_at_any_moment_ends_in_words_and_the_next_one_completes_it(
    how: signal.Signals, slow: Server, tmp_path: Path
) -> None:
    project = Project(tmp_path, slow, say=SAY)
    path = str(project.write())
    began = time.monotonic()
    assert project.cli("import", path).returncode == 0
    whole = time.monotonic() - began
    chance = random.Random(how)
    codes = set()
    for turn in range(MOMENTS):
        project.database.unlink(missing_ok=True)
        process = started(project, "import", path)
        assert listens(process)
        time.sleep(whole * (turn + chance.random()) / MOMENTS)
        process.send_signal(how)
        out, said = process.communicate(timeout=LONGEST_S)
        codes.add(process.returncode)
        assert "Traceback" not in said + out, said
        assert "bug of this program" not in said
        if process.returncode:
            assert process.returncode == 128 + how, said
            assert "interrupted" in said
        else:
            assert "Done" in said
    assert 128 + how in codes
    assert project.import_().exit_code == 0
    for name in OBJECTS:
        assert project.wrong(name, start=NOW.date() - timedelta(days=19)) == []


def test_what_an_interrupted_import_says_is_stored_is_stored(slow: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, slow, say=SAY | {"requests_per_second": 15})
    process = started(project, "import", str(project.write()), "--log", "json")
    assert process.stdout is not None
    said = ""
    while '"event":"stored"' not in said:
        said = process.stdout.readline()
        assert said
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=LONGEST_S)
    last = json.loads(rest.splitlines()[-1])
    assert process.returncode == 143
    assert last["stopped"] == "interrupted"
    stored = {name for name, _ in project.cursors()}
    assert last["rows"] == {name: len(project.table(name)) for name in stored}


@pytest.mark.parametrize("words", [("check",), ("plan",), ("prune",), ("objects",), ("demo",)], ids=" ".join)
def test_every_command_interrupted_while_it_starts_says_so(
    words: tuple[str, ...], slow: Server, tmp_path: Path
) -> None:
    project = Project(tmp_path, slow, say=SAY | {"clean_up_to_keep_window": 90})
    project.write()
    for turn in range(4):
        process = started(project, *words, now=words[0] not in ("objects", "demo"))
        assert listens(process)
        time.sleep(0.05 * turn)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=LONGEST_S)
        assert "Traceback" not in said + out
        assert "bug of this program" not in said
        assert "next run" not in said, "that is what an import says"
        assert process.returncode == 0 or (process.returncode == 130 and "interrupted" in said), said


def test_a_second_signal_ends_the_program_at_once(tmp_path: Path) -> None:
    """A store that takes long is not to be cut off by the first Ctrl-C, and it is by the second."""
    world = World(seed=7, advertisers=1, campaigns=3, ad_groups=4, ads=8, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server, say=SAY)
        code = (
            "import signal, sys, time\n"
            "from owox_tiktok.cli.interruption import INTERRUPTION, How\n"
            "INTERRUPTION.install(); INTERRUPTION.how = How.AFTER_THIS\n"
            "print('ready', flush=True)\n"
            "while True: time.sleep(0.05)\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=project.folder, env=process_environment({}),
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # passed on by a program around this one: the same Ctrl-C
        time.sleep(0.7)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 130
    assert "second time" in said


def test_signals_that_the_starter_ignores_stay_ignored(slow: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, slow, say=SAY)
    words = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *project.command("import", str(project.write()))]
    env = process_environment(project.environment)
    with subprocess.Popen(words, cwd=project.folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, said
    assert "Done" in said


def test_a_prompt_that_is_interrupted_leaves_the_terminal_and_the_folder_as_they_were(
    slow: Server, tmp_path: Path
) -> None:
    import termios

    project = Project(tmp_path, slow)
    ours, its = pty.openpty()
    before = termios.tcgetattr(its)
    environment = {k: v for k, v in project.environment.items() if k != "TIKTOK_APP_SECRET"}
    process = subprocess.Popen(
        project.command("auth", "exchange", "--output", "token.env", now=False),
        cwd=tmp_path, env=process_environment(environment), stdin=its, stdout=its, stderr=its, start_new_session=True,
    )  # fmt: skip
    said = b""
    while b"App secret" not in said:
        said += os.read(ours, 1000)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LONGEST_S) == 130
    said += os.read(ours, 1000)
    assert b"interrupted before a token was asked for" in said
    assert termios.tcgetattr(its)[3] == before[3], "what is typed is shown again"
    assert not (tmp_path / "token.env").exists()
    os.close(ours)
    os.close(its)


@pytest.mark.parametrize(("words", "closed"), [(("objects",), "stdout"), (("plan",), "stdout"),
                                               (("import", "--log", "json"), "stdout"), (("import",), "stderr")],
                         ids=str)  # fmt: skip
def test_output_that_nobody_reads_any_more_ends_it_without_a_traceback(
    words: tuple[str, ...], closed: str, slow: Server, tmp_path: Path
) -> None:
    project = Project(tmp_path, slow, say=SAY | {"objects": ["campaigns", "ad_report_daily"]})
    project.write()
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        project.command(*words, now=words[0] != "objects"),
        cwd=tmp_path,
        env=process_environment(project.environment),
        text=True,
        stdout=writing if closed == "stdout" else subprocess.PIPE,
        stderr=writing if closed == "stderr" else subprocess.PIPE,
    )
    os.close(writing)
    out, said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 141
    assert "Traceback" not in (said or "") + (out or "")
    assert "Exception ignored" not in (said or "")
    assert project.import_().exit_code == 0
    assert project.wrong("campaigns") == []
