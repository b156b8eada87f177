"""Pass the results of a batch to the consumer, in input order or in completion order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

import anyio

from nrm_async.batch.options import READ_AHEAD
from nrm_async.results import CallResult


class ResultQueue(AsyncIterator[CallResult]):
    """Bounded queue of results, with a reorder buffer if it is ``ordered``.

    Iteration ends when all producers have finished and all results were consumed. If the batch
    failed, it then raises the error of the batch.

    Attributes:
        slots: Semaphore of the free slots, initially ``READ_AHEAD``. Producers acquire a slot
            before they read an input; the slot is released when the result is consumed.
    """

    def __init__(self, *, ordered: bool) -> None:
        self.slots = anyio.Semaphore(READ_AHEAD, fast_acquire=True)
        self._is_ordered = ordered
        self._ready: deque[CallResult] = deque()
        self._held_back: dict[int, CallResult] = {}  # completed before an earlier input
        self._next_index = 0
        self._producers = 0
        self._changed = asyncio.Event()
        self._error: Exception | None = None
        self._crash: BaseException | None = None

    def add_producer(self) -> None:
        """Register a producer; the queue stays open until it calls ``producer_finished``."""
        self._producers += 1

    def producer_finished(self, crash: BaseException | None = None) -> None:
        """Unregister a producer; if it crashed, iteration raises the exception at the end."""
        self._producers -= 1
        if self._crash is None:
            self._crash = crash
        self._changed.set()

    def put(self, result: CallResult) -> None:
        """Add a result; a slot must have been acquired for it."""
        if self._is_ordered:
            self._held_back[result.index] = result
            while (following := self._held_back.pop(self._next_index, None)) is not None:
                self._ready.append(following)
                self._next_index += 1
        else:
            self._ready.append(result)
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """Raise this error after the last result, unless an earlier error was set."""
        if self._error is None:
            self._error = error

    def flush(self) -> None:
        """Release the results held back for ordering, as earlier results may never arrive."""
        self._is_ordered = False
        self._ready.extend(self._held_back[index] for index in sorted(self._held_back))
        self._held_back.clear()

    def drain(self) -> list[CallResult]:
        """Remove and return all results that are ready, without waiting."""
        results = list(self._ready)
        self._ready.clear()
        return results

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CallResult:
        while not self._ready:
            if not self._producers:
                error = self._error if self._crash is None else self._crash
                self._error = self._crash = None
                raise StopAsyncIteration if error is None else error
            self._changed.clear()
            await self._changed.wait()
        self.slots.release()
        return self._ready.popleft()
