"""Whether to try again, and when: pure decisions, without clock, dice or network.

What flows through: an attempt that failed goes in, seconds to wait or ``None`` for "stop" come
out. Reads may be repeated after anything that might pass. An action may be repeated only if it
provably was not sent, or was not taken up; what became of one that may have been applied is
not decided here.
"""

import attrs

from nrm_async.config import RetryPolicy
from nrm_async.errors import (
    NOT_TAKEN_UP,
    APIError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    TransportError,
)


@attrs.frozen(eq=False, repr=False)
class Attempt:
    """One attempt that failed.

    Attributes:
        number: Which attempt of the call it was, from 1.
        repeatable: Whether the request is a read.
        error: What it ended in.
        retry_after: Seconds the server asked to wait, if it did.
        is_harmless_twice: Whether an action does nothing more if it arrives twice.
        is_patient: Whether it is an item of a batch, which has time.
    """

    number: int
    repeatable: bool
    error: NRMError
    retry_after: float | None = None
    is_harmless_twice: bool = True
    is_patient: bool = False


def next_delay(
    attempt: Attempt, policy: RetryPolicy, left: float | None, draw: float
) -> float | None:
    """Seconds to wait before the next attempt, or ``None`` to stop.

    Args:
        attempt: The attempt that failed.
        policy: The numbers to go by.
        left: Seconds until the call's deadline, if it has one.
        draw: A random number from 0 to 1; the jitter.
    """
    if attempt.number > policy.most(in_batch=attempt.is_patient) or not _may_help(attempt):
        return None
    is_long = (attempt.retry_after or 0.0) > policy.max_retry_after
    if is_long and not (attempt.is_patient and left is not None):
        return None  # but an item of a batch waits as long as its batch may
    delay = _delay(attempt, policy, draw)
    if left is not None and delay >= left:
        return None
    return delay


def _delay(attempt: Attempt, policy: RetryPolicy, draw: float) -> float:
    # The exponent is bounded because 2.0**1024 overflows.
    backoff = draw * min(policy.cap, policy.base * 2.0 ** min(attempt.number - 1, 60))
    if attempt.retry_after is None:
        return backoff
    # Never earlier than asked; a little later, so that not all come back at once.
    return max(backoff, attempt.retry_after + draw * policy.base)


def _may_help(attempt: Attempt) -> bool:
    error = attempt.error
    if isinstance(error, NotSentError):
        return not error.permanent
    if isinstance(error, RateLimitError):
        return True
    if isinstance(error, OutcomeUnknownError | APIError) and error.status in NOT_TAKEN_UP:
        is_first = attempt.number == 1 and attempt.is_harmless_twice
        return attempt.repeatable or is_first
    return attempt.repeatable and isinstance(error, TransportError | ServerError)
