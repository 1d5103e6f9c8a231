"""What BigQuery's API calls things, the columns of its table of cursors, and the parameters of a script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

import google.cloud.bigquery as bq

from owox_tiktok.cursors import RECORD, Part
from owox_tiktok.dialects import BIGQUERY, Dialect
from owox_tiktok.model import Kind
from owox_tiktok.trust.kept import BESIDES
from owox_tiktok.trust.seals import RECORD as SEAL_RECORD

TYPES: Mapping[Kind, str] = {
    kind: {"INT64": "INTEGER", "BOOL": "BOOLEAN"}.get(name, name) for kind, name in BIGQUERY.types.items()
}
"""SQL's types as the API calls them."""

ROWS_OF_CURSORS = (
    *RECORD,
    Part("run", Kind.TEXT, "The run that wrote this row"),
    Part("written_at", Kind.INSTANT, "When; the newest row of a pair counts"),
)
"""Columns of the table of cursors: those of a record, and which run wrote the row when."""


WRITTEN_AT = ROWS_OF_CURSORS[-1].name
ROWS_OF_SEALS = (*SEAL_RECORD, *BESIDES, ROWS_OF_CURSORS[-1])
"""Columns of the table of seals: it is only added to, so that imports at the same time do not wait for each other."""


def schema_field(part: Part) -> bq.SchemaField:
    """Return a column as the API describes it."""
    mode = "REPEATED" if part.many else "REQUIRED" if part.required else "NULLABLE"
    return bq.SchemaField(part.name, TYPES[part.kind], mode, description=part.description[:1024])


def literal(dialect: Dialect, part: Part, value: Any) -> str:
    """Return a value of a column as SQL has it: a query has 10,000 parameters at most, and no such limit of these."""
    if part.many:
        return f"ARRAY<STRING>[{', '.join(map(dialect.text, value or ()))}]"
    if value is None:
        return "NULL"
    if part.kind in (Kind.TEXT, Kind.ID):
        return dialect.text(str(value))
    if part.kind is Kind.INSTANT:
        value = value.astimezone(UTC).isoformat(" ")
    return f"CAST('{value}' AS {dialect.types[part.kind]})"


def insert_rows_sql(
    dialect: Dialect, table: str, parts: Sequence[Part], rows: Iterable[Mapping[str, Any]]
) -> Iterable[str]:
    """Yield the statement that inserts rows, given by column; nothing where there are none."""
    lines = [f"({', '.join(literal(dialect, part, row.get(part.name)) for part in parts)})" for row in rows]
    if lines:
        names = ", ".join(dialect.name(part.name) for part in parts)
        yield f"INSERT INTO {dialect.table(table)} ({names}) VALUES {', '.join(lines)}"


class Parameters:
    """Values of a script, each under a name of its own; an equal value is sent once."""

    def __init__(self) -> None:
        self.values: list[bq.ScalarQueryParameter | bq.ArrayQueryParameter] = []
        self._names: dict[tuple[str, str], str] = {}

    def add(self, kind: str, value: Any) -> str:
        """Return what stands for the value in SQL; a list is an array."""
        key = kind, repr(value)
        if key not in self._names:
            name = self._names[key] = f"p{len(self.values)}"
            made = bq.ArrayQueryParameter if isinstance(value, list) else bq.ScalarQueryParameter
            self.values.append(made(name, kind, value))
        return f"@{self._names[key]}"
