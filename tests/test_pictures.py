"""The pictures in the documents: small, all of them made by one command, and each shown somewhere."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = sorted((ROOT / "docs" / "pictures").iterdir())
MOST, MOST_TOGETHER = 150_000, 1_500_000


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in PICTURES}
    assert {name: size for name, size in sizes.items() if size > MOST} == {}
    assert sum(sizes.values()) < MOST_TOGETHER


def test_every_picture_is_made_by_the_command_that_makes_them() -> None:
    makers = "".join((ROOT / "tools" / f"make_pictures.{kind}").read_text(encoding="utf-8") for kind in ("py", "cjs"))
    unmade = [path.name for path in PICTURES if not re.search(rf'[" ]{re.escape(path.stem)}[" ]', makers)]
    assert unmade == []


def test_every_picture_is_shown_in_a_document() -> None:
    folders = (ROOT, ROOT / "docs", ROOT / "templates" / "apps_script")
    documents = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.md"))
    assert [path.name for path in PICTURES if f"pictures/{path.name})" not in documents] == []
