"""One suite over STREAMS: what every object must be, and that no report asks for what TikTok documents as refused."""

from __future__ import annotations

import re

import pytest

from owox_tiktok.model import Kind, Stream
from owox_tiktok.streams import (
    AD_ID_V2,
    AUDIENCE_BREAKDOWNS,
    BASIC_BREAKDOWNS,
    ID_OF,
    MAX_METRICS,
    PRESETS,
    STREAMS,
    default_fields,
    expand,
    find,
    metrics,
)

EVERY = pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda s: s.name)
REPORTS = pytest.mark.parametrize("stream", [s for s in STREAMS.values() if s.is_report], ids=lambda s: s.name)


@EVERY
def test_the_keys_are_fields_and_begin_with_the_advertiser(stream: Stream) -> None:
    assert stream.keys[0] == "advertiser_id"
    assert len(set(stream.keys)) == len(stream.keys)
    assert set(stream.keys) <= set(stream.fields)
    assert stream.fields["advertiser_id"].kind is Kind.ID


@EVERY
def test_the_fields_are_named_described_and_of_a_known_kind(stream: Stream) -> None:
    for name, field in stream.fields.items():
        assert field.name == name
        assert re.fullmatch(r"[a-z0-9_]+", name), name
        assert isinstance(field.kind, Kind)
        assert len(field.description) > 3, name


@EVERY
def test_the_default_fields_exist_and_fit_one_request(stream: Stream) -> None:
    chosen = default_fields(stream)
    assert chosen
    assert set(chosen) <= set(stream.fields)
    if stream.is_report:
        assert len([n for n in chosen if stream.fields[n].origin == "metric"]) <= MAX_METRICS
        assert not [n for n in chosen if stream.fields[n].deprecated]
    assert [f.name for f in stream.columns(chosen)][: len(stream.keys)] == list(stream.keys)


@EVERY
def test_only_what_can_be_summed_is_called_additive(stream: Stream) -> None:
    for field in stream.fields.values():
        if field.additive:
            assert field.kind in (Kind.MONEY, Kind.COUNT), field.name
            assert (
                not re.search(
                    r"(^|_)(rate|ctr|cpc|cpm|roas|avg|average|frequency|reach)(_|$)|^cost_per|cost_per_", field.name
                )
                or field.name == "total_complete_payment_rate"
            ), field.name  # a value, in spite of its name


@EVERY
def test_a_stream_is_found_by_its_name_in_any_spelling(stream: Stream) -> None:
    assert find(stream.name) is stream
    assert find(f" {stream.name.upper().replace('_', '-')} ") is stream
    assert stream.title
    assert stream.description
    assert stream.path.endswith("/")


def test_no_two_streams_share_a_table() -> None:
    tables = [s.table for s in STREAMS.values()]
    assert len(set(tables)) == len(tables)
    assert all(re.fullmatch(r"[a-z0-9_]+", t) for t in tables)


# --- TikTok's rules for reports (fact sheet, sections 9 to 11) --------------------------------------------------------

AUDIENCE = {"gender", "age", "country_code", "province_id", "dma_id", "platform", "language", "ac", "placement",
            "contextual_tag", "interest_category", "interest_category_tier2", "interest_category_tier3",
            "interest_category_tier4", "device_brand_id", "behavior_id", "additional_interests", "hashtag",
            "audience_tags", "purchase_intention"}  # fmt: skip
TIMELESS = {"interest_category", "interest_category_tier2", "interest_category_tier3", "interest_category_tier4",
            "device_brand_id"}  # fmt: skip


@REPORTS
def test_a_report_groups_only_as_tiktok_permits(stream: Stream) -> None:
    assert stream.level is not None
    ids = [d for d in stream.dimensions if d in ID_OF.values()]
    times = [d for d in stream.dimensions if d.startswith("stat_time")]
    splits = [d for d in stream.dimensions if d not in ids and d not in times and d != AD_ID_V2]
    ids += [d for d in stream.dimensions if d == AD_ID_V2]
    assert ids == [AD_ID_V2 if stream.name.startswith("ad_v2_") else ID_OF[stream.level]]
    assert len(times) <= 1
    assert times == ([stream.time] if stream.time and not stream.period else [])
    if stream.report_type == "BASIC":
        assert stream.report is not None
        assert tuple(splits) == (BASIC_BREAKDOWNS[stream.report.split].dimensions if splits else ())
    elif splits == ["bucket_id"]:
        assert times == ["stat_time_hour"]
    else:
        assert len(splits) == 1 or set(splits) == {"gender", "age"}
        assert set(splits) <= AUDIENCE
        assert "stat_time_hour" not in times
        assert not (times and set(splits) & TIMELESS)
    assert set(stream.keys) == {"advertiser_id", *stream.dimensions, *(["first_day"] if stream.period else [])}


@REPORTS
def test_a_report_asks_for_no_more_days_than_tiktok_answers(stream: Stream) -> None:
    longest = {"stat_time_day": 30, "stat_time_hour": 1, "first_day": 31 if stream.period == "month" else 7}
    assert stream.max_days == longest.get(str(stream.time))
    assert stream.page_size == 1000
    assert stream.verb == "replace"


@REPORTS
def test_a_report_offers_only_metrics_of_its_level_and_kind(stream: Stream) -> None:
    for name, field in stream.fields.items():
        if field.origin != "metric":
            continue
        known = metrics()[name]
        assert stream.level in known.levels
        split = {**AUDIENCE_BREAKDOWNS, **BASIC_BREAKDOWNS}
        assert stream.report is not None
        assert stream.report_type in known.reports or split[stream.report.split].offers in known.splits
    if not (stream.level == "advertiser" and stream.time == "stat_time_day" and stream.report_type == "BASIC"
            and len(stream.dimensions) == 2):  # fmt: skip
        assert not {"cash_spend", "voucher_spend"} & set(stream.fields)
    if stream.report_type == "AUDIENCE":
        assert "billed_cost" not in stream.fields
    if stream.level in ("advertiser", "campaign"):
        assert not {"adgroup_name", "ad_name"} & set(stream.fields)


@REPORTS
def test_a_report_with_money_says_in_which_currency(stream: Stream) -> None:
    money, count = ("cost", "campaign_name") if "bucket_id" in stream.dimensions else ("spend", "impressions")
    assert "currency" in [f.name for f in stream.columns([money])]
    assert "currency" not in [f.name for f in stream.columns([count])]


@REPORTS
def test_the_sandbox_has_no_report_of_advertisers_or_by_country(stream: Stream) -> None:
    if stream.level == "advertiser" or (stream.report_type == "BASIC" and "country_code" in stream.dimensions):
        assert not stream.in_sandbox
    if stream.in_sandbox and stream.report_type == "AUDIENCE":
        assert stream.time == "stat_time_day"


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_names_only_metrics_that_tiktok_has(preset: str) -> None:
    assert set(PRESETS[preset]) <= set(metrics())
    assert not [n for n in PRESETS[preset] if metrics()[n].field.deprecated]


@REPORTS
def test_every_preset_means_something_on_every_report(stream: Stream) -> None:
    for preset in PRESETS:
        chosen = expand(stream, preset)
        assert chosen
        assert "spend" in chosen or ("cost" in chosen and "bucket_id" in stream.dimensions)
        assert len(chosen) <= MAX_METRICS


def test_all_and_default_mean_fields_and_an_unknown_word_means_nothing() -> None:
    stream = STREAMS["campaigns"]
    assert set(expand(stream, "all") or ()) == set(stream.fields)
    assert expand(stream, "default") == default_fields(stream)
    assert expand(stream, "performance") is None, "a preset of metrics says nothing about a list"
    assert expand(stream, "nonsense") is None
