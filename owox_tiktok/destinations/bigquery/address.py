"""The address of a dataset: ``bigquery://PROJECT/DATASET?location=EU&max_bytes=50GB&price=6.25``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.names import nearest

LEAST_CEILING = 10 * 2**20
"""Every statement that reads is billed for 10 MB at least; a lower ceiling would stop everything."""


@dataclass(frozen=True, slots=True)
class Address:
    """A dataset: where it is (or is to be), how many bytes a statement may read, and what a TiB of them costs."""

    project: str
    dataset: str
    location: str = ""
    max_bytes: int | None = None
    price: float | None = None

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
        if not re.fullmatch(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", project):
            what_to_do = "Use the project's id, not its name or number; the Google Cloud console shows it."
            wrong(f"{project} is not the id of a Google Cloud project", what_to_do)
        if not re.fullmatch(r"[A-Za-z0-9_]{1,1024}", dataset):
            bare = dataset.removeprefix(f"{project}.")
            advice = (
                f"Write bigquery://{project}/{bare}." if bare != dataset else "Use letters, digits and underscores."
            )
            wrong(f"{dataset} is not the id of a dataset", advice)
    location, max_bytes, price = "", None, None
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "location":
            location = value
            if not re.fullmatch(r"[A-Za-z]+(-?[A-Za-z0-9]+)*", value):
                wrong(f"location={value} is not a location of BigQuery", "Write location=EU or location=europe-west1.")
        elif name == "max_bytes":
            max_bytes = _bytes(value)
            if max_bytes is None or max_bytes < LEAST_CEILING:
                wrong(
                    f"max_bytes={value} is no possible ceiling",
                    "Write max_bytes=50GB; less than 10MB would stop everything, since BigQuery bills that at least.",
                )
        elif name == "price":
            price = float(value) if re.fullmatch(r"\d{1,6}([.]\d{1,6})?", value) else None
            if price is None:
                wrong(f"price={value} is not a price", "Write what a TiB costs, such as price=6.25.")
        else:
            near = nearest(name, ("location", "max_bytes", "price"))
            advice = f"Did you mean {near}?" if near else "An address may have location, max_bytes and price."
            wrong(f"{name} is not known behind the question mark", advice)
    if mistakes:
        raise BadInput(mistakes)
    return Address(project, dataset, location, max_bytes, price)


def _bytes(text: str) -> int | None:
    found = re.fullmatch(r"(\d+)(MB|GB|TB)?", text)
    units = {None: 1, "MB": 2**20, "GB": 2**30, "TB": 2**40}
    return int(found[1]) * units[found[2]] if found else None
