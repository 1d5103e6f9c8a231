"""How an answer comes over the wire: an HTTP connection whose reading ends when it takes too long or the run ends.

A socket's own time-out restarts with every byte, so an answer that drips would hold its reader for ever, and a
reader that waits for the first byte would not hear that the run is over. So the socket's time-out is a short glance,
and every glance looks at the clock and at the run.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests.adapters


class Stopped(Exception):
    """The run ended while an answer was read."""


class TooSlow(Exception):
    """The answer as a whole took too long."""


@dataclass(slots=True)
class Watch:
    """What ends an answer: ``stopped``, ``silence_s`` without a byte, or ``answer_s`` in all since ``begin``.

    One for each connection, and so for each thread.
    """

    stopped: Callable[[], bool]
    silence_s: float
    answer_s: float
    until: float = 0.0

    def begin(self) -> None:
        """A request is about to be sent."""
        self.until = time.monotonic() + self.answer_s

    def receive(self, source: socket.socket, buffer: Any) -> int:
        """Read what is there into ``buffer``; raises Stopped, TooSlow, or TimeoutError after too long a silence."""
        silent_until = time.monotonic() + self.silence_s
        while True:
            if self.stopped():
                raise Stopped
            now = time.monotonic()
            if now >= self.until:
                raise TooSlow
            if now >= silent_until:
                raise TimeoutError
            try:
                return source.recv_into(buffer)
            except TimeoutError:
                continue  # one glance is over


class Adapter(requests.adapters.HTTPAdapter):
    """One connection, watched. Without a session: no cookies, no .netrc, no redirects, and half the work per request.

    The time-out for reading that is passed to ``send`` is the length of a glance.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **how: Any) -> None:
        """Make the pool of connections without a proxy."""
        super().init_poolmanager(*args, **how)
        _watched(self.poolmanager, self.watch)

    def proxy_manager_for(self, proxy: str, **how: Any) -> Any:
        """Return the pool of connections through a proxy."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **how)
        if not known:
            _watched(manager, self.watch)
        return manager


def _watched(manager: Any, watch: Watch) -> None:
    """Let every connection of urllib3's pool manager read its answers with a ``Response`` that is watched."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **how: Any) -> None:
            super().__init__(sock, *args, **how)
            self.fp = io.BufferedReader(_Raw(self.fp.detach(), sock, watch), 1 << 16)

    manager.pool_classes_by_scheme = {
        scheme: type(
            pool.__name__,
            (pool,),
            {"ConnectionCls": type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"response_class": Response})},
        )
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


class _Raw(io.RawIOBase):
    """A socket's bytes as http.client reads them; ``owned`` is its own view, which counts as a use of the socket."""

    def __init__(self, owned: io.RawIOBase, source: socket.socket, watch: Watch) -> None:
        self._owned, self._source, self._watch = owned, source, watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._watch.receive(self._source, buffer)

    def close(self) -> None:
        self._owned.close()
        super().close()
