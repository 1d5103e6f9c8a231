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

BY_COUNTRY_EXTRA = _names("""
    secondary_goal_result cost_per_secondary_goal_result secondary_goal_result_rate total_purchase_value
    total_onsite_shopping_value onsite_shopping vta_purchase vta_conversion cta_purchase cta_conversion
    total_pageview value_per_complete_payment total_complete_payment_rate sales_lead sales_lead_rate
    cost_per_sales_lead cost_per_total_sales_lead cost_per_total_app_event_add_to_cart
    total_app_event_add_to_cart cost_per_1000_reached average_video_play_per_user
""")
"""BASIC by country: what a shipped connector asks for although TikTok does not list it."""

BY_COUNTRY_ASYNC = _names("""
    spend cpc cpm impressions clicks ctr gross_impressions conversion cost_per_conversion conversion_rate
    real_time_conversion real_time_cost_per_conversion real_time_conversion_rate video_play_actions
    video_watched_2s video_watched_6s average_video_play video_views_p25 video_views_p50 video_views_p75
    video_views_p100 engaged_view engaged_view_15s clicks_on_music_disc follows likes comments shares
    profile_visits profile_visits_rate total_landing_page_view cost_per_landing_page_view
    landing_page_view_rate
""")
"""BASIC by country in a task."""

BY_AD_TYPE = _names("""
    spend cpc cpm impressions clicks ctr gross_impressions conversion cost_per_conversion conversion_rate
    real_time_conversion real_time_cost_per_conversion real_time_conversion_rate video_play_actions
    video_watched_2s video_watched_6s average_video_play video_views_p25 video_views_p50 video_views_p75
    video_views_p100 engaged_view engaged_view_15s clicks_on_music_disc follows likes comments shares
    profile_visits profile_visits_rate total_landing_page_view cost_per_landing_page_view
    landing_page_view_rate skan_conversion skan_cost_per_conversion skan_conversion_rate skan_app_install
    skan_cost_per_app_install skan_app_install_withheld
""")
"""BASIC by ad_type."""

BY_AD_TYPE_ASYNC = BY_AD_TYPE - {"skan_cost_per_conversion", "skan_conversion_rate"}
"""BASIC by ad_type in a task."""

AUDIENCE_BY_COUNTRY = _names("""
    spend cpc cpm impressions clicks ctr gross_impressions conversion cost_per_conversion conversion_rate
    real_time_conversion real_time_cost_per_conversion real_time_conversion_rate video_play_actions
    video_watched_2s video_watched_6s average_video_play video_views_p25 video_views_p50 video_views_p75
    video_views_p100 profile_visits profile_visits_rate likes comments shares follows clicks_on_music_disc
    total_landing_page_view cost_per_landing_page_view landing_page_view_rate result cost_per_result
    result_rate real_time_result real_time_cost_per_result real_time_result_rate
""")
"""AUDIENCE by country."""

AUDIENCE_BY_COUNTRY_ASYNC = AUDIENCE_BY_COUNTRY - _names("""
    result cost_per_result result_rate real_time_result real_time_cost_per_result real_time_result_rate
""")
"""AUDIENCE by country in a task."""

AUDIENCE_SMALL = _names("""
    spend cpc cpm impressions clicks ctr conversion cost_per_conversion conversion_rate conversion_rate_v2
    real_time_conversion real_time_cost_per_conversion real_time_conversion_rate real_time_conversion_rate_v2
    video_play_actions video_watched_2s video_watched_6s average_video_play video_views_p25 video_views_p50
    video_views_p75 video_views_p100 engaged_view engaged_view_15s follows likes comments shares
    profile_visits profile_visits_rate clicks_on_music_disc total_landing_page_view cost_per_landing_page_view
    landing_page_view_rate
""")
"""AUDIENCE by ad_type, hashtag, audience_tags or purchase_intention."""

AUDIENCE_ATTRIBUTES = _names("""
    advertiser_name campaign_name campaign_id campaign_budget adgroup_name adgroup_id placement_type promotion_type
    opt_status budget smart_target billing_event bid_strategy ad_name ad_id
""")
"""Attributes that AUDIENCE has, besides those the catalogue names."""

UNIQUE = _names("reach cost_per_1000_reached frequency average_video_play_per_user")
"""Metrics that count people, which AUDIENCE has in some splits only."""

UNIQUE_ASYNC = UNIQUE | _names("""
    real_time_result real_time_cost_per_result real_time_result_rate result cost_per_result result_rate
""")
"""Metrics that a task refuses with an audience dimension."""

SYNC_ONLY = _names("billed_cost")
"""Metrics that no task has, besides the group native_growth."""

BY_SEARCH_TERM = _names("""
    spend cpc cpm impressions clicks ctr conversion cost_per_conversion conversion_rate real_time_conversion
    result cost_per_result result_rate video_play_actions engaged_view engaged_view_15s
""")
"""BASIC by search_terms."""


BY_SEARCH_KEYWORD = _names("""
    spend cpc cpm impressions clicks ctr
""")
"""BASIC by search_keyword, with match_type or without."""

BY_PAGE = _names("""
    onsite_form onsite_download_start ix_page_view_count ix_button_click_count ix_product_click_count
    ix_page_duration_avg ix_page_viewrate_avg ix_video_views ix_video_views_p25 ix_video_views_p50
    ix_video_views_p75 ix_video_views_p100 ix_average_video_play spend cpc cpm impressions clicks ctr
    gross_impressions conversion cost_per_conversion conversion_rate conversion_rate_v2 real_time_conversion
    real_time_cost_per_conversion real_time_conversion_rate real_time_conversion_rate_v2
""")
"""BASIC by page_id."""

BY_COMPONENT = _names("""
    ix_page_duration_avg ix_page_viewrate_avg ix_video_views ix_video_views_p25 ix_video_views_p50
    ix_video_views_p75 ix_video_views_p100 ix_average_video_play spend cpc cpm impressions clicks ctr
    gross_impressions conversion cost_per_conversion conversion_rate conversion_rate_v2 real_time_conversion
    real_time_cost_per_conversion real_time_conversion_rate real_time_conversion_rate_v2
""")
"""BASIC by component_name."""

BY_ROOM = _names("""
    spend cpc cpm impressions clicks ctr conversion cost_per_conversion conversion_rate conversion_rate_v2
    onsite_add_to_wishlist cost_per_onsite_add_to_wishlist onsite_add_to_wishlist_rate
    value_per_onsite_add_to_wishlist total_onsite_add_to_wishlist_value ix_product_click_count
    cost_per_ix_product_click_count ix_product_click_count_rate onsite_shopping_roas onsite_shopping
    cost_per_onsite_shopping onsite_shopping_rate value_per_onsite_shopping total_onsite_shopping_value
    onsite_initiate_checkout_count cost_per_onsite_initiate_checkout_count onsite_initiate_checkout_count_rate
    value_per_onsite_initiate_checkout_count total_onsite_initiate_checkout_count_value onsite_on_web_detail
    cost_per_onsite_on_web_detail onsite_on_web_detail_rate value_per_onsite_on_web_detail
    total_onsite_on_web_detail_value onsite_on_web_cart cost_per_onsite_on_web_cart onsite_on_web_cart_rate
    value_per_onsite_on_web_cart total_onsite_on_web_cart_value
""")
"""BASIC by room_id."""

BY_POST = _names("""
    spend cpc cpm impressions clicks ctr conversion cost_per_conversion conversion_rate conversion_rate_v2
    video_play_actions video_watched_2s video_watched_6s average_video_play video_views_p25 video_views_p50
    video_views_p75 video_views_p100 engaged_view onsite_add_to_wishlist cost_per_onsite_add_to_wishlist
    onsite_add_to_wishlist_rate value_per_onsite_add_to_wishlist total_onsite_add_to_wishlist_value
    ix_product_click_count cost_per_ix_product_click_count ix_product_click_count_rate onsite_shopping_roas
    onsite_shopping cost_per_onsite_shopping onsite_shopping_rate value_per_onsite_shopping
    total_onsite_shopping_value onsite_initiate_checkout_count cost_per_onsite_initiate_checkout_count
    onsite_initiate_checkout_count_rate value_per_onsite_initiate_checkout_count
    total_onsite_initiate_checkout_count_value onsite_on_web_detail cost_per_onsite_on_web_detail
    onsite_on_web_detail_rate value_per_onsite_on_web_detail total_onsite_on_web_detail_value
    onsite_on_web_cart cost_per_onsite_on_web_cart onsite_on_web_cart_rate value_per_onsite_on_web_cart
    total_onsite_on_web_cart_value
""")
"""BASIC by post_id."""

BY_SPLIT = {
    "search_terms": BY_SEARCH_TERM,
    "search_keyword": BY_SEARCH_KEYWORD,
    "page_id": BY_PAGE,
    "component_name": BY_COMPONENT,
    "room_id": BY_ROOM,
    "post_id": BY_POST,
}
"""BASIC by dimension, where TikTok lists the metrics and no task has the dimension."""

ONLY_WITH = {
    "single_image_impressions": "image_id",
    "single_image_impression_rate": "image_id",
    "single_image_ctr": "image_id",
    "minis_name": "minis_id",
    "optimization_event": "minis_id",
    "cost": "bucket_id",
}
"""Metrics that come with one dimension and with no other."""
