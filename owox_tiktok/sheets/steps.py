"""One step of a Sheet: portions of several streams are laid out on their tabs as they are, and written in one batch.

What it knows of the spreadsheet it holds: the structure, what a look at each tab has found, what the hidden tab says.
All of it may be outdated, since people edit meanwhile; so a last look precedes each batch, and its answer is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from http import HTTPStatus

from owox_tiktok.cursors import Record
from owox_tiktok.errors import StoreFailed
from owox_tiktok.model import Seal, Sealed, Stream
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import EPOCH, Cell, Json, same
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.errors import WAYS_OUT, ArrivedLate, SheetRefused, TooManyCells
from owox_tiktok.sheets.layout import Done, Fill, Layout, Portion, spans_of
from owox_tiktok.sheets.look import CELLS_AT_ONCE, Look
from owox_tiktok.sheets.months import changed, days_in, is_key_of
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.seals import DAMAGED, seals_of
from owox_tiktok.sheets.state import (
    STATE_COLUMNS,
    Pair,
    pairs_seen,
    records_in,
    seals_in,
    state_keys,
    state_requests,
    state_tab,
    tab_id,
)
from owox_tiktok.sheets.table import (
    KEYS,
    Key,
    Table,
    is_broken,
    is_whole,
    names_row,
    row_key,
    row_keys,
    table_of,
    unmoved,
)
from owox_tiktok.sheets.tabs import TAB, Snapshot, Structure, Tab
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.seals import NOTHING, in_order, together

LAYOUTS = 8
"""How often a step is laid out before it gives up because somebody keeps changing the tab."""


class Steps:
    """What is held of a spreadsheet while it is imported into, and how a step is written."""

    def __init__(self, book: Spreadsheet) -> None:
        self.book = book
        self._structure: Structure | None = None
        self._records: dict[Pair, Record] | None = None
        """What the hidden tab says; None until it was read."""
        self._unwritten: dict[Pair, Record] = {}
        """What goes along with the next batch."""
        self._sealed: dict[Pair, str] | None = None
        """The months of seals in the hidden tab that speak of tabs that are there; None until they were read."""
        self._unwritten_seals: dict[Pair, str] = {}
        """What goes along with the next batch."""
        self._looks: dict[str, Look] = {}
        """By stream, what is known of the rows of its tab."""
        self._along: list[Json] = []
        """What the next batch takes along for somebody else."""
        self._said: list[str] = []
        """Sentences for the person that no step has handed on yet."""
        self._behind: dict[str, int] = {}
        """By stream, the row behind our last one before rows were put there."""
        self._audited: dict[str, dict[str, dict[date | None, Seal]]] = {}
        """By stream and advertiser, what an audit has found of days that are not what was stored, until they are."""
        self._counted: dict[str, dict[tuple[str, ...], dict[str, dict[date | None, Seal]]]] = {}
        """By stream, columns and advertiser, the seals of the rows as they were read, until something is written."""

    def _read_state(self, structure: Structure | None = None, *, with_seals: bool = False) -> dict[Pair, Record]:
        """Return what the hidden tab says of cursors and failures; ``with_seals`` remember its seals, too."""
        structure = structure or self._look()
        state = state_tab(structure)
        rows: list[list[Cell]] = []
        if state:
            width = min(state.columns, len(STATE_COLUMNS) - (not with_seals))
            rows = self.book.values([Block(state.id, 0, state.rows, 0, width)])[0]
        self._records = records_in(rows)
        if with_seals:
            tables = {name: table_of(structure, name) for name in STREAMS}
            self._sealed = seals_in(rows, {name: tab_id(table) for name, table in tables.items() if table})
        return self._records

    def _remember(self, records: Mapping[Pair, Record], seals: Mapping[Pair, str]) -> None:
        if self._sealed is not None:
            self._sealed.update(seals)
        for key in seals:
            self._unwritten_seals.pop(key, None)
        if self._records is not None:
            self._records.update(records)
        for pair, record in records.items():
            if self._unwritten.get(pair) == record:
                del self._unwritten[pair]

    def _look(self, *, recent: bool = False) -> Structure:
        self._structure = self.book.structure(KEYS, recent=recent)
        return self._structure

    def _step(self, portions: Sequence[Portion]) -> list[Done]:
        """Lay portions of several streams out on their tabs as they are now, and write them in one batch."""
        finished: dict[str, Done] = {}
        refused: SheetRefused | None = None
        for _ in range(LAYOUTS):
            left = [p for p in portions if p.stream.name not in finished]
            # What is remembered is good for laying out: the last look before the write tells whether it still holds.
            fresh = self._structure is None
            structure = self._structure or self._look()
            tables = {p.stream.name: table_of(structure, p.stream.name) for p in left}
            gone = next((p.stream for p in left if not _holds(tables[p.stream.name], p)), None)
            if gone is None:
                try:
                    finished |= self._write(left, structure, tables, fresh=fresh)
                    if len(finished) == len(portions):
                        return [finished[p.stream.name] for p in portions]
                except TooManyCells:
                    # Budget or Google: the step was not written.
                    if not self._trim(self._look()):
                        raise
                except SheetRefused as error:
                    # A range that no longer exists, perhaps; if not, the second refusal counts.
                    if error.code != HTTPStatus.BAD_REQUEST or refused is not None:
                        raise
                    refused = error
            elif fresh:
                raise StoreFailed(
                    "its tab, or a column of it, was deleted during the import",
                    where=gone.table,
                    what_to_do="Import again; it is recreated.",
                )
            # Somebody sorted, inserted or deleted since the tab was read.
            self._structure = None
            for portion in left:
                if portion.stream.name not in finished:
                    self._looks.pop(portion.stream.name, None)
        raise keeps_changing(left[0].stream)

    def _write(
        self, portions: Sequence[Portion], structure: Structure, tables: Mapping[str, Table | None], *, fresh: bool
    ) -> dict[str, Done]:
        """Read what the layouts rest on, and write them; return what came of those whose tab is as it was remembered.

        What can go astray without harm goes first: changed cells and new rows. What cannot, such as deletions, follows
        in a batch of its own right after a fresh look; and cursors and seals go with the last of the two.
        """
        there = [(p, table) for p in portions if (table := tables[p.stream.name])]
        self._read_keys([(p.stream, table) for p, table in there])
        works = [_Work(p, table, Layout(table, p, self._looks[p.stream.name])) for p, table in there]
        works = self._compared(works, structure)
        found = self._last_look(works, structure, fresh=fresh)
        if found is None:
            return {}
        works, state, pairs = found
        grown = 0
        for work in works:
            grown += work.layout.grown
            self._check_budget(structure, grown, work.portion.stream)
            work.done, work.rest = work.layout.done, work.layout.rest
            if work.layout.behind is not None:
                self._behind.setdefault(work.name, work.layout.behind)
        complete = [work for work in works if not work.rest]
        after = self._send(works, complete, structure, state, pairs)
        finished = {w.name: w.done for w in complete if w.landed}
        left = [w for w in works if w.rest and w.landed]
        if not left or after is None:
            return finished
        again = []
        for work in left:
            table = table_of(after, work.name)
            if table is not None and work.rest:
                layout = Layout(table, work.rest[0], self._looks[work.name], work.rest[1])
                again.append(replace(work, table=table, layout=layout, landed=False))
        found = self._last_look(again, after, fresh=True)
        if found is None:
            return finished
        again, state, pairs = found
        for work in again:
            work.done.gone, work.done.kept = work.layout.done.gone, work.layout.done.kept
        self._send(again, again, after, state, pairs)
        return finished | {w.name: w.done for w in again if w.landed}

    def _compared(self, works: Sequence[_Work], structure: Structure) -> list[_Work]:
        """Read known rows that are not held, and rows that a list's seals need; return the works that still fit."""
        pieces = [(work, piece) for work in works for piece in work.layout.compared]
        moved: set[str] = set()
        while pieces:
            some: list[tuple[_Work, tuple[Block, ...]]] = []
            cells = 0
            while pieces and (not some or cells + _cells_in(pieces[0][1]) <= CELLS_AT_ONCE):
                some.append(pieces.pop(0))
                cells += _cells_in(some[-1][1])
            values = iter(self.book.values([block for _, piece in some for block in piece]))
            for work, piece in some:
                if not work.layout.compare(piece, [next(values) for _ in piece]):
                    moved.add(work.name)
        for work in works:
            if work.name not in moved:
                seals = self._seals_after(work.portion, structure, work.table)
                if seals is None:
                    moved.add(work.name)
                else:
                    work.seals = seals
        return [work for work in works if work.name not in moved]

    def _last_look(
        self, works: Sequence[_Work], structure: Structure, *, fresh: bool
    ) -> tuple[list[_Work], Tab | None, list[list[Cell]]] | None:
        """Read what layouts rest on; return those that fit, the hidden tab and its names; None when none does."""
        book, state = self.book, state_tab(structure)
        cells = {work.name: book.cells(work.layout.around) for work in works}
        blocks = [block for work in works for block in work.layout.looked_at]
        blocks += [state_keys(state)] if state else []
        blocks += book.rider.blocks() if book.rider else []
        seen, tags = book.snapshot_and_tags(blocks) if blocks else ({}, ())
        self._along = book.rider.requests(seen, tags) if book.rider else []
        pairs = pairs_seen(state, seen)
        fitting = []
        for work in works:
            there = seen.get(work.table.tab.id)
            if work.layout.fits(cells[work.name], there) and (
                fresh or not work.layout.is_bare or (there is not None and work.layout.is_headed(there))
            ):
                fitting.append(work)
        return (fitting, state, pairs) if fitting and pairs is not None else None

    def _send(
        self,
        works: Sequence[_Work],
        complete: Sequence[_Work],
        structure: Structure,
        state: Tab | None,
        pairs: list[list[Cell]],
    ) -> Structure | None:
        """Apply a batch of layouts, and see in the answer whether it met the right rows: then they have ``landed``.

        Cursors and seals of those that are ``complete`` go along. Return the structure afterwards. Where somebody
        changed a tab between the last look and the batch, what was hit is noted, so that its days are read again.
        """
        self._structure = None  # not known, should the batch fail
        looks = {work.name: self._looks.pop(work.name) for work in works}
        batch: list[Json] = []
        back: list[Block] = []
        written = set()
        for work in works:
            if requests_ := work.layout.requests():
                batch += requests_
                back += work.layout.read_back
                written.add(work.name)
            keys = work.layout.keys_after()
            if work in complete:
                _check_count(work.portion, work.layout, work.done, keys)
        records = {}
        seals: dict[Pair, str] = {}
        if complete:
            names = {work.name for work in complete}
            records = dict(self._unwritten)
            for work in complete:
                records |= {p: Record(*p, c, None, tab_id(work.table)) for p, c in work.portion.cursors.items()}
                seals |= work.seals
            seals = {k: text for k, text in self._unwritten_seals.items() if k[0].partition(" ")[0] in names} | seals
            if records or seals:
                ids = {work.name: tab_id(work.table) for work in complete}
                batch += state_requests(structure, state, pairs, records, seals, ids)
        titles = {work.table.tab.id: work.table.tab.title for work in works}
        seen = self._apply(batch, back, titles) if batch else {}
        for work in works:
            self._counted.pop(work.name, None)
        for work in complete:
            for advertiser_id, days in work.portion.seals.items():
                for day in days:
                    self._audited.get(work.name, {}).get(advertiser_id, {}).pop(day, None)
            for pair in work.portion.cursors:
                self._unwritten.pop(pair, None)  # it could be read after all
        self._remember(records, seals)
        for work in works:
            there = seen.get(work.table.tab.id)
            work.landed = work.name not in written or (there is not None and work.layout.landed(there))
            if work.landed:
                self._looks[work.name] = looks[work.name]
        after = structure.after(batch)
        astray = [work for work in works if not work.landed]
        for work in astray:
            self._went_astray(work, looks[work.name].keys, seen.get(work.table.tab.id))
        self._structure = self._structure if astray else after
        return self._structure

    def _apply(self, batch: list[Json], back: Sequence[Block], titles: Mapping[int, str]) -> dict[int, Snapshot]:
        """Apply a batch, and with it what rides along; that is left behind if it is refused."""
        along, self._along = self._along, []
        rider = self.book.rider
        if along and rider:
            try:
                seen = self.book.apply([*batch, *along], back, titles)
                rider.written()
                return seen
            except ArrivedLate:
                raise
            except (SheetRefused, TooManyCells) as error:  # it may be the rows, but then they are refused again
                rider.written(error)
        return self.book.apply(batch, back, titles)

    def _went_astray(self, work: _Work, keys: Sequence[Key | None], seen: Snapshot | None) -> None:
        """Note what was hit by a batch that met other rows or columns than it was made for, and take back what can be.

        Rows of ours that were written over or deleted lose their seals, so that the next import reads their days
        again; the rows of the step itself are laid out again at once.
        """
        layout, stream = work.layout, work.portion.stream
        structure = self._look()
        table = table_of(structure, stream.name)
        if table is None or not self._usable(table, stream):
            return
        hit = layout.hit(seen, self._row_keys(table, stream))
        strange = layout.table.columns != table.columns or any(not names_row(stream, key) for key in hit.values())
        hers = self._take_back(layout, stream, table) if strange else []
        if hers:  # rows may have been deleted, too
            self._looks.pop(stream.name, None)
            table = table_of(self._structure or self._look(), stream.name) or table
        there = set(self._row_keys(table, stream))
        met = {*(k for k in keys if k is not None and k not in there), *hit.values()}
        damaged = {k for k in met - layout.own_keys if k is not None and is_whole(stream, k)}
        self._mark(stream, damaged)
        what = f"{stream.title}: somebody changed the tab at the very moment it was written"
        if damaged:
            many = len(damaged) > 1
            what += f"; {len(damaged):,} other row{'s were' if many else ' was'} met and will be read again"
        if hers:
            rows = f"row{'s' if len(hers) > 1 else ''} {', '.join(map(str, hers[:10]))}"
            what += f"; cells of yours in {rows} may have been written over (File → Version history has them)"
        self._said.append(what if damaged or hers else f"{what}; it was written again")

    def _take_back(self, layout: Layout, stream: Stream, table: Table) -> list[int]:
        """Remove what was written into rows and columns that are not ours; return the numbers of those rows."""
        wrote, added = layout.wrote(), layout.added()
        spans = [(top, min(bottom, table.tab.rows)) for top, bottom in spans_of(sorted(wrote)) if top < table.tab.rows]
        if not spans:
            return []
        seen = self.book.snapshot([Block(table.tab.id, top, bottom, 0, table.tab.columns) for top, bottom in spans])
        found = seen.get(table.tab.id)
        if found is None or not unmoved(table, found):
            return []
        ours = set(table.columns.values())
        batch: list[Json] = []
        hers: list[int] = []
        for row, cells in sorted(wrote.items(), reverse=True):
            there = found.values.get(row, {})
            still = {c for c, value in cells.items() if value is not None and same(value, there.get(c))}
            if row in added and still and still == there.keys():
                batch.append(requests.delete(table.tab.id, "ROWS", row, row + 1))
                continue
            key = row_key(stream, [there.get(table.columns[k]) for k in stream.keys])
            foreign = still - ours if names_row(stream, key) else still
            if foreign:
                batch += [requests.clear(Block(table.tab.id, row, row + 1, c, c + 1)) for c in sorted(foreign)]
                hers.insert(0, row + 1)
        if batch:
            self.book.apply(batch)
            self._look()
        return hers

    def _mark(self, stream: Stream, damaged: Collection[Key]) -> None:
        """Give the days of these rows seals that nothing equals, so that the next audit has them read again."""
        changes: dict[str, dict[date | None, Sealed | None]] = {}
        for key in damaged:
            advertiser_id = "" if stream.per_app else str(key[stream.keys.index("advertiser_id")] or "")
            at = None if stream.time is None else key[stream.keys.index(stream.time)]
            day = EPOCH + timedelta(days=at // 86400) if isinstance(at, int) else None
            changes.setdefault(advertiser_id, {})[day] = Sealed(DAMAGED, (), self.book.now())
        texts = changed(stream, self._sealed or {}, changes)
        self._unwritten_seals |= texts
        if self._sealed is not None:
            self._sealed |= texts

    def _days(self, stream: Stream, advertiser_id: str) -> dict[date | None, Sealed]:
        found: dict[date | None, Sealed] = {}
        for key, text in (self._sealed or {}).items():
            if is_key_of(stream, advertiser_id, key):
                found |= days_in(key, text)
        return found

    def _seals_after(self, portion: Portion, structure: Structure, table: Table) -> dict[Pair, str] | None:
        """Return the months of seals that change with a portion; None when the tab is not as it was remembered."""
        if not portion.seals:
            return {}
        if self._sealed is None:
            self._read_state(structure, with_seals=True)
        changes: dict[str, dict[date | None, Sealed | None]] = {a: dict(days) for a, days in portion.seals.items()}
        if portion.stream.verb == "upsert":
            for advertiser_id, days in changes.items():
                for day, sealed in days.items():
                    if sealed is not None:
                        rest = self._rest(portion, table, advertiser_id, sealed.fields)
                        if rest is None:
                            return None
                        days[day] = replace(sealed, seal=together([sealed.seal, rest]))
        return changed(portion.stream, self._sealed or {}, changes, portion.confirmed)

    def _rest(self, portion: Portion, table: Table, advertiser_id: str, fields: Sequence[str]) -> Seal | None:
        """Return the seal of the account's rows that are not among those of a list that was read.

        None when the tab is not as it was remembered.
        """
        stream = portion.stream
        who = stream.keys.index("advertiser_id")
        keys = self._row_keys(table, stream)
        rows = [
            row
            for row, key in enumerate(keys)
            if key is not None
            and row != table.header
            and not is_broken(stream, key)
            and (stream.per_app or key[who] == (advertiser_id or None))
            and portion.completes(key) is None
        ]
        strips, spans = table.strips(), spans_of(rows, gap=0)
        found = self.book.values(table.blocks(spans, strips))
        names = [n for strip in strips for n in strip.names]
        columns = in_order(stream.fields[n] for n in fields)
        at = [names.index(f.name) if f.name in names else None for f in columns]
        cells = []
        for number, (top, bottom) in enumerate(spans):
            blocks = found[number * len(strips) : (number + 1) * len(strips)]
            if row_keys(stream, strips, blocks) != keys[top:bottom]:
                return None
            for row in range(bottom - top):
                line = [value for block in blocks for value in block[row]]
                cells.append([None if n is None else line[n] for n in at])
        return seals_of(columns, cells, stream.time).get(None, NOTHING)

    def _row_keys(self, table: Table, stream: Stream) -> list[Key | None]:
        """Return the key of each row of the tab, None where there is none; read once per tab and run."""
        self._read_keys([(stream, table)])
        return self._looks[stream.name].keys

    def _read_keys(self, tables: Iterable[tuple[Stream, Table]]) -> None:
        """Read the keys of the rows of these tabs, where they are not held."""
        wanted: list[tuple[Stream, Table]] = []
        for stream, table in tables:
            known = self._looks.get(stream.name)
            if known is None or len(known.keys) > table.tab.rows:
                self._looks[stream.name] = Look(table.columns, [])
                wanted.append((stream, table))
        pieces = [(s, t, span) for s, t in wanted for span in t.pieces(t.strips(s.keys), CELLS_AT_ONCE)]
        while pieces:
            some: list[tuple[Stream, Table, tuple[int, int]]] = []
            cells = 0
            while pieces and (not some or cells < CELLS_AT_ONCE):
                some.append(pieces.pop(0))
                cells += (some[-1][2][1] - some[-1][2][0]) * len(some[-1][0].keys)
            places = [t.blocks([span], t.strips(s.keys)) for s, t, span in some]
            values = iter(self.book.values([b for blocks in places for b in blocks]))
            for (stream, table, _), blocks in zip(some, places, strict=True):
                found = row_keys(stream, table.strips(stream.keys), [next(values) for _ in blocks])
                self._looks[stream.name].add(found)

    @staticmethod
    def _usable(table: Table, stream: Stream) -> bool:
        return table.columns.keys() >= set(stream.keys)

    def _check_budget(self, structure: Structure, grown: int, stream: Stream) -> None:
        """Stop before a step that Google would refuse for its size."""
        most = self.book.sizes.cells
        if grown > 0 and structure.cells + grown > most:
            raise TooManyCells(
                f"the spreadsheet has {structure.cells:,} cells, this needs {grown:,} more, and a spreadsheet takes "
                f"{most:,} (blank ones count)",
                where=stream.table,
                what_to_do=WAYS_OUT,
            )

    def _trim(self, structure: Structure) -> bool:
        """Give the empty grid at the ends of our own tabs back; return whether there was any."""
        batch: list[Json] = []
        for tag in structure.tags:
            tab = structure.tabs.get(tag.tab or 0) if tag.key == TAB else None
            if tab is None or tab.rows < 2:
                continue
            tagged = [t.index for t in structure.tags if t.tab == tab.id and t.dimension == "COLUMNS"] or [0]
            width = max(tagged) + 1
            # Only what may be empty is looked at: behind our last row, and right of our last column.
            ours = self.book.values([Block(tab.id, 0, tab.rows, min(tagged), min(tagged) + 1)])[0]
            last = max((n for n, (v,) in enumerate(ours) if v is not None), default=0)
            blocks = [Block(tab.id, last, tab.rows, 0, tab.columns)]
            if width < tab.columns:
                blocks.append(Block(tab.id, 0, tab.rows, width, tab.columns))
            written = self.book.cells(blocks)
            rows = max([*written, last, tab.frozen_rows, 1]) + 1
            columns = max([width - 1, *(c for line in written.values() for c in line)]) + 1
            if rows < tab.rows:
                batch.append(requests.delete(tab.id, "ROWS", rows, tab.rows))
            if columns < tab.columns:
                batch.append(requests.delete(tab.id, "COLUMNS", columns, tab.columns))
        if batch:
            self.book.apply(batch)
            self._looks.clear()
        return bool(batch)


@dataclass(slots=True)
class _Work:
    """What is stored into one tab in a step: the portion, the tab as it is, and how it is laid out there."""

    portion: Portion
    table: Table
    layout: Layout
    done: Done = field(default_factory=Done)
    rest: tuple[Portion, Fill | None] | None = None
    seals: Mapping[Pair, str] = field(default_factory=dict)
    landed: bool = False

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.portion.stream.name


def _holds(table: Table | None, portion: Portion) -> bool:
    """Whether a tab is there with the columns that a portion needs."""
    return table is not None and table.columns.keys() >= {*portion.stream.keys, *portion.names}


def _cells_in(piece: Sequence[Block]) -> int:
    return sum((b.bottom - b.top) * (b.right - b.left) for b in piece)


def keeps_changing(stream: Stream) -> StoreFailed:
    """Return what is said when a tab never stands still."""
    return StoreFailed(
        "somebody keeps changing the tab while it is being written",
        where=stream.table,
        what_to_do="Import again when nobody is sorting or inserting rows.",
    )


def _check_count(portion: Portion, layout: Layout, done: Done, keys: Sequence[Key | None]) -> None:
    """Stop before a cursor moves when the tab would not hold as many rows as were read."""
    layout.count(keys)
    done.rows = layout.done.rows
    for window, rows in portion.promised.items():
        if (there := done.rows.get(window, 0)) != rows:
            raise StoreFailed(
                f"{rows:,} rows were read, and the tab would hold {there:,} of them",
                where=portion.stream.table,
                what_to_do="Nothing counts as stored, and the next import reads them again. If it happens again, "
                "report it with the log.",
            )
