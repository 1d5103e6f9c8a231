"""What is kept of checks: the columns of its tables, and the SQL that writes and reads them. Run elsewhere.

    _owox_tiktok_days           one row per object, account and day: its seal (``seals``), and the last verdict on it.
                                A day that is stored with other rows begins without one
    _owox_tiktok_restatements   what a day's sums were before they changed, and after; rows are only added
    _owox_tiktok_checks         every comparison with TikTok, days in a row with the same verdict in one row; only added
    _owox_tiktok_runs           every import: what it read, asked and proved; only added

The first three are written in the transaction that stores the rows they speak of, or that stores the check. Where rows
are only added (``newest`` names the column of their moment), the last row of a day in the first table counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from owox_tiktok.cursors import Part
from owox_tiktok.dialects import MARK, SEALS, Dialect
from owox_tiktok.model import Chunk, Kind, Sealed, Stream
from owox_tiktok.trust.seals import CONTROLS, COUNTS, EMPTY, FINAL, PROVISIONAL, STATE, Span, digits_of
from owox_tiktok.trust.verdicts import NOT_RIGHT, TO_READ_AGAIN, VERIFIED, DayChecked, Stretch, Verdict

CHECKS = "_owox_tiktok_checks"
RESTATEMENTS = "_owox_tiktok_restatements"
RUNS = "_owox_tiktok_runs"

VERDICT = (
    Part("verified_at", Kind.INSTANT, "When TikTok's total last confirmed these rows"),
    Part("verdict", Kind.TEXT, "What the last check of the day came to; null where it was not checked since"),
    Part("reason", Kind.TEXT, "Why, in words"),
    Part("tiktok_spend", Kind.MONEY, "Spend as TikTok said then; null where it was asked for several days together"),
    *(Part(f"tiktok_{name}", Kind.COUNT, "As TikTok said then; null like tiktok_spend") for name in COUNTS),
)
"""The columns that the last verdict on a day has in the row of its seal."""
SAID = tuple(part.name for part in VERDICT[3:])
BESIDES = (*VERDICT, *STATE)
"""The columns that a stored seal has besides its own."""


def _amounts(before: str = "", after: str = "", what: str = "") -> tuple[Part, ...]:
    money = Part(f"{before}spend{after}", Kind.MONEY, f"Spend {what}")
    return (money, *(Part(f"{before}{n}{after}", Kind.COUNT, f"{n.capitalize()} {what}") for n in COUNTS))


_WHOSE = (
    Part("object", Kind.TEXT, "The object", required=True),
    Part("advertiser_id", Kind.ID, "The advertiser", required=True),
)
RESTATEMENT = (
    *_WHOSE,
    Part("day", Kind.DAY, "The day whose sums changed", required=True),
    Part("seen_at", Kind.INSTANT, "When the import began that read the new ones", required=True),
    Part("age_days", Kind.COUNT, "How many days the day was over then, by the account's calendar"),
    Part("rows_before", Kind.COUNT, "Rows before"),
    Part("rows_after", Kind.COUNT, "Rows after"),
    *_amounts(after="_before", what="before"),
    *_amounts(after="_after", what="after"),
    Part("run", Kind.TEXT, "The run, as in _run_id of its rows"),
)
CHECK = (
    Part("checked_at", Kind.INSTANT, "When it was checked", required=True),
    Part("proof", Kind.TEXT, "How: total in the read, or like for like", required=True),
    *_WHOSE,
    Part("first_day", Kind.DAY, "The first day", required=True),
    Part("last_day", Kind.DAY, "The last day; all between have the same verdict", required=True),
    Part("verdict", Kind.TEXT, "What it came to", required=True),
    Part("reason", Kind.TEXT, "Why, in words"),
    Part("rows", Kind.COUNT, "Rows here"),
    *_amounts(what="here"),
    *_amounts(before="tiktok_", what="as TikTok says, where it was asked for these days alone"),
    Part("requests", Kind.TEXT, "TikTok's names for the requests", many=True),
    Part("run", Kind.TEXT, "The run, as in _run_id of its rows"),
)
RUN = (
    Part("began_at", Kind.INSTANT, "When it began", required=True),
    Part("ended_at", Kind.INSTANT, "When it ended"),
    Part("state", Kind.TEXT, "What came of it"),
    Part("objects", Kind.TEXT, "The objects it read", many=True),
    Part("pairs", Kind.COUNT, "How many objects of accounts it read"),
    Part("failed", Kind.COUNT, "How many of them failed"),
    Part("rows", Kind.COUNT, "Rows stored"),
    Part("rows_confirmed", Kind.COUNT, "How many of them TikTok's totals confirm"),
    Part("requests", Kind.COUNT, "Requests to read"),
    Part("check_requests", Kind.COUNT, "Requests to check"),
    Part("days", Kind.COUNT, "Closed days that were compared"),
    Part("days_equal", Kind.COUNT, "How many of them are equal"),
    Part("proof", Kind.TEXT, "What it proved, in a sentence"),
    Part("run", Kind.TEXT, "The run, as in _run_id of its rows"),
)
TABLES: Mapping[str, tuple[str, tuple[Part, ...]]] = {
    RESTATEMENTS: (f"{MARK}: what a day's sums were before they changed", RESTATEMENT),
    CHECKS: (f"{MARK}: every comparison with TikTok", CHECK),
    RUNS: (f"{MARK}: every import and what it proved", RUN),
}
"""The tables besides that of the days: what they are about, and their columns."""
IN_THE_READ, LIKE_FOR_LIKE = "total in the read", "like for like"


@dataclass(frozen=True, slots=True)
class Run:
    """One import, as it is kept; the fields are the columns of ``RUN``."""

    began_at: datetime
    ended_at: datetime
    state: str
    objects: list[str]
    pairs: int
    failed: int
    rows: int
    rows_confirmed: int
    requests: int
    check_requests: int
    days: int
    days_equal: int
    proof: str
    run: str = ""

    def values(self) -> dict[str, Any]:
        """Return the values by column."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@runtime_checkable
class KeepsChecks(Protocol):
    """A destination that keeps what checks came to; the module says which tables it has."""

    def keep_checks(self, checked: Sequence[DayChecked], at: datetime, proof: str) -> None:
        """Keep what checks of days came to, made ``at`` a moment."""
        ...

    def owed(self) -> Mapping[tuple[str, str], set[date]]:
        """Return the days that are to be read again because they were found wrong, by object and account."""
        ...

    def wrong_before(self, since: datetime) -> Mapping[tuple[str, str], set[date]]:
        """Return the days that were found wrong since a moment, and were read again after that."""
        ...

    def verified(self) -> Mapping[tuple[str, str], Mapping[date, datetime | None]]:
        """Return when TikTok's total last confirmed each day, by object and account; None for never."""
        ...

    def keep_run(self, run: Run) -> None:
        """Keep what a run came to."""
        ...

    def asked_so_far(self) -> tuple[int, int]:
        """Return how many requests all runs took to read, and how many to check."""
        ...

    def restated(self, day: date) -> Sequence[Mapping[str, Any]]:
        """Return what a day's sums were before each change, oldest first."""
        ...


def values_of(stretch: Stretch, at: datetime, proof: str = LIKE_FOR_LIKE) -> dict[str, Any]:
    """Return a stretch of checked days as the values of ``CHECK``."""
    sums: dict[str, Any] = {}
    for name in CONTROLS:
        amounts = [amount for one in stretch.days if (amount := getattr(one.ours, name)) is not None]
        sums[name] = sum(amounts) if amounts else None
        theirs = [one.theirs.get(name) for one in stretch.days]
        whole = sum((t for t in theirs if t is not None), Decimal()) if None not in theirs else None
        sums[f"tiktok_{name}"] = whole if whole is None or name not in COUNTS else int(whole)
    return {
        "checked_at": at.astimezone(UTC),
        "proof": proof,
        "object": stretch.object,
        "advertiser_id": stretch.advertiser_id,
        "first_day": stretch.first,
        "last_day": stretch.last,
        "verdict": str(stretch.verdict),
        "reason": stretch.reason or None,
        "rows": sum(one.ours.rows for one in stretch.days),
        **sums,
        "requests": sorted({r for one in stretch.days for r in one.requests}),
    }


def restated(
    stream: Stream,
    seals: Mapping[str, Mapping[date | None, Sealed]],
    before: Mapping[str, Mapping[date | None, Sealed]],
    read_on: Mapping[str, date],
    run: str,
) -> list[dict[str, Any]]:
    """Return the days whose sums change when ``seals`` take the place of those ``before``, as values of RESTATEMENT.

    Both are by advertiser and day; ``read_on`` is the account's day on which it was read.
    """
    found = []
    for advertiser_id, days in seals.items():
        for day, sealed in days.items():
            had = before.get(advertiser_id, {}).get(day)
            if day is None or had is None:
                continue
            names = ("rows", *CONTROLS)
            sums = {
                f"{n}_{when}": getattr(of.seal, n) for n in names for when, of in (("before", had), ("after", sealed))
            }
            if all(sums[f"{n}_before"] == sums[f"{n}_after"] for n in names):
                continue
            found.append(
                {
                    "object": stream.name,
                    "advertiser_id": advertiser_id,
                    "day": day,
                    "seen_at": sealed.read_at,
                    "age_days": (read_on.get(advertiser_id, sealed.read_at.date()) - day).days,
                    **sums,
                    "run": run,
                }
            )
    return found


def insert_sql(dialect: Dialect, table: str, names: Iterable[str]) -> str:
    """Return the statement that adds one row, with ``$1`` for the first of the values."""
    known = list(names)
    places = ", ".join(f"${n}" for n in range(1, len(known) + 1))
    return f"INSERT INTO {dialect.table(table)} ({', '.join(map(dialect.name, known))}) VALUES ({places})"


def restate_sql(
    dialect: Dialect,
    stream: Stream,
    seals: Mapping[str, Mapping[date | None, Sealed]],
    table_id: str,
    read_on: Mapping[str, date],
    run: str = "",
) -> str:
    """Return the statement that keeps what days' sums were, to run before their seals are replaced; "" if none could.

    ``seals`` are those that will be stored, by advertiser and day; ``read_on`` the account's day on which it was read.
    """
    rows = []
    seen = None
    for advertiser_id, days in seals.items():
        for day, sealed in days.items():
            if day is not None:
                seal, seen = sealed.seal, sealed.read_at
                sums = [getattr(seal, name) for name in CONTROLS]
                age = (read_on.get(advertiser_id, seen.date()) - day).days
                texts = [None if s is None else digits_of(s) for s in sums]
                rows.append([advertiser_id, day.isoformat(), str(age), str(seal.rows), *texts])
    if not rows or seen is None:
        return ""
    name, types = dialect.name, dialect.types
    given = dialect.rows_of_texts(["advertiser_id", "day", "age", "rows", *CONTROLS], rows)
    kinds = {"rows": Kind.COUNT, "spend": Kind.MONEY, **dict.fromkeys(COUNTS, Kind.COUNT)}
    new = {n: f"CAST(given.{name(n)} AS {types[kind]})" for n, kind in kinds.items()}
    picked = [
        dialect.text(stream.name),
        "old.advertiser_id",
        "old.day",
        f"CAST({dialect.text(seen.astimezone(UTC).isoformat(' '))} AS {types[Kind.INSTANT]})",
        f"CAST(given.age AS {types[Kind.COUNT]})",
        f"old.{name('rows')}",
        new["rows"],
        *(f"old.{name(n)}" for n in CONTROLS),
        *(new[n] for n in CONTROLS),
        dialect.text(run),
    ]
    changed = " OR ".join(f"old.{name(n)} IS DISTINCT FROM {new[n]}" for n in kinds)
    return (
        f"INSERT INTO {dialect.table(RESTATEMENTS)} ({', '.join(name(p.name) for p in RESTATEMENT)}) "
        f"SELECT {', '.join(picked)} FROM {dialect.table(SEALS)} AS old JOIN {given} "
        f"ON old.advertiser_id = given.advertiser_id AND old.day = CAST(given.day AS {types[Kind.DAY]}) "
        f"WHERE old.object = {dialect.text(stream.name)} AND old.table_id = {dialect.text(table_id)} AND ({changed})"
    )


def days_of(dialect: Dialect, newest: str = "") -> str:
    """Return what stands behind FROM for the days, one row of each."""
    table = dialect.table(SEALS)
    if not newest:
        return table
    one = "PARTITION BY object, advertiser_id, day"
    return f"(SELECT * FROM {table} WHERE TRUE QUALIFY ROW_NUMBER() OVER ({one} ORDER BY {newest} DESC) = 1)"


def _of(dialect: Dialect, object_name: str, spans: Sequence[Span]) -> str:
    """Return the condition for the days of spans in the table of days."""
    parts = [
        f"(advertiser_id = {dialect.text(a)}"
        + (f" AND day >= DATE '{first}'" if first else "")
        + (f" AND day <= DATE '{last}'" if last else "")
        + ")"
        for a, first, last in spans
    ]
    return f"object = {dialect.text(object_name)} AND ({' OR '.join(parts)})"


def _texts(dialect: Dialect, verdicts: Iterable[Verdict]) -> str:
    return ", ".join(sorted(dialect.text(str(v)) for v in verdicts))


def _moment(dialect: Dialect, at: datetime) -> str:
    return f"CAST({dialect.text(at.astimezone(UTC).isoformat(' '))} AS {dialect.types[Kind.INSTANT]})"


def said_of(stretch: Stretch) -> dict[str, Any]:
    """Return TikTok's totals of a checked day by the columns of ``SAID``; null where days were asked for together."""
    values = values_of(stretch, datetime.min.replace(tzinfo=UTC)) if stretch.first == stretch.last else {}
    return {name: values.get(name) for name in SAID}


def read_again_sql(dialect: Dialect, chunk: Chunk, spans: Sequence[Span]) -> str:
    """Return the statement for days that were read and are stored as they were: a bad verdict on them is over.

    What was provisional may be final now.
    """
    at, stream = chunk.read_at, chunk.stream
    state = f"currency = {dialect.text(chunk.currency)}, " if chunk.currency else ""
    if chunk.read_on is not None and chunk.lookback is not None:
        settled = f"day < DATE '{chunk.read_on - timedelta(days=chunk.lookback)}'"
        state += (
            f"settles_on = day + {chunk.lookback + 1}, status = CASE WHEN {dialect.name('rows')} = 0 THEN '{EMPTY}' "
            f"WHEN {settled} THEN '{FINAL}' ELSE '{PROVISIONAL}' END, "
        )
    over = f"verdict IN ({_texts(dialect, TO_READ_AGAIN)})"
    return (
        f"UPDATE {dialect.table(SEALS)} SET {state}read_at = {_moment(dialect, at)}, "
        f"reason = CASE WHEN {over} THEN NULL ELSE reason END, verdict = CASE WHEN {over} THEN NULL ELSE verdict END "
        f"WHERE {_of(dialect, stream.name, spans)}"
    )


def judge_sql(
    dialect: Dialect,
    object_name: str,
    spans: Sequence[Span],
    verdict: Verdict,
    reason: str,
    at: datetime,
    said: Mapping[str, Any] | None = None,
) -> str:
    """Return the statement that puts a verdict on days; ``said`` are TikTok's totals, by the columns of ``SAID``."""
    amounts = {name: (said or {}).get(name) for name in SAID}
    totals = "".join(f", {n} = {'NULL' if a is None else digits_of(a)}" for n, a in amounts.items())
    verified = f", verified_at = {_moment(dialect, at)}" if verdict in VERIFIED else ""
    why = dialect.text(reason) if reason else "NULL"
    return (
        f"UPDATE {dialect.table(SEALS)} SET verdict = {dialect.text(str(verdict))}, reason = {why}{totals}{verified} "
        f"WHERE {_of(dialect, object_name, spans)}"
    )


def owed_sql(dialect: Dialect, newest: str = "") -> str:
    """Return the query for the days that are to be read again: object, account and day."""
    return (
        f"SELECT object, advertiser_id, day FROM {days_of(dialect, newest)} AS days "
        f"WHERE verdict IN ({_texts(dialect, TO_READ_AGAIN)}) AND day IS NOT NULL"
    )


def wrong_before_sql(dialect: Dialect, since: datetime, newest: str = "") -> str:
    """Return the query for what was wrong before and is stored newly since: object, account, first and last day."""
    days, checks = days_of(dialect, newest), dialect.table(CHECKS)
    return (
        f"SELECT DISTINCT checks.object, checks.advertiser_id, days.day FROM {checks} AS checks JOIN {days} AS days "
        "ON days.object = checks.object AND days.advertiser_id = checks.advertiser_id "
        "AND days.day >= checks.first_day AND days.day <= checks.last_day AND days.read_at > checks.checked_at "
        f"WHERE checks.verdict IN ({_texts(dialect, NOT_RIGHT)}) AND checks.checked_at >= {_moment(dialect, since)}"
    )


def verified_sql(dialect: Dialect, newest: str = "") -> str:
    """Return the query for when each day was verified: object, account, day and the moment in UTC, null for never."""
    at = f"CAST(verified_at AT TIME ZONE 'UTC' AS {dialect.types[Kind.HOUR]})" if not dialect.escapes else "verified_at"
    good = f"verdict IN ({_texts(dialect, VERIFIED)})"
    return (
        f"SELECT object, advertiser_id, day, CASE WHEN {good} THEN {at} END FROM {days_of(dialect, newest)} AS days "
        "WHERE day IS NOT NULL"
    )


def credit_sql(dialect: Dialect) -> str:
    """Return the query for how many requests all runs took to read, and how many to check."""
    return f"SELECT SUM(requests), SUM(check_requests) FROM {dialect.table(RUNS)}"


def history_sql(dialect: Dialect, day: date) -> str:
    """Return the query for what a day's sums were before each change, in the columns of ``RESTATEMENT``."""
    name, hour = dialect.name, dialect.types[Kind.HOUR]
    picked = [
        f"CAST({name(p.name)} AT TIME ZONE 'UTC' AS {hour})"
        if p.kind is Kind.INSTANT and not dialect.escapes
        else name(p.name)
        for p in RESTATEMENT
    ]
    return (
        f"SELECT {', '.join(picked)} FROM {dialect.table(RESTATEMENTS)} WHERE day = DATE '{day}' "
        "ORDER BY object, advertiser_id, seen_at"
    )
