"""Cloud Tasks: imports wait there for their turn. One call: create a task under a name, once.

A name is good for one task only, also after that is done, so that asking twice for the same thing makes one task. Cloud
Tasks keeps the time, bounds how many run at once, and tries again what did not succeed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import google.auth
import msgspec
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests import RequestException

from owox_tiktok.errors import Unavailable
from owox_tiktok.retry import Limits, retrying
from owox_tiktok.secret import Secret
from owox_tiktok.service.deployment import LONGEST_DISPATCH_S, Deployment
from owox_tiktok.service.messages import Refusal

API = "https://cloudtasks.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SIGNATURE_HEADER = "X-Owox-Signature"
TIMEOUT_S = 5.0
ATTEMPTS = 4
DEADLINE_S = 15.0


class Queue:
    """The queues of this deployment, one for people and one for schedules and backfills; safe for threads.

    Credentials are those of the account the service runs as.
    """

    def __init__(self, deployment: Deployment, sleep: Callable[[float], object] = time.sleep) -> None:
        self._deployment = deployment
        self._limits = Limits(ATTEMPTS, DEADLINE_S, first_s=0.2, longest_s=3.0, sleep=sleep)
        self._lock = threading.Lock()
        self._session: requests.Session | None = None

    def put(self, body: Mapping[str, Any], name: str, *, delay_s: float = 0.0, background: bool = False) -> bool:
        """Create the task ``name`` that posts ``body`` to the worker, in ``delay_s`` at the earliest.

        A ``background`` task waits in the queue of schedules and backfills.

        Returns False when there was one of that name.

        Raises Unavailable when Cloud Tasks does not answer, and a Refusal of 500 when it says no.
        """
        deployment = self._deployment
        queue = deployment.background_queue if background else deployment.queue
        content = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        if deployment.task_key:
            headers[SIGNATURE_HEADER] = signature(deployment.task_key, content)
        task: dict[str, Any] = {
            "name": f"{queue}/tasks/{name}",
            "dispatchDeadline": f"{LONGEST_DISPATCH_S:.0f}s",
            "httpRequest": {
                "url": deployment.worker_url,
                "httpMethod": "POST",
                "headers": headers,
                "body": base64.b64encode(content).decode(),
                "oidcToken": {"serviceAccountEmail": deployment.account, "audience": deployment.worker_url},
            },
        }
        if delay_s:
            task["scheduleTime"] = f"{datetime.now(UTC) + timedelta(seconds=delay_s):%Y-%m-%dT%H:%M:%SZ}"
        status = 0
        for attempt in retrying(Unavailable, self._limits):
            with attempt:
                status = self._post(queue, task)
        if status in (200, 409):
            return status == 200
        raise Refusal(
            500,
            f"Cloud Tasks refuses the task with {status}",
            what_to_do="Whoever deployed the service should look at the queue's name and at the roles "
            "cloudtasks.enqueuer on it and iam.serviceAccountUser on the account of the tasks.",
        )

    def _post(self, queue: str, task: Mapping[str, Any]) -> int:
        try:
            url = f"{self._deployment.tasks_url or API}/v2/{queue}/tasks"
            answer = self._client().post(url, json={"task": task}, timeout=TIMEOUT_S)
        except (RequestException, GoogleAuthError) as error:
            raise _unavailable(f"Cloud Tasks does not answer ({type(error).__name__})") from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _unavailable(f"Cloud Tasks answers {answer.status_code}")
        return answer.status_code

    def _client(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                if self._deployment.tasks_url:
                    self._session = requests.Session()
                else:
                    credentials, _ = google.auth.default(scopes=[SCOPE])
                    self._session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
            return self._session


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, what_to_do="Try again in a minute.")


def signature(key: Secret, body: bytes) -> str:
    """Return by what a task is known as one of ours: an HMAC over its body. Who may call the worker has no key."""
    return hmac.new(key.reveal().encode(), body, hashlib.sha256).hexdigest()


def signed(key: Secret, body: bytes, shown: str) -> bool:
    """Whether ``shown`` is the signature of ``body``; compared in a time that tells nothing."""
    return hmac.compare_digest(signature(key, body).encode(), shown.encode())


def name_for(*parts: object) -> str:
    """Return a task's name for ``parts``: the same for the same. Hashed, because names that resemble slow a queue."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:40]
