"""Who may do what: each spreadsheet with its secret, the datasets it may fill and the people who may ask for it.

    1AbCdEf…:                                  # the spreadsheet's id
      secret: acme                             # alias of the TikTok token
      callers: [anna@example.com, "@example.com", schedule@project.iam.gserviceaccount.com]
      datasets: [my-project.tiktok_ads]        # BigQuery; left out: none
      requests_per_second: 20                  # what TikTok permits that app; left out: 10
      writer: writer-1@my-project.iam.gserviceaccount.com   # whom the Sheet is shared with; left out: the service
      schedule: Hourly                         # or Daily at 06:00 in Europe/Berlin, Weekdays at …; left out: none
      client_ids: [1-a.apps.googleusercontent.com]   # of its script; left out: any that OWOX_AUDIENCES names

``@example.com`` means everybody whose account that Workspace domain manages. A spreadsheet can name no secret, project
or dataset outside its entry. Who may edit a Sheet may edit its script, and that sees the token of everybody who uses
its menu: ``client_ids`` keep such a token from counting for another Sheet.

A secret is the file ``<OWOX_SECRETS>/<alias>/token``, or the variable ``OWOX_SECRET_<ALIAS>``: an access token, or
lines ``TIKTOK_ACCESS_TOKEN=…``, ``TIKTOK_APP_ID=…``, ``TIKTOK_APP_SECRET=…``. For the alias ``default`` variables of
these three names do as well. It is read again for every run, so that a rotated one counts at once.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import yaml

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.secret import Secret
from owox_tiktok.service.deployment import Deployment, words
from owox_tiktok.service.due import OFF, WORDS
from owox_tiktok.service.messages import Refusal

if TYPE_CHECKING:
    from owox_tiktok.service.identity import Caller

KEPT_S = 60.0
"""How long a registry is used before it is read again."""
TOKEN, APP_ID, APP_SECRET = "TIKTOK_ACCESS_TOKEN", "TIKTOK_APP_ID", "TIKTOK_APP_SECRET"
RATE = "TIKTOK_REQUESTS_PER_SECOND"

Alias = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}\Z")]
Known = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+\Z")]
"""No letters of a shell, of YAML or of gcloud's lists, so that none becomes another on its way into a role."""
Dataset = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]{1,1024}\Z")]
SpreadsheetId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{20,100}\Z")]
ClientId = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+-[a-z0-9]+\.apps\.googleusercontent\.com\Z")]
Schedule = Annotated[str, msgspec.Meta(pattern=rf"^({WORDS}(?: in [A-Za-z_+-]+(/[A-Za-z0-9_+-]+)*)?)?\Z")]
Writer = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com)?\Z")]
Rate = Annotated[float, msgspec.Meta(ge=0.01, le=1000)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one spreadsheet may do."""

    secret: Alias
    callers: list[Known]
    datasets: list[Dataset] = []
    requests_per_second: Rate | None = None
    client_ids: list[ClientId] = []
    schedule: Schedule = ""
    writer: Writer = ""

    def admits(self, caller: Caller) -> bool:
        """Whether ``caller`` is named, or belongs to a domain that is: by Google's word, not by the address.

        Asking by the script of another Sheet does not count where this one's is named.
        """
        if self.client_ids and caller.audience not in self.client_ids:
            return False
        return caller.is_among({known.lower() for known in self.callers})


class Registry:
    """The entries by spreadsheet. Raises BadInput for a registry that cannot be read, with what to fix."""

    def __init__(
        self, deployment: Deployment, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._deployment, self._environment, self._clock = deployment, environment, clock
        self._lock = threading.Lock()
        self._entries: Mapping[str, Entry] = {}
        self._read_at = -KEPT_S

    def entry(self, spreadsheet_id: str, caller: Caller) -> Entry:
        """Return the entry; a Refusal of 403 that is the same for an unknown spreadsheet and for an unknown caller.

        The account of tasks and schedules may import into every spreadsheet that is registered.
        """
        found = self._known().get(spreadsheet_id)
        if found is None or not (found.admits(caller) or caller.email == self._deployment.account):
            raise forbidden(caller)
        return found

    def entries(self) -> Mapping[str, Entry]:
        """Return all entries, by spreadsheet."""
        return self._known()

    def secrets(self, entry: Entry) -> dict[str, Secret]:
        """Return token, app id and app secret of the entry by their variables' names; a Refusal of 500 without any."""
        found = self._read_secret(entry.secret)
        if not found.get(TOKEN):
            what = f"the service has no TikTok token called {entry.secret}"
            if self._deployment.connect_url:
                raise Refusal(500, what, what_to_do="Choose OWOX › Connect TikTok… in the Sheet.", remedy="connect")
            place = f"{self._deployment.secrets}/{entry.secret}/token"
            raise Refusal(500, what, what_to_do=f"Whoever deployed it can mount one at {place}.")
        return found

    def app(self, entry: Entry) -> tuple[str, Secret]:
        """Return id and secret of the entry's TikTok app: its own, else the deployment's; empty where there is none."""
        found = self._read_secret(entry.secret)
        if found.get(APP_ID) and found.get(APP_SECRET):
            return found[APP_ID].reveal(), found[APP_SECRET]
        return self._environment.get(APP_ID, "").strip(), Secret(self._environment.get(APP_SECRET, "").strip())

    def _known(self) -> Mapping[str, Entry]:
        with self._lock:
            if self._clock() - self._read_at >= KEPT_S:
                self._entries = self._read()
                self._read_at = self._clock()
            return self._entries

    def _read(self) -> Mapping[str, Entry]:
        given = self._environment.get("OWOX_REGISTRY", "").strip()
        if given.startswith("/"):
            try:
                given = Path(given).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(
                    [Mistake("OWOX_REGISTRY", f"cannot be read ({type(error).__name__})", "Mount the registry there.")]
                ) from None
        if given:
            return self._scheduled(read_registry(given))
        only = self._environment.get("OWOX_SPREADSHEET_ID", "").strip()
        if not only:
            raise BadInput([Mistake("OWOX_REGISTRY", "is missing", "Set it, or OWOX_SPREADSHEET_ID and OWOX_CALLERS.")])
        callers = list(words(self._environment.get("OWOX_CALLERS", "")))
        datasets = list(words(self._environment.get("OWOX_DATASETS", "")))
        return _typed({only: {"secret": "default", "callers": callers, "datasets": datasets}}, "OWOX_SPREADSHEET_ID")

    def _scheduled(self, entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Return entries with the deployment's schedule where they say none of their own."""
        said = self._environment.get("OWOX_SCHEDULE", "").strip()
        if said in ("", OFF):
            return entries
        try:
            msgspec.convert(said, Schedule)
        except msgspec.ValidationError:
            advice = "Write Hourly, or Daily at 06:00 in Europe/Berlin."
            raise BadInput([Mistake("OWOX_SCHEDULE", f"{said[:40]!r} is not a schedule", advice)]) from None
        return {book: e if e.schedule else msgspec.structs.replace(e, schedule=said) for book, e in entries.items()}

    def _read_secret(self, alias: str) -> dict[str, Secret]:
        variables = (TOKEN, APP_ID, APP_SECRET)
        try:
            text = Path(self._deployment.secrets, alias, "token").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = self._environment.get(f"OWOX_SECRET_{alias.upper().replace('-', '_')}", "")
        if not text.strip() and alias == "default":
            return {name: Secret(self._environment[name]) for name in variables if self._environment.get(name)}
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        named = dict(line.split("=", 1) for line in lines if re.match(r"TIKTOK_[A-Z_]+=", line))
        if named:
            return {name: Secret(named[name].strip()) for name in variables if named.get(name)}
        return {TOKEN: Secret(lines[0])} if len(lines) == 1 else {}


def forbidden(caller: Caller) -> Refusal:
    """Return that somebody may not do something, in the same words whatever the reason is."""
    return Refusal(
        403,
        f"{caller.email} may not do this for this spreadsheet",
        what_to_do="Whoever deployed the service can allow it in its registry.",
    )


def operators_only(caller: Caller) -> Refusal:
    """Return that somebody is no operator."""
    what_to_do = "Whoever deployed the service can name operators: deploy.sh --operator."
    return Refusal(403, f"{caller.email} is not an operator of this service", what_to_do=what_to_do)


def read_registry(text: str, where: str = "OWOX_REGISTRY") -> Mapping[str, Entry]:
    """Return the entries of a registry's YAML; raises BadInput with every mistake of one that is not as it should be.

    ``where`` is what the mistakes call it: a file's name, say.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        raise BadInput([Mistake(place, "cannot be read as YAML", "Correct it.")]) from None
    except (RecursionError, ValueError):  # too deep; a day that there is not
        raise BadInput([Mistake(where, "cannot be read as YAML", "Correct it.")]) from None
    lines: dict[str, int] = {}
    if isinstance(root, yaml.MappingNode):
        keys = [str(key.value) for key, _ in root.value]
        lines = {str(key.value): key.start_mark.line + 1 for key, _ in root.value}
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise BadInput([Mistake(f"{where} {name}", "appears twice", "Keep one.") for name in twice])
    return _typed(content, where, lines)


def _typed(content: object, where: str, lines: Mapping[str, int] | None = None) -> Mapping[str, Entry]:
    """Return the entries; ``lines`` are those of the file on which they begin."""
    advice = "Correct it as the documentation shows."
    if not isinstance(content, dict):
        raise BadInput([Mistake(where, "lists no spreadsheet", advice)])
    entries: dict[str, Entry] = {}
    mistakes = []
    for name, given in content.items():
        try:
            entries[msgspec.convert(name, SpreadsheetId)] = msgspec.convert(given, Entry)
        except msgspec.ValidationError as error:
            line = f":{lines[str(name)]}" if lines and str(name) in lines else ""
            mistakes.append(Mistake(f"{where}{line} {str(name)[:44]}", _in_words(str(error), given), advice))
    if mistakes:
        raise BadInput(mistakes)
    return entries


_SHAPES = {
    "secret": "an alias: small letters, digits and hyphens",
    "callers": "an address or @domain of letters, digits and . _ % + -",
    "datasets": "a dataset, such as my-project.tiktok_ads",
    "writer": "the address of a service account",
    "client_ids": "a client id, which ends in .apps.googleusercontent.com",
    "requests_per_second": "a number from 0.01 to 1000",
}


def _in_words(error: str, given: object) -> str:
    """Return what msgspec says of an entry, for people."""
    found = re.search(r"`\$\.(\w+)(?:\[(\d+)\])?`", error)
    if found is None:
        return f"{error[0].lower()}{error[1:]}" if error.startswith("Object") else "is no entry"
    name, at = found[1], found[2]
    value = given.get(name) if isinstance(given, dict) else None
    if at is not None and isinstance(value, list):
        value = value[int(at)]
    return f"{name}: {str(value)[:60]!r} is not {_SHAPES.get(name, 'right')}"
