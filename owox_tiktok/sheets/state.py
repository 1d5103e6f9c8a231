"""The hidden tab: what is known of each pair of an object and an advertiser, written along with the rows it speaks of.

One row per pair, in the columns of ``cursors.RECORD``, and one per pair and month with its seals in the column after
those (see ``months``). Rows are known by their first two cells, never by their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from owox_tiktok import cursors
from owox_tiktok.cursors import RECORD, Record
from owox_tiktok.model import Known
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import Cell, Json, cell, text_cell
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.table import Table
from owox_tiktok.sheets.tabs import Snapshot, Structure, Tab, new_tab, tagged_tab

STATE = "(state)"
"""The hidden tab's name in its tag; no stream is called that."""
STATE_TITLE = "_owox_tiktok_state"
STATE_COLUMNS = (*(part.name for part in RECORD), "seals")
REQUESTS = ("(requests)", "")
"""The first cells of the row that says how many requests all runs took, to read and to check; it stands among seals."""
_TABLE_ID = STATE_COLUMNS.index("table_id")
Pair = tuple[str, str]


def state_tab(structure: Structure) -> Tab | None:
    """Return the hidden tab, None where there is none yet."""
    found = tagged_tab(structure, STATE)
    return found[0] if found else None


def state_keys(state: Tab) -> Block:
    """Return where the names of streams and advertisers stand in the hidden tab."""
    return Block(state.id, 0, state.rows, 0, 2)


def pairs_seen(state: Tab | None, seen: Mapping[int, Snapshot]) -> list[list[Cell]] | None:
    """Return the names of streams and advertisers in a last look at the hidden tab; None when it has changed."""
    if state is None:
        return []
    if state.id not in seen or seen[state.id].rows != state.rows:
        return None
    values = seen[state.id].values
    return [[values.get(row, {}).get(column) for column in (0, 1)] for row in range(state.rows)]


def records_in(rows: Iterable[Sequence[Cell]]) -> dict[Pair, Record]:
    """Return what the rows of the hidden tab say, its headings and whatever else a person wrote there left out.

    A row that was changed so that it says nothing any more is no record: its days are read again.
    """
    found = {}
    for row in rows:
        texts = [v if isinstance(v, str) else "" for v in row]
        with suppress(ValueError):
            record = Record.of_texts(texts)
            if record.cursor or record.failure:
                found[record.pair] = record
    return found


def seals_in(rows: Iterable[Sequence[Cell]], table_ids: Mapping[str, str]) -> dict[Pair, str]:
    """Return the months of seals in the rows of the hidden tab that speak of the tabs (by object) that are there.

    Among them, under ``REQUESTS``, how many requests there were.
    """
    found = {}
    for row in rows:
        if len(row) < len(STATE_COLUMNS):
            continue
        name, advertiser_id, table_id, text = (row[n] for n in (0, 1, _TABLE_ID, -1))
        key = str(name), str(advertiser_id or "")
        speaks = table_id is not None and table_id == table_ids.get(key[0].partition(" ")[0])
        if isinstance(text, str) and (speaks or key == REQUESTS):
            found[key] = text
    return found


def adopted(record: Record, table: Table | None) -> Record:
    """Return a record with the tab it speaks of. The first version named none: it meant the one that is there."""
    if table is None or record.cursor is None or record.table_id:
        return record
    return replace(record, table_id=tab_id(table))


def tab_id(table: Table) -> str:
    """Return what distinguishes a stream's tab from one that was made in its place, or copied from it."""
    return str(table.tab.id)


def known(record: Record, table: Table | None) -> Known:
    """Return what a record still says now that ``table`` (None: there is none) is the stream's tab."""
    there = None if table is None else cursors.Table(tab_id(table), table.names)
    return cursors.known(adopted(record, table), there, f"the tab of {record.object}")


def state_requests(
    structure: Structure,
    state: Tab | None,
    rows: Sequence[Sequence[Cell]],
    records: Mapping[Pair, Record],
    seals: Mapping[Pair, str] | None = None,
    table_ids: Mapping[str, str] | None = None,
) -> list[Json]:
    """Return writes of records and months of seals into the hidden tab; makes it when it is not there.

    An empty record blanks its row, and so does an empty month. ``table_ids`` are, by object, those
    of the tabs that the seals speak of.
    """
    batch: list[Json] = []
    if state is None:
        state = Tab(structure.free_id(), structure.free_title(STATE_TITLE), 2, len(STATE_COLUMNS), 1)
        batch += new_tab(state, STATE, hidden=True)
        batch.append(requests.write(state.id, 0, 0, [{"values": [cell(n) for n in STATE_COLUMNS]}]))
        rows = [list(STATE_COLUMNS[:2])]
    at = {(str(r[0] or ""), str(r[1] or "")): n for n, r in enumerate(rows) if any(v is not None for v in r)}
    end = max([*at.values(), 0]) + 1
    writes = []
    lines = {pair: _line_of(record) for pair, record in records.items()}
    for pair, text in (seals or {}).items():
        lines[pair] = _line_of_month(pair, text, (table_ids or {}).get(pair[0].partition(" ")[0], ""))
    for pair, values in lines.items():
        if pair not in at:
            if not any(values):
                continue
            at[pair], end = end, end + 1
        writes.append(requests.write(state.id, at[pair], 0, [{"values": [cell(v) for v in values]}]))
    if end > state.rows:
        batch.append(requests.append(state.id, "ROWS", end - state.rows))
    if state.columns < len(STATE_COLUMNS):
        batch.append(requests.append(state.id, "COLUMNS", len(STATE_COLUMNS) - state.columns))
    return batch + writes


def _line_of(record: Record) -> list[Cell]:
    empty = record.cursor is None and record.failure is None
    return [*(None if empty else text_cell(text) for text in record.texts()), None]


def _line_of_month(pair: Pair, text: str, table_id: str) -> list[Cell]:
    line: list[Cell] = [None] * len(STATE_COLUMNS)
    if text:
        line[0], line[1], line[_TABLE_ID], line[-1] = pair[0], pair[1] or None, table_id, text
    return line
