"""What each action does: it opens the spreadsheet, calls ``app`` and puts what came of it into the contract's words."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from owox_tiktok import app, notify
from owox_tiktok.central.store import open_store
from owox_tiktok.central.turns import BACKFILL, PERSON, SCHEDULE
from owox_tiktok.errors import BadInput, Halted, Mistake, StoreBusy, StoreFailed
from owox_tiktok.events import Failed, counted, duration, rows_of
from owox_tiktok.secret import Secret
from owox_tiktok.service import choosing, connect, fleet, logs, progress, proving, watch
from owox_tiktok.service.asked import Asked
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.due import OFF, Due, minute_of
from owox_tiktok.service.identity import Caller
from owox_tiktok.service.ledger import Ledgers
from owox_tiktok.service.messages import Answer, Refusal, come_again
from owox_tiktok.service.queued import Queued, clock_time
from owox_tiktok.service.registry import RATE, Entry, Registry
from owox_tiktok.service.runs import Runs, say
from owox_tiktok.service.seats import Seats
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.service.stopping import Stopping
from owox_tiktok.service.tasks import Queue, name_for
from owox_tiktok.settings import Settings
from owox_tiktok.sheets import lease, setup, template
from owox_tiktok.sheets.client import WRITER_VARIABLE
from owox_tiktok.sheets.errors import SheetRefused
from owox_tiktok.sheets.lease import Lease
from owox_tiktok.sheets.pace import PER_MINUTE_VARIABLE
from owox_tiktok.sheets.report import record
from owox_tiktok.sheets.shared_pace import STORE_VARIABLE
from owox_tiktok.sheets.tabs import TAB
from owox_tiktok.states import Reason
from owox_tiktok.streams import STREAMS

ASK_S, ANSWER_S = 11.0, 17.0
"""So long TikTok is asked for a plan or a check; of many accounts a part. Somebody waits: after so long we give up."""
MOST_CHECKS, MOST_PROBLEMS = 60, 20
"""Of more checks those that say the same are one line; of more problems the first are shown."""
QUICK_S = 5.0
"""Somebody looks at a menu: no longer than this is Google asked again about a state."""

T = TypeVar("T")

_PASSED_ON = (
    "TIKTOK_API_URL",
    "CLOUD_STORAGE_API_URL",
    "SHEETS_API_URL",
    PER_MINUTE_VARIABLE,
    "BIGQUERY_API_URL",
    "K_SERVICE",
    RATE,
)
"""Variables of the deployment that say where things are and how fast; nothing in a Sheet can."""

_OPTIONS = {
    "--from": "start_date",
    "--to": "end_date",
    "--object": "objects",
    "--metric": "metric",
    "--advertiser": "advertiser_ids",
}
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
        self._deployment = deployment
        self._store = deployment.store
        self._stale_hours = deployment.stale_hours
        self._runs = Runs(deployment, stopping, now)
        self._queued: Queued | None = None
        if deployment.queue:
            store = open_store(deployment.store, environment)
            self._queue, self._due = Queue(deployment), Due(store)
            self._queued = Queued(deployment, self._runs, self._queue, Ledgers(store), Seats(store))

    def answer(self, asked: Asked, entry: Entry, caller: Caller, log: logs.Log, task: str) -> Answer:
        """Do what is asked. ``task`` is the name of the task that asks, if one does."""
        sheet = self._sheet(asked, entry)
        try:
            match asked.action:
                case "import" | "backfill" if asked.run_id:
                    if self._queued is None:
                        raise BadInput([Mistake("run_id", "is for a deployment with a queue", "Omit it.")])
                    return self._queued.part(sheet, log, task)
                case "import" | "backfill":
                    return self._queued.start(sheet, caller, log) if self._queued else self._start(sheet, log)
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
                case "schedule":
                    return self._schedule(sheet, caller)
                case "verify":
                    return proving.verify(sheet, self._now())
                case "explain":
                    return proving.explain(sheet, self._now())
                case "status":
                    said = progress.status(sheet, self._queued.kept if self._queued else None)
                    return said.and_(share_with=entry.writer)
                case "cancel":
                    return self._queued.cancel(sheet, log) if self._queued else progress.cancel(sheet)
                case "connect":
                    where = connect.address(self._deployment, asked.spreadsheet_id, caller)
                    log.info("somebody begins to connect TikTok")
                    return Answer(200, {"url": where, "message": "The address is good for ten minutes."})
                case "sweep":  # is about no spreadsheet
                    return self.sweep(log)
        except BadInput as problem:
            raise in_our_words(problem) from None
        except StoreBusy:
            with sheet.open() as control:
                raise progress.busy(lease.holder(control.book)) from None

    def sweep(self, log: logs.Log) -> Answer:
        """Start what is due (see ``due``), and look after the runs of all Sheets (see ``watch``)."""
        if self._queued is None:
            raise BadInput([Mistake("action", "is for a deployment with a queue", "Send another one.")])
        books = self._registry.entries()

        def sheet(book: str) -> Sheet:
            return self._sheet(Asked(action="status", spreadsheet_id=book), books[book], notes=True)

        now = datetime.now(UTC)

        def start(book: str, moment: datetime) -> None:
            delay_s = max(0.0, (moment - now).total_seconds())
            body = {"action": "import", "spreadsheet_id": book}
            self._queue.put(body, name_for(book, "due", moment), delay_s=delay_s, background=True)

        due = self._due.tick(now, {book: entry.schedule for book, entry in books.items()}, start)
        if due["not_started"]:
            log.error("%s could not be started; the next tick tries again", counted(due["not_started"], "import"))
        looked = watch.sweep(self._queued, books, sheet, timedelta(hours=self._stale_hours), log)
        return looked.and_(started=due["started"], not_started=due["not_started"])

    def _schedule(self, sheet: Sheet, caller: Caller) -> Answer:
        """Set the schedule of a Sheet, and say what it is. It is the service's: it needs nobody who is there."""
        if self._queued is None:
            raise Refusal(501, "this service keeps no schedules", what_to_do="Deploy it with a queue.")
        book = sheet.asked.spreadsheet_id
        if words := sheet.asked.schedule.partition(" · ")[0]:
            with sheet.open() as control:
                zone = control.book.structure((TAB,)).zone
                plan = self._due.set(book, words, zone, caller.email, datetime.now(UTC))
                shown = plan.words.replace(":00", f":{minute_of(book):02}")
                shown = shown if words == OFF else f"{shown} · by {caller.email}"
                setup.fill_in(control.book, template.row_name(template.SCHEDULE), shown)
        found = self._due.get(book)
        said = {
            "schedule": found.words if found else OFF,
            "by": found.by if found else "",
            "zone": found.zone if found else "",
            "next": say(found.next) if found else None,
        }
        message = f"The next import starts at {clock_time(found.next, found.zone)}." if found and found.next else "Off."
        return Answer(200, {**said, "minute": minute_of(book), "message": message})

    def fleet(self, *, as_json: bool) -> Answer:
        """Return how all Sheets are: see ``fleet``."""
        if self._queued is None:
            raise BadInput([Mistake("/fleet", "is for a deployment with a queue", "Deploy one with deploy.sh.")])
        registered, now = self._registry.entries(), datetime.now(UTC)
        found = fleet.look(self._queued.kept, registered, now, timedelta(hours=self._stale_hours))
        used = fleet.quotas(found, registered)
        if as_json:
            said = {"sheets": [one.facts() for one in found], "quota": [one.sentence for one in used]}
            return Answer(200, {**said, "message": fleet.summary(found)})
        return Answer(200, fleet.page(found, used, now))

    def _sheet(self, asked: Asked, entry: Entry, *, notes: bool = False) -> Sheet:
        """Return the spreadsheet that is asked about; TikTok's secrets come along where the action needs them."""
        names = [*_PASSED_ON]
        found: dict[str, Secret] = {}
        if asked.action not in ("fields", "choices", "choose", "schedule", "status", "cancel", "connect"):
            found = self._registry.secrets(entry)
            notes = True
        if notes:
            names += notify.VARIABLES
        environment = {name: self._environment[name] for name in names if self._environment.get(name)}
        private = [name for name in environment if name.endswith(("_WEBHOOK_URL", "_PASSWORD"))]
        logs.hide([*found.values(), *(Secret(environment[name]) for name in private)])
        environment |= {name: secret.reveal() for name, secret in found.items()}
        if entry.requests_per_second:
            environment[RATE] = str(entry.requests_per_second)
        if self._store:
            weight = BACKFILL if asked.action == "backfill" else SCHEDULE if asked.run_id else PERSON
            environment |= {app.PACE_STORE: self._store, app.PACE_WEIGHT: f"{weight:g}", STORE_VARIABLE: self._store}
        if entry.writer:
            environment[WRITER_VARIABLE] = entry.writer
        return Sheet(asked, entry, environment)

    def _start(self, sheet: Sheet, log: logs.Log) -> Answer:
        """Start an import, unless one is running. The lease decides in the end; this look spares a click the wait."""
        ended: list[str] = []
        try:
            with sheet.open() as control:
                control.book.until = time.monotonic() + QUICK_S
                holds = lease.holder(control.book)
                if known := record(control.book):
                    ended = [run.run for run in (known.run, *known.past) if run.ended]
        except SheetRefused:
            raise
        except StoreFailed as error:
            log.warning("%s", error.sentence)
            holds = None
        if holds:
            raise progress.busy(holds)
        return self._runs.start(sheet, log, ended)

    # --- what is done at once -----------------------------------------------------------------------------------------

    def _plan(self, sheet: Sheet) -> Answer:

        now, until = self._now(), time.monotonic() + ASK_S
        backfill = app.backfill_range(*sheet.asked.days, now)

        def work() -> tuple[Settings, list[app.Planned]]:
            known = sheet.settings(now)
            return known, app.plan(known, now=now, backfill=backfill, environment=sheet.environment, until=until)

        settings, planned = _in_time(work)
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
        if guessed := sum(p.sampled for p in planned):
            message += f" Estimated from {len(planned) - guessed:,} of {len(planned):,} objects and accounts."
        if problems:
            message += f" {len(problems)} of {len(planned)} cannot be read."
            problems = problems[:MOST_PROBLEMS]
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

        now, until, book = self._now(), time.monotonic() + ASK_S, sheet.asked.spreadsheet_id
        checked = _in_time(
            lambda: app.check(sheet.settings(now), now=now, environment=sheet.environment, sheet=book, until=until)
        )
        if len(checked) > MOST_CHECKS:
            checked = app.folded(checked)
        bad = sum(not c.ok for c in checked)
        message = f"{bad} of {counted(len(checked), 'check')} failed." if bad else f"All {len(checked)} checks passed."
        checks = [{"what": c.what, "ok": c.ok, "detail": c.detail} for c in checked]
        remedy = "connect" if any(c.of_token for c in checked) else ""
        return Answer(200, {"ok": not bad, "checks": checks, "message": message, "remedy": remedy})

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


def _in_time(work: Callable[[], T]) -> T:
    """Return what ``work`` returns, or say that it takes too long: Apps Script gives up on us after a minute."""
    end = time.monotonic() + ANSWER_S
    try:
        return app.unless(lambda: Reason.OUT_OF_TIME if time.monotonic() > end else None, work)
    except Halted:
        raise come_again(f"TikTok or Google did not answer within {ANSWER_S:.0f} seconds", 60) from None


# --- the tab Fields ---------------------------------------------------------------------------------------------------


def _fields(sheet: Sheet) -> Answer:

    with sheet.open() as control, Lease(control.book, environment=sheet.environment):
        before = setup.listed(control.book)
        done = setup.fields(control.book)
        added = setup.listed(control.book) - before if done else 0
    return Answer(200, {"added": added, "message": setup.sentence(done)})


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
