"""People edit a Sheet at any moment of an import, at worst between its last look and its batch: 60 of those stories.

``python -m benchmarks race`` has as many as you like.
"""

from __future__ import annotations

import pytest

from benchmarks import race
from tests.sheet_edits import EDITS


@pytest.mark.parametrize("first", range(0, 30, 5))
def test_after_the_next_import_all_is_right_and_the_log_says_what_happened(first: int) -> None:
    figures = race.run(7, range(first, first + 5))
    assert figures.wrong == []
    assert figures.stories == 5
    assert figures.at_batches > 0


def test_rows_that_have_nothing_left_but_day_and_currency_are_cleared() -> None:
    assert race.run(302, range(53, 54)).wrong == []  # columns were moved before and during an import of a large tab


def test_there_are_some_thirty_kinds_of_edits() -> None:
    assert len(EDITS) >= 28
