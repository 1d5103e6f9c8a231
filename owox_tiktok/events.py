"""What a run says while it goes on. Frozen facts; each surface puts them in its own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class Started:
    """The plan is made: how many windows of how many pairs, per object how many days (or lists) there are to read."""

    pairs: int
    windows: int
    work: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows of a window are in the destination, with their cursor. ``work`` is its share of ``Started.work``."""

    object: str
    advertiser_id: str
    first: date | None
    last: date | None
    rows: int
    replaced: int
    work: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something makes the run wait for ``seconds``."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should know although the run goes on."""

    object: str
    advertiser_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A pair could not be read to its end; ``work`` is what is left of it."""

    object: str
    advertiser_id: str
    message: str
    request_id: str = ""
    work: int = 0


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows older than the keep window: deleted, or only counted when ``dry_run``."""

    object: str
    rows: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over. ``rows`` and ``replaced`` per object; ``failed`` counts pairs."""

    rows: Mapping[str, int]
    replaced: Mapping[str, int]
    pairs: int
    failed: int
    requests: int
    refused: int
    seconds: float
    warnings: int = 0
    pruned: Mapping[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 done, 1 failed, 3 partly done."""
        if not self.failed:
            return 0
        return 1 if self.failed >= self.pairs else 3


Event = Started | Stored | Waiting | Warned | Failed | Pruned | Finished
Listener = Callable[[Event], None]
