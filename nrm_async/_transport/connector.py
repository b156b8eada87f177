"""aiohttp's connector, which knows the moment before anything was sent."""

import asyncio
import socket
from contextvars import ContextVar
from typing import Any, Final

import aiohttp

from nrm_async._transport.progress import in_progress

# Sockets made for the connection that this task is making.
_made: Final[ContextVar[list[socket.socket] | None]] = ContextVar("made", default=None)


def make_socket(address: aiohttp.connector.AddrInfoType) -> socket.socket:
    """Make a socket for the connection that this task is making."""
    family, kind, protocol, _name, _address = address
    sock = socket.socket(family, kind, protocol)
    if (made := _made.get()) is not None:
        made.append(sock)
    return sock


class Connector(aiohttp.TCPConnector):
    """Knows the one moment that matters: before it has a connection, nothing was sent.

    That is cheaper than tracing, and as safe: aiohttp writes to nothing but a connection that
    it was given here.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(socket_factory=make_socket, **settings)
        self._new: set[object] = set()  # connections that nobody has used yet

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """A connection for the session that asks; its exchange is told."""
        progress = in_progress.get()
        if progress is None:
            return await self.acquire(*args, **kwargs)
        progress.flight.is_exposed = False
        connection = await self.acquire(*args, **kwargs)
        progress.flight.is_exposed = True
        return connection

    async def acquire(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """A connection on which nothing has come that nobody asked for.

        It would be taken for the answer to the next request. A kept connection is passed over
        then; a new one says that this server always speaks first.
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
        raise aiohttp.ClientConnectionResetError("the server speaks before it is asked")

    def _raise_if_closed(self) -> None:
        """Closing cancels look-ups of names: not the one who waits for it was cancelled."""
        task = asyncio.current_task()
        if self.closed and not (task and task.cancelling()):
            raise aiohttp.ClientConnectionError("the connector was closed") from None

    async def _create_connection(self, *args: Any) -> Any:
        made: list[socket.socket] = []
        _made.set(made)
        try:
            protocol = await super()._create_connection(*args)
        except Exception:
            _let_go(made)
            raise
        finally:
            _made.set(None)
        self._new.add(protocol)
        return protocol


def _let_go(made: list[socket.socket]) -> None:
    """Keep sockets that uvloop has closed from closing again.

    uvloop closes the descriptor of a socket whose TLS handshake failed without telling the
    socket: collected later, it would close whatever has that number by then.
    """
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        for sock in made:
            sock.detach()
