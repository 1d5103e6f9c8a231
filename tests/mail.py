"""A mail server with a certificate of its own authority, for the tests of messages."""

from __future__ import annotations

import contextlib
import email
import email.policy
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope


def served(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@dataclass
class Post:
    """A mail server with STARTTLS and a sign-in: what it was given."""

    port: int = 0
    letters: list[Envelope] = field(default_factory=list)
    signed_in: list[bytes] = field(default_factory=list)
    refuse: str = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address == self.refuse:
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.letters.append(envelope)
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.signed_in.append(data.login)
        return AuthResult(success=data.password == b"planted-password", handled=False)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(self.port),
            "SMTP_USER": "me",
            "SMTP_PASSWORD": "planted-password",
            "SMTP_FROM": "reports@example.com",
        }


@contextlib.contextmanager
def mail_server(post: Post, **more: Any) -> Iterator[Post]:
    controller = Controller(post, hostname="localhost", port=0, authenticator=post.authenticate, **more)
    with socket.socket() as free:  # the controller greets itself at the port it was given, so it cannot be 0
        free.bind(("localhost", 0))
        controller.port = post.port = free.getsockname()[1]
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


def texts(post: Post) -> list[tuple[str, str]]:
    """Subject and text of each letter that came."""
    found = []
    for letter in post.letters:
        assert isinstance(letter.content, bytes)
        message = email.message_from_bytes(letter.content, policy=email.policy.default)
        found.append((str(message["Subject"]), str(message.get_content())))
    return found
