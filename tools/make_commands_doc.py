"""Write docs/commands.md from the commands' own help, or say with ``--check`` whether it is out of date.

python tools/make_commands_doc.py            write it
python tools/make_commands_doc.py --check    exit with 1 when it differs from what would be written
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from owox_tiktok.cli.group import cli

TARGET = Path(__file__).resolve().parent.parent / "docs" / "commands.md"

INTRO = """\
# Commands

<!-- Written by tools/make_commands_doc.py from the commands' own help. Do not edit: change owox_tiktok/cli/ and run
`make docs`. -->

Every command prints the same with `--help`. Where a command takes `CONFIG.yaml` and none is given, it uses
`tiktok.yaml` in the current folder.

## Exit codes

| code | what it means |
|---|---|
| 0 | done |
| 1 | failed: nothing was read, or the destination cannot be used. `verify`: some numbers are not TikTok's |
| 2 | bad input: a configuration, option or file to fix |
| 3 | partly done: some objects or accounts failed, and the next run reads them. `status`: something is behind; \
`verify`: explained, or not over yet; `explain`: nothing gives the number |
| 130, 143 | ended by Ctrl-C, by SIGTERM: after the current transaction; what is stored stays |
| 141 | the output was closed, as after `\\| head` |

A second Ctrl-C ends the program at once. That does no harm either: rows and their cursor are committed in one
transaction. Signals that are ignored when the program starts (`nohup`, a shell's `&`) stay ignored.

## Completion

`owox-tiktok completion bash` prints a script with which the Tab key completes commands, options and the names of
objects. Put `eval "$(owox-tiktok completion bash)"` into `~/.bashrc`, or the same with `zsh` into `~/.zshrc`.
"""


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command by its whole name, in the order of ``--help``; of groups their commands."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield " ".join((*before, name)), command


def paragraphs(text: str) -> str:
    """Return a text with its paragraphs on lines of their own width."""
    return "\n\n".join(" ".join(p.split()) for p in text.split("\n\n"))


def commented(example: str) -> str:
    """Return an example as a line for a shell, with the words beside it as a comment."""
    return re.sub(r"(?<=\S)( {2,})(?=\S)", r"\1# ", example)


def section(name: str, command: click.Command) -> str:
    """Return one command: what it does, how it is called, its options, its examples."""
    context = click.Context(command, info_name=f"owox-tiktok {name}")
    lines = [f"## {name}", "", paragraphs(command.help or ""), "", "```", command.get_usage(context)[7:], "```", ""]
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and record[1] and "--help" not in record[0]:
            option, words = (re.sub(r"\s+", " ", part).replace("|", "\\|") for part in record)
            rows.append(f"| `{option}` | {words} |")
    if rows:
        lines += ["| option | what it does |", "|---|---|", *rows, ""]
    for part in (command.epilog or "").replace("\b\n", "").split("\n\n"):
        if part.startswith("Examples:"):
            lines += ["```sh", *(commented(line[2:]) for line in part.splitlines()[1:]), "```", ""]
        elif part.strip():
            lines += [paragraphs(part), ""]
    return "\n".join(lines)


def render() -> str:
    """Return the whole document."""
    return "\n".join([INTRO, *(section(name, command) for name, command in commands(cli))]).rstrip("\n") + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the file, or with ``--check`` compare it; return the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: make_commands_doc.py [--check]", file=sys.stderr)
        return 2
    text = render()
    if not arguments:
        TARGET.write_text(text, encoding="utf-8")
        print(f"Wrote docs/{TARGET.name}, {len(text.splitlines()):,} lines.")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/{TARGET.name} is out of date. Run `make docs`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
