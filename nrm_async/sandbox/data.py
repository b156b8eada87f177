"""A believable inventory from a seed: the same count, seed and day always give the same rows."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from nrm_async.sandbox.areas import AREAS, Area
from nrm_async.sandbox.state import ACTIVE, ACTIVE_LABEL, COOLING_OFF, COOLING_OFF_LABEL
from nrm_async.sandbox.values import Row

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
_SHARED_SHARE: Final = 0.1  # shared between campaigns
_IDLE_SHARE: Final = 0.02  # not dialled in the last 30 days
_NO_PLACE: Final = 0.02  # nobody filled in the locality
_IMPORTED_SHARE: Final = 0.01  # from an older system: nobody knows since when


def generate(count: int, seed: int, today: date) -> list[Row]:
    """Make ``count`` rows in the wire form, with the 24 documented keys, ids ascending.

    Phones are unique, ten digits. Rates are percent, rounded to two places: ``contactRate`` is of
    dials, ``successRate`` of contacts, and contact, block and no-answer rates leave something
    under 100 for busy lines. Dates lie at most 900 days before ``today``.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    days = [(today - timedelta(days=age)).isoformat() for age in range(_HISTORY_DAYS)]
    unhealthy = _chosen(rng, count, UNHEALTHY_SHARE)
    cooling = _chosen(rng, count, COOLING_SHARE)
    return [
        {"id": _FIRST_ID + at}
        | _identity(rng, phone, area, at in cooling)
        | _life(rng, days, cooling=at in cooling, unhealthy=at in unhealthy)
        for at, (phone, area) in enumerate(_numbers(rng, count))
    ]


def _chosen(rng: random.Random, count: int, share: float) -> frozenset[int]:
    """An exact share, not a chance for each: small inventories have their bad numbers too."""
    return frozenset(rng.sample(range(count), round(count * share)))


def _numbers(rng: random.Random, count: int) -> list[tuple[str, Area]]:
    numbers: dict[str, Area] = {}
    pick = rng.random
    while len(numbers) < count:
        area = AREAS[int(pick() * len(AREAS))]
        exchange = 200 + int(pick() * 800)
        if exchange % 100 != 11 and exchange != 555:  # services and fiction
            numbers[f"{area.code}{exchange}{int(pick() * 10_000):04d}"] = area
    return list(numbers.items())


def _identity(rng: random.Random, phone: str, area: Area, cooling: bool) -> Row:
    return {
        "phone": phone,
        "brand": BRANDS[int(rng.random() * len(BRANDS))],
        "status": COOLING_OFF if cooling else ACTIVE,
        "statusLabel": COOLING_OFF_LABEL if cooling else ACTIVE_LABEL,
        "campaignName": CAMPAIGNS[int(rng.random() * len(CAMPAIGNS))],
        "areaCode": area.code,
        "region": area.region,
        "state": area.state,
        "locality": None if rng.random() < _NO_PLACE else area.locality,
    }


def _life(rng: random.Random, days: Sequence[str], *, cooling: bool, unhealthy: bool) -> Row:
    """What happened to one ANI; an unhealthy one is always dialled, else it would not show."""
    idle = not unhealthy and rng.random() < _IDLE_SHARE
    dials, contacts, blocked = (0, 0, 0) if idle else _traffic(rng, unhealthy)
    return (
        _frequencies(rng, dials, contacts)
        | _dates(rng, days, idle, cooling)
        | {"last30DaysDials": dials, "last30DaysContacts": contacts}
        | _rates(rng, dials, contacts, blocked)
    )


def _traffic(rng: random.Random, unhealthy: bool) -> tuple[int, int, int]:
    """Dials, contacts and blocked calls of 30 days."""
    pick = rng.random
    dials = (600 if unhealthy else 40) + int(pick() * 2400)
    contact_share = 0.03 + 0.12 * pick() if unhealthy else 0.12 + 0.33 * pick()
    block_share = 0.25 + 0.34 * pick() if unhealthy else 0.12 * pick()
    return dials, int(dials * contact_share), 1 + int(dials * block_share)


def _rates(rng: random.Random, dials: int, contacts: int, blocked: int) -> Row:
    # Busy lines keep the three rates under 100 however each of them is rounded.
    busy = 1 + int(dials * 0.03 * rng.random())
    unanswered = max(dials - contacts - blocked - busy, 0)
    return {
        "contactRate": _percent(contacts, dials),
        "successRate": _percent(int(contacts * rng.random()), contacts),
        "blockRate": _percent(blocked, dials),
        "noAnswerRate": _percent(unanswered, dials),
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _frequencies(rng: random.Random, dials: int, contacts: int) -> Row:
    # A shared number counts for half in a campaign: this figure may be fractional.
    shared = rng.random() < _SHARED_SHARE
    assigned = 1 + int(rng.random() * 6)
    return {
        "frequencyAssigned": assigned + 0.5 if shared else assigned,
        "frequencyDialed": dials // 10,
        "frequencyContacted": contacts // 10,
    }


def _dates(rng: random.Random, days: Sequence[str], idle: bool, cooling: bool) -> Row:
    pick = rng.random
    inventoried = 60 + int(pick() * (_HISTORY_DAYS - 60))
    activated = inventoried - int(pick() * 15)
    rested = int(pick() * 30)
    dialed = int(pick() * 4) + (rested if cooling else 0)
    imported = pick() < _IMPORTED_SHARE
    return {
        "dateLastDialed": None if idle else days[dialed],
        "dateActivated": None if imported else days[activated],
        "dateDeactivated": days[rested] if cooling else None,
        "dateInventoried": None if imported else days[inventoried],
        "createdAt": None if imported else f"{days[inventoried]}T00:00:00.000Z",
    }
