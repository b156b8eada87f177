"""The sandbox over HTTP: one low-level handler in front of the state, on loopback only."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from aiohttp import hdrs, http_exceptions, web

from nrm_async.sandbox import checks
from nrm_async.sandbox.books import Books
from nrm_async.sandbox.data import generate
from nrm_async.sandbox.endpoints import BASE_PATH, Endpoints, Reply, error_reply
from nrm_async.sandbox.parsing import RequestError
from nrm_async.sandbox.state import State, utc_now

_BACKLOG: Final = 2048  # connections opened in one burst wait here instead of being lost
_SHUTDOWN_TIMEOUT: Final = 0.1  # seconds; what was under way has been cancelled by then


def _worth_logging(record: logging.LogRecord) -> bool:
    """Not a caller's broken HTTP, which has its 400; the sandbox's own faults must be seen."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, _CALLERS_FAULT)


_CALLERS_FAULT: Final = (http_exceptions.HttpProcessingError, web.RequestPayloadError)
_logger: Final = logging.getLogger(__name__)
_logger.addFilter(_worth_logging)


class Sandbox:
    """The NRM API on a local port, with an inventory made from a seed.

    An async context manager; outside one, use :meth:`start` and :meth:`stop`. State lives in
    memory, as long as the object, through stops and starts.

    Args:
        anis: How many numbers the inventory holds, at least 0.
        seed: What the inventory is made from; the same seed gives the same rows on the same day.
        api_key: The one key that is let in.
        latency: Seconds added to each answer, after the state has changed: who gives up waiting
            for an answer has still been heard.
        host: Address to bind; loopback only.
        port: Port to bind; 0 takes a free one.
        refusal_status: HTTP status of refusals, 200 or 4xx (not documented, so try both).
        page_size_max: Largest ``page_size``, and the default (1000 in the API documentation).
        now: The clock, answering aware datetimes; None for the system's.

    Raises:
        ValueError: An argument breaks its rule; the message names both.

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
        page_size_max: int = 1000,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        checks.whole_number("anis", anis, 0)
        self._api_key = checks.key(api_key)
        self._latency = checks.seconds("latency", latency)
        self._host = checks.loopback(host)
        self._port = checks.whole_number("port", port, 0, 65535)
        checks.refusal_status(refusal_status)
        checks.whole_number("page_size_max", page_size_max, 1)
        clock = now or utc_now
        today = checks.aware("now", clock()).astimezone(UTC).date()
        self._state = State(generate(anis, seed, today), now=clock)
        self._endpoints = Endpoints(
            self._state, api_key, self.restricted_key, refusal_status, page_size_max
        )
        self._runner: web.ServerRunner | None = None
        self._url: str | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._requests = 0
        self._max_in_flight = 0

    @property
    def url(self) -> str:
        """The base URL for a client, ending in ``/nrm``; RuntimeError unless running."""
        if self._url is None:
            raise RuntimeError("the sandbox has no URL before start() or after stop()")
        return self._url

    @property
    def api_key(self) -> str:
        """The key that is let in."""
        return self._api_key

    @property
    def restricted_key(self) -> str:
        """A valid key of the wrong type: every call with it is answered 403."""
        return f"{self._api_key}-restricted"

    @property
    def state(self) -> State:
        """The state behind the server, for looking at (``rows``, ``row``, ``scheduled``)."""
        return self._state

    @property
    def books(self) -> Books:
        """Every action that was applied."""
        return self._state.books

    @property
    def phones(self) -> tuple[str, ...]:
        """Every phone of the inventory, in order."""
        return self._state.phones

    @property
    def requests(self) -> int:
        """How many requests have come in, good and bad."""
        return self._requests

    @property
    def max_in_flight(self) -> int:
        """The most requests that were being answered at once."""
        return self._max_in_flight

    def status_of(self, ani: str) -> str:
        """The status code of ``ani`` (ten digits) now; KeyError when it is not there."""
        return self._state.status_of(ani)

    async def start(self) -> None:
        """Bind and answer from now on; does nothing when running. OSError if the port is taken."""
        if self._runner is not None:
            return
        # A bare server, no application: a router would double the cost of a short answer.
        server = web.Server(self._handle, access_log=None, logger=_logger)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        try:
            await self._runner.setup()
            site = web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG)
            await site.start()
        except BaseException:
            await self.stop()
            raise
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self._url = f"http://{shown}:{site.port}{BASE_PATH}"

    async def stop(self) -> None:
        """Drop what is under way, close every connection and the port; safe to call again."""
        runner, self._runner, self._url = self._runner, None, None
        if runner is None:
            return
        connections = tuple(self._connections)
        for task in connections:
            task.cancel()
        await runner.cleanup()
        # aiohttp does not see its cancelled tasks end; whoever checks for leaks would find them.
        await asyncio.gather(*connections, return_exceptions=True)

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

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._requests += 1
        request_id = f"sandbox-{self._requests:08d}"
        self._watch(request.task)
        self._in_flight += 1
        self._max_in_flight = max(self._max_in_flight, self._in_flight)
        try:
            reply = await self._answer(request)
            if self._latency:
                await asyncio.sleep(self._latency)
        finally:
            self._in_flight -= 1
        return _response(reply, request_id)

    async def _answer(self, request: web.BaseRequest) -> Reply:
        path = request.path
        try:
            self._endpoints.admit(request.method, path, request.headers.get(hdrs.AUTHORIZATION, ""))
            if request.method == hdrs.METH_GET:
                return self._endpoints.listing(request.query)
            return self._endpoints.act(path, await _body(request))
        except RequestError as error:
            return error_reply(error)

    def _watch(self, connection: asyncio.Task[None]) -> None:
        if connection not in self._connections:
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)


async def _body(request: web.BaseRequest) -> bytes:
    if hdrs.EXPECT in request.headers:
        # curl asks before it sends a long body; a bare server leaves the answer to its handler.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RequestError(413, "Request body too large") from None
    except (web.RequestPayloadError, ConnectionError):
        raise RequestError(400, "Request body could not be read") from None


def _response(reply: Reply, request_id: str) -> web.Response:
    headers = {"Content-Type": "application/json", "x-request-id": request_id}
    if reply.allow is not None:
        headers["Allow"] = reply.allow
    return web.Response(body=reply.body, status=reply.status, headers=headers)
