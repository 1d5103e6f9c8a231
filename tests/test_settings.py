"""A configuration: every mistake at once with its address and what to do, what is left out, and secrets that hide."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
import traceback
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from owox_tiktok.config_file import FILE_SETTINGS, example, read_file
from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.secret import Secret
from owox_tiktok.settings import SETTINGS, Setting, Settings, Value, labelled
from owox_tiktok.streams import ALIASES, MAX_METRICS, PRESETS, STREAMS, default_fields

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = "tok-0123456789abcdef0123456789abcdef01234567"
ENVIRONMENT = {"TIKTOK_ACCESS_TOKEN": TOKEN, "TIKTOK_APP_ID": "42", "TIKTOK_APP_SECRET": "app-secret-xyz"}
GOOD = """\
access_token: ${TIKTOK_ACCESS_TOKEN}
advertiser_ids: ["7012345678901234567"]
start_date: 2026-01-01
objects: [ads, ad_report_daily]
"""


def read(text: str, folder: Path, environment: dict[str, str] | None = None) -> Settings:
    path = folder / "tiktok.yaml"
    path.write_text(text, encoding="utf-8")
    return read_file(path, now=NOW, environment=ENVIRONMENT if environment is None else environment)


def mistakes(text: str, folder: Path, environment: dict[str, str] | None = None) -> list[Mistake]:
    with pytest.raises(BadInput) as caught:
        read(text, folder, environment)
    assert all(m.what and m.what_to_do for m in caught.value.mistakes), "a mistake without advice"
    return list(caught.value.mistakes)


def the_mistake(text: str, folder: Path, environment: dict[str, str] | None = None) -> Mistake:
    found = mistakes(text, folder, environment)
    assert len(found) == 1, [str(m) for m in found]
    return found[0]


# --- what a good file says --------------------------------------------------------------------------------------------


def test_a_short_file_is_enough_and_the_rest_has_sensible_defaults(tmp_path: Path) -> None:
    settings = read(GOOD, tmp_path)
    assert settings.access_token.reveal() == TOKEN
    assert settings.advertiser_ids == ("7012345678901234567",)
    assert settings.start_date == date(2026, 1, 1)
    assert settings.objects == (STREAMS["ads"], STREAMS["ad_report_daily"])
    assert (settings.end_date, settings.clean_up_to_keep_window) == (None, None)
    assert settings.reimport_lookback_window == 7
    assert settings.include_deleted is True
    assert settings.sandbox_mode is False
    assert settings.requests_per_second == 10
    for stream in settings.objects:
        assert set(settings.fields[stream.name]) == set(default_fields(stream)) - set(stream.keys)


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.filled], ids=lambda s: s.name)
def test_what_the_template_fills_in_means_what_is_meant_without_it(setting: Setting) -> None:
    assert setting.label
    assert setting.initial == setting.default != ""
    if setting.in_file:
        written = setting.parse(Value(setting.initial, "Config!B7"))
        assert written == {f.name: f.default for f in dataclasses.fields(Settings)}[setting.name]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Start Date*", "start_date"),
        ("start_date", "start_date"),
        ("Account IDs", "advertiser_ids"),
        ("Advertiser ID", "advertiser_ids"),
        ("Lookback Window", "reimport_lookback_window"),
        ("Sandbox", "sandbox_mode"),
        ("Maximum Run Timeout", "max_run_timeout"),
        ("Notify By Email", "notify_by_email"),
        ("Notify By GoogleChat", "notify_by_google_chat"),
        ("Access Token", None),
        ("Notes", None),
    ],
)
def test_a_row_of_a_sheet_is_known_by_its_label_and_by_the_words_of_other_loaders(label: str, name: str | None) -> None:
    found = labelled(label)
    assert (found.name if found else None) == name


def test_the_example_file_is_a_good_file(tmp_path: Path) -> None:
    read(example(), tmp_path)
    everything = "\n".join(
        line.removeprefix("# ") if any(line.startswith(f"# {s.name}: ") for s in FILE_SETTINGS) else line
        for line in example().splitlines()
    )
    settings = read(everything, tmp_path)
    assert settings.clean_up_to_keep_window == 400
    assert settings.app_id == "42"


def test_objects_are_read_in_one_order_however_they_are_written(tmp_path: Path) -> None:
    one = read(GOOD.replace("[ads, ad_report_daily]", "[ad_report_daily, campaigns, ads, ads]"), tmp_path)
    two = read(GOOD.replace("[ads, ad_report_daily]", "ads,campaigns  ad_report_daily"), tmp_path)
    assert one.objects == two.objects
    assert [s.name for s in one.objects] == [n for n in STREAMS if n in ("campaigns", "ads", "ad_report_daily")]


@pytest.mark.parametrize(("alias", "name"), sorted(ALIASES.items()))
def test_the_names_of_other_loaders_mean_our_objects(alias: str, name: str, tmp_path: Path) -> None:
    settings = read(
        GOOD.replace("[ads, ad_report_daily]", f"[{alias}]") + "app_id: a\napp_secret: ${S}",
        tmp_path,
        ENVIRONMENT | {"S": "s"},
    )
    assert [s.name for s in settings.objects] == [name]


@pytest.mark.parametrize("written", ["Ad-Report Daily", "AD_REPORT_DAILY", "ad report daily", "ads_reports_daily"])
def test_the_spelling_of_an_object_may_vary(written: str, tmp_path: Path) -> None:
    assert read(GOOD.replace("[ads, ad_report_daily]", json.dumps([written])), tmp_path).objects == (
        STREAMS["ad_report_daily"],
    )


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_stands_for_its_metrics_and_the_names_of_things(preset: str, tmp_path: Path) -> None:
    settings = read(GOOD + f"fields: {{ad_report_daily: [{preset}]}}", tmp_path)
    chosen = settings.fields["ad_report_daily"]
    assert {n for n in PRESETS[preset] if n in STREAMS["ad_report_daily"].fields} <= set(chosen)
    assert {"campaign_name", "ad_name"} <= set(chosen)


def test_presets_fields_and_keys_may_be_mixed_and_nothing_comes_twice(tmp_path: Path) -> None:
    settings = read(GOOD + "fields: {ad_report_daily: [ad_id, likes, performance, spend, likes]}", tmp_path)
    chosen = settings.fields["ad_report_daily"]
    assert len(chosen) == len(set(chosen))
    assert "ad_id" not in chosen, "keys are always there"
    assert chosen[0] == "likes"


@pytest.mark.parametrize(
    "written", ['["1", "2"]', '"1, 2"', '"1;2"', '["1,2"]', '"1 2 1"', "\n- '1'\n- '2'"]
)  # fmt: skip
def test_advertiser_ids_may_be_listed_in_several_ways(written: str, tmp_path: Path) -> None:
    assert read(GOOD.replace('["7012345678901234567"]', written), tmp_path).advertiser_ids == ("1", "2")


def test_all_advertisers_need_the_app_and_its_secret(tmp_path: Path) -> None:
    text = GOOD.replace('["7012345678901234567"]', "all")
    assert {m.where for m in mistakes(text, tmp_path)} == {"tiktok.yaml app_id", "tiktok.yaml app_secret"}
    settings = read(text + "app_id: ${TIKTOK_APP_ID}\napp_secret: ${TIKTOK_APP_SECRET}\n", tmp_path)
    assert settings.advertiser_ids == ()
    assert settings.app_secret.reveal() == ENVIRONMENT["TIKTOK_APP_SECRET"]


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("no", False), ('"yes"', True), ("0", False)])
def test_a_switch_may_be_written_in_several_ways(written: str, meant: bool, tmp_path: Path) -> None:
    assert read(GOOD + f"include_deleted: {written}", tmp_path).include_deleted is meant


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
access_token: ${NOT_THERE}
advertiser_ids: [7012345678901234567]
start_date: 2026-03-20
end_date: 2026-01-01
objects: [ad_report_dayly, campaigns, advertiser_report_daily]
fields:
  advertiser_report_daily: [spend, ad_name, imprssions]
lookbehind_window: 7
reimport_lookback_window: 1000
clean_up_to_keep_window: 0
include_deleted: perhaps
requests_per_second: fast
destination: tiktok.duckdb
"""
    found = mistakes(text, tmp_path)
    where = [(m.where.partition(" ")[0], m.where.partition(" ")[2]) for m in found]
    # The end lies before the start, and the start in the future: both are reported.
    assert [w for w, _ in where] == [f"tiktok.yaml:{n}" for n in (1, 2, 3, 4, 5, 6, 6, 8, 9, 10, 11, 12, 13)]
    assert [k for _, k in where[:5]] == ["access_token", "advertiser_ids", "start_date", "end_date", "objects"]
    assert "ad_report_daily" in found[4].what_to_do


@pytest.mark.parametrize(
    ("change", "line", "key", "words"),
    [
        (("${TIKTOK_ACCESS_TOKEN}", "${NOPE}"), 1, "access_token", ("NOPE", "not set", "export")),
        (("${TIKTOK_ACCESS_TOKEN}", f'"{TOKEN}"'), 1, "access_token", ("${TIKTOK_ACCESS_TOKEN}", "revoke")),
        (
            ('["7012345678901234567"]', "7012345678901234567"),
            2,
            "advertiser_ids",
            ("number", '["7012345678901234567"]'),
        ),
        (('["7012345678901234567"]', "7.012345678901234e+18"), 2, "advertiser_ids", ("number", "quotes")),
        (('["7012345678901234567"]', '["70x"]'), 2, "advertiser_ids", ("70x", "digits")),
        (('["7012345678901234567"]', "[]"), 2, "advertiser_ids", ("empty",)),
        (("2026-01-01", "2026-03-03"), 3, "start_date", ("2026-03-03", "future")),
        (("2026-01-01", "2026-02-31"), 3, "start_date", ("2026-02-31", "2026-01-31")),
        (("2026-01-01", "01.02.2026"), 3, "start_date", ("01.02.2026", "2026-01-31")),
        (("2026-01-01", "2006-01-01"), 3, "start_date", ("before",)),
        (("[ads, ad_report_daily]", "[adds]"), 4, "objects", ("adds", "ads")),
        (("[ads, ad_report_daily]", "[qqqqqqqqqq]"), 4, "objects", ("qqqqqqqqqq", "owox-tiktok objects")),
        (("[ads, ad_report_daily]", "[]"), 4, "objects", ("empty",)),
    ],
)
def test_a_mistake_says_where_it_is_and_what_to_do(
    change: tuple[str, str], line: int, key: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    mistake = the_mistake(GOOD.replace(*change), tmp_path)
    assert mistake.where.startswith(f"tiktok.yaml:{line} {key}")
    for word in words:
        assert word in str(mistake)
    assert TOKEN not in str(mistake)


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("end_date: 2025-12-31", "end_date", ("2025-12-31", "before", "2026-01-01")),
        ("end_date: 2026-03-03", "end_date", ("future",)),
        ("reimport_lookback_windw: 3", "reimport_lookback_windw", ("reimport_lookback_window",)),
        ("start_date: 2026-01-02", "start_date", ("twice",)),
        ("reimport_lookback_window: -1", "reimport_lookback_window", ("0", "365")),
        ("reimport_lookback_window: 7.5", "reimport_lookback_window", ("7.5", "whole")),
        ("reimport_lookback_window: true", "reimport_lookback_window", ("number of days",)),
        ("clean_up_to_keep_window: 0", "clean_up_to_keep_window", ("nothing",)),
        ("requests_per_second: 0", "requests_per_second", ("10",)),
        ("destination: tiktok.duckdb", "destination", ("duckdb:///",)),
        ("include_deleted: maybe", "include_deleted", ("true", "false")),
        ("fields: [spend]", "fields", ("per object",)),
        ("fields: {ad_report_daily: [imprssions]}", "fields.ad_report_daily", ("imprssions", "impressions")),
        ("fields: {campaign_report_daily: [spend]}", "fields.campaign_report_daily", ("objects",)),
        ("fields: {ad_report_dayly: [spend]}", "fields.ad_report_dayly", ("ad_report_daily",)),
        ("fields: {ads: [spend]}", "fields.ads", ("spend",)),
        ("app_secret: plain-text-secret", "app_secret", ("revoke",)),
    ],
)
def test_a_wrong_line_is_named_with_what_to_write(line: str, key: str, words: tuple[str, ...], tmp_path: Path) -> None:
    mistake = the_mistake(f"{GOOD}{line}\n", tmp_path)
    assert mistake.where == f"tiktok.yaml:5 {key}"
    for word in words:
        assert word in str(mistake)
    assert "plain-text-secret" not in str(mistake)


def test_a_field_that_the_level_does_not_have_is_refused_with_the_levels_that_have_it(tmp_path: Path) -> None:
    text = (
        GOOD.replace("[ads, ad_report_daily]", "[campaign_report_daily]") + "fields: {campaign_report_daily: [ad_name]}"
    )
    mistake = the_mistake(text, tmp_path)
    assert mistake.where.startswith("tiktok.yaml:5 fields")
    assert "campaign_report_daily" in mistake.what
    assert re.search(r"\bad\b", mistake.what_to_do)
    assert "campaign" not in mistake.what_to_do


def test_more_metrics_may_be_chosen_than_tiktok_gives_in_one_request(tmp_path: Path) -> None:
    stream = STREAMS["ad_report_daily"]
    metrics = [f.name for f in stream.fields.values() if f.origin == "metric"][: MAX_METRICS + 1]
    chosen = read(f"{GOOD}fields: {{ad_report_daily: {json.dumps(metrics)}}}", tmp_path).fields["ad_report_daily"]
    assert list(chosen) == metrics


@pytest.mark.parametrize("missing", ["access_token", "advertiser_ids", "start_date", "objects"])
def test_a_required_setting_that_is_missing_is_named(missing: str, tmp_path: Path) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(missing))
    mistake = the_mistake(text, tmp_path)
    assert mistake.where == f"tiktok.yaml {missing}"
    assert f"Add {missing}:" in mistake.what_to_do


@pytest.mark.parametrize("name", ["advertiser_report_daily", "pixels", "spark_ads", "ad_report_daily_by_country"])
def test_what_the_sandbox_does_not_have_is_refused_there_and_only_there(name: str, tmp_path: Path) -> None:
    text = GOOD.replace("[ads, ad_report_daily]", f"[ads, {name}]")
    assert len(read(text, tmp_path).objects) == 2
    mistake = the_mistake(f"{text}sandbox_mode: true", tmp_path)
    assert name in mistake.what
    assert "sandbox" in mistake.what


def test_the_sandbox_cannot_list_its_accounts(tmp_path: Path) -> None:
    app = "app_id: ${TIKTOK_APP_ID}\napp_secret: ${TIKTOK_APP_SECRET}\nsandbox_mode: true\n"
    mistake = the_mistake(GOOD.replace('["7012345678901234567"]', "all") + app, tmp_path)
    assert mistake.where == "tiktok.yaml:2 advertiser_ids"


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "{", "a: [1\nb: 2", "\t\tx: 1"])
def test_a_file_that_is_no_configuration_is_one_mistake_not_a_crash(text: str, tmp_path: Path) -> None:
    assert "tiktok.yaml" in the_mistake(text, tmp_path).where


def test_a_file_that_is_not_there_or_not_text_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_file(tmp_path / "nowhere.yaml", now=NOW, environment={})
    assert "init" in caught.value.sentence
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(BadInput) as caught:
        read_file(tmp_path / "binary.yaml", now=NOW, environment={})
    assert "UTF-8" in caught.value.sentence


def test_the_first_day_may_be_tomorrow_because_some_account_is_there_already(tmp_path: Path) -> None:
    assert read(GOOD.replace("2026-01-01", "2026-03-02"), tmp_path).start_date == date(2026, 3, 2)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_secret_shows_in_no_text_made_of_it(tmp_path: Path) -> None:
    settings = read(GOOD + "app_id: a\napp_secret: ${TIKTOK_APP_SECRET}", tmp_path)
    secret = settings.access_token
    texts = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret}",
        repr([secret]),
        repr(settings),
        str(settings),
    ]
    for text in texts:
        assert TOKEN not in text
        assert ENVIRONMENT["TIKTOK_APP_SECRET"] not in text
    assert secret.reveal() == TOKEN


def test_a_secret_shows_in_no_traceback_even_with_local_variables() -> None:
    def fails(secret: Secret) -> None:
        raise ValueError(f"something about {secret}")

    try:
        fails(Secret(TOKEN))
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Secret(****)" in shown
    # The one place that holds it here is this module's own constant, which is not a local.
    assert TOKEN not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_cannot_be_written_to_a_file_by_pickling(protocol: int) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TOKEN), protocol)
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(TOKEN))


def test_secrets_are_equal_by_what_they_hold_and_empty_ones_are_false() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")
    assert Secret("a")


@pytest.mark.parametrize("token", [" ", "with space inside", "tök", "a\nb"])
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token: str, tmp_path: Path) -> None:
    mistake = the_mistake(GOOD, tmp_path, ENVIRONMENT | {"TIKTOK_ACCESS_TOKEN": token})
    assert mistake.where == "tiktok.yaml:1 access_token"
    assert token.strip() == "" or token not in str(mistake)


def test_a_history_is_kept_of_lists_that_people_change(tmp_path: Path) -> None:
    wrong = the_mistake(GOOD + "history: [ads, ad_report_daily]\n", tmp_path)
    assert "ad_report_daily' is not a list whose history can be kept" in wrong.what
    assert "ad_groups, ads, campaigns" in wrong.what_to_do
    assert read(GOOD + "history: true\n", tmp_path).history == ("ads",)
