"""Another loader's configuration as ours: Airbyte, OWOX, dlt and Dagster, ingestr and Singer, by one table of names.

A file becomes plain mappings, lists and texts; every key in it is looked up in ``names``, wherever it stands. What has
no equivalent becomes a comment of the result. A secret is never copied, nor any value whose meaning is not known.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import yaml

from owox_tiktok.config_file import FILE_SETTINGS, MOST_NESTED, parsed, read_settings, shown
from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.model import Level, Stream
from owox_tiktok.names import instead, resolve, squeezed, synonym
from owox_tiktok.streams import AUDIENCE_BREAKDOWNS, BASIC_BREAKDOWNS, ID_OF, PRESETS, STREAMS, expand, find

Plain = str | None | list[Any] | dict[str, Any]
"""What a file holds: texts as they stand (an id keeps its digits), nothing, lists, and mappings by text."""

_NAMES = tuple(s.name for s in FILE_SETTINGS)
_SECRETS: Mapping[str, str] = {
    "access_token": "TIKTOK_ACCESS_TOKEN", "app_secret": "TIKTOK_APP_SECRET", "app_id": "TIKTOK_APP_ID",
}  # fmt: skip
"""Settings that are written as a reference to the environment, with the variable. Airbyte keeps app_id secret, too."""

_ROOMS = frozenset((
    "attributes", "authtype", "catalog", "config", "configuration", "configurations", "configuredcatalog",
    "connectionconfiguration", "connections", "connector", "credentials", "items", "oauth2", "parameters", "source",
    "sources", "synccatalog", "tiktokads",
))  # fmt: skip
"""Keys that only hold others, squeezed."""
_SILENT = frozenset((
    "assetname", "assettags", "connectionid", "description", "groupname", "id", "kinds", "label", "name", "owners",
    "parameter", "sourcedefinitionid", "sourceid", "sourcename", "status", "type", "value", "version", "workspaceid",
))  # fmt: skip
"""Keys that say nothing about what is read."""
_REPORTS = frozenset(("report", "reports", "integratedreport", "insights", "performance"))
_LEVELS: Mapping[str, Level] = {
    "AUCTION_ADVERTISER": "advertiser", "AUCTION_CAMPAIGN": "campaign", "AUCTION_ADGROUP": "ad_group",
    "AUCTION_AD": "ad",
}  # fmt: skip
_BEGINNING = ("advertisers", "campaigns", "ad_groups", "ads", "ad_report_daily")


@dataclass(frozen=True, slots=True)
class Translation:
    """Our configuration as ``text``, its ``objects``, and what had no equivalent: ``left_out``, a sentence each."""

    text: str
    objects: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass
class _Report:
    """A report as TikTok's API asks for it."""

    kind: str = "BASIC"
    level: str = ""
    dimensions: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    lifetime: bool = False
    asked: bool = False


@dataclass
class _Found:
    """What was understood so far: values by setting, names of objects with their fields, and what was not."""

    values: dict[str, Plain] = field(default_factory=dict)
    objects: dict[str, list[str]] = field(default_factory=dict)
    report: _Report = field(default_factory=_Report)
    left_out: dict[str, None] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    node: str = ""
    fields: list[str] = field(default_factory=list)

    def leave(self, what: str, why: str) -> None:
        self.left_out[f"{shown(what)}: {why}"] = None


def translate(files: Sequence[tuple[str, str]], *, now: datetime) -> Translation:
    """Return the configuration that ``files`` (name and text each) mean here; raises BadInput in their words.

    The first may be a connector's configuration and the others its catalogue, in any order. The result has passed our
    own reader at ``now``.
    """
    found = _Found()
    for name, text in files:
        tree = _plain(name, text)
        if _deep(tree):
            raise BadInput([Mistake(name, "is nested too deep", "Name a configuration.")])
        before = (dict(found.values), dict(found.objects), set(found.secrets), found.report.asked)
        _walk(tree, found)
        if before == (found.values, found.objects, found.secrets, found.report.asked) and not found.node:
            what = "holds no setting and no object of a TikTok loader that is known here"
            raise BadInput([Mistake(name, what, "Name a configuration of Airbyte, OWOX, dlt, Dagster or ingestr.")])
    source = " and ".join(shown(name) for name, _ in files)
    chosen = _chosen(found)
    text = "\n".join(_lines(found, chosen, source, now)) + "\n"
    _prove(text, found, files[0][0], now)
    return Translation(text, tuple(chosen), tuple(found.left_out))


def _prove(text: str, found: _Found, source: str, now: datetime) -> None:
    """Read the result as an import would; its mistakes are those of the ``source``, whose values they are."""
    if any(secret in text for secret in found.secrets if len(secret) > 7):
        what = "holds a secret where a name or an id belongs"
        raise BadInput([Mistake(source, what, "Correct it, and revoke the secret if the file was ever shared.")])
    try:
        read_settings(text, "tiktok.yaml", now=now, environment=_Anything())
    except BadInput as error:
        raise BadInput(
            Mistake(re.sub(r"^tiktok\.yaml(:\d+)?", lambda _: source, m.where), m.what, m.what_to_do)
            for m in error.mistakes
        ) from None


class _Anything(dict[str, str]):
    """An environment in which every variable is set."""

    def get(self, key: str, default: Any = None) -> Any:
        return "0"


# --- a file as plain values -------------------------------------------------------------------------------------------


def _plain(name: str, text: str) -> Plain:
    """Return what a file holds: JSON, YAML, a Sheet's export as CSV, ``key=value`` lines, or ingestr's address."""
    start = text.lstrip("\ufeff \t\r\n")
    if not start:
        raise BadInput([Mistake(name, "is empty", "Name another loader's configuration.")])
    if start.startswith("tiktok://"):
        return dict(parse_qsl(urlsplit(start.split()[0]).query))
    if start[0] in "{[":
        try:
            return _texts(json.loads(text.lstrip("\ufeff"), parse_int=str, parse_float=str))
        except json.JSONDecodeError as error:
            if name.lower().endswith(".json"):
                at = f"{name}:{error.lineno}"
                raise BadInput([Mistake(at, f"cannot be read as JSON: {error.msg.lower()}", "Fix it.")]) from None
        except RecursionError:
            raise BadInput([Mistake(name, "is nested too deep", "Name a configuration.")]) from None
    if name.lower().endswith(".csv") or re.match(r'"?[\w* ]+"?[,;\t]', start.splitlines()[0]):
        return _of_rows(start)
    lines = [line for line in start.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all(re.match(r"\s*(export\s+)?\w+\s*=", line) for line in lines):
        pairs = (line.strip().removeprefix("export ").partition("=") for line in lines)
        return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
    return _of_node(parsed(text, name))


def _deep(tree: Plain, left: int = MOST_NESTED) -> bool:
    inside = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return not left or any(_deep(one, left - 1) for one in inside)


def _texts(value: Any) -> Plain:
    if isinstance(value, dict):
        return {str(k): _texts(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_texts(v) for v in value]
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _of_node(node: yaml.Node | None) -> Plain:
    if isinstance(node, yaml.MappingNode):
        return {str(k.value) if isinstance(k, yaml.ScalarNode) else "?": _of_node(v) for k, v in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_of_node(n) for n in node.value]
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return None
    return str(node.value)


def _of_rows(text: str) -> Plain:
    """Return the first two columns of a Sheet's Config tab as it is exported: a parameter and its value each."""
    dialect = next((mark for mark in ",;\t" if mark in text.splitlines()[0]), ",")
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=dialect))
    except csv.Error as error:
        raise BadInput([Mistake("the CSV file", f"cannot be read ({error})", "Export the tab Config again.")]) from None
    return {row[0].strip(" *"): row[1].strip() for row in rows if len(row) > 1 and row[0].strip() and row[1].strip()}


# --- what its keys mean -----------------------------------------------------------------------------------------------


def _walk(tree: Plain, found: _Found) -> None:
    if isinstance(tree, list):
        for one in tree:
            _walk(one, found)
    for key, value in tree.items() if isinstance(tree, dict) else ():
        _take(key, value, found)


def _take(key: str, value: Plain, found: _Found) -> None:
    plain = squeezed(key)
    if isinstance(value, dict) and "value" in value and plain not in _ROOMS:
        value = value["value"]  # OWOX keeps a parameter's value beside what it says about it
    setting = resolve("setting", key, _NAMES)
    if value is None or value == "":
        return
    if isinstance(value, dict | list) and plain == "streams":
        for stream in value if isinstance(value, list) else [{"name": k, **_mapping(v)} for k, v in value.items()]:
            _stream(stream, found)
    elif plain == "authtype" and isinstance(value, str):
        if "sandbox" in value:
            found.values["sandbox_mode"] = "true"
    elif plain in _ROOMS:
        _walk(value, found)
    elif plain in ("sourcetable", "table") and isinstance(value, str):
        _object(value, found)
    elif plain == "node" and isinstance(value, str):
        found.node = value
    elif plain == "fields":
        _fields(value, found)
    elif plain in ("reporttype", "datalevel", "dimensions", "metrics", "querylifetime"):
        _report(plain, value, found.report)
    elif setting is not None and setting in _SECRETS:
        found.values[setting] = f"${{{_SECRETS[setting]}}}"
        if isinstance(value, str) and setting != "app_id" and not value.startswith("${"):
            found.secrets.add(value)
    elif setting == "objects":
        for name in _listed(value):
            _object(name, found)
    elif setting == "destination":
        if not (isinstance(value, str) and re.match(r"(duckdb|bigquery|sheets)://", value)):
            found.leave(key, "rows go to a DuckDB file here; write bigquery://PROJECT/DATASET as destination instead.")
        else:
            found.values[setting] = value
    elif setting:
        if setting in found.values and found.values[setting] != value:
            found.leave(key, f"{setting} appears twice; the first was taken.")
        found.values.setdefault(setting, value)
    elif plain not in _SILENT:
        known = synonym("setting", key)
        found.leave(key, known.note if known and known.note else "it has no equivalent here.")


def _listed(value: Plain) -> list[str]:
    """Return the entries of a list, or of a text with commas between them; of mappings their names."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            value = _of_node(parsed(value, "the list"))
            return _listed(value)
        # Commas also stand within ingestr's custom:…:… tables.
        return [value.strip()] if value.startswith("custom:") else [v for v in re.split(r"[,;\s]+", value) if v]
    entries: list[str] = []
    for one in value or ():
        entries += [str(one.get("name") or "")] if isinstance(one, dict) else _listed(one)
    return [entry for entry in entries if entry]


def _mapping(value: Plain) -> dict[str, Any]:
    """Return a mapping as it is, and an empty one for everything else."""
    return value if isinstance(value, dict) else {}


def _stream(stream: Plain, found: _Found) -> None:
    """Take a stream of Airbyte's catalogue, as its API, its exports or its configured catalogues write it."""
    if isinstance(stream, str):
        return _object(stream, found)
    outer = _mapping(stream)
    config = _mapping(outer.get("config"))
    if config.get("selected") == "false":
        return None
    inner = _mapping(outer.get("stream")) or outer
    chosen = outer.get("selectedFields") or config.get("selectedFields")
    paths = [_listed(_mapping(p).get("fieldPath")) for p in chosen] if isinstance(chosen, list) else []
    names = [path[-1] for path in paths if path]
    schema = _mapping(inner.get("json_schema") or inner.get("jsonSchema"))
    if not names:
        names = list(_mapping(_mapping(_mapping(schema.get("properties")).get("metrics")).get("properties")))
    if inner.get("name"):
        _object(str(inner["name"]), found, [n for n in names if n not in ("metrics", "dimensions")])
    return None


def _object(name: str, found: _Found, fields: Iterable[str] = ()) -> None:
    if name.startswith("custom:"):
        dimensions, _, rest = name.removeprefix("custom:").partition(":")
        metrics, _, filters = rest.partition(":")
        if filters:
            found.leave("filters", "whole ad accounts are imported; filter when you query.")
        _make(_Report("", "", _listed(dimensions), _listed(metrics)), found)
    elif squeezed(name) in _REPORTS:
        found.report.asked = True
    elif stream := find(name):
        found.objects.setdefault(stream.name, []).extend(fields)
    else:
        found.leave(name, instead("object", name, STREAMS) or "there is no such object.")


def _fields(value: Plain, found: _Found) -> None:
    """Take OWOX's fields: "ad_insights spend, ad_insights clicks", a list beside a node, or lists per object."""
    if isinstance(value, dict):
        for name, names in value.items():
            _object(name, found, _listed(names))
    elif isinstance(value, str) and " " in value.strip():
        for pair in re.split(r"[,;\n]+", value):
            name, _, one = pair.strip().partition(" ")
            if name:
                _object(name, found, [one.strip()] if one.strip() else [])
    else:
        found.fields += _listed(value)


def _report(plain: str, value: Plain, report: _Report) -> None:
    if plain == "reporttype":
        report.kind = str(value).upper()
    elif plain == "datalevel":
        report.level = str(value).upper()
    elif plain == "querylifetime":
        report.lifetime = value == "true"
    else:
        getattr(report, plain).extend(_listed(value))
    report.asked = report.asked or plain in ("dimensions", "metrics")


# --- objects and their fields -----------------------------------------------------------------------------------------


def _chosen(found: _Found) -> dict[str, list[str]]:
    """Return our objects, in our order, with the fields that were chosen of each (none: the usual ones)."""
    if found.node:
        _object(found.node, found, found.fields)
    if found.report.asked:
        _make(found.report, found)
    level = _LEVELS.get(found.report.level)
    if level and level != "ad" and not found.report.asked:  # OWOX: the level of its ad_insights
        for name in ("ad_report_daily", "ad_report_daily_by_country"):
            if name in found.objects:
                found.objects[name.replace("ad_", f"{level}_", 1)] = found.objects.pop(name)
    if found.values.get("sandbox_mode") == "true":
        for name in [n for n in found.objects if not STREAMS[n].in_sandbox]:
            del found.objects[name]
            found.leave(name, "TikTok's sandbox does not have it.")
    if not found.objects:
        found.leave("objects", "none is named; these are a starting point; `owox-tiktok objects` lists all.")
        found.objects = {name: [] for name in _BEGINNING}
    return {name: _names(STREAMS[name], found) for name in STREAMS if name in found.objects}


def _names(stream: Stream, found: _Found) -> list[str]:
    chosen: dict[str, None] = {}
    for word in found.objects[stream.name]:
        fields = expand(stream, word)
        if fields is None:
            known = (*stream.fields, *(PRESETS if stream.is_report else ()))
            found.leave(f"{stream.name}.{word}", instead("field", word, known) or "there is no such field.")
        for name in fields or ():
            if name not in stream.keys:
                chosen[name] = None
    return list(chosen)


def _make(report: _Report, found: _Found) -> None:
    """Take a report that is described by its dimensions, as TikTok's API is asked for it."""
    known = {d for s in STREAMS.values() for d in s.dimensions}
    asked = [resolve("field", d, known) or d for d in report.dimensions]
    by_id = [level for level in _LEVELS.values() if ID_OF[level] in asked]
    level = by_id[-1] if by_id else _LEVELS.get(report.level or "AUCTION_CAMPAIGN")
    kind: Literal["BASIC", "AUDIENCE"] = "AUDIENCE" if report.kind == "AUDIENCE" else "BASIC"
    splits = {d for d in asked if d not in ID_OF.values()}
    if not report.dimensions:
        splits = set() if report.lifetime else {"stat_time_day"}
        splits |= set(AUDIENCE_BREAKDOWNS["age_gender"].dimensions) if kind == "AUDIENCE" else set()
    of_audiences = {d for b in AUDIENCE_BREAKDOWNS.values() for d in b.dimensions}
    of_plain = {d for b in BASIC_BREAKDOWNS.values() for d in b.dimensions}
    if not report.kind and splits & (of_audiences - of_plain):
        kind = "AUDIENCE"
    for stream in STREAMS.values():
        if stream.period:
            continue  # nobody else has them
        if (level, kind) == (stream.level, stream.report_type) and set(stream.dimensions) - {*ID_OF.values()} == splits:
            found.objects.setdefault(stream.name, []).extend(report.metrics)
            return
    words = ", ".join(shown(d) for d in report.dimensions) or "its dimensions"
    found.leave("report", f"a {shown(report.kind or kind)} report by {words} has no equivalent here.")


# --- the result -------------------------------------------------------------------------------------------------------


def _lines(found: _Found, chosen: Mapping[str, list[str]], source: str, now: datetime) -> Iterator[str]:
    values = found.values
    if "advertiser_ids" not in values:
        values["advertiser_ids"] = "all"
        found.leave("advertiser_ids", "the file names none, so every account of the authorisation is read.")
    if "start_date" not in values:
        values["start_date"] = (now.date() - timedelta(days=30)).isoformat()
        found.leave("start_date", "the file names none; the last 30 days are a starting point.")
    needs_app = values["advertiser_ids"] == "all" or any(STREAMS[name].per_app for name in chosen)
    yield f"# TikTok Ads import, written by `owox-tiktok init` from {source}."
    yield "# Secrets are not copied into this file: it names environment variables instead. Set them before a run:"
    used = {name: _SECRETS[name] for name in _SECRETS if name == "access_token" or needs_app}
    yield f"#   export {' '.join(f'{variable}=…' for variable in used.values())}"
    if found.left_out:
        yield "#\n# What has no equivalent, or was decided here:"
        yield from (f"# - {sentence}" for sentence in found.left_out)
    yield ""
    for setting in FILE_SETTINGS:
        name = setting.name
        if name in used:
            yield f"{name}: ${{{used[name]}}}"
        elif name == "objects":
            yield "objects:"
            yield from (f"  - {one}" for one in chosen)
        elif name == "fields" and any(chosen.values()):
            yield "fields:"
            yield from (f"  {one}: [{', '.join(names)}]" for one, names in chosen.items() if names)
        elif name in values and name not in _SECRETS and name != "fields":
            yield f"{name}: {_scalar(name, values[name])}"


def _scalar(name: str, value: Plain) -> str:
    """Return a value as YAML that means the same text; a moment of a day becomes the day."""
    if name == "advertiser_ids" and value != "all":
        return json.dumps(_listed(value))
    text = value if isinstance(value, str) else json.dumps(value)
    if name in ("start_date", "end_date") and (day := re.match(r"(\d{4}-\d\d-\d\d)[T ]", text)):
        text = day[1]
    return text if re.fullmatch(r"[a-z]+|\d{1,9}|\d{4}-\d\d-\d\d", text) else json.dumps(text)
