"""A believable inventory from a seed: each row is computed from the seed and its index alone.

So a million rows cost nothing until they are looked at, any of them is there at once, and a phone
leads back to its row without a table.
"""

import hashlib
from datetime import date, timedelta
from struct import Struct
from typing import Final, TypeAlias

from nrm_async.sandbox.inventory.areas import AREAS, Area
from nrm_async.sandbox.inventory.shuffle import Shuffle
from nrm_async.sandbox.values import (
    ACTIVE,
    ACTIVE_LABEL,
    COOLING_OFF,
    COOLING_OFF_LABEL,
    Row,
)

UNHEALTHY_SHARE: Final = 0.08
"""Share of ANIs that carriers block a lot: what an operator looks for."""

COOLING_SHARE: Final = 0.06
"""Share of ANIs that start in cooling off."""

BRANDS: Final = ("Brand North", "Brand South", "Brand East", "Brand West", None)
CAMPAIGNS: Final = (
    "Renewals",
    "Collections",
    "Appointment Reminders",
    "Welcome Calls",
    "Surveys",
    "Win-back",
    "Service Updates",
    None,
)

_FIRST_ID: Final = 10_001
_HISTORY_DAYS: Final = 900

_FACES: Final = 1 << 16
_SHARED: Final = int(0.1 * _FACES)  # shared between campaigns
_IDLE: Final = int(0.02 * _FACES)  # not dialled in the last 30 days
_NO_PLACE: Final = int(0.02 * _FACES)  # nobody filled in the locality
_IMPORTED: Final = int(0.01 * _FACES)  # from an older system: nobody knows since when

_LINES: Final = 10_000
_EXCHANGES: Final = tuple(  # without services and fiction
    code for code in range(200, 1000) if code % 100 != 11 and code != 555
)
_PHONES: Final = len(AREAS) * len(_EXCHANGES) * _LINES
_AREA_AT: Final = {area.code: at for at, area in enumerate(AREAS)}
_EXCHANGE_AT: Final = {f"{code}": at for at, code in enumerate(_EXCHANGES)}

Dice: TypeAlias = tuple[int, ...]
"""Sixteen throws of one row, each from 0 to 65,535: ``throw * n >> 16`` is one of ``n`` faces."""

_throws: Final = Struct("<16H").unpack


def generate(count: int, seed: int, today: date) -> list[Row]:
    """All rows of an inventory of this size, seed and day, as :class:`Made` makes them.

    Example:
        >>> [row["phone"] for row in generate(2, 1, date(2026, 5, 27))]
        ['9739620954', '8132969240']
    """
    made = Made(count, seed, today)
    return [made.row(index) for index in range(count)]


class Made:
    """Rows in the wire form, with the 24 documented keys, ids ascending with the index.

    Phones are unique, ten digits. Rates are percent, rounded to two places: ``contactRate`` is of
    dials, ``successRate`` of contacts, and contact, block and no-answer rates leave something
    under 100 for busy lines. Dates lie at most 900 days before ``today``. Exact shares of the
    first ``count`` rows are unhealthy and cooling off, so small inventories have their bad numbers
    too; later rows, for numbers that join, are healthy and active.
    """

    longest: Final = 10

    def __init__(self, count: int, seed: int, today: date) -> None:
        self.count = count
        self._days = [(today - timedelta(days=age)).isoformat() for age in range(_HISTORY_DAYS)]
        self._key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()
        self._phones = Shuffle(_PHONES, f"phones {seed}")
        self._by_health = Shuffle(max(count, 1), f"health {seed}")
        self._by_rest = Shuffle(max(count, 1), f"rest {seed}")
        self._unhealthy = round(count * UNHEALTHY_SHARE)
        self._cooling = round(count * COOLING_SHARE)

    def phone(self, index: int) -> str:
        """The phone of this row."""
        rest, line = divmod(self._phones(index), _LINES)
        area, exchange = divmod(rest, len(_EXCHANGES))
        return f"{AREAS[area].code}{_EXCHANGES[exchange]}{line:04d}"

    def find(self, phone: str) -> int | None:
        """The index that this phone has, or would have; None where no row can have it."""
        area, exchange = _AREA_AT.get(phone[:3]), _EXCHANGE_AT.get(phone[3:6])
        if area is None or exchange is None or len(phone) != 10:
            return None
        place = (area * len(_EXCHANGES) + exchange) * _LINES + int(phone[6:])
        return self._phones.inverse(place)

    def status(self, index: int) -> str:
        """The status code that this row begins with."""
        return COOLING_OFF if self._is_cooling(index) else ACTIVE

    def row(self, index: int) -> Row:
        """The row as it begins."""
        phone = self.phone(index)
        digest = hashlib.blake2b(index.to_bytes(8, "little"), key=self._key, digest_size=32)
        dice = _throws(digest.digest())
        cooling = self._is_cooling(index)
        unhealthy = index < self.count and self._by_health(index) < self._unhealthy
        dials, contacts, blocked = _traffic(dice, unhealthy)
        return {
            "id": _FIRST_ID + index,
            "phone": phone,
            **_identity(dice, AREAS[_AREA_AT[phone[:3]]], cooling),
            **_frequencies(dice, dials, contacts),
            **self._dates(dice, cooling, dials),
            "last30DaysDials": dials,
            "last30DaysContacts": contacts,
            **_rates(dice, dials, contacts, blocked),
        }

    def _is_cooling(self, index: int) -> bool:
        return index < self.count and self._by_rest(index) < self._cooling

    def _dates(self, dice: Dice, cooling: bool, dials: int) -> Row:
        days = self._days
        inventoried = 60 + (dice[0] * (_HISTORY_DAYS - 60) >> 16)
        activated = inventoried - (dice[1] * 15 >> 16)
        rested = dice[2] * 30 >> 16
        dialed = (dice[3] * 4 >> 16) + (rested if cooling else 0)
        imported = dice[4] < _IMPORTED
        return {
            "dateLastDialed": days[dialed] if dials else None,
            "dateActivated": None if imported else days[activated],
            "dateDeactivated": days[rested] if cooling else None,
            "dateInventoried": None if imported else days[inventoried],
            "createdAt": None if imported else f"{days[inventoried]}T00:00:00.000Z",
        }


def _identity(dice: Dice, area: Area, cooling: bool) -> Row:
    return {
        "brand": BRANDS[dice[5] * len(BRANDS) >> 16],
        "status": COOLING_OFF if cooling else ACTIVE,
        "statusLabel": COOLING_OFF_LABEL if cooling else ACTIVE_LABEL,
        "campaignName": CAMPAIGNS[dice[6] * len(CAMPAIGNS) >> 16],
        "areaCode": area.code,
        "region": area.region,
        "state": area.state,
        "locality": None if dice[7] < _NO_PLACE else area.locality,
    }


def _traffic(dice: Dice, unhealthy: bool) -> tuple[int, int, int]:
    """Dials, contacts and blocked calls of 30 days; a bad number is always dialled, to show it."""
    if unhealthy:
        dials = 600 + (dice[8] * 2400 >> 16)
        contact_share = 0.03 + 0.12 * dice[9] / _FACES
        block_share = 0.25 + 0.34 * dice[10] / _FACES
    elif dice[11] < _IDLE:
        return 0, 0, 0
    else:
        dials = 40 + (dice[8] * 2400 >> 16)
        contact_share = 0.12 + 0.33 * dice[9] / _FACES
        block_share = 0.12 * dice[10] / _FACES
    return dials, int(dials * contact_share), 1 + int(dials * block_share)


def _rates(dice: Dice, dials: int, contacts: int, blocked: int) -> Row:
    # Busy lines keep the three rates under 100 however each of them is rounded.
    busy = 1 + int(dials * 0.03 * dice[12] / _FACES)
    unanswered = max(dials - contacts - blocked - busy, 0)
    return {
        "contactRate": _percent(contacts, dials),
        "successRate": _percent(contacts * dice[13] >> 16, contacts),
        "blockRate": _percent(blocked, dials),
        "noAnswerRate": _percent(unanswered, dials),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _frequencies(dice: Dice, dials: int, contacts: int) -> Row:
    # A shared number counts for half in a campaign: this figure may be fractional.
    assigned = 1 + (dice[14] * 6 >> 16)
    return {
        "frequencyAssigned": assigned + 0.5 if dice[15] < _SHARED else assigned,
        "frequencyDialed": dials // 10,
        "frequencyContacted": contacts // 10,
    }
