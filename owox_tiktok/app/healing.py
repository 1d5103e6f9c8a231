"""What was found damaged before an import, which of it is read again, and what came back of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date

from owox_tiktok.app.proofs import again_in_words, to_read_again
from owox_tiktok.events import Warned
from owox_tiktok.model import Audit, Audited, Destination
from owox_tiktok.plan import Pair
from owox_tiktok.settings import Settings
from owox_tiktok.trust.audit import by_stream, sentences

BACK = "they are back"
OTHERS = "they were read again, and TikTok has other rows or values by now"

_Days = dict[tuple[str, str], set[date | None]]
"""Days by object and account; None stands for a list."""


class Healing:
    """Days that differ from what was stored, found by an audit, and days that a check has found wrong.

    ``damaged`` is read again whatever the cursors say. A ``backfill`` reads what it was asked for, and heals nothing.
    """

    def __init__(self, destination: Destination, settings: Settings, *, backfill: bool) -> None:
        self._destination, self._settings = destination, settings
        self._audit = Audit()
        if isinstance(destination, Audited) and not backfill:
            self._audit = destination.audit(settings.objects)
        self._owed = {} if backfill else to_read_again(destination)
        self._read: _Days = {}
        self._owed_read: _Days = {}
        self._back: _Days = {}
        self._changed: _Days = {}

    @property
    def damaged(self) -> Mapping[tuple[str, str], Collection[date | None]]:
        """The days by object and account."""
        pairs = {**self._audit.differing, **self._owed}
        return {pair: {*self._audit.differing.get(pair, ()), *self._owed.get(pair, ())} for pair in pairs}

    def begin(self, pairs: Sequence[Pair]) -> Iterator[Warned]:
        """Take the plan; yield what was put right at once, and what is read again."""
        self._read = _planned(pairs, self._audit.differing)
        self._owed_read = _planned(pairs, self._owed)
        for name, note in self._audit.notes:
            yield Warned(name, "", note)
        for name, differing in by_stream(self._audit.differing).items():
            for sentence in sentences(differing, self._read, "they are read again"):
                yield Warned(name, "", sentence)

    def end(self, failed: Collection[tuple[str, str]]) -> None:
        """See what is stored now of the pairs that have not ``failed``; to be called before anything is pruned."""
        streams = {stream.name: stream for stream in self._settings.objects}
        self._owed_read = {pair: days for pair, days in self._owed_read.items() if pair not in failed}
        for (name, advertiser_id), days in self._read.items():
            if not days or (name, advertiser_id) in failed:
                continue
            sealed = self._destination.seals(streams[name], advertiser_id)
            for day in days:
                was, _ = self._audit.differing[name, advertiser_id][day]
                same = day in sealed and sealed[day].seal == was
                (self._back if same else self._changed).setdefault((name, advertiser_id), set()).add(day)

    def in_words(self) -> tuple[str, ...]:
        """Return what was read again and what came of it, in sentences with no full stop."""
        differing = self._audit.differing
        found = [*sentences(differing, self._back, BACK), *sentences(differing, self._changed, OTHERS)]
        return (*found, *again_in_words(self._owed_read))


def _planned(pairs: Sequence[Pair], differing: Mapping[tuple[str, str], Collection[date | None]]) -> _Days:
    """Return the days that differ and are read in this run; others are not imported any more."""
    again: _Days = {}
    for pair in pairs:
        days = differing.get(pair.key, ())
        windows = [w for w in pair.windows if w and pair.stream.time]
        again[pair.key] = {d for d in days if d is None or any(w.first <= d <= w.last for w in windows)}
    return again
