"""The address of a dataset: ``bigquery://PROJECT/DATASET?location=EU&max_bytes=50GB&price=6.25&label.team=ads``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.names import nearest

_PROJECT = r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
LEAST_CEILING = 10 * 2**20
"""Every statement that reads is billed for 10 MB at least; a lower ceiling would stop everything."""


@dataclass(frozen=True, slots=True)
class Address:
    """A dataset: where it is (or is to be), how many bytes a statement may read, and what a TiB of them costs.

    ``jobs_project`` is the project in which jobs run and are billed, where that is another; ``batch``: its queries wait
    for idle slots. ``reservation`` is the one whose slots they use, in full. ``labels`` are put on jobs and tables.
    """

    project: str
    dataset: str
    location: str = ""
    max_bytes: int | None = None
    price: float | None = None
    jobs_project: str = ""
    batch: bool = False
    reservation: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def jobs_in(self) -> str:
        """The project in which jobs run."""
        return self.jobs_project or self.project

    @property
    def name(self) -> str:
        """Project and dataset, as SQL writes them."""
        return f"{self.project}.{self.dataset}"


def parse(rest: str) -> Address:
    """Return the parts of an address; raises BadInput with everything that is wrong with it."""
    path, _, query = rest.partition("?")
    project, _, dataset = path.strip("/").partition("/")
    mistakes = []

    def wrong(what: str, what_to_do: str) -> None:
        mistakes.append(Mistake("destination", what, what_to_do))

    form = "Write bigquery://PROJECT/DATASET, such as bigquery://my-project/tiktok_ads?location=EU."
    if not dataset and "." in project and re.fullmatch(r"[\w-]+\.\w+", project):
        project, _, dataset = project.partition(".")
        wrong(f"{path} has a dot between project and dataset", f"Write bigquery://{project}/{dataset}.")
    elif not project or not dataset:
        wrong(f"bigquery://{path} has no {'dataset' if project else 'project'}", form)
    else:
        if not re.fullmatch(_PROJECT, project):
            what_to_do = "Use the project's id, not its name or number; the Google Cloud console shows it."
            wrong(f"{project} is not the id of a Google Cloud project", what_to_do)
        if not re.fullmatch(r"[A-Za-z0-9_]{1,1024}", dataset):
            bare = dataset.removeprefix(f"{project}.")
            advice = (
                f"Write bigquery://{project}/{bare}." if bare != dataset else "Use letters, digits and underscores."
            )
            wrong(f"{dataset} is not the id of a dataset", advice)
    options: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name.startswith(LABEL):
            key = name.removeprefix(LABEL)
            labels[key] = value
            if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key) or not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
                wrong(f"{name}={value} is not a label", "Use small letters, digits, _ and -, such as label.team=ads.")
            elif key in OURS:
                wrong(f"the label {key} is this program's own", "Choose another name.")
        elif option := OPTIONS.get(name):
            options[option.field] = found = option.read(value)
            if found is None:
                wrong(f"{name}={value} {option.wrong}", option.advice)
        else:
            near = nearest(name, OPTIONS)
            known = ", ".join(OPTIONS)
            advice = f"Did you mean {near}?" if near else f"An address may have {known} and {LABEL}NAME."
            wrong(f"{name} is not known behind the question mark", advice)
    if mistakes:
        raise BadInput(mistakes)
    return Address(project, dataset, **options, labels=labels)


def _matching(pattern: str) -> Callable[[str], str | None]:
    return lambda text: text if re.fullmatch(pattern, text) else None


def _bytes(text: str) -> int | None:
    found = re.fullmatch(r"(\d+)(MB|GB|TB)?", text)
    units = {None: 1, "MB": 2**20, "GB": 2**30, "TB": 2**40}
    return int(found[1]) * units[found[2]] if found else None


def _ceiling(text: str) -> int | None:
    found = _bytes(text)
    return found if found is not None and found >= LEAST_CEILING else None


def _price(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,6}([.]\d{1,6})?", text) else None


class _Option(NamedTuple):
    """An option of an address: the field it fills, how its text is read (None: it cannot be), and what to say then."""

    field: str
    read: Callable[[str], Any]
    wrong: str
    advice: str


LABEL = "label."
"""Begins the name of an option that is a label."""
OURS = ("app", "run", "object")
"""Labels that this program puts on its jobs and tables."""
OPTIONS: Mapping[str, _Option] = {
    "location": _Option(
        "location",
        _matching(r"[A-Za-z]+(-?[A-Za-z0-9]+)*"),
        "is not a location of BigQuery",
        "Write location=EU or location=europe-west1.",
    ),
    "max_bytes": _Option(
        "max_bytes",
        _ceiling,
        "is no possible ceiling",
        "Write max_bytes=50GB; less than 10MB would stop everything, since BigQuery bills that at least.",
    ),
    "price": _Option("price", _price, "is not a price", "Write what a TiB costs, such as price=6.25."),
    "jobs_project": _Option(
        "jobs_project",
        _matching(_PROJECT),
        "is not the id of a Google Cloud project",
        "Use the project's id, not its name or number; the Google Cloud console shows it.",
    ),
    "priority": _Option(
        "batch",
        {"batch": True, "interactive": False}.get,
        "is not a priority",
        "Write priority=batch, or priority=interactive, which is what you have without it.",
    ),
    "reservation": _Option(
        "reservation",
        _matching(r"projects/[^/\s]+/locations/[^/\s]+/reservations/[^/\s]+|none"),
        "is not a reservation",
        "Write reservation=projects/PROJECT/locations/EU/reservations/NAME; none pays by the byte.",
    ),
}
"""What may stand behind the question mark, beside labels."""
