"""Lines for Cloud Logging: one JSON object each on standard output, with severity, trace and run id, without secrets.

Everything that is logged in this process goes through here, also what libraries log, so that nothing reaches a log
without being scrubbed: known secrets by their value, identity tokens and other bearer tokens by their shape.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import msgspec
from werkzeug.datastructures import Headers

from owox_tiktok.secret import Secret

LOGGER = logging.getLogger("owox_tiktok.service")
HIDDEN = "****"
_MOST = 60_000
"""Characters of one message; Cloud Logging takes 256 KB a line."""

_BEARER = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"  # an identity token
    r"|ya29\.[A-Za-z0-9_-]+"  # an access token of Google's
    r"|(?<=[Bb]earer )[^\s\"',;]+"
)
_known: set[str] = set()
_known_lock = threading.Lock()


def hide(secrets: Iterable[Secret]) -> None:
    """Never let these secrets into a line, from now on."""
    with _known_lock:
        _known.update(value for s in secrets if len(value := s.reveal()) >= 6)


def scrubbed(text: str) -> str:
    """Return ``text`` without known secrets and without anything that looks like a bearer token."""
    with _known_lock:
        values = sorted(_known, key=len, reverse=True)
    for value in values:
        text = text.replace(value, HIDDEN)
    return _BEARER.sub(HIDDEN, text)


class Lines(logging.Formatter):
    """A log record as one JSON object; its ``facts`` become fields of the object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        facts: Mapping[str, Any] = getattr(record, "facts", {})
        line = {"severity": record.levelname, "message": message[:_MOST], "logger": record.name, **facts}
        clean = {name: scrubbed(v) if isinstance(v, str) else v for name, v in line.items() if v not in ("", None)}
        return msgspec.json.encode(clean).decode()


class Log(logging.LoggerAdapter[logging.Logger]):
    """A log of one request: every line carries its facts. Safe to hand to threads."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the request's facts to those of the line."""
        kwargs["extra"] = {"facts": {**(self.extra or {}), **kwargs.pop("facts", {})}}
        return msg, kwargs

    def about(self, **facts: str) -> Log:
        """Return the same log with more facts."""
        return Log(self.logger, {**(self.extra or {}), **facts})


def set_up() -> None:
    """Send everything this process logs to standard output as such lines."""
    root = logging.getLogger()
    if not any(isinstance(h.formatter, Lines) for h in root.handlers):
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(Lines())
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(logging.INFO)


def trace_of(headers: Headers) -> str:
    """Return the trace id of a request, or nothing."""
    found = re.match(r"[0-9a-f]{2}-([0-9a-f]{32})-", headers.get("traceparent", "").lower())
    found = found or re.match(r"([0-9a-f]{32})(?:/|$)", headers.get("X-Cloud-Trace-Context", "").lower())
    return found[1] if found else ""


def of_request(headers: Headers, project: str, request_id: str) -> Log:
    """Return the log of a request, tied to its trace."""
    trace = trace_of(headers)
    facts = {"request_id": request_id}
    if trace:
        facts["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace}" if project else trace
    return Log(LOGGER, facts)
