"""The service as it is deployed, in a process of its own under functions-framework, and who calls it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.helpers import process_environment

ROOT = Path(__file__).resolve().parent.parent
DEPLOYED = ROOT / "cloud_function" / "main.py"
CLOCKED = ROOT / "tests" / "clocked_function.py"
"""The same with the clock of a simulated TikTok."""

AUDIENCE = "https://sheets.example.run.app"
SCRIPT = "123-abc.apps.googleusercontent.com"
ACCOUNT = "tasks@project.iam.gserviceaccount.com"
ANNA, EVE = "anna@example.com", "eve@elsewhere.example"

heard: list[str] = []
"""Everything that functions have answered and printed in this process's tests."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Function:
    """The function; ``lines`` are what it has printed."""

    environment: Mapping[str, str]
    source: Path = DEPLOYED
    port: int = field(default_factory=free_port)
    lines: list[str] = field(default_factory=list)

    def __enter__(self) -> Function:
        self.start()
        return self

    def start(self) -> None:
        words = ["-m", "functions_framework", "--source", str(self.source), "--target", "owox"]
        self.process = subprocess.Popen(
            [sys.executable, *words, "--host", "127.0.0.1", "--port", str(self.port)],
            env=process_environment(dict(self.environment)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until = time.monotonic() + 60
        while True:
            try:
                requests.get(f"{self.url}/health", timeout=5)
                return
            except requests.ConnectionError:
                assert self.process.poll() is None, self.output
                assert time.monotonic() < until
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it as the platform does: the server and, with SIGKILL, everything it has started."""
        if number == signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(40)
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            heard.append(line)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def logged(self, text: str) -> list[dict[str, Any]]:
        """The log lines whose message holds ``text``."""
        found = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [line for line in found if text in line["message"]]

    def ask(self, token: str | None, body: Any, **headers: str) -> requests.Response:
        """Post ``body`` (bytes as they are) with ``token`` in both headers, as the menu does."""
        signed = {"Authorization": f"Bearer {token}", "X-Owox-Identity": token} if token else {}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        said = {"Content-Type": "application/json", **signed, **headers}
        answer = requests.post(self.url, data=data, headers={k: v for k, v in said.items() if v}, timeout=120)
        heard.append(f"{answer.headers} {answer.text}")
        return answer


def error_of(answer: requests.Response) -> dict[str, Any]:
    """The error of an answer, which has the contract's shape."""
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    error: dict[str, Any] = answer.json()["error"]
    assert {"message", "where", "what_to_do", "request_id", "mistakes"} <= error.keys()
    return error
