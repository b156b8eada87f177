"""One action at a time on each number."""

import asyncio
from collections import deque


class AniLocks:
    """One action at a time on each number; the next in line comes when the first is decided."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    async def acquire(self, ani: str) -> None:
        """Wait for the number; waiters are served in order."""
        line = self._lines.get(ani)
        if line is None:
            self._lines[ani] = deque()
            return
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
