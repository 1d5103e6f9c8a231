"""Words on a terminal: ``owox-tiktok``. Parses, calls ``app``, shows, and ends with an exit code.

0 done, 1 failed, 2 bad input, 3 partly done, 128 and its number after a signal. One module per family of commands;
``group`` lists them, and imports a module when one of its commands runs.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from owox_tiktok.cli.interruption import INTERRUPTION

    INTERRUPTION.install()  # before the rest is imported, which takes a moment in which Ctrl-C may be pressed
    from owox_tiktok.cli.group import cli

    cli(prog_name="owox-tiktok")
