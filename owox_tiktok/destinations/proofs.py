"""What a database keeps of checks, beside its seals: see ``trust.kept``.

``KeepsProofs`` reads it, ``KeepsProofsInTransactions`` writes it where statements run one by one in a transaction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Any

from owox_tiktok.cursors import Part
from owox_tiktok.dialects import Dialect
from owox_tiktok.model import Chunk, Stream
from owox_tiktok.trust.kept import (
    CHECKS,
    IN_THE_READ,
    RESTATEMENT,
    RUNS,
    TABLES,
    Run,
    credit_sql,
    history_sql,
    insert_sql,
    judge_sql,
    owed_sql,
    read_again_sql,
    restate_sql,
    said_of,
    values_of,
    verified_sql,
    wrong_before_sql,
)
from owox_tiktok.trust.seals import NOTHING, Rest, of_step, spans_of_days
from owox_tiktok.trust.verdicts import DayChecked, Verdict, stretches


class KeepsProofs(ABC):
    """The part of a destination that knows what checks came to."""

    dialect: Dialect
    run_id: str
    newest = ""
    """The column by which the last row of a day counts, where rows of days are only added."""

    @abstractmethod
    def _sentences(self, stream: Stream | None = None) -> AbstractContextManager[None]:
        """The database's own errors become StoreFailed."""

    @abstractmethod
    def _found(self, name: str) -> Any:
        """Return a table or view; None when there is none."""

    @abstractmethod
    def _asked(self, statement: str) -> Iterable[Sequence[Any]]:
        """Return the rows of a query over any of our tables."""

    def owed(self) -> dict[tuple[str, str], set[date]]:
        """Return the days that are to be read again because they were found wrong, by object and account."""
        return self._days_of(owed_sql(self.dialect, self.newest)) if self._is_kept() else {}

    def wrong_before(self, since: datetime) -> dict[tuple[str, str], set[date]]:
        """Return the days that were found wrong since a moment, and were read again after that."""
        return self._days_of(wrong_before_sql(self.dialect, since, self.newest)) if self._is_kept() else {}

    def verified(self) -> dict[tuple[str, str], dict[date, datetime | None]]:
        """Return when TikTok's total last confirmed each day, by object and account; None for never."""
        found: dict[tuple[str, str], dict[date, datetime | None]] = {}
        if self._is_kept():
            for name, advertiser_id, day, at in self._told(verified_sql(self.dialect, self.newest)):
                found.setdefault((name, advertiser_id), {})[day] = at and at.replace(tzinfo=UTC)
        return found

    def asked_so_far(self) -> tuple[int, int]:
        """Return how many requests all runs took to read, and how many to check."""
        if not self._is_kept():
            return 0, 0
        ((reading, checking),) = self._told(credit_sql(self.dialect))
        return int(reading or 0), int(checking or 0)

    def restated(self, day: date) -> list[Mapping[str, Any]]:
        """Return what a day's sums were before each change, oldest first; the columns are those of ``RESTATEMENT``."""
        if not self._is_kept():
            return []
        names = [part.name for part in RESTATEMENT]
        return [dict(zip(names, row, strict=True)) for row in self._told(history_sql(self.dialect, day))]

    def _is_kept(self) -> bool:
        with self._sentences():
            return self._found(RUNS) is not None

    def _told(self, statement: str) -> list[Sequence[Any]]:
        with self._sentences():
            return list(self._asked(statement))

    def _days_of(self, statement: str) -> dict[tuple[str, str], set[date]]:
        found: dict[tuple[str, str], set[date]] = {}
        for name, advertiser_id, day in self._told(statement):
            found.setdefault((name, advertiser_id), set()).add(day)
        return found


class KeepsProofsInTransactions(KeepsProofs):
    """The part of a destination that writes what checks came to."""

    @abstractmethod
    def _transaction(self, stream: Stream | None = None) -> AbstractContextManager[None]:
        """All or nothing."""

    @abstractmethod
    def _make_ready(self, name: str, description: str, parts: Sequence[Part], stream: Stream | None = None) -> None:
        """Create a table, or add the columns it lacks."""

    @abstractmethod
    def _changed(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a statement that inserts, deletes or updates."""

    # --- in the transaction that stores rows --------------------------------------------------------------------------

    def _make_proofs(self) -> None:
        for name, (about, parts) in TABLES.items():
            self._make_ready(name, about, parts)

    def _keep_restated(self, chunks: Sequence[Chunk], rest: Rest, table_id: str) -> None:
        """Keep what the days of chunks were, before their seals are replaced."""
        stream = chunks[0].stream
        if stream.time is None:
            return
        read_on = {c.advertiser_id: c.cursor.read_on for c in chunks if c.cursor}
        if statement := restate_sql(self.dialect, stream, of_step(chunks, rest), table_id, read_on, self.run_id):
            self._changed(statement)

    def _keep_confirmed(self, chunks: Sequence[Chunk]) -> None:
        """Note which days were read again and are as they were, and which TikTok's totals have confirmed."""
        stream = chunks[0].stream
        for chunk in chunks:
            kept = sorted(day for day in chunk.kept if day is not None)
            if kept:
                spans = spans_of_days(chunk.advertiser_id, kept)
                self._changed(read_again_sql(self.dialect, chunk, spans))
            if chunk.confirmed is None:
                continue
            span = (chunk.advertiser_id, chunk.confirmed.first, chunk.confirmed.last)
            self._changed(judge_sql(self.dialect, stream.name, [span], Verdict.EQUAL, "", chunk.read_at))
            days = [
                DayChecked(stream.name, chunk.advertiser_id, day, Verdict.EQUAL, "", chunk.seals.get(day, NOTHING))
                for day in chunk.confirmed
            ]
            self._add_checks(days, chunk.read_at, IN_THE_READ)

    def _add_checks(self, days: Sequence[DayChecked], at: datetime, proof: str) -> None:
        for stretch in stretches(days):
            values = values_of(stretch, at, proof) | {"run": self.run_id}
            self._changed(insert_sql(self.dialect, CHECKS, values), list(values.values()))

    # --- of checks ----------------------------------------------------------------------------------------------------

    def keep_checks(self, checked: Sequence[DayChecked], at: datetime, proof: str) -> None:
        """Keep what checks of days came to, made ``at`` a moment."""
        with self._transaction():
            self._add_checks(checked, at, proof)
            for stretch in stretches(checked):
                span = (stretch.advertiser_id, stretch.first, stretch.last)
                said = said_of(stretch)
                verdict = stretch.verdict
                self._changed(judge_sql(self.dialect, stretch.object, [span], verdict, stretch.reason, at, said))

    def keep_run(self, run: Run) -> None:
        """Keep what a run came to."""
        values = run.values() | {"run": self.run_id}
        with self._transaction():
            self._changed(insert_sql(self.dialect, RUNS, values), list(values.values()))
