"""The simulated TikTok over HTTP: who asks, how fast, what fails on purpose, what is recorded; steering it.

Answers that are already made cost a dictionary look-up. Query strings are never written anywhere, because they may hold
the app's secret.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from owox_tiktok.local import http
from owox_tiktok.local.http import Call, Emulator, in_json, no_answer, run_until_stopped
from owox_tiktok.local.tiktok.api import Answer, Api, Credentials
from owox_tiktok.local.tiktok.faults import WRONG_ANSWERS, Faults, FaultState, code_message
from owox_tiktok.local.tiktok.limits import Gate, Limits
from owox_tiktok.local.tiktok.rules import PAGE_SIZES, Refusal, wrong
from owox_tiktok.local.tiktok.spoil import REPORT, spoil
from owox_tiktok.local.tiktok.spoil import applies as can_be_spoiled
from owox_tiktok.local.tiktok.switches import Rules
from owox_tiktok.local.tiktok.tasks import FILES
from owox_tiktok.local.tiktok.tasks import PATHS as TASK_PATHS
from owox_tiktok.local.tiktok.world import World

PREFIX = "/open_api/v1.3/"
_LOG_LIMIT = 200_000
_KEPT_ANSWERS = 5_000
_SECRETS = frozenset({"secret", "access_token", "auth_code"})
_TIME_OUTS = frozenset({"timeout", "code_51001", "code_51039"})
_AFTER_ANSWERING = frozenset({"truncated", "cut_json", "reset", "shifted_page", "drip", *WRONG_ANSWERS})
"""Failures that begin with a good answer."""
_CUT = {
    "X-Tt-Ads-Throttle": "Number of ad ids is equal or more than 20k, only return the top 20k id's results, "
    "sorting by create time desc order."
}
"""TikTok's own words, also for limits that tests make smaller."""
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Server(Emulator):
    """A TikTok on this machine. Use it as a context manager, or :meth:`start` and :meth:`close` it.

    ``log`` holds one small dict per request (time, path, params without secrets, code, page, bytes);
    ``code`` is TikTok's code, an HTTP status as ``http_…``, or the name of a failure without answer.
    ``on_request`` is called with the path of each request before its answer, in its thread: what it does not return
    from is held back.
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
        super().__init__(port)
        self.world = world
        self.clock = clock
        self.limits = limits or Limits()
        self.faults = faults or Faults()
        self.rules = rules or Rules()
        self.sandbox = sandbox
        self.cache = cache
        self.credentials = Credentials(sandbox)
        self.redirects: set[str] = set()
        """The redirect addresses of the app; empty: any."""
        self.log: list[dict[str, Any]] = []
        self.on_request: Callable[[str], object] | None = None
        self._api = Api(world, self.credentials, self.faults, self.rules, self.limits, sandbox, clock)
        self._gate = Gate(self.limits, self.credentials.app_id, clock, lambda: world.now().date())
        self._fault_state = FaultState(self.faults)
        self._codes: Counter[str] = Counter()
        self._requests = self._refused = self._failed = 0
        self._lock = threading.Lock()
        self._answers: dict[object, Answer] = {}

    # --- what a caller needs to know ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Base address, with the slash at its end."""
        return f"{super().url}{PREFIX}"

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

    # --- one request --------------------------------------------------------------------------------------------------

    def answer(self, call: Call) -> http.Answer:
        """Answer one request: of the API, for the file of a task, or one that steers the simulation."""
        method, path, query = call.method, call.raw_path, call.query_string
        target = f"{path}?{query}"
        if path.startswith(FILES) and method == "GET":
            content = self._api.tasks.file(path)
            return http.Answer(404 if content is None else 200, (content or "").encode(), "text/csv; charset=utf-8")
        if path == "/portal/auth" and method == "GET":
            return self._portal(call)
        if path.startswith("/_"):
            return self._control(method, path, call.body)
        name = path[len(PREFIX) : -1] if path.startswith(PREFIX) and path.endswith("/") else ""
        if not self._api.knows(method, name):
            other = "GET" if method == "POST" else "POST"
            status = 405 if self._api.knows(other, name) else 404
            self._record(name or call.path, {}, f"http_{status}", None, 0)
            return http.Answer(status, b"404 page not found" if status == 404 else b"", "text/plain; charset=utf-8")
        with self._lock:
            self._requests += 1
            number = self._requests
        if self.on_request is not None:
            self.on_request(name)
        faults = self.faults
        if faults.hang_after is not None and number > faults.hang_after:
            return self._hang(name)
        wait = self._fault_state.latency()
        if wait:
            self.stopping.wait(wait)

        kind = None
        try:
            self._gate.check_app()
            self._gate.check_path(name)
            self._gate.check_request(target)
        except Refusal as refusal:
            answer = self._refuse(refusal)
        else:
            kind = self._next_kind(method, name, target, query)
            if kind in _TIME_OUTS:
                self._note_timeout(name, target)
            if kind is not None and kind not in _AFTER_ANSWERING:
                return self._fail(kind, name, query)
            answer = self._answer(call, name, target, number)
            if answer.code in (51001, 51039):
                self._note_timeout(name, target)
        if kind in ("shifted_page", "row_gone"):
            answer = self._api.moved(answer, kind)
        elif kind in WRONG_ANSWERS and answer.code == 0:
            code = 20001 if kind == "code_20001" else 0
            answer = replace(answer, body=spoil(kind, answer.body, answer.params, self.faults), code=code)
        elif kind in ("truncated", "cut_json", "reset"):
            return self._break(kind, name, answer)
        self._record(name, answer.params, str(answer.code), answer.page, len(answer.body))
        sent = _sent(answer.body, answer.content_type, _CUT if answer.throttled else {})
        if kind == "drip":
            sent.pause_s, sent.piece = self.faults.drip_s, max(self.faults.drip_bytes, 1)
        return sent

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

    def _answer(self, call: Call, name: str, target: str, number: int) -> Answer:
        faults, token = self.faults, call.headers.get("access-token", "")
        params: dict[str, str] = {}
        try:
            self._api.check_sandbox(name)
            if call.method == "POST":
                return self._post(name, call.body, token)
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
            params = dict(parse_qsl(call.query_string, keep_blank_values=True))
            self._check_advertiser(params.get("advertiser_id", ""), name)
            answer = self._api.get(name, params, token, super().url)
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

    # --- failing on purpose -------------------------------------------------------------------------------------------

    def _hang(self, name: str) -> http.Answer:
        self._record(name, {}, "timeout", None, 0)
        self.stopping.wait(self.faults.timeout_s)
        return no_answer()

    def _fail(self, kind: str, name: str, query: str) -> http.Answer:
        if kind == "timeout":
            return self._hang(name)
        params = dict(parse_qsl(query, keep_blank_values=True))
        if kind.startswith("code_"):
            code = int(kind[5:])
            message = code_message(code, self.app_id, params.get("advertiser_id", ""))
            answer = self._api.refusal(Refusal(code, message))
            self._record(name, _safe(params), str(code), None, len(answer.body))
            return _sent(answer.body)
        self._record(name, _safe(params), kind, None, 0)
        if kind == "not_json":
            return _sent(_HTML, "text/html")
        status = int(kind[5:8])
        if kind.endswith("_html"):
            return http.Answer(status, _HTML, "text/html; charset=utf-8")
        return http.Answer(status)

    def _break(self, kind: str, name: str, answer: Answer) -> http.Answer:
        half = answer.body[: len(answer.body) // 2]
        self._record(name, answer.params, kind, answer.page, len(half))
        sent = _sent(half)
        if kind != "cut_json":
            sent.length, sent.then = len(answer.body), "reset" if kind == "reset" else "close"
        return sent

    # --- the page at which a person grants access ---------------------------------------------------------------------

    def _portal(self, call: Call) -> http.Answer:
        """Ask the person, who is signed in already, to confirm; the button leads back with a new auth code."""
        query = call.query
        back = urlsplit(query.get("redirect_uri", ""))
        known = query.get("app_id") == self.app_id and back.scheme in ("http", "https") and back.netloc
        if not known or (self.redirects and query["redirect_uri"] not in self.redirects):
            return http.Answer(400, b"The app_id or redirect_uri is not registered.", "text/plain; charset=utf-8")
        given = {"auth_code": self.credentials.new_auth_code(), "state": query.get("state", "")}
        onward = escape(f"{query['redirect_uri']}?{urlencode(given)}")
        accounts = "".join(f"<li>{escape(one)}</li>" for one in self.advertiser_ids)
        page = (
            '<!doctype html><meta charset="utf-8"><title>Simulated TikTok</title><h1>Simulated TikTok</h1>'
            f'<p>Grant the app access to:</p><ul>{accounts}</ul><p><a href="{onward}">Confirm</a></p>'
        )
        return http.Answer(200, page.encode(), "text/html; charset=utf-8")

    # --- steering from another process --------------------------------------------------------------------------------

    def _control(self, method: str, path: str, body: bytes) -> http.Answer:
        if method == "GET" and path == "/_counts":
            return in_json(self.counts)
        if method == "POST" and path == "/_control":
            try:
                self.control(json.loads(body or b"{}"))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                return in_json({"error": str(error)}, 400)
            return in_json(self.counts)
        return http.Answer(404)

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


def _sent(body: bytes, kind: str = "application/json", headers: Mapping[str, str] | None = None) -> http.Answer:
    return http.Answer(200, body, f"{kind}; charset=utf-8", headers or {})


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
    """A simulated TikTok for this world, to be used in a ``with`` statement; port 0 takes any free one.

    ``cache`` keeps finished answers, so asking the same again costs almost nothing. ``clock`` counts the
    seconds of limits, blocks and report tasks, so that tests need not wait for them.
    """
    return Server(
        world, limits=limits, faults=faults, rules=rules, port=port, sandbox=sandbox, cache=cache, clock=clock
    )


def run(
    port: int,
    world: World,
    *,
    limits: Limits | None = None,
    faults: Faults | None = None,
    cache: bool = True,
    sandbox: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve ``world`` until Ctrl-C or SIGTERM. ``ready`` is called with the base address; nothing is printed."""
    server = serve(world, limits=limits, faults=faults, port=port, sandbox=sandbox, cache=cache)
    run_until_stopped(server, ready)
