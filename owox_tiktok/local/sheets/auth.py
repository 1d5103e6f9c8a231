"""Access tokens: the token endpoint for service accounts and refresh tokens, and what a token stands for."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from owox_tiktok.local.sheets.errors import ApiError, Json, scope_insufficient, unauthenticated
from owox_tiktok.local.sheets.model import Caller

OWNER = "owner@example.com"
"""Who asks when a request carries no token."""

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_BASE = "https://www.googleapis.com/auth/"
_WRITE = frozenset(_BASE + one for one in ("spreadsheets", "drive", "drive.file"))
_READ = _WRITE | {_BASE + "spreadsheets.readonly", _BASE + "drive.readonly"}


@dataclass
class _Token:
    caller: Caller
    good_until: float


class GrantError(Exception):
    """The token endpoint refuses; carries OAuth's own error name."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": description}


class Tokens:
    """Tokens given out. A service account's signature is not checked: nobody here holds its public key."""

    def __init__(self, seconds: float = 3600.0, required: bool = False) -> None:
        self.seconds = seconds
        self.required = required
        self.lent: set[str] = set()
        """Service accounts that anybody with a token may act for."""
        self._tokens: dict[str, _Token] = {}
        self._lock = threading.Lock()

    def issue(self, email: str, scopes: frozenset[str] | None = None) -> str:
        """A fresh token for somebody; without scopes it may do everything."""
        project = email.partition("@")[2].partition(".")[0] if email.endswith(".gserviceaccount.com") else "local"
        token = "ya29.local-" + secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[token] = _Token(Caller(email, project, scopes), time.monotonic() + self.seconds)
        return token

    def expire(self) -> None:
        """Make every token given out so far useless."""
        with self._lock:
            self._tokens.clear()

    def caller(self, header: str) -> Caller:
        """Who asks, by the Authorization header."""
        if not header:
            if self.required:
                raise unauthenticated(missing=True)
            return Caller(OWNER)
        kind, _, token = header.partition(" ")
        with self._lock:
            known = self._tokens.get(token.strip()) if kind.lower() == "bearer" else None
        if known is None or time.monotonic() > known.good_until:
            raise unauthenticated(missing=False)
        return known.caller

    def lend(self, email: str, header: str, body: bytes) -> Json:
        """Answer ``POST /v1/projects/-/serviceAccounts/EMAIL:generateAccessToken`` of IAM."""
        who = self.caller(header)
        if email not in self.lent:
            raise ApiError(
                403,
                "PERMISSION_DENIED",
                f"Permission 'iam.serviceAccounts.getAccessToken' denied on resource for {who.email}.",
            )
        scopes = frozenset(json.loads(body or b"{}").get("scope", ()))
        until = datetime.now(UTC) + timedelta(seconds=self.seconds)
        return {"accessToken": self.issue(email, scopes or None), "expireTime": f"{until:%Y-%m-%dT%H:%M:%SZ}"}

    def grant(self, body: bytes) -> Json:
        """Answer ``POST /token``."""
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        kind = form.get("grant_type")
        if kind == JWT_GRANT:
            claims = _claims(form.get("assertion", ""))
            email, scope = str(claims.get("iss", "")), str(claims.get("scope", ""))
            if not email:
                raise GrantError("invalid_grant", "Invalid grant: account not found")
            if float(claims.get("exp", 0)) < time.time():
                raise GrantError("invalid_grant", "Invalid JWT: Token must be a short-lived token")
        elif kind == "refresh_token":
            # A refresh token of this emulator is simply the person's address.
            email, scope = form.get("refresh_token", ""), form.get("scope", "")
            if "@" not in email:
                raise GrantError("invalid_grant", "Token has been expired or revoked.")
        else:
            raise GrantError("unsupported_grant_type", f"Invalid grant_type: {kind}")
        scopes = frozenset(scope.split()) or None
        token = self.issue(email, scopes)
        answer: Json = {"access_token": token, "expires_in": int(self.seconds), "token_type": "Bearer"}
        return {**answer, "scope": scope} if scope and kind == "refresh_token" else answer


def _claims(assertion: str) -> Json:
    parts = assertion.split(".")
    if len(parts) != 3:
        raise GrantError("invalid_grant", "Bad Request")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        raise GrantError("invalid_grant", "Invalid JWT.") from None
    if not isinstance(claims, dict):
        raise GrantError("invalid_grant", "Invalid JWT.")
    return claims


def check_scopes(caller: Caller, readable: bool) -> None:
    """Refuse a token without a scope for the method; ``readable`` methods are content with a read-only one."""
    if caller.scopes is not None and not caller.scopes & (_READ if readable else _WRITE):
        raise scope_insufficient()


__all__ = ["OWNER", "ApiError", "GrantError", "Tokens", "check_scopes"]
