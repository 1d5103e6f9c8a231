"""Commands that read TikTok's results and change tables: import, plan, prune, reset, forget, views."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from owox_tiktok.cli.common import Asked, asked, common, console, facts, guarded, object_names, say_json, stopped_by
from owox_tiktok.cli.interruption import INTERRUPTION, How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import day, examples, quiet_option

if TYPE_CHECKING:
    from owox_tiktok import app, terminal
    from owox_tiktok.terminal import Screen
else:
    app = lazily("owox_tiktok.app")
    terminal = lazily("owox_tiktok.terminal")


def _days(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--to", "last", callback=day, metavar="DAY", help="… to this one, both included.")(command)
    return click.option(
        "--from", "first", callback=day, metavar="DAY", help="Read these days again (backfill), from this one …"
    )(command)


@click.command(
    "import",
    epilog=examples(
        "import                                  as tiktok.yaml in this folder says",
        "import other.yaml --quiet               for cron: silent unless something is wrong",
        "import --object ads --advertiser 7012345678901234567",
        "import --object ad_report_daily --from 2026-01-01 --to 2026-01-31",
        "import --sheet SPREADSHEET_ID           as the tabs Config and Fields of that Sheet say",
    ),
)
@asked()
@_days
@click.option("--dry-run", is_flag=True, help="Only show what would be read.")
@quiet_option
@common
def import_(given: Asked, first: date | None, last: date | None, dry_run: bool, quiet: bool, log: str) -> None:
    """Import, and continue where the last run ended.

    The last days (reimport_lookback_window) are read again and replaced. With --from and --to exactly those days are
    read again, and the next run continues where it would have. Ctrl-C and SIGTERM end the run after the current
    transaction; what is stored stays, and the next run continues there.
    """
    if dry_run:
        _plan(given, first, last, log)

    def work(screen: Screen) -> int:
        backfill = app.backfill_range(first, last, given.now)
        part = app.Part(halted=stopped_by(screen))
        if given.sheet:
            selection = app.Selection(given.names, given.advertisers, backfill)
            with app.open_sheet(given.sheet) as control:
                finished = app.import_sheet(control, now=given.now, listen=screen, selection=selection, part=part)
        else:
            finished = app.import_(given.settings(), now=given.now, listen=screen, backfill=backfill, part=part)
        by_signal = finished.stopped and finished.stopped == INTERRUPTION.asked()
        return INTERRUPTION.exit_code if by_signal else finished.exit_code

    guarded(
        work,
        how=How.AFTER_THIS,
        log=log,
        quiet=quiet,
        interrupted="interrupted before anything was read. The next run continues where the last one ended.",
    )


@click.command(
    epilog=examples(
        "plan",
        "plan --object ad_report_daily --from 2026-01-01 --to 2026-01-31",
        "plan --log json                         one line per object and ad account",
    )
)
@asked()
@_days
@common
def plan(given: Asked, first: date | None, last: date | None, log: str) -> None:
    """Show what an import would read, and how long it takes.

    Days, requests, rows and minutes to expect, object by object. Writes nothing; TikTok is asked one small question
    per object and ad account.
    """
    _plan(given, first, last, log)


def _plan(given: Asked, first: date | None, last: date | None, log: str) -> None:
    def work(screen: Screen) -> int:
        settings, backfill = given.settings(), app.backfill_range(first, last, given.now)
        planned = app.plan(settings, now=given.now, backfill=backfill, halted=stopped_by(screen))
        if log == "json":
            for p in planned:
                names = {"advertiser": p.advertiser.id, "advertiser_name": p.advertiser.name}
                say_json({"event": "planned", **facts(p), **names})
        else:
            terminal.show_plan(console(), planned, settings.requests_per_second, problems=console(stderr=True))
        broken = sum(bool(p.problem) for p in planned)
        return 0 if not broken else 1 if broken == len(planned) else 3

    guarded(work, how=How.AFTER_THIS, log=log, interrupted="interrupted before the plan was made. Nothing was written.")


@click.command(
    epilog=examples(
        "prune --dry-run                         how many rows would be deleted",
        "prune --object ad_report_daily",
    )
)
@asked()
@click.option("--dry-run", is_flag=True, help="Only count the rows that would be deleted.")
@quiet_option
@common
def prune(given: Asked, dry_run: bool, quiet: bool, log: str) -> None:
    """Delete report rows older than the days you keep.

    That is clean_up_to_keep_window days. Rows of entities, such as campaigns, are never deleted.
    """

    def work(screen: Screen) -> int:
        gone = app.prune_(given.settings(), now=given.now, dry_run=dry_run, listen=screen, halted=stopped_by(screen))
        if not gone and log == "text" and not quiet:
            click.echo("None of the objects has rows with dates.", err=True)
        return 0

    guarded(
        work,
        how=How.AFTER_THIS,
        log=log,
        quiet=quiet,
        interrupted="interrupted. What was deleted so far is gone; run it again for the rest.",
    )


@click.command(
    epilog=examples(
        "reset ad_report_daily",
        "reset ad_report_daily --dry-run         what would be forgotten",
        "reset ad_report_daily --advertiser 7012345678901234567 --yes",
    )
)
@click.argument("name", metavar="OBJECT", shell_complete=object_names)
@asked(parts=False)
@click.option("--advertiser", "ids", multiple=True, metavar="ID", help="Only this ad account; may be repeated.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only show what would be forgotten.")
@common
def reset(given: Asked, name: str, ids: tuple[str, ...], yes: bool, dry_run: bool, log: str) -> None:
    """Make the next import read all of an object again.

    How far OBJECT was read is forgotten. Its rows stay until the next import replaces them.
    """

    def work(screen: Screen) -> int:
        settings = given.settings()
        found = app.reset(settings, name, ids, dry_run=True)
        for pair in found:
            if log == "json":
                say_json({"event": "to forget" if dry_run else "forgotten", **facts(pair)})
            else:
                days = f"  {pair.since} .. {pair.through}" if pair.since else ""
                click.echo(f"{pair.object}  {pair.advertiser_id or 'all accounts'}{days}", err=True)
        if not found:
            click.echo("It has no cursor, so the next import reads all of it anyway.", err=True)
        if dry_run or not found:
            return 0
        if not yes and not click.confirm("Forget this, and read all of it again in the next import?", err=True):
            return 1
        with INTERRUPTION.taken(How.AFTER_THIS):
            app.reset(settings, name, [pair.advertiser_id for pair in found], dry_run=False)
        return 0

    guarded(work, how=How.BY_EXCEPTION, log=log, interrupted="interrupted. Nothing was forgotten.")


@click.command(
    epilog=examples(
        "forget --advertiser 7012345678901234567 --dry-run     how many rows would be deleted",
        "forget --advertiser 7012345678901234567",
    )
)
@asked(parts=False)
@click.option(
    "--advertiser", "ids", multiple=True, required=True, metavar="ID", help="The ad account; may be repeated."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only count the rows that would be deleted.")
@common
def forget(given: Asked, ids: tuple[str, ...], yes: bool, dry_run: bool, log: str) -> None:
    """Delete all that is stored of an ad account.

    For an account that leaves: its rows of every object, their history, and how far they were read. Not at TikTok.
    """

    def work(screen: Screen) -> int:
        settings = given.settings()
        found = app.forget(settings, ids, dry_run=True)
        for table, n in found.items():
            if log == "json":
                say_json({"event": "to delete", "table": table, "rows": n})
            else:
                click.echo(f"{table}  {n:,} rows", err=True)
        for one in (one for one in ids if one in settings.advertiser_ids or not settings.advertiser_ids):
            click.echo(f"warning: {settings.source} still imports {one}, so the next import reads it again", err=True)
        if not found:
            click.echo("Nothing is stored of it.", err=True)
        if dry_run or not found:
            return 0
        if not yes and not click.confirm(f"Delete these {sum(found.values()):,} rows?", err=True):
            return 1
        with INTERRUPTION.taken(How.AFTER_THIS):
            gone = app.forget(settings, ids, dry_run=False)
        if log == "json":
            say_json({"event": "deleted", "rows": sum(gone.values()), "tables": gone})
        else:
            click.echo(f"{sum(gone.values()):,} rows of {len(gone)} tables are deleted.", err=True)
        return 0

    guarded(work, how=How.BY_EXCEPTION, log=log, interrupted="interrupted. Nothing was deleted.")


@click.command(
    epilog=examples(
        "views",
        "views --dry-run                         only print their SQL",
    )
)
@asked(parts=False)
@click.option("--dry-run", is_flag=True, help="Only print their SQL.")
@quiet_option
@common
def views(given: Asked, dry_run: bool, quiet: bool, log: str) -> None:
    """Create or refresh the views to report on.

    They are made from the objects and fields that are stored.
    """

    def work(screen: Screen) -> int:
        found = app.views(given.settings(), dry_run=dry_run)
        if log == "json":
            for v in found:
                state = "left alone" if v.left_alone else "ready" if v.statement else "left out"
                said = {"event": "view", "view": v.view.name, "state": state, "missing": v.view.missing}
                say_json({**said, "sql": v.statement} if dry_run else said)
        elif dry_run:
            terminal.show_views_sql(console(), found)
        else:
            terminal.show_views(console(), [v for v in found if v.left_alone] if quiet else found)
        return 3 if any(v.left_alone for v in found) else 0

    guarded(work, how=How.AFTER_THIS, log=log, quiet=quiet, interrupted="interrupted before the views were created.")
