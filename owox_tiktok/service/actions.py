"""What each action does: it opens the spreadsheet, calls ``app`` and puts what came of it into the contract's words."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from owox_tiktok import app, notify
from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreFailed
from owox_tiktok.events import Failed, counted, duration, rows_of
from owox_tiktok.secret import Secret
from owox_tiktok.service import choosing, logs
from owox_tiktok.service.asked import Asked
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.messages import Answer, Refusal
from owox_tiktok.service.registry import RATE, Entry, Registry
from owox_tiktok.service.runs import Runs, moment_of, say
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.service.stopping import Stopping
from owox_tiktok.sheets import lease, report, setup
from owox_tiktok.sheets.control import Control
from owox_tiktok.sheets.errors import SheetRefused
from owox_tiktok.sheets.lease import Holder, Lease
from owox_tiktok.sheets.pace import PER_MINUTE_VARIABLE
from owox_tiktok.sheets.record import Run
from owox_tiktok.sheets.report import record
from owox_tiktok.states import ABOUT, Reason, State
from owox_tiktok.streams import STREAMS

MOST_MESSAGES = 20
MOST_RUNS = 10
WAITS_AT_MOST = timedelta(hours=1)
"""So long a run that was started may wait in the queue before it is called unknown."""
QUICK_S = 5.0
"""Somebody looks at a menu: no longer than this is Google asked again about a state."""

_PASSED_ON = ("TIKTOK_API_URL", "SHEETS_API_URL", PER_MINUTE_VARIABLE, "BIGQUERY_API_URL", "K_SERVICE", RATE)
"""Variables of the deployment that say where things are and how fast; nothing in a Sheet can."""

_OPTIONS = {"--from": "start_date", "--to": "end_date", "--object": "objects"}
"""What ``app`` calls by the command line's names, and the body's names for it."""


class Actions:
    """Everything that can be asked of one deployment."""

    def __init__(
        self,
        deployment: Deployment,
        environment: Mapping[str, str],
        registry: Registry,
        stopping: Stopping,
        now: Callable[[], datetime],
    ) -> None:
        self._environment, self._registry, self._now = environment, registry, now
        self._runs, self._role = Runs(deployment, stopping, now), deployment.role

    def answer(self, asked: Asked, entry: Entry, log: logs.Log, task: str) -> Answer:
        """Do what is asked. ``task`` is the name of the task that asks, if one does."""
        sheet = self._sheet(asked, entry)
        try:
            match asked.action:
                case "import" | "backfill" if asked.run_id:
                    return self._runs.part(sheet, log, task)
                case "import" | "backfill":
                    return self._start(sheet, log)
                case "plan":
                    return self._plan(sheet)
                case "check":
                    return self._check(sheet)
                case "prune":
                    return self._prune(sheet)
                case "fields":
                    return _fields(sheet)
                case "choices":
                    return choosing.choices(sheet)
                case "measure":
                    return choosing.measure(sheet, self._now())
                case "choose":
                    return choosing.choose(sheet)
                case "fill":
                    return choosing.fill(sheet, self._now())
                case "accounts":
                    return choosing.accounts(sheet, self._now())
                case "status":
                    return _status(sheet, queued=self._runs.queued)
                case "cancel":
                    return _cancel(sheet, queued=self._runs.queued)
        except BadInput as problem:
            raise in_our_words(problem) from None
        except StoreBusy:
            with sheet.open() as control:
                raise _busy(_holder(control)) from None

    def _sheet(self, asked: Asked, entry: Entry) -> Sheet:
        """Return the spreadsheet that is asked about; TikTok's secrets come along where the action needs them."""
        names = [*_PASSED_ON]
        found: dict[str, Secret] = {}
        if asked.action not in ("fields", "choices", "choose", "status", "cancel"):
            found = self._registry.secrets(entry)
            names += notify.VARIABLES
        environment = {name: self._environment[name] for name in names if self._environment.get(name)}
        private = [name for name in environment if name.endswith(("_WEBHOOK_URL", "_PASSWORD"))]
        logs.hide([*found.values(), *(Secret(environment[name]) for name in private)])
        environment |= {name: secret.reveal() for name, secret in found.items()}
        if entry.requests_per_second:
            environment[RATE] = str(entry.requests_per_second)
        return Sheet(asked, entry, environment)

    def _start(self, sheet: Sheet, log: logs.Log) -> Answer:
        """Start an import, unless one is running. The lease decides in the end; this look spares a click the wait.

        Nobody clicks at the worker: what a schedule starts waits in the queue for its turn.
        """
        if self._role == "worker" and self._runs.queued:
            return self._runs.start(sheet, log)
        ended: list[str] = []
        try:
            with sheet.open() as control:
                control.book.until = time.monotonic() + QUICK_S
                holds = _holder(control)
                if known := record(control.book):
                    ended = [run.run for run in (known.run, *known.past) if run.ended]
        except SheetRefused:
            raise
        except StoreFailed as error:
            log.warning("%s", error.sentence)
            holds = None
        if holds:
            raise _busy(holds)
        return self._runs.start(sheet, log, ended)

    # --- what is done at once -----------------------------------------------------------------------------------------

    def _plan(self, sheet: Sheet) -> Answer:

        now = self._now()
        settings = sheet.settings(now)
        backfill = app.backfill_range(*sheet.asked.days, now)
        planned = app.plan(settings, now=now, backfill=backfill, environment=sheet.environment)
        objects = []
        for name in dict.fromkeys(p.object for p in planned if p.object and not p.problem):
            pairs = [p for p in planned if p.object == name and not p.problem]
            rows = [p.rows for p in pairs if p.rows is not None]
            objects.append(
                {
                    "object": name,
                    "title": STREAMS[name].title,
                    "advertisers": len(pairs),
                    "first": min((p.first for p in pairs if p.first), default=None),
                    "last": max((p.last for p in pairs if p.last), default=None),
                    "windows": sum(p.windows for p in pairs),
                    "requests": sum(p.requests for p in pairs),
                    "rows": sum(rows) if rows else None,
                }
            )
        requests, rows_in_all = sum(p.requests for p in planned), sum(p.rows or 0 for p in planned)
        seconds = math.ceil(requests / settings.requests_per_second)
        problems = [_of_pair(p.object, p.advertiser.id, p.problem) for p in planned if p.problem]
        asked = f"{rows_of(rows_in_all)} with {counted(requests, 'request')}"
        message = f"About {asked}, in {duration(max(seconds, 10))} or more."
        if problems:
            message += f" {len(problems)} of {len(planned)} cannot be read."
        return Answer(
            200,
            {
                "objects": objects,
                "requests": requests,
                "rows": rows_in_all,
                "seconds": seconds,
                "problems": problems,
                "message": message,
            },
        )

    def _check(self, sheet: Sheet) -> Answer:

        now = self._now()
        checked = app.check(
            sheet.settings(now), now=now, environment=sheet.environment, sheet=sheet.asked.spreadsheet_id
        )
        bad = sum(not c.ok for c in checked)
        message = f"{bad} of {counted(len(checked), 'check')} failed." if bad else f"All {len(checked)} checks passed."
        checks = [{"what": c.what, "ok": c.ok, "detail": c.detail} for c in checked]
        return Answer(200, {"ok": not bad, "checks": checks, "message": message})

    def _prune(self, sheet: Sheet) -> Answer:

        now, dry_run = self._now(), sheet.asked.dry_run
        failed: list[Failed] = []
        rows = app.prune_(
            sheet.settings(now),
            now=now,
            dry_run=dry_run,
            listen=lambda event: failed.append(event) if isinstance(event, Failed) else None,
            environment=sheet.environment,
        )
        total = sum(rows.values())
        would = "would be" if dry_run else "was" if total == 1 else "were"
        message = f"{rows_of(total)} {would} deleted."
        message += "".join(f" {_of_pair(f.object, f.advertiser_id, f.message)}" for f in failed)
        titles = {name: STREAMS[name].title for name in rows}
        return Answer(200, {"dry_run": dry_run, "rows": rows, "titles": titles, "message": message})


# --- the tab Fields ---------------------------------------------------------------------------------------------------


def _fields(sheet: Sheet) -> Answer:

    with sheet.open() as control, Lease(control.book, environment=sheet.environment):
        before = setup.listed(control.book)
        done = setup.fields(control.book)
        added = setup.listed(control.book) - before if done else 0
    return Answer(200, {"added": added, "message": setup.sentence(done)})


# --- the state of runs ------------------------------------------------------------------------------------------------


def _status(sheet: Sheet, *, queued: bool) -> Answer:

    wanted = sheet.asked.run_id
    with sheet.open() as control:
        control.book.until = time.monotonic() + QUICK_S
        record, lines = report.overview(control.book, MOST_MESSAGES)
    runs = [record.run, *record.past] if record else []
    if queued and runs and _between_parts(runs[0]):
        runs[0].state, runs[0].ended = State.RUNNING, None
    found = next((r for r in runs if r.run == wanted), None) if wanted else runs[0] if runs else None
    waiting = _waiting(wanted) if wanted and not found else ""
    if wanted and not found and not waiting:
        raise _no_run(wanted)
    objects = found.objects if found else {}
    return Answer(
        200,
        {
            **_state(found.state if found else State.RUNNING if waiting else None),
            "run_id": found.run if found else wanted,
            "started": say(found.started) if found else None,
            "ended": say(found.ended) if found else None,
            "percent": _percent(found) if found else 0,
            "message": found.message if found else waiting or "No import has run yet.",
            "objects": [
                {
                    "object": name,
                    "title": STREAMS[name].title if name in STREAMS else name,
                    "percent": 100 * p.done // p.work if p.work else 100,
                    "rows": p.rows,
                }
                for name, p in objects.items()
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
        },
    )


def _state(state: State | None) -> dict[str, str]:
    """Return a state as the sidebar shows it; None: nothing has run."""
    if state is None:
        return {"state": "idle", "label": "Nothing is running", "tone": "idle", "what_to_do": ""}
    about = ABOUT[state]
    return {"state": state, "label": about.label, "tone": about.tone, "what_to_do": about.what_to_do}


def _between_parts(run: Run) -> bool:
    """Whether the next part of a run is in the queue."""
    if run.state is not State.STOPPED or run.so_far is None or run.ended is None:
        return False
    return run.so_far.stopped is Reason.TO_BE_CONTINUED and datetime.now(UTC) - run.ended <= WAITS_AT_MOST


def _percent(run: Run) -> int:
    return 100 if run.state is State.DONE else run.percent


def _waiting(run_id: str) -> str:
    """Return what to say of a run that was started a while ago and has not begun; nothing for one that never was."""
    started = moment_of(run_id)
    if started is None or not timedelta(minutes=-1) <= datetime.now(UTC) - started <= WAITS_AT_MOST:
        return ""
    return "The import is waiting for its turn."


def _cancel(sheet: Sheet, *, queued: bool) -> Answer:

    wanted = sheet.asked.run_id
    with sheet.open() as control:
        holds = _holder(control)
        run = holds.run if holds else ""
        if queued and (not run or wanted not in ("", run)):
            run = _in_queue(control, wanted)
        if wanted and run != wanted:
            raise _no_run(wanted)
        if not run:
            raise Refusal(404, "no import is running", what_to_do="There is nothing to cancel.")
        report.cancel(control.book, run)
    return Answer(200, {"message": "The import ends after what it is storing now. The next one continues there."})


def _in_queue(control: Control, wanted: str) -> str:
    """Return the run (``wanted``, where one is named) that waits in the queue for its next part, or to begin."""
    record = report.record(control.book)
    runs = [record.run, *record.past] if record else []
    found = next((r for r in runs if r.run == wanted), None) if wanted else runs[0] if runs else None
    if found is None:
        return wanted if _waiting(wanted) else ""
    return found.run if _between_parts(found) else ""


def _holder(control: Control) -> Holder | None:

    return lease.holder(control.book)


def _busy(holds: Holder | None) -> Refusal:
    return Refusal(
        409,
        "an import is running already",
        what_to_do="Wait for it, or cancel it.",
        run_id=holds.run if holds else "",
        started=say(holds.since) if holds else None,
    )


def _no_run(run_id: str) -> Refusal:
    return Refusal(
        404, f"there is no run {run_id} in progress or on record", what_to_do="Omit run_id to get the latest."
    )


def _of_pair(name: str, advertiser_id: str, message: str) -> str:
    return f"{' of '.join(part for part in (name, advertiser_id) if part)}: {message}"


def in_our_words(problem: BadInput) -> BadInput:
    """Return mistakes that call options of the command line by the names they have in a body."""
    mistakes = []
    for m in problem.mistakes:
        what, advice = m.what, m.what_to_do
        for theirs, ours in _OPTIONS.items():
            what, advice = what.replace(theirs, ours), advice.replace(theirs, ours)
        mistakes.append(Mistake(_OPTIONS.get(m.where.partition(" ")[0], m.where), what, advice))
    return BadInput(mistakes)
