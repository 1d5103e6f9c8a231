"""A control Sheet for tests: written as a person writes it, read from the emulator's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from owox_tiktok import app
from owox_tiktok.events import Event, Finished
from owox_tiktok.local.sheets import Server, Sheet
from owox_tiktok.retry import Limits
from owox_tiktok.sheets.client import LIMITS, Spreadsheet
from owox_tiktok.sheets.control import Control
from tests.helpers import START, Project

OUTPUTS = ("Current Status", "Last Import Date", "Last Requested Date")
OBJECTS = {"ads": ("ad_name",), "ad_report_daily": ("spend", "impressions", "ctr")}


@dataclass
class ControlSheet:
    """A spreadsheet with Config, Fields and Logs, as rows of plain values, in an order and at places of their own."""

    server: Server
    book: str

    @property
    def environment(self) -> dict[str, str]:
        return {"SHEETS_API_URL": self.server.url}

    def tab(self, title: str) -> Sheet:
        return next(s for s in self.server.spreadsheet(self.book).sheets if s.title == title)

    def values(self, title: str) -> list[list[Any]]:
        return self.tab(title).values()

    def write(self, title: str, row: int, column: int, value: Any) -> None:
        """Type a value into a cell (row and column from 0)."""
        kind = (
            "boolValue"
            if isinstance(value, bool)
            else "numberValue"
            if isinstance(value, int | float)
            else "stringValue"
        )
        cell = {} if value is None else {"userEnteredValue": {kind: value}}
        start = {"sheetId": self.tab(title).sheet_id, "rowIndex": row, "columnIndex": column}
        request = {"updateCells": {"start": start, "rows": [{"values": [cell]}], "fields": "userEnteredValue"}}
        self.server.batch(self.book, [request])

    def row_of(self, label: str) -> int:
        return next(n for n, row in enumerate(self.values("Config")) if row and row[0] == label)

    def set(self, label: str, value: Any) -> None:
        """Fill in a parameter."""
        self.write("Config", self.row_of(label), 1, value)

    def get(self, label: str) -> Any:
        row = self.values("Config")[self.row_of(label)]
        return row[1] if len(row) > 1 else None

    @property
    def status(self) -> str:
        return str(self.get("Current Status") or "")

    @property
    def log(self) -> list[list[Any]]:
        """The lines of the log below its headings, newest first: time, level, object, advertiser, message."""
        return [line + [None] * (5 - len(line)) for line in self.values("Logs")[1:]]

    def messages(self, level: str = "") -> list[str]:
        return [str(line[4]) for line in self.log if line[4] and level in ("", line[1])]


def config_rows(project: Project, **more: Any) -> list[list[Any]]:
    """Config as the template has it, filled in for the project."""
    said: dict[str, Any] = {
        "Advertiser IDs*": ", ".join(project.server.advertiser_ids),
        "Start Date*": (START - date(1899, 12, 30)).days,
        "End Date": None,
        "Reimport Lookback Window": 7,
        "Clean Up To Keep Window": None,
        "Include Deleted": True,
        "Sandbox Mode": False,
        "Max Run Timeout": None,
        **more,
    }
    return [
        ["Parameter", "Value", "Description"],
        *([o] for o in OUTPUTS),
        [],
        *([k, v, "what it is for"] for k, v in said.items()),
    ]


def fields_rows(ticked: Mapping[str, Sequence[str]]) -> list[list[Any]]:
    """Fields with these objects and fields ticked, and others not."""
    rows: list[list[Any]] = [["Import", "Object", "Field", "Type", "Description"]]
    for name in ("campaigns", *ticked):
        rows.append([name in ticked, name, None, None, "an object"])
        rows += [[field in ticked.get(name, ()), name, field] for field in (*ticked.get(name, ()), "currency")]
    return rows


def control_sheet(
    server: Server,
    project: Project,
    ticked: Mapping[str, Sequence[str]] | None = None,
    **more: Any,
) -> ControlSheet:
    """Make a control Sheet for the project."""
    book = server.create(
        "TikTok Ads",
        [
            {"title": "Config", "values": config_rows(project, **more), "rows": 40, "columns": 5},
            {"title": "Fields", "values": fields_rows(OBJECTS if ticked is None else ticked), "rows": 60, "columns": 6},
            {
                "title": "Logs",
                "values": [["Time", "Level", "Object", "Advertiser", "Message"]],
                "rows": 2,
                "columns": 5,
            },
        ],
    )
    return ControlSheet(server, book)


def run(
    sheet: ControlSheet,
    project: Project,
    *,
    now: datetime | None = None,
    listen: list[Event] | None = None,
    limits: Limits = LIMITS,
    environment_more: Mapping[str, str] = {},
    **more: Any,
) -> Finished:
    """Import what the Sheet says, in this process."""
    environment = project.environment | sheet.environment | {"TIKTOK_REQUESTS_PER_SECOND": "1000"}
    environment |= environment_more
    moment = now or project.server.world.now()
    book = Spreadsheet(sheet.book, limits=limits, environment=environment)
    with Control(book, environment=environment) as control:
        heard = [] if listen is None else listen
        return app.import_sheet(control, now=moment, listen=heard.append, environment=environment, **more)
