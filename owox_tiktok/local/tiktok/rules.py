"""What the API accepts, and the words it refuses with.

Limits, windows and groupings are written down here, from what is known of the API, and nowhere
else in the simulated TikTok.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from owox_tiktok.local.tiktok import metric_sets
from owox_tiktok.local.tiktok.catalogue import ID_DIMENSIONS, metric_infos
from owox_tiktok.local.tiktok.hidden import (
    BUYING_TYPES,
    MIXED_BUYING_TYPES,
    ORIGINS,
    PROMOTE_ORIGIN,
    TOP_VIEW_BUYING,
    kinds_asked,
    promote_has_dimensions,
)
from owox_tiktok.local.tiktok.splits import AUDIENCE_SPLITS, BASIC_SPLITS, SPLITS
from owox_tiktok.local.tiktok.switches import Rules
from owox_tiktok.local.tiktok.world import ORDINARY, PROMOTE

PAGE_SIZES: dict[str, tuple[int, int]] = {
    "campaign/get": (10, 1000),
    "adgroup/get": (10, 1000),
    "ad/get": (10, 1000),
    "report/integrated/get": (10, 1000),
    "dmp/custom_audience/list": (10, 100),
    "file/image/ad/search": (20, 100),
    "file/video/ad/search": (20, 100),
    "file/music/get": (1000, 1000),
    "creative/portfolio/list": (20, 100),
    "pixel/list": (10, 20),
    "identity/get": (20, 100),
    "tt_video/list": (20, 50),
    "smart_plus/campaign/get": (10, 1000),
    "smart_plus/adgroup/get": (10, 1000),
    "smart_plus/ad/get": (10, 1000),
    "gmv_max/campaign/get": (10, 100),
    "gmv_max/video/get": (10, 50),
    "gmv_max/report/get": (10, 1000),
    "bc/get": (10, 50),
    "bc/asset/get": (10, 50),
    "advertiser/balance/get": (10, 50),
    "bc/account/transaction/get": (10, 50),
    "bc/account/budget/changelog/get": (10, 50),
    "smart_plus/material_report/overview": (10, 100),
    "smart_plus/material_report/breakdown": (10, 100),
    "creative/report/get": (10, 1000),
    "campaign_label/get": (10, 1000),
    "optimizer/rule/list": (10, 50),
    "search_ad/negative_keyword/get": (10, 50),
    "dmp/saved_audience/list": (10, 100),
    "custom_conversion/list": (10, 1000),
    "page/get": (10, 100),
    "comment/list": (10, 100),
    "bc/invoice/get": (10, 50),
    "creative_fatigue/get": (10, 500),
    "report/video_performance/get": (10, 500),
}
"""Default and largest ``page_size`` by path; paths not named here are not paged."""

MAX_IDS = 100
MAX_IDS_ASYNC = 20_000
MAX_PIXELS = 10
MAX_METRICS = 100
DAYS_BY_DAY, DAYS_BY_HOUR, DAYS_OTHERWISE = 30, 1, 365

LEVEL_OF = {
    "AUCTION_ADVERTISER": "advertiser",
    "AUCTION_CAMPAIGN": "campaign",
    "AUCTION_ADGROUP": "ad_group",
    "AUCTION_AD": "ad",
}
STATUS_FIELD = {"campaign": "campaign_status", "ad_group": "adgroup_status", "ad": "ad_status"}
_TIMES = frozenset({"stat_time_day", "stat_time_hour"})
_TIMELESS = frozenset(
    {
        "interest_category",
        "interest_category_tier2",
        "interest_category_tier3",
        "interest_category_tier4",
        "device_brand_id",
    }
)
"""Audience dimensions that go with no time dimension."""

_OF_SEARCH = frozenset({"search_terms", "search_keyword", "match_type"})
"""BASIC dimensions that reports of ads do not have."""
_OF_ADS_ONLY = frozenset({"ad_type", "custom_event_type", "event_source_id"})
"""BASIC dimensions that reports of whole accounts do not have."""
_OF_MATERIAL = frozenset({"image_id", "video_material_id"})
"""BASIC dimensions that only reports of ads have."""
_LISTED_BY_DAY = frozenset({"country_code", "ad_type"}) | _OF_SEARCH
"""BASIC dimensions of which it is known that they go with days."""
_TYPES = frozenset({"BASIC", "AUDIENCE", "TT_SHOP", "CATALOG"})
"""Report types that are simulated; the others (playable material, Business Center) are refused."""
_SHOP_GROUPINGS = frozenset(
    {
        frozenset({"advertiser_id"}),
        frozenset({"advertiser_id", "country_code"}),
        frozenset({"advertiser_id", "country_code", "stat_time_day"}),
        frozenset({"campaign_id", "country_code"}),
        frozenset({"campaign_id", "country_code", "stat_time_day"}),
    }
)
"""All that TT_SHOP has."""
_SMALL_SPLITS = frozenset({"ad_type", "hashtag", "audience_tags", "purchase_intention"})
"""Audience dimensions with a short list of metrics."""

_NO_RELATION = "Conflict occurs. The input params including metrics and dimensions have no relation."
_OTHER_FILTERS = frozenset(
    """
    campaign_automation_type billing_event image_mode create_time objective_type optimization_goal bid_strategy
    promotion_type delivery_type campaign_type creative_campaign_type campaign_product_source is_cbo_enabled
    app_promotion_type ad_entity_type identity_type creative_material_mode destination age gender
    dpa_target_audience_type campaign_label_ids campaign_label_names campaign_label_types
    """.split()  # noqa: SIM905
)
"""Filters that exist besides those read here."""
_KIND_FILTERS = frozenset({"campaign_system_origins", "buying_type"})
_FILTER_TYPES = frozenset(
    {
        "IN",
        "NOT_IN",
        "CONTAIN_ANY_OF",
        "MATCH",
        "GREATER_EQUAL",
        "GREATER_THAN",
        "LOWER_EQUAL",
        "LOWER_THAN",
        "BETWEEN",
    }
)
PRIMARY_STATUSES = frozenset(
    {
        "STATUS_ALL",
        "STATUS_NOT_DELETE",
        "STATUS_NOT_DELIVERY",
        "STATUS_DELIVERY_OK",
        "STATUS_DISABLE",
        "STATUS_DELETE",
        "STATUS_TIME_DONE",
        "STATUS_RF_CLOSED",
        "STATUS_FROZEN",
    }
)


class Refusal(Exception):
    """A request the API answers with an error envelope."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def wrong(message: str) -> Refusal:
    """Refusal 40002: the parameters are wrong."""
    return Refusal(40002, message)


def list_of(params: Mapping[str, str], name: str, *, required: bool = False) -> list[Any] | None:
    """A parameter that must be a JSON list; None when it is absent."""
    text = params.get(name)
    if text is None or text == "":
        if required:
            raise wrong(f"{name}: Missing data for required field.")
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise wrong(f"{name}: Field must be set to array")
    return value


def object_of(params: Mapping[str, str], name: str) -> dict[str, Any]:
    """A parameter that must be a JSON object; {} when it is absent."""
    text = params.get(name)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise wrong(f"{name}: Field must be set to object")
    return value


def truth_of(params: Mapping[str, str], name: str) -> bool:
    """A parameter that must be ``true`` or ``false``; False when it is absent."""
    text = params.get(name, "false") or "false"
    if text not in ("true", "false"):
        raise wrong(f"{name}: Not a valid boolean.")
    return text == "true"


def page_of(path: str, params: Mapping[str, str]) -> tuple[int, int]:
    """(page, page_size) of a paged path, within its limits."""
    default, largest = PAGE_SIZES[path]
    numbers = []
    for name, otherwise in (("page", 1), ("page_size", default)):
        text = params.get(name) or str(otherwise)
        if not text.isdecimal():
            raise wrong(f"{name}: Not a valid integer.")
        numbers.append(int(text))
    page, size = numbers
    if page < 1:
        raise wrong("page: Must be greater than or equal to 1.")
    if not 1 <= size <= largest:
        raise wrong(f"page_size: Must be between 1 and {largest}.")
    return page, size


def ids_of(value: Any, name: str, most: int = MAX_IDS) -> list[str] | None:
    """A list of at most ``most`` ids inside a filter; None when absent."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise wrong(f"{name}: Field must be set to array")
    if len(value) > most:
        raise wrong(f"{name}: Longer than maximum length {most}.")
    return [str(one) for one in value]


def fields_of(params: Mapping[str, str], known: frozenset[str]) -> list[str] | None:
    """The ``fields`` parameter, all of them known; None when absent."""
    fields = list_of(params, "fields")
    if fields is None:
        return None
    unknown = [str(name) for name in fields if name not in known]
    if unknown:
        raise wrong(f"fields: Invalid field names: {unknown}")
    return [str(name) for name in fields]


def day_of(params: Mapping[str, str], name: str) -> date:
    """A day parameter, YYYY-MM-DD."""
    text = params.get(name)
    if not text:
        raise wrong(f"{name}: Missing data for required field.")
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise wrong(f"{name}: Not a valid date, use YYYY-MM-DD.") from None


@dataclass(slots=True)
class ReportQuery:
    """A report request that may be answered."""

    report_type: str
    level: str
    dimensions: list[str]
    metrics: list[str]
    first: date | None
    last: date | None
    deleted: str = "exclude"
    ids: dict[str, list[str]] = field(default_factory=dict)
    objectives: frozenset[str] | None = None
    order: str | None = None
    descending: bool = True
    with_totals: bool = False
    kinds: frozenset[str] = frozenset({ORDINARY})
    statuses: frozenset[str] | None = None


def invalid_metrics(names: list[str]) -> Refusal:
    """The refusal that lists metrics which do not exist or do not fit."""
    return wrong(
        f"Please correct the information in invalid metric fields and try again. Invalid metric fields: {names}"
    )


def report_query(
    params: Mapping[str, str], rules: Rules, *, sandbox: bool = False, asynchronous: bool = False
) -> ReportQuery:
    """Check a report request; raises :class:`Refusal` for what the API refuses.

    ``asynchronous``: the request is for a report task, which has no longest window, more ids and fewer metrics.
    """
    kind = params.get("report_type", "")
    if kind not in _TYPES or (asynchronous and kind == "TT_SHOP"):
        raise wrong(f"report_type: {kind or 'Missing data for required field'} is not supported.")
    service = params.get("service_type") or "AUCTION"
    if service not in ("AUCTION", "RESERVATION"):
        raise wrong("service_type: Must be one of: AUCTION, RESERVATION.")
    level = LEVEL_OF.get(params.get("data_level", ""))
    if sandbox and level == "advertiser":
        raise Refusal(40009, f"Unsupported data_level in sandbox environment: {params['data_level']}. ")
    if level is None:
        raise wrong("data_level: Must be one of: " + ", ".join(LEVEL_OF) + ".")
    dimensions = [str(name) for name in list_of(params, "dimensions", required=True) or []]
    listed = list_of(params, "metrics")
    default = ["spend", "billed_cost" if kind == "TT_SHOP" else "impressions"]
    metrics = default if listed is None else [str(name) for name in listed]
    lifetime = truth_of(params, "query_lifetime")

    if kind == "TT_SHOP" and params.get("filtering"):
        raise wrong("filtering: Not supported when report_type is TT_SHOP.")
    _check_grouping(kind, level, dimensions, rules)
    if lifetime:
        if kind != "BASIC":
            raise wrong("query_lifetime is only supported when report_type is BASIC.")
        if any(name not in ID_DIMENSIONS for name in dimensions):
            raise wrong(_NO_RELATION)
        first = last = None
    else:
        first, last = day_of(params, "start_date"), day_of(params, "end_date")
        _check_window(dimensions, first, last, asynchronous=asynchronous)
    _check_metrics(kind, level, dimensions, metrics, lifetime, rules, asynchronous=asynchronous)

    query = ReportQuery(kind, level, dimensions, metrics, first, last)
    _read_filters(params, query, rules, asynchronous=asynchronous)
    if service == "RESERVATION":
        query.kinds = frozenset()  # accounts are of the other kind: nothing is found, and nothing is refused
    if params.get("order_field") and not sandbox:
        if params["order_field"] not in metrics or metric_infos()[params["order_field"]].group == "attribute":
            raise wrong("order_field: Must be one of the metrics.")
        if params.get("order_type", "DESC") not in ("ASC", "DESC"):
            raise wrong("order_type: Must be one of: ASC, DESC.")
        query.order, query.descending = params["order_field"], params.get("order_type", "DESC") == "DESC"
    if truth_of(params, "enable_total_metrics") and not sandbox:
        if asynchronous:
            raise wrong("enable_total_metrics: Not supported in a task.")
        if kind not in ("BASIC", "TT_SHOP") or any(
            name not in ID_DIMENSIONS and name != "stat_time_day" for name in dimensions
        ):
            raise wrong("enable_total_metrics: Not supported with these dimensions.")
        query.with_totals = True
    return query


def _check_grouping(kind: str, level: str, dimensions: list[str], rules: Rules) -> None:
    if not dimensions:
        raise wrong("dimensions: Missing data for required field.")
    if len(set(dimensions)) != len(dimensions):
        raise wrong("dimensions: Duplicate values.")
    ids = [name for name in dimensions if name in ID_DIMENSIONS]
    times = [name for name in dimensions if name in _TIMES]
    splits = [name for name in dimensions if name not in ID_DIMENSIONS and name not in _TIMES]
    unknown = [name for name in splits if name not in SPLITS]
    if unknown:
        raise wrong(f"dimensions: Invalid dimensions: {unknown}")
    if not ids and level != "advertiser":
        raise wrong(_NO_RELATION)
    if len(ids) > 1 or len(times) > 1 or any(ID_DIMENSIONS[name] != level for name in ids):
        raise wrong(_NO_RELATION)
    if kind == "TT_SHOP":
        if level not in ("advertiser", "campaign") or frozenset(dimensions) not in _SHOP_GROUPINGS:
            raise wrong(_NO_RELATION)
        return
    if kind == "CATALOG":
        if splits or "stat_time_hour" in times or not ids:
            raise wrong(_NO_RELATION)
        return
    if kind == "BASIC":
        _check_basic(level, frozenset(splits), times, rules)
        return
    if ("stat_time_hour" in times) != ("bucket_id" in splits) or not AUDIENCE_SPLITS.issuperset(splits):
        raise wrong(_NO_RELATION)
    if len(splits) != 1 and set(splits) != {"gender", "age"}:
        raise wrong(_NO_RELATION)
    if (times or not ids) and _TIMELESS & set(splits):
        raise wrong(_NO_RELATION)


def _check_basic(level: str, splits: frozenset[str], times: list[str], rules: Rules) -> None:
    """Refuse a BASIC grouping that TikTok does not have; ``rules`` say which side is taken where it is not known."""
    if not BASIC_SPLITS.issuperset(splits) or (len(splits) > 1 and splits != {"search_keyword", "match_type"}):
        raise wrong(_NO_RELATION)
    if splits == {"match_type"} or (splits & _OF_SEARCH and level == "ad"):
        raise wrong(_NO_RELATION)
    if (splits & _OF_ADS_ONLY and level == "advertiser") or (splits & _OF_MATERIAL and level != "ad"):
        raise wrong(_NO_RELATION)
    if splits and "stat_time_hour" in times and (splits != {"country_code"} or not rules.country_hourly):
        raise wrong(_NO_RELATION)
    if times and not _LISTED_BY_DAY.issuperset(splits) and not rules.unlisted_splits_by_day:
        raise wrong(_NO_RELATION)


def _check_window(dimensions: list[str], first: date, last: date, *, asynchronous: bool) -> None:
    if last < first:
        raise wrong("end_date must not be earlier than start_date")
    if asynchronous:
        return
    days = (last - first).days + 1
    if "stat_time_hour" in dimensions:
        if days > DAYS_BY_HOUR:
            raise wrong(f"max time span is {DAYS_BY_HOUR} day when use stat_time_hour")
    elif "stat_time_day" in dimensions:
        if days > DAYS_BY_DAY:
            raise wrong(f"max time span is {DAYS_BY_DAY} days when use stat_time_day")
    elif days > DAYS_OTHERWISE:
        raise wrong(f"max time span is {DAYS_OTHERWISE} days")


def _check_metrics(
    kind: str,
    level: str,
    dimensions: list[str],
    metrics: list[str],
    lifetime: bool,
    rules: Rules,
    *,
    asynchronous: bool,
) -> None:
    if not metrics:
        raise wrong("metrics: Missing data for required field.")
    if len(metrics) > MAX_METRICS:
        raise wrong(f"metrics: Longer than maximum length {MAX_METRICS}.")
    has_id = any(name in ID_DIMENSIONS for name in dimensions)
    rest = [name for name in dimensions if name not in ID_DIMENSIONS]
    invalid = [name for name in metrics if not _fits(name, kind, level, has_id, rest, lifetime, rules, asynchronous)]
    if invalid:
        raise invalid_metrics(invalid)


def _fits(
    name: str,
    kind: str,
    level: str,
    has_id: bool,
    rest: list[str],
    lifetime: bool,
    rules: Rules,
    asynchronous: bool,
) -> bool:
    """Whether a metric may be asked with these dimensions (``rest`` = all but the id)."""
    info = metric_infos().get(name)
    if info is None or level not in info.levels:
        return False
    if kind == "AUDIENCE" and "bucket_id" in rest:
        return name == "cost" or (info.group == "attribute" and name in metric_sets.AUDIENCE_ATTRIBUTES)
    if name in metric_sets.ONLY_WITH:
        return not asynchronous and kind == "BASIC" and metric_sets.ONLY_WITH[name] in rest
    if info.group == "attribute":
        return (
            has_id
            and kind in ("BASIC", "AUDIENCE")
            and (
                "basic" in info.reports
                if kind == "BASIC"
                else "audience" in info.reports or name in metric_sets.AUDIENCE_ATTRIBUTES
            )
        )
    if ("audience" if kind == "AUDIENCE" else "basic") not in info.reports:
        return False
    if kind in ("TT_SHOP", "CATALOG"):
        return name in ("spend", "billed_cost" if kind == "TT_SHOP" else "impressions")
    if asynchronous and (name in metric_sets.SYNC_ONLY or info.group == "native_growth"):
        return False
    if kind == "AUDIENCE":
        return _fits_audience(name, rest, rules, asynchronous)
    if name in ("cash_spend", "voucher_spend"):
        return level == "advertiser" and rest == ["stat_time_day"] and has_id and not lifetime
    if (
        name.startswith(("paid_engaged_view", "paid_engagement_engaged_view"))
        or "consideration" in name
        or info.group == "native_growth"
    ):
        return has_id and rest in ([], ["stat_time_day"])
    if "country_code" in rest:
        if asynchronous:
            return name in metric_sets.BY_COUNTRY_ASYNC
        return info.by_country or (rules.country_metrics == "connector" and name in metric_sets.BY_COUNTRY_EXTRA)
    for split, names in metric_sets.BY_SPLIT.items():
        if split in rest:
            return not asynchronous and name in names
    if "ad_type" in rest:
        return name in (metric_sets.BY_AD_TYPE_ASYNC if asynchronous else metric_sets.BY_AD_TYPE)
    return True


def _fits_audience(name: str, rest: list[str], rules: Rules, asynchronous: bool) -> bool:
    """Whether a number that AUDIENCE has may be asked with this split."""
    if asynchronous and name in metric_sets.UNIQUE_ASYNC:
        return False
    if "country_code" in rest:
        if asynchronous:
            return name in metric_sets.AUDIENCE_BY_COUNTRY_ASYNC
        return rules.audience_metrics == "connector" or name in metric_sets.AUDIENCE_BY_COUNTRY
    if _SMALL_SPLITS & set(rest):
        return name in metric_sets.AUDIENCE_SMALL
    return True


def kinds_of(
    origins: list[Any] | None, buying: list[Any] | None, level: str, *, top_view_at_advertiser: bool = False
) -> frozenset[str]:
    """The kinds of ads that these filters ask for; the lists and the reports understand the same values."""
    for name, values, known in (("campaign_system_origins", origins, ORIGINS), ("buying_type", buying, BUYING_TYPES)):
        if values is not None and (not values or not set(map(str, values)) <= known):
            raise wrong(f"filtering: {name}: Must be one of: {', '.join(sorted(known))}.")
    if buying is not None and TOP_VIEW_BUYING in buying and len(buying) > 1:
        raise wrong(MIXED_BUYING_TYPES)
    return kinds_asked(level, origins, buying, top_view_at_advertiser=top_view_at_advertiser)


def _read_filters(params: Mapping[str, str], query: ReportQuery, rules: Rules, *, asynchronous: bool) -> None:
    id_fields = {"campaign_ids", "adgroup_ids", "ad_ids", "ad_ids_v2"}
    by_value: dict[str, list[Any]] = {}
    for one in list_of(params, "filtering") or []:
        if not isinstance(one, dict) or not {"field_name", "filter_type", "filter_value"} <= one.keys():
            raise wrong("filtering: field_name, filter_type and filter_value are required.")
        name, how, text = str(one["field_name"]), one["filter_type"], one["filter_value"]
        if how not in _FILTER_TYPES:
            raise wrong(f"filtering: Invalid filter_type: {how}")
        if not isinstance(text, str):
            raise wrong("filtering: filter_value: Not a valid string.")
        if asynchronous and rules.async_only_ids and name not in id_fields and name != "campaign_system_origins":
            raise wrong(f"filtering: {name}: Not supported in a task.")
        if name not in id_fields and name not in STATUS_FIELD.values() and name not in _KIND_FILTERS:
            if name not in _OTHER_FILTERS:
                raise wrong(f"filtering: Invalid field_name: {name}")
            if name == "objective_type" and how == "IN":
                query.objectives = frozenset(map(str, list_of({"filter_value": text}, "filter_value") or ()))
            continue  # these leave the rows of this world as they are
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, list):
            raise wrong(f"filtering: {name}: filter_value must be a JSON array")
        if how != "IN" and name not in STATUS_FIELD.values():
            raise wrong(f"filtering: {name}: filter_type must be IN")
        if name in _KIND_FILTERS:
            by_value[name] = value
        elif name in id_fields:
            if name == ("ad_ids" if "ad_id_v2" in query.dimensions else "ad_ids_v2"):
                raise wrong(_NO_RELATION)
            key = "ad_ids" if name == "ad_ids_v2" else name
            most = MAX_IDS_ASYNC if asynchronous and name != "ad_ids_v2" else MAX_IDS
            wanted = ids_of(value, name, most) or []
            known = query.ids.get(key)
            query.ids[key] = wanted if known is None else [one for one in known if one in wanted]
        elif unknown := [one for one in value if one not in PRIMARY_STATUSES]:
            raise wrong(f"filtering: {name}: Invalid value {unknown[0]}.")
        elif name == STATUS_FIELD.get(query.level):
            query.statuses = frozenset(value)
    origins = by_value.get("campaign_system_origins")
    query.kinds = kinds_of(
        origins, by_value.get("buying_type"), query.level, top_view_at_advertiser=rules.top_view_at_advertiser
    )
    if asynchronous:
        # A task has no filters that hide by default: deleted ads and Promote are in it unless filtered out.
        if query.statuses is None:
            query.deleted = "include"
        if origins is None and promote_has_dimensions(query.report_type, query.level, query.dimensions):
            query.kinds |= {PROMOTE}
    if origins is not None and PROMOTE_ORIGIN in origins:
        if len(origins) > 1 and not rules.promote_mixed and not asynchronous:
            raise wrong(_NO_RELATION)
        if not promote_has_dimensions(query.report_type, query.level, query.dimensions):
            raise wrong(_NO_RELATION)
