"""A bare HTTP server on loopback: no application, since a router would double what an answer costs.

Whatever goes wrong in it is answered as the API answers: JSON with a message, never a traceback.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from nrm_async.sandbox.api import Reply, RequestError, error_reply

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Broken = Callable[[Reply], web.Response]

_BACKLOG: Final = 2048  # connections opened in one burst wait here instead of being lost
_SHUTDOWN_TIMEOUT: Final = 0.1  # seconds; what was under way has been cancelled by then
_SERVER_ERROR: Final = 500

_logger: Final = logging.getLogger(__name__)


class _Connection(web.RequestHandler):
    """One connection, with errors in the API's own style."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what the caller sent
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):  # the connection is gone, or was reset on purpose
            raise exc
        if status >= _SERVER_ERROR:
            _logger.error("the sandbox failed to answer %s", request.path, exc_info=exc)
        words = "Internal error" if status >= _SERVER_ERROR else "Malformed request"
        manager = self._manager
        assert isinstance(manager, _Manager)  # noqa: S101 - it made this connection
        response = manager.broken(error_reply(RequestError(status, words)))
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        # A body that cannot be read has its 400; the sandbox's own faults must be seen.
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


class _Manager(web.Server):
    """Makes the connections."""

    def __init__(self, handle: Handle, broken: Broken) -> None:
        super().__init__(handle, handler_cancellation=True)
        self.broken = broken
        self._transports: dict[web.RequestHandler, asyncio.Transport] = {}

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        # Without an access log: the books are one.
        return _Connection(self, loop=loop, access_log=None, logger=_logger)  # type: ignore[arg-type]

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._transports[handler] = transport
        super().connection_made(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        self._transports.pop(handler, None)
        super().connection_lost(handler, exc)

    async def drop(self) -> None:
        """Close what is still open, and wait until it is: the loop may end right after."""
        for transport in tuple(self._transports.values()):
            transport.abort()
        while self._transports:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)


class Server:
    """A port with a handler behind it, until it is stopped.

    Args:
        handle: Answers one request.
        broken: Makes the response to a request that could not be read as HTTP.
        host: Address to bind.
        port: Port to bind; 0 takes a free one.
    """

    def __init__(self, handle: Handle, broken: Broken, host: str, port: int) -> None:
        self._handle, self._broken = handle, broken
        self._host, self._port = host, port
        self._runner: web.ServerRunner | None = None
        self._manager: _Manager | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.origin: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has a port."""
        return self._runner is not None

    async def start(self) -> None:
        """Bind and answer from now on. OSError if the port is taken."""
        self._manager = _Manager(self._watched, self._broken)
        self._runner = web.ServerRunner(self._manager, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        try:
            await self._runner.setup()
            site = web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG)
            await site.start()
        except BaseException:
            await self.stop()
            raise
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.origin = f"http://{shown}:{site.port}"

    async def stop(self) -> None:
        """Drop what is under way, close every connection and the port; safe to call again."""
        runner, self._runner, self.origin = self._runner, None, None
        if runner is None:
            return
        connections = tuple(self._connections)
        for task in connections:
            task.cancel()
        await runner.cleanup()
        if self._manager is not None:
            await self._manager.drop()
        # aiohttp does not see its cancelled tasks end; whoever checks for leaks would find them.
        await asyncio.gather(*connections, return_exceptions=True)

    async def _watched(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.task
        if connection not in self._connections:
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)
        return await self._handle(request)


async def read_body(request: web.BaseRequest) -> bytes:
    """The body; RequestError (413, 400) where it is too large or cannot be read."""
    if "Expect" in request.headers:
        # curl asks before it sends a long body; a bare server leaves the answer to its handler.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RequestError(413, "Request body too large") from None
    except (web.RequestPayloadError, ConnectionError):
        raise RequestError(400, "Request body could not be read") from None


def response_of(reply: Reply, request_id: str | None = None, **more: Any) -> web.Response:
    """The reply as a response of aiohttp."""
    headers = {"Content-Type": "application/json", **reply.headers}
    if request_id is not None:
        headers["x-request-id"] = request_id
    return web.Response(body=reply.body, status=reply.status, headers=headers, **more)
