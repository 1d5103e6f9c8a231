"""The README of the emulator shows what really happens."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

import owox_tiktok.local.sheets


def test_its_example_prints_what_its_comments_say() -> None:
    pytest.importorskip("gspread")
    readme = Path(owox_tiktok.local.sheets.__file__).with_name("README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code[1], "README.md", "exec"), {})  # noqa: S102 -- our own document
    sum_, calls, error = printed.getvalue().split()
    assert (sum_, error) == ("3.5", "APIError")
    assert 0 < int(calls) < 10
