"""The sandbox itself: an account, the API in front of it, and what goes wrong on purpose."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from nrm_async.sandbox import checks
from nrm_async.sandbox.account import Account
from nrm_async.sandbox.api import BASE_PATH, PATHS, Endpoints, Switches
from nrm_async.sandbox.books import Assertions, Books
from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.faults import Engine, Fault, fault_of
from nrm_async.sandbox.http import PREFIXES, Control, LoopThread, Server, Visits
from nrm_async.sandbox.state import State
from nrm_async.sandbox.store import Founding
from nrm_async.sandbox.values import ActionName, Endpoint, Row

FaultLike = Fault | str | Mapping[str, Any]
"""A fault, or one in writing: ``"429:share=0.1,retry_after=2"``, ``{"fault": "reset"}``."""


class Sandbox:
    """The NRM API on a local port, with an inventory made from a seed.

    An async context manager that runs in your event loop, and a plain one (``with``) that runs in
    a thread of its own; outside either, use :meth:`start` and :meth:`stop`. It may be asked and
    told things from any thread. State lives as long as the object, through stops and starts, and
    longer with a ``state_file``.

    Wherever it is asked about a number, that may be text in any usual spelling, a whole number,
    or a value with a ``phone`` or an ``ani``; what is none is a ValueError.

    Args:
        anis: How many numbers the inventory holds, at least 0.
        seed: What inventory and chance are made from; the same seed gives the same rows on the
            same day, and the same faults to the same requests.
        api_key: The one key that is let in.
        latency: Seconds added to each answer, after the state has changed: who gives up waiting
            for an answer has still been heard.
        host: Address to bind; loopback only.
        port: Port to bind; 0 takes a free one.
        refusal_status: HTTP status of refusals, 200 or 4xx (not documented, so try both).
        dialect: ``"v2"`` as documented, or ``"v1"``, the older way to word refusals.
        text_ids: Ids of rows as strings, not numbers.
        contradictory: Envelopes that contradict themselves, as the documentation's example does.
        page_size_max: Largest ``page_size``, and the default (1000 in the API documentation).
        faults: What goes wrong from the beginning; see :mod:`nrm_async.sandbox.faults.kinds`.
        inventory: A file to load the inventory from (what the SDK has saved in any form, or CSV
            or JSON as the API's listing has it), or rows in the wire form; instead of ``anis``.
        state_file: An SQLite file that keeps inventory, actions, books and clock; one that is
            there already decides what the inventory is.
        now: The clock to run with, answering aware datetimes; None for the system's.

    Raises:
        ValueError: An argument breaks its rule; the message names both.
        OSError: The file to load cannot be read.

    Example:
        >>> import asyncio, aiohttp
        >>> async def main() -> int:
        ...     async with Sandbox(anis=20) as sandbox, aiohttp.ClientSession() as session:
        ...         key = {"Authorization": f"Bearer {sandbox.api_key}"}
        ...         async with session.get(f"{sandbox.url}/anis", headers=key) as answer:
        ...             return (await answer.json())["total_anis"]
        >>> asyncio.run(main())
        20
    """

    def __init__(
        self,
        anis: int = 500,
        seed: int = 1,
        *,
        api_key: str = "sandbox-key",
        latency: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        refusal_status: int = 200,
        dialect: Literal["v1", "v2"] = "v2",
        text_ids: bool = False,
        contradictory: bool = False,
        page_size_max: int = 1000,
        faults: Iterable[FaultLike] = (),
        inventory: str | Path | Iterable[Row] | None = None,
        state_file: str | Path | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        checks.whole_number("anis", anis, 0)
        checks.whole_number("seed", seed, -(2**63), 2**63 - 1)
        checks.whole_number("page_size_max", page_size_max, 1)
        checks.whole_number("port", port, 0, 65535)
        self._api_key = checks.key(api_key)
        switches = Switches(
            refusal_status=refusal_status,
            dialect=dialect,
            text_ids=text_ids,
            contradictory=contradictory,
        )
        self._first_switches = switches
        latency, host = checks.seconds("latency", latency), checks.loopback(host)
        self._faults = Engine(seed, [fault_of(spec) for spec in faults])
        self._account = Account(anis, seed, inventory, state_file, now)
        self._endpoints = Endpoints(
            self.state, api_key, self.restricted_key, page_size_max, switches
        )
        self._visits = Visits(
            self._endpoints, self.state, self.books, self.clock, self._faults, latency
        )
        self._control = Control(self)
        self._server = Server(self._handle, self._visits.broken, host, port)
        self._assert = Assertions(lambda: self.books, self.status_of)
        self._thread: LoopThread | None = None

    @property
    def url(self) -> str:
        """The base URL for a client, ending in ``/nrm``; RuntimeError unless running."""
        return f"{self.root_url}{BASE_PATH}"

    @property
    def root_url(self) -> str:
        """Where everything lives that is not NRM: ``/openapi.json``, ``/books``, ``/control``."""
        if self._server.origin is None:
            raise RuntimeError("the sandbox has no URL before start() or after stop()")
        return self._server.origin

    @property
    def api_key(self) -> str:
        """The key that is let in."""
        return self._api_key

    @property
    def restricted_key(self) -> str:
        """A valid key of the wrong type: every call with it is answered 403."""
        return f"{self._api_key}-restricted"

    @property
    def founding(self) -> Founding:
        """What the inventory was made from: that of the state file, where there is one."""
        return self._account.founding

    @property
    def state(self) -> State:
        """The state behind the server, for looking at (``rows``, ``row``, ``scheduled``)."""
        return self._account.state

    @property
    def books(self) -> Books:
        """Every request, and every action that was applied."""
        return self.state.books

    @property
    def clock(self) -> Clock:
        """What time it is: ``set``, ``advance``, ``freeze``, ``resume``."""
        return self._account.clock

    @property
    def faults(self) -> Engine:
        """The faults at work: ``inject``, ``injected``, ``remove``, ``clear``."""
        return self._faults

    @property
    def switches(self) -> Switches:
        """How answers are worded; may be replaced while it runs."""
        return self._endpoints.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._endpoints.switches = switches

    @property
    def page_size_max(self) -> int:
        """Largest ``page_size``, and the default."""
        return self._endpoints.page_size_max

    @property
    def phones(self) -> tuple[str, ...]:
        """Every phone of the inventory, in order."""
        return self.state.phones

    @property
    def requests(self) -> int:
        """How many requests have come in to the API, good and bad."""
        return self.books.times_requested()

    @property
    def max_in_flight(self) -> int:
        """The most requests that were being answered at once."""
        return self.books.max_in_flight

    def __len__(self) -> int:
        return len(self.state)

    def status_of(self, ani: Any) -> str:
        """The status code of ``ani`` now; KeyError when it is not there, ValueError if none is."""
        return self.state.status_of(ani)

    def inject(self, *faults: FaultLike) -> tuple[int, ...]:
        """Let this go wrong from the next request on; ``faults.remove`` takes these numbers.

        Example:
            >>> Sandbox(5).inject("429:endpoint=pause,count=2,retry_after=1", "reset:share=0.1")
            (1, 2)
        """
        found = [fault_of(spec) for spec in faults]  # all of them, before any is at work
        return tuple(map(self._faults.inject, found))

    def reset(self) -> None:
        """Begin anew, as it was made: inventory, clock, books, faults and switches."""
        self._faults.reset()
        self.switches = self._first_switches
        self._account.reset()

    def assert_applied(
        self, action: ActionName, ani: Any = None, *, times: int | None = None
    ) -> None:
        """``action`` was applied: to ``ani`` if given, exactly ``times`` if given, else at all.

        Raises:
            AssertionError: It was not; the message says what happened instead.
        """
        self._assert.applied(action, ani, times)

    def assert_not_applied(self, action: ActionName | None = None, ani: Any = None) -> None:
        """No such action was applied; None means any action, any number.

        Raises:
            AssertionError: One was; the message says which.
        """
        self._assert.not_applied(action, ani)

    def assert_requests(
        self,
        endpoint: Endpoint | None = None,
        ani: Any = None,
        *,
        status: int | None = None,
        times: int | None = None,
        at_most: int | None = None,
    ) -> None:
        """So many requests came to ``endpoint`` about ``ani``, and were answered ``status``.

        At least one where neither ``times`` nor ``at_most`` is given.

        Raises:
            AssertionError: Other requests came; the message says which.
        """
        self._assert.requests(endpoint, ani, status, times, at_most)

    def assert_max_in_flight(self, most: int) -> None:
        """No more than ``most`` requests were ever being answered at once.

        Raises:
            AssertionError: There were more; the message says when.
        """
        self._assert.max_in_flight(most)

    async def start(self) -> None:
        """Bind and answer from now on; does nothing when running. OSError if the port is taken."""
        if not self._server.is_running:
            self.state.prepare()
            await self._server.start()

    async def stop(self) -> None:
        """Drop what is under way, close every connection and the port; safe to call again."""
        await self._server.stop()
        self._account.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        thread = LoopThread()
        try:
            thread.call(self.start)
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                thread.call(self.stop)
            finally:
                thread.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        endpoint = PATHS.get(path)
        if endpoint is None and path.startswith(PREFIXES):
            return await self._control.handle(request)
        return await self._visits.handle(request, endpoint)
