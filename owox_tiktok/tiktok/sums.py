"""Make one row of several with the same key: what can be summed is, what cannot is null."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from owox_tiktok.model import Field, Kind
from owox_tiktok.rows import Column, Text, plain_amount
from owox_tiktok.spool import Writer, read_text


def add_up(path: Path, columns: Sequence[Field], keys: Sequence[str], time: str | None) -> Writer:
    """Add up the rows of a file that have one key, in place; return its writer."""
    data = added_up(path, columns, keys)
    writer = Writer(path, columns, time)
    writer.append(data)
    writer.close()
    return writer


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
                text = f"{sum(amounts):f}" if amounts else None
                first[n] = text if text is None or field.kind is Kind.COUNT else plain_amount(text)
            elif field.kind in (Kind.MONEY, Kind.RATE, Kind.COUNT):
                first[n] = None
    return [list(texts) for texts in zip(*merged.values(), strict=True)] or [[] for _ in columns]
