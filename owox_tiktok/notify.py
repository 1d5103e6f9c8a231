"""One message about a run, to the people who asked for it: Google Chat, Slack, e-mail.

The Sheet (or file) says when and by which ways; where to comes from the environment of whoever deployed it, so that an
editor of the Sheet can name no address of a server: GOOGLE_CHAT_WEBHOOK_URL, SLACK_WEBHOOK_URL, and SMTP_HOST,
SMTP_PORT, SMTP_USER, SMTP_PASSWORD, SMTP_FROM. A message never fails a run and never holds it up for long.
"""

from __future__ import annotations

import json
import re
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from http.client import HTTPException, HTTPSConnection
from typing import Literal, Protocol
from urllib.parse import urlsplit

from owox_tiktok.errors import Mistake, Problem
from owox_tiktok.events import Finished
from owox_tiktok.secret import Secret
from owox_tiktok.settings import BY_NAME, NAMES, NOTIFY_WHEN, Wording
from owox_tiktok.states import ABOUT, Reason, State

Level = Literal["done", "warnings", "error", "recovered"]
"""How a run ended: all well, all well but with warnings, nothing or not everything imported, or all well again."""


class Asks(Protocol):
    """What somebody asks to be told, as settings say it."""

    @property
    def notify_when(self) -> str:
        """One of NOTIFY_WHEN."""

    @property
    def notify_by_email(self) -> tuple[str, ...]:
        """Addresses."""

    @property
    def notify_by_google_chat(self) -> bool:
        """Whether to write into the deployment's room."""

    @property
    def notify_by_slack(self) -> bool:
        """Whether to write into the deployment's channel."""

    @property
    def destination(self) -> str:
        """Where the rows go; a Sheet's address is shown."""

    @property
    def wording(self) -> Wording:
        """How mistakes name a setting."""


@dataclass(frozen=True, slots=True)
class Whom:
    """What a Sheet asked to be told the last time that it could be read, for when it cannot."""

    notify_when: str = "never"
    notify_by_email: tuple[str, ...] = ()
    notify_by_google_chat: bool = False
    notify_by_slack: bool = False
    destination: str = ""

    @property
    def wording(self) -> Wording:
        """How mistakes name a setting."""
        return NAMES


def whom(asks: Asks) -> Whom:
    """Return only what says whom to tell."""
    return Whom(
        asks.notify_when, asks.notify_by_email, asks.notify_by_google_chat, asks.notify_by_slack, asks.destination
    )


LONGEST = 3000
"""Characters of a message; Google Chat takes 4,096 bytes, and the Logs have the rest anyway."""
MOST_RECIPIENTS = 20
VARIABLES = (
    "GOOGLE_CHAT_WEBHOOK_URL",
    "SLACK_WEBHOOK_URL",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "SMTP_FROM",
)
"""What the environment may hold."""
CALL_S = 5.0
"""A connection, and each wait for an answer, may take so long …"""
ALL_S = 12.0
"""… and all messages of a run together so long. They are sent side by side."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which servers a message may go to, and how long all of a run's messages may take; only tests change it.

    A webhook has one of these hosts, with a port where it is not 443. ``tls`` says which certificates are trusted:
    None, those that the system trusts.
    """

    google_chat_hosts: Sequence[str] = ("chat.googleapis.com",)
    slack_hosts: Sequence[str] = ("hooks.slack.com", "hooks.slack-gov.com")
    tls: ssl.SSLContext | None = None
    within_s: float = ALL_S


REACH = Reach()

_SUBJECTS: Mapping[Level, str] = {
    "done": "done",
    "warnings": "done, with warnings",
    "error": "needs you",
    "recovered": "works again",
}


def outcome(ended: Finished | Problem) -> tuple[Level, str]:
    """Return how a run ended and the sentence about it, the one that its Sheet shows as well."""
    if isinstance(ended, Problem):
        return "error", f"{ABOUT[State.ERROR].headline}: {ended.sentence}"
    if ended.failed or (ended.stopped and ended.stopped is not Reason.CANCELLED):
        return "error", ended.summary
    # Whoever cancelled it knows.
    return ("warnings" if ended.warnings or ended.stopped else "done"), ended.summary


def wanted(when: str, level: Level) -> bool:
    """Return whether ``when``, one of NOTIFY_WHEN, asks for a message about a run that ended so."""
    return NOTIFY_WHEN.index(when) >= {"error": 1, "recovered": 1, "warnings": 2, "done": 3}[level]


def mistakes(settings: Asks, environment: Mapping[str, str]) -> list[Mistake]:
    """Return what keeps the messages that ``settings`` ask for from being sent; empty when nothing does."""
    if settings.notify_when == "never":
        return []
    return [m for wrong in _wrong(settings, environment, REACH).values() for m in wrong]


def _wrong(settings: Asks, environment: Mapping[str, str], reach: Reach) -> dict[str, list[Mistake]]:
    """Return the mistakes per way that is chosen."""
    wrong: dict[str, list[Mistake]] = {}
    if settings.notify_by_google_chat:
        wrong["Google Chat"] = _webhook_mistakes("GOOGLE_CHAT_WEBHOOK_URL", environment, reach.google_chat_hosts)
    if settings.notify_by_slack:
        wrong["Slack"] = _webhook_mistakes("SLACK_WEBHOOK_URL", environment, reach.slack_hosts)
    if settings.notify_by_email:
        wrong["e-mail"] = _mail_mistakes(settings, environment)
    if not wrong:
        what = f"is {settings.notify_when}, but no way to notify is chosen"
        advice = "Choose e-mail, Google Chat or Slack as well, or write never."
        wrong[""] = [Mistake(settings.wording.where(BY_NAME["notify_when"]), what, advice)]
    return wrong


def _webhook_mistakes(variable: str, environment: Mapping[str, str], hosts: Sequence[str]) -> list[Mistake]:
    """Return what is wrong with a webhook's address, without showing it: whoever has it can write into the room."""
    text = environment.get(variable, "").strip()
    if not text:
        return [
            Mistake(variable, "is not set where the import runs", "Set it to the webhook's address, or switch it off.")
        ]
    if not _webhook_ok(text, hosts):
        what = f"is not an address that begins with https://{' or https://'.join(hosts)}"
        return [Mistake(variable, what, "Copy the webhook's address again.")]
    return []


def _webhook_ok(text: str, hosts: Sequence[str]) -> bool:
    # What may follow the host is left to its owner; what could smuggle a second line or another host is not.
    if not re.fullmatch(r"https://[\x21-\x7e]+", text) or "\\" in text:
        return False
    try:
        return urlsplit(text).netloc in hosts
    except ValueError:
        return False


def _mail_mistakes(settings: Asks, environment: Mapping[str, str]) -> list[Mistake]:
    found = [
        Mistake(name, "is not set where the import runs", f"Set it to {what}, or remove the e-mail addresses.")
        for name, what in (("SMTP_HOST", "your mail server"), ("SMTP_FROM", "the address the message comes from"))
        if not environment.get(name)
    ]
    port = environment.get("SMTP_PORT", "")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:9]) < 65536):
        found.append(Mistake("SMTP_PORT", "is not a port", "Write 587 (STARTTLS) or 465 (TLS)."))
    if environment.get("SMTP_USER") and not environment.get("SMTP_PASSWORD"):
        found.append(Mistake("SMTP_PASSWORD", "is not set, but SMTP_USER is", "Set both, or neither."))
    sender = environment.get("SMTP_FROM", "")
    if sender and not re.fullmatch(r"[^@\s<>\"]+@[^@\s<>\"]+", sender):
        found.append(Mistake("SMTP_FROM", "is not an e-mail address", "Write one such as reports@example.com."))
    if (count := len(settings.notify_by_email)) > MOST_RECIPIENTS:
        what = f"names {count} addresses, and {MOST_RECIPIENTS} are the most"
        place = settings.wording.where(BY_NAME["notify_by_email"])
        found.append(Mistake(place, what, "Write to a mailing list or a group instead."))
    return found


def notify(settings: Asks, ended: Finished | Problem, environment: Mapping[str, str]) -> list[str]:
    """Tell the people whom ``settings`` name how a run ended, if they want to know that; return warnings.

    Raises nothing. What is wrong with the set-up is among the warnings of every run, not only when it matters.
    """
    level, sentence = outcome(ended)
    if not wanted(settings.notify_when, level):
        return [str(m) for m in mistakes(settings, environment)]
    return send(settings, level, sentence, environment)


def send(
    settings: Asks,
    level: Level,
    sentence: str,
    environment: Mapping[str, str],
    reach: Reach = REACH,
) -> list[str]:
    """Send ``sentence`` by the ways that ``settings`` choose and return warnings; raises nothing."""
    wrong = _wrong(settings, environment, reach)
    trust = reach.tls or ssl.create_default_context()
    text = _text(settings, sentence)
    ways: dict[str, Callable[[], None]] = {}
    if wrong.get("Google Chat") == []:
        hook = Secret(environment["GOOGLE_CHAT_WEBHOOK_URL"].strip())
        # Google Chat knows no escape: <users/all> would call everybody, so the brackets are exchanged.
        body = {"text": text.replace("<", "‹").replace(">", "›")}
        ways["Google Chat"] = partial(_post, hook, body, trust)
    if wrong.get("Slack") == []:
        hook = Secret(environment["SLACK_WEBHOOK_URL"].strip())
        shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        ways["Slack"] = partial(_post, hook, {"text": shown, "unfurl_links": False}, trust)
    if wrong.get("e-mail") == []:
        ways["e-mail"] = partial(_mail, settings, level, text, environment, trust)
    return [str(m) for found in wrong.values() for m in found] + _side_by_side(ways, reach.within_s)


def _text(settings: Asks, sentence: str) -> str:
    if len(sentence) > LONGEST:
        sentence = sentence[: LONGEST - 1] + "…"
    sheet = re.fullmatch(r"sheets://(?:.*/d/)?([A-Za-z0-9_-]+)(?:/.*)?", settings.destination)
    where = f"\nhttps://docs.google.com/spreadsheets/d/{sheet[1]}" if sheet else ""
    return f"TikTok Ads import · {sentence}{where}"


def _side_by_side(ways: Mapping[str, Callable[[], None]], within_s: float) -> list[str]:
    """Send by every way at once and return what went wrong; one that hangs (a name server, say) is left behind."""
    said: dict[str, str] = {}

    def send(name: str, way: Callable[[], None]) -> None:
        try:
            way()
            said[name] = ""
        except Problem as problem:
            said[name] = problem.sentence
        except Exception as error:
            # Only its kind: the text of a foreign error may hold the webhook's address or the mail server's words.
            said[name] = f"an unexpected {type(error).__name__}"

    threads = [threading.Thread(target=send, args=way, daemon=True) for way in ways.items()]
    end = time.monotonic() + within_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = f"no answer within {within_s:g} s"
    return [f"The message by {name} was not sent: {why}" for name in ways if (why := said.get(name, late))]


def _post(hook: Secret, body: Mapping[str, object], trust: ssl.SSLContext) -> None:
    """Post JSON to a webhook; raises Problem.

    http.client and nothing above it: it follows no redirect, reads no .netrc, and writes no line about the address.
    The answer's body is never read.
    """
    parts = urlsplit(hook.reveal())
    connection = HTTPSConnection(parts.netloc, timeout=CALL_S, context=trust)
    try:
        connection.request(
            "POST",
            f"{parts.path}?{parts.query}" if parts.query else parts.path or "/",
            json.dumps(body).encode(),
            {"Content-Type": "application/json; charset=UTF-8"},
        )
        status = connection.getresponse().status
    except ssl.SSLCertVerificationError:
        raise Problem("the certificate of its server is not trusted") from None
    except (OSError, HTTPException) as error:
        raise Problem(f"its server could not be reached ({type(error).__name__})") from None
    finally:
        connection.close()
    if 300 <= status < 400:
        raise Problem(f"its server answered {status}, a redirect, which is not followed")
    if status in (400, 401, 403, 404, 410):
        raise Problem(f"its server answered {status}", what_to_do="Create a new webhook and set its address.")
    if not 200 <= status < 300:
        raise Problem(f"its server answered {status}")


def _mail(settings: Asks, level: Level, text: str, environment: Mapping[str, str], trust: ssl.SSLContext) -> None:
    """Send an e-mail, always encrypted: TLS at port 465, STARTTLS at any other; raises Problem."""
    message = EmailMessage()
    message["Subject"] = f"TikTok Ads import: {_SUBJECTS[level]}"
    message["From"] = environment["SMTP_FROM"]
    message["To"] = ", ".join(settings.notify_by_email)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    host, port = environment["SMTP_HOST"], int(environment.get("SMTP_PORT") or 587)
    try:
        with (
            smtplib.SMTP_SSL(host, port, timeout=CALL_S, context=trust)
            if port == 465
            else smtplib.SMTP(host, port, timeout=CALL_S)
        ) as server:
            if port != 465:
                server.starttls(context=trust)
            if user := environment.get("SMTP_USER"):
                server.login(user, environment["SMTP_PASSWORD"])
            refused = server.send_message(message)
    except smtplib.SMTPNotSupportedError:
        raise Problem("the mail server offers no encryption or no sign-in", what_to_do="Use port 587 or 465.") from None
    except smtplib.SMTPAuthenticationError:
        raise Problem("the mail server refused SMTP_USER and SMTP_PASSWORD") from None
    except smtplib.SMTPRecipientsRefused:
        raise Problem("the mail server refused every address", what_to_do="Check the addresses.") from None
    except smtplib.SMTPResponseException as error:
        raise Problem(f"the mail server answered {error.smtp_code}") from None
    except ssl.SSLCertVerificationError:
        raise Problem("the certificate of the mail server is not trusted") from None
    except (OSError, smtplib.SMTPException) as error:
        raise Problem(f"the mail server could not be reached ({type(error).__name__})") from None
    if refused:
        raise Problem(f"the mail server refused {len(refused)} of the addresses; the others have it")
