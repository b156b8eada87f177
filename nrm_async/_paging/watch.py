"""Read an inventory periodically, and report its changes."""

import asyncio
import inspect
import logging
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final, Self, TypeAlias

import attrs

from nrm_async._validation import check_number
from nrm_async.errors import ClientStateError, InvalidRequestError, NRMError
from nrm_async.inventory import Inventory, InventoryDiff, diff

OnError: TypeAlias = Callable[[NRMError], object]

_log: Final = logging.getLogger("nrm_async.listing")


class InventoryWatch(AsyncIterator[InventoryDiff]):
    """Endless async iterator over the changes of an inventory, which is read periodically.

    The inventory is read only while the caller awaits the next diff, and empty diffs are skipped.
    So reads never overlap, nothing runs in the background, and the iterator need not be closed.
    After a long pause, the next diff is still relative to the inventory read before the pause.

    A failed read does not end the iteration. The error is logged as a warning with the logger
    ``nrm_async.listing``, counted and passed to ``on_error``, and the next read starts on
    schedule. A read that is not complete reports no row as removed: the rows that it missed stay
    in ``inventory`` until a complete read.

    Attributes:
        inventory: The latest inventory; ``None`` before the first read.
        reads: Number of reads started.
        failures: Number of consecutive failed reads; 0 after a successful read.
        last_error: The error of the last read; ``None`` if it succeeded.

    Example::

        async for changes in client.watch(every=300):
            print(len(changes.added), "added,", len(changes.removed), "removed")
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Inventory]],
        *,
        every: float | timedelta,
        start: Inventory | None = None,
        jitter: float = 0.1,
        on_error: OnError | None = None,
    ) -> None:
        if start is not None and not isinstance(start, Inventory):
            raise InvalidRequestError(f"start must be an Inventory, not {type(start).__name__}")
        seconds = every.total_seconds() if isinstance(every, timedelta) else every
        self._read = read
        self._seconds = float(check_number("every", seconds, above=0))
        self._jitter = check_number("jitter", jitter, least=0, below=1)
        self._on_error = on_error
        self._next_read = -math.inf
        self._is_reading = False
        self.inventory = start
        self.reads = 0
        self.failures = 0
        self.last_error: NRMError | None = None

    def __repr__(self) -> str:
        return f"<InventoryWatch every {self._seconds:g} s, {self.reads} reads>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> InventoryDiff:
        if self._is_reading:
            raise RuntimeError("the watch is already being read by another task")
        self._is_reading = True
        try:
            while True:
                await self._wait()
                new = await self._try_to_read()
                if new is not None and (changes := self._compare(new)):
                    return changes
        finally:
            self._is_reading = False

    async def _wait(self) -> None:
        """Sleep until the next read is due, and schedule the one after it."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next_read - clock()))
        spread = random.uniform(-self._jitter, self._jitter)  # noqa: S311 - not secret
        self._next_read = clock() + self._seconds * (1 + spread)

    async def _try_to_read(self) -> Inventory | None:
        self.reads += 1
        try:
            new = await self._read()
        except (ClientStateError, InvalidRequestError):
            raise  # with a closed client or an invalid argument, every further read would fail
        except NRMError as error:
            self.failures += 1
            self.last_error = error
            _log.warning(
                "inventory read failed (consecutive failures: %d): %s", self.failures, error
            )
            if self._on_error is not None:
                answer = self._on_error(error)
                if inspect.isawaitable(answer):
                    await answer
            return None
        self.failures, self.last_error = 0, None
        return new

    def _compare(self, new: Inventory) -> InventoryDiff:
        old, self.inventory = self.inventory, new
        if old is None:
            return InventoryDiff()
        changes = diff(old, new)
        if not new.complete:
            self.inventory = attrs.evolve(new, rows=new.rows + changes.removed)
            changes = attrs.evolve(changes, removed=())
        return changes
