"""Where what is known of TikTok leaves a choice: which side this server takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Rules:
    """Choices where sources disagree or are silent. May be changed while serving.

    ``top_view_at_advertiser``: whether results of TopView ads are part of an account's own report when no filter
    asks for them. TikTok says that this level holds auction and reservation ads, and not whether TopView is meant.

    ``promote_mixed``: whether one synchronous report may ask for Promote and other campaigns together.

    ``country_hourly``: whether country_code goes with stat_time_hour. One connector asks for it, another and a
    catalogue of the API exclude it.

    ``cut_levels``: the levels ('ad', 'ad_group', 'campaign', 'advertiser') whose reports are cut at the newest ads
    of a large account. TikTok speaks of ids of ads and names no level.
    """

    top_view_at_advertiser: bool = True
    promote_mixed: bool = False
    country_hourly: bool = True
    cut_levels: tuple[str, ...] = ("ad",)
