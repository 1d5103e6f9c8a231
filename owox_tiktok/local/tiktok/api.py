"""The endpoints: from parameters to the data of an envelope.

Nothing here knows about sockets. Answers carry their JSON text, because making the text is the
expensive part and finished texts are kept.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from owox_tiktok.local.tiktok import centers, insights, more_lists, shop
from owox_tiktok.local.tiktok.assets import MANAGED, Row, entity_rows, kind_of, managed_row, pixel_statistics, visible
from owox_tiktok.local.tiktok.attributes import objective
from owox_tiktok.local.tiktok.catalogue import ID_DIMENSIONS, metric_infos, stream_fields
from owox_tiktok.local.tiktok.faults import Faults, code_message
from owox_tiktok.local.tiktok.limits import Limits
from owox_tiktok.local.tiktok.reports import Table, at_level, has_status, ordered, report_table, select_ads
from owox_tiktok.local.tiktok.rules import (
    MAX_IDS,
    MAX_PIXELS,
    PAGE_SIZES,
    PRIMARY_STATUSES,
    Refusal,
    ReportQuery,
    day_of,
    fields_of,
    ids_of,
    invalid_metrics,
    kinds_of,
    list_of,
    object_of,
    page_of,
    report_query,
    wrong,
)
from owox_tiktok.local.tiktok.switches import Rules
from owox_tiktok.local.tiktok.tasks import PATHS as TASK_PATHS
from owox_tiktok.local.tiktok.tasks import Tasks
from owox_tiktok.local.tiktok.texts import csv_text, number, report_texts
from owox_tiktok.local.tiktok.world import ORDINARY, Ad, AdGroup, Advertiser, Campaign, World

LISTS: dict[str, tuple[str, str]] = {
    "campaign/get": ("campaigns", "list"),
    "adgroup/get": ("ad_groups", "list"),
    "ad/get": ("ads", "list"),
    "smart_plus/campaign/get": ("smart_plus_campaigns", "list"),
    "smart_plus/adgroup/get": ("smart_plus_ad_groups", "list"),
    "smart_plus/ad/get": ("smart_plus_ads", "list"),
    "dmp/custom_audience/list": ("audiences", "list"),
    "file/image/ad/search": ("images", "list"),
    "file/video/ad/search": ("videos", "list"),
    "file/music/get": ("music", "musics"),
    "creative/portfolio/list": ("portfolios", "creative_portfolios"),
    "tt_video/list": ("spark_ads", "list"),
    "pixel/list": ("pixels", "pixels"),
    "pixel/instant_page/event": ("pixel_instant_page_events", "list"),
    "identity/get": ("identities", "identity_list"),
    "gmv_max/store/list": ("gmv_max_stores", "store_list"),
    "tool/language": ("languages", "languages"),
    "tool/interest_category": ("interest_categories", "interest_categories"),
    "tool/action_category": ("action_categories", "action_categories"),
    "search/region": ("regions", "region_list"),
}
"""Path to (stream, key of the rows in ``data``)."""

_SANDBOX = frozenset({"campaign/get", "adgroup/get", "ad/get", "report/integrated/get", "user/info", "identity/get"})
"""TikTok's own list of what the sandbox has, as far as it is simulated here."""
_NEVER_IN_SANDBOX = frozenset({"oauth2/advertiser/get", *TASK_PATHS})
REPORT = "report/integrated/get"
MAX_ACCOUNTS = 5
"""Accounts in one report."""
_OWNER = ("advertiser_id", "currency", "timezone")
"""What the rows of a report on several accounts hold without being asked."""
_SMART_PLUS = frozenset({"UPGRADED_SMART_PLUS", "SMART_PLUS"})


@dataclass(slots=True)
class Answer:
    """A finished answer: the envelope as bytes, and what the log and the faults want to know."""

    body: bytes
    code: int = 0
    params: dict[str, str] = field(default_factory=dict)
    page: int | None = None
    throttled: bool = False
    pages: _Pages | None = None
    content_type: str = "application/json"


@dataclass(slots=True)
class _Pages:
    """A paged answer before its envelope, kept to be able to answer with a shifted page."""

    key: str
    page: int
    size: int
    total: int
    texts: Callable[[int, int], list[str]]
    extra: str = ""

    def data(self, *, shifted: bool = False, gone: bool = False) -> str:
        """The JSON of ``data``.

        Shifted: one row comes twice and one is lost, or the total has moved. Gone: a row of an earlier page is
        no more, so that all later ones have moved up by one and the total is smaller.
        """
        begin = (self.page - 1) * self.size
        end = min(begin + self.size, self.total)
        total = self.total
        if shifted and self.total > self.size:
            if self.page > 1:
                begin, end = begin - 1, end - 1
            else:
                total += 1
        if gone and self.page > 1:
            total -= 1
            begin, end = min(begin + 1, self.total), min(end + 1, self.total)
        rows = ",".join(self.texts(begin, end)) if begin < end else ""
        info = {
            "page": self.page,
            "page_size": self.size,
            "total_number": total,
            "total_page": -(-total // self.size),
        }
        return f'{{"{self.key}":[{rows}],"page_info":{json.dumps(info)}{self.extra}}}'


class Credentials:
    """The one app, its one user and the tokens that are good at the moment."""

    def __init__(self, sandbox: bool) -> None:
        where = "sandbox" if sandbox else "local"
        self.app_id = "7000000000000000042"
        self.app_secret = f"{where}-app-secret-not-a-secret"
        self.token = f"{where}-token-not-a-secret"
        self.auth_code = f"{where}-auth-code"
        self.revoked: set[str] = set()
        self.others: set[str] = set()
        """Tokens of other users of the app, accepted as well."""
        self.ticks_none = False
        """Whether the user ticks no ad account when authorising."""
        self._codes = {self.auth_code}

    def exchange(self, app_id: object, secret: object, code: object) -> str:
        """A token for an auth code, which is then used up."""
        self.check_app(app_id, secret)
        if code not in self._codes:
            raise Refusal(40110, "The auth_code is used, cancelled or expired.")
        self._codes.discard(str(code))
        self.revoked.discard(self.token)
        return self.token

    def new_auth_code(self) -> str:
        """Let the user authorise once more."""
        self.auth_code = f"{self.auth_code}+"
        self._codes.add(self.auth_code)
        return self.auth_code

    def check_app(self, app_id: object, secret: object) -> None:
        """Refuse a wrong app id or secret."""
        if app_id != self.app_id or secret != self.app_secret:
            raise Refusal(40101, "The app_id or secret is incorrect.")

    def check_token(self, token: str) -> None:
        """Refuse a missing, unknown or revoked token."""
        if not token:
            raise Refusal(40104, "Access token is null, you should set it in http header with key Access-Token.")
        if token not in {self.token, *self.others} or token in self.revoked:
            raise Refusal(40105, "Access token is incorrect or has been revoked.")


class Api:
    """Answers requests about a world. ``faults`` is read for the lasting failures only."""

    def __init__(
        self,
        world: World,
        credentials: Credentials,
        faults: Faults,
        rules: Rules,
        limits: Limits,
        sandbox: bool,
        clock: Callable[[], float],
    ) -> None:
        self.world = world
        self.credentials = credentials
        self.faults = faults
        self.rules = rules
        self.sandbox = sandbox
        self.tasks = Tasks(rules, faults, limits, clock)
        self._tables: OrderedDict[object, tuple[Table, list[int] | None]] = OrderedDict()
        self._lock = Lock()
        self._request = 0
        self._plain: dict[str, Callable[[Mapping[str, str]], Any]] = {
            "oauth2/advertiser/get": self._oauth_advertisers,
            "user/info": self._user,
            "advertiser/info": self._advertisers,
        }

    @property
    def advertiser_ids(self) -> list[str]:
        """The accounts the token covers; in sandbox it is a single one."""
        return self.world.advertiser_ids[:1] if self.sandbox else self.world.advertiser_ids

    def knows(self, method: str, path: str) -> bool:
        """Whether there is such an endpoint."""
        if path in TASK_PATHS:
            return method == TASK_PATHS[path]
        if method == "POST":
            return path in ("oauth2/access_token", "oauth2/revoke_token")
        if path in {
            **shop.PATHS,
            **insights.PATHS,
            **more_lists.PATHS,
            **centers.OF_CENTERS,
            **centers.OF_CREATIVES,
            **centers.REVIEWS,
        }:
            return True
        return path in LISTS or path in self._plain or path in (REPORT, "pixel/event/stats", "bc/balance/get")

    def check_sandbox(self, path: str) -> None:
        """Refuse an endpoint that the sandbox does not have."""
        missing = path not in _SANDBOX if self.rules.sandbox_list == "official" else path in _NEVER_IN_SANDBOX
        if self.sandbox and missing:
            raise Refusal(40014, "This endpoint is not supported in the sandbox environment.")

    def get(self, path: str, params: dict[str, str], token: str = "", base: str = "") -> Answer:
        """Answer a GET request whose token has been checked; ``base`` is this server's address."""
        if path in self._plain:
            return self._answer(json.dumps(self._plain[path](params), ensure_ascii=False))
        if path == REPORT and params.get("advertiser_ids"):
            asked = list(map(str, list_of(params, "advertiser_ids") or []))
            if not 1 <= len(asked) <= MAX_ACCOUNTS:
                raise wrong(f"advertiser_ids: Length must be between 1 and {MAX_ACCOUNTS}.")
            for one in asked:
                self._check_access(one)
            return self._report_of_several([self.world.advertiser(one) for one in asked], params)
        if path == "bc/balance/get":
            return self._answer(json.dumps(centers.balance_asked(params, self.rules)))
        if path == REPORT and params.get("report_type") == "BC":
            return self._rows_paged(path, "list", centers.report_asked(self.world, params), params)
        if path in centers.OF_CENTERS:
            found = centers.center_asked(self.world, path, params, self.rules)
            return self._rows_paged(path, centers.OF_CENTERS[path], found, params)
        advertiser_id = params.get("advertiser_id", "")
        if not advertiser_id:
            raise wrong("advertiser_id: Missing data for required field.")
        self._check_access(advertiser_id)
        if path in TASK_PATHS:
            return self._task(path, advertiser_id, params, token, base)
        advertiser = self.world.advertiser(advertiser_id)
        if path == REPORT:
            return self._report(advertiser, params)
        if path == "pixel/event/stats":
            return self._pixel_statistics(advertiser, params)
        if path in shop.PATHS:
            return self._shop(path, advertiser, params)
        if path in more_lists.PATHS:
            return self._more_list(path, advertiser, params)
        if path in insights.PATHS:
            found = insights.rows_asked(self.world, advertiser, path, params, self.rules)
            return self._rows_paged(path, insights.PATHS[path], found, params)
        if path in centers.REVIEWS:
            return self._answer(centers.reviews_asked(advertiser, path, params))
        if path in centers.OF_CREATIVES:
            found = centers.creative_asked(self.world, advertiser, path, params)
            return self._rows_paged(path, centers.OF_CREATIVES[path], found, params)
        return self._list(path, advertiser, params)

    def post(self, path: str, body: Mapping[str, Any], token: str) -> Answer:
        """Answer a POST request."""
        if path in TASK_PATHS:
            self.credentials.check_token(token)
            return self._post_task(path, body, token)
        for name in ("app_id", "secret", "access_token" if path.endswith("revoke_token") else "auth_code"):
            if not body.get(name):
                raise wrong(f"{name}: Missing data for required field.")
        if path == "oauth2/access_token":
            token = self.credentials.exchange(body["app_id"], body["secret"], body["auth_code"])
            data: dict[str, Any] = {"access_token": token, "scope": [1, 2, 4, 7]}
            if body.get("return_advertiser_ids", True):
                data["advertiser_ids"] = [] if self.credentials.ticks_none else self.advertiser_ids
        else:
            self.credentials.check_app(body["app_id"], body["secret"])
            self.credentials.check_token(str(body["access_token"]))
            self.credentials.revoked.add(str(body["access_token"]))
            data = {"app_id": body["app_id"], "advertiser_ids": self.advertiser_ids}
        return self._answer(json.dumps(data))

    def refusal(self, refusal: Refusal) -> Answer:
        """The envelope of a refusal."""
        body = {"code": refusal.code, "message": refusal.message, "request_id": self._request_id(), "data": {}}
        return Answer(json.dumps(body, ensure_ascii=False).encode(), refusal.code)

    def moved(self, answer: Answer, kind: str) -> Answer:
        """The same answer with a page that disagrees with the others: 'shifted_page' or 'row_gone'."""
        if answer.pages is None:
            return answer
        again = self._answer(answer.pages.data(shifted=kind == "shifted_page", gone=kind == "row_gone"))
        again.params, again.page, again.throttled = answer.params, answer.page, answer.throttled
        return again

    # --- envelopes ----------------------------------------------------------------------------------------------------

    def _request_id(self) -> str:
        with self._lock:
            self._request += 1
            return f"{datetime.now(UTC):%Y%m%d%H%M%S}{self._request:018X}"

    def _answer(self, data: str) -> Answer:
        head = f'{{"code":0,"message":"OK","request_id":"{self._request_id()}","data":'
        return Answer(f"{head}{data}}}".encode())

    def _paged(self, pages: _Pages) -> Answer:
        answer = self._answer(pages.data())
        answer.pages, answer.page = pages, pages.page
        return answer

    def _check_access(self, advertiser_id: str) -> None:
        if advertiser_id not in self.advertiser_ids or advertiser_id in self.faults.forbidden:
            raise Refusal(40001, f"No permission to operate advertiser {advertiser_id}.")

    # --- unpaged endpoints --------------------------------------------------------------------------------------------

    def _oauth_advertisers(self, params: Mapping[str, str]) -> Any:
        for name in ("app_id", "secret"):
            if not params.get(name):
                raise wrong(f"{name}: Missing data for required field.")
        self.credentials.check_app(params["app_id"], params["secret"])
        return {"list": [row for one in self.advertiser_ids for row in entity_rows(self.world, one, "advertiser_ids")]}

    def _user(self, params: Mapping[str, str]) -> Any:
        return {
            "core_user_id": "6900000000000000001",
            "display_name": "Local User",
            "email": "l***r@example.com",
            "create_time": 1_600_000_000,
            "avatar_url": "https://img.example.com/avatar.jpeg",
        }

    def _advertisers(self, params: Mapping[str, str]) -> Any:
        asked = list_of(params, "advertiser_ids", required=True) or []
        if len(asked) > MAX_IDS:
            raise wrong(f"advertiser_ids: Longer than maximum length {MAX_IDS}.")
        fields = fields_of(params, frozenset(stream_fields()["advertisers"]))
        rows = []
        for advertiser_id in map(str, asked):
            self._check_access(advertiser_id)
            found = entity_rows(self.world, advertiser_id, "advertisers", fields=frozenset(fields or ()))
            rows += [_only(row, fields) for row in found]
        return {"list": rows}

    # --- lists --------------------------------------------------------------------------------------------------------

    def _list(self, path: str, advertiser: Advertiser, params: Mapping[str, str]) -> Answer:
        stream, key = LISTS[path]
        known = frozenset(stream_fields()[stream])
        fields = fields_of(params, known) if stream in MANAGED else None
        make: Callable[[Any], Row]
        pool: Sequence[Any]
        if stream in MANAGED:
            now = self.world.now()
            drop_nulls = "NULL_FIELD" in (list_of(params, "exclude_field_types_in_response") or [])
            pool = self._managed(stream, advertiser, object_of(params, "filtering"), now)

            def make(one: Any) -> Row:
                row = managed_row(stream, one, now)
                if self.sandbox:
                    row.pop("secondary_status", None)
                row = _only(row, fields)
                return {name: value for name, value in row.items() if value is not None} if drop_nulls else row
        else:
            object_of(params, "filtering")
            ids = ids_of(list_of(params, "custom_audience_ids"), "custom_audience_ids")
            pool = entity_rows(self.world, advertiser.id, stream)
            if stream == "audiences" and ids is not None:
                pool = [row for row in pool if row["audience_id"] in ids]

            def make(one: Any) -> Row:
                row: Row = one
                return row

        def texts(begin: int, end: int) -> list[str]:
            return [json.dumps(make(one), ensure_ascii=False) for one in pool[begin:end]]

        if path not in PAGE_SIZES:
            return self._answer(f'{{"{key}":[{",".join(texts(0, len(pool)))}]}}')
        page, size = page_of(path, params)
        return self._paged(_Pages(key, page, size, len(pool), texts))

    def _shop(self, path: str, advertiser: Advertiser, params: Mapping[str, str]) -> Answer:
        rows = shop.rows_asked(self.world, advertiser, path, params, self.rules)
        if path not in shop.PAGED:
            return self._answer(shop.data_text(shop.PATHS[path], rows))
        return self._rows_paged(path, shop.PATHS[path], rows, params)

    def _more_list(self, path: str, advertiser: Advertiser, params: Mapping[str, str]) -> Answer:
        key, rows = more_lists.PATHS[path], more_lists.rows_asked(self.world, advertiser, path, params)
        if path not in PAGE_SIZES:
            return self._answer(json.dumps({key: rows}, ensure_ascii=False))
        if path in more_lists.WITHOUT_A_COUNT:
            page, size = page_of(path, params)
            return self._answer(json.dumps({key: rows[(page - 1) * size : page * size]}, ensure_ascii=False))
        return self._rows_paged(path, key, rows, params)

    def _rows_paged(self, path: str, key: str, rows: Sequence[Row], params: Mapping[str, str]) -> Answer:
        page, size = page_of(path, params)

        def texts(begin: int, end: int) -> list[str]:
            return [json.dumps(row, ensure_ascii=False) for row in rows[begin:end]]

        return self._paged(_Pages(key, page, size, len(rows), texts))

    def _pixel_statistics(self, advertiser: Advertiser, params: Mapping[str, str]) -> Answer:
        asked = list_of(params, "pixel_ids", required=True) or []
        if not 1 <= len(asked) <= MAX_PIXELS:
            raise wrong(f"pixel_ids: Length must be between 1 and {MAX_PIXELS}.")
        known = {row["pixel_id"] for row in entity_rows(self.world, advertiser.id, "pixels")}
        if unknown := [one for one in asked if one not in known]:
            raise wrong(f"pixel_ids: {unknown[0]} does not exist.")
        wanted = object_of(params, "date_range")
        first, last = day_of(wanted, "start_date"), day_of(wanted, "end_date")
        if not 0 <= (last - first).days < 30:
            raise wrong("date_range: Must be at most 30 days.")
        rows = [pixel_statistics(advertiser, one, first, last) for one in asked]
        return self._answer(json.dumps({"list": rows}))

    def _managed(
        self, stream: str, advertiser: Advertiser, wanted: dict[str, Any], now: datetime
    ) -> list[Campaign | AdGroup | Ad]:
        """The campaigns, ad groups or ads a filter leaves."""
        prefix = {"campaigns": "CAMPAIGN", "ad_groups": "ADGROUP", "ads": "AD"}[stream.removeprefix("smart_plus_")]
        primary, secondary = wanted.get("primary_status"), wanted.get("secondary_status")
        if primary is not None and primary not in PRIMARY_STATUSES:
            raise wrong(f"filtering: primary_status: Must be one of: {', '.join(sorted(PRIMARY_STATUSES))}.")
        if (
            secondary is not None
            and str(secondary).startswith(("CAMPAIGN_STATUS_", "ADGROUP_STATUS_", "AD_STATUS_"))
            and not str(secondary).startswith(f"{prefix}_STATUS_")
        ):
            raise wrong(f"filtering: secondary_status: Invalid value {secondary}.")
        pool: list[Campaign | AdGroup | Ad] = list(visible(self.world, advertiser, stream))
        kinds = frozenset({ORDINARY})
        if not stream.startswith("smart_plus_"):
            asked = [wanted.get(name) for name in ("campaign_system_origins", "buying_types")]
            if any(one is not None and not isinstance(one, list) for one in asked):
                raise wrong("filtering: campaign_system_origins, buying_types: Field must be set to array")
            kinds = kinds_of(asked[0], asked[1], "")
        pool = [one for one in pool if kind_of(one) in kinds]
        pool = [one for one in pool if _status_fits(stream, one, now, prefix, primary, secondary)]
        for name, id_of in _ID_FILTERS.items():
            ids = ids_of(wanted.get(name), f"filtering: {name}")
            if ids is not None:
                pool = [one for one in pool if id_of(one) in ids]
        label = {"CAMPAIGN": "campaign_name", "ADGROUP": "adgroup_name", "AD": "ad_name"}[prefix]
        if wanted.get(label):
            pool = [one for one in pool if str(wanted[label]).lower() in one.name.lower()]
        if (moment := _moment(wanted, "creation_filter_start_time")) is not None:
            pool = [one for one in pool if one.created >= moment]
        if (moment := _moment(wanted, "creation_filter_end_time")) is not None:
            pool = [one for one in pool if one.created <= moment]
        if prefix == "AD" and (moment := _moment(wanted, "modified_after")) is not None:
            # Whether the bound itself is included is not known; the stricter reading is kept here.
            pool = [one for one in pool if (one.modified if one.modified <= now else one.created) > moment]
        automation = wanted.get("campaign_automation_type")
        if automation in _SMART_PLUS and not stream.startswith("smart_plus_"):
            pool = []  # automated campaigns have their own endpoints here
        return pool

    # --- report tasks -------------------------------------------------------------------------------------------------

    def _post_task(self, path: str, body: Mapping[str, Any], token: str) -> Answer:
        advertiser_id = str(body.get("advertiser_id") or "")
        if not advertiser_id:
            raise wrong("advertiser_id: Missing data for required field.")
        self._check_access(advertiser_id)
        if path == "report/task/cancel":
            self.tasks.cancel(token, advertiser_id, str(body.get("task_id") or ""))
            return self._answer(json.dumps({"task_id": str(body["task_id"]), "status": "CANCELED"}))
        self.tasks.admit(advertiser_id)
        # The body has JSON values where a query string has JSON texts.
        params = {name: one if isinstance(one, str) else json.dumps(one) for name, one in body.items()}
        query = report_query(params, self.rules, asynchronous=True)
        advertiser = self.world.advertiser(advertiser_id)
        self._check_refused(advertiser, query)
        table, order = self._table(advertiser, query, self._ads(advertiser, query, None), refreshed_h=4)
        titles = body.get("enable_report_title_translation", True) is not False
        content = csv_text(
            table,
            query.dimensions,
            query.metrics,
            titles=titles,
            display=titles or self.rules.async_display_values,
            order=order,
        )
        return self._answer(json.dumps({"task_id": self.tasks.create(token, advertiser_id, body, content)}))

    def _task(self, path: str, advertiser_id: str, params: Mapping[str, str], token: str, base: str) -> Answer:
        task_id = params.get("task_id", "")
        if path == "report/task/check":
            status = self.tasks.status(token, advertiser_id, task_id)
            message = "The report could not be made." if status == "FAILED" else ""
            return self._answer(json.dumps({"status": status, "message": message}))
        content_type, text = self.tasks.download(token, advertiser_id, task_id, base)
        if content_type == "application/json":
            return self._answer(text)
        return Answer(text.encode(), content_type=content_type)

    # --- reports ------------------------------------------------------------------------------------------------------

    def _report(self, advertiser: Advertiser, params: Mapping[str, str]) -> Answer:
        faults = self.faults
        page, size = page_of(REPORT, params)
        query = report_query(params, self.rules, sandbox=self.sandbox)
        self._check_refused(advertiser, query)
        limit = faults.too_large_over_days
        if limit is not None and query.first and query.last and (query.last - query.first).days + 1 > limit:
            code = faults.too_large_code
            raise Refusal(code, code_message(code, self.credentials.app_id, advertiser.id))

        kept = self._newest([advertiser], query)
        ads = self._ads(advertiser, query, kept)
        self._check_ids_by_split(query, ads)
        table, order = self._table(advertiser, query, ads)

        v2 = {"interest_category": "interest_category_v2"} if self.rules.interest_key_v2 else {}

        def texts(begin: int, end: int) -> list[str]:
            return report_texts(table, query.dimensions, query.metrics, begin, end, order, renamed=v2)

        extra = ""
        if query.with_totals:
            totals = {
                name: number(table.totals[name], table.decimals[name]) if name in table.totals else "-"
                for name in query.metrics
            }
            extra = f',"total_metrics":{json.dumps(totals)}'
        answer = self._paged(_Pages("list", page, size, table.size, texts, extra))
        answer.throttled = kept is not None and self.rules.cut_says_so
        return answer

    def _report_of_several(self, accounts: Sequence[Advertiser], params: Mapping[str, str]) -> Answer:
        """A report on several accounts: rows name theirs, and money has no decimals."""
        page, size = page_of(REPORT, params)
        query = report_query(params, self.rules, sandbox=self.sandbox)
        kept = self._newest(accounts, query)
        money = [name for name in query.metrics if metric_infos()[name].kind == "money"]
        by_id = any(name in ID_DIMENSIONS for name in query.dimensions)
        rows: list[Row] = []
        sums: dict[str, int] = {}
        for advertiser in accounts:
            self._check_refused(advertiser, query)
            table, order = self._table(advertiser, query, self._ads(advertiser, query, kept))
            owner = {"advertiser_id": advertiser.id, "currency": advertiser.currency, "timezone": advertiser.timezone}
            for text in report_texts(table, query.dimensions, query.metrics, 0, table.size, order):
                row = json.loads(text)
                metrics = row["metrics"]
                metrics |= {name: metrics[name].partition(".")[0] for name in money} | owner
                rows.append(row)
            for name, total in table.totals.items():
                sums[name] = sums.get(name, 0) + total // 10 ** table.decimals[name]
        if not by_id:
            rows = _added_up(rows, query.metrics)
        extra = ""
        if query.with_totals:
            totals = {name: str(sums[name]) if name in sums else "-" for name in query.metrics}
            extra = f',"total_metrics":{json.dumps(totals | dict.fromkeys(_OWNER, "-"))}'

        def texts(begin: int, end: int) -> list[str]:
            return [json.dumps(row, ensure_ascii=False) for row in rows[begin:end]]

        answer = self._paged(_Pages("list", page, size, len(rows), texts, extra))
        answer.throttled = kept is not None and self.rules.cut_says_so
        return answer

    def _ads(self, advertiser: Advertiser, query: ReportQuery, kept: frozenset[str] | None) -> list[Ad]:
        """The ads that a report covers; ``kept`` are those left of a large account."""
        ads = select_ads(
            advertiser,
            query.level,
            deleted=query.deleted,
            statuses=query.statuses,
            kinds=query.kinds,
            **query.ids,
        )
        if query.objectives is not None:
            ads = [ad for ad in ads if objective(ad.campaign) in query.objectives]
        return ads if kept is None else [ad for ad in ads if ad.id in kept]

    def _check_refused(self, advertiser: Advertiser, query: ReportQuery) -> None:
        faults = self.faults
        refused = [name for name in query.metrics if name in faults.refused_metrics.get(advertiser.id, ())]
        if refused:
            if faults.refused_metrics_unnamed:
                raise wrong("Invalid metric fields, please correct the request and try again.")
            raise invalid_metrics(refused)

    def _check_ids_by_split(self, query: ReportQuery, ads: Sequence[Ad]) -> None:
        """Refuse a split whose report would cover too many campaigns, ad groups or ads."""
        for name, most in self.rules.ids_by_split:
            if name not in query.dimensions or query.level == "advertiser":
                continue
            if len({id(at_level(ad, query.level)) for ad in ads}) > most:
                raise Refusal(40011, f"Too many ids: a report by {name} covers at most {most}.")

    def _newest(self, accounts: Sequence[Advertiser], query: ReportQuery) -> frozenset[str] | None:
        """The ids of the ads that a report of large accounts is cut to; None when it is not cut.

        The accounts' ads are counted, whatever their status, so a report can be cut although it shows few of them;
        only filters by id make the count smaller.
        """
        limit = self.faults.max_ads_per_report
        if limit is None or query.level not in self.rules.cut_levels or sum(len(a.ads) for a in accounts) < limit:
            return None
        counted: list[Ad] = []
        for advertiser in accounts:
            counted += select_ads(advertiser, query.level, deleted="include", kinds=query.kinds, **query.ids)
        if len(counted) < limit:
            return None
        counted.sort(key=lambda ad: (ad.created, ad.id))
        return frozenset(ad.id for ad in counted[-limit:])

    def _table(
        self, advertiser: Advertiser, query: ReportQuery, ads: list[Ad], refreshed_h: int = 1
    ) -> tuple[Table, list[int] | None]:
        """The report's table. The last few are kept: the pages of one report share a table."""
        key = (
            advertiser.id,
            refreshed_h,
            (self.rules.zero_rows, self.rules.drop_zero_rows),
            query.report_type,
            query.level,
            tuple(query.dimensions),
            tuple(query.metrics),
            query.first,
            query.last,
            query.order,
            query.descending,
            tuple(ad.id for ad in ads),
            self.world.now(),
            self.world.version,
        )
        with self._lock:
            known = self._tables.get(key)
            if known is not None:
                self._tables.move_to_end(key)
                return known
        table = report_table(
            self.world,
            advertiser,
            ads,
            query.level,
            query.dimensions,
            query.metrics,
            query.first,
            query.last,
            query.report_type,
            refreshed_h,
            zero_rows=self.rules.zero_rows,
            drop_zero_rows=self.rules.drop_zero_rows,
        )
        made = (table, ordered(table, query.order, query.descending) if query.order else None)
        with self._lock:
            self._tables[key] = made
            while len(self._tables) > 16:
                self._tables.popitem(last=False)
        return made


def _added_up(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """One row per key where no dimension tells accounts apart: counts add up, money and rates mean nothing."""
    infos = metric_infos()
    found: dict[str, Row] = {}
    for row in rows:
        known = found.setdefault(json.dumps(row["dimensions"]), {"dimensions": row["dimensions"], "metrics": {}})
        for name in metrics:
            before, text = known["metrics"].get(name, "0"), row["metrics"][name]
            counts = infos[name].additive and infos[name].kind == "count"
            known["metrics"][name] = str(int(before) + int(text)) if counts and text != "-" else "-"
        known["metrics"] |= dict.fromkeys(_OWNER, "0")
    return list(found.values())


_ID_FILTERS: dict[str, Callable[[Any], str | None]] = {
    "campaign_ids": lambda one: (
        one.id if isinstance(one, Campaign) else one.campaign.id if isinstance(one, (AdGroup, Ad)) else None
    ),
    "adgroup_ids": lambda one: one.id if isinstance(one, AdGroup) else one.group.id if isinstance(one, Ad) else None,
    "ad_ids": lambda one: one.id if isinstance(one, Ad) else None,
    "smart_plus_ad_ids": lambda one: one.id if isinstance(one, Ad) else None,
}


def _status_fits(
    stream: str,
    one: Campaign | AdGroup | Ad,
    now: datetime,
    prefix: str,
    primary: str | None,
    secondary: str | None,
) -> bool:
    if primary is None and secondary is None:
        return not one.deleted
    if primary == "STATUS_ALL" or secondary == f"{prefix}_STATUS_ALL":
        return True
    fits = primary is None or has_status(one, primary)
    if fits and secondary is not None:
        if secondary == f"{prefix}_STATUS_NOT_DELETE":
            return not one.deleted
        return bool(managed_row(stream, one, now)["secondary_status"] == secondary)
    return fits


def _only(row: Row, fields: list[str] | None) -> Row:
    return row if fields is None else {name: row[name] for name in fields if name in row}


def _moment(wanted: Mapping[str, Any], name: str) -> datetime | None:
    text = wanted.get(name)
    if not text:
        return None
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise wrong(f"filtering: {name}: Not a valid datetime, use YYYY-MM-DD HH:MM:SS.") from None
