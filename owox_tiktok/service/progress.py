"""How far runs are, for those who look: from the ledger, at no cost for the Sheet; without a queue from the Sheet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from owox_tiktok.service import messages
from owox_tiktok.service.ledger import DEAD_AFTER, Entry, Ledger, Ledgers, Phase
from owox_tiktok.service.messages import Answer, Refusal
from owox_tiktok.service.queued import clock_time
from owox_tiktok.service.runs import moment_of, say
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.sheets import lease, report
from owox_tiktok.sheets.lease import Holder
from owox_tiktok.sheets.record import Run
from owox_tiktok.states import ABOUT, State
from owox_tiktok.streams import STREAMS

MOST_MESSAGES = 20
MOST_RUNS = 10
QUICK_S = 5.0
"""Somebody looks at a menu: no longer than this is Google asked again about a state."""
JUST_STARTED = timedelta(hours=1)
"""So long ago a run may have been started that the Sheet does not know of."""


def status(sheet: Sheet, kept: Ledgers | None) -> Answer:
    """Return how far the run is that is asked for, or the one that is under way or was the last."""
    if kept is not None:
        known = kept.read(sheet.asked.spreadsheet_id)
        if known.runs or known.record:
            return _of_ledger(known, sheet.asked.run_id)
    return _of_sheet(sheet)


# --- from the ledger --------------------------------------------------------------------------------------------------


def _of_ledger(known: Ledger, wanted: str) -> Answer:
    recorded = {r.run: r for r in ((known.record.run, *known.record.past) if known.record else ())}
    runs = {e.run: _run(e, recorded.get(e.run), known.zone) for e in known.runs}
    runs |= {name: run for name, run in recorded.items() if name not in runs}
    entry = known.find(wanted) if wanted else known.current
    # By the ledger's clock: the Sheet's record has Google's, in whole seconds, so a run could seem to precede the last.
    began = {name: run.started for name, run in runs.items()} | {e.run: e.started or e.asked.at for e in known.runs}
    newest = sorted(runs.values(), key=lambda r: began[r.run], reverse=True)
    found = runs.get(wanted) if wanted else runs[entry.run] if entry else newest[0] if newest else None
    if found is None:
        raise messages.no_run(wanted)
    label = _label(entry, datetime.now(UTC)) if entry else ""
    shown = known.find(found.run)
    return Answer(200, {**_answer(found, newest, _lines(known), label), "remedy": shown.remedy if shown else ""})


def _run(entry: Entry, recorded: Run | None, zone: str) -> Run:
    """Return a run as the sidebar shows it: how far it is by its own record, what it is by the ledger."""
    run = recorded or Run(entry.run, entry.started or entry.asked.at)
    if entry.phase is Phase.ENDED:
        run.state, run.ended = entry.state or State.STOPPED, entry.ended
        run.message, run.rows = entry.message or run.message, entry.rows or run.rows
        return run
    if entry.phase is Phase.RUNNING and run.ended and run.state is not State.STOPPED:
        return run  # it has just ended, and only the ledger does not know it yet
    run.state, run.ended = State.RUNNING, None
    if entry.phase is not Phase.RUNNING:
        since = clock_time(entry.asked.at if entry.phase is Phase.QUEUED else entry.alive, zone)
        what = "Waiting in the queue" if entry.phase is Phase.QUEUED else "Waiting in the queue for its next part"
        run.message = " ".join(part for part in (f"{what} since {since}.", entry.note) if part)
    return run


def _label(entry: Entry, now: datetime) -> str:
    """Return what a run is called that has not ended, where "Running" would not be the truth."""
    if entry.phase is Phase.ENDED:
        return ""
    if entry.cancelled:
        return "Ending"
    if entry.phase is not Phase.RUNNING:
        return "Waiting"
    return "No sign of life" if now - entry.alive > DEAD_AFTER else ""


def _lines(known: Ledger) -> list[dict[str, str]]:
    if known.record is None:
        return []
    return [
        {
            "time": at.astimezone(UTC).isoformat(timespec="seconds"),
            "level": level,
            "object": name,
            "advertiser": advertiser,
            "message": message,
        }
        for at, level, name, advertiser, message in known.record.lines[:MOST_MESSAGES]
    ]


# --- from the Sheet ---------------------------------------------------------------------------------------------------


def _of_sheet(sheet: Sheet) -> Answer:
    wanted = sheet.asked.run_id
    with sheet.open() as control:
        control.book.until = time.monotonic() + QUICK_S
        record, lines = report.overview(control.book, MOST_MESSAGES)
    runs = [record.run, *record.past] if record else []
    found = next((r for r in runs if r.run == wanted), None) if wanted else runs[0] if runs else None
    if wanted and not found:
        started = moment_of(wanted)
        if started is None or not timedelta(minutes=-1) <= datetime.now(UTC) - started <= JUST_STARTED:
            raise messages.no_run(wanted)
        found = Run(wanted, started, message="The import is waiting for its turn.")
    return Answer(200, _answer(found, runs, lines, ""))


def cancel(sheet: Sheet) -> Answer:
    """Ask the run that holds the Sheet to end."""
    wanted = sheet.asked.run_id
    with sheet.open() as control:
        holds = lease.holder(control.book)
        if wanted and (holds is None or holds.run != wanted):
            raise messages.no_run(wanted)
        if holds is None:
            raise messages.nothing_runs()
        report.cancel(control.book, holds.run)
    return Answer(200, {"message": "The import ends after what it is storing now. The next one continues there."})


def busy(holds: Holder | None) -> Refusal:
    """Return that the Sheet is held."""
    return messages.busy(holds.run if holds else "", say(holds.since) if holds else None)


# --- as the contract writes it ----------------------------------------------------------------------------------------


def _answer(found: Run | None, runs: Sequence[Run], lines: list[dict[str, str]], label: str) -> dict[str, Any]:
    state = _state(found.state if found else None)
    return {
        **state,
        "label": label or state["label"],
        "run_id": found.run if found else "",
        "started": say(found.started) if found else None,
        "ended": say(found.ended) if found else None,
        "percent": (100 if found.state is State.DONE else found.percent) if found else 0,
        "message": found.message if found else "No import has run yet.",
        "proof": found.proof if found else "",
        "objects": [
            {
                "object": name,
                "title": STREAMS[name].title if name in STREAMS else name,
                "percent": 100 * p.done // p.work if p.work else 100,
                "rows": p.rows,
            }
            for name, p in (found.objects if found else {}).items()
        ],
        "messages": lines,
        "runs": [
            {
                "run_id": r.run,
                "started": say(r.started),
                "ended": say(r.ended),
                **_state(r.state),
                "rows": r.rows,
                "message": r.message,
            }
            for r in runs
            if r.state is not State.RUNNING
        ][:MOST_RUNS],
    }


def _state(state: State | None) -> dict[str, str]:
    """Return a state as the sidebar shows it; None: nothing has run."""
    if state is None:
        return {"state": "idle", "label": "Nothing is running", "tone": "idle", "what_to_do": ""}
    about = ABOUT[state]
    return {"state": state, "label": about.label, "tone": about.tone, "what_to_do": about.what_to_do}
