"""A page with the menu in it, as a laptop shows it beside the Sheet."""

from __future__ import annotations

import json
from pathlib import Path

from owox_tiktok.local import menu
from owox_tiktok.local.http import Answer, Call, Emulator

_PAGE = Path(__file__).with_name("page.html")


class MenuPage(Emulator):
    """Serves the page; the menu in it calls the service at ``address``, which really is at ``where``."""

    def __init__(self, address: str, token: str, spreadsheet_id: str, *, where: str = "") -> None:
        super().__init__()
        self.address, self.token, self.spreadsheet_id = address, token, spreadsheet_id
        self.where = where or address

    def answer(self, call: Call) -> Answer:
        """Answer with the page, or with what belongs to the menu."""
        if call.path.startswith(menu.PREFIX):
            return menu.answer(call, services={self.address: self.where})
        if call.path != "/":
            return Answer(404)
        given = {"address": self.address, "token": self.token, "spreadsheet_id": self.spreadsheet_id}
        text = _PAGE.read_text(encoding="utf-8").replace("{{given}}", json.dumps(given).replace("<", "\\u003c"))
        return Answer(200, text.encode(), "text/html; charset=utf-8")
