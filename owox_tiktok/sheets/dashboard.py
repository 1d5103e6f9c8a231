"""The Dashboard of the template, as data: controls, figures, charts, and the formulas behind them.

The data is read by four queries, each once: by account, by point in time, by campaign and by ad. Their results fill
hidden columns to the right, and everything that is seen is worked out from those few rows, so that a tab of a hundred
thousand rows does not make the Dashboard slow.

A formula names a column of the data as ``{spend}``. With a ``Source`` that is the column itself (``'Ad report
daily'!$F:$F``, which follows every renaming and moving); without one, as in a file whose data tab is not there yet, the
column is found by its heading. What may not be there at all (the value of purchases for ROAS, names of accounts, covers
of videos) is always found by its heading.

Formulas have ``;`` between arguments; see ``template``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from owox_tiktok.sheets.pages import Chart, Item, Line, Page, Series
from owox_tiktok.sheets.tabs import letters
from owox_tiktok.streams import STREAMS
from owox_tiktok.titles import title as title_of

DASHBOARD = "Dashboard"
DATA = STREAMS["ad_report_daily"]
"""The object whose tab the Dashboard follows, and the columns it needs beside the keys."""
DATA_FIELDS = ("campaign_id", "campaign_name", "ad_name", "spend", "impressions", "clicks", "conversion")
NEEDED = ("stat_time_day", "currency", "advertiser_id", "ad_id", *DATA_FIELDS)

POINTS, BEST = 31, 10
"""How many points in time there are at most, and how many campaigns and ads."""
SHOWN_DAYS = 30
ALL = "All accounts"

_VALUES = ("total_complete_payment_rate", "total_onsite_shopping_value", "total_purchase_value")
"""What purchases brought in: on the website, in the Shop, in the app. None of them counts what another does."""
_MISSING = 9_999_999
"""How far to the right of *Spend* a column is that is not there: further than any tab is wide."""
_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "advertisers": ("advertiser_id", "name"),
    "ads": ("ad_id", "video_id", "image_ids"),
    "videos": ("video_id", "video_cover_url"),
    "images": ("image_id", "image_url"),
}
"""Columns of other objects that the Dashboard uses where they are imported."""

_COLOURS = {"spend": "#1a73e8", "clicks": "#80868b", "conversions": "#c26401", "ctr": "#c26401"}
"""The second measure of a chart is always the line of this colour, with its axis at the right."""

# What is seen: a column for pictures, one for names, nine of figures, one for ids; then the hidden ones.
_METRICS = ("Spend", "Impressions", "Clicks", "Conversions", "CTR", "CPM", "CPC", "CPA", "ROAS")
_STYLES = ("money", "count", "count", "count", "rate", "money", "money", "money", "ratio")
_FIRST_METRIC, _ID = 2, 11
_WIDTHS = (64, 236, *[110] * len(_METRICS), 170, 30)
_LABELS, _TILES, _CHANGES, _CHARTS = 9, 10, 11, 13
_CAMPAIGNS, _ADS, _OVER_TIME = 29, 43, 57
"""Rows (from 1) of the headings of the three tables; each has its name in the row above."""
_BOTTOM = 110
_SPILLED = 101
"""The last row that a query may fill; its headings are in the first."""
_NOW, _BEFORE = 104, 105
"""Rows of the sums of the days that are shown, and of as many days before."""

# The hidden columns.
_WORD, _CELL = 13, 14
_LABEL, _ACCOUNT, _CURRENCY = 15, 16, 19
_POINT, _CAMPAIGN, _AD, _COVER = 21, 27, 34, 41
_HIDDEN = (_WORD, _COVER + 1)
_TOP_CURRENCY = f"${letters(_CURRENCY)}$2"
"""The currency with the highest spend."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the data is: each column as a formula names it, the row of its headings, and the titles of other tabs."""

    columns: Mapping[str, str]
    headings: str
    tabs: Mapping[str, str]


class _Grid:
    """Cells being filled in. Rows count from 1, as formulas do; columns from 0."""

    def __init__(self, source: Source | None) -> None:
        self.cells: dict[tuple[int, int], Item] = {}
        self.cell: dict[str, str] = {}
        self._row = 1
        self.source = source

    def put(self, row: int, left: int, *items: Item) -> None:
        self.cells.update({(row - 1, left + n): item for n, item in enumerate(items)})

    def formula(self, row: int, column: int, text: str, style: str, *, fills: tuple[int, int] = (1, 1)) -> None:
        self.put(row, column, Item(style=style, formula=text, fills=fills))

    def hidden(self, name: str, word: str, item: Item) -> None:
        """Put a value that other formulas use into the hidden columns; ``cell[name]`` is its place from now on."""
        self._row += 1
        self.put(self._row, _WORD, Item(word, "faint"), item)
        self.cell[name] = f"$O${self._row}"

    def work_out(self, name: str, word: str, formula: str) -> None:
        self.hidden(name, word, Item(style="faint", formula=formula))

    def lines(self) -> tuple[Line, ...]:
        lines = []
        for row in range(max(r for r, _ in self.cells) + 1):
            width = max((c for r, c in self.cells if r == row), default=-1) + 1
            lines.append(tuple(self.cells.get((row, c), Item()) for c in range(width)))
        return tuple(lines)


def dashboard(source: Source | None) -> Page:
    """Return the Dashboard of a Sheet that has the data itself."""
    grid = _Grid(source)
    names, headings = _found(grid)
    _hidden_values(grid, names, headings)
    _queries(grid, names)
    _controls(grid)
    _figures(grid)
    _tables(grid)
    heights = {0: 44, _LABELS - 1: 26, _TILES - 1: 36, _CAMPAIGNS - 2: 30, _ADS - 2: 30, _OVER_TIME - 2: 30}
    heights |= dict.fromkeys(range(_ADS, _ADS + BEST), 60)
    return Page(
        DASHBOARD, "(dashboard)", (*_WIDTHS, *[110] * (_HIDDEN[1] - _HIDDEN[0])), grid.lines(), (DASHBOARD,), "#34a853",
        rows=_BOTTOM, gridlines=False, heights=heights, charts=tuple(_charts()), hidden=_HIDDEN,
    )  # fmt: skip


def _found(grid: _Grid) -> tuple[dict[str, str], str]:
    """Return how formulas name each column of the data, and the row of its headings."""
    if grid.source:
        return dict(grid.source.columns), grid.source.headings
    grid.put(8, 0, Item("Data tab", "note"), Item(DATA.title, "control"))
    headings = 'INDIRECT("\'"&$B$8&"\'!1:1")'
    for name in NEEDED:
        grid.work_out(name, f"Column {title_of(name)}", _by_heading("$B$8", name))
    return {name: f"INDIRECT({grid.cell[name]})" for name in NEEDED}, headings


def _by_heading(tab: str, name: str) -> str:
    """Return the formula of a text such as ``'Ads'!F:F``: where a tab has the column of a field; blank if it has not.

    A heading may be what people say or TikTok's name.
    """
    headings = f'INDIRECT("\'"&{tab}&"\'!1:1")'
    found = f'IFERROR(MATCH("{title_of(name)}";{headings};0);MATCH("{name}";{headings};0))'
    letter = f'SUBSTITUTE(ADDRESS(1;{found};4);"1";"")'
    return f'=IFERROR("\'"&{tab}&"\'!"&{letter}&":"&{letter};"")'


def _hidden_values(grid: _Grid, names: Mapping[str, str], headings: str) -> None:
    """Put what all formulas share: what is chosen, the days, where optional columns are."""
    cell, day = grid.cell, names["stat_time_day"]
    ids = f"${letters(_ACCOUNT)}$2:${letters(_ACCOUNT)}${_SPILLED}"
    known = f'INDEX({ids};MATCH(REGEXEXTRACT($B$4;"[0-9]+$");{ids};0))'
    chosen = f'=IF(OR($B$4="";$B$4="{ALL}");"";IFERROR({known};"none"))'
    grid.work_out("account", "Account chosen", chosen)
    theirs = f'IFERROR({_currency_of_account(grid)};"")'
    any_account = f'IF($B$5="";{_TOP_CURRENCY}&"";$B$5)'
    grid.work_out("currency", "Currency shown", f'=IF({cell["account"]}="";{any_account};{theirs})')
    grid.work_out("first", "First day of the data", f'=IFERROR(IF(MAX({day})=0;"";MIN({day}));"")')
    grid.work_out("last", "Last day of the data", f'=IFERROR(IF(MAX({day})=0;"";MAX({day}));"")')
    grid.work_out("days", "Days shown", '=IF(OR($B$6="";$B$7="");0;IFERROR(MAX(0;$B$7-$B$6+1);0))')
    grid.work_out(
        "step", "Days of a point", f"=IF({cell['days']}<={POINTS};1;MAX(7;CEILING({cell['days']}/{POINTS};1)))"
    )
    grid.work_out("points", "Points", f"=CEILING({cell['days']}/{cell['step']};1)")
    # As many days as are shown, right before them; only where there are so many.
    grid.work_out("compared", "Compared", f"=IF({cell['days']}=0;FALSE;{cell['first']}<=$B$6-{cell['days']})")
    grid.work_out(
        "currencies", "Currencies", f'=COUNTIF(${letters(_CURRENCY)}$2:${letters(_CURRENCY)}${_SPILLED};"???")'
    )
    for name in _VALUES:
        found = f'IFERROR(MATCH("{title_of(name)}";{headings};0);MATCH("{name}";{headings};0))'
        where = f"=IFERROR({found}-COLUMN({names['spend']});{_MISSING})"
        grid.work_out(name, f"{title_of(name)}: columns right of Spend", where)
    grid.work_out("valued", "Has values of purchases", f"=MIN({';'.join(cell[n] for n in _VALUES)})<{_MISSING}")
    for stream, fields in _ELSEWHERE.items():
        title = grid.source.tabs.get(stream, STREAMS[stream].title) if grid.source else STREAMS[stream].title
        grid.hidden(stream, f"Tab of {STREAMS[stream].title}", Item(title, "tab"))
        for name in fields:
            grid.work_out(f"{stream}.{name}", f"Column {title_of(name)}", _by_heading(cell[stream], name))


def _currency_of_account(grid: _Grid) -> str:
    accounts = f"${letters(_ACCOUNT)}$2:${letters(_ACCOUNT + 1)}${_SPILLED}"
    return f"VLOOKUP({grid.cell['account']};{accounts};2;FALSE)"


def _queries(grid: _Grid, names: Mapping[str, str]) -> None:
    """Put the questions to the data, each asked once; all columns of figures are numbers, whatever stands in them."""
    cell = grid.cell
    # What is no number counts as 0: one text or blank column would make the whole question fail.
    metrics = [f"IFERROR({names[name]}*1;0)" for name in ("spend", "impressions", "clicks", "conversion")]
    # As long as the others also where no column of values is there, which a single 0 would not be.
    added = (f"IFERROR(OFFSET({names['spend']};0;{cell[name]})*1;0)" for name in _VALUES)
    value = "+".join((f"IFERROR({names['spend']}*0;0)", *added))
    relative = f'IFERROR({names["stat_time_day"]}-$B$6;"")'

    def ask(column: int, questioned: str, sums: str, where: str, rest: str, fills: tuple[int, int]) -> None:
        asked = f'"select {sums} where {where} {rest}"'
        text = f'=ARRAYFORMULA(IFERROR(QUERY(HSTACK({questioned});{asked};1);""))'
        grid.formula(1, column, text, "faint", fills=fills)

    ask(
        _ACCOUNT, f"{names['advertiser_id']};{names['currency']};{metrics[0]};IFERROR({names['stat_time_day']}*1;0)",
        "Col1, Col2, sum(Col3)", "Col4 > 0", "group by Col1, Col2 order by sum(Col3) desc limit 99", (_SPILLED, 3),
    )  # fmt: skip
    one, other = (letters(_ACCOUNT + n) for n in (1, 2))
    ask(
        _CURRENCY, f"${one}$1:${one}${_SPILLED};${other}$1:${other}${_SPILLED}",
        "Col1, sum(Col2)", "Col1 <> ''", "group by Col1 order by sum(Col2) desc", (_SPILLED, 2),
    )  # fmt: skip
    ids = f"${letters(_ACCOUNT)}$2:${letters(_ACCOUNT)}${_SPILLED - 1}"
    accounts = ";".join(f"INDIRECT({cell[f'advertisers.{name}']})" for name in ("advertiser_id", "name"))
    called = f"VLOOKUP({ids};HSTACK({accounts});2;FALSE)"
    grid.put(1, _LABEL, Item("Accounts", "faint"))
    grid.put(2, _LABEL, Item(ALL, "faint"))
    label = f'=ARRAYFORMULA(IF({ids}="";"";IFERROR({called}&" · ";"")&{ids}))'
    grid.formula(3, _LABEL, label, "faint", fills=(_SPILLED - 2, 1))

    days, step = cell["days"], cell["step"]
    of_choice = (
        f'Col9 = \'"&{cell["currency"]}&"\'"&IF({cell["account"]}="";"";" and Col10 = \'"&{cell["account"]}&"\'")&"'
    )
    sums = "sum(Col3), sum(Col4), sum(Col5), sum(Col6), sum(Col7)"
    common = f"{';'.join(metrics)};{value};{relative};{names['currency']};{names['advertiser_id']}"
    # Points count from the last day back, so that the latest is a whole one; the days before them are point -1.
    point = f"IFERROR(IF({names['stat_time_day']}<$B$6;-1;INT(($B$7-{names['stat_time_day']})/{step}));-2)"
    ask(
        _POINT, f"{point};{names['campaign_id']};{common}", f"Col1, {sums}",
        f'Col8 >= "&-{days}&" and Col8 < "&{days}&" and {of_choice}', "group by Col1 order by Col1", (POINTS + 2, 6),
    )  # fmt: skip
    for column, key, name in ((_CAMPAIGN, "campaign_id", "campaign_name"), (_AD, "ad_id", "ad_name")):
        ask(
            column, f"{names[key]};{names[name]};{common}", f"Col1, max(Col2), {sums}",
            f'Col8 >= 0 and Col8 < "&{days}&" and {of_choice}',
            f"group by Col1 order by sum(Col3) desc limit {BEST}", (BEST + 1, 7),
        )  # fmt: skip
    keys = f"${letters(_POINT)}$2:${letters(_POINT)}${_SPILLED}"
    for n in range(5):
        summed = letters(_POINT + 1 + n)
        for row, wanted in ((_NOW, '">=0"'), (_BEFORE, "-1")):
            grid.formula(row, _POINT + 1 + n, f"=SUMIF({keys};{wanted};{summed}$2:{summed}${_SPILLED})", "faint")
    grid.put(_NOW, _POINT, Item("Days shown", "faint"))
    grid.put(_BEFORE, _POINT, Item("Days before", "faint"))
    _covers(grid)


def _covers(grid: _Grid) -> None:
    """Put the links to pictures of the ads: the cover of an ad's video, else its first image."""
    cell = grid.cell
    grid.put(1, _COVER, Item("Pictures of the ads", "faint"))
    for row in range(2, BEST + 2):
        ad = f"${letters(_AD)}{row}"

        def of_ad(name: str, ad: str = ad) -> str:
            return f"INDEX(INDIRECT({cell[f'ads.{name}']});MATCH({ad};INDIRECT({cell['ads.ad_id']});0))"

        def linked(stream: str, key: str, url: str, wanted: str) -> str:
            ids, urls = (f"INDIRECT({cell[f'{stream}.{name}']})" for name in (key, url))
            return f"INDEX({urls};MATCH({wanted};{ids};0))"

        video = linked("videos", "video_id", "video_cover_url", of_ad("video_id"))
        first_image = rf'REGEXEXTRACT({of_ad("image_ids")};"[^\[\],"" ]+")'
        image = linked("images", "image_id", "image_url", first_image)
        grid.formula(row, _COVER, f'=IF({ad}="";"";IFERROR({video};IFERROR({image};"")))', "faint")


def _controls(grid: _Grid) -> None:
    """Put what a person chooses, and what she should know about what is shown."""
    cell = grid.cell
    grid.put(1, 0, Item("Dashboard", "title"))
    grid.put(2, 0, Item("The figures of the tab Ad report daily; they follow every import.", "subtitle"))
    labels, currencies = (f"${letters(at)}$2:${letters(at)}${_SPILLED}" for at in (_LABEL, _CURRENCY))
    grid.put(4, 0, Item("Account", "note"), Item(ALL, "control", takes="range", choices=(labels,)))
    # Where nobody has chosen: the currency of the chosen account, else the one with the highest spend.
    first = f'=IFERROR(IF({cell["account"]}="";{_TOP_CURRENCY}&"";{_currency_of_account(grid)});"")'
    grid.put(5, 0, Item("Currency", "note"), Item(style="control", formula=first, takes="range", choices=(currencies,)))
    last = cell["last"]
    grid.put(6, 0, Item("From", "note"))
    since = f'=IF({last}="";"";MAX({cell["first"]};{last}-{SHOWN_DAYS - 1}))'
    grid.put(6, 1, Item(style="control day", formula=since, takes="day"))
    grid.put(7, 0, Item("To", "note"), Item(style="control day", formula=f"={last}", takes="day"))
    listed = f'TEXTJOIN(", ";TRUE;{currencies})'
    grid.formula(
        4, _FIRST_METRIC,
        f'=IF({last}="";"No data yet. Tick Ad by day in OWOX → Choose data… and run the import.";'
        f'IF({cell["days"]}=0;"Nothing is shown: From and To are no days, or To is before From.";'
        f'"Imported: "&TEXT({cell["first"]};"yyyy-mm-dd")&" to "&TEXT({last};"yyyy-mm-dd")))',
        "subtitle",
    )  # fmt: skip
    grid.formula(
        5, _FIRST_METRIC,
        f'=IF({cell["account"]}="none";"No account is called so. Pick one in B4, or type its id.";'
        f'IF({cell["currencies"]}=0;"";IF(COUNTIF({currencies};{cell["currency"]})=0;'
        f'"No account is billed in "&{cell["currency"]}&". Choose in B5: "&{listed}&".";'
        f'IF({cell["currencies"]}=1;"";IF({cell["account"]}<>"";"This account is billed in "&{cell["currency"]}&".";'
        f'"The accounts are billed in "&{listed}&". Amounts in different currencies are never added up: only "&'
        f'{cell["currency"]}&" is shown. Choose another one in B5.")))))',
        "subtitle",
    )  # fmt: skip
    grid.formula(
        6, _FIRST_METRIC,
        f'=IF(OR({last}="";{cell["valued"]});"";"ROAS needs the value of purchases: in OWOX → Choose data… tick it '
        'under Ad by day, such as Value of purchases on the website.")',
        "subtitle",
    )  # fmt: skip


def _figures(grid: _Grid) -> None:
    """Put the figures of all days that are shown, and how they have changed."""
    cell = grid.cell
    now, before = ([f"${letters(_POINT + 1 + n)}${row}" for n in range(5)] for row in (_NOW, _BEFORE))
    nothing = f'{cell["last"]}=""'
    grid.put(_LABELS, 0, Item(None, "tile label"))
    grid.formula(_LABELS, 1, f'=IF({nothing};"";"Total, "&{cell["currency"]})', "tile label")
    grid.put(_TILES, 0, Item(None, "tile label"))
    grid.formula(_TILES, 1, f'=IF({nothing};"";{cell["days"]}&IF({cell["days"]}=1;" day";" days"))', "tile text")
    grid.put(_CHANGES, 0, Item(None, "tile label"))
    said = f'IF({cell["compared"]};"against as many days before";"to compare, choose a later day in From")'
    grid.formula(_CHANGES, 1, f'=IF({nothing};"";{said})', "tile change")
    grid.put(_LABELS, _FIRST_METRIC, *(Item(word, "tile label") for word in _METRICS))
    for n, (this, that) in enumerate(zip(_ratios(now), _ratios(before), strict=True)):
        style = {"money": "tile money", "count": "tile count", "rate": "tile rate", "ratio": "tile ratio"}[_STYLES[n]]
        valued = f'IF({cell["valued"]};{this};"–")' if _METRICS[n] == "ROAS" else this
        grid.formula(_TILES, _FIRST_METRIC + n, f'=IF({nothing};"";IFERROR({valued};""))', style)
        change = f'=IFERROR(IF({cell["compared"]};({this})/({that})-1;"");"")'
        grid.formula(_CHANGES, _FIRST_METRIC + n, change, "tile change")


def _ratios(cells: list[str]) -> list[str]:
    """Return the nine figures of a row, given its five sums; a rate is one sum divided by another."""
    spend, impressions, clicks, conversions, value = cells
    return [
        spend, impressions, clicks, conversions, f"{clicks}/{impressions}", f"1000*{spend}/{impressions}",
        f"{spend}/{clicks}", f"{spend}/{conversions}", f"{value}/{spend}",
    ]  # fmt: skip


def _tables(grid: _Grid) -> None:
    """Put the tables of campaigns, of ads with their pictures, and of points in time."""
    cell = grid.cell
    heads = [Item(word, "column") for word in _METRICS]
    for top, title, first, left in (
        (_CAMPAIGNS, f"Top campaigns: the {BEST} with the highest spend", "Campaign", _CAMPAIGN),
        (_ADS, f"Top ads: the {BEST} with the highest spend", "Ad", _AD),
    ):
        grid.put(top - 1, 0, Item(title, "section"))
        grid.put(top, 0, Item(None, "column"), Item(first, "column left"), *heads, Item(f"{first} ID", "column"))
        for n in range(BEST):
            row, key = top + 1 + n, f"${letters(left)}{n + 2}"
            name = f"${letters(left + 1)}{n + 2}"
            grid.formula(row, 1, f'=IF({key}="";"";IF({name}="";{key};{name}))', "text")
            sums = [f"${letters(left + 2 + at)}{n + 2}" for at in range(5)]
            _row(grid, row, sums, f'{key}=""')
            grid.formula(row, _ID, f'={key}&""', "faint id")
    for n in range(BEST):
        cover = f"${letters(_COVER)}{n + 2}"
        grid.formula(_ADS + 1 + n, 0, f'=IF({cover}="";"";IMAGE({cover}))', "picture")
    covers = f"${letters(_COVER)}$2:${letters(_COVER)}${BEST + 1}"
    grid.formula(
        _ADS - 1, 5,
        f'=IF(OR({cell["last"]}="";COUNTIF({covers};"http*")>0);"";"No pictures: tick Ads and Videos (or Images) in '
        'OWOX → Choose data…")',
        "subtitle",
    )  # fmt: skip
    grid.put(_OVER_TIME - 1, 0, Item("Over time", "section"))
    grid.put(_OVER_TIME, 0, Item(None, "column"), Item("From day", "column left"), *heads)
    table = f"${letters(_POINT)}$2:${letters(_POINT + 5)}${POINTS + 2}"
    for n in range(POINTS):
        row, point = _OVER_TIME + 1 + n, f"{cell['points']}-{n + 1}"
        day = f"MAX($B$6;$B$7-{cell['step']}*({cell['points']}-{n})+1)"
        grid.formula(row, 1, f'=IF({n}>={cell["points"]};"";{day})', "day")
        sums = [f"IFERROR(VLOOKUP({point};{table};{at};FALSE);0)" for at in range(2, 7)]
        _row(grid, row, sums, f'$B{row}=""')


def _row(grid: _Grid, row: int, sums: list[str], nothing: str) -> None:
    """Put the figures of a row of a table: sums, and the rates of the sums that stand beside them."""
    shown = [f"${letters(_FIRST_METRIC + at)}{row}" for at in range(4)]
    ratios = _ratios([*shown, sums[4]])
    ratios[-1] = f'IF({grid.cell["valued"]};{ratios[-1]};"")'
    for at, style in enumerate(_STYLES):
        text = f'=IF({nothing};"";{sums[at]})' if at < 4 else f'=IFERROR({ratios[at]};"")'
        grid.formula(row, _FIRST_METRIC + at, text, style)


def _charts() -> Iterator[Chart]:
    spend, clicks, conversions, ctr = (_FIRST_METRIC + at for at in (0, 2, 3, 4))
    over_time = (_OVER_TIME - 1, _OVER_TIME + POINTS, 1)
    row = _CHARTS - 1
    yield Chart(
        "Spend and conversions over time", *over_time,
        (
            Series("Spend", spend, "column", _COLOURS["spend"]),
            Series("Conversions", conversions, "line", _COLOURS["conversions"], right=True),
        ),
        row, 0, 510,
    )  # fmt: skip
    yield Chart(
        "Clicks and CTR over time", *over_time,
        (
            Series("Clicks", clicks, "column", _COLOURS["clicks"]),
            Series("CTR", ctr, "line", _COLOURS["ctr"], right=True, form="0.0%"),
        ),
        row, 4, 540,
    )  # fmt: skip
    campaigns = (_CAMPAIGNS - 1, _CAMPAIGNS + BEST, 1)
    yield Chart("Spend by campaign", *campaigns, (Series("Spend", spend, "bar", _COLOURS["spend"]),), row, 9, 390)


def dashboard_elsewhere() -> Page:
    """Return the Dashboard of a Sheet whose data is in BigQuery: what to do there."""
    parts = (
        (
            "Looker Studio",
            "Create → Report → BigQuery, choose your project and dataset, then the table "
            f"{DATA.table}. Use stat_time_day as the date, and spend, impressions, clicks and conversion as metrics.",
        ),
        (
            "Click-through rate",
            "Add a calculated field CTR = SUM(clicks) / SUM(impressions). The column ctr is TikTok's figure for one ad "
            "and one day; neither its sum nor its average is the rate of several.",
        ),
        (
            "In this spreadsheet",
            "Data → Data connectors → Connect to BigQuery brings a table, a view or a query of your own into a "
            "connected sheet, with charts and pivot tables.",
        ),
    )
    lines: list[Line] = [
        (Item("Dashboard", "title"),),
        (Item("Your figures are in BigQuery; charts are best made there", "subtitle"),),
    ]
    for what, how in parts:
        lines += [(), (Item(what, "step"),), (Item(how, "help"),)]
    heights = {0: 44} | {n: 40 for n, line in enumerate(lines) if line and line[0].style == "help"}
    return Page(
        DASHBOARD, "(dashboard)", (760,), tuple(lines), (DASHBOARD,), "#34a853", gridlines=False, heights=heights
    )
