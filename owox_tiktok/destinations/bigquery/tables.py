"""The dataset and its tables: what is there, what is made and described, and what a person must fix first.

Nothing here knows of steps, cursors or rows: ``destination`` builds on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

import google.api_core.exceptions as refusals
import google.cloud.bigquery as bq
from google.cloud.bigquery.table import PrimaryKey, TableConstraints

from owox_tiktok.cursors import Part
from owox_tiktok.destinations.bigquery.address import Address
from owox_tiktok.destinations.bigquery.advice import LABEL, expiries, is_ours, sentences
from owox_tiktok.destinations.bigquery.jobs import Jobs
from owox_tiktok.destinations.bigquery.sql import TYPES, schema_field
from owox_tiktok.destinations.bigquery.staging import STAGING, Staging
from owox_tiktok.destinations.sql import Found, SqlDestination
from owox_tiktok.dialects import MARK
from owox_tiktok.dialects import bigquery as dialect_of
from owox_tiktok.errors import BadInput, Mistake, StoreFailed
from owox_tiktok.model import Stream
from owox_tiktok.retry import Limits
from owox_tiktok.views import View

LOOKS, LOOK_AGAIN_S = 5, 0.2
"""So often a table without columns is looked at again, and after how long."""
LIMITS = Limits(attempts=100, deadline_s=300.0, first_s=0.4, longest_s=20.0)
"""So long is a call tried again that fails in a way that passes, and a step that another import aborts."""


class Tables(SqlDestination):
    """The part of the BigQuery destination that deals with the dataset and with tables as a whole."""

    other_place = "dataset"
    moment = "CURRENT_TIMESTAMP()"

    def __init__(
        self, client: bq.Client, address: Address, *, read_only: bool = False, limits: Limits = LIMITS
    ) -> None:
        super().__init__(address.name)
        self.dialect = dialect_of(address.project, address.dataset)
        self._client = client
        self._jobs = Jobs(client, limits, address)
        self._call = self._jobs.call
        self._address = address
        self._read_only = read_only
        self._has_key = False
        """Whether the dataset encrypts what is in it with a key of its owner's."""
        self._tables: dict[str, bq.Table] = {}
        """The tables that were looked at, by name."""
        try:
            with self._sentences():
                self._jobs.location = self._find_dataset()
        except BaseException:
            self._close()
            raise
        self._staging = Staging(client, self._jobs, address, in_target=self._has_key)

    @property
    def bytes_billed(self) -> int:
        """Bytes that were billed so far."""
        return self._jobs.bytes_billed

    @property
    def price_per_tib(self) -> float | None:
        """What 2**40 of them cost, where the address says it."""
        return self._address.price

    def _find_dataset(self) -> str | None:
        """Return where the dataset is, None when there is none and none may be made."""
        wanted = self._address.location
        try:
            dataset = self._client.get_dataset(self._address.name, **self._call)
        except refusals.NotFound:
            if self._read_only:
                return None
            new = bq.Dataset(self._address.name)
            new.location = wanted or None
            new.labels = {**self._address.labels, **LABEL}
            dataset = self._client.create_dataset(new, exists_ok=True, **self._call)
        self._has_key = dataset.default_encryption_configuration is not None
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

    def _close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def _reference(self, name: str) -> str:
        return self.dialect.table(name).strip("`")

    def _sentences(self, stream: Stream | None = None) -> AbstractContextManager[None]:
        return sentences(self._address, self._client, stream)

    @contextmanager
    def _transaction(self, stream: Stream | None = None) -> Iterator[None]:
        """What belongs together is one script (see ``_commit``); there is nothing to begin here."""
        with self._sentences(stream):
            yield

    # --- tables -------------------------------------------------------------------------------------------------------

    def _looked_at(self, name: str) -> bq.Table | None:
        """Return a table as it is; asked for once, so that whatever a run does goes by the same."""
        if name not in self._tables:
            try:
                found = self._client.get_table(self._reference(name), **self._call)
                for _ in range(LOOKS):
                    if found.schema:
                        break
                    time.sleep(LOOK_AGAIN_S)  # another import is making it this very moment
                    found = self._client.get_table(self._reference(name), **self._call)
            except refusals.NotFound:
                return None
            self._tables[name] = found
        return self._tables[name]

    def _found(self, name: str) -> Found | None:
        table = self._looked_at(name)
        if table is None:
            return None
        types = {f.name: f.field_type for f in table.schema}
        return Found(types, is_ours(table), id_of(table), is_view=table.table_type != "TABLE")

    def _ours(self) -> list[str]:
        if self._jobs.location is None:
            return []
        return [
            item.table_id
            for item in self._client.list_tables(self._address.name, **self._call)
            if item.table_type == "TABLE" and LABEL.items() <= item.labels.items()
            if not item.table_id.startswith(STAGING)
        ]

    def _type(self, part: Part) -> str:
        return TYPES[part.kind]

    def _create(self, name: str, description: str, parts: Sequence[Part], stream: Stream | None) -> None:
        new = bq.Table(self._reference(name), schema=[schema_field(part) for part in parts])
        new.description = description
        new.labels = {**self._address.labels, **LABEL}
        if stream is not None:
            new.clustering_fields = [k for k in stream.keys if k != stream.time][:4]
            new.table_constraints = _key_of(stream)
            if stream.time:
                new.time_partitioning = bq.TimePartitioning(field=stream.time)
        self._tables[name] = self._lasting(self._client.create_table(new, exists_ok=True, **self._call))

    def _add(self, name: str, parts: Sequence[Part]) -> None:
        before = self._tables[name]
        table = before
        for _ in range(3):
            there = {f.name for f in table.schema}
            table.schema = [*table.schema, *(schema_field(part) for part in parts if part.name not in there)]
            try:
                self._tables[name] = self._client.update_table(table, ["schema"], **self._call)
                return
            except refusals.PreconditionFailed:  # somebody has changed it since it was read
                table = self._client.get_table(table.reference, **self._call)
            if table.created != before.created or not there - {p.name for p in parts} <= {f.name for f in table.schema}:
                break
        raise StoreFailed(
            f"the columns of {name} are being changed by another program",
            where=self._address.name,
            what_to_do="Run again when it has ended.",
        )

    def _name_key(self, stream: Stream) -> None:
        """Tell BigQuery the key of a table that a version without keys has made."""
        table = self._tables[stream.table]
        if table.table_constraints is None:
            table.table_constraints = _key_of(stream)
            with suppress(refusals.ClientError):  # it is a help for queries, and no reason to import nothing
                self._tables[stream.table] = self._client.update_table(table, ["table_constraints"], **self._call)

    def _refuse_expiry(self, name: str) -> None:
        """Raise StoreFailed for a table of ours whose rows would vanish although its cursors count them."""
        table = self._looked_at(name)
        if table is None or not is_ours(table):
            return
        for expires in expiries(table.expires, table.time_partitioning):
            raise StoreFailed(
                f"{expires}, but its cursors would still count them as imported",
                where=table.full_table_id.replace(":", "."),
                what_to_do=f"Run: bq query --use_legacy_sql=false '{self._lasts_sql(table)}' (old days are deleted by "
                "clean_up_to_keep_window)",
            )

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
            return self._client.update_table(table, ["expires", "time_partitioning"], **self._call)
        except refusals.GoogleAPICallError:
            self._client.delete_table(table, not_found_ok=True, **self._call)
            raise

    def _lasts_sql(self, table: bq.Table) -> str:
        days = table.time_partitioning is not None and table.time_partitioning.expiration_ms
        options = ["expiration_timestamp = NULL"] * (table.expires is not None)
        options += ["partition_expiration_days = NULL"] * bool(days)
        return f"ALTER TABLE {self.dialect.table(table.table_id)} SET OPTIONS ({', '.join(options)})"

    # --- views --------------------------------------------------------------------------------------------------------

    def _make_view(self, view: View) -> None:
        old = self._looked_at(view.name)
        about = f"{MARK}: {view.description}"
        texts = {f.name: f.description[:1024] for f in view.fields}
        described = old is not None and {f.name: f.description or "" for f in old.schema} == texts
        if old is not None and described and (old.view_query, old.description) == (view.sql, about):
            return  # most imports change none
        made = old or bq.Table(self._reference(view.name))
        made.view_query = view.sql
        made.description = about
        made.labels = {**self._address.labels, **LABEL}
        if old is None:
            made = self._client.create_table(made, exists_ok=True, **self._call)
        else:
            made = self._client.update_table(made, ["view_query", "description", "labels"], **self._call)
        # The columns are known once BigQuery has read the query; then they can be described.
        made = self._client.get_table(made.reference, **self._call)
        made.schema = [
            bq.SchemaField.from_api_repr({**f.to_api_repr(), "description": texts.get(f.name, "")}) for f in made.schema
        ]
        self._tables[view.name] = self._client.update_table(made, ["schema"], **self._call)

    # --- checks -------------------------------------------------------------------------------------------------------

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

    def remarks(self) -> list[str]:
        """Return a sentence for what works in another way than it could."""
        with self._sentences():
            if self._jobs.location is None or not self._staging.may_hide or self._staging.is_hidden:
                return []
        dataset = self._staging.hidden_name.partition(".")[2]
        return [
            f"The account may not use or create the hidden dataset {dataset}, so rows on their way lie as tables "
            f"{STAGING}… in {self._address.name} for a minute. To keep them out of sight, let an owner of the project "
            f"run: bq --location={self._jobs.location} mk -d {self._address.project}:{dataset} and grant the account "
            "BigQuery Data Editor on it."
        ]

    def _check_jobs(self) -> None:
        self._jobs.would_read("SELECT 1")

    def _check_tables(self) -> None:
        if self._jobs.location is None:
            return
        name = self._staging.new(
            "check", self._jobs.run, [bq.SchemaField("x", "INTEGER")], None, "tries what an import needs"
        )
        try:
            # Needs the right to change rows, which a project without billing does not have.
            self._jobs.query(f"DELETE FROM `{name}` WHERE FALSE", what="check")
        finally:
            self._staging.delete(name)

    def _check_expiries(self) -> None:
        for name in self._ours():
            self._refuse_expiry(name)


def _key_of(stream: Stream) -> TableConstraints:
    """Return a table's primary key. BigQuery does not enforce it: it plans joins by it, and tools show it."""
    return TableConstraints(PrimaryKey(list(stream.keys)), None)


def id_of(table: bq.Table | None) -> str:
    """Return what tells a table from another of the same name: when BigQuery created it, in milliseconds."""
    return str(round(table.created.timestamp() * 1000)) if table else ""
