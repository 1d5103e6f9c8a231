"""A Google spreadsheet in a few verbs: read its structure, read ranges, apply one batch exactly once.

Knows the Sheets API, its quotas, its errors and its lost answers; knows nothing of streams, rows or cursors. Tabs are
addressed by id and columns by index, never by title, because a person may rename and move both at any time.

Every batch carries a marker: its first request creates developer metadata with an id of the batch's own, and an id can
exist only once. After a time-out or a 5xx, which say nothing about whether the batch was applied, the marker is looked
for; and if the batch is sent again, Google refuses the later of the two. So a batch is applied once or not at all.
Who holds the lease (see ``lease``) counts its markers up from a number that is known to others, so that one who takes
the lease over can occupy the next marker, and with it stop every batch that is still under way. A batch that was given
up without knowing leaves its number to the next one: so it cannot arrive after that, and when it has arrived before,
the next one is refused and laid out again (ArrivedLate).
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreFailed
from owox_tiktok.retry import Limits, retrying
from owox_tiktok.sheets.cells import ENCODER, Cell, Json
from owox_tiktok.sheets.errors import ArrivedLate, OverQuota, Passing, SheetRefused, TooManyCells
from owox_tiktok.sheets.pace import Kind, Pace, per_minute
from owox_tiktok.sheets.requests import Block, create_metadata, delete_metadata
from owox_tiktok.sheets.shared_pace import pace_for
from owox_tiktok.sheets.tabs import (
    ON_LINES,
    PLEASE_WAIT,
    Locked,
    Snapshot,
    Structure,
    Tab,
    Tag,
    Written,
    area,
    letters,
    quoted,
)

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from tenacity import AttemptManager

    from owox_tiktok.sheets.transport import Transport

API = "https://sheets.googleapis.com"
API_VARIABLE = "SHEETS_API_URL"
"""Environment variable that points the client elsewhere, without credentials: at the emulator."""

LIMITS = Limits(attempts=12, deadline_s=300.0, first_s=1.0, longest_s=64.0)
"""Within which a call must succeed, waiting for the quota apart."""

WRITER_VARIABLE = "SHEETS_WRITER"
"""Environment variable: the service account that reads and writes the spreadsheet, if not that of this machine."""
QUOTA_S = 3600.0
"""So long a call waits for Google's quota where ``until`` says nothing: one that is still used up then is no matter of
waiting."""
SAID_S = 5.0
"""Who listens hears of waits from this on."""

MOST_FILTERS = 400
"""So many ranges are asked for in one call."""

_READ_BACK = (
    "properties(sheetId,gridProperties(rowCount,columnCount)),data(startRow,startColumn,"
    "rowData.values(effectiveValue),columnMetadata.developerMetadata(metadataKey,metadataValue))"
)
"""What is read back with a batch, of each tab."""

MARKER = "owox.batch"
FREE_MARKERS = 2**30 + 2**29
"""Who has no lease takes a number from here on; the lease's numbers are below."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much Google takes: cells of a spreadsheet, empty grid included; bytes of one request, advised and at most.

    (20 million cells are announced, and not everybody has them: where Google refuses, it says how many it takes, and
    that counts from then on.)
    """

    cells: int = 20_000_000
    batch_bytes: int = 2_000_000
    request_bytes: int = 10_485_760


class Rider(Protocol):
    """What is written along with batches that go anyway, so that it needs no calls of its own."""

    def blocks(self) -> list[Block]:
        """Return what it has to see beforehand; nothing while it has nothing to write."""
        ...

    def requests(self, seen: Mapping[int, Snapshot], tags: Sequence[Tag]) -> list[Json]:
        """Return what is written, given what the blocks hold and the tags on the spreadsheet."""
        ...

    def written(self, refused: SheetRefused | TooManyCells | None = None) -> None:
        """Hear that it was written; or why not, and that the batch goes without it."""
        ...


class _OfThread(threading.local):
    until: float | None = None
    urgent: bool = False


class Spreadsheet:
    """One spreadsheet. ``limits`` say how long a call is tried, ``sizes`` how much Google takes.

    ``pace`` is that of its account for the whole process, unless given. ``on_wait`` hears for how many seconds it waits
    for Google's quota.
    """

    def __init__(
        self,
        spreadsheet_id: str,
        *,
        credentials: Credentials | None = None,
        limits: Limits = LIMITS,
        sizes: Sizes = Sizes(),
        pace: Pace | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.id = spreadsheet_id
        self.most_filters = MOST_FILTERS
        self._by_name = False
        """Whether ranges must be asked for by name, because Google does not say which filter an answer is to."""
        self.on_wait: Callable[[float], None] = lambda _: None
        self.rider: Rider | None = None
        """What the next batch of rows takes along."""
        self.limits, self.sizes = limits, sizes
        self._credentials = credentials
        self._base = environment.get(API_VARIABLE, "").rstrip("/") or API
        self._transport: Transport | None = None
        self._environment = environment
        self._pace, self._per_minute = pace, per_minute(environment, google=self._base == API)
        self._seen: Structure | None = None
        """Tabs, and the tags on them and on the spreadsheet, as they were last seen."""
        self._lines_seen = False
        """Whether the tags on rows and columns are among them."""
        self.warnings: set[int] | None = set()
        """Ids of the protected ranges that were made; None where the answer was lost."""
        self._writing = threading.RLock()
        self._next_marker: int | None = None
        self._last_marker: int | None = None
        self._tried: set[str] = set()
        """What was sent with the next marker and not answered."""
        self._of_thread = _OfThread()

    @property
    def until(self) -> float | None:
        """The moment of ``limits.clock`` at which waiting for Google ends, whatever the deadline of a call.

        Each thread has its own, so that a sign of life is not kept waiting by a long step, nor the other way round.
        """
        return self._of_thread.until

    @until.setter
    def until(self, moment: float | None) -> None:
        self._of_thread.until = moment

    @contextmanager
    def within(self, seconds: float, *, urgent: bool = False) -> Iterator[None]:
        """Wait for Google no longer than ``seconds`` from now on, in place of what ``until`` said before.

        What is ``urgent`` does not queue for the quota behind other calls.
        """
        before, self.until = self.until, self.limits.clock() + seconds
        self._of_thread.urgent = urgent
        try:
            yield
        finally:
            self.until, self._of_thread.urgent = before, False

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"Spreadsheet {self.id}"

    @property
    def compresses(self) -> bool | None:
        """Whether Google has taken a compressed request; None while none was sent."""
        return self._transport.packs if self._transport is not None else None

    @property
    def account(self) -> str:
        """Whom to share with, or to let edit: an address, or words for it."""
        return self._transport.editor if self._transport is not None else "this program"

    def quota(self) -> tuple[int, int, int] | None:
        """Return how many reads, and writes, a minute has, and how many of each the last minute used, by all it knows.

        None where there is no limit, or nothing was called yet.
        """
        if self._pace is None or self._pace.per_minute is None:
            return None
        now = self.limits.clock()
        return self._pace.per_minute, self._pace.spent("read", now), self._pace.spent("write", now)

    def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            self._transport.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    def structure(self, keys: Sequence[str], *, recent: bool = False) -> Structure:
        """Return the tabs, and the tags with one of ``keys``: one call, and one more for tags on rows or columns.

        ``recent``: tabs and tags as they were last seen will do, with what this program has changed since; for the
        start of a run, when several look one after another at what nobody has changed.
        """
        seen = self._seen if recent else None
        if seen is None:
            seen = self._seen = self._look_around()
            self._lines_seen = False
        if ON_LINES.intersection(keys) and not self._lines_seen:
            seen = self._seen = replace(seen, tags=(*seen.tags, *self.tags(sorted(ON_LINES))))
            self._lines_seen = True
        tags = [t for t in seen.tags if t.key in keys]
        return replace(seen, tags=tuple(sorted(tags, key=lambda t: t.id)))

    def _look_around(self) -> Structure:
        properties = "sheetId,title,gridProperties(rowCount,columnCount,frozenRowCount)"
        tags = "developerMetadata(metadataId,metadataKey,metadataValue,location)"
        protected = "protectedRanges(protectedRangeId,description,range,warningOnly,requestingUserCanEdit)"
        fields = f"properties(title,timeZone),{tags},sheets(properties({properties}),{tags},{protected})"
        answer = self._read("get", "", params={"fields": fields})
        tabs = {}
        warnings: list[int] = []
        locked: list[Locked] = []
        found = [*answer.get("developerMetadata", [])]
        for one in answer.get("sheets", []):
            known = one["properties"]
            grid = known.get("gridProperties", {})
            tabs[known["sheetId"]] = Tab(
                known["sheetId"],
                known["title"],
                grid.get("rowCount", 0),
                grid.get("columnCount", 0),
                grid.get("frozenRowCount", 0),
            )
            found += one.get("developerMetadata", [])
            ranges = one.get("protectedRanges", [])
            warnings += [r["protectedRangeId"] for r in ranges if r.get("description") == PLEASE_WAIT]
            locked += [_locked(r, known["sheetId"]) for r in ranges if _is_locked(r)]
        about = answer.get("properties", {})
        title, zone = str(about.get("title", "")), str(about.get("timeZone", "UTC"))
        return Structure(tabs, tuple(map(_tag, found)), title, zone, tuple(warnings), tuple(locked))

    def tags(self, keys: Sequence[str]) -> tuple[Tag, ...]:
        """Return the tags with one of ``keys``, by id; one call."""
        filters = [{"developerMetadataLookup": {"metadataKey": key}} for key in keys]
        found = self._read("post", "/developerMetadata:search", body={"dataFilters": filters})
        tags = (_tag(one["developerMetadata"]) for one in found.get("matchedDeveloperMetadata", []))
        return tuple(sorted(tags, key=lambda t: t.id))

    def values(self, blocks: Sequence[Block]) -> list[list[list[Cell]]]:
        """Return the values of each block, row by row, blanks included. Blocks must lie inside the grid.

        One call, or more where there are very many blocks.
        """
        found: dict[Block, list[list[Cell]]] = {}
        wanted = list(dict.fromkeys(blocks))
        for start in range(0, len(wanted), self.most_filters):
            found |= self._values(wanted[start : start + self.most_filters])
        return [_padded(found.get(b, []), b) for b in blocks]

    def _values(self, blocks: Sequence[Block]) -> dict[Block, list[list[Cell]]]:
        if self._by_name:
            return self._values_by_name(blocks)
        found: dict[Block, list[list[Cell]]] = {}
        for one in self.ask("/values:batchGetByDataFilter", blocks).get(
            "valueRanges", []
        ):  # not in the order asked for
            rows = one["valueRange"].get("values", [])
            filters = one.get("dataFilters", [])
            self._by_name = self._by_name or not filters
            for data_filter in filters:
                found[_block(data_filter.get("gridRange", {}))] = rows
        if self._by_name or not found.keys() <= set(blocks):
            # Taking them for blanks would store every row a second time.
            self._by_name = True
            return self._values_by_name(blocks)
        return found

    def _values_by_name(self, blocks: Sequence[Block]) -> dict[Block, list[list[Cell]]]:
        """Return the values of blocks whose ranges are named as people name them; two calls."""
        tabs = self._look_around().tabs
        gone = next((b for b in blocks if b.tab not in tabs), None)
        if gone is not None:
            raise SheetRefused(
                "a tab was deleted meanwhile", code=HTTPStatus.BAD_REQUEST, where=self.where, what_to_do="Import again."
            )
        names = [
            f"{_quoted(tabs[b.tab].title)}!{letters(b.left)}{b.top + 1}:{letters(b.right - 1)}{b.bottom}"
            for b in blocks
        ]
        options = {"majorDimension": "ROWS", "valueRenderOption": "UNFORMATTED_VALUE"}
        said = {**options, "dateTimeRenderOption": "SERIAL_NUMBER", "ranges": names, "fields": "valueRanges.values"}
        ranges = self._read("get", "/values:batchGet", params=said).get("valueRanges", [])
        if len(ranges) != len(blocks):
            raise StoreFailed(
                "Google's answer has other ranges than were asked for",
                where=self.where,
                what_to_do="Report it with the log.",
            )
        return {block: one.get("values", []) for block, one in zip(blocks, ranges, strict=True)}

    def echoes(self, blocks: Sequence[Block]) -> bool:
        """Whether an answer says which range is which; one call."""
        found = self.ask("/values:batchGetByDataFilter", blocks).get("valueRanges", [])
        said = {_block(f.get("gridRange", {})) for one in found for f in one.get("dataFilters", [])}
        return said == set(blocks)

    def ask(self, path: str, blocks: Sequence[Block]) -> Json:
        """Return the values of blocks as the API says them; one call."""
        return self._read(
            "post",
            path,
            params={"fields": "valueRanges(valueRange(values),dataFilters)"},
            body={
                "dataFilters": [{"gridRange": b.as_range()} for b in blocks],
                "majorDimension": "ROWS",
                "valueRenderOption": "UNFORMATTED_VALUE",
                "dateTimeRenderOption": "SERIAL_NUMBER",
            },
        )

    def tagged_values(self, key: str) -> list[list[list[Cell]]]:
        """Return the values of each tab, row or column that is tagged with ``key``, row by row; one call."""
        answer = self._read(
            "post",
            "/values:batchGetByDataFilter",
            params={"fields": "valueRanges.valueRange.values"},
            body={
                "dataFilters": [{"developerMetadataLookup": {"metadataKey": key}}],
                "majorDimension": "ROWS",
                "valueRenderOption": "UNFORMATTED_VALUE",
            },
        )
        return [one.get("valueRange", {}).get("values", []) for one in answer.get("valueRanges", [])]

    def cells(self, blocks: Sequence[Block]) -> dict[int, dict[int, Written]]:
        """Return what is written in the blocks of one tab by row and column, without blank cells; one call."""
        if not blocks:
            return {}
        answer = self._read(
            "post",
            ":getByDataFilter",
            params={"fields": "sheets.data(startRow,startColumn,rowData.values(userEnteredValue,note))"},
            body={"dataFilters": [{"gridRange": b.as_range()} for b in blocks]},
        )
        found: dict[int, dict[int, Written]] = {}
        for sheet in answer.get("sheets", []):
            for data in sheet.get("data", []):
                for row, line in enumerate(data.get("rowData", []), data.get("startRow", 0)):
                    for column, one in enumerate(line.get("values", []), data.get("startColumn", 0)):
                        written = _written(one)
                        if written is not None:
                            found.setdefault(row, {})[column] = written
        return found

    def snapshot(self, blocks: Sequence[Block]) -> dict[int, Snapshot]:
        """Return what is in the blocks, by tab, with the tags of their columns, all at one moment; one call."""
        return self.snapshot_and_tags(blocks)[0]

    def snapshot_and_tags(self, blocks: Sequence[Block]) -> tuple[dict[int, Snapshot], tuple[Tag, ...]]:
        """Return the same, and the tags on the whole spreadsheet; one call."""
        answer = self._read(
            "post",
            ":getByDataFilter",
            params={
                "fields": "developerMetadata(metadataId,metadataKey,metadataValue,location),"
                f"sheets({_READ_BACK.replace('effectiveValue', 'userEnteredValue,effectiveValue,note')})"
            },
            body={"dataFilters": [{"gridRange": b.as_range()} for b in blocks]},
        )
        return _snapshots(answer.get("sheets", [])), tuple(map(_tag, answer.get("developerMetadata", [])))

    def look(self, tabs: Sequence[int], fields: str) -> Json:
        """Return what ``fields`` (a mask of the API's) names of some tabs, as the API says it; one call."""
        if not tabs:
            return {}
        filters = [{"gridRange": {"sheetId": tab}} for tab in tabs]
        return self._read("post", ":getByDataFilter", params={"fields": fields}, body={"dataFilters": filters})

    # --- writing ------------------------------------------------------------------------------------------------------

    def apply(
        self, batch: Sequence[Json], back: Sequence[Block] = (), titles: Mapping[int, str] | None = None
    ) -> dict[int, Snapshot]:
        """Apply the requests, all or none, once and not twice; StoreFailed when that cannot be done.

        StoreBusy when another run has taken the lease over: then nothing of the batch is applied.
        Return what is in the blocks ``back`` right afterwards, before anybody could change it, by tab. ``titles`` are
        the titles of their tabs. Where the answer was lost, it is read now.
        """
        with self._writing:
            seen, self._seen = self._seen, None  # not known, should the batch fail
            answer = self._apply(batch, [f"{quoted((titles or {})[b.tab])}!{area(b)}" for b in back])
            self._seen = seen.after(batch) if seen else None
        if not back:
            return {}
        if answer is None:
            return self.snapshot(back)
        return _snapshots(answer.get("updatedSpreadsheet", {}).get("sheets", []))

    def try_batch(self, batch: Sequence[Json], *, read_back: Sequence[str]) -> Json:
        """Send a batch once, without a marker, and return its answer with the cells of the ranges ``read_back``."""
        body = {
            "requests": list(batch),
            "includeSpreadsheetInResponse": True,
            "responseRanges": list(read_back),
            "responseIncludeGridData": True,
        }
        return self._call("post", ":batchUpdate", data=ENCODER.encode(body))

    def count_markers_from(self, first: int | None) -> None:
        """Use the numbers from ``first`` on as markers; None: numbers of no run."""
        with self._writing:
            self._next_marker, self._last_marker = first, None
            self._tried.clear()

    def _apply(self, batch: Sequence[Json], back: Sequence[str] = ()) -> Json | None:
        """Apply a batch and return the answer, which tells what is in the ranges ``back``; None where it was lost."""
        answer: Json | None = None
        held = self._next_marker is not None
        number = self._next_marker if self._next_marker is not None else FREE_MARKERS + secrets.randbelow(2**29)
        token = f"{self.now().isoformat(timespec='seconds')} {secrets.token_hex(8)}"
        marker = create_metadata(MARKER, token, number)
        # Others' markers are not touched: they may still be looked for.
        old = [delete_metadata(self._last_marker)] if self._last_marker is not None else []
        more = {"includeSpreadsheetInResponse": True, "responseIncludeGridData": True, "responseRanges": back}
        body = ENCODER.encode({"requests": [marker, *batch, *old], **(more if back else {})})
        fields = f"spreadsheetId,updatedSpreadsheet.sheets({_READ_BACK})" if back else "spreadsheetId"
        warns = any("addProtectedRange" in request for request in batch)
        if warns:
            fields += ",replies.addProtectedRange.protectedRange.protectedRangeId"
        if len(body) > self.sizes.request_bytes:
            raise StoreFailed(
                f"a single step would need {len(body):,} bytes, and Google takes {self.sizes.request_bytes:,}",
                where=self.where,
                what_to_do="Choose fewer fields, or import into BigQuery.",
            )
        if held:
            self._tried.add(token)
        unsure = False
        for attempt in self._retrying():
            with attempt:
                if unsure and self.metadata(number) == token:
                    break
                try:
                    answer = self._call("post", ":batchUpdate", params={"fields": fields}, data=body)
                except Passing as error:
                    unsure = unsure or error.unsure
                    raise
                except SheetRefused as error:
                    # The first try may have arrived after we looked: then it is this second one that is refused.
                    # And a range to read back whose tab has another title by now may be refused after the fact.
                    refused = error.code == HTTPStatus.BAD_REQUEST and (held or back)
                    there = self.metadata(number) if unsure or refused else None
                    if there is None:
                        raise
                    if there in self._tried and there != token:
                        self._go_on_from(number)
                        raise ArrivedLate(
                            "an earlier step arrived late",
                            code=error.code,
                            where=self.where,
                            what_to_do="Import again.",
                        ) from None
                    if there != token:
                        raise StoreBusy(
                            "another import has taken this spreadsheet over",
                            where=self.where,
                            what_to_do="Nothing is lost: it continues where this one ended.",
                        ) from None
        if held:
            self._go_on_from(number)
        if warns:
            made = [r.get("addProtectedRange", {}).get("protectedRange") for r in (answer or {}).get("replies", [])]
            numbers = {int(one["protectedRangeId"]) for one in made if one}
            self.warnings = self.warnings | numbers if self.warnings is not None and numbers else None
        return answer

    def _go_on_from(self, number: int) -> None:
        """Take note that the batch with the marker ``number`` was applied."""
        self._last_marker, self._next_marker = number, number + 1
        self._tried.clear()

    def metadata(self, number: int) -> str | None:
        """Return the value of the developer metadata with the id ``number``, None when there is none; one call."""
        try:
            return str(self._read("get", f"/developerMetadata/{number}").get("metadataValue", ""))
        except SheetRefused as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    def now(self) -> datetime:
        """Return the time by Google's clock, as of its last answer: the one that all runs share."""
        said = self._transport.now() if self._transport is not None else None
        return said or datetime.now(UTC)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _retrying(self) -> Iterator[AttemptManager]:
        limits = self.limits
        left_s = limits.deadline_s if self.until is None else self.until - limits.clock()
        within = replace(limits, deadline_s=max(1.0, min(limits.deadline_s, left_s)))
        # Who has no quota left has waited for it already.
        return iter(retrying(lambda error: isinstance(error, Passing) and not isinstance(error, OverQuota), within))

    def _read(self, method: str, path: str, *, params: Json | None = None, body: Json | None = None) -> Json:
        data = None if body is None else ENCODER.encode(body)
        answer: Json = {}
        for attempt in self._retrying():
            with attempt:
                answer = self._call(method, path, params=params, data=data)
        return answer

    def _call(self, method: str, path: str, *, params: Json | None = None, data: bytes | None = None) -> Json:
        """Send one request when the quota has room; Passing or SheetRefused when it does not succeed."""
        if self._transport is None:
            from owox_tiktok.sheets.transport import Transport

            self._transport = Transport(
                self.id,
                self._base,
                self._credentials,
                anonymous=self._base != API,
                writer=self._environment.get(WRITER_VARIABLE, "").strip(),
                clock=self.limits.clock,
            )
        pace = self._pace = self._pace or pace_for(
            self._base, self._transport.account, self._per_minute, self._environment
        )
        kind: Kind = "write" if path == ":batchUpdate" else "read"
        left_s = QUOTA_S
        while True:
            sent, waited_s = self._turn(pace, kind, left_s)
            left_s -= waited_s
            try:
                answer = self._transport.send(method, path, params=params, data=data)
            except OverQuota:
                pace.refused(kind, sent, self.limits.clock())
                continue
            except TooManyCells as error:
                if error.limit:
                    self.sizes = replace(self.sizes, cells=error.limit)
                raise
            pace.answered(kind, sent)
            return answer

    def _turn(self, pace: Pace, kind: Kind, left_s: float) -> tuple[float, float]:
        """Wait for the moment to send a call; return it and how many seconds that took. OverQuota without the time."""
        now = self.limits.clock()
        end = now + left_s if self.until is None else self.until
        at = pace.take(kind, now, until=end, urgent=self._of_thread.urgent)
        if at is None:
            raise OverQuota(
                f"Google's quota of {kind}s per minute is used up, and there is no time left to wait for it",
                where=self.where,
            )
        if (wait_s := at - now) > 0:
            if wait_s >= SAID_S:
                self.on_wait(wait_s)
            self.limits.sleep(wait_s)
        return at, max(0.0, wait_s)


def _tag(found: Json) -> Tag:
    place = found.get("location", {})
    span = place.get("dimensionRange")
    # The API leaves zeros out of a range.
    tab = span.get("sheetId", 0) if span else place.get("sheetId")
    return Tag(
        found["metadataId"],
        found["metadataKey"],
        found.get("metadataValue", ""),
        tab,
        span["dimension"] if span else "",
        span.get("startIndex", 0) if span else 0,
    )


def _is_locked(found: Json) -> bool:
    return not found.get("warningOnly") and not found.get("requestingUserCanEdit")


def _locked(found: Json, tab: int) -> Locked:
    place = found.get("range", {})
    return Locked(tab, place.get("startColumnIndex", 0), place.get("endColumnIndex", 2**31))


def _snapshots(sheets: Sequence[Json]) -> dict[int, Snapshot]:
    """Return what an answer says of its tabs, by their ids."""
    found = {}
    for sheet in sheets:
        values: dict[int, dict[int, Cell]] = {}
        written: dict[int, dict[int, Written]] = {}
        tagged: dict[int, frozenset[tuple[str, str]]] = {}
        for data in sheet.get("data", []):
            left = data.get("startColumn", 0)
            for row, line in enumerate(data.get("rowData", []), data.get("startRow", 0)):
                for column, one in enumerate(line.get("values", []), left):
                    value = next(iter(one.get("effectiveValue", {}).values()), None)
                    if isinstance(value, str | int | float | bool) and value != "":
                        values.setdefault(row, {})[column] = value
                    if (entered := _written(one)) is not None:
                        written.setdefault(row, {})[column] = entered
            for column, one in enumerate(data.get("columnMetadata", []), left):
                tags = one.get("developerMetadata", [])
                tagged[column] = frozenset((t["metadataKey"], t.get("metadataValue", "")) for t in tags)
        grid = sheet["properties"].get("gridProperties", {})
        found[sheet["properties"]["sheetId"]] = Snapshot(
            grid.get("rowCount", 0), grid.get("columnCount", 0), values, written, tagged
        )
    return found


def _block(found: Json) -> Block:
    return Block(
        found.get("sheetId", 0),
        found.get("startRowIndex", 0),
        found.get("endRowIndex", 0),
        found.get("startColumnIndex", 0),
        found.get("endColumnIndex", 0),
    )


def _quoted(title: str) -> str:
    return "'" + title.replace("'", "''") + "'"


def _padded(rows: list[list[Cell]], block: Block) -> list[list[Cell]]:
    """Return the rows with the blanks that the API leaves out; an empty text is a blank."""
    width = block.right - block.left
    whole: list[list[Cell]] = [[None if v == "" else v for v in row] + [None] * (width - len(row)) for row in rows]
    return whole + [[None] * width for _ in range(block.bottom - block.top - len(whole))]


def _written(found: Json) -> Written | None:
    value = found.get("userEnteredValue", {})
    note = found.get("note", "")
    if not value and not note:
        return None
    formula = value.get("formulaValue", "")
    plain = next((v for k, v in value.items() if k != "formulaValue"), None)
    return Written(plain if isinstance(plain, str | int | float | bool) else None, formula, note)


def spreadsheet_id(text: str, where: str = "spreadsheet") -> str:
    """Return the id in a spreadsheet's address, or the id itself; BadInput when it is neither."""
    found = re.search(r"/d/([A-Za-z0-9_-]+)", text)
    name = found[1] if found else text.strip().strip("/")
    if not re.fullmatch(r"[A-Za-z0-9_-]{5,}", name):
        raise BadInput(
            [Mistake(where, "is not the address of a spreadsheet", "Write the id from its address, after /d/.")]
        )
    return name
