"""Files of the product that are no Python modules: template Sheets, their script, and what deploys the service.

In a checkout they stand where people look for them, beside the package. An installed package carries a copy that is
made when it is built (``setup.py``), in the same arrangement.
"""

from __future__ import annotations

from pathlib import Path

from owox_tiktok.errors import Problem

PACKAGE = Path(__file__).resolve().parent
INSIDE = PACKAGE / "_shipped"
"""Where an installed package has them."""


def root() -> Path:
    """Return the folder that holds ``templates`` and ``cloud_function``."""
    return INSIDE if INSIDE.is_dir() else PACKAGE.parent


def shipped(*names: str) -> Path:
    """Return the path of one of them, as in ``shipped("templates", "apps_script")``; Problem when it is not there."""
    path = root().joinpath(*names)
    if not path.exists():
        raise Problem(
            f"{'/'.join(names)} is not part of this installation",
            what_to_do="Install the program again: pip install --force-reinstall owox-tiktok",
        )
    return path
