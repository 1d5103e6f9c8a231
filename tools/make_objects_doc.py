"""Write docs/objects.md from ``owox_tiktok.streams``, or say with ``--check`` whether it is out of date.

    python tools/make_objects_doc.py            write it
    python tools/make_objects_doc.py --check    exit with 1 when it differs from what would be written

Everything that can differ from one version to the next comes from STREAMS, ALIASES, PRESETS and the metrics; only the
sentences around the tables are written here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from owox_tiktok.dialects import BIGQUERY, DUCKDB
from owox_tiktok.model import Field, Kind, Stream
from owox_tiktok.streams import (
    ALIASES,
    AUDIENCE_BREAKDOWNS,
    LEVELS,
    MAX_METRICS,
    PRESETS,
    STREAMS,
    Metric,
    default_fields,
    metrics,
)

TARGET = Path(__file__).resolve().parent.parent / "docs" / "objects.md"

INTRO = """\
# Objects and fields

<!-- Written by tools/make_objects_doc.py. Do not edit: change owox_tiktok/streams.py or owox_tiktok/catalogue/ and run
`make docs`. -->

An *object* is something that can be imported: a list (campaigns, ads, pixels …) or a report. Each object fills one
table, named `tiktok_ads_` and the object's name: `ad_report_daily` fills `tiktok_ads_ad_report_daily`.

The same facts are on the command line: `owox-tiktok objects` lists the objects, `owox-tiktok objects ad_report_daily`
the fields of one.
"""

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
| how often | `daily`, `hourly`, `lifetime` | A row per day, per hour, or one row in all. |
| split (`by_…`) | see the tables below | A row for each country, age group and so on. Without it there is one row. |

A plain report is what TikTok calls a BASIC report. An *audience* report is TikTok's AUDIENCE report: it divides results
by what TikTok knows about people, so it may leave some people out, and it offers fewer metrics. There is no hourly
audience report. The splits by interest and by device brand exist for the lifetime only.

An audience report called `lifetime` covers the days from `start_date` on, the last 365 of them at most, because TikTok
has no longer range for it. Every other `lifetime` report covers the whole life of the campaign, ad group or ad.
"""

ORIGINS = """\
Every row begins with its key: the columns that identify it. `currency` is added to each report that holds money.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def _window(stream: Stream) -> str:
    if stream.max_days:
        return f"{stream.max_days} day{'s' if stream.max_days > 1 else ''}"
    if stream.report_type == "AUDIENCE":
        return "one range"
    return "no days"


def _overview(streams: Iterable[Stream]) -> str:
    return _table(
        ("object", "what it holds", "key", "window", "sandbox", "fields"),
        (
            (
                f"`{s.name}`",
                s.description,
                _code(s.keys),
                _window(s),
                "yes" if s.in_sandbox else "no",
                str(len(s.fields)),
            )
            for s in streams
        ),
    )


def _objects() -> Iterator[str]:
    yield "## All objects\n"
    yield (
        "*Window* is the longest run of days TikTok answers in one request; longer ranges are read in several."
        " *No days* means that the object has no dates and is read whole each time; *one range* that it covers a range"
        " of days without telling them apart. *Sandbox* says whether TikTok's test environment offers the object, as"
        " far as that is known.\n"
    )
    yield "### Lists\n"
    yield _overview(s for s in STREAMS.values() if not s.is_report)
    yield "### Reports\n"
    yield _overview(s for s in STREAMS.values() if s.report_type == "BASIC")
    yield "### Audience reports\n"
    yield _overview(s for s in STREAMS.values() if s.report_type == "AUDIENCE")
    yield "The splits, with the columns each adds to the key:\n"
    yield _table(
        ("`by_…`", "splits by", "columns", "daily", "lifetime"),
        (
            (f"`{name}`", b.words, _code(b.dimensions), "yes" if b.daily else "no", "yes")
            for name, b in AUDIENCE_BREAKDOWNS.items()
        ),
    )


def _presets() -> Iterator[str]:
    yield "## Presets\n"
    yield (
        "A preset is a named set of metrics. Write it in `fields` where a field could stand, alone or with others:"
        " `fields: {ad_report_daily: [performance, video, budget]}`. It brings along the names of the campaign, ad"
        " group and ad that the report's level has. A metric that a report does not offer is left out there.\n"
    )
    yield _table(("preset", "metrics"), ((f"`{name}`", _code(names)) for name, names in PRESETS.items()))
    report = STREAMS["ad_report_daily"]
    yield (
        "Two more words work everywhere. `default` means what is imported when nothing is chosen: every field of a"
        " list, and for a report the names and the preset `performance`. `all` means every field that is not"
        f" deprecated. TikTok gives at most {MAX_METRICS} metrics per request; more are asked for in several requests"
        " and joined, so `all` on a plain report takes several times as long as a preset.\n"
    )
    yield f"For `{report.name}`, `default` is {_code(default_fields(report))}.\n"


def _aliases() -> Iterator[str]:
    yield "## Names from other loaders\n"
    yield (
        "These names are understood in `objects` and `fields` and mean ours. Spelling is free: `AdsReportsDaily`,"
        " `ads_reports_daily` and `ads reports daily` are the same. Fields and settings of other loaders are understood"
        " too, such as `cost` for `spend`. A message says so where there is no equivalent.\n"
    )
    rows = ((f"`{STREAMS[target].name}`", _code(sorted(_also(target)))) for target in STREAMS if _also(target))
    yield _table(("our name", "also understood"), rows)


def _also(name: str) -> list[str]:
    return [alias for alias, target in ALIASES.items() if target == name]


def _kinds() -> Iterator[str]:
    yield "## Kinds of fields\n"
    yield "A column's type follows from its kind.\n"
    yield _table(
        ("kind", "what it holds", "in BigQuery", "in DuckDB", "in a Google Sheet"),
        ((k.value, words, BIGQUERY.types[k], DUCKDB.types[k], sheet) for k, words, sheet in KINDS),
    )
    yield "A missing value is null, never 0: TikTok writes `-` for it.\n"


def _entity_fields() -> Iterator[str]:
    yield "## Fields of the lists\n"
    for stream in STREAMS.values():
        if stream.is_report:
            continue
        yield f"### {stream.name}\n"
        also = _also(stream.name)
        yield f"{stream.description}. Key: {_code(stream.keys)}.{f' Also called {_code(also)}.' if also else ''}\n"
        yield _table(
            ("field", "kind", "description"),
            ((f"`{f.name}`", f.kind.value, f.description) for f in stream.fields.values()),
        )


def _dimensions() -> Iterator[str]:
    yield "## Columns that identify a report's row\n"
    yield ORIGINS
    seen: dict[str, Field] = {}
    for stream in STREAMS.values():
        if stream.is_report:
            seen.update((n, f) for n, f in stream.fields.items() if f.origin in ("ours", "dimension"))
    yield _table(
        ("column", "kind", "description"), ((f"`{f.name}`", f.kind.value, f.description) for f in seen.values())
    )


def _levels(metric: Metric) -> str:
    if set(LEVELS) == metric.levels:
        return "all"
    return ", ".join(level.replace("_", " ") for level in LEVELS if level in metric.levels)


def _reports(metric: Metric) -> str:
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
        " another loader asks for it; no preset has these, and what your account is refused is left out.\n"
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


def render() -> str:
    """Return the whole text of docs/objects.md."""
    parts = [INTRO, NAMING.format(levels=_code(LEVELS))]
    for section in (_objects, _presets, _aliases, _kinds, _dimensions, _metrics, _entity_fields):
        parts += section()
    return "\n".join(parts)


def main(arguments: Sequence[str]) -> int:
    """Write the file, or with ``--check`` compare it; return the exit code."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: make_objects_doc.py [--check]", file=sys.stderr)
        return 2
    text = render()
    if not arguments:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(text, encoding="utf-8")
        print(f"Wrote docs/{TARGET.name}, {len(text.splitlines()):,} lines.")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/{TARGET.name} is out of date. Run `make docs`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
