"""Lock that allows one action at a time on each number."""

import asyncio
from collections import deque
from functools import partial

from nrm_async._limits.waiting import wait_turn


class KeyedLock:
    """One lock per number, with waiters served in order."""

    def __init__(self) -> None:
        # A number is a key while it is locked; its queue is created when a second call waits.
        self._waiters: dict[str, deque[asyncio.Future[None]] | None] = {}

    def try_acquire(self, ani: str) -> bool:
        """Lock the number if it is free; return whether it was locked."""
        if ani in self._waiters:
            return False
        self._waiters[ani] = None
        return True

    async def acquire(self, ani: str) -> None:
        """Lock the number, waiting behind earlier callers if necessary."""
        if self.try_acquire(ani):
            return
        queue = self._waiters[ani]
        if queue is None:
            queue = self._waiters[ani] = deque()
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await wait_turn(turn, partial(self.release, ani))
        except asyncio.CancelledError:
            if turn in queue:  # else a release has skipped it since
                queue.remove(turn)
            raise

    def release(self, ani: str) -> None:
        """Unlock the number, or pass the lock to the next waiter."""
        queue = self._waiters[ani]
        while queue:
            turn = queue.popleft()
            if not turn.done():  # otherwise it was cancelled
                turn.set_result(None)
                return
        del self._waiters[ani]
