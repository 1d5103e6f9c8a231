"""The one table of a run's states."""

from __future__ import annotations

from itertools import product

import pytest

from owox_tiktok.states import ABOUT, TRANSITIONS, Reason, State, diagram, outcome


def test_every_state_is_described_and_reached_and_all_but_the_final_ones_are_left() -> None:
    assert set(ABOUT) == set(State)
    assert {t.after for t in TRANSITIONS} == set(State)
    final = {state for state, about in ABOUT.items() if about.final}
    assert {t.before for t in TRANSITIONS} == {None, *(set(State) - final)}


@pytest.mark.parametrize(("failed", "reason"), list(product(range(4), (None, *Reason))))
def test_what_came_of_a_run_is_where_a_running_one_may_go(failed: int, reason: Reason | None) -> None:
    state = outcome(pairs=3, failed=failed, reason=reason)
    assert state in {t.after for t in TRANSITIONS if t.before is State.RUNNING}
    assert (ABOUT[state].exit_code == 0) == (not failed and not reason), "only a complete run is a success"
    if reason and reason is not Reason.CANCELLED:
        assert not ABOUT[state].final, "what ended early can be gone on with"


def test_the_diagram_shows_every_transition() -> None:
    arrows = [line for line in diagram().splitlines() if "-->" in line and not line.endswith("[*]")]
    assert len(arrows) == len(TRANSITIONS)
