"""Views of what there is: accounts, campaigns, ad groups and ads, as they are now and as they were."""

from __future__ import annotations

from owox_tiktok.model import Field, Kind, Stream
from owox_tiktok.streams import ADVERTISER_ID, ID_OF, STREAMS
from owox_tiktok.views.performance import ENTITIES
from owox_tiktok.views.select import Select, There, View

_OF_ENTITIES = (
    Field("entity_type", Kind.TEXT, "advertiser, campaign, ad_group or ad"),
    Field("entity_id", Kind.ID, "Its identifier"),
    Field("entity_name", Kind.TEXT, "Its present name"),
    ADVERTISER_ID,
    Field("campaign_id", Kind.ID, "Campaign it belongs to, or is"),
    Field("adgroup_id", Kind.ID, "Ad group it belongs to, or is"),
    Field("ad_id", Kind.ID, "Ad that it is"),
    Field("operation_status", Kind.TEXT, "Whether it is switched on: ENABLE, DISABLE …"),
    Field("secondary_status", Kind.TEXT, "What it is doing, and why not"),
    Field("is_deleted", Kind.BOOLEAN, "Whether it, or what it belongs to, is deleted"),
    Field("budget_mode", Kind.TEXT, "What the budget is for: a day, the whole life …"),
    Field("budget", Kind.MONEY, "Budget", unit="account currency"),
    Field("currency", Kind.TEXT, "ISO 4217 currency of the ad account"),
    Field("create_time", Kind.INSTANT, "When it was created"),
    Field("modify_time", Kind.INSTANT, "When it was changed last"),
)


def latest_entities(there: There) -> View:
    """Return the view of every account, campaign, ad group and ad, whichever are stored."""
    name, about = "v_latest_entities", "Every ad account, campaign, ad group and ad as it was when it was read last"
    selects, missing = [], {}
    for entity in reversed(ENTITIES):
        if not there.has(entity.stream):
            missing[entity.stream] = ()
            continue
        select = Select(there, f"{there.table(entity.stream)} AS entity")

        def of(column: str, stream: str = entity.stream, select: Select = select) -> list[str]:
            return select.of("entity", stream, column)

        status = of("status" if entity.level == "advertiser" else "secondary_status")
        special = {
            "entity_type": [f"'{entity.level}'"],
            "entity_id": of(ID_OF[entity.level]),
            "entity_name": of(entity.name),
            "secondary_status": status,
            "is_deleted": [f"(RIGHT({status[0]}, 7) = '_DELETE')"] if status else [],
        }
        for made in _OF_ENTITIES:
            select.add(made, special[made.name] if made.name in special else of(made.name))
        selects.append(select.sql)
    return View(name, about, "\nUNION ALL\n".join(selects), _OF_ENTITIES if selects else (), missing)


# --- as they were -----------------------------------------------------------------------------------------------------

_DAY = Field("day", Kind.DAY, "A day of the ad account's calendar; the columns say how things were at its end")


def by_day(there: There) -> list[View]:
    """Return for each list with a history the view of its rows on each day since it has begun."""
    return [_by_day(there, s) for s in STREAMS.values() if s.may_have_history and f"{s.table}_history" in there.tables]


def _by_day(there: There, stream: Stream) -> View:
    dialect, quoted = there.dialect, there.dialect.name
    stored = there.tables[f"{stream.table}_history"]
    versions = Select(there, f"{dialect.table(f'{stream.table}_history')} AS version")
    read_on = versions.last_read("version", stream.name, "read_on")
    fields = [f for f in stream.fields.values() if f.name in stored]
    for made in fields:
        versions.add(made, [f"version.{quoted(made.name)}"])
    ends = (Field("first", Kind.DAY, ""), Field("last", Kind.DAY, ""))
    versions.add(ends[0], ["version.valid_from_day"])
    versions.add(ends[1], [dialect.days_before.format("version.valid_to_day", 1), *(read_on or ["CURRENT_DATE()"])])
    select = Select(there, "(\n" + versions.sql + f"\n) AS held, {dialect.each_day.format('held.first', 'held.last')}")
    select.add(_DAY, ["day"])
    for made in fields:
        select.add(made, [f"held.{quoted(made.name)}"])
    about = f"{stream.title} as they were at the end of each day since their history is kept"
    return select.view(f"v_{stream.name}_by_day", about)
