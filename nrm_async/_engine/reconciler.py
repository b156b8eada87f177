"""Resolve an action whose response was lost by reading the number back.

The reads start after the API has had time to settle, and follow at growing intervals. If the
number is unchanged after the last read, the action is sent once more. This is safe because the
API pauses only active numbers and activates only resting ones. If the repeat is refused and the
number is still unchanged, the evidence is contradictory and the outcome remains unknown.

Remediations and future dates are not visible in the status of a number, so they are not read back.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from typing import Final

import attrs

from nrm_async.actions import Action, Activate, shows_in_status
from nrm_async.config import ConfirmPolicy
from nrm_async.errors import NRMError, OutcomeUnknownError
from nrm_async.models import Ani, Receipt

# A redirect may be returned by a proxy or by the API itself, and reading the number back would
# return the same redirect.
_REDIRECTS: Final = frozenset({302, 303})


class Observation(Enum):
    """Result of reading a number back."""

    AS_REQUESTED = "as requested"
    UNCHANGED = "unchanged"
    NOTHING = "nothing"


@attrs.frozen(eq=False, repr=False)
class ReadBack:
    """Functions and settings for reading a number back.

    Attributes:
        find: Reads the number; returns ``None`` if it is not in the inventory. Raises
            ``NRMError``.
        resend: Sends the action once more.
        wait: Waits for a number of seconds; returns ``False`` if the deadline is too close.
        policy: When and how often to read.
        was_active: Whether the number was active before the action; ``None`` if unknown.
    """

    find: Callable[[str], Awaitable[Ani | None]]
    resend: Callable[[], Awaitable[Receipt | NRMError]]
    wait: Callable[[float], Awaitable[bool]]
    policy: ConfirmPolicy
    was_active: bool | None = None


def can_confirm(
    action: Action, ambiguous: OutcomeUnknownError, now: datetime | None = None
) -> bool:
    """Return whether reading the number back can show whether the action was applied."""
    return ambiguous.status not in _REDIRECTS and shows_in_status(action, now)


async def confirm(
    action: Action,
    ambiguous: OutcomeUnknownError,
    refusal: NRMError | None,
    read_back: ReadBack,
) -> Receipt | NRMError:
    """Determine whether an action was applied.

    Args:
        action: A pause or an activation that takes effect immediately.
        ambiguous: The error that left the outcome unknown; returned if it remains unknown.
        refusal: The error of a repeat that was already sent, if any.
        read_back: How to read the number back.
    """
    observed = await _observe(action, read_back)
    if observed is Observation.UNCHANGED and refusal is None:
        answer = await read_back.resend()
        if isinstance(answer, Receipt):
            return answer
        refusal = answer
        observed = await _observe(action, read_back)
    if observed is Observation.AS_REQUESTED:
        if read_back.was_active is isinstance(action, Activate):
            return ambiguous  # unchanged since before the action, so it proves nothing
        (status,) = action.done
        return Receipt(
            action.ani, status, ambiguous.request_id, confirmed=True, seen=ambiguous.message
        )
    if refusal is None:
        return ambiguous
    # A repeat may be refused because the first attempt was applied, so a refusal proves nothing.
    both = OutcomeUnknownError(
        f"{ambiguous.message}; sent once more: {refusal.message}",
        ambiguous.status,
        ambiguous.request_id,
    )
    both.seen = ambiguous.seen
    return both


async def _observe(action: Action, read_back: ReadBack) -> Observation:
    """Read the number until it is in the requested state or no reads are left."""
    observed = Observation.NOTHING
    for delay in read_back.policy.delays:
        if not await read_back.wait(delay):
            return Observation.NOTHING  # incomplete reads prove nothing
        try:
            observed = _compare(action, await read_back.find(action.ani))
        except NRMError:
            observed = Observation.NOTHING
        if observed is Observation.AS_REQUESTED:
            break
    return observed


def _compare(action: Action, row: Ani | None) -> Observation:
    """Compare a row with the state that the action requested.

    Only the status code for active numbers is documented. A number that is not listed may be
    resting, and other codes that start with ``ACTIVE`` may also mean active.
    """
    if row is None or row.status is None:
        return Observation.NOTHING
    if row.is_active:
        is_requested = isinstance(action, Activate)
    elif row.status.upper().startswith("ACTIVE"):
        return Observation.NOTHING
    else:
        is_requested = not isinstance(action, Activate)
    return Observation.AS_REQUESTED if is_requested else Observation.UNCHANGED
