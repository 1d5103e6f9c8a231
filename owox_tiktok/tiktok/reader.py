"""One window of one stream: what to ask, page after page, until the rows in a file are exactly TikTok's.

The rules of reading live here: parameters of each stream, deleted entities, the page count that must agree, fields an
account may not have, reports cut at 20,000 ads. How a call is made is ``client``; how a page becomes
columns is ``pages``; what a value means is ``rows``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from owox_tiktok.errors import AccountRefused, FieldsRefused, Refused, RequestRefused, TooLarge, Unavailable
from owox_tiktok.model import Advertiser, Field, Halve, Kind, Reading, Stream, Window
from owox_tiktok.rows import Text
from owox_tiktok.spool import Writer, read_text
from owox_tiktok.streams import STREAMS
from owox_tiktok.tiktok.client import Answer, TikTok, of, printable
from owox_tiktok.tiktok.pages import Keys, PagedData, PageInfo, extractor, take

PAGES_PER_WINDOW = 20
"""A window with more pages is halved, so that its parts are read side by side and memory stays flat."""
READINGS = 5
"""So often is a window read again whose pages do not add up (rows moved between two pages)."""
CAMPAIGNS_PER_REPORT = 30
"""TikTok's advice for a filter at ad level; it takes 100 at most."""
ADVERTISERS_PER_CALL = 100

_FIELD_CODES = frozenset({40002, 40006, 40125, 41002})
"""Codes with which TikTok refuses a field among other things."""


T = TypeVar("T")


class _NotWhole(Exception):
    """What was read is not all, or not of one moment: read it again. ``counts``: rows there were, rows TikTok says."""

    def __init__(self, what: str, counts: tuple[int, int] | None = None) -> None:
        self.counts = counts
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class _Part:
    """One request series of a window: a report's campaign filter, or ids a stream must be asked by."""

    campaign_ids: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


class _Account(msgspec.Struct):
    """An ad account as TikTok's lists of accounts describe it."""

    advertiser_id: Annotated[str, msgspec.Meta(pattern=r"^\w{1,64}\Z")] | int
    name: str | None = None
    currency: str | None = None
    timezone: str | None = None
    display_timezone: str | None = None


class _Listed(msgspec.Struct):
    accounts: list[_Account] | None = msgspec.field(default=None, name="list")


class Source:
    """Reads windows from TikTok. Shared by the reader threads; remembers what it learned about each pair."""

    def __init__(self, api: TikTok, *, include_deleted: bool = True) -> None:
        self.api = api
        self._include_deleted = include_deleted
        self._lock = threading.Lock()
        # Pages are taken apart one at a time, on one thread: side by side they would only take turns, each thread with
        # memory of its own (a quarter more time and half as much memory again, measured).
        self._pages = ThreadPoolExecutor(1, "pages")
        self._refused: dict[tuple[str, str], frozenset[str]] = {}
        self._longest: dict[tuple[str, str], int] = {}
        self._listed: dict[tuple[str, str], tuple[str, ...]] = {}

    # --- who there is -------------------------------------------------------------------------------------------------

    def advertiser_ids(self) -> tuple[str, ...]:
        """Return the ids of every ad account the authorisation covers."""
        data = self.api.data("oauth2/advertiser/get/", {}, _Listed, with_app=True)
        return tuple(str(item.advertiser_id) for item in data.accounts or ())

    def advertisers(self, ids: Sequence[str]) -> tuple[list[Advertiser], dict[str, Refused]]:
        """Return the accounts with time zone and currency, and why some of ``ids`` cannot be read.

        One account that is not ours makes TikTok refuse the whole list, so a refused list is asked one by one.
        """
        found: list[Advertiser] = []
        refused: dict[str, Refused] = {}
        for at in range(0, len(ids), ADVERTISERS_PER_CALL):
            batch = ids[at : at + ADVERTISERS_PER_CALL]
            try:
                found += self._advertisers(batch)
            except (AccountRefused, RequestRefused) as error:
                if len(batch) == 1:
                    refused[batch[0]] = error
                    continue
                for one in batch:
                    more, why = self.advertisers([one])
                    found += more
                    refused.update(why)
        for missing in set(ids) - {a.id for a in found} - set(refused):
            refused[missing] = AccountRefused(
                "TikTok does not know this ad account", code=0, what_to_do="Check the id in TikTok Ads Manager."
            )
        order = {one: n for n, one in enumerate(ids)}
        return sorted(found, key=lambda a: order.get(a.id, 0)), refused

    def _advertisers(self, ids: Sequence[str]) -> list[Advertiser]:
        fields = ["advertiser_id", "name", "currency", "timezone", "display_timezone"]
        data = self.api.data("advertiser/info/", {"advertiser_ids": list(ids), "fields": fields}, _Listed)
        return [
            Advertiser(str(i.advertiser_id), printable(i.name or ""), printable(i.currency or ""), _zone(i))
            for i in data.accounts or ()
        ]

    # --- one window ---------------------------------------------------------------------------------------------------

    def probe(
        self, stream: Stream, advertiser: Advertiser, window: Window | None, fields: Sequence[str]
    ) -> tuple[int | None, frozenset[str]]:
        """Ask for one row: return how many there are (None where TikTok does not say) and the fields it refuses.

        Raises what reading would raise.
        """
        refused: frozenset[str] = frozenset()
        parts = self._parts(stream, advertiser)
        while parts:
            names = tuple(n for n in _names(stream, fields) if n not in refused)
            try:
                data = self._get(stream, advertiser, window, names, parts[0], 1, of(PagedData), page_size=1)
            except RequestRefused as error:
                blame = self._blame(stream, advertiser, window, names, parts[0], error)
                if not isinstance(blame, FieldsRefused):
                    raise blame from None
                refused |= blame.fields
                continue
            if stream.page_size is None:
                break
            return data.page_info.total_number, refused
        return None, refused

    def read(
        self, stream: Stream, advertiser: Advertiser, window: Window | None, fields: Sequence[str], path: Path
    ) -> Reading:
        """Write the window's rows to ``path``; raises Halve, or a Problem that ends the pair."""
        pair = (stream.name, advertiser.id)
        dated = window is not None and stream.time is not None
        if dated and window and window.days > self._longest.get(pair, window.days):
            raise Halve
        columns = stream.columns(fields)
        twice = stream.time == "stat_time_hour" and window is not None and _has_an_hour_twice(window.first, advertiser)
        parts: tuple[_Part, ...] | None = None
        last: _NotWhole | None = None
        for _ in range(READINGS + len(fields)):
            writer = Writer(path, columns)
            try:
                if parts is None:
                    parts = self._parts(stream, advertiser)
                keys = Keys(stream, columns, keep_repeated=twice)
                for part in parts:
                    self._read_part(stream, advertiser, window, part, fields, columns, writer, keys)
                if keys.repeated and twice:
                    writer.close()
                    rows = _add_up(path, columns, stream)
                    note = "the clock was set back, and TikTok gave an hour twice: its sums are added up"
                    return Reading(rows, self._refused.get(pair, frozenset()), (note,))
                return Reading(writer.rows, self._refused.get(pair, frozenset()))
            except FieldsRefused as error:
                with self._lock:
                    self._refused[pair] = self._refused.get(pair, frozenset()) | error.fields
            except TooLarge as error:
                if dated and window and window.days > 1 and not error.cut:
                    with self._lock:
                        self._longest[pair] = min(self._longest.get(pair, 365), (window.days + 1) // 2)
                    raise Halve from None
                parts = self._smaller(stream, advertiser, parts or (_Part(),), error)
            except _NotWhole as error:
                if error.counts and last and last.counts == error.counts and not _strict(stream):
                    # Asset lists end at 10,000 whatever the count says; that is all TikTok gives.
                    note = f"TikTok counts {error.counts[1]:,} rows and gives {error.counts[0]:,}"
                    return Reading(writer.rows, self._refused.get(pair, frozenset()), (note,))
                last = error
            finally:
                writer.close()
        raise Unavailable(
            f"TikTok's pages do not add up: {last or 'fields refused one after the other'}",
            what_to_do="The next run reads these days again.",
        )

    def _read_part(
        self,
        stream: Stream,
        advertiser: Advertiser,
        window: Window | None,
        part: _Part,
        fields: Sequence[str],
        columns: Sequence[Field],
        writer: Writer,
        keys: Keys,
    ) -> None:
        refused = self._refused.get((stream.name, advertiser.id), frozenset())
        names = tuple(n for n in _names(stream, fields) if n not in refused)
        extract = extractor(stream, names)
        page, total, seen = 1, None, keys.count
        ours = {"advertiser_id": advertiser.id, "currency": advertiser.currency or None}
        if window:
            ours["stat_time_day"] = window.first.isoformat()

        def stored(answer: Answer) -> tuple[int, PageInfo | None]:
            if answer.cut:
                raise TooLarge("TikTok cut the report at its 20,000 newest ads", cut=True)
            return self._pages.submit(take, extract, answer.body, columns, ours, keys, writer).result()

        while True:
            try:
                rows, info = self._get(stream, advertiser, window, names, part, page, stored)
            except RequestRefused as error:
                raise self._blame(stream, advertiser, window, names, part, error) from None
            if info is None:
                return
            if page == 1 and stream.time and window and window.days > 1 and info.total_page > PAGES_PER_WINDOW:
                raise Halve
            if total is not None and total != info.total_number:
                raise _NotWhole("the number of rows changed while they were read")
            total = info.total_number
            if not rows or page >= info.total_page:
                break
            page += 1
        if keys.count - seen != total:
            found = keys.count - seen
            raise _NotWhole(f"{found:,} different rows where it counts {total:,}", (found, total))

    def _get(
        self,
        stream: Stream,
        advertiser: Advertiser,
        window: Window | None,
        names: Sequence[str],
        part: _Part,
        page: int,
        take: Callable[[Answer], T],
        page_size: int | None = None,
    ) -> T:
        params: dict[str, Any] = {}
        if stream.path == "advertiser/info/":
            params["advertiser_ids"] = [advertiser.id]
        elif not stream.per_app:
            params["advertiser_id"] = advertiser.id
        if stream.is_report:
            params |= _report_parameters(stream, window, names, part, self._include_deleted)
        else:
            if stream.can_choose_fields:
                params["fields"] = list(names)
            if stream.hides_deleted and self._include_deleted:
                params["filtering"] = {"primary_status": "STATUS_ALL"}
            if stream.batch:
                params[stream.batch.parameter] = list(part.ids)
            if stream.batch and window:
                params["date_range"] = {"start_date": f"{window.first}", "end_date": f"{window.last}"}
        if stream.page_size is not None:
            params["page"] = page
            params["page_size"] = page_size or stream.page_size
        return self.api.get(
            stream.path,
            params,
            take=take,
            advertiser_id=advertiser.id,
            with_app=stream.per_app,
            may_shrink=stream.time is not None and window is not None and window.days > 1,
            may_split=stream.is_report and stream.level not in (None, "advertiser") and len(part.campaign_ids) != 1,
        )

    # --- fields an account may not have -------------------------------------------------------------------------------

    def _blame(
        self,
        stream: Stream,
        advertiser: Advertiser,
        window: Window | None,
        names: Sequence[str],
        part: _Part,
        error: RequestRefused,
    ) -> RequestRefused:
        """Return the error to raise: FieldsRefused with the names at fault, or ``error`` when it is not about fields.

        A name of ours that stands in the message is at fault whatever the words around it; where none does, the names
        are halved until the ones at fault are found.
        """
        optional = [n for n in names if n not in stream.keys]
        if error.code not in _FIELD_CODES or not optional or not stream.can_choose_fields:
            return error
        mentioned = set(re.findall(r"\w+", error.message))
        named = frozenset(n for n in optional if n in mentioned)
        if len(named) == len(optional) > 1 or (not named and not stream.is_report):
            return error
        if named:
            return FieldsRefused(error, named)

        def refused(some: Sequence[str]) -> bool:
            try:
                self._get(stream, advertiser, window, some, part, 1, lambda answer: None, page_size=1)
            except RequestRefused:
                return True
            return False

        def at_fault(some: Sequence[str]) -> list[str]:
            if not refused(some):
                return []
            if len(some) == 1:
                return list(some)
            half = len(some) // 2
            return at_fault(some[:half]) + at_fault(some[half:])

        if refused(["spend", "impressions"]):
            return error  # every report has these two, so it is not the fields
        found = frozenset(at_fault(optional))
        return FieldsRefused(error, found) if found and len(found) < len(optional) else error

    # --- reports that are too large for one request -------------------------------------------------------------------

    def _parts(self, stream: Stream, advertiser: Advertiser) -> tuple[_Part, ...]:
        if stream.batch is None:
            return (_Part(),)
        parent = STREAMS[stream.batch.stream]
        ids = self._ids(parent, advertiser, stream.batch.field)
        return tuple(_Part(ids=ids[n : n + stream.batch.size]) for n in range(0, len(ids), stream.batch.size))

    def _smaller(
        self, stream: Stream, advertiser: Advertiser, parts: tuple[_Part, ...], error: TooLarge
    ) -> tuple[_Part, ...]:
        """Return the parts to read instead: by campaign, fewer each time; raises when that cannot help."""
        if not stream.is_report or stream.level in (None, "advertiser"):
            raise error
        if parts == (_Part(),):
            ids = self._ids(STREAMS["campaigns"], advertiser, "campaign_id")
            if len(ids) < 2:
                raise error
            size = CAMPAIGNS_PER_REPORT
            if len(ids) <= size:
                size = (len(ids) + 1) // 2
            return tuple(_Part(campaign_ids=ids[n : n + size]) for n in range(0, len(ids), size))
        largest = max(len(p.campaign_ids) for p in parts)
        if largest < 2:
            raise error
        size = (largest + 1) // 2
        everything = [i for p in parts for i in p.campaign_ids]
        return tuple(_Part(campaign_ids=tuple(everything[n : n + size])) for n in range(0, len(everything), size))

    def _ids(self, stream: Stream, advertiser: Advertiser, name: str) -> tuple[str, ...]:
        """Return the ids of all of a stream's entities, those included that its list hides unless asked for."""
        key = (stream.name, advertiser.id)
        if key not in self._listed:
            found: dict[str, None] = {}
            extract = extractor(stream, (name,))
            # Deleted ones always: their ads have results whether or not the list itself is wanted with them.
            for more in _HIDDEN_CAMPAIGNS if stream.name == "campaigns" else ({},):
                params: dict[str, Any] = {"advertiser_id": advertiser.id, "page_size": stream.page_size}
                if stream.hides_deleted:
                    params |= {"fields": [name], "filtering": {"primary_status": "STATUS_ALL", **more}}
                page, pages = 1, 1
                while page <= pages:
                    listed = self.api.get(
                        stream.path,
                        {**params, "page": page},
                        take=lambda answer: extract(answer.body),
                        advertiser_id=advertiser.id,
                    )
                    found.update((str(one), None) for one in listed.values[name] if one is not None)
                    pages = listed.info.total_page if listed.info and listed.rows else 0
                    page += 1
            self._listed[key] = tuple(found)
        return self._listed[key]


_HIDDEN_CAMPAIGNS: Sequence[Mapping[str, Any]] = (
    {},
    {"buying_types": ["RESERVATION_TOP_VIEW"]},  # must be asked for alone
    {"campaign_system_origins": ["PROMOTE"]},
)
"""Filters that together list every campaign: by default TikTok leaves out TopView and those made by Promote."""


def _has_an_hour_twice(day: date, advertiser: Advertiser) -> bool:
    """Whether clocks are set back on ``day`` where the account is, so that an hour has the same name twice."""
    midnight = datetime.combine(day, time.min, advertiser.zone)
    after = datetime.combine(day + timedelta(days=1), time.min, advertiser.zone)
    return (midnight.utcoffset() or timedelta()) > (after.utcoffset() or timedelta())


def _add_up(path: Path, columns: Sequence[Field], stream: Stream) -> int:
    """Make one row of rows with one key: what can be summed is, what cannot is null; return how many are left."""
    at = [n for n, f in enumerate(columns) if f.name in stream.keys]
    merged: dict[tuple[Text, ...], list[Text]] = {}
    for row in read_text(path):
        first = merged.setdefault(tuple(row[n] for n in at), row)
        if first is row:
            continue
        for n, field in enumerate(columns):
            if field.additive:
                amounts = [Decimal(t) for t in (first[n], row[n]) if t is not None]
                first[n] = f"{sum(amounts):f}" if amounts else None
            elif field.kind in (Kind.MONEY, Kind.RATE, Kind.COUNT):
                first[n] = None
    writer = Writer(path, columns)
    writer.append([list(texts) for texts in zip(*merged.values(), strict=True)])
    writer.close()
    return writer.rows


def _strict(stream: Stream) -> bool:
    return stream.is_report or stream.level is not None


def _names(stream: Stream, fields: Sequence[str]) -> tuple[str, ...]:
    """Return what must be asked of TikTok for ``fields``: a report's metrics, an entity's fields with its keys."""
    known = stream.fields
    if stream.is_report:
        return tuple(n for n in fields if known[n].origin == "metric")
    wanted = dict.fromkeys((*stream.keys, *fields))
    return tuple(n for n in wanted if known[n].origin == "item" and n not in stream.lifted)


def _report_parameters(
    stream: Stream, window: Window | None, names: Sequence[str], part: _Part, include_deleted: bool
) -> dict[str, Any]:
    assert stream.level is not None
    params: dict[str, Any] = {
        "report_type": stream.report_type,
        "data_level": f"AUCTION_{stream.level.replace('_', '').upper()}",
        "dimensions": list(stream.dimensions),
        "metrics": list(names) or ["spend"],
    }
    if window is None:
        params["query_lifetime"] = True
    else:
        params |= {"start_date": window.first.isoformat(), "end_date": window.last.isoformat()}
    filters = []
    if include_deleted and stream.hides_deleted:
        filters.append((f"{stream.level.replace('_', '')}_status", ["STATUS_ALL"]))
    if part.campaign_ids:
        filters.append(("campaign_ids", list(part.campaign_ids)))
    if filters:
        # The value of a filter is JSON text inside the JSON.
        params["filtering"] = [
            {"field_name": name, "filter_type": "IN", "filter_value": msgspec.json.encode(value).decode()}
            for name, value in filters
        ]
    return params


def _zone(account: _Account) -> ZoneInfo:
    """Return the account's time zone; zoneinfo reads the sign of an Etc/GMT+8 as TikTok means it (UTC-8)."""
    for name in (account.display_timezone, account.timezone):
        try:
            if name:
                return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")
