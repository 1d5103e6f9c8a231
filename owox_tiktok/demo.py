"""The whole of it without a TikTok account: a simulated TikTok, two imports, and a look at what arrived."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from owox_tiktok import app
from owox_tiktok.config_file import read_file
from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.local.tiktok import Limits, World, serve
from owox_tiktok.states import Reason
from owox_tiktok.streams import STREAMS
from owox_tiktok.terminal import Terminal, chart

TODAY = datetime(2026, 11, 12, 9, 0, tzinfo=UTC)
LATER = TODAY + timedelta(days=2)

CONFIG = """\
# Written by `owox-tiktok demo`; the ad accounts are simulated.
access_token: ${TIKTOK_ACCESS_TOKEN}
advertiser_ids: [%s]
start_date: 2026-09-01
objects:
  - advertisers
  - campaigns
  - ad_groups
  - ads
  - ad_report_daily
  - campaign_report_hourly
  - campaign_report_daily_by_country
  - advertiser_audience_report_daily_by_age_gender
fields:
  ad_report_daily: [performance, video]
reimport_lookback_window: 7
requests_per_second: 50
destination: duckdb:///%s
"""


def demo(folder: Path, console: Console, halted: Callable[[], Reason | None] = lambda: None) -> int:
    """Import twice into ``folder``, two days apart, and show what came; return the exit code.

    Raises BadInput for a folder that cannot be written to; ends early when ``halted`` gives a reason.
    """
    database, config = folder / "tiktok_ads.duckdb", folder / "tiktok.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.touch()
        for old in (database, Path(f"{database}.wal")):
            old.unlink(missing_ok=True)
    except OSError as error:
        what = f"{error.filename or folder} cannot be written ({error.strerror})"
        raise BadInput([Mistake("--folder", what, "Choose another: owox-tiktok demo --folder /tmp/demo")]) from None
    world = World(
        seed=37,
        advertisers=3,
        campaigns=5,
        ad_groups=12,
        ads=40,
        start=date(2026, 8, 15),
        as_of=TODAY,
        hidden_kinds=True,
        pleasant_names=True,
    )
    with serve(world, limits=Limits(qps=60, per_minute=None)) as server:
        ids = ", ".join(f'"{one}"' for one in world.advertiser_ids)
        config.write_text(CONFIG % (ids, database), encoding="utf-8")
        environment = {**os.environ, "TIKTOK_API_URL": server.url, "TIKTOK_ACCESS_TOKEN": server.token}

        console.rule("First import", align="left")
        console.print(f"Three simulated ad accounts, from 1 September to {TODAY:%-d %B %Y}, into {database}\n")
        code = _import(config, TODAY, environment, halted)
        if code:
            return code
        before = _read(database, _BY_DAY)
        _show(database, console)

        world.as_of = LATER
        console.rule(f"Two days later ({LATER:%-d %B})", align="left")
        console.print("TikTok now credits more conversions to days that were imported before.\n")
        code = _import(config, LATER, environment, halted)
        if code:
            return code
        _show_restated(before, _read(database, _BY_DAY), console)

    console.rule("Try next", align="left")
    query = f"import duckdb; print(duckdb.connect('{database}').sql('FROM tiktok_ads_ads LIMIT 5'))"
    for words, command in (
        ("the whole product in a browser: a Sheet, its menu and the service", "owox-tiktok local up"),
        ("every field of a report", "owox-tiktok objects ad_report_daily"),
        ("a look into a table", f'python -c "{query}"'),
        ("your own accounts; docs/CREDENTIALS.md says how to get a token", "owox-tiktok init my.yaml"),
    ):
        console.print(f"  [dim]# {words}[/]")
        console.print(f"  .venv/bin/{command}", markup=False, soft_wrap=True)
    return 0


def _import(config: Path, now: datetime, environment: dict[str, str], halted: Callable[[], Reason | None]) -> int:
    settings = read_file(config, now=now, environment=environment)
    with Terminal() as screen:
        return app.import_(
            settings, now=now, listen=screen, environment=environment, part=app.Part(halted=halted)
        ).exit_code


_BY_DAY = "SELECT stat_time_day, sum(conversion) FROM tiktok_ads_ad_report_daily GROUP BY 1 ORDER BY 1"


def _read(database: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(query).fetchall()


def _show(database: Path, console: Console) -> None:
    table = Table(box=None, pad_edge=False, title="\nWhat arrived", title_justify="left")
    for name in ("table", "rows", "first day", "last day"):
        table.add_column(name, justify="right" if name == "rows" else "left")
    there = {str(row[0]) for row in _read(database, "SELECT table_name FROM duckdb_tables()")}
    for stream in STREAMS.values():
        if stream.table in there:
            days = f"min({stream.time})::DATE, max({stream.time})::DATE" if stream.time else "NULL, NULL"
            rows, first, last = _read(database, f"SELECT count(*), {days} FROM {stream.table}")[0]
            table.add_row(stream.table, f"{rows:,}", f"{first or ''}", f"{last or ''}")
    console.print(table)

    spend = Table(box=None, pad_edge=False, title="\nSpend per advertiser", title_justify="left")
    for name in ("advertiser", "name", "currency", "spend", "conversions"):
        spend.add_column(name, justify="right" if name in ("spend", "conversions") else "left")
    for row in _read(
        database,
        "SELECT advertiser_id, any_value(a.name), r.currency, sum(spend), sum(conversion) "
        "FROM tiktok_ads_ad_report_daily r JOIN tiktok_ads_advertisers a USING (advertiser_id) "
        "GROUP BY ALL ORDER BY 4 DESC",
    ):
        spend.add_row(str(row[0]), " ".join(str(row[1]).split()), str(row[2]), f"{row[3]:,.2f}", f"{row[4]:,}")
    console.print(spend)

    weeks = _read(
        database,
        "SELECT date_trunc('week', stat_time_day)::DATE, sum(impressions) FROM tiktok_ads_ad_report_daily "
        "GROUP BY 1 ORDER BY 1",
    )
    console.print("\n[italic]Impressions per week[/]")
    for line in chart([(f"{week:%d %b}", float(str(n))) for week, n in weeks]):
        console.print(f"  {line}", markup=False)
    console.print()


def _show_restated(before: list[tuple[object, ...]], after: list[tuple[object, ...]], console: Console) -> None:
    had: dict[object, object] = dict(before)  # type: ignore[arg-type]
    table = Table(box=None, pad_edge=False, title="\nConversions per day, before and now", title_justify="left")
    for name in ("day", "first import", "now", ""):
        table.add_column(name, justify="left" if name in ("day", "") else "right")
    for day, now in after[-11:]:
        was = had.get(day)
        change = "[green]new[/]" if was is None else "[yellow]restated[/]" if was != now else "unchanged"
        table.add_row(str(day), "" if was is None else f"{was:,}", f"{now:,}", change)
    console.print(table)
    console.print()
