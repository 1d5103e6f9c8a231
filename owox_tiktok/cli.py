"""Words on a terminal: ``owox-tiktok``. Parses, calls ``app``, shows, and ends with an exit code.

0 done, 1 failed, 2 bad input, 3 partly done. Heavy modules are imported inside the commands that use them.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, date, datetime
from datetime import time as Clock
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from owox_tiktok.schedule import Deployment
    from owox_tiktok.secret import Secret
    from owox_tiktok.settings import Settings
    from owox_tiktok.sheets.client import Spreadsheet
    from owox_tiktok.terminal import Screen
    from owox_tiktok.tiktok.client import TikTok

EXAMPLES = """\b
Examples:
  owox-tiktok init                          write an example tiktok.yaml
  owox-tiktok check tiktok.yaml             try token, accounts and permissions
  owox-tiktok plan tiktok.yaml              what would be read, and how long it takes
  owox-tiktok import tiktok.yaml            import, and go on where the last run ended
  owox-tiktok import tiktok.yaml --from 2026-01-01 --to 2026-01-31 --object ad_report_daily
  owox-tiktok sheet init SPREADSHEET_ID     build the template in a blank spreadsheet
  owox-tiktok import --sheet SPREADSHEET_ID as the tabs Config and Fields of that Sheet say
  owox-tiktok reset ad_report_daily tiktok.yaml   read all of it again in the next import
  owox-tiktok views tiktok.yaml             make views to report on, from what is imported
  owox-tiktok objects ad_report_daily       its fields, with kinds and descriptions
  owox-tiktok schedule daily --at 06:15 --cron tiktok.yaml
  owox-tiktok demo                          try it all without a TikTok account
  owox-tiktok local up                      the whole product in a browser, with made-up accounts

\b
Exit codes: 0 done, 1 failed, 2 bad input, 3 partly done.
"""


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Read a moment such as 2026-01-31T12:00Z; without a zone it is UTC."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a moment; write one such as 2026-01-31T12:00Z", ctx, param
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    """Read a day such as 2026-01-31."""
    try:
        return date.fromisoformat(value) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a day; write one such as 2026-01-31", ctx, param) from None


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--now", callback=_moment, metavar="MOMENT", help="Take this as the present moment (2026-01-31T12:00Z)."
    )(command)
    return click.option(
        "--log",
        type=click.Choice(["text", "json"]),
        default="text",
        help="json: one object per line on standard output, for machines.",
    )(command)


def _source(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the settings from a file or from a Sheet."""
    command = click.option(
        "--sheet", metavar="ID", help="Take the settings from this Google Sheet (id or address), not from a file."
    )(command)
    return click.argument("config", type=click.Path(path_type=Path), metavar="[CONFIG.yaml]", required=False)(command)


_objects = click.option("--object", "names", multiple=True, metavar="NAME", help="Only this object; may be repeated.")


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="owox-tiktok")
def cli() -> None:
    """TikTok Ads into your own tables: exact, incremental, at TikTok's speed."""


def _screen(log: str) -> Screen:
    from owox_tiktok.terminal import JsonLog, Terminal

    return JsonLog() if log == "json" else Terminal()


def _guarded(log: str, work: Callable[[Screen], int]) -> None:
    """Run ``work`` with a screen; every Problem becomes its sentence and an exit code, never a traceback."""
    from owox_tiktok.errors import BadInput, Problem

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Rows come as many short-lived tuples without cycles; looking for cycles among them took a fifth of an import.
    gc.set_threshold(100_000, 50, 50)
    with _screen(log) as screen:
        try:
            code = work(screen)
        except BadInput as problem:
            screen.problem(problem)
            code = 2
        except Problem as problem:
            screen.problem(problem)
            code = 1
        except Exception as error:
            if os.environ.get("OWOX_TIKTOK_TRACE"):
                raise
            advice = "Run it again with OWOX_TIKTOK_TRACE=1 and report what it prints."
            screen.problem(Problem(f"an unexpected {type(error).__name__}, a bug of this program", what_to_do=advice))
            code = 1
        except (KeyboardInterrupt, click.Abort):
            screen.problem(Problem("the run was interrupted", what_to_do="The next run goes on where it ended."))
            code = 1
    sys.stdout.flush()
    sys.exit(code)


def _one_of(config: Path | None, sheet: str | None) -> None:
    if (config is None) == (sheet is None):
        raise click.UsageError("Name either a file, such as tiktok.yaml, or a Sheet: --sheet SPREADSHEET_ID.")


def _read(config: Path | None, sheet: str | None, names: tuple[str, ...], now: datetime) -> Settings:
    """Return the settings of the file or the Sheet, with only the objects ``names``."""
    from owox_tiktok.app import only, open_sheet
    from owox_tiktok.config_file import read_file

    if sheet is None:
        assert config is not None
        return only(read_file(config, now=now), names)
    with open_sheet(sheet) as control:
        reading = control.read(now)
    for warning in reading.warnings:
        click.echo(f"warning: {warning}", err=True)
    return only(reading.settings, names)


@cli.command("import")
@_source
@click.option("--from", "first", callback=_day, metavar="DAY", help="Read these days again (backfill), from this one …")
@click.option("--to", "last", callback=_day, metavar="DAY", help="… to this one, both included.")
@_objects
@click.option("--dry-run", is_flag=True, help="Only say what would be read.")
@_common
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

    _one_of(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        backfill = app.backfill_range(first, last, moment)
        if sheet is None or dry_run:
            settings = _read(config, sheet, names, moment)
            if dry_run:
                return _show_plan(settings, moment, backfill, log)
            return app.import_(settings, now=moment, listen=screen, backfill=backfill).exit_code
        with app.open_sheet(sheet) as control:
            return app.import_sheet(control, now=moment, listen=screen, backfill=backfill, names=names).exit_code

    _guarded(log, work)


def _show_plan(settings: Settings, now: datetime, backfill: tuple[date, date] | None, log: str) -> int:
    from owox_tiktok import app
    from owox_tiktok.terminal import show_plan

    planned = app.plan(settings, now=now, backfill=backfill)
    if log == "json":
        for p in planned:
            _json({"event": "planned", **_facts(p), "advertiser": p.advertiser.id})
    else:
        show_plan(_console(), planned, settings.requests_per_second)
    broken = sum(bool(p.problem) for p in planned)
    return 0 if not broken else 1 if broken == len(planned) else 3


@cli.command()
@_source
@click.option("--from", "first", callback=_day, metavar="DAY", help="Plan a backfill from this day …")
@click.option("--to", "last", callback=_day, metavar="DAY", help="… to this one.")
@_objects
@_common
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

    _one_of(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        settings = _read(config, sheet, names, moment)
        return _show_plan(settings, moment, app.backfill_range(first, last, moment), log)

    _guarded(log, work)


@cli.command()
@_source
@_objects
@_common
def check(config: Path | None, sheet: str | None, names: tuple[str, ...], log: str, now: datetime | None) -> None:
    """Try the destination, the token, each advertiser and each object, and say what to do about each that fails."""
    from owox_tiktok import app
    from owox_tiktok.terminal import show_checks

    _one_of(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        settings = _read(config, sheet, names, moment)
        checks = app.check(settings, now=moment)
        if log == "json":
            for c in checks:
                _json({"event": "checked", **_facts(c)})
        else:
            show_checks(_console(), checks)
        bad = sum(not c.ok for c in checks)
        token_ok = any(c.ok and c.what == "access token" for c in checks)
        return 0 if not bad else 3 if token_ok else 1

    _guarded(log, work)


@cli.command()
@_source
@_objects
@click.option("--dry-run", is_flag=True, help="Only say how many rows would be deleted.")
@_common
def prune(
    config: Path | None, sheet: str | None, names: tuple[str, ...], dry_run: bool, log: str, now: datetime | None
) -> None:
    """Delete report rows older than clean_up_to_keep_window days. Entities are never deleted."""
    from owox_tiktok import app

    _one_of(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        settings = _read(config, sheet, names, moment)
        gone = app.prune_(settings, now=moment, dry_run=dry_run, listen=screen)
        if not gone and log == "text":
            click.echo("None of the objects has dated rows.", err=True)
        return 0

    _guarded(log, work)


@cli.command()
@click.argument("name", metavar="OBJECT")
@_source
@click.option("--advertiser", "advertisers", multiple=True, metavar="ID", help="Only this account; may be repeated.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only show what would be forgotten.")
@_common
def reset(
    name: str,
    config: Path | None,
    sheet: str | None,
    advertisers: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    log: str,
    now: datetime | None,
) -> None:
    """Forget how far OBJECT is read, so that the next import reads all of it again. Its rows stay until then."""
    from owox_tiktok import app

    _one_of(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        settings = _read(config, sheet, (), moment)
        found = app.reset(settings, name, advertisers, dry_run=True)
        for pair in found:
            if log == "json":
                _json({"event": "to forget" if dry_run else "forgotten", **_facts(pair)})
            else:
                days = f"  {pair.since} .. {pair.through}" if pair.since else ""
                click.echo(f"{pair.object}  {pair.advertiser_id or 'all accounts'}{days}", err=True)
        if not found:
            click.echo("Nothing is remembered of it, so the next import reads all of it anyway.", err=True)
        if dry_run or not found:
            return 0
        if not yes and not click.confirm("Forget this, and read all of it again in the next import?", err=True):
            return 1
        app.reset(settings, name, [pair.advertiser_id for pair in found], dry_run=False)
        return 0

    _guarded(log, work)


@cli.command()
@_source
@click.option("--dry-run", is_flag=True, help="Only print their SQL.")
@_common
def views(config: Path | None, sheet: str | None, dry_run: bool, log: str, now: datetime | None) -> None:
    """Make the views to report on, or make them anew, from the objects and fields that are stored."""
    from owox_tiktok import app
    from owox_tiktok.terminal import show_views, show_views_sql

    _one_of(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        found = app.views(_read(config, sheet, (), moment), dry_run=dry_run)
        if log == "json":
            for v in found:
                state = "left alone" if v.left_alone else "ready" if v.statement else "left out"
                facts = {"event": "view", "view": v.view.name, "state": state, "missing": v.view.missing}
                _json({**facts, "sql": v.statement} if dry_run else facts)
        else:
            (show_views_sql if dry_run else show_views)(_console(), found)
        return 3 if any(v.left_alone for v in found) else 0

    _guarded(log, work)


@cli.command()
@click.argument("name", required=False)
@click.option("--log", type=click.Choice(["text", "json"]), default="text", help="json: for machines.")
def objects(name: str | None, log: str) -> None:
    """List what can be imported, or the fields of one object with kinds and descriptions."""
    from owox_tiktok.errors import BadInput, Mistake
    from owox_tiktok.streams import ALIASES, STREAMS, default_fields, find, nearest
    from owox_tiktok.terminal import show_object, show_objects

    def work(screen: Screen) -> int:
        if name is None:
            if log == "json":
                for s in STREAMS.values():
                    _json({"object": s.name, "description": s.description, "table": s.table, "key": list(s.keys)})
            else:
                show_objects(_console(), STREAMS.values())
            return 0
        stream = find(name)
        if stream is None:
            near = nearest(name, STREAMS)
            advice = f"Did you mean {near}?" if near else "`owox-tiktok objects` lists what there is."
            raise BadInput([Mistake(name, "is not an object", advice)])
        if log == "json":
            for f in stream.fields.values():
                _json(
                    {
                        "field": f.name,
                        "kind": f.kind,
                        "unit": f.unit,
                        "additive": f.additive,
                        "description": f.description,
                    }
                )
        else:
            aliases = [alias for alias, target in ALIASES.items() if target == stream.name]
            show_object(_console(), stream, default_fields(stream), aliases)
        return 0

    _guarded(log, work)


@cli.command()
@click.argument("path", type=click.Path(path_type=Path), default="tiktok.yaml", metavar="[CONFIG.yaml]")
def init(path: Path) -> None:
    """Write a commented example configuration (never over an existing file)."""
    from owox_tiktok.config_file import example

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError:
        _end(f"{path} is there already. Name another file: owox-tiktok init other.yaml")
    except OSError as error:
        _end(f"{path} cannot be written ({error.strerror}). Name another file.")
    click.echo(f"Wrote {path}. Next:\n  export TIKTOK_ACCESS_TOKEN=…      (docs/CREDENTIALS.md says how to get one)")
    click.echo(f"  owox-tiktok check {path}")


def _end(sentence: str) -> None:
    click.echo(sentence, err=True)
    sys.exit(2)


# --- the control Sheet ------------------------------------------------------------------------------------------------


@cli.group()
def sheet() -> None:
    """Set up a Google spreadsheet that steers imports."""


_book = click.argument("spreadsheet_id", metavar="SPREADSHEET")
_dry = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@sheet.command("init")
@_book
@click.option("--kind", type=click.Choice(["sheets", "bigquery"]), help="Where rows go [as it is, else sheets].")
@_dry
def sheet_init(spreadsheet_id: str, kind: Literal["sheets", "bigquery"] | None, dry_run: bool) -> None:
    """Build the template's tabs in SPREADSHEET (its id or address), or complete those that are there.

    What is filled in stays as it is: values, ticks, formats, and rows and columns of your own.
    """
    from owox_tiktok.sheets import setup

    _set_up(spreadsheet_id, lambda book: setup.init(book, kind, dry_run=dry_run), dry_run)


@sheet.command("fields")
@_book
@_dry
def sheet_fields(spreadsheet_id: str, dry_run: bool) -> None:
    """Bring the tab Fields of SPREADSHEET up to date after an upgrade; ticks and your own columns stay."""
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

    _guarded("text", said)


# --- authorisation ----------------------------------------------------------------------------------------------------


@cli.group()
def auth() -> None:
    """Get an access token: first the address to open, then the code for the token."""


@auth.command("url")
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
@click.option("--redirect-uri", required=True, help="The redirect address set in the developer app.")
def auth_url(app_id: str, redirect_uri: str) -> None:
    """Print the address at which an advertiser grants the app access."""
    import secrets

    from owox_tiktok.tiktok.login import authorisation_url

    state = secrets.token_urlsafe(24)
    click.echo("Open this address, tick the ad accounts, and confirm:\n", err=True)
    click.echo(authorisation_url(app_id, state, redirect_uri))
    click.echo(
        f"\nTikTok then opens {redirect_uri}?auth_code=…&state=…  Go on only if state is {state}\n"
        "and exchange the code within an hour:  owox-tiktok auth exchange",
        err=True,
    )


@auth.command("exchange")
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write TIKTOK_ACCESS_TOKEN=… to this file, readable by you alone. Without it the token is printed once to a "
    "terminal, or alone on standard output to a pipe.",
)
def auth_exchange(app_id: str, output: Path | None) -> None:
    """Exchange the auth code for an access token.

    The app's secret comes from TIKTOK_APP_SECRET and the code from TIKTOK_AUTH_CODE, or both are asked for; neither is
    taken from the command line, where other users of the machine could read it.
    """
    from owox_tiktok.tiktok.login import exchange

    def work(screen: Screen) -> int:
        secret = _ask("TIKTOK_APP_SECRET", "App secret")
        granted = exchange(_app_api(secret), app_id, secret, _ask("TIKTOK_AUTH_CODE", "Auth code"))
        if file:
            with file:
                file.write(f"TIKTOK_ACCESS_TOKEN={granted.token.reveal()}\n")
            click.echo(f"Wrote the token to {output}.", err=True)
        else:
            click.echo(granted.token.reveal())
        if granted.advertiser_ids:
            click.echo(f"It covers the ad accounts {', '.join(granted.advertiser_ids)}.", err=True)
        else:
            click.echo(
                "It covers no ad account: none was ticked, or the user has access to none. Authorise again.", err=True
            )
            return 3
        return 0

    file = None
    if output:
        # Opened before the code is spent: it works only once.
        try:
            file = os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        except FileExistsError:
            _end(f"{output} is there already. Name another file.")
        except OSError as error:
            _end(f"{output} cannot be written ({error.strerror}). Name another file.")
    try:
        _guarded("text", work)
    finally:
        if file and output and not output.stat().st_size:
            file.close()
            output.unlink()


@auth.command("revoke")
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
def auth_revoke(app_id: str) -> None:
    """End an access token for good, for instance one that was seen by others.

    The app's secret comes from TIKTOK_APP_SECRET and the token from TIKTOK_ACCESS_TOKEN, or both are asked for.
    """
    from owox_tiktok.tiktok.login import revoke

    def work(screen: Screen) -> int:
        secret = _ask("TIKTOK_APP_SECRET", "App secret")
        token = _ask("TIKTOK_ACCESS_TOKEN", "Access token to revoke")
        revoke(_app_api(secret), app_id, secret, token)
        click.echo("The token is revoked.", err=True)
        return 0

    _guarded("text", work)


def _ask(variable: str, prompt: str) -> Secret:
    from owox_tiktok.secret import Secret

    return Secret(os.environ.get(variable) or click.prompt(prompt, hide_input=True, err=True))


def _app_api(secret: Secret) -> TikTok:
    from owox_tiktok.retry import Pace
    from owox_tiktok.secret import Secret
    from owox_tiktok.tiktok.client import TikTok, base_url

    return TikTok(base_url(False), Secret(""), Pace(1.0), app_secret=secret)


# --- by itself --------------------------------------------------------------------------------------------------------


def _clock(ctx: click.Context, param: click.Parameter, value: str | None) -> Clock | None:
    """Read a time of day such as 13:30."""
    try:
        return datetime.strptime(value, "%H:%M").time() if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a time; write one such as 13:30", ctx, param) from None


@cli.command()
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
    """Start imports by themselves: a Cloud Scheduler job, or with --cron a line for this computer."""
    from owox_tiktok.errors import BadInput, Mistake
    from owox_tiktok.schedule import AT, Deployment, checked_zone

    def work(screen: Screen) -> int:
        if at and often != "daily":
            raise BadInput([Mistake("--at", f"says nothing when imports are {often}", "Leave it out, or say daily.")])
        if config and (zone or applied):
            what = "does not go with --cron: this computer's scheduler has its own clock and list"
            raise BadInput([Mistake("--zone" if zone else "--apply", what, "Leave it out.")])
        if config:
            return _schedule_here(often, at or AT, config.absolute())
        deployment = Deployment(project, region, spreadsheet, name)
        return _schedule_in_cloud(often, at or AT, checked_zone(zone or "UTC"), deployment, applied)

    _guarded("text", work)


def _schedule_here(often: str, at: Clock, config: Path) -> int:
    from owox_tiktok.schedule import end_on_computer, line_for_computer

    windows = sys.platform == "win32"
    if often == "off":
        click.echo(end_on_computer(config, windows=windows))
        return 0
    program = Path(sys.executable).with_name("owox-tiktok.exe" if windows else "owox-tiktok")
    click.echo(line_for_computer(often, at, program, config, windows=windows))
    hint = "Run it in a terminal." if windows else "Add this line with `crontab -e`; token.env holds the token."
    click.echo(hint, err=True)
    return 0


def _schedule_in_cloud(often: str, at: Clock, zone: str, deployment: Deployment, applied: bool) -> int:
    import shlex

    from owox_tiktok.schedule import HOURLY_MINUTE, doubtful

    if often == "off":
        if applied:
            ended = "Imports do not start by themselves any more." if deployment.end() else "There was no schedule."
        click.echo(ended if applied else shlex.join(deployment.delete))
        return 0
    if doubtful(often, at, zone):
        click.echo("Clocks change between 1:00 and 3:00: one import a year is left out, one is made twice.", err=True)
    if not applied:
        click.echo(deployment.shown(often, at, zone))
        return 0
    deployment.apply(often, at, zone)
    when = f"every day at {at:%H:%M} {zone}" if often == "daily" else f"{HOURLY_MINUTE} minutes past every hour"
    click.echo(f"An import starts {when}.")
    return 0


# --- without a TikTok account -----------------------------------------------------------------------------------------


@cli.command()
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default="demo", help="Where its files go [demo]."
)
def demo(folder: Path) -> None:
    """Import from a made-up TikTok on this machine, twice, and look at what arrived."""
    from owox_tiktok.demo import demo as show

    _guarded("text", lambda screen: show(folder, _console()))


@cli.group()
def local() -> None:
    """Stand-ins that run on this machine, for trying and testing."""


@local.command("up")
@click.option("--port", type=int, default=8080, show_default=True, help="Of the page; 0 picks a free one.")
@click.option("--latency-ms", type=float, default=300.0, show_default=True, help="How long TikTok takes to answer.")
def local_up(port: int, latency_ms: float) -> None:
    """Serve the whole product on this machine: a Sheet with its menu, the service, and made-up ad accounts."""
    import threading

    from owox_tiktok.laptop import Laptop

    def work(screen: Screen) -> int:
        click.echo("Starting …", err=True)
        with Laptop(port, latency_s=latency_ms / 1000) as laptop:
            click.echo(f"The Sheet with its menu is at {laptop.url}   (open it in a browser; Ctrl-C ends it)")
            click.echo(f"  TikTok {laptop.tiktok.url} · Google Sheets {laptop.google.url} · function {laptop.door}")
            sys.stdout.flush()
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        return 0

    _guarded("text", work)


@local.command("tiktok")
@click.option("--port", type=int, default=8080, show_default=True, help="0 picks a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same data.")
@click.option("--advertisers", type=int, default=3, show_default=True)
@click.option("--ads", type=int, default=60, show_default=True, help="Ads per advertiser.")
@click.option(
    "--start", callback=_day, metavar="DAY", default="2026-01-01", show_default=True, help="First day with results."
)
@click.option(
    "--now",
    "as_of",
    callback=_moment,
    metavar="MOMENT",
    help="The moment at which the data is seen; left out: the real one.",
)
@click.option("--qps", type=int, default=10, show_default=True, help="Requests per second before 40100; 0: no limit.")
@click.option("--per-minute", type=int, default=600, show_default=True, help="Requests per minute; 0: no limit.")
@click.option("--latency-ms", type=float, default=0.0, show_default=True)
@click.option("--fault-rate", type=float, default=0.0, show_default=True, help="Share of requests that fail, 0 to 1.")
@click.option("--cache", is_flag=True, help="Keep finished answers, for benchmarks.")
@click.option("--sandbox", is_flag=True, help="Answer as TikTok's sandbox does.")
def local_tiktok(
    port: int,
    seed: int,
    advertisers: int,
    ads: int,
    start: date,
    as_of: datetime | None,
    qps: int,
    per_minute: int,
    latency_ms: float,
    fault_rate: float,
    cache: bool,
    sandbox: bool,
) -> None:
    """Serve a made-up TikTok Marketing API on this machine."""
    from owox_tiktok.local.tiktok import run

    def ready(url: str) -> None:
        click.echo(f"TikTok stand-in at {url}   (Ctrl-C ends it)\n  export TIKTOK_API_URL={url}")
        click.echo(f"  export TIKTOK_ACCESS_TOKEN={'sandbox' if sandbox else 'local'}-token-not-a-secret")

    run(
        port,
        seed=seed,
        advertisers=advertisers,
        ads=ads,
        start=start,
        as_of=as_of,
        qps=qps or None,
        per_minute=per_minute or None,
        latency_ms=latency_ms,
        fault_rate=fault_rate,
        cache=cache,
        sandbox=sandbox,
        ready=ready,
    )


@local.command("sheets")
@click.option("--port", type=int, default=8081, show_default=True, help="0 picks a free one.")
def local_sheets(port: int) -> None:
    """Serve a made-up Google Sheets API on this machine, with a page to look at its spreadsheets."""
    from owox_tiktok.local.sheets import run

    def ready(url: str) -> None:
        click.echo(f"Google Sheets stand-in at {url}   (open it in a browser; Ctrl-C ends it)")

    run(port, ready=ready)


@local.command("tasks")
@click.option("--port", type=int, default=8082, show_default=True, help="0 picks a free one.")
def local_tasks(port: int) -> None:
    """Serve a made-up Cloud Tasks on this machine, and Google's sign-in beside it."""
    from owox_tiktok.local.http import run_until_stopped
    from owox_tiktok.local.identity import Issuer
    from owox_tiktok.local.tasks import Server

    with Issuer() as issuer:
        server = Server(issuer, port=port)
        queue = server.add(min_backoff_s=1.0, max_backoff_s=30.0)

        def ready(url: str) -> None:
            click.echo(f"Cloud Tasks stand-in at {url}, sign-in at {issuer.url}   (Ctrl-C ends them)")
            click.echo(f"  export CLOUD_TASKS_API_URL={url} OWOX_TASKS_QUEUE={queue.name}")
            click.echo(f"  export OWOX_CERTS_URL={issuer.certs_url}")

        run_until_stopped(server, ready)


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    # A pipe has no width; folding a table there would only break its words.
    return console if console.is_terminal else Console(highlight=False, width=160)


def _json(facts: dict[str, Any]) -> None:
    import msgspec

    click.echo(msgspec.json.encode(facts).decode())


def _facts(thing: Any) -> dict[str, Any]:
    import dataclasses

    return {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}


def main() -> None:
    """Run the command line."""
    cli(prog_name="owox-tiktok")
