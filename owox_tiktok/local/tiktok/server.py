"""The stand-in over real HTTP/1.1 on this machine.

A small handler of its own instead of :mod:`http.server`: answers that are already made cost a
dictionary look-up and one send, and a failing answer needs the socket itself.
Query strings are never written anywhere, because they may hold the app's secret.
"""

from __future__ import annotations

import json
import signal
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote

from .api import Answer, Api, Credentials
from .faults import WRONG_ANSWERS, Faults, FaultState, code_message
from .limits import Gate, Limits
from .rules import PAGE_SIZES, Refusal, wrong
from .spoil import REPORT, spoil
from .spoil import applies as can_be_spoiled
from .switches import Rules
from .tasks import FILES
from .tasks import PATHS as TASK_PATHS
from .world import World

PREFIX = "/open_api/v1.3/"
_LOG_LIMIT = 200_000
_KEPT_ANSWERS = 5_000
_SECRETS = frozenset({"secret", "access_token", "auth_code"})
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 400: "Bad Request"} | {
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
_TIME_OUTS = frozenset({"timeout", "code_51001", "code_51039"})
_AFTER_ANSWERING = frozenset({"truncated", "cut_json", "reset", "shifted_page", "drip", *WRONG_ANSWERS})
"""Failures that begin with a good answer."""
_CUT = (
    "X-Tt-Ads-Throttle: Number of ad ids is equal or more than 20k, only return the top 20k id's results, "
    "sorting by create time desc order.\r\n"
)
"""TikTok's own words, also for limits that tests make smaller."""
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Server:
    """A serving stand-in. Use it as a context manager, or :meth:`start` and :meth:`close` it.

    ``log`` holds one small dict per request (time, path, params without secrets, code, page, bytes);
    ``code`` is TikTok's code, an HTTP status as ``http_…``, or the name of a failure without answer.
    """

    def __init__(
        self,
        world: World,
        *,
        limits: Limits | None = None,
        faults: Faults | None = None,
        rules: Rules | None = None,
        port: int = 0,
        sandbox: bool = False,
        cache: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = world
        self.clock = clock
        self.limits = limits or Limits()
        self.faults = faults or Faults()
        self.rules = rules or Rules()
        self.sandbox = sandbox
        self.cache = cache
        self.credentials = Credentials(sandbox)
        self.log: list[dict[str, Any]] = []
        self._api = Api(world, self.credentials, self.faults, self.rules, self.limits, sandbox, clock)
        self._gate = Gate(self.limits, self.credentials.app_id, clock, lambda: world.now().date())
        self._fault_state = FaultState(self.faults)
        self._codes: Counter[str] = Counter()
        self._requests = self._refused = self._failed = 0
        self._lock = threading.Lock()
        self._answers: dict[object, Answer] = {}
        self._open: set[socket.socket] = set()
        self._stopping = threading.Event()
        self._tcp = _Tcp(("127.0.0.1", port), self)
        self._thread: threading.Thread | None = None

    # -- what a caller needs to know --------------------------------------------------------

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._tcp.server_address[1])

    @property
    def url(self) -> str:
        """Base address, with the slash at its end."""
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    @property
    def token(self) -> str:
        """The access token that is accepted."""
        return self.credentials.token

    @property
    def app_id(self) -> str:
        """The developer app's id."""
        return self.credentials.app_id

    @property
    def app_secret(self) -> str:
        """The developer app's secret."""
        return self.credentials.app_secret

    @property
    def auth_code(self) -> str:
        """The latest authorisation code; good for one exchange (``credentials.new_auth_code()`` makes another)."""
        return self.credentials.auth_code

    @property
    def advertiser_ids(self) -> list[str]:
        """The accounts the token covers."""
        return self._api.advertiser_ids

    @property
    def counts(self) -> dict[str, Any]:
        """Requests so far, those refused for their rate, those failed on purpose, and outcomes by code."""
        with self._lock:
            return {
                "requests": self._requests,
                "refused": self._refused,
                "failed": self._failed,
                "by_code": dict(self._codes),
            }

    def clear_cache(self) -> None:
        """Forget finished answers."""
        self._answers.clear()

    # -- life -------------------------------------------------------------------------------

    def start(self) -> Server:
        """Begin to serve in a thread of its own."""
        self._thread = threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and drop every connection, also those that hang on purpose."""
        self._stopping.set()
        if self._thread is not None:
            self._tcp.shutdown()
            self._thread.join()
            self._thread = None
        self._tcp.server_close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- one request ------------------------------------------------------------------------

    def handle(self, connection: socket.socket, method: str, target: str, token: str, body: bytes) -> bool:
        """Answer one request; False when the connection must be closed."""
        path, _, query = target.partition("?")
        if path.startswith(FILES) and method == "GET":
            content = self._api.tasks.file(path)
            _send(connection, 404 if content is None else 200, (content or "").encode(), "text/csv")
            return True
        if path.startswith("/_"):
            return self._control(connection, method, path, body)
        name = path[len(PREFIX) : -1] if path.startswith(PREFIX) and path.endswith("/") else ""
        if not self._api.knows(method, name):
            other = "GET" if method == "POST" else "POST"
            status = 405 if self._api.knows(other, name) else 404
            self._record(name or unquote(path), {}, f"http_{status}", None, 0)
            _send(connection, status, b"", "text/plain")
            return True
        with self._lock:
            self._requests += 1
            number = self._requests
        faults = self.faults
        if faults.hang_after is not None and number > faults.hang_after:
            return self._hang(name)
        wait = self._fault_state.latency()
        if wait:
            self._stopping.wait(wait)

        kind = None
        try:
            self._gate.check_app()
            self._gate.check_request(target)
        except Refusal as refusal:
            answer = self._refuse(refusal)
        else:
            kind = self._next_kind(method, name, target, query)
            if kind in _TIME_OUTS:
                self._note_timeout(name, target)
            if kind is not None and kind not in _AFTER_ANSWERING:
                return self._fail(connection, kind, name, query)
            answer = self._answer(method, name, target, query, token, body, number)
            if answer.code in (51001, 51039):
                self._note_timeout(name, target)
        if kind in ("shifted_page", "row_gone"):
            answer = self._api.moved(answer, kind)
        elif kind in WRONG_ANSWERS and answer.code == 0:
            code = 20001 if kind == "code_20001" else 0
            answer = replace(answer, body=spoil(kind, answer.body, answer.params, self.faults), code=code)
        elif kind in ("truncated", "cut_json", "reset"):
            return self._break(connection, kind, name, answer)
        self._record(name, answer.params, str(answer.code), answer.page, len(answer.body))
        if kind == "drip":
            return self._drip(connection, answer)
        _send(connection, 200, answer.body, answer.content_type, throttled=answer.throttled)
        return True

    def _note_timeout(self, name: str, target: str) -> None:
        if name == REPORT and self.rules.timeout_penalties:
            self._gate.note_timeout(target)

    def _next_kind(self, method: str, name: str, target: str, query: str) -> str | None:
        """How this request fails, or None."""
        faults = self.faults
        if not faults.at and faults.rate <= 0 and faults.fail_first <= 0:
            return None
        params = dict(parse_qsl(query, keep_blank_values=True))
        kind = self._fault_state.next_kind(
            f"{method} {target}", lambda one: _applies(one, name, params), lambda fault: fault.fits(name, params)
        )
        if kind is not None:
            with self._lock:
                self._failed += 1
        return kind

    def _refuse(self, refusal: Refusal) -> Answer:
        with self._lock:
            self._refused += 1
        return self._api.refusal(refusal)

    def _answer(self, method: str, name: str, target: str, query: str, token: str, body: bytes, number: int) -> Answer:
        faults = self.faults
        params: dict[str, str] = {}
        try:
            if method == "POST":
                return self._post(name, body, token)
            self.credentials.check_token(token)
            if faults.revoked_after is not None and number > faults.revoked_after:
                raise Refusal(40105, "Access token is incorrect or has been revoked.")
            if name in faults.forbidden:
                raise Refusal(40001, f"advertiser does not grant you /{name}/:GET permission")
            key = (target, self.world.now(), self.world.version, _lasting(faults), _choices(self.rules))
            keep = self.cache and name not in TASK_PATHS
            known = self._answers.get(key) if keep else None
            if known is not None:
                self._check_advertiser(known.params.get("advertiser_id", ""), name)
                return known
            params = dict(parse_qsl(query, keep_blank_values=True))
            self._check_advertiser(params.get("advertiser_id", ""), name)
            answer = self._api.get(name, params, token, f"http://127.0.0.1:{self.port}")
            answer.params = _safe(params)
            if keep and "secret" not in params:
                if len(self._answers) >= _KEPT_ANSWERS:
                    self._answers.clear()
                self._answers[key] = answer
            return answer
        except Refusal as refusal:
            answer = self._refuse(refusal) if refusal.code == 40133 else self._api.refusal(refusal)
            answer.params = _safe(params)
            return answer

    def _check_advertiser(self, advertiser_id: str, name: str) -> None:
        if advertiser_id:
            if advertiser_id in self.faults.forbidden:
                raise Refusal(40001, f"No permission to operate advertiser {advertiser_id}.")
            self._gate.check_advertiser(advertiser_id, name)

    def _post(self, name: str, body: bytes, token: str) -> Answer:
        try:
            values = json.loads(body)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise wrong("The request body must be a JSON object.")
        return self._api.post(name, values, token)

    def _record(self, path: str, params: dict[str, str], code: str, page: int | None, size: int) -> None:
        entry = {"time": time.time(), "path": path, "params": params, "code": code, "page": page, "bytes": size}
        with self._lock:
            self._codes[code] += 1
            self.log.append(entry)
            if len(self.log) > _LOG_LIMIT:
                del self.log[: _LOG_LIMIT // 2]

    # -- failing on purpose -----------------------------------------------------------------

    def _hang(self, name: str) -> bool:
        self._record(name, {}, "timeout", None, 0)
        self._stopping.wait(self.faults.timeout_s)
        return False

    def _fail(self, connection: socket.socket, kind: str, name: str, query: str) -> bool:
        if kind == "timeout":
            return self._hang(name)
        params = dict(parse_qsl(query, keep_blank_values=True))
        if kind.startswith("code_"):
            code = int(kind[5:])
            message = code_message(code, self.app_id, params.get("advertiser_id", ""))
            answer = self._api.refusal(Refusal(code, message))
            self._record(name, _safe(params), str(code), None, len(answer.body))
            _send(connection, 200, answer.body, "application/json")
            return True
        self._record(name, _safe(params), kind, None, 0)
        if kind == "not_json":
            _send(connection, 200, _HTML, "text/html")
        else:
            status = int(kind[5:8])
            html = kind.endswith("_html")
            _send(connection, status, _HTML if html else b"", "text/html" if html else "text/plain")
        return True

    def _break(self, connection: socket.socket, kind: str, name: str, answer: Answer) -> bool:
        half = answer.body[: len(answer.body) // 2]
        self._record(name, answer.params, kind, answer.page, len(half))
        if kind == "cut_json":
            _send(connection, 200, half, "application/json")
            return True
        _send(connection, 200, half, "application/json", length=len(answer.body))
        if kind == "reset":
            # Closing with unsent data dropped makes the system send RST instead of a proper end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _drip(self, connection: socket.socket, answer: Answer) -> bool:
        """Send the answer a few bytes at a time."""
        size = max(self.faults.drip_bytes, 1)
        _send(connection, 200, answer.body[:size], "application/json", length=len(answer.body))
        for begin in range(size, len(answer.body), size):
            if self._stopping.wait(self.faults.drip_s):
                return False
            connection.sendall(answer.body[begin : begin + size])
        return True

    # -- steering from another process ------------------------------------------------------

    def _control(self, connection: socket.socket, method: str, path: str, body: bytes) -> bool:
        if method == "GET" and path == "/_counts":
            _send(connection, 200, json.dumps(self.counts).encode(), "application/json")
        elif method == "POST" and path == "/_control":
            try:
                self.control(json.loads(body or b"{}"))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                _send(connection, 400, json.dumps({"error": str(error)}).encode(), "application/json")
            else:
                _send(connection, 200, json.dumps(self.counts).encode(), "application/json")
        else:
            _send(connection, 404, b"", "text/plain")
        return True

    def control(self, values: dict[str, Any]) -> None:
        """Change the running server.

        ``as_of`` (ISO text with an offset, or null for the real clock), ``faults`` and ``limits``
        (fields to set), ``delete`` ({advertiser_id, level, id}), ``revoke`` (true), ``clear_cache`` (true).
        """
        unknown = values.keys() - {"as_of", "faults", "limits", "delete", "revoke", "clear_cache"}
        if unknown:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        if "as_of" in values:
            text = values["as_of"]
            self.world.as_of = None if text is None else datetime.fromisoformat(text)
        if "faults" in values:
            self.faults.update(values["faults"])
        for name, value in values.get("limits", {}).items():
            if not hasattr(self.limits, name):
                raise ValueError(f"unknown limit: {name}")
            setattr(self.limits, name, value)
        if "delete" in values:
            one = values["delete"]
            self.world.delete(one["advertiser_id"], one["level"], one["id"])
        if values.get("revoke"):
            self.credentials.revoked.add(self.token)
        if values.get("clear_cache"):
            self.clear_cache()


def _applies(kind: str, name: str, params: dict[str, str]) -> bool:
    if kind == "shifted_page":
        return name in PAGE_SIZES
    if kind in WRONG_ANSWERS:
        return can_be_spoiled(kind, name, params)
    return kind != "code_40067" or name == "report/integrated/get"


def _lasting(faults: Faults) -> tuple[object, ...]:
    """The lasting failures that change an answer; part of the key of a kept one."""
    return (
        faults.too_large_over_days,
        faults.too_large_code,
        faults.max_ads_per_report,
        faults.refused_metrics_unnamed,
        repr(faults.refused_metrics) if faults.refused_metrics else "",
        tuple(sorted(faults.forbidden)) if faults.forbidden else (),
    )


def _choices(rules: Rules) -> tuple[object, ...]:
    return tuple(vars(rules).values())


def _safe(params: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in _SECRETS}


def _send(
    connection: socket.socket,
    status: int,
    body: bytes,
    content_type: str,
    *,
    length: int | None = None,
    throttled: bool = False,
) -> None:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}; charset=utf-8\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n"
        f"{_CUT if throttled else ''}\r\n"
    )
    connection.sendall(head.encode() + body)


class _Handler(socketserver.StreamRequestHandler):
    """One connection: requests until the client closes it."""

    disable_nagle_algorithm = True
    server: _Tcp

    def handle(self) -> None:
        owner = self.server.owner
        connection: socket.socket = self.request
        with owner._lock:
            owner._open.add(connection)
        try:
            while self._one(owner, connection):
                pass
        except OSError:
            pass  # the client went away
        finally:
            with owner._lock:
                owner._open.discard(connection)

    def _one(self, owner: Server, connection: socket.socket) -> bool:
        line = self.rfile.readline(1 << 17)
        words = line.decode("latin-1").split()
        if len(words) != 3:
            return False
        token, length, keep = "", 0, words[2] == "HTTP/1.1"
        while True:
            line = self.rfile.readline(1 << 16)
            if line in (b"\r\n", b"\n"):
                break
            if not line:
                return False
            name, _, value = line.partition(b":")
            name = name.lower()
            if name == b"access-token":
                token = value.strip().decode("latin-1")
            elif name == b"content-length":
                length = int(value)
            elif name == b"connection":
                keep = value.strip().lower() != b"close"
        body = self.rfile.read(length) if length else b""
        return owner.handle(connection, words[0], words[1], token, body) and keep


class _Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: Server) -> None:
        self.owner = owner
        super().__init__(address, _Handler)

    def shutdown_request(self, request: Any) -> None:
        # A plain close: the polite shutdown of the base class would undo a reset on purpose.
        request.close()


def serve(
    world: World,
    *,
    limits: Limits | None = None,
    faults: Faults | None = None,
    rules: Rules | None = None,
    port: int = 0,
    sandbox: bool = False,
    cache: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Server:
    """A stand-in for this world, to be used in a ``with`` statement; port 0 takes any free one.

    ``cache`` keeps finished answers, so asking the same again costs almost nothing. ``clock`` counts the
    seconds of limits, blocks and report tasks, so that tests need not wait for them.
    """
    return Server(
        world, limits=limits, faults=faults, rules=rules, port=port, sandbox=sandbox, cache=cache, clock=clock
    )


def run(
    port: int,
    *,
    seed: int = 1,
    advertisers: int = 3,
    ads: int = 24,
    start: date = date(2026, 1, 1),
    as_of: datetime | None = None,
    qps: int | None = 10,
    per_minute: int | None = 600,
    latency_ms: float = 0.0,
    fault_rate: float = 0.0,
    cache: bool = True,
    sandbox: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM. ``ready`` is called with the base address; nothing is printed."""
    world = World(seed=seed, advertisers=advertisers, ads=ads, start=start, as_of=as_of)
    limits = Limits(qps=qps, per_minute=per_minute)
    faults = Faults(rate=fault_rate, latency_s=latency_ms / 1000, seed=seed)
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with serve(world, limits=limits, faults=faults, port=port, sandbox=sandbox, cache=cache) as server:
        if ready is not None:
            ready(server.url)
        try:
            while not stop.wait(0.5):
                pass
        except KeyboardInterrupt:
            pass
