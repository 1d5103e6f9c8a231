"""What the environment says about this deployment. Everything else is in the registry, and the rest in the Sheet.

    OWOX_AUDIENCES          audiences of identity tokens that are meant for this service: its address, the OAuth client
                            ids of the Sheets' scripts; separated by commas or spaces
    OWOX_REGISTRY           the registry: a path that begins with /, or the YAML itself; left out for a single Sheet:
    OWOX_SPREADSHEET_ID       … the one spreadsheet
    OWOX_CALLERS              … who may call for it: addresses and @domains, separated by commas or spaces
    OWOX_DATASETS             … which BigQuery datasets it may fill, if any
    OWOX_SCHEDULE           when the Sheets of a registry are imported whose entries say no schedule [Off]
    OWOX_SECRETS            folder of the mounted secrets [/secrets]; see ``registry``
    OWOX_ROLE               sheets, worker or both [both]; connect: the public function of "Connect TikTok…"
    OWOX_CONNECT_URL        the address of that one, when there is one
    OWOX_SECRET_PREFIX      projects/P/secrets/NAME-token-: what an alias' secret is called in Secret Manager
    OWOX_TASKS_QUEUE        projects/P/locations/R/queues/Q; without it everything runs within its request
    OWOX_BACKGROUND_QUEUE   the queue of schedules and backfills, so that they keep no person waiting [OWOX_TASKS_QUEUE]
    OWOX_STORE              gs://bucket/folder, or sqlite:///file on one machine: the record of all runs; needed with a
                            queue
    OWOX_TASKS_ACCOUNT      the service account whose identity the queue and the schedule show
    OWOX_TASK_KEY           a secret of 32 characters or more, by which the worker knows the tasks as the service's own
    OWOX_WORKER_URL         where the tasks go, which is also their audience
    OWOX_TIMEOUT_SECONDS    when the platform cuts a request off [CLOUD_RUN_TIMEOUT_SECONDS, else 300]
    OWOX_STALE_HOURS        a Sheet with a schedule is reported when no import has succeeded for so long [26]
    OWOX_OPERATORS          who may see the page about all Sheets, GET /fleet: addresses and @domains [nobody]
    OWOX_PLATFORM_ADMITS    on the worker: yes, when the platform lets nobody but OWOX_TASKS_ACCOUNT call it

``OWOX_CERTS_URL``, ``CLOUD_TASKS_API_URL`` and ``CLOUD_STORAGE_API_URL`` point at emulators and are accepted only for
addresses of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.secret import Secret

Role = Literal["sheets", "worker", "both", "connect"]

LONGEST_DISPATCH_S = 1800.0
"""Cloud Tasks and Cloud Scheduler give up on a call after 30 minutes."""
SHORTEST_KEY = 32
SHORT_PART_S = 300.0
DEFAULT_STALE_HOURS = 26.0
"""A daily import, and two hours more."""
DEFAULT_TIMEOUT_S = 300.0
"""What Cloud Run allows a request unless it is configured otherwise."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of the function; see the module's text for each value."""

    role: Role
    audiences: frozenset[str]
    secrets: str
    queue: str
    background_queue: str
    store: str
    account: str
    worker_url: str
    task_key: Secret
    connect_url: str
    secret_prefix: str
    timeout_s: float
    stale_hours: float
    operators: frozenset[str]
    platform_admits: bool
    certs_url: str
    tasks_url: str
    project: str

    @property
    def budget_s(self) -> float:
        """How long a run may go on within one request: a minute, or a fifth, is left to end it and to answer."""
        timeout = min(self.timeout_s, LONGEST_DISPATCH_S)
        return timeout - min(60.0, timeout / 5)

    @property
    def short_part_s(self) -> float:
        """How long a part of a run has at least, before it ends because others wait."""
        return min(SHORT_PART_S, self.budget_s / 5)


def words(text: str) -> tuple[str, ...]:
    """Return the entries of a list in one variable."""
    return tuple(part for part in re.split(r"[,;\s]+", text) if part)


def read(environment: Mapping[str, str]) -> Deployment:
    """Return what the environment says; raises BadInput with every mistake."""
    mistakes: list[Mistake] = []

    def wrong(name: str, what: str, what_to_do: str) -> None:
        mistakes.append(Mistake(name, what, what_to_do))

    role = environment.get("OWOX_ROLE", "").strip() or "both"
    if role not in ("sheets", "worker", "both", "connect"):
        wrong("OWOX_ROLE", f"{role!r} is not a role", "Write sheets, worker, both or connect.")
    audiences = frozenset(words(environment.get("OWOX_AUDIENCES", "")))
    if not audiences and role != "connect":
        wrong("OWOX_AUDIENCES", "is missing", "Give the service's address and the client id of each Sheet's script.")
    queue, account, worker_url = (
        environment.get(name, "").strip() for name in ("OWOX_TASKS_QUEUE", "OWOX_TASKS_ACCOUNT", "OWOX_WORKER_URL")
    )
    if queue and not re.fullmatch(r"projects/[^/\s]+/locations/[^/\s]+/queues/[^/\s]+", queue):
        wrong("OWOX_TASKS_QUEUE", "is not the name of a queue", "Write projects/P/locations/R/queues/Q.")
    background = environment.get("OWOX_BACKGROUND_QUEUE", "").strip() or queue
    if background != queue and not re.fullmatch(r"projects/[^/\s]+/locations/[^/\s]+/queues/[^/\s]+", background):
        wrong("OWOX_BACKGROUND_QUEUE", "is not the name of a queue", "Write projects/P/locations/R/queues/Q.")
    if background and not queue:
        wrong("OWOX_TASKS_QUEUE", "is missing, and OWOX_BACKGROUND_QUEUE is there", "Name both, or none.")
    if queue and not account:
        wrong("OWOX_TASKS_ACCOUNT", "is missing, and the queue needs it", "Give the service account of the tasks.")
    if queue and not worker_url:
        wrong("OWOX_WORKER_URL", "is missing, and the queue needs it", "Give the address of the worker.")
    task_key = environment.get("OWOX_TASK_KEY", "").strip()
    if task_key and len(task_key) < SHORTEST_KEY:
        wrong("OWOX_TASK_KEY", "is too short", f"Give {SHORTEST_KEY} random characters, or run deploy.sh again.")
    connect_url, prefix = (
        environment.get(name, "").strip().rstrip("/") for name in ("OWOX_CONNECT_URL", "OWOX_SECRET_PREFIX")
    )
    if connect_url and not (connect_url.startswith("https://") or _here(connect_url)):
        wrong("OWOX_CONNECT_URL", "is no https address", "Write one such as https://connect.example.com.")
    if role == "connect":
        needed = {
            "OWOX_CONNECT_URL": connect_url,
            "OWOX_TASK_KEY": task_key,
            "OWOX_STORE": environment.get("OWOX_STORE"),
        }
        for name in (name for name, value in needed.items() if not value):
            wrong(name, "is missing, and the role connect needs it", "Run deploy.sh --connect again.")
        if not re.fullmatch(r"projects/[^/\s]+/secrets/[A-Za-z0-9_-]+", prefix):
            wrong("OWOX_SECRET_PREFIX", "is not the name of secrets", "Write projects/P/secrets/NAME-token-.")
    store = environment.get("OWOX_STORE", "").strip()
    if queue and not store:
        wrong("OWOX_STORE", "is missing, and the queue needs it", "Give a bucket, such as gs://my-bucket/imports.")
    if store and not re.fullmatch(r"gs://[a-z0-9][a-z0-9._-]+[a-z0-9](/[A-Za-z0-9_./-]*)?|sqlite:///.+[^/]", store):
        wrong("OWOX_STORE", "is not the address of a store", "Write one such as gs://my-bucket/imports.")
    timeout_text = environment.get("OWOX_TIMEOUT_SECONDS") or environment.get("CLOUD_RUN_TIMEOUT_SECONDS") or ""
    timeout = float(timeout_text) if re.fullmatch(r"\d{1,5}(\.\d+)?", timeout_text) else 0.0
    if timeout_text and not timeout:
        wrong("OWOX_TIMEOUT_SECONDS", f"{timeout_text!r} is not a number of seconds", "Write one such as 1800.")
    stale_text = environment.get("OWOX_STALE_HOURS", "").strip()
    stale = float(stale_text) if re.fullmatch(r"\d{1,4}(\.\d+)?", stale_text) else 0.0
    if stale_text and not stale:
        wrong("OWOX_STALE_HOURS", f"{stale_text!r} is not a number of hours", "Write one such as 26.")
    admits = environment.get("OWOX_PLATFORM_ADMITS", "").strip().lower() == "yes"
    if admits and not (role == "worker" and account and environment.get("K_SERVICE")):
        wrong(
            "OWOX_PLATFORM_ADMITS",
            "says that the platform lets only OWOX_TASKS_ACCOUNT in, which only a private worker on Cloud Run can say",
            "Set OWOX_ROLE=worker and OWOX_TASKS_ACCOUNT, or remove it.",
        )
    for name in ("OWOX_CERTS_URL", "CLOUD_TASKS_API_URL", "CLOUD_STORAGE_API_URL", "SECRET_MANAGER_API_URL"):
        if environment.get(name) and not _here(environment[name]):
            wrong(name, "is not an address of this machine", "Remove it: it is for emulators only.")
    if mistakes:
        raise BadInput(mistakes)
    return Deployment(
        role=role,  # type: ignore[arg-type]
        audiences=audiences,
        secrets=environment.get("OWOX_SECRETS", "").strip() or "/secrets",
        queue=queue,
        background_queue=background,
        store=store if queue or role == "connect" else "",
        account=account.lower(),
        worker_url=worker_url,
        task_key=Secret(task_key),
        connect_url=connect_url,
        secret_prefix=prefix,
        timeout_s=timeout or DEFAULT_TIMEOUT_S,
        stale_hours=stale or DEFAULT_STALE_HOURS,
        operators=frozenset(who.lower() for who in words(environment.get("OWOX_OPERATORS", ""))),
        platform_admits=admits,
        certs_url=environment.get("OWOX_CERTS_URL", ""),
        tasks_url=environment.get("CLOUD_TASKS_API_URL", "").rstrip("/"),
        project=environment.get("GOOGLE_CLOUD_PROJECT", "") or (queue.split("/")[1] if queue else ""),
    )


def _here(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
