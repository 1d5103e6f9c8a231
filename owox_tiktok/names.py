"""What other loaders call our objects, fields and settings: one table, ``catalogue/synonyms.csv``, and its questions.

A row holds a peer's word, what it means here (several fields: the first that the object has) and whose word it is; a
row without a meaning says in a note what to write instead. Nothing here knows which objects and fields there are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

What = Literal["object", "field", "setting"]


class Synonym(NamedTuple):
    """A word of another loader: ``means`` holds our names, best first; where it is empty, ``note`` says what to do."""

    name: str
    means: tuple[str, ...]
    whose: str
    note: str


@lru_cache(maxsize=5000)
def squeezed(name: str) -> str:
    """Return the letters and digits of ``name`` in lower case, so that AdsReportsDaily equals ads_reports_daily."""
    return re.sub(r"[\W_]+", "", name.casefold())


def bare(name: str) -> str:
    """Return ``name`` squeezed and without what dbt and OWOX put before the name of a table."""
    return re.sub(r"^(stg)?tiktok(ads)?(?=.)", "", squeezed(name))


@cache
def synonyms(what: What) -> Mapping[str, Synonym]:
    """Return the synonyms of objects, fields or settings by their squeezed name, in the table's order."""
    text = files("owox_tiktok").joinpath("catalogue", "synonyms.csv").read_text(encoding="utf-8")
    return {
        squeezed(row["name"]): Synonym(row["name"], tuple(row["means"].split()), row["whose"], row["note"])
        for row in csv.DictReader(text.splitlines())
        if row["what"] == what
    }


def synonym(what: What, name: str) -> Synonym | None:
    """Return what another loader's word means, else None. Tables may carry the prefix of dbt or OWOX."""
    table = synonyms(what)
    return table.get(squeezed(name)) or table.get(bare(name))


def resolve(what: What, name: str, known: Iterable[str]) -> str | None:
    """Return which of ``known`` is called ``name``, in any spelling or by a synonym; None if there is none."""
    listed = tuple(known)
    if name in listed:
        return name
    plain = squeezed(name)
    for one in listed:
        if plain and squeezed(one) == plain:
            return one
    found = synonym(what, name)
    return next((one for one in found.means if one in listed), None) if found else None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like ``name``, for a suggestion; None when nothing is near."""
    found = get_close_matches(name.strip().lower(), list(known), n=1, cutoff=0.55)
    return found[0] if found else None


def instead(what: What, name: str, known: Iterable[str]) -> str:
    """Return what to write instead of ``name``, as a sentence: a synonym's note or the nearest name; may be empty."""
    listed = tuple(known)
    found = synonym(what, name)
    if found:
        near = resolve(what, name, listed)
        if near or found.note:
            return found.note or f"Did you mean {near}?"
    near = nearest(name, listed)
    return f"Did you mean {near}?" if near else ""
