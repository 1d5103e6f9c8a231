"""Secret Manager: one call, which adds a version to a secret that is there. Nothing is read, made or deleted by it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import google.auth
import requests
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests import RequestException

from owox_tiktok.errors import Problem, Unavailable
from owox_tiktok.retry import Limits, retrying
from owox_tiktok.secret import Secret

API = "https://secretmanager.googleapis.com"
API_VARIABLE = "SECRET_MANAGER_API_URL"
"""Environment variable with the address of an emulator; accepted only for an address of this machine."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S = 5.0
LIMITS = Limits(attempts=4, deadline_s=15.0, first_s=0.3, longest_s=3.0)


def add_version(name: str, value: Secret, environment: Mapping[str, str]) -> None:
    """Add a version to the secret ``projects/P/secrets/S``; raises Unavailable, or a Problem when Google says no."""
    url = environment.get(API_VARIABLE, "").rstrip("/")
    body = {"payload": {"data": base64.b64encode(value.reveal().encode()).decode()}}
    session: requests.Session = requests.Session()
    status = 0
    for attempt in retrying(Unavailable, LIMITS):
        with attempt:
            try:
                if not url:
                    credentials, _ = google.auth.default(scopes=[SCOPE])
                    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
                answer = session.post(f"{url or API}/v1/{name}:addVersion", json=body, timeout=TIMEOUT_S)
            except (RequestException, GoogleAuthError) as error:
                raise _unavailable(f"does not answer ({type(error).__name__})") from None
            status = answer.status_code
            if status == 429 or status >= 500:
                raise _unavailable(f"answers {status}")
    if status != 200:
        what = f"Secret Manager refuses the new version with {status}"
        advice = "Whoever deployed the service should run deploy.sh --connect again."
        raise Problem(what, what_to_do=advice)


def _unavailable(what: str) -> Unavailable:
    return Unavailable(f"Secret Manager {what}", what_to_do="Try again in a minute.")
