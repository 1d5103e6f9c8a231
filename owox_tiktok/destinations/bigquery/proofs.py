"""What is kept of checks in BigQuery, beside the seals: see ``trust.kept``.

Rows are only added, so that imports and checks at the same time do not wait for each other. A verdict on a day is the
last row of the day once more, with the verdict. Its moment is that row's, and a microsecond: rows that an import stores
meanwhile are newer, and their day begins without a verdict. What an import itself confirms is part of the rows that it
adds anyway, so it costs no job.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import islice

from owox_tiktok.destinations.bigquery.sql import ROWS_OF_SEALS, WRITTEN_AT, insert_rows_sql
from owox_tiktok.destinations.proofs import KeepsProofs
from owox_tiktok.dialects import SEALS, Dialect
from owox_tiktok.model import Chunk, Kind, Sealed, Stream
from owox_tiktok.trust.kept import (
    CHECK,
    CHECKS,
    IN_THE_READ,
    RESTATEMENT,
    RESTATEMENTS,
    RUN,
    RUNS,
    SAID,
    VERDICT,
    Run,
    days_of,
    restated,
    said_of,
    values_of,
)
from owox_tiktok.trust.seals import FINAL, PROVISIONAL, digits_of, insert_sql, status_of
from owox_tiktok.trust.verdicts import TO_READ_AGAIN, VERIFIED, DayChecked, Stretch, Verdict, stretches

MOST_STRETCHES = 500
"""A statement may be of a million characters; a stretch of days takes some hundred."""
Days = Mapping[str, Mapping[date | None, Sealed]]
"""Seals by advertiser and day."""


class Proofs(KeepsProofs):
    """The part of the BigQuery destination that keeps what checks came to."""

    @abstractmethod
    def _begin(self) -> None:
        """Make the tables of our own ready."""

    @abstractmethod
    def _run_all(self, statements: Sequence[str]) -> None:
        """Run statements, all or nothing."""

    def keep_checks(self, checked: Sequence[DayChecked], at: datetime, proof: str) -> None:
        """Keep what checks of days came to, made ``at`` a moment."""
        left = iter(stretches(checked))
        while some := list(islice(left, MOST_STRETCHES)):
            with self._sentences():
                self._begin()
                rows = [values_of(stretch, at, proof) | {"run": self.run_id} for stretch in some]
                checks = insert_rows_sql(self.dialect, CHECKS, CHECK, rows)
                self._run_all([*checks, _judge_sql(self.dialect, some, at)])

    def keep_run(self, run: Run) -> None:
        """Keep what a run came to."""
        with self._sentences():
            self._begin()
            self._run_all(list(insert_rows_sql(self.dialect, RUNS, RUN, [run.values() | {"run": self.run_id}])))


def to_note(chunk: Chunk, day: date | None, verdict: str | None, status: str | None) -> bool:
    """Whether a day that is stored as it was read needs a row all the same; its last one has this verdict and status.

    So it is once a day that was provisional is final.
    """
    if status == PROVISIONAL and status_of(chunk, day, 1) == FINAL:
        return True
    if verdict is None:
        return day is not None and _is_confirmed(chunk, day)
    return Verdict(verdict) in TO_READ_AGAIN


def _is_confirmed(chunk: Chunk, day: date | None) -> bool:
    return day is not None and chunk.confirmed is not None and chunk.confirmed.first <= day <= chunk.confirmed.last


def seal_sql(
    dialect: Dialect, chunks: Sequence[Chunk], seals: Days, table_id: str, rest: str, before: Days, run: str
) -> Iterator[str]:
    """Yield the statements that land with the seals of a step, the seals among them.

    They say which days TikTok's totals have confirmed, and what those were ``before`` whose sums change.
    """
    stream = chunks[0].stream
    confirmed: dict[str, dict[date | None, Sealed]] = {}
    others: dict[str, dict[date | None, Sealed]] = {}
    for advertiser_id, days in seals.items():
        whole = [chunk for chunk in chunks if chunk.advertiser_id == advertiser_id]
        for day, sealed in days.items():
            of = confirmed if any(_is_confirmed(chunk, day) for chunk in whole) else others
            of.setdefault(advertiser_id, {})[day] = sealed
    written = {WRITTEN_AT: "CURRENT_TIMESTAMP()"}
    yield from insert_sql(dialect, chunks, others, table_id, written, rest)
    if confirmed:
        at = chunks[0].read_at
        equal = {"verified_at": _moment(dialect, at), "verdict": dialect.text(str(Verdict.EQUAL))}
        yield from insert_sql(dialect, chunks, confirmed, table_id, written | equal, rest)
        rows = [values_of(each, at, IN_THE_READ) | {"run": run} for each in stretches(_checked(stream, confirmed))]
        yield from insert_rows_sql(dialect, CHECKS, CHECK, rows)
    read_on = {c.advertiser_id: c.cursor.read_on for c in chunks if c.cursor}
    yield from insert_rows_sql(dialect, RESTATEMENTS, RESTATEMENT, restated(stream, seals, before, read_on, run))


def _checked(stream: Stream, seals: Days) -> Iterator[DayChecked]:
    for advertiser_id, days in seals.items():
        for day, sealed in days.items():
            if day is not None:
                yield DayChecked(stream.name, advertiser_id, day, Verdict.EQUAL, "", sealed.seal)


def _moment(dialect: Dialect, at: datetime) -> str:
    return f"CAST({dialect.text(at.astimezone(UTC).isoformat(' '))} AS {dialect.types[Kind.INSTANT]})"


def _judge_sql(dialect: Dialect, some: Sequence[Stretch], at: datetime) -> str:
    """Return the statement that puts verdicts on days; one that says what was said within an hour adds nothing."""
    rows = [
        [
            stretch.object,
            stretch.advertiser_id,
            stretch.first.isoformat(),
            stretch.last.isoformat(),
            str(stretch.verdict),
            " ".join(stretch.reason.replace("|", "/").split()) or None,
            "yes" if stretch.verdict in VERIFIED else None,
            *(None if amount is None else digits_of(amount) for amount in said_of(stretch).values()),
        ]
        for stretch in some
    ]
    names = ["object", "advertiser_id", "first", "last", "verdict", "reason", "good", *SAID]
    given = dialect.rows_of_texts(names, rows)
    moment = _moment(dialect, at)
    verified = f"CASE WHEN given.good IS NULL THEN days.verified_at ELSE {moment} END"
    new = {
        "verified_at": verified,
        "verdict": "given.verdict",
        "reason": "given.reason",
        **{p.name: f"CAST(given.{p.name} AS {dialect.types[p.kind]})" for p in VERDICT if p.name in SAID},
        WRITTEN_AT: f"TIMESTAMP_ADD(days.{WRITTEN_AT}, INTERVAL 1 MICROSECOND)",
    }
    names = [part.name for part in ROWS_OF_SEALS]
    picked = ", ".join(new.get(n, f"days.{dialect.name(n)}") for n in names)
    day = dialect.types[Kind.DAY]
    return (
        f"INSERT INTO {dialect.table(SEALS)} ({', '.join(map(dialect.name, names))}) SELECT {picked} "
        f"FROM {days_of(dialect, WRITTEN_AT)} AS days JOIN {given} "
        "ON days.object = given.object AND days.advertiser_id = given.advertiser_id "
        f"AND days.day >= CAST(given.first AS {day}) AND days.day <= CAST(given.last AS {day}) "
        "WHERE days.verdict IS DISTINCT FROM given.verdict OR days.reason IS DISTINCT FROM given.reason "
        f"OR (given.good IS NOT NULL AND TIMESTAMP_DIFF({moment}, days.verified_at, MINUTE) >= 60)"
    )
