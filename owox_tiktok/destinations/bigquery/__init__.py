"""Google BigQuery: typed, described tables, partitioned by day; rows and cursors land in one transaction.

Address: ``bigquery://PROJECT/DATASET?location=EU``, with further options: see ``address``.
Credentials are the environment's own (ADC). ``BIGQUERY_API_URL`` points the client at another endpoint.

A step is one load job into a staging table that expires, and one script: a transaction that deletes what the rows take
the place of, inserts them and appends the cursors. Why it looks as it does:

- A statement is billed for whole partitions, so there is one DELETE for all advertisers of the step, and its bounds
  are constants: nothing else lets BigQuery skip the other days.
- Transactions that update or delete rows of one table abort each other, so cursors are only appended; the newest of a
  pair counts. Aborted ones are tried again.
- Two imports that only insert would not notice each other, and store rows twice. So each transaction first updates
  the one row of a lock table (two at a time cannot), and then makes sure that nobody else has moved its cursors: by
  what this run knows of them it tells what is complete.
- A cursor names its table by the moment at which BigQuery created it, so that it counts for no other of that name: one
  that was dropped and made again, restored or copied. Tables are looked at one by one (``tables.get`` costs nothing and
  is never late, INFORMATION_SCHEMA is both) and then used for the whole run.
- The name of a job is used once and for all. A step that is sent again, because the answer was lost, finds the job of
  the first time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import google.cloud.bigquery as bq
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError

from owox_tiktok.destinations.bigquery.address import parse
from owox_tiktok.destinations.bigquery.destination import BigQuery
from owox_tiktok.destinations.bigquery.tables import LIMITS
from owox_tiktok.errors import StoreFailed
from owox_tiktok.retry import Limits

__all__ = ["BigQuery", "open_at"]


def open_at(
    rest: str, *, read_only: bool = False, environment: Mapping[str, str] = os.environ, limits: Limits = LIMITS
) -> BigQuery:
    """Open the dataset named by the address after ``bigquery://``; creates it unless ``read_only``."""
    address = parse(rest)
    endpoint = environment.get("BIGQUERY_API_URL", "").rstrip("/")
    try:
        if endpoint:
            anybody = AnonymousCredentials()  # type: ignore[no-untyped-call]
            client = bq.Client(address.jobs_in, anybody, client_options={"api_endpoint": endpoint})
        else:
            client = bq.Client(address.jobs_in)
    except DefaultCredentialsError:
        raise StoreFailed(
            "there are no Google credentials on this machine",
            where=address.name,
            what_to_do="Run: gcloud auth application-default login. A server has those of its service account.",
        ) from None
    return BigQuery(client, address, read_only=read_only, limits=limits)
