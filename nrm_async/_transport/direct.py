"""The direct path: aiohttp's connections and its parser, without its session.

A session serves redirects, cookies, authentication, tracing, middlewares and bodies of any kind.
None of that is for this API, and it takes most of the time of a call. So here a connection is
asked of aiohttp's connector, one write takes the whole request, and the answer is read from
aiohttp's own protocol, as its session does it.

What was tried to make a call short (CPython 3.11, CPU of one pause, 50 in flight, nginx; all with
the same decoding, in µs): bare calls of aiohttp's session 74, of which its tracing would add 15 to
20; with a ``request_class`` that makes requests cheaply 67; this path 19, and 22 with a timer. To
write the requests of one turn of the event loop together takes a tenth off a call where the server
is on the same machine, because it is woken less often, and nothing elsewhere: it is not done. A
short answer that is there is taken without an iterator, 2 µs; reading 1 MiB ahead takes a tenth off
a page, more off a compressed one. Answers come compressed, which aiohttp asks for by itself: a page
shrinks twelvefold for 0.5 ms of zlib, and the 520 kB saved take 40 ms at 100 Mbit/s. isal would do
it in 0.2 ms, but aiohttp has one backend for the whole program, so choosing it
(``aiohttp.set_zlib_backend``) is the program's business.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from nrm_async._secrets import SecretBytes
from nrm_async._transport.body import read_body
from nrm_async._transport.exchange import SWITCHING, Exchange
from nrm_async._transport.progress import Progress
from nrm_async._transport.scrub import Scrubber
from nrm_async._transport.session import headers_of
from nrm_async._wire import Request, Response
from nrm_async.config import ApiKey, Settings
from nrm_async.errors import NRMError

# What a read may be sent once more after.
_DIED: Final = (
    aiohttp.ClientOSError,
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientConnectionResetError,
)


class _Pattern(aiohttp.ClientRequest):
    """A request that is never sent itself: it says where all connections lead to."""

    @cached_property
    def connection_key(self) -> aiohttp.client_reqrep.ConnectionKey:
        """The same for all of them."""
        return super().connection_key


class DirectPath:
    """Exchanges over connections of aiohttp's connector."""

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, timeout: aiohttp.ClientTimeout
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connector: Any = session.connector
        self._timeout = timeout
        self._attempt = settings.timeouts.attempt
        self._base_path = URL(settings.base_url).raw_path.rstrip("/")
        # It has the headers too that aiohttp would send.
        self._pattern = _Pattern(
            "GET",
            URL(settings.base_url),
            headers=headers_of(settings),
            loop=self._loop,
            session=session,
        )
        self._fields = _encoded(self._pattern.headers, settings.api_key)
        self._under_way: set[Exchange] = set()

    def exchange(
        self, request: Request, progress: Progress, scrub: Scrubber
    ) -> Awaitable[Response | NRMError]:
        """Send once and read the answer to its end; exceptions are aiohttp's own."""
        deadline = self._loop.time() + self._attempt
        exchange = self._exchange_read if request.repeatable else self._exchange
        return exchange(request, progress, scrub, deadline)

    async def _exchange_read(
        self, request: Request, progress: Progress, scrub: Scrubber, deadline: float
    ) -> Response | NRMError:
        """A read whose connection died is sent once more at once, as aiohttp's session does it.

        Kept connections can die unseen.
        """
        try:
            return await self._exchange(request, progress, scrub, deadline)
        except aiohttp.ClientConnectorError:  # no connection at all
            raise
        except _DIED:
            if progress.status is not None:
                raise
        progress.flight.attempts += 1
        return await self._exchange(request, progress, scrub, deadline)

    async def _exchange(
        self, request: Request, progress: Progress, scrub: Scrubber, deadline: float
    ) -> Response | NRMError:
        progress.flight.is_exposed = False  # as long as nothing is written
        connection = await self._connector.acquire(self._pattern, [], self._timeout)
        exchange = Exchange(connection, progress.flight, self._loop, deadline)
        self._under_way.add(exchange)
        try:
            exchange.prepare()
            exchange.write(self._bytes_of(request))  # not kept in a variable: it holds the key
            message, content = await exchange.answer()
            progress.status = message.code
            body = await read_body(content, request, message.code)
            exchange.is_over = isinstance(body, bytes) and message.code != SWITCHING
        finally:
            self._under_way.discard(exchange)
            exchange.end()
        if isinstance(body, NRMError):
            return body
        return scrub.response(message.code, body, message.headers)

    def close(self) -> None:
        """End what is under way: who reads a body would not notice that its connection closes."""
        for exchange in tuple(self._under_way):
            exchange.fail(aiohttp.ClientConnectionError("the connection was closed"))

    def _bytes_of(self, request: Request) -> bytes:
        query = f"?{urlencode(request.query)}" if request.query else ""
        target = f"{self._base_path}{request.path}{query}"
        line = f"{request.method} {target} HTTP/1.1\r\n".encode()
        if request.body is None:
            return b"%b%b\r\n" % (line, self._fields)
        length = len(request.body)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (line, self._fields, length, request.body)


def _encoded(headers: Mapping[str, str], api_key: ApiKey) -> SecretBytes:
    fields = {**headers, "Authorization": api_key.header}
    return SecretBytes("".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode())
