"""Install each extra into a fresh environment and play the page that documents it: ``python -m tools.try_extras``.

Not among the tests, for it downloads what it installs. Needs uv; PostgreSQL's page is played where its server is
installed. Prints a line for each; the exit code is 1 where a page fails or prints something else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import postgresql

ROOT = Path(__file__).resolve().parent.parent
UV = str(Path(sys.executable).with_name("uv"))
TRIED = (
    ("", "docs/schedulers.md", ()),
    ("pandas", "README.md", ()),
    ("pandas,polars,excel", "docs/python.md", ()),
    ("parquet", "docs/parquet.md", ()),
    ("postgres", "docs/postgresql.md", ()),
    ("dlt", "docs/dlt.md", ("dlt[duckdb]",)),
    ("dagster", "", ("dagster-dg-cli",)),
)
"""Extras, the page to play with them, and what that installs besides."""
PLAY = """\
import sys, tempfile
from pathlib import Path
from tools.play_documents import blocks, play, settled, simulated
path = Path(sys.argv[1])
page = path.read_text(encoding="utf-8")
with simulated(path) as server, tempfile.TemporaryDirectory() as folder:
    played = play(page, server, Path(folder))
for shown, now in zip(blocks(page), blocks(played), strict=True):
    if settled(shown.text) != settled(now.text):
        sys.exit(f"prints something else:\\n{now.text}")
"""


def tried(extra: str, page: str, more: tuple[str, ...]) -> str:
    """Return what went wrong with an extra, empty for nothing."""
    with tempfile.TemporaryDirectory() as name:
        python = Path(name) / "bin" / "python"
        began = time.monotonic()
        wanted = [f"{ROOT}[{extra}]" if extra else str(ROOT), *more]
        install = [UV, "pip", "install", "--quiet", "--python", str(python), *wanted]
        for command in ([UV, "venv", "--quiet", name], install):
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                return done.stderr.strip()
        listed = [UV, "pip", "list", "--python", str(python)]
        packages = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.count("\n") - 2
        took = time.monotonic() - began
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        if extra == "postgres":
            if postgresql.missing:
                return postgresql.missing
            environment["DATABASE_URL"] = postgresql.server().address("tiktok_ads")
        run = (
            [str(python), "-c", PLAY, str(ROOT / page)] if page else [str(python.with_name("dg")), "list", "components"]
        )
        done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        print(
            f"{extra or 'nothing':<20} {packages:>3} packages in {took:.0f} s, {page or 'dg list components'}: ", end=""
        )
        if not page and "TikTokAds" not in done.stdout:
            return done.stderr.strip() or "the component is not listed"
        return done.stderr.strip() if done.returncode else ""


def main() -> int:
    """Try what is named on the command line, or everything; return the exit code."""
    wrong = 0
    for extra, page, more in TRIED:
        if len(sys.argv) > 1 and extra not in sys.argv[1:]:
            continue
        problem = tried(extra, page, more)
        print(problem or "as documented", flush=True)
        wrong += bool(problem)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
