"""A low-level HTTP server on a loopback address.

The server does not use an aiohttp application, because a router would double the cost of a request.
Error responses have the API's format: a JSON message, never a traceback.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from nrm_async.sandbox.api import Reply, RequestError, error_reply

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
MalformedHandler = Callable[[Reply], web.Response]

_BACKLOG: Final = 2048  # for bursts of connections that have not been accepted yet
_SHUTDOWN_TIMEOUT: Final = 0.1  # seconds; all tasks have already been cancelled
_SERVER_ERROR: Final = 500

_logger: Final = logging.getLogger(__name__)


class _Connection(web.RequestHandler):
    """A connection that formats error responses as the API does."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes untrusted input
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):  # the connection is lost, or was reset on purpose
            raise exc
        if status >= _SERVER_ERROR:
            _logger.error("the sandbox failed to handle %s", request.path, exc_info=exc)
        text = "Internal error" if status >= _SERVER_ERROR else "Malformed request"
        manager = self._manager
        assert isinstance(manager, _ConnectionManager)  # noqa: S101 - it created this connection
        response = manager.handle_malformed(error_reply(RequestError(status, text)))
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        # An unreadable body results in a 400; log only internal errors.
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


class _ConnectionManager(web.Server):
    """A connection factory that tracks open connections, so that it can abort them."""

    def __init__(self, handler: Handler, handle_malformed: MalformedHandler) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.handle_malformed = handle_malformed
        self._transports: dict[web.RequestHandler, asyncio.Transport] = {}

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        # No access log is needed: the history records every request.
        return _Connection(self, loop=loop, access_log=None, logger=_logger)  # type: ignore[arg-type]

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._transports[handler] = transport
        super().connection_made(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        self._transports.pop(handler, None)
        super().connection_lost(handler, exc)

    async def abort_all(self) -> None:
        """Abort all open connections, and wait until they are closed."""
        for transport in tuple(self._transports.values()):
            transport.abort()
        while self._transports:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)


class Server:
    """An HTTP server with a single request handler.

    Args:
        handler: The handler for valid requests.
        handle_malformed: The handler for requests that are not valid HTTP.
        host: The address to bind.
        port: The port to bind; 0 selects a free port.

    Attributes:
        root_url: ``http://host:port`` while the server is running, otherwise None.
    """

    def __init__(
        self, handler: Handler, handle_malformed: MalformedHandler, host: str, port: int
    ) -> None:
        self._handler, self._handle_malformed = handler, handle_malformed
        self._host, self._port = host, port
        self._runner: web.ServerRunner | None = None
        self._manager: _ConnectionManager | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.root_url: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether the port is bound."""
        return self._runner is not None

    async def start(self) -> None:
        """Bind the port and start serving; raise OSError if the port is in use."""
        self._manager = _ConnectionManager(self._track_and_handle, self._handle_malformed)
        self._runner = web.ServerRunner(self._manager, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        try:
            await self._runner.setup()
            site = web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG)
            await site.start()
        except BaseException:
            await self.stop()
            raise
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.root_url = f"http://{host}:{site.port}"

    async def stop(self) -> None:
        """Cancel requests in flight, and close all connections and the port.

        Do nothing if already stopped.
        """
        runner, self._runner, self.root_url = self._runner, None, None
        if runner is None:
            return
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await runner.cleanup()
        if self._manager is not None:
            await self._manager.abort_all()
        # aiohttp cancels these tasks but does not await them, so leak checks would report them.
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _track_and_handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = request.task
        if task not in self._tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._handler(request)


class LoopThread:
    """An event loop in a separate thread, for synchronous callers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="nrm-sandbox", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Awaitable[None]]) -> None:
        """Run a coroutine function in the event loop, and wait until it finishes."""

        async def run() -> None:
            await function()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def stop(self) -> None:
        """Stop the event loop, and wait until the thread ends."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


async def read_body(request: web.BaseRequest) -> bytes:
    """Return the request body.

    Raises:
        RequestError: The body is too large (413) or cannot be read (400).
    """
    if "Expect" in request.headers:
        # curl waits for this before sending a long body, and web.Server does not send it.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RequestError(413, "Request body too large") from None
    except (web.RequestPayloadError, ConnectionError):
        raise RequestError(400, "Request body could not be read") from None


def to_response(reply: Reply, request_id: str | None = None) -> web.Response:
    """Convert a reply to an aiohttp response."""
    headers = {"Content-Type": "application/json", **reply.headers}
    if request_id is not None:
        headers["x-request-id"] = request_id
    return web.Response(body=reply.body, status=reply.status, headers=headers)
