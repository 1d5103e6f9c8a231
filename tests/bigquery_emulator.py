"""Starts local-bigquery, in its own Python 3.13: ``python bigquery_emulator.py serve --port … --data-dir …``.

Five things that BigQuery does and this version of the emulator does not are put right here, so that what the client
really sends can be tested: an uploaded file may be gzip; a quoted empty field of a CSV file is an empty text, and only
one without quotes is null; a script may have MERGE in its transaction; a transaction that meets another one's is
aborted in BigQuery's words; tables may be made at the same time (where the emulator cannot, it asks to try again).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import duckdb
from local_bigquery import cli, errors
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import load, merge, runner

GZIP = b"\x1f\x8b"
ABORTED = "Transaction is aborted due to concurrent update against table"
CONFLICT = re.compile(r"transaction conflict|conflict on (update|tuple)|failed to commit", re.I).search


def _read_as_bigquery_does() -> None:
    csv, reader = load._csv, load._reader

    def options(config: Any, fields: Any) -> dict[str, Any]:
        return {**csv(config, fields), "allow_quoted_nulls": "false", "new_line": r"'\n'"}

    def with_compression(cur: Any, files: str, config: Any, fields: Any) -> str:
        sql = str(reader(cur, files, config, fields))
        path = re.match(r"\['(.*)'\]$", files)
        if path and Path(path[1]).is_file():
            with Path(path[1]).open("rb") as file:
                zipped = file.read(2) == GZIP
            if zipped and sql.startswith("read_"):
                sql = sql.removesuffix(")") + ", compression = 'gzip')"
        return sql

    load._csv, load._reader = options, with_compression


class _InTransaction:
    """A DuckDB cursor that is in a transaction; asking DuckDB itself to begin another would end the first."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if sql == "BEGIN":
            raise duckdb.TransactionException
        return self._cursor.execute(sql, *values)


def _merge_in_transactions() -> None:
    run = merge.run

    def within(cursor: Any, tree: Any, context: Any) -> Any:
        return run(_InTransaction(cursor) if context.system.get("statement_text") else cursor, tree, context)

    merge.run = within


def _name_conflicts_as_bigquery_does() -> None:
    api = sys.modules["local_bigquery.app"]
    translate = runner.from_exception
    errors.STATUSES["backendError"] = (503, "UNAVAILABLE")

    def named(error: Exception) -> BigQueryError:
        found: BigQueryError = translate(error)
        if CONFLICT(found.message):
            return BigQueryError("invalidQuery", f"{ABORTED}. {found.message}")
        return found

    def passing(error: Exception) -> BigQueryError:
        found: BigQueryError = translate(error)
        # A job that was aborted has failed for good; asking for it again must say so.
        again = CONFLICT(found.message) and not found.message.startswith(ABORTED)
        return BigQueryError("backendError", found.message) if again else found

    runner.from_exception, api.from_exception = named, passing  # type: ignore[attr-defined]


def _work_on_one_thread() -> None:
    """Tables of a few rows are not worth sharing out: it takes a third more time of the processor."""
    connect: Any = duckdb.connect

    def connected(*words: Any, config: dict[str, Any] | None = None, **more: Any) -> Any:
        return connect(*words, config={"threads": 1, **(config or {})}, **more)

    duckdb.connect = connected


if __name__ == "__main__":
    _work_on_one_thread()
    _read_as_bigquery_does()
    _merge_in_transactions()
    _name_conflicts_as_bigquery_does()
    sys.argv[0] = "local-bigquery"
    cli.main()
