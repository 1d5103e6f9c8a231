"""Asynchronous reports: a task is created, waits, works, and leaves a file for a while."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from owox_tiktok.local.tiktok.faults import Faults
from owox_tiktok.local.tiktok.limits import Limits
from owox_tiktok.local.tiktok.rules import Refusal, wrong
from owox_tiktok.local.tiktok.switches import Rules

FORMATS = ("CSV_STRING", "CSV_DOWNLOAD")
"""Kinds of files; TikTok has XLSX_DOWNLOAD too, which is not simulated."""

PATHS = {
    "report/task/create": "POST",
    "report/task/check": "GET",
    "report/task/download": "GET",
    "report/task/cancel": "POST",
}
FILES = "/_files/"
_DAYS_VALID = 30
_HOUR_S = 3600.0
_PER_HOUR_AND_ACCOUNT = 500
_BAD_IN_NAME = re.compile(r"[/\t\b@#$%^&*()\[\]]")


@dataclass
class Task:
    """One report task; ``content`` is what its file will hold, taken when it was created."""

    id: str
    token: str
    advertiser_id: str
    created: float
    output_format: str
    file_name: str
    content: str
    fails: bool
    canceled: bool = False
    urls: dict[str, float] = field(default_factory=dict)


class Tasks:
    """All tasks of the app. Safe to use from many threads; ``clock`` counts seconds."""

    def __init__(self, rules: Rules, faults: Faults, limits: Limits, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._faults = faults
        self._limits = limits
        self._clock = clock
        self._lock = Lock()
        self._tasks: dict[str, Task] = {}
        self._created: deque[float] = deque()
        self._by_account: dict[str, deque[float]] = {}

    def admit(self, advertiser_id: str) -> None:
        """Count one creation; raises when the app or the account has made too many, or may make none."""
        if not self._rules.async_enabled:
            raise Refusal(40118, "The app is not in the allow list of this feature.")
        with self._lock:
            now = self._clock()
            limit = self._limits.tasks_per_second
            while self._created and self._created[0] <= now - 1:
                self._created.popleft()
            if limit is not None and len(self._created) >= limit:
                raise Refusal(40016, "Request is throttled, please retry later.")
            account = self._by_account.setdefault(advertiser_id, deque())
            while account and account[0] <= now - _HOUR_S:
                account.popleft()
            if len(account) >= _PER_HOUR_AND_ACCOUNT:
                raise Refusal(40133, f"Advertiser ({advertiser_id}) has created too many tasks within an hour.")
            self._created.append(now)
            account.append(now)

    def create(self, token: str, advertiser_id: str, body: Mapping[str, Any], content: str) -> str:
        """The id of a new task that will hold ``content``."""
        output_format = body.get("output_format", "CSV_STRING")
        if output_format not in FORMATS:
            raise wrong(f"output_format: Must be one of: {', '.join(FORMATS)}.")
        name = body.get("file_name") or "report"
        if not isinstance(name, str) or len(name) > 255 or _BAD_IN_NAME.search(name):
            raise wrong("file_name: Not a valid name.")
        with self._lock:
            number = len(self._tasks) + 1
            fails = number <= self._faults.failing_tasks
            task_id = str(7_500_000_000_000_000_000 + number)
            self._tasks[task_id] = Task(
                task_id, token, advertiser_id, self._clock(), output_format, name, content, fails
            )
        return task_id

    def status(self, token: str, advertiser_id: str, task_id: str) -> str:
        """QUEUING, PROCESSING, SUCCESS, FAILED or CANCELED."""
        return self._status(self._task(token, advertiser_id, task_id))

    def cancel(self, token: str, advertiser_id: str, task_id: str) -> None:
        """Stop a task that is not done yet."""
        task = self._task(token, advertiser_id, task_id)
        status = self._status(task)
        if status not in ("QUEUING", "PROCESSING"):
            raise wrong(f"task_id: A task with the status {status} cannot be canceled.")
        task.canceled = True

    def download(self, token: str, advertiser_id: str, task_id: str, base: str) -> tuple[str, str]:
        """(content type, body) of the answer: the file itself, or JSON data with an address good for an hour."""
        task = self._task(token, advertiser_id, task_id)
        status = self._status(task)
        if status in ("QUEUING", "PROCESSING"):
            raise Refusal(40201, "The async task is not ready.")
        if status != "SUCCESS":
            raise Refusal(40200, f"The async task is {status.lower()}.")
        if task.output_format == "CSV_STRING":
            return "text/csv", task.content
        with self._lock:
            name = f"{task.id}-{len(task.urls) + 1}.csv"
            task.urls[name] = self._clock() + _HOUR_S
        data = {
            "download_url": f"{base}{FILES}{name}",
            "file_name": f"{task.file_name}.csv",
            "output_format": task.output_format,
        }
        return "application/json", json.dumps(data, ensure_ascii=False)

    def file(self, path: str) -> str | None:
        """The content behind a download address; None when there is none or its hour is over."""
        name = path.removeprefix(FILES)
        task = self._tasks.get(name.partition("-")[0])
        if task is None or self._clock() >= task.urls.get(name, 0.0):
            return None
        return task.content

    def _task(self, token: str, advertiser_id: str, task_id: str) -> Task:
        task = self._tasks.get(task_id)
        if task is None or self._clock() - task.created >= _DAYS_VALID * 24 * _HOUR_S:
            raise wrong(f"task_id: {task_id or 'Missing data for required field'} does not exist.")
        if task.token != token or task.advertiser_id != advertiser_id:
            raise Refusal(40001, "No permission to operate this task.")
        return task

    def _status(self, task: Task) -> str:
        if task.canceled:
            return "CANCELED"
        age = self._clock() - task.created
        if age < self._rules.queue_s:
            return "QUEUING"
        if age < self._rules.queue_s + self._rules.process_s:
            return "PROCESSING"
        return "FAILED" if task.fails else "SUCCESS"
