"""Trouble on demand: answers that fail before or after the work was done, slow ones, quotas."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from owox_tiktok.local.adjustable import Adjustable
from owox_tiktok.local.sheets.errors import quota

KINDS = (
    "http_429",
    "http_500",
    "http_503",
    "http_409",
    "html_502",
    "reset",
    "timeout",
    "lost",
    "late_500",
    "late_503",
    "late_timeout",
)
"""Passing failures. ``reset`` and ``timeout`` end without an answer and without effect; ``lost``,
``late_500``, ``late_503`` and ``late_timeout`` come after the request was carried out."""

AFTER = frozenset(("lost", "late_500", "late_503", "late_timeout"))


@dataclass
class Faults(Adjustable):
    """What goes wrong. May be changed while serving; nothing goes wrong by default.

    ``script`` names the failures of the next requests in order, an empty text lets one pass.
    ``rate`` is the share of requests that fail, taking turns among ``kinds``; by chance none fails more
    than ``in_a_row`` times running. Both count only requests whose ``METHOD path`` holds ``only``.

    Lasting: ``forbidden`` and ``office`` are ids of spreadsheets whose permission is withdrawn, or that
    are Office files. ``refuse_empty_filters`` makes changing or deleting developer metadata by a filter
    that selects nothing an error; it is not known which of the two the real API does.
    ``unlike`` names assumptions about the real API that do not hold, see ``unlike``.
    ``clock_ahead_s`` puts the answers' ``Date`` ahead, so that what runs out by Google's clock does so without waiting.
    """

    makers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "kinds": tuple,
        "forbidden": set,
        "office": set,
        "unlike": set,
    }

    rate: float = 0.0
    kinds: tuple[str, ...] = ("http_429", "http_500", "http_503", "reset", "lost", "late_500")
    script: list[str] = field(default_factory=list)
    only: str = ""
    seed: int = 1
    in_a_row: int = 3
    latency_s: float = 0.0
    jitter_s: float = 0.0
    timeout_s: float = 30.0
    forbidden: set[str] = field(default_factory=set)
    office: set[str] = field(default_factory=set)
    refuse_empty_filters: bool = False
    unlike: set[str] = field(default_factory=set)
    clock_ahead_s: float = 0.0

    def __post_init__(self) -> None:
        unknown = [kind for kind in (*self.kinds, *self.script) if kind and kind not in KINDS]
        if unknown:
            raise ValueError(f"unknown kinds of failure: {unknown}")


class FaultState:
    """Decides which request fails how. Safe to use from many threads."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._lock = threading.Lock()
        self._random = Random(faults.seed)
        self._turn = 0
        self._running: dict[str, int] = {}

    def latency(self) -> float:
        """Seconds to wait before answering."""
        faults = self.faults
        if not faults.latency_s and not faults.jitter_s:
            return 0.0
        with self._lock:
            return faults.latency_s + self._random.random() * faults.jitter_s

    def next_kind(self, request: str) -> str:
        """The failure of this request; empty for none."""
        faults = self.faults
        if faults.only not in request:
            return ""
        with self._lock:
            if faults.script:
                return faults.script.pop(0)
            if faults.rate <= 0 or not faults.kinds:
                return ""
            running = self._running.get(request, 0)
            if running >= faults.in_a_row or self._random.random() >= faults.rate:
                self._running.pop(request, None)
                return ""
            self._running[request] = running + 1
            kind = faults.kinds[self._turn % len(faults.kinds)]
            self._turn += 1
            return kind


class Quota:
    """Reads and writes allowed per minute and person, counted apart; None allows everything."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = -1
        self._used: dict[tuple[str, str], int] = {}

    def take(self, email: str, kind: str) -> None:
        """Count one call, ``Read`` or ``Write``; raises 429 when it is one too many."""
        if self.per_minute is None:
            return
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute:
                self._minute = minute
                self._used.clear()
            key = (email, kind)
            if self._used.get(key, 0) >= self.per_minute:
                raise quota(kind)
            self._used[key] = self._used.get(key, 0) + 1

    def refill(self) -> None:
        """Start a new minute now."""
        with self._lock:
            self._used.clear()
