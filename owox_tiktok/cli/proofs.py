"""Commands that compare stored numbers with TikTok's: verify, explain, history."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import Asked, asked, common, console, facts, guarded, say_json, stopped_by
from owox_tiktok.cli.interruption import How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import day, examples, quiet_option
from owox_tiktok.errors import BadInput, Mistake

if TYPE_CHECKING:
    from owox_tiktok import app, terminal
    from owox_tiktok.terminal import Screen
    from owox_tiktok.trust import verdicts
else:
    app = lazily("owox_tiktok.app")
    terminal = lazily("owox_tiktok.terminal")
    verdicts = lazily("owox_tiktok.trust.verdicts")

json_option = click.option("--json", "as_json", is_flag=True, help="The same as --log json.")


@click.command(
    epilog=examples(
        "verify                                  the last 30 days",
        "verify --object ad_report_daily --from 2026-01-01 --to 2026-01-31",
        "verify --json                           one line per object, account and stretch of days",
    )
    + "\n\n\b\nExit codes: 0 every closed day equals TikTok's totals (days that still move are only reported),\n"
    "1 something is wrong, damaged, missing or not explained, 2 bad input, 3 explained, not read yet,\n"
    "not answered, or none of the days is closed yet."
)
@asked()
@click.option("--from", "first", callback=day, metavar="DAY", help="Check the days from this one …")
@click.option("--to", "last", callback=day, metavar="DAY", help="… to this one, both included.")
@json_option
@quiet_option
@common
def verify(given: Asked, first: date | None, last: date | None, as_json: bool, quiet: bool, log: str) -> None:
    """Compare the stored numbers with TikTok's totals.

    Spend, impressions and clicks of each day that is over, and conversions of those that have settled, against TikTok's
    own totals of the same question, and against the spend of the whole account. What is wrong is read again by the next
    import. Takes about one small request per object and ad account for 30 days.
    """
    log = "json" if as_json else log

    def work(screen: Screen) -> int:
        days = app.backfill_range(first, last, given.now)
        found = app.verify(given.settings(), now=given.now, listen=screen, asked=days, halted=stopped_by(screen))
        if log == "json":
            for stretch in verdicts.stretches(found.days):
                if not (quiet and verdicts.SEVERITY[stretch.verdict] is verdicts.Severity.FINE):
                    say_json(terminal.facts_of(stretch))
            totals = {"days": len(found.days), "requests": found.requests, "exit_code": found.exit_code}
            say_json({"event": "verify finished", **totals, "refused": dict(found.refused)})
        else:
            terminal.show_verified(console(), found, quiet=quiet)
        return found.exit_code

    guarded(
        work,
        how=How.AFTER_THIS,
        log=log,
        quiet=quiet,
        interrupted="interrupted before everything was compared. Nothing was changed.",
    )


def _amount(ctx: click.Context, param: click.Parameter, value: str) -> Decimal:
    """Read an amount as people copy it."""
    try:
        return app.amount_of(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number; write one such as 1234.56", ctx, param) from None


@click.command(
    epilog=examples(
        "explain --advertiser 7012345678901234567 --day 2026-01-31 --value 1234.56",
        "explain --advertiser 7012345678901234567 --day 2026-01-31 --metric clicks --value 310",
    )
    + "\n\n\b\nExit codes: 0 a reading gives the number, 1 TikTok cannot be asked, 2 bad input, 3 none gives it."
)
@asked()
@click.option("--day", "on", callback=day, metavar="DAY", required=True, help="The day, in the account's time zone.")
@click.option("--metric", default="spend", show_default=True, metavar="NAME", help="What the number is of.")
@click.option("--value", callback=_amount, metavar="NUMBER", required=True, help="What you see in TikTok Ads Manager.")
@json_option
@common
def explain(given: Asked, on: date, metric: str, value: Decimal, as_json: bool, log: str) -> None:
    """Find out what a number in TikTok Ads Manager is.

    Type what you see there. The account, its campaigns, ad groups and ads, with and without deleted ones, TopView and
    Promote, the days beside it and what TikTok said earlier are tried until one gives that number.
    """
    log = "json" if as_json else log

    def work(screen: Screen) -> int:
        if len(given.advertisers) != 1:
            raise BadInput([Mistake("--advertiser", "one ad account is needed", "Name it: --advertiser 7012….")])
        found = app.explain(
            given.settings(),
            given.advertisers[0],
            on,
            metric,
            value,
            now=given.now,
            listen=screen,
            halted=stopped_by(screen),
        )
        if log == "json":
            readings, nearest = (
                [{"reading": one.words, "value": found.in_digits(one.value).replace(",", "")} for one in some if one]
                for some in (found.found, [found.nearest])
            )
            said = {"advertiser": found.advertiser.id, "day": str(found.day), "metric": metric, "value": str(value)}
            counts = {"tried": found.tried, "requests": found.requests}
            say_json(
                {"event": "explained", **said, "readings": readings, "nearest": next(iter(nearest), None), **counts}
            )
        else:
            terminal.show_explained(console(), found)
        return 0 if found.found else 3

    guarded(work, how=How.AFTER_THIS, log=log, interrupted="interrupted before it was found out.")


@click.command(
    epilog=examples(
        "history --day 2026-01-31",
        "history --day 2026-01-31 --object ad_report_daily --log json",
    )
)
@asked()
@click.option("--day", "on", callback=day, metavar="DAY", required=True, help="The day, in the accounts' time zones.")
@common
def history(given: Asked, on: date, log: str) -> None:
    """Show what TikTok said of a day, and when.

    TikTok corrects yesterday's results and adds conversions for weeks. Each time an import stores other sums of a day,
    those before are kept. Reads the destination only; TikTok is not asked.
    """

    def work(screen: Screen) -> int:
        found = app.history(given.settings(), on)
        if log == "json":
            for one in found:
                said = {k: v for k, v in facts(one).items() if k != "seal"}
                say_json({"event": "history", "day": on, **said, **terminal.sums_of(one.seal)})
        else:
            terminal.show_history(console(), on, found)
        return 0

    guarded(work, log=log, interrupted="interrupted.")
