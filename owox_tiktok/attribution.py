"""How long after a click conversions are still credited: the ad groups' own windows against the look-back.

Read from the rows of ad groups that an import has just read, so it costs no request; a window that is longer than the
look-back means conversions that arrive after their day was read for the last time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from owox_tiktok.model import Stream
from owox_tiktok.settings import BY_NAME, Settings
from owox_tiktok.spool import read_text
from owox_tiktok.trust.seals import in_order

DAYS: Mapping[str, int] = {
    "OFF": 0, "ONE_DAY": 1, "SEVEN_DAYS": 7, "FOURTEEN_DAYS": 14, "TWENTY_EIGHT_DAYS": 28, "THIRTY_DAYS": 30,
    "THIRTY_TWO_DAYS": 32, "ONE_HUNDRED_EIGHTY_DAYS": 180,
}  # fmt: skip
"""TikTok's names of the windows of an ad group, in days; a name that is not here says nothing."""
FIELDS = ("click_attribution_window", "view_attribution_window", "engaged_view_attribution_window")
STREAMS = frozenset(("ad_groups", "smart_plus_ad_groups"))


class LongestWindow:
    """The longest attribution window of the ad groups read so far; shared by the reader threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._days: dict[str, int] = {}

    def note(self, stream: Stream, fields: Sequence[str], path: Path, advertiser_id: str) -> None:
        """Look at rows of ad groups that were just read into ``path``; other streams are none of its business."""
        if stream.name not in STREAMS:
            return
        names = [f.name for f in in_order(stream.columns(fields))]
        at = [n for n, name in enumerate(names) if name in FIELDS]
        status = names.index("secondary_status") if "secondary_status" in names else None
        longest = 0
        for row in read_text(path) if at else ():
            if status is None or not (row[status] or "").endswith("_DELETE"):
                longest = max(longest, *(DAYS.get(row[n] or "", 0) for n in at))
        with self._lock:
            self._days[advertiser_id] = max(longest, self._days.get(advertiser_id, 0))

    def hint(self, settings: Settings) -> str:
        """Return what to say when windows are longer than the look-back of an import of reports; else nothing."""
        lookback = settings.reimport_lookback_window
        longer = {advertiser: days for advertiser, days in self._days.items() if days > lookback}
        if not longer or not any(s.is_report for s in settings.objects):
            return ""
        days, name = max(longer.values()), settings.wording.say(BY_NAME["reimport_lookback_window"])
        accounts = f"{len(longer)} ad account{'' if len(longer) == 1 else 's'}"
        return (
            f"ad groups of {accounts} credit conversions for up to {days} days, but reports are read again for "
            f"{lookback} days only, so later conversions are missed. Set {name} to {days}"
        )
