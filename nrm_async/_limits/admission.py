"""Admission queue: permits for calls in flight, and the calls waiting for one."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

from nrm_async._limits.adaptive import AdaptiveLimiter, Permit
from nrm_async._limits.waiting import MIN_SPACING, wait_turn

# Maximum random delay, in seconds, added to the wait that the server requests, so that clients
# refused together do not all return at the same moment.
_JITTER: Final = 0.1


class AdmissionQueue:
    """Queue that admits calls within ``max_concurrency`` and the adaptive limits.

    Waiters are served in order, single calls before batch items.
    """

    def __init__(
        self,
        max_concurrency: int,
        max_rate: float | None = None,
        on_change: Callable[[int, float | None], None] = lambda _limit, _rate: None,
    ) -> None:
        self._limiter = AdaptiveLimiter(max_concurrency, max_rate)
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._ceiling = max_concurrency
        self._withheld = 0
        # Waiters for single calls, and waiters for batch items.
        self._waiters: tuple[deque[asyncio.Future[Permit]], ...] = (deque(), deque())
        self._wake_timer: asyncio.Handle | None = None
        self._wakes_at = inf
        self._is_closing = False
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        """Number of calls waiting for a permit."""
        return sum(not waiter.done() for waiters in self._waiters for waiter in waiters)

    @property
    def limit(self) -> int:
        """Current limit on calls in flight."""
        concurrency = self._limiter.concurrency_limit.limit
        return max(1, min(concurrency, self._ceiling - self._withheld))

    @property
    def rate(self) -> float | None:
        """Current limit on calls per second; ``None`` for no limit."""
        rate = self._limiter.rate_limit.rate(self._loop.time())
        return rate if rate < inf else None

    @property
    def opens_in(self) -> float:
        """Seconds until the gate opens; 0 if it is open."""
        return self._limiter.opens_in(self._loop.time())

    def acquire_nowait(self) -> Permit | None:
        """Return a permit, or ``None`` if none is available or other calls are waiting."""
        return None if self._waiters[0] or self._waiters[1] else self._try_acquire()

    async def acquire(self, *, is_bulk: bool = False) -> Permit:
        """Wait for a permit.

        Args:
            is_bulk: Whether the call is a batch item; single calls are served first.
        """
        if (permit := self.acquire_nowait()) is not None:
            return permit
        turn: asyncio.Future[Permit] = self._loop.create_future()
        self._waiters[is_bulk].append(turn)
        self._serve()
        return await wait_turn(turn, self.release)

    def release(self) -> None:
        """Return a permit, and restore one permit withheld by ``shrink``."""
        self.in_flight -= 1
        if self._withheld:
            self._withheld -= 1
        if self._waiters[0] or self._waiters[1]:
            self._serve()

    def shrink(self) -> None:
        """Withhold a permit because a resource ran out; never withhold the last one."""
        self.in_flight -= 1
        self._withheld = min(self._withheld + 1, self._ceiling - 1)
        self._serve()

    def accepted(self, permit: Permit) -> None:
        """Record that the server accepted the call."""
        self._limiter.accepted(self._loop.time(), permit)

    def refused(self, permit: Permit, retry_after: float | None) -> bool:
        """Record that the server refused the call; return whether a congestion event starts.

        Args:
            permit: The permit of the refused call.
            retry_after: Seconds to wait as requested by the server, or ``None``. The wait
                applies to the whole client.
        """
        if retry_after is not None:
            retry_after += random.random() * _JITTER  # noqa: S311 - jitter is not security-sensitive
        return self._limiter.refused(self._loop.time(), permit, retry_after)

    def close(self) -> None:
        """Admit all waiters because the client is closing; each waiter checks for that."""
        self._is_closing = True
        self._serve()

    def _serve(self) -> None:
        for waiters in self._waiters:
            while waiters:
                if waiters[0].done():  # cancelled
                    waiters.popleft()
                elif (permit := self._try_acquire()) is not None:
                    waiters.popleft().set_result(permit)
                else:
                    return

    def _try_acquire(self) -> Permit | None:
        """Return a permit, or ``None`` after arming the wake-up timer."""
        now = self._loop.time()
        if self._is_closing:
            permit: Permit | float = Permit(now, self.in_flight + 1, is_last=False)
        elif self.in_flight >= self._ceiling - self._withheld:
            permit = inf
        else:
            decisions = self._limiter.decisions
            permit = self._limiter.admit(now, self.in_flight)
            if self._limiter.decisions != decisions:
                self._on_change(self.limit, self.rate)
        if isinstance(permit, Permit):
            self.in_flight += 1
            return permit
        if permit < inf:
            self._wake_at(now + max(permit, MIN_SPACING))
        return None

    def _wake_at(self, when: float) -> None:
        if self._wake_timer is not None:
            if self._wakes_at <= when:
                return
            self._wake_timer.cancel()
        # Stored separately: uvloop's handle has no ``when()`` if the wait rounds to zero.
        self._wake_timer, self._wakes_at = self._loop.call_at(when, self._wake), when

    def _wake(self) -> None:
        self._wake_timer = None
        self._serve()
