"""The dataset as a destination: cursors, the two verbs, seals and pruning. Tables as such are in ``tables``."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any

import google.api_core.exceptions as refusals
import google.cloud.bigquery as bq

from owox_tiktok.cursors import Record, check_rows, check_step, last_cursors, table_of
from owox_tiktok.destinations.bigquery.address import Address
from owox_tiktok.destinations.bigquery.advice import (
    CHANGED,
    HELD,
    LABEL,
    OVERTAKEN,
    held_in,
)
from owox_tiktok.destinations.bigquery.proofs import Proofs, seal_sql, to_note
from owox_tiktok.destinations.bigquery.sql import (
    ROWS_OF_CURSORS,
    ROWS_OF_SEALS,
    WRITTEN_AT,
    Parameters,
)
from owox_tiktok.destinations.bigquery.staging import SweptError
from owox_tiktok.destinations.bigquery.tables import LIMITS, Tables, id_of
from owox_tiktok.destinations.sql import (
    ABOUT_CURSORS,
    ABOUT_SEALS,
    condition,
    outermost,
)
from owox_tiktok.dialects import BIGQUERY, CURSORS, MARK, SEALS
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
    Step,
    Stored,
    Stream,
    Window,
    utc,
)
from owox_tiktok.retry import Limits
from owox_tiktok.trust import changes
from owox_tiktok.trust.kept import TABLES
from owox_tiktok.trust.seals import (
    Span,
    differing_sql,
    forget_sql,
    in_order,
    of_step,
    recount_sql,
    rest_sql,
    spans_of,
    spans_of_days,
    stored_since_sql,
    stored_sql,
)

LOCK = "_owox_tiktok_lock"
"""Begins the name of the table that keeps two steps of an object apart; of versions before, one kept all apart."""
LOOK_UPS = 8
"""So many tables are looked at side by side."""
MOST_SWEPT = 5
"""So often is a step begun again whose staging table another import deletes: each import does that once at most."""
COMPACT_OVER = 5_000
"""So many rows of cursors may stand before the outdated ones are deleted."""
LEAST_BILLED = 10 * 2**20
"""A table in a statement is billed for so many bytes at least."""
OTHER_TABLES = 4
"""Tables in the statements of a step beside the one deleted from: lock, cursors, staging counted and inserted."""
OTHER_TABLES_OF_A_LIST = 6
"""Beside the list itself: lock, cursors, staging merged and then left out, and the list's rows counted twice."""

SIDE_BY_SIDE = 6
"""So many objects are stored at the same time: a step takes Google some 12 seconds, however little it is."""
LINGER_S = 120.0
"""An object that is complete is stored at once, so lingering costs no time; it spares steps where much is read."""

Change = Callable[[Sequence[Chunk], str | None], list[str]]
"""Returns the statements that bring chunks' rows in from a staging table (None: there are no rows)."""
Moments = Mapping[tuple[str, str], datetime]
"""When the cursor of each pair was written."""


class _DoubtfulError(Exception):
    """Nothing was stored: days that were to stay as they are may not be what their seals say."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the table of cursors says of a pair, and when its cursor was written (None: it never had one)."""

    record: Record
    written_at: datetime | None


class BigQuery(Tables, Proofs):
    """A BigQuery dataset as a Destination that holds views, too."""

    step = Step(values=20_000_000, size_bytes=128 * 2**20, linger_s=LINGER_S, side_by_side=SIDE_BY_SIDE)
    newest = WRITTEN_AT  # both of its parts ask for it

    def __init__(
        self, client: bq.Client, address: Address, *, read_only: bool = False, limits: Limits = LIMITS
    ) -> None:
        super().__init__(client, address, read_only=read_only, limits=limits)
        self._ready = False
        self._cursor_rows = 0
        self._began_with: Moments | None = None
        """The cursors this run goes by; None before they were read."""
        self._seen: Moments = {}
        """The cursors as they were read last."""
        self._said: dict[tuple[str, str, str, date | None], tuple[str | None, str | None]] = {}
        """The last verdict on each day whose seal was read, and its status, by object, advertiser, table and day."""
        self._own = threading.Lock()
        """Held where steps that are stored side by side share what they know."""
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """Held while a step of an object is committed, by the object: two of this run need not abort each other."""

    def __enter__(self) -> BigQuery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and not self._read_only and self._cursor_rows > COMPACT_OVER:
            with suppress(StoreFailed):  # the next run tries again
                self._compact()
        self._jobs.give_up()
        self._close()

    # --- cursors ------------------------------------------------------------------------------------------------------

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair; a cursor counts only for the table and the columns it speaks of."""
        self._began_with = None
        return super().cursors()

    def _records(self, stream: Stream | None = None) -> list[Record]:
        kept = self._read_kept().values()
        self._look_at_all(sorted({each.record.object for each in kept}))
        return [self._adopting(each) for each in kept if stream is None or each.record.object == stream.name]

    def _read_kept(self) -> dict[tuple[str, str], _Kept]:
        """Return what is stored of every pair. What is read first is what this run goes by."""
        if self._jobs.location is None:
            return {}
        # Two rows of a pair count: its newest cursor, and its newest failure, which says no more than what failed.
        newest = (
            "SELECT *, COUNT(*) OVER () AS stored FROM "
            f"{self.dialect.table(CURSORS)} WHERE TRUE QUALIFY ROW_NUMBER() OVER "
            "(PARTITION BY object, advertiser_id, read_on IS NULL ORDER BY written_at DESC) = 1"
        )
        try:
            rows = self._jobs.query(newest, what="cursors")
        except refusals.NotFound:
            rows = []
        kept: dict[tuple[str, str], _Kept] = {}
        for row in sorted(rows, key=lambda row: row["read_on"] is None):  # cursors first
            record = Record.of(dict(row.items()))
            if row["read_on"] is not None:
                kept[record.pair] = _Kept(record, row["written_at"])
                continue
            had = kept.get(record.pair, _Kept(record, None))
            if had.written_at is None or row["written_at"] >= had.written_at:
                kept[record.pair] = replace(had, record=replace(had.record, failure=record.failure))
        self._cursor_rows = rows[0]["stored"] if rows else 0
        self._seen = {pair: each.written_at for pair, each in kept.items() if each.written_at}
        if self._began_with is None:
            self._began_with = self._seen
        return kept

    def _look_at_all(self, objects: Sequence[str]) -> None:
        """Look at the tables of objects, and of our own, all at once: one by one it takes Google seconds."""
        names = [table_of(name) for name in objects]
        if not self._read_only:
            names += [CURSORS, SEALS, *TABLES, *(f"{LOCK}_{name}" for name in objects)]
        if names := [name for name in names if name not in self._tables]:
            with ThreadPoolExecutor(LOOK_UPS, "look-up") as pool:
                list(pool.map(self._looked_at, names))

    def _adopting(self, kept: _Kept) -> Record:
        """Return the record; one of the first version, which names no table, names that which was there at its time."""
        record, at = kept.record, kept.written_at
        if record.table_id or record.cursor is None or at is None:
            return record
        table = self._looked_at(table_of(record.object))
        return replace(record, table_id=id_of(table)) if table and table.created <= at else record

    def _keep(self, stream: Stream, records: Collection[Record]) -> None:
        self._begin()
        parameters = Parameters()
        changes = [self._insert_records([_with_cursor(record) for record in records], parameters)]
        self._commit(stream, {r.advertiser_id: r.cursor for r in records}, changes, parameters, seen=self._seen)

    def _insert_records(self, records: Iterable[Record], parameters: Parameters) -> str:
        """Return the statement that appends records: a row for a cursor and one for a failure, the newest counts."""
        lines = []
        for record in records:
            each = [replace(record, failure=None)] if record.cursor else []
            each += [replace(record, cursor=None)] if record.failure else []
            for row in each:
                values = {**row.values(), "run": self._jobs.run}
                types = {part.name: self.dialect.types[part.kind] for part in ROWS_OF_CURSORS}
                texts = [parameters.add(types[name], value) for name, value in values.items()]
                lines.append(f"({', '.join(texts)}, CURRENT_TIMESTAMP())")
        names = ", ".join(part.name for part in ROWS_OF_CURSORS)
        return f"INSERT INTO {self.dialect.table(CURSORS)} ({names}) VALUES {', '.join(lines)};"

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read."""
        parameters = Parameters()
        failure = Record(stream.name, advertiser_id, failure=Failure(error, utc(at)))
        with self._sentences():
            self._begin()
            insert = self._insert_records([failure], parameters)
            self._jobs.query(insert, parameters, stream=stream, what="failed")

    def _compact(self) -> None:
        """Delete the rows of cursors that newer ones have outdated."""
        same = "newer.object = old.object AND newer.advertiser_id = old.advertiser_id"
        kind = "(newer.read_on IS NULL) = (old.read_on IS NULL)"
        table = self.dialect.table(CURSORS)
        with self._sentences():
            self._jobs.query(
                f"DELETE FROM {table} AS old WHERE EXISTS (SELECT 1 FROM {table} AS newer WHERE {same} AND {kind} "
                "AND newer.written_at > old.written_at)",
                what="compact",
            )
            table = self.dialect.table(SEALS)
            day = "newer.day IS NOT DISTINCT FROM old.day"
            self._jobs.query(
                f"DELETE FROM {table} AS old WHERE EXISTS (SELECT 1 FROM {table} AS newer WHERE {same} AND {day} "
                "AND newer.written_at > old.written_at)",
                what="compact",
            )

    # --- making ready -------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the tables of our own ready, once per run, before anything else is written."""
        if self._ready:
            return
        self._ready = True
        for name, about, parts in (
            (CURSORS, ABOUT_CURSORS, ROWS_OF_CURSORS),
            (SEALS, ABOUT_SEALS, ROWS_OF_SEALS),
        ):
            self._refuse_expiry(name)
            self._make_ready(name, f"{about}, newest row last", parts)
        for name, (about, parts) in TABLES.items():
            self._refuse_expiry(name)
            self._make_ready(name, about, parts)
        if self._began_with is None:
            self._read_kept()
        self._staging.find_left()

    def _lock(self, stream: Stream) -> tuple[str, list[str]]:
        """Return the table that a step of an object changes first, and what makes it where it is not there.

        Transactions that change rows of one table exclude each other. Those that only insert into the object's own
        table do not, and a step of new days does just that; so each changes the row of a table that is the object's.
        """
        name = f"{LOCK}_{stream.name}"
        if self._looked_at(name):
            return name, []
        # Made with its row in one statement, in the job of the object's first step: if there were two rows it would
        # lock as well. A transaction cannot make tables, so it stands before it.
        make = (
            f"CREATE TABLE IF NOT EXISTS {self.dialect.table(name)} (turn INT64) OPTIONS (description = "
            f"'{MARK}: keeps imports of an object at the same time apart', "
            f"labels = [('app', '{LABEL['app']}')]) AS SELECT 0 AS turn;"
        )
        return name, [make]

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Create the stream's table, or add the columns it lacks; refuse a table that is not ours."""
        with self._sentences(stream):
            self._begin()
            self._refuse_expiry(stream.table)
        super().prepare(stream, columns)
        with self._sentences(stream):
            self._name_key(stream)

    # --- the two verbs ------------------------------------------------------------------------------------------------

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window exactly its rows, and store the cursors, in one transaction."""
        stream = chunks[0].stream
        table = self.dialect.table(stream.table)

        def change(chunks: Sequence[Chunk], staging: str | None) -> list[str]:
            spans = spans_of(chunks)
            if not spans:
                return []
            where = condition(self.dialect, stream, spans)
            rows = sum(c.rows_to_write for c in chunks)
            if self._has_own_columns(stream) and staging:
                return self._merge_within(chunks[0], where, outermost(self.dialect, stream, spans), rows, staging)
            statements = [f"DELETE FROM {table} WHERE {where};", "SET replaced = @@row_count;"]
            if staging:
                names = ", ".join(BIGQUERY.name(f.name) for f in chunks[0].columns)
                # Rows outside their windows would never be replaced again, so a row that does not belong stops all.
                statements += [
                    f"SET held = (SELECT COUNT(*) FROM {staging} WHERE {where});",
                    f"SELECT IF(held = {rows}, 0, ERROR(CONCAT({self.dialect.text(HELD)}, CAST(held AS STRING))));",
                    f"INSERT INTO {table} ({names}, {', '.join(self._stamps())}) "
                    f"SELECT {names}, {', '.join(self._stamps().values())} FROM {staging};",
                ]
            return statements

        return self._store(chunks, change)

    def _has_own_columns(self, stream: Stream) -> bool:
        """Whether somebody has added columns to the stream's table."""
        found = self._found(stream.table)
        return found is not None and not found.types.keys() <= stream.fields.keys() | self._stamps().keys()

    def _merge_within(self, chunk: Chunk, where: str, bounds: str, rows: int, staging: str) -> list[str]:
        """Return the statements that make what ``where`` picks exactly the staged rows, and leave a person's columns.

        Rows that are not among them go, and those whose key is there twice; of the others only what differs is written.
        Every statement is bounded by constants, so that BigQuery skips the other days: ``bounds`` are those of ``t``.
        """
        stream, name = chunk.stream, self.dialect.name
        table = self.dialect.table(stream.table)
        keys = ", ".join(map(name, stream.keys))
        staged, twice = (" AND ".join(f"{a}.{name(k)} = t.{name(k)}" for k in stream.keys) for a in ("s", "d"))
        doubled = f"SELECT {keys} FROM {table} WHERE {where} GROUP BY {keys} HAVING COUNT(*) > 1"
        merge = self._merging(stream, chunk.columns)
        return [
            f"SET replaced = (SELECT COUNT(*) FROM {table} WHERE {where});",
            f"SET held = (SELECT COUNT(*) FROM {staging} WHERE {where});",
            f"SELECT IF(held = {rows}, 0, ERROR(CONCAT({self.dialect.text(HELD)}, CAST(held AS STRING))));",
            f"DELETE FROM {table} AS t WHERE {where} AND (NOT EXISTS (SELECT 1 FROM {staging} AS s WHERE {staged}) "
            f"OR EXISTS (SELECT 1 FROM ({doubled}) AS d WHERE {twice}));",
            f"MERGE INTO {table} AS t USING {staging} AS s ON {bounds} AND {staged} {merge};",
        ]

    def _merging(self, stream: Stream, columns: Sequence[Field]) -> str:
        """Return what MERGE does with staged rows ``s``: rows of the table ``t`` that differ change, new ones come.

        What is written is stamped; a row that is there as it came stays as it is.
        """
        name, stamps = self.dialect.name, self._stamps()
        others = [f for f in columns if f.name not in stream.keys]
        differs = " OR ".join(map(self._differs, others))
        update = [f"{name(f.name)} = s.{name(f.name)}" for f in others] + [f"{n} = {sql}" for n, sql in stamps.items()]
        names = [name(f.name) for f in columns]
        return (
            (f"WHEN MATCHED AND ({differs}) THEN UPDATE SET {', '.join(update)} " if others else "")
            + f"WHEN NOT MATCHED THEN INSERT ({', '.join([*names, *stamps])}) "
            + f"VALUES ({', '.join([*(f's.{n}' for n in names), *stamps.values()])})"
        )

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows by key, and store the cursors, in one transaction."""
        stream = chunks[0].stream
        table = self.dialect.table(stream.table)
        keys = ", ".join(map(BIGQUERY.name, stream.keys))
        same = " AND ".join(f"t.{BIGQUERY.name(k)} = s.{BIGQUERY.name(k)}" for k in stream.keys)
        if not stream.per_app:  # those rows are of many advertisers, and the chunk of none
            of = ", ".join(map(self.dialect.text, sorted({c.advertiser_id for c in chunks})))
            same = f"t.advertiser_id IN ({of}) AND {same}"

        def change(chunks: Sequence[Chunk], staging: str | None) -> list[str]:
            # One row of a key at most: MERGE fails when two meet the same row.
            first = f"ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {keys}) = 1"
            rows = f"SELECT * FROM {staging} WHERE TRUE QUALIFY {first}"
            versions = [f"{each};" for each in self._history_of(chunks, f"({rows})" if staging else "")]
            if not staging:
                return versions
            return [
                f"SET replaced = (SELECT COUNT(*) FROM {table});",
                f"MERGE INTO {table} AS t USING ({rows}) AS s ON {same} {self._merging(stream, chunks[0].columns)};",
                # Rows touched, less those by which the table has grown.
                f"SET replaced = @@row_count - ((SELECT COUNT(*) FROM {table}) - replaced);",
                *versions,
            ]

        return self._store(chunks, change)

    def _differs(self, field: Field) -> str:
        """Return the condition that a column has another value in the table ``t`` than in ``s``."""
        name = self.dialect.name(field.name)
        both = (f"TO_JSON_STRING(t.{name})", f"TO_JSON_STRING(s.{name})")
        # JSON cannot be compared, but its text can: BigQuery writes equal values alike.
        return " IS DISTINCT FROM ".join(both if field.kind is Kind.JSON else (f"t.{name}", f"s.{name}"))

    def _store(self, chunks: Sequence[Chunk], change: Change) -> list[Stored]:
        """Bring the rows in that are not there yet; where a seal turns out not to hold, all of them."""
        check_step(chunks)
        stream = chunks[0].stream
        with self._sentences(stream):
            self._begin()
            with self._own:
                found = self._unchanged(chunks)
            old = [
                {d: s.seal for d, s in f.items() if changes.is_old(s, c) or self._is_to_be_noted(c, d)}
                for c, f in zip(chunks, found, strict=True)
            ]
            if stream.per_app and any(old):  # their rows are of many accounts, and the seal is of none
                found = [{} for _ in chunks]
            kept = [changes.keeping(chunk, days) for chunk, days in zip(chunks, found, strict=True)]
            check: dict[str, dict[date | None, Seal]] = {}
            for chunk, days in zip(kept, old, strict=True):
                if days and chunk.kept:  # an account may have several windows in a step
                    check.setdefault(chunk.advertiser_id, {}).update(days)
            try:
                return self._store_anew(kept, change, check)
            except _DoubtfulError:
                with self._own:
                    self._sealed_from = None  # another import may have stored something since they were read
                return self._store_anew(chunks, change, None)

    def _is_to_be_noted(self, chunk: Chunk, day: date | None) -> bool:
        key = (chunk.stream.name, chunk.advertiser_id, id_of(self._looked_at(chunk.stream.table)), day)
        return to_note(chunk, day, *self._said.get(key, (None, None)))

    def _before(self, chunks: Sequence[Chunk], table_id: str) -> dict[str, dict[date | None, Sealed]]:
        """Return the stored seals of the accounts of chunks, by day; none of an account that was never read."""
        if not chunks:
            return {}
        stream = chunks[0].stream
        with self._own:
            began = self._began_with or {}
            known = [c for c in chunks if c.window and (stream.name, c.advertiser_id) in began]
            if stream.time is None or not known:
                return {}
            first = min(c.read_at.date() - changes.LOOK_BACK for c in known)
            self._read_seals(min([first, *(c.window.first for c in known if c.window)]))
            return {c.advertiser_id: self._sealed.get((stream.name, c.advertiser_id, table_id), {}) for c in known}

    def _store_anew(
        self, chunks: Sequence[Chunk], change: Change, check: Mapping[str, Mapping[date | None, Seal]] | None
    ) -> list[Stored]:
        """Store a step; where another import has deleted its staging table, begin again."""
        for _ in range(MOST_SWEPT):
            with suppress(SweptError):
                return self._store_step(chunks, change, check)
        return self._store_step(chunks, change, check)

    def _store_step(
        self, chunks: Sequence[Chunk], change: Change, check: Mapping[str, Mapping[date | None, Seal]] | None
    ) -> list[Stored]:
        """Load the rows into a staging table, and bring them and the cursors in in one transaction.

        Raises _DoubtfulError, and changes nothing, where one of the days in ``check`` is not what its seal says, or
        another import may have stored something since the seals were read; not where ``check`` is None.
        """
        stream = chunks[0].stream
        trusting, check = check is not None, check or {}
        moved = last_cursors(chunks)
        cursors = {c.advertiser_id: moved.get(c.advertiser_id) for c in chunks}
        staging = self._staging.load(chunks, self._jobs.new_step()) if any(c.rows_to_write for c in chunks) else None
        try:
            parameters = Parameters()
            table_id = id_of(self._looked_at(stream.table))
            statements = self._check(stream, chunks[0].columns, check) if check else []
            statements += change(chunks, f"`{staging}`" if staging else None)
            written = [c for c in chunks if not c.kept or c.rows_to_write or spans_of([c])]
            seals = of_step(written)
            for chunk in chunks:
                for day, seal in check.get(chunk.advertiser_id, {}).items():
                    fields = tuple(f.name for f in in_order(chunk.columns))
                    seals.setdefault(chunk.advertiser_id, {})[day] = Sealed(seal, fields, chunk.read_at)
            rest = self._rest(written, staging) if stream.verb == "upsert" and written else ""
            before = self._before(written, table_id)
            noted = seal_sql(self.dialect, chunks, seals, table_id, rest, before, self.run_id)
            statements += [f"{s};" for s in noted]
            if moved:
                records = (Record(stream.name, a, c, table_id=table_id) for a, c in moved.items())
                statements.append(self._insert_records(records, parameters))
            trusting = trusting and (any(c.kept for c in chunks) or any(before.values()))
            try:
                with self._staging.noticing(staging) if staging else nullcontext():
                    replaced = (
                        self._commit(stream, cursors, statements, parameters, trusting=trusting) if statements else 0
                    )
            except refusals.BadRequest as error:
                if CHANGED in str(error):
                    raise _DoubtfulError from error
                if (held := held_in(error)) is None:
                    raise
                check_rows(chunks, held)
                raise
        finally:
            if staging:
                self._staging.drop(staging)
        self._staging.sweep(stream)
        with self._own:
            self._cursor_rows += len(moved)
        # One statement replaces all windows, so what it replaced is known only of them all.
        return [changes.stored(c, c.rows_to_write, replaced if n == 0 else 0) for n, c in enumerate(chunks)]

    def _check(
        self, stream: Stream, columns: Sequence[Field], check: Mapping[str, Mapping[date | None, Seal]]
    ) -> list[str]:
        """Return the statements that end a script where the rows of days are not what their seals say."""
        found = self._found(stream.table)
        spans = [span for a, days in check.items() for span in spans_of_days(a, sorted(days, key=str))]
        where = condition(self.dialect, stream, spans)
        recount = recount_sql(self.dialect, stream, columns, found.types if found else {}, where)
        return [
            f"SET held = ({differing_sql(self.dialect, recount, check)});",
            f"SELECT IF(held = 0, 0, ERROR({self.dialect.text(CHANGED)}));",
        ]

    def _commit(
        self,
        stream: Stream,
        cursors: Mapping[str, Cursor | None],
        changes: Sequence[str],
        parameters: Parameters,
        *,
        seen: Moments | None = None,
        trusting: bool = False,
    ) -> int:
        """Make the changes in one transaction; return how many rows they replaced.

        ``seen``: the cursors that the changes go by, where they are others than those the run began with. ``trusting``:
        they leave days alone because of seals that were read before; raises _DoubtfulError if those may have changed.
        """
        while True:
            before = (self._began_with or {}) if seen is None else seen
            try:
                with self._turns[stream.name]:
                    lock, make = self._lock(stream)
                    script = self._script(stream, cursors, changes, before, lock, make)
                    replaced = int(self._jobs.query(script, parameters, stream=stream, what="store")[0][0])
                    if make and (made := self._looked_at(lock)):
                        self._tables[lock] = self._lasting(made)
                    return replaced
            except refusals.Conflict:
                if self._looked_at(lock) is None:
                    raise
                # Another import has made the lock this very moment, so the script ended before it changed anything.
            except refusals.BadRequest as error:
                if OVERTAKEN not in str(error) or seen is not None:
                    raise
                # Perhaps only the last step of a run that was killed has come in late, or a run like this one.
                with self._own:
                    theirs = self._read_kept()
                    for advertiser_id, ours in cursors.items():
                        pair = stream.name, advertiser_id
                        if self._seen.get(pair) != before.get(pair) and not _still_true(ours, theirs.get(pair)):
                            raise
                    # Of the other pairs it knows no more than before.
                    same = {(stream.name, a) for a in cursors}
                    known = {pair: at for pair, at in self._seen.items() if pair in same}
                    self._began_with = {**(self._began_with or {}), **known}
                if trusting:
                    raise _DoubtfulError from error

    def _script(
        self,
        stream: Stream,
        advertiser_ids: Iterable[str],
        changes: Sequence[str],
        seen: Moments,
        lock: str,
        make: Sequence[str],
    ) -> str:
        """Return the script that makes ``changes`` if nobody else has moved the cursors of these pairs.

        ``make`` are the statements before its transaction, which make ``lock``.
        """
        text = self.dialect.text
        since: dict[datetime | None, list[str]] = {}
        for advertiser_id in sorted(advertiser_ids):
            since.setdefault(seen.get((stream.name, advertiser_id)), []).append(advertiser_id)
        moved = " OR ".join(
            f"(advertiser_id IN ({', '.join(map(text, ids))})"
            + (f" AND written_at > TIMESTAMP '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f+00}')" if at else ")")
            for at, ids in since.items()
        )
        return "\n".join(
            [
                "DECLARE replaced, held INT64 DEFAULT 0;",
                *make,
                "BEGIN TRANSACTION;",
                f"UPDATE {self.dialect.table(lock)} SET turn = turn + 1 WHERE TRUE;",
                # A transaction may ask, so it asks for an error.
                f"SELECT IF(EXISTS (SELECT 1 FROM {self.dialect.table(CURSORS)} WHERE object = {text(stream.name)} "
                f"AND run != {text(self._jobs.run)} AND read_on IS NOT NULL AND ({moved})), "
                f"ERROR({text(OVERTAKEN)}), 0);",
                *changes,
                "COMMIT TRANSACTION;",
                "SELECT replaced;",
            ]
        )

    # --- seals --------------------------------------------------------------------------------------------------------

    def _rest(self, chunks: Sequence[Chunk], staging: str | None) -> str:
        """Return the query for the seals of the accounts' rows that are not among those that were loaded.

        An upsert leaves those as they are.
        """
        stream, name = chunks[0].stream, self.dialect.name
        where = self._whose(stream, [chunk.advertiser_id for chunk in chunks], None)
        if staging:
            same = " AND ".join(f"s.{name(key)} = t.{name(key)}" for key in stream.keys)
            where += f" AND NOT EXISTS (SELECT 1 FROM `{staging}` AS s WHERE {same})"
        found = self._found(stream.table)
        recount = recount_sql(self.dialect, stream, chunks[0].columns, found.types if found else {}, where)
        return rest_sql(self.dialect, stream, recount)

    def _stored_seals(self, stream: Stream, advertiser_id: str, table_id: str) -> list[Sequence[Any]]:
        sql = stored_sql(self.dialect, stream, advertiser_id, table_id, newest=WRITTEN_AT)
        try:
            return [row.values() for row in self._jobs.query(sql, stream=stream, what="seals")]
        except refusals.NotFound:
            return []

    def _seals_since(self, first: date) -> list[Sequence[Any]]:
        sql = stored_since_sql(self.dialect, first, newest=WRITTEN_AT, also=["verdict", "status"])
        found = []
        for row in self._jobs.query(sql, what="seals"):
            *values, verdict, status = row.values()
            self._said[row["object"], row["advertiser_id"], row["table_id"], row["day"]] = verdict, status
            found.append(values)
        return found

    def _counted(self, stream: Stream, statement: str) -> list[Sequence[Any]]:
        return [row.values() for row in self._jobs.query(statement, stream=stream, what="recount")]

    # --- pruning ------------------------------------------------------------------------------------------------------

    def _count(self, stream: Stream, where: str) -> int:
        # Most runs find nothing to delete, and days that are not there cost nothing to count.
        count = f"SELECT COUNT(*) FROM {self.dialect.table(stream.table)} WHERE {where}"
        return int(self._jobs.query(count, stream=stream, what="count")[0][0])

    def _asked(self, statement: str) -> list[Sequence[Any]]:
        return [row.values() for row in self._jobs.query(statement, what="count")]

    def _run_all(self, statements: Sequence[str]) -> None:
        if len(statements) == 1:
            self._jobs.query(statements[0], what="write")
            return
        lines = ["BEGIN TRANSACTION;", *(f"{statement};" for statement in statements), "COMMIT TRANSACTION;"]
        self._jobs.query("\n".join([*lines, "SELECT 0;"]), what="write")

    def _unseal(self, stream: Stream, spans: Collection[Span]) -> None:
        self._begin()
        self._jobs.query(forget_sql(self.dialect, stream, spans), stream=stream, what="unseal")

    def _delete(self, stream: Stream, spans: Collection[Span], where: str, records: Collection[Record]) -> int:
        self._begin()
        parameters = Parameters()
        changes = [
            f"DELETE FROM {self.dialect.table(stream.table)} WHERE {where};",
            "SET replaced = @@row_count;",
            f"{forget_sql(self.dialect, stream, spans)};",
        ]
        if records:
            changes.append(self._insert_records(records, parameters))
        cursors = {record.advertiser_id: record.cursor for record in records}
        return self._commit(stream, cursors, changes, parameters, seen=self._seen)

    # --- before anything runs -----------------------------------------------------------------------------------------

    def estimate(self, stream: Stream, windows: Mapping[str, Window | None], *, steps: int = 1) -> int:
        """Return how many bytes would be billed for replacing the advertisers' windows in so many steps.

        A dry run tells what the deletion would read. Each table in each statement is billed for 10 MB at least, however
        little it holds.
        """
        if self._jobs.location is None or not windows:
            return 0
        spans = [(a, w.first if w else None, w.last if w else None) for a, w in windows.items()]
        where = condition(self.dialect, stream, spans)
        with self._sentences(stream):
            try:
                read = self._jobs.would_read(
                    f"DELETE FROM {self.dialect.table(stream.table)} WHERE {where}", stream=stream
                )
            except refusals.NotFound:
                read = 0
        if stream.verb == "upsert":  # each step merges into the list, and then recounts it
            return steps * (2 * max(read, LEAST_BILLED) + OTHER_TABLES_OF_A_LIST * LEAST_BILLED)
        return max(read, steps * LEAST_BILLED) + steps * OTHER_TABLES * LEAST_BILLED


def _nothing() -> Cursor:
    """Return a cursor of nothing: as the newest row of its pair it says as much as none."""
    now = datetime.now(UTC)
    return Cursor(frozenset(), utc(now), now.date())


def _with_cursor(record: Record) -> Record:
    """Return the record with a cursor of nothing where it has none, so that its pair has none from now on."""
    return record if record.cursor else replace(record, cursor=_nothing())


def _still_true(ours: Cursor | None, kept: _Kept | None) -> bool:
    """Whether a cursor of ours holds although another run has stored something since: all it has is there, too."""
    theirs = kept.record.cursor if kept else None
    if ours is None or theirs is None or not ours.fields <= theirs.fields or ours.with_deleted != theirs.with_deleted:
        return False
    return ours.since is None or (theirs.since is not None and theirs.since <= ours.since)
