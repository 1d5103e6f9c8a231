"""The dataset as a destination: cursors, tables, the two verbs, views, pruning and checks."""

from __future__ import annotations

import gzip
import logging
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any

import google.api_core.exceptions as refusals
import google.cloud.bigquery as bq
import requests.exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError

from owox_tiktok.cursors import Record, Table, check_rows, known, last_cursors, one_scope_each, table_of
from owox_tiktok.destinations.bigquery.address import Address
from owox_tiktok.destinations.bigquery.advice import (
    LABEL,
    account_of,
    expiries,
    first_line,
    is_ours,
    passes,
    reason_of,
    texts_of,
)
from owox_tiktok.destinations.bigquery.sql import (
    CURSOR_SCHEMA,
    SQL_NAMES,
    Parameters,
    schema_field,
    scope_of,
    text,
)
from owox_tiktok.dialects import BIGQUERY, CURSORS, MARK
from owox_tiktok.dialects import bigquery as dialect_of
from owox_tiktok.errors import BadInput, Mistake, StoreFailed, StoreSilent
from owox_tiktok.model import Chunk, Cursor, Failure, Field, Known, Step, Stored, Stream, Window, utc
from owox_tiktok.views import Columns, View

log = logging.getLogger(__name__)

LOCK = "_owox_tiktok_lock"
STAGING = "_owox_tiktok_staging"
STAGING_LIVES = timedelta(hours=6)
"""Staging tables are deleted after use; those of a run that was killed go by themselves."""
COMPACT_OVER = 5_000
"""So many rows of cursors may stand before the outdated ones are deleted."""
COMPRESSION = 1
"""gzip's fastest: level 6 takes twice the time and makes the file a sixth smaller (see benchmarks)."""

REQUEST_S = 120.0
"""One HTTP request may take so long."""
PATIENCE_S = 300.0
"""A call that fails in a way that passes is repeated for so long, and a step that another import aborts is, too."""
JOB_S = 3600.0
"""A job may take so long."""

_OVERTAKEN = "owox_tiktok: another import has moved the cursors"


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the table of cursors says of a pair, and when its cursor was written (None: it never had one)."""

    record: Record
    written_at: datetime | None


class BigQuery:
    """A BigQuery dataset as a Destination that holds views, too."""

    step = Step()

    def __init__(self, client: bq.Client, address: Address, *, read_only: bool = False) -> None:
        self.client = client
        self.bytes_processed = 0
        self.dialect = dialect_of(address.project, address.dataset)
        self._address = address
        self._run = uuid.uuid4().hex[:12]
        self._steps = 0
        self._read_only = read_only
        self._ready = False
        self._cursor_rows = 0
        self._known: dict[tuple[str, str], datetime] | None = None
        """When the cursor of each pair was written, as far as this run knows; None before cursors were read."""
        self._tables: dict[str, bq.Table] = {}
        """The tables that were looked at, by name."""
        self._retry = bq.DEFAULT_RETRY.with_timeout(PATIENCE_S).with_delay(initial=0.5, maximum=20, multiplier=2)
        self._call: dict[str, Any] = {"retry": self._retry, "timeout": REQUEST_S}
        try:
            with self._sentences():
                self._location = self._find_dataset()
        except BaseException:
            self._close()
            raise

    def _find_dataset(self) -> str | None:
        """Return where the dataset is, None when there is none and none may be made."""
        wanted = self._address.location
        try:
            dataset = self.client.get_dataset(self._address.name, **self._call)
        except refusals.NotFound:
            if self._read_only:
                return None
            new = bq.Dataset(self._address.name)
            new.location = wanted or None
            new.labels = LABEL
            dataset = self.client.create_dataset(new, exists_ok=True, **self._call)
        there = str(dataset.location or "")
        if wanted and there and wanted.upper() != there.upper():
            raise BadInput(
                [
                    Mistake(
                        "destination",
                        f"the dataset {self._address.name} is in {there}, not in {wanted}",
                        f"A dataset cannot move: write location={there}, or name another dataset.",
                    )
                ]
            )
        return there or "US"

    def __enter__(self) -> BigQuery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and not self._read_only and self._cursor_rows > COMPACT_OVER:
            with suppress(StoreFailed):  # the next run tries again
                self._compact()
        self._close()

    def _close(self) -> None:
        self.client.close()  # type: ignore[no-untyped-call]

    # --- talking to BigQuery ------------------------------------------------------------------------------------------

    def _reference(self, name: str) -> str:
        return self.dialect.table(name).strip("`")

    def _labels(self, stream: Stream | None) -> dict[str, str]:
        return {**LABEL, "run": self._run} | ({"object": stream.name[:63]} if stream else {})

    def _new_step(self) -> str:
        self._steps += 1
        return f"{self._run}_{self._steps}"

    def _query(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        stream: Stream | None = None,
        what: str = "query",
        dry_run: bool = False,
    ) -> tuple[list[Any], int]:
        """Run a statement or script and return the rows of its (last) SELECT and the bytes it reads.

        One that another's transaction has aborted runs again, for as long as patience lasts.
        """
        config = bq.QueryJobConfig(
            use_legacy_sql=False,
            labels=self._labels(stream),
            query_parameters=parameters.values if parameters else [],
        )
        if dry_run:
            config.dry_run = True
            # A dry run leaves no job behind, so it needs no name and can be repeated at will.
            job = self.client.query(sql, job_config=config, location=self._location, job_retry=None, **self._call)
            return [], int(job.total_bytes_processed or 0)

        if self._address.max_bytes is not None:  # what is only asked for may be more
            config.maximum_bytes_billed = self._address.max_bytes

        def start(job_id: str) -> bq.QueryJob:
            return self.client.query(
                sql, job_config=config, job_id=job_id, location=self._location, job_retry=None, **self._call
            )

        job, rows = self._do(f"{self._new_step()}_{what}", start, self._rows_of)
        read = int(job.total_bytes_processed or 0)
        self.bytes_processed += read
        return rows, read

    def _rows_of(self, job: bq.QueryJob) -> list[Any]:
        return list(job.result(retry=self._retry, timeout=JOB_S, job_retry=None))

    def _do(self, name: str, start: Callable[[str], Any], finish: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Start a job and wait for its end; one that failed in a way that passes is followed by another."""
        until = time.monotonic() + PATIENCE_S
        attempt = turn = 1
        while True:
            job_id = f"owox_tiktok_{name}_{attempt}"
            job = None
            try:
                job = self._started(job_id, start)
                return job, finish(job)
            except (refusals.GoogleAPICallError, requests.exceptions.ConnectionError) as error:
                if not passes(error) or time.monotonic() > until:
                    raise
                log.info("job %s is tried again: %s", job_id, error)
            time.sleep(min(20.0, 0.2 * 2**turn) * random.uniform(0.5, 1.0))  # noqa: S311 -- no secret
            turn += 1
            # The name of a job that failed is used up; one that was never heard of keeps it.
            attempt += job is not None

    def _started(self, job_id: str, start: Callable[[str], Any]) -> Any:
        """Start a job, or return it when it began before and only the answer was lost."""
        try:
            return start(job_id)
        except (refusals.BadRequest, refusals.Forbidden):
            raise
        except refusals.Conflict:
            # Right after its beginning BigQuery may not find it yet.
            patient = Retry(if_exception_type(refusals.NotFound, refusals.ServerError), initial=0.2, timeout=60)
            return self.client.get_job(job_id, location=self._location, retry=patient, timeout=REQUEST_S)
        except (refusals.GoogleAPICallError, requests.exceptions.ConnectionError):
            with suppress(refusals.NotFound):
                return self.client.get_job(job_id, location=self._location, **self._call)
            raise

    @contextmanager
    def _sentences(self, stream: Stream | None = None) -> Iterator[None]:
        """What BigQuery refuses becomes a StoreFailed that says what to do."""
        where = f"{self._address.name}.{stream.table}" if stream else self._address.name
        try:
            yield
        except refusals.GoogleAPICallError as error:
            what, what_to_do = self._advice(error)
            raise StoreFailed(what, where=where, what_to_do=what_to_do) from error
        except (refusals.RetryError, requests.exceptions.RequestException, TimeoutError) as error:
            what = "BigQuery does not answer"
            raise StoreSilent(what, where=where, what_to_do="The next run goes on; try again later.") from error
        except GoogleAuthError as error:
            what = f"Google refuses the credentials ({first_line(error)})"
            what_to_do = "Run: gcloud auth application-default login. A server needs a service account."
            raise StoreFailed(what, where=where, what_to_do=what_to_do) from error

    def _advice(self, error: refusals.GoogleAPICallError) -> tuple[str, str]:
        """Return what a refusal means and what a person can do."""
        text, reason, address = first_line(error), reason_of(error), self._address
        if _OVERTAKEN in text:
            what = "another import has stored the same object of the same advertiser since this one began"
            return what, "Let one import at a time read an object; the next run goes on where that one ended."
        if reason == "billingNotEnabled":
            what = (
                f"the project {address.project} has no billing account; Google then lets nobody change rows, and "
                "deletes tables and days after 60 days"
            )
            return what, "Link a billing account in the Google Cloud console (this much stays within what is free)."
        if reason == "quotaExceeded":
            return (
                f"a quota is used up ({text})",
                "Wait until it is filled up again, run less often, or raise the quota.",
            )
        if reason == "bytesBilledLimitExceeded" or "limit for bytes billed" in text:
            return f"the ceiling max_bytes stops it ({text})", "Raise max_bytes in the address, or read fewer days."
        if reason == "stopped":
            return "somebody has cancelled the job", "Run again."
        if "streaming buffer" in text:
            what = "another program streams rows into this table, which cannot be changed for up to 90 minutes"
            return what, "Stop it: the tables of this program are for this program alone."
        if isinstance(error, refusals.Forbidden):
            return self._denied(text)
        if isinstance(error, refusals.NotFound):
            return text, "Check project, dataset and location in the destination's address."
        return text, ""

    def _denied(self, text: str) -> tuple[str, str]:
        """Return which role is missing and how it is granted."""
        address, account = self._address, account_of(self.client._credentials)
        if "has not been used" in text or "is disabled" in text:
            what_to_do = f"Run: gcloud services enable bigquery.googleapis.com --project {address.project}"
            return f"the project {address.project} has BigQuery switched off", what_to_do
        if "jobs.create" in text:
            what = f"the account may not run jobs in the project {address.project}: it lacks the role BigQuery Job User"
            return what, (
                f"Run: gcloud projects add-iam-policy-binding {address.project} --member={account} "
                "--role=roles/bigquery.jobUser"
            )
        if "datasets.create" in text:
            what = f"there is no dataset {address.name}, and the account may not create one"
            place = f"--location={address.location} " if address.location else ""
            return what, f"Let an owner of the project run: bq {place}mk -d {address.project}:{address.dataset}"
        what = f"the account may not use the dataset {address.name}: it lacks the role BigQuery Data Editor ({text})"
        return what, (
            f"Run: bq query --use_legacy_sql=false 'GRANT `roles/bigquery.dataEditor` ON SCHEMA `{address.name}` TO "
            f'"{account}"\''
        )

    # --- cursors ------------------------------------------------------------------------------------------------------

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair."""
        if self._location is None:
            return {}
        with self._sentences():
            return self._still_known(self._read_kept())

    def _still_known(self, kept: Mapping[tuple[str, str], _Kept]) -> dict[tuple[str, str], Known]:
        """Return what the stored records still say of the tables that are there now."""
        found = {}
        for pair, each in kept.items():
            table = self._found(table_of(each.record.object)) if each.record.cursor else None
            table = table if table and is_ours(table) else None
            found[pair] = known(_adopting(each, table), _as_stored(table))
        return {pair: one for pair, one in found.items() if one != Known()}

    def _read_kept(self, *, remember: bool = True) -> dict[tuple[str, str], _Kept]:
        """Return what is stored of every pair; ``remember`` that this run knows of it."""
        # Two rows of a pair count: its newest cursor, and its newest failure, which says no more than what failed.
        newest = (
            "SELECT *, COUNT(*) OVER () AS stored FROM "
            f"{self.dialect.table(CURSORS)} WHERE TRUE QUALIFY ROW_NUMBER() OVER "
            "(PARTITION BY object, advertiser_id, read_on IS NULL ORDER BY written_at DESC) = 1"
        )
        try:
            rows, _ = self._query(newest, what="cursors")
        except refusals.NotFound:
            rows = []
        kept: dict[tuple[str, str], _Kept] = {}
        for row in sorted(rows, key=lambda row: row["read_on"] is None):  # cursors first
            record = Record.of(dict(row.items()))
            if row["read_on"] is not None:
                kept[record.pair] = _Kept(record, row["written_at"])
                continue
            had = kept.get(record.pair, _Kept(record, None))
            if had.written_at is None or row["written_at"] > had.written_at:
                kept[record.pair] = replace(had, record=replace(had.record, failure=record.failure))
        if remember:
            self._cursor_rows = rows[0]["stored"] if rows else 0
            self._known = _moments(kept)
        return kept

    def _insert_records(self, records: Iterable[Record], parameters: Parameters) -> str:
        """Return the statement that appends records: each a cursor or a failure, since the newest of each counts."""
        lines = []
        for record in records:
            values = record.values()
            texts = [
                parameters.add(SQL_NAMES.get(f.field_type, f.field_type), values[f.name])
                for f in CURSOR_SCHEMA
                if f.name in values
            ]
            lines.append(f"({', '.join(texts)}, {parameters.add('STRING', self._run)}, CURRENT_TIMESTAMP())")
        names = ", ".join(f.name for f in CURSOR_SCHEMA)
        return f"INSERT INTO {self.dialect.table(CURSORS)} ({names}) VALUES {', '.join(lines)};"

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read."""
        parameters = Parameters()
        failure = Record(stream.name, advertiser_id, failure=Failure(error, utc(at)))
        with self._sentences():
            self._begin()
            self._query(self._insert_records([failure], parameters), parameters, stream=stream, what="failed")

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        """Forget cursors and failures of these pairs, so that the next import reads all of them again; rows stay."""
        if not advertiser_ids:
            return
        nothing = {a: _nothing() for a in advertiser_ids}
        parameters = Parameters()
        with self._sentences(stream):
            self._begin()
            insert = self._insert_records((Record(stream.name, a, c) for a, c in nothing.items()), parameters)
            self._commit(stream, nothing, [insert], parameters)

    def _compact(self) -> None:
        """Delete the rows of cursors that newer ones have outdated."""
        same = "newer.object = old.object AND newer.advertiser_id = old.advertiser_id"
        kind = "(newer.read_on IS NULL) = (old.read_on IS NULL)"
        table = self.dialect.table(CURSORS)
        with self._sentences():
            self._query(
                f"DELETE FROM {table} AS old WHERE EXISTS (SELECT 1 FROM {table} AS newer WHERE {same} AND {kind} "
                "AND newer.written_at > old.written_at)",
                what="compact",
            )

    # --- tables -------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the tables of our own ready, once per run, before anything else is written."""
        if self._ready:
            return
        description = f"{MARK}: how far each object of an advertiser is read, newest row last"
        self._widen(self._create(CURSORS, CURSOR_SCHEMA, description), CURSOR_SCHEMA)
        if self._found(LOCK) is None:
            # Made with its one row in one step, so that there is never another.
            with suppress(refusals.Conflict):  # another import has made it this very moment
                self._query(
                    f"CREATE TABLE IF NOT EXISTS {self.dialect.table(LOCK)} (turn INT64) OPTIONS (description = "
                    f"'{MARK}: keeps imports at the same time apart', labels = [('app', '{LABEL['app']}')]) "
                    "AS SELECT 0 AS turn",
                    what="lock",
                )
            self._lasting(self.client.get_table(self._reference(LOCK), **self._call))
        if self._known is None:
            self._read_kept()
        self._ready = True

    def _found(self, name: str) -> bq.Table | None:
        """Return a table as it is; asked for once, so that whatever a run does goes by the same."""
        if name not in self._tables:
            try:
                self._tables[name] = self.client.get_table(self._reference(name), **self._call)
            except refusals.NotFound:
                return None
        return self._tables[name]

    def _create(
        self, name: str, schema: Sequence[bq.SchemaField], description: str, stream: Stream | None = None
    ) -> bq.Table:
        """Return the table, made if it was not there; one that is not ours is refused."""
        table = self._found(name)
        if table is None:
            new = bq.Table(self._reference(name), schema=schema)
            new.description = description
            new.labels = LABEL
            if stream is not None:
                new.clustering_fields = [k for k in stream.keys if k != stream.time][:4]
                if stream.time:
                    new.time_partitioning = bq.TimePartitioning(field=stream.time)
            table = self._tables[name] = self._lasting(self.client.create_table(new, exists_ok=True, **self._call))
            return table
        if table.table_type != "TABLE" or not is_ours(table):
            raise StoreFailed(
                f"there is a table {name} that this program did not make",
                where=self._address.name,
                what_to_do="Rename that table, or use another dataset.",
            )
        for expires in expiries(table.expires, table.time_partitioning):
            raise StoreFailed(
                f"{expires}, but its cursors would still count them as imported",
                where=table.full_table_id.replace(":", "."),
                what_to_do=f"Run: bq query --use_legacy_sql=false '{self._lasts_sql(table)}' (old days are deleted by "
                "clean_up_to_keep_window)",
            )
        return table

    def _lasting(self, table: bq.Table) -> bq.Table:
        """Free a new table from the expiry that its dataset gives to new tables."""
        if not any(expiries(table.expires, table.time_partitioning)):
            return table
        table.expires = None
        partitioning = table.time_partitioning
        if partitioning is not None:
            partitioning.expiration_ms = None
            table.time_partitioning = partitioning
        try:
            return self.client.update_table(table, ["expires", "time_partitioning"], **self._call)
        except refusals.GoogleAPICallError:
            self.client.delete_table(table, not_found_ok=True, **self._call)
            raise

    def _lasts_sql(self, table: bq.Table) -> str:
        days = table.time_partitioning is not None and table.time_partitioning.expiration_ms
        options = ["expiration_timestamp = NULL"] * (table.expires is not None)
        options += ["partition_expiration_days = NULL"] * bool(days)
        return f"ALTER TABLE {self.dialect.table(table.table_id)} SET OPTIONS ({', '.join(options)})"

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Create the stream's table, or add the columns it lacks; refuse a table that is not ours."""
        with self._sentences(stream):
            self._begin()
            schema = [schema_field(f, stream) for f in columns]
            table = self._create(stream.table, schema, f"{MARK}: {stream.description}", stream)
            self._widen(table, schema, stream)

    def _widen(self, table: bq.Table, schema: Sequence[bq.SchemaField], stream: Stream | None = None) -> None:
        """Add the columns that a table lacks; refuse one whose columns have other types, or that lacks a key."""
        there = {f.name: f.field_type for f in table.schema}
        for f in schema:
            if stream and f.name in stream.keys and f.name not in there:
                raise StoreFailed(
                    f"column {f.name} of {table.table_id} is not there any more, and rows are known by it",
                    where=self._address.name,
                    what_to_do="Rename the table, and the next import fills a new one.",
                )
            if f.name in there and there[f.name] != f.field_type:
                raise StoreFailed(
                    f"column {f.name} of {table.table_id} is {there[f.name]} but should be {f.field_type}",
                    where=self._address.name,
                    what_to_do="Rename the table, and the next import fills a new one.",
                )
        missing = [f for f in schema if f.name not in there]
        if not missing:
            return
        if stream:
            self._settle(stream, table)
        for _ in range(3):
            table.schema = [*table.schema, *missing]
            try:
                self._tables[table.table_id] = self.client.update_table(table, ["schema"], **self._call)
                return
            except refusals.PreconditionFailed:  # somebody has changed it since it was read
                now = self.client.get_table(table.reference, **self._call)
            if now.created != table.created or not there.keys() <= {f.name for f in now.schema}:
                break
            table = now
            missing = [f for f in schema if f.name not in {g.name for g in table.schema}]
        raise StoreFailed(
            f"the columns of {table.table_id} are being changed by another program",
            where=self._address.name,
            what_to_do="Run again when it has ended.",
        )

    def _settle(self, stream: Stream, table: bq.Table) -> None:
        """Write down what the cursors of a stream still say, before a new column makes their table look whole."""
        kept = {pair: each for pair, each in self._read_kept(remember=False).items() if pair[0] == stream.name}
        left = {}
        for (_, advertiser_id), each in kept.items():
            record = _adopting(each, table)
            if record.table_id != _id(table):
                continue  # it speaks of another table, and never counts again
            still = known(record, _as_stored(table))
            if still.lost:
                left[advertiser_id] = Record(
                    stream.name, advertiser_id, still.cursor or _nothing(), table_id=record.table_id
                )
        if left:
            parameters = Parameters()
            changes = [self._insert_records(left.values(), parameters)]
            cursors = {advertiser_id: record.cursor for advertiser_id, record in left.items()}
            self._commit(stream, cursors, changes, parameters, seen=_moments(kept))

    # --- the two verbs ------------------------------------------------------------------------------------------------

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window exactly its rows, and store the cursors, in one transaction."""
        stream = chunks[0].stream
        table = self.dialect.table(stream.table)
        scope = scope_of(
            stream,
            [
                (c.advertiser_id, c.window.first, c.window.last) if c.window else (c.advertiser_id, None, None)
                for c in chunks
            ],
        )

        def change(staging: str | None) -> list[str]:
            statements = [f"DELETE FROM {table} WHERE {scope};", "SET replaced = @@row_count;"]
            if staging:
                names = ", ".join(BIGQUERY.name(f.name) for f in chunks[0].columns)
                statements.append(f"INSERT INTO {table} ({names}) SELECT {names} FROM {staging};")
            return statements

        return self._store(chunks, change)

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows by key, and store the cursors, in one transaction."""
        stream = chunks[0].stream
        table = self.dialect.table(stream.table)
        keys = ", ".join(map(BIGQUERY.name, stream.keys))
        names = [BIGQUERY.name(f.name) for f in chunks[0].columns]
        others = [BIGQUERY.name(f.name) for f in chunks[0].columns if f.name not in stream.keys]
        same = " AND ".join(f"t.{BIGQUERY.name(k)} = s.{BIGQUERY.name(k)}" for k in stream.keys)
        if not stream.per_app:  # those rows are of many advertisers, and the chunk of none
            of = ", ".join(text(a) for a in sorted({c.advertiser_id for c in chunks}))
            same = f"t.advertiser_id IN ({of}) AND {same}"

        def change(staging: str | None) -> list[str]:
            if not staging:
                return []
            # One row of a key at most: MERGE fails when two meet the same row.
            first = f"ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {keys}) = 1"
            rows = f"SELECT * FROM {staging} WHERE TRUE QUALIFY {first}"
            update = ", ".join(f"{n} = s.{n}" for n in others)
            return [
                f"SET replaced = (SELECT COUNT(*) FROM {table});",
                f"MERGE INTO {table} AS t USING ({rows}) AS s ON {same}"
                + (f" WHEN MATCHED THEN UPDATE SET {update}" if update else "")
                + f" WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{n}' for n in names)});",
                # Rows touched, less those by which the table has grown.
                f"SET replaced = @@row_count - ((SELECT COUNT(*) FROM {table}) - replaced);",
            ]

        return self._store(chunks, change)

    def _store(self, chunks: Sequence[Chunk], change: Callable[[str | None], list[str]]) -> list[Stored]:
        """Load the rows into a staging table, and bring them and the cursors in in one transaction."""
        one_scope_each(chunks)
        stream = chunks[0].stream
        rows = sum(c.rows for c in chunks)
        moved = last_cursors(chunks)
        cursors = {c.advertiser_id: moved.get(c.advertiser_id) for c in chunks}
        with self._sentences(stream):
            self._begin()
            step = self._new_step()
            staging = self._load(chunks, step) if rows else None
            try:
                parameters = Parameters()
                changes = change(self.dialect.table(staging) if staging else None)
                if moved:
                    table_id = _id(self._found(stream.table))
                    records = (Record(stream.name, a, c, table_id=table_id) for a, c in moved.items())
                    changes.append(self._insert_records(records, parameters))
                replaced = self._commit(stream, cursors, changes, parameters) if changes else 0
            finally:
                if staging:
                    with suppress(Exception):  # it expires by itself
                        self.client.delete_table(self._reference(staging), not_found_ok=True, **self._call)
        self._cursor_rows += len(moved)
        # One statement replaces all windows, so what it replaced is known only of them all.
        return [Stored(c.rows, replaced if n == 0 else 0) for n, c in enumerate(chunks)]

    def _commit(
        self,
        stream: Stream,
        cursors: Mapping[str, Cursor | None],
        changes: Sequence[str],
        parameters: Parameters,
        *,
        seen: Mapping[tuple[str, str], datetime] | None = None,
    ) -> int:
        """Make the changes in one transaction; return how many rows they replaced.

        ``seen``: when the cursors were written that the changes go by, where they are others than the run began with.
        """
        while True:
            before = (self._known or {}) if seen is None else seen
            try:
                script = self._transaction(stream, cursors, changes, before)
                found, _ = self._query(script, parameters, stream=stream, what="store")
                return int(found[0][0])
            except refusals.BadRequest as error:
                if _OVERTAKEN not in str(error) or seen is not None:
                    raise
                # Perhaps only the last step of a run that was killed has come in late, or a run like this one.
                theirs = self._read_kept(remember=False)
                now = _moments(theirs)
                for advertiser_id, ours in cursors.items():
                    pair = stream.name, advertiser_id
                    if now.get(pair) != before.get(pair) and not _still_true(ours, theirs.get(pair)):
                        raise
                # Of the other pairs it knows no more than before.
                same = {(stream.name, a) for a in cursors}
                self._known = dict(before) | {pair: at for pair, at in now.items() if pair in same}

    def _transaction(
        self,
        stream: Stream,
        advertiser_ids: Iterable[str],
        changes: Sequence[str],
        seen: Mapping[tuple[str, str], datetime],
    ) -> str:
        """Return the script that makes ``changes`` if nobody else has moved the cursors of these pairs."""
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
                "DECLARE replaced INT64 DEFAULT 0;",
                "BEGIN TRANSACTION;",
                f"UPDATE {self.dialect.table(LOCK)} SET turn = turn + 1 WHERE TRUE;",
                # A transaction may ask, so it asks for an error.
                f"SELECT IF(EXISTS (SELECT 1 FROM {self.dialect.table(CURSORS)} WHERE object = {text(stream.name)} "
                f"AND run != {text(self._run)} AND read_on IS NOT NULL AND ({moved})), "
                f"ERROR({text(_OVERTAKEN)}), 0);",
                *changes,
                "COMMIT TRANSACTION;",
                "SELECT replaced;",
            ]
        )

    def _load(self, chunks: Sequence[Chunk], step: str) -> str:
        """Bring the chunks' rows into a new staging table and return its name."""
        stream, columns = chunks[0].stream, chunks[0].columns
        name = f"{STAGING}_{stream.name}_{step}"
        table = bq.Table(self._reference(name), schema=[schema_field(f, stream) for f in columns])
        table.expires = datetime.now(UTC) + STAGING_LIVES
        table.labels = self._labels(stream)
        table.description = f"{MARK}: rows on their way into {stream.table}"
        self.client.create_table(table, exists_ok=True, **self._call)
        config = bq.LoadJobConfig(
            source_format=bq.SourceFormat.CSV,
            schema=table.schema,
            write_disposition=bq.WriteDisposition.WRITE_EMPTY,
            create_disposition=bq.CreateDisposition.CREATE_NEVER,
            allow_quoted_newlines=True,
            preserve_ascii_control_characters=True,
            labels=self._labels(stream),
        )
        # The row files as they are: an unquoted empty field is null to BigQuery, too, and a quoted one an empty text.
        with tempfile.TemporaryFile() as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=COMPRESSION, mtime=0) as zipped:
                for chunk in chunks:
                    if chunk.rows:
                        with chunk.path.open("rb") as rows:
                            shutil.copyfileobj(rows, zipped, 1 << 20)
            size = file.tell()

            def start(job_id: str) -> bq.LoadJob:
                return self.client.load_table_from_file(
                    file,
                    self._reference(name),
                    rewind=True,
                    size=size,
                    job_id=job_id,
                    location=self._location,
                    job_config=config,
                    timeout=REQUEST_S,
                )

            job, _ = self._do(f"{step}_load", start, lambda job: job.result(retry=self._retry, timeout=JOB_S))
        check_rows(chunks, job.output_rows)
        return name

    # --- views --------------------------------------------------------------------------------------------------------

    def columns(self) -> Columns:
        """Return the columns of every table here that is ours, the cursors' included."""
        if self._location is None:
            return {}
        with self._sentences():
            return {
                item.table_id: [f.name for f in self.client.get_table(item.reference, **self._call).schema]
                for item in self.client.list_tables(self._address.name, **self._call)
                if item.table_type == "TABLE" and LABEL.items() <= item.labels.items()
                if not item.table_id.startswith(STAGING)
            }

    def create_views(self, views: Sequence[View]) -> list[str]:
        """Create or replace the views; return the names of those left alone, because somebody else made them."""
        with self._sentences():
            return [view.name for view in views if not self._create_view(view)]

    def _create_view(self, view: View) -> bool:
        try:
            old = self.client.get_table(self._reference(view.name), **self._call)
        except refusals.NotFound:
            old = None
        if old is not None and (old.table_type != "VIEW" or not is_ours(old)):
            return False
        text = f"{MARK}: {view.description}"
        texts = {f.name: f.description[:1024] for f in view.fields}
        if old is not None and (old.view_query, old.description, texts_of(old)) == (view.sql, text, texts):
            return True  # most imports change none
        made = old or bq.Table(self._reference(view.name))
        made.view_query = view.sql
        made.description = text
        made.labels = LABEL
        if old is None:
            made = self.client.create_table(made, exists_ok=True, **self._call)
        else:
            made = self.client.update_table(made, ["view_query", "description", "labels"], **self._call)
        # The columns are known once BigQuery has read the query; then they can be described.
        made = self.client.get_table(made.reference, **self._call)
        made.schema = [
            bq.SchemaField.from_api_repr({**f.to_api_repr(), "description": texts.get(f.name, "")}) for f in made.schema
        ]
        self.client.update_table(made, ["schema"], **self._call)
        return True

    # --- pruning ------------------------------------------------------------------------------------------------------

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count."""
        if stream.time is None or not keep_from or self._location is None:
            return 0
        old = scope_of(stream, [(a, None, day - timedelta(days=1)) for a, day in keep_from.items()])
        table = self.dialect.table(stream.table)
        with self._sentences(stream):
            if self._found(stream.table) is None:
                return 0
            # Most runs find nothing, and days that are not there cost nothing to count.
            rows, _ = self._query(f"SELECT COUNT(*) FROM {table} WHERE {old}", stream=stream, what="count")
            count = int(rows[0][0])
            if dry_run or not count:
                return count
            self._begin()
            # A cursor says which days are here, so it lets go of the same days.
            left = {
                advertiser_id: one.cursor.without_days_before(keep_from[advertiser_id])
                for (name, advertiser_id), one in self._still_known(self._read_kept()).items()
                if name == stream.name and advertiser_id in keep_from and one.cursor
            }
            parameters = Parameters()
            changes = [f"DELETE FROM {table} WHERE {old};", "SET replaced = @@row_count;"]
            if left:
                table_id = _id(self._found(stream.table))
                records = (Record(stream.name, a, c, table_id=table_id) for a, c in left.items())
                changes.append(self._insert_records(records, parameters))
            return self._commit(stream, {a: left.get(a) for a in keep_from}, changes, parameters)

    # --- before anything runs -----------------------------------------------------------------------------------------

    def estimate(self, stream: Stream, windows: Mapping[str, Window | None]) -> int:
        """Return how many bytes replacing the advertisers' windows would read in the table, asked by a dry run."""
        if self._location is None or not windows:
            return 0
        scope = scope_of(stream, [(a, w.first if w else None, w.last if w else None) for a, w in windows.items()])
        with self._sentences(stream):
            try:
                _, read = self._query(
                    f"DELETE FROM {self.dialect.table(stream.table)} WHERE {scope}", stream=stream, dry_run=True
                )
            except refusals.NotFound:
                return 0
        return read

    def check(self) -> list[str]:
        """Try what an import needs, with a table that it deletes again; return a sentence for each thing it may not."""
        wrong = []
        for attempt in (self._check_jobs, self._check_tables, self._check_expiries):
            try:
                with self._sentences():
                    attempt()
            except StoreFailed as error:
                wrong.append(error.sentence)
        return list(dict.fromkeys(wrong))

    def _check_jobs(self) -> None:
        self._query("SELECT 1", dry_run=True)

    def _check_tables(self) -> None:
        if self._location is None:
            return
        name = f"{STAGING}_check_{self._run}"
        table = bq.Table(self._reference(name), schema=[bq.SchemaField("x", "INTEGER")])
        table.expires = datetime.now(UTC) + STAGING_LIVES
        table.labels = self._labels(None)
        self.client.create_table(table, **self._call)
        try:
            # Needs the right to change rows, which a project without billing does not have.
            self._query(f"DELETE FROM {self.dialect.table(name)} WHERE FALSE", what="check")
        finally:
            self.client.delete_table(self._reference(name), not_found_ok=True, **self._call)

    def _check_expiries(self) -> None:
        if self._location is None:
            return
        for item in self.client.list_tables(self._address.name, **self._call):
            ours = item.table_type == "TABLE" and LABEL.items() <= item.labels.items()
            if ours and not item.table_id.startswith(STAGING):
                self._create(item.table_id, [], "")


def _nothing() -> Cursor:
    """Return a cursor of nothing: as the newest row of its pair it says as much as none."""
    now = datetime.now(UTC)
    return Cursor(frozenset(), utc(now), now.date())


def _moments(kept: Mapping[tuple[str, str], _Kept]) -> dict[tuple[str, str], datetime]:
    """Return when the cursor of each pair was written."""
    return {pair: each.written_at for pair, each in kept.items() if each.written_at}


def _id(table: bq.Table | None) -> str:
    """Return what tells a table from another of the same name: when BigQuery created it, in milliseconds."""
    return str(round(table.created.timestamp() * 1000)) if table else ""


def _as_stored(table: bq.Table | None) -> Table | None:
    return Table(_id(table), [f.name for f in table.schema]) if table else None


def _adopting(kept: _Kept, table: bq.Table | None) -> Record:
    """Return the record; one of the first version, which names no table, names that which was there at its time."""
    record, at = kept.record, kept.written_at
    adopts = table is not None and at is not None and not record.table_id and table.created <= at
    return replace(record, table_id=_id(table)) if adopts else record


def _still_true(ours: Cursor | None, kept: _Kept | None) -> bool:
    """Whether a cursor of ours holds although another run has stored something since: all it has is there, too."""
    theirs = kept.record.cursor if kept else None
    if ours is None or theirs is None or not ours.fields <= theirs.fields or ours.with_deleted != theirs.with_deleted:
        return False
    return ours.since is None or (theirs.since is not None and theirs.since <= ours.since)
