"""Requests about what lies on a tab: named and protected ranges, filters, charts, rules, bands, tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from owox_tiktok.local.sheets import masks
from owox_tiktok.local.sheets.batch import Batch, Request
from owox_tiktok.local.sheets.batch_cells import sort_box
from owox_tiktok.local.sheets.batch_sheets import add_sheet
from owox_tiktok.local.sheets.changes import is_range
from owox_tiktok.local.sheets.conditions import filter_hides
from owox_tiktok.local.sheets.errors import PROTECTED, Json, invalid
from owox_tiktok.local.sheets.model import Sheet

_NAME = re.compile(r"^[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]{0,249}$")
_LIKE_A_RANGE = re.compile(r"^([A-Za-z]{1,3}[0-9]+|[Rr][0-9]*[Cc][0-9]*|true|false)$", re.IGNORECASE)
_LABELS = {
    "protectedRanges": "protected range",
    "filterViews": "filter view",
    "charts": "embedded object",
    "bandedRanges": "banded range",
    "slicers": "slicer",
    "tables": "table",
}


# --- finding and keeping objects --------------------------------------------------------------------------------------


def _with_sheet_ids(value: Any) -> Any:
    """An object as it is stored: every range spells its tab's id out, 0 too."""
    if isinstance(value, list):
        return [_with_sheet_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    if is_range(value):
        return {"sheetId": 0, **value}
    return {key: _with_sheet_ids(one) for key, one in value.items()}


def _find(batch: Batch, part: str, id_name: str, number: Any) -> tuple[Sheet, int]:
    for sheet in batch.spreadsheet.sheets:
        for index, one in enumerate(sheet.parts[part]):
            if one.get(id_name) == number:
                return sheet, index
    label = _LABELS[part]
    raise invalid(f"No {label} with id: {number}")


def _new_id(batch: Batch, part: str, id_name: str, given: Any) -> Any:
    taken = batch.spreadsheet.used_ids(f"{part}.{id_name}")
    if given is None:
        number = batch.spreadsheet.new_id(f"{part}.{id_name}")
        return str(number) if id_name == "tableId" else number
    if given in taken:
        label = _LABELS[part]
        raise invalid(f"Cannot add {label} with id: {given}, a {label} with that id already exists.")
    return given


def _put(sheet: Sheet, part: str, index: int, value: Json | None) -> None:
    items = list(sheet.parts[part])
    if value is None:
        del items[index]
    else:
        items[index] = value
    sheet.parts[part] = items


def _delete(part: str, id_name: str, field: str) -> Callable[[Batch, Json], None]:
    def request(batch: Batch, body: Json) -> None:
        sheet, index = _find(batch, part, id_name, body.get(field))
        _put(sheet, part, index, None)

    return request


# --- named ranges -----------------------------------------------------------------------------------------------------


def _check_name(batch: Batch, name: Any, but: str | None = None) -> str:
    text = str(name or "")
    if not _NAME.match(text) or _LIKE_A_RANGE.match(text):
        raise invalid(f"Invalid name: {text}")
    for one in batch.spreadsheet.named_ranges:
        if one["name"].lower() == text.lower() and one["namedRangeId"] != but:
            raise invalid(f"Cannot add named range with name: {text}, a named range with that name already exists.")
    return text


def add_named_range(batch: Batch, body: Json) -> Json:
    """A name for a range; names and ids are unique in the file."""
    given = body.get("namedRange") or {}
    name = _check_name(batch, given.get("name"))
    taken = {one["namedRangeId"] for one in batch.spreadsheet.named_ranges}
    number = given.get("namedRangeId") or str(batch.spreadsheet.new_id("sheet"))
    if number in taken:
        raise invalid(f"Cannot add named range with id: {number}, a named range with that id already exists.")
    made = {"namedRangeId": number, "name": name, "range": batch.stored_range(given.get("range"))}
    batch.spreadsheet.named_ranges = [*batch.spreadsheet.named_ranges, made]
    return {"namedRange": made}


def _named(batch: Batch, number: Any) -> Json:
    for one in batch.spreadsheet.named_ranges:
        if one["namedRangeId"] == number:
            return one
    raise invalid(f"No named range with id: {number}")


def update_named_range(batch: Batch, body: Json) -> None:
    """Another name, or another range."""
    given = body.get("namedRange") or {}
    old = _named(batch, given.get("namedRangeId"))
    mask = batch.mask(body)
    new = dict(old)
    if not mask or "name" in mask:
        new["name"] = _check_name(batch, given.get("name"), old["namedRangeId"])
    if not mask or "range" in mask:
        new["range"] = batch.stored_range(given.get("range"))
    batch.spreadsheet.named_ranges = [new if one is old else one for one in batch.spreadsheet.named_ranges]


def delete_named_range(batch: Batch, body: Json) -> None:
    """Take a name away."""
    old = _named(batch, body.get("namedRangeId"))
    batch.spreadsheet.named_ranges = [one for one in batch.spreadsheet.named_ranges if one is not old]


# --- protected ranges -------------------------------------------------------------------------------------------------


def _editors(batch: Batch, given: Json) -> Json:
    """Editors as they are kept: left out means everybody who may write now; the creator always stays."""
    if given.get("warningOnly"):
        if (given.get("editors") or {}).get("users"):
            raise invalid("ProtectedRange is warningOnly. Editors cannot be set on it.")
        return {}
    if given.get("editors") is None:
        return {"users": batch.spreadsheet.editors()}
    editors: Json = masks.clean(given["editors"])
    users = list(editors.get("users", []))
    if batch.caller.email not in users:
        users.append(batch.caller.email)
    return {**editors, "users": users}


def add_protected_range(batch: Batch, body: Json) -> Json:
    """Lock a range; the answer tells the editors as they were sent."""
    given = body.get("protectedRange") or {}
    cleaned = _with_sheet_ids(masks.clean(given))
    number = _new_id(batch, "protectedRanges", "protectedRangeId", given.get("protectedRangeId"))
    if given.get("namedRangeId"):
        place = _named(batch, given["namedRangeId"])["range"]
    else:
        place = batch.stored_range(given.get("range"))
        cleaned["range"] = place
    sheet = batch.grid(place.get("sheetId"))
    editors = _editors(batch, given)
    cleaned.pop("editors", None)
    cleaned.pop("requestingUserCanEdit", None)
    made = {**cleaned, "protectedRangeId": number}
    sheet.parts["protectedRanges"] = [*sheet.parts["protectedRanges"], {**made, "editors": editors}]
    reply = {**made, "requestingUserCanEdit": True}
    if not given.get("warningOnly"):
        reply["editors"] = editors if given.get("editors") is None else masks.clean(given["editors"])
    return {"protectedRange": reply}


def _may_change(batch: Batch, protected: Json) -> None:

    if not batch.spreadsheet.may_edit(protected, batch.caller):
        raise invalid(PROTECTED)


def update_protected_range(batch: Batch, body: Json) -> None:
    """Change a lock; only who may edit the range may do that."""
    given = body.get("protectedRange") or {}
    sheet, index = _find(batch, "protectedRanges", "protectedRangeId", given.get("protectedRangeId"))
    old = sheet.parts["protectedRanges"][index]
    _may_change(batch, old)
    mask = batch.mask(body)
    new = masks.apply(old, _with_sheet_ids(masks.clean(given)), mask)
    new["protectedRangeId"] = old["protectedRangeId"]
    if not mask or "editors" in mask or "warningOnly" in mask:
        editors = given.get("editors") if new.get("warningOnly") else new.get("editors") or {}
        new["editors"] = _editors(batch, {**new, "editors": editors})
    if "range" in new:
        new["range"] = batch.stored_range(new["range"])
    _put(sheet, "protectedRanges", index, new)


def delete_protected_range(batch: Batch, body: Json) -> None:
    """Take a lock away; only who may edit the range may do that."""
    sheet, index = _find(batch, "protectedRanges", "protectedRangeId", body.get("protectedRangeId"))
    _may_change(batch, sheet.parts["protectedRanges"][index])
    _put(sheet, "protectedRanges", index, None)


# --- filters ----------------------------------------------------------------------------------------------------------


def _unfilter(sheet: Sheet) -> None:
    for row, one in list(sheet.row_props.items()):
        rest = {key: value for key, value in one.items() if key != "hiddenByFilter"}
        if rest:
            sheet.row_props[row] = rest
        else:
            del sheet.row_props[row]


def set_basic_filter(batch: Batch, body: Json) -> None:
    """The one filter of a tab; it takes the place of an earlier one."""
    given = body.get("filter") or {}
    place = batch.full_range(given.get("range"))
    sheet = batch.grid(place["sheetId"])
    for one in sheet.parts["merges"]:
        merge = batch.spreadsheet.box_of(one)
        if merge.height > 1 and merge.meets(batch.spreadsheet.box_of(place)):
            raise invalid("You can't create a filter over a range containing vertical merges.")
    _unfilter(sheet)
    cleaned = masks.clean(given)
    sheet.basic_filter = {**cleaned, "range": place}
    box = batch.spreadsheet.box_of(place)
    if cleaned.get("sortSpecs") and box.height > 1:
        sort_box(batch, sheet, box._replace(top=box.top + 1), cleaned["sortSpecs"])
        batch.spreadsheet.changed()
    for row in filter_hides(batch.spreadsheet, sheet, sheet.basic_filter):
        sheet.row_props[row] = {**sheet.row_props.get(row, {}), "hiddenByFilter": True}


def clear_basic_filter(batch: Batch, body: Json) -> None:
    """Take the filter away; its rows show again."""
    sheet = batch.grid(body.get("sheetId"))
    sheet.basic_filter = None
    _unfilter(sheet)


def add_filter_view(batch: Batch, body: Json) -> Json:
    """A named filter that hides nothing for others."""
    given = body.get("filter") or {}
    number = _new_id(batch, "filterViews", "filterViewId", given.get("filterViewId"))
    sheet = batch.grid((given.get("range") or {}).get("sheetId"))
    cleaned = masks.clean(given)
    title = cleaned.get("title") or f"Filter {len(sheet.parts['filterViews']) + 1}"
    made = {**cleaned, "filterViewId": number, "title": title, "range": batch.full_range(given.get("range") or {})}
    sheet.parts["filterViews"] = [*sheet.parts["filterViews"], made]
    return {"filter": made}


def update_filter_view(batch: Batch, body: Json) -> None:
    """Change a filter view."""
    given = body.get("filter") or {}
    sheet, index = _find(batch, "filterViews", "filterViewId", given.get("filterViewId"))
    old = sheet.parts["filterViews"][index]
    new = masks.apply(old, _with_sheet_ids(masks.clean(given)), batch.mask(body))
    new["filterViewId"] = old["filterViewId"]
    new["range"] = batch.full_range(new.get("range") or {"sheetId": sheet.sheet_id})
    _put(sheet, "filterViews", index, new)


def duplicate_filter_view(batch: Batch, body: Json) -> Json:
    """A second filter view with the same rules."""
    sheet, index = _find(batch, "filterViews", "filterViewId", body.get("filterId"))
    old = sheet.parts["filterViews"][index]
    number = _new_id(batch, "filterViews", "filterViewId", None)
    made = {**old, "filterViewId": number, "title": f"Copy of {old['title']}"}
    sheet.parts["filterViews"] = [*sheet.parts["filterViews"], made]
    return {"filter": made}


# --- charts and other objects over the grid ---------------------------------------------------------------------------


def _position(batch: Batch, given: Json | None) -> tuple[Sheet, Json]:
    """Where an object goes; a new tab is made for one that wants its own."""
    given = given or {}
    if given.get("newSheet") or given.get("sheetId") is not None:
        if given.get("newSheet"):
            reply = add_sheet(batch, {"properties": {"title": batch.spreadsheet.free_title("Chart1")}})
            number = reply["properties"]["sheetId"]
        else:
            number = given["sheetId"]
        return batch.sheet(number), {"sheetId": number}
    overlay = _with_sheet_ids(masks.clean(given.get("overlayPosition") or {}))
    anchor = {"sheetId": 0, **overlay.get("anchorCell", {})}
    sheet = batch.grid(anchor["sheetId"])
    size = {"widthPixels": overlay.get("widthPixels", 600), "heightPixels": overlay.get("heightPixels", 371)}
    return sheet, {"overlayPosition": {**overlay, "anchorCell": anchor, **size}}


def _check_sources(batch: Batch, spec: Any) -> None:
    if isinstance(spec, list):
        for one in spec:
            _check_sources(batch, one)
    elif isinstance(spec, dict):
        for source in (spec.get("sourceRange") or {}).get("sources") or []:
            _, box = batch.box(source)
            if box.height > 1 and box.width > 1:
                raise invalid("Each source range must be one row or one column wide.")
        for one in spec.values():
            _check_sources(batch, one)


def add_chart(batch: Batch, body: Json) -> Json:
    """A chart; its spec is kept as it came."""
    given = body.get("chart") or {}
    number = _new_id(batch, "charts", "chartId", given.get("chartId"))
    spec = given.get("spec")
    if not spec:
        raise invalid("chart.spec is required.")
    _check_sources(batch, spec)
    sheet, position = _position(batch, given.get("position"))
    made = {"chartId": number, "spec": _with_sheet_ids(masks.clean(spec)), "position": position}
    if given.get("border"):
        made["border"] = masks.clean(given["border"])
    sheet.parts["charts"] = [*sheet.parts["charts"], made]
    return {"chart": made}


def update_chart_spec(batch: Batch, body: Json) -> None:
    """Replace the whole spec of a chart."""
    sheet, index = _find(batch, "charts", "chartId", body.get("chartId"))
    spec = body.get("spec") or {}
    _check_sources(batch, spec)
    _put(sheet, "charts", index, {**sheet.parts["charts"][index], "spec": _with_sheet_ids(masks.clean(spec))})


def _find_object(batch: Batch, number: Any) -> tuple[Sheet, str, int]:
    for part, name in (("charts", "chartId"), ("slicers", "slicerId")):
        if number in batch.spreadsheet.used_ids(f"{part}.{name}"):
            sheet, index = _find(batch, part, name, number)
            return sheet, part, index
    raise invalid(f"No embedded object with id: {number}")


def update_embedded_object_position(batch: Batch, body: Json) -> Json:
    """Move or resize a chart or a slicer."""
    sheet, part, index = _find_object(batch, body.get("objectId"))
    old = sheet.parts[part][index]
    given = dict(body.get("newPosition") or {})
    if body.get("fields") not in (None, "*") and given.get("overlayPosition") is not None:
        mask = masks.parse(str(body["fields"]))
        overlay = masks.apply(
            old["position"].get("overlayPosition", {}),
            _with_sheet_ids(masks.clean(given["overlayPosition"])),
            mask,
        )
        given = {"overlayPosition": overlay}
    target, position = _position(batch, given)
    _put(sheet, part, index, None)
    target.parts[part] = [*target.parts[part], {**old, "position": position}]
    return {"position": position}


def delete_embedded_object(batch: Batch, body: Json) -> None:
    """Take a chart or a slicer away."""
    sheet, part, index = _find_object(batch, body.get("objectId"))
    _put(sheet, part, index, None)


def update_embedded_object_border(batch: Batch, body: Json) -> None:
    """The line around a chart."""
    sheet, part, index = _find_object(batch, body.get("objectId"))
    mask = batch.mask(body)
    old = sheet.parts[part][index]
    border = masks.apply(old.get("border", {}), masks.clean(body.get("border") or {}), mask)
    _put(sheet, part, index, {**old, "border": border})


def add_slicer(batch: Batch, body: Json) -> Json:
    """A slicer, kept as it came."""
    given = body.get("slicer") or {}
    number = _new_id(batch, "slicers", "slicerId", given.get("slicerId"))
    sheet, position = _position(batch, given.get("position"))
    made = {"slicerId": number, "spec": _with_sheet_ids(masks.clean(given.get("spec") or {})), "position": position}
    sheet.parts["slicers"] = [*sheet.parts["slicers"], made]
    return {"slicer": made}


def update_slicer_spec(batch: Batch, body: Json) -> None:
    """Change a slicer."""
    sheet, index = _find(batch, "slicers", "slicerId", body.get("slicerId"))
    old = sheet.parts["slicers"][index]
    spec = masks.apply(old.get("spec", {}), _with_sheet_ids(masks.clean(body.get("spec") or {})), batch.mask(body))
    _put(sheet, "slicers", index, {**old, "spec": spec})


# --- conditional formats ----------------------------------------------------------------------------------------------


def _rule(batch: Batch, given: Any) -> tuple[Sheet, Json]:
    if not isinstance(given, dict) or not given.get("ranges"):
        raise invalid("rule.ranges is required.")
    if (given.get("booleanRule") is None) == (given.get("gradientRule") is None):
        raise invalid("Exactly one of rule.booleanRule and rule.gradientRule must be set.")
    ranges = [batch.full_range(one) if len(one) <= 1 else batch.stored_range(one) for one in given["ranges"]]
    if len({one["sheetId"] for one in ranges}) > 1:
        raise invalid("All ranges of a conditional format must be on the same sheet.")
    rule = masks.clean({key: one for key, one in given.items() if key != "ranges"}, True)
    return batch.grid(ranges[0]["sheetId"]), {"ranges": ranges, **rule}


def add_conditional_format_rule(batch: Batch, body: Json) -> None:
    """A rule at a place in the tab's list; the others make room."""
    sheet, rule = _rule(batch, body.get("rule"))
    index = body.get("index") or 0
    rules = sheet.parts["conditionalFormats"]
    if not 0 <= index <= len(rules):
        raise invalid(f"Conditional format index {index} is out of bounds.")
    sheet.parts["conditionalFormats"] = [*rules[:index], rule, *rules[index:]]


def _rule_at(sheet: Sheet, index: int) -> Json:
    rules = sheet.parts["conditionalFormats"]
    if not 0 <= index < len(rules):
        raise invalid(f"No conditional format on sheet: {sheet.sheet_id} at index: {index}")
    return rules[index]


def update_conditional_format_rule(batch: Batch, body: Json) -> Json:
    """Another rule in the same place, or the same rule in another place."""
    index = body.get("index") or 0
    if body.get("rule") is not None:
        sheet, rule = _rule(batch, body["rule"])
        old = _rule_at(sheet, index)
        _put(sheet, "conditionalFormats", index, rule)
        return {"oldRule": old, "newRule": rule, "newIndex": index}
    sheet = batch.grid(body.get("sheetId"))
    old = _rule_at(sheet, index)
    to = body.get("newIndex") or 0
    rules = [one for one in sheet.parts["conditionalFormats"] if one is not old]
    sheet.parts["conditionalFormats"] = [*rules[:to], old, *rules[to:]]
    return {"newRule": old, "oldIndex": index, "newIndex": to}


def delete_conditional_format_rule(batch: Batch, body: Json) -> Json:
    """Take a rule out; the rules behind it move up."""
    sheet = batch.grid(body.get("sheetId"))
    index = body.get("index") or 0
    rule = _rule_at(sheet, index)
    _put(sheet, "conditionalFormats", index, None)
    return {"rule": rule}


# --- banding and tables -----------------------------------------------------------------------------------------------


def _check_banding(batch: Batch, sheet: Sheet, place: Json, but: Any = None) -> None:
    box = batch.spreadsheet.box_of(place)
    for one in sheet.parts["bandedRanges"]:
        if one["bandedRangeId"] != but and batch.spreadsheet.box_of(one["range"]).meets(box):
            raise invalid(
                "You cannot add alternating background colors to a range that already has alternating "
                "background colors."
            )


def add_banding(batch: Batch, body: Json) -> Json:
    """Alternating colours."""
    given = body.get("bandedRange") or {}
    number = _new_id(batch, "bandedRanges", "bandedRangeId", given.get("bandedRangeId"))
    place = batch.full_range(given.get("range"))
    sheet = batch.grid(place["sheetId"])
    if not given.get("rowProperties") and not given.get("columnProperties"):
        raise invalid("bandedRange.rowProperties or bandedRange.columnProperties must be set.")
    _check_banding(batch, sheet, place)
    made = {**masks.clean(given), "bandedRangeId": number, "range": place}
    sheet.parts["bandedRanges"] = [*sheet.parts["bandedRanges"], made]
    return {"bandedRange": made}


def update_banding(batch: Batch, body: Json) -> None:
    """Other colours, or another range."""
    given = body.get("bandedRange") or {}
    sheet, index = _find(batch, "bandedRanges", "bandedRangeId", given.get("bandedRangeId"))
    old = sheet.parts["bandedRanges"][index]
    new = masks.apply(old, _with_sheet_ids(masks.clean(given)), batch.mask(body))
    new["bandedRangeId"] = old["bandedRangeId"]
    new["range"] = batch.full_range(new.get("range"))
    _check_banding(batch, sheet, new["range"], old["bandedRangeId"])
    _put(sheet, "bandedRanges", index, new)


def add_table(batch: Batch, body: Json) -> Json:
    """A native table, kept as it came."""
    given = body.get("table") or {}
    number = _new_id(batch, "tables", "tableId", given.get("tableId"))
    place = batch.full_range(given.get("range"))
    sheet = batch.grid(place["sheetId"])
    made = {**masks.clean(given), "tableId": number, "range": place}
    made.setdefault("name", f"Table{len(sheet.parts['tables']) + 1}")
    sheet.parts["tables"] = [*sheet.parts["tables"], made]
    return {"table": made}


def update_table(batch: Batch, body: Json) -> None:
    """Change a table."""
    given = body.get("table") or {}
    sheet, index = _find(batch, "tables", "tableId", given.get("tableId"))
    old = sheet.parts["tables"][index]
    new = masks.apply(old, _with_sheet_ids(masks.clean(given)), batch.mask(body))
    new["tableId"] = old["tableId"]
    new["range"] = batch.full_range(new.get("range"))
    _put(sheet, "tables", index, new)


REQUESTS: dict[str, tuple[Request, str]] = {
    "addNamedRange": (add_named_range, "namedRange"),
    "updateNamedRange": (update_named_range, "namedRange fields"),
    "deleteNamedRange": (delete_named_range, "namedRangeId"),
    "addProtectedRange": (add_protected_range, "protectedRange"),
    "updateProtectedRange": (update_protected_range, "protectedRange fields"),
    "deleteProtectedRange": (delete_protected_range, "protectedRangeId"),
    "setBasicFilter": (set_basic_filter, "filter"),
    "clearBasicFilter": (clear_basic_filter, "sheetId"),
    "addFilterView": (add_filter_view, "filter"),
    "updateFilterView": (update_filter_view, "filter fields"),
    "duplicateFilterView": (duplicate_filter_view, "filterId"),
    "deleteFilterView": (_delete("filterViews", "filterViewId", "filterId"), "filterId"),
    "addChart": (add_chart, "chart"),
    "updateChartSpec": (update_chart_spec, "chartId spec"),
    "updateEmbeddedObjectPosition": (update_embedded_object_position, "objectId newPosition fields"),
    "updateEmbeddedObjectBorder": (update_embedded_object_border, "objectId border fields"),
    "deleteEmbeddedObject": (delete_embedded_object, "objectId"),
    "addSlicer": (add_slicer, "slicer"),
    "updateSlicerSpec": (update_slicer_spec, "slicerId spec fields"),
    "addConditionalFormatRule": (add_conditional_format_rule, "rule index"),
    "updateConditionalFormatRule": (update_conditional_format_rule, "index sheetId rule newIndex"),
    "deleteConditionalFormatRule": (delete_conditional_format_rule, "index sheetId"),
    "addBanding": (add_banding, "bandedRange"),
    "updateBanding": (update_banding, "bandedRange fields"),
    "deleteBanding": (_delete("bandedRanges", "bandedRangeId", "bandedRangeId"), "bandedRangeId"),
    "addTable": (add_table, "table"),
    "updateTable": (update_table, "table fields"),
    "deleteTable": (_delete("tables", "tableId", "tableId"), "tableId"),
}
