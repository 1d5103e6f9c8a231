"""The kinds of ads, as data: two of them TikTok keeps out of lists and reports unless a request asks for them alone.

A report of campaigns, ad groups or ads is therefore read once per kind that the account has. The rows of the answers
are different ads, so together they are the report. Reports of a whole account are read once: their rows hold all ads
at once, and two answers could not stand beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from owox_tiktok.model import Stream
from owox_tiktok.streams import metrics

Filter = tuple[str, tuple[str, ...]]
"""The name of a filter and the values that pass it."""

_PROMOTE_SPLITS = frozenset(
    ("gender", "age", "country_code", "province_id", "dma_id", "ac", "platform", "interest_category", "placement",
     "device_brand_id")
)  # fmt: skip
"""The audience dimensions that TikTok lists for Promote ads."""


@dataclass(frozen=True, slots=True, eq=False)
class AdKind:
    """A kind of ads: what people call it, and the filters with which lists and reports hold this kind and no other."""

    name: str
    lists: Mapping[str, Sequence[str]]
    reports: tuple[Filter, ...] = ()

    @property
    def hidden(self) -> bool:
        """Whether TikTok leaves these ads out unless they are asked for."""
        return bool(self.reports)

    def fits(self, stream: Stream) -> bool:
        """Whether this kind has rows of its own in a report."""
        if self is ORDINARY:
            return True
        if not stream.is_report or stream.level == "advertiser":
            return False
        if self is not PROMOTE:
            return True
        beside_the_id = set(stream.dimensions[1:]) - {"stat_time_day"}
        return beside_the_id <= (_PROMOTE_SPLITS if stream.report_type == "AUDIENCE" else frozenset())

    def gives(self, stream: Stream, name: str) -> bool:
        """Whether a metric means something for these ads; for others TikTok writes a "0" that is none."""
        return self is not PROMOTE or stream.report_type in metrics()[name].promote


# A list leaves out TopView and Promote by itself; reservations are named since sources disagree about them.
ORDINARY = AdKind("ordinary", {"buying_types": ["AUCTION", "RESERVATION_RF"]})
TOP_VIEW = AdKind("TopView", {"buying_types": ["RESERVATION_TOP_VIEW"]}, (("buying_type", ("RESERVATION_TOP_VIEW",)),))
PROMOTE = AdKind("Promote", {"campaign_system_origins": ["PROMOTE"]}, (("campaign_system_origins", ("PROMOTE",)),))
HIDDEN = (TOP_VIEW, PROMOTE)
