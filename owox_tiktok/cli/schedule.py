"""The command that makes imports start on a schedule."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from datetime import time as Clock
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import guarded
from owox_tiktok.cli.interruption import How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import examples
from owox_tiktok.errors import BadInput, Mistake

if TYPE_CHECKING:
    from owox_tiktok import schedule as jobs
    from owox_tiktok.terminal import Screen
else:
    jobs = lazily("owox_tiktok.schedule")


def _clock(ctx: click.Context, param: click.Parameter, value: str | None) -> Clock | None:
    """Read a time of day such as 13:30."""
    try:
        return datetime.strptime(value, "%H:%M").time() if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a time; write one such as 13:30", ctx, param) from None


@click.command(
    epilog=examples(
        "schedule daily --at 06:15 --cron tiktok.yaml",
        "schedule daily --at 06:15 --zone Europe/Berlin --project my-project --region europe-west1 \\\n"
        "      --spreadsheet SPREADSHEET_ID --apply",
        "schedule off --cron tiktok.yaml",
    )
)
@click.argument("often", type=click.Choice(["daily", "hourly", "off"]))
@click.option("--at", callback=_clock, metavar="HH:MM", help="When a daily import starts [13:30].")
@click.option("--zone", metavar="ZONE", help="Whose clock that is, such as Europe/Berlin [UTC].")
@click.option("--project", envvar="GOOGLE_CLOUD_PROJECT", default="", help="Google Cloud [GOOGLE_CLOUD_PROJECT].")
@click.option("--region", default="", help="Where the service was deployed.")
@click.option("--spreadsheet", default="", metavar="ID", help="The Sheet to import into.")
@click.option("--name", default="owox-tiktok", show_default=True, help="The name given to deploy.sh.")
@click.option("--apply", "applied", is_flag=True, help="Run the command instead of printing it.")
@click.option(
    "--cron",
    "config",
    type=click.Path(path_type=Path),
    metavar="CONFIG.yaml",
    help="Print the line for this computer's own scheduler instead.",
)
def schedule(
    often: str,
    at: Clock | None,
    zone: str | None,
    project: str,
    region: str,
    spreadsheet: str,
    name: str,
    applied: bool,
    config: Path | None,
) -> None:
    """Start imports on a schedule.

    A Cloud Scheduler job for the deployed service, or with --cron a line for this computer's own scheduler.
    """

    def work(screen: Screen) -> int:
        if at and often != "daily":
            raise BadInput([Mistake("--at", f"has no meaning when imports are {often}", "Omit it, or write daily.")])
        if config and (zone or applied):
            what = "does not go with --cron: this computer's scheduler has its own clock and list"
            raise BadInput([Mistake("--zone" if zone else "--apply", what, "Omit it.")])
        if config:
            return _schedule_here(often, at or jobs.AT, config.absolute())
        deployment = jobs.Deployment(project, region, spreadsheet, name)
        return _schedule_in_cloud(often, at or jobs.AT, jobs.checked_zone(zone or "UTC"), deployment, applied)

    guarded(
        work,
        how=How.BY_EXCEPTION,
        interrupted="interrupted. Run it again: a schedule that is there already is replaced.",
    )


def _schedule_here(often: str, at: Clock, config: Path) -> int:
    windows = sys.platform == "win32"
    if often == "off":
        click.echo(jobs.end_on_computer(config, windows=windows))
        return 0
    program = Path(sys.executable).with_name("owox-tiktok.exe" if windows else "owox-tiktok")
    click.echo(jobs.line_for_computer(often, at, program, config, windows=windows))
    hint = "Run it in a terminal." if windows else "Add this line with `crontab -e`; token.env holds the token."
    click.echo(hint, err=True)
    return 0


def _schedule_in_cloud(often: str, at: Clock, zone: str, deployment: jobs.Deployment, applied: bool) -> int:
    if often == "off":
        if applied:
            ended = "Imports no longer start automatically." if deployment.end() else "There was no schedule."
        click.echo(ended if applied else shlex.join(deployment.delete))
        return 0
    if jobs.doubtful(often, at, zone):
        click.echo("Clocks change between 1:00 and 3:00: one import a year is skipped, and one runs twice.", err=True)
    if not applied:
        click.echo(deployment.shown(often, at, zone))
        return 0
    deployment.apply(often, at, zone)
    when = f"every day at {at:%H:%M} {zone}" if often == "daily" else f"{jobs.HOURLY_MINUTE} minutes past every hour"
    click.echo(f"An import starts {when}.")
    return 0
