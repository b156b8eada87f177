"""The interface ``Transport``, and ``HTTPTransport``, which implements it with aiohttp."""

import asyncio
import weakref
from typing import Final, Protocol

import aiohttp

from nrm_async._context import CallContext
from nrm_async._transport.compat import is_direct_path_safe, is_unpatched
from nrm_async._transport.direct import DirectPath
from nrm_async._transport.error_mapping import map_error
from nrm_async._transport.redact import Redactor
from nrm_async._transport.session import HTTPSession, drop, most_connections, new_session
from nrm_async._transport.session_path import SessionPath
from nrm_async._wire import Request, Response
from nrm_async.config import Settings, Timeouts
from nrm_async.errors import ClientStateError, NRMError

_LENT_CLOSED: Final = "the session given to this client is closed"


class Transport(Protocol):
    """Interface for sending requests: implement it to use another HTTP library, or no network.

    The client decides when to send, how often to retry and how to interpret a response. A transport
    sends one request once, and returns the result as a value:

    - ``Response`` for any HTTP response that was read completely, regardless of its status.
    - ``NotSentError`` if no part of the request can have been sent. The client then retries the
      request, even an action, so do not return this error if in doubt.
    - ``TransportError`` for any other failure, such as a lost connection. The client retries a
      read, but not an action, which may have been applied.

    A transport adds 1 to ``context.attempts`` each time it passes a request to the network.
    ``context.maybe_sent`` is ``True`` when ``send`` is called. A transport may set it to ``False``
    while nothing can have been sent, for example while connecting: a call that is cancelled
    during that time is reported as not applied instead of unknown.

    Attributes:
        most_connections: The maximum number of concurrent requests, or ``None`` to use only the
            client's own limit.

    Example:
        A transport that applies every pause, without a network:

        >>> import asyncio, json
        >>> class Paused:
        ...     most_connections = None
        ...
        ...     async def send(self, request: Request, context: CallContext) -> Response:
        ...         context.attempts += 1
        ...         ani = json.loads(request.body or b"{}").get("ani")
        ...         return Response(200, json.dumps({"status": "paused", "ani": ani}).encode())
        ...
        ...     async def aclose(self) -> None: ...
        ...
        ...     def drop(self) -> None: ...
        >>> transport: Transport = Paused()
        >>> request = Request("POST", "/pause", body=b'{"ani":"2345678901"}')
        >>> asyncio.run(transport.send(request, CallContext())).body
        b'{"status": "paused", "ani": "2345678901"}'
    """

    @property
    def most_connections(self) -> int | None:
        """The maximum number of concurrent requests, or ``None`` for no limit."""

    async def send(self, request: Request, context: CallContext) -> Response | NRMError:
        """Send the request once and read the whole response.

        Return errors instead of raising them; only raise ``asyncio.CancelledError``.
        """

    async def aclose(self) -> None:
        """Close all connections and fail requests in flight. Called when the client closes."""

    def drop(self) -> None:
        """Close without waiting. Called instead of ``aclose`` if the loop is already closed."""


class HTTPTransport:
    """Transport that sends requests through an aiohttp session, its own or the caller's.

    Create the transport inside the event loop that will use it.

    Raises:
        ClientStateError: The caller's session belongs to another event loop.
    """

    def __init__(self, settings: Settings, lent: HTTPSession | None = None) -> None:
        if lent is not None and getattr(lent, "_loop", None) not in (
            None,
            asyncio.get_running_loop(),
        ):
            raise ClientStateError("the session given to this client belongs to another event loop")
        self._is_lent = lent is not None
        self._session = session = lent if lent is not None else new_session(settings)
        timeout = _client_timeout(settings.timeouts)
        self._session_path = SessionPath(settings, session, timeout)
        self._direct_path = None
        if not self._is_lent and settings.proxy is None and is_direct_path_safe(session):
            self._direct_path = DirectPath(settings, session, timeout)
        self._redact = Redactor(settings)
        if not self._is_lent:
            # Runs when the client is garbage-collected or still open at exit. Until then, it keeps
            # the session alive, so that aiohttp does not warn about an unclosed session.
            self._finalizer = weakref.finalize(self, drop, session)

    @property
    def most_connections(self) -> int | None:
        """The maximum number of concurrent connections of the caller's session, or ``None``."""
        return most_connections(self._session) if self._is_lent else None

    async def send(self, request: Request, context: CallContext) -> Response | NRMError:
        """Send the request once and read the whole response. Only cancellation is raised.

        Afterwards, ``context.maybe_sent`` shows whether the request may have been sent.
        """
        if self._session.closed:
            context.maybe_sent = False
            return ClientStateError(_LENT_CLOSED if self._is_lent else "the client was closed")
        context.attempts += 1
        context.status = None
        path: DirectPath | SessionPath = self._session_path
        if self._direct_path is not None and is_unpatched(self._session):
            path = self._direct_path
        try:
            return await path.exchange(request, context, self._redact)
        except Exception as error:  # noqa: BLE001 - every failure is returned
            return map_error(error, request, context, self._redact)
        except BaseException as end:  # noqa: BLE001 - cancellation, Ctrl-C: raised again
            # aiohttp's stack frames contain the API key in local variables.
            raise end.with_traceback(None) from None

    async def aclose(self) -> None:
        """Close the session, unless it is the caller's. Safe to call twice."""
        if self._is_lent or not self._finalizer.alive:
            return
        if self._direct_path is not None:
            self._direct_path.close()
        try:
            await self._session.close()
        finally:
            self._finalizer()  # also if closing is cancelled

    def drop(self) -> None:
        """Close without waiting, for use after the session's event loop is closed."""
        if not self._is_lent:
            self._finalizer()


def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=timeouts.attempt,
        connect=timeouts.connect,
        ceil_threshold=timeouts.attempt + 1,  # deadlines are exact, not rounded up to seconds
    )
