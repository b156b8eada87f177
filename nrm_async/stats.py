"""What a client is doing at this moment, and what it has done so far: a snapshot."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from nrm_async._values import Value
from nrm_async.results import Outcome

__all__ = ["BreakerState", "ClientStats"]


class BreakerState(StrEnum):
    """Whether the API is taken to be there."""

    CLOSED = "closed"
    """It is: calls go out."""

    OPEN = "open"
    """It is down: batches wait, single calls fail soon."""

    PROBING = "probing"
    """It was down; a read is under way that finds out whether it is back."""


@attrs.frozen(eq=False, repr=False)
class ClientStats(Value):
    """A snapshot of one client.

    Attributes:
        in_flight: Requests that are on their way.
        waiting: Requests that wait for a place among those; not the ones that wait for an API
            that is down, or for the time of a retry.
        limit: Requests that may be in flight now: found by trying, ``max_concurrency`` at most.
        rate: Requests per second that may start now; ``None`` where nothing limits that.
        gate: Seconds until the gate opens that a ``Retry-After`` has shut; 0 if it is open.
        breaker: Whether the API is taken to be there.
        attempts: Requests handed to the network so far, reads and actions.
        retries: Those among them that sent the same call again.
        throttled: Answers so far that asked for fewer requests: 429, or 503 with ``Retry-After``.
        outcomes: What became of the actions so far, of bad inputs of a batch and of cancelled
            calls too; every outcome is a key.

    Example:
        >>> from nrm_async import NRMClient
        >>> NRMClient("key").stats().attempts
        0
    """

    in_flight: int
    waiting: int
    limit: int
    rate: float | None
    gate: float
    breaker: BreakerState
    attempts: int
    retries: int
    throttled: int
    outcomes: Mapping[Outcome, int]
