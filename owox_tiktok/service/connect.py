"""Connect TikTok…: a person grants the deployment's app access to ad accounts, and nobody sees or types a token.

1. The menu asks the service for Sheets, which knows the person by an identity token, for an address. It holds a
   ``state``: the Sheet, the person and when it ends, signed.
2. The address opens a page of the deployment's public function, which says who asked for which Sheet, and leads on to
   TikTok. Only the browser that has seen this page may come back: it holds a cookie.
3. TikTok sends the browser back to one fixed address with an auth code. The public function checks the state, uses it
   up, exchanges the code, and adds the token as a new version to the secret of that Sheet's entry.

The public function does nothing else: it has no queue, imports nothing and reads no Sheet.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

import msgspec

from owox_tiktok import retry
from owox_tiktok.central.store import Changed, Store
from owox_tiktok.errors import Problem
from owox_tiktok.events import counted
from owox_tiktok.secret import Secret
from owox_tiktok.service import logs
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.identity import Caller
from owox_tiktok.service.messages import Answer, Refusal
from owox_tiktok.service.registry import APP_ID, APP_SECRET, TOKEN, Entry, Registry
from owox_tiktok.service.vault import add_version
from owox_tiktok.tiktok import client, login

GOOD_FOR_S = 600
"""So long a state is good: the person reads a page, signs in at TikTok and ticks ad accounts."""
LONGEST_STATE = 2_000
COOKIE = "__Host-owox-connect"
"""Over HTTPS alone, for this host alone; on this machine, where there is no HTTPS, without the prefix."""
PERMISSIONS = {
    1: "Ad Account Management",
    2: "Ads Management",
    3: "Audience Management",
    4: "Reporting",
    5: "Measurement",
    6: "Creative Management",
    7: "App Management",
    8: "Pixel Management",
    9: "DPA Catalog Management",
    10000: "Reach & Frequency",
    18000000: "TikTok Accounts",
}
"""What TikTok's numbers of first-level permissions mean."""
NEEDED = (1, 2, 4)
"""Without these most objects cannot be read."""


NO_ACCOUNT = (
    "<p>You ticked no ad account, or have access to none. Nothing has changed. "
    "Choose OWOX › Connect TikTok… in the Sheet again.</p>"
)


class State(msgspec.Struct, frozen=True):
    """For which Sheet who asked (address, and the domain that manages it), until when, and a number that is used once.

    ``until`` is in seconds since 1970.
    """

    book: str
    email: str
    domain: str
    until: float
    once: str


def sealed(key: Secret, state: State) -> str:
    """Return a state as it travels in an address."""
    text = base64.urlsafe_b64encode(msgspec.json.encode(state)).decode().rstrip("=")
    return f"{text}.{_signature(key, text)}"


def opened(key: Secret, text: str, now: float) -> State:
    """Return a state that was sealed with ``key`` and is still good; a Refusal of 400 for any other."""
    body, _, shown = text.partition(".")
    good = 0 < len(text) <= LONGEST_STATE and text.isascii()
    if not good or not hmac.compare_digest(_signature(key, body).encode(), shown.encode()):
        raise _stale("this address is not one of ours")
    state = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=State)
    if now > state.until:
        raise _stale("this address has expired")
    return state


def _signature(key: Secret, text: str) -> str:
    # A purpose of its own: what signs tasks with the same key signs no state.
    return hmac.new(key.reveal().encode(), f"connect\n{text}".encode(), hashlib.sha256).hexdigest()


def _stale(what: str) -> Refusal:
    return Refusal(400, what, what_to_do="Choose OWOX › Connect TikTok… in the Sheet again.")


def address(deployment: Deployment, book: str, caller: Caller) -> str:
    """Return where a person begins; a Refusal of 400 for a deployment without a public function."""
    if not deployment.connect_url or not deployment.task_key:
        advice = "Whoever deployed it can run deploy.sh --connect, or give it a token there."
        raise Refusal(400, "this service is not set up to connect TikTok", what_to_do=advice)
    state = State(book, caller.email, caller.domain, time.time() + GOOD_FOR_S, secrets.token_urlsafe(12))
    return f"{deployment.connect_url}/connect?{urlencode({'state': sealed(deployment.task_key, state)})}"


class Connecting:
    """The public function's two pages."""

    def __init__(
        self, deployment: Deployment, environment: Mapping[str, str], registry: Registry, store: Store
    ) -> None:
        self._deployment, self._environment = deployment, environment
        self._registry, self._store = registry, store
        logs.hide([deployment.task_key])
        self._here = deployment.connect_url.startswith("http://127.0.0.1")
        self._cookie = COOKIE.removeprefix("__Host-") if self._here else COOKIE

    def begin(self, query: Mapping[str, str]) -> Answer:
        """Show who asked for which Sheet, and the way to TikTok."""
        text = query.get("state", "")
        state = opened(self._deployment.task_key, text, time.time())
        app_id, _ = self._app(self._entry(state))
        at = (
            f"{self._environment['TIKTOK_API_URL'].split('/open_api')[0]}/portal/auth"
            if self._here
            else login.AUTHORISE
        )
        onward = login.authorisation_url(app_id, text, self._redirect, at)
        secure = "" if self._here else "; Secure"
        cookie = f"{self._cookie}={state.once}; Path=/; Max-Age={GOOD_FOR_S}; HttpOnly; SameSite=Lax{secure}"
        sheet = f"https://docs.google.com/spreadsheets/d/{state.book}"
        body = (
            f"<p><strong>{escape(state.email)}</strong> asks you to connect TikTok ad accounts to "
            f'<a href="{escape(sheet)}">this Google Sheet</a>. Whoever may edit the Sheet can import their data.</p>'
            "<p>If you did not ask for this, close this page.</p>"
            f'<p><a class="button" href="{escape(onward)}">Continue to TikTok</a></p>'
        )
        return Answer(200, _page("Connect TikTok", body), {"Set-Cookie": cookie})

    def end(self, query: Mapping[str, str], cookies: Mapping[str, str], log: logs.Log) -> Answer:
        """Exchange the code that TikTok sent the person back with; store the token, and say what came with it."""
        state = opened(self._deployment.task_key, query.get("state", ""), time.time())
        log = log.about(spreadsheet_id=state.book, caller=state.email)
        if not hmac.compare_digest(cookies.get(self._cookie, "").encode(), state.once.encode()):
            raise _stale("this browser did not begin here")
        code = query.get("auth_code") or query.get("code") or ""
        if not code or len(code) > 1_000:
            raise _stale("TikTok sent no code, because access was not granted")
        try:
            self._store.put(f"connect/{state.once}.json", b"{}", 0)
        except Changed:
            raise _stale("this address was used already") from None
        entry = self._entry(state)
        app_id, app_secret = self._app(entry)
        logs.hide([Secret(code)])
        pace = retry.Pace(1.0)
        api = client.TikTok(client.base_url(False, self._environment), Secret(""), pace, app=client.App("", app_secret))
        granted = login.exchange(api, app_id, app_secret, Secret(code))
        logs.hide([granted.token])
        ids = granted.advertiser_ids
        if not ids:  # it reads nothing, and the token before it may well read something
            log.warning("a TikTok token came with no ad account, and was not stored")
            return Answer(200, _page("No ad account came with it", NO_ACCOUNT))
        lines = {TOKEN: granted.token.reveal(), APP_ID: app_id, APP_SECRET: app_secret.reveal()}
        value = Secret("".join(f"{name}={one}\n" for name, one in lines.items()))
        add_version(f"{self._deployment.secret_prefix}{entry.secret}", value, self._environment)
        log.info("a TikTok token was stored for %s ad accounts", len(ids), facts={"owox_event": "connected"})
        return Answer(200, _page("TikTok is connected", _came(granted)))

    @property
    def _redirect(self) -> str:
        """The one address that the TikTok app has to name."""
        return f"{self._deployment.connect_url}/connected"

    def _entry(self, state: State) -> Entry:
        """Return the entry of the Sheet, if the person still may do something for it: by name, or by domain."""
        found = self._registry.entries().get(state.book)
        who = Caller(state.email, state.domain)  # as Google said when the state was made
        if found is None or not who.is_among({known.lower() for known in found.callers}):
            raise _stale("the Sheet or the person is not registered any more")
        return found

    def _app(self, entry: Entry) -> tuple[str, Secret]:
        """Return id and secret of the TikTok app: the entry's own, else the deployment's."""
        found = self._registry.app(entry)
        if not found[0] or not found[1]:
            what = "the service does not know its TikTok app"
            advice = (
                "Whoever deployed it can set TIKTOK_APP_ID and TIKTOK_APP_SECRET and run deploy.sh --connect again."
            )
            raise Refusal(500, what, what_to_do=advice)
        return found


def _came(granted: login.Authorisation) -> str:
    """Return which accounts and permissions came with a token."""
    ids = granted.advertiser_ids
    accounts = "".join(f"<li>{escape(one)}</li>" for one in ids[:100])
    more = f"<p>… and {len(ids) - 100:,} more.</p>" if len(ids) > 100 else ""
    names = [PERMISSIONS.get(one, f"no. {one}") for one in granted.scope]
    missing = [PERMISSIONS[one] for one in NEEDED if granted.scope and one not in granted.scope]
    lacks = f"<p>Missing: {escape(', '.join(missing))}. Some objects cannot be read without.</p>" if missing else ""
    said = f"<p>Permissions: {escape(', '.join(names))}.</p>" if names else ""
    return (
        f"<p>The token covers {counted(len(ids), 'ad account')} and counts from now on. You can close this page.</p>"
        f"<ul>{accounts}</ul>{more}{said}{lacks}"
    )


def problem_page(problem: Problem) -> str:
    """Return what went wrong, as a page."""
    return _page("That did not work", f"<p>{escape(problem.sentence)}</p>")


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:4em auto;padding:0 1em;color:#202124}"
    ".button{background:#1a73e8;color:#fff;padding:.6em 1.2em;border-radius:4px;text-decoration:none}"
)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )
