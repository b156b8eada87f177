"""Extend aiohttp's connector to record whether a request may have been sent."""

import asyncio
import contextlib
import os
import socket
from contextvars import ContextVar
from functools import partial
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParser, HttpResponseParserPy

from nrm_async._context import CallContext

# The call that the current task sends through a session. The connector sets ``maybe_sent`` on it.
current_call: Final[ContextVar[CallContext | None]] = ContextVar("current_call", default=None)

# Sockets created for the connection that the current task is opening.
_made: Final[ContextVar[list[socket.socket] | None]] = ContextVar("made", default=None)

# All open sockets in this process that were created by ``make_socket``.
_open_sockets: Final[WeakSet[socket.socket]] = WeakSet()


def make_socket(address: aiohttp.connector.AddrInfoType) -> socket.socket:
    """Create a socket, and record it for the connection that the current task is opening."""
    family, kind, protocol, _name, _address = address
    sock = socket.socket(family, kind, protocol)
    _open_sockets.add(sock)
    if (made := _made.get()) is not None:
        made.append(sock)
    return sock


_LINE_END: Final = b"\r\n"


def _detach_in_child() -> None:
    """Replace each inherited socket with the null device in a forked child.

    The child shares the parent's connections and, on Linux, its epoll set. Closing a transport in
    the child (with ``aclose``, a finalizer or the garbage collector) would remove the descriptor
    from that set, so that the parent waits forever, and would shut down the parent's TLS session.
    If the descriptor is the null device, nothing is removed from epoll or sent to the server.
    """
    descriptors = [sock.fileno() for sock in _open_sockets]
    if not descriptors:
        return
    with contextlib.suppress(OSError):  # no free descriptor
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in descriptors:
            if descriptor >= 0:
                os.dup2(null, descriptor, inheritable=False)
        os.close(null)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_detach_in_child)


class BlankLineSkipper(ResponseHandler):
    """An aiohttp protocol that skips blank lines between responses.

    Some servers send a blank line after a body. aiohttp's C parser skips the line, but its pure
    Python parser treats the line as the start of the next response, and fails. This class is only
    used with the Python parser.
    """

    def data_received(self, data: bytes) -> None:
        """Parse received data, skipping blank lines before and after a response."""
        if self._is_between_responses():
            data = data.lstrip(_LINE_END)
            if not data:
                return
        # Trailing line ends may be part of the response: parse the preceding data to find out.
        start = data.rstrip(_LINE_END)
        end = data[len(start) :]
        if start or not end:
            super().data_received(start)
        if end and not self._is_between_responses():
            super().data_received(end)

    def _is_between_responses(self) -> bool:
        parser: Any = self._parser
        return (
            parser is not None
            and parser._payload_parser is None  # noqa: SLF001 - no public API
            and not (parser._lines or parser._tail or parser._upgraded)  # noqa: SLF001 - no public API
        )


class Connector(aiohttp.TCPConnector):
    """A connector that records whether a request may have been sent.

    aiohttp only writes to connections acquired from its connector, so nothing can have been sent
    before a connection is acquired. This is as reliable as aiohttp's tracing, and faster.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(socket_factory=make_socket, **settings)
        self._new: set[object] = set()  # connections that have not been used
        if HttpResponseParser is HttpResponseParserPy:
            protocol: type[ResponseHandler] = BlankLineSkipper
            self._factory = partial(protocol, loop=self._loop)

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Acquire a connection for a session, and update the current call's ``maybe_sent``."""
        context = current_call.get()
        if context is None:
            return await self.acquire(*args, **kwargs)
        context.maybe_sent = False
        connection = await self.acquire(*args, **kwargs)
        context.maybe_sent = True
        return connection

    async def acquire(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """Acquire a connection on which no unexpected data has arrived.

        Unexpected data would be mistaken for the response to the next request. Reused connections
        with such data are closed and skipped.

        Raises:
            aiohttp.ClientConnectionError: A new connection has unexpected data, or the connector
                was closed.
        """
        try:
            while True:
                connection = await super().connect(*args, **kwargs)
                is_new = connection.protocol in self._new
                self._new.discard(connection.protocol)
                if connection.protocol is None or not connection.protocol.should_close:
                    return connection
                connection.close()
                if is_new:
                    break
        except asyncio.CancelledError:
            self._raise_if_closed()
            raise
        raise aiohttp.ClientConnectionResetError("the server sends data before any request")

    def _raise_if_closed(self) -> None:
        """Raise if the DNS lookup was cancelled because the connector was closed."""
        task = asyncio.current_task()
        if self.closed and not (task and task.cancelling()):
            raise aiohttp.ClientConnectionError("the connector was closed") from None

    async def _create_connection(self, *args: Any) -> Any:
        made: list[socket.socket] = []
        _made.set(made)
        try:
            protocol = await super()._create_connection(*args)
        except Exception:
            _detach_on_uvloop(made)
            raise
        finally:
            _made.set(None)
        self._new.add(protocol)
        return protocol


def _detach_on_uvloop(made: list[socket.socket]) -> None:
    """Prevent sockets from closing a file descriptor that uvloop has already closed.

    When a TLS handshake fails, uvloop closes the descriptor but not the socket object. When the
    socket object is garbage-collected, it would close any file that has reused the descriptor.
    """
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        for sock in made:
            sock.detach()
