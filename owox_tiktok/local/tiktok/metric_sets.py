"""Which metrics TikTok gives with which grouping: lists of names and nothing else."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PROMOTE = _names("""
    spend cpc cpm impressions clicks ctr
    conversion cost_per_conversion conversion_rate conversion_rate_v2
    real_time_conversion real_time_cost_per_conversion real_time_conversion_rate real_time_conversion_rate_v2
    result cost_per_result result_rate real_time_result real_time_cost_per_result real_time_result_rate
    video_play_actions video_watched_2s video_watched_6s
    profile_visits profile_visits_rate likes comments shares follows
""")
"""Numbers of Promote ads in every report."""

PROMOTE_BASIC_ONLY = _names("""
    reach cost_per_1000_reached engaged_view engaged_view_15s engagements engagement_rate
""")
"""Numbers of Promote ads in BASIC only, besides those of live rooms and apps."""
