"""Waiting primitives: an interruptible sleep and a FIFO queue slot."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import anyio

T = TypeVar("T")

# A timer may fire early by the resolution of the clock. Waiting for the tiny remainder could then
# become a busy loop, so no wait is shorter than this.
MIN_SLEEP: Final = 0.001  # seconds

# The minimum wait between calls, short enough for ``max_rate=10_000``.
MIN_SPACING: Final = 0.0001  # seconds


async def sleep_until_set(event: asyncio.Event, seconds: float | None) -> bool:
    """Sleep until the event is set or the time is up; return whether the event is set.

    Args:
        event: The event that ends the sleep early.
        seconds: Maximum seconds to sleep; ``None`` for no limit.
    """
    with anyio.move_on_after(seconds):
        await event.wait()
    return event.is_set()


async def wait_turn(turn: "asyncio.Future[T]", pass_on: Callable[[], None]) -> T:
    """Wait for a turn in a queue, and return the result of its future.

    A waiter cancelled before its turn is skipped, since its future is done. A waiter cancelled
    after its turn has been granted, but before it runs again, must pass the turn on.

    Args:
        turn: The waiter's future; its result is set to grant the turn.
        pass_on: Passes the turn to the next waiter; called if this waiter is cancelled.
    """
    try:
        return await turn
    except asyncio.CancelledError:
        if turn.done() and not turn.cancelled():
            pass_on()
        raise
