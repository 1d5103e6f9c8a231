"""Google's sign-in on this machine: identity tokens that are really signed, and the certificates to check them with.

The key is made at start and never leaves the process. A token has the claims that Google gives: ``iss``, ``aud`` and
``azp``, ``sub``, ``email``, ``email_verified``, ``hd`` for an account of a Workspace domain, ``iat`` and ``exp``.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

from owox_tiktok.local.http import Answer, Call, Emulator, in_json

GOOGLE = "https://accounts.google.com"
STRIPPED = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What the platform may put in the place of a signature that it has checked itself."""


class Issuer(Emulator):
    """Signs tokens and serves ``GET /certs``, in Google's format (certificates by key id).

    ``POST /token`` with ``{"email", "audience"}`` hands out a token to another process on this machine.
    ``fetched`` counts how often the certificates were asked for; ``broken`` makes that fail.
    """

    def __init__(self, port: int = 0, *, cache_seconds: int = 3600) -> None:
        super().__init__(port)
        self.cache_seconds = cache_seconds
        self.fetched = 0
        self.broken = False
        self._lock = threading.Lock()
        self._certificates: dict[str, str] = {}
        self.rotate()

    @property
    def certs_url(self) -> str:
        """Where the certificates are, in place of ``https://www.googleapis.com/oauth2/v1/certs``."""
        return f"{self.url}/certs"

    def rotate(self) -> None:
        """Sign with a new key from now on. The certificates of the old ones stay, as they do at Google for a while."""
        key, certificate = _new_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_id = secrets.token_hex(20)
        with self._lock:
            self._signer = crypt.RSASigner.from_string(pem, key_id)  # type: ignore[no-untyped-call]
            self._certificates[key_id] = certificate

    def token(self, email: str, audience: str, /, *, seconds: float = 3600, **claims: Any) -> str:
        """Return a token for somebody, good for ``seconds`` (negative: expired); a claim of None is left out."""
        now = int(time.time())
        domain = email.partition("@")[2]
        personal = domain in ("gmail.com", "googlemail.com") or domain.endswith(".gserviceaccount.com")
        said = {
            "iss": GOOGLE,
            "aud": audience,
            "azp": audience,
            "sub": str(int(hashlib.sha256(email.encode()).hexdigest()[:17], 16)),
            "email": email,
            "email_verified": True,
            "hd": None if personal else domain,
            "iat": now + min(0, int(seconds)) - 1,
            "exp": now + int(seconds),
        } | claims
        with self._lock:
            signer = self._signer
        payload = {name: value for name, value in said.items() if value is not None}
        return str(jwt.encode(signer, payload).decode())  # type: ignore[no-untyped-call]

    def answer(self, call: Call) -> Answer:
        """Answer ``GET /certs`` and ``POST /token``."""
        if call.method == "GET" and call.path == "/certs":
            with self._lock:
                self.fetched += 1
                known = dict(self._certificates)
            if self.broken:
                return Answer(503)
            return in_json(known, cache_control=f"public, max-age={self.cache_seconds}, must-revalidate")
        if call.method == "POST" and call.path == "/token":
            try:
                asked = json.loads(call.body)
                return in_json({"id_token": self.token(asked["email"], asked["audience"])})
            except (ValueError, KeyError, TypeError):
                return in_json({"error": "invalid_request"}, 400)
        return in_json({"error": "not_found"}, 404)


def without_signature(token: str) -> str:
    """Return a token as the platform may hand it to the code: its signature taken off."""
    return f"{token.rpartition('.')[0]}.{STRIPPED}"


def _new_key() -> tuple[Any, str]:

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an emulator on this machine")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM).decode()
