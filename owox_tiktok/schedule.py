"""When imports start on a schedule: the Cloud Scheduler job of a deployment, or the line for a computer of one's own.

The job calls the deployment's worker in the name of the deployment's invoker account; both were made by
``cloud_function/deploy.sh``, which makes the same job. How often is "daily" or "hourly".
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import PurePath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from owox_tiktok.errors import BadInput, Mistake, Problem

AT = time(13, 30)
"""When no time is named: TikTok has settled most of a day's figures by noon UTC of the next."""
HOURLY_MINUTE = 7
"""Not 0, when everybody's jobs begin."""
_DEADLINE = "1800s"
"""The longest that Cloud Scheduler waits; the worker answers sooner and hands what is left to a task."""


def cron(often: str, at: time) -> str:
    """Return minute, hour and days as cron and Cloud Scheduler write them."""
    return f"{at.minute} {at.hour} * * *" if often == "daily" else f"{HOURLY_MINUTE} * * * *"


def doubtful(often: str, at: time, zone: str) -> bool:
    """Return whether the hour is one that some days lack or have twice, when clocks change."""
    return often == "daily" and 1 <= at.hour < 3 and zone not in ("UTC", "Etc/UTC")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the service runs (Google Cloud project and region, name given to it) and the spreadsheet to import."""

    project: str
    region: str
    spreadsheet_id: str
    name: str = "owox-tiktok"

    def __post_init__(self) -> None:
        """Raise BadInput with every part that cannot be."""
        shapes = (
            ("--project", self.project, r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "is not a project id", "my-project"),
            ("--region", self.region, r"[a-z]+-[a-z]+[0-9]{1,2}", "is not a region", "europe-west1"),
            ("--spreadsheet", self.spreadsheet_id, r"[A-Za-z0-9_-]{5,100}", "is not a spreadsheet's id",
             "the long text in its address after /d/"),
            ("--name", self.name, r"[a-z][a-z0-9-]{0,15}[a-z0-9]", "is not the name of a deployment", "owox-tiktok"),
        )  # fmt: skip
        wrong = [
            Mistake(option, f"{value[:40]!r} {what}" if value else "is missing", f"Write one such as {such}.")
            for option, value, shape, what, such in shapes
            if not re.fullmatch(shape, value)
        ]
        if wrong:
            raise BadInput(wrong)

    @property
    def job(self) -> str:
        """The name of its Scheduler job."""
        return f"{self.name}-{self.spreadsheet_id}"

    @property
    def find_number(self) -> list[str]:
        """The command that prints the project's number, which is part of the worker's address."""
        return ["gcloud", "projects", "describe", self.project, "--format=value(projectNumber)"]

    @property
    def find_worker(self) -> list[str]:
        """The command that fails when the worker was not deployed."""
        service = ["gcloud", "run", "services", "describe", f"{self.name}-worker"]
        return [*service, f"--project={self.project}", f"--region={self.region}", "--format=value(metadata.name)"]

    def worker(self, number: str) -> str:
        """The worker's address."""
        return f"https://{self.name}-worker-{number}.{self.region}.run.app"

    def _on_job(self, *verb: str) -> list[str]:
        where = [f"--project={self.project}", f"--location={self.region}"]
        return ["gcloud", "scheduler", "jobs", *verb, self.job, *where]

    @property
    def find_job(self) -> list[str]:
        """The command that fails when there is no job yet."""
        return [*self._on_job("describe"), "--format=value(name)"]

    @property
    def delete(self) -> list[str]:
        """The command that ends the schedule."""
        return [*self._on_job("delete"), "--quiet"]

    def store(self, often: str, at: time, zone: str, number: str, *, update: bool) -> list[str]:
        """Return the command that makes (or with ``update`` changes) the job; ``number`` is the project's."""
        worker = self.worker(number)
        body = json.dumps({"action": "import", "spreadsheet_id": self.spreadsheet_id}, separators=(",", ":"))
        return [
            *self._on_job("update" if update else "create", "http"),
            f"--schedule={cron(often, at)}",
            f"--time-zone={zone}",
            f"--uri={worker}/",
            "--http-method=POST",
            f"--{'update-' if update else ''}headers=Content-Type=application/json",
            f"--message-body={body}",
            f"--oidc-service-account-email={self.name}-invoker@{self.project}.iam.gserviceaccount.com",
            f"--oidc-token-audience={worker}",
            f"--attempt-deadline={_DEADLINE}",
            "--max-retry-attempts=3",
            "--min-backoff=30s",
            "--max-backoff=600s",
        ]

    def shown(self, often: str, at: time, zone: str) -> str:
        """Return the commands for a shell that make the job."""
        store = self.store(often, at, zone, "$NUMBER", update=False)
        words = [f'"{word}"' if "$NUMBER" in word else shlex.quote(word) for word in store]
        # The command and its subject on the first line, an option on each that follows.
        return f"NUMBER=$({shlex.join(self.find_number)})\n{' '.join(words[:6])} \\\n  " + " \\\n  ".join(words[6:])

    def apply(self, often: str, at: time, zone: str) -> None:
        """Make the job, or change the one that is there; raises Problem."""
        if not _there(self.find_worker):
            what = f"{self.name}-worker is not deployed in {self.region}"
            raise Problem(what, what_to_do="Run cloud_function/deploy.sh first, or name its region.")
        number = run(self.find_number)
        run(self.store(often, at, zone, number, update=_there(self.find_job)))

    def end(self) -> bool:
        """Delete the job; return whether there was one. Raises Problem."""
        if there := _there(self.find_job):
            run(self.delete)
        return there


def checked_zone(name: str) -> str:
    """Return the name of a time zone; raises BadInput for one that is not in the tz database."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(
            [Mistake("--zone", f"{name[:40]!r} is not a time zone", "Write one such as Europe/Berlin or UTC.")]
        ) from None


def run(command: Sequence[str]) -> str:
    """Run a gcloud command and return what it printed; raises Problem with its own last words."""
    program = shutil.which(command[0])
    if program is None:
        advice = "Install the Google Cloud CLI, or run the printed command in Cloud Shell."
        raise Problem("gcloud is not installed here", what_to_do=advice)
    try:
        ran = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Problem("gcloud did not finish within 5 minutes", where=" ".join(command[:4])) from None
    if ran.returncode:
        said = " ".join(ran.stderr.split())[-500:] or f"exit code {ran.returncode}"
        raise Problem(f"gcloud said: {said}", where=" ".join(command[:4]))
    return ran.stdout.strip()


def _there(describe: Sequence[str]) -> bool:
    """Return whether what ``describe`` asks for exists; raises Problem when that cannot be found out."""
    try:
        run(describe)
    except Problem as problem:
        if re.search("NOT_FOUND|cannot find", problem.message, re.I):
            return False
        raise
    return True


# --- a computer of one's own ------------------------------------------------------------------------------------------


def line_for_computer(often: str, at: time, program: PurePath, config: PurePath, *, windows: bool) -> str:
    """Return the crontab line, or the command that makes a Windows task, for importing ``config`` by ``program``.

    Both run by the computer's own clock, in the folder of ``config``, and append what is said to import.log there.
    """
    if windows:
        how = f"/SC DAILY /ST {at:%H:%M}" if often == "daily" else f"/SC HOURLY /ST 00:{HOURLY_MINUTE:02}"
        does = f'cmd /c cd /d \\"{config.parent}\\" && \\"{program}\\" import \\"{config.name}\\" >> import.log 2>&1'
        return f'schtasks /Create /F /TN "{_task(config)}" {how} /TR "{does}"'
    token = "set -a && . ./token.env && "
    does = f"{shlex.quote(str(program))} import {shlex.quote(config.name)} >> import.log 2>&1"
    # In a crontab % begins a new line unless it is escaped.
    return f"{cron(often, at)} " + f"cd {shlex.quote(str(config.parent))} && {token}{does}".replace("%", r"\%")


def end_on_computer(config: PurePath, *, windows: bool) -> str:
    """Return how what ``line_for_computer`` set up is ended."""
    if windows:
        return f'schtasks /Delete /F /TN "{_task(config)}"'
    return f"crontab -e    # and remove the line that imports {config.name}"


def _task(config: PurePath) -> str:
    return f"owox-tiktok {config.stem}"
