"""What the commands share: options, how they end, and how they show things."""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from owox_tiktok.cli.interruption import INTERRUPTION, How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import log_option, moment
from owox_tiktok.errors import BadInput, Halted, Problem
from owox_tiktok.states import Reason

if TYPE_CHECKING:
    import msgspec
    from rich.console import Console

    from owox_tiktok import app, config_file, streams, terminal
    from owox_tiktok.settings import Settings
    from owox_tiktok.terminal import Screen
else:
    msgspec = lazily("msgspec")
    app = lazily("owox_tiktok.app")
    config_file = lazily("owox_tiktok.config_file")
    streams = lazily("owox_tiktok.streams")
    terminal = lazily("owox_tiktok.terminal")

DEFAULT_CONFIG = Path("tiktok.yaml")
"""The configuration where none is named."""
EXTRAS = {
    "google.cloud": "bigquery",
    "google": "sheets",
    "gspread": "sheets",
    "cryptography": "local",
    "functions_framework": "local",
    "cachecontrol": "local",
}
"""Which extra brings a package that may be missing, by what is imported of it."""
OUTPUT_CLOSED = 141
"""The exit code when nobody reads the output any more, as shells say it."""


# --- options ----------------------------------------------------------------------------------------------------------


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the options of every command that works with a configuration."""
    command = click.option(
        "--now", callback=moment, metavar="MOMENT", help="Use this as the current moment (2026-01-31T12:00Z)."
    )(command)
    return log_option(command)


def object_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the objects that begin so, for the shell's completion."""
    return [name for name in streams.STREAMS if name.startswith(incomplete)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command is to work with: a file or a Sheet, all of it or some objects and ad accounts, and when."""

    config: Path
    sheet: str
    """The id or address of the Sheet, "" for the file."""
    names: tuple[str, ...]
    advertisers: tuple[str, ...]
    now: datetime

    def settings(self) -> Settings:
        """Read them; raises BadInput with every mistake."""
        if not self.sheet:
            return app.only(config_file.read_file(self.config, now=self.now), self.names, self.advertisers)
        with app.open_sheet(self.sheet) as control:
            reading = control.read(self.now)
        for warning in reading.warnings:
            click.echo(f"warning: {warning}", err=True)
        return app.only(reading.settings, self.names, self.advertisers)


def asked(*, parts: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Hand a command an ``Asked`` as its first argument; with ``parts`` it may be some objects and accounts."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def collected(
            config: Path | None,
            sheet: str,
            now: datetime | None,
            names: tuple[str, ...] = (),
            advertisers: tuple[str, ...] = (),
            **rest: Any,
        ) -> Any:
            if config is not None and sheet:
                raise click.UsageError("Name either a file, such as tiktok.yaml, or a Sheet: --sheet SPREADSHEET_ID.")
            given = Asked(config or DEFAULT_CONFIG, sheet, names, advertisers, now or datetime.now(UTC))
            return command(given, **rest)

        options = [
            click.argument("config", type=click.Path(path_type=Path), metavar="[CONFIG.yaml]", required=False),
            click.option("--sheet", default="", metavar="ID", help="Take the settings from this Google Sheet."),
        ]
        if parts:
            options += [
                click.option(
                    "--object",
                    "names",
                    multiple=True,
                    metavar="NAME",
                    shell_complete=object_names,
                    help="Only this object; may be repeated.",
                ),
                click.option(
                    "--advertiser",
                    "advertisers",
                    multiple=True,
                    metavar="ID",
                    help="Only this ad account; may be repeated.",
                ),
            ]
        for option in reversed(options):
            collected = option(collected)
        return collected

    return decorate


# --- how a command ends -----------------------------------------------------------------------------------------------


def guarded(
    work: Callable[[Screen], int],
    *,
    interrupted: str,
    how: How = How.AT_ONCE,
    log: str = "text",
    quiet: bool = False,
) -> NoReturn:
    """Run ``work`` with a screen and exit; every Problem becomes its sentence and an exit code, never a traceback.

    ``interrupted`` is what the command says when a signal ended it before it could say more; ``how`` is the way in
    which it takes one.
    """
    INTERRUPTION.words = interrupted
    # Rows come as many short-lived tuples without cycles; looking for cycles among them took a fifth of an import.
    gc.set_threshold(100_000, 50, 50)
    with _screen(log, quiet) as screen:
        try:
            try:
                INTERRUPTION.how = how
                code = work(screen)
            finally:
                INTERRUPTION.how = How.AFTER_THIS  # the outcome stands; all that is left is to say it
        except (KeyboardInterrupt, click.Abort, Halted):
            code = _ended(screen, Problem(interrupted), INTERRUPTION.exit_code)
        except BadInput as problem:
            code = _ended(screen, problem, 2)
        except Problem as problem:
            code = _ended(screen, problem, 1)
        except BrokenPipeError:
            code = OUTPUT_CLOSED
        except ModuleNotFoundError as error:
            extra = next((extra for name, extra in EXTRAS.items() if f"{error.name}.".startswith(f"{name}.")), "")
            if not extra:
                raise
            what = f"this needs the package {error.name}, which is not installed"
            code = _ended(screen, Problem(what, what_to_do=f"pip install 'owox-tiktok[{extra}]'"), 2)
        except Exception as error:
            if os.environ.get("OWOX_TIKTOK_TRACE"):
                raise
            if how is How.BY_EXCEPTION and INTERRUPTION.number:  # a library has made its own of the exception
                code = _ended(screen, Problem(interrupted), INTERRUPTION.exit_code)
            else:
                what = f"an unexpected {type(error).__name__}, a bug in this program"
                advice = "Run it again with OWOX_TIKTOK_TRACE=1 and report what it prints."
                code = _ended(screen, Problem(what, what_to_do=advice), 1)
        INTERRUPTION.over()
        if screen.closed:
            code = OUTPUT_CLOSED
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = OUTPUT_CLOSED
    if INTERRUPTION.number or code == OUTPUT_CLOSED:
        # Threads may still wait for TikTok, and a closed pipe would be complained of once more.
        os._exit(code)
    sys.exit(code)


def _ended(screen: Screen, problem: Problem, code: int) -> int:
    with suppress(OSError):
        screen.problem(problem)
    return code


def _screen(log: str, quiet: bool) -> Screen:
    return terminal.JsonLog(quiet=quiet) if log == "json" else terminal.Terminal(quiet=quiet)


def stopped_by(screen: Screen) -> Callable[[], Reason | None]:
    """Return what ``app`` asks between two transactions: whether a signal came, or the reader of the output left."""
    return lambda: INTERRUPTION.asked() or (Reason.OUTPUT_CLOSED if screen.closed else None)


def end(sentence: str) -> NoReturn:
    """Say why the input cannot be used, and exit with 2."""
    click.echo(sentence, err=True)
    sys.exit(2)


# --- how things are shown ---------------------------------------------------------------------------------------------


def console(*, stderr: bool = False) -> Console:
    """Return where results are printed, as tables."""
    found = terminal.Output(highlight=False, stderr=stderr)
    # A pipe has no width; folding a table there would only break its words.
    return found if found.is_terminal else terminal.Output(highlight=False, stderr=stderr, width=160)


def say_json(facts: dict[str, Any]) -> None:
    """Print one JSON object as a line."""
    click.echo(msgspec.json.encode(facts).decode())


def facts(thing: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name."""
    return {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}
