"""Views to report on: what they are called, what they hold, and their SQL for what is stored. Pure.

Users choose objects and fields, so a view is written for the columns that exist: what is missing becomes a null of its
type, or the view is left out, and ``View.missing`` says what to import. Only what may be added up is added up; ratios
are computed from sums. One definition serves every SQL dialect. No filter and no function stands on the column that
dates a row, so that a filter on it still reads only the days it names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, runtime_checkable

from owox_tiktok.dialects import CURSORS, Dialect
from owox_tiktok.model import Field, Kind, Level
from owox_tiktok.streams import ADVERTISER_ID, CURRENCY, ID_OF, STREAMS, metrics

Columns = Mapping[str, Collection[str]]
"""The column names of each table of ours, by the table's name."""


@dataclass(frozen=True, slots=True)
class View:
    """A view: its columns (``fields``) and the SELECT that makes them; no ``sql`` when its tables are not there.

    ``missing`` says per object which fields are not stored and so are null here; without fields it is the object
    itself.
    """

    name: str
    description: str
    sql: str = ""
    fields: tuple[Field, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@runtime_checkable
class HoldsViews(Protocol):
    """A destination that can have views as well."""

    @property
    def dialect(self) -> Dialect:
        """How its SQL is written."""
        ...

    def columns(self) -> Columns:
        """Return the columns of every table here that is ours, the cursors' included."""
        ...

    def create_views(self, views: Sequence[View]) -> list[str]:
        """Create or replace the views; return the names of those left alone, because somebody else made them."""
        ...


def definitions(columns: Columns, dialect: Dialect) -> list[View]:
    """Return every view, written in ``dialect`` for tables with these ``columns``."""
    there = _There(columns, dialect)
    return [
        _performance(there, "v_ad_performance_daily", "ad", ("ad_report_daily",)),
        _performance(
            there,
            "v_campaign_performance_daily",
            "campaign",
            ("campaign_report_daily", "ad_group_report_daily", "ad_report_daily"),
        ),
        _latest_entities(there),
        *(_dbt_list(there, each) for each in _DBT_LISTS),
        *(_dbt_report(there, each) for each in _DBT_REPORTS),
    ]


class _There:
    """What is stored, by object and field."""

    def __init__(self, columns: Columns, dialect: Dialect) -> None:
        self.dialect = dialect
        self.tables = columns

    def has(self, stream: str, *fields: str) -> bool:
        stored = self.tables.get(STREAMS[stream].table)
        return stored is not None and all(f in stored for f in fields)

    def fields(self, stream: str) -> list[Field]:
        return [f for f in STREAMS[stream].fields.values() if self.has(stream, f.name)]

    def table(self, stream: str) -> str:
        return self.dialect.table(STREAMS[stream].table)


class _Select:
    """A SELECT in the making: its columns, the tables joined to the first, and what was wanted but is not stored."""

    def __init__(self, there: _There, source: str) -> None:
        self.there = there
        self.dialect = there.dialect
        self.source = source
        self.fields: list[Field] = []
        self.missing: dict[str, list[str]] = {}
        self._columns: list[str] = []
        self._joins: list[str] = []

    def of(self, alias: str, stream: str, name: str) -> list[str]:
        """Return the column as the only entry of a list, or nothing when it is not stored."""
        return [f"{alias}.{self.dialect.name(name)}"] if self.there.has(stream, name) else []

    def add(self, made: Field, expressions: Sequence[str]) -> None:
        """Add a column: the first of the expressions that is not null, or a null when there is none."""
        self.fields.append(made)
        value = _first(expressions) or self.dialect.null(made.kind)
        self._columns.append(f"{value} AS {self.dialect.name(made.name)}")

    def join(self, table: str, alias: str, by: Mapping[str, str]) -> None:
        on = " AND ".join(f"{alias}.{self.dialect.name(name)} = {value}" for name, value in by.items())
        self._joins.append(f"LEFT JOIN {table} AS {alias} ON {on}")

    def lacks(self, stream: str, *names: str) -> None:
        self.missing.setdefault(stream, []).extend(names)

    @property
    def sql(self) -> str:
        return "\n".join(["SELECT", "  " + ",\n  ".join(self._columns), f"FROM {self.source}", *self._joins])

    def view(self, name: str, description: str) -> View:
        missing = {stream: tuple(names) for stream, names in self.missing.items()}
        return View(name, description, self.sql, tuple(self.fields), missing)


def _first(expressions: Sequence[str]) -> str:
    """Return SQL for the first of the expressions that is not null; an empty text when there are none."""
    return expressions[0] if len(expressions) == 1 else f"COALESCE({', '.join(expressions)})" if expressions else ""


# --- performance ------------------------------------------------------------------------------------------------------


class _Entity(NamedTuple):
    level: Level
    stream: str
    name: str


_ENTITIES = (
    _Entity("ad", "ads", "ad_name"),
    _Entity("ad_group", "ad_groups", "adgroup_name"),
    _Entity("campaign", "campaigns", "campaign_name"),
    _Entity("advertiser", "advertisers", "name"),
)
"""From the smallest to the largest."""

ALWAYS = ("spend", "impressions", "clicks", "conversion")
"""Measures that a performance view has even where they are not imported, so that reports on it do not break."""


class Ratio(NamedTuple):
    """A rate or cost as TikTok defines it: ``factor`` times one sum divided by another."""

    numerator: str
    denominator: str
    factor: int = 1


RATIOS: Mapping[str, Ratio] = {
    "ctr": Ratio("clicks", "impressions", 100),
    "cpc": Ratio("spend", "clicks"),
    "cpm": Ratio("spend", "impressions", 1000),
    "cost_per_conversion": Ratio("spend", "conversion"),
    "conversion_rate_v2": Ratio("conversion", "impressions", 100),
    "real_time_cost_per_conversion": Ratio("spend", "real_time_conversion"),
    "cost_per_result": Ratio("spend", "result"),
    "result_rate": Ratio("result", "impressions", 100),
    "cost_per_complete_payment": Ratio("spend", "complete_payment"),
    "value_per_complete_payment": Ratio("total_complete_payment_rate", "complete_payment"),
    "complete_payment_roas": Ratio("total_complete_payment_rate", "spend"),
    "cost_per_onsite_shopping": Ratio("spend", "onsite_shopping"),
    "onsite_shopping_roas": Ratio("total_onsite_shopping_value", "spend"),
    "cost_per_app_install": Ratio("spend", "app_install"),
}
"""Ratios of a performance view, by TikTok's name; each is there when both of its sums are."""


def _performance(there: _There, name: str, level: Level, sources: Sequence[str]) -> View:
    """Return the view of one row per day and entity of ``level``, from the first of ``sources`` that is stored."""
    about = f"One row per {level} and day with the names of today, sums, and ratios computed from them"
    key = ("stat_time_day", "advertiser_id", ID_OF[level])
    source = next((s for s in sources if there.has(s, *key)), None)
    if source is None:
        return View(name, about, missing={sources[0]: ()})
    stream = STREAMS[source]
    sums = {f.name: f for f in there.fields(source) if f.additive}
    select = _Select(there, f"{there.table(source)} AS report")
    if stream.level != level:
        select.source = f"(\n{_summed(there, source, key, sums.values())}\n) AS report"

    def report(column: str) -> list[str]:
        return select.of("report", source, column)

    def of(entity: _Entity, column: str) -> list[str]:
        return select.of(entity.level, entity.stream, column) if entity in joined else []

    joined: list[_Entity] = []
    ids: dict[Level, list[str]] = {}
    entities = _ENTITIES[[e.level for e in _ENTITIES].index(level) :]
    for entity in entities:
        column = ID_OF[entity.level]
        ids[entity.level] = report(column)
        if column not in stream.keys:
            # What the report may not say itself, a smaller entity knows: an ad its ad group, an ad group its campaign.
            ids[entity.level] += [expression for smaller in joined for expression in of(smaller, column)]
        if not ids[entity.level]:
            select.lacks(source, column)
        if not there.has(entity.stream):
            select.lacks(entity.stream)
        elif ids[entity.level]:
            by = {"advertiser_id": _first(report("advertiser_id")), column: _first(ids[entity.level])}
            select.join(there.table(entity.stream), entity.level, by)
            joined.append(entity)

    select.add(stream.fields["stat_time_day"], report("stat_time_day"))
    for entity in reversed(entities):
        label = f"{entity.level.replace('_', '')}_name"
        select.add(STREAMS[entity.stream].fields[ID_OF[entity.level]], ids[entity.level])
        names = [*of(entity, entity.name), *report(label)]
        select.add(Field(label, Kind.TEXT, f"Name of the {entity.level.replace('_', ' ')}"), names)
        if entity.level == "campaign":
            objective = STREAMS["campaigns"].fields["objective_type"]
            select.add(objective, [*of(entity, objective.name), *report(objective.name)])
    select.add(CURRENCY, [*report("currency"), *of(entities[-1], "currency")])
    for measure in dict.fromkeys([*ALWAYS, *sums]):
        select.add(metrics()[measure].field, report(measure))
        if measure not in sums:
            select.lacks(source, measure)
    for ratio, parts in RATIOS.items():
        if parts.numerator in sums and parts.denominator in sums:
            select.add(metrics()[ratio].field, [_ratio(there.dialect, parts)])
        elif {parts.numerator, parts.denominator} <= set(ALWAYS):
            select.add(metrics()[ratio].field, [])
    return select.view(name, f"{about}. Made from {source}")


def _ratio(dialect: Dialect, parts: Ratio) -> str:
    over, under = (f"report.{dialect.name(n)}" for n in (parts.numerator, parts.denominator))
    times = f"{parts.factor} * " if parts.factor != 1 else ""
    return f"CAST({times}{over} / NULLIF({under}, 0) AS {dialect.types[Kind.RATE]})"


def _summed(there: _There, source: str, key: Sequence[str], sums: Iterable[Field]) -> str:
    """Return a SELECT that adds up a report of a lower level, never over two currencies."""
    name, types = there.dialect.name, there.dialect.types
    grouped = [name(column) for column in (*key, "currency") if there.has(source, column)]
    # A name may have changed while a day was read; the joined list has the present one.
    labels = [n for n in ("advertiser_name", "campaign_name", "objective_type") if there.has(source, n)]
    columns = [*grouped, *(f"MAX({name(n)}) AS {name(n)}" for n in labels)]
    # DuckDB's sum of whole numbers is wider than they are.
    columns += [f"CAST(SUM({name(f.name)}) AS {types[f.kind]}) AS {name(f.name)}" for f in sums]
    lines = ["  SELECT", "    " + ",\n    ".join(columns), f"  FROM {there.table(source)}"]
    return "\n".join([*lines, f"  GROUP BY {', '.join(grouped)}"])


# --- entities ---------------------------------------------------------------------------------------------------------

_OF_ENTITIES = (
    Field("entity_type", Kind.TEXT, "advertiser, campaign, ad_group or ad"),
    Field("entity_id", Kind.ID, "Its identifier"),
    Field("entity_name", Kind.TEXT, "Its present name"),
    ADVERTISER_ID,
    Field("campaign_id", Kind.ID, "Campaign it belongs to, or is"),
    Field("adgroup_id", Kind.ID, "Ad group it belongs to, or is"),
    Field("ad_id", Kind.ID, "Ad that it is"),
    Field("operation_status", Kind.TEXT, "Whether it is switched on: ENABLE, DISABLE …"),
    Field("secondary_status", Kind.TEXT, "What it is doing, and why not"),
    Field("is_deleted", Kind.BOOLEAN, "Whether it, or what it belongs to, is deleted"),
    Field("budget_mode", Kind.TEXT, "What the budget is for: a day, the whole life …"),
    Field("budget", Kind.MONEY, "Budget", unit="account currency"),
    Field("currency", Kind.TEXT, "ISO 4217 currency of the ad account"),
    Field("create_time", Kind.INSTANT, "When it was created"),
    Field("modify_time", Kind.INSTANT, "When it was changed last"),
)


def _latest_entities(there: _There) -> View:
    name, about = "v_latest_entities", "Every ad account, campaign, ad group and ad as it was when it was read last"
    selects, missing = [], {}
    for entity in reversed(_ENTITIES):
        if not there.has(entity.stream):
            missing[entity.stream] = ()
            continue
        select = _Select(there, f"{there.table(entity.stream)} AS entity")

        def of(column: str, stream: str = entity.stream, select: _Select = select) -> list[str]:
            return select.of("entity", stream, column)

        status = of("status" if entity.level == "advertiser" else "secondary_status")
        special = {
            "entity_type": [f"'{entity.level}'"],
            "entity_id": of(ID_OF[entity.level]),
            "entity_name": of(entity.name),
            "secondary_status": status,
            "is_deleted": [f"ENDS_WITH({status[0]}, '_DELETE')"] if status else [],
        }
        for made in _OF_ENTITIES:
            select.add(made, special[made.name] if made.name in special else of(made.name))
        selects.append(select.sql)
    return View(name, about, "\nUNION ALL\n".join(selects), _OF_ENTITIES if selects else (), missing)


# --- what dbt_tiktok_ads reads ----------------------------------------------------------------------------------------
# Fivetran's dbt package reads eight tables with the names and columns below (version 1.2.0 and, before it was merged
# into that, tiktok_ads_source 0.9.0). A column it does not find it takes for null, so every one is given, with a type.

_SYNCED = Field("_fivetran_synced", Kind.INSTANT, "When the object was read last")


class _DbtList(NamedTuple):
    name: str
    stream: str
    columns: tuple[str, ...]
    renamed: Mapping[str, str] = {}
    """Our name for one of theirs."""
    never: tuple[str, ...] = ()
    """Texts that TikTok no longer gives."""
    versions: bool = True


_DBT_LISTS = (
    _DbtList(
        "advertiser", "advertisers",
        ("id", "name", "address", "balance", "cellphone_number", "company", "contacter", "country", "currency",
         "description", "email", "industry", "language", "telephone_number", "timezone"),
        renamed={"id": "advertiser_id"},
        never=("phone_number", "telephone"),
        versions=False,
    ),
    _DbtList(
        "campaign_history", "campaigns",
        ("campaign_id", "advertiser_id", "campaign_name", "campaign_type", "split_test_variable", "objective_type",
         "status", "budget", "budget_mode", "create_time", "is_new_structure"),
        renamed={"status": "secondary_status"},
    ),
    _DbtList(
        "adgroup_history", "ad_groups",
        ("adgroup_id", "advertiser_id", "campaign_id", "adgroup_name", "action_days", "action_categories",
         "audience_type", "budget", "category", "frequency", "frequency_schedule", "gender", "interest_category_v_2",
         "age_groups", "languages"),
        renamed={"action_categories": "action_category_ids", "category": "category_id",
                 "interest_category_v_2": "interest_category_ids"},
        never=("display_name", "landing_page_url"),
    ),
    _DbtList(
        "ad_history", "ads",
        ("ad_id", "advertiser_id", "campaign_id", "adgroup_id", "ad_name", "call_to_action", "click_tracking_url",
         "impression_tracking_url", "landing_page_url"),
    ),
)  # fmt: skip


class _DbtReport(NamedTuple):
    name: str
    streams: tuple[str, ...]
    """The first that is stored is taken; the last is the one to recommend."""
    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]


_RATES = ("cpc", "cpm", "ctr", "cost_per_conversion", "conversion_rate")
_HOURLY = (
    *_RATES, "impressions", "clicks", "spend", "reach", "conversion", "real_time_conversion", "likes", "comments",
    "shares", "profile_visits", "follows", "video_play_actions", "video_watched_2s", "video_watched_6s",
    "video_views_p25", "video_views_p50", "video_views_p75", "average_video_play", "average_video_play_per_user",
    "total_purchase_value", "total_sales_lead_value",
)  # fmt: skip
_DBT_REPORTS = (
    _DbtReport("ad_report_hourly", ("ad_report_hourly", "ad_report_daily"), ("ad_id",), _HOURLY),
    _DbtReport("adgroup_report_hourly", ("ad_group_report_hourly", "ad_group_report_daily"), ("adgroup_id",), _HOURLY),
    _DbtReport(
        "campaign_report_hourly", ("campaign_report_hourly", "campaign_report_daily"), ("campaign_id",), _HOURLY
    ),
    _DbtReport(
        "campaign_country_report",
        ("campaign_report_daily_by_country",),
        ("campaign_id", "country_code"),
        (*_RATES, "impressions", "clicks", "spend", "conversion", "real_time_conversion"),
    ),
)


def _fivetran_name(name: str) -> str:
    """Return TikTok's name as Fivetran writes it, with letters and digits apart: ``video_views_p25`` is ``…_p_25``."""
    return re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", "_", name)


def _synced(select: _Select, alias: str, stream: str) -> list[str]:
    """Join the time at which the account's rows were read; return it as a column, or nothing without cursors."""
    dialect, cursors = select.dialect, select.there.tables.get(CURSORS, ())
    if not {"object", "advertiser_id", "read_at", "read_on"} <= set(cursors):
        return []
    advertiser, read_at = dialect.name("advertiser_id"), dialect.name("read_at")
    last = (
        f"(SELECT {advertiser}, MAX({read_at}) AS {read_at} FROM {dialect.table(CURSORS)} "
        # A row without a day is no reading: it says that one failed.
        f"WHERE {dialect.name('object')} = '{stream}' AND {dialect.name('read_on')} IS NOT NULL GROUP BY {advertiser})"
    )
    select.join(last, "synced", {"advertiser_id": f"{alias}.{advertiser}"})
    return [f"synced.{read_at}"]


def _dbt_list(there: _There, wanted: _DbtList) -> View:
    stream = STREAMS[wanted.stream]
    about = f"{stream.title} for the dbt package tiktok_ads"
    if not there.has(wanted.stream):
        return View(wanted.name, about, missing={wanted.stream: ()})
    select = _Select(there, f"{there.table(wanted.stream)} AS entity")
    for theirs in wanted.columns:
        ours = stream.fields[wanted.renamed.get(theirs, theirs)]
        value = select.of("entity", wanted.stream, ours.name)
        if not value:
            select.lacks(wanted.stream, ours.name)
        if ours.kind is Kind.JSON:
            value = [there.dialect.json_as_text.format(v) for v in value]
            ours = replace(ours, kind=Kind.TEXT)
        select.add(replace(ours, name=theirs), value)
    for theirs in wanted.never:
        select.add(Field(theirs, Kind.TEXT, "TikTok no longer gives it"), [])
    synced = _synced(select, "entity", wanted.stream)
    if wanted.versions:
        about += ", one version each: the current one"
        moments = [c for n in ("modify_time", "create_time") for c in select.of("entity", wanted.stream, n)]
        select.add(Field("updated_at", Kind.INSTANT, "When it was changed last"), [*moments, *synced])
    select.add(_SYNCED, synced)
    return select.view(wanted.name, about)


def _dbt_report(there: _There, wanted: _DbtReport) -> View:
    source = next((s for s in wanted.streams if there.has(s)), None)
    about = f"{STREAMS[wanted.streams[0]].title} for the dbt package tiktok_ads"
    if source is None:
        return View(wanted.name, about, missing={wanted.streams[-1]: ()})
    stream = STREAMS[source]
    select = _Select(there, f"{there.table(source)} AS report")

    def of(name: str) -> list[str]:
        return select.of("report", source, name)

    for name in ("advertiser_id", *wanted.dimensions):
        select.add(stream.fields[name], of(name))
    if source != wanted.streams[0]:
        about = f"{about}, with each day at 00:00: made from {source}, since the hours are not imported"
        day = f"CAST({_first(of('stat_time_day'))} AS {there.dialect.types[Kind.HOUR]})"
        select.add(STREAMS[wanted.streams[0]].fields["stat_time_hour"], [day])
    elif stream.time is not None:
        select.add(stream.fields[stream.time], of(stream.time))
    select.add(CURRENCY, of("currency"))
    # Beyond what the package reads by itself, it can be configured to take further metrics along.
    others = [f.name for f in there.fields(source) if f.origin == "metric" and f.group != "attribute"]
    for name in dict.fromkeys([*wanted.metrics, *others]):
        metric = stream.fields[name]
        if not of(name):
            select.lacks(source, name)
        select.add(replace(metric, name=_fivetran_name(name)), of(name))
    select.add(_SYNCED, _synced(select, "report", source))
    return select.view(wanted.name, about)
