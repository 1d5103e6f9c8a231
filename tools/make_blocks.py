"""Write what the documents take from the program between their markers, or say with ``--check`` where it is old.

    python tools/make_blocks.py            write it
    python tools/make_blocks.py --check    exit with 1 when a document differs from what would be written

A marker is ``<!-- begin: NAME -->`` … ``<!-- end: NAME -->``; NAME is one of ``BLOCKS``.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from owox_tiktok.config_file import FILE_SETTINGS
from owox_tiktok.destinations import SCHEMES
from owox_tiktok.settings import SETTINGS
from owox_tiktok.sheets import template
from owox_tiktok.states import ABOUT, State, diagram
from owox_tiktok.streams import STREAMS, metrics

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), *(ROOT / "templates").glob("**/*.md")])
GUIDES = tuple(ROOT / "docs" / f"{name}.md" for name in ("sheets", "bigquery", "postgresql", "parquet", "laptop"))
"""The pages that explain destinations."""

_MARKED = re.compile(r"(<!-- begin: (?P<name>[a-z ]+) -->\n?)(?P<text>.*?)(<!-- end: (?P=name) -->)", re.S)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Return a text as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """Return a text with a full stop; nothing for nothing."""
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def settings() -> str:
    """Return every setting of a file, with its name in a Sheet."""
    return table(
        ("setting", "what it says", "default", "example", "in a Sheet"),
        (
            (
                code(s.name),
                sentence(s.description),
                "required" if s.required else code("" if s.default == "()" else s.default.removesuffix(".0")),
                code(s.example),
                f"*{s.label}*" if s.label else "",
            )
            for s in FILE_SETTINGS
        ),
    )


def sheet_parameters() -> str:
    """Return every parameter of the tab Config, as the template explains it."""
    only = {s.label for s in SETTINGS if s.only_bigquery}
    rows = []
    for label, line in template.config_lines("bigquery").items():
        if label in template.OUTPUTS:
            continue
        words = str(line[2].value)
        rows.append(
            (code(str(line[0].value)), f"{words} Only in the template for BigQuery." if label in only else words)
        )
    return table(("parameter", "what it means"), rows)


def guide(scheme: str) -> tuple[Path, str] | None:
    """Return the page that explains a destination, and an address of it that the page shows; None if there is none."""
    for page in GUIDES:
        if page.is_file() and (shown := re.search(rf"\b{scheme}:///?[\w/.?=-]+", page.read_text(encoding="utf-8"))):
            return page, shown[0]
    return None


def destinations() -> str:
    """Return every destination: an address, what it is, where it is explained."""
    rows = []
    for scheme, module in SCHEMES.items():
        page, address = guide(scheme) or (GUIDES[0], f"{scheme}://")
        words = (inspect.getdoc(import_module(module.partition(":")[0])) or "").split("\n\n")[0].replace("\n", " ")
        rows.append((code(address), sentence(words), f"[{page.name}]({page.name})"))
    return table(("destination", "what it is", "page"), rows)


def counts() -> str:
    """Return how much can be imported."""
    return f"{len(STREAMS)} objects and {len(metrics())} report fields"


def objects() -> str:
    """Return how many objects there are."""
    return str(len(STREAMS))


def run_states() -> str:
    """Return the states of a run: as a diagram, and as a table."""
    rows = (
        (f"*{about.label}*", str(about.exit_code) if state is not State.RUNNING else "", sentence(about.what_to_do))
        for state, about in ABOUT.items()
    )
    return f"```mermaid\n{diagram()}\n```\n\n" + table(("state", "exit code", "what to do"), rows)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "settings": settings,
    "sheet parameters": sheet_parameters,
    "destinations": destinations,
    "counts": counts,
    "objects": objects,
    "states": run_states,
}
"""Each block by its name."""


def refreshed(document: str) -> str:
    """Return a document with its blocks written; raises KeyError for a block that nobody writes."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}{BLOCKS[found['name']]()}{found[4]}"

    return _MARKED.sub(block, document)


def main(arguments: Sequence[str]) -> int:
    """Write the blocks, or with ``--check`` compare them; return the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: make_blocks.py [--check]", file=sys.stderr)
        return 2
    old = 0
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        now = refreshed(text)
        if now == text:
            continue
        if arguments:
            print(f"{path.relative_to(ROOT)} is out of date. Run `make docs`.", file=sys.stderr)
            old += 1
        else:
            path.write_text(now, encoding="utf-8")
            print(f"Wrote the blocks of {path.relative_to(ROOT)}.")
    return bool(old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
