"""The command that writes rows into a file: export."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import DEFAULT_CONFIG, common, guarded, object_names, say_json
from owox_tiktok.cli.interruption import How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import day, examples, quiet_option

if TYPE_CHECKING:
    from owox_tiktok import api, events, files
    from owox_tiktok.terminal import Screen
else:
    api = lazily("owox_tiktok.api")
    events = lazily("owox_tiktok.events")
    files = lazily("owox_tiktok.files")


@click.command(
    epilog=examples(
        "export campaigns -o campaigns.csv",
        "export ad_report_daily --from 2026-01-01 --to 2026-01-31 -o january.xlsx",
        "export ad_report_daily --from 2026-01-01 --field performance --field likes -o ads.parquet",
        "export ads other.yaml --advertiser 7012345678901234567 -o ads.csv",
    )
)
@click.argument("name", metavar="OBJECT", shell_complete=object_names)
@click.argument("config", type=click.Path(path_type=Path), metavar="[CONFIG.yaml]", required=False)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, metavar="FILE",
    help="The file to write: .csv, .parquet or .xlsx. One that is there is replaced.",
)  # fmt: skip
@click.option("--from", "first", callback=day, metavar="DAY", help="The first day of a report …")
@click.option("--to", "last", callback=day, metavar="DAY", help="… and the last, both included; without it, today.")
@click.option("--field", "fields", multiple=True, metavar="NAME", help="A field or preset; may be repeated.")
@click.option("--advertiser", "advertisers", multiple=True, metavar="ID", help="Only this ad account; may be repeated.")
@quiet_option
@common
def export(
    name: str,
    config: Path | None,
    output: Path,
    first: date | None,
    last: date | None,
    fields: tuple[str, ...],
    advertisers: tuple[str, ...],
    now: datetime | None,
    quiet: bool,
    log: str,
) -> None:
    """Write an object's rows to a CSV, Excel or Parquet file.

    They are read from TikTok, all of them or none: the file is there once it is whole. The token and the ad accounts
    come from tiktok.yaml, the file that is named, or the environment (TIKTOK_ACCESS_TOKEN, TIKTOK_ADVERTISER_IDS). No
    destination is touched.
    """

    def work(screen: Screen) -> int:
        def hear(event: events.Event) -> None:
            if not isinstance(event, events.Finished):  # nothing is stored, and no next run continues there
                screen(event)

        files.check(output)
        if config is None and not DEFAULT_CONFIG.exists():
            ads = api.TikTokAds.from_env()
        else:
            ads = api.TikTokAds.from_file(config or DEFAULT_CONFIG)
        ads._now = now or datetime.now(UTC)
        table = ads.read(
            name,
            since=first,
            until=last,
            fields=fields or None,
            advertiser_ids=advertisers or None,
            listen=hear,
        )
        rows = table.save(output)
        if log == "json":
            say_json({"event": "exported", "file": str(output), "rows": rows, "columns": len(table.columns)})
        elif not quiet:
            click.echo(
                f"Wrote {output}: {rows:,} row{'' if rows == 1 else 's'}, {len(table.columns)} columns.", err=True
            )
        return 0

    guarded(
        work,
        how=How.BY_EXCEPTION,
        log=log,
        quiet=quiet,
        interrupted="interrupted before the file was whole. Nothing was written.",
    )
