"""Commands that set up a Google spreadsheet which steers imports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import click

from owox_tiktok.cli.common import examples, guarded
from owox_tiktok.cli.interruption import How

if TYPE_CHECKING:
    from owox_tiktok.sheets.client import Spreadsheet
    from owox_tiktok.terminal import Screen


@click.group()
def sheet() -> None:
    """Set up a Google spreadsheet that steers imports."""


_book = click.argument("spreadsheet_id", metavar="SPREADSHEET")
_dry = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@sheet.command(
    "init",
    epilog=examples(
        "sheet init https://docs.google.com/spreadsheets/d/SPREADSHEET_ID/edit",
        "sheet init SPREADSHEET_ID --kind bigquery",
    ),
)
@_book
@click.option("--kind", type=click.Choice(["sheets", "bigquery"]), help="Where rows go [as it is, else sheets].")
@_dry
def sheet_init(spreadsheet_id: str, kind: Literal["sheets", "bigquery"] | None, dry_run: bool) -> None:
    """Build the template's tabs in a spreadsheet.

    SPREADSHEET is its id or address. Tabs that are there are completed. What is filled in stays as it is: values,
    ticks, formats, and rows and columns of your own.
    """
    from owox_tiktok.sheets import setup

    _set_up(spreadsheet_id, lambda book: setup.init(book, kind, dry_run=dry_run), dry_run)


@sheet.command("fields", epilog=examples("sheet fields SPREADSHEET_ID --dry-run"))
@_book
@_dry
def sheet_fields(spreadsheet_id: str, dry_run: bool) -> None:
    """Bring the tab Fields up to date after an upgrade.

    Ticks and columns of your own stay as they are.
    """
    from owox_tiktok.sheets import setup

    _set_up(spreadsheet_id, lambda book: setup.fields(book, dry_run=dry_run), dry_run)


def _set_up(address: str, work: Callable[[Spreadsheet], list[str]], dry_run: bool) -> None:
    """Run ``work`` on a spreadsheet and say in one sentence what was done."""
    from owox_tiktok.sheets.client import Spreadsheet, spreadsheet_id
    from owox_tiktok.sheets.lease import Lease

    def said(screen: Screen) -> int:
        book = Spreadsheet(spreadsheet_id(address))
        try:
            with nullcontext() if dry_run else Lease(book):
                done = work(book)
        finally:
            book.close()
        what = f"{'would be done: ' if dry_run else ''}{'; '.join(done)}" if done else "everything is there already"
        click.echo(f"{what[0].upper()}{what[1:]}.", err=True)
        return 0

    guarded(
        said, how=How.BY_EXCEPTION, interrupted="interrupted. Run it again: it completes what is there, and no more."
    )
