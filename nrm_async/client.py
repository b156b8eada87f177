"""``NRMClient``: the public interface to requests, listings and batches.

The client validates its arguments and delegates to the other modules. Decisions about retries,
paging and outcomes belong to those modules.
"""

import asyncio
import inspect
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

from nrm_async import batch
from nrm_async._context import CallContext
from nrm_async._engine import (
    ActionExecutor,
    ClientState,
    Instrumentation,
    RequestPipeline,
    Runtime,
)
from nrm_async._inputs import (
    ActionInputs,
    AniInputs,
    action_factory,
    check_inputs,
    given_action,
)
from nrm_async._paging import (
    AniStream,
    InventoryWatch,
    OnDrift,
    OnError,
    OnStreamDrift,
    PageSource,
    find,
    read_inventory,
)
from nrm_async._transport import HTTPSession, Transport, verifies_tls
from nrm_async._validation import check_callable, check_int
from nrm_async._wire import MAX_PAGE_SIZE, page_request
from nrm_async.actions import (
    Action,
    ActionDate,
    Activate,
    AniLike,
    Pause,
    Remediate,
    normalize_ani,
    normalize_prefix,
    prefix_with_country_code,
)
from nrm_async.batch import BatchOptions, OnResult, Recorder
from nrm_async.config import (
    ApiKey,
    ConfirmPolicy,
    OnUnknown,
    RetryPolicy,
    Settings,
    Timeouts,
    check_on_unknown,
)
from nrm_async.errors import ConfigurationError
from nrm_async.events import Events, Observer, check_observer
from nrm_async.inventory import Inventory
from nrm_async.models import Ani, AniPage, Receipt
from nrm_async.results import BatchReport, CallResult
from nrm_async.stats import ClientStats


class NRMClient:
    """Asynchronous client for the NRM API.

    All requests of a client (listings, single actions and batches) share one HTTP session and a
    limit of ``max_concurrency`` requests in flight. The first request opens the client in the
    running event loop. Close the client with ``async with`` or ``aclose()``.

    Args:
        api_key: The API key; ``None`` reads ``OUTBOUNDIQ_API_KEY``. The key is never displayed.
        base_url: The base URL of the API; ``None`` reads ``NRM_BASE_URL``, and falls back to the
            vendor's URL. It must use https, except for a loopback host.
        max_concurrency: Maximum number of requests in flight, for the whole client.
        max_rate: Maximum number of requests per second, starting with the first request;
            ``None`` for no limit other than the one learnt from 429 responses. Requests are
            spaced evenly, without bursts.
        timeout: Seconds per attempt, counted from its admission, or a ``Timeouts`` object.
        retry: The retry policy; ``None`` for the defaults of ``RetryPolicy``.
        session: An aiohttp session to send requests with. Its cookies, its connector and the
            limit of the connector apply. The client never closes the session.
        transport: A transport to use instead of aiohttp, such as a
            ``nrm_async.testing.MockTransport``. The client closes it. Cannot be combined with
            ``session``, ``proxy``, ``ssl_context`` or ``ca_bundle``.
        user_agent: Text to append to the ``User-Agent`` header, such as ``"dialer/2.1"``.
        proxy: URL of an HTTP proxy. Proxy environment variables are ignored.
        confirm: How to resolve lost responses; ``None`` for the defaults of ``ConfirmPolicy``.
        on_unknown: What to do if the response to an action is lost: ``"confirm"`` reads the
            number back, ``"report"`` immediately reports the outcome as unknown.
        ssl_context: A TLS context; it must verify certificates and host names.
        ca_bundle: A PEM file of CA certificates to use instead of those of the system.
        on_event: A fast, plain function to call in the event loop with each event of
            ``nrm_async.events``. Exceptions that it raises are logged and ignored.

    Raises:
        ConfigurationError: A setting is invalid; the message names it.

    Example::

        async with NRMClient() as client:
            inventory = await client.inventory()
            report = await client.pause_many(
                ani for ani in inventory if ani.is_active and ani.is_blocked_at(25, min_dials=200)
            )
            print(report.counts)

    Source: NRM API documentation (v2), "Authentication" and the page of each endpoint.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        max_concurrency: int = 16,
        max_rate: float | None = None,
        timeout: float | Timeouts = 30.0,
        retry: RetryPolicy | None = None,
        session: HTTPSession | None = None,
        transport: Transport | None = None,
        user_agent: str | None = None,
        proxy: str | None = None,
        confirm: ConfirmPolicy | None = None,
        on_unknown: OnUnknown = "confirm",
        ssl_context: ssl.SSLContext | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        on_event: Observer | None = None,
    ) -> None:
        # Keep the plain key out of local variables, which tracebacks may show.
        key = ApiKey.take(api_key)
        del api_key
        if isinstance(key, ConfigurationError):
            raise key
        self._settings = settings = Settings.resolve(
            key,
            base_url=base_url,
            max_concurrency=max_concurrency,
            max_rate=max_rate,
            timeout=timeout,
            retry=retry,
            confirm=confirm,
            on_unknown=on_unknown,
            proxy=proxy,
            user_agent=user_agent,
            ssl_context=ssl_context,
            ca_bundle=ca_bundle,
        )
        if session is not None:
            _check_session(session, settings)
        if transport is not None:
            _check_transport(transport, session, settings)
        self._runtime = Runtime(settings, Events(check_observer(on_event)), session, transport)
        instrumentation = Instrumentation(self._runtime)
        self._pipeline = RequestPipeline(self._runtime, instrumentation)
        self._actions = ActionExecutor(
            self._runtime, self._pipeline, instrumentation, self._look_up
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_runtime"):  # a traceback may show an invalid client
            return "<NRMClient, not initialized>"
        settings = self._settings
        return (
            f"<NRMClient {settings.base_url} max_concurrency={settings.max_concurrency} "
            f"{self.state.value}>"
        )

    @property
    def state(self) -> ClientState:
        """Whether the client is unopened, opened or closed."""
        return self._runtime.state

    def stats(self) -> ClientStats:
        """Return a snapshot of the current activity and the totals of the client.

        This method is cheap, and works before the first call and after closing.

        Example::

            stats = client.stats()
            print(stats.in_flight, "in flight,", stats.waiting, "waiting,", stats.outcomes)
        """
        return self._runtime.stats()

    async def __aenter__(self) -> Self:
        self._runtime.enter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections and end the reads in progress. May be called more than once."""
        await self._runtime.aclose()

    # --- Reads -------------------------------------------------------------------------------

    async def list_anis(
        self, *, page: int = 1, page_size: int = MAX_PAGE_SIZE, number: str | None = None
    ) -> AniPage:
        """Read one page of the inventory (``GET /anis``).

        Args:
            page: Page number, from 1.
            page_size: Rows per page, from 1 to 1000.
            number: Return only numbers that start with these digits; punctuation is ignored.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.
            AuthenticationError: The key is missing, invalid or of the wrong type.
            APIError: The API returned another error after all retries.
            TransportError: No response was received after all retries.
            ResponseError: The response is not a page.

        Example::

            page = await client.list_anis(page_size=100)
            print(page.total_anis, [ani.phone for ani in page])
        """
        decode = await self._pipeline.fetch_page(page, page_size, number, self._context())
        return decode()

    def anis(
        self,
        *,
        number: str | None = None,
        page_size: int = MAX_PAGE_SIZE,
        prefetch: int | None = None,
        on_drift: OnStreamDrift = "report",
    ) -> AniStream:
        """Stream the inventory in page order, prefetching pages concurrently.

        Page 1 is read first, then up to ``prefetch`` pages concurrently, which bounds memory
        use. Leaving the loop early leaks nothing. A stream cannot repair the effects of rows that
        shift between pages during the read, but it detects such shifts: see its ``drift``, and the
        warning logged by ``nrm_async.listing`` at the end. Acting on numbers during the read
        makes rows shift, so read the inventory first and then act.

        Args:
            number: Return only numbers that start with these digits.
            page_size: Rows per page, from 1 to 1000.
            prefetch: Maximum number of concurrent page requests; ``None`` for the client's
                ``max_concurrency``.
            on_drift: What to do at the first sign of shifted rows: ``"report"`` continues,
                ``"raise"`` raises ``InventoryDriftError``.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.

        Iteration can raise any error raised by ``list_anis``.

        Example::

            stream = client.anis(number="234")
            async for ani in stream:
                print(ani.phone, ani.block_rate)
            print("detected:", stream.drift)
        """
        pages = self._source(number, page_size, prefetch).pages()
        return AniStream(pages, on_drift, lambda: self._actions.started)

    async def inventory(
        self,
        *,
        number: str | None = None,
        page_size: int = MAX_PAGE_SIZE,
        on_drift: OnDrift = "repair",
    ) -> Inventory:
        """Read the whole inventory, and determine whether it is complete.

        Args:
            number: Return only numbers that start with these digits.
            page_size: Rows per page, from 1 to 1000.
            on_drift: ``"repair"`` reads again, up to four passes, until the inventory is proven
                complete (see ``Inventory.complete``) or two passes agree. ``"report"`` reads
                once. Both return the rows that were read, with ``complete`` and the ``missing``
                pages. ``"raise"`` reads twice, and raises if the passes differ or a page cannot
                be read. A single-page inventory is read once, because a single response is
                always consistent.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.
            InventoryDriftError: Two passes differ and ``on_drift`` is ``"raise"``.
            NRMError: Any error raised by ``list_anis``.

        Example::

            inventory = await client.inventory()
            print(len(inventory), inventory.complete)
        """
        return await read_inventory(self._source(number, page_size, None), on_drift)

    def watch(
        self,
        *,
        every: float | timedelta,
        number: str | None = None,
        start: Inventory | None = None,
        page_size: int = MAX_PAGE_SIZE,
        jitter: float = 0.1,
        on_error: OnError | None = None,
    ) -> InventoryWatch:
        """Read the inventory repeatedly, and report changes.

        Each read starts ``every`` seconds after the start of the previous one. If a read takes
        longer, the next one follows immediately; reads never overlap. Diffs without changes are
        skipped. The watch ends only when the client is closed.

        Args:
            every: Interval between the starts of two reads, in seconds or as a ``timedelta``.
            number: Return only numbers that start with these digits.
            start: An inventory to compare the first read with, such as a saved one; ``number``
                filters it too. Without ``start``, the second read is compared with the first.
            page_size: Rows per page, from 1 to 1000.
            jitter: Fraction, from 0 to below 1, by which each interval is randomly lengthened
                or shortened, so that several watches do not read simultaneously.
            on_error: A plain or async function to call with the error of each failed read.
                Failed reads are always logged, and the watch continues.

        Returns:
            An async iterator of ``InventoryDiff``. Its attribute ``inventory`` is the inventory
            most recently read.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.

        Example::

            saved = await client.inventory()
            await client.pause("2345678901")
            async for found in client.watch(every=300, start=saved):
                print(len(found.added), "new,", len(found.removed), "gone")
                for change in found.status_changes:
                    print(change)
                break
        """
        page_request(1, page_size, number)  # report an invalid argument now, not at the first read
        if number is not None and isinstance(start, Inventory):
            prefix = normalize_prefix(number)
            start = start.where(lambda ani: ani.phone.startswith(prefix))
        return InventoryWatch(
            lambda: self.inventory(number=number, page_size=page_size),
            every=every,
            start=start,
            jitter=jitter,
            on_error=on_error,
        )

    async def find_ani(self, ani: AniLike) -> Ani | None:
        """Look up one number; return ``None`` if it is not in the inventory.

        The API filters by prefix. Longer numbers that match are skipped. A ten-digit number that
        is not found is looked up again with its country code, because rows may contain
        +12345678901.

        Raises:
            InvalidRequestError: ``ani`` is not a phone number; nothing was sent.
            NRMError: Any error raised by ``list_anis``.

        Example::

            ani = await client.find_ani("+1 (234) 567-8901")
            print(ani.status_label if ani else "not ours")
        """
        return await self._look_up(normalize_ani(ani), self._context)

    # --- Single actions ----------------------------------------------------------------------

    async def pause(
        self,
        ani: AniLike,
        *,
        carrier: str | None = None,
        note: str | None = None,
        date: ActionDate | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Pause a number (``POST /pause``), which starts its cooling-off period.

        The API pauses only numbers that are active and managed.

        Args:
            ani: The number in any common format, or an ``Ani``.
            carrier: Six-digit carrier id.
            note: Free-text note.
            date: When the pause takes effect; ``None`` for now. Accepts a ``date``, a
                ``datetime``, ``"YYYY-MM-DD"`` or ``"YYYYMMDDHHMMSS"``. An aware ``datetime`` is
                converted to UTC. A naive one is sent unchanged, because the time zone of the API
                is not documented.
            on_unknown: What to do if the response is lost: ``"confirm"`` reads the number back
                until the outcome is known, ``"report"`` raises immediately; ``None`` for the
                client's setting. Remediations and future dates are not visible in the status of
                a number, so their outcome remains unknown.

        Returns:
            A receipt, confirmed by the API or by reading the number back.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.
            RejectedError: The API refused the action; the message is from the API.
            AuthenticationError: The key is missing, invalid or of the wrong type.
            RateLimitError: Every attempt was throttled; nothing was applied.
            NotSentError: The request was not sent.
            OutcomeUnknownError: The action may have been applied; the message describes the
                evidence.

        Example::

            receipt = await client.pause("2345678901", note="resting")
            print(receipt.status)
        """
        return await self._act(ani, Pause(ani, carrier=carrier, note=note, date=date), on_unknown)

    async def activate(
        self,
        ani: AniLike,
        *,
        date: ActionDate,
        carrier: str | None = None,
        note: str | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Activate a paused number (``POST /activate``).

        The API activates only numbers that are cooling off, and always requires a date. The
        arguments, return value and errors are the same as for ``pause``.

        Example::

            from datetime import date

            receipt = await client.activate("2345678901", date=date.today())
            print(receipt.status)
        """
        action = Activate(ani, date=date, carrier=carrier, note=note)
        return await self._act(ani, action, on_unknown)

    async def remediate(
        self,
        ani: AniLike,
        *,
        carrier: str | None = None,
        note: str | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Ask the carriers to remove a spam label (``POST /remediate``), at most once in 30 days.

        The API refuses a second request within 30 days with "within cooldown". A request whose
        response was lost is never sent again. The arguments, return value and errors are the
        same as for ``pause``.

        Example::

            receipt = await client.remediate("2345678901", note="Spam tag identified")
            print(receipt.status)
        """
        return await self._act(ani, Remediate(ani, carrier=carrier, note=note), on_unknown)

    async def _act(self, ani: AniLike, action: Action, on_unknown: OnUnknown | None) -> Receipt:
        self._runtime.open()
        on_unknown = self._resolve_on_unknown(on_unknown)
        result = await self._actions.execute(0, ani, action, self._context(), on_unknown)
        if result.ok:
            return result.receipt
        raise result.error

    # --- Batches -----------------------------------------------------------------------------

    async def pause_many(
        self,
        anis: AniInputs,
        *,
        carrier: str | None = None,
        note: str | None = None,
        date: ActionDate | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        on_unknown: OnUnknown | None = None,
        deadline: float | None = None,
        max_refused: float | None = None,
        recorder: Recorder | None = None,
    ) -> BatchReport:
        """Pause many numbers; return one result per input, in input order.

        Args:
            anis: An iterable or async iterable of numbers, ``Ani`` values, ``Pause`` actions, or
                results to run again. It is consumed lazily.
            carrier: Six-digit carrier id, for inputs that are not actions.
            note: Free-text note, for inputs that are not actions.
            date: When the pause takes effect, as in ``pause``, for inputs that are not actions.
            concurrency: Maximum number of items in progress, capped at the client's
                ``max_concurrency``, which is also the default.
            on_result: A plain or async function to call with each result as it arrives. If it
                raises, the batch continues and the first error is raised at the end.
            on_unknown: What to do if a response is lost, as in ``pause``.
            deadline: Seconds for the whole batch. After the deadline, no item starts, and each
                call ends with its attempt in flight. A recorder is still awaited.
            max_refused: Share of refusals, from 0 to 1, above which the batch stops; checked
                from the 20th response on. ``None`` disables the check.
            recorder: A ``Recorder`` to call before each item is sent and after its outcome is
                decided.

        Returns:
            A report with a result for every item, including invalid inputs and refusals. After
            an invalid key, an invalid certificate or a redirect, nothing more is sent, and the
            items that were not started are ``NOT_APPLIED`` with a ``BatchStoppedError``.

        Raises:
            InvalidRequestError: An option is invalid; nothing was sent.

        An exception raised by the iterable is raised at the end. An exception that ends the
        batch early has the results so far in its ``report`` attribute. With ``asyncio.timeout``,
        that exception is the ``__cause__`` of the ``TimeoutError``.

        Example::

            report = await client.pause_many(["2345678901", "(234) 567-8902"])
            for result in report.failed:
                print(result.ani, result.outcome, result.error)
        """
        to_action = action_factory(Pause, carrier=carrier, note=note, date=date)
        options = self._batch_options(concurrency, deadline, max_refused, recorder)
        return await self._run(anis, to_action, options, on_unknown, on_result)

    async def activate_many(
        self,
        anis: AniInputs,
        *,
        date: ActionDate,
        carrier: str | None = None,
        note: str | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        on_unknown: OnUnknown | None = None,
        deadline: float | None = None,
        max_refused: float | None = None,
        recorder: Recorder | None = None,
    ) -> BatchReport:
        """Activate many numbers, as with ``pause_many``; a date is required.

        Example::

            report = await client.activate_many(["2345678901"], date="2026-05-27")
            print(report.counts)
        """
        to_action = action_factory(Activate, carrier=carrier, note=note, date=date)
        options = self._batch_options(concurrency, deadline, max_refused, recorder)
        return await self._run(anis, to_action, options, on_unknown, on_result)

    async def remediate_many(
        self,
        anis: AniInputs,
        *,
        carrier: str | None = None,
        note: str | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        on_unknown: OnUnknown | None = None,
        deadline: float | None = None,
        max_refused: float | None = None,
        recorder: Recorder | None = None,
    ) -> BatchReport:
        """Request remediation of many numbers, as with ``pause_many`` but without a date.

        Example::

            report = await client.remediate_many(["2345678901"], note="Spam tag identified")
            print(report.counts)
        """
        to_action = action_factory(Remediate, carrier=carrier, note=note)
        options = self._batch_options(concurrency, deadline, max_refused, recorder)
        return await self._run(anis, to_action, options, on_unknown, on_result)

    async def run_batch(
        self,
        actions: ActionInputs,
        *,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        on_unknown: OnUnknown | None = None,
        deadline: float | None = None,
        max_refused: float | None = None,
        recorder: Recorder | None = None,
    ) -> BatchReport:
        """Run mixed actions, as with ``pause_many``; failed results can be passed in again.

        Example::

            report = await client.run_batch([Pause("2345678901"), Remediate("2345678902")])
            report = await client.run_batch(report.retryable)
        """
        options = self._batch_options(concurrency, deadline, max_refused, recorder)
        return await self._run(actions, given_action, options, on_unknown, on_result)

    def stream_batch(
        self,
        actions: ActionInputs,
        *,
        concurrency: int | None = None,
        ordered: bool = False,
        on_unknown: OnUnknown | None = None,
        deadline: float | None = None,
        max_refused: float | None = None,
        recorder: Recorder | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[CallResult]]:
        """Run mixed actions and iterate over the results as they arrive, in constant memory.

        Args:
            actions: An iterable or async iterable of actions, or of results to run again. It is
                consumed lazily, at most 1,000 items ahead of the results.
            concurrency: As in ``pause_many``.
            ordered: Yield results in input order instead of as they complete.
            on_unknown: As in ``pause_many``.
            deadline: As in ``pause_many``.
            max_refused: As in ``pause_many``.
            recorder: As in ``pause_many``.

        Returns:
            An async context manager that returns an async iterator of results. Leaving it stops
            the batch: items in flight are cancelled, and their results can still be iterated.

        Raises:
            InvalidRequestError: An option is invalid; nothing was sent.

        An exception raised by the iterable is raised after the results of the earlier inputs.

        Example::

            async with client.stream_batch([Pause("2345678901")], ordered=True) as results:
                async for result in results:
                    print(result.index, result.ani, result.outcome)
        """
        check_inputs(actions)
        options = self._batch_options(concurrency, deadline, max_refused, recorder, ordered=ordered)
        self._runtime.check_open()
        return batch.stream(actions, given_action, self._executor(on_unknown), options)

    async def _run(
        self,
        inputs: AniInputs | ActionInputs,
        to_action: batch.ToAction,
        options: BatchOptions,
        on_unknown: OnUnknown | None,
        on_result: OnResult | None,
    ) -> BatchReport:
        check_inputs(inputs)
        check_callable("on_result", on_result)
        self._runtime.open()
        return await batch.run(inputs, to_action, self._executor(on_unknown), options, on_result)

    def _batch_options(
        self,
        concurrency: int | None,
        deadline: float | None,
        max_refused: float | None,
        recorder: Recorder | None,
        *,
        ordered: bool = False,
    ) -> BatchOptions:
        most = self._settings.max_concurrency
        if concurrency is not None:
            most = min(check_int("concurrency", concurrency, least=1), most)
        runtime = self._runtime
        return BatchOptions(
            concurrency=most,
            ordered=ordered,
            deadline=deadline,
            max_refused=max_refused,
            recorder=recorder,
            retry=self._settings.retry,
            progress=batch.BatchProgress(
                runtime.next_batch(), runtime.events, runtime.counters.outcomes
            ),
        )

    def _executor(self, on_unknown: OnUnknown | None) -> batch.Call:
        """Return the function that executes a batch item."""
        on_unknown = self._resolve_on_unknown(on_unknown)
        execute = self._actions.execute
        if self._settings.timeouts.call is None:
            return partial(execute, on_unknown=on_unknown)

        def execute_in_time(
            index: int, item: object, action: Action, context: CallContext
        ) -> Awaitable[CallResult]:
            limit = self._context().deadline
            if limit is not None and (context.deadline is None or limit < context.deadline):
                context.deadline = limit
            return execute(index, item, action, context, on_unknown)

        return execute_in_time

    # --- Helpers -----------------------------------------------------------------------------

    def _context(self) -> CallContext:
        limit = self._settings.timeouts.call
        return CallContext(None if limit is None else asyncio.get_running_loop().time() + limit)

    def _resolve_on_unknown(self, value: OnUnknown | None) -> OnUnknown:
        return self._settings.on_unknown if value is None else check_on_unknown(value)

    def _source(self, number: str | None, page_size: int, prefetch: int | None) -> PageSource:
        page_request(1, page_size, number)  # report an invalid argument now, not at the first row
        most = self._settings.max_concurrency
        if prefetch is not None:
            most = check_int("prefetch", prefetch, least=1)

        async def fetch(page_number: int, size: int) -> Callable[[], AniPage]:
            return await self._pipeline.fetch_page(page_number, size, number, self._context())

        return PageSource(fetch, self._runtime.spawn, page_size, most, self.find_ani)

    async def _look_up(self, ani: str, make_context: Callable[[], CallContext]) -> Ani | None:
        async def look_up(prefix: str) -> Ani | None:
            async def fetch(page_number: int, page_size: int) -> Callable[[], AniPage]:
                context = make_context()
                return await self._pipeline.fetch_page(page_number, page_size, prefix, context)

            return await find(fetch, MAX_PAGE_SIZE, ani)

        found = await look_up(ani)
        if found is None and (with_country_code := prefix_with_country_code(ani)):
            return await look_up(with_country_code)
        return found


def _check_session(session: object, settings: Settings) -> None:
    if not isinstance(session, HTTPSession):
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {type(session).__name__}"
        )
    if getattr(session, "auth", None) is not None:  # removed in aiohttp 4
        raise ConfigurationError("session must not have its own auth, because the API key is sent")
    if settings.ssl_context is not None:
        raise ConfigurationError("set ssl_context and ca_bundle on the session's own connector")
    if not verifies_tls(session):
        raise ConfigurationError("session must verify TLS, or any server could receive the API key")


def _check_transport(transport: Any, session: object, settings: Settings) -> None:
    members = ("send", "aclose", "drop", "most_connections")
    missing = [name for name in members if not hasattr(transport, name)]
    if missing or isinstance(transport, type) or not inspect.iscoroutinefunction(transport.send):
        raise ConfigurationError(
            "transport must be an instance that implements nrm_async.testing.Transport, not "
            f"{type(transport).__name__}"
        )
    if session is not None or settings.proxy is not None or settings.ssl_context is not None:
        raise ConfigurationError(
            "transport excludes session, proxy, ssl_context and ca_bundle, which configure aiohttp"
        )
