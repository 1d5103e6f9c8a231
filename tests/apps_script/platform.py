"""What stands before the function in Google Cloud: it lets calls through, unless it is set to answer by itself."""

from __future__ import annotations

import json
from typing import Any

import requests

from owox_tiktok.local.http import Answer, Call, Emulator


class Platform(Emulator):
    """Passes calls on to the function at ``function``; ``replies`` holds what actions are answered here instead.

    ``orders`` are the calls that came, without the spreadsheet's id; ``tokens`` the identities they came with.
    """

    def __init__(self, function: str = "") -> None:
        super().__init__()
        self.function = function
        self.replies: dict[str, Answer] = {}
        self.orders: list[dict[str, Any]] = []
        self.tokens: list[tuple[str, str]] = []

    def answer(self, call: Call) -> Answer:
        """Answer here, or let the function answer."""
        order = json.loads(call.body)
        self.tokens.append((call.headers.get("authorization", ""), call.headers.get("x-owox-identity", "")))
        self.orders.append({name: value for name, value in order.items() if name != "spreadsheet_id"})
        if order["action"] in self.replies:
            return self.replies[order["action"]]
        kept = ("authorization", "x-owox-identity", "content-type")
        headers = {name: call.headers[name] for name in kept if name in call.headers}
        got = requests.post(self.function, data=call.body, headers=headers, timeout=60)
        also = {name: got.headers[name] for name in ("Retry-After",) if name in got.headers}
        return Answer(got.status_code, got.content, got.headers["Content-Type"], also)
