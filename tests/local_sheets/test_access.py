"""Tokens, quotas, failures on purpose, the log, Drive, the page."""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import Any

import pytest
import requests

from owox_tiktok.local.sheets import Faults, Server, serve

from .conftest import Book

SCOPE = "https://www.googleapis.com/auth/spreadsheets"
ROBOT = "robot@one.iam.gserviceaccount.com"


def assertion(email: str = ROBOT, scope: str = SCOPE, lasts: float = 3600) -> str:
    claims = {"iss": email, "scope": scope, "aud": "x", "iat": time.time(), "exp": time.time() + lasts}
    parts = [json.dumps(one).encode() for one in ({"alg": "RS256"}, claims)] + [b"signature"]
    return ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts)


def grant(server: Server, **form: str) -> requests.Response:
    data = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", **form}
    return requests.post(f"{server.url}/token", data=data, timeout=10)


def test_a_service_account_gets_in_by_its_grant(server: Server, book: Book) -> None:
    server.share(book.id, ROBOT)
    answer = grant(server, assertion=assertion()).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    robot = Book(server, book.id, answer["access_token"])
    robot.put("A1", [[1]])
    assert book.model.journal[-1].email == ROBOT
    server.tokens.expire()
    error = robot.call("GET", "", 401)["error"]
    assert error["status"] == "UNAUTHENTICATED"
    assert error["message"].startswith("Request had invalid authentication credentials.")


def test_refused_grants(server: Server) -> None:
    assert grant(server, assertion=assertion(lasts=-10)).json()["error"] == "invalid_grant"
    assert grant(server, assertion="nonsense").status_code == 400
    assert grant(server, grant_type="password").json()["error"] == "unsupported_grant_type"


def test_scopes(server: Server, book: Book) -> None:
    server.share(book.id, ROBOT)
    answer = grant(server, assertion=assertion(scope=SCOPE + ".readonly")).json()
    reader = Book(server, book.id, answer["access_token"])
    assert reader.get()["spreadsheetId"] == book.id
    assert "scopes" in reader.error("PUT", "/values/A1", 403, {"values": [[1]]}, valueInputOption="RAW")
    assert "scopes" in reader.error("POST", "/developerMetadata:search", 403, {"dataFilters": []})


def test_tokens_may_be_required() -> None:
    with serve(require_token=True) as server:
        book = Book(server, server.create("b"))
        assert book.error("GET", "", 401).startswith("Request is missing required authentication credential.")
        book.session.close()


def test_quota_counts_reads_and_writes_apart_and_per_person() -> None:
    with serve(quota_per_minute=2) as server:
        book = Book(server, server.create("b"))
        server.share(book.id, ROBOT)
        for _ in range(2):
            book.get()
            book.put("A1", [[1]])
        error = book.call("GET", "", 429)["error"]
        assert error["status"] == "RESOURCE_EXHAUSTED"
        assert error["details"][0]["metadata"]["quota_limit"] == "ReadRequestsPerMinutePerUser"
        assert "'Write requests per minute per user'" in book.error("POST", ":batchUpdate", 429, {})
        assert Book(server, book.id, server.token(ROBOT)).get()
        server.quota.refill()
        assert book.get()
        book.session.close()


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        ("http_429", 429, "RESOURCE_EXHAUSTED"),
        ("http_500", 500, "INTERNAL"),
        ("http_503", 503, "UNAVAILABLE"),
        ("http_409", 409, "ABORTED"),
    ],
)
def test_failures_before_anything_happens(book: Book, kind: str, status: int, name: str) -> None:
    book.server.faults.script[:] = ["", kind]
    book.put("A1", [["first"]])
    error = book.call("PUT", "/values/A1", status, {"values": [["second"]]}, valueInputOption="RAW")["error"]
    assert error["status"] == name
    assert book.values("A1") == [["first"]]


@pytest.mark.parametrize(("kind", "applied"), [("lost", True), ("reset", False)])
def test_an_answer_that_never_comes(book: Book, kind: str, applied: bool) -> None:
    book.server.faults.only = "batchUpdate"
    book.server.faults.script[:] = [kind]
    with pytest.raises(requests.ConnectionError):
        book.batch({"addSheet": {"properties": {"title": "new"}}})
    assert (book.model.sheet_by_title("new") is not None) is applied
    last = book.server.log[-1]
    assert (last.status, last.failure, last.requests) == (0, kind, 1 if applied else 0)


def test_late_errors_and_silence(book: Book) -> None:
    book.server.faults.script[:] = ["late_503", "late_timeout"]
    book.server.faults.timeout_s = 0.05
    book.call("PUT", "/values/A1", 503, {"values": [["done"]]}, valueInputOption="RAW")
    with pytest.raises(requests.ConnectionError):
        book.put("A2", [["done too"]])
    assert book.values("A1:A2") == [["done"], ["done too"]]


def test_a_share_of_calls_fails_but_retries_get_through() -> None:
    with serve(faults=Faults(rate=1.0, kinds=("http_503",), in_a_row=2)) as server:
        url = f"{server.url}/v4/spreadsheets/{server.create('b')}"
        assert [requests.get(url, timeout=10).status_code for _ in range(6)] == [503, 503, 200, 503, 503, 200]


def test_withdrawn_permission_and_office_files(book: Book) -> None:
    book.server.faults.forbidden.add(book.id)
    assert book.error("GET", "", 403) == "The caller does not have permission"
    book.server.faults.forbidden.clear()
    book.server.faults.office.add(book.id)
    assert book.error("GET", "").endswith("The document must not be an Office file.")


def test_unknown_faults_are_refused(server: Server) -> None:
    with pytest.raises(ValueError, match="unknown kinds"):
        Faults(kinds=("http_999",))
    answer = requests.post(f"{server.url}/_control", json={"faults": {"nope": 1}}, timeout=10)
    assert (answer.status_code, "unknown faults" in answer.text) == (400, True)


def test_steering_over_http(server: Server) -> None:
    def control(**values: Any) -> Any:
        return requests.post(f"{server.url}/_control", json=values, timeout=10).json()

    made = control(create={"title": "from afar", "sheets": ["One"]})["spreadsheetId"]
    control(share={"spreadsheetId": made, "email": ROBOT}, faults={"latency_s": 0.0})
    control(batch={"spreadsheetId": made, "requests": [{"addSheet": {"properties": {"title": "Two"}}}]})
    assert [one.title for one in server.spreadsheet(made).sheets] == ["One", "Two"]
    assert ROBOT in server.spreadsheet(made).editors()


def test_a_person_between_two_calls(book: Book) -> None:
    def rename(method: str, path: str) -> None:
        if method == "PUT":
            book.server.on_call = None
            title = {"properties": {"sheetId": 0, "title": "Renamed"}, "fields": "title"}
            book.server.batch(book.id, [{"updateSheetProperties": title}])

    book.server.on_call = rename
    message = book.error("PUT", "/values/Sheet1!A1", json={"values": [[1]]}, valueInputOption="RAW")
    assert message == "Unable to parse range: Sheet1!A1"


def test_log_and_counts(book: Book) -> None:
    book.batch({"addSheet": {"properties": {"title": "x"}}}, {"deleteSheet": {"sheetId": 0}})
    book.get(fields="spreadsheetId")
    first, second = book.server.log
    assert (first.method, first.status, first.requests) == ("POST", 200, 2)
    assert (second.path, second.response_bytes) == (
        f"/v4/spreadsheets/{book.id}",
        len(f'{{"spreadsheetId":"{book.id}"}}'),
    )
    assert first.request_bytes > 50
    assert book.server.counts["batch_requests"] == 2
    assert book.server.counts["by_status"] == {"200": 2}


def test_drive_lists_copies_shares_and_deletes(server: Server, book: Book) -> None:
    files = f"{server.url}/drive/v3/files"
    book.put("A1", [["a", 1], ["b, c"]])
    found = requests.get(files, params={"q": 'name = "Report" and trashed = false'}, timeout=10).json()["files"]
    assert [one["id"] for one in found] == [book.id]
    assert requests.get(files, params={"q": "name = 'Other'"}, timeout=10).json()["files"] == []
    version = requests.get(f"{files}/{book.id}", params={"fields": "version"}, timeout=10).json()["version"]
    book.put("A3", [["more"]])
    after = requests.get(f"{files}/{book.id}", params={"fields": "version"}, timeout=10).json()["version"]
    assert int(after) > int(version)
    csv = requests.get(f"{files}/{book.id}/export", params={"mimeType": "text/csv"}, timeout=10).text
    assert csv == 'a,1\r\n"b, c",\r\nmore,'
    body = {"type": "user", "role": "reader", "emailAddress": ROBOT}
    permission = requests.post(f"{files}/{book.id}/permissions", json=body, timeout=10).json()
    headers = {"Authorization": f"Bearer {server.token(ROBOT)}"}
    assert requests.delete(f"{files}/{book.id}", headers=headers, timeout=10).status_code == 403
    assert requests.delete(f"{files}/{book.id}/permissions/{permission['id']}", timeout=10).status_code == 204
    hidden = requests.get(f"{files}/{book.id}", headers=headers, timeout=10)
    assert (hidden.status_code, hidden.json()["error"]["errors"][0]["reason"]) == (404, "notFound")
    assert requests.delete(f"{files}/{book.id}", timeout=10).status_code == 204
    book.call("GET", "", 404)


def test_create_with_contents(server: Server) -> None:
    cells = [{"userEnteredValue": {"stringValue": "hello"}, "note": "n"}]
    body = {
        "properties": {"title": "Made", "timeZone": "Europe/Kyiv"},
        "sheets": [
            {"properties": {"title": "First", "gridProperties": {"rowCount": 5, "columnCount": 5}}},
            {"properties": {"title": "Second"}, "data": [{"startRow": 1, "rowData": [{"values": cells}]}]},
        ],
    }
    answer = requests.post(f"{server.url}/v4/spreadsheets", json=body, timeout=10).json()
    assert answer["properties"]["timeZone"] == "Europe/Kyiv"
    assert [one["properties"]["title"] for one in answer["sheets"]] == ["First", "Second"]
    assert server.spreadsheet(answer["spreadsheetId"]).sheet("Second").values() == [[], ["hello"]]


def test_compressed_and_chunked_bodies(book: Book) -> None:

    body = json.dumps({"values": [["packed"]]}).encode()
    url = f"{book.url}/values/A1?valueInputOption=RAW"
    packed = requests.put(url, data=gzip.compress(body), headers={"Content-Encoding": "gzip"}, timeout=10)
    assert packed.status_code == 200
    assert requests.put(url.replace("A1", "A2"), data=iter([body[:5], body[5:]]), timeout=10).status_code == 200
    assert book.values("A1:A2") == [["packed"], ["packed"]]


def test_copying_a_tab_to_another_file(server: Server, book: Book) -> None:
    other = server.create("Other")
    book.put("A1", [["x"]])
    made = book.call("POST", "/sheets/0:copyTo", json={"destinationSpreadsheetId": other})
    assert (made["title"], made["index"]) == ("Copy of Sheet1", 1)
    assert server.spreadsheet(other).sheet("Copy of Sheet1").values() == [["x"]]


def test_pages(server: Server, book: Book) -> None:
    evil = server.create("<script>alert(1)</script>")
    listing = requests.get(server.url + "/", timeout=10).text
    assert f"/view/{book.id}" in listing
    assert "<script>alert" not in listing
    page = requests.get(f"{server.url}/view/{evil}", timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "&lt;script&gt;alert(1)" in page.text
    assert "http://" not in page.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page.text
    assert requests.get(f"{server.url}/view/none", timeout=10).status_code == 404
