"""One inventory read again and again, and what changed each time."""

import asyncio
import inspect
import logging
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final, Self, TypeAlias

import attrs

from nrm_async.errors import ClientStateError, InvalidRequestError, NRMError
from nrm_async.inventory import Inventory, InventoryDiff, diff

OnError: TypeAlias = Callable[[NRMError], object]

_log: Final = logging.getLogger("nrm_async.listing")


class InventoryWatch(AsyncIterator[InventoryDiff]):
    """What changes in an inventory, as it changes: an async iterator of diffs, without end.

    It reads when it is asked for the next diff, and gives out only diffs with something in
    them. So it never overlaps itself, runs nothing in the background, and needs no closing. A
    reader that takes long gets the next diff against what it was given last.

    A read that fails is no end: it is logged as a warning by ``nrm_async.listing``, counted,
    handed to ``on_error``, and the next one is tried in its turn. After a read that is not
    complete nothing is reported as removed: what it missed stays until a complete one.

    Attributes:
        inventory: What is known now; ``None`` before the first read.
        reads: Reads begun.
        failures: Reads that failed, one after the other, up to now; 0 after one that worked.
        last_error: Why the last read failed; ``None`` if it worked.
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
        self._read = read
        self._every = _seconds("every", every)
        self._jitter = _share("jitter", jitter)
        self._on_error = on_error
        self._due = -math.inf
        self._is_reading = False
        self.inventory = start
        self.reads = 0
        self.failures = 0
        self.last_error: NRMError | None = None

    def __repr__(self) -> str:
        return f"<InventoryWatch every {self._every:g} s, {self.reads} reads>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> InventoryDiff:
        if self._is_reading:
            raise RuntimeError("the watch is already being read by another task")
        self._is_reading = True
        try:
            return await self._next_change()
        finally:
            self._is_reading = False

    async def _next_change(self) -> InventoryDiff:
        while True:
            await self._wait()
            new = await self._try_to_read()
            if new is not None and (found := self._compare(new)):
                return found

    async def _wait(self) -> None:
        """Sleep until the next read is due, and say when the one after it will be."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._due - clock()))
        spread = random.uniform(-self._jitter, self._jitter)  # noqa: S311 - not secret
        self._due = clock() + self._every * (1 + spread)

    async def _try_to_read(self) -> Inventory | None:
        self.reads += 1
        try:
            new = await self._read()
        except (ClientStateError, InvalidRequestError):
            raise  # a closed client stays closed, and a bad argument bad
        except NRMError as error:
            await self._report(error)
            return None
        self.failures, self.last_error = 0, None
        return new

    async def _report(self, error: NRMError) -> None:
        self.failures += 1
        self.last_error = error
        _log.warning("the inventory could not be read, %d times now: %s", self.failures, error)
        if self._on_error is not None:
            answer = self._on_error(error)
            if inspect.isawaitable(answer):
                await answer

    def _compare(self, new: Inventory) -> InventoryDiff:
        old, self.inventory = self.inventory, new
        if old is None:
            return InventoryDiff()
        found = diff(old, new)
        if not new.complete:
            self.inventory = attrs.evolve(new, rows=new.rows + found.removed)
            found = attrs.evolve(found, removed=())
        return found


def _seconds(name: str, value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not _is_number(seconds) or not 0 < seconds < math.inf:
        raise InvalidRequestError(f"{name} must be more than 0 seconds and finite, not {value!r}")
    return float(seconds)


def _share(name: str, value: float) -> float:
    if not _is_number(value) or not 0 <= value < 1:
        raise InvalidRequestError(f"{name} must be from 0 to below 1, not {value!r}")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
