"""One request to Google Sheets and its answer: sign-in, connections, and errors put into words.

The only module that needs gspread and google-auth, which take long to load: it is imported with the first call.
gspread's HTTP client keeps the session, refreshes the sign-in and reads Google's errors; what is worth another try,
and what a person should do, is said here.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import mktime_tz, parsedate_tz
from typing import Any

import google.auth
import msgspec
import requests
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
from google.auth.impersonated_credentials import Credentials as LentCredentials
from google.oauth2.credentials import Credentials as PersonCredentials
from gspread.exceptions import APIError
from gspread.http_client import HTTPClient

from owox_tiktok.errors import BadInput, Mistake, StoreFailed
from owox_tiktok.sheets.cells import Json
from owox_tiktok.sheets.errors import WAYS_OUT, OverQuota, Passing, SheetRefused, TooManyCells

SCOPE = "https://www.googleapis.com/auth/spreadsheets"
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
MACHINE = "machine@local.iam.gserviceaccount.com"
"""Whose credentials stand for this machine's before an emulator."""

CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 190.0
"""Google gives up on a request after 180 seconds."""

PASSING_CODES = frozenset({408, 409, 500, 502, 503, 504})
PACKED_FROM = 10_000
"""Requests from so many bytes on are compressed: to a tenth or less, as the frame around each cell is the same."""
QUOTA_CODE = 429
"""The answer that means the request was not even begun, because others of this minute have used the quota up."""

AS_A_SERVICE_ACCOUNT = (
    "Run as a service account: a server has its own; on your computer run gcloud auth application-default login "
    "--impersonate-service-account=ADDRESS."
)
"""A person's own login does not do: gcloud's does not cover Sheets."""


class Transport:
    """The connection to one spreadsheet: with ``credentials``, else with those of this machine, else with none.

    ``writer`` is the service account that this machine's account acts for (impersonates), each with a quota of its own.
    """

    def __init__(
        self,
        spreadsheet_id: str,
        base: str,
        credentials: Credentials | None = None,
        *,
        anonymous: bool = False,
        writer: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = f"Spreadsheet {spreadsheet_id}"
        self._url = f"{base}/v4/spreadsheets/{spreadsheet_id}"
        self._clock = clock
        self._said: tuple[datetime, float] | None = None
        self.packs: bool | None = None
        """Whether Google takes compressed requests: None until it has answered one."""
        self._credentials = credentials
        self._anonymous = anonymous and credentials is None
        self._base, self._writer = base, writer
        self._http: HTTPClient | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.session.close()
            self._http = None

    def now(self) -> datetime | None:
        """Return the time by Google's clock, None before its first answer."""
        if self._said is None:
            return None
        said, heard = self._said
        return said + timedelta(seconds=self._clock() - heard)

    def send(self, method: str, path: str, *, params: Json | None = None, data: bytes | None = None) -> Json:
        """Send one request. Raises Passing, SheetRefused or TooManyCells, and BadInput without a sign-in.

        A large one is compressed. Should Google not take that, whatever its answer, it is sent again as it is.
        """
        if data is None or len(data) < PACKED_FROM or self.packs is False:
            return self._send(method, path, params, data, {})
        packed = gzip.compress(data, compresslevel=1)
        try:
            answer = self._send(method, path, params, packed, {"Content-Encoding": "gzip"})
        except OverQuota:
            raise
        except Passing:
            # It may have been carried out: whoever sends it again looks first.
            self.packs = self.packs or False
            raise
        except StoreFailed:
            if self.packs:
                raise
            answer = self._send(method, path, params, data, {})
            self.packs = False
            return answer
        self.packs = True
        return answer

    def _send(
        self, method: str, path: str, params: Json | None, data: bytes | None, more_headers: Mapping[str, str]
    ) -> Json:
        headers = {"Content-Type": "application/json", **more_headers} if data is not None else None
        try:
            answer = self._client().request(method, f"{self._url}{path}", params=params, data=data, headers=headers)
            self._heard(answer)
            decoded: Json = msgspec.json.decode(answer.content)
        except APIError as error:
            self._heard(error.response)
            raise self._trouble(error) from None
        except TransportError as error:
            raise Passing(
                f"no connection to Google ({type(error).__name__})", where=self._where, unsure=False
            ) from None
        except GoogleAuthError as error:
            if self._writer and isinstance(error, RefreshError) and not error.retryable:
                raise _not_lent(self._writer, self._where) from None
            if error.retryable or isinstance(error.__cause__, TransportError):
                # The sign-in, not the request: on a Google machine its own service may be slow.
                raise Passing("Google's sign-in does not answer", where=self._where, unsure=False) from None
            raise _no_credentials(error) from None
        except (requests.RequestException, msgspec.DecodeError) as error:
            # A failed connection may have failed after the request went out, so nothing is known.
            raise Passing(f"Google did not answer ({type(error).__name__})", where=self._where, unsure=True) from None
        return decoded

    @property
    def account(self) -> str:
        """Whose quota the calls use; asks for this machine's credentials, and raises BadInput where it has none."""
        credentials = self._signed_in()
        email = getattr(credentials, "service_account_email", None) or getattr(credentials, "account", None)
        return str(email or "")

    def _signed_in(self) -> Credentials:
        if self._credentials is None:
            if self._writer:
                self._credentials = _acting_for(self._writer, self._base if self._anonymous else "")
            elif self._anonymous:
                self._credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
            else:
                self._credentials = _default_credentials()
        return self._credentials

    def _client(self) -> HTTPClient:
        if self._http is None:
            self._http = HTTPClient(self._signed_in())
            self._http.set_timeout((CONNECT_TIMEOUT_S, TIMEOUT_S))
        return self._http

    def _heard(self, answer: requests.Response) -> None:
        """Take the time from an answer, a refusal too: before the first lease there may be no other."""
        if said := parsedate_tz(answer.headers.get("Date", "")):
            self._said = (datetime.fromtimestamp(mktime_tz(said), UTC), self._clock())

    def _trouble(self, error: APIError) -> StoreFailed:
        """Return what a person should know of a refusal."""
        code = int(error.response.status_code)
        status, message = str(error.error.get("status", "")), str(error.error.get("message", ""))[:300]
        if code == QUOTA_CODE:
            return OverQuota(f"Google answered {code} {status}", where=self._where)
        if code in PASSING_CODES or code >= 500:
            return Passing(f"Google answered {code} {status}", where=self._where, unsure=True)
        what, advice = _explained(code, status, message, error.error.get("details") or [], self.editor)
        # Google gives no code of its own for a spreadsheet that is full.
        if full := re.search(r"above the limit of (\d+) cells", message):
            refusal = TooManyCells(message, where=self._where, what_to_do=WAYS_OUT)
            refusal.limit = int(full[1])
            return refusal
        return SheetRefused(what, code=code, where=self._where, what_to_do=advice)

    @property
    def editor(self) -> str:
        """The e-mail address to share the spreadsheet with, or words for it."""
        email = str(getattr(self._credentials, "service_account_email", None) or "")
        return email if "@" in email else "the Google account this program runs as"


def _explained(code: int, status: str, message: str, details: Iterable[Any], account: str) -> tuple[str, str]:
    """Return what happened and what to do about it."""
    if code == 403 and any(isinstance(d, dict) and d.get("reason") == "SERVICE_DISABLED" for d in details):
        return "the Google Sheets API is switched off", "Enable it in the Google Cloud project this program runs in."
    if code == 403 and any(
        isinstance(d, dict) and d.get("reason") == "ACCESS_TOKEN_SCOPE_INSUFFICIENT" for d in details
    ):
        return "the Google login of this machine does not cover Sheets", AS_A_SERVICE_ACCOUNT
    if code == 403:
        return "it is not shared with this program", f"Open it, press Share and add {account} as Editor."
    if code == 401:
        return "Google does not accept the credentials", "Sign in again, or use another service account."
    if code == 404:
        return "there is no such spreadsheet", "Copy the id from its address, between /d/ and /edit."
    if code == 400 and status == "FAILED_PRECONDITION" and "Office" in message:
        return "it is an Excel file", "Open it and choose File → Save as Google Sheets; then use the new one's id."
    if code == 400 and "protected cell" in message:
        return (
            "a protected range keeps this program from writing",
            f"Add {account} to its editors, or remove the protection.",
        )
    return f"Google refused: {message or code}", "If it happens again, report it with the log."


def _acting_for(writer: str, emulator: str) -> Credentials:
    """Return credentials of another service account, which this machine's account may act for."""
    if emulator:
        # Its refresh tokens are addresses, and whose machine it is does not matter.
        source: Credentials = PersonCredentials(  # type: ignore[no-untyped-call]
            None, refresh_token=MACHINE, token_uri=f"{emulator}/token", client_id="local", client_secret=MACHINE
        )
        place = f"{emulator}/v1/projects/-/serviceAccounts/{writer}:generateAccessToken"
    else:
        source, place = _default_credentials(CLOUD_SCOPE), None
    lent: Credentials = LentCredentials(  # type: ignore[no-untyped-call]
        source_credentials=source, target_principal=writer, target_scopes=[SCOPE], iam_endpoint_override=place
    )
    return lent


def _not_lent(writer: str, where: str) -> StoreFailed:
    return SheetRefused(
        f"this program may not act for {writer}",
        code=403,
        where=where,
        what_to_do="Whoever deployed it grants its own account the role Service Account Token Creator on that one, and "
        "switches on the IAM Service Account Credentials API.",
    )


def _default_credentials(scope: str = SCOPE) -> Credentials:
    try:
        found: Credentials = google.auth.default(scopes=[scope])[0]
    except DefaultCredentialsError as error:
        raise _no_credentials(error) from None
    return found


def _no_credentials(error: Exception) -> BadInput:
    what = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return BadInput(
        [
            Mistake(
                "Google credentials",
                what,
                AS_A_SERVICE_ACCOUNT,
            )
        ]
    )
