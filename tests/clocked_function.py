"""``cloud_function/main.py`` for a world whose clock stands still: days are those of TEST_NOW."""

import os
from datetime import datetime

import functions_framework
from flask import Request, Response

from owox_tiktok.service.handler import Service


def now() -> datetime:
    if bug := os.environ.get("TEST_BUG"):
        raise RuntimeError(f"a bug that says {bug}")
    return datetime.fromisoformat(os.environ["TEST_NOW"])


service = Service(os.environ, now=now, body_s=float(os.environ.get("TEST_BODY_SECONDS") or 10))


@functions_framework.http
def owox(request: Request) -> Response:
    return service.answer(request)
