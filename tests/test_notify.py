"""Messages about a run, sent to real servers: HTTPS ones that stand for a webhook's host, and SMTP ones."""

from __future__ import annotations

import contextlib
import email
import email.policy
import http.client
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import Envelope

from owox_tiktok.errors import Problem
from owox_tiktok.events import Finished
from owox_tiktok.notify import LONGEST, MOST_RECIPIENTS, Reach, mistakes, notify, outcome, send, wanted
from owox_tiktok.secret import Secret
from owox_tiktok.settings import NOTIFY_WHEN, Settings
from owox_tiktok.states import Reason
from owox_tiktok.streams import STREAMS
from tests.helpers import Project
from tests.mail import Post, mail_server, served

KEY = "planted-webhook-key"
SENTENCE = "Partly done: 1,741 rows stored, 1 of 4 not complete."


def settings(**more: Any) -> Settings:
    plain = Settings(
        access_token=Secret("t"),
        advertiser_ids=("1",),
        start_date=date(2026, 1, 1),
        objects=(STREAMS["campaigns"],),
        fields={},
        destination="sheets://1aBcD",
        notify_when="always",
        source="Config",
    )
    return replace(plain, **more)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# --- webhooks ---------------------------------------------------------------------------------------------------------


@dataclass
class Room:
    """A host of webhooks: what was posted to it, and what it answers."""

    host: str
    posts: list[tuple[str, str, bytes]] = field(default_factory=list)
    status: int = 200
    slow_s: float = 0.0

    @property
    def hook(self) -> str:
        return f"https://{self.host}/v1/spaces/A/messages?key={KEY}&token=t"


@pytest.fixture
def room(authority: trustme.CA) -> Iterator[Room]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append((self.path, self.headers["Content-Type"], body))
            time.sleep(found.slow_s)
            with contextlib.suppress(OSError):
                self.send_response(found.status)
                self.send_header("Location", f"https://{found.host}/elsewhere")
                self.end_headers()
                self.wfile.write(b"x" * 10_000_000 if found.status == 200 else b"")

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """One that hangs up early, or does not trust us, is what some tests are about."""

    server = Quiet(("localhost", 0), Handler)
    server.socket = served(authority).wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    found = Room(f"localhost:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def test_google_chat_and_slack_get_the_sentence_and_the_address_of_the_sheet(room: Room, trust: ssl.SSLContext) -> None:
    said = send(
        settings(notify_by_google_chat=True, notify_by_slack=True),
        "error",
        SENTENCE,
        {"GOOGLE_CHAT_WEBHOOK_URL": room.hook, "SLACK_WEBHOOK_URL": f"https://{room.host}/services/T/B/x\n"},
        Reach(google_chat_hosts=[room.host], slack_hosts=[room.host], tls=trust),
    )
    assert said == []
    posts = {path: json.loads(body) for path, kind, body in room.posts if kind.startswith("application/json")}
    wanted_text = f"TikTok Ads import · {SENTENCE}\nhttps://docs.google.com/spreadsheets/d/1aBcD"
    assert posts[f"/v1/spaces/A/messages?key={KEY}&token=t"] == {"text": wanted_text}
    assert posts["/services/T/B/x"]["text"] == wanted_text
    assert len(room.posts) == 2


def test_names_that_came_from_tiktok_call_nobody_and_link_nowhere(room: Room, trust: ssl.SSLContext) -> None:
    evil = "<!channel> <users/all> <https://evil.example|Sheet> a & b"
    send(
        settings(notify_by_google_chat=True, notify_by_slack=True),
        "done",
        evil,
        {"GOOGLE_CHAT_WEBHOOK_URL": room.hook, "SLACK_WEBHOOK_URL": f"https://{room.host}/s"},
        Reach(google_chat_hosts=[room.host], slack_hosts=[room.host], tls=trust),
    )
    texts = {path: json.loads(body)["text"] for path, _, body in room.posts}
    assert "<" not in "".join(texts.values())
    assert "&lt;!channel&gt;" in texts["/s"]
    assert "a &amp; b" in texts["/s"]


def test_a_long_sentence_is_cut(room: Room, trust: ssl.SSLContext) -> None:
    send(
        settings(notify_by_slack=True),
        "done",
        "x" * 100_000,
        {"SLACK_WEBHOOK_URL": room.hook},
        Reach(slack_hosts=[room.host], tls=trust),
    )
    text = json.loads(room.posts[0][2])["text"]
    assert LONGEST < len(text) < LONGEST + 200
    assert "x…\nhttps://docs.google.com/" in text


@pytest.mark.parametrize(
    ("status", "words"),
    [(302, "redirect, which is not followed"), (404, "a new webhook"), (500, "answered 500")],
)
def test_a_host_that_refuses_is_a_warning_and_is_not_followed(
    status: int, words: str, room: Room, trust: ssl.SSLContext
) -> None:
    room.status = status
    (said,) = send(
        settings(notify_by_slack=True),
        "done",
        SENTENCE,
        {"SLACK_WEBHOOK_URL": room.hook},
        Reach(slack_hosts=[room.host], tls=trust),
    )
    assert said.startswith("The message by Slack was not sent: ")
    assert words in said
    assert len(room.posts) == 1


def test_a_host_that_hangs_holds_the_run_up_for_a_moment_only(room: Room, trust: ssl.SSLContext) -> None:
    room.slow_s = 3
    began = time.monotonic()
    said = send(
        settings(notify_by_google_chat=True, notify_by_slack=True),
        "done",
        SENTENCE,
        {"GOOGLE_CHAT_WEBHOOK_URL": room.hook, "SLACK_WEBHOOK_URL": room.hook},
        Reach(google_chat_hosts=[room.host], slack_hosts=[room.host], tls=trust, within_s=0.3),
    )
    assert time.monotonic() - began < 2
    assert said == [f"The message by {way} was not sent: no answer within 0.3 s" for way in ("Google Chat", "Slack")]


def test_a_server_without_a_trusted_certificate_gets_nothing(room: Room) -> None:
    (said,) = send(
        settings(notify_by_slack=True),
        "done",
        SENTENCE,
        {"SLACK_WEBHOOK_URL": room.hook},
        Reach(slack_hosts=[room.host]),
    )
    assert said == "The message by Slack was not sent: the certificate of its server is not trusted"
    assert room.posts == []


def test_a_server_that_is_not_there_is_a_warning(room: Room, trust: ssl.SSLContext) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        host = f"localhost:{taken.getsockname()[1]}"
        (said,) = send(
            settings(notify_by_slack=True),
            "done",
            SENTENCE,
            {"SLACK_WEBHOOK_URL": f"https://{host}/{KEY}"},
            Reach(slack_hosts=[host], tls=trust),
        )
    assert "could not be reached" in said
    assert KEY not in said


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.slack.com/services/planted-webhook-key",
        "https://hooks.slack.com.evil.example/planted-webhook-key",
        "https://evil.example/?https://hooks.slack.com/planted-webhook-key",
        "https://hooks.slack.com@evil.example/planted-webhook-key",
        "https://evil.example\\@hooks.slack.com/planted-webhook-key",
        "https://hooks.slack.com:8443/planted-webhook-key",
        "https://hooks.slack.com/a\r\nHost: evil.example/planted-webhook-key",
        "https://[hooks.slack.com/planted-webhook-key",
        "https://169.254.169.254/planted-webhook-key",
        "https://chat.googleapis.com/v1/spaces/planted-webhook-key",
        "planted-webhook-key",
    ],
)
def test_a_webhook_elsewhere_is_refused_without_being_shown(address: str) -> None:
    environment = {"SLACK_WEBHOOK_URL": address}
    chosen = settings(notify_by_slack=True)
    (mistake,) = mistakes(chosen, environment)
    assert mistake.where == "SLACK_WEBHOOK_URL"
    assert "https://hooks.slack.com" in mistake.what
    (said,) = send(chosen, "error", SENTENCE, environment)
    assert said == str(mistake)
    assert KEY not in said


def test_hosts_of_the_services_are_accepted() -> None:
    for host in ("hooks.slack.com", "hooks.slack-gov.com"):
        assert mistakes(settings(notify_by_slack=True), {"SLACK_WEBHOOK_URL": f"https://{host}/services/T/B/x"}) == []
    chat = {"GOOGLE_CHAT_WEBHOOK_URL": "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t"}
    assert mistakes(settings(notify_by_google_chat=True), chat) == []


def test_the_address_is_in_no_log_line_even_when_everything_is_logged(
    room: Room, trust: ssl.SSLContext, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        send(
            settings(notify_by_slack=True),
            "done",
            SENTENCE,
            {"SLACK_WEBHOOK_URL": room.hook},
            Reach(slack_hosts=[room.host], tls=trust),
        )
    assert http.client.HTTPConnection.debuglevel == 0
    assert len(room.posts) == 1
    out, err = capfd.readouterr()
    assert KEY not in caplog.text + out + err


# --- e-mail -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def post(authority: trustme.CA) -> Iterator[Post]:
    with mail_server(Post(), tls_context=served(authority), require_starttls=True, auth_required=True) as found:
        yield found


def test_an_e_mail_goes_encrypted_and_signed_in_to_every_address(post: Post, trust: ssl.SSLContext) -> None:
    chosen = settings(notify_by_email=("a@example.com", "b@example.com"))
    assert send(chosen, "error", SENTENCE + "\nBcc: c@example.com", post.environment, Reach(tls=trust)) == []
    (letter,) = post.letters
    assert isinstance(letter.content, bytes)
    message = email.message_from_bytes(letter.content, policy=email.policy.default)
    text = message.get_content()
    assert post.signed_in == [b"me"]
    assert letter.mail_from == "reports@example.com"
    assert letter.rcpt_tos == ["a@example.com", "b@example.com"]
    assert message["Subject"] == "TikTok Ads import: needs you"
    assert message["To"] == "a@example.com, b@example.com"
    assert message["Bcc"] is None
    assert SENTENCE in text
    assert "https://docs.google.com/spreadsheets/d/1aBcD" in text


def test_a_wrong_password_is_a_warning_that_does_not_show_it(post: Post, trust: ssl.SSLContext) -> None:
    environment = post.environment | {"SMTP_PASSWORD": "planted-but-wrong"}
    (said,) = send(settings(notify_by_email=("a@example.com",)), "done", SENTENCE, environment, Reach(tls=trust))
    assert said == "The message by e-mail was not sent: the mail server refused SMTP_USER and SMTP_PASSWORD"
    assert post.letters == []


def test_an_address_that_is_refused_does_not_keep_the_others_from_their_message(
    post: Post, trust: ssl.SSLContext
) -> None:
    post.refuse = "gone@example.com"
    chosen = settings(notify_by_email=("a@example.com", "gone@example.com"))
    (said,) = send(chosen, "done", SENTENCE, post.environment, Reach(tls=trust))
    assert "refused 1 of the addresses" in said
    assert post.letters[0].rcpt_tos == ["a@example.com"]


def test_a_mail_server_without_encryption_gets_neither_password_nor_message(trust: ssl.SSLContext) -> None:
    with mail_server(Post(), auth_require_tls=False) as plain:
        (said,) = send(settings(notify_by_email=("a@b.cd",)), "done", SENTENCE, plain.environment, Reach(tls=trust))
    assert "offers no encryption" in said
    assert plain.signed_in == []
    assert plain.letters == []


def test_a_mail_server_without_a_trusted_certificate_gets_neither(post: Post) -> None:
    (said,) = send(settings(notify_by_email=("a@example.com",)), "done", SENTENCE, post.environment)
    assert "certificate of the mail server is not trusted" in said
    assert post.signed_in == []


# --- when and whether -------------------------------------------------------------------------------------------------


def test_each_time_covers_what_stands_before_it() -> None:
    notifying = {
        when: [level for level in ("error", "warnings", "done") if wanted(when, level)] for when in NOTIFY_WHEN
    }
    assert notifying == {
        "never": [],
        "on error": ["error"],
        "on warnings": ["error", "warnings"],
        "always": ["error", "warnings", "done"],
    }


FINE = Finished(rows={"campaigns": 3}, replaced={}, pairs=2, failed=0, requests=4, refused=0, seconds=1.0)


@pytest.mark.parametrize(
    ("ended", "level", "begins"),
    [
        (FINE, "done", "Done in 1.0 s: 3 rows stored"),
        (replace(FINE, warnings=1), "warnings", "Done in"),
        (replace(FINE, failed=1), "error", "Partly done in"),
        (replace(FINE, failed=2), "error", "Error in 1.0 s"),
        (replace(FINE, left=5, stopped=Reason.OUT_OF_TIME), "error", "Partly done in"),
        (replace(FINE, left=5, stopped=Reason.CANCELLED), "warnings", "Partly done in"),
        (Problem("the token is refused", what_to_do="Get another."), "error", "Error: the token is refused. Get"),
    ],
)
def test_how_a_run_ended_decides_who_is_told_what(ended: Finished | Problem, level: str, begins: str) -> None:
    found, sentence = outcome(ended)
    assert found == level
    assert sentence.startswith(begins)


def test_what_is_wrong_with_the_set_up_is_told_in_every_run_that_somebody_wants_to_hear_of() -> None:
    chosen = settings(notify_when="on error", notify_by_slack=True)
    for ended in (FINE, Problem("no")):
        (said,) = notify(chosen, ended, {})
        assert said.startswith("SLACK_WEBHOOK_URL: is not set where the import runs")
    assert notify(replace(chosen, notify_when="never"), FINE, {}) == []


def test_nobody_is_connected_to_when_nobody_wants_to_know() -> None:
    with socket.create_server(("localhost", 0)) as server:
        server.settimeout(0.2)
        environment = {"SMTP_HOST": "localhost", "SMTP_PORT": str(server.getsockname()[1]), "SMTP_FROM": "a@b.cd"}
        for when in ("never", "on error", "on warnings"):
            assert notify(settings(notify_when=when, notify_by_email=("a@example.com",)), FINE, environment) == []
        with pytest.raises(TimeoutError):
            server.accept()


def test_every_mistake_of_the_deployment_is_named() -> None:
    chosen = settings(
        notify_by_google_chat=True,
        notify_by_slack=True,
        notify_by_email=tuple(f"{n}@example.com" for n in range(MOST_RECIPIENTS + 1)),
    )
    environment = {"SMTP_PORT": "mail", "SMTP_USER": "me", "SMTP_FROM": "no address"}
    assert [m.where for m in mistakes(chosen, environment)] == [
        "GOOGLE_CHAT_WEBHOOK_URL",
        "SLACK_WEBHOOK_URL",
        "SMTP_HOST",
        "SMTP_PORT",
        "SMTP_PASSWORD",
        "SMTP_FROM",
        "notify_by_email",
    ]
    assert mistakes(replace(chosen, notify_when="never"), environment) == []
    (alone,) = mistakes(settings(notify_when="on error"), {})
    assert "no way to notify is chosen" in alone.what


def test_one_way_that_is_not_set_up_does_not_silence_the_other(room: Room, trust: ssl.SSLContext) -> None:
    (said,) = send(
        settings(notify_by_slack=True, notify_by_email=("a@example.com",)),
        "done",
        SENTENCE,
        {"SLACK_WEBHOOK_URL": room.hook, "SMTP_FROM": "reports@example.com"},
        Reach(slack_hosts=[room.host], tls=trust),
    )
    assert said.startswith("SMTP_HOST: is not set")
    assert len(room.posts) == 1


# --- a whole import ---------------------------------------------------------------------------------------------------


@pytest.fixture
def notifying(project: Project, post: Post, authority: trustme.CA) -> Project:
    """A project whose imports write an e-mail about every run, and trust the mail server of the tests."""
    trusted = project.folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    project.say |= {"objects": ["campaigns"], "notify_when": "always", "notify_by_email": ["a@example.com"]}
    return project


def text_of(letter: Envelope) -> str:
    assert isinstance(letter.content, bytes)
    return str(email.message_from_bytes(letter.content, policy=email.policy.default).get_content()).strip()


def test_an_import_tells_once_how_it_ended(notifying: Project, post: Post) -> None:
    environment = post.environment | {"SSL_CERT_FILE": str(notifying.folder / "authority.pem")}
    ran = notifying.cli("import", str(notifying.write()), now=True, **environment)
    assert ran.returncode == 0, ran.stderr
    assert "warning" not in ran.stderr
    (letter,) = post.letters
    said = ran.stderr.strip().splitlines()[-1]
    assert text_of(letter) == f"TikTok Ads import · {said}"


def test_an_import_that_could_not_begin_tells_why(notifying: Project, post: Post) -> None:
    environment = post.environment | {"SSL_CERT_FILE": str(notifying.folder / "authority.pem")}
    ran = notifying.cli(
        "import", str(notifying.write(notify_when="on error")), TIKTOK_ACCESS_TOKEN="old", now=True, **environment
    )
    assert ran.returncode == 1
    (letter,) = post.letters
    assert text_of(letter).startswith("TikTok Ads import · Error: ")
    assert "(40105)" in text_of(letter)


def test_a_message_that_cannot_be_sent_is_a_warning_of_an_import_that_is_done(notifying: Project, post: Post) -> None:
    path = str(notifying.write(notify_by_slack=True))
    hook = f"https://evil.example/{KEY}"
    ran = notifying.cli("import", path, "--log", "json", SLACK_WEBHOOK_URL=hook, now=True, **post.environment)
    assert ran.returncode == 0
    warnings = [line["message"] for line in map(json.loads, ran.stdout.splitlines()) if line["event"] == "warned"]
    assert [w.split(": ")[0] for w in warnings] == ["SLACK_WEBHOOK_URL", "The message by e-mail was not sent"]
    assert KEY not in ran.stdout + ran.stderr
    assert notifying.wrong("campaigns") == []


def test_check_finds_what_messages_lack(notifying: Project) -> None:
    ran = notifying.cli("check", str(notifying.write()), "--log", "json")
    assert ran.returncode == 3
    (bad,) = [c for c in map(json.loads, ran.stdout.splitlines()) if not c["ok"]]
    assert bad["what"] == "messages about runs"
    assert "SMTP_HOST: is not set where the import runs" in bad["detail"]
