"""Who asks. Only an identity token that Google signed says so: signature, audience, issuer, expiry, verified e-mail.

The platform may hand a token to the code with its signature taken off, so Sheets send the same token a second time in
a header of our own, and that one counts. An unsigned claim is never believed. Tasks and schedules cannot send a second
header: for them, a worker's deployment may state that the platform lets nobody but its account in (see ``deployment``);
then a request with a stripped token comes from that account because it came at all, and nothing in it is read.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from cachecontrol import CacheControl
from google.auth.exceptions import TransportError
from google.auth.transport.requests import Request
from google.oauth2 import id_token
from werkzeug.datastructures import Headers

from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.messages import Refusal, come_again

OWN_HEADER = "X-Owox-Identity"
ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
STRIPPED = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What stands in the place of a signature that the platform has taken off."""
GCLOUD = "32555940559.apps.googleusercontent.com"
"""The audience of the tokens that ``gcloud auth print-identity-token`` prints for a person, whatever they are for."""
SKEW_S = 10
"""Clocks differ a little: a token may be this much too young or too old."""
CERTS_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody Google knows. ``domain`` is the Workspace domain that manages the account, or nothing.

    ``audience`` is whom the token was made for: the client id of the script that asks.
    """

    email: str
    domain: str = ""
    audience: str = ""

    def is_among(self, known: Collection[str]) -> bool:
        """Whether the person is named, or belongs to a domain that is: by Google's word, not by the address."""
        return self.email in known or bool(self.domain and f"@{self.domain}" in known)


class Identity:
    """Checks identity tokens. Google's certificates are kept as long as their answer permits; safe for threads."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._lock = threading.Lock()
        self._request: Request | None = None

    def caller(self, headers: Headers, also: str = "") -> Caller:
        """Return who sent ``headers``; a Refusal of 401 when that is not proven, 503 when it cannot be just now.

        A token for the audience ``also`` counts as well.
        """
        token = _token(headers.get(OWN_HEADER, "")) or _token(headers.get("Authorization", ""))
        if not token:
            raise _unknown("the request has no identity token", "Send one as Authorization: Bearer …")
        if token.endswith(f".{STRIPPED}"):
            return self._admitted(headers)
        claims = self._claims(token)
        if claims.get("iss") not in ISSUERS:
            raise _unknown("the identity token was not issued by Google", "Sign in with a Google account.")
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience not in {*self._deployment.audiences, also} - {""}:
            raise _unknown(
                f"the identity token is meant for {str(audience)[:200]}, not for this service",
                "Whoever deployed it can add that audience to OWOX_AUDIENCES and to the service's custom audiences.",
            )
        email = claims.get("email")
        if not isinstance(email, str) or not email or claims.get("email_verified") is not True:
            raise _unknown("the identity token has no verified e-mail address", "Ask for the scope userinfo.email.")
        domain = claims.get("hd")
        return Caller(email.lower(), domain.lower() if isinstance(domain, str) else "", audience)

    def _admitted(self, headers: Headers) -> Caller:
        """Return the account the platform let in. With a second token it checked that one, and this may be forged."""
        if self._deployment.platform_admits and not headers.get("X-Serverless-Authorization"):
            return Caller(self._deployment.account)
        raise _unknown(
            "the platform has removed the signature from the identity token", f"Send it a second time as {OWN_HEADER}."
        )

    def _claims(self, token: str) -> Mapping[str, Any]:

        where = {"certs_url": self._deployment.certs_url} if self._deployment.certs_url else {}
        try:
            claims: Mapping[str, Any] = id_token.verify_token(
                token, self._transport(), audience=None, clock_skew_in_seconds=SKEW_S, **where
            )
        except TransportError:
            raise come_again("Google's certificates are not available at the moment", 5) from None
        except Exception:  # whatever a stranger's token makes the library stumble over, it proves nothing
            raise _unknown("the identity token is not signed by Google, or has expired", "Get a new one.") from None
        return claims

    def _transport(self) -> Request:
        with self._lock:
            if self._request is None:
                self._request = _Quick(Request(CacheControl(requests.Session())))  # type: ignore[assignment]
        assert self._request is not None
        return self._request


class _Quick:
    """A transport of google-auth's that does not wait two minutes: somebody looks at a menu meanwhile."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(self, url: str, method: str = "GET", **more: Any) -> Any:
        return self._request(url, method=method, timeout=CERTS_TIMEOUT_S, **more)


def _token(header: str) -> str:
    """Return the token of a header, with or without ``Bearer`` before it."""
    kind, _, rest = header.strip().partition(" ")
    return rest.strip() if kind.lower() == "bearer" else header.strip() if not rest else ""


def _unknown(message: str, what_to_do: str) -> Refusal:
    return Refusal(401, message, what_to_do=what_to_do, headers={"WWW-Authenticate": "Bearer"})
