"""The template Sheet as data: its tabs, what stands in them, and the words by which it is recognised again.

Two kinds come from one definition: rows go into the Sheet itself, or into BigQuery. Parameters come from SETTINGS and
fields from STREAMS, so that a new one is in the template by itself. Nothing here reads or writes a Sheet or a file.
"""

from __future__ import annotations

import re
from typing import Literal

from owox_tiktok.settings import SETTINGS, Setting

SheetKind = Literal["sheets", "bigquery"]

START, CONFIG, FIELDS, LOGS, DASHBOARD = "Start here", "Config", "Fields", "Logs", "Dashboard"
"""Titles of the tabs. A tab is recognised by its tag, and by its title where it has none (as in an uploaded file)."""

CONFIG_HEADINGS = ("Parameter", "Value", "Description")
FIELDS_HEADINGS = ("Import", "Object", "Field", "Type", "Description")
"""A row with an object and no field is the object's own; its tick says whether the object is imported."""
LOGS_HEADINGS = ("Time", "Level", "Object", "Advertiser", "Message")
MOST_LOG_ROWS = 1_000

CURRENT_STATUS, LAST_IMPORT_DATE, LAST_REQUESTED_DATE = "Current Status", "Last Import Date", "Last Requested Date"
OUTPUTS = (CURRENT_STATUS, LAST_IMPORT_DATE, LAST_REQUESTED_DATE)
"""What an import writes into Config, beside the parameters."""


def parameters(kind: SheetKind) -> tuple[Setting, ...]:
    """Return the settings that a template of this kind asks for, in its order."""
    return tuple(s for s in SETTINGS if s.label and (kind == "bigquery" or not s.only_bigquery))


def normal(label: str) -> str:
    """Return a label as it is compared: ``Start Date*``, `` start  date`` and ``StartDate`` are the same."""
    return re.sub(r"[\s*_:-]+", "", label).casefold()
