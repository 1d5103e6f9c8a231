"""The requests a batch is made of, as the API takes them: cells, rows and columns, developer metadata.

Nothing here is sent; ``client`` does that. Rows and columns are counted from 0, ends are not included.
"""

from __future__ import annotations

from typing import NamedTuple

from owox_tiktok.sheets.cells import Json


class Block(NamedTuple):
    """A rectangle of cells: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the ends not included."""

    tab: int
    top: int
    bottom: int
    left: int
    right: int

    def as_range(self) -> Json:
        """The block as a ``GridRange``."""
        return {
            "sheetId": self.tab,
            "startRowIndex": self.top,
            "endRowIndex": self.bottom,
            "startColumnIndex": self.left,
            "endColumnIndex": self.right,
        }


def create_metadata(key: str, value: str, number: int) -> Json:
    """Return the making of developer metadata on the whole spreadsheet; refused where the id ``number`` exists."""
    entry = {
        "metadataId": number,
        "metadataKey": key,
        "metadataValue": value,
        "visibility": "DOCUMENT",
        "location": {"spreadsheet": True},
    }
    return {"createDeveloperMetadata": {"developerMetadata": entry}}


def delete_metadata(number: int, value: str | None = None) -> Json:
    """Return the deletion of developer metadata by its id; only if it still has ``value``, where one is given."""
    lookup: Json = {"metadataId": number}
    if value is not None:
        lookup["metadataValue"] = value
    return {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": lookup}}}


def update_metadata(number: int, old: str, new: str) -> Json:
    """Return the changing of developer metadata from one value to another."""
    return {
        "updateDeveloperMetadata": {
            "dataFilters": [{"developerMetadataLookup": {"metadataId": number, "metadataValue": old}}],
            "developerMetadata": {"metadataValue": new},
            "fields": "metadataValue",
        }
    }


def rename_metadata(old: str, new: str) -> Json:
    """Return the changing of the key of all developer metadata that has the key ``old``, wherever it is."""
    return {
        "updateDeveloperMetadata": {
            "dataFilters": [{"developerMetadataLookup": {"metadataKey": old}}],
            "developerMetadata": {"metadataKey": new},
            "fields": "metadataKey",
        }
    }


def tagged(key: str, value: str, tab: int, along: str = "", index: int = 0) -> Json:
    """Return the making of a tag on a tab, or on one of its ROWS or COLUMNS."""
    place = {"dimensionRange": dimension(tab, along, index, index + 1)} if along else {"sheetId": tab}
    entry = {"metadataKey": key, "metadataValue": value, "visibility": "DOCUMENT", "location": place}
    return {"createDeveloperMetadata": {"developerMetadata": entry}}


def untagged(key: str, value: str, tab: int) -> Json:
    """Return the deletion of a tab's tags on columns with this key and value."""
    place = {"metadataKey": key, "metadataValue": value, "locationType": "COLUMN"}
    location = {"metadataLocation": {"sheetId": tab}, "locationMatchingStrategy": "INTERSECTING_LOCATION"}
    return {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {**place, **location}}}}


def dimension(tab: int, along: str, start: int, end: int) -> Json:
    """Return ROWS or COLUMNS ``start`` to ``end`` (not included) as a ``DimensionRange``."""
    return {"sheetId": tab, "dimension": along, "startIndex": start, "endIndex": end}


def append(tab: int, along: str, length: int) -> Json:
    """Return the growing of a tab by blank ROWS or COLUMNS at its end."""
    return {"appendDimension": {"sheetId": tab, "dimension": along, "length": length}}


def delete(tab: int, along: str, start: int, end: int) -> Json:
    """Return the deletion of ROWS or COLUMNS ``start`` to ``end`` (not included)."""
    return {"deleteDimension": {"range": dimension(tab, along, start, end)}}


def insert(tab: int, along: str, start: int, end: int, *, like_before: bool = True) -> Json:
    """Return the insertion of blank ROWS or COLUMNS; what stands there moves on.

    They take the formats of those before them, or (the only way at the very beginning) of those behind.
    """
    return {"insertDimension": {"range": dimension(tab, along, start, end), "inheritFromBefore": like_before}}


def write(tab: int, row: int, column: int, rows: list[Json]) -> Json:
    """Return the writing of values, from a cell on; formats, notes and validation of the cells stay."""
    start = {"sheetId": tab, "rowIndex": row, "columnIndex": column}
    return {"updateCells": {"start": start, "rows": rows, "fields": "userEnteredValue"}}


def clear(block: Block) -> Json:
    """Return the emptying of a block's cells; formats, notes and validation stay."""
    return {"updateCells": {"range": block.as_range(), "fields": "userEnteredValue"}}


def fill(source: Block, target: Block) -> Json:
    """Return the copying of formulas, their references shifted as in filling down."""
    ranges = {"source": source.as_range(), "destination": target.as_range()}
    return {"copyPaste": {**ranges, "pasteType": "PASTE_FORMULA"}}


def show_as(block: Block, type_: str, pattern: str) -> Json:
    """Return the setting of a block's number format."""
    return {
        "repeatCell": {
            "range": block.as_range(),
            "cell": {"userEnteredFormat": {"numberFormat": {"type": type_, "pattern": pattern}}},
            "fields": "userEnteredFormat.numberFormat",
        }
    }
