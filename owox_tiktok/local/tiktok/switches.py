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

    ``unlisted_splits_by_day``: whether the BASIC splits of which TikTok names no grouping (events, pages, LIVE rooms,
    posts, Minis, SKAN postbacks, images, videos) go with a day.

    ``finance_role``: whether the user has one in the Business Center, without which its money is refused.

    ``fatigue_allowed``: whether TikTok has enabled the app to ask for the fatigue of creatives.

    ``gmv_max_status_all``: whether GMV Max reports have one word for every status of a campaign, as TikTok's pages say,
    or its four statuses, as its specification does. ``gmv_max_refused``: metrics of it that accounts do not get.

    ``country_metrics``: which metrics BASIC has by country: 'docs' (TikTok's list) or 'connector' (21 more, which
    a shipped connector asks for). ``audience_metrics``: the same for AUDIENCE by country and the small splits.

    ``async_enabled``: whether the app may create report tasks; TikTok's guide calls them allow-listed.
    ``async_only_ids``: whether a task refuses filters other than those by id and origin, as TikTok's list has it.
    A task hides neither deleted ads nor Promote; TikTok names no defaults there.
    ``async_display_values``: whether a task's file shows 13-17 instead of AGE_13_17 also with untranslated titles;
    TikTok's sample shows such values and does not say when. ``queue_s`` and ``process_s``: seconds a task waits and
    works.

    ``timeout_penalties``: whether reports that time out slow the app down, and block a request that times out three
    times in ten minutes. With which code TikTok answers then is not known; 40016 here.

    ``zero_rows``: whether a report without a time dimension names some entities that delivered nothing, among them
    all that were created after its last day. TikTok does so by a rule it does not tell.

    ``interest_key_v2``: whether interest_category comes back as interest_category_v2, which TikTok says may happen.

    ``sandbox_list``: which endpoints the sandbox has: 'official' (TikTok's short list) or 'connector' (more of them,
    which a shipped connector asks there).

    ``ids_by_split``: how many campaigns, ad groups or ads a report with this dimension may cover.

    ``cut_levels``: the levels ('ad', 'ad_group', 'campaign', 'advertiser') whose reports are cut at the newest ads
    of a large account. TikTok speaks of ids of ads and names no level. ``cut_says_so``: whether the header tells it;
    TikTok's always does, and a loader that trusts it should notice one that does not.

    ``drop_zero_rows``: whether some daily rows of zeros are missing, which ones changes from hour to hour. TikTok
    drops them by a rule it does not tell.
    """

    top_view_at_advertiser: bool = True
    promote_mixed: bool = False
    country_hourly: bool = True
    unlisted_splits_by_day: bool = True
    finance_role: bool = True
    fatigue_allowed: bool = True
    gmv_max_status_all: bool = False
    gmv_max_refused: tuple[str, ...] = ()
    country_metrics: str = "docs"
    audience_metrics: str = "connector"
    async_enabled: bool = True
    async_only_ids: bool = True
    async_display_values: bool = False
    queue_s: float = 0.0
    process_s: float = 0.0
    timeout_penalties: bool = True
    zero_rows: bool = False
    interest_key_v2: bool = False
    sandbox_list: str = "connector"
    ids_by_split: tuple[tuple[str, int], ...] = (
        ("behavior_id", 200),
        ("interest_category", 3_000),
        ("interest_category_tier2", 150),
        ("interest_category_tier3", 100),
        ("interest_category_tier4", 100),
    )
    cut_levels: tuple[str, ...] = ("ad",)
    cut_says_so: bool = True
    drop_zero_rows: bool = False
