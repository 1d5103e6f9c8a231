"""Deleting on purpose: old rows, what is remembered of how far an object was read, and all of an ad account."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from owox_tiktok.app.common import accounts_of, connect, only, unless, until
from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.events import Failed, Listener
from owox_tiktok.model import Removes
from owox_tiktok.plan import keep_from
from owox_tiktok.run import prune
from owox_tiktok.settings import BY_NAME, Settings
from owox_tiktok.states import Reason
from owox_tiktok.tiktok.reader import Source


def prune_(
    settings: Settings,
    *,
    now: datetime,
    dry_run: bool,
    listen: Listener,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
) -> dict[str, int]:
    """Delete (or count) the report rows older than the keep window; return how many per object.

    Raises Halted when ``halted`` gives a reason, after the object that is being pruned.
    """
    if settings.clean_up_to_keep_window is None:
        keep = BY_NAME["clean_up_to_keep_window"]
        what = "is not set, so everything is kept"
        raise BadInput([Mistake(settings.wording.where(keep), what, settings.wording.add(keep))])
    api = connect(settings, listen, environment)
    source = Source(api)
    with open_destination(settings.destination, read_only=dry_run, environment=environment) as destination:
        accounts = unless(halted, lambda: accounts_of(source, settings))
        for advertiser_id, error in accounts.refused.items():
            listen(Failed("", advertiser_id, error.sentence, error.request_id, error=error))
        days = keep_from(settings, accounts.found, now)
        return prune(until(halted, settings.objects), days, destination, listen, dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One pair whose cursor is (or would be) forgotten: the days it had, if it has days."""

    object: str
    advertiser_id: str
    since: date | None
    through: date | None


def reset(
    settings: Settings,
    name: str,
    advertiser_ids: Collection[str] = (),
    *,
    dry_run: bool,
    environment: Mapping[str, str] | None = None,
) -> list[Forgotten]:
    """Forget how far an object is read, of these advertisers or of all, so that the next import reads all of it again.

    Stored rows stay until then. Returns what was forgotten; dry: what would be. Raises BadInput for an object that is
    not configured or an advertiser it was never read for.
    """
    (stream,) = only(settings, [name]).objects
    with open_destination(settings.destination, read_only=dry_run, environment=environment) as destination:
        known = {a: k for (n, a), k in destination.cursors().items() if n == stream.name and (k.cursor or k.failure)}
        unknown = [a for a in advertiser_ids if a not in known]
        if unknown:
            there = ", ".join(sorted(known)[:20]) or "none"
            what, advice = f"{stream.name} was never read for it", f"Choose from: {there}."
            raise BadInput([Mistake(f"--advertiser {a}", what, advice) for a in unknown])
        chosen = sorted(advertiser_ids or known)
        if not dry_run and chosen:
            destination.forget(stream, chosen)
    days = [(a, known[a].cursor) for a in chosen]
    return [Forgotten(stream.name, a, c.since if c else None, c.through if c else None) for a, c in days]


def forget(
    settings: Settings,
    advertiser_ids: Collection[str],
    *,
    dry_run: bool,
    environment: Mapping[str, str] | None = None,
) -> Mapping[str, int]:
    """Delete all that is stored of ad accounts, of whatever object; return how many rows that were, by table.

    Dry: what would be deleted. Raises BadInput for an id that cannot be, and where the destination cannot do it.
    """
    wrong = [a for a in advertiser_ids if not (a.isascii() and a.isdigit())]
    if wrong:
        advice = "An id has digits only; `owox-tiktok status` lists those that are stored."
        raise BadInput([Mistake(f"--advertiser {a}", "is not the id of an ad account", advice) for a in wrong])
    with open_destination(settings.destination, read_only=dry_run, environment=environment) as destination:
        if isinstance(destination, Removes):
            return destination.remove(advertiser_ids, dry_run=dry_run)
    what = f"an account cannot be deleted from {settings.destination.partition('://')[0]}://"
    raise BadInput([Mistake("destination", what, "Filter each tab by advertiser_id, and delete the rows.")])
