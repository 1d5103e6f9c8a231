"""The audit of a Sheet: its tabs are read once at the start of an import and compared with the seals in the hidden tab.

    a tab of up to 500,000 cells of ours    all of it, several tabs in one call: rows, sums, and every single value
    a larger one in date order              the keys and the control columns (spend, impressions, clicks, conversion)
                                            of all rows; and every value of some months, each time of others
    a larger one that somebody sorted, or   all of it: what the import stores is spread over all of it, and would have
    without days                            to be read anyway

So in a large tab a row that is missing, doubled or moved, and any change of a control column, is found at once; a
change of another value when its month's turn comes. Whose turn it is follows from the date: by golden sections, so that
the runs go over all months, whatever the schedule is (``turn_of``).

What was read is held for the writes of the import: the keys, and a hash of each row that was read whole (``look``).
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from owox_tiktok.model import Seal, Sealed, Stream
from owox_tiktok.sheets.cells import EPOCH, Cell, Json
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.layout import spans_of
from owox_tiktok.sheets.look import CELLS_AT_ONCE, Look, hash_of, is_as_written
from owox_tiktok.sheets.seals import DAMAGED, CellTally
from owox_tiktok.sheets.table import Key, Strip, Table, is_whole, names_row, row_keys, tags_put_back, top_of
from owox_tiktok.trust.audit import differing
from owox_tiktok.trust.seals import CONTROLS, in_order

AT_ONCE = CELLS_AT_ONCE
"""A tab of up to so many cells is compared whole, and so many are read at a time."""
_ROWS_FIRST = 2_000
_GOLDEN = (5**0.5 - 1) / 2

Day = date | None
Month = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Examinee:
    """A stream's tab, and by advertiser the seals that speak of it and the first day its cursor speaks of."""

    stream: Stream
    table: Table
    sealed: Mapping[str, Mapping[Day, Sealed]]
    since: Mapping[str, Day]

    @property
    def cells(self) -> int:
        """Cells of ours, blank ones included."""
        return self.table.tab.rows * len(self.table.columns)

    def of(self, key: Key) -> str:
        """Return whose row it is."""
        return "" if self.stream.per_app else str(key[self.stream.keys.index("advertiser_id")] or "")

    def day_of(self, key: Key) -> Day:
        """Return the day of a row; None where the stream has none."""
        at = None if self.stream.time is None else key[self.stream.keys.index(self.stream.time)]
        with suppress(OverflowError):  # somebody typed a number that is no day
            return EPOCH + timedelta(days=at // 86400) if isinstance(at, int) else None
        return None

    def is_stray(self, key: Key, today: date) -> bool:
        """Whether a row is of a day that was never imported: somebody has typed over its date."""
        if self.stream.time is None or not is_whole(self.stream, key):
            return False
        advertiser_id, day = self.of(key), self.day_of(key)
        sealed, since = self.sealed.get(advertiser_id), self.since.get(advertiser_id)
        if not sealed or since is None or (day in sealed and sealed[day].seal != DAMAGED):
            return False
        return day is None or day < since or day > today + timedelta(days=1)


class Examined(NamedTuple):
    """What is held of the rows; how many are copies of one above; the keys of rows of no day that was imported.

    ``differing`` are, by advertiser, the days that are not what was stored. ``keyless``: there are rows that look like
    ours and have no key.
    """

    look: Look
    copies: int
    strays: frozenset[Key]
    differing: dict[str, dict[Day, tuple[Seal, Seal]]]
    keyless: bool
    astray: tuple[Json, ...] = ()
    """What puts the tags of columns and headings back, if they are not where the headings are."""


def looks_like_ours(stream: Stream, names: Sequence[str], values: Sequence[Cell]) -> bool:
    """Whether a row without a key is one of ours that lost it.

    Most of what is no key is still there, or its day and currency with anything else: nobody's total has those.
    """
    cells = dict(zip(names, values, strict=True))
    rest = [value for name, value in cells.items() if name not in stream.keys and name != "currency"]
    there = [value for value in rest if value is not None]
    dated = cells.get(stream.time or "") is not None and cells.get("currency") is not None
    return (dated and bool(there)) or (len(there) > 1 and 2 * len(there) >= len(rest))


def _examined(
    one: Examinee,
    look: Look,
    differ: dict[str, dict[Day, tuple[Seal, Seal]]],
    today: date,
    keyless: bool,
) -> Examined:
    seen: set[Key] = set()
    strays: set[Key] = set()
    copies = 0
    for row, key in enumerate(look.keys):
        if key is None or row == one.table.header:
            continue
        if is_whole(one.stream, key):
            copies += key in seen
            seen.add(key)
        if one.is_stray(key, today):
            strays.add(key)
    look.single = not copies
    return Examined(look, copies, frozenset(strays), differ, keyless)


def turn_of(now: datetime) -> float:
    """Return whose turn it is, as a number from 0 to 1 that goes evenly over all, whatever the distance of runs."""
    return (now.date().toordinal() * _GOLDEN) % 1


def examined(book: Spreadsheet, tabs: Sequence[Examinee], now: datetime) -> dict[str, Examined]:
    """Read the tabs and compare them; SheetRefused when one has become smaller than it was known to be."""
    found = {}
    for together in _in_calls([one for one in tabs if one.cells <= AT_ONCE]):
        places = [one.table.blocks([(0, one.table.tab.rows)], one.table.strips()) for one in together]
        heads = [top_of(one.table) for one in together]
        values = iter(book.values([b for blocks in [*places, heads] for b in blocks]))
        for one, blocks in zip(together, places, strict=True):
            found[one.stream.name] = _small(one, [next(values) for _ in blocks], now.date())
        for one in together:
            astray = tags_put_back(one.stream, one.table, next(values))
            found[one.stream.name] = found[one.stream.name]._replace(astray=tuple(astray))
    for one in tabs:
        if one.cells > AT_ONCE:
            astray = tags_put_back(one.stream, one.table, book.values([top_of(one.table)])[0])
            found[one.stream.name] = _large(book, one, now)._replace(astray=tuple(astray))
    return found


def _in_calls(tabs: Sequence[Examinee]) -> Iterator[list[Examinee]]:
    """Yield tabs that are read in one call."""
    some: list[Examinee] = []
    for one in tabs:
        if some and sum(t.cells for t in some) + one.cells > AT_ONCE:
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def _unreadable(one: Examinee) -> Examined:
    """Return what is found in a tab that lacks a key column."""
    return Examined(Look(one.table.columns, []), 0, frozenset(), {}, False)


def _small(one: Examinee, blocks: Sequence[list[list[Cell]]], today: date) -> Examined:
    if not one.table.columns.keys() >= set(one.stream.keys):
        return _unreadable(one)
    return _whole(one, [blocks], today)


def _whole(one: Examinee, pieces: Iterable[Sequence[list[list[Cell]]]], today: date) -> Examined:
    """Compare all that stands in a tab, given piece by piece, from the top down."""
    strips = one.table.strips()
    names = [n for strip in strips for n in strip.names]
    places = {name: at for at, name in enumerate(names)}
    look, count, keyless = Look(one.table.columns, []), _Count(one, strips, None), False
    for blocks in pieces:
        top = len(look.keys)
        look.add(row_keys(one.stream, strips, blocks))
        for row, values in enumerate(_lines(blocks), top):
            key = look.keys[row]
            if row == one.table.header:
                continue
            if key is not None:
                count.add(key, values)
                if is_as_written(one.stream, key, places, values):
                    look.hashes[row] = hash_of(values)
            if not names_row(one.stream, key):
                keyless = keyless or looks_like_ours(one.stream, names, values)
    return _examined(one, look, count.differing(), today, keyless)


def _large(book: Spreadsheet, one: Examinee, now: datetime) -> Examined:
    table, stream = one.table, one.stream
    if not table.columns.keys() >= set(stream.keys):
        return _unreadable(one)
    strips = table.strips()
    few = table.strips([*stream.keys, *(n for n in CONTROLS if n in table.columns)])
    look, count = Look(table.columns, []), _Count(one, few, ())
    keyless, names = False, [n for strip in few for n in strip.names]
    rows_of: dict[Month, array[int]] = {}
    for top, bottom in _from_few(table, few):
        if stream.time is None or (top == _ROWS_FIRST and _are_spread(one, look.keys)):
            pieces = (book.values(table.blocks([span], strips)) for span in table.pieces(strips, AT_ONCE))
            return _whole(one, pieces, now.date())
        blocks = book.values(table.blocks([(top, bottom)], few))
        look.add(row_keys(stream, few, blocks))
        for row, values in enumerate(_lines(blocks), top):
            key = look.keys[row]
            if row == table.header:
                continue
            if key is not None:
                count.add(key, values)
                rows_of.setdefault(_month(one.day_of(key)), array("l")).append(row)
            if not names_row(stream, key):  # a part of a key is a hint: what else is in the row is seen afterwards
                keyless = keyless or key is not None or looks_like_ours(stream, names, values)
    different = count.differing()
    months = _whose_turn({month: len(rows) for month, rows in rows_of.items()}, len(table.columns), turn_of(now))
    places = {name: at for at, name in enumerate(n for strip in strips for n in strip.names)}
    whole = _Count(one, strips, months)
    rows = sorted(row for month in months for row in rows_of[month])
    wanted = set(rows)
    for span in spans_of(rows):
        for top, bottom in _pieces(*span, strips):
            for row, values in enumerate(_lines(book.values(table.blocks([(top, bottom)], strips))), top):
                key = look.keys[row]
                if key is not None and row in wanted:
                    whole.add(key, values)
                    if is_as_written(stream, key, places, values):
                        look.hashes[row] = hash_of(values)
    for advertiser_id, days in whole.differing().items():
        different[advertiser_id] = different.get(advertiser_id, {}) | days
    return _examined(one, look, different, now.date(), keyless)


def _from_few(table: Table, strips: Sequence[Strip]) -> Iterator[tuple[int, int]]:
    """Yield all rows in pieces, the first ones in a small one: they tell whether the tab is in date order."""
    first = min(_ROWS_FIRST, table.tab.rows)
    yield 0, first
    yield from _pieces(first, table.tab.rows, strips)


def _are_spread(one: Examinee, keys: Sequence[Key | None]) -> bool:
    """Whether the rows of a day and account do not stand together: somebody has sorted the tab by something else."""
    changes, days = 0, set()
    before: object = None
    for key in keys:
        here = None if key is None else (one.of(key), one.day_of(key))
        changes += here != before
        days.add(here)
        before = here
    return changes > 2 * len(days) + 100


def _whose_turn(rows: Mapping[Month, int], width: int, turn: float) -> list[Month]:
    """Return the months that are read whole this time: one at least, and no more than one call takes."""
    months = sorted(rows, key=lambda m: m or (0, 0))
    first = int(turn * len(months))
    picked: list[Month] = []
    cells = 0
    for month in [*months[first:], *months[:first]]:
        cells += rows[month] * width
        if picked and cells > AT_ONCE:
            break
        picked.append(month)
    return picked


class _Count:
    """Makes the seals of what stands in a tab, by advertiser, and compares them with those that were stored.

    ``months`` are those that are compared value by value: None for all; where there are none, only rows and sums are.
    """

    def __init__(self, one: Examinee, strips: Sequence[Strip], months: Collection[Month] | None) -> None:
        self._one, self._months = one, months
        self._place = {name: at for at, name in enumerate(n for strip in strips for n in strip.names)}
        self._counts: dict[str, dict[tuple[str, ...], tuple[CellTally, list[int | None]]]] = {}
        """By advertiser, and by the fields that seals of theirs speak of; with the place of each in a row."""
        for advertiser_id, days in one.sealed.items():
            for sealed in days.values():
                fields = self._counted(sealed)
                if fields not in self._counts.setdefault(advertiser_id, {}):
                    # A seal of no column at all still counts its rows.
                    columns = in_order(one.stream.fields[n] for n in fields or one.stream.keys[:1])
                    places = [self._place.get(f.name) for f in columns]
                    self._counts[advertiser_id][fields] = CellTally(columns, one.stream.time), places

    def _counted(self, sealed: Sealed) -> tuple[str, ...]:
        """Return the columns that are counted for a seal: its own, or its day and sums where some are not there."""
        if self._months != () and self._place.keys() >= set(sealed.fields):
            return sealed.fields
        return tuple(n for n in sealed.fields if n in self._place and (n in CONTROLS or n == self._one.stream.time))

    def add(self, key: Key, values: Sequence[Cell]) -> None:
        """Count a row."""
        for tally, places in self._counts.get(self._one.of(key), {}).values():
            tally.add([None if at is None else values[at] for at in places])

    def differing(self) -> dict[str, dict[Day, tuple[Seal, Seal]]]:
        """Return the days that differ, by advertiser."""
        different: dict[str, dict[Day, tuple[Seal, Seal]]] = {}
        for advertiser_id, stored in self._one.sealed.items():
            seals = {fields: tally.seals() for fields, (tally, _) in self._counts.get(advertiser_id, {}).items()}
            of = {d: s for d, s in stored.items() if not self._months or _month(d) in self._months}
            found: dict[Day, Seal] = {}
            whole = set()
            for day, sealed in of.items():
                fields = self._counted(sealed)
                if day in seals[fields]:
                    found[day] = seals[fields][day]
                if fields == sealed.fields:
                    whole.add(day)
            if days_of := differing(of, found, whole, self._place):
                different[advertiser_id] = days_of
        return different


def _month(day: Day) -> Month:
    return None if day is None else (day.year, day.month)


def _pieces(top: int, bottom: int, strips: Sequence[Strip]) -> Iterator[tuple[int, int]]:
    step = max(1, AT_ONCE // sum(len(s.names) for s in strips))
    for first in range(top, bottom, step):
        yield first, min(first + step, bottom)


def _lines(blocks: Sequence[list[list[Cell]]]) -> Iterator[list[Cell]]:
    """Yield rows whose strips were read as blocks."""
    for parts in zip(*blocks, strict=True):
        yield [value for part in parts for value in part]
