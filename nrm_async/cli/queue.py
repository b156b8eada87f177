"""Inputs on their way to a batch; what it did not begin when it was cut off is still there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeAlias

import attrs

from nrm_async import NRMError
from nrm_async.cli.numbers import Numbers
from nrm_async.files import BadInput
from nrm_async.files.actions import AnyAction

Input: TypeAlias = AnyAction | BadInput


@attrs.define(eq=False)
class Queue(AsyncIterator[Input]):
    """The inputs, read as they are asked for; cancelling who waits for one takes none away.

    Attributes:
        numbers: Those given, and those of standard input.
        made: Makes an input of such a number.
        listed: The inputs of a file, which come after them.
        unknown: How many actions of a report are left out because they may have been applied.
    """

    numbers: Numbers
    made: Callable[[str], Input]
    listed: Iterator[Input]
    unknown: int = 0
    _returned: list[Input] = attrs.field(factory=list, init=False)

    async def __anext__(self) -> Input:
        if self._returned:
            return self._returned.pop()
        async for number in self.numbers:
            return self.made(number)
        for item in self.listed:
            return item
        raise StopAsyncIteration

    def give_back(self, item: Input) -> None:
        """Put it in front of the others again."""
        self._returned.append(item)

    async def drain(self, into: list[Input], patience: float) -> bool:
        """Take all that is left, and say whether that was all there will be.

        Standard input may stay open and silent: it is given this many seconds. If it ends only
        now, that is no proof: Ctrl-C ends what writes into a pipe as well.
        """
        is_certain = self.numbers.has_certain_end()
        try:
            async with asyncio.timeout(patience):
                async for item in self:
                    into.append(item)  # noqa: PERF401 - what came before a time-out stays
        except (OSError, NRMError, asyncio.CancelledError):  # a TimeoutError is an OSError
            into.extend(self.listed)  # a file that comes after an input which stays open
            return False
        return is_certain
