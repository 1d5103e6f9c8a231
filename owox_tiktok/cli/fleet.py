"""Commands about all Sheets of a deployed service at once, for those who operate it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import console, guarded, say_json
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import examples
from owox_tiktok.cli.registry import read
from owox_tiktok.errors import BadInput, Mistake

if TYPE_CHECKING:
    from rich import table as rich_table

    from owox_tiktok import schedule
    from owox_tiktok.central import store as stores
    from owox_tiktok.service import fleet as fleets
    from owox_tiktok.service import ledger
    from owox_tiktok.terminal import Screen
else:
    rich_table = lazily("rich.table")
    schedule = lazily("owox_tiktok.schedule")
    stores = lazily("owox_tiktok.central.store")
    fleets = lazily("owox_tiktok.service.fleet")
    ledger = lazily("owox_tiktok.service.ledger")


@click.group()
def fleet() -> None:
    """Look at all Sheets of a deployed service."""


@fleet.command(
    "status",
    epilog=examples(
        "fleet status --project my-project --region europe-west1 --registry registry.yaml",
        "fleet status --store gs://owox-tiktok-123456789012-europe-west1 --bad",
    ),
)
@click.option("--store", default="", metavar="gs://BUCKET", help="The bucket with the record of runs.")
@click.option("--project", envvar="GOOGLE_CLOUD_PROJECT", default="", help="Google Cloud [GOOGLE_CLOUD_PROJECT].")
@click.option("--region", default="", help="Where the service was deployed; with --project in place of --store.")
@click.option("--name", default="owox-tiktok", show_default=True, help="The name given to deploy.sh.")
@click.option(
    "--registry", type=click.Path(path_type=Path), help="Show Sheets that never ran, and TikTok's quota, too."
)
@click.option("--late-after", default=26.0, show_default=True, metavar="HOURS", help="A scheduled Sheet is late then.")
@click.option("--bad", is_flag=True, help="Only the Sheets that need somebody.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(
    store: str,
    project: str,
    region: str,
    name: str,
    registry: Path | None,
    late_after: float,
    bad: bool,
    as_json: bool,
) -> None:
    """Show how all Sheets are.

    Last success, lag, rows, requests, and why the last run failed. Those that need somebody come first, and it exits
    with 3 when there are any. No Sheet is called for it.
    """

    def work(screen: Screen) -> int:
        registered = read(registry) if registry else {}
        kept = ledger.Ledgers(stores.open_store(store or _bucket(project, region, name), os.environ))
        now = datetime.now(UTC)
        found = fleets.look(kept, registered, now, timedelta(hours=late_after))
        shown = [one for one in found if not bad or one.how in fleets.NEEDS_SOMEBODY]
        if as_json:
            for one in shown:
                say_json(one.facts())
        else:
            table = rich_table.Table(box=None, pad_edge=False)
            for heading in fleets.HEADINGS:
                table.add_column(heading, overflow="fold")
            for one in shown:
                table.add_row(*fleets.cells(one))
            console().print(table)
            for used in fleets.quotas(found, registered):
                click.echo(used.sentence)
            click.echo(fleets.summary(found))
        return 3 if any(one.how in fleets.NEEDS_SOMEBODY for one in found) else 0

    guarded(work, interrupted="interrupted. Nothing was changed.")


def _bucket(project: str, region: str, name: str) -> str:
    """Return the address of a deployment's bucket; its name holds the project's number, which gcloud knows."""
    if not project or not region:
        what = "is missing"
        raise BadInput([Mistake("--store", what, "Name the bucket, or --project and --region of the service.")])
    place = schedule.Deployment(project, region, "spreadsheet", name)
    return f"gs://{name}-{schedule.run(place.find_number)}-{region}"
