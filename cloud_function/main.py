"""The deployed function: HTTP in, HTTP out. Everything else is in ``owox_tiktok.service``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

# The platform puts only this file's folder on the path; the package is beside that folder.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import functions_framework

from owox_tiktok.service.handler import Service

if TYPE_CHECKING:
    from flask import Request, Response

service = Service(os.environ)


@functions_framework.http
def owox(request: Request) -> Response:
    """Answer a Sheet, a schedule or a task; see ``owox_tiktok.service``."""
    return service.answer(request)
