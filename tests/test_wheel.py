"""What ``pip install owox-tiktok`` gives: the wheel, in an environment with nothing but what it asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import openpyxl
import pytest

from tests.helpers import process_environment

ROOT = Path(__file__).resolve().parent.parent


def copied() -> list[tuple[str, str]]:
    """What the Dockerfile copies from the repository, and where to."""
    lines = re.findall(r"^COPY ([^-].*)$", (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8"), re.M)
    return [(source, target) for *sources, target in map(str.split, lines) for source in sources]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from nothing but what the image copies; offline, with the tools at hand."""
    tree, made = tmp_path_factory.mktemp("tree") / "project", tmp_path_factory.mktemp("dist")
    tree.mkdir()
    for source, target in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tree / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / source, tree / target)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(made), str(tree)], check=True, capture_output=True, text=True)
    (found,) = made.glob("*.whl")
    return found


def needed(of: Distribution, known: dict[str, Distribution]) -> None:
    """Add what a distribution asks for without any extra, and what that asks for."""
    for line in of.requires or ():
        name, _, marker = line.partition(";")
        if "extra" in marker or re.search(r"(sys_platform|platform_system) *== *.(win32|Windows)", marker):
            continue
        key = re.split(r"[\s<>=!~\[(]", name.strip())[0]
        try:
            found = distribution(key)
        except PackageNotFoundError:
            continue  # for another Python or platform
        if key not in known:
            known[key] = found
            needed(found, known)


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in a plain environment: the wheel, and links to the packages it declares and no others.

    pip would fetch just these. No index is asked, so that the test needs no network.
    """
    folder = tmp_path_factory.mktemp("plain") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index",
         str(wheel)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (site,) = (folder / "lib").glob("python*/site-packages")
    known: dict[str, Distribution] = {}
    (metadata,) = site.glob("owox_tiktok-*.dist-info")
    needed(Distribution.at(metadata), known)
    for found in known.values():
        for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))))
    return folder / "bin" / "owox-tiktok"


def run(program: Path, *words: str, folder: Path, code: int = 0, **environment: str) -> str:
    """Run the program and return all it said."""
    done = subprocess.run(
        [str(program), *words], cwd=folder, env=process_environment(environment), capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_the_first_commands_work_without_any_extra(program: Path, tmp_path: Path) -> None:
    assert "version" in run(program, "--version", folder=tmp_path)
    assert "status" in run(program, "--help", folder=tmp_path)
    run(program, "init", folder=tmp_path)
    run(program, "objects", "ad_report_daily", folder=tmp_path)
    assert "never read" in run(program, "status", folder=tmp_path, code=3, TIKTOK_ACCESS_TOKEN="x")
    assert "restated" in run(program, "demo", folder=tmp_path)
    assert (tmp_path / "demo" / "tiktok_ads.duckdb").is_file()


@pytest.mark.parametrize(
    ("address", "extra"),
    [("bigquery://a/b", "bigquery"), ("sheets://1aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcdefg", "sheets")],
)
def test_a_missing_extra_is_one_sentence_with_the_line_to_type(
    address: str, extra: str, program: Path, tmp_path: Path
) -> None:
    run(program, "init", folder=tmp_path)
    with (tmp_path / "tiktok.yaml").open("a") as file:
        file.write(f"\ndestination: {address}\n")
    said = run(program, "status", folder=tmp_path, code=2, TIKTOK_ACCESS_TOKEN="x")
    assert f"pip install 'owox-tiktok[{extra}]'" in said
    said = run(program, "sheet", "init", "1aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcdefg", folder=tmp_path, code=2)
    assert "pip install 'owox-tiktok[sheets]'" in said


def test_templates_script_and_deployment_come_with_it(program: Path, tmp_path: Path) -> None:
    run(program, "sheet", "template", "tiktok.xlsx", folder=tmp_path)
    assert "Config" in openpyxl.load_workbook(tmp_path / "tiktok.xlsx", read_only=True).sheetnames
    run(program, "sheet", "template", "tiktok.xlsx", folder=tmp_path, code=2)
    run(program, "sheet", "script", "script", folder=tmp_path)
    assert (tmp_path / "script" / "Code.gs").read_bytes() == (ROOT / "templates/apps_script/Code.gs").read_bytes()
    assert "--project P" in run(program, "deploy", "--help", folder=tmp_path)
    run(program, "deploy", "--write", "service", folder=tmp_path)
    service = tmp_path / "service"
    ours = {p.relative_to(ROOT) for name in ("owox_tiktok", "cloud_function") for p in (ROOT / name).rglob("*.py")}
    deployed = {p for p in ours if p.parts[1] != "local"}
    assert {p.relative_to(service) for p in service.rglob("*.py")} == deployed
    assert (service / "requirements.txt").read_text() == (ROOT / "requirements.txt").read_text()
    assert (service / ".gcloudignore").is_file()


def test_the_wheel_holds_the_package_and_what_is_shipped_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if ".dist-info/" not in n]
    assert [n for n in names if not n.startswith("owox_tiktok/")] == []
    assert [n for n in names if "__pycache__" in n or n.endswith((".duckdb", ".env"))] == []
    shipped = {n.removeprefix("owox_tiktok/_shipped/") for n in names if n.startswith("owox_tiktok/_shipped/")}
    wanted = {str(p.relative_to(ROOT)) for n in ("templates", "cloud_function") for p in (ROOT / n).rglob("*.*")}
    wanted = {n for n in wanted if "__pycache__" not in n} | {"requirements.txt", ".gcloudignore"}
    assert shipped == wanted


def test_requirements_of_the_wheel_are_those_of_the_project(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    asked = set(re.findall(r"^Requires-Dist: ([^;\n]+)$", metadata, re.M))
    assert {re.split(r"[<>=]", line)[0] for line in asked} == {
        re.split(r"[<>=]", d)[0] for d in project["dependencies"]
    }
    assert "duckdb" in {re.split(r"[<>=]", line)[0] for line in asked}


def test_the_image_gets_what_it_copies_and_no_secrets_and_runs_without_rights() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    assert {source for source, _ in copied()} == allowed
    lines = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "USER 10001" in lines
    assert lines.index("USER 10001") > max(n for n, line in enumerate(lines) if line.startswith("RUN"))
    assert 'ENTRYPOINT ["owox-tiktok"]' in lines, "a shell in between would keep SIGTERM to itself"
