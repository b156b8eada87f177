"""The history: an append-only record of requests and applied actions."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from attrs import frozen

from nrm_async.sandbox.history.columns import (
    AppliedAction,
    AppliedColumns,
    Ending,
    RequestColumns,
    RequestEntry,
)
from nrm_async.sandbox.validation import parse_optional_phone
from nrm_async.sandbox.values import ActionName, Endpoint


@frozen(eq=False)
class OpenRequest:
    """A request in flight."""

    number: int
    endpoint: Endpoint | None


class Books:
    """A thread-safe record of all requests and applied actions, in order.

    Methods return snapshots. ``len()`` and iteration cover the applied actions. If a client's
    results are correct, the history has one entry for each action that the client reports as
    applied, and none for actions that it reports as refused or not applied.

    Methods with an ``ani`` parameter accept a string in any common format, an integer, or an object
    with a ``phone`` or ``ani`` attribute; any other value raises ValueError.

    Args:
        keep: A callback that persists each finished request.
    """

    def __init__(self, keep: Callable[[RequestEntry], object] | None = None) -> None:
        self._lock = threading.RLock()
        self._keep = keep
        self.clear()

    def clear(self) -> None:
        """Delete all entries, including requests in flight."""
        with self._lock:
            self._applied = AppliedColumns()
            self._requests = RequestColumns()
            self._max_in_flight = 0
            self._open: dict[int, OpenRequest] = {}

    def record(self, entry: AppliedAction) -> None:
        """Append an applied action. Called by :class:`State`."""
        with self._lock:
            self._applied.append(entry)

    def arrive(self, endpoint: Endpoint | None, when: datetime) -> OpenRequest:
        """Append a request, which is in flight until :meth:`end` is called."""
        with self._lock:
            in_flight = len(self._open) + 1
            number = self._requests.append(endpoint, when, in_flight)
            request = self._open[number] = OpenRequest(number, endpoint)
            self._max_in_flight = max(self._max_in_flight, in_flight)
            return request

    def end(self, request: OpenRequest, ending: Ending) -> None:
        """Record the outcome of a request."""
        number = request.number
        with self._lock:
            if self._open.get(number) is not request:  # the history was cleared in the meantime
                return
            del self._open[number]
            self._requests.finish(number, ending)
            if self._keep is not None:
                self._keep(self._requests.entry(number))

    def restore(self, entry: RequestEntry) -> None:
        """Append a finished request from an earlier run."""
        with self._lock:
            self.skip_to(entry.number - 1, entry.when)
            number = self._requests.append(entry.endpoint, entry.when, entry.in_flight)
            self._requests.finish(number, entry.ending)
            self._max_in_flight = max(self._max_in_flight, entry.in_flight)

    def skip_to(self, number: int, when: datetime) -> None:
        """Reserve the numbers up to ``number``, for requests unfinished when a run was killed."""
        with self._lock:
            while len(self._requests) < number:
                self._requests.append(None, when, 0)

    def applied(
        self,
        action: ActionName | None = None,
        ani: Any = None,
        *,
        since: int = 0,
        limit: int | None = None,
    ) -> tuple[AppliedAction, ...]:
        """Return the matching applied actions, oldest first.

        Args:
            action: The action; None matches any.
            ani: The phone number; None matches any.
            since: The number of oldest entries to skip, whether they match or not.
            limit: The maximum number of results.
        """
        phone = parse_optional_phone(ani)
        with self._lock:
            return tuple(islice(self._applied.select(action, phone, since), limit))

    def times_applied(self, action: ActionName | None = None, ani: Any = None) -> int:
        """Return the number of times ``action`` was applied to ``ani``; None matches any value."""
        phone = parse_optional_phone(ani)
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
        """Return the matching requests, oldest first.

        Args:
            endpoint: The endpoint; None matches any path.
            ani: The phone number; None matches any.
            status: The response status; None matches any.
            since: The number of oldest entries to skip, whether they match or not.
            limit: The maximum number of results.
        """
        phone = parse_optional_phone(ani)
        with self._lock:
            return tuple(islice(self._requests.select(endpoint, phone, status, since), limit))

    def times_requested(self, endpoint: Endpoint | None = None) -> int:
        """Return the number of requests to ``endpoint``; None matches any path."""
        with self._lock:
            return self._requests.count(endpoint)

    @property
    def max_in_flight(self) -> int:
        """The maximum number of concurrent requests so far."""
        return self._max_in_flight

    def in_flight(self, endpoint: Endpoint | None = None) -> int:
        """Return the number of requests in flight to ``endpoint``; None matches any path."""
        with self._lock:
            if endpoint is None:
                return len(self._open)
            return sum(request.endpoint == endpoint for request in self._open.values())

    def __len__(self) -> int:
        return len(self._applied)

    def __iter__(self) -> Iterator[AppliedAction]:
        return iter(self.applied())

    def __repr__(self) -> str:
        return f"Books({len(self)} applied)"
