"""Row files as Arrow: the exact type of each kind of column, and record batches of a bounded size.

The lazy door to pyarrow: whoever imports this module needs it (``pip install 'owox-tiktok[arrow]'``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pa_compute
import pyarrow.csv as pa_csv

from owox_tiktok.model import Field, Kind

TYPES: Mapping[Kind, Any] = {
    Kind.ID: pa.string(),
    Kind.TEXT: pa.string(),
    Kind.MONEY: pa.decimal128(38, 9),
    Kind.RATE: pa.decimal128(38, 9),
    Kind.COUNT: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DAY: pa.date32(),
    Kind.HOUR: pa.timestamp("us"),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    Kind.JSON: pa.string(),
}
"""An hour is wall-clock time of the account, so it has no zone. JSON is text."""
BLOCK_BYTES = 4 * 2**20
"""So much of a row file becomes one record batch."""


def schema(columns: Sequence[Field], required: Sequence[str] = ()) -> Any:
    """Return the schema of ``columns``; each field's metadata has its description, kind and unit.

    ``required`` columns are never null.
    """
    fields = []
    for f in columns:
        about = {"description": f.description, "kind": f.kind.value, **({"unit": f.unit} if f.unit else {})}
        fields.append(pa.field(f.name, TYPES[f.kind], nullable=f.name not in required, metadata=about))
    return pa.schema(fields)


def batches(path: Path, columns: Sequence[Field], wanted: Any) -> Iterator[Any]:
    """Yield the rows of a row file with ``columns`` as record batches of the schema ``wanted``, in its order.

    ``wanted`` may have columns that the file has not; they are null. Raises pyarrow's errors for a file that is not
    what it should be.
    """
    if not path.exists() or not path.stat().st_size:
        return
    texts = {f.name: pa.string() if f.kind is Kind.INSTANT else TYPES[f.kind] for f in columns}
    reader = pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(column_names=list(texts), block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=texts,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["true"],
            false_values=["false"],
            timestamp_parsers=["%Y-%m-%d %H:%M:%S"],
        ),
    )
    for batch in reader:
        if not batch.num_rows:
            continue
        yield pa.record_batch([_column(batch, field) for field in wanted], schema=wanted)


def _column(batch: Any, field: Any) -> Any:
    at = batch.schema.get_field_index(field.name)
    if at < 0:
        return pa.nulls(batch.num_rows, field.type)
    found = batch.column(at)
    if pa.types.is_timestamp(field.type) and field.type.tz:
        # All moments are in UTC and say so by +00, which older versions of pyarrow cannot read.
        found = pa_compute.utf8_slice_codeunits(found, 0, len("2026-01-31 12:00:00"))
        return found.cast(pa.timestamp("us")).cast(field.type)
    return found.cast(field.type)
