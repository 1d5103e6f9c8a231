"""What a Sheet keeps of days, in its hidden tab: seals, and what comparing them with TikTok came to.

One row per object, account and month; its days stand in one cell, since a row for each would be too many:

    ad_id advertiser_id clicks …                  the columns of the days below
    30 120 9f3a41c2d0e8b756 1772366400 12.5 - … equal 1772370000 - 12.5
    31 …

A line is the day, rows, fingerprint, when it was read, and the sums (- for none); behind them the verdict, when TikTok
last confirmed the day, when it was last found wrong, what the account itself spent on it, and why, in words. A line
that has seen no check ends before the verdict. A day that no import has read, and is missing, has ``-`` for its rows.

Day 0 is the one seal of an object without days. A row's first cell is the object with its month, so that rows of the
hidden tab are known by their first two cells, cursors and seals alike. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from owox_tiktok.model import Seal, Sealed, Stream
from owox_tiktok.sheets.cells import MOST_CHARACTERS, settled
from owox_tiktok.trust.seals import CONTROLS, hexadecimal
from owox_tiktok.trust.verdicts import NOT_RIGHT, TO_READ_AGAIN, VERIFIED, DayChecked, Verdict

MOST_OF_REASON = 200
"""Characters that are kept of why a day has its verdict."""
_OF_SEAL = 4 + len(CONTROLS)
_OF_MARK = 4
Pair = tuple[str, str]
Days = Mapping[date | None, Sealed | None]
"""Seals to be kept by day; None where the day has none any more."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What comparing a day with TikTok came to: the last verdict, None where its rows were not compared yet.

    ``verified_at`` is when a total of TikTok's confirmed these rows, ``wrong_at`` when a check last found the day's
    rows (these or earlier ones) wrong, ``account`` what the account itself spent that day, where that was asked.
    """

    verdict: Verdict | None = None
    reason: str = ""
    verified_at: datetime | None = None
    wrong_at: datetime | None = None
    account: Decimal | None = None

    def of(self, checked: DayChecked, at: datetime) -> Mark:
        """Return what is known after another check."""
        return Mark(
            checked.verdict,
            checked.reason,
            at if checked.verdict in VERIFIED else self.verified_at,
            at if checked.verdict in NOT_RIGHT else self.wrong_at,
            self.account if checked.account is None else checked.account,
        )

    def after(self, was: Sealed | None, now: Sealed, *, confirmed: bool) -> Mark:
        """Return what is known once the day is stored as ``now``; ``confirmed`` by TikTok's total in the read."""
        same = was is not None and (was.seal, was.fields) == (now.seal, now.fields)
        kept = self if same else Mark(wrong_at=self.wrong_at)
        if confirmed:
            good = kept.verdict in VERIFIED  # why the account has more elsewhere is as true as it was
            verdict, reason = (kept.verdict, kept.reason) if good else (Verdict.EQUAL, "")
            return replace(kept, verdict=verdict, reason=reason, verified_at=now.read_at)
        return replace(kept, verdict=None, reason="") if kept.verdict in TO_READ_AGAIN else kept


UNKNOWN = Mark()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a day; ``sealed`` is None where no import has read it."""

    sealed: Sealed | None
    mark: Mark = UNKNOWN


def key_of(stream: Stream | str, advertiser_id: str, day: date | None) -> Pair:
    """Return the first two cells of the row that holds a day."""
    name = stream if isinstance(stream, str) else stream.name
    return f"{name} {'all' if day is None else format(day, '%Y-%m')}", advertiser_id


def is_key_of(stream: Stream, advertiser_id: str, key: Pair) -> bool:
    """Whether a row holds days of the pair."""
    return key[1] == advertiser_id and key[0].startswith(f"{stream.name} ")


def changed(
    stream: Stream,
    kept: Mapping[Pair, str],
    changes: Mapping[str, Days],
    confirmed: Mapping[str, Collection[date]] | None = None,
) -> dict[Pair, str]:
    """Return the months that change, as texts, once seals of days (by advertiser) are set or gone; "" is none.

    ``confirmed`` are the days that TikTok's totals confirm as they are stored now.
    """
    months: dict[Pair, dict[date | None, Kept]] = {}
    for advertiser_id, days in changes.items():
        fine = (confirmed or {}).get(advertiser_id, ())
        for day, sealed in days.items():
            key = key_of(stream, advertiser_id, day)
            if key not in months:
                months[key] = kept_in(key, kept.get(key, ""))
            if sealed is None:
                months[key].pop(day, None)
            else:
                was = months[key].get(day, Kept(None))
                months[key][day] = Kept(sealed, was.mark.after(was.sealed, sealed, confirmed=day in fine))
    return _texts(months, kept)


def marked(kept: Mapping[Pair, str], checked: Collection[DayChecked], at: datetime) -> dict[Pair, str]:
    """Return the months that change, as texts, once these days were compared.

    A day that is not stored is kept where it is missing.
    """
    months: dict[Pair, dict[date | None, Kept]] = {}
    for one in checked:
        key = key_of(one.object, one.advertiser_id, one.day)
        if key not in months:
            months[key] = kept_in(key, kept.get(key, ""))
        was = months[key].get(one.day, Kept(None))
        if was.sealed or one.verdict is Verdict.MISSING:
            months[key][one.day] = Kept(was.sealed, was.mark.of(one, at))
        else:
            months[key].pop(one.day, None)
    return _texts(months, kept)


def _texts(months: Mapping[Pair, Mapping[date | None, Kept]], kept: Mapping[Pair, str]) -> dict[Pair, str]:
    texts = {key: _packed(days) for key, days in months.items()}
    return {key: text for key, text in texts.items() if text or key in kept}


def _packed(days: Mapping[date | None, Kept]) -> str:
    """Return a month as the text of one cell; where that would be too long, its last days only."""
    lines: list[str] = []
    fields: tuple[str, ...] | None = None
    size = 0
    # From the last day up, so that the first ones are missing where there is no room for all: no seal says nothing.
    for day, one in sorted(days.items(), key=lambda item: item[0] or date.min, reverse=True):
        of = one.sealed.fields if one.sealed else fields or ("-",)
        heading = [] if of == fields else [" ".join(of)]
        line = _line(day, one)
        size += len(line) + 1 + sum(len(h) + 1 for h in heading)
        if size > MOST_CHARACTERS:
            break
        lines += [*heading, line]
        fields = of
    return "\n".join(lines)


def _line(day: date | None, one: Kept) -> str:
    mark = one.mark
    parts: list[object] = [day.day if day else 0]
    if one.sealed:
        seal = one.sealed.seal
        sums = [getattr(seal, name) for name in CONTROLS]
        parts += [seal.rows, hexadecimal(seal.fingerprint), int(one.sealed.read_at.timestamp())]
        parts += ["-" if s is None else format(s, "f" if isinstance(s, Decimal) else "d") for s in sums]
    else:
        parts += ["-"] * (_OF_SEAL - 1)
    if mark != UNKNOWN:
        moments = ("-" if at is None else int(at.timestamp()) for at in (mark.verified_at, mark.wrong_at))
        amount = "-" if mark.account is None else format(mark.account, "f")
        parts += [_CODES[mark.verdict], *moments, amount]
        if mark.reason:
            parts.append(" ".join(settled(mark.reason).split())[:MOST_OF_REASON])
    return " ".join(map(str, parts))


_CODES: Mapping[Verdict | None, str] = {None: "-"} | {v: v.name.lower() for v in Verdict}
_VERDICTS: Mapping[str, Verdict | None] = {code: verdict for verdict, code in _CODES.items()}


def days_in(key: Pair, text: str) -> dict[date | None, Sealed]:
    """Return the seals of a month; none of a text that a person has changed so that it says nothing any more."""
    return {day: one.sealed for day, one in kept_in(key, text).items() if one.sealed}


def kept_in(key: Pair, text: str) -> dict[date | None, Kept]:
    """Return all that is kept of a month; nothing of a text that a person has changed so that it says nothing."""
    found: dict[date | None, Kept] = {}
    month = key[0].rpartition(" ")[2]
    fields: tuple[str, ...] = ()
    try:
        for line in text.splitlines():
            if not line[:1].isdigit():
                fields = tuple(line.split())
                continue
            day, *parts = line.split(" ", _OF_SEAL + _OF_MARK)
            when = None if month == "all" else date.fromisoformat(f"{month}-{int(day):02}")
            sealed = None if parts[0] == "-" else _sealed(parts[: _OF_SEAL - 1], fields)
            mark = UNKNOWN
            with suppress(ValueError, ArithmeticError, OverflowError, KeyError):  # a seal counts without it
                mark = _mark(parts[_OF_SEAL - 1 :])
            if sealed or mark.verdict is Verdict.MISSING:
                found[when] = Kept(sealed, mark)
    except (ValueError, ArithmeticError, TypeError, OverflowError, IndexError):
        return {}
    return found


def _sealed(parts: list[str], fields: tuple[str, ...]) -> Sealed:
    rows, fingerprint, read_at, spend, *counts = parts
    seal = Seal(
        int(rows),
        int(fingerprint, 16),
        None if spend == "-" else Decimal(spend),
        **{name: None if c == "-" else int(c) for name, c in zip(CONTROLS[1:], counts, strict=True)},
    )
    return Sealed(seal, fields, datetime.fromtimestamp(int(read_at), UTC))


def _mark(parts: list[str]) -> Mark:
    if not parts:
        return UNKNOWN
    code, verified_at, wrong_at, amount, *reason = parts
    moments = (None if at == "-" else datetime.fromtimestamp(int(at), UTC) for at in (verified_at, wrong_at))
    verified, wrong = moments
    return Mark(_VERDICTS[code], " ".join(reason), verified, wrong, None if amount == "-" else Decimal(amount))
