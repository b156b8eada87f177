"""What became of an action whose answer was lost: found out by reading the number back.

The action and the error that left it in doubt come in, with callables that read a number, send
the action once more, and wait; a receipt comes out, or the error that is the truth. The reads
begin after the API has had time to settle, and come at growing intervals. A number that stands
unchanged to the end gets the action once more: the API takes a pause only of an active number
and an activation only of a resting one, so a repeat does nothing twice. If the repeat is
refused and the number still stands unchanged, one contradicts the other, and the doubt stays.

What cannot be seen in a number's status is not looked for: remediation, and dates in the future.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Final

import attrs

from nrm_async.actions import Action, Activate, Pause
from nrm_async.config import ConfirmPolicy
from nrm_async.errors import NRMError, OutcomeUnknownError
from nrm_async.models import Ani, Receipt

# A page that sends the caller elsewhere may stand in front of the API or behind it, and would
# answer the reads alike.
_REDIRECTS: Final = frozenset({302, 303})


class Sight(Enum):
    """What reading a number back shows."""

    AS_ASKED = "as asked"
    UNCHANGED = "unchanged"
    NOTHING = "nothing"


@attrs.frozen(eq=False, repr=False)
class Means:
    """What it takes to find out.

    Attributes:
        find: Reads the number; ``None`` if it is not in the inventory. Raises ``NRMError``.
        resend: Sends the action once more.
        wait: Waits some seconds; ``False`` if the call has no such time left.
        policy: The numbers to go by.
        was_active: Whether the number was in service before the action, where that is known.
    """

    find: Callable[[str], Awaitable[Ani | None]]
    resend: Callable[[], Awaitable[Receipt | NRMError]]
    wait: Callable[[float], Awaitable[bool]]
    policy: ConfirmPolicy
    was_active: bool | None = None


def can_confirm(action: Action, doubt: OutcomeUnknownError, now: datetime | None = None) -> bool:
    """Whether reading the number back can tell."""
    return doubt.status not in _REDIRECTS and shows_at_once(action, now)


def shows_at_once(action: Action, now: datetime | None = None) -> bool:
    """Whether a number's status shows this action as soon as it is applied."""
    if isinstance(action, Pause) and action.date is None:
        return True
    if not isinstance(action, Pause | Activate):
        return False
    return action.date is None or not _is_after(action.date, now or datetime.now(UTC))


def _is_after(date: str, moment: datetime) -> bool:
    digits = date.replace("-", "").ljust(14, "0")
    return digits > moment.strftime("%Y%m%d%H%M%S")


async def confirm(
    action: Action, doubt: OutcomeUnknownError, refusal: NRMError | None, means: Means
) -> Receipt | NRMError:
    """Find out what became of an action.

    Args:
        action: A pause or an activation that takes effect at once.
        doubt: The error that left it in doubt; the answer if the truth cannot be had.
        refusal: What a repeat that was sent already ended in, if there was one.
        means: What it takes.
    """
    sight = await _look(action, means)
    if sight is Sight.UNCHANGED and refusal is None:
        answer = await means.resend()
        if isinstance(answer, Receipt):
            return answer
        refusal = answer
        sight = await _look(action, means)
    if sight is Sight.AS_ASKED:
        return _confirmed(action, doubt, means)
    return doubt if refusal is None else _with_refusal(doubt, refusal)


def _with_refusal(doubt: OutcomeUnknownError, refusal: NRMError) -> OutcomeUnknownError:
    """A repeat that is refused may be so because the first one worked: it proves nothing."""
    both = OutcomeUnknownError(
        f"{doubt.message}; sent once more: {refusal.message}", doubt.status, doubt.request_id
    )
    both.seen = doubt.seen
    return both


async def _look(action: Action, means: Means) -> Sight:
    sight = Sight.NOTHING
    for delay in means.policy.delays:
        if not await means.wait(delay):
            return Sight.NOTHING  # not looked to the end
        try:
            sight = _sight_of(action, await means.find(action.ani))
        except NRMError:
            sight = Sight.NOTHING
        if sight is Sight.AS_ASKED:
            break
    return sight


def _sight_of(action: Action, row: Ani | None) -> Sight:
    """What a row shows. Of all the codes a status can have, only "active" is documented.

    A number that is not listed may be one that rests. Other codes that begin like the active
    one may be other ways to be in service.
    """
    if row is None or row.status is None:
        return Sight.NOTHING
    if row.is_active:
        return Sight.AS_ASKED if isinstance(action, Activate) else Sight.UNCHANGED
    if row.status.upper().startswith("ACTIVE"):
        return Sight.NOTHING
    return Sight.UNCHANGED if isinstance(action, Activate) else Sight.AS_ASKED


def _confirmed(action: Action, doubt: OutcomeUnknownError, means: Means) -> Receipt | NRMError:
    if means.was_active is isinstance(action, Activate):
        return doubt  # it was as asked before: that it is so now proves nothing
    (word,) = action.done
    return Receipt(action.ani, word, doubt.request_id, confirmed=True, seen=doubt.message)
