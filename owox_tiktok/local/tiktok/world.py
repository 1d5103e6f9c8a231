"""The world behind the simulated TikTok: accounts, campaigns, ad groups, ads and what each ad delivered.

Everything follows from a seed. The only stored truth is what one ad delivered on one day
(impressions, clicks, spend); wider levels are sums of it and splits (hour, country, age, …) are
parts of it, so any two reports can be checked against each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

from .names import pleasant

_MASK = (1 << 64) - 1

Cell = tuple[int, int, int, int, int]
"""(day as ordinal, impressions, clicks, spend in hundredths, hash bits) of one ad on one day."""

GROWTH = (40, 60, 72, 80, 86, 91, 96, 100)
"""Percent of a day's conversions known 0, 1, … 7 and more days after that day."""

_ACCOUNTS = (
    # display_timezone, timezone as TikTok sends it (Etc names have the POSIX sign), currency, country
    ("America/Los_Angeles", "Etc/GMT+8", "USD", "US"),
    ("Europe/Berlin", "Europe/Berlin", "EUR", "DE"),
    ("Asia/Tokyo", "Etc/GMT-9", "JPY", "JP"),
    ("Europe/Kyiv", "Europe/Kyiv", "UAH", "UA"),
    ("Asia/Kolkata", "Asia/Kolkata", "INR", "IN"),
    ("Australia/Sydney", "Australia/Sydney", "AUD", "AU"),
    ("America/Sao_Paulo", "Etc/GMT+3", "BRL", "BR"),
    ("Etc/UTC", "Etc/UTC", "GBP", "GB"),
)
_MONEY_SCALE = {"JPY": 150, "INR": 80, "UAH": 40, "BRL": 5}

ORDINARY, PROMOTE, TOP_VIEW = "ordinary", "promote", "top_view"
"""Kinds of campaigns. TikTok shows the last two only to those who ask for them by name."""

KINDS_OF_ADS = (ORDINARY, PROMOTE, TOP_VIEW)

_HIDDEN_CAMPAIGNS = (PROMOTE, PROMOTE, TOP_VIEW)
_HIDDEN_ADS = 3
"""Ads in each hidden campaign; the last of them is deleted, so that status filters count there too."""

CLICK_WINDOWS = ("SEVEN_DAYS", "ONE_DAY", "TWENTY_EIGHT_DAYS", "FOURTEEN_DAYS")
"""Attribution windows of ad groups in a world with late data; elsewhere all have seven days."""

_NAMES = (
    "Весна/літо 🌞",
    "Line one\nline two",
    'He said "sale", twice',
    "=SUM(A1:A9)",
    "+380 call now",
    "-50% off, today",
    "@brand, main",
    "O'Brien; --",
    "tab\there",
    "日本語キャンペーン",
    "plain",
    "back\\slash",
    "عرض خاص",
    " spaced ",
)


def hash64(*parts: object) -> int:
    """A 64-bit number that depends on nothing but the parts."""
    text = "|".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def mix(value: int) -> int:
    """Spread the bits of a 64-bit number (splitmix64); much cheaper than a text hash."""
    value &= _MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)


@dataclass(slots=True, eq=False)
class Campaign:
    """A campaign; ``created`` and ``modified`` are UTC, ``kind`` is one of :data:`KINDS_OF_ADS`."""

    advertiser: Advertiser
    index: int
    id: str
    name: str
    seed: int
    created: datetime
    modified: datetime
    deleted: bool
    enabled: bool
    kind: str = ORDINARY
    smart_plus: bool = False
    only_whole: bool = False
    """Whether its results are reported of the campaign alone, not of its ad groups and ads."""
    only_account: bool = False
    """Whether its results are part of the account's own report only, as those of GMV Max may be."""


@dataclass(slots=True, eq=False)
class AdGroup:
    """An ad group of a campaign; ``created`` and ``modified`` are UTC.

    In a world with late data its conversions grow for ``click_window`` after the day they belong to.
    """

    campaign: Campaign
    index: int
    id: str
    name: str
    seed: int
    created: datetime
    modified: datetime
    deleted: bool
    enabled: bool
    click_window: str = "SEVEN_DAYS"
    """How long after a click its conversions are credited, by TikTok's name."""


@dataclass(slots=True, eq=False)
class Ad:
    """An ad. It delivers on the ordinals ``first_day`` to ``last_day`` of the account's calendar."""

    group: AdGroup
    index: int
    id: str
    name: str
    seed: int
    created: datetime
    modified: datetime
    deleted: bool
    enabled: bool
    first_day: int
    last_day: int
    volume: int
    price: int
    cells: dict[int, Cell | None] = field(default_factory=dict, repr=False)
    splits: dict[tuple[str, ...], object] = field(default_factory=dict, repr=False)

    @property
    def campaign(self) -> Campaign:
        """The campaign of the ad's group."""
        return self.group.campaign


@dataclass(slots=True, eq=False)
class Advertiser:
    """An ad account: its zone cuts the days of its reports, its currency is that of all its money."""

    index: int
    id: str
    name: str
    seed: int
    zone: ZoneInfo
    timezone: str
    currency: str
    country: str
    created: datetime
    campaigns: list[Campaign] = field(default_factory=list, repr=False)
    ad_groups: list[AdGroup] = field(default_factory=list, repr=False)
    ads: list[Ad] = field(default_factory=list, repr=False)


Entity = Advertiser | Campaign | AdGroup | Ad


class World:
    """Accounts and their delivery, all from a seed.

    ``campaigns``, ``ad_groups`` and ``ads`` are numbers per account. ``start`` is the first day any
    ad may deliver. ``as_of`` (an aware datetime, None = the real clock) is the moment the world is
    seen at: later days do not exist, today holds the finished hours only, and conversions of the
    last seven days are not complete. It may be changed at any time. ``hidden_kinds`` adds two
    Promote campaigns and one TopView campaign to each account, with an ad group and three ads each;
    everything else stays the same with or without them. ``smart_plus`` makes every second campaign an
    Upgraded Smart+ one. ``late_data`` makes numbers as late as TikTok's: people counted and money by voucher
    16 hours after the day, most audience splits too (two of them 24), a correction of yesterday's delivery at
    12:00 UTC, and conversions that grow within each ad group's own attribution window. ``pleasant_names``
    are for people who look; the others are odd on purpose, for tests. ``fine_money``: money is finer inside than what
    TikTok shows, so that each row of each level is rounded by itself. ``campaign_only`` adds to each account a campaign
    whose results are reported of the campaign alone, and ``gmv_max`` one whose results only the account has.
    """

    def __init__(
        self,
        seed: int = 1,
        advertisers: int = 3,
        campaigns: int = 4,
        ad_groups: int = 8,
        ads: int = 24,
        start: date = date(2026, 1, 1),
        as_of: datetime | None = None,
        *,
        hidden_kinds: bool = False,
        smart_plus: bool = False,
        late_data: bool = False,
        pleasant_names: bool = False,
        fine_money: bool = False,
        campaign_only: bool = False,
        gmv_max: bool = False,
    ) -> None:
        if min(advertisers, campaigns, ad_groups, ads) < 1:
            raise ValueError("a world needs at least one advertiser, campaign, ad group and ad")
        self.seed = seed
        self.start = start
        self.hidden_kinds = hidden_kinds
        self.smart_plus = smart_plus
        self.late_data = late_data
        self.pleasant_names = pleasant_names
        self.fine_money = fine_money
        self.campaign_only = campaign_only
        self.gmv_max = gmv_max
        self.version = 0
        """Grows with every change of the entities; part of every cache key."""
        self.as_of = as_of
        self.advertisers = [self._advertiser(index, campaigns, ad_groups, ads) for index in range(advertisers)]
        self._by_id = {advertiser.id: advertiser for advertiser in self.advertisers}

    @property
    def as_of(self) -> datetime | None:
        """The moment the world is seen at; None means the real clock."""
        return self._as_of

    @as_of.setter
    def as_of(self, value: datetime | None) -> None:
        if value is not None and value.tzinfo is None:
            raise ValueError("as_of must be an aware datetime")
        self._as_of = value

    @property
    def advertiser_ids(self) -> list[str]:
        """Ids of all accounts, in the order they were made."""
        return [advertiser.id for advertiser in self.advertisers]

    def advertiser(self, advertiser_id: str) -> Advertiser:
        """The account with this id; KeyError when there is none."""
        return self._by_id[advertiser_id]

    def knows(self, advertiser_id: str) -> bool:
        """Whether there is an account with this id."""
        return advertiser_id in self._by_id

    def now(self) -> datetime:
        """The clock in UTC, cut to the quarter of an hour.

        Nothing in the world changes faster (zones differ by quarters), and a coarse clock lets
        finished answers be reused under the real clock too.
        """
        now = (self._as_of or datetime.now(UTC)).astimezone(UTC)
        return now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)

    def today(self, advertiser: Advertiser, now: datetime | None = None) -> tuple[date, int]:
        """Today in the account's zone and the hours of it that are over."""
        local = (now or self.now()).astimezone(advertiser.zone)
        return local.date(), local.hour

    def delete(self, advertiser_id: str, level: str, entity_id: str) -> None:
        """Delete a campaign, ad group or ad (and what is below it) now, as an account's user would."""
        advertiser = self.advertiser(advertiser_id)
        now = self.now()
        found = False
        pools: dict[str, list[Campaign] | list[AdGroup] | list[Ad]] = {
            "campaign": advertiser.campaigns,
            "ad_group": advertiser.ad_groups,
            "ad": advertiser.ads,
        }
        for one in pools[level]:
            if one.id == entity_id:
                one.deleted, one.modified, found = True, now, True
        if not found:
            raise KeyError(entity_id)
        for group in advertiser.ad_groups:
            if group.campaign.deleted and not group.deleted:
                group.deleted, group.modified = True, now
        for ad in advertiser.ads:
            if ad.group.deleted and not ad.deleted:
                ad.deleted, ad.modified = True, now
        self.version += 1

    def restate(self, advertiser_id: str, day: date, percent: int, *, ads: int | None = None) -> None:
        """Let TikTok have other numbers of a day from now on: so many percent of what the first ``ads`` delivered.

        None stands for all ads.
        """
        number = day.toordinal()
        for ad in self.advertiser(advertiser_id).ads[:ads]:
            for _, impressions, clicks, spend, bits in self.cells(ad, number, number):
                amounts = (impressions, clicks, spend)
                ad.cells[number] = (number, *(amount * percent // 100 for amount in amounts), bits)  # type: ignore[assignment]
        self.version += 1

    def cells(self, ad: Ad, first: int, last: int) -> list[Cell]:
        """What the ad delivered on the days first … last (ordinals) it delivered on, whole days."""
        known = ad.cells
        found = []
        for day in range(max(first, ad.first_day), min(last, ad.last_day) + 1):
            try:
                cell = known[day]
            except KeyError:
                cell = known[day] = _cell(ad, day)
            if cell is not None:
                found.append(cell)
        return found

    # --- making the entities ------------------------------------------------------------------------------------------

    def _name(self, what: str, seed: int, index: int) -> str:
        if self.pleasant_names:
            return pleasant(what, index)
        return f"{_NAMES[(seed + index) % len(_NAMES)]} {what} {index + 1}"

    def _times(self, seed: int, created: datetime) -> tuple[datetime, datetime]:
        created += timedelta(seconds=seed % 36_000)
        return created, created + timedelta(minutes=(seed >> 8) % 60_000)

    def _advertiser(self, index: int, campaigns: int, ad_groups: int, ads: int) -> Advertiser:
        seed = hash64(self.seed, "advertiser", index)
        display, timezone, currency, country = _ACCOUNTS[index % len(_ACCOUNTS)]
        began = datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC) - timedelta(days=30)
        advertiser = Advertiser(
            index=index,
            id=str(7_000_000_000_000_000_000 + seed % 10**12 * 100_000 + index * 7 + 1),
            name=self._name("account", seed, index),
            seed=seed,
            zone=ZoneInfo(display),
            timezone=timezone,
            currency=currency,
            country=country,
            created=began - timedelta(seconds=seed % 10_000_000),
        )
        for number in range(campaigns):
            # A deleted campaign keeps delivering here, so that every window of every test
            # shows the difference between asking for deleted entities and not asking.
            self._campaign(advertiser, began, number, deleted=campaigns >= 3 and number == campaigns - 1)
        for number in range(ad_groups):
            self._ad_group(advertiser.campaigns[number % campaigns], began, number, deleted=number % 9 == 5)
        for number in range(ads):
            self._ad(advertiser.ad_groups[number % ad_groups], began, number, deleted=number % 11 == 7)
        if self.hidden_kinds:
            for kind in _HIDDEN_CAMPAIGNS:
                campaign = self._campaign(advertiser, began, len(advertiser.campaigns), deleted=False, kind=kind)
                group = self._ad_group(campaign, began, len(advertiser.ad_groups), deleted=False)
                for number in range(_HIDDEN_ADS):
                    self._ad(group, began, len(advertiser.ads), deleted=number == _HIDDEN_ADS - 1)
        for wanted, only in ((self.campaign_only, "only_whole"), (self.gmv_max, "only_account")):
            if wanted:
                campaign = self._campaign(advertiser, began, len(advertiser.campaigns), deleted=False)
                setattr(campaign, only, True)
                group = self._ad_group(campaign, began, len(advertiser.ad_groups), deleted=False)
                self._ad(group, began, 10**6 + len(advertiser.ads), deleted=False)
        return advertiser

    def _campaign(
        self, advertiser: Advertiser, began: datetime, number: int, *, deleted: bool, kind: str = ORDINARY
    ) -> Campaign:
        made = hash64(advertiser.seed, "campaign", number)
        created, modified = self._times(made, began + timedelta(hours=number % 200))
        campaign = Campaign(
            advertiser=advertiser,
            index=number,
            id=_entity_id(171, advertiser.index, number),
            name=self._name("campaign", made, number),
            seed=made,
            created=created,
            modified=modified,
            deleted=deleted,
            enabled=number % 4 != 1,
            kind=kind,
            smart_plus=self.smart_plus and kind == ORDINARY and number % 2 == 0,
        )
        advertiser.campaigns.append(campaign)
        return campaign

    def _ad_group(self, campaign: Campaign, began: datetime, number: int, *, deleted: bool) -> AdGroup:
        advertiser = campaign.advertiser
        made = hash64(advertiser.seed, "ad_group", number)
        created, modified = self._times(made, began + timedelta(days=9))
        group = AdGroup(
            campaign=campaign,
            index=number,
            id=_entity_id(172, advertiser.index, number),
            name=self._name("ad group", made, number),
            seed=made,
            created=created,
            modified=modified,
            deleted=campaign.deleted or deleted,
            enabled=number % 5 != 2,
            click_window=CLICK_WINDOWS[number % len(CLICK_WINDOWS)] if self.late_data else "SEVEN_DAYS",
        )
        advertiser.ad_groups.append(group)
        return group

    def _ad(self, group: AdGroup, began: datetime, number: int, *, deleted: bool) -> None:
        advertiser = group.campaign.advertiser
        made = hash64(advertiser.seed, "ad", number)
        # Most ads start within ten days of the world's start, every seventh one up to two months on.
        first = self.start.toordinal() + (made % 60 if number % 7 == 6 else made % 10)
        created, modified = self._times(
            made, began + timedelta(days=first - self.start.toordinal() + 20, minutes=number % 600)
        )
        advertiser.ads.append(
            Ad(
                group=group,
                index=number,
                id=_entity_id(173, advertiser.index, number),
                name=self._name("ad", made, number),
                seed=made,
                created=created,
                modified=modified,
                deleted=group.deleted or deleted,
                enabled=number % 6 != 3,
                first_day=first,
                last_day=first + 60 + made % 200 if number % 8 == 5 else date.max.toordinal(),
                volume=400 + (made >> 12) % 12_000,
                price=(400 + (made >> 24) % 900) * _MONEY_SCALE.get(advertiser.currency, 1),
            )
        )


def _entity_id(prefix: int, account: int, number: int) -> str:
    """19 digits; the first two of every kind are equal under all accounts, on purpose."""
    owner = 0 if number < 2 else account + 1
    return str(prefix * 10**16 + owner * 10**10 + (number + 1) * 7_919 + 33)


def _cell(ad: Ad, day: int) -> Cell | None:
    bits = mix(ad.seed + day * 0x9E3779B97F4A7C15)
    if bits & 15 == 0:  # a day without delivery has no row
        return None
    if (bits >> 4) & 127 == 0:  # now and then a row with nothing in it
        return (day, 0, 0, 0, bits)
    weekday = 128 if day % 7 in (6, 0) else 100
    impressions = ad.volume * (64 + ((bits >> 10) & 127)) * weekday // 12_800 + 1
    clicks = impressions * (8 + ((bits >> 20) & 15)) >> 10
    spend = impressions * (ad.price + ((bits >> 30) & 255)) // 1_000 + 1
    return (day, impressions, clicks, spend, bits)
