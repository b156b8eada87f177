"""Decide whether and when to retry: pure functions, without clock, randomness or network.

Reads may be repeated after any temporary failure. An action may be repeated only if it provably
was not sent or not processed. An action that may have been applied is not repeated here, but
resolved by reading the number back.
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
class FailedAttempt:
    """Failed attempt of a call.

    Attributes:
        number: Attempt number within the call, from 1.
        error: The error of the attempt.
        safe: Whether the request is a read (RFC 9110, 9.2.1).
        idempotent: Whether sending an action twice has the effect of sending it once
            (RFC 9110, 9.2.2).
        retry_after: Seconds to wait as requested by the server, if any.
        is_bulk: Whether the call is a batch item.
    """

    number: int
    error: NRMError
    safe: bool
    idempotent: bool = True
    retry_after: float | None = None
    is_bulk: bool = False


def next_delay(
    failed: FailedAttempt, policy: RetryPolicy, left: float | None, draw: float
) -> float | None:
    """Return the seconds to wait before the next attempt, or ``None`` to give up.

    Args:
        failed: The attempt that failed.
        policy: The caller's retry policy.
        left: Seconds until the call's deadline, if it has one.
        draw: A random number from 0 to 1, for full jitter.
    """
    if failed.number > policy.most(in_batch=failed.is_bulk) or not _may_help(failed):
        return None
    wait = failed.retry_after or 0.0
    if policy.is_too_long(wait) and not (failed.is_bulk and left is not None):
        return None  # a batch with a deadline may wait until the deadline
    # The exponent is bounded because 2.0**1024 overflows.
    backoff = draw * min(policy.cap, policy.base * 2.0 ** min(failed.number - 1, 60))
    # Never retry earlier than the server requested. The gate spreads calls that wait for the same
    # moment.
    delay = max(backoff, wait)
    return None if left is not None and delay >= left else delay


def _may_help(failed: FailedAttempt) -> bool:
    error = failed.error
    if isinstance(error, NotSentError):
        return not error.permanent
    if isinstance(error, RateLimitError):
        return True
    if isinstance(error, OutcomeUnknownError | APIError) and error.status in NOT_TAKEN_UP:
        return failed.safe or (failed.number == 1 and failed.idempotent)
    return failed.safe and isinstance(error, TransportError | ServerError)
