"""Plant defects and see that each is found, and that nothing else is: ``python -m benchmarks trust --seed 1``.

Two parts, both from a seed, in this process and over real HTTP to the emulator.

    defects    damage tables and let TikTok say other numbers, one object, account and day at a time; ``verify`` must
               find each, say nothing of all other days, and the next import must put right what can be
    clean      let weeks go by with imports and checks at odd hours, faults, interrupted runs and kills, and with
               everything that makes honest numbers differ: no day may be called wrong

A defect is planted *here*, so that the rows are not those that were stored, or *as read*, together with a seal that
vouches for it, as if the program itself had read or written it so. Those that no total can show (cents below what
rounding explains, amounts that moved between ads) are planted here only.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from owox_tiktok import app
from owox_tiktok.app.proofs import Verified
from owox_tiktok.destinations.duckdb import DuckDB
from owox_tiktok.destinations.duckdb import open_at as open_duckdb
from owox_tiktok.local.tiktok import Faults, Rules, Server, World, serve
from owox_tiktok.model import Chunk, Sealed, Window
from owox_tiktok.states import Reason
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.seals import NOTHING, forget_sql, insert_sql
from owox_tiktok.trust.verdicts import SEVERITY, Severity, Verdict
from tests.helpers import Project, process_environment

OBJECTS = ("ad_report_daily", "campaign_report_daily", "advertiser_report_daily")
MOMENTS = (
    datetime(2026, 3, 8, 20, tzinfo=UTC),  # clocks go forward in Los Angeles
    datetime(2026, 3, 29, 12, 10, tzinfo=UTC),  # … in Berlin and Kyiv
    datetime(2026, 4, 5, 3, tzinfo=UTC),  # … back in Sydney
    datetime(2026, 11, 1, 11, 50, tzinfo=UTC),  # … back in Los Angeles
    datetime(2026, 6, 15, 23, 45, tzinfo=UTC),
)
PASSING = ("http_500", "http_503", "code_50000", "code_51021", "reset", "truncated", "cut_json", "not_json",
           "shifted_page")  # fmt: skip
BAD = frozenset(v for v, s in SEVERITY.items() if s is Severity.BAD)

Spot = tuple[str, str, date]
"""An object, an account and a day."""


@dataclass
class Figures:
    """What was planted and found, what was clean, and what was wrong."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    healed: int = 0
    beside: int = 0
    """Days of objects and accounts beside defects on which nothing was found."""
    account_days: set[tuple[str, str, date]] = field(default_factory=set)
    """Days of accounts that were compared and are clean; those of another world count again."""
    object_days: int = 0
    checks: int = 0
    imports: int = 0
    requests: int = 0
    check_requests: int = 0
    wrong: list[str] = field(default_factory=list)


def verify(project: Project, first: date | None = None) -> Verified:
    """Compare what a project stored with TikTok's totals, from a day on."""
    now = project.server.world.now()
    asked = None if first is None else (first, now.date() + timedelta(days=1))
    return app.verify(
        project.settings(now), now=now, listen=lambda _: None, asked=asked, environment=project.environment
    )


# --- defects ----------------------------------------------------------------------------------------------------------

Plant = Callable[["Bed", Spot], None]


class Bed:
    """A world with a file to plant defects in."""

    def __init__(self, seed: int, folder: Path, server: Server, chance: random.Random) -> None:
        self.name, self.folder, self.server, self.chance = f"world {seed}", folder, server, chance
        self.world = server.world
        self.project = Project(folder, server)
        self.project.say = {"objects": list(OBJECTS), "start_date": f"{self.world.now().date() - timedelta(days=45)}"}

    def sql(self, statement: str, *values: object) -> None:
        """Change the file as somebody else would."""
        with duckdb.connect(str(self.project.database)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(statement, list(values))

    def change(self, spot: Spot, sets: str, rows: str = "TRUE") -> None:
        """Update the rows of a spot, the first of them or those that a condition picks."""
        name, advertiser_id, day = spot
        key = {"ad_report_daily": "ad_id", "campaign_report_daily": "campaign_id"}.get(name, "advertiser_id")
        table = STREAMS[name].table
        self.sql(
            f"UPDATE {table} SET {sets} WHERE advertiser_id = $1 AND stat_time_day = $2 AND {key} IN (SELECT {key} "
            f"FROM {table} WHERE advertiser_id = $1 AND stat_time_day = $2 AND {rows} "
            "ORDER BY impressions DESC LIMIT 1)",
            advertiser_id,
            day,
        )

    def seal(self, spot: Spot) -> None:
        """Vouch for the rows of a spot as they are now."""
        name, advertiser_id, day = spot
        stream = STREAMS[name]
        with open_duckdb(f"/{self.project.database}") as opened:
            assert isinstance(opened, DuckDB)
            was = opened.seals(stream, advertiser_id)[day]
            now = opened.recount(stream, advertiser_id, Window(day, day)).get(day, NOTHING)
            found = opened._found(stream.table)
            assert found is not None
            with opened._transaction():
                opened._changed(forget_sql(opened.dialect, stream, [(advertiser_id, day, day)]))
                days: dict[date | None, Sealed] = {day: Sealed(now, was.fields, was.read_at)}
                sealed = {advertiser_id: days}
                columns = tuple(stream.fields[n] for n in was.fields)
                read = Chunk(stream, advertiser_id, Window(day, day), columns, Path(), now.rows, None, {}, was.read_at)
                for statement in insert_sql(opened.dialect, [read], sealed, found.id):
                    opened._changed(statement)


def _drop(bed: Bed, spot: Spot) -> None:
    name, advertiser_id, day = spot
    bed.sql(
        f"DELETE FROM {STREAMS[name].table} WHERE advertiser_id = $1 AND stat_time_day = $2 AND impressions = "
        f"(SELECT max(impressions) FROM {STREAMS[name].table} WHERE advertiser_id = $1 AND stat_time_day = $2)",
        advertiser_id,
        day,
    )


def _double(bed: Bed, spot: Spot) -> None:
    name, advertiser_id, day = spot
    bed.sql(
        f"INSERT INTO {STREAMS[name].table} SELECT * FROM {STREAMS[name].table} "
        "WHERE advertiser_id = $1 AND stat_time_day = $2 AND impressions > 0 ORDER BY impressions DESC LIMIT 1",
        advertiser_id,
        day,
    )


def _empty(bed: Bed, spot: Spot) -> None:
    bed.sql(f"DELETE FROM {STREAMS[spot[0]].table} WHERE advertiser_id = $1 AND stat_time_day = $2", *spot[1:])


def _swap(bed: Bed, spot: Spot) -> None:
    """Move a unit of spend from one row to another: no sum shows it."""
    bed.change(spot, "spend = spend - 1, clicks = clicks - 1", "TRUE")
    name, advertiser_id, day = spot
    table = STREAMS[name].table
    key = "ad_id" if name == "ad_report_daily" else "campaign_id"
    bed.sql(
        f"UPDATE {table} SET spend = spend + 1, clicks = clicks + 1 WHERE advertiser_id = $1 AND stat_time_day = $2 "
        f"AND {key} IN (SELECT {key} FROM {table} WHERE advertiser_id = $1 AND stat_time_day = $2 "
        "ORDER BY impressions LIMIT 1)",
        advertiser_id,
        day,
    )


def _stale(bed: Bed, spot: Spot) -> None:
    """Let TikTok have other numbers of a day that is not read any more."""
    bed.world.restate(spot[1], spot[2], bed.chance.choice((90, 97, 104, 130)))


def _to_other(bed: Bed, spot: Spot) -> None:
    name, advertiser_id, day = spot
    other = next(a for a in bed.world.advertiser_ids if a != advertiser_id)
    bed.sql(
        f"UPDATE {STREAMS[name].table} SET advertiser_id = $3 WHERE advertiser_id = $1 AND stat_time_day = $2",
        advertiser_id,
        day,
        other,
    )


HERE: dict[str, Plant] = {
    "dropped": _drop,
    "doubled": _double,
    "+1 impression": lambda bed, spot: bed.change(spot, "impressions = impressions + 1"),
    "-1 click": lambda bed, spot: bed.change(spot, "clicks = clicks - 1"),
    "+0.01": lambda bed, spot: bed.change(spot, "spend = spend + 0.01"),
    "moved between ads": _swap,
    "empty day": _empty,
    "x 100": lambda bed, spot: bed.change(spot, "spend = spend * 100"),
    "other account": _to_other,
    "a name edited": lambda bed, spot: bed.change(spot, "currency = 'XXX'"),
}
AS_READ = ("dropped", "doubled", "+1 impression", "-1 click", "empty day", "x 100")
"""What a total shows even where a seal vouches for it."""


def defects(seed: int, wanted: int, figures: Figures) -> None:
    """Plant at least ``wanted`` defects, a world at a time."""
    number = 0
    while figures.planted.total() < wanted:
        number += 1
        chance = random.Random(f"{seed}/defects/{number}")
        world = World(
            seed=chance.randrange(10_000), advertisers=4, campaigns=4, ad_groups=6, ads=10,
            start=date(2026, 1, 1), as_of=datetime(2026, 4, 20, chance.randrange(24), 20, tzinfo=UTC),
            fine_money=True,
        )  # fmt: skip
        folder = Path(tempfile.mkdtemp(prefix="owox-trust-"))
        with serve(world, rules=Rules(drop_zero_rows=True)) as server:
            _bed(Bed(number, folder, server, chance), figures)
        shutil.rmtree(folder)


def _bed(bed: Bed, figures: Figures) -> None:
    bed.project.import_()
    figures.imports += 1
    planted: dict[Spot, str] = {}
    today = bed.world.now().date()
    spots = [
        (name, advertiser_id, today - timedelta(days=n))
        for name in OBJECTS
        for advertiser_id in bed.world.advertiser_ids
        for n in range(10, 28)
    ]
    chosen = bed.chance.sample(spots, len(spots))
    spoilt: set[Spot] = set()

    def take(fits: Callable[[Spot], bool], apart: int = 1) -> Spot:
        """Return a spot whose day and neighbours are whole, of all objects where TikTok itself will differ."""
        for spot in chosen:
            around = [(spot[0], spot[1], spot[2] + timedelta(days=n)) for n in range(-apart, apart + 1)]
            if fits(spot) and not spoilt.intersection(around):
                spoilt.update(around)
                return spot
        raise LookupError("no spot is left")

    for kind, plant in HERE.items():
        fits = (lambda s: not s[0].startswith("advertiser")) if kind == "moved between ads" else (lambda _: True)
        for as_read in (False, True) if kind in AS_READ else (False,):
            spot = take(fits)
            plant(bed, spot)
            if as_read:
                bed.seal(spot)
            if kind == "other account":
                other = next(a for a in bed.world.advertiser_ids if a != spot[1])
                spoilt.add((spot[0], other, spot[2]))
                planted[spot[0], other, spot[2]] = "from another account"
            planted[spot] = f"{kind}, {'as read' if as_read else 'here'}"
    shifted = take(lambda s: s[0] == "ad_report_daily", apart=2)
    after = (shifted[0], shifted[1], shifted[2] + timedelta(days=1))
    bed.sql(
        "UPDATE tiktok_ads_ad_report_daily SET stat_time_day = stat_time_day + 1 "
        "WHERE advertiser_id = $1 AND stat_time_day = $2",
        *shifted[1:],
    )
    for spot in (shifted, after):
        bed.seal(spot)
        planted[spot] = "day shifted, as read"
    stale = take(lambda s: not any((n, s[1], s[2]) in spoilt for n in OBJECTS))
    _stale(bed, stale)
    for name in OBJECTS:
        planted[name, stale[1], stale[2]] = "stale"
    lost = take(lambda s: s[0] == "ad_report_daily")
    deleted = [ad.id for ad in bed.world.advertiser(lost[1]).ads if ad.deleted]
    bed.sql(
        "DELETE FROM tiktok_ads_ad_report_daily WHERE advertiser_id = $1 AND stat_time_day = $2 "
        "AND ad_id IN (SELECT unnest($3))",
        *lost[1:],
        deleted,
    )
    bed.seal(lost)
    planted[lost] = "deleted ones lost, as read"
    _judge(bed, planted, figures)
    _lose_an_account(bed, figures)


def _lose_an_account(bed: Bed, figures: Figures) -> None:
    """Take an account away from an object as if it had never been imported."""
    name, advertiser_id = bed.chance.choice(OBJECTS), bed.chance.choice(bed.world.advertiser_ids)
    bed.sql(f"DELETE FROM {STREAMS[name].table} WHERE advertiser_id = $1", advertiser_id)
    for kept in ("_owox_tiktok_days", "_owox_tiktok_cursors"):
        bed.sql(f"DELETE FROM {kept} WHERE object = $1 AND advertiser_id = $2", name, advertiser_id)
    today = bed.world.now().date()
    spot = (name, advertiser_id, today - timedelta(days=bed.chance.randrange(5, 25)))
    _judge(bed, {spot: "missing account"}, figures, {(name, advertiser_id)})


def silent_cuts(seed: int, count: int, figures: Figures) -> None:
    """Let TikTok cut reports of large accounts at their newest ads, and not say so."""
    for number in range(count):
        chance = random.Random(f"{seed}/cuts/{number}")
        world = World(
            seed=chance.randrange(10_000), advertisers=2, campaigns=3, ad_groups=4, ads=12,
            start=date(2026, 1, 1), as_of=datetime(2026, 4, 20, 14, tzinfo=UTC), fine_money=True,
        )  # fmt: skip
        folder = Path(tempfile.mkdtemp(prefix="owox-trust-"))
        faults = Faults(max_ads_per_report=chance.choice((8, 10)))
        with serve(world, faults=faults, rules=Rules(cut_says_so=False)) as server:
            project = Project(folder, server)
            project.say = {"objects": ["ad_report_daily"], "start_date": f"{world.now().date() - timedelta(days=20)}"}
            project.import_()
            for advertiser_id in world.advertiser_ids:
                days = [d for d in verify(project).days if d.advertiser_id == advertiser_id]
                figures.planted["silent cut"] += 1
                figures.found["silent cut"] += any(d.verdict is Verdict.MISSING for d in days)
                figures.healed += 1  # nothing here can be put right
                if not any(d.verdict is Verdict.MISSING for d in days):
                    figures.wrong.append(f"silent cut {number}: {[str(d.verdict) for d in days]}")
        shutil.rmtree(folder)


def _judge(
    bed: Bed, planted: dict[Spot, str], figures: Figures, whole: Collection[tuple[str, str]] = frozenset()
) -> None:
    """See that all that was planted is found, nothing else, and that an import puts it right."""
    first = bed.world.now().date() - timedelta(days=29)
    found = {(d.object, d.advertiser_id, d.day): d for d in verify(bed.project, first).days}
    figures.checks += 1
    for spot, kind in planted.items():
        figures.planted[kind] += 1
        if found[spot].verdict in BAD:
            figures.found[kind] += 1
        else:
            figures.wrong.append(f"{bed.name}: {kind} at {spot} is {found[spot].verdict}")
    for spot, one in found.items():
        if spot not in planted and spot[:2] not in whole:
            figures.beside += one.verdict is Verdict.EQUAL
            if one.verdict in BAD:
                figures.wrong.append(f"{bed.name}: nothing was planted at {spot}: {one.verdict}, {one.reason}")
    bed.project.import_()
    figures.imports += 1
    again = {(d.object, d.advertiser_id, d.day): d for d in verify(bed.project, first).days}
    figures.checks += 1
    for spot, kind in planted.items():
        if again[spot].verdict is Verdict.EQUAL:
            figures.healed += 1
        else:
            figures.wrong.append(f"{bed.name}: {kind} at {spot} was not put right: {again[spot].verdict}")


# --- clean ------------------------------------------------------------------------------------------------------------


def clean(seed: int, wanted: int, figures: Figures, only: int | None = None) -> None:
    """Let worlds go on, until so many days of accounts were compared; or ``only`` one of them."""
    number = 0
    while len(figures.account_days) < wanted:
        number += 1
        if only is not None and number != only:
            if number > only:
                return
            continue
        chance = random.Random(f"{seed}/clean/{number}")
        moment = chance.choice(MOMENTS)
        world = World(
            seed=chance.randrange(10_000), advertisers=8, campaigns=3, ad_groups=4, ads=chance.choice((4, 8)),
            start=(moment - timedelta(days=150)).date(), as_of=moment, fine_money=True,
            late_data=chance.random() < 0.6, hidden_kinds=chance.random() < 0.4, campaign_only=chance.random() < 0.3,
            gmv_max=chance.random() < 0.3,
        )  # fmt: skip
        rules = Rules(drop_zero_rows=True, top_view_at_advertiser=chance.random() < 0.5)
        folder = Path(tempfile.mkdtemp(prefix="owox-trust-"))
        with serve(world, rules=rules, faults=Faults(seed=number)) as server:
            _weeks(f"clean world {number}", Project(folder, server), chance, figures)
        shutil.rmtree(folder)


def _weeks(name: str, project: Project, chance: random.Random, figures: Figures) -> None:
    world, server = project.server.world, project.server
    start = world.now().date() - timedelta(days=110)
    project.say = {
        "objects": chance.sample(OBJECTS, 2),
        "start_date": f"{start}",
        "include_deleted": chance.random() < 0.7,
        "reimport_lookback_window": chance.choice((0, 3, 7, 14)),
    }
    for turn in range(4):
        server.faults.rate = chance.choice((0.0, 0.05))
        server.faults.kinds = PASSING
        how = chance.choice(("alone", "alone", "halted", "killed")) if turn else "alone"
        _import(project, how, chance)
        figures.imports += 1
        server.faults.rate = 0.0
        # Much of the time is early in the morning of the 12:00 UTC at which TikTok corrects the day before.
        world.as_of = world.now() + timedelta(hours=chance.choice((0, 1, 3, 11, 13, 25, 40)))
        found = verify(project, start if turn in (0, 3) else None)
        figures.checks += 1
        for one in found.days:
            if one.verdict in BAD:
                figures.wrong.append(f"{name}, turn {turn}: {one.object} {one.advertiser_id} {one.day}: "
                                     f"{one.verdict}, {one.reason}")  # fmt: skip
            elif one.verdict in (Verdict.EQUAL, Verdict.EXPLAINED):
                figures.object_days += 1
                figures.account_days.add((name, one.advertiser_id, one.day))
    with duckdb.connect(str(project.database), read_only=True) as connection:
        sums = "SELECT sum(requests), sum(check_requests) FROM _owox_tiktok_runs"
        reading, checking = connection.execute(sums).fetchall()[0]
        figures.requests += int(reading or 0)
        figures.check_requests += int(checking or 0)
    _compare_kept(name, project, figures)


def _import(project: Project, how: str, chance: random.Random) -> None:
    if how == "killed":
        process = subprocess.Popen(
            project.command("import", str(project.write())),
            cwd=project.folder,
            env=process_environment(project.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.6, 3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        return
    if how == "halted":
        asked = iter(range(chance.randrange(1, 6)))
        now = project.server.world.now()
        app.import_(
            project.settings(now),
            now=now,
            listen=lambda _: None,
            part=app.Part(halted=lambda: Reason.INTERRUPTED if next(asked, None) is None else None),
            environment=project.environment,
        )
        return
    project.import_()


def _compare_kept(name: str, project: Project, figures: Figures) -> None:
    """See that what is kept of days is what their tables have, and that changes lead from one sum to the next."""
    with duckdb.connect(str(project.database), read_only=True) as connection:
        for object_name in project.say["objects"]:
            table = STREAMS[object_name].table
            differ = connection.execute(
                "SELECT days.advertiser_id, days.day FROM _owox_tiktok_days AS days LEFT JOIN "
                f"(SELECT advertiser_id, stat_time_day, count(*) AS rows, sum(spend) AS spend FROM {table} "
                "GROUP BY ALL) AS found ON found.advertiser_id = days.advertiser_id "
                "AND found.stat_time_day = days.day WHERE days.object = $1 AND (days.rows != COALESCE(found.rows, 0) "
                "OR COALESCE(days.spend, 0) != COALESCE(found.spend, 0))",
                [object_name],
            ).fetchall()
            if differ:
                figures.wrong.append(f"{name}: {object_name}: what is kept of {differ[0]} is not what is there")
        broken = connection.execute(
            "SELECT object, advertiser_id, day FROM (SELECT *, LAG(spend_after) OVER before AS was, "
            "LEAD(seen_at) OVER before AS next_at FROM _owox_tiktok_restatements WINDOW before AS "
            "(PARTITION BY object, advertiser_id, day ORDER BY seen_at)) AS changes LEFT JOIN _owox_tiktok_days AS now "
            "USING (object, advertiser_id, day) WHERE (was IS NOT NULL AND was IS DISTINCT FROM spend_before) "
            "OR (next_at IS NULL AND now.rows IS NOT NULL AND now.spend IS DISTINCT FROM spend_after)"
        ).fetchall()
        if broken:
            figures.wrong.append(f"{name}: changes do not lead from one sum to the next at {broken[0]}")


def main(words: Sequence[str]) -> int:
    """Plant defects and let clean worlds go on; return 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks trust", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defects", type=int, default=200, help="how many at least")
    parser.add_argument("--days", type=int, default=20_000, help="how many clean days of accounts at least")
    parser.add_argument("--world", type=int, help="let only this clean world go on, and plant nothing")
    chosen = parser.parse_args(words)
    figures, began = Figures(), time.monotonic()
    if chosen.world is None:
        silent_cuts(chosen.seed, max(1, chosen.defects // 40), figures)
        defects(chosen.seed, chosen.defects, figures)
    print(f"{figures.found.total()} of {figures.planted.total()} defects found, {figures.healed} put right by the next")
    print(f"import, {figures.beside:,} days beside them equal ({time.monotonic() - began:.0f} s)")
    for kind, times in sorted(figures.planted.items()):
        print(f"  {figures.found[kind]:4} of {times:4}  {kind}")
    clean(chosen.seed, chosen.days, figures, chosen.world)
    print(f"{len(figures.account_days):,} clean days of accounts ({figures.object_days:,} checks of an object's day)")
    if figures.requests:
        share = 100 * figures.check_requests / figures.requests
        print(f"imports asked {figures.requests:,} requests to read, and {share:.1f} % more to check")
    print(f"{figures.imports} imports, {figures.checks} checks in {time.monotonic() - began:.0f} s")
    for one in figures.wrong[:40]:
        print(f"  wrong: {one}")
    print(f"{len(figures.wrong)} wrong")
    return 1 if figures.wrong else 0
