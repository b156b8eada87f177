"""One exchange over HTTP, and the only place that touches aiohttp's client.

A request goes in; an answer, or an error *as a value*, comes out. The error says what can be
proved: ``NotSentError`` if no byte of the request left, ``TransportError`` otherwise. No aiohttp
exception gets out of here, because their ``repr`` holds the headers, and so the key.

What was tried to make it short (CPython 3.11): aiohttp's tracing to know what was sent costs 15 to
20 µs of 95, the connector of our own 2; a short answer that is there is taken without an iterator,
2 µs; reading 1 MiB ahead takes a tenth off a page, more off a compressed one. Answers come
compressed, which aiohttp asks for by itself: a page shrinks twelvefold for 0.5 ms of zlib, and the
520 kB saved take 40 ms at 100 Mbit/s. isal would do it in 0.2 ms, but aiohttp has one backend for
the whole program, so choosing it (``aiohttp.set_zlib_backend``) is the program's business.
"""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from nrm_async._flight import Flight
from nrm_async._wire import Request, Response, printable
from nrm_async.config import Settings, Timeouts, tls_context
from nrm_async.errors import (
    ClientStateError,
    ClientTimeoutError,
    NotSentError,
    NRMError,
    ResponseError,
    TransportError,
)

HTTPSession: TypeAlias = aiohttp.ClientSession

# A page of 1,000 rows takes 566 kB and an action's answer 50 bytes; these bounds only keep a
# hostile or broken server from filling the memory.
_MAX_PAGE_BYTES: Final = 64 * 2**20
_MAX_ANSWER_BYTES: Final = 2**20

# A page fits in without stopping and starting the socket: that takes a tenth off reading one.
_READ_AHEAD: Final = 2**20


class Transport:
    """Sends requests through one aiohttp session: its own, or one that it was lent.

    Made inside the event loop that uses it.
    """

    def __init__(self, settings: Settings, lent: HTTPSession | None = None) -> None:
        self._settings = settings
        if lent is not None and getattr(lent, "_loop", None) not in (
            None,
            asyncio.get_running_loop(),
        ):
            raise ClientStateError("the session given to this client belongs to another event loop")
        self._session = lent if lent is not None else _new_session(settings)
        self._is_lent = lent is not None
        self._timeout = _client_timeout(settings.timeouts)
        self._headers = {
            "Authorization": settings.api_key.header,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": settings.user_agent,
        }
        self._scrub = _Scrubber(settings)
        if not self._is_lent:
            # However the client is lost, forgotten or left at exit, aiohttp has no unclosed
            # session to complain of: the finalizer holds the session until it has run.
            self._forgotten = weakref.finalize(self, _drop, self._session)

    @property
    def most_connections(self) -> int | None:
        """How many connections a lent session allows at once, if it sets a limit."""
        connector = self._session.connector
        if not self._is_lent or connector is None:
            return None
        limits = [limit for limit in (connector.limit, connector.limit_per_host) if limit]
        return min(limits, default=None)

    async def send(self, request: Request, flight: Flight) -> Response | NRMError:
        """Send once and read the answer to its end. Raises nothing but cancellation.

        Whatever ends it, ``flight.is_exposed`` tells whether the request may have left.
        """
        if self._session.closed:
            return ClientStateError(LENT_CLOSED if self._is_lent else "the client was closed")
        flight.attempts += 1
        flight.is_exposed = True  # until our own connector knows better
        sight = _Sight(flight)
        token = _in_sight.set(sight)
        try:
            return await self._exchange(request, sight)
        except asyncio.CancelledError as cancelled:
            # The frames of aiohttp hold the key in their local variables.
            raise cancelled.with_traceback(None) from None
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the result must say so
            return _fault(error, request, flight, sight, self._scrub)
        finally:
            _in_sight.reset(token)
            # aiohttp itself repeats a read whose connection died under it: that counts too.
            if sight.tracker is not None and sight.tracker.attempts > 1:
                flight.attempts += sight.tracker.attempts - 1

    async def _exchange(self, request: Request, sight: "_Sight") -> Response | NRMError:
        cap = _MAX_PAGE_BYTES if request.repeatable else _MAX_ANSWER_BYTES
        if request.repeatable:
            sight.tracker = aiohttp.UploadTracker()
        async with self._session.request(
            request.method,
            self._settings.base_url + request.path,
            params=request.query,
            data=request.body,
            headers=self._headers,
            timeout=self._timeout,
            proxy=self._settings.proxy,
            allow_redirects=False,
            raise_for_status=False,
            read_bufsize=_READ_AHEAD,
            upload_tracker=sight.tracker,
            # A lent session's middlewares might send an action twice, and nobody would know.
            middlewares=None if request.repeatable else (),
        ) as answer:
            sight.status = answer.status
            body = await _read_capped(answer.content, cap)
            if body is None:
                answer.close()
                return _too_long(request, cap, answer.status)
            scrub = self._scrub
            return Response(answer.status, scrub.body(body), scrub.headers(answer), scrub.text)

    async def aclose(self) -> None:
        """Close the session, unless it was lent. Safe to call twice."""
        if self._is_lent or not self._forgotten.alive:
            return
        try:
            await self._session.close()
        finally:
            self._forgotten()  # all the same, where closing was cancelled

    def drop(self) -> None:
        """Close without waiting, for when the session's event loop is gone."""
        if not self._is_lent:
            self._forgotten()


LENT_CLOSED: Final = "the session given to this client is closed"


class _Sight:
    """What is seen of an exchange, for telling of it if it fails."""

    __slots__ = ("flight", "made", "status", "tracker")

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.status: int | None = None
        self.tracker: aiohttp.UploadTracker | None = None
        # Sockets made for the connection that it waits for.
        self.made: list[socket.socket] = []


# The exchange that this task is in; the connector reports to it.
_in_sight: ContextVar[_Sight | None] = ContextVar("in_sight", default=None)


def _make_socket(address: aiohttp.connector.AddrInfoType) -> socket.socket:
    family, kind, protocol, _name, _address = address
    sock = socket.socket(family, kind, protocol)
    if (sight := _in_sight.get()) is not None:
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


class _Connector(aiohttp.TCPConnector):
    """Knows the one moment that matters: before it has a connection, nothing was sent.

    That is cheaper than tracing, and as safe: aiohttp writes to nothing but a connection that
    it was given here.
    """

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        sight = _in_sight.get()
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


def _new_session(settings: Settings) -> HTTPSession:
    context = tls_context(settings.ssl_context, None)  # it may have been weakened meanwhile
    return aiohttp.ClientSession(
        # No limit: the pool admits, and nothing may queue inside aiohttp.
        connector=_Connector(
            limit=0, ssl=True if context is None else context, socket_factory=_make_socket
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def verifies_tls(session: HTTPSession) -> bool:
    """Whether a session of the caller's checks certificates and host names."""
    setting = getattr(session.connector, "_ssl", True)  # there is no public way to ask
    if isinstance(setting, ssl.SSLContext):
        return setting.verify_mode is not ssl.CERT_NONE and setting.check_hostname
    return setting is not False


def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=timeouts.attempt,
        connect=timeouts.connect,
        ceil_threshold=timeouts.attempt + 1,  # deadlines are exact, not rounded up to seconds
    )


def _drop(session: HTTPSession) -> None:
    connector = session.connector
    session.detach()
    if connector is not None:
        # Its loop may be closed already, and its sockets with it.
        with contextlib.suppress(RuntimeError):
            connector._close()  # noqa: SLF001 - the public close() must be awaited


async def _read_capped(content: aiohttp.StreamReader, cap: int) -> bytes | None:
    """The whole body, or ``None`` as soon as it is longer than ``cap`` bytes."""
    if content.is_eof():  # it came along with the headers, as short answers do
        body = content.read_nowait()
        return body if len(body) <= cap else None
    chunks: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > cap:
            return None
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_long(request: Request, cap: int, status: int) -> NRMError:
    message = f"the answer is longer than {cap:,} bytes"
    if request.repeatable:
        return ResponseError(message)
    fault = TransportError(message)
    fault.status = status
    return fault


# Shorter secrets stand in other words by chance; no real one is so short.
_SHORTEST_SECRET: Final = 8


class _Scrubber:
    """Takes secrets out of what comes back, should a server or a proxy echo them.

    Bodies are scrubbed as they come; the words of errors once more where they are decoded,
    because JSON has many ways to write the same text.
    """

    def __init__(self, settings: Settings) -> None:
        key = settings.api_key.header.removeprefix("Bearer ")
        password = urlsplit(settings.proxy or "").password or ""
        self._secrets = [s for s in (key, password) if len(s) >= _SHORTEST_SECRET]

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def body(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = body.replace(secret.encode(), b"***")
        return body

    def headers(self, answer: aiohttp.ClientResponse) -> Mapping[str, str]:
        wanted = ("x-request-id", "Retry-After", "Date")
        return {
            name: self.text(value)
            for name in wanted
            if (value := answer.headers.get(name)) is not None
        }


def _fault(
    error: Exception, request: Request, flight: Flight, sight: _Sight, scrub: _Scrubber
) -> NRMError:
    seen = printable(scrub.text(_describe(error)), 300)
    if isinstance(error, _NOT_SENT) or not flight.is_exposed:
        flight.is_exposed = False
        fault: TransportError = _not_sent(error, seen)
    elif isinstance(error, TimeoutError) and request.repeatable:
        fault = ClientTimeoutError(f"no complete answer in time: {seen}")
    else:
        after = "" if sight.status is None else f" after the headers of an HTTP {sight.status}"
        fault = TransportError(f"no usable answer{after}: {seen}")
    fault.seen, fault.status = type(error).__name__, sight.status
    return fault


def _not_sent(error: Exception, seen: str) -> NotSentError:
    fault = NotSentError(f"the request was not sent: {seen}")
    fault.permanent = isinstance(error, _NO_USE_TRYING_AGAIN)
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    fault.starved = isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)
    return fault


# Only these prove that no byte of the request left. Note the relations: ClientConnectorError is
# a ClientOSError, which proves nothing, and ConnectionTimeoutError shares its base with
# SocketTimeoutError, which comes after sending.
_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)

_NO_USE_TRYING_AGAIN: Final = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
)


def _describe(error: Exception) -> str:
    """Name what was seen, by ``str``: the ``repr`` of many of them holds the headers."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"{name} for {error.host}:{error.port}: {_describe(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{name} to {error.host}:{error.port}: {_describe(error.os_error)}"
    if isinstance(error, ssl.SSLError):
        return f"{name}: {getattr(error, 'verify_message', '') or error.reason or 'TLS failed'}"
    if isinstance(error, aiohttp.ClientResponseError):  # its text has the URL, a proxy's too
        return f"{name}: {error.status} {error.message}"
    if isinstance(error, aiohttp.InvalidURL):
        return name
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {error.strerror or os.strerror(error.errno)}"
    return f"{name}: {error}" if str(error) else name
