"""The part of Drive v3 (and one call of v2) that clients of spreadsheets use."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime
from typing import Any

from owox_tiktok.local.sheets import masks
from owox_tiktok.local.sheets.auth import OWNER
from owox_tiktok.local.sheets.errors import DriveError, Json
from owox_tiktok.local.sheets.model import Caller, MetadataEntry, Sheet, Spreadsheet, new_file_id
from owox_tiktok.local.sheets.values import Formula, enter
from owox_tiktok.local.sheets.values_api import displayed, set_number_format

SPREADSHEET = "application/vnd.google-apps.spreadsheet"
_DEFAULT = "kind,id,name,mimeType"
_IMPORT_ZONE = "America/Los_Angeles"
"""Files made by conversion get this zone, not the caller's."""


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def missing(file_id: str) -> DriveError:
    """An id that is unknown, or not shared: Drive does not tell which."""
    return DriveError(404, "notFound", f"File not found: {file_id}.")


class Drive:
    """Files. All of them are spreadsheets."""

    def __init__(self) -> None:
        self.files: dict[str, Spreadsheet] = {}

    # --- finding ------------------------------------------------------------------------------------------------------

    def file(self, file_id: str, caller: Caller, write: bool = False) -> Spreadsheet:
        """A file the caller may see."""
        found = self.files.get(file_id)
        role = found.role(caller) if found is not None else None
        if found is None or role is None:
            raise missing(file_id)
        if write and role not in ("writer", "owner"):
            raise DriveError(
                403,
                "insufficientFilePermissions",
                f"The user does not have sufficient permissions for file {file_id}.",
            )
        return found

    def to_json(self, one: Spreadsheet, caller: Caller) -> Json:
        """A file with every field this emulator knows."""
        role = one.role(caller)
        writes = role in ("writer", "owner")
        return {
            "kind": "drive#file",
            "id": one.spreadsheet_id,
            "name": one.title,
            "mimeType": SPREADSHEET,
            "description": one.description,
            "parents": one.parents,
            "trashed": False,
            "starred": False,
            "version": str(one.version),
            "createdTime": _time(one.created),
            "modifiedTime": _time(one.modified),
            "webViewLink": f"https://docs.google.com/spreadsheets/d/{one.spreadsheet_id}/edit",
            "ownedByMe": role == "owner",
            "shared": len(one.permissions) > 1,
            "owners": [{"kind": "drive#user", "emailAddress": one.owner, "me": one.owner == caller.email}],
            "capabilities": {"canEdit": writes, "canCopy": True, "canShare": writes, "canDelete": role == "owner"},
            "permissions": one.permissions,
        }

    def get(self, file_id: str, caller: Caller, fields: str | None) -> Json:
        """``files.get``."""
        mask = masks.parse(fields or _DEFAULT)
        return dict(masks.project(self.to_json(self.file(file_id, caller), caller), mask))

    def list(self, caller: Caller, query: str, fields: str | None) -> Json:
        """``files.list``, the latest file first."""
        tests = _query(query)
        found = [
            self.to_json(one, caller)
            for one in sorted(self.files.values(), key=lambda item: item.created, reverse=True)
            if one.role(caller) is not None
        ]
        files = [one for one in found if all(test(one) for test in tests)]
        mask = masks.parse(fields or f"kind,incompleteSearch,files({_DEFAULT})")
        return dict(masks.project({"kind": "drive#fileList", "incompleteSearch": False, "files": files}, mask))

    # --- making -------------------------------------------------------------------------------------------------------

    def make(self, title: str, owner: str = OWNER, file_id: str | None = None) -> Spreadsheet:
        """A new file with one empty tab."""
        one = Spreadsheet(file_id or new_file_id(), title, owner, [Sheet(0, "Sheet1")])
        self.files[one.spreadsheet_id] = one
        return one

    def create(self, caller: Caller, body: Json) -> Json:
        """``files.create`` without content."""
        if body.get("mimeType") != SPREADSHEET:
            raise DriveError(400, "badRequest", f"Only {SPREADSHEET} can be created by this emulator.")
        one = self.make(str(body.get("name") or "Untitled spreadsheet"), caller.email)
        one.parents = list(body.get("parents") or [])
        return dict(masks.project(self.to_json(one, caller), masks.parse(_DEFAULT)))

    def copy(self, file_id: str, caller: Caller, body: Json) -> Json:
        """``files.copy``: cells, looks, names, and developer metadata with its ids, go along."""
        source = self.file(file_id, caller)
        title = body.get("name") or f"Copy of {source.title}"
        one = self.make(str(title), caller.email)
        one.sheets = []
        for sheet in source.sheets:
            copied = sheet.copy(sheet.sheet_id, sheet.title)
            # Locks stay, but let only the copy's new owner through.
            copied.parts["protectedRanges"] = [
                {**item, "editors": {"users": [caller.email]}} if item.get("editors") else item
                for item in copied.parts["protectedRanges"]
            ]
            one.sheets.append(copied)
        one.named_ranges = list(source.named_ranges)
        one.metadata = [
            MetadataEntry(item.metadata_id, item.key, item.value, item.visibility, item.location, item.project)
            for item in source.metadata
        ]
        one.properties = source.properties
        one.parents = list(body.get("parents") or [])
        return dict(masks.project(self.to_json(one, caller), masks.parse(_DEFAULT)))

    def update(self, file_id: str, caller: Caller, body: Json, fields: str | None) -> Json:
        """``files.update`` of name and description."""
        one = self.file(file_id, caller, write=True)
        if body.get("name"):
            one.title = str(body["name"])
        if "description" in body:
            one.description = str(body["description"] or "")
        if body.get("trashed"):
            del self.files[file_id]
        one.changed()
        return dict(masks.project(self.to_json(one, caller), masks.parse(fields or _DEFAULT)))

    def delete(self, file_id: str, caller: Caller) -> None:
        """``files.delete``; only the owner may."""
        one = self.file(file_id, caller, write=True)
        if one.role(caller) != "owner":
            message = "The user does not have sufficient permissions for this file."
            raise DriveError(403, "insufficientFilePermissions", message)
        del self.files[file_id]

    # --- sharing ------------------------------------------------------------------------------------------------------

    def permissions(self, file_id: str, caller: Caller, fields: str | None) -> Json:
        """``permissions.list``."""
        one = self.file(file_id, caller, write=True)
        items = [dict(item) for item in one.permissions]
        if not fields:
            items = [{key: item[key] for key in ("kind", "id", "type", "role") if key in item} for item in items]
        return dict(masks.project({"kind": "drive#permissionList", "permissions": items}, masks.parse(fields or "")))

    def share(self, file_id: str, caller: Caller, body: Json) -> Json:
        """``permissions.create``."""
        one = self.file(file_id, caller, write=True)
        role, kind = body.get("role"), body.get("type")
        if role not in ("owner", "writer", "commenter", "reader"):
            raise DriveError(400, "badRequest", "The permission role field is required.")
        if kind == "anyone":
            made = {"kind": "drive#permission", "id": "anyoneWithLink", "type": "anyone", "role": role}
            one.permissions = [item for item in one.permissions if item["id"] != made["id"]] + [made]
        elif kind in ("user", "group") and "@" in str(body.get("emailAddress", "")):
            made = one.share(str(body["emailAddress"]), str(role))
        else:
            raise DriveError(400, "invalidSharingRequest", 'Bad Request. User message: ""')
        return {key: made[key] for key in ("kind", "id", "type", "role")}

    def change_permission(self, file_id: str, caller: Caller, number: str, body: Json | None) -> Json | None:
        """``permissions.update``, or with no body ``permissions.delete``."""
        one = self.file(file_id, caller, write=True)
        found = next((item for item in one.permissions if item["id"] == number), None)
        if found is None:
            raise DriveError(404, "notFound", f"Permission not found: {number}.")
        rest = [item for item in one.permissions if item is not found]
        if body is None:
            one.permissions = rest
            return None
        found = {**found, "role": body.get("role", found["role"])}
        one.permissions = [*rest, found]
        return {key: found[key] for key in ("kind", "id", "type", "role")}

    # --- content ------------------------------------------------------------------------------------------------------

    def export(self, file_id: str, caller: Caller, kind: str) -> bytes:
        """``files.export``: the first tab as text."""
        one = self.file(file_id, caller)
        if kind not in ("text/csv", "text/tab-separated-values"):
            raise DriveError(400, "badRequest", "The requested conversion is not supported.")
        sheet = one.sheets[0]
        rows: list[list[str]] = []
        evaluator = one.evaluator()
        for row in range(len(sheet.grid.rows)):
            width = len(sheet.grid.cells_of(row, 0, sheet.grid.column_count))
            rows.append([displayed(one, sheet, row, at, evaluator.result(sheet, row, at)) for at in range(width)])
        while rows and not any(rows[-1]):
            rows.pop()
        widest = max((index + 1 for line in rows for index, text in enumerate(line) if text), default=0)
        rows = [(line + [""] * widest)[:widest] for line in rows]
        out = io.StringIO()
        csv.writer(out, delimiter="," if kind == "text/csv" else "\t", lineterminator="\r\n").writerows(rows)
        return out.getvalue().removesuffix("\r\n").encode()

    def import_csv(self, one: Spreadsheet, data: bytes) -> None:
        """Replace everything in a file by one tab read from CSV."""
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        with one.transaction():
            width = max((len(line) for line in lines), default=0)
            sheet = Sheet(one.new_id("sheet"), one.title[:100], max(1000, len(lines)), max(26, width))
            for row, line in enumerate(lines):
                for column, text in enumerate(line):
                    content, form = enter(text, one.locale, Formula)
                    sheet.grid.write(row, column, content)
                    if form is not None:
                        set_number_format(sheet, row, column, form)
            one.sheets = [sheet]
            one.named_ranges = []
            one.metadata = []
            one.properties = {**one.properties, "timeZone": _IMPORT_ZONE}

    def upload_v2(self, file_id: str, caller: Caller, data: bytes) -> Json:
        """``PUT upload/drive/v2/files/ID?convert=true`` with CSV."""
        one = self.file(file_id, caller, write=True)
        self.import_csv(one, data)
        return {
            "kind": "drive#file",
            "id": file_id,
            "title": one.title,
            "mimeType": SPREADSHEET,
            "editable": True,
            "writersCanShare": True,
            "createdDate": _time(one.created),
            "modifiedDate": _time(one.modified),
            "ownerNames": [one.owner],
            "lastModifyingUserName": caller.email,
            "userPermission": {"kind": "drive#permission", "id": "me", "type": "user", "role": one.role(caller)},
        }

    def upload_v3(self, caller: Caller, content_type: str, data: bytes) -> Json:
        """``POST upload/drive/v3/files?uploadType=multipart`` with CSV to be converted."""
        boundary = re.search(r'boundary="?([^";]+)', content_type)
        parts = data.split(b"--" + boundary[1].encode()) if boundary else []
        if len(parts) < 3:
            raise DriveError(400, "badRequest", "Malformed multipart body.")

        _, _, meta = parts[1].partition(b"\r\n\r\n")
        media_head, _, media = parts[2].partition(b"\r\n\r\n")
        if b"text/csv" not in media_head.lower():
            raise DriveError(400, "badRequest", "This emulator converts text/csv only.")
        made = self.create(caller, json.loads(meta))
        self.import_csv(self.files[made["id"]], media.removesuffix(b"\r\n"))
        return made


_CLAUSE = re.compile(r"""^(?:(\w+)\s*(=|!=|contains)\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\w+)))$""")
_IN = re.compile(r"""^['"]([^'"]*)['"]\s+in\s+(parents|owners|writers|readers)$""")


def _query(query: str) -> list[Any]:
    tests: list[Any] = []
    for clause in re.split(r"\s+and\s+(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)", query.strip()) if query.strip() else []:
        within = _IN.match(clause.strip())
        if within is not None:
            if within[2] == "parents":
                tests.append(lambda one, wanted=within[1]: wanted in one["parents"])
            continue
        match = _CLAUSE.match(clause.strip())
        if match is None:
            raise DriveError(400, "invalid", "Invalid Value")
        name, op = match[1], match[2]
        wanted = next((one for one in match.groups()[2:] if one is not None), "").replace("\\", "")
        tests.append(lambda one, name=name, op=op, wanted=wanted: _holds(one.get(name), op, wanted))
    return tests


def _holds(value: Any, op: str, wanted: str) -> bool:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if op == "contains":
        return wanted.lower() in text.lower()
    return (text == wanted) == (op == "=")
