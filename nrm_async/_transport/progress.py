"""What is seen of an exchange while it is under way."""

from contextvars import ContextVar
from typing import Final

from nrm_async._flight import Flight


class Progress:
    """What is seen of an exchange, for telling of it if it fails."""

    __slots__ = ("flight", "status")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.status: int | None = None


in_progress: Final[ContextVar[Progress | None]] = ContextVar("in_progress", default=None)
"""The exchange through a session that this task is in; the connector reports to it."""
