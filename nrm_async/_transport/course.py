"""An exchange on a connection of its own, and those that begin together."""

import asyncio
from typing import Any, Final

import aiohttp

from nrm_async._flight import Flight
from nrm_async._transport.body import READ_AHEAD

_SWITCHING: Final = 101  # the one status of 1xx that is the last word

_UNFIT: Final = "the connection was closed, or something came on it, before the request was written"


class Course:
    """An exchange, from its request to its end, or until its time is over.

    Args:
        connection: aiohttp's, which nobody else uses until the end.
        flight: Is told when the request leaves.

    Attributes:
        is_whole: Whether the answer has come to its end.
    """

    __slots__ = (
        "_connection",
        "_content",
        "_flight",
        "_protocol",
        "_request",
        "_timer",
        "is_whole",
    )

    def __init__(self, connection: aiohttp.connector.Connection, flight: Flight) -> None:
        self._connection = connection
        self._protocol: Any = connection.protocol
        self._flight = flight
        self._request = b""
        self._content: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_whole = False

    def prepare(self, request: bytes, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        """Get everything ready; from now on nothing has been sent until it is written."""
        self._flight.is_exposed = False
        self._request = request
        self._protocol.set_response_params(read_until_eof=True, read_bufsize=READ_AHEAD)
        self._timer = loop.call_at(deadline, self._expire)

    def write(self) -> None:
        """Send the request, unless the connection has become unfit or was given up meanwhile.

        What has come by now, nobody has asked for. It would be taken for the answer.
        """
        if self._protocol.should_close or not self._protocol.is_connected():
            self._protocol.set_exception(aiohttp.ClientConnectionResetError(_UNFIT))
            return
        self._flight.is_exposed = True
        try:
            self._protocol.transport.write(self._request)
        except Exception as error:  # noqa: BLE001 - for whoever waits for the answer
            self._protocol.set_exception(error)

    async def answer(self) -> tuple[Any, Any]:
        """Wait for the beginning of the answer: status and headers, and the body to be read."""
        while True:
            message, self._content = await self._protocol.read()
            if not self._flight.is_exposed:
                raise aiohttp.ClientConnectionResetError(_UNFIT)
            if not 100 <= message.code < 200 or message.code == _SWITCHING:
                return message, self._content

    def _expire(self) -> None:
        error = TimeoutError()
        self._protocol.set_exception(error)
        if self._content is not None:
            self._content.set_exception(error)

    def end(self) -> None:
        """Let go of the connection; it is kept only if nothing more can come of this answer."""
        if self._timer is not None:
            self._timer.cancel()
        if self.is_whole:
            self._connection.release()
        else:
            self._connection.close()


class Burst:
    """Writes the requests of one turn of the event loop together, at its end.

    Each write to a server that sleeps wakes it up, which takes longer than the writing; the others
    of a burst find it awake. That saves a fifth of a call where many are in flight, and costs one
    turn of the loop where there is only one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._courses: list[Course] = []

    def add(self, course: Course) -> None:
        """Write its request soon."""
        if not self._courses:
            self._loop.call_soon(self._write)
        self._courses.append(course)

    def _write(self) -> None:
        courses, self._courses = self._courses, []
        for course in courses:
            course.write()
