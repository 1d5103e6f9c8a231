"""The record that a destination keeps of each (stream, advertiser) pair, and what of it still counts.

``RECORD`` is the one list of its columns: destinations derive DDL, schema, headings, readers and writers from it. A
record names the table its cursor speaks of; ``known`` compares that with the table that is there now, so that a cursor
never claims rows that went away with a table or column. What every destination checks before a cursor moves is here,
too. No database, no Sheet.

Records of the first version have neither ``failed_at`` nor ``table_id``: what is missing is read as null.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from owox_tiktok.errors import StoreFailed
from owox_tiktok.model import Chunk, Cursor, Failure, Kind, Known, Window
from owox_tiktok.streams import STREAMS


class Part(NamedTuple):
    """One column of the record. ``many``: a list of texts; ``required``: never null."""

    name: str
    kind: Kind
    description: str
    many: bool = False
    required: bool = False


RECORD = (
    Part("object", Kind.TEXT, "The object", required=True),
    Part("advertiser_id", Kind.ID, "The advertiser", required=True),
    Part("since", Kind.DAY, "First day that is complete"),
    Part("through", Kind.DAY, "Last day that is complete"),
    Part("fields", Kind.TEXT, "Columns that are complete", many=True),
    Part("refused", Kind.TEXT, "Fields that TikTok does not give for this account", many=True),
    Part("with_deleted", Kind.BOOLEAN, "Whether deleted entities are counted"),
    Part("read_at", Kind.INSTANT, "When it was read"),
    Part("read_on", Kind.DAY, "The account's day then; null where nothing was read yet"),
    Part("last_error", Kind.TEXT, "Why it could not be read the last time"),
    Part("failed_at", Kind.INSTANT, "When that was"),
    Part("table_id", Kind.TEXT, "Which table the cursor speaks of; another one of the same name does not count"),
)
"""The columns of a record, in order. The first ten are those of the first version."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of one pair: its cursor, its failure, or both, and the id of the table the cursor speaks of."""

    object: str
    advertiser_id: str
    cursor: Cursor | None = None
    failure: Failure | None = None
    table_id: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """The pair it is about: stream name and advertiser id."""
        return self.object, self.advertiser_id

    def values(self) -> dict[str, Any]:
        """Return the record's values by the names in ``RECORD``: str, list of str, bool, date, datetime (UTC), None."""
        cursor, failure = self.cursor, self.failure
        return {
            "object": self.object,
            "advertiser_id": self.advertiser_id,
            "since": cursor and cursor.since,
            "through": cursor and cursor.through,
            "fields": sorted(cursor.fields) if cursor else [],
            "refused": sorted(cursor.refused) if cursor else [],
            "with_deleted": cursor.with_deleted if cursor else True,
            "read_at": cursor and cursor.read_at,
            "read_on": cursor and cursor.read_on,
            "last_error": failure and failure.reason,
            "failed_at": failure and failure.at,
            "table_id": self.table_id or None,
        }

    def texts(self) -> list[str]:
        """Return the values as texts in the order of ``RECORD``, for what holds nothing else; "" stands for null."""
        return [_text(v) for v in self.values().values()]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Record:
        """Return the record with these values by name; names that are missing are null. Moments may lack their UTC."""
        error, read_at = values.get("last_error"), _utc(values.get("read_at"))
        fields, since = frozenset(values.get("fields") or ()), values.get("since")
        cursor = None
        # The first version wrote a failure as a cursor without fields.
        if read_at and values.get("read_on") and (fields or since):
            cursor = Cursor(
                fields=fields,
                read_at=read_at,
                read_on=values["read_on"],
                since=since,
                through=values.get("through"),
                refused=frozenset(values.get("refused") or ()),
                with_deleted=bool(values.get("with_deleted")),
            )
        failed_at = _utc(values.get("failed_at")) or read_at
        failure = Failure(error, failed_at) if error and failed_at else None
        return cls(
            values.get("object") or "",
            values.get("advertiser_id") or "",
            cursor,
            failure,
            values.get("table_id") or "",
        )

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Record:
        """Return the record that ``texts`` wrote; raises ValueError for texts that it cannot have written."""
        return cls.of({part.name: _value(part, text) for part, text in zip(RECORD, texts, strict=False)})


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " ".join(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _value(part: Part, text: str) -> Any:
    if part.many:
        return text.split()
    if not text:
        return None
    match part.kind:
        case Kind.DAY:
            return date.fromisoformat(text)
        case Kind.INSTANT:
            return datetime.fromisoformat(text)
        case Kind.BOOLEAN:
            return text == "true"
        case _:
            return text


# --- tied to a table --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """A stream's table as it is now: what tells it from another of the same name, and its columns."""

    id: str
    columns: Collection[str]


def new_table_id() -> str:
    """Return an id for a new table, where the destination has none of its own."""
    return secrets.token_hex(6)


def table_of(name: str) -> str:
    """Return the table's name of the stream called ``name``, which may be one of another version."""
    return STREAMS[name].table if name in STREAMS else f"tiktok_ads_{name}"


def columns_among(fields: Collection[str]) -> set[str]:
    """Return those of a cursor's fields that are columns; the mark of a report's definition has a colon."""
    return {name for name in fields if ":" not in name}


def known(record: Record, table: Table | None, called: str = "") -> Known:
    """Return what a record still says now that ``table`` (None: there is none) is the stream's table.

    A cursor counts for the table it was written for and for the columns that are still there. ``called`` is what
    people know the table as, where that is not its name.
    """
    cursor, failure = record.cursor, record.failure
    if cursor is None:
        return Known(None, failure)
    name = called or f"the table {table_of(record.object)}"
    if table is None:
        return Known(None, failure, f"{name} no longer exists")
    if table.id != record.table_id:
        return Known(None, failure, f"{name} is another one than before")
    stream = STREAMS.get(record.object)
    wanted = (
        {f.name for f in stream.columns(sorted(cursor.fields & stream.fields.keys()))}
        if stream
        else columns_among(cursor.fields)
    )
    gone = sorted(wanted - set(table.columns))
    if not gone:
        return Known(cursor, failure)
    columns = f"column {gone[0]}" if len(gone) == 1 else f"columns {', '.join(gone)}"
    lost = f"the {columns} of {name.removeprefix('the table ')} no longer exist{'s' if len(gone) == 1 else ''}"
    if not cursor.fields.issuperset(gone):  # a key, or the currency: without it no row says what it should
        return Known(None, failure, lost)
    return Known(replace(cursor, fields=cursor.fields.difference(gone)), failure, lost)


# --- one step ---------------------------------------------------------------------------------------------------------


def last_cursors(chunks: Sequence[Chunk]) -> dict[str, Cursor]:
    """Return the cursor each advertiser has once all ``chunks`` are stored; a pair's chunks come oldest first."""
    last = {c.advertiser_id: c.cursor for c in chunks}
    return {advertiser_id: cursor for advertiser_id, cursor in last.items() if cursor is not None}


def check_step(chunks: Sequence[Chunk]) -> None:
    """Raise StoreFailed for a step that must not be stored: to be called before anything of it is.

    Two chunks must not speak of the same rows, since one would undo or double the other. Rows of a dated stream are an
    advertiser's days; of any other stream, all rows of the advertiser. And a row file must end where a row ends: the
    last value of one that was cut short may look like another value.
    """
    for chunk in chunks:
        if chunk.rows and not _ends_with_a_row(chunk.path):
            what = "the temporary file of rows is not whole, so nothing was stored"
            raise StoreFailed(what, where=chunk.stream.table, what_to_do=READ_AGAIN)
    spans: dict[str, list[Window]] = {}
    for chunk in chunks:
        dated = chunk.stream.time is not None and chunk.window is not None
        window = chunk.window if dated and chunk.window else Window(date.min, date.max)
        others = spans.setdefault(chunk.advertiser_id, [])
        if any(window.first <= other.last and other.first <= window.last for other in others):
            what = f"advertiser {chunk.advertiser_id}" + (f", {window}" if dated else "")
            raise StoreFailed(
                f"the same rows were to be stored twice in one step ({what})",
                where=chunk.stream.table,
                what_to_do="Nothing was stored; report it as a bug.",
            )
        others.append(window)


def _ends_with_a_row(path: Path) -> bool:
    """Whether the last row is whole; how many there are is another question. A line break in quotes ends none."""
    quotes, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            quotes += block.count(b'"')
            last = block[-1:]
    return last == b"\n" and quotes % 2 == 0


READ_AGAIN = "The next run reads them again; see that the disk of temporary files is not full."


def check_rows(chunks: Sequence[Chunk], rows: int) -> None:
    """Raise StoreFailed if ``rows``, counted where they are loaded or stored, are not as many as were read.

    To be called before the cursor moves, in the same transaction or before it begins.
    """
    read = sum(c.rows_to_write for c in chunks)
    if rows != read:
        raise StoreFailed(
            f"{read:,} rows were read and {rows:,} arrived, so nothing was stored",
            where=chunks[0].stream.table,
            what_to_do=READ_AGAIN,
        )
