"""What the tests of the Parquet destination share: its kit, for a folder and for a bucket of an emulator of S3."""

from __future__ import annotations

import atexit
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from owox_tiktok.model import Kind, Stream
from owox_tiktok.testing import Kit
from tests.helpers import Row


class ParquetKit(Kit):
    """A folder, looked at with pyarrow and DuckDB, as its readers do: every file that is there counts."""

    def __init__(self, folder: Path, address: str = "", environment: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, f"parquet://{address or f'/{folder}/there'}", environment)
        self.fs, self.root = fsspec.core.url_to_fs(address or str(folder / "there"), use_listings_cache=False)

    def all_files(self) -> list[str]:
        self.fs.invalidate_cache()
        return sorted(str(path) for path in self.fs.find(self.root)) if self.fs.exists(self.root) else []

    def place(self, stream: Stream) -> str:
        return f"{self.root}/object={stream.name}"

    def files(self, stream: Stream, suffix: str = "") -> list[str]:
        within = f"{self.place(stream)}{suffix}/"
        return [path for path in self.all_files() if path.startswith(within) and path.endswith(".parquet")]

    def tables(self, stream: Stream, suffix: str = "") -> list[Any]:
        return [pq.ParquetFile(self.fs.open(path)).read() for path in self.files(stream, suffix)]

    def rows(self, stream: Stream, suffix: str = "") -> list[Row]:
        tables = self.tables(stream, suffix)
        names = {name: None for table in tables for name in table.column_names}
        return [{name: row.get(name) for name in names} for table in tables for row in table.to_pylist()]

    def read(self, stream: Stream) -> list[Row]:
        of = stream.fields
        return [{n: _stored(of[n].kind, v) for n, v in row.items() if n in of} for row in self.rows(stream)]

    def about(self, stream: Stream) -> Any:
        with self.fs.open(f"{self.place(stream)}/_common_metadata") as file:
            return pq.read_schema(file)

    def columns(self, stream: Stream) -> list[str]:
        return list(dict.fromkeys(name for table in self.tables(stream) for name in table.column_names))

    def everything(self) -> object:
        return self.all_files()

    def change(self, stream: Stream, *statements: str) -> None:
        """Change the rows of every file, called ``t``, and the columns of the table, as a person may."""
        for path in [*self.files(stream), f"{self.place(stream)}/_common_metadata"]:
            with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
                there, then = Path(folder, "there"), Path(folder, "then")
                self.fs.get_file(path, str(there))
                connection.execute(f"CREATE TABLE t AS FROM read_parquet('{there}', hive_partitioning = false)")
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"COPY t TO '{then}' (FORMAT parquet)")
                if path.endswith("_common_metadata"):
                    had = pq.read_schema(there)
                    pq.write_metadata(pq.read_schema(then).with_metadata(had.metadata), then)
                self.fs.put_file(str(then), path)

    def drop_table(self, stream: Stream) -> None:
        self.fs.rm(self.place(stream), recursive=True)

    def drop_column(self, stream: Stream, name: str) -> None:
        self.change(stream, f"ALTER TABLE t DROP COLUMN {name}")

    def add_column(self, stream: Stream, name: str) -> None:
        self.change(stream, f"ALTER TABLE t ADD COLUMN {name} VARCHAR")

    def replace_table(self, stream: Stream) -> None:
        """A table that this program made, too: the one that was there before."""
        self.fs.mv(self.place(stream), f"{self.root}/before", recursive=True)
        self.store(self.whole(), self.whole("2"))
        self.drop_table(stream)
        self.fs.mv(f"{self.root}/before", self.place(stream), recursive=True)

    def make_foreign_table(self, stream: Stream) -> None:
        self.fs.makedirs(self.place(stream), exist_ok=True)
        with self.fs.open(f"{self.place(stream)}/mine", "wb") as file:
            pq.write_table(pa.table({"mine": [42]}), file)

    def foreign_rows(self, stream: Stream) -> list[Any]:
        with self.fs.open(f"{self.place(stream)}/mine") as file:
            return list(pq.ParquetFile(file).read().to_pylist())

    def change_cell(self, stream: Stream, key: tuple[str, str], name: str, value: object) -> None:
        self.change(stream, f"UPDATE t SET {name} = '{value}' WHERE {key[0]} = '{key[1]}'")

    def delete_row(self, stream: Stream, key: tuple[str, str]) -> None:
        self.change(stream, f"DELETE FROM t WHERE {key[0]} = '{key[1]}'")

    def copy_row(self, stream: Stream, key: tuple[str, str]) -> None:
        self.change(stream, f"INSERT INTO t SELECT * FROM t WHERE {key[0]} = '{key[1]}'")

    def change_type(self, stream: Stream, name: str) -> None:
        self.change(stream, f"ALTER TABLE t ALTER {name} TYPE DOUBLE")

    def descriptions(self, stream: Stream) -> dict[str, str]:
        return {field.name: field.metadata[b"description"].decode() for field in self.about(stream)}

    def stamps(self, stream: Stream, key: str) -> dict[Any, tuple[Any, Any]]:
        return {row[key]: (row.get("_synced_at"), row.get("_run_id")) for row in self.rows(stream)}

    def versions(self, stream: Stream, key: str, name: str) -> list[tuple[str, str, str, date, date | None]]:
        wanted = ("advertiser_id", key, name, "valid_from_day", "valid_to_day")
        return [tuple(row[one] for one in wanted) for row in self.rows(stream, "_history")]


def _stored(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.INSTANT:
        return value.astimezone(UTC)
    return json.loads(value, parse_float=Decimal) if kind is Kind.JSON else value


@cache
def bucket() -> str:
    """Return the address of a bucket of an emulated S3, which this process starts at the first call."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    atexit.register(server.stop)
    os.environ.update(
        AWS_ENDPOINT_URL="http://{}:{}".format(*server.get_host_and_port()),
        AWS_ACCESS_KEY_ID="emulated",
        AWS_SECRET_ACCESS_KEY="emulated",
        AWS_DEFAULT_REGION="us-east-1",
    )
    fsspec.filesystem("s3").mkdir("lake")
    return "s3://lake"
