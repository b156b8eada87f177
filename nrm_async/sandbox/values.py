"""Values shared by the sandbox modules: rows, requests, pages and action results."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

from attrs import frozen

FIELDS: Final = (
    *("id", "phone", "brand", "status", "statusLabel", "campaignName", "areaCode", "region"),
    *("state", "locality", "frequencyAssigned", "frequencyDialed", "frequencyContacted"),
    *("dateLastDialed", "dateActivated", "dateDeactivated", "dateInventoried", "createdAt"),
    *("last30DaysDials", "last30DaysContacts", "contactRate", "successRate", "blockRate"),
    "noAnswerRate",
)
"""The 24 documented row fields, in the order of the API documentation's example."""

Row: TypeAlias = dict[str, str | int | float | None]
"""An ANI in wire format: a mapping from :data:`FIELDS` to values."""

ActionName: TypeAlias = Literal["pause", "activate", "remediate"]
"""The name of an API action, as in its path."""

Endpoint: TypeAlias = Literal["anis", "pause", "activate", "remediate"]
"""The name of an API endpoint, as in its path."""

ACTIONS: Final[tuple[ActionName, ...]] = ("pause", "activate", "remediate")
ENDPOINTS: Final[tuple[Endpoint, ...]] = ("anis", "pause", "activate", "remediate")

ACTIVE: Final = "ACTIVE_AND_BEING_MANAGED"
"""Status code of an ANI in use (NRM API documentation)."""

ACTIVE_LABEL: Final = "Active and Being Managed"

COOLING_OFF: Final = "COOLING_OFF"
"""Status code of a paused ANI (assumed: the documentation does not specify it)."""

COOLING_OFF_LABEL: Final = "Cooling Off"


@frozen
class ActionRequest:
    """A valid action request.

    Attributes:
        action: The action.
        ani: The number in canonical form, digits only.
        carrier: The six-digit carrier id, as sent.
        note: The free text, as sent.
        date: The date, as sent.
        at: ``date`` as an aware datetime in UTC. None means now.
    """

    action: ActionName
    ani: str
    carrier: str | None = None
    note: str | None = None
    date: str | None = None
    at: datetime | None = None


@frozen
class PageRequest:
    """A valid page request: a page number from 1, a page size, and a phone number prefix."""

    page: int
    page_size: int
    number: str = ""


@frozen
class Page:
    """A page of the listing.

    Attributes:
        rows: The rows on this page, each as JSON.
        total: Number of matching rows on all pages.
        page: The page number, from 1.
        page_size: The requested page size.
    """

    rows: tuple[bytes, ...]
    total: int
    page: int
    page_size: int

    @property
    def total_pages(self) -> int:
        """Total number of pages; 0 if no rows match."""
        return -(-self.total // self.page_size)


@frozen
class Applied:
    """An accepted action, with its documented status."""

    status: str
    ani: str


@frozen
class Refused:
    """A refused action, with the documented message."""

    message: str


@frozen
class WithinCooldown:
    """A remediation refused because the previous one is less than 30 days old."""

    message: str = "within cooldown"


Answer: TypeAlias = Applied | Refused | WithinCooldown
"""The result of an action."""
