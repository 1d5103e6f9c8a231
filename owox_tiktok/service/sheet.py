"""The spreadsheet that a request is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from owox_tiktok import app
from owox_tiktok.service.asked import Asked
from owox_tiktok.service.registry import Entry
from owox_tiktok.settings import Settings
from owox_tiktok.sheets.control import Control


@dataclass(frozen=True)
class Sheet:
    """The spreadsheet of one request: what it may do, and with what."""

    asked: Asked
    entry: Entry
    environment: Mapping[str, str] = field(repr=False)

    def open(self) -> Control:
        """Return its control Sheet, to be used in a ``with`` block."""
        return app.open_sheet(self.asked.spreadsheet_id, environment=self.environment, datasets=self.entry.datasets)

    def settings(self, now: datetime) -> Settings:
        """Return what its tabs say, with only the objects that are asked for."""
        with self.open() as control:
            return app.only(control.read(now).settings, self.asked.objects)
