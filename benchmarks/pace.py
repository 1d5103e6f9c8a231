"""The pace against a strict limit over a network with jitter: 900 requests at 10 per second, and none of it wasted.

The simulated TikTok counts requests as they arrive, in a sliding window of one second, and each takes 50 ms more or
less to arrive. Figures are of a process of its own that does nothing but send: ``python -m benchmarks pace``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

from owox_tiktok.retry import Pace
from owox_tiktok.secret import Secret
from owox_tiktok.tiktok.client import TikTok

REQUESTS, RATE, READERS = 900, 10, 20
LATENCY_S = 0.05
JITTERS_S = (0.0, 0.02, 0.05)
"""So much earlier or later than the latency a request arrives."""


class Server(Protocol):
    """The simulated TikTok in a process of its own."""

    url: str
    advertiser_ids: list[str]

    def set(self, *, latency_s: float = 0.0, jitter_s: float = 0.0, qps: int | None = None) -> None:
        """Change latency and limits while it serves."""


@dataclass
class Sent:
    """Seconds from the first request to the last answer, seconds of CPU, and how many were refused."""

    wall_s: float
    cpu_s: float
    refused: int


def send(url: str, advertiser_id: str, rate: float) -> Sent:
    """Send the requests from as many readers as an import has, through the client of an import."""
    api = TikTok(url, Secret("local-token-not-a-secret"), Pace(rate))
    left = iter(range(REQUESTS))
    lock = threading.Lock()

    def reader() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            api.get("advertiser/info/", {"advertiser_ids": [advertiser_id]}, take=lambda answer: None)

    readers = [threading.Thread(target=reader) for _ in range(READERS)]
    began, used = time.perf_counter(), time.process_time()
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    if api.counts.codes[0] != REQUESTS:
        raise SystemExit(f"only {api.counts.codes[0]} of {REQUESTS} requests were answered")
    return Sent(time.perf_counter() - began, time.process_time() - used, api.counts.refused)


def measured(source: Server, rate: float) -> Sent:
    """Send the requests in a process of its own."""
    line = [sys.executable, "-m", "benchmarks.pace", source.url, source.advertiser_ids[0], f"{rate:g}"]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ})
    return Sent(**json.loads(done.stdout))


def run(say: Callable[..., None], source: Server) -> None:
    """Measure how close to the limit the pace comes, for each jitter."""
    print(f"pace: {REQUESTS} requests at {RATE} per second, {READERS} readers")
    source.set()
    free = sorted(measured(source, 1e6).cpu_s for _ in range(5))[2]
    least = REQUESTS / RATE
    for jitter_s in JITTERS_S:
        source.set(latency_s=LATENCY_S - jitter_s, jitter_s=2 * jitter_s, qps=RATE)
        sent = measured(source, RATE)
        what = f"{LATENCY_S * 1000:.0f} ± {jitter_s * 1000:.0f} ms"
        bound = 1.03 * (1 + 2 * jitter_s)
        ratio = sent.wall_s / least
        say(
            f"{what}: wall, refused",
            f"{sent.wall_s:.1f} s = {ratio:.3f} x, {sent.refused}",
            f"{bound:.3f} x {least:.0f} s",
            ratio <= bound,
        )
        say(f"{what}: CPU", f"{sent.cpu_s:.2f} s", f"without limit {free:.2f} s")
    source.set()


if __name__ == "__main__":
    print(json.dumps(asdict(send(sys.argv[1], sys.argv[2], float(sys.argv[3])))))
