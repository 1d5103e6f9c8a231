"""What Current Status says after an import."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from owox_tiktok.sheets.standing import next_import, up_to_date

FRIDAY = datetime(2026, 11, 20, 9, 30)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("Daily at 06:00 · by anna@example.com", "next import tomorrow 06:00"),
        ("Daily at 18:00", "next import today 18:00"),
        ("Weekdays at 06:00", "next import Monday 06:00"),
        ("Hourly · by anna@example.com", "next import within an hour"),
        ("Off", ""),
        ("", ""),
        ("when I like", ""),
        ("Daily at 77:00", ""),
    ],
)
def test_the_next_import_follows_from_the_schedule(schedule: str, said: str) -> None:
    assert next_import(schedule, FRIDAY) == said


def test_the_status_says_through_which_day_how_much_and_when_next() -> None:
    words = up_to_date(date(2026, 11, 20), ("222 rows",), "Daily at 06:00", FRIDAY)
    assert words == "Up to date through Fri 20 Nov · 222 rows · next import tomorrow 06:00"
    assert up_to_date(None, ("1 row", "14 rows of March 2026 were missing; they are back"), "", FRIDAY) == (
        "Up to date · 1 row · 14 rows of March 2026 were missing; they are back"
    )
