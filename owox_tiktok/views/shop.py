"""Views of GMV Max: its cost beside what all other ads cost, and its products by name."""

from __future__ import annotations

from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import ADVERTISER_ID, CURRENCY, STREAMS
from owox_tiktok.views.select import Select, There, View

_GMV_MAX = "gmv_max_account_report_daily"
_ADS = ("ad_report_daily", "ad_group_report_daily")
"""Reports that hold no GMV Max; whether those of campaigns and accounts do, TikTok does not say."""
_OF_ADS = (Field("ads_spend", Kind.MONEY, "Spend of all ads but those of GMV Max", unit="account currency"), "spend")
_OF_GMV_MAX = (
    (Field("gmv_max_cost", Kind.MONEY, "What GMV Max cost, all shops together", unit="account currency"), "cost"),
    (Field("gmv_max_orders", Kind.COUNT, "Orders that GMV Max brought"), "orders"),
    (Field("gmv_max_gross_revenue", Kind.MONEY, "Their value", unit="account currency"), "gross_revenue"),
)


def spend_with_gmv_max(there: There) -> list[View]:
    """Return the view of one row per ad account and day with both costs and their sum; none where no shop is."""
    name = "v_spend_with_gmv_max_daily"
    about = "One row per ad account and day: spend of ads, cost of GMV Max, and their sum"
    if not there.has(_GMV_MAX, "stat_time_day", "advertiser_id", "cost"):
        return []
    ads = next((s for s in _ADS if there.has(s, "stat_time_day", "advertiser_id", "spend")), None)
    if ads is None:
        return [View(name, about, missing={_ADS[0]: ()})]
    dialect, quoted = there.dialect, there.dialect.name
    measures = [(_OF_ADS[0], ads, _OF_ADS[1]), *((made, _GMV_MAX, column) for made, column in _OF_GMV_MAX)]
    halves = []
    for stream in (ads, _GMV_MAX):
        currency = quoted("currency") if there.has(stream, "currency") else dialect.null(Kind.TEXT)
        columns = [f"stat_time_day, advertiser_id, {currency} AS currency"]
        for made, source, column in measures:
            stored = source == stream and there.has(stream, column)
            columns.append(f"{quoted(column) if stored else dialect.null(made.kind)} AS {made.name}")
        halves.append(f"    SELECT {', '.join(columns)} FROM {there.table(stream)}")
    sums = ", ".join(f"CAST(SUM({m.name}) AS {dialect.types[m.kind]}) AS {m.name}" for m, _, _ in measures)
    both = "\n    UNION ALL\n".join(halves)
    select = Select(
        there,
        f"(\n  SELECT stat_time_day, advertiser_id, currency, {sums}\n  FROM (\n{both}\n  ) AS each_of_them\n"
        "  GROUP BY stat_time_day, advertiser_id, currency\n) AS report",
    )
    select.add(STREAMS[ads].fields["stat_time_day"], ["report.stat_time_day"])
    select.add(ADVERTISER_ID, ["report.advertiser_id"])
    select.add(CURRENCY, ["report.currency"])
    for made, source, column in measures:
        if not there.has(source, column):
            select.lacks(source, column)
        select.add(made, [f"report.{made.name}"])
    total = Field("total_spend", Kind.MONEY, "Both together: neither holds the other", unit="account currency")
    select.add(total, ["COALESCE(report.ads_spend, 0) + COALESCE(report.gmv_max_cost, 0)"])
    return [select.view(name, f"{about}. Made from {ads} and {_GMV_MAX}")]


def gmv_max_products(there: There) -> list[View]:
    """Return the view of products by day with their names, which TikTok gives one by one; none where no product is."""
    name, source, names = "v_gmv_max_products_daily", "gmv_max_product_report_daily", "gmv_max_products"
    key = ("stat_time_day", "advertiser_id", "store_id", "campaign_id", "item_group_id")
    if not there.has(source, *key):
        return []
    about = "One row per product of a GMV Max campaign and day, with the product's name and picture"
    select = Select(there, f"{there.table(source)} AS report")
    named = there.has(names, "advertiser_id", "store_id", "item_group_id")
    if named:
        same = ("advertiser_id", "store_id", "item_group_id")
        select.join(there.table(names), "product", {column: f"report.{column}" for column in same})
    else:
        select.lacks(names)
    for column in key:
        select.add(STREAMS[source].fields[column], select.of("report", source, column))
    for column in ("product_name", "product_image_url"):
        select.add(STREAMS[names].fields[column], select.of("product", names, column) if named else [])
    for column in STREAMS[source].fields:
        if column not in key:
            select.add(STREAMS[source].fields[column], select.of("report", source, column))
    return [select.view(name, about)]
