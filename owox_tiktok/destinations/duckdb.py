"""DuckDB, the embedded default: one file, one writer, a transaction for rows and cursors together.

Address: ``duckdb:///relative.duckdb``, ``duckdb:////absolute/path.duckdb`` or ``duckdb:///:memory:``. DuckDB locks the
file for one process, which is just what keeps two imports apart. Tables carry no index: replacing deletes by day and
advertiser, upserting deletes by key, and both scan less than an index costs to maintain.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType

import duckdb

from owox_tiktok.cursors import (
    RECORD,
    Part,
    Record,
    Table,
    check_rows,
    known,
    last_cursors,
    new_table_id,
    one_scope_each,
    table_of,
)
from owox_tiktok.dialects import CURSORS, DUCKDB, MARK
from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreFailed, StoreGone
from owox_tiktok.model import Chunk, Failure, Field, Kind, Known, Step, Stored, Stream, utc
from owox_tiktok.views import View

MEMORY_MB = 64
"""DuckDB's own share. A small one keeps an import's memory flat however large the file grows, and costs no time."""
BYTES_PER_VALUE = 24
"""A decimal takes 16 bytes, and a part of a step is held twice while it is committed. Texts come on top."""
ROWS_PER_GROUP = 122_880
"""DuckDB writes so many rows of a table at a time; of a step that has more, no more than these are in memory."""
LEAST_MOST_MB = 512
"""What a step may have at most on the smallest machine; elsewhere, half of the machine's memory."""

MAGIC = b"DUCK"
"""A DuckDB file begins with eight bytes of checksum and this."""

IN_MEMORY = ":memory:"
TYPES = DUCKDB.types
_name = DUCKDB.name


def open_at(rest: str, *, read_only: bool = False) -> DuckDB:
    """Open the file named by the address after ``duckdb://``; creates it unless ``read_only``."""
    path = rest.removeprefix("/")
    if not path:
        raise BadInput([Mistake("destination", "no file given", "Write duckdb:///tiktok_ads.duckdb.")])
    if path == IN_MEMORY:
        return DuckDB(duckdb.connect(path), IN_MEMORY)
    file = Path(os.path.expanduser(path))  # noqa: PTH111 -- Path's own raises where there is no such user
    if not file.parent.is_dir():
        raise BadInput([Mistake("destination", f"there is no folder {file.parent}", "Create it, or name another.")])
    is_there = _is_ours_to_open(file)
    if read_only and not is_there:
        return DuckDB(duckdb.connect(IN_MEMORY), str(file))
    if not is_there:
        file.unlink(missing_ok=True)  # an empty one is in DuckDB's way
    try:
        return DuckDB(duckdb.connect(str(file), read_only=read_only), str(file), read_only=read_only)
    except duckdb.IOException as error:
        text = str(error)
        if "lock" in text.lower():
            holder = re.search(r"PID (\d+)", text)
            who = f" (process {holder[1]})" if holder else ""
            raise StoreBusy(
                f"another program{who} is using the file, perhaps another import",
                where=str(file),
                what_to_do="Wait for it to end, or close it.",
            ) from None
        raise StoreFailed(_first_line(error), where=str(file), what_to_do="Check the path and its rights.") from None
    except duckdb.Error as error:
        advice = f"Restore {file.name} from a copy, or delete it: the next import reads everything again."
        raise StoreFailed(
            f"the file cannot be opened, it may be damaged ({_first_line(error)})",
            where=str(file),
            what_to_do=advice,
        ) from None


def _is_ours_to_open(file: Path) -> bool:
    """Whether there is a DuckDB file; an empty file is none. Raises BadInput for a folder or a file of another kind.

    DuckDB would look for an extension on the internet that opens a file of another database.
    """
    try:
        with file.open("rb") as opened:
            head = opened.read(len(b"checksum") + len(MAGIC))
    except FileNotFoundError:
        return False
    except IsADirectoryError:
        raise BadInput([Mistake("destination", f"{file} is a folder", f"Name a file in it: {file}/…")]) from None
    except OSError as error:
        raise StoreFailed(
            f"cannot be read ({error.strerror})", where=str(file), what_to_do="Check its rights."
        ) from None
    if head and head[-len(MAGIC) :] != MAGIC:
        raise BadInput([Mistake("destination", f"{file} is not a DuckDB file", "Choose another file.")])
    return bool(head)


class DuckDB:
    """A DuckDB file as a Destination that holds views, too."""

    dialect = DUCKDB
    step = Step(values=5_000_000, size_bytes=64 * 2**20)

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str, *, read_only: bool = False) -> None:
        self.connection = connection
        self._name = name
        self._file = None if read_only else self._which_file()
        self._begin()
        with _sentences(name):
            if not read_only:
                self._make_cursors()

    def _begin(self) -> None:
        with _sentences(self._name):
            self.connection.execute("SET TimeZone = 'UTC'")
            self._set_memory(MEMORY_MB)
            # Rows come in portions that one thread stores faster than several, and with less memory.
            self.connection.execute("SET threads = 1")

    def _which_file(self) -> tuple[int, int] | None:
        """Return what tells the file at our path from another one; None when there is none, or none is needed."""
        if self._name == IN_MEMORY:
            return None
        try:
            found = Path(self._name).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _check_file(self) -> None:
        """Raise StoreGone when the file was deleted, moved or replaced: DuckDB would go on writing where nobody looks.

        The system lets an open file be taken away, and a lock does not keep it there.
        """
        if self._file != self._which_file():
            self._file = None  # once is enough
            raise StoreGone(
                "the file was deleted, moved or replaced while it was written, and what this run stored went with it",
                where=self._name,
                what_to_do="Leave the file alone while an import runs, and import again.",
            )

    def _check_head(self) -> None:
        """Raise StoreGone when the file does not even begin as a DuckDB file any more."""
        with suppress(BadInput, StoreFailed):
            if _is_ours_to_open(Path(self._name)):
                return
        what_to_do = "Delete it, leave the new one alone while an import runs, and import again."
        raise StoreGone("the file was emptied while it was written", where=self._name, what_to_do=what_to_do)

    def _set_memory(self, megabytes: int) -> None:
        self.connection.execute(f"SET memory_limit = '{megabytes}MB'")

    def _open_again(self) -> None:
        """Open the file again after DuckDB gave it up; what was committed is there. Raises StoreGone if it is not."""
        gone = StoreGone("the database cannot be used any more", where=self._name, what_to_do="Import again.")
        if self._name == IN_MEMORY:
            raise gone
        with suppress(duckdb.Error):
            self.connection.close()
        try:
            self.connection = duckdb.connect(self._name)
            self._begin()
        except (duckdb.Error, StoreFailed) as error:
            raise gone from error

    def _make_cursors(self) -> None:
        """Make the table of cursors, or add the columns that the first version did not have."""
        there = self._columns(CURSORS)
        lacking = [part for part in RECORD if part.name not in there]
        if not lacking:
            return
        with _transaction(self.connection, CURSORS):
            columns = [f"{_name(part.name)} {TYPES[part.kind]}{'[]' * part.many}" for part in lacking]
            if not there:
                self.connection.execute(f"CREATE TABLE {CURSORS} ({', '.join(columns)})")
                comment = f"{MARK}: how far each object of an advertiser is read"
                self.connection.execute(f"COMMENT ON TABLE {CURSORS} IS {_quote(comment)}")
            for column in columns if there else ():
                self.connection.execute(f"ALTER TABLE {CURSORS} ADD COLUMN {column}")
            self._describe(CURSORS, lacking)

    def __enter__(self) -> DuckDB:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        if error is None and self._file is not None:
            self._check_file()
            self._check_head()

    # --- cursors ------------------------------------------------------------------------------------------------------

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair; a cursor counts only for the table and the columns it speaks of."""
        with _sentences(self._name):
            records = self._records()
            tables = {name: self._table(table_of(name)) for name in {record.object for record in records}}
        return {record.pair: known(record, tables[record.object]) for record in records}

    def _records(self, stream: Stream | None = None) -> list[Record]:
        """Return what is stored of every pair, or of the pairs of one stream."""
        there = self._columns(CURSORS)
        names = [part.name for part in RECORD if part.name in there]
        if not names:
            return []
        # A moment with a zone comes as one of Python's only where pytz is installed.
        picked = [
            f"CAST({_name(n)} AT TIME ZONE 'UTC' AS TIMESTAMP)" if there[n] == TYPES[Kind.INSTANT] else _name(n)
            for n in names
        ]
        found = self.connection.execute(
            f"SELECT {', '.join(picked)} FROM {CURSORS} WHERE $1 IS NULL OR object = $1", [stream and stream.name]
        ).fetchall()
        return [Record.of(dict(zip(names, row, strict=True))) for row in found]

    def _keep(self, record: Record) -> None:
        """Store a record in place of the one there was."""
        self.connection.execute(f"DELETE FROM {CURSORS} WHERE object = $1 AND advertiser_id = $2", list(record.pair))
        if record.cursor is None and record.failure is None:
            return
        values = record.values()
        names, places = ", ".join(map(_name, values)), ", ".join(f"${n}" for n in range(1, len(values) + 1))
        self.connection.execute(f"INSERT INTO {CURSORS} ({names}) VALUES ({places})", list(values.values()))

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read."""
        failure = Failure(error, utc(at))
        with _transaction(self.connection, CURSORS):
            had = {r.advertiser_id: r for r in self._records(stream)}.get(advertiser_id)
            self._keep(replace(had or Record(stream.name, advertiser_id), failure=failure))

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        """Forget cursors and failures of these pairs, so that the next import reads all of them again; rows stay."""
        with _transaction(self.connection, CURSORS):
            for advertiser_id in advertiser_ids:
                self._keep(Record(stream.name, advertiser_id))

    # --- tables -------------------------------------------------------------------------------------------------------

    def row_counts(self, stream: Stream) -> dict[str, int]:
        """Return how many rows of the stream each advertiser has here; empty where there is no table."""
        if "advertiser_id" not in self._columns(stream.table):
            return {}
        with _sentences(stream.table):
            sql = f"SELECT advertiser_id, count(*) FROM {_name(stream.table)} GROUP BY ALL"
            return dict(self.connection.execute(sql).fetchall())

    def _columns(self, table: str) -> dict[str, str]:
        """Return the table's columns with their types; empty when there is no such table."""
        return dict(
            self.connection.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $1 AND schema_name = 'main' "
                "AND NOT internal ORDER BY column_index",
                [table],
            ).fetchall()
        )

    def _comment(self, table: str) -> str:
        """Return the table's comment; empty when there is none, or no such table."""
        row = self.connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE table_name = $1 AND schema_name = 'main'", [table]
        ).fetchone()
        return str(row[0] or "") if row else ""

    def _table(self, name: str) -> Table | None:
        """Return a table of ours as it is now; None when there is none, or it is somebody else's."""
        comment = self._comment(name)
        return Table(_id_in(comment), self._columns(name)) if comment.startswith(MARK) else None

    def columns(self) -> dict[str, frozenset[str]]:
        """Return the columns of every table here that is ours, the cursors' included."""
        with _sentences(self._name):
            found = self.connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND starts_with(comment, $1)", [MARK]
            ).fetchall()
            return {table: frozenset(self._columns(table)) for (table,) in found}

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Create the stream's table, or add the columns it lacks; refuse a table that is not ours."""
        with _transaction(self.connection, stream.table):
            self._prepare(stream, columns)

    def _prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        name = stream.table
        there = self._columns(name)
        if there and not self._comment(name).startswith(MARK):
            raise StoreFailed(
                f"there is a table {name} that this program did not make",
                where=self._name,
                what_to_do="Rename that table, or use another file.",
            )
        for field in columns:
            if there and field.name in stream.keys and field.name not in there:
                raise StoreFailed(
                    f"column {field.name} of {name} is not there any more, and rows are known by it",
                    where=self._name,
                    what_to_do="Rename the table, and the next import fills a new one.",
                )
            if field.name in there and there[field.name] != TYPES[field.kind]:
                raise StoreFailed(
                    f"column {field.name} of {name} is {there[field.name]} but should be {TYPES[field.kind]}",
                    where=self._name,
                    what_to_do="Rename the table, and the next import fills a new one.",
                )
        self._settle(stream)
        missing = [f for f in columns if f.name not in there]
        if not there:
            wanted = ", ".join(
                f"{_name(f.name)} {TYPES[f.kind]}{' NOT NULL' if f.name in stream.keys else ''}" for f in columns
            )
            self.connection.execute(f"CREATE TABLE {_name(name)} ({wanted})")
            self._mark(stream, new_table_id())
        else:
            for field in missing:
                self.connection.execute(f"ALTER TABLE {_name(name)} ADD COLUMN {_name(field.name)} {TYPES[field.kind]}")
        self._describe(name, missing)

    def _settle(self, stream: Stream) -> None:
        """Write down what the records of a stream still say, before a new table or column makes it look whole."""
        table = self._table(stream.table)
        records = self._records(stream)
        if table is not None and not table.id:  # filled by the first version: its cursors adopt it, once
            table = replace(table, id=new_table_id())
            self._mark(stream, table.id)
            records = [r if r.table_id else replace(r, table_id=table.id) for r in records]
            for record in records:
                self._keep(record)
        for record in records:
            still = known(record, table)
            if still.lost:
                self._keep(replace(record, cursor=still.cursor))

    def _mark(self, stream: Stream, table_id: str) -> None:
        comment = f"{MARK}: {stream.description} [{table_id}]"
        self.connection.execute(f"COMMENT ON TABLE {_name(stream.table)} IS {_quote(comment)}")

    def _table_id(self, stream: Stream) -> str:
        return _id_in(self._comment(stream.table))

    def _describe(self, table: str, columns: Iterable[Field | Part]) -> None:
        for field in columns:
            self.connection.execute(
                f"COMMENT ON COLUMN {_name(table)}.{_name(field.name)} IS {_quote(field.description)}"
            )

    # --- the two verbs ------------------------------------------------------------------------------------------------

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window exactly its rows, and store the cursors, in one transaction."""
        table = _name(chunks[0].stream.table)

        def delete(chunk: Chunk) -> int:
            where, values = _scope(chunk)
            return self._changed(f"DELETE FROM {table} WHERE {where}", values)

        def count(chunk: Chunk) -> int:
            where, values = _scope(chunk)
            return self._changed(f"SELECT count(*) FROM {table} WHERE {where}", values)

        return self._store(chunks, delete, count)

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows by key, and store the cursors, in one transaction."""
        stream = chunks[0].stream
        table = _name(stream.table)
        same = " AND ".join(f"{table}.{_name(k)} = incoming.{_name(k)}" for k in stream.keys)

        def delete(chunk: Chunk) -> int:
            if not chunk.rows:
                return 0
            return self._changed(f"DELETE FROM {table} USING ({_rows([chunk])}) AS incoming WHERE {same}", [])

        def count(chunk: Chunk) -> int:
            if not chunk.rows:
                return 0
            return self._changed(f"SELECT count(*) FROM {table} SEMI JOIN ({_rows([chunk])}) AS incoming ON {same}", [])

        return self._store(chunks, delete, count)

    def _store(
        self, chunks: Sequence[Chunk], delete: Callable[[Chunk], int], count: Callable[[Chunk], int]
    ) -> list[Stored]:
        """Delete what each chunk takes the place of, insert, count and move the cursors; with more memory if needed."""
        one_scope_each(chunks)
        memory = iter(self._memory_for(chunks))
        megabytes = needed = next(memory)
        opened_again = False
        while True:
            try:
                self._set_memory(megabytes)
                return self._try_to_store(chunks, delete, count)
            except StoreFailed as error:
                failure, cause = error, error.__cause__
            except duckdb.Error as error:
                failure, cause = StoreFailed(_first_line(error), where=self._name), error
            more = next(memory, None)
            broken = isinstance(cause, duckdb.FatalException | duckdb.InternalException)
            at_commit = isinstance(cause, duckdb.TransactionException)  # nobody else has the file: no other cause
            if broken and not opened_again:
                opened_again = True
                self._open_again()
            elif (at_commit or isinstance(cause, duckdb.OutOfMemoryException)) and more is not None:
                pass
            # A commit that has more memory than it needs fails because of the disk: DuckDB gives both the same type.
            elif broken or isinstance(cause, duckdb.IOException) or (at_commit and megabytes >= 2 * needed):
                what_to_do = "Free some space on that disk; the next run goes on."
                raise StoreGone(failure.message, where=failure.where, what_to_do=what_to_do) from cause
            elif at_commit or isinstance(cause, duckdb.OutOfMemoryException):
                what_to_do = "Choose fewer fields for this object, or use a machine with more memory."
                raise StoreFailed(failure.message, where=failure.where, what_to_do=what_to_do) from cause
            else:
                raise failure
            megabytes = more or megabytes

    def _memory_for(self, chunks: Sequence[Chunk]) -> list[int]:
        """Return the megabytes to try a step with: what it should need, and more, up to what the machine has."""
        rows = sum(c.rows for c in chunks)
        values = min(rows, ROWS_PER_GROUP) * len(chunks[0].columns)
        texts = sum(c.path.stat().st_size for c in chunks if c.rows) * min(1, ROWS_PER_GROUP / max(rows, 1))
        need = max(MEMORY_MB, math.ceil((values * BYTES_PER_VALUE + texts) / 1e6))
        most = max(LEAST_MOST_MB, memory_mb() // 2)
        return sorted({min(need, most), min(4 * need, most), most})

    def _try_to_store(
        self, chunks: Sequence[Chunk], delete: Callable[[Chunk], int], count: Callable[[Chunk], int]
    ) -> list[Stored]:
        with _transaction(self.connection, chunks[0].stream.table):
            gone = [delete(chunk) for chunk in chunks]
            check_rows(chunks, self._insert(chunks))
            held = [count(chunk) for chunk in chunks]
            for chunk, rows in zip(chunks, held, strict=True):
                check_rows([chunk], rows)
            self._move_cursors(chunks)
            self._check_file()
        return [Stored(rows, n) for rows, n in zip(held, gone, strict=True)]

    def _changed(self, statement: str, values: Sequence[object]) -> int:
        row = self.connection.execute(statement, list(values)).fetchone()
        return int(row[0]) if row else 0

    def _insert(self, chunks: Sequence[Chunk]) -> int:
        """Insert the chunks' rows; return how many."""
        filled = [c for c in chunks if c.rows]
        if not filled:
            return 0
        names = ", ".join(_name(f.name) for f in filled[0].columns)
        return self._changed(f"INSERT INTO {_name(filled[0].stream.table)} ({names}) {_rows(filled)}", [])

    def _move_cursors(self, chunks: Sequence[Chunk]) -> None:
        stream = chunks[0].stream
        table_id = self._table_id(stream)
        for advertiser_id, cursor in last_cursors(chunks).items():
            self._keep(Record(stream.name, advertiser_id, cursor, None, table_id))

    # --- views --------------------------------------------------------------------------------------------------------

    def create_views(self, views: Sequence[View]) -> list[str]:
        """Create or replace the views; return the names of those left alone, because somebody else made them."""
        with _transaction(self.connection, self._name):
            return [view.name for view in views if not self._create_view(view)]

    def _create_view(self, view: View) -> bool:
        others = self.connection.execute(
            "SELECT 1 FROM (SELECT view_name AS name, comment FROM duckdb_views() WHERE schema_name = 'main' UNION ALL "
            "SELECT table_name, comment FROM duckdb_tables() WHERE schema_name = 'main') "
            "WHERE lower(name) = $1 AND NOT starts_with(coalesce(comment, ''), $2)",
            [view.name, MARK],
        ).fetchone()
        if others:
            return False
        self.connection.execute(DUCKDB.create_view(view.name, view.sql))
        self.connection.execute(f"COMMENT ON VIEW {_name(view.name)} IS {_quote(f'{MARK}: {view.description}')}")
        self._describe(view.name, view.fields)
        return True

    # --- pruning ------------------------------------------------------------------------------------------------------

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count."""
        if stream.time is None or not keep_from or not self._columns(stream.table):
            return 0
        table, day = _name(stream.table), _name(stream.time)
        where = " OR ".join(f"(advertiser_id = ${2 * n + 1} AND {day} < ${2 * n + 2})" for n in range(len(keep_from)))
        values: list[object] = [v for pair in keep_from.items() for v in pair]
        if dry_run:
            return self._changed(f"SELECT count(*) FROM {table} WHERE {where}", values)
        with _transaction(self.connection, stream.table):
            gone = self._changed(f"DELETE FROM {table} WHERE {where}", values)
            # A cursor says which days are here, so it lets go of the same days.
            for record in self._records(stream):
                if record.cursor and record.advertiser_id in keep_from:
                    left = record.cursor.without_days_before(keep_from[record.advertiser_id])
                    self._keep(replace(record, cursor=left))
        return gone


def memory_mb() -> int:
    """Return how many megabytes this machine has, or the container this runs in; 0 where that cannot be known."""
    found = []
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(ValueError, OSError):  # "max" where there is none
            found.append(int(Path(limit).read_text(encoding="ascii")))
    return min(found, default=0) // 10**6


def _scope(chunk: Chunk) -> tuple[str, list[object]]:
    """Return the condition that picks the rows a chunk replaces. Days are compared as they are stored: wall clock."""
    if chunk.stream.time is None or chunk.window is None:
        return "advertiser_id = $1", [chunk.advertiser_id]
    column = _name(chunk.stream.time)
    return (
        f"advertiser_id = $1 AND {column} >= $2 AND {column} < $3",
        [chunk.advertiser_id, chunk.window.first, chunk.window.last + timedelta(days=1)],
    )


def _rows(chunks: Sequence[Chunk]) -> str:
    """Return a query over the chunks' row files; DuckDB casts each column, and refuses what does not fit its type."""
    files = ", ".join(_quote(str(c.path)) for c in chunks)
    columns = ", ".join(f"{_quote(f.name)}: {_quote(TYPES[f.kind])}" for f in chunks[0].columns)
    return (
        f"SELECT * FROM read_csv([{files}], columns={{{columns}}}, header=false, auto_detect=false, delim=',', "
        "quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false, new_line='\\n', buffer_size=8000000, "
        "parallel=false)"
    )


def _id_in(comment: str) -> str:
    """Return the id that ends a table's comment, in brackets; empty for a table that the first version made."""
    found = re.search(r" \[([0-9a-f]{12})\]$", comment)
    return found[1] if found else ""


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]


@contextmanager
def _sentences(where: str) -> Iterator[None]:
    """DuckDB's own errors become a StoreFailed that says where."""
    try:
        yield
    except duckdb.Error as error:
        raise StoreFailed(_first_line(error), where=where) from error


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection, table: str) -> Iterator[None]:
    """All or nothing."""
    with _sentences(table):
        connection.execute("BEGIN")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")
            raise
