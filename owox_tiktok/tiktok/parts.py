"""What a question is divided into when TikTok cannot, or will not, answer all of it at once.

A report goes by campaigns, fewer each time, then by ad groups of one campaign, then by ads of one ad group, as far as
its level allows: a row of a campaign is whole only if all of the campaign was asked for. The ids come from TikTok's
lists, deleted ones included, since their ads have results whether or not the lists themselves are wanted with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from owox_tiktok.model import Advertiser, Level, Stream
from owox_tiktok.streams import AD_ID_V2, STREAMS
from owox_tiktok.tiktok import centers, shop
from owox_tiktok.tiktok.client import TikTok
from owox_tiktok.tiktok.kinds import HIDDEN, ORDINARY, AdKind
from owox_tiktok.tiktok.once import Once
from owox_tiktok.tiktok.pages import extractor
from owox_tiktok.tiktok.questions import NAME_CONTAINS, WHOLE, Part, Question, Series

CAMPAIGNS_PER_REPORT = 30
"""TikTok's advice for a filter at ad level."""
IDS_PER_FILTER = 100
"""Most ids that a filter takes."""

_STEPS: Mapping[str, tuple[str, str, int]] = {
    "": ("campaigns", "campaign_id", CAMPAIGNS_PER_REPORT),
    "campaign_ids": ("ad_groups", "adgroup_id", IDS_PER_FILTER),
    "adgroup_ids": ("ads", "ad_id", IDS_PER_FILTER),
}
"""By the filter of a part that is one id: the list that names what is below it, its id, and how many go together."""
_LOWEST: Mapping[Level, str] = {"campaign": "campaign_ids", "ad_group": "adgroup_ids", "ad": "ad_ids"}
"""The last filter with which a row of a level is still whole."""


class Parts:
    """Divides questions; remembers the ids that TikTok listed."""

    def __init__(self, api: TikTok) -> None:
        self._api = api
        self._listed: Once[tuple[str, ...]] = Once()
        self._of_shop: Once[shop.Found] = Once()

    def first(self, question: Question) -> tuple[Part, ...]:
        """Return the parts that a question must be asked in from the beginning; none: there is nothing to ask for."""
        listing, report = question.stream.listing, question.stream.report
        if report and (wanted := dict(report.filters).get(NAME_CONTAINS)):
            # Lists hide kinds of ads as reports do: the ids of all of them are looked for.
            named = {
                one: None
                for text in wanted
                for kind in (ORDINARY, *HIDDEN)
                for one in self._ids(
                    STREAMS["campaigns"], question.advertiser, "campaign_id", {**kind.lists, "campaign_name": text}
                )
            }
            return Part("campaign_ids", tuple(named)).divided(IDS_PER_FILTER)
        if listing and listing.each in centers.EACH:
            return centers.parts(self._api, question, listing.each, self._of_shop)
        if listing and listing.each:
            return shop.parts(self._api, question, listing.each, self._of_shop)
        batch = listing.batch if listing else None
        if batch is None:
            return (WHOLE,)
        only = {"primary_status": "STATUS_NOT_DELETE"} if batch.living else {}
        ids = self._ids(STREAMS[batch.stream], question.advertiser, batch.field, only)
        parts = Part(batch.parameter, ids).divided(batch.size)
        return tuple(replace(p, gives=((batch.gives, p.ids[0]),)) for p in parts) if batch.gives else parts

    def can_divide(self, series: Series) -> bool:
        """Whether ``smaller`` may find something; nothing is asked for to say so."""
        level, part = series.question.stream.level, series.part
        if not series.question.stream.is_report or level is None or level == "advertiser":
            return False
        # By ids of ads TikTok cannot be asked where rows are about whole Smart+ ads.
        lowest = "adgroup_ids" if AD_ID_V2 in series.question.stream.dimensions else _LOWEST[level]
        return len(part.ids) > 1 or part.parameter != lowest

    def smaller(self, series: Series) -> tuple[Part, ...]:
        """Return two parts or more that together hold the series' part; none when there is nothing smaller."""
        part = series.part
        while self.can_divide(replace(series, part=part)):
            if len(part.ids) > 1:
                return part.divided((len(part.ids) + 1) // 2)
            name, field, size = _STEPS[part.parameter]
            filtering: dict[str, Any] = {part.parameter: list(part.ids)} if part.ids else {}
            if series.kind.hidden or not part.ids:
                filtering |= series.kind.lists
            ids = self._ids(STREAMS[name], series.question.advertiser, field, filtering)
            if not ids:
                return ()
            part = Part(f"{field}s", ids)
            if len(ids) > size:
                return part.divided(size)
        return ()

    def campaigns(self, advertiser: Advertiser, kind: AdKind) -> tuple[Part, ...]:
        """Return an account's campaigns of one kind, in parts that a filter takes."""
        ids = self._ids(STREAMS["campaigns"], advertiser, "campaign_id", kind.lists)
        return Part("campaign_ids", ids).divided(IDS_PER_FILTER)

    def _ids(
        self, stream: Stream, advertiser: Advertiser, name: str, filtering: Mapping[str, Sequence[str] | str]
    ) -> tuple[str, ...]:
        """Return the ids of all of a stream's entities that pass the filter, deleted ones included."""
        key = (stream.name, advertiser.id, *((n, str(v)) for n, v in sorted(filtering.items())))
        return self._listed.get(key, lambda: self._list(stream, advertiser, name, filtering))

    def _list(
        self, stream: Stream, advertiser: Advertiser, name: str, filtering: Mapping[str, Sequence[str] | str]
    ) -> tuple[str, ...]:
        params: dict[str, Any] = {"advertiser_id": advertiser.id, "page_size": stream.page_size}
        if stream.hides_deleted:
            params |= {"fields": [name], "filtering": {"primary_status": "STATUS_ALL", **filtering}}
        found: dict[str, None] = {}
        extract = extractor(stream, (name,))
        page, pages = 1, 1
        while page <= pages:
            listed = self._api.get(
                stream.path,
                {**params, "page": page},
                take=lambda answer: extract(answer.body),
                advertiser_id=advertiser.id,
            )
            found.update((str(one), None) for one in listed.values[name] if one is not None)
            pages = listed.info.total_page if listed.info and listed.rows else 0
            page += 1
        return tuple(found)


def how_many(api: TikTok, advertiser: Advertiser, kind: AdKind) -> int:
    """Return how many campaigns of a kind an account has, deleted ones included; asks for a single one."""
    params = {
        "advertiser_id": advertiser.id,
        "fields": ["campaign_id"],
        "filtering": {"primary_status": "STATUS_ALL", **kind.lists},
        "page_size": 1,
    }
    extract = extractor(STREAMS["campaigns"], ("campaign_id",))
    page = api.get("campaign/get/", params, take=lambda answer: extract(answer.body), advertiser_id=advertiser.id)
    return page.info.total_number if page.info else 0
