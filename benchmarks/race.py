"""People edit a Sheet while it is being imported into: ``python -m benchmarks race --seed 1 --runs 100``.

A story is one spreadsheet with some days of a small world, and a few imports, all from a seed. While one of them runs
an edit of any of some 30 kinds (``tests.sheet_edits``) happens at any moment of it: mostly right before a batch, after
the last look. Some are killed, get faults from Google, or start twice; before some, an edit has happened already. Then
time goes on, and an undisturbed import follows. Three things must hold after it, whatever happened:

*   every cell of ours is what TikTok has, and there is no row of ours beside those;
*   each remark of hers is beside the row it is about, or in a row without anything of ours;
*   if cells were wrong before it, one of the imports has said in a warning what happened.

``--story N`` repeats a single one.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from owox_tiktok import app
from owox_tiktok.config_file import read_file
from owox_tiktok.errors import Problem, StoreBusy
from owox_tiktok.events import Event, Finished, Warned
from owox_tiktok.local.sheets import Server as Google
from owox_tiktok.local.sheets import serve as serve_google
from owox_tiktok.local.sheets.errors import ApiError
from owox_tiktok.local.tiktok import World
from owox_tiktok.local.tiktok import serve as serve_tiktok
from owox_tiktok.model import Destination
from owox_tiktok.sheets import audit, lease
from owox_tiktok.sheets.client import LIMITS, Sizes, Spreadsheet
from owox_tiktok.sheets.destination import Sheets
from owox_tiktok.sheets.look import CELLS_AT_ONCE
from owox_tiktok.sheets.pace import Pace
from owox_tiktok.streams import STREAMS
from tests.helpers import Project, differences, expected
from tests.sheet_edits import EDITS, Tab
from tests.sheets import columns_of_tab, in_a_cell, left_behind, numbered_rows, sheet_rows, tab_of

DAILY, ADS = STREAMS["ad_report_daily"], STREAMS["ads"]
FIELDS = {DAILY.name: ["ad_name", "spend", "impressions"], ADS.name: ["ad_name", "campaign_id"]}
START = datetime(2026, 2, 16, tzinfo=UTC)
REMARK = "R E M A R K"
FAULTS = ("http_429", "http_503", "lost", "late_500", "reset")
TROUBLE = ("edit", "edit", "edit", "edit", "edit", "before", "kill", "faults", "twice")
AT_ONCE = LIMITS.__class__(attempts=LIMITS.attempts, deadline_s=60, sleep=lambda _: None)


class Killed(BaseException):
    """The end of the process, as far as one process can have it."""


@dataclass
class Figures:
    """What happened in all stories."""

    stories: int = 0
    imports: int = 0
    edits: Counter[str] = field(default_factory=Counter)
    at_batches: int = 0
    astray: int = 0
    wrong: list[str] = field(default_factory=list)


class Story:
    """One spreadsheet, and what happens to it."""

    def __init__(self, seed: int, number: int, figures: Figures, folder: Path) -> None:
        self.chance = chance = random.Random(f"{seed}/{number}")
        self.name, self.figures = f"story {number} of seed {seed}", figures
        self.world = World(
            seed=chance.randrange(1000), advertisers=1, campaigns=2, ad_groups=2, ads=3, start=START.date(),
            as_of=START + timedelta(days=8, hours=10),
        )  # fmt: skip
        self.folder = folder
        self.batch_bytes = chance.choice((2_000_000, 2_000_000, 4_000))
        """How much goes into a batch: all, or little, so that there are many."""
        self.cells_at_once = chance.choice((500_000, 500_000, 100))
        """Up to so many cells a tab is audited whole."""
        self.said: list[str] = []

    def tell(self, google: Google, rounds: int) -> None:
        """Let it happen: so many disturbed imports, each with one after it that is left in peace."""
        audit.AT_ONCE = self.cells_at_once
        with serve_tiktok(self.world) as tiktok:
            self.google, self.tiktok = google, tiktok
            self.book = google.create("Her report")
            Project(self.folder, tiktok).write(
                destination=f"sheets://{self.book}", objects=list(FIELDS), fields=FIELDS,
                start_date=f"{START:%Y-%m-%d}", reimport_lookback_window=3,
            )  # fmt: skip
            self._import()
            self._remarks()
            for _ in range(rounds):
                if self._wrong():
                    break
                self._disturb()
        self.figures.stories += 1

    # --- imports ------------------------------------------------------------------------------------------------------

    def _import(self, kill_after: int | None = None) -> list[str]:
        """Import, and return the warnings; a Problem is one, too."""
        self.figures.imports += 1
        project = Project(self.folder, self.tiktok)
        now = self.world.now()
        path = self.folder / "tiktok.yaml"
        events: list[Event] = []
        environment = {**project.environment, "SHEETS_API_URL": self.google.url}

        def open_(address: str) -> Destination:
            sizes = Sizes(batch_bytes=self.batch_bytes)
            # Nobody sleeps here, so that a pace which all share would fall behind for good.
            book = Spreadsheet(self.book, limits=AT_ONCE, sizes=sizes, pace=Pace(None), environment=environment)
            if kill_after is not None:
                _killed(book, kill_after)
            return Sheets(book)

        settings = read_file(path, now=now, environment=environment)
        try:
            app.import_(settings, now=now, listen=events.append, environment=environment, open_=open_)
        except StoreBusy:
            return ["busy"]
        except Problem as problem:
            return [problem.sentence]
        except Killed:
            self.google.faults.clock_ahead_s += lease.TERMS.ttl_s + 1
            return ["killed"]
        finished = [e for e in events if isinstance(e, Finished)][-1]
        if finished.failed:
            return [str(e) for e in events if not isinstance(e, Finished)]
        return [e.message for e in events if isinstance(e, Warned)]

    # --- what happens -------------------------------------------------------------------------------------------------

    def _disturb(self) -> None:
        chance, google = self.chance, self.google
        self.said = []
        self.world.as_of = self.world.now() + timedelta(hours=chance.choice((1, 7, 24)))
        trouble, kind = chance.choice(TROUBLE), chance.choice(list(EDITS))
        stream = chance.choice((DAILY, DAILY, ADS))
        if kind == "change an id":  # of a list it makes a row that is taken for one TikTok does not list any more
            stream = DAILY
        self.said.append(f"{trouble}, {kind} in {stream.name}")
        tab = Tab(google, self.book, stream, chance)
        if trouble == "before":
            self._edit(tab, kind)
        kill = chance.randrange(1, 5) if trouble == "kill" else None
        if trouble == "faults":
            google.faults.rate, google.faults.in_a_row, google.faults.kinds = 0.25, 2, FAULTS
        at_batch = chance.random() < 0.8
        self._inject(tab, kind, chance.choice((2, 2, 2, 3, 3, 4)) if at_batch else chance.randrange(2, 12), at_batch)
        warnings = self._import(kill)
        if trouble == "twice":
            other = threading.Thread(target=self._import)
            other.start()
            warnings += self._import()
            other.join()
        google.on_call, google.faults.rate = None, 0.0
        wrong = self._wrong()
        self.figures.astray += any("at the very moment" in w for w in warnings)
        again = self._import()
        if again and again != ["busy"]:
            self.said.append(f"then: {again}")
        if (wrong or self._wrong()) and not warnings and not again:
            self._report(f"nobody said what happened: {wrong[:3]}")
        if "has ids or days that were changed" in str(again):
            return
        for what in [*self._wrong(), *self._strangers()][:3]:
            self._report(what)
        self._remarks()

    def _inject(self, tab: Tab, kind: str, turn: int, at_batch: bool) -> None:
        calls = 0

        def between(_: str, path: str) -> None:
            nonlocal calls
            if at_batch and not path.endswith(":batchUpdate"):
                return
            calls += 1
            if calls == turn:
                self.google.on_call = None
                self.figures.at_batches += at_batch
                self._edit(tab, kind)

        self.google.on_call = between

    def _edit(self, tab: Tab, kind: str) -> None:
        self.figures.edits[kind] += 1
        with suppress(IndexError, AssertionError, KeyError, ApiError):  # there is nothing to be edited
            EDITS[kind](tab)

    # --- what is seen -------------------------------------------------------------------------------------------------

    def _remarks(self) -> None:
        """Write beside each row what it is."""
        sheet = tab_of(self.google, self.book, DAILY)
        assert sheet is not None
        at = self._remark_column()
        if at is None:
            at = sheet.grid.column_count
            place = {"sheetId": sheet.sheet_id, "dimension": "COLUMNS", "length": 1}
            self.google.batch(self.book, [{"appendDimension": place}])
            Tab(self.google, self.book, DAILY, self.chance).writes(0, at, REMARK)
        requests = []
        for row, cells in numbered_rows(self.google, self.book, DAILY):
            start = {"sheetId": sheet.sheet_id, "rowIndex": row, "columnIndex": at}
            value = {"userEnteredValue": {"stringValue": _about(cells)}}
            requests.append(
                {"updateCells": {"start": start, "rows": [{"values": [value]}], "fields": "userEnteredValue"}}
            )
        self.google.batch(self.book, requests)

    def _remark_column(self) -> int | None:
        sheet = tab_of(self.google, self.book, DAILY)
        lines = sheet.values()[:10] if sheet else []
        return next((line.index(REMARK) for line in lines if REMARK in line), None)

    def _wrong(self) -> list[str]:
        found = []
        for stream in (DAILY, ADS):
            names = list(columns_of_tab(self.google, self.book, stream))
            try:
                rows = sheet_rows(self.google, self.book, stream)
                stored = [row for row in rows if row["advertiser_id"] != "TOTAL"]
            except (AssertionError, KeyError, OverflowError) as error:
                return [f"{stream.name}: {error!r}"]
            if not names:
                return [f"{stream.name}: no tab"]
            account = self.tiktok.advertiser_ids[0]
            wanted = expected(self.world, stream, account, names, start=START.date())
            cells = [{k: in_a_cell(v) for k, v in row.items()} for row in wanted]
            found += [f"{stream.name}: {d}" for d in differences(stored, cells, stream.keys)]
            sheet = tab_of(self.google, self.book, stream)
            lines = sheet.values() if sheet else []
            found += [
                f"{stream.name}: row {n + 1} is left behind: {lines[n]}"
                for n in left_behind(self.google, self.book, stream)
                if "TOTAL" not in lines[n]
            ]
        return found

    def _strangers(self) -> list[str]:
        """Return remarks that are beside other rows than those they are about."""
        at, sheet = self._remark_column(), tab_of(self.google, self.book, DAILY)
        if at is None or sheet is None:
            return []
        try:
            rows = numbered_rows(self.google, self.book, DAILY)
        except AssertionError as error:
            return [str(error)]
        beside = [(cells, sheet.grid.content(row, at)) for row, cells in rows]
        return [
            f"{_about(cells)} has the remark {text!r}" for cells, text in beside if text not in (None, _about(cells))
        ]

    def _report(self, what: str) -> None:
        self.figures.wrong.append(f"{self.name}: {what}\n    {'; '.join(self.said)}")
        print(f"WRONG {self.figures.wrong[-1]}", flush=True)


def _about(cells: dict[str, Any]) -> str:
    return f"about {cells['ad_id']} on {cells['stat_time_day']}"


def _killed(book: Spreadsheet, after: int) -> None:
    """Let a spreadsheet's client die with its batch number ``after``."""
    apply: Callable[..., Any] = book.apply
    left = [after]

    def applied(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return apply(*arguments)

    book.apply = applied  # type: ignore[method-assign, assignment]


def run(seed: int, stories: range, rounds: int = 2) -> Figures:
    """Let stories happen and return what came of them."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder, serve_google() as google:
        for number in stories:
            try:
                Story(seed, number, figures, Path(folder)).tell(google, rounds)
            finally:
                audit.AT_ONCE = CELLS_AT_ONCE
            google.faults.clock_ahead_s = 0
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run it and print figures; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks race", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100, help="how many disturbed imports; two in each story")
    parser.add_argument("--story", type=int, help="only this one")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    stories = range(asked.story, asked.story + 1) if asked.story is not None else range((asked.runs + 1) // 2)
    figures = run(asked.seed, stories)
    print(
        f"{figures.stories} stories, {figures.imports} imports, {sum(figures.edits.values())} edits of "
        f"{len(figures.edits)} kinds ({figures.at_batches} right before a batch), {figures.astray} batches met other "
        f"rows, {len(figures.wrong)} wrong, {time.monotonic() - began:.0f} s"
    )
    return 1 if figures.wrong else 0
