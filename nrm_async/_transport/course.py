"""An exchange on a connection of its own, and those that begin together."""

import asyncio
from typing import Any, Final

import aiohttp

from nrm_async._flight import Flight
from nrm_async._transport.body import READ_AHEAD

_SWITCHING: Final = 101  # the one status of 1xx that is the last word


_TOO_LATE: Final = "the connection was closed before its use"


class Course:
    """An exchange, from its request to the beginning of its answer, or until its time is over.

    Args:
        protocol: aiohttp's, of a connection that nobody else uses.
        flight: Is told when the request leaves.
        request: All of it, head and body.
    """

    __slots__ = ("_content", "_flight", "_protocol", "_request")

    def __init__(self, protocol: Any, flight: Flight, request: bytes) -> None:
        self._protocol = protocol
        self._flight = flight
        self._request = request
        self._content: Any = None
        flight.is_exposed = False
        protocol.set_response_params(read_until_eof=True, read_bufsize=READ_AHEAD)

    def write(self) -> None:
        """Send the request, unless the connection is closed or was given up meanwhile."""
        if not self._protocol.is_connected():
            self._protocol.set_exception(aiohttp.ClientConnectionResetError(_TOO_LATE))
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
            if not 100 <= message.code < 200 or message.code == _SWITCHING:
                return message, self._content

    def expire(self) -> None:
        """Fail what is waited for."""
        error = TimeoutError()
        self._protocol.set_exception(error)
        if self._content is not None:
            self._content.set_exception(error)


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
