"""The table of commands. Each is imported from its module when it runs, so that listing them costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem


class Listed(NamedTuple):
    """Where a command is, ``module:name`` in this package, and the sentence that lists it: the first of its help."""

    place: str
    summary: str


COMMANDS: Mapping[str, Listed] = {
    "import": Listed("runs:import_", "Import, and continue where the last run ended."),
    "plan": Listed("runs:plan", "Show what an import would read, and how long it takes."),
    "check": Listed("looks:check", "Test the token, the accounts and every object."),
    "status": Listed("looks:status", "Show how fresh the stored data is."),
    "verify": Listed("proofs:verify", "Compare the stored numbers with TikTok's totals."),
    "explain": Listed("proofs:explain", "Find out what a number in TikTok Ads Manager is."),
    "history": Listed("proofs:history", "Show what TikTok said of a day, and when."),
    "prune": Listed("runs:prune", "Delete report rows older than the days you keep."),
    "reset": Listed("runs:reset", "Make the next import read all of an object again."),
    "forget": Listed("runs:forget", "Delete all that is stored of an ad account."),
    "export": Listed("export:export", "Write an object's rows to a CSV, Excel or Parquet file."),
    "views": Listed("runs:views", "Create or refresh the views to report on."),
    "objects": Listed("looks:objects", "List the objects, or the fields of one."),
    "init": Listed("setup:init", "Write a configuration, or translate another loader's."),
    "sheet": Listed("sheet:sheet", "Set up a Google spreadsheet that controls imports."),
    "auth": Listed("auth:auth", "Get an access token, or revoke one."),
    "schedule": Listed("schedule:schedule", "Start imports on a schedule."),
    "deploy": Listed("deploy:deploy", "Deploy the service to Google Cloud."),
    "registry": Listed("registry:registry", "Check and edit the registry of a service with many Sheets."),
    "fleet": Listed("fleet:fleet", "Look at all Sheets of a deployed service."),
    "completion": Listed("completion:completion", "Print the completion script for your shell."),
    "demo": Listed("local:demo", "Import twice from a simulated TikTok, into DuckDB."),
    "local": Listed("local:local", "Run emulators on this machine, for trying and testing."),
}
"""The commands in the order in which people meet them. A new command is a new line."""

EXAMPLES = """\b
Examples:
  owox-tiktok init                          write an example tiktok.yaml
  owox-tiktok check                         test token, accounts and permissions
  owox-tiktok plan                          what would be read, and how long it takes
  owox-tiktok import                        import, and continue where the last run ended
  owox-tiktok import --from 2026-01-01 --to 2026-01-31 --object ad_report_daily
  owox-tiktok status                        how fresh what is stored is
  owox-tiktok verify                        whether what is stored equals TikTok's totals
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
    """A group whose commands are imported when they run, and listed without that."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].place.partition(":")
        command: click.Command = getattr(import_module(f"owox_tiktok.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.summary) for name, listed in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, for the shell's completion, and then the options."""
        found = [CompletionItem(n, help=c.summary) for n, c in COMMANDS.items() if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=Lazy,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="owox-tiktok")
def cli() -> None:
    """TikTok Ads into your own tables: exact, incremental, at TikTok's speed."""
