"""Where rows can go: one module each, chosen by the scheme of its address and imported only when used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.model import Destination
from owox_tiktok.names import nearest

SCHEMES: Mapping[str, str] = {
    "bigquery": "owox_tiktok.destinations.bigquery",
    "duckdb": "owox_tiktok.destinations.duckdb",
    "sheets": "owox_tiktok.sheets.destination",
}
"""Module of each destination by the scheme of its address. A new destination is a new line and a new module."""


def open_destination(address: str, *, read_only: bool = False) -> Destination:
    """Return the destination at ``address`` (``duckdb:///tiktok_ads.duckdb``), to be used in a ``with`` block.

    Raises BadInput for an unknown scheme or a missing package, StoreBusy when another import holds it, StoreFailed
    when it cannot be opened. ``read_only`` never creates anything.
    """
    scheme, _, rest = address.partition("://")
    module = SCHEMES.get(scheme)
    if module is None:
        near = nearest(scheme, SCHEMES)
        advice = f"Did you mean {near}://?" if near else f"Use one of {', '.join(f'{s}://' for s in SCHEMES)}."
        raise BadInput([Mistake("destination", f"{scheme}:// is not a destination", advice)])
    try:
        opened: Destination = import_module(module).open_at(rest, read_only=read_only)
    except ModuleNotFoundError as error:
        package = (error.name or scheme).partition(".")[0]
        raise BadInput(
            [
                Mistake(
                    "destination",
                    f"{scheme}:// needs the package {package}",
                    f"pip install 'owox-tiktok[{scheme}]'",
                )
            ]
        ) from None
    return opened
