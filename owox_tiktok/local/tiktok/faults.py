"""Trouble on demand: limits on calls, and answers that fail in every way seen in the wild."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from owox_tiktok.local.adjustable import Adjustable

KINDS = (
    "http_500",
    "http_502_html",
    "http_503",
    "http_429",
    "code_50000",
    "code_50002",
    "code_51001",
    "code_51021",
    "code_40100",
    "code_40133",
    "code_40016",
    "code_40067",
    "reset",
    "truncated",
    "cut_json",
    "not_json",
    "timeout",
    "shifted_page",
)
"""Every kind of passing failure. 'timeout' only comes when asked for by name: it costs real seconds."""

WRONG_ANSWERS = (
    "row_gone",
    "outside_window",
    "missing_metric",
    "wrong_number",
    "null_key",
    "dash_key",
    "advertiser_twice",
    "advertiser_unasked",
    "no_zone",
    "unknown_zone",
    "half_emoji",
    "control_characters",
    "not_utf8",
    "deep_nesting",
    "list_of_nulls",
    "null_data",
    "code_20001",
)
"""Answers that arrive whole and hold what they must not; :mod:`.spoil` makes them."""

ON_REQUEST = (*WRONG_ANSWERS, "drip", "code_60001")
"""Kinds that come only when named: nothing in the answer tells a careless loader of most of them."""

TOO_LARGE = (
    "Your query is too large, please reduce the query size (e.g. fewer metrics or time range) and retry after a while."
)


def code_message(code: int, app_id: str, advertiser_id: str) -> str:
    """TikTok's words for a passing error code."""
    return {
        40002: "filtering: Invalid value.",
        40301: f"The advertiser {advertiser_id} is disabled.",
        40016: "Request is throttled, please retry later.",
        40067: TOO_LARGE,
        40100: f"App {app_id} reaches the QPS limit 10, current QPS is 11.",
        40133: f"Advertiser ({advertiser_id})'s QPS (21) reaches QPS limit 20 for current path, "
        "request is temporarily restricted.",
        50000: "System error",
        50002: "Service error",
        51001: "internal service timeout",
        51021: "Too many requests",
        51039: "internal service timeout",
        60001: "The service is under maintenance, please retry later.",
    }[code]


@dataclass(frozen=True, eq=False)
class Fault:
    """One failure at one place: the requests to ``path`` ("" = any) for ``page`` (None = any).

    ``where`` names parameters and a piece of text each must contain, such as ``{"data_level": "AUCTION_AD"}``.
    Each distinct URL fails ``times`` times before it is answered; None means always.
    """

    kind: str
    path: str = ""
    page: int | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    times: int | None = 1

    def fits(self, path: str, params: Mapping[str, str]) -> bool:
        """Whether a request is one of those that fail."""
        if self.path not in ("", path) or (self.page is not None and params.get("page", "1") != str(self.page)):
            return False
        return all(text in params.get(name, "") for name, text in self.where.items())


def _places(values: Iterable[Any]) -> tuple[Fault, ...]:
    return tuple(one if isinstance(one, Fault) else Fault(**one) for one in values)


@dataclass
class Faults(Adjustable):
    """What goes wrong. May be changed while serving; nothing goes wrong by default.

    Passing failures: ``rate`` is the share of requests that fail, taking turns among ``kinds``;
    ``fail_first`` lets every distinct URL fail that many times before it is answered. By chance no
    URL fails more than ``in_a_row`` times running, so a retrying client always gets through.
    ``at`` holds failures of chosen requests, which come before those of the share.

    Details: 'drip' sends ``drip_bytes`` bytes each ``drip_s`` seconds; 'wrong_number' adds ``wrong_by`` to the
    impressions of a row, but not to the total, and each time ``wrong_more``; 'deep_nesting' is ``nesting`` lists
    inside each other; 'missing_metric' leaves out ``missing`` ("" = the last one asked for);
    with ``shared_key`` two rows have the same key after 'null_key' or 'dash_key'.

    Lasting failures: report windows over ``too_large_over_days`` days get ``too_large_code``;
    reports of accounts with ``max_ads_per_report`` ads or more are cut to the newest so many (None =
    never), which TikTok does at 20,000; ``refused_metrics`` maps
    advertiser ids to metrics refused there (by name, unless ``refused_metrics_unnamed``);
    ``forbidden`` holds advertiser ids and paths answered with 40001; after ``revoked_after``
    requests the token is dead; the first ``failing_tasks`` report tasks fail; after ``hang_after``
    requests nothing is answered any more.
    """

    makers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"kinds": tuple, "forbidden": set, "at": _places}

    rate: float = 0.0
    kinds: tuple[str, ...] = tuple(kind for kind in KINDS if kind != "timeout")
    seed: int = 1
    in_a_row: int = 3
    fail_first: int = 0
    latency_s: float = 0.0
    jitter_s: float = 0.0
    timeout_s: float = 30.0
    at: tuple[Fault, ...] = ()
    drip_s: float = 1.0
    drip_bytes: int = 1
    nesting: int = 10_000
    wrong_by: int = 1
    wrong_more: int = 0
    missing: str = ""
    shared_key: bool = False
    too_large_over_days: int | None = None
    too_large_code: int = 40067
    max_ads_per_report: int | None = 20_000
    refused_metrics: dict[str, list[str]] = field(default_factory=dict)
    refused_metrics_unnamed: bool = False
    forbidden: set[str] = field(default_factory=set)
    revoked_after: int | None = None
    hang_after: int | None = None
    failing_tasks: int = 0

    def __post_init__(self) -> None:
        asked = (*self.kinds, *(one.kind for one in self.at))
        unknown = [kind for kind in asked if kind not in KINDS and kind not in ON_REQUEST]
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
        self._failed_first: dict[str, int] = {}
        self._failed_at: dict[tuple[Fault, str], int] = {}

    def latency(self) -> float:
        """Seconds to wait before answering."""
        faults = self.faults
        if not faults.latency_s and not faults.jitter_s:
            return 0.0
        with self._lock:
            return faults.latency_s + self._random.random() * faults.jitter_s

    def next_kind(
        self, url: str, applies: Callable[[str], bool], fits: Callable[[Fault], bool] = lambda fault: False
    ) -> str | None:
        """The failure of this request, or None.

        ``applies`` says whether a kind makes sense for it, ``fits`` whether it is one that a fault of ``at`` chooses.
        """
        faults = self.faults
        for fault in faults.at:
            if fits(fault) and applies(fault.kind):
                with self._lock:
                    before = self._failed_at.get((fault, url), 0)
                    if fault.times is None or before < fault.times:
                        self._failed_at[fault, url] = before + 1
                        return fault.kind
        if faults.rate <= 0 and faults.fail_first <= 0:
            return None
        with self._lock:
            first = self._failed_first.get(url, 0)
            if first < faults.fail_first:
                self._failed_first[url] = first + 1
            else:
                running = self._running.get(url, 0)
                if running >= faults.in_a_row or self._random.random() >= faults.rate:
                    self._running.pop(url, None)
                    return None
                self._running[url] = running + 1
            for _ in range(len(faults.kinds)):
                kind = faults.kinds[self._turn % len(faults.kinds)]
                self._turn += 1
                if applies(kind):
                    return kind
            return None
