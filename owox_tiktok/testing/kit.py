"""The words in which the promises are asked: how a destination is opened, looked at and harmed from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok.destinations import open_destination
from owox_tiktok.model import Chunk, Cursor, Destination, Known, Sealed, Stored, Stream, Window
from owox_tiktok.rows import column
from owox_tiktok.spool import Writer
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.seals import differing

Row = dict[str, Any]
"""A row as Python values: Decimal, int, bool, date, datetime (a moment is aware, an hour is not), JSON's own."""

DAILY, HOURLY, ADS = STREAMS["ad_report_daily"], STREAMS["ad_report_hourly"], STREAMS["ads"]
LIFETIME = STREAMS["ad_report_lifetime"]
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = {
    DAILY.name: ("ad_name", "spend", "impressions", "ctr"),
    HOURLY.name: ("spend", "impressions"),
    ADS.name: ("ad_name", "create_time", "is_aco"),
    LIFETIME.name: ("spend",),
}
"""What the promises store, unless they say otherwise."""


def day(n: int) -> date:
    """Return the n-th day of 2026."""
    return date(2026, 1, 1) + timedelta(days=n - 1)


def ad(number: int, of_day: int, **more: object) -> Row:
    """Return a row of ``DAILY`` in wire values."""
    return {
        "ad_id": f"17{number}",
        "stat_time_day": f"{day(of_day)} 00:00:00",
        "spend": "1.50",
        "impressions": "10",
        **more,
    }


def in_order(rows: Iterable[Row]) -> list[str]:
    """Return rows as comparable texts in one order, to compare two tables without regard to theirs."""
    return sorted(repr(sorted(row.items())) for row in rows)


class Kit(ABC):
    """One destination, empty at first, with what the promises need of it.

    What looks at it or harms it from outside must not go through the destination itself: use the database's own client.
    """

    def __init__(self, folder: Path, address: str, environment: Mapping[str, str] | None = None) -> None:
        """``folder`` is for row files; ``environment``: this process's where it is None."""
        self.folder, self.address, self.environment = folder, address, environment
        self._files = 0

    # --- to be written for each destination ---------------------------------------------------------------------------

    @abstractmethod
    def read(self, stream: Stream) -> list[Row]:
        """Return all rows of the stream's table, each column by name."""

    @abstractmethod
    def columns(self, stream: Stream) -> list[str]:
        """Return the names of the table's columns, a person's own among them."""

    @abstractmethod
    def everything(self) -> object:
        """Return something that differs when anything was created: the names of all tables, say."""

    @abstractmethod
    def drop_table(self, stream: Stream) -> None:
        """Drop the stream's table."""

    @abstractmethod
    def drop_column(self, stream: Stream, name: str) -> None:
        """Drop a column."""

    @abstractmethod
    def add_column(self, stream: Stream, name: str) -> None:
        """Add a column of texts, as a person may."""

    @abstractmethod
    def replace_table(self, stream: Stream) -> None:
        """Put another table with the same name, columns and rows in the place of the stream's."""

    @abstractmethod
    def make_foreign_table(self, stream: Stream) -> None:
        """Make a table with the name of the stream's and a row of its own, as a person may, before there is any."""

    @abstractmethod
    def foreign_rows(self, stream: Stream) -> list[Any]:
        """Return what is in that table."""

    @abstractmethod
    def change_cell(self, stream: Stream, key: tuple[str, str], name: str, value: object) -> None:
        """Write another value into a column of the rows whose column ``key[0]`` is the text ``key[1]``."""

    @abstractmethod
    def delete_row(self, stream: Stream, key: tuple[str, str]) -> None:
        """Delete these rows."""

    @abstractmethod
    def copy_row(self, stream: Stream, key: tuple[str, str]) -> None:
        """Put a copy of these rows below all others."""

    # --- what a destination may lack ----------------------------------------------------------------------------------

    def keeps(self, value: Any) -> Any:
        """Return what the destination can keep of a value (a number of a Sheet has 15 digits)."""
        return value

    keeps_changes = True
    """Whether it keeps what the sums of a day were before they changed, if it keeps anything of checks."""

    def change_type(self, stream: Stream, name: str) -> None:
        """Give a column of decimals a type that is not exact."""
        pytest.skip("its columns have no types")

    def descriptions(self, stream: Stream) -> dict[str, str]:
        """Return the description of each column."""
        pytest.skip("its columns have no descriptions")

    def stamps(self, stream: Stream, key: str) -> dict[Any, tuple[Any, Any]]:
        """Return when each row was written and by which run, by the value of its column ``key``."""
        pytest.skip("its rows do not say when they were written")

    def versions(self, stream: Stream, key: str, name: str) -> list[tuple[str, str, str, date, date | None]]:
        """Return the history of a list: account, columns ``key`` and ``name``, first day, and the day it ended."""
        pytest.skip("it keeps no history")

    def make_older(self, stream: Stream) -> None:
        """Make what is stored look as the first version wrote it, without a table's id; not for new destinations."""
        pytest.skip("it was not in the first version")

    # --- what the promises say ----------------------------------------------------------------------------------------

    def open(self, *, read_only: bool = False) -> Destination:
        """Open the destination."""
        return open_destination(self.address, read_only=read_only, environment=self.environment)

    def chunk(
        self,
        stream: Stream,
        rows: Sequence[Row],
        window: tuple[date, date] | None = None,
        *,
        advertiser_id: str = "1",
        fields: Sequence[str] | None = None,
        cursor: Cursor | bool | None = True,
    ) -> Chunk:
        """Return a chunk with rows given by wire values; columns not given are null. ``cursor``: True for its own."""
        fields = FIELDS[stream.name] if fields is None else fields
        columns = stream.columns(fields)
        self._files += 1
        writer = Writer(self.folder / f"{self._files}.csv", columns, stream.time)
        whole = [{"advertiser_id": advertiser_id, "currency": "EUR", **row} for row in rows]
        writer.append([column(f, [row.get(f.name) for row in whole]) for f in columns])
        writer.close()
        if cursor is True:
            since, through = window or (None, None)
            cursor = Cursor(frozenset(fields), AT, AT.date(), since, through)
        return Chunk(
            stream,
            advertiser_id,
            Window(*window) if window else None,
            columns,
            writer.path,
            writer.rows,
            cursor or None,
            writer.seals,
            AT,
        )

    def whole(self, advertiser_id: str = "1") -> Chunk:
        """Return five days of one ad."""
        return self.chunk(DAILY, [ad(1, n) for n in range(1, 6)], (day(1), day(5)), advertiser_id=advertiser_id)

    def store(self, *chunks: Chunk) -> list[Stored]:
        """Store chunks in one step, as a run does."""
        with self.open() as destination:
            destination.prepare(chunks[0].stream, chunks[0].columns)
            return self.put(destination, *chunks)

    def put(self, destination: Destination, *chunks: Chunk) -> list[Stored]:
        """Store chunks in one step with the verb of their stream."""
        return (destination.replace if chunks[0].stream.verb == "replace" else destination.upsert)(chunks)

    def known(self) -> dict[tuple[str, str], Known]:
        """Return what the next run would know."""
        with self.open(read_only=True) as destination:
            return destination.cursors()

    def seals(self, stream: Stream, advertiser_id: str = "1") -> dict[date | None, Sealed]:
        """Return the stored seals of a pair."""
        with self.open(read_only=True) as destination:
            return destination.seals(stream, advertiser_id)

    def damaged(self, stream: Stream, advertiser_id: str = "1") -> list[date | None]:
        """Return the days whose rows are not those that were stored."""
        with self.open(read_only=True) as destination:
            stored, found = destination.seals(stream, advertiser_id), destination.recount(stream, advertiser_id)
        return sorted(differing(stored, found), key=str)

    def cursors(self) -> dict[tuple[str, str], Cursor]:
        """Return the cursors it would go by."""
        return {pair: known.cursor for pair, known in self.known().items() if known.cursor}

    def days(self, advertiser_id: str = "1") -> list[date]:
        """Return the days that are stored of ``DAILY``."""
        return sorted(r["stat_time_day"] for r in self.read(DAILY) if r["advertiser_id"] == advertiser_id)
