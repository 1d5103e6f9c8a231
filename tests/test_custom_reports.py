"""Reports of one's own: they arrive as TikTok has them, follow their definition, and mistakes are told in words."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from owox_tiktok.errors import BadInput
from owox_tiktok.local.tiktok.attributes import objective
from owox_tiktok.streams.custom import Wish, custom_report
from tests.helpers import NOW, Project, Row, columns_of, differences, expected

FIRST = date(2026, 2, 20)


def wanted(project: Project, wish: Wish, campaigns: set[tuple[str, str]] | None = None) -> list[str]:
    """Every difference between the report's table and what TikTok has of these campaigns."""
    stream = custom_report(wish)
    names = columns_of(project.database, stream)
    rows: list[Row] = [
        row
        for account in project.server.advertiser_ids
        for row in expected(project.server.world, stream, account, names, start=FIRST)
        if campaigns is None or (account, row["campaign_id"]) in campaigns
    ]
    assert rows
    return differences(project.table(stream), rows, stream.keys)


@pytest.mark.parametrize(
    ("say", "wish"),
    [
        ({"level": "campaign", "time": "monthly", "metrics": ["reach", "spend"]}, Wish("mine", "campaign", "monthly")),
        ({"level": "ad_group", "time": "weekly", "split": "country"}, Wish("mine", "ad_group", "weekly", "country")),
        ({"level": "ad", "time": "range", "metrics": ["frequency"]}, Wish("mine", "ad", "range")),
        ({"level": "ad group", "split": "post", "metrics": "spend"}, Wish("mine", "ad_group", "daily", "post")),
        ({"level": "campaign", "split": "age_gender"}, Wish("mine", "campaign", "daily", "age_gender")),
    ],
)
def test_a_report_of_ones_own_arrives_as_tiktok_has_it(say: dict[str, Any], wish: Wish, project: Project) -> None:
    for _ in range(2):
        ran = project.import_(objects=["campaigns"], custom_reports={"mine": say}, start_date=f"{FIRST}")
        assert (ran.exit_code, ran.failures, ran.warnings) == (0, [], [])
        assert wanted(project, wish) == []
        project.server.world.as_of = project.server.world.now() + timedelta(days=2)


def test_filters_leave_what_fits_and_another_filter_is_another_report(project: Project) -> None:
    world = project.server.world
    of_all = [(a, c) for a in world.advertisers for c in a.campaigns]
    say: dict[str, Any] = {"level": "campaign", "metrics": ["spend", "campaign_name"]}

    def read(filters: dict[str, Any]) -> None:
        reports = {"mine": {**say, "filters": filters}}
        ran = project.import_(objects=["campaigns"], custom_reports=reports, start_date=f"{FIRST}")
        assert (ran.exit_code, ran.failures) == (0, [])

    one = of_all[0][1]
    wish = Wish("mine", "campaign")
    read({"campaign_ids": [one.id]})
    assert wanted(project, wish, {(a.id, c.id) for a, c in of_all if c.id == one.id}) == []
    # Nothing of the first definition is left, also of days that were settled.
    chosen = objective(of_all[1][1])
    read({"objective_type": [chosen]})
    assert wanted(project, wish, {(a.id, c.id) for a, c in of_all if objective(c) == chosen}) == []
    part = one.name[:8].strip()
    read({"campaign_name_contains": part})
    assert wanted(project, wish, {(a.id, c.id) for a, c in of_all if part.lower() in c.name.lower()}) == []
    requests = project.server.counts["requests"]
    read({"campaign_name_contains": part})
    assert project.server.counts["requests"] - requests < 20


@pytest.mark.parametrize(
    ("name", "say", "where", "what"),
    [
        ("ads", {"level": "ad"}, "custom_reports.ads", "is called so already"),
        ("mine", {"level": "video"}, "custom_reports.mine.level", "not one of the choices"),
        ("mine", {"level": "ad", "split": "search_term"}, "custom_reports.mine.level", "no report of that level"),
        ("mine", {"level": "campaign", "split": "interest"}, "custom_reports.mine", "gives no days by interest"),
        ("mine", {"level": "ad", "time": "hourly", "split": "post"}, "custom_reports.mine.time", "no hourly report"),
        ("mine", {"level": "ad", "filters": {"country": "UA"}}, "custom_reports.mine.filters", "no filter 'country'"),
        ("mine", {"level": "ad", "metrics": ["cash_spend"]}, "custom_reports.mine.metrics", "cannot have cash_spend"),
        ("mine", {"level": "ad", "colour": "red"}, "custom_reports.mine", "has no part 'colour'"),
        ("Mine!", {"level": "ad"}, "custom_reports.", "is not a name for a table"),
    ],
)
def test_what_tiktok_does_not_have_is_said_with_its_line(
    name: str, say: dict[str, Any], where: str, what: str, project: Project
) -> None:
    with pytest.raises(BadInput) as caught:
        project.settings(NOW, custom_reports={name: say})
    (mistake,) = caught.value.mistakes
    assert where in mistake.where
    assert what in mistake.what
    assert mistake.what_to_do
