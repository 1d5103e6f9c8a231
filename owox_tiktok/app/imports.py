"""One import: plan, read, store, prune, refresh the views, and say what came of it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from owox_tiktok.app.common import Days, accounts_of, check_kept, connect, question, readers_for, unless
from owox_tiktok.app.report_views import holding_views, refresh_views
from owox_tiktok.attribution import LongestWindow
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import Halted, Problem, StoreBusy
from owox_tiktok.events import Event, Failed, Finished, Listener, Warned, cost_of
from owox_tiktok.model import Audit, Audited, Destination, Metered, Reading, Window
from owox_tiktok.notify import mistakes, notify
from owox_tiktok.plan import Done, Pair, keep_from, losses, no_longer_asked
from owox_tiktok.plan import plan as make_plan
from owox_tiktok.run import Outcome, prune, run
from owox_tiktok.settings import Settings
from owox_tiktok.states import Reason
from owox_tiktok.tiktok.client import BOUNDS, Bounds, TikTok
from owox_tiktok.tiktok.reader import Source
from owox_tiktok.trust.audit import by_stream, sentences


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a run: of which run, when it has to end, and what the parts before it have read.

    It ends after what it has stored, at ``until`` (a moment of ``time.monotonic``) or when ``halted`` gives a reason;
    who says ``until`` is expected to start the next one. ``earlier`` is what came of all parts before it.
    """

    run: str = ""
    until: float | None = None
    halted: Callable[[], Reason | None] = lambda: None
    done: Done = field(default_factory=dict)
    earlier: Finished | None = None
    tells: bool = True
    """Whether the people who asked for it get the message about the run from here; else the caller sends it."""

    def why_stop(self) -> Reason | None:
        """Return a reason once the part has to end."""
        if self.until is not None and time.monotonic() >= self.until:
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
            # Not what ends a part of a run: a part that has read its accounts and nothing else is no progress.
            accounts = unless(part.halted, lambda: accounts_of(source, settings))
            advertisers, refused = accounts.found, accounts.refused
            for advertiser_id, error in refused.items():
                listen(Failed("", advertiser_id, error.sentence, error.request_id))
            for advertiser_id, note in accounts.notes.items():
                count(Warned("", advertiser_id, note))
            cursors = destination.cursors()
            audit = Audit()
            if isinstance(destination, Audited) and not backfill:
                audit = destination.audit(settings.objects)
                for name, note in audit.notes:
                    count(Warned(name, "", note))
            pairs = make_plan(settings, advertisers, cursors, now, backfill, part.done, audit.differing)
            again = _read_again(pairs, audit)
            if isinstance(destination, Audited):
                for name, sentence in no_longer_asked(pairs):
                    count(Warned(name, "", sentence))
            for name, differing in by_stream(audit.differing).items():
                for sentence in sentences(differing, again, "they are read again"):
                    count(Warned(name, "", sentence))
            for name, sentence in losses(pairs):
                count(Warned(name, "", sentence))

            credited = LongestWindow()

            def read(pair: Pair, window: Window | None, path: Path) -> Reading:
                reading = source.read(question(pair, window), path)
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
                for name, note in destination.tidy([s for s in settings.objects if s.name not in broken]):
                    count(Warned(name, "", note))
            healthy = (s for s in settings.objects if s.name not in broken and not outcome.left and not part.halted())
            pruned = prune(healthy, keep_from(settings, advertisers, now), destination, listen, dry_run=False)
            if settings.views:
                refresh_views(destination, settings, count)
            if hint := credited.hint(settings):
                count(Warned("ad_groups", "", hint))
            billed, price = 0, None
            if isinstance(destination, Metered):
                billed, price = destination.bytes_billed, destination.price_per_tib
    except Halted as asked:  # before there was a plan
        audit, again = Audit(), {}
        outcome, pairs, lost, pruned, billed, price = Outcome(stopped=Reason(asked.message)), [], 0, {}, 0, None
    except StoreBusy:
        raise
    except Problem as problem:
        _tell(settings, problem, listen, environment, part)
        raise
    finally:
        api.stop()
    outcome.pruned = pruned
    healed = [] if outcome.left else sentences(audit.differing, _stored(again, outcome.failed), "they are back")
    finished = _finished(outcome, api, len(pairs) + lost, len(outcome.failed) + lost, warnings, began, billed, price)
    finished = replace(finished, healed=tuple(healed))
    if part.earlier:
        finished = finished.after(part.earlier)
    if finished.stopped is not Reason.TO_BE_CONTINUED:  # there is one message, at the end of the last part
        _tell(settings, finished, listen, environment, part)
    listen(finished)
    return finished


def _read_again(pairs: Sequence[Pair], audit: Audit) -> dict[tuple[str, str], set[date | None]]:
    """Return the days that differ and are read in this run; others are not imported any more."""
    again: dict[tuple[str, str], set[date | None]] = {}
    for pair in pairs:
        days = audit.differing.get(pair.key, {})
        windows = [w for w in pair.windows if w and pair.stream.time]
        again[pair.key] = {d for d in days if d is None or any(w.first <= d <= w.last for w in windows)}
    return again


def _stored(
    again: Mapping[tuple[str, str], set[date | None]], failed: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], set[date | None]]:
    return {pair: days for pair, days in again.items() if pair not in failed}


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


def _finished(
    outcome: Outcome,
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
        requests=api.counts.requests,
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
    )
