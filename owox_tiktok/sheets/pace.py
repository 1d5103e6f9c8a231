"""Google's quota, shared by all spreadsheets that one account reads and writes: who may call when.

Google counts reads and writes apart, per minute and account, whatever spreadsheet they are for. So all runs of a
process that call as the same account share one ``Pace``: a call is given the first moment at which the minute behind it
has room. When Google refuses all the same, because another process calls as the same account, everybody waits and then
goes slowly. Knows no call and no spreadsheet.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["read", "write"]

PER_MINUTE = 60
"""Reads, and as many writes, that Google grants an account in a project per minute."""
PER_MINUTE_VARIABLE = "SHEETS_REQUESTS_PER_MINUTE"
"""Environment variable with another number, where Google has granted more or several programs share the account."""
URGENT = 5
"""So many of them are left to calls that cannot wait: signs of life, and the end of a run."""
WINDOW_S = 61.0
"""A minute as we count it: calls take a moment to arrive, and Google's clock is not ours."""
FIRST_HOLD_S, LONGEST_HOLD_S = 1.0, 32.0
"""After a refusal nobody calls for so long; a refusal that follows another doubles it."""


@dataclass(slots=True)
class _Calls:
    """The calls of one kind: when the last ones are sent, and how long nobody sends."""

    sent: deque[float] = field(default_factory=deque)
    held_since: float = float("-inf")
    held_until: float = float("-inf")
    slow_until: float = float("-inf")
    in_a_row: int = 0


class Pace:
    """Moments for calls, for all runs that share an account. ``per_minute`` None: as many as they like.

    Moments are those of a clock that the callers share (``Limits.clock``); who is given one waits for it by itself.
    """

    def __init__(self, per_minute: int | None, *, jitter: Callable[[], float] = random.random) -> None:
        self._most = per_minute
        self._jitter = jitter
        self._lock = threading.Lock()
        self._calls: dict[Kind, _Calls] = {"read": _Calls(), "write": _Calls()}

    def take(self, kind: Kind, now: float, *, until: float | None = None, urgent: bool = False) -> float | None:
        """Return the moment at which a call may be sent, ``now`` or later; None when that is after ``until``.

        An ``urgent`` call does not queue behind the others; a few of each minute are kept for those.
        """
        with self._lock:
            calls = self._calls[kind]
            while calls.sent and calls.sent[0] <= now - WINDOW_S:
                calls.sent.popleft()
            at = max(now, calls.held_until)
            if not urgent and at < calls.slow_until and calls.sent:
                at = max(at, calls.sent[-1] + WINDOW_S / (self._most or PER_MINUTE))
            if self._most is not None:
                most = max(1, self._most if urgent else self._most - min(URGENT, self._most // 4))
                before = [s for s in calls.sent if s <= now] if urgent else calls.sent
                if not urgent and before:
                    at = max(at, before[-1])  # first come, first served
                if len(before) >= most:
                    at = max(at, before[-most] + WINDOW_S)
            if until is not None and at > max(until, now):
                return None
            self._note(calls, at)
            return at

    def refused(self, kind: Kind, sent: float, now: float) -> None:
        """Let nobody call for a while after Google refused, for the quota, a call that was sent at ``sent``."""
        with self._lock:
            calls = self._calls[kind]
            if sent <= calls.held_since:
                return  # it was under way when the hold began
            hold_s = min(LONGEST_HOLD_S, FIRST_HOLD_S * 2.0 ** min(calls.in_a_row, 16))
            calls.in_a_row += 1
            calls.held_since = now
            calls.held_until = now + hold_s * (0.75 + 0.5 * self._jitter())
            calls.slow_until = calls.held_until + WINDOW_S

    def answered(self, kind: Kind, sent: float) -> None:
        """Take note that a call was let through; the next hold is a short one again."""
        with self._lock:
            calls = self._calls[kind]
            if sent > calls.held_since:
                calls.in_a_row = 0

    @property
    def per_minute(self) -> int | None:
        """How many reads, and writes, a minute has; None for no limit."""
        return self._most

    def spent(self, kind: Kind, now: float) -> int:
        """Return how many calls were sent in the minute before ``now``."""
        with self._lock:
            return sum(now - WINDOW_S < sent <= now for sent in self._calls[kind].sent)

    @staticmethod
    def _note(calls: _Calls, at: float) -> None:
        later = []
        while calls.sent and calls.sent[-1] > at:  # an urgent one overtakes those who wait
            later.append(calls.sent.pop())
        calls.sent.append(at)
        calls.sent.extend(reversed(later))


_paces: dict[tuple[str, str, int | None], Pace] = {}
_paces_lock = threading.Lock()


def pace_of(base: str, account: str, per_minute: int | None) -> Pace:
    """Return the pace that all runs of this process share that call ``base`` as ``account``."""
    with _paces_lock:
        return _paces.setdefault((base, account, per_minute), Pace(per_minute))


def per_minute(environment: Mapping[str, str], *, google: bool) -> int | None:
    """Return how many reads, and writes, a minute has: what the environment says, else Google's; None for no limit."""
    said = environment.get(PER_MINUTE_VARIABLE, "").strip()
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return PER_MINUTE if google else None
