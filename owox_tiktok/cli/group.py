"""The table of commands. Each is imported from its module when it is asked for, so that ``--help`` costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

COMMANDS: Mapping[str, str] = {
    "import": "runs:import_",
    "plan": "runs:plan",
    "check": "looks:check",
    "status": "looks:status",
    "prune": "runs:prune",
    "reset": "runs:reset",
    "views": "runs:views",
    "objects": "looks:objects",
    "init": "setup:init",
    "sheet": "sheet:sheet",
    "auth": "auth:auth",
    "schedule": "schedule:schedule",
    "deploy": "deploy:deploy",
    "completion": "completion:completion",
    "demo": "local:demo",
    "local": "local:local",
}
"""Where each command is, by its name: ``module:name`` in this package. A new command is a new line."""

EXAMPLES = """\b
Examples:
  owox-tiktok init                          write an example tiktok.yaml
  owox-tiktok check                         try token, accounts and permissions
  owox-tiktok plan                          what would be read, and how long it takes
  owox-tiktok import                        import, and go on where the last run ended
  owox-tiktok import --from 2026-01-01 --to 2026-01-31 --object ad_report_daily
  owox-tiktok status                        how fresh what is stored is
  owox-tiktok sheet init SPREADSHEET_ID     build the template in a blank spreadsheet
  owox-tiktok import --sheet SPREADSHEET_ID as the tabs Config and Fields of that Sheet say
  owox-tiktok demo                          try it all without a TikTok account

\b
Every command takes its settings from tiktok.yaml in this folder, unless another file is named.
`owox-tiktok COMMAND --help` has examples of each command.

\b
Exit codes: 0 done, 1 failed, 2 bad input, 3 partly done; 130 Ctrl-C, 143 SIGTERM.
"""


class Lazy(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"owox_tiktok.cli.{module}"), name)
        return command


@click.group(
    cls=Lazy,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="owox-tiktok")
def cli() -> None:
    """TikTok Ads into your own tables: exact, incremental, at TikTok's speed."""
