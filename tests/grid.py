"""A tab in memory, for the tests of the layout: cells, notes, formulas, tags of columns, and the requests it takes.

It knows no product code but the shapes that go in and out. A formula of hers is kept relative to its row, as a
spreadsheet keeps references when rows move: ``{row}`` stands for the row's number as people count it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from owox_tiktok.model import Stream
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.table import Key, Table, row_key, table_of
from owox_tiktok.sheets.tabs import COLUMN, HEADER, TAB, Snapshot, Structure, Tab, Tag, Written

TAB_ID = 7


class Formula(str):
    """A formula of hers; a text that looks like one is none."""


@dataclass
class Line:
    """One row of the tab: cells by column (``None``: blank), notes by column."""

    cells: list[Any]
    notes: dict[int, str] = field(default_factory=dict)


class Grid:
    """One tab. ``columns`` are its headings, ``None`` for one that is not ours; rows below come as lists of cells."""

    def __init__(self, stream: Stream, columns: Sequence[str | None], rows: Iterable[Sequence[Any]]) -> None:
        self.stream = stream
        self.columns = list(columns)
        self.header = 0
        self.lines = [Line([*columns])] + [Line([*row] + [None] * (len(columns) - len(row))) for row in rows]
        self.touched: list[tuple[str, int]] = []
        """Requests that wrote cells of columns that are not ours: name and column."""

    # --- what the layout is given ---

    @property
    def table(self) -> Table:
        tab = Tab(TAB_ID, "Ads", len(self.lines), len(self.columns), 1)
        tags = [Tag(1, TAB, f'{{"stream":"{self.stream.name}","tab":{TAB_ID}}}', TAB_ID)]
        tags += [Tag(2 + n, COLUMN, c, TAB_ID, "COLUMNS", n) for n, c in enumerate(self.columns) if c]
        tags.append(Tag(1000, HEADER, "", TAB_ID, "ROWS", self.header))
        found = table_of(Structure({TAB_ID: tab}, tuple(tags)), self.stream.name)
        assert found is not None
        return found

    @property
    def keys(self) -> list[Key | None]:
        places = [self.columns.index(k) for k in self.stream.keys]
        return [row_key(self.stream, [self._value(line, c) for c in places]) for line in self.lines]

    def values(self, blocks: Sequence[Block]) -> list[list[list[Any]]]:
        return [
            [[self._value(line, c) for c in range(b.left, b.right)] for line in self.lines[b.top : b.bottom]]
            for b in map(self._inside, blocks)
        ]

    def cells(self, blocks: Sequence[Block]) -> dict[int, dict[int, Written]]:
        found: dict[int, dict[int, Written]] = {}
        for block in map(self._inside, blocks):
            for row in range(block.top, block.bottom):
                for column in range(block.left, block.right):
                    if (written := self._written(row, column)) is not None:
                        found.setdefault(row, {})[column] = written
        return found

    def snapshot(self, blocks: Sequence[Block]) -> Snapshot:
        values: dict[int, dict[int, Any]] = {}
        for block in map(self._inside, blocks):
            for row in range(block.top, block.bottom):
                for column in range(block.left, block.right):
                    if (value := self._value(self.lines[row], column)) is not None:
                        values.setdefault(row, {})[column] = value
        seen = {c for b in blocks for c in range(b.left, b.right)}
        tagged = {c: frozenset({(COLUMN, n)} if (n := self.columns[c]) else ()) for c in seen}
        return Snapshot(len(self.lines), len(self.columns), values, self.cells(blocks), tagged)

    def _inside(self, block: Block) -> Block:
        assert block.tab == TAB_ID
        assert 0 <= block.top < block.bottom <= len(self.lines), f"{block} is outside of {len(self.lines)} rows"
        assert 0 <= block.left < block.right <= len(self.columns), f"{block} is outside of the columns"
        return block

    def _value(self, line: Line, column: int) -> Any:
        value = line.cells[column]
        return 0 if isinstance(value, Formula) else value

    def _written(self, row: int, column: int) -> Written | None:
        value, note = self.lines[row].cells[column], self.lines[row].notes.get(column, "")
        if value is None and not note:
            return None
        if isinstance(value, Formula):
            return Written(None, value.replace("{row}", str(row + 1)), note)
        return Written(value, "", note)

    # --- what Google does with requests ---

    def apply(self, batch: Sequence[Mapping[str, Any]]) -> None:
        for request in batch:
            ((name, body),) = request.items()
            getattr(self, f"_{name}")(body)

    def _updateCells(self, body: Mapping[str, Any]) -> None:
        assert body["fields"] == "userEnteredValue"
        if "range" in body:
            block = self._block(body["range"])
            rows: list[list[Any]] = [[None] * (block.right - block.left) for _ in range(block.top, block.bottom)]
            top, left = block.top, block.left
        else:
            top, left = body["start"]["rowIndex"], body["start"]["columnIndex"]
            rows = [[_entered(c) for c in row["values"]] for row in body["rows"]]
        for row, cells in enumerate(rows, top):
            for column, value in enumerate(cells, left):
                self._note_write("updateCells", column)
                self.lines[row].cells[column] = value

    def _copyPaste(self, body: Mapping[str, Any]) -> None:
        assert body["pasteType"] == "PASTE_FORMULA"
        source, target = self._block(body["source"]), self._block(body["destination"])
        assert source.bottom == source.top + 1
        assert (source.left, source.right) == (target.left, target.right)
        for row in range(target.top, target.bottom):
            for column in range(target.left, target.right):
                value = self.lines[source.top].cells[column]
                assert isinstance(value, Formula), "only formulas are filled down"
                assert self.columns[column] is None
                assert self.lines[row].cells[column] is None, "a cell of hers would be overwritten"
                self.lines[row].cells[column] = value

    def _insertDimension(self, body: Mapping[str, Any]) -> None:
        place = body["range"]
        assert place["dimension"] == "ROWS"
        start, count = place["startIndex"], place["endIndex"] - place["startIndex"]
        self.lines[start:start] = [Line([None] * len(self.columns)) for _ in range(count)]
        if self.header >= start:
            self.header += count

    def _appendDimension(self, body: Mapping[str, Any]) -> None:
        assert body["dimension"] == "ROWS"
        self.lines += [Line([None] * len(self.columns)) for _ in range(body["length"])]

    def _deleteDimension(self, body: Mapping[str, Any]) -> None:
        place = body["range"]
        assert place["dimension"] == "ROWS"
        start, end = place["startIndex"], place["endIndex"]
        assert 0 <= start < end <= len(self.lines)
        assert not start <= self.header < end, "the headings would go"
        assert len(self.lines) - (end - start) > 1, "Google refuses to delete all rows that are not frozen"
        del self.lines[start:end]
        if self.header >= end:
            self.header -= end - start

    def _repeatCell(self, body: Mapping[str, Any]) -> None:
        assert body["fields"] == "userEnteredFormat.numberFormat"
        block = self._block(body["range"])
        for column in range(block.left, block.right):
            self._note_write("repeatCell", column)

    def _block(self, place: Mapping[str, Any]) -> Block:
        names = ("sheetId", "startRowIndex", "endRowIndex", "startColumnIndex", "endColumnIndex")
        return self._inside(Block(*(place[n] for n in names)))

    def _note_write(self, name: str, column: int) -> None:
        if self.columns[column] is None:
            self.touched.append((name, column))


def _entered(cell: Mapping[str, Any]) -> Any:
    if not cell:
        return None
    ((kind, value),) = cell["userEnteredValue"].items()
    assert kind != "formulaValue", "no text of TikTok's becomes a formula"
    return value
