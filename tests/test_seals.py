"""Seals: the same from Python, from DuckDB and from BigQuery, whatever the values and in whatever order they are."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from owox_tiktok.destinations.duckdb import DuckDB
from owox_tiktok.dialects import DUCKDB
from owox_tiktok.model import Chunk, Field, Kind, Seal
from owox_tiktok.rows import column
from owox_tiktok.spool import Writer
from owox_tiktok.testing.kit import ADS, AT, DAILY, Row, ad, day
from owox_tiktok.trust.seals import NOTHING, Tally, by_month, of_recount, recount_sql, together
from tests import bigquery

KINDS = tuple(Field(f"a_{kind}", kind, "a field of this kind") for kind in Kind)
COLUMNS = (
    Field("stat_time_day", Kind.DAY, "the day"),
    Field("advertiser_id", Kind.ID, "the account"),
    *KINDS,
    Field("spend", Kind.MONEY, "summed"),
    Field("impressions", Kind.COUNT, "summed"),
)
texts = st.one_of(
    st.none(),
    st.sampled_from(["", '"', '""', ",", "\n", "\\", "=1+1", "NULL", "-", " ", "\t", "a,b\nc", "\u2028", "🌞", "007"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12),
)
amounts = st.one_of(
    st.none(),
    st.sampled_from(["0", "-0.00", "12.5", "12.50", "7.100", "0.123456789", "-3", "1E+3", "999999999999.999999999"]),
    st.decimals(-(10**12), 10**12, places=4).map(str),
)
counts = st.one_of(st.none(), st.integers(-(2**62), 2**62).map(str), st.sampled_from(["0", "007", "12.00"]))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}")
wire = st.fixed_dictionaries(
    {
        "stat_time_day": st.integers(1, 3).map(lambda n: f"{day(n)} 00:00:00"),
        "advertiser_id": st.just("1"),
        "a_id": st.one_of(st.none(), st.integers(0, 10**19).map(str)),
        "a_text": texts,
        "a_money": amounts,
        "a_rate": amounts,
        "a_count": counts,
        "a_boolean": st.sampled_from([None, True, False]),
        "a_day": st.one_of(st.none(), st.dates(date(2000, 1, 1)).map(str)),
        "a_hour": st.one_of(st.none(), moments),
        "a_instant": st.one_of(st.none(), moments),
        "a_json": st.one_of(st.none(), st.lists(texts, max_size=3), st.dictionaries(st.text("ab"), counts, max_size=3)),
        "spend": amounts,
        "impressions": counts,
    }
)


def canonical(rows: list[Row], columns: tuple[Field, ...] = COLUMNS) -> list[list[str | None]]:
    return [column(f, [row[f.name] for row in rows]) for f in columns]


def sealed(rows: list[Row], columns: tuple[Field, ...] = COLUMNS) -> dict[date | None, Seal]:
    tally = Tally(columns, "stat_time_day")
    tally.add(canonical(rows, columns))
    return tally.seals()


@given(rows=st.lists(wire, min_size=1, max_size=6), chance=st.randoms(use_true_random=False))
def test_duckdb_finds_the_seals_that_the_row_file_has(
    rows: list[Row], chance: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    writer = Writer(tmp_path_factory.getbasetemp() / "sealed.csv", COLUMNS, "stat_time_day")
    for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        writer.append(canonical(part))
    writer.close()
    chunk = Chunk(DAILY, "1", None, COLUMNS, writer.path, writer.rows, None, writer.seals, AT)
    shuffled = chance.sample(COLUMNS, len(COLUMNS))
    with duckdb.connect() as connection, DuckDB(connection, ":memory:") as destination:
        types = ", ".join(f"{f.name} {DUCKDB.types[f.kind]}" for f in shuffled)
        names = ", ".join(f.name for f in shuffled)
        connection.execute(f"CREATE TABLE {DAILY.table} ({types}, mine VARCHAR DEFAULT 'a column of a person')")
        connection.execute(
            f"INSERT INTO {DAILY.table} ({names}) SELECT {names} FROM {destination._incoming([chunk])} ORDER BY 1, 2"
        )
        sql = recount_sql(DUCKDB, DAILY, chance.sample(COLUMNS, len(COLUMNS)), {f.name for f in COLUMNS}, "TRUE")
        found = of_recount(DAILY, connection.execute(sql).fetchall())
    assert found == {"1": writer.seals}


@given(rows=st.lists(wire, min_size=1, max_size=6), chance=st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_that_of_columns_matters(rows: list[Row], chance: random.Random) -> None:
    columns = tuple(chance.sample(COLUMNS, len(COLUMNS)))
    assert sealed(chance.sample(rows, len(rows)), columns) == sealed(rows)


@given(rows=st.lists(wire, min_size=2, max_size=6))
def test_seals_add_up(rows: list[Row]) -> None:
    whole = together(sealed(rows).values())
    parts = [seal for row in rows for seal in sealed([row]).values()]
    assert together(parts) == whole
    assert by_month(sealed(rows)) == {date(2026, 1, 1): whole}
    assert together([whole, NOTHING]) == whole


@given(row=wire, name=st.sampled_from([f.name for f in KINDS]), other=wire)
def test_another_value_in_any_column_makes_another_seal(row: Row, name: str, other: Row) -> None:
    changed = {**row, name: other[name]}
    field = next(f for f in COLUMNS if f.name == name)
    before, after = column(field, [row[name], changed[name]])
    if field.kind is Kind.JSON:  # the order of its characters does not count
        before, after = (text and "".join(sorted(text)) for text in (before, after))
    assert (sealed([row]) != sealed([changed])) == (before != after)


def test_a_row_that_is_there_twice_does_not_vanish_from_the_fingerprint() -> None:
    row: dict[str, Any] = {f.name: None for f in COLUMNS} | {"stat_time_day": f"{day(1)} 00:00:00", "spend": "2.50"}
    once, twice = sealed([row])[day(1)], sealed([row, row])[day(1)]
    assert (twice.rows, twice.spend) == (2, Decimal(5))
    assert twice.fingerprint == 2 * once.fingerprint % 2**64


def test_null_is_not_the_empty_text_and_a_comma_is_no_border() -> None:
    columns = (Field("a", Kind.TEXT, ""), Field("b", Kind.TEXT, ""))
    different = [(None, None), ("", None), (None, ""), ("", ""), (",", None), (None, ","), ("a", "b"), ('a","b', ""),
                 ('"', None), ('""', None), ("1", "2"), ("1,2", None)]  # fmt: skip
    prints = set()
    for a, b in different:
        tally = Tally(columns, None)
        tally.add([[a], [b]])
        prints.add(tally.seals()[None].fingerprint)
    assert len(prints) == len(different)


@bigquery.needs_emulator
def test_bigquery_finds_the_seals_that_the_row_file_has(tmp_path: Path) -> None:
    kit = bigquery.BigQueryKit(tmp_path, f"d_{uuid.uuid4().hex}", bigquery.begin())
    chance = random.Random(7)
    rows = [
        ad(n, chance.randrange(1, 4), ad_name=chance.choice(["a", "", 'say "x"', "two\nlines", "🌞", "007", "7"]),
           spend=f"{chance.randrange(-(10**9), 10**9) / 10**4}", ctr=chance.choice(["0", "12.5", "0.123456789", "-"]))
        for n in range(60)
    ]  # fmt: skip
    kit.store(kit.chunk(DAILY, rows, (day(1), day(3))))
    times = [datetime(2026, 3, 29, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**6)) for _ in range(20)]
    ads = [
        {"ad_id": f"17{n}", "create_time": f"{at:%Y-%m-%d %H:%M:%S}", "is_aco": chance.choice([True, False, None])}
        for n, at in enumerate(times)
    ]
    kit.store(kit.chunk(ADS, ads))
    assert [kit.damaged(DAILY), kit.damaged(ADS)] == [[], []]
    assert sum(one.seal.rows for one in kit.seals(DAILY).values()) == 60
