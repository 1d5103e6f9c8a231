"""The menu of the template Sheet, running its real Apps Script code in a browser on this machine.

``shims.js`` is as much of Apps Script as that code uses, and serves the tests in node as well; ``menu.js`` draws menu,
dialogs and sidebar in a page. How a page starts them stands at their top. A server that shows such a page passes the
calls that begin with ``/menu/`` to :func:`answer`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import requests

from owox_tiktok.local.http import Answer, Call, in_json
from owox_tiktok.shipped import root

FOLDER = Path(__file__).parent
SCRIPT = root() / "templates" / "apps_script"
"""The script's own files, which people put into a Sheet."""

PREFIX = "/menu/"
PAGE = FOLDER / "page.html"
"""A page with a spreadsheet and the menu over it; ``{{given}}`` is to be replaced by what its script reads."""
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".gs": "text/plain; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}


def script_folder() -> Path:
    """Return where Code.gs is; raises FileNotFoundError with a sentence where it is not."""
    if not (SCRIPT / "Code.gs").is_file():
        raise FileNotFoundError(f"The menu's script is not at {SCRIPT}. Install the program again.")
    return SCRIPT


def answer(call: Call, *, services: Mapping[str, str], script: Path | None = None) -> Answer:
    """Answer one call under ``/menu/``.

    ``GET /menu/shims.js`` and ``/menu/menu.js``; ``GET /menu/script/<file>`` from ``script``; ``POST /menu/fetch``
    passes UrlFetchApp's call on, to the addresses in ``services`` and to nothing else. They are given as the script
    knows them, each with where it really is.
    """
    name = call.path.removeprefix(PREFIX)
    if call.method == "POST" and name == "fetch":
        return _forward(call.body, services)
    folder = FOLDER
    if name.startswith("script/"):
        folder, name = script or script_folder(), name.removeprefix("script/")
    if call.method == "GET":
        files = {path.name: path for path in folder.iterdir() if path.suffix in _TYPES}
        if name in files:  # a name, never a path: nothing outside the folder is read
            return Answer(200, files[name].read_bytes(), _TYPES[files[name].suffix])
    return Answer(404)


def _forward(body: bytes, services: Mapping[str, str]) -> Answer:
    try:
        asked = json.loads(body)
        url, method, headers, payload = asked["url"], asked["method"], dict(asked["headers"]), asked.get("payload")
    except (ValueError, KeyError, TypeError):
        return Answer(400)
    where = services.get(str(url).rstrip("/"))
    if where is None:
        return Answer(502)  # to the script it looks like an address at which nothing answers
    try:
        data = None if payload is None else str(payload).encode()
        got = requests.request(method, where, headers=headers, data=data, timeout=60, allow_redirects=False)
    except requests.RequestException:
        return Answer(502)
    return in_json({"status": got.status_code, "headers": dict(got.headers), "body": got.text})
