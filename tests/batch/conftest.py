"""Fakes for the tests of batches: calls that apply every action without a network."""

import asyncio

import attrs

from nrm_async import CallResult, Outcome, Pause, Receipt, Succeeded
from nrm_async._context import CallContext
from nrm_async.actions import Action

ANIS = [str(2_000_000_000 + number) for number in range(100)]
PAUSES = [Pause(ani) for ani in ANIS]


@attrs.define
class FakeCall:
    """Applies every action and records how it was called."""

    order: list[int] = attrs.field(factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    most_tasks: int = 0

    async def __call__(
        self, index: int, item: object, action: Action, context: CallContext
    ) -> CallResult:
        context.attempts += 1
        self.order.append(index)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()) - 1)
        try:
            await self.exchange(index)
        finally:
            self.in_flight -= 1
        return Succeeded(
            index=index,
            input=item,
            action=action,
            outcome=Outcome.APPLIED,
            attempts=1,
            receipt=Receipt(action.ani, "paused"),
        )

    async def exchange(self, index: int) -> None:
        await asyncio.sleep(0)


class ReversedCall(FakeCall):
    """Completes the last input first."""

    async def exchange(self, index: int) -> None:
        await asyncio.sleep(1000 - index)
