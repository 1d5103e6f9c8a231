"""Objects with compare-and-set: the one thing that processes which share something need from the place they share.

An object is a name and some bytes. Each write gives it a new generation, a number that no other write of it ever has.
Who writes says which generation it has seen (0: none, there must be no such object) and is refused with ``Changed``
when there is another one by now. So two who change an object at once cannot both believe that they were first.
"""

from __future__ import annotations

import importlib
import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from owox_tiktok.errors import BadInput, Mistake, Problem, Unavailable

NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}(/[A-Za-z0-9_.-]{1,200}){0,5}")
"""What an object may be called."""
ATTEMPTS = 12
"""So often a change is tried again when somebody else was quicker."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.02, 1.0

_SCHEMES: Mapping[str, str] = {
    "gs": "owox_tiktok.central.cloud_storage",
    "sqlite": "owox_tiktok.central.sqlite",
}
_CHANCE = random.Random()  # noqa: S311 - it spreads attempts, and guards nothing


class Changed(Exception):
    """The object has another generation than whoever wrote it had seen. Never reaches a person: it is tried again."""


@dataclass(frozen=True, slots=True)
class Held:
    """An object as it was read."""

    body: bytes
    generation: int


class Store(Protocol):
    """A place for objects; safe for threads. Raises Unavailable when it does not answer, Problem when it says no.

    ``apart_s`` is how far apart two writes of the same object should be: one that comes sooner may have to wait.
    """

    apart_s: float

    def now(self) -> float:
        """Return the moment by the store's clock, in seconds since 1970: all who share the store share it."""
        ...

    def get(self, name: str) -> Held | None:
        """Return an object, None where there is none."""
        ...

    def put(self, name: str, body: bytes, generation: int) -> int:
        """Write an object whose generation is ``generation`` (0: there is none); return its new one. Raises Changed."""
        ...

    def delete(self, name: str, generation: int) -> None:
        """Delete an object whose generation is ``generation``. Raises Changed."""
        ...

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names that begin with ``prefix``, in order."""
        ...


class Open(Protocol):
    """Opens a store whose address is ``scheme://`` and ``rest``."""

    def __call__(self, rest: str, environment: Mapping[str, str]) -> Store:
        """Return the store; BadInput for an address that cannot be."""
        ...


def open_store(address: str, environment: Mapping[str, str] | None = None) -> Store:
    """Return the store at ``gs://bucket/prefix`` or ``sqlite:///folder/file.db``; BadInput for any other address."""
    scheme, _, rest = address.partition("://")
    if scheme not in _SCHEMES or not rest:
        what = "is not the address of a store"
        raise BadInput(
            [Mistake("store", what, "Write one such as gs://my-bucket/imports or sqlite:///var/imports.db.")]
        )
    try:
        opening: Open = importlib.import_module(_SCHEMES[scheme]).open_
    except ModuleNotFoundError as error:
        what = f"{scheme}:// needs the package {(error.name or scheme).partition('.')[0]}"
        raise BadInput([Mistake("store", what, "pip install 'owox-tiktok[service]'")]) from None
    return opening(rest, os.environ if environment is None else environment)


def change(
    store: Store,
    name: str,
    to: Callable[[bytes | None], bytes | None],
    *,
    attempts: int = ATTEMPTS,
    sleep: Callable[[float], object] = time.sleep,
) -> bytes | None:
    """Make of an object what ``to`` makes of its body (None: there is none), and return that.

    ``to`` is called again when somebody else was quicker, so it must leave nothing behind; when it returns None, or
    what is there already, nothing is written. Raises Unavailable after so many ``attempts``.
    """
    wait_s = FIRST_WAIT_S
    for _ in range(attempts):
        held = store.get(name)
        before = held.body if held else None
        after = to(before)
        if after is None or after == before:
            return before
        try:
            store.put(name, after, held.generation if held else 0)
            return after
        except Changed:
            sleep(wait_s * (0.5 + _CHANCE.random()))
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
    raise Unavailable(
        f"somebody else changed {name} {attempts} times at the same moment", what_to_do="Try again in a minute."
    )


def checked(name: str) -> str:
    """Return a name that an object may have; a Problem for any other, which would be a bug."""
    if not NAME.fullmatch(name) or ".." in name:
        raise Problem(f"{name[:60]!r} is no name for an object")
    return name
