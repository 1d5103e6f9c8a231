"""Make one row of several with the same key: what can be summed is, what cannot is null."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from owox_tiktok.model import Field, Kind
from owox_tiktok.rows import Column, Text
from owox_tiktok.spool import Writer, read_text


def add_up(path: Path, columns: Sequence[Field], keys: Sequence[str]) -> int:
    """Add up the rows of a file that have one key, in place; return how many are left."""
    data = added_up(path, columns, keys)
    writer = Writer(path, columns)
    writer.append(data)
    writer.close()
    return writer.rows


def added_up(path: Path, columns: Sequence[Field], keys: Sequence[str]) -> list[Column]:
    """Return the rows of a file with one row for each key, as columns."""
    at = [n for n, f in enumerate(columns) if f.name in keys]
    merged: dict[tuple[Text, ...], list[Text]] = {}
    for row in read_text(path):
        first = merged.setdefault(tuple(row[n] for n in at), row)
        if first is row:
            continue
        for n, field in enumerate(columns):
            if field.additive:
                amounts = [Decimal(t) for t in (first[n], row[n]) if t is not None]
                first[n] = f"{sum(amounts):f}" if amounts else None
            elif field.kind in (Kind.MONEY, Kind.RATE, Kind.COUNT):
                first[n] = None
    return [list(texts) for texts in zip(*merged.values(), strict=True)] or [[] for _ in columns]
