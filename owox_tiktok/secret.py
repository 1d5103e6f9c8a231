"""A value that hides itself."""

from __future__ import annotations

import re
from typing import Any

_SECRETS = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{40}(?![0-9A-Za-z])"  # TikTok's tokens and secrets
    r"|\bya29\.[\w-]{20,}|\bGOCSPX-[\w-]{20,}|\bAIza[\w-]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[\w-]{10,}\.eyJ"
    r"|\bxox[abposr]-[\w-]{10,}|hooks\.slack(-gov)?\.com/services/|chat\.googleapis\.com/v1/spaces/\S*key="
)


def looks_secret(text: str) -> bool:
    """Whether a text holds what looks like a token or secret of TikTok, Google or Slack."""
    return _SECRETS.search(text) is not None


def unfit_to_show(text: str) -> bool:
    """Whether a message had better not repeat a text: it looks secret, or a token may be glued to other letters."""
    return looks_secret(text) or re.search(r"[0-9A-Fa-f]{40}", text) is not None


class Secret:
    """A text that hides itself everywhere but where it is asked for by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text; called only on the line that sends it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a secret is not written anywhere")
