"""The template Sheet as data: its tabs, what stands in them, and the words by which it is recognised again.

Two kinds come from one definition: rows go into the Sheet itself, or into BigQuery. Parameters come from SETTINGS and
fields from STREAMS, so that the template has a new one automatically. Nothing here reads or writes a Sheet or a file.

Formulas are written with ``;`` between arguments, which Google Sheets takes in every locale; a file needs commas
(``in_file``). The Dashboard is in ``dashboard``, and what a tab consists of in ``pages``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from owox_tiktok.model import Field, Stream
from owox_tiktok.settings import SETTINGS, Form, Setting, labelled
from owox_tiktok.sheets import numbers
from owox_tiktok.sheets.dashboard import DASHBOARD, Source, dashboard, dashboard_elsewhere
from owox_tiktok.sheets.numbers import NUMBERS
from owox_tiktok.sheets.pages import (
    AMBER,
    AMBER_FILL,
    BLUE,
    BLUE_FILL,
    GREEN,
    GREEN_FILL,
    RED,
    RED_FILL,
    Item,
    Line,
    Page,
    Rule,
    SheetKind,
)
from owox_tiktok.sheets.tabs import letters, normal
from owox_tiktok.streams import PRESETS, STREAMS, default_fields, expand
from owox_tiktok.titles import title as title_of

START, CONFIG, FIELDS, LOGS = "Start here", "Config", "Fields", "Logs"
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


def pages(kind: SheetKind, source: Source | None = None, *, in_a_file: bool = False) -> tuple[Page, ...]:
    """Return the tabs of a template. ``source`` says where the Dashboard's data is; None: it looks for it itself.

    ``in_a_file`` tells whoever uploads it what a file cannot hold.
    """
    titles = [START, CONFIG, FIELDS, LOGS, DASHBOARD]
    if kind == "sheets":  # what checks of BigQuery's tables came to is kept there
        titles.append(NUMBERS)
    return tuple(page(title, kind, source, in_a_file=in_a_file) for title in titles)


def page(title: str, kind: SheetKind, source: Source | None = None, *, in_a_file: bool = False) -> Page:
    """Return one tab of a template, by its title."""
    match title:
        case "Start here":
            return _start(kind, in_a_file=in_a_file)
        case "Config":
            return _config(kind)
        case "Fields":
            return _fields()
        case "Logs":
            return _logs()
        case "Numbers":
            return numbers.page()
        case _:
            return dashboard(source) if kind == "sheets" else dashboard_elsewhere()


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
        "Choose OWOX → Choose data… in the menu, search, and tick what you need. Or tick it in the tab Fields: an "
        "object, and below its + the presets and usual fields.",
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
_FROM_A_FILE = (
    "Uploaded from a file, it has lists of TRUE and FALSE in place of tick boxes, and no menu OWOX. For tick boxes "
    "type: owox-tiktok sheet init and the address of this spreadsheet. The menu is put in once, by whoever set the "
    "import up; until then type: owox-tiktok import --sheet and the address. Then delete these rows."
)
_MORE = (
    "The documentation of owox-tiktok has a page about this spreadsheet, one about every object and field, and one "
    "about why the figures equal those in TikTok Ads Manager. Whoever set the import up has it."
)


def _start(kind: SheetKind, *, in_a_file: bool) -> Page:
    into = "Google Sheets" if kind == "sheets" else "Google BigQuery"
    lines: list[Line] = [
        (Item(), Item(), Item(f"TikTok Ads → {into}", "title")),
        (Item(), Item(), Item("Five steps from here to your figures", "subtitle")),
        (),
    ]
    for number, (what, how) in enumerate(_STEPS, 1):
        lines.append((Item(number, "number"), Item(), Item(what, "step")))
        lines.append((Item(), Item(), Item(how.format(result=_RESULT[kind]), "help")))
    more = [("Good to know", _GOOD_TO_KNOW[kind]), ("Keep secrets out", _NEVER), ("Read more", _MORE)]
    if in_a_file:
        more.insert(0, ("Finish this spreadsheet first", _FROM_A_FILE))
    for what, how in more:
        lines += [(), (Item(), Item(), Item(what, "step")), (Item(), Item(), Item(how, "help"))]
    heights = {0: 44, **{n: 28 for n, line in enumerate(lines) if line and line[-1].style == "step"}}
    # As many lines as the text takes in the width of its column.
    helps = {n: str(line[-1].value) for n, line in enumerate(lines) if line and line[-1].style == "help"}
    heights |= {n: max(40, 8 + 16 * -(-len(text) // 115)) for n, text in helps.items()}
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
        ("Importing", BLUE_FILL, BLUE), ("Done", GREEN_FILL, GREEN),
        ("Up to date", GREEN_FILL, GREEN), ("Partly", AMBER_FILL, AMBER),
        ("Error", RED_FILL, RED),
    )  # fmt: skip
    return tuple(Rule(column, row, row + 1, "starts", word, fill, ink, bold=True) for word, fill, ink in looks)


def required_rule(top: int, bottom: int, label_at: int = 0, value_at: int = 1) -> Rule:
    """Return the colour of a parameter that is required and blank. The formula has no separator of arguments."""
    starred, blank = f"${letters(label_at)}{top + 1}", f"${letters(value_at)}{top + 1}"
    return Rule(value_at, top, bottom, "formula", f'=(RIGHT({starred})="*")*({blank}="")', AMBER_FILL)


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
    **dict.fromkeys(
        ("smart_plus_material_report_daily", "smart_plus_material_breakdown_daily"),
        ("main_material_type", "main_material_name", "spend", "impressions", "clicks", "ctr", "cpc", "cpm",
         "conversion", "cost_per_conversion", "video_play_actions", "video_watched_2s", "video_watched_6s",
         "video_views_p100", "complete_payment", "total_complete_payment_rate", "complete_payment_roas",
         "total_onsite_shopping_value", "currency"),
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
            Rule(level, 0, rows, "contains", "error", RED_FILL, RED, bold=True),
            Rule(level, 0, rows, "contains", "warn", AMBER_FILL, AMBER, bold=True),
        ),
    )  # fmt: skip
