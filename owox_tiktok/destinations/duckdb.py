"""DuckDB, the embedded default: one file, one writer, a transaction for rows and cursors together.

Address: ``duckdb:///relative.duckdb``, ``duckdb:////absolute/path.duckdb`` or ``duckdb:///:memory:``. DuckDB locks the
file for one process, which is just what keeps two imports apart. Tables carry no index: replacing deletes by day and
advertiser, upserting deletes by key, and both scan less than an index costs to maintain.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from owox_tiktok.cursors import READ_AGAIN, new_table_id
from owox_tiktok.destinations.sql import Found, Transactional, id_in, with_id
from owox_tiktok.dialects import DUCKDB, MARK
from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreFailed, StoreGone, StoreTaken
from owox_tiktok.model import Chunk, Step, Stored, Stream

MEMORY_MB = 64
"""DuckDB's own share. A small one keeps an import's memory flat however large the file grows, and costs no time."""
BYTES_PER_VALUE = 24
"""A decimal takes 16 bytes, and a part of a step is held twice while it is committed. Texts come on top."""
ROWS_PER_GROUP = 122_880
"""DuckDB writes so many rows of a table at a time; of a step that has more, no more than these are in memory."""
LEAST_MOST_MB = 512
"""What a step may have at most on the smallest machine; elsewhere, half of the machine's memory."""

MAGIC = b"DUCK"
"""A DuckDB file begins with eight bytes of checksum and this."""
HEADERS_BYTES = 3 * 4096
"""A shorter file holds no rows yet: it was left when the disk was full, or the program killed, while it was made."""

IN_MEMORY = ":memory:"


def open_at(rest: str, *, read_only: bool = False, environment: Mapping[str, str] = os.environ) -> DuckDB:
    """Open the file named by the address after ``duckdb://``; creates it unless ``read_only``.

    The environment says nothing about it.
    """
    path = rest.removeprefix("/")
    if not path:
        raise BadInput([Mistake("destination", "no file given", "Write duckdb:///tiktok_ads.duckdb.")])
    if path == IN_MEMORY:
        return DuckDB(duckdb.connect(path), IN_MEMORY)
    file = Path(os.path.expanduser(path))  # noqa: PTH111 -- Path's own raises where there is no such user
    if not file.parent.is_dir():
        raise BadInput([Mistake("destination", f"there is no folder {file.parent}", "Create it, or name another.")])
    is_there = _is_ours_to_open(file)
    if read_only and not is_there:
        return DuckDB(duckdb.connect(IN_MEMORY), str(file), read_only=True)
    if not is_there:
        file.unlink(missing_ok=True)  # one that is empty or only begun is in DuckDB's way
    try:
        return DuckDB(duckdb.connect(str(file), read_only=read_only), str(file), read_only=read_only)
    except (duckdb.Error, StoreFailed) as error:
        raise _cannot_open(file, error, is_there=is_there, read_only=read_only) from None


def _cannot_open(file: Path, error: duckdb.Error | StoreFailed, *, is_there: bool, read_only: bool) -> StoreFailed:
    """Return why the file cannot be opened, and what to do."""
    if isinstance(error, StoreFailed) and error.__cause__ is None:
        return error  # a table of ours that somebody changed, not DuckDB's own fault
    text = str(error).replace(str(file), file.name)
    if "Could not set lock" in text or "another process" in text:  # DuckDB gives every fault of a file one type
        holder = re.search(r"PID (\d+)", text)
        who = f" (process {holder[1]})" if holder else ""
        return StoreBusy(
            f"another program{who} is using the file, perhaps another import",
            where=str(file),
            what_to_do="Wait for it to end, or close it.",
        )
    first = error.message if isinstance(error, StoreFailed) else _first_line(error)
    if not is_there or not os.access(file, os.R_OK if read_only else os.R_OK | os.W_OK):
        what_to_do = "Check the path, its rights and the room on that disk."
        return StoreFailed(first, where=str(file), what_to_do=what_to_do)
    return StoreFailed(
        f"the file cannot be opened, it may be damaged ({first})",
        where=str(file),
        what_to_do=f"If the disk has room, restore {file.name} from a copy, or delete it: the next import reads "
        "everything again.",
    )


def _is_ours_to_open(file: Path) -> bool:
    """Whether there is a DuckDB file that may hold rows. Raises BadInput for a folder or a file of another kind.

    DuckDB would look for an extension on the internet that opens a file of another database. A device or a pipe is not
    touched: it may answer like an empty file, and an empty file is replaced.
    """
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise BadInput([Mistake("destination", f"{file} is not a file", "Choose another name.")])
        with file.open("rb") as opened:
            head = opened.read(len(b"checksum") + len(MAGIC))
            size = os.fstat(opened.fileno()).st_size
    except FileNotFoundError:
        return False
    except ValueError:  # a null byte
        raise BadInput([Mistake("destination", f"{str(file)!r} cannot be a path", "Choose another name.")]) from None
    except IsADirectoryError:
        raise BadInput([Mistake("destination", f"{file} is a folder", f"Name a file in it: {file}/…")]) from None
    except OSError as error:
        raise StoreFailed(
            f"cannot be read ({error.strerror})", where=str(file), what_to_do="Check its rights."
        ) from None
    if head and head[-len(MAGIC) :] != MAGIC:
        raise BadInput([Mistake("destination", f"{file} is not a DuckDB file", "Choose another file.")])
    return size >= HEADERS_BYTES or Path(f"{file}.wal").exists()


class DuckDB(Transactional):
    """A DuckDB file as a Destination that holds views, too."""

    dialect = DUCKDB
    other_place = "file"
    step = Step(values=5_000_000, size_bytes=64 * 2**20, linger_s=15)

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str, *, read_only: bool = False) -> None:
        super().__init__(name)
        self.connection = connection
        self._file = None if read_only else self._which_file()
        self._spoiled = False
        """Whether a commit failed, or DuckDB gave the database up, since the file was opened."""
        self._begin()
        if not read_only:
            self._make_cursors()

    def _begin(self) -> None:
        with self._sentences():
            self.connection.execute("SET TimeZone = 'UTC'")
            self._set_memory(MEMORY_MB)
            # Rows come in portions that one thread stores faster than several, and with less memory.
            self.connection.execute("SET threads = 1")

    def _which_file(self) -> tuple[int, int] | None:
        """Return what tells the file at our path from another one; None when there is none, or none is needed."""
        if self._name == IN_MEMORY:
            return None
        try:
            found = Path(self._name).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _check_file(self) -> None:
        """Raise StoreTaken when the file was deleted, moved or replaced: DuckDB would go on writing where nobody looks.

        The system lets an open file be taken away, and a lock does not keep it there.
        """
        if self._file != self._which_file():
            self._file = None  # once is enough
            raise StoreTaken(
                "the file was deleted, moved or replaced while it was written, and what this run stored went with it",
                where=self._name,
                what_to_do="Leave the file alone while an import runs, and import again.",
            )

    def _check_head(self) -> None:
        """Raise StoreTaken when the file does not even begin as a DuckDB file any more."""
        with suppress(BadInput, StoreFailed):
            if _is_ours_to_open(Path(self._name)):
                return
        what_to_do = "Delete it, leave the new one alone while an import runs, and import again."
        raise StoreTaken("the file was emptied while it was written", where=self._name, what_to_do=what_to_do)

    def _set_memory(self, megabytes: int) -> None:
        self.connection.execute(f"SET memory_limit = '{megabytes}MB'")

    def _open_again_if_spoiled(self) -> None:
        """Open the file again before anything more is written to it; what was committed is there.

        After a commit that failed, a DuckDB older than 1.5.2 keeps pieces of the texts that were taken back, and puts
        them before texts that come later (https://github.com/duckdb/duckdb/issues/22279). Raises StoreGone where it
        cannot be opened.
        """
        if not self._spoiled:
            return
        gone = StoreGone("the database can no longer be used", where=self._name, what_to_do="Import again.")
        if self._name == IN_MEMORY:
            raise gone
        with suppress(duckdb.Error):
            self.connection.close()
        try:
            self.connection = duckdb.connect(self._name)
            self._begin()
        except (duckdb.Error, StoreFailed) as error:
            raise gone from error
        self._spoiled = False

    def __enter__(self) -> DuckDB:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        if error is None and self._file is not None:
            self._check_file()
            self._check_head()

    # --- statements ---------------------------------------------------------------------------------------------------

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement, list(values)).fetchall()

    def _changed(self, statement: str, values: Sequence[object] = ()) -> int:
        return int(self._rows(statement, values)[0][0])

    @contextmanager
    def _sentences(self, stream: Stream | None = None) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            damaged = isinstance(error, duckdb.IOException)
            what_to_do = "See that the disk has room, and that the file is not damaged." if damaged else ""
            where = stream.table if stream else self._name
            raise StoreFailed(_first_line(error), where=where, what_to_do=what_to_do) from error

    @contextmanager
    def _transaction(self, stream: Stream | None = None) -> Iterator[None]:
        self._open_again_if_spoiled()
        with self._sentences(stream):
            self.connection.execute("BEGIN")
            try:
                yield
                self._commit()
            except BaseException:
                with suppress(duckdb.Error):
                    self.connection.execute("ROLLBACK")
                raise

    def _commit(self) -> None:
        self._spoiled = True  # whatever ends it, a signal too
        self.connection.execute("COMMIT")
        self._spoiled = False

    # --- tables -------------------------------------------------------------------------------------------------------

    def _found(self, name: str) -> Found | None:
        found = self._rows(
            "SELECT table_name, comment, false FROM duckdb_tables() "
            "WHERE schema_name = 'main' AND lower(table_name) = $1 UNION ALL "
            "SELECT view_name, comment, true FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal "
            "AND lower(view_name) = $1",
            [name.lower()],
        )
        if not found:
            return None
        ((there, comment, is_view),) = found
        columns = self._rows(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = $1 "
            "ORDER BY column_index",
            [there],
        )
        comment = comment or ""
        return Found(dict(columns), comment.startswith(MARK), id_in(comment), is_view)

    def _ours(self) -> list[str]:
        found = self._rows(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND starts_with(comment, $1)", [MARK]
        )
        return [name for (name,) in found]

    def _adopted(self, stream: Stream, there: Found) -> Found:
        """Give a table that the first version made an id; its cursors adopt it, once."""
        if there.id:
            return there
        adopted = replace(there, id=new_table_id())
        self._comment("TABLE", stream.table, with_id(f"{MARK}: {stream.description}", adopted.id))
        self._keep(stream, [replace(r, table_id=r.table_id or adopted.id) for r in self._records(stream)])
        return adopted

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _incoming(self, chunks: Sequence[Chunk]) -> str:
        """Return a query over the chunks' row files; DuckDB casts each column, and refuses what does not fit."""
        files = ", ".join(DUCKDB.text(str(c.path)) for c in chunks)
        columns = ", ".join(f"{DUCKDB.text(f.name)}: {DUCKDB.text(DUCKDB.types[f.kind])}" for f in chunks[0].columns)
        return (
            f"read_csv([{files}], columns={{{columns}}}, header=false, auto_detect=false, delim=',', "
            "quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false, new_line='\\n', buffer_size=8000000, "
            "parallel=false)"
        )

    def _store(self, chunks: Sequence[Chunk]) -> list[Stored]:
        """Store a step as every database does, with more memory where it turns out to need that."""
        memory = iter(self._memory_for(chunks))
        megabytes = needed = next(memory)
        opened_again = False
        while True:
            try:
                self._open_again_if_spoiled()
                self._set_memory(megabytes)
                stored = super()._store(chunks)
                self._check_file()
                return stored
            except StoreFailed as error:
                failure, cause = error, error.__cause__
            except duckdb.Error as error:
                failure, cause = StoreFailed(_first_line(error), where=self._name), error
            more = next(memory, None)
            broken = isinstance(cause, duckdb.FatalException | duckdb.InternalException)
            at_commit = isinstance(cause, duckdb.TransactionException)  # nobody else has the file: no other cause
            if broken and not opened_again:
                opened_again = self._spoiled = True
            elif (at_commit or isinstance(cause, duckdb.OutOfMemoryException)) and more is not None:
                pass
            # A commit that has more memory than it needs fails because of the disk: DuckDB gives both the same type.
            elif broken or isinstance(cause, duckdb.IOException) or (at_commit and megabytes >= 2 * needed):
                what_to_do = "Free some space on that disk; the next run continues."
                raise StoreGone(failure.message, where=failure.where, what_to_do=what_to_do) from cause
            elif isinstance(cause, duckdb.InvalidInputException | duckdb.ConversionException):
                # DuckDB tells of rows that it cannot read with the line, its options and how to set them.
                what = "the temporary file of rows is damaged, or a value does not fit its column; nothing was stored"
                raise StoreFailed(what, where=failure.where, what_to_do=READ_AGAIN) from cause
            elif at_commit or isinstance(cause, duckdb.OutOfMemoryException):
                what_to_do = "Choose fewer fields for this object, or use a machine with more memory."
                raise StoreFailed(failure.message, where=failure.where, what_to_do=what_to_do) from cause
            else:
                raise failure
            megabytes = more or megabytes

    def _memory_for(self, chunks: Sequence[Chunk]) -> list[int]:
        """Return the megabytes to try a step with: what it should need, and more, up to what the machine has.

        What is in memory only can neither be moved elsewhere nor be opened again, so it gets the most at once.
        """
        rows = sum(c.rows for c in chunks)
        values = min(rows, ROWS_PER_GROUP) * len(chunks[0].columns)
        texts = sum(c.path.stat().st_size for c in chunks if c.rows) * min(1, ROWS_PER_GROUP / max(rows, 1))
        need = max(MEMORY_MB, math.ceil((values * BYTES_PER_VALUE + texts) / 1e6))
        most = max(LEAST_MOST_MB, memory_mb() // 2)
        if self._name == IN_MEMORY:
            return [most]
        return sorted({min(need, most), min(4 * need, most), most})


def memory_mb() -> int:
    """Return how many megabytes this machine has, or the container this runs in; 0 where that cannot be known."""
    found = []
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(ValueError, OSError):  # "max" where there is none
            found.append(int(Path(limit).read_text(encoding="ascii")))
    return min(found, default=0) // 10**6


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
