"""The public door for programs: ``from owox_tiktok import TikTokAds``. Rows as values, Arrow or data frames; imports.

What ``owox_tiktok`` lists in ``__all__`` is what other programs may rely on; the version says when one of them changes
(see docs/python.md). Nothing heavy is loaded before it is used: pyarrow, pandas and polars by the methods that need
them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from owox_tiktok import app, config_file, files
from owox_tiktok.app import Checked, Planned, Standing
from owox_tiktok.app.reading import windows
from owox_tiktok.errors import BadInput, Mistake, Problem
from owox_tiktok.events import Event, Failed, Finished, Listener, Warned
from owox_tiktok.model import Advertiser, Chunk, Field, Stream
from owox_tiktok.rows import typed
from owox_tiktok.secret import Secret
from owox_tiktok.settings import EARLIEST, Setting, Settings, Value, Wording, build
from owox_tiktok.spool import read_text
from owox_tiktok.streams import STREAMS, default_fields, find

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Day = date | str
"""A day, also as text: 2026-01-31."""
Ids = Sequence[str | int] | Literal["all"] | str
"""Ids of ad accounts, or ``"all"`` that the authorisation covers; texts may hold several, separated by commas."""
Row = dict[str, Any]
"""A row by column: str, Decimal, int, bool, date, datetime, or what JSON has; None where TikTok has no value."""

ROWS_PER_BATCH = 10_000
"""Iterating over a table yields at most so many rows at a time."""

_NOTHING: Mapping[str, Value] = {}
_EXTRAS = {"pyarrow": "arrow", "pandas": "pandas", "polars": "polars"}


class Incomplete(Problem):
    """Not all that was asked for could be imported. ``imported`` says what was, and why the rest was not."""

    def __init__(self, imported: Imported) -> None:
        self.imported = imported
        first = imported.failures[0].message if imported.failures else imported.finished.summary
        count = len(imported.failures)
        what = (
            f"the import is not complete, {count} failed: {first}" if count else f"the import is not complete: {first}"
        )
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: its ``finished`` event, each pair of object and ad account that failed, each warning."""

    finished: Finished
    failures: tuple[Failed, ...]
    warnings: tuple[Warned, ...]

    @property
    def rows(self) -> Mapping[str, int]:
        """How many rows were stored, by object."""
        return self.finished.rows

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is stored."""
        return self.finished.exit_code == 0 and not self.failures

    def __str__(self) -> str:
        return self.finished.summary


@dataclass(frozen=True, slots=True)
class Object:
    """Something that can be read: its ``name``, the ``keys`` that tell its rows apart, and every field it can have.

    ``dated_by`` is the column that dates a row, None for lists and lifetime reports; ``default`` are the fields that
    are read where none are chosen. ``table`` is what its table is called in a destination.
    """

    name: str
    title: str
    description: str
    table: str
    keys: tuple[str, ...]
    dated_by: str | None
    is_report: bool
    fields: Mapping[str, Field]
    default: tuple[str, ...]


class Table:
    """Rows of one object, which are read when they are asked for: complete, or an error.

    Iterating yields lists of at most 10,000 rows as they come from TikTok, so memory stays flat; each iteration reads
    again. ``arrow``, ``df`` and ``polars`` read everything once and keep it. An error of TikTok's is raised where it
    happens, as the typed error that it is (TokenRefused, AccountRefused, Unavailable …), and then what came before it
    is not all there is. After a read, ``warnings`` has what a person should know.

    Rows of one ad account come by day, oldest first; those of several accounts come as they are ready.
    """

    def __init__(
        self, settings: Settings, now: datetime | None, listen: Listener, environment: Mapping[str, str] | None
    ) -> None:
        self._settings, self._now, self._listen, self._environment = settings, now, listen, environment
        (self._stream,) = settings.objects
        self._arrow: Any = None
        self.warnings: list[Warned] = []
        """What a person should know about the last read: a field that TikTok does not give for an account, say."""

    @property
    def object(self) -> str:
        """The name of what is read."""
        return self._stream.name

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell rows apart."""
        return self._stream.keys

    @property
    def columns(self) -> tuple[Field, ...]:
        """The columns in order: keys, then the chosen fields, with the currency beside money."""
        return self._stream.columns(self._settings.fields[self._stream.name])

    def __repr__(self) -> str:
        accounts = ", ".join(self._settings.advertiser_ids) or "all accounts"
        days = f" from {self._settings.start_date}" if self._stream.has_window else ""
        until = f" to {self._settings.end_date}" if self._stream.has_window and self._settings.end_date else ""
        return f"<Table {self.object} of {accounts}{days}{until}: {len(self.columns)} columns>"

    # --- rows, a batch at a time --------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield lists of rows, each a dict by column in the order of ``columns``."""
        names = [f.name for f in self.columns]
        for chunk in self._chunks():
            for rows in rows_of(chunk):
                yield [{name: row[name] for name in names} for row in rows]

    async def __aiter__(self) -> AsyncIterator[list[Row]]:
        """Yield the same while other tasks continue: TikTok is waited for on a thread."""
        batches = iter(self)
        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                yield batch
        finally:
            await asyncio.to_thread(batches.close)  # type: ignore[attr-defined]

    def batches(self) -> Iterator[pyarrow.RecordBatch]:
        """Yield Arrow record batches as rows come from TikTok, each of some megabytes at most. Needs pyarrow."""
        arrow = _needed("owox_tiktok.arrow")
        schema = self.schema()
        for chunk in self._chunks():
            yield from arrow.batches(chunk.path, chunk.columns, schema)

    def reader(self) -> pyarrow.RecordBatchReader:
        """Return the same as what DuckDB, polars and datasets of pyarrow read from directly. Needs pyarrow."""
        return _needed("pyarrow").RecordBatchReader.from_batches(self.schema(), self.batches())

    def schema(self) -> pyarrow.Schema:
        """Return the types of the columns, with description, kind and unit as metadata. Needs pyarrow."""
        return _needed("owox_tiktok.arrow").schema(self.columns, self.keys)

    # --- all at once --------------------------------------------------------------------------------------------------

    def arrow(self) -> pyarrow.Table:
        """Return all rows: decimal128(38,9) for amounts, date32, timestamps in UTC, text for ids. Needs pyarrow."""
        if self._arrow is None:
            self._arrow = self.reader().read_all()
        return self._arrow

    def df(self) -> pandas.DataFrame:
        """Return all rows as a pandas DataFrame with Arrow's types, so that amounts stay exact. Needs pandas."""
        pandas = _needed("pandas")
        return self.arrow().to_pandas(types_mapper=pandas.ArrowDtype)

    def polars(self) -> polars.DataFrame:
        """Return all rows as a polars DataFrame; amounts are exact decimals. Needs polars."""
        return _needed("polars").from_arrow(self.arrow())

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write all rows into a file, .csv, .parquet or .xlsx, and return how many; memory stays flat.

        The file is there once it is whole. Raises BadInput for another ending or a package that is missing.
        """
        return files.save(Path(path), self.columns, self.keys, self._chunks())

    # --- reading ------------------------------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[Chunk]:
        """Yield the windows that were read, each with its row file; raises the first failure."""
        self.warnings = []
        now = self._now or datetime.now(UTC)
        found = windows(self._settings, now=now, listen=self._listen, environment=self._environment)
        try:
            for one in found:
                match one:
                    case Chunk():
                        yield one
                    case Warned():
                        self.warnings.append(one)
                    case Failed():
                        raise _error(one)
                    case Finished() if one.exit_code:
                        raise Problem(one.summary)
        finally:
            found.close()  # type: ignore[attr-defined]


class TikTokAds:
    """TikTok's ad accounts, as one developer app may read them.

    ``access_token``, ``advertiser_ids`` and all that follow are the settings of docs/settings.md; what is not given has
    their defaults. Raises BadInput with every mistake. Nothing is asked of TikTok before a method does.

    An object may be used by several threads, one call after the other; calls side by side would each keep a pace of
    their own, and TikTok counts the requests of an app together.
    """

    _now: datetime | None = None
    """Stands in the place of the clock in tests."""

    def __init__(
        self,
        access_token: str | Secret,
        advertiser_ids: Ids = "all",
        *,
        app_id: str = "",
        app_secret: str | Secret = "",
        start_date: Day | None = None,
        end_date: Day | None = None,
        include_deleted: bool = True,
        reimport_lookback_window: int = 7,
        requests_per_second: float = 10.0,
        sandbox_mode: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``environment`` stands in the place of ``os.environ``: credentials of a destination are looked for there."""
        self._take(
            {
                "access_token": _secret(access_token, "access_token"),
                "advertiser_ids": _value(advertiser_ids, "advertiser_ids"),
                "app_id": _value(app_id, "app_id"),
                "app_secret": _secret(app_secret, "app_secret"),
                "start_date": _value(start_date, "start_date"),
                "end_date": _value(end_date, "end_date"),
                "include_deleted": _value(include_deleted, "include_deleted"),
                "reimport_lookback_window": _value(reimport_lookback_window, "reimport_lookback_window"),
                "requests_per_second": _value(requests_per_second, "requests_per_second"),
                "sandbox_mode": _value(sandbox_mode, "sandbox_mode"),
            },
            environment,
        )

    @classmethod
    def from_env(cls, *, environment: Mapping[str, str] | None = None, **settings: Any) -> TikTokAds:
        """Return what the environment says: TIKTOK_ACCESS_TOKEN, and TIKTOK_ADVERTISER_IDS (separated by commas).

        Without ids all ad accounts of the authorisation are meant, for which TIKTOK_APP_ID and TIKTOK_APP_SECRET are
        needed. ``settings`` are those of the class, and come first.
        """
        env = os.environ if environment is None else environment
        found = {
            "access_token": env.get("TIKTOK_ACCESS_TOKEN", ""),
            "advertiser_ids": env.get("TIKTOK_ADVERTISER_IDS") or "all",
            "app_id": env.get("TIKTOK_APP_ID", ""),
            "app_secret": env.get("TIKTOK_APP_SECRET", ""),
        }
        if not (settings.get("access_token") or found["access_token"]):
            advice = "Set it before the program starts: export TIKTOK_ACCESS_TOKEN=…"
            raise BadInput([Mistake("environment", "TIKTOK_ACCESS_TOKEN is not set", advice)])
        return cls(**{**found, **settings}, environment=environment)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, environment: Mapping[str, str] | None = None) -> TikTokAds:
        """Return what a YAML file says, as ``owox-tiktok import`` reads it; objects, fields and destination as well."""
        file = Path(path)
        values, mistakes = config_file.read_values(config_file.read_text(file), file.name, environment=environment)
        if mistakes:
            raise BadInput(mistakes)
        made = cls.__new__(cls)
        made._take(values, environment)
        return made

    def _take(self, values: Mapping[str, Value | None], environment: Mapping[str, str] | None) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}
        self._environment = environment
        self._settings()

    def __repr__(self) -> str:
        settings = self._settings()
        return f"<TikTokAds of {', '.join(settings.advertiser_ids) or 'all accounts'}>"

    # --- what there is ------------------------------------------------------------------------------------------------

    @staticmethod
    def objects() -> tuple[Object, ...]:
        """Return everything that can be read, with its fields. TikTok is not asked."""
        return tuple(map(_object, STREAMS.values()))

    def accounts(self) -> tuple[Advertiser, ...]:
        """Return the ad accounts: id, name, currency and time zone; of one that TikTok refuses, only its id."""
        return tuple(app.accounts(self._settings(), environment=self._environment))

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(
        self,
        object: str,
        *,
        since: Day | None = None,
        until: Day | None = None,
        fields: Iterable[str] | None = None,
        advertiser_ids: Ids | None = None,
        listen: Listener | None = None,
    ) -> Table:
        """Return the rows of ``object`` from ``since`` to ``until``, both included; they are read when asked for.

        Days are those of each account's own time zone. Without ``until`` they go up to today, whose numbers are not
        final; a list has no days and needs neither. ``fields`` are names or presets (``performance``, ``video`` …); the
        keys always come along. ``listen`` is called with each event of the read, on another thread.

        Raises BadInput at once for what cannot be read.
        """
        more = _changed(since=since, until=until, advertiser_ids=advertiser_ids)
        more["objects"] = _list([object], "object")
        if fields is not None and find(object):
            more["fields"] = Value({object: _list(fields, "fields")}, "fields")
        settings = self._settings(more, dated=True)
        return Table(settings, self._now, listen or _nobody, self._environment)

    # --- importing ----------------------------------------------------------------------------------------------------

    def import_(
        self,
        destination: str | None = None,
        *,
        objects: Iterable[str] | None = None,
        fields: Mapping[str, Iterable[str]] | None = None,
        since: Day | None = None,
        until: Day | None = None,
        backfill: tuple[Day, Day] | None = None,
        advertiser_ids: Ids | None = None,
        views: bool | None = None,
        listen: Listener | None = None,
        must_complete: bool = True,
    ) -> Imported:
        """Import ``objects`` into ``destination`` (``duckdb:///ads.duckdb``), and continue where the last one ended.

        The last days are read again and replaced. ``since`` is the first day to have at all; ``backfill`` reads exactly
        these days again, both included, and leaves the cursors alone. What ``from_file`` has read need not be said.

        Raises Incomplete where an object of an account could not be imported, unless ``must_complete`` is False: the
        others are stored. Raises BadInput, StoreBusy, or a Problem that left nothing to do.
        """
        settings = self._to_import(destination, objects, fields, since, until, advertiser_ids, views)
        now = self._clock()
        failures: list[Failed] = []
        warnings: list[Warned] = []

        def hear(event: Event) -> None:
            if isinstance(event, Failed):
                failures.append(event)
            elif isinstance(event, Warned):
                warnings.append(event)
            if listen:
                listen(event)

        finished = app.import_(
            settings, now=now, listen=hear, backfill=_range(backfill, now), environment=self._environment
        )
        imported = Imported(finished, tuple(failures), tuple(warnings))
        if must_complete and not imported.complete:
            raise Incomplete(imported)
        return imported

    def plan(
        self,
        destination: str | None = None,
        *,
        objects: Iterable[str] | None = None,
        fields: Mapping[str, Iterable[str]] | None = None,
        since: Day | None = None,
        until: Day | None = None,
        backfill: tuple[Day, Day] | None = None,
        advertiser_ids: Ids | None = None,
    ) -> list[Planned]:
        """Return what ``import_`` would read: days, requests and rows to expect, per object and account.

        TikTok is asked one small question for each; nothing is written.
        """
        settings = self._to_import(destination, objects, fields, since, until, advertiser_ids)
        now = self._clock()
        return app.plan(settings, now=now, backfill=_range(backfill, now), environment=self._environment)

    def check(
        self,
        destination: str | None = None,
        *,
        objects: Iterable[str] | None = None,
        fields: Mapping[str, Iterable[str]] | None = None,
        advertiser_ids: Ids | None = None,
    ) -> list[Checked]:
        """Try destination, token, accounts and objects; return one result for each thing. Nothing is written."""
        settings = self._to_import(destination, objects, fields, None, None, advertiser_ids, dated=False)
        return app.check(settings, now=self._clock(), environment=self._environment)

    def status(
        self,
        destination: str | None = None,
        *,
        objects: Iterable[str] | None = None,
        advertiser_ids: Ids | None = None,
        max_age: timedelta = timedelta(hours=36),
    ) -> list[Standing]:
        """Return how far each object of each account is imported, as the destination knows it; TikTok is not asked.

        One that was read longer ago than ``max_age`` is behind.
        """
        settings = self._to_import(destination, objects, None, None, None, advertiser_ids, dated=False)
        return app.status(settings, now=self._clock(), max_age=max_age, environment=self._environment)

    # --- settings -----------------------------------------------------------------------------------------------------

    def _to_read(
        self,
        objects: Iterable[str],
        fields: Mapping[str, Iterable[str]] | None,
        since: Day | None,
        until: Day | None,
        backfill: tuple[Day, Day] | None,
    ) -> tuple[Settings, datetime, tuple[date, date] | None]:
        """Return what a surface needs that keeps cursors of its own: settings, the moment, the days of a backfill."""
        settings = self._to_import("duckdb:///:memory:", objects, fields, since, until, None)
        now = self._clock()
        return settings, now, _range(backfill, now)

    def _clock(self) -> datetime:
        return self._now or datetime.now(UTC)

    def _to_import(
        self,
        destination: str | None,
        objects: Iterable[str] | None,
        fields: Mapping[str, Iterable[str]] | None,
        since: Day | None,
        until: Day | None,
        advertiser_ids: Ids | None,
        views: bool | None = None,
        *,
        dated: bool = True,
    ) -> Settings:
        """Return the settings of an import; raises BadInput. ``dated``: a report needs its first day."""
        more = _changed(since=since, until=until, advertiser_ids=advertiser_ids)
        if destination is not None:
            more["destination"] = Value(destination, "destination")
        if objects is not None:
            more["objects"] = _list(objects, "objects")
        if fields is not None:
            more["fields"] = Value({name: _list(of, "fields") for name, of in fields.items()}, "fields")
        if views is not None:
            more["views"] = Value(str(views).lower(), "views")
        if "destination" not in {**self._values, **more}:
            advice = 'Name one, such as "duckdb:///tiktok_ads.duckdb".'
            raise BadInput([Mistake("destination", "is missing", advice)])
        return self._settings(more, dated=dated, needs_objects=True)

    def _settings(
        self, more: Mapping[str, Value] = _NOTHING, *, dated: bool = False, needs_objects: bool = False
    ) -> Settings:
        """Return the settings with ``more`` in the place of what there is; raises BadInput with every mistake."""
        values = {**self._values, **more}
        if "objects" not in values and not needs_objects:
            values["objects"] = _list(["campaigns"], "objects")
        if "start_date" not in values and not (dated and _has_days(values.get("objects"))):
            values["start_date"] = Value(EARLIEST.isoformat(), "since")
        if "objects" in more and "fields" not in more and "fields" in values:
            values["fields"] = _only(values["fields"], values["objects"])
        return build(values, now=self._clock(), source="what was given", wording=_WORDING)


# --- from Python's values to settings ---------------------------------------------------------------------------------

_NAMES = {"start_date": "since", "end_date": "until"}
_EXAMPLES = {"start_date": 'since="2026-01-01"', "objects": 'objects=["campaigns", "ad_report_daily"]'}


def _name(setting: Setting) -> str:
    return _NAMES.get(setting.name, setting.name)


_WORDING = Wording(
    where=_name,
    say=_name,
    add=lambda setting: f"Give {_EXAMPLES.get(setting.name, f'{setting.name}=…')}.",
)


def _changed(*, since: Day | None, until: Day | None, advertiser_ids: Ids | None) -> dict[str, Value]:
    found = {
        "start_date": _value(since, "since"),
        "end_date": _value(until, "until"),
        "advertiser_ids": _value(advertiser_ids, "advertiser_ids"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _value(value: object, where: str) -> Value | None:
    """Return a value of Python's as somebody would have written it into a file; None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return Value(str(value).lower(), where)
    if isinstance(value, datetime):
        return Value(value.date().isoformat(), where)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return _list(value, where)
    return Value(str(value), where)


def _list(values: Iterable[object], where: str) -> Value:
    return Value([item for one in values if (item := _value(one, where)) is not None], where)


def _secret(value: str | Secret, where: str) -> Value | None:
    text = value.reveal() if isinstance(value, Secret) else value
    return Value(text, where, variable="whole") if text else None


def _only(fields: Value, objects: Value) -> Value:
    """Return what a file says about the fields of some objects."""
    of = fields.content if isinstance(fields.content, dict) else {}
    wanted = {stream.name for item in objects.items if (stream := find(item.text))}
    return Value({n: v for n, v in of.items() if (stream := find(n)) and stream.name in wanted}, fields.where)


def _has_days(objects: Value | None) -> bool:
    names = [item.text for item in objects.items] if objects else []
    return any((stream := find(name)) and stream.has_window for name in names)


def _range(backfill: tuple[Day, Day] | None, now: datetime) -> tuple[date, date] | None:
    if backfill is None:
        return None
    days = []
    for day in backfill:
        try:
            days.append(day if isinstance(day, date) else date.fromisoformat(day))
        except ValueError:
            what = f"{day!r} is not a day"
            raise BadInput([Mistake("backfill", what, "Write year-month-day, such as 2026-01-31.")]) from None
    return app.backfill_range(days[0], days[1], now)


# --- the rest ---------------------------------------------------------------------------------------------------------


def _nobody(event: Event) -> None:
    """Hear an event that nobody wants to know of."""


def _needed(name: str) -> Any:
    """Import a package that a method needs; raises BadInput with what to install where it is missing."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        advice = f"pip install 'owox-tiktok[{_EXTRAS.get(package, package)}]'"
        raise BadInput([Mistake(package, "is not installed", advice)]) from None


def rows_of(chunk: Chunk) -> Iterator[list[Row]]:
    """Yield the rows of a window as typed values, a batch at a time."""
    batch: list[Row] = []
    if not chunk.rows:
        return
    for texts in read_text(chunk.path):
        batch.append({f.name: typed(f, text) for f, text in zip(chunk.columns, texts, strict=True)})
        if len(batch) == ROWS_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _error(failed: Failed) -> Problem:
    """Return the typed error of a failure, with where it happened."""
    error = failed.error or Problem(failed.message, request_id=failed.request_id)
    if not error.where:
        error.where = " of ".join(part for part in (failed.object, failed.advertiser_id) if part)
        error.args = (error.sentence,)
    return error


def _object(stream: Stream) -> Object:
    return Object(
        stream.name,
        stream.title,
        stream.description,
        stream.table,
        stream.keys,
        stream.time,
        stream.is_report,
        stream.fields,
        default_fields(stream),
    )
