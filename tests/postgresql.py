"""What the tests of the PostgreSQL destination share: a server of their own, from the system's package, and its kit.

One server for each process that runs tests, on a socket and a port of its own, without fsync; it goes with the process.
PostgreSQL does not run as root, so then it is started as the user of its package.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from owox_tiktok.dialects import POSTGRESQL
from owox_tiktok.model import Kind, Stream
from owox_tiktok.testing import Kit
from tests.helpers import Row

MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder is made in it
USER = "postgres"


def _programs() -> Path | None:
    """The folder of the server's programs: on the path, or where Debian puts the newest."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return there[-1].parent if there else None


PROGRAMS = _programs()


def _missing() -> str:
    if PROGRAMS is None:
        return "PostgreSQL's server is not installed (apt-get install postgresql)"
    if os.getuid() == 0:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return f"PostgreSQL's server does not run as root, and there is no user {USER}"
    return ""


missing = _missing()
needs_server = pytest.mark.skipif(bool(missing), reason=missing)


class Server:
    """A running server; its data goes with it."""

    def __init__(self) -> None:
        assert PROGRAMS is not None
        root = os.getuid() == 0
        self._user: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if root else {}
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir=MEMORY if MEMORY.is_dir() else None))
        if root:
            shutil.chown(self._folder, USER, USER)
        self.data = self._folder / "data"
        self._run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8",
                  "--locale", "C.UTF-8")  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAMS / "postgres", "-D", self.data, "-p", str(self.port), "-k", self._folder, "-h", "127.0.0.1",
                 "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
                 "-c", "max_connections=20", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal"],
                cwd=self._folder, stdout=log, stderr=subprocess.STDOUT, **self._user,
            )  # fmt: skip
        until = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                said = (self._folder / "log").read_text()[-2000:]
                self.close()
                raise RuntimeError(f"PostgreSQL does not start: {said}")
            time.sleep(0.05)

    def _run(self, program: str, *words: str) -> None:
        assert PROGRAMS is not None
        subprocess.run([PROGRAMS / program, *words], check=True, capture_output=True, cwd=self._folder, **self._user)

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.info, connect_timeout=2):
            return True
        return False

    @property
    def info(self) -> str:
        """What a client connects by."""
        return f"host=127.0.0.1 port={self.port} user={USER} dbname=postgres"

    def address(self, schema: str, *, user: str = USER, more: str = "") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/postgres?schema={schema}{more}"

    def close(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def server() -> Server:
    """Return this process's server, which it starts at the first call."""
    started = Server()
    atexit.register(started.close)
    return started


class PostgreSQLKit(Kit):
    """A schema of its own, looked at with the database's own client."""

    def __init__(self, folder: Path, schema: str, environment: Mapping[str, str] | None = None) -> None:
        self.server, self.schema = server(), schema
        super().__init__(folder, self.server.address(schema), environment)

    def run(self, *statements: str) -> list[Any]:
        """Run statements as a person may; the rows of the last."""
        with psycopg.connect(self.server.info, autocommit=True) as connection:
            connection.execute(f"SET search_path TO {self.schema}".encode())
            rows: list[Any] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def table(self, stream: Stream) -> str:
        return POSTGRESQL.table(stream.table)

    def read(self, stream: Stream) -> list[Row]:
        return self.rows(stream.table, stream)

    def rows(self, table: str, stream: Stream) -> list[Row]:
        """The rows of a table with a stream's columns, or of a view of it, as the database's users see them."""
        names = [name for name in self.columns_of(table) if name in stream.fields]
        picked = [f'CAST("{n}" AS text)' if stream.fields[n].kind is Kind.JSON else f'"{n}"' for n in names]
        if not names:
            return []
        rows = self.run(f"SELECT {', '.join(picked)} FROM {POSTGRESQL.table(table)}")
        return [{n: _stored(stream.fields[n].kind, v) for n, v in zip(names, row, strict=True)} for row in rows]

    def columns(self, stream: Stream) -> list[str]:
        return self.columns_of(stream.table)

    def columns_of(self, table: str) -> list[str]:
        found = self.run(
            f"SELECT column_name::text FROM information_schema.columns WHERE table_schema = '{self.schema}' "
            f"AND table_name = '{POSTGRESQL.called(table)}' ORDER BY ordinal_position"
        )
        return [name for (name,) in found]

    def everything(self) -> object:
        return sorted(self.run(
            "SELECT n.nspname::text, c.relname::text FROM pg_namespace n "
            "LEFT JOIN pg_class c ON c.relnamespace = n.oid "
            f"WHERE n.nspname = '{self.schema}'"
        ))  # fmt: skip

    def drop_table(self, stream: Stream) -> None:
        self.run(f"DROP TABLE {self.table(stream)}")

    def drop_column(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {self.table(stream)} DROP COLUMN {name}")

    def add_column(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {self.table(stream)} ADD COLUMN {name} text")

    def replace_table(self, stream: Stream) -> None:
        """A table that this program made, too: the one that was there before."""
        self.run(f"ALTER TABLE {self.table(stream)} RENAME TO before")
        self.store(self.whole(), self.whole("2"))
        self.run(f"DROP TABLE {self.table(stream)}", f"ALTER TABLE before RENAME TO {stream.table}")

    def make_foreign_table(self, stream: Stream) -> None:
        self.run(
            f"CREATE SCHEMA IF NOT EXISTS {self.schema}", f"CREATE TABLE {self.table(stream)} AS SELECT 42 AS mine"
        )

    def foreign_rows(self, stream: Stream) -> list[Any]:
        return self.run(f"SELECT * FROM {self.table(stream)}")

    def change_cell(self, stream: Stream, key: tuple[str, str], name: str, value: object) -> None:
        self.run(f"UPDATE {self.table(stream)} SET {name} = '{value}' WHERE {key[0]} = '{key[1]}'")

    def delete_row(self, stream: Stream, key: tuple[str, str]) -> None:
        self.run(f"DELETE FROM {self.table(stream)} WHERE {key[0]} = '{key[1]}'")

    def copy_row(self, stream: Stream, key: tuple[str, str]) -> None:
        table = self.table(stream)
        self.run(f"INSERT INTO {table} SELECT * FROM {table} WHERE {key[0]} = '{key[1]}'")

    def change_type(self, stream: Stream, name: str) -> None:
        self.run(f"ALTER TABLE {self.table(stream)} ALTER {name} TYPE double precision")

    def descriptions(self, stream: Stream) -> dict[str, str]:
        return dict(self.run(
            "SELECT a.attname::text, col_description(a.attrelid, a.attnum) FROM pg_attribute a "
            f"WHERE a.attrelid = '{self.schema}.{POSTGRESQL.called(stream.table)}'::regclass "
            "AND a.attnum > 0 AND NOT a.attisdropped"
        ))  # fmt: skip

    def stamps(self, stream: Stream, key: str) -> dict[Any, tuple[Any, Any]]:
        rows = self.run(f"SELECT {key}, _synced_at, _run_id FROM {self.table(stream)}")
        return {of: (at and at.astimezone(UTC), run) for of, at, run in rows}


def _stored(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.INSTANT:
        return value.astimezone(UTC)
    if kind in (Kind.MONEY, Kind.RATE):
        return Decimal(value)
    return msgspec.json.decode(value, type=Any) if kind is Kind.JSON else value
