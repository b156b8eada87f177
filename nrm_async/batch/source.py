"""The inputs, numbered, taken one at a time by many workers."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator

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
        # One of the two: a plain iterator costs less without being awaited.
        self._iterator: Iterator[object] | None = None
        self._next: Callable[[], Awaitable[object]] | None = None
        if isinstance(inputs, AsyncIterable):
            self._next = self._next_of(aiter(inputs))
        else:
            self._iterator = iter(inputs)

    @property
    def is_plain(self) -> bool:
        """Whether inputs are taken at once, and not awaited."""
        return self._iterator is not None

    def take_at_once(self) -> tuple[int, object] | None:
        """The next input of a plain iterable with its position, or ``None`` if there is none."""
        if self._is_over or self._iterator is None:
            return None
        try:
            return self._numbered(next(self._iterator))
        except Exception as error:  # noqa: BLE001 - the caller's own, raised when all is done
            self._end(error, StopIteration)
            return None

    async def take(self) -> tuple[int, object] | None:
        """The next input that is awaited with its position, or ``None`` if there is none."""
        if self._is_over or self._next is None:
            return None
        try:
            return self._numbered(await self._next())
        except Exception as error:  # noqa: BLE001 - the caller's own, raised when all is done
            self._end(error, StopAsyncIteration)
            return None

    def _end(self, error: Exception, usual: type[Exception]) -> None:
        self._is_over = True
        if not isinstance(error, usual):
            self.error = self.error or error

    def _numbered(self, item: object) -> tuple[int, object]:
        self._taken += 1
        return self._taken - 1, item

    def _next_of(self, iterator: AsyncIterator[object]) -> Callable[[], Awaitable[object]]:
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
