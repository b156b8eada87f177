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
from types import FunctionType, MethodType
from typing import Any, Final

import aiohttp
import aiohttp.client
from yarl import URL

from nrm_async._transport.body import read_body
from nrm_async._transport.exchange import Exchange
from nrm_async._transport.progress import Progress
from nrm_async._transport.scrub import Scrubber
from nrm_async._wire import Request, Response
from nrm_async.config import Settings
from nrm_async.errors import NRMError

# Of these versions it is known that their sessions do no more than what is done here.
_KNOWN_VERSIONS: Final = ("3.14.",)


def _genuine(name: str) -> object:
    """A method of aiohttp's session, if nobody has put another in its place."""
    method = vars(aiohttp.ClientSession).get(name)
    # Wrappers pass for what they wrap in any other way of asking.
    if type(method) is FunctionType and method.__code__.co_filename == aiohttp.client.__file__:
        return method
    return None


_REQUEST: Final = _genuine("request")
_INNER: Final = _genuine("_request")


def is_supported(session: aiohttp.ClientSession) -> bool:
    """Whether all that this session does is known: this aiohttp, and nobody listening in."""
    is_known = aiohttp.__version__.startswith(_KNOWN_VERSIONS)
    return is_known and None not in (_REQUEST, _INNER) and not session.trace_configs


def is_unpatched(session: aiohttp.ClientSession) -> bool:
    """Whether the session's methods are aiohttp's at this moment: mocks stand in their place."""
    public: Any = session.request
    inner: Any = session._request  # noqa: SLF001 - where mocks stand
    # Wrappers have the very attributes of what they wrap, but not its type.
    return (
        type(public) is type(inner) is MethodType
        and public.__func__ is _REQUEST
        and inner.__func__ is _INNER
    )


class DirectPath:
    """Exchanges over connections of aiohttp's connector."""

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, timeout: aiohttp.ClientTimeout
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connector: Any = session.connector
        self._timeout = timeout
        self._attempt = settings.timeouts.attempt
        self._base_url = settings.base_url
        self._api_key = settings.api_key
        # Says where connections lead to, and what headers aiohttp would send; never sent itself.
        self._pattern = aiohttp.ClientRequest(
            "GET",
            URL(settings.base_url),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": settings.user_agent,
            },
            loop=self._loop,
            session=session,
        )
        self._heads: dict[str, bytes] = {}  # of requests that differ in their bodies only

    async def exchange(
        self, request: Request, progress: Progress, scrub: Scrubber
    ) -> Response | NRMError:
        """Send once and read the answer to its end; exceptions are aiohttp's own."""
        deadline = self._loop.time() + self._attempt
        connection = await self._connector.connect(self._pattern, [], self._timeout)
        exchange = Exchange(connection, progress.flight, self._loop, deadline)
        try:
            exchange.prepare()
            exchange.write(self._bytes_of(request))  # not kept in a variable: it holds the key
            message, content = await exchange.answer()
            progress.status = message.code
            body = await read_body(content, request, message.code)
            exchange.is_whole = isinstance(body, bytes)
        finally:
            exchange.end()
        if isinstance(body, NRMError):
            return body
        return scrub.response(message.code, body, message.headers)

    def _bytes_of(self, request: Request) -> bytes:
        if request.body is None:
            return self._head_of(request) + b"\r\n"
        if request.path not in self._heads:
            self._heads[request.path] = self._head_of(request)
        head, body = self._heads[request.path], request.body
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)

    def _head_of(self, request: Request) -> bytes:
        url = URL(self._base_url + request.path).extend_query(request.query or {})
        fields = {**self._pattern.headers, "Authorization": self._api_key.header}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{request.method} {url.raw_path_qs} HTTP/1.1\r\n{lines}".encode()
