"""The destination itself: a step is made in DuckDB, and what it changed is published as files and a manifest.

Each opening has a DuckDB file of its own among the temporary ones, with the tables of the folder: those of cursors,
seals and checks with all their rows, the others empty. A step loads the rows of the accounts and months it touches,
does with them what it does in every database, and writes those accounts and months out as new files. So what a step
holds in memory does not depend on how much is stored.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from owox_tiktok.cursors import RECORD, Part
from owox_tiktok.destinations import history
from owox_tiktok.destinations.duckdb import LEAST_MOST_MB, DuckDB, memory_mb
from owox_tiktok.destinations.parquet.folder import Folder
from owox_tiktok.destinations.parquet.manifest import (
    FOLDER,
    LISTED,
    TABLE,
    File,
    Manifest,
    left_over,
    name_of,
    versions,
)
from owox_tiktok.destinations.sql import ABOUT_CURSORS, Found, id_in
from owox_tiktok.dialects import CURSORS, DUCKDB, MARK, SEALS
from owox_tiktok.errors import StoreBusy, StoreFailed, StoreGone
from owox_tiktok.model import Chunk, Field, Known, Seal, Stored, Stream, Window
from owox_tiktok.spool import Spool
from owox_tiktok.streams import STREAMS

ABOUT = b"owox_tiktok"
"""The metadata of a table's file that has its description and id."""
ROWS_PER_GROUP = 30_720
"""A row group is in memory while it is written. A smaller one than DuckDB's own keeps wide rows within bounds."""
WHOLE_APP = "all"
"""The account's part in the names of files of a list of the whole app."""
STATE = "_state"
DATES = ("stat_time_day", "stat_time_hour", "first_day")
"""The columns that date rows, of which the month in a file's name is."""
_CHANGES = re.compile(
    r'\s*(?:INSERT INTO|DELETE FROM|UPDATE|CREATE TABLE|ALTER TABLE|COMMENT ON (?:TABLE|COLUMN)) "(\w+)"'
)
_SHAPES = re.compile(r"\s*(?:CREATE|ALTER|COMMENT)")
_WHOSE = re.compile(r"\bobject = '(\w+)'")
Partition = tuple[str, str]
"""An account and a month, as in ``File``."""
Wanted = Mapping[str, Collection[Partition]]
"""The accounts and months of tables whose rows a step is about; only those that have files."""


class Parquet(DuckDB):
    """A folder of Parquet files as a Destination."""

    other_place = "folder"
    # There is nowhere to keep a view: see ``views.HoldsViews``.
    create_views: Any = None

    def __init__(self, folder: Folder, *, read_only: bool = False) -> None:
        """``folder`` is closed with this."""
        self._folder, self._read_only = folder, read_only
        self._manifest = Manifest()
        self._newest = 0
        """The highest number of a manifest that was ever begun."""
        self._names: set[str] = set()
        """All files of the folder, as far as this program knows."""
        self._wanted: Wanted = {}
        """What is loaded at the beginning of the next transaction."""
        self._loaded: dict[str, set[Partition]] = {}
        """What was loaded in this one: the rows of these tables are those of these accounts and months."""
        self._with_new_rows: set[str] = set()
        """Tables whose rows were changed in this transaction."""
        self._with_new_columns: set[str] = set()
        """Tables whose columns or descriptions were."""
        self._sealed_objects: set[str] = set()
        """Objects whose seals were."""
        self._swept: set[str] = set()
        """Folders that were rid of what killed runs have left."""
        self._spool = Spool()
        try:
            if not read_only:
                folder.lock()
            super().__init__(duckdb.connect(str(self._scratch(".duckdb"))), folder.name, read_only=read_only)
        except BaseException:
            self._end()
            raise

    def _scratch(self, suffix: str = ".parquet") -> Path:
        return self._spool.file().with_suffix(suffix)

    def _end(self) -> None:
        self._folder.close()
        self._spool.__exit__(None, None, None)

    def __enter__(self) -> Parquet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self._end()

    # --- opening ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the tables that the folder has; those of our own with their rows."""
        super()._begin()
        self._read_manifest()
        tables = sorted({name.split("/")[0] for name in self._names if name.startswith("object=")})
        read = [f"{folder}/{TABLE}" for folder in tables] + list(self._manifest.state.values())
        found = self._folder.read([name for name in read if name in self._names])
        with self._sentences():
            for folder in tables:
                self._make_known(_table_in(folder), found.get(f"{folder}/{TABLE}"))
            for (table, _), name in sorted(self._manifest.state.items()):
                if name not in found:
                    what_to_do = "Put it back, or take another folder."
                    raise StoreGone(
                        f"{name} is gone, which the manifest names", where=self._name, what_to_do=what_to_do
                    )
                self._fill(table, found[name])
            if self._manifest.records:
                self._make_ready(CURSORS, ABOUT_CURSORS, RECORD)
                for record in self._manifest.records:
                    self._keep(STREAMS["ads"], [record])  # it goes by what the record says

    def _fill(self, table: str, content: bytes) -> None:
        """Add the rows of a file to a table of our own."""
        path = self._scratch()
        path.write_bytes(content)
        rows = f"read_parquet({DUCKDB.text(str(path))}, hive_partitioning = false)"
        if self._found(table) is None:
            self.connection.execute(f"CREATE TABLE {DUCKDB.name(table)} AS SELECT * FROM {rows} LIMIT 0")
            self._comment("TABLE", table, MARK)
        self.connection.execute(f"INSERT INTO {DUCKDB.name(table)} BY NAME SELECT * FROM {rows}")
        path.unlink()

    def _read_manifest(self) -> None:
        self._names = self._folder.names()
        there = versions(self._names)
        self._newest, self._manifest = max(there, default=0), Manifest()
        for version in there:
            name = name_of(version)
            try:
                found = Manifest.from_json(self._folder.read([name]).get(name, b""))
            except (ValueError, KeyError, TypeError) as error:
                what_to_do = "Use the newer version of this program that has written it, or another folder."
                raise StoreGone(f"{name} cannot be read ({error})", where=self._name, what_to_do=what_to_do) from None
            if found:
                self._manifest = found
                break

    def _make_known(self, table: str, about: bytes | None) -> None:
        """Make an empty table as its file says; without one, the folder is somebody else's."""
        name = DUCKDB.name(table)
        if about is None:
            self.connection.execute(f"CREATE TABLE {name} (files BIGINT)")
            return
        path = self._scratch()
        path.write_bytes(about)
        schema = pq.read_schema(path)
        comment = (schema.metadata or {}).get(ABOUT, b"").decode()
        rows = f"read_parquet({DUCKDB.text(str(path))}, hive_partitioning = false)"
        self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {rows} LIMIT 0")
        path.unlink()
        if not comment.startswith(MARK):
            return
        self._comment("TABLE", table, comment)
        for field in schema:
            if described := (field.metadata or {}).get(b"description"):
                place = f"{name}.{_quoted(field.name)}"
                self.connection.execute(f"COMMENT ON COLUMN {place} IS {DUCKDB.text(described.decode())}")
        if table in self._manifest.files and self._manifest.files[table][0] != id_in(comment):
            # Another table in its place: its files are not those of the manifest.
            self._manifest = replace(self._manifest, files={**self._manifest.files, table: (id_in(comment), ())})

    def _open_again_if_spoiled(self) -> None:
        """Begin again from what is published; what was committed is there."""
        if not self._spoiled:
            return
        with suppress(duckdb.Error):
            self.connection.close()
        self.connection = duckdb.connect(str(self._scratch(".duckdb")))
        self._begin()
        if not self._read_only:
            self._spoiled = False
            self._make_cursors()

    def _describe(self, name: str, columns: Iterable[Field | Part]) -> None:
        """Describe columns of tables that people read; nothing keeps what is said of our own."""
        if not name.startswith("_"):
            super()._describe(name, columns)

    def _adopted(self, stream: Stream, there: Found) -> Found:
        """See that keys are never null; files do not say so of their columns."""
        for key in stream.keys:
            self.connection.execute(
                f"ALTER TABLE {DUCKDB.name(stream.table)} ALTER COLUMN {DUCKDB.name(key)} SET NOT NULL"
            )
        return there

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair; a cursor counts only for files that are all there."""
        found = super().cursors()
        gone = {
            (table, file.account)
            for table, (_, files) in self._manifest.files.items()
            for file in files
            if file.name not in self._names
        }
        for pair, one in found.items():
            stream = STREAMS.get(pair[0])
            if one.cursor and stream and (stream.table, pair[1] or WHOLE_APP) in gone:
                found[pair] = Known(None, one.failure, f"files of the table {stream.table} no longer exist")
        self._covered = {pair: one.cursor for pair, one in found.items() if one.cursor}
        return found

    # --- statements ---------------------------------------------------------------------------------------------------

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        rows = super()._rows(statement, values)
        if found := _CHANGES.match(statement):
            if _SHAPES.match(statement):
                self._with_new_columns.add(found[1])
            elif rows and rows[0][0]:
                self._with_new_rows.add(found[1])
                if found[1] == SEALS:
                    self._sealed_objects.update(_WHOSE.findall(statement))
        return rows

    @contextmanager
    def _transaction(self, stream: Stream | None = None) -> Iterator[None]:
        with super()._transaction(stream):
            self._load()
            yield

    @contextmanager
    def _about(self, wanted: Wanted) -> Iterator[None]:
        """Have these rows loaded at the beginning of the transaction that follows."""
        self._wanted = wanted
        try:
            yield
        finally:
            self._wanted = {}

    @contextmanager
    def _looking_at(self, wanted: Wanted) -> Iterator[None]:
        """Have these rows loaded for a while."""
        self._open_again_if_spoiled()
        with self._about(wanted), self._sentences():
            self.connection.execute("BEGIN")
            try:
                self._load()
                yield
            finally:
                with suppress(duckdb.Error):
                    self.connection.execute("ROLLBACK")

    def _commit(self) -> None:
        if not self._read_only:
            self._publish()
        for table in self._loaded:  # rows live in files
            if self._found(table):
                self.connection.execute(f"DELETE FROM {DUCKDB.name(table)}")
        super()._commit()

    # --- what a step is about -----------------------------------------------------------------------------------------

    def _files_of(self, table: str) -> Sequence[File]:
        return self._manifest.files.get(table, ("", ()))[1]

    def _of_windows(self, stream: Stream, which: Collection[tuple[str, Window | None]]) -> Wanted:
        """Return what windows of accounts touch; without a window, all that an account has."""
        windows: dict[str, list[Window | None]] = {}
        for advertiser_id, window in which:
            windows.setdefault(WHOLE_APP if stream.per_app else advertiser_id, []).append(window)

        def is_touched(file: File) -> bool:
            return any(
                w is None or not file.month or f"{w.first:%Y-%m}" <= file.month <= f"{w.last:%Y-%m}"
                for w in windows.get(file.account, ())
            )

        wanted = {stream.table: [(f.account, f.month) for f in self._files_of(stream.table) if is_touched(f)]}
        if stream.name in self.history:
            wanted[history.table_of(stream)] = [(account, "") for account in windows]
        return wanted

    def _store(self, chunks: Sequence[Chunk]) -> list[Stored]:
        stream = chunks[0].stream
        self._open_again_if_spoiled()
        with self._about(self._of_windows(stream, [(c.advertiser_id, c.window) for c in chunks])):
            return super()._store(chunks)

    def recount(self, stream: Stream, advertiser_id: str, window: Window | None = None) -> dict[date | None, Seal]:
        """Return the seals of the rows as they stand there now, of the window or all; days without rows have none."""
        with self._looking_at(self._of_windows(stream, [(advertiser_id, window)])):
            return super().recount(stream, advertiser_id, window)

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count."""
        self._open_again_if_spoiled()
        self._set_memory(max(LEAST_MOST_MB, memory_mb() // 2))  # a step is tried with more and more, this is not
        with self._about(self._of_windows(stream, [(a, Window(date.min, day)) for a, day in keep_from.items()])):
            return super().prune(stream, keep_from, dry_run=dry_run)

    def remove(self, advertiser_ids: Collection[str], *, dry_run: bool) -> dict[str, int]:
        """Delete all rows of these accounts, in every table of ours, all or nothing; dry: only count."""
        self._open_again_if_spoiled()
        self._set_memory(max(LEAST_MOST_MB, memory_mb() // 2))
        accounts = {*advertiser_ids, WHOLE_APP}
        wanted = {
            table: [(f.account, f.month) for f in files if f.account in accounts]
            for table, (_, files) in self._manifest.files.items()
        }
        with self._about(wanted):
            return super().remove(advertiser_ids, dry_run=dry_run)

    def row_counts(self, stream: Stream) -> dict[str, int]:
        """Return how many rows of the stream each advertiser has here; empty where there is no table."""
        if stream.per_app:
            with self._looking_at(self._of_windows(stream, [("", None)])):
                return super().row_counts(stream)
        counts: dict[str, int] = {}
        for file in self._files_of(stream.table):
            counts[file.account] = counts.get(file.account, 0) + file.rows
        return counts

    def account_names(self) -> dict[str, str]:
        """Return the names of ad accounts by their ids, as they were imported last; empty where none were."""
        stream = STREAMS["advertisers"]
        accounts = {f.account for f in self._files_of(stream.table)}
        with self._looking_at(self._of_windows(stream, [(account, None) for account in accounts])):
            return super().account_names()

    # --- rows in ------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Load what is wanted, as rows that no step has changed."""
        self._loaded = {table: set(parts) for table, parts in self._wanted.items()}
        self._with_new_rows, self._with_new_columns, self._sealed_objects = set(), set(), set()
        for table, parts in self._loaded.items():
            found = self._found(table)
            for file in self._files_of(table) if found else ():
                if (file.account, file.month) in parts and file.name in self._names:
                    self._load_file(table, found, file)

    def _load_file(self, table: str, found: Found | None, file: File) -> None:
        types = found.types if found else {}
        spare = self._scratch()
        rows = f"read_parquet({DUCKDB.text(str(self._folder.local(file.name, spare)))}, hive_partitioning = false)"
        there = {name: kind for name, kind, *_ in self._rows(f"DESCRIBE SELECT * FROM {rows}")}
        for name, kind in there.items():
            if kind != types.get(name, kind):
                what = f"column {name} of {table} is {kind} in {file.name} but should be {types[name]}"
                what_to_do = f"Move the folder {_folder_of(table)} away, and the next import fills a new one."
                raise StoreFailed(what, where=self._name, what_to_do=what_to_do)
        for name, kind in there.items():
            if name not in types:  # a person's own, or of a step whose last line was not written
                self.connection.execute(f"ALTER TABLE {DUCKDB.name(table)} ADD COLUMN {_quoted(name)} {kind}")
                types = {**types, name: kind}
        names = ", ".join(map(_quoted, there))
        self.connection.execute(f"INSERT INTO {DUCKDB.name(table)} ({names}) SELECT {names} FROM {rows}")
        spare.unlink(missing_ok=True)

    # --- rows out -----------------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        """Write what this transaction has changed as files, and create the manifest that names them."""
        mine = {table for table in self._with_new_rows | self._with_new_columns if table.startswith("_")}
        shaped = {table for table in self._with_new_columns - mine if self._is_ours(table)}
        if not self._with_new_rows and not shaped:
            return  # an empty table of ours is made again when it is needed
        version, before = self._newest + 1, self._manifest
        written: list[str] = []
        try:
            state, files = dict(before.state), dict(before.files)
            for table in sorted(mine - {CURSORS}):
                state.update(self._state_of(table, version, written))
            for table in sorted(shaped | (self._with_new_rows - mine)):
                files[table] = self._rewritten(table, version, written)
            records = tuple(sorted(self._records(), key=lambda record: record.pair))
            after = Manifest(version, secrets.token_hex(8), files, state, records)
            self._create_manifest(after)
        except BaseException:
            with suppress(StoreFailed):
                self._folder.delete(written)
            raise
        self._spoiled = True  # until DuckDB has what is published
        self._manifest, self._newest = after, version
        self._names |= {*written, name_of(version)}
        self._finish(before, after, shaped)

    def _is_ours(self, table: str) -> bool:
        found = self._found(table)
        return found is not None and found.ours

    def _create_manifest(self, manifest: Manifest) -> None:
        name, content = name_of(manifest.version), manifest.to_json()
        try:
            self._folder.create(name, content)
        except FileExistsError:
            # It may be ours, where the answer to the first request was lost.
            if self._folder.read([name]).get(name) != content:
                raise self._taken() from None
        if not self._folder.is_local and versions(self._folder.names(FOLDER))[0] != manifest.version:
            raise self._taken()

    def _taken(self) -> StoreBusy:
        return StoreBusy(
            "another import has stored something meanwhile, so nothing of this step was",
            where=self._name,
            what_to_do="Let one import at a time use the folder, and run again.",
        )

    def _finish(self, before: Manifest, after: Manifest, shaped: Collection[str]) -> None:
        """Write what follows from the manifest, and delete what it does not name. A killed run leaves this undone."""
        for table in shaped:
            self._describe_table(table)
        changed = {t for t, (_, files) in after.files.items() if before.files.get(t, ("", None))[1] != files}
        for table in changed:
            lines = [f"{self._folder.uri(f.name)}\n" for f in after.files[table][1]]
            self._folder.write(f"{_folder_of(table)}/{LISTED}", "".join(lines).encode())
        gone = before.names - after.names
        folders = {STATE, *map(_folder_of, changed)} - self._swept
        gone |= {name for name in left_over(self._names, after) if name.split("/")[0] in folders}
        self._swept |= folders
        # The manifest before this one stays, for the day on which this one is found half written.
        gone |= {name_of(v) for v in versions(self._names) if v < before.version}
        self._folder.delete(gone)
        self._names -= gone

    def _describe_table(self, table: str) -> None:
        """Write the file that says what columns a table has."""
        columns = self._rows(
            "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = $1", [table]
        )
        ((about,),) = self._rows(
            "SELECT comment FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = $1", [table]
        )
        described = dict(columns)
        path = self._scratch()
        self.connection.execute(
            f"COPY (SELECT * FROM {DUCKDB.name(table)} LIMIT 0) TO {DUCKDB.text(str(path))} (FORMAT parquet)"
        )
        fields = [
            field.with_nullable(True).with_metadata({"description": described.get(field.name) or ""})
            for field in pq.read_schema(path)
        ]
        pq.write_metadata(pa.schema(fields, {ABOUT: about.encode()}), path)
        self._folder.write(f"{_folder_of(table)}/{TABLE}", path.read_bytes())
        self._names.add(f"{_folder_of(table)}/{TABLE}")
        path.unlink()

    def _rewritten(self, table: str, version: int, written: list[str]) -> tuple[str, tuple[File, ...]]:
        """Write those accounts and months out that are loaded and have changed; return the table's id and its files."""
        found = self._found(table)
        table_id = found.id if found else ""
        had, files = self._manifest.files.get(table, ("", ()))
        kept = {(f.account, f.month): f for f in files} if had == table_id else {}
        if found is None or table not in self._with_new_rows:
            return table_id, tuple(kept.values())
        loaded = self._loaded.get(table, set())
        stream = next((s for s in STREAMS.values() if s.table == table), None)
        time = stream.time if stream else next((name for name in DATES if name in found.types), None)
        account = DUCKDB.text(WHOLE_APP) if stream and stream.per_app else "advertiser_id"
        month = f"strftime({DUCKDB.name(time)}, '%Y-%m')" if time else "''"
        whole = DUCKDB.name(table)
        fresh = "bool_or(_synced_at = now())" if stream else "TRUE"
        counted = self._rows(f"SELECT {account}, {month}, count(*), {fresh} FROM {whole} GROUP BY ALL ORDER BY ALL")
        for part in loaded - {(a, m) for a, m, _, _ in counted}:
            kept.pop(part, None)
        for a, m, rows, is_fresh in counted:
            if (a, m) in kept and (a, m) not in loaded:
                raise StoreFailed(f"rows of {a} {m} came with those of others; nothing was stored", where=table)
            if (a, m) in kept and kept[a, m].rows == rows and not is_fresh:
                continue
            parts = [_folder_of(table), f"account={a}", *([f"month={m}"] if m else []), _file_name(version)]
            where = f"{account} = {DUCKDB.text(a)} AND {month} = {DUCKDB.text(m)}"
            self._write_out(f"SELECT * FROM {whole} WHERE {where}", "/".join(parts), written)
            kept[a, m] = File("/".join(parts), a, m, int(rows))
        return table_id, tuple(kept[part] for part in sorted(kept))

    def _state_of(self, table: str, version: int, written: list[str]) -> dict[tuple[str, str], str]:
        """Write a table of our own out, seals by object; return its files by table and object."""
        if table not in self._with_new_rows:
            return {}
        whole = DUCKDB.name(table)
        if table != SEALS:
            name = f"{STATE}/{table}/{_file_name(version)}"
            self._write_out(f"SELECT * FROM {whole}", name, written)
            return {(table, ""): name}
        objects = self._sealed_objects or {name for (name,) in self._rows(f"SELECT DISTINCT object FROM {whole}")}
        found = {}
        for one in sorted(objects):
            name = f"{STATE}/{table}/{one}/{_file_name(version)}"
            self._write_out(f"SELECT * FROM {whole} WHERE object = {DUCKDB.text(one)}", name, written)
            found[table, one] = name
        return found

    def _write_out(self, select: str, name: str, written: list[str]) -> None:
        path = self._scratch()
        self.connection.execute(
            f"COPY ({select}) TO {DUCKDB.text(str(path))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_PER_GROUP})"
        )
        written.append(name)
        self._folder.bring(path, name)


def _file_name(version: int) -> str:
    """Return a new name for a file that the manifest of this number will name."""
    return f"{version}-{secrets.token_hex(8)}.parquet"


def _folder_of(table: str) -> str:
    return f"object={table.removeprefix('tiktok_ads_')}"


def _table_in(folder: str) -> str:
    return f"tiktok_ads_{folder.removeprefix('object=')}"


def _quoted(name: str) -> str:
    """Return a name for SQL that may be a person's."""
    return '"' + name.replace('"', '""') + '"'
