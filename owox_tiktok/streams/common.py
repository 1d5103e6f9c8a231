"""What every family of streams needs: levels, columns of ours, and the tables of ``catalogue/``."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files

from owox_tiktok.model import Field, Kind, Level

LEVELS: tuple[Level, ...] = ("advertiser", "campaign", "ad_group", "ad")
ID_OF: Mapping[Level, str] = {
    "advertiser": "advertiser_id",
    "campaign": "campaign_id",
    "ad_group": "adgroup_id",
    "ad": "ad_id",
}
"""TikTok's id dimension of each report level."""

AD_ID_V2 = "ad_id_v2"
"""TikTok's other dimension of ads: an Upgraded Smart+ ad as a whole, where ``ad_id`` is one of its creatives."""

WORD_OF: Mapping[Level, str] = {"advertiser": "Advertiser", "campaign": "Campaign", "ad_group": "Ad group", "ad": "Ad"}

CURRENCY = Field("currency", Kind.TEXT, "ISO 4217 currency of the money on this row, the ad account's", origin="ours")
ADVERTISER_ID = Field("advertiser_id", Kind.ID, "Ad account identifier", origin="ours")


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of the catalogue."""
    text = files("owox_tiktok").joinpath("catalogue", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


PERSONAL: Mapping[str, Collection[str]] = {
    "comments": {"user_name", "user_id", "user_avatar_url"},
    "advertisers": {"address", "contacter", "email", "cellphone_number", "telephone_number"},
}
"""Fields by which a person can be found or reached. (The numbers that ads show to everybody are none.)"""


@cache
def listed_fields() -> Mapping[str, Mapping[str, Field]]:
    """Return the fields of the lists, by list and name, as TikTok gives them."""
    tables: dict[str, dict[str, Field]] = {}
    for row in rows("fields.csv"):
        table = tables.setdefault(row["stream"], {})
        personal = row["name"] in PERSONAL.get(row["stream"], ())
        table[row["name"]] = Field(row["name"], Kind(row["kind"]), row["description"], personal=personal)
    return tables
