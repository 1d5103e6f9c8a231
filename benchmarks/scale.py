"""Hundreds of Sheets in one deployment, in virtual time: ``python -m benchmarks scale``.

What decides is the program's own: minutes of schedules (``due``), seats (``seats``), leases of Google's quota
(``shared_pace``). TikTok's rate is given away second by second, by weight, as ``turns`` does. What a run asks of Google
and TikTok is put in: calls as ``benchmarks quota`` measures them. Nothing sleeps, and no network is asked.

    300 Sheets    one token, hourly, 2,000 ad accounts between them, with people and three backfills beside
    writers       how long the same takes with 1 to 5 accounts that write
    100,000       arithmetic on the same figures: what each service is asked, what it costs, and what breaks first
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from owox_tiktok.central.turns import BACKFILL, PERSON, SCHEDULE
from owox_tiktok.service.due import minute_of
from owox_tiktok.service.seats import SEATS, WAITS_S, Kind, Seat, choose, come_again_s
from owox_tiktok.sheets.pace import PER_MINUTE, URGENT
from owox_tiktok.sheets.shared_pace import FEWEST, MOST, Leases, lease

SHEETS, ACCOUNTS, OBJECTS, RATE = 300, 2_000, 5, 10.0
REQUESTS_PER_PAIR = 1.5
"""Requests of a refresh per ad account and object: 1.1 to 2.3 in ``benchmarks agency``."""
READS, WRITES = 9, 6
"""Calls of a refresh of five small objects, by ``benchmarks quota``."""
CALL_S = 0.4
START_S = 6.0
"""A worker's instance starts, signs in and reads the settings."""
BACKFILL_REQUESTS = 100_000
"""Some years of a large client: under way all the time."""
PEOPLE_PER_HOUR, PERSON_REQUESTS = 60, 40
SHORT_PART_S = 300.0
HOURS = 4
SHEETS_OF_ONE = 200
"""So many Sheets one writer carries every hour."""
MOST_LAG_S, MOST_PERSON_S = 600.0, 120.0
WEIGHTS = {Kind.PERSON: PERSON, Kind.SCHEDULE: SCHEDULE, Kind.BACKFILL: BACKFILL}

CPU_SECOND, WRITE, READ, TASK, JOB = 0.0000265, 0.005 / 1000, 0.0004 / 1000, 0.40 / 1e6, 0.10
"""Dollars: a second of 1 CPU and 1 GiB of Cloud Run, an operation of Cloud Storage, a call of Cloud Tasks, a job."""


@dataclass
class Run:
    """One run: when it was asked for, what it has still to ask, and what it did."""

    name: str
    kind: Kind
    asked: float
    requests: float
    writer: int
    reads: int = READS
    writes: int = WRITES
    next_try: float = 0.0
    ready: float = math.inf
    """Until then it waits for Google, or for its instance to start."""
    seated: float = math.inf
    begun: float = math.inf
    ended: float = math.inf
    busy_s: float = 0.0
    parts: int = 1


@dataclass
class Account:
    """What one Google account's calls wait for."""

    read: Leases = field(default_factory=Leases)
    write: Leases = field(default_factory=Leases)
    sent: Counter[int] = field(default_factory=Counter)
    """Calls of the busier kind by minute."""


def calls(account: Account, run: Run, reads: int, writes: int, now: float) -> float:
    """Let a run make some calls from ``now`` on; return when the last is answered."""
    most = PER_MINUTE - URGENT
    for leases, count in ((account.read, reads), (account.write, writes)):
        wanted, used, left = FEWEST, 0, count
        while left > 0:
            wanted = min(MOST, most, wanted)
            at = lease(leases, run.name, most=most, wanted=wanted, used=used, now=now)
            used = min(left, wanted)
            account.sent[int(at // 60)] += used if leases is account.read else 0
            left -= used
            now = max(now, at) + CALL_S * used
            wanted *= 2
    return now


def simulate(
    writers: int, *, sheets: int = SHEETS, backfills: int = 0, people: int = 0, hours: int = HOURS, spread: bool = True
) -> tuple[list[Run], list[Account]]:
    """Return all runs of some hours, and the accounts."""
    chance = random.Random(1)
    accounts = [Account() for _ in range(writers)]
    per_sheet = ACCOUNTS / SHEETS * OBJECTS * REQUESTS_PER_PAIR
    coming: list[Run] = []
    for number in range(sheets):
        book = f"{number:044}"
        size = per_sheet * chance.choice((0.3, 0.6, 1.0, 1.0, 2.1))
        at = 60.0 * minute_of(book) if spread else 0.0
        coming += [Run(f"{book}-{h}", Kind.SCHEDULE, at + 3600 * h, size, number % writers) for h in range(hours)]
    for number in range(people * hours):
        asked = chance.uniform(0, 3600 * hours)
        coming.append(Run(f"person-{number}", Kind.PERSON, asked, PERSON_REQUESTS, chance.randrange(writers)))
    coming += [Run(f"backfill-{n}", Kind.BACKFILL, 60.0 * n, BACKFILL_REQUESTS, n % writers) for n in range(backfills)]
    coming.sort(key=lambda run: run.asked)
    every, refused = list(coming), dict[Kind, float]()
    seats: list[Seat | None] = [None] * SEATS

    def leave(run: Run) -> None:
        seats[:] = [None if seat and seat.run == run.name else seat for seat in seats]

    waiting: list[Run] = []
    active: list[Run] = []
    for now in map(float, range(3600 * hours + 3600)):
        while coming and coming[0].asked <= now:
            waiting.append(coming.pop(0))
        for run in [r for r in waiting if r.next_try <= now]:
            if found := choose(seats, run.name, run.kind, now=now):
                seats[found[0]] = Seat(run.name, now + 1860)
                waiting.remove(run)
                active.append(run)
                run.seated, run.begun = now, min(run.begun, now)
                run.ready = calls(accounts[run.writer], run, run.reads - 3, run.writes - 3, now + START_S)
            else:
                run.next_try, refused[run.kind] = now + come_again_s(run.kind), now
        reading = [r for r in active if r.ready <= now and r.requests > 0]
        weight = sum(WEIGHTS[r.kind] for r in reading)
        for run in reading:
            run.requests -= RATE * WEIGHTS[run.kind] / weight
        for run in list(active):
            if run.requests > 0:
                before = list(Kind)[: list(Kind).index(run.kind) + 1]
                wanted = any(now - refused.get(kind, -WAITS_S) < WAITS_S for kind in before)
                if now - run.seated > SHORT_PART_S and wanted and run.ready <= now:
                    leave(run)
                    active.remove(run)
                    waiting.append(run)
                    run.busy_s += now - run.seated
                    run.parts, run.next_try = run.parts + 1, now + 1
            elif run.ready <= now and run.ended == math.inf:
                run.ended = calls(accounts[run.writer], run, 3, 3, now)
            if run.ended <= now:
                leave(run)
                active.remove(run)
                run.busy_s += now - run.seated
    return every, accounts


def of(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def run(say: Callable[..., None]) -> None:
    """Simulate and print."""
    print(f"scale: {SHEETS} Sheets with {ACCOUNTS:,} accounts, hourly, one token, {RATE:g} a second, virtual time")
    for sheets, writers, spread in (
        (SHEETS_OF_ONE, 1, True),
        (300, 1, True),
        (300, 2, True),
        (300, 3, True),
        (300, 3, False),
    ):
        every, accounts = simulate(writers, sheets=sheets, spread=spread)
        lag = [r.ended - r.asked for r in every]
        busiest = max(max(a.sent.values()) for a in accounts)
        good, bounded = max(lag) < MOST_LAG_S, spread and sheets <= SHEETS_OF_ONE * writers
        say(
            f"{sheets} Sheets, {writers} writers{'' if spread else ', all at :00'}: due to done; reads a minute",
            f"{of(lag, 0.5):.0f} s, p95 {of(lag, 0.95):.0f} s, {max(lag):.0f} s; {busiest}",
            f"{MOST_LAG_S:.0f} s" if bounded else "",
            good or not bounded,
        )
    every, _ = simulate(3, backfills=3, people=PEOPLE_PER_HOUR)
    for kind, bound in ((Kind.PERSON, MOST_PERSON_S), (Kind.SCHEDULE, MOST_LAG_S)):
        lag = [r.ended - r.asked for r in every if r.kind is kind]
        wait = [r.begun - r.asked for r in every if r.kind is kind]
        say(
            f"beside 3 backfills, {kind}: wait, median and p95; from asked to done, median and p95",
            f"{of(wait, 0.5):.0f} s, {of(wait, 0.95):.0f} s; {of(lag, 0.5):.0f} s, {of(lag, 0.95):.0f} s",
            f"{bound:.0f} s",
            of(lag, 0.95) < bound,
        )
    done = [r for r in every if r.kind is Kind.BACKFILL]
    shares = ", ".join(
        f"{(BACKFILL_REQUESTS - max(0.0, r.requests)) / BACKFILL_REQUESTS:.0%} in {r.parts} parts" for r in done
    )
    say(f"the backfills after {HOURS} hours, {BACKFILL_REQUESTS:,} requests each", shares, "")
    every, _ = simulate(3, backfills=8, people=PEOPLE_PER_HOUR, hours=2)
    lag = [r.ended - r.asked for r in every if r.kind is Kind.PERSON]
    good = of(lag, 0.95) < MOST_PERSON_S
    say("beside 8 backfills, person: p95", f"{of(lag, 0.95):.0f} s", f"{MOST_PERSON_S:.0f} s", good)
    plain, _ = simulate(3)
    seconds = sum(r.busy_s for r in plain) / len(plain)
    _arithmetic(say, seconds)


def _arithmetic(say: Callable[..., None], seconds: float) -> None:
    per_run = ACCOUNTS / SHEETS * OBJECTS * REQUESTS_PER_PAIR

    def print_two(what: str, one: float, other: float) -> None:
        say(f"  … {what}", f"{math.ceil(one):,}, {math.ceil(other):,}", "")

    for sheets, word in ((SHEETS, "hourly"), (100_000, "hourly"), (100_000, "daily")):
        per_hour = sheets / (1 if word == "hourly" else 24)
        runs = per_hour * 24 * 30
        writes, reads = 20 + seconds / 15, 30 + seconds / 5
        sweeps = 6 * 24 * 30 * sheets
        money = {
            "Cloud Run": runs * seconds * CPU_SECOND,
            "Cloud Storage": runs * (writes * WRITE + reads * READ) + sweeps * READ,
            "Cloud Tasks": runs * 3 * TASK,
        }
        cost = ", ".join(f"{name} ${dollars:,.0f}" for name, dollars in money.items())
        say(f"{sheets:,} Sheets {word}: runs a month, {seconds:.0f} s each", f"{runs:,.0f}", "")
        say("  … in dollars a month", f"{cost}; jobs saved ${sheets * JOB:,.0f}", "")
        print_two("at once, TikTok apps", per_hour * seconds / 3600, per_hour * per_run / (RATE * 3600))
        print_two("writers, their projects", per_hour / SHEETS_OF_ONE, per_hour * READS / 60 / 300)
