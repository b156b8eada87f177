"""aiohttp's connector, which knows the moment before anything was sent."""

import asyncio
import socket
from typing import Any, Final

import aiohttp

from nrm_async._transport.progress import in_progress


def make_socket(address: aiohttp.connector.AddrInfoType) -> socket.socket:
    """Make a socket for the exchange that this task is in."""
    family, kind, protocol, _name, _address = address
    sock = socket.socket(family, kind, protocol)
    if (progress := in_progress.get()) is not None:
        progress.made.append(sock)
    return sock


def _let_go(made: list[socket.socket]) -> None:
    """Keep sockets that uvloop has closed from closing again.

    uvloop closes the descriptor of a socket whose TLS handshake failed without telling the
    socket: collected later, it would close whatever has that number by then.
    """
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        for sock in made:
            sock.detach()


# A server that greets every new connection is not worth more tries.
_MOST_STALE: Final = 4


class Connector(aiohttp.TCPConnector):
    """Knows the one moment that matters: before it has a connection, nothing was sent.

    That is cheaper than tracing, and as safe: aiohttp writes to nothing but a connection that
    it was given here.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        progress = in_progress.get()
        if progress is None:
            return await super().connect(*args, **kwargs)
        progress.flight.is_exposed = False
        try:
            connection = await super().connect(*args, **kwargs)
            if _is_stale(connection):
                connection = await self._another(connection, *args, **kwargs)
        except Exception:
            _let_go(progress.made)
            raise
        finally:
            progress.made.clear()
        progress.flight.is_exposed = True
        return connection

    async def _another(
        self, stale: aiohttp.connector.Connection, *args: Any, **kwargs: Any
    ) -> aiohttp.connector.Connection:
        """A connection in the place of one on which something has come that nobody asked for.

        It would be taken for the answer to the next request.
        """
        for _ in range(_MOST_STALE - 1):
            stale.close()
            connection = await super().connect(*args, **kwargs)
            if not _is_stale(connection):
                return connection
            stale = connection
        stale.close()
        raise aiohttp.ClientConnectionResetError("the server speaks before it is asked")


def _is_stale(connection: aiohttp.connector.Connection) -> bool:
    return connection.protocol is not None and connection.protocol.should_close
