"""Whether all an import needs is there: destination, messages, token, accounts, objects. Writes nothing that stays."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from owox_tiktok.app.common import accounts_of, connect, question, sampled, unless
from owox_tiktok.destinations import open_destination, shown
from owox_tiktok.errors import BadInput, Halted, Problem, RequestRefused, TokenRefused
from owox_tiktok.model import Advertiser, Checkable, Remarking, Window
from owox_tiktok.notify import mistakes as notify_mistakes
from owox_tiktok.plan import WHOLE_APP, Pair
from owox_tiktok.settings import Settings
from owox_tiktok.sheets import probe
from owox_tiktok.sheets.client import Spreadsheet, spreadsheet_id
from owox_tiktok.states import Reason
from owox_tiktok.streams import permission_for
from owox_tiktok.tiktok.reader import Source

LONGEST_S = 3600.0
NAMED = 3
"""So many accounts are named where the same is to be said of many."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was tried: what, whether it works, and what to do if not.

    ``advertiser`` is the ad account it was tried with, and ``object`` the object, "" for the account itself; a thing
    that concerns all has neither. ``reduced``: it works with fewer fields than asked for.
    """

    what: str
    ok: bool
    detail: str = ""
    object: str = ""
    advertiser: Advertiser | None = None
    reduced: bool = False
    request_id: str = ""
    of_token: bool = False
    """Whether TikTok refused the token: a new one is what helps."""


def check_sheet(
    spreadsheet: str, environment: Mapping[str, str] | None = None, within_s: float = math.inf
) -> list[Checked]:
    """Try in a Sheet (its id or address) what this program rests on there, in a scratch tab; see ``sheets.probe``.

    Google is waited for no longer than ``within_s``.

    One result where all is as expected, else one for each thing that differs, and the text for a bug report.
    """
    env = os.environ if environment is None else environment
    book = Spreadsheet(spreadsheet_id(spreadsheet), environment=env)
    what = "Google Sheets"
    quota: list[Checked] = []
    try:
        with book.within(min(within_s, LONGEST_S)):
            findings = probe.probe(book)
        quota = _quota(book)
    except Problem as error:
        return [Checked(what, False, _without_where(error))]
    finally:
        book.close()
    differ = [f for f in findings if not f.ok]
    if not differ:
        return [Checked(what, True, f"does all {len(findings)} things that imports rest on"), *quota]
    said = [Checked(f"{what}: {f.what}", False, f"{f.seen}.") for f in differ]
    return [*quota, *said, Checked("what to do", False, f"Open an issue with this report. {probe.report(findings)}")]


def _quota(book: Spreadsheet) -> list[Checked]:
    """Return how much of Google's quota there is, and how much of it is used."""
    if (found := book.quota()) is None:
        return []
    most, reads, writes = found
    detail = f"{most} reads and {most} writes a minute for {book.account}; the last minute used {reads} and {writes}"
    ahead = f"room for {max(0, most - max(reads, writes))} more" if max(reads, writes) < most else "no room now"
    return [Checked("Google's quota", True, f"{detail}: {ahead}")]


def check(
    settings: Settings,
    *,
    now: datetime,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
    sheet: str = "",
    until: float = math.inf,
) -> list[Checked]:
    """Try the destination, the token, each advertiser and each object of each advertiser; return all results.

    ``sheet`` is the control Sheet they come from, if they do: then Google Sheets itself is tried first.

    What could not be tried ``until`` a moment of ``time.monotonic`` is said to be so, once per object.

    Raises Halted as soon as ``halted`` gives a reason.
    """
    found = check_sheet(sheet, environment, (until - time.monotonic()) / 2) if sheet else []
    try:
        with open_destination(settings.destination, read_only=True, environment=environment) as destination:
            destination.cursors()
            missing = destination.check() if isinstance(destination, Checkable) else []
            remarks = destination.remarks() if isinstance(destination, Remarking) and not missing else []
        for sentence in missing:
            found.append(Checked(f"destination {shown(settings.destination)}", False, sentence))
        if not missing:
            found.append(Checked(f"destination {shown(settings.destination)}", True, " ".join(remarks)))
    except Problem as error:
        found.append(Checked(f"destination {shown(settings.destination)}", False, _without_where(error)))
    if settings.notify_when != "never":
        wrong = notify_mistakes(settings, os.environ if environment is None else environment)
        found.append(Checked("messages about runs", not wrong, " ".join(str(m) for m in wrong)))
    api = connect(settings, lambda _: None, environment)
    source = Source(api, sandbox=settings.sandbox_mode)
    try:
        accounts = unless(halted, lambda: accounts_of(source, settings))
    except Halted:
        raise
    except Problem as error:
        return [*found, Checked("access token", False, error.sentence, of_token=isinstance(error, TokenRefused))]
    advertisers = accounts.found
    found.append(Checked("access token", True, f"accepted by {api.url}" if os.environ.get("TIKTOK_API_URL") else ""))
    for advertiser_id, why in accounts.refused.items():
        account = Advertiser(advertiser_id)
        what, why_not = f"advertiser {advertiser_id}", _without_request(why)
        found.append(Checked(what, False, why_not, advertiser=account, request_id=why.request_id))
    for a in advertisers:
        note = f"; {accounts.notes[a.id]}" if a.id in accounts.notes else ""
        zone = f"{a.currency}, {a.zone.key}, {a.today(now)} there{note}"
        found.append(Checked(f"advertiser {a.id}", True, zone, advertiser=a))
    tries = [
        Pair(s, a, settings.fields[s.name], (), None, a.today(now))
        for s in settings.objects
        for a in ((WHOLE_APP,) if s.per_app else advertisers)
    ]
    tried = sampled(api, lambda pair: _try(source, pair), tries, settings, halted, until)
    found += [tried[n] for n in sorted(tried)]
    for name, of in Counter(pair.stream.name for pair in tries).items():
        if (count := sum(tries[n].stream.name == name for n in tried)) < of:
            found.append(Checked(name, True, f"tried with {count} of {of} accounts, for want of time", name))
    return found


def folded(checked: Sequence[Checked]) -> list[Checked]:
    """Return the results with one line for all accounts of which the same is to be said."""
    groups: dict[tuple[object, ...], list[Checked]] = {}
    for number, one in enumerate(checked):
        if one.advertiser is None:
            groups[number,] = [one]
        else:
            said = one.detail.replace(one.advertiser.id, "…") if one.object or not one.ok else ""
            groups.setdefault((one.object, one.ok, said), []).append(one)
    return [_of_many(group) for group in groups.values()]


def _of_many(group: Sequence[Checked]) -> Checked:
    one = group[0]
    if len(group) == 1:
        return one
    ids = [c.advertiser.id for c in group if c.advertiser]
    named = ", ".join(ids[:NAMED]) + (f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else "")
    what = f"{one.object} of {len(ids):,} accounts" if one.object else f"{len(ids):,} ad accounts"
    detail = one.detail if one.object or not one.ok else ""
    said = (detail.rstrip("."), "" if one.ok else named)
    return replace(one, what=what, detail=". ".join(part for part in said if part))


def _without_where(error: Problem) -> str:
    """Return the sentence for a line that begins with the place already."""
    if isinstance(error, BadInput):
        return " ".join(f"{m.what.rstrip('.')}. {m.what_to_do}" for m in error.mistakes)
    return error.sentence


def _without_request(error: Problem) -> str:
    """Return the sentence without TikTok's name for the request, so that equal failures are equal."""
    return Problem(error.message, where=error.where, what_to_do=error.what_to_do).sentence


_NO_PERMISSION = 40001


def _refused(pair: Pair, error: RequestRefused) -> str:
    """Return why TikTok refuses an object; where a permission may be missing, which one, and how to get it."""
    permission = permission_for(pair.stream.path)
    said = _without_request(error)
    if error.code != _NO_PERMISSION or not permission or "finance role" in error.message:
        return said
    return (
        f"{said} It needs the permission {permission}. If the app lacks it, add it in TikTok's developer portal, and "
        "then authorise again in any case: a token has the permissions of the moment at which it was made."
    )


def _try(source: Source, pair: Pair) -> Checked:
    name, account = pair.stream.name, pair.advertiser if pair.advertiser.id else None
    what = f"{name} of {account.id}" if account else name
    yesterday = pair.read_on - timedelta(days=1)
    try:
        refused = source.probe(question(pair, Window(yesterday, yesterday) if pair.stream.has_window else None)).refused
    except RequestRefused as error:
        return Checked(what, False, _refused(pair, error), name, account, request_id=error.request_id)
    except Problem as error:
        return Checked(what, False, _without_request(error), name, account, request_id=error.request_id)
    detail = f"without {', '.join(sorted(refused))}, which TikTok does not give this account" if refused else ""
    return Checked(what, True, detail, name, account, bool(refused))
