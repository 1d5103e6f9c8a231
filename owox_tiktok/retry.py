"""How long to wait, and how fast to go. Clock and sleep are arguments, so nothing here needs real time to be tested."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, retry_if_exception
from tenacity.wait import wait_exponential

HEADROOM = 1.02
"""Requests are spaced at least this much wider than the limit says: some arrive late and the next is then early."""
MOST_HEADROOM = 8.0
"""However often TikTok refuses, the rate never falls below an eighth."""
WIDER = 1.01
"""Each refusal widens the spacing by so much: over a real network a window of one second needs room for the jitter."""
ANSWERS_BACK = 500
"""After so many answers about two thirds of the learnt headroom are gone again."""
LATE_S = 0.9 * (HEADROOM - 1)
"""A turn may be taken so much late without delaying the one a second later: the headroom covers it."""

FIRST_HOLD_S = 0.1
LONGEST_HOLD_S = 60.0
"""A refusal that follows another doubles the hold, up to the longest; TikTok's minute block lasts five minutes."""

_SAME_MOMENT_S = 1e-6
_NEXT_MOMENT_S = 1e-3

_CHANCE = random.Random()  # noqa: S311 - it spreads requests, and guards nothing
"""Our own, so that waiting leaves the random numbers of the process that we are part of as they were."""


@dataclass(slots=True, eq=False)
class Turn:
    """Permission to send one request: for whom, and from which moment of the pace's clock on."""

    advertiser_id: str
    at: float


@dataclass(slots=True)
class _Hold:
    """How long nobody may send. Only refusals of requests that were sent after the last one make it longer."""

    in_a_row: int = 0
    began: float = -math.inf
    until: float = -math.inf

    def refused(self, turn: Turn, now: float, jitter: float) -> bool:
        """Hold from ``now`` on; False when the request was already under way when the hold began."""
        if turn.at <= self.began:
            return False
        hold_s = min(LONGEST_HOLD_S, FIRST_HOLD_S * 2.0 ** min(self.in_a_row, 32))
        self.in_a_row += 1
        self.began, self.until = now, now + hold_s * (0.75 + 0.5 * jitter)
        return True

    def answered(self, turn: Turn) -> None:
        """Begin again with a short hold, if the answered request was sent after the hold."""
        if turn.at > self.began:
            self.in_a_row = 0


class Pace:
    """One pace for the whole developer app, shared by all readers: at the permitted rate and not below it.

    ``turn`` hands out moments in the order of the calls, and each caller sleeps once until its own. Who oversleeps goes
    late and delays nobody, but for the one a second later: no second sees more turns than permitted. ``turn`` returns
    early when ``sleep`` returns something true: the run is ending. A refusal holds everybody for a moment, longer when
    refusals follow each other, and widens the spacing a little; answers slowly bring it back. Whoever waits is
    moved back in order. A refusal that concerns one advertiser holds only that advertiser.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = _CHANCE.random,
    ) -> None:
        self._rate = rate
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._lock = threading.Lock()
        self._headroom = HEADROOM
        self._next = -math.inf
        self._window = math.ceil(rate)
        self._given: deque[float] = deque(maxlen=self._window)
        """When the last turns were taken, as many as a second may see."""
        self._waiting: dict[Turn, None] = {}
        """Who waits for a moment, in order: a dictionary, so that one who leaves is found at once."""
        self._hold = _Hold()
        self._holds: dict[str, _Hold] = {}

    @property
    def rate(self) -> float:
        """How many requests a second are permitted."""
        return self._rate

    def turn(self, advertiser_id: str = "") -> Turn:
        """Wait for the next turn and return it; at once when the run is ending."""
        turn = Turn(advertiser_id, -math.inf)
        try:
            while (wait_s := self._ask(turn)) and not self._sleep(wait_s):
                pass
        finally:
            with self._lock:
                self._waiting.pop(turn, None)
        return turn

    def _ask(self, turn: Turn) -> float:
        """Return how long ``turn`` has to wait still, 0 when it is given; it joins those who wait, unless held."""
        with self._lock:
            now = self._clock()
            hold = self._holds.get(turn.advertiser_id)
            if hold and hold.until > now + _SAME_MOMENT_S:
                self._waiting.pop(turn, None)
                return hold.until - now
            if turn not in self._waiting:
                # Keep the beat when its last moment has just passed, and never make up for more.
                turn.at = self._next if now - self._next < self._step_s else now
                self._waiting[turn] = None
                self._next = turn.at + self._step_s
            if turn.at <= now + _SAME_MOMENT_S < (room := self._room_at()):
                self._move_back(room, _NEXT_MOMENT_S)
            if turn.at > now + _SAME_MOMENT_S:
                return turn.at - now
            del self._waiting[turn]
            turn.at = now
            self._given.append(now)
            return 0.0

    @property
    def _step_s(self) -> float:
        return self._headroom / self._rate

    def _room_at(self) -> float:
        """Return when a window of a second has room for one more, also if some turns were taken late."""
        if len(self._given) < self._window:
            return -math.inf
        return self._given[0] + self._window * self._step_s - LATE_S

    def _move_back(self, first: float, apart: float) -> None:
        """Let nobody who waits go before ``first``, nor less than ``apart`` after the one ahead; the order stays."""
        for turn in self._waiting:
            turn.at = max(first, turn.at)
            first = turn.at + apart
        self._next = max(self._next, first)

    def refused(self, turn: Turn, *, only_advertiser: bool = False) -> float:
        """Slow down after TikTok refused a request for its rate; return the seconds for which nobody may send.

        ``only_advertiser``: the limit was that of the turn's advertiser; the others go on.
        """
        with self._lock:
            now = self._clock()
            hold = self._holds.setdefault(turn.advertiser_id, _Hold()) if only_advertiser else self._hold
            if hold.refused(turn, now, self._jitter()) and not only_advertiser:
                self._headroom = min(MOST_HEADROOM, self._headroom * WIDER)
                self._move_back(hold.until, self._step_s)
            return max(0.0, hold.until - now)

    def answered(self, turn: Turn) -> None:
        """Go back towards the permitted rate after an answer."""
        with self._lock:
            for hold in (self._hold, self._holds.get(turn.advertiser_id)):
                if hold:
                    hold.answered(turn)
            self._headroom -= (self._headroom - HEADROOM) / ANSWERS_BACK


@dataclass(frozen=True, slots=True)
class Limits:
    """How often and how long a failing call is tried again: ``attempts`` in all, none begun after ``deadline_s``.

    The wait doubles from ``first_s`` to ``longest_s``, and up to ``first_s`` is added at random. Clock and sleep belong
    to it, so that whoever is given limits needs no other way to be tested without real time.
    """

    attempts: int
    deadline_s: float
    first_s: float = 0.5
    longest_s: float = 30.0
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)


def retrying(
    on: type[BaseException] | Callable[[BaseException], bool],
    limits: Limits,
    *,
    before_sleep: Callable[[RetryCallState], None] | None = None,
) -> Retrying:
    """Return a tenacity loop that retries ``on`` within ``limits``; the deadline counts from now on.

    ``on`` is a class of errors, or a function that says of an error whether to retry.
    """
    until = limits.clock() + limits.deadline_s

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number >= limits.attempts or limits.clock() >= until

    def sleep(seconds: float) -> None:
        limits.sleep(seconds)

    growing = wait_exponential(multiplier=limits.first_s, max=limits.longest_s)

    def wait(state: RetryCallState) -> float:
        return growing(state) + _CHANCE.uniform(0, limits.first_s)

    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, on) if isinstance(on, type) else on(error)),
        stop=stop,
        wait=wait,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
