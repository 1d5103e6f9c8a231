"""An emulator for the Google Sheets API v4, and the part of Drive v3 its clients use, on this machine.

It speaks real HTTP, keeps spreadsheets in memory, refuses what Google refuses in the same words, and
fails on demand::

    with serve(quota_per_minute=60) as server:
        book = server.create("My report", ["Campaigns"])
        server.share(book, "robot@project.iam.gserviceaccount.com")
        requests.get(f"{server.url}/v4/spreadsheets/{book}")

A browser shows the spreadsheets at :attr:`Server.url`.
"""

from owox_tiktok.local.sheets.faults import KINDS, Faults
from owox_tiktok.local.sheets.model import Caller, Sheet, Spreadsheet, Touch
from owox_tiktok.local.sheets.server import Logged, Server, run, serve

__all__ = ["KINDS", "Caller", "Faults", "Logged", "Server", "Sheet", "Spreadsheet", "Touch", "run", "serve"]
