"""Write docs/objects.md and the pages of docs/objects/, or say with ``--check`` whether they are out of date.

    python tools/make_objects_doc.py            write them
    python tools/make_objects_doc.py --check    exit with 1 when one differs from what would be written

Everything that can differ from one version to the next comes from STREAMS, ALIASES, PRESETS, the metrics and the
synonyms; only the sentences around the tables are written here. Every example is a row that was really imported, from
the simulated TikTok, which is the same each time.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb

from owox_tiktok import app, config_file
from owox_tiktok.dialects import BIGQUERY, DUCKDB
from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.model import Family, Field, Kind, Stream
from owox_tiktok.names import What, synonyms
from owox_tiktok.streams import (
    ALIASES,
    AUDIENCE_BREAKDOWNS,
    BASIC_BREAKDOWNS,
    LEVELS,
    MAX_METRICS,
    PRESETS,
    STREAMS,
    Breakdown,
    Metric,
    default_fields,
    metrics,
)
from owox_tiktok.streams.reports import Granularity

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""The moment at which the examples were imported."""
FIRST = date(2026, 3, 3)
LONGEST = 60
"""Longer values of an example are cut."""

NOTE = """\
<!-- Written by tools/make_objects_doc.py. Do not edit: change owox_tiktok/streams/ or owox_tiktok/catalogue/ and run
`make docs`. -->
"""

INTRO = """\
An *object* is something that can be imported: a list (campaigns, ads, pixels …) or a report. Each object fills one
table, named `tiktok_ads_` and the object's name: `ad_report_daily` fills `tiktok_ads_ad_report_daily`.

The same facts are on the command line: `owox-tiktok objects` lists the objects, `owox-tiktok objects ad_report_daily`
the fields of one.
"""

FAMILIES: Mapping[Family, tuple[str, str]] = {
    "accounts": ("Accounts, campaigns, ad groups and ads", "Who advertises, and with what."),
    "money": ("Money and Business Centers", "Who has which ad account, what is on it, and what was paid."),
    "creatives": ("Creatives", "Images, videos, music, posts, and the accounts that ads are shown as."),
    "audiences": ("Audiences and pixels", "Whom ads reach, and what people do on websites."),
    "shop": ("TikTok Shop", "Shops and GMV Max."),
    "names": ("Names", "What the codes in targeting and audience reports stand for."),
    "reports": ("Reports", "Results per day, hour, week, month or for the whole lifetime."),
    "split_reports": ("Reports by other things", "Results by search term, type of ad, page, post and so on."),
    "audience_reports": ("Audience reports", "Results by age, country, platform and other facts about people."),
}
"""Each family's title and what it is about, in the order of the pages."""

KINDS: tuple[tuple[Kind, str, str], ...] = (
    (Kind.ID, "An identifier. Always text, since a long number loses its last digits in many programs.", "text"),
    (Kind.TEXT, "Text as TikTok wrote it.", "text"),
    (Kind.MONEY, "An exact amount in the ad account's currency, in main units (12.50, not 1250).", "number"),
    (Kind.RATE, "An exact percentage, ratio or number of seconds. A percentage of 1.18 means 1.18 %.", "number"),
    (Kind.COUNT, "A whole number.", "number"),
    (Kind.BOOLEAN, "true or false.", "TRUE, FALSE"),
    (Kind.DAY, "A day of the ad account's own calendar.", "date"),
    (Kind.HOUR, "An hour on the ad account's own clock.", "date time"),
    (Kind.INSTANT, "A moment, in UTC.", "date time"),
    (Kind.JSON, "A list or an object, as JSON.", "text"),
)
"""Each kind with what it holds and what a Google Sheet has for it."""

NAMING = """\
## How reports are named

A report's name says what it is, in this order:

```
ad_report_daily                          level, "report", how often
ad_report_daily_by_country               … and how it is split
ad_audience_report_daily_by_age_gender   "audience": people are split into groups
```

| part | choices | meaning |
|---|---|---|
| level | {levels} | What a row is about: the whole ad account, or each campaign, ad group or ad. |
| how often | `daily`, `hourly`, `weekly`, `monthly`, `lifetime` | A row per day, hour, week or month, or one in all. |
| split (`by_…`) | see the pages | A row for each country, age group and so on. Without it there is one row. |

A plain report is what TikTok calls a BASIC report. An *audience* report is TikTok's AUDIENCE report: it splits results
by what TikTok knows about people, so it may omit some people, and it offers fewer metrics. The only hourly audience
report is the one by time bucket. The splits by interest and by device brand exist for the lifetime only.

`weekly` and `monthly` are for people counted once: `reach` and `frequency` cannot be added up over days, so TikTok is
asked for each calendar week (from Monday) and month separately. `first_day` names the period, `last_day` how far it is
counted; until the period is over it says how far it has come.

An audience report called `lifetime` covers the days from `start_date` on, at most the last 365 of them, because TikTok
offers no longer range. Every other `lifetime` report covers the whole life of the campaign, ad group or ad.
"""

Rows = Mapping[str, Mapping[str, Any]]
"""One row of each stream, by its name."""


# --- examples ---------------------------------------------------------------------------------------------------------


def sample_rows() -> Rows:
    """Import every object from a small simulated TikTok; return of each the row with the most values."""
    world = World(seed=1, advertisers=1, campaigns=2, ad_groups=2, ads=4, start=date(2026, 2, 1), as_of=NOW)
    with serve(world) as server, tempfile.TemporaryDirectory() as folder:
        file, database = Path(folder) / "tiktok.yaml", Path(folder) / "tiktok.duckdb"
        environment = {
            "TIKTOK_API_URL": server.url,
            "TIKTOK_ACCESS_TOKEN": server.token,
            "TIKTOK_APP_ID": server.app_id,
            "TIKTOK_APP_SECRET": server.app_secret,
        }
        says = {
            **{name: f"${{TIKTOK_{name.upper()}}}" for name in ("access_token", "app_id", "app_secret")},
            "advertiser_ids": server.advertiser_ids,
            "start_date": FIRST.isoformat(),
            "end_date": FIRST.isoformat(),
            "objects": list(STREAMS),
            "requests_per_second": 1000,
            "destination": f"duckdb:///{database}",
        }
        file.write_text(json.dumps(says), encoding="utf-8")
        settings = config_file.read_file(file, now=NOW, environment=environment)
        finished = app.import_(settings, now=NOW, listen=lambda event: None, environment=environment)
        if finished.exit_code:
            raise SystemExit(f"the examples could not be imported: {finished}")
        with duckdb.connect(str(database), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return {stream.name: _fullest(connection, stream) for stream in STREAMS.values()}


def _fullest(connection: duckdb.DuckDBPyConnection, stream: Stream) -> Mapping[str, Any]:
    cursor = connection.execute(f"SELECT * FROM {stream.table} ORDER BY {', '.join(stream.keys)}")
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return max(rows, key=lambda row: sum(value not in (None, "", 0) for value in row.values()), default={})


def _value(field: Field, row: Mapping[str, Any]) -> str:
    """Return a value as a cell of a table; nothing for null."""
    value = row.get(field.name)
    match value:
        case None | "":
            return ""
        case bool():
            text = str(value).lower()
        case datetime():
            text = f"{value:%Y-%m-%d %H:%M:%S}" + (" UTC" if field.kind is Kind.INSTANT else "")
        case int() if field.kind is Kind.COUNT:
            text = str(value)
        case _ if field.kind in (Kind.MONEY, Kind.RATE):
            text = f"{value:f}".rstrip("0").rstrip(".")
        case _:
            text = str(value)
    text = " ".join(text.split())
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}…"
    return f"`` {text} ``" if "`" in text else f"`{text}`"


# --- tables -----------------------------------------------------------------------------------------------------------


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def _named(stream: Stream) -> str:
    """Return a stream's name as the target of links to it."""
    return f'<a id="{stream.name}"></a>`{stream.name}`'


def _window(stream: Stream) -> str:
    if stream.max_days:
        return f"{stream.max_days} day{'s' if stream.max_days > 1 else ''}"
    if stream.report_type == "AUDIENCE":
        return "one range"
    return "no days"


def _of(family: Family) -> list[Stream]:
    return [s for s in STREAMS.values() if s.family == family]


def _also(name: str) -> list[str]:
    return [alias for alias, target in ALIASES.items() if target == name]


# --- the first page ---------------------------------------------------------------------------------------------------


def index() -> Iterator[str]:
    """Yield the parts of docs/objects.md."""
    yield f"# Objects and fields\n\n{NOTE}\n{INTRO}"
    yield "## The pages\n"
    yield _table(
        ("page", "what is on it", "objects"),
        (
            *(
                (f"[{title}](objects/{family}.md)", about, str(len(_of(family))))
                for family, (title, about) in FAMILIES.items()
            ),
            ("[Report fields](objects/report_fields.md)", f"All {len(metrics())} metrics and attributes.", ""),
            ("[Names from other loaders](objects/other_names.md)", "What Airbyte, Fivetran and others call them.", ""),
        ),
    )
    yield "Each page shows a row of every table, imported from the simulated TikTok.\n"
    yield NAMING.format(levels=_code(LEVELS))
    yield from _objects()
    yield from _presets()
    yield from _kinds()


def _objects() -> Iterator[str]:
    yield "## All objects\n"
    for family, (title, _) in FAMILIES.items():
        yield f"### {title}\n"
        if family in BREAKDOWNS:
            audience = "audience_" if family == "audience_reports" else ""
            yield f"Named `LEVEL_{audience}report_daily_by_SPLIT`, or `hourly` or `lifetime` where they exist:\n"
            yield _table(
                ("`by_…`", "splits by", "by", "levels"),
                (
                    (f"[`{name}`](objects/{family}.md#{_anchor(b.words)})", b.words, _times(b), _levels_of(b.levels))
                    for name, b in BREAKDOWNS[family].items()
                ),
            )
        else:
            yield _table(
                ("object", "what it holds"),
                ((f"[`{s.name}`](objects/{family}.md#{s.name})", s.description) for s in _of(family)),
            )


BREAKDOWNS: Mapping[Family, Mapping[str, Breakdown]] = {
    "split_reports": {name: b for name, b in BASIC_BREAKDOWNS.items() if name != "country"},
    "audience_reports": AUDIENCE_BREAKDOWNS,
}
"""What the reports of a family are split by."""


def _times(split: Breakdown) -> str:
    times: tuple[Granularity, ...] = ("daily", "hourly", "lifetime")
    return ", ".join(time for time in times if split.has(time))


def _levels_of(levels: Collection[str]) -> str:
    if set(LEVELS) == set(levels):
        return "all"
    return ", ".join(level.replace("_", " ") for level in LEVELS if level in levels)


def _yes(so: bool) -> str:
    return "yes" if so else "no"


def _often(stream: Stream) -> str:
    return {"stat_time_day": "daily", "stat_time_hour": "hourly"}.get(str(stream.time), "lifetime")


def _anchor(words: str) -> str:
    return "by-" + words.lower().replace(",", "").replace(" ", "-")


def _presets() -> Iterator[str]:
    yield "## Presets\n"
    yield (
        "A preset is a named set of metrics. Write it in `fields` in place of a field, alone or with others:"
        " `fields: {ad_report_daily: [performance, video, budget]}`. It includes the names of the campaign, ad"
        " group and ad that the report's level has. A metric that a report does not offer is omitted there.\n"
    )
    yield _table(("preset", "metrics"), ((f"`{name}`", _code(names)) for name, names in PRESETS.items()))
    report = STREAMS["ad_report_daily"]
    yield (
        "Two more words work everywhere. `default` means what is imported when nothing is chosen: every field of a"
        " list, and for a report the names and the preset `performance`. `all` means every field that is not"
        f" deprecated. TikTok gives at most {MAX_METRICS} metrics per request; more are requested in several parts"
        " and joined, so `all` on a plain report takes several times as long as a preset.\n"
    )
    yield f"For `{report.name}`, `default` is {_code(default_fields(report))}.\n"


def _kinds() -> Iterator[str]:
    yield "## Kinds of fields\n"
    yield "A column's type follows from its kind.\n"
    yield _table(
        ("kind", "what it holds", "in BigQuery", "in DuckDB", "in a Google Sheet"),
        ((k.value, words, BIGQUERY.types[k], DUCKDB.types[k], sheet) for k, words, sheet in KINDS),
    )
    yield "A missing value is null, never 0: TikTok writes `-` for it.\n"


# --- a page per family ------------------------------------------------------------------------------------------------

WINDOW = (
    "*Window* is the longest run of days that TikTok answers in one request; longer ranges are read in several."
    " *No days* means that the object has no dates and is read whole each time; *one range*, that it covers a range"
    " of days without telling them apart. *Sandbox* says whether TikTok's test environment offers the object, as"
    " far as that is known.\n"
)


def lists(family: Family, rows: Rows) -> Iterator[str]:
    """Yield the page of a family of lists: each with its fields, and beside them a row of its table."""
    title, about = FAMILIES[family]
    yield f"# {title}\n\n{NOTE}\n{about} Back to [all objects](../objects.md).\n"
    yield _table(
        ("object", "what it holds", "sandbox", "fields"),
        ((f"[`{s.name}`](#{s.name})", s.description, _yes(s.in_sandbox), str(len(s.fields))) for s in _of(family)),
    )
    yield "The column *example* is one row of the table, imported from the simulated TikTok.\n"
    for stream in _of(family):
        yield f"## {stream.name}\n"
        also = _also(stream.name)
        words = [f"{stream.description}.", f"Table `{stream.table}`, key {_code(stream.keys)}."]
        if stream.max_days:
            words.append(f"TikTok answers {_window(stream)} per request.")
        if also:
            words.append(f"Also called {_code(also)}.")
        yield " ".join(words) + "\n"
        yield _table(
            ("field", "kind", "description", "example"),
            (
                (f"`{f.name}`", f.kind.value, f.description, _value(f, rows[stream.name]))
                for f in stream.fields.values()
            ),
        )


def reports(rows: Rows) -> Iterator[str]:
    """Yield the page of the plain reports: by level, with a row of each table side by side."""
    title, about = FAMILIES["reports"]
    yield f"# {title}\n\n{NOTE}\n{about} Back to [all objects](../objects.md).\n"
    yield (
        "What can be imported in each is in [report fields](report_fields.md). The examples are rows with the default"
        f" fields, imported from the simulated TikTok for {FIRST}.\n"
    )
    yield WINDOW
    for level in LEVELS:
        of = [s for s in _of("reports") if s.level == level]
        yield f"## {level.replace('_', ' ').capitalize()} reports\n"
        yield _table(
            ("object", "what it holds", "key", "window", "sandbox", "fields"),
            ((_named(s), s.description, _code(s.keys), _window(s), _yes(s.in_sandbox), str(len(s.fields))) for s in of),
        )
        yield f"A row of each table, side by side; `daily` is `{level}_report_daily` and so on:\n"
        fields = {k: s.fields[k] for s in of for k in s.keys}
        for stream in of:
            fields.update({c.name: c for c in stream.columns(default_fields(stream))})
        heads = [f"`{s.name.removeprefix(f'{level}_report_')}`" for s in of]
        yield _table(
            ("column", *heads),
            ((f"`{name}`", *(_value(field, rows[s.name]) for s in of)) for name, field in fields.items()),
        )


SHOWN = ("currency", "spend", "impressions", "clicks", "conversion")
"""The metrics that an example of an audience report shows."""


ABOUT: Mapping[Family, str] = {
    "split_reports": (
        "These are plain reports that TikTok splits by one more thing, and it knows it of some results only, so their"
        " sum may be below the plain report. Most come 16 hours after the day is over. TikTok publishes no list of"
        " metrics by custom event, event source, Minis, SKAN postback, image and video: what it refuses to your account"
        " is omitted. Where it does not give days with a split, each day is asked for separately. What can be imported"
        " is in [report fields](report_fields.md); here are the key and some of the columns, imported from the"
        f" simulated TikTok for {FIRST}.\n"
    ),
    "audience_reports": (
        "TikTok knows these facts only of some people, so the sum over an audience report may be below the plain report"
        " ([why](../behavior.md#audience-splits-fall-short)). What can be imported is in [report"
        " fields](report_fields.md); here are the key and five of the columns, imported from the simulated TikTok for"
        f" {FIRST}.\n"
    ),
}


def split_reports(family: Family, rows: Rows) -> Iterator[str]:
    """Yield the page of the reports that are split: by split, with a row of each table."""
    title, about = FAMILIES[family]
    yield f"# {title}\n\n{NOTE}\n{about} Back to [all objects](../objects.md).\n"
    yield ABOUT[family]
    yield WINDOW
    yield _table(
        ("split", "columns it adds to the key", "by"),
        ((f"[by {b.words}](#{_anchor(b.words)})", _code(b.dimensions), _times(b)) for b in BREAKDOWNS[family].values()),
    )
    for name, split in BREAKDOWNS[family].items():
        of = [s for s in _of(family) if s.report and s.report.split == name]
        yield f"## By {split.words}\n"
        yield _table(
            ("object", "window", "sandbox", "fields"),
            ((_named(s), _window(s), _yes(s.in_sandbox), str(len(s.fields))) for s in of),
        )
        keys = list(dict.fromkeys(k for s in of for k in s.keys))
        order = [k for k in keys if k not in split.dimensions] + [k for k in keys if k in split.dimensions]
        known = {n: f for s in of for n, f in s.fields.items()}
        columns = [*order, *(c for c in (*SHOWN, "cost") if c in known)]
        yield "A row of each table:\n"
        yield _table(
            ("object", *(f"`{c}`" for c in columns)),
            (
                (
                    f"`{s.level} … {_often(s)}`",
                    *(_value(known[c], rows[s.name]) for c in columns),
                )
                for s in of
            ),
        )


# --- report fields ----------------------------------------------------------------------------------------------------


def report_fields() -> Iterator[str]:
    """Yield the page of everything a report may be asked for."""
    yield f"# Report fields\n\n{NOTE}\nBack to [all objects](../objects.md).\n"
    yield from _dimensions()
    yield from _metrics()


def _dimensions() -> Iterator[str]:
    yield "## Columns that identify a report's row\n"
    yield (
        "Every row begins with its key: the columns that identify it. `currency` is added to each report that holds"
        " money.\n"
    )
    seen: dict[str, Field] = {}
    for stream in STREAMS.values():
        if stream.is_report:
            seen.update((n, f) for n, f in stream.fields.items() if f.origin in ("ours", "dimension"))
    yield _table(
        ("column", "kind", "description"), ((f"`{f.name}`", f.kind.value, f.description) for f in seen.values())
    )


def _levels(metric: Metric) -> str:
    return _levels_of(metric.levels)


def _reports(metric: Metric) -> str:
    if not metric.reports:
        return f"by {', '.join(split.replace('_', ' ') for split in sorted(metric.splits))} only"
    words = "all" if "AUDIENCE" in metric.reports else "plain"
    return f"{words}, {' and '.join(sorted(metric.granularities))} only" if metric.granularities else words


def _by_country(metric: Metric) -> str:
    names = (f"{level}_report_daily_by_country" for level in LEVELS)
    given = any(_is_metric(STREAMS[n], metric.field.name) for n in names)
    return "" if not given else "perhaps" if metric.by_country == "connector" else "yes"


def _is_metric(stream: Stream, name: str) -> bool:
    field = stream.fields.get(name)
    return field is not None and field.origin == "metric"


def _metrics() -> Iterator[str]:
    yield "## Fields of the reports\n"
    yield (
        "One table for all reports, grouped by subject. A report offers a field when its level and kind of report are"
        " named here.\n\n"
        "- *sums*: whether adding the values of several rows means anything. Where it is empty (rates, averages, people"
        " counted once), adding gives a wrong number.\n"
        "- *levels*: the levels whose reports have it; `all` is every level.\n"
        "- *reports*: `all` is plain and audience reports, `plain` is without audience reports.\n"
        "- *by country*: whether the plain reports `…_by_country` have it. `perhaps`: TikTok does not say so, but"
        " another loader requests it; no preset has these, and what TikTok refuses to your account is omitted.\n"
    )
    groups: dict[str, list[Metric]] = {}
    for metric in metrics().values():
        groups.setdefault(metric.field.group, []).append(metric)
    yield _table(
        ("group", "fields"),
        ((f"[{_title(g)}](#{_title(g).lower().replace(' ', '-')})", str(len(of))) for g, of in groups.items()),
    )
    for group, of in groups.items():
        yield f"### {_title(group)}\n"
        yield _table(
            ("field", "kind", "unit", "sums", "levels", "reports", "by country", "description"),
            (
                (
                    f"`{m.field.name}`",
                    m.field.kind.value,
                    m.field.unit,
                    "yes" if m.field.additive else "",
                    _levels(m),
                    _reports(m),
                    _by_country(m),
                    _description(m.field),
                )
                for m in of
            ),
        )


def _title(group: str) -> str:
    return f"{group.replace('_', ' ').capitalize()} fields".replace("Skan", "SKAN").replace("Tiktok", "TikTok")


def _description(field: Field) -> str:
    if field.deprecated and "deprecated" not in field.description.lower():
        return f"Deprecated. {field.description}"
    return field.description


# --- other loaders ----------------------------------------------------------------------------------------------------


def other_names() -> Iterator[str]:
    """Yield the page of the words of other loaders that are understood here."""
    yield f"# Names from other loaders\n\n{NOTE}\nBack to [all objects](../objects.md).\n"
    yield (
        "These names are understood in `objects`, `fields` and as settings, and mean ours. Spelling is free:"
        " `AdsReportsDaily`, `ads_reports_daily` and `ads reports daily` are the same. `owox-tiktok init --from FILE`"
        " translates a whole configuration. Where there is no equivalent, a message says what to write instead.\n"
    )
    titles: tuple[tuple[What, str], ...] = (("object", "Objects"), ("field", "Fields"), ("setting", "Settings"))
    for what, title in titles:
        yield f"## {title}\n"
        yield _table(
            ("their name", "whose", "ours", "note"),
            ((f"`{s.name}`", s.whose, _code(s.means), s.note) for s in synonyms(what).values()),
        )


def pages() -> dict[Path, str]:
    """Return every page with its text."""
    rows = sample_rows()
    made = {DOCS / "objects.md": index()}
    for family in get_args(Family):
        path = DOCS / "objects" / f"{family}.md"
        if family == "reports":
            made[path] = reports(rows)
        elif family in BREAKDOWNS:
            made[path] = split_reports(family, rows)
        else:
            made[path] = lists(family, rows)
    made[DOCS / "objects" / "report_fields.md"] = report_fields()
    made[DOCS / "objects" / "other_names.md"] = other_names()
    return {path: "\n".join(parts) for path, parts in made.items()}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` compare them; return the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: make_objects_doc.py [--check]", file=sys.stderr)
        return 2
    made = pages()
    there = {DOCS / "objects.md", *(DOCS / "objects").glob("*.md")}
    if not arguments:
        (DOCS / "objects").mkdir(exist_ok=True)
        for path, text in made.items():
            path.write_text(text, encoding="utf-8")
        for path in there - made.keys():
            path.unlink()
        print(f"Wrote docs/objects.md and {len(made) - 1} pages in docs/objects/.")
        return 0
    old = [p for p, text in made.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    old += sorted(there - made.keys())
    for path in old:
        print(f"{path.relative_to(DOCS.parent)} is out of date. Run `make docs`.", file=sys.stderr)
    return bool(old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
