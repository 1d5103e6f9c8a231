"""A small client for the emulator's own tests: plain requests, and gspread where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from owox_tiktok.local.sheets import Server, Sheet, Spreadsheet, serve


class Book:
    """One spreadsheet and somebody who asks for it; without a token that is its owner."""

    def __init__(self, server: Server, spreadsheet_id: str, token: str = "") -> None:
        self.server = server
        self.id = spreadsheet_id
        self.url = f"{server.url}/v4/spreadsheets/{spreadsheet_id}"
        self.session = requests.Session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    @property
    def model(self) -> Spreadsheet:
        return self.server.spreadsheet(self.id)

    @property
    def sheet(self) -> Sheet:
        """The first tab in memory."""
        return self.model.sheets[0]

    def call(self, method: str, path: str, status: int = 200, json: Any = None, **params: Any) -> Any:
        answer = self.session.request(method, self.url + path, json=json, params=params, timeout=10)
        assert answer.status_code == status, answer.text
        return answer.json()

    def error(self, method: str, path: str, status: int = 400, json: Any = None, **params: Any) -> str:
        """The message of a refusal."""
        return str(self.call(method, path, status, json, **params)["error"]["message"])

    def get(self, **params: Any) -> Any:
        return self.call("GET", "", **params)

    def batch(self, *batch: dict[str, Any]) -> list[dict[str, Any]]:
        """Replies of a batchUpdate."""
        return list(self.call("POST", ":batchUpdate", json={"requests": list(batch)})["replies"])

    def refused(self, *batch: dict[str, Any]) -> str:
        """The message of a refused batchUpdate."""
        return self.error("POST", ":batchUpdate", json={"requests": list(batch)})

    def put(self, text: str, values: Any, option: str = "RAW", **params: Any) -> Any:
        return self.call("PUT", f"/values/{text}", json={"values": values}, valueInputOption=option, **params)

    def append(self, text: str, values: Any, **params: Any) -> Any:
        return self.call("POST", f"/values/{text}:append", json={"values": values}, valueInputOption="RAW", **params)

    def values(self, text: str, render: str = "FORMATTED_VALUE", dates: str = "SERIAL_NUMBER") -> Any:
        return self.call("GET", f"/values/{text}", valueRenderOption=render, dateTimeRenderOption=dates).get("values")

    def show(self, text: str, fields: str) -> list[list[Any]]:
        """Cells of a range under a mask of cell fields."""
        answer = self.get(ranges=text, fields=f"sheets.data.rowData.values({fields})")
        rows = answer["sheets"][0]["data"][0].get("rowData", [])
        return [row.get("values", []) for row in rows]


def box(top: int, bottom: int, left: int, right: int, sheet_id: int = 0) -> dict[str, int]:
    """A ``GridRange``."""
    return {
        "sheetId": sheet_id,
        "startRowIndex": top,
        "endRowIndex": bottom,
        "startColumnIndex": left,
        "endColumnIndex": right,
    }


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as server:
        yield server


@pytest.fixture
def book(server: Server) -> Iterator[Book]:
    book = Book(server, server.create("Report"))
    yield book
    book.session.close()
