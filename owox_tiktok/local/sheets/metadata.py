"""Developer metadata and the data filters that look it up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from owox_tiktok.local.sheets import masks, values_api
from owox_tiktok.local.sheets.a1 import Box
from owox_tiktok.local.sheets.changes import ROWS
from owox_tiktok.local.sheets.errors import ApiError, Json, invalid
from owox_tiktok.local.sheets.model import Caller, MetadataEntry, Sheet, Spreadsheet

MAX_CHARACTERS = 30_000
_TYPES = ("ROW", "COLUMN", "SHEET", "SPREADSHEET")


def to_json(entry: MetadataEntry) -> Json:
    """The entry as the API prints it."""
    location: Json = {"locationType": entry.location_type}
    if "dimensionRange" in entry.location:
        place = dict(entry.location["dimensionRange"])
        if not place.get("sheetId"):
            place.pop("sheetId", None)
        location["dimensionRange"] = place
    elif "sheetId" in entry.location:
        location["sheetId"] = entry.location["sheetId"]
    else:
        location["spreadsheet"] = True
    answer: Json = {"metadataId": entry.metadata_id, "metadataKey": entry.key}
    if entry.value is not None:
        answer["metadataValue"] = entry.value
    return {**answer, "location": location, "visibility": entry.visibility}


def visible(spreadsheet: Spreadsheet, caller: Caller) -> list[MetadataEntry]:
    """Entries a caller may know of: those of documents, and those of the caller's own Cloud project."""
    return [one for one in spreadsheet.metadata if one.visibility == "DOCUMENT" or one.project == caller.project]


def _location(spreadsheet: Spreadsheet, given: Any) -> Json:
    if not isinstance(given, dict) or not given:
        raise invalid("developerMetadata.location: must be set.")
    if given.get("dimensionRange"):
        place = given["dimensionRange"]
        dimension = place.get("dimension")
        sheet = spreadsheet.sheet_by_id(place.get("sheetId", 0))
        if sheet is None:
            raise invalid(f"No grid with id: {place.get('sheetId', 0)}")
        start, end = place.get("startIndex", 0), place.get("endIndex")
        if dimension not in ("ROWS", "COLUMNS"):
            raise invalid("developerMetadata.location.dimensionRange.dimension: must be ROWS or COLUMNS.")
        if end is None or end - start != 1:
            raise invalid("developerMetadata.location.dimensionRange must span exactly one row or column.")
        if not 0 <= start < sheet.size(dimension):
            raise invalid(f"developerMetadata.location.dimensionRange is outside of the grid [{sheet.size(dimension)}]")
        return {
            "dimensionRange": {
                "sheetId": sheet.sheet_id,
                "dimension": dimension,
                "startIndex": start,
                "endIndex": end,
            }
        }
    if given.get("sheetId") is not None and not given.get("spreadsheet"):
        if spreadsheet.sheet_by_id(given["sheetId"]) is None:
            raise invalid(f"No sheet with id: {given['sheetId']}")
        return {"sheetId": given["sheetId"]}
    return {"spreadsheet": True}


def _check_room(spreadsheet: Spreadsheet, sheet_id: int | None) -> None:
    used = sum(
        len(one.key) + len(one.value or "")
        for one in spreadsheet.metadata
        if (one.sheet_id == sheet_id if sheet_id is not None else one.sheet_id is None)
    )
    if used > MAX_CHARACTERS:
        where = "spreadsheet" if sheet_id is None else "sheet"
        raise invalid(
            f"This action would exceed the limit of {MAX_CHARACTERS} characters of developer metadata for this {where}."
        )


def create(spreadsheet: Spreadsheet, caller: Caller, given: Json) -> MetadataEntry:
    """``createDeveloperMetadata``: the id must be free, in all locations."""
    key, visibility = given.get("metadataKey"), given.get("visibility")
    if not key:
        raise invalid("developerMetadata.metadataKey: must be set.")
    if visibility not in ("DOCUMENT", "PROJECT"):
        raise invalid("developerMetadata.visibility: must be set to DOCUMENT or PROJECT.")
    number = given.get("metadataId")
    if number is not None and not (isinstance(number, int) and 0 < number < 2**31):
        raise invalid(f"Developer metadata ID must be positive, but was [{number}].")
    if number in spreadsheet.used_ids("metadata"):
        raise invalid(
            f"Cannot add developer metadata with ID [{number}] because developer metadata with that ID already exists."
        )
    entry = MetadataEntry(
        number or spreadsheet.new_id("metadata"),
        str(key),
        None if given.get("metadataValue") is None else str(given["metadataValue"]),
        visibility,
        _location(spreadsheet, given.get("location")),
        caller.project,
    )
    spreadsheet.metadata = [*spreadsheet.metadata, entry]
    _check_room(spreadsheet, entry.sheet_id)
    return entry


# --- filters ----------------------------------------------------------------------------------------------------------


def _box(spreadsheet: Spreadsheet, location: Json) -> Box | None:
    """The cells a location stands for; None for the spreadsheet as a whole."""
    place = location.get("dimensionRange")
    sheet_id = place.get("sheetId", 0) if place else location.get("sheetId")
    if sheet_id is None:
        return None
    sheet = spreadsheet.sheet_by_id(sheet_id)
    if sheet is None:
        return Box(sheet_id, 0, 0, 0, 0)
    if not place:
        return sheet.box
    start, end = place.get("startIndex", 0), place.get("endIndex", sheet.size(place["dimension"]))
    if place["dimension"] == ROWS:
        return sheet.box._replace(top=start, bottom=end)
    return sheet.box._replace(left=start, right=end)


def _looked_up(spreadsheet: Spreadsheet, entry: MetadataEntry, lookup: Json) -> bool:
    if lookup.get("metadataId") is not None and entry.metadata_id != lookup["metadataId"]:
        return False
    if lookup.get("metadataKey") is not None and entry.key != lookup["metadataKey"]:
        return False
    if lookup.get("metadataValue") is not None and entry.value != lookup["metadataValue"]:
        return False
    if lookup.get("visibility") and entry.visibility != lookup["visibility"]:
        return False
    if lookup.get("locationType") and entry.location_type != lookup["locationType"]:
        return False
    wanted = lookup.get("metadataLocation")
    if not wanted:
        return True
    wanted = _location(spreadsheet, wanted)
    if lookup.get("locationMatchingStrategy") == "EXACT_LOCATION":
        return entry.location == wanted
    its, other = _box(spreadsheet, entry.location), _box(spreadsheet, wanted)
    return its is None or other is None or its.meets(other)


def check_filter(data_filter: Any) -> Json:
    """A data filter must hold exactly one kind of filter, with values the API knows."""
    if not isinstance(data_filter, dict) or len([one for one in data_filter.values() if one is not None]) != 1:
        raise invalid("Must specify exactly one filter in each DataFilter.")
    lookup = data_filter.get("developerMetadataLookup")
    if lookup is not None:
        if lookup.get("locationType") and lookup["locationType"] not in _TYPES:
            raise invalid(f"Invalid locationType: {lookup['locationType']}")
        if lookup.get("locationMatchingStrategy") == "EXACT_LOCATION" and lookup.get("locationType"):
            raise invalid("locationType must not be specified when locationMatchingStrategy is EXACT_LOCATION.")
    return data_filter


def matching(spreadsheet: Spreadsheet, caller: Caller, data_filter: Json) -> list[MetadataEntry]:
    """Entries one filter selects."""
    check_filter(data_filter)
    lookup = data_filter.get("developerMetadataLookup")
    entries = visible(spreadsheet, caller)
    if lookup is not None:
        return [one for one in entries if _looked_up(spreadsheet, one, lookup)]
    box = _filter_box(spreadsheet, data_filter)
    out = []
    for one in entries:
        its = _box(spreadsheet, one.location)
        if its is not None and its.meets(box):
            out.append(one)
    return out


def _filter_box(spreadsheet: Spreadsheet, data_filter: Json) -> Box:
    if data_filter.get("a1Range") is not None:
        sheet, box, _ = spreadsheet.resolve(str(data_filter["a1Range"]))
        return spreadsheet.readable(sheet, box)
    grid_range = data_filter["gridRange"]
    if spreadsheet.sheet_by_id(grid_range.get("sheetId", 0)) is None:
        raise invalid(f"No grid with id: {grid_range.get('sheetId', 0)}")
    return spreadsheet.box_of(grid_range)


def search(spreadsheet: Spreadsheet, caller: Caller, data_filters: list[Json]) -> Json:
    """``developerMetadata.search``; nothing found is an empty answer."""
    found: dict[int, Json] = {}
    for data_filter in data_filters:
        for entry in matching(spreadsheet, caller, data_filter):
            one = found.setdefault(entry.metadata_id, {"developerMetadata": to_json(entry), "dataFilters": []})
            one["dataFilters"].append(data_filter)
    return {"matchedDeveloperMetadata": list(found.values())} if found else {}


def get(spreadsheet: Spreadsheet, caller: Caller, number: int) -> Json:
    """``developerMetadata.get``."""
    for entry in visible(spreadsheet, caller):
        if entry.metadata_id == number:
            return to_json(entry)
    raise ApiError(404, "NOT_FOUND", f"No developer metadata with ID {number}.")


def update(
    spreadsheet: Spreadsheet, caller: Caller, data_filters: list[Json], given: Json, mask: masks.Mask, strict: bool
) -> list[MetadataEntry]:
    """``updateDeveloperMetadata``; ``strict`` refuses filters that select nothing."""
    chosen = {one.metadata_id for data_filter in data_filters for one in matching(spreadsheet, caller, data_filter)}
    if strict and not chosen:
        raise invalid("No developer metadata matched the specified data filters.")
    out: list[MetadataEntry] = []
    entries = []
    for entry in spreadsheet.metadata:
        changed = _changed(spreadsheet, entry, given, mask) if entry.metadata_id in chosen else entry
        if entry.metadata_id in chosen:
            out.append(changed)
        entries.append(changed)
    spreadsheet.metadata = entries
    for entry in out:
        _check_room(spreadsheet, entry.sheet_id)
    return out


def _changed(spreadsheet: Spreadsheet, entry: MetadataEntry, given: Json, mask: masks.Mask) -> MetadataEntry:
    everything = not mask
    if everything or "metadataKey" in mask:
        if not given.get("metadataKey"):
            raise invalid("developerMetadata.metadataKey: must be set.")
        entry = replace(entry, key=str(given["metadataKey"]))
    if everything or "metadataValue" in mask:
        value = given.get("metadataValue")
        entry = replace(entry, value=None if value is None else str(value))
    if everything or "visibility" in mask:
        if given.get("visibility") not in ("DOCUMENT", "PROJECT"):
            raise invalid("developerMetadata.visibility: must be set to DOCUMENT or PROJECT.")
        entry = replace(entry, visibility=given["visibility"])
    if everything or "location" in mask:
        entry = replace(entry, location=_location(spreadsheet, given.get("location")))
    return entry


def delete(spreadsheet: Spreadsheet, caller: Caller, data_filter: Json, strict: bool) -> list[MetadataEntry]:
    """``deleteDeveloperMetadata``; ``strict`` refuses a filter that selects nothing."""
    gone = matching(spreadsheet, caller, data_filter)
    if strict and not gone:
        raise invalid("No developer metadata matched the specified data filter.")
    numbers = {one.metadata_id for one in gone}
    spreadsheet.metadata = [one for one in spreadsheet.metadata if one.metadata_id not in numbers]
    return gone


def boxes(spreadsheet: Spreadsheet, caller: Caller, data_filter: Json) -> list[tuple[Sheet, Box]]:
    """The cells a filter stands for."""
    check_filter(data_filter)
    if data_filter.get("developerMetadataLookup") is None:
        box = _filter_box(spreadsheet, data_filter)
        sheet = spreadsheet.sheet_by_id(box.sheet_id)
        assert sheet is not None
        return [(sheet, box)]
    out = []
    for entry in matching(spreadsheet, caller, data_filter):
        place = _box(spreadsheet, entry.location)
        found = [one.box for one in spreadsheet.sheets] if place is None else [place]
        for one in found:
            sheet = spreadsheet.sheet_by_id(one.sheet_id)
            if sheet is not None:
                out.append((sheet, one))
    return out


# --- values by filter -------------------------------------------------------------------------------------------------


def _merged(spreadsheet: Spreadsheet, caller: Caller, filters: list[Json]) -> list[tuple[Sheet, Box, list[Json]]]:
    found: dict[Box, tuple[Sheet, Box, list[Json]]] = {}
    for one in filters:
        for sheet, box in boxes(spreadsheet, caller, one):
            found.setdefault(box, (sheet, box, []))[2].append(one)
    # The API does not keep the order that was asked for; going by position shows clients that rely on it.
    return sorted(found.values(), key=lambda item: (item[1].sheet_id, item[1].left, item[1].top), reverse=True)


def values_get(spreadsheet: Spreadsheet, caller: Caller, body: Json) -> Json:
    """``values.batchGetByDataFilter``."""
    out = []
    for sheet, box, filters in _merged(spreadsheet, caller, body.get("dataFilters") or []):
        out.append({"valueRange": values_api.value_range(spreadsheet, sheet, box, body), "dataFilters": filters})
    answer: Json = {"spreadsheetId": spreadsheet.spreadsheet_id}
    return {**answer, "valueRanges": out} if out else answer


def values_update(spreadsheet: Spreadsheet, caller: Caller, body: Json) -> Json:
    """``values.batchUpdateByDataFilter``."""
    with spreadsheet.transaction():
        targets: list[tuple[Sheet, Box, Json]] = []
        for data in body.get("data") or []:
            for sheet, box in boxes(spreadsheet, caller, data.get("dataFilter")):
                targets.append((sheet, box, data))
        answers = values_api.write_boxes(spreadsheet, caller, targets, body)
        for answer, (_, _, data) in zip(answers, targets, strict=True):
            answer["dataFilter"] = data["dataFilter"]
            answer.pop("spreadsheetId", None)
    return values_api.totals(spreadsheet, answers)


def values_clear(spreadsheet: Spreadsheet, caller: Caller, body: Json) -> Json:
    """``values.batchClearByDataFilter``."""
    names = []
    with spreadsheet.transaction():
        for sheet, box, _ in _merged(spreadsheet, caller, body.get("dataFilters") or []):
            names.append(values_api.clear_box(spreadsheet, caller, sheet, box))
    return {"spreadsheetId": spreadsheet.spreadsheet_id, "clearedRanges": names}
