"""The documents: what they show is run, and prints what they say; what they take from the program is the program's."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from owox_tiktok.local.tiktok import Server
from owox_tiktok.streams import STREAMS
from tests.helpers import Project
from tests.test_views import for_duckdb, rows
from tools import check_docs, make_blocks, make_notebook, make_objects_doc
from tools.play_documents import PLAYED, Different, blocks, play, settled, simulated

ROOT = Path(__file__).parent.parent
QUERIES = ROOT / "docs" / "queries.md"


@pytest.mark.parametrize("path", PLAYED, ids=[p.name for p in PLAYED])
def test_a_document_prints_what_its_commands_and_queries_print(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    with simulated(path) as server:
        played = play(text, server, tmp_path)
    for shown, now in zip(blocks(text), blocks(played), strict=True):
        assert settled(shown.text) == settled(now.text)


def test_every_output_of_a_played_document_belongs_to_something_that_is_run_or_says_why_not() -> None:
    for path in PLAYED:
        ran = False
        for block in blocks(path.read_text(encoding="utf-8")):
            assert block.language != "text" or ran, f"{path.name}: {block.text}"
            ran = block.language in ("sh", "sql", "python")


def test_the_notebook_is_the_page_that_is_played_with_all_its_outputs() -> None:
    page = make_notebook.PAGE.read_text(encoding="utf-8")
    book = json.loads(make_notebook.NOTEBOOK.read_text(encoding="utf-8"))
    assert book == json.loads(make_notebook.made())
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    shown = [block.text.strip() for block in blocks(page) if block.language == "python" and not block.order]
    assert code == shown
    assert all(cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code")


DOCUMENT = """\
<!-- file: a.txt -->
```
hello
```

```sh
cat a.txt; echo "in 1.5 s"
```

```text
{}
```
"""


def test_an_output_that_differs_is_refreshed_and_one_that_differs_in_its_seconds_is_not(tmp_path: Path) -> None:
    with simulated() as server:
        same = DOCUMENT.format("hello\nin 12 s")
        assert play(same, server, tmp_path) == same
        assert play(DOCUMENT.format("good-bye"), server, tmp_path) == DOCUMENT.format("hello\nin 1.5 s")
        with pytest.raises(Different, match="exit code 3"):
            play("```sh\necho so; exit 3\n```\n", server, tmp_path)


def test_the_same_question_has_one_answer_in_both_dialects(lasting_tiktok: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, lasting_tiktok)
    objects = ["advertisers", "campaigns", "ad_groups", "ads", "ad_report_daily", "campaign_report_daily"]
    objects += ["campaign_report_daily_by_country", "videos", "images"]
    fields = {"ad_report_daily": ["performance", "video"]}
    ran = project.import_(objects=objects, fields=fields, start_date="2026-02-01", views=True, history=["campaigns"])
    assert ran.exit_code == 0
    found = [b.text for b in blocks(QUERIES.read_text(encoding="utf-8")) if b.language == "sql"]
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert len(pairs) == 9
    for bigquery, duckdb in pairs:
        assert "`my-project" in bigquery
        answer = rows(project.database, duckdb)
        assert answer == rows(project.database, for_duckdb(bigquery))
        assert answer or "first_day_of_week" not in bigquery


def test_the_queries_of_the_page_on_bigquery_run_on_its_tables(lasting_tiktok: Server, tmp_path: Path) -> None:
    project = Project(tmp_path, lasting_tiktok)
    assert project.import_(objects=["campaigns", "ad_report_daily"], views=True).exit_code == 0
    found = [b.text for b in blocks((ROOT / "docs" / "bigquery.md").read_text(encoding="utf-8")) if b.language == "sql"]
    assert len(found) == 2
    for sql in found:
        for table in sqlglot.parse_one(sql, read="bigquery").find_all(exp.Table):
            assert (table.catalog, table.db) == ("my-project", "tiktok_ads")
        query = for_duckdb(sql).replace("CURRENT_DATE", f"DATE '{project.server.world.now():%Y-%m-%d}'")
        assert rows(project.database, query)


# --- what is written from the program ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [p for p in make_blocks.DOCUMENTS if "<!-- begin: " in p.read_text(encoding="utf-8")],
                         ids=lambda p: p.name)  # fmt: skip
def test_the_blocks_of_a_document_are_the_programs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert make_blocks.refreshed(text) == text
    begun, ended = re.findall(r"<!-- begin: ([a-z ]+) -->", text), re.findall(r"<!-- end: ([a-z ]+) -->", text)
    assert begun == ended


def test_every_object_has_a_row_of_its_table_in_the_documents() -> None:
    found = make_objects_doc.sample_rows()
    for stream in STREAMS.values():
        assert all(found[stream.name][key] is not None for key in stream.keys), stream.name
        if stream.time and not stream.utc_days and not stream.period:
            assert str(found[stream.name][stream.time]).startswith(str(make_objects_doc.FIRST))
    assert found["campaigns"]["campaign_id"].startswith("17")
    assert found["ad_report_daily"]["stat_time_day"] == date(2026, 3, 3)


# --- the checks themselves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("import --quiet", ""),
        ("import other.yaml --object ads", ""),
        ("auth url --redirect-uri https://example.com", ""),
        ("schedule daily --at 06:15 --cron tiktok.yaml", ""),
        ("improt", "no command improt"),
        ("import --verbose", "No such option"),
        ("sheet init", "Missing argument"),
        ("schedule weekly", "weekly"),
    ],
)
def test_a_command_that_the_program_would_refuse_is_noticed_in_the_documents(line: str, wrong: str) -> None:
    said = check_docs.wrong_with(line.split())
    assert wrong in said if wrong else said == ""


def test_nothing_in_the_documents_is_out_of_step() -> None:
    assert [line for check in check_docs.CHECKS for line in check()] == []
