"""Take the pictures in docs/pictures from real runs against the emulators: ``python -m tools.make_pictures [NAME …]``.

Each name is a function below that makes one or more pictures; without a name all are made. Terminals become SVG from
what the commands print; pages are photographed in Chromium by ``make_pictures.cjs``. The browser needs the fonts
Liberation Sans and Noto Color Emoji, so that pictures look the same wherever they are taken.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import trustme
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from owox_tiktok import app, notify
from owox_tiktok.config_file import read_settings
from owox_tiktok.laptop import Laptop
from owox_tiktok.local.http import Answer, Call, Emulator
from owox_tiktok.local.identity import Issuer
from owox_tiktok.local.tiktok import Limits, World, serve
from owox_tiktok.sheets import setup
from owox_tiktok.sheets.client import API_VARIABLE, Spreadsheet
from tests import bigquery as emulated
from tests.apps_script.page import MenuPage
from tests.apps_script.platform import Platform

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
SCRIPT = Path(__file__).with_suffix(".cjs")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or "chromium"
NODE = shutil.which("node") or "node"
PROGRAM = str(Path(sys.executable).with_name("owox-tiktok"))
WIDTH = 104
"""Columns of a terminal; so many can be read at 800 pixels."""
COLOURS = 256
"""Of a picture of a page, the most frequent ones: a third of the bytes of a full one, and no difference to see."""

_INK, _PAPER, _EDGE = (32, 33, 36), (255, 255, 255), "#c4c7cc"
THEME = TerminalTheme(
    _PAPER,
    _INK,
    [(32, 33, 36), (179, 38, 30), (19, 115, 51), (148, 98, 0), (24, 90, 188), (126, 46, 150), (0, 110, 125),
     (95, 99, 104)],
)  # fmt: skip
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
 line-height: {line_height}px; }}
.{unique_id}-title {{ font-family: Arial, sans-serif; font-size: 18px; font-weight: bold; }}
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

CONFIG = """\
access_token: ${TIKTOK_ACCESS_TOKEN}
advertiser_ids: [%s]
start_date: %s
objects: [advertisers, campaigns, ad_groups, ads, ad_report_daily, campaign_report_daily]
requests_per_second: 50
destination: %s
"""


QUESTION = """\
SELECT campaign_name, SUM(spend) AS spend, SUM(clicks) AS clicks, SUM(conversion) AS conversions
FROM `{dataset}.tiktok_ads_ad_report_daily`
WHERE currency = 'USD' GROUP BY campaign_name ORDER BY spend DESC LIMIT 5"""


def world() -> World:
    """A shop's ad accounts over two months, with names that a person could have given."""
    start = datetime.now(UTC).date() - timedelta(days=130)
    return World(11, 2, campaigns=12, ad_groups=12, ads=40, start=start, pleasant_names=True)


def config(seen: World, destination: str) -> str:
    """A tiktok.yaml for the accounts of a world, for their last 30 days."""
    ids = ", ".join(f'"{one}"' for one in seen.advertiser_ids)
    return CONFIG % (ids, datetime.now(UTC).date() - timedelta(days=30), destination)


# --- terminals --------------------------------------------------------------------------------------------------------


def on_a_terminal(command: list[str], folder: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a command prints when its output is a terminal of our width."""
    ours, its = pty.openpty()
    size = {"COLUMNS": str(WIDTH), "LINES": "60", "TERM": "xterm-256color"}
    variables = {**os.environ, **(environment or {}), **size}
    process = subprocess.Popen(command, stdout=its, stderr=its, stdin=its, env=variables, cwd=folder, close_fds=True)
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
    os.close(ours)
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


def recorder() -> Console:
    """A console that keeps what is printed on it and shows it nobody."""
    return Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor", force_terminal=True)


def draw(name: str, console: Console, title: str) -> None:
    """Write what stands on the console as docs/pictures/NAME.svg."""
    text = console.export_svg(title=title, theme=THEME, code_format=FORMAT, unique_id=name)
    text = text.replace("rgba(255,255,255,0.35)", _EDGE)  # the edge of a window on a dark page
    _write(f"{name}.svg", text.encode())


def typed(console: Console, command: str, said: str) -> None:
    """Put a command and what it printed onto a console."""
    console.print(Text.from_ansi(f"\x1b[1m$ {command}\x1b[0m"))
    for line in screen(said.rstrip()):
        console.print(Text.from_ansi(line.rstrip()), overflow="fold")


def demo() -> None:
    """The demonstration: two imports into DuckDB, two days apart."""
    console = recorder()
    with tempfile.TemporaryDirectory() as folder:
        said, _, _ = on_a_terminal([PROGRAM, "demo"], folder).partition("Try next")
        typed(console, "owox-tiktok demo", said)
    draw("demo", console, "owox-tiktok demo")


@contextmanager
def project(destination: str, **variables: str) -> Iterator[Callable[..., str]]:
    """A folder with a tiktok.yaml, and what runs a command of ours in it."""
    seen = world()
    with serve(seen, limits=Limits(qps=60, per_minute=None)) as server, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tiktok.yaml").write_text(config(seen, destination), encoding="utf-8")
        environment = {"TIKTOK_API_URL": server.url, "TIKTOK_ACCESS_TOKEN": server.token, **variables}
        yield lambda *words: on_a_terminal([PROGRAM, *words], folder, environment)


def bigquery_tables() -> None:
    """The tables of an import into BigQuery, as the emulator's API describes them, and a question to one."""
    dataset = f"{emulated.PROJECT}.tiktok_ads"
    running = emulated.Emulator()
    try:
        with project(f"bigquery://{emulated.PROJECT}/tiktok_ads", BIGQUERY_API_URL=running.url) as run:
            said = run("import")
        anybody = AnonymousCredentials()  # type: ignore[no-untyped-call]
        client = bigquery.Client(emulated.PROJECT, anybody, client_options={"api_endpoint": running.url})
        console = recorder()
        typed(console, "owox-tiktok import", said)
        table = Table(
            title=f"\nThe tables of {dataset}, as the API describes them",
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
        )
        for heading in ("Table", "Rows", "Columns", "Partitioned by", "Clustered by"):
            table.add_column(
                heading, justify="right" if heading in ("Rows", "Columns") else "left", header_style="bold"
            )
        locks = 0
        for item in client.list_tables(dataset):
            if item.table_id.startswith("_owox_tiktok_lock_"):
                locks += 1
                continue
            found = client.get_table(item.reference)
            by = found.time_partitioning
            table.add_row(
                found.table_id,
                f"{found.num_rows:,}",
                str(len(found.schema)),
                f"{by.type_.lower()} of {by.field}" if by else "–",
                ", ".join(found.clustering_fields or ["–"]),
            )
        console.print(table)
        console.print(f"… and a table _owox_tiktok_lock_… for each of {locks} objects", highlight=False)
        console.print(f"\n[bold]A query[/bold]\n{QUESTION.format(dataset=dataset)}\n", highlight=False)
        answer = Table(box=None, pad_edge=False, header_style="bold")
        rows = list(client.query_and_wait(QUESTION.format(dataset=dataset)))
        for heading in rows[0].keys():  # noqa: SIM118 - a Row iterates over its values
            answer.add_column(heading, justify="left" if heading == "campaign_name" else "right")
        for row in rows:
            answer.add_row(
                *(
                    value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
                    for value in row
                )
            )
        console.print(answer)
        draw("bigquery-tables", console, "BigQuery emulator")
        client.close()  # type: ignore[no-untyped-call]
    finally:
        running.close()


# --- pages ------------------------------------------------------------------------------------------------------------


def photograph(scenario: str, url: str) -> None:
    """Carry out a scenario of make_pictures.cjs and keep its pictures, with fewer colours."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([NODE, SCRIPT, CHROMIUM, folder, scenario, url], check=True, timeout=300)
        for path in sorted(Path(folder).iterdir()):
            _write(path.name, _smaller(Image.open(path).convert("RGB")))


def _smaller(image: Image.Image) -> bytes:
    """A picture as PNG with a palette that has every flat colour exactly; only edges of letters are rounded."""
    pixels = image.tobytes()
    pixels_as_colours = list(zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True))
    counted = Counter(pixels_as_colours)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    index = {colour: at for at, colour in enumerate(palette)}
    for colour in counted.keys() - index.keys():
        index[colour] = index[
            min(palette, key=lambda other: sum((a - b) ** 2 for a, b in zip(colour, other, strict=True)))
        ]
    # Pillow's own way to a given palette is coarser: its white is nearly white.
    small = Image.frombytes("P", image.size, bytes(map(index.__getitem__, pixels_as_colours)))
    small.putpalette([part for colour in palette for part in colour])
    written = io.BytesIO()
    small.save(written, "PNG", optimize=True)
    return written.getvalue()


def sheet() -> None:
    """The Sheet with its menu: an import from its start to its end, every tab, the dialogs, a mistake."""
    with Laptop(world=world(), latency_s=4.0, qps=1, days=120) as laptop:
        _choose_more(laptop)
        photograph("laptop", laptop.url)
        laptop.tiktok.faults.latency_s = 0.0
        photograph("dashboard", f"{laptop.google.url}/view/{laptop.book}")
        photograph("tabs", f"{laptop.google.url}/view/{laptop.book}")
        photograph("dialogs", laptop.url)
        photograph("picker", laptop.url)
        photograph("mistake", laptop.url)
        photograph("logs", f"{laptop.google.url}/view/{laptop.book}")


def numbers() -> None:
    """The tab Numbers after an import and a check, with a day that TikTok has restated meanwhile."""
    with Laptop(world=world(), days=45) as laptop:
        environment = {
            "TIKTOK_API_URL": laptop.tiktok.url,
            "TIKTOK_ACCESS_TOKEN": laptop.tiktok.token,
            API_VARIABLE: laptop.google.url,
        }
        seen, now = laptop.tiktok.world, laptop.tiktok.world.now()
        with app.open_sheet(laptop.book, environment=environment) as control:
            app.import_sheet(control, now=now, listen=lambda _: None, environment=environment)
        seen.restate(seen.advertiser_ids[0], now.date() - timedelta(days=8), 97)
        with app.open_sheet(laptop.book, environment=environment) as control:
            app.verify_sheet(control, now=now, listen=lambda _: None, environment=environment)
        photograph("numbers", f"{laptop.google.url}/view/{laptop.book}")


def _choose_more(laptop: Laptop) -> None:
    """Tick what the Dashboard shows besides: covers of videos, and the value of purchases."""
    with closing(Spreadsheet(laptop.book, environment={API_VARIABLE: laptop.google.url})) as book:
        choice = {name: [*names] for name, names in setup.ticked(book).items()}
        choice["videos"], choice["images"] = ["video_cover_url"], ["image_url"]
        choice["ad_report_daily"].append("total_complete_payment_rate")
        setup.choose(book, choice)


def set_up() -> None:
    """Set up…, where Google Cloud does not know the Sheet's script yet."""
    address, audience = (
        "https://owox-tiktok-123456789.europe-west1.run.app",
        "612345678901-k3v7abc.apps.googleusercontent.com",
    )
    with Issuer() as issuer, Platform() as refusing:
        refusing.replies["status"] = Answer(401, b"<html>Unauthorized", "text/html")
        with MenuPage(address, issuer.token("you@example.com", audience), "1AbC", where=refusing.url) as page:
            photograph("set_up", page.url)


class _Page(Emulator):
    """Serves one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def answer(self, call: Call) -> Answer:
        """Answer with the page, whatever is asked."""
        return Answer(200, self._text.encode(), "text/html; charset=utf-8")


CARD = """<!doctype html><html lang="en"><meta charset="utf-8">
<style>
  body { margin: 0; padding: 24px; font: 16px/24px Arial, "Noto Color Emoji", sans-serif; color: #202124; }
  #card { width: 660px; padding: 18px 20px; border: 1px solid #dadce0; border-radius: 12px; display: flex; gap: 14px; }
  .who { flex: none; width: 40px; height: 40px; line-height: 40px; border-radius: 8px; text-align: center;
         background: #e8f0fe; color: #174ea6; font-weight: bold; }
  p { margin: 4px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
  small { color: #5f6368; font-weight: normal; }
  a { color: #174ea6; }
</style>
<div id="card"><div class="who">O</div>
<div><b>OWOX TikTok</b> <small>09:04</small><p>{{text}}</p></div></div></html>
"""


def message() -> None:
    """The message that a webhook of Slack gets about a run with an account that TikTok refuses."""
    seen = world()
    authority, trust = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(trust)
    with serve(seen, limits=Limits(qps=60, per_minute=None)) as server, tempfile.TemporaryDirectory() as folder:
        server.faults.forbidden = {seen.advertiser_ids[1]}
        environment = {"TIKTOK_API_URL": server.url, "TIKTOK_ACCESS_TOKEN": server.token}
        now = datetime.now(UTC)
        text = config(seen, f"duckdb:///{folder}/tiktok_ads.duckdb")
        settings = read_settings(text, "tiktok.yaml", now=now, environment=environment)
        ended = app.import_(settings, now=now, listen=lambda _: None, environment=environment)
    to_slack = replace(settings, notify_when="on error", notify_by_slack=True, destination="sheets://1aBcD2eFgH3iJkL")
    with webhook(authority) as (host, received):
        level, sentence = notify.outcome(ended)
        hook = {"SLACK_WEBHOOK_URL": f"https://{host}/services/T/B/x"}
        wrong = notify.send(to_slack, level, sentence, hook, notify.Reach(slack_hosts=[host], tls=trust))
        assert not wrong, wrong
    body = json.loads(received[0])
    # Slack shows addresses as links; its own escapes of &, < and > are HTML's as well.
    linked = re.sub(r"https://\S+", r'<a href="#">\g<0></a>', body["text"])
    with _Page(CARD.replace("{{text}}", linked)) as page:
        photograph("message", page.url)


DEFINITIONS = """\
from pathlib import Path
from dagster import definitions, load_from_defs_folder

@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


def dagster() -> None:
    """An asset in Dagster's page, after all of them were materialised in a real project."""
    programs, component = FOLDER.parent.parent / ".venv-dagster" / "bin", "owox_tiktok.dagster.TikTokAdsComponent"
    seen = World(seed=1, ads=60)
    with tempfile.TemporaryDirectory() as name, serve(seen, limits=Limits(qps=None, per_minute=None)) as server:
        project = Path(name)
        defs = project / "src" / "my_project" / "defs"
        defs.mkdir(parents=True)
        (defs.parent / "__init__.py").touch()
        (defs.parent / "definitions.py").write_text(DEFINITIONS)
        (project / "pyproject.toml").write_text(
            '[project]\nname = "my_project"\nversion = "0"\n[tool.dg]\ndirectory_type = "project"\n'
            '[tool.dg.project]\nroot_module = "my_project"\n'
        )
        (project / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        environment = {
            **os.environ, "TIKTOK_API_URL": server.url, "TIKTOK_ACCESS_TOKEN": server.token, "DAGSTER_HOME": name,
            "PYTHONPATH": f"{FOLDER.parent.parent}{os.pathsep}{project / 'src'}", "DO_NOT_TRACK": "1",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

        def dg(*words: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen([programs / "dg", *words], cwd=project, env=environment)

        assert dg("scaffold", "defs", component, "tiktok_ads").wait() == 0
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        assert dg("launch", "--job", "tiktok_ads", "--partition", str(yesterday)).wait() == 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        page = dg("dev", "--port", str(port))
        try:
            while not _answers(f"http://127.0.0.1:{port}/server_info"):
                time.sleep(1)
            photograph("dagster", f"http://127.0.0.1:{port}")
        finally:
            page.terminate()
            page.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 -- our own
            return True
    except OSError:
        return False


@contextmanager
def webhook(authority: trustme.CA) -> Iterator[tuple[str, list[bytes]]]:
    """A host that takes messages over HTTPS; yields its name and what it received."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("localhost", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"localhost:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()


PICTURES: Mapping[str, Callable[[], None]] = {
    "demo": demo,
    "bigquery": bigquery_tables,
    "sheet": sheet,
    "numbers": numbers,
    "set_up": set_up,
    "message": message,
    "dagster": dagster,
}


def _write(name: str, content: bytes) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / name).write_bytes(content)
    print(f"{name}: {len(content) // 1000} kB")


def main() -> None:
    """Make what is named on the command line, or everything."""
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()


if __name__ == "__main__":
    main()
