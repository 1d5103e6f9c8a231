"""Commands about the registry: the file that says which Sheets a deployed service serves, and for whom."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import console, end, guarded
from owox_tiktok.cli.interruption import How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import examples
from owox_tiktok.errors import BadInput, Mistake, Problem
from owox_tiktok.events import counted

if TYPE_CHECKING:
    from rich import table as rich_table

    from owox_tiktok.service import registry as entries_of
    from owox_tiktok.service import registry_file
    from owox_tiktok.terminal import Screen
else:
    rich_table = lazily("rich.table")
    entries_of = lazily("owox_tiktok.service.registry")
    registry_file = lazily("owox_tiktok.service.registry_file")

FILE = click.argument("file", type=click.Path(path_type=Path), metavar="REGISTRY.yaml")
BOOK = click.argument("book", metavar="SPREADSHEET_ID")
NOTHING_WRITTEN = "interrupted. The file is as it was."


@click.group()
def registry() -> None:
    """Check and edit the registry of a service with many Sheets.

    It is a YAML file that deploy.sh --registry keeps in Secret Manager. These commands read it as the service does.
    """


@registry.command("check", epilog=examples("registry check registry.yaml"))
@FILE
def check(file: Path) -> None:
    """Say whether the service would take it.

    Every mistake is named with its line.
    """

    def work(screen: Screen) -> int:
        known = read(file)
        parts = [counted(len(registry_file.names(known, kind)), kind) for kind in registry_file.KINDS]
        click.echo(f"{file} is sound: {', '.join(parts)}.")
        return 0

    guarded(work, interrupted=NOTHING_WRITTEN)


@registry.command("list", epilog=examples("registry list registry.yaml"))
@FILE
@click.option("--plain", is_flag=True, help="Lines of kind, tab and name, for scripts; this is what deploy.sh reads.")
def list_(file: Path, plain: bool) -> None:
    """List the Sheets with their secret, callers and datasets."""

    def work(screen: Screen) -> int:
        known = read(file)
        if plain:
            click.echo(registry_file.plain(known), nl=False)
            return 0
        table = rich_table.Table(box=None, pad_edge=False)
        for heading in ("spreadsheet", "secret", "callers", "datasets", "client ids"):
            table.add_column(heading, overflow="fold")
        for book, entry in known.items():
            lists = (entry.callers, entry.datasets, entry.client_ids)
            table.add_row(book, entry.secret, *(", ".join(one) for one in lists))
        console().print(table)
        return 0

    guarded(work, interrupted=NOTHING_WRITTEN)


@registry.command(
    "add",
    epilog=examples("registry add registry.yaml 1aBcDeFgHiJkLmNoPqRsTuVwXyZ --secret acme --caller anna@acme.example"),
)
@FILE
@BOOK
@click.option("--secret", required=True, metavar="ALIAS", help="Alias of its TikTok token.")
@click.option("--caller", "callers", multiple=True, required=True, metavar="WHO", help="An address or @domain.")
@click.option("--dataset", "datasets", multiple=True, metavar="P.D", help="A BigQuery dataset it may fill.")
@click.option("--client-id", "client_ids", multiple=True, metavar="ID", help="The OAuth client id of its script.")
@click.option("--writer", default="", metavar="ACCOUNT", help="The service account that writes the Sheet.")
@click.option("--requests-per-second", type=float, metavar="N", help="What TikTok permits the token's app [10].")
@click.option("--replace", is_flag=True, help="Replace an entry that is there already.")
def add(
    file: Path,
    book: str,
    secret: str,
    callers: tuple[str, ...],
    datasets: tuple[str, ...],
    client_ids: tuple[str, ...],
    writer: str,
    requests_per_second: float | None,
    replace: bool,
) -> None:
    """Add a Sheet, or replace its entry.

    The rest of the file stays as it is, with its comments.
    """

    def work(screen: Screen) -> int:
        text = _text(file) if file.exists() else ""
        entry = entries_of.Entry(
            secret=secret,
            callers=list(callers),
            datasets=list(datasets),
            client_ids=list(client_ids),
            writer=writer,
            requests_per_second=requests_per_second,
        )
        _write(file, registry_file.with_entry(text, book, entry, str(file), replace=replace))
        click.echo(f"{book} is in {file}. Run deploy.sh --registry {file} for it to count.")
        return 0

    guarded(work, how=How.BY_EXCEPTION, interrupted=NOTHING_WRITTEN)


@registry.command("remove", epilog=examples("registry remove registry.yaml 1aBcDeFgHiJkLmNoPqRsTuVwXyZ"))
@FILE
@BOOK
def remove(file: Path, book: str) -> None:
    """Remove a Sheet.

    The next deploy.sh --registry takes away what only that Sheet needed, after it has listed it.
    """

    def work(screen: Screen) -> int:
        _write(file, registry_file.without_entry(_text(file), book, str(file)))
        click.echo(f"{book} is not in {file} any more. Run deploy.sh --registry {file} for that to count.")
        return 0

    guarded(work, how=How.BY_EXCEPTION, interrupted=NOTHING_WRITTEN)


@registry.command(
    "diff",
    epilog=examples(
        "registry diff registry.yaml --project my-project   against what is deployed",
        "registry diff registry.yaml old.yaml               against another file",
    ),
)
@FILE
@click.argument("old", type=click.Path(path_type=Path), metavar="[OLD.yaml]", required=False)
@click.option("--project", envvar="GOOGLE_CLOUD_PROJECT", default="", help="Google Cloud [GOOGLE_CLOUD_PROJECT].")
@click.option("--name", default="owox-tiktok", show_default=True, help="The name given to deploy.sh.")
def diff(file: Path, old: Path | None, project: str, name: str) -> None:
    """Show what another registry changes.

    Sheets, secrets, callers, datasets and client ids that come and go.
    """

    def work(screen: Screen) -> int:
        after = read(file)
        if old:
            before = read(old)
        else:
            text = _deployed(project, name)
            before = entries_of.read_registry(text, f"{name}-registry") if text.strip() else {}
        found = registry_file.changes(before, after)
        for one in found:
            click.echo(f"{one.kind} {one.name}: {one.what}")
        if not found:
            click.echo("Nothing changes.")
        return 0

    guarded(work, interrupted=NOTHING_WRITTEN)


def _deployed(project: str, name: str) -> str:
    """Return the registry that a deployment has; raises Problem."""
    if not project:
        raise BadInput([Mistake("--project", "is missing", "Name it, or another file to compare with.")])
    if not shutil.which("gcloud"):
        end("gcloud is not installed here. Install the Google Cloud CLI, or name another file to compare with.")
    ran = subprocess.run(
        ["gcloud", "secrets", "versions", "access", "latest", f"--secret={name}-registry", f"--project={project}"],  # noqa: S607 -- as the system has it
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        said = ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else ""
        advice = "Was it deployed with --registry, and may you read its secrets?"
        raise Problem(f"the deployed registry cannot be read. gcloud said: {said}", what_to_do=advice)
    return ran.stdout


def read(file: Path) -> Mapping[str, entries_of.Entry]:
    """Return the entries of a registry's file; raises BadInput with every mistake."""
    return entries_of.read_registry(_text(file), str(file))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read ({type(error).__name__})"
        raise BadInput([Mistake(str(file), what, "Name a YAML file in UTF-8.")]) from None


def _write(file: Path, text: str) -> None:
    """Replace a file by one that is whole."""
    made = file.with_name(f".{file.name}.new")
    try:
        made.write_text(text, encoding="utf-8")
        if file.exists():
            made.chmod(file.stat().st_mode)
        made.replace(file)
    except OSError as error:
        made.unlink(missing_ok=True)
        raise Problem(f"{file} cannot be written ({error.strerror})", what_to_do="Choose another folder.") from None
