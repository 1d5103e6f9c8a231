"""Make the environment of the BigQuery emulator, which needs Python 3.13: ``python tools/setup_bigquery.py FOLDER``.

Looks for that Python under the name in PYTHON_3_13, on the path, and where pyenv and uv put theirs. Without one nothing
is made: the tests that need the emulator are skipped and say so, everything else works.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "tests" / "bigquery-emulator.txt"
EXTENSIONS = "from duckdb_extensions import import_extension as add; [add(n) for n in ('ducklake', 'icu', 'spatial')]"


def candidates() -> Iterator[str]:
    """Yield programs that may be Python 3.13, best first."""
    if named := os.environ.get("PYTHON_3_13"):
        yield named
    yield sys.executable
    if found := shutil.which("python3.13"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local" / "share" / "uv" / "python"))
    for folder, pattern in ((pyenv / "versions", "3.13*"), (uv, "cpython-3.13*"), (Path("/opt"), "python*3.13*")):
        yield from map(str, sorted(folder.glob(f"{pattern}/bin/python3.13"), reverse=True))


def is_3_13(program: str) -> bool:
    """Whether a program is Python 3.13. A shim of pyenv's may be there without a Python behind it."""
    code = "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))"
    try:
        return subprocess.run([program, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def main() -> int:
    """Make the folder named on the command line; 0 also when there is no Python 3.13."""
    folder = Path(sys.argv[1]).resolve()
    program = next((c for c in candidates() if is_3_13(c)), None)
    if program is None:
        print("There is no Python 3.13 here, so the tests against the BigQuery emulator are skipped.")
        print("Install one, or name it: PYTHON_3_13=/path/to/python3.13 make setup-bigquery")
        return 0
    print(f"Setting up the BigQuery emulator with {program} …", flush=True)
    stamp = folder / ".set-up"
    stamp.unlink(missing_ok=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(PINS)]
    # DuckDB looks for its extensions in the home folder; this one keeps them, and the person's own stays as it is.
    home = {**os.environ, "HOME": str(folder)}
    for command in ([program, "-m", "venv", "--clear", str(folder)], pip, [str(python), "-c", EXTENSIONS]):
        environment = home if EXTENSIONS in command else None
        if subprocess.run(command, env=environment, check=False).returncode:
            print("The BigQuery emulator could not be set up.")
            return 1
    stamp.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
