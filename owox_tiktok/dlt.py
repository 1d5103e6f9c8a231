"""A source for dlt (https://dlthub.com): TikTok's objects in any of its destinations, incremental and complete.

``tiktok_ads_source`` gives one resource for each object, with the types, keys and descriptions of ours. How far each ad
account is read is kept in dlt's state, which is saved with the rows. ``load`` runs a pipeline in several loads, so that
a run that dies late has lost little. Needs dlt: ``pip install 'owox-tiktok[dlt]'``.

What dlt's strategy ``delete-insert`` alone would not do is done by marks: a row with the key of a day (or hour) that
has no rows any more, marked as deleted. It takes the old rows along, and is not stored itself.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import dlt

from owox_tiktok.api import Day, Ids, Imported, Incomplete, TikTokAds, rows_of
from owox_tiktok.app.reading import windows
from owox_tiktok.events import Failed, Finished, Listener, Warned
from owox_tiktok.model import Chunk, Cursor, Field, Kind, Known, Stream
from owox_tiktok.plan import NO_DAYS, NOTHING_DONE
from owox_tiktok.settings import Settings

DELETED = "_deleted"
"""The column that marks what takes old rows along; dlt's hint ``hard_delete``."""
ROWS_PER_LOAD = 500_000
"""``load`` ends a load after so many rows of an object."""

_TYPES: Mapping[Kind, Mapping[str, Any]] = {
    Kind.ID: {"data_type": "text"},
    Kind.TEXT: {"data_type": "text"},
    Kind.MONEY: {"data_type": "decimal", "precision": 38, "scale": 9},
    Kind.RATE: {"data_type": "decimal", "precision": 38, "scale": 9},
    Kind.COUNT: {"data_type": "bigint"},
    Kind.BOOLEAN: {"data_type": "bool"},
    Kind.DAY: {"data_type": "date"},
    Kind.HOUR: {"data_type": "timestamp", "timezone": False},
    Kind.INSTANT: {"data_type": "timestamp", "timezone": True},
    Kind.JSON: {"data_type": "json"},
}
log = logging.getLogger(__name__)


class _Turns:
    """Resources are read one after the other, whatever the order in which dlt asks: TikTok has one pace for an app."""

    def __init__(self) -> None:
        self._at: str | None = None

    def take(self, name: str) -> bool:
        """Whether it is this one's turn, from now until ``over``."""
        if self._at is None:
            self._at = name
        return self._at == name

    def over(self, name: str) -> None:
        """Let the next one have its turn."""
        if self._at == name:
            self._at = None


@dataclass(frozen=True, slots=True)
class _Part:
    """One load: after how many rows a resource ends, of which run it is, and who hears what."""

    rows_per_load: int | None
    run_id: str
    failures: list[Failed] | None
    listen: Listener


@dlt.source(name="tiktok_ads", max_table_nesting=0)
def tiktok_ads_source(
    access_token: str = dlt.secrets.value,
    advertiser_ids: Ids = dlt.config.value,
    objects: Sequence[str] = ("campaigns", "ad_groups", "ads", "ad_report_daily"),
    fields: Mapping[str, Iterable[str]] | None = None,
    start_date: Day | None = None,
    end_date: Day | None = None,
    backfill: tuple[Day, Day] | None = None,
    app_id: str = "",
    app_secret: str = "",
    include_deleted: bool = True,
    reimport_lookback_window: int = 7,
    requests_per_second: float = 10.0,
    sandbox_mode: bool = False,
    rows_per_load: int | None = None,
    run_id: str = "",
    failures: list[Failed] | None = None,
    listen: Listener | None = None,
    ads: TikTokAds | None = None,
) -> Any:
    """Return a dlt source with a resource for each of ``objects``; settings are those of docs/settings.md.

    Reports and what has days replace the days that were read again; lists are merged by key. An ad account or object
    that cannot be read does not stop the others: it is logged and added to ``failures``, and read the next time.
    ``rows_per_load`` ends a resource after about so many rows, and the next load of the same ``run_id`` continues there
    (see ``load``). ``ads`` stands in the place of the settings about accounts and pace. Raises BadInput.
    """
    door = ads or TikTokAds(
        access_token,
        advertiser_ids,
        app_id=app_id,
        app_secret=app_secret,
        include_deleted=include_deleted,
        reimport_lookback_window=reimport_lookback_window,
        requests_per_second=requests_per_second,
        sandbox_mode=sandbox_mode,
    )
    turns = _Turns()
    part = _Part(rows_per_load, run_id, failures, listen or _nobody)
    for name in objects:
        chosen = None if fields is None or name not in fields else {name: fields[name]}
        settings, now, days = door._to_read([name], chosen, start_date, end_date, backfill)
        yield _resource(settings, now, days, door._environment, turns, part)


def _resource(
    settings: Settings,
    now: datetime,
    backfill: tuple[date, date] | None,
    environment: Mapping[str, str] | None,
    turns: _Turns,
    part: _Part,
) -> Any:
    (stream,) = settings.objects
    columns = stream.columns(settings.fields[stream.name])

    def read() -> Iterator[list[dict[str, Any]]]:
        while not turns.take(stream.name):
            yield []
        try:
            yield from _rows(stream, settings, now, backfill, environment, part)
        finally:
            turns.over(stream.name)

    hints: dict[str, Any] = {f.name: _hint(f, stream) for f in columns}
    if stream.verb == "replace":
        hints[DELETED] = {"data_type": "bool", "hard_delete": True, "description": "Marks what has no rows any more"}
    return dlt.resource(
        read,
        name=stream.name,
        primary_key=list(stream.keys),
        merge_key=_merged_by(stream),
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        columns=hints,
        max_table_nesting=0,
    )


def _hint(field: Field, stream: Stream) -> dict[str, Any]:
    return {**_TYPES[field.kind], "nullable": field.name not in stream.keys, "description": field.description}


def _merged_by(stream: Stream) -> list[str] | None:
    """Return what rows are replaced by: an account's day or hour, an account; None for a list, whose key it is."""
    if stream.verb == "upsert":
        return None
    return ["advertiser_id", stream.time] if stream.time else ["advertiser_id"]


def _rows(
    stream: Stream,
    settings: Settings,
    now: datetime,
    backfill: tuple[date, date] | None,
    environment: Mapping[str, str] | None,
    part: _Part,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an object that its state does not have yet, and move its cursors behind them."""
    state = dlt.current.resource_state()
    kept: dict[str, Any] = state.setdefault("cursors", {})
    known = {(stream.name, one): Known(Cursor.from_json(cursor)) for one, cursor in kept.items()}
    if not part.run_id or state.get("run_id") != part.run_id:
        state["done"] = {}
    state["run_id"] = part.run_id
    state["more"] = False
    done = {one: date.fromisoformat(through) for one, through in state["done"].items()}
    rows = 0
    found = windows(
        settings,
        now=now,
        listen=part.listen,
        cursors=known,
        done={stream.name: done} if done else NOTHING_DONE,
        backfill=backfill,
        environment=environment,
    )
    for one in found:
        match one:
            case Chunk():
                yield from rows_of(one)
                if stream.verb == "replace":
                    yield list(_marks(one))
                if one.cursor is not None:
                    kept[one.advertiser_id] = one.cursor.to_json()
                through = one.window.last if one.window and stream.time else NO_DAYS
                state["done"][one.advertiser_id] = through.isoformat()
                rows += one.rows
                if part.rows_per_load and rows >= part.rows_per_load and _may_stop(one, settings):
                    state["more"] = True
                    return
            case Failed():
                log.error("%s of %s: %s", one.object or stream.name, one.advertiser_id, one.message)
                if part.failures is not None:
                    part.failures.append(one)
            case Warned():
                log.warning("%s of %s: %s", one.object or stream.name, one.advertiser_id, one.message)
            case Finished():
                pass


def _may_stop(chunk: Chunk, settings: Settings) -> bool:
    """Whether the next load would continue behind this window: not within the days that every run reads again."""
    if chunk.stream.time is None or chunk.window is None or chunk.cursor is None:
        return True
    read_on = chunk.cursor.read_on
    again_from = read_on - timedelta(days=settings.reimport_lookback_window)
    return chunk.window.last < again_from or chunk.window.last >= min(settings.end_date or read_on, read_on)


def _marks(chunk: Chunk) -> Iterator[dict[str, Any]]:
    """Yield a mark for each day or hour of a window that has no rows; for a report without days if it has none."""
    stream = chunk.stream
    nothing: dict[str, Any] = {name: "" for name in stream.keys if stream.fields[name].kind is not Kind.HOUR}
    nothing |= {"advertiser_id": chunk.advertiser_id, DELETED: True}
    if stream.time is None:
        if not chunk.rows:
            yield nothing
        return
    assert chunk.window is not None
    filled = {row[stream.time] for batch in rows_of(chunk) for row in batch}
    for n in range(chunk.window.days):
        day = chunk.window.first + timedelta(days=n)
        midnight = datetime(day.year, day.month, day.day)
        times: Sequence[date] = (
            [day] if stream.time == "stat_time_day" else [midnight + timedelta(hours=h) for h in range(24)]
        )
        yield from ({**nothing, stream.time: at} for at in times if at not in filled)


def _nobody(event: object) -> None:
    """Hear an event that nobody wants to know of."""


def load(
    pipeline: dlt.Pipeline,
    source: Callable[..., Any] = tiktok_ads_source,
    *,
    rows_per_load: int = ROWS_PER_LOAD,
    must_complete: bool = True,
    **settings: Any,
) -> list[Any]:
    """Run ``pipeline`` with the source in loads of about ``rows_per_load`` rows of each object, until all is loaded.

    Each load saves its rows with its cursors, so that one that dies later has lost no more than itself. ``settings``
    are those of the source. Returns dlt's information about each load. Raises Incomplete at the end where an object of
    an account could not be read, unless ``must_complete`` is False: the others are loaded.
    """
    loads = []
    failures: list[Failed] = []
    run_id = uuid.uuid4().hex
    while True:
        failures.clear()
        given = source(**settings, rows_per_load=rows_per_load, run_id=run_id, failures=failures)
        loads.append(pipeline.run(given))
        states = pipeline.state["sources"].get(given.name, {}).get("resources", {})
        if not any(states.get(name, {}).get("more") for name in given.resources):
            break
    if failures and must_complete:
        raise Incomplete(Imported(_finished(len(failures)), tuple(failures), ()))
    return loads


def _finished(failed: int) -> Finished:
    return Finished({}, {}, failed, failed, 0, 0, 0.0)
