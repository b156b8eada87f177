"""aiohttp's connector, which knows the moment before anything was sent."""

import asyncio
import socket
from typing import Any, Final

import aiohttp

from nrm_async._transport.sight import in_sight


def make_socket(address: aiohttp.connector.AddrInfoType) -> socket.socket:
    """Make a socket for the exchange that this task is in."""
    family, kind, protocol, _name, _address = address
    sock = socket.socket(family, kind, protocol)
    if (sight := in_sight.get()) is not None:
        sight.made.append(sock)
    return sock


def _let_go(made: list[socket.socket]) -> None:
    """Keep sockets that uvloop has closed from closing again.

    uvloop closes the descriptor of a socket whose TLS handshake failed without telling the
    socket: collected later, it would close whatever has that number by then.
    """
    if type(asyncio.get_running_loop()).__module__.startswith("uvloop"):
        for sock in made:
            sock.detach()


_UNCLEAN_AT_MOST: Final = 3


class Connector(aiohttp.TCPConnector):
    """Knows the one moment that matters: before it has a connection, nothing was sent.

    That is cheaper than tracing, and as safe: aiohttp writes to nothing but a connection that
    it was given here.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        sight = in_sight.get()
        if sight is None:
            return await super().connect(*args, **kwargs)
        sight.flight.is_exposed = False
        try:
            connection = await super().connect(*args, **kwargs)
            if _is_unclean(connection):
                connection = await self._connect_cleanly(connection, *args, **kwargs)
        except Exception:
            _let_go(sight.made)
            raise
        finally:
            sight.made.clear()
        sight.flight.is_exposed = True
        return connection

    async def _connect_cleanly(
        self, connection: aiohttp.connector.Connection, *args: Any, **kwargs: Any
    ) -> aiohttp.connector.Connection:
        """Pass over kept connections on which something has come that nobody asked for.

        It would be taken for the answer to the next request. A server that greets every new
        connection is not worth more tries.
        """
        for _ in range(_UNCLEAN_AT_MOST):
            connection.close()
            connection = await super().connect(*args, **kwargs)
            if not _is_unclean(connection):
                break
        return connection


def _is_unclean(connection: aiohttp.connector.Connection) -> bool:
    return connection.protocol is not None and connection.protocol.should_close
