"""All Sheets of a deployment at a glance: what succeeded when, how far each is behind, what is wrong and what is used.

Read from the ledgers alone, so that looking costs no Sheet a call. Shown by the command line, and to operators as a
page of the service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any, Literal

from owox_tiktok.events import counted, duration
from owox_tiktok.service.ledger import GONE_AFTER, Entry, Ledger, Ledgers, Phase
from owox_tiktok.service.registry import Entry as Registered
from owox_tiktok.states import State

AT_ONCE = 16
"""So many ledgers are read side by side: almost all of the time goes into waiting for the store."""
DAY = timedelta(hours=24)
DEFAULT_RATE = 10.0
"""Requests a second that TikTok permits a Basic app."""

How = Literal["well", "running", "waiting", "failing", "dead", "late", "never"]
"""How a Sheet is: the last run was good, one is under way or waits, the last one failed, gives no sign of life …; late:
nothing has succeeded for long although a schedule starts imports; never: nothing has run."""
NEEDS_SOMEBODY: frozenset[How] = frozenset({"failing", "dead", "late"})
_ORDER: Sequence[How] = ("failing", "dead", "late", "waiting", "running", "never", "well")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one Sheet is. ``lag`` is the time since the last success; ``requests`` are TikTok's of the last 24 hours."""

    book: str
    how: How
    succeeded: datetime | None = None
    lag: timedelta | None = None
    rows: int = 0
    requests: int = 0
    cause: str = ""
    secret: str = ""

    def facts(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {
            "spreadsheet_id": self.book,
            "how": self.how,
            "succeeded": self.succeeded.isoformat(timespec="seconds") if self.succeeded else None,
            "lag_hours": round(self.lag.total_seconds() / 3600, 1) if self.lag is not None else None,
            "rows": self.rows,
            "requests_24h": self.requests,
            "cause": self.cause,
            "secret": self.secret,
        }


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of what TikTok permits a token's app its Sheets have used in the last 24 hours."""

    secret: str
    sheets: int
    requests: int
    rate: float

    @property
    def share(self) -> float:
        """The share of all the requests that a day permits: 1 is all of them."""
        return self.requests / (self.rate * DAY.total_seconds())

    @property
    def sentence(self) -> str:
        """It as a sentence for people."""
        used = f"{counted(self.requests, 'request')} in 24 hours, {100 * self.share:.1f} % of {self.rate:g} a second"
        return f"{self.secret}: {counted(self.sheets, 'Sheet')}, {used}."


def standing(ledger: Ledger, now: datetime, stale_after: timedelta, secret: str = "") -> Standing:
    """Return how the Sheet of a ledger is."""
    ended = [e for e in ledger.runs if e.phase is Phase.ENDED and e.state is not State.CANCELLED]
    last = max(ended, key=lambda e: e.ended or e.alive, default=None)
    good = max((e for e in ended if e.state is State.DONE), key=lambda e: e.ended or e.alive, default=None)
    lag = now - ledger.succeeded if ledger.succeeded else None
    how, cause = _how(ledger, last, now, lag, stale_after)
    requests = sum(e.requests for e in ledger.runs if now - e.alive < DAY)
    return Standing(ledger.book, how, ledger.succeeded, lag, good.rows if good else 0, requests, cause, secret)


def _how(
    ledger: Ledger, last: Entry | None, now: datetime, lag: timedelta | None, stale_after: timedelta
) -> tuple[How, str]:
    current = ledger.current
    if current and current.phase is Phase.RUNNING and now - current.alive > GONE_AFTER:
        return "dead", f"No sign of life since {current.alive:%Y-%m-%d %H:%M} UTC."
    if last and last.state is not State.DONE:
        return "failing", last.message
    if ledger.scheduled and lag is not None and lag > stale_after:
        return "late", current.note if current else ""
    if current:
        return ("running", "") if current.phase is Phase.RUNNING else ("waiting", current.note)
    return ("well", "") if last else ("never", "")


def look(kept: Ledgers, registered: Mapping[str, Registered], now: datetime, stale_after: timedelta) -> list[Standing]:
    """Return how all Sheets are, those that need somebody first. Without a registry: all that have a ledger."""
    books: Collection[str] = registered or kept.books()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ledgers = list(pool.map(kept.read, books))
    found = [standing(one, now, stale_after, _secret(registered, one.book)) for one in ledgers]
    return sorted(found, key=lambda s: (_ORDER.index(s.how), -(s.lag or timedelta()), s.book))


def _secret(registered: Mapping[str, Registered], book: str) -> str:
    return registered[book].secret if book in registered else ""


def quotas(found: Sequence[Standing], registered: Mapping[str, Registered]) -> list[Quota]:
    """Return what each token's app has used, the busiest first; nothing without a registry."""
    by_secret: defaultdict[str, list[Standing]] = defaultdict(list)
    for one in found:
        by_secret[one.secret].append(one)
    rates = {e.secret: e.requests_per_second or DEFAULT_RATE for e in registered.values()}
    all_ = [
        Quota(secret, len(ones), sum(one.requests for one in ones), rates[secret])
        for secret, ones in by_secret.items()
        if secret in rates
    ]
    return sorted(all_, key=lambda q: -q.share)


def summary(found: Sequence[Standing]) -> str:
    """Return how all of them are, as one sentence."""
    bad = sum(one.how in NEEDS_SOMEBODY for one in found)
    return (
        f"{bad} of {counted(len(found), 'Sheet')} need somebody."
        if bad
        else f"{counted(len(found), 'Sheet')}, all well."
    )


def cells(one: Standing) -> tuple[str, ...]:
    """Return a Sheet as the cells of a row, below ``HEADINGS``."""
    when = f"{one.succeeded:%Y-%m-%d %H:%M}" if one.succeeded else "–"
    lag = duration(one.lag.total_seconds()) if one.lag is not None else "–"
    return one.book, one.how, when, lag, f"{one.rows:,}", f"{one.requests:,}", one.secret, one.cause


HEADINGS = ("spreadsheet", "state", "last success (UTC)", "lag", "rows", "requests in 24 h", "secret", "cause")

_STYLE = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#202124}table{border-collapse:collapse}"
    "th,td{text-align:left;padding:.3em .8em;border-bottom:1px solid #dadce0;vertical-align:top}"
    ".failing,.dead,.late{background:#fce8e6}.waiting,.running{background:#e8f0fe}"
)


def page(found: Sequence[Standing], used: Sequence[Quota], now: datetime) -> str:
    """Return it as a page of HTML, which loads nothing and runs nothing."""
    head = "".join(f"<th>{escape(one)}</th>" for one in HEADINGS)
    rows = []
    for one in found:
        book, *rest = cells(one)
        link = f'<a href="https://docs.google.com/spreadsheets/d/{escape(book)}">{escape(book)}</a>'
        rows.append(f'<tr class="{one.how}"><td>{link}</td>{"".join(f"<td>{escape(c)}</td>" for c in rest)}</tr>')
    quota = "".join(f"<li>{escape(one.sentence)}</li>" for one in used)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>TikTok Ads imports</title><style>{_STYLE}</style>'
        f"<h1>TikTok Ads imports</h1><p>{escape(summary(found))} {now:%Y-%m-%d %H:%M} UTC.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"<h2>TikTok's quota</h2><ul>{quota}</ul></html>"
    )
