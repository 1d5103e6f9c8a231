"""Seals: what was stored of one day, small enough to keep and strict enough to compare.

A seal says of one (object, account, day): so many rows, these control sums, this fingerprint. It is made while the rows
are written into their row file, stored in the transaction that stores the rows, and can be made again at any time from
the rows as they stand there. If the two differ, somebody has edited a cell, or a row was lost, doubled or moved.

The fingerprint

    of a row    the first 64 bits of the SHA-256 of its line, as a number
    of a day    the sum of its rows' numbers, modulo 2**64

A row's *line* is the one it has in a row file (``rows.lines_of``): canonical texts of the columns in the order of their
names, separated by commas, texts in quotes, null as nothing. So null is not the empty text, and neither the order in
which fields were chosen nor that of a table's columns matters. A sum has no order either: rows may come and lie in any.
Unlike an exclusive or it notices a row that is there twice, and the seals of the days of a month add up to the month's.

Why so. SHA-256 is a hash that Python, DuckDB and BigQuery all have (CRC, xxHash and FARM_FINGERPRINT are each missing
somewhere), and for a line of a report it is faster than MD5 where the processor helps, as nearly all do: 0.4 against
0.65 microseconds. In a database it is read as two halves of 32 bits, which fit the signed integers of all. What a
database gives back is not what it was given, so each kind has one canonical text that both sides can write:

    money, rates    at least two decimals, no other zero at the end: 12.50, 3.00, 0.1234. TikTok's own spelling of
                    nearly every amount, so that nothing needs to be rewritten while reading
    days, moments   2026-01-31, 2026-01-31 13:00:00, 2026-01-31 12:00:00+00
    lists, objects  the characters of their JSON in the order of the alphabet, because BigQuery does not keep the order
                    of an object's members. (Two neighbours that changed places are not noticed.)

Columns of our own bookkeeping are not part of a line: only those of the stream that were read. A seal names them, and
is compared with what is stored in them, whatever columns have come since.

What a seal speaks of

    reports     a day of an account. A day without rows has a seal, too, of no rows: it was read, and there was nothing
    no days     reports of a whole lifetime, and lists: one seal of the account, under None
    lists       all rows of the account that are stored: those of the last reading as TikTok sent them, and those that
                it sent earlier and does not list any more, as they were found then. (An upsert deletes none.)
    a Sheet     what its cells can hold: numbers of 15 digits, texts of 50,000 characters, and no empty texts

A seal counts only for the table it was written for, like a cursor. It leaves with its day (prune) and with its cursor
(reset). A window that takes several writes loses its seals with the first and gets new ones with the last.

What builds on it

    only what changed is written    ``trust.changes``: a day whose seal is the stored one needs no write
    are they still those?           ``differing(destination.seals(…), destination.recount(…))``
    is it what TikTok sent?         the sums of a window's seals, added up by ``together``, against TikTok's totals
    a month, an account             ``by_month``, ``together``

Pure, but for its clock-less arithmetic: no database, no Sheet, no network. SQL is made here and run elsewhere.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from functools import partial
from hashlib import sha256
from operator import attrgetter, itemgetter
from typing import Any

from owox_tiktok.cursors import Part
from owox_tiktok.dialects import SEALS, Dialect
from owox_tiktok.errors import StoreFailed
from owox_tiktok.model import Chunk, Field, Kind, Seal, Sealed, Seals, Stream, Window
from owox_tiktok.rows import AS_ZERO, DECIMALS, DIGITS, LARGEST_COUNT, QUOTED, Column, lines_of

COUNTS = ("impressions", "clicks", "conversion")
CONTROLS = ("spend", *COUNTS)
"""The columns whose sums a seal has, where the object has them."""
MODULUS = 2**64
NOTHING = Seal()
"""The seal of no rows."""

_WIDE = Context(prec=400)
_SUMMED = frozenset({Kind.MONEY, Kind.RATE, Kind.COUNT})


def in_order(columns: Iterable[Field]) -> tuple[Field, ...]:
    """Return columns in the order of a line."""
    return tuple(sorted(columns, key=attrgetter("name")))


# --- from rows --------------------------------------------------------------------------------------------------------


class Tally:
    """Makes the seals of rows that are given as columns of canonical text; ``time`` is the column that dates them."""

    def __init__(self, columns: Sequence[Field], time: str | None) -> None:
        self._columns = columns
        self._order = sorted(range(len(columns)), key=lambda n: columns[n].name)
        self._day = next((n for n, f in enumerate(columns) if f.name == time), None)
        self._json = [n for n, f in enumerate(columns) if f.kind is Kind.JSON]
        self._sums = {f.name: n for n, f in enumerate(columns) if f.name in CONTROLS and f.kind in _SUMMED}
        self.as_in_file = not self._json and self._order == list(range(len(columns)))
        """Whether a row file's lines are what the fingerprint is of."""
        self._of: dict[str | None, list[int | None]] = {}
        """By day as text: rows, fingerprint, and the sums in the order of ``_sums``, money in billionths."""

    def add(self, data: Sequence[Column], written: Sequence[bytes] | None = None) -> None:
        """Take rows, one list of texts per column. ``written`` are their lines, where they were made already."""
        if not data or not data[0]:
            return
        written = self.lines(data) if written is None else written
        hashed = b"".join([sha256(line).digest() for line in written])
        prints: Sequence[int] = struct.unpack(">" + len(written) * "Q24x", hashed)
        sums = [_amounts(data[n], self._columns[n].kind) for n in self._sums.values()]
        if self._day is None:
            self._count(None, prints, sums)
            return
        days = data[self._day]
        if self._columns[self._day].kind is not Kind.DAY:
            days = [None if t is None else t[:10] for t in days]
        rows_of: defaultdict[str | None, list[int]] = defaultdict(list)
        for row, day in enumerate(days):
            rows_of[day].append(row)
        for day, rows in rows_of.items():
            pick = itemgetter(*rows) if len(rows) > 1 else partial(_only, rows[0])
            self._count(day, pick(prints), [(pick(amounts), unit) for amounts, unit in sums])

    def lines(self, data: Sequence[Column]) -> list[bytes]:
        """Return the lines that the fingerprint is of."""
        of = {n: [None if t is None else "".join(sorted(t)) for t in data[n]] for n in self._json}
        ordered = lines_of([self._columns[n] for n in self._order], [of.get(n, data[n]) for n in self._order])
        return [line.encode() for line in ordered]

    def _count(self, day: str | None, prints: Sequence[int], sums: Sequence[tuple[Sequence[int | None], int]]) -> None:
        totals = self._of.setdefault(day, [0, 0, *(None for _ in sums)])
        totals[0] = (totals[0] or 0) + len(prints)
        for n, (amounts, unit) in enumerate(((prints, 1), *sums), 1):
            try:
                total = sum(amounts)  # type: ignore[arg-type]
            except TypeError:  # nulls are among them
                there = [a for a in amounts if a is not None]
                if not there:
                    continue
                total = sum(there)
            totals[n] = (totals[n] or 0) + unit * total

    def seals(self) -> dict[date | None, Seal]:
        """Return the seals of the rows so far. Raises ValueError for a row whose day is none."""
        return {None if day is None else date.fromisoformat(day): self._seal(found) for day, found in self._of.items()}

    def _seal(self, found: Sequence[int | None]) -> Seal:
        rows, fingerprint, *sums = found
        amounts: dict[str, Any] = dict(zip(self._sums, sums, strict=True))
        if amounts.get("spend") is not None:
            amounts["spend"] = _WIDE.scaleb(Decimal(amounts["spend"]), -DECIMALS)
        return Seal(rows or 0, (fingerprint or 0) % MODULUS, **amounts)


def _only(row: int, values: Sequence[Any]) -> tuple[Any]:
    return (values[row],)


def _amounts(texts: Column, kind: Kind) -> tuple[Sequence[int | None], int]:
    """Return amounts as integers, and by what to multiply them: counts by one, money to have it in billionths."""
    if kind is Kind.COUNT:
        if None in texts:
            return [None if t is None else int(t) for t in texts], 1
        return list(map(int, texts)), 1  # type: ignore[arg-type]
    if None not in texts:
        joined = "\n".join(texts) + "\n"  # type: ignore[arg-type]
        if joined.encode().translate(AS_ZERO).count(b".00\n") == len(texts):
            return list(map(int, joined.replace(".", "").split())), 10 ** (DECIMALS - 2)
    return [None if t is None else int(_WIDE.scaleb(Decimal(t), DECIMALS)) for t in texts], 1


# --- arithmetic -------------------------------------------------------------------------------------------------------


def together(seals: Iterable[Seal]) -> Seal:
    """Return the seal of all the rows that several seals speak of."""
    all_ = list(seals)
    sums: dict[str, Any] = {}
    for name in CONTROLS:
        amounts = [amount for seal in all_ if (amount := getattr(seal, name)) is not None]
        sums[name] = None
        for amount in amounts:
            sums[name] = amount if sums[name] is None else _WIDE.add(sums[name], amount)
    for name in COUNTS:
        sums[name] = None if sums[name] is None else int(sums[name])
    return Seal(sum(seal.rows for seal in all_), sum(seal.fingerprint for seal in all_) % MODULUS, **sums)


def by_month(seals: Seals) -> dict[date, Seal]:
    """Return the seals of the months, each under its first day; a seal without a day belongs to none."""
    months: dict[date, list[Seal]] = {}
    for day, seal in seals.items():
        if day is not None:
            months.setdefault(day.replace(day=1), []).append(seal)
    return {month: together(of) for month, of in sorted(months.items())}


def differing(stored: Mapping[date | None, Sealed], found: Seals) -> dict[date | None, tuple[Seal, Seal]]:
    """Return the days whose rows are not those that were stored: what was sealed, and what was found.

    Days without a stored seal say nothing. (A row that came to one of them from another day is missed there.)
    """
    pairs = {day: (sealed.seal, found.get(day, NOTHING)) for day, sealed in stored.items()}
    return {day: (was, is_) for day, (was, is_) in pairs.items() if was != is_}


# --- what is stored ---------------------------------------------------------------------------------------------------

RECORD = (
    Part("object", Kind.TEXT, "The object", required=True),
    Part("advertiser_id", Kind.ID, "The advertiser", required=True),
    Part("day", Kind.DAY, "The day; null for an object without days"),
    Part("rows", Kind.COUNT, "How many rows were stored"),
    Part("spend", Kind.MONEY, "Their sum, where the object has it"),
    *(Part(name, Kind.COUNT, "Their sum, where the object has it") for name in COUNTS),
    Part("fingerprint", Kind.TEXT, "Of all their values, in whatever order the rows are"),
    Part("fields", Kind.TEXT, "The columns it is of", many=True),
    Part("read_at", Kind.INSTANT, "When they were read"),
    Part("table_id", Kind.TEXT, "Which table it speaks of; another one of the same name does not count"),
)
"""The columns of a stored seal, in order."""
FINAL, PROVISIONAL, EMPTY = "final", "provisional", "empty"
STATE = (
    Part("currency", Kind.TEXT, "The account's currency, which spend is in"),
    Part("status", Kind.TEXT, f"{FINAL}, {PROVISIONAL} (to be read again) or {EMPTY} (read, and without rows)"),
    Part("settles_on", Kind.DAY, "What is read from this day on, by the account's calendar, is final"),
)
"""The columns that say how a day stood when it was read. They are no part of a seal, and nothing is decided by them."""
Span = tuple[str, date | None, date | None]
"""An advertiser, the first and the last day; None: from the beginning, to the end, and what has no day."""
Rest = Mapping[str, Seals]
"""Rows that stay beside those of the chunks, by advertiser: what a list had before and does not list any more."""


def to_store(chunk: Chunk, rest: Rest | None = None) -> dict[date | None, Sealed]:
    """Return the seals that land with a chunk: one for each day of its window that is written, also without rows.

    Raises StoreFailed if the chunk's seals do not speak of its rows, before they could vouch for others.
    """
    days = days_of(chunk)
    if sum(seal.rows for seal in chunk.seals.values()) != chunk.rows or not chunk.seals.keys() <= set(days):
        sealed = ", ".join(f"{seal.rows:,} of {day or 'no day'}" for day, seal in list(chunk.seals.items())[:5])
        raise StoreFailed(
            f"{chunk.rows:,} rows of {chunk.window or 'no days'} were to be stored, and their seals are of {sealed}",
            where=chunk.stream.table,
            what_to_do="Nothing was stored; report it as a bug.",
        )
    fields = tuple(f.name for f in in_order(chunk.columns))
    others = (rest or {}).get(chunk.advertiser_id, {})
    return {
        day: Sealed(together([chunk.seals.get(day, NOTHING), others.get(day, NOTHING)]), fields, chunk.read_at)
        for day in days
        if day not in chunk.kept
    }


def of_step(chunks: Iterable[Chunk], rest: Rest | None = None) -> dict[str, dict[date | None, Sealed]]:
    """Return the seals that land with the chunks of a step, by advertiser and day; StoreFailed as of ``to_store``."""
    new: dict[str, dict[date | None, Sealed]] = {}
    for chunk in chunks:
        new.setdefault(chunk.advertiser_id, {}).update(to_store(chunk, rest))
    return new


def settles_on(chunk: Chunk, day: date | None) -> date | None:
    """Return the account's day from which on a day is final, and not read again; None for what has no days."""
    return None if day is None or chunk.lookback is None else day + timedelta(days=chunk.lookback + 1)


def status_of(chunk: Chunk, day: date | None, rows: int) -> str | None:
    """Return the ``status`` of a day with so many rows in all; None where it is not known."""
    settles = settles_on(chunk, day)
    if settles is None or chunk.read_on is None:
        return None
    if not rows:
        return EMPTY
    return FINAL if chunk.read_on >= settles else PROVISIONAL


def days_of(chunk: Chunk) -> list[date | None]:
    """Return the days that a chunk speaks of, in order; None for what has no days."""
    if chunk.stream.time is None:
        return [None]
    if chunk.window is None:
        return list(chunk.seals)
    return [chunk.window.first + timedelta(days=n) for n in range(chunk.window.days)]


def spans_of(chunks: Iterable[Chunk]) -> list[Span]:
    """Return what the chunks take the place of: advertiser, first and last day; None and None for all.

    The days that they keep are left out, so a chunk may have several spans or none.
    """
    spans: list[Span] = []
    for chunk in chunks:
        window = chunk.window if chunk.stream.time else None
        if chunk.kept:
            spans += spans_of_days(chunk.advertiser_id, (day for day in days_of(chunk) if day not in chunk.kept))
        else:
            spans.append((chunk.advertiser_id, window.first if window else None, window.last if window else None))
    return spans


def spans_of_days(advertiser_id: str, days: Iterable[date | None]) -> list[Span]:
    """Return days, given in order, as spans; None is what has no days."""
    spans: list[Span] = []
    for day in days:
        last = spans[-1][2] if spans else None
        if day and last == day - timedelta(days=1):
            spans[-1] = (advertiser_id, spans[-1][1], day)
        else:
            spans.append((advertiser_id, day, day))
    return spans


def recounted(
    stream: Stream,
    stored: Mapping[date | None, Sealed],
    window: Window | None,
    count: Callable[[Sequence[Field]], Seals],
) -> dict[date | None, Seal]:
    """Return the seals of what ``count`` finds for columns, each day with the columns that its stored seal speaks of.

    A day without a stored seal is counted with those of another day, or with all columns of the stream.
    """
    within = {d: s for d, s in stored.items() if window is None or d is None or window.first <= d <= window.last}
    found: dict[date | None, Seal] = {}
    # Days of old may lack a field that was chosen later: most often there is one kind, at times two.
    for fields in dict.fromkeys(one.fields for one in within.values()) or [tuple(stream.fields)]:
        for day, seal in count(in_order(stream.fields[n] for n in fields if n in stream.fields)).items():
            if day not in within or within[day].fields == fields:
                found[day] = seal
    return found


def hexadecimal(fingerprint: int) -> str:
    """Return a fingerprint as it is stored: 16 digits."""
    return f"{fingerprint:016x}"


def of_row(values: Mapping[str, Any]) -> tuple[date | None, Sealed]:
    """Return a stored seal with its day, from its values by the names in ``RECORD``; a moment may lack its UTC."""
    sums = {name: values[name] if values[name] is None else int(values[name]) for name in COUNTS}
    spend = None if values["spend"] is None else Decimal(values["spend"])
    seal = Seal(int(values["rows"]), int(values["fingerprint"], 16), spend, **sums)
    read_at: datetime = values["read_at"]
    read_at = read_at.replace(tzinfo=UTC) if read_at.tzinfo is None else read_at.astimezone(UTC)
    return values["day"], Sealed(seal, tuple(values["fields"]), read_at)


# --- in SQL -----------------------------------------------------------------------------------------------------------


def insert_sql(
    dialect: Dialect,
    chunks: Iterable[Chunk],
    seals: Mapping[str, Mapping[date | None, Sealed]],
    table_id: str,
    also: Mapping[str, str] | None = None,
    rest: str = "",
) -> list[str]:
    """Return the statements that insert the seals of a step of ``chunks``, by advertiser and day.

    ``also`` are columns that a destination adds, with SQL for their value. ``rest`` is a query of ``rest_sql``: its
    seals are added to those of their accounts. In BigQuery's words.
    """
    alike: dict[tuple[tuple[str, ...], datetime], list[list[str | None]]] = {}
    read = {chunk.advertiser_id: chunk for chunk in chunks}  # windows of an account were read on the same day
    object_name = next(iter(read.values())).stream.name
    for advertiser_id, days in seals.items():
        chunk = read[advertiser_id]
        for day, one in days.items():
            settles = settles_on(chunk, day)
            until = None if settles is None else settles.isoformat()
            state = [chunk.currency or None, status_of(chunk, day, one.seal.rows), until]
            alike.setdefault((one.fields, one.read_at), []).append([advertiser_id, *_texts(day, one.seal), *state])
    own = (*RECORD[1:9], *STATE)
    values = {p.name: f"CAST(given.{dialect.name(p.name)} AS {dialect.types[p.kind]})" for p in own}
    join = f" LEFT JOIN ({rest}) AS found ON found.advertiser_id = given.advertiser_id" if rest else ""
    if rest:
        values |= _with_rest(dialect, values)
    statements = []
    for (fields, read_at), rows in alike.items():
        # What all have in common is said once: a year of seals would be as long as a book.
        common = [
            dialect.text(object_name),
            *(values[p.name] for p in own),
            dialect.list_of_texts.format(", ".join(map(dialect.text, fields))),
            f"CAST({dialect.text(read_at.astimezone(UTC).isoformat(' '))} AS {dialect.types[Kind.INSTANT]})",
            dialect.text(table_id),
            *(also or {}).values(),
        ]
        names = ["object", *(part.name for part in own), *(part.name for part in RECORD[9:]), *(also or {})]
        statements.append(
            f"INSERT INTO {dialect.table(SEALS)} ({', '.join(map(dialect.name, names))}) "
            f"SELECT {', '.join(common)} FROM {dialect.rows_of_texts([p.name for p in own], rows)}{join}"
        )
    return statements


def rest_sql(dialect: Dialect, stream: Stream, recount: str) -> str:
    """Return the query for the seals of what ``recount`` finds in an object without days, one for each account.

    ``recount`` is a query of ``recount_sql``. The rows of the whole app are of no account.
    """
    account = dialect.text("") if stream.per_app else "recounted.advertiser_id"
    summed = ("sealed_rows", *(half for _, half in HALVES), *CONTROLS)
    sums = ", ".join(f"SUM(recounted.{name}) AS {name}" for name in summed)
    return f"SELECT {account} AS advertiser_id, {sums} FROM ({recount}) AS recounted GROUP BY advertiser_id"


def _with_rest(dialect: Dialect, values: Mapping[str, str]) -> dict[str, str]:
    """Return SQL for the sums of given seals, whose SQL is in ``values``, and those that ``rest_sql`` has ``found``."""
    whole = dialect.types[Kind.COUNT]
    sums = {n: f"COALESCE({values[n]} + found.{n}, {values[n]}, found.{n})" for n in ("rows", *CONTROLS)}
    sums["rows"] = f"{values['rows']} + COALESCE(found.sealed_rows, 0)"
    high, low = (
        f"(CAST(CONCAT('0x', SUBSTR(given.fingerprint, {n}, 8)) AS {whole}) + COALESCE(found.{half}, 0))"
        for n, half in HALVES
    )
    halves = (f"MOD({high} + DIV({low}, {2**32}), {2**32})", f"MOD({low}, {2**32})")
    digits = ", ".join(f"FORMAT('%08x', {half})" for half in halves)
    return {**sums, "fingerprint": f"CONCAT({digits})"}


def _texts(day: date | None, seal: Seal) -> list[str | None]:
    sums = [getattr(seal, name) for name in CONTROLS]
    amounts = [None if s is None or abs(s) >= _most(n) else digits_of(s) for n, s in zip(CONTROLS, sums, strict=True)]
    return [None if day is None else day.isoformat(), str(seal.rows), *amounts, hexadecimal(seal.fingerprint)]


def digits_of(amount: Decimal | int) -> str:
    """Return a sum as its type has it: a count without decimals."""
    return str(amount) if isinstance(amount, int) else f"{amount:f}"


def _most(name: str) -> int:
    return LARGEST_COUNT if name in COUNTS else 10**DIGITS


def forget_sql(dialect: Dialect, stream: Stream, spans: Iterable[Span], table_id: str | None = None) -> str:
    """Return the statement that deletes the seals of these days; with ``table_id`` also those of any other table."""
    name = dialect.name
    parts = []
    for advertiser_id, first, last in spans:
        part = [f"{name('advertiser_id')} = {dialect.text(advertiser_id)}"]
        part += [f"{name('day')} >= DATE '{first}'"] if first else []
        part += [f"{name('day')} <= DATE '{last}'"] if last else []
        parts.append(" AND ".join(part))
    if table_id is not None:  # they count for nothing, and would stay for ever
        parts.append(f"table_id <> {dialect.text(table_id)}")
    whose = " OR ".join(f"({part})" for part in parts) or "FALSE"
    return f"DELETE FROM {dialect.table(SEALS)} WHERE object = {dialect.text(stream.name)} AND ({whose})"


def stored_sql(dialect: Dialect, stream: Stream, advertiser_id: str, table_id: str, *, newest: str = "") -> str:
    """Return the query for the stored seals of a pair, in the columns of ``STORED``.

    ``newest`` is the column by which the last row of a day counts, where a destination only adds rows.
    """
    hour = dialect.types[Kind.HOUR]
    picked = [
        # A moment with a zone comes as one of Python's only where its driver has the zones.
        f"CAST({dialect.name(n)} AT TIME ZONE 'UTC' AS {hour})"
        if n == "read_at" and not dialect.escapes
        else dialect.name(n)
        for n in STORED
    ]
    last = f" QUALIFY ROW_NUMBER() OVER (PARTITION BY day ORDER BY {newest} DESC) = 1" if newest else ""
    return (
        f"SELECT {', '.join(picked)} FROM (SELECT * FROM {dialect.table(SEALS)} "
        f"WHERE object = {dialect.text(stream.name)} AND advertiser_id = {dialect.text(advertiser_id)}{last}) AS last "
        f"WHERE table_id = {dialect.text(table_id)}"
    )


def stored_of_sql(
    dialect: Dialect, stream: Stream, advertiser_ids: Iterable[str], window: Window, table_id: str, *, newest: str = ""
) -> str:
    """Return the query for the stored seals of a window of days of accounts, in the columns of ``STORED_OF``."""
    hour, name = dialect.types[Kind.HOUR], dialect.name
    picked = [
        f"CAST({name(n)} AT TIME ZONE 'UTC' AS {hour})" if n == "read_at" and not dialect.escapes else name(n)
        for n in STORED_OF
    ]
    last = f" QUALIFY ROW_NUMBER() OVER (PARTITION BY advertiser_id, day ORDER BY {newest} DESC) = 1" if newest else ""
    ids = ", ".join(map(dialect.text, sorted(set(advertiser_ids))))
    return (
        f"SELECT {', '.join(picked)} FROM (SELECT * FROM {dialect.table(SEALS)} "
        f"WHERE object = {dialect.text(stream.name)} AND advertiser_id IN ({ids}) "
        f"AND {name('day')} >= DATE '{window.first}' AND {name('day')} <= DATE '{window.last}'{last}) AS last "
        f"WHERE table_id = {dialect.text(table_id)}"
    )


def stored_since_sql(dialect: Dialect, first: date, *, newest: str = "", also: Sequence[str] = ()) -> str:
    """Return the query for the stored seals of all objects from ``first`` on, in the columns of ``STORED_SINCE``.

    Those that speak of no day are among them. ``newest``: as in ``stored_sql``. Columns that a destination adds, named
    in ``also``, come behind.
    """
    hour = dialect.types[Kind.HOUR]
    picked = [
        f"CAST({dialect.name(n)} AT TIME ZONE 'UTC' AS {hour})"
        if n == "read_at" and not dialect.escapes
        else dialect.name(n)
        for n in (*STORED_SINCE, *also)
    ]
    one = "PARTITION BY object, advertiser_id, day"
    last = f" QUALIFY ROW_NUMBER() OVER ({one} ORDER BY {newest} DESC) = 1" if newest else ""
    return (
        f"SELECT {', '.join(picked)} FROM {dialect.table(SEALS)} "
        f"WHERE ({dialect.name('day')} >= DATE '{first}' OR {dialect.name('day')} IS NULL){last}"
    )


STORED = tuple(part.name for part in RECORD[2:-1])
STORED_OF = ("advertiser_id", *STORED)
STORED_SINCE = ("object", "advertiser_id", "table_id", *STORED)


HALVES = ((1, "high"), (9, "low"))
"""Where the two halves of a fingerprint begin among its digits, and what they are called."""


def differing_sql(dialect: Dialect, recount: str, kept: Mapping[str, Mapping[date | None, Seal]]) -> str:
    """Return the query for how many of the days in ``kept``, by advertiser, are not what ``recount`` finds there.

    ``recount`` is a query of ``recount_sql`` over the columns that the seals speak of. In BigQuery's words.
    """
    rows = [
        [
            advertiser_id,
            None if day is None else day.isoformat(),
            str(seal.rows),
            *map(str, divmod(seal.fingerprint, 2**32)),
        ]
        for advertiser_id, days in kept.items()
        for day, seal in days.items()
    ]
    whole = dialect.types[Kind.COUNT]
    given = dialect.rows_of_texts(["advertiser_id", "day", "sealed", "high", "low"], rows)
    same_day = "COALESCE(CAST(found.sealed_day AS STRING), '') = COALESCE(given.day, '')"
    high = f"MOD(found.high + DIV(found.low, {2**32}), {2**32})"
    other = f"CAST(given.high AS {whole}) != {high} OR CAST(given.low AS {whole}) != MOD(found.low, {2**32})"
    return (
        f"SELECT COUNT(*) FROM {given} LEFT JOIN ({recount}) AS found "
        f"ON found.advertiser_id = given.advertiser_id AND {same_day} "
        f"WHERE CAST(given.sealed AS {whole}) != COALESCE(found.sealed_rows, 0) OR {other}"
    )


def recount_sql(dialect: Dialect, stream: Stream, columns: Sequence[Field], there: Collection[str], where: str) -> str:
    """Return the query for the seals of the rows that ``where`` picks in the stream's table, called ``t``.

    Its rows are for ``of_recount``. ``columns`` are those of the fingerprint; one that is not ``there`` in the table
    counts as null.
    """
    name, number = dialect.name, dialect.types[Kind.MONEY]
    texts = [_text_sql(dialect, f) if f.name in there else "''" for f in in_order(columns)]
    with_commas = [part for text in texts for part in (text, "','")][:-1]
    digits = dialect.sha256.format(dialect.joined(with_commas))
    day = f"CAST({name(stream.time)} AS DATE)" if stream.time else "CAST(NULL AS DATE)"
    summed = [n for n in CONTROLS if n in there and n in {f.name for f in columns if f.kind in _SUMMED}]
    sums = [
        f"{f'SUM(CAST({name(n)} AS {number}))' if n in summed else f'CAST(NULL AS {number})'} AS {n}" for n in CONTROLS
    ]
    inner = [
        name("advertiser_id"),
        f"{day} AS sealed_day",
        f"{digits} AS digits",
        *map(name, summed),
    ]
    halves = [f"SUM({dialect.from_hex.format(f'SUBSTR(digits, {n}, 8)')}) AS {half}" for n, half in HALVES]
    return (
        f"SELECT {name('advertiser_id')}, sealed_day, COUNT(*) AS sealed_rows, {', '.join([*halves, *sums])} FROM "
        f"(SELECT {', '.join(inner)} FROM {dialect.table(stream.table)} AS t WHERE {where}) AS found "
        f"GROUP BY {name('advertiser_id')}, sealed_day"
    )


def _text_sql(dialect: Dialect, field: Field) -> str:
    """Return a column's text in a line."""
    value = dialect.name(field.name)
    text = dialect.canonical[field.kind].format(value) if field.kind in dialect.canonical else value
    if field.kind in QUOTED:
        quoted = f"""CONCAT('"', REPLACE({text}, '"', '""'), '"')"""
        text = f"CASE WHEN {dialect.all_digits.format(text)} THEN {text} ELSE {quoted} END"
    return f"COALESCE(CASE WHEN {value} IS NULL THEN NULL ELSE {text} END, '')"


def of_recount(stream: Stream, rows: Iterable[Sequence[Any]]) -> dict[str, dict[date | None, Seal]]:
    """Return the rows of ``recount_sql`` as seals by advertiser and day; those of the whole app under no advertiser."""
    found: dict[str, dict[date | None, Seal]] = {}
    for advertiser_id, day, count, high, low, spend, *counts in rows:
        sums = {name: None if amount is None else int(amount) for name, amount in zip(COUNTS, counts, strict=True)}
        fingerprint = ((int(high) << 32) + int(low)) % MODULUS
        seal = Seal(int(count), fingerprint, None if spend is None else Decimal(spend), **sums)
        days = found.setdefault("" if stream.per_app else advertiser_id, {})
        days[day] = together([days[day], seal]) if day in days else seal
    return found
