"""Names that a person could have given: for demonstrations and pictures.

Tests keep the world's own names, which are odd on purpose.
"""

from __future__ import annotations

_NAMES = {
    "account": (
        "Alder & Pine US", "Alder & Pine Germany", "Alder & Pine Japan", "Alder & Pine Ukraine", "Alder & Pine India",
        "Alder & Pine Australia", "Alder & Pine Brazil", "Alder & Pine UK",
    ),
    "campaign": (
        "Spring sale", "Free shipping", "Retargeting", "New arrivals", "App installs", "Gift guide", "Creators",
        "Weekend deals", "Loyalty club", "Bestsellers", "Outlet", "Brand video",
    ),
    "ad group": (
        "Women 25–34", "Lookalike 1 %", "Men 25–34", "Cart, 14 days", "Broad", "Outdoor fans", "iOS", "Android",
        "Home and garden", "Video viewers", "Young parents", "Travellers",
    ),
    "ad": (
        "Unboxing", "Three looks", "Before and after", "Customer story", "How it is made", "Packing an order",
        "Price drop", "Behind the scenes", "Five-second hook", "Duet", "Question and answer", "Studio tour",
    ),
}  # fmt: skip


def pleasant(what: str, index: int) -> str:
    """Return the name of the ``index``-th account, campaign, ad group or ad; no two of a kind are equal."""
    names = _NAMES[what]
    again, at = divmod(index, len(names))
    return f"{names[at]} v{again + 1}" if again else names[at]
