"""The values that pass between the rooms of the sandbox: rows, requests, pages, answers."""

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
"""The 24 documented fields of a row, in the order of the documentation's example."""

Row: TypeAlias = dict[str, str | int | float | None]
"""One ANI as it goes over the wire, under these names."""

ActionName: TypeAlias = Literal["pause", "activate", "remediate"]
"""The three actions of the API, named as in their paths."""

Endpoint: TypeAlias = Literal["anis", "pause", "activate", "remediate"]
"""The four endpoints of the API, named as in their paths."""

ACTIONS: Final[tuple[ActionName, ...]] = ("pause", "activate", "remediate")
ENDPOINTS: Final[tuple[Endpoint, ...]] = ("anis", "pause", "activate", "remediate")

ACTIVE: Final = "ACTIVE_AND_BEING_MANAGED"
"""Status of an ANI in use (NRM API documentation)."""

ACTIVE_LABEL: Final = "Active and Being Managed"

COOLING_OFF: Final = "COOLING_OFF"
"""Status of a paused ANI (assumed: the documentation does not give its code)."""

COOLING_OFF_LABEL: Final = "Cooling Off"


@frozen
class ActionRequest:
    """A well-formed request for one action.

    Attributes:
        action: Which action.
        ani: The number in canonical form, digits only.
        carrier: Six-digit carrier id, as sent.
        note: Free text, as sent.
        date: The date exactly as sent.
        at: What ``date`` means: aware, in UTC. None means now.
    """

    action: ActionName
    ani: str
    carrier: str | None = None
    note: str | None = None
    date: str | None = None
    at: datetime | None = None


@frozen
class PageRequest:
    """A well-formed request for one page: ``page`` from 1, ``number`` digits only."""

    page: int
    page_size: int
    number: str = ""


@frozen
class Page:
    """One page of the listing.

    Attributes:
        rows: The rows on this page, each as JSON.
        total: How many rows match the filter, on all pages.
        page: Which page this is, from 1.
        page_size: The size asked for.
    """

    rows: tuple[bytes, ...]
    total: int
    page: int
    page_size: int

    @property
    def total_pages(self) -> int:
        """How many pages of this size hold all matching rows; 0 when there are none."""
        return -(-self.total // self.page_size)


@frozen
class Applied:
    """The action was accepted: ``status`` is the word the API documents for it."""

    status: str
    ani: str


@frozen
class Refused:
    """The action was refused, with the documented message."""

    message: str


@frozen
class WithinCooldown:
    """A remediation was refused because the last one is less than 30 days old."""

    message: str = "within cooldown"


Answer: TypeAlias = Applied | Refused | WithinCooldown
"""What the state says to an action."""
