"""Chunks become portions: what one batch stores of a stream, with the windows that begin and end in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import InvalidOperation

from owox_tiktok.cursors import check_rows
from owox_tiktok.errors import StoreFailed
from owox_tiktok.model import Chunk, Cursor, Sealed, Stream
from owox_tiktok.sheets.cells import CELLS, Cell, bytes_of, seconds_of
from owox_tiktok.sheets.layout import Portion
from owox_tiktok.sheets.seals import seals_of
from owox_tiktok.sheets.table import Key, row_key
from owox_tiktok.spool import read_text
from owox_tiktok.trust.seals import in_order, to_store

NOTHING_OMITTED: Mapping[str, frozenset[str]] = {}
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
    windows: dict[str | int | float | None, list[tuple[int, int, int]]] = {}
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


def batches(
    chunks: Sequence[Chunk], *, batch_bytes: int, omitted: Mapping[str, frozenset[str]] = NOTHING_OMITTED
) -> Iterator[list[Portion]]:
    """Yield what is stored together: portions of several streams, one of each at most, as many as fit.

    ``omitted`` are columns, by stream, that are not stored: neither seals nor cursors speak of them.
    """
    together: list[Portion] = []
    size = 0
    for mine in by_stream(chunks):
        for portion in portions(mine, batch_bytes=batch_bytes, omitted=omitted.get(mine[0].stream.name, frozenset())):
            here = any(other.stream.name == portion.stream.name for other in together)
            if together and (here or size + portion.size_bytes > batch_bytes):
                yield together
                together, size = [], 0
            together.append(portion)
            size += portion.size_bytes
    yield together


def by_stream(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """Return chunks in groups of one stream with the same columns."""
    groups: dict[tuple[str, tuple[str, ...]], list[Chunk]] = {}
    for chunk in chunks:
        groups.setdefault((chunk.stream.name, tuple(f.name for f in chunk.columns)), []).append(chunk)
    return list(groups.values())


def portions(chunks: Sequence[Chunk], *, batch_bytes: int, omitted: frozenset[str] = frozenset()) -> Iterator[Portion]:
    """Yield batches' worth of rows of one stream. A chunk that fits shares a batch with others; a large one takes more.

    Every row of every chunk is converted before the first portion is, so that one bad value stops them all.
    """
    # Which chunk's window a key lies in; where rows are added or updated, none vanishes.
    scope = scopes(chunks) if chunks[0].stream.verb == "replace" else None
    small = sum(c.rows * len(c.columns) for c in chunks) <= VALUES_IN_MEMORY
    loaded: list[dict[Key, tuple[Cell, ...]]] = []
    pending: list[frozenset[Key]] = []
    sealed: list[dict[date | None, Sealed]] = []
    for chunk in chunks:
        to_store(chunk)  # the file is as it was read, before its seals are made of cells
        rows = _load(chunk, omitted)
        stored = tuple(f for f in chunk.columns if f.name not in omitted)
        columns = [stored.index(f) for f in in_order(stored)]
        cells = ([values[n] for n in columns] for values in rows.values())
        of_cells = seals_of(in_order(stored), cells, chunk.stream.time)
        sealed.append(to_store(replace(chunk, seals=of_cells, columns=stored)))
        pending.append(frozenset(rows))
        if small:
            loaded.append(rows)
    draft, size = _Draft(), 0
    first = True
    for number, chunk in enumerate(chunks):
        rows = loaded[number] if small else _load(chunk, omitted)
        draft.begins.add(number)
        draft.seals.setdefault(chunk.advertiser_id, {}).update(dict.fromkeys(sealed[number]))
        for key, values in rows.items():
            # What a row takes as requests: its cells, and the frame of a write of its own.
            bytes_ = sum(map(bytes_of, values)) + 100
            if size and size + bytes_ > batch_bytes:
                yield _portion(chunks[0], scope, draft, pending if first else (), size, omitted)
                draft, size, first = _Draft(), 0, False
            draft.rows[key] = values
            draft.owners[key] = number
            size += bytes_
        draft.completes[number] = pending[number]
        draft.promised[number] = chunk.rows
        draft.seals.setdefault(chunk.advertiser_id, {}).update(sealed[number])
        draft.confirmed.setdefault(chunk.advertiser_id, set()).update(chunk.confirmed or ())
        if chunk.cursor is not None:
            cursor = replace(chunk.cursor, fields=chunk.cursor.fields - omitted)
            draft.cursors[chunk.stream.name, chunk.advertiser_id] = cursor
    yield _portion(chunks[0], scope, draft, pending if first else (), size, omitted)


@dataclass(slots=True)
class _Draft:
    """A portion while it fills: its rows, each with its window; windows that begin in it, and are complete with it."""

    rows: dict[Key, tuple[Cell, ...]] = field(default_factory=dict)
    owners: dict[Key, int] = field(default_factory=dict)
    begins: set[int] = field(default_factory=set)
    completes: dict[int, frozenset[Key]] = field(default_factory=dict)
    promised: dict[int, int] = field(default_factory=dict)
    cursors: dict[tuple[str, str], Cursor] = field(default_factory=dict)
    seals: dict[str, dict[date | None, Sealed | None]] = field(default_factory=dict)
    confirmed: dict[str, set[date]] = field(default_factory=dict)


def _portion(
    chunk: Chunk,
    scope: Callable[[Key], int | None] | None,
    draft: _Draft,
    pending: Sequence[frozenset[Key]],
    size_bytes: int,
    omitted: frozenset[str],
) -> Portion:
    """Return the portion with its rows in date order, and which stored rows it replaces and ends."""
    complete = draft.completes
    owner = {key: number for number, keys in complete.items() for key in keys} if scope is None else {}

    def replaces(key: Key) -> int | None:
        if scope is None:
            return draft.owners.get(key)
        number = scope(key)
        return number if number in draft.begins else None

    def completes(key: Key) -> int | None:
        if scope is None:
            return owner.get(key)
        number = scope(key)
        return number if number in complete else None

    def ends(key: Key) -> int | None:
        number = None if scope is None else completes(key)
        return None if number is None or key in complete[number] else number

    return Portion(
        chunk.stream,
        tuple(f.name for f in chunk.columns if f.name not in omitted),
        _in_order(chunk.stream, draft.rows),
        ends=ends,
        replaces=replaces,
        completes=completes,
        promised=draft.promised,
        cursors=draft.cursors,
        seals=draft.seals,
        confirmed=draft.confirmed,
        pending=pending,
        size_bytes=size_bytes,
    )


def _in_order(stream: Stream, rows: dict[Key, tuple[Cell, ...]]) -> dict[Key, tuple[Cell, ...]]:
    """Return rows in date order; those of a stream without days as they come."""
    if stream.time is None:
        return rows
    when = stream.keys.index(stream.time)
    return dict(sorted(rows.items(), key=lambda item: item[0][when] or 0))


def _load(chunk: Chunk, omitted: frozenset[str]) -> dict[Key, tuple[Cell, ...]]:
    """Return a chunk's rows as cells by key, in date order; StoreFailed for a value that does not fit its column."""
    stream, columns = chunk.stream, chunk.columns
    stored = [n for n, f in enumerate(columns) if f.name not in omitted]
    at = [next(n for n, f in enumerate(columns) if f.name == k) for k in stream.keys]
    convert = [CELLS[f.kind] for f in columns]
    rows: dict[Key, tuple[Cell, ...]] = {}
    name, read = "", 0
    try:
        for texts in read_text(chunk.path):
            read += 1
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
            rows[key] = tuple([values[n] for n in stored] if omitted else values)
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise StoreFailed(
            f"a value of {name} does not fit its column ({error})",
            where=stream.table,
            what_to_do="Remove the field from `fields` and report it as a bug.",
        ) from None
    check_rows([chunk], read)
    return _in_order(stream, rows)
