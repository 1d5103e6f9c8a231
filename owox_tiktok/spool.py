"""Rows on their way: a temporary CSV file per window, so that memory stays flat however many rows there are.

Canonical text (see ``rows``), one line per row, no header. Text is always quoted and null is an empty, unquoted
field, so that "" and null stay apart. Any engine that reads CSV takes it as it is.
"""

from __future__ import annotations

import csv
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

from owox_tiktok.errors import StoreGone
from owox_tiktok.model import Field, Seal
from owox_tiktok.rows import Column, lines_of, typed
from owox_tiktok.trust.seals import Tally

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PREFIX, LOCK = "owox-tiktok-", "lock"
UNLOCKED_LIVES_S = 2 * 86_400
"""A folder without a lock is the first version's; one that nobody has touched for so long belongs to no run."""


class Spool:
    """A folder of row files that is removed at the end of a run; those of runs that were killed go at the next start.

    Each run holds a lock on a file in its folder for as long as it lives, so that no other run takes it for dead.
    """

    def __init__(self) -> None:
        with _sentences(Path(tempfile.gettempdir())):
            _sweep(Path(tempfile.gettempdir()))
            self._folder, self._lock = _locked_folder()
        self._count = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A reader that nobody waits for may still write one: the lock stays with it for the next run to find.
        for path in self._folder.glob("*.*"):
            path.unlink(missing_ok=True)
        os.close(self._lock)
        with suppress(OSError):
            (self._folder / LOCK).unlink()
            try:
                self._folder.rmdir()
            except OSError:
                (self._folder / LOCK).touch(mode=0o600)

    def file(self) -> Path:
        """Return the path of a new row file (not yet there)."""
        self._count += 1
        return self._folder / f"{self._count}.csv"


def _locked_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / LOCK).exists():
            return folder, lock
        os.close(lock)  # another run took it for a dead one's, in the moment before it was locked


def _sweep(within: Path) -> None:
    """Remove the folders of this user's runs that died. Where there are no such locks (Windows), nothing is removed."""
    if fcntl is None:
        return
    for folder in within.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or gone this very moment
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            try:
                lock = os.open(folder / LOCK, os.O_RDWR)
            except FileNotFoundError:  # the first version's, or one that is just being made
                if time.time() - found.st_mtime > UNLOCKED_LIVES_S:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: it lives
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """What the operating system refuses becomes a StoreGone: no other row file could be written either."""
    try:
        yield
    except OSError as error:
        what = f"the temporary file {path} cannot be written ({error.strerror or error})"
        what_to_do = "Free some space, or set TMPDIR to another folder; the next run continues."
        raise StoreGone(what, what_to_do=what_to_do) from error


class Writer:
    """Appends columns to a row file, and makes the seals of its rows; ``time`` is the column that dates a row.

    Raises StoreGone when the file does not take everything (a full disk, say).
    """

    def __init__(self, path: Path, columns: Sequence[Field], time: str | None = None) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.rows = 0
        self._tally = Tally(self.columns, time)
        with _sentences(path):
            self._file = path.open("wb", buffering=0)

    def append(self, data: Sequence[Column]) -> None:
        """Add rows given as one list of canonical texts per column, all of one length."""
        if not data or not data[0]:
            return
        written = [line.encode() for line in lines_of(self.columns, data)]
        self._tally.add(data, written if self._tally.as_in_file else None)
        written.append(b"")
        left = memoryview(b"\n".join(written))
        with _sentences(self.path):
            while left:  # a disk that is nearly full takes a part of it, and says so only in the count
                left = left[self._file.write(left) :]
        self.rows += len(data[0])

    @property
    def seals(self) -> dict[date | None, Seal]:
        """The seals of the rows so far, by day."""
        return self._tally.seals()

    def close(self) -> None:
        """Finish the file; some file systems say only now that it is not whole."""
        with _sentences(self.path):
            self._file.close()


def lines_of_days(path: Path, columns: Sequence[Field], time: str, days: Collection[str]) -> Iterator[bytes]:
    """Yield the lines of a file, as they stand there, whose row is of one of ``days`` (2026-01-31)."""
    at = next(n for n, f in enumerate(columns) if f.name == time)
    with path.open(encoding="utf-8", newline="") as file:
        line = ""
        for part in file:
            line += part
            if line.count('"') % 2 == 0:
                # Null or an empty text is no question for a day, so the csv module will do.
                if next(csv.reader([line]))[at][:10] in days:
                    yield line.encode()
                line = ""


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
