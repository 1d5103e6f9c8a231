"""The whole product on a laptop, used in a browser: Sheet, menu, function, tasks, worker, and simulated ad accounts."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta

from owox_tiktok.laptop import Laptop
from owox_tiktok.local.tiktok import World
from owox_tiktok.streams import STREAMS
from tests.helpers import differences, expected
from tests.sheets import columns_of_tab, in_a_cell, sheet_rows
from tests.test_menu import CHROMIUM, HERE, needs_browser

DEFAULTS = ("advertisers", "campaigns", "ad_groups", "ads", "ad_report_daily")


def world() -> World:
    start = datetime.now(UTC).date() - timedelta(days=40)
    return World(seed=3, advertisers=2, campaigns=3, ad_groups=5, ads=8, start=start)


def visit(laptop: Laptop, scenario: str) -> None:
    """Carry out a scenario of laptop.cjs."""
    command = ["node", str(HERE / "laptop.cjs"), CHROMIUM, laptop.url, scenario]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


def wrong(laptop: Laptop, *objects: str) -> list[str]:
    """Every difference between the data tabs and TikTok."""
    found = []
    start = laptop.first_day
    for name in objects:
        stream = STREAMS[name]
        names = list(columns_of_tab(laptop.google, laptop.book, stream))
        wanted = [
            {k: in_a_cell(v) for k, v in row.items()}
            for advertiser_id in laptop.tiktok.advertiser_ids
            for row in expected(laptop.tiktok.world, stream, advertiser_id, names, start=start)
        ]
        assert wanted, name
        found += differences(sheet_rows(laptop.google, laptop.book, stream), wanted, stream.keys)
    return found


@needs_browser
def test_from_config_to_rows() -> None:
    with Laptop(world=world(), latency_s=0.4, qps=1) as laptop:  # long enough to see its progress
        visit(laptop, "from_config_to_rows")
        assert wrong(laptop, *DEFAULTS, "campaign_report_daily") == []


@needs_browser
def test_a_mistake_is_a_sentence_and_what_was_started_twice_is_cancelled() -> None:
    with Laptop(world=world()) as laptop:
        laptop.tiktok.faults.latency_s = 12.0
        visit(laptop, "twice_and_cancelled")
        laptop.tiktok.faults.latency_s = 0.0
        visit(laptop, "the_deadline_strikes")
        assert wrong(laptop, *DEFAULTS) == []
        visit(laptop, "a_mistake_is_a_sentence")
