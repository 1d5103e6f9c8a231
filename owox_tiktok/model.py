"""The nouns every room shares: fields, streams, advertisers, windows, cursors, chunks and what a destination is.

Frozen values only. Nothing here knows TikTok's URLs, a file, a Sheet or a database.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, runtime_checkable
from zoneinfo import ZoneInfo

Level = Literal["advertiser", "campaign", "ad_group", "ad"]
Family = Literal[
    "accounts", "money", "creatives", "audiences", "shop", "names", "reports", "split_reports", "audience_reports"
]
"""What a stream is about; the documents have a page for each."""


class Kind(enum.StrEnum):
    """What a column holds, whatever the destination calls it."""

    ID = "id"  # digits, always text
    TEXT = "text"
    MONEY = "money"  # exact decimal in the advertiser's currency, main units
    RATE = "rate"  # exact decimal: a percentage, ratio or number of seconds
    COUNT = "count"  # integer
    BOOLEAN = "boolean"
    DAY = "day"  # a date of the advertiser's calendar, never converted
    HOUR = "hour"  # a wall-clock time of the advertiser's calendar, never converted
    INSTANT = "instant"  # a moment, in UTC
    JSON = "json"  # a list or an object, as JSON text


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name is TikTok's, its kind ours.

    ``personal``: it tells of a person, so that it is imported only where it is chosen, and can be hashed.
    ``unit`` is shown to people ("percent", "account currency"). ``additive`` says whether summing it over rows means
    anything. ``origin`` tells where on TikTok's item the value sits; ``ours`` means we add it from the advertiser.
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    additive: bool = False
    group: str = ""
    origin: Literal["item", "dimension", "metric", "ours"] = "item"
    deprecated: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Advertiser:
    """An ad account: its id as text, the currency of its money and the time zone that cuts its days."""

    id: str
    name: str = ""
    currency: str = ""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def today(self, now: datetime) -> date:
        """Return the day it is at ``now`` (an aware moment) in this account's calendar."""
        return now.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The days ``first`` to ``last``, both included, in an advertiser's own calendar."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"a window cannot end ({self.last}) before it begins ({self.first})")

    @property
    def days(self) -> int:
        """Length in days, at least 1."""
        return (self.last - self.first).days + 1

    def halves(self) -> tuple[Window, Window]:
        """Return the earlier and the later half of a window of two days or more."""
        middle = self.first + timedelta(days=self.days // 2)
        return Window(self.first, middle - timedelta(days=1)), Window(middle, self.last)

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range(self.days))

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one (stream, advertiser) pair is complete.

    Every row of ``since..through`` with the columns ``fields`` is in the destination as TikTok had it at ``read_at``
    (the day ``read_on`` in the advertiser's calendar), deleted entities included if ``with_deleted``. ``refused`` are
    the fields TikTok would not give this account.
    Streams without days (entities, lifetime reports) have neither ``since`` nor ``through``.
    """

    fields: frozenset[str]
    read_at: datetime
    read_on: date
    since: date | None = None
    through: date | None = None
    refused: frozenset[str] = frozenset()
    with_deleted: bool = True

    def without_days_before(self, day: date) -> Cursor:
        """Return what is still true once the rows dated before ``day`` are deleted."""
        if self.since is None or self.through is None or self.since >= day:
            return self
        if self.through < day:
            return replace(self, since=None, through=None)
        return replace(self, since=day)

    def to_json(self) -> dict[str, Any]:
        """Return it in values that JSON has: texts, lists of texts in order, a boolean and nulls."""
        return {
            "fields": sorted(self.fields),
            "read_at": utc(self.read_at).isoformat(),
            "read_on": self.read_on.isoformat(),
            "since": self.since and self.since.isoformat(),
            "through": self.through and self.through.isoformat(),
            "refused": sorted(self.refused),
            "with_deleted": self.with_deleted,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the cursor that ``to_json`` wrote; raises KeyError, TypeError or ValueError for anything else."""
        since, through = values["since"], values["through"]
        return cls(
            frozenset(values["fields"]),
            utc(datetime.fromisoformat(values["read_at"])),
            date.fromisoformat(values["read_on"]),
            None if since is None else date.fromisoformat(since),
            None if through is None else date.fromisoformat(through),
            frozenset(values["refused"]),
            bool(values["with_deleted"]),
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a (stream, advertiser) pair could not be read or stored the last time, in a sentence, and when that was."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What a destination knows of one (stream, advertiser) pair: how far it is complete, what failed since, or both.

    ``lost`` says in words, without a full stop, what went away from under the cursor (a table, a column); what
    ``cursor`` still claims is there. It is empty where nothing is missing.
    """

    cursor: Cursor | None = None
    failure: Failure | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """How a stream is asked for by the ids of another: ``size`` values of ``stream``'s ``field`` in ``parameter``.

    "filtering." stands before a parameter of the filter. ``alone``: there is one id, and no list around it. ``living``:
    of what can be deleted, only what is not. ``gives``: its column in the rows, where TikTok's rows do not name the id.
    """

    stream: str
    field: str
    parameter: str
    size: int
    alone: bool = False
    living: bool = False
    gives: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What only a list has: how it is asked for, and where its rows are in the answer.

    ``rows_at`` is the place of the rows, ``lifted`` the path of each field that is deeper in a row. ``by_accounts``: it
    takes a list of ad accounts where others take one. ``each``: it is asked for once for each of something else, in
    the word of ``tiktok.shop``. ``dimensions``: its rows are shaped like a report's, told apart by these, and are of
    so many days (``span_days``) at most where none of them is a day. ``filters`` are always asked with.
    ``info``: names that come with metrics without being metrics. ``by_id``: the rows are an object by this id.
    ``days_in``: the parameters for the first and the last day, "filtering." before those of the filter; the last day
    is not included where ``end_excluded``. ``asks`` are parameters that are always the same, and ``recent_days`` how
    many days, today among them, TikTok still knows. ``until_empty``: TikTok does not say how many pages there are, and
    the last is the first that is empty.
    """

    rows_at: str = "list"
    can_choose_fields: bool = False
    by_accounts: bool = False
    lifted: Mapping[str, str] = field(default_factory=dict)
    batch: Batch | None = None
    dimensions: tuple[str, ...] = ()
    each: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    span_days: int | None = None
    info: tuple[str, ...] = ()
    by_id: str = ""
    days_in: tuple[str, str] = ("start_date", "end_date")
    end_excluded: bool = False
    asks: Mapping[str, str] = field(default_factory=dict)
    recent_days: int | None = None
    until_empty: bool = False


Period = Literal["week", "month"]


@dataclass(frozen=True, slots=True)
class Report:
    """What only a report has: TikTok's type of it, and what each of its rows is about.

    ``span_days``: its rows are about one range of days, of so many at most; None where they have days of their own, or
    TikTok answers for a whole life. ``period``: it is asked for one calendar week (from Monday) or month at a time,
    and its rows bear the first day of that. ``split`` is what it is split by, in our word, and ``split_words`` in
    words for people. ``may_lack_days``: TikTok does not say whether this split goes with days; where it does not, each
    day is asked for by itself. ``filters``: names and the values of which one must fit, of a person's own report.
    """

    type: Literal["BASIC", "AUDIENCE"]
    dimensions: tuple[str, ...]
    span_days: int | None = None
    period: Period | None = None
    split: str = ""
    split_words: str = ""
    may_lack_days: bool = False
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """Something that can be imported: an entity list or a report, which is its ``kind``. See ``streams.STREAMS``.

    ``keys`` identify a row and begin with ``advertiser_id``. ``verb`` says how rows land: ``replace`` makes a window
    exactly what was read, ``upsert`` updates by key. ``time`` is the column that dates a row, if any; ``max_days`` the
    longest window TikTok answers. Days are the advertiser's, but for the one stream with ``utc_days``. ``level`` is
    what its rows are about, where that is an ad account, campaign, ad group or ad. ``mark`` tells a person's own report
    from another one that had its name before; it stands among the fields of the cursor, and no column is called so.
    """

    name: str
    family: Family
    title: str
    description: str
    path: str
    verb: Literal["replace", "upsert"]
    keys: tuple[str, ...]
    build_fields: Callable[[], Mapping[str, Field]]
    default: tuple[str, ...]
    kind: Listing | Report
    page_size: int | None = None
    time: Literal["stat_time_day", "stat_time_hour", "first_day"] | None = None
    max_days: int | None = None
    level: Level | None = None
    in_sandbox: bool = True
    per_app: bool = False
    hides_deleted: bool = False
    utc_days: bool = False
    mark: str = ""

    @property
    def table(self) -> str:
        """Name of the table this stream fills."""
        return f"tiktok_ads_{self.name}"

    @property
    def fields(self) -> Mapping[str, Field]:
        """Every field that can be chosen, keys included, by name."""
        return self.build_fields()

    @property
    def listing(self) -> Listing | None:
        """What only a list has; None for a report."""
        return self.kind if isinstance(self.kind, Listing) else None

    @property
    def report(self) -> Report | None:
        """What only a report has; None for a list."""
        return self.kind if isinstance(self.kind, Report) else None

    @property
    def may_have_history(self) -> bool:
        """Whether its rows are things that people change: campaigns, ad groups, ads and their Smart+ kinds."""
        return self.hides_deleted and not self.is_report and self.verb == "upsert"

    @property
    def is_report(self) -> bool:
        """Whether this is a report, not a list of entities."""
        return self.report is not None

    @property
    def report_type(self) -> Literal["BASIC", "AUDIENCE"] | None:
        """TikTok's type of a report; None for a list."""
        return self.report.type if self.report else None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What a report's rows are about, in TikTok's words; none for a list."""
        return self.report.dimensions if self.report else ()

    @property
    def needs_app(self) -> bool:
        """Whether TikTok is told the developer app's id and secret."""
        return self.path == "oauth2/advertiser/get/"

    @property
    def period(self) -> Period | None:
        """The calendar period that a report is asked for at a time; None where days may be asked for as they come."""
        return self.report.period if self.report else None

    @property
    def has_window(self) -> bool:
        """Whether it is asked for days: its rows are dated, or all of them are about one range."""
        return self.time is not None or self.span_days is not None

    @property
    def recent_days(self) -> int | None:
        """How many days, today among them, TikTok still knows; None where it knows all."""
        return self.kind.recent_days if isinstance(self.kind, Listing) else None

    @property
    def span_days(self) -> int | None:
        """How many days at most are asked for, where rows are about one range of them."""
        return self.kind.span_days

    @property
    def can_choose_fields(self) -> bool:
        """Whether TikTok gives only the fields it is asked for."""
        return self.listing is None or self.listing.can_choose_fields or bool(self.listing.dimensions)

    def columns(self, chosen: Sequence[str]) -> tuple[Field, ...]:
        """Return the table's columns for the ``chosen`` field names: keys first, currency beside money."""
        fields = self.fields
        names = list(dict.fromkeys([*self.keys, *chosen]))
        if self.is_report and any(fields[n].kind is Kind.MONEY for n in names) and "currency" not in names:
            names.insert(len(self.keys), "currency")
        return tuple(fields[n] for n in names)


@dataclass(frozen=True, slots=True)
class Seal:
    """What the rows of one day (or of a stream without days) of one account are: how many, which, and their sums.

    ``fingerprint`` (64 bits, unsigned) is of all values, in whatever order the rows come; a sum is None where no row
    has a value. Seals add up: that of two days together is their sum. See ``trust.seals``.
    """

    rows: int = 0
    fingerprint: int = 0
    spend: Decimal | None = None
    impressions: int | None = None
    clicks: int | None = None
    conversion: int | None = None


Seals = Mapping[date | None, Seal]
"""The seals of one (stream, advertiser) by day; of a stream without days, the one under None."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A seal as it was stored with its rows, read at ``read_at``; its fingerprint is of the columns ``fields``."""

    seal: Seal
    fields: tuple[str, ...]
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of one read window, ready to be stored together with the cursor they stand for.

    ``path`` is a spool file (see ``spool``) with ``rows`` rows of the columns ``columns``, and ``seals`` say what is in
    it. ``window`` is None where the stream has no days. ``cursor`` is None when the read must not move it (a backfill
    of a pair that has none). ``kept`` are the days whose rows are stored already as they are in the file: a destination
    that knows its own seals finds them (``trust.changes``), and neither deletes nor writes them again. ``confirmed``
    are the days that were over for TikTok when they were read, and whose sums its own totals confirm. ``currency`` is
    that of the account, "" for unknown; ``read_on`` its day when it was read, and ``lookback`` how many days after it
    was over a day has settled.
    """

    stream: Stream
    advertiser_id: str
    window: Window | None
    columns: tuple[Field, ...]
    path: Path
    rows: int
    cursor: Cursor | None
    seals: Seals
    read_at: datetime
    kept: Collection[date | None] = ()
    confirmed: Window | None = None
    currency: str = ""
    read_on: date | None = None
    lookback: int | None = None

    @property
    def rows_to_write(self) -> int:
        """How many rows of the file are of days that are not stored already."""
        return self.rows - self.rows_kept

    @property
    def rows_kept(self) -> int:
        """How many rows of the file are of days that stay as they are stored."""
        return sum(self.seals[day].rows for day in self.kept if day in self.seals)


class Halve(Exception):
    """The window should be read as two halves; no fault."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A window that was read: how many ``rows`` are in the file, their seals, and the fields TikTok would not give.

    ``notes`` are sentences for the person it was read for. ``has_totals``: TikTok gives totals of such a report;
    ``adds_up``: it gave them of all that was read, and they are the sums of the rows.
    """

    rows: int
    seals: Seals
    refused: frozenset[str]
    notes: tuple[str, ...] = ()
    adds_up: bool = False
    has_totals: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing one chunk did: the ``rows`` that are there now, and for a replaced window those it had before.

    ``rows`` are counted or read back in the destination, never taken from the chunk: the run compares them with what
    was read. A destination that replaces several windows at once may say for the first how many rows all of them had.
    ``notes`` are sentences for the person it was stored for. ``kept`` days (1 for what has no days) with ``rows_kept``
    rows were there already as they were read, and are among ``rows`` by their seals.
    """

    rows: int
    replaced: int
    notes: tuple[str, ...] = ()
    kept: int = 0
    rows_kept: int = 0


Cursors = Mapping[tuple[str, str], Known]
"""What a destination knows, by (stream name, advertiser id)."""


@dataclass(frozen=True, slots=True)
class Step:
    """How much a destination takes in one step: ``values`` (rows times columns), and ``size_bytes`` of row files.

    ``linger_s`` is how many seconds rows may wait for others: where a step costs much, few large ones are better.
    ``side_by_side`` is how many steps it takes at the same time, on as many threads: never two with the same pair in
    them, two of a stream at most.
    """

    values: int = 10_000_000
    size_bytes: int = 256 * 2**20
    linger_s: float = 4.0
    side_by_side: int = 1

    def count(self, values: int, seconds: float) -> int:
        """Return about how many steps so many values make that arrive over so many seconds."""
        return max(1, math.ceil(values / self.values), math.ceil(seconds / max(self.linger_s, 1.0)))


class Destination(Protocol):
    """Where rows live, with the cursors and seals beside them. One module each under ``destinations``.

    Rows, cursor and seals of a chunk land together or none does, and storing the same chunk twice is the same as once.
    A cursor moves only once as many rows of its chunk are there as were read; StoreFailed otherwise. Two chunks of one
    step never speak of the same rows (``cursors.check_step``).
    """

    @property
    def step(self) -> Step:
        """How much it takes in one step; a single window that is larger is a step of its own."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def cursors(self) -> dict[tuple[str, str], Known]:
        """Return what is known of every pair; a cursor counts only for the table and the columns it speaks of."""
        ...

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        """Create the stream's table, or add the columns it lacks; refuse a table that is not ours."""
        ...

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Make each chunk's window (of one stream) exactly its rows, and store the cursors, all in one step."""
        ...

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Add or update each chunk's rows (of one stream) by key, and store the cursors, all in one step."""
        ...

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        """Remember beside the cursor why the pair could not be read."""
        ...

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        """Forget cursors and failures of these pairs, so that the next import reads all of them again; rows stay."""
        ...

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        """Delete rows dated before ``keep_from[advertiser]``; return how many there were. Dry: only count."""
        ...

    def seals(self, stream: Stream, advertiser_id: str) -> dict[date | None, Sealed]:
        """Return the seals that were stored with the rows of a pair, by day; they count only for their own table."""
        ...

    def recount(self, stream: Stream, advertiser_id: str, window: Window | None = None) -> dict[date | None, Seal]:
        """Return the seals of the rows as they stand there now, of the window or all; days without rows have none.

        The fingerprint of a day is of the columns that its stored seal speaks of, so that the two can be compared.
        """
        ...


@runtime_checkable
class Metered(Protocol):
    """A destination that is paid for by the bytes it reads."""

    bytes_billed: int
    """Bytes that were billed so far."""
    price_per_tib: float | None
    """What 2**40 of them cost, where somebody has said it."""

    def estimate(self, stream: Stream, windows: Mapping[str, Window | None], *, steps: int = 1) -> int:
        """Return how many bytes would be billed to store these windows, by advertiser, in so many steps.

        None stands for all rows.
        """
        ...


Differences = Mapping[tuple[str, str], Mapping[date | None, tuple[Seal, Seal]]]
"""By (stream name, advertiser id), the days whose rows are not those that were stored: their seals then and now."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found when a destination was compared with its seals.

    ``notes`` are sentences about what was put right at once, each with the name of its stream.
    """

    differing: Differences = field(default_factory=dict)
    notes: Sequence[tuple[str, str]] = ()


@runtime_checkable
class Audited(Protocol):
    """A destination that people edit by hand, and that compares what is there with its seals before each import."""

    def audit(self, streams: Sequence[Stream]) -> Audit:
        """Return which days of these streams are not what was stored. To be called after ``cursors``."""
        ...

    def tidy(self, streams: Sequence[Stream]) -> Sequence[tuple[str, str]]:
        """Clear what is left over after an import; return what was done, in sentences with the name of the stream."""
        ...


@runtime_checkable
class Mixes(Protocol):
    """A destination for which each step has its price, and that stores chunks of several streams in one."""

    def store(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Store each chunk as its stream's verb says, and the cursors, in as few steps as they fit into."""
        ...


@runtime_checkable
class CountsRows(Protocol):
    """A destination that can count its rows, and that costs nothing."""

    def row_counts(self, stream: Stream) -> Mapping[str, int]:
        """Return how many rows of the stream each advertiser has here; empty where there is no table."""
        ...


@runtime_checkable
class KeepsHistory(Protocol):
    """A destination that can keep every version of the rows of a list, not only the current one."""

    history: frozenset[str]
    """The lists whose history is kept from now on, by name; set before anything is prepared."""


@runtime_checkable
class Removes(Protocol):
    """A destination that can delete all it has of an ad account."""

    def remove(self, advertiser_ids: Collection[str], *, dry_run: bool) -> Mapping[str, int]:
        """Delete all rows of these accounts, in every table of ours, all or nothing; dry: only count.

        Returns how many there were by the table's name, cursors and seals included; tables without any are left out.
        """
        ...


@runtime_checkable
class Stamps(Protocol):
    """A destination whose rows say which run has written them."""

    run_id: str
    """The run: its own name where it has one, else one that the destination gives."""


@runtime_checkable
class ShowsAccounts(Protocol):
    """A destination that shows people, by ad account, what is in it."""

    advertisers: Sequence[Advertiser]
    """The accounts; set once it is known what TikTok calls them."""


@runtime_checkable
class NamesAccounts(Protocol):
    """A destination that can say what ad accounts are called."""

    def account_names(self) -> Mapping[str, str]:
        """Return the names of ad accounts by their ids, as they were imported last; empty where none were."""
        ...


@runtime_checkable
class Checkable(Protocol):
    """A destination that can try beforehand what an import needs."""

    def check(self) -> list[str]:
        """Return a sentence for each thing that would keep an import from working here; leaves nothing behind."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A destination that may have something to say although an import works."""

    def remarks(self) -> list[str]:
        """Return a sentence for each thing that works in another way than it could, and what to do about it."""
        ...


def utc(moment: datetime) -> datetime:
    """Return ``moment`` in UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0)
