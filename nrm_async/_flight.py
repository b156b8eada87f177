"""A call on its way: what is known of it while it is under way.

Everything else about a call is decided at its end. This is the one mutable value that travels
with it, so that a call cut off in the middle, by cancellation say, can still be told of
truthfully.
"""

from collections.abc import Callable

import attrs

from nrm_async.errors import NRMError


def _nothing() -> NRMError | None:
    return None


@attrs.define(eq=False, repr=False)
class Flight:
    """What a call may still do, and what it may have done.

    Attributes:
        started: When it began, by the event loop's clock.
        deadline: Time of the event loop's clock after which nothing more is begun.
        is_patient: Whether it waits for an API that is down instead of giving up.
        is_single: Whether it serves another call: never tried again, and not told of.
        halted: Tells why nothing more may be sent, if that is so.
        batch: Number of the batch that it belongs to, if it does.
        call: Number of the call that events are told under; 0 before it has one.
        attempts: How often the request was handed to the network.
        is_exposed: Whether the attempt under way may have reached the API.
        is_doubtful: Whether an attempt that is over may have been applied.
    """

    deadline: float | None = None
    is_patient: bool = False
    is_single: bool = False
    halted: Callable[[], NRMError | None] = _nothing
    batch: int | None = None
    call: int = 0
    attempts: int = 0
    is_exposed: bool = False
    is_doubtful: bool = False
    started: float = 0.0

    @property
    def may_be_applied(self) -> bool:
        """Whether the action may have taken effect, if the call ended now."""
        return self.is_exposed or self.is_doubtful
