"""Secret Manager on this machine: versions are added to secrets that are there, and mounted as files as Cloud Run does.

A secret is a folder's name; ``SECRETS/ALIAS/token`` holds its latest version. As with Google, nobody makes a secret by
adding a version to it, and an account adds only to secrets that it was granted.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from pathlib import Path

from owox_tiktok.local.http import Answer, Call, Emulator, in_json

_ADD = re.compile(r"/v1/projects/([a-z0-9-]+)/secrets/([A-Za-z0-9_-]+):addVersion")


class Server(Emulator):
    """A serving emulator. ``granted`` are the names of the secrets that may get versions, below ``prefix``."""

    def __init__(self, folder: Path, prefix: str, granted: set[str], port: int = 0) -> None:
        super().__init__(port)
        self.folder, self.prefix, self.granted = folder, prefix, granted
        self.versions: Counter[str] = Counter()

    def answer(self, call: Call) -> Answer:
        """Answer one call."""
        found = _ADD.fullmatch(call.path)
        if found is None or call.method != "POST":
            return _refused(404, "NOT_FOUND")
        alias = f"projects/{found[1]}/secrets/{found[2]}".removeprefix(self.prefix)
        if alias not in self.granted:
            return _refused(403, "PERMISSION_DENIED")
        if not (self.folder / alias).is_dir():
            return _refused(404, "NOT_FOUND")
        try:
            value = base64.b64decode(json.loads(call.body)["payload"]["data"], validate=True)
        except (ValueError, KeyError, TypeError, binascii.Error):
            return _refused(400, "INVALID_ARGUMENT")
        self.versions[alias] += 1
        (self.folder / alias / "token").write_bytes(value)
        return in_json({"name": f"{self.prefix}{alias}/versions/{self.versions[alias]}", "state": "ENABLED"})


def _refused(status: int, word: str) -> Answer:
    return in_json({"error": {"code": status, "message": word, "status": word}}, status)
