"""One import per spreadsheet at a time: a lease kept in the spreadsheet itself, as developer metadata with a fixed id.

Google refuses to make an id that exists, and applies a batch altogether or not at all. So two who ask at once cannot
both get it. Who holds it says every now and then that it is still there; who gives no sign of life for long is
taken over, and before that its next marker is occupied (see ``spreadsheet``), so that a batch it may still be sending
is refused. All times are Google's, so that clocks of two machines need not agree.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from owox_tiktok.errors import Problem, StoreBusy, StoreFailed
from owox_tiktok.sheets import warning
from owox_tiktok.sheets.cells import Json
from owox_tiktok.sheets.client import FREE_MARKERS, MARKER, Spreadsheet
from owox_tiktok.sheets.errors import ArrivedLate, SheetRefused
from owox_tiktok.sheets.requests import create_metadata, delete_metadata, update_metadata
from owox_tiktok.sheets.table import KEYS
from owox_tiktok.sheets.tabs import TAB, Tag

LEASE_ID = 1_907_405_121
LEASE, FENCE = "owox.lease", "owox.fence"
MARKERS = 1_000_000
"""How many numbers each holder has for its markers, from a multiple of this on."""
KEPT = {MARKER: timedelta(hours=1), FENCE: timedelta(days=1)}
"""How long what must keep a batch from arriving twice or late stays; Google gives up on a batch after minutes."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts and what it may take.

    A holder that has given no sign of life for ``ttl_s`` is taken for dead. Giving it back, and a sign of life, may
    take ``give_back_s``: who presses Ctrl-C does not want to wait. ``attempts`` is how often the lease is asked for
    when others come and go meanwhile.
    """

    ttl_s: float = 300.0
    give_back_s: float = 10.0
    attempts: int = 6


TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lease: the run, where it runs, since and until when, and its first marker."""

    book: str
    run: str
    owner: str
    since: datetime
    until: datetime
    base: int

    def encode(self) -> str:
        """Return it as text."""
        return msgspec.json.encode(asdict(self)).decode()


def holder(book: Spreadsheet) -> Holder | None:
    """Return who holds the lease of a spreadsheet now; None for nobody, a dead run, or a copied spreadsheet."""
    return holder_in(book.metadata(LEASE_ID), book)


def holder_in(text: str | None, book: Spreadsheet) -> Holder | None:
    """Return the same where the metadata was read already; ``text`` is its value."""
    found = _decoded(text)
    return found if found is not None and _lives(found, book) else None


class Lease:
    """The lease of one spreadsheet, for a ``with`` block; StoreBusy when another run holds it.

    ``run`` names the run in what others read. While it is held, a thread gives the signs of life, and if it ``warns``,
    our columns ask people who edit there to wait. ``wait`` waits so many seconds for the next sign and returns whether
    it has ended meanwhile; it is an argument for tests.
    """

    def __init__(
        self,
        book: Spreadsheet,
        run: str = "",
        *,
        terms: Terms = TERMS,
        warns: bool = False,
        wait: Callable[[float], bool] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.run = run or new_run_id()
        self._warns = warns
        self._book, self._terms = book, terms
        self._owner = _owner(environment)
        self._held: Holder | None = None
        self._known: str | None = None
        """The lease as it stands in the spreadsheet, where that is certain."""
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._alive: threading.Thread | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lease, from a dead run if need be; StoreBusy when a run that lives holds it."""
        try:
            self._acquire()
        except BaseException:
            self.release()  # it may be ours without our knowing
            raise

    def _warnings(self) -> list[Json]:
        """Return the warnings on the tabs that are there."""
        structure = self._book.structure((TAB,), recent=True) if self._warns else None
        if structure is None or not any(t.key == TAB for t in structure.tags):
            return []
        return warning.warnings(warning.tables_of(self._book.structure(KEYS, recent=True)))

    def _acquire(self) -> None:
        left: Sequence[int] = ()
        for attempt in range(self._terms.attempts):
            if attempt:
                text, tags = self._book.metadata(LEASE_ID), self._book.tags((MARKER, FENCE))
            else:  # with the tabs, which whoever holds the lease looks at next
                structure = self._book.structure((LEASE, MARKER, FENCE))
                left, tags = structure.warnings, structure.tags
                text = next((t.value for t in tags if t.id == LEASE_ID), None)
            if text is not None:
                old = _decoded(text)
                if old is not None and _lives(old, self._book):
                    raise _busy(old, self._book)
                if not self._evict(old, text):
                    continue
                tags = self._book.tags((MARKER, FENCE))
            if self._take(tags, [*warning.removed(left), *self._warnings()]):
                self._alive = threading.Thread(target=self._live, name="lease", daemon=True)
                self._alive.start()
                return
        raise StoreFailed(
            "several imports are competing for it", where=self._book.where, what_to_do="Import again in a minute."
        )

    def release(self) -> None:
        """Give it back. What goes wrong here is not reported: then it runs out."""
        self._ended.set()
        with self._lock:
            held, self._held = self._held, None
            if held is None:
                return
            try:
                with self._book.within(self._terms.give_back_s, urgent=True):
                    self._give_back(held)
            finally:
                self._book.count_markers_from(None)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _take(self, tags: Sequence[Tag], along: Sequence[Json]) -> bool:
        book = self._book
        now = book.now()
        tags = [t for t in tags if t.key in KEPT]
        used = {t.id // MARKERS for t in tags}
        base = MARKERS * secrets.choice([n for n in range(1, FREE_MARKERS // MARKERS) if n not in used])
        # The last marker of a run that was taken over stays as long as its fence: it may still look for it.
        fenced = {t.id // MARKERS for t in tags if t.key == FENCE and not _old(t, now)}
        old = [delete_metadata(t.id) for t in tags if _old(t, now) and t.id // MARKERS not in fenced]
        self._held = Holder(book.id, self.run, self._owner, now, now + timedelta(seconds=self._terms.ttl_s), base)
        self._known = None
        book.count_markers_from(base)
        try:
            try:
                book.apply([create_metadata(LEASE, self._held.encode(), LEASE_ID), *old, *along])
            except SheetRefused:
                # Somebody has removed a warning just now, or a protected tab takes none.
                if not along or book.metadata(LEASE_ID) is not None:
                    raise
                book.apply([create_metadata(LEASE, self._held.encode(), LEASE_ID), *old])
                book.warnings = None  # those that are left are looked for at the end
        except SheetRefused:
            self._held = None
            book.count_markers_from(None)
            if book.metadata(LEASE_ID) is None:
                raise  # it was not for the lease that Google refused
            return False
        self._known = self._held.encode()
        return True

    def _evict(self, old: Holder | None, text: str) -> bool:
        """Take the lease from a run that is dead, or let go of one that came with a copied file; False: look again."""
        book = self._book
        batch = [delete_metadata(LEASE_ID, text)]
        if old is not None and old.book == book.id:
            used = [t.id for t in book.tags((MARKER, FENCE)) if old.base <= t.id < old.base + MARKERS]
            batch.insert(0, create_metadata(FENCE, book.now().isoformat(), max(used, default=old.base - 1) + 1))
        try:
            book.apply(batch)
        except SheetRefused as error:
            if error.code != HTTPStatus.BAD_REQUEST or (book.metadata(LEASE_ID) == text and not batch[1:]):
                raise
            return False
        return True

    def _give_back(self, held: Holder) -> None:
        book = self._book
        warnings = book.warnings
        for _ in range(3):
            try:
                text = self._known or self._ours(held)
                if warnings is None:
                    warnings = set(book.structure(()).warnings)
                # The batch goes out in any case: its marker stops a taking that is still under way.
                book.apply([*([delete_metadata(LEASE_ID, text)] if text else []), *warning.removed(warnings)])
                book.warnings = set()
            except ArrivedLate:
                self._known = None
                continue
            except SheetRefused:
                if warnings:  # somebody has removed one
                    warnings = None
                    continue
            except Problem:
                pass
            return

    def _live(self) -> None:
        pause = self._terms.ttl_s / 3
        while not self._wait(pause):
            with self._lock:
                if self._held is None:
                    return
                try:
                    with self._book.within(self._terms.give_back_s, urgent=True):
                        self._renew(self._held)
                    pause = self._terms.ttl_s / 3
                except StoreBusy:
                    return  # the run notices with its next batch
                except Problem:
                    pause = self._terms.ttl_s / 10

    def _renew(self, held: Holder) -> None:
        # What is there is read, because it is not known whether a sign without an answer has arrived.
        text = self._ours(held)
        if text is not None:
            renewed = replace(held, until=self._book.now() + timedelta(seconds=self._terms.ttl_s))
            self._known = None  # should the answer be lost
            self._book.apply([update_metadata(LEASE_ID, text, renewed.encode())])
            self._known = renewed.encode()

    def _ours(self, held: Holder) -> str | None:
        """Return the lease as it stands in the spreadsheet; None when it is not there or another's."""
        text = self._book.metadata(LEASE_ID)
        there = _decoded(text)
        return text if there is not None and (there.run, there.base) == (held.run, held.base) else None


def new_run_id() -> str:
    """Return a name for a run."""
    return f"run-{secrets.token_hex(6)}"


def _decoded(text: str | None) -> Holder | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Holder)
    except msgspec.DecodeError:
        return None


def _lives(found: Holder, book: Spreadsheet) -> bool:
    if found.book != book.id or found.until <= book.now():
        return False
    where, _, process = found.owner.rpartition(" ")
    here = _machine()
    if not here or where != here or not process.isdigit():
        return True
    # On the same machine a run that was killed need not be waited for.
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return not _zombie(int(process))


def _zombie(process: int) -> bool:
    """Whether a process has ended, and is listed until its parent asks for it; in a container that may be never."""
    try:
        facts = Path(f"/proc/{process}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return False
    # Number, name in brackets, state; the name may hold anything.
    return facts.rpartition(")")[2].split()[:1] == ["Z"]


def _busy(found: Holder, book: Spreadsheet) -> StoreBusy:
    since = f"{found.since:%Y-%m-%d %H:%M} UTC"
    return StoreBusy(
        f"another import has been running here since {since}",
        where=book.where,
        what_to_do=f"Wait for it, or cancel it. If it died, it is taken over after {found.until:%H:%M} UTC.",
    )


def _old(tag: Tag, now: datetime) -> bool:
    """Whether a marker or fence, whose value begins with its time, has stood so long that nothing is on its way."""
    try:
        return datetime.fromisoformat(tag.value.partition(" ")[0]) < now - KEPT[tag.key]
    except (ValueError, TypeError):
        return True


def _machine() -> str:
    """Return a name of this machine since its last start; empty where two may have the same."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        numbers = Path("/proc/self/ns/pid").readlink()  # containers may share all but their process numbers
    except OSError:
        return ""
    return f"{socket.gethostname()} {started} {numbers}"


def _owner(environment: Mapping[str, str]) -> str:
    # Containers of a service share names and process numbers: there, only the time counts.
    return "service" if environment.get("K_SERVICE") else f"{_machine()} {os.getpid()}".strip()
