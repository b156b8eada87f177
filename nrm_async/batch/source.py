"""The inputs, numbered, taken one at a time by many workers."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

from nrm_async.batch.options import Inputs


class Source:
    """The inputs, numbered, taken one at a time by many workers.

    An input that fails ends the reading like one that is through: the workers finish what they
    have, and ``error`` tells at the end of the batch.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.error: Exception | None = None
        self._is_over = False
        self._taken = 0
        self._next = self._next_of(inputs)

    async def take(self) -> tuple[int, object] | None:
        """The next input with its position, or ``None`` when there is none."""
        if self._is_over:
            return None
        try:
            item = await self._next()
        except StopAsyncIteration:
            self._is_over = True
            return None
        except Exception as error:  # noqa: BLE001 - the caller's own, raised when all is done
            self._is_over, self.error = True, self.error or error
            return None
        self._taken += 1
        return self._taken - 1, item

    def _next_of(self, inputs: Inputs) -> Callable[[], Awaitable[object]]:
        if isinstance(inputs, AsyncIterable):
            return self._next_of_async(aiter(inputs))
        iterator = iter(inputs)

        async def take() -> object:
            for item in iterator:
                return item
            raise StopAsyncIteration

        return take

    def _next_of_async(self, iterator: AsyncIterator[object]) -> Callable[[], Awaitable[object]]:
        lock = asyncio.Lock()  # an async generator cannot be asked twice at once

        async def take() -> object:
            async with lock:
                if self._is_over:  # it came to its end, or failed, while this one waited
                    raise StopAsyncIteration
                return await self._guarded(iterator)

        return take

    async def _guarded(self, iterator: AsyncIterator[object]) -> object:
        try:
            return await anext(iterator)
        except BaseException:
            self._is_over = True  # before the next in line asks
            raise
