"""Where rows can go: each destination is chosen by the scheme of its address, and imported only when used.

Another package can add one: an entry point of the group ``owox_tiktok.destinations``, named after the scheme, for a
function that opens it (see ``Open``). CONTRIBUTING tells how, and ``owox_tiktok.testing`` has the tests it must pass.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.model import Destination
from owox_tiktok.names import nearest

GROUP = "owox_tiktok.destinations"

SCHEMES: Mapping[str, str] = {
    "bigquery": "owox_tiktok.destinations.bigquery",
    "duckdb": "owox_tiktok.destinations.duckdb",
    "parquet": "owox_tiktok.destinations.parquet",
    "postgresql": "owox_tiktok.destinations.postgresql",
    "sheets": "owox_tiktok.sheets.destination",
}
"""Modules of our own, by scheme. They need no entry points: the deployed function runs from its source, where nothing
is installed that could have some. A new one is a new line and a new module."""


class Open(Protocol):
    """Opens the destination whose address is ``scheme://`` and ``rest``; ``read_only`` never creates anything.

    ``environment`` is read in place of ``os.environ``. Raises BadInput for an address that cannot be, StoreBusy and
    StoreFailed.
    """

    def __call__(self, rest: str, *, read_only: bool, environment: Mapping[str, str]) -> Destination:
        """Return the destination, for a ``with`` block."""
        ...


def open_destination(
    address: str, *, read_only: bool = False, environment: Mapping[str, str] | None = None
) -> Destination:
    """Return the destination at ``address`` (``duckdb:///tiktok_ads.duckdb``), to be used in a ``with`` block.

    Raises BadInput for an unknown scheme or a missing package, StoreBusy when another import holds it, StoreFailed
    when it cannot be opened. ``read_only`` never creates anything. ``environment``: this process's where it is None.
    """
    scheme, _, rest = address.partition("://")
    try:
        opening: Open = _entry_point(scheme).load()
    except ModuleNotFoundError as error:
        package = (error.name or scheme).partition(".")[0]
        wanted = f"owox-tiktok[{scheme}]" if scheme in SCHEMES else package
        mistake = Mistake("destination", f"{scheme}:// needs the package {package}", f"pip install '{wanted}'")
        raise BadInput([mistake]) from None
    return opening(rest, read_only=read_only, environment=os.environ if environment is None else environment)


def shown(address: str) -> str:
    """Return an address for people: without the password that it may have."""
    address = re.sub(r"(?<=://)([^:/@?]*):[^?]*@", r"\1:****@", address)
    return re.sub(r"(?<=[?&])(\w*password)=[^&]*", r"\1=****", address)


def _entry_point(scheme: str) -> EntryPoint:
    """Return where a scheme's destination is; raises BadInput for one that nobody has."""
    if scheme in SCHEMES:
        return EntryPoint(scheme, f"{SCHEMES[scheme]}:open_at", GROUP)
    others = {found.name: found for found in entry_points(group=GROUP)}
    if scheme in others:
        return others[scheme]
    known = sorted({*SCHEMES, *others})
    near = nearest(scheme, known)
    advice = f"Did you mean {near}://?" if near else f"Use one of {', '.join(f'{s}://' for s in known)}."
    raise BadInput([Mistake("destination", f"{scheme}:// is not a destination", advice)])
