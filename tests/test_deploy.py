"""Deployment: ``cloud_function/deploy.sh`` and ``owox-tiktok schedule`` against a recording ``gcloud``.

Where the real Google Cloud CLI is installed, its own parser is asked whether it takes each command (nothing is sent).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path, PureWindowsPath
from typing import Any

import pathspec
import pytest

from owox_tiktok.local.tiktok import Server
from owox_tiktok.schedule import end_on_computer, line_for_computer
from owox_tiktok.service import deployment
from tests.fake_gcloud import NUMBER
from tests.helpers import Project

ROOT = Path(__file__).resolve().parent.parent
SHEET = "1aBcDeFgHiJkLmNoPqRsTuVwXyZ"
OTHER_SHEET = "1zYxWvUtSrQpOnMlKjIhGfEdCbA"
TOKEN = "planted-access-token"
TASK_KEY = "planted-key-" + 32 * "5"
APP_SECRET = "planted-app-secret"
HOOK = "https://hooks.slack.com/services/planted-hook"
CLIENT = "111-abc.apps.googleusercontent.com"
WORKER = f"https://owox-tiktok-worker-{NUMBER}.europe-west1.run.app"
BUCKET = f"gs://owox-tiktok-{NUMBER}-europe-west1"
FOR_SHEETS = f"https://owox-tiktok-{NUMBER}.europe-west1.run.app"
RUNTIME, INVOKER, BUILD = (
    f"owox-tiktok-{who}@my-project.iam.gserviceaccount.com" for who in ("runtime", "invoker", "build")
)
PLACE = ("--project", "my-project", "--region", "europe-west1")
ONE = (*PLACE, "--spreadsheet", SHEET, "--caller", "anna@example.com", "--daily", "06:05", "--zone", "Europe/Berlin")


@dataclass
class Cloud:
    """A source tree, and a PATH on which ``gcloud`` writes down what it is asked."""

    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "FAKE_GCLOUD": str(self.folder),
            "HOME": str(self.folder),
            "OWOX_PYTHON": sys.executable,
        }

    def run(self, command: list[str], given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.said += [ran.stdout, ran.stderr]
        complaints = self.folder / "complaints"
        assert not complaints.exists(), complaints.read_text("utf-8")
        return ran

    def deploy(self, *words: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        script = self.folder / "source" / "cloud_function" / "deploy.sh"
        return self.run([str(script), *words], given, **environment)

    def ready(self, *words: str, **environment: str) -> list[list[str]]:
        """Deploy with a token and without a failure; return the commands that changed something."""
        before = len(self.commands)
        ran = self.deploy(*words, **{"TIKTOK_ACCESS_TOKEN": TOKEN} | environment)
        assert ran.returncode == 0, ran.stderr
        return changing(self.commands[before:])

    @property
    def log(self) -> list[dict[str, Any]]:
        file = self.folder / "commands.jsonl"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []

    @property
    def commands(self) -> list[list[str]]:
        return [entry["argv"] for entry in self.log]

    @property
    def changes(self) -> list[list[str]]:
        return changing(self.commands)

    @property
    def world(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "world.json").read_text("utf-8")))

    def service(self, name: str) -> dict[str, Any]:
        return dict(self.world["run services"][name])

    def who_may(self, role: str, what: str) -> list[str]:
        return [m.split(" ")[1] for m in self.world["members"].get(what, {}) if m.startswith(f"{role} ")]


def changing(commands: list[list[str]]) -> list[list[str]]:
    asking = {"describe", "list", "get-iam-policy", "access"}
    return [c for c in commands if not asking & set(c)]


def made(folder: Path) -> Cloud:
    upload(folder / "source")
    shutil.copy(ROOT / "cloud_function" / "deploy.sh", folder / "source" / "cloud_function")
    shutil.copytree(ROOT / "cloud_function" / "monitoring", folder / "source" / "cloud_function" / "monitoring")
    programs = folder / "bin"
    programs.mkdir()
    fake = f'exec {sys.executable} -IS {ROOT / "tests" / "fake_gcloud.py"} "$@"'
    # One key for all: what was made can be compared.
    key = f"cat > {os.devnull}; echo {TASK_KEY}"
    for name, line in (("gcloud", fake), ("sleep", "exit 0"), ("od", key), ("bq", 'echo "$@" >> "$FAKE_GCLOUD/bq"')):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    (folder / "world.json").write_text(json.dumps({"projects": {"my-project": {"number": NUMBER}}}))
    return Cloud(folder)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """A project with nothing in it."""
    return made(tmp_path)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """One Sheet was deployed; nothing changes this one any more."""
    first = made(tmp_path_factory.mktemp("first"))
    first.ready(*ONE)
    return first


@pytest.fixture
def deployed(cloud: Cloud, first_run: Cloud) -> Cloud:
    """A project in which one Sheet was deployed."""
    shutil.copy(first_run.folder / "world.json", cloud.folder)
    return cloud


def uploaded() -> list[str]:
    """What .gcloudignore lets through."""
    ignored = pathspec.GitIgnoreSpec.from_lines((ROOT / ".gcloudignore").read_text("utf-8").splitlines())
    tops = [folder for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    files = [*ROOT.glob("*"), *(f for top in tops for f in top.rglob("*"))]
    names = sorted(f.relative_to(ROOT).as_posix() for f in files if f.is_file())
    return [name for name in names if not ignored.match_file(name)]


def upload(folder: Path) -> None:
    for name in uploaded():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "cloud_function").mkdir(exist_ok=True)


# --- one Sheet --------------------------------------------------------------------------------------------------------


def test_the_first_run_makes_everything(first_run: Cloud) -> None:
    world = first_run.world
    assert sorted(world["iam service-accounts"]) == sorted([RUNTIME, INVOKER, BUILD])
    assert world["secrets"]["owox-tiktok-token-default"]["versions"] == [TOKEN]
    for_sheets, worker = first_run.service("owox-tiktok"), first_run.service("owox-tiktok-worker")
    both = {
        "OWOX_SPREADSHEET_ID": SHEET,
        "OWOX_CALLERS": "anna@example.com",
        "OWOX_DATASETS": "",
        "OWOX_TASKS_QUEUE": "projects/my-project/locations/europe-west1/queues/owox-tiktok",
        "OWOX_BACKGROUND_QUEUE": "projects/my-project/locations/europe-west1/queues/owox-tiktok-background",
        "OWOX_TASKS_ACCOUNT": INVOKER,
        "OWOX_WORKER_URL": WORKER,
        "OWOX_STORE": BUCKET,
    }
    assert for_sheets["env"] == both | {
        "OWOX_ROLE": "sheets",
        "OWOX_AUDIENCES": FOR_SHEETS,
        "OWOX_TIMEOUT_SECONDS": "300",
        "THREADS": "8",
        "OWOX_OPERATORS": "",
    }
    admits = {"OWOX_PLATFORM_ADMITS": "yes", "OWOX_TIMEOUT_SECONDS": "1800"}
    assert worker["env"] == both | admits | {"OWOX_ROLE": "worker", "OWOX_AUDIENCES": WORKER}
    for service in (for_sheets, worker):
        assert service["secrets"] == {
            "/secrets/default/token": "owox-tiktok-token-default:latest",
            "OWOX_TASK_KEY": "owox-tiktok-task-key:latest",
        }
        assert service["options"]["base-image"] == "python313"
        assert service["options"]["function"] == "owox"
        assert service["options"]["min-instances"] == "0"
        assert "no-allow-unauthenticated" in service["options"]
        assert service["options"]["service-account"] == RUNTIME
    assert (worker["options"]["ingress"], for_sheets["options"]["ingress"]) == ("internal", "all")
    assert (worker["options"]["concurrency"], worker["options"]["timeout"]) == ("1", "1800")
    assert int(for_sheets["options"]["concurrency"]) > 1
    job = world["scheduler jobs"][f"owox-tiktok-{SHEET}"]
    assert (job["schedule"], job["time-zone"]) == ("5 6 * * *", "Europe/Berlin")
    assert (job["uri"], job["oidc-token-audience"]) == (f"{WORKER}/", WORKER)
    assert json.loads(job["message-body"]) == {"action": "import", "spreadsheet_id": SHEET}
    watch = world["scheduler jobs"]["owox-tiktok-watch"]
    assert (watch["schedule"], watch["uri"]) == ("*/10 * * * *", f"{WORKER}/")
    assert json.loads(watch["message-body"]) == {"action": "sweep"}
    (options,) = world["storage buckets"].values()
    assert list(world["storage buckets"]) == [BUCKET]
    assert {"uniform-bucket-level-access", "public-access-prevention"} <= options.keys()
    assert options["soft-delete-duration"] == "0"


def test_each_account_may_do_its_own_work_and_nothing_else(cloud: Cloud) -> None:
    cloud.ready(*ONE, "--dataset", "my-project.tiktok_ads")
    granted = {(what, *binding.split(" ")) for what, bindings in cloud.world["members"].items() for binding in bindings}
    runtime, invoker, build = (f"serviceAccount:{who}" for who in (RUNTIME, INVOKER, BUILD))
    assert granted == {
        ("projects my-project", "roles/run.builder", build),
        ("projects my-project", "roles/bigquery.jobUser", runtime),
        (f"iam service-accounts {INVOKER}", "roles/iam.serviceAccountUser", runtime),
        ("secrets owox-tiktok-token-default", "roles/secretmanager.secretAccessor", runtime),
        ("secrets owox-tiktok-task-key", "roles/secretmanager.secretAccessor", runtime),
        ("tasks queues owox-tiktok", "roles/cloudtasks.enqueuer", runtime),
        ("tasks queues owox-tiktok-background", "roles/cloudtasks.enqueuer", runtime),
        (f"storage buckets {BUCKET}", "roles/storage.objectUser", runtime),
        ("run services owox-tiktok-worker", "roles/run.invoker", invoker),
        ("run services owox-tiktok", "roles/run.invoker", "user:anna@example.com"),
    }


def test_the_second_run_changes_nothing(deployed: Cloud) -> None:
    assert deployed.ready(*ONE) == []


def test_what_is_different_is_changed_and_nothing_else(deployed: Cloud) -> None:
    later = deployed.ready(*ONE[:-3], "07:30", "--client-id", CLIENT)
    assert [c[:3] for c in later] == [["run", "deploy", "owox-tiktok"], ["scheduler", "jobs", "update"]]
    assert deployed.service("owox-tiktok")["audiences"] == [CLIENT]
    assert deployed.service("owox-tiktok")["env"]["OWOX_AUDIENCES"] == f"{FOR_SHEETS},{CLIENT}"
    # Said once, a client id goes on counting; forgotten, it does not.
    assert deployed.ready(*ONE[:-3], "07:30") == []
    deployed.ready(*ONE[:-3], "07:30", "--forget-client-id", CLIENT)
    assert deployed.service("owox-tiktok")["audiences"] == []
    assert deployed.service("owox-tiktok")["env"]["OWOX_AUDIENCES"] == FOR_SHEETS


def test_changed_source_is_deployed_again(deployed: Cloud) -> None:
    with (deployed.folder / "source" / "owox_tiktok" / "rows.py").open("a") as file:
        file.write("# changed\n")
    assert [c[:3] for c in deployed.ready(*ONE)] == [
        ["run", "deploy", "owox-tiktok-worker"],
        ["run", "deploy", "owox-tiktok"],
    ]


def test_a_caller_who_is_not_named_any_more_may_not_call_any_more(cloud: Cloud) -> None:
    cloud.ready(*ONE, "--caller", "@example.org", "--caller", "other@else.iam.gserviceaccount.com")
    callers = cloud.who_may("roles/run.invoker", "run services owox-tiktok")
    assert callers == [
        "user:anna@example.com",
        "domain:example.org",
        "serviceAccount:other@else.iam.gserviceaccount.com",
    ]
    cloud.ready(*ONE)
    assert cloud.who_may("roles/run.invoker", "run services owox-tiktok") == ["user:anna@example.com"]


def test_a_schedule_is_left_alone_changed_or_ended(deployed: Cloud) -> None:
    assert deployed.ready(*ONE[:8]) == []
    deployed.ready(*ONE[:8], "--hourly")
    assert deployed.world["scheduler jobs"][f"owox-tiktok-{SHEET}"]["schedule"] == "7 * * * *"
    deployed.ready(*ONE[:8], "--no-schedule")
    assert list(deployed.world["scheduler jobs"]) == ["owox-tiktok-watch"]


def test_a_token_can_be_pasted_and_replaced(cloud: Cloud) -> None:
    ran = cloud.deploy(*ONE, given=f"{TOKEN}\n")
    assert ran.returncode == 0, ran.stderr
    versions = "owox-tiktok-token-default"
    assert cloud.world["secrets"][versions]["versions"] == [TOKEN]
    cloud.ready(*ONE, TIKTOK_ACCESS_TOKEN="planted-second")
    assert cloud.world["secrets"][versions]["versions"] == [TOKEN]
    more = {"TIKTOK_APP_ID": "7", "TIKTOK_APP_SECRET": APP_SECRET}
    assert len(cloud.ready(*ONE, "--new-token", TIKTOK_ACCESS_TOKEN="planted-second", **more)) == 1
    assert cloud.world["secrets"][versions]["versions"][-1].splitlines() == [
        "TIKTOK_ACCESS_TOKEN=planted-second",
        "TIKTOK_APP_ID=7",
        f"TIKTOK_APP_SECRET={APP_SECRET}",
    ]


def test_without_a_token_it_stops_with_a_sentence(cloud: Cloud) -> None:
    ran = cloud.deploy(*ONE)
    assert ran.returncode == 2
    assert "Stopped: there is no TikTok token for default. Set TIKTOK_ACCESS_TOKEN" in ran.stderr
    assert "secrets" not in cloud.world


def test_messages_about_runs_get_what_they_need(deployed: Cloud) -> None:
    deployed.ready(*ONE, SLACK_WEBHOOK_URL=HOOK, SMTP_HOST="smtp.example.com", SMTP_PASSWORD="planted-password")
    before = deployed.world
    for name in ("owox-tiktok", "owox-tiktok-worker"):
        service = deployed.service(name)
        assert service["secrets"]["SLACK_WEBHOOK_URL"] == "owox-tiktok-slack-webhook:latest"
        assert service["secrets"]["SMTP_PASSWORD"] == "owox-tiktok-smtp-password:latest"
        assert service["env"]["SMTP_HOST"] == "smtp.example.com"
    # Another run from a terminal that does not know them leaves them as they are.
    deployed.ready(*ONE)
    for name in ("owox-tiktok", "owox-tiktok-worker"):
        for what in ("secrets", "env"):
            assert deployed.service(name)[what] == before["run services"][name][what]


def test_alerts_go_to_whom_is_named_and_are_made_once(cloud: Cloud) -> None:
    cloud.ready(*ONE, "--alerts-to", "ops@example.com")
    (channel,) = cloud.world["beta monitoring channels"].values()
    policies = cloud.world["alpha monitoring policies"].values()
    assert {p["displayName"]: p["told"] for p in policies} == {
        "owox-tiktok: an import needs somebody": channel["name"],
        "owox-tiktok: a schedule cannot start imports": channel["name"],
    }
    everything = json.dumps([*policies, *cloud.world["monitoring dashboards"].values()])
    assert "owox-tiktok-worker" in everything
    assert "NAME" not in everything
    assert cloud.ready(*ONE, "--alerts-to", "ops@example.com") == []
    later = cloud.ready(*ONE, "--alerts-to", "boss@example.com", "--audit-dataset", "my-project.audit")
    assert [c[:4] for c in later] == [
        ["beta", "monitoring", "channels", "create"],
        *2 * [["alpha", "monitoring", "policies", "update"]],
    ]
    sql = (cloud.folder / "bq").read_text("utf-8")
    assert "CREATE OR REPLACE EXTERNAL TABLE `my-project.audit.tiktok_runs`" in sql
    assert f"uris = ['{BUCKET}/audit/*']" in sql


def test_the_public_function_adds_tokens_and_may_do_nothing_else(cloud: Cloud) -> None:
    ran = cloud.deploy(*ONE, "--connect", TIKTOK_APP_ID="7", TIKTOK_APP_SECRET=APP_SECRET)
    assert ran.returncode == 0, ran.stderr
    service = cloud.service("owox-tiktok-connect")
    address = f"https://owox-tiktok-connect-{NUMBER}.europe-west1.run.app"
    assert f"name this redirect address: {address}/connected" in ran.stderr
    found = deployment.read({**service["env"], "OWOX_TASK_KEY": TASK_KEY, "K_SERVICE": "x"})
    assert (found.role, found.connect_url, found.queue) == ("connect", address, "")
    assert found.secret_prefix == "projects/my-project/secrets/owox-tiktok-token-"
    assert cloud.service("owox-tiktok")["env"]["OWOX_CONNECT_URL"] == address
    assert ("allow-unauthenticated" in service["options"], service["env"]["TIKTOK_APP_ID"]) == (True, "7")
    assert service["secrets"] == {
        "OWOX_TASK_KEY": "owox-tiktok-task-key:latest",
        "TIKTOK_APP_SECRET": "owox-tiktok-app-secret:latest",
    }
    who = service["options"]["service-account"]
    members = cloud.world["members"].items()
    assert {(what, one.split()[0]) for what, all_ in members for one in all_ if one.endswith(who)} == {
        ("secrets owox-tiktok-token-default", "roles/secretmanager.secretVersionAdder"),
        ("secrets owox-tiktok-task-key", "roles/secretmanager.secretAccessor"),
        ("secrets owox-tiktok-app-secret", "roles/secretmanager.secretAccessor"),
        (f"storage buckets {BUCKET}", "roles/storage.objectCreator"),
    }
    assert cloud.world["secrets"]["owox-tiktok-token-default"]["versions"] == ["\n"], "no token yet"
    assert cloud.ready(*ONE, "--connect", TIKTOK_ACCESS_TOKEN="") == []


def test_who_may_call_the_worker_by_a_role_of_the_project_is_told(deployed: Cloud) -> None:
    world = deployed.world
    world["members"]["projects my-project"]["roles/run.invoker group:all@example.com"] = True
    (deployed.folder / "world.json").write_text(json.dumps(world))
    assert deployed.ready(*ONE) == []
    assert "group:all@example.com (roles/run.invoker)" in deployed.said[-1]


# --- many Sheets ------------------------------------------------------------------------------------------------------

REGISTRY = f"""\
# who may do what; secret: not-an-alias
{SHEET}:
  secret: acme
  callers: [anna@acme.example, "@acme.example"]  # not: eve@example.com
"{OTHER_SHEET}":
  secret: beta-shop
  callers:
    - ben@beta.example
  datasets: [my-project.tiktok_ads]
"""


def many(cloud: Cloud, *words: str, text: str = REGISTRY, **environment: str) -> list[list[str]]:
    (cloud.folder / "registry.yaml").write_text(text)
    tokens = {"TIKTOK_ACCESS_TOKEN_ACME": TOKEN, "TIKTOK_ACCESS_TOKEN_BETA_SHOP": "planted-second"}
    return cloud.ready(*PLACE, "--registry", "registry.yaml", *words, **tokens | environment)


def test_a_registry_is_mounted_with_a_secret_for_each_alias(cloud: Cloud) -> None:
    many(cloud, "--hourly")
    assert cloud.world["secrets"]["owox-tiktok-token-acme"]["versions"] == [TOKEN]
    assert cloud.world["secrets"]["owox-tiktok-token-beta-shop"]["versions"] == ["planted-second"]
    assert cloud.world["secrets"]["owox-tiktok-registry"]["versions"] == [REGISTRY]
    for name in ("owox-tiktok", "owox-tiktok-worker"):
        service = cloud.service(name)
        assert service["secrets"] == {
            "/secrets/acme/token": "owox-tiktok-token-acme:latest",
            "/secrets/beta-shop/token": "owox-tiktok-token-beta-shop:latest",
            "/registry/registry.yaml": "owox-tiktok-registry:latest",
            "OWOX_TASK_KEY": "owox-tiktok-task-key:latest",
        }
        assert service["env"]["OWOX_REGISTRY"] == "/registry/registry.yaml"
        assert "OWOX_SPREADSHEET_ID" not in service["env"]
        assert service["env"]["OWOX_SCHEDULE"] == "Hourly"
    assert list(cloud.world["scheduler jobs"]) == ["owox-tiktok-watch"], "one job for all Sheets"
    queues = cloud.world["tasks queues"].values()
    assert [q["max-concurrent-dispatches"] for q in queues] == ["40", "40"], "twenty for each of two tokens"
    assert set(cloud.who_may("roles/run.invoker", "run services owox-tiktok")) == {
        "user:anna@acme.example",
        "domain:acme.example",
        "user:ben@beta.example",
    }


def test_a_changed_registry_is_a_new_version_and_an_unchanged_one_is_not(cloud: Cloud) -> None:
    many(cloud)
    assert many(cloud) == []
    later = many(cloud, text=REGISTRY.replace("ben@", "bea@"))
    assert [c[:3] for c in later] == [
        ["secrets", "versions", "add"],
        ["run", "services", "add-iam-policy-binding"],
        ["run", "services", "remove-iam-policy-binding"],
    ]


GROWN = REGISTRY.replace("secret: acme", f"secret: acme\n  client_ids: [{CLIENT}]")
SHRUNK = f"{SHEET}: {{secret: acme, callers: ['@acme.example']}}\n"


def test_a_registrys_datasets_and_client_ids_are_made_ready(cloud: Cloud) -> None:
    many(cloud, text=GROWN)
    assert "bigquery.googleapis.com" in cloud.world["apis"]
    assert cloud.who_may("roles/bigquery.jobUser", "projects my-project") == [f"serviceAccount:{RUNTIME}"]
    assert "ON SCHEMA `my-project.tiktok_ads` TO" in cloud.said[-1]
    assert cloud.service("owox-tiktok")["audiences"] == [CLIENT]


@pytest.mark.parametrize("yes", [False, True])
def test_what_a_registry_names_no_more_is_listed_and_taken_away_after_a_yes(cloud: Cloud, yes: bool) -> None:
    many(cloud, text=GROWN)
    for sheet in (SHEET, OTHER_SHEET):
        scheduled(cloud, "hourly", "--apply", sheet=sheet)
    many(cloud, *(["--yes"] if yes else []), text=SHRUNK)
    said = cloud.said[-1]
    for line in (
        f"spreadsheet {OTHER_SHEET}: taken away",
        f"client id {CLIENT}: taken away",
        f"gcloud scheduler jobs delete owox-tiktok-{OTHER_SHEET} ",
        "gcloud secrets delete owox-tiktok-token-beta-shop ",
        "REVOKE `roles/bigquery.dataEditor` ON SCHEMA `my-project.tiktok_ads` FROM",
    ):
        assert line in said
    world = cloud.world
    assert (f"owox-tiktok-{OTHER_SHEET}" in world["scheduler jobs"]) is not yes
    assert ("owox-tiktok-token-beta-shop" in world["secrets"]) is not yes
    assert {"owox-tiktok-watch", f"owox-tiktok-{SHEET}"} <= world["scheduler jobs"].keys()
    assert {"owox-tiktok-token-acme", "owox-tiktok-registry"} <= world["secrets"].keys()
    assert cloud.who_may("roles/run.invoker", "run services owox-tiktok") == ["domain:acme.example"]
    assert cloud.service("owox-tiktok")["audiences"] == []


# --- owox-tiktok registry ---------------------------------------------------------------------------------------------


WRITER = "writer-1@my-project.iam.gserviceaccount.com"


def registry(cloud: Cloud, *words: str) -> subprocess.CompletedProcess[str]:
    return cloud.run([sys.executable, "-m", "owox_tiktok", "registry", *words], PYTHONPATH=str(ROOT))


def test_a_registry_is_edited_by_commands_and_the_rest_of_it_stays(cloud: Cloud) -> None:
    file = cloud.folder / "registry.yaml"
    many(cloud)
    new = "1" + "n" * 30
    for words in (
        ("add", "registry.yaml", new, "--secret", "gamma", "--caller", "@g.example", "--writer", WRITER),
        ("add", "registry.yaml", SHEET, "--secret", "acme", "--caller", "eve@acme.example", "--replace"),
    ):
        assert registry(cloud, *words).returncode == 0
    assert registry(cloud, "remove", "registry.yaml", OTHER_SHEET).returncode == 0
    assert file.read_text().splitlines() == [
        "# who may do what; secret: not-an-alias",
        f"{new}:",
        '  secret: "gamma"',
        '  callers: ["@g.example"]',
        f'  writer: "{WRITER}"',
        f"{SHEET}:",
        '  secret: "acme"',
        '  callers: ["eve@acme.example"]',
    ]
    shown = registry(cloud, "diff", "registry.yaml", "--project", "my-project").stdout.splitlines()
    assert f"spreadsheet {SHEET}: callers: anna@acme.example, @acme.example → eve@acme.example" in shown
    assert {"secret gamma: new", "secret beta-shop: taken away", "dataset my-project.tiktok_ads: taken away"} <= {
        *shown
    }


def test_every_mistake_of_a_registry_is_named_with_its_line(cloud: Cloud) -> None:
    (cloud.folder / "r.yaml").write_text(
        f"# ours\n{SHEET}:\n  secret: Acme\n  callers: [a@b.de]\n{OTHER_SHEET}: {{secret: b, callers: [o'b@c.de]}}\n"
    )
    ran = registry(cloud, "check", "r.yaml")
    assert ran.returncode == 2
    assert f"r.yaml:2 {SHEET}: secret: 'Acme' is not an alias" in ran.stderr
    assert f'r.yaml:5 {OTHER_SHEET}: callers: "o\'b@c.de" is not an address' in ran.stderr
    assert registry(cloud, "add", "r.yaml", SHEET, "--secret", "a", "--caller", "a@b.de").returncode == 2


def test_one_sheet_can_become_many(deployed: Cloud) -> None:
    many(deployed, "--daily", "06:00", "--zone", "Europe/Berlin")
    assert deployed.service("owox-tiktok-worker")["env"]["OWOX_SCHEDULE"] == "Daily at 06:00 in Europe/Berlin"
    assert list(deployed.world["scheduler jobs"]) == ["owox-tiktok-watch"], "the Sheet's own job would import it twice"
    assert "OWOX_SPREADSHEET_ID" not in deployed.service("owox-tiktok")["env"]
    assert "user:anna@example.com" not in deployed.who_may("roles/run.invoker", "run services owox-tiktok")


def test_the_functions_understand_what_they_are_told(deployed: Cloud) -> None:
    service = pytest.importorskip("owox_tiktok.service.deployment")
    registry = pytest.importorskip("owox_tiktok.service.registry")
    for name, role, seconds in (("owox-tiktok", "sheets", 300), ("owox-tiktok-worker", "worker", 1800)):
        found = service.read(deployed.service(name)["env"] | {"K_SERVICE": name})
        assert (found.role, found.timeout_s, found.account, found.worker_url) == (role, seconds, INVOKER, WORKER)
        place, _ = deployed.service(name)["secrets"]
        assert place == f"{found.secrets}/default/token"
    for text in (REGISTRY, documented_registry()):
        assert set(registry.read_registry(text)) == {SHEET, OTHER_SHEET}


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_every_mistake_is_told_at_once_and_nothing_is_run(cloud: Cloud) -> None:
    ran = cloud.deploy("--project", "My Project", "--region", "europe", "--spreadsheet", "x", "--daily", "25:00",
                       "--caller", "anna", "--client-id", "abc", "--name", "a-worker", "--hourly", TOKEN)  # fmt: skip
    assert ran.returncode == 2
    for option in ("--project", "--region", "--spreadsheet", "--daily, --hourly", "--caller", "--client-id", "--name"):
        assert f"• {option}" in ran.stderr
    assert "an argument: is not an option. Secrets go into the environment" in ran.stderr
    assert TOKEN not in ran.stderr
    assert cloud.log == []


@pytest.mark.parametrize(
    "odd",
    [
        "o'brien@example.com",
        "a|b@example.com",
        'a"b@example.com',
        "a`id`@example.com",
        "a$b@example.com",
        "a\x1bb@e.com",
    ],
)
def test_addresses_with_odd_characters_are_refused_and_give_no_role(cloud: Cloud, odd: str) -> None:
    ran = cloud.deploy(*ONE, "--caller", odd, TIKTOK_ACCESS_TOKEN=TOKEN)
    assert (ran.returncode, "• --caller" in ran.stderr) == (2, True)
    listed = REGISTRY.replace("- ben@beta.example", f"- {json.dumps(odd)}")
    (cloud.folder / "registry.yaml").write_text(listed)
    ran = cloud.deploy(*PLACE, "--registry", "registry.yaml", TIKTOK_ACCESS_TOKEN=TOKEN)
    assert (ran.returncode, "• --registry" in ran.stderr) == (2, True), ran.stderr
    assert cloud.log == []


def test_what_is_said_of_the_mail_server_cannot_break_a_list(cloud: Cloud) -> None:
    ran = cloud.deploy(*ONE, TIKTOK_ACCESS_TOKEN=TOKEN, SMTP_HOST="smtp.example.com|OWOX_ROLE=both")
    assert (ran.returncode, "• SMTP_HOST" in ran.stderr, cloud.log) == (2, True, [])


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("projects describe", "Are you signed in"),
        ("services enable", "could not switch on the APIs"),
        ("service-accounts create", "could not create the service accounts"),
        ("secrets create", "could not store the secret owox-tiktok-token-default"),
        ("queues create", "could not create the queue"),
        ("run deploy owox-tiktok-worker", "could not deploy the worker"),
        ("roles/run.invoker", "could not set who may call"),
        ("storage buckets create", "could not create the bucket"),
        ("scheduler jobs create", "could not have runs looked after"),
        ("policies create", "could not watch over it"),
    ],
)
def test_a_step_that_fails_stops_with_a_sentence_and_the_next_run_goes_on(
    step: str, words: str, cloud: Cloud, first_run: Cloud
) -> None:
    ran = cloud.deploy(*ONE, FAKE_GCLOUD_FAILS=step, TIKTOK_ACCESS_TOKEN=TOKEN)
    assert ran.returncode == 1
    stopped = [line for line in ran.stderr.splitlines() if line.startswith("Stopped: ")]
    assert len(stopped) == 1
    assert words in stopped[0]
    assert "PERMISSION_DENIED" in ran.stderr
    assert step in " ".join(cloud.commands[-1])
    cloud.ready(*ONE)
    assert cloud.world == first_run.world


def test_a_project_that_is_not_there_is_told(cloud: Cloud) -> None:
    ran = cloud.deploy("--project", "no-project", *ONE[2:], TIKTOK_ACCESS_TOKEN=TOKEN)
    assert (ran.returncode, cloud.changes) == (1, [])
    assert "Stopped: there is no project no-project that you may see." in ran.stderr


def test_a_dry_run_runs_nothing_and_what_it_prints_can_be_pasted(cloud: Cloud, first_run: Cloud) -> None:
    ran = cloud.deploy(*ONE, "--dry-run", TIKTOK_ACCESS_TOKEN=TOKEN)
    assert ran.returncode == 0
    assert cloud.log == []
    pasted = cloud.run(["/bin/sh", "-ec", ran.stdout], TIKTOK_ACCESS_TOKEN=TOKEN)
    assert pasted.returncode == 0, pasted.stderr
    worlds = [cloud.world, first_run.world]
    for services in (world["run services"] for world in worlds):
        for service in services.values():  # the fingerprint of a dry run, whose number is a variable, is another one
            service.pop("labels"), service["options"].pop("update-labels")
    assert worlds[0] == worlds[1]


def test_roles_that_are_not_known_everywhere_yet_are_waited_for_the_first_time(cloud: Cloud, first_run: Cloud) -> None:
    (cloud.folder / "fail_times").write_text(json.dumps({"run deploy owox-tiktok-worker": 2}))
    cloud.ready(*ONE)
    assert cloud.world == first_run.world
    assert "again in 40 s" in "".join(cloud.said)


def test_no_secret_is_in_a_command_or_in_an_output(cloud: Cloud) -> None:
    given = {
        "TIKTOK_APP_ID": "7",
        "TIKTOK_APP_SECRET": APP_SECRET,
        "SLACK_WEBHOOK_URL": HOOK,
        "GOOGLE_CHAT_WEBHOOK_URL": "https://chat.googleapis.com/v1/spaces/planted",
        "SMTP_PASSWORD": "planted-password",
    }
    cloud.ready(*ONE, "--dry-run", **given)
    cloud.ready(*ONE, **given)
    cloud.ready(*ONE, "--new-token", **given)
    assert cloud.deploy(*ONE, FAKE_GCLOUD_FAILS="secrets", TIKTOK_ACCESS_TOKEN=TOKEN, **given).returncode == 1
    stored = [version for secret in cloud.world["secrets"].values() for version in secret["versions"]]
    assert len(stored) == 9
    assert all("planted" in version for version in stored)
    assert "planted" not in json.dumps(cloud.commands) + "".join(cloud.said)


WRITERS = "writer-a@my-project.iam.gserviceaccount.com", "writer-b@my-project.iam.gserviceaccount.com"
FOREIGN = "writer-c@other-project.iam.gserviceaccount.com"


def writing(first: str, second: str) -> str:
    return f"""\
{SHEET}: {{secret: acme, callers: ['@acme.example'], writer: {first}}}
{OTHER_SHEET}: {{secret: acme, callers: ['@acme.example'], writer: {second}}}
"""


def test_a_registrys_writers_are_made_lent_and_taken_back(cloud: Cloud) -> None:
    def lent(writer: str) -> list[str]:
        return cloud.who_may("roles/iam.serviceAccountTokenCreator", f"iam service-accounts {writer}")

    many(cloud, text=writing(*WRITERS))
    assert [lent(one) for one in WRITERS] == [[f"serviceAccount:{RUNTIME}"]] * 2
    assert "iamcredentials.googleapis.com" in cloud.world["apis"]
    assert many(cloud, text=writing(*WRITERS)) == []
    many(cloud, text=writing(WRITERS[0], FOREIGN))
    assert [lent(one) for one in WRITERS] == [[f"serviceAccount:{RUNTIME}"], []]
    assert FOREIGN not in cloud.world["iam service-accounts"]
    assert f"gcloud iam service-accounts add-iam-policy-binding {FOREIGN} --role=" in cloud.said[-1]
    many(cloud, text=SHRUNK)
    assert f"gcloud iam service-accounts remove-iam-policy-binding {FOREIGN} --role=" in cloud.said[-1]
    assert lent(WRITERS[0]) == []
    listed = cloud.deploy(*PLACE, "--uninstall", "--dry-run").stdout
    for one in WRITERS:
        assert f"gcloud iam service-accounts delete {one} --project=my-project\n" in listed
    (cloud.folder / "registry.yaml").write_text(writing(RUNTIME, BUILD))
    ran = cloud.deploy(*PLACE, "--registry", "registry.yaml", TIKTOK_ACCESS_TOKEN_ACME=TOKEN)
    assert (ran.returncode, ran.stderr.count("is the service's own")) == (2, 2), ran.stderr


# --- taking it away ---------------------------------------------------------------------------------------------------


def test_uninstalling_lists_asks_and_leaves_nothing_of_its_own(cloud: Cloud) -> None:
    before = cloud.world
    cloud.ready(*ONE, "--dataset", "my-project.tiktok_ads", SLACK_WEBHOOK_URL=HOOK)
    cloud.ready(*ONE, "--name", "owox-tiktok-2")
    away = (*PLACE, "--uninstall")
    there = cloud.world
    ran = cloud.deploy(*away, given="yes\n")
    assert ran.returncode == 1
    assert "Stopped: nothing was deleted." in ran.stderr
    assert cloud.world == there
    listed = ran.stdout.splitlines()
    assert cloud.deploy(*away, "--dry-run").stdout.splitlines() == listed
    assert cloud.world == there
    ran = cloud.deploy(*away, given="owox-tiktok\n")
    assert ran.returncode == 0, ran.stderr
    assert [shlex.join(["gcloud", *c]) for c in changing(cloud.commands[-len(listed) :])] == [
        f"{line} --quiet" for line in listed
    ]
    left = json.dumps(cloud.world)
    assert "owox-tiktok-2" in left
    assert "owox-tiktok-runtime" not in left
    cloud.deploy(*PLACE, "--uninstall", "--yes", "--name", "owox-tiktok-2")
    assert {
        kind: things for kind, things in cloud.world.items() if things and kind not in ("apis", "members")
    } == before
    assert {what: who for what, who in cloud.world["members"].items() if who} == {}
    ran = cloud.deploy(*away)
    assert (ran.returncode, "There is nothing of owox-tiktok" in ran.stderr) == (0, True)


# --- what is uploaded -------------------------------------------------------------------------------------------------


def test_the_upload_is_the_package_and_its_entry_and_nothing_for_development() -> None:
    names = uploaded()
    package = {f.relative_to(ROOT).as_posix() for f in (ROOT / "owox_tiktok").rglob("*") if f.is_file()}
    wanted = {f for f in package if "__pycache__" not in f and not f.startswith("owox_tiktok/local/")}
    entry = {f.relative_to(ROOT).as_posix() for f in (ROOT / "cloud_function").glob("*.py")}
    assert set(names) == wanted | entry | {"requirements.txt"}
    needed = (ROOT / "requirements.txt").read_text("utf-8")
    assert [tool for tool in ("pytest", "mypy", "ruff", "hypothesis", "aiosmtpd") if tool in needed] == []


def test_the_package_works_without_what_is_not_uploaded(tmp_path: Path) -> None:
    upload(tmp_path)
    probe = "import owox_tiktok.cli, owox_tiktok.app, owox_tiktok.sheets.destination as s; print(s.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.startswith(str(tmp_path.resolve()))


def gcloud(folder: Path, *words: str) -> str:
    """Ask the real CLI something that needs no account; its folder of settings is empty, so it has none."""
    ran = subprocess.run(
        [str(shutil.which("gcloud")), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CLOUDSDK_CONFIG": str(folder / "gcloud")},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return ran.stdout


def quoted(word: str) -> str:
    """A word for a shell, with the name of an option outside of the quotation marks, as the linter wants it."""
    name, equals, value = word.partition("=")
    return f"{name}={shlex.quote(value)}" if equals and word.startswith("--") else shlex.quote(word)


real_gcloud = pytest.mark.skipif(not shutil.which("gcloud"), reason="the Google Cloud CLI is not installed")


@real_gcloud
def test_the_real_cli_uploads_the_same_files(tmp_path: Path) -> None:
    said = gcloud(tmp_path, "meta", "list-files-for-upload", str(ROOT))
    assert sorted(said.splitlines()) == sorted(uploaded())


@real_gcloud
def test_the_real_cli_takes_every_command(cloud: Cloud) -> None:
    cloud.ready(*ONE, "--client-id", CLIENT, "--dataset", "my-project.tiktok_ads", SLACK_WEBHOOK_URL=HOOK)
    cloud.ready(*ONE[:8], "--forget-client-id", CLIENT, "--new-token", "--hourly", "--imports-at-once", "3")
    many(cloud)
    cloud.deploy(*PLACE, "--uninstall", "--yes")
    scheduled(cloud, "daily", "--apply")
    # One of each shape: the CLI takes its time.
    commands = cloud.commands + documented("gcloud")
    shapes = {tuple(word.split("=")[0] for word in command): command for command in commands}
    lines = [" ".join(["gcloud", *map(quoted, command)]) for command in shapes.values()]
    file = cloud.folder / "commands.json"
    file.write_text(json.dumps([{"command_string": line} for line in lines]))
    checked = json.loads(gcloud(cloud.folder, "meta", "lint-gcloud-commands", f"--commands-file={file}"))
    assert len(checked) == len(lines) > 30
    assert [(c["command_string"], c["error_message"]) for c in checked if not c["success"]] == []


# --- the documents ----------------------------------------------------------------------------------------------------


def documented(program: str) -> list[list[str]]:
    """Every command of ``program`` that the documents show for a shell, as its words, also in a list.

    Not those of the reference of commands, whose examples are called ID and FOLDER.
    """
    found = []
    for document in sorted({*(ROOT / "docs").glob("*.md")} - {ROOT / "docs" / "commands.md"}):
        for block in re.findall(r"```sh\n(.*?)```", document.read_text("utf-8"), re.S):
            for line in map(str.strip, block.replace("\\\n", " ").splitlines()):
                if line.startswith(f"{program} "):
                    found.append(shlex.split(line)[len(program.split()) :])
    return found


def test_the_documents_deploy(cloud: Cloud) -> None:
    (cloud.folder / "registry.yaml").write_text(documented_registry())
    commands = [*documented("cloud_function/deploy.sh"), *documented("owox-tiktok deploy")]
    assert len(commands) >= 9
    for words in commands:
        given = {"TIKTOK_ACCESS_TOKEN": TOKEN, "TIKTOK_ACCESS_TOKEN_ACME": TOKEN, "TIKTOK_APP_ID": "7"}
        ran = cloud.deploy(*words, given="owox-tiktok\n", TIKTOK_APP_SECRET=APP_SECRET, **given)
        assert ran.returncode == 0, (words, ran.stderr)


def documented_registry() -> str:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "security.md").read_text("utf-8"), re.S)
    return str(text)


def test_the_documents_schedule(deployed: Cloud) -> None:
    commands = documented("owox-tiktok schedule")
    assert len(commands) >= 4
    for words in commands:
        ran = deployed.run([sys.executable, "-m", "owox_tiktok", "schedule", *words])
        assert ran.returncode == 0, (words, ran.stderr)
        assert ("import tiktok.yaml" if "--cron" in words else SHEET) in ran.stdout


# --- owox-tiktok schedule ---------------------------------------------------------------------------------------------


def scheduled(cloud: Cloud, *words: str, sheet: str = SHEET) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "owox_tiktok", "schedule", *words]
    return cloud.run([*command, *PLACE, "--spreadsheet", sheet])


def test_schedule_makes_the_same_job_as_the_deployment(cloud: Cloud) -> None:
    made = cloud.ready(*ONE)
    (job,) = (c for c in made if c[0] == "scheduler" and f"owox-tiktok-{SHEET}" in c)
    before = len(cloud.log)
    ran = scheduled(cloud, "daily", "--at", "06:05", "--zone", "Europe/Berlin", "--apply")
    assert (ran.returncode, ran.stdout) == (0, "An import starts every day at 06:05 Europe/Berlin.\n")
    (again,) = changing(cloud.commands[before:])
    as_made = [word.replace("--update-headers", "--headers") for word in again]
    as_made[2] = "create"
    assert sorted(as_made) == sorted(job)
    assert cloud.ready(*ONE) == []


def test_schedule_prints_commands_that_a_shell_can_run(cloud: Cloud) -> None:
    cloud.ready(*ONE[:8])
    shown = scheduled(cloud, "hourly")
    assert shown.returncode == 0
    assert list(cloud.world["scheduler jobs"]) == ["owox-tiktok-watch"]
    assert cloud.run(["/bin/sh", "-ec", shown.stdout]).returncode == 0
    assert cloud.world["scheduler jobs"][f"owox-tiktok-{SHEET}"]["uri"] == f"{WORKER}/"
    assert cloud.world["scheduler jobs"][f"owox-tiktok-{SHEET}"]["schedule"] == "7 * * * *"


def test_schedule_off_ends_it_and_says_when_there_was_none(deployed: Cloud) -> None:
    assert scheduled(deployed, "off").stdout.startswith(f"gcloud scheduler jobs delete owox-tiktok-{SHEET} ")
    assert scheduled(deployed, "off", "--apply").stdout == "Imports no longer start automatically.\n"
    assert list(deployed.world["scheduler jobs"]) == ["owox-tiktok-watch"], "runs are still looked after"
    assert scheduled(deployed, "off", "--apply").stdout == "There was no schedule.\n"


def test_schedule_says_when_nothing_was_deployed_or_gcloud_says_no(cloud: Cloud) -> None:
    ran = scheduled(cloud, "daily", "--apply")
    assert ran.returncode == 1
    assert "owox-tiktok-worker is not deployed in europe-west1. Run cloud_function/deploy.sh first" in ran.stderr
    command = [sys.executable, "-m", "owox_tiktok", "schedule", "off", "--apply", *PLACE, "--spreadsheet", SHEET]
    ran = cloud.run(command, FAKE_GCLOUD_FAILS="scheduler")
    assert ran.returncode == 1
    assert "gcloud said: ERROR: (gcloud) PERMISSION_DENIED" in ran.stderr
    (cloud.folder / "bin" / "gcloud").unlink()
    ran = cloud.run(command, PATH=str(cloud.folder / "bin"))
    assert (ran.returncode, "gcloud is not installed here" in ran.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "mistake"),
    [
        (("hourly", "--at", "03:00"), "--at: has no meaning when imports are hourly"),
        (("daily", "--zone", "Europe/Berlim"), "--zone: 'Europe/Berlim' is not a time zone"),
        (("daily", "--zone", "../etc/passwd"), "is not a time zone"),
        (("daily", "--region", "europe"), "--region: 'europe' is not a region"),
        (("daily", "--cron", "t.yaml", "--apply"), "--apply: does not go with --cron"),
        (("daily", "--at", "9"), "'9' is not a time; write one such as 13:30"),
    ],
)
def test_schedule_names_what_cannot_be(words: tuple[str, ...], mistake: str, cloud: Cloud) -> None:
    command = [sys.executable, "-m", "owox_tiktok", "schedule", *PLACE, "--spreadsheet", SHEET, *words]
    ran = cloud.run(command)
    assert ran.returncode == 2
    assert mistake in ran.stderr
    assert cloud.log == []


def test_the_line_for_cron_imports(cloud: Cloud, tiktok: Server) -> None:
    project = Project(cloud.folder / "my folder 100%", tiktok)
    project.folder.mkdir()
    file = project.write(objects=["campaigns"])
    (project.folder / "token.env").write_text("".join(f"{k}={v}\n" for k, v in project.environment.items()))
    ran = cloud.run([sys.executable, "-m", "owox_tiktok", "schedule", "daily", "--at", "06:15", "--cron", str(file)])
    assert ran.returncode == 0
    times, does = ran.stdout.strip()[:10], ran.stdout.strip()[10:]
    assert times == "15 6 * * *"
    assert "100%" not in does
    # What cron does with the rest: \\% becomes %, and a shell runs it.
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(["/bin/sh", "-c", does.replace("\\%", "%")], env=environment, check=False, timeout=60)
    assert "Done in" in (project.folder / "import.log").read_text("utf-8")
    assert project.wrong("campaigns") == []


def test_the_task_for_windows_names_program_folder_and_file() -> None:

    config, program = PureWindowsPath(r"C:\My Ads\tiktok.yaml"), PureWindowsPath(r"C:\x\owox-tiktok.exe")
    line = line_for_computer("daily", time(6, 15), program, config, windows=True)
    assert line.startswith('schtasks /Create /F /TN "owox-tiktok tiktok" /SC DAILY /ST 06:15 /TR "cmd /c ')
    assert r"cd /d \"C:\My Ads\" && \"C:\x\owox-tiktok.exe\" import \"tiktok.yaml\"" in line
    assert "/SC HOURLY /ST 00:07" in line_for_computer("hourly", time(6, 15), program, config, windows=True)
    assert end_on_computer(config, windows=True) == 'schtasks /Delete /F /TN "owox-tiktok tiktok"'
