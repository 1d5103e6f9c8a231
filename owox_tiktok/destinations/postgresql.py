"""PostgreSQL and what speaks its language (Supabase, Neon, AlloyDB, Cloud SQL): COPY, a transaction for each step.

Address: ``postgresql://USER@HOST:5432/DATABASE?schema=tiktok``. Everything behind the question mark but ``schema`` is
libpq's (``sslmode=require``), and so are its variables (``PGPASSWORD``, ``PGHOST`` …) and its file of passwords.

One import at a time: a lock of the server's on the schema, which goes with the connection, keeps others out.

Rows come from their file by COPY into a table of the transaction, and from there into the stream's table, which has an
index on what rows are replaced by. PostgreSQL cuts names off at 63 characters, so the longest are shorter here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
from psycopg.conninfo import make_conninfo

from owox_tiktok.cursors import READ_AGAIN, Part
from owox_tiktok.destinations.sql import Found, Transactional, id_in
from owox_tiktok.dialects import MARK, POSTGRESQL
from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreDenied, StoreFailed, StoreGone
from owox_tiktok.model import Chunk, Step, Stored, Stream
from owox_tiktok.views import View

EXAMPLE = "postgresql://me@db.example.com/marketing?schema=tiktok"
CONNECT_S = 15
BLOCK_BYTES = 256 * 2**10
"""So much of a row file is sent at a time."""
INCOMING = "_owox_tiktok_incoming"
"""Table of the rows of a step, within its transaction."""
VARIABLES = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGSSLMODE": "sslmode",
    "PGSSLROOTCERT": "sslrootcert",
    "PGPASSFILE": "passfile",
    "PGSERVICE": "service",
}
"""Variables of libpq, for an environment that is not the process's own: there libpq reads all of them."""


def open_at(rest: str, *, read_only: bool = False, environment: Mapping[str, str] = os.environ) -> PostgreSQL:
    """Open the database and schema of the address after ``postgresql://``; creates the schema unless ``read_only``."""
    info, schema, name = parse(rest, environment)
    try:
        connection = psycopg.connect(
            info,
            autocommit=True,
            cursor_factory=psycopg.RawCursor,
            prepare_threshold=None,
            client_encoding="UTF8",
            connect_timeout=CONNECT_S,
            fallback_application_name="owox-tiktok",
            keepalives_idle=60,
        )
    except psycopg.Error as error:
        what_to_do = "Check host, port, user and password (PGPASSWORD), and that the server admits this machine."
        raise StoreFailed(f"cannot connect ({_words(error)})", where=name, what_to_do=what_to_do) from None
    try:
        return PostgreSQL(connection, schema, name, read_only=read_only)
    except BaseException:
        connection.close()
        raise


def parse(rest: str, environment: Mapping[str, str]) -> tuple[str, str, str]:
    """Return what libpq connects by, the schema, and how the place is called; raises BadInput.

    The name has no password, and no message has the address itself.
    """
    advice = f"Write {EXAMPLE}; the password is best in PGPASSWORD."
    try:
        parts = urlsplit(f"postgresql://{rest}")
        host, port, user, password = parts.hostname, parts.port, parts.username, parts.password
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise BadInput([Mistake("destination", "the address cannot be read", advice)]) from None
    schema = query.pop("schema", "public")
    if not schema.isidentifier() or not schema.isascii() or schema.lower() != schema or len(schema) > 63:
        what = f"{schema[:63]!r} cannot be a schema here"
        raise BadInput([Mistake("destination", what, "Use small letters, digits and underscores.")])
    given = {
        "host": host,
        "port": port,
        "user": user and unquote(user),
        "password": password and unquote(password),
        "dbname": unquote(parts.path.strip("/")),
        **query,
    }
    wanted = {name: value for name, value in given.items() if value}
    if environment is not os.environ:
        known = {option: environment[name] for name, option in VARIABLES.items() if environment.get(name)}
        wanted = {**known, **wanted}
    try:
        info = make_conninfo("", **wanted)
    except psycopg.Error as error:
        raise BadInput([Mistake("destination", f"libpq does not take it: {_words(error)}", advice)]) from None
    place = wanted.get("dbname") or environment.get("PGDATABASE") or "the database"
    server = wanted.get("host") or environment.get("PGHOST") or "this machine"
    return info, schema, f"{place}.{schema} on {server}"


class PostgreSQL(Transactional):
    """A schema of a PostgreSQL database as a Destination that holds views, too."""

    dialect = POSTGRESQL
    other_place = "schema"
    step = Step(values=5_000_000, size_bytes=64 * 2**20, linger_s=4)

    def __init__(self, connection: psycopg.Connection[Any], schema: str, name: str, *, read_only: bool = False) -> None:
        super().__init__(name)
        self.connection, self._schema = connection, schema
        self._brought: dict[object, str] = {}
        """Chunks of this step that are in a table of their own, by their files, with its name."""
        quoted = self.dialect.name(schema)
        with self._sentences():
            # Neither a person's own settings nor those of a role may change what our statements mean.
            self._rows(f"SET search_path TO {quoted}")
            for setting in ("TimeZone TO 'UTC'", "DateStyle TO 'ISO, YMD'", "standard_conforming_strings TO on"):
                self._rows(f"SET {setting}")
            if read_only:
                self._rows("SET default_transaction_read_only TO on")
                return
            self._lock()
            if not self._rows("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema]):
                self._rows(f"CREATE SCHEMA {quoted}")
        self._make_cursors()

    def _lock(self) -> None:
        """Keep other imports away from this schema for as long as the connection lives; raises StoreBusy."""
        key = f"owox_tiktok {self._schema}"
        if self._rows("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", [key])[0][0]:
            return
        holders = self._rows(
            "SELECT a.pid, a.application_name, host(a.client_addr) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted "
            "AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($1, 0)",
            [key],
        )
        pid, program, address = holders[0] if holders else (None, None, None)
        who = f" ({program or 'a program'} at {address or 'the server itself'}, process {pid})" if pid else ""
        raise StoreBusy(
            f"another import{who} is using the schema",
            where=self._name,
            what_to_do=f"Wait for it to end, or end it: SELECT pg_terminate_backend({pid or 'PID'});",
        )

    def __enter__(self) -> PostgreSQL:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The server notices a closed connection a moment later: who starts at once would find the schema in use.
        with suppress(psycopg.Error):
            self.connection.rollback()
            self.connection.execute("SELECT pg_advisory_unlock_all()")
        self.connection.close()

    # --- statements ---------------------------------------------------------------------------------------------------

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement.encode(), list(values) or None)
            return cursor.fetchall() if cursor.description else []

    def _changed(self, statement: str, values: Sequence[object] = ()) -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(statement.encode(), list(values) or None)
            return int(cursor.rowcount)

    @contextmanager
    def _sentences(self, stream: Stream | None = None) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._failure(error, stream.table if stream else self._name) from error

    def _failure(self, error: psycopg.Error, where: str) -> StoreFailed:
        """Return what an error of the server's means for the step or the run."""
        words = _words(error)
        if self.connection.closed:
            return StoreGone(
                f"the connection was lost ({words})", where=self._name, what_to_do="The next run continues there."
            )
        match (error.sqlstate or "")[:2], error.sqlstate:
            case "53", _:  # disk full, out of memory, too many connections
                what_to_do = "Make room on the server; the next run continues."
                return StoreGone(words, where=self._name, what_to_do=what_to_do)
            case _, "42501":
                what_to_do = f"Let this user create and write in the schema: GRANT ALL ON SCHEMA {self._schema} TO …;"
                return StoreDenied(words, where=where, what_to_do=what_to_do)
            case _, "25006":
                what_to_do = "Use the primary server and a user that may write."
                return StoreGone(f"it only lets itself be read ({words})", where=self._name, what_to_do=what_to_do)
            case "54", _:
                what_to_do = "Choose fewer fields for this object: a row of PostgreSQL has room for about 400 amounts."
                return StoreDenied(words, where=where, what_to_do=what_to_do)
            case (("22" | "23"), _):
                what = f"the temporary file of rows is damaged, or a value does not fit its column ({words})"
                return StoreFailed(f"{what}; nothing was stored", where=where, what_to_do=READ_AGAIN)
            case _, "2BP01":
                what_to_do = "Drop what depends on it, or recreate that from the new view."
                return StoreFailed(words, where=where, what_to_do=what_to_do)
        return StoreFailed(words, where=where)

    @contextmanager
    def _transaction(self, stream: Stream | None = None) -> Iterator[None]:
        with self._sentences(stream):
            self._brought = {}
            with self.connection.transaction():
                yield

    # --- tables -------------------------------------------------------------------------------------------------------

    def _found(self, name: str) -> Found | None:
        found = self._rows(
            "SELECT c.oid, c.relkind::text, obj_description(c.oid, 'pg_class') FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
            [self._schema, self.dialect.called(name)],
        )
        if not found:
            return None
        ((oid, kind, comment),) = found
        columns = self._rows(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [oid],
        )
        comment = comment or ""
        return Found(dict(columns), comment.startswith(MARK), id_in(comment), kind not in ("r", "p"))

    def _ours(self) -> list[str]:
        found = self._rows(
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') "
            "AND starts_with(obj_description(c.oid, 'pg_class'), $2)",
            [self._schema, MARK],
        )
        return [name for (name,) in found]

    def _create(self, name: str, description: str, parts: Sequence[Part], stream: Stream | None) -> None:
        super()._create(name, description, parts, stream)
        by = ["object", "advertiser_id"]
        if stream:
            by = ["advertiser_id", stream.time] if stream.time else list(stream.keys)
        elif not {part.name for part in parts}.issuperset(by):
            return
        self._rows(f"CREATE INDEX ON {self.dialect.table(name)} ({', '.join(map(self.dialect.name, by))})")

    def _make_view(self, view: View) -> None:
        """Create the view, or replace ours; one whose columns have changed is dropped first, and nothing else is."""
        try:
            with self.connection.transaction():
                super()._make_view(view)
        except psycopg.errors.InvalidTableDefinition:
            self._rows(f"DROP VIEW {self.dialect.table(view.name)}")
            super()._make_view(view)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _incoming(self, chunks: Sequence[Chunk]) -> str:
        """Return the table of the chunks' rows: one of this transaction, with a part for each chunk of a list.

        PostgreSQL casts each column, and refuses what does not fit.
        """
        whole = self.dialect.name(INCOMING)
        if not self._brought:
            columns = ", ".join(f"{self.dialect.name(f.name)} {self.dialect.types[f.kind]}" for f in chunks[0].columns)
            self._rows(f"CREATE TEMP TABLE {whole} ({columns}) ON COMMIT DROP")
        for chunk in chunks:
            if chunk.path in self._brought:
                continue
            part = whole
            if chunk.stream.verb == "upsert":
                part = self.dialect.name(f"{INCOMING}_{len(self._brought)}")
                self._rows(f"CREATE TEMP TABLE {part} () INHERITS ({whole}) ON COMMIT DROP")
            self._brought[chunk.path] = part
            self._bring(chunk, part)
            if chunk.stream.verb == "upsert":
                self._rows(f"ANALYZE {part}")
        return self._brought[chunks[0].path] if len(chunks) == 1 else whole

    def _bring(self, chunk: Chunk, table: str) -> None:
        """Send a row file as it is."""
        names = ", ".join(self.dialect.name(f.name) for f in chunk.columns)
        statement = f"COPY {table} ({names}) FROM STDIN (FORMAT csv, NULL '', ENCODING 'UTF8')"
        with self.connection.cursor() as cursor, chunk.path.open("rb") as file, cursor.copy(statement.encode()) as copy:
            while block := file.read(BLOCK_BYTES):
                copy.write(block)

    def _store(self, chunks: Sequence[Chunk]) -> list[Stored]:
        try:
            return super()._store(chunks)
        except OSError as error:
            what = f"the temporary file of rows cannot be read ({error.strerror or error}); nothing was stored"
            raise StoreFailed(what, where=chunks[0].stream.table, what_to_do=READ_AGAIN) from error


def _words(error: psycopg.Error) -> str:
    """Return what the server said, in a line."""
    with suppress(AttributeError):
        if message := error.diag.message_primary:
            return str(message)[:300]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
