"""``status``: how fresh what is stored is, for people and for monitors, without asking TikTok."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from typing import Any

import duckdb

from tests.helpers import Project


def lines(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_after_an_import_everything_is_fresh_with_its_days_rows_and_age(project: Project) -> None:
    project.write(objects=["campaigns", "ad_report_daily"])
    assert project.cli("import").returncode == 0
    asked = len(project.server.log)
    ran = project.cli("status", "--json")
    assert ran.returncode == 0, ran.stderr
    assert len(project.server.log) == asked, "TikTok was asked"
    found = {(s["object"], s["advertiser_id"]): s for s in lines(ran)}
    assert set(found) == {(o, a) for o in ("campaigns", "ad_report_daily") for a in project.server.advertiser_ids}
    cursors = project.cursors()
    for (name, advertiser_id), standing in found.items():
        assert (standing["ok"], standing["state"], standing["problem"]) == (True, "fresh", "")
        assert standing["rows"] == sum(r["advertiser_id"] == advertiser_id for r in project.table(name))
        assert standing["through"] == (str(cursors[name, advertiser_id][1]) if name == "ad_report_daily" else None)
        assert standing["age_s"] == 0
    assert {s["account"] for s in found.values()} == {""}, "no names were imported"
    table = project.cli("status")
    assert "Everything is fresh." in table.stdout
    assert project.cli("status", "--quiet").stdout == ""


def test_an_account_is_named_once_its_name_was_imported(project: Project) -> None:
    project.write(objects=["advertisers", "campaigns"])
    assert project.cli("import").returncode == 0
    names = {one.id: one.name for one in project.server.world.advertisers}
    found = lines(project.cli("status", "--json"))
    assert {s["advertiser_id"]: s["account"] for s in found} == names
    shown = project.cli("status").stdout  # a long name takes several lines
    assert all(name.split()[0] in shown for name in names.values())


def test_what_was_read_too_long_ago_is_behind(project: Project) -> None:
    project.write()
    assert project.cli("import").returncode == 0
    later = (project.server.world.now() + timedelta(hours=30)).isoformat()
    ran = project.cli("status", "--now", later, now=False)
    assert ran.returncode == 3
    assert "30.0 hours ago" in ran.stdout
    assert project.cli("status", "--now", later, "--max-age", "2d", now=False).returncode == 0
    assert project.cli("status", "--max-age", "soon").returncode == 2


def test_what_failed_says_why_and_what_was_never_read_says_so(project: Project) -> None:
    one, two = project.server.advertiser_ids
    assert project.import_(objects=["ad_report_daily"], advertiser_ids=[one]).exit_code == 0
    project.server.faults.forbidden.add("report/integrated/get")
    assert project.import_(objects=["ad_report_daily"], advertiser_ids=[one]).exit_code == 1
    project.write(objects=["ad_report_daily"])
    ran = project.cli("status", "--json")
    assert ran.returncode == 3
    by_account = {s["advertiser_id"]: s for s in lines(ran)}
    assert by_account[one]["state"] == "failed"
    assert "40001" in by_account[one]["problem"]
    assert by_account[one]["through"] is not None
    assert by_account[two]["state"] == "never read"
    assert project.cli("status", "--advertiser", two, "--json").stdout.count("\n") == 1


def test_a_table_that_is_gone_is_not_fresh(project: Project) -> None:
    project.write()
    assert project.cli("import").returncode == 0
    with duckdb.connect(str(project.database)) as connection:
        connection.execute("DROP TABLE tiktok_ads_ad_report_daily")
    ran = project.cli("status")
    assert ran.returncode == 3
    assert "no longer exist" in ran.stdout


def test_status_creates_nothing_and_a_held_destination_is_a_sentence(project: Project) -> None:
    project.write()
    ran = project.cli("status")
    assert ran.returncode == 3
    assert "never read" in ran.stdout
    assert not project.database.exists()
    with duckdb.connect(str(project.database)):
        held = project.cli("status")
    assert held.returncode == 1
    assert "another program" in held.stderr
