"""Stored numbers against TikTok's own totals: what is wrong is found and read again, and nothing else is."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import trust as benchmark
from owox_tiktok import app
from owox_tiktok.app.proofs import Verified
from owox_tiktok.local.tiktok import Fault, Faults, Rules, World, oracle, serve
from owox_tiktok.model import Seal, Sealed, Window
from owox_tiktok.trust.closing import closes_at, is_closed, last_closed
from owox_tiktok.trust.kept import SAID
from owox_tiktok.trust.like_for_like import LikeForLike, OurDay, Pair
from owox_tiktok.trust.totals import Total
from owox_tiktok.trust.verdicts import DayChecked, Verdict, exit_code, is_alarming, verified_through
from owox_tiktok.trust.whole_account import Reason, named
from tests import bigquery
from tests.helpers import Project

NOW = datetime(2026, 3, 1, 14, tzinfo=UTC)
DAY = date(2026, 2, 20)
ZONES = ("America/Los_Angeles", "Europe/Berlin", "Etc/UTC", "Pacific/Kiritimati", "Pacific/Niue", "Australia/Sydney")
OBJECTS = ["ad_report_daily", "campaign_report_daily"]


def verify(project: Project, first: date | None = None) -> Verified:
    now = project.server.world.now()
    asked = (first, now.date()) if first else None
    return app.verify(
        project.settings(now), now=now, listen=lambda _: None, asked=asked, environment=project.environment
    )


def of(found: Verified, day: date, name: str = "ad_report_daily", account: int = 0) -> DayChecked:
    ids = [a.id for a in found.accounts]
    return next(d for d in found.days if (d.object, d.advertiser_id, d.day) == (name, ids[account], day))


# --- when a day is over -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "closes"),
    [
        ("Europe/Berlin", datetime(2026, 2, 21, 12, 30, tzinfo=UTC)),
        ("Etc/UTC", datetime(2026, 2, 21, 12, 30, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 2, 22, 12, 30, tzinfo=UTC)),
    ],
)
def test_a_day_closes_with_the_correction_that_comes_after_its_end(zone: str, closes: datetime) -> None:
    assert closes_at(DAY, ZoneInfo(zone)) == closes
    assert closes_at(DAY, ZoneInfo(zone), "tax_spend") > closes


@given(st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)), st.sampled_from(ZONES))
def test_the_last_closed_day_is_closed_and_the_next_one_is_not(moment: datetime, zone: str) -> None:
    at, where = moment.replace(tzinfo=UTC), ZoneInfo(zone)
    last = last_closed(where, at)
    assert is_closed(last, where, at)
    assert not is_closed(last + timedelta(days=1), where, at)
    assert last < at.astimezone(where).date()


# --- like for like ----------------------------------------------------------------------------------------------------


class Asked:
    """Answers with the sums of days, and remembers which windows it was asked for."""

    def __init__(self, days: dict[date, Seal], *, moves: bool = False) -> None:
        self.days, self.moves, self.windows = days, moves, list[Window]()

    def __call__(self, window: Window) -> Total:
        self.windows.append(window)
        days = [self.days[day] for day in window]
        more = len(self.windows) if self.moves else 0
        return Total(
            {
                "spend": sum((d.spend or Decimal() for d in days), Decimal()),
                "impressions": Decimal(sum(d.impressions or 0 for d in days) + more),
            }
        )


def seal(spend: str, impressions: int = 100) -> Seal:
    return Seal(10, 1, Decimal(spend), impressions, 5, 1)


def days(count: int, read_at: datetime = NOW) -> dict[date, OurDay]:
    return {
        day: OurDay(day, Sealed(seal("10.00"), (), read_at), seal("10.00"))
        for day in (date(2026, 1, 20) + timedelta(days=n) for n in range(count))
    }


def pair(**more: object) -> Pair:
    known: dict[str, object] = {"lookback": 7, "zone": ZoneInfo("Europe/Berlin"), "now": NOW, "currency": "EUR"}
    return Pair("ad_report_daily", "7", **(known | more))  # type: ignore[arg-type]


def test_a_month_that_is_equal_takes_one_request() -> None:
    ours = days(30)
    ask = Asked({day: one.found for day, one in ours.items()})
    found = LikeForLike(pair(), ask).check(list(ours.values()))
    assert {d.verdict for d in found} == {Verdict.EQUAL}
    assert len(ask.windows) == 1


@pytest.mark.parametrize("off", [seal("10.07"), seal("10.00", 101)])
def test_a_day_that_differs_is_found_and_no_other(off: Seal) -> None:
    ours = days(30)
    wrong = sorted(ours)[17]
    ask = Asked({day: one.found for day, one in ours.items()} | {wrong: off})
    found = LikeForLike(pair(), ask).check(list(ours.values()))
    assert [d.day for d in found if d.verdict is Verdict.WRONG] == ([wrong] if off.impressions == 101 else [])
    # Seven cents in 30 days of ten rows are within what rounding each row explains.


def test_rounding_explains_half_a_unit_per_row_and_not_more() -> None:
    ours = days(1)
    (day,) = ours
    for spend, verdict in (("10.05", Verdict.EQUAL), ("10.06", Verdict.WRONG)):
        assert LikeForLike(pair(), Asked({day: seal(spend)})).check(list(ours.values()))[0].verdict is verdict
    yen = LikeForLike(pair(currency="JPY"), Asked({day: seal("15.00")}))
    assert yen.check(list(ours.values()))[0].verdict is Verdict.EQUAL


def test_a_total_that_moves_while_it_is_asked_is_not_called_wrong() -> None:
    ours = days(3)
    ask = Asked({day: one.found for day, one in ours.items()}, moves=True)
    found = LikeForLike(pair(), ask).check(list(ours.values()))
    assert {d.verdict for d in found} == {Verdict.MOVING}


def test_a_day_read_before_it_closed_is_never_wrong() -> None:
    early = datetime(2026, 1, 20, 20, tzinfo=UTC)
    for rereads, verdict in ((date(2026, 1, 1), Verdict.MOVING), (date(2026, 2, 1), Verdict.EARLY)):
        ours = days(1, early)
        ask = Asked({day: seal("10.00", 150) for day in ours})
        (found,) = LikeForLike(pair(rereads=rereads), ask).check(list(ours.values()))
        assert found.verdict is verdict


def test_conversions_that_came_after_a_day_had_settled_are_explained_beside_a_wrong_day_too() -> None:
    ours = days(20)
    late, wrong = sorted(ours)[3], sorted(ours)[9]
    theirs = {day: one.found for day, one in ours.items()}
    theirs |= {late: Seal(10, 1, Decimal("10.00"), 100, 5, 4), wrong: seal("10.00", 150)}

    def ask(window: Window) -> Total:
        of = [theirs[day] for day in window]
        more = {"conversion": Decimal(sum(d.conversion or 0 for d in of))}
        return Total({**Asked(theirs)(window).sums, **more})

    account = {day: one.found for day, one in ours.items()} | {
        late: seal("10.00", 101),
        wrong: seal("10.00", 150),
    }
    known = pair(account=account, comparable_account=True)
    found = {d.day: d.verdict for d in LikeForLike(known, ask, account.get).check(list(ours.values()))}
    assert found[late] is Verdict.EXPLAINED
    assert found[wrong] is Verdict.WRONG


def test_after_eight_wrong_days_the_rest_of_a_range_is_not_looked_at_one_by_one() -> None:
    ours = days(30)
    ask = Asked({day: seal("10.00", 150) for day in ours})
    found = LikeForLike(pair(), ask).check(list(ours.values()))
    assert {d.verdict for d in found} == {Verdict.WRONG}
    assert len(ask.windows) < 40


def test_exit_codes_and_alarms_follow_the_worst_day() -> None:
    assert exit_code([Verdict.EQUAL, Verdict.MOVING]) == 0
    assert exit_code([Verdict.MOVING]) == 3
    assert exit_code([Verdict.EQUAL, Verdict.EXPLAINED]) == 3
    assert exit_code([Verdict.EXPLAINED, Verdict.DAMAGED]) == 1
    small = DayChecked("o", "7", DAY, Verdict.WRONG, "", seal("1000"), {"spend": Decimal("1000.90")})
    assert not is_alarming([small])
    assert is_alarming([DayChecked("o", "7", DAY, Verdict.WRONG, "", seal("1000"), {"spend": Decimal(1002)})])
    assert is_alarming(
        [DayChecked("o", "7", DAY, Verdict.WRONG, "", seal("1000"), {"spend": Decimal(1000)}, again=True)]
    )


def test_a_difference_is_named_by_the_amounts_that_make_it_up() -> None:
    def amount(value: str) -> Callable[[], tuple[Decimal, tuple[str, ...]]]:
        return lambda: (Decimal(value), ("request",))

    reasons = [(Reason.TOP_VIEW, amount("30")), (Reason.PROMOTE, amount("12")), (Reason.CAMPAIGN_ONLY, amount("5"))]
    found = named(Decimal(-7), Decimal("0.05"), reasons)
    assert dict(found.amounts) == {Reason.PROMOTE: Decimal(-12), Reason.CAMPAIGN_ONLY: Decimal(5)}
    assert found.rest == 0
    found = named(Decimal(100), Decimal("0.05"), reasons)
    assert found.rest == 100 - sum(found.amounts.values()) != 0


# --- through the program ----------------------------------------------------------------------------------------------


def test_planted_defects_are_found_and_put_right_and_nothing_else_is_called_wrong() -> None:
    figures = benchmark.Figures()
    benchmark.defects(5, 1, figures)
    assert figures.wrong == []
    assert figures.found == figures.planted
    assert figures.planted.total() > 20
    assert figures.beside > 200


def test_what_the_account_has_elsewhere_is_named(tmp_path: Path) -> None:
    world = World(seed=3, advertisers=1, campaigns=4, ad_groups=6, ads=12, as_of=NOW, fine_money=True,
                  hidden_kinds=True, campaign_only=True, gmv_max=True)  # fmt: skip
    with serve(world, rules=Rules(top_view_at_advertiser=False)) as server:
        project = Project(tmp_path, server)
        project.say = {"objects": OBJECTS, "include_deleted": False}
        project.import_()
        found = verify(project)
    ads, campaigns = of(found, DAY), of(found, DAY, "campaign_report_daily")
    assert {ads.verdict, campaigns.verdict} == {Verdict.EXPLAINED}
    for reason in Reason:
        assert (reason in ads.reason) == (reason is not Reason.CUT)
        assert (reason in campaigns.reason) == (reason not in (Reason.CUT, Reason.CAMPAIGN_ONLY))
    assert found.exit_code == 3


def test_a_cut_that_tiktok_does_not_tell_is_missing(tmp_path: Path) -> None:
    world = World(seed=3, advertisers=1, campaigns=4, ad_groups=6, ads=12, as_of=NOW)
    with serve(world, faults=Faults(max_ads_per_report=8), rules=Rules(cut_says_so=False)) as server:
        project = Project(tmp_path, server)
        project.import_()
        found = verify(project)
    assert of(found, DAY).verdict is Verdict.MISSING
    assert Reason.CUT in of(found, DAY).reason
    assert found.exit_code == 1


def test_what_tiktok_does_not_answer_is_not_called_equal_and_takes_nothing_back(tmp_path: Path) -> None:
    world = World(seed=3, advertisers=2, campaigns=3, ad_groups=4, ads=6, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server)
        project.import_()
        silent = Fault(
            "code_40301", "report/integrated/get", where={"advertiser_id": world.advertiser_ids[1]}, times=None
        )
        server.faults.at = (silent,)
        found = verify(project)
        assert {of(found, DAY).verdict, of(found, DAY, account=1).verdict} == {Verdict.EQUAL, Verdict.NOT_ANSWERED}
        assert found.exit_code == 3
        said = project.cli("verify", "--from", "2026-02-10", "--to", "2026-02-25")
        assert (said.returncode, "nothing is known, since TikTok did not answer" in said.stdout) == (3, True)
    with duckdb.connect(str(project.database)) as connection:
        ((kept,),) = connection.execute(
            "SELECT DISTINCT verdict FROM _owox_tiktok_days WHERE day = ? AND verdict IS NOT NULL", [DAY]
        ).fetchall()
    assert kept == "equal"


def test_a_wrong_day_is_told_read_again_and_kept(tmp_path: Path) -> None:
    world = World(seed=3, advertisers=2, campaigns=3, ad_groups=4, ads=6, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server)
        project.say = {"views": True}
        assert "closed days equal" in project.import_().finished.confirmed
        world.as_of = NOW + timedelta(days=3)
        project.import_()
        world.restate(world.advertiser_ids[0], DAY, 50)
        said = project.cli("verify", "--from", "2026-02-10", "--to", "2026-02-25", "--json")
        lines = [json.loads(line) for line in said.stdout.splitlines()]
        (wrong,) = [line for line in lines if line["event"] == "verified" and not line["ok"]]
        assert (said.returncode, wrong["verdict"], wrong["first"]) == (1, "wrong", "2026-02-20")
        with duckdb.connect(str(project.database)) as connection:
            theirs = "SELECT day FROM _owox_tiktok_days WHERE verdict = 'wrong' AND tiktok_impressions <> impressions"
            assert connection.execute(theirs).fetchall() == [(DAY,)]
            for name in (*SAID, "currency", "status", "settles_on"):  # as versions before had it
                connection.execute(f"ALTER TABLE _owox_tiktok_days DROP COLUMN {name}")
        shown = project.cli("verify", "--from", "2026-02-10", "--to", "2026-02-25")
        assert "The next import reads 1 of them again" in shown.stdout
        assert "docs/why_numbers_differ.md" in shown.stdout
        ran = project.import_()
        assert "1 day (2026-02-20)" in ran.finished.summary
        assert project.wrong("ad_report_daily") == []
        with duckdb.connect(str(project.database)) as connection:
            # As if the first days had been read without totals; and nothing was ever stored before them.
            connection.execute("UPDATE _owox_tiktok_days SET verdict = NULL WHERE day < '2026-02-05'")
        checked = verify(project)
        with duckdb.connect(str(project.database)) as connection:
            trust = "SELECT advertiser_id, verified_since, verified_through, sentence FROM v_trust"
            for account, since, through, sentence in connection.execute(trust).fetchall():
                assert through == verified_through(d for d in checked.days if d.advertiser_id == account)
                assert since == min(d.day for d in checked.days)
                assert sentence.startswith(f"equal to TikTok from {since} through {through}, ")
        again = project.cli("verify", "--from", "2026-02-10", "--to", "2026-02-25", "--quiet")
        assert (again.returncode, again.stdout) == (0, "")
        history = project.cli("history", "--day", "2026-02-20", "--log", "json")
        before, now = [json.loads(line) for line in history.stdout.splitlines()][-2:]
        assert before["impressions"] > now["impressions"] > 0


def test_what_is_kept_of_days_leads_from_one_sum_to_the_next(tmp_path: Path) -> None:
    world = World(seed=4, advertisers=2, campaigns=3, ad_groups=4, ads=6, as_of=NOW, late_data=True)
    with serve(world) as server:
        project = Project(tmp_path, server)
        sums: list[dict[tuple[str, date], tuple[object, ...]]] = []
        moments = []
        for hours in (0, 5, 20, 50):
            world.as_of = NOW + timedelta(hours=hours)
            moments.append(world.now())
            project.import_()
            with duckdb.connect(str(project.database), read_only=True) as connection:
                rows = connection.execute(
                    "SELECT advertiser_id, stat_time_day, count(*), sum(spend), sum(impressions), sum(clicks), "
                    "sum(conversion) FROM tiktok_ads_ad_report_daily GROUP BY ALL"
                ).fetchall()
                sums.append({(a, d): tuple(rest) for a, d, *rest in rows})
        with duckdb.connect(str(project.database), read_only=True) as connection:
            kept = connection.execute(
                "SELECT advertiser_id, day, rows, spend, impressions, clicks, conversion FROM _owox_tiktok_days "
                "WHERE rows > 0"
            ).fetchall()
            states = connection.execute(
                "SELECT advertiser_id, day, currency, status, settles_on, rows FROM _owox_tiktok_days "
                "WHERE day <= '2026-02-22' OR day >= '2026-02-25'"  # days between depend on the zone
            ).fetchall()
            changes = connection.execute(
                "SELECT CAST(seen_at AT TIME ZONE 'UTC' AS TIMESTAMP), advertiser_id, day, rows_before, spend_before, "
                "impressions_before, clicks_before, conversion_before FROM _owox_tiktok_restatements ORDER BY 1 DESC"
            ).fetchall()
    state = {(a, d): tuple(rest) for a, d, *rest in kept}
    assert state == sums[-1]
    currencies = {one.id: one.currency for one in world.advertisers}
    for account, day, currency, status, settles_on, count in states:
        assert (currency, settles_on - day) == (currencies[account], timedelta(days=8))
        assert status == ("empty" if not count else "final" if day <= date(2026, 2, 22) else "provisional")
    assert {row[3] for row in states} >= {"final", "provisional"}
    for moment, earlier in zip(reversed(moments[1:]), reversed(sums[:-1]), strict=True):
        for seen_at, a, d, *before in changes:
            if seen_at.replace(tzinfo=UTC) == moment:
                state[a, d] = tuple(before)
        known = {key: state[key] for key in earlier}
        assert known == earlier


@bigquery.needs_emulator
def test_bigquery_keeps_what_checks_came_to_for_no_job_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(seed=3, advertisers=1, campaigns=1, ad_groups=2, ads=2, as_of=NOW)
    with serve(world) as server, bigquery.Proxy() as proxy:
        monkeypatch.setenv("BIGQUERY_API_URL", proxy.url)
        project = Project(tmp_path, server)
        dataset = f"d_{uuid.uuid4().hex}"
        project.say = {
            "start_date": "2026-02-15", "destination": f"bigquery://{bigquery.PROJECT}/{dataset}", "views": True,
        }  # fmt: skip
        project.import_()
        world.restate(world.advertiser_ids[0], DAY, 50)
        first = verify(project)
        assert [d.day for d in first.days if d.verdict is Verdict.WRONG] == [DAY]
        days = f"`{bigquery.PROJECT}.{dataset}._owox_tiktok_days`"
        wrong = f"SELECT currency, status, settles_on, tiktok_impressions FROM {days} WHERE verdict = 'wrong'"
        ((currency, status, settles_on, impressions),) = bigquery.query(wrong)
        assert (currency, status) == (first.accounts[0].currency, "final")
        assert (settles_on, impressions) == (date(2026, 2, 28), of(first, DAY).theirs["impressions"])
        proxy.seen.clear()
        ran = project.import_()
        assert "1 day (2026-02-20) that was not what TikTok has was read again" in ran.finished.summary
        stored = [r for r in proxy.jobs if r.job.get("labels", {}).get("object") == "ad_report_daily"]
        assert len(stored) <= 2, [r.sql for r in stored]
        assert verify(project).exit_code == 0
        before, now = app.history(project.settings(world.now()), DAY, environment=project.environment)
        assert (before.seal.rows, before.until) == (now.seal.rows, world.now())
        assert before.seal.impressions == of(first, DAY).ours.impressions != now.seal.impressions
        view = f"`{bigquery.PROJECT}.{dataset}.v_{{}}`"
        ((said,),) = bigquery.query(f"SELECT sentence FROM {view.format('trust')}")
        assert said.startswith("equal to TikTok through 2026-02-27, ")
        as_of = f"SELECT impressions FROM {view.format('days_as_of')} WHERE day = '{DAY}' ORDER BY valid_from"
        assert bigquery.query(as_of) == [(before.seal.impressions,), (now.seal.impressions,)]
        assert bigquery.query(f"SELECT * FROM {view.format('gaps')}") == []


@pytest.mark.parametrize("hidden", [False, True])
def test_a_number_of_ads_manager_is_explained(tmp_path: Path, hidden: bool) -> None:
    world = World(seed=6, advertisers=1, campaigns=4, ad_groups=6, ads=12, as_of=NOW, hidden_kinds=hidden)
    with serve(world) as server:
        project = Project(tmp_path, server)
        account = world.advertiser_ids[0]
        kinds = ("ordinary", "promote") if hidden else ("ordinary",)
        rows = oracle.report_rows(
            world, account, "ad", ["ad_id"], ["spend", "clicks"], DAY, DAY, include_deleted=False, kinds=kinds
        )
        now = world.now()

        def explain(value: Decimal, metric: str = "spend") -> app.Explained:
            return app.explain(
                project.settings(now), account, DAY, metric, value,
                now=now, listen=lambda _: None, environment=project.environment,
            )  # fmt: skip

        found = explain(sum((row["spend"] for row in rows), Decimal()))
        wanted = "all ads without deleted ones" + (", with Promote" if hidden else "")
        assert wanted in [one.words for one in found.found]
        assert not explain(Decimal("7.77")).found
        clicks = explain(Decimal(sum(row["clicks"] for row in rows)), "clicks")
        assert wanted in [one.words for one in clicks.found]


def test_the_checks_of_imports_stay_within_their_share_of_requests(tmp_path: Path) -> None:
    world = World(seed=4, advertisers=2, campaigns=2, ad_groups=2, ads=3, as_of=NOW)
    chance = random.Random(1)
    with serve(world) as server:
        project = Project(tmp_path, server)
        project.say = {"objects": OBJECTS, "start_date": "2025-12-01"}
        reading = checking = 0
        for _ in range(6):
            finished = project.import_().finished
            reading, checking = reading + finished.requests, checking + finished.proof.requests
            assert finished.proof.equal == finished.proof.days
            assert checking <= 0.05 * reading + 4  # the last one may find something to ask more about
            world.as_of = world.now() + timedelta(hours=chance.randrange(12, 40))
        assert checking > 0
        every = project.import_(check_every_run=True).finished.proof
        assert every.requests > 5


def test_two_days_without_anything_confirmed_are_told(tmp_path: Path) -> None:
    world = World(seed=4, advertisers=1, campaigns=1, ad_groups=1, ads=2, as_of=NOW)
    with serve(world) as server:
        project = Project(tmp_path, server)
        project.import_()
        for days, told in ((1, False), (2, True)):
            world.as_of = NOW + timedelta(days=days)
            # Of conversions alone TikTok's totals confirm nothing.
            said = project.import_(fields={"ad_report_daily": ["conversion"]}).warnings
            assert any("was confirmed by TikTok's totals since 2026-03-01" in one for one in said) is told
