"""The stand-in over real HTTP/1.1 on this machine.

A small handler of its own instead of :mod:`http.server`: failing answers need the socket itself, and
one send per answer with Nagle's delay off keeps thousands of small calls quick. Query strings are
never written anywhere.
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from . import batch, page
from .api import Answer, Api, Call, parse_query, quota_kind, to_bytes, unpacked
from .auth import OWNER, GrantError, Tokens
from .drive import Drive
from .errors import ApiError, Json, invalid, quota, server_side
from .faults import AFTER, Faults, FaultState, Quota
from .model import Caller, Sheet, Spreadsheet

_LOG_LIMIT = 200_000
_REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(frozen=True)
class Logged:
    """One call. ``status`` is 0 when no answer was sent; ``requests`` counts those of a batchUpdate."""

    time: float
    method: str
    path: str
    status: int
    failure: str
    request_bytes: int
    response_bytes: int
    requests: int


class Server:
    """A serving stand-in. Use it as a context manager, or :meth:`start` and :meth:`close` it.

    A request without a token comes from the owner of everything, unless ``require_token``.
    ``on_call`` is called before each API request is carried out, in the request's thread, with the
    method and the decoded path: the place for a person who changes the file between two calls.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        faults: Faults | None = None,
        quota_per_minute: int | None = None,
        require_token: bool = False,
        token_seconds: float = 3600.0,
    ) -> None:
        self.faults = faults or Faults()
        self.tokens = Tokens(token_seconds, require_token)
        self.quota = Quota(quota_per_minute)
        self.drive = Drive()
        self.log: list[Logged] = []
        self.on_call: Callable[[str, str], None] | None = None
        self._api = Api(self.drive, self.faults)
        self._fault_state = FaultState(self.faults)
        self._lock = threading.RLock()
        self._statuses: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
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
        """Base address, in place of ``https://sheets.googleapis.com`` and ``https://www.googleapis.com``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def counts(self) -> dict[str, Any]:
        """Calls so far, their bytes, requests inside batches, and calls by status or by failure."""
        with self._lock:
            return {
                "calls": self._totals["calls"],
                "request_bytes": self._totals["request_bytes"],
                "response_bytes": self._totals["response_bytes"],
                "batch_requests": self._totals["batch_requests"],
                "by_status": dict(self._statuses),
            }

    # -- files, from inside -----------------------------------------------------------------

    def create(self, title: str, sheets: Sequence[str | Json] = (), owner: str = OWNER) -> str:
        """A new spreadsheet; its id.

        Each tab is a title, or a dict with ``title`` and, if wanted, ``rows``, ``columns`` and ``values``
        (rows of plain values; a text that starts with ``=`` is a formula).
        """
        with self._lock:
            made = self.drive.make(title, owner)
            if sheets:
                made.sheets = []
            for index, one in enumerate(sheets):
                given: Json = {"title": one} if isinstance(one, str) else dict(one)
                number = index if index == 0 else made.new_id("sheet")
                sheet = Sheet(number, given["title"], given.get("rows", 1000), given.get("columns", 26))
                made.sheets.append(sheet)
            for sheet, one in zip(made.sheets, sheets, strict=False):
                for row, line in enumerate([] if isinstance(one, str) else one.get("values", [])):
                    for column, cell in enumerate(line):
                        if isinstance(cell, str) and cell.startswith("="):
                            sheet.grid.write(row, column, made.canonical(cell))
                        elif cell not in (None, ""):
                            keep = isinstance(cell, str | bool)
                            sheet.grid.write(row, column, cell if keep else float(cell))
            made.changed()
            return made.spreadsheet_id

    def share(self, spreadsheet_id: str, email: str, role: str = "writer") -> None:
        """Let somebody in."""
        with self._lock:
            self.spreadsheet(spreadsheet_id).share(email, role)

    def unshare(self, spreadsheet_id: str, email: str) -> None:
        """Take somebody's permission back."""
        with self._lock:
            self.spreadsheet(spreadsheet_id).unshare(email)

    def spreadsheet(self, spreadsheet_id: str) -> Spreadsheet:
        """The model in memory, to be looked at; a KeyError for an unknown id."""
        return self.drive.files[spreadsheet_id]

    def batch(self, spreadsheet_id: str, requests: list[Json], email: str = OWNER) -> Json:
        """Carry out batchUpdate requests as a person would, without HTTP, quota, faults or log."""
        with self._lock:
            answer, _ = batch.batch_update(self.spreadsheet(spreadsheet_id), Caller(email), {"requests": requests})
            return answer

    def token(self, email: str, scopes: frozenset[str] | None = None) -> str:
        """An access token for somebody."""
        return self.tokens.issue(email, scopes)

    # -- life -------------------------------------------------------------------------------

    def start(self) -> Server:
        """Begin to serve in a thread of its own."""
        self._thread = threading.Thread(target=self._tcp.serve_forever, args=(0.01,), daemon=True)
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

    def opened(self, connection: socket.socket, still: bool) -> None:
        """Remember a connection, or forget it."""
        with self._lock:
            (self._open.add if still else self._open.discard)(connection)

    # -- one request ------------------------------------------------------------------------

    def handle(self, connection: socket.socket, method: str, target: str, headers: dict[str, str], body: bytes) -> bool:
        """Answer one request; False when the connection must be closed."""
        raw_path, _, query = target.partition("?")
        if raw_path.startswith("/_"):
            _send(connection, self._control(method, raw_path, body), self.faults.clock_ahead_s)
            return True
        if method == "GET" and (raw_path == "/" or raw_path.startswith("/view/")):
            _send(connection, self._page(raw_path), self.faults.clock_ahead_s)
            return True
        path = unquote(raw_path)
        size = len(body)
        wait = self._fault_state.latency()
        if wait:
            self._stopping.wait(wait)
        if raw_path == "/token" and method == "POST":
            answer = self._grant(body)
            self._record(method, path, answer, "", size)
            _send(connection, answer, self.faults.clock_ahead_s)
            return True
        try:
            caller = self.tokens.caller(headers.get("authorization", ""))
            kind = quota_kind(method, raw_path)
            if kind is not None:
                self.quota.take(caller.email, kind)
            body = unpacked(body, headers.get("content-encoding", ""))
        except ApiError as error:
            answer = Answer(error.code, to_bytes(error.body()))
            self._record(method, path, answer, "", size)
            _send(connection, answer, self.faults.clock_ahead_s)
            return True
        except (OSError, EOFError):
            answer = Answer(400, to_bytes(invalid("The request body cannot be decompressed.").body()))
            self._record(method, path, answer, "", size)
            _send(connection, answer, self.faults.clock_ahead_s)
            return True
        failure = self._fault_state.next_kind(f"{method} {path}")
        if failure and failure not in AFTER:
            return self._fail(connection, failure, method, path, size)
        if self.on_call is not None:
            self.on_call(method, path)
        call = Call(method, raw_path, parse_query(query), body, headers.get("content-type", ""), caller)
        with self._lock:
            answer = self._api.handle(call)
        if failure:
            return self._fail(connection, failure, method, path, size, answer.requests)
        self._record(method, path, answer, "", size)
        _send(connection, answer, self.faults.clock_ahead_s)
        return True

    def _grant(self, body: bytes) -> Answer:
        try:
            return Answer(200, to_bytes(self.tokens.grant(body)))
        except GrantError as error:
            return Answer(400, to_bytes(error.body))

    def _record(
        self, method: str, path: str, answer: Answer | None, failure: str, size: int, requests: int = 0
    ) -> None:
        status = answer.status if answer else 0
        sent = len(answer.body) if answer else 0
        requests = answer.requests if answer else requests
        entry = Logged(time.time(), method, path, status, failure, size, sent, requests)
        with self._lock:
            self._totals.update(calls=1, request_bytes=size, response_bytes=sent, batch_requests=requests)
            self._statuses[failure or str(status)] += 1
            self.log.append(entry)
            if len(self.log) > _LOG_LIMIT:
                del self.log[: _LOG_LIMIT // 2]

    def _fail(self, connection: socket.socket, kind: str, method: str, path: str, size: int, requests: int = 0) -> bool:
        if kind in ("timeout", "late_timeout"):
            self._record(method, path, None, kind, size, requests)
            self._stopping.wait(self.faults.timeout_s)
            return False
        if kind in ("reset", "lost"):
            self._record(method, path, None, kind, size, requests)
            if kind == "reset":
                # Closing with the linger time 0 makes the system send RST instead of a proper end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if kind == "html_502":
            answer = Answer(502, _HTML, "text/html")
        else:
            code = int(kind.rpartition("_")[2])
            error = quota("Read" if method == "GET" else "Write") if code == 429 else server_side(code)
            answer = Answer(code, to_bytes(error.body()), requests=requests)
        self._record(method, path, answer, kind, size)
        _send(connection, answer, self.faults.clock_ahead_s)
        return True

    def _page(self, path: str) -> Answer:
        with self._lock:
            if path == "/":
                files = [(one.spreadsheet_id, one.title, len(one.sheets)) for one in self.drive.files.values()]
                html = page.listing(files)
            else:
                found = self.drive.files.get(path.removeprefix("/view/"))
                if found is None:
                    return Answer(404, b"No such spreadsheet.", "text/plain")
                html = page.view(found.spreadsheet_id, found.title, self.tokens.issue(found.owner))
        return Answer(200, html.encode(), "text/html; charset=utf-8")

    # -- steering from another process ------------------------------------------------------

    def _control(self, method: str, path: str, body: bytes) -> Answer:
        if method == "GET" and path == "/_counts":
            return Answer(200, to_bytes(self.counts))
        if method == "POST" and path == "/_control":
            try:
                answer = self.control(json.loads(body or b"{}"))
            except (ValueError, TypeError, KeyError, AttributeError, ApiError) as error:
                return Answer(400, to_bytes({"error": str(error)}))
            return Answer(200, to_bytes({**self.counts, **answer}))
        return Answer(404, b"", "text/plain")

    def control(self, values: dict[str, Any]) -> dict[str, Any]:
        """Change the running server.

        ``faults`` (fields to set), ``quota_per_minute``, ``refill`` (true: a new minute),
        ``expire_tokens`` (true), ``require_token``, ``create`` ({title, sheets}), ``share`` and
        ``unshare`` ({spreadsheetId, email, role}), ``batch`` ({spreadsheetId, requests, email}).
        """
        names = "faults quota_per_minute refill expire_tokens require_token create share unshare batch".split()  # noqa: SIM905
        unknown = values.keys() - set(names)
        if unknown:
            raise ValueError(f"unknown settings: {sorted(unknown)}")
        answer: dict[str, Any] = {}
        if "faults" in values:
            self.faults.update(values["faults"])
        if "quota_per_minute" in values:
            self.quota.per_minute = values["quota_per_minute"]
        if values.get("refill"):
            self.quota.refill()
        if values.get("expire_tokens"):
            self.tokens.expire()
        if "require_token" in values:
            self.tokens.required = bool(values["require_token"])
        if "create" in values:
            answer["spreadsheetId"] = self.create(**values["create"])
        if "share" in values:
            one = values["share"]
            self.share(one["spreadsheetId"], one["email"], one.get("role", "writer"))
        if "unshare" in values:
            self.unshare(values["unshare"]["spreadsheetId"], values["unshare"]["email"])
        if "batch" in values:
            one = values["batch"]
            answer["batch"] = self.batch(one["spreadsheetId"], one["requests"], one.get("email", OWNER))
        return answer


def _send(connection: socket.socket, answer: Answer, clock_ahead_s: float) -> None:
    reason = _REASONS.get(answer.status, "Unknown")
    head = f"HTTP/1.1 {answer.status} {reason}\r\nDate: {formatdate(time.time() + clock_ahead_s, usegmt=True)}\r\n"
    if answer.status != 204:
        head += f"Content-Type: {answer.content_type}\r\n"
    head += f"Content-Length: {len(answer.body)}\r\n\r\n"
    connection.sendall(head.encode("latin-1") + answer.body)


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 1 << 16
    server: _Tcp

    def handle(self) -> None:
        owner = self.server.owner
        owner.opened(self.connection, True)
        try:
            while self._one(owner):
                pass
        except OSError:
            pass  # the client went away
        finally:
            owner.opened(self.connection, False)

    def _one(self, owner: Server) -> bool:
        line = self.rfile.readline(1 << 16)
        words = line.decode("latin-1").split()
        if len(words) != 3:
            return False
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(1 << 16)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            length = int(headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else b""
        keep = headers.get("connection", "").lower() != "close"
        return owner.handle(self.connection, words[0], words[1], headers, body) and keep

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(64).split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
        while self.rfile.readline(1 << 16) not in (b"\r\n", b"\n", b""):
            pass
        return b"".join(parts)


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
    port: int = 0,
    faults: Faults | None = None,
    quota_per_minute: int | None = None,
    *,
    require_token: bool = False,
    token_seconds: float = 3600.0,
) -> Server:
    """A stand-in, to be used in a ``with`` statement; port 0 takes any free one.

    ``quota_per_minute`` is what one person may read, and may write, in a minute: 60 for the real API.
    """
    return Server(
        port=port,
        faults=faults,
        quota_per_minute=quota_per_minute,
        require_token=require_token,
        token_seconds=token_seconds,
    )


def run(
    port: int,
    *,
    faults: Faults | None = None,
    quota_per_minute: int | None = None,
    require_token: bool = False,
    sheets: Sequence[str] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM. ``sheets`` are titles of spreadsheets to begin with.

    ``ready`` is called with the base address; nothing is printed.
    """
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with serve(port, faults, quota_per_minute, require_token=require_token) as server:
        for title in sheets:
            server.create(title)
        if ready is not None:
            ready(server.url)
        try:
            while not stop.wait(0.5):
                pass
        except KeyboardInterrupt:
            pass
