"""Write the template Sheets in templates/ from ``sheets.template``, or say with ``--check`` whether they are old.

    python tools/make_templates.py            write them
    python tools/make_templates.py --check    exit with 1 when one differs from what would be written

The files hold no time of making, so that the same definition always gives the same file. A file has no tick boxes:
there are TRUE and FALSE with a list to choose from instead, and `owox-tiktok sheet init` turns them into boxes.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import xlsxwriter

from owox_tiktok.sheets import pages, template
from owox_tiktok.sheets.pages import Chart, Item, Page, Rule, Series, SheetKind

FOLDER = Path(__file__).resolve().parent.parent / "templates"
FILES: dict[SheetKind, str] = {
    "sheets": "TikTok Ads to Google Sheets.xlsx",
    "bigquery": "TikTok Ads to Google BigQuery.xlsx",
}
_CRITERIA = {"starts": "begins with", "contains": "containing"}


class _Book:
    """A workbook being written, with one format per style."""

    def __init__(self, file: io.BytesIO) -> None:
        self.book = xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False})
        self.book.set_properties({"title": "TikTok Ads", "created": datetime(2026, 1, 1, tzinfo=UTC)})
        self._formats: dict[str, Any] = {}

    def format(self, name: str, form: str = "") -> Any:
        """Return the format of a style, with a number format of its own if need be."""
        key = name + form
        if key not in self._formats:
            style = pages.STYLES[name]
            says: dict[str, Any] = {"font_name": "Arial", "font_size": style.size, "text_wrap": style.wrap}
            says |= {"bold": style.bold, "valign": "vcenter"}
            wanted = {
                "bg_color": style.fill,
                "font_color": style.colour,
                "align": style.align,
                "num_format": form or style.form,
            }
            says |= {key: value for key, value in wanted.items() if value}
            self._formats[key] = self.book.add_format(says)
        return self._formats[key]

    def page(self, page: Page) -> None:
        sheet = self.book.add_worksheet(page.title)
        for column, width in enumerate(page.widths):
            look = self.format(page.column_styles.get(column, "text"))
            hidden = {"hidden": True} if column in range(*page.hidden) else {}
            sheet.set_column_pixels(column, column, width, look, hidden)
        sheet.set_tab_color(page.colour)
        if page.frozen:
            sheet.freeze_panes(page.frozen, 0)
        if not page.gridlines:
            sheet.hide_gridlines(2)
        folded = {row for first, end in page.groups for row in range(first, end)}
        owners = {first - 1 for first, _ in page.groups}
        sheet.outline_settings(symbols_below=False)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        for row, line in enumerate(page.lines):
            options: dict[str, Any] = {"level": 1, "hidden": True} if row in folded else {}
            if row in owners:
                options = {"collapsed": True}
            if row in page.heights or options:
                sheet.set_row_pixels(row, page.heights.get(row, 20), None, options)
            for column, item in enumerate(line):
                self.item(sheet, row, column, item)
        self.choices(sheet, page)
        for rule in page.rules:
            self.rule(sheet, rule)
        for chart in page.charts:
            self.chart(sheet, page, chart)

    def item(self, sheet: Any, row: int, column: int, item: Item) -> None:
        form = self.format(item.style)
        if item.fills != (1, 1):
            # Google cuts a formula's result to the cells that a file says it fills.
            last = (row + item.fills[0] - 1, column + item.fills[1] - 1)
            sheet.write_dynamic_array_formula(row, column, *last, template.in_file(item.formula), form, "")
        elif item.formula:
            sheet.write_formula(row, column, template.in_file(item.formula), form, "")
        elif item.link:
            sheet.write_url(row, column, item.link, form, str(item.value))
        elif isinstance(item.value, bool):
            sheet.write_boolean(row, column, item.value, self.format(item.style, _TRUE_OR_FALSE))
        elif isinstance(item.value, int | float):
            sheet.write_number(row, column, item.value, form)
        elif item.value:
            sheet.write_string(row, column, item.value, form)
        elif item.style != "text":
            sheet.write_blank(row, column, None, form)

    def choices(self, sheet: Any, page: Page) -> None:
        """Say what may be typed, one rule for each run of rows that take the same."""
        width = max((len(line) for line in page.lines), default=0)
        for column in range(width):
            takers = [line[column] if column < len(line) else Item() for line in page.lines]
            first = 0
            while first < len(takers):
                last = first
                while last + 1 < len(takers) and _taken(takers[last + 1]) == _taken(takers[first]):
                    last += 1
                rule = _taken(takers[first])
                if rule:
                    sheet.data_validation(first, column, last, column, rule)
                first = last + 1

    def rule(self, sheet: Any, rule: Rule) -> None:
        look = {"bg_color": rule.fill, "font_color": rule.colour, "bold": rule.bold}
        form = self.book.add_format({key: value for key, value in look.items() if value})
        says = (
            {"type": "formula", "criteria": template.in_file(rule.text), "format": form}
            if rule.when == "formula"
            else {"type": "text", "criteria": _CRITERIA[rule.when], "value": rule.text, "format": form}
        )
        sheet.conditional_format(rule.top, rule.column, rule.bottom - 1, rule.column, says)

    def chart(self, sheet: Any, page: Page, wanted: Chart) -> None:
        kinds = {one.kind for one in wanted.series}
        made = {kind: self.book.add_chart({"type": kind}) for kind in sorted(kinds)}
        labels = [page.title, wanted.top + 1, wanted.labels, wanted.bottom - 1, wanted.labels]
        for one in wanted.series:
            made[one.kind].add_series(
                {
                    "name": [page.title, wanted.top, one.column],
                    "categories": labels,
                    "values": [page.title, wanted.top + 1, one.column, wanted.bottom - 1, one.column],
                    "y2_axis": one.right,
                    **_drawn(one),
                }
            )
        main = made[min(made)]  # columns or bars, with the line on them
        for kind, other in made.items():
            if other is not main:
                assert kind == "line"
                main.combine(other)
                form = next(s.form for s in wanted.series if s.kind == kind)
                right = {"num_format": form or "#,##0", "line": {"none": True}, "num_font": _FONT}
                other.set_y2_axis(right | _axis_title(wanted, right=True))
        main.set_title({"name": wanted.title, "name_font": {"size": 12, "color": pages.INK, "bold": True}})
        main.set_legend({"none": True} if len(wanted.series) == 1 else {"position": "bottom", "font": _FONT})
        values = {"num_format": "#,##0", "num_font": _FONT, "line": {"none": True}}
        values["major_gridlines"] = {"visible": True, "line": {"color": pages.LINE}}
        texts = {"num_font": _FONT, "line": {"color": pages.LINE}}
        if "bar" in made:
            main.set_x_axis({**texts, "reverse": True})
            main.set_y_axis(values)
        else:
            over_time = "over time" in wanted.title
            main.set_x_axis({**texts, **({"num_format": "d mmm", "interval_unit": 5} if over_time else {})})
            main.set_y_axis(values | _axis_title(wanted, right=False))
        main.set_size({"width": wanted.width, "height": wanted.height})
        sheet.insert_chart(wanted.row, wanted.column, main)


_TRUE_OR_FALSE = '"TRUE";"TRUE";"FALSE"'
_FONT = {"color": pages.GREY, "size": 9}


def _axis_title(chart: Chart, *, right: bool) -> dict[str, Any]:
    one = next(s for s in chart.series if s.right == right)
    return {"name": one.name, "name_font": {"color": one.colour, "bold": True, "size": 9}}


def _drawn(one: Series) -> dict[str, Any]:
    """Return how a series is drawn."""
    if one.kind == "line":
        return {"line": {"color": one.colour, "width": 2}}
    return {"fill": {"color": one.colour}, "gap": 40}


def _taken(item: Item) -> dict[str, Any]:
    """Return what may be typed into a cell, as the file says it; nothing when anything may."""
    if item.takes == "tick":
        return {"validate": "list", "source": ["TRUE", "FALSE"]}
    if item.takes == "choice":
        return {"validate": "list", "source": [str(c) for c in item.choices]}
    if item.takes == "range":
        return {"validate": "list", "source": f"={item.choices[0]}", "error_type": "warning"}
    if item.takes == "day":
        return {
            "validate": "date",
            "criteria": ">=",
            "value": datetime(2016, 1, 1, tzinfo=UTC).replace(tzinfo=None),
            "error_title": "Not a day",
            "error_message": "Write a day such as 2026-01-31.",
        }
    if item.takes == "number":
        return {
            "validate": "integer",
            "criteria": ">=",
            "value": 0,
            "error_title": "Not a number",
            "error_message": "Write a whole number, or leave the cell blank.",
        }
    return {}


def build(kind: SheetKind) -> bytes:
    """Return the template of a kind as a file."""
    file = io.BytesIO()
    book = _Book(file)
    for page in template.pages(kind, in_a_file=True):
        book.page(page)
    book.book.close()
    return file.getvalue()


def _parts(data: bytes) -> dict[str, bytes]:
    """Return the parts of a file; how they are compressed may differ from machine to machine."""
    with ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def main() -> int:
    """Write the files, or with ``--check`` compare them."""
    check = sys.argv[1:] == ["--check"]
    wrong = 0
    for kind, name in FILES.items():
        path, data = FOLDER / name, build(kind)
        if not check:
            FOLDER.mkdir(exist_ok=True)
            path.write_bytes(data)
        elif not path.exists() or _parts(path.read_bytes()) != _parts(data):
            print(f"templates/{name} is out of date: run `make templates`")
            wrong += 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
