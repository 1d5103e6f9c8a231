"""The tools of which views are made: what is stored, a SELECT in the making, and what a view is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from owox_tiktok.dialects import CURSORS, Dialect
from owox_tiktok.model import Field
from owox_tiktok.streams import STREAMS

Columns = Mapping[str, Collection[str]]
"""The column names of each table of ours, by the table's name."""


@dataclass(frozen=True, slots=True)
class View:
    """A view: its columns (``fields``) and the SELECT that makes them; no ``sql`` when its tables are not there.

    ``missing`` says per object which fields are not stored and so are null here; without fields it is the object
    itself.
    """

    name: str
    description: str
    sql: str = ""
    fields: tuple[Field, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@runtime_checkable
class HoldsViews(Protocol):
    """A destination that can have views as well."""

    @property
    def dialect(self) -> Dialect:
        """How its SQL is written."""
        ...

    def columns(self) -> Columns:
        """Return the columns of every table here that is ours, the cursors' included."""
        ...

    def create_views(self, views: Sequence[View]) -> list[str]:
        """Create or replace the views; return the names of those left alone, because somebody else made them."""
        ...


class There:
    """What is stored, by object and field."""

    def __init__(self, columns: Columns, dialect: Dialect, lookback_days: int) -> None:
        self.dialect = dialect
        self.tables = columns
        self.lookback_days = lookback_days

    def has(self, stream: str, *fields: str) -> bool:
        """Whether the object is stored, with all of these fields."""
        stored = self.tables.get(STREAMS[stream].table)
        return stored is not None and all(f in stored for f in fields)

    def fields(self, stream: str) -> list[Field]:
        """Return the fields of an object that are stored."""
        return [f for f in STREAMS[stream].fields.values() if self.has(stream, f.name)]

    def table(self, stream: str) -> str:
        """Return the name of the object's table for SQL."""
        return self.dialect.table(STREAMS[stream].table)


class Select:
    """A SELECT in the making: its columns, the tables joined to the first, and what was wanted but is not stored."""

    def __init__(self, there: There, source: str) -> None:
        self.there = there
        self.dialect = there.dialect
        self.source = source
        self.fields: list[Field] = []
        self.missing: dict[str, list[str]] = {}
        self._columns: list[str] = []
        self._joins: list[str] = []

    def of(self, alias: str, stream: str, name: str) -> list[str]:
        """Return the column as the only entry of a list, or nothing when it is not stored."""
        return [f"{alias}.{self.dialect.name(name)}"] if self.there.has(stream, name) else []

    def add(self, made: Field, expressions: Sequence[str]) -> None:
        """Add a column: the first of the expressions that is not null, or a null when there is none."""
        self.fields.append(made)
        value = first_of(expressions) or self.dialect.null(made.kind)
        self._columns.append(f"{value} AS {self.dialect.name(made.name)}")

    def join(self, table: str, alias: str, by: Mapping[str, str]) -> None:
        """Join a table, which may lack the row; ``by`` are its columns with SQL for what they equal."""
        on = " AND ".join(f"{alias}.{self.dialect.name(name)} = {value}" for name, value in by.items())
        self._joins.append(f"LEFT JOIN {table} AS {alias} ON {on}")

    def last_read(self, alias: str, stream: str, column: str) -> list[str]:
        """Join when the account of a row was read last for a stream; return ``read_at`` or ``read_on``, as ``of`` does.

        Nothing where there are no cursors.
        """
        dialect, cursors = self.dialect, self.there.tables.get(CURSORS, ())
        if not {"object", "advertiser_id", column, "read_on"} <= set(cursors):
            return []
        advertiser, picked = dialect.name("advertiser_id"), dialect.name(column)
        last = (
            f"(SELECT {advertiser}, MAX({picked}) AS {picked} FROM {dialect.table(CURSORS)} "
            # A row without a day is no reading: it says that one failed.
            f"WHERE {dialect.name('object')} = '{stream}' AND {dialect.name('read_on')} IS NOT NULL "
            f"GROUP BY {advertiser})"
        )
        self.join(last, "synced", {"advertiser_id": f"{alias}.{advertiser}"})
        return [f"synced.{picked}"]

    def lacks(self, stream: str, *names: str) -> None:
        """Note that an object, or fields of it, would have been of use."""
        self.missing.setdefault(stream, []).extend(names)

    @property
    def sql(self) -> str:
        """The statement."""
        return "\n".join(["SELECT", "  " + ",\n  ".join(self._columns), f"FROM {self.source}", *self._joins])

    def view(self, name: str, description: str) -> View:
        """Return the view that it makes."""
        missing = {stream: tuple(names) for stream, names in self.missing.items()}
        return View(name, description, self.sql, tuple(self.fields), missing)


def first_of(expressions: Sequence[str]) -> str:
    """Return SQL for the first of the expressions that is not null; an empty text when there are none."""
    return expressions[0] if len(expressions) == 1 else f"COALESCE({', '.join(expressions)})" if expressions else ""
