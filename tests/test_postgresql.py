"""PostgreSQL: the promises of every destination on a real server, and what is its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok.destinations import open_destination
from owox_tiktok.dialects import POSTGRESQL
from owox_tiktok.errors import Problem, StoreBusy, StoreDenied, StoreFailed
from owox_tiktok.local.tiktok import Server
from owox_tiktok.model import Kind
from owox_tiktok.streams import STREAMS
from owox_tiktok.testing import DestinationPromises, Kit
from owox_tiktok.testing.kit import ADS, AT, DAILY, ad, day
from tests import postgresql
from tests.helpers import NOW, Project, differences, expected, process_environment
from tests.postgresql import PostgreSQLKit
from tests.test_views import rows, views_in
from tools import play_documents

pytestmark = postgresql.needs_server


@pytest.fixture
def kit(tmp_path: Path) -> PostgreSQLKit:
    return PostgreSQLKit(tmp_path, f"s_{uuid.uuid4().hex[:12]}")


class TestPostgreSQL(DestinationPromises):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> Kit:
        return PostgreSQLKit(tmp_path, f"s_{uuid.uuid4().hex[:12]}")


# --- whole imports ----------------------------------------------------------------------------------------------------

OBJECTS = ["advertisers", "campaigns", "ad_groups", "ads", "ad_report_daily", "campaign_report_hourly"]
CREATIVES = ["videos", "images", "creative_report_daily", "creative_fatigue"]
SAY: dict[str, Any] = {"objects": OBJECTS, "start_date": "2026-02-10", "views": True}


def importing(tmp_path: Path, tiktok: Server, kit: PostgreSQLKit) -> Project:
    return Project(tmp_path, tiktok, say={**SAY, "destination": kit.address})


def wrong(project: Project, kit: PostgreSQLKit) -> list[str]:
    """Every difference between the tables and what TikTok has now."""
    found = []
    for stream in (STREAMS[name] for name in OBJECTS):
        names = [name for name in kit.columns(stream) if name in stream.fields]
        for one in project.server.advertiser_ids:
            rows = [row for row in kit.read(stream) if row["advertiser_id"] == one]
            wanted = expected(project.server.world, stream, one, names, start=date(2026, 2, 10))
            found += differences(rows, wanted, stream.keys)
        found += [str(day) for one in project.server.advertiser_ids for day in kit.damaged(stream, one)]
    return found


def test_imports_refreshes_kills_and_a_new_field_end_as_tiktok_has_it(
    tmp_path: Path, tiktok: Server, kit: PostgreSQLKit
) -> None:
    project = importing(tmp_path, tiktok, kit)
    process = subprocess.Popen(
        project.command("import", str(project.write())), cwd=tmp_path, stderr=subprocess.DEVNULL,
        env=process_environment(project.environment),
    )  # fmt: skip
    while not kit.run(f"SELECT 1 FROM pg_tables WHERE schemaname = '{kit.schema}' LIMIT 1"):
        assert process.poll() is None
    process.kill()
    process.wait()
    # The server notices within moments that nobody is there any more, and its lock goes.
    until = time.monotonic() + 20
    while True:
        try:
            first = project.import_()
            break
        except StoreBusy:
            assert time.monotonic() < until
    assert first.exit_code == 0
    assert wrong(project, kit) == []
    tiktok.world.as_of = NOW + timedelta(days=2)
    fields = {"ad_report_daily": ["performance", "video"]}
    again = project.import_(fields=fields)
    assert (again.exit_code, again.warnings) == (0, [])
    assert wrong(project, kit) == []
    assert "video_play_actions" in kit.columns(STREAMS["ad_report_daily"])
    third = project.import_(fields=fields)
    assert third.finished.kept == third.finished.work
    assert wrong(project, kit) == []


def test_views_hold_what_the_tables_hold_and_are_described(tmp_path: Path, tiktok: Server, kit: PostgreSQLKit) -> None:
    project = importing(tmp_path, tiktok, kit)
    say: dict[str, Any] = {"objects": [*OBJECTS, *CREATIVES], "start_date": "2026-02-26"}
    assert project.import_(**say).warnings == []
    duckdb = Project(tmp_path, tiktok, "beside", {**SAY})
    assert duckdb.import_(**say).exit_code == 0
    views = views_in(duckdb.database)
    assert len(views) > 8
    for name in views:
        mine = kit.run(f"SELECT to_jsonb(v)::text FROM {name} AS v")
        theirs = rows(duckdb.database, f"SELECT * FROM {name}")
        assert [n for n in json.loads(mine[0][0]) if n not in theirs[0]] == [] if mine else not theirs
        assert len(mine) == len(theirs), name
    creatives = (
        "SELECT material_id, material_name, video_link, thumbnail_link, thumbnail_expires_at, days_running, spend, "
        "round(hook_rate, 4), round(cost_per_conversion, 4), round(roas, 4), is_fatigued, fatigue_index "
        "FROM v_creatives ORDER BY advertiser_id, material_id"
    )
    theirs = rows(duckdb.database, creatives)
    assert [tuple(map(str, row)) for row in kit.run(creatives)] == [tuple(map(str, r.values())) for r in theirs]
    assert theirs
    (spend,) = kit.run("SELECT sum(spend) FROM v_campaign_performance_daily")[0]
    assert spend == sum(row["spend"] for row in kit.read(STREAMS["ad_report_daily"]))
    comments = kit.run("SELECT obj_description('v_ad_performance_daily'::regclass), "
                       "col_description('v_ad_performance_daily'::regclass, 1)")  # fmt: skip
    assert comments[0][0].startswith("Written by owox_tiktok")
    assert comments[0][1]
    # A view that gets other columns is made again; one that somebody's own rests on is left, and said.
    assert project.import_(fields={"ad_report_daily": ["spend", "likes"]}).exit_code == 0
    kit.run("CREATE VIEW mine AS SELECT * FROM v_ad_performance_daily")
    said = project.import_(fields={"ad_report_daily": ["performance", "video"]})
    assert said.exit_code == 0
    assert kit.run("SELECT count(*) FROM mine")[0][0] > 0


def test_status_and_check_know_it(tmp_path: Path, tiktok: Server, kit: PostgreSQLKit) -> None:
    project = importing(tmp_path, tiktok, kit)
    assert project.import_().exit_code == 0
    ran = project.cli("status", "--json")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert len(ran.stdout.splitlines()) == 2 * len(OBJECTS)
    address = kit.server.address(kit.schema, user="postgres:pass%2Fword")
    project.write(destination="${DATABASE}")
    ran = project.cli("check", DATABASE=address)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "pass%2Fword" not in ran.stdout + ran.stderr
    assert "postgres:****@127.0.0.1" in ran.stdout


def test_its_page_prints_what_its_commands_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed (apt-get install postgresql-client)")
    kit = PostgreSQLKit(tmp_path, "tiktok_ads")
    kit.run("DROP SCHEMA IF EXISTS tiktok_ads CASCADE")
    monkeypatch.setenv("DATABASE_URL", kit.address)
    page = (play_documents.ROOT / "docs" / "postgresql.md").read_text(encoding="utf-8")
    with play_documents.simulated() as server:
        played = play_documents.play(page, server, tmp_path)
    assert [play_documents.settled(b.text) for b in play_documents.blocks(played)] == [
        play_documents.settled(b.text) for b in play_documents.blocks(page)
    ]


# --- one writer, rights, connections ----------------------------------------------------------------------------------


def test_a_second_import_is_told_who_is_at_it(kit: PostgreSQLKit) -> None:
    with kit.open(), kit.open(read_only=True) as reading:
        assert reading.cursors() == {}
        with pytest.raises(StoreBusy, match=r"owox-tiktok at 127\.0\.0\.1, process \d+"):
            kit.open()
        other = PostgreSQLKit(kit.folder, f"{kit.schema}_b")
        with other.open():
            pass
    with kit.open():
        pass


def test_reading_only_can_write_nothing(kit: PostgreSQLKit) -> None:
    kit.store(kit.whole())
    with kit.open(read_only=True) as destination, pytest.raises(StoreFailed, match="only lets itself be read"):
        destination.forget(DAILY, ["1"])
    assert kit.cursors()


def test_a_right_that_is_missing_is_named_with_the_statement_that_gives_it(kit: PostgreSQLKit) -> None:
    user = f"u_{kit.schema}"
    kit.run(f"CREATE SCHEMA {kit.schema}", f"CREATE ROLE {user} LOGIN", f"GRANT USAGE ON SCHEMA {kit.schema} TO {user}")
    with pytest.raises(StoreDenied, match=f"GRANT ALL ON SCHEMA {kit.schema}"):
        open_destination(kit.server.address(kit.schema, user=user))
    kit.run(f"GRANT ALL ON SCHEMA {kit.schema} TO {user}")
    with open_destination(kit.server.address(kit.schema, user=user)) as destination:
        destination.prepare(DAILY, kit.whole().columns)
        assert destination.replace([kit.whole()])[0].rows == 5


def test_a_connection_that_is_cut_ends_the_run_in_words_and_the_next_continues(
    tmp_path: Path, tiktok: Server, kit: PostgreSQLKit
) -> None:
    project = importing(tmp_path, tiktok, kit)
    pid = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    cut = threading.Thread(target=lambda: _once_there(kit, pid))
    cut.start()
    said = project.import_(views=False)
    cut.join()
    assert said.exit_code != 0
    assert "the connection was lost" in said.failures[0].message
    assert project.import_(views=False).exit_code == 0
    assert wrong(project, kit) == []


def _once_there(kit: PostgreSQLKit, statement: str) -> None:
    cursors = f"SELECT 1 FROM pg_tables WHERE schemaname = '{kit.schema}' AND tablename = 'tiktok_ads_campaigns'"
    while not kit.run(cursors):
        pass
    kit.run(statement)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("me@127.0.0.1:1/db", "cannot connect"),
        ("me:secret1@127.0.0.1:1/db", "cannot connect"),
        ("me@host:port/db", "the address cannot be read"),
        ("me:secret1@host/db?schema=My Schema", "cannot be a schema"),
        ("me:secret1@host/db?sslmod=require", "sslmod"),
        ("me:secret1@host/db?", "cannot connect"),
    ],
)
def test_an_address_that_cannot_be_is_a_sentence_without_its_password(address: str, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        open_destination(f"postgresql://{address.replace('@host/', '@127.0.0.1:1/')}", environment={})
    assert "secret1" not in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_credentials_come_from_the_environment_that_is_given(kit: PostgreSQLKit) -> None:
    environment = {"PGHOST": "127.0.0.1", "PGPORT": str(kit.server.port), "PGUSER": postgresql.USER}
    with open_destination(f"postgresql:///postgres?schema={kit.schema}", environment=environment) as destination:
        assert destination.cursors() == {}


# --- what PostgreSQL does in its own way ------------------------------------------------------------------------------


def test_names_that_are_too_long_for_it_are_shorter_and_each_its_own(kit: PostgreSQLKit) -> None:
    long = [stream for stream in STREAMS.values() if len(stream.table) > 63]
    assert len(long) > 3
    for stream in long:
        chunk = kit.chunk(stream, [], (day(1), day(9)), fields=["spend"])
        kit.store(chunk)
        kit.store(chunk)
        assert kit.columns(stream)
    names = {name for (name,) in kit.run(f"SELECT tablename FROM pg_tables WHERE schemaname = '{kit.schema}'")}
    assert {POSTGRESQL.called(stream.table) for stream in long} <= names
    assert len({POSTGRESQL.called(s.table) for s in STREAMS.values()}) == len(STREAMS)
    assert set(kit.cursors()) == {(stream.name, "1") for stream in long}


def test_rows_that_are_too_wide_for_it_are_refused_in_words(kit: PostgreSQLKit) -> None:
    fields = [n for n, f in DAILY.fields.items() if f.kind in (Kind.MONEY, Kind.COUNT, Kind.RATE)]
    wide = kit.chunk(
        DAILY, [ad(1, 1, **dict.fromkeys(fields, "99999999999999"))], (day(1), day(1)), fields=fields[:200]
    )
    assert kit.store(wide)[0].rows == 1
    assert kit.damaged(DAILY) == []
    if len(fields) > 500:
        wide = kit.chunk(DAILY, [ad(1, 1, **dict.fromkeys(fields, "123456789012345.123456789"))], (day(1), day(1)),
                         fields=[n for n in fields if DAILY.fields[n].kind is not Kind.COUNT])  # fmt: skip
        with pytest.raises(StoreDenied, match="fewer fields"):
            kit.store(wide)


def test_a_role_with_settings_of_its_own_changes_nothing(kit: PostgreSQLKit) -> None:
    user = f"u_{kit.schema}"
    kit.run(
        f"CREATE ROLE {user} LOGIN SUPERUSER",
        f"ALTER ROLE {user} SET timezone = 'America/Los_Angeles'",
        f"ALTER ROLE {user} SET datestyle = 'SQL, DMY'",
        f"ALTER ROLE {user} SET search_path = pg_catalog",
        f"ALTER ROLE {user} SET standard_conforming_strings = off",
    )
    kit.address = kit.server.address(kit.schema, user=user)
    kit.store(kit.whole())
    kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "back\\slash", "create_time": "2026-03-29 01:30:00"}]))
    assert kit.damaged(DAILY) == kit.damaged(ADS) == []
    assert kit.days() == [day(n) for n in range(1, 6)]
    assert {k: c.read_at for k, c in kit.cursors().items()} == {(DAILY.name, "1"): AT, (ADS.name, "1"): AT}
