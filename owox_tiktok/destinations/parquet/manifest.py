"""The manifest of a folder of Parquet files: which of them count, and how far each pair is read. Pure.

A manifest is never changed: the next one has the next number, and the newest counts. One that cannot be read was being
written when the machine failed; the one before it counts then, and all its files are there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from owox_tiktok.cursors import RECORD, Record

FORMAT = 1
FOLDER = "_manifest"
TABLE, LISTED = "_common_metadata", "_files.txt"
_NAME = re.compile(rf"{FOLDER}/(\d{{12}})\.json")
_OURS = re.compile(r"(?:^|/)\.?(\d+)-[0-9a-f]{16}\.parquet(?:\.part)?$")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a table: the rows of one account, and of one month (``2026-01``; empty where rows have no days)."""

    name: str
    account: str
    month: str
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What counts: the files of each table, by the table's name, with the id of the table they are of; and records.

    ``state`` has the files of our own tables by the table's name and the object they speak of ("" for all). ``mark``
    tells it from any other one with its number.
    """

    version: int = 0
    mark: str = ""
    files: Mapping[str, tuple[str, tuple[File, ...]]] = field(default_factory=dict)
    state: Mapping[tuple[str, str], str] = field(default_factory=dict)
    records: tuple[Record, ...] = ()

    @property
    def names(self) -> set[str]:
        """The names of all files that count."""
        return {f.name for _, files in self.files.values() for f in files} | set(self.state.values())

    def to_json(self) -> bytes:
        """Return it as it is written."""
        titles = [part.name for part in RECORD]
        return msgspec.json.encode({
            "format": FORMAT,
            "version": self.version,
            "mark": self.mark,
            "cursors": [dict(zip(titles, record.texts(), strict=True)) for record in self.records],
            "tables": {
                table: {
                    "id": table_id,
                    "files": [{"name": f.name, "account": f.account, "month": f.month, "rows": f.rows} for f in files],
                }
                for table, (table_id, files) in self.files.items()
            },
            "state": [{"table": t, "object": o, "name": name} for (t, o), name in self.state.items()],
        })  # fmt: skip

    @classmethod
    def from_json(cls, content: bytes) -> Manifest | None:
        """Return what was written; None for what is not whole. Raises ValueError for a format of a later version."""
        try:
            found: dict[str, Any] = msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if found["format"] != FORMAT:
            raise ValueError(f"its manifest has format {found['format']}, and this version knows {FORMAT}")
        return cls(
            found["version"],
            found["mark"],
            {
                table: (one["id"], tuple(File(f["name"], f["account"], f["month"], f["rows"]) for f in one["files"]))
                for table, one in found["tables"].items()
            },
            {(one["table"], one["object"]): one["name"] for one in found["state"]},
            tuple(Record.of_texts([one.get(part.name, "") for part in RECORD]) for one in found["cursors"]),
        )


def name_of(version: int) -> str:
    """Return the name of a manifest's file."""
    return f"{FOLDER}/{version:012}.json"


def versions(names: Iterable[str]) -> list[int]:
    """Return the numbers of the manifests among files, the newest first."""
    return sorted((int(found[1]) for found in map(_NAME.fullmatch, names) if found), reverse=True)


def left_over(names: Collection[str], manifest: Manifest) -> set[str]:
    """Return the files of ours that no manifest will ever name again.

    Each has the number of the manifest it was written for. Once that number is taken, either the manifest names the
    file, or its step has failed. What another program has put there is not ours.
    """
    counting = manifest.names
    ours = ((name, _OURS.search(name)) for name in names if name not in counting)
    return {name for name, found in ours if found and int(found[1]) <= manifest.version}
