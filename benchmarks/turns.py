"""One TikTok app, many processes: ``python -m benchmarks turns``.

Each process is a run of its own with the client of an import and 20 readers; the simulated TikTok permits ten requests
a second, whoever sends them. Three questions: how much of the rate do eight processes use, and how many of their
requests are refused, with and without a lease; how long does a small run take beside three backfills; how long is
nobody sending after one that holds turns was killed? The lease lies in a file of SQLite's, or in the emulator of Cloud
Storage, which takes 50 ms for a call and one write a second of an object.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from owox_tiktok.central import turns
from owox_tiktok.central.store import open_store
from owox_tiktok.local import storage, tiktok
from owox_tiktok.local.http import Answer, Call
from owox_tiktok.retry import Pace
from owox_tiktok.secret import Secret
from owox_tiktok.tiktok.client import TikTok

RATE, READERS = 10, 20
SECONDS, PROCESSES = 45.0, 8
SMALL, SMALL_RUNS, BACKFILLS = 60, 8, 3
LEAST_USED, MOST_REFUSED, MOST_SMALL_S, MOST_LOST_S = 0.95, 0.01, 120.0, 5.0
CALL_S = 0.05
SETTLED_S = 8.0
"""So long all processes have to start, before anything is counted."""


class Bucket(storage.Server):
    """Cloud Storage at some distance."""

    def answer(self, call: Call) -> Answer:
        """Answer after a while."""
        time.sleep(CALL_S)
        return super().answer(call)


def send(url: str, advertiser_id: str, address: str, weight: float, seconds: float, most: int) -> tuple[int, int]:
    """Send requests until either is over; return how many were answered and how many refused."""
    stopped = threading.Event()
    pace: Pace
    if address == "none":
        pace = Pace(RATE, sleep=stopped.wait)
    else:
        store = open_store(address, os.environ)
        pace = turns.LeasedPace(RATE, store=store, name="pace/app", weight=weight, sleep=stopped.wait)
    api = TikTok(url, Secret("local-token-not-a-secret"), pace, stopped=stopped)
    end = time.monotonic() + seconds
    left = iter(range(most))
    lock = threading.Lock()

    def reader() -> None:
        while time.monotonic() < end:
            with lock:
                if next(left, None) is None:
                    return
            api.get("advertiser/info/", {"advertiser_ids": [advertiser_id]}, take=lambda answer: None)

    readers = [threading.Thread(target=reader) for _ in range(READERS)]
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    stopped.set()
    time.sleep(0.3)  # what is left is given back meanwhile
    return api.counts.codes[0], api.counts.refused


def process(
    source: tiktok.Server, address: str, weight: float, seconds: float, most: int = 10**9
) -> subprocess.Popen[str]:
    """Start a run in a process of its own; it prints answered, refused and the seconds it took."""
    words = [source.url, source.advertiser_ids[0], address, str(weight), str(seconds), str(most)]
    line = [sys.executable, "-m", "benchmarks.turns", *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=dict(os.environ))


def results(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, int, float]]:
    """Wait for processes and return what they printed."""
    found = []
    for one in processes:
        said, _ = one.communicate()
        answered, refused, seconds = said.split()
        found.append((int(answered), int(refused), float(seconds)))
    return found


def run(say: Callable[..., None]) -> None:
    """Measure all three, with both stores."""
    print(f"turns: {PROCESSES} processes, {RATE} requests a second for all")
    world = tiktok.World(seed=1, advertisers=1, campaigns=1, ad_groups=1, ads=1, as_of=datetime(2026, 3, 1, tzinfo=UTC))
    limits = tiktok.Limits(qps=RATE, per_minute=None)
    with (
        tiktok.serve(world, limits=limits) as source,
        Bucket() as bucket,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ["CLOUD_STORAGE_API_URL"] = bucket.url
        bucket.add()
        _many(say, source, "no lease", "none", bounded=False)
        for name, address in (("SQLite", f"sqlite://{folder}/pace.db"), ("Cloud Storage", "gs://imports/{}")):
            _many(say, source, name, address.format("many"))
            _small(say, source, name, address.format("small"))
            _killed(say, source, name, address.format("killed"))


def _many(say: Callable[..., None], source: tiktok.Server, name: str, address: str, *, bounded: bool = True) -> None:
    processes = [process(source, address, turns.SCHEDULE, SECONDS + SETTLED_S + 2) for _ in range(PROCESSES)]
    time.sleep(SETTLED_S)
    before, began = _sent(source), time.monotonic()
    time.sleep(SECONDS)
    after, seconds = _sent(source), time.monotonic() - began
    answered, refused = after[0] - before[0], after[1] - before[1]
    ended = results(processes)
    used, share = answered / seconds / RATE, refused / max(1, answered + refused)
    apart = max(a for a, _, _ in ended) / max(1, min(a for a, _, _ in ended))
    good = used >= LEAST_USED and share < MOST_REFUSED
    say(
        f"{name}: used, refused; most to least",
        f"{used:.1%}, {share:.2%}; {apart:.2f}",
        f"{LEAST_USED:.0%}, {MOST_REFUSED:.0%}" if bounded else "",
        good or not bounded,
    )


def _sent(source: tiktok.Server) -> tuple[int, int]:
    """Return how many requests were answered and how many refused for their rate."""
    counts = source.counts
    return counts["requests"] - counts["refused"], counts["refused"]


def _small(say: Callable[..., None], source: tiktok.Server, name: str, address: str) -> None:
    backfills = [process(source, address, turns.BACKFILL, 10**6) for _ in range(BACKFILLS)]
    try:
        time.sleep(8)
        took = sorted(results([process(source, address, turns.SCHEDULE, 300, SMALL)])[0][2] for _ in range(SMALL_RUNS))
    finally:
        for one in backfills:
            one.kill()
            one.communicate()
    say(
        f"{name}: {SMALL} requests beside {BACKFILLS} backfills, median and longest",
        f"{took[len(took) // 2]:.1f} s, {took[-1]:.1f} s",
        f"{MOST_SMALL_S:.0f} s",
        took[-1] < MOST_SMALL_S,
    )


def _killed(say: Callable[..., None], source: tiktok.Server, name: str, address: str) -> None:
    longest = 0.0
    for _ in range(3):
        other = process(source, address, turns.SCHEDULE, 25)
        victim = process(source, address, turns.SCHEDULE, 60)
        time.sleep(10)
        victim.send_signal(signal.SIGKILL)
        killed, last = time.monotonic(), source.counts["requests"]
        changed = time.monotonic()
        while time.monotonic() - killed < 10:
            if (now := source.counts["requests"]) != last:
                longest, last = max(longest, time.monotonic() - changed), now
                changed = time.monotonic()
            time.sleep(0.01)
        victim.communicate()
        other.communicate()
    say(f"{name}: nobody sends after a kill for", f"{longest:.1f} s", f"{MOST_LOST_S:.0f} s", longest <= MOST_LOST_S)


if __name__ == "__main__":
    given = sys.argv
    began = time.monotonic()
    sent = send(given[1], given[2], given[3], float(given[4]), float(given[5]), int(given[6]))
    print(*sent, time.monotonic() - began)
