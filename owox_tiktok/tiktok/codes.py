"""What TikTok's return codes ask of us, one row each. The wording of a message decides nothing."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple


class Does(enum.Enum):
    """What a code asks of us."""

    PARTLY = "take what came, and warn"
    SLOW_DOWN = "slow down"
    SLOW_ADVERTISER = "slow down for one advertiser"
    RETRY = "try again"
    LATER = "wait until the maintenance is over"
    TIMED_OUT = "try once more, then ask for less"
    LESS = "ask for less"
    FEWER_IDS = "ask for fewer ids"
    TOKEN = "the token or app is refused"
    ACCOUNT = "the advertiser is refused"
    REQUEST = "the request is refused"


class Code(NamedTuple):
    """A return code: what TikTok means by it, what it asks of us, and what a person can do about it."""

    means: str
    does: Does
    advice: str = ""


_RECONNECT = "Authorise the app again (docs/CREDENTIALS.md) and set the new token."
_GRANT = "Grant the app this permission and this ad account in TikTok, or remove the object or account."
_NOT_OURS = "Remove the ad account, or authorise it again with a user who has access."
_DEVELOPER = "Look at the app in TikTok's developer portal (docs/CREDENTIALS.md)."
_SANDBOX = "TikTok's sandbox does not have this: remove the object, or set sandbox_mode to false."
_WITHDRAWN = "TikTok may have changed or withdrawn this: update this program, or remove the object."
_NOT_SAID = "a fault of the authentication; TikTok does not say which"

CODES: Mapping[int, Code] = {
    20001: Code("done in part", Does.PARTLY),
    40000: Code("invalid parameters", Does.REQUEST),
    40001: Code("no permission for this account or this kind of data", Does.REQUEST, _GRANT),
    40002: Code("a parameter is wrong; the message names it", Does.REQUEST),
    40006: Code("the parameters do not fit the version of the API", Does.REQUEST, _WITHDRAWN),
    40007: Code("the object asked for does not exist", Does.REQUEST),
    40008: Code("the endpoint does not exist; many do not in the sandbox", Does.REQUEST, _SANDBOX),
    40009: Code("the sandbox does not support this parameter", Does.REQUEST, _SANDBOX),
    40010: Code("the wrong domain", Does.REQUEST, "Check TIKTOK_API_URL and sandbox_mode."),
    40011: Code("too many ids in one request", Does.FEWER_IDS),
    40013: Code(
        "the ad account does not exist in the sandbox", Does.ACCOUNT, "Remove it, or set sandbox_mode to false."
    ),
    40014: Code("the sandbox does not support this", Does.REQUEST, _SANDBOX),
    40016: Code("too many requests of the app to one endpoint", Does.SLOW_DOWN),
    40050: Code("the same request twice", Does.REQUEST),
    40051: Code("no such version of the API", Does.REQUEST, _WITHDRAWN),
    40067: Code("the report is too large", Does.LESS),
    40100: Code("too many requests of the app", Does.SLOW_DOWN, "Is another sync using the same developer app?"),
    40101: Code(
        "app id, secret or auth code is wrong",
        Does.TOKEN,
        "Check app_id and app_secret, or start the authorisation again.",
    ),
    40102: Code("the access token has expired", Does.TOKEN, _RECONNECT),
    40103: Code("the refresh token has expired", Does.TOKEN, _RECONNECT),
    40104: Code("the access token is empty", Does.TOKEN, "Set TIKTOK_ACCESS_TOKEN."),
    40105: Code("the access token is wrong or revoked", Does.TOKEN, _RECONNECT),
    40106: Code("the token's user has no access to the account", Does.ACCOUNT, _NOT_OURS),
    40107: Code("the refresh token is wrong", Does.TOKEN, _RECONNECT),
    40108: Code(_NOT_SAID, Does.TOKEN, _RECONNECT),
    40110: Code(
        "the auth code was used, cancelled or has expired",
        Does.TOKEN,
        "An auth code works once and for an hour: start the authorisation again.",
    ),
    40113: Code("the app is blocked or unknown", Does.TOKEN, _DEVELOPER),
    40115: Code("the time stamp of the authentication has expired", Does.TOKEN, "Check the clock of this machine."),
    40116: Code(_NOT_SAID, Does.TOKEN, _RECONNECT),
    40117: Code(_NOT_SAID, Does.TOKEN, _RECONNECT),
    40118: Code(
        "a feature for chosen accounts only", Does.REQUEST, "This feature must be enabled by TikTok for the account."
    ),
    40119: Code("the app and the advertiser are of different companies", Does.TOKEN, _DEVELOPER),
    40124: Code("the developer's profile is not approved", Does.TOKEN, _DEVELOPER),
    40125: Code("the app may not have this, or these fields", Does.REQUEST, _DEVELOPER),
    40132: Code("too many calls for one value of a field of an event", Does.REQUEST),
    40133: Code("too many requests for one ad account to one endpoint", Does.SLOW_ADVERTISER),
    40200: Code("the task of an asynchronous report failed", Does.REQUEST),
    40201: Code("the task of an asynchronous report is not ready", Does.RETRY),
    40202: Code("somebody else writes the same", Does.RETRY),
    40300: Code(
        "the ad account is unknown or deleted",
        Does.ACCOUNT,
        "The ad account was deleted or does not exist: remove it.",
    ),
    40301: Code("the ad account does not belong to the token", Does.ACCOUNT, _NOT_OURS),
    40700: Code("TikTok's own check refuses the request", Does.REQUEST),
    41000: Code(
        "a country that TikTok refuses",
        Does.TOKEN,
        "TikTok refuses the country this runs in: run it in another region.",
    ),
    41001: Code("the endpoint was withdrawn", Does.REQUEST, _WITHDRAWN),
    41002: Code("the field is not in use", Does.REQUEST),
    50000: Code("a fault of TikTok's", Does.RETRY),
    50001: Code("a fault of TikTok's", Does.RETRY),
    50002: Code("a fault of TikTok's", Does.RETRY),
    51001: Code("TikTok could not answer in time", Does.TIMED_OUT),
    51021: Code("too many requests", Does.SLOW_DOWN),
    51039: Code("TikTok could not answer in time", Does.TIMED_OUT),
    51305: Code("a fault of TikTok's", Does.RETRY),
    60001: Code("maintenance", Does.LATER),
}
"""TikTok's own list has 72 codes; these are the ones that reading may meet, and a few seen that it does not name."""

_OURS_TO_READ_AGAIN = Code("a fault of TikTok's", Does.RETRY)
_UNKNOWN = Code("unknown", Does.REQUEST)


def reaction(code: int) -> Code:
    """Return what ``code`` means and asks of us."""
    # TikTok keeps 50000-59999 for trouble on its own side.
    return CODES.get(code) or (_OURS_TO_READ_AGAIN if 50000 <= code <= 59999 else _UNKNOWN)
