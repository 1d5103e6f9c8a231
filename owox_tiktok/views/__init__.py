"""Views to report on: what they are called, what they hold, and their SQL for what is stored. Pure.

Users choose objects and fields, so a view is written for the columns that exist: what is missing becomes a null of its
type, or the view is left out, and ``View.missing`` says what to import. Only what may be added up is added up; ratios
are computed from sums. One definition serves every SQL dialect. No filter and no function stands on the column that
dates a row, so that a filter on it still reads only the days it names.
"""

from __future__ import annotations

from owox_tiktok.dialects import Dialect
from owox_tiktok.views.creatives import creative_performance, creatives
from owox_tiktok.views.dbt import dbt_views
from owox_tiktok.views.lists import by_day, latest_entities
from owox_tiktok.views.performance import RATIOS, performance, rolled_up
from owox_tiktok.views.select import Columns, HoldsViews, There, View
from owox_tiktok.views.shop import gmv_max_products, spend_with_gmv_max
from owox_tiktok.views.status import import_status
from owox_tiktok.views.trust import trust_views

__all__ = ["RATIOS", "Columns", "HoldsViews", "View", "definitions"]


def definitions(columns: Columns, dialect: Dialect, lookback_days: int = 7) -> list[View]:
    """Return every view, written in ``dialect`` for tables with these ``columns``.

    ``lookback_days`` are so many days that are read again in every import.
    """
    there = There(columns, dialect, lookback_days)
    ads = performance(there, "v_ad_performance_daily", "ad", ("ad_report_daily",))
    campaigns = performance(
        there,
        "v_campaign_performance_daily",
        "campaign",
        ("campaign_report_daily", "ad_group_report_daily", "ad_report_daily"),
    )
    return [
        ads,
        campaigns,
        rolled_up(there, campaigns, "v_campaign_performance_weekly", "week"),
        rolled_up(there, campaigns, "v_campaign_performance_monthly", "month"),
        creative_performance(there, ads),
        creatives(there),
        *spend_with_gmv_max(there),
        *gmv_max_products(there),
        latest_entities(there),
        *by_day(there),
        *import_status(there),
        *dbt_views(there),
        *trust_views(there),
    ]
