"""The record of a Sheet's runs, for those who ask from outside: how far a run is, and what came of the last ones.

It stands as JSON in a hidden tab of the Sheet, in pieces of a cell each: developer metadata, where the first versions
kept it, takes 30,000 characters in all, and a run of all objects says more. What keeps a record is a ``Keeper``: a
service that has a place of its own gives its own, and the tab is then only a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from owox_tiktok.events import Finished
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import Json, cell
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.errors import SheetRefused
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.tabs import Snapshot, Structure, Tab, Tag, new_tab, tagged_tab
from owox_tiktok.states import State

RUNS, RUNS_TITLE, RUNS_TAG = "(runs)", "_owox_tiktok_runs", "owox.runs"
"""The hidden tab's name in its tag, its title, and the key of a tag by which it is read without looking for it."""
RECORD_ID, RECORD = 1_907_405_122, "owox.run"
"""The metadata in which the first versions kept it."""
PIECES, PIECE = 16, 24_000
"""So many cells, of so many characters each: an emoji counts as two, and a cell takes 50,000."""
MOST_LINES, MOST_OF_LINE = 20, 500
"""So many of the newest lines of the log are in the record, and so many characters of each."""


class ObjectProgress(msgspec.Struct):
    """How far one object is: days (or lists) to read and read, rows stored."""

    work: int = 0
    done: int = 0
    rows: int = 0


class Run(msgspec.Struct):
    """One run, as it stands in the record."""

    run: str
    started: datetime
    state: State = State.RUNNING
    ended: datetime | None = None
    message: str = ""
    rows: int = 0
    windows: int = 0
    windows_done: int = 0
    objects: dict[str, ObjectProgress] = msgspec.field(default_factory=dict)
    proof: str = ""
    """What TikTok's own totals confirm of it, in a line."""
    so_far: Finished | None = None
    """What came of a run that stopped, for the part that goes on with it."""
    lines: int = 0
    """Lines of the log that the Sheet has been given: so a write without an answer is known again."""

    @property
    def percent(self) -> int:
        """How much of the work is done."""
        work = sum(o.work for o in self.objects.values())
        return 100 * sum(o.done for o in self.objects.values()) // work if work else 0


class Record(msgspec.Struct):
    """The run that is on, or the last one, and those before it, newest first, without their objects.

    ``book`` is the spreadsheet it was made for: a copy of the file has a copy of it, which says nothing. ``lines`` are
    the newest of the log, newest first, as time, level, object, advertiser and message; ``at`` is when it was written.
    """

    run: Run
    past: list[Run] = msgspec.field(default_factory=list)
    book: str = ""
    lines: list[tuple[datetime, str, str, str, str]] = msgspec.field(default_factory=list)
    at: datetime | None = None


class Keeper(Protocol):
    """Where the record is kept. A run asks before each write what is there, and writes along with its status."""

    def look(self, structure: Structure) -> None:
        """Take note of the tabs as they are."""
        ...

    def blocks(self) -> list[Block]:
        """Return the cells of the Sheet to read before a write."""
        ...

    def found(self, seen: Mapping[int, Snapshot], tags: Sequence[Tag]) -> Record | None:
        """Return the record that is there, None where there is none of this Sheet's; given what ``blocks`` hold."""
        ...

    def requests(self, record: Record) -> list[Json]:
        """Keep the record; return what is written for it into the Sheet."""
        ...


class HiddenTab:
    """The Sheet's own place for the record."""

    def __init__(self, book: Spreadsheet) -> None:
        self._book = book
        self._structure: Structure | None = None
        self._tab: Tab | None = None
        self._old: str | None = None
        """What stands in the metadata of the first versions."""

    def look(self, structure: Structure) -> None:
        """Take note of the tabs as they are."""
        found = tagged_tab(structure, RUNS)
        self._structure, self._tab = structure, found[0] if found else None

    def blocks(self) -> list[Block]:
        """Return the cells of the hidden tab."""
        return [Block(self._tab.id, 0, self._tab.rows, 0, 1)] if self._tab else []

    def found(self, seen: Mapping[int, Snapshot], tags: Sequence[Tag]) -> Record | None:
        """Return the record in the hidden tab, or that of an earlier version."""
        self._old = next((t.value for t in tags if t.id == RECORD_ID), None)
        there = seen.get(self._tab.id) if self._tab else None
        text = "".join(str(there.values[row].get(0, "")) for row in sorted(there.values)) if there else ""
        return decoded(text, self._book) or decoded(self._old, self._book)

    def requests(self, record: Record) -> list[Json]:
        """Return the writes into the hidden tab; makes it when it is not there."""
        batch: list[Json] = []
        tab = self._tab
        if tab is None:
            if self._structure is None:
                return []
            tab = Tab(self._structure.free_id(), self._structure.free_title(RUNS_TITLE), PIECES, 1)
            batch += [*new_tab(tab, RUNS, hidden=True), requests.tagged(RUNS_TAG, self._book.id, tab.id)]
            self._tab = tab
        if self._old is not None:
            batch.append(requests.delete_metadata(RECORD_ID, self._old))
        text = msgspec.json.encode(record).decode()
        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)][: tab.rows]
        rows = [{"values": [cell(piece)]} for piece in pieces] + [{"values": [{}]}] * (tab.rows - len(pieces))
        return [*batch, requests.write(tab.id, 0, 0, rows)]


def read(book: Spreadsheet) -> Record | None:
    """Return the record of a spreadsheet, None where there is none; one call, one more without a hidden tab."""
    try:
        cells = book.tagged_values(RUNS_TAG)
    except SheetRefused as error:
        if error.code != 400:
            raise
        cells = []
    for rows in cells:
        if found := decoded("".join(str(row[0]) for row in rows if row), book):
            return found
    return None if cells else decoded(book.metadata(RECORD_ID), book)


def decoded(text: str | None, book: Spreadsheet) -> Record | None:
    """Return the record that ``text`` is; None when it is none, or that of another spreadsheet."""
    if not text:
        return None
    try:
        found = msgspec.json.decode(text, type=Record)
    except msgspec.DecodeError:
        return None
    return found if found.book in (book.id, "") else None
