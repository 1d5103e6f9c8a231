"""One call to TikTok's Marketing API: URL, header, envelope, codes, pace and retries.

What a code means stands in ``codes``, how the bytes come over the wire in ``wire``. Nothing here knows streams or rows:
``reader`` does.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
import urllib3
from tenacity import RetryCallState

from owox_tiktok import __version__
from owox_tiktok.errors import (
    AccountRefused,
    BadInput,
    Mistake,
    RequestRefused,
    Senseless,
    TokenRefused,
    TooLarge,
    Unavailable,
)
from owox_tiktok.retry import Limits, Pace, Turn, retrying
from owox_tiktok.secret import Secret
from owox_tiktok.tiktok.codes import Does, reaction
from owox_tiktok.tiktok.wire import Adapter, Stopped, TooSlow, Watch

PRODUCTION = "https://business-api.tiktok.com/open_api/v1.3/"
SANDBOX = "https://sandbox-ads.tiktok.com/open_api/v1.3/"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a call to TikTok may take: attempts, seconds and bytes; tests give less."""

    attempts: int = 8
    senseless: int = 4
    """A whole answer that makes no sense is hardly ever passing: it is asked for again, but not as often as a fault."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    rate_s: float = 1200.0
    """Longer than TikTok's block of about five minutes for too many requests in a minute, several times over."""
    deadline_s: float = 600.0 + 1200.0
    """A faulty call is tried so long, waits for the rate limit included."""
    maintenance_s: float = 1200.0
    maintenance_wait_s: float = 30.0
    time_outs: int = 2
    time_out_window_s: float = 600.0
    """TikTok blocks a request for ten minutes that timed out three times in ten minutes: so often, and no more."""
    connect_s: float = 10.0
    silence_s: float = 90.0
    """So long may nothing of an answer arrive …"""
    answer_s: float = 300.0
    """… and so long may it take from the request to its last byte."""
    glance_s: float = 0.5
    """How often the end of the run is looked for while an answer is read."""
    largest: int = 128 * 1024 * 1024
    """Bytes of an answer."""


BOUNDS = Bounds()

LANES = frozenset({"gmv_max/report/get/"})
"""Addresses with a limit of their own, below the app's."""


def rate_of_lane(rate: float) -> float:
    """Return how many GMV Max reports a second TikTok permits an app that may ask ``rate`` times: by the minute.

    Basic: 240 a minute, Advanced 360, Premium and Ultimate 600.
    """
    for app, lane in ((10.0, 4.0), (20.0, 6.0), (50.0, 10.0)):
        if rate <= app:
            return min(rate, lane)
    return rate / 5  # no app of TikTok's has so many


CUT_HEADER = "X-Tt-Ads-Throttle"
"""Set when a report covers only the 20,000 newest ads; nothing else on the answer tells."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class App:
    """The developer app, which a few calls name besides the token."""

    id: str
    secret: Secret


NO_APP = App("", Secret(""))


class Envelope(msgspec.Struct):
    """What every answer of TikTok's comes in; ``data`` is left undecoded."""

    code: int
    message: str | None = None
    request_id: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Body(msgspec.Struct, Generic[T]):
    """The part of an answer that we read."""

    data: T


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that TikTok sent with code 0, and whether a report in it was cut at 20,000 ads."""

    body: bytes
    cut: bool = False
    request_id: str = ""


class _Again(Exception):
    """Something passing: try the same call again, after ``after_s`` when the server states a delay."""

    def __init__(self, message: str, *, after_s: float = 0.0) -> None:
        self.after_s = after_s
        super().__init__(message)


class _SlowDown(Exception):
    def __init__(self, request_id: str, *, only_advertiser: bool = False, after_s: float = 0.0) -> None:
        self.request_id, self.only_advertiser, self.after_s = request_id, only_advertiser, after_s


class _Maintenance(Exception):
    def __init__(self, request_id: str) -> None:
        self.request_id = request_id


@dataclass
class Counts:
    """How many requests were sent, and how many of them were rate-limited."""

    requests: int = 0
    refused: int = 0
    bytes: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    of_advertiser: Counter[str] = field(default_factory=Counter)
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

    ``on_wait(seconds, reason)`` hears of every wait that a person would notice, ``on_warning(advertiser_id,
    message)`` about an answer that TikTok calls incomplete. ``stopped`` ends every wait and every answer under way.
    """

    def __init__(
        self,
        url: str,
        token: Secret,
        pace: Pace,
        *,
        app: App = NO_APP,
        on_wait: Callable[[float, str], None] = lambda seconds, reason: None,
        on_warning: Callable[[str, str], None] = lambda advertiser_id, message: None,
        stopped: threading.Event | None = None,
        bounds: Bounds = BOUNDS,
    ) -> None:
        self.url = url
        self.pace = pace
        self.counts = Counts()
        self.bounds = bounds
        self._token = token
        self._app = app
        self._on_wait, self._on_warning = on_wait, on_warning
        self._local = threading.local()
        self._proxies = requests.utils.get_environ_proxies(url)
        self._stopped = stopped or threading.Event()
        self._verify: bool | str = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self._time_outs = TimeOuts(bounds.time_outs, bounds.time_out_window_s)
        self._down_since: float | None = None
        self._warned: set[tuple[str, str]] = set()
        self._lane = Pace(rate_of_lane(pace.rate), sleep=self._stopped.wait)

    def stop(self) -> None:
        """Make every call that waits or reads give up within about a second (the run is ending)."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether every further call would give up at once."""
        return self._stopped.is_set()

    def pause(self, seconds: float) -> None:
        """Wait; raises Unavailable when the run ends meanwhile."""
        self._stopped.wait(seconds)
        if self.is_stopped:
            raise Unavailable("the run was stopped")

    # --- verbs --------------------------------------------------------------------------------------------------------

    def get(
        self,
        path: str,
        params: Mapping[str, Any],
        *,
        take: Callable[[Answer], T],
        advertiser_id: str = "",
        with_app: bool = False,
        may_shrink: bool = False,
        may_split: bool = False,
        text: bool = False,
    ) -> T:
        """Return what ``take`` makes of TikTok's answer to a GET; lists and objects in ``params`` become JSON text.

        ``take`` decodes and checks; it runs inside the retries. When it raises Senseless, a msgspec error or another
        sign that the answer makes no sense, the answer counts as broken and is asked for again; ``take`` then runs
        again, so it must leave nothing behind when it raises.

        With ``text`` the answer may also be a plain text instead of TikTok's JSON, as the file of a report task is.

        Raises Refused (and its children), Unavailable when attempts or time ran out, whatever else ``take`` raises, and
        TooLarge when less should be asked: of a report that is too large, at once if the caller ``may_shrink`` (can ask
        for fewer days); of a request that timed out twice, if it may shrink or ``may_split`` (can ask for fewer ids);
        of one that covers too many ids, if it may split.
        """
        secret: dict[str, str] = {}
        if with_app:
            secret = {"app_id": self._app.id, "secret": self._app.secret.reveal()}
        query = urlencode({**{k: in_query(v) for k, v in params.items()}, **secret})
        return self._retry(_Call(path, query, None, advertiser_id, may_shrink, may_split, text), take)

    def post(self, path: str, body: Mapping[str, Any], *, take: Callable[[Answer], T], advertiser_id: str = "") -> T:
        """Return what ``take`` makes of TikTok's answer to a POST of a JSON ``body``; as ``get`` in all else."""
        return self._retry(_Call(path, "", msgspec.json.encode(body), advertiser_id), take)

    def data(self, path: str, params: Mapping[str, Any], shape: type[T], **how: Any) -> T:
        """Return the ``data`` of a small answer as a ``shape``; an answer of another shape makes no sense."""
        return self.get(path, params, take=of(shape), **how)

    # --- retries ------------------------------------------------------------------------------------------------------

    def _retry(self, call: _Call, take: Callable[[Answer], T]) -> T:
        """Return what ``take`` makes of the answer, however often the call must be made."""
        bounds, where = self.bounds, call.where

        def tell(state: RetryCallState) -> None:
            wait = state.next_action.sleep if state.next_action else 0.0
            if wait >= 5:
                self._on_wait(wait, f"TikTok had a fault at {where}; retrying")

        too_much = senseless = timed_out = 0
        slow_until = time.monotonic() + bounds.rate_s

        def once() -> T:
            nonlocal too_much, senseless, timed_out
            while True:
                self._wait_after_time_outs(call)
                if call.path in LANES:
                    self._lane.turn()
                turn = self.pace.turn(call.advertiser_id)
                self._check_stopped(where)
                try:
                    taken = _understood(self._call(call, turn), take)
                    self._down_since = None
                    return taken
                except _Nonsense as nonsense:
                    senseless += 1
                    if senseless >= bounds.senseless:
                        raise Unavailable(
                            f"TikTok could not be read after {senseless} attempts: {nonsense}",
                            where=where,
                            what_to_do="The next run asks again. If it persists, report it to TikTok with this number.",
                            request_id=nonsense.request_id,
                        ) from None
                    raise
                except _SlowDown as slow:
                    with self.counts.lock:
                        self.counts.refused += 1
                    hold = max(self.pace.refused(turn, only_advertiser=slow.only_advertiser), slow.after_s)
                    if hold >= 5:
                        self._on_wait(hold, "TikTok asks for fewer requests")
                    if time.monotonic() > slow_until:
                        raise Unavailable(
                            "TikTok kept answering that there are too many requests",
                            where=where,
                            what_to_do="Is another sync using the same app? The next run continues from here.",
                            request_id=slow.request_id,
                        ) from None
                    self._stopped.wait(slow.after_s)
                except _Maintenance as down:
                    self._wait_for_maintenance(where, down.request_id)
                except _TooMuch as much:
                    too_much += 1
                    if call.may_shrink or too_much >= 3:
                        raise TooLarge("the report is too large for TikTok", request_id=much.request_id) from None
                    raise
                except _TimedOut as late:
                    timed_out += 1
                    self._time_outs.add(call.key)
                    if call.may_ask_less and self._time_outs.wait(call.key):
                        raise TooLarge("TikTok could not answer in time", request_id=late.request_id) from None
                    if timed_out >= 2 * bounds.time_outs:  # before the wait and after it
                        raise Unavailable(
                            f"TikTok could not answer in time, {timed_out} times",
                            where=where,
                            what_to_do="The next run asks again.",
                            request_id=late.request_id,
                        ) from None
                    raise
                except _Again as fault:
                    self._stopped.wait(fault.after_s)
                    raise

        try:
            taken: T = retrying(
                _Again,
                Limits(
                    bounds.attempts,
                    bounds.deadline_s,
                    first_s=bounds.first_wait_s,
                    longest_s=bounds.longest_wait_s,
                    sleep=self._stopped.wait,
                ),
                before_sleep=tell,
            )(once)
            return taken
        except _Again as last:
            raise Unavailable(
                f"TikTok could not be read after {bounds.attempts} attempts: {last}",
                where=where,
                what_to_do="The next run continues from here.",
            ) from None

    def _check_stopped(self, where: str) -> None:
        if self._stopped.is_set():
            raise Unavailable("the run was stopped", where=where)

    def _wait_after_time_outs(self, call: _Call) -> None:
        """Keep TikTok's block away: a request that timed out too often is not sent again until that is long ago.

        Where less can be asked, that is better than to wait.
        """
        wait = self._time_outs.wait(call.key)
        if not wait:
            return
        if call.may_ask_less:
            raise TooLarge("TikTok could not answer in time")
        self._on_wait(wait, f"TikTok could not answer at {call.where} and blocks whoever repeats that too often")
        self._stopped.wait(wait)
        self._check_stopped(call.where)

    def _wait_for_maintenance(self, where: str, request_id: str) -> None:
        """Wait a little; raises Unavailable when maintenance has lasted too long, counted for all calls together."""
        now = time.monotonic()
        if self._down_since is None:  # only the first that meets it says so
            self._down_since = now
            self._on_wait(self.bounds.maintenance_wait_s, "TikTok is closed for maintenance")
        if now - self._down_since >= self.bounds.maintenance_s:
            raise Unavailable(
                "TikTok is closed for maintenance",
                where=where,
                what_to_do="Import again later; it continues from here.",
                request_id=request_id,
            ) from None
        self._stopped.wait(self.bounds.maintenance_wait_s)

    # --- one request --------------------------------------------------------------------------------------------------

    def _call(self, call: _Call, turn: Turn) -> Answer:
        status, headers, content = self._send(call)
        try:
            envelope = msgspec.json.decode(content, type=Envelope)
        except _NO_SENSE:
            try:
                content = readable(content)
                envelope = msgspec.json.decode(content, type=Envelope)
            except _NO_SENSE:
                if call.text and status == 200:
                    self.pace.answered(turn)
                    return Answer(content)
                raise _not_an_envelope(status, _retry_after(headers)) from None
        code = envelope.code
        with self.counts.lock:
            self.counts.codes[code] += 1
        request_id = printable(envelope.request_id or "")
        answer = Answer(content, CUT_HEADER in headers, request_id)
        if code == 0:
            self.pace.answered(turn)
            return answer
        means, does, advice = reaction(code)
        said = self._clean(envelope.message or "") or f"{means}; it does not say more"
        message = f"{said.rstrip('.')} ({code})"
        match does:
            case Does.PARTLY:
                self.pace.answered(turn)
                self._warn(call, message)
                return answer
            case Does.SLOW_DOWN:
                raise _SlowDown(request_id)
            case Does.SLOW_ADVERTISER:
                raise _SlowDown(request_id, only_advertiser=True)
            case Does.LATER:
                raise _Maintenance(request_id)
            case Does.RETRY:
                raise _Again(f"{message}, request {request_id}")
            case Does.TIMED_OUT:
                raise _TimedOut(message, request_id)
            case Does.LESS:
                raise _TooMuch(message, request_id)
            case Does.FEWER_IDS if call.may_split:
                raise TooLarge(f"TikTok refused: {message}", ids=True, request_id=request_id)
            case Does.TOKEN:
                raise TokenRefused(f"TikTok refused: {message}", code=code, what_to_do=advice, request_id=request_id)
            case Does.ACCOUNT:
                raise AccountRefused(f"TikTok refused: {message}", code=code, what_to_do=advice, request_id=request_id)
            case _:
                raise RequestRefused(f"TikTok refused: {message}", code=code, what_to_do=advice, request_id=request_id)

    def _warn(self, call: _Call, message: str) -> None:
        """Say once for each endpoint and advertiser that TikTok calls its own answer incomplete."""
        which = (call.path, call.advertiser_id)
        with self.counts.lock:
            if which in self._warned:
                return
            self._warned.add(which)
        self._on_warning(
            call.advertiser_id,
            f"{call.where}: TikTok says that it answered in part only: {message}. What it gave is stored",
        )

    def _send(self, call: _Call) -> tuple[int, Mapping[str, str], bytes]:
        bounds = self.bounds
        connection: Adapter | None = getattr(self._local, "connection", None)
        if connection is None:
            watch = Watch(self._stopped.is_set, bounds.silence_s, bounds.answer_s)
            connection = self._local.connection = Adapter(watch)
        request = requests.Request(
            "GET" if call.body is None else "POST",
            f"{self.url}{call.path}{'?' + call.query if call.query else ''}",
            data=call.body,
            headers={
                "Access-Token": self._token.reveal(),
                "Content-Type": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": f"owox-tiktok/{__version__}",
            },
        )
        with self.counts.lock:
            self.counts.requests += 1
            self.counts.of_advertiser[call.advertiser_id] += 1
        connection.watch.begin()
        try:
            with connection.send(
                request.prepare(),
                stream=True,
                timeout=(bounds.connect_s, bounds.glance_s),
                verify=self._verify,
                proxies=self._proxies,
            ) as response:
                content = response.raw.read(bounds.largest, decode_content=True)
                if len(content) == bounds.largest:
                    raise Unavailable("TikTok's answer was larger than any page", where=call.where)
                with self.counts.lock:
                    self.counts.bytes += len(content)
                return response.status_code, response.headers, content
        except Stopped:
            raise Unavailable("the run was stopped", where=call.where) from None
        except (TooSlow, urllib3.exceptions.ReadTimeoutError, requests.ReadTimeout):
            raise _TimedOut("no answer in time", "") from None
        except requests.exceptions.SSLError:
            advice = "Check the clock of this machine, or name your company's certificates in REQUESTS_CA_BUNDLE."
            raise Unavailable("the connection is not secure (TLS)", where=call.where, what_to_do=advice) from None
        except urllib3.exceptions.HTTPError as error:
            raise _Again(_KINDS.get(type(error), "the answer was cut off")) from None
        except requests.RequestException as error:
            # The exception's own text holds the URL, and with it perhaps the app's secret: only its kind is passed on.
            raise _Again(_KINDS.get(type(error), "the connection failed")) from None

    def _clean(self, message: str) -> str:
        """Return TikTok's message on one line, without anything of ours that is secret."""
        for secret in (self._token.reveal(), self._app.secret.reveal()):
            if secret:
                message = message.replace(secret, "****")
        return printable(message)[:400]


def _not_an_envelope(status: int, after_s: float) -> Exception:
    if status == 429:
        return _SlowDown("", after_s=after_s)
    if status in (408, 504):
        return _TimedOut(f"no answer in time (HTTP {status})", "")
    if status == 425 or status >= 500 or 200 <= status < 300:
        return _Again(f"the answer was not TikTok's JSON (HTTP {status})", after_s=after_s)
    advice = "TikTok may have withdrawn it: remove the object." if status == 404 else "Check a proxy on the way."
    return RequestRefused(f"the address answered HTTP {status}, not as TikTok does", code=-status, what_to_do=advice)


_NO_SENSE = (Senseless, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What taking an answer apart raises when the answer makes no sense: wrong types, broken text, bottomless nesting."""


def _understood(answer: Answer, take: Callable[[Answer], T]) -> T:
    """Return what ``take`` makes of the answer, of its readable form if need be; raises _Nonsense.

    This is the one place that decides that an answer with code 0 makes no sense.
    """
    try:
        return take(answer)
    except _NO_SENSE as error:
        if isinstance(error, UnicodeDecodeError | msgspec.DecodeError):
            body = readable(answer.body)
            if body != answer.body:
                try:
                    return take(replace(answer, body=body))
                except _NO_SENSE as again:
                    error = again
        raise _Nonsense(_in_words(error), answer.request_id) from None


def _in_words(error: BaseException) -> str:
    if isinstance(error, Senseless):
        return error.message
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return printable(str(error))[:200]


class _Nonsense(_Again):
    def __init__(self, message: str, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(f"its answer makes no sense ({message})")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds a proxy or TikTok asks to wait for; 0 where it does not say, and five minutes at most."""
    said = headers.get("Retry-After", "").strip()
    return float(min(int(said), 300)) if re.fullmatch(r"[0-9]{1,9}", said) else 0.0


@dataclass(frozen=True, slots=True)
class _Call:
    """What is asked. ``may_shrink`` and ``may_split`` as in ``TikTok.get``."""

    path: str
    query: str = field(repr=False)
    body: bytes | None = field(repr=False)
    advertiser_id: str = ""
    may_shrink: bool = False
    may_split: bool = False
    text: bool = False

    @property
    def where(self) -> str:
        return self.path.rstrip("/")

    @property
    def key(self) -> int:
        """What tells it from other requests; nothing of the query, which may hold the app's secret, is kept."""
        return hash((self.path, self.query, self.body))

    @property
    def may_ask_less(self) -> bool:
        return self.may_shrink or self.may_split


class TimeOuts:
    """When each request timed out of late: after ``most`` times it must rest until the first is ``window_s`` ago."""

    def __init__(self, most: int, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._window_s, self._clock = most, window_s, clock
        self._lock = threading.Lock()
        self._late: dict[int, list[float]] = {}

    def add(self, key: int) -> None:
        """Remember that the request timed out just now, and forget what is long ago."""
        now = self._clock()
        with self._lock:
            kept = {k: [t for t in times if now - t < self._window_s] for k, times in self._late.items()}
            self._late = {k: times for k, times in kept.items() if times}
            self._late.setdefault(key, []).append(now)

    def wait(self, key: int) -> float:
        """Return for how many seconds the request should not be sent; 0 when it may."""
        if not self._late:
            return 0.0
        with self._lock:
            times = self._late.get(key, [])[-self._most :]
        return max(0.0, times[0] + self._window_s - self._clock()) if len(times) == self._most else 0.0


class _TimedOut(_Again):
    def __init__(self, message: str, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(f"{message}, request {request_id}" if request_id else message)


class _TooMuch(_Again):
    def __init__(self, message: str, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(message)


_KINDS: Mapping[type[BaseException], str] = {
    requests.ConnectTimeout: "no connection in time",
    requests.ConnectionError: "the connection broke",
    requests.exceptions.ChunkedEncodingError: "the answer was cut off",
    requests.exceptions.ProxyError: "the proxy refused the connection",
}


def of(shape: type[T]) -> Callable[[Answer], T]:
    """Return what takes an answer's ``data`` as a ``shape`` (any type that msgspec decodes)."""
    decoder = msgspec.json.Decoder(Body[shape])  # type: ignore[valid-type]

    def take(answer: Answer) -> T:
        data: T = decoder.decode(answer.body).data
        return data

    return take


# A string of JSON, and in it what JSON may not hold: half of a pair of surrogates, and control characters as they are.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ODD = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"  # a whole pair
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # half of one
    r"|(\\.)"  # any other escape
    r"|[\x00-\x1f]",
    re.DOTALL,
)


def readable(body: bytes) -> bytes:
    """Return a JSON text that a strict decoder refuses with its odd characters replaced by U+FFFD.

    These are bytes that are not UTF-8, halves of surrogate pairs (an emoji that was cut), and raw control characters
    inside strings; a byte order mark is dropped. Everything else stays as it is, so what is no JSON stays none.
    """
    text = body.decode("utf-8-sig", "replace")
    return _STRING.sub(lambda string: _ODD.sub(lambda odd: odd[1] or odd[2] or "\ufffd", string[0]), text).encode()


def printable(text: str) -> str:
    """Return the text on one line, without anything that steers a terminal or turns the direction of what follows."""
    return re.sub(r"\s+", " ", re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+", " ", text)).strip()


def in_query(value: Any) -> str:
    """Return a query value as TikTok wants it: lists and objects as JSON text, booleans in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | Sequence):
        return msgspec.json.encode(value).decode()
    return str(value)
