"""Settings of an emulator that a test changes while it runs, from JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, ClassVar


class Adjustable:
    """A dataclass whose fields are set by name; what ``__post_init__`` refuses is refused here as well."""

    makers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """Of fields whose JSON value has another type: what makes it."""
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        """Raise ValueError for values that cannot be."""

    def update(self, values: dict[str, Any]) -> None:
        """Set fields from JSON values; an unknown name is a ValueError."""
        known = {one.name for one in fields(self)}
        unknown = [name for name in values if name not in known]
        if unknown:
            raise ValueError(f"unknown faults: {unknown}")
        for name, value in values.items():
            setattr(self, name, self.makers[name](value) if name in self.makers else value)
        self.__post_init__()
