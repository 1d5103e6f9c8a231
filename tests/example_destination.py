"""A complete destination, to copy from: SQLite, with nothing but Python's own ``sqlite3``.

Address: ``sqlite:///relative.sqlite`` or ``sqlite:////absolute/path.sqlite``. One file, one transaction per step.
Every value is kept as its canonical text (see ``rows``): SQLite has no exact decimals, and a text is exact.

It is found by the entry point ``sqlite = "tests.example_destination:open_at"`` of the group
``owox_tiktok.destinations``, and passes ``owox_tiktok.testing`` (see ``test_example_destination.py``).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType

import msgspec

from owox_tiktok.cursors import (
    RECORD,
    Record,
    Table,
    check_rows,
    check_step,
    known,
    last_cursors,
    new_table_id,
    table_of,
)
from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreFailed
from owox_tiktok.model import Chunk, Failure, Field, Kind, Known, Seal, Sealed, Step, Stored, Stream, Window, utc
from owox_tiktok.rows import LARGEST_COUNT, typed
from owox_tiktok.spool import read_text
from owox_tiktok.trust.seals import Span, Tally, recounted, spans_of, to_store

CURSORS, SEALS = "_owox_tiktok_cursors", "_owox_tiktok_days"


def open_at(rest: str, *, read_only: bool = False, environment: Mapping[str, str]) -> SQLite:
    """Open the file named by the address after ``sqlite://``; creates it unless ``read_only``."""
    path = rest.removeprefix("/")
    if not path or not Path(path).parent.is_dir():
        raise BadInput([Mistake("destination", f"sqlite://{rest} names no file", "Write sqlite:///tiktok_ads.sqlite.")])
    nowhere = read_only and not Path(path).exists()
    connection = sqlite3.connect(":memory:" if nowhere else path, isolation_level=None, timeout=0)
    return SQLite(connection, path)


class SQLite:
    """A SQLite file as a Destination."""

    step = Step()

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection, self._name = connection, name

    def __enter__(self) -> SQLite:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self, where: str) -> Iterator[None]:
        """All or nothing; SQLite's own errors become sentences that say where."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StoreBusy("another program writes to the file", where=self._name) from None
            raise StoreFailed(str(error), where=where) from error

    # --- tables -------------------------------------------------------------------------------------------------------

    def _found(self, name: str) -> Table | None:
        """Return a table, whoever made it. The id of ours stands in the statement that made it, which SQLite keeps."""
        made = self._connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", [name]).fetchone()
        if made is None:
            return None
        our_id = re.search(r"/\* owox_tiktok (\w+) \*/", made[0])
        columns = self._connection.execute("SELECT name FROM pragma_table_info(?)", [name])
        return Table(our_id[1] if our_id else "", [column for (column,) in columns])

    def _make(self, name: str, columns: Iterable[str], keys: Sequence[str]) -> None:
        lines = ", ".join(f'"{c}" TEXT{" NOT NULL" if c in keys else ""}' for c in columns)
        self._connection.execute(f'CREATE TABLE "{name}" (/* owox_tiktok {new_table_id()} */ {lines})')

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Create the stream's table, or add the columns it lacks; refuse a table that is not ours."""
        names = [f.name for f in columns]
        with self._transaction(stream.table):
            if self._found(CURSORS) is None:
                self._make(CURSORS, [part.name for part in RECORD], ["object", "advertiser_id"])
                self._make(SEALS, ["object", "advertiser_id", "day", "table_id", "seal"], ["object", "advertiser_id"])
            there = self._found(stream.table)
            if there is None:
                self._make(stream.table, names, stream.keys)
                return
            if not there.id:
                what = f"there is a table {stream.table} that this program did not make"
                raise StoreFailed(what, where=self._name, what_to_do="Rename that table, or use another file.")
            missing = [name for name in names if name not in there.columns]
            if gone := [name for name in missing if name in stream.keys]:
                what = f"column {gone[0]} of {stream.table} no longer exists, and rows are known by it"
                raise StoreFailed(what, where=self._name, what_to_do="Rename the table: a new one is filled.")
            if missing:  # what the cursors have lost is written down before a new column hides it
                for record in self._records(stream):
                    if record.table_id == there.id and (still := known(record, there)).lost:
                        self._keep(replace(record, cursor=still.cursor))
            for name in missing:
                self._connection.execute(f'ALTER TABLE "{stream.table}" ADD COLUMN "{name}" TEXT')

    # --- cursors ------------------------------------------------------------------------------------------------------

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair; a cursor counts only for the table and the columns it speaks of."""
        found = {record.pair: self._still(record) for record in self._records()}
        return {pair: one for pair, one in found.items() if one != Known()}

    def _still(self, record: Record) -> Known:
        table = self._found(table_of(record.object))
        return known(record, table if table and table.id else None)

    def _records(self, stream: Stream | None = None) -> list[Record]:
        if self._found(CURSORS) is None:
            return []
        records = [Record.of_texts(row) for row in self._connection.execute(f"SELECT * FROM {CURSORS}")]
        return [record for record in records if stream is None or record.object == stream.name]

    def _keep(self, record: Record) -> None:
        """Store a record in place of the one there was; one that says nothing takes its pair away."""
        self._connection.execute(f"DELETE FROM {CURSORS} WHERE object = ? AND advertiser_id = ?", record.pair)
        if record.cursor or record.failure:
            texts = record.texts()
            self._connection.execute(f"INSERT INTO {CURSORS} VALUES ({', '.join('?' * len(texts))})", texts)

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read."""
        had = {record.advertiser_id: record for record in self._records(stream)}
        record = had.get(advertiser_id, Record(stream.name, advertiser_id))
        with self._transaction(CURSORS):
            self._keep(replace(record, failure=Failure(error, utc(at))))

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        """Forget cursors, failures and seals of these pairs, so that all of them is read again; rows stay."""
        with self._transaction(CURSORS):
            for advertiser_id in advertiser_ids:
                self._keep(Record(stream.name, advertiser_id))
                self._unseal(stream, (advertiser_id, None, None))

    # --- the two verbs ------------------------------------------------------------------------------------------------

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window exactly its rows, and store cursors and seals, in one transaction."""
        return self._store(chunks)

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows by key, and store cursors and seals, in one transaction."""
        return self._store(chunks)

    def _store(self, chunks: Sequence[Chunk]) -> list[Stored]:
        check_step(chunks)
        stream, done = chunks[0].stream, []
        with self._transaction(stream.table):
            table = self._found(stream.table)
            table_id = table.id if table else ""
            for chunk, span in zip(chunks, spans_of(chunks), strict=True):
                rows = list(_checked(chunk))
                gone = self._make_room(chunk, span, rows)
                rest = {} if stream.verb == "replace" else self._tally(stream, chunk.columns, self._whose(stream, span))
                names = ", ".join(f'"{f.name}"' for f in chunk.columns)
                places = ", ".join("?" * len(chunk.columns))
                self._connection.executemany(f'INSERT INTO "{stream.table}" ({names}) VALUES ({places})', rows)
                where, values = self._whose(stream, span)
                count = f'SELECT count(*) FROM "{stream.table}" WHERE {where}'
                held: int = self._connection.execute(count, values).fetchone()[0] - sum(s.rows for s in rest.values())
                check_rows([chunk], held)
                self._unseal(stream, span)
                for day, seal in to_store(chunk, {chunk.advertiser_id: rest}).items():
                    row = (stream.name, chunk.advertiser_id, day and f"{day}", table_id, msgspec.json.encode(seal))
                    self._connection.execute(f"INSERT INTO {SEALS} VALUES (?, ?, ?, ?, ?)", row)
                done.append(Stored(held, gone))
            for advertiser_id, cursor in last_cursors(chunks).items():
                self._keep(Record(stream.name, advertiser_id, cursor, table_id=table_id))
        return done

    def _make_room(self, chunk: Chunk, span: Span, rows: Sequence[Sequence[str | None]]) -> int:
        """Delete what the rows take the place of; return how many rows there were."""
        stream, before = chunk.stream, self._connection.total_changes
        if stream.verb == "replace":
            where, values = self._whose(stream, span)
            self._connection.execute(f'DELETE FROM "{stream.table}" WHERE {where}', values)
        else:
            at = [[f.name for f in chunk.columns].index(key) for key in stream.keys]
            same = " AND ".join(f'"{key}" = ?' for key in stream.keys)
            keys = ([row[n] for n in at] for row in rows)
            self._connection.executemany(f'DELETE FROM "{stream.table}" WHERE {same}', keys)
        return self._connection.total_changes - before

    def _whose(self, stream: Stream, span: Span) -> tuple[str, list[str]]:
        """Return the condition for the rows of a span, and its values. Texts of days and hours sort as they follow."""
        advertiser_id, first, last = span
        if stream.per_app:
            return "TRUE", []
        where, values = "advertiser_id = ?", [advertiser_id]
        if stream.time and first:
            where, values = f'{where} AND "{stream.time}" >= ?', [*values, f"{first}"]
        if stream.time and last:
            where, values = f'{where} AND "{stream.time}" < ?', [*values, f"{last + timedelta(days=1)}"]
        return where, values

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count."""
        if stream.time is None or self._found(stream.table) is None:
            return 0
        gone = 0
        records = {record.advertiser_id: record for record in self._records(stream)}
        with self._transaction(stream.table):
            for advertiser_id, day in keep_from.items():
                span = (advertiser_id, None, day - timedelta(days=1))
                where, values = self._whose(stream, span)
                count = f'SELECT count(*) FROM "{stream.table}" WHERE {where}'
                gone += self._connection.execute(count, values).fetchone()[0]
                if not dry_run:
                    self._connection.execute(f'DELETE FROM "{stream.table}" WHERE {where}', values)
                    self._unseal(stream, span)
                    record = records.get(advertiser_id)
                    if record and (cursor := self._still(record).cursor):
                        self._keep(replace(record, cursor=cursor.without_days_before(day)))
        return gone

    # --- seals --------------------------------------------------------------------------------------------------------

    def _unseal(self, stream: Stream, span: Span) -> None:
        advertiser_id, first, last = span
        self._connection.execute(
            f"DELETE FROM {SEALS} WHERE object = ? AND advertiser_id = ? AND coalesce(day, '') BETWEEN ? AND ?",
            [stream.name, advertiser_id, f"{first or ''}", f"{last or '9999'}"],
        )

    def seals(self, stream: Stream, advertiser_id: str) -> dict[date | None, Sealed]:
        """Return the seals that were stored with the rows of a pair, by day; they count only for their own table."""
        table = self._found(stream.table)
        if table is None or self._found(SEALS) is None:
            return {}
        rows = self._connection.execute(
            f"SELECT day, seal FROM {SEALS} WHERE object = ? AND advertiser_id = ? AND table_id = ?",
            [stream.name, advertiser_id, table.id],
        )
        return {day and date.fromisoformat(day): msgspec.json.decode(seal, type=Sealed) for day, seal in rows}

    def recount(self, stream: Stream, advertiser_id: str, window: Window | None = None) -> dict[date | None, Seal]:
        """Return the seals of the rows as they stand there now, of the window or all; days without rows have none."""
        span = (advertiser_id, *((window.first, window.last) if window else (None, None)))
        return recounted(
            stream,
            self.seals(stream, advertiser_id),
            window,
            lambda columns: self._tally(stream, columns, self._whose(stream, span)),
        )

    def _tally(self, stream: Stream, columns: Sequence[Field], whose: tuple[str, list[str]]) -> dict[date | None, Seal]:
        table = self._found(stream.table)
        tally = Tally(columns, stream.time)
        if table is not None:
            names = ", ".join(f'"{f.name}"' if f.name in table.columns else "NULL" for f in columns)
            rows = self._connection.execute(f'SELECT {names} FROM "{stream.table}" WHERE {whose[0]}', whose[1])
            tally.add([list(column) for column in zip(*rows, strict=True)])
        return tally.seals()


def _checked(chunk: Chunk) -> Iterator[list[str | None]]:
    """Yield the rows of a row file; raises StoreFailed for a value that a typed column would refuse."""
    for row in read_text(chunk.path):
        for field, text in zip(chunk.columns, row, strict=True):
            try:
                value = typed(field, text)
                fits = field.kind is not Kind.COUNT or text is None or abs(value) <= LARGEST_COUNT
            except (ValueError, ArithmeticError):
                fits = False
            if not fits:
                raise StoreFailed(f"{text!r} does not fit into {field.name}", where=chunk.stream.table)
        yield row
