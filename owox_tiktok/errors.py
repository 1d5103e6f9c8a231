"""What can go wrong, sorted by who can act on it.

An error is three facts: what happened, where, and what to do. The sentence goes to people; ``request_id`` is what
TikTok's support asks for. Nothing here ever holds a token or a URL.

    Problem
      BadInput            the user: a configuration to fix             exit code 2
      Refused             TikTok said no, and asking again will not help
        TokenRefused      … to the token or the app: the whole run ends
        AccountRefused    … to this advertiser: its other streams are not asked any more
        RequestRefused    … to this request (a permission, a parameter): this pair ends
          FieldsRefused   … because of these fields: they are left out and the rest is read
      TooLarge            the window must be read in smaller parts
      Unavailable         retried without success: the next run reads it
      Senseless           one answer made no sense: asked again a few times, then Unavailable
      StoreFailed         the destination said no
        StoreBusy         another import holds it
        StoreDenied       … whatever the rows are (a right, a quota): the pairs of the step end, and none is tried alone
        StoreGone         nothing more can be stored there: the whole run ends
          StoreSilent     … because it did not answer until its deadline
      Halted              somebody asked the work to end, before it had a result
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Problem(Exception):
    """Something a person should know: what happened, ``where``, and ``what_to_do``."""

    lasts = False
    """Whether it stays as it is until a person does something."""

    def __init__(self, message: str, *, where: str = "", what_to_do: str = "", request_id: str = "") -> None:
        self.message = message
        self.where = where
        self.what_to_do = what_to_do
        self.request_id = request_id
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The whole of it as one line for people."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        if self.what_to_do:
            text = f"{text.rstrip('.')}. {self.what_to_do}"
        if self.request_id:
            text = f"{text.rstrip('.')}. (TikTok request {self.request_id})"
        return text


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a configuration: its address (``tiktok.yaml:7 objects``), what is wrong, what to do."""

    where: str
    what: str
    what_to_do: str

    def __str__(self) -> str:
        return visible(f"{self.where}: {self.what.rstrip('.')}. {self.what_to_do}")


def visible(text: str) -> str:
    """Return a text on one line with what steers a terminal, or turns the direction of what follows, spelled out."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class BadInput(Problem):
    """A configuration to fix; carries every mistake found, not only the first."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: Sequence[Mistake] = tuple(mistakes)
        super().__init__("\n".join(str(m) for m in self.mistakes))


class Refused(Problem):
    """TikTok said no and would say it again. ``code`` is TikTok's."""

    lasts = True

    def __init__(self, message: str, *, code: int, what_to_do: str = "", request_id: str = "", where: str = "") -> None:
        self.code = code
        super().__init__(message, where=where, what_to_do=what_to_do, request_id=request_id)


class TokenRefused(Refused):
    """The access token or the developer app is not accepted: nothing else can be read in this run."""


class AccountRefused(Refused):
    """This advertiser cannot be read with this token."""


class RequestRefused(Refused):
    """This request is not allowed or not understood; other streams may still work."""


class FieldsRefused(RequestRefused):
    """TikTok does not give these ``fields`` here."""

    def __init__(self, refused: RequestRefused, fields: frozenset[str]) -> None:
        self.fields = fields
        super().__init__(
            refused.message, code=refused.code, what_to_do=refused.what_to_do, request_id=refused.request_id
        )


class TooLarge(Problem):
    """TikTok cannot answer for so much at once.

    ``cut`` says the answer came, but without the oldest ads; ``ids`` that only fewer ids help, not fewer days.
    """

    def __init__(self, message: str, *, cut: bool = False, ids: bool = False, request_id: str = "") -> None:
        self.cut, self.ids = cut, ids
        super().__init__(
            message,
            request_id=request_id,
            what_to_do="Choose fewer fields, or a higher level (campaigns instead of ads).",
        )


class Unavailable(Problem):
    """Attempts or time ran out."""


class Senseless(Problem):
    """One answer of TikTok's has another shape than it should: raised by what takes it apart, and retried."""


class StoreFailed(Problem):
    """The destination could not take or give what was asked."""


class StoreBusy(StoreFailed):
    """Another import is using the destination."""


class StoreDenied(StoreFailed):
    """The destination refused a step for a reason that is not in its rows: it would refuse a part of them as well."""

    lasts = True


class StoreGone(StoreFailed):
    """The destination cannot take anything more (its disk is full, say), whatever is read for it."""

    lasts = True


class StoreTaken(StoreGone):
    """The destination was taken away, with all that this run has stored in it."""


class StoreSilent(StoreGone):
    """The destination did not answer, however often it was asked; it would not answer for another window either."""

    lasts = False


class Halted(Problem):
    """The work was asked to end, before it had a result. ``message`` is the reason."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why most of what failed did: a sentence, how many times, and whether a person has to do something first."""

    sentence: str
    count: int
    lasts: bool
    of_token: bool = False
    """Whether TikTok refused the token: a new one is what helps."""


MOST_OF_CAUSE = 400
"""Characters of a cause's sentence: a status has room for little more."""


def main_cause(problems: Sequence[Problem]) -> Cause | None:
    """Return the problem that most of ``problems`` are; None without any. The first of several that are as many.

    The same thing at several places is one: then no place is named.
    """
    if not problems:
        return None
    (what, count), *_ = Counter((p.message, p.what_to_do, p.lasts) for p in problems).most_common(1)
    alike = [p for p in problems if (p.message, p.what_to_do, p.lasts) == what]
    where = alike[0].where if len({p.where for p in alike}) == 1 else ""
    sentence = " ".join(Problem(what[0], where=where, what_to_do=what[1]).sentence.split())
    if len(sentence) > MOST_OF_CAUSE:
        sentence = sentence[: MOST_OF_CAUSE - 1] + "…"
    return Cause(sentence, count, what[2], isinstance(alike[0], TokenRefused))
