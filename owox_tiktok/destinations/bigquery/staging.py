"""Rows on their way: a step's row files become a staging table, from which the step's transaction takes them.

Staging tables lie in a dataset of our own beside the target dataset, one for all datasets of a project and location.
Its name begins with an underscore, so the console hides it. Where the account may not create one, they lie in the
target.

A staging table is deleted after its step. What a killed run leaves is deleted by the next run that stores a step of the
same object. Whether the other run is dead nobody can know: if it lives, it gets a SweptError and begins its step again.
Each run looks for such tables once, at its beginning, so two runs cannot keep each other from getting on.
"""

from __future__ import annotations

import gzip
import logging
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import google.api_core.exceptions as refusals
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

log = logging.getLogger(__name__)

STAGING = "_owox_tiktok_staging"
"""Begins the names of staging tables and of the hidden datasets where they lie."""
STAGING_LIVES = timedelta(hours=2)
"""Longer than any step: its two jobs end after ``jobs.JOB_S`` each. BigQuery deletes what is there still."""
DROP_S = 10.0
"""So long is the deletion of a table tried again that would also go by itself."""
COMPRESSION = 1
"""gzip's fastest: level 6 takes twice the time and makes the file a sixth smaller (see benchmarks)."""


class SweptError(Exception):
    """Nothing was stored: another import has deleted the step's staging table, which it took for a dead run's."""


class Staging:
    """The staging tables of one run."""

    def __init__(self, client: bq.Client, jobs: Jobs, address: Address, *, in_target: bool = False) -> None:
        """``in_target``: rows must not leave the target dataset, whose key they are encrypted with."""
        self._client = client
        self._jobs = jobs
        self._call = jobs.call
        self._address = address
        self._lock = threading.Lock()
        self._home: str | None = address.name if in_target else None
        self.may_hide = not in_target
        self._left: defaultdict[str, list[str]] = defaultdict(list)
        """Tables of other runs, by object, as they were when this run began."""

    def home(self) -> str:
        """Return the dataset where staging tables lie, project and id; makes the hidden one if there is none."""
        with self._lock:
            if self._home is None:
                self._home = self._hidden() or self._address.name
            return self._home

    @property
    def hidden_name(self) -> str:
        """The dataset of our own for the location: what it is called, or would be."""
        place = (self._jobs.location or "US").lower().replace("-", "_")
        return f"{self._address.project}.{STAGING}_{place}"

    @property
    def is_hidden(self) -> bool:
        """Whether staging tables lie in the dataset of our own."""
        return self.home() == self.hidden_name

    def _hidden(self) -> str | None:
        name = self.hidden_name
        try:
            try:
                there = self._client.get_dataset(name, **self._call)
            except (refusals.NotFound, refusals.Forbidden):  # who may not see it cannot know that there is none
                new = bq.Dataset(name)
                new.location = self._jobs.location
                new.labels = LABEL
                new.description = f"{MARK}: rows on their way into datasets of this location, for minutes"
                new.default_table_expiration_ms = round(STAGING_LIVES.total_seconds() * 1000)
                there = self._client.create_dataset(new, exists_ok=True, **self._call)
        except refusals.ClientError as error:  # a right is missing, or a policy of the organization forbids it
            log.info("no dataset %s for staging tables: %s", name, error)
            return None
        same = str(there.location or "").upper() == (self._jobs.location or "").upper()
        return name if same else None

    def find_left(self) -> None:
        """Find what other runs have left, on their way into this dataset; ``sweep`` deletes it object by object."""
        try:
            there = list(self._client.list_tables(self.home(), **self._call))
        except (refusals.Forbidden, refusals.NotFound):
            return  # it is somebody else's: ``new`` finds another place
        for item in there:
            of, _, rest = item.table_id.removeprefix(f"{STAGING}-").partition("-")
            object_name, _, run = rest.partition("-")
            ours = item.table_id.startswith(f"{STAGING}-") and LABEL.items() <= item.labels.items()
            if ours and of == self._address.dataset and not run.startswith(self._jobs.run):
                self._left[object_name].append(f"{self.home()}.{item.table_id}")

    def sweep(self, stream: Stream) -> None:
        """Delete what other runs have left of an object, once this run has stored a step of it."""
        with self._lock:
            left = self._left.pop(stream.name, [])
        for full in left:
            self.drop(full)

    def new(self, of: str, name: str, schema: Sequence[bq.SchemaField], stream: Stream | None, about: str) -> str:
        """Make an empty staging table ``of`` an object, whose name ends in ``name``, and return its full name."""
        while True:
            home = self.home()
            table = bq.Table(f"{home}.{STAGING}-{self._address.dataset}-{of}-{name}", schema=schema)
            table.expires = datetime.now(UTC) + STAGING_LIVES
            table.labels = self._jobs.labels(stream)
            table.description = f"{MARK}: {about}"
            try:
                self._client.create_table(table, exists_ok=True, **self._call)
            except (refusals.Forbidden, refusals.NotFound):
                if home == self._address.name:
                    raise
                # It is somebody else's, or was deleted meanwhile; the target dataset serves as well.
                with self._lock:
                    self._home = self._address.name
                continue
            return str(table.reference)

    @contextmanager
    def noticing(self, full: str) -> Iterator[None]:
        """Raise SweptError where what is done inside fails and the staging table is no longer there.

        Whatever BigQuery says of it: a job that loses its table while it reads may get another error than NotFound.
        """
        try:
            yield
        except refusals.GoogleAPICallError as error:
            try:
                self._client.get_table(full, **self._call)
            except refusals.NotFound:
                raise SweptError from error
            raise

    def delete(self, full: str) -> None:
        """Delete a staging table; raises what BigQuery says, unless there is none."""
        self._client.delete_table(full, not_found_ok=True, **self._call)

    def drop(self, full: str) -> None:
        """Delete a staging table if that can be done; else the next run does, or it expires."""
        with suppress(Exception):
            self._client.delete_table(
                full, not_found_ok=True, retry=self._call["retry"].with_timeout(DROP_S), timeout=DROP_S
            )

    def load(self, chunks: Sequence[Chunk], step: str) -> str:
        """Bring the chunks' rows into a new staging table and return its full name.

        Raises StoreFailed where not as many rows arrive as were read, and SweptError.
        """
        stream = chunks[0].stream
        schema = [schema_field(part) for part in parts_of(stream, chunks[0].columns)]
        full = self.new(stream.name, step, schema, stream, f"rows on their way into {stream.table}")
        try:
            with self.noticing(full):
                check_rows(chunks, self._load(chunks, full, schema, step))
        except BaseException:
            self.drop(full)
            raise
        return full

    def _load(self, chunks: Sequence[Chunk], full: str, schema: Sequence[bq.SchemaField], step: str) -> int:
        stream, columns = chunks[0].stream, chunks[0].columns
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
            return self._jobs.load(file, size, full, config, step=step)
