"""Retry budget: a limit on the number of retries."""

import asyncio
from typing import Final

import anyio

from nrm_async._limits.waiting import MIN_SLEEP, sleep_until_set

# Tokens per response. With half a token, no retry waits if a third of all calls fail, and retries
# at most double the number of requests.
_PER_ANSWER: Final = 0.5
_PER_SECOND: Final = 10.0  # tokens added over time, to refill an empty budget (as in Finagle)
_CAPACITY: Final = 100.0  # tokens (equivalent to botocore's 500 at 5 per retry)


class RetryBudget:
    """Token bucket for retries, filled by responses and, slowly, over time."""

    def __init__(self, closing: asyncio.Event | None = None) -> None:
        self._closing = closing or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._turn = anyio.Lock(fast_acquire=True)
        self._tokens = _CAPACITY
        self._refilled_at = self._loop.time()

    def deposit(self) -> None:
        """Add the tokens for a response."""
        if self._tokens < _CAPACITY:
            self._tokens = min(_CAPACITY, self._tokens + _PER_ANSWER)

    async def acquire(self, *, is_bulk: bool) -> bool:
        """Take a token for a retry; return whether one was available.

        Batch items wait for a token, in order, until the client closes; single calls do not.
        """
        if not is_bulk:
            return self._take() == 0
        async with self._turn:
            while (wait := self._take()) and not await sleep_until_set(self._closing, wait):
                pass
        return not wait

    def _take(self) -> float:
        """Take a token and return 0, or return the seconds until one is available."""
        now = self._loop.time()
        self._tokens = min(_CAPACITY, self._tokens + (now - self._refilled_at) * _PER_SECOND)
        self._refilled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return max(MIN_SLEEP, (1 - self._tokens) / _PER_SECOND)
