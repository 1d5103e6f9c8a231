"""What an import may be told: SETTINGS, one entry each, and the YAML file that says it.

A file becomes the same frozen ``Settings`` as any other source would make of it; every mistake is found in one reading
and carries its address (``tiktok.yaml:7 objects``) and what to do. Nothing here opens a destination or calls TikTok.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.model import Stream
from owox_tiktok.secret import Secret
from owox_tiktok.streams import LEVELS, MAX_METRICS, PRESETS, STREAMS, default_fields, expand, find, metrics, nearest


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one import needs to know; days and lookbacks are whole days of each advertiser's calendar.

    ``advertiser_ids`` is empty when all that the authorisation covers are meant. ``fields`` holds the chosen field
    names per stream name, keys not included.
    """

    access_token: Secret
    advertiser_ids: tuple[str, ...]
    start_date: date
    objects: tuple[Stream, ...]
    fields: Mapping[str, tuple[str, ...]]
    end_date: date | None = None
    reimport_lookback_window: int = 7
    clean_up_to_keep_window: int | None = None
    include_deleted: bool = True
    sandbox_mode: bool = False
    requests_per_second: float = 10.0
    destination: str = "duckdb:///tiktok_ads.duckdb"
    app_id: str = ""
    app_secret: Secret = field(default_factory=lambda: Secret(""))
    source: str = "settings"


class _Wrong(Exception):
    """One value that cannot be: what is wrong, and what to do."""

    def __init__(self, what: str, what_to_do: str) -> None:
        self.what, self.what_to_do = what, what_to_do


@dataclass(frozen=True, slots=True)
class Value:
    """What somebody wrote, and where: a text as it stands, a list of Values, Values by name, or None for nothing.

    ``number`` says that YAML would read the text as a number. ``variable`` says that it came (``whole``: altogether)
    from an environment variable, so that it may be a secret and is never shown.
    """

    content: str | list[Value] | dict[str, Value] | None = field(repr=False)
    where: str
    number: bool = False
    variable: Literal["", "part", "whole"] = ""

    @property
    def text(self) -> str:
        """The text without the spaces around it; raises _Wrong for a list or names."""
        if isinstance(self.content, list | dict):
            raise _Wrong("should be a single value", "Write one value, without brackets or lines below it.")
        return (self.content or "").strip()

    @property
    def shown(self) -> str:
        """The text for a message: short, and not at all when it may be a secret."""
        return "the value of its variable" if self.variable else repr(self.text[:40])

    @property
    def items(self) -> list[Value]:
        """The entries of a list; a single text may hold several, divided by commas or spaces."""
        if isinstance(self.content, dict):
            raise _Wrong("should be a list", "Write [one, two].")
        if isinstance(self.content, list):
            return self.content
        return [replace(self, content=part) for part in re.split(r"[,;\s]+", self.text) if part]

    @property
    def absent(self) -> bool:
        """Whether nothing was written."""
        return self.content is None or self.content == ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter: its name, how its value is read, an example and what it is for."""

    name: str
    parse: Callable[[Value], Any]
    example: str
    description: str
    required: bool = False


# --- one reader per kind of value -------------------------------------------------------------------------------------


def _secret(value: Value, name: str, variable: str) -> Secret:
    if value.variable != "whole":
        raise _Wrong(
            "a secret is written into the file",
            f"Write {name}: ${{{variable}}} and nothing else, and revoke this one if the file was ever shared.",
        )
    if not value.text:
        raise _Wrong("is empty", f"Set the environment variable: export {variable}=…")
    if re.search(r"\s|[^\x21-\x7e]", value.text):
        raise _Wrong("holds a space or a character that no secret of TikTok's has", "Copy it again, alone.")
    return Secret(value.text)


def _token(value: Value) -> Secret:
    return _secret(value, "access_token", "TIKTOK_ACCESS_TOKEN")


def _app_secret(value: Value) -> Secret:
    return _secret(value, "app_secret", "TIKTOK_APP_SECRET")


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _text(value: Value) -> str:
    return value.text


def _ids(value: Value) -> tuple[str, ...]:
    if not isinstance(value.content, list | dict) and value.text.lower() == "all":
        return ()
    ids: dict[str, None] = {}
    for item in value.items:
        if item.number:
            raise _Wrong(
                f"{item.shown} is a number to YAML, and long numbers lose their last digits on the way",
                f'Put every id in quotes: ["{item.text}"].',
            )
        for part in item.items:
            if not _digits(part.text):
                raise _Wrong(f"{part.shown} is not an advertiser id", "An id has digits only; see TikTok Ads Manager.")
            ids[part.text] = None
    if not ids:
        raise _Wrong("is empty", 'Name at least one, such as ["7012345678901234567"], or write all.')
    return tuple(ids)


def _day(value: Value) -> date:
    try:
        return datetime.fromisoformat(value.text).date()
    except ValueError:
        raise _Wrong(f"{value.shown} is not a day", "Write year-month-day, such as 2026-01-31.") from None


def _days(value: Value, most: int = 3650) -> int:
    text = value.text
    if not _digits(text) or str(int(text[:9])) != text:
        raise _Wrong(f"{value.shown} is not a number of days", f"Write a whole number from 0 to {most}.")
    if int(text) > most:
        raise _Wrong(f"{text} days is out of range", f"Write a number from 0 to {most}.")
    return int(text)


def _lookback(value: Value) -> int:
    return _days(value, 90)


def _keep(value: Value) -> int:
    days = _days(value)
    if days == 0:
        raise _Wrong("0 days would keep nothing", "Write how many days to keep, or leave the line out to keep all.")
    return days


def _switch(value: Value) -> bool:
    word = value.text.lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise _Wrong(f"{value.shown} is neither true nor false", "Write true or false.")


def _rate(value: Value) -> float:
    try:
        rate = float(value.text)
    except ValueError:
        rate = -1.0
    if not 0.01 <= rate <= 1000:
        raise _Wrong(
            f"{value.shown} is not a rate of requests per second",
            "Write what TikTok permits your app: 10 (Basic), 20, 30 or 50.",
        )
    return rate


def _url(value: Value) -> str:
    if not re.match(r"[a-z]+:///?\S", value.text):
        raise _Wrong(f"{value.shown} is not a destination", "Write one such as duckdb:///tiktok_ads.duckdb.")
    return value.text


def _raw(value: Value) -> Value:
    return value


SETTINGS: tuple[Setting, ...] = (
    Setting("access_token", _token, "${TIKTOK_ACCESS_TOKEN}", "TikTok's access token, from the environment", True),
    Setting("advertiser_ids", _ids, '["7012345678901234567"]',
            "Ad accounts to read, or all (needs app_id and app_secret)", True),
    Setting("start_date", _day, "2026-01-01", "First day to import, in each ad account's time zone", True),
    Setting("objects", _raw, "[advertisers, campaigns, ad_groups, ads, ad_report_daily]",
            "What to import; `owox-tiktok objects` lists everything", True),
    Setting("end_date", _day, "2026-01-31", "Last day to import; left out: up to today"),
    Setting("fields", _raw, "{ad_report_daily: [spend, impressions, clicks]}",
            "Chosen fields or presets per object; left out: a useful preset"),
    Setting("reimport_lookback_window", _lookback, "7", "Days read again in every run, for late conversions"),
    Setting("clean_up_to_keep_window", _keep, "400", "Days of reports to keep; left out: everything"),
    Setting("include_deleted", _switch, "true", "Also read deleted campaigns, ad groups and ads"),
    Setting("sandbox_mode", _switch, "false", "Read TikTok's sandbox instead of production"),
    Setting("requests_per_second", _rate, "10", "What TikTok permits your app (Basic: 10)"),
    Setting("destination", _url, "duckdb:///tiktok_ads.duckdb", "Where the rows go"),
    Setting("app_id", _text, "${TIKTOK_APP_ID}", "The developer app; only for advertiser_ids: all"),
    Setting("app_secret", _app_secret, "${TIKTOK_APP_SECRET}", "The app's secret; only for advertiser_ids: all"),
)  # fmt: skip


# --- from values to Settings ------------------------------------------------------------------------------------------


def build(
    values: Mapping[str, Value],
    *,
    where: Callable[[str], str],
    now: datetime,
    source: str,
    known: Iterable[Mistake] = (),
) -> Settings:
    """Return the Settings that ``values`` (by setting name) say; raises BadInput with every mistake.

    ``where(name)`` is the address of a setting that is missing; ``known`` are mistakes the reader of the source found
    already. ``now`` decides which days lie in the future (a day ahead is allowed: some advertiser is there already).
    """
    mistakes = list(known)
    broken = {m.where for m in mistakes}
    parsed: dict[str, Any] = {}
    for setting in SETTINGS:
        value = values.get(setting.name)
        if value is None or value.absent:
            if setting.required and not any(setting.name in place.split() for place in broken):
                mistakes.append(Mistake(where(setting.name), "is missing", f"Add {setting.name}: {setting.example}"))
            continue
        if value.where in broken:
            continue
        try:
            parsed[setting.name] = setting.parse(value)
        except _Wrong as wrong:
            mistakes.append(Mistake(value.where, wrong.what, wrong.what_to_do))

    streams, fields = _objects(values, bool(parsed.get("sandbox_mode")), mistakes)
    _dates(parsed, now, mistakes, values)
    needs_app = parsed.get("advertiser_ids") == () or any(s.per_app for s in streams)
    if needs_app:
        reason = "advertiser_ids: all" if parsed.get("advertiser_ids") == () else "advertiser_ids among the objects"
        for name in ("app_id", "app_secret"):
            if name not in parsed and not any(name in m.where.split() for m in mistakes):
                example = next(s.example for s in SETTINGS if s.name == name)
                mistakes.append(Mistake(where(name), f"is missing, and {reason} needs it", f"Add {name}: {example}"))
        if parsed.get("sandbox_mode") and parsed.get("advertiser_ids") == ():
            at = values["advertiser_ids"].where
            mistakes.append(Mistake(at, "the sandbox cannot list ad accounts", "Write the sandbox advertiser's id."))
    if mistakes:
        raise BadInput(sorted(mistakes, key=lambda m: _line(m.where)))
    parsed.pop("objects", None)
    parsed.pop("fields", None)
    return Settings(**parsed, objects=tuple(streams), fields=fields, source=source)


def _line(where: str) -> tuple[int, str]:
    found = re.search(r":(\d+)", where)
    return (int(found[1]) if found else 10**6, where)


def _dates(parsed: Mapping[str, Any], now: datetime, mistakes: list[Mistake], values: Mapping[str, Value]) -> None:
    latest = date.fromordinal(now.date().toordinal() + 1)
    start, end = parsed.get("start_date"), parsed.get("end_date")
    if start and start > latest:
        mistakes.append(Mistake(values["start_date"].where, f"{start} is in the future", "Write a day that has begun."))
    if start and start.year < 2016:
        mistakes.append(
            Mistake(values["start_date"].where, f"{start} is before TikTok Ads existed", "Write 2016-09-01 or later.")
        )
    if end and end > latest:
        mistakes.append(
            Mistake(values["end_date"].where, f"{end} is in the future", "Leave end_date out to import up to today.")
        )
    if start and end and end < start:
        mistakes.append(
            Mistake(values["end_date"].where, f"{end} is before start_date {start}", "Exchange the two days.")
        )


def _objects(
    values: Mapping[str, Value], sandbox: bool, mistakes: list[Mistake]
) -> tuple[list[Stream], dict[str, tuple[str, ...]]]:
    """Read ``objects`` and ``fields`` together, since what a field may be depends on its object."""
    streams: list[Stream] = []
    given = values.get("objects")
    for item in _items(given, mistakes):
        stream = find(item.text)
        if stream is None:
            mistakes.append(_unknown(item, "object", STREAMS, "`owox-tiktok objects` lists"))
        elif sandbox and not stream.in_sandbox:
            mistakes.append(
                Mistake(item.where, f"TikTok's sandbox does not have {stream.name}", "Remove it or use production.")
            )
        elif stream not in streams:
            streams.append(stream)
    if given is not None and given.content == []:
        mistakes.append(Mistake(given.where, "is empty", "Name at least one object, such as ad_report_daily."))
    order = list(STREAMS)
    streams.sort(key=lambda s: order.index(s.name))

    chosen: dict[str, tuple[str, ...]] = {}
    tables = values.get("fields")
    if tables is not None and not tables.absent and not isinstance(tables.content, dict):
        mistakes.append(
            Mistake(tables.where, "should say per object which fields", "Write fields: {ad_report_daily: [spend]}.")
        )
    for key, names in tables.content.items() if tables is not None and isinstance(tables.content, dict) else ():
        found = find(key)
        if found is None:
            known = [s.name for s in streams] or STREAMS
            mistakes.append(_unknown(Value(key, names.where), "object", known, "`objects` should list"))
        elif found not in streams:
            what = f"chooses fields of {found.name}, which is not imported"
            mistakes.append(Mistake(names.where, what, "Add it to objects."))
        elif found.name in chosen:
            mistakes.append(Mistake(names.where, f"chooses fields of {found.name} twice", "Keep one of the two."))
        else:
            chosen[found.name] = _fields(found, names, mistakes)
    for stream in streams:
        if not chosen.get(stream.name):
            chosen[stream.name] = default_fields(stream)
    # Keys are always there, whether or not they were chosen.
    return streams, {s.name: tuple(n for n in chosen[s.name] if n not in s.keys) for s in streams}


def _items(value: Value | None, mistakes: list[Mistake]) -> list[Value]:
    """Return the single values of a list; anything else in it is a mistake."""
    if value is None or value.absent:
        return []
    found = []
    try:
        for item in value.items:
            if item.text:
                found.append(item)
    except _Wrong as wrong:
        mistakes.append(Mistake(value.where, wrong.what, wrong.what_to_do))
    return found


def _fields(stream: Stream, names: Value, mistakes: list[Mistake]) -> tuple[str, ...]:
    chosen: dict[str, None] = {}
    for item in _items(names, mistakes):
        more = expand(stream, item.text)
        if more is None and item.text in metrics() and stream.is_report:
            mistakes.append(Mistake(item.where, f"{stream.name} cannot have {item.text}", _given_where(item.text)))
        elif more is None:
            known = [*stream.fields, *(PRESETS if stream.is_report else ())]
            mistakes.append(_unknown(item, f"field of {stream.name}", known, f"`objects {stream.name}` lists"))
        else:
            chosen.update(dict.fromkeys(more))
    asked = [n for n in chosen if stream.fields[n].origin == "metric"]
    if stream.is_report and len(asked) > MAX_METRICS:
        what = f"{len(asked)} metrics, but TikTok gives {MAX_METRICS} per report"
        mistakes.append(Mistake(names.where, what, "Choose fewer fields."))
    return tuple(chosen)


def _given_where(metric: str) -> str:
    known = metrics()[metric]
    levels = ", ".join(level.replace("_", " ") for level in LEVELS if level in known.levels)
    kinds = "daily reports" if known.granularities else "reports"
    splits = [w for w, given in (("audience", "AUDIENCE" in known.reports), ("country", known.by_country)) if not given]
    limits = f", not split by {' or '.join(splits)}" if splits else ""
    return f"TikTok gives it in {kinds} of these levels: {levels}{limits}."


def _unknown(value: Value, what: str, known: Iterable[str], source: str) -> Mistake:
    near = None if value.variable else nearest(value.text, known)
    advice = f"Did you mean {near}?" if near else f"{source} what there is."
    return Mistake(value.where, f"there is no {what} called {value.shown}", advice)


# --- the YAML file ----------------------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read_file(path: Path, *, now: datetime, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the Settings of a YAML file with ``${VARIABLE}`` references; raises BadInput with every mistake.

    Relative destinations are relative to the folder the program was started in, as on any command line.
    """
    env = os.environ if environment is None else environment
    name = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            [Mistake(str(path), f"cannot be read ({error.strerror})", "`owox-tiktok init` writes an example.")]
        ) from None
    except UnicodeDecodeError:
        raise BadInput([Mistake(str(path), "is not a UTF-8 text", "Save the file as UTF-8.")]) from None
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                at = f"{name}:{token.start_mark.line + 1}"
                raise BadInput([Mistake(at, "& and * refer to other lines, which is not read here", "Write it out.")])
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise BadInput([Mistake(name, "is nested too deep", "`owox-tiktok init` writes an example.")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise BadInput([Mistake(f"{name}{line}", f"cannot be read as YAML: {problem}", "Mend that line.")]) from None
    mistakes: list[Mistake] = []
    if not isinstance(root, yaml.MappingNode):
        raise BadInput([Mistake(name, "holds no settings", "`owox-tiktok init` writes an example.")])
    values: dict[str, Value] = {}
    known = [s.name for s in SETTINGS]
    for key_node, node in root.value:
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
        at = f"{name}:{key_node.start_mark.line + 1} {key}"
        if key not in known:
            mistakes.append(_unknown(Value(key, at), "setting", known, "docs/GETTING_STARTED.md lists"))
        elif key in values:
            mistakes.append(Mistake(at, "is there twice", "Keep one of the two lines."))
        else:
            values[key] = _value(node, at, env, mistakes)
    return build(values, where=lambda setting: f"{name} {setting}", now=now, source=name, known=mistakes)


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def _value(node: yaml.Node, where: str, env: Mapping[str, str], mistakes: list[Mistake]) -> Value:
    """Turn a YAML node into a Value. Texts are taken as they stand: what they mean is decided by who reads them."""
    if isinstance(node, yaml.SequenceNode):
        return Value([_value(n, where, env, mistakes) for n in node.value], where)
    if isinstance(node, yaml.MappingNode):
        inside: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in inside:
                mistakes.append(Mistake(f"{where}.{key}", "is there twice", "Keep one of the two."))
            inside[key] = _value(value_node, f"{where}.{key}", env, mistakes)
        return Value(inside, where)
    text = str(node.value)
    variables = _VARIABLE.findall(text)
    if variables:
        unset = [v for v in variables if not env.get(v)]
        if unset:
            what = f"the environment variable {' and '.join(unset)} is not set"
            mistakes.append(Mistake(where, what, f"Set it before the run: export {unset[0]}=…"))
        whole = _VARIABLE.fullmatch(text.strip()) is not None
        filled = _VARIABLE.sub(lambda m: env.get(m[1], ""), text)
        return Value(filled, where, variable="whole" if whole else "part")
    if node.tag == "tag:yaml.org,2002:null":
        return Value(None, where)
    return Value(text, where, number=node.tag in _NUMBERS)


def example() -> str:
    """Return a commented example file, made from SETTINGS."""
    lines = ["# TikTok Ads import. Every line with a leading # shows an optional setting with an example."]
    for setting in SETTINGS:
        lines += ["", f"# {setting.description}"]
        lines.append(f"{'' if setting.required else '# '}{setting.name}: {setting.example}")
    return "\n".join(lines) + "\n"
