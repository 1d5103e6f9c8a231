"""What of a reading is stored already: those days are neither loaded nor deleted again.

A seal says what was stored, not what is there now. So a stored seal counts here only

    where the cursor counts    a column or table that went away took the cursor's word with it, and the days are read
                               and written again (``cursors.known``)
    for its table and columns  a seal of other columns is another seal
    for so long                after ``CHECK_AFTER`` a destination that does not recount every time makes sure of it

Pure: what is stored, and how to recount it, is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

from owox_tiktok.model import Chunk, Cursor, Sealed, Stored
from owox_tiktok.trust.seals import to_store

CHECK_AFTER = timedelta(hours=20)
"""Rows that were neither written nor recounted for so long are recounted before their seal is believed."""
LOOK_BACK = timedelta(days=40)
"""Seals are read from so many days before a reading, so that one query serves all objects with their lookbacks."""


def unchanged(chunk: Chunk, cursor: Cursor | None, stored: Mapping[date | None, Sealed]) -> dict[date | None, Sealed]:
    """Return the days of a chunk whose rows are stored as they are in its file, each with its stored seal.

    ``cursor`` is what the run knew of the pair when it began. Raises StoreFailed as ``seals.to_store`` does.
    """
    stream = chunk.stream
    if cursor is None or (stream.time and chunk.window is None):
        return {}
    asked = {f.name for f in chunk.columns} - {*stream.keys, "currency"}
    if not asked <= cursor.fields | cursor.refused:
        return {}
    found = {}
    for day, new in to_store(chunk).items():
        old = stored.get(day)
        if old and (old.seal, old.fields) == (new.seal, new.fields) and _covers(cursor, day):
            found[day] = old
    return found


def _covers(cursor: Cursor, day: date | None) -> bool:
    if day is None:
        return True
    return cursor.since is not None and cursor.through is not None and cursor.since <= day <= cursor.through


def is_old(sealed: Sealed, chunk: Chunk) -> bool:
    """Whether a seal is to be checked against the rows before a chunk's days are left alone because of it."""
    return chunk.read_at - sealed.read_at >= CHECK_AFTER


def keeping(chunk: Chunk, days: Mapping[date | None, object]) -> Chunk:
    """Return the chunk that leaves these days alone."""
    return replace(chunk, kept=frozenset(days))


def stored(chunk: Chunk, held: int, replaced: int) -> Stored:
    """Return what storing a chunk did that found ``held`` rows where it has written; the kept ones come on top."""
    return Stored(held + chunk.rows_kept, replaced, kept=len(chunk.kept), rows_kept=chunk.rows_kept)
