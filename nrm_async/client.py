"""The client: the public face over the session, the listing and the batch rooms.

It checks what callers ask for and says it in the other rooms' terms; it decides nothing about
retries, paging or outcomes itself.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, Unpack

from nrm_async import batch, listing
from nrm_async._calls import Calls
from nrm_async._flight import Flight
from nrm_async._inputs import (
    ActionInputs,
    AniInputs,
    check_inputs,
    check_on_result,
    given_action,
    preparer,
)
from nrm_async._session import ClientState, Session
from nrm_async._transport import HTTPSession, verifies_tls
from nrm_async._wire import MAX_PAGE_SIZE, page_request
from nrm_async.actions import (
    Action,
    ActionDate,
    Activate,
    AniLike,
    Pause,
    Remediate,
    normalize_ani,
)
from nrm_async.batch import BatchKeywords, BatchOptions, OnResult, check_keywords
from nrm_async.config import (
    ApiKey,
    ConfirmPolicy,
    OnUnknown,
    RetryPolicy,
    Settings,
    Timeouts,
    check_on_unknown,
)
from nrm_async.errors import ConfigurationError, InvalidRequestError
from nrm_async.inventory import Inventory
from nrm_async.listing import AniStream, OnDrift, PageStream
from nrm_async.models import Ani, AniPage, Receipt
from nrm_async.results import BatchReport, CallResult

__all__ = ["NRMClient"]


class NRMClient:
    """An async session manager for the NRM API.

    All requests of one client, listings, single actions and batches together, share one pool
    of ``max_concurrency`` places and one HTTP session, which is opened by the first request
    and belongs to the event loop that made it. Close the client with ``async with`` or
    ``aclose()``.

    Args:
        api_key: The API key; ``None`` reads ``OUTBOUNDIQ_API_KEY``. It is shown nowhere.
        base_url: Where the API is; ``None`` reads ``NRM_BASE_URL``, else it is the vendor's.
            https only, except to a loopback host.
        max_concurrency: Most requests in flight at once, over the whole client.
        max_rate: Most requests a second, from the first one on; ``None`` sets no such limit.
        timeout: Seconds for one attempt, from its admission to the pool, or ``Timeouts``.
        retry: When to try again; ``None`` takes the defaults of ``RetryPolicy``.
        session: An aiohttp session of yours to send with, with its own cookies and connector,
            whose limit of connections counts too; it is never closed here.
        user_agent: Appended to the ``User-Agent`` header, as in ``"dialer/2.1"``.
        proxy: URL of an HTTP proxy. Proxy variables of the environment are not read.
        confirm: How the truth about a lost answer is looked for; ``None`` takes the defaults
            of ``ConfirmPolicy``.
        on_unknown: What to do if the answer to an action is lost: ``"confirm"`` by reading the
            number back, or ``"report"`` at once.
        ssl_context: A TLS context of yours; it must verify. There is no way not to verify.
        ca_bundle: A file of PEM certificates to verify with instead of the system's.

    Raises:
        ConfigurationError: A setting breaks its rule; the message names it.

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
        user_agent: str | None = None,
        proxy: str | None = None,
        confirm: ConfirmPolicy | None = None,
        on_unknown: OnUnknown = "confirm",
        ssl_context: ssl.SSLContext | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
    ) -> None:
        # From here on no frame holds the bare key: tracebacks may be shown with their locals.
        key = ApiKey.take(api_key)
        del api_key
        if isinstance(key, ConfigurationError):
            raise key
        self._settings = Settings.resolve(
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
        self._session = Session(self._settings, _usable(session, self._settings))
        self._calls = Calls(self._session, self._settings.confirm)

    def __repr__(self) -> str:
        if not hasattr(self, "_session"):  # a traceback may show one that was refused
            return "<NRMClient, not made>"
        settings = self._settings
        return (
            f"<NRMClient {settings.base_url} max_concurrency={settings.max_concurrency} "
            f"{self.state.value}>"
        )

    @property
    def state(self) -> ClientState:
        """Where the client is in its life: unopened, opened or closed."""
        return self._session.state

    async def __aenter__(self) -> Self:
        self._session.enter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections and end what is still being read. Safe to call twice."""
        await self._session.aclose()

    # --- reading ---------------------------------------------------------------------------

    async def list_anis(
        self, *, page: int = 1, page_size: int = MAX_PAGE_SIZE, number: str | None = None
    ) -> AniPage:
        """Read one page of the inventory (``GET /anis``).

        Args:
            page: Which page, from 1.
            page_size: Rows on a page, 1 to 1000.
            number: Only numbers that begin with these digits; punctuation does not matter.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.
            AuthenticationError: The key is missing, invalid or of the wrong type.
            APIError: The API answered with another error, after all retries.
            TransportError: No answer came, after all retries.
            ResponseError: The answer is not a page.

        Example::

            page = await client.list_anis(page_size=100)
            print(page.total_anis, [ani.phone for ani in page])
        """
        return (await self._calls.fetch_page(page, page_size, number, self._flight()))()

    def anis(
        self,
        *,
        number: str | None = None,
        page_size: int = MAX_PAGE_SIZE,
        prefetch: int | None = None,
    ) -> AniStream:
        """Stream the inventory in page order, fetching pages ahead concurrently.

        Page 1 is read first, then up to ``prefetch`` pages at once. Memory is bounded by that
        window, and leaving the loop early leaks nothing. A stream cannot repair what shifts
        while it is read: act on an ``inventory()``, not on a stream.

        Args:
            number: Only numbers that begin with these digits.
            page_size: Rows on a page, 1 to 1000.
            prefetch: Pages in the window; ``None`` takes the client's ``max_concurrency``.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.

        While it is read, it raises what ``list_anis`` raises.

        Example::

            async for ani in client.anis(number="234"):
                print(ani.phone, ani.block_rate)
        """
        return AniStream(self._pages(number, page_size, prefetch))

    async def inventory(
        self,
        *,
        number: str | None = None,
        page_size: int = MAX_PAGE_SIZE,
        on_drift: OnDrift = "repair",
    ) -> Inventory:
        """Read the whole inventory, and know whether it is complete.

        Args:
            number: Only numbers that begin with these digits.
            page_size: Rows on a page, 1 to 1000.
            on_drift: ``"repair"`` reads all pages until two passes agree, at most four;
                ``"report"`` reads once. Both hand over what they have, and it tells whether it
                is ``complete``, and which pages are ``missing``. ``"raise"`` reads twice and
                raises if the passes differ or a page cannot be read.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.
            InventoryDriftError: Two passes differ and ``on_drift`` is ``"raise"``.
            NRMError: What ``list_anis`` raises.

        Example::

            inventory = await client.inventory()
            print(len(inventory), inventory.complete)
        """
        if on_drift not in ("repair", "report", "raise"):
            raise InvalidRequestError(
                f"on_drift must be 'repair', 'report' or 'raise', not {on_drift!r}"
            )

        def open_pages() -> PageStream:
            return self._pages(number, page_size, None, skip_unreadable=on_drift != "raise")

        return await listing.read_inventory(open_pages, on_drift)

    async def find_ani(self, ani: AniLike) -> Ani | None:
        """Look one number up, exactly; ``None`` if it is not in the inventory.

        The API's filter is a prefix, so longer numbers may match it; they are passed over.

        Raises:
            InvalidRequestError: ``ani`` is no phone number; nothing was sent.
            NRMError: What ``list_anis`` raises.

        Example::

            ani = await client.find_ani("+1 (234) 567-8901")
            print(ani.status_label if ani else "not ours")
        """
        return await self._calls.find(normalize_ani(ani), self._deadline())

    def _pages(
        self,
        number: str | None,
        page_size: int,
        prefetch: int | None,
        *,
        skip_unreadable: bool = False,
    ) -> PageStream:
        page_request(1, page_size, number)  # a bad argument is told now, not at the first row

        async def fetch(page: int) -> Callable[[], AniPage]:
            return await self._calls.fetch_page(page, page_size, number, self._flight())

        window = _at_least_one("prefetch", prefetch, self._settings.max_concurrency)
        return PageStream(
            fetch,
            self._session.spawn,
            page_size=page_size,
            prefetch=window,
            skip_unreadable=skip_unreadable,
        )

    # --- single actions --------------------------------------------------------------------

    async def pause(
        self,
        ani: AniLike,
        *,
        carrier: str | None = None,
        note: str | None = None,
        date: ActionDate | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Rest a number (``POST /pause``): it goes into its cooling-off period.

        The API takes it only for a number that is active and managed.

        Args:
            ani: The number in any usual spelling, or an ``Ani``.
            carrier: Six-digit carrier id.
            note: Free text.
            date: When; now if left out. A ``date``, a ``datetime``, ``"YYYY-MM-DD"`` or
                ``"YYYYMMDDHHMMSS"``. An aware ``datetime`` is converted to UTC, a naive one
                is written as it stands: the API's time zone is not documented.
            on_unknown: What to do if the answer is lost: ``"confirm"`` reads the number back
                until the truth is known, ``"report"`` raises at once; ``None`` does what the
                client was told to. A remediation or a date in the future does not show in a
                number's status, so there the outcome stays unknown.

        Returns:
            It was applied: the API said so, or reading the number back showed it.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.
            RejectedError: The API refused, in its own words.
            AuthenticationError: The key is missing, invalid or of the wrong type.
            RateLimitError: Throttled to the end; nothing was applied.
            NotSentError: It never left this machine.
            OutcomeUnknownError: It may have been applied; the message says what was seen.

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
        """Bring a rested number back (``POST /activate``).

        The API takes it only for a number that is cooling off, and always wants a date.
        Arguments, return value and errors are those of ``pause``.

        Example::

            from datetime import date

            receipt = await client.activate("2345678901", date=date.today())
            print(receipt.status)
        """
        return await self._act(
            ani, Activate(ani, date=date, carrier=carrier, note=note), on_unknown
        )

    async def remediate(
        self,
        ani: AniLike,
        *,
        carrier: str | None = None,
        note: str | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Ask the carriers to clear a spam label (``POST /remediate``), once in 30 days.

        A second request within 30 days is refused with "within cooldown". One whose answer was
        lost is never sent again. Arguments, return value and errors are those of ``pause``.

        Example::

            receipt = await client.remediate("2345678901", note="Spam tag identified")
            print(receipt.status)
        """
        return await self._act(ani, Remediate(ani, carrier=carrier, note=note), on_unknown)

    async def _act(self, ani: AniLike, action: Action, on_unknown: OnUnknown | None) -> Receipt:
        self._session.network()
        how = self._on_unknown(on_unknown)
        result = await self._calls.perform(0, ani, action, self._flight(), how)
        if result.ok:
            return result.receipt
        raise result.error

    def _on_unknown(self, value: OnUnknown | None) -> OnUnknown:
        return self._settings.on_unknown if value is None else check_on_unknown(value)

    def _flight(self) -> Flight:
        return Flight(self._deadline())

    def _deadline(self) -> float | None:
        limit = self._settings.timeouts.call
        return None if limit is None else asyncio.get_running_loop().time() + limit

    # --- batches ---------------------------------------------------------------------------

    async def pause_many(
        self,
        anis: AniInputs,
        *,
        carrier: str | None = None,
        note: str | None = None,
        date: ActionDate | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Pause many numbers; one result for each input, in input order.

        Args:
            anis: Numbers, ``Ani`` values, ``Pause`` actions, or results to run again: an
                iterable or async iterable, read lazily.
            carrier: Six-digit carrier id, for inputs that are no actions.
            note: Free text, for inputs that are no actions.
            date: When, as in ``pause``, for inputs that are no actions.
            concurrency: Most tasks at once; ``None`` takes the client's ``max_concurrency``,
                which stays the ceiling in any case.
            on_result: Called with each result as it comes, plain or async. If it raises, the
                batch goes on and the first error is raised at the end.
            more: ``on_unknown``, ``deadline``, ``max_refused`` and ``recorder``: see
                ``BatchKeywords``.

        Returns:
            A report that never hides an item: bad inputs and refusals are results too. After
            an invalid key, an invalid certificate or a redirect nothing more is sent, and the
            items that were not begun are ``NOT_APPLIED`` with a ``BatchStoppedError``.

        Raises:
            InvalidRequestError: An option breaks its rule; nothing was sent.

        What the iterable itself raises is raised at the end. Whatever ends a batch early
        carries the results so far as its ``report`` attribute.

        Example::

            report = await client.pause_many(["2345678901", "(234) 567-8902"])
            for result in report.failed:
                print(result.ani, result.outcome, result.error)
        """
        prepare = preparer(Pause, carrier=carrier, note=note, date=date)
        return await self._run(anis, prepare, concurrency, on_result, more)

    async def activate_many(
        self,
        anis: AniInputs,
        *,
        date: ActionDate,
        carrier: str | None = None,
        note: str | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Activate many numbers; as ``pause_many``, and always with a date.

        Example::

            report = await client.activate_many(["2345678901"], date="2026-05-27")
            print(report.counts)
        """
        prepare = preparer(Activate, carrier=carrier, note=note, date=date)
        return await self._run(anis, prepare, concurrency, on_result, more)

    async def remediate_many(
        self,
        anis: AniInputs,
        *,
        carrier: str | None = None,
        note: str | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Ask for remediation of many numbers; as ``pause_many``, without a date.

        Example::

            report = await client.remediate_many(["2345678901"], note="Spam tag identified")
            print(report.counts)
        """
        prepare = preparer(Remediate, carrier=carrier, note=note)
        return await self._run(anis, prepare, concurrency, on_result, more)

    async def run_batch(
        self,
        actions: ActionInputs,
        *,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Run mixed actions; as ``pause_many``. Failed results may be given to run again.

        Example::

            report = await client.run_batch([Pause("2345678901"), Remediate("2345678902")])
            report = await client.run_batch(report.retryable)
        """
        return await self._run(actions, given_action, concurrency, on_result, more)

    def stream_batch(
        self,
        actions: ActionInputs,
        *,
        concurrency: int | None = None,
        ordered: bool = False,
        **more: Unpack[BatchKeywords],
    ) -> AbstractAsyncContextManager[AsyncIterator[CallResult]]:
        """Run mixed actions and take their results as they come, in flat memory.

        Args:
            actions: Actions, or results to run again: an iterable or async iterable, read
                lazily, at most 1,000 ahead of the results taken.
            concurrency: Most tasks at once; ``None`` takes the client's ``max_concurrency``.
            ordered: Give results out in input order instead of as they complete.
            more: As in ``pause_many``.

        Returns:
            An async context manager around an async iterator of results. Leaving it stops the
            batch: what is in flight is cancelled, and its results can still be iterated.

        Raises:
            InvalidRequestError: An option breaks its rule; nothing was sent.

        What the iterable itself raises is raised after the results of what came before.

        Example::

            async with client.stream_batch([Pause("2345678901")], ordered=True) as results:
                async for result in results:
                    print(result.index, result.ani, result.outcome)
        """
        check_inputs(actions)
        options = self._options(concurrency, more, ordered=ordered)
        self._session.check_open()
        return batch.stream(actions, given_action, self._call(more), options)

    async def _run(
        self,
        inputs: AniInputs | ActionInputs,
        prepare: batch.Prepare,
        concurrency: int | None,
        on_result: OnResult | None,
        more: BatchKeywords,
    ) -> BatchReport:
        check_inputs(inputs)
        check_on_result(on_result)
        options = self._options(concurrency, more)
        self._session.network()
        return await batch.run(inputs, prepare, self._call(more), options, on_result)

    def _options(
        self, concurrency: int | None, more: BatchKeywords, *, ordered: bool = False
    ) -> BatchOptions:
        check_keywords(more)
        most = self._settings.max_concurrency
        return BatchOptions(
            min(_at_least_one("concurrency", concurrency, most), most),
            ordered,
            more.get("deadline"),
            more.get("max_refused"),
            more.get("recorder"),
        )

    def _call(self, more: BatchKeywords) -> batch.Call:
        """What a batch carries its items out with."""
        how = self._on_unknown(more.get("on_unknown"))

        async def call(index: int, item: object, action: Action, flight: Flight) -> CallResult:
            limit = self._deadline()
            if limit is not None:
                flight.deadline = limit if flight.deadline is None else min(limit, flight.deadline)
            return await self._calls.perform(index, item, action, flight, how)

        return call


def _usable(session: HTTPSession | None, settings: Settings) -> HTTPSession | None:
    if session is None:
        return None
    if not isinstance(session, HTTPSession):
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {type(session).__name__}"
        )
    if getattr(session, "auth", None) is not None:  # aiohttp 4 drops it
        raise ConfigurationError("session must not have auth of its own: the API key is sent")
    if settings.ssl_context is not None:
        raise ConfigurationError("ssl_context and ca_bundle belong to the session's own connector")
    if not verifies_tls(session):
        raise ConfigurationError("session must verify TLS: the key would go to anybody")
    return session


def _at_least_one(name: str, value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value
