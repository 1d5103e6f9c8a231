"""Jobs of BigQuery: each has a name of its own, is begun once however often it is asked for, and is waited for."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, TypeVar

import google.api_core.exceptions as refusals
import google.cloud.bigquery as bq
import requests.exceptions
from tenacity import RetryCallState

from owox_tiktok.destinations.bigquery.advice import LABEL, passes
from owox_tiktok.destinations.bigquery.sql import Parameters
from owox_tiktok.model import Stream
from owox_tiktok.retry import Limits, retrying

log = logging.getLogger(__name__)

REQUEST_S = 120.0
"""One HTTP request may take so long."""
JOB_S = 3600.0
"""A job may take so long."""

J = TypeVar("J")


class Jobs:
    """What this run asks of BigQuery. What fails in a way that passes is asked for again, within ``limits``.

    ``location`` is where jobs run. ``max_bytes``: no statement may read more.
    """

    def __init__(self, client: bq.Client, limits: Limits, *, max_bytes: int | None = None) -> None:
        self.client = client
        self.location: str | None = None
        self.run = uuid.uuid4().hex[:12]
        self.bytes_processed = 0
        self._limits = limits
        self._max_bytes = max_bytes
        self._steps = 0
        self._retry = bq.DEFAULT_RETRY.with_timeout(limits.deadline_s).with_delay(
            initial=limits.first_s, maximum=limits.longest_s, multiplier=2
        )
        self.call: dict[str, Any] = {"retry": self._retry, "timeout": REQUEST_S}
        """How every other request is sent."""

    def labels(self, stream: Stream | None) -> dict[str, str]:
        """Return the labels of a job, or of a table on its way."""
        return {**LABEL, "run": self.run} | ({"object": stream.name[:63]} if stream else {})

    def new_step(self) -> str:
        """Return a name that no other step has."""
        self._steps += 1
        return f"{self.run}_{self._steps}"

    def query(
        self, sql: str, parameters: Parameters | None = None, *, stream: Stream | None = None, what: str
    ) -> list[Any]:
        """Run a statement or script and return the rows of its (last) SELECT.

        One that another's transaction has aborted runs again.
        """
        config = self._config(parameters, stream)
        if self._max_bytes is not None:
            config.maximum_bytes_billed = self._max_bytes

        def start(job_id: str) -> bq.QueryJob:
            return self.client.query(
                sql, job_config=config, job_id=job_id, location=self.location, job_retry=None, **self.call
            )

        def finish(job: bq.QueryJob) -> list[Any]:
            return list(job.result(retry=self._retry, timeout=JOB_S, job_retry=None))

        rows: list[Any]
        job, rows = self._do(f"{self.new_step()}_{what}", start, finish)
        self.bytes_processed += int(job.total_bytes_processed or 0)
        return rows

    def would_read(self, sql: str, *, stream: Stream | None = None) -> int:
        """Return how many bytes a statement would read; the ceiling does not apply to what is only asked for."""
        config = self._config(None, stream)
        config.dry_run = True
        # A dry run leaves no job behind, so it needs no name and can be repeated at will.
        job = self.client.query(sql, job_config=config, location=self.location, job_retry=None, **self.call)
        return int(job.total_bytes_processed or 0)

    def _config(self, parameters: Parameters | None, stream: Stream | None) -> bq.QueryJobConfig:
        return bq.QueryJobConfig(
            use_legacy_sql=False,
            labels=self.labels(stream),
            query_parameters=parameters.values if parameters else [],
        )

    def load(self, file: IO[bytes], size: int, table: str, config: bq.LoadJobConfig, *, step: str) -> int:
        """Load a file of ``size`` bytes into a table and return how many rows arrived."""

        def start(job_id: str) -> bq.LoadJob:
            return self.client.load_table_from_file(
                file,
                table,
                rewind=True,
                size=size,
                job_id=job_id,
                location=self.location,
                job_config=config,
                timeout=REQUEST_S,
            )

        job, _ = self._do(f"{step}_load", start, lambda job: job.result(retry=self._retry, timeout=JOB_S))
        return int(job.output_rows or 0)

    def _do(self, name: str, start: Callable[[str], J], finish: Callable[[J], Any]) -> tuple[J, Any]:
        """Start a job and wait for its end; one that failed in a way that passes is followed by another."""
        used = 0

        def once() -> tuple[J, Any]:
            nonlocal used
            job_id = f"owox_tiktok_{name}_{used + 1}"
            job = self._started(job_id, start)
            # The name of a job that fails is used up; one that was never heard of keeps it.
            used += 1
            return job, finish(job)

        def note(state: RetryCallState) -> None:
            log.info("job %s is retried: %s", name, state.outcome and state.outcome.exception())

        result: tuple[J, Any] = retrying(passes, self._limits, before_sleep=note)(once)
        return result

    def _started(self, job_id: str, start: Callable[[str], J]) -> J:
        """Start a job, or return it when it began before and only the answer was lost."""
        try:
            return start(job_id)
        except (refusals.BadRequest, refusals.Forbidden):
            raise
        except refusals.Conflict:
            # Right after its beginning BigQuery may not find it yet.
            found: J = retrying(refusals.NotFound, self._limits)(self._job, job_id)
            return found
        except (refusals.GoogleAPICallError, requests.exceptions.ConnectionError):
            with suppress(refusals.NotFound):
                begun: J = self._job(job_id)
                return begun
            raise

    def _job(self, job_id: str) -> Any:
        return self.client.get_job(job_id, location=self.location, **self.call)
