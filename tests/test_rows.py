"""From what TikTok writes to typed values: exact, or refused by name; and through a row file without loss."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok import rows
from owox_tiktok.destinations.duckdb import DuckDB
from owox_tiktok.model import Chunk, Field, Kind
from owox_tiktok.rows import UnexpectedValue, column, typed
from owox_tiktok.spool import Writer, read
from owox_tiktok.streams import STREAMS


def a(kind: Kind) -> Field:
    return Field(f"a_{kind}", kind, "a field of this kind")


def value(kind: Kind, wire: object, *, metric: bool = False) -> Any:
    """The typed value of one wire value."""
    return typed(a(kind), column(a(kind), [wire], metric=metric)[0])


LONG_ID = "7012345678901234567"
HUGE = "12345678901234567890123456789"

GOLDEN: list[tuple[Kind, object, object]] = [
    (Kind.MONEY, "20.00", Decimal("20.00")),
    (Kind.MONEY, "0", Decimal(0)),
    (Kind.MONEY, "0.00", Decimal(0)),
    (Kind.MONEY, "-12.5", Decimal("-12.5")),
    (Kind.MONEY, "0.1234", Decimal("0.1234")),
    (Kind.MONEY, "123456789012345678.123456789", Decimal("123456789012345678.123456789")),
    (Kind.MONEY, "1,234.50", Decimal("1234.50")),
    (Kind.MONEY, "1E+3", Decimal(1000)),
    (Kind.MONEY, 1000.1, Decimal("1000.1")),
    (Kind.MONEY, Decimal("0.10"), Decimal("0.1")),
    (Kind.MONEY, 50, Decimal(50)),
    (Kind.MONEY, "-", None),
    (Kind.MONEY, "", None),
    (Kind.MONEY, None, None),
    (Kind.RATE, "1.18", Decimal("1.18")),
    (Kind.RATE, ".5", Decimal("0.5")),
    (Kind.RATE, "-", None),
    (Kind.COUNT, "5830", 5830),
    (Kind.COUNT, "0", 0),
    (Kind.COUNT, 7, 7),
    (Kind.COUNT, "12.00", 12),
    (Kind.COUNT, 12.0, 12),
    (Kind.COUNT, "-3", -3),
    (Kind.COUNT, "007", 7),
    (Kind.COUNT, "9007199254740993", 9007199254740993),
    (Kind.COUNT, "<5", None),
    (Kind.COUNT, "-", None),
    (Kind.ID, LONG_ID, LONG_ID),
    (Kind.ID, int(LONG_ID), LONG_ID),
    (Kind.ID, HUGE, HUGE),
    (Kind.ID, "0012", "0012"),
    (Kind.ID, "-", None),
    (Kind.ID, "", None),
    (Kind.TEXT, "=SUM(A1)", "=SUM(A1)"),
    (Kind.TEXT, "", ""),
    (Kind.TEXT, "-", "-"),
    (Kind.TEXT, " Весна 🌞 \n", " Весна 🌞 \n"),
    (Kind.TEXT, "a\tb\r\nc\rd\n", "a\tb\nc\nd\n"),
    (Kind.TEXT, "\x1b[31mred\x07 \x9b0m é\x00\x7f", "\ufffd[31mred\ufffd \ufffd0m é\ufffd\ufffd"),
    (Kind.ID, "7\x1b", "7\ufffd"),
    (Kind.JSON, ["\x1b[2J\x00\x08", "\r\n\t"], ["\ufffd[2J\ufffd\ufffd", "\n\n\t"]),
    (Kind.JSON, ["\\u0000\x85"], ["\\u0000\ufffd"]),
    (Kind.TEXT, True, "true"),
    (Kind.TEXT, 0, "0"),
    (Kind.TEXT, None, None),
    (Kind.BOOLEAN, True, True),
    (Kind.BOOLEAN, False, False),
    (Kind.BOOLEAN, 1, True),
    (Kind.BOOLEAN, 0, False),
    (Kind.BOOLEAN, "1", True),
    (Kind.BOOLEAN, "0", False),
    (Kind.BOOLEAN, "TRUE", True),
    (Kind.BOOLEAN, "ON", True),
    (Kind.BOOLEAN, "-", None),
    (Kind.DAY, "2026-01-31 00:00:00", date(2026, 1, 31)),
    (Kind.DAY, "2026-01-31", date(2026, 1, 31)),
    (Kind.HOUR, "2026-03-29 02:00:00", datetime(2026, 3, 29, 2)),
    (Kind.INSTANT, 1_600_000_000, datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
    (Kind.INSTANT, "1600000000", datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
    (Kind.INSTANT, "2020-09-13 12:26:40", datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
    (Kind.INSTANT, "2020-09-13T12:26:40Z", datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
    (Kind.INSTANT, "2020-09-13T14:26:40+02:00", datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
    (Kind.INSTANT, 0, None),
    (Kind.INSTANT, "", None),
    (Kind.INSTANT, None, None),
    (Kind.JSON, ["a", "б"], ["a", "б"]),
    (Kind.JSON, [], []),
    (Kind.JSON, {"a": [1, None, True]}, {"a": [1, None, True]}),
    (Kind.JSON, {"duration": Decimal("15.2")}, {"duration": 15.2}),
    (Kind.JSON, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "wire", "meant"), GOLDEN, ids=lambda v: repr(v)[:40])
def test_what_tiktok_writes_becomes_what_it_means(kind: Kind, wire: object, meant: object) -> None:
    found = value(kind, wire)
    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize("kind", Kind)
def test_a_dash_is_no_value_in_every_metric(kind: Kind) -> None:
    assert value(kind, "-", metric=True) is None
    assert column(a(kind), ["-", None, "-"], metric=True) == [None, None, None]


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        (Kind.MONEY, "twenty"), (Kind.MONEY, "NaN"), (Kind.MONEY, "Infinity"), (Kind.MONEY, "1.2.3"),
        (Kind.MONEY, "$5"), (Kind.MONEY, "1.000.00"), (Kind.COUNT, "1\n2"),
        (Kind.MONEY, True), (Kind.MONEY, [1]), (Kind.RATE, "5%"), (Kind.RATE, float("nan")), (Kind.RATE, "--"),
        (Kind.COUNT, "5.5"), (Kind.COUNT, "many"), (Kind.COUNT, 0.1), (Kind.COUNT, False), (Kind.COUNT, {"a": 1}),
        (Kind.BOOLEAN, "perhaps"), (Kind.BOOLEAN, 2), (Kind.DAY, "31.01.2026"), (Kind.DAY, "today"),
        (Kind.DAY, "2026-01-31x"), (Kind.DAY, "2026-13-45"), (Kind.HOUR, "2026-01-31"), (Kind.HOUR, "noon"),
        (Kind.HOUR, "2026-01-31 25:00:00"), (Kind.INSTANT, "yesterday"), (Kind.INSTANT, 10**20),
        # Numbers that no column holds, some of which would fill the memory when written out.
        (Kind.MONEY, "1" * 30), (Kind.MONEY, Decimal("1e999999999")), (Kind.COUNT, "9" * 19),
        (Kind.COUNT, -(2**63) - 1), (Kind.INSTANT, Decimal("1e999999999")),
        pytest.param(Kind.MONEY, 10**5000, id="endless"), pytest.param(Kind.JSON, [10**5000], id="endless in JSON"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [[], ["-"], ["5", "7"], ["5.00"]])
def test_nonsense_is_refused_with_the_name_of_the_field(kind: Kind, wire: object, beside: list[object]) -> None:
    with pytest.raises(UnexpectedValue) as caught:
        column(a(kind), [*beside, wire], metric=True)
    assert a(kind).name in caught.value.sentence
    assert caught.value.what_to_do


# Whole columns take a short way where everything looks usual; the short way must say the same.
usual = {
    Kind.MONEY: st.decimals(-10**12, 10**12, places=4).map(str),
    Kind.RATE: st.decimals(0, 100, places=2).map(str),
    Kind.COUNT: st.integers(0, 10**15).map(str),
    Kind.ID: st.integers(10**17, 10**19).map(str),
    Kind.TEXT: st.text(),
    Kind.BOOLEAN: st.booleans(),
    Kind.DAY: st.dates(date(2016, 1, 1)).map(lambda d: f"{d} 00:00:00"),
    Kind.HOUR: st.dates(date(2016, 1, 1)).map(lambda d: f"{d} 07:00:00"),
    Kind.INSTANT: st.integers(1, 2_000_000_000),
    Kind.JSON: st.lists(st.text(max_size=5), max_size=3),
}  # fmt: skip
unusual = st.sampled_from([None, "-", "", "0", "-0", "+5", " 7 ", "1e3", "1,5", "²", "٣", "٣.٥", "<5", 5, 5.5, True,
                           "5,6",
                           "1\n2", ".", "-.", "5.", "1-2", "--", "\n", "1\n", "\x1b[31m", "é\x85", "a\r\nb",
                           "9" * 19, "9" * 30])  # fmt: skip


@given(data=st.data(), kind=st.sampled_from(list(Kind)), metric=st.booleans())
def test_a_column_is_converted_as_its_values_would_be_one_by_one(data: st.DataObject, kind: Kind, metric: bool) -> None:
    values = data.draw(st.lists(st.one_of(usual[kind], usual[kind], unusual), max_size=8))
    try:
        careful = rows._CANONICAL[kind]
        none = [None, "-"] if metric else [None]
        one_by_one: list[str | None] | None = [None if v in none else careful(a(kind), v) for v in values]
    except UnexpectedValue:
        one_by_one = None
    if one_by_one is None:
        with pytest.raises(UnexpectedValue):
            column(a(kind), values, metric=metric)
        return
    together = column(a(kind), values, metric=metric)
    assert [typed(a(kind), t) for t in together] == [typed(a(kind), t) for t in one_by_one]


@given(st.lists(st.decimals(-(10**20), 10**20, allow_nan=False, allow_infinity=False, places=9)))
def test_money_is_exact_whatever_its_scale(amounts: list[Decimal]) -> None:
    texts = column(a(Kind.MONEY), [str(amount) for amount in amounts])
    assert [typed(a(Kind.MONEY), t) for t in texts] == amounts
    assert sum((typed(a(Kind.MONEY), t) for t in texts), Decimal(0)) == sum(amounts, Decimal(0))


@given(st.one_of(st.floats(-1e15, 1e15), st.integers(-(10**18), 10**18)))
def test_a_json_number_keeps_exactly_the_digits_it_was_written_with(number: float) -> None:
    written = json.dumps(number)
    for wire in (json.loads(written, parse_float=Decimal), number):
        # Nine decimals are kept, as the column in the warehouse has them.
        assert abs(value(Kind.MONEY, wire) - Decimal(written)) <= Decimal("0.5e-9")
        if Decimal(written) == round(Decimal(written), 9):
            assert value(Kind.MONEY, wire) == Decimal(written)


def test_an_amount_with_more_digits_than_a_number_usually_has_is_still_read() -> None:
    written = "12345678901234567890.1234567891"
    assert abs(value(Kind.MONEY, Decimal(written)) - Decimal(written)) <= Decimal("0.5e-9")


@given(st.integers(0, 10**25), st.integers(1, 30))
def test_ids_keep_every_digit_and_leading_zeros(number: int, width: int) -> None:
    assert value(Kind.ID, f"{number:0{width}}") == f"{number:0{width}}"


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 4, 14 * 4))
def test_a_moment_is_the_same_moment_in_every_way_of_writing_it(naive: datetime, quarters: int) -> None:
    moment = naive.replace(microsecond=0, tzinfo=UTC)
    offset = timedelta(minutes=15 * quarters)
    sign, shifted = "-" if offset < timedelta() else "+", moment + offset
    zone = f"{sign}{abs(quarters) // 4:02}:{abs(quarters) % 4 * 15:02}"
    ways = [f"{moment:%Y-%m-%d %H:%M:%S}", f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{shifted:%Y-%m-%dT%H:%M:%S}{zone}",
            int(moment.timestamp())]  # fmt: skip
    assert {value(Kind.INSTANT, way) for way in ways} == {moment}


# --- through a row file -----------------------------------------------------------------------------------------------

COLUMNS = tuple(a(kind) for kind in Kind)
texts = st.one_of(
    st.none(),
    st.sampled_from(["", '"', '""', ",", "\n", "\r", "\r\n", "\n\n", "\\", "=1+1", "+1", "@x", "NULL", "null", "-", " ",
                     "\t",
                     "a,b\nc", 'он сказал "да"', "\\n", "\u2028", "\x85", "\ufeff", "🌞", "'", "0", "\x1c", "\x0b"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
)  # fmt: skip
canonical = st.fixed_dictionaries(
    {
        Kind.ID: st.one_of(st.none(), st.integers(0, 10**19).map(str)),
        Kind.TEXT: texts,
        Kind.MONEY: st.one_of(st.none(), st.decimals(-(10**12), 10**12, places=4).map(lambda d: f"{d:f}")),
        Kind.RATE: st.one_of(st.none(), st.decimals(0, 10**6, places=9).map(lambda d: f"{d:f}")),
        Kind.COUNT: st.one_of(st.none(), st.integers(-(2**62), 2**62).map(str)),
        Kind.BOOLEAN: st.sampled_from([None, "true", "false"]),
        Kind.DAY: st.one_of(st.none(), st.dates(date(2000, 1, 1)).map(str)),
        Kind.HOUR: st.one_of(st.none(), st.dates(date(2000, 1, 1)).map(lambda d: f"{d} 23:00:00")),
        Kind.INSTANT: st.one_of(st.none(), st.dates(date(2000, 1, 1)).map(lambda d: f"{d} 12:30:05+00")),
        Kind.JSON: st.one_of(st.none(), texts.map(lambda t: json.dumps({"a": [t]}, ensure_ascii=False))),
    }
)


def spooled(given_rows: list[dict[Kind, str | None]], path: Path) -> Writer:
    writer = Writer(path, COLUMNS)
    half = len(given_rows) // 2
    for part in (given_rows[:half], given_rows[half:]):  # two pages
        writer.append([[row[kind] for row in part] for kind in Kind])
    writer.close()
    return writer


@given(given_rows=st.lists(canonical, max_size=6))
def test_rows_come_out_of_the_row_file_as_they_went_in(
    given_rows: list[dict[Kind, str | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    assert spooled(given_rows, path).rows == len(given_rows)
    meant = [{f.name: typed(f, row[f.kind]) for f in COLUMNS} for row in given_rows]
    assert list(read(path, COLUMNS)) == meant


@given(given_rows=st.lists(canonical, min_size=1, max_size=6))
def test_rows_reach_duckdb_as_they_went_into_the_row_file(
    given_rows: list[dict[Kind, str | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows_for_duckdb.csv"
    writer = spooled(given_rows, path)
    chunk = Chunk(STREAMS["ads"], "1", None, COLUMNS, path, writer.rows, None, writer.seals, datetime.now(UTC))
    with duckdb.connect() as connection, DuckDB(connection, ":memory:") as destination:
        picked = ", ".join(
            f"CAST(\"{f.name}\" AT TIME ZONE 'UTC' AS TIMESTAMP)" if f.kind is Kind.INSTANT else f'"{f.name}"'
            for f in COLUMNS
        )
        found = connection.execute(f"SELECT {picked} FROM {destination._incoming([chunk])}").fetchall()
    for got, row in zip(found, given_rows, strict=True):
        for field, have in zip(COLUMNS, got, strict=True):
            want = typed(field, row[field.kind])
            if field.kind is Kind.INSTANT and have is not None:
                have = have.replace(tzinfo=UTC)
            if field.kind is Kind.JSON and have is not None:
                have = json.loads(have)
            assert have == want, field.name


@pytest.mark.parametrize("beside", [[], ["2.5"], ["-"]])
def test_nine_decimals_are_kept_and_the_tenth_is_rounded(beside: list[str]) -> None:
    spend = STREAMS["ad_report_daily"].fields["spend"]
    texts = column(spend, ["1.123456789", "1.1234567894", "1.1234567896", *beside], metric=True)
    assert texts[:3] == ["1.123456789", "1.123456789", "1.12345679"]
