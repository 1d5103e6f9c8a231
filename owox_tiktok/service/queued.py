"""Imports that wait in a queue: started, run part by part, put back, given up. The ledger knows each of these steps.

A start notes in the ledger who asks for what, and makes a task. Who asks for what waits already joins it. The worker
runs a part, and makes the task of the next one before it answers. A task's name follows from the run and its part, so
that a part which is delivered twice has one successor; a task of a part that is complete does nothing.

A task whose Sheet another run holds, or a dead part of its own, or that finds no seat (see ``seats``), makes another
task that comes later and ends well: only an attempt that failed by itself counts as one, and only so many are made.

People come before schedules: these and backfills have a queue of their own. A part ends after some minutes when others
wait for a seat. What the parts of a run have read is kept in the central store; no list travels in a task.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from owox_tiktok import app
from owox_tiktok.central.turns import PERSON
from owox_tiktok.errors import BadInput, Problem, StoreBusy
from owox_tiktok.events import Event, Finished, Stored
from owox_tiktok.notify import Whom, whom
from owox_tiktok.plan import Done
from owox_tiktok.service import endings, ledger, logs, messages
from owox_tiktok.service.asked import Asked
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.endings import End
from owox_tiktok.service.identity import Caller
from owox_tiktok.service.ledger import Asker, Entry, Ledger, Ledgers, Phase, Read
from owox_tiktok.service.messages import Answer, come_again
from owox_tiktok.service.runs import COME_AGAIN_S, Progress, Runs, moment_of, new_run_id, outcome_of, say, what_of
from owox_tiktok.service.seats import Kind, Seats, come_again_s
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.service.tasks import Queue, name_for
from owox_tiktok.sheets import lease, report
from owox_tiktok.sheets.control import Control
from owox_tiktok.sheets.record import Record
from owox_tiktok.sheets.tabs import TAB
from owox_tiktok.states import ABOUT, Reason, State

MOST_FAILURES = 8
"""So many attempts of a part may fail; the queue itself would make ten."""
MOST_DEATHS = 5
"""So many times a part may be ended without a word (by the platform, for its memory)."""
MOST_JOINED = 20
SOON_S = 5.0
NOT_THERE = "The queue does not answer; the import begins once it does."
"""The note of a run that could not be put into the queue."""
LOOKS = 20
"""So many times in the time of a short part it is looked whether others wait."""
SPARE_S = 120.0
"""A part may take so much longer than its time before its seat is another's."""
NO_SEAT = "Other imports with the same TikTok token come first."


@dataclass
class _Seat:
    """Whether the seat that was taken is this delivery's, and not that of another one of the same part."""

    ours: bool = True


class Queued:
    """The imports of a deployment with a queue."""

    def __init__(self, deployment: Deployment, runs: Runs, queue: Queue, kept: Ledgers, seats: Seats) -> None:
        self._deployment, self._runs, self._queue = deployment, runs, queue
        self.kept, self._seats = kept, seats

    # --- a start ------------------------------------------------------------------------------------------------------

    def start(self, sheet: Sheet, caller: Caller, log: logs.Log) -> Answer:
        """Put a run into the queue, or join one that waits and reads the same; 409 while another one is under way.

        What a schedule asks for waits for the run that is under way instead, or joins it where that reads the same.
        """
        asked, now = sheet.asked, datetime.now(UTC)
        app.backfill_range(*asked.days, self._runs.now())  # impossible days are reported now, and not by a task
        scheduled = caller.email == self._deployment.account
        asks, asker = asks_of(asked), Asker(caller.email, now, caller.audience)

        def note(known: Ledger) -> tuple[str, Entry, str]:
            found, under_way = known.waiting(asks), known.busy(now)
            known.scheduled = known.scheduled or scheduled
            if found is None and under_way and scheduled and under_way.same(asks):
                found = under_way
            if found:
                promoted = not scheduled and self.kind(found) is Kind.SCHEDULE and found.phase is Phase.QUEUED
                found.joined = [*found.joined, asker][-MOST_JOINED:]
                return "promoted" if promoted else "joined", found, known.zone
            if under_way and not scheduled:
                return "busy", under_way, known.zone
            run_id = new_run_id(asked, [e.run for e in known.runs])
            return "started", ledger.ask(known, run_id, asks, asker), known.zone

        state, entry, zone = self.kept.change(asked.spreadsheet_id, note)
        log = log.about(run_id=entry.run)
        since = clock_time(entry.asked.at, zone)
        if state == "busy":
            raise messages.busy(entry.run, say(entry.started or entry.asked.at))
        if state == "promoted" or (state == "joined" and entry.note != NOT_THERE):
            log.info("the same was asked for already")
            if state == "promoted":
                # It may wait behind other schedules, and is a person's from now on. Whichever task comes first runs it.
                self._queue.put({**asks, "run_id": entry.run}, name_for(entry.run, 0, "person"))
            message = f"The same import was asked for already, at {since}. This is that one."
            return Answer(202, {"run_id": entry.run, "state": "joined", "message": message})
        status = f"Waiting in the queue since {since}"
        if not scheduled:
            endings.show(sheet, status, log)
        try:
            self._put({**asks, "run_id": entry.run}, name_for(entry.run, 0), entry)
        except Problem as problem:
            log.error("the import is not in the queue: %s", problem.sentence, facts={"owox_event": "run_not_queued"})
            # A schedule asks again soon, and the watchdog after that; a person is told.
            self.kept.change(asked.spreadsheet_id, lambda known: _not_there(known, entry.run, keep=scheduled))
            if not scheduled:
                endings.show(sheet, f"Error: the import was not started. {problem.sentence}", log)
            raise
        if entry.note == NOT_THERE:
            self.kept.change(asked.spreadsheet_id, lambda known: _note(known, entry.run, ""))
        log.info("the import is in the queue")
        message = f"{status}. Its progress is in the tab Config."
        return Answer(202, {"run_id": entry.run, "state": state, "message": message})

    def cancel(self, sheet: Sheet, log: logs.Log) -> Answer:
        """Have a run end: at once when it has not begun, else after what it is storing."""
        wanted, now = sheet.asked.run_id, datetime.now(UTC)

        def note(known: Ledger) -> tuple[str, bool, str]:
            entry = known.find(wanted) if wanted else known.current
            if entry is None or entry.phase is Phase.ENDED:
                return "", False, ""
            entry.cancelled = True
            if entry.phase is not Phase.QUEUED or entry.part:
                return entry.run, False, entry.goes_on
            ledger.end(known, entry, State.CANCELLED, "Cancelled before it began.", now)
            return entry.run, True, ""

        run, over, goes_on = self.kept.change(sheet.asked.spreadsheet_id, note)
        if not run:
            raise messages.no_run(wanted) if wanted else messages.nothing_runs()
        log.about(run_id=run).info("the run was cancelled")
        if over:
            endings.show(sheet, "Cancelled before it began", log)
            return Answer(200, {"message": "The import was cancelled before it began."})
        return Answer(200, {"message": f"It ends after what it is storing now. {goes_on}"})

    def put_again(self, entry: Entry) -> bool:
        """Put a run that waits to begin into the queue, unless it is there; return whether it was not."""
        was_not = self._put({**entry.asks, "run_id": entry.run}, name_for(entry.run, 0), entry)
        if entry.note == NOT_THERE:
            book = str(entry.asks["spreadsheet_id"])
            self.kept.change(book, lambda known: _note(known, entry.run, ""))
        return was_not

    def kind(self, entry: Entry) -> Kind:
        """Return who a run is for; one that a person joined is that person's."""
        if entry.action == "backfill":
            return Kind.BACKFILL
        askers = (entry.asked, *entry.joined)
        people = any(one.by not in ("", self._deployment.account) for one in askers)
        return Kind.PERSON if people else Kind.SCHEDULE

    def _put(self, body: Mapping[str, Any], name: str, entry: Entry, delay_s: float = 0.0) -> bool:
        """Make a task of a run, in the queue that is for its kind."""
        background = self.kind(entry) is not Kind.PERSON
        return self._queue.put(_without_nothing(body), name, delay_s=delay_s, background=background)

    # --- a part -------------------------------------------------------------------------------------------------------

    def part(self, sheet: Sheet, log: logs.Log, task: str) -> Answer:
        """Run one part of a run, for a task. Only what may succeed later is answered so that the task comes again."""
        asked = sheet.asked
        log = log.about(run_id=asked.run_id, task=task)
        entry = self.kept.change(asked.spreadsheet_id, lambda known: _known(known, asked))
        if entry.phase is Phase.ENDED:
            log.info("the run had ended before this delivery")
            state = entry.state or State.DONE
            return _answer(asked, state, "It had already ended.")
        if asked.part < entry.part:
            log.info("this part is complete already")
            return _answer(asked, State.RUNNING, "This part is complete already.")
        if entry.deaths >= MOST_DEATHS:
            sentence = f"it was ended {entry.deaths} times without a word. Was its memory enough? The log may tell"
            self._give_up(sheet, sentence, log)
            return _answer(asked, State.ERROR, sentence)
        kind, alias = self.kind(entry), sheet.entry.secret
        if kind is Kind.PERSON:
            sheet = replace(sheet, environment={**sheet.environment, app.PACE_WEIGHT: f"{PERSON:g}"})
        if not self._seats.take(alias, asked.run_id, kind, self._deployment.budget_s + SPARE_S):
            log.info("no seat is free")
            return self._put_back(sheet, come_again_s(kind), NO_SEAT, NO_SEAT)
        seat = _Seat()
        try:
            return self._seated(sheet, entry, seat, log)
        finally:
            if seat.ours:
                with suppress(Problem):  # it is free again when the part would have been over
                    self._seats.leave(alias, asked.run_id)

    def _seated(self, sheet: Sheet, entry: Entry, seat: _Seat, log: logs.Log) -> Answer:
        asked, rows = sheet.asked, Counter[str]()
        told: list[Whom] = []
        done: Done = asked.done or self.kept.read_so_far(asked.spreadsheet_id, asked.run_id).done
        with sheet.open() as control:
            try:
                if not entry.started and (over := ended_in(control, asked.run_id)):
                    self.kept.change(asked.spreadsheet_id, lambda known: _over(known, asked.run_id, over))
                    return _answer(asked, over, "It had already ended.")
                finished, progress = self._runs.run(
                    sheet,
                    control,
                    asked.run_id,
                    log,
                    also=lambda event: _count(event, rows),
                    mirror=self._mirror(sheet, control, told, log),
                    on_settings=lambda settings: told.append(whom(settings)),
                    done=done,
                    others_wait=self._others_wait(sheet.entry.secret, self.kind(entry)),
                )
            except StoreBusy as busy:
                return self._busy(sheet, control, busy, seat, log)
            except Problem as problem:
                if messages.of_problem(problem, "").status >= 500:
                    return self._failed(sheet, problem, told, log)
                # Trying again would not help; the Sheet says what to fix.
                if isinstance(problem, BadInput):
                    told += self._whom(control)
                endings.end(self.kept, sheet, asked.run_id, endings.of_problem(problem), log, _last(told))
                return _answer(asked, State.ERROR, problem.sentence)
            except Exception as bug:
                log.exception("a bug ended the part")
                return self._failed(sheet, Problem(f"an unexpected {type(bug).__name__}"), told, log)
        if finished.stopped is Reason.TO_BE_CONTINUED:
            if not progress.moved:
                # The same task again, and no new one: its tries are counted, and the waits between them grow.
                return self._failed(
                    sheet, come_again("nothing could be stored in the time of this part", COME_AGAIN_S), told, log
                )
            self._carry_on(sheet, entry, finished, progress, rows, log)
        else:
            endings.end(self.kept, sheet, asked.run_id, endings.of_finished(finished, rows), log, _last(told))
        return Answer(200, {"run_id": asked.run_id, **outcome_of(finished)})

    def _mirror(self, sheet: Sheet, control: Control, told: list[Whom], log: logs.Log) -> Callable[[Record], bool]:
        """Return what keeps the record of the run in the ledger, from when it holds the Sheet."""
        run, begun = sheet.asked.run_id, False

        def note(known: Ledger, record: Record, zone: str) -> bool:
            now = datetime.now(UTC)
            entry = ledger.ask(known, run, asks_of(sheet.asked), Asker("", now))
            if not begun:
                ledger.begin(known, entry, now)
            if entry.phase is not Phase.ENDED or entry.state is not State.CANCELLED:
                entry.phase, entry.ended, entry.state = Phase.RUNNING, None, None
            entry.alive, known.record, known.zone = now, record, zone
            known.whom = _last(told) or known.whom
            return entry.cancelled

        def mirror(record: Record) -> bool:
            nonlocal begun
            try:
                zone = control.book.structure((TAB,), recent=True).zone
                cancelled = self.kept.change(sheet.asked.spreadsheet_id, lambda known: note(known, record, zone))
            except Problem as problem:
                log.warning("the record of the run was not kept: %s", problem.sentence)
                return False
            begun = True
            return cancelled

        return mirror

    def _carry_on(
        self, sheet: Sheet, entry: Entry, finished: Finished, progress: Progress, rows: Mapping[str, int], log: logs.Log
    ) -> None:
        asked = sheet.asked
        part = asked.part + 1
        self.kept.keep_read(asked.spreadsheet_id, asked.run_id, Read(part, progress.done()))
        body = {**asks_of(asked), "run_id": asked.run_id, "part": part}
        self._put(body, name_for(asked.run_id, part), entry)

        def note(known: Ledger) -> None:
            if (known_entry := known.find(asked.run_id)) and known_entry.part < part:
                endings.tally(known_entry, rows, finished)
                ledger.carry_on(known_entry, part, datetime.now(UTC))

        self.kept.change(asked.spreadsheet_id, note)
        log.info("the run continues in another task")

    def _others_wait(self, alias: str, kind: Kind) -> Callable[[], bool]:
        """Return what says, some minutes after now, whether others wait for a seat of this token."""
        short_s = self._deployment.short_part_s
        began, looked, said = time.monotonic(), -math.inf, False

        def ask() -> bool:
            nonlocal looked, said
            now = time.monotonic()
            if now - began >= short_s and now - looked > short_s / LOOKS:
                looked = now
                with suppress(Problem):
                    said = self._seats.wanted(alias, kind)
            return said

        return ask

    def _busy(self, sheet: Sheet, control: Control, busy: StoreBusy, seat: _Seat, log: logs.Log) -> Answer:
        """Answer a task whose spreadsheet another run holds, or an earlier delivery of this one, alive or dead."""
        asked = sheet.asked
        holds = lease.holder(control.book)
        if holds is None:  # nobody any more
            delay_s, note = SOON_S, ""
        elif holds.run == asked.run_id:
            seat.ours = False  # it may be alive, and then sits there
            left_s = (holds.until - control.book.now()).total_seconds()
            delay_s, note = max(SOON_S, left_s + SOON_S), ""
        else:
            if asked.action == "import" and moment_of(holds.run) and what_of(holds.run) == what_of(asked.run_id):
                log.info("another import that reads the same is running")
                sentence = "Another import that reads the same was running, so this one was left out."
                end = End(State.CANCELLED, "done", sentence)
                endings.end(self.kept, sheet, asked.run_id, end, log)
                return _answer(asked, "busy", busy.sentence)
            delay_s, note = COME_AGAIN_S, "Another import of this Sheet is running; this one comes after it."
        log.info("the Sheet is held by %s; this task comes later", holds.run if holds else "nobody any more")
        return self._put_back(sheet, delay_s, note, busy.sentence)

    def _put_back(self, sheet: Sheet, delay_s: float, note: str, sentence: str) -> Answer:
        """Have another task take this one's place: the wait may last for hours, and a task has few attempts."""
        asked, now = sheet.asked, datetime.now(UTC)

        def put_back(known: Ledger) -> Entry:
            entry = ledger.ask(known, asked.run_id, asks_of(asked), Asker("", now))
            ledger.wait(entry, note, now)
            return entry

        entry = self.kept.change(asked.spreadsheet_id, put_back)
        if asked.done:  # a task that an earlier version made
            self.kept.keep_read(asked.spreadsheet_id, asked.run_id, Read(asked.part, dict(asked.done)))
        body = {**asks_of(asked), "run_id": asked.run_id, "part": asked.part}
        self._put(body, name_for(asked.run_id, asked.part, entry.waits), entry, delay_s)
        return _answer(asked, "waiting", sentence)

    def _failed(self, sheet: Sheet, problem: Problem, told: list[Whom], log: logs.Log) -> Answer:
        """Let the task come again, unless it has failed too often."""
        asked = sheet.asked

        def note(known: Ledger) -> int:
            entry = ledger.ask(known, asked.run_id, asks_of(asked), Asker("", datetime.now(UTC)))
            ledger.fail(entry, f"It failed and is tried again. {problem.sentence}", datetime.now(UTC))
            return entry.failures

        failures = self.kept.change(asked.spreadsheet_id, note)
        if failures < MOST_FAILURES:
            log.warning("attempt %s of %s failed: %s", failures, MOST_FAILURES, problem.sentence)
            raise problem if messages.of_problem(problem, "").status >= 500 else come_again(problem.message, 10)
        self._give_up(sheet, f"given up after {failures} attempts. {problem.sentence}", log, _last(told))
        return _answer(asked, State.ERROR, problem.sentence)

    def _give_up(self, sheet: Sheet, sentence: str, log: logs.Log, told: Whom | None = None) -> None:
        status = endings.headline(State.ERROR, sentence)
        endings.show(sheet, status, log, within_s=30.0)
        end = End(State.ERROR, "error", status, "run_given_up")
        endings.end(self.kept, sheet, sheet.asked.run_id, end, log, told)

    def _whom(self, control: Control) -> list[Whom]:
        """Return whom a Sheet with mistakes in it wants to be told, if that much can be read."""
        with suppress(Problem):
            return [whom(control.read_for_messages(self._runs.now()))]
        return []


def asks_of(asked: Asked) -> dict[str, Any]:
    """Return what a run reads, as its first task says it."""
    said = {
        "action": asked.action,
        "spreadsheet_id": asked.spreadsheet_id,
        "start_date": asked.start_date and asked.start_date.isoformat(),
        "end_date": asked.end_date and asked.end_date.isoformat(),
        "objects": asked.objects,
    }
    return _without_nothing(said)


def clock_time(moment: datetime, zone: str) -> str:
    """Return the time of a moment on a Sheet's clock: ``13:30``; with the day where it is not today."""
    here = ZoneInfo("UTC")
    with suppress(Exception):  # a zone that this machine does not know
        here = ZoneInfo(zone)
    then, now = moment.astimezone(here), datetime.now(here)
    return f"{then:%H:%M}" if then.date() == now.date() else f"{then:%d %b, %H:%M}"


def ended_in(control: Control, run_id: str) -> State | None:
    """Return how a run ended by the Sheet's own record, if it did for good; an error may be gone next time."""
    found = report.record(control.book)
    runs = [found.run, *found.past] if found else []
    state = next((r.state for r in runs if r.run == run_id), None)
    return state if state and ABOUT[state].final else None


def _known(known: Ledger, asked: Asked) -> Entry:
    return ledger.ask(known, asked.run_id, asks_of(asked), Asker("", datetime.now(UTC)))


def _over(known: Ledger, run: str, state: State) -> None:
    if entry := known.find(run):
        ledger.end(known, entry, state, "", datetime.now(UTC))


def _not_there(known: Ledger, run: str, *, keep: bool) -> None:
    """Note that a run could not be put into the queue; only one of a schedule's is kept."""
    if keep:
        _note(known, run, NOT_THERE)
    else:
        known.runs = [e for e in known.runs if e.run != run]


def _note(known: Ledger, run: str, note: str) -> None:
    if (entry := known.find(run)) and entry.phase is Phase.QUEUED:
        entry.note = note


def _count(event: Event, rows: Counter[str]) -> None:
    if isinstance(event, Stored):
        rows[event.advertiser_id] += event.rows


def _last(told: list[Whom]) -> Whom | None:
    return told[-1] if told else None


def _without_nothing(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value}


def _answer(asked: Asked, state: str, message: str) -> Answer:
    return Answer(200, {"run_id": asked.run_id, "state": state, "message": message})
