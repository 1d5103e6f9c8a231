"""What the commands share: options, how they end, and how they show things."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from owox_tiktok.settings import Settings
    from owox_tiktok.terminal import Screen


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
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


def day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    """Read a day such as 2026-01-31."""
    try:
        return date.fromisoformat(value) if value is not None else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a day; write one such as 2026-01-31", ctx, param) from None


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--now", callback=moment, metavar="MOMENT", help="Take this as the present moment (2026-01-31T12:00Z)."
    )(command)
    return click.option(
        "--log",
        type=click.Choice(["text", "json"]),
        default="text",
        help="json: one object per line on standard output, for machines.",
    )(command)


def source(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the settings from a file or from a Sheet."""
    command = click.option(
        "--sheet", metavar="ID", help="Take the settings from this Google Sheet (id or address), not from a file."
    )(command)
    return click.argument("config", type=click.Path(path_type=Path), metavar="[CONFIG.yaml]", required=False)(command)


objects_option = click.option(
    "--object", "names", multiple=True, metavar="NAME", help="Only this object; may be repeated."
)


def screen_for(log: str) -> Screen:
    from owox_tiktok.terminal import JsonLog, Terminal

    return JsonLog() if log == "json" else Terminal()


def guarded(log: str, work: Callable[[Screen], int]) -> None:
    """Run ``work`` with a screen; every Problem becomes its sentence and an exit code, never a traceback."""
    from owox_tiktok.errors import BadInput, Problem

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Rows come as many short-lived tuples without cycles; looking for cycles among them took a fifth of an import.
    gc.set_threshold(100_000, 50, 50)
    with screen_for(log) as screen:
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


def one_source(config: Path | None, sheet: str | None) -> None:
    if (config is None) == (sheet is None):
        raise click.UsageError("Name either a file, such as tiktok.yaml, or a Sheet: --sheet SPREADSHEET_ID.")


def read(config: Path | None, sheet: str | None, names: tuple[str, ...], now: datetime) -> Settings:
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


def end(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(2)


def console() -> Any:
    from rich.console import Console

    console = Console(highlight=False)
    # A pipe has no width; folding a table there would only break its words.
    return console if console.is_terminal else Console(highlight=False, width=160)


def say_json(facts: dict[str, Any]) -> None:
    import msgspec

    click.echo(msgspec.json.encode(facts).decode())


def facts(thing: Any) -> dict[str, Any]:
    import dataclasses

    return {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}
