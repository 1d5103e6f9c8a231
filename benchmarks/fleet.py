"""The whole service with many Sheets: ``python -m benchmarks fleet``, some minutes on a machine that does nothing else.

A hundred Sheets, three rounds of their schedules, four workers, three backfills beside, and people who start small
imports all the while; everything over real HTTP, in processes as they are deployed, under Google's quota and TikTok's
rate. These are ten times as fast as in reality, so that the rounds take minutes; the program's own work and the rest of
the machine are not. BENCH_FLEET="20 2": Sheets, rounds.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from benchmarks import quota
from owox_tiktok.central.store import open_store
from owox_tiktok.local import sheets as google
from owox_tiktok.local import tasks, tiktok
from owox_tiktok.local.http import Answer, Call, Emulator
from owox_tiktok.local.identity import Issuer
from owox_tiktok.local.sheets.faults import Quota
from owox_tiktok.service.due import Due
from owox_tiktok.service.ledger import Ledgers
from owox_tiktok.shipped import shipped
from owox_tiktok.states import State

SHEETS, ROUNDS, WORKERS, THREADS, BACKFILLS, WRITERS = 100, 3, 4, 5, 3, 2
FASTER = 10
QPS, PER_MINUTE = 10 * FASTER, 60 * FASTER
PERSON_EVERY_S, MOST_PERSON_S, MOST_WAIT_S = 4.0, 120.0, 1800.0
YOU, ACCOUNT, AUDIENCE = "you@example.com", "tasks@local.iam.gserviceaccount.com", "fleet.apps.googleusercontent.com"
DAYS = 300
"""Backfills begin so long ago, hour by hour."""


class Balancer(Emulator):
    """What stands before the instances of a worker: each call goes to the one that has the fewest."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Answer:
        """Pass a call on."""
        with self._lock:
            worker = min(self.workers, key=lambda one: self.workers[one])
            self.workers[worker] += 1
        try:
            said = {name: call.headers[name] for name in call.headers if name.startswith(("authorization", "x-cloud"))}
            got = requests.post(
                worker, data=call.body, headers={**said, "Content-Type": "application/json"}, timeout=900
            )
            return Answer(got.status_code, got.content, "application/json")
        except requests.RequestException:
            return Answer(503)
        finally:
            with self._lock:
                self.workers[worker] -= 1


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def deploy(stack: ExitStack, role: str, environment: Mapping[str, str]) -> str:
    """Start the function; return its address."""
    port = free_port()
    words = [sys.executable, "-m", "functions_framework", "--target", "owox", "--host", "127.0.0.1"]
    source = ["--source", str(shipped("cloud_function", "main.py")), "--port", str(port)]
    said = {**os.environ, **environment, "OWOX_ROLE": role}
    process = subprocess.Popen([*words, *source], env=said, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with suppress(requests.RequestException):
            requests.get(f"{url}/health", timeout=5)
            return url
        time.sleep(0.1)
    raise SystemExit(f"the {role} does not start")


def run(say: Callable[..., None]) -> None:
    """Run all rounds, and say what came of them."""
    given = os.environ.get("BENCH_FLEET", "").split()
    sheets, rounds = (int(one) for one in given) if given else (SHEETS, ROUNDS)
    print(f"fleet: {sheets} Sheets x {rounds} rounds, {WORKERS} workers, {BACKFILLS} backfills, limits x {FASTER}")
    today = datetime.now(UTC).date()
    world = tiktok.World(seed=1, advertisers=4, campaigns=2, ad_groups=3, ads=4, start=today - timedelta(days=DAYS))
    limits = tiktok.Limits(qps=QPS, per_minute=None)
    with ExitStack() as stack:
        source = stack.enter_context(tiktok.serve(world, limits=limits))
        server = stack.enter_context(google.serve())
        issuer = stack.enter_context(Issuer())
        cloud_tasks = stack.enter_context(tasks.Server(issuer))
        balancer = stack.enter_context(Balancer())
        folder = Path(tempfile.mkdtemp(prefix="fleet-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        people = cloud_tasks.add("projects/p/locations/l/queues/people", max_concurrent_dispatches=22)
        background = cloud_tasks.add("projects/p/locations/l/queues/background", max_concurrent_dispatches=20)
        writers = [f"writer-{n}@local.iam.gserviceaccount.com" for n in range(WRITERS)]
        server.tokens.lent |= set(writers)
        server.quota = Quota(PER_MINUTE)
        ids = source.advertiser_ids
        books = [quota.made(server, ids[:1]) for _ in range(sheets)]
        long = [quota.made(server, ids, {"ad_report_hourly": ("spend",)}) for _ in range(BACKFILLS)]
        mine = [quota.made(server, ids[:1]) for _ in range(4)]
        registry = {}
        for book, writer in zip([*books, *long, *mine], itertools.cycle(writers)):
            server.share(book, writer)
            entry = {"secret": "default", "callers": [YOU], "requests_per_second": QPS, "writer": writer}
            registry[book] = entry
        environment = {
            "OWOX_AUDIENCES": f"{AUDIENCE} {balancer.url}",
            "OWOX_REGISTRY": json.dumps(registry),
            "OWOX_CERTS_URL": issuer.certs_url,
            "OWOX_TASKS_QUEUE": people.name,
            "OWOX_BACKGROUND_QUEUE": background.name,
            "OWOX_TASKS_ACCOUNT": ACCOUNT,
            "OWOX_WORKER_URL": balancer.url,
            "OWOX_TIMEOUT_SECONDS": "180",
            "CLOUD_TASKS_API_URL": cloud_tasks.url,
            "OWOX_STORE": f"sqlite://{folder}/store.db",
            "SHEETS_API_URL": server.url,
            "SHEETS_REQUESTS_PER_MINUTE": str(PER_MINUTE),
            "TIKTOK_API_URL": source.url,
            "TIKTOK_ACCESS_TOKEN": source.token,
            "THREADS": str(THREADS),
        }
        for _ in range(WORKERS):
            balancer.workers[deploy(stack, "worker", environment)] = 0
        menu = deploy(stack, "sheets", environment)
        store = open_store(environment["OWOX_STORE"], {})
        kept, due = Ledgers(store), Due(store)

        def ask(book: str, action: str, **more: str) -> requests.Response:
            token = issuer.token(YOU, AUDIENCE)
            body = {"action": action, "spreadsheet_id": book, **more}
            return requests.post(menu, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=120)

        began = time.monotonic()
        for book in long:
            ask(book, "backfill", start_date=f"{today - timedelta(days=DAYS)}", end_date=f"{today}").raise_for_status()
        over = threading.Event()
        stack.callback(over.set)
        threading.Thread(target=_people, args=(over, ask, mine), daemon=True).start()
        for number in range(rounds):
            _round(number, books, due, issuer, balancer)
            _until(lambda n=number: _ended(kept, books) >= len(books) * (n + 1))  # type: ignore[misc]
        minutes = (time.monotonic() - began) / 60
        backfilled = [kept.read(book).runs[0] for book in long]
        over.set()
        _until(lambda: all(e.ended for book in mine for e in kept.read(book).runs))
        _report(say, kept, books, mine, minutes)
        parts = ", ".join(f"{e.part + 1} parts{' and done' if e.ended else ''}" for e in backfilled)
        say("the backfills meanwhile", parts, "")
        refused = source.counts["refused"] / max(1, source.counts["requests"])
        of_google = f"{server.counts['by_status'].get('429', 0)} of {server.counts['calls']:,}"
        say("refused by Google, by TikTok", f"{of_google}, {refused:.2%}", "")


def _people(over: threading.Event, ask: Callable[..., requests.Response], mine: Sequence[str]) -> None:
    """Start a small import every few seconds, in the Sheets in turn; one that is busy says so."""
    for book in itertools.cycle(mine):
        if over.wait(PERSON_EVERY_S):
            return
        with suppress(requests.RequestException):
            ask(book, "import")


def _round(number: int, books: Sequence[str], due: Due, issuer: Issuer, balancer: Balancer) -> None:
    """Let all schedules be due at the same moment, the worst there is, and the job come."""
    now = datetime.now(UTC)
    for book in books:  # each round at another moment: of one moment a Sheet has one task
        due.set(book, "Hourly", "UTC", YOU, now - timedelta(hours=2 + number))
    token = issuer.token(ACCOUNT, balancer.url)
    requests.post(
        balancer.url, json={"action": "sweep"}, headers={"Authorization": f"Bearer {token}"}, timeout=300
    ).raise_for_status()


def _ended(kept: Ledgers, books: Sequence[str]) -> int:
    return sum(e.ended is not None for book in books for e in kept.read(book).runs)


def _until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + MOST_WAIT_S
    while not what() and time.monotonic() < end:
        time.sleep(1.0)


def _report(say: Callable[..., None], kept: Ledgers, books: Sequence[str], mine: Sequence[str], minutes: float) -> None:
    runs = [e for book in books for e in kept.read(book).runs]
    states = Counter(str(e.state or e.phase) for e in runs)
    good = set(states) == {State.DONE}
    say(f"scheduled runs in {minutes:.1f} minutes", ", ".join(f"{n} {s}" for s, n in states.items()), "done", good)
    took = sorted((e.ended - e.asked.at).total_seconds() for e in runs if e.ended)
    say("… from start to done, median, p95, longest", f"{_of(took, 0.5)}, {_of(took, 0.95)}, {_of(took, 1)}", "")
    small = [e for book in mine for e in kept.read(book).runs]
    took = sorted((e.ended - e.asked.at).total_seconds() for e in small if e.ended)
    failed = sum(e.state is not State.DONE for e in small)
    good = bool(took) and not failed and took[int(0.95 * (len(took) - 1))] < MOST_PERSON_S
    what = f"{len(small)} runs of people, {failed} not done: median, p95, longest"
    said = f"{_of(took, 0.5)}, {_of(took, 0.95)}, {_of(took, 1)}"
    say(what, said, f"{MOST_PERSON_S:.0f} s", good)


def _of(values: Sequence[float], share: float) -> str:
    return f"{values[int(share * (len(values) - 1))]:.0f} s" if values else "-"
