"""Make docs/python.ipynb, a notebook for Jupyter, from docs/python.md: ``python tools/make_notebook.py [--check]``.

The tests play the page, so what the notebook runs and shows is what really happens. A block of Python becomes a cell
with the output below it; what is not Python, and what the page passes over, stays text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.play_documents import ROOT, blocks

PAGE, NOTEBOOK = ROOT / "docs" / "python.md", ROOT / "docs" / "python.ipynb"
_FENCES = re.compile(r"(?:<!-- (?:file|not run): .*? -->\n)?```\w*\n$")


def cells(page: str) -> Iterator[dict[str, Any]]:
    """Yield the cells of a page, in its order."""
    words, at, last = "", 0, None
    for block in blocks(page):
        before = page[at : block.start]
        fence = _FENCES.search(before)
        assert fence is not None
        end = block.end + len("```")
        if block.language == "python" and not block.order:
            if text := (words + before[: fence.start()]).strip():
                yield _cell("markdown", text)
            words, last = "", _cell("code", block.text.strip(), execution_count=None, outputs=[])
            yield last
        elif block.language == "text" and last is not None and not (words + before[: fence.start()]).strip():
            output = {"output_type": "stream", "name": "stdout", "text": block.text.splitlines(keepends=True)}
            last["outputs"].append(output)
        else:
            words += page[at:end]
        at = end
    if text := (words + page[at:]).strip():
        yield _cell("markdown", text)


def _cell(kind: str, text: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True), **more}


def made() -> str:
    """Return the notebook."""
    found = [{"id": f"{n}", **cell} for n, cell in enumerate(cells(PAGE.read_text(encoding="utf-8")))]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    book = {"cells": found, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the notebook, or only say whether it is in step; return the exit code."""
    if sys.argv[1:] == ["--check"]:
        if NOTEBOOK.read_text(encoding="utf-8") == made():
            return 0
        print("docs/python.ipynb is not what docs/python.md says. Run `make docs`.", file=sys.stderr)
        return 1
    NOTEBOOK.write_text(made(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
