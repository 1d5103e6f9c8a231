"""The template Sheet as data: its tabs, what stands in them, and the words by which it is recognised again.

Two kinds come from one definition: rows go into the Sheet itself, or into BigQuery. Parameters come from SETTINGS and
fields from STREAMS, so that the template has a new one automatically. Nothing here reads or writes a Sheet or a file.

Formulas are written with ``;`` between arguments, which Google Sheets takes in every locale; a file needs commas
(``in_file``). A formula of the Dashboard names a column of the data as ``{spend}``; who writes it says what stands for
it: the column itself (``'Ad report daily'!$F:$F``, which follows every renaming and moving), or, in a file whose data
tab is not there yet, ``looked_up``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from owox_tiktok.model import Field, Stream
from owox_tiktok.settings import SETTINGS, Form, Setting, labelled
from owox_tiktok.sheets.tabs import letters, normal
from owox_tiktok.streams import PRESETS, STREAMS, default_fields, expand
from owox_tiktok.titles import title as title_of

SheetKind = Literal["sheets", "bigquery"]

START, CONFIG, FIELDS, LOGS, DASHBOARD = "Start here", "Config", "Fields", "Logs", "Dashboard"
"""Titles of the tabs. A tab is recognised by its tag, and by its title where it has none (as in an uploaded file)."""

CONFIG_HEADINGS = ("Parameter", "Value", "Description")
FIELDS_HEADINGS = ("Import", "Object", "Field", "Name", "Type", "Description")
"""A row with an object and no field is the object's own; its tick says whether the object is imported.

A field may be the name of a preset. Tabs of earlier versions have no column *Name*."""
LOGS_HEADINGS = ("Time", "Level", "Object", "Advertiser", "Message")
MOST_LOG_ROWS = 1_000

CURRENT_STATUS, LAST_IMPORT_DATE, LAST_REQUESTED_DATE = "Current Status", "Last Import Date", "Last Requested Date"
SCHEDULE = "Schedule"
OUTPUTS = (CURRENT_STATUS, LAST_IMPORT_DATE, LAST_REQUESTED_DATE, SCHEDULE)
"""What an import, or the menu, writes into Config, beside the parameters."""


def parameters(kind: SheetKind) -> tuple[Setting, ...]:
    """Return the settings that a template of this kind asks for, in its order."""
    other = "only_bigquery" if kind == "sheets" else "only_sheets"
    return tuple(s for s in SETTINGS if s.label and not getattr(s, other))


# --- nouns ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Style:
    """How cells look. Colours are ``#rrggbb``; ``form`` is a number format, ``form_type`` what the API calls it."""

    fill: str = ""
    colour: str = ""
    bold: bool = False
    size: int = 10
    wrap: bool = False
    align: Literal["", "left", "center", "right"] = ""
    form: str = ""
    form_type: Literal["", "TEXT", "NUMBER", "PERCENT", "DATE", "DATE_TIME"] = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One cell: a value, or a formula, and how it looks and what it takes.

    ``takes`` is empty where anything may be typed; "tick" is a tick box.
    """

    value: str | int | float | bool | None = None
    style: str = "text"
    formula: str = ""
    takes: Literal["", "tick", "day", "number", "choice"] = ""
    choices: tuple[str | int, ...] = ()
    link: str = ""


Line = tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A colour that depends on what a cell says: rows ``top`` to ``bottom`` (not included) of the column ``column``.

    ``when`` is how ``text`` is looked for; "formula" is true of the cell or not, written for the first of them.
    """

    column: int
    top: int
    bottom: int
    when: Literal["starts", "contains", "formula"]
    text: str
    fill: str = ""
    colour: str = ""
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """One line or row of columns of a chart, from the column ``column`` of its table; dots are a line not drawn."""

    column: int
    kind: Literal["column", "line", "dots", "bar"]
    colour: str
    right: bool = False
    form: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over a small range: headings in row ``top``, labels in the column ``labels``, down to ``bottom``."""

    title: str
    top: int
    bottom: int
    labels: int
    series: tuple[Series, ...]
    row: int
    column: int
    width: int
    height: int = 280


@dataclass(frozen=True, slots=True)
class Page:
    """A tab of the template. Rows and columns are counted from 0.

    ``tag`` is its name in the tab's tag; ``witness`` are texts that stand in it, by which a tab of that title without
    a tag is known to be ours. ``groups`` are rows to fold away, the ends not included.
    """

    title: str
    tag: str
    widths: tuple[int, ...]
    lines: tuple[Line, ...]
    witness: tuple[str, ...]
    colour: str
    frozen: int = 0
    rows: int = 0
    gridlines: bool = True
    heights: Mapping[int, int] = field(default_factory=dict)
    column_styles: Mapping[int, str] = field(default_factory=dict)
    groups: tuple[tuple[int, int], ...] = ()
    rules: tuple[Rule, ...] = ()
    charts: tuple[Chart, ...] = ()


INK, GREY, PALE, LINE, BLUE = "#202124", "#5f6368", "#f1f3f4", "#e8eaed", "#174ea6"
_BLUE_FILL, _GREEN_FILL, _AMBER_FILL, _RED_FILL = "#d2e3fc", "#ceead6", "#feefc3", "#fad2cf"
_GREEN, _AMBER, _RED = "#0d652d", "#7a4f01", "#a50e0e"
_CHART = {"spend": "#1a73e8", "impressions": "#9aa0a6", "clicks": "#12b5cb", "conversion": "#34a853", "ctr": "#f9ab00"}

STYLES: Mapping[str, Style] = {
    "text": Style(colour=INK),
    "title": Style(colour=INK, bold=True, size=18),
    "subtitle": Style(colour=GREY),
    "paragraph": Style(colour=INK, wrap=True),
    "number": Style(colour="#ffffff", fill="#1a73e8", bold=True, size=12, align="center"),
    "step": Style(colour=INK, bold=True, size=11, wrap=True),
    "heading": Style(fill="#3c4043", colour="#ffffff", bold=True),
    "label": Style(colour=INK, bold=True),
    "value": Style(colour=INK, fill="#fffdf5", wrap=True, align="left", form="@", form_type="TEXT"),
    "value day": Style(colour=INK, fill="#fffdf5", align="left", form="yyyy-mm-dd", form_type="DATE"),
    "value number": Style(colour=INK, fill="#fffdf5", align="left", form="0", form_type="NUMBER"),
    "value switch": Style(colour=INK, fill="#fffdf5", align="left"),
    "output label": Style(fill=PALE, colour=INK, bold=True),
    "output": Style(fill=PALE, colour=INK, wrap=True, align="left"),
    "output moment": Style(fill=PALE, colour=INK, align="left", form="yyyy-mm-dd hh:mm", form_type="DATE_TIME"),
    "output date": Style(fill=PALE, colour=INK, align="left", form="yyyy-mm-dd", form_type="DATE"),
    "output help": Style(fill=PALE, colour=GREY, wrap=True),
    "help": Style(colour=GREY, wrap=True),
    "object": Style(fill="#e8f0fe", colour=BLUE, bold=True),
    "object tick": Style(fill="#e8f0fe", colour=BLUE, bold=True, align="center"),
    "object text": Style(fill="#e8f0fe", colour=INK),
    "tick": Style(colour=INK, align="center"),
    "faint": Style(colour="#9aa0a6"),
    "faint id": Style(colour="#9aa0a6", align="right"),
    "key": Style(colour=INK, bold=True),
    "note": Style(colour=GREY),
    "moment": Style(colour=GREY, align="left", form="yyyy-mm-dd hh:mm:ss", form_type="DATE_TIME"),
    "message": Style(colour=INK, wrap=True),
    "plain": Style(colour=INK, form="@", form_type="TEXT"),
    "tile label": Style(fill=PALE, colour=GREY, align="left"),
    "tile money": Style(fill=PALE, colour=INK, bold=True, size=16, align="left", form="#,##0.00", form_type="NUMBER"),
    "tile count": Style(fill=PALE, colour=INK, bold=True, size=16, align="left", form="#,##0", form_type="NUMBER"),
    "tile rate": Style(fill=PALE, colour=INK, bold=True, size=16, align="left", form="0.00%", form_type="PERCENT"),
    "tile change": Style(fill=PALE, colour=GREY, align="left", form="+0.0%;-0.0%;0.0%", form_type="PERCENT"),
    "unseen": Style(colour="#ffffff"),
    "control": Style(fill="#fffdf5", colour=INK, bold=True, align="left"),
    "control from": Style(colour=INK, fill="#fffdf5", bold=True, align="left", form="yyyy-mm-dd", form_type="DATE"),
    "control day": Style(colour=INK, align="left", form="yyyy-mm-dd", form_type="DATE"),
    "section": Style(colour=INK, bold=True, size=12),
    "column": Style(fill=LINE, colour=INK, bold=True, align="right"),
    "column left": Style(fill=LINE, colour=INK, bold=True, align="left"),
    "day": Style(colour=INK, align="left", form="yyyy-mm-dd", form_type="DATE"),
    "money": Style(colour=INK, align="right", form="#,##0.00", form_type="NUMBER"),
    "count": Style(colour=INK, align="right", form="#,##0", form_type="NUMBER"),
    "rate": Style(colour=INK, align="right", form="0.00%", form_type="PERCENT"),
}
"""Calm colours: what a person fills in is on pale yellow, what an import writes on grey."""


def pages(kind: SheetKind, column: Callable[[str], str] | None = None) -> tuple[Page, ...]:
    """Return the tabs of a template. ``column`` says how a formula names a column of the data; see ``looked_up``."""
    return tuple(page(title, kind, column) for title in (START, CONFIG, FIELDS, LOGS, DASHBOARD))


def page(title: str, kind: SheetKind, column: Callable[[str], str] | None = None) -> Page:
    """Return one tab of a template, by its title."""
    match title:
        case "Start here":
            return _start(kind)
        case "Config":
            return _config(kind)
        case "Fields":
            return _fields()
        case "Logs":
            return _logs()
        case _:
            return _dashboard(kind, column or looked_up)


def in_file(formula: str) -> str:
    """Return a formula as a spreadsheet file has it."""
    return formula.replace(";", ",")


# --- Start here -------------------------------------------------------------------------------------------------------

_STEPS: tuple[tuple[str, str], ...] = (
    (
        "Share this spreadsheet",
        "Press Share and add, as Editor, the e-mail address of the account the import runs as. It looks like "
        "name@project.iam.gserviceaccount.com; whoever set the import up knows it.",
    ),
    (
        "Fill in Config",
        "Parameters marked with * are required: your ad accounts (OWOX → Choose accounts… lists them by name) and the "
        "first day. Everything else has a sensible default.",
    ),
    (
        "Tick what you want in Fields",
        "Choose OWOX → Choose data… in the menu, search, and tick what you need. Or tick here: an object, and with + "
        "its presets and usual fields.",
    ),
    (
        "Run the import",
        "Choose OWOX → Run import in the menu; on a schedule (OWOX → Schedule…) it runs automatically. Or type: "
        "owox-tiktok import --sheet and the address of this spreadsheet. Current Status says how far it is.",
    ),
    (
        "Look at the result",
        "{result} Logs says what happened, the newest first.",
    ),
)
_RESULT: Mapping[SheetKind, str] = {
    "sheets": "Each object has a tab of its own, refreshed in place, and Dashboard shows the most important figures.",
    "bigquery": "Each object has a table in your BigQuery dataset, to be used in SQL or in Looker Studio.",
}
_GOOD_TO_KNOW: Mapping[SheetKind, str] = {
    "sheets": "Rename, move, sort and filter tabs and columns as you like, and add columns and formulas of your own: "
    "they stay beside their rows. What you type over imported values is replaced by the next import.",
    "bigquery": "You may rename and move these tabs, and add notes of your own beside the parameters and fields.",
}
_NEVER = (
    "Never write an access token or a secret into a cell: everybody with whom the spreadsheet is shared could read it. "
    "Whoever set the import up keeps them elsewhere."
)
_MORE = (
    "The documentation of owox-tiktok has a page about this spreadsheet, one about every object and field, and one "
    "about why the figures equal those in TikTok Ads Manager. Whoever set the import up has it."
)


def _start(kind: SheetKind) -> Page:
    into = "Google Sheets" if kind == "sheets" else "Google BigQuery"
    lines: list[Line] = [
        (Item(), Item(), Item(f"TikTok Ads → {into}", "title")),
        (Item(), Item(), Item("Five steps from here to your figures", "subtitle")),
        (),
    ]
    for number, (what, how) in enumerate(_STEPS, 1):
        lines.append((Item(number, "number"), Item(), Item(what, "step")))
        lines.append((Item(), Item(), Item(how.format(result=_RESULT[kind]), "help")))
    for what, how in (("Good to know", _GOOD_TO_KNOW[kind]), ("Keep secrets out", _NEVER), ("Read more", _MORE)):
        lines += [(), (Item(), Item(), Item(what, "step")), (Item(), Item(), Item(how, "help"))]
    heights = {0: 44, **{n: 28 for n, line in enumerate(lines) if line and line[-1].style == "step"}}
    heights |= {n: 40 for n, line in enumerate(lines) if line and line[-1].style == "help"}
    return Page(
        START, "(start)", (36, 16, 760), tuple(lines), (f"TikTok Ads → {into}",), "#1a73e8", gridlines=False,
        heights=heights,
    )  # fmt: skip


# --- Config -----------------------------------------------------------------------------------------------------------

_OUTPUT_WORDS: Mapping[str, str] = {
    CURRENT_STATUS: "Written by the import: how far it is, and how it ended.",
    LAST_IMPORT_DATE: "Written by the import: when it last ended, in this spreadsheet's time zone.",
    LAST_REQUESTED_DATE: "Written by the import: the last day that was asked for.",
    SCHEDULE: "When it imports without anybody: OWOX → Schedule… in the menu.",
}
NO_SCHEDULE = "Off"
NOT_YET = "Not run yet"


def row_name(label: str) -> str:
    """Return the name by which a row of Config is known, whatever its label calls it."""
    setting = labelled(label)
    return setting.name if setting else normal(label)


def label(setting: Setting) -> str:
    """Return a parameter's label as the template shows it, with a star where it is required."""
    return f"{setting.label}*" if setting.required or setting.name == "destination_dataset_id" else setting.label


def parameter_line(setting: Setting) -> Line:
    """Return a parameter's row: label, value, description."""
    return (
        Item(label(setting), "label"),
        _value_item(setting),
        Item(f"{setting.description}.", "help"),
    )


def output_line(name: str) -> Line:
    """Return the row of something an import writes."""
    style = {LAST_IMPORT_DATE: "output moment", LAST_REQUESTED_DATE: "output date"}.get(name, "output")
    return (
        Item(name, "output label"),
        Item({CURRENT_STATUS: NOT_YET, SCHEDULE: NO_SCHEDULE}.get(name), style),
        Item(_OUTPUT_WORDS[name], "output help"),
    )


def _value_item(setting: Setting) -> Item:
    initial = setting.initial or None
    forms: Mapping[Form, Callable[[], Item]] = {
        "day": lambda: Item(initial, "value day", takes="day"),
        "number": lambda: Item(int(initial) if initial else None, "value number", takes="number"),
        "switch": lambda: Item(initial == "true", "value switch", takes="tick"),
        "choice": lambda: Item(initial, "value", takes="choice", choices=setting.choices),
    }
    return forms.get(setting.form, lambda: Item(initial, "value"))()


def config_lines(kind: SheetKind) -> dict[str, Line]:
    """Return the rows of Config by label, in order: what an import writes first, then the parameters."""
    return {name: output_line(name) for name in OUTPUTS} | {s.label: parameter_line(s) for s in parameters(kind)}


def _config(kind: SheetKind) -> Page:
    rows = list(config_lines(kind).values())
    split = len(OUTPUTS)
    lines = (tuple(Item(h, "heading") for h in CONFIG_HEADINGS), *rows[:split], (), *rows[split:])
    return Page(
        CONFIG, "(config)", (230, 320, 560), lines, CONFIG_HEADINGS[:2], "#f9ab00", frozen=1, gridlines=False,
        heights={0: 30, split + 1: 14, **{n: 38 for n in range(1, len(lines)) if n != split + 1}},
        rules=(*status_rules(1, 1), required_rule(split + 2, len(lines))),
    )  # fmt: skip


def status_rules(row: int, column: int) -> tuple[Rule, ...]:
    """Return the colours of Current Status."""
    looks = (
        ("Importing", _BLUE_FILL, BLUE), ("Done", _GREEN_FILL, _GREEN),
        ("Up to date", _GREEN_FILL, _GREEN), ("Partly", _AMBER_FILL, _AMBER),
        ("Error", _RED_FILL, _RED),
    )  # fmt: skip
    return tuple(Rule(column, row, row + 1, "starts", word, fill, ink, bold=True) for word, fill, ink in looks)


def required_rule(top: int, bottom: int, label_at: int = 0, value_at: int = 1) -> Rule:
    """Return the colour of a parameter that is required and blank. The formula has no separator of arguments."""
    starred, blank = f"${letters(label_at)}{top + 1}", f"${letters(value_at)}{top + 1}"
    return Rule(value_at, top, bottom, "formula", f'=(RIGHT({starred})="*")*({blank}="")', _AMBER_FILL)


# --- Fields -----------------------------------------------------------------------------------------------------------

TICKED = frozenset({"advertisers", "campaigns", "ad_groups", "ads", "ad_report_daily"})
"""Objects that are imported unless the person says otherwise."""
NO_LONGER_OFFERED = "No longer offered: TikTok or this program no longer knows it."

Names = tuple[str, str]
"""Names a row of Fields is known by: object and field; the field of an object's own row is empty."""


_USUAL: Mapping[str, tuple[str, ...]] = {
    "advertisers": ("name", "company", "currency", "timezone", "country", "status", "balance", "create_time"),
    "campaigns": (
        "campaign_name", "objective_type", "operation_status", "secondary_status", "budget", "budget_mode", "currency",
        "create_time", "modify_time",
    ),
    "ad_groups": (
        "campaign_id", "adgroup_name", "operation_status", "secondary_status", "budget", "budget_mode", "currency",
        "optimization_goal", "optimization_event", "billing_event", "bid_type", "bid_price", "conversion_bid_price",
        "placements", "location_ids", "age_groups", "gender", "languages", "schedule_start_time", "schedule_end_time",
        "create_time", "modify_time",
    ),
    "ads": (
        "campaign_id", "campaign_name", "adgroup_id", "adgroup_name", "ad_name", "operation_status",
        "secondary_status", "ad_format", "ad_text", "call_to_action", "landing_page_url", "video_id", "image_ids",
        "tiktok_item_id", "identity_id", "create_time", "modify_time",
    ),
    "smart_plus_campaigns": (
        "campaign_name", "objective_type", "operation_status", "secondary_status", "budget", "budget_mode", "currency",
        "create_time", "modify_time",
    ),
    "smart_plus_ad_groups": (
        "campaign_id", "campaign_name", "adgroup_name", "operation_status", "secondary_status", "budget",
        "budget_mode", "optimization_goal", "optimization_event", "bid_type", "bid_price", "conversion_bid_price",
        "schedule_start_time", "schedule_end_time", "create_time", "modify_time",
    ),
}  # fmt: skip


def usual(stream: Stream) -> tuple[str, ...]:
    """Return the fields that a Sheet has ticked, keys not included: a screenful, where a list has very many."""
    wanted = _USUAL.get(stream.name, default_fields(stream))
    return tuple(n for n in wanted if n in stream.fields and n not in stream.keys)


def presets(stream: Stream) -> tuple[str, ...]:
    """Return the presets that an object has; they stand in *Fields* like a field, and mean all of theirs."""
    return tuple(PRESETS) if stream.is_report and stream.level else ()


def object_line(stream: Stream, count: str, *, ticked: bool | None = None) -> Line:
    """Return an object's own row. ``count`` is the formula that counts its ticks; None: ticked if usually imported."""
    return (
        Item(stream.name in TICKED if ticked is None else ticked, "object tick", takes="tick"),
        Item(stream.name, "object"),
        Item(None, "object text"),
        Item(stream.title, "object text"),
        Item(style="object text", formula=count),
        Item(f"{stream.description}.", "object text"),
    )


def field_line(stream: Stream, name: str, *, ticked: bool) -> Line:
    """Return the row of a field or preset; keys are always ticked, because rows are known by them."""
    key = name in stream.keys
    if name in stream.fields:
        one = stream.fields[name]
        called, kind, about = title_of(name), one.kind.value, _about(one, key)
    else:
        means = [title_of(n) for n in expand(stream, name) or ()]
        called, kind, about = f"{name.capitalize()}, {len(means)} fields", "preset", ", ".join(means)
    return (
        Item(key or ticked, "tick", takes="tick"),
        Item(stream.name, "faint"),
        Item(name, "key" if key else "text"),
        Item(called, "text"),
        Item(kind, "note"),
        Item(about, "note"),
    )


def _about(one: Field, key: bool) -> str:
    unit = f" ({one.unit})" if one.unit else ""
    retired = ". TikTok retires it" if one.deprecated else ""
    always = ". Always there: a row is known by it" if key else ""
    return f"{one.description}{unit}{retired}{always}"


def count_formula(column: str, first: int, last: int) -> str:
    """Return the formula that counts the ticks in ``column`` from the row ``first`` to ``last``, counted from 1."""
    return f'=COUNTIF({column}{first}:{column}{last};TRUE)&" ticked"'


def in_order(stream: Stream) -> list[str]:
    """Return the rows of an object as they stand: keys, presets, usual fields. Others come when they are chosen."""
    return list(dict.fromkeys((*stream.keys, *presets(stream), *usual(stream))))


def object_lines(stream: Stream, row: int, column: str = "A") -> dict[Names, Line]:
    """Return an object's rows, its own first, as they stand from ``row`` (from 0) on."""
    ticked, names = frozenset(usual(stream)), in_order(stream)
    own = object_line(stream, count_formula(column, row + 2, row + 1 + len(names)))
    lines = {(stream.name, n): field_line(stream, n, ticked=n in ticked) for n in names}
    return {(stream.name, ""): own} | lines


@cache
def _fields() -> Page:
    lines: list[Line] = [tuple(Item(h, "heading") for h in FIELDS_HEADINGS)]
    groups = []
    for stream in STREAMS.values():  # lists first, then reports, then audience reports
        rows = object_lines(stream, len(lines))
        groups.append((len(lines) + 1, len(lines) + len(rows)))
        lines += rows.values()
    return Page(
        FIELDS, "(fields)", (64, 330, 230, 260, 90, 800), tuple(lines), FIELDS_HEADINGS[:3], "#1a73e8", frozen=1,
        heights={0: 30}, groups=tuple(groups),
    )  # fmt: skip


# --- Logs -------------------------------------------------------------------------------------------------------------


def _logs() -> Page:
    styles = ("moment", "plain", "plain", "plain", "message")
    rows = MOST_LOG_ROWS + 1
    level = LOGS_HEADINGS.index("Level")
    return Page(
        LOGS, "(logs)", (150, 90, 260, 180, 760), (tuple(Item(h, "heading") for h in LOGS_HEADINGS),),
        LOGS_HEADINGS[:2], "#5f6368", frozen=1, rows=rows, heights={0: 30},
        column_styles=dict(enumerate(styles)),
        rules=(
            # From the headings on: lines are inserted right below them, and a range grows only by rows inside it.
            Rule(level, 0, rows, "contains", "error", _RED_FILL, _RED, bold=True),
            Rule(level, 0, rows, "contains", "warn", _AMBER_FILL, _AMBER, bold=True),
        ),
    )  # fmt: skip


# --- Dashboard --------------------------------------------------------------------------------------------------------

DATA = STREAMS["ad_report_daily"]
"""The object whose tab the Dashboard follows, and the columns it needs beside the keys."""
DATA_FIELDS = ("campaign_id", "campaign_name", "spend", "impressions", "clicks", "conversion")

POINTS, CAMPAIGNS = 30, 10
_SHOWN = ("stat_time_day", "currency", "advertiser_id", *DATA_FIELDS)
_TOP = 40
"""Row (from 1) of the headings of the two small tables; the charts are above."""
_LOOKED_UP_FROM = _TOP + 1
_METRICS = (
    ("spend", "Spend", "money"), ("impressions", "Impressions", "count"), ("clicks", "Clicks", "count"),
    ("conversion", "Conversions", "count"),
)  # fmt: skip


_TILES = ("spend", "impressions", "clicks", "conversion")
_RATIOS: tuple[tuple[str, str, str, str, str], ...] = (
    ("Spend", "spend", "", "", "tile money"), ("Impressions", "impressions", "", "", "tile count"),
    ("Clicks", "clicks", "", "", "tile count"), ("Conversions", "conversion", "", "", "tile count"),
    ("CTR", "clicks", "impressions", "", "tile rate"), ("CPM", "spend", "impressions", "1000*", "tile money"),
    ("CPC", "spend", "clicks", "", "tile money"), ("CPA", "spend", "conversion", "", "tile money"),
)  # fmt: skip
"""The tiles: a sum, or one sum divided by another, times a factor."""
_OF_CHOICE = '{currency};$B$4;{advertiser_id};IF($B$7="All";"*";$B$7&"*")'
"""The rows of the chosen currency and account. With a star an id is compared as text."""


def looked_up(name: str) -> str:
    """Return a column of the data, found by its heading in the tab whose title stands in B6."""
    return f"INDIRECT($Q${_LOOKED_UP_FROM + _SHOWN.index(name)})"


def _where_the_columns_are(n: int) -> tuple[Item, Item]:
    """Return the name of a column of the data, and the formula that finds it."""
    headings = 'INDIRECT("\'"&$B$6&"\'!1:1")'
    found = f'IFERROR(MATCH($P{_LOOKED_UP_FROM + n};{headings};0);MATCH("{_SHOWN[n]}";{headings};0))'
    letter = f'SUBSTITUTE(ADDRESS(1;{found};4);"1";"")'
    return (
        Item(title_of(_SHOWN[n]), "faint"),
        Item(style="faint", formula=f'=IFERROR("\'"&$B$6&"\'!"&{letter}&":"&{letter};"")'),
    )


def _dashboard(kind: SheetKind, column: Callable[[str], str]) -> Page:
    if kind == "bigquery":
        return _dashboard_elsewhere()
    data = {name: column(name) for name in _SHOWN}
    first, last = _TOP + 1, _TOP + POINTS
    grid: dict[tuple[int, int], Item] = {}

    def put(row: int, left: int, *items: Item) -> None:
        grid.update({(row - 1, left + n): item for n, item in enumerate(items)})

    def formula(text: str, style: str) -> Item:
        return Item(style=style, formula=text.format(**data))

    put(1, 0, Item("Dashboard", "title"))
    put(2, 0, Item("The figures of the tab Ad report daily; they follow every import.", "subtitle"))
    put(
        4, 0, Item("Currency", "note"),
        formula('=IFERROR(INDEX({currency};MATCH("???";{currency};0));"")', "control"),
        Item(), Item("First day", "note"),
        formula('=IFERROR(IF(MAX({stat_time_day})=0;"";MIN({stat_time_day}));"")', "control day"),
    )  # fmt: skip
    put(
        5, 0, Item("Days per point", "note"), Item(1, "control", takes="choice", choices=(1, 7, 30)),
        Item(), Item("Last day", "note"),
        formula('=IFERROR(IF(MAX({stat_time_day})=0;"";MAX({stat_time_day}));"")', "control day"),
    )  # fmt: skip
    put(
        6, 3, Item("Shown from", "note"),
        formula(f'=IF($E$5="";"";MAX($E$4;$E$5-{POINTS}*$B$5+1))', "control from"),
    )  # fmt: skip
    if column is looked_up:
        put(6, 0, Item("Data tab", "note"), Item(DATA.title, "control"))
    put(
        4, 7,
        formula(
            '=IF($B$4="";"No data yet. Tick Ad by day in OWOX → Choose data… and run the import.";'
            'IFERROR(IF(COUNTIFS({currency};"<>"&$B$4;{stat_time_day};">0")>0;'
            '"Only rows in "&$B$4&" are shown; type another currency into B4 to see its rows.";"");""))',
            "subtitle",
        ),
    )  # fmt: skip
    put(7, 0, Item("Account ID", "note"), Item("All", "control"))
    total = {name: f"SUM({c}{first}:{c}{last})" for c, name in zip("BCDE", _TILES, strict=True)}
    # As many days as are shown, right before them; only where there are so many.
    has_before = "$E$4<=$E$6-($E$5-$E$6+1)"
    span = f'{{stat_time_day}};">="&($E$6-$E$5+$E$6-1);{{stat_time_day}};"<"&$E$6;{_OF_CHOICE}'
    previous = {name: f"SUMIFS({{{name}}};{span})" for name in _TILES}
    put(8, 0, *(Item(word, "tile label") for word, *_ in _RATIOS))
    for at, (_, above, below, factor, style) in enumerate(_RATIOS):
        now, before = (f"{factor}{of[above]}/{of[below]}" if below else of[above] for of in (total, previous))
        put(9, at, Item(style=style, formula=f'=IFERROR({now};"")'))
        change = f'=IFERROR(IF({has_before};({now})/({before})-1;"");"")'
        put(10, at, formula(change, "tile change"))
    put(
        10, len(_RATIOS),
        formula(
            f'=IF($E$6="";"";IF({has_before};"against as many days before";'
            '"To compare with the days before, type a later day into E6."))',
            "note",
        ),
    )  # fmt: skip
    put(_TOP - 1, 0, Item("Over time", "section"))
    put(_TOP - 1, 7, Item(f"By campaign: the {CAMPAIGNS} with the highest spend", "section"))
    heads = [Item(word, "column") for _, word, _ in _METRICS]
    put(_TOP, 0, Item("From day", "column left"), *heads, Item("CTR", "column"))
    put(_TOP, 7, Item("Campaign", "column left"), *heads, Item("CTR", "column"), Item("Campaign ID", "column"))
    for n in range(POINTS):
        row = first + n
        earlier = "$E$6" if n == 0 else f"$E$6+{n}*$B$5"
        put(row, 0, formula(f'=IF($E$6="";"";IF({earlier}>$E$5;"";{earlier}))', "day"))
        span = f'{{stat_time_day}};">="&$A{row};{{stat_time_day}};"<"&($A{row}+$B$5);{_OF_CHOICE}'
        for at, (name, _, style) in enumerate(_METRICS, 1):
            put(row, at, formula(f'=IF($A{row}="";"";IFERROR(SUMIFS({{{name}}};{span});""))', style))
        put(row, 5, Item(style="rate", formula=f'=IFERROR(D{row}/C{row};"")'))
    # Asked once; ten questions of whole columns would be slow.
    asked = (
        '"select Col1, sum(Col2) where Col3 >= date \'"&TEXT($E$6;"yyyy-mm-dd")&"\' and Col4 = \'"&$B$4&"\'"'
        '&IF($B$7="All";"";" and Col5 = \'"&$B$7&"\'")&'
        f'" group by Col1 order by sum(Col2) desc limit {CAMPAIGNS}"'
    )
    found = f"QUERY(HSTACK({{campaign_id}};{{spend}};{{stat_time_day}};{{currency}};{{advertiser_id}});{asked};1)"
    put(first, 14, formula(f'=IFERROR(TEXTJOIN("|";FALSE;INDEX({found};0;1));"")', "unseen"))
    for n in range(CAMPAIGNS):
        row = first + n
        # Behind the heading and those above it.
        nth = f'REGEXEXTRACT($O${first};"^(?:[^|]*[|]){{{n + 1}}}([^|]*)")'
        put(row, 13, Item(style="faint id", formula=f'=IFERROR({nth};"")'))
        name = f"INDEX(FILTER({{campaign_name}};{{campaign_id}}=$N{row};{{currency}}=$B$4);1)"
        put(row, 7, formula(f'=IF($N{row}="";"";IFERROR({name};$N{row}))', "text"))
        # With a star the id is compared as text; as a number it would lose its last digits.
        span = f'{{campaign_id}};$N{row}&"*";{{stat_time_day}};">="&$E$6;{_OF_CHOICE}'
        for at, (metric, _, style) in enumerate(_METRICS, 8):
            put(row, at, formula(f'=IF($N{row}="";"";IFERROR(SUMIFS({{{metric}}};{span});""))', style))
        put(row, 12, Item(style="rate", formula=f'=IFERROR(K{row}/J{row};"")'))
    if column is looked_up:
        put(_TOP, 15, Item("Column", "faint"), Item("Found at", "faint"))
        for n in range(len(_SHOWN)):
            put(_LOOKED_UP_FROM + n, 15, *_where_the_columns_are(n))
    return Page(
        DASHBOARD, "(dashboard)", (110, 110, 110, 110, 110, 85, 85, 170, 90, 100, 90, 100, 80, 160, 30, 110, 190),
        _as_lines(grid), ("Dashboard",), "#34a853", rows=last + 5, gridlines=False,
        heights={0: 44, 7: 26, 8: 36, _TOP - 2: 30}, charts=tuple(_charts()),
    )  # fmt: skip


def _as_lines(grid: Mapping[tuple[int, int], Item]) -> tuple[Line, ...]:
    lines = []
    for row in range(max(r for r, _ in grid) + 1):
        width = max((c for r, c in grid if r == row), default=-1) + 1
        lines.append(tuple(grid.get((row, c), Item()) for c in range(width)))
    return tuple(lines)


def _charts() -> Iterator[Chart]:
    tables: Sequence[tuple[str, int, int, int]] = (("over time", 0, POINTS, 11), ("by campaign", 7, CAMPAIGNS, 25))
    for words, left, count, row in tables:
        shape: Literal["column", "bar"] = "column" if left == 0 else "bar"
        second: Literal["line", "dots"] = "line" if left == 0 else "dots"  # a line would join what has no order
        area = (_TOP - 1, _TOP + count, left)
        yield Chart(f"Spend {words}", *area, (Series(left + 1, shape, _CHART["spend"]),), row, 0, 430)
        yield Chart(
            f"Impressions and clicks {words}", *area,
            (
                Series(left + 2, "column", _CHART["impressions"]),
                Series(left + 3, second, _CHART["clicks"], right=True),
            ),
            row, 4, 440,
        )  # fmt: skip
        yield Chart(
            f"Conversions and CTR {words}", *area,
            (
                Series(left + 4, "column", _CHART["conversion"]),
                Series(left + 5, second, _CHART["ctr"], right=True, form="0.0%"),
            ),
            row, 8, 500,
        )  # fmt: skip


def _dashboard_elsewhere() -> Page:
    lines: tuple[Line, ...] = (
        (Item("Dashboard", "title"),),
        (Item("Your figures are in BigQuery; charts are best made there", "subtitle"),),
        (),
        (Item("Looker Studio", "step"),),
        (
            Item(
                "Create → Report → BigQuery, choose your project and dataset, then the table "
                f"{DATA.table}. Use stat_time_day as the date, and spend, impressions, clicks and conversion as "
                "metrics.",
                "help",
            ),
        ),
        (),
        (Item("Click-through rate", "step"),),
        (
            Item(
                "Add a calculated field CTR = SUM(clicks) / SUM(impressions). The column ctr is TikTok's figure for "
                "one ad and one day; neither its sum nor its average is the rate of several.",
                "help",
            ),
        ),
        (),
        (Item("In this spreadsheet", "step"),),
        (
            Item(
                "Data → Data connectors → Connect to BigQuery brings a table, a view or a query of your own into a "
                "connected sheet, with charts and pivot tables.",
                "help",
            ),
        ),
    )
    heights = {0: 44} | {n: 40 for n, line in enumerate(lines) if line and line[0].style == "help"}
    return Page(DASHBOARD, "(dashboard)", (760,), lines, ("Dashboard",), "#34a853", gridlines=False, heights=heights)
