"""The audit before an import: is what stands in a destination still what was stored there, and in words, what is not.

People edit Sheets. They clear a tab, delete old rows, paste some twice, type over values. So a destination that people
edit compares its rows with the seals that were stored with them (``Audited.audit``), and days that differ are read
again, whatever their cursor says. A day without a seal says nothing, nor does one that is not imported any more.

Pure. What is compared, and at which cost, is the destination's matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from owox_tiktok.model import Differences, Seal, Sealed, Seals
from owox_tiktok.streams import STREAMS
from owox_tiktok.trust.seals import CONTROLS, NOTHING

MOST_DAYS_SAID = 3
Day = date | None


def differing(
    stored: Mapping[Day, Sealed], found: Seals, whole: Collection[Day], columns: Collection[str]
) -> dict[Day, tuple[Seal, Seal]]:
    """Return the days whose rows are not those that were stored: what was sealed, and what was found.

    Days that are ``whole`` were counted with all the columns their seal speaks of; of all others only the number of
    rows and the sums of those ``columns`` that are there count.
    """
    different = {}
    for day, sealed in stored.items():
        was, now = sealed.seal, found.get(day, NOTHING)
        if was == now:
            continue
        sums = [name for name in CONTROLS if name in columns and name in sealed.fields]
        if day in whole or was.rows != now.rows or any(getattr(was, n) != getattr(now, n) for n in sums):
            different[day] = (was, now)
    return different


def sentences(differing: Differences, read: Mapping[tuple[str, str], Collection[Day]], then: str) -> list[str]:
    """Return what differs of the days that are ``read`` again, one sentence per stream; ``then`` ends each.

    ``then`` begins with "they" or speaks of them: "they are read again".
    """
    found: defaultdict[str, list[tuple[Day, Seal, Seal]]] = defaultdict(list)
    for pair, days in differing.items():
        found[pair[0]] += [(day, *seals) for day, seals in days.items() if day in read.get(pair, ())]
    return [f"{_what(name, days)}; {then}" for name, days in found.items() if days]


def by_stream(differing: Differences) -> dict[str, Differences]:
    """Return the same, stream by stream."""
    found: dict[str, dict[tuple[str, str], Mapping[Day, tuple[Seal, Seal]]]] = {}
    for pair, days in differing.items():
        found.setdefault(pair[0], {})[pair] = days
    return dict(found)


def _what(name: str, found: Sequence[tuple[Day, Seal, Seal]]) -> str:
    title = STREAMS[name].title if name in STREAMS else name
    missing = sum(was.rows - now.rows for _, was, now in found)
    days = sorted({day for day, _, _ in found if day})
    if all(now.rows < was.rows for _, was, now in found):
        of = f" of {_months(days)}" if days else ""
        one = missing == 1
        return f"{title}: {missing:,} row{'' if one else 's'}{of} {'was' if one else 'were'} missing"
    why = "from what was stored (edited, deleted or pasted)"
    if not days:
        return f"{title}: rows differ {why}"
    said = ", ".join(map(str, days[:MOST_DAYS_SAID])) + (", …" if len(days) > MOST_DAYS_SAID else "")
    one = len(days) == 1
    return f"{title}: {len(days):,} day{'' if one else 's'} ({said}) differ{'s' if one else ''} {why}"


def _months(days: Sequence[date]) -> str:
    months = sorted({day.replace(day=1) for day in days})
    first, last = months[0], months[-1]
    if first == last:
        return f"{first:%B %Y}"
    return f"{first:%B %Y} to {last:%B %Y}" if len(months) > 2 else f"{first:%B %Y} and {last:%B %Y}"
