"""Whether all an import needs is there: destination, messages, token, accounts, objects. Writes nothing that stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from owox_tiktok.app.common import accounts_of, connect, question, side_by_side, unless
from owox_tiktok.destinations import open_destination, shown
from owox_tiktok.errors import BadInput, Halted, Problem, RequestRefused
from owox_tiktok.model import Advertiser, Checkable, Remarking, Window
from owox_tiktok.notify import mistakes as notify_mistakes
from owox_tiktok.plan import WHOLE_APP, Pair
from owox_tiktok.settings import Settings
from owox_tiktok.sheets import probe
from owox_tiktok.sheets.client import Spreadsheet, spreadsheet_id
from owox_tiktok.states import Reason
from owox_tiktok.streams import permission_for
from owox_tiktok.tiktok.reader import Source


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


def check_sheet(spreadsheet: str, environment: Mapping[str, str] | None = None) -> list[Checked]:
    """Try in a Sheet (its id or address) what this program rests on there, in a scratch tab; see ``sheets.probe``.

    One result where all is as expected, else one for each thing that differs, and the text for a bug report.
    """
    env = os.environ if environment is None else environment
    book = Spreadsheet(spreadsheet_id(spreadsheet), environment=env)
    what = "Google Sheets"
    try:
        findings = probe.probe(book)
    except Problem as error:
        return [Checked(what, False, _without_where(error))]
    finally:
        book.close()
    differ = [f for f in findings if not f.ok]
    if not differ:
        return [Checked(what, True, f"does all {len(findings)} things that imports rest on")]
    said = [Checked(f"{what}: {f.what}", False, f"{f.seen}.") for f in differ]
    return [*said, Checked("what to do", False, f"Open an issue with this report. {probe.report(findings)}")]


def check(
    settings: Settings,
    *,
    now: datetime,
    environment: Mapping[str, str] | None = None,
    halted: Callable[[], Reason | None] = lambda: None,
    sheet: str = "",
) -> list[Checked]:
    """Try the destination, the token, each advertiser and each object of each advertiser; return all results.

    ``sheet`` is the control Sheet they come from, if they do: then Google Sheets itself is tried first.

    Raises Halted as soon as ``halted`` gives a reason.
    """
    found = check_sheet(sheet, environment) if sheet else []
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
        return [*found, Checked("access token", False, error.sentence)]
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
    return found + side_by_side(api, lambda pair: _try(source, pair), tries, settings, halted)


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
