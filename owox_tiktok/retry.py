"""How long to wait, and how fast to go. Clock and sleep are arguments, so nothing here needs real time to be tested."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, stop_any
from tenacity.wait import wait_exponential, wait_random

HEADROOM = 1.02
"""Requests are spaced this much wider than the limit says: some arrive late and the next is then early."""

FIRST_HOLD_S = 1.0
LONGEST_HOLD_S = 60.0
"""A refused rate doubles the wait from the first to the longest; TikTok's minute block lasts about five minutes."""


class Pace:
    """One pace for the whole developer app, shared by all readers: at the permitted rate and not below it.

    ``turn`` blocks until the caller may send, or until ``sleep`` returns something true: the run is ending.
    A refusal holds everybody, longer each time in a row, and lowers the rate a little; answers bring the rate back.
    A refusal that concerns one advertiser holds only that advertiser.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._top = rate
        self._rate = rate
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._lock = threading.Lock()
        self._next = 0.0
        self._holds = 0
        self._held_until = 0.0
        self._advertiser_until: dict[str, float] = {}
        self._advertiser_holds: dict[str, int] = {}

    @property
    def rate(self) -> float:
        """Requests per second at present."""
        return self._rate

    def turn(self, advertiser_id: str = "") -> float:
        """Wait for the next turn; return how many seconds that took."""
        began = self._clock()
        while True:
            with self._lock:
                now = self._clock()
                at = max(self._next, self._held_until, self._advertiser_until.get(advertiser_id, 0.0))
                if at <= now + 1e-6:
                    # Keep the beat when a turn is so little late that the headroom covers it; never make up for more.
                    step = HEADROOM / self._rate
                    self._next = (at if now - at < HEADROOM - 1 else now) + step
                    return now - began
                wait = at - now
            if self._sleep(wait):
                return self._clock() - began

    def refused(self, advertiser_id: str | None = None) -> float:
        """Slow down after a rate refusal (of one advertiser, or of the app); return the seconds everybody waits."""
        with self._lock:
            now = self._clock()
            if advertiser_id is not None:
                if now < (until := self._advertiser_until.get(advertiser_id, 0.0)):
                    return until - now
                holds = self._advertiser_holds[advertiser_id] = self._advertiser_holds.get(advertiser_id, 0) + 1
                hold = self._hold(holds)
                self._advertiser_until[advertiser_id] = now + hold
                return hold
            if now < self._held_until:
                return self._held_until - now  # a request that was under way when the first one was refused
            self._holds += 1
            self._rate = max(self._top / 8, self._rate * 0.9)
            hold = self._hold(self._holds)
            self._held_until = now + hold
            return hold

    def _hold(self, in_a_row: int) -> float:
        return min(LONGEST_HOLD_S, FIRST_HOLD_S * 2.0 ** (in_a_row - 1)) * (0.75 + 0.5 * self._jitter())

    def answered(self, advertiser_id: str = "") -> None:
        """Go back towards the permitted rate after an answer."""
        if not self._holds and not self._advertiser_holds and self._rate == self._top:
            return
        with self._lock:
            self._holds = 0
            self._advertiser_holds.pop(advertiser_id, None)
            self._rate = min(self._top, self._rate * 1.01)


def retrying(
    on: type[BaseException],
    *,
    attempts: int,
    deadline_s: float,
    first_s: float = 0.5,
    longest_s: float = 30.0,
    sleep: Callable[[float], object] = time.sleep,
    before_sleep: Callable[[RetryCallState], None] | None = None,
) -> Retrying:
    """Return a tenacity loop: jittered exponential waits, ended by ``attempts`` or ``deadline_s``."""

    def wait(seconds: float) -> None:
        sleep(seconds)

    return Retrying(
        retry=retry_if_exception_type(on),
        stop=stop_any(stop_after_attempt(attempts), stop_after_delay(deadline_s)),
        wait=wait_exponential(multiplier=first_s, max=longest_s) + wait_random(0, first_s),
        sleep=wait,
        before_sleep=before_sleep,
        reraise=True,
    )
