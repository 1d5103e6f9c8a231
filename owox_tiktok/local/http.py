"""What a stand-in needs to be there: HTTP/1.1 on this machine, a start, an end. What it answers is its own matter.

Query strings and headers are never written anywhere, because they may hold a token.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True)
class Call:
    """One request. ``path`` is decoded and without the query; names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def in_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """Return ``value`` as an answer; ``cache_control="max-age=60"`` becomes the header Cache-Control."""
    named = {name.replace("_", "-").title(): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), headers=named)


class StandIn:
    """A server on this machine. Use it as a context manager, or :meth:`start` and :meth:`close` it.

    A subclass says in :meth:`answer` what it answers; that is called in a thread of each connection's own.
    """

    def __init__(self, port: int = 0) -> None:
        self._http = _Http(("127.0.0.1", port), self)
        self._thread: threading.Thread | None = None

    def answer(self, call: Call) -> Answer:
        """Answer one request."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Begin to serve in a thread of its own."""
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: StandIn) -> None:
        self.owner = owner
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one send per answer
    server: _Http

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.owner.answer(Call(self.command, unquote(path), dict(parse_qsl(query)), headers, body))
        self.send_response(answer.status)
        if answer.body:
            self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def run_until_stopped(stand_in: StandIn, ready: Callable[[str], None] | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM. ``ready`` is called with the base address; nothing is printed."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    with stand_in:
        if ready is not None:
            ready(stand_in.url)
        try:
            while not stop.wait(0.5):
                pass
        except KeyboardInterrupt:
            pass
