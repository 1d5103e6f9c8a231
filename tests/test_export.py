"""Rows in a file: the same as TikTok has, in CSV, Parquet and Excel; whole or not there."""

from __future__ import annotations

import csv
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from owox_tiktok import BadInput, Problem
from owox_tiktok.files import EXCEL_TEXT, save
from owox_tiktok.local.tiktok import Server
from owox_tiktok.model import Kind
from owox_tiktok.streams import STREAMS
from owox_tiktok.testing.kit import ADS, DAILY, Kit, ad, day
from tests.helpers import START, Project, differences, expected
from tests.test_destinations import DuckDBKit


def wanted(server: Server, name: str, columns: list[str]) -> list[dict[str, Any]]:
    stream, world = STREAMS[name], server.world
    return [row for one in server.advertiser_ids for row in expected(world, stream, one, columns, start=START)]


def as_texts(row: dict[str, Any]) -> dict[str, str]:
    """A row as a CSV file has it."""
    return {name: "" if value is None else str(value) for name, value in row.items()}


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_a_report_is_exported_as_tiktok_has_it(ending: str, lasting_tiktok: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, lasting_tiktok, say={"fields": {"ad_report_daily": ["spend", "ad_name", "clicks"]}})
    project.write()
    output = tmp_path / f"ads.{ending}"
    ran = project.cli("export", "ad_report_daily", "-o", str(output))
    assert ran.returncode == 0, ran.stderr
    names = ["advertiser_id", "ad_id", "stat_time_day", "currency", "spend", "ad_name", "clicks"]
    rows = wanted(lasting_tiktok, "ad_report_daily", names)
    assert f"{len(rows):,} rows, 7 columns" in ran.stderr
    assert any(row["ad_name"].startswith("=") for row in rows)
    if ending == "csv":
        with output.open(encoding="utf-8", newline="") as file:
            found: list[dict[str, Any]] = list(csv.DictReader(file))
        assert list(found[0]) == names
        for row in found:
            assert re.fullmatch(r"\d+\.\d\d+", row["spend"])
            row["spend"] = str(Decimal(row["spend"]))
        rows = [as_texts(row) for row in rows]
    elif ending == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        found = parquet.read_table(output).to_pylist()
    else:
        sheet = openpyxl.load_workbook(output)["Data"]
        assert {cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row[:2]} == {"s"}
        assert not [c for row in sheet.iter_rows() for c in row if c.data_type == "f"]
        head, *lines = sheet.iter_rows(values_only=True)
        found = [dict(zip(map(str, head), line, strict=True)) for line in lines]
        for row in found:
            row["stat_time_day"] = row["stat_time_day"].date()
            row["spend"] = Decimal(str(row["spend"]))
    key = as_texts if ending == "csv" else dict
    keys = ("advertiser_id", "ad_id", "stat_time_day")
    assert differences([key(row) for row in found], rows, keys) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([output.name, "tiktok.yaml"])


def test_lists_moments_and_a_choice_of_accounts(lasting_tiktok: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, lasting_tiktok)
    project.write()
    one = lasting_tiktok.advertiser_ids[0]
    ran = project.cli(
        "export", "ad_groups", "--field", "create_time", "--field", "location_ids", "--advertiser", one,
        "-o", "g.xlsx", "--quiet",
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    head, *lines = openpyxl.load_workbook(tmp_path / "g.xlsx")["Data"].iter_rows(values_only=True)
    assert head == ("advertiser_id", "adgroup_id", "create_time", "location_ids")
    assert {line[0] for line in lines} == {one}
    assert all(isinstance(line[2], datetime) and str(line[3]).startswith("[") for line in lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ad_report_daily", "-o", "x.txt"], "ends with none of .csv, .parquet, .xlsx"),
        (["ad_report_daily", "-o", "no/x.csv"], "there is no folder"),
        (["ad_report_dail", "-o", "x.csv"], "Did you mean ad_report_daily?"),
        (["ads", "--field", "nam", "-o", "x.csv"], "there is no field of ads called 'nam'"),
    ],
)
def test_what_cannot_be_exported_is_said_before_anything_is_read(
    words: list[str], said: str, lasting_tiktok: Server, tmp_path: Path
) -> None:
    project = Project(tmp_path, lasting_tiktok)
    project.write()
    before = lasting_tiktok.counts
    ran = project.cli("export", *words)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert lasting_tiktok.counts == before


def test_what_is_not_whole_leaves_the_old_file(tiktok: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, tiktok)
    project.write()
    (tmp_path / "x.csv").write_text("old")
    tiktok.faults.forbidden = {tiktok.advertiser_ids[1]}
    ran = project.cli("export", "ad_report_daily", "-o", "x.csv")
    assert ran.returncode == 1
    assert tiktok.advertiser_ids[1] in ran.stderr
    assert (tmp_path / "x.csv").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiktok.yaml", "x.csv"]


def test_without_a_file_the_environment_says_which_accounts(lasting_tiktok: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, lasting_tiktok)
    ran = project.cli("export", "campaigns", "-o", "c.csv", TIKTOK_ADVERTISER_IDS=lasting_tiktok.advertiser_ids[1])
    assert ran.returncode == 0, ran.stderr
    with (tmp_path / "c.csv").open(newline="") as file:
        assert {row["advertiser_id"] for row in csv.DictReader(file)} == {lasting_tiktok.advertiser_ids[1]}


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return DuckDBKit(tmp_path)


def test_what_excel_cannot_hold_is_an_error_not_less(kit: Kit, tmp_path: Path) -> None:
    long = kit.chunk(ADS, [{"ad_id": "1", "ad_name": "x" * (EXCEL_TEXT + 1)}], fields=["ad_name"])
    with pytest.raises(Problem, match=r"32,768 characters.*\.csv or \.parquet"):
        save(tmp_path / "x.xlsx", long.columns, ADS.keys, [long])
    assert not (tmp_path / "x.xlsx").exists()
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        save(tmp_path / "x.csv", long.columns, ADS.keys, [long])


def test_texts_that_excel_would_run_or_read_as_errors_stay_texts(kit: Kit, tmp_path: Path) -> None:
    texts = ["=1+1", "#N/A", "+1", "00012", "TRUE", "2026-01-01", " ", "a\nb"]
    rows = kit.chunk(ADS, [{"ad_id": str(n), "ad_name": t} for n, t in enumerate(texts)], fields=["ad_name"])
    assert save(tmp_path / "x.xlsx", rows.columns, ADS.keys, [rows]) == len(texts)
    _, *lines = openpyxl.load_workbook(tmp_path / "x.xlsx")["Data"].iter_rows()
    name = [f.name for f in rows.columns].index("ad_name")
    assert [line[name].value for line in lines] == texts
    assert {line[name].data_type for line in lines} == {"s"}


def test_no_rows_are_a_file_with_a_heading(kit: Kit, tmp_path: Path) -> None:
    none = kit.chunk(DAILY, [], (day(1), day(2)))
    some = kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)))
    assert {f.kind for f in none.columns} >= {Kind.ID, Kind.DAY, Kind.MONEY, Kind.RATE}
    for ending in ("csv", "parquet", "xlsx"):
        if ending == "parquet":
            pytest.importorskip("pyarrow")
        assert save(tmp_path / f"x.{ending}", none.columns, DAILY.keys, [none]) == 0
        assert (tmp_path / f"x.{ending}").stat().st_size
        assert save(tmp_path / f"x.{ending}", none.columns, DAILY.keys, [none, some, none]) == 1
