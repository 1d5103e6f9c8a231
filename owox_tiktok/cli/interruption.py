"""What Ctrl-C, SIGTERM and a closed terminal do to the program.

Nothing is ever thrown into a transaction: a handler takes note, and the work looks at the note between two of them. A
second signal ends the program at once, which harms nothing either: rows and cursors land together or not at all.
Exit codes are the shells' own: 128 and the signal's number, 130 for Ctrl-C and 143 for SIGTERM.
"""

from __future__ import annotations

import enum
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from owox_tiktok.states import Reason

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
TWICE_S = 0.5
"""A second signal within so short a time is the first one again, passed on by a program around this one."""
SHOW_CURSOR = "\x1b[?25h"


class How(enum.Enum):
    """How a command takes a signal."""

    AT_ONCE = "it changes nothing, so it ends where it is"
    AFTER_THIS = "it looks at the note when a transaction is over"
    BY_EXCEPTION = "it waits for a person or for one answer, and cleans up behind itself"


class Interruption:
    """Which signal has come, and what is done about the first."""

    def __init__(self) -> None:
        self.number = 0
        """The signal that came, 0 for none."""
        self.words = "interrupted before anything was done."
        """What is said where the program ends at once."""
        self.how = How.AT_ONCE
        self._at = 0.0

    def install(self) -> None:
        """Handle signals from now on; those that who started the program wants ignored (``nohup``, ``&``) stay so."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def asked(self) -> Reason | None:
        """Return a reason when the work is to end, as ``app`` expects it from ``halted``."""
        return Reason.INTERRUPTED if self.number else None

    @property
    def exit_code(self) -> int:
        """What the program ends with."""
        return 128 + self.number if self.number else 1

    @contextmanager
    def taken(self, how: How) -> Iterator[None]:
        """Take signals in this way for a while."""
        before, self.how = self.how, how
        try:
            yield
        finally:
            self.how = before

    def over(self) -> None:
        """Take no signal any more: the outcome stands, and the process is about to end."""
        for number in SIGNALS:
            with suppress(ValueError):  # outside the main thread, in a test
                signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.number:
            if now - self._at >= TWICE_S:
                _say(f"{SHOW_CURSOR if os.isatty(2) else ''}Stopped: interrupted a second time.")
                os._exit(128 + number)
            return
        self.number, self._at = number, now
        if self.how is How.AT_ONCE:
            _say(f"Stopped: {self.words}")
            os._exit(128 + number)
        if self.how is How.BY_EXCEPTION:
            raise KeyboardInterrupt
        if os.isatty(2):
            _say("\nStopping after the current step. Press Ctrl-C again to stop at once.")


def _say(sentence: str) -> None:
    """Write to standard error past its buffer, which the interrupted code may be writing to."""
    with suppress(OSError):
        os.write(2, f"{sentence}\n".encode())


INTERRUPTION = Interruption()
"""The process has one, as it has one set of signal handlers."""
