"""Runs that nobody else would speak of: dead ones, dropped ones, and Sheets where no import succeeds any more.

A schedule has all ledgers looked through every few minutes. Each finding is told once: in the Sheet, by a message, and
as an ERROR in the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from owox_tiktok import notify
from owox_tiktok.errors import Problem
from owox_tiktok.events import duration
from owox_tiktok.service import endings, logs
from owox_tiktok.service.endings import End
from owox_tiktok.service.ledger import ASK_AGAIN_AFTER, GONE_AFTER, LOST_AFTER, Entry, Ledger, Phase
from owox_tiktok.service.messages import Answer
from owox_tiktok.service.queued import Queued, clock_time
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.states import State

AT_ONCE = 16
"""So many Sheets are looked at side by side: almost all of the time goes into waiting for the store."""
SHOW_S = 20.0


def dead(ledger: Ledger, now: datetime) -> list[tuple[Entry, str]]:
    """Return the runs that have ended without a word, each with the sentence about it."""
    found = []
    for entry in ledger.runs:
        began, silent = entry.started or entry.asked.at, now - entry.alive
        since = f"The import that began at {clock_time(began, ledger.zone)}"
        last = clock_time(entry.alive, ledger.zone)
        go_on = entry.goes_on
        if entry.phase is Phase.RUNNING and silent > GONE_AFTER:
            found.append((entry, f"{since} ended without a word at about {last}. {go_on}"))
        elif entry.phase is Phase.CONTINUED and silent > LOST_AFTER:
            found.append((entry, f"{since} was dropped from the queue after {last}. {go_on}"))
        elif entry.phase is Phase.QUEUED and silent > LOST_AFTER:
            asked = f"The import that was asked for at {clock_time(entry.asked.at, ledger.zone)}"
            found.append((entry, f"{asked} never began. Start another one."))
    return found


def waiting_long(ledger: Ledger, now: datetime) -> list[Entry]:
    """Return the runs that should be in the queue, and have been there for so long that it is worth a look."""
    return [
        e
        for e in ledger.runs
        if e.phase is Phase.QUEUED and not e.part and ASK_AGAIN_AFTER < now - e.alive <= LOST_AFTER
    ]


def is_stale(ledger: Ledger, now: datetime, after: timedelta) -> bool:
    """Whether a Sheet with a schedule has had no import that succeeded for so long, and nobody was told."""
    return ledger.scheduled and not ledger.stale and ledger.succeeded is not None and now - ledger.succeeded > after


def sweep(
    queued: Queued, books: Collection[str], sheet: Callable[[str], Sheet], stale_after: timedelta, log: logs.Log
) -> Answer:
    """Look at the ledgers of all ``books`` that have one; tell what nobody else told, and put back what was dropped."""
    found: Counter[str] = Counter()
    now = datetime.now(UTC)

    def look(book: str) -> list[str]:
        about = log.about(spreadsheet_id=book)
        try:
            return _look(queued, sheet, book, now, stale_after, about)
        except Problem as problem:
            about.error("the Sheet could not be looked after: %s", problem.sentence)
            return ["unknown"]

    there = [book for book in queued.kept.books() if book in books]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for said in pool.map(look, there):
            found.update(said)
    counts = {name: found[name] for name in ("died", "put_back", "stale", "unknown")}
    message = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
    return Answer(200, {"sheets": len(there), **counts, "message": message or "All is well."})


def _look(
    queued: Queued, sheet: Callable[[str], Sheet], book: str, now: datetime, stale_after: timedelta, log: logs.Log
) -> list[str]:
    ledger = queued.kept.read(book)
    said = []
    for entry, sentence in dead(ledger, now):
        status = endings.headline(State.STOPPED, sentence)
        endings.show(sheet(book), status, log, SHOW_S)
        end = End(State.STOPPED, "error", status, "run_died")
        endings.end(queued.kept, sheet(book), entry.run, end, log.about(run_id=entry.run))
        said.append("died")
    for entry in waiting_long(ledger, now):
        if queued.put_again(entry):
            log.about(run_id=entry.run).warning("the run was not in the queue any more; it is again")
            said.append("put_back")
    if is_stale(ledger, now, stale_after):
        whom = queued.kept.change(book, _note_stale)
        hours = duration((now - (ledger.succeeded or now)).total_seconds())
        last = clock_time(ledger.succeeded or now, ledger.zone)
        sentence = f"No import has succeeded for {hours}; the last one ended at {last}."
        log.error("%s", sentence, facts={"owox_event": "sheet_stale"})
        endings.tell(whom, "error", sentence, sheet(book).environment, log)
        said.append("stale")
    return said


def _note_stale(known: Ledger) -> notify.Whom:
    known.stale = True
    if known.whom and known.whom.notify_when != "never":
        known.told = True
    return known.whom or notify.Whom()
