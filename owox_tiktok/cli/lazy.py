"""The lazy door of the command line: modules that are imported when a command works, not when its help is shown.

A module of commands declares options, which must cost nothing, and calls what is behind them, which loads half the
program. What is behind the door is named twice, for the type checker and for Python:

    if TYPE_CHECKING:
        from owox_tiktok import app
    else:
        app = lazily("owox_tiktok.app")
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    """A module that is imported at the first use of one of its names."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def lazily(name: str) -> ModuleType:
    """Return the module ``name``, imported at the first use of one of its names."""
    return _Lazy(name)
