"""Views of results: one row per ad or campaign and day, and the same added up by week and month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from owox_tiktok.dialects import Dialect
from owox_tiktok.model import Field, Kind, Level
from owox_tiktok.streams import CURRENCY, ID_OF, STREAMS, metrics
from owox_tiktok.views.select import Select, There, View, first_of


class Entity(NamedTuple):
    """What has a list of its own: its level, the list, and the field there that is its name."""

    level: Level
    stream: str
    name: str


ENTITIES = (
    Entity("ad", "ads", "ad_name"),
    Entity("ad_group", "ad_groups", "adgroup_name"),
    Entity("campaign", "campaigns", "campaign_name"),
    Entity("advertiser", "advertisers", "name"),
)
"""From the smallest to the largest."""

ALWAYS = ("spend", "impressions", "clicks", "conversion")
"""Measures that a performance view has even where they are not imported, so that reports on it do not break."""


PROVISIONAL = Field(
    "is_provisional",
    Kind.BOOLEAN,
    "Whether the day may still change: the next import reads it again",
)


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


def performance(there: There, name: str, level: Level, sources: Sequence[str]) -> View:
    """Return the view of one row per day and entity of ``level``, from the first of ``sources`` that is stored."""
    about = f"One row per {level} and day with the names of today, sums, and ratios computed from them"
    key = ("stat_time_day", "advertiser_id", ID_OF[level])
    source = next((s for s in sources if there.has(s, *key)), None)
    if source is None:
        return View(name, about, missing={sources[0]: ()})
    stream = STREAMS[source]
    sums = {f.name: f for f in there.fields(source) if f.additive}
    select = Select(there, f"{there.table(source)} AS report")
    if stream.level != level:
        select.source = f"(\n{_summed(there, source, key, sums.values())}\n) AS report"

    def report(column: str) -> list[str]:
        return select.of("report", source, column)

    def of(entity: Entity, column: str) -> list[str]:
        return select.of(entity.level, entity.stream, column) if entity in joined else []

    joined: list[Entity] = []
    ids: dict[Level, list[str]] = {}
    entities = ENTITIES[[e.level for e in ENTITIES].index(level) :]
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
            by = {"advertiser_id": first_of(report("advertiser_id")), column: first_of(ids[entity.level])}
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
            select.add(metrics()[ratio].field, [ratio_of(there.dialect, parts)])
        elif {parts.numerator, parts.denominator} <= set(ALWAYS):
            select.add(metrics()[ratio].field, [])
    read_on = select.last_read("report", source, "read_on")
    unsettled = [there.dialect.days_before.format(day, there.lookback_days) for day in read_on]
    provisional = [f"{first_of(report('stat_time_day'))} >= {day}" for day in unsettled]
    select.add(PROVISIONAL, provisional)
    return select.view(name, f"{about}. Made from {source}")


# --- by week and month ------------------------------------------------------------------------------------------------


def rolled_up(there: There, daily: View, name: str, unit: Literal["week", "month"]) -> View:
    """Return the view that adds up a daily one by calendar weeks (from Monday) or months."""
    about = f"{daily.description.replace(' and day ', f' and {unit} ')}, added up from its days"
    if not daily.sql:
        return View(name, about, missing=daily.missing)
    dialect, quoted = there.dialect, there.dialect.name
    first = Field(f"first_day_of_{unit}", Kind.DAY, f"First day of the calendar {unit}")
    days = Field("days", Kind.COUNT, "How many of its days have results")
    key = [f for f in daily.fields if f.kind is Kind.ID or f.name == "currency"]
    sums = [f for f in daily.fields if f.additive]
    labels = [f for f in daily.fields if f.kind is Kind.TEXT and f not in key]
    period = dialect.first_day[unit].format("daily.stat_time_day")
    moving = "CASE WHEN daily.is_provisional THEN 1 WHEN NOT daily.is_provisional THEN 0 END"
    columns = [
        f"{period} AS {quoted(first.name)}",
        *(f"daily.{quoted(f.name)}" for f in key),
        # A name may have changed within the time.
        *(f"MAX(daily.{quoted(f.name)}) AS {quoted(f.name)}" for f in labels),
        *(f"CAST(SUM(daily.{quoted(f.name)}) AS {dialect.types[f.kind]}) AS {quoted(f.name)}" for f in sums),
        f"COUNT(DISTINCT daily.stat_time_day) AS {days.name}",
        f"MAX({moving}) = 1 AS {PROVISIONAL.name}",
    ]
    groups = ", ".join([period, *(f"daily.{quoted(f.name)}" for f in key)])
    indented = daily.sql.replace("\n", "\n  ")
    summed = "SELECT\n    " + ",\n    ".join(columns) + f"\n  FROM (\n  {indented}\n  ) AS daily\n  GROUP BY {groups}"
    select = Select(there, f"(\n  {summed}\n) AS report")
    for made in (first, *(f for f in daily.fields if f in key or f in labels), days, *sums):
        select.add(made, [f"report.{quoted(made.name)}"])
    for ratio in (f for f in daily.fields if f.name in RATIOS):
        select.add(ratio, [ratio_of(dialect, RATIOS[ratio.name])])
    select.add(PROVISIONAL, [f"report.{PROVISIONAL.name}"])
    return replace(select.view(name, about), missing=daily.missing)


def ratio_of(dialect: Dialect, parts: Ratio) -> str:
    """Return SQL for a ratio of the row called ``report``; null where there is nothing to divide by."""
    over, under = (f"report.{dialect.name(n)}" for n in (parts.numerator, parts.denominator))
    times = f"{parts.factor} * " if parts.factor != 1 else ""
    # PostgreSQL cuts a whole number divided by a whole number down to a whole number.
    rate = dialect.types[Kind.RATE]
    return f"CAST({times}CAST({over} AS {rate}) / NULLIF({under}, 0) AS {rate})"


def _summed(there: There, source: str, key: Sequence[str], sums: Iterable[Field]) -> str:
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
