"""Which ad accounts there are, and what is known of each: name, currency, time zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from owox_tiktok.errors import AccountRefused, Refused, RequestRefused
from owox_tiktok.model import Advertiser
from owox_tiktok.tiktok.client import TikTok, printable

ADVERTISERS_PER_CALL = 100
_FIELDS = ("advertiser_id", "name", "currency", "timezone", "display_timezone")
_UTC = ZoneInfo("UTC")
_NOT_IN_SANDBOX = frozenset({40008, 40014})
_UNDESCRIBED = "the sandbox does not tell its name, currency and time zone, so UTC decides what today is"


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts that can be read, why the others cannot, and what a person should know of some, by id."""

    found: Sequence[Advertiser] = ()
    refused: Mapping[str, Refused] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


class _Account(msgspec.Struct):
    """An ad account as TikTok's lists of accounts describe it."""

    advertiser_id: Annotated[str, msgspec.Meta(pattern=r"^\w{1,64}\Z")] | int
    name: str | None = None
    currency: str | None = None
    timezone: str | None = None
    display_timezone: str | None = None


class _Listed(msgspec.Struct):
    accounts: list[_Account] | None = msgspec.field(default=None, name="list")


def authorised(api: TikTok) -> tuple[str, ...]:
    """Return the ids of every ad account the authorisation covers, each once."""
    data = api.data("oauth2/advertiser/get/", {}, _Listed, with_app=True)
    return tuple(dict.fromkeys(str(item.advertiser_id) for item in data.accounts or ()))


def describe(api: TikTok, ids: Sequence[str], *, sandbox: bool = False) -> Accounts:
    """Return what TikTok knows of the accounts ``ids``, in their order.

    An account counts once however often it is named, by us or by TikTok, and only if it was asked for: what is read
    for an account twice would be stored twice. One account that is not ours makes TikTok refuse the whole list, so a
    refused list is asked one by one.

    TikTok's own list of what its ``sandbox`` has does not name the description of accounts, while another connector
    asks for it there. Where it is not, the account is read without.
    """
    ids = tuple(dict.fromkeys(ids))
    described: dict[str, _Account] = {}
    refused: dict[str, Refused] = {}
    for at in range(0, len(ids), ADVERTISERS_PER_CALL):
        batch = ids[at : at + ADVERTISERS_PER_CALL]
        try:
            described |= _ask(api, batch)
        except (AccountRefused, RequestRefused) as error:
            if sandbox and error.code in _NOT_IN_SANDBOX:
                return Accounts([Advertiser(one, "", "", _UTC) for one in ids], {}, dict.fromkeys(ids, _UNDESCRIBED))
            if len(batch) == 1:
                refused[batch[0]] = error
                continue
            for one in batch:
                try:
                    described |= _ask(api, [one])
                except (AccountRefused, RequestRefused) as why:
                    refused[one] = why
    found, notes = [], {}
    for one in ids:
        if one in described:
            account = described[one]
            zone, note = _zone(account)
            found.append(Advertiser(one, printable(account.name or ""), printable(account.currency or ""), zone))
            if note:
                notes[one] = note
        elif one not in refused:
            refused[one] = AccountRefused(
                "TikTok does not know this ad account", code=0, what_to_do="Check the id in TikTok Ads Manager."
            )
    return Accounts(found, refused, notes)


def _ask(api: TikTok, ids: Sequence[str]) -> dict[str, _Account]:
    """Return the accounts by id that TikTok describes; those that were not asked for are left out."""
    data = api.data("advertiser/info/", {"advertiser_ids": list(ids), "fields": list(_FIELDS)}, _Listed)
    described: dict[str, _Account] = {}
    for account in data.accounts or ():
        if str(account.advertiser_id) in ids:
            described.setdefault(str(account.advertiser_id), account)
    return described


def _zone(account: _Account) -> tuple[ZoneInfo, str]:
    """Return the account's time zone, and what to say when it is not the one that TikTok names.

    zoneinfo reads the sign of an Etc/GMT+8 as TikTok means it (UTC-8).
    """
    unknown = []
    for name in (account.display_timezone, account.timezone):
        if not name:
            continue
        try:
            zone = ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            unknown.append(repr(printable(name)[:60]))
        else:
            note = f"its time zone {unknown[0]} is not known here, so {name} decides what today is" if unknown else ""
            return zone, note
    if unknown:
        why = f"its time zone {' or '.join(dict.fromkeys(unknown))} is not known here"
    else:
        why = "TikTok names no time zone for it"
    return _UTC, f"{why}, so UTC decides what today is: its newest day may be asked for too early or too late"
