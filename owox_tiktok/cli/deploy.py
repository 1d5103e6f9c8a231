"""The command that puts the service into a Google Cloud project: it runs deploy.sh, wherever it was installed from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import end, guarded
from owox_tiktok.cli.interruption import How
from owox_tiktok.cli.options import examples
from owox_tiktok.shipped import PACKAGE, shipped

if TYPE_CHECKING:
    from owox_tiktok.terminal import Screen


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h"]},
    epilog=examples(
        "deploy --help                           every option of deploy.sh",
        "deploy --project my-project --region europe-west1 --spreadsheet ID --caller anna@example.com --dry-run",
        "deploy --write service                  only write the script and its source into a new folder",
    ),
)
@click.option("--write", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="Write it and run nothing.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION OF DEPLOY.SH]...")
def deploy(folder: Path | None, words: tuple[str, ...]) -> None:
    """Deploy the service to Google Cloud.

    Runs deploy.sh, which needs bash and the Google Cloud CLI; Cloud Shell has both. It is safe to run again at any
    time. With --write nothing is run: the script and the source that it deploys are written into a new folder.
    """

    def work(screen: Screen) -> int:
        if folder:
            if folder.exists():
                end(f"{folder} already exists. Choose another folder.")
            _write(folder)
            click.echo(f"Wrote {folder}. Next:\n  {folder}/cloud_function/deploy.sh --help")
            return 0
        if sys.platform == "win32" or not shutil.which("bash"):
            end("deploy.sh needs bash. Run this in Google Cloud Shell, or on Linux or macOS.")
        with tempfile.TemporaryDirectory(prefix="owox-tiktok-deploy-") as made:
            _write(Path(made) / "service")
            script = Path(made) / "service" / "cloud_function" / "deploy.sh"
            ours = {**os.environ, "OWOX_PYTHON": sys.executable}
            return subprocess.run(["bash", str(script), *words], env=ours, check=False).returncode  # noqa: S607 -- as the system has it

    guarded(
        work, how=How.BY_EXCEPTION, interrupted="interrupted. Run it again: it completes what is there, and no more."
    )


def _write(folder: Path) -> None:
    """Write the source of the deployed service into a new folder, in the arrangement of a checkout."""
    ignored = shutil.ignore_patterns("__pycache__", "_shipped", "local")
    shutil.copytree(PACKAGE, folder / "owox_tiktok", ignore=ignored)
    shutil.copytree(shipped("cloud_function"), folder / "cloud_function", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", ".gcloudignore"):
        shutil.copy2(shipped(name), folder / name)
    (folder / "cloud_function" / "deploy.sh").chmod(0o755)
