"""How many calls TikTok takes, and what it does to those who make more or let reports time out."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from owox_tiktok.local.tiktok.rules import Refusal

TIMEOUT_PENALTIES = ((10, 5), (20, 1), (30, 0))
"""So many time-outs within ten seconds leave the app so many calls per second, for ``TIMEOUT_PENALTY_S``."""
TIMEOUT_PENALTY_S = 300.0

TIMEOUTS_OF_ONE_REQUEST = 3
TIMEOUT_BLOCK_S = 600.0
"""So many time-outs of the same request within this time block it for as long."""


@dataclass
class Limits:
    """Calls allowed. None means no limit. All of them count per app, except the per-advertiser one.

    ``per_minute``: the call over it blocks the app for ``block_s`` seconds. ``per_day``: the call over it
    blocks the app until the day ends in UTC.
    ``per_advertiser_qps`` counts per advertiser and path, ``tasks_per_second`` the creation of report tasks,
    ``per_path_qps`` the calls of each endpoint (the sandbox has one a second).
    """

    qps: int | None = None
    per_minute: int | None = None
    block_s: float = 300.0
    per_day: int | None = None
    per_advertiser_qps: int | None = None
    tasks_per_second: int | None = None
    per_path_qps: int | None = None


class Gate:
    """Counts calls against :class:`Limits`. Safe to use from many threads."""

    def __init__(
        self,
        limits: Limits,
        app_id: str,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.limits = limits
        self._today = today
        self._day: tuple[date, int] = (date.min, 0)
        self._timeouts: deque[float] = deque()
        self._slow: tuple[int, float] | None = None
        self._timeouts_of: dict[str, deque[float]] = {}
        self._blocked: dict[str, float] = {}
        self._app_id = app_id
        self._clock = clock
        self._lock = threading.Lock()
        self._second: deque[float] = deque()
        self._minute: deque[float] = deque()
        self._blocked_until = 0.0
        self._per_advertiser: dict[tuple[str, str], deque[float]] = {}

    def check_app(self) -> None:
        """Count one call of the app; raises 40100 when it is one too many."""
        limits = self.limits
        if limits.qps is None and limits.per_minute is None and limits.per_day is None and self._slow is None:
            return
        with self._lock:
            now = self._clock()
            if now < self._blocked_until:
                raise self._restricted()
            if limits.per_day is not None:
                today = self._today()
                self._day = (today, self._day[1] + 1 if self._day[0] == today else 1)
                if self._day[1] > limits.per_day:
                    raise self._restricted()
            if limits.per_minute is not None:
                _forget(self._minute, now - 60)
                self._minute.append(now)
                if len(self._minute) > limits.per_minute:
                    self._minute.clear()
                    self._blocked_until = now + limits.block_s
                    raise self._restricted()
            qps = self._qps(now)
            if qps is not None:
                _forget(self._second, now - 1)
                if len(self._second) >= qps:
                    raise Refusal(
                        40100,
                        f"App {self._app_id} reaches the QPS limit {qps}, current QPS is {len(self._second) + 1}.",
                    )
                self._second.append(now)

    def check_advertiser(self, advertiser_id: str, path: str) -> None:
        """Count one call for an advertiser and path; raises 40133 when it is one too many."""
        limit = self.limits.per_advertiser_qps
        if limit is None:
            return
        with self._lock:
            now = self._clock()
            calls = self._per_advertiser.setdefault((advertiser_id, path), deque())
            _forget(calls, now - 1)
            if len(calls) >= limit:
                raise Refusal(
                    40133,
                    f"Advertiser ({advertiser_id})'s QPS ({len(calls) + 1}) reaches QPS limit {limit} "
                    "for current path, request is temporarily restricted.",
                )
            calls.append(now)

    def check_path(self, path: str) -> None:
        """Count one call of an endpoint; raises 40016 when it is one too many."""
        limit = self.limits.per_path_qps
        if limit is None:
            return
        with self._lock:
            now = self._clock()
            calls = self._per_advertiser.setdefault(("", path), deque())
            _forget(calls, now - 1)
            if len(calls) >= limit:
                raise Refusal(40016, "Request is throttled, please retry later.")
            calls.append(now)

    def check_request(self, url: str) -> None:
        """Refuse a request that has timed out too often; another one, such as a smaller one, passes."""
        if url in self._blocked:
            with self._lock:
                if self._clock() < self._blocked[url]:
                    raise Refusal(40016, "This request has timed out too often, please reduce it or retry later.")
                del self._blocked[url]
                self._timeouts_of.pop(url, None)

    def note_timeout(self, url: str) -> None:
        """A report has timed out: count it against the request, and against the app."""
        with self._lock:
            now = self._clock()
            own = self._timeouts_of.setdefault(url, deque())
            _forget(own, now - TIMEOUT_BLOCK_S)
            own.append(now)
            if len(own) >= TIMEOUTS_OF_ONE_REQUEST:
                self._blocked[url] = now + TIMEOUT_BLOCK_S
            _forget(self._timeouts, now - 10)
            self._timeouts.append(now)
            for count, qps in TIMEOUT_PENALTIES:
                if len(self._timeouts) >= count and (self._slow is None or qps <= self._slow[0]):
                    self._slow = (qps, now + TIMEOUT_PENALTY_S)

    def _qps(self, now: float) -> int | None:
        """Calls per second that the app has at the moment."""
        if self._slow is not None and now >= self._slow[1]:
            self._slow = None
        known = [one for one in (self.limits.qps, self._slow and self._slow[0]) if one is not None]
        return min(known, default=None)

    def _restricted(self) -> Refusal:
        return Refusal(
            40100,
            f"Due to too many requests, requests from App {self._app_id} are temporarily restricted.",
        )


def _forget(calls: deque[float], before: float) -> None:
    while calls and calls[0] <= before:
        calls.popleft()
