"""Turns that processes share: blocks follow each other, whoever is at it gets a share, and a hold is everybody's."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok.central.store import Held, Store, open_store
from owox_tiktok.central.turns import (
    ACTIVE_S,
    BACKFILL,
    LONGEST_S,
    PERSON,
    SCHEDULE,
    SHORTEST_S,
    Block,
    LeasedPace,
    Shared,
    take,
)
from owox_tiktok.errors import Unavailable
from owox_tiktok.local.tiktok import Server
from owox_tiktok.retry import Turn
from tests.helpers import Project

STEP_S = 0.102


def blocks_of(weights: Mapping[str, float], until: float, shortest_s: float = SHORTEST_S) -> dict[str, list[Block]]:
    """Let clients take turns for so long, each its next block just before its last one ends; return their blocks."""
    shared, chance = Shared(next=0.0), random.Random(1)
    taken: dict[str, list[Block]] = {name: [] for name in weights}
    due = {name: chance.random() for name in weights}
    while (name := min(due, key=lambda one: due[one])) and due[name] < until:
        block = take(shared, name, weights[name], step_s=STEP_S, wanted=10**6, now=due[name], shortest_s=shortest_s)
        taken[name].append(block)
        due[name] = max(due[name] + 0.001, block.end - 0.4)
    return taken


# --- blocks -----------------------------------------------------------------------------------------------------------


@given(
    takes=st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.sampled_from([PERSON, SCHEDULE, BACKFILL]),
            st.integers(1, 200),
            st.floats(0, 3),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_no_second_has_more_turns_than_are_permitted_whoever_takes_them(
    takes: list[tuple[str, float, int, float]],
) -> None:
    shared, now, turns = Shared(), 1e9, []
    for client, weight, wanted, later in takes:
        now += later
        block = take(shared, client, weight, step_s=STEP_S, wanted=wanted, now=now, shortest_s=SHORTEST_S)
        assert block.begin >= now
        assert 1 <= block.count <= wanted
        assert block.end - block.begin <= LONGEST_S + 1e-6
        turns += [block.begin + n * STEP_S for n in range(block.count)]
    assert turns == sorted(turns)
    assert all(b - a > STEP_S - 1e-6 for a, b in pairwise(turns))


@pytest.mark.parametrize("shortest_s", [0.5, 1.5])
def test_all_turns_are_given_away_and_everybody_gets_the_share_of_its_weight(shortest_s: float) -> None:
    weights = {"person": PERSON, "schedule": SCHEDULE, "backfill 1": BACKFILL, "backfill 2": BACKFILL}
    taken = blocks_of(weights, 600.0, shortest_s)
    counts = {name: sum(b.count for b in blocks) for name, blocks in taken.items()}
    last = max(b.end for blocks in taken.values() for b in blocks)
    assert sum(counts.values()) > 0.99 * last / STEP_S
    assert counts["person"] > counts["schedule"] >= counts["backfill 1"]
    assert 0.8 < counts["backfill 1"] / counts["backfill 2"] < 1.25
    if shortest_s == SHORTEST_S:
        assert 3 < counts["person"] / counts["backfill 1"] < 5


@pytest.mark.parametrize("many", [3, 20])
def test_nobody_waits_longer_than_a_block_of_each_other(many: int) -> None:
    weights = {f"backfill {n}": BACKFILL for n in range(many)}
    taken = blocks_of(weights, 300.0)
    for blocks in taken.values():
        for before, after in pairwise(blocks):
            assert after.begin - before.end < max(5.5, 0.75 * many)


def test_who_died_takes_one_block_along_and_is_forgotten() -> None:
    shared = Shared()
    lost = take(shared, "dead", SCHEDULE, step_s=STEP_S, wanted=10**6, now=0.0, shortest_s=SHORTEST_S)
    assert lost.end <= LONGEST_S
    after = take(shared, "alive", SCHEDULE, step_s=STEP_S, wanted=10**6, now=1.0, shortest_s=SHORTEST_S)
    assert after.begin == lost.end
    take(shared, "alive", SCHEDULE, step_s=STEP_S, wanted=10**6, now=lost.end + ACTIVE_S + 1, shortest_s=SHORTEST_S)
    assert list(shared.clients) == ["alive"]


def test_turns_that_a_wrong_clock_gave_away_far_ahead_do_not_stop_everybody() -> None:
    shared = Shared(next=1e9 + 86_400)
    block = take(shared, "a", SCHEDULE, step_s=STEP_S, wanted=10, now=1e9, shortest_s=SHORTEST_S)
    assert block.begin < 1e9 + 60


# --- paces ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite://{tmp_path}/pace.db", {})


def shared(store: Store, name: str = "pace/app") -> Shared:
    held = store.get(name)
    return msgspec.json.decode(held.body, type=Shared) if held else Shared()


def spend(paces: list[LeasedPace], seconds: float, readers: int = 4) -> list[Counter[int]]:
    """Let readers of each pace take turns for so long; return how many each took, by the second."""
    end = time.monotonic() + seconds
    taken: list[Counter[int]] = [Counter() for _ in paces]
    lock = threading.Lock()

    def reader(number: int) -> None:
        while time.monotonic() < end:
            paces[number].turn()
            with lock:
                taken[number][math.floor(time.time())] += 1

    threads = [threading.Thread(target=reader, args=(n,)) for n in range(len(paces)) for _ in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def test_two_paces_on_one_object_are_together_as_fast_as_one(store: Store) -> None:
    stopped = threading.Event()
    paces = [LeasedPace(30, store=store, name="pace/app", sleep=stopped.wait) for _ in range(2)]
    began = time.time()
    taken = spend(paces, 4.0)
    took_s = time.time() - began
    stopped.set()
    total = sum(sum(one.values()) for one in taken)
    assert total <= 30 * (took_s + 1)
    assert total > 30 * took_s * 0.4, "on a busy machine turns are lost, but not most of them"
    assert min(sum(one.values()) for one in taken) > 0.2 * total


def test_a_hold_of_one_is_a_hold_of_all(store: Store) -> None:
    stopped = threading.Event()
    refused, other = (LeasedPace(20, store=store, name="pace/app", sleep=stopped.wait) for _ in range(2))
    taken: list[float] = []

    def reader() -> None:
        while not stopped.is_set():
            other.turn()
            taken.append(time.time())

    thread = threading.Thread(target=reader)
    thread.start()
    wait_for(lambda: len(taken) > 5)
    hold_s = 0.0
    while hold_s < 4.0:
        hold_s = refused.refused(Turn("", time.monotonic() + 60))
    until = time.time() + hold_s
    wait_for(lambda: other._held_until > time.time())
    known = time.time()
    assert known < until - 0.5
    wait_for(lambda: taken[-1] > until - 0.3, seconds=20)
    stopped.set()
    thread.join()
    assert [at for at in taken if known + 0.2 < at < until - 0.3] == []


def wait_for(what: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_who_ends_leaves_its_turns_to_the_others(store: Store) -> None:
    stopped = threading.Event()
    pace = LeasedPace(1, store=store, name="pace/app", sleep=stopped.wait)
    pace.turn()
    assert shared(store).clients
    stopped.set()
    wait_for(lambda: not shared(store).clients)
    assert shared(store).next < time.time() + 1.5


class Broken:
    """A store that is out of reach."""

    apart_s = 0.0

    def now(self) -> float:
        return time.time()

    def get(self, name: str) -> Held | None:
        raise Unavailable("it is out of reach")

    def put(self, name: str, body: bytes, generation: int) -> int:
        raise Unavailable("it is out of reach")

    def delete(self, name: str, generation: int) -> None:
        raise Unavailable("it is out of reach")

    def names(self, prefix: str) -> list[str]:
        raise Unavailable("it is out of reach")


def test_without_the_store_it_goes_on_slowly() -> None:
    stopped = threading.Event()
    pace = LeasedPace(20, store=Broken(), name="pace/app", sleep=stopped.wait)
    taken = sum(spend([pace], 3.0)[0].values())
    stopped.set()
    assert 3 <= taken <= 25


def test_a_run_that_ends_waits_for_no_turn(store: Store) -> None:
    stopped = threading.Event()
    pace = LeasedPace(0.01, store=store, name="pace/app", sleep=stopped.wait)
    pace.turn()
    threading.Timer(0.3, stopped.set).start()
    began = time.monotonic()
    pace.turn()
    assert time.monotonic() - began < 3


def test_two_imports_of_one_app_share_its_rate(project: Project, tiktok: Server, tmp_path: Path) -> None:
    environment = {"TIKTOK_PACE_STORE": f"sqlite://{tmp_path}/pace.db"}
    assert project.cli("import", str(project.write()), now=True, **environment).returncode == 0
    store = open_store(environment["TIKTOK_PACE_STORE"], {})
    (name,) = store.names("pace/")
    assert tiktok.token not in name
    assert shared(store, name).next > 0
