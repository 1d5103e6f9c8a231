"""What goes wrong around a run ends in a state that a person can see, with one message. All over real HTTP."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from owox_tiktok.local import storage
from owox_tiktok.service import ledger as ledgers
from owox_tiktok.service.identity import GCLOUD
from owox_tiktok.service.ledger import Asker, Ledger
from owox_tiktok.states import State
from tests.function import ACCOUNT, ANNA, AUDIENCE, EVE
from tests.helpers import process_environment
from tests.mail import Post, texts
from tests.test_ledger import Deploy, deploy, kept, ledger, post
from tests.test_service_runs import GONE, Place, issuer, place, small_world

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
