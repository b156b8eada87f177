"""Pages that are read and actions that are carried out, through one session."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from nrm_async import listing
from nrm_async._calls.known import LastKnown
from nrm_async._calls.told import Telling
from nrm_async._confirm import Means, can_confirm, confirm
from nrm_async._flight import Flight
from nrm_async._session import TOO_LATE, Network, Session
from nrm_async._wire import (
    MAX_PAGE_SIZE,
    Request,
    Response,
    accept_page,
    action_request,
    page_request,
    read_page,
    read_receipt,
)
from nrm_async.actions import Action
from nrm_async.config import ConfirmPolicy, OnUnknown
from nrm_async.errors import (
    ClientStateError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    RejectedError,
)
from nrm_async.models import Ani, AniPage, Receipt
from nrm_async.results import CallResult, Outcome, conclude, outcome_of

T = TypeVar("T")


class Calls:
    """Reads pages and carries actions out, through one session."""

    def __init__(self, session: Session, policy: ConfirmPolicy) -> None:
        self._session = session
        self._policy = policy
        self._telling = Telling(session)
        self._last_known = LastKnown()
        self.acted = 0  # actions begun so far

    async def fetch_page(
        self, page: int, page_size: int, number: str | None, flight: Flight
    ) -> Callable[[], AniPage]:
        """Fetch a page now; what comes back decodes it, when it is called."""
        request = page_request(page, page_size, number)
        clock = asyncio.get_running_loop().time
        started = clock()
        work = self._fetch(request, page, flight)
        response = await self._telling.of_read(work, request.path, flight)
        elapsed = clock() - started

        def read() -> AniPage:
            value = read_page(response, page, page_size)
            if isinstance(value, NRMError):
                value.at(request.method, request.path, flight.attempts, elapsed)
            self._telling.of_page(page, value, flight)
            return _page_or_raise(value, page)

        return read

    async def _fetch(self, request: Request, page: int, flight: Flight) -> Response:
        network = self._session.network()
        response = await self._session.converse(network, request, accept_page, flight)
        return _page_or_raise(response, page)

    async def find(self, ani: str, make_flight: Callable[[], Flight]) -> Ani | None:
        """The row of one number, or ``None`` if it is not in the inventory."""

        async def fetch(page: int) -> Callable[[], AniPage]:
            return await self.fetch_page(page, MAX_PAGE_SIZE, ani, make_flight())

        return await listing.find(fetch, MAX_PAGE_SIZE, ani)

    async def perform(
        self, index: int, item: object, action: Action, flight: Flight, on_unknown: OnUnknown
    ) -> CallResult:
        """Carry one action out and say what became of it. Raises nothing but cancellation."""
        self.acted += 1
        beginning = self._telling.begin_action(action.path, flight, index)
        elapsed = 0.0
        value: Receipt | NRMError
        network = self._reach()
        if isinstance(network, ClientStateError):
            value = network
        else:
            started = network.loop.time()
            try:
                value = await self._alone(network, item, action, flight, on_unknown)
            except (Exception, asyncio.CancelledError) as error:
                self._telling.cut_off_action(beginning, flight, error)
                raise
            elapsed = network.loop.time() - started
        if isinstance(value, NRMError):
            value.at("POST", action.path, flight.attempts, elapsed)
        result = conclude(index, item, action, value, flight.attempts, elapsed)
        self._telling.end_action(beginning, flight, result)
        return result

    def _reach(self) -> Network | ClientStateError:
        try:
            return self._session.network()
        except ClientStateError as error:
            return error.with_traceback(None)

    async def _alone(
        self,
        network: Network,
        item: object,
        action: Action,
        flight: Flight,
        on_unknown: OnUnknown,
    ) -> Receipt | NRMError:
        """Carry it out while no other action on this number is under way or in doubt."""
        anis = network.anis
        if not anis.take(action.ani):
            try:
                async with asyncio.timeout_at(flight.deadline):
                    await anis.acquire(action.ani)
            except TimeoutError:
                return NotSentError(TOO_LATE)
        try:
            read = partial(read_receipt, action=action)
            request = action_request(action)
            value = await self._session.converse(network, request, read, flight)
            if isinstance(value, NRMError):
                value = await self._settle(network, item, action, flight, on_unknown, value)
        except asyncio.CancelledError:
            if flight.may_be_applied:
                self._last_known.note(action, OutcomeUnknownError("cancelled"))
            raise
        else:
            self._last_known.note(action, value)
            return value
        finally:
            anis.release(action.ani)

    async def _settle(
        self,
        network: Network,
        item: object,
        action: Action,
        flight: Flight,
        on_unknown: OnUnknown,
        error: NRMError,
    ) -> Receipt | NRMError:
        """What an error comes to: itself, if nothing is in doubt, or the truth, if it is found."""
        doubt = _doubt(error, flight)
        if doubt is None:
            return error
        flight.is_doubtful = True
        if on_unknown == "report" or not can_confirm(action, doubt):
            return doubt
        refusal = error if isinstance(error, RejectedError) else None
        return await confirm(action, doubt, refusal, self._means(network, item, action, flight))

    async def _resend(self, network: Network, action: Action, flight: Flight) -> Receipt | NRMError:
        # One more is one more: a server that does not take it up is not asked yet again.
        again = action_request(action, is_last=True)
        read = partial(read_receipt, action=action)
        return await self._session.converse(network, again, read, flight)

    def _means(self, network: Network, item: object, action: Action, flight: Flight) -> Means:
        return Means(
            find=partial(self._find_for, flight),
            resend=partial(self._resend, network, action, flight),
            wait=partial(self._wait, flight),
            policy=self._policy,
            was_active=self._last_known.before(action, item),
        )

    async def _find_for(self, flight: Flight, ani: str) -> Ani | None:
        confirming = self._session.network().confirming
        try:
            async with asyncio.timeout_at(flight.deadline):
                await confirming.acquire()
        except TimeoutError:
            raise NotSentError(TOO_LATE) from None
        try:
            # A read that fails is followed by the next one anyway, but an outage is waited for.
            look = partial(
                Flight, flight.deadline, flight.is_patient, is_single=True, call=flight.call
            )
            return await self.find(ani, look)
        finally:
            confirming.release()

    async def _wait(self, flight: Flight, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        if flight.deadline is not None and loop.time() + seconds >= flight.deadline:
            return False
        return await self._session.sleep(seconds)


def _page_or_raise(value: T | NRMError, page: int) -> T:
    if isinstance(value, NRMError):
        value.page = page
        raise value
    return value


def _doubt(error: NRMError, flight: Flight) -> OutcomeUnknownError | None:
    """The error as one that leaves the outcome open, if that is what it does."""
    if isinstance(error, OutcomeUnknownError):
        return error
    if outcome_of(error) is Outcome.UNKNOWN:
        return _unknown(f"{error.message}; the action may have been applied", error)
    if flight.is_doubtful:
        return _unknown(f"an earlier attempt may have been applied; then {error.message}", error)
    return None


def _unknown(message: str, error: NRMError) -> OutcomeUnknownError:
    unknown = OutcomeUnknownError(
        message, getattr(error, "status", None), getattr(error, "request_id", None)
    )
    unknown.seen = getattr(error, "seen", None)
    return unknown
