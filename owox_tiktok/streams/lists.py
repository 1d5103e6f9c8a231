"""The lists: one row of ``_LISTS`` each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

from owox_tiktok.model import Batch, Family, Field, Kind, Level, Listing, Stream
from owox_tiktok.streams.common import ADVERTISER_ID, CURRENCY, listed_fields


class _List(NamedTuple):
    name: str
    title: str
    description: str
    path: str
    key: tuple[str, ...]
    page_size: int | None = None
    rows_at: str = "list"
    sandbox: bool = True
    deletable: bool = False
    choose: bool = False
    per_app: bool = False
    by_accounts: bool = False
    level: Level | None = None
    daily: bool = False
    lifted: Mapping[str, str] = {}
    batch: Batch | None = None
    each: str = ""
    by_id: str = ""
    span_days: int | None = None
    days_in: tuple[str, str] = ("start_date", "end_date")
    asks: Mapping[str, str] = {}
    until_empty: bool = False


# Page sizes are TikTok's maxima; ``choose``: the endpoint takes a list of fields. Without a key of their own, rows are
# the ad accounts themselves.
_LISTS = (
    _List("advertiser_ids", "Advertiser ids", "Every ad account the authorisation covers", "oauth2/advertiser/get/",
            (), sandbox=False, per_app=True),
    _List("advertisers", "Advertisers", "The ad accounts with currency, time zone, status and balance",
            "advertiser/info/", (), choose=True, by_accounts=True),
    _List("campaigns", "Campaigns", "Campaigns with objective, budget and status", "campaign/get/",
            ("campaign_id",), 1000, deletable=True, choose=True, level="campaign"),
    _List("ad_groups", "Ad groups", "Ad groups with targeting, bids, budget and schedule", "adgroup/get/",
            ("adgroup_id",), 1000, deletable=True, choose=True, level="ad_group"),
    _List("ads", "Ads", "Ads with creative, text, landing page and status", "ad/get/",
            ("ad_id",), 1000, deletable=True, choose=True, level="ad"),
    _List("audiences", "Audiences", "Custom audiences with their size", "dmp/custom_audience/list/",
            ("audience_id",), 100),
    _List("images", "Images", "The 10,000 images changed last in the creative library", "file/image/ad/search/",
            ("image_id",), 100),
    _List("videos", "Videos", "The 10,000 videos changed last in the creative library", "file/video/ad/search/",
            ("video_id",), 100),
    _List("music", "Music", "Music tracks that ads may use", "file/music/get/", ("music_id",), 1000, "musics"),
    _List("portfolios", "Portfolios", "Creative portfolios such as calls to action and cards",
            "creative/portfolio/list/", ("creative_portfolio_id",), 100, "creative_portfolios"),
    _List("spark_ads", "Spark Ads posts", "TikTok posts authorised for Spark Ads", "tt_video/list/",
            ("spark_ads_post_id",), 50, sandbox=False, lifted={"spark_ads_post_id": "item_info.item_id"}),
    _List("pixels", "Pixels", "Pixels with their events", "pixel/list/", ("pixel_id",), 20, "pixels", sandbox=False),
    _List("identities", "Identities", "Accounts that ads are shown as", "identity/get/",
            ("identity_id", "identity_type"), 100, "identity_list", sandbox=False),
    _List("pixel_instant_page_events", "Instant page events", "Events and goals that instant pages can optimise for",
            "pixel/instant_page/event/", ("business_type",), sandbox=False),
    _List("pixel_event_statistics", "Pixel event statistics", "Daily counts of each pixel's events, by UTC day",
            "pixel/event/stats/", ("stat_time_day", "pixel_id"), sandbox=False, daily=True,
            batch=Batch("pixels", "pixel_id", "pixel_ids", 10),
            days_in=("date_range.start_date", "date_range.end_date")),
    _List("smart_plus_campaigns", "Smart+ campaigns", "Upgraded Smart+ campaigns", "smart_plus/campaign/get/",
            ("campaign_id",), 1000, sandbox=False, deletable=True, choose=True),
    _List("smart_plus_ad_groups", "Smart+ ad groups", "Upgraded Smart+ ad groups", "smart_plus/adgroup/get/",
            ("adgroup_id",), 1000, sandbox=False, deletable=True, choose=True),
    _List("smart_plus_ads", "Smart+ ads", "Upgraded Smart+ ads; each holds many creatives", "smart_plus/ad/get/",
            ("smart_plus_ad_id",), 1000, sandbox=False, deletable=True, choose=True),
    _List("gmv_max_stores", "GMV Max stores", "TikTok Shops and whether GMV Max may run for them",
            "gmv_max/store/list/", ("store_id",), rows_at="store_list", sandbox=False),
    _List("ad_reviews", "Ad reviews", "What TikTok's review says of each ad, with reasons; a request per 20 ads",
            "ad/review_info/", ("ad_id",), rows_at="ad_review_map", sandbox=False, by_id="ad_id",
            batch=Batch("ads", "ad_id", "ad_ids", 20)),
    _List("ad_group_reviews", "Ad group reviews", "What TikTok's review says of each ad group; a request per 20",
            "adgroup/review_info/", ("adgroup_id",), rows_at="ad_group_review_map", sandbox=False, by_id="adgroup_id",
            batch=Batch("ad_groups", "adgroup_id", "adgroup_ids", 20)),
    _List("bc_ad_accounts", "Ad accounts of Business Centers", "Ad accounts of each center, with name and role",
            "bc/asset/get/", ("bc_id",), 50, sandbox=False, per_app=True, each="center",
            lifted={"advertiser_id": "asset_id"}),
    _List("ad_account_balances", "Balances of ad accounts", "What is on each ad account of each Business Center",
            "advertiser/balance/get/", ("bc_id",), 50, "advertiser_account_list", sandbox=False, per_app=True,
            each="center of accounts"),
    _List("ad_account_transactions", "Transactions of ad accounts", "Payments, refunds and credit of the last 365 days",
            "bc/account/transaction/get/", ("transaction_id",), 50, "transaction_list", sandbox=False,
            each="center of one", span_days=365, days_in=("filtering.start_time", "filtering.end_time")),
    _List("ad_account_budget_changes", "Budget changes of ad accounts",
            "Who changed the budget that a Business Center gives an account, in the last 365 days",
            "bc/account/budget/changelog/get/", ("operation_time", "activity_type", "operator_id"), 50,
            "changelog_list", sandbox=False, each="center and one", span_days=365,
            days_in=("filtering.start_date", "filtering.end_date")),
    _List("gmv_max_campaigns", "GMV Max campaigns", "Product and LIVE campaigns of GMV Max, deleted ones too",
            "gmv_max/campaign/get/", ("campaign_id",), 100, sandbox=False, each="type"),
    _List("gmv_max_campaign_details", "GMV Max campaign details", "Settings of each GMV Max campaign; a request each",
            "campaign/gmv_max/info/", ("campaign_id",), rows_at="", sandbox=False, each="one campaign"),
    _List("gmv_max_sessions", "GMV Max sessions", "Sessions of product campaigns that run now; a request per campaign",
            "campaign/gmv_max/session/list/", ("session_id",), rows_at="session_list", sandbox=False,
            each="one product campaign"),
    _List("gmv_max_identities", "GMV Max identities", "TikTok accounts that GMV Max may use for each shop",
            "gmv_max/identity/get/", ("store_id", "identity_id", "identity_type"), rows_at="identity_list",
            sandbox=False, each="store with center"),
    _List("gmv_max_videos", "GMV Max videos", "Posts that GMV Max may use for each shop",
            "gmv_max/video/get/", ("store_id", "item_id"), 50, "item_list", sandbox=False, each="store with center"),
    _List("bc_balances", "Balances of Business Centers", "What is on each Business Center",
            "bc/balance/get/", ("bc_id",), rows_at="", sandbox=False, per_app=True, each="center itself"),
    _List("bc_invoices", "Invoices of Business Centers", "Invoices, credit notes and automatic payments",
            "bc/invoice/get/", ("bc_id", "invoice_id"), 50, sandbox=False, per_app=True, each="center itself",
            lifted={"currency": "currency_code"}, asks={"invoice_types": '["RECON", "CREDIT", "AUTO_PAY"]'}),
    _List("campaign_labels", "Campaign labels", "Labels that campaigns can have", "campaign_label/get/",
            ("campaign_label_id",), 1000, sandbox=False),
    _List("automated_rules", "Automated rules", "Rules that change budgets, bids and statuses, but for deleted ones",
            "optimizer/rule/list/", ("rule_id",), 50, "rules", sandbox=False, until_empty=True),
    _List("negative_keywords", "Negative keywords of ad groups",
            "Words that an ad group is not shown for; a request per ad group", "search_ad/negative_keyword/get/",
            ("adgroup_id", "keyword_id"), 50, "keywords", sandbox=False, asks={"object_type": "ADGROUP"},
            batch=Batch("ad_groups", "adgroup_id", "object_id", 1, alone=True, living=True, gives="adgroup_id")),
    _List("campaign_negative_keywords", "Negative keywords of campaigns",
            "Words that a campaign is not shown for; a request per campaign", "search_ad/negative_keyword/get/",
            ("campaign_id", "keyword_id"), 50, "keywords", sandbox=False, asks={"object_type": "CAMPAIGN"},
            batch=Batch("campaigns", "campaign_id", "object_id", 1, alone=True, living=True, gives="campaign_id")),
    _List("apps", "Apps", "Apps that are advertised, with their measurement partner", "app/list/", ("app_id",),
            rows_at="apps", sandbox=False),
    _List("saved_audiences", "Saved audiences", "Audiences saved for ad groups", "dmp/saved_audience/list/",
            ("saved_audience_id",), 100, "saved_audiences", sandbox=False),
    _List("audience_details", "Audience details", "Rules and history of each custom audience",
            "dmp/custom_audience/get/", ("audience_id",), sandbox=False,
            lifted={n: f"audience_details.{n}" for n in listed_fields()["audience_details"] if n != "audience_history"},
            batch=Batch("audiences", "audience_id", "custom_audience_ids", 100)),
    _List("offline_event_sets", "Offline event sets", "Sets of events that happened offline", "offline/get/",
            ("event_set_id",), rows_at="event_set_list", sandbox=False),
    _List("crm_event_sets", "CRM event sets", "Sets of events of a CRM", "crm/list/", ("event_set_id",),
            rows_at="crm_event_sets", sandbox=False),
    _List("custom_conversions", "Custom conversions", "Conversions of one's own on pixels; a request per pixel",
            "custom_conversion/list/", ("custom_conversion_id",), 1000, sandbox=False,
            asks={"event_source_type": "PIXEL"},
            batch=Batch("pixels", "pixel_id", "event_source_id", 1, alone=True)),
    _List("lead_forms", "Lead forms", "Instant forms for leads, drafts too", "page/get/", ("page_id",), 100,
            sandbox=False, asks={"business_type": "LEAD_GEN"}),
    _List("comments", "Comments", "Comments of the last 30 days under ads; older ones stay; a request per ad group",
            "comment/list/", ("comment_id",), 100, "comments", sandbox=False, span_days=30,
            days_in=("start_time", "end_time"), asks={"search_field": "ADGROUP_ID"},
            batch=Batch("ad_groups", "adgroup_id", "search_value", 1, alone=True, living=True)),
    _List("languages", "Languages", "Names of the languages used in targeting and audience reports",
            "tool/language/", ("code",), rows_at="languages", sandbox=False),
    _List("interest_categories", "Interest categories", "Names of the interests used in audience reports",
            "tool/interest_category/", ("interest_category_id",), rows_at="interest_categories", sandbox=False),
    _List("action_categories", "Action categories", "Names of the behaviours used in targeting",
            "tool/action_category/", ("action_category_id",), rows_at="action_categories", sandbox=False),
    _List("regions", "Regions", "Names of the places used in targeting and reports: countries, provinces, cities",
            "search/region/", ("region_id",), rows_at="region_list", sandbox=False),
)  # fmt: skip


_FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(("advertiser_ids", "advertisers", "campaigns", "ad_groups", "ads"), "accounts"),
    **dict.fromkeys(("smart_plus_campaigns", "smart_plus_ad_groups", "smart_plus_ads"), "accounts"),
    **dict.fromkeys(("images", "videos", "music", "portfolios", "spark_ads", "identities"), "creatives"),
    **dict.fromkeys(("ad_reviews", "ad_group_reviews"), "creatives"),
    **dict.fromkeys(("bc_ad_accounts", "ad_account_balances", "ad_account_transactions"), "money"),
    **dict.fromkeys(("ad_account_budget_changes",), "money"),
    **dict.fromkeys(("bc_balances", "bc_invoices"), "money"),
    **dict.fromkeys(("campaign_labels", "automated_rules"), "accounts"),
    **dict.fromkeys(("negative_keywords", "campaign_negative_keywords"), "accounts"),
    **dict.fromkeys(("apps", "saved_audiences", "audience_details", "offline_event_sets"), "audiences"),
    **dict.fromkeys(("crm_event_sets", "custom_conversions"), "audiences"),
    **dict.fromkeys(("lead_forms", "comments"), "creatives"),
    **dict.fromkeys(("audiences", "pixels", "pixel_instant_page_events", "pixel_event_statistics"), "audiences"),
    **dict.fromkeys(("gmv_max_stores", "gmv_max_campaigns", "gmv_max_campaign_details"), "shop"),
    **dict.fromkeys(("gmv_max_sessions", "gmv_max_identities", "gmv_max_videos"), "shop"),
    **dict.fromkeys(("languages", "interest_categories", "action_categories", "regions"), "names"),
}
"""What each entity is about: the page of the documents on which it stands."""


def _fields(entry: _List) -> Mapping[str, Field]:
    fields = dict(listed_fields()[entry.name])
    if entry.key and not entry.per_app:
        fields["advertiser_id"] = ADVERTISER_ID
    if entry.daily:
        fields["stat_time_day"] = replace(fields["stat_time_day"], origin="ours")
    # Money of an entity is in the account's currency, which the item itself does not name.
    if "currency" not in fields and any(f.kind is Kind.MONEY for f in fields.values()):
        fields["currency"] = CURRENCY
    return fields


def _stream(entry: _List) -> Stream:
    build = cache(partial(_fields, entry))
    return Stream(
        name=entry.name,
        family=_FAMILIES[entry.name],
        title=entry.title,
        description=entry.description,
        path=entry.path,
        verb="replace" if entry.daily else "upsert",
        keys=("advertiser_id", *entry.key),
        build_fields=build,
        default=("*",),
        kind=Listing(
            entry.rows_at,
            entry.choose,
            entry.by_accounts,
            entry.lifted,
            entry.batch,
            each=entry.each,
            by_id=entry.by_id,
            span_days=entry.span_days,
            days_in=entry.days_in,
            asks=entry.asks,
            until_empty=entry.until_empty,
        ),
        page_size=entry.page_size,
        in_sandbox=entry.sandbox,
        per_app=entry.per_app,
        hides_deleted=entry.deletable,
        level=entry.level,
        time="stat_time_day" if entry.daily else None,
        max_days=1 if entry.daily else None,
        utc_days=entry.daily,
    )


def lists() -> Iterable[Stream]:
    """Return every list, in the order in which they are read."""
    return map(_stream, _LISTS)
