"""Google Sheets: one tab per stream inside a person's own spreadsheet, refreshed in place.

Address: ``sheets://SPREADSHEET_ID``. What is ours is recognised, never assumed to be where we left it: tabs and columns
by developer metadata, rows by key. So a person may rename, move, insert, sort and filter as she likes, and everything
she adds stays hers: her columns travel with their rows, her formulas are filled down into new rows, and a row that
holds anything else of hers is never deleted.

Small objects share a step, and what lacks a tab or columns gets them beforehand, all in one batch (``steps``). Each
write is laid out on what was read since the run began; a last look, one call, says whether the columns and the keys of
all rows it changes are still there. When they are not, everything is read and laid out again. The answer to each batch
says whether it met the rows it was made for: if somebody sorted in that moment, the days of the rows that were hit are
marked, and the step is laid out again.

Before an import all tabs are compared with the seals in the hidden tab (``audit``), and after it what is left of broken
rows is cleared (``tidy``).
Cursors live in a hidden tab and travel in the same atomic batch as the rows they stand for; a window that is larger
than one batch brings its cursor in the last.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from http import HTTPStatus
from types import TracebackType

from owox_tiktok.cursors import Record, check_step
from owox_tiktok.errors import Problem, StoreFailed
from owox_tiktok.model import Audit, Chunk, Failure, Field, Known, Seal, Sealed, Step, Stored, Stream, Window, utc
from owox_tiktok.sheets.audit import Examined, Examinee, examined, looks_like_ours
from owox_tiktok.sheets.cells import Cell, Json, seconds_of, settled
from owox_tiktok.sheets.client import Spreadsheet, spreadsheet_id
from owox_tiktok.sheets.errors import SheetRefused
from owox_tiktok.sheets.layout import BROKEN, PRUNED, STRAY, Done, Portion, spans_of
from owox_tiktok.sheets.lease import Lease
from owox_tiktok.sheets.look import CELLS_AT_ONCE, Look
from owox_tiktok.sheets.months import is_key_of
from owox_tiktok.sheets.numbers import NumbersTab
from owox_tiktok.sheets.portions import batches, by_stream
from owox_tiktok.sheets.proofs import Proofs
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.seals import CellTally
from owox_tiktok.sheets.state import (
    Pair,
    adopted,
    known,
    pairs_seen,
    state_keys,
    state_requests,
    state_tab,
    tab_id,
)
from owox_tiktok.sheets.steps import LAYOUTS, keeps_changing
from owox_tiktok.sheets.stretch import FIELDS, Behind, stretched
from owox_tiktok.sheets.table import (
    Key,
    Table,
    has_technical_names,
    is_broken,
    names_row,
    new_columns,
    row_keys,
    table_of,
    unmoved,
)
from owox_tiktok.sheets.tabs import Structure
from owox_tiktok.sheets.warning import warnings
from owox_tiktok.streams import STREAMS
from owox_tiktok.titles import title
from owox_tiktok.trust.seals import recounted

log = logging.getLogger(__name__)

MOST_BROKEN_ROWS = 20
"""Up to so many broken rows are repaired or cleared, even where they are most of the rows."""


def open_at(rest: str, *, read_only: bool = False, environment: Mapping[str, str] = os.environ) -> Sheets:
    """Open the spreadsheet whose id follows ``sheets://``; nothing is read or made before it is asked for.

    ``?technical_names=true`` behind the id names new columns as TikTok does.
    """
    rest, _, wish = rest.partition("?technical_names=")
    name = spreadsheet_id(rest, "destination")
    # Asked for here, so that a missing package is reported before anything is read from TikTok.
    import owox_tiktok.sheets.transport  # noqa: F401

    return Sheets(Spreadsheet(name, environment=environment), read_only=read_only, technical_names=wish == "true")


class Sheets(Proofs):
    """A Google spreadsheet as a Destination."""

    step = Step(linger_s=8.0)

    def __init__(
        self,
        book: Spreadsheet,
        *,
        read_only: bool = False,
        lease: Lease | None = None,
        technical_names: bool = False,
    ) -> None:
        """Without a ``lease`` that its caller holds it takes one of its own, as long as it is open."""
        super().__init__(book)
        self._technical_names = technical_names
        self._read_only = read_only
        self._lease = None if read_only or lease else Lease(book, warns=True)
        self._lacking: dict[str, tuple[Stream, Sequence[Field]]] = {}
        """By name, streams whose tab or columns are made before their first rows are stored."""
        self._with_keyless: set[str] = set()
        """Streams in whose tabs the audit has seen rows of ours without a key."""
        self._told_locked: set[str] = set()
        """Streams of which was said that columns are protected."""

    def __enter__(self) -> Sheets:
        if self._lease:
            self._lease.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # A failure that cannot be written down was reported all the same; who presses Ctrl-C does not want to wait.
            if error is None or isinstance(error, Exception):
                with suppress(Problem):
                    self._make()
                    self._flush()
                with suppress(Problem):
                    self._stretch()
        finally:
            if self._lease:
                self._lease.release()
                self.book.close()

    # --- cursors ------------------------------------------------------------------------------------------------------

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair; a cursor counts only for the tab and the columns it speaks of.

        A tab the person deleted holds no days any more, and a column she deleted no values: their cursors let go of
        them, so that the next import reads them again. Once the tabs were audited what is held is as good as a look.
        """
        if self._audited and self._structure and self._records is not None:
            structure, records = self._structure, {**self._records, **self._unwritten}
        else:
            structure = self._look(recent=True)
            records = {**self._read_state(structure, with_seals=True), **self._unwritten}
        tables = {name: table_of(structure, name) for name in {r.object for r in records.values()}}
        return {
            pair: _without_locked(known(record, tables[record.object]), tables[record.object])
            for pair, record in records.items()
        }

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read; written with the next batch, or at the end."""
        pair = (stream.name, advertiser_id)
        records = self._read_state() if self._records is None else self._records
        record = self._unwritten.get(pair) or records.get(pair) or Record(*pair)
        self._unwritten[pair] = replace(record, failure=Failure(settled(error), utc(at)))

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        """Forget cursors and failures of these pairs, so that the next import reads all of them again; rows stay."""
        self._read_state(with_seals=True)
        for advertiser_id in advertiser_ids:
            self._unwritten[stream.name, advertiser_id] = Record(stream.name, advertiser_id)
            gone = [key for key in self._sealed or {} if is_key_of(stream, advertiser_id, key)]
            self._unwritten_seals.update(dict.fromkeys(gone, ""))
        self._flush()

    def _flush(self) -> None:
        """Write what no batch took along, and the tab *Numbers* if something was checked."""
        if not (self._unwritten or self._unwritten_seals or self._checked_at) or self._read_only:
            return
        for turn in range(LAYOUTS):
            structure = (self._structure if not turn else None) or self._look()
            state = state_tab(structure)
            numbers = NumbersTab.of(structure) if self._checked_at else None
            blocks = [*([state_keys(state)] if state else []), *([numbers.block()] if numbers else [])]
            try:
                seen = self.book.snapshot(blocks) if blocks else {}
            except SheetRefused as error:
                if error.code != HTTPStatus.BAD_REQUEST:
                    raise
                continue  # a tab, or a part of it, was deleted since
            pairs = pairs_seen(state, seen)
            if pairs is None:
                continue
            records, seals = dict(self._unwritten), dict(self._unwritten_seals)
            names = {key[0].partition(" ")[0] for key in seals}
            ids = {name: tab_id(table) for name in names if (table := table_of(structure, name))}
            batch = state_requests(structure, state, pairs, records, seals, ids)
            if numbers and self._checked_at:
                kept = {pair: days for pair, days in self._kept_days() if days}
                batch += numbers.requests(seen[numbers.tab.id], self.advertisers, kept, self._checked_at)
            self._structure = None
            self.book.apply(batch)
            self._structure = structure.after(batch)
            self._remember(records, seals)
            self._checked_at = None
            return

    def _stretch(self) -> None:
        """Make her filters, banding and tables longer that ended where rows were put behind ours."""
        if not self._behind:
            return
        structure, behind = self._structure or self._look(), dict[int, Behind]()
        for name, end in self._behind.items():
            table, look = table_of(structure, name), self._looks.get(name)
            if table is not None and table.header is not None and look:
                keys = look.keys
                now = max(row for row, key in enumerate(keys) if key is not None) + 1 if any(keys) else 0
                behind[table.tab.id] = Behind(table.header, end, now, frozenset(table.columns.values()))
        if batch := stretched(self.book.look(list(behind), FIELDS), behind):
            self.book.apply(batch)

    # --- tabs ---------------------------------------------------------------------------------------------------------

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """See that the stream has a tab with these columns, and may write into those that rows are known by.

        A foreign tab of that title is left alone.

        What is lacking is made with the first rows that are stored, for all streams together.
        """
        structure = self._structure or self._look()
        table = table_of(structure, stream.name)
        self._check_keys(stream, table)
        if not self._complete(table, columns):
            lacking = self._lacking_of(table, columns)
            self._check_budget(structure, len(lacking) * (table.tab.rows if table else 2), stream)
            self._lacking[stream.name] = (stream, columns)

    def make(self) -> None:
        """Make at once what the streams lack that were prepared: no rows are to follow."""
        self._make()

    def _make(self, names: Collection[str] | None = None) -> None:
        """Make the tabs and columns that streams (of these names, or all) lack, in one batch."""
        wanted = {n: of for n, of in self._lacking.items() if names is None or n in names}
        if not wanted or self._read_only:
            return
        for turn in range(LAYOUTS):
            # What was remembered is enough to write new tabs, and a look at the headings tells about the others.
            structure = self._structure if not turn else None
            if self._add(structure or self._look(), list(wanted.values())):
                for name in wanted:
                    del self._lacking[name]
                return
        raise keeps_changing(next(iter(wanted.values()))[0])

    def _add(self, structure: Structure, wanted: Sequence[tuple[Stream, Sequence[Field]]]) -> bool:
        """Make the tabs or the columns they lack; False when a tab has changed meanwhile."""
        tables = {stream.name: table_of(structure, stream.name) for stream, _ in wanted}
        records = self._read_state(structure) if self._records is None else self._records
        settled: dict[Pair, Record] = {}
        for stream, _ in wanted:
            self._check_keys(stream, tables[stream.name])
            settled |= self._settled(stream, tables[stream.name], records)
        state = state_tab(structure)
        heads = [Block(t.tab.id, t.header or 0, (t.header or 0) + 1, 0, t.tab.columns) for t in tables.values() if t]
        names = [state_keys(state)] if state and settled else []
        seen = self.book.snapshot([*heads, *names]) if heads or names else {}
        pairs = pairs_seen(state, seen) if names else []
        if pairs is None or not all(unmoved(table, seen.get(table.tab.id)) for table in tables.values() if table):
            return False
        batch: list[Json] = []
        after = structure
        for stream, columns in wanted:
            table = tables[stream.name]
            lacking = self._lacking_of(table, columns)
            if self._complete(table, columns):
                continue
            self._check_budget(after, len(lacking) * (table.tab.rows if table else 2), stream)
            technical = self._technical_names
            if table:
                headings = seen[table.tab.id].values.get(table.header or 0, {})
                technical = technical or has_technical_names(table, headings)
            made = new_columns(after, stream, lacking, table, technical=technical)
            after = after.after(made) or after
            there = table_of(after, stream.name)
            batch += made + (warnings([there]) if there and not table else [])
        if settled or not state:
            batch += state_requests(after, state, pairs, settled)
        self._structure = None
        self.book.apply(batch)
        self._structure = structure.after(batch)
        self._remember(settled, {})
        for stream, _ in wanted:
            there = table_of(self._structure, stream.name) if self._structure else None
            self._looks.pop(stream.name, None)
            if there and tables[stream.name] is None:  # nobody has written into it yet
                self._looks[stream.name] = Look(there.columns, [None] * there.tab.rows)
        return True

    @staticmethod
    def _lacking_of(table: Table | None, columns: Sequence[Field]) -> list[Field]:
        return [f for f in columns if table is None or f.name not in table.columns]

    def _check_keys(self, stream: Stream, table: Table | None) -> None:
        locked = [name for name in stream.keys if table and name in table.locked]
        if table and locked:
            raise StoreFailed(
                f"the column {locked[0]} of the tab {table.tab.title!r} is protected, and rows are known by it",
                where=stream.table,
                what_to_do=f"In Data → Protect sheets and ranges add {self.book.account} to its editors, or remove the "
                "protection.",
            )
        gone = [name for name in stream.keys if table and name not in table.columns]
        if table and gone:
            raise StoreFailed(
                f"the column {gone[0]} of the tab {table.tab.title!r} was deleted, and rows are known by it",
                where=stream.table,
                what_to_do="Undo that (File → Version history), or delete the whole tab; the next import makes a "
                "new one.",
            )

    @staticmethod
    def _settled(stream: Stream, table: Table | None, records: Mapping[Pair, Record]) -> dict[Pair, Record]:
        """Return the records of a stream that say less than before, to be written before a new tab or column is whole.

        Otherwise an empty tab or column would look as if its cursors spoke of it.
        """
        settled = {}
        for pair, record in records.items():
            if record.object == stream.name:
                still = replace(adopted(record, table), cursor=known(record, table).cursor)
                if still != record:
                    settled[pair] = still
        return settled

    @staticmethod
    def _complete(table: Table | None, columns: Sequence[Field]) -> bool:
        return table is not None and table.header is not None and all(f.name in table.columns for f in columns)

    # --- the verbs ----------------------------------------------------------------------------------------------------

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window exactly its rows, cell by cell, and store the cursors."""
        return self.store(chunks)

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows by key, and store the cursors."""
        return self.store(chunks)

    def store(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Store chunks of several streams, each by its stream's verb, in as few batches as they fit into."""
        groups = by_stream(chunks)
        if len({group[0].stream.name for group in groups}) < len(groups):  # some with other columns than others
            stored_of = {id(c): one for group in groups for c, one in zip(group, self.store(group), strict=True)}
            return [stored_of[id(chunk)] for chunk in chunks]
        for name in dict.fromkeys(c.stream.name for c in chunks):
            check_step([c for c in chunks if c.stream.name == name])
        self._make({c.stream.name for c in chunks})
        omitted = self._locked(chunks)
        try:
            of_stream = self._store(chunks, omitted)
        except SheetRefused as error:
            self._look()
            now = self._locked(chunks)
            if error.code != HTTPStatus.BAD_REQUEST or now == omitted:
                raise
            of_stream = self._store(chunks, now)  # somebody has protected a column, or is done with that, just now
        said, self._said = self._said, []
        numbers: dict[str, int] = {}
        stored: list[Stored] = []
        for chunk in chunks:
            name = chunk.stream.name
            done, n = of_stream[name], numbers.get(name, 0)
            numbers[name] = n + 1
            kept = [row for number, row in done.kept if max(number, 0) == n]
            notes = [_kept(chunk.stream, kept)] if kept else []
            notes += [] if stored else said
            stored.append(Stored(done.rows.get(n, 0), done.replaced.get(n, 0), tuple(notes)))
        return stored

    def _store(self, chunks: Sequence[Chunk], omitted: Mapping[str, frozenset[str]]) -> dict[str, Done]:
        of_stream: dict[str, Done] = {}
        for batch in batches(chunks, batch_bytes=self.book.sizes.batch_bytes, omitted=omitted):
            for portion, done in zip(batch, self._step(batch), strict=True):
                of_stream.setdefault(portion.stream.name, Done()).add(done)
        return of_stream

    def _locked(self, chunks: Sequence[Chunk]) -> dict[str, frozenset[str]]:
        """Return the columns, by stream, that cannot be written because somebody protects them, and say so once."""
        structure = self._structure or self._look()
        locked = {}
        for stream in {c.stream.name: c.stream for c in chunks}.values():
            table = table_of(structure, stream.name)
            self._check_keys(stream, table)
            if table and table.locked:
                wanted = {f.name for c in chunks if c.stream.name == stream.name for f in c.columns}
                locked[stream.name] = table.locked & wanted
                if locked[stream.name] and stream.name not in self._told_locked:
                    self._told_locked.add(stream.name)
                    self._said.append(_left_out(stream, locked[stream.name], self.book.account))
        return locked

    # --- pruning ------------------------------------------------------------------------------------------------------

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count.

        Rows that hold something of the person's are emptied of ours instead, and the log says so.
        """
        if stream.time is None or not keep_from:
            return 0
        structure = self._structure or self._look()
        table = table_of(structure, stream.name)
        if table is None or not self._usable(table, stream):
            return 0
        who, when = stream.keys.index("advertiser_id"), stream.keys.index(stream.time)
        before = {a or None: seconds_of(day) for a, day in keep_from.items()}

        def old(key: Key) -> int | None:
            limit, at = before.get(key[who]), key[when]  # type: ignore[arg-type]
            return PRUNED if limit is not None and isinstance(at, int) and at < limit else None

        if dry_run:
            self._looks.pop(stream.name, None)
            return sum(k is not None and old(k) is not None for k in self._row_keys(table, stream))
        if self._records is None or self._sealed is None:
            self._read_state(structure, with_seals=True)
        shorter: dict[Pair, Record] = {}
        for pair, record in {**(self._records or {}), **self._unwritten}.items():
            if record.cursor and record.object == stream.name and record.advertiser_id in keep_from:
                cursor = record.cursor.without_days_before(keep_from[record.advertiser_id])
                if cursor != record.cursor:
                    shorter[pair] = replace(record, cursor=cursor)
        seals: dict[str, dict[date | None, Sealed | None]] = {
            advertiser_id: {d: None for d in self._days(stream, advertiser_id) if d and d < first}
            for advertiser_id, first in keep_from.items()
        }
        there = any(k is not None and old(k) is not None for k in self._row_keys(table, stream))
        if not there and not shorter and not any(seals.values()):
            return 0
        self._unwritten |= shorter
        (done,) = self._step([Portion(stream, ends=old, seals=seals)])
        if done.kept:
            log.warning("%s", _kept(stream, [row for _, row in done.kept]))
        return done.gone

    # --- what people did to the rows ----------------------------------------------------------------------------------

    def audit(self, streams: Sequence[Stream]) -> Audit:
        """Return which days of these streams are not what was stored, and remove rows that stand there twice.

        Each tab is read once, and its keys are good for the import that follows. See ``sheets.audit``.
        """
        differing: dict[Pair, Mapping[date | None, tuple[Seal, Seal]]] = {}
        self._audited = {stream.name: {} for stream in streams}
        notes: list[tuple[str, str]] = []
        for _ in range(LAYOUTS):
            structure = self._structure or self._look()
            if self._sealed is None:
                self._read_state(structure, with_seals=True)
            try:
                found = examined(self.book, list(self._tabs(structure, streams)), self.book.now())
                if not self._put_back(found, notes):
                    break
            except SheetRefused as error:
                if error.code != HTTPStatus.BAD_REQUEST:
                    raise
                self._structure = None  # rows or columns were deleted since
        else:
            raise keeps_changing(streams[0])
        for stream in streams:
            if stream.name not in found or not found[stream.name].look.keys:
                continue
            self._refuse_many_broken(stream, found[stream.name].look.keys)
            self._looks[stream.name] = found[stream.name].look
            if found[stream.name].keyless:
                self._with_keyless.add(stream.name)
            for advertiser_id, days in found[stream.name].differing.items():
                differing[stream.name, advertiser_id] = days
                self._audited[stream.name][advertiser_id] = {day: now for day, (_, now) in days.items()}
            copies, strays = found[stream.name].copies, found[stream.name].strays
            if copies or strays:
                self._step([Portion(stream, ends=dict.fromkeys(strays, STRAY).get)])
            if copies:
                what = "1 copy of a row was" if copies == 1 else f"{copies:,} copies of rows were"
                notes.append((stream.name, f"{stream.title}: {what} removed"))
            if strays:
                what = "1 row" if len(strays) == 1 else f"{len(strays):,} rows"
                notes.append((stream.name, f"{stream.title}: {what} of days that were never imported removed"))
        return Audit(differing, notes)

    def _put_back(self, found: Mapping[str, Examined], notes: list[tuple[str, str]]) -> bool:
        """Put tags back to where the headings are; return whether there were any, and all is to be read again."""
        batch = [request for one in found.values() for request in one.astray]
        if not batch or self._read_only:
            return False
        self.book.apply(batch)
        self._look()
        for name, one in found.items():
            if one.astray:
                what = "a column that was cut and pasted, or its tag lost, was found by its heading"
                notes.append((name, f"{STREAMS[name].title}: {what}"))
        return True

    def tidy(self, streams: Sequence[Stream]) -> Sequence[tuple[str, str]]:
        """Clear our cells of rows that nobody can make out, once their days are read again; see ``Audited``."""
        notes = []
        for stream in streams:
            structure = self._structure or self._look()
            table = table_of(structure, stream.name)
            if table is None or not self._usable(table, stream):
                continue
            keys = self._row_keys(table, stream)
            broken = {k for k in keys if k is not None and is_broken(stream, k)}
            keyless = self._keyless_rows(stream, table, keys) if stream.name in self._with_keyless else {}
            if not broken and not keyless:
                continue
            try:
                (done,) = self._step([Portion(stream, ends=dict.fromkeys(broken, BROKEN).get, keyless=keyless)])
                gone = done.gone
            except StoreFailed:
                if not keyless:
                    raise
                continue  # somebody is editing just these rows: the next import looks again
            what = "1 row" if gone == 1 else f"{gone:,} rows"
            notes.append((stream.name, f"{stream.title}: {what} whose ids or day were changed removed"))
        return notes

    def _keyless_rows(self, stream: Stream, table: Table, keys: Sequence[Key | None]) -> dict[int, tuple[Cell, ...]]:
        """Return the rows that look like ours and have no key, with our cells; none with a formula among those."""
        unnamed = [row for row, key in enumerate(keys) if row != table.header and not names_row(stream, key)]
        columns = list(table.columns.values())
        found = self.book.cells(table.blocks(spans_of(unnamed), table.strips()))
        rows = {}
        for row in set(unnamed) & found.keys():
            line = found[row]
            values = tuple(line[c].value if c in line else None for c in columns)
            if any(c in line and line[c].formula for c in columns):
                continue
            if looks_like_ours(stream, table.names, values):
                rows[row] = values
        return rows

    @staticmethod
    def _refuse_many_broken(stream: Stream, keys: Sequence[Key | None]) -> None:
        """Stop where most rows have lost their ids or days: that was no slip, and nobody wants it cleared away."""
        there = sum(k is not None for k in keys)
        broken = sum(k is not None and is_broken(stream, k) for k in keys)
        if broken > MOST_BROKEN_ROWS and broken * 2 > there:
            raise StoreFailed(
                f"{broken:,} of its {there:,} rows have ids or days that were changed or cleared, and rows are known "
                "by them",
                where=stream.table,
                what_to_do="Undo that (File → Version history), or delete the whole tab; the next import makes a new "
                "one.",
            )

    def _tabs(self, structure: Structure, streams: Sequence[Stream]) -> Iterator[Examinee]:
        """Yield the tabs that can be compared, with the seals of each account that has a cursor."""
        for stream in streams:
            table = table_of(structure, stream.name)
            if table is None or not table.columns:
                continue
            records = [r for r in (self._records or {}).values() if r.object == stream.name]
            cursors = {r.advertiser_id: cursor for r in records if (cursor := known(r, table).cursor)}
            sealed = {a: self._days(stream, a) for a in cursors}
            if table.locked:  # what somebody writes there cannot be put right
                table = replace(table, columns={name: table.columns[name] for name in table.free})
            yield Examinee(stream, table, sealed, {a: cursor.since for a, cursor in cursors.items()})

    # --- seals --------------------------------------------------------------------------------------------------------

    def seals(self, stream: Stream, advertiser_id: str) -> dict[date | None, Sealed]:
        """Return the seals that were stored with the rows of a pair, by day; they count only for their own tab."""
        if self._sealed is None:
            self._read_state(with_seals=True)
        return self._days(stream, advertiser_id)

    def recount(self, stream: Stream, advertiser_id: str, window: Window | None = None) -> dict[date | None, Seal]:
        """Return the seals of the rows as they stand there now, of the window or all; days without rows have none.

        They are of cells, as those are that were stored (see ``sheets.seals``). A tab is read once for all accounts,
        until something is written into it. In an import it is not read again after the audit: what that has found, and
        what was stored since, is what stands there, unless somebody edits meanwhile, which the next audit sees.
        """
        if stream.name in self._audited:
            found = {day: sealed.seal for day, sealed in self._days(stream, advertiser_id).items()}
            found |= self._audited[stream.name].get(advertiser_id, {})
            return {d: s for d, s in found.items() if s.rows > 0 and _is_within(d, window)}
        if stream.name not in self._counted:
            self._read_state(self._look(), with_seals=True)
            self._counted[stream.name] = {}
        counted = self._counted[stream.name]
        table = table_of(self._structure or self._look(), stream.name)
        if table is None or not self._usable(table, stream):
            return {}

        def count(columns: Sequence[Field]) -> dict[date | None, Seal]:
            names = tuple(f.name for f in columns)
            if names not in counted:
                counted[names] = self._count(table, stream, columns)
            of = counted[names].get("" if stream.per_app else advertiser_id, {})
            return {d: s for d, s in of.items() if _is_within(d, window)}

        return recounted(stream, self._days(stream, advertiser_id), window, count)

    def _count(self, table: Table, stream: Stream, columns: Sequence[Field]) -> dict[str, dict[date | None, Seal]]:
        """Return the seals of all rows of a tab, by advertiser; some thousand rows in memory at a time."""
        who = stream.keys.index("advertiser_id")
        strips = table.strips()
        names = [n for strip in strips for n in strip.names]
        at = [names.index(f.name) if f.name in names else None for f in columns]
        tallies: dict[str, CellTally] = {}
        step = max(1, CELLS_AT_ONCE // len(names))
        for top in range(0, table.tab.rows, step):
            blocks = self.book.values(table.blocks([(top, min(top + step, table.tab.rows))], strips))
            for row, key in enumerate(row_keys(stream, strips, blocks), top):
                if key is not None and row != table.header:
                    line = [value for block in blocks for value in block[row - top]]
                    whose = "" if stream.per_app else str(key[who] or "")
                    tally = tallies.setdefault(whose, CellTally(columns, stream.time))
                    tally.add([None if n is None else line[n] for n in at])
        return {advertiser_id: tally.seals() for advertiser_id, tally in tallies.items()}


def _is_within(day: date | None, window: Window | None) -> bool:
    return window is None or day is None or window.first <= day <= window.last


def _without_locked(known: Known, table: Table | None) -> Known:
    """Return what is known, without asking again for columns that cannot be written just now."""
    cursor = known.cursor
    if cursor is None or table is None or not table.locked - cursor.fields:
        return known
    return replace(known, cursor=replace(cursor, refused=cursor.refused | (table.locked - cursor.fields)))


def _left_out(stream: Stream, names: Collection[str], account: str) -> str:
    many = len(names) > 1
    shown = ", ".join(title(name) for name in sorted(names))
    return (
        f"{stream.title}: the column{'s' if many else ''} {shown} {'are' if many else 'is'} protected and left out. In "
        f"Data → Protect sheets and ranges add {account} to the editors or remove the protection; the next import then "
        "fills it in"
    )


def _kept(stream: Stream, rows: Sequence[int]) -> str:
    shown = ", ".join(str(r) for r in sorted(rows)[:10]) + (", …" if len(rows) > 10 else "")
    many = len(rows) != 1
    return (
        f"{stream.title}: {len(rows)} row{'s' if many else ''} went away but hold{'' if many else 's'} something of "
        f"yours, so our cells there were emptied and yours kept (row{'s' if many else ''} {shown})"
    )
