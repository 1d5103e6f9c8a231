"""An import leaves exactly what TikTok has: every object, restated days, deleted things, refusals, large accounts."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from owox_tiktok import app
from owox_tiktok.errors import BadInput, Problem
from owox_tiktok.events import Event, Stored
from owox_tiktok.local.tiktok import Rules, Server, World, serve
from owox_tiktok.model import Stream
from owox_tiktok.streams import STREAMS
from owox_tiktok.streams import metrics as catalogue
from tests.helpers import NOW, SERVED, START, Project, differences, expected, in_order

# Most of what the tests below need: two kinds of objects, and metrics that settle early and late.
SOME: dict[str, Any] = {
    "fields": {"ad_report_daily": ["ad_name", "spend", "impressions", "ctr", "conversion", "cost_per_conversion"]}
}


# --- every object -----------------------------------------------------------------------------------------------------


def several() -> list[list[Stream]]:
    """All objects, a few at a time: what an import costs besides reading is then paid once for several of them."""
    found: dict[object, list[Stream]] = {}
    for number, stream in enumerate(s for s in SERVED if not of_its_own(s)):
        split = bool(stream.report and stream.report.split)
        found.setdefault((stream.family, first_day(stream), number // 12 if split else number // 5), []).append(stream)
    return list(found.values())


def of_its_own(stream: Stream) -> bool:
    """Whether another test reads it: GMV Max, creatives and money have their own."""
    listing = stream.listing
    return bool(listing and (listing.each or listing.info or listing.by_id))


def first_day(stream: Stream) -> date:
    """Two windows of most reports; what has many rows a day is shorter."""
    if stream.time == "stat_time_hour":
        return date(2026, 2, 26)
    split = stream.report and stream.report.split
    return date(2026, 2, 20) if split and split != "country" and stream.time else START


@pytest.mark.parametrize("streams", several(), ids=lambda some: f"{some[0].name}+{len(some) - 1}")
def test_every_object_arrives_as_tiktok_has_it(streams: list[Stream], tmp_path: Path, lasting_tiktok: Server) -> None:
    project, start = Project(tmp_path, lasting_tiktok), first_day(streams[0])
    ran = project.import_(objects=[s.name for s in streams], start_date=f"{start}")
    assert (ran.exit_code, ran.failures, ran.warnings) == (0, [], [])
    for stream in streams:
        assert project.wrong(stream, start=start) == [], stream.name
        assert len(project.table(stream)) == ran.finished.rows[stream.name] > 0, stream.name


@pytest.mark.parametrize(
    "name",
    ["ad_report_daily", "ad_report_lifetime", "ad_group_report_daily", "campaign_report_daily",
     "advertiser_report_daily",
     "campaign_report_daily_by_country", "ad_audience_report_daily_by_age_gender"],
)  # fmt: skip
def test_a_hundred_fields_of_every_kind_arrive_exactly(name: str, tmp_path: Path, lasting_tiktok: Server) -> None:
    project = Project(tmp_path, lasting_tiktok)
    stream = STREAMS[name]
    metrics = [f.name for f in stream.fields.values() if f.origin == "metric"]
    if "country_code" in stream.dimensions:  # some of them only a connector is known to ask for
        metrics = [n for n in metrics if catalogue()[n].by_country != "connector"]
    # The attributes come first in the catalogue; the stride takes some of everything else.
    chosen = list(dict.fromkeys([*metrics[:36], *metrics[36 :: max(1, len(metrics) // 64)]]))[:100]
    ran = project.import_(objects=[name], fields={name: chosen}, start_date="2026-02-10")
    assert (ran.exit_code, ran.warnings) == (0, [])
    assert set(chosen) <= set(project.table(name)[0])
    assert project.wrong(name, start=date(2026, 2, 10)) == []


def test_importing_twice_is_importing_once(project: Project) -> None:
    objects = ["campaigns", "ads", "ad_report_daily", "campaign_report_lifetime", "advertiser_report_hourly"]
    project.import_(objects=objects)
    before = {name: in_order(project.table(name)) for name in objects}
    cursors = project.cursors()
    again = project.import_(objects=objects)
    assert again.exit_code == 0
    assert {name: in_order(project.table(name)) for name in objects} == before
    assert project.cursors() == cursors
    done = again.finished
    assert done.kept == done.work > 0, "nothing has changed, so nothing is written"
    assert done.rows_kept == sum(done.rows.values()) > 0
    assert sum(done.replaced.values()) == 0
    assert f"{done.kept} of {done.work} days and lists unchanged" in done.summary


def test_only_the_days_that_changed_are_written_and_damage_is_repaired(project: Project) -> None:
    project.import_(objects=["ads", "ad_report_daily"])
    before = {name: in_order(project.table(name)) for name in ("ads", "ad_report_daily")}
    with duckdb.connect(str(project.database)) as connection:
        of_day = connection.execute("SELECT max(stat_time_day) FROM tiktok_ads_ad_report_daily").fetchall()[0][0]
        connection.execute("UPDATE tiktok_ads_ad_report_daily SET clicks = 7 WHERE stat_time_day = ?", [of_day])
        connection.execute("DELETE FROM tiktok_ads_ads WHERE ad_id = (SELECT max(ad_id) FROM tiktok_ads_ads)")
    done = project.import_(objects=["ads", "ad_report_daily"]).finished
    assert {name: in_order(project.table(name)) for name in before} == before
    accounts = len(project.server.advertiser_ids)
    assert 0 < done.work - done.kept <= 2 * accounts, "a day and a list of the accounts that were harmed"
    assert 0 < sum(done.replaced.values()) < sum(done.rows.values())
    project.server.world.as_of = project.server.world.now() + timedelta(days=1)
    done = project.import_(objects=["ad_report_daily"]).finished
    assert 0 < done.kept < done.work
    assert project.wrong("ad_report_daily") == []


def test_equal_ids_of_two_advertisers_stay_apart(project: Project) -> None:
    project.import_(objects=["ads", "ad_report_daily"])
    one, two = project.server.advertiser_ids
    of = {a: {r["ad_id"] for r in project.table("ads") if r["advertiser_id"] == a} for a in (one, two)}
    assert of[one] & of[two], "the world should have equal ids"
    assert project.wrong("ads") == []
    assert project.wrong("ad_report_daily") == []


def test_money_stands_beside_its_currency_and_is_exact_to_the_cent(project: Project) -> None:
    project.import_(objects=["ad_report_daily", "advertiser_report_daily"])
    for advertiser in project.server.world.advertisers:
        # An account's own report is without the ads that Promote makes.
        promote = {ad.id for ad in advertiser.ads if ad.campaign.kind == "promote"}
        mine = [r for r in project.table("ad_report_daily") if r["advertiser_id"] == advertiser.id]
        rows = [r for r in mine if r["ad_id"] not in promote]
        account = [r for r in project.table("advertiser_report_daily") if r["advertiser_id"] == advertiser.id]
        assert {r["currency"] for r in rows} == {advertiser.currency}
        assert sum(r["spend"] for r in rows) == sum(r["spend"] for r in account) > 0
        assert len(rows) < len(mine)


# --- late truth -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", range(1, 8))
def test_a_day_that_tiktok_restates_later_arrives(days: int, project: Project) -> None:
    project.import_(**SOME)
    before = {
        (r["advertiser_id"], r["ad_id"], r["stat_time_day"]): r["conversion"] for r in project.table("ad_report_daily")
    }
    project.server.world.as_of = NOW + timedelta(days=days)
    ran = project.import_(**SOME)
    after = {
        (r["advertiser_id"], r["ad_id"], r["stat_time_day"]): r["conversion"] for r in project.table("ad_report_daily")
    }
    assert project.wrong("ad_report_daily") == []
    assert any(after[key] != before[key] for key in before if key[2] < (NOW - timedelta(days=1)).date())
    # Only the look-back was read again, not everything.
    first = min(e.first for e in ran.events if isinstance(e, Stored) and e.first)
    assert first >= NOW.date() - timedelta(days=8)


def test_runs_with_pauses_of_any_length_end_with_what_tiktok_has(project: Project) -> None:
    for pause in (0, 1, 3, 11, 2, 30, 6, 1):
        project.server.world.as_of = project.server.world.now() + timedelta(days=pause)
        assert project.import_(**SOME).exit_code == 0
    assert project.wrong("ad_report_daily") == []


def test_a_clock_that_was_ahead_does_not_keep_later_days_from_being_read(project: Project) -> None:
    assert project.import_(now=NOW + timedelta(days=400), **SOME).exit_code == 0
    project.server.world.as_of = NOW + timedelta(days=3)
    ran = project.import_(**SOME)
    assert ran.exit_code == 0
    assert [w for w in ran.warnings if "by a clock that was ahead: everything of it is read again" in w]
    assert project.wrong("ad_report_daily") == []
    assert project.import_(**SOME).warnings == []


# --- deleted things ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize(
    "name", ["campaigns", "ad_groups", "ads", "campaign_report_daily", "ad_group_report_daily", "ad_report_daily"]
)
def test_deleted_things_are_there_only_when_wanted(name: str, include: bool, project: Project) -> None:
    project.import_(objects=[name], include_deleted=include)
    with_them, without = (
        [r for a in project.server.advertiser_ids
         for r in expected(project.server.world, STREAMS[name], a, STREAMS[name].keys, include_deleted=wanted)]
        for wanted in (True, False)
    )  # fmt: skip
    assert len(with_them) > len(without) > 0, "the world should have something deleted"
    assert project.wrong(name, include_deleted=include) == []


def test_a_campaign_that_tiktok_no_longer_lists_keeps_its_row_with_its_old_reports(project: Project) -> None:
    objects = ["campaigns", "campaign_report_daily"]
    project.import_(objects=objects, include_deleted=False)
    one = project.server.advertiser_ids[0]
    gone = next(c for c in project.server.world.advertisers[0].campaigns if not c.deleted)
    row = next(r for r in project.table("campaigns") if (r["advertiser_id"], r["campaign_id"]) == (one, gone.id))
    project.server.world.as_of = NOW + timedelta(days=1)
    project.server.world.delete(one, "campaign", gone.id)
    assert project.import_(objects=objects, include_deleted=False).exit_code == 0
    kept = [r for r in project.table("campaigns") if (r["advertiser_id"], r["campaign_id"]) == (one, gone.id)]
    assert kept == [row]
    days = {
        r["stat_time_day"]
        for r in project.table("campaign_report_daily")
        if (r["advertiser_id"], r["campaign_id"]) == (one, gone.id)
    }
    assert days
    assert max(days) < NOW.date() - timedelta(days=7), "the look-back has the campaign no more, older days do"


def test_a_campaign_deleted_later_is_marked_as_deleted(project: Project) -> None:
    project.import_(objects=["campaigns"])
    one = project.server.advertiser_ids[0]
    gone = next(c for c in project.server.world.advertisers[0].campaigns if not c.deleted)
    project.server.world.delete(one, "campaign", gone.id)
    project.import_(objects=["campaigns"])
    assert project.wrong("campaigns") == []
    row = next(r for r in project.table("campaigns") if (r["advertiser_id"], r["campaign_id"]) == (one, gone.id))
    assert row["secondary_status"] == "CAMPAIGN_STATUS_DELETE"


# --- what is new is read from the start -------------------------------------------------------------------------------


def days_read(events: list[Event], name: str, advertiser_id: str) -> date:
    return min(
        e.first
        for e in events
        if isinstance(e, Stored) and (e.object, e.advertiser_id) == (name, advertiser_id) and e.first
    )


def test_a_new_object_is_read_from_the_start_and_the_others_go_on(project: Project) -> None:
    one = project.server.advertiser_ids[0]
    project.import_()
    project.server.world.as_of = NOW + timedelta(days=2)
    ran = project.import_(objects=["ad_report_daily", "campaign_report_daily"])
    assert days_read(ran.events, "campaign_report_daily", one) == START
    assert days_read(ran.events, "ad_report_daily", one) > START + timedelta(days=20)
    assert project.wrong("ad_report_daily") == []
    assert project.wrong("campaign_report_daily") == []


def test_a_new_field_is_read_for_all_days(project: Project) -> None:
    project.import_(fields={"ad_report_daily": ["spend"]})
    project.server.world.as_of = NOW + timedelta(days=2)
    ran = project.import_(fields={"ad_report_daily": ["spend", "likes"]})
    assert days_read(ran.events, "ad_report_daily", project.server.advertiser_ids[0]) == START
    assert all(r["likes"] is not None for r in project.table("ad_report_daily"))
    assert project.wrong("ad_report_daily") == []


def test_a_new_advertiser_is_read_from_the_start(project: Project) -> None:
    one, two = project.server.advertiser_ids
    project.import_(advertiser_ids=[one])
    assert {r["advertiser_id"] for r in project.table("ad_report_daily")} == {one}
    project.server.world.as_of = NOW + timedelta(days=2)
    ran = project.import_(advertiser_ids=[one, two])
    assert days_read(ran.events, "ad_report_daily", two) == START
    assert days_read(ran.events, "ad_report_daily", one) > START + timedelta(days=20)
    assert project.wrong("ad_report_daily") == []


def test_an_earlier_start_date_is_read(project: Project) -> None:
    project.import_(start_date="2026-02-10")
    project.import_(start_date="2026-01-05")
    assert project.wrong("ad_report_daily", start=date(2026, 1, 5)) == []


def test_all_advertisers_of_the_authorisation_can_be_meant(project: Project) -> None:
    ran = project.import_(advertiser_ids="all", objects=["advertisers", "advertiser_ids", "campaign_report_daily"])
    assert ran.exit_code == 0
    assert {r["advertiser_id"] for r in project.table("advertiser_ids")} == set(project.server.advertiser_ids)
    assert project.wrong("advertisers") == []
    assert project.wrong("campaign_report_daily") == []


def test_the_sandbox_is_read_with_its_one_account(tmp_path: Path) -> None:
    world = World(seed=3, advertisers=2, ads=6, as_of=NOW)
    with serve(world, sandbox=True) as server:
        project = Project(tmp_path, server)
        objects = ["advertisers", "campaigns", "ad_groups", "ads", "audiences", "images", "videos", "ad_report_daily",
                   "ad_audience_report_daily_by_country", "campaign_report_lifetime"]  # fmt: skip
        ran = project.import_(objects=objects, sandbox_mode=True)
        assert (ran.exit_code, ran.failures) == (0, [])
        assert project.wrong("ad_report_daily") == []
        campaigns = project.table("campaigns")
        assert len(campaigns) == 4
        assert {c["secondary_status"] for c in campaigns} == {None}, "the sandbox does not give this field"


def test_a_sandbox_that_describes_no_account_is_read_without_its_description(tmp_path: Path) -> None:
    world = World(seed=3, advertisers=1, ads=6, as_of=NOW)
    with serve(world, sandbox=True, rules=Rules(sandbox_list="official")) as server:
        project = Project(tmp_path, server)
        objects = ["campaigns", "ads", "images", "ad_report_daily", "ad_audience_report_daily_by_country"]
        ran = project.import_(objects=objects, sandbox_mode=True)
        assert [f.object for f in ran.failures] == ["images"]
        assert "40014" in ran.failures[0].message
        assert any("does not tell its name, currency and time zone" in text for text in ran.warnings)
        stored = [{n: v for n, v in row.items() if n != "currency"} for row in project.table("ad_report_daily")]
        wanted = expected(world, STREAMS["ad_report_daily"], server.advertiser_ids[0], stored[0])
        assert differences(stored, wanted, STREAMS["ad_report_daily"].keys) == []
        assert {row["currency"] for row in project.table("ad_report_daily")} == {None}
        assert len(project.table("campaigns")) == 4
        assert project.table("ads")
        assert project.table("ad_audience_report_daily_by_country")


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objects", [["ad_report_daily"], ["campaigns", "ads", "ad_report_daily"]])
def test_one_advertiser_that_is_refused_does_not_stop_the_others(objects: list[str], project: Project) -> None:
    one, two = project.server.advertiser_ids
    project.server.faults.forbidden.add(one)
    ran = project.import_(objects=objects)
    assert ran.exit_code == 3
    assert {f.advertiser_id for f in ran.failures} == {one}
    assert all("40001" in f.message and f.request_id in f.message and f.request_id for f in ran.failures)
    for name in objects:
        wanted = expected(project.server.world, STREAMS[name], two, project.table(name)[0])
        assert differences(project.table(name), wanted, STREAMS[name].keys) == []
    project.server.faults.forbidden.clear()
    assert project.import_(objects=objects).exit_code == 0
    assert [project.wrong(name) for name in objects] == [[] for _ in objects]


def test_a_permission_that_is_missing_ends_only_its_object(project: Project) -> None:
    project.server.faults.forbidden.add("file/video/ad/search")
    ran = project.import_(objects=["videos", "ads"])
    assert ran.exit_code == 3
    assert {f.object for f in ran.failures} == {"videos"}
    assert project.wrong("ads") == []


def test_a_revoked_token_ends_the_run_with_one_sentence_that_says_what_to_do(project: Project) -> None:
    project.server.credentials.revoked.add(project.server.token)
    with pytest.raises(Problem) as caught:
        project.import_()
    assert "40105" in caught.value.sentence
    assert "token" in caught.value.sentence
    assert caught.value.what_to_do
    assert project.server.token not in caught.value.sentence


def test_a_token_revoked_halfway_keeps_what_was_stored_and_the_next_run_goes_on(project: Project) -> None:
    project.server.faults.revoked_after = 12
    objects = ["ad_report_hourly"]
    ran = project.import_(objects=objects, start_date="2026-02-10")
    assert ran.exit_code == 1
    assert ran.failures
    assert all("40105" in f.message for f in ran.failures)
    project.server.faults.revoked_after = None
    assert project.import_(objects=objects, start_date="2026-02-10").exit_code == 0
    assert project.wrong("ad_report_hourly", start=date(2026, 2, 10)) == []


@pytest.mark.parametrize("named", [True, False])
def test_metrics_that_tiktok_refuses_are_left_out_with_a_warning(named: bool, project: Project) -> None:
    one, two = project.server.advertiser_ids
    project.server.faults.refused_metrics = {one: ["likes", "result_rate"]}
    project.server.faults.refused_metrics_unnamed = not named
    fields = ["spend", "impressions", "likes", "ctr", "result_rate", "conversion", "cpc"]
    ran = project.import_(fields={"ad_report_daily": fields})
    assert ran.exit_code == 0
    assert len(ran.warnings) == 1
    assert "likes" in ran.warnings[0]
    assert "result_rate" in ran.warnings[0]
    rows = project.table("ad_report_daily")
    assert {(r["likes"], r["result_rate"]) for r in rows if r["advertiser_id"] == one} == {(None, None)}
    kept = [name for name in rows[0] if name not in ("likes", "result_rate")]
    stream = STREAMS["ad_report_daily"]
    mine = [{n: r[n] for n in kept} for r in rows if r["advertiser_id"] == one]
    assert differences(mine, expected(project.server.world, stream, one, kept), stream.keys) == []
    others = [r for r in rows if r["advertiser_id"] == two]
    assert differences(others, expected(project.server.world, stream, two, list(rows[0])), stream.keys) == []


def test_a_metric_that_tiktok_gives_again_is_filled_in_for_all_days(project: Project) -> None:
    one = project.server.advertiser_ids[0]
    fields = {"ad_report_daily": ["spend", "likes"]}
    project.server.faults.refused_metrics = {one: ["likes"]}
    project.import_(fields=fields)
    project.server.faults.refused_metrics = {}
    for _ in range(2):
        project.server.world.as_of = project.server.world.now() + timedelta(days=1)
        project.import_(fields=fields)
    assert project.wrong("ad_report_daily") == []


def test_a_split_that_tiktok_does_not_give_by_day_is_read_day_by_day(project: Project) -> None:
    names = ["campaign_report_daily_by_page", "campaign_report_daily_by_live_room"]
    project.server.rules.unlisted_splits_by_day = False
    asked = project.server.counts["requests"]
    ran = project.import_(objects=names, start_date="2026-02-24")
    assert (ran.exit_code, ran.failures, ran.warnings) == (0, [], [])
    assert project.server.counts["requests"] - asked > 2 * 2 * 6, "two objects, two accounts, six days"
    for name in names:
        assert project.wrong(name, start=date(2026, 2, 24)) == []
        assert project.table(name)


@pytest.mark.parametrize("name", ["campaign_report_weekly", "advertiser_report_monthly"])
def test_weeks_and_months_are_what_tiktok_counts_also_two_days_later(name: str, project: Project) -> None:
    for _ in range(2):
        assert project.import_(objects=[name]).exit_code == 0
        assert project.wrong(name) == []
        project.server.world.as_of = project.server.world.now() + timedelta(days=2)
    assert len({row["first_day"] for row in project.table(name)}) > 1


def test_a_report_by_country_and_hour_that_tiktok_refuses_fails_alone(project: Project) -> None:
    project.server.rules.country_hourly = False
    ran = project.import_(objects=["ad_report_hourly_by_country", "campaign_report_daily"], start_date="2026-02-25")
    assert ran.exit_code == 3
    assert {f.object for f in ran.failures} == {"ad_report_hourly_by_country"}
    assert project.wrong("campaign_report_daily", start=date(2026, 2, 25)) == []


# --- large accounts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("include", [True, False])
def test_a_report_cut_at_the_newest_ads_is_completed_campaign_by_campaign(include: bool, project: Project) -> None:
    project.server.faults.max_ads_per_report = 5  # of 12 ads in 3 campaigns
    ran = project.import_(objects=["ad_report_daily"], include_deleted=include)
    assert (ran.exit_code, ran.failures) == (0, [])
    assert project.wrong("ad_report_daily", include_deleted=include) == []
    asked = [e["params"].get("filtering", "") for e in project.server.log if e["path"] == "report/integrated/get"]
    assert any("campaign_ids" in text for text in asked)


@pytest.mark.parametrize("code", [40067, 51001])
def test_a_window_too_large_for_tiktok_is_halved_until_it_fits(code: int, project: Project) -> None:
    project.server.faults.too_large_over_days = 4
    project.server.faults.too_large_code = code
    # 51001 is tried again after a wait before less is asked for, so there are few windows here.
    ran = project.import_(start_date="2026-02-20", advertiser_ids=project.server.advertiser_ids[:1])
    assert (ran.exit_code, ran.failures) == (0, [])
    one = project.server.advertiser_ids[0]
    stored = project.table("ad_report_daily")
    wanted = expected(project.server.world, STREAMS["ad_report_daily"], one, stored[0], start=date(2026, 2, 20))
    assert differences(stored, wanted, STREAMS["ad_report_daily"].keys) == []
    assert all((e.last - e.first).days < 4 for e in ran.events if isinstance(e, Stored) and e.first and e.last)


def test_pages_that_shift_while_they_are_read_are_read_again(tmp_path: Path) -> None:
    world = World(seed=5, advertisers=1, ads=60, as_of=NOW)  # more than one page of rows per window
    with serve(world) as server:
        project = Project(tmp_path, server)
        server.faults.kinds, server.faults.rate, server.faults.in_a_row = ("shifted_page",), 0.5, 1
        ran = project.import_(objects=["ad_report_daily", "images", "audiences", "pixels"])
        assert ran.exit_code == 0
        assert server.counts["failed"] > 0
        for name in ("ad_report_daily", "images", "audiences", "pixels"):
            assert project.wrong(name) == [], name


def test_reports_of_many_pages_arrive_complete(tmp_path: Path) -> None:
    world = World(seed=6, advertisers=1, ads=24, campaigns=3, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server)
        name = "ad_audience_report_daily_by_age_gender"  # 24 ads × 21 groups × 30 days: more than ten pages
        ran = project.import_(objects=[name], fields={name: ["spend", "impressions"]})
        assert ran.exit_code == 0
        assert max(e["page"] or 0 for e in server.log) > 10
        assert project.wrong(name) == []


# --- pruning ----------------------------------------------------------------------------------------------------------


def test_pruning_keeps_the_cutoff_day_and_all_entities(project: Project) -> None:
    objects = ["ads", "ad_report_daily", "campaign_report_hourly", "campaign_report_lifetime"]
    project.import_(objects=objects, start_date="2026-02-10")
    before = {name: project.table(name) for name in objects}
    keep = 10
    oldest = {
        a.id: project.server.world.today(a)[0] - timedelta(days=keep - 1) for a in project.server.world.advertisers
    }
    settings = project.settings(NOW, objects=objects, start_date="2026-02-10", clean_up_to_keep_window=keep)
    events: list[Event] = []
    how = {"now": NOW, "listen": events.append, "environment": project.environment}

    would = app.prune_(settings, dry_run=True, **how)  # type: ignore[arg-type]
    assert {name: in_order(project.table(name)) for name in objects} == {n: in_order(r) for n, r in before.items()}
    did = app.prune_(settings, dry_run=False, **how)  # type: ignore[arg-type]

    hourly = [r for r in before["campaign_report_hourly"] if r["stat_time_hour"].date() >= oldest[r["advertiser_id"]]]
    daily = [r for r in before["ad_report_daily"] if r["stat_time_day"] >= oldest[r["advertiser_id"]]]
    assert any(r["stat_time_day"] == oldest[r["advertiser_id"]] for r in daily)
    assert in_order(project.table("ad_report_daily")) == in_order(daily)
    assert in_order(project.table("campaign_report_hourly")) == in_order(hourly)
    for name in ("ads", "campaign_report_lifetime"):
        assert in_order(project.table(name)) == in_order(before[name])
    assert would == did == {
        "ad_report_daily": len(before["ad_report_daily"]) - len(daily),
        "campaign_report_hourly": len(before["campaign_report_hourly"]) - len(hourly),
    }  # fmt: skip
    assert did["ad_report_daily"] > 0


def test_an_import_with_a_keep_window_holds_exactly_the_last_days(project: Project) -> None:
    project.import_(clean_up_to_keep_window=20)
    project.server.world.as_of = NOW + timedelta(days=5)
    ran = project.import_(clean_up_to_keep_window=20)
    assert ran.finished.pruned["ad_report_daily"] > 0
    names = list(project.table("ad_report_daily")[0])
    wanted = [
        row
        for a in project.server.world.advertisers
        for row in expected(
            project.server.world, STREAMS["ad_report_daily"], a.id, names,
            start=project.server.world.today(a)[0] - timedelta(days=19),
        )
    ]  # fmt: skip
    assert differences(project.table("ad_report_daily"), wanted, STREAMS["ad_report_daily"].keys) == []


def test_nothing_is_pruned_from_an_object_that_failed(project: Project) -> None:
    project.import_(objects=["ad_report_daily"])
    before = len(project.table("ad_report_daily"))
    project.server.faults.forbidden.add("report/integrated/get")
    ran = project.import_(objects=["ad_report_daily"], clean_up_to_keep_window=20)
    assert ran.exit_code == 1
    assert ran.finished.pruned == {}
    assert len(project.table("ad_report_daily")) == before


def test_an_account_that_is_refused_keeps_its_rows_while_the_others_are_pruned(project: Project) -> None:
    project.import_(objects=["ad_report_daily"])
    refused = project.server.advertiser_ids[0]
    before = [r for r in project.table("ad_report_daily") if r["advertiser_id"] == refused]
    project.server.faults.forbidden.add(refused)
    ran = project.import_(objects=["ad_report_daily"], clean_up_to_keep_window=20)
    assert ran.exit_code == 3
    assert ran.finished.pruned["ad_report_daily"] > 0
    after = [r for r in project.table("ad_report_daily") if r["advertiser_id"] == refused]
    assert len(after) == len(before)


def test_a_lifetime_audience_that_is_too_large_is_not_stored_in_halves(project: Project) -> None:
    name = "ad_audience_report_lifetime_by_age_gender"
    project.server.faults.too_large_over_days = 20
    ran = project.import_(objects=[name])
    assert ran.exit_code == 1
    assert "too large" in ran.failures[0].message
    project.server.faults.too_large_over_days = None
    assert project.import_(objects=[name]).exit_code == 0
    assert project.wrong(name) == []


def test_days_deleted_under_a_keep_window_come_back_when_it_is_lifted(project: Project) -> None:
    project.import_()
    project.import_(clean_up_to_keep_window=10)
    project.import_()
    assert project.wrong("ad_report_daily") == []


# --- backfill and choosing --------------------------------------------------------------------------------------------


def test_a_backfill_reads_exactly_its_days_and_moves_no_cursor(project: Project) -> None:
    project.import_()
    cursors = project.cursors()
    project.server.world.as_of = NOW + timedelta(days=1)
    days = (date(2026, 1, 30), date(2026, 2, 3))
    ran = project.import_(backfill=days)
    read = [(e.first, e.last) for e in ran.events if isinstance(e, Stored)]
    assert read == [days] * len(project.server.advertiser_ids)
    assert project.cursors() == cursors
    project.import_()
    assert project.wrong("ad_report_daily") == []


def test_a_backfill_before_the_first_import_leaves_no_gap_behind(project: Project) -> None:
    project.import_(backfill=(date(2026, 2, 1), date(2026, 2, 10)))
    assert {r["stat_time_day"] for r in project.table("ad_report_daily")} <= {
        date(2026, 2, 1) + timedelta(days=n) for n in range(10)
    }
    project.import_()
    assert project.wrong("ad_report_daily") == []


def test_a_backfill_of_days_that_pruning_would_delete_is_refused(project: Project) -> None:
    with pytest.raises(BadInput) as caught:
        project.import_(clean_up_to_keep_window=10, backfill=(date(2026, 2, 1), date(2026, 2, 28)))
    assert [m.where for m in caught.value.mistakes] == ["--from"]
    assert project.server.counts["requests"] == 0


def test_a_backfill_with_fewer_fields_does_not_lose_the_others_for_good(project: Project) -> None:
    fields = {"ad_report_daily": ["spend", "likes"]}
    project.import_(fields=fields)
    project.import_(fields={"ad_report_daily": ["spend"]}, backfill=(date(2026, 1, 30), date(2026, 2, 3)))
    project.import_(fields=fields)
    assert project.wrong("ad_report_daily") == []


def test_one_object_can_be_imported_alone(project: Project) -> None:
    ran = project.import_(objects=["campaigns", "ads", "ad_report_daily"], only="ads")
    assert set(ran.finished.rows) == {"ads"}
    assert project.wrong("ads") == []
    assert not (set(dict(project.cursors())) - {("ads", a) for a in project.server.advertiser_ids})


def test_an_import_says_how_many_rows_and_requests_it_took(project: Project) -> None:
    before = project.server.counts["requests"]
    ran = project.import_(objects=["campaigns", "ad_report_daily"])
    assert ran.finished.requests == project.server.counts["requests"] - before
    assert ran.finished.rows == {n: len(project.table(n)) for n in ("campaigns", "ad_report_daily")}
    assert dataclasses.is_dataclass(ran.finished)


def test_an_import_up_to_an_end_date_stops_there_and_goes_on_when_it_is_lifted(project: Project) -> None:
    project.import_(end_date="2026-02-05")
    assert max(r["stat_time_day"] for r in project.table("ad_report_daily")) == date(2026, 2, 5)
    project.import_()
    assert project.wrong("ad_report_daily") == []


def test_personal_fields_come_only_where_they_are_chosen_and_as_the_settings_say(project: Project) -> None:
    personal = {n for n, f in STREAMS["advertisers"].fields.items() if f.personal}
    assert {"email", "cellphone_number", "telephone_number"} <= personal
    assert project.import_(objects=["advertisers"]).exit_code == 0
    assert not personal & set(project.table("advertisers")[0])

    chosen: dict[str, Any] = {"objects": ["advertisers"], "fields": {"advertisers": ["default", "email", "company"]}}
    assert project.import_(**chosen).exit_code == 0
    kept = {r["advertiser_id"]: r for r in project.table("advertisers")}
    assert all(r["email"] for r in kept.values())
    assert project.import_(**chosen, personal_data="hash").exit_code == 0
    for row in project.table("advertisers"):
        before = kept[row["advertiser_id"]]
        assert row["email"] == hashlib.sha256(before["email"].strip().lower().encode()).hexdigest()
        assert row["company"] == before["company"]
    project.database.unlink()
    chosen["fields"] = {"advertisers": ["all"]}
    assert project.import_(**chosen, personal_data="leave out").exit_code == 0
    assert not personal & set(project.table("advertisers")[0])
    with pytest.raises(BadInput, match=r"personal_data.*is not one of the choices. Use one of: keep, hash, leave out"):
        project.import_(objects=["advertisers"], personal_data="encrypt")
