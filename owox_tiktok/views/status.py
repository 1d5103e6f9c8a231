"""How fresh what is stored is, as a view: what ``owox-tiktok status`` says, for dashboards."""

from __future__ import annotations

from owox_tiktok.cursors import RECORD
from owox_tiktok.dialects import CURSORS, SEALS
from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import ADVERTISER_ID
from owox_tiktok.views.select import There, View

_FIELDS = (
    Field("object", Kind.TEXT, "What is imported"),
    ADVERTISER_ID,
    Field("advertiser_name", Kind.TEXT, "Name of the ad account, where advertisers are imported"),
    Field("since", Kind.DAY, "First day that is complete"),
    Field("through", Kind.DAY, "Last day that is complete"),
    Field("read_at", Kind.INSTANT, "When it was read last, whether or not anything had changed"),
    Field("row_count", Kind.COUNT, "How many rows are stored"),
    Field("last_error", Kind.TEXT, "Why it could not be read since then; null when all is well"),
    Field("failed_at", Kind.INSTANT, "When that was"),
)


def import_status(there: There) -> list[View]:
    """Return the view of how far each object of each account is; nothing where its tables are not there yet."""
    name, about = (
        "v_import_status",
        "How far each object of each ad account is imported, when it was read, and what failed",
    )
    cursors = there.tables.get(CURSORS, ())
    if not {part.name for part in RECORD} <= set(cursors):
        return []
    quoted, table = there.dialect.name, there.dialect.table
    # Where rows are only added, the newest cursor of a pair counts, and the newest failure.
    newest = (
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY object, advertiser_id, read_on IS NULL ORDER BY written_at DESC) = 1"
        if "written_at" in cursors
        else ""
    )
    ours = "MAX({0}) AS {0}"
    picked = ["since", "through", "read_at", "last_error", "failed_at", "table_id"]
    pairs = (
        f"SELECT object, advertiser_id, {', '.join(ours.format(quoted(n)) for n in picked)}\n"
        f"  FROM (SELECT * FROM {table(CURSORS)} WHERE TRUE{newest}) AS newest\n"
        # A cursor that was forgotten speaks of nothing.
        f"  WHERE read_on IS NULL OR since IS NOT NULL OR {there.dialect.length_of_list.format('fields')} > 0\n"
        "  GROUP BY object, advertiser_id"
    )
    joins = []
    rows = there.dialect.null(Kind.COUNT)
    if {"rows", "table_id"} <= set(there.tables.get(SEALS, ())):
        newest = (
            " QUALIFY ROW_NUMBER() OVER (PARTITION BY object, advertiser_id, day ORDER BY written_at DESC) = 1"
            if "written_at" in there.tables[SEALS]
            else ""
        )
        kind = there.dialect.types[Kind.COUNT]
        joins.append(
            "LEFT JOIN (\n  SELECT object, advertiser_id, table_id, "
            f"CAST(SUM({quoted('rows')}) AS {kind}) AS row_count\n"
            f"  FROM (SELECT * FROM {table(SEALS)} WHERE TRUE{newest}) AS newest\n"
            "  GROUP BY object, advertiser_id, table_id\n) AS stored ON stored.object = pair.object "
            "AND stored.advertiser_id = pair.advertiser_id AND stored.table_id = pair.table_id"
        )
        rows = "stored.row_count"
    account = there.dialect.null(Kind.TEXT)
    if there.has("advertisers", "advertiser_id", "name"):
        joins.append(f"LEFT JOIN {there.table('advertisers')} AS account ON account.advertiser_id = pair.advertiser_id")
        account = f"account.{quoted('name')}"
    failing = "pair.read_at IS NULL OR pair.failed_at >= pair.read_at"
    values = {
        "advertiser_name": account,
        "row_count": rows,
        "last_error": f"CASE WHEN {failing} THEN pair.last_error END",
        "failed_at": f"CASE WHEN {failing} THEN pair.failed_at END",
    }
    columns = [f"{values.get(f.name, f'pair.{quoted(f.name)}')} AS {quoted(f.name)}" for f in _FIELDS]
    sql = "\n".join(["SELECT", "  " + ",\n  ".join(columns), f"FROM (\n  {pairs}\n) AS pair", *joins])
    return [View(name, about, sql, _FIELDS)]
