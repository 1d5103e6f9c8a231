"""What BigQuery's API calls things, the columns of its table of cursors, and the parameters of a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import google.cloud.bigquery as bq

from owox_tiktok.cursors import RECORD, Part
from owox_tiktok.dialects import BIGQUERY
from owox_tiktok.model import Kind

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


def schema_field(part: Part) -> bq.SchemaField:
    """Return a column as the API describes it."""
    mode = "REPEATED" if part.many else "REQUIRED" if part.required else "NULLABLE"
    return bq.SchemaField(part.name, TYPES[part.kind], mode, description=part.description[:1024])


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
