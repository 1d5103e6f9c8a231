"""An import that a Sheet steers: its tabs say what to do, and it shows how far that is and what came of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from owox_tiktok.app.common import EVERYTHING, Selection, only
from owox_tiktok.app.imports import WHOLE_RUN, Part, import_
from owox_tiktok.app.proofs import Verified, verify
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import Problem
from owox_tiktok.events import Event, Finished, Listener, Waiting, Warned
from owox_tiktok.model import Destination
from owox_tiktok.settings import Settings
from owox_tiktok.sheets.client import Spreadsheet, spreadsheet_id
from owox_tiktok.sheets.control import Control
from owox_tiktok.sheets.destination import Sheets
from owox_tiktok.sheets.lease import Lease
from owox_tiktok.sheets.report import INTERVALS, Intervals, Mirror, Report
from owox_tiktok.sheets.setup import add_numbers

AFTERWARDS_S = 120.0
"""So long a run whose time is up may wait for Google to store what it has read."""


def open_sheet(
    spreadsheet: str, *, environment: Mapping[str, str] | None = None, datasets: Collection[str] | None = None
) -> Control:
    """Return the control Sheet with this id or address; the token comes from the environment, never from the Sheet.

    ``datasets`` are those of BigQuery it may name; None: any.
    """
    env = os.environ if environment is None else environment
    return Control(Spreadsheet(spreadsheet_id(spreadsheet), environment=env), environment=env, datasets=datasets)


def verify_sheet(
    control: Control,
    *,
    now: datetime,
    listen: Listener,
    within_s: float = math.inf,
    environment: Mapping[str, str] | None = None,
) -> Verified:
    """Compare what a Sheet says is imported with TikTok's totals, and show in its tab *Numbers* what came of it.

    That tab is made where there is none. The accounts come first that were confirmed longest ago, and nothing more is
    asked after ``within_s`` seconds: the next check goes on there. Raises BadInput and Problem as ``verify`` does, and
    StoreBusy when an import holds the Sheet.
    """
    began = time.monotonic()
    book = control.book
    with Lease(book, warns=True, environment=os.environ if environment is None else environment) as lease:
        settings = control.read(now).settings

        def open_(address: str) -> Destination:
            if address == f"sheets://{book.id}":
                add_numbers(book)
                return Sheets(book, lease=lease, technical_names=settings.technical_names)
            return open_destination(address, environment=environment)

        return verify(
            settings,
            now=now,
            listen=listen,
            environment=environment,
            open_=open_,
            enough=lambda: time.monotonic() - began >= within_s,
        )


def import_sheet(
    control: Control,
    *,
    now: datetime,
    listen: Listener,
    selection: Selection = EVERYTHING,
    part: Part = WHOLE_RUN,
    intervals: Intervals = INTERVALS,
    environment: Mapping[str, str] | None = None,
    mirror: Mirror | None = None,
    on_settings: Callable[[Settings], object] = lambda settings: None,
) -> Finished:
    """Import what a Sheet says, and report to it how far it is and what came of it: status, log and record.

    ``part`` names the run in the Sheet's record; the same name continues a run that stopped, and what came of its
    earlier parts is read from there. ``mirror`` gets the record as well, before the Sheet does;
    ``on_settings`` gets what the tabs say. Whoever cancels it ends it early. Raises what ``import_`` raises, once it is
    in the Sheet; StoreBusy when another run holds the Sheet, and nothing is written.
    """
    book = control.book
    with Lease(book, part.run, warns=True, environment=os.environ if environment is None else environment) as lease:
        book.until = part.until
        everything = not (selection.objects or selection.advertisers or selection.days)
        report = Report(book, lease.run, intervals=intervals, everything=everything, mirror=mirror)

        def emit(event: Event) -> None:
            listen(event)
            report(event)

        def open_(address: str) -> Destination:
            if address == f"sheets://{book.id}":
                return Sheets(book, lease=lease, technical_names=reading.settings.technical_names)
            return open_destination(address, environment=environment)

        book.on_wait = lambda seconds: emit(Waiting(seconds, "Google's quota of calls per minute is used up"))
        try:
            report.begin()
            reading = control.read(now)
            on_settings(reading.settings)
            if most := reading.settings.max_run_timeout:
                earlier = report.earlier.seconds if report.earlier else 0.0
                end = book.limits.clock() + 60 * most - earlier + AFTERWARDS_S
                book.until = end if book.until is None else min(book.until, end)
            for warning in reading.warnings:
                emit(Warned("", "", warning))
            return import_(
                only(reading.settings, selection.objects, selection.advertisers),
                now=now,
                listen=emit,
                backfill=selection.days,
                part=replace(part, halted=lambda: report.halted() or part.halted(), earlier=report.earlier),
                environment=environment,
                open_=open_,
            )
        except Exception as error:
            what = f"an unexpected {type(error).__name__}"
            problem = error if isinstance(error, Problem) else Problem(what, what_to_do="Report it with the log.")
            with suppress(Problem):  # the lease may be another's, and then nothing more is written to the Sheet
                report.problem(problem)
            raise
        except BaseException:
            with suppress(Problem):
                report.interrupted("the run was interrupted; the next one continues where it ended")
            raise
