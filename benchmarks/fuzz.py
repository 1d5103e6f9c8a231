"""Requests that nobody in good faith sends, by a seed: 5,000 against the service, its worker and the public function.

``python -m benchmarks fuzz [COUNT [SEED]]``. Whatever comes, the answer is one of ours: no status of a bug, no
traceback, no secret, and nothing is done for anybody who may not have it done.
"""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import requests

from owox_tiktok.laptop import AUDIENCE, YOU, Laptop
from owox_tiktok.local.identity import without_signature

ODD: Sequence[Any] = (
    None, True, False, 0, -1, 10**40, 1.5, "", " ", "\x00", "💥" * 50, "../../etc/passwd", "=1+1", "<script>",
    "'; DROP TABLE ads; --", "${jndi:ldap://x}", "$(id)", "%00", "\ud800", "A" * 5_000, [], [[]], {}, {"a": {"b": []}},
    ["ad_report_daily"] * 600, "0000-00-00", "9999-12-31", "2026-02-30", "１２３",
)  # fmt: skip
"""Values that fit nowhere."""
FIELDS = (
    "action", "spreadsheet_id", "start_date", "end_date", "objects", "dry_run", "run_id", "choice", "advertiser_ids",
    "schedule", "done", "part", "__proto__", "audience", "url", "secret",
)  # fmt: skip
ACTIONS = (
    "import",
    "backfill",
    "prune",
    "check",
    "plan",
    "fields",
    "choose",
    "status",
    "cancel",
    "connect",
    "sweep",
    "",
)
PATHS = (
    "/",
    "/",
    "/",
    "/",
    "/health",
    "/fleet",
    "/connect",
    "/connected",
    "//",
    "/..",
    "/%2e%2e/",
    "/connected/x",
    "/?a=1",
)
ALLOWED = frozenset({200, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 431})
"""What the service may answer. 503 is not among them: everything that it rests on is there."""


@dataclass
class Fuzz:
    """Sends requests and keeps what was wrong with an answer. ``token`` makes identity tokens that are signed."""

    urls: Sequence[str]
    book: str
    token: Callable[..., str]
    caller: str
    audience: str
    secrets: Sequence[str] = ()
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self, count: int, seed: int) -> None:
        """Send ``count`` requests, one after the other."""
        chance = Random(seed)
        good = self.token(self.caller, self.audience)
        head, payload, signature = good.split(".")
        flat = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        identities: Mapping[str, str] = {
            "caller": good,
            "stranger": self.token("eve@elsewhere.example", self.audience),
            "none": "",
            "garbage": "abc",
            "stripped": without_signature(good),
            "unsigned": f"{flat}.{payload}.",
            "tampered": f"{head}.{payload[:-4]}AAAA.{signature}",
            "elsewhere": self.token(self.caller, "https://elsewhere.example"),
            "old": self.token(self.caller, self.audience, seconds=-60),
        }
        session = requests.Session()
        for number in range(count):
            who = chance.choice(["caller", *identities])
            self._send(session, chance, number, who, identities[who])

    def _send(self, session: requests.Session, chance: Random, number: int, who: str, token: str) -> None:
        method = chance.choice(("POST", "POST", "POST", "GET", "PUT", "OPTIONS"))
        path, url = chance.choice(PATHS), chance.choice(self.urls)
        body, is_harmless = self._body(chance)
        headers = {"Content-Type": chance.choice(("application/json", "text/plain", "multipart/form-data"))}
        if token:
            headers |= {"Authorization": f"Bearer {token}", "X-Owox-Identity": token}
        if chance.random() < 0.2:
            headers[chance.choice(("X-CloudTasks-TaskName", "X-Owox-Signature", "X-Serverless-Authorization"))] = (
                "x" * 64
            )
        about = f"{number}: {who} {method} {path} {body[:120]!r}"
        try:
            answer = session.request(method, url + path, data=body, headers=headers, timeout=60, allow_redirects=False)
        except requests.RequestException as error:
            self.wrong.append(f"{about}: {type(error).__name__}")
            return
        self.statuses[answer.status_code] += 1
        text = answer.text
        if answer.status_code not in ALLOWED:
            self.wrong.append(f"{about}: {answer.status_code} {text[:200]}")
        if "Traceback" in text or any(secret in text for secret in self.secrets):
            self.wrong.append(f"{about}: it says too much")
        healthy = path.startswith("/health") or (path == "/" and method == "OPTIONS")
        if answer.status_code == 200 and not healthy and (who != "caller" or not is_harmless):
            self.wrong.append(f"{about}: done, which it must not be: {text[:200]}")

    def _body(self, chance: Random) -> tuple[bytes, bool]:
        """Return a body, and whether it is a sound request that changes nothing."""
        kind = chance.random()
        if kind < 0.1:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(300))), False
        if kind < 0.15:
            return b"[" * chance.randrange(1, 30_000), False
        if kind < 0.18:
            return b'{"action": "' + b"x" * 70_000 + b'"}', False
        if kind < 0.3:
            action = chance.choice(("status", "connect"))
            return json.dumps({"action": action, "spreadsheet_id": self.book}).encode(), True
        asked: dict[str, Any] = {"action": chance.choice(ACTIONS), "spreadsheet_id": self.book}
        for name in chance.sample(FIELDS, chance.randrange(1, 6)):
            asked[name] = chance.choice(ODD)
        asked["a field that there is not"] = chance.choice(ODD)  # so that it is never sound
        text = json.dumps(asked).encode()
        return (text[: chance.randrange(len(text))] if kind > 0.95 else text), False


def main(arguments: Sequence[str]) -> int:
    """Send them to everything that a deployment consists of; return 1 where an answer was wrong."""
    count, seed = (int(arguments[n]) if len(arguments) > n else usual for n, usual in enumerate((5_000, 1)))
    began = time.monotonic()
    with Laptop() as laptop:
        key = laptop.task_key
        urls = (laptop.for_sheets, laptop.worker, laptop.connect_url)
        fuzz = Fuzz(urls, laptop.book, laptop.issuer.token, YOU, AUDIENCE, (key, laptop.tiktok.token))
        fuzz.run(count, seed)
        alive = [requests.get(f"{url}/health", timeout=10).status_code for url in urls]
    print(
        f"fuzz: {count:,} requests of seed {seed} in {time.monotonic() - began:.0f} s, {len(fuzz.wrong)} answers wrong"
    )
    print(f"      {dict(sorted(fuzz.statuses.items()))}; alive after it: {alive}")
    for line in fuzz.wrong[:20]:
        print(f"      {line}")
    return int(bool(fuzz.wrong) or alive[:2] != [200, 200])
