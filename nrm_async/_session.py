"""One client's life, and the loop that every request goes through: admit → send → read → decide.

A request and a function that reads its answer go in; a value, or the error it ended in, comes
out, with what it took. The network is opened by the first request, for the event loop that
runs it, and closed once.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable, Coroutine
from enum import Enum
from functools import partial
from typing import Any, Final, Generic, TypeVar

import anyio
import attrs

from nrm_async._flight import Flight
from nrm_async._limits import AniLocks, Breaker, Pool
from nrm_async._retry import Attempt, next_delay
from nrm_async._transport import HTTPSession, Transport
from nrm_async._wire import Request, Response, page_request, retry_after
from nrm_async.config import Settings
from nrm_async.errors import ClientStateError, NotSentError, NRMError, TransportError

T = TypeVar("T")

CLOSED: Final = "the client is closed: make a new one"
OPEN_ALREADY: Final = "the client is open already: enter it once, before its first call"
TOO_LATE: Final = "not sent: the deadline had passed"
OTHER_LOOP: Final = "the client belongs to another event loop: make one client for each loop"

OTHER_PROCESS: Final = "the client belongs to the process it was forked from: make a new one"

# Reading lost actions back takes at most a tenth of the pool from those still to be sent.
_CONFIRMING_SHARE: Final = 10


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


@attrs.frozen
class _Network:
    """What exists only inside an event loop."""

    loop: asyncio.AbstractEventLoop
    process: int
    closing: asyncio.Event
    pool: Pool
    breaker: Breaker
    anis: AniLocks
    confirming: anyio.Semaphore
    transport: Transport

    async def sleep(self, seconds: float) -> bool:
        """Wait, but not beyond the client's end; ``False`` if that came first."""
        with anyio.move_on_after(seconds):
            await self.closing.wait()
        return not self.closing.is_set()


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
            self.state = ClientState.OPENED
        elif self._network.loop is not loop:
            raise ClientStateError(OTHER_LOOP)
        elif self._network.process != os.getpid():  # two would read from the same sockets
            raise ClientStateError(OTHER_PROCESS)
        return self._network

    def _open(self, loop: asyncio.AbstractEventLoop) -> _Network:
        transport = Transport(self._settings, self._lent)
        # Nothing may queue inside aiohttp, where waiting would count as being slow.
        most = min(self._settings.max_concurrency, transport.most_connections or sys.maxsize)
        closing = asyncio.Event()
        return _Network(
            loop,
            process=os.getpid(),
            closing=closing,
            pool=Pool(most, self._settings.max_rate, closing),
            breaker=Breaker(most, closing),
            anis=AniLocks(),
            confirming=anyio.Semaphore(max(1, most // _CONFIRMING_SHARE), fast_acquire=True),
            transport=transport,
        )

    async def converse(
        self, request: Request, read: Callable[[Response], T | NRMError], flight: Flight
    ) -> Concluded[T]:
        """Send a request as often as it takes, and no more often than is safe."""
        network = self.network()
        started = network.loop.time()
        number = 0
        while True:
            number += 1
            value, wait = await self._attempt(network, request, read, flight)
            elapsed = network.loop.time() - started
            if not isinstance(value, NRMError):
                return Concluded(value, flight.attempts, elapsed)
            failed = Attempt(number, request.repeatable, value, wait, request.is_harmless_twice)
            delay = self._delay_after(failed, network, flight)
            if delay is None:
                error = value.at(request.method, request.path, flight.attempts, elapsed)
                return Concluded(error, flight.attempts, elapsed)
            flight.is_doubtful |= flight.is_exposed
            await network.sleep(delay)

    async def _attempt(
        self,
        network: _Network,
        request: Request,
        read: Callable[[Response], T | NRMError],
        flight: Flight,
    ) -> tuple[T | NRMError, float | None]:
        """One attempt: what it ended in, and the seconds the server asked to wait."""
        problem = await self._admit(network, flight)
        if problem is not None:
            return problem, None
        give_back = network.pool.release
        try:
            if (problem := self._not_now(network, flight)) is not None:
                return problem, None
            response = await network.transport.send(request, flight)
            if isinstance(response, NotSentError) and response.starved:
                give_back = network.pool.withhold
        finally:
            give_back()
        return self._read(network, response, read, flight)

    async def _admit(self, network: _Network, flight: Flight) -> NRMError | None:
        """Wait for the API to be there and for a place in the pool, until the deadline."""
        try:
            async with asyncio.timeout_at(flight.deadline):
                probe = partial(self._probe, network)
                if not await network.breaker.pass_through(probe, is_patient=flight.is_patient):
                    error = NotSentError("not sent: the API has not answered for some time")
                    error.permanent = flight.is_patient  # it was waited for long enough
                    return error
                await network.pool.acquire()
        except TimeoutError:
            return NotSentError(TOO_LATE)
        return None

    def _not_now(self, network: _Network, flight: Flight) -> NRMError | None:
        """What has come up while this one waited."""
        if self.state is ClientState.CLOSED:
            return ClientStateError(CLOSED)
        if flight.deadline is not None and network.loop.time() >= flight.deadline:
            return NotSentError(TOO_LATE)
        return flight.halted()

    def _read(
        self,
        network: _Network,
        response: Response | NRMError,
        read: Callable[[Response], T | NRMError],
        flight: Flight,
    ) -> tuple[T | NRMError, float | None]:
        if isinstance(response, NRMError):
            if self.state is ClientState.CLOSED:
                closed = f"the client was closed meanwhile: {response.message}"
                response.args = (closed, *response.args[1:])
            elif isinstance(response, TransportError):
                network.breaker.record(answered=False)
            return response, None
        network.breaker.record(answered=response.status < 500)
        value = read(response)
        if not isinstance(value, NRMError):
            return value, None
        flight.is_exposed = value.maybe_applied
        wait = retry_after(response)
        if response.status in (429, 503) and wait and wait <= self._settings.retry.max_retry_after:
            network.pool.close_for(wait)  # it is meant for the whole client
        return value, wait

    async def _probe(self, network: _Network) -> bool:
        """Whether the API is back; a read, never an action."""
        await network.pool.acquire()
        try:
            response = await network.transport.send(page_request(1, 1, None), Flight())
        finally:
            network.pool.release()
        return isinstance(response, Response) and response.status < 500

    def _delay_after(self, failed: Attempt, network: _Network, flight: Flight) -> float | None:
        if flight.is_single:
            return None
        left = None if flight.deadline is None else flight.deadline - network.loop.time()
        # Jitter needs no secrecy.
        return next_delay(failed, self._settings.retry, left, random.random())  # noqa: S311

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
        network.breaker.give_up()
        try:
            await _cancelled(tuple(self._tasks))
        finally:
            await network.transport.aclose()


async def _cancelled(tasks: tuple["asyncio.Task[Any]", ...]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
