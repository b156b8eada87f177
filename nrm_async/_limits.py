"""Waiting happens here, and nowhere else: one pool per client, in front of the network.

Whatever the client sends, a page, a single action or a batch item, is admitted by the pool
first, so the ceiling holds for all of them together and nothing queues further down. The clock
of an attempt starts after admission.
"""

import asyncio
from types import TracebackType

import anyio


class Pacer:
    """At most ``rate`` admissions a second, evenly spaced, from the first one on: no bursts."""

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._next = 0.0

    async def wait(self) -> None:
        """Take the next place in time and wait for it."""
        now = asyncio.get_running_loop().time()
        place = max(now, self._next)
        self._next = place + self._interval
        if place > now:
            await anyio.sleep(place - now)


class Pool:
    """At most ``max_concurrency`` requests in flight; the others wait in order.

    Use it as an async context manager around one attempt.
    """

    def __init__(self, max_concurrency: int, max_rate: float | None = None) -> None:
        self._places = anyio.Semaphore(max_concurrency, fast_acquire=True)
        self._pacer = None if max_rate is None else Pacer(max_rate)

    async def __aenter__(self) -> None:
        await self._places.acquire()
        if self._pacer is not None:
            try:
                await self._pacer.wait()
            except BaseException:  # cancelled while waiting: the place must not be lost
                self._places.release()
                raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._places.release()
