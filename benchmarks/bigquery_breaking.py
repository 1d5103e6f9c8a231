"""Break imports into BigQuery and compare what is stored with TikTok: ``python -m benchmarks bigquery_break --seed 1``.

A story is a dataset of the emulator with some objects of a small world, and a few imports, all from a seed. Some are
killed at any request, before or after it has arrived; some start twice at once, and one of the two may be killed; some
meet a proxy that delays, refuses, cuts or loses requests and answers, also those to what was done already, and aborts
transactions. Undisturbed imports follow. Whatever happened:

*   an import that says Done leaves exactly what TikTok has: no row is missing, changed or there twice;
*   so does the undisturbed one after it, which also leaves no rows on their way behind;
*   a person's own column keeps its values;
*   no import takes longer than a deadline.

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
from owox_tiktok.destinations.bigquery import BigQuery, open_at
from owox_tiktok.errors import Problem
from owox_tiktok.events import Event, Finished
from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.model import Destination
from owox_tiktok.retry import Limits
from owox_tiktok.streams import STREAMS
from tests import bigquery as emulator
from tests.bigquery import Proxy, Request
from tests.helpers import Project, differences, expected

_OF_REPORTS = ["spend", "impressions", "conversion", "ctr"]
FIELDS = {
    "campaigns": ["campaign_name", "budget", "operation_status"],
    "ad_groups": ["adgroup_name", "budget", "location_ids"],
    "ads": ["ad_name", "operation_status", "create_time"],
    "ad_report_daily": ["ad_name", *_OF_REPORTS],
    "campaign_report_daily": _OF_REPORTS,
    "campaign_report_hourly": _OF_REPORTS[:2],
    "campaign_report_lifetime": _OF_REPORTS,
}
"""Objects with fields of every kind, and few of them: the emulator takes long to read a statement with all."""
NOTED = STREAMS["ad_report_daily"]
"""The object with a person's own column."""
START = datetime(2026, 2, 16, tzinfo=UTC)
TROUBLE = ("kill", "kill", "kill", "twice", "twice", "twice and kill", "faults", "faults", "faults")
LIMITS = Limits(attempts=200, deadline_s=60.0, first_s=0.02, longest_s=0.5)
LONGEST_S = 300.0
"""An import takes some seconds; a step that meets nothing but faults ends after the deadline of ``LIMITS``."""


ROUNDS = 3
"""Disturbed imports in a story."""


class Killed(BaseException):
    """The end of the process, as far as one process can have it."""


@dataclass
class Figures:
    """What happened in all stories."""

    stories: int = 0
    imports: int = 0
    disturbed: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    """Disturbed imports that did not end with exit code 0."""
    compared: int = 0
    longest_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Story:
    """One dataset, and what happens to it."""

    def __init__(self, seed: int, number: int, figures: Figures, folder: Path, proxy: Proxy) -> None:
        self.chance = chance = random.Random(f"{seed}/{number}")
        self.name, self.figures, self.folder, self.proxy = f"story {number} of seed {seed}", figures, folder, proxy
        self.dataset = f"d_breaking_{seed}_{number}"
        self.world = World(
            seed=chance.randrange(1000), advertisers=chance.choice((1, 2, 2)), campaigns=2, ad_groups=2, ads=3,
            start=START.date(), as_of=START + timedelta(days=6, hours=10),
        )  # fmt: skip
        self.objects = chance.sample(list(FIELDS), chance.choice((1, 2, 2)))
        self.noted: set[tuple[Any, ...]] = set()
        self.said: list[str] = []

    def tell(self, rounds: int) -> None:
        """Let it happen: so many disturbed imports; one that is left in peace follows some, and ends the story."""
        with serve(self.world) as self.tiktok:
            project = Project(self.folder, self.tiktok)
            self.environment = {**project.environment, "BIGQUERY_API_URL": self.proxy.url}
            self.path = project.write(
                destination=f"bigquery://test-project/{self.dataset}", objects=self.objects,
                fields={name: FIELDS[name] for name in self.objects},
                start_date=f"{START:%Y-%m-%d}", reimport_lookback_window=60,  # numbers of old days change, too
            )  # fmt: skip
            if self.chance.random() < 0.7:  # else the first import is disturbed
                self._in_peace()
            for left in reversed(range(rounds)):
                self._disturb()
                if not left or self.chance.random() < 0.3:
                    self._in_peace()
                if self.figures.wrong:
                    break
        self.figures.stories += 1

    # --- imports ------------------------------------------------------------------------------------------------------

    def _import(self, kill_at: int | None = None) -> int | None:
        """Import, and return the exit code; None for one that was killed."""
        self.figures.imports += 1
        now = self.world.now()
        events: list[Event] = []
        began = time.monotonic()

        def open_(address: str) -> Destination:
            opened = open_at(address.partition("://")[2], environment=self.environment, limits=LIMITS)
            if kill_at is not None:
                killed(opened, kill_at, sent=kill_at % 2 == 0)
            return opened

        settings = read_file(self.path, now=now, environment=self.environment)
        try:
            app.import_(settings, now=now, listen=events.append, environment=self.environment, open_=open_)
        except Killed:
            return None
        except Problem as problem:
            self.said.append(problem.sentence[:2000])
            return 1
        finally:
            took = time.monotonic() - began
            self.figures.longest_s = max(self.figures.longest_s, took)
            if took > LONGEST_S:
                self._report(f"an import took {took:.0f} s")
        finished = [e for e in events if isinstance(e, Finished)][-1]
        self.said += [str(e)[:2000] for e in events if finished.exit_code and type(e).__name__ == "Failed"][:2]
        return finished.exit_code

    def _in_peace(self) -> None:
        self.proxy.fault, self.proxy.status = (lambda _: None), (lambda _: None)
        if code := self._import():
            self._report(f"an undisturbed import ends with {code}")
        self._compare("an undisturbed import")
        if left := self._staged():
            self._report(f"left on their way: {left}")
        self._note()
        self.said = []

    def _disturb(self) -> None:
        chance = self.chance
        self.world.as_of = self.world.now() + timedelta(hours=chance.choice((0, 1, 7, 24)))
        trouble = chance.choice(TROUBLE)
        self.figures.disturbed[trouble] += 1
        self.said.append(trouble)
        if trouble == "faults":
            self._faults(chance.choice((0.05, 0.1, 0.2)))
        kill = chance.randrange(1, 45) if "kill" in trouble else None
        codes: list[int | None] = []
        if "twice" in trouble:
            other = threading.Thread(target=lambda: codes.append(self._import()))
            other.start()
            codes.append(self._import(kill))
            other.join()
        else:
            codes.append(self._import(kill))
        self.said.append(f"ended with {codes}")
        self.figures.failed += sum(1 for code in codes if code)
        if 0 in codes:
            self._compare("a disturbed import that says Done")

    def _faults(self, rate: float) -> None:
        """Let the proxy do to requests what networks and servers do."""
        chance, lock = random.Random(self.chance.random()), threading.Lock()
        aborted = "Transaction is aborted due to concurrent update against table test-project:d.t. Transaction ID: 1"
        answers = {
            "503": emulator.Answer(503, "backendError", "The service is currently unavailable."),
            "500": emulator.Answer(500, "internalError", "An internal error occurred."),
            "429": emulator.Answer(429, "rateLimitExceeded", "Exceeded rate limits."),
            "403": emulator.Answer(403, "rateLimitExceeded", "Exceeded rate limits: too many table update operations."),
        }
        kinds = (*answers, emulator.DROP, emulator.DROP, emulator.DROP_BEFORE, emulator.TWICE, emulator.CUT,
                 emulator.CUT_WHOLE, "delay", "abort", "failed job")  # fmt: skip
        failing = {"state": "DONE", "errorResult": {"reason": "jobBackendError", "message": "try again"}}

        def what(request: Request) -> str:
            with lock:
                kind = chance.choice(kinds) if chance.random() < rate else ""
                if kind == "abort" and "TRANSACTION" not in request.sql:
                    kind = ""
                if kind == "failed job" and not request.job:
                    kind = ""
                if (
                    kind == emulator.TWICE and not request.job
                ):  # who asks for a new table twice is told that it is there
                    kind = ""
                if kind:
                    self.figures.faults[kind] += 1
            return kind

        def fault(request: Request) -> Any:
            kind = what(request)
            if kind == "delay":
                time.sleep(1.0)
            if kind == "abort":
                return emulator.Answer(400, "invalidQuery", aborted)
            fails.ident = request if kind == "failed job" else None
            return answers.get(kind, kind if kind not in ("delay", "failed job") else None) or None

        fails = threading.local()
        self.proxy.fault = fault
        self.proxy.status = lambda request: failing if getattr(fails, "ident", None) is request else None

    # --- what is seen -------------------------------------------------------------------------------------------------

    def _compare(self, after: str) -> None:
        for name in self.objects:
            stream = STREAMS[name]
            stored = emulator.rows_of(self.dataset, stream)
            names = [n for n in emulator.columns_of(self.dataset, stream) if n in stream.fields]
            wanted = [
                row
                for advertiser_id in self.tiktok.advertiser_ids
                for row in expected(self.world, stream, advertiser_id, names, start=START.date())
            ]
            self.figures.compared += 1
            for what in differences(stored, wanted, stream.keys)[:3]:
                self._report(f"after {after}, {name}: {what}")
            if stream is NOTED and self.noted:
                for row in stored:
                    key = tuple(row[k] for k in stream.keys)
                    note = row["my_note"]
                    if note not in (None, _about(row)) or (note is None and key in self.noted):
                        self._report(f"after {after}, the note of {key} is {note!r}")

    def _note(self) -> None:
        """Write into a column of a person's own what each row is about."""
        if NOTED.name not in self.objects:
            return
        table = f"`test-project.{self.dataset}.{NOTED.table}`"
        if not self.noted:
            with suppress(Exception):  # it is there
                emulator.query(f"ALTER TABLE {table} ADD COLUMN my_note STRING")
        emulator.query(
            f"UPDATE {table} SET my_note = CONCAT(ad_id, ' ', CAST(stat_time_day AS STRING)) WHERE my_note IS NULL"
        )
        self.noted = {tuple(row[k] for k in NOTED.keys) for row in emulator.rows_of(self.dataset, NOTED)}

    def _staged(self) -> list[str]:
        client = emulator.client()
        found = [t.table_id for d in client.list_datasets(include_all=True) for t in client.list_tables(d.reference)]
        return [name for name in found if "_staging-" in name and self.dataset in name]

    def _report(self, what: str) -> None:
        self.figures.wrong.append(f"{self.name}: {what}\n    {self.objects}; {'; '.join(self.said)}")
        print(f"WRONG {self.figures.wrong[-1]}", flush=True)


def _about(row: dict[str, Any]) -> str:
    return f"{row['ad_id']} {row['stat_time_day']}"


def killed(destination: BigQuery, at: int, *, sent: bool) -> None:
    """Let a destination's client die at a request, and nobody clean up: before it is sent, or before its answer."""
    session = destination._client._http
    send: Callable[..., Any] = session.request
    lock, left = threading.Lock(), [at]

    def request(*arguments: Any, **more: Any) -> Any:
        with lock:
            left[0] -= 1
            now = left[0]
        if now == 0 and sent:
            send(*arguments, **more)
        if now <= 0:
            raise Killed
        return send(*arguments, **more)

    session.request = request


def run(seed: int, stories: range, rounds: int = ROUNDS) -> Figures:
    """Let stories happen and return what came of them."""
    figures = Figures()
    for number in stories:
        with tempfile.TemporaryDirectory() as folder, emulator.Proxy() as proxy:
            Story(seed, number, figures, Path(folder), proxy).tell(rounds)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run it and print figures; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks bigquery_break", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100, help=f"how many disturbed imports; {ROUNDS} in each story")
    parser.add_argument("--story", type=int, help="only this one")
    parser.add_argument("--first", type=int, default=0, help="begin with this one")
    asked = parser.parse_args(arguments)
    if emulator.missing:
        print(f"bigquery_break: not run, {emulator.missing}")
        return 0
    began = time.monotonic()
    first = asked.first if asked.story is None else asked.story
    stories = range(first, first + (1 if asked.story is not None else -(-asked.runs // ROUNDS)))
    wrong = 0
    totals = Figures()
    for number in stories:  # each tells at once
        figures = run(asked.seed, range(number, number + 1))
        wrong += len(figures.wrong)
        totals.stories += figures.stories
        totals.imports += figures.imports
        totals.disturbed += figures.disturbed
        totals.faults += figures.faults
        totals.failed += figures.failed
        totals.compared += figures.compared
        totals.longest_s = max(totals.longest_s, figures.longest_s)
        if number % 2:
            print(f"… {totals.stories} stories, {totals.imports} imports, {wrong} wrong", flush=True)
    print(
        f"{totals.stories} stories, {totals.imports} imports, {sum(totals.disturbed.values())} disturbed "
        f"({', '.join(f'{n} {kind}' for kind, n in totals.disturbed.most_common())}), "
        f"{sum(totals.faults.values())} faults of {len(totals.faults)} kinds, {totals.failed} imports failed and said "
        f"so, {totals.compared} tables compared, the longest import {totals.longest_s:.0f} s, {wrong} wrong, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if wrong else 0
