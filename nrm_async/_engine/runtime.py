"""The state, limits, transport and tasks of one client.

The first call opens the client and binds it to its event loop: limits, locks and the transport
can only exist inside a loop. Using the client from another loop or after a fork is an error,
because two readers would share one socket.
"""

import asyncio
import itertools
import os
import threading
from collections import Counter
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Final, TypeVar

import anyio
import attrs

from nrm_async._limits import (
    AdmissionQueue,
    CircuitBreaker,
    ConcurrencyLimit,
    KeyedLock,
    RetryBudget,
    sleep_until_set,
)
from nrm_async._transport import HTTPSession, HTTPTransport, Transport
from nrm_async._values import FrozenMapping
from nrm_async.config import Settings
from nrm_async.errors import ClientStateError, NotSentError, NRMError
from nrm_async.events import BreakerClosed, BreakerOpened, Events, LimitsChanged
from nrm_async.results import Outcome
from nrm_async.stats import BreakerState, ClientStats

T = TypeVar("T")

CLOSED: Final = "the client is closed: create a new one"
_ALREADY_OPEN: Final = "the client is already open: enter it once, before its first call"
_OTHER_LOOP: Final = "the client belongs to another event loop: create one client per loop"
_OTHER_PROCESS: Final = "the client belongs to the parent process: create a new one after a fork"
TOO_LATE: Final = "not sent: the deadline had passed"

# Reading numbers back uses at most a tenth of the pool, so that it does not delay new actions.
_CONFIRMING_SHARE: Final = 10


class ClientState(Enum):
    """Lifecycle state of a client; a closed client cannot be reopened."""

    UNOPENED = "unopened"
    OPENED = "opened"
    CLOSED = "closed"


class _ForkCounter:
    """Counter of forks; comparing it is cheaper than a system call per check."""

    count = 0

    @classmethod
    def add(cls) -> None:
        cls.count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ForkCounter.add)


@attrs.define(eq=False, repr=False)
class Counters:
    """Totals since the client was created."""

    attempts: int = 0
    retries: int = 0
    throttled: int = 0
    outcomes: Counter[Outcome] = attrs.field(factory=Counter)

    def correct(self, counted: int, attempts: int) -> None:
        """Replace the counted attempts of a call with the actual number."""
        self.attempts += attempts - counted
        self.retries += max(attempts, 1) - max(counted, 1)


# Numbers are unique across clients, so that several clients can share one observer.
_call_numbers, _batch_numbers = itertools.count(1), itertools.count(1)


class Runtime:
    """State, limits, transport and tasks of one client.

    ``transport`` and the attributes after it exist from the first call on, and may be used only
    in the event loop of that call.

    Attributes:
        state: Unopened, opened or closed.
        settings: The client's settings.
        events: Emitter of events.
        counters: Totals for ``stats()``.
        transport: Transport that sends requests.
        loop: The event loop of the first call.
        queue: Queue that admits requests within the limits.
        breaker: Circuit breaker that stops requests while the API is down.
        retry_budget: Limit of retries per second.
        number_locks: Locks that allow one action at a time on each number.
        confirming: Semaphore that limits how many lost actions are read back concurrently.
    """

    transport: Transport
    loop: asyncio.AbstractEventLoop
    queue: AdmissionQueue
    breaker: CircuitBreaker
    retry_budget: RetryBudget
    number_locks: KeyedLock
    confirming: anyio.Semaphore

    def __init__(
        self,
        settings: Settings,
        events: Events,
        session: HTTPSession | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.state = ClientState.UNOPENED
        self.settings = settings
        self.events = events
        self.counters = Counters()
        self._session = session
        self._given_transport = transport
        self._is_built = False
        self._thread = self._forks = 0
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __deepcopy__(self, memo: object) -> "Runtime":
        raise TypeError("a client cannot be copied: create another one")

    def enter(self) -> None:
        """Open the client for ``async with``.

        Raises:
            ClientStateError: The client is already open or closed.
        """
        if self.state is ClientState.OPENED:
            raise ClientStateError(_ALREADY_OPEN)
        self.open()

    def open(self) -> None:
        """Open the client on first use; afterwards check that it may be used here.

        Raises:
            ClientStateError: The client is closed, or belongs to another loop or process.
        """
        if self.state is not ClientState.OPENED:
            self.check_open()
            self._build()
        # Only one loop runs in a thread at a time, so this is equivalent to calling
        # ``asyncio.get_running_loop``, but without its system call (CPython 3.11).
        elif not (self.loop.is_running() and self._thread == threading.get_ident()):
            raise ClientStateError(_OTHER_LOOP)
        elif self._forks != _ForkCounter.count:
            raise ClientStateError(_OTHER_PROCESS)

    def check_open(self) -> None:
        """Raise ``ClientStateError`` if the client is closed."""
        if self.state is ClientState.CLOSED:
            raise ClientStateError(CLOSED)

    def _build(self) -> None:
        settings, events = self.settings, self.events
        transport = self._given_transport
        if transport is None:
            transport = HTTPTransport(settings, self._session)
        self.transport = transport
        # Requests must not queue inside aiohttp, where the limiter would count the wait as latency.
        most = settings.max_concurrency
        if transport.most_connections is not None:
            most = max(1, min(most, transport.most_connections))

        def limits_changed(limit: int, rate: float | None) -> None:
            events.emit(LimitsChanged(limit=limit, rate=rate))

        def breaker_opened(failures: int, error: NRMError | None) -> None:
            events.emit(BreakerOpened(failures=failures, error=error))

        def breaker_closed(elapsed: float) -> None:
            events.emit(BreakerClosed(elapsed=elapsed))

        self.loop = asyncio.get_running_loop()
        self._thread, self._forks = threading.get_ident(), _ForkCounter.count
        self.queue = AdmissionQueue(most, settings.max_rate, limits_changed)
        self.breaker = CircuitBreaker(most, breaker_opened, breaker_closed)
        self.retry_budget = RetryBudget(self._closing)
        self.number_locks = KeyedLock()
        self.confirming = anyio.Semaphore(max(1, most // _CONFIRMING_SHARE), fast_acquire=True)
        self._is_built = True
        self.state = ClientState.OPENED

    async def aclose(self) -> None:
        """Cancel the tasks, then close the connections.

        May be called more than once. In another event loop or a forked process, close without
        waiting.
        """
        was_open = self.state is ClientState.OPENED
        self.state = ClientState.CLOSED
        if not was_open:
            return
        if self._forks != _ForkCounter.count or self.loop is not asyncio.get_running_loop():
            self.transport.drop()
            return
        self._closing.set()
        self.breaker.close()
        self.queue.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            await self.transport.aclose()

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task that is cancelled when the client is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def sleep(self, seconds: float) -> bool:
        """Sleep and return ``True``, or return ``False`` as soon as the client is closed."""
        is_closing = await sleep_until_set(self._closing, seconds)
        return not is_closing and self.state is ClientState.OPENED

    def next_call(self) -> int:
        """Return a unique call number for events."""
        return next(_call_numbers)

    def next_batch(self) -> int:
        """Return a unique batch number for events."""
        return next(_batch_numbers)

    def stats(self) -> ClientStats:
        """Return a snapshot. After closing, calls on a caller's session may still be active."""
        settings, counters = self.settings, self.counters
        queue = self.queue if self._is_built else None
        first_limit = min(ConcurrencyLimit.START, settings.max_concurrency)
        return ClientStats(
            in_flight=queue.in_flight if queue else 0,
            waiting=queue.waiting if queue else 0,
            limit=queue.limit if queue else first_limit,
            rate=queue.rate if queue else settings.max_rate,
            gate=queue.opens_in if queue else 0.0,
            breaker=self._breaker_state(),
            attempts=counters.attempts,
            retries=counters.retries,
            throttled=counters.throttled,
            outcomes=FrozenMapping({outcome: counters.outcomes[outcome] for outcome in Outcome}),
        )

    def _breaker_state(self) -> BreakerState:
        if not self._is_built or not self.breaker.is_open:
            return BreakerState.CLOSED
        return BreakerState.PROBING if self.breaker.is_probing else BreakerState.OPEN


async def before_deadline(deadline: float | None, work: Coroutine[Any, Any, T]) -> T | NotSentError:
    """Await the work; return ``NotSentError`` if the deadline passes first."""
    if deadline is None:
        return await work
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError:
        return NotSentError(TOO_LATE)
