"""Request pipeline: admit a request, send it, read its response, and decide on a retry.

Every request passes through this pipeline. It accepts a request and a function that reads the
response, and returns a value or the error of the last attempt. Errors are returned as values, so
decisions need no ``try``, and no unrelated exception is chained to an error.
"""

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from nrm_async._context import CallContext
from nrm_async._engine.instrumentation import Instrumentation
from nrm_async._engine.retry import FailedAttempt, next_delay
from nrm_async._engine.runtime import CLOSED, TOO_LATE, ClientState, Runtime, before_deadline
from nrm_async._limits import Permit
from nrm_async._wire import Request, Response, accept_page, page_request, read_page
from nrm_async.errors import ClientStateError, NotSentError, NRMError, TransportError
from nrm_async.events import RetryScheduled, Throttled
from nrm_async.models import AniPage

T = TypeVar("T")


class RequestPipeline:
    """Pipeline that sends requests within the limits and retries them if that is safe."""

    def __init__(self, runtime: Runtime, instrumentation: Instrumentation) -> None:
        self._runtime = runtime
        self._retry = runtime.settings.retry
        self._instrumentation = instrumentation

    async def send(
        self,
        request: Request,
        read: Callable[[Response], T | NRMError],
        context: CallContext,
    ) -> T | NRMError:
        """Send a request, retrying it if that is safe, until its outcome is decided."""
        runtime = self._runtime
        number = 0
        while True:
            number += 1
            value = await self._attempt(request, read, context)
            if not isinstance(value, NRMError) or context.is_internal:
                return value
            failed = FailedAttempt(
                number,
                value,
                safe=request.safe,
                idempotent=request.idempotent,
                retry_after=context.retry_after,
                is_bulk=context.is_bulk,
            )
            left = None if context.deadline is None else context.deadline - runtime.loop.time()
            # Jitter is not security-sensitive.
            delay = next_delay(failed, self._retry, left, random.random())  # noqa: S311
            if delay is None or not await self._take_retry_token(context):
                return value
            if runtime.events.is_wanted:
                runtime.events.emit(
                    RetryScheduled(call=context.call, attempt=number, delay=delay, error=value)
                )
            context.earlier_maybe_applied |= context.maybe_sent
            await runtime.sleep(delay)

    async def _take_retry_token(self, context: CallContext) -> bool:
        acquire = self._runtime.retry_budget.acquire(is_bulk=context.is_bulk)
        return await before_deadline(context.deadline, acquire) is True

    async def _attempt(
        self,
        request: Request,
        read: Callable[[Response], T | NRMError],
        context: CallContext,
    ) -> T | NRMError:
        """Admit the request, send it once, and read its response."""
        runtime = self._runtime
        context.retry_after = None
        permit: Permit | NotSentError | None = None
        if runtime.breaker.allows(is_bulk=context.is_bulk):
            permit = runtime.queue.acquire_nowait()  # the usual case: nothing to wait for
        if permit is None:
            permit = await before_deadline(context.deadline, self._admit(context))
        if isinstance(permit, NotSentError):
            return permit
        response = await self._send_once(permit, request, context)
        if isinstance(response, NRMError):
            if isinstance(response, NotSentError):
                context.maybe_sent = False
            return response
        value = read(response)
        if isinstance(value, NRMError):
            context.maybe_sent = value.maybe_applied
            if response.status == 429 or response.status >= 500:
                context.retry_after = response.retry_after
        if response.status < 500:
            runtime.breaker.answered()
        else:
            runtime.breaker.failed(value if isinstance(value, NRMError) else None)
        return value

    async def _send_once(
        self, permit: Permit, request: Request, context: CallContext
    ) -> Response | NRMError:
        """Pass the request to the transport, unless it is too late, and return the permit."""
        runtime = self._runtime
        return_permit = runtime.queue.release
        try:
            # The client may have been closed or the deadline may have passed during the wait.
            if runtime.state is ClientState.CLOSED:
                return ClientStateError(CLOSED)
            if context.deadline is not None and runtime.loop.time() >= context.deadline:
                return NotSentError(TOO_LATE)
            if (stopped := context.stop_check()) is not None:
                return stopped
            expected = context.attempts + 1
            runtime.counters.attempts += 1
            runtime.counters.retries += expected > 1
            context.maybe_sent = True  # until the transport reports otherwise
            try:
                response = await runtime.transport.send(request, context)
            finally:
                if context.attempts != expected:  # not sent after all, or resent by aiohttp
                    runtime.counters.correct(expected, context.attempts)
            if isinstance(response, Response):
                # Update the limits before the permit is returned: the next waiter uses them.
                self._feed_limits(permit, response)
            elif isinstance(response, TransportError):
                if isinstance(response, NotSentError) and response.out_of_descriptors:
                    return_permit = runtime.queue.shrink
                if self._runtime.state is ClientState.CLOSED:
                    message = f"the client was closed meanwhile: {response.message}"
                    response.args = (message, *response.args[1:])
                else:
                    runtime.breaker.failed(response)
        finally:
            return_permit()
        return response

    async def _admit(self, context: CallContext) -> Permit | NotSentError:
        """Wait for the circuit breaker and for a permit."""
        breaker, queue = self._runtime.breaker, self._runtime.queue
        while True:
            if not await breaker.wait_until_closed(self._probe, is_bulk=context.is_bulk):
                last = breaker.last_error
                error = NotSentError(
                    "not sent: the API has not responded for some time"
                    + ("" if last is None else f"; the last error: {last.message}")
                )
                error.permanent = context.is_bulk  # a bulk call has waited long enough
                return error
            permit = await queue.acquire(is_bulk=context.is_bulk)
            if not breaker.is_open or self._runtime.state is ClientState.CLOSED:
                return permit
            queue.release()  # the breaker opened while this call waited

    def _feed_limits(self, permit: Permit, response: Response) -> None:
        """Update the limiters with the response."""
        runtime, status = self._runtime, response.status
        is_refused = status >= 400 and (status == 429 or response.is_block_page)
        if status < 500 and not is_refused:
            runtime.queue.accepted(permit)
            runtime.retry_budget.deposit()
            return
        wait = response.retry_after
        if is_refused or (status == 503 and wait is not None):
            runtime.counters.throttled += 1
            # A wait longer than the policy allows does not close the gate: each call may give up.
            shuts = wait is not None and not self._retry.is_too_long(wait)
            if runtime.queue.refused(permit, wait if shuts else None):
                runtime.events.emit(Throttled(status=status, retry_after=wait))

    async def _probe(self) -> bool:
        """Send one read, never an action, and return whether the API has recovered."""
        permit = await self._runtime.queue.acquire()
        try:
            self._runtime.counters.attempts += 1
            probe = page_request(1, 1, None)
            response = await self._runtime.transport.send(probe, CallContext())
            if isinstance(response, Response):
                self._feed_limits(permit, response)
        finally:
            self._runtime.queue.release()
        return isinstance(response, Response) and response.status < 500

    async def fetch_page(
        self, page_number: int, page_size: int, prefix: str | None, context: CallContext
    ) -> Callable[[], AniPage]:
        """Fetch a page, and return a function that decodes it or raises its error."""
        request = page_request(page_number, page_size, prefix)
        clock = asyncio.get_running_loop().time
        started, elapsed = clock(), 0.0

        def stamp(error: NRMError) -> NRMError:
            error.page = page_number
            return error.at(request.method, request.path, context.attempts, elapsed)

        async def fetch() -> Response:
            nonlocal elapsed
            self._runtime.open()
            response = await self.send(request, accept_page, context)
            elapsed = clock() - started
            if isinstance(response, NRMError):
                raise stamp(response)
            return response

        response = await self._instrumentation.trace_read(fetch(), request.path, context)

        def decode() -> AniPage:
            page = read_page(response, page_number, page_size)
            if isinstance(page, NRMError):
                stamp(page)
            self._instrumentation.page_read(page_number, page, context)
            if isinstance(page, NRMError):
                raise page
            return page

        return decode
