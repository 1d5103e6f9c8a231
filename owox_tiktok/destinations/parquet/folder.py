"""A folder on a disk or in a bucket, through fsspec: files that are there whole or not at all. It knows no tables."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreGone

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

EXAMPLE = "parquet:///tiktok_ads or parquet://s3://my-bucket/tiktok_ads"
LOCK = "_lock"
AT_ONCE = 8
"""So many files are read side by side."""
_PATTERN = re.compile(r"[*?\[]")


class Folder:
    """A folder by an address that fsspec knows; names in it are relative, with ``/`` between their parts."""

    def __init__(self, fs: Any, root: str, name: str) -> None:
        """``fs`` is fsspec's, ``root`` the folder's path in it."""
        self._fs, self._root = fs, root.rstrip("/")
        self.name = name
        """What it is called in sentences."""
        self.is_local = isinstance(fs, LocalFileSystem)
        self._lock: int | None = None

    @classmethod
    def at(cls, address: str) -> Folder:
        """Return the folder of an address (``/relative``, ``//absolute``, ``s3://bucket/folder``); raises BadInput."""
        if "://" not in address:
            path = os.path.expanduser(address.removeprefix("/"))  # noqa: PTH111 -- Path's own raises for no such user
            if not path or "\0" in path:
                raise BadInput([Mistake("destination", "no folder given", f"Write {EXAMPLE}.")])
            folder = Path(path).absolute()
            if not folder.is_dir():
                if folder.exists():
                    raise BadInput([Mistake("destination", f"{folder} is not a folder", "Name another.")])
                if not folder.parent.is_dir():
                    advice = "Create it, or name another."
                    raise BadInput([Mistake("destination", f"there is no folder {folder.parent}", advice)])
            return cls(LocalFileSystem(), str(folder), str(folder))
        scheme, _, place = address.partition("://")
        if not place.strip("/"):
            raise BadInput([Mistake("destination", f"{address} names no bucket", f"Write {EXAMPLE}.")])
        try:
            fs, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
        except ImportError as error:
            package = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
            wanted = package.get(scheme, "")
            what = f"{scheme}:// needs the package {wanted}" if wanted else f"{scheme}:// cannot be opened ({error})"
            advice = f"pip install {wanted}" if wanted else "Install fsspec's package for it."
            raise BadInput([Mistake("destination", what, advice)]) from None
        except ValueError as error:
            raise BadInput([Mistake("destination", f"fsspec does not take it: {error}", f"Write {EXAMPLE}.")]) from None
        return cls(fs, root, address)

    def uri(self, name: str) -> str:
        """Return the whole address of a file, as other programs take it."""
        return self._at(name) if self.is_local else str(self._fs.unstrip_protocol(self._at(name)))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """What goes wrong below becomes a StoreGone, which says what could not be done."""
        try:
            yield
        except FileExistsError:
            raise
        except Exception as error:  # clients of buckets have no common type of error
            words = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().splitlines()[0]
            raise StoreGone(
                f"{what} ({words[:200]})",
                where=self.name,
                what_to_do="Check that the folder or bucket is there, the rights to it and the room; run again then.",
            ) from error

    # --- one import at a time -----------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Keep other imports out of a folder on a disk; raises StoreBusy. A bucket has no locks: see ``create``."""
        if not self.is_local:
            return
        with self._sentences("the folder cannot be written"):
            Path(self._root).mkdir(exist_ok=True)
            self._lock = os.open(self._at(LOCK), os.O_CREAT | os.O_RDWR, 0o644)
        if fcntl is None:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._lock, 20).decode("ascii", "ignore").strip()
            self.close()
            raise StoreBusy(
                f"another import{f' (process {holder})' if holder else ''} is using the folder",
                where=self.name,
                what_to_do="Wait for it to end.",
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let other imports in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # --- files --------------------------------------------------------------------------------------------------------

    def names(self, under: str = "") -> set[str]:
        """Return the names of all files, or of those in a folder of it."""
        with self._sentences("what is there cannot be listed"):
            root = self._at(under) if under else self._root
            self._fs.invalidate_cache()
            return {str(path)[len(self._root) + 1 :] for path in self._fs.find(root)}

    def read(self, names: Collection[str]) -> Mapping[str, bytes]:
        """Return what is in files; those that are not there are left out."""
        with self._sentences("what is there cannot be read"), ThreadPoolExecutor(AT_ONCE) as pool:
            contents = pool.map(self._content, names)
            return {name: content for name, content in zip(names, contents, strict=True) if content is not None}

    def _content(self, name: str) -> bytes | None:
        # fsspec's cat, which takes several, would read "*" and "[" in a folder's name as a pattern.
        try:
            return bytes(self._fs.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def local(self, name: str, spare: Path) -> Path:
        """Return the path of a file on this machine: its own, or ``spare``, to which it is copied.

        What is returned is no pattern, as a name with "*" or "[" in it would be for DuckDB.
        """
        if self.is_local and not _PATTERN.search(self._root):
            return Path(self._at(name))
        with self._sentences(f"{name} cannot be read"):
            self._fs.get_file(self._at(name), str(spare))
        return spare

    def bring(self, source: Path, name: str) -> None:
        """Put a file of this machine there under a new name; ``source`` is gone afterwards."""
        with self._sentences(f"{name} cannot be written"):
            if self.is_local:
                self._write(name, source)
            else:
                self._fs.put_file(str(source), self._at(name))
            source.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, in place of the one there was."""
        with self._sentences(f"{name} cannot be written"):
            if self.is_local:
                self._write(name, content)
            else:
                self._fs.pipe_file(self._at(name), content)

    def _write(self, name: str, content: bytes | Path, *, new: bool = False) -> None:
        """Write a file on a disk, or a copy of one, so that it is there whole or not at all, whatever happens."""
        path = Path(self._at(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as file:
                if isinstance(content, Path):
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, file, 1 << 20)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if new:
                os.link(part, path)
            else:
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def create(self, name: str, content: bytes) -> None:
        """Write a file that must not be there yet; raises FileExistsError when it is, also in the same moment."""
        with self._sentences(f"{name} cannot be written"):
            if self.is_local:
                self._write(name, content, new=True)
                return
            try:
                self._fs.pipe_file(self._at(name), content, mode="create")
            except Exception as error:
                # S3 answers 412 (it is there) or 409 (somebody is writing it); its client makes OSErrors of these.
                if _is_taken(error):
                    raise FileExistsError(name) from error
                raise

    def delete(self, names: Collection[str]) -> None:
        """Delete files; those that are not there any more are no fault."""
        if not names:
            return
        with self._sentences("old files cannot be deleted"):
            if self.is_local:
                for name in names:
                    path = Path(self._at(name))
                    path.unlink(missing_ok=True)
                    for parent in path.relative_to(self._root).parents[:-1]:
                        with suppress(OSError):  # it is not empty
                            (Path(self._root) / parent).rmdir()
                return
            if _PATTERN.search(self._root):
                for name in names:
                    with suppress(FileNotFoundError):
                        self._fs.rm_file(self._at(name))
                return
            with suppress(FileNotFoundError):
                self._fs.rm([self._at(name) for name in names])


def _is_taken(error: BaseException) -> bool:
    """Whether a client says that an object is there already: 412, or 409 while another one writes it."""
    if isinstance(error, FileExistsError):
        return True
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    return str(status or getattr(error, "code", "")) in ("412", "409")
