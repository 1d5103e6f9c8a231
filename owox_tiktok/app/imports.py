"""One import: plan, read, store, prune, refresh the views, and say what came of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from owox_tiktok.app.afterwards import Afterwards, alarm, check_afterwards, silence
from owox_tiktok.app.common import Days, accounts_of, check_kept, connect, question, readers_for, unless
from owox_tiktok.app.healing import Healing
from owox_tiktok.app.proofs import verified_through
from owox_tiktok.app.report_views import holding_views, refresh_views
from owox_tiktok.attribution import LongestWindow
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, Halted, Mistake, Problem, StoreBusy, StoreFailed, main_cause
from owox_tiktok.events import Event, Failed, Finished, Listener, Proof, Warned, cost_of
from owox_tiktok.model import Audited, Destination, KeepsHistory, Metered, Reading, ShowsAccounts, Stamps, Window
from owox_tiktok.notify import mistakes, notify
from owox_tiktok.plan import Done, Pair, keep_from, losses, no_longer_asked
from owox_tiktok.plan import plan as make_plan
from owox_tiktok.run import Outcome, prune, run
from owox_tiktok.settings import Settings
from owox_tiktok.states import Reason
from owox_tiktok.tiktok.client import BOUNDS, Bounds, TikTok
from owox_tiktok.tiktok.reader import Source
from owox_tiktok.trust.kept import KeepsChecks, Run


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run: of which run, when it has to end, and what the parts before it have read.

    It ends after what it has stored, at ``until`` (a moment of ``time.monotonic``) or when ``halted`` gives a reason;
    who says ``until`` is expected to start the next one. When it ``makes_room`` for others it ends as if
    ``until`` were over. ``earlier`` is what came of all parts before it.
    """

    run: str = ""
    until: float | None = None
    halted: Callable[[], Reason | None] = lambda: None
    makes_room: Callable[[], bool] = lambda: False
    done: Done = field(default_factory=dict)
    earlier: Finished | None = None
    tells: bool = True
    """Whether the people who asked for it get the message about the run from here; else the caller sends it."""

    def why_stop(self) -> Reason | None:
        """Return a reason once the part has to end."""
        if (self.until is not None and time.monotonic() >= self.until) or self.makes_room():
            return Reason.TO_BE_CONTINUED
        return self.halted()


WHOLE_RUN = Part()


def import_(
    settings: Settings,
    *,
    now: datetime,
    listen: Listener,
    backfill: Days | None = None,
    part: Part = WHOLE_RUN,
    environment: Mapping[str, str] | None = None,
    open_: Callable[[str], Destination] | None = None,
    bounds: Bounds = BOUNDS,
) -> Finished:
    """Import what the settings name and return what came of it; reported event by event to ``listen``.

    When ``part`` or ``max_run_timeout`` is over it ends after what it has stored, and the next one continues there. The
    last part of several returns what came of all. Raises BadInput, StoreBusy, or a Problem that left nothing to do
    (such as a refused token before the plan was made).
    """
    began = time.monotonic()
    so_far = part.earlier.seconds if part.earlier else 0.0
    end = began - so_far + 60 * settings.max_run_timeout if settings.max_run_timeout else math.inf

    def stop() -> Reason | None:
        if time.monotonic() >= end:
            return Reason.OUT_OF_TIME
        return part.why_stop()

    warnings = 0
    checked = Afterwards()
    check_kept(settings, backfill, now)

    def count(event: Event) -> None:
        nonlocal warnings
        warnings += isinstance(event, Warned)
        listen(event)

    api = connect(settings, count, environment, bounds)
    source = Source(api, sandbox=settings.sandbox_mode)
    try:
        opened = (
            open_(settings.destination) if open_ else open_destination(settings.destination, environment=environment)
        )
        with opened as destination:
            if settings.views:
                holding_views(destination, settings)
            keep_history(destination, settings)
            if part.run and isinstance(destination, Stamps):
                destination.run_id = part.run
            # Not what ends a part of a run: a part that has read its accounts and nothing else is no progress.
            accounts = unless(part.halted, lambda: accounts_of(source, settings))
            advertisers, refused = accounts.found, accounts.refused
            if isinstance(destination, ShowsAccounts):
                destination.advertisers = advertisers
            for advertiser_id, error in refused.items():
                listen(Failed("", advertiser_id, error.sentence, error.request_id, error=error))
            for advertiser_id, note in accounts.notes.items():
                count(Warned("", advertiser_id, note))
            cursors = destination.cursors()
            healing = Healing(destination, settings, backfill=backfill is not None)
            pairs = make_plan(settings, advertisers, cursors, now, backfill, part.done, healing.damaged)
            for warned in healing.begin(pairs):
                count(warned)
            if isinstance(destination, Audited):
                for name, sentence in no_longer_asked(pairs):
                    count(Warned(name, "", sentence))
            for name, sentence in losses(pairs):
                count(Warned(name, "", sentence))

            credited = LongestWindow()
            hash_personal = settings.personal_data == "hash"

            def read(pair: Pair, window: Window | None, path: Path) -> Reading:
                reading = source.read(question(pair, window, hash_personal=hash_personal), path)
                credited.note(pair.stream, pair.fields, path, pair.advertiser.id)
                return reading

            readers = readers_for(settings.requests_per_second)
            left = sum(len(p.windows) for p in pairs)
            if left and (reason := part.halted()):  # cancelled while it waited, say: then nothing is read
                outcome = Outcome(stopped=reason, left=left)
            else:
                outcome = run(pairs, read, destination, count, now=now, readers=readers, halted=stop)
            per_account = [s for s in settings.objects if not s.per_app]
            lost = len(refused) * len(per_account)
            broken = {name for name, _ in outcome.failed}
            if isinstance(destination, Audited) and not outcome.stopped:
                try:
                    for name, note in destination.tidy([s for s in settings.objects if s.name not in broken]):
                        count(Warned(name, "", note))
                except StoreFailed as error:  # the rows are stored; the next run tidies up
                    count(Warned("", "", f"rows that nobody can make out were not looked for: {error.sentence}"))
            healthy = (s for s in settings.objects if s.name not in broken and not outcome.left and not part.halted())
            healing.end(outcome.failed)
            pruned = prune(healthy, keep_from(settings, advertisers, now), destination, listen, dry_run=False)
            if settings.views:
                refresh_views(destination, settings, count)
            if hint := credited.hint(settings):
                count(Warned("ad_groups", "", hint))
            requests = api.counts.requests
            if not backfill and not outcome.left and not outcome.stopped and not part.halted():
                try:
                    checked = check_afterwards(source, settings, destination, accounts, now=now, halted=stop)
                    nothing = not (outcome.rows_confirmed or checked.equal)
                    if nothing and (silent := silence(destination, checked, outcome.rows, now)):
                        count(Warned("", "", silent))
                except StoreFailed as error:  # the rows are stored; the next run checks them
                    count(Warned("", "", f"the checks after the import ended early: {error.sentence}"))
                for name, advertiser_id, sentence in alarm(checked.days):
                    count(Warned(name, advertiser_id, sentence))
            billed, price = 0, None
            if isinstance(destination, Metered):
                billed, price = destination.bytes_billed, destination.price_per_tib
            outcome.pruned = pruned
            failed = len(outcome.failed) + lost
            finished = _finished(
                outcome, requests, checked, api, len(pairs) + lost, failed, warnings, began, billed, price
            )
            problems = [*outcome.problems, *(error for error in refused.values() for _ in per_account)]
            finished = replace(finished, cause=main_cause(problems))
            if not outcome.left:
                finished = replace(finished, healed=healing.in_words())
            if isinstance(destination, KeepsChecks):
                with suppress(StoreFailed):  # where the connection was lost, what came of the run is still said
                    destination.keep_run(_kept(finished, settings, now))
                    if isinstance(destination, ShowsAccounts):
                        through = verified_through(settings, destination, accounts)
                        finished = replace(finished, proof=replace(finished.proof, through=through))
    except Halted as asked:  # before there was a plan
        outcome = Outcome(stopped=Reason(asked.message))
        finished = _finished(outcome, api.counts.requests, checked, api, 0, 0, warnings, began, 0, None)
    except StoreBusy:
        raise
    except Problem as problem:
        _tell(settings, problem, listen, environment, part)
        raise
    finally:
        api.stop()
    if part.earlier:
        finished = finished.after(part.earlier)
    if finished.stopped is not Reason.TO_BE_CONTINUED:  # there is one message, at the end of the last part
        _tell(settings, finished, listen, environment, part)
    listen(finished)
    return finished


def keep_history(destination: Destination, settings: Settings) -> None:
    """Let the destination keep the history that the settings ask for; raises BadInput where it cannot."""
    if not settings.history:
        return
    if not isinstance(destination, KeepsHistory):
        what = f"{settings.destination.partition('://')[0]}:// keeps no history of lists"
        raise BadInput(
            [Mistake(f"{settings.source} history", what, "Omit it, or use duckdb://, postgresql:// or bigquery://.")]
        )
    destination.history = frozenset(settings.history)


def _tell(
    settings: Settings,
    ended: Finished | Problem,
    listen: Listener,
    environment: Mapping[str, str] | None,
    part: Part,
) -> None:
    """Send the messages about a run that are asked for; what keeps them from being sent is only reported."""
    env = os.environ if environment is None else environment
    for warning in notify(settings, ended, env) if part.tells else map(str, mistakes(settings, env)):
        listen(Warned("", "", warning))


def _kept(finished: Finished, settings: Settings, now: datetime) -> Run:
    """Return a run as it is kept beside its rows."""
    proof = finished.proof
    return Run(
        began_at=now.astimezone(UTC),
        ended_at=now.astimezone(UTC) + timedelta(seconds=finished.seconds),
        state=str(finished.state),
        objects=[s.name for s in settings.objects],
        pairs=finished.pairs,
        failed=finished.failed,
        rows=sum(finished.rows.values()),
        rows_confirmed=finished.rows_confirmed,
        requests=finished.requests,
        check_requests=proof.requests,
        days=proof.days,
        days_equal=proof.equal,
        proof=finished.confirmed,
    )


def _finished(
    outcome: Outcome,
    requests: int,
    checked: Afterwards,
    api: TikTok,
    pairs: int,
    failed: int,
    warnings: int,
    began: float,
    billed: int,
    price: float | None,
) -> Finished:
    return Finished(
        rows=outcome.rows,
        replaced=outcome.replaced,
        pairs=pairs,
        failed=failed,
        requests=requests,
        refused=api.counts.refused,
        requests_of=dict(api.counts.of_advertiser),
        seconds=time.monotonic() - began,
        warnings=warnings,
        pruned={name: n for name, n in outcome.pruned.items() if n},
        stopped=outcome.stopped if outcome.left or not pairs else None,
        left=outcome.left,
        work=outcome.work,
        kept=outcome.kept,
        rows_kept=outcome.rows_kept,
        rows_confirmed=outcome.rows_confirmed,
        bytes_billed=billed,
        cost=None if price is None else cost_of(billed, price),
        proof=outcome.proof + Proof({}, checked.compared, checked.equal, checked.requests, checked.share),
    )
