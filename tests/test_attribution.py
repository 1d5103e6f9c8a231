"""A look-back shorter than the ad groups' own attribution windows is said once, with the number of days to set."""

from __future__ import annotations

from typing import Any

import pytest

from owox_tiktok.attribution import DAYS, FIELDS, STREAMS
from owox_tiktok.local.tiktok import Server
from owox_tiktok.streams import STREAMS as ALL
from tests.helpers import Project

OBJECTS = ["ad_groups", "campaign_report_daily"]


def hints(project: Project, **more: Any) -> list[str]:
    project.server.world.version += 1
    ran = project.import_(**{"objects": OBJECTS, "start_date": "2026-02-20", **more})
    assert ran.exit_code == 0
    return [w for w in map(str, ran.warnings) if "reimport_lookback_window" in w]


def groups(server: Server, *, deleted: bool) -> list[Any]:
    found = [g for a in server.world.advertisers for g in a.ad_groups if g.deleted == deleted]
    assert found
    return found


def test_the_longest_window_is_the_number_of_days_to_set(project: Project) -> None:
    assert hints(project) == [], "seven days are read again, and seven are credited"
    one, other = groups(project.server, deleted=False)[:2]
    one.click_window, other.click_window = "TWENTY_EIGHT_DAYS", "FOURTEEN_DAYS"
    (hint,) = hints(project)
    assert "Set reimport_lookback_window to 28" in hint
    assert hints(project, reimport_lookback_window=28) == []
    one.click_window = "ONE_HUNDRED_EIGHTY_DAYS"
    (hint,) = hints(project, reimport_lookback_window=28)
    assert "to 180" in hint
    assert hints(project, reimport_lookback_window=365) == []


def test_it_is_said_only_where_it_is_known_and_matters(project: Project) -> None:
    groups(project.server, deleted=False)[0].click_window = "TWENTY_EIGHT_DAYS"
    assert hints(project, objects=["campaign_report_daily"]) == [], "nothing more is asked of TikTok for it"
    assert hints(project, objects=["ad_groups"]) == [], "lists are read whole each time"
    assert hints(project, fields={"ad_groups": ["adgroup_name"]}) == []


def test_deleted_ad_groups_and_windows_that_nobody_knows_say_nothing(project: Project) -> None:
    groups(project.server, deleted=False)[0].click_window = "NINE_LIVES"
    for group in groups(project.server, deleted=True):
        group.click_window = "TWENTY_EIGHT_DAYS"
    assert hints(project) == []


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_ad_groups_have_the_fields_it_is_read_from(name: str) -> None:
    assert {*FIELDS, "secondary_status"} <= set(ALL[name].fields)
    assert sorted(DAYS.values()) == list(dict.fromkeys(DAYS.values()))
