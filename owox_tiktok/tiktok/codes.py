"""What TikTok's return codes ask of us, one row each. The wording of a message decides nothing."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Does(enum.Enum):
    """What a code asks of us."""

    SLOW_DOWN = "slow down"
    SLOW_ADVERTISER = "slow down for one advertiser"
    AGAIN = "try again"
    TIMED_OUT = "try again, then ask for less"
    LESS = "ask for less"
    TOKEN = "the token or app is refused"
    ACCOUNT = "the advertiser is refused"
    REQUEST = "the request is refused"


_RECONNECT = "Authorise the app again (docs/CREDENTIALS.md) and set the new token."
_GRANT = "Grant the app this permission and this ad account in TikTok, or remove the object or account."
_NOT_OURS = "Remove the ad account, or authorise it again with a user who has access."
_DEVELOPER = "Look at the app in TikTok's developer portal (docs/CREDENTIALS.md)."

CODES: Mapping[int, tuple[Does, str]] = {
    40001: (Does.REQUEST, _GRANT),
    40002: (Does.REQUEST, ""),
    40006: (Does.REQUEST, ""),
    40007: (Does.REQUEST, ""),
    40009: (Does.REQUEST, ""),
    40011: (Does.REQUEST, ""),
    40016: (Does.SLOW_DOWN, ""),
    40067: (Does.LESS, ""),
    40100: (Does.SLOW_DOWN, "Is another sync using the same developer app?"),
    40101: (Does.TOKEN, "Check app_id and app_secret, or start the authorisation again."),
    40102: (Does.TOKEN, _RECONNECT),
    40104: (Does.TOKEN, "Set TIKTOK_ACCESS_TOKEN."),
    40105: (Does.TOKEN, _RECONNECT),
    40106: (Does.ACCOUNT, _NOT_OURS),
    40107: (Does.TOKEN, _RECONNECT),
    40110: (Does.TOKEN, "An auth code works once and for an hour: start the authorisation again."),
    40113: (Does.TOKEN, _DEVELOPER),
    40118: (Does.REQUEST, "This feature must be enabled by TikTok for the account."),
    40119: (Does.TOKEN, _DEVELOPER),
    40124: (Does.TOKEN, _DEVELOPER),
    40125: (Does.REQUEST, _DEVELOPER),
    40132: (Does.SLOW_DOWN, ""),
    40133: (Does.SLOW_ADVERTISER, ""),
    40200: (Does.AGAIN, ""),
    40201: (Does.AGAIN, ""),
    40202: (Does.AGAIN, ""),
    40300: (Does.ACCOUNT, "The ad account was deleted or does not exist: remove it."),
    40301: (Does.ACCOUNT, _NOT_OURS),
    40700: (Does.AGAIN, ""),
    41000: (Does.TOKEN, "TikTok refuses the country this runs in: run it in another region."),
    51001: (Does.TIMED_OUT, ""),
    51021: (Does.SLOW_DOWN, ""),
    51039: (Does.TIMED_OUT, ""),
}


def reaction(code: int) -> tuple[Does, str]:
    """Return what ``code`` asks of us and what a person can do about it."""
    if code in CODES:
        return CODES[code]
    # TikTok keeps 50000-59999 for trouble on its own side.
    return (Does.AGAIN, "") if 50000 <= code <= 59999 else (Does.REQUEST, "")
