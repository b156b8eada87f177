"""One action at a time on each number."""

import asyncio
from collections import deque


class AniLocks:
    """One action at a time on each number; the next in line comes when the first is decided."""

    def __init__(self) -> None:
        # The numbers that are held; and who waits for them, where anybody does.
        self._lines: dict[str, deque[asyncio.Future[None]] | None] = {}

    def take(self, ani: str) -> bool:
        """Take the number if nobody has it."""
        if ani in self._lines:
            return False
        self._lines[ani] = None
        return True

    async def acquire(self, ani: str) -> None:
        """Wait for the number; waiters are served in order."""
        if self.take(ani):
            return
        line = self._lines[ani]
        if line is None:
            line = self._lines[ani] = deque()
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(ani)  # it had just become ours: on to the next
            elif turn in line:  # not passed over by a release since it was cancelled
                line.remove(turn)
            raise

    def release(self, ani: str) -> None:
        """Give the number to the next in line."""
        line = self._lines[ani]
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._lines[ani]
