"""Views of what there is: accounts, campaigns, ad groups and ads, as they are now and as they were."""

from __future__ import annotations

from owox_tiktok.model import Field, Kind
from owox_tiktok.streams import ADVERTISER_ID, ID_OF
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
            "is_deleted": [f"ENDS_WITH({status[0]}, '_DELETE')"] if status else [],
        }
        for made in _OF_ENTITIES:
            select.add(made, special[made.name] if made.name in special else of(made.name))
        selects.append(select.sql)
    return View(name, about, "\nUNION ALL\n".join(selects), _OF_ENTITIES if selects else (), missing)
