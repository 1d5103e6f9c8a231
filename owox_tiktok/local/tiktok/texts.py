"""Rows of a report as TikTok writes them: JSON on a page, CSV in the file of a task."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from owox_tiktok.local.tiktok.catalogue import ID_DIMENSIONS
from owox_tiktok.local.tiktok.reports import Table
from owox_tiktok.local.tiktok.world import Ad, Entity


def number(value: int | None, decimals: int) -> str:
    """A number as TikTok writes it."""
    if value is None:
        return "-"
    if not decimals:
        return str(value)
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{rest:0{decimals}d}"


def _texts(values: Sequence[int | None], decimals: int) -> list[str]:
    if not decimals:
        return ["-" if value is None else str(value) for value in values]
    if decimals == 2:  # by far the most common; spelt out because it is the hot line
        return ["-" if v is None else f"{v // 100}.{v % 100:02d}" for v in values]
    return [number(value, decimals) for value in values]


_LISTS_WITH_AD_ID_V2 = frozenset(
    {"ad_text", "call_to_action", "ad_profile_image", "ad_url", "image_mode", "profile_image"}
)
"""Attributes of Upgraded Smart+ ads that come as lists with the dimension ad_id_v2."""


def _is_smart(entity: Entity) -> bool:
    return isinstance(entity, Ad) and entity.campaign.smart_plus


def report_texts(
    table: Table,
    dimensions: Sequence[str],
    metrics: Sequence[str],
    begin: int,
    end: int,
    order: list[int] | None = None,
    *,
    renamed: Mapping[str, str] | None = None,
) -> list[str]:
    """The rows begin … end of a table as JSON texts ``{"dimensions": …, "metrics": …}``.

    ``renamed``: dimensions that come back under another name. With ad_id_v2 some attributes of Upgraded Smart+
    ads come as lists, under a name of their own. Few impressions of a search term are not disclosed.
    """
    smart = "ad_id_v2" in dimensions and any(_is_smart(entity) for entity in table.entities)
    rows: Sequence[int] = order[begin:end] if order is not None else range(begin, min(end, table.size))
    columns: list[list[str]] = []

    def cut(column: Sequence[Any]) -> Sequence[Any]:
        return [column[row] for row in rows] if order is not None else column[begin:end]

    heads: dict[str, list[str]] = {"dimensions": [], "metrics": []}
    for name in dimensions:
        heads["dimensions"].append(f'"{(renamed or {}).get(name, name)}":"%s"')
        if name in ID_DIMENSIONS:
            columns.append([entity.id for entity in cut(table.entities)])
        elif name in ("stat_time_day", "stat_time_hour"):
            days = cut(table.days)
            known = {day: date.fromordinal(day).isoformat() for day in set(days)}
            if name == "stat_time_day":
                columns.append([f"{known[day]} 00:00:00" for day in days])
            else:
                hours = cut(table.hours)
                columns.append([f"{known[day]} {hour:02d}:00:00" for day, hour in zip(days, hours, strict=True)])
        else:
            columns.append(list(cut(table.parts[name])))
    for name in metrics:
        if name in table.numbers:
            heads["metrics"].append(f'"{name}":"%s"')
            texts = _texts(cut(table.numbers[name]), table.decimals[name])
            if name in table.meaningless:  # TikTok answers "0" where Promote ads do not have a metric
                texts = ["0" if row in table.promote_rows else text for row, text in zip(rows, texts, strict=True)]
            if name == "impressions" and "search_terms" in dimensions:
                texts = ["<5" if int(text) < 5 else text for text in texts]
            columns.append(texts)
        elif smart and name in _LISTS_WITH_AD_ID_V2:
            heads["metrics"].append("%s")
            pairs = zip(cut(table.entities), _attribute_texts(name, cut(table.attributes[name])), strict=True)
            columns.append([f'"{name}_list":[{t}]' if _is_smart(one) else f'"{name}":{t}' for one, t in pairs])
        elif name == "campaign_automation_type" and "ad_id" in dimensions:
            # The id of an Upgraded Smart+ row is then that of a creative.
            heads["metrics"].append(f'"{name}":%s')
            texts = _attribute_texts(name, cut(table.attributes[name]))
            columns.append([t.replace("_SMART_PLUS", "_SMART_PLUS_CREATIVE") for t in texts])
        else:
            heads["metrics"].append(f'"{name}":%s')
            columns.append(_attribute_texts(name, cut(table.attributes[name])))
    template = '{"dimensions":{' + ",".join(heads["dimensions"]) + '},"metrics":{' + ",".join(heads["metrics"]) + "}}"
    return [template % row for row in zip(*columns, strict=True)]


def _attribute_texts(name: str, values: Sequence[Any]) -> list[str]:
    """Attribute values as JSON; every one a string, except that an absent app may be the number 0."""
    known: dict[Any, str] = {}
    for value in set(values):
        if value is None:
            known[value] = '"-"'
        elif isinstance(value, bool):
            known[value] = '"true"' if value else '"false"'
        elif name == "tt_app_id" and value == "0":
            known[value] = "0"
        else:
            known[value] = json.dumps(str(value), ensure_ascii=False)
    return [known[value] for value in values]


_COUNTRIES = {
    "AU": "Australia",
    "BR": "Brazil",
    "DE": "Germany",
    "GB": "United Kingdom",
    "IN": "India",
    "JP": "Japan",
    "UA": "Ukraine",
    "US": "United States",
}


def csv_text(
    table: Table,
    dimensions: Sequence[str],
    metrics: Sequence[str],
    *,
    titles: bool,
    display: bool,
    order: list[int] | None = None,
) -> str:
    """A whole table as CSV.

    Countries come under ``country_name`` with their full names. ``titles``: readable titles instead of names of
    fields; ``display``: readable values of audience dimensions, such as 13-17 instead of AGE_13_17.
    """
    rows = order if order is not None else range(table.size)
    heads, columns = [], []
    for name in dimensions:
        heads.append("country_name" if name == "country_code" else name)
        if name in ID_DIMENSIONS:
            columns.append([entity.id for entity in table.entities])
        elif name == "stat_time_day":
            columns.append([f"{date.fromordinal(day)} 00:00:00" for day in table.days])
        elif name == "stat_time_hour":
            pairs = zip(table.days, table.hours, strict=True)
            columns.append([f"{date.fromordinal(day)} {hour:02d}:00:00" for day, hour in pairs])
        elif name == "country_code":
            columns.append([_COUNTRIES.get(code, code) for code in table.parts[name]])
        elif display:
            columns.append([_display(name, value) for value in table.parts[name]])
        else:
            columns.append(table.parts[name])
    for name in metrics:
        heads.append(name)
        if name in table.numbers:
            texts = _texts(table.numbers[name], table.decimals[name])
            if name in table.meaningless:
                texts = ["0" if row in table.promote_rows else text for row, text in enumerate(texts)]
            columns.append(texts)
        else:
            columns.append([json.loads(text) for text in _attribute_texts(name, table.attributes[name])])
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_title(name) for name in heads] if titles else heads)
    writer.writerows([column[row] for column in columns] for row in rows)
    return out.getvalue()


def _title(name: str) -> str:
    return " ".join("ID" if word == "id" else word.capitalize() for word in name.split("_"))


def _display(name: str, value: str) -> str:
    if name == "age":
        return value.removeprefix("AGE_").replace("55_100", "55+").replace("_", "-")
    return value.lower() if name == "gender" else value
