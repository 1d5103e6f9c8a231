"""Answers nobody expects: broken, senseless, odd, endless, late. None is a traceback, none is stored as a whole one."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from owox_tiktok.errors import AccountRefused, Problem, Refused, RequestRefused, TokenRefused, TooLarge, Unavailable
from owox_tiktok.events import Event, Failed, Stored
from owox_tiktok.states import Reason
from owox_tiktok.tiktok.client import Answer, Bounds, TimeOuts, of, readable
from owox_tiktok.tiktok.codes import CODES, Does, reaction
from tests.raw_tiktok import A_DAY, ACCOUNT, QUICK, Raw, envelope, page, raw_tiktok, row, with_body

EXAMPLES = int(os.environ.get("OWOX_TIKTOK_EXAMPLES", "12"))
DEEP = b'{"code": 0, "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def stored(folder: Path, what: str = "ad_name") -> list[Any]:
    with duckdb.connect(str(folder / "raw.duckdb"), read_only=True) as connection:
        return [one for (one,) in connection.execute(f"SELECT {what} FROM tiktok_ads_ad_report_daily").fetchall()]


# --- answers that make no sense ---------------------------------------------------------------------------------------

SENSELESS = {
    "empty": b"",
    "a page for people": b"<html>Sign in to the hotel's network</html>",
    "deep nesting": DEEP,
    "deep nesting in the rows": page({"dimensions": {"ad_id": "9"}, "metrics": {"x": 0}}).replace(
        b'{"x": 0}', b"[" * 5000 + b"]" * 5000
    ),
    "no data": envelope(None),
    "data of another type": envelope([1]),
    "a list of nulls": page(None, None),
    "a list of numbers": page(1, 2),
    "no list": envelope({"list": 7, "page_info": {}}),
    "no count of pages": envelope({"list": []}),
    "a count that is text": envelope({"list": [], "page_info": {"total_number": "many"}}),
    "a code that is text": b'{"code": "0", "data": {}}',
    "a list": b"[]",
    "null": b"null",
    "no code": b'{"data": {}}',
    "not UTF-8 outside texts": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("body", SENSELESS.values(), ids=SENSELESS)
def test_an_answer_that_makes_no_sense_is_asked_for_again(body: bytes, tmp_path: Path) -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", body, page(row()))
        ran = raw.import_(tmp_path)
    assert (ran.exit_code, ran.failures) == (0, [])
    assert stored(tmp_path) == ["An ad"]


@pytest.mark.parametrize("object_", ["ad_report_daily", "ads", "images"])
@pytest.mark.parametrize("body", SENSELESS.values(), ids=SENSELESS)
def test_one_that_never_makes_sense_fails_that_object_in_words(body: bytes, object_: str, tmp_path: Path) -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", body)
        raw.answer("campaign/get", page())
        ran = raw.import_(tmp_path, objects=["campaigns", object_], fields=None)
        asked = sum("advertiser/info" not in path and "campaign/get" not in path for path in raw.asked)
    assert [f.object for f in ran.failures] == [object_]
    assert "could not be read after" in ran.failures[0].message
    assert asked <= QUICK.attempts


@pytest.mark.parametrize("body", SENSELESS.values(), ids=SENSELESS)
def test_so_it_is_with_the_list_of_accounts(body: bytes, tmp_path: Path) -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", page(row()))
        accounts = envelope({"list": [ACCOUNT]})
        raw.answer("advertiser/info", body, accounts)
        if body not in (SENSELESS["no count of pages"], SENSELESS["a count that is text"]):  # there are no pages here
            assert raw.import_(tmp_path).exit_code == 0
        raw.answer("advertiser/info", b'{"code": 0, "data": {"list": [{"name": "no id"}]}}')
        with pytest.raises(Unavailable, match="advertiser/info"):
            raw.import_(tmp_path)


def test_what_takes_an_answer_apart_runs_again_after_it_raised() -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", envelope({"n": "x"}), envelope({"n": 1}))
        assert raw.api().data("any", {}, dict[str, int]) == {"n": 1}
        raw.answer("rest", envelope({"n": "x"}))
        with pytest.raises(Unavailable) as caught:
            raw.api().data("any", {}, dict[str, int])
        assert raw.count("any") == 2 + QUICK.senseless
        assert caught.value.request_id == "r7"


# --- any answer at all ------------------------------------------------------------------------------------------------

leaf = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.sampled_from(["-", "0", "1.5", "\x1b[31m", "\x00", "2026-02-27 00:00:00", "9", 10**400, 1e308, "1e999999999"]),
)  # fmt: skip
anything = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
item = st.fixed_dictionaries(
    {},
    optional={
        "dimensions": st.fixed_dictionaries({}, optional={"ad_id": leaf, "stat_time_day": leaf}) | anything,
        "metrics": st.fixed_dictionaries({}, optional={"ad_name": leaf, "spend": leaf}) | anything,
        "campaign_id": leaf, "advertiser_id": leaf, "name": leaf, "currency": leaf, "timezone": leaf,
        "campaign_name": leaf, "budget": leaf, "create_time": leaf, "is_smart_performance_campaign": leaf,
    },
)  # fmt: skip
counts = st.integers(-1, 2) | leaf
data = st.one_of(
    anything,
    st.fixed_dictionaries(
        {"list": st.lists(item | anything, max_size=2)},
        optional={"page_info": st.fixed_dictionaries({"total_number": counts, "total_page": counts}) | anything},
    ),
)
# Codes that only make everybody wait have tests of their own.
swift = st.sampled_from([0, 0, 0, *(c for c, it in CODES.items() if it.does.name[:4] != "SLOW"), 1, 40999, 50999])
bodies = st.one_of(
    st.binary(max_size=20),
    st.builds(lambda v: json.dumps(v).encode(), anything),
    st.builds(lambda d, c: json.dumps({"code": c, "message": "m", "data": d}).encode(), data, swift),
    st.builds(lambda d: json.dumps({"code": 0, "data": d}, ensure_ascii=False).encode("utf-8", "replace"), data),
    st.builds(lambda d, junk: junk.join(json.dumps({"code": 0, "data": d}).encode().split(b" ")), data, st.binary()),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(bodies, min_size=1, max_size=3), accounts=st.none() | bodies)
def test_no_answer_at_all_is_a_bug_of_the_program(
    answers: list[bytes], accounts: bytes | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with raw_tiktok() as raw:
        raw.answer("rest", *answers)
        if accounts is not None:
            raw.answer("advertiser/info", accounts)
        failures: list[Failed] = []
        with suppress(Refused, TooLarge, Unavailable):  # in words, before there was anything to import
            failures = raw.import_(folder, objects=["ad_report_daily", "campaigns"]).failures
    assert not [f for f in failures if "unexpected" in f.message]


# --- odd characters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "meant"),
    [
        (rb"half \ud83d of it", "half \ufffd of it"),
        (rb"\udf1e first", "\ufffd first"),
        (rb"twice \ud83c\ud83c\udf1e", "twice \ufffd🌞"),
        (rb"whole \ud83c\udf1e", "whole 🌞"),
        (rb"a backslash \\ud83d", "a backslash \\ud83d"),
        (b"not UTF-8 \xff\xc3(", "not UTF-8 \ufffd\ufffd("),
        (b"raw \x1b[2J and \x00", "raw \ufffd[2J and \ufffd"),
        (rb"\u001b]0;title\u0007", "\ufffd]0;title\ufffd"),
        (rb"tab\tline\nreturn\r\n", "tab\tline\nreturn\n"),
    ],
)
def test_odd_characters_are_replaced_and_the_rest_is_stored(wire: bytes, meant: str, tmp_path: Path) -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", page(row(ad_name="HERE"), row("10", ad_name="Beside it")).replace(b"HERE", wire))
        ran = raw.import_(tmp_path)
        assert raw.count("/report/") == 1
    assert (ran.exit_code, ran.failures) == (0, [])
    assert sorted(stored(tmp_path)) == sorted([meant, "Beside it"])


@given(st.lists(st.text() | st.dictionaries(st.text(), st.text() | st.integers(), max_size=2), max_size=4))
def test_what_is_readable_already_stays_as_it_is(value: object) -> None:
    for body in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode()):
        assert json.loads(readable(body)) == value


def test_no_message_of_tiktoks_steers_a_terminal(tmp_path: Path) -> None:
    odd = {"message": "\x1b[2Jgone\x07 \x9b1m\r\nnext", "request_id": "r\x1b]0;t\x07"}
    with raw_tiktok() as raw:
        raw.answer("rest", envelope({}, 40001, **odd))
        ran = raw.import_(tmp_path)
        raw.answer("advertiser/info", envelope({}, 40105, **odd))
        with pytest.raises(TokenRefused) as caught:
            raw.import_(tmp_path)
    for sentence in (ran.failures[0].message, ran.failures[0].request_id, caught.value.sentence):
        assert sentence.isprintable()
    assert "[2Jgone [1m".replace("[1m", "1m next") in ran.failures[0].message


def test_an_account_whose_id_is_no_id_makes_no_sense(tmp_path: Path) -> None:
    with raw_tiktok() as raw:
        raw.answer("advertiser/info", envelope({"list": [{**ACCOUNT, "advertiser_id": "\x1b[31m7"}]}))
        with pytest.raises(Unavailable) as caught:
            raw.import_(tmp_path)
    assert caught.value.sentence.isprintable()


# --- answers that do not end ------------------------------------------------------------------------------------------


def dripping(raw: Raw, every_s: float = 0.05) -> Any:
    def say(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        while not raw.over.wait(every_s):
            request.wfile.write(b" ")
            request.wfile.flush()

    return say


def dripping_headers(raw: Raw) -> Any:
    def say(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not raw.over.wait(0.05):
            request.wfile.write(b"a")
            request.wfile.flush()

    return say


def silent(raw: Raw) -> Any:
    def say(request: BaseHTTPRequestHandler) -> None:
        raw.over.wait(30)

    return say


ENDLESS = {"dripping": dripping, "dripping headers": dripping_headers, "silent": silent}


@pytest.mark.parametrize("how", ENDLESS.values(), ids=ENDLESS)
def test_a_whole_answer_has_a_deadline(how: Any) -> None:
    bounds = replace(QUICK, answer_s=0.3, silence_s=0.3, glance_s=0.05)
    with raw_tiktok() as raw:
        raw.answer("rest", how(raw), envelope({"n": 1}))
        assert raw.api(bounds).data("any", {}, dict[str, int]) == {"n": 1}
        raw.answer("rest", how(raw))
        with pytest.raises(Unavailable):
            raw.api(bounds).data("any", {}, dict[str, int])


@pytest.mark.parametrize("how", ENDLESS.values(), ids=ENDLESS)
def test_the_end_of_the_run_is_noticed_while_an_answer_is_read(how: Any) -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", how(raw))
        api = raw.api(Bounds(glance_s=0.05))
        ended: list[Exception] = []

        def ask() -> None:
            try:
                api.data("any", {}, dict[str, int])
            except Unavailable as error:
                ended.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while not raw.asked:
            time.sleep(0.01)
        api.stop()
        thread.join(10)
        assert [e.message for e in ended if isinstance(e, Problem)] == ["the run was stopped"]


@pytest.mark.parametrize("path", ["advertiser/info", "report/integrated/get"])
def test_a_run_whose_time_is_over_ends_in_the_middle_of_an_answer(path: str, tmp_path: Path) -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", page(row()))
        raw.answer(path, dripping(raw))
        ran = raw.import_(
            tmp_path, bounds=Bounds(glance_s=0.05), halted=lambda: Reason.CANCELLED if raw.count(path) else None
        )
    assert ran.exit_code == 3
    assert ran.finished.stopped is Reason.CANCELLED
    assert ran.failures == []


def test_a_run_stopped_after_the_days_before_a_failure_tells_the_failure(tmp_path: Path) -> None:
    kept: list[Event] = []

    def answers(request: BaseHTTPRequestHandler) -> None:
        later = parse_qs(urlsplit(request.path).query)["start_date"] > [f"{A_DAY - timedelta(days=20)}"]
        with_body(envelope({}, 40001) if later else page())(request)

    with raw_tiktok() as raw:
        raw.answer("rest", answers)
        ran = raw.import_(
            tmp_path,
            start_date=f"{A_DAY - timedelta(days=45)}",
            listen=lambda event: kept.extend([event] * isinstance(event, Stored)),
            halted=lambda: Reason.CANCELLED if kept else None,
        )
    assert kept, "the days before it are kept"
    assert ran.exit_code == 1
    assert len(ran.failures) == 1


def test_an_answer_larger_than_any_page_is_not_kept() -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", envelope({"n": "x" * 5000}))
        with pytest.raises(Unavailable, match="larger"):
            raw.api(replace(QUICK, largest=1000)).data("any", {}, dict[str, str])


# --- requests that time out -------------------------------------------------------------------------------------------

LATE = envelope({}, 51001)


@pytest.mark.parametrize(
    "late", [LATE, envelope({}, 51039), with_body(b"", 504), "silent"], ids=["51001", "51039", "504", "silent"]
)
def test_a_request_that_timed_out_twice_is_not_sent_again_where_less_can_be_asked(late: Any) -> None:
    bounds = replace(QUICK, silence_s=0.1, glance_s=0.05, time_out_window_s=600)
    with raw_tiktok() as raw:
        raw.answer("rest", silent(raw) if late == "silent" else late)
        api = raw.api(bounds)
        for asked in (2, 2):  # the second time, it is remembered
            with pytest.raises(TooLarge):
                api.get("any", {"days": 30}, take=of(dict[str, int]), may_shrink=True)
            assert raw.count("days=30") == asked
        with pytest.raises(TooLarge):
            api.get("any", {"days": 15}, take=of(dict[str, int]), may_split=True)
        assert raw.count("days=15") == 2


def test_one_that_can_ask_for_no_less_rests_until_tiktok_has_forgotten() -> None:
    waits: list[tuple[float, str]] = []
    bounds = replace(QUICK, attempts=8, time_out_window_s=0.4)
    with raw_tiktok() as raw:
        raw.answer("rest", LATE, LATE, envelope({"n": 1}))
        began = time.monotonic()
        api = raw.api(bounds, on_wait=lambda seconds, reason: waits.append((seconds, reason)))
        assert api.data("any", {}, dict[str, int]) == {"n": 1}
        assert time.monotonic() - began >= 0.39
        assert 0 < waits[0][0] <= 0.4
        raw.answer("rest", LATE)
        with pytest.raises(Unavailable, match="4 times"):
            api.data("other", {}, dict[str, int])
        assert raw.count("other") == 4


def test_a_report_of_one_day_that_times_out_is_asked_by_campaigns(tmp_path: Path) -> None:
    def late_unless_split(request: BaseHTTPRequestHandler) -> None:
        with_body(page(row()) if "campaign_ids" in request.path else LATE)(request)

    bounds = replace(QUICK, attempts=8, time_out_window_s=600)
    with raw_tiktok() as raw:
        raw.answer("report/integrated/get", late_unless_split)
        raw.answer("campaign/get", page({"campaign_id": "1"}, {"campaign_id": "2"}))
        ran = raw.import_(tmp_path, bounds=bounds, objects=["ad_report_hourly"], fields={"ad_report_hourly": ["spend"]})
        whole = [p for p in raw.asked if "report" in p and "campaign_ids" not in p]
        assert len(whole) == 2 * len(set(whole))
    assert all("in time" not in f.message for f in ran.failures)


def test_time_outs_are_forgotten_after_their_window() -> None:
    now = 0.0
    late = TimeOuts(2, 600.0, clock=lambda: now)
    late.add(1)
    now = 100.0
    assert late.wait(1) == 0
    late.add(1)
    assert late.wait(1) == 500.0
    assert late.wait(2) == 0
    now = 600.0
    assert late.wait(1) == 0
    late.add(1)
    assert late.wait(1) == 100.0


# --- codes ------------------------------------------------------------------------------------------------------------


def test_every_code_is_told_in_the_documents() -> None:
    text = (Path(__file__).parent.parent / "docs" / "behavior.md").read_text(encoding="utf-8")
    for code, it in CODES.items():
        assert f"| {code} | {it.means} | {it.does.value} |\n" in text
    assert text.count(" | try again |\n") == sum(it.does is Does.RETRY for it in CODES.values())


@pytest.mark.parametrize("code", CODES)
def test_each_code_does_what_its_row_says(code: int) -> None:
    raises: dict[Does, type[Exception] | None] = {
        Does.PARTLY: None, Does.SLOW_DOWN: Unavailable, Does.SLOW_ADVERTISER: Unavailable, Does.RETRY: Unavailable,
        Does.LATER: Unavailable, Does.TIMED_OUT: Unavailable, Does.LESS: TooLarge, Does.TOKEN: TokenRefused,
        Does.FEWER_IDS: RequestRefused,  # unless the question can be divided
        Does.ACCOUNT: AccountRefused, Does.REQUEST: RequestRefused,
    }  # fmt: skip
    wanted = raises[CODES[code].does]
    with raw_tiktok() as raw:
        raw.answer("rest", envelope({"n": 1}, code, message=""))
        if wanted is None:
            assert raw.api().data("any", {}, dict[str, int]) == {"n": 1}
            return
        with pytest.raises(wanted) as caught:
            raw.api().data("any", {}, dict[str, int])
        repeated = raw.count("any") > 1
    assert repeated == (CODES[code].does in (Does.RETRY, Does.LESS, Does.TIMED_OUT))
    assert isinstance(caught.value, Problem)
    assert CODES[code].advice in caught.value.sentence or wanted is Unavailable


def test_a_code_of_the_sandbox_names_the_sandbox() -> None:
    for code in (40008, 40009, 40013, 40014):
        assert "sandbox" in reaction(code).advice


def test_unknown_codes_are_tried_again_only_when_the_trouble_is_tiktoks() -> None:
    assert reaction(51234).does is Does.RETRY
    assert reaction(40999).does is Does.REQUEST
    assert reaction(60002).does is Does.REQUEST


def test_maintenance_is_waited_for_by_all_together_and_then_named() -> None:
    bounds = replace(QUICK, maintenance_s=0.2, maintenance_wait_s=0.05)
    with raw_tiktok() as raw:
        raw.answer("rest", envelope({}, 60001), envelope({}, 60001), envelope({"n": 1}))
        api = raw.api(bounds)
        assert api.data("any", {}, dict[str, int]) == {"n": 1}
        raw.answer("rest", envelope({}, 60001))
        with pytest.raises(Unavailable, match="maintenance"):
            api.data("any", {}, dict[str, int])
        before = len(raw.asked)
        with pytest.raises(Unavailable, match="maintenance"):
            api.data("other", {}, dict[str, int])
        assert len(raw.asked) == before + 1


def test_an_answer_in_part_is_stored_with_a_warning(tmp_path: Path) -> None:
    partly = json.loads(page(row())) | {"code": 20001, "message": "Partial success"}
    with raw_tiktok() as raw:
        raw.answer("rest", json.dumps(partly).encode())
        ran = raw.import_(tmp_path)
    assert ran.exit_code == 0
    assert stored(tmp_path) == ["An ad"]
    assert [w for w in ran.warnings if "in part" in w and "Partial success (20001)" in w]


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_delay_that_a_proxy_states_is_kept(status: int) -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", with_body(b"busy", status, Retry_After="1"), envelope({"n": 1}))
        began = time.monotonic()
        assert raw.api(replace(QUICK, rate_s=10)).data("any", {}, dict[str, int]) == {"n": 1}
        assert time.monotonic() - began >= 1


def test_no_redirect_is_followed() -> None:
    with raw_tiktok() as raw:
        raw.answer("rest", with_body(b"", 302, Location="/elsewhere/"))
        raw.answer("elsewhere", envelope({"n": 1}))
        with pytest.raises(RequestRefused, match="302"):
            raw.api().get("any", {}, take=lambda answer: Answer(b""))
        assert not raw.count("elsewhere")
