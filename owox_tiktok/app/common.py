"""What every use of the program needs: which part of the settings is meant, TikTok's API, its accounts, and waiting.

Nothing here plans, reads or stores.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from owox_tiktok.central.store import open_store
from owox_tiktok.central.turns import SCHEDULE, LeasedPace
from owox_tiktok.errors import BadInput, Halted, Mistake, Problem
from owox_tiktok.events import Listener, Waiting, Warned
from owox_tiktok.model import Window
from owox_tiktok.names import instead
from owox_tiktok.plan import Pair, oldest_kept
from owox_tiktok.retry import Pace
from owox_tiktok.settings import BY_NAME, EARLIEST, Settings, before_tiktok
from owox_tiktok.states import Reason
from owox_tiktok.streams import find
from owox_tiktok.tiktok.accounts import Accounts
from owox_tiktok.tiktok.client import BOUNDS, App, Bounds, TikTok, base_url
from owox_tiktok.tiktok.questions import Question
from owox_tiktok.tiktok.reader import Source

T = TypeVar("T")

SECONDS_IN_FLIGHT = 2.0
"""A report may take TikTok this long; so many seconds' worth of requests are under way to keep the permitted rate."""
MOST_READERS = 24
PACE_STORE, PACE_WEIGHT = "TIKTOK_PACE_STORE", "TIKTOK_PACE_WEIGHT"
"""Environment variables: where the pace of an app is shared, and how much of it this run should have beside others."""


def readers_for(rate: float) -> int:
    """Return how many readers keep ``rate`` requests per second going."""
    return max(2, min(MOST_READERS, math.ceil(rate * SECONDS_IN_FLIGHT)))


def connect(
    settings: Settings, listen: Listener, environment: Mapping[str, str] | None = None, bounds: Bounds = BOUNDS
) -> TikTok:
    """Return TikTok's API as the settings say; ``TIKTOK_API_URL`` in the environment replaces its address."""
    stopped = threading.Event()
    return TikTok(
        base_url(settings.sandbox_mode, environment),
        settings.access_token,
        pace_of(settings, os.environ if environment is None else environment, stopped),
        stopped=stopped,
        app=App(settings.app_id, settings.app_secret),
        on_wait=lambda seconds, reason: listen(Waiting(seconds, reason)),
        on_warning=lambda advertiser_id, message: listen(Warned("", advertiser_id, message)),
        bounds=bounds,
    )


def pace_of(settings: Settings, environment: Mapping[str, str], stopped: threading.Event) -> Pace:
    """Return the pace of a run: its own, or one that it shares with all who name the same store and use the same app.

    The app is known by its id where that is given, else the token stands for it. BadInput for an address of a store, or
    a weight, that cannot be.
    """
    address, said = environment.get(PACE_STORE, "").strip(), environment.get(PACE_WEIGHT, "").strip()
    if not address:
        return Pace(settings.requests_per_second, sleep=stopped.wait)
    if said and not (re.fullmatch(r"\d{1,3}(\.\d{1,3})?", said) and float(said)):
        raise BadInput([Mistake(PACE_WEIGHT, f"{said[:20]!r} is not a weight", "Write a number such as 1 or 4.")])
    whose = settings.app_id or settings.access_token.reveal()
    app = hashlib.sha256(f"{'sandbox' if settings.sandbox_mode else 'production'} {whose}".encode()).hexdigest()[:24]
    return LeasedPace(
        settings.requests_per_second,
        store=open_store(address, environment),
        name=f"pace/{app}.json",
        weight=float(said) if said else SCHEDULE,
        sleep=stopped.wait,
    )


# --- which part of the settings -------------------------------------------------------------------------------------


Days = tuple[date, date]
"""The first and the last day of a backfill, both included."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the settings is wanted: some objects, some ad accounts, some days; all where none is named."""

    objects: Sequence[str] = ()
    advertisers: Sequence[str] = ()
    days: Days | None = None


EVERYTHING = Selection()


def only(settings: Settings, names: Sequence[str], advertisers: Sequence[str] = ()) -> Settings:
    """Return the settings with just the objects ``names`` and the accounts ``advertisers``, all where none is named.

    Raises BadInput for one that is not configured.
    """
    chosen, mistakes = [], []
    for one in advertisers:
        if settings.advertiser_ids and one not in settings.advertiser_ids:
            advice = f"Add it to advertiser_ids in {settings.source}."
            mistakes.append(Mistake(f"--advertiser {one}", f"is not among those of {settings.source}", advice))
    for name in names:
        stream = find(name) or next((s for s in settings.objects if s.name == name), None)
        if stream is None or stream not in settings.objects:
            advice = instead("object", name, [s.name for s in settings.objects])
            advice = advice or f"Add it to objects in {settings.source}."
            mistakes.append(Mistake(f"--object {name}", f"is not among the objects of {settings.source}", advice))
        else:
            chosen.append(stream)
    if mistakes:
        raise BadInput(mistakes)
    return replace(
        settings,
        objects=tuple(s for s in settings.objects if s in chosen or not names),
        advertiser_ids=tuple(dict.fromkeys(advertisers)) or settings.advertiser_ids,
    )


def backfill_range(first: date | None, last: date | None, now: datetime) -> Days | None:
    """Return the days of ``--from`` and ``--to``; raises BadInput when they cannot be."""
    if first is None and last is None:
        return None
    if first is None:
        raise BadInput([Mistake("--to", "needs a first day as well", "Add --from, such as --from 2026-01-01.")])
    tomorrow = now.date() + timedelta(days=1)
    if first < EARLIEST:
        raise BadInput([before_tiktok("--from", first)])
    if first > tomorrow:
        raise BadInput([Mistake("--from", f"{first} is in the future", "Give a day that is not in the future.")])
    last = last or tomorrow
    if first > last:
        raise BadInput([Mistake("--from", f"{first} is after --to {last}", "Swap the two dates.")])
    return first, last


def check_kept(settings: Settings, backfill: Days | None, now: datetime) -> None:
    """Raise BadInput for a backfill that begins before the days that are kept."""
    keep = settings.clean_up_to_keep_window
    if keep and backfill and backfill[0] < (oldest := oldest_kept(now.date(), keep)):
        name = settings.wording.say(BY_NAME["clean_up_to_keep_window"])
        what = f"{backfill[0]} is before {oldest}, the oldest day that {name} keeps"
        raise BadInput([Mistake("--from", what, "Start later, or keep more days.")])


def accounts_of(source: Source, settings: Settings) -> Accounts:
    """Return the ad accounts of the settings, as TikTok describes them; raises Problem when there are none."""
    ids = settings.advertiser_ids or source.advertiser_ids()
    if not ids:
        raise Problem(
            "the authorisation covers no ad account",
            what_to_do="Authorise the app again with a user who has access to the accounts, and tick them.",
        )
    return source.advertisers(ids)


# --- questions, and waiting for their answers ---------------------------------------------------------------------


def question(pair: Pair, window: Window | None, *, hash_personal: bool = False) -> Question:
    """Return what TikTok is asked for a window of a pair."""
    return Question(pair.stream, pair.advertiser, window, pair.fields, pair.with_deleted, pair.read_on, hash_personal)


def until(halted: Callable[[], Reason | None], items: Iterable[T]) -> Iterator[T]:
    """Yield the items; raises Halted before the next one once ``halted`` gives a reason."""
    for item in items:
        if reason := halted():
            raise Halted(reason)
        yield item


def unless(halted: Callable[[], Reason | None], work: Callable[[], T]) -> T:
    """Return what ``work`` returns; raises Halted as soon as ``halted`` gives a reason, and leaves it to end by itself.

    Only for work that changes nothing: it may still be waiting for TikTok when the program is over.
    """
    said: list[T] = []
    faults: list[Exception] = []

    def do() -> None:
        try:
            said.append(work())
        except Exception as error:
            faults.append(error)

    join([threading.Thread(target=do, daemon=True)], halted)
    if faults:
        raise faults[0]
    return said[0]


def join(threads: Sequence[threading.Thread], halted: Callable[[], Reason | None]) -> None:
    """Start threads and wait for all, in small steps, so that ``halted`` is asked and Ctrl-C is noticed."""
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.1)
            if reason := halted():
                raise Halted(reason)


def side_by_side(
    api: TikTok,
    ask: Callable[[Pair], T],
    pairs: Sequence[Pair],
    settings: Settings,
    halted: Callable[[], Reason | None],
) -> list[T]:
    """Return what ``ask`` says of each pair, asked at the permitted rate; raises Halted."""
    said = sampled(api, ask, pairs, settings, halted, math.inf)
    return [said[n] for n in range(len(pairs))]


def sampled(
    api: TikTok,
    ask: Callable[[Pair], T],
    pairs: Sequence[Pair],
    settings: Settings,
    halted: Callable[[], Reason | None],
    until: float,
) -> dict[int, T]:
    """Return what ``ask`` says of as many pairs as can be asked until a moment of ``time.monotonic``, by their numbers.

    Objects take turns, so that each has been asked about when the time is over. Raises Halted.
    """
    turns: Counter[str] = Counter()
    order: list[tuple[int, int, Pair]] = []
    for number, pair in enumerate(pairs):
        order.append((turns[pair.stream.name], number, pair))
        turns[pair.stream.name] += 1
    if until < math.inf:
        order.sort(key=lambda one: one[:2])
    left = iter(order)
    lock = threading.Lock()
    said: dict[int, T] = {}
    faults: list[Exception] = []

    def reader() -> None:
        while not faults and time.monotonic() < until:
            with lock:
                _, number, pair = next(left, (0, 0, None))
            if pair is None:
                return
            try:
                answer = ask(pair)
            except Exception as error:
                faults.append(error)
                return
            with lock:
                said[number] = answer

    def over() -> Reason | None:
        if reason := halted():
            return reason
        return Reason.OUT_OF_TIME if time.monotonic() >= until else None

    # Daemons: one that waits for an answer must not keep the program from ending.
    count = min(len(pairs), readers_for(settings.requests_per_second))
    threads = [threading.Thread(target=reader, daemon=True) for _ in range(count)]
    try:
        join(threads, over)
    except Halted:
        if halted():
            raise
    finally:
        with lock:
            answers, raised = dict(said), list(faults)
        api.stop()
    if raised:
        raise raised[0]
    return answers


def amount_of(text: str) -> Decimal:
    """Return an amount as people copy it: 1234.56, 1,234.56, 1.234,56, with a currency around it; else ValueError."""
    digits = re.sub(r"[^\d.,-]", "", text)
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+(,\d+)?|-?\d+,\d{1,2}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    try:
        return Decimal(digits.replace(",", ""))
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
