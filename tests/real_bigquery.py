"""The promises of a destination in a real project: ``make test-bigquery-real PROJECT=my-project``.

Not among the tests that `make test` runs: it needs an account and costs money (docs/bigquery.md says how much). Each
promise gets a dataset of its own, which is deleted afterwards. At the end it prints what an emulator cannot know: how
long jobs take, what is billed, what conflicts and refusals say. ``PROJECT=emulator`` does the same without Google.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import google.cloud.bigquery as bq
import pytest

from owox_tiktok.testing import DestinationPromises, Kit
from owox_tiktok.testing.kit import DAILY, ad, day
from tests import bigquery

PROJECT = os.environ.get("BIGQUERY_PROJECT", "")
LOCATION = os.environ.get("BIGQUERY_LOCATION", "US")
JOB = "owox_tiktok_"

pytestmark = pytest.mark.skipif(not PROJECT, reason="BIGQUERY_PROJECT names no project")


class Notes(logging.Handler):
    """What the program says of jobs that it tries again."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture(scope="module")
def findings() -> Iterator[Notes]:
    """Print at the end what was learned."""
    began, notes = datetime.now(UTC), Notes()
    log = logging.getLogger("owox_tiktok.destinations.bigquery")
    level = log.level
    log.addHandler(notes)
    log.setLevel(logging.INFO)
    yield notes
    log.removeHandler(notes)
    log.setLevel(level)
    jobs = [j for j in bigquery.client().list_jobs(min_creation_time=began) if str(j.job_id).startswith(JOB)]
    sys.stdout.write("\n\n" + "\n".join([*summary(jobs), *conflicts(notes.said)]) + "\n")


def summary(jobs: list[bq.QueryJob | bq.LoadJob]) -> list[str]:
    """A line for each kind of job: how many, seconds from its creation to its end, bytes billed, and each error."""
    kinds: dict[str, list[bq.QueryJob | bq.LoadJob]] = defaultdict(list)
    for job in jobs:
        kinds[str(job.job_id).rsplit("_", 2)[-2]].append(job)
    lines = [f"{'job':<10} {'number':>6} {'median s':>9} {'longest s':>9} {'MB billed':>10}"]
    for kind, of in sorted(kinds.items()):
        seconds = [(j.ended - j.created).total_seconds() for j in of if j.ended and j.created] or [0.0]
        billed = sum(int(getattr(j, "total_bytes_billed", 0) or 0) for j in of) / 2**20
        lines.append(f"{kind:<10} {len(of):>6} {statistics.median(seconds):>9.2f} {max(seconds):>9.2f} {billed:>10.0f}")
    errors = {(e.get("reason"), e.get("message")) for j in jobs if (e := j.error_result)}
    return [*lines, "errors:", *(f"  {reason}: {message}" for reason, message in sorted(errors, key=str))]


def conflicts(said: list[str]) -> list[str]:
    """What made the program try a job again."""
    return ["tried again:", *(f"  {text}" for text in dict.fromkeys(said))]


@pytest.fixture
def kit(tmp_path: Path, findings: Notes) -> Iterator[Kit]:
    """A dataset that goes with its test."""
    dataset = f"d_owox_tiktok_test_{uuid.uuid4().hex[:12]}"
    if PROJECT == "emulator":
        made = bigquery.BigQueryKit(tmp_path, dataset, bigquery.begin())
    else:
        bigquery.use(bq.Client(PROJECT))
        made = bigquery.BigQueryKit(tmp_path, dataset, "")
    made.address += f"?location={LOCATION}&label.purpose=test"
    yield made
    bigquery.client().delete_dataset(f"{bigquery.project()}.{dataset}", delete_contents=True, not_found_ok=True)


class TestRealBigQuery(DestinationPromises):
    def test_two_imports_of_one_object_at_the_same_time_wait_for_each_other(self, kit: Kit) -> None:
        """What BigQuery says then is among the findings."""
        kit.store(kit.whole("9"))
        chunks = [kit.whole(str(n)) for n in (1, 2, 3)]
        faults: list[BaseException] = []

        def store(n: int) -> None:
            try:
                kit.store(chunks[n])
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=store, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults
        assert all(kit.days(str(n)) == [day(d) for d in range(1, 6)] for n in (1, 2, 3, 9))

    def test_a_key_that_is_named_is_no_hindrance(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
        kit.copy_row(DAILY, ("ad_id", "171"))
        kit.store(kit.chunk(DAILY, [ad(1, 1, spend="2")], (day(1), day(1))))
        assert len(kit.read(DAILY)) == 1
