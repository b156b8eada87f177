"""What is seen of an exchange while it is under way."""

import socket
from contextvars import ContextVar
from typing import Final

import aiohttp

from nrm_async._flight import Flight


class Progress:
    """What is seen of an exchange, for telling of it if it fails."""

    __slots__ = ("flight", "made", "status", "tracker")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.status: int | None = None
        # Counts what aiohttp's session sends once more by itself.
        self.tracker: aiohttp.UploadTracker | None = None
        # Sockets made for the connection that it waits for.
        self.made: list[socket.socket] = []


in_progress: Final[ContextVar[Progress | None]] = ContextVar("in_progress", default=None)
"""The exchange that this task is in; the connector reports to it."""
