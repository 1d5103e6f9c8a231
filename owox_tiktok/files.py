"""Rows into one file for people: CSV, Parquet or Excel, by the name's ending. It is there once it is whole.

A CSV file has the canonical texts (see ``rows``), a Parquet file exact types. An Excel file has texts that never become
formulas, real numbers and dates; a number there has 15 digits, as Excel keeps them.
"""

from __future__ import annotations

import csv
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from importlib import import_module
from pathlib import Path
from typing import Any

from owox_tiktok.errors import BadInput, Mistake, Problem
from owox_tiktok.model import Chunk, Field, Kind
from owox_tiktok.rows import typed
from owox_tiktok.spool import read_text

ROWS_PER_GROUP = 122_880
"""A row group of a Parquet file has about so many rows."""
EXCEL_ROWS, EXCEL_TEXT = 1_048_576, 32_767
"""What a sheet of Excel holds: rows, the heading among them, and characters in a cell."""
ADVICE = "Export fewer days or ad accounts, or to .csv or .parquet."

Write = Callable[[Path, Sequence[Field], Sequence[str], Iterable[Chunk]], int]


def save(path: Path, columns: Sequence[Field], keys: Sequence[str], chunks: Iterable[Chunk]) -> int:
    """Write the rows of ``chunks`` with these ``columns`` into a file that takes the place of ``path``; count them.

    ``keys`` are never null. Nothing is at ``path``, and what was there stays, until all rows are written. Raises
    BadInput for an ending that is none of ``ENDINGS`` or a package that is missing, Problem for what cannot be written.
    """
    write = check(path)
    with _whole(path) as part:
        return write(part, columns, keys, chunks)


def check(path: Path) -> Write:
    """Return what writes such a file; raises BadInput where nothing can, before anything is read for it."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        what = f"{path.name!r} ends with none of {', '.join(ENDINGS)}"
        raise BadInput([Mistake("file", what, f"Name it {path.stem or 'rows'}.csv, for example.")])
    if not path.parent.is_dir():
        raise BadInput([Mistake("file", f"there is no folder {path.parent}", "Create it, or name another.")])
    if path.is_dir():
        raise BadInput([Mistake("file", f"{path} is a folder", f"Name a file in it: {path}/…")])
    write, package, extra = ENDINGS[ending]
    if package:
        try:
            import_module(package)
        except ModuleNotFoundError:
            advice = f"pip install 'owox-tiktok[{extra}]'"
            raise BadInput([Mistake("file", f"{ending} needs the package {package}", advice)]) from None
    return write


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a path in the same folder to write to; what is there at the end takes the place of ``path``, at once."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        what = f"{path} cannot be written ({error.strerror or error})"
        raise Problem(what, what_to_do="Check the folder's rights and the room on that disk.") from error
    finally:
        part.unlink(missing_ok=True)


def _texts(columns: Sequence[Field], chunks: Iterable[Chunk]) -> Iterator[list[str | None]]:
    """Yield each row as canonical texts in the order of ``columns``."""
    for chunk in chunks:
        at = {f.name: n for n, f in enumerate(chunk.columns)}
        order = [at[f.name] for f in columns]
        if chunk.rows:
            yield from ([texts[n] for n in order] for texts in read_text(chunk.path))


def _csv(path: Path, columns: Sequence[Field], keys: Sequence[str], chunks: Iterable[Chunk]) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(f.name for f in columns)
        for texts in _texts(columns, chunks):
            writer.writerow(texts)
            rows += 1
    return rows


def _parquet(path: Path, columns: Sequence[Field], keys: Sequence[str], chunks: Iterable[Chunk]) -> int:
    arrow, pa, parquet = map(import_module, ("owox_tiktok.arrow", "pyarrow", "pyarrow.parquet"))
    schema = arrow.schema(columns, keys)
    rows, group = 0, []
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for chunk in chunks:
            for batch in arrow.batches(chunk.path, chunk.columns, schema):
                group.append(batch)
                rows += batch.num_rows
                if sum(b.num_rows for b in group) >= ROWS_PER_GROUP:
                    writer.write_table(pa.Table.from_batches(group))
                    group = []
        writer.write_table(pa.Table.from_batches(group, schema))
    return rows


_FORMATS: Mapping[Kind, str] = {
    Kind.MONEY: "#,##0.00",
    Kind.COUNT: "#,##0",
    Kind.DAY: "yyyy-mm-dd",
    Kind.HOUR: "yyyy-mm-dd hh:mm",
    Kind.INSTANT: "yyyy-mm-dd hh:mm:ss",
}


def _excel(path: Path, columns: Sequence[Field], keys: Sequence[str], chunks: Iterable[Chunk]) -> int:
    cells, openpyxl = import_module("openpyxl.cell"), import_module("openpyxl")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Data")
    sheet.freeze_panes = "A2"

    def cell(field: Field | None, value: Any) -> Any:
        if value is None:
            return None
        made = cells.WriteOnlyCell(sheet, value=value)
        if field and field.kind in _FORMATS:
            made.number_format = _FORMATS[field.kind]
        if isinstance(value, str):
            made.data_type = "s"  # also one that looks like a formula or an error
        return made

    rows = 0
    try:
        sheet.append([cell(None, f.name) for f in columns])
        for texts in _texts(columns, chunks):
            rows += 1
            if rows >= EXCEL_ROWS:
                raise Problem(f"there are more than the {EXCEL_ROWS - 1:,} rows that Excel holds", what_to_do=ADVICE)
            sheet.append([cell(f, _in_excel(f, text)) for f, text in zip(columns, texts, strict=True)])
    finally:
        sheet.close()  # its rows are in a temporary file
    book.save(path)
    return rows


def _in_excel(field: Field, text: str | None) -> Any:
    if text is None or field.kind in (Kind.ID, Kind.TEXT, Kind.JSON):
        if text and len(text) > EXCEL_TEXT:
            what = f"a value of {field.name} has {len(text):,} characters, and a cell of Excel holds {EXCEL_TEXT:,}"
            raise Problem(what, what_to_do="Export to .csv or .parquet, or without that field.")
        return text
    value = typed(field, text)
    return value.astimezone(UTC).replace(tzinfo=None) if field.kind is Kind.INSTANT else value


ENDINGS: Mapping[str, tuple[Write, str, str]] = {
    ".csv": (_csv, "", ""),
    ".parquet": (_parquet, "pyarrow", "arrow"),
    ".xlsx": (_excel, "openpyxl", "excel"),
}
"""How each kind of file is written, with the package it needs and the extra that brings it."""
