"""How many retries a second there may be."""

import asyncio
from typing import Final

import anyio

# Every answer earns half a retry, so that where a third of all calls fails nobody waits, and
# retries never more than double what is sent.
_EARNED: Final = 0.5
_PER_SECOND: Final = 10.0  # retries that are free, so that a stop is not for ever (as Finagle's)
# Nobody sleeps for less: a timer may ring a little early, by the resolution of the clock.
_TICK: Final = 0.001
_MOST: Final = 100.0  # retries in store (as many as botocore's 500 tokens at 5 each)


class RetryBudget:
    """A token bucket of retries, filled by answers and, slowly, by time."""

    def __init__(self, closing: asyncio.Event | None = None) -> None:
        self._closing = closing or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._line = anyio.Lock(fast_acquire=True)
        self._tokens = _MOST
        self._at = self._loop.time()

    def earn(self) -> None:
        """An answer came."""
        if self._tokens < _MOST:
            self._tokens = min(_MOST, self._tokens + _EARNED)

    async def spend(self, *, is_patient: bool) -> bool:
        """Whether there may be a retry; the patient wait for one, in order."""
        if not is_patient:
            return self._take() == 0
        async with self._line:
            while (wait := self._take()) and not self._closing.is_set():
                with anyio.move_on_after(wait):
                    await self._closing.wait()
        return not wait

    def _take(self) -> float:
        """Take a retry: 0; or the seconds until time brings one."""
        now = self._loop.time()
        self._tokens = min(_MOST, self._tokens + (now - self._at) * _PER_SECOND)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return max(_TICK, (1 - self._tokens) / _PER_SECOND)
