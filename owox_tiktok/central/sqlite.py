"""A store in a file of SQLite's, for processes on one machine: the laptop, the tests, several command lines."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from owox_tiktok.central.store import Changed, Held, checked
from owox_tiktok.errors import BadInput, Mistake, Unavailable

BUSY_S = 10.0
"""So long one waits for another who is writing; a write takes a millisecond."""

_TABLE = """
CREATE TABLE IF NOT EXISTS objects (
    name TEXT PRIMARY KEY, body BLOB NOT NULL, generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generations (last INTEGER NOT NULL);
INSERT INTO generations SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM generations);
"""


class SQLiteStore:
    """The objects of one file; every process and thread has a connection of its own."""

    apart_s = 0.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        with self._connection() as connection:
            connection.executescript(_TABLE)

    def now(self) -> float:
        """Return this machine's clock: all who share the file have it."""
        return time.time()

    def get(self, name: str) -> Held | None:
        """Return an object, None where there is none."""
        found = self._do("SELECT body, generation FROM objects WHERE name = ?", (checked(name),))
        return Held(*found[0]) if found else None

    def put(self, name: str, body: bytes, generation: int) -> int:
        """Write an object whose generation is ``generation`` (0: there is none); return its new one. Raises Changed."""
        checked(name)
        try:
            with self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._expect(connection, name, generation)
                ((new,),) = connection.execute("UPDATE generations SET last = last + 1 RETURNING last").fetchall()
                connection.execute("REPLACE INTO objects VALUES (?, ?, ?)", (name, body, new))
        except sqlite3.Error as error:
            raise self._unavailable(error) from None
        return int(new)

    def delete(self, name: str, generation: int) -> None:
        """Delete an object whose generation is ``generation``. Raises Changed."""
        checked(name)
        try:
            with self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                self._expect(connection, name, generation)
                connection.execute("DELETE FROM objects WHERE name = ?", (name,))
        except sqlite3.Error as error:
            raise self._unavailable(error) from None

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names that begin with ``prefix``, in order."""
        found = self._do("SELECT name FROM objects WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix))
        return [name for (name,) in found]

    @staticmethod
    def _expect(connection: sqlite3.Connection, name: str, generation: int) -> None:
        found = connection.execute("SELECT generation FROM objects WHERE name = ?", (name,)).fetchone()
        if (found[0] if found else 0) != generation:
            raise Changed

    def _do(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            with self._connection() as connection:
                return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unavailable(error) from None

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection, whose ``with`` block is a transaction."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
            except (OSError, sqlite3.Error) as error:
                raise self._unavailable(error) from None
            self._local.connection = connection
        return connection

    def _unavailable(self, error: Exception) -> Unavailable:
        what = f"the store cannot be used ({error})"
        return Unavailable(
            what, where=str(self._path), what_to_do="Is the folder there, and is there room on the disk?"
        )


def open_(rest: str, environment: Mapping[str, str]) -> SQLiteStore:
    """Return the store in a file; ``rest`` is a path that begins with /."""
    if not rest.startswith("/") or rest.endswith("/"):
        raise BadInput([Mistake("store", "is not the path of a file", "Write one such as sqlite:///var/imports.db.")])
    return SQLiteStore(Path(rest))
