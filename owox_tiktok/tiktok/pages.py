"""From the body of an answer to the rows of a file: decode, check, write. Nothing here asks TikTok.

An answer that cannot be right makes no sense (``Senseless``) and is asked for again: a row without its key, of a day or
an account that was not asked for. What is wrong only across several answers is ``NotWhole``: the window is read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from owox_tiktok.errors import Senseless
from owox_tiktok.model import Field, Kind, Listing, Stream
from owox_tiktok.rows import NOTHING, Column, column, hashed
from owox_tiktok.spool import Writer
from owox_tiktok.streams import ID_OF
from owox_tiktok.tiktok.client import Body
from owox_tiktok.tiktok.kinds import ORDINARY, AdKind
from owox_tiktok.tiktok.questions import Question

NONE = "NONE"
"""What TikTok writes in a breakdown for people of whom it does not know the value."""
ROWS_AT_ONCE = 1000


class NotWhole(Exception):
    """What was read is not all, or not of one moment: read it again. ``counts``: rows there were, rows TikTok says."""

    def __init__(self, what: str, counts: tuple[int, int] | None = None) -> None:
        self.counts = counts
        super().__init__(what)


# --- from a body to a page --------------------------------------------------------------------------------------------


class PageInfo(msgspec.Struct):
    """What TikTok says of all pages of a question: how many rows and pages there are."""

    total_number: int = 0
    total_page: int = 0


class PagedData(msgspec.Struct):
    """A page without its rows."""

    page_info: PageInfo = msgspec.field(default_factory=PageInfo)


class Page(NamedTuple):
    """A page's values by field name, one list per field, all ``rows`` long; ``absent``: names that no row has.

    ``totals`` are what all pages add up to as TikTok says, where it was asked.
    """

    values: Mapping[str, Sequence[Any]]
    rows: int
    info: PageInfo | None
    absent: frozenset[str] = frozenset()
    totals: Mapping[str, Any] | None = None


Extract = Callable[[bytes], Page]


def extractor(stream: Stream, names: tuple[str, ...], dimensions: tuple[str, ...] | None = None) -> Extract:
    """Return a function from a body to its page; it raises Senseless or what msgspec raises for what is no page.

    ``dimensions`` are those that a report was asked by, where it is not all of them.
    """
    if stream.listing and (stream.listing.info or stream.listing.by_id):
        extract = _odd_extractor(stream.listing, names)
    elif stream.listing and not stream.listing.dimensions:
        extract = _list_extractor(stream.listing, names)
    else:
        extract = _report_extractor(stream.dimensions if dimensions is None else dimensions, names)

    def checked(body: bytes) -> Page:
        page = extract(body)
        counted = not (stream.listing and stream.listing.until_empty)
        if stream.page_size is not None and page.info is None and counted:
            raise Senseless("an answer without a count of its pages")
        return page

    return checked


def _list_extractor(listing: Listing, names: Sequence[str]) -> Extract:
    data = msgspec.defstruct(
        "Data",
        [("rows", list[dict[str, Any]] | None, None), ("page_info", PageInfo | None, None)],
        rename={"rows": listing.rows_at or "list"},
    )
    decoder = msgspec.json.Decoder(Body[data], float_hook=Decimal)  # type: ignore[valid-type]
    whole = msgspec.json.Decoder(Body[dict[str, Any]], float_hook=Decimal)

    def extract(body: bytes) -> Page:
        if not listing.rows_at:  # the answer is the row itself
            one = whole.decode(body).data
            return Page({n: [one.get(n)] for n in names}, 1, None) if one else Page({}, 0, None)
        page: Any = decoder.decode(body).data
        items = page.rows or ()
        values: dict[str, Sequence[Any]] = {n: [item.get(n) for item in items] for n in names}
        for name, path in listing.lifted.items():
            values[name] = [_at(item, path) for item in items]
        return Page(values, len(items), page.page_info)

    return extract


def _odd_extractor(listing: Listing, names: Sequence[str]) -> Extract:
    """Decode rows whose values are in several objects (dimensions, info, metrics), or rows that are an object by id."""
    data = msgspec.defstruct(
        "Data",
        [("rows", Any, None), ("page_info", PageInfo | None, None)],
        rename={"rows": listing.rows_at},
    )
    decoder = msgspec.json.Decoder(Body[data], float_hook=Decimal)  # type: ignore[valid-type]
    wanted = dict.fromkeys((*names, *listing.dimensions))

    def extract(body: bytes) -> Page:
        page: Any = decoder.decode(body).data
        if listing.by_id:
            items = [{**row, listing.by_id: key} for key, row in (page.rows or {}).items()]
        else:
            groups = ("metrics", "info", "dimensions")
            items = [{n: v for g in groups for n, v in (row.get(g) or {}).items()} for row in page.rows or ()]
        values = {n: [item.get(n) for item in items] for n in wanted}
        asked = [n for n in names if n not in listing.info and not listing.by_id]
        absent = frozenset(n for n in asked if items and all(n not in item for item in items))
        return Page(values, len(items), page.page_info, absent)

    return extract


def _at(item: Any, path: str) -> Any:
    for step in path.split("."):
        item = item.get(step) if isinstance(item, dict) else None
    return item


@lru_cache(maxsize=256)
def _report_extractor(dimensions: tuple[str, ...], names: tuple[str, ...]) -> Extract:
    """Decode with structs made for exactly these fields: dictionaries are what reading a large report costs most.

    Only an answer that lacks one of them, where it should hold at least a null, is taken apart with dictionaries.
    """
    of_dimensions, of_metrics = _struct("Dimensions", dimensions), _struct("Metrics", names)
    item = msgspec.defstruct("Item", [("dimensions", of_dimensions), ("metrics", of_metrics)], gc=False)
    items = list[item]  # type: ignore[valid-type]
    data = msgspec.defstruct(
        "Data",
        [
            ("list", items, msgspec.field(default_factory=list)),
            ("page_info", PageInfo | None, None),
            ("total_metrics", dict[str, Any] | None, None),
        ],
    )
    decoder = msgspec.json.Decoder(Body[data], float_hook=Decimal)  # type: ignore[valid-type]
    getters = [attrgetter(f"f{n}") for n in range(max(len(dimensions), len(names)))]

    def extract(body: bytes) -> Page:
        try:
            page: Any = decoder.decode(body).data
        except msgspec.ValidationError:
            return _incomplete(_ANY_REPORT.decode(body).data, dimensions, names)
        values: dict[str, Sequence[Any]] = {}
        if page.list:
            # A column at a time: a tuple for each row would set off Python's garbage collector several times a page.
            for group, part in (("dimensions", dimensions), ("metrics", names)):
                found = list(map(attrgetter(group), page.list))
                values |= {name: list(map(get, found)) for name, get in zip(part, getters, strict=False)}
        return Page(values, len(page.list), page.page_info, totals=page.total_metrics)

    return extract


def _struct(name: str, fields: Sequence[str]) -> type[msgspec.Struct]:
    # Attribute names of our own, since a metric may be called anything.
    attributes = {f"f{n}": field for n, field in enumerate(fields)}
    return msgspec.defstruct(name, [(a, Any) for a in attributes], rename=attributes, gc=False)


class _Item(msgspec.Struct):
    dimensions: dict[str, Any]
    metrics: dict[str, Any] = {}


class _Items(msgspec.Struct):
    items: list[_Item] = msgspec.field(default_factory=list, name="list")
    page_info: PageInfo | None = None


_ANY_REPORT = msgspec.json.Decoder(Body[_Items], float_hook=Decimal)


def _incomplete(data: _Items, dimensions: Sequence[str], names: Sequence[str]) -> Page:
    """Return the page of an answer whose rows lack something; raises Senseless where that is part of their key."""
    values: dict[str, Sequence[Any]] = {}
    for name in dimensions:
        # TikTok may answer interest_category under the name interest_category_v2.
        found = [item.dimensions.get(name, item.dimensions.get(f"{name}_v2", msgspec.UNSET)) for item in data.items]
        if msgspec.UNSET in found:
            raise Senseless(f"a row without {name}")
        values[name] = found
    # Of an Upgraded Smart+ ad as a whole, what it has several of comes under the name ad_text_list.
    metrics = [item.metrics for item in data.items]
    absent = frozenset(n for n in names if all(n not in m and f"{n}_list" not in m for m in metrics))
    values |= {n: [m.get(n, m.get(f"{n}_list")) for m in metrics] for n in names if n not in absent}
    return Page(values, len(data.items), data.page_info, absent)


# --- from a page to columns -------------------------------------------------------------------------------------------


def columns_of(question: Question, page: Page) -> list[Column]:
    """Return the page as the columns that are wanted; a field that TikTok did not give is null throughout.

    Raises Senseless for rows that are no answer to the question.
    """
    stream = question.stream
    owners = page.values.get("advertiser_id", ())
    if not stream.per_app and (others := {str(o) for o in owners if o is not None} - {question.advertiser.id}):
        raise Senseless(f"a row of account {min(others)[:40]}, which was not asked for")
    ours = question.ours
    data: list[Column] = []
    for field in question.columns:
        values = page.values.get(field.name)
        # A day that TikTok was not asked to name is the day that was asked for.
        if field.origin == "ours" or (values is None and field.name == "stat_time_day"):
            data.append([ours[field.name]] * page.rows)
        elif values is None:
            data.append([None] * page.rows)
        elif field.name in stream.keys:
            data.append(_key_column(question, field, values))
        else:
            if stream.report and stream.report.split == _UNDISCLOSED_IN and _FEW in values:
                values = [None if v == _FEW else v for v in values]
            if stream.is_report and field.kind is Kind.JSON:
                values = [v if v is None or isinstance(v, list) else [v] for v in values]
            texts = column(field, values, metric=field.origin == "metric")
            data.append(hashed(texts) if field.personal and question.hash_personal else texts)
    return data


_FEW, _UNDISCLOSED_IN = "<5", "search_term"
"""What TikTok writes for a number below five, and the split in which it does."""


def _key_column(question: Question, field: Field, values: Sequence[Any]) -> Column:
    """Return a column of the rows' key, which has a value in every row."""
    if field.origin == "dimension" and field.name not in _OF_EVERY_ROW:
        return column(field, [NONE if v is None or v in NOTHING else v for v in values])
    texts = column(field, values)
    if None in texts:
        raise Senseless(f"a row without {field.name}")
    if question.window and field.name == question.stream.time and texts:
        days = {str(text)[:10] for text in texts}
        if min(days) < question.window.first.isoformat() or max(days) > question.window.last.isoformat():
            raise Senseless(f"rows of {min(days)} to {max(days)} where {question.window} was asked for")
    return texts


_OF_EVERY_ROW = frozenset({*ID_OF.values(), "stat_time_day", "stat_time_hour"})
"""Dimensions that TikTok always knows; of the others it may not know the value, and that is a value too."""


# --- from columns to a file -------------------------------------------------------------------------------------------


class Rows:
    """The rows of a window on their way into its file, by their keys, across pages, parts and kinds of ads.

    A row that comes again is dropped and counted. Where clocks are set back an hour has two rows, and both are kept.
    The kinds of ads that TikTok hides are read first and remembered: a row that comes for another kind as well is one
    row if its values are the same, and otherwise the window is not whole. Nothing is added up.
    """

    def __init__(self, question: Question, writer: Writer) -> None:
        self.question, self.writer = question, writer
        stream = question.stream
        # advertiser_id is the same on every row of a pair, and hashing it for each would be for nothing.
        names = stream.keys if stream.per_app or len(stream.keys) == 1 else stream.keys[1:]
        self._at = [n for n, f in enumerate(question.columns) if f.name in names]
        self._keep = question.has_an_hour_twice
        self._seen: set[object] = set()
        self._kind = ORDINARY
        self._of_kind: dict[object, _Known] = {}
        self._of_others: dict[object, _Known] = {}
        self._in_both: set[object] = set()
        self._again: Counter[object] = Counter()
        self.adds_up = question.stream.is_report
        """Whether TikTok's own totals are the sums of all rows so far."""
        self.notes: list[str] = []
        """Sentences for the person the rows are read for."""

    @property
    def count(self) -> int:
        """How many different rows have come."""
        return len(self._seen) + len(self._in_both) + (self.repeated if self._keep else 0)

    @property
    def repeated(self) -> int:
        """How many rows came with a key that was there before."""
        return self._again.total()

    def lost(self, expected: Counter[object]) -> int:
        """Return how many of the expected rows are not in the file, given how often each key must be there."""
        if not self._keep:
            return len(expected.keys() - self._seen)
        return sum(max(0, times - self._again[key] - (key in self._seen)) for key, times in expected.items())

    @property
    def came_again(self) -> str:
        """One key that came twice, in words; empty when there is none."""
        return next(map(_in_words, self._again), "")

    def begin(self, kind: AdKind) -> None:
        """Expect the rows of this kind of ads from here on."""
        self._of_others |= self._of_kind
        self._of_kind, self._in_both, self._kind = {}, set(), kind

    def keys_of(self, data: Sequence[Column]) -> Sequence[object]:
        """Return the keys of rows, one each."""
        columns = [data[n] for n in self._at]
        # One text is smaller than a tuple of several, and nothing to the garbage collector.
        return columns[0] if len(columns) == 1 else list(map(_BETWEEN.join, zip(*columns, strict=True)))

    def add(self, data: Sequence[Column], given: frozenset[str]) -> None:
        """Put rows into the file; ``given`` are the fields that TikTok was asked for."""
        keys = self.keys_of(data)
        if self._of_others and not self._of_others.keys().isdisjoint(keys):
            left = [n for n, key in enumerate(keys) if not self._came_for_another_kind(key, data, n, given)]
            data = [[texts[n] for n in left] for texts in data]
            keys = [keys[n] for n in left]
        if self._kind.hidden:
            for n, key in enumerate(keys):
                self._of_kind[key] = _Known(self._kind, given, tuple(texts[n] for texts in data))
        self.writer.append(self._fresh(data, keys))

    def _fresh(self, data: Sequence[Column], keys: Sequence[object]) -> Sequence[Column]:
        """Return the rows whose key was not there before."""
        before = len(self._seen)
        if self._seen.isdisjoint(keys):
            self._seen.update(keys)
            if len(self._seen) - before == len(keys):
                return data
            self._seen.difference_update(keys)
        rows = []
        for row, key in enumerate(keys):
            if key in self._seen:
                self._again[key] += 1
                if not self._keep:
                    continue
            self._seen.add(key)
            rows.append(row)
        return [[texts[row] for row in rows] for texts in data]

    def _came_for_another_kind(self, key: object, data: Sequence[Column], row: int, given: frozenset[str]) -> bool:
        """Whether the same row came as another kind of ads; raises NotWhole when it is not the same."""
        known = self._of_others.get(key)
        if known is None:
            return False
        differ = [
            field.name
            for field, mine, theirs in zip(self.question.columns, data, known.texts, strict=True)
            if mine[row] != theirs and field.name in given and field.name in known.given
        ]
        if differ:
            raise NotWhole(
                f"the row {_in_words(key)} came for {known.kind.name} ads and for {self._kind.name} ads with different "
                f"{', '.join(differ[:3])}"
            )
        self._in_both.add(key)
        return True


_BETWEEN = "\x1f"
"""Stands between the parts of a key; a control character that is in no canonical text."""


def _in_words(key: object) -> str:
    return str(key).replace(_BETWEEN, " ")


class _Known(NamedTuple):
    kind: AdKind
    given: frozenset[str]
    texts: tuple[str | None, ...]


class Sink(Protocol):
    """Takes the pages of one series. ``absent`` are the names that no row of an answer had."""

    absent: set[str]

    @property
    def came_again(self) -> str:
        """One key that came twice, in words; empty when there is none."""
        ...

    @property
    def count(self) -> int:
        """How many different rows came."""
        ...

    def add(self, page: Page) -> None:
        """Take a page; when it raises, nothing of it is kept."""
        ...


class Direct:
    """Puts pages into the file as they come."""

    def __init__(self, rows: Rows, names: Sequence[str]) -> None:
        self._rows, self._given, self._before = rows, frozenset(names), rows.count
        self.absent: set[str] = set()

    @property
    def count(self) -> int:
        """How many different rows came."""
        return self._rows.count - self._before

    @property
    def came_again(self) -> str:
        """One key that came twice, in words; empty when there is none."""
        return self._rows.came_again

    def add(self, page: Page) -> None:
        """Take a page; when it raises, nothing of it is kept."""
        self._rows.add(columns_of(self._rows.question, page), self._given)
        self.absent |= page.absent


class Join:
    """Keeps the pages of several series, each with some of the fields, and puts their rows together by key."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._groups: list[_Group] = []
        # Most values come again and again: each is kept once.
        self._texts: dict[str | None, str | None] = {}

    @property
    def absent(self) -> set[str]:
        """The fields that no row had."""
        return {name for group in self._groups for name in group.absent}

    def group(self, names: Sequence[str]) -> Sink:
        """Return what takes the pages with these fields."""
        self._groups.append(_Group(self._rows, names, self._texts))
        return self._groups[-1]

    def close(self) -> None:
        """Put the rows into the file; raises NotWhole when the groups do not have the same ones."""
        first, *others = self._groups
        places = [{key: n for n, key in enumerate(group.keys)} for group in others]
        for place in places:
            if place.keys() != set(first.keys):
                odd = len(place.keys() ^ set(first.keys))
                raise NotWhole(f"{odd:,} rows came with some of the fields and not with the others")
        orders = [[place[key] for key in first.keys] for place in places]
        data: list[Column] = []
        for n, field in enumerate(self._rows.question.columns):
            data.append(first.data[n])
            for group, order in zip(others, orders, strict=True):
                if field.name in group.names:
                    data[n] = [group.data[n][row] for row in order]
        given = frozenset(name for group in self._groups for name in group.names)
        for at in range(0, len(first.keys), ROWS_AT_ONCE):
            self._rows.add([texts[at : at + ROWS_AT_ONCE] for texts in data], given)


class _Group:
    """The rows of one series, kept in memory."""

    def __init__(self, rows: Rows, names: Sequence[str], texts: dict[str | None, str | None]) -> None:
        self._rows, self._texts, self.names = rows, texts, frozenset(names)
        self.data: list[Column] = [[] for _ in rows.question.columns]
        self.keys: list[object] = []
        self.absent: set[str] = set()
        self._times: Counter[object] = Counter()

    @property
    def count(self) -> int:
        """How many different rows came; of an hour that comes twice, both."""
        return len(self.keys) if self._rows.question.has_an_hour_twice else len(self._times)

    @property
    def came_again(self) -> str:
        """One key that came twice, in words; empty when there is none."""
        return next((_in_words(key) for key, times in self._times.items() if times > 1), "")

    def add(self, page: Page) -> None:
        """Take a page; when it raises, nothing of it is kept."""
        data = columns_of(self._rows.question, page)
        for mine, texts in zip(self.data, data, strict=True):
            mine += [self._texts.setdefault(t, t) for t in texts]
        for key in self._rows.keys_of(data):
            self.keys.append((key, self._times[key]))  # the second row with one key belongs to the second of the others
            self._times[key] += 1
        self.absent |= page.absent


class KeysOnly:
    """Keeps the keys of rows that are not wanted themselves."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.keys: Counter[object] = Counter()
        """How often each key came: once, and of an hour that comes twice as often as that."""
        self.absent: set[str] = set()
        self.came_again = ""

    @property
    def count(self) -> int:
        """How many different rows came; of an hour that comes twice, both."""
        return self.keys.total() if self._rows.question.has_an_hour_twice else len(self.keys)

    def add(self, page: Page) -> None:
        """Take a page; when it raises, nothing of it is kept."""
        self.keys.update(self._rows.keys_of(columns_of(self._rows.question, page)))
