"""The warning on our columns while an import is on: who edits there is asked to wait a minute.

A protected range of Google's that warns and forbids nothing, one for each tab of rows. It is made with the batch that
takes the lease and removed with the one that gives it back; what a run that was killed has left, the next one removes.
A range is ours by its description.
"""

from __future__ import annotations

from collections.abc import Iterable

from owox_tiktok.sheets.cells import Json
from owox_tiktok.sheets.table import Table, table_of
from owox_tiktok.sheets.tabs import PLEASE_WAIT, Structure
from owox_tiktok.streams import STREAMS


def tables_of(structure: Structure) -> list[Table]:
    """Return the tabs that rows are imported into."""
    found = (table_of(structure, name) for name in STREAMS)
    return [table for table in found if table is not None]


def warnings(tables: Iterable[Table]) -> list[Json]:
    """Return the making of the warnings: one for each tab, on our columns and what is between them."""
    batch: list[Json] = []
    for table in tables:
        if table.columns:
            columns = table.columns.values()
            place = {"sheetId": table.tab.id, "startColumnIndex": min(columns), "endColumnIndex": max(columns) + 1}
            made = {"range": place, "description": PLEASE_WAIT, "warningOnly": True}
            batch.append({"addProtectedRange": {"protectedRange": made}})
    return batch


def removed(numbers: Iterable[int]) -> list[Json]:
    """Return the removal of warnings by their ids."""
    return [{"deleteProtectedRange": {"protectedRangeId": number}} for number in sorted(numbers)]
