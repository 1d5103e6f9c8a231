"""Report rows as numbers: from the deliveries of ads to columns of a table.

Every number is an integer with a fixed count of decimals, so the text on the wire and the typed
value of the oracle are two ways of writing the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import TypeVar

from .attributes import AttributeValue, attribute
from .catalogue import ID_DIMENSIONS, metric_infos
from .hidden import promote_has_metric
from .metrics import UNIQUE_SHARE, Ratio, Remainder, Total, Unique, definition
from .splits import AUDIENCE_SPLITS, cumulate, hour_weights, split_of
from .world import GROWTH, KINDS_OF_ADS, PROMOTE, Ad, Advertiser, Campaign, Entity, World

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
    kinds: Collection[str] = KINDS_OF_ADS,
    campaign_ids: Iterable[str] | None = None,
    adgroup_ids: Iterable[str] | None = None,
    ad_ids: Iterable[str] | None = None,
) -> list[Ad]:
    """The ads whose deliveries a report covers.

    ``deleted`` ("exclude", "include", "only") is judged at the level of the report: a campaign
    report counts the deleted ads of a living campaign. Account totals always hold everything.
    ``kinds`` are those of :data:`.world.KINDS_OF_ADS` that are wanted.
    """

    def is_deleted(ad: Ad) -> bool:
        if level == "ad":
            return ad.deleted
        return ad.group.deleted if level == "ad_group" else ad.campaign.deleted

    ads = list(advertiser.ads)
    if any(campaign.kind not in kinds for campaign in advertiser.campaigns):
        ads = [ad for ad in ads if ad.campaign.kind in kinds]
    if level != "advertiser" and deleted != "include":
        ads = [ad for ad in ads if is_deleted(ad) == (deleted == "only")]
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
) -> Table:
    """The table of a report over these ads; ``first`` and ``last`` are days of the account's calendar.

    Without dates everything up to the world's clock is covered. Today is known up to the last
    ``refreshed_h`` hours' mark: tasks see it less often than pages do.
    """
    now = world.now()
    today_date, hours_done = world.today(advertiser, now)
    hours_done -= hours_done % refreshed_h
    today = today_date.toordinal()
    low = first.toordinal() if first else 0
    high = min(last.toordinal() if last else today, today if hours_done else today - 1)

    numeric = [name for name in metrics if metric_infos()[name].group != "attribute"]
    needed = _needed_totals(numeric)
    by_hour = "stat_time_hour" in dimensions
    by_day = "stat_time_day" in dimensions
    split = tuple(name for name in dimensions if name in AUDIENCE_SPLITS)
    id_level = next((ID_DIMENSIONS[name] for name in dimensions if name in ID_DIMENSIONS), "")

    owners: list[Ad] = []
    cells = []
    for ad in sorted(ads, key=lambda one: one.id):
        found = world.cells(ad, low, high)
        owners += [ad] * len(found)
        cells += found
    days = [cell[0] for cell in cells]
    bits = [cell[4] for cell in cells]
    whole = [cell[1] for cell in cells]

    columns = _cell_columns(needed, cells, days, bits, today)
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
        "ad": lambda ad: ad,
        "ad_group": lambda ad: ad.group,
        "campaign": lambda ad: ad.campaign,
        "advertiser": lambda ad: advertiser,
        "": lambda ad: advertiser,
    }[id_level]
    entities: list[Entity] = [keep(ad) for ad in owners] if id_level != "ad" else list(owners)
    unique_rows = id_level == "ad" and (by_day or by_hour)
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
        },
        promote_rows=promote_rows,
        meaningless=meaningless,
    )


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
    needed: dict[str, Total], cells: list[tuple[int, int, int, int, int]], days: list[int], bits: list[int], today: int
) -> dict[str, list[int]]:
    """Each needed total for each ad and day, as seen at the world's clock."""
    base: dict[str, list[int]] = {
        name: [cell[place] for cell in cells] for place, name in ((1, "impressions"), (2, "clicks"), (3, "spend"))
    }
    grown = [GROWTH[min(today - day, 7)] for day in days]
    complete = not grown or min(grown) == 100
    columns: dict[str, list[int]] = {}

    def compute(how: Total) -> list[int]:
        if how.name in base:
            return base[how.name]
        if how.name in columns:
            return columns[how.name]
        share, shift = how.share, how.shift
        if how.name == "billed_cost":
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
    return {name: list(compute(how)) for name, how in needed.items()}


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
        raw = columns[name]
        if how.missing_when_zero:
            column = [value or None for value in raw]
        elif how.money and how.decimals != 2:
            scale = 10 ** (how.decimals - 2)
            column = [value * scale for value in raw]
        else:
            column = list(raw)
    elif isinstance(how, Unique):
        share = UNIQUE_SHARE[level]
        column = [(value * share + 999) // 1000 for value in columns[how.total]]
    elif isinstance(how, Remainder):
        column = [a - b for a, b in zip(columns[how.whole], columns[how.part], strict=True)]
    else:
        upper, lower = _plain(how.upper, columns, level), _plain(how.lower, columns, level)
        # Money columns are in hundredths, so the quotient is shifted by the difference of the two.
        shift = how.decimals + _hundredths(how.lower) - _hundredths(how.upper)
        times = how.factor * 10 ** max(shift, 0) * 2
        by = 10 ** max(-shift, 0)
        column = [(a * times + b * by) // (2 * b * by) if b else None for a, b in zip(upper, lower, strict=True)]
    memo[name] = column
    return column


def _plain(name: str, columns: dict[str, list[int]], level: str) -> list[int]:
    """A total or unique count in whole units or hundredths, as ratios are computed from."""
    how = definition(name)
    if isinstance(how, Unique):
        share = UNIQUE_SHARE[level]
        return [(value * share + 999) // 1000 for value in columns[how.total]]
    return columns[name]


def _hundredths(name: str) -> int:
    how = definition(name)
    return 2 if isinstance(how, Total) and how.money else 0


def ordered(table: Table, name: str, descending: bool) -> list[int]:
    """Row numbers in the order of a metric; missing values last."""
    column: Sequence[object] = table.numbers.get(name) or table.attributes[name]
    present = [(value, row) for row, value in enumerate(column) if value is not None]
    present.sort(key=itemgetter(0), reverse=descending)
    return [row for _, row in present] + [row for row, value in enumerate(column) if value is None]
