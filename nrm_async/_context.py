"""Mutable state of a call.

All other data about a call is frozen. This object is passed along with the call, down to the
transport, so that a cancelled call can still be reported accurately.
"""

from collections.abc import Callable

import attrs

from nrm_async.errors import NRMError


def _never_stop() -> NRMError | None:
    return None


@attrs.define(eq=False, repr=False)
class CallContext:
    """State of one call in progress.

    Attributes:
        deadline: Event loop time after which no attempt starts; ``None`` for no deadline.
        is_bulk: Whether the call is a batch item: single calls are sent before it, and it waits
            where a single call would fail.
        is_internal: Whether the call is part of another call: it is never retried and emits no
            events.
        stop_check: Returns the error to fail with if nothing more may be sent, else ``None``.
        batch: Batch number, if the call is a batch item.
        call: Call number in events; 0 until it is assigned.
        attempts: Requests passed to the network so far.
        maybe_sent: Whether the current attempt may have reached the API.
        earlier_maybe_applied: Whether an earlier attempt may have been applied.
        started: Event loop time at which the call started.
        status: HTTP status of the current attempt, once the headers of a response have arrived.
        retry_after: Seconds to wait as requested by the last response, if any.
    """

    deadline: float | None = None
    is_bulk: bool = False
    is_internal: bool = False
    stop_check: Callable[[], NRMError | None] = _never_stop
    batch: int | None = None
    call: int = 0
    attempts: int = 0
    maybe_sent: bool = False
    earlier_maybe_applied: bool = False
    started: float = 0.0
    status: int | None = None
    retry_after: float | None = None

    @property
    def maybe_applied(self) -> bool:
        """Whether the action may have been applied if the call ended now."""
        return self.maybe_sent or self.earlier_maybe_applied
