"""Parquet: the promises of every destination in a folder, some of them in a bucket, and what is its own."""

from __future__ import annotations

import subprocess
import time
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from owox_tiktok.destinations import open_destination
from owox_tiktok.errors import BadInput, StoreBusy
from owox_tiktok.local.tiktok import Server
from owox_tiktok.model import CountsRows
from owox_tiktok.streams import STREAMS
from owox_tiktok.testing import DestinationPromises, Kit
from owox_tiktok.testing.kit import ADS, DAILY, ad, day
from owox_tiktok.trust.seals import differing
from tests.helpers import NOW, Project, differences, expected, process_environment
from tests.parquet import ParquetKit, bucket


@pytest.fixture
def kit(tmp_path: Path) -> ParquetKit:
    return ParquetKit(tmp_path)


class TestParquet(DestinationPromises):
    @pytest.fixture
    def kit(self, tmp_path: Path) -> Kit:
        return ParquetKit(tmp_path)


# --- whole imports ----------------------------------------------------------------------------------------------------

OBJECTS = ["advertiser_ids", "ads", "ad_report_daily", "campaign_report_hourly"]
SAY: dict[str, Any] = {"objects": OBJECTS, "start_date": "2026-02-20"}


def wrong(project: Project, kit: ParquetKit) -> list[str]:
    """Every difference between the files and what TikTok has now, and each day that is not as its seal says."""
    found = []
    accounts = project.server.advertiser_ids
    with kit.open(read_only=True) as destination:
        for stream in (STREAMS[name] for name in OBJECTS):
            names = [name for name in kit.columns(stream) if name in stream.fields]
            start = date(2026, 2, 20)
            wanted = [r for a in accounts for r in expected(project.server.world, stream, a, names, start=start)]
            found += differences(kit.read(stream), wanted, stream.keys)
            for one in [""] if stream.per_app else accounts:
                seals = destination.seals(stream, one)
                assert seals
                found += [f"{stream.name} {day}" for day in differing(seals, destination.recount(stream, one))]
    return found


def test_imports_refreshes_a_kill_and_a_new_field_end_as_tiktok_has_it(
    tmp_path: Path, tiktok: Server, kit: ParquetKit
) -> None:
    project = Project(tmp_path, tiktok, say={**SAY, "destination": kit.address})
    process = subprocess.Popen(
        project.command("import", str(project.write())), cwd=tmp_path, stderr=subprocess.DEVNULL,
        env=process_environment(project.environment),
    )  # fmt: skip
    # With so many files there, the run is in the middle of a step, or just behind one.
    while len(list(Path(kit.root).glob("object=*/**/*.parquet"))) < 3:
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert project.import_().exit_code == 0
    assert wrong(project, kit) == []
    tiktok.world.as_of = NOW + timedelta(days=2)
    fields = {"ad_report_daily": ["performance", "video"]}
    again = project.import_(fields=fields)
    assert (again.exit_code, again.warnings) == (0, [])
    assert "video_play_actions" in kit.columns(STREAMS["ad_report_daily"])
    before = [path for path in kit.all_files() if "object=" in path]
    third = project.import_(fields=fields)
    assert third.finished.kept == third.finished.work
    assert [path for path in kit.all_files() if "object=" in path] == before, "what is the same is not written again"
    assert wrong(project, kit) == []
    # What is not a file's content says the same as the files: their list, and DuckDB over all of them.
    listed = _listed(kit)
    assert sorted(listed) == kit.files(DAILY)
    with duckdb.connect() as connection:
        over_all = f"SELECT count(*), count(DISTINCT account) FROM read_parquet({listed}, union_by_name = true)"
        assert connection.execute(over_all).fetchall() == [(len(kit.read(DAILY)), len(tiktok.advertiser_ids))]
    with kit.open(read_only=True) as destination:
        assert isinstance(destination, CountsRows)
        assert sum(destination.row_counts(DAILY).values()) == len(kit.read(DAILY))
        assert set(destination.row_counts(STREAMS["advertiser_ids"])) == set(tiktok.advertiser_ids)


# --- files ------------------------------------------------------------------------------------------------------------


def test_only_the_months_that_changed_are_written_again(kit: ParquetKit) -> None:
    kit.store(kit.chunk(DAILY, [ad(1, n) for n in (1, 40, 70)], (day(1), day(70))))
    before = set(kit.files(DAILY))
    assert [path.split("/")[-2] for path in sorted(before)] == ["month=2026-01", "month=2026-02", "month=2026-03"]
    kit.store(kit.chunk(DAILY, [ad(1, 40, spend="9")], (day(35), day(45))))
    after = set(kit.files(DAILY))
    assert [path.split("/")[-2] for path in after - before] == ["month=2026-02"]
    assert len(after) == 3, "the old one is gone"
    kit.store(kit.chunk(DAILY, [], (day(35), day(45))))
    assert len(kit.files(DAILY)) == 2
    assert len(kit.days()) == 2


def test_what_a_killed_step_left_goes_and_what_is_not_ours_stays(kit: ParquetKit) -> None:
    kit.store(kit.whole())
    (there,) = kit.files(DAILY)
    version = int(Path(there).name.split("-")[0])
    folder = Path(there).parent
    later = f"{version + 9}-{'a' * 16}.parquet"
    for name in (later, f"{version}-{'b' * 16}.parquet", f".1-{'c' * 16}.parquet.part", "mine.parquet"):
        (folder / name).write_bytes(Path(there).read_bytes())
    kit.store(kit.whole())
    # The number of the first is one that a manifest may still get.
    assert {path.name for path in folder.iterdir()} - {Path(p).name for p in _listed(kit)} == {later, "mine.parquet"}
    with kit.open() as destination:
        for n in range(9):
            destination.replace([kit.chunk(DAILY, [ad(1, 1, spend=f"{n}")], (day(1), day(1)))])
    kit.store(kit.whole())
    assert {path.name for path in folder.iterdir()} - {Path(p).name for p in _listed(kit)} == {"mine.parquet"}


def _listed(kit: ParquetKit) -> list[str]:
    return Path(kit.place(DAILY), "_files.txt").read_text().splitlines()


def test_a_manifest_that_is_half_written_does_not_count(kit: ParquetKit) -> None:
    kit.store(kit.whole())
    cursors = kit.cursors()
    newest = max(Path(kit.root, "_manifest").iterdir())
    (newest.with_name(f"{int(newest.stem) + 1:012}.json")).write_bytes(newest.read_bytes()[:-9])
    assert kit.cursors() == cursors
    kit.store(kit.chunk(DAILY, [ad(1, 6)], (day(6), day(6)), cursor=None))
    assert kit.days() == [day(n) for n in range(1, 7)]


def test_a_manifest_of_a_later_version_is_refused_in_words(kit: ParquetKit) -> None:
    kit.store(kit.whole())
    newest = max(Path(kit.root, "_manifest").iterdir())
    newest.write_bytes(newest.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(Exception, match="format 2") as caught:
        kit.known()
    assert "newer version" in str(caught.value)


def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    folder = tmp_path / "it's a [folder] *"
    folder.mkdir()
    kit = ParquetKit(folder)
    for _ in range(2):
        kit.store(kit.whole())
    assert (len(kit.days()), len(kit.files(DAILY)), kit.damaged(DAILY)) == (5, 1, [])
    assert _listed(kit) == kit.files(DAILY)


def test_files_of_an_account_that_are_gone_are_read_again(kit: ParquetKit) -> None:
    kit.store(kit.whole(), kit.whole("2"))
    Path(kit.files(DAILY)[0]).unlink()
    known = kit.known()
    assert (known[DAILY.name, "1"].cursor, known[DAILY.name, "2"].lost) == (None, "")
    assert DAILY.name in known[DAILY.name, "1"].lost
    kit.store(kit.whole())
    assert set(kit.cursors()) == {(DAILY.name, "1"), (DAILY.name, "2")}
    assert kit.days() == kit.days("2")


def test_a_second_import_into_a_folder_is_told_who_is_at_it(kit: ParquetKit) -> None:
    kit.store(kit.whole())
    with kit.open() as first, pytest.raises(StoreBusy, match=r"process \d+"):
        kit.open()
    with kit.open():
        assert len(kit.cursors()) == 1, "reading is possible meanwhile"
    assert first is not None


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("/", "no folder given"), ("/nowhere/at/all/there", "no folder"), ("s3://", "no bucket"),
        ("gopher://b/x", "gopher"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_a_place_is_a_mistake_with_advice(rest: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        open_destination(f"parquet://{rest}")


# --- buckets ----------------------------------------------------------------------------------------------------------


def test_a_bucket_is_as_good_as_a_folder(tmp_path: Path) -> None:
    promises = TestParquet()

    def kit() -> ParquetKit:
        return ParquetKit(tmp_path, f"{bucket()}/{uuid.uuid4().hex}")

    promises.test_replacing_a_window_touches_no_other_day_and_no_other_advertiser(kit())
    promises.test_an_upsert_changes_what_it_names_and_keeps_the_rest(kit())
    promises.test_a_column_that_was_dropped_is_no_longer_complete_and_says_so(kit())
    promises.test_the_cutoff_day_stays_and_each_advertiser_has_its_own(kit())


def test_of_two_imports_into_a_bucket_the_second_says_so_and_stores_nothing(tmp_path: Path) -> None:
    kit = ParquetKit(tmp_path, f"{bucket()}/{uuid.uuid4().hex}")
    kit.store(kit.whole())
    with kit.open() as first, kit.open() as second:
        for one in (first, second):
            one.cursors()
        first.prepare(ADS, ADS.columns(["ad_name"]))
        with pytest.raises(StoreBusy, match="meanwhile"):
            second.replace([kit.chunk(DAILY, [ad(1, 1, spend="9")], (day(1), day(1)))])
    assert len(kit.files(DAILY)) == 1
    assert {row["spend"] for row in kit.read(DAILY)} == {row["spend"] for row in kit.read(DAILY) if row["spend"] < 9}
    missing = ParquetKit(tmp_path, "s3://nobody-has-it/there")
    with pytest.raises(Exception, match="bucket does not exist"):
        missing.store(missing.whole())
