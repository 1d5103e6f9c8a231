"""What an import can be configured with: SETTINGS, one entry each, whoever says it: a YAML file or a Sheet.

Either becomes the same frozen ``Settings``; every mistake is found in one reading and carries its address
(``tiktok.yaml:7 objects``, ``Config!B4``) and what to do. Nothing here opens a destination or calls TikTok.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any, Literal

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.model import Stream
from owox_tiktok.names import What, instead, resolve
from owox_tiktok.secret import Secret, unfit_to_show
from owox_tiktok.streams import LEVELS, PRESETS, STREAMS, default_fields, expand, find, metrics
from owox_tiktok.streams.custom import CannotBe, Wish, custom_report


@dataclass(frozen=True, slots=True)
class Wording:
    """How one source calls settings: the address of one that is missing, its name, and how one is added."""

    where: Callable[[Setting], str]
    say: Callable[[Setting], str]
    add: Callable[[Setting], str]


NAMES = Wording(lambda s: s.name, lambda s: s.name, lambda s: f"Add {s.name}: {s.example}")
"""For settings that come from nowhere in particular."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one import needs to know; days and lookbacks are whole days of each advertiser's calendar.

    ``advertiser_ids`` is empty when all that the authorisation covers are meant. ``fields`` holds the chosen field
    names per stream name, keys not included. ``max_run_timeout`` is in minutes; None: as long as it takes.
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
    max_run_timeout: int | None = None
    destination: str = field(default="duckdb:///tiktok_ads.duckdb", repr=False)  # it may have a password
    personal_data: str = "keep"
    history: tuple[str, ...] = ()
    views: bool = False
    technical_names: bool = False
    notify_when: str = "never"
    notify_by_email: tuple[str, ...] = ()
    notify_by_google_chat: bool = False
    notify_by_slack: bool = False
    check_every_run: bool = False
    app_id: str = ""
    app_secret: Secret = field(default_factory=lambda: Secret(""))
    source: str = "settings"
    wording: Wording = field(default_factory=lambda: NAMES, compare=False)


Form = Literal["text", "ids", "day", "number", "switch", "choice"]
"""What a Sheet's cell takes: ids are text even where they look like numbers."""


class _Wrong(Exception):
    """One value that cannot be: what is wrong, and what to do."""

    def __init__(self, what: str, what_to_do: str) -> None:
        self.what, self.what_to_do = what, what_to_do


@dataclass(frozen=True, slots=True)
class Value:
    """What somebody wrote, and where: a text as it stands, a list of Values, Values by name, or None for nothing.

    ``number`` is not empty where the text was kept as a number, so that a long one has lost its last digits; it says
    what to do about that. ``variable`` says that it came (``whole``: altogether) from an environment variable, so that
    it may be a secret and is never shown.
    """

    content: str | list[Value] | dict[str, Value] | None = field(repr=False)
    where: str
    number: str = ""
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
        if unfit_to_show(self.text):
            return "what looks like a token or secret"
        return "the value of its variable" if self.variable else repr(self.text[:40])

    @property
    def items(self) -> list[Value]:
        """The entries of a list; a single text may hold several, separated by commas or spaces."""
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
    """One parameter: its name, how its value is read, an example and what it is for, in a file and in a Sheet.

    ``label`` is its name in a Sheet, empty where a Sheet cannot say it; ``labelled`` knows its other names.
    ``form`` says what a Sheet's cell takes; ``filled`` has the template fill in the default; ``only_bigquery`` and
    ``only_sheets`` leave it out of the other template. ``in_file`` is False for what only a Sheet says.
    """

    name: str
    parse: Callable[[Value], Any]
    example: str
    description: str
    required: bool = False
    label: str = ""
    form: Form = "text"
    choices: tuple[str, ...] = ()
    filled: bool = False
    only_bigquery: bool = False
    only_sheets: bool = False
    in_file: bool = True

    @property
    def default(self) -> str:
        """The default of ``Settings`` as a person would write it; empty where there is none."""
        value = _DEFAULTS.get(self.name)
        return "" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"

    @property
    def initial(self) -> str:
        """What the template fills in: the default or nothing, so that a new Sheet and an empty cell mean the same."""
        return self.default if self.filled else ""


_DEFAULTS: Mapping[str, Any] = {f.name: f.default for f in fields(Settings) if f.default is not MISSING} | {
    "destination_location": "US"  # BigQuery's own
}


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
            raise _Wrong(f"{item.shown} is kept as a number, and long numbers lose their last digits", item.number)
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
    return _days(value, MOST_LOOKBACK_DAYS)


def _keep(value: Value) -> int:
    days = _days(value)
    if days == 0:
        raise _Wrong("0 days would keep nothing", "Write how many days to keep, or omit the line to keep all.")
    return days


def _switch(value: Value) -> bool:
    text = value.text.lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise _Wrong(f"{value.shown} is neither true nor false", "Write true or false.")


def _minutes(value: Value) -> int:
    text = value.text
    if not _digits(text) or not 1 <= int(text[:9]) <= MOST_MINUTES:
        raise _Wrong(f"{value.shown} is not a number of minutes", f"Write a whole number from 1 to {MOST_MINUTES}.")
    return int(text)


def _dataset(value: Value) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9][.:][A-Za-z0-9_]{1,1024}", value.text):
        raise _Wrong(
            f"{value.shown} is not a dataset of a project",
            "Write project.dataset, such as my-project.tiktok_ads; both are in the BigQuery console.",
        )
    return value.text.replace(":", ".")


def _location(value: Value) -> str:
    if not re.fullmatch(r"[A-Za-z]{2}|[A-Za-z]+(-[A-Za-z]+)+\d{0,2}", value.text):
        raise _Wrong(f"{value.shown} is not a location of BigQuery", "Write one such as EU, US or europe-west3.")
    return value.text


def _emails(value: Value) -> tuple[str, ...]:
    for item in value.items:
        if not re.fullmatch(r"[^@\s<>\"]+@[^@\s<>\"]+\.[^@\s<>\"]+", item.text):
            raise _Wrong(f"{item.shown} is not an e-mail address", "Write addresses, separated by commas.")
    return tuple(item.text for item in value.items)


def _when(value: Value) -> str:
    if value.text.lower() not in NOTIFY_WHEN:
        raise _Wrong(f"{value.shown} is not one of the choices", f"Use one of: {', '.join(NOTIFY_WHEN)}.")
    return value.text.lower()


def _personal(value: Value) -> str:
    text = value.text.lower().replace("_", " ")
    if text not in PERSONAL_DATA:
        raise _Wrong(f"{value.shown} is not one of the choices", f"Use one of: {', '.join(PERSONAL_DATA)}.")
    return text


def _rate(value: Value) -> float:
    try:
        rate = float(value.text)
    except ValueError:
        rate = -1.0
    if not 0.01 <= rate <= 1000:
        raise _Wrong(
            f"{value.shown} is not a rate of requests per second",
            "Write what TikTok allows your app: 10 (Basic), 20, 30 or 50.",
        )
    return rate


def _url(value: Value) -> str:
    if not re.match(r"[a-z]+:///?\S", value.text):
        written = "what may hold a password" if "@" in value.text else value.shown
        raise _Wrong(f"{written} is not a destination", "Write one such as duckdb:///tiktok_ads.duckdb.")
    return value.text


def _raw(value: Value) -> Value:
    return value


PERSONAL_DATA = ("keep", "hash", "leave out")
"""Stored as TikTok gives it, as a hash, or not at all whatever the fields say."""
MOST_MINUTES = 1440
MOST_LOOKBACK_DAYS = 365
"""TikTok credits a conversion up to 180 days after the click; a year leaves room for what a team defines itself."""
EARLIEST = date(2016, 1, 1)
"""There is nothing to read before; and a plan with a window for every day since the year 1 would fill the memory."""
NOTIFY_WHEN = ("never", "on error", "on warnings", "always")
"""When people are notified about a run: each also covers what stands before it."""

SETTINGS: tuple[Setting, ...] = (
    Setting("access_token", _token, "${TIKTOK_ACCESS_TOKEN}", "TikTok's access token, from the environment", True),
    Setting("advertiser_ids", _ids, '["7012345678901234567"]',
            "Ids of the ad accounts, separated by commas; or all, which needs the app's id and secret", True,
            label="Advertiser IDs", form="ids"),
    Setting("start_date", _day, "2026-01-01", "First day to import, in each ad account's own time zone", True,
            label="Start Date", form="day"),
    Setting("objects", _raw, "[advertisers, campaigns, ad_groups, ads, ad_report_daily]",
            "What to import; `owox-tiktok objects` lists everything", True),
    Setting("end_date", _day, "2026-01-31", "Last day to import; without it, up to today",
            label="End Date", form="day"),
    Setting("fields", _raw, "{ad_report_daily: [spend, impressions, clicks]}",
            "Chosen fields or presets per object; omit them for a useful preset"),
    Setting("custom_reports", _raw, "{search_by_week: {level: campaign, time: weekly, split: search_term}}",
            "Reports of your own by name: level, time, split, metrics, filters"),
    Setting("reimport_lookback_window", _lookback, "7",
            "Recent days to read again in every run, because TikTok still adds conversions to them",
            label="Reimport Lookback Window", form="number", filled=True),
    Setting("clean_up_to_keep_window", _keep, "400",
            "Days of reports to keep; older rows are deleted. Without it, everything is kept",
            label="Clean Up To Keep Window", form="number"),
    Setting("include_deleted", _switch, "true",
            "Also import deleted campaigns, ad groups and ads, so that past spend adds up",
            label="Include Deleted", form="switch", filled=True),
    Setting("sandbox_mode", _switch, "false", "Read TikTok's sandbox, which has test data, instead of real accounts",
            label="Sandbox Mode", form="switch", filled=True),
    Setting("requests_per_second", _rate, "10", "What TikTok allows your app (Basic: 10)"),
    Setting("max_run_timeout", _minutes, "30",
            "Minutes after which a run stops; the next one continues from there. Without it, no limit",
            label="Max Run Timeout", form="number"),
    Setting("destination", _url, "duckdb:///tiktok_ads.duckdb", "Where the rows go"),
    Setting("destination_dataset_id", _dataset, "my-project.tiktok_ads",
            "BigQuery dataset the tables go to: project.dataset, such as my-project.tiktok_ads",
            label="Destination Dataset ID", only_bigquery=True, in_file=False),
    Setting("destination_location", _location, "EU",
            "Where BigQuery creates the dataset if it does not exist yet, such as EU or europe-west3",
            label="Destination Location", filled=True, only_bigquery=True, in_file=False),
    Setting("personal_data", _personal, "hash",
            "What to do with e-mail addresses, telephone numbers and the like where they are among the fields: "
            + ", ".join(PERSONAL_DATA),
            label="Personal Data", form="choice", choices=PERSONAL_DATA, filled=True),
    Setting("history", _raw, "[campaigns, ad_groups, ads]",
            "Lists of which every version of a row is kept (not in a Sheet); true for campaigns, ad groups and ads",
            label="History", form="switch", only_bigquery=True),
    Setting("views", _switch, "true", "Refresh the views after each import; `owox-tiktok views` does it by hand"),
    Setting("check_every_run", _switch, "true",
            "Compare the last 30 days with TikTok's totals after each import, whatever it costs; otherwise for at most "
            "5 % more requests"),
    Setting("technical_names", _switch, "true",
            "Name new columns as TikTok does, cost_per_conversion, and not as people do, Cost per conversion",
            label="Technical Names", form="switch", filled=True, only_sheets=True, in_file=False),
    Setting("notify_when", _when, "on error",
            "When to send a message about a run: " + ", ".join(NOTIFY_WHEN),
            label="Notify When", form="choice", choices=NOTIFY_WHEN, filled=True),
    Setting("notify_by_email", _emails, "[me@example.com]",
            "E-mail addresses that get the message, separated by commas",
            label="Notify By E-mail"),
    Setting("notify_by_google_chat", _switch, "true",
            "Also send it to the Google Chat space that was set up with the import",
            label="Notify By Google Chat", form="switch", filled=True),
    Setting("notify_by_slack", _switch, "true", "Also send it to the Slack channel that was set up with the import",
            label="Notify By Slack", form="switch", filled=True),
    Setting("app_id", _text, "${TIKTOK_APP_ID}", "The developer app; only for advertiser_ids: all"),
    Setting("app_secret", _app_secret, "${TIKTOK_APP_SECRET}", "The app's secret; only for advertiser_ids: all"),
)  # fmt: skip


# --- from values to Settings ------------------------------------------------------------------------------------------


BY_NAME: Mapping[str, Setting] = {s.name: s for s in SETTINGS}


def labelled(label: str) -> Setting | None:
    """Return the parameter that a row of a Sheet with this label is: ours, or what other loaders call it."""
    name = resolve("setting", label, [s.name for s in SETTINGS if s.label])
    return BY_NAME[name] if name else None


def build(
    values: Mapping[str, Value],
    *,
    now: datetime,
    source: str,
    wording: Wording,
    known: Iterable[Mistake] = (),
) -> Settings:
    """Return the Settings that ``values`` (by setting name) say; raises BadInput with every mistake.

    ``known`` are mistakes the reader of the source found already. ``now`` decides which days lie in the future (a day
    ahead is allowed: some advertiser is there already).
    """
    mistakes = list(known)
    broken = {m.where for m in mistakes}
    parsed: dict[str, Any] = {}
    for setting in SETTINGS:
        value = values.get(setting.name)
        if value is None or value.absent:
            if setting.required and not any(setting.name in place.split() for place in broken):
                at = wording.where(setting)
                if at not in broken:
                    mistakes.append(Mistake(at, "is missing", wording.add(setting)))
            continue
        if value.where in broken:
            continue
        try:
            parsed[setting.name] = setting.parse(value)
        except _Wrong as wrong:
            mistakes.append(Mistake(value.where, wrong.what, wrong.what_to_do))

    streams, fields = _objects(values, bool(parsed.get("sandbox_mode")), mistakes)
    for stream, chosen in _custom_reports(values.get("custom_reports"), mistakes):
        streams.append(stream)
        fields[stream.name] = chosen
        if parsed.get("destination", "").startswith("sheets://"):
            what = f"{stream.name} is a report of your own, and a Sheet has no tab for it"
            mistakes.append(Mistake(values["custom_reports"].where, what, "Send it to DuckDB or BigQuery."))
    history = _history(values.get("history"), streams, mistakes)
    _dates(parsed, now, mistakes, values, wording)
    needs_app = parsed.get("advertiser_ids") == () or any(s.needs_app for s in streams)
    if needs_app:
        all_of_them = f"{wording.say(BY_NAME['advertiser_ids'])}: all"
        reason = all_of_them if parsed.get("advertiser_ids") == () else "advertiser_ids among the objects"
        for setting in (BY_NAME["app_id"], BY_NAME["app_secret"]):
            if setting.name not in parsed and not any(setting.name in m.where.split() for m in mistakes):
                what = f"is missing, and {reason} needs it"
                mistakes.append(Mistake(wording.where(setting), what, wording.add(setting)))
        if parsed.get("sandbox_mode") and parsed.get("advertiser_ids") == ():
            at = values["advertiser_ids"].where
            mistakes.append(Mistake(at, "the sandbox cannot list ad accounts", "Write the sandbox advertiser's id."))
    if mistakes:
        raise BadInput(sorted(mistakes, key=lambda m: _line(m.where)))
    parsed["history"] = history
    if parsed.get("personal_data") == "leave out":
        fields = {s.name: tuple(n for n in fields[s.name] if not s.fields[n].personal) for s in streams}
    for name in ("objects", "fields", "custom_reports"):
        parsed.pop(name, None)
    dataset, location = (parsed.pop(name, "") for name in ("destination_dataset_id", "destination_location"))
    if dataset:
        parsed["destination"] = f"bigquery://{dataset.replace('.', '/')}" + (
            f"?location={location}" if location else ""
        )
    return Settings(**parsed, objects=tuple(streams), fields=fields, source=source, wording=wording)


def _line(where: str) -> tuple[str, int, str]:
    """Return what puts mistakes in the order in which they stand, in a file or in a Sheet; without a place: last."""
    found = re.search(r":(\d+)|(?P<tab>.+)!(?P<column>[A-Z]+)(?P<row>\d+)$", where)
    return (found["tab"] or "", int(found["row"] or found[1]), where) if found else ("~", 0, where)


def before_tiktok(where: str, day: date) -> Mistake:
    """Return what is wrong with a first day before EARLIEST; ``where`` it stands."""
    return Mistake(where, f"{day} is before TikTok Ads existed", "Write 2016-09-01 or later.")


def _dates(
    parsed: Mapping[str, Any],
    now: datetime,
    mistakes: list[Mistake],
    values: Mapping[str, Value],
    wording: Wording,
) -> None:
    first_name, last_name = (wording.say(BY_NAME[name]) for name in ("start_date", "end_date"))
    latest = date.fromordinal(now.date().toordinal() + 1)
    start, end = parsed.get("start_date"), parsed.get("end_date")
    if start and start > latest:
        mistakes.append(Mistake(values["start_date"].where, f"{start} is in the future", "Write a day that has begun."))
    if start and start < EARLIEST:
        mistakes.append(before_tiktok(values["start_date"].where, start))
    if end and end > latest:
        mistakes.append(
            Mistake(values["end_date"].where, f"{end} is in the future", f"Omit {last_name} to import up to today.")
        )
    if start and end and end < start:
        mistakes.append(
            Mistake(values["end_date"].where, f"{end} is before {first_name} {start}", "Swap the two dates.")
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
            mistakes.append(unknown(item, "object", "object", STREAMS, "`owox-tiktok objects` lists"))
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
            mistakes.append(unknown(Value(key, names.where), "object", "object", known, "`objects` should list"))
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


def _custom_reports(given: Value | None, mistakes: list[Mistake]) -> Iterator[tuple[Stream, tuple[str, ...]]]:
    """Yield each report of a person's own with the fields chosen of it."""
    if given is None or given.absent:
        return
    if not isinstance(given.content, dict):
        mistakes.append(Mistake(given.where, "should name reports", f"Write {BY_NAME['custom_reports'].example}."))
        return
    for name, value in given.content.items():
        if found := find(name):
            what = f"{found.name} is called so already"
            mistakes.append(Mistake(value.where, what, "Give the report a name of its own."))
            continue
        try:
            parts = _parts(value, ("level", "time", "split", "audience", "metrics", "filters"))
            filters = _parts(parts["filters"]) if "filters" in parts else {}
            wish = Wish(
                name,
                parts["level"].text if "level" in parts else "",
                parts["time"].text if "time" in parts else "daily",
                parts["split"].text if "split" in parts else "",
                "audience" in parts and _switch(parts["audience"]),
                {key: tuple(_filter(key, one)) for key, one in filters.items()},
            )
            stream = custom_report(wish)
        except CannotBe as wrong:
            at = parts.get(wrong.part, value).where
            mistakes.append(Mistake(at, wrong.what, wrong.what_to_do))
            continue
        except _Wrong as wrong:
            mistakes.append(Mistake(value.where, wrong.what, wrong.what_to_do))
            continue
        chosen = _fields(stream, parts["metrics"], mistakes) if "metrics" in parts else default_fields(stream)
        yield stream, tuple(n for n in chosen if n not in stream.keys)


def _parts(value: Value, known: Sequence[str] = ()) -> Mapping[str, Value]:
    """Return the values by name; raises _Wrong for anything else, and for a name that is not ``known``."""
    if not isinstance(value.content, dict):
        raise _Wrong("should say what the report is", "Write {level: campaign, time: daily, split: search_term}.")
    for name in value.content:
        if known and name not in known:
            raise _Wrong(f"has no part {name[:40]!r}", f"Use {', '.join(known)}.")
    return {name: one for name, one in value.content.items() if not one.absent}


def _filter(name: str, value: Value) -> Iterator[str]:
    """Yield what must fit; part of a name may have spaces."""
    if name == "campaign_name_contains" and not isinstance(value.content, list):
        yield value.text
        return
    for item in value.items:
        if item.number:
            raise _Wrong(f"{item.shown} is kept as a number, and long numbers lose their last digits", item.number)
        yield item.text


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


def _history(given: Value | None, streams: Sequence[Stream], mistakes: list[Mistake]) -> tuple[str, ...]:
    """Return the names of the lists whose history is to be kept."""
    if given is None or given.absent:
        return ()
    possible = {s.name for s in STREAMS.values() if s.may_have_history}
    if isinstance(given.content, str):
        with suppress(_Wrong):
            return tuple(s.name for s in streams if s.name in possible) if _switch(given) else ()
    chosen: dict[str, None] = {}
    for item in _items(given, mistakes):
        found = find(item.text)
        if found is None or found.name not in possible:
            what = f"{item.shown} is not a list whose history can be kept"
            mistakes.append(Mistake(item.where, what, f"Use some of: {', '.join(sorted(possible))}."))
        elif found not in streams:
            mistakes.append(Mistake(item.where, f"{found.name} is not imported", "Add it to objects."))
        else:
            chosen[found.name] = None
    return tuple(chosen)


def _fields(stream: Stream, names: Value, mistakes: list[Mistake]) -> tuple[str, ...]:
    chosen: dict[str, None] = {}
    for item in _items(names, mistakes):
        more = expand(stream, item.text)
        metric = resolve("field", item.text, metrics()) if more is None and stream.is_report else None
        if metric:
            mistakes.append(Mistake(item.where, f"{stream.name} cannot have {metric}", _given_where(metric)))
        elif more is None:
            known = [*stream.fields, *(PRESETS if stream.is_report else ())]
            mistakes.append(unknown(item, "field", f"field of {stream.name}", known, f"`objects {stream.name}` lists"))
        else:
            chosen.update(dict.fromkeys(more))
    return tuple(chosen)


def _given_where(metric: str) -> str:
    known = metrics()[metric]
    levels = ", ".join(level.replace("_", " ") for level in LEVELS if level in known.levels)
    kinds = "daily reports" if known.granularities else "reports"
    splits = [w for w, given in (("audience", "AUDIENCE" in known.reports), ("country", known.by_country)) if not given]
    limits = f", not split by {' or '.join(splits)}" if splits else ""
    return f"TikTok gives it in {kinds} of these levels: {levels}{limits}."


def unknown(value: Value, kind: What, what: str, known: Iterable[str], source: str) -> Mistake:
    """Return that there is no such ``what`` as ``value`` names, and what to write instead or where they are listed."""
    advice = "" if value.variable else instead(kind, value.text, known)
    return Mistake(value.where, f"there is no {what} called {value.shown}", advice or f"{source} what there is.")
