"""Waiting happens here, and nowhere else: one pool per client, in front of the network.

Whatever the client sends, a page, a single action or a batch item, is admitted by the pool
first, so the ceiling holds for all of them together and nothing queues further down. The clock
of an attempt starts after admission.

::

    Pool       places for requests in flight; the gate that a Retry-After closes for everybody;
               fewer places while the machine is out of file descriptors
    Pacer      places in time, for a rate that is not to be exceeded
    Breaker    whether the API is down, and who asks whether it is back
    AniLocks   one action at a time on each number
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import anyio


def _now() -> float:
    return asyncio.get_running_loop().time()


class Pacer:
    """At most ``rate`` admissions a second, evenly spaced, from the first one on: no bursts."""

    def __init__(self, rate: float, closing: asyncio.Event | None = None) -> None:
        self._closing = closing or asyncio.Event()
        self._interval = 1.0 / rate
        self._next = 0.0
        self._line = anyio.Lock(fast_acquire=True)

    async def wait(self) -> None:
        """Wait for a place in time; who gives up waiting takes none."""
        async with self._line:
            delay = self._next - _now()
            if delay > 0:
                with anyio.move_on_after(delay):
                    await self._closing.wait()
            self._next = max(self._next, _now()) + self._interval


# Seconds over which waiters come back after the gate has opened, so that they do not all come
# at the same moment.
_SPREAD: Final = 0.1


class Pool:
    """At most ``max_concurrency`` requests in flight; the others wait in order."""

    def __init__(
        self,
        max_concurrency: int,
        max_rate: float | None = None,
        closing: asyncio.Event | None = None,
    ) -> None:
        self._closing = closing or asyncio.Event()
        self._places = anyio.Semaphore(max_concurrency, fast_acquire=True)
        self._pacer = None if max_rate is None else Pacer(max_rate, self._closing)
        self._opens_at = 0.0
        self._withheld = 0
        self._most_withheld = max_concurrency - 1

    async def acquire(self) -> None:
        """Wait for a place, for the gate, and for a place in time."""
        await self._places.acquire()
        try:
            await self._pass_gate()
            while self._pacer is not None:
                await self._pacer.wait()
                if not self._is_shut():
                    break
                await self._pass_gate()  # it was shut while this one waited for its time
        except BaseException:  # cancelled while waiting: the place must not be lost
            self._places.release()
            raise

    def _is_shut(self) -> bool:
        return self._opens_at > _now() and not self._closing.is_set()

    async def _pass_gate(self) -> None:
        while self._is_shut():
            delay = self._opens_at - _now()
            with anyio.move_on_after(delay + random.random() * _SPREAD):  # noqa: S311 - no secret
                await self._closing.wait()

    def release(self) -> None:
        """Give a place back, and one that was withheld: things go well."""
        self._places.release()
        if self._withheld:
            self._withheld -= 1
            self._places.release()

    def withhold(self) -> None:
        """Keep a place back instead, but never the last: the machine is short of something."""
        if self._withheld < self._most_withheld:
            self._withheld += 1
        else:
            self._places.release()

    def close_for(self, seconds: float) -> None:
        """Shut the gate: nobody is admitted for so long."""
        self._opens_at = max(self._opens_at, _now() + seconds)


# A run of failures this long, and at least two for each place of the pool, is an outage. Runs
# of independent faults are shorter: at 30 % of them, one in 10**10 is.
_OUTAGE_RUN: Final = 20

_FIRST_PROBE: Final = 0.5  # seconds after the breaker opened; then twice as long each time
_LONGEST_PROBE: Final = 15.0
_PATIENCE: Final = 900.0  # seconds; an outage that lasts longer is left to the caller


class Breaker:
    """Opens when an API that used to answer does not any more; a read finds out when it is back.

    An API that never answered is not in an outage: there, failing soon tells the caller more.
    """

    def __init__(self, max_concurrency: int, closing: asyncio.Event | None = None) -> None:
        self._closing = closing or asyncio.Event()
        self._longest_run = max(_OUTAGE_RUN, 2 * max_concurrency)
        self._run = 0
        self._has_answered = False
        self._opened_at = 0.0
        self._probe_at = 0.0
        self._probe_delay = _FIRST_PROBE
        self._is_probing = False
        self._change = asyncio.Event()
        self.is_open = False

    def record(self, *, answered: bool) -> None:
        """Take note of how an attempt went."""
        if answered:
            self._has_answered, self._run = True, 0
            self._close()
        else:
            self._run += 1
            if self._has_answered and not self.is_open and self._run >= self._longest_run:
                self._open()

    def _open(self) -> None:
        self.is_open = True
        self._opened_at = _now()
        self._probe_delay = _FIRST_PROBE
        self._probe_at = self._opened_at + self._probe_delay

    def _close(self) -> None:
        self.is_open = False
        self._tell()

    def _tell(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def pass_through(self, probe: Callable[[], Awaitable[bool]], *, is_patient: bool) -> bool:
        """Whether to go on: at once while all is well, else when the API is back.

        Those who are not patient are told ``False`` while it is down. One of those who come by
        asks, when it is time to, with ``probe``.
        """
        while self.is_open:
            if not self._is_probing and _now() >= self._probe_at:
                await self._ask(probe)
            elif not is_patient or self._is_hopeless():
                return False
            else:
                await self._wait()
        return True

    def _is_hopeless(self) -> bool:
        return self._closing.is_set() or _now() - self._opened_at > _PATIENCE

    def give_up(self) -> None:
        """Tell those who wait that the client is closing."""
        self._tell()

    async def _ask(self, probe: Callable[[], Awaitable[bool]]) -> None:
        self._is_probing = True
        try:
            if await probe():
                self.record(answered=True)
        finally:
            self._is_probing = False
            self._probe_delay = min(2 * self._probe_delay, _LONGEST_PROBE)
            self._probe_at = _now() + self._probe_delay
            self._tell()

    async def _wait(self) -> None:
        delay = max(self._probe_at - _now(), 0) if not self._is_probing else None
        with anyio.move_on_after(delay):
            await self._change.wait()


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
