"""What destinations that speak SQL have in common: tables, columns, cursors, views and pruning.

Two classes. ``SqlDestination`` holds what is alike even where a step is one script of jobs (BigQuery).
``Transactional`` adds what is alike where statements run one by one in a transaction; a database of that kind says only
how it runs a statement, what its catalogue knows of a table, and how rows come in from a file.

The conditions that pick rows are made of constants of ours: ids, quoted, and days. Other values are parameters.
"""

from __future__ import annotations

import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from owox_tiktok.cursors import (
    RECORD,
    Part,
    Record,
    Table,
    check_rows,
    check_step,
    known,
    last_cursors,
    new_table_id,
    table_of,
)
from owox_tiktok.destinations import history
from owox_tiktok.destinations.proofs import KeepsProofsInTransactions
from owox_tiktok.dialects import CURSORS, MARK, SEALS, Dialect
from owox_tiktok.errors import StoreFailed
from owox_tiktok.model import (
    Chunk,
    Cursor,
    Failure,
    Field,
    Kind,
    Known,
    Seal,
    Sealed,
    Seals,
    Stored,
    Stream,
    Window,
    utc,
)
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust import changes
from owox_tiktok.trust.kept import BESIDES
from owox_tiktok.trust.seals import (
    NOTHING,
    STORED_OF,
    STORED_SINCE,
    Rest,
    Span,
    forget_sql,
    in_order,
    insert_sql,
    of_recount,
    of_row,
    of_step,
    recount_sql,
    recounted,
    spans_of,
    spans_of_days,
    stored_of_sql,
    stored_since_sql,
    stored_sql,
)
from owox_tiktok.trust.seals import RECORD as SEAL_RECORD
from owox_tiktok.trust.seals import STORED as STORED_SEAL
from owox_tiktok.views import View

ABOUT_SEALS = f"{MARK}: what was stored of each day"
OWN_VALUES = "_owox_tiktok_own"
"""A table within one transaction: the values of a person's columns, by key."""
ABOUT_CURSORS = f"{MARK}: how far each object of an advertiser is read"

SYNCED_AT = Part(
    "_synced_at",
    Kind.INSTANT,
    "When the row was written; it stays while its day, or in a list the row, does not change",
)
RUN_ID = Part("_run_id", Kind.TEXT, "The run that wrote the row then")
STAMPS = (SYNCED_AT, RUN_ID)
"""Columns of our own that end every row. They are set in SQL, are in no row file and part of no seal; null in rows that
a version without them has written."""
CHANGED_ROWS = "_owox_tiktok_changed"
"""A table within one transaction: the rows of a list that are not stored as they came."""


@dataclass(frozen=True, slots=True)
class Found:
    """A table or view as it is now: the type of each column, whether this program made it, and the table's id."""

    types: Mapping[str, str]
    ours: bool
    id: str = ""
    is_view: bool = False


class SqlDestination(ABC):
    """The part of a destination that does not depend on how its database runs statements."""

    dialect: Dialect
    other_place = "database"
    """What people can take another of when a name is taken."""
    moment = "now()"
    """SQL for the moment at which rows are written."""
    newest = ""
    """The column by which the last row of a day counts in the table of days, where rows are only added there."""

    def __init__(self, name: str) -> None:
        self._name = name
        """What it is called in sentences."""
        self.history: frozenset[str] = frozenset()
        """Lists whose history is kept, see ``history``."""
        self.run_id = uuid.uuid4().hex[:12]
        """What rows say of who has written them: the run, where it has a name, else this opening of the destination."""
        self._covered: Mapping[tuple[str, str], Cursor] = {}
        """The cursors that the run goes by, which say where stored seals count; none before it has asked for them."""
        self._sealed: dict[tuple[str, str, str], dict[date | None, Sealed]] = {}
        """Stored seals by object, advertiser and table, from ``_sealed_from`` on."""
        self._sealed_from: date | None = None

    # --- what each database does in its own way -----------------------------------------------------------------------

    @abstractmethod
    def _sentences(self, stream: Stream | None = None) -> AbstractContextManager[None]:
        """The database's own errors become StoreFailed, which says where."""

    @abstractmethod
    def _transaction(self, stream: Stream | None = None) -> AbstractContextManager[None]:
        """All or nothing, and errors as in ``_sentences``."""

    @abstractmethod
    def _found(self, name: str) -> Found | None:
        """Return a table or view, whoever made it; None when there is none."""

    @abstractmethod
    def _ours(self) -> Iterable[str]:
        """Return the names of all tables that this program made and keeps."""

    @abstractmethod
    def _create(self, name: str, description: str, parts: Sequence[Part], stream: Stream | None) -> None:
        """Create a table; ``stream`` is what it is for, None for one of our own."""

    @abstractmethod
    def _add(self, name: str, parts: Sequence[Part]) -> None:
        """Add columns to a table; old rows have null there."""

    @abstractmethod
    def _records(self, stream: Stream | None = None) -> list[Record]:
        """Return what is stored of every pair, or of those of a stream."""

    @abstractmethod
    def _keep(self, stream: Stream, records: Collection[Record]) -> None:
        """Store records of a stream in place of those there were; one that says nothing takes its pair away."""

    @abstractmethod
    def _count(self, stream: Stream, where: str) -> int:
        """Return how many rows of the stream's table a condition picks."""

    @abstractmethod
    def _delete(self, stream: Stream, spans: Collection[Span], where: str, records: Collection[Record]) -> int:
        """Delete rows and seals of the days, and keep the records, all or nothing; return how many rows there were.

        ``where`` is the condition for those rows.
        """

    @abstractmethod
    def _stored_seals(self, stream: Stream, advertiser_id: str, table_id: str) -> Iterable[Sequence[Any]]:
        """Return the stored seals of a pair and table, in the columns of ``STORED``."""

    @abstractmethod
    def _seals_since(self, first: date) -> Iterable[Sequence[Any]]:
        """Return the stored seals of all objects from a day on, in the columns of ``STORED_SINCE``."""

    @abstractmethod
    def _counted(self, stream: Stream, statement: str) -> Iterable[Sequence[Any]]:
        """Return the rows of a query over the stream's table."""

    @abstractmethod
    def _unseal(self, stream: Stream, spans: Collection[Span]) -> None:
        """Delete the seals of these days; rows stay."""

    @abstractmethod
    def _make_view(self, view: View) -> None:
        """Create the view, or replace ours."""

    def _type(self, part: Part) -> str:
        """Return the type of a column as ``Found`` calls it."""
        kind = self.dialect.types[part.kind]
        return self.dialect.list_of.format(kind) if part.many else kind

    def _adopted(self, stream: Stream, there: Found) -> Found:
        """Give a table that a version without ids made its id; its records get it, too."""
        return there

    def _stamps(self) -> dict[str, str]:
        """Return the names of ``STAMPS``, each with the SQL for its value in a row that is written now."""
        return {SYNCED_AT.name: self.moment, RUN_ID.name: self.dialect.text(self.run_id)}

    # --- cursors ------------------------------------------------------------------------------------------------------

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair; a cursor counts only for the table and the columns it speaks of."""
        with self._sentences():
            known = self._known(self._records())
        self._covered = {pair: one.cursor for pair, one in known.items() if one.cursor}
        self._sealed_from = None
        return known

    def _known(self, records: Iterable[Record]) -> dict[tuple[str, str], Known]:
        records = list(records)
        tables = {name: self._table(name) for name in {record.object for record in records if record.cursor}}
        found = {record.pair: known(record, tables.get(record.object)) for record in records}
        return {pair: one for pair, one in found.items() if one != Known()}

    def _table(self, object_name: str) -> Table | None:
        found = self._found(table_of(object_name))
        return Table(found.id, found.types) if found and found.ours else None

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        """Forget cursors and failures of these pairs, so that the next import reads all of them again; rows stay."""
        if advertiser_ids:
            with self._transaction(stream):
                self._unseal(stream, [(advertiser_id, None, None) for advertiser_id in advertiser_ids])
                self._keep(stream, [Record(stream.name, advertiser_id) for advertiser_id in advertiser_ids])

    # --- tables -------------------------------------------------------------------------------------------------------

    def columns(self) -> dict[str, frozenset[str]]:
        """Return the columns of every table here that is ours, the cursors' included."""
        with self._sentences():
            tables = {name: self._found(name) for name in self._ours()}
        return {name: frozenset(found.types) for name, found in tables.items() if found}

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Create the stream's table, or add the columns it lacks; refuse a table that is not ours."""
        with self._transaction(stream):
            parts = [*parts_of(stream, columns), *STAMPS]
            self._make_ready(stream.table, f"{MARK}: {stream.description}", parts, stream)
            if stream.name in self.history:
                self._make_history(stream, columns)

    def _make_history(self, stream: Stream, columns: Sequence[Field]) -> None:
        about = f"{MARK}: every version of the rows of {stream.table}"
        self._make_ready(history.table_of(stream), about, [*parts_of(stream, columns), *history.ENDS, *STAMPS])

    def _history_of(self, chunks: Sequence[Chunk], incoming: str) -> list[str]:
        """Return the statements for the history of chunks of a list, to follow those that store it; none without.

        ``incoming`` stands behind FROM for the rows that came, empty where none did. Accounts whose list is stored as
        it was read have exactly its rows in the table.
        """
        stream = chunks[0].stream
        if stream.name not in self.history:
            return []
        names = ", ".join(self.dialect.name(f.name) for f in chunks[0].columns)
        kept = [chunk.advertiser_id for chunk in chunks if chunk.kept]
        parts = [f"SELECT {names} FROM {incoming}"] if incoming else []
        if kept or not parts:
            whose = self._whose(stream, kept, None) if kept else "FALSE"
            parts.append(f"SELECT {names} FROM {self.dialect.table(stream.table)} WHERE {whose}")
        listed = f"({' UNION ALL '.join(parts)})"
        return history.statements(self.dialect, stream, chunks, listed, self._stamps().items())

    def _make_ready(self, name: str, description: str, parts: Sequence[Part], stream: Stream | None = None) -> None:
        there = self._found(name)
        if there is None:
            self._create(name, description, parts, stream)
            return
        self._refuse(name, there, parts)
        if stream:
            there = self._adopted(stream, there)
        missing = [part for part in parts if part.name not in there.types]
        if missing:
            if stream:
                self._settle(stream, there)
            self._add(name, missing)

    def _refuse(self, name: str, there: Found, parts: Sequence[Part]) -> None:
        """Raise StoreFailed for a table that somebody else made, or whose columns are not what they should be."""
        if there.is_view or not there.ours:
            raise StoreFailed(
                f"there is a table {name} that this program did not make",
                where=self._name,
                what_to_do=f"Rename that table, or use another {self.other_place}.",
            )
        for part in sorted(parts, key=lambda part: part.name not in there.types):
            type_ = there.types.get(part.name)
            if type_ is None and part.required:
                what = f"column {part.name} of {name} no longer exists, and rows are known by it"
            elif type_ not in (None, self._type(part)):
                what = f"column {part.name} of {name} is {type_} but should be {self._type(part)}"
            else:
                continue
            what_to_do = "Rename the table, and the next import fills a new one."
            raise StoreFailed(what, where=self._name, what_to_do=what_to_do)

    def _settle(self, stream: Stream, there: Found) -> None:
        """Write down what the cursors of a stream still say, before a new column makes their table look whole."""
        table = Table(there.id, there.types)
        now = ((record, known(record, table)) for record in self._records(stream) if record.table_id == there.id)
        lost = [replace(record, cursor=still.cursor) for record, still in now if still.lost]
        if lost:
            self._keep(stream, lost)

    # --- views --------------------------------------------------------------------------------------------------------

    def create_views(self, views: Sequence[View]) -> list[str]:
        """Create or replace the views; return the names of those left alone, because somebody else made them."""
        alone = []
        with self._transaction():
            for view in views:
                there = self._found(view.name)
                if there is None or (there.ours and there.is_view):
                    self._make_view(view)
                else:
                    alone.append(view.name)
        return alone

    # --- seals --------------------------------------------------------------------------------------------------------

    def seals(self, stream: Stream, advertiser_id: str) -> dict[date | None, Sealed]:
        """Return the seals that were stored with the rows of a pair, by day; they count only for their own table."""
        with self._sentences(stream):
            table = self._table(stream.name)
            rows = self._stored_seals(stream, advertiser_id, table.id) if table else []
        return dict(of_row(dict(zip(STORED_SEAL, row, strict=True))) for row in rows)

    def recount(self, stream: Stream, advertiser_id: str, window: Window | None = None) -> dict[date | None, Seal]:
        """Return the seals of the rows as they stand there now, of the window or all; days without rows have none."""
        stored = self.seals(stream, advertiser_id)
        whose = self._whose(stream, [advertiser_id], window)

        def count(columns: Sequence[Field]) -> Seals:
            if not stored and (found := self._found(stream.table)):  # no seal says which columns it is about
                columns = [c for c in columns if c.name in found.types]
            return self._found_seals(stream, columns, whose).get(advertiser_id, {})

        with self._sentences(stream):
            return recounted(stream, stored, window, count)

    def standing(
        self, stream: Stream, spans: Sequence[tuple[str, Window]]
    ) -> dict[str, tuple[dict[date | None, Sealed], Seals]]:
        """Return the stored seals, and those of the rows as they are now, of days of accounts, by account.

        However many accounts: one query for what is stored, and one for what is there (more where the columns differ).
        """
        stored: dict[str, dict[date | None, Sealed]] = {advertiser_id: {} for advertiser_id, _ in spans}
        found: dict[str, dict[date | None, Seal]] = {advertiser_id: {} for advertiser_id, _ in spans}
        with self._sentences(stream):
            table = self._found(stream.table)
            if table is None or not spans:
                return {}
            if self._found(SEALS):
                whole = Window(min(w.first for _, w in spans), max(w.last for _, w in spans))
                for row in self._asked(
                    stored_of_sql(self.dialect, stream, stored, whole, table.id, newest=self.newest)
                ):
                    values = dict(zip(STORED_OF, row, strict=True))
                    day, sealed = of_row(values)
                    stored[values["advertiser_id"]][day] = sealed
            kinds: dict[tuple[str, ...], list[Span]] = {}
            for advertiser_id, window in spans:
                days = stored[advertiser_id]
                # Days of old may lack a field that was chosen later; a day without a seal is counted as its neighbours.
                all_of_them = tuple(n for n in stream.fields if n in table.types)
                usual = next((days[day].fields for day in window if day in days), all_of_them)
                for fields in dict.fromkeys([usual, *(days[day].fields for day in window if day in days)]):
                    of = (d for d in window if (days[d].fields if d in days else usual) == fields)
                    kinds.setdefault(fields, []).extend(spans_of_days(advertiser_id, of))
            for fields, some in kinds.items():
                columns = in_order(stream.fields[n] for n in fields if n in stream.fields)
                for advertiser_id, seals in self._found_seals(
                    stream, columns, condition(self.dialect, stream, some)
                ).items():
                    found.setdefault(advertiser_id, {}).update(seals)
        return {advertiser_id: (stored[advertiser_id], found[advertiser_id]) for advertiser_id in stored}

    def _whose(self, stream: Stream, advertiser_ids: Iterable[str], window: Window | None) -> str:
        """Return the condition for the rows of accounts, of the window or all."""
        if stream.per_app:
            return "TRUE"
        days = (window.first, window.last) if window else (None, None)
        return condition(self.dialect, stream, [(advertiser_id, *days) for advertiser_id in advertiser_ids])

    def _found_seals(self, stream: Stream, columns: Sequence[Field], where: str) -> dict[str, dict[date | None, Seal]]:
        """Return the seals of the rows that a condition picks, by advertiser and day."""
        found = self._found(stream.table)
        if found is None:
            return {}
        sql = recount_sql(self.dialect, stream, columns, found.types, where)
        return of_recount(stream, self._counted(stream, sql))

    # --- only what changed --------------------------------------------------------------------------------------------

    def _unchanged(self, chunks: Sequence[Chunk]) -> list[dict[date | None, Sealed]]:
        """Return for each chunk the days whose stored seal says that their rows are stored as they are in its file."""
        stream = chunks[0].stream
        cursors = [self._covered.get((stream.name, chunk.advertiser_id)) for chunk in chunks]
        table = self._table(stream.name) if any(cursors) else None
        if table is None:
            return [{} for _ in chunks]
        first = min(c.read_at.date() - changes.LOOK_BACK for c in chunks)
        self._read_seals(min([first, *(c.window.first for c in chunks if c.window and stream.time)]))
        return [
            changes.unchanged(chunk, cursor, self._sealed.get((stream.name, chunk.advertiser_id, table.id), {}))
            for chunk, cursor in zip(chunks, cursors, strict=True)
        ]

    def _read_seals(self, first: date) -> None:
        """Read the stored seals from a day on: once per run and for all objects, where no step goes back further."""
        if self._sealed_from is not None and self._sealed_from <= first:
            return
        self._sealed = {}
        lists: dict[tuple[str, ...], tuple[str, ...]] = {}  # thousands of days have the same columns
        for row in self._seals_since(first):
            values = dict(zip(STORED_SINCE, row, strict=True))
            day, sealed = of_row(values)
            sealed = replace(sealed, fields=lists.setdefault(sealed.fields, sealed.fields))
            self._sealed.setdefault((values["object"], values["advertiser_id"], values["table_id"]), {})[day] = sealed
        self._sealed_from = first

    # --- accounts -----------------------------------------------------------------------------------------------------

    def account_names(self) -> dict[str, str]:
        """Return the names of ad accounts by their ids, as they were imported last; empty where none were."""
        stream = STREAMS["advertisers"]
        with self._sentences(stream):
            found = self._found(stream.table)
            if found is None or not found.types.keys() >= {"advertiser_id", "name"}:
                return {}
            statement = f"SELECT advertiser_id, name FROM {self.dialect.table(stream.table)} WHERE name IS NOT NULL"
            return {str(advertiser_id): str(name) for advertiser_id, name in self._counted(stream, statement)}

    # --- pruning ------------------------------------------------------------------------------------------------------

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count."""
        if stream.time is None or not keep_from:
            return 0
        spans = [(advertiser_id, None, day - timedelta(days=1)) for advertiser_id, day in keep_from.items()]
        old = condition(self.dialect, stream, spans)
        with self._transaction(stream):
            if self._found(stream.table) is None:
                return 0
            count = self._count(stream, old)
            if dry_run or not count:
                return count
            # A cursor says which days are here, so it lets go of the same days.
            records = [r for r in self._records(stream) if r.advertiser_id in keep_from]
            left = {pair: one.cursor for pair, one in self._known(records).items() if one.cursor}
            kept = [
                replace(r, cursor=left[r.pair].without_days_before(keep_from[r.advertiser_id]))
                for r in records
                if r.pair in left
            ]
            return self._delete(stream, spans, old, kept)

    # --- accounts that leave ------------------------------------------------------------------------------------------

    def remove(self, advertiser_ids: Collection[str], *, dry_run: bool) -> dict[str, int]:
        """Delete all rows of these accounts, in every table of ours, all or nothing; dry: only count.

        Tables of objects that are not imported any more, of histories, cursors and seals are among them.
        """
        if not advertiser_ids:
            return {}
        with self._transaction():
            found = {name: self._found(name) for name in sorted(self._ours())}
            tables = [name for name, one in found.items() if one and "advertiser_id" in one.types]
            where = f"advertiser_id IN ({', '.join(map(self.dialect.text, sorted(advertiser_ids)))})"
            counts = {name: n for name, n in self._count_each(tables, where).items() if n} if tables else {}
            if counts and not dry_run:
                deletes = [f"DELETE FROM {self.dialect.table(name)} WHERE {where}" for name in counts]
                # A list of the whole app has one seal, which does not speak of what is left.
                apps = [s for s in STREAMS.values() if s.per_app and s.table in counts and SEALS in tables]
                deletes += [forget_sql(self.dialect, s, [("", None, None)]) for s in apps]
                self._run_all(deletes)
        return counts

    def _count_each(self, tables: Sequence[str], where: str) -> dict[str, int]:
        """Return how many rows of each table a condition picks."""
        text, table = self.dialect.text, self.dialect.table
        each = (f"SELECT {text(name)}, COUNT(*) FROM {table(name)} WHERE {where}" for name in tables)
        return {str(name): int(n) for name, n in self._asked(" UNION ALL ".join(each))}

    @abstractmethod
    def _asked(self, statement: str) -> Iterable[Sequence[Any]]:
        """Return the rows of a query over any of our tables."""

    @abstractmethod
    def _run_all(self, statements: Sequence[str]) -> None:
        """Run statements that delete, all or nothing."""


class Transactional(SqlDestination, KeepsProofsInTransactions):
    """A destination whose statements run one by one, in transactions; a table's id ends its comment, in brackets."""

    # --- what each database does in its own way -----------------------------------------------------------------------

    @abstractmethod
    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement, with ``$1`` for the first of the values, and return its rows."""

    @abstractmethod
    def _changed(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement that inserts or deletes, and return how many rows it did that to."""

    @abstractmethod
    def _incoming(self, chunks: Sequence[Chunk]) -> str:
        """Return what stands for the chunks' rows behind FROM; they have at least one."""

    # --- cursors ------------------------------------------------------------------------------------------------------

    def _make_cursors(self) -> None:
        """Make the tables of cursors and seals, or add the columns that an earlier version did not have."""
        with self._transaction():
            self._make_ready(CURSORS, ABOUT_CURSORS, RECORD)
            self._make_ready(SEALS, ABOUT_SEALS, (*SEAL_RECORD, *BESIDES))
            self._make_proofs()

    def _records(self, stream: Stream | None = None) -> list[Record]:
        there = self._found(CURSORS)
        if there is None:
            return []
        names = [part.name for part in RECORD if part.name in there.types]
        # A moment with a zone comes as one of Python's only where its driver has the zones.
        instants = {part.name for part in RECORD if part.kind is Kind.INSTANT}
        name, hour = self.dialect.name, self.dialect.types[Kind.HOUR]
        picked = [f"CAST({name(n)} AT TIME ZONE 'UTC' AS {hour})" if n in instants else name(n) for n in names]
        where = f" WHERE object = {self.dialect.text(stream.name)}" if stream else ""
        found = self._rows(f"SELECT {', '.join(picked)} FROM {self.dialect.table(CURSORS)}{where}")
        return [Record.of(dict(zip(names, row, strict=True))) for row in found]

    def _keep(self, stream: Stream, records: Collection[Record]) -> None:
        table = self.dialect.table(CURSORS)
        for record in records:
            self._changed(f"DELETE FROM {table} WHERE object = $1 AND advertiser_id = $2", record.pair)
            if record.cursor or record.failure:
                values = record.values()
                names = ", ".join(map(self.dialect.name, values))
                places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
                self._changed(f"INSERT INTO {table} ({names}) VALUES ({places})", list(values.values()))

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read."""
        with self._transaction(stream):
            had = {r.advertiser_id: r for r in self._records(stream)}.get(advertiser_id)
            record = had or Record(stream.name, advertiser_id)
            self._keep(stream, [replace(record, failure=Failure(error, utc(at)))])

    # --- tables -------------------------------------------------------------------------------------------------------

    def _create(self, name: str, description: str, parts: Sequence[Part], stream: Stream | None) -> None:
        columns = [f"{self._column(part)}{' NOT NULL' * part.required}" for part in parts]
        self._rows(f"CREATE TABLE {self.dialect.table(name)} ({', '.join(columns)})")
        self._comment("TABLE", name, with_id(description, new_table_id()) if stream else description)
        self._describe(name, parts)

    def _add(self, name: str, parts: Sequence[Part]) -> None:
        for part in parts:
            self._rows(f"ALTER TABLE {self.dialect.table(name)} ADD COLUMN {self._column(part)}")
        self._describe(name, parts)

    def _column(self, part: Part) -> str:
        return f"{self.dialect.name(part.name)} {self._type(part)}"

    def _comment(self, kind: str, name: str, text: str) -> None:
        self._rows(f"COMMENT ON {kind} {self.dialect.table(name)} IS {self.dialect.text(text)}")

    def _describe(self, name: str, columns: Iterable[Field | Part]) -> None:
        for column in columns:
            place = f"{self.dialect.table(name)}.{self.dialect.name(column.name)}"
            self._rows(f"COMMENT ON COLUMN {place} IS {self.dialect.text(column.description)}")

    # --- the two verbs ------------------------------------------------------------------------------------------------

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window exactly its rows, and store the cursors, in one transaction."""
        check_step(chunks)
        return self._store(chunks)

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows by key, and store the cursors, in one transaction."""
        check_step(chunks)
        return self._store(chunks)

    def _store(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Delete what each chunk takes the place of, insert, count, and move the cursors."""
        stream = chunks[0].stream
        with self._transaction(stream):
            chunks = self._narrowed(chunks)
            own = self._put_aside(stream, chunks)
            rest: Rest = {}
            if stream.verb == "replace":
                gone = self._replaced(chunks)
            else:
                gone = self._merged(chunks)
                rest = self._rest(chunks)
                filled = [chunk for chunk in chunks if chunk.rows_to_write]
                for statement in self._history_of(chunks, self._incoming(filled) if filled else ""):
                    self._changed(statement)
            self._give_back(stream, own)
            held = [self._count(stream, self._picks(chunk)) for chunk in chunks]
            for chunk, rows in zip(chunks, held, strict=True):
                check_rows([chunk], rows)
            found = self._found(stream.table)
            moved = last_cursors(chunks)
            table_id = found.id if found else ""
            self._keep(stream, [Record(stream.name, a, c, table_id=table_id) for a, c in moved.items()])
            self._keep_restated(chunks, rest, table_id)
            self._seal(chunks, rest, table_id)
            self._keep_confirmed(chunks)
        return [changes.stored(*each) for each in zip(chunks, held, gone, strict=True)]

    def _replaced(self, chunks: Sequence[Chunk]) -> list[int]:
        """Put the rows of chunks in the place of those of their days; return how many each had."""
        stream = chunks[0].stream
        table = self.dialect.table(stream.table)
        gone = [self._changed(f"DELETE FROM {table} WHERE {self._picks(chunk)}") for chunk in chunks]
        filled = [chunk for chunk in chunks if chunk.rows_to_write]
        came = 0
        if filled:
            incoming = self._incoming(filled)
            if any(chunk.kept for chunk in filled):
                incoming += f" WHERE {condition(self.dialect, stream, spans_of(filled))}"
            came = self._insert(stream, filled[0].columns, incoming)
        check_rows(chunks, came)
        return gone

    def _merged(self, chunks: Sequence[Chunk]) -> list[int]:
        """Add rows of chunks, or put them in the place of those with their key; return how many were replaced.

        A row that is there as it came stays, with its stamps. The first of the chunks stands for all.
        """
        filled = [chunk for chunk in chunks if chunk.rows_to_write]
        replaced = 0
        if filled:
            stream, name = filled[0].stream, self.dialect.name
            table, changed = self.dialect.table(stream.table), self.dialect.name(CHANGED_ROWS)
            names = ", ".join(name(f.name) for f in filled[0].columns)
            keys = ", ".join(map(name, stream.keys))
            whose = self._whose(stream, [chunk.advertiser_id for chunk in filled], None)
            incoming = self._incoming(filled)
            same_key = " AND ".join(f"{table}.{name(key)} = came.{name(key)}" for key in stream.keys)
            doubled = f"SELECT {keys} FROM {table} WHERE {whose} GROUP BY {keys} HAVING count(*) > 1"
            if self._rows(f"{doubled} LIMIT 1"):  # a person's copy: which of the two is right, the list says
                replaced += self._changed(
                    f"DELETE FROM {table} WHERE ({keys}) IN ({doubled}) "
                    f"AND EXISTS (SELECT 1 FROM {incoming} AS came WHERE {same_key})"
                )
            # By its key a row is found at once; a key is never null.
            same = " AND ".join(
                f"had.{name(f.name)} {'=' if f.name in stream.keys else 'IS NOT DISTINCT FROM'} came.{name(f.name)}"
                for f in filled[0].columns
            )
            self._rows(
                f"CREATE TEMP TABLE {changed} AS SELECT {names} FROM {incoming} AS came WHERE NOT EXISTS "
                f"(SELECT 1 FROM (SELECT {names} FROM {table} WHERE {whose}) AS had WHERE {same})"
            )
            replaced += self._changed(
                f"DELETE FROM {table} WHERE EXISTS (SELECT 1 FROM {changed} AS came WHERE {same_key})"
            )
            self._insert(stream, filled[0].columns, changed)
            self._rows(f"DROP TABLE {changed}")
        return [replaced if n == 0 else 0 for n, _ in enumerate(chunks)]

    def _insert(self, stream: Stream, columns: Sequence[Field], rows: str) -> int:
        """Insert what stands behind FROM, stamped; return how many rows that were."""
        names, stamps = ", ".join(self.dialect.name(f.name) for f in columns), self._stamps()
        return self._changed(
            f"INSERT INTO {self.dialect.table(stream.table)} ({names}, {', '.join(map(self.dialect.name, stamps))}) "
            f"SELECT {names}, {', '.join(stamps.values())} FROM {rows}"
        )

    def _put_aside(self, stream: Stream, chunks: Sequence[Chunk]) -> list[str]:
        """Keep the values of columns that a person has added, by key, while rows are replaced.

        Returns those columns, quoted; a person's names are not ours. Which of two rows with the same key a value
        belongs to cannot be known.
        """
        found = self._found(stream.table)
        # A name that begins with an underscore is none of a person's.
        names = [n for n in found.types if n not in stream.fields and not n.startswith("_")] if found else []
        own = ['"' + n.replace('"', '""') + '"' for n in names]
        where = self._touched(stream, chunks)
        if not own or not where:
            return []
        keys = ", ".join(map(self.dialect.name, stream.keys))
        values = ", ".join(f"{self.dialect.any_value.format(n)} AS {n}" for n in own)
        self._rows(
            f"CREATE TEMP TABLE {OWN_VALUES} AS SELECT {keys}, {values} FROM {self.dialect.table(stream.table)} "
            f"WHERE {where} GROUP BY {keys} HAVING count(*) = 1"
        )
        return own

    def _give_back(self, stream: Stream, own: Sequence[str]) -> None:
        """Write into rows that are there again what was put aside of them."""
        if not own:
            return
        name, table = self.dialect.name, self.dialect.table(stream.table)
        values = ", ".join(f"{n} = aside.{n}" for n in own)
        same = " AND ".join(f"{table}.{name(k)} = aside.{name(k)}" for k in stream.keys)
        self._rows(f"UPDATE {table} SET {values} FROM {OWN_VALUES} AS aside WHERE {same}")
        self._rows(f"DROP TABLE {OWN_VALUES}")

    def _touched(self, stream: Stream, chunks: Sequence[Chunk]) -> str:
        """Return the condition for the rows that may be replaced by chunks; empty where there are none."""
        if stream.verb == "upsert":
            whose = [chunk.advertiser_id for chunk in chunks if chunk.rows_to_write]
            return self._whose(stream, whose, None) if whose else ""
        spans = spans_of(chunks)
        return condition(self.dialect, stream, spans) if spans else ""

    def _narrowed(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return the chunks so that days stay which are stored as they were read, counted again in the table.

        What costs nothing to look at need not be believed.
        """
        found = self._unchanged(chunks)
        if not any(found):
            return list(chunks)
        stream = chunks[0].stream
        spans = [
            span
            for c, days in zip(chunks, found, strict=True)
            for span in spans_of_days(c.advertiser_id, sorted(days, key=str))
        ]
        where = "TRUE" if stream.per_app else condition(self.dialect, stream, spans)
        there = self._found_seals(stream, chunks[0].columns, where)
        return [
            changes.keeping(
                chunk,
                {d: s for d, s in days.items() if there.get(chunk.advertiser_id, {}).get(d, NOTHING) == s.seal},
            )
            for chunk, days in zip(chunks, found, strict=True)
        ]

    def _picks(self, chunk: Chunk) -> str:
        """Return the condition for the rows that a chunk takes the place of, and that are its own afterwards."""
        stream = chunk.stream
        if stream.verb == "replace":
            spans = spans_of([chunk])
            return condition(self.dialect, stream, spans) if spans else "FALSE"
        if not chunk.rows_to_write:
            return "FALSE"
        table, name = self.dialect.table(stream.table), self.dialect.name
        same = " AND ".join(f"{table}.{name(key)} = incoming.{name(key)}" for key in stream.keys)
        return f"EXISTS (SELECT 1 FROM {self._incoming([chunk])} AS incoming WHERE {same})"

    # --- seals --------------------------------------------------------------------------------------------------------

    def _seal(self, chunks: Sequence[Chunk], rest: Rest, table_id: str) -> None:
        """Store the seals of chunks in place of those of the same days."""
        stream = chunks[0].stream
        if all(chunk.kept and not spans_of([chunk]) for chunk in chunks):
            return
        self._changed(forget_sql(self.dialect, stream, spans_of(chunks), table_id))
        for statement in insert_sql(self.dialect, chunks, of_step(chunks, rest), table_id):
            self._changed(statement)

    def _unseal(self, stream: Stream, spans: Collection[Span]) -> None:
        self._changed(forget_sql(self.dialect, stream, spans))

    def _rest(self, chunks: Sequence[Chunk]) -> Rest:
        """Return the seals of the accounts' rows that are not among those of the chunks, which an upsert leaves."""
        stream, name = chunks[0].stream, self.dialect.name
        where = self._whose(stream, [chunk.advertiser_id for chunk in chunks], None)
        if filled := [chunk for chunk in chunks if chunk.rows_to_write]:
            same = " AND ".join(f"came.{name(key)} = t.{name(key)}" for key in stream.keys)
            where += f" AND NOT EXISTS (SELECT 1 FROM {self._incoming(filled)} AS came WHERE {same})"
        return self._found_seals(stream, chunks[0].columns, where)

    def _stored_seals(self, stream: Stream, advertiser_id: str, table_id: str) -> list[tuple[Any, ...]]:
        if self._found(SEALS) is None:
            return []
        return self._rows(stored_sql(self.dialect, stream, advertiser_id, table_id))

    def _seals_since(self, first: date) -> list[tuple[Any, ...]]:
        return self._rows(stored_since_sql(self.dialect, first)) if self._found(SEALS) else []

    def _counted(self, stream: Stream, statement: str) -> list[tuple[Any, ...]]:
        return self._rows(statement)

    def _asked(self, statement: str) -> list[tuple[Any, ...]]:
        return self._rows(statement)

    def _run_all(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self._changed(statement)

    # --- views and pruning --------------------------------------------------------------------------------------------

    def _make_view(self, view: View) -> None:
        self._rows(self.dialect.create_view(view.name, view.sql))
        self._comment("VIEW", view.name, f"{MARK}: {view.description}")
        self._describe(view.name, view.fields)

    def _count(self, stream: Stream, where: str) -> int:
        return int(self._rows(f"SELECT count(*) FROM {self.dialect.table(stream.table)} WHERE {where}")[0][0])

    def _delete(self, stream: Stream, spans: Collection[Span], where: str, records: Collection[Record]) -> int:
        gone = self._changed(f"DELETE FROM {self.dialect.table(stream.table)} WHERE {where}")
        self._keep(stream, records)
        self._changed(forget_sql(self.dialect, stream, spans))
        return gone

    def row_counts(self, stream: Stream) -> dict[str, int]:
        """Return how many rows of the stream each advertiser has here; empty where there is no table."""
        with self._sentences(stream):
            found = self._found(stream.table)
            if found is None or "advertiser_id" not in found.types:
                return {}
            table = self.dialect.table(stream.table)
            return dict(self._rows(f"SELECT advertiser_id, count(*) FROM {table} GROUP BY advertiser_id"))


def parts_of(stream: Stream, columns: Sequence[Field]) -> list[Part]:
    """Return the columns of a stream's table; its keys are never null."""
    return [Part(f.name, f.kind, f.description, required=f.name in stream.keys) for f in columns]


def with_id(comment: str, table_id: str) -> str:
    """Return a table's comment with its id at the end."""
    return f"{comment} [{table_id}]"


def id_in(comment: str) -> str:
    """Return the id that ends a table's comment, in brackets; empty for a table that the first version made."""
    found = re.search(r" \[([0-9a-f]{12})\]$", comment)
    return found[1] if found else ""


# --- conditions -------------------------------------------------------------------------------------------------------

Days = tuple[date | None, date | None]
"""First and last, both included; None: from the beginning, to the end."""


def condition(dialect: Dialect, stream: Stream, spans: Iterable[tuple[str, date | None, date | None]]) -> str:
    """Return the condition for the rows of (advertiser, first day or None, last day or None), both included.

    Days are compared as they are stored: wall clock. The outermost days stand before all else as constants, so that
    a database that keeps days apart skips every other one, whatever the rest says.
    """
    by_advertiser: dict[str, list[Days]] = {}
    for advertiser_id, first, last in spans:
        windows = by_advertiser.setdefault(advertiser_id, [])
        before = windows[-1] if windows else None
        if before and before[1] and first == before[1] + timedelta(days=1):
            windows[-1] = (before[0], last)
        else:
            windows.append((first, last))
    alike: dict[tuple[Days, ...], list[str]] = {}
    for advertiser_id, windows in by_advertiser.items():
        alike.setdefault(tuple(windows), []).append(advertiser_id)
    parts = []
    for windows_of, ids in alike.items():
        whose = f"{dialect.name('advertiser_id')} IN ({', '.join(map(dialect.text, sorted(ids)))})"
        days = [_between(dialect, stream, window) for window in windows_of]
        if not all(days):
            parts.append(whose)
        else:
            either = days[0] if len(days) == 1 else "(" + " OR ".join(f"({d})" for d in days) + ")"
            parts.append(f"{whose} AND {either}")
    if len(parts) == 1 and (stream.time is None or len(next(iter(alike))) == 1):
        return parts[0]
    bounds = _bounds(dialect, stream, [window for windows in alike for window in windows])
    either = " OR ".join(f"({part})" for part in parts)
    return f"{bounds} AND ({either})" if bounds else either


def outermost(dialect: Dialect, stream: Stream, spans: Iterable[tuple[str, date | None, date | None]]) -> str:
    """Return the condition for the outermost days of spans, for rows called ``t``; TRUE where they have none."""
    bounds = _bounds(dialect, stream, [(first, last) for _, first, last in spans])
    return (
        bounds.replace(dialect.name(stream.time), f"t.{dialect.name(stream.time)}")
        if bounds and stream.time
        else "TRUE"
    )


def _bounds(dialect: Dialect, stream: Stream, windows: Sequence[Days]) -> str:
    firsts, lasts = [first for first, _ in windows], [last for _, last in windows]
    outermost = (
        None if None in firsts else min(first for first in firsts if first),
        None if None in lasts else max(last for last in lasts if last),
    )
    return _between(dialect, stream, outermost)


def _between(dialect: Dialect, stream: Stream, days: Days) -> str:
    """Return the condition for days, constant and on the column that dates a row alone; empty where there are none."""
    if stream.time is None:
        return ""
    first, last = days
    column, kind = dialect.name(stream.time), stream.fields[stream.time].kind
    conditions = []
    if first is not None:
        conditions.append(f"{column} >= {dialect.midnight(first, kind)}")
    if last is not None:
        conditions.append(f"{column} < {dialect.midnight(last + timedelta(days=1), kind)}")
    return " AND ".join(conditions)
