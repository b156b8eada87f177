"""The values that pass between the rooms of the sandbox: rows, requests, pages, answers."""

from datetime import datetime
from typing import Literal, TypeAlias

from attrs import frozen

Row: TypeAlias = dict[str, str | int | float | None]
"""One ANI as it goes over the wire: the 24 documented camelCase keys. Never changed in place."""

ActionName: TypeAlias = Literal["pause", "activate", "remediate"]
"""The three actions of the API, named as in their paths."""


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
    """One page of the listing, with an envelope that agrees with itself.

    Attributes:
        rows: The rows on this page.
        total: How many rows match the filter, on all pages.
        page: Which page this is, from 1.
        page_size: The size asked for.
    """

    rows: tuple[Row, ...]
    total: int
    page: int
    page_size: int

    @property
    def total_pages(self) -> int:
        """How many pages of this size hold all matching rows; 0 when there are none."""
        return -(-self.total // self.page_size)

    def envelope(self) -> dict[str, object]:
        """The page as the API answers it, keys in the documentation's order."""
        return {
            "result": "success",
            "count": len(self.rows),
            "total_anis": self.total,
            "can_next_page": self.page < self.total_pages,
            "can_prev_page": self.page > 1,
            "total_pages": self.total_pages,
            "data": self.rows,
        }


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


Answer: TypeAlias = Applied | Refused | WithinCooldown
"""What the state says to an action."""
