"""How a delivery is divided among hours, countries, ages and so on.

A split turns a whole number into parts that sum to it exactly: cumulated weights are scaled to
the total and the differences of the rounded results are the parts (the same guarantee as the
largest-remainder method, in one pass and without sorting).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

from owox_tiktok.local.tiktok.world import Ad, hash64

_HOURS = (3, 2, 2, 1, 1, 2, 3, 5, 7, 8, 8, 9, 10, 10, 9, 9, 10, 11, 13, 15, 16, 14, 9, 5)

# A value of None is a part nobody reports: such splits fall short of the total.
_WEIGHTS: dict[str, tuple[tuple[str | None, int], ...]] = {
    "gender": (("FEMALE", 50), ("MALE", 42), ("NONE", 8)),
    "age": (
        ("AGE_13_17", 6),
        ("AGE_18_24", 34),
        ("AGE_25_34", 30),
        ("AGE_35_44", 15),
        ("AGE_45_54", 8),
        ("AGE_55_100", 5),
        ("NONE", 2),
    ),
    "province_id": (("5332921", 30), ("4736286", 22), ("2950157", 18), ("1861060", 12), (None, 18)),
    "dma_id": (("501", 40), ("803", 30), ("602", 20), (None, 10)),
    "platform": (("ANDROID", 45), ("IPHONE", 44), ("IPAD", 6), ("PC", 3), ("NONE", 2)),
    "language": (("en", 55), ("es", 20), ("uk", 12), ("de", 8), ("NONE", 5)),
    "ac": (("WIFI", 60), ("4G", 22), ("5G", 12), ("3G", 2), ("NONE", 4)),
    "placement": (("TikTok", 80), ("Pangle", 14), ("Global App Bundle", 6)),
    "contextual_tag": (("1001", 60), ("1002", 30), (None, 10)),
    "interest_category": (("15", 40), ("22", 35), ("27", 15), (None, 10)),
    "interest_category_tier2": (("15101", 40), ("22107", 35), (None, 25)),
    "interest_category_tier3": (("15101104", 50), ("22107102", 30), (None, 20)),
    "interest_category_tier4": (("15101104109", 50), ("22107102108", 30), (None, 20)),
    "device_brand_id": (("20", 50), ("31", 30), ("44", 20)),
    "behavior_id": (("103", 50), ("109", 25), (None, 25)),
    "hashtag": (("#sale", 50), ("#новинка", 30), (None, 20)),
    "audience_tags": (("VALUE_SEEKERS", 60), ("TREND", 25), (None, 15)),
    "purchase_intention": (("Apparel", 50), ("Beauty", 30), (None, 20)),
    "additional_interests": (("Pets", 50), ("Travel, food", 30), (None, 20)),
    "ad_type": (("VIDEO", 80), ("Search", 20)),
    "search_keyword": (("shoes", 60), ("red shoes", 30), ("взуття", 10)),
    "match_type": (("BROAD", 50), ("PHRASE", 30), ("EXACT", 20)),
    "custom_event_type": (("Booked a tour", 60), ("Заявка", 30), (None, 10)),
    "event_source_id": (("7199000000000000011", 70), ("7199000000000000012", 25), (None, 5)),
    "page_id": (("7200000000000000101", 50), ("7200000000000000102", 20), (None, 30)),
    "component_name": (("Button 1", 50), ("Gallery, top", 30), (None, 20)),
    "room_id": (("7300000000000000001", 30), ("7300000000000000002", 20), (None, 50)),
    "post_id": (("7400000000000000001", 60), ("7400000000000000002", 30), (None, 10)),
    "minis_id": (("7500000000000000001", 40), (None, 60)),
    "skan_postback_sequence": (("0", 60), ("1", 25), ("2", 15)),
    "image_id": (("ad-site-i18n-sg/202601015d0d1", 50), ("ad-site-i18n-sg/202601015d0d2", 30), (None, 20)),
    "video_material_id": (("7600000000000000001", 70), ("7600000000000000002", 30)),
    "bucket_id": (("1", 40), ("2", 35), ("3", 25)),
    "search_terms": (("red shoes", 9_000), ("shoes, size 42", 700), ("черевики", 200), ("rare words", 2), (None, 90)),
}

SPLITS = frozenset(_WEIGHTS) | {"country_code"}
"""Every dimension that is neither an id nor a time."""
BASIC_SPLITS = frozenset(
    """country_code ad_type search_terms search_keyword match_type custom_event_type event_source_id page_id
    component_name room_id post_id minis_id skan_postback_sequence image_id video_material_id""".split()  # noqa: SIM905
)
"""Those of a BASIC report."""
AUDIENCE_SPLITS = SPLITS - BASIC_SPLITS | {"country_code", "ad_type"}
"""Those of an AUDIENCE report."""

Split = tuple[list[tuple[str | None, ...]], list[int]]
"""(values of the split's dimensions per part, cumulated weights beginning with 0)."""


def _weights(ad: Ad, dimension: str) -> list[tuple[str | None, int]]:
    if dimension == "country_code":
        home = ad.campaign.advertiser.country
        base: list[tuple[str | None, int]] = [(home, 60)]
        base += [(code, 12) for code in ("US", "GB", "DE", "UA") if code != home]
        base.append(("NONE", 2))
    else:
        base = list(_WEIGHTS[dimension])
    # Ads differ from each other, else every share would be equal and swapped rows would go unseen.
    return [(value, weight * (4 + (hash64(ad.seed, dimension, value) & 7))) for value, weight in base]


def split_of(ad: Ad, dimensions: tuple[str, ...]) -> Split:
    """The ad's parts for these dimensions together (every combination is a part)."""
    known = ad.splits.get(dimensions)
    if known is None:
        parts: list[tuple[tuple[str | None, ...], int]] = [((), 1)]
        for dimension in dimensions:
            parts = [((*key, value), w * weight) for key, w in parts for value, weight in _weights(ad, dimension)]
        known = ([key for key, _ in parts], list(accumulate((w for _, w in parts), initial=0)))
        ad.splits[dimensions] = known
    return known  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def hour_weights(zone: ZoneInfo, ordinal: int) -> list[int]:
    """Cumulated weights of the 24 hour labels of a day in a zone.

    An hour that the clock skips weighs nothing, an hour it repeats weighs twice: both show up under
    one label, because TikTok's labels carry no offset.
    """
    day = date.fromordinal(ordinal)
    begin = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    counts = [0] * 24
    moment = begin
    while moment.astimezone(zone).date() <= day:
        counts[moment.astimezone(zone).hour] += 1
        moment += timedelta(hours=1)
    return list(accumulate((count * weight for count, weight in zip(counts, _HOURS, strict=True)), initial=0))


def cumulate(total: int, weights: list[int], bits: int) -> list[int]:
    """The total, cumulated along the weights: starts with 0, ends with the total.

    ``bits`` shifts the rounding, so that a total of one does not always land on the same part.
    """
    whole = weights[-1]
    offset = (bits & 1023) * whole >> 10
    return [(total * weight + offset) // whole for weight in weights]
