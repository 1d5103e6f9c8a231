"""Rows on their way: a step's row files become a staging table, from which the step's transaction takes them."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import google.cloud.bigquery as bq

from owox_tiktok.cursors import check_rows
from owox_tiktok.destinations.bigquery.address import Address
from owox_tiktok.destinations.bigquery.advice import LABEL
from owox_tiktok.destinations.bigquery.jobs import Jobs
from owox_tiktok.destinations.bigquery.sql import schema_field
from owox_tiktok.destinations.sql import parts_of
from owox_tiktok.dialects import MARK
from owox_tiktok.model import Chunk, Stream
from owox_tiktok.spool import lines_of_days
from owox_tiktok.trust.seals import days_of

STAGING = "_owox_tiktok_staging"
STAGING_LIVES = timedelta(hours=6)
"""Staging tables are deleted after use; those of a run that was killed are by the next one, or expire."""
SWEEP_AFTER = timedelta(minutes=45)
"""A staging table that is so old belongs to no step any more: a job ends after ``jobs.JOB_S``."""
COMPRESSION = 1
"""gzip's fastest: level 6 takes twice the time and makes the file a sixth smaller (see benchmarks)."""


class Staging:
    """The staging tables of one run."""

    def __init__(self, client: bq.Client, jobs: Jobs, address: Address) -> None:
        self._client = client
        self._jobs = jobs
        self._call = jobs.call
        self._address = address

    def sweep(self) -> None:
        """Delete the staging tables that killed runs have left; no step of a run that lives is so old."""
        before = datetime.now(UTC) - SWEEP_AFTER
        for item in self._client.list_tables(self._address.name, **self._call):
            if item.table_id.startswith(f"{STAGING}_") and LABEL.items() <= item.labels.items():
                created = item.created
                if created is not None and created < before:
                    self._client.delete_table(item.reference, not_found_ok=True, **self._call)

    def new(self, name: str, schema: Sequence[bq.SchemaField], stream: Stream | None, about: str) -> str:
        """Make an empty staging table whose name ends in ``name``, and return its full name."""
        full = f"{self._address.name}.{STAGING}_{name}"
        table = bq.Table(full, schema=schema)
        table.expires = datetime.now(UTC) + STAGING_LIVES
        table.labels = self._jobs.labels(stream)
        table.description = f"{MARK}: {about}"
        self._client.create_table(table, exists_ok=True, **self._call)
        return full

    def delete(self, full: str) -> None:
        """Delete a staging table; raises what BigQuery says, unless there is none."""
        self._client.delete_table(full, not_found_ok=True, **self._call)

    def drop(self, full: str) -> None:
        """Delete a staging table if that can be done at once; else it expires by itself."""
        with suppress(Exception):
            self.delete(full)

    def load(self, chunks: Sequence[Chunk], step: str) -> str:
        """Bring the chunks' rows into a new staging table and return its full name.

        Raises StoreFailed where not as many rows arrive as were read.
        """
        stream, columns = chunks[0].stream, chunks[0].columns
        schema = [schema_field(part) for part in parts_of(stream, columns)]
        full = self.new(f"{stream.name}_{step}", schema, stream, f"rows on their way into {stream.table}")
        config = bq.LoadJobConfig(
            source_format=bq.SourceFormat.CSV,
            schema=schema,
            write_disposition=bq.WriteDisposition.WRITE_TRUNCATE,
            create_disposition=bq.CreateDisposition.CREATE_NEVER,
            allow_quoted_newlines=True,
            preserve_ascii_control_characters=True,
            labels=self._jobs.labels(stream),
        )
        # The row files as they are: an unquoted empty field is null to BigQuery, too, and a quoted one an empty text.
        with tempfile.TemporaryFile() as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=COMPRESSION, mtime=0) as zipped:
                for chunk in chunks:
                    if chunk.kept and chunk.rows_to_write and stream.time:
                        days = {str(day) for day in days_of(chunk) if day not in chunk.kept}
                        zipped.writelines(lines_of_days(chunk.path, columns, stream.time, days))
                    elif chunk.rows_to_write:
                        with chunk.path.open("rb") as rows:
                            shutil.copyfileobj(rows, zipped, 1 << 20)
            size = file.tell()
            loaded = self._jobs.load(file, size, full, config, step=step)
        check_rows(chunks, loaded)
        return full
