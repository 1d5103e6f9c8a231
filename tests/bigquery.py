"""What the tests of the BigQuery destination share: the emulator, a proxy that loses things, and a table's rows.

The emulator is local-bigquery in an environment of its own (``make setup-bigquery``), because it needs Python 3.13. It
knows neither rights nor quotas nor places, and counts no bytes: the proxy in front of it stands in for those, records
what the client sends, and breaks the connection where a test wants it broken.
"""

from __future__ import annotations

import atexit
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google.cloud.bigquery as bq
import pytest
from google.auth.credentials import AnonymousCredentials

from owox_tiktok.model import Kind, Stream
from owox_tiktok.streams import STREAMS
from owox_tiktok.testing import Kit
from tests.helpers import Row

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("BIGQUERY_EMULATOR", ROOT / ".venv-bigquery"))
PYTHON = HOME / "bin" / "python"
PROJECT = "test-project"
MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder is made in it
"""On a disk the emulator takes twice as long: it makes sure of every step."""

missing = (
    "" if (HOME / ".set-up").exists() else "the BigQuery emulator is not set up (make setup-bigquery; Python 3.13)"
)
needs_emulator = pytest.mark.skipif(bool(missing), reason=missing)


# --- the emulator -----------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Emulator:
    """A running emulator; its data goes with it."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="bigquery-", dir=MEMORY if MEMORY.is_dir() else None)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        words = ["serve", "--host", "127.0.0.1", "--port", self.port, "--grpc-port", _free_port(), "--project", PROJECT,
                 "--data-dir", self._folder]  # fmt: skip
        log = Path(self._folder) / "log"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [PYTHON, ROOT / "tests" / "bigquery_emulator.py", *map(str, words)],
                # DuckDB looks for its extensions in the home folder.
                env={**os.environ, "HOME": str(HOME)},
                cwd=self._folder,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + 180  # many tests at once make it slow
        # The port opens before the emulator can answer.
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                said_last = log.read_text()[-2000:]
                self.close()
                raise RuntimeError(f"the BigQuery emulator does not start: {said_last}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = json.dumps({"query": "SELECT 1 AS one", "useLegacySql": False})
        path = f"/bigquery/v2/projects/{PROJECT}/queries"
        with suppress(OSError, http.client.HTTPException), closing(connection):
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status == http.HTTPStatus.OK
        return False

    def close(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


TESTS_PER_EMULATOR = 30
"""It grows by what it has done."""
_running: list[tuple[Emulator, bq.Client]] = []
_tests = 0


def begin() -> str:
    """Return the address of an emulator for one more test, which makes a dataset of its own in it."""
    global _tests
    if _tests % TESTS_PER_EMULATOR == 0:
        _end()
        started = Emulator()
        anybody = AnonymousCredentials()  # type: ignore[no-untyped-call]
        _running.append((started, bq.Client(PROJECT, anybody, client_options={"api_endpoint": started.url})))
    # It becomes slow with what it holds: with the tables of twenty tests an import takes five times as long.
    for dataset in client().list_datasets():
        if dataset.dataset_id.startswith("d_"):
            client().delete_dataset(dataset.reference, delete_contents=True, not_found_ok=True)
    _tests += 1
    return emulator().url


@atexit.register
def _end() -> None:
    while _running:
        started, looking = _running.pop()
        looking.close()  # type: ignore[no-untyped-call]
        started.close()


def emulator() -> Emulator:
    return _running[0][0]


_instead: list[bq.Client] = []


def use(real: bq.Client) -> None:
    """Look at a real project from now on, in place of an emulator."""
    _instead[:] = [real]


def client() -> bq.Client:
    """A client for looking at what is stored."""
    return _instead[0] if _instead else _running[0][1]


def project() -> str:
    """The project that is looked at."""
    return str(client().project)


# --- what is stored ---------------------------------------------------------------------------------------------------


def query(sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in client().query_and_wait(sql)]


def columns_of(dataset: str, stream: Stream) -> list[str]:
    """The columns of a table, but for those that say when a row was written."""
    fields = client().get_table(f"{project()}.{dataset}.{stream.table}").schema
    return [f.name for f in fields if not f.name.startswith("_")]


def rows_of(dataset: str, stream: str | Stream) -> list[Row]:
    """The rows of a stream's table as Python values: Decimal, int, bool, date, aware datetimes, JSON's own.

    When a row was written is left out.
    """
    stream = STREAMS[stream] if isinstance(stream, str) else stream
    kinds = {n: stream.fields[n].kind if n in stream.fields else None for n in columns_of(dataset, stream)}
    picked = [f"TO_JSON_STRING(`{n}`) AS `{n}`" if kinds[n] is Kind.JSON else f"`{n}`" for n in kinds]
    found = client().query_and_wait(f"SELECT {', '.join(picked)} FROM `{project()}.{dataset}.{stream.table}`")
    return [{n: _typed(kinds[n], v) for n, v in row.items()} for row in found]


def _typed(kind: Kind | None, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.INSTANT:
        return value.astimezone(UTC)
    return json.loads(value, parse_float=Decimal) if kind is Kind.JSON else value


class BigQueryKit(Kit):
    """A dataset of the emulator that ``url`` leads to, or of the real project where it is empty."""

    def __init__(self, folder: Path, dataset: str, url: str) -> None:
        environment = {"BIGQUERY_API_URL": url} if url else None
        super().__init__(folder, f"bigquery://{project()}/{dataset}", environment)
        self.dataset = dataset

    def name(self, table: str | Stream) -> str:
        """A table in full."""
        return f"{project()}.{self.dataset}.{table if isinstance(table, str) else table.table}"

    def read(self, stream: Stream) -> list[Row]:
        return rows_of(self.dataset, stream)

    def columns(self, stream: Stream) -> list[str]:
        return [f.name for f in client().get_table(self.name(stream)).schema]

    def everything(self) -> object:
        found = {dataset.dataset_id for dataset in client().list_datasets()}
        there = self.dataset in found
        return there and sorted(t.table_id for t in client().list_tables(f"{project()}.{self.dataset}"))

    def drop_table(self, stream: Stream) -> None:
        client().delete_table(self.name(stream))

    def drop_column(self, stream: Stream, name: str) -> None:
        query(f"ALTER TABLE `{self.name(stream)}` DROP COLUMN {name}")

    def add_column(self, stream: Stream, name: str) -> None:
        query(f"ALTER TABLE `{self.name(stream)}` ADD COLUMN {name} STRING")

    def replace_table(self, stream: Stream) -> None:
        query(f"CREATE TABLE `{self.name('copy')}` CLONE `{self.name(stream)}`")
        query(f"DROP TABLE `{self.name(stream)}`")
        query(f"CREATE TABLE `{self.name(stream)}` CLONE `{self.name('copy')}`")

    def make_foreign_table(self, stream: Stream) -> None:
        client().create_dataset(f"{project()}.{self.dataset}", exists_ok=True)
        query(f"CREATE TABLE `{self.name(stream)}` AS SELECT 42 AS mine")

    def foreign_rows(self, stream: Stream) -> list[Any]:
        return query(f"SELECT * FROM `{self.name(stream)}`")

    def change_cell(self, stream: Stream, key: tuple[str, str], name: str, value: object) -> None:
        query(f"UPDATE `{self.name(stream)}` SET {name} = {value!r} WHERE {key[0]} = '{key[1]}'")

    def delete_row(self, stream: Stream, key: tuple[str, str]) -> None:
        query(f"DELETE FROM `{self.name(stream)}` WHERE {key[0]} = '{key[1]}'")

    def copy_row(self, stream: Stream, key: tuple[str, str]) -> None:
        name = self.name(stream)
        query(f"INSERT INTO `{name}` SELECT * FROM `{name}` WHERE {key[0]} = '{key[1]}'")

    def change_type(self, stream: Stream, name: str) -> None:
        self.drop_column(stream, name)
        query(f"ALTER TABLE `{self.name(stream)}` ADD COLUMN {name} FLOAT64")

    def descriptions(self, stream: Stream) -> dict[str, str]:
        return {f.name: f.description for f in client().get_table(self.name(stream)).schema}

    def stamps(self, stream: Stream, key: str) -> dict[Any, tuple[Any, Any]]:
        return {of: (at, run) for of, at, run in query(f"SELECT {key}, _synced_at, _run_id FROM `{self.name(stream)}`")}

    def versions(self, stream: Stream, key: str, name: str) -> list[tuple[str, str, str, date, date | None]]:
        sql = f"SELECT advertiser_id, {key}, {name}, valid_from_day, valid_to_day FROM"
        return [
            (a, k, n, first, last) for a, k, n, first, last in query(f"{sql} `{self.name(stream.table + '_history')}`")
        ]

    def make_older(self, stream: Stream) -> None:
        dropped = ", ".join(f"DROP COLUMN IF EXISTS {name}" for name in ("table_id", "failed_at"))
        query(f"ALTER TABLE `{self.name('_owox_tiktok_cursors')}` {dropped}")


# --- the proxy --------------------------------------------------------------------------------------------------------


@dataclass
class Request:
    """One request as the client sent it; ``body`` is its JSON (of an upload: what describes the job)."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Any
    size: int

    @property
    def job(self) -> dict[str, Any]:
        """What a new job is to do, empty for another request."""
        if self.method != "POST" or not self.path.endswith("/jobs") or not isinstance(self.body, dict):
            return {}
        return dict(self.body.get("configuration", {}))

    @property
    def sql(self) -> str:
        return str(self.job.get("query", {}).get("query", ""))

    @property
    def loads(self) -> bool:
        return "load" in self.job or (self.method == "PUT" and "/upload/" in self.path)


@dataclass(frozen=True)
class Answer:
    """An answer in BigQuery's stead."""

    status: int
    reason: str
    message: str

    @property
    def body(self) -> bytes:
        error = {"message": self.message, "domain": "global", "reason": self.reason}
        return json.dumps({"error": {"code": self.status, "message": self.message, "errors": [error]}}).encode()


DROP, DROP_BEFORE, TWICE, HANG = "the answer is lost", "the request is lost", "it arrives twice", "no answer"
CUT, CUT_WHOLE = "the answer breaks off", "half an answer that looks whole"
Fault = Callable[[Request], Answer | str | None]


@dataclass
class Proxy:
    """Stands between client and emulator. ``fault`` is asked about each request what is to happen to it."""

    fault: Fault = lambda _: None
    status: Callable[[Request], dict[str, Any] | None] = lambda _: None
    """What to say of a job in the emulator's stead; it is not begun then."""
    bytes_processed: int = 0
    seen: list[Request] = field(default_factory=list)

    def __enter__(self) -> Proxy:
        begin()
        proxy, target = self, emulator().port

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_one(self) -> None:
                proxy._handle(self, target)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # a client that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._closed = threading.Event()
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler, target: int) -> None:
        data = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        address = urlsplit(handler.path)
        request = Request(handler.command, address.path, parse_qs(address.query), _json(handler, data), len(data))
        self.seen.append(request)
        what = self.fault(request)
        if isinstance(what, Answer):
            self._answer(handler, what.status, {"Content-Type": "application/json"}, what.body)
            return
        if said := self.status(request):
            job = {"kind": "bigquery#job", **request.body, "status": said}
            self._answer(handler, 200, {"Content-Type": "application/json"}, json.dumps(job).encode())
            return
        if what == HANG:
            self._closed.wait(60)
        if what in (DROP_BEFORE, HANG):
            handler.close_connection = True
            return
        status, headers, body = _forward(handler, data, target)
        if what == TWICE:
            status, headers, body = _forward(handler, data, target)
        if what == DROP:
            handler.close_connection = True
            return
        if self.bytes_processed:
            for name in ("totalBytesProcessed", "totalBytesBilled"):
                body = body.replace(f'"{name}":"0"'.encode(), f'"{name}":"{self.bytes_processed}"'.encode())
        if what == CUT_WHOLE:
            body = body[: len(body) // 2]
        self._answer(handler, status, headers, body, cut=what == CUT)

    def _answer(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        *,
        cut: bool = False,
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if cut else body)
        handler.close_connection = handler.close_connection or cut

    # --- what was sent ------------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> list[Request]:
        """The requests that began a job."""
        return [r for r in self.seen if r.job]

    @property
    def statements(self) -> list[str]:
        return [r.sql for r in self.jobs if r.sql]


def _json(handler: BaseHTTPRequestHandler, data: bytes) -> Any:
    kind = handler.headers.get("Content-Type", "")
    if kind.startswith("multipart/"):
        data = data.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
    with suppress(ValueError):
        return json.loads(data)
    return None


def _forward(handler: BaseHTTPRequestHandler, data: bytes, target: int) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", target, timeout=120)
    headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("connection", "accept-encoding")}
    connection.request(handler.command, handler.path, data or None, headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), body
