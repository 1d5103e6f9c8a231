"""Draw docs/pictures/demo.svg from what `owox-tiktok demo` really prints on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

WIDTH = 104
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "demo.svg"
THEME = TerminalTheme(
    (24, 26, 31),
    (214, 218, 226),
    [(24, 26, 31), (235, 110, 110), (126, 200, 130), (230, 190, 110), (110, 165, 240), (200, 140, 220), (100, 195, 205),
     (214, 218, 226)],
)  # fmt: skip
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
 line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def on_a_terminal(command: list[str], folder: str) -> str:
    """Return what a command prints when its output is a terminal of our width."""
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "LINES": "60", "TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdout=its, stderr=its, stdin=its, env=environment, cwd=folder, close_fds=True)
    os.close(its)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    process.wait()
    return said.decode()


def screen(said: str) -> list[str]:
    """Return the lines that stand on the screen at the end (the last state of each progress bar)."""
    lines: list[str] = [""]
    at = 0
    for part in re.split(r"(\r\n|\n|\r|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[lh])", said):
        if part in ("\n", "\r\n"):
            at += 1
        elif re.fullmatch(r"\x1b\[\d*A", part):
            at -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[at] = ""
        elif part and part != "\r" and not part.startswith("\x1b[?25"):
            lines[at] += part
        while len(lines) <= at:
            lines.append("")
    return lines


def main() -> None:
    """Run the demo and write the picture."""
    program = str(Path(sys.executable).with_name("owox-tiktok"))
    with tempfile.TemporaryDirectory() as folder:
        lines = screen(on_a_terminal([program, "demo"], folder))
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(Text.from_ansi("$ make demo"))
    for line in lines:
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(
        console.export_svg(title="owox-tiktok", theme=THEME, code_format=FORMAT, unique_id="demo"), encoding="utf-8"
    )
    print(f"Wrote {PICTURE}")


if __name__ == "__main__":
    main()
