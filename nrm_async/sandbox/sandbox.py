"""The sandbox: an account, the API that serves it, and fault injection."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

from nrm_async.sandbox.api import BASE_PATH, PATHS, Endpoints, Switches
from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.faults import Engine, Fault, parse_fault
from nrm_async.sandbox.history import Assertions, Books
from nrm_async.sandbox.http import PREFIXES, ApiHandler, Control, LoopThread, Server
from nrm_async.sandbox.state import State
from nrm_async.sandbox.store import Account, Origin
from nrm_async.sandbox.validation import (
    check_api_key,
    check_seconds,
    check_whole_number,
    loopback_address,
)
from nrm_async.sandbox.values import ActionName, Endpoint, Row

FaultLike = Fault | str | Mapping[str, Any]
"""A fault: an instance, a string (``"429:share=0.1,retry_after=2"``) or a mapping."""


class Sandbox:
    """A local server that emulates the NRM API.

    As an async context manager, it runs in the current event loop; as a regular context manager, it
    runs in its own thread. Alternatively, call :meth:`start` and :meth:`stop`. A sandbox is
    thread-safe. Its state is kept after :meth:`stop`; a ``state_file`` also keeps it after the
    process exits.

    Methods with an ``ani`` parameter accept a string in any common format, an integer, or an object
    with a ``phone`` or ``ani`` attribute; any other value raises ValueError.

    Args:
        anis: Inventory size, at least 0.
        seed: Seed for the inventory and the faults. On the same day, the same seed generates the
            same rows. For the same requests, the same seed triggers the same faults.
        api_key: The only accepted key.
        latency: Seconds to wait before each response. The state changes before the delay, so an
            action is applied even if the client times out.
        host: Address to bind; loopback only.
        port: Port to bind; 0 picks a free one.
        refusal_status: HTTP status of refusals: 200 or 4xx. The API documentation does not
            specify it, so test with both.
        dialect: ``"v2"`` for the documented format, or ``"v1"`` for the older refusal format.
        text_ids: Whether row ids are strings instead of numbers.
        contradictory: Whether envelopes are inconsistent, as in the API documentation's example.
        page_size_max: Maximum and default ``page_size`` (1000 in the API documentation).
        faults: Initial faults; see :mod:`nrm_async.sandbox.faults.kinds`.
        inventory: An inventory to serve instead of a generated one: a file (saved by the SDK in
            any format, or CSV or JSON in the API's format), or rows in the API's format.
        state_file: An SQLite file that persists the inventory, the actions, the history and the
            clock. If the file exists, its inventory takes precedence over the other arguments.
        now: The underlying clock: a callable that returns aware datetimes. Defaults to the system
            clock.

    Raises:
        ValueError: An argument is invalid.
        OSError: The inventory file cannot be read.

    Example:
        >>> import asyncio, aiohttp
        >>> async def main() -> int:
        ...     async with Sandbox(anis=20) as sandbox, aiohttp.ClientSession() as session:
        ...         key = {"Authorization": f"Bearer {sandbox.api_key}"}
        ...         async with session.get(f"{sandbox.url}/anis", headers=key) as response:
        ...             return (await response.json())["total_anis"]
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
        check_whole_number("anis", anis, 0)
        check_whole_number("seed", seed, -(2**63), 2**63 - 1)
        check_whole_number("page_size_max", page_size_max, 1)
        check_whole_number("port", port, 0, 65535)
        self._api_key = check_api_key(api_key)
        self._initial_switches = Switches(
            refusal_status=refusal_status,
            dialect=dialect,
            text_ids=text_ids,
            contradictory=contradictory,
        )
        latency, host = check_seconds("latency", latency), loopback_address(host)
        self._engine = Engine(seed, [parse_fault(spec) for spec in faults])
        self._account = Account(anis, seed, inventory, state_file, now)
        self._endpoints = Endpoints(
            self.state, api_key, self.restricted_key, page_size_max, self._initial_switches
        )
        self._api_handler = ApiHandler(
            self._endpoints, self.state, self.books, self.clock, self._engine, latency
        )
        self._control = Control(
            self._endpoints, self.clock, self._engine, lambda: self.url, self.reset
        )
        self._server = Server(self._handle, self._api_handler.handle_malformed, host, port)
        self._assert = Assertions(lambda: self.books, self.status_of)
        self._thread: LoopThread | None = None

    @property
    def url(self) -> str:
        """The base URL of the API, ending in ``/nrm``.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        return f"{self.root_url}{BASE_PATH}"

    @property
    def root_url(self) -> str:
        """The server's root URL, for ``/openapi.json``, ``/books`` and ``/control``."""
        if self._server.root_url is None:
            raise RuntimeError("the sandbox has no URL before start() or after stop()")
        return self._server.root_url

    @property
    def api_key(self) -> str:
        """The accepted API key."""
        return self._api_key

    @property
    def restricted_key(self) -> str:
        """A valid API key of the wrong type: the API rejects it with a 403."""
        return f"{self._api_key}-restricted"

    @property
    def founding(self) -> Origin:
        """The origin of the inventory, read from the state file if it exists."""
        return self._account.origin

    @property
    def state(self) -> State:
        """The account's current state."""
        return self._account.state

    @property
    def books(self) -> Books:
        """The history of requests and applied actions."""
        return self.state.books

    @property
    def clock(self) -> Clock:
        """The sandbox's clock."""
        return self._account.clock

    @property
    def faults(self) -> Engine:
        """The fault engine, which lists and removes active faults."""
        return self._engine

    @property
    def switches(self) -> Switches:
        """The response options; may be replaced while the sandbox is running."""
        return self._endpoints.switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._endpoints.switches = switches

    @property
    def page_size_max(self) -> int:
        """Maximum and default ``page_size``."""
        return self._endpoints.page_size_max

    @property
    def phones(self) -> tuple[str, ...]:
        """All phone numbers in the inventory, in listing order."""
        return self.state.phones

    @property
    def requests(self) -> int:
        """The number of API requests received, including invalid ones."""
        return self.books.times_requested()

    @property
    def max_in_flight(self) -> int:
        """The maximum number of concurrent requests so far."""
        return self.books.max_in_flight

    def __len__(self) -> int:
        return len(self.state)

    def status_of(self, ani: Any) -> str:
        """Return the current status code of ``ani``.

        Raises:
            KeyError: The number is not in the inventory.
        """
        return self.state.status_of(ani)

    def inject(self, *faults: FaultLike) -> tuple[int, ...]:
        """Activate faults, and return their ids for ``faults.remove()``.

        Example:
            >>> Sandbox(5).inject("429:endpoint=pause,count=2,retry_after=1", "reset:share=0.1")
            (1, 2)
        """
        parsed = [parse_fault(spec) for spec in faults]  # parse all before injecting any
        return tuple(map(self._engine.inject, parsed))

    def reset(self) -> None:
        """Restore the initial inventory, clock, faults and switches, and clear the history."""
        self._engine.reset()
        self.switches = self._initial_switches
        self._account.reset()

    def assert_applied(
        self, action: ActionName, ani: Any = None, *, times: int | None = None
    ) -> None:
        """Assert that ``action`` was applied to ``ani``, exactly ``times`` times if given.

        Raises:
            AssertionError: The action was not applied, or not ``times`` times. The message lists
                the matching requests.
        """
        self._assert.applied(action, ani, times)

    def assert_not_applied(self, action: ActionName | None = None, ani: Any = None) -> None:
        """Assert that ``action`` was not applied to ``ani``; None matches any action or number.

        Raises:
            AssertionError: A matching action was applied. The message lists such actions.
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
        """Assert that the API received matching requests.

        Args:
            endpoint: The requested endpoint; None matches any.
            ani: The number in the request; None matches any.
            status: The response status; None matches any.
            times: The exact number of requests.
            at_most: The maximum number of requests. If neither ``times`` nor ``at_most`` is given,
                at least one request is required.

        Raises:
            AssertionError: The number of requests differs. The message lists the requests.
        """
        self._assert.requests(endpoint, ani, status, times, at_most)

    def assert_max_in_flight(self, most: int) -> None:
        """Assert that there were never more than ``most`` concurrent requests.

        Raises:
            AssertionError: The limit was exceeded. The message names the first request at the peak.
        """
        self._assert.max_in_flight(most)

    async def start(self) -> None:
        """Bind the port and start serving; do nothing if already running.

        Raises:
            OSError: The port is in use.
        """
        if not self._server.is_running:
            self.state.prepare()
            await self._server.start()

    async def stop(self) -> None:
        """Cancel requests in flight, and close all connections, the port and the state file.

        Do nothing if already stopped.
        """
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
        return await self._api_handler.handle(request, endpoint)
