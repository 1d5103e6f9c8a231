"""What Business Centers must be asked for one by one: their ad accounts, balances, transactions, budgets.

Money needs a finance role of the user in the center besides the permission of the app; TikTok refuses it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from owox_tiktok.model import Advertiser
from owox_tiktok.tiktok.client import TikTok
from owox_tiktok.tiktok.once import Once
from owox_tiktok.tiktok.questions import Part, Question

EACH = frozenset(
    {
        "center",
        "center of accounts",
        "center of one",
        "center and one",
        "center report",
        "center itself",
        "material type",
    }
)
"""The words of streams that are asked for here."""
_PAGE_SIZE = 50

Found = tuple[tuple[str, ...], ...]


class _Info(msgspec.Struct):
    bc_id: str | int
    name: str | None = None


class _Center(msgspec.Struct):
    bc_info: _Info


class _PageInfo(msgspec.Struct):
    total_page: int = 0


class _Centers(msgspec.Struct):
    centers: list[_Center] | None = msgspec.field(default=None, name="list")
    page_info: _PageInfo = msgspec.field(default_factory=_PageInfo)


def parts(api: TikTok, question: Question, each: str, known: Once[Found]) -> tuple[Part, ...]:
    """Return what a list is asked for one by one: for each Business Center, or for each type of material."""
    if each == "material type":
        return tuple(
            Part(asks=(("material_type", one),), gives=(("material_type", one),)) for one in ("VIDEO", "IMAGE")
        )
    return tuple(_of_centers(api, question.advertiser, each, known))


def _of_centers(api: TikTok, advertiser: Advertiser, each: str, known: Once[Found]) -> Iterator[Part]:
    for center, name in known.get(("centers",), lambda: tuple(_ask(api))):
        asks, given = (("bc_id", center),), (("bc_id", center),)
        if each == "center":
            yield Part(asks=(*asks, ("asset_type", "ADVERTISER")), gives=(*given, ("bc_name", name)))
        elif each == "center of one":
            yield Part(asks=asks, filters=(("account_ids", (advertiser.id,)),), gives=given)
        elif each == "center itself":
            yield Part(asks=asks, gives=(*given, ("advertiser_id", center)))
        elif each == "center report":
            only = {"field_name": "advertiser_id", "filter_type": "IN", "filter_value": _json([advertiser.id])}
            yield Part(asks=(*asks, ("filtering", _json([only]))), gives=given)
        else:  # the account itself is a parameter where there is one
            yield Part(asks=asks, gives=given)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _ask(api: TikTok) -> Iterator[tuple[str, ...]]:
    page, pages = 1, 1
    while page <= pages:
        listed = api.data("bc/get/", {"page": page, "page_size": _PAGE_SIZE}, _Centers)
        for center in listed.centers or ():
            yield str(center.bc_info.bc_id), center.bc_info.name or ""
        page, pages = page + 1, listed.page_info.total_page if listed.centers else 0
