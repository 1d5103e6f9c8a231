"""What a look at a tab has found, held for all steps of a run: each row's key, and a hash of our cells in it.

So a row that is to be stored as it stands there needs neither to be read again nor to be written, wherever it is: a tab
that somebody has sorted costs no more than one in date order. What is held may be outdated, since people edit while
we write. So the last look before a write, and the answer to it, show the keys of the rows that are written; and cells
that were changed meanwhile are found by the next audit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence

from owox_tiktok.model import Stream
from owox_tiktok.sheets.cells import Cell
from owox_tiktok.sheets.table import Key

CELLS_AT_ONCE = 500_000
"""So many cells are read at a time."""
UNKNOWN = 0
"""The hash of a row that was not read whole."""


class Look:
    """The rows of a tab: ``keys``, None for a row that has none, and ``hashes`` of our cells in the tab's order.

    It is good as long as our columns are where they were: ``columns``. ``single``: no two rows have the same key.
    """

    __slots__ = ("columns", "hashes", "keys", "single")

    def __init__(
        self,
        columns: Mapping[str, int],
        keys: list[Key | None],
        hashes: array[int] | None = None,
        *,
        single: bool = False,
    ) -> None:
        self.columns, self.keys, self.single = columns, keys, single
        self.hashes = array("q", bytes(8 * len(keys))) if hashes is None else hashes

    def add(self, keys: Sequence[Key | None]) -> None:
        """Take the keys of more rows, behind the last."""
        self._reach(len(self.keys) + len(keys), keys)

    def insert(self, at: int, keys: Sequence[Key], hashes: Sequence[int]) -> None:
        """Take note that rows were inserted before row ``at``, or added behind the last."""
        self._reach(at)
        self.keys[at:at] = keys
        self.hashes[at:at] = array("q", hashes)

    def fill(self, at: int, keys: Sequence[Key], hashes: Sequence[int]) -> None:
        """Take note that blank rows from ``at`` on have got rows of ours."""
        self._reach(at + len(keys))
        self.keys[at : at + len(keys)] = keys
        self.hashes[at : at + len(keys)] = array("q", hashes)

    def write(self, row: int, key: Key, hashed: int) -> None:
        """Take note that a row was written."""
        self.keys[row], self.hashes[row] = key, hashed

    def empty(self, row: int) -> None:
        """Take note that our cells of a row were emptied."""
        self.keys[row], self.hashes[row] = None, UNKNOWN

    def delete(self, rows: Sequence[int]) -> None:
        """Take note that rows, in ascending order, were deleted."""
        if gone := set(rows):
            self.keys[:] = [key for row, key in enumerate(self.keys) if row not in gone]
            self.hashes = array("q", [one for row, one in enumerate(self.hashes) if row not in gone])

    def _reach(self, rows: int, keys: Sequence[Key | None] = ()) -> None:
        lacking = rows - len(self.keys)
        if lacking > 0:
            self.keys += keys or [None] * lacking
            self.hashes.frombytes(bytes(8 * lacking))


def hash_of(cells: Sequence[Cell]) -> int:
    """Return a hash of a row's cells, never UNKNOWN. Cells that are the ``same`` have the same; a tick is not a 1."""
    return hash(tuple([f"\0{v}" if v is True or v is False else v for v in cells])) or 1


def is_as_written(stream: Stream, key: Key, places: Mapping[str, int], cells: Sequence[Cell]) -> bool:
    """Whether the cells of a key are as they are written: no id that became a number, no day that was typed as text.

    Such a key is understood, and its row is to be written in any case. ``places`` are the columns in ``cells``.
    """
    for name, part in zip(stream.keys, key, strict=True):
        value = cells[places[name]]
        if isinstance(value, str) != (isinstance(part, str) and name != stream.time):
            return False
    return True


def spread(rows: Sequence[int], most: int) -> Iterator[int]:
    """Yield ``most`` of ascending ``rows``, evenly chosen and the first and the last among them; or all of a few."""
    if len(rows) <= most:
        yield from rows
        return
    for n in range(most):
        yield rows[n * (len(rows) - 1) // (most - 1)]
