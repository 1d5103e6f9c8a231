"""Windows as they are read, one after the other, for whoever wants rows and has a place of its own for them.

The run is an import's: the same plan, pace, retries, page counts and totals. In the place of a destination stands
``_HandOver``, which stores nothing: it hands each window to whoever asks for the next, and lets the run continue once
that was done. So there is never more in memory or on disk than an import has on its way.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from owox_tiktok.app.common import Days
from owox_tiktok.app.imports import Part, import_
from owox_tiktok.cursors import check_step
from owox_tiktok.errors import StoreGone
from owox_tiktok.events import Event, Failed, Finished, Listener, Warned
from owox_tiktok.model import Chunk, Cursors, Field, Known, Seal, Sealed, Step, Stored, Stream, Window
from owox_tiktok.plan import NOTHING_DONE, Done
from owox_tiktok.settings import Settings
from owox_tiktok.states import Reason

NOTHING_KNOWN: Cursors = {}
ASK_S = 1.0
"""At least this often whoever waits looks whether the other side is still there, and notices Ctrl-C."""

Said = Failed | Warned
"""What comes between windows: a pair that failed, something a person should know."""


class _HandedOver:
    """A window that was read, until it is taken."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.taken = threading.Event()


class _Broken:
    """Why the run ended."""

    def __init__(self, fault: BaseException) -> None:
        self.fault = fault


class _HandOver:
    """A destination without a place of its own (see ``model.Destination``): a window is stored once it was taken."""

    step = Step(linger_s=0.0)

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self.queue: SimpleQueue[_HandedOver | Said | Finished | _Broken] = SimpleQueue()
        self.left = threading.Event()
        """Whoever asked has left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def cursors(self) -> dict[tuple[str, str], Known]:
        return dict(self._cursors)

    def prepare(self, stream: Stream, columns: Sequence[Field]) -> None:
        return None

    def replace(self, chunks: Sequence[Chunk]) -> list[Stored]:
        check_step(chunks)
        for chunk in chunks:
            window = _HandedOver(chunk)
            self.queue.put(window)
            while not window.taken.wait(ASK_S):
                if self.left.is_set():
                    raise StoreGone("nobody asks for more rows")
        return [Stored(chunk.rows, 0) for chunk in chunks]

    def upsert(self, chunks: Sequence[Chunk]) -> list[Stored]:
        return self.replace(chunks)

    def failed(self, stream: Stream, advertiser_id: str, error: str, at: datetime) -> None:
        return None

    def forget(self, stream: Stream, advertiser_ids: Collection[str]) -> None:
        return None

    def prune(self, stream: Stream, keep_from: Mapping[str, date], *, dry_run: bool) -> int:
        return 0

    def seals(self, stream: Stream, advertiser_id: str) -> dict[date | None, Sealed]:
        return {}

    def recount(self, stream: Stream, advertiser_id: str, window: Window | None = None) -> dict[date | None, Seal]:
        return {}


def windows(
    settings: Settings,
    *,
    now: datetime,
    listen: Listener,
    cursors: Cursors = NOTHING_KNOWN,
    done: Done = NOTHING_DONE,
    backfill: Days | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Chunk | Said | Finished]:
    """Yield each window that an import would store, as it is read, and at the end what came of it all.

    An account's windows of an object come oldest first, each with the cursor that is true once it and those before it
    are kept; those of several accounts and objects come as they are ready. A window's row file is there until the next
    one is asked for. A pair that fails is a Failed among them, and others continue; what a person should know is a
    Warned. The last is always a Finished. ``cursors`` are what is known from before, as an import reads them from its
    destination, and ``done`` what earlier parts of the same run have read. No rows are deleted and no messages sent.

    Whoever asks for no more ends the run. Raises what ``import_`` raises.
    """
    settings = replace(settings, notify_when="never", views=False, clean_up_to_keep_window=None)
    hand_over = _HandOver(cursors)

    def hear(event: Event) -> None:
        listen(event)
        if isinstance(event, Said):
            hand_over.queue.put(event)

    def work() -> None:
        part = Part(halted=lambda: Reason.CANCELLED if hand_over.left.is_set() else None, done=done)
        try:
            finished = import_(
                settings,
                now=now,
                listen=hear,
                backfill=backfill,
                part=part,
                environment=environment,
                open_=lambda _: hand_over,
            )
            hand_over.queue.put(finished)
        except BaseException as fault:  # raised where somebody asks
            hand_over.queue.put(_Broken(fault))

    thread = threading.Thread(target=work, name="windows", daemon=True)
    thread.start()
    try:
        while True:
            try:
                found = hand_over.queue.get(timeout=ASK_S)
            except Empty:
                continue
            if isinstance(found, _Broken):
                raise found.fault
            if not isinstance(found, _HandedOver):
                yield found
                if isinstance(found, Finished):
                    return
                continue
            yield found.chunk
            found.taken.set()
    finally:
        hand_over.left.set()
        thread.join(timeout=5)
