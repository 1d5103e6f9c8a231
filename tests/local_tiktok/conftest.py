"""A small client for the emulator's own tests: plain requests, no help from the project's loader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from owox_tiktok.local.tiktok import Server, World, serve

AS_OF = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


class Client:
    """Asks one server; parameters that are not texts are sent as JSON, as the API wants them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Access-Token"] = server.token

    def raw(self, path: str, timeout: float = 10, **params: Any) -> requests.Response:
        sent = {name: one if isinstance(one, str) else json.dumps(one) for name, one in params.items()}
        return self.session.get(f"{self.server.url}{path}/", params=sent, timeout=timeout)

    def ask(self, path: str, **params: Any) -> dict[str, Any]:
        """The envelope."""
        response = self.raw(path, **params)
        assert response.status_code == 200
        envelope: dict[str, Any] = response.json()
        assert set(envelope) == {"code", "message", "request_id", "data"}
        assert isinstance(envelope["code"], int)
        return envelope

    def data(self, path: str, **params: Any) -> dict[str, Any]:
        """The data of a success."""
        envelope = self.ask(path, **params)
        assert envelope["code"] == 0, envelope["message"]
        return dict(envelope["data"])

    def report(self, **params: Any) -> dict[str, Any]:
        """The envelope of a report on the first account; BASIC, by ad and day, 1-3 June, unless asked otherwise."""
        asked: dict[str, Any] = {
            "advertiser_id": self.server.advertiser_ids[0],
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id", "stat_time_day"],
            "metrics": ["spend", "impressions"],
            "start_date": "2026-06-01",
            "end_date": "2026-06-03",
            "page_size": 1000,
        } | params
        return self.ask("report/integrated/get", **{name: one for name, one in asked.items() if one is not None})

    def rows(self, **params: Any) -> list[dict[str, Any]]:
        """All rows of a report, page after page."""
        rows: list[dict[str, Any]] = []
        page = 1
        while True:
            envelope = self.report(page=page, **params)
            assert envelope["code"] == 0, envelope["message"]
            rows += envelope["data"]["list"]
            if page >= envelope["data"]["page_info"]["total_page"]:
                return rows
            page += 1


@pytest.fixture
def world() -> World:
    return World(seed=1, advertisers=3, as_of=AS_OF)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with serve(world) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server)


@pytest.fixture(name="make_client")
def _make_client() -> type[Client]:
    return Client
