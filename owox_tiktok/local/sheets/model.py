"""Spreadsheets and tabs in memory: who may do what, what is where, and how to undo."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from owox_tiktok.local.sheets import references
from owox_tiktok.local.sheets.a1 import Box, parse_span, range_name, split_title
from owox_tiktok.local.sheets.changes import COLUMNS, ROWS, Change
from owox_tiktok.local.sheets.errors import PROTECTED, Json, forbidden, invalid
from owox_tiktok.local.sheets.formats import Locale, locale_of
from owox_tiktok.local.sheets.formulas import Evaluator
from owox_tiktok.local.sheets.functions import call
from owox_tiktok.local.sheets.grid import Grid, GridState
from owox_tiktok.local.sheets.values import Formula

MAX_CELLS = 10_000_000
MAX_COLUMNS = 18_278
LIST_PARTS = (
    "merges",
    "conditionalFormats",
    "filterViews",
    "protectedRanges",
    "charts",
    "tables",
    "bandedRanges",
    "rowGroups",
    "columnGroups",
    "slicers",
)
"""Objects of a tab that are stored as lists of JSON. Stored JSON is replaced, never changed in place."""

_ID_LETTERS = string.ascii_letters + string.digits + "_-"


def new_file_id() -> str:
    """An id like those of Drive files."""
    return "1" + "".join(random.choices(_ID_LETTERS, k=43))


@dataclass(frozen=True)
class Caller:
    """Who asks: an e-mail address, the Cloud project of the token, and its scopes (None is all)."""

    email: str
    project: str = "local"
    scopes: frozenset[str] | None = None


@dataclass(frozen=True)
class Touch:
    """One entry of the write journal: who wrote where by which request, and which fields."""

    email: str
    request: str
    box: Box
    fields: str


@dataclass
class MetadataEntry:
    """Developer metadata; the location is kept as it is sent, with every tab id spelt out."""

    metadata_id: int
    key: str
    value: str | None
    visibility: str
    location: Json
    project: str

    @property
    def location_type(self) -> str:
        """SPREADSHEET, SHEET, ROW or COLUMN."""
        if "dimensionRange" in self.location:
            return "ROW" if self.location["dimensionRange"]["dimension"] == ROWS else "COLUMN"
        return "SHEET" if "sheetId" in self.location else "SPREADSHEET"

    @property
    def sheet_id(self) -> int | None:
        """The tab it lies on, if any."""
        if "dimensionRange" in self.location:
            return int(self.location["dimensionRange"].get("sheetId", 0))
        return int(self.location["sheetId"]) if "sheetId" in self.location else None


@dataclass
class _SheetState:
    title: str
    extra: Json
    grid_extra: Json
    parts: dict[str, list[Json]]
    basic_filter: Json | None
    row_props: dict[int, Json]
    column_props: dict[int, Json]
    grid: GridState


class Sheet:
    """One tab."""

    def __init__(self, sheet_id: int, title: str, row_count: int = 1000, column_count: int = 26) -> None:
        self.sheet_id = sheet_id
        self.title = title
        self.extra: Json = {}
        self.grid_extra: Json = {}
        self.grid = Grid(row_count, column_count)
        self.parts: dict[str, list[Json]] = {name: [] for name in LIST_PARTS}
        self.basic_filter: Json | None = None
        self.row_props: dict[int, Json] = {}
        self.column_props: dict[int, Json] = {}

    @property
    def hidden(self) -> bool:
        """Whether the tab is hidden."""
        return bool(self.extra.get("hidden"))

    @property
    def box(self) -> Box:
        """The whole grid."""
        return Box(self.sheet_id, 0, self.grid.row_count, 0, self.grid.column_count)

    def props(self, dimension: str) -> dict[int, Json]:
        """Properties of rows or of columns that differ from the usual."""
        return self.row_props if dimension == ROWS else self.column_props

    def size(self, dimension: str) -> int:
        """Number of rows or columns."""
        return self.grid.row_count if dimension == ROWS else self.grid.column_count

    def values(self) -> list[list[Any]]:
        """Contents as entered, for tests: formulas as their text, without empty ends."""
        rows: list[list[Any]] = []
        for row in range(len(self.grid.rows)):
            cells: list[Any] = [
                one.text if isinstance(one, Formula) else one for one in self.grid.cells_of(row, 0, 1 << 20)
            ]
            while cells and cells[-1] is None:
                cells.pop()
            rows.append(cells)
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def state(self) -> _SheetState:
        """Remember everything."""
        return _SheetState(
            self.title,
            self.extra,
            self.grid_extra,
            {name: list(one) for name, one in self.parts.items()},
            self.basic_filter,
            dict(self.row_props),
            dict(self.column_props),
            self.grid.state(),
        )

    def restore(self, state: _SheetState) -> None:
        """Go back to a remembered state."""
        self.title = state.title
        self.extra = state.extra
        self.grid_extra = state.grid_extra
        self.parts = {name: list(one) for name, one in state.parts.items()}
        self.basic_filter = state.basic_filter
        self.row_props = dict(state.row_props)
        self.column_props = dict(state.column_props)
        self.grid.restore(state.grid)

    def copy(self, sheet_id: int, title: str) -> Sheet:
        """A second tab with the same cells and objects; ranges inside them point to the copy."""
        other = Sheet(sheet_id, title)
        other.restore(self.state())
        other.title = title
        other.parts = {
            name: [_retarget(part, self.sheet_id, sheet_id) for part in one] for name, one in other.parts.items()
        }
        other.basic_filter = _retarget(self.basic_filter, self.sheet_id, sheet_id)
        return other


def _retarget(value: Any, old: int, new: int) -> Any:
    if isinstance(value, list):
        return [_retarget(one, old, new) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: (new if key == "sheetId" and one == old else _retarget(one, old, new)) for key, one in value.items()}


@dataclass
class Spreadsheet:
    """One file."""

    spreadsheet_id: str
    title: str
    owner: str
    sheets: list[Sheet] = field(default_factory=list)
    named_ranges: list[Json] = field(default_factory=list)
    metadata: list[MetadataEntry] = field(default_factory=list)
    permissions: list[Json] = field(default_factory=list)
    journal: list[Touch] = field(default_factory=list)
    version: int = 1

    def __post_init__(self) -> None:
        self.properties: Json = {"locale": "en_US", "autoRecalc": "ON_CHANGE", "timeZone": "Etc/GMT"}
        self.created = self.modified = datetime.now(UTC)
        self.description = ""
        self.parents: list[str] = []
        self._evaluator: Evaluator | None = None
        self._evaluated = 0
        if not self.permissions:
            self.permissions = [_permission(self.owner, "owner")]

    # --- people -------------------------------------------------------------------------------------------------------

    def role(self, caller: Caller) -> str | None:
        """What a caller may do: owner, writer, commenter, reader, or None."""
        best: str | None = None
        order = (None, "reader", "commenter", "writer", "owner")
        for one in self.permissions:
            if one["type"] == "anyone" or one.get("emailAddress", "").lower() == caller.email.lower():
                best = max(best, one["role"], key=order.index)
        return best

    def share(self, email: str, role: str = "writer") -> Json:
        """Let somebody in; a second time changes the role."""
        made = _permission(email, role)
        self.permissions = [one for one in self.permissions if one["id"] != made["id"]] + [made]
        return made

    def unshare(self, email: str) -> None:
        """Take a permission back."""
        self.permissions = [one for one in self.permissions if one.get("emailAddress", "").lower() != email.lower()]

    def require(self, caller: Caller, write: bool) -> None:
        """Refuse a caller who may not read, or may not write."""
        role = self.role(caller)
        if role is None or (write and role not in ("writer", "owner")):
            raise forbidden()

    def editors(self) -> list[str]:
        """Everybody who may write."""
        return [
            one["emailAddress"]
            for one in self.permissions
            if one["role"] in ("owner", "writer") and one.get("emailAddress")
        ]

    def may_edit(self, protected: Json, caller: Caller) -> bool:
        """Whether a protected range lets a caller write."""
        if protected.get("warningOnly") or caller.email.lower() == self.owner.lower():
            return True
        users = protected.get("editors", {}).get("users", [])
        return caller.email.lower() in (one.lower() for one in users)

    def check_writable(self, caller: Caller, box: Box) -> None:
        """Refuse to touch protected cells."""
        sheet = self.sheet_by_id(box.sheet_id)
        if sheet is None:
            return
        for protected in sheet.parts["protectedRanges"]:
            if self.may_edit(protected, caller):
                continue
            grid_range = protected.get("range")
            if grid_range is None:
                named = next(
                    (one for one in self.named_ranges if one["namedRangeId"] == protected.get("namedRangeId")), None
                )
                grid_range = named["range"] if named else {"sheetId": box.sheet_id}
            if not self.box_of(grid_range).meets(box):
                continue
            free = [self.box_of(one) for one in protected.get("unprotectedRanges", [])]
            if any(_inside(box, one) for one in free):
                continue
            raise invalid(PROTECTED)

    # --- finding ------------------------------------------------------------------------------------------------------

    @property
    def locale(self) -> Locale:
        """Marks and orders of the spreadsheet's locale."""
        return locale_of(str(self.properties["locale"]))

    def sheet_by_id(self, sheet_id: int) -> Sheet | None:
        """A tab by its id."""
        return next((one for one in self.sheets if one.sheet_id == sheet_id), None)

    def sheet_by_title(self, title: str) -> Sheet | None:
        """A tab by its title, without regard to case."""
        low = title.lower()
        return next((one for one in self.sheets if one.title.lower() == low), None)

    def sheet(self, title: str) -> Sheet:
        """A tab that must exist, for tests."""
        found = self.sheet_by_title(title)
        if found is None:
            raise KeyError(title)
        return found

    def first_visible(self) -> Sheet:
        """The tab meant when none is named."""
        return next((one for one in self.sheets if not one.hidden), self.sheets[0])

    def true_title(self, title: str) -> str | None:
        """A title as the tab spells it."""
        found = self.sheet_by_title(title)
        return found.title if found else None

    def canonical(self, text: str) -> Formula:
        """A formula in its stored spelling."""
        return Formula(references.canonical(text, self.true_title))

    def named_box(self, name: str) -> Box | None:
        """The cells of a named range."""
        low = name.lower()
        for one in self.named_ranges:
            if one["name"].lower() == low:
                return self.box_of(one["range"])
        return None

    def box_of(self, grid_range: Json) -> Box:
        """A ``GridRange`` made concrete and cut to the grid."""
        sheet_id = grid_range.get("sheetId", 0)
        sheet = self.sheet_by_id(sheet_id)
        if sheet is None:
            return Box(sheet_id, 0, 0, 0, 0)
        rows, columns = sheet.grid.row_count, sheet.grid.column_count
        bottom, right = grid_range.get("endRowIndex"), grid_range.get("endColumnIndex")
        return Box(
            sheet_id,
            grid_range.get("startRowIndex") or 0,
            rows if bottom is None else min(bottom, rows),
            grid_range.get("startColumnIndex") or 0,
            columns if right is None else min(right, columns),
        )

    def resolve(self, text: str) -> tuple[Sheet, Box, bool]:
        """A range in A1 notation: its tab, its cells (not cut to the grid), and whether it is a lone cell."""
        title, rest, quoted = split_title(text)
        refused = invalid(f"Unable to parse range: {text}")
        if title is not None:
            sheet = self.sheet_by_title(title)
            if sheet is None:
                raise refused
            if not rest:
                if quoted:
                    return sheet, sheet.box, False
                raise refused
        else:
            sheet = self.first_visible()
        span = parse_span(rest)
        if span is None:
            named = self.named_box(rest)
            if named is not None:
                target = self.sheet_by_id(named.sheet_id)
                assert target is not None
                return target, named, named.height == 1 and named.width == 1
            whole = self.sheet_by_title(rest) if title is None else None
            if whole is None:
                raise refused
            return whole, whole.box, False
        top, left = span.top or 0, span.left or 0
        bottom = max(sheet.grid.row_count, top + 1) if span.bottom is None else span.bottom
        right = max(sheet.grid.column_count, left + 1) if span.right is None else span.right
        return sheet, Box(sheet.sheet_id, top, bottom, left, right), span.single

    def readable(self, sheet: Sheet, box: Box) -> Box:
        """A box cut to the grid; one that lies wholly outside is refused."""
        rows, columns = sheet.grid.row_count, sheet.grid.column_count
        if box.top >= rows or box.left >= columns:
            raise self.outside(sheet, box)
        return box._replace(bottom=min(box.bottom, rows), right=min(box.right, columns))

    @staticmethod
    def outside(sheet: Sheet, box: Box) -> Exception:
        """The refusal of a range that is not on the grid."""
        return invalid(
            f"Range ({range_name(sheet.title, box)}) exceeds grid limits. "
            f"Max rows: {sheet.grid.row_count}, max columns: {sheet.grid.column_count}"
        )

    # --- ids ----------------------------------------------------------------------------------------------------------

    def new_id(self, kind: str) -> int:
        """A free random id for a tab, an object of a tab or metadata."""
        while True:
            number = random.randrange(1, 2**31 - 1)
            if number not in self.used_ids(kind):
                return number

    def used_ids(self, kind: str) -> set[int]:
        """Ids taken: of ``sheet``, ``metadata``, or of a list part with its id's name such as ``charts.chartId``."""
        if kind == "sheet":
            return {one.sheet_id for one in self.sheets}
        if kind == "metadata":
            return {one.metadata_id for one in self.metadata}
        part, _, name = kind.partition(".")
        return {one[name] for sheet in self.sheets for one in sheet.parts[part] if name in one}

    def free_title(self, wanted: str) -> str:
        """A title no tab has: the wanted one, else with a number behind it."""
        title, number = wanted, 1
        while self.sheet_by_title(title) is not None:
            title = f"{wanted} {number}"
            number += 1
        return title

    # --- changing -----------------------------------------------------------------------------------------------------

    def check_size(self, sheet: Sheet, rows: int, columns: int) -> None:
        """Refuse a tab that would be too wide, or a file with too many cells."""
        if columns > MAX_COLUMNS:
            raise invalid(f"This action would increase the number of columns above the limit of {MAX_COLUMNS} columns.")
        others = sum(
            one.grid.row_count * one.grid.column_count for one in self.sheets if one.sheet_id != sheet.sheet_id
        )
        grows = rows * columns > sheet.grid.row_count * sheet.grid.column_count or sheet not in self.sheets
        if grows and others + rows * columns > MAX_CELLS:
            raise invalid(
                f"This action would increase the number of cells in the workbook above the limit of {MAX_CELLS} cells."
            )

    def grow(self, sheet: Sheet, rows: int, columns: int) -> None:
        """Make a grid at least this large."""
        rows, columns = max(rows, sheet.grid.row_count), max(columns, sheet.grid.column_count)
        self.check_size(sheet, rows, columns)
        sheet.grid.resize(rows, columns)

    def touch(self, caller: Caller, request: str, box: Box, fields: str) -> None:
        """Write into the journal."""
        self.journal.append(Touch(caller.email, request, box, fields))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing of it."""
        sheets = [(one, one.state()) for one in self.sheets]
        named, metadata = list(self.named_ranges), [replace(one) for one in self.metadata]
        properties, title, journal = self.properties, self.title, len(self.journal)
        self.version += 1
        try:
            yield
        except BaseException:
            self.sheets = [one for one, _ in sheets]
            for one, state in sheets:
                one.restore(state)
            self.named_ranges, self.metadata = named, metadata
            self.properties, self.title = properties, title
            del self.journal[journal:]
            self.version += 1
            raise
        self.modified = datetime.now(UTC)
        self.version += 1

    def evaluator(self) -> Evaluator:
        """Works out formulas as the cells are now."""
        if self._evaluator is None or self._evaluated != self.version:
            self._evaluator = Evaluator(self, self.locale, call)
            self._evaluated = self.version
        return self._evaluator

    def changed(self) -> None:
        """Forget results of formulas; called between the requests of a batch."""
        self.version += 1

    def rename_sheet(self, sheet: Sheet, title: str) -> None:
        """Give a tab another title; formulas follow."""
        old = sheet.title
        sheet.title = title
        for one in self.sheets:
            one.grid.rewrite_formulas(lambda text: references.renamed(text, old, title))

    def remove_sheet(self, sheet: Sheet) -> None:
        """Take a tab out, with what points to it."""
        self.sheets = [one for one in self.sheets if one is not sheet]
        self.named_ranges = [one for one in self.named_ranges if one["range"].get("sheetId", 0) != sheet.sheet_id]
        self.metadata = [one for one in self.metadata if one.sheet_id != sheet.sheet_id]
        for one in self.sheets:
            one.grid.rewrite_formulas(lambda text: references.renamed(text, sheet.title, None))

    def apply_change(self, sheet: Sheet, change: Change) -> None:
        """Insert, delete or move rows or columns of a tab, with everything that is tied to them."""
        for one in self.sheets:
            own = one is sheet
            if own or any(True for _ in one.grid.formulas()):
                self._shift_formulas(one, own, sheet.title, change)
        sheet.grid.apply(change)
        props = sheet.props(change.dimension)
        moved = {new: one for index, one in props.items() if (new := change.place(index)) is not None}
        props.clear()
        props.update(moved)
        for one in self.sheets:
            for name in LIST_PARTS:
                one.parts[name] = _shift_list(name, one.parts[name], change)
        if sheet.basic_filter is not None:
            sheet.basic_filter = _shift_filter(sheet.basic_filter, change)
        self.named_ranges = _shift_list("namedRanges", self.named_ranges, change)
        kept = []
        for entry in self.metadata:
            place = entry.location.get("dimensionRange")
            if place is not None:
                shifted = change.shift_dimension(place)
                if shifted is None:
                    continue
                kept.append(replace(entry, location={"dimensionRange": shifted}))
            else:
                kept.append(entry)
        self.metadata = kept

    @staticmethod
    def _shift_formulas(one: Sheet, own: bool, title: str, change: Change) -> None:
        one.grid.rewrite_formulas(lambda text: references.shifted(text, own, title, change))


def _inside(inner: Box, outer: Box) -> bool:
    return (
        inner.top >= outer.top
        and inner.bottom <= outer.bottom
        and inner.left >= outer.left
        and inner.right <= outer.right
        and inner.sheet_id == outer.sheet_id
    )


def _permission(email: str, role: str) -> Json:
    # Stable, because Drive gives one person the same permission id everywhere.
    number = random.Random(email.lower()).randrange(10**19, 10**20)
    return {"kind": "drive#permission", "id": str(number), "type": "user", "role": role, "emailAddress": email}


def _shift_list(name: str, items: list[Json], change: Change) -> list[Json]:
    out = []
    for item in items:
        new = _shift_filter(item, change) if name == "filterViews" else change.shift_all(item)
        if new is None:
            continue
        if name == "merges":
            tall = new["endRowIndex"] - new["startRowIndex"]
            if tall * (new["endColumnIndex"] - new["startColumnIndex"]) <= 1:
                continue
        elif name == "conditionalFormats":
            if not new.get("ranges"):
                continue
        elif "range" in item and new.get("range") is None:
            continue
        out.append(new)
    return out


def _shift_filter(item: Json, change: Change) -> Json | None:
    new: Json = change.shift_all(item)
    if new.get("range") is None and "range" in item:
        return None
    if change.dimension != COLUMNS or item.get("range", {}).get("sheetId", 0) != change.sheet_id:
        return new
    for part, name in (("filterSpecs", "columnIndex"), ("sortSpecs", "dimensionIndex")):
        if part in new:
            new[part] = [
                {**one, name: place} for one in new[part] if (place := change.place(one.get(name, 0))) is not None
            ]
    if "criteria" in new:
        new["criteria"] = {
            str(place): one for key, one in new["criteria"].items() if (place := change.place(int(key))) is not None
        }
    return new
