"""Jobs of BigQuery: each has a name of its own, is begun once however often it is asked for, and is waited for."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import IO, Any, TypeVar

import google.api_core.exceptions as refusals
import google.cloud.bigquery as bq
import requests.exceptions
from google.auth.exceptions import TransportError
from tenacity import RetryCallState

from owox_tiktok.destinations.bigquery.address import Address
from owox_tiktok.destinations.bigquery.advice import LABEL, LATER, SILENT, blocking_job, is_silent, passes, reason_of
from owox_tiktok.destinations.bigquery.sql import Parameters
from owox_tiktok.errors import StoreGone, StoreSilent
from owox_tiktok.model import Stream
from owox_tiktok.retry import Limits, retrying

log = logging.getLogger(__name__)

_ASKING = (refusals.GoogleAPICallError, refusals.RetryError, requests.exceptions.RequestException, TransportError)
"""What may be raised by asking for anything."""
SOON = frozenset({"backendError", "internalError", "rateLimitExceeded"})

REQUEST_S = 60.0
"""One HTTP request may take so long."""
JOB_S = 1800.0
"""A job may take so long. BigQuery ends it then, and so does who waits for it."""
BLOCKED_S = 120.0
"""So long is the job waited for whose transaction has ended ours, before ours is tried again in any case."""
UPLOAD_RETRIES = 2
"""So often is a part of an upload sent again at once; then the upload begins again, under the same job's name."""
FIRST_POLL_S, LONGEST_POLL_S = 0.05, 2.0

J = TypeVar("J", bq.QueryJob, bq.LoadJob)


class Jobs:
    """What this run asks of BigQuery. What fails in a way that passes is asked for again, within ``limits``.

    ``location`` is where jobs run. How they run, and what no statement may read more than, is in the ``address``.
    """

    def __init__(self, client: bq.Client, limits: Limits, address: Address) -> None:
        self.client = client
        self.location: str | None = None
        self.run = uuid.uuid4().hex[:12]
        self.bytes_billed = 0
        self._limits = limits
        self._address = address
        self._steps = count(1)
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._given_up = threading.Event()
        self._retry = (
            bq.DEFAULT_RETRY.with_predicate(lambda error: is_silent(error) or reason_of(error) in SOON)
            .with_timeout(limits.deadline_s)
            .with_delay(initial=limits.first_s, maximum=limits.longest_s, multiplier=2)
        )
        self.call: dict[str, Any] = {"retry": self._retry, "timeout": REQUEST_S}
        """How every other request is sent."""

    def labels(self, stream: Stream | None) -> dict[str, str]:
        """Return the labels of a job, or of a table on its way."""
        return {**self._address.labels, **LABEL, "run": self.run} | ({"object": stream.name[:63]} if stream else {})

    def new_step(self) -> str:
        """Return a name that no other step has."""
        return f"{self.run}_{next(self._steps)}"

    def query(
        self, sql: str, parameters: Parameters | None = None, *, stream: Stream | None = None, what: str
    ) -> list[Any]:
        """Run a statement or script and return the rows of its (last) SELECT.

        One that another's transaction has aborted runs again.
        """
        config = self._config(parameters, stream)
        if self._address.max_bytes is not None:
            config.maximum_bytes_billed = self._address.max_bytes

        def start(job_id: str) -> bq.QueryJob:
            return self.client.query(
                sql, job_config=config, job_id=job_id, location=self.location, job_retry=None, **self.call
            )

        job = self._do(f"{self.new_step()}_{what}", start)
        # It is done; should the answer be lost, its rows are asked for again.
        again = retrying(is_silent, self._limits)
        rows: list[Any] = again(lambda: list(job.result(retry=None, timeout=REQUEST_S, job_retry=None)))
        with self._lock:
            self.bytes_billed += int(job.total_bytes_billed or 0)
        return rows

    def would_read(self, sql: str, *, stream: Stream | None = None) -> int:
        """Return how many bytes a statement would read; the ceiling does not apply to what is only asked for."""
        config = self._config(None, stream)
        config.dry_run = True  # it says what would be read, not what would be billed
        # A dry run leaves no job behind, so it needs no name and can be repeated at will.
        job = self.client.query(sql, job_config=config, location=self.location, job_retry=None, **self.call)
        return int(job.total_bytes_processed or 0)

    def _config(self, parameters: Parameters | None, stream: Stream | None) -> bq.QueryJobConfig:
        config = bq.QueryJobConfig(
            use_legacy_sql=False,
            labels=self.labels(stream),
            job_timeout_ms=round(JOB_S * 1000),
            query_parameters=parameters.values if parameters else [],
        )
        if self._address.batch:
            config.priority = bq.QueryPriority.BATCH
        self._reserve(config)
        return config

    def _reserve(self, config: bq.QueryJobConfig | bq.LoadJobConfig) -> None:
        """Let a job use the slots of the reservation that the address names."""
        if self._address.reservation:
            # Older versions of Google's client have no name for it.
            properties: Any = config._properties
            properties["reservation"] = self._address.reservation

    def load(self, file: IO[bytes], size: int, table: str, config: bq.LoadJobConfig, *, step: str) -> int:
        """Load a file of ``size`` bytes into a table and return how many rows arrived."""

        def start(job_id: str) -> bq.LoadJob:
            return self.client.load_table_from_file(
                file,
                table,
                rewind=True,
                size=size,
                num_retries=UPLOAD_RETRIES,
                job_id=job_id,
                location=self.location,
                job_config=config,
                timeout=REQUEST_S,
            )

        config.job_timeout_ms = round(JOB_S * 1000)
        self._reserve(config)
        job = self._do(f"{step}_load", start)
        return int(job.output_rows or 0)

    def give_up(self) -> None:
        """Cancel what is running, for nobody waits for it any more; whoever still does gets StoreGone."""
        self._given_up.set()
        with self._lock:
            running = list(self._running)
        for job_id in running:
            with suppress(Exception):  # it ends by itself, all or nothing
                self.client.cancel_job(job_id, location=self.location, timeout=REQUEST_S)

    def _do(self, name: str, start: Callable[[str], J]) -> J:
        """Start a job and wait for its end; one that failed in a way that passes is followed by another."""
        used = 0

        def once() -> J:
            nonlocal used
            job_id = f"owox_tiktok_{name}_{used + 1}"
            with self._lock:
                self._running.add(job_id)
            try:
                job = self._started(job_id, start)
                # The name of a job that fails is used up; one that was never heard of keeps it.
                used += 1
                self._wait(job)
            finally:
                with self._lock:
                    self._running.discard(job_id)
            if job.error_result:
                raise job.exception()  # type: ignore[no-untyped-call]
            return job

        def note(state: RetryCallState) -> None:
            error = state.outcome and state.outcome.exception()
            log.info("job %s is retried: %s", name, error)
            if error and (blocking := blocking_job(error)):
                self._wait_for_other(blocking)

        again = retrying(lambda e: passes(e) and not self._given_up.is_set(), self._limits, before_sleep=note)
        result: J = again(once)
        return result

    def _wait(self, job: J) -> None:
        """Wait until a job is done, well or not. An error of asking is no error of the job: it is asked for again.

        Raises StoreGone once nobody is to wait any more, and StoreSilent when nothing is heard of the job for as long
        as anything is tried; the job is cancelled then.
        """
        began = heard = self._limits.clock()
        wait_s = FIRST_POLL_S
        while job.state != "DONE":
            if self._given_up.wait(wait_s):
                raise StoreGone("the run has ended before BigQuery was done", what_to_do="The next run continues.")
            wait_s = min(LONGEST_POLL_S, wait_s * 1.5)
            now = self._limits.clock()
            try:
                job.reload(retry=None, timeout=REQUEST_S)  # type: ignore[arg-type]
                heard = now
            except _ASKING as error:
                if not is_silent(error) and reason_of(error) not in SOON:
                    raise
                if now - heard < self._limits.deadline_s:
                    continue
                self._cancel(job)
                raise StoreSilent(SILENT, what_to_do=LATER) from error
            if job.state != "DONE" and now - began > JOB_S + REQUEST_S:
                self._cancel(job)
                raise TimeoutError

    def _cancel(self, job: J) -> None:
        with suppress(Exception):  # it has its own time-out
            job.cancel(retry=None, timeout=REQUEST_S)

    def _wait_for_other(self, job_id: str) -> None:
        """Wait for the job of another import that has ended ours: before it is done, ours would be ended again."""
        until = self._limits.clock() + min(BLOCKED_S, self._limits.deadline_s)
        with suppress(*_ASKING):  # one we may not look at, say
            while self._limits.clock() < until and self._job(job_id).state != "DONE":
                self._given_up.wait(1.0)

    def _started(self, job_id: str, start: Callable[[str], J]) -> J:
        """Start a job, or return it when it began before and only the answer was lost."""
        try:
            return start(job_id)
        except (refusals.BadRequest, refusals.Forbidden):
            raise
        except refusals.Conflict:
            # Right after its beginning BigQuery may not find it yet.
            later = retrying(lambda e: isinstance(e, refusals.NotFound) or is_silent(e), self._limits)
            found: J = later(self._job, job_id)
            return found
        except _ASKING:
            with suppress(refusals.NotFound):
                begun: J = self._job(job_id)
                return begun
            raise

    def _job(self, job_id: str) -> Any:
        once: Any = None  # whoever asks knows how often
        return self.client.get_job(job_id, location=self.location, retry=once, timeout=REQUEST_S)
