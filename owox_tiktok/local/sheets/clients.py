"""Google's own clients, pointed at the emulator."""

from __future__ import annotations

from typing import Any

import gspread
from google.auth.credentials import AnonymousCredentials
from gspread.http_client import HTTPClient

from owox_tiktok.local.sheets.auth import OWNER
from owox_tiktok.local.sheets.server import Server

GOOGLE = ("https://sheets.googleapis.com", "https://www.googleapis.com", "https://docs.google.com")
"""Hosts that gspread calls; all of them are answered by one emulator."""


def gspread_client(server: Server, email: str = OWNER) -> gspread.Client:
    """Return a gspread client that talks to ``server`` as the person ``email``.

    Without an address it is the owner of everything; anybody else sees what is shared with them. Close its
    ``http_client.session`` when you are done. Raises ModuleNotFoundError where gspread is not installed.
    """

    class Local(HTTPClient):
        def request(self, method: str, endpoint: str, *args: Any, **more: Any) -> Any:
            for host in GOOGLE:
                endpoint = endpoint.replace(host, server.url, 1)
            return super().request(method, endpoint, *args, **more)

    client = gspread.Client(auth=AnonymousCredentials(), http_client=Local)  # type: ignore[no-untyped-call]
    client.http_client.session.headers["Authorization"] = f"Bearer {server.token(email)}"
    return client
