"""Commands that read TikTok's results and change tables: import, plan, prune, views."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import (
    common,
    console,
    day,
    facts,
    guarded,
    objects_option,
    one_source,
    read,
    say_json,
    source,
)

if TYPE_CHECKING:
    from owox_tiktok.settings import Settings
    from owox_tiktok.terminal import Screen


@click.command("import")
@source
@click.option("--from", "first", callback=day, metavar="DAY", help="Read these days again (backfill), from this one …")
@click.option("--to", "last", callback=day, metavar="DAY", help="… to this one, both included.")
@objects_option
@click.option("--dry-run", is_flag=True, help="Only say what would be read.")
@common
def import_(
    config: Path | None,
    sheet: str | None,
    first: date | None,
    last: date | None,
    names: tuple[str, ...],
    dry_run: bool,
    log: str,
    now: datetime | None,
) -> None:
    """Import what CONFIG.yaml or a Sheet names, and go on where the last run ended.

    The last days (reimport_lookback_window) are read again and replaced. With --from and --to exactly those days are
    read again, and the next run goes on where it would have.
    """
    from owox_tiktok import app

    one_source(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        backfill = app.backfill_range(first, last, moment)
        if sheet is None or dry_run:
            settings = read(config, sheet, names, moment)
            if dry_run:
                return _show_plan(settings, moment, backfill, log)
            return app.import_(settings, now=moment, listen=screen, backfill=backfill).exit_code
        with app.open_sheet(sheet) as control:
            return app.import_sheet(control, now=moment, listen=screen, backfill=backfill, names=names).exit_code

    guarded(log, work)


def _show_plan(settings: Settings, now: datetime, backfill: tuple[date, date] | None, log: str) -> int:
    from owox_tiktok import app
    from owox_tiktok.terminal import show_plan

    planned = app.plan(settings, now=now, backfill=backfill)
    if log == "json":
        for p in planned:
            say_json({"event": "planned", **facts(p), "advertiser": p.advertiser.id})
    else:
        show_plan(console(), planned, settings.requests_per_second)
    broken = sum(bool(p.problem) for p in planned)
    return 0 if not broken else 1 if broken == len(planned) else 3


@click.command()
@source
@click.option("--from", "first", callback=day, metavar="DAY", help="Plan a backfill from this day …")
@click.option("--to", "last", callback=day, metavar="DAY", help="… to this one.")
@objects_option
@common
def plan(
    config: Path | None,
    sheet: str | None,
    first: date | None,
    last: date | None,
    names: tuple[str, ...],
    log: str,
    now: datetime | None,
) -> None:
    """Show which days would be read, with the requests, rows and minutes to expect. Writes nothing."""
    from owox_tiktok import app

    one_source(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        settings = read(config, sheet, names, moment)
        return _show_plan(settings, moment, app.backfill_range(first, last, moment), log)

    guarded(log, work)


@click.command()
@source
@objects_option
@click.option("--dry-run", is_flag=True, help="Only say how many rows would be deleted.")
@common
def prune(
    config: Path | None, sheet: str | None, names: tuple[str, ...], dry_run: bool, log: str, now: datetime | None
) -> None:
    """Delete report rows older than clean_up_to_keep_window days. Entities are never deleted."""
    from owox_tiktok import app

    one_source(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        settings = read(config, sheet, names, moment)
        gone = app.prune_(settings, now=moment, dry_run=dry_run, listen=screen)
        if not gone and log == "text":
            click.echo("None of the objects has dated rows.", err=True)
        return 0

    guarded(log, work)


@click.command()
@source
@click.option("--dry-run", is_flag=True, help="Only print their SQL.")
@common
def views(config: Path | None, sheet: str | None, dry_run: bool, log: str, now: datetime | None) -> None:
    """Make the views to report on, or make them anew, from the objects and fields that are stored."""
    from owox_tiktok import app
    from owox_tiktok.terminal import show_views, show_views_sql

    one_source(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        found = app.views(read(config, sheet, (), moment), dry_run=dry_run)
        if log == "json":
            for v in found:
                state = "left alone" if v.left_alone else "ready" if v.statement else "left out"
                facts = {"event": "view", "view": v.view.name, "state": state, "missing": v.view.missing}
                say_json({**facts, "sql": v.statement} if dry_run else facts)
        else:
            (show_views_sql if dry_run else show_views)(console(), found)
        return 3 if any(v.left_alone for v in found) else 0

    guarded(log, work)
