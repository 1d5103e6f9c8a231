"""The hidden tab with the cursors, and the columns each tab was given: read, and written along with the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from owox_tiktok.model import Cursor
from owox_tiktok.sheets import requests
from owox_tiktok.sheets.cells import Cell, Json, cell, text_cell
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.tabs import Snapshot, Structure, Tab, new_tab, tagged_tab

STATE = "(state)"
"""The hidden tab's name in its tag; no stream is called that."""
STATE_TITLE = "_owox_tiktok_state"
STATE_COLUMNS = (
    "object", "advertiser_id", "since", "through", "fields", "refused", "with_deleted", "read_at", "read_on",
    "last_error",
)  # fmt: skip
COLUMNS_MADE = "(columns)"
"""In place of an advertiser: the columns a tab has been given, so that one a person deleted is noticed."""
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


def cursor_of(texts: Sequence[str]) -> Cursor:
    """Return the cursor a row of the hidden tab says; ValueError when it says none."""
    _, _, since, through, fields, refused, with_deleted, read_at, read_on, error = texts
    return Cursor(
        fields=frozenset(fields.split()),
        read_at=datetime.fromisoformat(read_at),
        read_on=date.fromisoformat(read_on),
        since=date.fromisoformat(since) if since else None,
        through=date.fromisoformat(through) if through else None,
        refused=frozenset(refused.split()),
        with_deleted=with_deleted == "true",
        error=error,
    )


def emptied(cursor: Cursor) -> Cursor:
    """Return what is left of a cursor when its tab is gone."""
    return replace(cursor, fields=frozenset(), since=None, through=None)


def _cursor_row(pair: Pair, cursor: Cursor) -> list[Cell]:
    return [
        pair[0],
        pair[1] or None,
        cursor.since.isoformat() if cursor.since else None,
        cursor.through.isoformat() if cursor.through else None,
        " ".join(sorted(cursor.fields)) or None,
        " ".join(sorted(cursor.refused)) or None,
        "true" if cursor.with_deleted else "false",
        cursor.read_at.astimezone(UTC).isoformat(),
        cursor.read_on.isoformat(),
        text_cell(cursor.error),
    ]


def state_requests(
    structure: Structure,
    state: Tab | None,
    rows: Sequence[Sequence[Cell]],
    cursors: Mapping[Pair, Cursor],
    made: Mapping[str, frozenset[str]],
) -> list[Json]:
    """Return writes of cursors, and of the columns made, into the hidden tab; makes it when it is not there."""
    batch: list[Json] = []
    if state is None:
        state = Tab(structure.free_id(), structure.free_title(STATE_TITLE), 2, len(STATE_COLUMNS), 1)
        batch += new_tab(state, STATE, hidden=True)
        batch.append(requests.write(state.id, 0, 0, [{"values": [cell(n) for n in STATE_COLUMNS]}]))
        rows = [list(STATE_COLUMNS[:2])]
    wanted: dict[Pair, list[Cell]] = {pair: _cursor_row(pair, c) for pair, c in cursors.items()}
    for name, columns in made.items():
        wanted[name, COLUMNS_MADE] = [name, COLUMNS_MADE, None, None, " ".join(sorted(columns))]
    at = {(str(r[0] or ""), str(r[1] or "")): n for n, r in enumerate(rows) if any(v is not None for v in r)}
    end = max([*at.values(), 0]) + 1
    writes = []
    for pair, values in wanted.items():
        if pair not in at:
            at[pair], end = end, end + 1
        writes.append(requests.write(state.id, at[pair], 0, [{"values": [cell(v) for v in values]}]))
    if end > state.rows:
        batch.append(requests.append(state.id, "ROWS", end - state.rows))
    if state.columns < len(STATE_COLUMNS):
        batch.append(requests.append(state.id, "COLUMNS", len(STATE_COLUMNS) - state.columns))
    return batch + writes
