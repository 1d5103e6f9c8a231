"""Commands that set up a Google spreadsheet which steers imports."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from owox_tiktok.cli.common import end, guarded
from owox_tiktok.cli.interruption import How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import examples
from owox_tiktok.shipped import shipped

if TYPE_CHECKING:
    from owox_tiktok.sheets import client, lease, setup
    from owox_tiktok.sheets.client import Spreadsheet
    from owox_tiktok.terminal import Screen
else:
    client = lazily("owox_tiktok.sheets.client")
    lease = lazily("owox_tiktok.sheets.lease")
    setup = lazily("owox_tiktok.sheets.setup")


@click.group()
def sheet() -> None:
    """Set up a Google spreadsheet that controls imports."""


_book = click.argument("spreadsheet_id", metavar="SPREADSHEET")
_dry = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


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
    _set_up(spreadsheet_id, lambda book: setup.init(book, kind, dry_run=dry_run), dry_run)


@sheet.command("fields", epilog=examples("sheet fields SPREADSHEET_ID --dry-run"))
@_book
@_dry
def sheet_fields(spreadsheet_id: str, dry_run: bool) -> None:
    """Update the tab Fields after an upgrade.

    Ticks and columns of your own stay as they are.
    """
    _set_up(spreadsheet_id, lambda book: setup.fields(book, dry_run=dry_run), dry_run)


@sheet.command(
    "template",
    epilog=examples("sheet template tiktok.xlsx", "sheet template tiktok.xlsx --kind bigquery"),
)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.xlsx")
@click.option("--kind", type=click.Choice(["sheets", "bigquery"]), default="sheets", help="Where rows go [sheets].")
def sheet_template(file: Path, kind: str) -> None:
    """Write the template as an Excel file.

    To be imported into Google Sheets (File, Import). Where the program has access to a spreadsheet, `sheet init` does
    more: it builds the tabs there.
    """

    def work(screen: Screen) -> int:
        name = {"sheets": "TikTok Ads to Google Sheets.xlsx", "bigquery": "TikTok Ads to Google BigQuery.xlsx"}[kind]
        content = shipped("templates", name).read_bytes()
        try:
            with file.open("xb") as opened:
                opened.write(content)
        except FileExistsError:
            end(f"{file} already exists. Choose another file.")
        except OSError as error:
            end(f"{file} cannot be written ({error.strerror}). Choose another file.")
        click.echo(f"Wrote {file}.", err=True)
        return 0

    guarded(work, how=How.AFTER_THIS, interrupted="interrupted.")


@sheet.command("script", epilog=examples("sheet script apps_script"))
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
def sheet_script(folder: Path) -> None:
    """Write the script of the Sheet's menu.

    The files of the Apps Script project, into a new folder; its README says how they get into a Sheet.
    """

    def work(screen: Screen) -> int:
        if folder.exists():
            end(f"{folder} already exists. Choose another folder.")
        try:
            shutil.copytree(shipped("templates", "apps_script"), folder)
        except OSError as error:
            end(f"{folder} cannot be written ({error.strerror}). Choose another folder.")
        click.echo(f"Wrote {folder}.", err=True)
        return 0

    guarded(work, how=How.AFTER_THIS, interrupted="interrupted.")


def _set_up(address: str, work: Callable[[Spreadsheet], list[str]], dry_run: bool) -> None:
    """Run ``work`` on a spreadsheet and say in one sentence what was done."""

    def said(screen: Screen) -> int:
        book = client.Spreadsheet(client.spreadsheet_id(address))
        try:
            with nullcontext() if dry_run else lease.Lease(book):
                done = work(book)
        finally:
            book.close()
        click.echo(setup.sentence(done, dry_run=dry_run), err=True)
        return 0

    guarded(
        said, how=How.BY_EXCEPTION, interrupted="interrupted. Run it again: it completes what is there, and no more."
    )
