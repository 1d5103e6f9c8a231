"""TikTok Ads into DuckDB, PostgreSQL, BigQuery, Parquet, Sheets and data frames: exact, incremental, at TikTok's speed.

``from owox_tiktok import TikTokAds`` is the door for programs; see docs/python.md. What ``__all__`` lists may be relied
on. Each name is imported from its module when it is first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from owox_tiktok.api import Imported as Imported
    from owox_tiktok.api import Incomplete as Incomplete
    from owox_tiktok.api import Object as Object
    from owox_tiktok.api import Table as Table
    from owox_tiktok.api import TikTokAds as TikTokAds
    from owox_tiktok.app import Checked as Checked
    from owox_tiktok.app import Freshness as Freshness
    from owox_tiktok.app import Planned as Planned
    from owox_tiktok.app import Standing as Standing
    from owox_tiktok.errors import AccountRefused as AccountRefused
    from owox_tiktok.errors import BadInput as BadInput
    from owox_tiktok.errors import Halted as Halted
    from owox_tiktok.errors import Mistake as Mistake
    from owox_tiktok.errors import Problem as Problem
    from owox_tiktok.errors import Refused as Refused
    from owox_tiktok.errors import RequestRefused as RequestRefused
    from owox_tiktok.errors import StoreBusy as StoreBusy
    from owox_tiktok.errors import StoreFailed as StoreFailed
    from owox_tiktok.errors import TokenRefused as TokenRefused
    from owox_tiktok.errors import Unavailable as Unavailable
    from owox_tiktok.events import Event as Event
    from owox_tiktok.events import Failed as Failed
    from owox_tiktok.events import Finished as Finished
    from owox_tiktok.events import Pruned as Pruned
    from owox_tiktok.events import Started as Started
    from owox_tiktok.events import Stored as Stored
    from owox_tiktok.events import Waiting as Waiting
    from owox_tiktok.events import Warned as Warned
    from owox_tiktok.model import Advertiser as Advertiser
    from owox_tiktok.model import Cursor as Cursor
    from owox_tiktok.model import Field as Field
    from owox_tiktok.model import Kind as Kind

__version__ = "0.1.0"
__all__ = [
    "AccountRefused",
    "Advertiser",
    "BadInput",
    "Checked",
    "Cursor",
    "Event",
    "Failed",
    "Field",
    "Finished",
    "Freshness",
    "Halted",
    "Imported",
    "Incomplete",
    "Kind",
    "Mistake",
    "Object",
    "Planned",
    "Problem",
    "Pruned",
    "Refused",
    "RequestRefused",
    "Standing",
    "Started",
    "StoreBusy",
    "StoreFailed",
    "Stored",
    "Table",
    "TikTokAds",
    "TokenRefused",
    "Unavailable",
    "Waiting",
    "Warned",
]

_MODULES = {
    "api": ("Imported", "Incomplete", "Object", "Table", "TikTokAds"),
    "app": ("Checked", "Freshness", "Planned", "Standing"),
    "errors": (
        *("AccountRefused", "BadInput", "Halted", "Mistake", "Problem", "Refused", "RequestRefused"),
        *("StoreBusy", "StoreFailed", "TokenRefused", "Unavailable"),
    ),
    "events": ("Event", "Failed", "Finished", "Pruned", "Started", "Stored", "Waiting", "Warned"),
    "model": ("Advertiser", "Cursor", "Field", "Kind"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Return a public name, from the module where it lives."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
