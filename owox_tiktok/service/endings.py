"""How a run ends, for everybody who wants to know: one message, one line in the log, one line in the audit log.

The ledger decides: whoever notes the end first tells it, and nobody tells it again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from owox_tiktok import notify
from owox_tiktok.errors import Problem, TokenRefused
from owox_tiktok.events import Finished
from owox_tiktok.service import ledger as ledgers
from owox_tiktok.service import logs
from owox_tiktok.service.ledger import Entry, Ledger, Ledgers, OfAccount
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.sheets import report
from owox_tiktok.states import ABOUT, State

AT_ONCE_S = 1.2
"""A status that no run writes may take so long; somebody may be waiting for an answer."""

What = Literal["run_done", "run_failed", "run_died", "run_given_up", "run_recovered", "run_not_queued", "sheet_stale"]
"""What the field ``owox_event`` of a log line says; alerts rest on it."""


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended: its state, the level of the message about it, and the sentence that people read."""

    state: State
    level: notify.Level
    sentence: str
    what: What = "run_failed"
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows by ad account, as far as this part knows."""
    finished: Finished | None = None
    of_token: bool = False
    """Whether it ended because TikTok refused the token."""


def of_finished(finished: Finished, rows: Mapping[str, int]) -> End:
    """Return the end of a run that came to an end by itself."""
    level, sentence = notify.outcome(finished)
    return End(
        finished.state,
        level,
        sentence,
        rows=rows,
        finished=finished,
        of_token=bool(finished.cause and finished.cause.of_token),
    )


def of_problem(problem: Problem) -> End:
    """Return the end of a run that could not go on."""
    level, sentence = notify.outcome(problem)
    return End(State.ERROR, level, sentence, of_token=isinstance(problem, TokenRefused))


def tally(entry: Entry, rows: Mapping[str, int], finished: Finished | None) -> None:
    """Add to a run what a part of it stored, and put down what it has asked of TikTok so far."""
    for advertiser_id, count in rows.items():
        entry.accounts.setdefault(advertiser_id, OfAccount()).rows += count
    if finished:
        entry.rows, entry.requests = sum(finished.rows.values()), finished.requests
        for advertiser_id, count in finished.requests_of.items():
            entry.accounts.setdefault(advertiser_id, OfAccount()).requests = count


def end(kept: Ledgers, sheet: Sheet, run: str, how: End, log: logs.Log, whom: notify.Whom | None = None) -> None:
    """Note how a run ended, and tell it, unless that was done. ``whom``: as the Sheet says now, if that is known."""
    now = datetime.now(UTC)

    def note(ledger: Ledger) -> tuple[Entry | None, notify.Level, notify.Whom]:
        entry = ledger.find(run)
        ledger.whom = whom or ledger.whom
        if entry is None or not ledgers.end(ledger, entry, how.state, how.sentence, now):
            return None, "done", notify.Whom()
        entry.remedy = "connect" if how.of_token else ""
        tally(entry, how.rows, how.finished)
        return entry, _level(ledger, how), ledger.whom or notify.Whom()

    entry, level, told = kept.change(sheet.asked.spreadsheet_id, note)
    if entry is None:
        return
    facts = {"state": str(how.state)}
    if level == "error":
        log.error("%s", how.sentence, facts={**facts, "owox_event": how.what})
    elif level == "recovered":
        log.info("%s", how.sentence, facts={**facts, "owox_event": "run_recovered"})
    else:
        log.info("%s", how.sentence, facts={**facts, "owox_event": "run_done"})
    sentence = f"Imports work again. {how.sentence}" if level == "recovered" else how.sentence
    tell(told, level, sentence, sheet.environment, log)
    try:
        kept.file(sheet.asked.spreadsheet_id, entry)
    except Problem as problem:
        log.error("the run is not in the audit log: %s", problem.sentence)


def _level(ledger: Ledger, how: End) -> notify.Level:
    """Return the level of the message, in the light of the one before."""
    asked = ledger.whom is not None and ledger.whom.notify_when != "never"
    if how.level == "error":
        ledger.told = asked
        return "error"
    if how.state is State.DONE and ledger.told:
        ledger.told = False
        return "recovered"
    return how.level


def tell(whom: notify.Whom, level: notify.Level, sentence: str, environment: Mapping[str, str], log: logs.Log) -> None:
    """Send one message, if it is wanted; what keeps it from being sent is in the log."""
    if notify.wanted(whom.notify_when, level):
        for warning in notify.send(whom, level, sentence, environment):
            log.warning("%s", warning)


def show(sheet: Sheet, status: str, log: logs.Log, within_s: float = AT_ONCE_S) -> None:
    """Write a status into the Sheet, if it can be reached soon; a Google that is silent holds nobody up."""
    late = threading.Event()

    def write() -> None:
        try:
            with sheet.open() as control, control.book.within(within_s):
                report.show(control.book, status, wanted=lambda: not late.is_set())
        except Problem as problem:
            log.info("the status is not in the Sheet: %s", problem.sentence)
        except Exception:
            log.exception("a bug kept the status from the Sheet")

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(within_s)
    late.set()


def headline(state: State, sentence: str) -> str:
    """Return a sentence with the word that a state's status begins with."""
    word = ABOUT[state].headline
    return sentence if sentence.startswith(word) else f"{word}: {sentence}"
