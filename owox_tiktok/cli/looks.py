"""Commands that look and change nothing: check, status, objects."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import Asked, asked, common, console, facts, guarded, object_names, say_json, stopped_by
from owox_tiktok.cli.interruption import How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import examples, log_option, quiet_option
from owox_tiktok.errors import BadInput, Mistake

if TYPE_CHECKING:
    from owox_tiktok import app, names, streams, terminal
    from owox_tiktok.terminal import Screen
else:
    app = lazily("owox_tiktok.app")
    names = lazily("owox_tiktok.names")
    streams = lazily("owox_tiktok.streams")
    terminal = lazily("owox_tiktok.terminal")


@click.command(
    epilog=examples(
        "check",
        "check --advertiser 7012345678901234567",
        "check --log json                        one line per account and object",
    )
)
@asked()
@quiet_option
@common
def check(given: Asked, quiet: bool, log: str) -> None:
    """Test the token, the accounts and every object.

    The destination and the messages about runs are tested as well. Says what to do about each thing that does not work.
    Nothing is written; with --sheet, Google Sheets itself is tried in a hidden tab that is removed again.
    """

    def work(screen: Screen) -> int:
        checks = app.check(given.settings(), now=given.now, halted=stopped_by(screen), sheet=given.sheet)
        if log == "json":
            for c in checks:
                if not (quiet and c.ok):
                    who = {"advertiser": c.advertiser.id, "advertiser_name": c.advertiser.name} if c.advertiser else {}
                    said = {"what": c.what, "ok": c.ok, "detail": c.detail, "object": c.object, **who}
                    say_json({"event": "checked", **said, "request_id": c.request_id})
        else:
            terminal.show_checks(console(), checks, quiet=quiet)
        bad = sum(not c.ok for c in checks)
        token_ok = any(c.ok and c.what == "access token" for c in checks)
        return 0 if not bad else 3 if token_ok else 1

    guarded(
        work,
        how=How.AFTER_THIS,
        log=log,
        quiet=quiet,
        interrupted="interrupted before everything was tried. Nothing was written.",
    )


def _age(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """Read an age such as 26h, 90m or 2d."""
    found = re.fullmatch(r"(\d+)\s*([mhd])", value.strip().lower())
    if not found:
        raise click.BadParameter(f"{value!r} is not an age; write one such as 26h, 90m or 2d", ctx, param)
    return int(found[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[found[2]]


@click.command(
    epilog=examples(
        "status",
        "status --max-age 3h --quiet             for a monitor: silent unless something is behind",
        "status --json                           one line per object and ad account",
    )
    + "\n\n\b\nExit codes: 0 everything is fresh, 1 the destination cannot be read (an import may hold it),\n"
    "2 bad input, 3 something is behind, failed or was never read."
)
@asked()
@click.option(
    "--max-age", callback=_age, default="26h", show_default=True, help="Anything read longer ago counts as behind."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --log json.")
@quiet_option
@common
def status(given: Asked, max_age: timedelta, as_json: bool, quiet: bool, log: str) -> None:
    """Show how fresh the stored data is.

    Of every object and ad account: the last complete day, the age, the rows, and why the last import could not read
    it. Reads the destination only; TikTok is not asked.
    """
    log = "json" if as_json else log

    def work(screen: Screen) -> int:
        found = app.status(given.settings(), now=given.now, max_age=max_age)
        shown = [s for s in found if not (quiet and s.ok)]
        if log == "json":
            for s in shown:
                say_json({"event": "status", "ok": s.ok, **facts(s)})
        else:
            terminal.show_status(console(), shown, quiet=quiet)
        return 0 if all(s.ok for s in found) else 3

    guarded(work, log=log, quiet=quiet, interrupted="interrupted.")


@click.command(
    epilog=examples(
        "objects",
        "objects ad_report_daily                 its fields, with kinds and descriptions",
    )
)
@click.argument("name", required=False, shell_complete=object_names)
@log_option
def objects(name: str | None, log: str) -> None:
    """List the objects, or the fields of one.

    Each field with its kind, unit and description, and whether it is imported when no fields are chosen.
    """

    def work(screen: Screen) -> int:
        if name is None:
            if log == "json":
                for s in streams.STREAMS.values():
                    say_json({"object": s.name, "description": s.description, "table": s.table, "key": list(s.keys)})
            else:
                terminal.show_objects(console(), streams.STREAMS.values())
            return 0
        stream = streams.find(name)
        if stream is None:
            advice = names.instead("object", name, streams.STREAMS) or "`owox-tiktok objects` lists them."
            raise BadInput([Mistake(name, "is not an object", advice)])
        if log == "json":
            for f in stream.fields.values():
                say_json(
                    {
                        "field": f.name,
                        "kind": f.kind,
                        "unit": f.unit,
                        "additive": f.additive,
                        "description": f.description,
                    }
                )
        else:
            aliases = [alias for alias, target in streams.ALIASES.items() if target == stream.name]
            terminal.show_object(console(), stream, streams.default_fields(stream), aliases)
        return 0

    guarded(work, log=log, interrupted="interrupted.")
