"""Kills, two imports at once and a proxy that breaks things, into BigQuery: a few stories of ``bigquery_break``.

``python -m benchmarks bigquery_break`` has as many as you like.
"""

from __future__ import annotations

from benchmarks import bigquery_breaking
from tests.bigquery import needs_emulator


@needs_emulator
def test_whatever_happens_every_row_is_there_once_as_tiktok_has_it() -> None:
    figures = bigquery_breaking.run(7, range(1), rounds=2)
    assert figures.wrong == []
    assert figures.compared > 0
    assert sum(figures.disturbed.values()) == 2
