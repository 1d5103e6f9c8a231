"""Configurations broken in every way: each mistake is one line with a place, never a traceback or a secret."""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok.config_file import MOST_BYTES, example, read_file
from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.settings import Settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = "fedcba9876543210fedcba9876543210fedcba98"
ENVIRONMENT = {"TIKTOK_ACCESS_TOKEN": TOKEN, "TIKTOK_APP_ID": "42", "TIKTOK_APP_SECRET": TOKEN[::-1]}
GOOD = """\
access_token: ${TIKTOK_ACCESS_TOKEN}
advertiser_ids: ["7012345678901234567"]
start_date: 2026-01-01
objects: [ads, ad_report_daily]
fields:
  ad_report_daily: [spend, clicks]
reimport_lookback_window: 7
include_deleted: true
"""


def outcome(raw: bytes, folder: Path) -> Settings | list[Mistake]:
    path = folder / "tiktok.yaml"
    path.write_bytes(raw)
    try:
        return read_file(path, now=NOW, environment=ENVIRONMENT)
    except BadInput as error:
        return list(error.mistakes)


def the_mistake(text: str | bytes, folder: Path) -> Mistake:
    found = outcome(text if isinstance(text, bytes) else text.encode(), folder)
    assert isinstance(found, list), "it was accepted"
    assert len(found) == 1, [str(m) for m in found]
    return found[0]


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (GOOD + "destination: a\x07b\n", 9, "U+0007"),
        (GOOD + "destination: a\x00b\n", 9, "U+0000"),
        (GOOD + "destination: \x1b[31mred\n", 9, "U+001B"),
        (GOOD + "\x9b31m: 1\n", 9, "U+009B"),
        (GOOD.replace("  ad_report", "\tad_report"), 6, "a tab"),
        (GOOD + "fields:\n  ads: [ad_name]\n", 9, "appears twice"),
        (GOOD.replace("[spend, clicks]", "[spend]\n  ad_report_daily: [clicks]"), 5, "appears twice"),
        (GOOD + "lookback: 3\n", 9, "reimport_lookback_window, which is there already"),
        (GOOD + "a: &a [x, x]\nb: [*a, *a]\n", 9, "refer to other lines"),
        (GOOD + "end_date: {{{{}}}}\n", 9, "single value"),
        (GOOD + "views: " + "[" * 30 + "]" * 30 + "\n", 9, "nested too deep"),
        (GOOD.replace("2026-01-01", "20261301"), 3, "is not a day"),
        (GOOD.replace("2026-01-01", "46023"), 3, "is not a day"),
        (GOOD.replace("start_date: 2026-01-01", "start_date 2026-01-01"), 4, "colon"),
        (GOOD + "---\nobjects: [ads]\n", 9, "second document"),
        (GOOD + "? [a, b]\n: 1\n", 9, "there is no setting"),
        (GOOD + '"a\\nb": 1\n', 9, "there is no setting"),
        (GOOD + f"{TOKEN}: 1\n", 9, "there is no setting"),
        (GOOD + '"\\ud800": 1\n', 9, "there is no setting"),
        (GOOD + "objects2: !!python/object/apply:os.system [ls]\n", 9, "there is no setting"),
        (GOOD + "notify_by_email: [a, b\n", 10, "cannot be read as YAML"),
        (GOOD + "include_deleted : perhaps\n", 9, "appears twice"),
        ("- just\n- a list\n", 1, "holds no settings"),
        ("", 1, "holds no settings"),
        (GOOD.encode()[:60] + b"\xff\xfe" + GOOD.encode()[60:], 2, "UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", 1, "UTF-8"),
        (GOOD.encode("utf-16"), 1, "UTF-8"),
    ],
)  # fmt: skip
def test_odd_yaml_is_one_sentence_with_its_line(text: str | bytes, line: int, expected: str, tmp_path: Path) -> None:
    mistake = the_mistake(text, tmp_path)
    assert re.match(rf"\S*tiktok\.yaml:{line}\b", mistake.where), mistake
    assert expected in str(mistake)
    assert clean(mistake)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    mistake = the_mistake(GOOD + "# " + "x" * MOST_BYTES, tmp_path)
    assert "bytes" in mistake.what


def test_a_folder_is_not_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_file(tmp_path, now=NOW, environment=ENVIRONMENT)
    assert "cannot be read" in caught.value.sentence


def test_a_file_with_the_mark_that_windows_puts_first_is_read(tmp_path: Path) -> None:
    assert isinstance(outcome(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), tmp_path), Settings)


@pytest.mark.parametrize(
    "key", ["access_token", "AccessToken", "token", "secret", "app_secret", "client_secret", "api_key"]
)
def test_a_secret_under_any_tools_key_is_refused_with_the_usual_advice(key: str, tmp_path: Path) -> None:
    text = re.sub("access_token: .*\n", "", GOOD) if "secret" not in key else GOOD
    for secret in (TOKEN, "any-short-text"):
        mistake = the_mistake(f"{key}: {secret}\n{text}", tmp_path)
        assert mistake.where.startswith("tiktok.yaml:1 ")
        assert "a secret is written into the file" in mistake.what
        assert "${TIKTOK_" in mistake.what_to_do
        assert "revoke" in mistake.what_to_do
        assert secret not in str(mistake)


def test_a_secret_in_the_place_of_a_variables_name_is_not_shown(tmp_path: Path) -> None:
    mistake = the_mistake(GOOD.replace("${TIKTOK_ACCESS_TOKEN}", f"${{{'a' + TOKEN}}}"), tmp_path)
    assert "revoke" in mistake.what_to_do
    assert clean(mistake)


@pytest.mark.parametrize("key", ["credentials", "AuthType", "auth"])
def test_a_secret_inside_a_peers_block_is_not_shown(key: str, tmp_path: Path) -> None:
    block = f"{key}:\n  auth_type: oauth2.0\n  secret: {TOKEN}\n  access_token: {TOKEN}\n"
    mistake = the_mistake(GOOD + block, tmp_path)
    assert mistake.where.startswith("tiktok.yaml:9 ")
    assert "${TIKTOK_ACCESS_TOKEN}" in mistake.what_to_do
    assert TOKEN not in str(mistake)


# --- in every way -----------------------------------------------------------------------------------------------------


def clean(mistake: Mistake) -> bool:
    """Whether a mistake is one line that any terminal can show, with a place and advice, and without a secret."""
    text = str(mistake)
    text.encode("utf-8")
    assert mistake.what, text
    assert mistake.what_to_do, text
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text), repr(text)
    assert TOKEN not in text
    assert TOKEN[::-1] not in text
    return True


LINES = GOOD.splitlines(keepends=True)
ODD = [
    "", " ", "\t", "\n", "\r", "\x00", "\x1b[2J", "\x85", "\u2028", "\ufeff", "😀", "\\ud800", "'", '"', "#", ":", ": ",
    "- ", "[", "]", "{", "}", ",", "&a ", "*a", "!!int ", "!!binary ", "? ", "<<: ", "|", ">", "%", "@", "`", "---\n",
    "...\n", "${", "${NOPE}", "${TIKTOK_ACCESS_TOKEN}", "null", "~", "true", "yes", "1e9", "-1", "0x10", "1_000",
    "9" * 5000, ".inf", ".nan", "12:30", "2026-13-45", "0000-00-00", "9999-12-31", "all", "[[[[", "{a: {b: [c]}}",
    "AdsReportsDaily", "reports", "cost", "x" * 500, "\u202e", "²", TOKEN,
]  # fmt: skip
KEYS = ["access_token", "advertiser_ids", "start_date", "end_date", "objects", "fields", "reimport_lookback_window",
        "credentials", "destination"]  # fmt: skip

cuts = st.integers(0, len(GOOD))
texts = st.one_of(
    # something odd anywhere
    st.builds(lambda at, what: GOOD[:at] + what + GOOD[at:], cuts, st.sampled_from(ODD)),
    # a part replaced
    st.builds(lambda a, b, what: GOOD[: min(a, b)] + what + GOOD[max(a, b) :], cuts, cuts, st.sampled_from(ODD)),
    # a value replaced
    st.builds(
        lambda n, what: "".join([*LINES[:n], LINES[n].split(":")[0] + ": " + what + "\n", *LINES[n + 1 :]]),
        st.integers(0, len(LINES) - 1),
        st.sampled_from(ODD),
    ),
    # lines in another order, some twice
    st.lists(st.sampled_from([*LINES, "lookback: 5\n", "  - a\n", "AdvertiserIDs: 1\n"]), max_size=12).map("".join),
    # other keys, other values
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(ODD)), max_size=6).map(
        lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs)
    ),
    st.text(max_size=80),
)


@given(texts)
def test_however_a_configuration_is_broken_each_mistake_is_one_line_with_a_place(text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"))


@given(cuts, st.binary(max_size=4))
def test_whatever_bytes_are_in_it(at: int, noise: bytes) -> None:
    raw = GOOD.encode()
    check(raw[:at] + noise + raw[at:])


def check(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = outcome(raw, Path(folder))
    if isinstance(found, Settings):
        assert TOKEN not in repr(found)
        return
    assert found
    for mistake in found:
        clean(mistake)
        # What is missing has no line; everything else has one.
        place = r"(\S*/)?tiktok\.yaml( |:\d+( |$))" if "is missing" in mistake.what else r"(\S*/)?tiktok\.yaml:\d+( |$)"
        assert re.match(place, mistake.where), mistake


def test_the_example_file_is_not_broken(tmp_path: Path) -> None:
    assert isinstance(outcome(example().encode(), tmp_path), Settings)
