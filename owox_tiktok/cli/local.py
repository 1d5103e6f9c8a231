"""Commands that need no account: the demo and the emulators."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from owox_tiktok.cli.common import console, guarded, stopped_by
from owox_tiktok.cli.interruption import INTERRUPTION, How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import day, examples, moment

if TYPE_CHECKING:
    from owox_tiktok import demo as demonstration
    from owox_tiktok import laptop as laptops
    from owox_tiktok.local import http, identity, sheets, tasks, tiktok
    from owox_tiktok.terminal import Screen
else:
    demonstration = lazily("owox_tiktok.demo")
    laptops = lazily("owox_tiktok.laptop")
    http, identity = lazily("owox_tiktok.local.http"), lazily("owox_tiktok.local.identity")
    sheets, tasks = lazily("owox_tiktok.local.sheets"), lazily("owox_tiktok.local.tasks")
    tiktok = lazily("owox_tiktok.local.tiktok")


@click.command(epilog=examples("demo", "demo --folder /tmp/tiktok-demo"))
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default="demo", help="Where its files go [demo]."
)
def demo(folder: Path) -> None:
    """Import twice from a simulated TikTok, into DuckDB.

    It runs on this machine and needs no account; what arrived is shown.
    """

    def work(screen: Screen) -> int:
        code = demonstration.demo(folder, console(), halted=stopped_by(screen))
        return INTERRUPTION.exit_code if INTERRUPTION.asked() else code

    guarded(work, how=How.AFTER_THIS, interrupted="interrupted. Run it again: it begins with an empty database.")


@click.group()
def local() -> None:
    """Run emulators on this machine, for trying and testing."""


def _serve(serve: Callable[[], None]) -> NoReturn:
    """Run what serves until Ctrl-C or SIGTERM, which is how it is meant to end."""

    def work(screen: Screen) -> int:
        with suppress(KeyboardInterrupt):
            serve()
        return 0

    guarded(work, how=How.BY_EXCEPTION, interrupted="interrupted.")


@local.command("up", epilog=examples("local up", "local up --port 0 --latency-ms 0", "local up --sheets-port 8081"))
@click.option("--port", type=int, default=8080, show_default=True, help="Of the page; 0 picks a free one.")
@click.option("--latency-ms", type=float, default=300.0, show_default=True, help="How long TikTok takes to answer.")
@click.option("--tiktok-port", type=int, default=0, show_default=True, help="Of the simulated TikTok; 0: a free one.")
@click.option("--sheets-port", type=int, default=0, show_default=True, help="Of the emulator of Google Sheets.")
@click.option("--tasks-port", type=int, default=0, show_default=True, help="Of the emulator of Cloud Tasks.")
@click.option("--service-port", type=int, default=0, show_default=True, help="Of the function that the Sheet calls.")
def local_up(
    port: int, latency_ms: float, tiktok_port: int, sheets_port: int, tasks_port: int, service_port: int
) -> None:
    """Serve the whole product on this machine.

    A Sheet with its menu in the browser, the service, and simulated ad accounts.
    """

    def serve() -> None:
        click.echo("Starting …", err=True)
        ports = laptops.Ports(tiktok=tiktok_port, google=sheets_port, tasks=tasks_port, service=service_port)
        with laptops.Laptop(port, latency_s=latency_ms / 1000, ports=ports) as laptop:
            click.echo(f"The Sheet with its menu is at {laptop.url}   (open it in a browser; Ctrl-C ends it)")
            click.echo(
                f"  TikTok {laptop.tiktok.url} · Google Sheets {laptop.google.url} · function {laptop.for_sheets}"
            )
            sys.stdout.flush()
            threading.Event().wait()

    _serve(serve)


@local.command("tiktok", epilog=examples("local tiktok --port 8080 --advertisers 3 --fault-rate 0.1"))
@click.option("--port", type=int, default=8080, show_default=True, help="0 picks a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same data.")
@click.option("--advertisers", type=int, default=3, show_default=True)
@click.option("--ads", type=int, default=60, show_default=True, help="Ads per advertiser.")
@click.option(
    "--start", callback=day, metavar="DAY", default="2026-01-01", show_default=True, help="First day with results."
)
@click.option(
    "--now",
    "as_of",
    callback=moment,
    metavar="MOMENT",
    help="The moment at which the data is seen [now].",
)
@click.option("--qps", type=int, default=10, show_default=True, help="Requests per second before 40100; 0: no limit.")
@click.option("--per-minute", type=int, default=600, show_default=True, help="Requests per minute; 0: no limit.")
@click.option("--latency-ms", type=float, default=0.0, show_default=True)
@click.option("--fault-rate", type=float, default=0.0, show_default=True, help="Share of requests that fail, 0 to 1.")
@click.option("--cache", is_flag=True, help="Keep finished answers, for benchmarks.")
@click.option("--sandbox", is_flag=True, help="Answer as TikTok's sandbox does.")
@click.option("--hidden-kinds", is_flag=True, help="Have Promote and TopView ads, hidden unless asked for.")
@click.option("--smart-plus", is_flag=True, help="Make every second campaign an Upgraded Smart+ one.")
@click.option("--late-data", is_flag=True, help="Have numbers as late as TikTok's.")
def local_tiktok(
    port: int,
    seed: int,
    advertisers: int,
    ads: int,
    start: date,
    as_of: datetime | None,
    qps: int,
    per_minute: int,
    latency_ms: float,
    fault_rate: float,
    cache: bool,
    sandbox: bool,
    hidden_kinds: bool,
    smart_plus: bool,
    late_data: bool,
) -> None:
    """Serve a simulated TikTok Marketing API."""

    def ready(url: str) -> None:
        click.echo(f"Simulated TikTok at {url}   (Ctrl-C ends it)\n  export TIKTOK_API_URL={url}")
        click.echo(f"  export TIKTOK_ACCESS_TOKEN={'sandbox' if sandbox else 'local'}-token-not-a-secret")

    def serve() -> None:
        world = tiktok.World(
            seed=seed,
            advertisers=advertisers,
            ads=ads,
            start=start,
            as_of=as_of,
            hidden_kinds=hidden_kinds,
            smart_plus=smart_plus,
            late_data=late_data,
        )
        limits = tiktok.Limits(qps=qps or None, per_minute=per_minute or None)
        faults = tiktok.Faults(rate=fault_rate, latency_s=latency_ms / 1000, seed=seed)
        tiktok.run(port, world, limits=limits, faults=faults, cache=cache, sandbox=sandbox, ready=ready)

    _serve(serve)


@local.command("sheets", epilog=examples("local sheets --port 8081"))
@click.option("--port", type=int, default=8081, show_default=True, help="0 picks a free one.")
def local_sheets(port: int) -> None:
    """Serve a Google Sheets API emulator.

    With a page to look at its spreadsheets.
    """

    def ready(url: str) -> None:
        click.echo(f"Google Sheets emulator at {url}   (open it in a browser; Ctrl-C ends it)")

    def serve() -> None:
        sheets.run(port, ready=ready)

    _serve(serve)


@local.command("tasks", epilog=examples("local tasks --port 8082"))
@click.option("--port", type=int, default=8082, show_default=True, help="0 picks a free one.")
def local_tasks(port: int) -> None:
    """Serve a Cloud Tasks emulator, and Google's sign-in."""

    def serve() -> None:
        with identity.Issuer() as issuer:
            server = tasks.Server(issuer, port=port)
            queue = server.add(min_backoff_s=1.0, max_backoff_s=30.0)

            def ready(url: str) -> None:
                click.echo(f"Cloud Tasks emulator at {url}, sign-in at {issuer.url}   (Ctrl-C ends them)")
                click.echo(f"  export CLOUD_TASKS_API_URL={url} OWOX_TASKS_QUEUE={queue.name}")
                click.echo(f"  export OWOX_CERTS_URL={issuer.certs_url}")

            http.run_until_stopped(server, ready)

    _serve(serve)
