"""The history of a list, in SQL: a version of each row from when it was first seen so until it changed or went away.

A table beside the list's own, written in the transaction that stores the list. A list is read whole, so what it lists
is compared with the open versions of its accounts: those that are not listed as they are any more are closed, and what
has no open version gets one. Doing it again changes nothing, so a run may die anywhere.

A version has two pairs of ends: the moments of the readings, and the days on which these were in the account's own
calendar. A version holds at the end of ``valid_from_day`` and of each later day before ``valid_to_day``. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime

from owox_tiktok.cursors import Part
from owox_tiktok.dialects import Dialect
from owox_tiktok.model import Chunk, Field, Kind, Stream

ENDS = (
    Part("valid_from", Kind.INSTANT, "When this version was read for the first time", required=True),
    Part("valid_to", Kind.INSTANT, "When it was read otherwise, or not any more; null while it is the current one"),
    Part("valid_from_day", Kind.DAY, "The account's day of valid_from", required=True),
    Part("valid_to_day", Kind.DAY, "The account's day of valid_to: from then on another version holds, or none"),
)
"""The columns of a version beside those of the list."""


def table_of(stream: Stream) -> str:
    """Return the name of the table of a list's history."""
    return f"{stream.table}_history"


def statements(
    dialect: Dialect, stream: Stream, chunks: Sequence[Chunk], listed: str, stamps: Iterable[tuple[str, str]]
) -> list[str]:
    """Return the statements that bring the history of a list in line with what was read of some accounts.

    ``listed`` stands behind FROM for all rows of these accounts as they were read, in the columns of the chunks; none
    of a key twice. ``stamps`` are further columns, with SQL for their value.
    """
    name, columns, keys = dialect.name, chunks[0].columns, stream.keys
    table, instant = dialect.table(table_of(stream)), dialect.types[Kind.INSTANT]
    at = f"CAST({dialect.text(_moment(chunks[0].read_at))} AS {instant})"
    today, of_version = (_today(dialect, chunks, f"{alias}.advertiser_id") for alias in ("l", "h"))
    whose = f"advertiser_id IN ({', '.join(dialect.text(c.advertiser_id) for c in chunks)})"
    same_key = " AND ".join(f"l.{name(key)} = h.{name(key)}" for key in keys)
    same = " AND ".join(f"{_value(dialect, 'l', f)} IS NOT DISTINCT FROM {_value(dialect, 'h', f)}" for f in columns)
    names, stamps = [name(f.name) for f in columns], list(stamps)
    key = ", ".join(map(name, keys))
    ended = f"SELECT {key}, MAX(valid_to) AS at, MAX(valid_to_day) AS day FROM {table} WHERE {whose} GROUP BY {key}"
    made = ["valid_from", "valid_from_day", *(n for n, _ in stamps)]
    return [
        f"UPDATE {table} AS h SET valid_to = GREATEST({at}, h.valid_from), "
        f"valid_to_day = GREATEST({of_version}, h.valid_from_day) WHERE h.{whose} AND h.valid_to IS NULL "
        f"AND NOT EXISTS (SELECT 1 FROM {listed} AS l WHERE {same_key} AND {same})",
        # A clock that was set back must not let two versions hold at once.
        f"INSERT INTO {table} ({', '.join([*names, *made])}) SELECT {', '.join(f'l.{n}' for n in names)}, "
        f"GREATEST({at}, COALESCE(h.at, {at})), "
        f"GREATEST({today}, COALESCE(h.day, {today})), {', '.join(sql for _, sql in stamps)} "
        f"FROM {listed} AS l LEFT JOIN ({ended}) AS h ON {same_key} "
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS h WHERE {same_key} AND h.valid_to IS NULL)",
    ]


def _value(dialect: Dialect, alias: str, field: Field) -> str:
    """Return a column so that it can be compared: JSON cannot, but its text can."""
    value = f"{alias}.{dialect.name(field.name)}"
    return dialect.json_as_text.format(value) if field.kind is Kind.JSON else value


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(" ")


def _today(dialect: Dialect, chunks: Collection[Chunk], column: str) -> str:
    """Return SQL for the day it was for the account in ``column`` when it was read."""
    days: dict[date, list[str]] = {}
    for chunk in chunks:
        day = chunk.cursor.read_on if chunk.cursor else chunk.read_at.date()
        days.setdefault(day, []).append(dialect.text(chunk.advertiser_id))
    if len(days) == 1:
        return f"DATE '{next(iter(days))}'"
    cases = (f"WHEN {column} IN ({', '.join(ids)}) THEN DATE '{day}'" for day, ids in days.items())
    return f"CASE {' '.join(cases)} END"
