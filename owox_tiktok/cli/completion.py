"""The command that prints what a shell needs to complete commands, options and names of objects."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO

import click
from click.shell_completion import get_completion_class

from owox_tiktok.cli.group import cli
from owox_tiktok.cli.options import examples


@click.command(
    epilog=examples(
        'completion bash                         put eval "$(owox-tiktok completion bash)" into ~/.bashrc',
        'completion zsh                          put eval "$(owox-tiktok completion zsh)" into ~/.zshrc',
        "completion fish > ~/.config/fish/completions/owox-tiktok.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for your shell.

    With it the Tab key completes commands, options and the names of objects.
    """
    found = get_completion_class(shell)
    assert found is not None
    with redirect_stderr(StringIO()):  # click looks for the shell's version, which may not be installed here
        script = found(cli, {}, "owox-tiktok", "_OWOX_TIKTOK_COMPLETE").source()
    click.echo(script)
