"""The events that a call begins and ends with."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from nrm_async._flight import Flight
from nrm_async._session import Session
from nrm_async.errors import NRMError
from nrm_async.events import CallFinished, CallStarted, PageRead
from nrm_async.models import AniPage
from nrm_async.results import CallResult, Outcome

T = TypeVar("T")


class Telling:
    """Tells the observer of calls, if there is one; else it costs next to nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._events = session.events

    def of_page(self, page: AniPage) -> None:
        """A page is given out."""
        if self._events.is_wanted:
            rows, total = len(page.data) + len(page.malformed), page.total_anis
            self._events.emit(PageRead(page=page.page, rows=rows, total_anis=total))

    async def of_read(self, work: Coroutine[Any, Any, T], path: str, flight: Flight) -> T:
        """Carry out a read; one that serves another call is not told of."""
        if flight.call or not self._events.is_wanted:
            return await work
        started = self._start("GET", path, flight, None)
        try:
            value = await work
        except (NRMError, asyncio.CancelledError) as error:
            self._finish(started, flight, None, error)
            raise
        self._finish(started, flight, None, None)
        return value

    async def of_action(
        self, work: Coroutine[Any, Any, CallResult], path: str, flight: Flight, index: int
    ) -> CallResult:
        """Carry out an action."""
        if not self._events.is_wanted:
            return await work
        started = self._start("POST", path, flight, None if flight.batch is None else index)
        try:
            result = await work
        except asyncio.CancelledError as error:
            self._finish(started, flight, None, error)
            raise
        self._finish(started, flight, result.outcome, None if result.ok else result.error)
        return result

    def _start(self, method: str, path: str, flight: Flight, index: int | None) -> CallStarted:
        flight.call = self._session.next_call()
        event = CallStarted(
            call=flight.call, method=method, path=path, batch=flight.batch, index=index
        )
        self._events.emit(event)
        return event

    def _finish(
        self,
        started: CallStarted,
        flight: Flight,
        outcome: Outcome | None,
        error: NRMError | asyncio.CancelledError | None,
    ) -> None:
        self._events.emit(
            CallFinished(
                call=started.call,
                method=started.method,
                path=started.path,
                outcome=outcome,
                error=error if isinstance(error, NRMError) else None,
                attempts=flight.attempts,
                elapsed=asyncio.get_running_loop().time() - flight.started,
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
        )
