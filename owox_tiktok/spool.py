"""Rows on their way: a temporary CSV file per window, so that memory stays flat however many rows there are.

Canonical text (see ``rows``), one line per row, no header. Text is always quoted and null is an empty, unquoted
field, so that "" and null stay apart. Any engine that reads CSV takes it as it is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from owox_tiktok.model import Field, Kind
from owox_tiktok.rows import Column, typed

_QUOTED = frozenset({Kind.ID, Kind.TEXT, Kind.JSON})


class Spool:
    """A folder of row files that is removed at the end of a run."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="owox-tiktok-"))
        self._count = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def file(self) -> Path:
        """Return the path of a new row file (not yet there)."""
        self._count += 1
        return self._folder / f"{self._count}.csv"


class Writer:
    """Appends columns to a row file."""

    def __init__(self, path: Path, columns: Sequence[Field]) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.rows = 0
        self._file = path.open("wb", buffering=0)

    def append(self, data: Sequence[Column]) -> None:
        """Add rows given as one list of canonical texts per column, all of one length."""
        if not data or not data[0]:
            return
        written = [_written(field.kind in _QUOTED, texts) for field, texts in zip(self.columns, data, strict=True)]
        lines = "\n".join(map(",".join, zip(*written, strict=True)))
        self._file.write(lines.encode() + b"\n")
        self.rows += len(data[0])

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _written(quoted: bool, texts: Column) -> Column | list[str]:
    """Return the column as it stands in the file."""
    if None in texts:
        if not quoted:
            return ["" if t is None else t for t in texts]
        return ["" if t is None else '"' + t.replace('"', '""') + '"' for t in texts]
    if not quoted or ("" not in texts and "".join(filter(None, texts)).isdigit()):
        return texts  # digits need no quotes, and most ids are
    # Names repeat from row to row: each is quoted once.
    once = {t: '"' + t.replace('"', '""') + '"' for t in set(texts) if t is not None}
    return list(map(once.__getitem__, texts))  # type: ignore[arg-type]


def read(path: Path, columns: Sequence[Field]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file as typed values by column name (one row in memory at a time)."""
    for values in read_text(path):
        yield {f.name: typed(f, t) for f, t in zip(columns, values, strict=True)}


def read_text(path: Path) -> Iterator[list[str | None]]:
    """Yield the rows of a file as canonical texts, None for null.

    Read by hand: before Python 3.12 the csv module cannot tell a quoted empty field from an unquoted one.
    """
    with path.open(encoding="utf-8", newline="") as file:
        line = ""
        for part in file:  # a quoted text may hold line breaks, so a row ends where its quotes are even
            line += part
            if line.count('"') % 2 == 0:
                yield _fields(line.removesuffix("\n"))
                line = ""


def _fields(line: str) -> list[str | None]:
    values: list[str | None] = []
    at = 0
    while at <= len(line):
        if line[at : at + 1] == '"':
            end = at + 1
            while True:
                end = line.index('"', end)
                if line[end : end + 2] != '""':
                    break
                end += 2
            values.append(line[at + 1 : end].replace('""', '"'))
            at = end + 2
        else:
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            values.append(line[at:end] or None)
            at = end + 1
    return values
