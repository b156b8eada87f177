"""A realistic generated inventory, in which each row depends only on a seed and the row index.

Rows are computed on demand, so an inventory of a million rows uses no memory until they are read.
The index of a phone number is also computed, without a lookup table.
"""

import hashlib
import math
from datetime import date, timedelta
from struct import Struct
from typing import Final, TypeAlias

from attrs import frozen

from nrm_async.sandbox.values import (
    ACTIVE,
    ACTIVE_LABEL,
    COOLING_OFF,
    COOLING_OFF_LABEL,
    Row,
)

UNHEALTHY_SHARE: Final = 0.08
"""Share of ANIs that carriers often block."""

COOLING_SHARE: Final = 0.06
"""Share of ANIs that are initially in cooling off."""

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


@frozen
class Area:
    """A US area code and its location (North American Numbering Plan).

    Toll-free codes have no location.
    """

    code: str
    region: str | None
    state: str | None
    locality: str | None


_PLACES: Final = """
Northeast NY 212:New_York 718:Brooklyn 716:Buffalo 585:Rochester 518:Albany
Northeast NJ 201:Jersey_City 973:Newark
Northeast PA 215:Philadelphia 412:Pittsburgh 814:Erie
Northeast MA 617:Boston 413:Springfield 508:Worcester
Northeast CT 203:New_Haven 860:Hartford
Midwest IL 312:Chicago 217:Springfield 815:Rockford
Midwest OH 216:Cleveland 614:Columbus 513:Cincinnati 419:Toledo 234:Akron
Midwest MI 313:Detroit 616:Grand_Rapids 517:Lansing
Midwest WI 414:Milwaukee 608:Madison
Midwest MN 612:Minneapolis 651:Saint_Paul
Midwest MO 314:Saint_Louis 816:Kansas_City
Midwest IN 317:Indianapolis 260:Fort_Wayne
South TX 214:Dallas 713:Houston 210:San_Antonio 512:Austin 915:El_Paso 817:Fort_Worth
South FL 305:Miami 813:Tampa 407:Orlando 904:Jacksonville 850:Tallahassee
South GA 404:Atlanta 912:Savannah 706:Augusta
South NC 704:Charlotte 919:Raleigh 336:Greensboro
South TN 615:Nashville 901:Memphis 865:Knoxville
South VA 804:Richmond 757:Norfolk
South LA 504:New_Orleans 225:Baton_Rouge
West CA 213:Los_Angeles 415:San_Francisco 619:San_Diego 916:Sacramento 559:Fresno
West WA 206:Seattle 509:Spokane 253:Tacoma
West CO 303:Denver 719:Colorado_Springs
West AZ 602:Phoenix 520:Tucson
West OR 503:Portland 541:Eugene
West NV 702:Las_Vegas 775:Reno
"""


def _parse_areas(line: str) -> list[Area]:
    region, state, *places = line.split()
    pairs = (place.split(":") for place in places)
    return [Area(code, region, state, city.replace("_", " ")) for code, city in pairs]


AREAS: Final[tuple[Area, ...]] = (
    *(area for line in _PLACES.strip().splitlines() for area in _parse_areas(line)),
    Area("888", None, None, None),
    Area("877", None, None, None),
)
"""The area codes of generated phone numbers. Toll-free codes are last."""

_FIRST_ID: Final = 10_001
_HISTORY_DAYS: Final = 900

_WORD_RANGE: Final = 1 << 16

# Shares of rows, as fractions of _WORD_RANGE.
_SHARED: Final = int(0.1 * _WORD_RANGE)  # used by more than one campaign
_IDLE: Final = int(0.02 * _WORD_RANGE)  # not dialled in the last 30 days
_NO_LOCALITY: Final = int(0.02 * _WORD_RANGE)  # locality missing
_NO_DATES: Final = int(0.01 * _WORD_RANGE)  # migrated from a system without dates

_LINES: Final = 10_000
_EXCHANGES: Final = tuple(  # excludes service codes (N11) and fictional numbers (555)
    code for code in range(200, 1000) if code % 100 != 11 and code != 555
)
_PHONES: Final = len(AREAS) * len(_EXCHANGES) * _LINES
_AREA_INDEX: Final = {area.code: index for index, area in enumerate(AREAS)}
_EXCHANGE_INDEX: Final = {f"{code}": index for index, code in enumerate(_EXCHANGES)}

# A prime close to 2**32 / golden ratio. Multiplying by it spreads consecutive numbers (Fibonacci
# hashing).
_GOLDEN: Final = 0x9E37_79B1

RandomWords: TypeAlias = tuple[int, ...]
"""Sixteen random 16-bit integers for a row; ``word * n >> 16`` is uniform in ``range(n)``."""

_unpack_words: Final = Struct("<16H").unpack
_unpack_keys: Final = Struct("<4I").unpack


class Permutation:
    """A seeded, invertible permutation of ``range(size)``, computed by a Feistel network.

    Each image is computed on demand. A shuffled list would use memory and time for every number.

    Args:
        size: The number of elements, at least 1.
        key: The seed.

    Example:
        >>> order = Permutation(1000, "a key")
        >>> sorted(map(order, range(1000))) == list(range(1000))
        True
        >>> order.inverse(order(7))
        7
    """

    def __init__(self, size: int, key: str) -> None:
        self._size = size
        self._width = math.isqrt(size - 1) + 1
        self._height = -(-size // self._width)
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        self._keys: tuple[int, int, int, int] = _unpack_keys(digest)

    def __call__(self, number: int) -> int:
        """Return the image of ``number``."""
        number = self._forward(number)
        while number >= self._size:  # the network permutes a slightly larger range
            number = self._forward(number)
        return number

    def inverse(self, image: int) -> int:
        """Return the number whose image is ``image``."""
        image = self._backward(image)
        while image >= self._size:
            image = self._backward(image)
        return image

    def _forward(self, number: int) -> int:
        # Unrolled for speed: this runs for every row of every page.
        width, height = self._width, self._height
        a, b, c, d = self._keys
        row, column = divmod(number, width)
        row = (row + ((column ^ a) * _GOLDEN >> 12)) % height
        column = (column + ((row ^ b) * _GOLDEN >> 12)) % width
        row = (row + ((column ^ c) * _GOLDEN >> 12)) % height
        column = (column + ((row ^ d) * _GOLDEN >> 12)) % width
        return row * width + column

    def _backward(self, number: int) -> int:
        width, height = self._width, self._height
        a, b, c, d = self._keys
        row, column = divmod(number, width)
        column = (column - ((row ^ d) * _GOLDEN >> 12)) % width
        row = (row - ((column ^ c) * _GOLDEN >> 12)) % height
        column = (column - ((row ^ b) * _GOLDEN >> 12)) % width
        row = (row - ((column ^ a) * _GOLDEN >> 12)) % height
        return row * width + column


def generate(count: int, seed: int, today: date) -> list[Row]:
    """Return all rows of a generated inventory.

    Example:
        >>> [row["phone"] for row in generate(2, 1, date(2026, 5, 27))]
        ['9739620954', '8132969240']
    """
    rows = GeneratedRows(count, seed, today)
    return [rows.row(index) for index in range(count)]


class GeneratedRows:
    """Generated rows in wire format, with the 24 documented fields.

    Ids ascend with the index. Phone numbers are unique and have ten digits. Rates are percentages,
    rounded to two decimal places. ``successRate`` is a percentage of contacts, and the other rates
    are percentages of dials. The contact, block and no-answer rates add up to less than 100; busy
    lines account for the rest. Dates are less than 900 days before ``today``.

    Among the first ``count`` rows, the shares of unhealthy and cooling-off rows are exact, so even
    small inventories contain some. Rows added later are healthy and active.
    """

    longest: Final = 10

    def __init__(self, count: int, seed: int, today: date) -> None:
        self.count = count
        self._days = [(today - timedelta(days=age)).isoformat() for age in range(_HISTORY_DAYS)]
        self._key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()
        self._phones = Permutation(_PHONES, f"phones {seed}")
        self._by_health = Permutation(max(count, 1), f"health {seed}")
        self._by_rest = Permutation(max(count, 1), f"rest {seed}")
        self._unhealthy = round(count * UNHEALTHY_SHARE)
        self._cooling = round(count * COOLING_SHARE)

    def phone(self, index: int) -> str:
        """Return the phone number of a row."""
        rest, line = divmod(self._phones(index), _LINES)
        area, exchange = divmod(rest, len(_EXCHANGES))
        return f"{AREAS[area].code}{_EXCHANGES[exchange]}{line:04d}"

    def index_of(self, phone: str) -> int | None:
        """Return the index of a current or future row with this phone number, or None."""
        area, exchange = _AREA_INDEX.get(phone[:3]), _EXCHANGE_INDEX.get(phone[3:6])
        if area is None or exchange is None or len(phone) != 10:
            return None
        number = (area * len(_EXCHANGES) + exchange) * _LINES + int(phone[6:])
        return self._phones.inverse(number)

    def status(self, index: int) -> str:
        """Return the initial status code of a row."""
        return COOLING_OFF if self._is_cooling(index) else ACTIVE

    def row(self, index: int) -> Row:
        """Return the initial values of a row."""
        phone = self.phone(index)
        digest = hashlib.blake2b(index.to_bytes(8, "little"), key=self._key, digest_size=32)
        words = _unpack_words(digest.digest())
        cooling = self._is_cooling(index)
        unhealthy = index < self.count and self._by_health(index) < self._unhealthy
        dials, contacts, blocked = _traffic(words, unhealthy)
        return {
            "id": _FIRST_ID + index,
            "phone": phone,
            **_identity(words, AREAS[_AREA_INDEX[phone[:3]]], cooling),
            **_frequencies(words, dials, contacts),
            **self._dates(words, cooling, dials),
            "last30DaysDials": dials,
            "last30DaysContacts": contacts,
            **_rates(words, dials, contacts, blocked),
        }

    def _is_cooling(self, index: int) -> bool:
        return index < self.count and self._by_rest(index) < self._cooling

    def _dates(self, words: RandomWords, cooling: bool, dials: int) -> Row:
        days = self._days
        inventoried = 60 + (words[0] * (_HISTORY_DAYS - 60) >> 16)
        activated = inventoried - (words[1] * 15 >> 16)
        deactivated = words[2] * 30 >> 16
        dialed = (words[3] * 4 >> 16) + (deactivated if cooling else 0)
        has_dates = words[4] >= _NO_DATES
        return {
            "dateLastDialed": days[dialed] if dials else None,
            "dateActivated": days[activated] if has_dates else None,
            "dateDeactivated": days[deactivated] if cooling else None,
            "dateInventoried": days[inventoried] if has_dates else None,
            "createdAt": f"{days[inventoried]}T00:00:00.000Z" if has_dates else None,
        }


def _identity(words: RandomWords, area: Area, cooling: bool) -> Row:
    return {
        "brand": BRANDS[words[5] * len(BRANDS) >> 16],
        "status": COOLING_OFF if cooling else ACTIVE,
        "statusLabel": COOLING_OFF_LABEL if cooling else ACTIVE_LABEL,
        "campaignName": CAMPAIGNS[words[6] * len(CAMPAIGNS) >> 16],
        "areaCode": area.code,
        "region": area.region,
        "state": area.state,
        "locality": None if words[7] < _NO_LOCALITY else area.locality,
    }


def _traffic(words: RandomWords, unhealthy: bool) -> tuple[int, int, int]:
    """Return the dials, contacts and blocked calls in 30 days. Unhealthy numbers are never idle."""
    if unhealthy:
        dials = 600 + (words[8] * 2400 >> 16)
        contact_share = 0.03 + 0.12 * words[9] / _WORD_RANGE
        block_share = 0.25 + 0.34 * words[10] / _WORD_RANGE
    elif words[11] < _IDLE:
        return 0, 0, 0
    else:
        dials = 40 + (words[8] * 2400 >> 16)
        contact_share = 0.12 + 0.33 * words[9] / _WORD_RANGE
        block_share = 0.12 * words[10] / _WORD_RANGE
    return dials, int(dials * contact_share), 1 + int(dials * block_share)


def _rates(words: RandomWords, dials: int, contacts: int, blocked: int) -> Row:
    # Reserve some busy lines, so that the sum of the three rounded rates is less than 100.
    busy = 1 + int(dials * 0.03 * words[12] / _WORD_RANGE)
    unanswered = max(dials - contacts - blocked - busy, 0)
    return {
        "contactRate": _percent(contacts, dials),
        "successRate": _percent(contacts * words[13] >> 16, contacts),
        "blockRate": _percent(blocked, dials),
        "noAnswerRate": _percent(unanswered, dials),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _frequencies(words: RandomWords, dials: int, contacts: int) -> Row:
    # A shared number counts as half in each campaign, so this value may be fractional.
    assigned = 1 + (words[14] * 6 >> 16)
    return {
        "frequencyAssigned": assigned + 0.5 if words[15] < _SHARED else assigned,
        "frequencyDialed": dials // 10,
        "frequencyContacted": contacts // 10,
    }
