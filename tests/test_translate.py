"""Another loader's configuration becomes ours: it means the same, holds no secret, and passes our own reader."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok.cli.group import cli
from owox_tiktok.config_file import read_settings
from owox_tiktok.errors import BadInput
from owox_tiktok.settings import Settings
from owox_tiktok.translate import Translation, translate

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = "fedcba9876543210fedcba9876543210fedcba98"
SECRET = "0123456789abcdef0123456789abcdef01234567"
ENVIRONMENT = {"TIKTOK_ACCESS_TOKEN": TOKEN, "TIKTOK_APP_ID": "42", "TIKTOK_APP_SECRET": SECRET}

AIRBYTE = {
    "credentials": {"auth_type": "oauth2.0", "app_id": "7000001", "secret": SECRET, "access_token": TOKEN},
    "start_date": "2026-01-01",
    "end_date": "2026-02-01",
    "attribution_window": 3,
    "include_deleted": True,
    "report_granularity": 30,
}
CATALOGUE = {
    "streams": [
        {
            "stream": {
                "name": "ads_reports_daily",
                "json_schema": {
                    "properties": {
                        "ad_id": {"type": "integer"},
                        "metrics": {"properties": {"spend": {}, "clicks": {}, "reach": {}, "not_a_metric": {}}},
                        "dimensions": {"properties": {"ad_id": {}}},
                    }
                },
            },
            "sync_mode": "incremental",
        },
        {"stream": {"name": "AdGroupsByCountryDaily"}},
        {"stream": {"name": "campaigns"}},
        {"stream": {"name": "audiences"}, "config": {"selected": False}},
        {"stream": {"name": "reservation_ads"}},
    ]
}
DAGSTER = """\
type: dagster_component_templates.TikTokAdsIngestionComponent
attributes:
  asset_name: tiktok_ads_performance
  access_token: "${TIKTOK_ACCESS_TOKEN}"
  advertiser_ids: "1234567890,9876543210"
  resources: "advertisers,campaigns,ad_groups,ads,reports"
  start_date: "2026-01-01"
  end_date: "2026-02-28"
  report_type: "BASIC"
  data_level: "AUCTION_AD"
  metrics: "spend,impressions,conversions,video_watched_6s"
  destination: "snowflake"
  destination_config: '{"credentials": "snowflake://user:hunter2@account/db"}'
"""
OWOX_CSV = f"""\
Parameter,Value,Description
Advertiser IDs*,"701, 702",Ids
Start Date*,2026-01-01,First day
Access Token,{TOKEN},
Data Level,AUCTION_CAMPAIGN,
Reimport Lookback Window,2,
Clean Up To Keep Window,400,
Sandbox Mode,FALSE,
Fields,"ad_insights spend, ad_insights cost, ad_insights video_views, campaigns campaign_name",
"""
OWOX_JSON = {
    "connector": {
        "source": {
            "name": "TikTokAds",
            "configuration": [
                {
                    "AuthType": {"oauth2": {"AccessToken": TOKEN, "AppId": "1", "AppSecret": SECRET}},
                    "AdvertiserIDs": "701;702",
                    "DataLevel": "AUCTION_ADGROUP",
                    "ReimportLookbackWindow": 2,
                    "IncludeDeleted": False,
                    "StartDate": {"value": "2026-01-05"},
                    "CreateEmptyTables": True,
                }
            ],
            "node": "ad_insights",
            "fields": ["adgroup_id", "stat_time_day", "spend", "clicks"],
        }
    }
}
OWOX_LINES = f"""\
# exported
AccessToken={TOKEN}
AdvertiserIDs=701
StartDate=2026-01-01
Fields=ad_insights spend,ads ad_name
"""
SINGER = {
    "access_token": TOKEN,
    "start_date": "2026-01-01T00:00:00Z",
    "user_agent": "me",
    "accounts": [123456789012345678901, 123],
    "sandbox": "true",
    "request_timeout": 300,
}


def translated(*files: object) -> Translation:
    named = [(f"file{n}", one if isinstance(one, str) else json.dumps(one, indent="\t")) for n, one in enumerate(files)]
    return translate(named, now=NOW)


def read(result: Translation) -> Settings:
    return read_settings(result.text, "tiktok.yaml", now=NOW, environment=ENVIRONMENT)


@pytest.mark.parametrize(
    "files",
    [(AIRBYTE,), (AIRBYTE, CATALOGUE), (CATALOGUE, AIRBYTE), (DAGSTER,), (OWOX_CSV,), (OWOX_JSON,), (OWOX_LINES,),
     (SINGER,)],
    ids=["Airbyte", "with catalogue", "the other way", "Dagster", "OWOX as CSV", "OWOX", "OWOX as lines", "Singer"],
)  # fmt: skip
def test_the_result_passes_our_own_reader_and_holds_no_secret(files: tuple[object, ...]) -> None:
    result = translated(*files)
    assert read(result).access_token.reveal() == TOKEN
    for secret in (TOKEN, SECRET, "hunter2"):
        assert secret not in result.text
        assert not any(secret in sentence for sentence in result.left_out)


def test_an_airbyte_connector_with_its_catalogue() -> None:
    settings = read(result := translated(AIRBYTE, CATALOGUE))
    assert (settings.start_date, settings.end_date) == (date(2026, 1, 1), date(2026, 2, 1))
    assert settings.reimport_lookback_window == 3
    assert settings.advertiser_ids == (), "an authorisation covers all its accounts"
    assert settings.app_secret.reveal() == SECRET
    names = ["campaigns", "ad_group_report_daily_by_country", "ad_report_daily"]
    assert [s.name for s in settings.objects] == names
    assert settings.fields["ad_report_daily"] == ("spend", "clicks", "reach")
    comments = "\n".join(result.left_out)
    for words in ("report_granularity", "reservation_ads", "ad_report_daily.not_a_metric", "advertiser_ids"):
        assert words in comments


def test_an_airbyte_sandbox_and_its_api_form() -> None:
    sandbox = {"auth_type": "sandbox_access_token", "advertiser_id": "7012345678901234567", "access_token": TOKEN}
    connection = {
        "name": "TikTok",
        "configuration": {"credentials": sandbox, "start_date": "2026-01-01"},
        "configurations": {
            "streams": [
                {"name": "advertisers_reports_daily", "syncMode": "incremental_append"},
                {"name": "ads", "selectedFields": [{"fieldPath": ["ad_name"]}, {"fieldPath": ["landing_page_url"]}]},
            ]
        },
    }
    settings = read(result := translated(connection))
    assert settings.sandbox_mode
    assert settings.advertiser_ids == ("7012345678901234567",)
    assert [s.name for s in settings.objects] == ["ads"]
    assert settings.fields["ads"] == ("ad_name", "landing_page_url")
    assert any("sandbox" in sentence for sentence in result.left_out)


def test_a_dagster_component() -> None:
    settings = read(result := translated(DAGSTER))
    assert settings.advertiser_ids == ("1234567890", "9876543210")
    assert [s.name for s in settings.objects] == ["advertisers", "campaigns", "ad_groups", "ads", "ad_report_daily"]
    assert settings.fields["ad_report_daily"] == ("spend", "impressions", "conversion", "video_watched_6s")
    assert settings.destination.startswith("duckdb://")
    assert any(sentence.startswith("destination:") for sentence in result.left_out)


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"data_level": "AUCTION_CAMPAIGN"}, "campaign_report_daily"),
        ({}, "campaign_report_daily"),
        ({"data_level": "AUCTION_ADGROUP", "dimensions": ["adgroup_id", "stat_time_hour"]}, "ad_group_report_hourly"),
        ({"dimensions": '["ad_id"]', "query_lifetime": True}, "ad_report_lifetime"),
        ({"dimensions": "ad_id,stat_time_day,country_code"}, "ad_report_daily_by_country"),
        ({"data_level": "AUCTION_ADVERTISER", "dimensions": ["stat_time_day"]}, "advertiser_report_daily"),
        ({"dimensions": ["advertiser_id", "ad_id", "stat_time_day"]}, "ad_report_daily"),
        (
            {"report_type": "AUDIENCE", "dimensions": ["ad_id", "age", "gender", "stat_time_day"]},
            "ad_audience_report_daily_by_age_gender",
        ),
        (
            {"report_type": "AUDIENCE", "data_level": "AUCTION_AD", "dimensions": ["ad_id", "interest_category"]},
            "ad_audience_report_lifetime_by_interest",
        ),
        ({"report_type": "AUDIENCE", "data_level": "AUCTION_AD"}, "ad_audience_report_daily_by_age_gender"),
    ],
)
def test_a_report_is_found_by_its_type_level_and_dimensions(attributes: dict[str, Any], name: str) -> None:
    component = {"resources": "reports", "advertiser_ids": "1", "start_date": "2026-01-01", **attributes}
    assert translated({"type": "x", "attributes": component}).objects == (name,)


@pytest.mark.parametrize(
    "attributes",
    [
        {"report_type": "PLAYABLE_MATERIAL", "dimensions": ["playable_id"]},
        {"report_type": "AUDIENCE", "dimensions": ["ad_id", "interest_category", "stat_time_day"]},
        {"dimensions": ["ad_id", "search_terms"]},
    ],
)
def test_a_report_that_is_not_here_is_said_in_a_comment(attributes: dict[str, Any]) -> None:
    component = {"resources": "campaigns,reports", "advertiser_ids": "1", "start_date": "2026-01-01", **attributes}
    result = translated({"attributes": component})
    assert result.objects == ("campaigns",)
    assert any(sentence.startswith("report:") for sentence in result.left_out)
    assert "# - report:" in result.text


def test_a_sheet_of_owox_and_its_data_level() -> None:
    settings = read(translated(OWOX_CSV))
    assert settings.advertiser_ids == ("701", "702")
    assert [s.name for s in settings.objects] == ["campaigns", "campaign_report_daily"]
    assert settings.fields["campaign_report_daily"] == ("spend", "video_play_actions")
    assert (settings.reimport_lookback_window, settings.clean_up_to_keep_window) == (2, 400)


def test_a_connector_of_owox() -> None:
    settings = read(result := translated(OWOX_JSON))
    assert [s.name for s in settings.objects] == ["ad_group_report_daily"]
    assert settings.fields["ad_group_report_daily"] == ("spend", "clicks")
    assert settings.start_date == date(2026, 1, 5)
    assert settings.include_deleted is False
    assert any("CreateEmptyTables" in sentence for sentence in result.left_out)


def test_ids_keep_all_their_digits_and_a_moment_becomes_its_day() -> None:
    settings = read(translated(SINGER))
    assert settings.advertiser_ids == ("123456789012345678901", "123")
    assert settings.start_date == date(2026, 1, 1)
    assert settings.sandbox_mode


def test_an_address_of_ingestr_and_its_table() -> None:
    address = f"tiktok://?access_token={TOKEN}&advertiser_ids=701,702&timezone=UTC"
    asset = "parameters:\n  source_connection: mine\n  source_table: 'custom:campaign_id,stat_time_day:clicks,cost'\n"
    result = translated(address, asset)
    assert result.objects == ("campaign_report_daily",)
    assert read(result).fields["campaign_report_daily"] == ("clicks", "spend")
    assert TOKEN not in result.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ('{"start_date": ', "cannot be read"),
        ("a: [1\nb: 2", "cannot be read as YAML"),
        ("just words", "no setting"),
        ('{"unrelated": 1}', "no setting"),
        ('{"start_date": "soon", "accounts": [1]}', "'soon' is not a day"),
        ('{"start_date": "2031-01-01", "accounts": [1]}', "future"),
        ('{"attribution_window": 400, "accounts": [1]}', "out of range"),
        ('{"accounts": ["7x"]}', "not an advertiser id"),
        (f'{{"access_token": "{TOKEN}", "accounts": ["{TOKEN}"]}}', "a secret where"),
        ('{"start_date": ' + "[" * 60 + "]" * 60 + "}", "nested too deep"),
    ],
)
def test_a_file_that_cannot_be_translated_is_one_clear_sentence(text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        translated(text)
    assert words in caught.value.sentence
    assert caught.value.sentence.startswith("file0")
    assert TOKEN not in caught.value.sentence


WORDS = """
credentials attributes streams stream name json_schema properties metrics config selectedFields
fieldPath fields node resources report_type data_level dimensions source_table configuration value
start_date accounts access_token AuthType destination query_lifetime objects custom
"""
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.just(TOKEN), st.just("2026-01-01"))
KEYS = st.one_of(
    st.sampled_from(WORDS.split()),
    st.text(max_size=8),
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5))


@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=6))
def test_whatever_a_file_holds_it_is_translated_or_refused_in_words(tree: dict[str, Any]) -> None:
    refused: BadInput | None = None
    try:
        result = translated(tree)
    except BadInput as error:
        refused = error
    if refused:
        assert all(m.where and m.what and m.what_to_do for m in refused.mistakes)
        assert "\n" not in "".join(str(m) for m in refused.mistakes)
        return
    assert read(result).objects
    if tree.get("access_token") == TOKEN:
        assert TOKEN not in result.text


def test_the_command_writes_the_file_once_and_says_what_is_left_out(tmp_path: Path) -> None:
    source, target = tmp_path / "airbyte.json", tmp_path / "tiktok.yaml"
    source.write_text(json.dumps(AIRBYTE))
    done = CliRunner().invoke(cli, ["init", str(target), "--from", str(source)])
    assert done.exit_code == 0, done.output
    assert "5 objects" in done.output
    assert "no equivalent" in done.output
    before = target.read_text()
    assert TOKEN not in before + done.output
    again = CliRunner().invoke(cli, ["init", str(target), "--from", str(source)])
    assert again.exit_code == 2
    assert "already exists" in again.output
    assert target.read_text() == before
    gone = CliRunner().invoke(cli, ["init", str(tmp_path / "b.yaml"), "--from", str(tmp_path / "nowhere.json")])
    assert gone.exit_code == 2
    assert "cannot be read" in gone.output
    assert not (tmp_path / "b.yaml").exists()
