"""Check that the documents keep up with the code: links, commands, messages, destinations, words, rooms and so on."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click

from owox_tiktok.cli.group import cli
from owox_tiktok.config_file import FILE_SETTINGS
from owox_tiktok.destinations import SCHEMES
from owox_tiktok.streams import find

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), *(ROOT / "templates").glob("**/*.md"),
     *(ROOT / "owox_tiktok").glob("**/*.md")]
)  # fmt: skip
SOURCES = sorted([*(ROOT / "owox_tiktok").glob("**/*.py"), *(ROOT / "owox_tiktok").glob("**/*.csv")])

NOT_DEPLOYED = ("duckdb",)
"""Dependencies of the program that the deployed function does without: it has no disk to keep a database on."""
NOT_OUR_WORDS = {
    r"\banew\b": "again, refresh, recreate",
    r"\bmade[- ]up\b": "simulated",
    r"\bstand-?ins?\b": "emulator, simulated",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bto be had\b": "available",
    r"\bdivided by\b (commas|days?)": "separated by commas, partitioned by day",
    r"\bfor their number\b": "rate-limited",
    r"\bby itself\b|\bby themselves\b": "automatically",
    r"\bon time\b": "on a schedule",
    r"\bleft out\b|\bleave (it|them) out\b|\bleaves? out\b": "omitted, omit",
    r"\bgoes on\b|\bgo on\b": "continues",
    r"\bis told\b|\bbe told\b": "is reported",
}
"""What a native speaker would not write, or what the field has another word for, and the word to write."""


# --- links ------------------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets on the web."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return every anchor of a document."""
    text = path.read_text(encoding="utf-8")
    return {anchor(h) for h in re.findall(r"^#+ (.+)$", text, re.M)} | set(re.findall(r'<a id="([^"]+)">', text))


def shown(document: Path) -> str:
    """Return a document's path as a person would name it."""
    return str(document.relative_to(ROOT))


def prose(document: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.S | re.M)


def links() -> Iterator[str]:
    """Yield every link to a file or heading that is not there."""
    for document in DOCUMENTS:
        text = prose(document)
        for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
            if target.startswith(("http:", "https:", "mailto:")):
                continue
            name, _, heading = target.partition("#")
            path = (document.parent / name).resolve() if name else document
            if not path.exists():
                yield f"{shown(document)}: there is no {target}"
            elif heading and path.suffix == ".md" and heading not in anchors(path):
                yield f"{shown(document)}: {path.name} has no heading #{heading}"


def mentioned() -> Iterator[str]:
    """Yield every document that the program's messages name and that is not there."""
    for source in SOURCES:
        for name in re.findall(r"docs/[\w/]+\.md", source.read_text(encoding="utf-8")):
            if not (ROOT / name).exists():
                yield f"{shown(source)} names {name}, which is not there"


def reachable() -> Iterator[str]:
    """Yield every document that no other document links to."""
    linked = {
        (document.parent / target.partition("#")[0]).resolve()
        for document in DOCUMENTS
        for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
        if not target.startswith(("http", "#"))
    }
    yield from (f"nothing links to {shown(d)}" for d in DOCUMENTS if d not in linked and d.name != "README.md")


# --- commands ---------------------------------------------------------------------------------------------------------


def command_lines(document: Path) -> Iterator[list[str]]:
    """Yield the words of every command of ours that a document shows in a block."""
    for block in re.findall(r"^ *```(?:sh)?\n(.*?)^ *```", document.read_text(encoding="utf-8"), re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:^|&& |/)(owox-tiktok|cloud_function/deploy\.sh) (.*)", line)
            if found and "[OPTIONS]" not in line:
                words = shlex.split(re.split(r" (?:>>?|\|\|?|&&|2>&1)", found[2])[0], comments=True)
                yield [found[1], *words]


def wrong_with(words: list[str]) -> str:
    """Return what is wrong with a command line of ours; nothing where it could be run."""
    command: click.Command = cli
    name = "owox-tiktok"
    context = click.Context(cli, info_name=name)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            return f"there is no command {name}"
        command, context = found, click.Context(found, info_name=name, parent=context)
    try:
        command.make_context(name, list(words))
    except click.exceptions.Exit:
        return ""
    except click.MissingParameter as error:
        return "" if error.param is not None and error.param.envvar else error.format_message()
    except click.BadParameter as error:
        return "" if error.param is not None and isinstance(error.param.type, click.Path) else error.format_message()
    except click.UsageError as error:
        return error.format_message()
    return ""


def commands() -> Iterator[str]:
    """Yield every command in the documents that the program would refuse."""
    deploy = (ROOT / "cloud_function" / "deploy.sh").read_text(encoding="utf-8")
    here = Path.cwd()
    os.chdir(ROOT)
    for document in DOCUMENTS:
        for name, *words in command_lines(document):
            if name.endswith(".sh"):
                unknown = [w for w in words if w.startswith("--") and f"{w.partition('=')[0]} " not in deploy]
                yield from (f"{shown(document)}: deploy.sh has no {word}" for word in unknown)
            elif wrong := wrong_with(words):
                yield f"{shown(document)}: owox-tiktok {shlex.join(words)}: {wrong}"
        for name in re.findall(r"--object ([a-z_]+)", document.read_text(encoding="utf-8")):
            if find(name) is None:
                yield f"{shown(document)}: there is no object {name}"
    os.chdir(here)


# --- what the program says --------------------------------------------------------------------------------------------


def messages() -> Iterator[str]:
    """Yield every message in docs/messages.md that the program does not say (any more)."""
    code = "\n".join(source.read_text(encoding="utf-8") for source in SOURCES)
    code = re.sub(r'"\s*\n\s*f?"', "", code)
    plural = re.sub(r"\{'(\w*)' if [^{}]*? else '\w*'\}", r"\1", code)
    said = re.sub(r"\{[^{}]*\}", "…", plural)
    for line in (ROOT / "docs" / "messages.md").read_text(encoding="utf-8").splitlines():
        for message in re.findall(r"`([^`]+)`", line.split(" | ")[0]) if line.startswith("| `") else []:
            for part in re.split(r"…|\d+|\(\d+\)", message):
                if len(part.strip()) > 3 and part.strip(" ().") not in said:
                    yield f"docs/messages.md: the program does not say {part.strip()!r} ({message})"


def settings() -> Iterator[str]:
    """Yield every setting that no sentence explains beside the table."""
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    words = re.sub(r"<!-- begin: settings -->.*?<!-- end: settings -->", "", text, flags=re.S)
    explained = {"destination": "## Destinations", "views": "`views: true`"}
    for setting in FILE_SETTINGS:
        if explained.get(setting.name, f"`{setting.name}`") not in words:
            yield f"docs/settings.md does not explain {setting.name}"


def destinations() -> Iterator[str]:
    """Yield what a destination lacks: an extra in pyproject.toml, a page, tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pages = [d.read_text(encoding="utf-8") for d in DOCUMENTS if d.parent == ROOT / "docs"]
    tests = [t.read_text(encoding="utf-8") for t in (ROOT / "tests").glob("test_*.py")]
    for scheme in SCHEMES:
        if scheme not in project["optional-dependencies"]:
            yield f"pyproject.toml has no extra for {scheme}://"
        if not any(f"destination: {scheme}://" in page for page in pages):
            yield f"no page in docs/ shows destination: {scheme}://"
        if not any(f"{scheme}://" in test for test in tests):
            yield f"no test opens {scheme}://"


def words() -> Iterator[str]:
    """Yield every word in the documents for which the field has another one."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        if "<!-- Written by tools/" in text:  # in the code's words
            continue
        for quoted in (r"<!-- begin: .*?<!-- end: ", r"^ *```.*?^ *```", r"`[^`\n]+`"):
            text = re.sub(quoted, lambda found: "\n" * found[0].count("\n"), text, flags=re.S | re.M)
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, instead in NOT_OUR_WORDS.items():
                for found in re.finditer(pattern, line, re.I):
                    yield f"{shown(document)}:{number} says {found[0]!r}; write {instead}"


# --- the project ------------------------------------------------------------------------------------------------------


def rooms() -> Iterator[str]:
    """Yield every module that CONTRIBUTING.md does not describe, and its floors if they are not the checked ones."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    here = [p for p in (ROOT / "owox_tiktok").iterdir() if not p.name.startswith("_")]
    names = [p.stem if p.is_file() else f"{p.name}/" for p in here if p.is_dir() or p.suffix == ".py"]
    yield from (f"CONTRIBUTING.md does not describe the module {n}" for n in names if f"| `{n}` |" not in text)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = "\n".join(floor for floor in contracts["contracts"][0]["layers"] if floor != "__main__")
    if f"```\n{floors}\n```" not in text:
        yield "CONTRIBUTING.md has other floors than pyproject.toml"


def requirements() -> Iterator[str]:
    """Yield what requirements.txt has and the deployed function does not need, or the other way round."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everywhere = {line for line in project["dependencies"] if not line.startswith(NOT_DEPLOYED)}
    extras, needed, wanted = project["optional-dependencies"], everywhere, ["service"]
    for extra in wanted:
        for line in extras[extra]:
            own = re.fullmatch(rf"{project['name']}\[([\w, -]+)\]", line)
            wanted += [name.strip() for name in own[1].split(",")] if own else []
            needed |= set() if own else {line}
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    listed = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    yield from (f"requirements.txt and pyproject.toml differ in {line}" for line in sorted(needed ^ listed))


CHECKS = (links, mentioned, reachable, commands, messages, settings, destinations, words, rooms, requirements)


def main() -> int:
    """Print what is out of step; return how many things are."""
    wrong = [line for check in CHECKS for line in check()]
    for line in wrong:
        print(line)
    return len(wrong)


if __name__ == "__main__":
    sys.exit(bool(main()))
