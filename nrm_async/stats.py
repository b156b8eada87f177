"""Client statistics: current load and limits, and totals."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from nrm_async._values import Value
from nrm_async.results import Outcome

__all__ = ["BreakerState", "ClientStats"]


class BreakerState(StrEnum):
    """State of the circuit breaker."""

    CLOSED = "closed"
    """The API is up, and calls are sent."""

    OPEN = "open"
    """The API is down: batches wait, and single calls fail without being sent."""

    PROBING = "probing"
    """The API was down, and a read in flight is probing for its recovery (half-open)."""


@attrs.frozen(eq=False, repr=False)
class ClientStats(Value):
    """Snapshot of one client.

    Attributes:
        in_flight: Requests in flight.
        waiting: Requests waiting for admission, excluding those waiting for the API to recover or
            for their next attempt.
        limit: Current limit on requests in flight; adaptive, at most ``max_concurrency``.
        rate: Current limit on requests per second; ``None`` for no limit.
        gate: Seconds until requests may start after a ``Retry-After``; 0 if they may start now.
        breaker: State of the circuit breaker.
        attempts: Total requests passed to the network, both reads and actions.
        retries: Number of these requests that were retries.
        throttled: Total throttling responses: 429, 503 with ``Retry-After``, or a 403 page of a
            firewall.
        outcomes: Number of actions per outcome, including invalid batch inputs and cancelled
            calls; every outcome is a key.

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
