"""The central store: one suite for every kind of it, and what only one of them can get wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from owox_tiktok.central import cloud_storage
from owox_tiktok.central.cloud_storage import CloudStorage
from owox_tiktok.central.store import Changed, Store, change, open_store
from owox_tiktok.errors import BadInput, Problem, Unavailable
from owox_tiktok.local.storage import Server, Stored
from tests.helpers import process_environment

AT_ONCE = replace(cloud_storage.LIMITS, sleep=lambda _: None)


@pytest.fixture
def bucket() -> Iterator[Server]:
    with Server(apart_s=0.0) as server:
        server.add("imports")
        yield server


@pytest.fixture(params=["sqlite", "gs"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, bucket: Server) -> Callable[[], Store]:
    """Opens the same store again and again, as each process does."""
    if request.param == "sqlite":
        return lambda: open_store(f"sqlite://{tmp_path}/store.db", {})
    return lambda: open_store("gs://imports/agency", {"CLOUD_STORAGE_API_URL": bucket.url})


# --- every store ------------------------------------------------------------------------------------------------------


def test_only_who_has_seen_an_object_changes_it(opened: Callable[[], Store]) -> None:
    ours, theirs = opened(), opened()
    assert ours.get("sheets/1") is None
    first = ours.put("sheets/1", b"one", 0)
    with pytest.raises(Changed):
        theirs.put("sheets/1", b"another", 0)
    second = theirs.put("sheets/1", b"two", first)
    with pytest.raises(Changed):
        ours.put("sheets/1", b"three", first)
    with pytest.raises(Changed):
        ours.delete("sheets/1", first)
    held = ours.get("sheets/1")
    assert held is not None
    assert (held.body, held.generation) == (b"two", second)
    ours.delete("sheets/1", second)
    assert theirs.get("sheets/1") is None
    with pytest.raises(Changed):
        theirs.put("sheets/1", b"late", second)
    assert theirs.put("sheets/1", b"new", 0) not in (first, second), "a generation never comes again"


def test_names_are_those_of_the_prefix_in_order(opened: Callable[[], Store]) -> None:
    store = opened()
    for name in ("runs/b", "runs/a", "run", "sheets/a"):
        store.put(name, b"", 0)
    assert list(store.names("runs/")) == ["runs/a", "runs/b"]
    assert list(store.names("")) == ["run", "runs/a", "runs/b", "sheets/a"]
    for name in ("", "../x", "a b", "a/../b", "x" * 300, "a/" * 10):
        with pytest.raises(Problem):
            store.get(name)


def test_no_change_is_lost_however_many_change_an_object_at_once(opened: Callable[[], Store]) -> None:
    def count() -> None:
        store = opened()
        for _ in range(25):
            change(store, "count", lambda before: str(int(before or b"0") + 1).encode(), attempts=1000)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = opened().get("count")
    assert held is not None
    assert held.body == b"100"


def test_what_is_there_already_is_not_written_again(opened: Callable[[], Store]) -> None:
    store = opened()
    generation = store.put("a", b"x", 0)
    assert change(store, "a", lambda before: b"x") == b"x"
    assert change(store, "a", lambda before: None) == b"x"
    held = store.get("a")
    assert held is not None
    assert held.generation == generation


def test_whoever_is_always_too_late_is_told_so(opened: Callable[[], Store]) -> None:
    store, other = opened(), opened()

    def meanwhile(before: bytes | None) -> bytes:
        held = other.get("a")
        other.put("a", (held.body if held else b"") + b"x", held.generation if held else 0)
        return b"mine"

    with pytest.raises(Unavailable, match="changed a 3 times"):
        change(store, "a", meanwhile, attempts=3, sleep=lambda _: None)


@pytest.mark.parametrize(
    "address", ["", "gs://", "sqlite://", "sqlite:///", "sqlite://here.db", "gs://b", "s3://bucket", "gs://a b c/d"]
)
def test_an_address_that_cannot_be_is_bad_input(address: str) -> None:
    with pytest.raises(BadInput):
        open_store(address, {})


# --- SQLite -----------------------------------------------------------------------------------------------------------

_COUNTING = """
import sys
from owox_tiktok.central.store import change, open_store
store = open_store(sys.argv[1], {})
for _ in range(50):
    change(store, "count", lambda before: str(int(before or b"0") + 1).encode(), attempts=1000)
"""


def test_processes_that_open_a_new_file_at_once_lose_nothing(tmp_path: Path) -> None:
    address = f"sqlite://{tmp_path}/new/store.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", _COUNTING, address], env=process_environment({})) for _ in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0] * 4
    held = open_store(address, {}).get("count")
    assert held is not None
    assert held.body == b"200"


def test_a_folder_that_cannot_be_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Unavailable, match=r"file/store\.db"):
        open_store(f"sqlite://{tmp_path}/file/store.db", {})


# --- Cloud Storage ----------------------------------------------------------------------------------------------------


def storage(server: Server) -> CloudStorage:
    return CloudStorage("imports", url=server.url, limits=AT_ONCE)


def test_a_write_whose_answer_was_lost_is_known_again(bucket: Server) -> None:
    store = storage(bucket)
    bucket.lose = 1
    generation = store.put("a", b"x", 0)
    assert bucket.counts["POST 412"] == 1
    held = store.get("a")
    assert held is not None
    assert (held.body, held.generation) == (b"x", generation)
    bucket.lose = 1
    store.delete("a", generation)
    assert store.get("a") is None


def test_a_lost_write_that_somebody_has_replaced_is_a_change(bucket: Server) -> None:
    store = storage(bucket)
    bucket.fail = [503]
    bucket.buckets["imports"]["a"] = replace_(bucket, b"another's")
    with pytest.raises(Changed):
        store.put("a", b"x", 0)


def replace_(server: Server, body: bytes) -> Stored:
    storage(server).put("b", body, 0)
    return server.buckets["imports"].pop("b")


def test_a_store_that_is_busy_is_asked_again_and_one_that_says_no_is_not(bucket: Server) -> None:
    store = storage(bucket)
    bucket.fail = [429, 503, 500]
    first = store.put("a", b"x", 0)
    bucket.fail = [503, 429]
    store.put("a", b"y", first)
    bucket.fail = [503] * 20
    with pytest.raises(Unavailable, match="answers 503"):
        store.get("a")
    asked = len(bucket.fail)
    assert asked == 20 - AT_ONCE.attempts
    bucket.fail = [403]
    with pytest.raises(Problem, match="refuses with 403"):
        store.get("a")
    with pytest.raises(Problem, match="refuses with 404"):
        CloudStorage("elsewhere", url=bucket.url, limits=AT_ONCE).get("a")
    bucket.close()
    with pytest.raises(Unavailable, match="does not answer"):
        storage(bucket).get("a")


def test_one_object_takes_a_write_a_second_and_the_next_waits_for_it(bucket: Server) -> None:
    # A minute for each second here, so that the time which a busy machine takes does not count.
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        bucket.ahead_s += 60 * seconds

    bucket.apart_s = 60.0
    store = storage(bucket)
    first = store.put("a", b"1", 0)
    began = bucket.buckets["imports"]["a"].updated
    with pytest.raises(Changed):
        store.put("a", b"2", first)
    assert change(store, "a", lambda _: b"2", sleep=sleep) == b"2"
    assert bucket.counts["POST 429"] == len(waits) + 1 >= 2
    assert bucket.buckets["imports"]["a"].updated - began >= bucket.apart_s


def test_the_clock_is_googles_where_ours_is_wrong(bucket: Server) -> None:
    ours = 1_000_000.0
    store = CloudStorage("imports", url=bucket.url, limits=AT_ONCE, clock=lambda: ours)
    assert store.now() == ours, "nothing says yet that it is wrong"
    store.put("a", b"x", 0)
    assert abs(store.now() - bucket.buckets["imports"]["a"].updated) < 0.01
    right = storage(bucket)
    right.put("b", b"x", 0)
    assert abs(right.now() - bucket.buckets["imports"]["b"].updated) < 1


def test_long_lists_come_in_pages(bucket: Server) -> None:
    storage(bucket).put("x0000", b"", 0)
    bucket.buckets["imports"] |= {f"x{n:04}": bucket.buckets["imports"]["x0000"] for n in range(2500)}
    assert len(storage(bucket).names("x")) == 2500


def test_an_emulator_is_accepted_only_on_this_machine() -> None:
    with pytest.raises(BadInput, match="CLOUD_STORAGE_API_URL"):
        open_store("gs://imports", {"CLOUD_STORAGE_API_URL": "https://storage.example"})
