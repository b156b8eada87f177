"""Places for calls in flight: who waits for one, and in which order."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

from nrm_async._limits.governor import Governor, Place

# Seconds by which the gate opens later than it was asked to, at most: clients that were sent
# away together do not all come back at the same moment.
_SPREAD: Final = 0.1

# Nobody asks again sooner: a timer may ring a little early, by the resolution of the clock.
_TICK: Final = 0.0001


class Pool:
    """At most ``max_concurrency`` calls in flight, and no more than the governor admits.

    Waiters are served in order, single calls before the items of batches.
    """

    def __init__(
        self,
        max_concurrency: int,
        max_rate: float | None = None,
        on_change: Callable[[int, float | None], None] = lambda _limit, _rate: None,
    ) -> None:
        self._governor = Governor(max_concurrency, max_rate)
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._ceiling = max_concurrency
        self._withheld = 0
        self._lines: tuple[deque[asyncio.Future[Place]], ...] = (deque(), deque())
        self._bell: asyncio.Handle | None = None
        self._rings_at = inf
        self._is_closing = False
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        return sum(not waiter.done() for line in self._lines for waiter in line)

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return max(1, min(self._governor.calls.limit, self._ceiling - self._withheld))

    @property
    def rate(self) -> float | None:
        """Calls per second that may start now; ``None`` where they are not spaced."""
        rate = self._governor.pace.rate(self._loop.time())
        return rate if rate < inf else None

    @property
    def opens_in(self) -> float:
        """Seconds until the gate opens; 0 if it is open."""
        return self._governor.opens_in(self._loop.time())

    def take_place(self) -> Place | None:
        """A place, if there is one and nobody waits for it."""
        return None if self._lines[0] or self._lines[1] else self._take()

    async def acquire(self, *, is_patient: bool = False) -> Place:
        """Wait for a place; the patient let the others go first."""
        if (place := self.take_place()) is not None:
            return place
        turn: asyncio.Future[Place] = self._loop.create_future()
        self._lines[is_patient].append(turn)
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had just become ours: on to the next
                self.release()
            raise

    def release(self) -> None:
        """Give a place back, and one that was withheld: things go well."""
        self.in_flight -= 1
        if self._withheld:
            self._withheld -= 1
        if self._lines[0] or self._lines[1]:
            self._serve()

    def withhold(self) -> None:
        """Keep a place back instead, but never the last: the machine is short of something."""
        self.in_flight -= 1
        self._withheld = min(self._withheld + 1, self._ceiling - 1)
        self._serve()

    def accepted(self, place: Place) -> None:
        """The call at this place was let in."""
        self._governor.accepted(self._loop.time(), place)

    def refused(self, place: Place, retry_after: float | None) -> bool:
        """The call at this place was turned away; whether that is news.

        Args:
            place: The place it had.
            retry_after: Seconds that the server asked to wait, if it did: the gate is shut for
                so long, for the whole client.
        """
        if retry_after is not None:
            retry_after += random.random() * _SPREAD  # noqa: S311 - no secret
        return self._governor.refused(self._loop.time(), place, retry_after)

    def close(self) -> None:
        """Let everybody go who waits: the client is closing, which they will see."""
        self._is_closing = True
        self._serve()

    def _serve(self) -> None:
        for line in self._lines:
            while line:
                if line[0].done():  # it has given up waiting
                    line.popleft()
                elif (place := self._take()) is not None:
                    line.popleft().set_result(place)
                else:
                    return

    def _take(self) -> Place | None:
        """A place, or ``None``; then the bell rings when it is time to ask again."""
        now = self._loop.time()
        if self._is_closing:
            place: Place | float = Place(now, self.in_flight + 1, is_last=False)
        elif self.in_flight >= self._ceiling - self._withheld:
            place = inf
        else:
            verdicts = self._governor.verdicts
            place = self._governor.admit(now, self.in_flight)
            if self._governor.verdicts != verdicts:
                self._on_change(self.limit, self.rate)
        if isinstance(place, Place):
            self.in_flight += 1
            return place
        if place < inf:
            self._ring_at(now + max(place, _TICK))
        return None

    def _ring_at(self, when: float) -> None:
        if self._bell is not None:
            if self._rings_at <= when:
                return
            self._bell.cancel()
        # The handle cannot be asked: uvloop's has no ``when`` where the wait rounds to nothing.
        self._bell, self._rings_at = self._loop.call_at(when, self._ring), when

    def _ring(self) -> None:
        self._bell = None
        self._serve()
