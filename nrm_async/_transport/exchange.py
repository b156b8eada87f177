"""One exchange on one connection, from its request to the beginning of its answer."""

import asyncio
from typing import Any, Final

import aiohttp

from nrm_async._flight import Flight
from nrm_async._transport.body import READ_AHEAD

SWITCHING: Final = 101  # the one status of 1xx that is the last word


class Exchange:
    """An exchange on a connection of aiohttp's that nobody else uses until its end.

    It fails with a ``TimeoutError`` at its deadline, by the clock of the loop.

    Attributes:
        is_over: Whether the answer has been read to its end, and nothing more can come of it.
    """

    __slots__ = ("_connection", "_content", "_error", "_flight", "_protocol", "_timer", "is_over")

    def __init__(
        self,
        connection: aiohttp.connector.Connection,
        flight: Flight,
        loop: asyncio.AbstractEventLoop,
        deadline: float,
    ) -> None:
        self._connection = connection
        self._protocol: Any = connection.protocol
        self._content: Any = None
        self._flight = flight
        self._error: Exception | None = None
        self._timer = loop.call_at(deadline, self._expire)
        self.is_over = False

    def prepare(self) -> None:
        """Get ready for the answer; raise if the connection is not fit for a request any more.

        What has come on it by now, nobody has asked for: it would be taken for the answer.
        """
        if self._protocol.should_close or not self._protocol.is_connected():
            raise aiohttp.ClientConnectionResetError("the connection closed before its use")
        self._protocol.set_response_params(read_until_eof=True, read_bufsize=READ_AHEAD)

    def write(self, request: bytes) -> None:
        """Send all of the request: from now on it may have left."""
        self._flight.is_exposed = True
        self._protocol.transport.write(request)

    async def answer(self) -> tuple[Any, Any]:
        """Wait for the beginning of the answer: status and headers, and the body to be read."""
        while True:
            message, self._content = await self._protocol.read()
            if not 100 <= message.code < 200 or message.code == SWITCHING:
                break
        if self._error is not None and not self._content.is_eof():
            raise self._error  # it came after the message and before this task's turn
        return message, self._content

    def _expire(self) -> None:
        self.fail(TimeoutError())

    def fail(self, error: Exception) -> None:
        """End it with this error, whatever it waits for."""
        self._error = error
        self._protocol.set_exception(error)
        if self._content is not None:
            self._content.set_exception(error)

    def end(self) -> None:
        """Let go of the connection; it is kept only if the exchange is over."""
        self._timer.cancel()
        if self.is_over:
            self._connection.release()
        else:
            self._connection.close()
