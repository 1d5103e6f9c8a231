"""The component for Dagster: found and checked by ``dg``, and what it materialises is what TikTok has."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.streams import STREAMS
from tests.helpers import Project, columns_of, differences, expected, process_environment, table

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / ".venv-dagster" / "bin"
OBJECTS = ["campaigns", "ads", "ad_report_daily"]
COMPONENT = "owox_tiktok.dagster.TikTokAdsComponent"

pytestmark = pytest.mark.skipif(not PROGRAMS.is_dir(), reason="Dagster is not installed (make setup-dagster)")


def test_dg_finds_and_checks_it_and_its_assets_hold_what_tiktok_has(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    defs = folder / "src" / "my_project" / "defs"
    defs.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "my_project"\nversion = "0"\n\n'
        '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "my_project"\n'
    )
    (defs.parent / "__init__.py").touch()
    (defs.parent / "definitions.py").write_text(
        "from pathlib import Path\nfrom dagster import definitions, load_from_defs_folder\n\n\n@definitions\n"
        "def defs():\n    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    now = datetime.now(UTC)
    world = World(seed=3, advertisers=2, campaigns=3, ad_groups=4, ads=8, as_of=now)
    start = now.date() - timedelta(days=5)
    with serve(world) as server:
        environment = process_environment(
            {
                "TIKTOK_API_URL": server.url, "TIKTOK_ACCESS_TOKEN": server.token, "DAGSTER_HOME": str(folder),
                "PYTHONPATH": f"{ROOT}{os.pathsep}{folder / 'src'}", "DO_NOT_TRACK": "1",
                "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            }
        )  # fmt: skip

        def run(*words: str) -> None:
            done = subprocess.run(
                [PROGRAMS / "dg", *words], cwd=folder, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr

        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        run("scaffold", "defs", COMPONENT, "tiktok_ads")
        written = defs / "tiktok_ads" / "defs.yaml"
        scaffolded = yaml.safe_load(written.read_text())
        assert scaffolded["type"] == COMPONENT
        assert scaffolded["attributes"]["access_token"] == "${TIKTOK_ACCESS_TOKEN}"
        database = tmp_path / "ads.duckdb"
        scaffolded["attributes"] |= {
            "advertiser_ids": server.advertiser_ids,
            "destination": f"duckdb:///{database}",
            "start_date": f"{start}",
            "objects": None,
            "resources": ["campaigns", "ads", "reports"],
            "data_level": "AUCTION_AD",
            "metrics": ["performance"],
            "requests_per_second": 1000,
        }
        written.write_text(yaml.safe_dump(scaffolded))
        run("check", "defs")

        def wrong() -> list[str]:
            found = []
            for stream in (STREAMS[name] for name in OBJECTS):
                names = [name for name in columns_of(database, stream) if name in stream.fields]
                wanted = [
                    row for one in server.advertiser_ids for row in expected(world, stream, one, names, start=start)
                ]
                found += differences(table(database, stream), wanted, stream.keys)
            return found

        script = [PROGRAMS / "python", ROOT / "tests" / "dagster_project.py", folder]
        with subprocess.Popen(
            script, cwd=folder, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            said: dict[str, Any] = json.loads(process.stdout.readline())
            assert wrong() == []
            assert said["assets"].keys() == set(OBJECTS)
            columns = len(columns_of(database, STREAMS["ad_report_daily"]))
            assert said["assets"]["ad_report_daily"] == [["duckdb", "tiktok"], "tiktok_ads", columns]
            assert said["schedules"] == ["0 6 * * *"]
            assert said["whole"]["success"]
            for name in OBJECTS:
                rows = len(table(database, STREAMS[name]))
                assert said["whole"]["rows"][name] == {"rows_stored": rows, "dagster/row_count": rows}
            assert said["whole"]["checks"] == {
                "ad_report_daily equals_tiktok_totals": True,
                **{f"{name} all_accounts_read": True for name in OBJECTS},
            }
            assert said["one"]["rows"].keys() == {"ad_report_daily"}, "a subset can be chosen"
            assert (
                0
                < said["one"]["rows"]["ad_report_daily"]["rows_stored"]
                < said["whole"]["rows"]["ad_report_daily"]["rows_stored"]
            )
            # Later, with an account that is refused: the other one is refreshed, and a check says so.
            server.faults.forbidden = {server.advertiser_ids[1]}
            process.stdin.write("again\n")
            process.stdin.flush()
            again: dict[str, Any] = json.loads(process.stdout.readline())
            assert again["success"]
            assert {name for name, passed in again["checks"].items() if not passed} == {
                f"{name} all_accounts_read" for name in OBJECTS
            }
            assert again["rows"].keys() == set(OBJECTS)
            server.faults.forbidden = set()
            process.stdin.write("again\n")
            process.stdin.flush()
            assert all(json.loads(process.stdout.readline())["checks"].values())
            process.stdin.close()
            assert process.wait(timeout=30) == 0
        assert wrong() == []
        assert Project(tmp_path, server, "ads").cursors().keys() >= {("ad_report_daily", server.advertiser_ids[0])}
