"""A question to TikTok and the requests it takes. Pure: nothing here asks, waits or remembers.

Question   a stream's rows of one advertiser, of some days, with some fields: what a run wants to know
Part       some of it: the ids of a filter, or of the parameter by which a list must be asked
Series     one row of pages: a question, a kind of ads, a part, and the names TikTok is asked for
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec

from owox_tiktok.model import Advertiser, Field, Listing, Stream, Window
from owox_tiktok.streams import ID_OF
from owox_tiktok.tiktok.kinds import ORDINARY, AdKind
from owox_tiktok.trust.seals import in_order


@dataclass(frozen=True, slots=True)
class Question:
    """What is wanted of TikTok: the rows of ``stream`` of one advertiser, of the days of ``window``, with ``fields``.

    ``window`` is None where rows have no days. ``today`` is the day it is for the advertiser, where that is known.
    ``hash_personal``: of fields that tell of a person, only a hash is wanted (``rows.hashed``).
    """

    stream: Stream
    advertiser: Advertiser
    window: Window | None
    fields: tuple[str, ...]
    with_deleted: bool = True
    today: date | None = None
    hash_personal: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        """Stream and advertiser: what is learned from an answer holds for the two."""
        return self.stream.name, self.advertiser.id

    @property
    def columns(self) -> tuple[Field, ...]:
        """The columns of the rows that are wanted, in the order of a row file."""
        return in_order(self.stream.columns(self.fields))

    @property
    def can_halve(self) -> bool:
        """Whether it can be asked for fewer days; a week or a month is asked for as a whole or not at all."""
        dated = self.stream.time is not None and self.stream.period is None
        return dated and self.window is not None and self.window.days > 1

    @property
    def days_that_are_over(self) -> Question | None:
        """The same question about the days before today; None when there are none."""
        if self.window is None or self.today is None or self.window.first >= self.today:
            return None
        last = min(self.window.last, self.today - timedelta(days=1))
        return replace(self, window=Window(self.window.first, last))

    @property
    def is_moving(self) -> bool:
        """Whether TikTok still changes numbers of it: those of today and yesterday, and of a lifetime."""
        if self.window is None or self.today is None:
            return True
        return self.window.last >= self.today - timedelta(days=1)

    @property
    def names(self) -> tuple[str, ...]:
        """What must be asked of TikTok for the fields: a report's metrics, a list's fields with its keys."""
        stream, known = self.stream, self.stream.fields
        if stream.listing is None:
            return tuple(n for n in self.fields if known[n].origin == "metric")
        wanted = dict.fromkeys((*stream.keys, *self.fields))
        names = tuple(n for n in wanted if known[n].origin == "item" and n not in stream.listing.lifted)
        # Where fields can be chosen the account is asked for too: a row of another one is not stored.
        return tuple(dict.fromkeys(("advertiser_id", *names))) if stream.can_choose_fields else names

    @property
    def ours(self) -> Mapping[str, str | None]:
        """The values of the columns that TikTok's rows do not have."""
        ours = {"advertiser_id": self.advertiser.id, "currency": self.advertiser.currency or None}
        if self.window:
            ours |= dict.fromkeys(("stat_time_day", "first_day"), self.window.first.isoformat())
            ours["last_day"] = self.window.last.isoformat()
        return ours

    @property
    def has_an_hour_twice(self) -> bool:
        """Whether clocks are set back on its day where the account is, so that an hour has the same name twice."""
        if self.stream.time != "stat_time_hour" or self.window is None:
            return False
        midnight = datetime.combine(self.window.first, time.min, self.advertiser.zone)
        after = datetime.combine(self.window.first + timedelta(days=1), time.min, self.advertiser.zone)
        return (midnight.utcoffset() or timedelta()) > (after.utcoffset() or timedelta())


@dataclass(frozen=True, slots=True)
class Part:
    """The rows with these ``ids`` in ``parameter`` (a report's filter, or what a list is asked by); no ids: all.

    ``asks`` are parameters beside it, ``filters`` what its rows must fit, and ``gives`` the columns that TikTok's rows
    lack, since they are of the question.
    """

    parameter: str = ""
    ids: tuple[str, ...] = ()
    asks: tuple[tuple[str, str], ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    gives: tuple[tuple[str, str], ...] = ()

    def divided(self, size: int) -> tuple[Part, ...]:
        """Return parts of at most ``size`` ids that hold all of this one."""
        return tuple(Part(self.parameter, self.ids[n : n + size]) for n in range(0, len(self.ids), size))


WHOLE = Part()
EVERY_STATUS = ("STATUS_DELIVERY_OK", "STATUS_NOT_DELIVERY", "STATUS_DISABLE", "STATUS_DELETE")
"""All that a GMV Max campaign can be. TikTok's pages name a word for all of them, and its specification does not."""
NAME_CONTAINS = "campaign_name_contains"
"""A filter that reports do not have: the ids of the campaigns that lists find by it are asked for."""
_WITH_TOTALS = frozenset({*ID_OF.values(), "stat_time_day"})
"""The dimensions of reports of which TikTok gives totals."""


@dataclass(frozen=True, slots=True)
class Series:
    """One row of pages: ``names`` of a question, for one kind of ads and one part.

    ``by_day`` is False where TikTok does not give days with a report's split: it is asked for one day at a time then,
    without naming days. ``every_status``: where deleted things are asked for by naming every status, the one word for
    all is used.
    """

    question: Question
    kind: AdKind = ORDINARY
    part: Part = WHOLE
    names: tuple[str, ...] = ()
    by_day: bool = True
    every_status: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """The names that TikTok is asked for: those of its rows that are neither dimensions nor known beforehand."""
        listing = self.question.stream.listing
        if listing is None or not (listing.dimensions or self.part.gives or listing.info):
            return self.names
        not_asked = {*listing.dimensions, *(name for name, _ in self.part.gives)}
        if listing.dimensions or listing.info:
            not_asked.add("advertiser_id")
        return tuple(n for n in self.names if n not in not_asked)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What TikTok is asked to tell the rows apart by."""
        stream = self.question.stream
        dimensions = stream.listing.dimensions if stream.listing else stream.dimensions
        return dimensions if self.by_day else tuple(d for d in dimensions if d != "stat_time_day")

    @property
    def has_totals(self) -> bool:
        """Whether TikTok gives totals of it: of ordinary reports by an id, a day or both."""
        stream = self.question.stream
        return stream.report_type == "BASIC" and _WITH_TOTALS.issuperset(stream.dimensions)

    def parameters(self, page: int = 1, page_size: int | None = None, *, with_totals: bool = False) -> dict[str, Any]:
        """Return the parameters of one page."""
        stream, advertiser = self.question.stream, self.question.advertiser
        params: dict[str, Any] = {}
        if stream.listing and stream.listing.by_accounts:
            params["advertiser_ids"] = [advertiser.id]
        elif not stream.per_app and not (stream.listing and stream.listing.each in ("center of one", "center report")):
            params["advertiser_id"] = advertiser.id
        params |= self._of_list(stream.listing) if stream.listing else self._of_report()
        if stream.page_size is not None:
            params |= {"page": page, "page_size": page_size or stream.page_size}
        elif page > 1:  # TikTok says of an answer without pages that there are more
            params["page"] = page
        if with_totals:
            params["enable_total_metrics"] = True
        return params

    def _of_list(self, listing: Listing) -> dict[str, Any]:
        stream, window = self.question.stream, self.question.window
        params: dict[str, Any] = {**listing.asks, **dict(self.part.asks)}
        filters: dict[str, Any] = {name: list(values) for name, values in listing.filters.items()}
        filters |= {n: values[0] if n == "primary_status" else list(values) for n, values in self.part.filters}
        metrics = [n for n in self.asked if n not in listing.info]
        if listing.dimensions:
            params |= {"dimensions": list(listing.dimensions), "metrics": metrics}
        elif listing.info:
            params |= {"info_fields": list(listing.info), "metrics_fields": metrics}
            params |= {} if window else {"lifetime": True}
        elif listing.can_choose_fields:
            params["fields"] = list(self.names)
        if stream.hides_deleted and self.question.with_deleted:
            if listing.dimensions:
                filters["campaign_statuses"] = ["STATUS_ALL"] if self.every_status else list(EVERY_STATUS)
            else:
                filters["primary_status"] = "STATUS_ALL"
        if filters:
            params["filtering"] = filters
        if self.part.ids:
            alone = listing.batch is not None and listing.batch.alone
            _put(params, self.part.parameter, self.part.ids[0] if alone else list(self.part.ids))
        if window:
            after_last = window.last + timedelta(days=1)
            _put(params, listing.days_in[0], f"{window.first}")
            _put(params, listing.days_in[1], f"{after_last if listing.end_excluded else window.last}")
        return params

    def _of_report(self) -> dict[str, Any]:
        stream, window = self.question.stream, self.question.window
        assert stream.level is not None
        level = stream.level.replace("_", "")
        params: dict[str, Any] = {
            "report_type": stream.report_type,
            "data_level": f"AUCTION_{level.upper()}",
            "dimensions": list(self.dimensions),
            "metrics": list(self.names) or ["spend"],
        }
        if window is None:
            params["query_lifetime"] = True
        else:
            params |= {"start_date": window.first.isoformat(), "end_date": window.last.isoformat()}
        filters: list[tuple[str, Sequence[str]]] = list(self.kind.reports)
        wished = dict(stream.report.filters) if stream.report else {}
        statuses = wished.pop("status", None)
        wished.pop(NAME_CONTAINS, None)
        if statuses or (self.question.with_deleted and stream.hides_deleted):
            filters.append((f"{level}_status", statuses or ["STATUS_ALL"]))
        filters += wished.items()
        if self.part.ids:
            filters.append((self.part.parameter, self.part.ids))
        if filters:
            # The value of a filter is JSON text inside the JSON.
            params["filtering"] = [
                {"field_name": name, "filter_type": "IN", "filter_value": msgspec.json.encode(list(values)).decode()}
                for name, values in filters
            ]
        return params


def _put(params: dict[str, Any], name: str, value: object) -> None:
    """Set a parameter, or one that is inside another: "filtering.start_date"."""
    outer, _, inner = name.rpartition(".")
    if outer:
        params[outer] = {**params.get(outer, {}), inner: value}
    else:
        params[inner] = value


def of_at_most(names: Sequence[str], most: int) -> tuple[tuple[str, ...], ...]:
    """Return the names in groups of about equal length, none longer than ``most``; without names one empty group."""
    count = max(1, -(-len(names) // most))
    size = max(1, -(-len(names) // count))
    return tuple(tuple(names[n : n + size]) for n in range(0, len(names), size)) or ((),)
