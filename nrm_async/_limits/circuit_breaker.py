"""Circuit breaker: outage detection, and probes for recovery."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from nrm_async._limits.waiting import MIN_SLEEP, sleep_until_set
from nrm_async.errors import NRMError


def _now() -> float:
    return asyncio.get_running_loop().time()


# Consecutive failures that indicate an outage; at high concurrency, two per call in flight. Runs of
# independent failures are shorter: if 30 % of attempts fail, one run in 10**10 is that long.
_OUTAGE_RUN: Final = 20

_FIRST_PROBE: Final = 0.5  # seconds until the first probe; the interval then doubles
_MAX_PROBE_INTERVAL: Final = 15.0  # seconds
_MAX_OUTAGE: Final = 900.0  # seconds that batch items wait for the API to recover
# Seconds for which batches keep trying a host that has never responded. After a pause of the same
# length, the host is tried again.
_NEVER_ANSWERED: Final = 30.0


class CircuitBreaker:
    """Circuit breaker that opens when the API stops responding and closes when it recovers.

    While the breaker is open, one call at a time sends a probe (a read request) at growing
    intervals. The breaker does not open for an API that has never responded, because failing
    early is then more useful to the caller.
    """

    def __init__(
        self,
        max_concurrency: int,
        on_open: Callable[[int, NRMError | None], None] = lambda _failures, _error: None,
        on_close: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._on_open, self._on_close = on_open, on_close
        self._threshold = max(_OUTAGE_RUN, 2 * max_concurrency)
        self._failures = 0
        self._first_failure = self._last_failure = 0.0
        self._has_answered = self._is_closing = False
        self._opened_at = self._probe_at = 0.0
        self._probe_interval = _FIRST_PROBE
        self._change = asyncio.Event()
        self.is_open = self.is_probing = False
        self.last_error: NRMError | None = None

    def answered(self) -> None:
        """Record a response other than a 5xx, and close the breaker."""
        self._has_answered, self._failures = True, 0
        if self.is_open:
            self.is_open = False
            self._wake_waiters()
            self._on_close(_now() - self._opened_at)

    def failed(self, error: NRMError | None = None) -> None:
        """Record a 5xx or a missing response; open the breaker after enough of them in a row."""
        self._last_failure = _now()
        if not self._failures:
            self._first_failure = self._last_failure
        self._failures += 1
        self.last_error = error
        if self._has_answered and not self.is_open and self._failures >= self._threshold:
            self._open()

    def _open(self) -> None:
        self.is_open = True
        self._opened_at = _now()
        self._probe_interval = _FIRST_PROBE
        self._probe_at = self._opened_at + self._probe_interval
        self._on_open(self._failures, self.last_error)

    def _wake_waiters(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    def allows(self, *, is_bulk: bool) -> bool:
        """Return whether a call may proceed without waiting or probing."""
        if self._has_answered:
            return not self.is_open
        return not self.is_open and not (is_bulk and self._never_reached())

    async def wait_until_closed(
        self, probe: Callable[[], Awaitable[bool]], *, is_bulk: bool
    ) -> bool:
        """Wait while the API is down; return whether the call may proceed.

        Args:
            probe: Sends a read request and returns whether the API has recovered. The first
                call to arrive when a probe is due runs it.
            is_bulk: Whether the call is a batch item, which waits for up to 15 minutes. A single
                call does not wait, and may proceed only if its own probe succeeds.
        """
        while self.is_open:
            now = _now()
            if not self.is_probing and now >= self._probe_at:
                await self._probe(probe)
            elif not is_bulk or self._is_closing or now - self._opened_at > _MAX_OUTAGE:
                return False
            else:
                wait = None if self.is_probing else max(self._probe_at - now, MIN_SLEEP)
                await sleep_until_set(self._change, wait)
        return not (is_bulk and self._never_reached())

    def _never_reached(self) -> bool:
        """Return whether enough recent attempts have failed and the host has never responded."""
        if self._has_answered or self._failures < self._threshold:
            return False
        now = _now()
        is_recent = now - self._last_failure <= _NEVER_ANSWERED
        return is_recent and now - self._first_failure > _NEVER_ANSWERED

    def close(self) -> None:
        """End all waits because the client is closing."""
        self._is_closing = True
        self._wake_waiters()

    async def _probe(self, probe: Callable[[], Awaitable[bool]]) -> None:
        self.is_probing = True
        try:
            if await probe():
                self.answered()
        finally:
            self.is_probing = False
            self._probe_interval = min(2 * self._probe_interval, _MAX_PROBE_INTERVAL)
            self._probe_at = _now() + self._probe_interval
            self._wake_waiters()
