"""The report of Business Centers: what each of their ad accounts spent, by how it was paid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from owox_tiktok.model import Field, Listing, Stream
from owox_tiktok.streams.common import ADVERTISER_ID, listed_fields

LONGEST_DAYS = 365


@cache
def _fields() -> Mapping[str, Field]:
    # TikTok does not say in which currency it adds up; it is not always the ad account's.
    return {**listed_fields()["bc_report_daily"], "advertiser_id": ADVERTISER_ID}


def money_reports() -> Iterable[Stream]:
    """Return the report of Business Centers, asked for one ad account at a time: rows name no account beside a day."""
    yield Stream(
        name="bc_report_daily",
        family="money",
        title="Business Center report daily",
        description="What each ad account of a Business Center spent a day, in cash, vouchers, cashback and tax",
        path="report/integrated/get/",
        verb="replace",
        keys=("advertiser_id", "stat_time_day", "bc_id"),
        build_fields=_fields,
        default=("*",),
        kind=Listing(dimensions=("stat_time_day",), each="center report", asks={"report_type": "BC"}),
        page_size=1000,
        time="stat_time_day",
        max_days=LONGEST_DAYS,
        in_sandbox=False,
    )
