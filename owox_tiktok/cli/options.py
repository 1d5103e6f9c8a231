"""Options and examples that several commands share, and that need nothing of the rest of the program."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import click


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Read a moment such as 2026-01-31T12:00Z; without a zone it is UTC."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if not 1970 <= moment.year < 3000:  # near the ends of the calendar a day more does not exist
            raise ValueError
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


def log_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take ``--log text`` or ``--log json``."""
    return click.option(
        "--log",
        type=click.Choice(["text", "json"]),
        default="text",
        help="json: one object per line on standard output, for machines.",
    )(command)


quiet_option = click.option("--quiet", "-q", is_flag=True, help="Report only what went wrong.")


def examples(*lines: str) -> str:
    """Return the end of a command's help: examples, each as it is typed."""
    return "\b\nExamples:\n" + "\n".join(f"  owox-tiktok {line}" for line in lines)
