"""A component for Dagster (https://dagster.io): TikTok's objects as assets, from YAML.

``TikTokAdsComponent`` makes an asset of each object, with its columns and rows as metadata; daily partitions of what
has days, for backfills; a schedule; checks against TikTok's own totals. ``dg scaffold defs`` finds it. Needs Dagster:
``pip install 'owox-tiktok[dagster]'``.

What an asset is made of is imported as ever: incremental, with cursors in the destination. So the newest partition
continues where the last import ended, and refreshes the days that TikTok still changes; older ones are read again.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any

import dagster as dg

from owox_tiktok import app
from owox_tiktok.api import Imported, TikTokAds
from owox_tiktok.dialects import BIGQUERY, DUCKDB, POSTGRESQL
from owox_tiktok.errors import Problem
from owox_tiktok.events import Event, Warned
from owox_tiktok.model import Stream
from owox_tiktok.streams import find
from owox_tiktok.trust.verdicts import SEVERITY, DayChecked, Severity, Verdict

CHECK = "equals_tiktok_totals"
COMPLETE = "all_accounts_read"
"""The names of the asset checks. An ad account that cannot be read fails the second, and stops no other."""
LEVELS: Mapping[str, str] = {
    "AUCTION_ADVERTISER": "advertiser",
    "AUCTION_CAMPAIGN": "campaign",
    "AUCTION_ADGROUP": "ad_group",
    "AUCTION_AD": "ad",
}
"""TikTok's data levels, in the words of our objects."""
_TYPES = {"bigquery": BIGQUERY.types, "postgresql": POSTGRESQL.types}
_KINDS = {"sheets": "googlesheets"}
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _said(description: str, *examples: object) -> Any:
    """Return what ``dg`` tells of an attribute."""
    return dg.Resolver.default(description=description, examples=list(examples))


class TikTokAdsScaffolder(dg.Scaffolder[Any]):
    """Writes a component of which nothing but the accounts has to be changed."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write ``defs.yaml``."""
        attributes = {
            "access_token": "${TIKTOK_ACCESS_TOKEN}",
            "advertiser_ids": ["7047566327717600001"],
            "destination": "duckdb:///tiktok_ads.duckdb",
            "start_date": str(date.today().replace(day=1)),
            "objects": ["campaigns", "ad_groups", "ads", "ad_report_daily"],
        }
        dg.scaffold_component(request, attributes)


@dg.scaffold_with(TikTokAdsScaffolder)
class TikTokAdsComponent(dg.Component, dg.Model, dg.Resolvable):
    """TikTok Ads as assets: exact, incremental, in DuckDB, PostgreSQL, BigQuery, Parquet or Google Sheets."""

    access_token: Annotated[
        str, _said("TikTok's access token; ${NAME} is read from the environment of a run", "${TIKTOK_ACCESS_TOKEN}")
    ]
    advertiser_ids: Annotated[
        list[str | int] | str | int,
        _said("Ids of ad accounts, or all that the authorisation covers", ["7047566327717600001"]),
    ] = "all"
    destination: Annotated[
        str, _said("Where the rows go, as in docs/settings.md; may have ${NAME}", "duckdb:///tiktok_ads.duckdb")
    ] = "duckdb:///tiktok_ads.duckdb"
    objects: Annotated[
        list[str] | None, _said("What to import, as in docs/objects.md", ["campaigns", "ad_report_daily"])
    ] = None
    resources: Annotated[
        list[str] | None,
        _said("The same by other loaders' names; `reports` is the daily report of data_level", ["ads", "reports"]),
    ] = None
    report_type: Annotated[str, _said("Of `reports`: BASIC. Audience reports are objects of their own")] = "BASIC"
    data_level: Annotated[str, _said("Of `reports`: what a row is about", *LEVELS)] = "AUCTION_AD"
    metrics: Annotated[list[str] | None, _said("Fields or presets of `reports`", ["spend", "clicks"])] = None
    fields: Annotated[
        dict[str, list[str]] | None, _said("Fields or presets by object", {"ad_report_daily": ["performance"]})
    ] = None
    start_date: Annotated[str | None, _said("First day to have; also the first partition", "2026-01-01")] = None
    app_id: Annotated[str | int, _said("Id of the developer app, for objects that need it; may be ${NAME}")] = ""
    app_secret: Annotated[str, _said("Secret of the developer app; may be ${NAME}")] = ""
    include_deleted: Annotated[bool, _said("Whether deleted campaigns, ad groups and ads are imported")] = True
    reimport_lookback_window: Annotated[int, _said("How many days are read again each time")] = 7
    requests_per_second: Annotated[float, _said("TikTok's pace for your app")] = 10.0
    sandbox_mode: Annotated[bool, _said("Whether TikTok's sandbox is asked")] = False
    name: Annotated[str, _said("Begins the names of job, schedule and asset keys")] = "tiktok_ads"
    group_name: Annotated[str, _said("The group of the assets")] = "tiktok_ads"
    partitions: Annotated[bool, _said("Whether what has days has daily partitions, for backfills")] = True
    schedule: Annotated[str, _said("When all of it is imported, as cron has it, in UTC; empty for never")] = "0 6 * * *"
    pool: Annotated[str, _said("The pool of all steps: with a limit of 1, one pace per app")] = "tiktok_ads"
    checks: Annotated[bool, _said("Whether reports are compared with TikTok's own totals")] = True
    fresh_for_hours: Annotated[float, _said("After how many hours an asset is stale; 0 for never")] = 36

    # --- definitions --------------------------------------------------------------------------------------------------

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return assets, checks, job and schedule; TikTok is not asked. Raises BadInput for what cannot be."""
        streams = self._streams()
        first = self._first_day(streams)
        self._settings(_door(self, secrets=False), streams)
        dated = [s for s in streams if s.time and self.partitions]
        lists = [s for s in streams if s not in dated]
        days = dg.DailyPartitionsDefinition(start_date=str(first)) if dated else None
        assets = []
        if lists:
            assets.append(self._assets(lists, f"{self.name}_lists", (), None))
        if dated:
            # Behind the lists, so that one run never asks TikTok from two steps, whatever the pool's limit.
            assets.append(self._assets(dated, f"{self.name}_reports", [self._key(s) for s in lists], days))
        checked = [s for s in streams if s.is_report and s.time]
        job = dg.define_asset_job(self.name, [self._key(s) for s in streams])
        return dg.Definitions(
            assets=assets,
            asset_checks=[self._checks(checked)] if checked and self.checks else [],
            jobs=[job],
            schedules=[self._schedule(job, days)] if self.schedule else [],
        )

    def _streams(self) -> list[Stream]:
        """Return what is to be imported, each once; raises Problem for a name that nothing has."""
        if self.report_type != "BASIC":
            what = f"report_type {self.report_type} has several objects"
            raise Problem(what, what_to_do="Name them in objects, such as ad_report_daily_by_age (docs/objects.md).")
        if self.data_level not in LEVELS:
            raise Problem(f"data_level {self.data_level} is not known", what_to_do=f"Use one of {', '.join(LEVELS)}.")
        names = [*(self.objects or ()), *(self.resources or ())] or ["campaigns", "ad_groups", "ads", "reports"]
        names = [f"{LEVELS[self.data_level]}_report_daily" if name == "reports" else name for name in names]
        found = [(name, find(name)) for name in names]
        if unknown := [name for name, stream in found if stream is None]:
            raise Problem(f"there is no object {unknown[0]}", what_to_do="docs/objects.md lists them.")
        return list({stream.name: stream for _, stream in found if stream}.values())

    def _first_day(self, streams: Sequence[Stream]) -> date | None:
        if self.start_date is None:
            if dated := [s.name for s in streams if s.has_window]:
                raise Problem(f"start_date is missing, and {dated[0]} needs one", what_to_do='Write "2026-01-01".')
            return None
        try:
            return date.fromisoformat(self.start_date)
        except ValueError:
            raise Problem(f"start_date {self.start_date!r} is not a day", what_to_do='Write "2026-01-01".') from None

    def _fields(self, streams: Sequence[Stream]) -> dict[str, list[str]] | None:
        found = dict(self.fields or {})
        report = f"{LEVELS[self.data_level]}_report_daily"
        if self.metrics and any(s.name == report for s in streams):
            found.setdefault(report, self.metrics)
        return {name: of for name, of in found.items() if (s := find(name)) and s in streams} or None

    def _settings(self, ads: TikTokAds, streams: Sequence[Stream], destination: str = "duckdb:///:memory:") -> Any:
        names = [s.name for s in streams]
        return ads._to_import(destination, names, self._fields(streams), self.start_date, None, None)

    def _key(self, stream: Stream) -> dg.AssetKey:
        return dg.AssetKey([self.name, stream.name])

    def _spec(self, stream: Stream, deps: Sequence[dg.AssetKey]) -> dg.AssetSpec:
        settings = self._settings(_door(self, secrets=False), [stream])
        scheme = self.destination.partition("://")[0]
        types = _TYPES.get(scheme, DUCKDB.types)
        columns = [
            dg.TableColumn(
                f.name,
                types[f.kind],
                description=f.description,
                constraints=dg.TableColumnConstraints(nullable=f.name not in stream.keys),
            )
            for f in stream.columns(settings.fields[stream.name])
        ]
        kinds = {"tiktok"} | ({_KINDS.get(scheme, scheme)} if scheme.isidentifier() else set())
        fresh = timedelta(hours=self.fresh_for_hours)
        return dg.AssetSpec(
            self._key(stream),
            deps=deps,
            description=stream.description,
            group_name=self.group_name,
            kinds=kinds,
            metadata={"dagster/column_schema": dg.TableSchema(columns), "dagster/table_name": stream.table},
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=fresh) if fresh else None,
        )

    def _assets(
        self,
        streams: Sequence[Stream],
        name: str,
        deps: Sequence[dg.AssetKey],
        days: dg.DailyPartitionsDefinition | None,
    ) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=name,
            specs=[self._spec(stream, deps) for stream in streams],
            check_specs=[
                dg.AssetCheckSpec(COMPLETE, asset=self._key(s), description="Every ad account could be read")
                for s in streams
            ],
            can_subset=True,
            partitions_def=days,
            backfill_policy=dg.BackfillPolicy.single_run() if days else None,
            pool=self.pool,
        )
        def imported(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
            wanted = [stream for stream in streams if self._key(stream) in context.selected_asset_keys]
            yield from self._import(context, wanted, days)

        return imported

    def _checks(self, streams: Sequence[Stream]) -> dg.AssetChecksDefinition:
        about = "The stored days of the last 30 equal TikTok's own totals, and the rows are those that were stored"

        @dg.multi_asset_check(
            name=f"{self.name}_{CHECK}",
            specs=[dg.AssetCheckSpec(CHECK, asset=self._key(stream), description=about) for stream in streams],
            can_subset=True,
            pool=self.pool,
        )
        def checked(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
            keys = {key.asset_key for key in context.selected_asset_check_keys}
            wanted = [stream for stream in streams if self._key(stream) in keys]
            yield from self._verify(context, wanted)

        return checked

    def _schedule(self, job: Any, days: dg.DailyPartitionsDefinition | None) -> dg.ScheduleDefinition:
        @dg.schedule(name=f"{self.name}_schedule", job=job, cron_schedule=self.schedule, execution_timezone="UTC")
        def daily() -> Any:
            if days is None:
                return dg.RunRequest()
            newest = days.get_last_partition_key()
            return dg.RunRequest(partition_key=newest) if newest else dg.SkipReason("The first day is not over.")

        return daily

    # --- runs ---------------------------------------------------------------------------------------------------------

    def _import(
        self, context: dg.AssetExecutionContext, streams: Sequence[Stream], days: dg.DailyPartitionsDefinition | None
    ) -> Iterator[dg.MaterializeResult[Any]]:
        ads, destination = _door(self), _revealed(self.destination)
        names = [stream.name for stream in streams]

        def listen(event: Event) -> None:
            if isinstance(event, Warned):
                context.log.warning(f"{event.object} of {event.advertiser_id}: {event.message}")

        def run(backfill: tuple[date, date] | None) -> Imported:
            return ads.import_(
                destination,
                objects=names,
                fields=self._fields(streams),
                since=self.start_date,
                backfill=backfill,
                listen=listen,
                must_complete=False,
            )

        try:
            done = [run(days_ and days_[0]) for days_ in _parts(context, days)]
            counts = _row_counts(ads, destination, names)
        except Problem as problem:
            raise dg.Failure(problem.sentence) from None
        failures = [failed for one in done for failed in one.failures]
        if failures and all(one.finished.failed >= one.finished.pairs for one in done):
            raise dg.Failure(failures[0].message)
        for stream in streams:
            failed = [f"{f.advertiser_id}: {f.message}" for f in failures if f.object in ("", stream.name)]
            metadata: dict[str, Any] = {"rows_stored": sum(one.rows.get(stream.name, 0) for one in done)}
            if stream.name in counts:
                metadata["dagster/row_count"] = counts[stream.name]
            result = dg.AssetCheckResult(
                passed=not failed,
                asset_key=self._key(stream),
                check_name=COMPLETE,
                description=failed[0] if failed else "",
                metadata={"failed": failed},
            )
            is_asked = dg.AssetCheckKey(self._key(stream), COMPLETE) in context.selected_asset_check_keys
            yield dg.MaterializeResult(
                asset_key=self._key(stream), metadata=metadata, check_results=[result] if is_asked else []
            )
        if stopped := next((one for one in done if one.finished.exit_code and not one.failures), None):
            raise dg.Failure(str(stopped))

    def _verify(self, context: Any, streams: Sequence[Stream]) -> Iterator[dg.AssetCheckResult]:
        ads = _door(self)
        try:
            settings = self._settings(ads, streams, _revealed(self.destination))
            found = app.verify(settings, now=ads._clock(), listen=_nobody, environment=ads._environment)
        except Problem as problem:
            raise dg.Failure(problem.sentence) from None
        for stream in streams:
            days = [one for one in found.days if one.object == stream.name]
            bad = [one for one in days if SEVERITY[one.verdict] is Severity.BAD]
            yield dg.AssetCheckResult(
                passed=not bad,
                asset_key=self._key(stream),
                check_name=CHECK,
                description=_verdicts(days),
                metadata={
                    "equal": sum(one.verdict is Verdict.EQUAL for one in days),
                    "bad": [f"{one.day} {one.advertiser_id}: {one.verdict} {one.reason}".rstrip() for one in bad[:50]],
                },
            )


def _parts(
    context: dg.AssetExecutionContext, days: dg.DailyPartitionsDefinition | None
) -> list[tuple[tuple[date, date]] | None]:
    """Return the imports that a run's partitions ask for: each the days of a backfill, or None to continue."""
    if days is None or not (context.has_partition_key or context.has_partition_key_range):
        return [None]
    window = context.partition_time_window
    first, last = window.start.date(), (window.end - timedelta(days=1)).date()
    newest = days.get_last_partition_key()
    if str(last) != newest:
        return [((first, last),)]
    return [None] if first == last else [((first, last),), None]


def _row_counts(ads: TikTokAds, destination: str, names: Sequence[str]) -> dict[str, int]:
    """Return how many rows each object has, where the destination counts them for nothing."""
    counts: dict[str, int] = {}
    for one in ads.status(destination, objects=names):
        if one.rows is not None:
            counts[one.object] = counts.get(one.object, 0) + one.rows
    return counts


def _verdicts(days: Sequence[DayChecked]) -> str:
    if not days:
        return "Nothing is stored that TikTok gives totals of"
    return ", ".join(f"{n} {verdict}" for verdict in Verdict if (n := sum(one.verdict is verdict for one in days)))


def _revealed(text: str) -> str:
    """Return a text with variables of the environment in it; raises Problem for one that is not set."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise Problem(f"{found[1]} is not set", what_to_do="Set it where Dagster's runs see it.")
        return os.environ[found[1]]

    return _VARIABLE.sub(value, text)


def _door(component: TikTokAdsComponent, *, secrets: bool = True) -> TikTokAds:
    """Return TikTok's accounts as a component says; without ``secrets`` to look at settings only."""

    def of(text: str | int, instead: str = "unknown") -> str:
        # Dagster's templates make a number of what looks like one.
        return _revealed(str(text)) if secrets else _VARIABLE.sub(instead, str(text))

    ids = component.advertiser_ids
    return TikTokAds(
        of(component.access_token),
        [of(one, "1") for one in ids] if isinstance(ids, list) else of(ids, "1"),
        app_id=of(component.app_id),
        app_secret=of(component.app_secret),
        include_deleted=component.include_deleted,
        reimport_lookback_window=component.reimport_lookback_window,
        requests_per_second=component.requests_per_second,
        sandbox_mode=component.sandbox_mode,
    )


def _nobody(event: Event) -> None:
    """Hear an event that nobody wants to know of."""
