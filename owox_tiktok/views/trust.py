"""Views of what checks came to: how much of the spend is verified, where something is missing, how conversions grow.

They read the tables of ``trust.kept``, and are omitted where a destination does not keep those. Pure.
"""

from __future__ import annotations

from owox_tiktok.dialects import SEALS, Dialect
from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import ADVERTISER_ID, ID_OF, STREAMS
from owox_tiktok.trust.kept import CHECK, CHECKS, RESTATEMENT, RESTATEMENTS, VERDICT
from owox_tiktok.trust.verdicts import TO_READ_AGAIN, VERIFIED, Verdict
from owox_tiktok.views.select import There, View

COMPARED = tuple(
    s.name
    for s in STREAMS.values()
    if s.report_type == "BASIC" and s.time == "stat_time_day" and {*ID_OF.values(), s.time}.issuperset(s.dimensions)
)
"""The objects whose days can be compared with TikTok's totals."""

_OBJECT = Field("object", Kind.TEXT, "The object")


def trust_views(there: There) -> list[View]:
    """Return the views that the tables allow; none where what checks came to is not kept."""
    needed = {
        SEALS: {p.name for p in VERDICT},
        CHECKS: {p.name for p in CHECK},
        RESTATEMENTS: {p.name for p in RESTATEMENT},
    }
    if any(not names <= set(there.tables.get(table, ())) for table, names in needed.items()):
        return []
    return [_trust(there.dialect), _gaps(there.dialect), _late_conversions(there.dialect)]


def _in(dialect: Dialect, texts: object) -> str:
    assert isinstance(texts, tuple | frozenset)
    return f"({', '.join(sorted(dialect.text(str(t)) for t in texts))})"


def _trust(dialect: Dialect) -> View:
    """Return the view of one line per account."""
    text = dialect.types[Kind.TEXT]
    good = f"verdict IN {_in(dialect, VERIFIED)}"
    recent = "day >= last_day - 2"
    between = "DATE_DIFF(next_day, day, DAY)" if dialect.escapes else "(next_day - day)"
    fields = {
        ADVERTISER_ID: "advertiser_id",
        Field("spend_verified_percent", Kind.RATE, "How much of the stored spend TikTok's totals confirm", "percent"): (
            f"CAST(ROUND(100 * SUM(CASE WHEN {good} THEN spend END) / NULLIF(SUM(spend), 0), 2) "
            f"AS {dialect.types[Kind.RATE]})"
        ),
        Field("verified_through", Kind.DAY, "All days up to this one are confirmed"): (
            f"COALESCE(MIN(CASE WHEN NOT COALESCE({good}, FALSE) THEN day END) - 1, MAX(day))"
        ),
        Field("moving_since", Kind.DAY, "TikTok still changes the days from this one on"): (
            f"MIN(CASE WHEN verdict = {dialect.text(str(Verdict.MOVING))} OR (verdict IS NULL AND {recent}) "
            "THEN day END)"
        ),
        Field("days_wrong", Kind.COUNT, "Days, counted per object, that the next import reads again"): (
            f"SUM(CASE WHEN verdict IN {_in(dialect, TO_READ_AGAIN)} THEN 1 ELSE 0 END)"
        ),
        Field("days_unverified", Kind.COUNT, "Days, counted per object, that no total has confirmed yet"): (
            f"SUM(CASE WHEN COALESCE({good}, FALSE) THEN 0 ELSE 1 END)"
        ),
        Field("gaps", Kind.COUNT, "Days, counted per object, between the first and the last that were not read"): (
            f"SUM(CASE WHEN next_day > day + 1 THEN {between} - 1 ELSE 0 END)"
        ),
        Field("last_verified_at", Kind.INSTANT, "When a total last confirmed something"): "MAX(verified_at)",
    }
    whole = dialect.types[Kind.COUNT]
    counts = {"days_wrong", "days_unverified", "gaps"}
    columns = ",\n    ".join(
        f"{f'CAST({sql} AS {whole})' if f.name in counts else sql} AS {dialect.name(f.name)}"
        for f, sql in fields.items()
    )
    inner = (
        "SELECT advertiser_id, object, day, spend, verdict, verified_at, "
        "LEAD(day) OVER (PARTITION BY object, advertiser_id ORDER BY day) AS next_day, "
        "MAX(day) OVER (PARTITION BY object, advertiser_id) AS last_day "
        f"FROM {dialect.table(SEALS)} WHERE day IS NOT NULL AND object IN {_in(dialect, COMPARED)}"
    )
    percent = f"CAST(CAST(FLOOR(spend_verified_percent) AS {whole}) AS {text})"
    said = (
        f"CONCAT(CASE WHEN days_wrong > 0 THEN CONCAT(CAST(days_wrong AS {text}), ' days are not what TikTok has; ') "
        f"ELSE '' END, COALESCE(CONCAT('equal to TikTok through ', CAST(verified_through AS {text}), ', '), ''), "
        f"COALESCE({percent}, '0'), ' % of the spend is verified')"
    )
    sentence = Field("sentence", Kind.TEXT, "The same in words")
    sql = (
        f"SELECT *, {said} AS {dialect.name('sentence')}\nFROM (\n  SELECT\n    {columns}\n"
        f"  FROM ({inner}) AS days\n  GROUP BY advertiser_id\n) AS accounts"
    )
    about = "One line per ad account: how much of what is stored TikTok's own totals confirm"
    return View("v_trust", about, sql, (*fields, sentence))


def _gaps(dialect: Dialect) -> View:
    """Return the view of days that are not there, or not right."""
    days, checks = dialect.table(SEALS), dialect.table(CHECKS)
    what = Field("what", Kind.TEXT, "not read yet, wrong, damaged here or missing")
    fields = (
        _OBJECT,
        ADVERTISER_ID,
        Field("first_day", Kind.DAY, "The first day"),
        Field("last_day", Kind.DAY, "The last day"),
        what,
        Field("reason", Kind.TEXT, "Why, in words"),
    )
    null = dialect.null(Kind.TEXT)
    lead = "LEAD(day) OVER (PARTITION BY object, advertiser_id ORDER BY day) AS next_day"
    missing = dialect.text(str(Verdict.MISSING))
    sql = (
        f"SELECT object, advertiser_id, day + 1 AS first_day, next_day - 1 AS last_day, "
        f"{dialect.text(str(Verdict.NOT_READ))} AS what, {null} AS reason\n"
        f"FROM (SELECT object, advertiser_id, day, {lead} FROM {days} WHERE day IS NOT NULL) AS read_days\n"
        "WHERE next_day > day + 1\nUNION ALL\n"
        f"SELECT object, advertiser_id, day, day, verdict, reason FROM {days}\n"
        f"WHERE verdict IN {_in(dialect, frozenset({*TO_READ_AGAIN, Verdict.MISSING, Verdict.NOT_EXPLAINED}))}\n"
        "UNION ALL\n"
        f"SELECT DISTINCT checks.object, checks.advertiser_id, checks.first_day, checks.last_day, checks.verdict, "
        f"checks.reason FROM {checks} AS checks\n"
        f"WHERE checks.verdict = {missing} AND NOT EXISTS (SELECT 1 FROM {days} AS days "
        "WHERE days.object = checks.object AND days.advertiser_id = checks.advertiser_id "
        "AND days.day = checks.first_day)"
    )
    return View("v_gaps", "Days of each object and ad account that are not there, or not what TikTok has", sql, fields)


def _late_conversions(dialect: Dialect) -> View:
    """Return the view of how many conversions TikTok adds how long after a day."""
    whole, rate = dialect.types[Kind.COUNT], dialect.types[Kind.RATE]
    added = "changes.conversion_after - changes.conversion_before"
    fields = (
        _OBJECT,
        ADVERTISER_ID,
        Field("age_days", Kind.COUNT, "How many days the day was over"),
        Field("days", Kind.COUNT, "How many days changed at that age"),
        Field("conversions_added", Kind.COUNT, "How many conversions came then"),
        Field("share_added_percent", Kind.RATE, "That many of all that these days have now", "percent"),
    )
    sql = (
        "SELECT changes.object, changes.advertiser_id, changes.age_days,\n"
        f"  CAST(COUNT(DISTINCT changes.day) AS {whole}) AS days, CAST(SUM({added}) AS {whole}) AS conversions_added,\n"
        f"  CAST(ROUND(100.0 * SUM({added}) / NULLIF(SUM(days.conversion), 0), 2) AS {rate}) AS share_added_percent\n"
        f"FROM {dialect.table(RESTATEMENTS)} AS changes JOIN {dialect.table(SEALS)} AS days\n"
        "  ON days.object = changes.object AND days.advertiser_id = changes.advertiser_id "
        "AND days.day = changes.day\n"
        "WHERE changes.conversion_after IS NOT NULL AND changes.conversion_before IS NOT NULL "
        "AND changes.age_days > 0\n"
        "GROUP BY changes.object, changes.advertiser_id, changes.age_days"
    )
    about = "How many conversions TikTok adds to a day, by its age: where it ends, the lookback may end"
    return View("v_late_conversions", about, sql, fields)
