"""The pace: never over the permitted rate, held when TikTok says so, and back at the rate afterwards. No real time."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random, getstate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok.retry import FIRST_HOLD_S, LONGEST_HOLD_S, Limits, Pace, Turn, retrying


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


class Stage:
    """Threads in virtual time: one runs at a time, and time moves on when all of them sleep."""

    def __init__(self, late: list[float] | None = None) -> None:
        self.now = 1000.0
        self.stopped = False
        self._late = late or [0.0]
        self._order = itertools.count()
        self._asleep: list[tuple[float, int, threading.Semaphore]] = []
        self._baton = threading.Semaphore(0)
        self._raised: list[BaseException] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        """Sleep, or until the end; return whether it has come, as ``Event.wait`` does."""
        if not self.stopped:
            self._rest(seconds)
        return self.stopped

    def oversleep(self, seconds: float) -> bool:
        """Sleep a little longer than asked."""
        return self.sleep(seconds + self._late[len(self._asleep) % len(self._late)])

    def stop(self) -> None:
        """Wake everybody at once."""
        self.stopped = True
        self._asleep = [(self.now, order, thread) for _, order, thread in sorted(self._asleep)]

    def run(self, *players: Callable[[], None]) -> None:
        """Let them all play to their end, each in a thread of its own."""
        threads = [threading.Thread(target=self._play, args=(player,), daemon=True) for player in players]
        for thread in threads:
            thread.start()
            self._baton.acquire()
        while self._asleep:
            when, _, sleeper = heapq.heappop(self._asleep)
            self.now = max(self.now, when)
            sleeper.release()
            self._baton.acquire()
        for thread in threads:
            thread.join()
        if self._raised:
            raise self._raised[0]

    def _play(self, player: Callable[[], None]) -> None:
        try:
            self._rest(0.0)
            player()
        except BaseException as error:
            self._raised.append(error)
        finally:
            self._baton.release()

    def _rest(self, seconds: float) -> None:
        mine = threading.Semaphore(0)
        heapq.heappush(self._asleep, (self.now + seconds, next(self._order), mine))
        self._baton.release()
        mine.acquire()


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


# --- one caller -------------------------------------------------------------------------------------------------------


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
    assert times[-1] - times[0] < 10 * 1.03


def test_sleeping_too_long_now_and_then_costs_no_turns() -> None:
    clock = Clock(late=[0.0, 0.0, 0.08, 0.0, 0.03])
    times = turns(pace(10, clock), clock, 301)
    assert times[-1] - times[0] < 30 * 1.03
    assert most_in_a_second(times) <= 10


def test_a_pause_does_not_let_a_burst_through_afterwards() -> None:
    clock = Clock()
    of = pace(10, clock)
    turns(of, clock, 5)
    clock.now += 60
    assert most_in_a_second(turns(of, clock, 30)) <= 10


def test_a_turn_says_for_whom_and_when_it_was_given() -> None:
    clock = Clock()
    of = pace(2, clock)
    first, second = of.turn("1"), of.turn("2")
    assert (first.advertiser_id, second.advertiser_id) == ("1", "2")
    assert first.at == 1000.0
    assert second.at == clock.now > 1000.5


def test_a_refusal_holds_everybody_longer_each_time_in_a_row_up_to_a_limit() -> None:
    clock = Clock()
    of = pace(10, clock)
    holds = []
    for _ in range(20):
        hold = of.refused(of.turn("1"))
        held_until = clock.now + hold
        of.turn("2")
        assert held_until - 1e-6 <= clock.now <= held_until + 0.2
        holds.append(hold)
    assert holds[0] == pytest.approx(FIRST_HOLD_S)
    assert all(later >= earlier for earlier, later in pairwise(holds))
    assert holds[-1] == pytest.approx(LONGEST_HOLD_S)
    # All the holds together outlast TikTok's block of five minutes.
    assert sum(holds) > 300


def test_requests_under_way_when_one_is_refused_do_not_make_the_hold_longer() -> None:
    clock = Clock()
    of = pace(10, clock)
    under_way = [of.turn() for _ in range(20)]
    first = of.refused(under_way.pop())
    assert [of.refused(turn) for turn in under_way[:10]] == [pytest.approx(first)] * 10
    until = clock.now + first
    given = of.turn()
    assert until - 1e-6 <= clock.now <= until + 0.2
    # Those that are refused only after the hold are no news either; the first that was sent after it is.
    assert [of.refused(turn) for turn in under_way[10:]] == [0.0] * 9
    assert of.refused(given) == pytest.approx(2 * FIRST_HOLD_S)


def test_answers_to_requests_under_way_do_not_end_a_row_of_refusals() -> None:
    clock = Clock()
    of = pace(10, clock)
    before = of.turn()
    of.refused(of.turn())
    of.answered(before)
    again = of.turn()
    assert of.refused(again) == pytest.approx(2 * FIRST_HOLD_S)
    of.answered(of.turn())
    assert of.refused(of.turn()) == pytest.approx(FIRST_HOLD_S)


def test_a_refusal_of_one_advertiser_does_not_hold_the_others() -> None:
    clock = Clock()
    of = pace(100, clock)
    hold = of.refused(of.turn("1"), only_advertiser=True)
    began = clock.now
    turns(of, clock, 5, "2")
    assert clock.now - began < hold
    again = of.turn("1")
    assert clock.now - began >= hold
    longer = of.refused(again, only_advertiser=True)
    assert longer == pytest.approx(2 * hold)
    assert of.refused(of.turn("2"), only_advertiser=True) == pytest.approx(hold), "each has a row of its own"


def spacing(of: Pace, clock: Clock) -> float:
    """Seconds between turns at present."""
    first, second = turns(of, clock, 2)
    return second - first


def test_each_refusal_widens_the_spacing_a_little_and_answers_bring_it_back() -> None:
    clock = Clock()
    of = pace(10, clock)
    least = spacing(of, clock)
    widths = [least]
    for _ in range(10):
        of.refused(of.turn())
        of.turn()  # the first after the hold
        widths.append(spacing(of, clock))
    assert all(1.005 < later / earlier < 1.02 for earlier, later in pairwise(widths))
    for _ in range(3000):
        of.answered(of.turn())
    assert spacing(of, clock) == pytest.approx(least, rel=0.001)


def test_the_rate_never_falls_to_a_crawl() -> None:
    clock = Clock()
    of = pace(10, clock)
    for _ in range(2000):
        of.refused(of.turn())
    of.turn()
    assert spacing(of, clock) < 1


# --- many callers -----------------------------------------------------------------------------------------------------


@dataclass
class Request:
    """What one reader does: rests, asks for a turn, and after a while is answered or refused."""

    rest_s: float
    advertiser_id: str
    latency_s: float
    end: str


@dataclass
class Played:
    """What a run of many readers came to, in virtual time."""

    asked: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    times: list[tuple[float, str]] = field(default_factory=list)
    holds: list[tuple[float, float, str]] = field(default_factory=list)
    """From when to when nobody (or nobody of the advertiser) may send."""
    sleeps: int = 0
    ended: list[float] = field(default_factory=list)


def play(
    rate: float, readers: list[list[Request]], *, stop_after: float | None = None, late: list[float] | None = None
) -> Played:
    """Let the readers do their requests side by side."""
    stage, played, numbers = Stage(late), Played(), itertools.count()

    def sleep(seconds: float) -> bool:
        assert seconds > 0
        played.sleeps += 1
        return stage.oversleep(seconds)

    of = Pace(rate, clock=stage.clock, sleep=sleep, jitter=lambda: 0.5)

    def one(request: Request) -> Turn:
        number = next(numbers)
        played.asked.append(number)
        turn = of.turn(request.advertiser_id)
        if not stage.stopped:
            played.given.append(number)
            played.times.append((stage.now, request.advertiser_id))
        return turn

    def reader(requests: list[Request]) -> None:
        for request in requests:
            stage.sleep(request.rest_s)
            if stage.stopped:
                break
            turn = one(request)
            stage.sleep(request.latency_s)
            if request.end == "answered":
                of.answered(turn)
            else:
                alone = request.end == "refused alone"
                hold = of.refused(turn, only_advertiser=alone)
                played.holds.append((stage.now, stage.now + hold, request.advertiser_id if alone else ""))
        played.ended.append(stage.now)

    def stopper() -> None:
        assert stop_after is not None
        stage.sleep(stop_after)
        stage.stop()

    players = [lambda requests=requests: reader(requests) for requests in readers]
    stage.run(*players, *([stopper] if stop_after is not None else []))
    return played


def scripts(*ends: str) -> st.SearchStrategy[list[list[Request]]]:
    """Up to six readers with up to eight requests each."""
    request = st.builds(
        Request,
        rest_s=st.sampled_from([0.0, 0.0, 0.0, 0.03, 0.4]),
        advertiser_id=st.sampled_from(["1", "2"]),
        latency_s=st.sampled_from([0.0, 0.01, 0.25, 1.0]),
        end=st.sampled_from(ends),
    )
    return st.lists(st.lists(request, min_size=1, max_size=8), min_size=1, max_size=6)


ENDS = ("answered", "answered", "refused", "refused alone")
RATES = st.sampled_from([2, 5, 10, 40])


@given(rate=RATES, readers=scripts(*ENDS), late=st.lists(st.floats(0, 0.15), min_size=1, max_size=4))
def test_many_readers_never_send_more_in_any_second_than_permitted(
    rate: int, readers: list[list[Request]], late: list[float]
) -> None:
    played = play(rate, readers, late=late)
    assert len(played.times) == sum(map(len, readers))
    assert most_in_a_second([when for when, _ in played.times]) <= rate


@given(rate=RATES, readers=scripts("answered", "refused"))
def test_turns_are_given_in_the_order_in_which_they_were_asked_for(rate: int, readers: list[list[Request]]) -> None:
    """Also over refusals: whoever waits keeps the place."""
    played = play(rate, readers)
    assert played.given == played.asked


@given(rate=RATES, readers=scripts(*ENDS))
def test_nobody_sends_while_held_also_not_with_a_moment_given_before(rate: int, readers: list[list[Request]]) -> None:
    played = play(rate, readers)
    for begin, end, held in played.holds:
        early = [when for when, who in played.times if begin < when < end - 0.001 and held in ("", who)]
        assert not early, f"held from {begin} to {end}"


@given(rate=RATES, readers=scripts(*ENDS), stop_after=st.floats(0, 3))
def test_the_end_of_the_run_releases_everybody_at_once(
    rate: int, readers: list[list[Request]], stop_after: float
) -> None:
    assert max(play(rate, readers, stop_after=stop_after).ended) <= 1000.0 + stop_after + 0.001


def test_each_of_many_readers_sleeps_once_for_its_turn() -> None:
    request = Request(0.0, "1", 0.05, "answered")
    played = play(10, [[request] * 10 for _ in range(20)])
    assert len(played.times) == 200
    assert played.sleeps <= 200
    last, first = played.times[-1][0], played.times[0][0]
    assert last - first == pytest.approx(199 * 0.102)


def test_a_reader_whose_advertiser_is_held_while_it_waits_is_in_nobodys_way() -> None:
    stage = Stage()
    of = Pace(2, clock=stage.clock, sleep=stage.sleep, jitter=lambda: 0.5)
    hold, given = 0.0, []

    def refused(times: int) -> None:
        nonlocal hold
        for _ in range(times):
            turn = of.turn("1")
            stage.sleep(0.1)
            hold = of.refused(turn, only_advertiser=True)

    def patient() -> None:
        stage.sleep(0.05)
        of.turn("1")
        given.append(stage.now)

    def other() -> None:
        stage.sleep(0.2)
        for _ in range(4):
            of.turn("2")
            given.append(stage.now)

    stage.run(lambda: refused(5))
    stage.now += 5
    began = stage.now
    stage.run(lambda: refused(1), patient, other)
    # The first to have waited goes last, and the others lose no more than the one moment that was meant for it.
    assert [when - began for when in given[:4]] == pytest.approx([n * 0.51 for n in (2, 3, 4, 5)])
    assert given[4] - began >= hold > 3


def test_a_reader_that_is_interrupted_while_it_waits_leaves_its_place() -> None:
    clock = Clock()
    interrupt = False

    def sleep(seconds: float) -> None:
        if interrupt:
            raise KeyboardInterrupt
        clock.sleep(seconds)

    of = Pace(10, clock=clock, sleep=sleep)
    of.turn()
    interrupt = True
    with pytest.raises(KeyboardInterrupt):
        of.turn()
    interrupt = False
    clock.now += 10
    assert most_in_a_second(turns(of, clock, 20)) <= 10


@dataclass
class Service:
    """A strict limit per sliding second, as of the moment of arrival."""

    rate: int
    arrived: list[float] = field(default_factory=list)

    def takes(self, now: float) -> bool:
        self.arrived = [when for when in self.arrived if when > now - 1.0]
        if len(self.arrived) >= self.rate:
            return False
        self.arrived.append(now)
        return True


@pytest.mark.parametrize("jitter_s", [0.0, 0.04, 0.1])
def test_jitter_on_the_way_costs_little_more_than_the_room_it_needs(jitter_s: float) -> None:
    """900 requests at 10 per second against a strict window; requests arrive up to ``jitter_s`` apart."""
    stage, service, chance = Stage(), Service(10), Random(7)
    of = Pace(10, clock=stage.clock, sleep=stage.sleep, jitter=lambda: 0.5)
    left = iter(range(900))

    def reader() -> None:
        for _ in left:
            while True:
                turn = of.turn()
                stage.sleep(0.03 + chance.random() * jitter_s)
                if service.takes(stage.now):
                    break
                of.refused(turn)
            of.answered(turn)

    stage.run(*[reader] * 4)
    assert stage.now - 1000.0 <= 90 * 1.03 * (1 + jitter_s)


# --- limits of attempts -----------------------------------------------------------------------------------------------


def test_a_faulty_call_is_tried_so_often_and_then_given_up() -> None:
    clock = Clock()
    tried = []

    def fails() -> None:
        tried.append(clock.now)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        retrying(OSError, Limits(4, 1e9, sleep=clock.sleep, clock=clock))(fails)
    assert len(tried) == 4
    waits = [b - a for a, b in pairwise(tried)]
    assert all(0.4 <= wait <= 31 for wait in waits)
    assert waits[-1] > waits[0]


def test_a_faulty_call_is_not_tried_again_after_the_deadline() -> None:
    clock = Clock()
    tried = []

    def fails() -> None:
        tried.append(clock.now)
        clock.now += 20
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        retrying(OSError, Limits(100, 60.0, first_s=0.1, longest_s=1.0, sleep=clock.sleep, clock=clock))(fails)
    assert len(tried) == 3


def test_waits_stay_within_the_limits() -> None:
    clock = Clock()
    tried = []

    def fails() -> None:
        tried.append(clock.now)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        retrying(OSError, Limits(20, 1e9, first_s=0.2, longest_s=3.0, sleep=clock.sleep, clock=clock))(fails)
    waits = [b - a for a, b in pairwise(tried)]
    assert max(waits) <= 3.2 + 1e-6
    assert waits[-1] >= 3.0 - 1e-6


def test_only_the_named_kind_of_fault_is_tried_again() -> None:
    tried = []

    def fails() -> None:
        tried.append(1)
        raise KeyError

    with pytest.raises(KeyError):
        retrying(OSError, Limits(4, 60, sleep=Clock().sleep))(fails)
    assert len(tried) == 1


def test_waiting_leaves_the_random_numbers_of_the_process_alone() -> None:
    # A test that draws its cases by chance would differ from run to run with what other threads wait for.
    clock, before = Clock(), getstate()
    pace = Pace(10, clock=clock, sleep=clock.sleep)
    turn = pace.turn()
    pace.refused(turn)
    waited: list[float] = []

    def fails() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        retrying(OSError, Limits(4, 60.0, sleep=waited.append, clock=clock))(fails)
    assert len(set(waited)) == 3
    assert getstate() == before
