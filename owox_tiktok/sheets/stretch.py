"""Her filter, banding and native table over our rows reach as far as the rows do.

Rows are inserted before our last one, so what spans it grows by itself. What covered nothing but headings, because the
tab was empty, or ended with a single row, does not: rows go behind that. So what began at our headings and ended where
rows were put is made longer, once, at the end of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from owox_tiktok.sheets.cells import Json

FIELDS = "sheets(properties.sheetId,basicFilter,bandedRanges(bandedRangeId,range),tables(tableId,range))"
"""What is to be known of a tab."""


class Behind(NamedTuple):
    """Rows that were put behind the last row of a tab, or behind its headings: all rows and columns count from 0.

    ``end`` was behind our last row before, ``now`` is; ``columns`` are ours.
    """

    header: int
    end: int
    now: int
    columns: frozenset[int]


def stretched(answer: Json, behind: Mapping[int, Behind]) -> list[Json]:
    """Return the requests that make longer what ends where rows were put, given what ``FIELDS`` are, by tab."""
    return [one for sheet in answer.get("sheets", []) for one in _of_tab(sheet, behind)]


def _of_tab(sheet: Json, behind: Mapping[int, Behind]) -> Iterator[Json]:
    about = behind.get(sheet.get("properties", {}).get("sheetId", 0))
    if about is None:
        return
    basic = sheet.get("basicFilter", {})
    if (place := _longer(basic.get("range"), about)) and "tableId" not in basic:
        # The old form of the criteria beside the new one would be refused, and an order would be carried out again.
        kept = {k: v for k, v in basic.items() if k != "sortSpecs" and (k != "criteria" or "filterSpecs" not in basic)}
        yield {"setBasicFilter": {"filter": {**kept, "range": place}}}
    for one in sheet.get("bandedRanges", []):
        if place := _longer(one.get("range"), about):
            banded = {"bandedRangeId": one["bandedRangeId"], "range": place}
            yield {"updateBanding": {"bandedRange": banded, "fields": "range"}}
    for one in sheet.get("tables", []):
        if place := _longer(one.get("range"), about):
            yield {"updateTable": {"table": {"tableId": one["tableId"], "range": place}, "fields": "range"}}


def _longer(place: Json | None, about: Behind) -> Json | None:
    """Return the range as it should be; None where it is right, or not about our rows."""
    if not place or "endRowIndex" not in place:
        return None  # it has no end
    columns = range(place.get("startColumnIndex", 0), place.get("endColumnIndex", 1 << 20))
    ours = any(column in columns for column in about.columns)
    began = place.get("startRowIndex", 0) <= about.header + 1
    if not ours or not began or not about.end <= place["endRowIndex"] < about.now:
        return None
    return {**place, "endRowIndex": about.now}
