"""One call to TikTok's Marketing API: URL, header, envelope, codes, pace and patience.

What a code means stands in ``codes``. Nothing here knows streams or rows: ``reader`` does.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
import requests.adapters
import urllib3
from tenacity import RetryCallState

from owox_tiktok import __version__
from owox_tiktok.errors import (
    AccountRefused,
    BadInput,
    Mistake,
    RequestRefused,
    TokenRefused,
    TooLarge,
    Unavailable,
)
from owox_tiktok.retry import Pace, Turn, retrying
from owox_tiktok.secret import Secret
from owox_tiktok.tiktok.codes import Does, reaction

PRODUCTION = "https://business-api.tiktok.com/open_api/v1.3/"
SANDBOX = "https://sandbox-ads.tiktok.com/open_api/v1.3/"

ATTEMPTS = 8
RATE_DEADLINE_S = 1200.0
"""Longer than TikTok's block of about five minutes for too many requests in a minute, several times over."""
DEADLINE_S = 600.0 + RATE_DEADLINE_S
"""A faulty call is tried so often and so long, waits for the rate limit included."""
CONNECT_S, READ_S = 10.0, 90.0
LARGEST_BODY = 128 * 1024 * 1024
CUT_HEADER = "X-Tt-Ads-Throttle"
"""Set when a report covers only the 20,000 newest ads; nothing else on the answer tells."""

Data = TypeVar("Data")


class Envelope(msgspec.Struct):
    """What every answer of TikTok's comes in; ``data`` is left undecoded."""

    code: int
    message: str = ""
    request_id: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that TikTok sent with code 0, and whether a report in it was cut at 20,000 ads."""

    body: bytes
    cut: bool = False


class _Again(Exception):
    """Something passing: try the same call again."""


class _SlowDown(Exception):
    def __init__(self, request_id: str, *, only_advertiser: bool = False) -> None:
        self.request_id, self.only_advertiser = request_id, only_advertiser


@dataclass
class Counts:
    """How many requests were sent, and how many of them TikTok refused for their number."""

    requests: int = 0
    refused: int = 0
    bytes: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


def base_url(sandbox: bool, environment: Mapping[str, str] | None = None) -> str:
    """Return TikTok's address, or TIKTOK_API_URL's; raises BadInput when that is no http(s) address.

    Only the environment can name another address, never a configuration that someone else may write.
    """
    env = os.environ if environment is None else environment
    url = env.get("TIKTOK_API_URL", "").strip()
    if not url:
        return SANDBOX if sandbox else PRODUCTION
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query or parts.fragment:
        raise BadInput(
            [
                Mistake(
                    "TIKTOK_API_URL",
                    "is not an address",
                    "Unset it, or write one like http://127.0.0.1:8080/open_api/v1.3/",
                )
            ]
        )
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise BadInput(
            [Mistake("TIKTOK_API_URL", "would send the token unencrypted", "Use https:// or a local address.")]
        )
    return url.rstrip("/") + "/"


class TikTok:
    """The API as a few verbs. Safe to share between threads; each keeps a connection of its own.

    ``on_wait(seconds, reason)`` is told about every wait that a person would notice.
    """

    def __init__(
        self,
        url: str,
        token: Secret,
        pace: Pace,
        *,
        app_id: str = "",
        app_secret: Secret | None = None,
        on_wait: Callable[[float, str], None] = lambda seconds, reason: None,
        stopped: threading.Event | None = None,
        read_timeout_s: float = READ_S,
    ) -> None:
        self.url = url
        self.pace = pace
        self.counts = Counts()
        self._token = token
        self._app_id = app_id
        self._app_secret = app_secret or Secret("")
        self._on_wait = on_wait
        self._timeout = (CONNECT_S, read_timeout_s)
        self._local = threading.local()
        self._proxies = requests.utils.get_environ_proxies(url)
        self._stopped = stopped or threading.Event()
        self._verify: bool | str = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True

    def stop(self) -> None:
        """Make every waiting call give up (the run is ending)."""
        self._stopped.set()

    # --- verbs --------------------------------------------------------------------------------------------------------

    def get(
        self,
        path: str,
        params: Mapping[str, Any],
        *,
        advertiser_id: str = "",
        with_app: bool = False,
        may_shrink: bool = False,
    ) -> Answer:
        """Return TikTok's answer to a GET; lists and objects among ``params`` become JSON text.

        Raises Refused (and its children), TooLarge when less should be asked (at once only when ``may_shrink``), and
        Unavailable when patience ran out.
        """
        secret: dict[str, str] = {}
        if with_app:
            secret = {"app_id": self._app_id, "secret": self._app_secret.reveal()}
        query = urlencode({**{k: wire(v) for k, v in params.items()}, **secret})
        return self._patiently(path, query, None, advertiser_id, may_shrink)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Return TikTok's answer to a POST of a JSON ``body``."""
        return self._patiently(path, "", msgspec.json.encode(body), "", False)

    def data(self, path: str, params: Mapping[str, Any], **how: Any) -> dict[str, Any]:
        """Return the decoded ``data`` of a small answer."""
        found: dict[str, Any] = msgspec.json.decode(self.get(path, params, **how).body, type=Loose).data
        return found

    # --- patience -----------------------------------------------------------------------------------------------------

    def _patiently(self, path: str, query: str, body: bytes | None, advertiser_id: str, may_shrink: bool) -> Answer:
        where = path.rstrip("/")

        def tell(state: RetryCallState) -> None:
            wait = state.next_action.sleep if state.next_action else 0.0
            if wait >= 5:
                self._on_wait(wait, f"TikTok had a fault at {where}; trying again")

        timed_out = too_much = 0
        slow_until = time.monotonic() + RATE_DEADLINE_S

        def once() -> Answer:
            nonlocal timed_out, too_much
            while True:
                turn = self.pace.turn(advertiser_id)
                if self._stopped.is_set():
                    raise Unavailable("the run was stopped", where=where)
                try:
                    return self._call(path, query, body, turn)
                except _SlowDown as slow:
                    with self.counts.lock:
                        self.counts.refused += 1
                    hold = self.pace.refused(turn, only_advertiser=slow.only_advertiser)
                    if hold >= 5:
                        self._on_wait(hold, "TikTok asks for fewer requests")
                    if time.monotonic() > slow_until:
                        raise Unavailable(
                            "TikTok kept answering that there are too many requests",
                            where=where,
                            what_to_do="Is another sync using the same developer app? The next run goes on from here.",
                            request_id=slow.request_id,
                        ) from None
                except _TooMuch as much:
                    too_much += 1
                    if may_shrink or too_much >= 3:
                        raise TooLarge("the report is too large for TikTok", request_id=much.request_id) from None
                    raise
                except _TimedOut as late:
                    timed_out += 1
                    if may_shrink and timed_out >= 2:
                        raise TooLarge("TikTok could not answer in time", request_id=late.request_id) from None
                    raise

        try:
            answer: Answer = retrying(
                _Again, attempts=ATTEMPTS, deadline_s=DEADLINE_S, sleep=self._stopped.wait, before_sleep=tell
            )(once)
            return answer
        except _TimedOut as late:
            raise TooLarge("TikTok could not answer in time", request_id=late.request_id) from None
        except _Again as last:
            raise Unavailable(
                f"TikTok could not be read after {ATTEMPTS} attempts: {last}",
                where=where,
                what_to_do="The next run goes on from here.",
            ) from None

    # --- one request --------------------------------------------------------------------------------------------------

    def _call(self, path: str, query: str, body: bytes | None, turn: Turn) -> Answer:
        status, headers, content = self._send(path, query, body)
        try:
            envelope = msgspec.json.decode(content, type=Envelope)
        except msgspec.DecodeError:
            raise _not_an_envelope(status) from None
        code = envelope.code
        with self.counts.lock:
            self.counts.codes[code] += 1
        if code == 0:
            self.pace.answered(turn)
            return Answer(content, CUT_HEADER in headers)
        does, advice = reaction(code)
        message = f"{self._clean(envelope.message).rstrip('.')} ({code})"
        request_id = envelope.request_id
        match does:
            case Does.SLOW_DOWN:
                raise _SlowDown(request_id)
            case Does.SLOW_ADVERTISER:
                raise _SlowDown(request_id, only_advertiser=True)
            case Does.AGAIN:
                raise _Again(f"{message}, request {request_id}")
            case Does.TIMED_OUT:
                raise _TimedOut(message, request_id)
            case Does.LESS:
                raise _TooMuch(message, request_id)
            case Does.TOKEN:
                raise TokenRefused(f"TikTok refused: {message}", code=code, what_to_do=advice, request_id=request_id)
            case Does.ACCOUNT:
                raise AccountRefused(f"TikTok refused: {message}", code=code, what_to_do=advice, request_id=request_id)
            case _:
                raise RequestRefused(f"TikTok refused: {message}", code=code, what_to_do=advice, request_id=request_id)

    def _send(self, path: str, query: str, body: bytes | None) -> tuple[int, Mapping[str, str], bytes]:
        connection: requests.adapters.HTTPAdapter | None = getattr(self._local, "connection", None)
        if connection is None:
            # An adapter without a session: no cookies, no .netrc, no redirects, and half the work per request.
            connection = self._local.connection = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1)
        request = requests.Request(
            "GET" if body is None else "POST",
            f"{self.url}{path}{'?' + query if query else ''}",
            data=body,
            headers={
                "Access-Token": self._token.reveal(),
                "Content-Type": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": f"owox-tiktok/{__version__}",
            },
        )
        with self.counts.lock:
            self.counts.requests += 1
        try:
            with connection.send(
                request.prepare(), stream=True, timeout=self._timeout, verify=self._verify, proxies=self._proxies
            ) as response:
                content = response.raw.read(LARGEST_BODY, decode_content=True)
                if len(content) == LARGEST_BODY:
                    raise Unavailable("TikTok's answer was larger than any page", where=path)
                with self.counts.lock:
                    self.counts.bytes += len(content)
                return response.status_code, response.headers, content
        except requests.exceptions.SSLError:
            advice = "Check the clock of this machine, or name your company's certificates in REQUESTS_CA_BUNDLE."
            raise Unavailable("the connection is not secure (TLS)", where=path, what_to_do=advice) from None
        except urllib3.exceptions.HTTPError as error:
            raise _Again(_KINDS.get(type(error), "the answer broke off")) from None
        except requests.RequestException as error:
            # The exception's own text holds the URL, and with it perhaps the app's secret: only its kind is passed on.
            raise _Again(_KINDS.get(type(error), "the connection failed")) from None

    def _clean(self, message: str) -> str:
        """Return TikTok's message on one line, without anything of ours that is secret."""
        for secret in (self._token.reveal(), self._app_secret.reveal()):
            if secret:
                message = message.replace(secret, "****")
        return re.sub(r"\s+", " ", message).strip()[:400]


def _not_an_envelope(status: int) -> Exception:
    if status == 429:
        return _SlowDown("")
    if status in (408, 425) or status >= 500 or 200 <= status < 300:
        return _Again(f"the answer was not TikTok's JSON (HTTP {status})")
    advice = "TikTok may have withdrawn it: remove the object." if status == 404 else "Check a proxy on the way."
    return RequestRefused(f"the address answered HTTP {status}, not as TikTok does", code=-status, what_to_do=advice)


class _TimedOut(_Again):
    def __init__(self, message: str, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(f"{message}, request {request_id}")


class _TooMuch(_Again):
    def __init__(self, message: str, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(message)


class Loose(msgspec.Struct):
    """A small answer, decoded as it comes."""

    data: dict[str, Any]


_KINDS: Mapping[type[BaseException], str] = {
    urllib3.exceptions.ReadTimeoutError: "no answer in time",
    requests.ConnectTimeout: "no connection in time",
    requests.ReadTimeout: "no answer in time",
    requests.ConnectionError: "the connection broke",
    requests.exceptions.ChunkedEncodingError: "the answer broke off",
    requests.exceptions.ProxyError: "the proxy refused the connection",
}


def wire(value: Any) -> str:
    """Return a query value as TikTok wants it: lists and objects as JSON text, booleans in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | Sequence):
        return msgspec.json.encode(value).decode()
    return str(value)
