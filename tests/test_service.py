"""The service's edge over real HTTP: the deployed function under functions-framework, tokens that are really signed."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from owox_tiktok.errors import BadInput
from owox_tiktok.local.identity import Issuer, without_signature
from owox_tiktok.secret import Secret
from owox_tiktok.service import deployment, logs
from owox_tiktok.service.identity import Caller
from owox_tiktok.service.messages import Refusal
from owox_tiktok.service.registry import Entry, Registry
from tests.function import ACCOUNT, ANNA, AUDIENCE, CLOCKED, DEPLOYED, EVE, SCRIPT, Function, error_of
from tests.helpers import process_environment
from tests.sheets import stand_in

SHEET = "1" + "a" * 43
OTHER_SHEET = "1" + "b" * 43


def status_of(spreadsheet_id: str) -> dict[str, Any]:
    return {"action": "status", "spreadsheet_id": spreadsheet_id}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as started:
        yield started


def deployed(issuer: Issuer, **more: str) -> dict[str, str]:
    registry = {
        SHEET: {"secret": "acme", "callers": [ANNA, "@workspace.example", "Schedule@p.iam.gserviceaccount.com"]},
        OTHER_SHEET: {"secret": "other", "callers": ["ben@example.com"]},
    }
    return {
        "OWOX_AUDIENCES": f"{AUDIENCE} {SCRIPT}",
        "OWOX_REGISTRY": json.dumps(registry),
        "OWOX_CERTS_URL": issuer.certs_url,
        "SHEETS_API_URL": stand_in().url,
        **more,
    }


@pytest.fixture(scope="module")
def function(issuer: Issuer) -> Iterator[Function]:
    for book in (SHEET, OTHER_SHEET):
        stand_in().drive.make("TikTok Ads", file_id=book)
    with Function(deployed(issuer)) as started:
        yield started


# --- who asks ---------------------------------------------------------------------------------------------------------


def test_health_needs_no_sign_in(function: Function) -> None:
    answer = requests.get(f"{function.url}/health", timeout=5)
    assert (answer.status_code, answer.json()["ok"]) == (200, True)


@pytest.mark.parametrize(
    "kind",
    ["none", "garbage", "tampered", "stripped", "expired", "too young", "other audience", "other issuer", "unverified",
     "no address", "no audience", "not signed", "signed by another", "deep", "no time"],
)  # fmt: skip
def test_a_token_that_proves_nothing_is_401(function: Function, issuer: Issuer, kind: str) -> None:
    good = issuer.token(ANNA, AUDIENCE)
    head, payload, signature = good.split(".")
    other = Issuer()
    other._signer._key_id = issuer._signer.key_id
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    token = {
        "none": None,
        "garbage": "abc",
        "tampered": f"{head}.{payload[:-4]}AAAA.{signature}",
        "stripped": without_signature(good),
        "expired": issuer.token(ANNA, AUDIENCE, seconds=-60),
        "too young": issuer.token(ANNA, AUDIENCE, iat=int(time.time()) + 600),
        "other audience": issuer.token(ANNA, "https://another.example"),
        "other issuer": issuer.token(ANNA, AUDIENCE, iss="https://issuer.example"),
        "unverified": issuer.token(ANNA, AUDIENCE, email_verified=False),
        "no address": issuer.token(ANNA, AUDIENCE, email=None),
        "no audience": issuer.token(ANNA, AUDIENCE, aud=None),
        "not signed": f"{none}.{payload}.",
        "signed by another": other.token(ANNA, AUDIENCE),
        "deep": f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.{payload}.{signature}",
        "no time": issuer.token(ANNA, AUDIENCE, exp="tomorrow"),
    }[kind]
    other.close()
    answer = function.ask(token, status_of(SHEET))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert error_of(answer)["what_to_do"]


def test_either_header_does_and_our_own_counts(function: Function, issuer: Issuer) -> None:
    good, bad = issuer.token(ANNA, AUDIENCE), without_signature(issuer.token(ANNA, AUDIENCE))
    only_theirs = function.ask(None, status_of(SHEET), Authorization=f"Bearer {good}")
    both = function.ask(None, status_of(SHEET), **{"Authorization": f"Bearer {bad}", "X-Owox-Identity": good})
    ours_is_bad = function.ask(None, status_of(SHEET), **{"Authorization": f"Bearer {good}", "X-Owox-Identity": bad})
    assert only_theirs.status_code == both.status_code == 200
    assert ours_is_bad.status_code == 401


def test_the_audience_of_a_script_is_named_when_it_is_not_known(function: Function, issuer: Issuer) -> None:
    unknown = "999-new.apps.googleusercontent.com"
    error = error_of(function.ask(issuer.token(ANNA, unknown), status_of(SHEET)))
    assert unknown in error["message"]
    assert "OWOX_AUDIENCES" in error["what_to_do"]


def test_certificates_are_fetched_once_and_again_when_they_may_have_changed(issuer: Issuer) -> None:
    with Function(deployed(issuer)) as function:
        before = issuer.fetched
        answers = [function.ask(issuer.token(EVE, AUDIENCE), status_of(SHEET)).status_code for _ in range(5)]
    assert answers == [403] * 5
    assert issuer.fetched == before + 1


def test_certificates_that_cannot_be_had_are_503_and_not_401() -> None:
    with Issuer() as issuer:
        issuer.broken = True
        with Function(deployed(issuer)) as function:
            answer = function.ask(issuer.token(ANNA, AUDIENCE), status_of(SHEET))
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            issuer.broken = False
            assert function.ask(issuer.token(EVE, AUDIENCE), status_of(SHEET)).status_code == 403


# --- who may ----------------------------------------------------------------------------------------------------------


def test_an_unknown_spreadsheet_and_an_unknown_caller_look_the_same(function: Function, issuer: Issuer) -> None:
    token = issuer.token(EVE, AUDIENCE)
    bodies = []
    for spreadsheet in (SHEET, OTHER_SHEET, "1" + "z" * 43):
        answer = function.ask(token, status_of(spreadsheet))
        error = error_of(answer)
        assert answer.status_code == 403
        assert len(error.pop("request_id")) == 32
        bodies.append(error)
    assert bodies[0] == bodies[1] == bodies[2]


def test_whoever_may_not_see_a_spreadsheet_learns_nothing_of_the_request(function: Function, issuer: Issuer) -> None:
    body = {**status_of(SHEET), "unknown": 1, "end_date": "never"}
    assert function.ask(issuer.token(EVE, AUDIENCE), body).status_code == 403
    assert function.ask(issuer.token(ANNA, AUDIENCE), body).status_code == 400


def test_a_domain_is_what_google_manages_and_not_what_stands_after_the_at(function: Function, issuer: Issuer) -> None:
    managed = issuer.token("carl@workspace.example", AUDIENCE)
    borrowed = issuer.token("carl@workspace.example", AUDIENCE, hd=None)
    elsewhere = issuer.token("carl@elsewhere.example", AUDIENCE, hd="workspace.example")
    assert function.ask(managed, status_of(SHEET)).status_code == 200
    assert function.ask(borrowed, status_of(SHEET)).status_code == 403
    assert function.ask(elsewhere, status_of(SHEET)).status_code == 200


def test_addresses_are_compared_without_regard_to_case(function: Function, issuer: Issuer) -> None:
    assert function.ask(issuer.token("Anna@Example.com", AUDIENCE), status_of(SHEET)).status_code == 200
    assert (
        function.ask(issuer.token("schedule@p.iam.gserviceaccount.com", AUDIENCE), status_of(SHEET)).status_code == 200
    )


def test_a_token_that_the_script_of_another_sheet_got_hold_of_does_not_count(issuer: Issuer) -> None:
    other = "456-def.apps.googleusercontent.com"
    for book in (SHEET, OTHER_SHEET):
        stand_in().drive.make("TikTok Ads", file_id=book)
    registry = {
        SHEET: {"secret": "acme", "callers": [ANNA], "client_ids": [SCRIPT]},
        OTHER_SHEET: {"secret": "other", "callers": [ANNA]},
    }
    more = {"OWOX_AUDIENCES": f"{AUDIENCE} {SCRIPT} {other}", "OWOX_REGISTRY": json.dumps(registry)}
    with Function(deployed(issuer, **more)) as function:
        answers = [
            function.ask(issuer.token(ANNA, script), status_of(sheet)).status_code
            for sheet in (SHEET, OTHER_SHEET)
            for script in (SCRIPT, other, AUDIENCE)
        ]
    assert answers == [200, 403, 403, 200, 200, 200]


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 405), ("PUT", "/", 405), ("DELETE", "/", 405), ("POST", "/health", 405), ("GET", "/admin", 404)],
)
def test_other_methods_and_addresses_are_answered_in_json(
    function: Function, method: str, path: str, status: int
) -> None:
    answer = requests.request(method, function.url + path, timeout=5)
    assert answer.status_code == status
    error_of(answer)
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_large_body_is_413_however_it_comes(function: Function, issuer: Issuer) -> None:
    token = issuer.token(ANNA, AUDIENCE)
    chosen = {"action": "fill", "spreadsheet_id": SHEET, "advertiser_ids": ["7012345678901234567"] * 3_000}
    many = function.ask(token, chosen)
    assert (many.status_code, "2,500" in error_of(many)["what_to_do"]) == (413, True)
    large = b'{"action": "' + b"x" * 70_000 + b'"}'
    assert function.ask(token, large).status_code == 413
    chunks = requests.post(
        function.url,
        data=(large[i : i + 8192] for i in range(0, len(large), 8192)),
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert chunks.status_code == 413


def test_a_body_that_trickles_holds_nobody_up(issuer: Issuer) -> None:
    with Function(deployed(issuer, TEST_BODY_SECONDS="0.3"), source=CLOCKED) as function:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {issuer.token(ANNA, AUDIENCE)}\r\n"
        with socket.create_connection(("127.0.0.1", function.port), 30) as slow:
            slow.sendall(f'{head}Content-Length: 40000\r\n\r\n{{"action":'.encode())
            slow.settimeout(20)
            assert slow.recv(40).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"import"', b"\xff\xfe", b"[" * 20_000])
def test_what_is_not_a_json_object_is_400(function: Function, issuer: Issuer, body: bytes) -> None:
    answer = function.ask(issuer.token(ANNA, AUDIENCE), body or b" ")
    assert (answer.status_code, error_of(answer)["mistakes"][0]["where"]) == (400, "body")


def test_all_mistakes_are_told_at_once_in_order(function: Function, issuer: Issuer) -> None:
    body = {
        "spreadsheet_id": SHEET,
        "action": "imports",
        "start_date": "2026-02-30",
        "end_date": 20260131,
        "objects": "ad_report_daily",
        "dry_run": "yes",
        "run_id": "../../etc",
        "startdate": "2026-01-01",
    }
    answer = function.ask(issuer.token(ANNA, AUDIENCE), body)
    error = error_of(answer)
    assert answer.status_code == 400
    assert [m["where"] for m in error["mistakes"]] == [
        "action", "start_date", "end_date", "objects", "dry_run", "run_id", "startdate"
    ]  # fmt: skip
    assert error["mistakes"][-1]["what_to_do"] == "Did you mean start_date?"
    assert all(m["what_to_do"] for m in error["mistakes"])


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ["action", "spreadsheet_id"]),
        ({"action": "backfill"}, ["start_date"]),
        ({"action": "backfill", "start_date": "2026-02-01", "end_date": "2026-01-01"}, ["end_date"]),
        ({"action": "plan", "end_date": "2026-01-01"}, ["end_date"]),
        ({"action": "import", "start_date": "2026-01-01"}, ["start_date"]),
        ({"action": "status", "dry_run": True}, ["dry_run"]),
        ({"action": "cancel", "objects": []}, ["objects"]),
        ({"action": "import", "run_id": "run-1"}, ["run_id"]),
        ({"action": "import", "done": {"ads": {"*": "2026-01-01"}}}, ["done"]),
        ({"action": "status", "done": {}, "run_id": "../.."}, ["run_id"]),
        ({"action": "plan", "objects": ["ad_report_dayly", "ads", "everything"]}, ["objects", "objects"]),
        ({"action": "fill", "advertiser_ids": ["7012345678901234567"] * 2_600}, ["advertiser_ids"]),
    ],
)
def test_what_cannot_be_together_is_a_mistake(
    function: Function, issuer: Issuer, body: dict[str, Any], where: list[str]
) -> None:
    answer = function.ask(issuer.token(ANNA, AUDIENCE), {"spreadsheet_id": SHEET, **body} if body else b"{}")
    assert answer.status_code == 400
    assert [m["where"] for m in error_of(answer)["mistakes"]] == where


# --- how it is deployed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"OWOX_AUDIENCES": ""}, "OWOX_AUDIENCES"),
        ({"OWOX_ROLE": "boss"}, "OWOX_ROLE"),
        ({"OWOX_CERTS_URL": "https://certs.example/certs"}, "OWOX_CERTS_URL"),
        ({"CLOUD_TASKS_API_URL": "http://127.0.0.1.example"}, "CLOUD_TASKS_API_URL"),
        (
            {
                "OWOX_TASKS_QUEUE": "imports",
                "OWOX_TASKS_ACCOUNT": ACCOUNT,
                "OWOX_WORKER_URL": "x",
                "OWOX_STORE": "gs://imports",
            },
            "OWOX_TASKS_QUEUE",
        ),
        ({"OWOX_TASKS_QUEUE": "projects/p/locations/r/queues/q"}, "OWOX_TASKS_ACCOUNT OWOX_WORKER_URL OWOX_STORE"),
        ({"OWOX_STORE": "s3://imports"}, "OWOX_STORE"),
        ({"OWOX_TIMEOUT_SECONDS": "soon"}, "OWOX_TIMEOUT_SECONDS"),
        ({"OWOX_PLATFORM_ADMITS": "yes"}, "OWOX_PLATFORM_ADMITS"),
        ({"OWOX_PLATFORM_ADMITS": "yes", "OWOX_ROLE": "sheets", "K_SERVICE": "sheets"}, "OWOX_PLATFORM_ADMITS"),
    ],
)
def test_every_mistake_of_a_deployment_is_named(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(BadInput) as caught:
        deployment.read({"OWOX_AUDIENCES": AUDIENCE, **wrong})
    assert [m.where for m in caught.value.mistakes] == named.split()
    assert all(m.what_to_do for m in caught.value.mistakes)


def test_a_deployment_that_is_set_up_wrongly_serves_nobody_and_tells_only_its_log(issuer: Issuer) -> None:
    with Function(deployed(issuer, OWOX_ROLE="boss")) as function:
        answer = function.ask(issuer.token(ANNA, AUDIENCE), status_of(SHEET))
        assert answer.status_code == 500
        assert "ROLE" not in answer.text
    assert {line["severity"] for line in function.logged("OWOX_ROLE")} == {"CRITICAL"}


@pytest.mark.parametrize(
    "registry",
    [
        "- a list",
        "{",
        '{"short": {"secret": "acme", "callers": []}}',
        json.dumps({SHEET: {"secret": "../acme", "callers": []}}),
        json.dumps({SHEET: {"secret": "acme", "callers": ["everybody"]}}),
        json.dumps({SHEET: {"secret": "acme", "callers": [], "hosts": ["https://example.com"]}}),
        json.dumps({SHEET: {"secret": "acme", "callers": [], "datasets": ["all"]}}),
        json.dumps({SHEET: {"secret": "acme", "callers": [], "client_ids": [AUDIENCE]}}),
        f"{SHEET}: {{secret: acme, callers: []}}\n{SHEET}: {{secret: other, callers: []}}\n",
        "/no/such/registry.yaml",
    ],
)
def test_a_registry_that_is_not_sound_lets_nobody_in(registry: str) -> None:
    environment = {"OWOX_AUDIENCES": AUDIENCE, "OWOX_REGISTRY": registry}
    with pytest.raises(BadInput, match="OWOX_REGISTRY"):
        Registry(deployment.read(environment), environment).entry(SHEET, Caller(ANNA))


def test_a_registry_in_a_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    file, clock = tmp_path / "registry.yaml", [0.0]
    file.write_text(f"{SHEET}:\n  secret: acme\n  callers: [{ANNA}]\n", encoding="utf-8")
    environment = {"OWOX_AUDIENCES": AUDIENCE, "OWOX_REGISTRY": str(file)}
    registry = Registry(deployment.read(environment), environment, clock=lambda: clock[0])
    assert registry.entry(SHEET, Caller(ANNA)).secret == "acme"
    file.write_text(f"{SHEET}:\n  secret: acme\n  callers: []\n", encoding="utf-8")
    assert registry.entry(SHEET, Caller(ANNA)).secret == "acme"
    clock[0] = 61
    with pytest.raises(Refusal):
        registry.entry(SHEET, Caller(ANNA))


def test_a_secret_is_read_by_its_alias_from_a_file_or_the_environment_and_again_each_time(tmp_path: Path) -> None:
    environment = {
        "OWOX_AUDIENCES": AUDIENCE,
        "OWOX_SECRETS": str(tmp_path),
        "OWOX_SECRET_BY_NAME": "TIKTOK_ACCESS_TOKEN=one\nTIKTOK_APP_ID=two\nTIKTOK_APP_SECRET=three\n",
        "TIKTOK_ACCESS_TOKEN": "the default one",
    }
    registry = Registry(deployment.read(environment), environment)

    def said(alias: str) -> dict[str, str]:
        return {n: s.reveal() for n, s in registry.secrets(Entry(secret=alias, callers=[])).items()}

    assert said("default") == {"TIKTOK_ACCESS_TOKEN": "the default one"}
    assert said("by-name") == {"TIKTOK_ACCESS_TOKEN": "one", "TIKTOK_APP_ID": "two", "TIKTOK_APP_SECRET": "three"}
    with pytest.raises(Refusal, match="acme") as caught:
        said("acme")
    assert caught.value.status == 500
    for token in ("first", "second"):
        (tmp_path / "acme").mkdir(exist_ok=True)
        (tmp_path / "acme" / "token").write_text(f"{token}\n", encoding="utf-8")
        assert said("acme") == {"TIKTOK_ACCESS_TOKEN": token}


def test_a_single_sheet_needs_three_variables_and_no_registry(issuer: Issuer) -> None:
    environment = {
        "OWOX_AUDIENCES": SCRIPT,
        "OWOX_SPREADSHEET_ID": SHEET,
        "OWOX_CALLERS": f"{ANNA}, @workspace.example",
    }
    stand_ins = {"OWOX_CERTS_URL": issuer.certs_url, "SHEETS_API_URL": stand_in().url}
    stand_in().drive.make("TikTok Ads", file_id=SHEET)
    with Function(environment | stand_ins) as function:
        answers = [
            function.ask(issuer.token(email, SCRIPT), status_of(sheet)).status_code
            for email in (ANNA, EVE, "carl@workspace.example")
            for sheet in (SHEET, OTHER_SHEET)
        ]
    assert answers == [200, 403, 403, 403, 200, 403]


def test_an_instance_starts_without_what_only_an_action_needs() -> None:
    code = "import sys, main; print(*sys.modules)"
    environment = process_environment({"OWOX_AUDIENCES": AUDIENCE})
    words = [sys.executable, "-c", code]
    found = subprocess.run(
        words, cwd=DEPLOYED.parent, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(found.stdout.split())
    assert "owox_tiktok.service.handler" in loaded
    heavy = {"requests", "yaml", "gspread", "google.auth", "google.cloud.bigquery", "duckdb", "rich"}
    assert not loaded & {*heavy, "owox_tiktok.app", "owox_tiktok.streams", "owox_tiktok.local"}


# --- what it logs -----------------------------------------------------------------------------------------------------


def test_a_line_of_the_log_belongs_to_its_trace(function: Function, issuer: Issuer) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    token = issuer.token(EVE, AUDIENCE)
    by_one = function.ask(token, status_of(SHEET), traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    other = trace[::-1]
    by_other = function.ask(token, status_of(SHEET), **{"X-Cloud-Trace-Context": f"{other}/123;o=1"})
    assert error_of(by_one)["request_id"] == trace
    assert error_of(by_other)["request_id"] == other
    lines = [json.loads(line) for line in function.lines if trace in line]
    assert {line["severity"] for line in lines} == {"WARNING", "INFO"}
    assert all(line["logging.googleapis.com/trace"].endswith(trace) for line in lines)
    assert lines[-1]["status"] == 403


def test_what_looks_like_a_token_is_not_logged() -> None:
    logs.hide([Secret('planted "secret"')])
    record = logs.LOGGER.makeRecord("x", 20, "f", 1, 'a planted "secret", Bearer abc.def, %s', ("ya29.secret",), None)
    record.facts = {"where": "eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6ImEifQ.c2ln"}
    line = json.loads(logs.Lines().format(record))
    assert line["message"] == "a ****, Bearer ****, ****"
    assert line["where"] == "****"
