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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import mktime_tz, parsedate_tz
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
import requests

from owox_tiktok.errors import BadInput, Mistake, StoreBusy, StoreFailed, StoreSilent
from owox_tiktok.retry import retrying
from owox_tiktok.sheets.cells import ENCODER, Cell, Json
from owox_tiktok.sheets.requests import Block, create_metadata, delete_metadata
from owox_tiktok.sheets.tabs import Snapshot, Structure, Tab, Tag, Written

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from gspread.http_client import HTTPClient

API = "https://sheets.googleapis.com"
API_VARIABLE = "SHEETS_API_URL"
"""Environment variable that points the client elsewhere, without credentials: at the local stand-in."""
SCOPE = "https://www.googleapis.com/auth/spreadsheets"

CELL_LIMIT = 10_000_000
"""Cells of a spreadsheet, empty grid included. (A larger number has been announced; Google's refusal decides.)"""
BATCH_BYTES = 2_000_000
"""Google advises at most this much in one request …"""
MOST_BYTES = 10_485_760
"""… and refuses more than this."""

ATTEMPTS = 12
DEADLINE_S = 300.0
"""Seconds within which a call must succeed, waits included."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 64.0
"""Quotas are refilled every minute, so a wait needs to be no longer."""
TIMEOUT_S = 190.0
"""Google gives up on a request after 180 seconds."""

MARKER = "owox.batch"
FREE_MARKERS = 2**30 + 2**29
"""Who has no lease takes a number from here on; the lease's numbers are below."""

_PASSING_CODES = frozenset({408, 409, 429, 500, 502, 503, 504})
_UNTOUCHED_CODES = frozenset({429})
"""Answers that mean the request was not even begun."""


class _Passing(StoreSilent):
    """Trouble that may pass. ``unsure``: the request may have been carried out all the same."""

    def __init__(self, message: str, *, where: str, unsure: bool) -> None:
        self.unsure = unsure
        super().__init__(message, where=where, what_to_do="Try again later.")


class SheetRefused(StoreFailed):
    """Google said no and would say it again; ``code`` is the HTTP status."""

    def __init__(self, message: str, *, code: int, where: str, what_to_do: str) -> None:
        self.code = code
        super().__init__(message, where=where, what_to_do=what_to_do)


class ArrivedLate(SheetRefused):
    """A batch that was given up, its answer lost, has been applied meanwhile: look again at what is there."""


class TooManyCells(StoreFailed):
    """The spreadsheet has no room for so many cells."""


class _Patience(threading.local):
    until: float | None = None


class Spreadsheet:
    """One spreadsheet. ``sleep`` is an argument so that waits take no time in tests."""

    def __init__(
        self,
        spreadsheet_id: str,
        *,
        credentials: Credentials | None = None,
        deadline_s: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.id = spreadsheet_id
        self._credentials = credentials
        self._base = environment.get(API_VARIABLE, "").rstrip("/") or API
        self._deadline_s = DEADLINE_S if deadline_s is None else deadline_s
        self._sleep = sleep
        self._opened: HTTPClient | None = None
        self._writing = threading.RLock()
        self._next_marker: int | None = None
        self._last_marker: int | None = None
        self._tried: set[str] = set()
        """What was sent with the next marker and not answered."""
        self._clock: tuple[datetime, float] | None = None
        self._patience = _Patience()

    @property
    def until(self) -> float | None:
        """The moment of ``time.monotonic`` at which waiting for Google ends, whatever the deadline of a call.

        Each thread has its own, so that a sign of life is not kept waiting by a long step, nor the other way round.
        """
        return self._patience.until

    @until.setter
    def until(self, moment: float | None) -> None:
        self._patience.until = moment

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"Spreadsheet {self.id}"

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.session.close()
            self._opened = None

    # --- reading ------------------------------------------------------------------------------------------------------

    def structure(self, keys: Sequence[str]) -> Structure:
        """Return the tabs, and the tags with one of ``keys``; two calls."""
        properties = "sheetId,title,gridProperties(rowCount,columnCount,frozenRowCount)"
        fields = f"properties(title,timeZone),sheets.properties({properties})"
        answer = self._read("get", "", params={"fields": fields})
        tabs = {}
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
        about = answer.get("properties", {})
        return Structure(tabs, self.tags(keys), str(about.get("title", "")), str(about.get("timeZone", "UTC")))

    def tags(self, keys: Sequence[str]) -> tuple[Tag, ...]:
        """Return the tags with one of ``keys``, by id; one call."""
        filters = [{"developerMetadataLookup": {"metadataKey": key}} for key in keys]
        found = self._read("post", "/developerMetadata:search", body={"dataFilters": filters})
        tags = (_tag(one["developerMetadata"]) for one in found.get("matchedDeveloperMetadata", []))
        return tuple(sorted(tags, key=lambda t: t.id))

    def values(self, blocks: Sequence[Block]) -> list[list[list[Cell]]]:
        """Return the values of each block, row by row, blanks included; one call. Blocks must lie inside the grid."""
        if not blocks:
            return []
        answer = self._read(
            "post",
            "/values:batchGetByDataFilter",
            params={"fields": "valueRanges(valueRange(values),dataFilters)"},
            body={
                "dataFilters": [{"gridRange": b.as_range()} for b in dict.fromkeys(blocks)],
                "majorDimension": "ROWS",
                "valueRenderOption": "UNFORMATTED_VALUE",
                "dateTimeRenderOption": "SERIAL_NUMBER",
            },
        )
        found: dict[Block, list[list[Cell]]] = {}
        for one in answer.get("valueRanges", []):  # not in the order asked for
            rows = one["valueRange"].get("values", [])
            for data_filter in one["dataFilters"]:
                found[_block(data_filter["gridRange"])] = rows
        if not found.keys() <= set(blocks):
            # Taking them for blanks would store every row a second time.
            raise StoreFailed(
                "Google's answer has other ranges than were asked for",
                where=self.where,
                what_to_do="Report it with the log.",
            )
        return [_padded(found.get(b, []), b) for b in blocks]

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
        answer = self._read(
            "post",
            ":getByDataFilter",
            params={
                "fields": "sheets(properties(sheetId,gridProperties(rowCount,columnCount)),data(startRow,startColumn,"
                "rowData.values(userEnteredValue,effectiveValue,note),"
                "columnMetadata.developerMetadata(metadataKey,metadataValue)))"
            },
            body={"dataFilters": [{"gridRange": b.as_range()} for b in blocks]},
        )
        found = {}
        for sheet in answer.get("sheets", []):
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

    def look(self, tabs: Sequence[int], fields: str) -> Json:
        """Return what ``fields`` (a mask of the API's) names of some tabs, as the API says it; one call."""
        if not tabs:
            return {}
        filters = [{"gridRange": {"sheetId": tab}} for tab in tabs]
        return self._read("post", ":getByDataFilter", params={"fields": fields}, body={"dataFilters": filters})

    # --- writing ------------------------------------------------------------------------------------------------------

    def apply(self, batch: Sequence[Json]) -> None:
        """Apply the requests, all or none, once and not twice; StoreFailed when that cannot be done.

        StoreBusy when another run has taken the lease over: then nothing of the batch is applied.
        """
        with self._writing:
            self._apply(batch)

    def count_markers_from(self, first: int | None) -> None:
        """Use the numbers from ``first`` on as markers; None: numbers of no run."""
        with self._writing:
            self._next_marker, self._last_marker = first, None
            self._tried.clear()

    def _apply(self, batch: Sequence[Json]) -> None:
        held = self._next_marker is not None
        number = self._next_marker if self._next_marker is not None else FREE_MARKERS + secrets.randbelow(2**29)
        token = f"{self.now().isoformat(timespec='seconds')} {secrets.token_hex(8)}"
        marker = create_metadata(MARKER, token, number)
        # Others' markers are not touched: they may still be looked for.
        old = [delete_metadata(self._last_marker)] if self._last_marker is not None else []
        body = ENCODER.encode({"requests": [marker, *batch, *old]})
        if len(body) > MOST_BYTES:
            raise StoreFailed(
                f"a single step would need {len(body):,} bytes, and Google takes {MOST_BYTES:,}",
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
                    self._call("post", ":batchUpdate", params={"fields": "spreadsheetId"}, data=body)
                except _Passing as error:
                    unsure = unsure or error.unsure
                    raise
                except SheetRefused as error:
                    # The first try may have arrived after we looked: then it is this second one that is refused.
                    there = self.metadata(number) if unsure or (held and error.code == HTTPStatus.BAD_REQUEST) else None
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
                            what_to_do="Nothing is lost: it goes on where this one ended.",
                        ) from None
        if held:
            self._go_on_from(number)

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
        if self._clock is None:
            return datetime.now(UTC)
        said, heard = self._clock
        return said + timedelta(seconds=time.monotonic() - heard)

    @property
    def _left_s(self) -> float:
        """How long a call may take from now on."""
        left = self._deadline_s if self.until is None else self.until - time.monotonic()
        return max(1.0, min(self._deadline_s, left))

    # --- calls --------------------------------------------------------------------------------------------------------

    def _retrying(self) -> Iterator[Any]:
        return iter(
            retrying(
                _Passing,
                attempts=ATTEMPTS,
                deadline_s=self._left_s,
                first_s=FIRST_WAIT_S,
                longest_s=LONGEST_WAIT_S,
                sleep=self._sleep,
            )
        )

    def _read(self, method: str, path: str, *, params: Json | None = None, body: Json | None = None) -> Json:
        data = None if body is None else ENCODER.encode(body)
        answer: Json = {}
        for attempt in self._retrying():
            with attempt:
                answer = self._call(method, path, params=params, data=data)
        return answer

    def _call(self, method: str, path: str, *, params: Json | None = None, data: bytes | None = None) -> Json:
        """Send one request; _Passing or SheetRefused when it does not succeed."""
        from google.auth.exceptions import GoogleAuthError, TransportError
        from gspread.exceptions import APIError

        headers = {"Content-Type": "application/json"} if data is not None else None
        try:
            answer = self._client().request(
                method, f"{self._base}/v4/spreadsheets/{self.id}{path}", params=params, data=data, headers=headers
            )
            self._heard(answer)
            decoded: Json = msgspec.json.decode(answer.content)
        except APIError as error:
            self._heard(error.response)
            raise self._trouble(error) from None
        except TransportError as error:
            raise _Passing(
                f"no connection to Google ({type(error).__name__})", where=self.where, unsure=False
            ) from None
        except GoogleAuthError as error:
            if error.retryable or isinstance(error.__cause__, TransportError):
                # The sign-in, not the request: on a Google machine its own service may be slow.
                raise _Passing("Google's sign-in does not answer", where=self.where, unsure=False) from None
            raise _no_credentials(error) from None
        except (requests.RequestException, msgspec.DecodeError) as error:
            # A failed connection may have failed after the request went out, so nothing is known.
            raise _Passing(f"Google did not answer ({type(error).__name__})", where=self.where, unsure=True) from None
        return decoded

    def _heard(self, answer: requests.Response) -> None:
        """Take the time from an answer, a refusal too: before the first lease there may be no other."""
        if said := parsedate_tz(answer.headers.get("Date", "")):
            self._clock = (datetime.fromtimestamp(mktime_tz(said), UTC), time.monotonic())

    def _client(self) -> HTTPClient:
        if self._opened is None:
            from google.auth.credentials import AnonymousCredentials
            from gspread.http_client import HTTPClient

            if self._credentials is None:
                self._credentials = AnonymousCredentials() if self._base != API else _default_credentials()  # type: ignore[no-untyped-call]
            self._opened = HTTPClient(self._credentials)
            self._opened.set_timeout((10.0, TIMEOUT_S))
        return self._opened

    def _account(self) -> str:
        """The e-mail address to share the spreadsheet with, or words for it."""
        email = str(getattr(self._credentials, "service_account_email", None) or "")
        return email if "@" in email else "the Google account this program runs as"

    def _trouble(self, error: Any) -> StoreFailed:
        """Turn an APIError into what a person should know."""
        code = int(error.response.status_code)
        status, message = str(error.error.get("status", "")), str(error.error.get("message", ""))[:300]
        if code in _PASSING_CODES or code >= 500:
            return _Passing(f"Google answered {code} {status}", where=self.where, unsure=code not in _UNTOUCHED_CODES)
        what, advice = _explained(code, status, message, error.error.get("details") or [], self._account())
        if re.search(r"above the limit of \d+ cells", message):
            return TooManyCells(message, where=self.where, what_to_do=WAYS_OUT)
        return SheetRefused(what, code=code, where=self.where, what_to_do=advice)


AS_A_SERVICE_ACCOUNT = (
    "Run as a service account: a server has its own; on your computer run gcloud auth application-default login "
    "--impersonate-service-account=ADDRESS."
)
"""A person's own login does not do: gcloud's does not cover Sheets."""
WAYS_OUT = (
    "Choose fewer fields, a shorter Clean Up To Keep Window or a later Start Date, remove tabs you do not need, or "
    "import into BigQuery."
)


def _explained(code: int, status: str, message: str, details: Iterable[Any], account: str) -> tuple[str, str]:
    """Return what happened and what to do about it."""
    if code == 403 and any(isinstance(d, dict) and d.get("reason") == "SERVICE_DISABLED" for d in details):
        return "the Google Sheets API is switched off", "Enable it in the Google Cloud project this program runs in."
    if code == 403 and any(
        isinstance(d, dict) and d.get("reason") == "ACCESS_TOKEN_SCOPE_INSUFFICIENT" for d in details
    ):
        return "the Google login of this machine does not cover Sheets", AS_A_SERVICE_ACCOUNT
    if code == 403:
        return "it is not shared with this program", f"Open it, press Share and add {account} as Editor."
    if code == 401:
        return "Google does not accept the credentials", "Sign in again, or use another service account."
    if code == 404:
        return "there is no such spreadsheet", "Copy the id from its address, between /d/ and /edit."
    if code == 400 and status == "FAILED_PRECONDITION" and "Office" in message:
        return "it is an Excel file", "Open it and choose File → Save as Google Sheets; then use the new one's id."
    if code == 400 and "protected cell" in message:
        return (
            "a protected range keeps this program from writing",
            f"Add {account} to its editors, or remove the protection.",
        )
    return f"Google refused: {message or code}", "If it happens again, report it with the log."


def _default_credentials() -> Credentials:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        found: Credentials = google.auth.default(scopes=[SCOPE])[0]
    except DefaultCredentialsError as error:
        raise _no_credentials(error) from None
    return found


def _no_credentials(error: Exception) -> BadInput:
    what = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return BadInput(
        [
            Mistake(
                "Google credentials",
                what,
                AS_A_SERVICE_ACCOUNT,
            )
        ]
    )


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


def _block(found: Json) -> Block:
    return Block(
        found.get("sheetId", 0),
        found.get("startRowIndex", 0),
        found.get("endRowIndex", 0),
        found.get("startColumnIndex", 0),
        found.get("endColumnIndex", 0),
    )


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
        raise BadInput([Mistake(where, "names no spreadsheet", "Write the id from its address, after /d/.")])
    return name
