"""What exists only inside an event loop: limits, locks, the transport."""

import asyncio
import os
import sys
import threading
from typing import Final

import anyio
import attrs

from nrm_async._limits import AniLocks, Breaker, Pool, RetryBudget
from nrm_async._transport import HTTPSession, Transport
from nrm_async.config import Settings
from nrm_async.errors import NRMError
from nrm_async.events import BreakerClosed, BreakerOpened, Events, LimitsChanged

# Reading lost actions back takes at most a tenth of the pool from those still to be sent.
_CONFIRMING_SHARE: Final = 10


class Forks:
    """How often this process is the child of a fork; asking costs no system call."""

    count = 0

    @classmethod
    def add(cls) -> None:
        """This process has just been forked off."""
        cls.count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Forks.add)


@attrs.frozen(eq=False, repr=False)
class Network:
    """What exists only inside an event loop."""

    loop: asyncio.AbstractEventLoop
    thread: int
    forks: int
    closing: asyncio.Event
    pool: Pool
    breaker: Breaker
    budget: RetryBudget
    anis: AniLocks
    confirming: anyio.Semaphore
    transport: Transport

    @property
    def is_here(self) -> bool:
        """Whether its event loop is the one that runs here.

        Of the loops of a thread one runs at a time. ``asyncio.get_running_loop`` says the same,
        for a system call each time (CPython 3.11).
        """
        return self.loop.is_running() and self.thread == threading.get_ident()

    async def sleep(self, seconds: float) -> bool:
        """Wait, but not beyond the client's end; ``False`` if that came first."""
        with anyio.move_on_after(seconds):
            await self.closing.wait()
        return not self.closing.is_set()


def open_network(settings: Settings, lent: HTTPSession | None, events: Events) -> Network:
    """Make what this event loop needs."""
    transport = Transport(settings, lent)
    # Nothing may queue inside aiohttp, where waiting would count as being slow.
    most = min(settings.max_concurrency, transport.most_connections or sys.maxsize)
    closing = asyncio.Event()

    def changed(limit: int, rate: float | None) -> None:
        events.emit(LimitsChanged(limit=limit, rate=rate))

    def opened(failures: int, error: NRMError | None) -> None:
        events.emit(BreakerOpened(failures=failures, error=error))

    def closed(elapsed: float) -> None:
        events.emit(BreakerClosed(elapsed=elapsed))

    return Network(
        loop=asyncio.get_running_loop(),
        thread=threading.get_ident(),
        forks=Forks.count,
        closing=closing,
        pool=Pool(most, settings.max_rate, changed),
        breaker=Breaker(most, opened, closed),
        budget=RetryBudget(closing),
        anis=AniLocks(),
        confirming=anyio.Semaphore(max(1, most // _CONFIRMING_SHARE), fast_acquire=True),
        transport=transport,
    )
