"""Build, repair and bring up to date the template's tabs in a Google spreadsheet.

What is there stays: values, ticks, formats, rows, columns, rules and charts of people are never touched; what the
template has and the spreadsheet lacks is added. So doing it twice changes nothing the second time, and a run that was
cut off is completed by the next. Rows are known by their names and columns by their headings, as the import knows them.

Everything is read once and written at once: it is for the person who sets the spreadsheet up, while nobody sorts it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.events import counted
from owox_tiktok.model import Stream
from owox_tiktok.sheets import dashboard, numbers, requests, template
from owox_tiktok.sheets.cells import Cell, Json, cell, size_of
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.control import is_ticked
from owox_tiktok.sheets.destination import Sheets
from owox_tiktok.sheets.pages import INK, STYLES, Chart, Item, Line, Page, Rule, Series, SheetKind, colour
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.tabs import (
    COLUMNS,
    HEADINGS_WITHIN,
    TAB,
    Structure,
    Tab,
    find_headings,
    letters,
    new_tab,
    normal,
    tab_called,
    tagged_tab,
)
from owox_tiktok.sheets.template import Names
from owox_tiktok.streams import STREAMS, find

_LOOK = (
    "sheets(properties(sheetId,hidden),charts.chartId,conditionalFormats.ranges,rowGroups.range,"
    "data.rowData.values(userEnteredValue,dataValidation.condition.type))"
)


def init(book: Spreadsheet, kind: SheetKind | None = None, *, dry_run: bool = False) -> list[str]:
    """Build the tabs that are missing and complete those that are there; return what was done, in words.

    Without a ``kind`` it is the one the spreadsheet has already, else "sheets". Raises BadInput for a tab of ours whose
    headings are gone. With ``dry_run`` nothing is written.
    """
    structure = book.structure((TAB, *COLUMNS))
    before = len(structure.tabs)
    first = _one_blank_tab(book, structure)
    if kind is None:
        kind = _kind(book, structure)
    work = _Work(place=before, blank=first)
    if kind == "sheets" and not _has_data(structure):
        if there := tagged_tab(structure, dashboard.DATA.name):
            work.done.append(f"completed the tab {there[0].title}")
        else:
            work.made.append(dashboard.DATA.title)
        if not dry_run:
            # By the destination itself, so that the first import finds it; the Dashboard has something to point at.
            tabs = Sheets(book)
            tabs.prepare(dashboard.DATA, dashboard.DATA.columns(dashboard.DATA_FIELDS))
            tabs.make()
            structure = book.structure((TAB, *COLUMNS))
    pages = template.pages(kind, _source(structure))
    _bring(work, book, structure, pages)
    return work.carry_out(book, dry_run=dry_run)


def fields(book: Spreadsheet, *, dry_run: bool = False) -> list[str]:
    """Bring Fields up to date: add what is new, refresh descriptions, mark what is gone; return what was done.

    Ticks, and rows and columns of people, stay. Raises BadInput when there is no such tab.
    """
    return _update_fields(book, dry_run=dry_run)


def add_numbers(book: Spreadsheet) -> None:
    """Make the tab *Numbers* where there is none."""
    structure, page = book.structure((TAB,)), numbers.page()
    if tagged_tab(structure, page.tag) is None:
        work = _Work(place=len(structure.tabs))
        _bring(work, book, structure, [page])
        work.carry_out(book, dry_run=False)


def _update_fields(book: Spreadsheet, *, choice: Choice | None = None, dry_run: bool = False) -> list[str]:
    structure = book.structure((TAB, *COLUMNS))
    page = template.page(template.FIELDS, "sheets")
    if _find(book, structure, [page])[page.title] is None:
        raise _no_fields(book)
    work = _Work()
    _bring(work, book, structure, [page], refresh=choice is None, choice=choice)
    return work.carry_out(book, dry_run=dry_run)


def _no_fields(book: Spreadsheet) -> BadInput:
    return BadInput(
        [Mistake(template.FIELDS, "there is no such tab", f"Build it with: owox-tiktok sheet init {book.id}")]
    )


Choice = Mapping[str, Collection[str]]
"""Objects that are chosen, each with its fields and presets; keys may be left out."""


def choose(book: Spreadsheet, choice: Choice) -> list[str]:
    """Tick in Fields exactly what was chosen; what has no row there gets one. Return what was done.

    Raises BadInput when there is no such tab.
    """
    return _update_fields(book, choice=choice)


def ticked(book: Spreadsheet) -> dict[str, list[str]]:
    """Return the objects that are ticked in Fields, each with its ticked fields and presets."""
    structure = book.structure((TAB,))
    page = template.page(template.FIELDS, "sheets")
    seen = _find(book, structure, [page])[page.title]
    if seen is None:
        raise _no_fields(book)
    top, (tick_at, object_at, field_at, *_) = seen.columns(template.FIELDS_HEADINGS, 3)
    assert tick_at is not None
    assert object_at is not None
    assert field_at is not None
    objects: set[str] = set()
    names: dict[str, list[str]] = {}
    for row in range(top + 1, seen.end):
        stream = find(str(seen.at(row, object_at) or ""))
        if stream is None or not is_ticked(seen.at(row, tick_at)):
            continue
        if name := str(seen.at(row, field_at) or "").strip():
            names.setdefault(stream.name, []).append(name)
        else:
            objects.add(stream.name)
    return {name: names.get(name, []) for name in STREAMS if name in objects}


def fill_in(book: Spreadsheet, name: str, text: str, note: str = "") -> None:
    """Write a text into the row of Config of the parameter or output ``name``, with a note; a row it lacks is added.

    Raises BadInput when there is no such tab.
    """
    seen, at, rows = _config_of(book)
    label_at, value_at = at[0], at[1]
    assert label_at is not None
    assert value_at is not None
    row = rows.get(name)
    batch: list[Json] = []
    if row is None:
        row = seen.end
        if row >= seen.tab.rows:
            batch.append(requests.append(seen.tab.id, "ROWS", row + 1 - seen.tab.rows))
        line = next(line for line in template.config_lines("bigquery").values() if _name_of(line) == name)
        batch += _lines(seen.tab, row, [line], at)
    write = requests.write(seen.tab.id, row, value_at, [{"values": [{**cell(text), "note": note}]}])
    write["updateCells"]["fields"] = "userEnteredValue,note"
    book.apply([*batch, write])


def say_what_is_ahead(book: Spreadsheet, text: str) -> None:
    """Write into Current Status how much the first import is; nothing once there was one."""
    seen, at, rows = _config_of(book)
    row, value_at = rows.get(template.row_name(template.CURRENT_STATUS)), at[1]
    if row is not None and value_at is not None and str(seen.at(row, value_at)).startswith(template.NOT_YET):
        values = [{"values": [cell(f"{template.NOT_YET} · {text}")]}]
        book.apply([requests.write(seen.tab.id, row, value_at, values)])


def _name_of(line: Line) -> str:
    return template.row_name(str(line[0].value))


def _config_of(book: Spreadsheet) -> tuple[_Seen, list[int | None], dict[str, int]]:
    """Return Config as it is, the columns of its headings, and its rows by what they are."""
    page = template.page(template.CONFIG, "sheets")
    seen = _find(book, book.structure((TAB,)), [page])[page.title]
    if seen is None:
        what_to_do = f"Build it with: owox-tiktok sheet init {book.id}"
        raise BadInput([Mistake(template.CONFIG, "there is no such tab", what_to_do)])
    top, at = seen.columns(template.CONFIG_HEADINGS, 2)
    return seen, at, _rows_of_config(seen, top, at[0] or 0)


def _rows_of_config(seen: _Seen, top: int, label_at: int) -> dict[str, int]:
    rows: dict[str, int] = {}
    for row in range(top + 1, seen.end):
        name = seen.at(row, label_at)
        if isinstance(name, str):
            rows.setdefault(template.row_name(name), row)
    return rows


def sentence(done: Sequence[str], *, dry_run: bool = False) -> str:
    """Return what ``init`` or ``fields`` did as a sentence."""
    what = f"{'would be done: ' if dry_run else ''}{'; '.join(done)}" if done else "everything is there already"
    return f"{what[0].upper()}{what[1:]}."


def listed(book: Spreadsheet) -> int:
    """Return how many objects and fields the tab Fields lists."""
    tab = tab_called(book.structure((TAB,)), template.FIELDS)
    rows = book.values([Block(tab.id, 0, tab.rows, 0, min(tab.columns, 26))])[0] if tab else []
    place = find_headings(tab, rows, template.FIELDS_HEADINGS[:3]) if tab else None
    if place is None:
        return 0
    return sum(row[place.columns[normal(template.FIELDS_HEADINGS[1])]] is not None for row in rows[place.row + 1 :])


@dataclass(slots=True)
class _Work:
    """What is to be written, step by step, and what a person hears of it: tabs that were made, and all else.

    ``blank`` is a tab to use for the first page that has none; other new tabs come at ``place``, one after another.
    """

    place: int = 0
    blank: Tab | None = None
    steps: list[list[Json]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def carry_out(self, book: Spreadsheet, *, dry_run: bool) -> list[str]:
        """Write it, unless it is a dry run, and return it in words."""
        if not dry_run:
            for batch in _batches(self.steps, book.sizes.batch_bytes):
                book.apply(batch)
        created = f"created the tab{'s' if len(self.made) > 1 else ''} {', '.join(self.made)}"
        return [created, *self.done] if self.made else self.done


def _bring(
    work: _Work,
    book: Spreadsheet,
    structure: Structure,
    pages: Sequence[Page],
    *,
    refresh: bool = False,
    choice: Choice | None = None,
) -> None:
    """Add to ``work`` what makes the pages that are missing and completes the others."""
    found = _find(book, structure, pages)
    new: list[str] = []
    for page in pages:
        seen = found[page.title]
        if seen is not None and not seen.bare:
            work.steps += _complete(page, seen, work.done, refresh=refresh, choice=choice)
            continue
        use = seen.tab if seen else work.blank
        if use is work.blank:
            work.blank = None
        work.steps += _make(structure, page, use, work.place, tagged=seen is not None and seen.tagged)
        work.place += use is None
        new.append(page.title)
    work.made[:0] = new


def _batches(steps: Iterable[Sequence[Json]], batch_bytes: int) -> Iterator[list[Json]]:
    """Yield the steps as batches of the size Google advises; a step is never cut."""
    batch: list[Json] = []
    size = 0
    for step in steps:
        bytes_ = sum(map(size_of, step))
        if batch and size + bytes_ > batch_bytes:
            yield batch
            batch, size = [], 0
        batch += step
        size += bytes_
    if batch:
        yield batch


# --- what is there ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    """A tab as it is: what is written in it (formulas with their ``=``), and what may be typed where."""

    tab: Tab
    tagged: bool
    cells: dict[int, dict[int, Cell]] = field(default_factory=dict)
    takes: dict[int, dict[int, str]] = field(default_factory=dict)
    groups: list[tuple[int, int]] = field(default_factory=list)
    rules: int = 0
    charts: int = 0

    @property
    def bare(self) -> bool:
        """Whether nothing at all is in it."""
        return not self.cells and not self.charts

    @property
    def end(self) -> int:
        """The row after the last with something in it."""
        return max(self.cells, default=-1) + 1

    def at(self, row: int, column: int) -> Cell:
        return self.cells.get(row, {}).get(column)

    def columns(self, headings: Sequence[str], needed: int) -> tuple[int, list[int | None]]:
        """Return the row of the headings, and the column of each; BadInput when one of the first few is missing."""
        width = max((column for line in self.cells.values() for column in line), default=-1) + 1
        top = [[self.at(row, column) for column in range(width)] for row in range(HEADINGS_WITHIN)]
        place = find_headings(self.tab, top, headings[:needed])
        if place:
            return place.row, [place.columns.get(normal(h)) for h in headings]
        what = f"has no row with the headings {', '.join(headings[:needed])}"
        what_to_do = "Put them back, or rename the tab and delete its content: it is filled again."
        raise BadInput([Mistake(self.tab.title, what, what_to_do)])


def _find(book: Spreadsheet, structure: Structure, pages: Sequence[Page]) -> dict[str, _Seen | None]:
    """Return each page's tab: the one tagged so, else one of its title that is blank or holds what ours holds."""
    tabs: dict[str, tuple[Tab, bool]] = {}
    for page in pages:
        tagged = tagged_tab(structure, page.tag)
        named = next((t for t in structure.tabs.values() if normal(t.title) == normal(page.title)), None)
        if tagged:
            tabs[page.title] = tagged[0], True
        elif named:
            tabs[page.title] = named, False
    looked = _look(book, [tab for tab, _ in tabs.values()])
    found: dict[str, _Seen | None] = {}
    for page in pages:
        found[page.title] = None
        if page.title in tabs:
            tab, tagged_so = tabs[page.title]
            seen = looked[tab.id]
            seen.tagged = tagged_so
            texts = {v for line in seen.cells.values() for v in line.values() if isinstance(v, str)}
            if tagged_so or seen.bare or texts >= set(page.witness):
                found[page.title] = seen
    return found


def _look(book: Spreadsheet, tabs: Sequence[Tab]) -> dict[int, _Seen]:
    by_id = {tab.id: tab for tab in tabs}
    found = {tab.id: _Seen(tab, tagged=False) for tab in tabs}
    for sheet in book.look(list(by_id), _LOOK).get("sheets", []):
        seen = found[sheet["properties"]["sheetId"]]
        seen.rules, seen.charts = len(sheet.get("conditionalFormats", [])), len(sheet.get("charts", []))
        ranges = [group["range"] for group in sheet.get("rowGroups", [])]
        seen.groups = [(one.get("startIndex", 0), one["endIndex"]) for one in ranges]
        for data in sheet.get("data", []):
            for row, line in enumerate(data.get("rowData", [])):
                for column, one in enumerate(line.get("values", [])):
                    value = next(iter(one.get("userEnteredValue", {}).values()), None)
                    if isinstance(value, str | int | float | bool):
                        seen.cells.setdefault(row, {})[column] = value
                    if "dataValidation" in one:
                        seen.takes.setdefault(row, {})[column] = one["dataValidation"]["condition"]["type"]
    return found


def _one_blank_tab(book: Spreadsheet, structure: Structure) -> Tab | None:
    """Return the one tab of a spreadsheet that was just made, else None."""
    if len(structure.tabs) != 1 or structure.tags:
        return None
    tab = next(iter(structure.tabs.values()))
    seen = _look(book, [tab])[tab.id]
    return tab if seen.bare and not seen.takes and not seen.rules else None


def _kind(book: Spreadsheet, structure: Structure) -> SheetKind:
    """Return which template a spreadsheet has: the one for BigQuery asks for a dataset."""
    seen = _find(book, structure, [template.page(template.CONFIG, "bigquery")])[template.CONFIG]
    theirs = {normal(s.label) for s in template.parameters("bigquery") if s.only_bigquery}
    texts = (v for line in seen.cells.values() for v in line.values()) if seen else ()
    return "bigquery" if any(isinstance(v, str) and normal(v) in theirs for v in texts) else "sheets"


def _has_data(structure: Structure) -> bool:
    """Whether the tab the Dashboard follows is there, with the columns it needs."""
    found = tagged_tab(structure, dashboard.DATA.name)
    if found is None:
        return False
    there = {t.value for t in structure.tags if t.tab == found[0].id and t.key in COLUMNS}
    return there >= {f.name for f in dashboard.DATA.columns(dashboard.DATA_FIELDS)}


def _source(structure: Structure) -> dashboard.Source | None:
    """Return how formulas name the data: by its place, which Google keeps right when it changes; None without data."""
    found = tagged_tab(structure, dashboard.DATA.name)
    if found is None or not _has_data(structure):
        return None
    title = found[0].title.replace("'", "''")
    places = {t.value: t.index for t in structure.tags if t.tab == found[0].id and t.key in COLUMNS}
    tabs = ((stream, tagged_tab(structure, stream.name)) for stream in STREAMS.values())
    return dashboard.Source(
        columns={name: f"'{title}'!${letters(at)}:${letters(at)}" for name, at in places.items()},
        headings=f"'{title}'!$1:$1",
        tabs={stream.name: there[0].title.replace("'", "''") for stream, there in tabs if there},
    )


# --- a tab that is not there yet --------------------------------------------------------------------------------------


def _make(structure: Structure, page: Page, use: Tab | None, place: int, *, tagged: bool) -> list[list[Json]]:
    """Return the making of a whole tab; ``use`` is a blank one to take, else a new one comes at ``place``."""
    # A tab that is taken is blank, so its grid may shrink.
    rows = max(page.rows, len(page.lines) + (0 if page.groups else SPARE_ROWS))
    columns = len(page.widths)
    grid = {
        "rowCount": rows,
        "columnCount": columns,
        "frozenRowCount": page.frozen,
        "hideGridlines": not page.gridlines,
    }
    tab = use or Tab(structure.free_id(), structure.free_title(page.title), rows, columns, page.frozen)
    looks = {"tabColorStyle": colour(page.colour), "gridProperties": grid}
    if use is None:
        properties = {"sheetId": tab.id, "title": tab.title, "index": place, **looks}
        start: list[Json] = [{"addSheet": {"properties": properties}}]
    else:
        title = page.title if normal(use.title) == normal(page.title) else structure.free_title(page.title)
        mask = "title,tabColorStyle,gridProperties(rowCount,columnCount,frozenRowCount,hideGridlines)"
        properties = {"sheetId": tab.id, "title": title, **looks}
        start = [{"updateSheetProperties": {"properties": properties, "fields": mask}}]
    if not tagged:
        start.append(_tag(page, tab))
    start += [_sized(tab, "COLUMNS", n, n + 1, width) for n, width in enumerate(page.widths)]
    start += [_sized(tab, "ROWS", n, n + 1, height) for n, height in sorted(page.heights.items())]
    if page.hidden != (0, 0):
        columns_there = requests.dimension(tab.id, "COLUMNS", *page.hidden)
        properties = {"range": columns_there, "properties": {"hiddenByUser": True}, "fields": "hiddenByUser"}
        start.append({"updateDimensionProperties": properties})
    for column, style in page.column_styles.items():
        start.append(_styled(Block(tab.id, page.frozen, rows, column, column + 1), style))
    start += [_rule(tab, rule) for rule in page.rules]
    at = list(range(len(page.widths)))
    cuts = [0, *(first - 1 for first, _ in page.groups), len(page.lines)]
    steps = [start]
    folds = dict(page.groups)
    for top, bottom in pairwise(cuts):
        step = _lines(tab, top, page.lines[top:bottom], at)
        if top + 1 in folds:
            step += _fold(tab, top + 1, folds[top + 1])
        steps.append(step)
    if page.groups:
        steps.append([_fold_upwards(tab)])
    steps.append([_chart(tab, chart) for chart in page.charts])
    return steps


SPARE_ROWS = 20
"""Blank rows below what stands in a tab, for people."""


# --- a tab that is there ----------------------------------------------------------------------------------------------


def _complete(page: Page, seen: _Seen, done: list[str], *, refresh: bool, choice: Choice | None) -> list[list[Json]]:
    """Return what the tab lacks, and say so in ``done``."""
    steps: list[list[Json]] = []
    if not seen.tagged:
        steps.append([_tag(page, seen.tab)])
        done.append(f"tagged the tab {seen.tab.title}")
    if page.title == template.CONFIG:
        steps += _complete_config(page, seen, done)
    elif page.title == template.FIELDS:
        steps += _complete_fields(seen, done, refresh=refresh, choice=choice)
    elif page.title == template.LOGS and not seen.rules:
        _, at = seen.columns(template.LOGS_HEADINGS, 2)
        level = at[template.LOGS_HEADINGS.index("Level")]
        steps.append([_rule(seen.tab, replace(rule, column=level)) for rule in page.rules if level is not None])
        done.append(f"gave {seen.tab.title} its colours")
    elif page.title == dashboard.DASHBOARD:
        steps += _complete_dashboard(page, seen, done)
    return steps


def _complete_config(page: Page, seen: _Seen, done: list[str]) -> list[list[Json]]:
    top, at = seen.columns(template.CONFIG_HEADINGS, 2)
    label_at, value_at = at[0], at[1]
    assert label_at is not None
    assert value_at is not None
    rows = _rows_of_config(seen, top, label_at)
    step: list[Json] = []
    lacking: list[Line] = []
    for line in page.lines[1:]:
        if not line:
            continue
        known = rows.get(template.row_name(str(line[0].value)))
        if known is None:
            lacking.append(line)
        elif not _takes(line[1].takes, seen, known, value_at):
            step.append(_valid(Block(seen.tab.id, known, known + 1, value_at, value_at + 1), line[1]))
    if step:
        done.append(f"{seen.tab.title}: {counted(len(step), 'cell')} got a tick box or a list")
    if lacking:
        end = seen.end
        if end + len(lacking) > seen.tab.rows:
            step.append(requests.append(seen.tab.id, "ROWS", end + len(lacking) - seen.tab.rows))
        step += _lines(seen.tab, end, lacking, at)
        done.append(f"{seen.tab.title}: added {', '.join(str(line[0].value) for line in lacking)}")
    if not seen.rules:
        status = rows.get(template.row_name(template.CURRENT_STATUS))
        rules = template.status_rules(status, value_at) if status is not None else ()
        required = template.required_rule(top + 1, seen.end + len(lacking), label_at, value_at)
        step += [_rule(seen.tab, rule) for rule in (*rules, required)]
        done.append(f"gave {seen.tab.title} its colours")
    return [step]


def _takes(takes: str, seen: _Seen, row: int, column: int) -> bool:
    """Whether a cell takes what it should. A file has lists where there should be tick boxes; else any rule is fine."""
    there = seen.takes.get(row, {}).get(column, "")
    if takes == "tick":
        return there == "BOOLEAN" or isinstance(seen.at(row, column), str)
    return bool(there) or not takes


_REFERENCE = re.compile(r"(?:(?:'[^']*'|\w+)!)?(?:#REF!|\$[A-Z]+:\$[A-Z]+|\$\d+:\$\d+)")


def _complete_dashboard(page: Page, seen: _Seen, done: list[str]) -> list[list[Json]]:
    """Return the formulas that do not point at the data any more (or yet), and the charts if there are none."""
    looked_up = template.page(dashboard.DASHBOARD, "sheets")
    step: list[Json] = []
    ours = False
    for row, line in enumerate(page.lines):
        for column, item in enumerate(line):
            there = seen.at(row, column)
            if item.style == "tab" and there != item.value and isinstance(there, str):
                step.append(requests.write(seen.tab.id, row, column, [{"values": [_value(item)]}]))
            if not item.formula or not isinstance(there, str) or not there.startswith("="):
                continue
            ours = True
            before = looked_up.lines[row][column].formula
            pointing = _REFERENCE.sub("?", _plain(there)) == _REFERENCE.sub("?", _plain(item.formula))
            if _plain(there) != _plain(item.formula) and (pointing or _plain(there) == _plain(before)):
                step.append(requests.write(seen.tab.id, row, column, [{"values": [_value(item)]}]))
    if step:
        follow = "follows" if len(step) == 1 else "follow"
        done.append(f"{seen.tab.title}: {counted(len(step), 'formula')} now {follow} the tab of the data")
    if page.charts and ours and not seen.charts:
        step += [_chart(seen.tab, chart) for chart in page.charts]
        done.append(f"{seen.tab.title}: added {counted(len(page.charts), 'chart')}")
    return [step]


def _plain(formula: str) -> str:
    """Return a formula as it is compared: Google may change its spaces, quotes and separators, and an upload more."""
    text = formula.replace("'", "").replace(" ", "").replace(";", ",").upper()
    text = re.sub(r"_XLFN\.(_XLWS\.)?", "", text)
    text = re.sub(r"^=ARRAY_CONSTRAIN\((.*),\d+,\d+\)$", r"=\1", text)
    while wrapped := re.fullmatch(r"=ARRAYFORMULA\((.*)\)", text):
        text = f"={wrapped[1]}"
    return text


# --- Fields -----------------------------------------------------------------------------------------------------------


def _complete_fields(seen: _Seen, done: list[str], *, refresh: bool, choice: Choice | None = None) -> list[list[Json]]:
    """Return what Fields lacks, the ticks of a ``choice``, and rows for what was chosen and has none."""
    top, at = seen.columns(template.FIELDS_HEADINGS, 3)
    tick_at, object_at, field_at, _, type_at, about_at = at
    assert tick_at is not None
    assert object_at is not None
    assert field_at is not None
    rows: dict[Names, int] = {}
    gone: dict[int, str] = {}
    for row in range(top + 1, seen.end):
        named = seen.at(row, object_at)
        if not isinstance(named, str) or not named.strip():
            continue
        stream = find(named)
        name = str(seen.at(row, field_at) or "").strip()
        if stream is not None and (not name or name in stream.fields or name in template.presets(stream)):
            rows.setdefault((stream.name, name), row)
        elif isinstance(seen.at(row, tick_at), bool):
            gone[row] = str(seen.at(row, about_at) or "") if about_at is not None else ""
    steps = [_boxes(seen, rows, tick_at, done)]
    if choice is not None:
        steps += _ticks(seen, rows, tick_at, choice, done)
    if refresh:
        steps += _refreshed(seen, rows, gone, type_at, about_at, done)
    if not seen.groups:
        steps.append(_folds(seen, rows))
    steps += _added(seen, top, rows, at, done, choice)
    return steps


def _ticks(seen: _Seen, rows: Mapping[Names, int], column: int, choice: Choice, done: list[str]) -> list[list[Json]]:
    """Return the ticks that differ. Fields of an object that was not chosen keep theirs, for when it is again."""
    changed: dict[int, bool] = {}
    for (name, one), row in rows.items():
        if one and name not in choice:
            continue
        wanted = name in choice if not one else one in choice[name] or one in STREAMS[name].keys
        if (seen.at(row, column) is True) != wanted:
            changed[row] = wanted
    if changed:
        done.append(f"{seen.tab.title}: {counted(len(changed), 'tick')} changed")
    steps = []
    for first, last in _runs(changed):
        values = [{"values": [cell(changed[row])]} for row in range(first, last + 1)]
        steps.append([requests.write(seen.tab.id, first, column, values)])
    return steps


def _boxes(seen: _Seen, rows: Mapping[Names, int], column: int, done: list[str]) -> list[Json]:
    """Return the making of tick boxes where there are none."""
    lacking = [row for row in sorted(rows.values()) if not _takes("tick", seen, row, column)]
    if lacking:
        done.append(f"{seen.tab.title}: {counted(len(lacking), 'cell')} got a tick box")
    box = Item(takes="tick")
    return [_valid(Block(seen.tab.id, first, last + 1, column, column + 1), box) for first, last in _runs(lacking)]


def _refreshed(
    seen: _Seen,
    rows: Mapping[Names, int],
    gone: Mapping[int, str],
    type_at: int | None,
    about_at: int | None,
    done: list[str],
) -> list[list[Json]]:
    """Return types and descriptions that have changed, and the mark of what is not offered any more."""
    wanted: dict[tuple[int, int], str] = {}
    for (name, one), row in rows.items():
        stream = STREAMS[name]
        line = template.field_line(stream, one, ticked=False) if one else template.object_line(stream, "")
        if about_at is not None:
            wanted[row, about_at] = str(line[5].value)
        if type_at is not None and one:
            wanted[row, type_at] = str(line[4].value)
    changed = {place: text for place, text in wanted.items() if seen.at(*place) != text}
    marked = {row: text for row, text in gone.items() if not text.startswith(template.NO_LONGER_OFFERED)}
    if about_at is not None:
        changed |= {(row, about_at): f"{template.NO_LONGER_OFFERED} {text}".strip() for row, text in marked.items()}
        if marked:
            done.append(f"{seen.tab.title}: {counted(len(marked), 'row')} marked as no longer offered")
    if len(changed) > len(marked):
        done.append(f"{seen.tab.title}: {counted(len(changed) - len(marked), 'description')} refreshed")
    steps = []
    for column in {c for _, c in changed}:
        for first, last in _runs([r for r, c in changed if c == column]):
            values = [{"values": [cell(changed[row, column])]} for row in range(first, last + 1)]
            steps.append([requests.write(seen.tab.id, first, column, values)])
    return steps


def _folds(seen: _Seen, rows: Mapping[Names, int]) -> list[Json]:
    """Return the groups of a tab that has none: of each object whose rows stand together."""
    step: list[Json] = []
    for stream in STREAMS.values():
        theirs = sorted(row for (name, one), row in rows.items() if name == stream.name and one)
        if theirs and theirs[-1] - theirs[0] + 1 == len(theirs) and rows.get((stream.name, "")) == theirs[0] - 1:
            step += _fold(seen.tab, theirs[0], theirs[-1] + 1)
    return [*step, _fold_upwards(seen.tab)] if step else []


def _added(
    seen: _Seen,
    top: int,
    rows: Mapping[Names, int],
    at: Sequence[int | None],
    done: list[str],
    choice: Choice | None,
) -> list[list[Json]]:
    """Return the rows that are lacking, each at its place: an object behind the one before, a field with its object.

    What was chosen is lacking too where it has no row, or is not in a preset that has.
    """
    new: dict[int, list[tuple[Names, bool]]] = {}
    behind = top + 1
    for stream in STREAMS.values():
        wanted = dict.fromkeys((*template.in_order(stream), *(choice or {}).get(stream.name, ())))
        names = [(stream.name, ""), *((stream.name, n) for n in wanted)]
        theirs = [row for (name, _), row in rows.items() if name == stream.name]
        previous = rows.get((stream.name, ""))
        for n in names:
            if n in rows:
                previous = rows[n]
            elif not theirs:
                new.setdefault(behind, []).append((n, True))
            elif previous is None or not n[1]:
                new.setdefault(min(theirs), []).append((n, False))
            else:
                # Before the last row rather than behind it: inside the group, and inside what the count counts.
                last = previous == max(theirs) and previous != rows.get((stream.name, ""))
                new.setdefault(previous if last else previous + 1, []).append((n, False))
        behind = max([behind, *(row + 1 for row in theirs)])
    if new:
        objects = sum(not n[1] for lines in new.values() for n, _ in lines)
        count = sum(map(len, new.values())) - objects
        what = [counted(objects, "object")] * bool(objects) + [counted(count, "field")] * bool(count)
        done.append(f"{seen.tab.title}: added {' and '.join(what)}")
    steps: list[list[Json]] = []
    offset = 0
    for place, lacking in sorted(new.items()):
        start = place + offset
        if place < seen.end:
            steps.append([requests.insert(seen.tab.id, "ROWS", start, start + len(lacking))])
        elif (short := start + len(lacking) - seen.tab.rows - offset) > 0:
            steps.append([requests.append(seen.tab.id, "ROWS", short)])
        offset += len(lacking)
        for (name, whole), group in groupby(lacking, key=lambda one: (one[0][0], one[1])):
            theirs_here = [n for (_, n), _ in group]
            steps.append(_object(seen.tab, start, STREAMS[name], theirs_here, at, choice, whole=whole))
            start += len(theirs_here)
    return steps


def _object(
    tab: Tab,
    start: int,
    stream: Stream,
    names: Sequence[str],
    at: Sequence[int | None],
    choice: Choice | None,
    *,
    whole: bool,
) -> list[Json]:
    """Return the writing of rows of one object from ``start`` on: all of them, or those that were lacking.

    Ticked is what was chosen; without a ``choice`` what the template ticks, where the object is new altogether: a field
    that is new to somebody who has chosen already is hers to tick.
    """
    own = template.count_formula(letters(at[0] or 0), start + 2, start + len(names))
    ticked = choice[stream.name] if choice and stream.name in choice else template.usual(stream) if whole else ()
    imported = None if choice is None else stream.name in choice
    lines = [
        template.field_line(stream, n, ticked=n in ticked) if n else template.object_line(stream, own, ticked=imported)
        for n in names
    ]
    return _lines(tab, start, lines, at) + (_fold(tab, start + 1, start + len(lines)) if whole else [])


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return numbers as runs of adjacent ones: first and last of each."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


# --- requests ---------------------------------------------------------------------------------------------------------


def _tag(page: Page, tab: Tab) -> Json:
    return new_tab(tab, page.tag)[1]


def _sized(tab: Tab, along: str, start: int, end: int, pixels: int) -> Json:
    return {
        "updateDimensionProperties": {
            "range": requests.dimension(tab.id, along, start, end),
            "properties": {"pixelSize": pixels},
            "fields": "pixelSize",
        }
    }


def _fold(tab: Tab, start: int, end: int) -> list[Json]:
    """Return the grouping of rows, folded away."""
    rows = requests.dimension(tab.id, "ROWS", start, end)
    group = {"range": rows, "depth": 1, "collapsed": True}
    return [
        {"addDimensionGroup": {"range": rows}},
        {"updateDimensionGroup": {"dimensionGroup": group, "fields": "collapsed"}},
    ]


def _fold_upwards(tab: Tab) -> Json:
    """Return that the + of a group stands beside the row above it, which is the object's own."""
    properties = {"sheetId": tab.id, "gridProperties": {"rowGroupControlAfter": False}}
    return {"updateSheetProperties": {"properties": properties, "fields": "gridProperties.rowGroupControlAfter"}}


def _lines(tab: Tab, top: int, lines: Sequence[Line], at: Sequence[int | None]) -> list[Json]:
    """Return the writing of whole rows from ``top`` on, with looks and tick boxes; the n-th item goes to ``at[n]``."""
    batch: list[Json] = []
    for run in _adjacent(at):
        items = [[line[n] if n < len(line) else Item() for n in run] for line in lines]
        left = at[run[0]] or 0
        values = [{"values": _trimmed([_value(item) for item in row])} for row in items]
        batch.append(requests.write(tab.id, top, left, values))
        batch += _looks(tab, top, left, items)
        for n in range(len(run)):
            batch += _choices(tab, top, left + n, [row[n] for row in items])
    return batch


def _adjacent(at: Sequence[int | None]) -> list[list[int]]:
    """Return the places in ``at`` whose columns stand side by side, as runs."""
    runs: list[list[int]] = []
    for n, column in enumerate(at):
        if column is None:
            continue
        if runs and n and at[n - 1] is not None and at[n - 1] == column - 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return runs


def _trimmed(cells: list[Json]) -> list[Json]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _value(item: Item) -> Json:
    return {"userEnteredValue": {"formulaValue": item.formula}} if item.formula else cell(item.value)


Look = tuple[str, str]


def _looks(tab: Tab, top: int, left: int, items: Sequence[Sequence[Item]]) -> list[Json]:
    """Return how cells look: rows that look the same as one."""
    looks = [[("", "") if i == Item() else (i.style, i.link) for i in row] for row in items]
    batch = []
    first = 0
    while first < len(looks):
        last = first
        while last + 1 < len(looks) and looks[last + 1] == looks[first]:
            last += 1
        column = 0
        while column < len(looks[first]):
            end = column
            while end + 1 < len(looks[first]) and looks[first][end + 1] == looks[first][column]:
                end += 1
            style, link = looks[first][column]
            if style:
                block = Block(tab.id, top + first, top + last + 1, left + column, left + end + 1)
                batch.append(_styled(block, style, link))
            column = end + 1
        first = last + 1
    return batch


def _styled(block: Block, name: str, link: str = "") -> Json:
    style = STYLES[name]
    text: Json = {"fontSize": style.size, "bold": style.bold}
    if style.colour:
        text["foregroundColorStyle"] = colour(style.colour)
    if link:
        text["link"] = {"uri": link}
    look: Json = {
        "textFormat": text,
        "wrapStrategy": "WRAP" if style.wrap else "OVERFLOW_CELL",
        "verticalAlignment": "MIDDLE",
    }
    if style.fill:
        look["backgroundColorStyle"] = colour(style.fill)
    if style.align:
        look["horizontalAlignment"] = style.align.upper()
    if style.form_type:
        look["numberFormat"] = {"type": style.form_type, "pattern": style.form}
    cell = {"userEnteredFormat": look}
    return {"repeatCell": {"range": block.as_range(), "cell": cell, "fields": "userEnteredFormat"}}


def _choices(tab: Tab, top: int, column: int, items: Sequence[Item]) -> list[Json]:
    """Return what may be typed into the cells of a column: one rule for adjacent cells that take the same."""
    batch = []
    first = 0
    while first < len(items):
        last = first
        same = items[first].takes, items[first].choices
        while last + 1 < len(items) and (items[last + 1].takes, items[last + 1].choices) == same:
            last += 1
        if items[first].takes:
            block = Block(tab.id, top + first, top + last + 1, column, column + 1)
            batch.append(_valid(block, items[first], tab.title))
        first = last + 1
    return batch


def _valid(block: Block, item: Item, title: str = "") -> Json:
    """Return what may be typed into cells; ``title`` is their tab's, for a list that stands in cells of it."""
    listed = f"='{title.replace(chr(39), chr(39) * 2)}'!{item.choices[0]}" if item.takes == "range" else ""
    conditions: Mapping[str, Json] = {
        "range": {"type": "ONE_OF_RANGE", "values": [{"userEnteredValue": listed}]},
        "tick": {"type": "BOOLEAN"},
        "day": {"type": "DATE_IS_VALID"},
        "number": {"type": "NUMBER_GREATER_THAN_EQ", "values": [{"userEnteredValue": "0"}]},
        "choice": {"type": "ONE_OF_LIST", "values": [{"userEnteredValue": str(c)} for c in item.choices]},
    }
    # A list in cells is a help: an id that is typed into the cell is as good as one that is picked.
    rule = {"condition": conditions[item.takes], "strict": item.takes != "range", "showCustomUi": True}
    return {"setDataValidation": {"range": block.as_range(), "rule": rule}}


_CONDITIONS = {"starts": "TEXT_STARTS_WITH", "contains": "TEXT_CONTAINS", "formula": "CUSTOM_FORMULA"}


def _rule(tab: Tab, rule: Rule) -> Json:
    look: Json = {"textFormat": {"bold": rule.bold}} if rule.bold else {}
    if rule.colour:
        look.setdefault("textFormat", {})["foregroundColorStyle"] = colour(rule.colour)
    if rule.fill:
        look["backgroundColorStyle"] = colour(rule.fill)
    condition = {"type": _CONDITIONS[rule.when], "values": [{"userEnteredValue": rule.text}]}
    where = Block(tab.id, rule.top, rule.bottom, rule.column, rule.column + 1).as_range()
    return {
        "addConditionalFormatRule": {
            "index": 0,
            "rule": {"ranges": [where], "booleanRule": {"condition": condition, "format": look}},
        }
    }


def _chart(tab: Tab, chart: Chart) -> Json:
    def cells(column: int) -> Json:
        block = Block(tab.id, chart.top, chart.bottom, column, column + 1)
        return {"sourceRange": {"sources": [block.as_range()]}}

    bars = chart.series[0].kind == "bar"
    mixed = len({s.kind for s in chart.series}) > 1
    two = any(s.right for s in chart.series)
    axes: list[Json] = [{"position": "BOTTOM_AXIS"}]
    for position, right in (("LEFT_AXIS", False), ("RIGHT_AXIS", True)) if two else (("LEFT_AXIS", False),):
        axes.append({"position": position, **(_axis_title(chart, right=right) if two else {})})
    series = []
    for one in chart.series:
        said: Json = {
            "series": cells(one.column),
            "targetAxis": "RIGHT_AXIS" if one.right else "BOTTOM_AXIS" if bars else "LEFT_AXIS",
            "colorStyle": colour(one.colour),
        }
        if mixed:
            said["type"] = one.kind.upper()
        series.append(said)
    basic = {
        "chartType": "COMBO" if mixed else chart.series[0].kind.upper(),
        "legendPosition": "BOTTOM_LEGEND" if len(series) > 1 else "NO_LEGEND",
        "headerCount": 1,
        "axis": axes,
        "domains": [{"domain": cells(chart.labels)}],
        "series": series,
    }
    title = {"bold": True, "fontSize": 12, "foregroundColorStyle": colour(INK)}
    anchor = {"sheetId": tab.id, "rowIndex": chart.row, "columnIndex": chart.column}
    return {
        "addChart": {
            "chart": {
                "spec": {
                    "title": chart.title,
                    "titleTextFormat": title,
                    "hiddenDimensionStrategy": "SHOW_ALL",
                    "basicChart": basic,
                },
                "position": {
                    "overlayPosition": {
                        "anchorCell": anchor,
                        "widthPixels": chart.width,
                        "heightPixels": chart.height,
                    }
                },
            }
        }
    }


def _axis_title(chart: Chart, *, right: bool) -> Json:
    """Return the title of an axis of two: what is measured on it, in that series' colour."""
    one: Series = next(s for s in chart.series if s.right == right)
    return {"title": one.name, "format": {"foregroundColorStyle": colour(one.colour), "bold": True}}
