"""Commands that look and change nothing: check, objects."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import (
    common,
    console,
    facts,
    guarded,
    objects_option,
    one_source,
    read,
    say_json,
    source,
)

if TYPE_CHECKING:
    from owox_tiktok.terminal import Screen


@click.command()
@source
@objects_option
@common
def check(config: Path | None, sheet: str | None, names: tuple[str, ...], log: str, now: datetime | None) -> None:
    """Try the destination, the token, each advertiser and each object, and say what to do about each that fails."""
    from owox_tiktok import app
    from owox_tiktok.terminal import show_checks

    one_source(config, sheet)
    moment = now or datetime.now(UTC)

    def work(screen: Screen) -> int:
        settings = read(config, sheet, names, moment)
        checks = app.check(settings, now=moment)
        if log == "json":
            for c in checks:
                say_json({"event": "checked", **facts(c)})
        else:
            show_checks(console(), checks)
        bad = sum(not c.ok for c in checks)
        token_ok = any(c.ok and c.what == "access token" for c in checks)
        return 0 if not bad else 3 if token_ok else 1

    guarded(log, work)


@click.command()
@click.argument("name", required=False)
@click.option("--log", type=click.Choice(["text", "json"]), default="text", help="json: for machines.")
def objects(name: str | None, log: str) -> None:
    """List what can be imported, or the fields of one object with kinds and descriptions."""
    from owox_tiktok.errors import BadInput, Mistake
    from owox_tiktok.names import instead
    from owox_tiktok.streams import ALIASES, STREAMS, default_fields, find
    from owox_tiktok.terminal import show_object, show_objects

    def work(screen: Screen) -> int:
        if name is None:
            if log == "json":
                for s in STREAMS.values():
                    say_json({"object": s.name, "description": s.description, "table": s.table, "key": list(s.keys)})
            else:
                show_objects(console(), STREAMS.values())
            return 0
        stream = find(name)
        if stream is None:
            advice = instead("object", name, STREAMS) or "`owox-tiktok objects` lists what there is."
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
            aliases = [alias for alias, target in ALIASES.items() if target == stream.name]
            show_object(console(), stream, default_fields(stream), aliases)
        return 0

    guarded(log, work)
