"""How an access token is obtained, and ended: TikTok's authorisation of a developer app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

import msgspec

from owox_tiktok.secret import Secret
from owox_tiktok.tiktok.client import TikTok, of

AUTHORISE = "https://business-api.tiktok.com/portal/auth"


def authorisation_url(app_id: str, state: str, redirect_uri: str, at: str = AUTHORISE) -> str:
    """Return the address at which an advertiser grants the app access; ``state`` comes back with the auth code."""
    return f"{at}?{urlencode({'app_id': app_id, 'state': state, 'redirect_uri': redirect_uri})}"


@dataclass(frozen=True, slots=True)
class Authorisation:
    """What an auth code was exchanged for; ``scope`` are TikTok's numbers of the permissions that came with it."""

    token: Secret
    advertiser_ids: tuple[str, ...]
    scope: tuple[int, ...] = ()


class _Exchanged(msgspec.Struct):
    access_token: Annotated[str, msgspec.Meta(min_length=1)]
    advertiser_ids: list[Annotated[str, msgspec.Meta(pattern=r"^\w{1,64}\Z")] | int] | None = None
    scope: list[int] | None = None


def exchange(api: TikTok, app_id: str, secret: Secret, auth_code: Secret) -> Authorisation:
    """Exchange an auth code (it works once) for an access token, which has no end of its own."""
    found = api.post(
        "oauth2/access_token/",
        {"app_id": app_id, "secret": secret.reveal(), "auth_code": auth_code.reveal()},
        take=of(_Exchanged),
    )
    return Authorisation(
        Secret(found.access_token), tuple(str(a) for a in found.advertiser_ids or ()), tuple(found.scope or ())
    )


def revoke(api: TikTok, app_id: str, secret: Secret, token: Secret) -> None:
    """End an access token for good."""
    body = {"app_id": app_id, "secret": secret.reveal(), "access_token": token.reveal()}
    api.post("oauth2/revoke_token/", body, take=lambda answer: None)
