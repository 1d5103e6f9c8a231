"""Views: equal to TikTok's own sums and ratios, for whatever is stored, in DuckDB and as BigQuery's SQL."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from owox_tiktok.cursors import Part
from owox_tiktok.destinations.bigquery.sql import ROWS_OF_CURSORS, ROWS_OF_SEALS
from owox_tiktok.dialects import BIGQUERY, CURSORS, DUCKDB, SEALS, Dialect, bigquery
from owox_tiktok.errors import BadInput
from owox_tiktok.local.tiktok import Server
from owox_tiktok.model import Kind, Stream
from owox_tiktok.streams import STREAMS, default_fields, metrics
from owox_tiktok.trust.kept import CHECKS, RESTATEMENTS
from owox_tiktok.views import RATIOS, definitions
from tests.helpers import Project, Row, expected
from tests.sheets import stand_in

LISTS = ["advertisers", "campaigns", "ad_groups", "ads"]
START = date(2026, 2, 18)
QUERIES = Path(__file__).parent.parent / "docs" / "queries.md"
PERFORMANCE = ["v_ad_performance_daily", "v_campaign_performance_daily"]


def rows(database: Path, query: str) -> list[Row]:
    """What a query gives, as the database's users see it."""
    with duckdb.connect(str(database), read_only=True) as connection:
        cursor = connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def views_in(database: Path) -> dict[str, str]:
    """The comment of each view, by its name."""
    found = rows(database, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
    return {row["view_name"]: row["comment"] for row in found}


def types_of(database: Path, view: str) -> dict[str, str]:
    return {row["column_name"]: row["column_type"] for row in rows(database, f'DESCRIBE "{view}"')}


def oracle(project: Project, stream: str, names: Sequence[str]) -> list[Row]:
    """TikTok's own rows of all accounts, with the keys and the fields ``names``."""
    one = STREAMS[stream]
    return [
        row
        for advertiser_id in project.server.advertiser_ids
        for row in expected(project.server.world, one, advertiser_id, [*one.keys, *names], start=START)
    ]


def the_only(stated: Sequence[Row]) -> Row:
    assert len(stated) == 1, stated
    return stated[0]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, lasting_tiktok: Server) -> Project:
    """Everything the views can use, imported with the setting on."""
    project = Project(tmp_path_factory.mktemp("views"), lasting_tiktok)
    reports = ["ad_report_daily", "ad_report_hourly", "campaign_report_daily", "campaign_report_daily_by_country"]
    fields = {
        "ad_report_daily": ["performance", "video", "ecommerce"],
        "ad_report_hourly": ["performance", "video", "real_time_conversion", "total_purchase_value"],
        "campaign_report_daily": ["performance"],
    }
    lists = [*LISTS, "videos", "images", "creative_report_daily", "creative_fatigue"]
    project.say = {"objects": [*lists, *reports], "fields": fields, "start_date": START.isoformat()}
    ran = project.import_(views=True, history=["campaigns"])
    assert ran.exit_code == 0
    assert not ran.warnings
    return project


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_the_ad_view_has_tiktoks_rows_and_sums_under_the_names_of_today(imported: Project) -> None:
    sums = ["spend", "impressions", "clicks", "conversion", "result", "likes", "total_complete_payment_rate"]
    own = ["ad_name", "adgroup_name", "campaign_name"]
    wanted = {
        tuple(r[k] for k in STREAMS["ad_report_daily"].keys): r
        for r in oracle(imported, "ad_report_daily", [*sums, *own])
    }
    seen = rows(imported.database, "SELECT * FROM v_ad_performance_daily")
    assert len(seen) == len(wanted) > 50
    names = {(r["advertiser_id"], r["ad_id"]): r for r in imported.table("ads")}
    campaigns = {(r["advertiser_id"], r["campaign_id"]): r for r in imported.table("campaigns")}
    accounts = {r["advertiser_id"]: r for r in imported.table("advertisers")}
    for row in seen:
        tiktoks = wanted[row["advertiser_id"], row["ad_id"], row["stat_time_day"]]
        assert {s: row[s] for s in sums} == {s: tiktoks[s] for s in sums}
        # TopView and Promote ads are not in TikTok's lists: the report's own names are all there is.
        ad = names.get((row["advertiser_id"], row["ad_id"]), tiktoks)
        campaign = campaigns.get((row["advertiser_id"], row["campaign_id"]), tiktoks | {"objective_type": None})
        assert (row["ad_name"], row["adgroup_name"]) == (ad["ad_name"], ad["adgroup_name"])
        assert (row["campaign_name"], row["objective_type"]) == (campaign["campaign_name"], campaign["objective_type"])
        assert row["advertiser_name"] == accounts[row["advertiser_id"]]["name"]
        assert row["currency"] == accounts[row["advertiser_id"]]["currency"]


def test_a_ratio_is_tiktoks_own_and_null_where_there_is_nothing_to_divide_by(imported: Project) -> None:
    stored = STREAMS["ad_report_daily"].fields
    offered = set(types_of(imported.database, "v_ad_performance_daily"))
    compared = [name for name in RATIOS if name in offered and name in stored and not metrics()[name].field.deprecated]
    assert {"ctr", "cpc", "cpm", "cost_per_conversion", "complete_payment_roas"} <= set(compared)
    parts = {part for name in compared for part in RATIOS[name][:2]}
    tiktoks = oracle(imported, "ad_report_daily", [*dict.fromkeys([*compared, *parts])])
    wanted = {tuple(r[k] for k in STREAMS["ad_report_daily"].keys): r for r in tiktoks}
    checked, empty = 0, 0
    for row in rows(imported.database, "SELECT * FROM v_ad_performance_daily"):
        one = wanted[row["advertiser_id"], row["ad_id"], row["stat_time_day"]]
        for name in compared:
            if not one[RATIOS[name].denominator]:
                assert row[name] is None
                empty += 1
            elif one[name] is not None:
                # TikTok rounds to two digits.
                assert abs(row[name] - one[name]) <= Decimal("0.00500001"), (name, row, one)
                checked += 1
    assert checked > 200
    assert empty > 10


def test_the_campaign_view_has_tiktoks_campaign_rows(imported: Project) -> None:
    sums = ["spend", "impressions", "clicks", "conversion"]
    key = STREAMS["campaign_report_daily"].keys
    wanted = {tuple(r[k] for k in key): [r[s] for s in sums] for r in oracle(imported, "campaign_report_daily", sums)}
    seen = rows(imported.database, "SELECT * FROM v_campaign_performance_daily")
    assert {tuple(r[k] for k in key): [r[s] for s in sums] for r in seen} == wanted
    assert len(seen) == len(wanted)


def test_without_campaign_reports_the_ads_are_added_up_and_ratios_are_of_the_sums(project: Project) -> None:
    project.say = {"objects": ["ad_report_daily"], "start_date": START.isoformat()}
    assert project.import_(views=True).exit_code == 0
    sums = ["spend", "impressions", "clicks"]
    totals: dict[tuple[str, str, date], Row] = defaultdict(lambda: dict.fromkeys(sums, 0))
    for row in oracle(project, "ad_report_daily", [*sums, "campaign_id"]):
        total = totals[row["advertiser_id"], row["campaign_id"], row["stat_time_day"]]
        for name in sums:
            total[name] += row[name]
    seen = rows(project.database, "SELECT * FROM v_campaign_performance_daily")
    assert len(seen) == len(totals)
    assert any(
        len({r["ad_id"] for r in project.table("ad_report_daily") if r["campaign_id"] == k[1]}) > 1 for k in totals
    )
    for row in seen:
        total = totals[row["advertiser_id"], row["campaign_id"], row["stat_time_day"]]
        assert {name: row[name] for name in sums} == total
        shown = Decimal(total["impressions"])
        assert row["ctr"] == (pytest.approx(100 * total["clicks"] / shown) if shown else None)
        assert row["cpm"] == (pytest.approx(1000 * total["spend"] / shown) if shown else None)
    assert "Made from ad_report_daily" in views_in(project.database)["v_campaign_performance_daily"]


@pytest.mark.parametrize(("unit", "days"), [("week", 7), ("month", 31)])
def test_weeks_and_months_are_the_sums_of_their_days_and_ratios_are_of_the_sums(
    unit: str, days: int, imported: Project
) -> None:
    seen = rows(imported.database, f"SELECT * FROM v_campaign_performance_{unit}ly")
    wanted: dict[tuple[str, str, date], list[Row]] = defaultdict(list)
    for row in oracle(imported, "campaign_report_daily", ["spend", "impressions", "clicks", "conversion"]):
        day = row["stat_time_day"]
        first = day.replace(day=1) if unit == "month" else day - timedelta(days=day.weekday())
        wanted[row["advertiser_id"], row["campaign_id"], first].append(row)
    assert len(seen) == len(wanted)
    assert any(len(of) < days for of in wanted.values())
    for row in seen:
        of = wanted[row["advertiser_id"], row["campaign_id"], row[f"first_day_of_{unit}"]]
        for name in ("spend", "impressions", "clicks", "conversion"):
            assert row[name] == sum(r[name] for r in of)
        assert row["days"] == len(of)
        assert row["cpc"] == (pytest.approx(row["spend"] / row["clicks"]) if row["clicks"] else None)
        names = rows(
            imported.database,
            f"SELECT campaign_name FROM v_campaign_performance_daily WHERE campaign_id = '{row['campaign_id']}'",
        )
        assert row["campaign_name"] in {r["campaign_name"] for r in names}


def test_a_creative_has_its_ads_results_and_the_rates_of_those_who_watched(imported: Project) -> None:
    seen = rows(imported.database, "SELECT * FROM v_creative_performance_daily")
    by_ad = rows(imported.database, "SELECT ad_id, stat_time_day, spend FROM v_ad_performance_daily")
    assert sorted(repr((r["ad_id"], r["stat_time_day"], r["spend"])) for r in seen) == sorted(
        repr((r["ad_id"], r["stat_time_day"], r["spend"])) for r in by_ad
    ), "no result is lost or doubled"
    ads = {(r["advertiser_id"], r["ad_id"]): r for r in imported.table("ads")}
    names = {(r["advertiser_id"], r["video_id"]): r["file_name"] for r in imported.table("videos")}
    names |= {(r["advertiser_id"], r["image_id"]): r["file_name"] for r in imported.table("images")}
    kinds = set()
    for row in seen:
        ad = ads.get((row["advertiser_id"], row["ad_id"]), {})
        image = next(iter(ad.get("image_ids") or []), None)
        assert row["creative_id"] == (ad.get("video_id") or image)
        assert row["creative_type"] == ("video" if ad.get("video_id") else "image" if image else None)
        assert row["creative_name"] == names.get((row["advertiser_id"], row["creative_id"]))
        kinds.add((row["creative_type"], row["creative_name"] is not None))
        for rate, over, under in (
            ("hook_rate", "video_watched_2s", "impressions"),
            ("hold_rate", "video_watched_6s", "video_watched_2s"),
            ("completion_rate", "video_views_p100", "video_play_actions"),
        ):
            both = row[over] is not None and row[under]
            assert row[rate] == (pytest.approx(100 * Decimal(row[over]) / row[under]) if both else None)
    assert ("video", True) in kinds


def test_each_creative_is_one_row_with_the_sums_of_its_report_and_what_the_library_says(imported: Project) -> None:
    days: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for day in imported.table("creative_report_daily"):
        days[day["advertiser_id"], day["material_id"]].append(day)
    library = {
        (r["advertiser_id"], r[key]): (r["file_name"], r[link])
        for stream, key, link in (("videos", "video_id", "video_cover_url"), ("images", "image_id", "image_url"))
        for r in imported.table(stream)
    }
    ads = imported.table("ads")
    tired: dict[tuple[str, str], tuple[date, bool, Decimal]] = {}
    for row in sorted(imported.table("creative_fatigue"), key=lambda r: r["stat_time_day"]):
        tired[row["advertiser_id"], row["ad_id"]] = row["stat_time_day"], row["has_fatigue"], row["fatigue_index"]
    seen = rows(imported.database, "SELECT * FROM v_creatives")
    assert len(seen) == len(days) > 8
    told: set[str] = set()
    for row in seen:
        of, account = days[row["advertiser_id"], row["material_id"]], row["advertiser_id"]
        for measure in ("spend", "impressions", "clicks", "conversion", "video_watched_2s", "video_views_p100"):
            assert row[measure] == sum(day[measure] for day in of), measure
        value = sum(d["total_complete_payment_rate"] + d["total_onsite_shopping_value"] for d in of)
        for rate, over, under in (
            ("ctr", 100 * row["clicks"], row["impressions"]),
            ("cost_per_conversion", row["spend"], row["conversion"]),
            ("roas", value, row["spend"]),
            ("hook_rate", 100 * row["video_watched_2s"], row["impressions"]),
        ):
            assert row[rate] == (pytest.approx(Decimal(over) / Decimal(under)) if under else None), rate
        spent = sorted(day["stat_time_day"] for day in of if day["spend"])
        assert (row["days_running"], row["first_day"], row["last_day"]) == (len(spent), spent[0], spent[-1])
        name, link = library[account, row["video_id"] or row["image_id"]]
        assert (row["material_name"], row["thumbnail_link"]) == (name, link)
        expires = re.search(r"x-expires=(\d+)", link)
        at = row["thumbnail_expires_at"]
        assert at == (datetime.fromtimestamp(int(expires[1]), at.tzinfo) if expires else None)
        mine = [a for a in ads if row["video_id"] and (a["advertiser_id"], a["video_id"]) == (account, row["video_id"])]
        posts = [ad["tiktok_item_id"] for ad in mine if ad["tiktok_item_id"]]
        assert row["video_link"] == (f"https://www.tiktok.com/player/v1/{max(posts)}" if posts else None)
        states = [tired[account, ad["ad_id"]] for ad in mine if (account, ad["ad_id"]) in tired]
        assert row["is_fatigued"] == (any(state[1] for state in states) if states else None)
        assert row["fatigue_index"] == (max(state[2] for state in states) if states else None)
        told |= {name for name, value in row.items() if value is not None}
    assert told == set(seen[0]), "each column has a value somewhere"


def test_a_day_is_provisional_as_long_as_the_next_import_reads_it_again(imported: Project) -> None:
    read_on = {
        (object_, a): day
        for object_, a, day in (
            tuple(r.values()) for r in rows(imported.database, f"SELECT object, advertiser_id, read_on FROM {CURSORS}")
        )
    }
    seen = rows(imported.database, "SELECT advertiser_id, stat_time_day, is_provisional FROM v_ad_performance_daily")
    for row in seen:
        first = read_on["ad_report_daily", row["advertiser_id"]] - timedelta(days=7)
        assert row["is_provisional"] == (row["stat_time_day"] >= first)
    assert {r["is_provisional"] for r in seen} == {True, False}


def test_the_status_has_what_is_stored_and_what_failed_since(imported: Project) -> None:
    status = {(r["object"], r["advertiser_id"]): r for r in rows(
        imported.database, "SELECT * EXCLUDE (read_at, failed_at), epoch(read_at) AS at FROM v_import_status"
    )}  # fmt: skip
    counts = {
        (name, r["advertiser_id"]): r["n"]
        for name in imported.say["objects"]
        for r in rows(
            imported.database,
            f"SELECT advertiser_id, count(*) AS n FROM {STREAMS[name].table} GROUP BY advertiser_id",
        )
    }
    assert {pair: r["row_count"] for pair, r in status.items() if r["row_count"]} == counts
    accounts = {r["advertiser_id"]: r["name"] for r in imported.table("advertisers")}
    for (_, advertiser_id), row in status.items():
        assert (row["advertiser_name"], row["last_error"]) == (accounts[advertiser_id], None)
        assert row["at"] is not None
    assert {r["through"] for (name, _), r in status.items() if STREAMS[name].time} == {date(2026, 3, 1)}


def test_what_cannot_be_added_up_is_not_offered(imported: Project) -> None:
    fields = STREAMS["ad_report_daily"].fields
    for view in PERFORMANCE:
        for name in types_of(imported.database, view):
            field = fields.get(name)
            if field is not None and field.origin == "metric" and field.kind in (Kind.MONEY, Kind.COUNT, Kind.RATE):
                assert field.additive or name in RATIOS, name
    assert "reach" not in types_of(imported.database, PERFORMANCE[0])


def test_currencies_are_kept_apart(imported: Project) -> None:
    currencies = {r["advertiser_id"]: r["currency"] for r in imported.table("advertisers")}
    for view in PERFORMANCE:
        found = rows(imported.database, f"SELECT DISTINCT advertiser_id, currency FROM {view}")
        assert {r["advertiser_id"]: r["currency"] for r in found} == currencies
        assert len(found) == len(currencies)


def test_latest_entities_lists_each_once_with_its_state(imported: Project) -> None:
    query = "SELECT * EXCLUDE (create_time, modify_time), epoch(modify_time) AS modified FROM v_latest_entities"
    seen = rows(imported.database, query)
    wanted = {
        (kind, row["advertiser_id"], row[key]): row
        for kind, stream, key in (
            ("advertiser", "advertisers", "advertiser_id"),
            ("campaign", "campaigns", "campaign_id"),
            ("ad_group", "ad_groups", "adgroup_id"),
            ("ad", "ads", "ad_id"),
        )
        for row in imported.table(stream)
    }
    assert len(seen) == len(wanted)
    for row in seen:
        entity = wanted[row["entity_type"], row["advertiser_id"], row["entity_id"]]
        name = {"advertiser": "name", "ad_group": "adgroup_name"}.get(row["entity_type"], f"{row['entity_type']}_name")
        assert row["entity_name"] == entity[name]
        assert row["budget"] == entity.get("budget")
        assert row["modified"] == (entity["modify_time"].timestamp() if entity.get("modify_time") else None)
        state = entity.get("secondary_status") or entity["status"]
        assert row["is_deleted"] == state.endswith("DELETE")
    assert any(row["is_deleted"] for row in seen)


# --- whatever is stored -----------------------------------------------------------------------------------------------


def test_each_column_has_the_type_that_is_promised(imported: Project) -> None:
    made = definitions(columns_of(imported.database), DUCKDB, 7)
    assert len(views_in(imported.database)) == len([v for v in made if v.sql]) >= 8
    for view in made:
        if view.sql:
            assert types_of(imported.database, view.name) == {f.name: DUCKDB.types[f.kind] for f in view.fields}


def columns_of(database: Path) -> dict[str, set[str]]:
    """The columns of each table, read by hand."""
    found: dict[str, set[str]] = defaultdict(set)
    ours = {s.table for s in STREAMS.values()} | {f"{s.table}_history" for s in STREAMS.values()}
    for row in rows(database, "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"):
        if row["table_name"] in ours | {CURSORS, SEALS, CHECKS, RESTATEMENTS}:
            found[row["table_name"]].add(row["column_name"])
    return found


def test_what_is_not_imported_is_null_and_named_and_the_next_refresh_has_it(project: Project) -> None:
    project.say = {"start_date": START.isoformat(), "objects": ["ad_report_daily"]}
    assert project.import_(fields={"ad_report_daily": ["impressions", "campaign_id"]}).exit_code == 0
    ran = project.cli("views", "tiktok.yaml", "--log", "json")
    assert ran.returncode == 0, ran.stderr
    said = {line["view"]: line for line in map(json.loads, ran.stdout.splitlines())}
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    unknown = ["adgroup_id", "spend", "clicks", "conversion"]
    assert said["v_ad_performance_daily"]["missing"] == {**lists, "ad_report_daily": unknown}
    assert said["campaign_country_report"] == {
        "event": "view",
        "view": "campaign_country_report",
        "state": "left out",
        "missing": {"campaign_report_daily_by_country": []},
    }
    found = rows(project.database, "SELECT * FROM v_ad_performance_daily")
    assert found
    assert all(row["spend"] is row["cpc"] is row["ad_name"] is row["ctr"] is None for row in found)
    assert all(row["impressions"] is not None for row in found)
    assert "campaign_country_report" not in views_in(project.database)

    fields = {"ad_report_daily": ["performance"]}
    assert project.import_(objects=["ads", "ad_report_daily"], fields=fields, views=True).exit_code == 0
    found = rows(project.database, "SELECT * FROM v_ad_performance_daily")
    assert all(row["spend"] is not None and row["ad_name"] for row in found)


CANDIDATES = [
    *LISTS, "ad_report_daily", "ad_group_report_daily", "campaign_report_daily", "ad_report_hourly",
    "ad_group_report_hourly", "campaign_report_hourly", "campaign_report_daily_by_country", "videos", "images",
    "creative_report_daily", "creative_report_lifetime", "smart_plus_material_breakdown_daily", "creative_fatigue",
    "gmv_max_account_report_daily", "gmv_max_product_report_daily", "gmv_max_products",
]  # fmt: skip
READ = {
    "secondary_status", "status", "name", "campaign_name", "ad_name", "adgroup_name", "campaign_id", "adgroup_id",
    "objective_type", "currency", "create_time", "modify_time", "spend", "impressions", "clicks", "conversion",
    "video_views_p25", "conversion_rate_v2", "languages", "landing_page_url", "reach", "video_id", "image_ids",
    "file_name", "duration", "video_watched_2s", "video_watched_6s", "video_views_p100", "video_play_actions",
    "image_id", "material_id", "video_cover_url", "image_url", "tiktok_item_id", "total_complete_payment_rate",
    "total_onsite_shopping_value", "main_material_name", "has_fatigue", "fatigue_index",
    "cost", "orders", "gross_revenue", "product_name", "product_image_url", "product_status",
}  # fmt: skip


@st.composite
def stored(draw: st.DrawFn) -> dict[str, list[str]]:
    """The tables and columns that some choice of objects and fields may have made."""
    chosen = draw(st.lists(st.sampled_from(CANDIDATES), unique=True))
    tables = {}
    for stream in (STREAMS[name] for name in chosen):
        optional = sorted(READ & set(stream.fields))
        picked = draw(st.lists(st.sampled_from(optional), unique=True)) if optional else []
        tables[stream.table] = [f.name for f in stream.columns(picked)]
    for table, parts in draw(st.sampled_from([{}, dict(list(OURS.items())[:1]), OURS])).items():
        tables[table] = [part.name for part in parts]
    return tables


OURS: dict[str, tuple[Part, ...]] = {CURSORS: ROWS_OF_CURSORS, SEALS: ROWS_OF_SEALS}
"""As BigQuery has them: rows are only added, and the newest counts."""


def types_in(tables: Mapping[str, Sequence[str]], dialect: Dialect) -> dict[str, dict[str, str]]:
    by_table: dict[str, Stream] = {s.table: s for s in STREAMS.values()}
    found = {t: {n: dialect.types[by_table[t].fields[n].kind] for n in tables[t]} for t in tables if t not in OURS}
    for table in tables.keys() & OURS.keys():
        kinds = {p.name: dialect.types[p.kind] for p in OURS[table]}
        found[table] = {p.name: dialect.list_of.format(kinds[p.name]) if p.many else kinds[p.name] for p in OURS[table]}
    return found


@hypothesis_settings(max_examples=40)
@given(stored())
def test_whatever_is_stored_the_views_refer_to_nothing_else(tables: dict[str, list[str]]) -> None:
    with duckdb.connect() as connection:
        for table, columns in types_in(tables, DUCKDB).items():
            typed = ", ".join(f'"{name}" {type_}' for name, type_ in columns.items())
            connection.execute(f'CREATE TABLE "{table}" ({typed})')
        for view in definitions(tables, DUCKDB):
            if view.sql:
                made = connection.execute(view.sql).description or ()
                assert [column[0] for column in made] == [f.name for f in view.fields]
            else:
                assert view.missing
    if not tables:
        return
    schema = MappingSchema(
        {"my-project": {"tiktok": types_in(tables, BIGQUERY)}},
        dialect="bigquery",
    )
    for view in definitions(tables, bigquery("my-project", "tiktok")):
        if view.sql:
            parsed = sqlglot.parse_one(view.sql, read="bigquery")
            qualified = qualify(parsed, schema=schema, dialect="bigquery", validate_qualify_columns=True)
            assert isinstance(qualified, exp.Query)
            assert qualified.named_selects == [f.name for f in view.fields]


def test_the_check_above_would_notice_a_column_that_is_not_there() -> None:
    schema = MappingSchema({"my-project": {"tiktok": {"t": {"a": "STRING"}}}}, dialect="bigquery")
    wrong = sqlglot.parse_one("SELECT r.`b` FROM `my-project.tiktok.t` AS r", read="bigquery")
    with pytest.raises(OptimizeError, match="b"):
        qualify(wrong, schema=schema, dialect="bigquery")


@pytest.mark.parametrize(("dialect", "read"), [(DUCKDB, "duckdb"), (bigquery("my-project", "tiktok"), "bigquery")])
def test_the_column_that_dates_a_row_is_passed_on_untouched(dialect: Dialect, read: str) -> None:
    """A filter on anything else than the bare partition column would scan the whole table."""
    hourly = [*LISTS, "ad_report_hourly", "campaign_report_daily", "campaign_report_daily_by_country"]
    daily = [*LISTS, "ad_report_daily"]
    passed = set()
    for objects in (hourly, daily):
        tables = {STREAMS[o].table: [f.name for f in STREAMS[o].columns(default_fields(STREAMS[o]))] for o in objects}
        for view in definitions(tables, dialect):
            dated = {"stat_time_day", "stat_time_hour"} & {f.name for f in view.fields}
            if not dated or "00:00" in view.description:
                continue
            parsed = sqlglot.parse_one(view.sql, read=read)
            for select in parsed.find_all(exp.Select):
                made = {e.alias_or_name: e.unalias() for e in select.expressions}
                for name in dated & set(made):
                    assert isinstance(made[name], exp.Column)
                    passed.add(view.name)
            assert not parsed.find(exp.Where) or "synced" in view.sql
            assert not parsed.find(exp.Window)
    assert passed >= {*PERFORMANCE, "ad_report_hourly", "campaign_country_report"}


def test_a_history_shows_each_list_as_it_was_on_each_day(project: Project) -> None:
    project.say = {"objects": ["campaigns", "ads"], "history": True, "start_date": START.isoformat()}
    assert project.import_(now=datetime(2026, 2, 20, 12, tzinfo=UTC)).exit_code == 0
    before = states(project.table("campaigns"))
    assert project.import_(now=datetime(2026, 3, 1, 12, tzinfo=UTC), views=True).exit_code == 0
    after = states(project.table("campaigns"))
    for day, wanted in ((date(2026, 2, 20), before), (date(2026, 2, 28), before), (date(2026, 3, 1), after)):
        assert states(rows(project.database, f"SELECT * FROM v_campaigns_by_day WHERE day = DATE '{day}'")) == wanted
    assert {"v_campaigns_by_day", "v_ads_by_day"} <= views_in(project.database).keys()


def states(of: Sequence[Row]) -> list[tuple[str, ...]]:
    names = ("advertiser_id", "campaign_id", "campaign_name", "budget", "operation_status", "secondary_status")
    return sorted(tuple(str(r[n]) for n in names) for r in of)


# --- refresh ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(project: Project) -> Project:
    project.say = {"objects": ["campaigns", "ads", "ad_report_daily"], "start_date": START.isoformat()}
    assert project.import_().exit_code == 0
    assert views_in(project.database) == {}, "views were not asked for"
    return project


def test_refreshing_twice_is_refreshing_once_and_the_views_are_described(small: Project) -> None:
    first = small.cli("views", "tiktok.yaml")
    assert first.returncode == 0, first.stderr
    assert "ready v_ad_performance_daily" in first.stdout
    assert "none  campaign_country_report: needs campaign_report_daily_by_country" in first.stdout
    before = views_in(small.database), rows(small.database, "SELECT * FROM v_ad_performance_daily ORDER BY ALL")
    second = small.cli("views", "tiktok.yaml")
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert before == (
        views_in(small.database),
        rows(small.database, "SELECT * FROM v_ad_performance_daily ORDER BY ALL"),
    )
    assert all(comment.startswith("Written by owox_tiktok: ") for comment in before[0].values())
    columns = rows(
        small.database, "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'v_ad_performance_daily'"
    )
    assert columns
    assert all(column["comment"] for column in columns)


def test_a_dry_run_prints_a_script_that_makes_the_views_and_makes_none(small: Project) -> None:
    ran = small.cli("views", "tiktok.yaml", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert views_in(small.database) == {}
    with duckdb.connect(str(small.database)) as connection:
        connection.execute(ran.stdout)
    by_script = rows(small.database, "SELECT * FROM v_ad_performance_daily ORDER BY ALL")
    assert by_script
    assert len(views_in(small.database)) == ran.stdout.count("CREATE OR REPLACE VIEW") >= 5


def test_what_somebody_else_made_is_left_alone_and_said(small: Project) -> None:
    with duckdb.connect(str(small.database)) as connection:
        connection.execute("CREATE VIEW v_ad_performance_daily AS SELECT 42 AS mine")
        connection.execute("CREATE TABLE V_Latest_Entities AS SELECT 43 AS mine")
    ran = small.cli("views", "tiktok.yaml")
    assert ran.returncode == 3
    assert "taken v_ad_performance_daily: something else already has this name" in ran.stdout
    assert "taken v_latest_entities" in ran.stdout
    assert rows(small.database, "SELECT * FROM v_ad_performance_daily") == [{"mine": 42}]
    assert rows(small.database, "SELECT * FROM v_latest_entities") == [{"mine": 43}]
    assert rows(small.database, "SELECT count(*) AS n FROM v_campaign_performance_daily")[0]["n"] > 0
    again = small.import_(views=True)
    assert again.exit_code == 0, "the rows are there all the same"
    assert sum("v_ad_performance_daily was not created" in w for w in again.warnings) == 1


def test_somebody_elses_table_is_not_reported_on(small: Project) -> None:
    with duckdb.connect(str(small.database)) as connection:
        connection.execute("CREATE TABLE tiktok_ads_advertisers (advertiser_id VARCHAR, name VARCHAR)")
    assert small.cli("views", "tiktok.yaml").returncode == 0
    assert "advertiser" not in views_in(small.database)


def test_an_import_adds_columns_under_the_views(small: Project) -> None:
    assert small.cli("views", "tiktok.yaml").returncode == 0
    ran = small.import_(fields={"ad_report_daily": ["performance", "video"]}, views=True)
    assert ran.exit_code == 0, ran.failures
    assert "likes" in types_of(small.database, "v_ad_performance_daily")


def test_before_the_first_import_there_is_nothing_to_view(project: Project) -> None:
    project.write()
    for words in ((), ("--dry-run",)):
        ran = project.cli("views", "tiktok.yaml", *words)
        assert ran.returncode == 1
        assert "no view can be created. Import first, then create the views." in ran.stderr
    assert not project.database.exists(), "nothing was created"


def test_a_sheet_has_no_views_and_says_so_before_anything_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHEETS_API_URL", stand_in().url)
    destination = f"sheets://{stand_in().create('views')}"
    with pytest.raises(BadInput, match=r"tiktok.yaml views: sheets:// has no views. Omit them, or use duckdb://"):
        project.import_(views=True, destination=destination)
    assert project.server.counts["requests"] == 0


# --- dbt_tiktok_ads ---------------------------------------------------------------------------------------------------

CONTRACT = Path(__file__).parent / "dbt_tiktok_ads_1.4.0.csv"
"""The columns that the staging models of Fivetran's package read, with the types of its macros (version 1.4.0)."""
IDS = {"ad_id", "adgroup_id", "campaign_id", "advertiser_id", "id", "category"}
FITS = {
    "string": {"VARCHAR"},
    "numeric": {"BIGINT", "DECIMAL(38,9)"},
    "float": {"BIGINT", "DECIMAL(38,9)"},
    "int": {"BIGINT"},
    "timestamp": {"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"},
    "datetime": {"DATE", "TIMESTAMP"},
    "boolean": {"BOOLEAN"},
}


def contract() -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = defaultdict(dict)
    with CONTRACT.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            tables[row["table"]][row["column"]] = row["type"]
    return tables


@pytest.fixture(scope="module")
def for_dbt(tmp_path_factory: pytest.TempPathFactory, lasting_tiktok: Server) -> Project:
    """An import with the lines that docs/queries.md gives for the package."""
    lines = re.findall(r"```yaml\n(objects:.*?)```", QUERIES.read_text(encoding="utf-8"), re.S)
    assert len(lines) == 1
    project = Project(tmp_path_factory.mktemp("dbt"), lasting_tiktok)
    project.say = {**yaml.safe_load(lines[0]), "start_date": START.isoformat()}
    assert project.import_().exit_code == 0
    return project


def test_dbt_tiktok_ads_finds_every_column_it_reads_with_a_type_it_can_use(for_dbt: Project) -> None:
    tables = contract()
    assert len(tables) == 9
    assert sum(map(len, tables.values())) == 164
    for table, columns in tables.items():
        there = types_of(for_dbt.database, table)
        for column, wanted in columns.items():
            # Ids are text in all eight, so that they join. Fivetran's own data has a boolean is_new_structure.
            fits = {"VARCHAR"} if column in IDS else {"BOOLEAN"} if column == "is_new_structure" else FITS[wanted]
            assert there.get(column) in fits, (table, column)
        assert there["_fivetran_synced"] == "TIMESTAMP WITH TIME ZONE"


def test_dbt_tiktok_ads_finds_a_value_where_tiktok_gives_one(for_dbt: Project) -> None:
    gone = {"phone_number", "telephone", "display_name", "landing_page_url of an ad group"}
    gone |= {name for name, field in STREAMS["advertisers"].fields.items() if field.personal}
    for view in definitions(columns_of(for_dbt.database), DUCKDB):
        if not view.name.startswith("v_"):
            assert view.sql, view.name
            assert not view.missing, "docs/queries.md says what to import for all of it"
            for column in contract()[view.name]:
                empty = the_only(rows(for_dbt.database, f"SELECT count({column}) AS n FROM {view.name}"))["n"] == 0
                label = f"{column} of an ad group" if view.name == "adgroup_history" else column
                if label in gone or column in gone:
                    assert empty


PACKAGE = os.environ.get("DBT_TIKTOK_ADS", "")
DBT = os.environ.get("DBT") or shutil.which("dbt") or ""


@pytest.mark.skipif(
    not PACKAGE, reason="DBT_TIKTOK_ADS names no folder of the dbt package tiktok_ads (with its own, after `dbt deps`)"
)
@pytest.mark.skipif(bool(PACKAGE) and not DBT, reason="dbt with its adapter dbt-duckdb is not installed (DBT names it)")
def test_the_dbt_package_runs_unchanged_and_its_sums_are_tiktoks(for_dbt: Project, tmp_path: Path) -> None:
    database = tmp_path / "tiktok.duckdb"
    shutil.copy(for_dbt.database, database)
    target = {"type": "duckdb", "path": str(database), "schema": "modeled", "threads": 1}
    profile = {"tiktok": {"target": "here", "outputs": {"here": target}}}
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profile))
    said = {"tiktok_ads_database": "tiktok", "tiktok_ads_schema": "main"}
    words = [
        "--project-dir",
        PACKAGE,
        "--profiles-dir",
        str(tmp_path),
        "--profile",
        "tiktok",
        "--vars",
        json.dumps(said),
    ]
    words += ["--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")]
    ran = subprocess.run([DBT, "run", *words], capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:]
    for report, stream in (
        ("ad_report", "ad_report_daily"),
        ("ad_group_report", "ad_group_report_daily"),
        ("campaign_report", "campaign_report_daily"),
        ("advertiser_report", "ad_report_daily"),
        ("campaign_country_report", "campaign_report_daily_by_country"),
    ):
        wanted = oracle(for_dbt, stream, ["spend", "impressions", "clicks"])
        (model,) = rows(
            database,
            f"SELECT table_schema AS at FROM information_schema.tables WHERE table_name = 'tiktok_ads__{report}'",
        )
        sums = "sum(spend) AS spend, sum(impressions) AS impressions, sum(clicks) AS clicks"
        (found,) = rows(database, f"SELECT {sums} FROM {model['at']}.tiktok_ads__{report}")
        assert found == {name: sum(r[name] for r in wanted) for name in ("spend", "impressions", "clicks")}, report


@pytest.mark.parametrize(("hours", "stream"), [(False, "ad_report_daily"), (True, "ad_report_hourly")])
def test_the_packages_sums_are_tiktoks(hours: bool, stream: str, for_dbt: Project, imported: Project) -> None:
    project = imported if hours else for_dbt
    (total,) = rows(
        project.database,
        "SELECT sum(spend) AS spend, sum(video_views_p_25) AS quarter, sum(total_purchase_value) AS value, "
        "count(DISTINCT hour(stat_time_hour)) AS hours FROM ad_report_hourly",
    )
    tiktoks = oracle(project, stream, ["spend", "video_views_p25", "total_purchase_value"])
    assert total["spend"] == sum(r["spend"] for r in tiktoks)
    assert total["quarter"] == sum(r["video_views_p25"] or 0 for r in tiktoks)  # Promote ads have none
    assert total["value"] == sum(r["total_purchase_value"] or 0 for r in tiktoks)
    assert (total["hours"] == 24) if hours else (total["hours"] == 1)


def test_an_entity_has_one_version_that_says_when_it_was_changed_and_read(for_dbt: Project) -> None:
    for view, stream, key in (
        ("campaign_history", "campaigns", "campaign_id"),
        ("adgroup_history", "ad_groups", "adgroup_id"),
        ("ad_history", "ads", "ad_id"),
    ):
        wanted = {(r["advertiser_id"], r[key]): r["modify_time"] or r["create_time"] for r in for_dbt.table(stream)}
        found = rows(for_dbt.database, f"SELECT advertiser_id, {key}, epoch(updated_at) AS t FROM {view}")
        assert {(r["advertiser_id"], r[key]): r["t"] for r in found} == {k: v.timestamp() for k, v in wanted.items()}
        read = rows(for_dbt.database, f"SELECT DISTINCT epoch(_fivetran_synced) AS t FROM {view}")
        cursors = rows(
            for_dbt.database, f"SELECT DISTINCT epoch(read_at) AS t FROM {CURSORS} WHERE object = '{stream}'"
        )
        assert read == cursors


def test_a_place_has_a_name_and_a_country_one_row_so_that_nothing_counts_twice(for_dbt: Project) -> None:
    places = rows(for_dbt.database, "SELECT * FROM location WHERE upper(region_level) = 'COUNTRY'")
    assert {(r["country_code"], r["region_name"]) for r in places} >= {("US", "United States"), ("DE", "Germany")}
    assert len(places) == len({(r["advertiser_id"], r["country_code"]) for r in places})


def test_lists_are_json_text(for_dbt: Project) -> None:
    texts = [r["languages"] for r in rows(for_dbt.database, "SELECT languages FROM adgroup_history")]
    assert any(isinstance(json.loads(text), list) for text in texts if text)


# --- the questions of docs/queries.md ---------------------------------------------------------------------------------


def questions() -> dict[str, str]:
    """The documented queries by their heading, in BigQuery's SQL."""
    found = re.findall(r"^### (.+?)$.*?```sql\n(.*?)```", QUERIES.read_text(encoding="utf-8"), re.S | re.M)
    return dict(found)


def for_duckdb(sql: str) -> str:
    """A query of BigQuery's in DuckDB's words."""

    def local(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Table) or not node.db:
            return node
        assert f"{node.catalog}.{node.db}" == "my-project.tiktok_ads"
        return exp.table_(node.name, alias=node.alias or None)

    return sqlglot.parse_one(sql, read="bigquery").transform(local).sql(dialect="duckdb")


WITHOUT_DAYS = {"v_latest_entities", "v_import_status", "v_campaigns_by_day", "v_campaign_performance_weekly"}
"""What cannot be read by days of results: lists, and what is computed from all days."""


@pytest.mark.parametrize("question", questions())
def test_a_documented_question_has_an_answer_and_reads_only_the_days_it_names(question: str, imported: Project) -> None:
    sql = questions()[question]
    answer = rows(imported.database, for_duckdb(sql))
    # Whether an ad should be stopped depends on the simulated ads; its conditions are tested below. No week is whole.
    assert answer or "stopped" in question or "whole weeks" in question
    for table in sqlglot.parse_one(sql, read="bigquery").find_all(exp.Table):
        if table.db and table.name not in WITHOUT_DAYS:
            select = table.find_ancestor(exp.Select)
            assert select is not None
            where = select.args["where"]
            days = [b for b in where.find_all(exp.Between) if b.this.name == "stat_time_day"]
            assert days, f"{table.name} is read whole"


def test_the_documented_answers_are_tiktoks_numbers(imported: Project) -> None:
    asked = questions()
    assert len(asked) == 9
    campaigns = oracle(imported, "campaign_report_daily", ["spend", "clicks", "impressions", "conversion", "currency"])
    countries = oracle(imported, "campaign_report_daily_by_country", ["spend", "conversion"])
    last = date(2026, 2, 28)

    def total(of: Sequence[Row], name: str, first: date = START, end: date = last) -> Any:
        return sum(r[name] for r in of if first <= r["stat_time_day"] <= end)

    def answer(words: str) -> list[Row]:
        return rows(imported.database, for_duckdb(next(sql for title, sql in asked.items() if words in title)))

    by_day = answer("day by day")
    assert sum(r["spend"] for r in by_day) == total(campaigns, "spend") > 0
    assert sum(r["impressions"] for r in by_day) == total(campaigns, "impressions")
    assert len(by_day) == len(
        {(r["advertiser_id"], r["stat_time_day"]) for r in campaigns if r["stat_time_day"] <= last}
    )
    best = answer("most for their money")
    assert sum(r["conversions"] for r in best) == total(campaigns, "conversion")
    clicks = sum(float(r["total_spend"]) / r["spend_per_click"] for r in best if r["spend_per_click"])
    assert clicks == pytest.approx(total(campaigns, "clicks"))
    week = answer("week before")
    assert sum(r["spend_now"] for r in week) == total(campaigns, "spend", date(2026, 2, 22))
    assert sum(r["spend_before"] for r in week) == total(campaigns, "spend", START, date(2026, 2, 21))
    assert sum(r["spend"] for r in answer("countries")) == total(countries, "spend")
    for row in answer("whole weeks"):
        first = row["first_day_of_week"]
        of_it = [r for r in campaigns if r["currency"] == row["currency"]]
        assert row["spend"] == total(of_it, "spend", first, first + timedelta(days=6))
    ads = oracle(imported, "ad_report_daily", ["video_watched_2s", "impressions"])
    assert (
        0
        < answer("creatives hold")[0]["hook_percent"]
        <= 100
        * max(r["video_watched_2s"] / r["impressions"] for r in ads if r["impressions"] and r["video_watched_2s"])
    )
    listed = {(r["campaign_name"], r["budget"]) for r in imported.table("campaigns")}
    assert {(r["campaign_name"], r["budget"]) for r in answer("budget that day")} == listed
    status = answer("complete")
    assert sum(r["row_count"] for r in status if r["object"] == "campaigns") == len(imported.table("campaigns"))


@pytest.mark.parametrize("times", [2, 0.9])
def test_the_ads_to_stop_are_those_that_run_cost_much_and_bring_little(times: float, imported: Project) -> None:
    (sql,) = (sql for title, sql in questions().items() if "stopped" in title)
    assert "> 2 * accounts" in sql
    answer = rows(imported.database, for_duckdb(sql.replace("> 2 * accounts", f"> {times} * accounts")))
    running = {
        (r["advertiser_id"], r["ad_id"])
        for r in imported.table("ads")
        if r["operation_status"] == "ENABLE" and not r["secondary_status"].endswith("_DELETE")
    }
    ads = [r for r in oracle(imported, "ad_report_daily", ["spend", "conversion"]) if r["stat_time_day"].month == 2]
    wasteful = []
    for account in imported.server.advertiser_ids:
        spent: dict[str, float] = defaultdict(float)
        converted: dict[str, int] = defaultdict(int)
        for row in ads:
            if row["advertiser_id"] == account:
                spent[row["ad_id"]] += float(row["spend"])
                converted[row["ad_id"]] += row["conversion"]
        fair, cost = sum(spent.values()) / len(spent), sum(spent.values()) / sum(converted.values())
        wasteful += [
            ad
            for ad in spent
            if (account, ad) in running and spent[ad] > fair and spent[ad] > times * cost * converted[ad]
        ]
    assert sorted(r["ad_id"] for r in answer) == sorted(wasteful)
    assert wasteful or times == 2


def test_no_question_adds_up_a_sum() -> None:
    """In HAVING and ORDER BY BigQuery takes a name for the column that is selected, before the table's."""
    for sql in questions().values():
        for select in sqlglot.parse_one(sql, read="bigquery").find_all(exp.Select):
            made = {e.alias_or_name for e in select.expressions if not isinstance(e.unalias(), exp.Column)}
            for clause in (select.args.get("having"), select.args.get("order")):
                for added in clause.find_all(exp.AggFunc) if clause else ():
                    assert not made & {c.name for c in added.find_all(exp.Column)}, added.sql()
