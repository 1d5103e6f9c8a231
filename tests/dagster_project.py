"""Runs a Dagster project in Dagster's own environment, and prints what came of it as JSON: see ``test_dagster``.

python dagster_project.py FOLDER    every asset of the newest day, one day again; all again for each line it is sent
"""

import json
import sys
from pathlib import Path
from typing import Any

import dagster as dg


def found(result: Any) -> dict[str, Any]:
    """What a run did: rows by asset, and the checks that passed and failed."""
    return {
        "success": result.success,
        "rows": {
            event.asset_key.path[-1]: {k: v.value for k, v in event.materialization.metadata.items()}
            for event in result.get_asset_materialization_events()
        },
        "checks": {
            f"{one.asset_key.path[-1]} {one.check_name}": one.passed for one in result.get_asset_check_evaluations()
        },
    }


def main(folder: Path) -> None:
    defs = dg.load_from_defs_folder(path_within_project=folder / "src" / "my_project")
    specs = {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs()}
    job = defs.resolve_job_def("tiktok_ads")
    days = job.partitions_def.get_partition_keys()
    report = dg.AssetKey(["tiktok_ads", "ad_report_daily"])
    said: dict[str, Any] = {
        "assets": {
            name: [sorted(spec.kinds), spec.group_name, len(spec.metadata["dagster/column_schema"].columns)]
            for name, spec in specs.items()
        },
        "schedules": [schedule.cron_schedule for schedule in defs.schedules or ()],
        "whole": found(job.execute_in_process(partition_key=days[-1])),
        "one": found(job.execute_in_process(partition_key=days[0], asset_selection=[report])),
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    for _ in sys.stdin:  # the test has changed something
        again = job.execute_in_process(partition_key=days[-1], raise_on_error=False)
        sys.stdout.write(json.dumps(found(again)) + "\n")
        sys.stdout.flush()


main(Path(sys.argv[1]))
