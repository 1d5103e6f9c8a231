"""What a Sheet keeps of checks with TikTok, beside the seals in its hidden tab; see ``months`` and ``trust.kept``.

Nothing is written at once: a Sheet has a quota of calls. What came of the checks is written with the next batch of
rows, or at the end, together with the tab *Numbers*. What a day's sums were before they changed is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from owox_tiktok.model import Advertiser
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.months import Kept, kept_in, marked
from owox_tiktok.sheets.state import REQUESTS, Pair
from owox_tiktok.sheets.steps import Steps
from owox_tiktok.trust.kept import Run
from owox_tiktok.trust.verdicts import TO_READ_AGAIN, VERIFIED, DayChecked

DaysOfPair = dict[date, Kept]


class Proofs(Steps):
    """The part of a Sheet that keeps what checks came to."""

    def __init__(self, book: Spreadsheet) -> None:
        super().__init__(book)
        self.advertisers: Sequence[Advertiser] = ()
        self._checked_at: datetime | None = None
        """The moment of the last check or run that *Numbers* does not show yet."""

    def keep_checks(self, checked: Sequence[DayChecked], at: datetime, proof: str) -> None:
        """Keep what checks of days came to, made ``at`` a moment; the last one of each day counts."""
        self._keep(marked(self._seals_known(), checked, at))
        self._checked_at = at

    def owed(self) -> Mapping[Pair, set[date]]:
        """Return the days that are to be read again because they were found wrong, by object and account."""
        return {
            pair: owed
            for pair, days in self._kept_days()
            if (owed := {day for day, one in days.items() if one.mark.verdict in TO_READ_AGAIN})
        }

    def wrong_before(self, since: datetime) -> Mapping[Pair, set[date]]:
        """Return the days that were found wrong since a moment, and were read again after that."""

        def again(one: Kept) -> bool:
            at = one.mark.wrong_at
            return at is not None and at >= since and one.sealed is not None and one.sealed.read_at > at

        return {
            pair: before
            for pair, days in self._kept_days()
            if (before := {day for day, one in days.items() if again(one)})
        }

    def verified(self) -> Mapping[Pair, Mapping[date, datetime | None]]:
        """Return when TikTok's total last confirmed each day, by object and account; None for never."""
        return {
            pair: {
                day: one.mark.verified_at if one.mark.verdict in VERIFIED else None
                for day, one in days.items()
                if one.sealed
            }
            for pair, days in self._kept_days()
        }

    def keep_run(self, run: Run) -> None:
        """Keep how many requests a run took; the rest is in the record of runs."""
        reading, checking = self.asked_so_far()
        self._keep({REQUESTS: f"{reading + run.requests} {checking + run.check_requests}"})
        self._checked_at = run.began_at

    def asked_so_far(self) -> tuple[int, int]:
        """Return how many requests all runs took to read, and how many to check."""
        try:
            reading, checking = map(int, self._seals_known().get(REQUESTS, "0 0").split())
        except ValueError:  # somebody has edited the hidden tab
            return 0, 0
        return reading, checking

    def restated(self, day: date) -> Sequence[Mapping[str, Any]]:
        """Return nothing: a Sheet has no room for what a day's sums were before each change."""
        return ()

    def _kept_days(self) -> Iterator[tuple[Pair, DaysOfPair]]:
        """Yield what is kept of days, by object and account."""
        found: dict[Pair, DaysOfPair] = {}
        for key, text in self._seals_known().items():
            if key != REQUESTS:
                pair = key[0].partition(" ")[0], key[1]
                days = ((day, one) for day, one in kept_in(key, text).items() if day)
                found.setdefault(pair, {}).update(days)
        yield from found.items()

    def _keep(self, texts: Mapping[Pair, str]) -> None:
        self._seals_known().update(texts)
        self._unwritten_seals |= texts

    def _seals_known(self) -> dict[Pair, str]:
        if self._sealed is None:
            self._read_state(with_seals=True)
        assert self._sealed is not None
        return self._sealed
