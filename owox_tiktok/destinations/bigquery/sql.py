"""What BigQuery's SQL and its API call things: types, parameters, and conditions that let it skip days."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import google.cloud.bigquery as bq

from owox_tiktok.cursors import RECORD
from owox_tiktok.dialects import BIGQUERY
from owox_tiktok.model import Field, Kind, Stream

API_NAMES = {"INT64": "INTEGER", "BOOL": "BOOLEAN"}
"""What the API calls two of SQL's types."""
TYPES: Mapping[Kind, str] = {kind: API_NAMES.get(name, name) for kind, name in BIGQUERY.types.items()}

SQL_NAMES = {api: sql for sql, api in API_NAMES.items()}

CURSOR_SCHEMA = [
    *(
        bq.SchemaField(
            part.name,
            TYPES[part.kind],
            "REPEATED" if part.many else "REQUIRED" if part.required else "NULLABLE",
            description=part.description,
        )
        for part in RECORD
    ),
    bq.SchemaField("run", "STRING", description="The run that wrote this row"),
    bq.SchemaField("written_at", "TIMESTAMP", description="When; the newest row of a pair counts"),
]
"""Columns of the table of cursors: those of a record, and which run wrote the row when."""


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


def scope_of(stream: Stream, spans: Iterable[tuple[str, date | None, date | None]]) -> str:
    """Return the condition for the rows of (advertiser, first day or None, last day or None), both included.

    Days are compared as they are stored: wall clock. The outermost days stand before all else as constants, so that
    BigQuery skips every other partition, whatever the rest says.
    """
    by_advertiser: dict[str, list[tuple[date | None, date | None]]] = {}
    for advertiser_id, first, last in spans:
        windows = by_advertiser.setdefault(advertiser_id, [])
        before = windows[-1] if windows else None
        if before and before[1] and first == before[1] + timedelta(days=1):
            windows[-1] = (before[0], last)
        else:
            windows.append((first, last))
    alike: dict[tuple[tuple[date | None, date | None], ...], list[str]] = {}
    for advertiser_id, windows in by_advertiser.items():
        alike.setdefault(tuple(windows), []).append(advertiser_id)
    parts = []
    for spans_of, ids in alike.items():
        whose = f"advertiser_id IN ({', '.join(map(text, sorted(ids)))})"
        days = [_days(stream, first, last) for first, last in spans_of]
        if not all(days):
            parts.append(whose)
        else:
            parts.append(
                f"{whose} AND {days[0] if len(days) == 1 else '(' + ' OR '.join(f'({d})' for d in days) + ')'}"
            )
    if len(parts) == 1 and (stream.time is None or len(next(iter(alike))) == 1):
        return parts[0]
    firsts = [f for windows in alike for f, _ in windows]
    lasts = [last for windows in alike for _, last in windows]
    bounds = _days(
        stream,
        None if None in firsts else min(f for f in firsts if f),
        None if None in lasts else max(last for last in lasts if last),
    )
    either = " OR ".join(f"({p})" for p in parts)
    return f"{bounds} AND ({either})" if bounds else either


def _days(stream: Stream, first: date | None, last: date | None) -> str:
    """Return the condition for days, constant and on the partition column alone; empty where there are none."""
    if stream.time is None:
        return ""
    column = BIGQUERY.name(stream.time)
    literal = "DATE '{}'" if stream.time == "stat_time_day" else "DATETIME '{} 00:00:00'"
    conditions = []
    if first is not None:
        conditions.append(f"{column} >= {literal.format(first)}")
    if last is not None:
        conditions.append(f"{column} < {literal.format(last + timedelta(days=1))}")
    return " AND ".join(conditions)


def schema_field(column: Field, stream: Stream) -> bq.SchemaField:
    """Return a stream's column as the API describes it."""
    mode = "REQUIRED" if column.name in stream.keys else "NULLABLE"
    return bq.SchemaField(column.name, TYPES[column.kind], mode, description=column.description[:1024])


def text(text: str) -> str:
    """Return a text as SQL has it; JSON's escapes are BigQuery's, too."""
    return json.dumps(text, ensure_ascii=False)
