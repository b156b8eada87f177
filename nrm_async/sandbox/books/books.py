"""The books: an append-only record of every request and every applied action."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from attrs import frozen

from nrm_async.sandbox import checks
from nrm_async.sandbox.books.applied import AppliedAction, AppliedActions
from nrm_async.sandbox.books.requests import Ending, RequestEntry, RequestLog
from nrm_async.sandbox.values import ActionName, Endpoint


@frozen(eq=False)
class Arrival:
    """One request that is being answered: its number, and which endpoint it came to."""

    number: int
    endpoint: Endpoint | None


class Books:
    """Everything that was asked and everything that was applied, in order. Reads are snapshots.

    A client that reports the truth agrees with these books: one applied entry for each action it
    calls applied, none for those it calls refused or not applied. They may be read from any
    thread. Their length, and going through them, is about the applied actions.

    Numbers may be written in any way, be whole numbers, or be values with a ``phone`` or an
    ``ani``; ValueError for what is none.

    Args:
        keep: Where each request is kept when it has ended; None: nowhere.
    """

    def __init__(self, keep: Callable[[RequestEntry], object] | None = None) -> None:
        self._lock = threading.RLock()
        self._keep = keep
        self.clear()

    def clear(self) -> None:
        """Begin anew; what is in flight is forgotten too."""
        with self._lock:
            self._applied = AppliedActions()
            self._log = RequestLog()
            self._most = 0
            self._open: dict[int, Arrival] = {}

    def record(self, entry: AppliedAction) -> None:
        """Append one applied action; the state does this, nobody else needs to."""
        with self._lock:
            self._applied.append(entry)

    def arrive(self, endpoint: Endpoint | None, when: datetime) -> Arrival:
        """Append one request, which is in flight from now on."""
        with self._lock:
            in_flight = len(self._open) + 1
            number = self._log.open(endpoint, when, in_flight)
            arrival = self._open[number] = Arrival(number, endpoint)
            self._most = max(self._most, in_flight)
            return arrival

    def end(self, arrival: Arrival, ending: Ending) -> None:
        """Say how a request ended."""
        number = arrival.number
        with self._lock:
            if self._open.get(number) is not arrival:  # the books were cleared meanwhile
                return
            del self._open[number]
            self._log.close(number, ending)
            if self._keep is not None:
                self._keep(self._log.entry(number))

    def restore(self, entry: RequestEntry) -> None:
        """Append a request of an earlier run, which has ended."""
        with self._lock:
            self.pass_over(entry.number - 1, entry.when)
            number = self._log.open(entry.endpoint, entry.when, entry.in_flight)
            self._log.close(number, entry.ending)
            self._most = max(self._most, entry.in_flight)

    def pass_over(self, number: int, when: datetime) -> None:
        """Give no number up to this one again: the run's end cut those requests off."""
        with self._lock:
            while len(self._log) < number:
                self._log.open(None, when, 0)

    def applied(
        self,
        action: ActionName | None = None,
        ani: Any = None,
        *,
        since: int = 0,
        limit: int | None = None,
    ) -> tuple[AppliedAction, ...]:
        """The applied actions of this kind on this ANI, oldest first; None: any.

        ``since`` leaves out that many of the oldest entries of the whole books, ``limit`` is the
        most to answer.
        """
        phone = checks.phone_or_any(ani)
        with self._lock:
            return tuple(islice(self._applied.find(action, phone, since), limit))

    def times_applied(self, action: ActionName | None = None, ani: Any = None) -> int:
        """How often ``action`` was applied to ``ani``; None: any."""
        phone = checks.phone_or_any(ani)
        with self._lock:
            return self._applied.count(action, phone)

    def requests(
        self,
        endpoint: Endpoint | None = None,
        ani: Any = None,
        *,
        status: int | None = None,
        since: int = 0,
        limit: int | None = None,
    ) -> tuple[RequestEntry, ...]:
        """The requests to this endpoint, about this ANI, answered with this status; None: any."""
        phone = checks.phone_or_any(ani)
        with self._lock:
            return tuple(islice(self._log.find(endpoint, phone, status, since), limit))

    def times_requested(self, endpoint: Endpoint | None = None) -> int:
        """How many requests came to ``endpoint``; None: to any path."""
        with self._lock:
            return self._log.count(endpoint)

    @property
    def max_in_flight(self) -> int:
        """The most requests that were being answered at once."""
        return self._most

    def in_flight(self, endpoint: Endpoint | None = None) -> int:
        """How many requests are being answered now; None: at all endpoints together."""
        with self._lock:
            if endpoint is None:
                return len(self._open)
            return sum(one.endpoint == endpoint for one in self._open.values())

    def __len__(self) -> int:
        return len(self._applied)

    def __iter__(self) -> Iterator[AppliedAction]:
        return iter(self.applied())

    def __repr__(self) -> str:
        return f"Books({len(self)} applied)"
