"""TikTok's pace, shared by all processes that use the same developer app: turns are leased in blocks.

An object in the central store says up to which moment turns are given away, and who has taken some lately. A process
takes a block: so many turns, spaced as the permitted rate says, from the first moment on that nobody has. It spends
them by its own ``Pace``, and takes the next block shortly before the last one ends. So everybody who is at it always
has one block ahead, blocks follow each other without gaps, and each waits for one block of every other: a round robin.
Whoever weighs more gets longer blocks.

A block takes 0.5 to 5 seconds, so a process that dies takes no more with it. Of turns that nobody was ready for, none
is made up for. When TikTok says that there are too many requests, all who share the object hold for as long as whoever
heard it does.
"""

from __future__ import annotations

import logging
import math
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from owox_tiktok.central.store import Changed, Store, change
from owox_tiktok.errors import Problem, Unavailable
from owox_tiktok.retry import Pace, Turn

log = logging.getLogger(__name__)
_CHANCE = random.Random()  # noqa: S311 - it spreads attempts, and guards nothing

SHORTEST_S, LONGEST_S = 0.5, 5.0
"""How long a block is …"""
ROUND_S = 5.0
"""… of all who take turns together, as long as each has the shortest at least."""
ACTIVE_S = 10.0
"""Who has taken no block for so long since its last one ended is not at it any more."""
LEAD_S = 0.4
"""So long before the end of a block, at least, the next one is taken."""
GLANCE_S = 1.0
"""So often it is looked for a hold of others."""
SHARED_HOLD_S = 0.25
"""A hold that is shorter concerns only whoever was refused: one request came a little early."""
IDLE_S = 15.0
"""Without a request for so long nothing is looked for."""
TOLERANCE = 0.3
"""A turn may be used so much of a step late; it is lost afterwards: the next one may be another's."""
MOST_MISSED = 5
"""Who has overslept so many turns takes the next one however late it is."""
APART = 1.5
"""Where a store takes one write a second, blocks must be longer than that, since all who share it write."""
ATTEMPTS = 30
"""So often a block is asked for while others are quicker."""
SAID_EVERY_S = 60.0
ALONE = 0.25
"""Without the store a process goes at this share of the rate: others may do the same."""

PERSON, SCHEDULE, BACKFILL = 4.0, 2.0, 1.0
"""How much who waits weighs."""


class Client(msgspec.Struct):
    """Who takes turns: how much it weighs, and when its last block ends."""

    weight: float
    until: float


class Shared(msgspec.Struct):
    """What all who share an app know. Moments are those of the store's clock, in seconds since 1970."""

    next: float = 0.0
    """All turns before this are given away."""
    held_until: float = 0.0
    """Nobody sends before this."""
    clients: dict[str, Client] = {}
    written: float = 0.0
    """When it was last written."""


@dataclass(slots=True)
class Block:
    """Turns of one client: ``count`` of them from ``begin`` on, ``step_s`` apart; ``used`` have been spent or lost."""

    begin: float
    step_s: float
    count: int
    used: int = 0

    @property
    def end(self) -> float:
        """When the first turn of the next block may be."""
        return self.begin + self.count * self.step_s


def take(
    shared: Shared, client: str, weight: float, *, step_s: float, wanted: int, now: float, shortest_s: float
) -> Block:
    """Give a client the next turns, ``wanted`` at most, and note that."""
    shared.clients = {name: c for name, c in shared.clients.items() if c.until > now - ACTIVE_S and name != client}
    share = weight / (weight + sum(c.weight for c in shared.clients.values()))
    length_s = min(LONGEST_S, max(shortest_s, ROUND_S * share))
    count = max(1, min(wanted, math.floor(length_s / step_s)))
    begin = max(now, min(shared.next, now + _most_ahead(shared)), shared.held_until)
    block = Block(begin, step_s, count)
    shared.next = block.end
    shared.clients[client] = Client(weight, block.end)
    return block


def _most_ahead(shared: Shared) -> float:
    """Return how far ahead turns can be given away: a longer time was written by a clock that was wrong."""
    return LONGEST_S * (len(shared.clients) + 2)


class LeasedPace(Pace):
    """The pace of one process (see ``Pace``) that shares its rate with all who have the same object.

    ``name`` is the object's; ``weight`` says how much of the rate this one should have beside others. Raises nothing of
    the store's: without it the process goes on slowly.
    """

    def __init__(
        self,
        rate: float,
        *,
        store: Store,
        name: str,
        weight: float = SCHEDULE,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(rate, sleep=sleep)
        self._store, self._name, self._weight = store, name, weight
        self._client = secrets.token_hex(6)
        self._shortest_s = max(SHORTEST_S, APART * store.apart_s)
        self._changed = threading.Condition()
        self._blocks: deque[Block] = deque()
        self._asking = 0
        """How many wait for a turn."""
        self._used = 0
        """How many turns were spent since the last block was taken."""
        self._held_until = 0.0
        self._last_end = 0.0
        """When the last block ends that was taken, whether its turns are spent or not."""
        self._last_said = -math.inf
        self._keeper: threading.Thread | None = None
        self._last_asked = -math.inf
        self._lead_s = LEAD_S

    def turn(self, advertiser_id: str = "") -> Turn:
        """Wait for a turn of this process's own and return it; at once when the run is ending."""
        with self._changed:
            self._asking += 1
        try:
            missed = 0
            while not self._sleep(0):
                at = self._draw()
                if at is None:
                    continue
                while (wait_s := at - self._store.now()) > 0 and not self._sleep(wait_s):
                    pass
                if -wait_s <= TOLERANCE * self._step_s or missed >= MOST_MISSED:
                    break
                missed += 1
        finally:
            with self._changed:
                self._asking -= 1
        return super().turn(advertiser_id)

    def refused(self, turn: Turn, *, only_advertiser: bool = False) -> float:
        """Slow down as ``Pace`` does; a hold that is not short is everybody's."""
        hold_s = super().refused(turn, only_advertiser=only_advertiser)
        if hold_s >= SHARED_HOLD_S and not only_advertiser:
            until = self._store.now() + hold_s
            with self._changed:
                known, self._held_until = self._held_until, max(self._held_until, until)
            if until > known + SHARED_HOLD_S:
                threading.Thread(target=self._hold_all, args=(until,), daemon=True).start()
        return hold_s

    # --- turns --------------------------------------------------------------------------------------------------------

    def _draw(self) -> float | None:
        """Return the moment of the next turn of ours; None after a while without one."""
        with self._changed:
            self._last_asked = time.monotonic()
            if self._keeper is None or not self._keeper.is_alive():
                self._keeper = threading.Thread(target=self._keep, name="turns", daemon=True)
                self._keeper.start()
            at = self._next_turn()
            if at is None or self._runs_out():
                self._changed.notify_all()
            if at is None:
                self._changed.wait(0.2)
                at = self._next_turn()
            return at

    def _next_turn(self) -> float | None:
        now = self._store.now()
        while self._blocks:
            block = self._blocks[0]
            late = math.ceil((max(now, self._held_until) - block.begin) / block.step_s - TOLERANCE)
            number = max(block.used, late)
            if number < block.count:
                block.used = number + 1
                self._used += 1
                return block.begin + number * block.step_s
            self._blocks.popleft()
        return None

    def _runs_out(self) -> bool:
        """Whether the next block should be taken: the last one lasts no longer than that takes."""
        return self._last_end - self._store.now() < self._lead_s

    # --- blocks -------------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Take blocks while turns are asked for, and look for holds; ends with the run, or when nobody asks."""
        looked = time.monotonic()
        while not self._sleep(0):
            with self._changed:
                if time.monotonic() - self._last_asked > IDLE_S and not self._asking:
                    break
                wanted = self._asking > 0 and self._runs_out()
                if not wanted:
                    self._changed.wait(0.1)
            try:
                if wanted:
                    self._take()
                    looked = time.monotonic()
                elif self._asking and time.monotonic() - looked > GLANCE_S:
                    looked = time.monotonic()
                    held = self._store.get(self._name)
                    self._notice(_decoded(held.body if held else None))
            except Problem as problem:
                self._go_alone(problem)
        self._give_back()

    def _take(self) -> None:
        began = time.monotonic()
        with self._changed:
            wanted = max(self._asking, 2 * self._used, math.floor(SHORTEST_S / self._step_s))
            self._used = 0
        for _ in range(ATTEMPTS):
            held, now = self._store.get(self._name), self._store.now()
            shared = _decoded(held.body if held else None)
            soon_s = shared.written + self._store.apart_s - now
            if 0 < soon_s <= self._store.apart_s:  # the write would be refused; who waits as well should not meet us
                if self._sleep(soon_s + _CHANCE.uniform(0.0, 0.4)):
                    return
                continue
            block = take(
                shared,
                self._client,
                self._weight,
                step_s=self._step_s,
                wanted=wanted,
                now=now,
                shortest_s=self._shortest_s,
            )
            shared.written = now
            try:
                self._store.put(self._name, msgspec.json.encode(shared), held.generation if held else 0)
                break
            except Changed:
                if self._sleep(_CHANCE.uniform(0.01, 0.1)):
                    return
        else:
            raise Unavailable("too many share this pace")
        took_s = time.monotonic() - began
        with self._changed:
            self._lead_s = max(LEAD_S, 0.7 * self._lead_s, 1.5 * took_s)
            self._add(block)
        self._notice(shared)

    def _add(self, block: Block) -> None:
        self._blocks.append(block)
        self._last_end = block.end
        self._changed.notify_all()

    def _go_alone(self, problem: Problem) -> None:
        """Take a second's worth of turns without asking anybody, and not as many as are permitted."""
        if time.monotonic() - self._last_said > SAID_EVERY_S:
            self._last_said = time.monotonic()
            log.warning("the pace of the app is not shared for now, and goes slowly: %s", problem.sentence)
        with self._changed:
            step_s = self._step_s / ALONE
            self._add(Block(max(self._store.now(), self._last_end), step_s, max(1, math.floor(1 / step_s))))

    def _notice(self, shared: Shared) -> None:
        with self._changed:
            self._held_until = max(self._held_until, min(shared.held_until, self._store.now() + 2 * 60.0))

    def _hold_all(self, until: float) -> None:
        def to(before: bytes | None) -> bytes:
            shared = _decoded(before)
            shared.held_until = max(shared.held_until, until)
            shared.next = max(shared.next, shared.held_until)
            return msgspec.json.encode(shared)

        try:
            change(self._store, self._name, to)
        except Problem as problem:
            log.warning("the hold is not shared: %s", problem.sentence)

    def _give_back(self) -> None:
        """Leave the turns that are left to the others, if nobody has taken any after them."""
        with self._changed:
            left = list(self._blocks)
            self._blocks.clear()

        def to(before: bytes | None) -> bytes | None:
            shared = _decoded(before)
            if shared.clients.pop(self._client, None) is None:
                return None
            if left and abs(shared.next - left[-1].end) < 1e-6:
                shared.next = max(self._store.now(), left[-1].begin + left[-1].used * left[-1].step_s)
            return msgspec.json.encode(shared)

        try:
            change(self._store, self._name, to, attempts=3)
        except Problem:
            log.info("the turns that were left are not given back")


def _decoded(body: bytes | None) -> Shared:
    if body is None:
        return Shared()
    try:
        return msgspec.json.decode(body, type=Shared)
    except msgspec.DecodeError:
        return Shared()
