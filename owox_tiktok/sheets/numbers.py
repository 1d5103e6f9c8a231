"""The tab *Numbers*, whether what is in the Sheet equals TikTok's totals: a page of the template, and how it is filled.

It is filled after each import and check (see ``proofs``), where it is there: without the tab nothing is written. What
is ours is found as in the other tabs: the sentence by its label, columns by their headings, accounts by their ids, and
the columns of days by headings such as "19 Nov". All else is a person's and stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from owox_tiktok.model import Advertiser
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import EPOCH, Cell, Json, cell
from owox_tiktok.sheets.figures import (
    SHOWN_DAYS,
    AccountFigures,
    DayFigures,
    Days,
    Look,
    account_figures,
    sentence,
)
from owox_tiktok.sheets.pages import (
    AMBER,
    AMBER_FILL,
    GREEN,
    GREEN_FILL,
    GREY,
    LINE,
    RED,
    RED_FILL,
    Item,
    Line,
    Page,
    colour,
)
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.table import money_format
from owox_tiktok.sheets.tabs import COLUMNS_WITHIN, Snapshot, Structure, Tab, find_headings, normal, tab_called

NUMBERS = "Numbers"
HEADINGS = (
    "Account", "Account ID", "Currency", "In this Sheet", "At TikTok", "Share", "Why", "Verified through",
    "Still moving",
)  # fmt: skip
IN_SHORT, NOT_YET = "In short", "Nothing has been compared yet. Run the import, or choose OWOX → Check my numbers."
BLANK_DAY = "day"
_DAY = re.compile(r"day|\d{1,2} [A-Z][a-z]{2}")
"""The heading of a column of a day; "day" until there was an import."""
_STYLES = ("text", "plain", "note", "money", "money", "rate", "note", "day", "day")
_WIDTHS = (190, 170, 70, 110, 110, 76, 330, 110, 100)
_ABOUT = (
    "Spend, impressions and clicks of 30 days, here and at TikTok. Point at a day to see its figures. "
    "= equal · ~ TikTok still changes it · i explained · ! wrong or missing · ? not compared yet"
)
_WHY = "What each word means, and what to do: the page Why your numbers differ of the documentation"


class _Paint(NamedTuple):
    fill: str
    ink: str


_PAINTS: Mapping[Look, _Paint] = {
    Look.EQUAL: _Paint(GREEN_FILL, GREEN),
    Look.MOVING: _Paint(LINE, GREY),
    Look.EXPLAINED: _Paint(AMBER_FILL, AMBER),
    Look.WRONG: _Paint(RED_FILL, RED),
    Look.OPEN: _Paint("#ffffff", GREY),
    Look.NONE: _Paint("#ffffff", GREY),
}


def page() -> Page:
    """Return the tab as it is before the first import."""
    days = [Item(BLANK_DAY, "strip heading")] * SHOWN_DAYS
    lines: list[Line] = [
        (Item(NUMBERS, "title"),),
        (Item(_ABOUT, "subtitle"),),
        (Item(_WHY, "subtitle"),),
        (),
        (Item(IN_SHORT, "label"), Item(NOT_YET, "said")),
        (),
        (*(Item(h, "heading") for h in HEADINGS), *days),
    ]
    widths = (*_WIDTHS, *[34] * SHOWN_DAYS)
    styles = {**dict(enumerate(_STYLES)), **{len(_STYLES) + n: "strip" for n in range(SHOWN_DAYS)}}
    return Page(
        NUMBERS, "(numbers)", widths, tuple(lines), (*HEADINGS[:2], IN_SHORT), "#34a853",
        gridlines=False, heights={0: 44, 4: 30, 6: 34}, column_styles=styles,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumbersTab:
    """The tab as it was found in the structure of a spreadsheet."""

    tab: Tab

    @classmethod
    def of(cls, structure: Structure) -> NumbersTab | None:
        """Return the tab, None where there is none."""
        tab = tab_called(structure, NUMBERS)
        return cls(tab) if tab and tab.rows and tab.columns else None

    def block(self) -> Block:
        """Return what has to be seen of it before it is filled."""
        return Block(self.tab.id, 0, self.tab.rows, 0, min(self.tab.columns, COLUMNS_WITHIN))

    def requests(
        self, seen: Snapshot, advertisers: Sequence[Advertiser], kept: Mapping[tuple[str, str], Days], now: datetime
    ) -> list[Json]:
        """Return the writes that fill it; none where its headings are gone, or it is a person's own tab of that name.

        ``kept`` is what is known of days, also of accounts that are not among the ``advertisers`` of this run: those
        keep the name that they have here.
        """
        rows = seen.lines()
        place = find_headings(self.tab, rows, HEADINGS[:2])
        if place is None:
            return []
        columns = [place.columns.get(normal(h)) for h in HEADINGS]
        id_at = place.columns[normal(HEADINGS[1])]
        there = {str(row[id_at]): n for n, row in enumerate(rows) if n > place.row and row[id_at] is not None}
        others = {who for _, who in kept} - {one.id for one in advertisers}
        known = [*advertisers, *(_as_written(who, rows, columns, there) for who in sorted(others))]
        accounts = account_figures(known, kept, now)
        batch = self._sentence(rows, sentence(accounts))
        strip = _strip(rows[place.row], [c for c in columns if c is not None])
        shown = accounts[0].days[-len(strip) :] if accounts and strip else ()
        strip = strip[-len(shown) :] if shown else []
        headings = [cell(f"{one.day.day} {one.day:%b}") for one in shown]
        batch += _joined([_filled(self.tab.id, place.row, c, text) for c, text in zip(strip, headings, strict=True)])
        ours = {*(c for c in columns if c is not None), *strip}
        gone = [row for who, row in there.items() if who.isdigit() and who not in {a.advertiser.id for a in accounts}]
        batch += [_painted(self.tab.id, row, c) for row in gone for c in sorted(ours)]
        end = max(there.values(), default=place.row) + 1
        free = _blank(rows, place.row + 1, end, seen.rows)
        new = 0
        for account in accounts:
            row = there.get(account.advertiser.id)
            if row is None and free:
                row = free.pop(0)
            elif row is None:
                batch.append(requests.insert(self.tab.id, "ROWS", end + new, end + new + 1))
                row, new = end + new, new + 1
            batch += self._line(row, columns, strip, account)
        return batch

    def _sentence(self, rows: Sequence[Sequence[Cell]], text: str) -> list[Json]:
        for row, values in enumerate(rows):
            for column, value in enumerate(values[:-1]):
                if isinstance(value, str) and normal(value) == normal(IN_SHORT):
                    return [requests.write(self.tab.id, row, column + 1, [{"values": [cell(text)]}])]
        return []

    def _line(
        self, row: int, columns: Sequence[int | None], strip: Sequence[int], account: AccountFigures
    ) -> list[Json]:
        one, amounts = account.advertiser, money_format(account.advertiser.currency)
        values: tuple[Cell, ...] = (
            one.name or one.id, one.id, one.currency, float(account.here),
            "not asked yet" if account.theirs is None else float(account.theirs),
            account.share, account.why,
            (account.through - EPOCH).days if account.through else "none yet",
            (account.moving - EPOCH).days if account.moving else None,
        )  # fmt: skip
        batch = []
        for column, value, style in zip(columns, values, _STYLES, strict=True):
            if column is not None:
                form = _FORMATS.get(style) if style != "money" else dict(zip(("type", "pattern"), amounts, strict=True))
                batch.append(_filled(self.tab.id, row, column, cell(value), form))
        days = account.days[-len(strip) :] if strip else ()
        batch += [_painted(self.tab.id, row, column, day) for column, day in zip(strip, days, strict=True)]
        return _joined(batch)


_FORMATS: Mapping[str, Json] = {
    "rate": {"type": "PERCENT", "pattern": "0.00%"},
    "day": {"type": "DATE", "pattern": "ddd d mmm"},
    "plain": {"type": "TEXT", "pattern": "@"},
}


def _filled(tab: int, row: int, column: int, value: Json, form: Json | None = None) -> Json:
    start = {"sheetId": tab, "rowIndex": row, "columnIndex": column}
    fields = "userEnteredValue"
    if form:
        value = {**value, "userEnteredFormat": {"numberFormat": form}}
        fields += ",userEnteredFormat.numberFormat"
    return {"updateCells": {"start": start, "rows": [{"values": [value]}], "fields": fields}}


def _painted(tab: int, row: int, column: int, day: DayFigures | None = None) -> Json:
    """Return the writing of a day's sign, colour and note; without a day the cell is blank."""
    start = {"sheetId": tab, "rowIndex": row, "columnIndex": column}
    values: Json = {}
    if day:
        paint = _PAINTS[day.look]
        look = {
            "backgroundColorStyle": colour(paint.fill),
            "textFormat": {"foregroundColorStyle": colour(paint.ink)},
            "horizontalAlignment": "CENTER",
        }
        values = {**cell(day.look.sign or None), "userEnteredFormat": look}
        if day.note:
            values["note"] = day.note
    fields = (
        "userEnteredValue,note,userEnteredFormat.backgroundColorStyle,userEnteredFormat.horizontalAlignment,"
        "userEnteredFormat.textFormat.foregroundColorStyle"
    )
    return {"updateCells": {"start": start, "rows": [{"values": [values]}], "fields": fields}}


def _joined(batch: Sequence[Json]) -> list[Json]:
    """Return writes of single cells with those joined that stand side by side and write the same fields."""
    joined: list[Json] = []
    for one in batch:
        update = one["updateCells"]
        last = joined[-1]["updateCells"] if joined else None
        if last and last["fields"] == update["fields"]:
            start, values = last["start"], last["rows"][0]["values"]
            if start["columnIndex"] + len(values) == update["start"]["columnIndex"]:
                values += update["rows"][0]["values"]
                continue
        joined.append(one)
    return joined


def _strip(headings: Sequence[Cell], ours: Sequence[int]) -> list[int]:
    """Return the columns of days, from left to right."""
    return [
        column
        for column, value in enumerate(headings)
        if column not in ours and isinstance(value, str) and _DAY.fullmatch(value.strip())
    ]


def _as_written(
    advertiser_id: str, rows: Sequence[Sequence[Cell]], columns: Sequence[int | None], there: Mapping[str, int]
) -> Advertiser:
    """Return an account by what its line says: its name and its currency."""
    line = rows[there[advertiser_id]] if advertiser_id in there else ()
    name, currency = (line[c] if c is not None and c < len(line) else None for c in (columns[0], columns[2]))
    return Advertiser(advertiser_id, str(name or ""), str(currency or ""))


def _blank(rows: Sequence[Sequence[Cell]], first: int, end: int, most: int) -> list[int]:
    """Return the rows that lines may go into: blank ones among those that are there, and right behind them."""

    def is_blank(row: int) -> bool:
        return row >= len(rows) or all(value is None for value in rows[row])

    return [n for n in range(first, end) if is_blank(n)] + list(takewhile(is_blank, range(end, most)))
