"""Pages in the documented API format, for the benchmark servers."""

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROWS: Final = 1000

_CITIES: Final = ("Springfield", "Riverside", "Franklin", "Clinton", "Georgetown", "Salem")
_STATUSES: Final = (
    ("ACTIVE_AND_BEING_MANAGED", "Active and Being Managed"),
    ("COOLING_OFF", "Cooling Off"),
)


def phone_numbers(count: int) -> Iterator[str]:
    """Return an iterator over ``count`` different phone numbers."""
    return (str(2_000_000_000 + number) for number in range(count))


def _row(index: int, dice: random.Random) -> dict[str, Any]:
    status, label = dice.choice(_STATUSES)
    dials, contacts = dice.randrange(5000), dice.randrange(1000)
    return {
        "id": index,
        "phone": str(2_000_000_000 + index),
        "brand": "Acme",
        "status": status,
        "statusLabel": label,
        "campaignName": f"Campaign {dice.randrange(20)}",
        "areaCode": str(200 + index % 700),
        "region": dice.choice(("North", "South", "East", "West")),
        "state": dice.choice(("CA", "NY", "TX", "FL")),
        "locality": dice.choice(_CITIES),
        "frequencyAssigned": dice.randrange(9),
        "frequencyDialed": dials,
        "frequencyContacted": contacts,
        "dateLastDialed": f"2026-05-{1 + index % 28:02}",
        "dateActivated": f"2025-01-{1 + index % 28:02}",
        "dateDeactivated": None,
        "dateInventoried": "2025-01-15",
        "createdAt": f"2025-01-{1 + index % 28:02}T00:00:00.000Z",
        "last30DaysDials": dials,
        "last30DaysContacts": contacts,
        "contactRate": round(dice.random() * 100, 2),
        "successRate": round(dice.random() * 100, 2),
        "blockRate": round(dice.random() * 30, 1),
        "noAnswerRate": round(dice.random() * 100, 2),
    }


def body(page: int, pages: int, rows: int = ROWS) -> bytes:
    """Return the body of one of ``pages`` pages, in the format of the API."""
    dice = random.Random(page)
    envelope = {
        "result": "success",
        "count": rows,
        "total_anis": pages * rows,
        "can_next_page": page < pages,
        "can_prev_page": page > 1,
        "total_pages": pages,
        "data": [_row((page - 1) * rows + n, dice) for n in range(rows)],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def write(folder: Path, count: int, rows: int = ROWS) -> None:
    """Write each page to a folder, uncompressed and compressed."""
    folder.mkdir(parents=True)
    for page in range(1, count + 1):
        plain = body(page, count, rows)
        (folder / f"{page}.json").write_bytes(plain)
        (folder / f"{page}.json.gz").write_bytes(gzip.compress(plain, 6))
