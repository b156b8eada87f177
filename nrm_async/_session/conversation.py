"""The loop that every request goes through: admit → send → read → decide."""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from nrm_async._flight import Flight
from nrm_async._limits import Breaker, Place
from nrm_async._retry import Attempt, next_delay
from nrm_async._session.lifecycle import Lifecycle
from nrm_async._session.network import Network
from nrm_async._session.state import CLOSED, TOO_LATE, ClientState
from nrm_async._wire import Request, Response, page_request, retry_after
from nrm_async.errors import ClientStateError, NotSentError, NRMError, TransportError
from nrm_async.events import RetryScheduled, Throttled

T = TypeVar("T")


class Session(Lifecycle):
    """The one way for a request to reach the API."""

    async def converse(
        self,
        network: Network,
        request: Request,
        read: Callable[[Response], T | NRMError],
        flight: Flight,
    ) -> T | NRMError:
        """Send a request as often as it takes, and no more often than is safe; how it ended."""
        started = network.loop.time()
        number = 0
        while True:
            number += 1
            value, wait = await self._attempt(network, request, read, flight)
            if not isinstance(value, NRMError):
                return value
            failed = Attempt(
                number,
                request.repeatable,
                value,
                wait,
                is_harmless_twice=request.is_harmless_twice,
                is_patient=flight.is_patient,
            )
            if not await self._goes_on(failed, network, flight):
                elapsed = network.loop.time() - started
                return value.at(request.method, request.path, flight.attempts, elapsed)

    async def _goes_on(self, failed: Attempt, network: Network, flight: Flight) -> bool:
        """Whether there is another attempt; if so, wait until it is time for it."""
        delay = self._delay_after(failed, network, flight)
        if delay is None or not await self._can_afford(network, flight):
            return False
        if self.events.is_wanted:
            self.events.emit(
                RetryScheduled(
                    call=flight.call, attempt=failed.number, delay=delay, error=failed.error
                )
            )
        flight.is_doubtful |= flight.is_exposed
        await network.sleep(delay)
        return True

    async def _can_afford(self, network: Network, flight: Flight) -> bool:
        """Whether the budget has a retry, before the deadline."""
        try:
            async with asyncio.timeout_at(flight.deadline):
                return await network.budget.spend(is_patient=flight.is_patient)
        except TimeoutError:
            return False

    async def _attempt(
        self,
        network: Network,
        request: Request,
        read: Callable[[Response], T | NRMError],
        flight: Flight,
    ) -> tuple[T | NRMError, float | None]:
        """One attempt: what it ended in, and the seconds the server asked to wait."""
        place: Place | None = None
        if network.breaker.lets_pass(is_patient=flight.is_patient):
            place = network.pool.take_place()  # where nobody has to wait for anything
        if place is None:
            admitted = await self._admit(network, flight)
            if isinstance(admitted, NRMError):
                return admitted, None
            place = admitted
        give_back = network.pool.release
        wait = None
        try:
            if (problem := self._not_now(network, flight)) is not None:
                return problem, None
            expected = flight.attempts + 1
            self.tally.attempts += 1
            self.tally.retries += expected > 1
            try:
                response = await network.transport.send(request, flight)
            finally:
                if flight.attempts != expected:  # none after all, or the silent resend of a read
                    self.tally.correct(expected, flight.attempts)
            if isinstance(response, Response):
                # Before the place is given back: the next in line goes by what is learnt here.
                wait = self._learn(network, place, response)
            elif isinstance(response, NotSentError) and response.starved:
                give_back = network.pool.withhold
        finally:
            give_back()
        return self._read(network, response, read, flight), wait

    async def _admit(self, network: Network, flight: Flight) -> Place | NRMError:
        """Wait for the API to be there and for a place in the pool, until the deadline."""
        if flight.deadline is None:
            return await self._place(network, flight)
        try:
            async with asyncio.timeout_at(flight.deadline):
                return await self._place(network, flight)
        except TimeoutError:
            return NotSentError(TOO_LATE)

    async def _place(self, network: Network, flight: Flight) -> Place | NRMError:
        breaker, pool = network.breaker, network.pool
        probe = partial(self._probe, network)
        while True:
            if not await breaker.pass_through(probe, is_patient=flight.is_patient):
                return _down(breaker, flight)
            place = await pool.acquire(is_patient=flight.is_patient)
            if not breaker.is_open or self.state is ClientState.CLOSED:
                return place
            pool.release()  # it opened while this one waited

    def _not_now(self, network: Network, flight: Flight) -> NRMError | None:
        """What has come up while this one waited."""
        if self.state is ClientState.CLOSED:
            return ClientStateError(CLOSED)
        if flight.deadline is not None and network.loop.time() >= flight.deadline:
            return NotSentError(TOO_LATE)
        return flight.halted()

    def _learn(self, network: Network, place: Place, response: Response) -> float | None:
        """Draw conclusions from the answer; the seconds that the server asked to wait."""
        status = response.status
        if status < 500 and status != 429:
            network.pool.accepted(place)
            network.budget.earn()
            return None
        wait = retry_after(response)
        if status == 429 or (status == 503 and wait is not None):
            self.tally.throttled += 1
            # A longer wait is for the caller to decide on; it is not imposed on everybody.
            is_bearable = wait is not None and wait <= self._settings.retry.max_retry_after
            if network.pool.refused(place, wait if is_bearable else None):
                self.events.emit(Throttled(status=status, retry_after=wait))
        return wait

    def _read(
        self,
        network: Network,
        response: Response | NRMError,
        read: Callable[[Response], T | NRMError],
        flight: Flight,
    ) -> T | NRMError:
        if isinstance(response, NRMError):
            if self.state is ClientState.CLOSED:
                closed = f"the client was closed meanwhile: {response.message}"
                response.args = (closed, *response.args[1:])
            elif isinstance(response, TransportError):
                network.breaker.failed(response)
            return response
        value = read(response)
        if isinstance(value, NRMError):
            flight.is_exposed = value.maybe_applied
        if response.status < 500:
            network.breaker.answered()
        else:
            network.breaker.failed(value if isinstance(value, NRMError) else None)
        return value

    async def _probe(self, network: Network) -> bool:
        """Whether the API is back; a read, never an action."""
        place = await network.pool.acquire()
        try:
            self.tally.attempts += 1
            response = await network.transport.send(page_request(1, 1, None), Flight())
            if isinstance(response, Response):
                self._learn(network, place, response)
        finally:
            network.pool.release()
        return isinstance(response, Response) and response.status < 500

    def _delay_after(self, failed: Attempt, network: Network, flight: Flight) -> float | None:
        if flight.is_single:
            return None
        left = None if flight.deadline is None else flight.deadline - network.loop.time()
        # Jitter needs no secrecy.
        return next_delay(failed, self._settings.retry, left, random.random())  # noqa: S311


def _down(breaker: Breaker, flight: Flight) -> NotSentError:
    last = "" if breaker.last_error is None else f"; the last of it: {breaker.last_error.message}"
    error = NotSentError(f"not sent: the API has not answered for some time{last}")
    error.permanent = flight.is_patient  # it was waited for long enough
    return error
