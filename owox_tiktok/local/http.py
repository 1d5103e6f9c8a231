"""What every emulator needs to be there: HTTP/1.1 on this machine, a start, an end. What it answers is its own matter.

The socket is read and written by hand instead of by :mod:`http.server`: one send per answer keeps thousands of small
calls quick, and an answer that is to fail half-way (see :class:`Answer`) needs the socket itself. Query strings and
headers are never written anywhere, because they may hold a token.
"""

from __future__ import annotations

import json
import signal
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_LONGEST_LINE = 1 << 17


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``raw_path`` is as it was sent, ``query_string`` what followed it; headers in lower case."""

    method: str
    raw_path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.raw_path)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query, blank ones left out; of one that comes again, the last."""
        return dict(parse_qsl(self.query_string))


@dataclass(slots=True)
class Answer:
    """One answer, which may be made to fail on its way.

    ``length`` is the length it claims to have (None: its own), ``then`` what becomes of the connection: kept, closed,
    or reset so that the client sees it break. With ``pause_s`` the body comes in pieces of ``piece`` bytes, that far
    apart.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    pause_s: float = 0.0
    piece: int = 1
    then: Literal["keep", "close", "reset"] = "keep"


def no_answer(then: Literal["close", "reset"] = "close") -> Answer:
    """Return what ends the connection without an answer."""
    return Answer(0, then=then)


def in_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """Return ``value`` as an answer; ``cache_control="max-age=60"`` becomes the header Cache-Control."""
    named = {name.replace("_", "-").title(): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), headers=named)


class Emulator:
    """A server on this machine. Use it as a context manager, or :meth:`start` and :meth:`close` it.

    A subclass says in :meth:`answer` what it answers; that is called in a thread of each connection's own.
    ``stopping`` is set when the server ends: what waits on purpose should wait for it. ``clock_ahead_s`` puts the
    answers' ``Date`` ahead, so that what runs out by the server's clock does so without waiting.
    """

    def __init__(self, port: int = 0) -> None:
        self.stopping = threading.Event()
        self.clock_ahead_s = 0.0
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._tcp = _Tcp(("127.0.0.1", port), self)
        self._thread: threading.Thread | None = None

    def answer(self, call: Call) -> Answer:
        """Answer one request."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._tcp.server_address[1])

    @property
    def url(self) -> str:
        """Base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Begin to serve in a thread of its own."""
        self._thread = threading.Thread(target=self._tcp.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving and drop every connection, also those that hang on purpose."""
        self.stopping.set()
        if self._thread is not None:
            self._tcp.shutdown()
            self._thread.join()
            self._thread = None
        self._tcp.server_close()
        with self._open_lock:
            left = list(self._open)
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def serve_connection(self, connection: socket.socket, requests: Callable[[], tuple[Call, bool] | None]) -> None:
        """Answer what ``requests`` reads from ``connection``, one after the other, until either side ends it."""
        with self._open_lock:
            self._open.add(connection)
        try:
            while (request := requests()) is not None:
                call, keep = request
                if not self._send(connection, self.answer(call)) or not keep:
                    return
        except OSError:
            pass  # the client went away
        finally:
            with self._open_lock:
                self._open.discard(connection)

    def _send(self, connection: socket.socket, answer: Answer) -> bool:
        """Send an answer; whether the connection goes on."""
        if answer.status:
            lines = [
                f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}",
                f"Date: {formatdate(time.time() + self.clock_ahead_s, usegmt=True)}",
                f"Content-Length: {len(answer.body) if answer.length is None else answer.length}",
                *(f"{name}: {value}" for name, value in answer.headers.items()),
            ]
            if answer.body:
                lines.append(f"Content-Type: {answer.content_type}")
            head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
            if answer.pause_s:
                connection.sendall(head)
                for at in range(0, len(answer.body), answer.piece):
                    if at and self.stopping.wait(answer.pause_s):
                        return False
                    connection.sendall(answer.body[at : at + answer.piece])
            else:
                connection.sendall(head + answer.body)
        if answer.then == "reset":
            # Closing with the linger time 0 makes the system send RST instead of a proper end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return answer.then == "keep"


class _Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: Emulator) -> None:
        self.owner = owner
        super().__init__(address, _Connection)

    def shutdown_request(self, request: Any) -> None:
        # A plain close: the polite shutdown of the base class would undo a reset on purpose.
        request.close()


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 1 << 16
    server: _Tcp

    def handle(self) -> None:
        self.server.owner.serve_connection(self.connection, self._request)

    def _request(self) -> tuple[Call, bool] | None:
        """Read one request, and whether the client keeps the connection; None when it has gone."""
        words = self.rfile.readline(_LONGEST_LINE).decode("latin-1").split()
        if len(words) != 3:
            return None
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(_LONGEST_LINE)) not in (b"\r\n", b"\n"):
            if not line:
                return None
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks()
        else:
            length = int(headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else b""
        path, _, query = words[1].partition("?")
        keep = words[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        return Call(words[0], path, query, headers, body), keep

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(64).split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
        while self.rfile.readline(1 << 16) not in (b"\r\n", b"\n", b""):
            pass
        return b"".join(parts)


def run_until_stopped(emulator: Emulator, ready: Callable[[str], None] | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM. ``ready`` is called with the base address; nothing is printed."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with emulator:
        if ready is not None:
            ready(emulator.url)
        try:
            while not stop.wait(0.5):
                pass
        except KeyboardInterrupt:
            pass
