"""Opening, closing, the tasks that must not outlive the client, and statistics."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Coroutine
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from nrm_async._limits import Breaker, ConcurrencyLimit
from nrm_async._session.network import Forks, Network, open_network
from nrm_async._session.state import CLOSED, OPEN_ALREADY, OTHER_LOOP, OTHER_PROCESS, ClientState
from nrm_async._transport import HTTPSession
from nrm_async.config import Settings
from nrm_async.errors import ClientStateError
from nrm_async.events import Events
from nrm_async.results import Outcome
from nrm_async.stats import BreakerState, ClientStats

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class Tally:
    """What has been counted so far."""

    attempts: int = 0
    retries: int = 0
    throttled: int = 0
    outcomes: Counter[Outcome] = attrs.field(factory=Counter)

    def correct(self, counted: int, attempts: int) -> None:
        """A call was counted with so many attempts, and had so many; the first is no retry."""
        self.attempts += attempts - counted
        self.retries += max(attempts, 1) - max(counted, 1)


# Over all clients, so that one observer may serve several of them.
_calls, _batches = itertools.count(1), itertools.count(1)


class Lifecycle:
    """Opening, closing, and what is counted in between."""

    def __init__(self, settings: Settings, lent: HTTPSession | None, events: Events) -> None:
        self.state = ClientState.UNOPENED
        self.events = events
        self.tally = Tally()
        self._settings = settings
        self._lent = lent
        self._network: Network | None = None
        self._counted: Network | None = None  # stays: with a lent session, calls outlive closing
        self._tasks: set[asyncio.Task[Any]] = set()

    def enter(self) -> None:
        """Open, for ``async with``.

        Raises:
            ClientStateError: It is open or closed already.
        """
        if self.state is ClientState.OPENED:
            raise ClientStateError(OPEN_ALREADY)
        self.network()

    def check_open(self) -> None:
        """Raise ``ClientStateError`` if it is closed."""
        if self.state is ClientState.CLOSED:
            raise ClientStateError(CLOSED)

    def network(self) -> Network:
        """What to send with, made on first use.

        Raises:
            ClientStateError: It is closed, or belongs to another event loop.
        """
        network = self._network
        if network is None:
            self.check_open()
            network = self._network = open_network(self._settings, self._lent, self.events)
            self._counted = network
            self.state = ClientState.OPENED
        elif not network.is_here:
            raise ClientStateError(OTHER_LOOP)
        elif network.forks != Forks.count:  # two would read from the same sockets
            raise ClientStateError(OTHER_PROCESS)
        return network

    def next_call(self) -> int:
        """A number for a call that is told of."""
        return next(_calls)

    def next_batch(self) -> int:
        """A number for a batch."""
        return next(_batches)

    def count(self, outcome: Outcome) -> None:
        """An action came to this."""
        self.tally.outcomes[outcome] += 1

    async def sleep(self, seconds: float) -> bool:
        """Wait, but not beyond the client's end; ``False`` if that came first."""
        return self.state is ClientState.OPENED and await self.network().sleep(seconds)

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task that does not outlive the client."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """End the tasks, then the connections. Safe to call twice, and in any event loop."""
        self.state = ClientState.CLOSED
        network, self._network = self._network, None
        if network is None:
            return
        if network.loop is not asyncio.get_running_loop():
            network.transport.drop()
            return
        network.closing.set()
        network.breaker.close()
        network.pool.close()
        try:
            await _cancelled(tuple(self._tasks))
        finally:
            await network.transport.aclose()

    def stats(self) -> ClientStats:
        """What the client is doing, and has done so far."""
        network, tally = self._counted, self.tally
        pool = None if network is None else network.pool
        return ClientStats(
            in_flight=0 if pool is None else pool.in_flight,
            waiting=0 if pool is None else pool.waiting,
            limit=self._first_limit if pool is None else pool.limit,
            rate=self._settings.max_rate if pool is None else pool.rate,
            gate=0.0 if pool is None else pool.opens_in,
            breaker=BreakerState.CLOSED if network is None else _state_of(network.breaker),
            attempts=tally.attempts,
            retries=tally.retries,
            throttled=tally.throttled,
            outcomes=MappingProxyType({outcome: tally.outcomes[outcome] for outcome in Outcome}),
        )

    @property
    def _first_limit(self) -> int:
        return min(ConcurrencyLimit.START, self._settings.max_concurrency)


def _state_of(breaker: Breaker) -> BreakerState:
    if not breaker.is_open:
        return BreakerState.CLOSED
    return BreakerState.PROBING if breaker.is_probing else BreakerState.OPEN


async def _cancelled(tasks: tuple["asyncio.Task[Any]", ...]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
