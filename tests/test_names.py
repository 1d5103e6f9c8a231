"""The names of other loaders: each peer's own list, as it prints it, means here what it means there."""

from __future__ import annotations

import re

import pytest

from owox_tiktok.config_file import FILE_SETTINGS
from owox_tiktok.model import Stream
from owox_tiktok.names import instead, nearest, resolve, squeezed, synonym, synonyms
from owox_tiktok.settings import SETTINGS
from owox_tiktok.streams import ALIASES, STREAMS, expand, find, metrics


def words(text: str) -> list[str]:
    return text.split()


# --- objects ----------------------------------------------------------------------------------------------------------

# Airbyte's documentation of source-tiktok-marketing 5.1 prints these 44 names.
AIRBYTE_PRINTED = words("""
Advertisers AdGroups Ads Campaigns Audiences AdvertiserIds SparkAds Pixels PixelInstantPageEvents PixelEventsStatistics
CreativeAssetsImages CreativeAssetsMusic CreativeAssetsPortfolios CreativeAssetsVideos
AdsReportsHourly AdsReportsDaily AdsReportsLifetime
AdvertisersReportsHourly AdvertisersReportsDaily AdvertisersReportsLifetime
AdGroupsReportsHourly AdGroupsReportsDaily AdGroupsReportsLifetime
CampaignsReportsHourly CampaignsReportsDaily CampaignsReportsLifetime
AdvertisersAudienceReportsDaily AdvertisersAudienceReportsByCountryDaily AdvertisersAudienceReportsByPlatformDaily
AdvertisersAudienceReportsLifetime
AdGroupAudienceReportsDaily AdGroupAudienceReportsByCountryDaily AdGroupAudienceReportsByPlatformDaily
AdsAudienceReportsDaily AdsAudienceReportsByCountryDaily AdsAudienceReportsByPlatformDaily
AdsAudienceReportsByProvinceDaily
CampaignsAudienceReportsDaily CampaignsAudienceReportsByCountryDaily CampaignsAudienceReportsByPlatformDaily
AdsReportsByCountryDaily AdsReportsByCountryHourly AdGroupsByCountryDaily AdGroupsByCountryHourly
""")

# Its catalogue calls the same streams so.
AIRBYTE = words("""
advertiser_ids advertisers campaigns ad_groups ads audiences spark_ads pixels
creative_assets_images creative_assets_videos creative_assets_music creative_assets_portfolios
pixel_instant_page_events pixel_events_statistics
ads_reports_daily ad_groups_reports_daily campaigns_reports_daily advertisers_reports_daily
ads_reports_hourly ad_groups_reports_hourly campaigns_reports_hourly advertisers_reports_hourly
ads_reports_lifetime ad_groups_reports_lifetime campaigns_reports_lifetime advertisers_reports_lifetime
ads_reports_by_country_daily ad_groups_reports_by_country_daily
ads_reports_by_country_hourly ad_groups_reports_by_country_hourly
ads_audience_reports_daily ad_group_audience_reports_daily campaigns_audience_reports_daily
advertisers_audience_reports_daily advertisers_audience_reports_lifetime
ads_audience_reports_by_country_daily ad_group_audience_reports_by_country_daily
campaigns_audience_reports_by_country_daily advertisers_audience_reports_by_country_daily
ads_audience_reports_by_platform_daily ad_group_audience_reports_by_platform_daily
campaigns_audience_reports_by_platform_daily advertisers_audience_reports_by_platform_daily
ads_audience_reports_by_province_daily
""")


@pytest.mark.parametrize("names", [AIRBYTE, AIRBYTE_PRINTED], ids=["catalogue", "printed"])
def test_airbyte_has_44_streams_and_these_lists_name_them(names: list[str]) -> None:
    assert len({stream.name for name in names if (stream := find(name))}) == len(names) == 44


@pytest.mark.parametrize("name", AIRBYTE + AIRBYTE_PRINTED)
def test_every_stream_of_airbytes_connector_is_here_under_its_name(name: str) -> None:
    stream = find(name)
    assert stream is not None
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("ad_groups_by_", "ad_groups_reports_by_")
    parts = set(snake.split("_"))
    assert stream.is_report == ("reports" in parts)
    if not stream.is_report:
        return
    assert stream.name.split("_report_")[0].replace("_audience", "") == re.split("s?_(audience_)?reports", snake)[0]
    assert (stream.report_type == "AUDIENCE") == ("audience" in parts)
    assert ("country_code" in stream.dimensions) == ("country" in parts)
    assert ("platform" in stream.dimensions) == ("platform" in parts)
    assert ("province_id" in stream.dimensions) == ("province" in parts)
    assert ("stat_time_day" in stream.dimensions) == ("daily" in parts)
    assert ("stat_time_hour" in stream.dimensions) == ("hourly" in parts)
    if stream.report_type == "AUDIENCE" and not parts & {"country", "platform", "province"}:
        assert {"gender", "age"} <= set(stream.dimensions)


# Fivetran prints the names of its report tables in capitals and those of its other tables in small letters.
FIVETRAN = {
    **{
        f"{level.upper().replace('_GROUP', 'GROUP')}_REPORT_{time.upper()}": f"{level}_report_{time}"
        for level in ("campaign", "ad_group", "ad")
        for time in ("daily", "hourly", "lifetime")
    },
    **{
        f"{level.upper()}_{split.upper()}_REPORT": f"{level}_audience_report_daily_by_{split}"
        for level in ("campaign", "ad")
        for split in ("age_gender", "country", "language", "platform")
    },
    "advertiser": "advertisers",
    "campaign_history": "campaigns",
    "adgroup_history": "ad_groups",
    "ad_history": "ads",
    "smart_plus_ad_history": "smart_plus_ads",
    "campaign": "campaigns",
    "adgroup": "ad_groups",
    "ad": "ads",
}  # fmt: skip

OWOX = {
    "advertiser": "advertisers",
    "campaigns": "campaigns",
    "ad_groups": "ad_groups",
    "ads": "ads",
    "ad_insights": "ad_report_daily",
    "ad_insights_by_country": "ad_report_daily_by_country",
    "audiences": "audiences",
    "tiktok_ads_ad_insights": "ad_report_daily",
    "tiktok_ads_advertiser": "advertisers",
}
SINGER = {
    "advertisers": "advertisers",
    "campaigns": "campaigns",
    "adgroups": "ad_groups",
    "ads": "ads",
    "ad_insights": "ad_report_daily",
    "ad_insights_by_age_and_gender": "ad_audience_report_daily_by_age_gender",
    "ad_insights_by_platform": "ad_audience_report_daily_by_platform",
    "campaign_insights_by_province": "campaign_audience_report_daily_by_province",
    "auction_ad_reports": "ad_report_daily",
}
DBT = {
    "tiktok_ads__account_report": "advertiser_report_daily",
    "tiktok_ads__advertiser_report": "advertiser_report_daily",
    "tiktok_ads__campaign_report": "campaign_report_daily",
    "tiktok_ads__campaign_country_report": "campaign_audience_report_daily_by_country",
    "tiktok_ads__ad_group_report": "ad_group_report_daily",
    "tiktok_ads__ad_report": "ad_report_daily",
    "stg_tiktok_ads__ad_group_history": "ad_groups",
    "stg_tiktok_ads__ad_report_hourly": "ad_report_hourly",
    "stg_tiktok_ads__advertiser": "advertisers",
}
DLT = {name: name for name in ("advertisers", "campaigns", "ad_groups", "ads", "videos", "images")}
OTHERS = {"ad sets": "ad_groups", "Ad Accounts": "advertisers", "Custom Audiences": "audiences", "creatives": "ads"}

PEERS = {"Fivetran": FIVETRAN, "OWOX": OWOX, "Singer": SINGER, "dbt": DBT, "dlt": DLT, "others": OTHERS}


@pytest.mark.parametrize(
    ("name", "ours"),
    [pytest.param(name, ours, id=f"{peer}-{name}") for peer, table in PEERS.items() for name, ours in table.items()],
)
def test_a_peers_name_of_an_object_means_ours(name: str, ours: str) -> None:
    assert find(name) is STREAMS[ours]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reports", "campaign_report_daily"),
        ("tiktok_ads__url_report", "ads and ad_report_daily"),
        ("creative_history", "ads"),
        ("location", "not imported"),
        ("custom_report", "ad_report_daily"),
        ("smart_plus_reports", "ordinary reports"),
        ("leads", "not imported"),
    ],
)
def test_what_is_not_here_is_said_in_words_not_by_a_name_that_is_only_near(name: str, expected: str) -> None:
    assert find(name) is None
    advice = instead("object", name, STREAMS)
    assert expected in advice
    assert "Did you mean" not in advice


# --- fields -----------------------------------------------------------------------------------------------------------

# What OWOX's ad_insights offers, with ours where the word differs.
OWOX_FIELDS = {
    **{name: name for name in words("""
        ad_id advertiser_id campaign_id adgroup_id stat_time_day impressions clicks ctr conversion cost_per_conversion
        conversion_rate reach video_watched_2s video_watched_6s spend cpc cpm frequency video_play_actions
        video_views_p25
        video_views_p50 video_views_p75 video_views_p100 profile_visits likes comments shares follows
        real_time_conversion real_time_cost_per_conversion real_time_conversion_rate result cost_per_result
        """)},
    "cost": "spend",
    "video_views": "video_play_actions",
    "video_completion": "video_views_p100",
    "engagement": "engagements",
    "date_start": "stat_time_day",
    "date_end": "stat_time_day",
}  # fmt: skip
FIVETRAN_FIELDS = {
    "video_views_p_25": "video_views_p25",
    "video_view_p_100": "video_views_p100",
    "video_watched_2_s": "video_watched_2s",
    "video_watched_6_s": "video_watched_6s",
    **{name: name for name in words("total_purchase_value total_sales_lead_value profile_visits_rate reach spend")},
}
OTHER_FIELDS = {
    "Total Cost": "spend",
    "Amount Spent": "spend",
    "cost_per_1000_people_reached": "cost_per_1000_reached",
    "Paid Likes": "likes",
    "Video Views at 100%": "video_views_p100",
    "ad_group_name": "adgroup_name",
    "adGroupId": "adgroup_id",
    "campaign": "campaign_name",
    "account_id": "advertiser_id",
    "conversions": "conversion",
    "date": "stat_time_day",
    "statTimeDay": "stat_time_day",
    "average_cpc": "cpc",
}


@pytest.mark.parametrize(("name", "ours"), [*OWOX_FIELDS.items(), *FIVETRAN_FIELDS.items(), *OTHER_FIELDS.items()])
def test_a_peers_name_of_a_reports_field_means_ours(name: str, ours: str) -> None:
    assert expand(STREAMS["ad_report_daily"], name) == (ours,)


@pytest.mark.parametrize(
    ("object_", "name", "ours"),
    [
        ("advertisers", "id", "advertiser_id"),
        ("advertisers", "advertiser_name", "name"),
        ("advertisers", "company_name", "company"),
        ("advertisers", "telephone", "telephone_number"),
        ("advertisers", "reason", "rejection_reason"),
        ("campaigns", "opt_status", "operation_status"),
        ("campaigns", "status", "secondary_status"),
        ("campaigns", "updated_at", "modify_time"),
        ("ad_groups", "optimize_goal", "optimization_goal"),
        ("ad_groups", "placement", "placements"),
        ("ad_groups", "conversion_bid", "conversion_bid_price"),
        ("ad_groups", "operation_system", "operating_systems"),
        ("ad_groups", "is_comment_disable", "comment_disabled"),
        ("ads", "open_url", "deeplink"),
        ("ads", "is_creative_authorized", "creative_authorized"),
        ("ad_report_hourly", "date", "stat_time_hour"),
        ("ad_audience_report_daily_by_country", "country", "country_code"),
    ],
)
def test_a_peers_name_of_another_field_means_that_objects_own(object_: str, name: str, ours: str) -> None:
    assert expand(STREAMS[object_], name) == (ours,)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda s: s.name)
def test_a_synonym_never_takes_the_place_of_a_field_that_is_there(stream: Stream) -> None:
    for name in stream.fields:
        assert expand(stream, name) == (name,)
        assert resolve("field", name.replace("_", " ").title(), stream.fields) == name


def test_a_field_that_is_not_here_is_said_in_words() -> None:
    assert expand(STREAMS["ads"], "_fivetran_synced") is None
    assert "other tool" in instead("field", "_fivetran_synced", STREAMS["ads"].fields)


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("StartDate", "start_date"),
        ("EndDate", "end_date"),
        ("ReimportLookbackWindow", "reimport_lookback_window"),
        ("CleanUpToKeepWindow", "clean_up_to_keep_window"),
        ("AdvertiserIDs", "advertiser_ids"),
        ("IncludeDeleted", "include_deleted"),
        ("SandboxMode", "sandbox_mode"),
        ("AccessToken", "access_token"),
        ("AppSecret", "app_secret"),
        ("Fields", "fields"),
        ("attribution_window", "reimport_lookback_window"),
        ("secret", "app_secret"),
        ("advertiser_id", "advertiser_ids"),
        ("accounts", "advertiser_ids"),
        ("sandbox", "sandbox_mode"),
        ("resources", "objects"),
        ("Streams", "objects"),
    ],
)
def test_a_peers_name_of_a_setting_means_ours(name: str, ours: str) -> None:
    assert resolve("setting", name, [s.name for s in FILE_SETTINGS]) == ours


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("credentials", "TIKTOK_ACCESS_TOKEN"),
        ("page_size", "omit it"),
        ("report_type", "init --from"),
        ("data_level", "init --from"),
        ("metrics", "fields:"),
        ("timezone", "time zone"),
        ("report_granularity", "are shortened automatically"),
        ("CreateEmptyTables", "omit it"),
    ],
)
def test_a_setting_that_is_not_needed_here_is_said_in_words(name: str, expected: str) -> None:
    known = [s.name for s in FILE_SETTINGS]
    assert resolve("setting", name, known) is None
    assert expected in instead("setting", name, known)


# --- the table itself -------------------------------------------------------------------------------------------------


def test_every_meaning_in_the_table_exists_and_hides_nothing() -> None:
    fields = {name for stream in STREAMS.values() for name in stream.fields}
    assert set(ALIASES.values()) <= set(STREAMS)
    assert not {squeezed(name) for name in ALIASES} & {squeezed(name) for name in STREAMS}
    for found in synonyms("field").values():
        assert set(found.means) <= fields, found
    for found in synonyms("setting").values():
        assert set(found.means) <= {s.name for s in SETTINGS}, found
    for what in ("object", "field", "setting"):
        for found in synonyms(what).values():
            assert bool(found.means) != bool(found.note), found
            assert found.whose, found
            assert found.note == "" or found.note.endswith("."), found
            assert synonym(what, found.name.upper()) == found


def test_no_two_fields_of_an_object_differ_by_their_spelling_alone() -> None:
    for stream in STREAMS.values():
        assert len({squeezed(name) for name in stream.fields}) == len(stream.fields)
    assert len({squeezed(name) for name in metrics()}) == len(metrics())


@pytest.mark.parametrize(
    ("written", "meant"), [("ad_report_dayly", "ad_report_daily"), ("campaings", "campaigns"), ("adgruop", "ad_groups")]
)
def test_a_misspelt_object_has_a_suggestion(written: str, meant: str) -> None:
    assert instead("object", written, STREAMS) == f"Did you mean {meant}?"


def test_a_word_like_none_has_no_suggestion() -> None:
    assert nearest("qqqqqqq", STREAMS) is None
    assert instead("object", "qqqqqqq", STREAMS) == ""
    assert find("") is None
    assert find("__") is None
