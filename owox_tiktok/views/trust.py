"""Views of what checks came to: how much of the spend is verified, where something is missing, how conversions grow.

They read the tables of ``trust.kept``, and are omitted where a destination does not keep those. Pure.
"""

from __future__ import annotations

from owox_tiktok.dialects import SEALS, Dialect
from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import ADVERTISER_ID, ID_OF, STREAMS
from owox_tiktok.trust.kept import CHECK, CHECKS, RESTATEMENT, RESTATEMENTS, SAID, VERDICT, days_of
from owox_tiktok.trust.seals import CONTROLS, COUNTS
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
        SEALS: {p.name for p in VERDICT if p.name not in SAID},
        CHECKS: {p.name for p in CHECK},
        RESTATEMENTS: {p.name for p in RESTATEMENT},
    }
    if any(not names <= set(there.tables.get(table, ())) for table, names in needed.items()):
        return []
    days = days_of(there.dialect, "written_at" if "written_at" in there.tables[SEALS] else "")
    return [make(there.dialect, days) for make in (_trust, _gaps, _late_conversions, _as_of)]


def _in(dialect: Dialect, texts: object) -> str:
    assert isinstance(texts, tuple | frozenset)
    return f"({', '.join(sorted(dialect.text(str(t)) for t in texts))})"


def _earlier(dialect: Dialect, day: str, days: int) -> str:
    """Return SQL for so many days before a day."""
    return dialect.days_before.format(day, days)


def _trust(dialect: Dialect, days: str) -> View:
    """Return the view of one line per account.

    An account is equal through a day where each of its objects is: up to its last confirmed day before the first one
    that is wrong, as ``verify`` says it; and from the day on behind the last one that no total has confirmed yet.
    """
    text, whole = dialect.types[Kind.TEXT], dialect.types[Kind.COUNT]
    good = f"COALESCE(verdict IN {_in(dialect, VERIFIED)}, FALSE)"
    wrong = f"verdict IN {_in(dialect, frozenset({*TO_READ_AGAIN, Verdict.MISSING}))}"
    recent = f"day >= {_earlier(dialect, 'last_day', 2)}"
    moving = f"verdict = {dialect.text(str(Verdict.MOVING))} OR (verdict IS NULL AND {recent})"
    unconfirmed = f"MAX(CASE WHEN NOT {good} AND day < through THEN day END)"
    between = "DATE_DIFF(next_day, day, DAY)" if dialect.escapes else "(next_day - day)"
    whose = "PARTITION BY object, advertiser_id"

    def count(condition: str) -> str:
        return f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END)"

    of_object = {
        "advertiser_id": "advertiser_id",
        "spend": "SUM(spend)",
        "verified": f"SUM(CASE WHEN {good} THEN spend END)",
        "through": "MAX(through)",
        "since": f"COALESCE({_earlier(dialect, unconfirmed, -1)}, MIN(day))",
        "first_day": "MIN(day)",
        "moving_since": f"MIN(CASE WHEN {moving} THEN day END)",
        "days_wrong": count(f"verdict IN {_in(dialect, TO_READ_AGAIN)}"),
        "days_unverified": count(f"NOT {good}"),
        "gaps": f"SUM(CASE WHEN next_day > {_earlier(dialect, 'day', -1)} THEN {between} - 1 ELSE 0 END)",
        "verified_at": "MAX(verified_at)",
    }
    complete = "COUNT(*) = COUNT(through) AND MAX(since) <= MIN(through)"
    fields = {
        ADVERTISER_ID: "advertiser_id",
        Field("spend_verified_percent", Kind.RATE, "How much of the stored spend TikTok's totals confirm", "percent"): (
            f"CAST(ROUND(100 * SUM(verified) / NULLIF(SUM(spend), 0), 2) AS {dialect.types[Kind.RATE]})"
        ),
        Field(
            "verified_since", Kind.DAY, "All stored days from this one …"
        ): f"CASE WHEN {complete} THEN MAX(since) END",
        Field("verified_through", Kind.DAY, "… up to this one are confirmed; null where that is true of none"): (
            f"CASE WHEN {complete} THEN MIN(through) END"
        ),
        Field("moving_since", Kind.DAY, "TikTok still changes the days from this one on"): "MIN(moving_since)",
        Field("days_wrong", Kind.COUNT, "Days, counted per object, that the next import reads again"): (
            f"CAST(SUM(days_wrong) AS {whole})"
        ),
        Field("days_unverified", Kind.COUNT, "Days, counted per object, that no total has confirmed yet"): (
            f"CAST(SUM(days_unverified) AS {whole})"
        ),
        Field("gaps", Kind.COUNT, "Days, counted per object, between the first and the last that were not read"): (
            f"CAST(SUM(gaps) AS {whole})"
        ),
        Field("last_verified_at", Kind.INSTANT, "When a total last confirmed something"): "MAX(verified_at)",
    }
    percent = f"COALESCE(CAST(CAST(FLOOR(spend_verified_percent) AS {whole}) AS {text}), '0')"
    begins = (
        f"CASE WHEN verified_since > first_day THEN CONCAT('from ', CAST(verified_since AS {text}), ' ') ELSE '' END"
    )
    said = (
        "CONCAT(CASE WHEN days_wrong = 1 THEN '1 day is not what TikTok has; ' "
        f"WHEN days_wrong > 0 THEN CONCAT(CAST(days_wrong AS {text}), ' days are not what TikTok has; ') ELSE '' END, "
        f"CASE WHEN verified_through IS NULL THEN '' ELSE CONCAT('equal to TikTok ', {begins}, 'through ', "
        f"CAST(verified_through AS {text}), ', ') END, {percent}, ' % of the spend is verified')"
    )
    sentence = Field("sentence", Kind.TEXT, "The same in words")
    picked = [dialect.name(f.name) for f in fields]
    accounts = [f"{sql} AS {name}" for name, sql in zip(picked, fields.values(), strict=True)]
    objects = [f"{sql} AS {name}" for name, sql in of_object.items()]
    last = f"MAX(CASE WHEN {good} AND (broken IS NULL OR day < broken) THEN day END) OVER ({whose}) AS through"
    read = (
        f"SELECT advertiser_id, object, day, spend, verdict, verified_at, "
        f"LEAD(day) OVER ({whose} ORDER BY day) AS next_day, MAX(day) OVER ({whose}) AS last_day, "
        f"MIN(CASE WHEN {wrong} THEN day END) OVER ({whose}) AS broken\n"
        f"      FROM {days} AS kept WHERE day IS NOT NULL AND object IN {_in(dialect, COMPARED)}"
    )
    lines = ",\n    "
    sql = (
        f"SELECT {', '.join(picked)}, {said} AS {dialect.name('sentence')}\n"
        f"FROM (\n  SELECT\n    {lines.join([*accounts, 'MIN(first_day) AS first_day'])}\n"
        f"  FROM (\n    SELECT object, {', '.join(objects)}\n    FROM (SELECT *, {last} FROM (\n      {read}\n"
        "    ) AS read_days) AS days\n    GROUP BY object, advertiser_id\n  ) AS objects\n"
        "  GROUP BY advertiser_id\n) AS accounts"
    )
    about = "One line per ad account: how much of what is stored TikTok's own totals confirm"
    return View("v_trust", about, sql, (*fields, sentence))


def _gaps(dialect: Dialect, days: str) -> View:
    """Return the view of days that are not there, or not right."""
    checks = dialect.table(CHECKS)
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
    after = _earlier(dialect, "day", -1)
    sql = (
        f"SELECT object, advertiser_id, {after} AS first_day, {_earlier(dialect, 'next_day', 1)} AS last_day, "
        f"{dialect.text(str(Verdict.NOT_READ))} AS what, {null} AS reason\n"
        f"FROM (SELECT object, advertiser_id, day, {lead} FROM {days} AS kept WHERE day IS NOT NULL) AS read_days\n"
        f"WHERE next_day > {after}\nUNION ALL\n"
        f"SELECT object, advertiser_id, day, day, verdict, reason FROM {days} AS kept\n"
        f"WHERE verdict IN {_in(dialect, frozenset({*TO_READ_AGAIN, Verdict.MISSING, Verdict.NOT_EXPLAINED}))}\n"
        "UNION ALL\n"
        f"SELECT DISTINCT checks.object, checks.advertiser_id, checks.first_day, checks.last_day, checks.verdict, "
        f"checks.reason FROM {checks} AS checks\n"
        f"WHERE checks.verdict = {missing} AND NOT EXISTS (SELECT 1 FROM {days} AS days "
        "WHERE days.object = checks.object AND days.advertiser_id = checks.advertiser_id "
        "AND days.day = checks.first_day)"
    )
    return View("v_gaps", "Days of each object and ad account that are not there, or not what TikTok has", sql, fields)


def _late_conversions(dialect: Dialect, days: str) -> View:
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
        f"FROM {dialect.table(RESTATEMENTS)} AS changes JOIN {days} AS days\n"
        "  ON days.object = changes.object AND days.advertiser_id = changes.advertiser_id "
        "AND days.day = changes.day\n"
        "WHERE changes.conversion_after IS NOT NULL AND changes.conversion_before IS NOT NULL "
        "AND changes.age_days > 0\n"
        "GROUP BY changes.object, changes.advertiser_id, changes.age_days"
    )
    about = "How many conversions TikTok adds to a day, by its age: where it ends, the lookback may end"
    return View("v_late_conversions", about, sql, fields)


def _as_of(dialect: Dialect, days: str) -> View:
    """Return the view of what was stored of each day, and when."""
    sums = ("rows", *CONTROLS)
    instant, table = dialect.null(Kind.INSTANT), dialect.table(RESTATEMENTS)
    fields = (
        _OBJECT,
        ADVERTISER_ID,
        Field("day", Kind.DAY, "The day"),
        Field("valid_from", Kind.INSTANT, "Since when these were its sums; null: since it was first read"),
        Field("valid_to", Kind.INSTANT, "Until when; null: they still are"),
        Field("rows", Kind.COUNT, "How many rows it had"),
        Field("spend", Kind.MONEY, "Their sum, where the object has it"),
        *(Field(n, Kind.COUNT, "Their sum, where the object has it") for n in COUNTS),
    )
    whose = "object, advertiser_id, day"
    before = ", ".join(f"{dialect.name(f'{n}_before')} AS {dialect.name(n)}" for n in sums)
    same = " AND ".join(f"changed.{n} = kept.{n}" for n in ("object", "advertiser_id", "day"))
    sql = (
        f"SELECT {whose}, LAG(seen_at) OVER (PARTITION BY {whose} ORDER BY seen_at) AS valid_from, "
        f"seen_at AS valid_to, {before}\nFROM {table}\nUNION ALL\n"
        f"SELECT kept.object, kept.advertiser_id, kept.day, changed.seen_at, {instant}, "
        f"{', '.join(f'kept.{dialect.name(n)}' for n in sums)}\nFROM {days} AS kept LEFT JOIN (\n"
        f"  SELECT {whose}, MAX(seen_at) AS seen_at FROM {table} GROUP BY {whose}\n) AS changed ON {same}\n"
        "WHERE kept.day IS NOT NULL"
    )
    return View(
        "v_days_as_of", "What was stored of each day of an object and ad account, and from when to when", sql, fields
    )
