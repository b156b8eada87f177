"""aiohttp's connector, which knows the moment before anything was sent."""

import asyncio
import socket
from typing import Any

import aiohttp

from nrm_async._transport.progress import Progress, in_progress


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
            while _is_stale(connection):
                connection.close()
                _check_kept(progress)
                connection = await super().connect(*args, **kwargs)
        except asyncio.CancelledError:
            self._raise_if_closed()
            raise
        except Exception:
            _let_go(progress.made)
            raise
        finally:
            progress.made.clear()
        progress.flight.is_exposed = True
        return connection

    def _raise_if_closed(self) -> None:
        """Closing cancels look-ups of names: not the one who waits for it was cancelled."""
        task = asyncio.current_task()
        if self.closed and not (task and task.cancelling()):
            raise aiohttp.ClientConnectionError("the connector was closed") from None


def _is_stale(connection: aiohttp.connector.Connection) -> bool:
    """Whether something has come on it that nobody asked for: it would be taken for an answer."""
    return connection.protocol is not None and connection.protocol.should_close


def _check_kept(progress: Progress) -> None:
    """A kept connection that is stale is passed over; a new one says that all of them will be."""
    if progress.made:
        raise aiohttp.ClientConnectionResetError("the server speaks before it is asked")
