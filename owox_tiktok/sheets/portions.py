"""Chunks become portions: what one batch stores, with the windows that begin and end in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import InvalidOperation

from owox_tiktok.errors import StoreFailed
from owox_tiktok.model import Chunk
from owox_tiktok.sheets import client
from owox_tiktok.sheets.cells import CELLS, Cell, bytes_of, seconds_of
from owox_tiktok.sheets.layout import Portion
from owox_tiktok.sheets.table import Key, row_key
from owox_tiktok.spool import read_text

VALUES_IN_MEMORY = 1_500_000
"""Up to so many values of a step are kept in memory; of more, one window at a time."""


def scopes(chunks: Sequence[Chunk]) -> Callable[[Key], int | None]:
    """Return which chunk's window a key lies in."""
    stream = chunks[0].stream
    who = stream.keys.index("advertiser_id")
    if stream.time is None:
        numbers = {c.advertiser_id or None: n for n, c in enumerate(chunks)}
        return lambda key: numbers.get(key[who])  # type: ignore[arg-type]
    when = stream.keys.index(stream.time)
    windows: dict[str | int | None, list[tuple[int, int, int]]] = {}
    for number, chunk in enumerate(chunks):
        if chunk.window is None:
            first, end = -(2**62), 2**62
        else:
            first, end = seconds_of(chunk.window.first), seconds_of(chunk.window.last + timedelta(days=1))
        windows.setdefault(chunk.advertiser_id or None, []).append((first, end, number))
    for one in windows.values():
        one.sort()

    def scope(key: Key) -> int | None:
        of = windows.get(key[who])
        at = key[when]
        if not of or not isinstance(at, int):
            return None
        found = bisect_right(of, (at, 2**62, 2**62)) - 1
        return of[found][2] if found >= 0 and at < of[found][1] else None

    return scope


def portions(chunks: Sequence[Chunk], scope: Callable[[Key], int | None] | None) -> Iterator[Portion]:
    """Yield batches' worth of rows. A chunk that fits shares a batch with others; a large one takes several.

    Every row of every chunk is converted before the first portion is, so that one bad value stops them all.
    """
    stream = chunks[0].stream
    small = sum(c.rows * len(c.columns) for c in chunks) <= VALUES_IN_MEMORY
    loaded: list[dict[Key, tuple[Cell, ...]]] = []
    pending: list[frozenset[Key]] = []
    for chunk in chunks:
        rows = _load(chunk)
        pending.append(frozenset(rows))
        if small:
            loaded.append(rows)
    names = tuple(f.name for f in chunks[0].columns)
    portion, size = Portion(stream, names, pending=pending), 0
    for number, chunk in enumerate(chunks):
        rows = loaded[number] if small else _load(chunk)
        portion.begins.add(number)
        for key, values in rows.items():
            # What a row takes as requests: its cells, and the frame of a write of its own.
            bytes_ = sum(map(bytes_of, values)) + 100
            if size and size + bytes_ > client.BATCH_BYTES:
                yield _ready(portion, scope)
                portion, size = Portion(stream, names), 0
            portion.rows[key] = values
            if scope is None:
                portion.owners[key] = number
            size += bytes_
        portion.completes.add(number)
        portion.keeps[number] = pending[number]
        if chunk.cursor is not None:
            portion.cursors[stream.name, chunk.advertiser_id] = chunk.cursor
    yield _ready(portion, scope)


def _ready(portion: Portion, scope: Callable[[Key], int | None] | None) -> Portion:
    """Put a portion's rows in date order, and say which stored rows it counts and ends."""
    stream = portion.stream
    if stream.time is not None:
        when = stream.keys.index(stream.time)
        portion.rows = dict(sorted(portion.rows.items(), key=lambda item: item[0][when] or 0))
    if scope is None:
        portion.counts = portion.owners.get
        return portion
    begins, completes, keeps = portion.begins, portion.completes, portion.keeps

    def counts(key: Key) -> int | None:
        number = scope(key)
        return number if number in begins else None

    def ends(key: Key) -> int | None:
        number = scope(key)
        return number if number is not None and number in completes and key not in keeps[number] else None

    portion.counts, portion.ends = counts, ends
    return portion


def _load(chunk: Chunk) -> dict[Key, tuple[Cell, ...]]:
    """Return a chunk's rows as cells by key, in date order; StoreFailed for a value that does not fit its column."""
    stream, columns = chunk.stream, chunk.columns
    at = [next(n for n, f in enumerate(columns) if f.name == k) for k in stream.keys]
    convert = [CELLS[f.kind] for f in columns]
    rows: dict[Key, tuple[Cell, ...]] = {}
    name = ""
    try:
        for texts in read_text(chunk.path):
            values = []
            for column, to_cell, text in zip(columns, convert, texts, strict=True):
                name = column.name
                values.append(None if text is None else to_cell(text))
            for place in at:
                if texts[place] is None:
                    name = columns[place].name
                    raise ValueError("it is part of the key and missing")
            key = row_key(stream, [values[n] for n in at])
            if key is None:
                raise ValueError("the row has no key")
            rows[key] = tuple(values)
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise StoreFailed(
            f"a value of {name} does not fit its column ({error})",
            where=stream.table,
            what_to_do="Leave the field out of `fields` and report it as a bug.",
        ) from None
    if stream.time is None:
        return rows
    when = stream.keys.index(stream.time)
    return dict(sorted(rows.items(), key=lambda item: item[0][when] or 0))
