"""The events that a call begins and ends with, and what is counted at its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import attrs

from nrm_async._flight import Flight
from nrm_async._session import Session
from nrm_async.errors import NRMError
from nrm_async.events import CallFinished, CallStarted, PageRead
from nrm_async.models import AniPage
from nrm_async.results import CallResult, Outcome

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class _Beginning:
    """What was told at the beginning of a call, and when."""

    event: CallStarted
    at: float


class Telling:
    """Tells the observer of calls, if there is one; else it costs next to nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._events = session.events

    def of_page(self, number: int, value: AniPage | NRMError, flight: Flight) -> None:
        """A page is decoded; one that serves another call is not told of."""
        if flight.is_single or not self._events.is_wanted:
            return
        if isinstance(value, NRMError):
            event = PageRead(call=flight.call, page=number, error=value)
        else:
            rows = len(value.data) + len(value.malformed)
            total = value.total_anis
            event = PageRead(call=flight.call, page=number, rows=rows, total_anis=total)
        self._events.emit(event)

    async def of_read(self, work: Coroutine[Any, Any, T], path: str, flight: Flight) -> T:
        """Carry out a read; one that serves another call is not told of."""
        if flight.is_single:
            return await work
        beginning = self._begin("GET", path, flight, None)
        try:
            value = await work
        except (Exception, asyncio.CancelledError) as error:
            self._end(beginning, flight, None, error)
            raise
        self._end(beginning, flight, None, None)
        return value

    def begin_action(self, path: str, flight: Flight, index: int) -> _Beginning | None:
        """An action begins. What comes back is for its end."""
        if not self._events.is_wanted:
            return None
        return self._begin("POST", path, flight, None if flight.batch is None else index)

    def end_action(self, beginning: _Beginning | None, flight: Flight, result: CallResult) -> None:
        """An action came to this."""
        if beginning is None and flight.batch is not None:
            return
        self._end(beginning, flight, result.outcome, None if result.ok else result.error)

    def cut_off_action(
        self, beginning: _Beginning | None, flight: Flight, error: BaseException
    ) -> None:
        """An action was cut off."""
        outcome = Outcome.UNKNOWN if flight.may_be_applied else Outcome.NOT_APPLIED
        self._end(beginning, flight, outcome, error)

    def _begin(
        self, method: str, path: str, flight: Flight, index: int | None
    ) -> _Beginning | None:
        if not self._events.is_wanted:
            return None
        flight.call = self._session.next_call()
        event = CallStarted(
            call=flight.call, method=method, path=path, batch=flight.batch, index=index
        )
        self._events.emit(event)
        return _Beginning(event, asyncio.get_running_loop().time())

    def _end(
        self,
        beginning: _Beginning | None,
        flight: Flight,
        outcome: Outcome | None,
        error: BaseException | None,
    ) -> None:
        if outcome is not None and flight.batch is None:  # a batch counts its items itself
            self._session.count(outcome)
        if beginning is None:
            return
        self._events.emit(
            CallFinished(
                call=beginning.event.call,
                method=beginning.event.method,
                path=beginning.event.path,
                outcome=outcome,
                error=error if isinstance(error, Exception) else None,
                attempts=flight.attempts,
                elapsed=asyncio.get_running_loop().time() - beginning.at,
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
        )
