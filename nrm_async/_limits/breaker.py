"""Whether the API is down, and who asks whether it is back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from nrm_async.errors import NRMError


def _now() -> float:
    return asyncio.get_running_loop().time()


# A run of failures this long, and at least two for each place of the pool, is an outage. Runs
# of independent faults are shorter: at 30 % of them, one in 10**10 is.
_OUTAGE_RUN: Final = 20

_FIRST_PROBE: Final = 0.5  # seconds after the breaker opened; then twice as long each time
_LONGEST_PROBE: Final = 15.0
_PATIENCE: Final = 900.0  # seconds; an outage that lasts longer is left to the caller
# Seconds; for an API that has not answered yet at all. Left alone for as long, it is tried anew.
_STRANGERS_PATIENCE: Final = 30.0

# Nobody sleeps for less: a timer may ring a little early, by the resolution of the clock.
_TICK: Final = 0.001


class Breaker:
    """Opens when an API that used to answer does not any more; a read finds out when it is back.

    An API that never answered is not in an outage: there, failing soon tells the caller more.
    """

    def __init__(
        self,
        max_concurrency: int,
        on_open: Callable[[int, NRMError | None], None] = lambda _failures, _error: None,
        on_close: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._on_open, self._on_close = on_open, on_close
        self._longest_run = max(_OUTAGE_RUN, 2 * max_concurrency)
        self._run = 0
        self._run_began = self._failed_at = 0.0
        self._has_answered = self._is_closing = False
        self._opened_at = self._probe_at = 0.0
        self._probe_delay = _FIRST_PROBE
        self._change = asyncio.Event()
        self.is_open = self.is_probing = False
        self.last_error: NRMError | None = None

    def answered(self) -> None:
        """An attempt was answered, by something that is not broken."""
        self._has_answered, self._run = True, 0
        if self.is_open:
            self.is_open = False
            self._tell()
            self._on_close(_now() - self._opened_at)

    def failed(self, error: NRMError | None = None) -> None:
        """An attempt was not answered, or with a 5xx."""
        self._failed_at = _now()
        self._run_began = self._run_began if self._run else self._failed_at
        self._run += 1
        self.last_error = error
        if self._has_answered and not self.is_open and self._run >= self._longest_run:
            self._open()

    def _open(self) -> None:
        self.is_open = True
        self._opened_at = _now()
        self._probe_delay = _FIRST_PROBE
        self._probe_at = self._opened_at + self._probe_delay
        self._on_open(self._run, self.last_error)

    def _tell(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    def lets_pass(self, *, is_patient: bool) -> bool:
        """Whether all is well, so that nobody has to wait or to ask."""
        if self._has_answered:
            return not self.is_open
        return not self.is_open and not (is_patient and self._is_nobody())

    async def pass_through(self, probe: Callable[[], Awaitable[bool]], *, is_patient: bool) -> bool:
        """Whether to go on: at once while all is well, else when the API is back.

        Those who are not patient are told ``False`` while it is down. One of those who come by
        asks, when it is time to, with ``probe``.
        """
        while self.is_open:
            if not self.is_probing and _now() >= self._probe_at:
                await self._ask(probe)
            elif not is_patient or self._is_hopeless():
                return False
            else:
                await self._wait()
        return not (is_patient and self._is_nobody())

    def _is_hopeless(self) -> bool:
        return self._is_closing or _now() - self._opened_at > _PATIENCE

    def _is_nobody(self) -> bool:
        """Whether many attempts for some time, and up to now, have not found anybody there."""
        if self._has_answered or self._run < self._longest_run:
            return False
        now = _now()
        is_recent = now - self._failed_at <= _STRANGERS_PATIENCE
        return is_recent and now - self._run_began > _STRANGERS_PATIENCE

    def close(self) -> None:
        """Tell those who wait that the client is closing."""
        self._is_closing = True
        self._tell()

    async def _ask(self, probe: Callable[[], Awaitable[bool]]) -> None:
        self.is_probing = True
        try:
            if await probe():
                self.answered()
        finally:
            self.is_probing = False
            self._probe_delay = min(2 * self._probe_delay, _LONGEST_PROBE)
            self._probe_at = _now() + self._probe_delay
            self._tell()

    async def _wait(self) -> None:
        delay = max(self._probe_at - _now(), _TICK) if not self.is_probing else None
        with anyio.move_on_after(delay):
            await self._change.wait()
