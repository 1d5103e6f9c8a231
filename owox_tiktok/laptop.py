"""The whole product on one machine, without an account at TikTok or Google: the Sheet, its menu, the service.

Emulators of TikTok, Google Sheets, Cloud Tasks, Secret Manager and Google's sign-in, and the function itself, thrice as
it is deployed: one that Sheets call, a worker that tasks call, and the public one of *Connect TikTok…*, under
functions-framework, with tokens that are really signed and really verified. A page shows the template Sheet with the
OWOX menu over it, which runs the script that people put into their Sheets.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from owox_tiktok.errors import Problem
from owox_tiktok.local import menu, secret_manager
from owox_tiktok.local import sheets as local_sheets
from owox_tiktok.local import tasks as local_tasks
from owox_tiktok.local import tiktok as local_tiktok
from owox_tiktok.local.http import Answer, Call, Emulator
from owox_tiktok.local.identity import Issuer
from owox_tiktok.sheets import setup
from owox_tiktok.sheets.cells import EPOCH, Cell, cell
from owox_tiktok.sheets.client import API_VARIABLE, Spreadsheet
from owox_tiktok.sheets.requests import Block, write
from owox_tiktok.sheets.tabs import TAB, normal, tab_called
from owox_tiktok.sheets.template import CONFIG
from owox_tiktok.shipped import shipped

YOU = "you@example.com"
"""Who presses the buttons."""
TASKS_ACCOUNT = "tasks@local.iam.gserviceaccount.com"
ADDRESS = "https://owox-tiktok.run.app"
"""What the menu believes the service's address to be; the page passes its calls on to the function for Sheets."""
AUDIENCE = "local-script.apps.googleusercontent.com"
DAYS = 75
"""So long ago the simulated ad accounts begin."""
IMPORTED_DAYS = 30
"""So long ago the first day lies that the Sheet asks for."""
READY_S = 60.0
TICK_S = 30.0
"""So often the clock, in place of Cloud Scheduler, has the worker start what is due."""
SECRETS = "projects/local/secrets/owox-tiktok-token-"
"""What the tokens are called in the simulated Secret Manager."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything behind the page listens; 0 takes any free one."""

    tiktok: int = 0
    google: int = 0
    tasks: int = 0
    service: int = 0
    worker: int = 0
    connect: int = 0


class Laptop(Emulator):
    """Everything at once, for a ``with`` block; ``url`` is the page. Raises Problem where something cannot start.

    ``timeout_s`` is when the platform would cut a request of the worker off; a run that takes longer goes on in parts.
    ``days`` is how long ago the first day lies that the Sheet asks for.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        world: local_tiktok.World | None = None,
        timeout_s: float = 1800.0,
        qps: int = 10,
        latency_s: float = 0.0,
        days: int = IMPORTED_DAYS,
        ports: Ports = Ports(),
    ) -> None:
        super().__init__(port)
        self._ports = ports
        self._stack = ExitStack()
        self._world = world
        self._timeout_s = timeout_s
        self._days = days
        self._limits = local_tiktok.Limits(qps=qps, per_minute=None)
        self._faults = local_tiktok.Faults(latency_s=latency_s)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._starting: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            start = datetime.now(UTC).date() - timedelta(days=DAYS)
            world = self._world or local_tiktok.World(
                37, 3, campaigns=12, ad_groups=20, ads=40, start=start, hidden_kinds=True, pleasant_names=True
            )
            self.tiktok = stack.enter_context(
                local_tiktok.serve(world, limits=self._limits, faults=self._faults, port=self._ports.tiktok)
            )
            self.google = stack.enter_context(local_sheets.serve(self._ports.google))
            self.issuer = stack.enter_context(Issuer())
            self.cloud_tasks = stack.enter_context(local_tasks.Server(self.issuer, port=self._ports.tasks))
            self.queue = self.cloud_tasks.add(min_backoff_s=1.0, max_concurrent_dispatches=2)
            self.book = self.google.create("TikTok Ads")
            self.first_day = world.now().date() - timedelta(days=self._days)
            self._set_up(world)
            self._folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="owox-tiktok-"))
            self.task_key = secrets.token_hex(32)
            folder = Path(self._folder, "secrets")
            (folder / "default").mkdir(parents=True)
            (folder / "default" / "token").write_text(self.tiktok.token, encoding="utf-8")
            self.vault = stack.enter_context(secret_manager.Server(folder, SECRETS, {"default"}))
            stack.callback(self._end)
            connect = self._ports.connect or _free_port()
            self.connect_url = f"http://127.0.0.1:{connect}"
            self.worker = self._deploy("worker", self._ports.worker or _free_port())
            self.for_sheets = self._deploy("sheets", self._ports.service or _free_port(), self.worker)
            self._deploy("connect", connect)
            self._wait_for_all()
            over = threading.Event()
            stack.callback(over.set)
            threading.Thread(target=self._tick, args=(self.worker, over), daemon=True).start()
            super().__enter__()
            stack.callback(super().close)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _set_up(self, world: local_tiktok.World) -> None:
        """Build the template in the spreadsheet, and fill in what only its person can know."""
        book = Spreadsheet(self.book, environment={API_VARIABLE: self.google.url})
        try:
            setup.init(book, "sheets")
            structure = book.structure((TAB,))
            config = tab_called(structure, CONFIG)
            assert config is not None
            rows = book.values([Block(config.id, 0, config.rows, 0, config.columns)])[0]
            said: dict[str, Cell] = {
                "Advertiser IDs": ", ".join(world.advertiser_ids),
                "Start Date": (self.first_day - EPOCH).days,
            }
            filled = {normal(label): value for label, value in said.items()}
            book.apply(
                [
                    write(config.id, number, at + 1, [{"values": [cell(filled[normal(label)])]}])
                    for number, row in enumerate(rows)
                    for at, label in enumerate(row)
                    if isinstance(label, str) and normal(label) in filled
                ]
            )
        finally:
            book.close()

    # --- the function -------------------------------------------------------------------------------------------------

    def _deploy(self, role: str, port: int, worker: str = "") -> str:
        """Begin to start the function in a process of its own; return its address."""
        source = shipped("cloud_function", "main.py")
        url = f"http://127.0.0.1:{port}"
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("TIKTOK_", "OWOX_", "SHEETS_", "K_"))},
            "OWOX_ROLE": role,
            "OWOX_AUDIENCES": AUDIENCE if role == "sheets" else url,
            "OWOX_REGISTRY": json.dumps(
                {self.book: {"secret": "default", "callers": [YOU], "requests_per_second": self._limits.qps}}
            ),
            "OWOX_CERTS_URL": self.issuer.certs_url,
            "OWOX_TASKS_QUEUE": self.queue.name,
            "OWOX_TASKS_ACCOUNT": TASKS_ACCOUNT,
            "OWOX_WORKER_URL": worker or url,
            "OWOX_TIMEOUT_SECONDS": f"{self._timeout_s:g}",
            "CLOUD_TASKS_API_URL": self.cloud_tasks.url,
            "OWOX_STORE": f"sqlite://{self._folder}/store.db",
            "SHEETS_API_URL": self.google.url,
            "TIKTOK_API_URL": self.tiktok.url,
            "TIKTOK_APP_ID": self.tiktok.app_id,
            "TIKTOK_APP_SECRET": self.tiktok.app_secret,
            "OWOX_SECRETS": f"{self._folder}/secrets",
            "OWOX_TASK_KEY": self.task_key,
            "OWOX_CONNECT_URL": self.connect_url,
            "OWOX_SECRET_PREFIX": SECRETS,
            "SECRET_MANAGER_API_URL": self.vault.url,
        }
        words = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", "owox"]
        process = subprocess.Popen(
            [*words, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        self._starting[url] = role, process
        return url

    def _wait_for_all(self) -> None:
        """Wait until all functions answer; raises Problem."""
        end = time.monotonic() + READY_S
        for url, (role, process) in self._starting.items():
            while True:
                try:
                    requests.get(f"{url}/health", timeout=5).raise_for_status()
                    break
                except requests.RequestException:
                    if process.poll() is not None or time.monotonic() > end:
                        raise Problem(
                            f"the {role} does not start",
                            what_to_do="pip install 'owox-tiktok[local]', and try again.",
                        ) from None
                    time.sleep(0.05)

    def _tick(self, worker: str, over: threading.Event) -> None:
        while not over.wait(TICK_S):
            token = self.issuer.token(TASKS_ACCOUNT, worker)
            with suppress(requests.RequestException):
                said = {"Authorization": f"Bearer {token}"}
                requests.post(worker, json={"action": "sweep"}, headers=said, timeout=60)

    def _end(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # --- the page -----------------------------------------------------------------------------------------------------

    def answer(self, call: Call) -> Answer:
        """Answer with the page, with what belongs to the menu, or with a token for who sits before it."""
        if call.path.startswith(menu.PREFIX):
            return menu.answer(call, services={ADDRESS: self.for_sheets})
        if call.method == "GET" and call.path == "/token":
            return Answer(200, self.issuer.token(YOU, AUDIENCE).encode(), "text/plain")
        if call.method == "GET" and call.path == "/":
            tabs = {s.title: s.sheet_id for s in self.google.spreadsheet(self.book).sheets if not s.hidden}
            given = {
                "address": ADDRESS,
                "spreadsheet_id": self.book,
                "view": f"{self.google.url}/view/{self.book}",
                "tabs": tabs,
            }
            text = menu.PAGE.read_text(encoding="utf-8")
            text = text.replace("{{given}}", json.dumps(given).replace("<", "\\u003c"))
            return Answer(200, text.encode(), "text/html; charset=utf-8")
        return Answer(404)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
