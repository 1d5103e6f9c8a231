"""The public door for programs: the same rows as TikTok has, exact types, complete or a typed error."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import owox_tiktok
from owox_tiktok import (
    BadInput,
    Cursor,
    Finished,
    Incomplete,
    Problem,
    Stored,
    TikTokAds,
    TokenRefused,
    Warned,
)
from owox_tiktok.local.tiktok import Server
from owox_tiktok.streams import STREAMS, default_fields
from tests.helpers import NOW, START, Project, differences, expected, process_environment

PUBLIC = {
    "AccountRefused", "Advertiser", "BadInput", "Checked", "Cursor", "Event", "Failed", "Field", "Finished",
    "Freshness", "Halted", "Imported", "Incomplete", "Kind", "Mistake", "Object", "Planned", "Problem", "Pruned",
    "Refused", "RequestRefused", "Standing", "Started", "StoreBusy", "StoreFailed", "Stored", "Table", "TikTokAds",
    "TokenRefused", "Unavailable", "Waiting", "Warned",
}  # fmt: skip
"""Other programs rely on these. A name that goes is a new version; see docs/python.md."""
METHODS = {
    "TikTokAds": {"accounts", "check", "from_env", "from_file", "import_", "objects", "plan", "read", "status"},
    "Table": {"arrow", "batches", "columns", "df", "keys", "object", "polars", "reader", "save", "schema"},
    "Cursor": {"fields", "from_json", "read_at", "read_on", "refused", "since", "through", "to_json", "with_deleted",
               "without_days_before"},
}  # fmt: skip


def of(server: Server, **more: Any) -> TikTokAds:
    """The accounts of a simulated TikTok, at its clock."""
    ads = TikTokAds(
        more.pop("access_token", server.token),
        more.pop("advertiser_ids", server.advertiser_ids),
        environment={"TIKTOK_API_URL": server.url},
        requests_per_second=1000,
        **more,
    )
    ads._now = server.world.now()
    return ads


def reading_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(("windows", "reader-"))]


# --- what there is ----------------------------------------------------------------------------------------------------


def test_the_public_names_are_these_and_all_are_documented() -> None:
    assert set(owox_tiktok.__all__) == PUBLIC
    for name in PUBLIC - {"Event"}:
        assert getattr(owox_tiktok, name).__doc__, name
    for name, methods in METHODS.items():
        public = {m for m in dir(getattr(owox_tiktok, name)) if not m.startswith("_")}
        assert public == methods, name
    assert set(dir(owox_tiktok)) >= PUBLIC
    with pytest.raises(AttributeError, match="no_such"):
        owox_tiktok.no_such  # noqa: B018


def test_importing_it_loads_nothing_and_using_it_nothing_that_is_not_needed() -> None:
    code = (
        "import sys, owox_tiktok\n"
        "print(*sys.modules)\n"
        "from owox_tiktok import TikTokAds\n"
        "TikTokAds('x', ['1']).read('campaigns')\n"
        "print(*sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=process_environment({})
    )
    package, used = ({*line.split()} for line in ran.stdout.splitlines())
    assert not {m for m in package if m.startswith("owox_tiktok.") or m in ("requests", "msgspec", "duckdb")}
    assert not used & {"pyarrow", "pandas", "polars", "duckdb", "google.cloud.bigquery", "gspread", "rich"}


# --- rows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ad_report_daily", "campaign_report_hourly", "ad_groups", "ads"])
def test_rows_and_arrow_are_what_tiktok_has(name: str, lasting_tiktok: Server) -> None:
    pytest.importorskip("pyarrow")
    stream = STREAMS[name]
    start = date(2026, 2, 20) if stream.time == "stat_time_hour" else START
    table = of(lasting_tiktok).read(name, since=start if stream.time else None)
    names = [f.name for f in table.columns]
    assert names == [f.name for f in stream.columns(default_fields(stream))]
    wanted = [
        row
        for one in lasting_tiktok.advertiser_ids
        for row in expected(lasting_tiktok.world, stream, one, names, start=start)
    ]
    rows = [row for batch in table for row in batch]
    assert list(rows[0]) == names
    assert differences(rows, wanted, stream.keys) == []
    listed = table.arrow().to_pylist()
    kinds = {f.name: f.kind for f in table.columns}
    for row in listed:
        for column, value in row.items():
            if kinds[column] == "json" and value is not None:
                row[column] = json.loads(value, parse_float=Decimal)
    assert differences(listed, wanted, stream.keys) == []
    assert table.arrow() is table.arrow()


def test_types_are_exact_in_data_frames(lasting_tiktok: Server) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    table = of(lasting_tiktok).read("ad_report_daily", since=START, fields=["spend"])
    exact = sum(row["spend"] for batch in table for row in batch)
    assert isinstance(exact, Decimal)
    assert table.df()["spend"].sum() == exact
    frame = table.polars()
    assert frame["spend"].sum() == exact
    assert [str(t) for t in frame.dtypes] == ["String", "String", "Date", "String", "Decimal(precision=38, scale=9)"]
    field = table.schema().field("spend")
    assert field.metadata[b"unit"] == b"account currency"
    assert not table.schema().field("ad_id").nullable


def test_a_loop_that_is_left_ends_the_read(lasting_tiktok: Server) -> None:
    before = reading_threads()
    table = of(lasting_tiktok).read("ad_report_hourly", since=START)
    for batch in table:
        assert batch
        break
    for thread in threading.enumerate():
        if thread.name.startswith(("windows", "reader-")) and thread.name not in before:
            thread.join(10)
    assert reading_threads() == before


def test_async_callers_get_the_same_while_others_continue(lasting_tiktok: Server) -> None:
    table = of(lasting_tiktok).read("ad_report_daily", since=START, fields=["spend"])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def read() -> int:
        other = asyncio.create_task(others())
        rows = sum([len(batch) async for batch in table])
        other.cancel()
        return rows

    assert asyncio.run(read()) == sum(map(len, table))
    assert turns > 100


def test_events_and_warnings_come_along(tiktok: Server) -> None:
    tiktok.faults.refused_metrics = {tiktok.advertiser_ids[0]: ["likes"]}
    heard: list[object] = []
    table = of(tiktok).read("ad_report_daily", since=START, fields=["spend", "likes"], listen=heard.append)
    rows = [row for batch in table for row in batch]
    assert sum(e.rows for e in heard if isinstance(e, Stored)) == len(rows)
    assert isinstance(heard[-1], Finished)
    assert table.warnings == [e for e in heard if isinstance(e, Warned)]
    assert [w.advertiser_id for w in table.warnings if "likes" in w.message] == [tiktok.advertiser_ids[0]]
    assert {row["likes"] for row in rows if row["advertiser_id"] == tiktok.advertiser_ids[0]} == {None}


# --- or an error ------------------------------------------------------------------------------------------------------


def test_a_refused_token_is_that_error_and_shows_no_token(lasting_tiktok: Server) -> None:
    bad = "f" * 40
    ads = of(lasting_tiktok, access_token=bad)
    with pytest.raises(TokenRefused) as caught:
        list(ads.read("ads"))
    assert caught.value.code == 40105
    assert bad not in repr(ads) + str(caught.value) + repr(vars(ads))


def test_an_account_that_is_refused_is_an_error_not_fewer_rows(lasting_tiktok: Server) -> None:
    ads = of(lasting_tiktok, advertiser_ids=["7000000000000000042", *lasting_tiktok.advertiser_ids])
    with pytest.raises(Problem, match="7000000000000000042"):
        list(ads.read("ads"))


def test_mistakes_are_told_at_once_all_of_them_in_the_words_of_the_call(lasting_tiktok: Server) -> None:
    ads = of(lasting_tiktok)
    with pytest.raises(BadInput, match=r'since: is missing. Give since="2026-01-01"'):
        ads.read("ad_report_daily")
    with pytest.raises(BadInput) as caught:
        ads.read("ad_report_daily", since="01.02.2026", fields=["spendd", "clicks"], advertiser_ids=["x"])
    assert {m.where for m in caught.value.mistakes} == {"since", "fields", "advertiser_ids"}
    with pytest.raises(BadInput, match="Did you mean ad_report_daily"):
        ads.read("ad_report_dail", since="2026-02-01", fields=["spend"])
    with pytest.raises(BadInput, match="destination: is missing"):
        ads.import_(objects=["ads"])
    with pytest.raises(BadInput, match="backfill"):
        ads.import_("duckdb:///:memory:", objects=["ads"], backfill=("1", "2"))
    with pytest.raises(BadInput, match="TIKTOK_ACCESS_TOKEN is not set"):
        TikTokAds.from_env(environment={})
    with pytest.raises(BadInput, match="app_id"):
        TikTokAds.from_env(environment={"TIKTOK_ACCESS_TOKEN": "x"})


def test_a_missing_package_is_named_with_its_extra(lasting_tiktok: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BadInput, match=r"pip install 'owox-tiktok\[pandas\]'"):
        of(lasting_tiktok).read("ads").df()


# --- imports ----------------------------------------------------------------------------------------------------------


def test_an_import_fills_a_destination_and_the_file_says_the_rest(project: Project) -> None:
    path = project.write(objects=["campaigns", "ads"], fields={"campaigns": ["campaign_name"]})
    ads = TikTokAds.from_file(path, environment=project.environment)
    ads._now = NOW
    done = ads.import_()
    assert done.complete
    assert set(done.rows) == {"campaigns", "ads"}
    assert project.wrong("ads") == []
    # Other objects than the file's may be named; fields of those that are not read do no harm.
    assert ads.import_(objects=["ad_report_daily"]).rows.keys() == {"ad_report_daily"}
    assert project.wrong("ad_report_daily") == []
    assert [one.state for one in ads.status(objects=["ad_report_daily"])] == ["fresh", "fresh"]
    assert [f.name for f in ads.read("campaigns").columns] == ["advertiser_id", "campaign_id", "campaign_name"]
    assert all(one.ok for one in ads.check())
    assert {one.object for one in ads.plan()} == {"campaigns", "ads"}


def test_what_is_not_complete_raises_with_what_came_of_the_rest(project: Project) -> None:
    path = project.write(advertiser_ids=[*project.server.advertiser_ids, "7000000000000000042"])
    ads = TikTokAds.from_file(path, environment=project.environment)
    ads._now = NOW
    with pytest.raises(Incomplete, match="7000000000000000042") as caught:
        ads.import_()
    (failure,) = caught.value.imported.failures
    assert isinstance(failure.error, Problem)
    assert caught.value.imported.rows["ad_report_daily"] > 0
    assert not ads.import_(must_complete=False).complete


@pytest.mark.parametrize(
    "cursor",
    [
        Cursor(frozenset({"spend", "b"}), datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 1), date(2026, 1, 1),
               date(2026, 3, 1), frozenset({"x"}), False),
        Cursor(frozenset(), datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 1)),
    ],
)  # fmt: skip
def test_a_cursor_has_a_json_form(cursor: Cursor) -> None:
    assert Cursor.from_json(json.loads(json.dumps(cursor.to_json()))) == cursor
    with pytest.raises(KeyError):
        Cursor.from_json({})
