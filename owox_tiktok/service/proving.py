"""*Check my numbers* and *Why is this number different?*: what comparing with TikTok came to, in words for the menu."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from owox_tiktok import app
from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.events import account, counted
from owox_tiktok.service.messages import Answer
from owox_tiktok.service.sheet import Sheet
from owox_tiktok.streams import STREAMS
from owox_tiktok.titles import title
from owox_tiktok.trust.verdicts import (
    PAGE,
    SEVERITY,
    TO_READ_AGAIN,
    VERIFIED,
    DayChecked,
    Severity,
    Verdict,
    stretches,
)

WITHIN_S = 40.0
"""So long accounts are compared: Apps Script waits 60 seconds for an answer."""
MOST_FINDINGS = 50
_TONES = {Severity.FINE: "good", Severity.OPEN: "warn", Severity.BAD: "bad"}


def verify(sheet: Sheet, now: datetime) -> Answer:
    """Compare the last 30 days of the Sheet with TikTok's totals, and show them in its tab *Numbers*."""
    with sheet.open() as control:
        found = app.verify_sheet(
            control, now=now, listen=lambda _: None, within_s=WITHIN_S, environment=sheet.environment
        )
    names = {one.id: account(one.id, one.name) for one in found.accounts}
    worst = max((SEVERITY[one.verdict] for one in found.days), default=Severity.FINE)
    if found.refused:
        worst = max(worst, Severity.OPEN)
    bad = [one for one in stretches(found.days) if SEVERITY[one.verdict] is not Severity.FINE]
    return Answer(
        200,
        {
            "tone": _TONES[worst],
            "message": _in_words(found.days, found.left),
            "accounts": [
                _account(names[one.id], one.currency, [d for d in found.days if d.advertiser_id == one.id])
                for one in found.accounts
            ],
            "findings": [
                {
                    "account": names.get(one.advertiser_id, one.advertiser_id),
                    "title": STREAMS[one.object].title,
                    "first": one.first,
                    "last": one.last,
                    "verdict": one.verdict,
                    "tone": _TONES[SEVERITY[one.verdict]],
                    "reason": one.reason.partition(f"; see {PAGE}")[0],
                }
                for one in sorted(bad, key=lambda one: -SEVERITY[one.verdict])[:MOST_FINDINGS]
            ],
            "refused": [{"account": who, "reason": why} for who, why in found.refused.items()],
            "left": found.left,
        },
    )


def _account(name: str, currency: str, days: Sequence[DayChecked]) -> dict[str, Any]:
    closed = [d for d in days if d.verdict in VERIFIED | TO_READ_AGAIN | {Verdict.MISSING}]
    moving: list[date] = [d.day for d in days if d.verdict is Verdict.MOVING]
    return {
        "account": name,
        "currency": currency,
        "closed": len(closed),
        "equal": sum(d.verdict in VERIFIED for d in closed),
        "moving": min(moving, default=None),
    }


def _in_words(days: Sequence[DayChecked], left: int) -> str:
    count = {verdict: sum(one.verdict is verdict for one in days) for verdict in Verdict}
    equal, again = sum(count[v] for v in VERIFIED), sum(count[v] for v in TO_READ_AGAIN)
    closed = equal + again + count[Verdict.MISSING]
    if not days:
        said = ["There is no report by day to compare. Run the import first."]
    elif equal == closed and closed:
        said = [f"All {counted(closed, 'closed day')} equal TikTok's totals."]
    else:
        said = [f"{equal:,} of {counted(closed, 'closed day')} equal TikTok's totals."]
    if again:
        said.append(f"The next import reads {again:,} of them again.")
    if count[Verdict.MOVING]:
        said.append(f"{counted(count[Verdict.MOVING], 'day')} still move{'s' if count[Verdict.MOVING] == 1 else ''}.")
    if count[Verdict.NOT_CHECKABLE]:
        said.append(f"Of {counted(count[Verdict.NOT_CHECKABLE], 'day')} TikTok gives no total.")
    if silent := count[Verdict.NOT_ANSWERED]:
        said.append(f"Of {counted(silent, 'day')} nothing is known, since TikTok did not answer: check again later.")
    if unread := count[Verdict.NOT_READ]:
        said.append(f"{counted(unread, 'day')} {_are(unread)} not read yet.")
    if left:
        said.append(f"{counted(left, 'account')} {_are(left)} left for want of time: check again to go on.")
    return " ".join(said)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def explain(sheet: Sheet, now: datetime) -> Answer:
    """Say which reading of TikTok's results gives a number that somebody sees in Ads Manager."""
    asked = sheet.asked
    assert asked.start_date is not None
    assert asked.advertiser_ids
    try:
        value = app.amount_of(asked.value)
    except ValueError:
        raise BadInput([Mistake("value", f"{asked.value!r} is not a number", "Write one such as 1234.56.")]) from None
    found = app.explain(
        sheet.settings(now),
        asked.advertiser_ids[0],
        asked.start_date,
        asked.metric,
        value,
        now=now,
        listen=lambda _: None,
        environment=sheet.environment,
    )
    whose = account(found.advertiser.id, found.advertiser.name)
    number = f"{title(found.metric)} {found.value:,} of {whose} on {found.day}"
    if found.found:
        message = f"{number} is:"
    else:
        message = f"{number} is nothing that TikTok's API gives ({counted(found.tried, 'reading')} tried)."
    nearest = found.nearest and {"words": found.nearest.words, "value": f"{found.nearest.value:,}"}
    readings = [{"words": one.words, "value": f"{one.value:,}"} for one in found.found]
    return Answer(200, {"message": message, "readings": readings, "nearest": None if found.found else nearest})
