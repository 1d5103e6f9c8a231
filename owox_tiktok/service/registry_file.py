"""The registry as a file on the operator's machine: what it names, what another one changes, and small edits of it.

Pure: text in, text out. The entries are read as the service reads them (see ``registry``). An edit keeps the rest of
the file as it is, with its comments; only a file in JSON is written as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import yaml

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.service.registry import Entry, read_registry

KINDS: Mapping[str, Callable[[str, Entry], list[str]]] = {
    "spreadsheet": lambda book, entry: [book],
    "secret": lambda book, entry: [entry.secret],
    "caller": lambda book, entry: entry.callers,
    "dataset": lambda book, entry: entry.datasets,
    "writer": lambda book, entry: [entry.writer] if entry.writer else [],
    "client id": lambda book, entry: entry.client_ids,
}
"""What a deployment makes something of: jobs, secrets, roles and audiences."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two registries: what it is about and what happens to it, for people."""

    kind: str
    name: str
    what: str


def names(entries: Mapping[str, Entry], kind: str) -> list[str]:
    """Return all that a registry names of a kind, each once."""
    return sorted({name for book, entry in entries.items() for name in KINDS[kind](book, entry)})


def plain(entries: Mapping[str, Entry]) -> str:
    """Return all names as lines of a kind, a tab and a name, for scripts: no name holds a space or a quotation mark."""
    return "".join(f"{kind}\t{name}\n" for kind in KINDS for name in names(entries, kind))


def changes(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Change]:
    """Return what another registry changes: what comes, what goes, and which entries of those that stay differ."""
    found = []
    for kind in KINDS:
        old, new = set(names(before, kind)), set(names(after, kind))
        found += [Change(kind, name, "new") for name in sorted(new - old)]
        found += [Change(kind, name, "taken away") for name in sorted(old - new)]
    for book in sorted(before.keys() & after.keys()):
        was, now = (msgspec.to_builtins(e[book]) for e in (before, after))
        for name in now:
            if was[name] != now[name]:
                found.append(Change("spreadsheet", book, f"{name}: {_said(was[name])} → {_said(now[name])}"))
    return found


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "–" if value is None else str(value)


def with_entry(text: str, book: str, entry: Entry, where: str, *, replace: bool = False) -> str:
    """Return a registry with one more entry, or another one for the same spreadsheet; raises BadInput."""
    known = read_registry(text, where) if text.strip() else {}
    if book in known and not replace:
        raise BadInput([Mistake(f"{where} {book}", "is there already", "Add --replace to replace it.")])
    given = {name: value for name, value in msgspec.to_builtins(entry).items() if value}
    read_registry(json.dumps({book: given}), "the new entry")
    if text.strip() and _is_json(text):
        return _json({**json.loads(text), book: given})
    before = _without(text, book) if book in known else text
    lines = [f"{json.dumps(book) if book.isdigit() else book}:"]
    lines += [f"  {name}: {json.dumps(value)}" for name, value in given.items()]
    after = before + ("" if not before or before.endswith("\n") else "\n") + "\n".join(lines) + "\n"
    read_registry(after, where)
    return after


def without_entry(text: str, book: str, where: str) -> str:
    """Return a registry without an entry; raises BadInput where there is none."""
    if book not in read_registry(text, where):
        raise BadInput([Mistake(f"{where} {book}", "is not in the registry", f"owox-tiktok registry list {where}")])
    if _is_json(text):
        return _json({name: given for name, given in json.loads(text).items() if name != book})
    after = _without(text, book)
    if after.strip():
        yaml.safe_load(after)
    return after


def _without(text: str, book: str) -> str:
    """Return a registry in YAML's block style without the lines of an entry."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "it was read as a registry"
    lines = text.splitlines(keepends=True)
    (found,) = ((key, value) for key, value in root.value if str(key.value) == book)
    first, last = found[0].start_mark.line, found[1].end_mark
    end = last.line + (1 if last.column else 0)
    while end > first + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1  # what is said above the next entry belongs to that
    return "".join(lines[:first] + lines[end:])


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
