"""What a developer app must be permitted before TikTok answers at an address, in the words of its developer portal."""

from __future__ import annotations

from collections.abc import Mapping

_CENTER = "Ad Account Management > Business Center"

_OF_ADDRESS: Mapping[str, str] = {
    "ad/get/": "Ads Management > Ad > Read Ads",
    "ad/review_info/": "Ads Management > Ad > Read Ads",
    "adgroup/get/": "Ads Management > Ad Group > Read Ad Groups",
    "adgroup/review_info/": "Ads Management > Ad Group > Read Ad Groups",
    "advertiser/balance/get/": f"{_CENTER} > Ad Account Balance and Transaction",
    "advertiser/info/": "Ad Account Management > Ad Account Information > Read Ad Account Information",
    "app/list/": "App Management > Read Apps",
    "bc/account/budget/changelog/get/": f"{_CENTER} > Ad Account Balance and Transaction",
    "bc/account/transaction/get/": f"{_CENTER} > Ad Account Balance and Transaction",
    "bc/asset/get/": f"{_CENTER} > Business Center Asset",
    "bc/balance/get/": f"{_CENTER} > Read Business Center",
    "bc/invoice/get/": f"{_CENTER} > Invoice Management",
    "campaign/get/": "Ads Management > Campaign > Read Campaigns",
    "campaign/gmv_max/info/": "Ads Management > Campaign > Read Campaigns",
    "campaign/gmv_max/session/list/": "Ads Management > GMV MAX > Session",
    "campaign_label/get/": "Ads Management > Campaign Label > Read Campaign Labels",
    "comment/list/": "Ad Comments > Ad Comment Management > Read Comments",
    "creative/portfolio/list/": "Creative Management > Creative Recommendation > CTA Recommendation",
    "creative/report/get/": "Creative Management > Get Creative Report",
    "creative_fatigue/get/": "Reporting > Creative Fatigue Insight",
    "crm/list/": "CRM Event Management > Read CRM Event Sets",
    "custom_conversion/list/": "Custom Conversion Management > Read Custom Conversion",
    "dmp/custom_audience/get/": "Audience Management > Read Custom Audiences",
    "dmp/custom_audience/list/": "Audience Management > Read Custom Audiences",
    "dmp/saved_audience/list/": "Audience Management > Read Custom Audiences",
    "file/image/ad/search/": "Creative Management > Image Management",
    "file/music/get/": "Creative Management > Music management > Read music library",
    "file/video/ad/search/": "Creative Management > Video Management",
    "gmv_max/campaign/get/": "Ads Management > Campaign > Read Campaigns",
    "gmv_max/identity/get/": "Ads Management > GMV MAX > Identity And Video",
    "gmv_max/report/get/": "Reporting > GMV MAX Report",
    "gmv_max/store/list/": "Ads Management > GMV MAX > Store Management",
    "gmv_max/video/get/": "Ads Management > GMV MAX > Identity And Video",
    "identity/get/": "Creative Management > TikTok Posts Management > Query Identity",
    "offline/get/": "Offline Events Management > Read Offline Events",
    "optimizer/rule/list/": "Automated Rules > Read Automated Rules",
    "page/get/": "Creative Management > Instant Page Management",
    "pixel/event/stats/": "Pixel Management > Pixel Level Reporting",
    "pixel/instant_page/event/": "Pixel Management > Create and Update Pixels",
    "pixel/list/": "Pixel Management > Read Pixels",
    "report/integrated/get/": "Reporting > Consolidated Report",
    "report/video_performance/get/": "Reporting > Ad Insight Report",
    "search_ad/negative_keyword/get/": "Ads Management > Search Ads > Negative Keywords",
    "smart_plus/material_report/breakdown/": "Reporting > Upgraded Smart+ Report",
    "smart_plus/material_report/overview/": "Reporting > Upgraded Smart+ Report",
    "tt_video/list/": "Creative Management > TikTok Posts Management > Authorize TikTok Posts",
}


def permission_for(path: str) -> str:
    """Return the permission that an address needs, as the portal names it; empty where no source names one."""
    return _OF_ADDRESS.get(path, "")
