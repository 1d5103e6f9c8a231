"""Check that the documents keep up with the code: links, settings, commands, objects, requirements."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from owox_tiktok.cli.group import COMMANDS
from owox_tiktok.config_file import FILE_SETTINGS
from owox_tiktok.streams import STREAMS, find, metrics

ROOT = Path(__file__).resolve().parent.parent
NOT_DEPLOYED = ("duckdb",)
"""Dependencies of the program that the deployed function does without: it has no disk to keep a database on."""
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets on the web."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return every anchor of a document."""
    return {anchor(h) for h in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)}


def links() -> list[str]:
    """Return every link to a file or heading that is not there."""
    wrong = []
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
            if target.startswith(("http:", "https:", "mailto:")):
                continue
            name, _, heading = target.partition("#")
            path = (document.parent / name).resolve() if name else document
            if not path.exists():
                wrong.append(f"{document.name}: there is no {target}")
            elif heading and path.suffix == ".md" and heading not in anchors(path):
                wrong.append(f"{document.name}: {path.name} has no heading #{heading}")
    return wrong


def settings() -> list[str]:
    """Return every setting that the guide does not explain."""
    guide = (ROOT / "docs" / "GETTING_STARTED.md").read_text(encoding="utf-8")
    return [f"GETTING_STARTED.md does not explain {s.name}" for s in FILE_SETTINGS if f"| `{s.name}`" not in guide]


def commands() -> list[str]:
    """Return every command in the documents that the program does not have."""
    wrong = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for word in re.findall(r"^(?:\.venv/bin/)?owox-tiktok ([a-z]+)", text, re.M):
            if word not in COMMANDS:
                wrong.append(f"{document.name}: there is no command {word}")
        for name in re.findall(r"--object ([a-z_]+)", text):
            if find(name) is None:
                wrong.append(f"{document.name}: there is no object {name}")
    return wrong


def counts() -> list[str]:
    """Return the sentence the README should have, if it has another one."""
    sentence = f"{len(STREAMS)} objects and {len(metrics())} report fields"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [] if sentence in text else [f"README.md should say: {sentence}"]


def rooms() -> list[str]:
    """Return every module that CONTRIBUTING.md does not describe, and its floors if they are not the checked ones."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    here = [p for p in (ROOT / "owox_tiktok").iterdir() if not p.name.startswith("_")]
    names = [p.stem if p.is_file() else f"{p.name}/" for p in here if p.is_dir() or p.suffix == ".py"]
    wrong = [f"CONTRIBUTING.md does not describe the module {n}" for n in names if f"| `{n}` |" not in text]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = "\n".join(floor for floor in contracts["contracts"][0]["layers"] if floor != "__main__")
    return wrong + ([] if f"```\n{floors}\n```" in text else ["CONTRIBUTING.md has other floors than pyproject.toml"])


def requirements() -> list[str]:
    """Return what requirements.txt has and the deployed function does not need, or the other way round."""
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
    return [f"requirements.txt and pyproject.toml differ in {line}" for line in sorted(needed ^ listed)]


def main() -> int:
    """Print what is out of step; return how many things are."""
    wrong = [*links(), *settings(), *commands(), *counts(), *rooms(), *requirements()]
    for line in wrong:
        print(line)
    return len(wrong)


if __name__ == "__main__":
    sys.exit(bool(main()))
