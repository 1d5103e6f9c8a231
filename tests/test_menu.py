"""The Sheet's menu: its real Apps Script code against a running service, and its pages in a browser."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from owox_tiktok.local import menu, tasks
from owox_tiktok.local.http import Answer, in_json
from owox_tiktok.local.identity import Issuer
from owox_tiktok.local.sheets import serve as serve_sheets
from owox_tiktok.local.tiktok import World, serve
from owox_tiktok.service.due import minute_of
from owox_tiktok.streams import STREAMS
from tests.apps_script.page import MenuPage
from tests.apps_script.platform import Platform
from tests.control_sheet import ControlSheet, control_sheet
from tests.function import ANNA, EVE, Function, free_port
from tests.function import AUDIENCE as FOR_SHEETS
from tests.helpers import NOW, Project, expected
from tests.test_service_runs import Place, until

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "tests" / "apps_script"
TOOLS = HERE / "node_modules"
SCRIPT = menu.script_folder()
AUDIENCE = "612345678901-k3v7abc.apps.googleusercontent.com"
OBJECTS = {"ads": ("ad_name",), "ad_report_daily": ("spend", "clicks"), "campaign_report_hourly": ("spend",)}

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_types = pytest.mark.skipif(
    shutil.which("node") is None or not (TOOLS / "typescript").is_dir(),
    reason="typescript is not in tests/apps_script/node_modules: npm is missing, or could not get it",
)
needs_browser = pytest.mark.skipif(
    shutil.which("node") is None or not (TOOLS / "playwright-core").is_dir() or not CHROMIUM,
    reason="chromium, node or playwright-core is missing",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """TikTok (a slow one), Google Sheets, Cloud Tasks and sign-in, and a Sheet to import into."""
    folder = tmp_path_factory.mktemp("menu")
    world = World(seed=1, advertisers=2, campaigns=3, ad_groups=6, ads=12, as_of=NOW)
    with serve(world) as tiktok, serve_sheets() as google, Issuer() as issuer, tasks.Server(issuer) as cloud_tasks:
        tiktok.faults.latency_s = 0.1
        (folder / "secrets" / "acme").mkdir(parents=True)
        (folder / "secrets" / "acme" / "token").write_text(tiktok.token, encoding="utf-8")
        project = Project(folder, tiktok)
        sheet = control_sheet(google, project, OBJECTS)  # every test gets another one
        queue = cloud_tasks.add(min_backoff_s=0.2, max_backoff_s=1)
        made = Place(project, google, issuer, cloud_tasks, queue, sheet, folder / "secrets")
        try:
            yield made
        finally:
            for function in made.functions:
                function.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def token(place: Place) -> str:
    """The identity that Google gives the script of a Sheet for a person."""
    return place.issuer.token(ANNA, AUDIENCE)


@pytest.fixture(scope="module")
def sheets(place: Place) -> list[ControlSheet]:
    """Sheets that nobody has used yet."""
    return [control_sheet(place.google, place.project, OBJECTS) for _ in range(100)]


@pytest.fixture(scope="module")
def function(place: Place, sheets: list[ControlSheet]) -> Function:
    """The deployed function, which knows the script and the Sheets."""
    port = free_port()
    registry = json.dumps({sheet.book: {"secret": "acme", "callers": [ANNA]} for sheet in sheets})
    audiences = f"{FOR_SHEETS} {AUDIENCE} http://127.0.0.1:{port}"
    return place.deploy(queued=True, port=port, OWOX_AUDIENCES=audiences, OWOX_REGISTRY=registry)


@pytest.fixture(autouse=True)
def sheet(place: Place, sheets: list[ControlSheet]) -> ControlSheet:
    """A Sheet of the test's own."""
    place.sheet = sheets.pop()
    return place.sheet


@pytest.fixture
def service(place: Place, function: Function) -> Iterator[Platform]:
    """The service that the menu calls. What a test starts is cancelled after it."""
    with Platform(function.url) as running:
        yield running
    place.ask(function, "cancel")
    until(lambda: not place.queue.waiting)


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A service that a call does not reach, because the platform answers first."""
    with Platform() as answering:
        yield answering


@pytest.fixture
def slowly(place: Place) -> Iterator[None]:
    """TikTok takes so long that a run can be looked at and cancelled."""
    faults = place.project.server.faults
    faults.latency_s, before = 2.0, faults.latency_s
    yield
    faults.latency_s = before


@pytest.fixture
def mistaken(sheet: ControlSheet) -> list[str]:
    """Two cells of Config in which something is wrong."""
    labels = {"Start Date*": "<soon>", "Reimport Lookback Window": "many"}
    for label, wrong in labels.items():
        sheet.set(label, wrong)
    return [f"Config!B{sheet.row_of(label) + 1}" for label in labels]


# --- types ------------------------------------------------------------------------------------------------------------


def typed(folder: Path, *options: str) -> str:
    """What TypeScript says about the scripts in a folder; nothing when it is content."""
    files = sorted(str(path) for path in folder.glob("*.js"))
    command = [str(TOOLS / ".bin" / "tsc"), "--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022"]
    said = subprocess.run([*command, *options, *files], capture_output=True, text=True, check=False, timeout=60)
    return said.stdout + said.stderr


APPS_SCRIPT = ("--lib", "es2022", "--typeRoots", str(TOOLS / "@types"), "--types", "google-apps-script")


@needs_types
def test_code_gs_uses_apps_script_as_it_is(tmp_path: Path) -> None:
    code = (SCRIPT / "Code.gs").read_text(encoding="utf-8")
    (tmp_path / "Code.js").write_text(code, encoding="utf-8")
    assert typed(tmp_path, *APPS_SCRIPT) == ""
    (tmp_path / "Code.js").write_text(code.replace(".showSidebar(", ".showSideBar("), encoding="utf-8")
    assert "Did you mean 'showSidebar'" in typed(tmp_path, *APPS_SCRIPT)


PAGES = ["Sidebar", "Choose", "Accounts", "Schedule", "Backfill", "Cleanup", "Check", "Setup"]


def scripts(name: str) -> str:
    """What stands between the script tags of an HTML file."""
    text = (SCRIPT / f"{name}.html").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"<script>(.*?)</script>", text, re.S))


@needs_types
@pytest.mark.parametrize("page", PAGES)
def test_the_scripts_of_a_page_are_typed(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text(scripts("Client") + scripts(page), encoding="utf-8")
    assert typed(tmp_path, "--lib", "es2022,dom,dom.iterable", "--types", "", str(HERE / "client.d.ts")) == ""


def test_the_script_asks_for_the_least_it_can() -> None:
    scopes = json.loads((SCRIPT / "appsscript.json").read_text(encoding="utf-8"))["oauthScopes"]
    names = [scope.removeprefix("https://www.googleapis.com/auth/") for scope in scopes]
    assert names == [
        "openid", "userinfo.email", "script.external_request", "script.container.ui", "script.scriptapp",
        "spreadsheets.currentonly",
    ]  # fmt: skip


def test_no_page_inserts_text_as_html_or_loads_anything() -> None:
    for path in SCRIPT.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text), path.name
        assert not re.search(r"""(?:src|href)=["'](?!#)|@import|url\(""", text), path.name


# --- Code.gs ----------------------------------------------------------------------------------------------------------


@dataclass
class Script:
    """The real Code.gs in node. What it showed is in ``seen``, newest call only."""

    process: subprocess.Popen[str]
    token: str
    properties: dict[str, str] = field(default_factory=dict)
    sheets: list[str] = field(default_factory=lambda: ["Start here", "Config", "Fields", "Logs"])
    seen: list[list[Any]] = field(default_factory=list)
    said: str = ""

    def call(self, name: str, *values: Any, answers: tuple[str, ...] = (), reach: dict[str, str] | None = None) -> Any:
        """Call a function as a menu item or a page does; ``reach`` says where an address really is."""
        order = {"call": name, "values": values, "token": self.token, "answers": answers, "reach": reach or {}}
        order |= {"properties": self.properties, "sheets": self.sheets}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.said += line
        answer = json.loads(line)
        self.seen, self.properties = answer["seen"], answer["properties"]
        if "thrown" in answer:
            raise AssertionError(answer["thrown"])
        return answer.get("names" if name == "onOpen" else "answer")

    def shown(self, kind: str) -> list[list[Any]]:
        return [rest for what, *rest in self.seen if what == kind]

    def ask(self, action: str, **more: Any) -> Any:
        return self.call("ask", {"action": action} | more)


@pytest.fixture
def script(token: str, sheet: ControlSheet) -> Iterator[Script]:
    """The menu of a Sheet. After the test, its token stands in nothing that came out of it."""
    command = ["node", str(HERE / "harness.cjs"), str(menu.FOLDER / "shims.js"), str(SCRIPT), sheet.book]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        script = Script(process, token)
        yield script
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
    assert token not in script.said


def set_up(script: Script, service: Platform) -> None:
    script.properties = {"service_address": service.url}


@needs_node
def test_every_item_of_the_menu_names_a_function(script: Script) -> None:
    names = script.call("onOpen")
    [[title, items]] = script.shown("menu")
    assert title == "OWOX"
    labels = [item["label"] for item in items if item]
    assert labels == [
        "Run import", "Backfill…", "Choose data…", "Choose accounts…", "Schedule…", "Show progress", "Cancel run",
        "Check my numbers", "Why is this number different?", "Test connection", "Clean up old data…", "Connect TikTok…",
        "Set up…",
    ]  # fmt: skip
    assert {item["name"] for item in items if item} <= set(names)


@needs_node
def test_an_import_that_the_menu_starts_equals_tiktok(script: Script, service: Platform, place: Place) -> None:
    set_up(script, service)
    script.call("runImport")
    [[title, html]] = script.shown("sidebar")
    assert title == "TikTok Ads import"
    assert 'data-order="{&#34;action&#34;:&#34;import&#34;}"' in html
    assert service.orders == []  # the menu itself waits for nothing: the sidebar asks

    reply = script.ask("import")
    assert (reply["status"], reply["body"]["state"], reply["error"]) == (202, "started", None)
    run_id = reply["body"]["run_id"]
    states = ["running"]
    while states[-1] == "running":
        time.sleep(0.1)
        states.append(script.ask("status", run_id=run_id)["body"]["state"])
    assert states[-1] == "done"
    assert place.wrong() == []
    assert set(service.tokens) == {(f"Bearer {script.token}", script.token)}


@needs_node
@pytest.mark.usefixtures("slowly")
def test_a_run_is_cancelled_only_after_a_yes(script: Script, service: Platform) -> None:
    set_up(script, service)
    run_id = script.ask("import")["body"]["run_id"]
    until(lambda: script.ask("status", run_id=run_id)["body"]["started"])
    script.call("cancelRun", answers=("NO",))
    assert "cancel" not in [order["action"] for order in service.orders]
    script.call("cancelRun", answers=("YES",))
    assert script.shown("sidebar")
    until(lambda: script.ask("status", run_id=run_id)["body"]["state"] == "cancelled")
    script.call("cancelRun", answers=("YES",))
    assert "No import is running." in script.shown("alert")[-1][1]


@needs_node
def test_numbers_are_checked_and_explained(
    script: Script, service: Platform, place: Place, function: Function, sheet: ControlSheet
) -> None:
    set_up(script, service)
    place.ask(function, "import")
    until(lambda: not place.queue.waiting)
    found = script.ask("verify")["body"]
    assert found["tone"] == "good", found
    assert re.match(r"All \d+ closed days equal TikTok's totals\.", found["message"])
    accounts = place.project.server.advertiser_ids
    assert [one["closed"] == one["equal"] > 20 for one in found["accounts"]] == [True] * len(accounts)
    said = next(str(row[1]) for row in sheet.values("Numbers") if row and row[0] == "In short")
    assert said.startswith("Your numbers equal TikTok's through")

    report = expected(
        place.project.server.world, STREAMS["advertiser_report_daily"], accounts[0], ("stat_time_day", "spend")
    )
    spend = next(Decimal(str(row["spend"])) for row in report if str(row["stat_time_day"]).startswith("2026-02-20"))
    order = {"advertiser_ids": accounts[:1], "start_date": "2026-02-20", "value": f"€ {spend:,.2f}"}
    explained = script.ask("explain", **order)["body"]
    assert explained["readings"], explained
    assert script.ask("explain", **{**order, "value": "99,999,999.99"})["body"]["readings"] == []
    error = script.ask("explain", metric="ctr", **order)["error"]
    assert (error["where"], "cannot be added up" in error["message"]) == ("metric", True)
    assert [one["where"] for one in script.ask("explain")["error"]["mistakes"]] == [
        "start_date", "advertiser_ids", "value",
    ]  # fmt: skip


@needs_node
def test_a_choice_is_ticked_and_imported(script: Script, service: Platform, sheet: ControlSheet) -> None:
    set_up(script, service)
    found = script.ask("choices")["body"]
    fields = [name for name, *_ in found["fields"]]
    ads = next(one for one in found["objects"] if one["name"] == "ad_report_daily")
    assert (ads["group"], ads["title"]) == ("Reports", "Ad by day")
    assert {fields[n] for n in ads["fields"]} == set(STREAMS["ad_report_daily"].fields) - {
        *STREAMS["ad_report_daily"].keys
    }
    assert {name: sorted(names) for name, names in found["ticked"].items()} == {
        name: sorted(names) for name, names in OBJECTS.items()
    }
    # A field and an object without a row in the tab, and one object less than before.
    choice = {"ads": ["ad_name"], "ad_report_daily": ["spend", "live_views"], "pixels": ["pixel_name"]}
    assert script.ask("choose", choice=choice)["body"]["changed"]
    assert script.ask("choices")["body"]["ticked"] == choice
    assert not script.ask("choose", choice=choice)["body"]["changed"]
    rows = [line[:3] for line in sheet.values("Fields")]
    assert [True, "ad_report_daily", "live_views"] in rows
    assert [False, "campaign_report_hourly"] in [line[:2] for line in rows]
    assert [True, "campaign_report_hourly", "spend"] in rows  # kept, for when the object is ticked again


@needs_node
def test_a_choice_of_what_there_is_not_is_a_sentence(script: Script, service: Platform) -> None:
    set_up(script, service)
    error = script.ask("choose", choice={"ad_report_daily": ["spendings"], "adds": []})["error"]
    assert [(one["where"], one["what"]) for one in error["mistakes"]] == [
        ("choice", "ad_report_daily has no field called 'spendings'."), ("choice", "there is no object called 'adds'."),
    ]  # fmt: skip
    assert script.ask("choose")["error"]["where"] == "choice"


@needs_node
def test_the_size_of_a_choice_is_what_an_import_brings(script: Script, service: Platform, place: Place) -> None:
    set_up(script, service)
    found = script.ask("measure")["body"]["objects"]
    world, accounts = place.project.server.world, place.project.server.advertiser_ids
    for name in ("ads", "campaigns", "campaign_report_daily", "ad_report_daily"):
        rows = sum(len(expected(world, STREAMS[name], one, STREAMS[name].keys)) for one in accounts)
        assert found[name]["rows"] == pytest.approx(rows, rel=0.35), name  # TikTok is asked about one window of several
        assert not found[name]["assumed"]
    assert found["ad_report_hourly"]["assumed"]
    assert found["music"]["rows"] is None


def clocks(script: Script) -> dict[str, list[dict[str, Any]]]:
    """The triggers by whose they are."""
    kept = {key: json.loads(text) for key, text in script.properties.items() if key.startswith("trigger of ")}
    return {key.removeprefix("trigger of "): triggers for key, triggers in kept.items() if triggers}


@needs_node
def test_a_schedule_is_one_for_all_and_its_owners_alone(
    script: Script, platform: Platform, place: Place, sheet: ControlSheet
) -> None:
    set_up(script, platform)
    answered = Answer(200, b'{"state": "started"}', "application/json")
    no_clock = in_json({"error": {"message": "this service keeps no schedules"}}, 501)
    platform.replies |= {"fill": answered, "import": answered, "schedule": no_clock}
    script.call("saveSchedule", "daily", 6)
    [[trigger]] = clocks(script).values()
    assert (trigger["handler"], trigger["atHour"], trigger["everyDays"]) == ("importOnSchedule", 6, 1)
    assert script.call("scheduleState") == {
        "schedule": {"kind": "daily", "hour": 6, "owner": ANNA}, "mine": True, "zone": "Etc/UTC",
        "served": False, "error": None,
    }  # fmt: skip
    script.call("importOnSchedule")
    # Eve takes over: Anna's trigger is Google's to keep, and does nothing but end itself.
    script.token = place.issuer.token(EVE, AUDIENCE)
    assert script.call("scheduleState")["mine"] is False
    script.call("saveSchedule", "hourly", 0)
    assert set(clocks(script)) == {ANNA, EVE}
    script.token = place.issuer.token(ANNA, AUDIENCE)
    script.call("importOnSchedule")
    assert set(clocks(script)) == {EVE}
    orders = [order for order in platform.orders if order["action"] != "schedule"]
    assert [order["action"] for order in orders] == ["fill", "import", "fill"]
    assert [order["schedule"] for order in orders if "schedule" in order] == [
        f"Daily at 06:00 · by {ANNA}", f"Hourly · by {EVE}",
    ]  # fmt: skip
    # A start that fails is an exception: Google writes to its owner.
    script.token = place.issuer.token(EVE, AUDIENCE)
    platform.replies["import"] = Answer(404, b"<html>", "text/html")
    with pytest.raises(AssertionError, match="There is no service at this address"):
        script.call("importOnSchedule")
    platform.replies["import"] = in_json({"error": {"message": "an import is running already"}}, 409)
    script.call("importOnSchedule")
    script.call("saveSchedule", "off", 0)
    assert clocks(script) == {}
    assert script.call("scheduleState")["schedule"]["kind"] == "off"


@needs_node
def test_the_schedule_and_the_accounts_stand_in_config(
    script: Script, service: Platform, place: Place, sheet: ControlSheet
) -> None:
    set_up(script, service)
    assert script.call("saveSchedule", "weekdays", 7)["error"] is None
    assert sheet.get("Schedule") == f"Weekdays at 07:{minute_of(sheet.book):02} · by {ANNA}"
    kept = script.call("scheduleState")
    assert (kept["schedule"], kept["mine"]) == ({"kind": "weekdays", "hour": 7, "owner": ANNA}, True)
    assert (kept["served"], clocks(script)) == (True, {}), "the service starts these imports"
    found = script.ask("accounts")["body"]["accounts"]
    world = place.project.server.world
    assert [(one["id"], one["name"], one["chosen"]) for one in found] == [
        (one, " ".join(world.advertiser(one).name.split()), True) for one in place.project.server.advertiser_ids
    ]
    assert script.ask("fill", advertiser_ids=[found[1]["id"]])["error"] is None
    assert sheet.get("Advertiser IDs*") == found[1]["id"]
    look = sheet.tab("Config").grid.look(sheet.row_of("Advertiser IDs*"), 1)
    assert look
    assert found[1]["name"] in look.parts["note"]
    assert [one["chosen"] for one in script.ask("accounts")["body"]["accounts"]] == [
        True
    ]  # TikTok lists without an app


@needs_node
@pytest.mark.parametrize("text", ["=IMPORTRANGE(1)", "Daily at 25:00", "Daily at 06:00 · by a b"])
def test_a_schedule_is_nothing_but_a_schedule(script: Script, service: Platform, text: str) -> None:
    set_up(script, service)
    assert script.ask("fill", schedule=text)["error"]["mistakes"][0]["where"] == "schedule"


@needs_node
def test_every_mistake_reaches_the_person(script: Script, service: Platform, mistaken: list[str]) -> None:
    set_up(script, service)
    mistakes = script.ask("plan")["error"]["mistakes"]
    assert [one["where"] for one in mistakes] == mistaken
    assert all(one["what"].endswith(".") and one["what_to_do"].endswith(".") for one in mistakes)


@needs_node
def test_several_mistakes_are_a_list_in_a_box(script: Script, platform: Platform) -> None:
    set_up(script, platform)
    mistakes = [{"where": f"Config!B{n}", "what": "is empty", "what_to_do": "Fill it in"} for n in (4, 7)]
    platform.replies["cancel"] = in_json({"error": {"message": "two at once", "mistakes": mistakes}}, 400)
    script.call("cancelRun", answers=("YES",))
    [_, [title, text, buttons]] = script.shown("alert")
    assert (title, buttons) == ("Cancel run", "OK")
    assert text == "• Config!B4: is empty. Fill it in.\n\n• Config!B7: is empty. Fill it in."


@needs_node
def test_a_stranger_is_told_that_he_may_not(script: Script, service: Platform, place: Place) -> None:
    set_up(script, service)
    script.token = place.issuer.token(EVE, AUDIENCE)
    error = script.ask("status")["error"]
    assert error["message"]
    assert error["what_to_do"]
    assert error["commands"] == []  # it is not Google Cloud that refuses


@needs_node
@pytest.mark.parametrize(
    ("answer", "sentence", "wait"),
    [
        (Answer(404, b"<html>", "text/html"), "There is no service at this address.", 0),
        (Answer(429, b"", "text/html", {"Retry-After": "7"}), "no free instance", 7),
        (in_json({"error": {"message": "too much at once"}}, 429, retry_after="30"), "Too much at once.", 30),
        (Answer(500, b"<html>", "text/html"), "The service is not ready.", 0),
        (Answer(200, b"<html>welcome", "text/html"), "does not answer like the service", 0),
        (Answer(504, b"", "text/html"), "did not answer in time", 0),
    ],
)
def test_an_answer_of_the_platform_is_put_into_words(
    script: Script, platform: Platform, answer: Answer, sentence: str, wait: int
) -> None:
    set_up(script, platform)
    platform.replies["status"] = answer
    reply = script.ask("status")
    assert sentence in reply["error"]["message"]
    assert (reply["status"], reply["retry_after"]) == (answer.status, wait)


@needs_node
def test_the_token_does_not_follow_a_redirect(script: Script, platform: Platform) -> None:
    set_up(script, platform)
    with Platform() as elsewhere:
        platform.replies["status"] = Answer(307, headers={"Location": elsewhere.url})
        assert "does not answer like the service" in script.ask("status")["error"]["message"]
        assert elsewhere.tokens == []


@needs_node
def test_a_service_that_is_not_there_is_a_sentence(script: Script, platform: Platform) -> None:
    set_up(script, platform)
    platform.close()
    reply = script.ask("import")
    assert reply["status"] == 0
    assert reply["error"]["message"] == "The service could not be reached."


@needs_node
def test_a_sheet_that_is_not_set_up_says_where_to_begin(script: Script) -> None:
    assert "OWOX › Set up…" in script.ask("import")["error"]["what_to_do"]


@needs_node
@pytest.mark.parametrize("item", ["showBackfill", "showCleanUp", "testConnection", "showSetUp", "showProgress"])
def test_a_dialog_opens_without_waiting_for_the_service(script: Script, platform: Platform, item: str) -> None:
    set_up(script, platform)
    script.call(item)
    [[_, html]] = script.shown("sidebar") or script.shown("dialog")
    assert "<?" not in html
    assert platform.orders == []


# --- Set up… ----------------------------------------------------------------------------------------------------------


@needs_node
def test_set_up_keeps_an_address_and_tests_it(script: Script, service: Platform) -> None:
    assert script.call("setUpState") == {"address": "", "identity": {"audience": AUDIENCE, "email": ANNA}}
    answer = script.call("saveAddress", f" {service.url}/ ")
    assert answer["address"] == service.url
    assert (answer["reply"]["status"], answer["reply"]["error"]) == (200, None)
    assert script.properties == {"service_address": service.url}
    assert service.orders == [{"action": "status"}]


@needs_node
@pytest.mark.parametrize(
    "address",
    [
        "", "menu", "http://owox-1.europe-west1.run.app", "https://example.com", "https://run.app",
        "https://owox-1.europe-west1.run.app.example.com", "https://owox-1.europe-west1.run.app@example.com",
        "https://example.com/.run.app", "https://example.com#.run.app", "https://owox-1.europe-west1.run.app?to=x",
        "https://owox-1.europe-west1.run.app:8443", "http://127.0.0.1.example.com", "http://localhost@example.com",
        "http://10.0.0.1:8080", "javascript:alert(1)", "https://owox-1.europe-west1.run.app/\nx",
    ],
)  # fmt: skip
def test_the_identity_goes_to_no_other_address(script: Script, address: str) -> None:
    before = dict(script.properties)
    answer = script.call("saveAddress", address)
    assert answer["address"] == ""
    assert "not the address of a Google Cloud service" in answer["reply"]["error"]["message"]
    assert script.properties == before
    script.properties = {"service_address": address or "x"}  # also not when it was stored by other means
    assert "not allowed" in script.ask("status")["error"]["message"]


@needs_node
def test_a_domain_of_ones_own_gets_an_identity_only_after_a_yes(script: Script, platform: Platform) -> None:
    own = "https://tiktok.acme.example"
    assert script.call("saveAddress", own, answers=("NO",))["address"] == ""
    assert script.properties == {}
    answer = script.call("saveAddress", own, answers=("YES",), reach={own: platform.url})
    assert answer["address"] == own
    assert script.properties == {"service_address": own, "service_address_confirmed": own}
    script.properties["service_address"] = "https://tiktok.evil.example"
    assert "not allowed" in script.ask("status")["error"]["message"]


NUMBERED = "https://owox-tiktok-123456789.europe-west1.run.app"
HASHED = "https://owox-tiktok-abc12def3q-ew.a.run.app"
CALLED = "https://europe-west1-my-project.cloudfunctions.net/owox-tiktok"


GCLOUD = """#!/bin/sh
echo "$@" >> "$0.log"
test "$3" = describe && echo '{"annotations": ["[\\"1-other.apps.googleusercontent.com\\"]"], "env": "https://x,1-other.apps.googleusercontent.com"}'
exit 0
"""


def typed_into_a_terminal(commands: list[str], folder: Path) -> list[str]:
    """Run commands with a gcloud that only writes down what it is called with; return that."""
    (folder / "gcloud").write_text(GCLOUD, encoding="utf-8")
    (folder / "gcloud").chmod(0o755)
    terminal = ["bash", "-euc", "\n".join(commands)]
    subprocess.run(terminal, env={"PATH": f"{folder}:{os.environ['PATH']}"}, check=True, timeout=30)
    log = folder / "gcloud.log"
    said = log.read_text(encoding="utf-8").splitlines()
    log.unlink()
    return said


@needs_node
@pytest.mark.parametrize(
    ("address", "arguments"),
    [
        (NUMBERED, "owox-tiktok --region=europe-west1"),
        (HASHED, "owox-tiktok --region=REGION"),
        (CALLED, "owox-tiktok --region=europe-west1 --project=my-project"),
    ],
)
def test_a_refusal_of_google_cloud_comes_with_its_command(
    script: Script, platform: Platform, address: str, arguments: str, tmp_path: Path
) -> None:
    def refused(status: int) -> list[str]:
        platform.replies["status"] = Answer(status, b"<html>Refused", "text/html")
        answer = script.call("saveAddress", address, reach={address: platform.url})
        assert answer["address"] == address
        return typed_into_a_terminal(answer["reply"]["error"]["commands"], tmp_path)

    audiences = f"{address},1-other.apps.googleusercontent.com,{AUDIENCE}"
    assert refused(401) == [
        f"run services update {arguments} --add-custom-audiences={AUDIENCE}",
        f"run services describe {arguments} --format=json",
        f"run services update {arguments} --update-env-vars=^@^OWOX_AUDIENCES={audiences}",
    ]
    binding = f"--role=roles/run.invoker --member=user:{ANNA}"
    assert refused(403) == [f"run services add-iam-policy-binding {arguments} {binding}"]


@needs_node
def test_a_command_holds_nothing_that_a_terminal_would_run(script: Script, platform: Platform) -> None:
    platform.replies["status"] = Answer(403, b"<html>", "text/html")
    claims = {"aud": AUDIENCE, "email": "$(reboot)@example.com"}
    script.token = "." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + "."
    answer = script.call("saveAddress", NUMBERED, reach={NUMBERED: platform.url})
    [command] = answer["reply"]["error"]["commands"]
    assert command.endswith("--member=user:YOUR_ADDRESS")


# --- in a browser -----------------------------------------------------------------------------------------------------


def visit(scenario: str, page: MenuPage) -> str:
    """Carry out a scenario of browser.cjs; what it printed."""
    command = ["node", str(HERE / "browser.cjs"), CHROMIUM, page.url, NOW.isoformat(), scenario]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def page(service: Platform, sheet: ControlSheet, token: str) -> Iterator[MenuPage]:
    """The Sheet's page in a browser; the address of its service looks like one of Google Cloud's."""
    with MenuPage(NUMBERED, token, sheet.book, where=service.url) as shown:
        yield shown


@needs_browser
@pytest.mark.parametrize(
    "scenario",
    [
        "the_menu_opens_by_keyboard",
        "a_backfill_starts_only_after_its_plan",
        "the_checks_are_a_table",
        "numbers_are_checked_and_one_is_asked_about",
        "nothing_is_asked_while_nobody_looks",
    ],
)
def test_in_a_browser(scenario: str, page: MenuPage) -> None:
    visit(scenario, page)


@needs_browser
def test_in_a_browser_data_is_chosen(page: MenuPage, sheet: ControlSheet) -> None:
    visit("data_is_searched_and_ticked", page)
    ticked = {(line[1], line[2] if len(line) > 2 else None) for line in sheet.values("Fields")[1:] if line[0] is True}
    assert {
        ("ad_report_daily", "conversion"),
        ("ad_report_daily", "video_watched_2s"),
        ("campaign_report_daily", None),
        ("ad_audience_report_daily_by_country", None),
        ("ads", None),
    } <= ticked


@needs_browser
@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize(
    "scenario",
    [
        "an_import_is_shown_from_start_to_end",
        "a_second_start_shows_the_run_that_is_on",
        "a_run_is_cancelled_in_the_sidebar",
        "a_run_is_cancelled_from_the_menu",
    ],
)
def test_in_a_browser_a_run_that_takes_a_while(scenario: str, page: MenuPage) -> None:
    visit(scenario, page)


@needs_browser
def test_in_a_browser_a_clean_up_shows_what_it_deletes_first(page: MenuPage, place: Place, function: Function) -> None:
    place.ask(function, "import")
    until(lambda: not place.queue.waiting)
    place.sheet.set("Clean Up To Keep Window", 10)
    visit("a_clean_up_shows_what_it_deletes_first", page)


@needs_browser
def test_in_a_browser_mistakes_are_listed_as_text(page: MenuPage, mistaken: list[str]) -> None:
    said = visit("a_failed_run_says_what_to_do", page)
    assert [said.count(cell) for cell in mistaken[1:]] == [1] * len(mistaken[1:])  # each is said once
    assert f"went to {mistaken[0]}" in said
    assert "<soon>" in said
    assert "run the import again" in said


@needs_browser
def test_in_a_browser_a_stranger_is_told_why_nothing_starts(page: MenuPage, place: Place) -> None:
    page.token = place.issuer.token(EVE, AUDIENCE)
    assert "may not do this" in visit("a_start_that_is_refused_says_why", page)


@needs_browser
@pytest.mark.parametrize("by", ["Google Cloud", "the service"])
def test_in_a_browser_set_up_shows_the_command_for_a_refusal(
    by: str, page: MenuPage, service: Platform, place: Place
) -> None:
    page.token = place.issuer.token(ANNA, "1-new.apps.googleusercontent.com")
    if by == "Google Cloud":
        service.replies["status"] = Answer(401, b"<html>Unauthorized", "text/html")
    said = visit("set_up_prints_the_command_for_a_refusal", page)
    assert ("--add-custom-audiences=1-new" in said) == (by == "Google Cloud")
    assert f"OWOX_AUDIENCES={NUMBERED},${{ids:+$ids,}}1-new.apps.googleusercontent.com" in said
