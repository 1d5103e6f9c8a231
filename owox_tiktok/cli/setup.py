"""Commands that write what a new user needs: init."""

from __future__ import annotations

from pathlib import Path

import click

from owox_tiktok.cli.common import end, examples


@click.command(
    epilog=examples(
        "init                                    write tiktok.yaml in this folder",
        "init clients/berlin.yaml",
    )
)
@click.argument("path", type=click.Path(path_type=Path), default="tiktok.yaml", metavar="[CONFIG.yaml]")
def init(path: Path) -> None:
    """Write a commented example configuration.

    Never over an existing file.
    """
    from owox_tiktok.config_file import example

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError:
        end(f"{path} is there already. Name another file: owox-tiktok init other.yaml")
    except OSError as error:
        end(f"{path} cannot be written ({error.strerror}). Name another file.")
    click.echo(f"Wrote {path}. Next:\n  export TIKTOK_ACCESS_TOKEN=…      (docs/CREDENTIALS.md says how to get one)")
    click.echo(f"  owox-tiktok check {path}")
