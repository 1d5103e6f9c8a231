"""Run what the documents show against the simulated TikTok, and compare what it prints with what they print.

    python tools/play_documents.py            run it, and refresh the outputs that differ
    python tools/play_documents.py --check    exit with 1 where an output differs

A document is played from top to bottom in one temporary folder, with a DuckDB file, at a fixed moment:

- a block ``sh`` is run by bash, ``sql`` by DuckDB in the file of ``tiktok.yaml``; blocks ``python`` are run one after
  the other in one process, as in a notebook;
- a block ``text`` that follows one of them, with words between at most, is what it prints;
- ``<!-- file: NAME -->`` above a block writes it to that file;
- ``<!-- not run: why -->`` above a block passes it over, and the output below it.

Ports, durations and the version differ from run to run: they are compared as ``N``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from owox_tiktok.local.tiktok import Limits, Server, World, serve

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PLAYED = (
    README,
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("GETTING_STARTED", "laptop", "queries", "python", "parquet", "schedulers")
    ),
)
"""The documents whose blocks are a story that can be followed without an account."""
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORLD = {"seed": 1, "advertisers": 3, "ads": 60, "start": date(2026, 1, 1)}
"""What ``owox-tiktok local tiktok`` serves unless asked for something else."""
DATABASE = "tiktok_ads.duckdb"

_BLOCK = re.compile(
    r"^(?:<!-- (?P<order>file|not run): (?P<what>.*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.S | re.M
)
_VOLATILE = (
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:8080"),
    (re.compile(r"\b\d+(\.\d+)? (s|seconds?|min|minutes?)\b"), "N s"),
    (re.compile(r"(\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d(\.\d+)?"), r"\1 NN:NN"),
    (re.compile(r"[ \t]+$", re.M), ""),
    (re.compile(r"─+"), "─"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
)

# The clock of the story is the world's: whoever follows it adds --now by hand.
_PREAMBLE = """\
owox-tiktok() {
  case "$1" in
    import|plan|check|export|prune|status|views) "$PROGRAM" -m owox_tiktok "$@" --now "$NOW" ;;
    *) "$PROGRAM" -m owox_tiktok "$@" ;;
  esac
}
python() { "$PROGRAM" "$@"; }
"""


class Different(Exception):
    """A document shows something else than what happens."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a document, with where its text begins and ends in it."""

    language: str
    text: str
    start: int
    end: int
    order: str = ""
    what: str = ""


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document, in its order."""
    return [
        Block(m["language"], m["text"], m.start("text"), m.end("text"), m["order"] or "", m["what"] or "")
        for m in _BLOCK.finditer(document)
    ]


def settled(output: str) -> str:
    """Return an output with what differs from run to run taken out of it."""
    for pattern, instead in _VOLATILE:
        output = pattern.sub(instead, output)
    return output.strip("\n") + "\n"


def at_home(output: str, folder: Path) -> str:
    """Return an output with the folders of a person's computer in the place of this run's."""
    output = output.replace(str(Path(sys.executable).parent), "/home/me/owox-tiktok/.venv/bin")
    return output.replace(str(folder.resolve()), "/home/me/tiktok").replace(str(folder), "/home/me/tiktok")


def shown(output: str) -> str:
    """Return an output as a document shows it: the simulated TikTok at its usual port, no spaces at the ends."""
    output = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8080", output)
    return re.sub(r"[ \t]+$", "", output, flags=re.M).strip("\n") + "\n"


@contextmanager
def simulated(path: Path | None = None) -> Iterator[Server]:
    """Serve the TikTok of a document: the one that readers can start themselves, and in the README one to look at."""
    world = World(**WORLD, as_of=NOW, pleasant_names=path == README)  # type: ignore[arg-type]
    with serve(world, limits=Limits(qps=None, per_minute=None)) as server:
        yield server


def _environment(server: Server) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TIKTOK", "OWOX"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PROGRAM": sys.executable,
        "NOW": NOW.isoformat(),
        "COLUMNS": "100",
        "TIKTOK_API_URL": server.url,
        "TIKTOK_ACCESS_TOKEN": server.token,
        "TIKTOK_APP_ID": server.app_id,
        "TIKTOK_APP_SECRET": server.app_secret,
    }


# It answers each program with what that printed, and whether it failed.
_NOTEBOOK = """\
import contextlib, io, json, os, sys, traceback
from datetime import datetime
from owox_tiktok import TikTokAds
TikTokAds._now = datetime.fromisoformat(os.environ["NOW"])
names = {"__name__": "__main__"}
for line in sys.stdin:
    failed, said = False, io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(json.loads(line), "block", "exec"), names)
        except BaseException:
            failed = True
            print(traceback.format_exc())
    print(json.dumps([failed, said.getvalue()]), flush=True)
"""


class _Notebook:
    """A Python that runs the blocks of a document; started by the first one."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder, self._server = folder, server
        self._process: subprocess.Popen[str] | None = None

    def run(self, text: str) -> str:
        """Return what a block prints; raises Different if it fails."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _NOTEBOOK],
                cwd=self._folder,
                env=_environment(self._server),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        failed, said = json.loads(self._process.stdout.readline())
        if failed:
            raise Different(f"this failed:\n{text}\n{said}")
        return str(said)

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()


def _shell(text: str, folder: Path, server: Server) -> str:
    done = subprocess.run(
        ["bash", "-e", "-c", _PREAMBLE + text],  # noqa: S607 -- as the system has it
        cwd=folder,
        env=_environment(server),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise Different(f"this ended with exit code {done.returncode}:\n{text}\n{done.stdout}")
    return done.stdout


def _query(sql: str, folder: Path) -> str:
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        return f"{connection.sql(sql)}"


def play(document: str, server: Server, folder: Path) -> str:
    """Run a document's blocks in ``folder``; return it with the outputs that differ replaced.

    Raises Different for a command or query that fails.
    """
    fresh: list[tuple[Block, str]] = []
    printed: str | None = None
    with closing(_Notebook(folder, server)) as notebook:
        for block in blocks(document):
            if block.order == "file":
                (folder / block.what).write_text(block.text, encoding="utf-8")
            elif block.order == "not run":
                printed = None
            elif block.language == "sh":
                printed = at_home(_shell(block.text, folder, server), folder)
            elif block.language == "python":
                printed = at_home(notebook.run(block.text), folder)
            elif block.language == "sql":
                printed = _query(block.text, folder)
            elif block.language == "text":
                if printed is not None and settled(printed) != settled(block.text):
                    fresh.append((block, shown(printed)))
                printed = None
    for block, output in reversed(fresh):
        document = document[: block.start] + output + document[block.end :]
    return document


def main(arguments: Sequence[str]) -> int:
    """Play every document; return the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: play_documents.py [--check]", file=sys.stderr)
        return 2
    wrong = 0
    for path in PLAYED:
        text = path.read_text(encoding="utf-8")
        try:
            with simulated(path) as server, tempfile.TemporaryDirectory() as folder:
                now = play(text, server, Path(folder))
        except Different as different:
            print(f"{path.name}: {different}", file=sys.stderr)
            wrong += 1
            continue
        if now == text:
            continue
        if arguments:
            print(f"{path.name} prints something else. Run `make docs`.", file=sys.stderr)
            wrong += 1
        else:
            path.write_text(now, encoding="utf-8")
            print(f"Refreshed {path.name}.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
