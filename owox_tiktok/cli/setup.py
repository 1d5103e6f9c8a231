"""Commands that write what a new user needs: init."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import end
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import examples
from owox_tiktok.errors import BadInput

if TYPE_CHECKING:
    from owox_tiktok import config_file, translate
else:
    config_file = lazily("owox_tiktok.config_file")
    translate = lazily("owox_tiktok.translate")


@click.command(
    epilog=examples(
        "init                                    write tiktok.yaml in this folder",
        "init clients/berlin.yaml",
        "init --from airbyte.json                from Airbyte, OWOX, dlt or Dagster",
    )
)
@click.argument("path", type=click.Path(path_type=Path), default="tiktok.yaml", metavar="[CONFIG.yaml]")
@click.option(
    "--from",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Translate another loader's configuration: Airbyte, OWOX, dlt, Dagster. May be repeated, for a catalogue.",
)
def init(path: Path, sources: tuple[Path, ...]) -> None:
    """Write a configuration, or translate another loader's.

    Never over an existing file. Secrets of another loader's are not copied: the file names environment variables. What
    has no equivalent is listed in its comments.
    """
    text, said = _translated(sources) if sources else (config_file.example(), "")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        end(f"{path} already exists. Choose another file: owox-tiktok init other.yaml")
    except OSError as error:
        end(f"{path} cannot be written ({error.strerror}). Choose another file.")
    click.echo(f"Wrote {path}{said}. Next:")
    click.echo("  export TIKTOK_ACCESS_TOKEN=…      (docs/CREDENTIALS.md says how to get one)")
    click.echo(f"  owox-tiktok check {path}")


def _translated(sources: tuple[Path, ...]) -> tuple[str, str]:
    """Return the text of a configuration that means what ``sources`` mean, and what to say about it."""
    try:
        result = translate.translate(
            [(source.name, config_file.read_text(source)) for source in sources], now=datetime.now(UTC)
        )
    except BadInput as error:
        end(error.sentence)
    count, left = len(result.objects), len(result.left_out)
    said = f" with {count} object{'' if count == 1 else 's'}"
    return result.text, said + (f"; its comments name what has no equivalent ({left})" if left else "")
