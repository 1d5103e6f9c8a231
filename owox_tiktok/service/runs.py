"""Imports: started, run until shortly before the deadline, continued until done.

With a queue a start only makes a task. The worker runs it, ends cleanly when its time is nearly over or the platform
ends the instance, and makes the next task of the same run before it answers. A task's name follows from the run and
the task before, so that a part which is delivered twice still has one successor. Without a queue a run has the time of
its request, and the next one continues where it ended.

Cloud Tasks delivers at least once, and people click twice. The lease in the spreadsheet lets one run at a time, what is
stored twice is stored once, and two clicks within a few seconds are the same run. A run that finds another one waits
for it in the queue, unless that one reads the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

from owox_tiktok import app
from owox_tiktok.errors import Problem, StoreBusy
from owox_tiktok.events import Event, Failed, Finished, Started, Stored, Waiting, Warned
from owox_tiktok.plan import EVERY_ADVERTISER, NO_DAYS, NOT_DONE
from owox_tiktok.service import logs, messages
from owox_tiktok.service.asked import Asked
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.messages import Answer, come_again
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.service.stopping import Stopping
from owox_tiktok.service.tasks import Queue, name_for
from owox_tiktok.sheets import lease, report
from owox_tiktok.sheets.control import Control
from owox_tiktok.states import ABOUT, Reason, State

DOUBLE_CLICK_S = 10
"""The same thing asked for again so soon is the same run."""
COME_AGAIN_S = 60
MOST_PAIRS = 1_500
"""So many pairs of finished and unfinished work fit into a task; of more, some are read again."""


class Runs:
    """The imports of one deployment, which end early when the platform is ``stopping`` the process.

    ``now`` is the clock that decides which days there are.
    """

    def __init__(self, deployment: Deployment, stopping: Stopping, now: Callable[[], datetime]) -> None:
        self._deployment, self._now = deployment, now
        self._queue = Queue(deployment) if deployment.queue else None
        self._stopping = stopping

    @property
    def queued(self) -> bool:
        """Whether runs wait in a queue, and go on by it."""
        return self._queue is not None

    def start(self, sheet: Sheet, log: logs.Log, ended: Collection[str] = ()) -> Answer:
        """Start a run: as a task where there is a queue, else at once and as far as the time of a request goes.

        ``ended`` are the names of runs that are over.
        """
        app.backfill_range(*sheet.asked.days, self._now())  # impossible days are reported now, and not by a task
        run_id = new_run_id(sheet.asked, ended)
        log = log.about(run_id=run_id)
        if self._queue is None:
            with sheet.open() as control:
                finished, _ = self._run(sheet, control, run_id, log)
            return _inline(sheet.asked, run_id, finished)
        new = self._queue.put(_body(sheet.asked, run_id, {}), name_for(run_id))
        log.info("the import is in the queue" if new else "the import was in the queue already")
        message = "The import has started. Its progress is in the tab Config."
        return Answer(202, {"run_id": run_id, "state": "started", "message": message})

    def part(self, sheet: Sheet, log: logs.Log, task: str) -> Answer:
        """Run one part of a run, for a task. Only what may succeed later is answered so that the task comes again."""
        asked = sheet.asked
        log = log.about(run_id=asked.run_id, task=task)
        with sheet.open() as control:
            try:
                if over := _ended(control, asked.run_id):
                    log.info("the run had ended before this delivery")
                    return Answer(200, {"run_id": asked.run_id, "state": over, "message": "It had already ended."})
                finished, progress = self._run(sheet, control, asked.run_id, log)
            except StoreBusy as busy:
                return self._busy(control, asked, busy, task, log)
            except Problem as problem:
                if messages.of_problem(problem, "").status >= 500:
                    raise
                # Trying again would not help; the Sheet says what to fix.
                log.warning("%s", problem.sentence)
                return Answer(200, {"run_id": asked.run_id, "state": State.ERROR, "message": problem.sentence})
        if finished.stopped is Reason.TO_BE_CONTINUED and self._queue is not None:
            if not progress.moved:
                # The same task again, and no new one: its tries are counted, and the waits between them grow.
                raise come_again("nothing could be stored in the time of this part", COME_AGAIN_S)
            self._queue.put(_body(asked, asked.run_id, progress.done()), name_for(asked.run_id, task))
            log.info("the run continues in another task")
        return Answer(200, {"run_id": asked.run_id, **_outcome(finished)})

    def _run(self, sheet: Sheet, control: Control, run_id: str, log: logs.Log) -> tuple[Finished, Progress]:
        """Import; return what came of it, and how far it is."""
        self._stopping.arm()
        asked, now = sheet.asked, self._now()
        progress = Progress(asked.done)

        def listen(event: Event) -> None:
            progress(event)
            _log(event, log)

        finished = app.import_sheet(
            control,
            now=now,
            listen=listen,
            selection=app.Selection(asked.objects, days=app.backfill_range(*asked.days, now)),
            part=app.Part(
                run_id,
                until=time.monotonic() + self._deployment.budget_s,
                halted=lambda: Reason.TO_BE_CONTINUED if self._stopping.asked() else None,
                done=asked.done,
            ),
            environment=sheet.environment,
        )
        return finished, progress

    def _busy(self, control: Control, asked: Asked, busy: StoreBusy, task: str, log: logs.Log) -> Answer:
        """Answer a task whose spreadsheet another run holds."""
        holds = lease.holder(control.book)
        if holds is None or holds.run == asked.run_id or self._queue is None:
            # Nobody any more; or this run itself, in another delivery that may yet die.
            raise come_again(busy.message, COME_AGAIN_S) from None
        if asked.action == "import" and moment_of(holds.run) and _what(holds.run) == _what(asked.run_id):
            log.info("another import that reads the same is running")
            return Answer(200, {"run_id": asked.run_id, "state": "busy", "message": busy.sentence})
        # It may last for hours, and a task has few attempts. So another one takes this one's place.
        self._queue.put(_body(asked, asked.run_id, asked.done), name_for(asked.run_id, task), delay_s=COME_AGAIN_S)
        log.info("another run is in progress; this one waits")
        return Answer(200, {"run_id": asked.run_id, "state": "waiting", "message": busy.sentence})


class Progress:
    """Listens to a run and knows what of it is done, so that the next part need not read it again."""

    def __init__(self, before: Mapping[str, Mapping[str, date]]) -> None:
        self._through: dict[str, dict[str, date]] = {name: dict(pairs) for name, pairs in before.items()}
        self._left: dict[str, int] = {}
        self._failed: dict[str, set[str]] = {}
        self.moved = False
        """Whether anything was stored."""

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case Started():
                self._left = dict(event.work)
            case Stored():
                self._through.setdefault(event.object, {})[event.advertiser_id] = event.last or NO_DAYS
                self._left[event.object] -= event.work
                self.moved = True
            case Failed() if event.object:
                self._failed.setdefault(event.object, set()).add(event.advertiser_id)
                if event.object in self._left:
                    self._left[event.object] -= event.work

    def done(self) -> dict[str, dict[str, date]]:
        """Return per object and advertiser the last day that is stored.

        Of an object that is complete there is one entry, after one for each advertiser that failed: a large agency has
        more pairs than a task has room for, and if no part knew what the others have read, there would be no end.
        """
        known = dict(self._through)
        for name, left in self._left.items():
            if left == 0 and (stored := known.get(name)):
                failed = {one: stored.get(one, NOT_DONE) for one in sorted(self._failed.get(name, ()))}
                known[name] = {**failed, EVERY_ADVERTISER: max(stored.values())}
        room = MOST_PAIRS
        for name in sorted(known, key=lambda name: len(known[name])):
            known[name] = dict(list(known[name].items())[:room])
            room -= len(known[name])
        return known


def new_run_id(asked: Asked, ended: Collection[str] = ()) -> str:
    """Return a run's name: when it was asked for and what, the same for what is asked for twice within seconds.

    Who asks again after the first of them has ended means another one: a mistake is fixed quickly.
    """
    began = time.time() // DOUBLE_CLICK_S * DOUBLE_CLICK_S
    what = name_for(asked.spreadsheet_id, asked.action, *asked.days, *asked.objects)[:8]
    while (name := f"run-{datetime.fromtimestamp(began, UTC):%Y%m%dT%H%M%SZ}-{what}") in ended:
        began += DOUBLE_CLICK_S
    return name


def _what(run_id: str) -> str:
    """Return the part of a run's name that says what it reads."""
    return run_id.rpartition("-")[2]


def moment_of(run_id: str) -> datetime | None:
    """Return when a run was asked for, by its name; None for a name that is not one of ours."""
    found = re.fullmatch(r"run-(\d{8}T\d{6})Z-[0-9a-f]{8}", run_id)
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def say(moment: datetime | None) -> str | None:
    """Return a moment as the contract writes it."""
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def _body(asked: Asked, run_id: str, done: Mapping[str, Mapping[str, date]]) -> dict[str, Any]:
    body = {"action": asked.action, "spreadsheet_id": asked.spreadsheet_id, "run_id": run_id}
    more = {"start_date": asked.start_date, "end_date": asked.end_date, "objects": asked.objects, "done": done}
    return body | {name: value for name, value in more.items() if value}


def _ended(control: Control, run_id: str) -> State | None:
    """Return how this run ended, if it did for good; an error may be gone when its task comes again."""
    record = report.record(control.book)
    runs = [record.run, *record.past] if record else []
    state = next((r.state for r in runs if r.run == run_id), None)
    return state if state and ABOUT[state].final else None


def _outcome(finished: Finished) -> dict[str, Any]:
    return {
        "state": finished.state,
        "rows": dict(finished.rows),
        "failed": finished.failed,
        "message": finished.summary,
    }


def _inline(asked: Asked, run_id: str, finished: Finished) -> Answer:
    outcome = _outcome(finished)
    if finished.stopped and asked.action == "backfill":
        outcome["message"] += " A backfill starts from the beginning each time: ask for fewer days or objects at once."
    return Answer(200 if finished.exit_code == 0 else 207, {"run_id": run_id, **outcome})


def _log(event: Event, log: logs.Log) -> None:
    match event:
        case Started():
            log.info("the plan has %s windows", event.windows)
        case Waiting() if event.seconds >= 5:
            log.info("waiting %.0f s: %s", event.seconds, event.reason)
        case Warned():
            log.warning("%s", event.message, facts={"object": event.object, "advertiser": event.advertiser_id})
        case Failed():
            log.error("%s", event.message, facts={"object": event.object, "advertiser": event.advertiser_id})
        case Finished():
            log.info("%s", event.summary)
