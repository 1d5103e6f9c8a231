"""Report rows as numbers: from the deliveries of ads to columns of a table.

Every number is an integer with a fixed count of decimals, so the text on the wire and the typed
value of the oracle are two ways of writing the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import repeat
from operator import itemgetter
from typing import TypeVar

from owox_tiktok.local.tiktok.attributes import AttributeValue, attribute
from owox_tiktok.local.tiktok.catalogue import ID_DIMENSIONS, metric_infos
from owox_tiktok.local.tiktok.hidden import promote_has_metric
from owox_tiktok.local.tiktok.late import (
    RELEASED,
    known_percent,
    last_day_of_split,
    last_final_day,
    last_released_day,
    provisional,
    window_days,
)
from owox_tiktok.local.tiktok.metrics import UNIQUE_SHARE, Ratio, Remainder, Total, Unique, definition
from owox_tiktok.local.tiktok.splits import SPLITS, cumulate, hour_weights, split_of
from owox_tiktok.local.tiktok.world import KINDS_OF_ADS, PROMOTE, Ad, AdGroup, Advertiser, Campaign, Entity, World, mix

_T = TypeVar("_T")


@dataclass(slots=True)
class Table:
    """Rows of one report, by column.

    ``entities`` and ``days``, ``hours``, ``parts`` hold the row's id, time and split values (empty
    lists when not grouped by them). ``decimals`` tells how many digits of a number are decimals.
    ``promote_rows`` are the rows of Promote ads; the metrics ``meaningless`` are None there.
    """

    size: int
    entities: list[Entity]
    days: list[int]
    hours: list[int]
    parts: dict[str, list[str]]
    numbers: dict[str, list[int | None]]
    decimals: dict[str, int]
    attributes: dict[str, list[AttributeValue]]
    totals: dict[str, int]
    promote_rows: frozenset[int] = frozenset()
    meaningless: frozenset[str] = frozenset()


def select_ads(
    advertiser: Advertiser,
    level: str,
    *,
    deleted: str = "exclude",
    statuses: Collection[str] | None = None,
    kinds: Collection[str] = KINDS_OF_ADS,
    campaign_ids: Iterable[str] | None = None,
    adgroup_ids: Iterable[str] | None = None,
    ad_ids: Iterable[str] | None = None,
) -> list[Ad]:
    """The ads whose deliveries a report covers.

    ``deleted`` ("exclude", "include", "only") is judged at the level of the report: a campaign
    report counts the deleted ads of a living campaign. Account totals always hold everything.
    ``statuses`` (TikTok's primary statuses) are judged there too and come instead of ``deleted``.
    ``kinds`` are those of :data:`.world.KINDS_OF_ADS` that are wanted.
    """
    ads = list(advertiser.ads)
    if any(campaign.kind not in kinds for campaign in advertiser.campaigns):
        ads = [ad for ad in ads if ad.campaign.kind in kinds]
    if level != "advertiser":
        ads = [ad for ad in ads if not ad.campaign.only_account]
    if level in ("ad", "ad_group"):
        ads = [ad for ad in ads if not ad.campaign.only_whole]
    if level != "advertiser" and statuses is not None:
        ads = [ad for ad in ads if any(has_status(at_level(ad, level), one) for one in statuses)]
    elif level != "advertiser" and deleted != "include":
        ads = [ad for ad in ads if at_level(ad, level).deleted == (deleted == "only")]
    if campaign_ids is not None:
        wanted = frozenset(campaign_ids)
        ads = [ad for ad in ads if ad.campaign.id in wanted]
    if adgroup_ids is not None:
        wanted = frozenset(adgroup_ids)
        ads = [ad for ad in ads if ad.group.id in wanted]
    if ad_ids is not None:
        wanted = frozenset(ad_ids)
        ads = [ad for ad in ads if ad.id in wanted]
    return ads


def at_level(ad: Ad, level: str) -> Campaign | AdGroup | Ad:
    """The ad, or its ad group or campaign."""
    return ad if level == "ad" else ad.group if level == "ad_group" else ad.campaign


def has_status(one: Campaign | AdGroup | Ad, status: str) -> bool:
    """Whether an entity has one of TikTok's primary statuses."""
    return {
        "STATUS_ALL": True,
        "STATUS_NOT_DELETE": not one.deleted,
        "STATUS_DELETE": one.deleted,
        "STATUS_DISABLE": not one.enabled and not one.deleted,
        "STATUS_NOT_DELIVERY": not one.enabled and not one.deleted,
        "STATUS_DELIVERY_OK": one.enabled and not one.deleted,
    }.get(status, False)


def _needed_totals(metrics: Iterable[str]) -> dict[str, Total]:
    """The totals (per ad and day) that these metrics are computed from."""
    found: dict[str, Total] = {}

    def visit(name: str) -> None:
        how = definition(name)
        if isinstance(how, Total):
            found[name] = how
        elif isinstance(how, Unique):
            visit(how.total)
        elif isinstance(how, Ratio):
            visit(how.upper)
            visit(how.lower)
        else:
            visit(how.whole)
            visit(how.part)

    visit("impressions")
    for name in metrics:
        visit(name)
    return found


def _released_totals(metrics: Iterable[str], needed: Mapping[str, Total]) -> dict[str, Total]:
    """The totals that these metrics take from days with offline numbers only: people counted, and vouchers."""
    found: set[str] = set()
    for name in metrics:
        how = definition(name)
        parts = [how.upper, how.lower] if isinstance(how, Ratio) else [name]
        ways = [definition(part) for part in parts]
        if any(isinstance(way, Unique) for way in ways):
            found |= {way.total if isinstance(way, Unique) else part for part, way in zip(parts, ways, strict=True)}
        if isinstance(how, Remainder):
            found |= {how.whole, how.part}
        if name == "voucher_spend":
            found.add(name)
    return {name + RELEASED: needed[name] for name in found if name in needed}


def report_table(
    world: World,
    advertiser: Advertiser,
    ads: Sequence[Ad],
    level: str,
    dimensions: Sequence[str],
    metrics: Sequence[str],
    first: date | None,
    last: date | None,
    report_type: str = "BASIC",
    refreshed_h: int = 1,
    *,
    zero_rows: bool = False,
    drop_zero_rows: bool = False,
    as_one: Mapping[str, Ad] | None = None,
) -> Table:
    """The table of a report over these ads; ``first`` and ``last`` are days of the account's calendar.

    ``as_one``: by the id of each ad the one under which it is counted, where several ads are one thing.

    Without dates everything up to the world's clock is covered. Today is known up to the last
    ``refreshed_h`` hours' mark: tasks see it less often than pages do. ``zero_rows`` adds rows of zeros for some
    entities without results, where there is neither a time dimension nor a split; ``drop_zero_rows`` takes some rows of
    zeros away where there is a day, other ones each hour.
    """
    now = world.now()
    today_date, hours_done = world.today(advertiser, now)
    hours_done -= hours_done % refreshed_h
    today = today_date.toordinal()
    low = first.toordinal() if first else 0
    high = min(last.toordinal() if last else today, today if hours_done else today - 1)

    numeric = [name for name in metrics if metric_infos()[name].group != "attribute"]
    needed = _needed_totals(numeric)
    if world.late_data:
        needed |= _released_totals(numeric, needed)
    by_hour = "stat_time_hour" in dimensions
    by_day = "stat_time_day" in dimensions
    split = tuple(name for name in dimensions if name in SPLITS)
    id_level = next((ID_DIMENSIONS[name] for name in dimensions if name in ID_DIMENSIONS), "")

    if world.late_data and report_type == "AUDIENCE":
        high = min(high, last_day_of_split(advertiser, now, split) or high)

    owners: list[Ad] = []
    cells = []
    for ad in sorted(ads, key=lambda one: one.id):
        found = world.cells(ad, low, high)
        owners += [ad] * len(found)
        cells += found
    windows: list[int] | None = None
    released = date.max.toordinal()
    if world.late_data:
        final, released = last_final_day(now), last_released_day(advertiser, now)
        cells = [provisional(cell) if cell[0] > final else cell for cell in cells]
        windows = [window_days(ad.group) for ad in owners]
    days = [cell[0] for cell in cells]
    bits = [cell[4] for cell in cells]
    whole = [cell[1] for cell in cells]

    columns = _cell_columns(needed, cells, days, bits, today, windows, released)
    hours: list[int] = []
    parts: list[tuple[str | None, ...]] = []

    if by_hour:
        source, lows, highs = [], [], []
        for row, total in enumerate(whole):
            limit = hours_done if days[row] == today else 24
            marks = cumulate(total, hour_weights(advertiser.zone, days[row]), bits[row] >> 5)
            for hour in range(limit):
                if marks[hour + 1] > marks[hour]:
                    source.append(row)
                    lows.append(marks[hour])
                    highs.append(marks[hour + 1])
                    hours.append(hour)
        columns = _take_parts(columns, needed, whole, bits, source, lows, highs)
        owners, days, bits = _pick(owners, source), _pick(days, source), _pick(bits, source)
        whole = columns["impressions"]
    elif today <= high:
        _cut_today(columns, needed, advertiser, days, bits, whole, today, hours_done)
        whole = columns["impressions"]
    if world.fine_money and "spend" in columns and not by_hour and not split:
        columns[_FRACTION] = [spend and (h >> 40) % 1000 for spend, h in zip(columns["spend"], bits, strict=True)]

    if split:
        source, lows, highs = [], [], []
        for row, total in enumerate(whole):
            if not total:
                continue
            values, weights = split_of(owners[row], split)
            marks = cumulate(total, weights, bits[row] >> 6)
            before = 0
            for value, mark in zip(values, marks[1:], strict=True):
                if mark > before:
                    if None not in value:
                        source.append(row)
                        lows.append(before)
                        highs.append(mark)
                        parts.append(value)
                    before = mark
        columns = _take_parts(columns, needed, whole, bits, source, lows, highs)
        owners, days = _pick(owners, source), _pick(days, source)
        hours = _pick(hours, source) if by_hour else hours

    keep: Callable[[Ad], Entity] = {
        "ad": lambda ad: as_one[ad.id] if as_one else ad,
        "ad_group": lambda ad: ad.group,
        "campaign": lambda ad: ad.campaign,
        "advertiser": lambda ad: advertiser,
        "": lambda ad: advertiser,
    }[id_level]
    entities: list[Entity] = [keep(ad) for ad in owners] if id_level != "ad" or as_one else list(owners)
    unique_rows = id_level == "ad" and (by_day or by_hour) and not as_one
    if not unique_rows:
        keys = list(
            zip(
                [entity.id for entity in entities],
                days if by_day or by_hour else [0] * len(entities),
                hours if by_hour else [0] * len(entities),
                parts if split else [()] * len(entities),
                strict=True,
            )
        )
        numbers: dict[object, int] = {}
        index = [numbers.setdefault(key, len(numbers)) for key in keys]
        places = [0] * len(numbers)
        for row in range(len(index) - 1, -1, -1):
            places[index[row]] = row
        places.sort(key=keys.__getitem__)
        rank = {index[row]: position for position, row in enumerate(places)}
        index = [rank[group] for group in index]
        columns = {name: _sums(column, index, len(places)) for name, column in columns.items()}
        entities, days = _pick(entities, places), _pick(days, places)
        hours = _pick(hours, places) if by_hour else hours
        parts = _pick(parts, places) if split else parts

    exact_total = _round_once(columns, 100 if advertiser.currency in WHOLE_MONEY else 1)
    if drop_zero_rows and by_day and id_level and not split:
        shown = [
            row
            for row, entity in enumerate(entities)
            if any(columns[name][row] for name in ("impressions", "clicks", "spend") if name in columns)
            or mix(entity.seed + days[row] * 31 + int(now.timestamp()) // 3600) & 1
        ]
        entities, days = _pick(entities, shown), _pick(days, shown)
        columns = {name: _pick(column, shown) for name, column in columns.items()}
    if zero_rows and id_level and not (by_day or by_hour or split):
        present = {id(entity) for entity in entities}
        empty = {id(keep(ad)): keep(ad) for ad in ads if ad.created <= now and _shown_empty(ad, last)}
        added = [entity for place, entity in empty.items() if place not in present]
        entities = [*entities, *added]
        columns = {name: column + [0] * len(added) for name, column in columns.items()}

    results: dict[str, list[int | None]] = {}
    decimals: dict[str, int] = {}
    memo: dict[str, list[int | None]] = {}
    for name in numeric:
        results[name] = _result(name, columns, id_level, memo)
        decimals[name] = _decimals_of(name)
    attributes: dict[str, list[AttributeValue]] = {}
    for name in metrics:
        if name not in results:
            known = {id(entity): attribute(name, entity) for entity in {id(e): e for e in entities}.values()}
            attributes[name] = [known[id(entity)] for entity in entities]
    promote_rows = _promote_rows(entities, id_level, ads)
    meaningless = frozenset(name for name in numeric if promote_rows and not promote_has_metric(name, report_type))
    for name in meaningless:
        results[name] = [None if row in promote_rows else value for row, value in enumerate(results[name])]
    return Table(
        size=len(entities),
        entities=entities if id_level else [],
        days=days if by_day or by_hour else [],
        hours=hours if by_hour else [],
        parts={name: [str(value[place]) for value in parts] for place, name in enumerate(split)},
        numbers=results,
        decimals=decimals,
        attributes=attributes,
        totals={
            name: sum(value or 0 for value in column)
            for name, column in results.items()
            if metric_infos()[name].additive
        }
        | ({"spend": exact_total} if exact_total is not None and "spend" in results else {}),
        promote_rows=promote_rows,
        meaningless=meaningless,
    )


_FRACTION = "spend, thousandths of a hundredth"
WHOLE_MONEY = frozenset({"JPY"})
"""Currencies of the world without a smaller unit."""


def _round_once(columns: dict[str, list[int]], unit: int) -> int | None:
    """Round each row's exact spend to ``unit`` hundredths; the exact sum, rounded once; None where money is not fine.

    So the rows of a level do not quite add up to those of the level above, nor to the total: TikTok rounds each row.
    """
    fractions = columns.pop(_FRACTION, None)
    if fractions is None:
        return None
    exact = [spend * 1000 + part for spend, part in zip(columns["spend"], fractions, strict=True)]
    columns["spend"] = [(one + 500 * unit) // (1000 * unit) * unit for one in exact]
    return (sum(exact) + 500 * unit) // (1000 * unit) * unit


def _shown_empty(ad: Ad, last: date | None) -> bool:
    """Whether TikTok shows an ad that delivered nothing: always when it is younger, else by a rule of its own."""
    return ad.seed % 2 == 0 or (last is not None and ad.created.date() > last)


def _promote_rows(entities: Sequence[Entity], id_level: str, ads: Sequence[Ad]) -> frozenset[int]:
    """The rows that hold Promote ads."""
    if not any(ad.campaign.kind == PROMOTE for ad in ads):
        return frozenset()

    def kind(entity: Entity) -> str:
        if isinstance(entity, Advertiser):
            return PROMOTE if all(ad.campaign.kind == PROMOTE for ad in ads) else ""
        return entity.kind if isinstance(entity, Campaign) else entity.campaign.kind

    known = {id(entity): kind(entity) == PROMOTE for entity in {id(e): e for e in entities}.values()}
    return frozenset(row for row, entity in enumerate(entities) if known[id(entity)])


def _pick(values: list[_T], places: list[int]) -> list[_T]:
    return [values[place] for place in places]


def _sums(column: list[int], index: list[int], size: int) -> list[int]:
    sums = [0] * size
    for place, value in zip(index, column, strict=True):
        sums[place] += value
    return sums


def _cell_columns(
    needed: dict[str, Total],
    cells: list[tuple[int, int, int, int, int]],
    days: list[int],
    bits: list[int],
    today: int,
    windows: list[int] | None,
    released: int,
) -> dict[str, list[int]]:
    """Each needed total for each ad and day, as seen at the world's clock.

    ``windows``: the attribution window in days of each cell's ad group (None = seven everywhere); ``released``: the
    last day whose offline numbers are out.
    """
    base: dict[str, list[int]] = {
        name: [cell[place] for cell in cells] for place, name in ((1, "impressions"), (2, "clicks"), (3, "spend"))
    }
    grown = [known_percent(today - day, window) for day, window in zip(days, windows or repeat(7), strict=False)]
    complete = not grown or min(grown) == 100
    columns: dict[str, list[int]] = {}

    def compute(how: Total) -> list[int]:
        if how.name in base:
            return base[how.name]
        if how.name in columns:
            return columns[how.name]
        share, shift = how.share, how.shift
        if how.name in ("billed_cost", "cost"):
            return base["spend"]
        if how.per_unit:
            partner = definition(how.driver)
            assert isinstance(partner, Total)
            driver = compute(partner)
            column = [value and value * (share + ((h >> shift) & 1023)) for value, h in zip(driver, bits, strict=True)]
        else:
            driver = base[how.driver]
            column = [value * (share + ((h >> shift) & 63)) >> 10 for value, h in zip(driver, bits, strict=True)]
            if how.late and not complete:
                column = [value * percent // 100 for value, percent in zip(column, grown, strict=True)]
        columns[how.name] = column
        return column

    # Copies: today's cells are cut in place afterwards.
    found = {name: list(compute(how)) for name, how in needed.items()}
    for name, column in found.items():
        if name.endswith(RELEASED):
            found[name] = [value if day <= released else 0 for value, day in zip(column, days, strict=True)]
    return found


def _take_parts(
    columns: dict[str, list[int]],
    needed: dict[str, Total],
    whole: list[int],
    bits: list[int],
    source: list[int],
    lows: list[int],
    highs: list[int],
) -> dict[str, list[int]]:
    """Divide every column in proportion to the impressions of the parts (low … high of the whole)."""
    totals = _pick(whole, source)
    hashes = _pick(bits, source)
    taken: dict[str, list[int]] = {}
    for name, column in columns.items():
        if name == "impressions":
            taken[name] = [high - low for low, high in zip(lows, highs, strict=True)]
            continue
        shift = needed[name].shift
        result = []
        for row, low, high, total, h in zip(source, lows, highs, totals, hashes, strict=True):
            value = column[row]
            if value:
                offset = ((h >> shift) & 1023) * total >> 10
                value = (value * high + offset) // total - (value * low + offset) // total
            result.append(value)
        taken[name] = result
    return taken


def _cut_today(
    columns: dict[str, list[int]],
    needed: dict[str, Total],
    advertiser: Advertiser,
    days: list[int],
    bits: list[int],
    whole: list[int],
    today: int,
    hours_done: int,
) -> None:
    """Reduce today's cells to the finished hours, to exactly the sum of those hours' rows."""
    weights = hour_weights(advertiser.zone, today)
    for row, day in enumerate(days):
        if day != today or not whole[row]:
            continue
        total, h = whole[row], bits[row]
        mark = cumulate(total, weights, h >> 5)[hours_done]
        for name, column in columns.items():
            if name == "impressions":
                column[row] = mark
            else:
                offset = ((h >> needed[name].shift) & 1023) * total >> 10
                column[row] = (column[row] * mark + offset) // total


def _decimals_of(name: str) -> int:
    return definition(name).decimals


def _result(
    name: str, columns: dict[str, list[int]], level: str, memo: dict[str, list[int | None]]
) -> list[int | None]:
    """A metric's column in its own decimals."""
    known = memo.get(name)
    if known is not None:
        return known
    how = definition(name)
    column: list[int | None]
    if isinstance(how, Total):
        raw = columns.get(name + RELEASED, columns[name]) if name == "voucher_spend" else columns[name]
        if how.missing_when_zero:
            column = [value or None for value in raw]
        elif how.money and how.decimals != 2:
            scale = 10 ** (how.decimals - 2)
            column = [value * scale for value in raw]
        else:
            column = list(raw)
    elif isinstance(how, Unique):
        share = UNIQUE_SHARE[level]
        column = [(value * share + 999) // 1000 for value in _released(how.total, columns)]
    elif isinstance(how, Remainder):
        column = [a - b for a, b in zip(_released(how.whole, columns), _released(how.part, columns), strict=True)]
    else:
        people = any(isinstance(definition(part), Unique) for part in (how.upper, how.lower))
        upper, lower = (_plain(part, columns, level, released=people) for part in (how.upper, how.lower))
        # Money columns are in hundredths, so the quotient is shifted by the difference of the two.
        shift = how.decimals + _hundredths(how.lower) - _hundredths(how.upper)
        times = how.factor * 10 ** max(shift, 0) * 2
        by = 10 ** max(-shift, 0)
        column = [(a * times + b * by) // (2 * b * by) if b else None for a, b in zip(upper, lower, strict=True)]
    memo[name] = column
    return column


def _released(name: str, columns: dict[str, list[int]]) -> list[int]:
    """A total of the days with offline numbers; in a world without late data, of all days."""
    return columns.get(name + RELEASED, columns[name])


def _plain(name: str, columns: dict[str, list[int]], level: str, *, released: bool) -> list[int]:
    """A total or unique count in whole units or hundredths, as ratios are computed from."""
    how = definition(name)
    if isinstance(how, Unique):
        share = UNIQUE_SHARE[level]
        return [(value * share + 999) // 1000 for value in _released(how.total, columns)]
    return _released(name, columns) if released else columns[name]


def _hundredths(name: str) -> int:
    how = definition(name)
    return 2 if isinstance(how, Total) and how.money else 0


def ordered(table: Table, name: str, descending: bool) -> list[int]:
    """Row numbers in the order of a metric; missing values last."""
    column: Sequence[object] = table.numbers.get(name) or table.attributes[name]
    present = [(value, row) for row, value in enumerate(column) if value is not None]
    present.sort(key=itemgetter(0), reverse=descending)
    return [row for _, row in present] + [row for row, value in enumerate(column) if value is None]
