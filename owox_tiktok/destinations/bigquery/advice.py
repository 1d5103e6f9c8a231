"""What BigQuery's refusals mean: whether they pass, what they say, and what a person can do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import google.api_core.exceptions as refusals
import google.cloud.bigquery as bq
import requests.exceptions
from google.auth.exceptions import GoogleAuthError, TransportError

from owox_tiktok.destinations.bigquery.address import Address
from owox_tiktok.dialects import MARK
from owox_tiktok.errors import StoreDenied, StoreFailed, StoreSilent
from owox_tiktok.model import Stream

LABEL = {"app": "owox_tiktok"}
"""Tells what is ours, beside the mark in the description."""

_PASSING = {"backendError", "internalError", "jobBackendError", "jobInternalError", "jobRateLimitExceeded",
            "rateLimitExceeded"}  # fmt: skip
OVERTAKEN = "owox_tiktok: another import has moved the cursors"
"""Our own error, which a script raises."""
HELD = "owox_tiktok: rows in their windows: "
"""Another one of ours; behind it stands how many there are, which is not as many as were read."""
CHANGED = "owox_tiktok: stored rows are not what their seals say"
"""A third one: they are written again."""
_ABORTED = ("Transaction is aborted due to concurrent update", "Could not serialize access to table")


SILENT, LATER = "BigQuery does not answer", "The next run continues; try again later."
_BLOCKING = re.compile(r"Blocking job:?\s+(?:[\w.:-]*[.:])?([\w-]+)")
_OF_THE_ROWS = {"invalid", "invalidQuery", "resourcesExceeded", "responseTooLarge"}
"""Reasons for which fewer rows, or other ones, may be taken."""


def is_aborted(error: BaseException) -> bool:
    """Whether another import's transaction has ended ours. BigQuery has no reason of its own for that, but a text."""
    return any(text in str(error) for text in _ABORTED)


def blocking_job(error: BaseException) -> str | None:
    """Return the id of the job whose transaction has ended ours, where the error names it."""
    found = _BLOCKING.search(str(error)) if is_aborted(error) else None
    return found[1] if found else None


def _is_of_the_rows(error: BaseException) -> bool:
    return reason_of(error) in _OF_THE_ROWS and not is_aborted(error)


def reason_of(error: BaseException) -> str:
    """Return BigQuery's word for what went wrong."""
    errors = getattr(error, "errors", None) or [{}]
    return str(errors[0].get("reason", "")) if isinstance(errors[0], dict) else ""


def passes(error: BaseException) -> bool:
    """Whether the same may succeed later."""
    return is_aborted(error) or reason_of(error) in _PASSING or is_silent(error)


def is_silent(error: BaseException) -> bool:
    """Whether an error says nothing of what was asked for, but that no answer came: it may well have been done."""
    return isinstance(error, _SILENT) or getattr(error, "code", None) in _BROKEN_OFF


_BROKEN_OFF = (408, 410)
"""A request that took too long, and an upload that Google has forgotten."""
_SILENT = (
    refusals.RetryError,
    refusals.ServerError,
    refusals.TooManyRequests,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ConnectionError,
    requests.exceptions.JSONDecodeError,  # the answer was cut off
    requests.exceptions.Timeout,
    TransportError,
)


def first_line(error: Exception) -> str:
    """Return what BigQuery says, without the address it was asked at and the job's name."""
    details = [e["message"] for e in getattr(error, "errors", None) or [] if isinstance(e, dict) and e.get("message")]
    # A load job's first error says only that there are errors.
    text = next((d for d in details if "errors[]" not in d), None) or getattr(error, "message", None) or str(error)
    text = re.sub(r"^\s*(GET|POST|PUT|PATCH|DELETE) \S+: ", "", str(text).strip())
    return text.splitlines()[0][:300] if text else type(error).__name__


def held_in(error: Exception) -> int | None:
    """Return what stands behind ``HELD`` in an error; None where it is another error."""
    found = re.search(rf"{HELD}(\d+)", str(error))
    return int(found[1]) if found else None


def is_ours(table: bq.Table) -> bool:
    """Whether this program made the table or view."""
    return LABEL.items() <= table.labels.items() or (table.description or "").startswith(MARK)


def account_of(credentials: object) -> str:
    """Return whom a role is to be granted to, as the commands of Google Cloud write it."""
    email = getattr(credentials, "service_account_email", "")
    return f"serviceAccount:{email}" if "@" in str(email) else "user:YOUR_ADDRESS"


def expiries(expires: datetime | None, partitioning: bq.TimePartitioning | None) -> Iterator[str]:
    """Yield in words how a table's rows would be deleted automatically."""
    if expires is not None:
        yield f"the table is deleted by BigQuery on {expires:%Y-%m-%d}"
    if partitioning is not None and partitioning.expiration_ms:
        days = int(partitioning.expiration_ms) / 86_400_000
        yield f"its days are deleted by BigQuery after {days:g} days"


# --- in words ---------------------------------------------------------------------------------------------------------


@contextmanager
def sentences(address: Address, client: bq.Client, stream: Stream | None = None) -> Iterator[None]:
    """What BigQuery refuses becomes a StoreFailed that says what to do."""
    where = f"{address.name}.{stream.table}" if stream else address.name
    try:
        yield
    except refusals.GoogleAPICallError as error:
        what, what_to_do = _advice(error, address, account_of(client._credentials))
        kind = StoreFailed if _is_of_the_rows(error) else StoreDenied
        raise kind(what, where=where, what_to_do=what_to_do) from error
    except (refusals.RetryError, requests.exceptions.RequestException, TimeoutError) as error:
        raise StoreSilent(SILENT, where=where, what_to_do=LATER) from error
    except GoogleAuthError as error:
        what = f"Google refuses the credentials ({first_line(error)})"
        what_to_do = "Run: gcloud auth application-default login. A server needs a service account."
        raise StoreFailed(what, where=where, what_to_do=what_to_do) from error


def _advice(error: refusals.GoogleAPICallError, address: Address, account: str) -> tuple[str, str]:
    """Return what a refusal means and what a person can do."""
    text, reason = first_line(error), reason_of(error)
    if OVERTAKEN in text:
        what = "another import has stored the same object of the same advertiser since this one began"
        return what, "Let one import at a time read an object; the next run continues where that one ended."
    if reason == "billingNotEnabled":
        what = (
            f"the project {address.project} has no billing account; Google then lets nobody change rows, and "
            "deletes tables and days after 60 days"
        )
        return what, "Link a billing account in the Google Cloud console (this much stays within what is free)."
    if reason == "quotaExceeded":
        return (
            f"a quota is used up ({text})",
            "Wait until it resets, run less often, or raise the quota.",
        )
    if reason == "bytesBilledLimitExceeded" or "limit for bytes billed" in text:
        return f"the ceiling max_bytes stops it ({text})", "Raise max_bytes in the address, or read fewer days."
    if is_aborted(error):
        what = "other imports store the same object all the time, and this one has not had its turn"
        return what, "Let fewer imports read an object at a time; the next run continues."
    if reason == "stopped":
        return "somebody has cancelled the job", "Run again."
    if "streaming buffer" in text:
        what = "another program streams rows into this table, which cannot be changed for up to 90 minutes"
        return what, "Stop it: the tables of this program are for this program alone."
    if isinstance(error, refusals.Forbidden):
        return _denied(text, address, account)
    if isinstance(error, refusals.NotFound):
        return text, "Check project, dataset and location in the destination's address."
    return text, ""


def _denied(text: str, address: Address, account: str) -> tuple[str, str]:
    """Return which role is missing and how it is granted."""
    if "has not been used" in text or "is disabled" in text:
        what_to_do = f"Run: gcloud services enable bigquery.googleapis.com --project {address.jobs_in}"
        return f"the project {address.jobs_in} has BigQuery switched off", what_to_do
    if "jobs.create" in text:
        what = f"the account may not run jobs in the project {address.jobs_in}: it lacks the role BigQuery Job User"
        return what, (
            f"Run: gcloud projects add-iam-policy-binding {address.jobs_in} --member={account} "
            "--role=roles/bigquery.jobUser"
        )
    if "datasets.create" in text:
        what = f"there is no dataset {address.name}, and the account may not create one"
        place = f"--location={address.location} " if address.location else ""
        return what, f"Let an owner of the project run: bq {place}mk -d {address.project}:{address.dataset}"
    what = f"the account may not use the dataset {address.name}: it lacks the role BigQuery Data Editor ({text})"
    return what, (
        f"Run: bq query --use_legacy_sql=false 'GRANT `roles/bigquery.dataEditor` ON SCHEMA `{address.name}` TO "
        f'"{account}"\''
    )
