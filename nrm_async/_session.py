"""One client's life, and the loop that every request goes through: admit → send → read → decide.

A request and a function that reads its answer go in; a value, or the error it ended in, comes
out, with what it took. The network is opened by the first request, for the event loop that
runs it, and closed once.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs

from nrm_async._limits import Pool
from nrm_async._retry import Attempt, next_delay
from nrm_async._transport import HTTPSession, Transport
from nrm_async._wire import Request, Response, retry_after
from nrm_async.config import Settings
from nrm_async.errors import ClientStateError, NRMError

T = TypeVar("T")

CLOSED: Final = "the client is closed: make a new one"
OPEN_ALREADY: Final = "the client is open already: enter it once, before its first call"
OTHER_LOOP: Final = "the client belongs to another event loop: make one client for each loop"


class ClientState(Enum):
    """Where a client is in its life; it only ever moves forward."""

    UNOPENED = "unopened"
    OPENED = "opened"
    CLOSED = "closed"


@attrs.frozen
class Concluded(Generic[T]):
    """How a call ended: its value or its error, after so many attempts and seconds."""

    value: T | NRMError
    attempts: int
    elapsed: float

    def value_or_raise(self) -> T:
        if isinstance(self.value, NRMError):
            raise self.value
        return self.value


@attrs.frozen
class _Network:
    """What exists only inside an event loop."""

    loop: asyncio.AbstractEventLoop
    pool: Pool
    transport: Transport


class Session:
    """Lifecycle, and the one way for a request to reach the API."""

    def __init__(self, settings: Settings, lent: HTTPSession | None) -> None:
        self.state = ClientState.UNOPENED
        self._settings = settings
        self._lent = lent
        self._network: _Network | None = None
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

    def network(self) -> _Network:
        """What to send with, made on first use.

        Raises:
            ClientStateError: It is closed, or belongs to another event loop.
        """
        self.check_open()
        loop = asyncio.get_running_loop()
        if self._network is None:
            self._network = self._open(loop)
        elif self._network.loop is not loop:
            raise ClientStateError(OTHER_LOOP)
        return self._network

    def _open(self, loop: asyncio.AbstractEventLoop) -> _Network:
        self.state = ClientState.OPENED
        pool = Pool(self._settings.max_concurrency, self._settings.max_rate)
        return _Network(loop, pool, Transport(self._settings, self._lent))

    async def converse(
        self, request: Request, read: Callable[[Response], T | NRMError]
    ) -> Concluded[T]:
        """Send a request as often as it takes, and no more often than is safe."""
        network = self.network()
        started = network.loop.time()
        attempts = 0
        while True:
            attempts += 1
            value, wait = await self._attempt(network, request, read)
            elapsed = network.loop.time() - started
            if not isinstance(value, NRMError):
                return Concluded(value, attempts, elapsed)
            failed = Attempt(attempts, request.repeatable, value, elapsed, wait)
            delay = self._delay_after(failed)
            if delay is None:
                error = value.at(request.method, request.path, attempts, elapsed)
                return Concluded(error, attempts, elapsed)
            await anyio.sleep(delay)

    async def _attempt(
        self, network: _Network, request: Request, read: Callable[[Response], T | NRMError]
    ) -> tuple[T | NRMError, float | None]:
        async with network.pool:
            if self.state is ClientState.CLOSED:  # while this one waited
                return ClientStateError(CLOSED), None
            response = await network.transport.send(request)
        if isinstance(response, NRMError):
            return response, None
        value = read(response)
        return value, retry_after(response) if isinstance(value, NRMError) else None

    def _delay_after(self, failed: Attempt) -> float | None:
        settings = self._settings
        # Jitter needs no secrecy.
        draw = random.random()  # noqa: S311
        return next_delay(failed, settings.retry, settings.timeouts.call, draw)

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
        await _cancelled(tuple(self._tasks))
        await network.transport.aclose()


async def _cancelled(tasks: tuple["asyncio.Task[Any]", ...]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
