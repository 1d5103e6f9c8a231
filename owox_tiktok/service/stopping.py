"""The platform ends an instance with SIGTERM and, ten seconds later, for good. Whoever runs an import notices here.

The server (gunicorn) sets its own handler for SIGTERM in each process it forks, after the function was loaded, and
handlers can be set in the main thread only, which is the server's. So a handler for another signal, which nobody
resets, is set while the function is loaded; the first run sends that signal to its own process, and the handler, in the
main thread then, puts ours before the server's.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_ARM = getattr(signal, "SIGURG", None)
"""Every process ignores it unless it listens. There is none on Windows, where no platform of ours runs."""


class Stopping:
    """Whether this process is to end. Made while the function is loaded; outside a main thread it never says so."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: object = None
        self._ready = _ARM is not None and threading.current_thread() is threading.main_thread()
        if self._ready:
            signal.signal(_ARM, self._put_ours_first)  # type: ignore[arg-type]

    def arm(self) -> None:
        """Notice SIGTERM from now on, in this process."""
        if self._ready:
            signal.pthread_kill(threading.main_thread().ident or 0, _ARM)  # type: ignore[arg-type]

    def asked(self) -> bool:
        """Whether SIGTERM has come since."""
        return self._asked.is_set()

    def _put_ours_first(self, number: int, frame: FrameType | None) -> None:
        before = signal.getsignal(signal.SIGTERM)
        # Without a server's handler SIGTERM ends the process at once, as it should.
        if callable(before) and before != self._note:
            self._before = before
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked.set()
        if callable(self._before):
            self._before(number, frame)
