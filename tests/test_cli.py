"""The command line as a user meets it: words, exit codes, JSON lines, and secrets that stay secret."""

from __future__ import annotations

import json
import math
import stat
import subprocess
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from owox_tiktok.local.tiktok import Faults, World, serve
from owox_tiktok.streams import STREAMS
from tests.helpers import NOW, Project, differences, expected, in_order, process_environment


def lines(ran: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Standard output as one JSON object per line."""
    return [json.loads(line) for line in ran.stdout.splitlines()]


# --- words ------------------------------------------------------------------------------------------------------------


def test_help_names_every_command_with_examples_and_exit_codes(project: Project) -> None:
    ran = project.cli("--help", now=False)
    assert ran.returncode == 0
    for word in ("import", "plan", "check", "prune", "views", "objects", "init", "auth", "demo", "Examples:",
                 "owox-tiktok import",
                 "Exit codes: 0 done, 1 failed, 2 bad input, 3 partly done"):  # fmt: skip
        assert word in ran.stdout


@pytest.mark.parametrize(
    ("command", "options"),
    [("import", ("--from", "--to", "--object", "--dry-run", "--now", "--log")), ("plan", ("--from", "--object")),
     ("check", ("--object", "--log")), ("prune", ("--dry-run",)), ("views", ("--dry-run",)),
     ("objects", ("--log",)), ("init", ()),
     ("status", ("--max-age", "--json"))],
)  # fmt: skip
def test_each_command_explains_itself(command: str, options: tuple[str, ...], project: Project) -> None:
    ran = project.cli(command, "-h", now=False)
    assert ran.returncode == 0
    for option in options:
        assert option in ran.stdout


def test_objects_lists_every_object_and_the_fields_of_one(project: Project) -> None:
    everything = project.cli("objects", now=False)
    assert everything.returncode == 0
    assert [name for name in STREAMS if f"{name} " not in everything.stdout] == []
    one = project.cli("objects", "ads_reports_daily", now=False)
    assert "tiktok_ads_ad_report_daily" in one.stdout
    assert "total_complete_payment_rate" in one.stdout
    fields = lines(project.cli("objects", "ad_report_daily", "--log", "json", now=False))
    assert [f["field"] for f in fields] == list(STREAMS["ad_report_daily"].fields)
    wrong = project.cli("objects", "ad_report_dayly", now=False)
    assert wrong.returncode == 2
    assert "Did you mean ad_report_daily?" in wrong.stderr


def test_init_writes_an_example_and_never_over_a_file(project: Project) -> None:
    first = project.cli("init", now=False)
    assert first.returncode == 0
    file = project.folder / "tiktok.yaml"
    assert "access_token: ${TIKTOK_ACCESS_TOKEN}" in file.read_text()
    file.write_text("mine")
    again = project.cli("init", now=False)
    assert again.returncode == 2
    assert "tiktok.yaml" in again.stderr
    assert file.read_text() == "mine"
    assert project.cli("init", "no/such/folder/x.yaml", now=False).returncode == 2


def test_the_example_imports_after_its_account_is_filled_in(project: Project) -> None:
    project.cli("init", now=False)
    file = project.folder / "tiktok.yaml"
    one = project.server.advertiser_ids[0]
    file.write_text(file.read_text().replace('["7012345678901234567"]', f'["{one}"]') + "\nrequests_per_second: 1000\n")
    ran = project.cli("import", "tiktok.yaml")
    assert ran.returncode == 0, ran.stderr
    assert (project.folder / "tiktok_ads.duckdb").exists()


# --- import -----------------------------------------------------------------------------------------------------------


def test_an_import_ends_with_what_was_done_and_the_table_is_right(project: Project) -> None:
    ran = project.cli("import", str(project.write(objects=["campaigns", "ad_report_daily"])))
    assert ran.returncode == 0, ran.stderr
    rows = len(project.table("campaigns")) + len(project.table("ad_report_daily"))
    assert "Done" in ran.stderr
    assert f"{rows:,} rows stored" in ran.stderr
    assert project.wrong("campaigns") == []
    assert project.wrong("ad_report_daily") == []


def test_a_json_log_is_one_object_per_line_from_start_to_finish(project: Project) -> None:
    path = str(project.write(objects=["campaigns", "ad_report_daily"]))
    ran = project.cli("import", path, "--log", "json")
    assert ran.returncode == 0
    said = lines(ran)
    assert said[0]["event"] == "started"
    assert said[-1]["event"] == "finished"
    assert {line["severity"] for line in said} == {"INFO"}
    stored = Counter[str]()
    for line in said:
        if line["event"] == "stored":
            stored[line["object"]] += line["rows"]
    assert stored == {name: len(project.table(name)) for name in ("campaigns", "ad_report_daily")} == said[-1]["rows"]


def test_a_partly_done_import_exits_3_and_says_what_failed(project: Project) -> None:
    one = project.server.advertiser_ids[0]
    project.server.faults.forbidden.add(one)
    path = str(project.write(objects=["campaign_report_daily"]))
    ran = project.cli("import", path)
    assert ran.returncode == 3
    assert one in ran.stderr
    assert "40001" in ran.stderr
    assert "Partly done" in ran.stderr
    said = lines(project.cli("import", path, "--log", "json"))
    assert [line["advertiser_id"] for line in said if line["severity"] == "ERROR"] == [one]


def test_a_refused_token_exits_1_with_one_sentence_and_no_traceback(project: Project) -> None:
    path = str(project.write())
    for command in ("import", "plan", "check"):
        ran = project.cli(command, path, TIKTOK_ACCESS_TOKEN="not-the-token")
        assert ran.returncode == 1, command
        assert "40105" in ran.stderr + ran.stdout
        assert "Traceback" not in ran.stderr
        assert "not-the-token" not in ran.stderr + ran.stdout


@pytest.mark.parametrize("command", ["import", "plan", "check", "prune"])
def test_a_wrong_file_exits_2_with_every_mistake(command: str, project: Project) -> None:
    path = str(project.write(objects=["adz_reportt"], start_date="soon", no_such_setting=3))
    ran = project.cli(command, path)
    assert ran.returncode == 2
    assert "3 problems found" in ran.stderr
    for word in ("objects", "start_date", "no_such_setting"):
        assert word in ran.stderr
    said = lines(project.cli(command, path, "--log", "json"))
    assert len(said[0]["mistakes"]) == 3
    assert not project.database.exists()


@pytest.mark.parametrize(
    "words",
    [("--from", "2026-02-10", "--to", "2026-02-01"), ("--to", "2026-02-01"), ("--from", "yesterday"),
     ("--from", "2027-01-01"),
     ("--object", "ads"), ("--object", "no_such"), ("--now", "lately")],
)  # fmt: skip
def test_options_that_cannot_be_exit_2(words: tuple[str, ...], project: Project) -> None:
    ran = project.cli("import", str(project.write()), *words, now="--now" not in words)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert project.server.counts["requests"] == 0


def test_what_is_no_name_is_shown_without_steering_the_terminal(project: Project) -> None:
    path, odd, shown = str(project.write()), "a\x1b[31mred\x07\nb\u202e", r"a\x1b[31mred\x07\nb\u202e"
    for words in (
        ("import", path, "--object", odd),
        ("plan", path, "--advertiser", odd),
        ("status", path, "--advertiser", odd),
        ("reset", "ad_report_daily", path, "--advertiser", odd),
        ("objects", odd),
    ):
        ran = project.cli(*words, now=words[0] not in ("objects", "reset"))
        assert ran.returncode == 2, ran.stderr
        assert shown in ran.stderr
        assert "\x1b[31m" not in ran.stderr
        assert len(ran.stderr.splitlines()) == 2


def test_quiet_says_nothing_when_all_is_well_and_what_is_wrong_otherwise(project: Project) -> None:
    project.write(objects=["campaigns"])
    ran = project.cli("import", "--quiet")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert project.cli("import", "--quiet", "--log", "json").stdout == ""
    project.server.faults.forbidden.add(project.server.advertiser_ids[0])
    ran = project.cli("import", "--quiet")
    assert ran.returncode == 3
    assert project.server.advertiser_ids[0] in ran.stderr
    assert "Partly done" in ran.stderr
    assert {line["severity"] for line in lines(project.cli("import", "--quiet", "--log", "json"))} <= {
        "ERROR",
        "WARNING",
    }


def test_only_the_named_ad_accounts_are_read(project: Project) -> None:
    one, two = project.server.advertiser_ids
    path = str(project.write(objects=["campaigns", "ad_report_daily"]))
    assert project.cli("import", path, "--advertiser", two).returncode == 0
    assert {r["advertiser_id"] for r in project.table("ad_report_daily")} == {two}
    planned = lines(project.cli("plan", path, "--advertiser", one, "--log", "json"))
    assert {p["advertiser"] for p in planned} == {one}
    assert all(p["advertiser_name"] for p in planned)
    wrong = project.cli("import", path, "--advertiser", "7")
    assert wrong.returncode == 2
    assert "--advertiser 7" in wrong.stderr
    assert project.cli("import", path).returncode == 0
    assert project.wrong("ad_report_daily") == []


def test_what_goes_wrong_with_an_account_names_it(project: Project) -> None:
    one = project.server.world.advertisers[0]
    project.server.faults.refused_metrics = {one.id: ["likes"]}
    ran = project.cli("import", str(project.write(fields={"ad_report_daily": ["spend", "likes"]})))
    assert ran.returncode == 0
    assert f"ad_report_daily of {one.id} ({' '.join(one.name.split())}): TikTok does not give likes" in ran.stderr


def test_without_a_file_in_this_folder_a_command_says_which_one_is_missing(project: Project) -> None:
    for command in ("import", "plan", "check", "prune", "views", "status"):
        ran = project.cli(command)
        assert ran.returncode == 2
        assert "tiktok.yaml: cannot be read" in ran.stderr
        assert "owox-tiktok init" in ran.stderr


def test_what_a_plan_cannot_read_is_on_standard_error(project: Project) -> None:
    one = project.server.advertiser_ids[0]
    project.server.faults.forbidden.add(one)
    ran = project.cli("plan", str(project.write()))
    assert ran.returncode == 3
    assert "cannot be read" not in ran.stdout
    assert f"cannot be read: advertiser {one}" in ran.stderr


def test_a_backfill_of_one_object_from_the_command_line(project: Project) -> None:
    path = str(project.write(objects=["ads", "ad_report_daily"]))
    ran = project.cli(
        "import", path, "--object", "ad_report_daily", "--from", "2026-02-01", "--to", "2026-02-03", "--log", "json"
    )
    assert ran.returncode == 0
    stored = [(s["object"], s["first"], s["last"]) for s in lines(ran) if s["event"] == "stored"]
    assert stored == [("ad_report_daily", "2026-02-01", "2026-02-03")] * 2
    assert project.cursors() == {}


# --- plan -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["campaigns", "images", "ad_report_daily", "campaign_report_hourly",
             "ad_audience_report_daily_by_age_gender",
             "campaign_report_lifetime"],
)  # fmt: skip
def test_the_plan_foretells_requests_and_rows_of_the_import(name: str, project: Project) -> None:
    path = str(project.write(objects=[name], start_date="2026-02-01"))
    ran = project.cli("plan", path, "--log", "json")
    assert ran.returncode == 0, ran.stderr
    planned = {p["advertiser"]: p for p in lines(ran)}
    assert not project.database.exists(), "a plan writes nothing"
    before = len(project.server.log)
    assert project.cli("import", path).returncode == 0
    asked = Counter(e["params"].get("advertiser_id", "") for e in project.server.log[before:])
    assert set(planned) == set(project.server.advertiser_ids)
    for advertiser_id, plan in planned.items():
        rows = sum(r["advertiser_id"] == advertiser_id for r in project.table(name))
        assert abs(asked[advertiser_id] - plan["requests"]) <= 1
        assert math.isclose(rows, plan["rows"], rel_tol=0.1)
    table = project.cli("plan", path)
    assert table.returncode == 0
    assert name in table.stdout
    assert "requests per second" in table.stdout


def test_a_dry_run_is_a_plan_and_a_plan_after_an_import_is_the_look_back(project: Project) -> None:
    path = str(project.write())
    assert project.cli("import", path, "--dry-run").stdout == project.cli("plan", path).stdout
    assert not project.database.exists()
    project.cli("import", path)
    before = in_order(project.table("ad_report_daily"))
    planned = lines(project.cli("plan", path, "--log", "json"))
    days = {a.id: project.server.world.today(a)[0] for a in project.server.world.advertisers}
    assert {p["advertiser"]: (p["first"], p["last"]) for p in planned} == {
        a: (f"{today - timedelta(days=7)}", f"{today}") for a, today in days.items()
    }
    assert in_order(project.table("ad_report_daily")) == before


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_says_that_everything_works(project: Project) -> None:
    ran = project.cli(
        "check", str(project.write(objects=["campaigns", "ad_report_daily", "ad_audience_report_daily_by_country"]))
    )
    assert ran.returncode == 0, ran.stdout
    assert "Everything works." in ran.stdout
    for advertiser in project.server.world.advertisers:
        line = next(line for line in ran.stdout.splitlines() if advertiser.id in line)
        assert advertiser.currency in line
        assert f"({' '.join(advertiser.name.split())})" in line
        assert "3 objects work" in line
    assert len(ran.stdout.splitlines()) == 5, "one for each account, the destination, the token, and the outcome"
    assert not project.database.exists()


def test_check_tells_once_what_several_accounts_have_in_common(project: Project) -> None:
    one, two = project.server.advertiser_ids
    project.server.faults.forbidden.add("file/video/ad/search")
    project.server.faults.refused_metrics = {one: ["likes"], two: ["likes"]}
    path = str(project.write(objects=["videos", "ad_report_daily"], fields={"ad_report_daily": ["spend", "likes"]}))
    ran = project.cli("check", path)
    assert ran.returncode == 3
    fails = [line for line in ran.stdout.splitlines() if line.startswith("fails videos of")]
    assert len(fails) == 1
    assert one in fails[0]
    assert two in fails[0]
    assert "2 accounts" in fails[0]
    assert "Creative Management > Video Management" in fails[0]
    assert "authorise again" in fails[0]
    assert ran.stdout.count("without likes") == 1
    assert "2 of 8 do not work." in ran.stdout
    quiet = project.cli("check", path, "--quiet")
    assert all(line.startswith(("fails ", "2 of 8")) for line in quiet.stdout.splitlines())
    assert "fails videos of" in quiet.stdout
    assert project.cli("check", path, "--quiet", "--object", "ad_report_daily").stdout == ""


def test_check_names_what_fails_and_only_that(project: Project) -> None:
    one, two = project.server.advertiser_ids
    project.server.faults.forbidden.add("file/video/ad/search")
    project.server.faults.refused_metrics = {two: ["likes"]}
    path = str(
        project.write(
            objects=["campaigns", "videos", "ad_report_daily"], fields={"ad_report_daily": ["spend", "likes"]}
        )
    )
    ran = project.cli("check", path, "--log", "json")
    assert ran.returncode == 3
    assert {c["what"] for c in lines(ran) if not c["ok"]} == {f"videos of {one}", f"videos of {two}"}
    assert ["likes" in c["detail"] for c in lines(ran) if c["what"] == f"ad_report_daily of {two}"] == [True]
    project.server.faults.forbidden.add(one)
    ran = project.cli("check", path, "--log", "json")
    assert ran.returncode == 3
    assert f"advertiser {one}" in {c["what"] for c in lines(ran) if not c["ok"]}


# --- prune ------------------------------------------------------------------------------------------------------------


def test_prune_counts_first_and_deletes_then(project: Project) -> None:
    path = str(project.write(objects=["ads", "ad_report_daily"], clean_up_to_keep_window=10))
    refused = project.cli("prune", str(project.write(objects=["ads", "ad_report_daily"])))
    assert refused.returncode == 2
    assert "clean_up_to_keep_window" in refused.stderr
    assert project.import_(objects=["ads", "ad_report_daily"]).exit_code == 0
    path = str(project.write(objects=["ads", "ad_report_daily"], clean_up_to_keep_window=10))
    before = len(project.table("ad_report_daily"))
    would = lines(project.cli("prune", path, "--dry-run", "--log", "json"))
    assert len(project.table("ad_report_daily")) == before
    did = lines(project.cli("prune", path, "--log", "json"))
    gone = before - len(project.table("ad_report_daily"))
    assert gone > 0
    assert [(w["object"], w["rows"], w["dry_run"]) for w in would] == [("ad_report_daily", gone, True)]
    assert [(d["object"], d["rows"], d["dry_run"]) for d in did] == [("ad_report_daily", gone, False)]
    assert project.wrong("ads") == []


# --- authorisation ----------------------------------------------------------------------------------------------------


def test_the_address_to_authorise_at_is_tiktoks_with_app_redirect_and_a_fresh_state(project: Project) -> None:
    words = ("auth", "url", "--app-id", "42", "--redirect-uri", "https://example.com/back?x=1")
    states = set()
    for _ in range(2):
        ran = project.cli(*words, now=False)
        assert ran.returncode == 0
        url = urlsplit(ran.stdout.strip())
        asked = parse_qs(url.query)
        assert (url.scheme, url.hostname) == ("https", "business-api.tiktok.com")
        assert asked["app_id"] == ["42"]
        assert asked["redirect_uri"] == ["https://example.com/back?x=1"]
        assert asked["state"][0] in ran.stderr
        states.update(asked["state"])
    assert len(states) == 2
    assert all(len(state) >= 24 for state in states)


def test_an_auth_code_becomes_a_token_in_a_file_that_only_its_owner_can_read(project: Project) -> None:
    server = project.server
    ran = project.cli("auth", "exchange", "--output", "token.env", now=False, TIKTOK_AUTH_CODE=server.auth_code)
    assert ran.returncode == 0, ran.stderr
    file = project.folder / "token.env"
    assert file.read_text() == f"TIKTOK_ACCESS_TOKEN={server.token}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert server.token not in ran.stdout + ran.stderr
    assert all(a in ran.stderr for a in server.advertiser_ids)
    again = project.cli("auth", "exchange", "--output", "token.env", now=False, TIKTOK_AUTH_CODE=server.auth_code)
    assert again.returncode == 2
    assert file.read_text() == f"TIKTOK_ACCESS_TOKEN={server.token}\n"
    used = project.cli("auth", "exchange", "--output", "other.env", now=False, TIKTOK_AUTH_CODE=server.auth_code)
    assert used.returncode == 1
    assert "40110" in used.stderr
    assert not (project.folder / "other.env").exists()


def test_without_a_file_the_token_stands_alone_on_standard_output(project: Project) -> None:
    ran = project.cli("auth", "exchange", now=False, TIKTOK_AUTH_CODE=project.server.auth_code)
    assert ran.returncode == 0
    assert ran.stdout.strip() == project.server.token
    assert project.server.token not in ran.stderr


def test_a_wrong_app_secret_is_refused_with_advice(project: Project) -> None:
    ran = project.cli(
        "auth", "exchange", now=False, TIKTOK_AUTH_CODE=project.server.auth_code, TIKTOK_APP_SECRET="wrong-app-secret"
    )
    assert ran.returncode == 1
    assert "40101" in ran.stderr
    assert "wrong-app-secret" not in ran.stderr + ran.stdout


@pytest.mark.parametrize(
    "url", ["http://example.com/open_api/v1.3/", "ftp://127.0.0.1/", "nonsense", "http://u:p@127.0.0.1/"]
)
def test_the_token_is_sent_to_no_address_that_is_not_safe(url: str, project: Project) -> None:
    ran = project.cli("import", str(project.write()), TIKTOK_API_URL=url)
    assert ran.returncode == 2
    assert "TIKTOK_API_URL" in ran.stderr


# --- secrets ----------------------------------------------------------------------------------------------------------

PLANTED = {
    "token": "tokPLANTED1a2b3c4d5e6f",
    "secret": "secPLANTED9f8e7d6c5b4a",
    "code": "codPLANTED0011223344",
    "wrong": "badPLANTED5566778899",
}


def test_no_secret_appears_in_any_output_file_or_process_list(tmp_path: Path) -> None:
    world = World(seed=1, advertisers=2, ads=6, as_of=NOW)
    kinds = ("reset", "truncated", "cut_json", "not_json", "http_500", "http_502_html", "code_50000")
    with serve(world, faults=Faults(kinds=kinds, in_a_row=2, jitter_s=0.02)) as server:
        server.credentials.token, server.credentials.app_secret = PLANTED["token"], PLANTED["secret"]
        server.credentials.auth_code = PLANTED["code"]
        code = server.credentials.new_auth_code()
        project = Project(
            tmp_path, server, say={"advertiser_ids": "all", "objects": ["advertiser_ids", "ads", "ad_report_daily"]}
        )
        path = str(project.write(clean_up_to_keep_window=20))
        outputs: list[bytes] = []

        def ran(*words: str, now: bool = True, **environment: str) -> int:
            trace = {"OWOX_TIKTOK_TRACE": "1"}
            env = process_environment(project.environment | trace | environment)
            with subprocess.Popen(
                project.command(*words, now=now), cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                outputs.append(Path(f"/proc/{process.pid}/cmdline").read_bytes())
                outputs.extend(process.communicate(timeout=120))
            return process.returncode

        server.faults.rate = 0.3
        assert ran("import", path, "--log", "json") == 0
        assert ran("check", path) == 0
        assert ran("plan", path) == 0
        assert ran("prune", path) == 0
        server.faults.rate = 0.0
        assert ran("auth", "exchange", now=False, TIKTOK_AUTH_CODE=PLANTED["wrong"]) == 1
        assert ran("auth", "exchange", now=False, TIKTOK_AUTH_CODE=code, TIKTOK_APP_SECRET=PLANTED["wrong"]) == 1
        for command in ("import", "check", "plan", "prune"):
            assert ran(command, path, TIKTOK_ACCESS_TOKEN=PLANTED["wrong"]) == 1
        assert ran("import", path, TIKTOK_APP_SECRET=PLANTED["wrong"]) == 1
        assert ran("import", path, TIKTOK_API_URL=server.url + "elsewhere/") == 1
        server.faults.forbidden.update(server.advertiser_ids)
        assert ran("import", path) in (1, 3)

        files = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
        assert any(b"DUCK" in content[:16] for content in files), "the DuckDB file should be among them"
        for secret in PLANTED.values():
            for content in (*outputs, *files):
                assert secret.encode() not in content
        # TikTok's own parameters: the token travels in a header and never in an address.
        assert not any(PLANTED["token"] in str(e["params"]) for e in server.log)


def test_the_temporary_rows_of_a_run_are_removed_when_it_ends(project: Project, tmp_path: Path) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    assert project.cli("import", str(project.write()), TMPDIR=str(spools)).returncode == 0
    assert list(spools.iterdir()) == []


def test_the_temporary_rows_of_a_run_can_be_read_by_its_owner_only(project: Project, tmp_path: Path) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    project.server.faults.latency_s = 0.3
    env = process_environment(project.environment | {"TMPDIR": str(spools)})
    command = project.command("import", str(project.write(objects=["campaign_report_hourly"], requests_per_second=5)))
    with subprocess.Popen(command, cwd=project.folder, env=env, stderr=subprocess.DEVNULL) as process:
        # Python itself tries the folder with a passing file.
        while not (found := [f for f in spools.iterdir() if f.is_dir()]):
            assert process.poll() is None
            time.sleep(0.005)
        modes = {stat.S_IMODE(folder.stat().st_mode) for folder in found}
        process.terminate()
    assert modes == {0o700}
    assert list(spools.iterdir()) == [], "also when it is asked to stop"


def test_the_demo_needs_nothing_and_leaves_tables(tmp_path: Path, project: Project) -> None:
    ran = project.cli("demo", now=False)
    assert ran.returncode == 0, ran.stderr
    assert list((project.folder / "demo").glob("*.duckdb"))


def test_accounts_far_apart_are_read_up_to_their_own_today(tmp_path: Path) -> None:
    world = World(
        seed=1, advertisers=3, ads=6, as_of=NOW.replace(hour=5)
    )  # 28 February in Los Angeles, 1 March elsewhere
    with serve(world) as server:
        project = Project(tmp_path, server)
        assert (
            project.cli(
                "import", str(project.write(objects=["campaign_report_hourly"], start_date="2026-02-27"))
            ).returncode
            == 0
        )
        rows = project.table("campaign_report_hourly")
        last = {
            a: max(r["stat_time_hour"].date() for r in rows if r["advertiser_id"] == a) for a in server.advertiser_ids
        }
        assert [last[a] - NOW.date() for a in server.advertiser_ids] == [timedelta(days=-1), timedelta(0), timedelta(0)]
        names = list(rows[0])
        wanted = [
            row
            for a in server.advertiser_ids
            for row in expected(
                world, STREAMS["campaign_report_hourly"], a, names, start=NOW.date() - timedelta(days=2)
            )
        ]
        assert differences(rows, wanted, STREAMS["campaign_report_hourly"].keys) == []


# --- reset ------------------------------------------------------------------------------------------------------------


def test_reset_makes_the_next_import_read_everything_again_and_asks_before(project: Project) -> None:
    project.import_(objects=["ad_report_daily"])
    first, second = project.server.advertiser_ids[:2]
    config = str(project.write())
    before = project.cursors()

    dry = project.cli("reset", "ad_report_daily", config, "--dry-run")
    assert (dry.returncode, project.cursors()) == (0, before)
    assert first in dry.stderr
    asked = project.cli("reset", "ad_report_daily", config)  # nobody answers
    assert (asked.returncode, project.cursors()) == (1, before)

    done = project.cli("reset", "ad_report_daily", config, "--advertiser", first, "--yes")
    assert done.returncode == 0, done.stderr
    assert set(project.cursors()) == set(before) - {("ad_report_daily", first)}
    rows = len(project.table("ad_report_daily"))
    assert project.import_(objects=["ad_report_daily"]).warnings == []
    assert project.cursors() == before
    assert len(project.table("ad_report_daily")) == rows

    for words, said in ((("ad_report_dayly",), "ad_report_daily"), (("ads",), "objects")):
        wrong = project.cli("reset", *words, config, "--yes")
        assert wrong.returncode == 2
        assert said in wrong.stderr
    unknown = project.cli("reset", "ad_report_daily", config, "--advertiser", "123", "--yes")
    assert unknown.returncode == 2
    assert second in unknown.stderr
    assert project.cursors() == before


def test_forget_deletes_all_of_an_account_and_asks_before(project: Project) -> None:
    project.import_(objects=["ads", "ad_report_daily"])
    first, second = project.server.advertiser_ids[:2]
    config = str(project.write())
    before = project.cursors()
    theirs = sum(r["advertiser_id"] == first for r in project.table("ad_report_daily"))

    for words in (("--dry-run",), ()):  # without --yes nobody answers
        ran = project.cli("forget", "--advertiser", first, config, *words)
        assert (ran.returncode, project.cursors()) == (0 if words else 1, before)
        assert f"tiktok_ads_ad_report_daily  {theirs:,} rows" in ran.stderr
        assert "the next import reads it again" in ran.stderr

    done = project.cli("forget", "--advertiser", first, config, "--yes")
    assert done.returncode == 0, done.stderr
    assert {pair[1] for pair in project.cursors()} == {a for _, a in before} - {first}
    assert first not in {r["advertiser_id"] for name in ("ads", "ad_report_daily") for r in project.table(name)}
    again = project.cli("forget", "--advertiser", first, config, "--yes")
    assert (again.returncode, "Nothing is stored of it" in again.stderr) == (0, True)
    wrong = project.cli("forget", "--advertiser", "1; DROP", config, "--yes")
    assert (wrong.returncode, "not the id" in wrong.stderr) == (2, True)
    assert second in {r["advertiser_id"] for r in project.table("ads")}
