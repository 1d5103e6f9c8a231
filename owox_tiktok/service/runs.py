"""Imports within the time of one request: run until shortly before the deadline, and what of them is done then.

Without a queue a run has the time of its request, and the next one continues where it ended. With one, ``queued`` has a
run go on in another request.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from typing import Any

from owox_tiktok import app, notify
from owox_tiktok.errors import Problem, StoreBusy
from owox_tiktok.events import Event, Failed, Finished, Listener, Started, Stored, Waiting, Warned
from owox_tiktok.plan import EVERY_ADVERTISER, NO_DAYS, NOT_DONE, Done
from owox_tiktok.service import logs
from owox_tiktok.service.asked import Asked
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.messages import Answer
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.service.stopping import Stopping
from owox_tiktok.service.tasks import name_for
from owox_tiktok.settings import Settings
from owox_tiktok.sheets import report
from owox_tiktok.sheets.control import Control
from owox_tiktok.states import Reason

DOUBLE_CLICK_S = 10
"""The same thing asked for again so soon is the same run."""
COME_AGAIN_S = 60
MOST_PAIRS = 100_000
"""So many pairs of finished work are remembered between two parts, some megabytes; of more, some are read again."""


class Runs:
    """The imports of one deployment, which end early when the platform is ``stopping`` the process.

    ``now`` is the clock that decides which days there are.
    """

    def __init__(self, deployment: Deployment, stopping: Stopping, now: Callable[[], datetime]) -> None:
        self._deployment, self.now = deployment, now
        self._stopping = stopping

    def start(self, sheet: Sheet, log: logs.Log, ended: Collection[str] = ()) -> Answer:
        """Run at once and as far as the time of a request goes. ``ended`` are the names of runs that are over."""
        app.backfill_range(*sheet.asked.days, self.now())
        run_id = new_run_id(sheet.asked, ended)
        log = log.about(run_id=run_id)
        try:
            with sheet.open() as control:
                finished, _ = self.run(sheet, control, run_id, log)
        except StoreBusy:
            raise
        except Problem as problem:
            log.error("%s", problem.sentence, facts={"owox_event": "run_failed"})
            raise
        if notify.outcome(finished)[0] == "error":
            log.error("%s", finished.summary, facts={"owox_event": "run_failed", "state": str(finished.state)})
        return _inline(sheet.asked, run_id, finished)

    def run(
        self,
        sheet: Sheet,
        control: Control,
        run_id: str,
        log: logs.Log,
        *,
        also: Listener = lambda event: None,
        mirror: report.Mirror | None = None,
        on_settings: Callable[[Settings], object] = lambda settings: None,
        done: Done | None = None,
        others_wait: Callable[[], bool] = lambda: False,
    ) -> tuple[Finished, Progress]:
        """Import; return what came of it, and how far it is. With a ``mirror`` it sends no message by itself.

        ``done`` is what earlier parts have read. Once something is stored the part ends early when ``others_wait``.
        """
        self._stopping.arm()
        asked, now = sheet.asked, self.now()
        done = done or asked.done
        progress = Progress(done)

        def listen(event: Event) -> None:
            progress(event)
            also(event)
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
                makes_room=lambda: progress.moved and others_wait(),
                done=done,
                tells=mirror is None,
            ),
            environment=sheet.environment,
            mirror=mirror,
            on_settings=on_settings,
        )
        return finished, progress


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
        very many pairs.
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


def what_of(run_id: str) -> str:
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


def outcome_of(finished: Finished) -> dict[str, Any]:
    """Return what an answer says of a run, or a part of one, that has ended."""
    return {
        "state": finished.state,
        "rows": dict(finished.rows),
        "failed": finished.failed,
        "message": finished.summary,
    }


def _inline(asked: Asked, run_id: str, finished: Finished) -> Answer:
    outcome = outcome_of(finished)
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
