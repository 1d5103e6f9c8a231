"""The history of lists over days with kills: a story of ``python -m benchmarks history``, which has many more."""

from __future__ import annotations

from benchmarks import histories


def test_a_history_is_what_the_readings_say_whatever_was_killed() -> None:
    figures = histories.run("duckdb", 1, range(1), days=4)
    assert figures.wrong == []
    assert figures.killed
    assert figures.days
    assert figures.versions > figures.readings > 3
