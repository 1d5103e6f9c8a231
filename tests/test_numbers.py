"""Numbers of a Sheet that prove themselves: what is kept, what the tab *Numbers* says, what people do to both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok import app
from owox_tiktok.app.proofs import Verified
from owox_tiktok.local.sheets import Server, serve
from owox_tiktok.local.tiktok import Server as TikTok
from owox_tiktok.local.tiktok import World
from owox_tiktok.local.tiktok import serve as serve_tiktok
from owox_tiktok.model import Advertiser, Seal, Sealed
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.control import Control
from owox_tiktok.sheets.figures import account_figures, sentence
from owox_tiktok.sheets.months import Kept, Mark, changed, days_in, kept_in, key_of, marked
from owox_tiktok.sheets.numbers import HEADINGS, NUMBERS, page
from owox_tiktok.sheets.template import LOGS_HEADINGS
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.verdicts import DayChecked, Verdict
from tests.control_sheet import ControlSheet, config_rows, fields_rows
from tests.helpers import Project
from tests.sheets import columns_of_tab, numbered_rows

NOW = datetime(2026, 3, 1, 14, tzinfo=UTC)
ADS, CAMPAIGNS = STREAMS["ad_report_daily"], STREAMS["campaign_report_daily"]
FIELDS = ("spend", "impressions", "clicks")
OBJECTS = (ADS.name, CAMPAIGNS.name)
DAY = date(2026, 2, 20)


@pytest.fixture
def tiktok() -> Iterator[TikTok]:
    world = World(seed=3, advertisers=2, campaigns=2, ad_groups=2, ads=3, as_of=NOW)
    with serve_tiktok(world) as server:
        yield server


@pytest.fixture
def google() -> Iterator[Server]:
    with serve() as server:
        yield server


class Book(ControlSheet):
    """A control Sheet with *Numbers*, and the person at it."""

    def __init__(self, google: Server, project: Project) -> None:
        blank = [[item.value for item in line] for line in page().lines]
        tabs: list[dict[str, Any]] = [
            {"title": "Config", "values": config_rows(project, **{"Start Date*": 46037}), "rows": 40, "columns": 5},
            {"title": "Fields", "values": fields_rows(dict.fromkeys(OBJECTS, FIELDS)), "rows": 60, "columns": 6},
            {"title": "Logs", "values": [list(LOGS_HEADINGS)], "rows": 2, "columns": 5},
            {"title": NUMBERS, "values": blank, "rows": 12, "columns": 45},
        ]  # fmt: skip
        super().__init__(google, google.create("TikTok Ads", tabs))
        self.project = project
        self.world = project.server.world

    def runs(self, days: int = 0) -> str:
        self.world.as_of = now = self.world.now() + timedelta(days=days)
        environment = {**self.project.environment, **self.environment}
        with Control(Spreadsheet(self.book, environment=environment), environment=environment) as control:
            done = app.import_sheet(control, now=now, listen=lambda _: None, environment=environment)
        assert done.exit_code == 0
        return done.confirmed

    def verify(self) -> Verified:
        environment = {**self.project.environment, **self.environment}
        with Control(Spreadsheet(self.book, environment=environment), environment=environment) as control:
            return app.verify_sheet(control, now=self.world.now(), listen=lambda _: None, environment=environment)

    @property
    def said(self) -> str:
        return next(str(row[1]) for row in self.values(NUMBERS) if row and row[0] == "In short")

    def lines(self) -> dict[str, dict[str, Any]]:
        """The lines by account, each by heading."""
        rows = self.values(NUMBERS)
        top = next(n for n, row in enumerate(rows) if HEADINGS[0] in row)
        found = (dict(zip(rows[top], row, strict=False)) for row in rows[top + 1 :])
        return {str(one["Account ID"]): one for one in found if one.get("Account ID")}

    def note(self, account: str, heading: str) -> str:
        rows = self.values(NUMBERS)
        top = next(n for n, row in enumerate(rows) if HEADINGS[0] in row)
        row = next(n for n, row in enumerate(rows) if account in row)
        look = self.tab(NUMBERS).grid.look(row, rows[top].index(heading))
        return str(look.parts.get("note", "")) if look else ""

    def types(self, day: date, name: str, value: float) -> str:
        """Type over a value of an ad's row of a day; return whose it was."""
        rows = numbered_rows(self.server, self.book, ADS)
        row, line = next((n, r) for n, r in rows if r["stat_time_day"] == day)
        tab = next(s.title for s in self.server.spreadsheet(self.book).sheets if s.title == ADS.title)
        self.write(tab, row, columns_of_tab(self.server, self.book, ADS)[name], value)
        return str(line["advertiser_id"])


@pytest.fixture
def book(google: Server, tiktok: TikTok, tmp_path: Path) -> Book:
    return Book(google, Project(tmp_path, tiktok))


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_is_kept_of_a_day_comes_back_and_goes_with_other_rows() -> None:
    sealed = Sealed(Seal(3, 7, Decimal("12.50"), 100, 5, None), ("ad_id", "spend"), NOW)
    key = key_of(ADS, "7", DAY)
    months = changed(ADS, {}, {"7": {DAY: sealed, DAY + timedelta(days=1): sealed}}, {"7": [DAY]})
    assert kept_in(key, months[key])[DAY] == Kept(sealed, Mark(Verdict.EQUAL, verified_at=NOW))
    later = NOW + timedelta(hours=1)
    why = "spend 12.50 here,\n13.00 at TikTok"
    wrong = DayChecked(ADS.name, "7", DAY, Verdict.WRONG, why, account=Decimal("13.00"))
    gap = DayChecked(ADS.name, "7", DAY - timedelta(days=9), Verdict.MISSING, "nobody read it")
    months |= marked(months, [wrong, gap], later)
    kept = kept_in(key, months[key])
    assert kept[DAY].mark == Mark(Verdict.WRONG, "spend 12.50 here, 13.00 at TikTok", NOW, later, Decimal("13.00"))
    assert kept[gap.day] == Kept(None, Mark(Verdict.MISSING, "nobody read it"))
    assert set(days_in(key, months[key])) == {DAY, DAY + timedelta(days=1)}
    # Read again: the verdict is over; that it was wrong is remembered, what was known of other rows is not.
    again = changed(ADS, months, {"7": {DAY: sealed}})
    assert kept_in(key, again[key])[DAY].mark == Mark(None, "", NOW, later, Decimal("13.00"))
    other = Sealed(Seal(4, 8, Decimal("13.00"), 101, 5, None), sealed.fields, later)
    again = changed(ADS, months, {"7": {DAY: other}})
    assert kept_in(key, again[key])[DAY] == Kept(other, Mark(wrong_at=later))
    # A person's edits of the hidden tab cost no more than what they hit.
    assert kept_in(key, months[key].replace(" wrong ", " what "))[DAY] == Kept(sealed)
    assert kept_in(key, "31 rubbish") == {}


def test_twenty_accounts_with_five_objects_stay_small() -> None:
    sealed = Sealed(Seal(120, 2**63, Decimal("123456.789"), 10**7, 10**5, 10**4), tuple(ADS.fields)[:40], NOW)
    days = [date(2026, 2, 1) + timedelta(days=n) for n in range(28)]
    texts = changed(ADS, {}, {"7": dict.fromkeys(days, sealed)}, {"7": days})
    checked = [DayChecked(ADS.name, "7", day, Verdict.EXPLAINED, "12.00 only here: Promote; " * 9) for day in days]
    ((_, text),) = marked(texts, checked, NOW).items()
    assert len(text) < 10_000, "of the 50,000 characters of a cell; a month is one row of ten cells"
    assert len(kept_in(key_of(ADS, "7", DAY), text)) == 28


def test_the_sentence_says_what_is_wrong_first_and_never_100_percent_too_early() -> None:
    def kept(verdict: Verdict | None, spend: str = "10.00") -> Kept:
        return Kept(Sealed(Seal(1, 1, Decimal(spend), 1, 1), (), NOW), Mark(verdict, "why"))

    accounts = [Advertiser("7", "Shop", "EUR")]
    days = {NOW.date() - timedelta(days=n): kept(Verdict.EQUAL) for n in range(2, 30)}
    moving = {NOW.date() - timedelta(days=n): kept(Verdict.MOVING) for n in range(2)}
    figures = account_figures(accounts, {(ADS.name, "7"): {**days, **moving}}, NOW)
    said = "Your numbers equal TikTok's through Fri 27 Feb: 100 % of 280.00 EUR checked. 28 Feb–1 Mar are still moving."
    assert sentence(figures) == said
    days[DAY] = kept(Verdict.WRONG, "0.01")
    figures = account_figures(accounts, {(ADS.name, "7"): {**days, **moving}}, NOW)
    said = "1 day is not what TikTok has: Fri 20 Feb. Your numbers equal TikTok's through Thu 19 Feb: 99.9 % of"
    assert sentence(figures).startswith(said)
    # A day before the 30 that are shown counts as well.
    days[DAY], days[date(2026, 1, 5)] = kept(Verdict.EQUAL), kept(Verdict.DAMAGED)
    figures = account_figures(accounts, {(ADS.name, "7"): {**days, **moving}}, NOW)
    assert sentence(figures).startswith("1 day is not what TikTok has: Mon 5 Jan. ")
    assert figures[0].why == "damaged here: why"


# --- a Sheet and its people -------------------------------------------------------------------------------------------


def test_numbers_follow_imports_and_what_people_do_is_found_and_put_right(book: Book) -> None:
    proof = book.runs()
    assert " = TikTok's total · " in proof
    assert proof in book.messages("INFO")
    assert book.status.endswith("equals TikTok through 27 Feb")
    assert book.said.startswith("Your numbers equal TikTok's through Fri 27 Feb: 100 % of ")
    assert set(book.lines()) == set(book.project.server.advertiser_ids)
    assert {d.verdict for d in book.verify().days} == {Verdict.EQUAL, Verdict.MOVING}

    who = book.types(DAY, "spend", 999)
    book.write(NUMBERS, 11, 0, "my own remark")
    book.write(NUMBERS, 11, 44, "and far to the right")
    found = book.verify()
    damaged = [(d.object, d.advertiser_id, d.day) for d in found.days if d.verdict is Verdict.DAMAGED]
    assert damaged == [(ADS.name, who, DAY)]
    assert found.exit_code == 1
    assert book.said.startswith("1 day of ")
    assert book.lines()[who]["20 Feb"] == "!"
    assert "damaged here" in book.note(who, "20 Feb")
    assert [row[0] for row in book.values(NUMBERS) if row and row[-1] == "and far to the right"] == ["my own remark"]

    book.runs(days=1)
    assert book.lines()[who]["20 Feb"] == "="
    assert book.said.startswith("Your numbers equal TikTok's through Sat 28 Feb: 100 % of ")
    assert {d.verdict for d in book.verify().days} == {Verdict.EQUAL, Verdict.MOVING}
    share = {one["Share"] for one in book.lines().values()}
    assert share == {1}, "the account itself was asked, and all of it is here"


def test_a_restated_day_is_read_again_and_remembered(book: Book) -> None:
    book.runs()
    who = book.project.server.advertiser_ids[0]
    book.world.restate(who, DAY, 50)
    found = book.verify()
    assert {(d.advertiser_id, d.day) for d in found.days if d.verdict is Verdict.WRONG} == {(who, DAY)}
    assert book.lines()[who]["20 Feb"] == "!"
    book.runs(days=1)
    assert [d for d in book.verify().days if d.verdict in (Verdict.WRONG, Verdict.EARLY)] == []
    book.world.restate(who, DAY, 30)
    assert {d.again for d in book.verify().days if d.verdict is Verdict.WRONG} == {True}
