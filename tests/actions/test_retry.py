"""Whether to retry, and after which delay: a pure decision."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._engine.retry import FailedAttempt, next_delay
from nrm_async.config import RetryPolicy
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    ClientStateError,
    ClientTimeoutError,
    ConfigurationError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
    ResponseError,
    ServerError,
    TransportError,
)

POLICY = RetryPolicy(max_retries=4, base=0.5, cap=8.0, max_retry_after=120.0)


def permanently_not_sent() -> NotSentError:
    error = NotSentError("certificate")
    error.permanent = True
    return error


def delay(
    error: NRMError,
    *,
    read: bool = True,
    number: int = 1,
    draw: float = 0.5,
    policy: RetryPolicy = POLICY,
    left: float | None = None,
    **more: Any,
) -> float | None:
    attempt = FailedAttempt(number, error, read, **more)
    return next_delay(attempt, policy, left, draw)


@pytest.mark.parametrize(
    ("error", "read", "action"),
    [
        (NotSentError("refused"), True, True),
        (permanently_not_sent(), False, False),
        (RateLimitError(429, "slow"), True, True),
        (TransportError("reset"), True, False),
        (ClientTimeoutError("slow"), True, False),
        *[(ServerError(status, "down"), True, False) for status in (500, 502, 503, 504)],
        (OutcomeUnknownError("reset"), True, False),
        *[(OutcomeUnknownError("down", status), True, False) for status in (500, 502, 503, 504)],
        *[(OutcomeUnknownError("html", status), True, False) for status in (200, 302)],
        *[(OutcomeUnknownError("later", status), True, True) for status in (408, 421, 425)],
        *[(APIError(status, "later"), True, True) for status in (408, 421, 425)],
        *[(APIError(status, "elsewhere"), False, False) for status in (302, 303)],
        *[(RejectedError(status, "no"), False, False) for status in (200, 400, 404, 409, 422)],
        *[(AuthenticationError(status, "who"), False, False) for status in (401, 403)],
        (ResponseError("not a page"), False, False),
        (ConfigurationError("moved"), False, False),
        (ClientStateError("closed"), False, False),
    ],
    ids=repr,
)
def test_which_errors_are_retried(error: NRMError, read: bool, action: bool) -> None:
    """Reads after errors that may pass, actions only after errors that prove no effect."""
    assert (delay(error, read=True) is not None) is read
    assert (delay(error, read=False) is not None) is action


@pytest.mark.parametrize("status", [408, 421, 425])
def test_408_421_and_425_are_retried_once_for_actions(status: int) -> None:
    """An action is sent once more and then no more; a read is retried further."""
    error = OutcomeUnknownError("later", status)
    assert delay(error, read=False, number=1) is not None
    assert delay(error, read=False, number=2) is None
    assert delay(APIError(status, "later"), read=True, number=2) is not None


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("error", [NotSentError("refused"), RateLimitError(429, "slow")], ids=repr)
def test_actions_without_effect_are_retried_to_the_limit(error: NRMError, number: int) -> None:
    """An action that provably had no effect is retried up to the limit."""
    assert delay(error, read=False, number=number) is not None


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("most", [0, 1, 4])
def test_max_retries(read: bool, most: int) -> None:
    """This many retries follow the first attempt, and no more."""
    policy = RetryPolicy(max_retries=most)
    tried = [
        number
        for number in range(1, 10)
        if delay(NotSentError("refused"), read=read, number=number, policy=policy) is not None
    ]
    assert tried == list(range(1, most + 1))


@pytest.mark.parametrize(
    ("number", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 8.0), (99, 8.0)]
)
def test_backoff_doubles_to_the_cap(number: int, longest: float) -> None:
    """The longest wait doubles with every attempt until it reaches the cap."""
    policy = RetryPolicy(max_retries=100, base=0.5, cap=8.0)
    error = NotSentError("refused")
    assert delay(error, number=number, draw=1.0, policy=policy) == longest
    assert delay(error, number=number, draw=0.25, policy=policy) == longest / 4
    assert delay(error, number=number, draw=0.0, policy=policy) == 0.0


short = st.floats(0, 1e6)
draws = st.floats(0, 1)


@given(number=st.integers(1, 10**6), base=short, cap=short, draw=draws)
def test_full_jitter_bounds(number: int, base: float, cap: float, draw: float) -> None:
    """For all numbers, the delay is between zero and the smaller of cap and doubled base."""
    policy = RetryPolicy(max_retries=10**6, base=base, cap=cap)
    wait = delay(NotSentError("refused"), number=number, draw=draw, policy=policy)
    assert wait is not None
    assert 0.0 <= wait <= cap
    assert wait <= base * 2.0 ** min(number - 1, 1000)


@given(asked=st.floats(0, 120), number=st.integers(1, 4), draw=draws, read=st.booleans())
def test_retry_after_is_a_lower_bound(asked: float, number: int, draw: float, read: bool) -> None:
    """The delay is at least the server's; the gate, not the delay, adds jitter to it."""
    error = RateLimitError(429, "slow")
    wait = delay(error, read=read, number=number, draw=draw, retry_after=asked)
    assert wait is not None
    backoff = delay(error, read=read, number=number, draw=draw)
    assert backoff is not None
    assert wait == max(backoff, asked)


def test_retry_after_may_exceed_the_cap() -> None:
    """The cap bounds the client's own delays, not the time that the server names."""
    assert delay(RateLimitError(429, "slow"), retry_after=100.0, draw=0.0) == 100.0


def test_retry_after_of_a_503() -> None:
    """A 503 with ``Retry-After`` delays a read by as many seconds."""
    assert delay(ServerError(503, "down"), retry_after=30.0, draw=0.0) == 30.0


@pytest.mark.parametrize(("asked", "tried"), [(120.0, True), (120.1, False), (31_622_400.0, False)])
def test_max_retry_after(asked: float, tried: bool) -> None:
    """A longer Retry-After than the policy allows ends the call."""
    wait = delay(RateLimitError(429, "slow"), retry_after=asked, draw=0.0)
    assert (wait is not None) is tried


@pytest.mark.parametrize(
    ("elapsed", "asked", "tried"),
    [
        (0.0, None, True),
        (9.0, None, True),
        (9.5, None, False),
        (10.0, None, False),
        (99.0, None, False),
        (0.0, 9.5, True),
        (0.0, 10.0, False),
        (5.0, 5.0, False),
    ],
)
def test_deadline(elapsed: float, asked: float | None, tried: bool) -> None:
    """No wait reaches or exceeds the deadline of the call."""
    wait = delay(RateLimitError(429, "slow"), draw=1.0, left=10.0 - elapsed, retry_after=asked)
    assert (wait is not None) is tried


@given(left=short, draw=draws, asked=st.none() | st.floats(0, 120))
def test_deadline_holds(left: float, draw: float, asked: float | None) -> None:
    """For all numbers, the next attempt starts before the deadline."""
    wait = delay(RateLimitError(429, "slow"), draw=draw, left=left, retry_after=asked)
    assert wait is None or wait < left


def test_the_decision_is_pure() -> None:
    """The same attempt and random number give the same delay, and the error is unchanged."""
    error = RateLimitError(429, "slow", retry_after=3.0)
    before = dict(vars(error))
    assert delay(error, retry_after=3.0, draw=0.3) == delay(error, retry_after=3.0, draw=0.3)
    assert vars(error) == before
