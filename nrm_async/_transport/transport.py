"""Sends a request, by one of the two ways, and says what became of it."""

import asyncio
import weakref
from typing import Final

import aiohttp

from nrm_async._flight import Flight
from nrm_async._transport.by_session import SessionPath
from nrm_async._transport.direct import DirectPath
from nrm_async._transport.faults import fault_of
from nrm_async._transport.progress import Progress
from nrm_async._transport.scrub import Scrubber
from nrm_async._transport.session import HTTPSession, drop, most_connections, new_session
from nrm_async._transport.support import is_supported, is_unpatched
from nrm_async._wire import Request, Response
from nrm_async.config import Settings, Timeouts
from nrm_async.errors import ClientStateError, NRMError

LENT_CLOSED: Final = "the session given to this client is closed"


class Transport:
    """Sends requests through one aiohttp session: its own, or one that it was lent.

    Made inside the event loop that uses it.
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
        if not self._is_lent and settings.proxy is None and is_supported(session):
            self._direct_path = DirectPath(settings, session, timeout)
        self._scrub = Scrubber(settings)
        if not self._is_lent:
            # However the client is lost, forgotten or left at exit, aiohttp has no unclosed
            # session to complain of: the finalizer holds the session until it has run.
            self._forgotten = weakref.finalize(self, drop, session)

    @property
    def most_connections(self) -> int | None:
        """How many connections a lent session allows at once, if it sets a limit."""
        return most_connections(self._session) if self._is_lent else None

    async def send(self, request: Request, flight: Flight) -> Response | NRMError:
        """Send once and read the answer to its end. Raises nothing but cancellation.

        Whatever ends it, ``flight.is_exposed`` tells whether the request may have left.
        """
        if self._session.closed:
            return ClientStateError(LENT_CLOSED if self._is_lent else "the client was closed")
        flight.attempts += 1
        progress = Progress(flight)
        try:
            return await self._path().exchange(request, progress, self._scrub)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the result must say so
            return fault_of(error, request, progress, self._scrub)
        except BaseException as end:  # noqa: BLE001 - cancellation, Ctrl-C: it goes on
            # The frames of aiohttp hold the key in their local variables.
            raise end.with_traceback(None) from None

    def _path(self) -> DirectPath | SessionPath:
        if self._direct_path is not None and is_unpatched(self._session):
            return self._direct_path
        return self._session_path

    async def aclose(self) -> None:
        """Close the session, unless it was lent. Safe to call twice."""
        if self._is_lent or not self._forgotten.alive:
            return
        if self._direct_path is not None:
            self._direct_path.close()
        try:
            await self._session.close()
        finally:
            self._forgotten()  # all the same, where closing was cancelled

    def drop(self) -> None:
        """Close without waiting, for when the session's event loop is gone."""
        if not self._is_lent:
            self._forgotten()


def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=timeouts.attempt,
        connect=timeouts.connect,
        ceil_threshold=timeouts.attempt + 1,  # deadlines are exact, not rounded up to seconds
    )
