"""What goes wrong around a run ends in a state that a person can see, with one message. All over real HTTP."""

from __future__ import annotations

import html
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import requests

from benchmarks.fuzz import Fuzz
from owox_tiktok.local import secret_manager, storage
from owox_tiktok.secret import Secret
from owox_tiktok.service import connect
from owox_tiktok.service import ledger as ledgers
from owox_tiktok.service.identity import GCLOUD
from owox_tiktok.service.ledger import Asker, Ledger
from owox_tiktok.states import State
from tests.function import ACCOUNT, ANNA, AUDIENCE, EVE, Function, free_port, heard
from tests.helpers import process_environment
from tests.mail import Post, texts
from tests.test_ledger import Deploy, deploy, kept, ledger, post
from tests.test_service_runs import APP_SECRET, GONE, TOKEN, Place, issuer, place, small_world

__all__ = ["deploy", "issuer", "place", "post", "small_world"]


def ends(place: Place, post: Post, *words: str) -> None:
    """The last run has ended; Sheet, record and the one message say the same, and that it cannot simply go on."""
    assert place.cloud_tasks.wait_idle(place.queue)
    (run,) = ledger(place).runs
    ((_, text),) = texts(post)
    for said in (place.sheet.status, run.message, text):
        assert [word for word in words if word not in said] == []
        assert "the next run continues there" not in said


def test_a_token_that_is_revoked_during_a_run(place: Place, post: Post, deploy: Deploy) -> None:
    function = deploy()
    place.project.server.faults.revoked_after = 5
    place.ask(function, "import")
    ends(place, post, "4 of 4 not complete: TikTok refused", "(40105)", "set the new token")
    (line,) = (line for line in function.logged("not complete") if line.get("owox_event"))
    assert (line["severity"], line["owox_event"]) == ("ERROR", "run_failed")


def test_a_disk_that_is_full(place: Place, post: Post, deploy: Deploy, tmp_path: Path) -> None:
    with storage.Server() as bucket:
        bucket.add()
        function = deploy(OWOX_STORE="gs://imports", CLOUD_STORAGE_API_URL=bucket.url)
        place.status(function)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        children = Path(f"/proc/{function.process.pid}/task/{function.process.pid}/children").read_text("ascii")
        for process in children.split():
            resource.prlimit(int(process), resource.RLIMIT_FSIZE, (0, hard))
        place.ask(function, "import")
        assert place.cloud_tasks.wait_idle(place.queue)
        assert place.status(function)["state"] == "error"
    ((_, text),) = texts(post)
    for said in (place.sheet.status, text):
        assert "4 of 4 not complete: the temporary file" in said
        assert "Free some space" in said


def test_a_queue_that_is_down_when_the_schedule_starts_an_import(place: Place) -> None:
    down = place.deploy(queued=True, CLOUD_TASKS_API_URL="http://127.0.0.1:9")
    ours = place.issuer.token(ACCOUNT, AUDIENCE)
    body = {"action": "import", "spreadsheet_id": place.sheet.book}
    assert [down.ask(ours, body).status_code for _ in range(2)] == [503, 503], "the schedule tries again"
    (entry,) = ledger(place).runs
    assert "The queue does not answer" in place.status(down)["message"]
    assert {line["severity"] for line in down.logged("not in the queue") if line.get("owox_event")} == {"ERROR"}
    again = place.deploy(queued=True)
    assert again.ask(ours, body).json()["run_id"] == entry.run
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.status(again)["state"] == "done"
    assert place.wrong() == []


# --- all Sheets at a glance -------------------------------------------------------------------------------------------


def test_operators_see_all_sheets_with_what_is_wrong_first(place: Place) -> None:
    now, cause = datetime.now(UTC), "Error: <b>the token was revoked</b>"

    def failed(known: Ledger) -> None:
        known.succeeded = now - timedelta(hours=50)
        entry = ledgers.ask(known, "run-1", {"action": "import"}, Asker(ANNA, now))
        entry.requests = 86_400
        ledgers.end(known, entry, State.ERROR, cause, now)

    kept(place).change(place.sheet.book, failed)
    function = place.deploy(queued=True, OWOX_OPERATORS=f"{ANNA} @ops.example")

    def look(email: str, audience: str = GCLOUD, **headers: str) -> requests.Response:
        token = place.issuer.token(email, audience)
        said = {"Authorization": f"Bearer {token}", "X-Owox-Identity": token, **headers}
        return requests.get(f"{function.url}/fleet", headers=said, timeout=30)

    said = look(ANNA, Accept="application/json").json()
    bad, never = said["sheets"]
    assert (bad["spreadsheet_id"], bad["how"], bad["lag_hours"], bad["cause"]) == (
        place.sheet.book,
        "failing",
        50,
        cause,
    )
    assert (never["spreadsheet_id"], never["how"]) == (GONE, "never")
    assert said["message"] == "1 of 2 Sheets need somebody."
    assert said["quota"] == ["acme: 2 Sheets, 86,400 requests in 24 hours, 0.1 % of 1000 a second."]
    shown = look("carl@ops.example")
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "&lt;b&gt;the token was revoked" in shown.text
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert look(EVE).status_code == 403
    assert look(ANNA, "https://elsewhere.example").status_code == 401
    body = {"action": "status", "spreadsheet_id": place.sheet.book}
    assert function.ask(place.issuer.token(ANNA, GCLOUD), body).status_code == 401, "it is good for that page alone"

    command = [sys.executable, "-m", "owox_tiktok", "fleet", "status", "--json", "--bad"]
    store = f"sqlite://{place.secrets.parent}/store.db"
    ran = subprocess.run(
        [*command, "--store", store],
        env=process_environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, [json.loads(line)["cause"] for line in ran.stdout.splitlines()]) == (3, [cause])


# --- Connect TikTok… --------------------------------------------------------------------------------------------------

KEY = "planted-key-" + 32 * "6"
PREFIX = "projects/my-project/secrets/owox-tiktok-token-"


@dataclass
class Connecting:
    """The service for Sheets and the public function, with an app and no token that works."""

    place: Place
    sheets: Function
    public: Function
    vault: secret_manager.Server

    def begin(self, email: str = ANNA) -> tuple[requests.Session, str]:
        """A browser that was sent to TikTok, and the address at which it comes back."""
        url = self.place.ask(self.sheets, "connect", email).json()["url"]
        browser = requests.Session()
        first = browser.get(url, timeout=30)
        assert first.status_code == 200, first.text
        at_tiktok = browser.get(link(first.text), timeout=30)
        assert at_tiktok.status_code == 200, at_tiktok.text
        return browser, link(at_tiktok.text)

    def back(self, browser: requests.Session, address: str) -> requests.Response:
        """Where the browser ends; what it shows and logs is looked through for secrets as well."""
        answer = browser.get(address, timeout=30)
        heard.append(answer.text)
        return answer


def link(page: str) -> str:
    """The last link of a page: its button."""
    return html.unescape(re.findall(r'href="([^"]+)"', page)[-1])


@pytest.fixture
def connecting(place: Place) -> Iterator[Connecting]:
    credentials = place.project.server.credentials
    app = f"TIKTOK_APP_ID={credentials.app_id}\nTIKTOK_APP_SECRET={credentials.app_secret}\n"
    (place.secrets / "acme" / "token").write_text(f"TIKTOK_ACCESS_TOKEN=revoked-one\n{app}", encoding="utf-8")
    (place.secrets / "other").mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    place.project.server.redirects = {f"{address}/connected"}
    with secret_manager.Server(place.secrets, PREFIX, {"acme"}) as vault:
        both = {"OWOX_TASK_KEY": KEY, "OWOX_CONNECT_URL": address}
        sheets = place.deploy(queued=True, more=both)
        public = place.deploy(
            port=port,
            more=both,
            OWOX_ROLE="connect",
            OWOX_STORE=f"sqlite://{place.secrets.parent}/store.db",
            OWOX_SECRET_PREFIX=PREFIX,
            SECRET_MANAGER_API_URL=vault.url,
        )
        yield Connecting(place, sheets, public, vault)


def test_a_person_connects_tiktok_and_never_sees_a_token(connecting: Connecting) -> None:
    place = connecting.place
    browser, address = connecting.begin()
    done = connecting.back(browser, address)
    assert (done.status_code, "2 ad accounts" in done.text) == (200, True), done.text
    for words in (*place.project.server.advertiser_ids, "Ad Account Management, Ads Management, Reporting"):
        assert words in done.text
    assert connecting.vault.versions == {"acme": 1}
    place.ask(connecting.sheets, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    assert place.wrong() == []
    again = connecting.back(browser, address)
    assert (again.status_code, "used already" in again.text) == (400, True)
    assert connecting.vault.versions == {"acme": 1}
    assert KEY not in connecting.public.output + connecting.sheets.output


def test_nothing_is_stored_for_whoever_did_not_begin_in_the_sheet(connecting: Connecting) -> None:
    place, public = connecting.place, connecting.public
    browser, address = connecting.begin()
    base, _, query = address.partition("?")
    given = dict(parse_qsl(query))
    key, now = Secret(KEY), time.time()

    def state(**more: object) -> str:
        facts = {"book": place.sheet.book, "email": ANNA, "domain": "example.com", "until": now + 60, "once": "x"}
        return connect.sealed(key, connect.State(**{**facts, **more}))  # type: ignore[arg-type]

    body, _, shown = given["state"].partition(".")
    forged = [
        ("", "not one of ours"),
        (f"{body}x.{shown}", "not one of ours"),
        (connect.sealed(Secret("k" * 40), connect.State(place.sheet.book, ANNA, "", now + 60, "x")), "not one of ours"),
        (state(until=now - 1), "has expired"),
        (state(), "did not begin here"),
    ]
    for one, words in forged:
        answer = browser.get(base, params={**given, "state": one}, timeout=30)
        assert (answer.status_code, words in answer.text) == (400, True), answer.text
    elsewhere = requests.get(address, timeout=30)
    assert "did not begin here" in elsewhere.text
    refused = browser.get(base, params={"state": given["state"]}, timeout=30)
    assert "access was not granted" in refused.text
    for stranger in (state(email=EVE, domain=""), state(book="1" + "z" * 43)):
        answer = requests.get(f"{public.url}/connect", params={"state": stranger}, timeout=30)
        assert "not registered any more" in answer.text
    assert place.ask(connecting.sheets, "connect", EVE).status_code == 403
    for method, path in (("POST", "/"), ("GET", "/fleet"), ("POST", "/connected"), ("GET", "/")):
        assert requests.request(method, f"{public.url}{path}", timeout=30).status_code == 404
    assert connecting.vault.versions == {}


def test_a_secret_that_the_account_may_not_add_to_stays_as_it_is(connecting: Connecting) -> None:
    connecting.vault.granted = {"other"}
    done = connecting.back(*connecting.begin())
    assert (done.status_code, "refuses the new version with 403" in done.text) == (400, True), done.text
    assert "revoked-one" in (connecting.place.secrets / "acme" / "token").read_text("utf-8")


def test_a_token_for_no_ad_account_replaces_none(connecting: Connecting) -> None:
    connecting.place.project.server.credentials.ticks_none = True
    done = connecting.back(*connecting.begin())
    assert (done.status_code, "No ad account came with it" in done.text) == (200, True), done.text
    assert connecting.vault.versions == {}


def test_a_refused_token_is_answered_with_the_way_to_connect(connecting: Connecting) -> None:
    place = connecting.place
    place.ask(connecting.sheets, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    status = place.status(connecting.sheets)
    assert (status["state"], status["remedy"]) == ("error", "connect")
    assert connecting.back(*connecting.begin()).status_code == 200
    place.ask(connecting.sheets, "import")
    assert place.cloud_tasks.wait_idle(place.queue)
    status = place.status(connecting.sheets)
    assert (status["state"], status["remedy"]) == ("done", "")


# --- whatever comes ---------------------------------------------------------------------------------------------------


def test_200_requests_that_nobody_sends_in_good_faith_do_nothing_and_say_nothing(connecting: Connecting) -> None:
    place = connecting.place
    urls = (connecting.sheets.url, connecting.public.url)
    fuzz = Fuzz(urls, place.sheet.book, place.issuer.token, ANNA, AUDIENCE, (KEY, TOKEN, APP_SECRET))
    fuzz.run(200, 7)
    assert fuzz.wrong == []
    assert {200, 400, 401, 403, 404, 405} <= fuzz.statuses.keys()
    assert place.tasks() == []
    assert connecting.vault.versions == {}
    for function in (connecting.sheets, connecting.public):
        assert function.logged("a bug") == []
