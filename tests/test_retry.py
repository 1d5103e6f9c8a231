"""The pace: never over the permitted rate, held when TikTok says so, and back at the rate afterwards. No real time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok.retry import FIRST_HOLD_S, LONGEST_HOLD_S, Pace, retrying


class Clock:
    """A clock that only sleeping moves; each sleep may last longer than asked, as real ones do."""

    def __init__(self, late: list[float] | None = None) -> None:
        self.now = 1000.0
        self._late = late or [0.0]
        self._slept = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self._late[self._slept % len(self._late)]
        self._slept += 1


def pace(rate: float, clock: Clock) -> Pace:
    return Pace(rate, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5)


def turns(of: Pace, clock: Clock, count: int, advertiser_id: str = "") -> list[float]:
    """The times at which ``count`` turns are given."""
    times = []
    for _ in range(count):
        of.turn(advertiser_id)
        times.append(clock.now)
    return times


def most_in_a_second(times: list[float]) -> int:
    return max(sum(begin <= t < begin + 1.0 for t in times) for begin in times)


@given(rate=st.integers(1, 60))
def test_never_more_turns_in_any_second_than_permitted(rate: int) -> None:
    clock = Clock()
    assert most_in_a_second(turns(pace(rate, clock), clock, rate * 3)) <= rate


@given(rate=st.sampled_from([10, 20, 50]), late=st.lists(st.floats(0, 0.2), min_size=1, max_size=7))
def test_never_more_turns_in_any_second_than_permitted_also_when_sleep_lasts_too_long(
    rate: int, late: list[float]
) -> None:
    clock = Clock(late)
    assert most_in_a_second(turns(pace(rate, clock), clock, rate * 3)) <= rate


@given(rate=st.integers(1, 100))
def test_the_permitted_rate_is_used_nearly_in_full(rate: int) -> None:
    clock = Clock()
    times = turns(pace(rate, clock), clock, rate * 10 + 1)
    assert times[-1] - times[0] < 10 * 1.05


def test_a_pause_does_not_let_a_burst_through_afterwards() -> None:
    clock = Clock()
    of = pace(10, clock)
    turns(of, clock, 5)
    clock.now += 60
    assert most_in_a_second(turns(of, clock, 30)) <= 10


def test_a_turn_says_how_long_it_waited() -> None:
    clock = Clock()
    of = pace(2, clock)
    assert of.turn() == 0
    before = clock.now
    assert of.turn() == pytest.approx(clock.now - before)
    assert clock.now > before


def test_a_refusal_holds_everybody_longer_each_time_in_a_row_up_to_a_limit() -> None:
    clock = Clock()
    of = pace(10, clock)
    holds = []
    for _ in range(10):
        of.turn("1")
        hold = of.refused()
        held_until = clock.now + hold
        of.turn("2")
        assert clock.now >= held_until
        holds.append(hold)
    assert holds[0] == pytest.approx(FIRST_HOLD_S)
    assert all(later >= earlier for earlier, later in pairwise(holds))
    assert holds[-1] == pytest.approx(LONGEST_HOLD_S)
    # All the holds together outlast TikTok's block of five minutes.
    assert sum(holds) > 300


def test_requests_under_way_when_one_is_refused_do_not_make_it_longer() -> None:
    clock = Clock()
    of = pace(10, clock)
    of.turn()
    first = of.refused()
    assert [of.refused() for _ in range(20)] == [pytest.approx(first)] * 20
    until = clock.now + first
    of.turn()
    assert clock.now == pytest.approx(until)


def test_a_refusal_of_one_advertiser_does_not_hold_the_others() -> None:
    clock = Clock()
    of = pace(10, clock)
    of.turn("1")
    hold = of.refused("1")
    began = clock.now
    turns(of, clock, 5, "2")
    assert clock.now - began < hold
    of.turn("1")
    assert clock.now - began >= hold


def test_after_a_refusal_the_rate_is_lower_and_answers_bring_it_back() -> None:
    clock = Clock()
    of = pace(10, clock)
    for _ in range(5):
        of.turn()
        of.refused()
    assert of.rate < 10
    for _ in range(200):
        of.turn()
        of.answered()
    assert of.rate == 10
    assert of.refused() == pytest.approx(FIRST_HOLD_S), "the next hold is short again"


def test_the_rate_never_falls_to_a_crawl() -> None:
    clock = Clock()
    of = pace(10, clock)
    for _ in range(1000):
        of.turn()
        of.refused()
    assert of.rate >= 1


def test_a_faulty_call_is_tried_so_often_and_then_given_up() -> None:
    clock = Clock()
    tried = []

    def fails() -> None:
        tried.append(clock.now)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        retrying(OSError, attempts=4, deadline_s=1e9, sleep=clock.sleep)(fails)
    assert len(tried) == 4
    waits = [b - a for a, b in pairwise(tried)]
    assert all(0.4 <= wait <= 31 for wait in waits)
    assert waits[-1] > waits[0]


def test_only_the_named_kind_of_fault_is_tried_again() -> None:
    tried = []

    def fails() -> None:
        tried.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        retrying(OSError, attempts=4, deadline_s=60, sleep=Clock().sleep)(fails)
    assert len(tried) == 1
