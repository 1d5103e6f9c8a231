"""What BigQuery's refusals mean: whether they pass, what they say, and what a person can do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import google.api_core.exceptions as refusals
import google.cloud.bigquery as bq
import requests.exceptions

from owox_tiktok.dialects import MARK

LABEL = {"app": "owox_tiktok"}
"""Tells what is ours, beside the mark in the description."""

_PASSING = {"backendError", "internalError", "jobBackendError", "jobInternalError", "jobRateLimitExceeded",
            "rateLimitExceeded"}  # fmt: skip
_ABORTED = ("Transaction is aborted due to concurrent update", "Could not serialize access to table")


def reason_of(error: Exception) -> str:
    """Return BigQuery's word for what went wrong."""
    errors = getattr(error, "errors", None) or [{}]
    return str(errors[0].get("reason", "")) if isinstance(errors[0], dict) else ""


def passes(error: Exception) -> bool:
    """Whether the same may succeed later."""
    if any(text in str(error) for text in _ABORTED) or reason_of(error) in _PASSING:
        return True
    return isinstance(error, requests.exceptions.ConnectionError | refusals.ServerError | refusals.TooManyRequests)


def first_line(error: Exception) -> str:
    """Return what BigQuery says, without the address it was asked at and the job's name."""
    details = [e["message"] for e in getattr(error, "errors", None) or [] if isinstance(e, dict) and e.get("message")]
    # A load job's first error says only that there are errors.
    text = next((d for d in details if "errors[]" not in d), None) or getattr(error, "message", None) or str(error)
    text = re.sub(r"^\s*(GET|POST|PUT|PATCH|DELETE) \S+: ", "", str(text).strip())
    return text.splitlines()[0][:300] if text else type(error).__name__


def is_ours(table: bq.Table) -> bool:
    """Whether this program made the table or view."""
    return LABEL.items() <= table.labels.items() or (table.description or "").startswith(MARK)


def texts_of(table: bq.Table) -> dict[str, str]:
    """Return the description of each column."""
    return {f.name: f.description or "" for f in table.schema}


def account_of(credentials: object) -> str:
    """Return whom a role is to be granted to, as the commands of Google Cloud write it."""
    email = getattr(credentials, "service_account_email", "")
    return f"serviceAccount:{email}" if "@" in str(email) else "user:YOUR_ADDRESS"


def expiries(expires: datetime | None, partitioning: bq.TimePartitioning | None) -> Iterator[str]:
    """Yield in words how a table's rows would vanish by themselves."""
    if expires is not None:
        yield f"the table is deleted by BigQuery on {expires:%Y-%m-%d}"
    if partitioning is not None and partitioning.expiration_ms:
        days = int(partitioning.expiration_ms) / 86_400_000
        yield f"its days are deleted by BigQuery after {days:g} days"
