"""The metrics and entity fields that exist, read from the project's catalogue files.

Only the lists are taken from there (names, kinds, levels, reports). What the API refuses or
limits is written down once more in :mod:`.rules`, so that the simulated TikTok cannot share a mistake
about limits with the loader that is tested against it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from io import StringIO

LEVELS = ("advertiser", "campaign", "ad_group", "ad")
"""Level names, widest first."""

ID_DIMENSIONS = {"advertiser_id": "advertiser", "campaign_id": "campaign", "adgroup_id": "ad_group"} | {
    "ad_id": "ad",
    "ad_id_v2": "ad",
}
"""Id dimension to level."""


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """One catalogued metric: what kind of value it is and where it may be asked for."""

    name: str
    kind: str
    unit: str
    additive: bool
    group: str
    levels: frozenset[str]
    reports: frozenset[str]
    by_country: bool
    daily_only: bool


def _rows(name: str) -> list[dict[str, str]]:
    source = resources.files("owox_tiktok").joinpath("catalogue", name)
    return list(csv.DictReader(StringIO(source.read_bytes().decode("utf-8"), newline="")))


@lru_cache(maxsize=1)
def metric_infos() -> dict[str, MetricInfo]:
    """Every catalogued metric by name."""
    return {
        row["name"]: MetricInfo(
            name=row["name"],
            kind=row["kind"],
            unit=row["unit"],
            additive=row["additive"] == "yes",
            group=row["group"],
            levels=frozenset(row["levels"].split()),
            reports=frozenset(row["reports"].split()),
            by_country=row["by_country"] in ("yes", "plain"),
            daily_only=row["granularities"].strip() == "daily",
        )
        for row in _rows("metrics.csv")
    }


@lru_cache(maxsize=1)
def stream_fields() -> dict[str, dict[str, str]]:
    """Field name to kind, for every entity stream, in catalogue order."""
    streams: dict[str, dict[str, str]] = {}
    for row in _rows("fields.csv"):
        streams.setdefault(row["stream"], {})[row["name"]] = row["kind"]
    return streams
