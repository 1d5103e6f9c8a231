"""What can go wrong with a spreadsheet, beside what ``owox_tiktok.errors`` knows of any destination."""

from __future__ import annotations

from owox_tiktok.errors import StoreFailed, StoreSilent

WAYS_OUT = (
    "Choose fewer fields, a shorter Clean Up To Keep Window or a later Start Date, remove tabs you do not need, or "
    "import into BigQuery."
)
"""What a person can do when there is no room."""


class Passing(StoreSilent):
    """Trouble that may pass. ``unsure``: the request may have been carried out all the same."""

    def __init__(self, message: str, *, where: str, unsure: bool) -> None:
        self.unsure = unsure
        super().__init__(message, where=where, what_to_do="Try again later.")


class OverQuota(Passing):
    """Google has no calls left for this account in this minute; the request was not begun."""

    def __init__(self, message: str, *, where: str) -> None:
        super().__init__(message, where=where, unsure=False)


class SheetRefused(StoreFailed):
    """Google said no and would say it again; ``code`` is the HTTP status."""

    lasts = True

    def __init__(self, message: str, *, code: int, where: str, what_to_do: str) -> None:
        self.code = code
        super().__init__(message, where=where, what_to_do=what_to_do)


class ArrivedLate(SheetRefused):
    """A batch that was given up, its answer lost, has been applied meanwhile: look again at what is there."""

    lasts = False


class TooManyCells(StoreFailed):
    """The spreadsheet has no room for so many cells; ``limit`` is how many it takes, where Google has said so."""

    lasts = True
    limit: int | None = None
