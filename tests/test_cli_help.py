"""What the command line says of itself: help, completion, the reference, and what starting costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from owox_tiktok.cli.group import COMMANDS, cli
from owox_tiktok.streams import STREAMS
from tests.helpers import Project, process_environment


def commands(group: click.Group = cli, *before: str) -> Iterator[tuple[str, click.Command]]:
    """Every command by its whole name, those of groups included."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield " ".join((*before, name)), command


EVERY = dict(commands())


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_examples_that_it_understands(name: str) -> None:
    lines = [line.strip() for line in (EVERY[name].epilog or "").replace("\\\n", " ").splitlines()]
    examples = [line for line in lines if line.startswith("owox-tiktok ")]
    assert examples
    assert all(line.startswith(f"owox-tiktok {name}") for line in examples)
    for line in examples:
        words = line.partition("  ")[0].partition(" > ")[0].replace("SPREADSHEET_ID --", "SPREADSHEET_ID --").split()
        options = {word for word in words if word.startswith("--")}
        if name == "deploy":  # passes on what it does not know
            options &= {"--write"}
        assert options <= {o for p in EVERY[name].params for o in (*p.opts, *p.secondary_opts)}, line


def test_every_first_sentence_fits_into_the_list_of_commands() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "owox_tiktok", "--help"],
        capture_output=True, text=True, check=True, env=process_environment({"COLUMNS": "80"}),
    )  # fmt: skip
    for name in COMMANDS:
        assert any(line.split()[:1] == [name] and line.endswith(".") for line in ran.stdout.splitlines()), name
    assert [name for name, c in EVERY.items() if len(c.get_short_help_str(200)) > 60] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_itself_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert (command.help or "").partition("\n")[0] == COMMANDS[name].summary


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_calls_the_program(shell: str, project: Project) -> None:
    ran = project.cli("completion", shell, now=False)
    assert ran.returncode == 0
    assert "_OWOX_TIKTOK_COMPLETE" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("owox-tiktok sta", {"status"}),
     ("owox-tiktok objects ad_group_report_h", {n for n in STREAMS if n.startswith("ad_group_report_h")}),
     ("owox-tiktok import --object campaign_report_d", {n for n in STREAMS if n.startswith("campaign_report_d")})],
)  # fmt: skip
def test_tab_completes_commands_and_names_of_objects(typed: str, wanted: set[str], project: Project) -> None:
    count = len(typed.split()) - 1
    more = {"_OWOX_TIKTOK_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(count)}
    code = "from owox_tiktok.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        cwd=project.folder, env=process_environment(more),
    )  # fmt: skip
    assert wanted
    assert {line.partition(",")[2] for line in ran.stdout.splitlines()} == wanted, ran.stderr


@pytest.mark.parametrize("name", ["", *(name for name in COMMANDS if name != "deploy")])  # deploy.sh has its own help
def test_help_loads_nothing_heavy(name: str, project: Project) -> None:
    code = (
        "import sys\n"
        f"sys.argv = {['owox-tiktok', *name.split(), '--help']}\n"
        "from owox_tiktok.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project.folder,
        env=process_environment({}),
    )  # fmt: skip
    loaded = set(ran.stderr.split())
    heavy = {"duckdb", "rich", "requests", "msgspec", "yaml", "tenacity", "google.auth", "owox_tiktok.app",
             "owox_tiktok.streams", "owox_tiktok.settings"}  # fmt: skip
    assert loaded & heavy == set()
