"""PostgreSQL and Parquet beside DuckDB: the same 1,000,000 rows x 25 columns, a tenth of them, and the refresh on top.

Each figure is of a process of its own, which does nothing but bring row files in: ``python -m benchmarks postgresql``.
The server, from the system's package, runs on the same machine without fsync; its CPU is not in the figures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from benchmarks.bigquery import ADS, COLUMNS, DAYS, FIRST, measured


def run(say: Callable[[str, str, str], None]) -> None:
    """Measure them and print it with ``say``."""
    from tests import postgresql

    print(f"postgresql: {DAYS * ADS:,} rows x {len(COLUMNS)} columns")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured("write", folder, FIRST, DAYS, "")
        places = {
            "DuckDB": (f"duckdb:///{folder}/tenth.duckdb", f"duckdb:///{folder}/all.duckdb"),
            "Parquet": (f"parquet:///{folder}/tenth", f"parquet:///{folder}/all"),
        }
        if postgresql.missing:
            print(f"PostgreSQL is not measured: {postgresql.missing}")
        else:
            server = postgresql.server()
            places["PostgreSQL"] = (server.address("tenth"), server.address("everything"))
        for what, (tenth, whole) in places.items():
            for words, destination, first, days in (
                ("storing a tenth", tenth, FIRST, DAYS // 10),
                ("storing all", whole, FIRST, DAYS),
                ("the last 10 days again", whole, FIRST + timedelta(days=DAYS - 10), 10),
            ):
                took = measured("store", folder, first, days, "", destination)
                assert took is not None
                figures = f"{took.wall_s:.1f} s, CPU {took.cpu_s:.1f} s, {took.peak_mb:.0f} MB at the peak"
                say(f"{what}: {words}", figures, "")
