"""From the body of an answer to columns of a row file: decode, check the keys, write. Nothing here asks TikTok."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from owox_tiktok.errors import Senseless
from owox_tiktok.model import Field, Stream
from owox_tiktok.rows import Column, column
from owox_tiktok.spool import Writer
from owox_tiktok.tiktok.client import Body


class Keys:
    """The keys of a window, across its pages: counts the different ones and drops rows that come again.

    With ``keep_repeated`` repeated rows are kept and counted too.
    """

    def __init__(self, stream: Stream, columns: Sequence[Field], *, keep_repeated: bool = False) -> None:
        # advertiser_id is the same on every row of a pair, and hashing it for each would be for nothing.
        names = stream.keys if stream.per_app or len(stream.keys) == 1 else stream.keys[1:]
        self._at = [n for n, f in enumerate(columns) if f.name in names]
        self._seen: set[object] = set()
        self._keep = keep_repeated
        self.repeated = 0

    @property
    def count(self) -> int:
        """How many rows there are to store."""
        return len(self._seen) + (self.repeated if self._keep else 0)

    def fresh(self, data: Sequence[Column]) -> Sequence[Column]:
        """Return the rows whose key was not there before."""
        before = len(self._seen)
        columns = [data[n] for n in self._at]
        keys: Sequence[object] = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        if self._seen.isdisjoint(keys):
            self._seen.update(keys)
            if len(self._seen) - before == len(keys):
                return data
            self._seen.difference_update(keys)
        rows = []
        for row, key in enumerate(keys):
            if key in self._seen:
                self.repeated += 1
                if not self._keep:
                    continue
            self._seen.add(key)
            rows.append(row)
        return [[texts[row] for row in rows] for texts in data]


class PageInfo(msgspec.Struct):
    """What TikTok says of all pages of a question: how many rows and pages there are."""

    total_number: int = 0
    total_page: int = 0


class PagedData(msgspec.Struct):
    """A page without its rows."""

    page_info: PageInfo = msgspec.field(default_factory=PageInfo)


class Page(NamedTuple):
    """A page's values by field name, one list per field, all ``rows`` long."""

    values: Mapping[str, Sequence[Any]]
    rows: int
    info: PageInfo | None


Extract = Callable[[bytes], Page]


def extractor(stream: Stream, names: Sequence[str]) -> Extract:
    """Return a function from a body to its page; it raises Senseless or what msgspec raises for what is no page."""
    extract = _report_extractor(stream.dimensions, names) if stream.is_report else _entity_extractor(stream, names)

    def checked(body: bytes) -> Page:
        page = extract(body)
        if stream.page_size is not None and page.info is None:
            raise Senseless("an answer without a count of its pages")
        return page

    return checked


def _entity_extractor(stream: Stream, names: Sequence[str]) -> Extract:
    data = msgspec.defstruct(
        "Data",
        [("rows", list[dict[str, Any]] | None, None), ("page_info", PageInfo | None, None)],
        rename={"rows": stream.rows_at},
    )
    decoder = msgspec.json.Decoder(Body[data], float_hook=Decimal)  # type: ignore[valid-type]

    def extract(body: bytes) -> Page:
        page: Any = decoder.decode(body).data
        items = page.rows or ()
        values: dict[str, Sequence[Any]] = {n: [item.get(n) for item in items] for n in names}
        for name, path in stream.lifted.items():
            values[name] = [_at(item, path) for item in items]
        return Page(values, len(items), page.page_info)

    return extract


def _at(item: Any, path: str) -> Any:
    for step in path.split("."):
        item = item.get(step) if isinstance(item, dict) else None
    return item


def _report_extractor(dimensions: Sequence[str], names: Sequence[str]) -> Extract:
    """Decode with structs made for exactly these fields: dictionaries are what reading a large report costs most."""
    of_dimensions, of_metrics = _struct("Dimensions", dimensions), _struct("Metrics", names)
    item = msgspec.defstruct("Item", [("dimensions", of_dimensions), ("metrics", of_metrics)], gc=False)
    items = list[item]  # type: ignore[valid-type]
    data = msgspec.defstruct(
        "Data", [("list", items, msgspec.field(default_factory=list)), ("page_info", PageInfo | None, None)]
    )
    decoder = msgspec.json.Decoder(Body[data], float_hook=Decimal)  # type: ignore[valid-type]
    get_dimensions, get_metrics = _getter(len(dimensions)), _getter(len(names))

    def extract(body: bytes) -> Page:
        page: Any = decoder.decode(body).data
        values: dict[str, Sequence[Any]] = {}
        for group, get, part in (("dimensions", get_dimensions, dimensions), ("metrics", get_metrics, names)):
            if part and page.list:
                columns = zip(*map(get, map(attrgetter(group), page.list)), strict=True)
                values.update(zip(part, columns, strict=True))
        return Page(values, len(page.list), page.page_info)

    return extract


def _struct(name: str, fields: Sequence[str]) -> type[msgspec.Struct]:
    # Attribute names of our own, since a metric may be called anything.
    attributes = {f"f{n}": field for n, field in enumerate(fields)}
    return msgspec.defstruct(name, [(a, Any, None) for a in attributes], rename=attributes, gc=False)


def _getter(count: int) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function from a struct to the tuple of its values."""
    if count > 1:
        return attrgetter(*(f"f{n}" for n in range(count)))
    return lambda item: (item.f0,)


def take(
    extract: Extract,
    body: bytes,
    columns: Sequence[Field],
    ours: Mapping[str, str | None],
    keys: Keys,
    writer: Writer,
) -> tuple[int, PageInfo | None]:
    """Put a page's rows into the file; return how many there are and what TikTok says of the pages.

    What raises leaves the file as it was.
    """
    page = extract(body)
    writer.append(keys.fresh(_columns(columns, page, ours)))
    return page.rows, page.info


def _columns(columns: Sequence[Field], page: Page, ours: Mapping[str, str | None]) -> list[Column]:
    """Return the page as the table's columns; a field that TikTok did not give is null throughout."""
    data: list[Column] = []
    for field in columns:
        values = page.values.get(field.name)
        if field.origin == "ours":
            data.append([ours[field.name]] * page.rows)
        elif values is None:
            data.append([None] * page.rows)
        else:
            data.append(column(field, values, metric=field.origin == "metric"))
    return data
