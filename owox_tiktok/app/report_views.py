"""The views to report on, made from what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from owox_tiktok.destinations import open_destination, shown
from owox_tiktok.errors import BadInput, Mistake, StoreFailed
from owox_tiktok.events import Listener, Warned
from owox_tiktok.model import Destination
from owox_tiktok.settings import Settings
from owox_tiktok.views import HoldsViews, View, definitions


@dataclass(frozen=True, slots=True)
class Viewed:
    """What came of one view: the ``statement`` that makes it, unless it must be left out, and if it was left alone."""

    view: View
    statement: str
    left_alone: bool = False


def views(settings: Settings, *, dry_run: bool, environment: Mapping[str, str] | None = None) -> list[Viewed]:
    """Create or refresh every view that what is stored allows; dry: only say how.

    Raises BadInput when the destination cannot have views, StoreFailed when nothing is stored or it says no.
    """
    # Read first: where nothing is stored, nothing is created either.
    with open_destination(settings.destination, read_only=True, environment=environment) as destination:
        holder = holding_views(destination, settings)
        dialect = holder.dialect
        found = definitions(holder.columns(), dialect, settings.reimport_lookback_window)
    possible = [view for view in found if view.sql]
    if not possible:
        raise StoreFailed(
            "there is no table yet, so no view can be created",
            where=shown(settings.destination),
            what_to_do="Import first, then create the views.",
        )
    alone: list[str] = []
    if not dry_run:
        with open_destination(settings.destination, environment=environment) as destination:
            alone = holding_views(destination, settings).create_views(possible)
    return [
        Viewed(view, dialect.create_view(view.name, view.sql) if view.sql else "", view.name in alone) for view in found
    ]


def holding_views(destination: Destination, settings: Settings) -> HoldsViews:
    """Return the destination as one with views; raises BadInput where it cannot have any."""
    if isinstance(destination, HoldsViews):
        return destination
    what = f"{settings.destination.partition('://')[0]}:// has no views"
    raise BadInput([Mistake(f"{settings.source} views", what, "Omit them, or use duckdb:// or bigquery://.")])


def refresh_views(destination: Destination, settings: Settings, listen: Listener) -> None:
    """Refresh the views after an import; its rows are stored, so what goes wrong here is only reported."""
    holder = holding_views(destination, settings)
    try:
        found = definitions(holder.columns(), holder.dialect, settings.reimport_lookback_window)
        for name in holder.create_views([view for view in found if view.sql]):
            listen(Warned("views", "", f"{name} was not created: somebody else's view already has that name"))
    except StoreFailed as error:
        listen(Warned("views", "", error.sentence))
