"""The emulator over HTTP: who asks, what fails on purpose, what is recorded; a page to look at; steering it.

Query strings are never written anywhere.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from owox_tiktok.local import http
from owox_tiktok.local.http import Emulator, run_until_stopped
from owox_tiktok.local.sheets import page
from owox_tiktok.local.sheets.api import Answer, Api, Call, parse_query, quota_kind, to_bytes, unpacked
from owox_tiktok.local.sheets.auth import OWNER, GrantError, Tokens
from owox_tiktok.local.sheets.batch_update import batch_update
from owox_tiktok.local.sheets.drive import Drive
from owox_tiktok.local.sheets.errors import ApiError, Json, invalid, quota, server_side
from owox_tiktok.local.sheets.faults import AFTER, Faults, FaultState, Quota
from owox_tiktok.local.sheets.model import Caller, Sheet, Spreadsheet

_LOG_LIMIT = 200_000
_LENT = re.compile(r"/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken")
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


class Server(Emulator):
    """A Google Sheets on this machine. Use it as a context manager, or :meth:`start` and :meth:`close` it.

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
        super().__init__(port)
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

    # --- what a caller needs to know ----------------------------------------------------------------------------------

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

    # --- files, from inside -------------------------------------------------------------------------------------------

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
            answer, _ = batch_update(self.spreadsheet(spreadsheet_id), Caller(email), {"requests": requests})
            return answer

    def token(self, email: str, scopes: frozenset[str] | None = None) -> str:
        """An access token for somebody."""
        return self.tokens.issue(email, scopes)

    # --- one request --------------------------------------------------------------------------------------------------

    def answer(self, call: http.Call) -> http.Answer:
        """Answer one request: of the API, of the page at ``/``, or one that steers the emulator."""
        self.clock_ahead_s = self.faults.clock_ahead_s
        if call.raw_path.startswith("/_"):
            return self._control(call.method, call.raw_path, call.body)
        if call.method == "GET" and (call.raw_path == "/" or call.raw_path.startswith("/view/")):
            return self._page(call.raw_path)
        wait = self._fault_state.latency()
        if wait:
            self.stopping.wait(wait)
        method, path, size = call.method, call.path, len(call.body)
        if call.raw_path == "/token" and method == "POST":
            return self._record(method, path, self._grant(call.body), "", size)
        if (lent := _LENT.fullmatch(call.path)) and method == "POST":
            return self._record(method, path, self._lend(lent[1], call), "", size)
        try:
            caller = self.tokens.caller(call.headers.get("authorization", ""))
            kind = quota_kind(method, call.raw_path)
            if kind is not None:
                self.quota.take(caller.email, kind)
            encoding = call.headers.get("content-encoding", "")
            if encoding and "packed" in self.faults.unlike:
                raise invalid("Invalid JSON payload received. Unexpected token.")
            body = unpacked(call.body, encoding)
        except ApiError as error:
            return self._record(method, path, Answer(error.code, to_bytes(error.body())), "", size)
        except (OSError, EOFError):
            refusal = invalid("The request body cannot be decompressed.")
            return self._record(method, path, Answer(400, to_bytes(refusal.body())), "", size)
        failure = self._fault_state.next_kind(f"{method} {path}")
        if failure and failure not in AFTER:
            return self._fail(failure, method, path, size)
        if self.on_call is not None:
            self.on_call(method, path)
        content_type = call.headers.get("content-type", "")
        with self._lock:
            answer = self._api.handle(
                Call(method, call.raw_path, parse_query(call.query_string), body, content_type, caller)
            )
        if failure:
            return self._fail(failure, method, path, size, answer.requests)
        return self._record(method, path, answer, "", size)

    def _lend(self, email: str, call: http.Call) -> Answer:
        try:
            return Answer(200, to_bytes(self.tokens.lend(email, call.headers.get("authorization", ""), call.body)))
        except ApiError as error:
            return Answer(error.code, to_bytes(error.body()))

    def _grant(self, body: bytes) -> Answer:
        try:
            return Answer(200, to_bytes(self.tokens.grant(body)))
        except GrantError as error:
            return Answer(400, to_bytes(error.body))

    def _record(self, method: str, path: str, answer: Answer, failure: str, size: int) -> Answer:
        entry = Logged(time.time(), method, path, answer.status, failure, size, len(answer.body), answer.requests)
        with self._lock:
            self._totals.update(
                calls=1, request_bytes=size, response_bytes=len(answer.body), batch_requests=answer.requests
            )
            self._statuses[failure or str(answer.status)] += 1
            self.log.append(entry)
            if len(self.log) > _LOG_LIMIT:
                del self.log[: _LOG_LIMIT // 2]
        return answer

    def _fail(self, kind: str, method: str, path: str, size: int, requests: int = 0) -> Answer:
        """Return the answer of a call that fails; ``requests`` of a batch were carried out before."""
        if kind in ("timeout", "late_timeout", "reset", "lost"):
            answer = Answer(0, requests=requests, then="reset" if kind == "reset" else "close")
            self._record(method, path, answer, kind, size)
            if kind.endswith("timeout"):
                self.stopping.wait(self.faults.timeout_s)
            return answer
        if kind == "html_502":
            answer = Answer(502, _HTML, "text/html")
        else:
            code = int(kind.rpartition("_")[2])
            error = quota("Read" if method == "GET" else "Write") if code == 429 else server_side(code)
            answer = Answer(code, to_bytes(error.body()), requests=requests)
        return self._record(method, path, answer, kind, size)

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

    # --- steering from another process --------------------------------------------------------------------------------

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


def serve(
    port: int = 0,
    faults: Faults | None = None,
    quota_per_minute: int | None = None,
    *,
    require_token: bool = False,
    token_seconds: float = 3600.0,
) -> Server:
    """An emulator, to be used in a ``with`` statement; port 0 takes any free one.

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
    server = serve(port, faults, quota_per_minute, require_token=require_token)
    for title in sheets:
        server.create(title)
    run_until_stopped(server, ready)
