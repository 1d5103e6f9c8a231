"""Which cells of a person's tab change: case by case, and as properties over tabs that nobody would think of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok.model import Stream
from owox_tiktok.sheets.layout import COPY, Layout, Portion
from owox_tiktok.sheets.look import Look
from owox_tiktok.sheets.table import Key
from owox_tiktok.streams import STREAMS
from tests.grid import Formula, Grid, Line

ADS, DAILY = STREAMS["ads"], STREAMS["ad_report_daily"]
NAMES = ("advertiser_id", "ad_id", "ad_name", "campaign_id")
HERS = None
"""In a list of columns: one of the person's own."""


def portion(rows: dict[str, str], *, stream: Stream = ADS, whole: bool = True) -> Portion:
    """Ads with these names, by id; ``whole``: all that advertiser 1 has, so that others of his vanish."""
    cells: dict[Key, tuple[Any, ...]] = {("1", ad): ("1", ad, name, "9") for ad, name in rows.items()}

    def mine(key: Key) -> int | None:
        return 0 if key[0] == "1" else None

    def ends(key: Key) -> int | None:
        return 0 if key[0] == "1" and key not in cells else None

    if not whole:
        return Portion(stream, NAMES, cells, completes=lambda k: 0 if k in cells else None)
    return Portion(stream, NAMES, cells, ends=ends, replaces=mine, completes=mine)


def laid_out(grid: Grid, what: Portion) -> Layout | None:
    """The layout of a portion with all it asks for; None when it does not fit."""
    layout = begun(grid, what)
    return layout if layout.fits(grid.cells(layout.around), grid.snapshot(layout.looked_at)) else None


def begun(grid: Grid, what: Portion, fill: Any = None) -> Layout:
    """The layout of a portion with what it asks for first."""
    layout = Layout(grid.table, what, Look(grid.table.columns, grid.keys), fill)
    assert all(layout.compare(piece, grid.values(piece)) for piece in layout.compared)
    return layout


def store(grid: Grid, what: Portion) -> tuple[Layout, list[Any]]:
    """Lay a portion out and apply it, with what is left for a second batch; return the layout and all requests."""
    layout = laid_out(grid, what)
    assert layout is not None
    batch, rest = apply(grid, layout), layout.rest
    if rest:
        second = begun(grid, *rest)
        assert second.fits(grid.cells(second.around), grid.snapshot(second.looked_at))
        batch += apply(grid, second)
        layout.done.gone, layout.done.kept = second.done.gone, second.done.kept
    layout.count(grid.keys)
    return layout, batch


def apply(grid: Grid, layout: Layout) -> list[Any]:
    batch, rows = layout.requests(), len(grid.lines)
    after = layout.keys_after()
    grid.apply(batch)
    keys = grid.keys
    assert after + [None] * (len(keys) - len(after)) == keys, "what it says the rows are is what they are"
    if batch:
        assert layout.landed(grid.snapshot(layout.read_back)), "what it expects to read back is what is there"
    assert len(grid.lines) - rows <= layout.grown // len(grid.columns) + 1
    return batch


def ours(grid: Grid) -> list[tuple[Any, ...]]:
    """Our cells of the rows that have a key, without the headings, in the order of NAMES."""
    at = [grid.columns.index(n) for n in NAMES]
    return [
        tuple(line.cells[c] for c in at)
        for row, (line, key) in enumerate(zip(grid.lines, grid.keys, strict=True))
        if key is not None and row != grid.header
    ]


def simple(*ads: str, hers: Sequence[Any] = ()) -> Grid:
    """A tab with these ads, and a column of hers."""
    rows = [["1", ad, f"name {ad}", "9", hers[n] if n < len(hers) else None] for n, ad in enumerate(ads)]
    return Grid(ADS, [*NAMES, HERS], rows)


# --- case by case -----------------------------------------------------------------------------------------------------


def test_a_known_row_keeps_its_place_and_only_what_differs_is_written() -> None:
    grid = simple("a", "b", "c", hers=["x", "y", "z"])
    _, batch = store(grid, portion({"a": "name a", "b": "changed", "c": "name c"}))
    (request,) = batch
    start = request["updateCells"]["start"]
    assert (start["rowIndex"], start["columnIndex"]) == (2, 2)
    assert request["updateCells"]["rows"] == [{"values": [{"userEnteredValue": {"stringValue": "changed"}}]}]


def test_new_rows_go_behind_ours_and_the_grid_grows() -> None:
    grid = simple("a")
    layout, _ = store(grid, portion({"b": "B", "a": "name a", "c": "C"}))
    assert [r[1] for r in ours(grid)] == ["a", "b", "c"]
    assert layout.grown == 2 * 5
    assert layout.done.rows == {0: 3}
    assert layout.done.replaced == {0: 1}


def test_rows_go_before_a_total_that_stands_below() -> None:
    grid = simple("a")
    grid.lines.append(Line([None, None, "TOTAL", None, "hers"]))
    store(grid, portion({"a": "name a", "b": "B"}))
    assert [line.cells[2] for line in grid.lines] == ["ad_name", "name a", "B", "TOTAL"]
    assert grid.lines[3].cells[4] == "hers"


def test_a_vanished_row_goes_unless_it_holds_something_of_hers() -> None:
    grid = simple("a", "b", "c", hers=[None, "remark", None])
    grid.lines[3].notes[0] = "a note on our cell"
    layout, _ = store(grid, portion({}))
    assert ours(grid) == []
    assert [line.cells[4] for line in grid.lines[1:]] == ["remark", None]
    assert grid.lines[2].notes == {0: "a note on our cell"}
    assert sorted(layout.done.kept) == [(0, 3), (0, 4)]
    assert layout.done.gone == 3


def test_other_rows_are_left_alone() -> None:
    grid = simple("a")
    grid.lines.append(Line(["2", "z", "of another account", "9", None]))
    store(grid, portion({"a": "name a"}))
    assert [r[2] for r in ours(grid)] == ["name a", "of another account"]


def test_without_a_scope_nothing_vanishes() -> None:
    grid = simple("a", "b")
    layout, _ = store(grid, portion({"c": "C"}, whole=False))
    assert [r[1] for r in ours(grid)] == ["a", "c", "b"], "before the last of several, so that spans grow"
    assert layout.done.gone == 0


def test_of_two_rows_with_one_key_the_second_is_the_copy() -> None:
    grid = simple("a", "a", hers=["first", None])
    layout, _ = store(grid, portion({"a": "new"}))
    assert ours(grid) == [("1", "a", "new", "9")]
    assert grid.lines[1].cells[4] == "first"
    grid = simple("a", "a", hers=[None, "second"])
    layout, _ = store(grid, portion({"a": "new"}))
    assert layout.done.kept == [(COPY, 3)]
    assert grid.lines[2].cells == [None, None, None, None, "second"]


def test_her_formula_is_filled_into_new_rows_and_a_spilling_one_is_not() -> None:
    grid = simple("a", hers=[Formula("=LEN(C{row})")])
    store(grid, portion({"a": "name a", "b": "B", "c": "C"}))
    assert [line.cells[4] for line in grid.lines[1:]] == [Formula("=LEN(C{row})")] * 3
    grid = simple("a", hers=[Formula("=ARRAYFORMULA(C2:C)")])
    store(grid, portion({"a": "name a", "b": "B"}))
    assert [line.cells[4] for line in grid.lines[1:]] == [Formula("=ARRAYFORMULA(C2:C)"), None]


def test_a_heading_of_hers_that_is_a_formula_is_not_filled_down() -> None:
    grid = simple()
    grid.lines[0].cells[4] = Formula('="Remarks of "&YEAR(NOW())')
    store(grid, portion({"a": "A", "b": "B"}))
    assert [line.cells[4] for line in grid.lines[1:]] == [None, None]


def test_formulas_that_were_filled_ahead_are_used() -> None:
    grid = simple("a", hers=[Formula("=LEN(C{row})")])
    grid.lines += [Line([None, None, None, None, Formula("=LEN(C{row})")]) for _ in range(2)]
    grid.lines.append(Line([None, None, "TOTAL", None, None]))
    store(grid, portion({"a": "name a", "b": "B", "c": "C", "d": "D"}))
    assert [line.cells[2] for line in grid.lines[1:]] == ["name a", "B", "C", "D", "TOTAL"]
    assert [line.cells[4] for line in grid.lines[1:]] == [Formula("=LEN(C{row})")] * 4 + [None]


def test_the_last_row_with_a_formula_keeps_it() -> None:
    grid = simple("a", "b", hers=[Formula("=LEN(C{row})")] * 2)
    store(grid, portion({}))
    assert [line.cells[4] for line in grid.lines[1:]] == [Formula("=LEN(C{row})")]
    store(grid, portion({"x": "X", "y": "Y"}))
    assert [line.cells[4] for line in grid.lines[1:]] == [Formula("=LEN(C{row})")] * 2


def test_one_row_below_the_headings_is_left_for_google() -> None:
    grid = simple("a", "b")
    store(grid, portion({}))
    assert len(grid.lines) == 2
    assert grid.lines[1].cells == [None] * 5


CHANGES: dict[str, Any] = {
    "a column moved": lambda g: g.columns.insert(0, g.columns.pop()),
    "a column was deleted": lambda g: g.columns.__setitem__(2, None),
    "a row was deleted": lambda g: g.lines.pop(1),
    "a row was inserted": lambda g: g.lines.insert(1, Line([None] * 5)),
    "it was sorted": lambda g: g.lines.__setitem__(slice(1, None), g.lines[:0:-1]),
    "a row of ours was pasted below": lambda g: g.lines.__setitem__(4, Line(["1", "q", None, None, None])),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_has_changed_before_the_last_look_does_not_fit(what: str) -> None:
    grid = simple("a", "b", "c")
    grid.lines.append(Line([None] * 5))
    wanted = portion({"a": "new", "c": "new", "d": "new"})
    layout = begun(grid, wanted)
    cells, blocks = grid.cells(layout.around), layout.looked_at
    CHANGES[what](grid)
    rows = len(grid.lines)
    seen = grid.snapshot([b._replace(bottom=min(b.bottom, rows)) for b in blocks if b.top < rows])
    assert not layout.fits(cells, seen)


def test_a_tab_that_is_gone_does_not_fit() -> None:
    grid = simple("a")
    assert not begun(grid, portion({"a": "new"})).fits({}, None)


def test_many_scattered_rows_that_vanish_are_read_beforehand() -> None:
    grid = Grid(ADS, [*NAMES, *[HERS] * 40], [["1", f"{n}", "x", "9"] for n in range(6_000)])
    grid.lines[61].cells[5] = "remark"
    wanted = portion({f"{n}": "x" for n in range(6_000) if n % 60})
    layout = begun(grid, replace(wanted, rows={}))
    assert layout.around
    assert len(layout.looked_at) < 200
    store(grid, wanted)
    assert len(ours(grid)) == len(wanted.rows)
    assert [line.cells[5] for line in grid.lines].count("remark") == 1


# --- at random --------------------------------------------------------------------------------------------------------

IDS = st.sampled_from("abcdefgh")
THEIRS = st.sampled_from(
    [None, None, "remark", Formula("=LEN(C{row})"), Formula("=LEN(C{row})*2"), Formula("=UNIQUE(C2:C)"), 5]
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["ours", "ours", "ours", "another's", "blank", "hers"]),
        IDS,
        THEIRS,
        THEIRS,
        st.sampled_from(["", "", "", "note"]),
    ),
    max_size=14,
)
PORTIONS = st.dictionaries(IDS, st.sampled_from(["A", "B", "=1+1"]), max_size=8)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """A tab as it may be after years: columns moved, hers between, copies, remarks, notes, rows above the headings."""
    order = draw(st.permutations([*NAMES, "first", "second"]))
    columns = [HERS if c in ("first", "second") else c for c in order]
    rows = []
    notes = []
    for number, (kind, ad, first, second, note) in enumerate(draw(ROWS)):
        own = {"ours": ("1", ad), "another's": ("2", ad)}.get(kind, (None, None))
        cells = dict(zip(NAMES, (*own, None if kind == "blank" else f"old {number}", None), strict=True))
        if kind == "hers":
            first = first or "her row"
        rows.append([{**cells, "first": first, "second": second}[c] for c in order])
        notes.append(note)
    grid = Grid(ADS, columns, rows)
    for line, note in zip(grid.lines[1:], notes, strict=True):
        if note:
            line.notes[draw(st.integers(0, 5))] = note
    above = draw(st.integers(0, 2))
    grid.lines[:0] = [Line([None] * 6) for _ in range(above)]
    grid.header += above
    return grid


def hers(grid: Grid) -> list[tuple[tuple[Any, ...], dict[int, str]]]:
    """What is hers in each row: cells of her columns, and notes."""
    at = [n for n, c in enumerate(grid.columns) if c is HERS]
    return [(tuple(line.cells[c] for c in at), dict(line.notes)) for line in grid.lines]


def is_formula(value: Any) -> bool:
    return isinstance(value, Formula)


@given(grid=grids(), rows=PORTIONS, whole=st.booleans())
def test_ours_equal_what_was_read_and_nothing_else_of_ours_changes(
    grid: Grid, rows: dict[str, str], whole: bool
) -> None:
    before = ours(grid)
    wanted = portion(rows, whole=whole)
    layout, _ = store(grid, wanted)
    after = ours(grid)
    for key, cells in wanted.rows.items():
        assert [r for r in after if r[:2] == key] == [cells], "each row once, cell by cell"
    once = [r for n, r in enumerate(before) if r[:2] not in {o[:2] for o in before[:n]}]
    outside = [r for r in once if r[:2] not in wanted.rows and (not whole or r[0] != "1")]
    assert [r for r in after if r[:2] not in wanted.rows] == outside
    assert layout.done.rows.get(0, 0) == len(wanted.rows)
    assert grid.touched == [], "only formulas that are filled down go into columns of hers"


@given(grid=grids(), rows=PORTIONS, whole=st.booleans())
def test_what_is_hers_stays_and_stays_beside_its_row(grid: Grid, rows: dict[str, str], whole: bool) -> None:
    wanted = portion(rows, whole=whole)
    old_keys, old = grid.keys, hers(grid)
    layout, _ = store(grid, wanted)
    keys, new = grid.keys, hers(grid)

    def said(lines: list[tuple[tuple[Any, ...], dict[int, str]]]) -> Counter[str]:
        """Remarks, figures and notes: whatever is no formula."""
        cells = [str(v) for line, _ in lines for v in line if v is not None and not is_formula(v)]
        return Counter(cells + [note for _, notes in lines for note in notes.values()])

    assert said(new) == said(old)
    # A known row has beside it exactly what it had.
    first = {key: row for row, key in reversed(list(enumerate(old_keys))) if key is not None}
    for row, key in enumerate(keys):
        if key in first and row != grid.header:
            count = old_keys.count(key)
            assert new[row] == old[first[key]] or count > 1
    # Rows without a key are as they were, in the same order: only emptied ones come between, and new blank ones.
    unkeyed = [line for line, key in zip(old, old_keys, strict=True) if key is None and line != ((None, None), {})]
    left = iter([line for line, key in zip(new, keys, strict=True) if key is None])
    ahead = sum(all(is_formula(v) or v is None for v in cells) and not notes for cells, notes in unkeyed)
    missing = sum(line not in left for line in unkeyed)
    assert missing <= ahead, "only rows with formulas filled ahead are taken for new rows"
    # No formula of hers dies out.
    alive = {(c, v) for cells, _ in new for c, v in enumerate(cells) if is_formula(v)}
    assert {(c, v) for cells, _ in old for c, v in enumerate(cells) if is_formula(v)} == alive
    assert layout.done.gone >= len(layout.done.kept)


@given(grid=grids(), rows=PORTIONS, whole=st.booleans())
def test_twice_is_once(grid: Grid, rows: dict[str, str], whole: bool) -> None:
    wanted = portion(rows, whole=whole)
    store(grid, wanted)
    once = [(list(line.cells), dict(line.notes)) for line in grid.lines]
    layout, batch = store(grid, wanted)
    assert batch == []
    assert [(list(line.cells), dict(line.notes)) for line in grid.lines] == once
    assert layout.done.gone == 0
    assert layout.grown == 0


@given(
    grid=grids(), rows=PORTIONS, change=st.sampled_from(["swap rows", "swap columns", "insert", "delete"]), at=st.data()
)
def test_on_positions_that_moved_it_does_not_write(
    grid: Grid, rows: dict[str, str], change: str, at: st.DataObject
) -> None:
    wanted = portion(rows)
    layout = begun(grid, wanted)
    cells, blocks = grid.cells(layout.around), layout.looked_at
    row = at.draw(st.integers(0, len(grid.lines) - 1))
    other = at.draw(st.integers(0, len(grid.lines) - 1))
    if change == "swap rows":
        grid.lines[row], grid.lines[other] = grid.lines[other], grid.lines[row]
    elif change == "swap columns":
        one, two = row % 6, other % 6
        for cells_ in (grid.columns, *(line.cells for line in grid.lines)):
            cells_[one], cells_[two] = cells_[two], cells_[one]
    elif change == "insert":
        grid.lines.insert(row, Line([None] * 6))
    elif len(grid.lines) > 2:
        del grid.lines[row]
    bottom = len(grid.lines)
    seen = grid.snapshot([b._replace(bottom=min(b.bottom, bottom)) for b in blocks if b.top < bottom])
    if layout.is_bare or not layout.fits(cells, seen):
        return
    # It still fits: then every row that is written is the one it was taken for.
    grid_keys = grid.keys
    assert all(grid_keys[r] == layout._keys[r] for r in layout._recognised())


@given(grid=grids(), rows=PORTIONS, more=PORTIONS)
def test_in_two_portions_it_is_the_same_as_in_one(grid: Grid, rows: dict[str, str], more: dict[str, str]) -> None:
    """A window that is larger than a batch: its rows come in two, and what vanishes goes with the last."""
    whole = portion({**rows, **more})
    first = replace(portion(rows, whole=False))
    store(grid, first)
    second = replace(whole, rows={k: v for k, v in whole.rows.items() if k[1] in more or k[1] not in rows})
    second = replace(second, ends=lambda k: 0 if k[0] == "1" and k not in whole.rows else None)
    store(grid, second)
    assert sorted(r for r in ours(grid) if r[0] == "1") == sorted({**first.rows, **second.rows}.values())
